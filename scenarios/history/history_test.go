package history

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// batch makes a batch of one event for each text "stream@expected=data", whose
// last two parts may be missing.
func batch(key string, texts ...string) engine.Batch {
	b := engine.Batch{Key: key}
	for _, text := range texts {
		text, data, _ := strings.Cut(text, "=")
		stream, at, ok := strings.Cut(text, "@")
		d := engine.Draft{Stream: stream, Type: "t", Data: []byte(data)}
		if ok {
			var v uint64
			fmt.Sscan(at, &v)
			d.Expect = engine.Exactly(v)
		}
		b.Events = append(b.Events, d)
	}
	return b
}

// receipt is that of an event with this sequence and version.
func receipt(stream string, sequence, version uint64) engine.Receipt {
	return engine.Receipt{ID: uuid.UUID{byte(sequence)}, Stream: stream, Sequence: sequence, Version: version, Durable: true}
}

func list(receipts ...engine.Receipt) []engine.Receipt { return receipts }

func unsynced(r engine.Receipt) engine.Receipt {
	r.Durable = false
	return r
}

// event is what became of a receipt.
func event(r engine.Receipt, key, data string) engine.Event {
	return engine.Event{ID: r.ID, Sequence: r.Sequence, Version: r.Version, Batch: r.Sequence, Stream: r.Stream, Type: "t", Key: key, Data: []byte(data)}
}

func events(list ...engine.Event) []engine.Event { return list }

func wrong(stream string, actual uint64) error {
	return fmt.Errorf("%w: %w", engine.ErrRejected, &engine.WrongVersionError{Stream: stream, Actual: actual})
}

// TestHistories: each is right or wrong for the reason that its name says.
func TestHistories(t *testing.T) {
	a1, a2, b1, b2 := receipt("a", 1, 1), receipt("a", 2, 2), receipt("b", 1, 1), receipt("b", 2, 1)
	closed := fmt.Errorf("%w: %w", engine.ErrRejected, engine.ErrClosed)
	conflict := fmt.Errorf("%w: %w", engine.ErrRejected, &engine.KeyConflictError{})
	for _, c := range []struct {
		name  string
		right bool
		h     History
	}{
		{"nothing happened", true, History{}},
		{"one after the other", true, History{}.Append(1, 0, batch("", "a")).Answered(1, list(a1), nil).Append(2, 1, batch("", "a")).Answered(2, list(a2), nil)},
		{"the second has the first's sequence", false, History{}.Append(1, 0, batch("", "a")).Answered(1, list(a1), nil).Append(2, 1, batch("", "b")).Answered(2, list(b1), nil)},
		{"at the same time the later may come first", true, History{}.Append(1, 0, batch("", "a")).Append(2, 1, batch("", "b")).Answered(1, list(receipt("a", 2, 1)), nil).Answered(2, list(b1), nil)},
		{"one after the other it may not", false, History{}.Append(1, 0, batch("", "a")).Answered(1, list(receipt("a", 2, 1)), nil).Append(2, 1, batch("", "b")).Answered(2, list(b1), nil)},

		{"one winner", true, History{}.Append(1, 0, batch("", "a@0")).Append(2, 1, batch("", "a@0")).Answered(1, nil, wrong("a", 1)).Answered(2, list(a1), nil)},
		{"two winners", false, History{}.Append(1, 0, batch("", "a@0")).Append(2, 1, batch("", "a@0")).Answered(1, list(a2), nil).Answered(2, list(a1), nil)},
		{"no winner", false, History{}.Append(1, 0, batch("", "a@0")).Append(2, 1, batch("", "a@0")).Answered(1, nil, wrong("a", 1)).Answered(2, nil, wrong("a", 1))},
		{"refused for a version that never was", false, History{}.Append(1, 0, batch("", "a@1")).Answered(1, nil, wrong("a", 2))},
		{"the second item sees the first", true, History{}.Append(1, 0, batch("", "a@0", "a@1")).Answered(1, list(a1, a2), nil)},

		{"a key hit", true, History{}.Append(1, 0, batch("k", "a=x")).Append(2, 1, batch("k", "a=x")).Answered(2, list(a1), nil).Answered(1, list(a1), nil)},
		{"a key with two effects", false, History{}.Append(1, 0, batch("k", "a=x")).Append(2, 1, batch("k", "a=x")).Answered(2, list(a1), nil).Answered(1, list(a2), nil)},
		{"a key conflict", true, History{}.Append(1, 0, batch("k", "a=x")).Answered(1, list(a1), nil).Append(2, 1, batch("k", "a=y")).Answered(2, nil, conflict)},
		{"a key conflict with nobody", false, History{}.Append(2, 1, batch("k", "a=y")).Answered(2, nil, conflict)},
		{"a key conflict with its own retry", false, History{}.Append(1, 0, batch("k", "a=x")).Answered(1, list(a1), nil).Append(2, 1, batch("k", "a=x")).Answered(2, nil, conflict)},

		{"a read sees what was answered", true, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(a1), nil).Read(2, 1).Saw(2, events(event(a1, "", "x")))},
		{"a read misses what was answered", false, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(a1), nil).Read(2, 1).Saw(2, nil)},
		{"a read sees what is not answered yet", true, History{}.Append(1, 0, batch("", "a=x")).Read(2, 1).Saw(2, events(event(a1, "", "x"))).Answered(1, list(a1), nil)},
		{"reads go back", false, History{}.Append(1, 0, batch("", "a=x")).Read(2, 1).Saw(2, events(event(a1, "", "x"))).Read(3, 1).Saw(3, nil).Answered(1, list(a1), nil)},
		{"half a batch", false, History{}.Append(1, 0, batch("", "a=x", "a=y")).Read(2, 1).Saw(2, events(event(a1, "", "x"))).Answered(1, list(a1, a2), nil)},

		{"a crash keeps what was answered", true, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(a1), nil).Opened(events(event(a1, "", "x")))},
		{"a crash loses what was answered", false, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(a1), nil).Opened(nil)},
		{"in flight, and there", true, History{}.Append(1, 0, batch("", "a=x")).Opened(events(event(a1, "", "x")))},
		{"in flight, and gone", true, History{}.Append(1, 0, batch("", "a=x")).Opened(nil)},
		{"without events, never answered", true, History{}.Append(1, 0, engine.Batch{}).Append(2, 0, batch("", "a=x")).Opened(events(event(a1, "", "x")))},
		{"from nowhere", false, History{}.Append(1, 0, batch("", "a=x")).Opened(events(event(a1, "", "y")))},
		{"in doubt, and there", true, History{}.Append(1, 0, batch("", "a=x")).Answered(1, nil, engine.ErrInDoubt).Opened(events(event(a1, "", "x")))},
		{"rolled back, and there", false, History{}.Append(1, 0, batch("", "a=x")).Answered(1, nil, engine.ErrFailed).Opened(events(event(a1, "", "x")))},
		{"buffered, and gone", true, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(unsynced(a1)), nil).Opened(nil)},
		{"buffered and covered, and gone", false, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(unsynced(a1)), nil).Covered(1).Opened(nil)},
		{"buffered, behind it durable, and gone", false, History{}.Append(1, 0, batch("", "a=x")).Answered(1, list(unsynced(a1)), nil).
			Append(2, 0, batch("", "b=y")).Answered(2, list(b2), nil).Opened(events(event(b1, "", "y")))},
		{"a refusal's reason is gone", false, History{}.Append(1, 0, batch("", "a=x")).Append(2, 1, batch("", "a@0=y")).Answered(2, nil, wrong("a", 1)).Opened(nil)},
		{"after a crash the log goes on", true, History{}.Append(1, 0, batch("", "a=x")).Opened(events(event(a1, "", "x"))).Append(2, 0, batch("", "a@1=y")).Answered(2, list(a2), nil)},
		{"after a crash it does not", false, History{}.Append(1, 0, batch("", "a=x")).Opened(events(event(a1, "", "x"))).Append(2, 0, batch("", "a@1=y")).Answered(2, nil, wrong("a", 0))},
		{"after a crash a key is known", true, History{}.Append(1, 0, batch("k", "a=x")).Opened(events(event(a1, "k/0", "x"))).Append(2, 0, batch("k", "a=x")).Answered(2, list(a1), nil)},

		{"closed under a call's hands", true, History{}.Close(1, 0).Append(2, 1, batch("", "a")).Answered(2, nil, closed).Closed(1)},
		{"refused before anybody closes", false, History{}.Append(2, 1, batch("", "a")).Answered(2, nil, closed).Close(1, 0).Closed(1)},
		{"in a group that the Close waits for", true, History{}.Append(3, 2, batch("", "a")).Close(1, 0).Append(2, 1, batch("", "a")).Answered(2, nil, closed).Answered(3, list(a1), nil).Closed(1)},
		{"taken after the Close has returned", false, History{}.Close(1, 0).Closed(1).Append(3, 2, batch("", "a")).Answered(3, list(a1), nil)},
	} {
		err := c.h.Check()
		var broken *Violation
		if c.right != (err == nil) || err != nil && !errors.As(err, &broken) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestViolation: its text is the same every time, and the page shows the calls.
func TestViolation(t *testing.T) {
	h := History{}.Append(1, 0, batch("", "a@0=x")).Append(2, 1, batch("", "a@0=y")).
		Answered(1, list(receipt("a", 1, 1)), nil).Answered(2, list(receipt("a", 2, 2)), nil)
	var broken *Violation
	if !errors.As(h.Check(), &broken) {
		t.Fatal("two winners pass")
	}
	const want = `no order of these calls explains what each of them saw:
  2–6   client 0: append a at no stream → 1 as version 1
  4–8   client 1: append a at no stream → 2 as version 2`
	if broken.Error() != want {
		t.Errorf("%s\nwant\n%s", broken, want)
	}
	var page bytes.Buffer
	if err := broken.HTML(&page); err != nil || !strings.Contains(page.String(), "append a at no stream") {
		t.Errorf("%v, %d bytes", err, page.Len())
	}
}

// TestManyCallsWithoutAnswer: the search does not try them all.
func TestManyCallsWithoutAnswer(t *testing.T) {
	h := History{}
	for i := range 40 {
		h = h.Append(i, i, batch("", fmt.Sprintf("a=%d", i)))
	}
	var all []engine.Event
	for i := range 20 {
		all = append(all, event(receipt("a", uint64(i)+1, uint64(i)+1), "", fmt.Sprint(2*i)))
	}
	if err := h.Opened(all).Check(); err != nil {
		t.Error(err)
	}
	all[7].Data = []byte("nobody's")
	if err := h.Opened(all).Check(); err == nil {
		t.Error("an event from nowhere passes")
	}
}
