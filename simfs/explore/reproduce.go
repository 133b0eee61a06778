package explore

import (
	"context"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/simfs"
)

// A Moment is one crash of a path, taken again with an eye on what it lost.
type Moment struct {
	Crash   Crash
	Log     []simfs.Op // of the whole run, what came after the crash included
	At      int        // how many of these had taken effect
	History []Note     // all notes made before the crash, oldest first
	Choices []Choice   // in the order in which they were decided
}

// A Choice is a variable of the disk, and the version that the crash kept.
type Choice struct {
	Var    simfs.Var
	Option int // index into Var.Options
}

// chosen is a choice that outlives the question, whose options do not.
func chosen(v simfs.Var, option int) Choice {
	v.Options = slices.Clone(v.Options)
	return Choice{v, option}
}

// Deviation is the choice as a crash path says it.
func (c Choice) Deviation() Deviation {
	return Deviation{Var: VarText(c.Var), Option: OptionText(c.Var.Options, c.Option)}
}

// taken is a path on the way, behind some of its crashes: the run that comes
// next.
type taken struct {
	recorder *recorder
	run      *Run
	program  func(*Run) error
}

// once does the run, on a goroutine of its own: it may end that.
func (t taken) once() (err error) {
	pool{1}.each(1, func(int) { t.recorder.run(t.program, t.run, &err) })
	return err
}

// take takes the crashes of a path, one run after the other, and tells of
// each. It returns the run that comes behind the last, which has not begun.
func take(ctx context.Context, c Config, p Program, path CrashPath, tell func(Moment)) (taken, error) {
	var t taken
	t.recorder, t.run = c.workload()
	t.program = p.Workload
	for i := range path {
		if err := ctx.Err(); err != nil {
			return taken{}, err
		}
		misfit := func(format string, args ...any) (taken, error) {
			return taken{}, &PathError{Crash: i, Text: path[i].String(), Problem: fmt.Sprintf(format, args...)}
		}
		r := t.recorder
		r.only = &path[i]
		err := t.once()
		if len(r.states) == 0 {
			switch {
			case err != nil && i > 0:
				return taken{}, err
			case r.missed != "":
				return misfit("%s", r.missed)
			default:
				return misfit("the run ended after %d operations and %d notes, without coming there", r.disk.Ops(), len(r.notes)-r.before)
			}
		}
		if err != nil && i > 0 {
			return taken{}, err // the crash is never reached by a recovery that fails
		}
		s := r.states[0]
		f := follower{crash: &path[i], used: make([]bool, len(path[i].Deviations))}
		image := s.image
		if len(image.Vars()) > 0 {
			image = image.Resolve(&f)
		}
		if f.problem != "" {
			return misfit("%s", f.problem)
		}
		for k, used := range f.used {
			if !used {
				return misfit("the disk has no choice about %s at that moment", word(path[i].Deviations[k].Var))
			}
		}
		s.history = slices.Clip(s.past())
		if tell != nil {
			m := Moment{Crash: path[i], Log: r.disk.Log(), At: path[i].Op, History: s.history, Choices: f.choices}
			if m.At == End {
				m.At = len(m.Log)
			}
			tell(m)
		}
		t.recorder, t.run = c.recovery(s, image, &candidate{from: s})
		t.program = p.Recover
	}
	return t, ctx.Err()
}
