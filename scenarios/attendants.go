package scenarios

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simclock"
)

// attendant is a subscriber or a handler, which is there as long as the clients of
// its burst are at work, and then until it has seen all of it.
//
//	clients:   ───append──append───┐
//	handler:   ──────────handle────┼──handle──┐ stop
//	follower:  ────see────see──────┼──────────┼──see──┐ stop
//	                               all are told how far there is to go
type attendant struct {
	world *world
	log   *engine.Log
	step  plan.Step
	name  string
	query engine.Query
	ctx   context.Context // until it is stopped, or has ended
	stop  context.CancelFunc
	ended *simclock.Signal
	there *simclock.Signal // it has come as far as it should, or has ended
	err   error
	seen  []engine.Event // by a follower

	tallies *tallies // of a projector
	began   bool     // it has them; under the world's mutex

	at, want uint64 // sequences, under the world's mutex; want 0: nobody waits
}

func attends(step plan.Step) bool {
	return step.Verb == "follow" || step.Verb == "handle" || step.Verb == "project"
}

// queryOf is the query of a follow or handle step. Without a stream a handler
// leaves out what handlers append.
func queryOf(step plan.Step) (engine.Query, error) {
	q := engine.Query{Scope: step.Get("scope"), Stream: step.Get("stream")}
	if types := step.Get("types"); types != "" {
		q.Types = strings.Split(types, ",")
	} else if step.Verb == "handle" && q.Stream == "" {
		q.Types = []string{"placed", "paid", "shipped"}
	}
	var err error
	if q.FromSequence, err = step.Uint("from", 0); err != nil {
		return q, err
	}
	q.Buffered, err = step.Bool("buffered", false)
	if step.Verb == "handle" {
		q.Buffered = false // its batches are
	}
	return q, err
}

// selects reports whether a query selects an event. It is not Query.Selects: that
// is among what is judged by it.
func selects(q *engine.Query, e *engine.Event) bool {
	return (q.Stream == "" || q.Stream == e.Stream && q.Scope == e.Scope) && (q.Scope == "" || q.Scope == e.Scope) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, e.Type)) && e.Sequence >= q.FromSequence
}

// attend starts the attendants of a burst.
func (w *world) attend(ctx context.Context, log *engine.Log, steps []plan.Step) []*attendant {
	var all []*attendant
	for _, step := range steps {
		if !attends(step) {
			continue
		}
		a := &attendant{world: w, log: log, step: step, name: fmt.Sprintf("%s of step %d", step.Verb, step.Number)}
		a.query, _ = queryOf(step) // which was checked
		ctx, stop := context.WithCancel(ctx)
		a.ctx, a.stop, a.ended, a.there = ctx, stop, w.turns.Signal(a.name), w.turns.Signal(a.name+", all of it")
		work := a.follow
		switch step.Verb {
		case "project":
			work = a.project
		case "handle":
			work = func(ctx context.Context) error { return w.handle(ctx, log, step, mostClients+len(all), a.came) }
		}
		w.turns.Go(a.name, func() {
			defer a.ended.Set()
			defer a.there.Set()
			defer a.stop()
			w.eye.working(step)
			a.err = work(ctx)
		})
		all = append(all, a)
	}
	return all
}

// dismiss lets the attendants see what there is, handlers first, since others see
// what those append; and ends them.
func (w *world) dismiss(ctx context.Context, all []*attendant) (err error) {
	for _, verb := range []string{"handle", "follow", "project"} {
		for _, a := range all {
			if a.step.Verb != verb {
				continue
			}
			switch last := a.last(); {
			case verb == "project":
				err = errors.Join(err, a.showsAll(a.ctx, last))
			case a.comes(last):
				err = errors.Join(err, a.there.Wait(ctx))
			}
			a.stop()
			err = errors.Join(err, a.ended.Wait(ctx))
			if a.err == nil && verb == "follow" {
				a.err = a.check()
			}
			if a.err != nil {
				err = errors.Join(err, fmt.Errorf("step %d, %s: %w", a.step.Number, verb, a.err))
			}
		}
	}
	return err
}

// last is the sequence of the last event that the attendant is to see; 0 if that
// cannot be told.
func (a *attendant) last() uint64 {
	q := a.query
	q.Backward, q.Limit = true, 1
	for event, err := range a.log.Read(q) {
		if err == nil && event.Sequence >= q.FromSequence {
			return event.Sequence
		}
	}
	return 0
}

// comes says how far the attendant shall come, and whether that is still to be
// waited for.
func (a *attendant) comes(want uint64) bool {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.want = want
	return a.at < want
}

// came says how far it is.
func (a *attendant) came(sequence uint64) {
	a.world.mu.Lock()
	a.at = sequence
	there := a.want > 0 && a.at >= a.want
	a.world.mu.Unlock()
	if there {
		a.there.Set()
	}
}

// follow is a subscriber.
func (a *attendant) follow(ctx context.Context) error {
	w := a.world
	hits := w.faultsSoFar()
	last, there := uint64(0), a.log.Stats().Accepted.Sequence
	for event, err := range a.log.Subscribe(ctx, a.query) {
		if err != nil {
			return w.mayEnd(a.log, err, hits)
		}
		if event.Sequence <= last || !selects(&a.query, &event) {
			return &invariant.Violation{Invariant: "I14", Sequence: event.Sequence, Expected: fmt.Sprintf("an event of the query behind event %d", last), Found: "another one"}
		}
		if last = event.Sequence; last > there {
			w.met(wokeFollower)
		}
		a.seen = append(a.seen, event)
		w.tell(model.Served{Events: a.seen[len(a.seen)-1:]})
		a.came(last)
	}
	return &invariant.Violation{Invariant: "I14", Sequence: last, Expected: "a subscription to go on", Found: "its end"}
}

// mayEnd returns nil for an error that ends a subscription rightly.
func (w *world) mayEnd(log *engine.Log, err error, hits int) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, engine.ErrClosed) && w.isClosing(),
		w.faultsSoFar() > hits, w.echo, log.Stats().Failed != nil:
		return nil
	}
	return fmt.Errorf("nothing went wrong, and it ends: %w", err)
}

// check compares what a follower saw with what can be read.
func (a *attendant) check() error {
	if len(a.seen) == 0 || a.query.Buffered && a.log.Stats().Failed != nil {
		return nil
	}
	i := 0
	for event, err := range a.log.Read(a.query) {
		if err != nil || i == len(a.seen) {
			return nil
		}
		if field, want, found := model.Difference(&event, &a.seen[i]); field != "" && field != "Durable" {
			return &invariant.Violation{Invariant: "I14", Sequence: event.Sequence, Expected: fmt.Sprintf("a subscriber to see what a read shows: %s %s", field, want), Found: found}
		}
		i++
	}
	if i < len(a.seen) {
		return &invariant.Violation{Invariant: "I14", Sequence: a.seen[i].Sequence, Expected: "a subscriber to see what a read shows", Found: "an event more"}
	}
	return nil
}

// What a handler does with an event follows from its sequence: most have an
// effect, or two, or none, some fail a few times, and some for ever.
const (
	effectScope = "effects"
	deadScope   = "dead"
	flakyTries  = 2 // attempts that fail
	deadTries   = 4 // attempts of a handler
)

func dead(e *engine.Event) bool { return e.Sequence%11 == 5 }

// effectsOf are what a handler appends for an event.
func effectsOf(cursor string, e *engine.Event) []engine.Draft {
	if dead(e) {
		return nil
	}
	var drafts []engine.Draft
	for i := range [...]int{1, 0, 1, 2}[e.Sequence%4] {
		drafts = append(drafts, engine.Draft{Scope: effectScope, Stream: cursor, Type: "handled", Data: fmt.Appendf(nil, "%d of %d %v", i, e.Sequence, e.Hash)})
	}
	return drafts
}

// handle is a handler. It tells how far the cursor has come.
func (w *world) handle(ctx context.Context, log *engine.Log, step plan.Step, client int, came func(sequence uint64)) error {
	hits := w.faultsSoFar()
	name := step.Get("cursor")
	q, err := queryOf(step)
	if err != nil {
		return err
	}
	cursor, err := log.Cursor(name, q)
	if err != nil {
		return err
	}
	at, err := cursor.Position()
	if err != nil {
		return err
	}
	came(at)
	batch, _ := step.Int("batch", 0)
	how := engine.Handling{Batch: int(batch), Attempts: deadTries, DeadLetter: engine.StreamName{Scope: deadScope, Stream: name}}
	if buffered, _ := step.Bool("buffered", false); buffered {
		how.Durability = engine.Buffered
	}
	how.Append = func(ctx context.Context, batch engine.Batch) ([]engine.Receipt, error) {
		receipts, err := w.submit(ctx, log.AppendBatch, client, batch)
		if err == nil {
			_, to, _ := moveOf(&batch)
			came(to)
		}
		return receipts, err
	}
	tries := map[uint64]int{}
	err = cursor.Handle(ctx, how, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		w.mu.Lock()
		done := w.positions[name]
		w.mu.Unlock()
		if event.Sequence <= done && !w.script.shared[name] || !selects(&q, &event) {
			tries[0]++
			panic(fmt.Sprintf("event %d is not to be handled behind event %d", event.Sequence, done))
		}
		if dead(&event) {
			return errors.New("poison")
		}
		for _, draft := range effectsOf(name, &event) {
			if _, err := effects.Append(draft); err != nil {
				return err
			}
		}
		if tries[event.Sequence]++; event.Sequence%5 == 2 && tries[event.Sequence] <= flakyTries {
			if event.Sequence%2 == 0 {
				panic("not this time")
			}
			return errors.New("not now")
		}
		return nil
	})
	switch {
	case tries[0] > 0:
		return &invariant.Violation{Invariant: "I15", Expected: "a handler to be called for events behind its cursor", Found: err.Error()}
	case errors.Is(err, engine.ErrCursorMoved) && w.script.shared[name]:
		w.met(lostCursor)
		return nil
	}
	return w.mayEnd(log, err, hits)
}

// moveOf is the cursor that a batch moves, and where to.
func moveOf(b *engine.Batch) (cursor string, to uint64, ok bool) {
	for i := range b.Notes {
		if cursor, ok = strings.CutPrefix(b.Notes[i].Name, "untorn.cursor/"); ok {
			data := b.Notes[i].Data
			return cursor, binary.LittleEndian.Uint64(data[len(data)-8:]), true
		}
	}
	return "", 0, false
}

// moved notes that a cursor was moved for good.
func (m *memory) moved(b *engine.Batch) {
	cursor, to, ok := moveOf(b)
	if !ok || b.Durability != engine.Durable {
		return
	}
	m.positions = maps.Clone(m.positions)
	if m.positions == nil {
		m.positions = map[string]uint64{}
	}
	m.positions[cursor] = to
}

// cursors checks what handlers have done: what they appended is there once for
// each event up to the cursor's position, and nothing else of it.
func (w *world) cursors(events []engine.Event) error {
	for _, name := range slices.Sorted(maps.Keys(w.script.cursors)) {
		q, err := queryOf(w.script.cursors[name])
		if err != nil {
			return err
		}
		cursor, err := w.log.Cursor(name, q)
		if err != nil {
			return err
		}
		at, err := cursor.Position()
		if err != nil {
			return err
		}
		if done := w.positions[name]; at < done && !w.budget.LyingDisk || at > uint64(len(events)) {
			return &invariant.Violation{Invariant: "I15", Sequence: at, Expected: fmt.Sprintf("cursor %q at event %d or behind it, in a log of %d events", name, done, len(events)), Found: fmt.Sprintf("event %d", at)}
		}
		if err := handled(name, at, &q, events); err != nil {
			return err
		}
	}
	return nil
}

// handled checks the effects of one cursor.
func handled(name string, at uint64, q *engine.Query, events []engine.Event) error {
	var effects, letters []*engine.Event
	for i := range events {
		switch e := &events[i]; {
		case e.Stream != name:
		case e.Scope == effectScope:
			effects = append(effects, e)
		case e.Scope == deadScope:
			letters = append(letters, e)
		}
	}
	wrong := func(e *engine.Event, expected, found string) error {
		return &invariant.Violation{Invariant: "I15", Sequence: e.Sequence, Expected: fmt.Sprintf("cursor %q, at event %d, to have left %s", name, at, expected), Found: found}
	}
	for i := range events {
		e := &events[i]
		if e.Sequence > at {
			break
		}
		if !selects(q, e) {
			continue
		}
		for _, draft := range effectsOf(name, e) {
			if len(effects) == 0 || effects[0].CausedBy != e.ID || effects[0].Correlation != e.Correlation || string(effects[0].Data) != string(draft.Data) {
				return wrong(e, fmt.Sprintf("%q", draft.Data), "something else, or nothing")
			}
			effects = effects[1:]
		}
		if dead(e) {
			if len(letters) == 0 || letters[0].CausedBy != e.ID || letters[0].Type != engine.DeadLetterType {
				return wrong(e, "a dead letter", "something else, or nothing")
			}
			letters = letters[1:]
		}
	}
	if more := append(effects, letters...); len(more) > 0 {
		return wrong(more[0], "nothing more", fmt.Sprintf("%q", more[0].Data))
	}
	return nil
}

// handleRest lets every handler and projection come to the end of a log that nobody
// else uses.
func (w *world) handleRest(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(w.script.cursors)) {
		step := w.script.cursors[name]
		if err := w.handleAll(ctx, step); err != nil {
			return err
		}
	}
	if len(w.script.cursors)+len(w.script.projects) == 0 || w.log.Stats().Failed != nil {
		return nil
	}
	// What a handler has appended with a Buffered batch is there as its cursor is.
	if err := w.log.Sync(ctx); err != nil {
		return err
	}
	var events []engine.Event
	for event, err := range w.log.Read(engine.Query{}) {
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	if err := w.cursors(events); err != nil {
		return err
	}
	return w.projections(ctx, events)
}

// handleAll handles what there is.
func (w *world) handleAll(ctx context.Context, step plan.Step) error {
	a := &attendant{log: w.log}
	var err error
	if a.query, err = queryOf(step); err != nil {
		return err
	}
	last := a.last()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cursor, err := w.log.Cursor(step.Get("cursor"), a.query)
	if err != nil {
		return err
	}
	if at, err := cursor.Position(); err != nil || at >= last {
		return err
	}
	return w.handle(ctx, w.log, step, 0, func(at uint64) {
		if at >= last {
			stop()
		}
	})
}
