package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
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
	l.Group(engine.GroupStats{Took: ms, Calls: 1, Batches: 1, Events: 100, Bytes: 10_000, Err: fmt.Errorf("%w: no", engine.ErrFailed), Outcome: engine.OutcomeFailed})
	l.Group(engine.GroupStats{Took: ms, Calls: 1, Batches: 1, Events: 100, Bytes: 10_000, Synced: true, Err: fmt.Errorf("%w: no", engine.ErrInDoubt), Outcome: engine.OutcomeInDoubt})
	l.Group(engine.GroupStats{Took: ms, Calls: 1, Err: engine.ErrRejected, Outcome: engine.OutcomeRejected})
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
	l.Signature(engine.SignatureStats{Took: ms, Batch: 7})
	l.Signature(engine.SignatureStats{Took: 2 * ms, Batch: 8})
	l.Signature(engine.SignatureStats{Took: ms, Batch: 9, Err: errors.New("no")})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 5})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 7, Took: ms, Events: 2})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 7, Attempt: 1, Err: errors.New("no")})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 7, Attempt: 2, Err: errors.New("no")})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 8, Took: ms, DeadLetters: 1})
	l.Handled(engine.HandledStats{Cursor: "mail", Through: 9, Ended: true})
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
		{&engine.DeniedError{Err: errors.New("no")}, "denied"},
		{&engine.DeniedError{Err: context.Canceled}, "denied"},
		{&engine.DeniedError{Err: engine.ErrLogFailed}, "denied"},
		{&engine.NoteChangedError{Name: "n"}, "note_changed"},
		{&engine.NoteChangedError{Name: "untorn.cursor/c"}, "cursor_moved"},
		{&engine.ItemError{Err: &engine.KeyConflictError{}}, "key_conflict"},
		{fmt.Errorf("%w: %w", engine.ErrLogFailed, engine.ErrNoSpace), "log_failed"},
		{engine.ErrNoSpace, "no_space"},
		{&engine.CorruptError{}, "corrupt"},
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

// TestEveryErrorHasAReason: of package engine's errors each has a reason of its own,
// or is none of a rejected call's, for the reason given here.
func TestEveryErrorHasAReason(t *testing.T) {
	counted := map[string]error{
		"ErrClosed": engine.ErrClosed, "ErrReadOnly": engine.ErrReadOnly, "ErrNoSpace": engine.ErrNoSpace, "ErrLimit": engine.ErrLimit,
		"ErrInvalid": engine.ErrInvalid, "ErrWrongVersion": engine.ErrWrongVersion, "ErrKeyConflict": engine.ErrKeyConflict,
		"ErrLogFailed": engine.ErrLogFailed, "ErrDenied": engine.ErrDenied, "ErrNoteChanged": engine.ErrNoteChanged, "ErrCursorMoved": engine.ErrCursorMoved,
		"ErrCorrupt": engine.ErrCorrupt, "ErrDiverged": engine.ErrDiverged, "ErrGap": engine.ErrGap, "ErrIDTaken": engine.ErrIDTaken,
	}
	left := map[string]string{
		"ErrOtherLog":       "of Open",
		"ErrNothingDurable": "of Log.Backup",
		"ErrTarget":         "of Log.Backup and Restore",
		"ErrUnfinished":     "of Open, and of Restore",
		"ErrNotClosed":      "of Restore",
		"ErrNotSigned":      "of Restore",
		"ErrRejected":       "the outcome itself",
		"ErrFailed":         "another outcome",
		"ErrInDoubt":        "another outcome",
		"ErrNotFound":       "of reads",
		"ErrRecovered":      "of reads: a log that follows is read-only",
		"ErrLocked":         "of Open",
		"ErrVersion":        "of Open, and of reads",
		"ErrCursorQuery":    "of Log.Cursor",
		"ErrTxDone":         "of Tx, before there is a call",
		"ErrPermanent":      "handlers say it, Handle never does",
	}
	names, err := filepath.Glob("../*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no source: %v", err)
	}
	declared, reasons := map[string]bool{}, map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			vars, ok := declaration.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				for _, ident := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(ident.Name, "Err") {
						declared[ident.Name] = true
					}
				}
			}
		}
	}
	for name := range declared {
		sentinel, isCounted := counted[name]
		if _, isLeft := left[name]; isCounted == isLeft {
			t.Errorf("%s: give it a reason, or say here why it has none", name)
		}
		if !isCounted {
			continue
		}
		reason := metrics.Reason(fmt.Errorf("%w: %w", engine.ErrRejected, sentinel))
		if other, taken := reasons[reason]; taken || reason == "other" {
			t.Errorf("the reason of %s is %q, as that of %s", name, reason, other)
		}
		reasons[reason] = name
		if _, ok := metrics.New().Snapshot().Rejected[reason]; !ok {
			t.Errorf("%q is not counted", reason)
		}
	}
	if len(declared) != len(counted)+len(left) {
		t.Errorf("package engine has %d errors, here are %d", len(declared), len(counted)+len(left))
	}
}

// TestLag: of a cursor behind the log that is watched, which has five events.
func TestLag(t *testing.T) {
	watched := metrics.StateOf(engine.Stats{Visible: engine.Frontier{Sequence: 5}})
	for _, c := range []struct {
		log    *metrics.Log
		cursor metrics.Cursor
		want   uint64
	}{
		{watched, metrics.Cursor{}, 5},
		{watched, metrics.Cursor{Through: 3}, 2},
		{watched, metrics.Cursor{Through: 5}, 0},
		{watched, metrics.Cursor{Through: 6}, 0}, // of another log
		{watched, metrics.Cursor{Through: 3, Ended: true}, 0},
		{nil, metrics.Cursor{Through: 3}, 0},
	} {
		if got := c.cursor.Lag(c.log); got != c.want {
			t.Errorf("%+v lags by %d, want %d", c.cursor, got, c.want)
		}
	}
}

// TestStateOf: each number is in its place.
func TestStateOf(t *testing.T) {
	at := func(sequence uint64) engine.Frontier { return engine.Frontier{Sequence: sequence} }
	got := *metrics.StateOf(engine.Stats{
		Accepted: at(9), Written: at(8), Durable: at(6), Visible: at(5), Events: 8, Batches: 4, Streams: 3, Failed: engine.ErrLogFailed,
		Segments: []engine.SegmentStats{{Used: 10, Size: 100}, {Used: 20, Size: 200}},
	})
	want := metrics.Log{Segments: 2, UsedBytes: 30, AllocatedBytes: 300, Events: 8, Batches: 4, Streams: 3, Accepted: 9, Written: 8, Durable: 6, Visible: 5, Unsynced: 2, Failed: true}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
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
	last := h.Buckets[0]
	for _, b := range h.Buckets[1:] {
		if b.UpTo != 2*last.UpTo || b.Count < last.Count {
			t.Errorf("%+v is behind %+v", b, last)
		}
		last = b
	}
	if h.Count != 1000 || last.Count != 1000 {
		t.Errorf("%d values, %d up to the last bound", h.Count, last.Count)
	}
	m.Listen().Read(engine.ReadStats{Took: time.Minute})
	if h := m.Snapshot().Reads.Took; h.Count != 1001 || h.Buckets[len(h.Buckets)-1].Count != 1000 || h.Quantile(1) != last.UpTo {
		t.Errorf("one above the last bound: %d values, the largest %v", h.Count, h.Quantile(1))
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
		l.Handled(engine.HandledStats{Cursor: "c", Events: 1})
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
