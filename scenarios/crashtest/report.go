package crashtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// fail saves the plan of a finding and fails the test with all that is known.
func (r *runner) fail(f *finding) {
	r.t.Helper()
	file, err := r.save(f)
	c := f.card()
	if err != nil {
		c.Notes = append(c.Notes, card.Note{Name: "plan", Text: "not saved: " + err.Error()})
	} else {
		c.File = file
		c.Replay = fmt.Sprintf("UNTORN_PLAN=%s go test -run '%s' %s", file, pattern(r.test), packageDir())
	}
	r.t.Errorf("%s", c.Text())
}

// card is all that is known of a finding but its file.
func (f *finding) card() card.Card {
	c := card.Card{Headline: fmt.Sprintf("crashtest: %s: %s", invariant(f.err), said(f.err)), Promise: promise(f.err), Cause: "no crash is needed: it fails before any"}
	note := func(name string, lines ...string) {
		if len(lines) > 0 {
			c.Notes = append(c.Notes, card.Note{Name: name, Text: strings.Join(lines, "\n")})
		}
	}
	if broken, ok := errors.AsType[*Broken](f.err); ok {
		c.Expected, c.Found = broken.Want, broken.Found
		note("key", quote(broken.Key))
	}
	note("disks", f.verdicts()...)
	if f.flaky != "" {
		note("twice", "the same crash, tried once more, gave: "+firstLine(f.flaky),
			"Open, the steps and Check must do the same each time: no clock, no randomness, no order of a map, no goroutines")
	}
	c.Plan = f.steps()
	if len(f.path) == 0 {
		return c
	}
	moments, err := f.follow()
	if err != nil {
		c.Cause = ""
		c.Plan = append(c.Plan, card.Step{Mark: card.Happens, Text: f.path.String()})
		return c
	}
	for i := range moments {
		c.Plan = append(c.Plan, card.Step{Mark: card.Happens, Text: crashed(f.program, moments, i)})
		lines, cause := allLost(f.program, moments, i)
		note("lost", lines...)
		c.Cause = cause
	}
	return c
}

// promise is what an error breaks, in words.
func promise(err error) string {
	switch invariant(err) {
	case "acked-present":
		return "what a step was told to be durable, and what a store has shown, is there after a crash"
	case "nothing-else":
		return "nothing is there but what the steps wrote"
	case "all-or-nothing":
		return "what a step writes is there whole, or nothing of it"
	case "panic":
		return "nothing panics, whatever a crash leaves"
	case "returns":
		return "Open, the steps, Check and Close return"
	case "open":
		return "the store opens on whatever a crash leaves"
	case "step":
		return "a step succeeds, on a store that has just been opened, too"
	case "check":
		return "Check accepts what the store shows"
	case "close":
		return "the store closes"
	}
	return ""
}

// said is the text of an error, without what has fields of its own.
func said(err error) string {
	var failed *failure
	if _, ok := errors.AsType[*Broken](err); ok && errors.As(err, &failed) {
		return failed.what
	}
	return err.Error()
}

// steps says which steps are enough.
func (f *finding) steps() (list []card.Step) {
	p := f.program
	if len(p.active) == 0 {
		return []card.Step{{Text: fmt.Sprintf("none of the %d steps is needed", len(p.steps))}}
	}
	list = append(list, card.Step{Text: fmt.Sprintf("%d of %d steps suffice:", len(p.active), len(p.steps))})
	for _, k := range p.active {
		list = append(list, card.Step{Mark: card.Decides, Text: label(k, p.steps[k])})
	}
	return list
}

// crashed says when one crash of a path came.
func crashed(p *program, crashes []explore.Moment, n int) string {
	m := crashes[n]
	when := "before the first step"
	before, states := p.remembered(nil), p.remembered(m.History)
	if n > 0 {
		when = "while the store recovered"
		before = p.remembered(crashes[n-1].History)
	}
	for _, i := range p.active { // what this run has noted last
		if states[i] == before[i] {
			continue
		}
		switch state := states[i]; {
		case before[i] == NotStarted && state == InFlight:
			when = "in " + label(i, p.steps[i])
		case before[i] == NotStarted:
			when = fmt.Sprintf("after %s, was %v", label(i, p.steps[i]), state)
		case state == Gone:
			when = fmt.Sprintf("after the recovered store did not show %s", label(i, p.steps[i]))
		default:
			when = fmt.Sprintf("after the recovered store showed %s", label(i, p.steps[i]))
		}
	}
	place := "at the end of the run"
	if m.At < len(m.Log) {
		place = "before " + operation(m.Log[m.At])
	} else if m.Crash.Op != explore.End {
		place = "after the last operation"
	}
	return fmt.Sprintf("%s %s, %s", m.Crash.Kind.Came(), when, place)
}

// allLost says what had not reached the disk, who had written it, and which sync
// was missing; and in a sentence the first of it.
func allLost(p *program, crashes []explore.Moment, n int) (lines []string, cause string) {
	if crashes[n].Crash.Kind != simfs.PowerLoss {
		cause = "the process was killed, which loses nothing that was written"
	}
	for _, c := range crashes[n].Choices {
		if !loss.Lost(c) {
			continue
		}
		each := lost(p, c, crashes, n)
		lines = append(lines, each...)
		if cause == "" {
			cause = "after the power failed, " + each[0]
			if last := len(each) - 1; last > 0 {
				cause += "; " + strings.TrimSpace(each[last])
			}
		}
	}
	if len(lines) == 0 && cause == "" {
		text := "nothing: all that was written is on the disk"
		return []string{text}, "the power failed, and nothing of what was written was lost"
	}
	return lines, cause
}

// lost is about one variable.
func lost(p *program, c explore.Choice, crashes []explore.Moment, n int) []string {
	v, chosen := c.Var, c.Var.Options[c.Option]
	what := ""
	switch v.Kind {
	case simfs.VarJournal:
		what = "the end of the file system's journal"
	case simfs.VarName:
		what = fmt.Sprintf("the name %q is as it was", v.Path)
		if chosen.Size == 0 {
			what = fmt.Sprintf("the name %q is not there", v.Path)
		}
	case simfs.VarSize:
		what = fmt.Sprintf("the size of %q is %d", v.Path, chosen.Size)
	default:
		what = fmt.Sprintf("cell %d of %q has what it had", v.Cell, v.Path)
		if chosen.Garbage {
			what = fmt.Sprintf("cell %d of %q holds %s: no write has reached it", v.Cell, v.Path, chosen.Label)
		} else if chosen.Op != -1 {
			what = fmt.Sprintf("cell %d of %q has an earlier write", v.Cell, v.Path)
		}
	}
	lines := []string{what}
	for _, op := range loss.Writes(crashes, n, c) {
		if line := "  without " + operation(op); lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	const most = 6
	if len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("  … and %d operations more", len(lines)-most+1))
	}
	sync, ok := loss.Missing(crashes, n, c)
	states := p.remembered(crashes[n].History)
	inFlight := slices.ContainsFunc(p.active, func(i int) bool { return states[i] == InFlight })
	switch {
	case !ok: // nobody has written what was lost: garbage
	case sync.Earlier:
		lines = append(lines, fmt.Sprintf("  missing: %s in the recovery, which takes what it reads for durable", sync.Of))
	case sync.Next != nil && inFlight:
		lines = append(lines, "  which was to become durable with "+operation(*sync.Next))
	case sync.Next != nil:
		lines = append(lines, fmt.Sprintf("  missing: %s before the promise; it comes only with %s", sync.Of, operation(*sync.Next)))
	default:
		lines = append(lines, fmt.Sprintf("  missing: %s after that; none ever comes", sync.Of))
	}
	return lines
}

// operation prints an operation with the lines that called it.
func operation(op simfs.Op) string {
	var b strings.Builder
	b.WriteString("operation " + strconv.Itoa(op.Index) + ", ")
	switch op.Kind {
	case simfs.OpRename:
		fmt.Fprintf(&b, "rename %q to %q", op.Path, op.Path2)
	case simfs.OpWrite, simfs.OpPreallocate:
		fmt.Fprintf(&b, "%v %q, %d bytes at %d", op.Kind, op.Path, op.Length, op.Offset)
	case simfs.OpTruncate:
		fmt.Fprintf(&b, "truncate %q to %d bytes", op.Path, op.Length)
	case simfs.OpOpenTruncate:
		fmt.Fprintf(&b, "empty %q", op.Path)
	case simfs.OpSyncDir:
		fmt.Fprintf(&b, "sync of the directory %q", op.Path)
	default:
		fmt.Fprintf(&b, "%v %q", op.Kind, op.Path)
	}
	if op.Caller != "" {
		b.WriteString(", at " + op.Caller)
	}
	return b.String()
}
