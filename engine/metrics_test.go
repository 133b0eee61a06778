package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/metrics.txt anew from what the log tells now")

// listener writes down what a log tells, a line each.
type listener struct {
	mu    sync.Mutex
	lines []string
	log   *engine.Log // to look at while it is told; nil: not
	t     *testing.T
}

type traceKey struct{}

func (l *listener) line(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
	if l.log != nil && !l.log.TokenFree() {
		l.t.Errorf("told by who has the commit token: %s", l.lines[len(l.lines)-1])
	}
}

func (l *listener) metrics() *engine.Metrics {
	began := 0
	return &engine.Metrics{
		CallBegin: func(ctx context.Context, c engine.CallStats) context.Context {
			began++
			l.line("begin     call %d, durability %d, %d events, %d bytes", began, c.Durability, c.Events, c.Bytes)
			return context.WithValue(ctx, traceKey{}, began)
		},
		Call: func(ctx context.Context, c engine.CallStats) {
			l.line("call %-4v %v, durable %t, batch %d, durability %d, %d events, %d bytes, in %v: %v",
				ctx.Value(traceKey{}), c.Outcome, c.Durable, c.Batch, c.Durability, c.Events, c.Bytes, c.Took, c.Err)
		},
		Group: func(g engine.GroupStats) {
			var calls []any
			for _, ctx := range g.Contexts {
				calls = append(calls, ctx.Value(traceKey{}))
			}
			l.line("group     calls %v: %v, %d calls, %d batches, %d refusals, %d hits, %d events, %d bytes, from batch %d, synced %t, gather %v, decide %v, write %v, sync %v, in %v: %v",
				calls, g.Outcome, g.Calls, g.Batches, g.Refusals, g.Hits, g.Events, g.Bytes, g.Batch, g.Synced, g.Gather, g.Decide, g.Write, g.Sync, g.Took, g.Err)
		},
		Sync: func(s engine.SyncStats) {
			l.line("sync      %v, %d batches, in %v: %v", s.Cause, s.Batches, s.Took, s.Err)
		},
		Rotation: func(r engine.RotationStats) {
			l.line("rotation  %d to %d, fresh %t, %d carried, in %v: %v", r.From, r.To, r.Fresh, r.Carried, r.Took, r.Err)
		},
		Open: func(o engine.OpenStats) {
			l.line("open      read-only %t, %d segments, %d batches, %d events, torn %t, fresh %d, in %v: %v",
				o.ReadOnly, o.Recovery.Segments, o.Recovery.Batches, o.Recovery.Events, o.Recovery.Torn, o.Recovery.Fresh, o.Took, o.Err)
		},
		Read: func(r engine.ReadStats) {
			l.line("read      %d events, %d bytes, in %v: %v", r.Events, r.Bytes, r.Took, r.Err)
		},
		Handled: func(h engine.HandledStats) {
			l.line("handled   by %s, through %d, ended %t, attempt %d, %d events, %d dead letters, in %v: %v",
				h.Cursor, h.Through, h.Ended, h.Attempt, h.Events, h.DeadLetters, h.Took, h.Err)
		},
		Failed: func(cause error) { l.line("failed    %v", cause) },
	}
}

// TestMetricsTellALife compares what a log tells with testdata, where a write
// takes 3 ms, and a sync 5 ms.
func TestMetricsTellALife(t *testing.T) {
	l := &listener{t: t}
	m := newMachine(t, engine.Options{Metrics: l.metrics(), Preallocate: -1})
	ctx := context.Background()
	slow := []string{"step=* writeat seg #*: slow 3ms", "step=* syncdata seg #*: slow 5ms", "step=* sync seg #*: slow 7ms"}
	var log *engine.Log
	title := func(format string, args ...any) { l.lines = append(l.lines, "-- "+fmt.Sprintf(format, args...)) }
	open := func(lines ...string) {
		l.log = nil
		log = m.open(append(lines, slow...)...)
		l.log = log
	}
	try := func(b engine.Batch) { _, _ = log.AppendBatch(ctx, b) }
	batch := func(d engine.Durability, key string, payloads ...string) engine.Batch {
		return engine.Batch{Key: key, Durability: d, Events: drafts(payloads...)}
	}

	title("a new log")
	open("step=1 writeat seg #1: short 100", "step=2 syncdata seg #1: fail EIO")
	title("durable, then its retry")
	try(batch(engine.Durable, "k", "one", "two"))
	try(batch(engine.Durable, "k", "one", "two"))
	title("nothing to do")
	try(engine.Batch{})
	title("buffered twice, then wait for the last")
	try(batch(engine.Buffered, "", "three"))
	try(batch(engine.Buffered, "", "four"))
	if err := log.WaitDurable(ctx, 4); err != nil {
		t.Fatal(err)
	}
	title("wait for what is durable")
	if err := log.WaitDurable(ctx, 4); err != nil {
		t.Fatal(err)
	}
	title("buffered, then the cadence")
	try(batch(engine.Buffered, "", "five"))
	m.clock.Advance(20 * time.Millisecond)
	title("buffered, then a retry, then Sync twice")
	try(batch(engine.Buffered, "b", "six"))
	try(batch(engine.Buffered, "b", "six"))
	for range 2 {
		if err := log.Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	title("refused by the log, by itself, and by its context")
	try(engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Expect: engine.NoStream}}})
	try(engine.Batch{Events: []engine.Draft{{Stream: "s"}}})
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, _ = log.AppendBatch(cancelled, batch(engine.Durable, "", "never"))
	title("a transaction")
	tx := log.Begin("", engine.Durable)
	if _, err := tx.Append(draft("seven")); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	title("reads: all, left early, and wrong")
	all(t, log, engine.Query{})
	for range log.Read(engine.Query{}) {
		m.clock.Pass(time.Second) // what the caller does
		break
	}
	for _, err := range log.Read(engine.Query{FromVersion: 1}) {
		if err == nil {
			t.Fatal("a query that is wrong yields an event")
		}
	}
	title("a full segment")
	try(batch(engine.Durable, "", big("eight", 40_000)))
	try(batch(engine.Durable, "", big("nine", 40_000)))
	title("a write that fails, behind a buffered batch")
	try(batch(engine.Buffered, "", "ten"))
	m.faults.SetStep(1)
	try(batch(engine.Durable, "", "eleven"))
	title("a sync that fails")
	m.faults.SetStep(2)
	try(batch(engine.Durable, "", "twelve"))
	title("a call afterwards")
	try(batch(engine.Durable, "", "thirteen"))
	title("an Open that fails, and one that does not")
	if _, err := engine.Open(m.seams()); !errors.Is(err, engine.ErrLocked) {
		t.Fatalf("open: %v", err)
	}
	_ = log.Close()
	open()
	title("a close with a buffered batch")
	try(batch(engine.Buffered, "", "fourteen"))
	closed(t, log)
	title("a closed log")
	try(batch(engine.Durable, "", "fifteen"))

	got := strings.Join(l.lines, "\n") + "\n"
	name := filepath.Join("testdata", "metrics.txt")
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestMetricsTellHowEventsAreHandled: that it begins, each attempt that failed, each
// move, and what the query leaves out; here a handler takes a second.
func TestMetricsTellHowEventsAreHandled(t *testing.T) {
	letters := engine.StreamName{Stream: "dead"}
	for _, c := range []struct {
		title string
		query engine.Query
		how   engine.Handling
		from  uint64 // position of the cursor before
		want  []string
	}{
		{"one by one", engine.Query{Stream: "orders", ToSequence: 6}, engine.Handling{Attempts: 2, Wait: time.Second, DeadLetter: letters}, 0, []string{
			"through 0, ended false, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
			"through 1, ended false, attempt 0, 1 events, 0 dead letters, in 1s: <nil>",
			"through 1, ended false, attempt 1, 0 events, 0 dead letters, in 0s: not now",
			"through 2, ended false, attempt 0, 1 events, 0 dead letters, in 3s: <nil>",
			"through 2, ended false, attempt 1, 0 events, 0 dead letters, in 0s: poison",
			"through 2, ended false, attempt 2, 0 events, 0 dead letters, in 0s: poison",
			"through 3, ended false, attempt 0, 0 events, 1 dead letters, in 3s: <nil>",
			"through 4, ended false, attempt 0, 1 events, 0 dead letters, in 1s: <nil>",
			"through 6, ended false, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
			"through 6, ended true, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
		}},
		// The move of the first event commits when the second fails.
		{"together", engine.Query{Stream: "orders", ToSequence: 2}, engine.Handling{Batch: 10, Wait: time.Second}, 0, []string{
			"through 0, ended false, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
			"through 1, ended false, attempt 0, 1 events, 0 dead letters, in 2s: <nil>",
			"through 1, ended false, attempt 1, 0 events, 0 dead letters, in 0s: not now",
			"through 2, ended false, attempt 0, 1 events, 0 dead letters, in 1s: <nil>",
			"through 2, ended true, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
		}},
		{"no dead-letter stream", engine.Query{Stream: "orders"}, engine.Handling{Attempts: 1}, 2, []string{
			"through 2, ended false, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
			"through 2, ended false, attempt 1, 0 events, 0 dead letters, in 0s: poison",
		}},
		{"from the fourth", engine.Query{Stream: "orders", FromSequence: 4, ToSequence: 4}, engine.Handling{}, 0, []string{
			"through 3, ended false, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
			"through 4, ended false, attempt 0, 1 events, 0 dead letters, in 1s: <nil>",
			"through 4, ended true, attempt 0, 0 events, 0 dead letters, in 0s: <nil>",
		}},
	} {
		t.Run(c.title, func(t *testing.T) {
			l := &listener{t: t}
			m := newMachine(t, engine.Options{Metrics: &engine.Metrics{Handled: l.metrics().Handled}})
			log := m.open()
			l.log = log
			orders(t, log, "1", "2", "poison", "4")
			appended(t, log, "of another stream", "too")
			handler := cursor(t, log, "billing", c.query)
			if c.from > 0 {
				if _, err := log.AppendBatch(t.Context(), engine.Batch{Notes: []engine.NoteDraft{handler.Move(0, c.from)}}); err != nil {
					t.Fatal(err)
				}
			}
			attempts := 0
			err := handler.Handle(t.Context(), c.how, func(_ context.Context, event engine.Event, _ *engine.Effects) error {
				m.clock.Pass(time.Second)
				switch string(event.Data) {
				case "2":
					if attempts++; attempts == 1 {
						return errors.New("not now")
					}
				case "poison":
					return errors.New("poison")
				}
				return nil
			})
			var dead *engine.HandleError
			if err != nil && !errors.As(err, &dead) {
				t.Fatal(err)
			}
			want := slices.Clone(c.want)
			for i := range want {
				want[i] = "handled   by billing, " + want[i]
			}
			is(t, "told", l.lines, want)
			closed(t, log)
		})
	}
}

// TestMetricsOfACrowd: whatever the order of the turns, and though a write
// fails, each call is begun once, told once, with what its caller gets,
// and in one group at most; and what groups say of their calls adds up.
func TestMetricsOfACrowd(t *testing.T) {
	type callerKey struct{}
	var outcomes [engine.OutcomeInDoubt + 1]int
	shared, waited := 0, 0
	for seed := range uint64(30) {
		var c *crowd
		var groups []engine.GroupStats
		begun, told := map[any]int{}, map[any]engine.CallStats{}
		free := func() {
			if !c.log.MutexFree() {
				t.Errorf("seed %d: the mutex is held when somebody is told", seed)
			}
		}
		options := engine.Options{SyncCount: 5, Observer: func(p engine.Point) {
			if c != nil && p.Name == engine.PointSync {
				c.clock.Pass(5 * time.Millisecond)
			}
		}, Metrics: &engine.Metrics{
			CallBegin: func(ctx context.Context, call engine.CallStats) context.Context {
				free()
				begun[ctx.Value(callerKey{})]++
				return context.WithValue(ctx, traceKey{}, ctx.Value(callerKey{}))
			},
			Call: func(ctx context.Context, call engine.CallStats) {
				free()
				caller := ctx.Value(traceKey{})
				if _, twice := told[caller]; twice {
					t.Errorf("seed %d: %v is told twice", seed, caller)
				}
				told[caller] = call
			},
			Group:  func(g engine.GroupStats) { free(); groups = append(groups, g) },
			Failed: func(cause error) { t.Errorf("seed %d: the log has failed: %v", seed, cause) },
		}}
		errs, receipts := map[any]error{}, map[any][]engine.Receipt{}
		newCrowd(t, seed, options, func(crowd *crowd) {
			c = crowd
			c.each(8, func(i int) {
				for k := range 6 {
					if i == 3 && k == 2 {
						c.failing = true
					}
					b := engine.Batch{Events: []engine.Draft{{Stream: fmt.Sprint("s", i), Type: "t", Data: []byte("12345")}}, Durability: engine.Durability(i % 2)}
					switch i {
					case 0, 1:
						b.Key, b.Events[0].Stream = fmt.Sprint("key ", k), "both"
					case 2:
						b.Events[0].Expect = engine.NoStream
					}
					caller := fmt.Sprintf("client %d, call %d", i, k)
					receipts[caller], errs[caller] = c.log.AppendBatch(context.WithValue(context.Background(), callerKey{}, caller), b)
				}
			})
		})
		if len(told) != len(errs) || len(begun) != len(errs) {
			t.Fatalf("seed %d: %d calls, %d begun, %d told", seed, len(errs), len(begun), len(told))
		}
		for caller, err := range errs {
			call := told[caller]
			outcomes[call.Outcome]++
			want := engine.OutcomeDurable
			switch {
			case errors.Is(err, engine.ErrRejected):
				want = engine.OutcomeRejected
			case errors.Is(err, engine.ErrFailed):
				want = engine.OutcomeFailed
			case err != nil:
				want = engine.OutcomeInDoubt
			case call.Outcome == engine.OutcomeHit: // which a receipt does not tell
				want = call.Outcome
			case !receipts[caller][0].Durable:
				want = engine.OutcomeBuffered
			}
			if call.Outcome != want || call.Err != err || begun[caller] != 1 || call.Bytes != 5 {
				t.Errorf("seed %d, %v: told %+v, want %v, %v", seed, caller, call, want, err)
			}
			if err == nil && (call.Batch != receipts[caller][0].Batch || call.Durable != receipts[caller][0].Durable) {
				t.Errorf("seed %d, %v: told %+v, answered %+v", seed, caller, call, receipts[caller])
			}
		}
		grouped := map[any]bool{}
		events := 0
		for _, g := range groups {
			hits := 0
			for _, ctx := range g.Contexts {
				caller := ctx.Value(traceKey{})
				if grouped[caller] || told[caller].Began.After(g.Began.Add(g.Took)) {
					t.Errorf("seed %d, %v: in two groups, or after its group", seed, caller)
				}
				grouped[caller] = true
				if told[caller].Outcome == engine.OutcomeHit {
					hits++
				}
				if call := told[caller]; g.Err == nil && g.Batches > 0 && call.Outcome == engine.OutcomeDurable &&
					(call.Batch < g.Batch || call.Batch >= g.Batch+uint64(g.Batches) || !g.Synced) {
					t.Errorf("seed %d, %v: batch %d in group %+v", seed, caller, call.Batch, g)
				}
			}
			if g.Calls != len(g.Contexts) || g.Calls != g.Batches+g.Refusals+g.Hits || g.Gather+g.Decide+g.Write+g.Sync > g.Took {
				t.Errorf("seed %d: group %+v", seed, g)
			}
			outcome := engine.OutcomeDurable
			switch {
			case errors.Is(g.Err, engine.ErrInDoubt):
				outcome = engine.OutcomeInDoubt
			case errors.Is(g.Err, engine.ErrFailed):
				outcome = engine.OutcomeFailed
			case g.Err != nil:
				outcome = engine.OutcomeRejected
			case g.Batches > 0 && !g.Synced:
				outcome = engine.OutcomeBuffered
			}
			if g.Outcome != outcome {
				t.Errorf("seed %d: the outcome is %v, want %v: %+v", seed, g.Outcome, outcome, g)
			}
			if g.Calls > 1 {
				shared++
			}
			if g.Gather > 0 {
				waited++
			}
			if g.Err == nil {
				events += g.Events
			}
			if hits > g.Hits || g.Err == nil && hits != g.Hits {
				t.Errorf("seed %d: %d calls were hits in group %+v", seed, hits, g)
			}
		}
		if uint64(events) != c.log.LogHead().Sequence {
			t.Errorf("seed %d: %d events in groups, %d in the log", seed, events, c.log.LogHead().Sequence)
		}
	}
	for outcome, n := range outcomes {
		if n == 0 && engine.Outcome(outcome) != engine.OutcomeInDoubt {
			t.Errorf("no call was %v", engine.Outcome(outcome))
		}
	}
	if shared == 0 || waited == 0 {
		t.Errorf("%d groups were shared, %d waited", shared, waited)
	}
}

// TestMetricsCostNothing: without a listener, or with one of nothing, an append and
// a read allocate nothing, and the clock is read once for each group.
func TestMetricsCostNothing(t *testing.T) {
	for _, metrics := range []*engine.Metrics{nil, {}, {Rotation: func(engine.RotationStats) {}}} {
		clock := &countingClock{}
		log := openDir(t, engine.Options{Dir: t.TempDir(), Clock: clock, Metrics: metrics})
		ctx, d := t.Context(), draft("payload")
		for range 10 { // the log makes its room
			if _, err := log.Append(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		clock.reads = 0
		const runs = 200
		if n := testing.AllocsPerRun(runs, func() {
			if _, err := log.Append(ctx, d); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%+v: an append allocates %v times", metrics, n)
		}
		if clock.reads != runs+1 { // one to warm up
			t.Errorf("%+v: %d appends read the clock %d times", metrics, runs+1, clock.reads)
		}
		clock.reads = 0
		if n := testing.AllocsPerRun(runs, func() {
			for _, err := range log.Read(engine.Query{Limit: 3, Borrow: true}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}); n != 0 || clock.reads != 0 {
			t.Errorf("%+v: a read allocates %v times, and the clock is read %d times", metrics, n, clock.reads)
		}
	}
}

// countingClock is the system's, and counts who asks.
type countingClock struct{ reads int }

func (c *countingClock) Now() time.Time { c.reads++; return time.Now() }

// TestMetricsThatPanic: whatever a listener breaks, what the log has promised
// holds, and it goes on.
func TestMetricsThatPanic(t *testing.T) {
	kinds := reflect.TypeFor[engine.Metrics]()
	for i := range kinds.NumField() {
		name := kinds.Field(i).Name
		t.Run(name, func(t *testing.T) {
			var metrics engine.Metrics
			armed, panics := true, 0
			field := reflect.ValueOf(&metrics).Elem().Field(i)
			field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) []reflect.Value {
				if armed {
					panics++
					panic("a listener's own bug")
				}
				if name == "CallBegin" {
					return []reflect.Value{reflect.Zero(reflect.TypeFor[context.Context]())}
				}
				return nil
			}))
			m := newMachine(t, engine.Options{Metrics: &metrics, Preallocate: -1, Signing: signing(engine.SignOnDemand, testKey(1))})
			ctx := context.Background()
			try := func(f func()) {
				defer func() { _ = recover() }()
				f()
			}
			options := m.seams("step=1 syncdata seg #1: fail EIO")
			var log *engine.Log
			try(func() { log, _ = engine.Open(options) })
			if log == nil {
				armed = false
				log = m.open("step=1 syncdata seg #1: fail EIO") // the lock is free
				armed = true
			}
			appendOne := func(payload string, d engine.Durability) {
				try(func() { _, _ = log.AppendBatch(ctx, engine.Batch{Events: drafts(payload), Durability: d}) })
			}
			appendOne("one", engine.Durable)
			appendOne("two", engine.Buffered)
			try(func() { _ = log.Sync(ctx) })
			appendOne(big("three", 40_000), engine.Durable)
			appendOne(big("four", 40_000), engine.Durable)
			try(func() {
				for range log.Read(engine.Query{}) {
				}
			})
			if name == "Signature" {
				try(func() { _, _ = log.Sign(ctx) })
			}
			if name == "Handled" {
				c := cursor(t, log, "c", engine.Query{ToSequence: 1})
				try(func() {
					_ = c.Handle(ctx, engine.Handling{}, func(context.Context, engine.Event, *engine.Effects) error { return nil })
				})
			}
			if name == "Failed" {
				m.happen()
				appendOne("five", engine.Durable)
				m.happened()
			}
			if panics == 0 {
				t.Fatal("the listener was not told")
			}
			if !log.MutexFree() || !log.TokenFree() {
				t.Error("a lock is held")
			}
			armed = false
			want := []string{"one", "two", big("three", 40_000), big("four", 40_000)}
			switch name {
			case "CallBegin":
				want = nil // nothing has begun
			case "Failed":
				want = append(want, "five") // written, and in doubt
			}
			if name != "Failed" {
				appended(t, log, "six")
				want = append(want, "six")
				m.holds(log, want...)
			}
			if err := log.Close(); (err != nil) != (name == "Failed") {
				t.Errorf("close: %v", err)
			}
			m.reopened(want...)
		})
	}
}

// TestJoinMetrics: of two listeners both are told, in their order, and a call goes
// on with what both made of its context.
func TestJoinMetrics(t *testing.T) {
	var told []string
	ctx := context.Background()
	noting := func(who string) *engine.Metrics {
		var metrics engine.Metrics
		v := reflect.ValueOf(&metrics).Elem()
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			v.Field(i).Set(reflect.MakeFunc(v.Field(i).Type(), func(args []reflect.Value) []reflect.Value {
				line := who + " " + name
				if c, ok := args[0].Interface().(context.Context); ok {
					line += fmt.Sprint(" ", c.Value(traceKey{}))
					if name == "CallBegin" {
						made := context.WithValue(c, traceKey{}, fmt.Sprint(c.Value(traceKey{}), " ", who))
						told = append(told, line)
						return []reflect.Value{reflect.ValueOf(&made).Elem()}
					}
				}
				told = append(told, line)
				return nil
			}))
		}
		return &metrics
	}
	one := noting("one")
	if engine.JoinMetrics() != nil || engine.JoinMetrics(nil, nil) != nil || engine.JoinMetrics(nil, one, nil) != one {
		t.Error("joined with nobody, a listener is not itself")
	}
	for _, joined := range []*engine.Metrics{
		engine.JoinMetrics(one, noting("two")),
		engine.JoinMetrics(one, nil, &engine.Metrics{}, noting("two"), &engine.Metrics{}),
	} {
		v := reflect.ValueOf(joined).Elem()
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			told = nil
			var args []reflect.Value
			for k := range v.Field(i).Type().NumIn() {
				if in := v.Field(i).Type().In(k); in == reflect.TypeFor[context.Context]() {
					args = append(args, reflect.ValueOf(&ctx).Elem())
				} else {
					args = append(args, reflect.Zero(in))
				}
			}
			out := v.Field(i).Call(args)
			want := []string{"one " + name, "two " + name}
			switch name {
			case "CallBegin":
				want = []string{"one CallBegin <nil>", "two CallBegin <nil> one"}
				if made := out[0].Interface().(context.Context).Value(traceKey{}); made != "<nil> one two" {
					t.Errorf("the context of a call has %v", made)
				}
			case "Call":
				want = []string{"one Call <nil>", "two Call <nil>"}
			case "Failed": // its argument is nil
			}
			if !slices.Equal(told, want) {
				t.Errorf("%s: told %q, want %q", name, told, want)
			}
		}
	}
}
