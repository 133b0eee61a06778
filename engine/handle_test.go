package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
)

// TestTheEndOfHandleTellsTheLastAttempt: whatever ends Handle while an event is to be
// handled again, errors.Is finds it, and why it was to be handled again.
func TestTheEndOfHandleTellsTheLastAttempt(t *testing.T) {
	down := errors.New("the mail server is down")
	for _, c := range []struct {
		name string
		end  func(log *engine.Log, stop func())
		says func(ctx context.Context) error
		want []error
		text string
	}{
		{
			"the context, during an attempt", func(_ *engine.Log, stop func()) { stop() },
			func(context.Context) error { return down }, []error{context.Canceled, down},
			`engine: handle "c": context canceled; the last attempt at event 1: the mail server is down`,
		},
		{
			"the handler's own word for it", func(_ *engine.Log, stop func()) { stop() },
			func(ctx context.Context) error { return fmt.Errorf("%w: %w", down, ctx.Err()) }, []error{context.Canceled, down},
			`engine: handle "c": event 1: the mail server is down: context canceled`,
		},
		{
			"the log", func(log *engine.Log, _ func()) { _ = log.Close() },
			func(context.Context) error { return down }, []error{engine.ErrClosed, down},
			`engine: handle "c": the log is closed: file already closed; the last attempt at event 1: the mail server is down`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, engine.Options{})
			log := m.open()
			orders(t, log, "1")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			calls := 0
			err := cursor(t, log, "c", placed).Handle(ctx, engine.Handling{}, func(ctx context.Context, _ engine.Event, _ *engine.Effects) error {
				if calls++; calls == 2 {
					c.end(log, stop)
				}
				return c.says(ctx)
			})
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%v does not match %v", err, want)
				}
			}
			if fmt.Sprint(err) != c.text || calls != 2 {
				t.Errorf("%v, after %d calls; want %s", err, calls, c.text)
			}
			closed(t, log)
		})
	}
}

// TestFailedAttemptsAreLogged: each, at Warn; those that succeed leave no line.
func TestFailedAttemptsAreLogged(t *testing.T) {
	var lines bytes.Buffer
	m := newMachine(t, engine.Options{Logger: slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	log := m.open()
	orders(t, log, "1", "2", "3", "4", "5")
	calls := 0
	err := cursor(t, log, "billing", placed).Handle(t.Context(), engine.Handling{Attempts: 3, DeadLetter: engine.StreamName{Stream: "dead"}}, func(_ context.Context, event engine.Event, _ *engine.Effects) error {
		calls++
		switch event.Sequence {
		case 2:
			if calls < 4 {
				return errors.New("not\nnow")
			}
		case 4:
			return silent{}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(lines.String()) {
		var l struct {
			Level, Msg, Cursor, Error string
			Sequence, Attempt         int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s: %s %d/%d %s", l.Level, l.Msg, l.Cursor, l.Sequence, l.Attempt, l.Error))
	}
	const failed = "WARN an event could not be handled: billing "
	is(t, "warnings", got, []string{
		failed + "2/1 not now", failed + "2/2 not now",
		failed + "4/1 panic: no", failed + "4/2 panic: no", failed + "4/3 panic: no",
	})
	closed(t, log)
}

// TestANameHasOneQuery: that of its first move. Of a cursor that was had with another
// one before, nothing comes into the log.
func TestANameHasOneQuery(t *testing.T) {
	ctx := t.Context()
	m := newMachine(t, engine.Options{})
	log := m.open()
	orders(t, log, "1", "2", "3", "4", "5")
	first, other := cursor(t, log, "c", placed), cursor(t, log, "c", engine.Query{Scope: "s"})
	during := cursor(t, log, "c", engine.Query{Types: []string{"placed"}})
	// It has begun when the other one makes the first move.
	err := during.Handle(ctx, engine.Handling{Batch: 5, Attempts: 2, DeadLetter: engine.StreamName{Stream: "dead"}}, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		if event.Sequence == 5 {
			if err := first.Handle(ctx, engine.Handling{Batch: 5}, bill); err != nil {
				t.Error(err)
			}
		}
		return bill(ctx, event, effects)
	})
	matches(t, err, engine.ErrRejected, engine.ErrCursorMoved)
	refused := func(when string) {
		t.Helper()
		for _, from := range []uint64{0, 5} {
			_, err := log.AppendBatch(ctx, engine.Batch{Events: drafts("beside it"), Notes: []engine.NoteDraft{other.Move(from, 1)}})
			matches(t, err, engine.ErrRejected, engine.ErrCursorMoved)
		}
		if _, err := other.Position(); !errors.Is(err, engine.ErrCursorQuery) {
			t.Errorf("the position %s: %v", when, err)
		}
		if err := other.Handle(ctx, engine.Handling{}, bill); !errors.Is(err, engine.ErrCursorQuery) {
			t.Errorf("handle %s: %v", when, err)
		}
		if c, err := log.Cursor("c", engine.Query{Scope: "s"}); !errors.Is(err, engine.ErrCursorQuery) || c != nil {
			t.Errorf("had %s: %v, %v", when, c, err)
		}
	}
	refused("when it has moved")
	at(t, first, 5)
	if _, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{first.Move(5, 0)}}); err != nil {
		t.Fatal(err)
	}
	refused("when it is at 0 again")
	is(t, "bills", payloads(all(t, log, engine.Query{Stream: "bills"})), []string{"1", "2", "3", "4", "5"})
	if events := all(t, log, engine.Query{}); len(events) != 10 {
		t.Errorf("%d events", len(events))
	}
	closed(t, log)

	log = m.open()
	if c, err := log.Cursor("c", engine.Query{Scope: "s"}); !errors.Is(err, engine.ErrCursorQuery) || c != nil {
		t.Errorf("after a reopen: %v, %v", c, err)
	}
	closed(t, log)
}

// TestTwoHandleOneCursor: the one whose batch comes later ends with ErrCursorMoved,
// and of its effects there is nothing.
func TestTwoHandleOneCursor(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	orders(t, log, "1", "2", "3", "4", "5")
	late := 0
	err := cursor(t, log, "c", placed).Handle(t.Context(), engine.Handling{Attempts: 3, DeadLetter: engine.StreamName{Stream: "dead"}}, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		late++
		if err := cursor(t, log, "c", placed).Handle(ctx, engine.Handling{}, bill); err != nil {
			t.Error(err)
		}
		_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed", Data: []byte("late")})
		return err
	})
	matches(t, err, engine.ErrRejected, engine.ErrCursorMoved)
	if late != 1 {
		t.Errorf("the late one has called its handler %d times", late)
	}
	is(t, "bills", payloads(all(t, log, engine.Query{Stream: "bills"})), []string{"1", "2", "3", "4", "5"})
	if letters := all(t, log, engine.Query{Stream: "dead"}); len(letters) > 0 {
		t.Errorf("%d dead letters", len(letters))
	}
	closed(t, log)
}

// waitsThenStops ends a context during a wait for the next attempt.
type waitsThenStops struct {
	waits
	stop func()
}

func (w waitsThenStops) Signal(reason string) engine.Signal {
	if reason == "the next attempt" {
		w.stop()
	}
	return w.waits.Signal(reason)
}

// TestTheContextEndsDuringTheWait: as during an attempt.
func TestTheContextEndsDuringTheWait(t *testing.T) {
	down := errors.New("the mail server is down")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	m := newMachine(t, engine.Options{})
	o := m.seams()
	o.Waits = waitsThenStops{waits{m.clock}, stop}
	log := openDir(t, o)
	orders(t, log, "1")
	err := cursor(t, log, "c", placed).Handle(ctx, engine.Handling{Wait: time.Hour}, func(context.Context, engine.Event, *engine.Effects) error { return down })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, down) {
		t.Error(err)
	}
}

// TestHandleToEnd: it ends where no durable event is left, also at once, and the next
// one goes on from there.
func TestHandleToEnd(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	c := cursor(t, log, "c", engine.Query{Stream: "orders"})
	var seen []string
	handle := func(want ...string) {
		t.Helper()
		seen = nil
		if err := c.Handle(t.Context(), engine.Handling{Batch: 2, ToEnd: true}, func(_ context.Context, event engine.Event, effects *engine.Effects) error {
			seen = append(seen, string(event.Data))
			_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed"})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		is(t, "handled", seen, want)
	}
	handle()
	at(t, c, 0)
	orders(t, log, "1", "2", "3")
	handle("1", "2", "3")
	at(t, c, 3)
	handle()
	orders(t, log, "4")
	handle("4")
	closed(t, log)
	if err := c.Handle(t.Context(), engine.Handling{ToEnd: true}, bill); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("of a closed log: %v", err)
	}
}

// TestPermanent: an error that says so ends the attempts.
func TestPermanent(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	orders(t, log, "1")
	calls := 0
	poison := func(context.Context, engine.Event, *engine.Effects) error {
		calls++
		return fmt.Errorf("no such customer: %w", engine.ErrPermanent)
	}
	c := cursor(t, log, "c", placed)
	var failed *engine.HandleError
	if err := c.Handle(t.Context(), engine.Handling{}, poison); !errors.As(err, &failed) || failed.Attempts != 1 || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	at(t, c, 0)
	if err := c.Handle(t.Context(), engine.Handling{ToEnd: true, DeadLetter: engine.StreamName{Stream: "dead"}}, poison); err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	at(t, c, 1)
	closed(t, log)
}
