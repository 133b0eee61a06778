package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/simfs"
)

func cursor(t *testing.T, log *engine.Log, name string, q engine.Query) *engine.Cursor {
	t.Helper()
	c, err := log.Cursor(name, q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func at(t *testing.T, c *engine.Cursor, want uint64) {
	t.Helper()
	if got, err := c.Position(); got != want || err != nil {
		t.Errorf("cursor %q is at %d, %v; want %d", c.Name(), got, err, want)
	}
}

// TestCursors: a move is compared with the position, survives what its batch
// survives, and belongs to a query.
func TestCursors(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "one", "two", "three")
	q := engine.Query{Stream: "s", Types: []string{"t", "u"}}
	c := cursor(t, log, "c", q)
	at(t, c, 0)
	move := func(from, to uint64, d engine.Durability) error {
		_, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{c.Move(from, to)}, Durability: d})
		return err
	}
	for _, step := range []struct {
		from, to, at uint64
		moved        bool
	}{
		{1, 2, 0, false}, {0, 2, 2, true}, {0, 2, 2, false}, {2, 3, 3, true}, {3, 0, 0, true}, {0, 1, 1, true},
	} {
		err := move(step.from, step.to, engine.Durable)
		if step.moved != (err == nil) {
			t.Errorf("%d to %d: %v", step.from, step.to, err)
		}
		if !step.moved {
			matches(t, err, engine.ErrRejected, engine.ErrCursorMoved, engine.ErrNoteChanged)
		}
		at(t, c, step.at)
	}
	if err := move(1, 2, engine.Buffered); err != nil {
		t.Fatal(err)
	}
	at(t, c, 2)
	m.powerLoss(simfs.Oldest())
	log = m.open()
	c = cursor(t, log, "c", engine.Query{Stream: "s", Types: []string{"u", "t", "u"}, FromSequence: 1}) // says the same
	at(t, c, 1)
	var rest []string
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	for event, err := range c.Events(waiting) {
		if err != nil {
			break
		}
		if rest = append(rest, string(event.Data)); len(rest) == 2 {
			stop()
		}
	}
	is(t, "behind the cursor", rest, []string{"two", "three"})
	for what, q := range map[string]engine.Query{
		"another stream": {Stream: "s2", Types: q.Types}, "another scope": {Scope: "s", Stream: "s", Types: q.Types},
		"other types": {Stream: "s", Types: []string{"t"}}, "other versions": {Stream: "s", Types: q.Types, FromVersion: 2},
		"a beginning": {Stream: "s", Types: q.Types, FromSequence: 2}, "an end": {Stream: "s", Types: q.Types, ToSequence: 9},
	} {
		if _, err := log.Cursor("c", q); !errors.Is(err, engine.ErrCursorQuery) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"no name":  func() error { _, err := log.Cursor("", q); return err }(),
		"backward": func() error { _, err := log.Cursor("d", engine.Query{Backward: true}); return err }(),
		"limit":    func() error { _, err := log.Cursor("d", engine.Query{Limit: 1}); return err }(),
		"buffered": func() error { _, err := log.Cursor("d", engine.Query{Buffered: true}); return err }(),
		"versions": func() error { _, err := log.Cursor("d", engine.Query{ToVersion: 1}); return err }(),
	} {
		if !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	closed(t, log)
}

// orders appends events of stream orders with these payloads.
func orders(t *testing.T, log *engine.Log, payloads ...string) {
	t.Helper()
	batch := engine.Batch{}
	for _, p := range payloads {
		batch.Events = append(batch.Events, engine.Draft{Stream: "orders", Type: "placed", Data: []byte(p), Correlation: uuid.UUID{1}})
	}
	if _, err := log.AppendBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
}

var placed = engine.Query{Stream: "orders", ToSequence: 5}

// bill bills each order once, as an effect.
func bill(_ context.Context, event engine.Event, effects *engine.Effects) error {
	_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed", Data: event.Data})
	return err
}

// TestCursorsAreListed: by name, where their last durable move has left them, and
// not before they were moved.
func TestCursorsAreListed(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "one", "two", "three")
	q := engine.Query{Stream: "s"}
	second, first, still := cursor(t, log, "second", engine.Query{}), cursor(t, log, "first", q), cursor(t, log, "still", q)
	move := func(c *engine.Cursor, from, to uint64, d engine.Durability) {
		t.Helper()
		if _, err := log.AppendBatch(t.Context(), engine.Batch{Notes: []engine.NoteDraft{c.Move(from, to)}, Durability: d}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(log *engine.Log, want ...string) {
		t.Helper()
		var got []string
		for c := range log.Cursors() {
			got = append(got, fmt.Sprintf("%s at %d, move %d in batch %d", c.Name, c.Position, c.Moves, c.Batch))
			of := q
			if c.Name == "second" {
				of = engine.Query{}
			}
			if c.Query != chain.Cursor(of.AppendIdentity(nil)) || c.Time.IsZero() || c.Err != nil {
				t.Errorf("%+v", c)
			}
		}
		is(t, "the cursors", got, want)
	}
	check(log)
	move(second, 0, 3, engine.Durable)
	move(first, 0, 1, engine.Durable)
	move(first, 1, 2, engine.Durable)
	move(first, 2, 3, engine.Buffered)
	move(still, 0, 1, engine.Buffered)
	want := []string{"first at 2, move 2 in batch 4", "second at 3, move 1 in batch 2"}
	check(log, want...)
	for range log.Cursors() {
		break // panics if Cursors goes on
	}
	o := m.seams()
	o.ReadOnly = true
	reader := openDir(t, o) // nothing proves yet that the last moves are durable
	check(reader, want...)
	if err := log.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := []string{"first at 3, move 3 in batch 5", want[1], "still at 1, move 1 in batch 6"}
	check(log, all...)
	closed(t, log)
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(reader, all...)
	check(m.open(), all...)
}

// TestHandle: effects commit with the move, once, whatever the size of the batch,
// and follow from their event.
func TestHandle(t *testing.T) {
	for batch := range 7 {
		m := newMachine(t, engine.Options{})
		log := m.open()
		orders(t, log, "1", "2", "3", "4", "5")
		c := cursor(t, log, "billing", placed)
		for range 2 { // the second time there is nothing to do
			if err := c.Handle(context.Background(), engine.Handling{Batch: batch}, bill); err != nil {
				t.Fatal(err)
			}
		}
		at(t, c, 5)
		bills := all(t, log, engine.Query{Stream: "bills"})
		is(t, fmt.Sprint("bills, by ", batch), payloads(bills), []string{"1", "2", "3", "4", "5"})
		causes := all(t, log, engine.Query{Stream: "orders"})
		for i, b := range bills {
			if b.CausedBy != causes[i].ID || b.Correlation != causes[i].Correlation {
				t.Errorf("bill %d does not follow from its order", i)
			}
		}
		if want := uint64(1 + (5+max(batch, 1)-1)/max(batch, 1)); log.LogHead().Batch != want {
			t.Errorf("%d batches, want %d", log.LogHead().Batch, want)
		}
		closed(t, log)
	}
}

// TestHandleTriesAgain: an event is handled again after an error, a panic and a
// rejection; what it had staged is forgotten; the waits double; the others of its
// batch commit before it.
func TestHandleTriesAgain(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	orders(t, log, "1", "2", "3", "4", "5")
	ctx := context.Background()
	for batch := 1; batch <= 5; batch++ {
		c := cursor(t, log, fmt.Sprint("c", batch), placed)
		stream := fmt.Sprint("bills", batch)
		calls := map[string]int{}
		start := m.clock.Now()
		err := c.Handle(ctx, engine.Handling{Batch: batch, Wait: time.Second, MostWait: 3 * time.Second}, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
			what := string(event.Data)
			calls[what]++
			draft := engine.Draft{Stream: stream, Type: "billed", Data: event.Data}
			if what == "3" && calls[what] == 3 {
				draft.Expect = engine.Exactly(99) // is rejected when it commits
			}
			if _, err := effects.Append(draft); err != nil {
				return err
			}
			switch {
			case what == "3" && calls[what] == 1:
				return errors.New("not now")
			case what == "3" && calls[what] == 2:
				panic("oh")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		is(t, "bills", payloads(all(t, log, engine.Query{Stream: stream})), []string{"1", "2", "3", "4", "5"})
		if calls["1"] != 1 || calls["2"] != 1 || calls["3"] < 4 {
			t.Errorf("batches of %d: calls %v", batch, calls)
		}
		if took := m.clock.Now().Sub(start); batch == 1 && took != 1*time.Second+2*time.Second+3*time.Second {
			t.Errorf("it waited %v", took)
		}
		at(t, c, 5)
	}
	closed(t, log)
}

// TestHandleBuriesTheDead: what cannot be handled goes to the dead-letter stream,
// or ends the handling.
func TestHandleBuriesTheDead(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	orders(t, log, "1", "2", "3", "4", "5")
	poison := func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		if string(event.Data) == "2" || string(event.Data) == "5" {
			return errors.New("poison")
		}
		return bill(ctx, event, effects)
	}
	c := cursor(t, log, "c", placed)
	err := c.Handle(context.Background(), engine.Handling{Attempts: 2}, poison)
	var dead *engine.HandleError
	if !errors.As(err, &dead) || dead.Sequence != 2 || dead.Attempts != 2 {
		t.Errorf("%v", err)
	}
	at(t, c, 1)
	if err := c.Handle(context.Background(), engine.Handling{Batch: 3, DeadLetter: engine.StreamName{Scope: "dead", Stream: "orders"}}, poison); err != nil {
		t.Fatal(err)
	}
	at(t, c, 5)
	is(t, "bills", payloads(all(t, log, engine.Query{Stream: "bills"})), []string{"1", "3", "4"})
	letters := all(t, log, engine.Query{Scope: "dead", Stream: "orders"})
	if len(letters) != 2 {
		t.Fatalf("%d dead letters", len(letters))
	}
	var letter engine.DeadLetter
	if err := json.Unmarshal(letters[0].Data, &letter); err != nil {
		t.Fatal(err)
	}
	want := engine.DeadLetter{Cursor: "c", ID: letters[0].CausedBy, Sequence: 2, Stream: "orders", Version: 2, Type: "placed", Attempts: 5, Error: "poison"}
	if letter != want || letters[0].Type != engine.DeadLetterType {
		t.Errorf("%+v, want %+v", letter, want)
	}
	closed(t, log)
}

// TestHandleOutlivesPanics: what a handler, or a gate of what it appends, panics
// with or returns is no news of the batch or the cursor of Handle, whatever it matches.
func TestHandleOutlivesPanics(t *testing.T) {
	plain := errors.New("plain")
	for _, value := range []any{"text", plain, engine.ErrInDoubt, engine.ErrFailed, fmt.Errorf("mine: %w", engine.ErrCursorMoved), errors.Join(plain, engine.ErrInDoubt)} {
		for _, where := range []string{"handler", "gate", "handler returns", "gate returns"} {
			where, returns := strings.CutSuffix(where, " returns")
			own, isError := value.(error)
			if returns && !isError {
				continue
			}
			say := func() error {
				if !returns {
					panic(value)
				}
				return own
			}
			t.Run(fmt.Sprintf("%s, returned %t, %v", where, returns, value), func(t *testing.T) {
				panics, calls := true, 0
				m := newMachine(t, engine.Options{Gates: []engine.Gate{gate("g", func(p *engine.Proposal) error {
					if slices.Contains(p.Types(), "billed") && where == "gate" && panics {
						return say()
					}
					return nil
				})}})
				log := m.open()
				orders(t, log, "1", "2", "3", "4", "5")
				c := cursor(t, log, "c", placed)
				handler := func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
					calls++
					if where == "handler" && panics {
						return say()
					}
					return bill(ctx, event, effects)
				}
				err := c.Handle(t.Context(), engine.Handling{Attempts: 3}, handler)
				var dead *engine.HandleError
				var panicked *engine.PanicError
				if !errors.As(err, &dead) || errors.As(err, &panicked) == returns || dead.Attempts != 3 || calls != 3 {
					t.Fatalf("%v, after %d calls", err, calls)
				}
				if !returns && (fmt.Sprint(panicked.Value) != fmt.Sprint(value) || !strings.Contains(string(panicked.Stack), "TestHandleOutlivesPanics.func")) {
					t.Errorf("the panic is %v, at %s", panicked.Value, panicked.Stack)
				}
				for _, wrong := range []error{engine.ErrInDoubt, engine.ErrFailed, engine.ErrCursorMoved} {
					if errors.Is(err, wrong) {
						t.Errorf("%q matches %q", err, wrong)
					}
				}
				if errors.Is(err, plain) != errors.Is(own, plain) {
					t.Errorf("its own error: %v", err)
				}
				text := fmt.Sprintf("panic: %v", value)
				if !returns && panicked.Error() != text || strings.Contains(err.Error(), "goroutine") {
					t.Errorf("%q, want %q", panicked, text)
				}
				at(t, c, 0)
				panics = false
				if err := c.Handle(t.Context(), engine.Handling{}, handler); err != nil {
					t.Fatal(err)
				}
				is(t, "bills", payloads(all(t, log, engine.Query{Stream: "bills"})), []string{"1", "2", "3", "4", "5"})
				closed(t, log)
			})
		}
	}
}

// TestHandleMakesRoom: an event whose effects do not fit beside those of others
// gets a batch of its own.
func TestHandleMakesRoom(t *testing.T) {
	m := newMachine(t, engine.Options{MaxBatchEvents: 3})
	log := m.open()
	orders(t, log, "1", "2", "3")
	orders(t, log, "4", "5")
	calls := 0
	twice := func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		calls++
		return errors.Join(bill(ctx, event, effects), bill(ctx, event, effects))
	}
	c := cursor(t, log, "c", placed)
	if err := c.Handle(context.Background(), engine.Handling{Batch: 100, Attempts: 1}, twice); err != nil {
		t.Fatal(err)
	}
	is(t, "bills", payloads(all(t, log, engine.Query{Stream: "bills"})), []string{"1", "1", "2", "2", "3", "3", "4", "4", "5", "5"})
	if calls > 9 {
		t.Errorf("%d calls", calls)
	}
	closed(t, log)
}

// TestHowHandlingEnds: by the context, a close, a failed log, and by somebody else.
func TestHowHandlingEnds(t *testing.T) {
	ctx := context.Background()
	all := engine.Query{Stream: "orders"}
	for seed := range uint64(60) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			done, finish := context.WithCancel(ctx)
			defer finish()
			bills, ends := 0, []error{}
			c.each(5, func(i int) {
				if i == 4 {
					for event, err := range c.log.Subscribe(ctx, engine.Query{Stream: "bills"}) {
						if err != nil || string(event.Data) == "last" {
							finish()
							return
						}
					}
				}
				if i < 2 { // two handle the same
					cursor := cursor(t, c.log, "c", all)
					var err error
					for {
						err = cursor.Handle(done, engine.Handling{Batch: 1 + int(seed%3), Wait: time.Millisecond}, bill)
						if !errors.Is(err, engine.ErrCursorMoved) {
							break
						}
					}
					ends = append(ends, err)
					return
				}
				orders(t, c.log, "a", "b")
				if i == 3 {
					orders(t, c.log, "c")
				}
				if bills++; bills == 2 {
					orders(t, c.log, "last")
				}
			})
			for _, err := range ends {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
			want, got := []string{}, []string{}
			for event := range c.log.Read(all) {
				want = append(want, string(event.Data))
			}
			for event := range c.log.Read(engine.Query{Stream: "bills"}) {
				got = append(got, string(event.Data))
			}
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: billed %q of %q", seed, got, want)
			}
		})
	}
	m := newMachine(t, engine.Options{})
	log := m.open("step=1 syncdata seg #1: failsync ext4")
	orders(t, log, "1")
	c := cursor(t, log, "c", all)
	m.happen()
	err := c.Handle(ctx, engine.Handling{}, bill)
	matches(t, err, engine.ErrInDoubt)
	m.happened()
	if err := c.Handle(ctx, engine.Handling{}, bill); !errors.Is(err, engine.ErrLogFailed) {
		t.Errorf("a failed log: %v", err)
	}
	_ = log.Close()
	if err := c.Handle(ctx, engine.Handling{}, bill); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a closed log: %v", err)
	}
	if err := c.Handle(ctx, engine.Handling{Batch: -1}, bill); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("a negative number: %v", err)
	}
}

// TestWhatAHandlerMayDo: what it says, does and keeps harms neither the cursor nor
// the log.
func TestWhatAHandlerMayDo(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "principal")
	m := newMachine(t, engine.Options{Gates: []engine.Gate{{Name: "principal", Permit: func(ctx context.Context, p *engine.Proposal) error {
		if ctx.Value(key{}) == nil && len(p.Streams()) > 0 && p.Streams()[0].Stream == "bills" {
			return errors.New("nobody")
		}
		return nil
	}}}})
	log := m.open()
	orders(t, log, "1", "2", "3", "4", "5")
	run := func(name string, how engine.Handling, handler engine.Handler) (*engine.Cursor, error) {
		t.Helper()
		c := cursor(t, log, name, placed)
		return c, c.Handle(ctx, how, handler)
	}

	c, err := run("keys", engine.Handling{Attempts: 1}, func(_ context.Context, event engine.Event, effects *engine.Effects) error {
		_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed", Key: string(event.Data)})
		return err
	})
	if !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("an effect with a key: %v", err)
	}
	at(t, c, 0)

	// Whatever the handler's error matches, it is the handler's.
	for _, cause := range []error{engine.ErrInDoubt, engine.ErrCursorMoved, engine.ErrClosed, context.Canceled} {
		calls := 0
		c, err := run(fmt.Sprint("says ", cause), engine.Handling{Attempts: 2, DeadLetter: engine.StreamName{Stream: "dead"}}, func(_ context.Context, event engine.Event, _ *engine.Effects) error {
			if calls++; event.Sequence == 2 {
				return cause
			}
			return nil
		})
		if err != nil || calls != 6 {
			t.Errorf("a handler that says %v: %v after %d calls", cause, err, calls)
		}
		at(t, c, 5)
	}

	// The caller's values come to the gates.
	if c, err := run("gated", engine.Handling{Attempts: 1}, bill); err != nil {
		t.Error(err)
	} else {
		at(t, c, 5)
	}

	// An error that cannot be told, or is too long, is buried all the same.
	for what, cause := range map[string]error{"panics": silent{}, "is long": errors.New(big("x", 20<<20))} {
		c, err := run(what, engine.Handling{Attempts: 1, DeadLetter: engine.StreamName{Stream: "dead"}}, func(context.Context, engine.Event, *engine.Effects) error { return cause })
		if err != nil {
			t.Errorf("an error that %s: %.100v", what, err)
		}
		at(t, c, 5)
	}

	// Dead letters of its own are passed over, those of others are handled.
	var all int
	for event := range log.Read(engine.Query{}) {
		if event.Type == engine.DeadLetterType {
			all++
		}
	}
	for stream, want := range map[string]int{"dead": 0, "other": all} {
		everything := cursor(t, log, "everything to "+stream, engine.Query{})
		letters := 0
		if err := everything.Handle(ctx, engine.Handling{ToEnd: true, DeadLetter: engine.StreamName{Stream: stream}}, func(_ context.Context, event engine.Event, _ *engine.Effects) error {
			if event.Type == engine.DeadLetterType {
				letters++
			}
			return nil
		}); err != nil || letters != want {
			t.Errorf("dead letters in stream %q: %d, %v", stream, letters, err)
		}
	}

	var kept *engine.Effects
	if _, err := run("keeps", engine.Handling{}, func(_ context.Context, _ engine.Event, effects *engine.Effects) error { kept = effects; return nil }); err != nil {
		t.Error(err)
	}
	if _, err := kept.Append(draft("late")); !errors.Is(err, engine.ErrTxDone) {
		t.Errorf("effects that are kept: %v", err)
	}

	// Payloads are the handler's to keep, also where the query borrows.
	var payload [][]byte
	borrowed := cursor(t, log, "borrowed", engine.Query{Stream: "orders", ToSequence: 5, Borrow: true})
	if err := borrowed.Handle(ctx, engine.Handling{}, func(_ context.Context, event engine.Event, _ *engine.Effects) error {
		payload = append(payload, event.Data)
		return nil
	}); err != nil || fmt.Sprintf("%s", payload) != "[1 2 3 4 5]" {
		t.Errorf("%s, %v", payload, err)
	}

	// A close during the wait for the next attempt ends it, without another call.
	calls := 0
	later := cursor(t, log, "closes", placed)
	err = later.Handle(ctx, engine.Handling{}, func(context.Context, engine.Event, *engine.Effects) error {
		calls++
		closed(t, log)
		return errors.New("not now")
	})
	if !errors.Is(err, engine.ErrClosed) || calls != 1 {
		t.Errorf("closed by its handler: %v after %d calls", err, calls)
	}
	log, err = engine.Open(engine.Options{Dir: "log", FS: m.disk, ReadOnly: true, Waits: waits{m.clock}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run("read-only", engine.Handling{}, func(context.Context, engine.Event, *engine.Effects) error { t.Error("called"); return nil }); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("a read-only log: %v", err)
	}
}

// silent is an error that panics when it is asked.
type silent struct{}

func (silent) Error() string { panic("no") }

// TestABufferedSubscriptionEndsAtItsVersion: as soon as that is written.
func TestABufferedSubscriptionEndsAtItsVersion(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	buffered(t, log, "1", "2")
	n := 0
	for _, err := range log.Subscribe(context.Background(), engine.Query{Stream: "s", ToVersion: 2, Buffered: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d events", n)
	}
	closed(t, log)
}

// TestSegmentsOfNotesHaveNoEvents: Stats says so, before and after a reopen.
func TestSegmentsOfNotesHaveNoEvents(t *testing.T) {
	m := newMachine(t, engine.Options{})
	for range 2 {
		log := m.open()
		if _, err := log.AppendBatch(context.Background(), engine.Batch{Notes: []engine.NoteDraft{note("a", "1")}}); err != nil {
			t.Fatal(err)
		}
		if s := log.Stats().Segments[0]; s.FirstSequence != 0 || s.LastSequence != 0 || s.Batches == 0 {
			t.Errorf("%+v", s)
		}
		closed(t, log)
	}
}

// TestAFullDiskIsNoFaultOfAnEvent: Handle ends, and nothing is buried.
func TestAFullDiskIsNoFaultOfAnEvent(t *testing.T) {
	for _, fault := range []string{"step=1 writeat seg #1: fail ENOSPC", "step=1 preallocate seg #1: fail ENOSPC", "step=1 writeat seg #1: fail EIO"} {
		m := newMachine(t, engine.Options{Preallocate: 4096})
		log := m.open(fault)
		orders(t, log, "1", "2", "3", "4", "5")
		c := cursor(t, log, "c", placed)
		m.happen()
		err := c.Handle(context.Background(), engine.Handling{Wait: time.Nanosecond, DeadLetter: engine.StreamName{Stream: "dead"}}, func(_ context.Context, event engine.Event, effects *engine.Effects) error {
			_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed", Data: []byte(big("", 12<<10))})
			return err
		})
		if err == nil || !errors.Is(err, engine.ErrNoSpace) && !errors.Is(err, engine.ErrFailed) {
			t.Errorf("%s: %v", fault, err)
		}
		m.happened()
		if letters := all(t, log, engine.Query{Stream: "dead"}); len(letters) > 0 {
			t.Errorf("%s: %d dead letters", fault, len(letters))
		}
		if err := c.Handle(context.Background(), engine.Handling{}, bill); err != nil {
			t.Errorf("%s: with space again: %v", fault, err)
		}
		at(t, c, 5)
		if n := len(all(t, log, engine.Query{Stream: "bills"})); n != 5 {
			t.Errorf("%s: %d bills", fault, n)
		}
		closed(t, log)
	}
}

// TestWhatHandleRefuses: before it calls the handler.
func TestWhatHandleRefuses(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	orders(t, log, "1")
	c := cursor(t, log, "c", placed)
	never := func(context.Context, engine.Event, *engine.Effects) error { t.Error("called"); return nil }
	for what, call := range map[string]func() error{
		"no handler":            func() error { return c.Handle(context.Background(), engine.Handling{}, nil) },
		"an unknown durability": func() error { return c.Handle(context.Background(), engine.Handling{Durability: 9}, never) },
		"a bad dead-letter name": func() error {
			return c.Handle(context.Background(), engine.Handling{DeadLetter: engine.StreamName{Stream: "a\x00"}}, never)
		},
		"another name's move": func() error {
			forged := c.Move(0, 1)
			forged.Name = engine.DeniedNote
			_, err := log.AppendBatch(context.Background(), engine.Batch{Notes: []engine.NoteDraft{forged}})
			return err
		},
	} {
		if err := call(); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := new(engine.Effects).Append(draft("x")); !errors.Is(err, engine.ErrTxDone) {
		t.Errorf("effects of nobody: %v", err)
	}
	// What is not there yet was not handled. Not even what comes in the same batch.
	for _, to := range []uint64{2, math.MaxUint64} {
		_, err := log.AppendBatch(context.Background(), engine.Batch{Events: []engine.Draft{draft("2")}, Notes: []engine.NoteDraft{c.Move(0, to)}})
		if !errors.Is(err, engine.ErrInvalid) || !errors.Is(err, engine.ErrRejected) {
			t.Errorf("a move to %d: %v", to, err)
		}
	}
	at(t, c, 0)
	// Each attempt gets the event as it is in the log.
	var seen []string
	again := cursor(t, log, "again", placed)
	_ = again.Handle(context.Background(), engine.Handling{Attempts: 3}, func(_ context.Context, event engine.Event, _ *engine.Effects) error {
		seen = append(seen, string(event.Data))
		event.Data[0]++
		return errors.New("no")
	})
	is(t, "attempts see", seen, []string{"1", "1", "1"})
	closed(t, log)
}
