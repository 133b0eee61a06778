package crashtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// fail saves the plan of a finding and fails the test with all that is known.
func (r *runner) fail(f *finding) {
	r.t.Helper()
	file, err := r.save(f)
	b := &report{}
	b.line("crashtest: %s: %s", invariant(f.err), said(f.err))
	if broken, ok := errors.AsType[*Broken](f.err); ok {
		b.field("key", quote(broken.Key))
		b.field("want", broken.Want)
		b.field("found", broken.Found)
	}
	b.field("disks", f.verdicts()...)
	if f.flaky != "" {
		b.field("twice", "the same crash, tried once more, gave: "+firstLine(f.flaky),
			"Open, the steps and Check must do the same each time: no clock, no randomness, no order of a map, no goroutines")
	}
	b.steps(f)
	if moments, err := f.follow(); err == nil {
		for i := range moments {
			b.crash(f.program, moments, i)
			b.lost(f.program, moments, i)
		}
	} else {
		b.field("crash", f.path.String())
	}
	if err != nil {
		b.field("plan", "not saved: "+err.Error())
	} else {
		b.field("plan", file)
		b.field("replay", fmt.Sprintf("UNTORN_PLAN=%s go test -run '%s' %s", file, pattern(r.test), packageDir()))
	}
	r.t.Errorf("%s", b.String())
}

// said is the text of an error, without what has fields of its own.
func said(err error) string {
	var failed *failure
	if _, ok := errors.AsType[*Broken](err); ok && errors.As(err, &failed) {
		return failed.what
	}
	return err.Error()
}

// report is text in two columns.
type report struct{ strings.Builder }

func (b *report) line(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }

func (b *report) field(name string, values ...string) {
	for _, v := range values {
		b.line("  %-7s %s", name, v)
		name = ""
	}
}

// steps says which steps are enough.
func (b *report) steps(f *finding) {
	p := f.program
	var names []string
	for i, k := range p.active {
		if i == 10 {
			names = append(names, fmt.Sprintf("… %d more", len(p.active)-i))
			break
		}
		names = append(names, label(k, p.steps[k]))
	}
	switch {
	case len(p.active) == 0:
		b.field("steps", fmt.Sprintf("none of the %d is needed", len(p.steps)))
	default:
		b.field("steps", fmt.Sprintf("%d of %d suffice: %s", len(p.active), len(p.steps), strings.Join(names, "; ")))
	}
	if len(f.path) == 0 {
		b.field("crash", "none: it fails before any crash")
	}
}

// crash says when one crash of a path came.
func (b *report) crash(p *program, crashes []explore.Moment, n int) {
	m := crashes[n]
	kind := "the power failed"
	if m.Crash.Kind == simfs.ProcessKill {
		kind = "the process was killed"
	}
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
	b.field("crash", fmt.Sprintf("%s %s, %s", kind, when, place))
}

// lost says what had not reached the disk, who had written it, and which sync
// was missing.
func (b *report) lost(p *program, crashes []explore.Moment, n int) {
	name := "lost"
	any := false
	for _, c := range crashes[n].Choices {
		if !loss.Lost(c) {
			continue
		}
		any = true
		b.field(name, lost(p, c, crashes, n)...)
		name = ""
	}
	if !any && crashes[n].Crash.Kind == simfs.PowerLoss {
		b.field(name, "nothing: all that was written is on the disk")
	}
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
