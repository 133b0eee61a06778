package explore

import (
	"context"
	"fmt"
	"slices"
)

// reproduce takes path, one run after the other.
func reproduce(ctx context.Context, c Config, p Program, path CrashPath) error {
	r, run := c.workload()
	f := p.Workload
	for i := range path {
		if err := ctx.Err(); err != nil {
			return err
		}
		misfit := func(format string, args ...any) error {
			return &PathError{Crash: i, Text: path[i].String(), Problem: fmt.Sprintf(format, args...)}
		}
		r.only = &path[i]
		err := once(r, f, run)
		if len(r.states) == 0 {
			switch {
			case err != nil && i > 0:
				return err
			case r.missed != "":
				return misfit("%s", r.missed)
			default:
				return misfit("the run ended after %d operations and %d notes, without coming there", r.disk.Ops(), len(r.notes)-r.before)
			}
		}
		if err != nil && i > 0 {
			return err // the crash is never reached by a recovery that fails
		}
		s := r.states[0]
		image, used := s.image, make([]bool, len(path[i].Deviations))
		if len(image.Vars()) > 0 {
			w := follower{crash: &path[i], used: used}
			image = image.Resolve(&w)
			if w.problem != "" {
				return misfit("%s", w.problem)
			}
		}
		for k, used := range used {
			if !used {
				return misfit("the disk has no choice about %s at that moment", word(path[i].Deviations[k].Var))
			}
		}
		s.history = slices.Clip(s.past())
		r, run = c.recovery(s, image, &candidate{from: s})
		f = p.Recover
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return once(r, f, run)
}

// once does one run, on a goroutine of its own: it may end that.
func once(r *recorder, f func(*Run) error, run *Run) (err error) {
	pool{1}.each(1, func(int) { r.run(f, run, &err) })
	return err
}
