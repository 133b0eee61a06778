package replay

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/ddmin"
	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// whyRuns bounds the runs that an explanation takes.
const whyRuns = 400

// Why is what decides about a failure: the smallest set of cells, sizes and names
// that must not have reached the disk.
type Why struct {
	// Lost are these; with any one of them on the disk as well, the failure does
	// not come. Empty: nothing has to be lost.
	Lost []Part `json:"lost"`
	// Kept are those that must have reached the disk all the same. All others may
	// have or not.
	Kept []Part `json:"kept"`
	// Cause says in one sentence what decides, and Else what does besides.
	Cause string `json:"cause"`
	Else  string `json:"else,omitempty"`
	// Source is the line of the program that wrote what was lost: its file, without
	// folders, and its number.
	Source string `json:"source,omitempty"`
}

// Part is some of a disk: neighbouring cells of a file, its size, a name, or the
// end of the journal, and who wrote it.
type Part struct {
	Kind string `json:"kind"` // cell, size, name or journal
	Path string `json:"path"` // "" for the journal
	// Cell and Cells are the first cell and their number, From and To their bytes,
	// To being the first behind them.
	Cell  int   `json:"cell,omitempty"`
	Cells int   `json:"cells,omitempty"`
	From  int64 `json:"from,omitempty"`
	To    int64 `json:"to,omitempty"`
	// Gone: the newest version of the name is that it is not there.
	Gone bool `json:"gone,omitempty"`
	// Found is what stood in the cells that nothing had been written to: garbage, or
	// what was there before the file; "" where an earlier version did.
	Found string `json:"found,omitempty"`
	// Crash is which crash line of the plan it is about: 1 is the first.
	Crash int `json:"crash"`
	// Writer is the operation that made the newest version, in words, with the step
	// of the plan and the source lines that called it.
	Writer string `json:"writer"`
	// Step is the plan's step that it was, 0 where it was none.
	Step int `json:"step,omitempty"`
	// Missing is the sync that would have kept it, and what became of that sync.
	Missing string `json:"missing,omitempty"`

	by   string // Writer without the operation: "step 3 (batch)"
	at   string // … and the lines that called it
	none bool   // no such sync was ever to come
}

// String names the part: "cell 1 of log/1.seg, bytes 512-1023".
func (p Part) String() string {
	switch p.Kind {
	case simfs.VarCell.String():
		cells := "cell " + strconv.Itoa(p.Cell)
		if p.Cells > 1 {
			cells = fmt.Sprintf("cells %d-%d", p.Cell, p.Cell+p.Cells-1)
		}
		return fmt.Sprintf("%s of %s, bytes %d-%d", cells, p.Path, p.From, p.To-1)
	case simfs.VarJournal.String():
		return "the end of the file system's journal"
	case simfs.VarSize.String():
		return "the size of " + p.Path
	}
	if p.Gone {
		return "the removal of the name " + p.Path
	}
	return "the name " + p.Path
}

// newest is the newest version of a variable.
func newest(v simfs.Var) simfs.VarOption { return v.Options[simfs.Latest().Choose(v)] }

// explain tells in words what the crashes of the failure's plan were, and why it
// fails. At most limit runs are made; what cannot be taken again is not explained.
func (f *Failure) explain(ctx context.Context, c scenarios.Config, limit int) {
	f.Happened, f.Why = nil, Why{Lost: []Part{}, Kept: []Part{}}
	if len(f.Plan.Crashes) == 0 {
		f.Why.Cause = f.alone()
		return
	}
	x := explainer{ctx: ctx, plan: f.Plan, config: c, left: limit, want: target{f.Invariant, ""}}
	if f.Invariant == "" {
		x.want.class = f.class
	}
	var err error
	if x.trail, err = scenarios.Follow(ctx, f.Plan, c); err != nil {
		return
	}
	for i := range x.trail.Moments {
		f.Happened = append(f.Happened, x.happened(i))
	}
	why := x.why(f)
	f.Why.Cause, f.Why.Else, f.Why.Source = why.Cause, why.Else, why.Source
	f.Why.Lost = append(f.Why.Lost, why.Lost...)
	f.Why.Kept = append(f.Why.Kept, why.Kept...)
}

// explainer explains one crash path.
type explainer struct {
	ctx    context.Context
	plan   *plan.Plan
	config scenarios.Config
	trail  scenarios.Trail
	want   target
	left   int // runs
}

// happened says when a crash came.
func (x *explainer) happened(i int) string {
	m := x.trail.Moments[i]
	what := m.Crash.Kind.Came()
	where := ""
	switch step, ok := x.trail.Step(m.At); {
	case i > 0 && m.Crash.Op == explore.End:
		where = ", after the log had been opened and used again"
	case i > 0:
		where = " while the log was opened and used again"
	case ok && m.Crash.Op == explore.End:
		where = ", behind step " + brief(step)
	case ok:
		where = ", at step " + brief(step)
	case crashSteps(x.plan) > 0:
		where = ", right behind the last crash among the steps"
	}
	switch {
	case m.At < len(m.Log) && m.Crash.Cells > 0:
		where += fmt.Sprintf(", inside operation %v, after %s", m.Log[m.At], counted(m.Crash.Cells, "cell"))
	case len(m.Log) == 0:
	case m.At >= len(m.Log) && m.Crash.Op != explore.End:
		where += ", behind the last operation"
	case m.At < len(m.Log):
		where += fmt.Sprintf(", before operation %v", m.Log[m.At])
	}
	return what + where
}

// brief is a step's number and verb.
func brief(step plan.Step) string { return fmt.Sprintf("%d %s", step.Number, step.Verb) }

// inWords is a step in a sentence.
func inWords(step plan.Step) string { return fmt.Sprintf("step %d (%s)", step.Number, step.Verb) }

// taken is a choice of one crash.
type taken struct {
	crash  int
	choice explore.Choice
}

// verdict runs the plan with other choices: same where it fails as it did, passes
// where nothing is violated; else text is what is, or that the crash cannot come,
// "" where no run was left.
func (x *explainer) verdict(path explore.CrashPath) (same, passes bool, text string) {
	if x.left <= 0 || x.ctx.Err() != nil {
		return false, false, ""
	}
	x.left--
	q := withPath(x.plan, path)
	q.Digests = nil
	r, err := scenarios.Run(x.ctx, q, x.config)
	if err != nil {
		return false, false, cannotCome
	}
	if len(r.Violations) == 0 {
		return false, true, ""
	}
	_, same = x.want.of(r.Violations)
	return same, false, newFailure(r.Violations[0]).promise()
}

// cannotCome is the verdict where a crash would not come any more.
const cannotCome = "it does not come to that crash"

// path is the plan's, except that its crashes keep the newest version of
// everything but what is lost.
func (x *explainer) path(losses []taken) explore.CrashPath {
	path := pathOf(x.plan)
	for i, m := range x.trail.Moments {
		if len(m.Choices) == 0 {
			continue
		}
		path[i].Prefix, path[i].Deviations = m.At, nil
		for _, l := range losses {
			if l.crash == i {
				path[i].Deviations = append(path[i].Deviations, l.choice.Deviation())
			}
		}
	}
	return path
}

// oldest is path, except that only what is kept has its newest version.
func (x *explainer) oldest(losses, kept []taken) explore.CrashPath {
	all := slices.Clone(losses)
	for i, m := range x.trail.Moments {
		for _, c := range m.Choices {
			same := func(l taken) bool { return l.crash == i && l.choice.Var.ID == c.Var.ID }
			if !slices.ContainsFunc(losses, same) && !slices.ContainsFunc(kept, same) {
				all = append(all, taken{i, explore.Choice{Var: c.Var, Option: 0}})
			}
		}
	}
	return x.path(all)
}

// why finds what has to be lost, and what has to be kept.
func (x *explainer) why(f *Failure) Why {
	var losses, rest []taken
	for i, m := range x.trail.Moments {
		for _, c := range m.Choices {
			if loss.Lost(c) {
				losses = append(losses, taken{i, c})
			} else {
				rest = append(rest, taken{i, c})
			}
		}
	}
	fails := func(list []taken) bool {
		same, _, _ := x.verdict(x.path(list))
		return same
	}
	if len(losses) > 0 && !fails(losses) {
		return Why{Cause: x.when(len(x.trail.Moments)-1) + ", and what was lost then decides, though no single piece of it does"}
	}
	all := len(losses)
	losses = ddmin.Fewest(losses, fails)
	if all > len(losses) { // what the crash had lost without need is there now
		for i, m := range x.trail.Moments {
			for _, c := range m.Choices {
				if !loss.Lost(c) || slices.ContainsFunc(losses, func(l taken) bool { return l.crash == i && l.choice.Var.ID == c.Var.ID }) {
					continue
				}
				c.Option = simfs.Latest().Choose(c.Var)
				rest = append(rest, taken{i, c})
			}
		}
	}
	if len(losses) == 0 {
		return Why{Cause: x.nothingLost(f)}
	}
	w := Why{Lost: x.parts(losses)}
	after := "with " + itThem(w.Lost) + " there too, "
	if len(losses) > 1 {
		after = "with any of that there too, "
	}
	outcome := "the recovery passes"
	for i := range losses {
		same, passes, text := x.verdict(x.path(slices.Delete(slices.Clone(losses), i, i+1)))
		switch {
		case same:
			outcome = "nothing changes" // it ran out of runs before it was all tried
		case !passes && text == cannotCome:
			outcome = text
		case !passes && text != "":
			outcome = "it fails in another way: " + text
		case !passes:
			outcome = "it was not tried what comes"
		}
		if outcome != "the recovery passes" {
			break
		}
	}
	w.Cause, w.Source = x.lostCause(w.Lost)
	w.Else = "all else was on the disk"
	if none, _, _ := x.verdict(x.oldest(losses, nil)); none {
		w.Else = "what else was lost does not matter"
	} else {
		needed := ddmin.Fewest(rest, func(fewer []taken) bool {
			same, _, _ := x.verdict(x.oldest(losses, fewer))
			return same
		})
		if x.left > 0 && len(needed) < len(rest) && len(needed) > 0 {
			w.Kept = x.parts(needed)
			kept, _ := named(w.Kept)
			w.Else = kept + " must be on the disk all the same"
		}
	}
	w.Else += "; " + after + outcome
	return w
}

func itThem(parts []Part) string {
	if len(parts) == 1 && parts[0].Cells <= 1 {
		return "it"
	}
	return "them"
}

// parts describes choices: neighbouring cells that the same operation wrote are
// one part.
func (x *explainer) parts(losses []taken) []Part {
	var parts []Part
	size := int64(x.trail.CellSize)
	for _, l := range losses {
		v := l.choice.Var
		p := x.writer(l)
		p.Kind, p.Path, p.Crash = v.Kind.String(), v.Path, l.crash+1
		p.Missing, p.none = x.missing(l)
		if o := v.Options[l.choice.Option]; o.Garbage {
			p.Found = o.Label
		}
		p.Gone = v.Kind == simfs.VarName && newest(v).Size == 0
		if v.Kind == simfs.VarCell {
			p.Cell, p.Cells = v.Cell, 1
			p.From, p.To = int64(v.Cell)*size, int64(v.Cell+1)*size
			if n := len(parts) - 1; n >= 0 {
				before := &parts[n]
				if before.Kind == p.Kind && before.Path == p.Path && before.Crash == p.Crash && before.Writer == p.Writer && before.Found == p.Found && before.To == p.From {
					before.Cells++
					before.To = p.To
					continue
				}
			}
		}
		parts = append(parts, p)
	}
	return parts
}

// writer says in words which operation made the newest version of a variable.
func (x *explainer) writer(l taken) (p Part) {
	made := newest(l.choice.Var)
	at := made.Op
	for _, again := range made.Again {
		at = max(at, again)
	}
	op, run, ok := x.trail.Operation(l.crash, at)
	switch {
	case !ok && at < -1:
		p.Writer = "a step before the last crash among the steps"
		p.by = p.Writer
		return p
	case !ok:
		return p
	}
	who := "the recovery"
	if run > 1 || run == 1 && len(x.trail.Moments) > 2 {
		who = fmt.Sprintf("recovery %d", run)
	}
	p.by = who
	if run == 0 {
		who, p.by = "step ?", "the workload"
		if step, ok := x.trail.Step(op.Index); ok {
			who, p.by, p.Step = "step "+brief(step), inWords(step), step.Number
		}
	}
	p.at = op.Caller
	p.Writer = fmt.Sprintf("%s: operation %v", who, op)
	return p
}
