package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/metrics"
	"github.com/untorn-db/untorn/simfs"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/snapshot.json anew from what is counted now")

var _ expvar.Var = (*metrics.Metrics)(nil)

func Example() {
	counts := metrics.New()
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Metrics: counts.Listen()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	counts.Watch(log)
	for i := range 3 {
		_, _ = log.Append(context.Background(), engine.Draft{Stream: "s", Type: "t", Data: []byte("12345"), Expect: engine.Exactly(uint64(i))})
		_, _ = log.Append(context.Background(), engine.Draft{Stream: "s", Type: "t", Expect: engine.NoStream})
	}
	s := counts.Snapshot()
	fmt.Println(s.Calls["durable"].Took.Count, "durable calls of", s.Calls["durable"].Bytes, "bytes")
	fmt.Println(s.Rejected["wrong_version"], "expected another version")
	fmt.Println(s.Commits.Took.Count, "groups,", s.Syncs["group"].Count, "with a sync")
	fmt.Println(s.Log.Events, "events,", s.Log.Durable, "of them durable, in", s.Log.Segments, "segment")
	// Output:
	// 3 durable calls of 15 bytes
	// 3 expected another version
	// 6 groups, 3 with a sync
	// 3 events, 3 of them durable, in 1 segment
}

// TestSnapshot tells made-up numbers, and compares all of the JSON.
func TestSnapshot(t *testing.T) {
	m := metrics.New()
	l := m.Listen()
	ctx := context.Background()
	ms := time.Millisecond
	for outcome := engine.OutcomeDurable; outcome <= engine.OutcomeInDoubt; outcome++ {
		for range outcome + 1 {
			ctx := l.CallBegin(ctx, engine.CallStats{})
			var err error
			if outcome == engine.OutcomeRejected {
				err = fmt.Errorf("%w: %w", engine.ErrRejected, engine.ErrLimit)
			}
			l.Call(ctx, engine.CallStats{Outcome: outcome, Took: 3 * ms, Events: 2, Bytes: 10, Err: err})
		}
	}
	l.CallBegin(ctx, engine.CallStats{})
	l.Group(engine.GroupStats{Gather: ms, Decide: 2 * ms, Write: 3 * ms, Sync: 4 * ms, Took: 10 * ms, Calls: 5, Batches: 2, Refusals: 2, Hits: 1, Events: 7, Bytes: 700, Synced: true})
	l.Group(engine.GroupStats{Gather: ms, Decide: ms, Took: 2 * ms, Calls: 1, Hits: 1})
	l.Group(engine.GroupStats{Took: ms, Calls: 1, Batches: 1, Events: 100, Bytes: 10_000, Err: fmt.Errorf("%w: no", engine.ErrFailed)})
	l.Group(engine.GroupStats{Took: ms, Calls: 1, Batches: 1, Events: 100, Bytes: 10_000, Synced: true, Err: fmt.Errorf("%w: no", engine.ErrInDoubt)})
	l.Group(engine.GroupStats{Took: ms, Calls: 1, Err: engine.ErrRejected})
	for cause := engine.SyncCadence; cause <= engine.SyncClose; cause++ {
		for range cause + 1 {
			l.Sync(engine.SyncStats{Cause: cause, Took: ms})
		}
	}
	l.Sync(engine.SyncStats{Cause: engine.SyncAsked, Err: errors.New("no")})
	l.Rotation(engine.RotationStats{Took: ms})
	l.Rotation(engine.RotationStats{Took: ms, Fresh: true})
	l.Rotation(engine.RotationStats{Took: ms, Fresh: true, Err: errors.New("no")})
	l.Open(engine.OpenStats{Took: ms})
	l.Open(engine.OpenStats{Took: ms, Recovery: engine.Recovery{Torn: true, Fresh: 2}})
	l.Open(engine.OpenStats{Took: ms, Err: errors.New("no")})
	l.Read(engine.ReadStats{Took: ms, Events: 3, Bytes: 30})
	l.Read(engine.ReadStats{Took: ms, Events: 1, Bytes: 1, Err: errors.New("no")})
	l.Failed(errors.New("no"))

	var all any
	if err := json.Unmarshal([]byte(m.String()), &all); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *rewrite {
		if err := os.WriteFile("testdata/snapshot.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/snapshot.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestKinds: a kind that the engine does not have yet has no counter.
func TestKinds(t *testing.T) {
	s := metrics.New().Snapshot()
	if next := engine.Outcome(len(s.Calls)).String(); !strings.HasPrefix(next, "unknown") {
		t.Errorf("outcome %s is not counted", next)
	}
	if next := engine.SyncCause(len(s.Syncs) - 1).String(); !strings.HasPrefix(next, "unknown") { // without groups
		t.Errorf("syncs by %s are not counted", next)
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&engine.WrongVersionError{Stream: "s"}, "wrong_version"},
		{&engine.ItemError{Err: &engine.KeyConflictError{}}, "key_conflict"},
		{fmt.Errorf("%w: %w", engine.ErrLogFailed, engine.ErrNoSpace), "log_failed"},
		{engine.ErrNoSpace, "no_space"},
		{engine.ErrClosed, "closed"},
		{engine.ErrReadOnly, "read_only"},
		{engine.ErrInvalid, "invalid"},
		{context.Canceled, "cancelled"},
		{context.DeadlineExceeded, "deadline"},
		{errors.New("draw an id: no"), "other"},
	} {
		if got := metrics.Reason(fmt.Errorf("%w: %w", engine.ErrRejected, c.err)); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
		if got := metrics.Reason(c.err); got != "" {
			t.Errorf("%v, which is no rejection: %q", c.err, got)
		}
	}
}

// TestHistogram: every value is in the first bucket whose bound it does not
// exceed, and a quantile in the bucket of its value.
func TestHistogram(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		want float64 // the bound, in seconds
	}{
		{-time.Second, 1e-6},
		{0, 1e-6},
		{1, 1e-6},
		{time.Microsecond, 1e-6},
		{time.Microsecond + 1, 2e-6},
		{2 * time.Microsecond, 2e-6},
		{2*time.Microsecond + 1, 4e-6},
		{4 * time.Microsecond, 4e-6},
		{time.Millisecond, 1.024e-3},
		{1024 * time.Microsecond, 1.024e-3},
		{1024*time.Microsecond + 1, 2.048e-3},
		{16_777_216 * time.Microsecond, 16.777216},
		{16_777_216*time.Microsecond + 1, math.Inf(1)},
		{math.MaxInt64, math.Inf(1)},
	} {
		m := metrics.New()
		m.Listen().Read(engine.ReadStats{Took: c.took})
		h := m.Snapshot().Reads.Took
		got := math.Inf(1)
		for i := len(h.Buckets) - 1; i >= 0 && h.Buckets[i].Count == 1; i-- {
			got = h.Buckets[i].UpTo
		}
		if got != c.want || h.Count != 1 || h.Sum != max(0, c.took.Seconds()) {
			t.Errorf("%v: up to %v, sum %v, count %d; want up to %v", c.took, got, h.Sum, h.Count, c.want)
		}
		if q, most := h.Quantile(1), min(c.want, 16.777216); q != most {
			t.Errorf("%v: the largest is %v, want %v", c.took, q, most)
		}
	}
	m := metrics.New()
	if h := m.Snapshot().Reads.Took; h.Quantile(0.5) != 0 || h.Mean() != 0 {
		t.Error("no values have a quantile")
	}
	for i := range 1000 { // 1 … 1000 µs
		m.Listen().Read(engine.ReadStats{Took: time.Duration(i+1) * time.Microsecond})
	}
	h := m.Snapshot().Reads.Took
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 1} {
		got, want := h.Quantile(q), q*1e-3
		if got > 2*want+1e-6 || got < want/2 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	if mean := h.Mean(); math.Abs(mean-500.5e-6) > 1e-12 {
		t.Errorf("the mean is %v", mean)
	}
}

// TestManyLogsAtOnce: goroutines, two logs, and somebody who looks on; the race
// detector, too.
func TestManyLogsAtOnce(t *testing.T) {
	m := metrics.New()
	var all, looking sync.WaitGroup
	stop := make(chan struct{})
	looking.Go(func() {
		for last := uint64(0); ; {
			s := m.Snapshot()
			if s.Commits.Events < last {
				t.Errorf("events fell from %d to %d", last, s.Commits.Events)
			}
			last = s.Commits.Events
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	const logs, clients, calls = 2, 4, 50
	for range logs {
		log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Metrics: m.Listen()})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		m.Watch(log)
		for i := range clients {
			all.Go(func() {
				for range calls {
					if _, err := log.Append(context.Background(), engine.Draft{Stream: fmt.Sprint("s", i), Type: "t", Data: []byte("1234567")}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	close(stop)
	looking.Wait()
	s := m.Snapshot()
	const want = logs * clients * calls
	if d := s.Calls["durable"]; s.InFlight != 0 || d.Took.Count != want || d.Events != want || d.Bytes != want*7 || s.Commits.Events != want || s.Opens.Took.Count != logs {
		t.Errorf("%s", m)
	}
	if s.Log == nil || s.Log.Events != clients*calls {
		t.Errorf("the log that is watched: %+v", s.Log)
	}
	if m.Watch(nil); m.Snapshot().Log != nil {
		t.Error("nobody is watched, and a log is there")
	}
}

// TestCountingAllocatesNothing: being told.
func TestCountingAllocatesNothing(t *testing.T) {
	l, ctx := metrics.New().Listen(), context.Background()
	if n := testing.AllocsPerRun(100, func() {
		l.Call(l.CallBegin(ctx, engine.CallStats{}), engine.CallStats{Took: time.Second})
		l.Group(engine.GroupStats{Took: time.Second, Calls: 3, Batches: 3})
		l.Read(engine.ReadStats{})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAppend is durable and buffered calls on a real directory, with nobody who
// listens, and counted.
func BenchmarkAppend(b *testing.B) {
	for _, durability := range []engine.Durability{engine.Durable, engine.Buffered} {
		for _, counted := range []bool{false, true} {
			b.Run(fmt.Sprintf("durability=%d/counted=%t", durability, counted), func(b *testing.B) {
				options := engine.Options{Dir: b.TempDir()}
				if counted {
					options.Metrics = metrics.New().Listen()
				}
				log, err := engine.Open(options)
				if err != nil {
					b.Fatal(err)
				}
				defer log.Close()
				batch := engine.Batch{Durability: durability, Events: []engine.Draft{{Stream: "s", Type: "t", Data: make([]byte, 100)}}}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := log.AppendBatch(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
