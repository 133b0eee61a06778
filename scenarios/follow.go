package scenarios

import (
	"context"
	"fmt"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Trail is the way through the crashes of a plan: what came before each, and
// what each lost.
type Trail struct {
	Moments  []explore.Moment // of each crash line of the plan
	CellSize int              // bytes of a cell of the disk
	steps    []plan.Step
	began    []begun
}

// frames is how many source lines a trail keeps of each operation.
const frames = 2

// Follow takes the crashes of a plan's crash lines, as Run does, without the
// recovery behind the last. The disk remembers who called it. A plan without
// crash lines has an empty trail; where a crash before the last does not come,
// the error is an *explore.PathError.
func Follow(ctx context.Context, p *plan.Plan, c Config) (Trail, error) {
	fail := func(err error) (Trail, error) { return Trail{}, fmt.Errorf("scenario %s: %w", p.Scenario, err) }
	r, err := newRun(ctx, p, c)
	if err != nil {
		return fail(err)
	}
	path, err := explore.ParseCrashPath(crashText(p))
	if err != nil {
		return fail(err)
	}
	if len(path) == 0 {
		return Trail{}, nil
	}
	r.explorer.Callers = frames
	if err := r.prologue(); err != nil {
		return fail(err)
	}
	t := Trail{steps: p.Steps}
	t.Moments, err = explore.Follow(ctx, r.explorer, explore.Program{Workload: r.workload, Recover: r.recover}, path)
	if err != nil {
		return fail(err)
	}
	t.began, t.CellSize = r.began, r.world.disk.CellSize()
	return t, nil
}

// notTheProgram are the functions between the log and its disk.
func notTheProgram() []string {
	const module = "github.com/untorn-db/untorn/"
	return []string{module + "faults.", module + "scenarios", module + "replay"}
}

// crashText is the crash path of a plan's crash lines.
func crashText(p *plan.Plan) string {
	if len(p.Crashes) == 0 {
		return explore.CrashPath(nil).String()
	}
	return strings.Join(p.Crashes, " | ")
}

// Step is the step of the plan that an operation of the workload belongs to; ok
// is false where no step has begun. Operations are those of the run that the
// first crash ended, counted from 0.
func (t Trail) Step(op int) (step plan.Step, ok bool) {
	number := 0
	for _, b := range t.began {
		if b.op > op {
			break
		}
		number, ok = b.step, true
	}
	for _, s := range t.steps {
		if ok && s.Number == number {
			return s, true
		}
	}
	return plan.Step{}, false
}

// Operation finds the operation that a version has at crash n: from 0 in the
// run that this crash ended, from -2 down in the runs before it. run is the
// place of that run: 0 is the workload, others are the recoveries.
func (t Trail) Operation(n, at int) (op simfs.Op, run int, ok bool) {
	return loss.Operation(t.Moments, n, at)
}
