package scenarios

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

// tally is a state that every event changes, and their order.
type tally struct {
	Events uint64
	Chain  uint64
}

func (t tally) with(e *engine.Event) tally {
	mixed := t.Chain ^ binary.LittleEndian.Uint64(e.Hash[:]) ^ e.Sequence
	return tally{t.Events + 1, mixed * 0x9e3779b97f4a7c15}
}

// tallyOf is the state behind a sequence, computed from the first event on.
func tallyOf(q *engine.Query, events []engine.Event, sequence uint64) (t tally) {
	for i := range events {
		if e := &events[i]; e.Sequence <= sequence && selects(q, e) {
			t = t.with(e)
		}
	}
	return t
}

// tallies are two projections in one set: one of all events, and one of those that
// a step selects.
type tallies struct {
	queries [2]engine.Query
	members [2]*projection.Projection[tally]
	set     *projection.Set
}

// mostAhead is how many events a projection goes on before its next checkpoint:
// few, so that crashes come between them and the events.
const mostAhead = 3

func newTallies(log *engine.Log, fs afero.Fs, step plan.Step) (*tallies, error) {
	t := new(tallies)
	var err error
	if t.queries[1], err = queryOf(step); err != nil {
		return nil, err
	}
	name := step.Get("name")
	for i := range t.members {
		t.members[i], err = projection.New(projection.Definition[tally]{
			Name: fmt.Sprint(name, "-", i), Version: 1, Query: t.queries[i],
			Apply: func(t tally, e engine.Event) tally { return t.with(&e) },
		})
		if err != nil {
			return nil, err
		}
	}
	t.set, err = projection.Open(log, projection.Options{
		Checkpoints: projection.Checkpoints{FS: fs, Dir: "projections", Every: mostAhead},
	}, t.members[0], t.members[1])
	return t, err
}

// check compares both states with those of a computation from the first event on.
func (t *tallies) check(events []engine.Event) error {
	for i, member := range t.members {
		found, sequence := member.State()
		if want := tallyOf(&t.queries[i], events, sequence); found != want {
			return &invariant.Violation{Invariant: "I16", Sequence: sequence, Expected: fmt.Sprintf("projection %s to have the state %v of a computation from the first event", member.Name(), want), Found: fmt.Sprint(found)}
		}
	}
	return nil
}

// project keeps two projections up to date.
func (a *attendant) project(ctx context.Context) error {
	w := a.world
	hits := w.faultsSoFar()
	var err error
	if a.tallies, err = newTallies(a.log, w.fs, a.step); err != nil {
		return err
	}
	w.mu.Lock()
	a.began = true
	w.mu.Unlock()
	return w.mayEnd(a.log, a.tallies.set.Live(ctx), hits)
}

// showsAll waits until both states have an event, and checks them.
func (a *attendant) showsAll(ctx context.Context, sequence uint64) error {
	a.world.mu.Lock()
	began := a.began
	a.world.mu.Unlock()
	if !began {
		return nil
	}
	for _, member := range a.tallies.members {
		if err := member.WaitFor(ctx, sequence); err != nil {
			return nil // it has ended, and says why
		}
		if _, at := member.State(); at < sequence {
			return &invariant.Violation{Invariant: "I16", Sequence: sequence, Expected: "a state that has the event that was waited for", Found: fmt.Sprintf("one behind event %d", at)}
		}
	}
	var events []engine.Event
	for event, err := range a.log.Read(engine.Query{}) {
		if err != nil {
			return nil
		}
		events = append(events, event)
	}
	return a.tallies.check(events)
}

// projections checks that what the checkpoints say is right, and that the states
// at the end of the log are.
func (w *world) projections(ctx context.Context, events []engine.Event) error {
	for _, step := range w.script.projects {
		t, err := newTallies(w.log, w.fs, step)
		if err != nil {
			return err
		}
		for _, status := range t.set.Status() {
			if status.Restored > 0 {
				w.met(loadedCheckpoint)
			} else if len(events) > 0 {
				w.met(computedAnew)
			}
			if errors.Is(status.Rebuilt, projection.ErrDamaged) && !w.budget.LyingDisk && !w.budget.Damage {
				return &invariant.Violation{Invariant: "I16", Expected: fmt.Sprintf("a whole checkpoint of projection %s, or none", status.Name), Found: status.Rebuilt.Error()}
			}
		}
		if err := t.check(events); err != nil {
			return err
		}
		if err := t.set.Once(ctx); err != nil {
			return &invariant.Violation{Invariant: "I16", Expected: "a run to the end of the log", Found: "an error: " + err.Error()}
		}
		if err := t.check(events); err != nil {
			return err
		}
		for _, member := range t.members {
			if _, at := member.State(); at != uint64(len(events)) {
				return &invariant.Violation{Invariant: "I16", Sequence: at, Expected: fmt.Sprintf("projection %s at the end of the log, event %d", member.Name(), len(events)), Found: fmt.Sprint(at)}
			}
		}
	}
	return nil
}
