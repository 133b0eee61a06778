package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/history"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simclock"
)

// turns makes an engine.Waits of a scheduler.
type turns struct{ *simclock.Scheduler }

func (t turns) Signal(reason string) engine.Signal { return t.Scheduler.Signal(reason) }

// bursts cuts steps into those that run one after the other, and runs of steps
// with clients, which work at the same time.
func bursts(steps []plan.Step) [][]plan.Step {
	var all [][]plan.Step
	for i, step := range steps {
		if i > 0 && clientOf(step) != "" && clientOf(steps[i-1]) != "" {
			all[len(all)-1] = append(all[len(all)-1], step)
			continue
		}
		all = append(all, []plan.Step{step})
	}
	return all
}

func clientOf(step plan.Step) string { return step.Get("client") }

// live lets f have the scheduler, if there is one, until the process ends.
func (w *world) live(f func() error) (err error) {
	if w.turns == nil {
		return f()
	}
	defer func() {
		// Whatever else panics is not ours.
		if p := recover(); p != nil {
			stuck, ok := p.(*simclock.Stuck)
			if !ok {
				panic(p)
			}
			err = &invariant.Violation{Invariant: "I12", Expected: "every call to be answered", Found: stuck.Error(), Err: stuck}
		}
	}()
	w.turns.Run("main", func() { err = f() })
	if w.trace != nil {
		n, hash := w.turns.Decisions()
		w.trace.add("turns ", fmt.Sprint(n, " ", hash))
	}
	return err
}

// doAll executes one step, or the steps of clients at the same time.
func (w *world) doAll(ctx context.Context, steps []plan.Step) error {
	if len(steps) == 1 && (clientOf(steps[0]) == "" || w.turns == nil) {
		return w.do(ctx, steps[0])
	}
	if w.log == nil {
		return nil // an open before them has failed, or was removed
	}
	w.works(steps[0].Number)
	if w.trace != nil {
		for _, step := range steps {
			w.trace.begin(step)
		}
		w.trace.step = steps[0].Number
	}
	attendants := w.attend(ctx, w.log, steps)
	var clients []string
	for _, step := range steps {
		if name := clientOf(step); !attends(step) && !slices.Contains(clients, name) {
			clients = append(clients, name)
		}
	}
	errs := make([]error, len(clients))
	done := make([]*simclock.Signal, len(clients))
	log := w.log
	for i, name := range clients {
		done[i] = w.turns.Signal("client " + name)
		w.turns.Go("client "+name, func() {
			defer done[i].Set()
			for _, step := range steps {
				if clientOf(step) != name || attends(step) {
					continue
				}
				if err := w.clientStep(ctx, i, log, step); err != nil {
					errs[i] = fmt.Errorf("step %d, client %s, %s: %w", step.Number, name, step.Verb, err)
					return
				}
			}
		})
	}
	for _, d := range done {
		if err := d.Wait(ctx); err != nil {
			return err
		}
	}
	if err := w.dismiss(ctx, attendants); err != nil {
		errs = append(errs, err)
	}
	if w.closing {
		w.closing, w.log = false, nil
		w.clock.Kill()
	}
	w.covers(false)
	w.quiet()
	err := errors.Join(errs...)
	if err == nil {
		err = w.linear()
	}
	if w.trace != nil {
		for _, step := range steps {
			w.trace.end(step.Number, err)
		}
	}
	return err
}

// linear checks I12, unless the disk has lied: then nobody knows what was
// promised.
func (w *world) linear() error {
	if !w.script.clients || w.budget.LyingDisk {
		return nil
	}
	var broken *history.Violation
	if err := w.history.Check(); errors.As(err, &broken) {
		return &invariant.Violation{Invariant: "I12", Expected: "an order of the calls that explains what each of them saw", Found: broken.Error(), Err: broken}
	}
	return nil
}

// clientStep is one step of a client, while others do theirs.
func (w *world) clientStep(ctx context.Context, client int, log *engine.Log, step plan.Step) error {
	w.eye.working(step)
	switch step.Verb {
	case "batch":
		return w.clientAppend(ctx, client, log, w.script.batches[step.Number], step.Get("tx"))
	case "retry":
		batch, ok, err := w.retried(step)
		if err != nil || !ok {
			return err
		}
		durable, err := step.Bool("durable", batch.Durability == engine.Durable)
		if err != nil {
			return err
		}
		if batch.Durability = engine.Buffered; durable {
			batch.Durability = engine.Durable
		}
		return w.clientAppend(ctx, client, log, batch, "")
	case "read":
		return w.clientRead(client, log)
	case "sync", "wait":
		err := w.sync(ctx, log, step.Verb)
		if errors.Is(err, engine.ErrClosed) && w.isClosing() {
			return nil
		}
		return err
	case "close":
		return w.clientClose(client, log)
	}
	return w.execute(ctx, step)
}

// clientAppend checks only what holds whatever others do: the rest is the
// history's.
func (w *world) clientAppend(ctx context.Context, client int, log *engine.Log, batch engine.Batch, tx string) error {
	hits := w.faultsSoFar()
	appends := log.AppendBatch
	if tx != "" {
		t, err := w.stage(log, batch)
		if err != nil {
			return fmt.Errorf("stage: %w", err)
		}
		switch tx {
		case "commit":
		case "cancel":
			w.met(cancelledTx)
		default:
			w.met(droppedTx)
		}
		if tx != "commit" {
			return w.cancel(log, t, batch, tx == "cancel")
		}
		appends = func(ctx context.Context, _ engine.Batch) ([]engine.Receipt, error) { return t.Commit(ctx) }
	}
	_, err := w.submit(ctx, appends, client, batch)
	if err == nil && tx != "" {
		w.met(committedTx)
	}
	var wrong *engine.WrongVersionError
	switch {
	case err == nil || w.faultsSoFar() > hits || w.echo || log.Stats().Failed != nil:
		return nil
	case !errors.Is(err, engine.ErrRejected):
	case errors.As(err, &wrong), errors.Is(err, engine.ErrKeyConflict), errors.Is(err, engine.ErrClosed) && w.isClosing(),
		errors.Is(err, engine.ErrInvalid) && badKeys(batch):
		return nil
	}
	return fmt.Errorf("nothing went wrong, and the call fails: %w", err)
}

// stage opens a transaction and stages a batch, an event at a time, while others
// work.
func (w *world) stage(log *engine.Log, batch engine.Batch) (*engine.Tx, error) {
	t := log.Begin(batch.Key, batch.Durability)
	for _, d := range batch.Events {
		w.turns.Yield()
		if _, err := t.Append(d); err != nil {
			return nil, err
		}
	}
	for _, n := range batch.Notes {
		if err := t.Note(n); err != nil {
			return nil, err
		}
	}
	w.turns.Yield()
	return t, nil
}

// cancel ends a transaction that leaves nothing: its key is as never used. Of its
// events none may ever be there, since nobody is told of them.
func (w *world) cancel(log *engine.Log, t *engine.Tx, batch engine.Batch, told bool) error {
	if told {
		t.Cancel()
	}
	if batch.Key == "" {
		return nil
	}
	if _, err := log.ReceiptOf(batch.Key + "/0"); !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrClosed) {
		return &invariant.Violation{Invariant: "I6", Expected: fmt.Sprintf("key %q of a transaction that was cancelled to be as never used", batch.Key), Found: fmt.Sprint("an answer, ", err)}
	}
	return nil
}

// clientRead reads all that is visible: whole batches, in order.
func (w *world) clientRead(client int, log *engine.Log) error {
	hits := w.faultsSoFar()
	w.mu.Lock()
	id := w.call
	w.call++
	w.history = w.history.Read(id, client)
	w.mu.Unlock()
	from := log.Stats().Visible.Sequence
	w.eye.calls("read all events")
	var events []engine.Event
	for event, err := range log.Read(engine.Query{}) {
		if errors.Is(err, engine.ErrClosed) && w.isClosing() || err != nil && w.faultsSoFar() > hits {
			w.tell(model.Served{Events: events}) // what it saw it saw
			return nil
		}
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	if n, until := uint64(len(events)), log.Stats().Visible.Sequence; n < from || n > until {
		return &invariant.Violation{Invariant: "I8", Sequence: n, Expected: fmt.Sprintf("a read to end where the visible frontier was meanwhile: %d to %d", from, until), Found: fmt.Sprint(n)}
	}
	w.mu.Lock()
	w.history = w.history.Saw(id, events)
	w.mu.Unlock()
	w.tell(model.Served{Events: events})
	return nil
}

// clientClose closes the log under the others' hands.
func (w *world) clientClose(client int, log *engine.Log) error {
	w.mu.Lock()
	id, accepted, second, began := w.call, w.model.Accepted(), w.closing, w.notebook.clock
	w.call++
	w.closing = true
	if w.waiting > 0 {
		w.metLocked(closedBusy)
	}
	w.history = w.history.Close(id, client)
	w.mu.Unlock()
	w.eye.calls("close the log")
	hits := w.faultsSoFar()
	failed := log.Stats().Failed != nil
	err := log.Close()
	w.eye.answers("closed", err)
	w.mu.Lock()
	w.history = w.history.Closed(id)
	sure := err == nil && !failed && (!second || w.hits == 0)
	w.closed = w.closed || sure
	if sure {
		w.notebook = w.notebook.covered(began)
	}
	w.mu.Unlock()
	if sure {
		w.tell(model.Covered{Sequence: accepted})
	}
	if err != nil && !failed && w.faultsSoFar() == hits && !w.echo {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

func (w *world) isClosing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing
}

// badKeys reports whether a batch has keys that no log takes: some items have
// none, or two have the same.
func badKeys(b engine.Batch) bool {
	seen := map[string]bool{}
	for i := range b.Events {
		key := b.Events[i].Key
		if key != "" && (seen[key] || b.Key != "") || (key == "") != (b.Events[0].Key == "") {
			return true
		}
		seen[key] = true
	}
	return false
}

func (w *world) faultsSoFar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hits
}
