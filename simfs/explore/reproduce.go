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
	follower *follower                              // of the crash before it; nil: none
	failed   func(format string, args ...any) error // says that this crash cannot be taken
}

// misfit says what the crash before the run names that the disk did not have.
// Of a lazy crash that is known only after the run.
func (t taken) misfit() error {
	f := t.follower
	if f == nil {
		return nil
	}
	if f.problem != "" {
		return t.failed("%s", f.problem)
	}
	for k, used := range f.used {
		if !used {
			return t.failed("the disk has no choice about %s at that moment", word(f.crash.Deviations[k].Var))
		}
	}
	return nil
}

// once does the run, on a goroutine of its own: it may end that.
func (t taken) once() (err error) {
	pool{1}.each(1, func(int) { t.recorder.run(t.program, t.run, &err) })
	return err
}

// take takes the crashes of a path, one run after the other, and tells of each;
// what a lazy one chose is known when the run behind it is over. It returns that
// of the last, which has not begun. eye may be nil.
func take(ctx context.Context, c Config, p Program, path CrashPath, eye Eye) (t taken, moments []Moment, err error) {
	t.recorder, t.run = c.workload()
	t.recorder.eye = eye
	t.program = p.Workload
	for i := range path {
		if err := ctx.Err(); err != nil {
			return taken{}, nil, err
		}
		failed := func(format string, args ...any) error {
			return &PathError{Crash: i, Text: path[i].String(), Problem: fmt.Sprintf(format, args...)}
		}
		r := t.recorder
		r.only = &path[i]
		err = t.once()
		if wrong := t.misfit(); wrong != nil {
			return taken{}, nil, wrong
		}
		if i > 0 {
			moments[i-1].Choices = t.follower.choices
		}
		if len(r.states) == 0 {
			switch {
			case err != nil && i > 0:
				return taken{}, nil, err
			case r.missed != "":
				return taken{}, nil, failed("%s", r.missed)
			default:
				return taken{}, nil, failed("the run ended after %d operations and %d notes, without coming there", r.disk.Ops(), len(r.notes)-r.before)
			}
		}
		if err != nil && i > 0 {
			return taken{}, nil, err // the crash is never reached by a recovery that fails
		}
		s := r.states[0]
		f := &follower{crash: &path[i], used: make([]bool, len(path[i].Deviations))}
		image := s.image
		if !path[i].Lazy && len(image.Vars()) > 0 {
			image = image.Resolve(f)
		}
		s.history = slices.Clip(s.past())
		m := Moment{Crash: path[i], Log: r.disk.Log(), At: path[i].Op, History: s.history, Choices: f.choices}
		if m.At == End {
			m.At = len(m.Log)
		}
		t.follower, t.failed = f, failed
		if !path[i].Lazy {
			if wrong := t.misfit(); wrong != nil {
				return taken{}, nil, wrong
			}
		}
		moments = append(moments, m)
		if eye != nil {
			eye.Crashed(m, s.image, image)
			if path[i].Lazy {
				f.chose = eye.Chose
			}
		}
		t.recorder, t.run = c.recovery(nil, s, image, &candidate{from: s}, f, path[i].Lazy)
		t.recorder.eye = eye
		t.program = p.Recover
	}
	return t, moments, ctx.Err()
}
