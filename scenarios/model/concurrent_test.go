package model

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
)

// world is a log with many callers, in which any order of commits and answers
// that a correct log could produce may happen. It knows what the model has to
// find out.
type world struct {
	m       *Model
	t       *rapid.T
	clock   time.Time
	ids     int
	batches [][]engine.Event
	durable int // batches
	flying  []*flight
	lost    []engine.Event // what power cuts and failed groups took
	calls   int
}

// flight is a call on its way.
type flight struct {
	call  int
	batch engine.Batch
	// What is to be answered, once the call was committed.
	done     bool
	receipts []engine.Receipt
	err      error
	needs    int // batches that must be durable before the answer
}

func (w *world) events() []engine.Event { return slices.Concat(w.batches...) }

func (w *world) start() {
	d := draft(rapid.SampledFrom([]string{"a", "b"}).Draw(w.t, "stream"), rapid.SampledFrom([]string{"x", "y"}).Draw(w.t, "data"))
	d.Expect = rapid.SampledFrom([]engine.Expect{engine.Any, engine.Any, engine.NoStream, engine.StreamExists, engine.Exactly(1)}).Draw(w.t, "expect")
	b := engine.Batch{Key: rapid.SampledFrom([]string{"", "", "k", "l"}).Draw(w.t, "key"), Events: []engine.Draft{d}}
	if rapid.Bool().Draw(w.t, "two") {
		b.Events[0].Data = []byte("first of two") // so that half a batch looks like no other call
		b.Events = append(b.Events, draft("b", "z"))
		b.Events[1].CausedBy = engine.Item(0)
	}
	if rapid.Bool().Draw(w.t, "buffered") {
		b.Durability = engine.Buffered
	}
	w.calls++
	w.m = w.m.With(Started{Call: w.calls, Batch: b})
	w.flying = append(w.flying, &flight{call: w.calls, batch: b})
}

// pick draws one of the calls that are, or are not, committed.
func (w *world) pick(done bool) *flight {
	var some []*flight
	for _, f := range w.flying {
		if f.done == done {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[rapid.IntRange(0, len(some)-1).Draw(w.t, "which")]
}

// commit decides what becomes of a call.
func (w *world) commit(f *flight) {
	f.done, f.needs = true, len(w.batches)
	if f.batch.Key != "" {
		var known []engine.Event
		for _, b := range w.batches {
			if b[0].Key == f.batch.Key+"/0" {
				known = b
			}
		}
		same := len(known) == len(f.batch.Events)
		for i := 0; same && i < len(known); i++ {
			same = known[i].Stream == f.batch.Events[i].Stream && string(known[i].Data) == string(f.batch.Events[i].Data)
		}
		switch {
		case same:
			f.receipts = receipts(f.batch.Durability == engine.Durable, known...)
			return
		case known != nil:
			f.err = fmt.Errorf("%w: %w", engine.ErrRejected, &engine.KeyConflictError{Items: []engine.KeyConflict{{ID: known[0].ID}}})
			return
		}
	}
	versions := make(map[string]uint64)
	events := w.events()
	for _, e := range events {
		versions[e.Stream] = e.Version
	}
	w.clock = w.clock.Add(time.Millisecond)
	var fresh []engine.Event
	for i, d := range f.batch.Events {
		if version := versions[d.Stream]; !holds(d.Expect, version) {
			f.err = fmt.Errorf("%w: %w", engine.ErrRejected, &engine.ItemError{Item: i, Err: &engine.WrongVersionError{Stream: d.Stream, Expected: d.Expect, Actual: version}})
			return
		}
		versions[d.Stream]++
		e := event(uint64(len(events)+i)+1, versions[d.Stream], uint64(len(w.batches))+1, d)
		w.ids++
		e.ID = id(w.ids)
		e.Correlation, e.Time, e.Clock, e.Hash = e.ID, w.clock, w.clock, engine.Hash{byte(w.ids), byte(w.ids >> 8)}
		if f.batch.Key != "" {
			e.Key = fmt.Sprintf("%s/%d", f.batch.Key, i)
		}
		if i > 0 {
			e.CausedBy = fresh[0].ID
		}
		fresh = append(fresh, e)
	}
	w.batches = append(w.batches, fresh)
	f.receipts, f.needs = receipts(f.batch.Durability == engine.Durable, fresh...), len(w.batches)
}

func (w *world) answer(f *flight) {
	if f.batch.Durability == engine.Durable {
		w.durable = max(w.durable, f.needs)
	}
	w.m = w.m.With(Answered{Call: f.call, Receipts: f.receipts, Err: f.err})
	w.flying = slices.DeleteFunc(w.flying, func(other *flight) bool { return other == f })
}

// fail rolls back all that is not durable; the calls concerned learn of it.
func (w *world) fail() {
	for _, f := range w.flying {
		if f.done && f.needs > w.durable {
			f.receipts, f.err, f.needs = nil, engine.ErrFailed, 0
		}
	}
	w.lost = append(w.lost, slices.Concat(w.batches[w.durable:]...)...)
	w.batches = w.batches[:w.durable]
	w.m = w.m.With(Fault{Text: "write"})
}

func (w *world) crash() {
	keep := rapid.IntRange(w.durable, len(w.batches)).Draw(w.t, "keep")
	left := w.batches[keep:]
	w.batches = w.batches[:keep]
	w.durable = keep
	w.flying = nil
	events := w.events()
	w.accept(events, "after a crash")
	w.m = w.m.With(Opened{Events: events, Head: engine.LogHead{Batch: uint64(keep)}})
	w.accept(events, "once it is decided")
	w.lost = append(w.lost, slices.Concat(left...)...)
	w.decided()
	if len(w.m.open) > 0 {
		w.t.Fatalf("%d calls are still in flight after an Open", len(w.m.open))
	}
	// What the model would foresee is what the world holds.
	for i := range events {
		known, ok := w.m.Event(uint64(i) + 1)
		if field, want, found := Difference(&events[i], &known); !ok || field != "" {
			w.t.Fatalf("event %d: %s %s, found %s", i+1, field, want, found)
		}
	}
}

func (w *world) accept(events []engine.Event, when string) {
	for _, f := range w.m.Contradictions() {
		w.t.Fatalf("%s a correct log's answer is accused: %v", when, f)
	}
	for _, f := range w.m.Compare(events, false) {
		w.t.Fatalf("%s a correct log is accused: %v", when, f)
	}
	for _, f := range w.m.Compare(events, true) {
		w.t.Fatalf("%s a correct log on a lying disk is accused: %v", when, f)
	}
}

func (w *world) mustAccuse(events []engine.Event, format string, args ...any) {
	if len(w.m.Compare(events, false)) == 0 {
		w.t.Fatalf("a log is taken that "+format, args...)
	}
}

// reject checks that a log that broke a promise is accused.
func (w *world) reject() {
	events := w.events()
	if promised := int(w.m.Durable()); promised > 0 {
		cut := rapid.IntRange(0, promised-1).Draw(w.t, "cut")
		w.mustAccuse(events[:cut], "has %d events of %d promised", cut, promised)
	}
	if len(events) == 0 {
		return
	}
	at := rapid.IntRange(0, len(events)-1).Draw(w.t, "at")
	changed := func(change func(e *engine.Event)) []engine.Event {
		all := slices.Clone(events)
		change(&all[at])
		return all
	}
	w.mustAccuse(changed(func(e *engine.Event) { e.Data = []byte("never submitted") }), "serves other bytes in event %d", at+1)
	w.mustAccuse(changed(func(e *engine.Event) { e.Flags = 8 }), "loses flags of event %d", at+1)
	w.mustAccuse(changed(func(e *engine.Event) { e.Version++ }), "gives event %d another version", at+1)
	if last := w.batches[len(w.batches)-1]; len(last) == 2 {
		w.mustAccuse(events[:len(events)-1], "shows half a batch")
	}
}

// decided checks that after an Open nothing that was lost can come back, not
// even in the place that is free for it, and nothing can go.
func (w *world) decided() {
	events := w.events()
	if len(events) > 0 {
		w.mustAccuse(events[:len(events)-1], "forgets what an Open showed")
	}
	if len(w.lost) == 0 {
		return
	}
	back := w.lost[rapid.IntRange(0, len(w.lost)-1).Draw(w.t, "back")]
	back.Sequence, back.Version, back.Batch, back.Time, back.Clock = uint64(len(events))+1, 1, uint64(len(w.batches))+1, w.clock, w.clock
	for _, e := range events {
		if e.Stream == back.Stream {
			back.Version = e.Version + 1
		}
	}
	w.mustAccuse(append(slices.Clone(events), back), "shows what was lost again")
}

// Many callers, any order, groups that fail, reads and power cuts: a correct
// log is never accused, and one that lost a promise always is.
func TestManyCallers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{m: New(engine.Options{}), t: t, clock: epoch}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"start", "start", "commit", "commit", "answer", "answer", "sync", "cover", "serve", "fail", "crash"}).Draw(t, "step") {
			case "start":
				w.start()
			case "commit":
				if f := w.pick(false); f != nil {
					w.commit(f)
				}
			case "answer":
				if f := w.pick(true); f != nil {
					w.answer(f)
				}
			case "sync":
				w.durable = len(w.batches)
			case "cover":
				accepted := w.m.Accepted()
				w.durable = len(w.batches)
				if accepted <= uint64(len(w.events())) {
					w.m = w.m.With(Covered{accepted})
				}
			case "serve":
				w.m = w.m.With(Served{slices.Concat(w.batches[:w.durable]...)})
			case "fail":
				w.fail()
			case "crash":
				w.reject()
				w.crash()
			}
		}
		w.reject()
		w.crash()
	})
}
