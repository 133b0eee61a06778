package invariant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

// CheckOpen checks I11: what Open returned. Under a Budget, Open may report
// what the disk did; it may not fail in another way.
func CheckOpen(err error, budget Budget) error {
	switch {
	case err == nil:
		return nil
	case budget.mayReport(err):
		return nil
	case errors.Is(err, engine.ErrNoSpace) && budget.NoSpace:
		return nil
	}
	return &Violation{Invariant: "I11", Expected: "Open to open the log", Found: "an error: " + err.Error()}
}

// Teller is a Log that tells a model of the calls made to it, which the checks
// that make calls then ask, instead of keeping one themselves.
type Teller interface {
	Log
	Model() *model.Model
}

// tell makes a call, and returns the model that knows of it.
func tell(m *model.Model, log Log, call int, batch engine.Batch, make func() ([]engine.Receipt, error)) (*model.Model, []engine.Receipt, error) {
	if teller, ok := log.(Teller); ok {
		receipts, err := make()
		return teller.Model(), receipts, err
	}
	m = m.With(model.Started{Call: call, Batch: batch})
	receipts, err := make()
	return m.With(model.Answered{Call: call, Receipts: receipts, Err: err}), receipts, err
}

// CheckAppend checks the first half of I9: the log accepts the draft, durably,
// and then shows it behind what it showed before. The model needs to know what
// the log's Open showed. It returns the model that knows of the append; its
// call has the number call.
//
// Use another payload at each depth of nested crashes: equal ones hide a batch
// that comes back.
func CheckAppend(ctx context.Context, m *model.Model, log Log, call int, draft engine.Draft) (*model.Model, error) {
	batch := engine.Batch{Events: []engine.Draft{draft}}
	expected := m.Expect(batch)
	m, receipts, err := tell(m, log, call, batch, func() ([]engine.Receipt, error) {
		receipt, err := log.Append(ctx, draft)
		if err != nil {
			return nil, err
		}
		return []engine.Receipt{receipt}, nil
	})
	if text := expected.Differs(receipts, err); text != "" {
		if err != nil {
			text += ": " + err.Error()
		}
		return m, violation("I9", m.Steps(), "an append after Open: ", text)
	}
	return m, recheck("I9", m, log)
}

// CheckRetry checks I6: keyed calls of the timeline are made again, twice,
// whatever became of them: one effect, and the same receipts. The model needs to
// know what the log's Open showed. pick chooses by the place among the keyed
// calls and their number; nil chooses all of them. It returns the model that
// knows of the retries; their calls have numbers from call on.
func CheckRetry(ctx context.Context, m *model.Model, log Log, call int, pick func(i, n int) bool) (*model.Model, error) {
	var keyed []model.Call
	for _, old := range m.Calls() {
		if old.Keyed {
			keyed = append(keyed, old)
		}
	}
	for i, old := range keyed {
		if pick != nil && !pick(i, len(keyed)) {
			continue
		}
		batch := old.Batch
		batch.Durability = engine.Durable
		for range 2 {
			expected := m.Expect(batch)
			var receipts []engine.Receipt
			var err error
			m, receipts, err = tell(m, log, call, batch, func() ([]engine.Receipt, error) { return log.AppendBatch(ctx, batch) })
			call++
			if text := expected.Differs(receipts, err); text != "" {
				return m, violation("I6", m.Steps(), fmt.Sprintf("the retry of call %d, which was %v: ", old.ID, old.State), text)
			}
		}
	}
	return m, recheck("I6", m, log)
}

// CheckAnswer compares the answer to a call with what the model expected of it,
// before it knew the answer: what should have been refused but was not breaks
// I3, what has to do with keys I6, a refusal for nothing I9, and receipts that
// do not go on where the log ended I4.
func CheckAnswer(m *model.Model, expected model.Outcome, receipts []engine.Receipt, err error) error {
	text := expected.Differs(receipts, err)
	if text == "" {
		return nil
	}
	id := "I4"
	switch {
	case expected.Verdict == model.Hits || expected.Cause == engine.ErrKeyConflict:
		id = "I6"
	case expected.Verdict == model.Refuses:
		id = "I3"
	case err != nil:
		id = "I9"
	}
	return violation(id, m.Steps(), "an append: ", text)
}

// CheckTold checks that nothing that was told so far contradicts the rest.
func CheckTold(m *model.Model) error {
	if wrong := m.Contradictions(); len(wrong) > 0 {
		f := wrong[0]
		return &Violation{Invariant: of(f), Step: f.Step, Sequence: f.Sequence, Expected: f.Expected, Found: f.Found}
	}
	return nil
}

// CheckBuffered checks I8 in a log that has been written to: what is not durable
// is shown to those who ask for it and to nobody else. The events are what a
// read of the whole log yielded just now, buffered ones included.
func CheckBuffered(log Log, events []engine.Event) error {
	durable := 0
	heads := map[[2]string]uint64{} // version of the last durable event
	for i := range events {
		if e := &events[i]; e.Durable {
			durable = i + 1
			heads[[2]string{e.Scope, e.Stream}] = e.Version
		} else if _, ok := heads[[2]string{e.Scope, e.Stream}]; !ok {
			heads[[2]string{e.Scope, e.Stream}] = 0
		}
	}
	for i := durable; i < len(events); i++ {
		e := &events[i]
		want := heads[[2]string{e.Scope, e.Stream}]
		if found := log.Head(e.Scope, e.Stream).Version; found != want {
			return &Violation{Invariant: "I8", Sequence: e.Sequence, Expected: fmt.Sprintf("the head of stream %q/%q at version %d, the last that is durable", e.Scope, e.Stream, want), Found: fmt.Sprintf("version %d", found)}
		}
		if _, err := log.Get(e.ID); !errors.Is(err, engine.ErrNotFound) {
			return &Violation{Invariant: "I8", Sequence: e.Sequence, Expected: "Get to find durable events only", Found: "one that is not"}
		}
	}
	if durable == len(events) {
		return nil
	}
	for event, err := range log.Read(engine.Query{FromSequence: uint64(durable) + 1}) {
		if err != nil || event.Sequence > uint64(durable) {
			return &Violation{Invariant: "I8", Sequence: event.Sequence, Expected: fmt.Sprintf("a plain read to end behind event %d, the last that is durable", durable), Found: "one more, or an error"}
		}
	}
	return nil
}

// violation splits a text "expected, found got" in two.
func violation(id string, step int, what, text string) *Violation {
	const found = ", found "
	for i := 0; i+len(found) <= len(text); i++ {
		if text[i:i+len(found)] == found {
			return &Violation{Invariant: id, Step: step, Expected: what + text[:i], Found: text[i+len(found):]}
		}
	}
	return &Violation{Invariant: id, Step: step, Expected: what + text, Found: "something else"}
}

// recheck compares the log with the model after the log was written to.
func recheck(id string, m *model.Model, log Log) error {
	events := make([]engine.Event, 0, m.Accepted()+1)
	for event, err := range log.Read(engine.Query{Borrow: true}) {
		if err != nil {
			return &Violation{Invariant: id, Step: m.Steps(), Sequence: uint64(len(events)) + 1, Expected: "a read of the whole log", Found: "an error: " + err.Error()}
		}
		m.Keep(&event)
		events = append(events, event)
	}
	findings := slices.Concat(m.Contradictions(), m.Compare(events, false))
	if len(findings) > 0 {
		f := findings[0]
		return &Violation{Invariant: id, Step: f.Step, Sequence: f.Sequence, Expected: f.Expected, Found: f.Found}
	}
	return nil
}

// CheckSecondOpen checks the second half of I9, and I13: after a first Open
// returned and nothing was written since, another Open shows the same and
// writes no byte. changes counts what reached the disk: bytes written and names
// changed. The log that open returns is closed again.
func CheckSecondOpen(ctx context.Context, first *Seen, open func() (Log, error), changes func() uint64) error {
	before := changes()
	log, err := open()
	if err := CheckOpen(err, first.how.Budget); err != nil {
		return err
	}
	if err != nil {
		return nil
	}
	after := changes()
	defer log.Close()
	if after != before {
		return &Violation{Invariant: "I9", Expected: "a second Open to write nothing", Found: fmt.Sprintf("%d changes", after-before)}
	}
	i := 0
	for event, err := range log.Read(engine.Query{Borrow: true}) {
		switch {
		case err != nil:
			return &Violation{Invariant: "I13", Sequence: uint64(i) + 1, Expected: "a second Open to show what the first did", Found: "an error: " + err.Error()}
		case i >= len(first.Events):
			return &Violation{Invariant: "I13", Sequence: event.Sequence, Expected: fmt.Sprintf("a second Open to end where the first did, with event %d", i), Found: "one more"}
		}
		if field, want, found := model.Difference(&first.Events[i], &event); field != "" {
			return &Violation{Invariant: "I13", Sequence: uint64(i) + 1, Expected: fmt.Sprintf("a second Open to show what the first did: %s %s", field, want), Found: found}
		}
		i++
	}
	if i < len(first.Events) {
		return &Violation{Invariant: "I13", Sequence: uint64(i) + 1, Expected: fmt.Sprintf("a second Open to show all %d events", len(first.Events)), Found: fmt.Sprint(i)}
	}
	if log.LogHead() != first.Head {
		return &Violation{Invariant: "I13", Sequence: uint64(i), Expected: "the log head that the first Open showed", Found: "another"}
	}
	return nil
}
