package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// TestLimits hands in each thing at its limit, which is taken, and one beyond it,
// which is refused and leaves nothing.
func TestLimits(t *testing.T) {
	options := engine.Options{MaxPayload: 1000, MaxMetadata: 200, MaxBatchEvents: 3, MaxBatchBytes: 4000}
	long := strings.Repeat("é", 127) + "x" // 255 bytes
	for _, row := range []struct {
		name   string
		fits   engine.Batch
		beyond engine.Batch
		says   error
	}{
		{"payload", one(func(d *engine.Draft) { d.Data = make([]byte, 1000) }), one(func(d *engine.Draft) { d.Data = make([]byte, 1001) }), engine.ErrLimit},
		{"metadata", one(func(d *engine.Draft) { d.Metadata = make([]byte, 200) }), one(func(d *engine.Draft) { d.Metadata = make([]byte, 201) }), engine.ErrLimit},
		{"extensions", one(func(d *engine.Draft) { d.Extensions = map[string][]byte{"x": make([]byte, 190)} }),
			one(func(d *engine.Draft) { d.Extensions = map[string][]byte{"x": make([]byte, 200)} }), engine.ErrLimit},
		{"scope", one(func(d *engine.Draft) { d.Scope = long }), one(func(d *engine.Draft) { d.Scope = long + "x" }), engine.ErrLimit},
		{"stream", one(func(d *engine.Draft) { d.Stream = long }), one(func(d *engine.Draft) { d.Stream = long + "x" }), engine.ErrLimit},
		{"type", one(func(d *engine.Draft) { d.Type = long }), one(func(d *engine.Draft) { d.Type = long + "x" }), engine.ErrLimit},
		{"key", one(func(d *engine.Draft) { d.Key = long }), one(func(d *engine.Draft) { d.Key = long + "x" }), engine.ErrLimit},
		{"key of the batch", engine.Batch{Key: long, Events: drafts("a", "b")}, engine.Batch{Key: long + "x", Events: drafts("a")}, engine.ErrLimit},
		{"events", engine.Batch{Events: drafts("a", "b", "c")}, engine.Batch{Events: drafts("a", "b", "c", "d")}, engine.ErrLimit},
		{"bytes", engine.Batch{Events: drafts(big("a", 1000), big("b", 1000), big("c", 1000))}, engine.Batch{Events: metadata(drafts(big("a", 1000), big("b", 1000), big("c", 1000)), 400/2)}, nil},
		{"empty stream", one(func(d *engine.Draft) { d.Scope = "" }), one(func(d *engine.Draft) { d.Stream = "" }), engine.ErrInvalid},
		{"empty type", one(func(d *engine.Draft) {}), one(func(d *engine.Draft) { d.Type = "" }), engine.ErrInvalid},
		{"control character", one(func(d *engine.Draft) { d.Stream = "ä 日本/:*?\\" }), one(func(d *engine.Draft) { d.Stream = "a\x00" }), engine.ErrInvalid},
		{"another control character", one(func(d *engine.Draft) { d.Type = "a b" }), one(func(d *engine.Draft) { d.Type = "a\u0085" }), engine.ErrInvalid},
		{"not UTF-8", one(func(d *engine.Draft) { d.Data = []byte{0xff} }), one(func(d *engine.Draft) { d.Scope = "\xff" }), engine.ErrInvalid},
		{"a key of any bytes", one(func(d *engine.Draft) { d.Key = "\xff\x00" }), engine.Batch{Key: "k", Events: []engine.Draft{{Stream: "s", Type: "t", Key: "l"}}}, engine.ErrInvalid},
		{"all keyed or none", engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Key: "k"}, {Stream: "s", Type: "t", Key: "l"}}},
			engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Key: "k"}, {Stream: "s", Type: "t"}}}, engine.ErrInvalid},
		{"a key twice", one(func(d *engine.Draft) {}),
			engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Key: "k"}, {Stream: "s", Type: "t", Key: "k"}}}, engine.ErrInvalid},
		{"durability", engine.Batch{Durability: engine.Buffered, Events: drafts("a")}, engine.Batch{Durability: 2, Events: drafts("a")}, engine.ErrInvalid},
		{"cause", engine.Batch{Events: []engine.Draft{draft("a"), {Stream: "s", Type: "t", CausedBy: engine.Item(0)}}},
			engine.Batch{Events: []engine.Draft{draft("a"), {Stream: "s", Type: "t", CausedBy: engine.Item(1)}}}, engine.ErrInvalid},
		{"a negative cause", engine.Batch{Events: drafts("a")}, one(func(d *engine.Draft) { d.CausedBy = engine.Item(-1) }), engine.ErrInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newMachine(t, options)
			log := m.open()
			ctx := context.Background()
			if row.says == nil {
				row.says = engine.ErrLimit
			}
			before := tree(t, m.disk)
			_, err := log.AppendBatch(ctx, row.beyond)
			matches(t, err, engine.ErrRejected, row.says)
			if after := tree(t, m.disk); fmt.Sprint(before) != fmt.Sprint(after) {
				t.Error("a refused batch has left bytes")
			}
			receipts, err := log.AppendBatch(ctx, row.fits)
			if err != nil {
				t.Fatal(err)
			}
			if len(receipts) != len(row.fits.Events) || receipts[0].Sequence != 1 || receipts[0].Version != 1 {
				t.Errorf("receipts %+v", receipts)
			}
			if err := log.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, d := range row.fits.Events {
				want = append(want, string(d.Data))
			}
			m.holds(log, want...)
			closed(t, log)
			m.reopened(want...)
		})
	}
}

// one is a batch of one draft with something changed.
func one(change func(*engine.Draft)) engine.Batch {
	d := draft("one")
	change(&d)
	return engine.Batch{Events: []engine.Draft{d}}
}

func metadata(list []engine.Draft, n int) []engine.Draft {
	for i := range list {
		list[i].Metadata = make([]byte, n)
	}
	return list
}

func TestAllProblemsOfABatchAtOnce(t *testing.T) {
	log := newMachine(t, engine.Options{}).open()
	defer closed(t, log)
	_, err := log.AppendBatch(context.Background(), engine.Batch{Events: []engine.Draft{{Type: "t"}, {Stream: "s"}, {Stream: "s", Type: strings.Repeat("x", 256)}}})
	matches(t, err, engine.ErrRejected, engine.ErrInvalid, engine.ErrLimit)
	for _, want := range []string{"item 0: ", "Stream is empty", "item 1: ", "Type is empty", "item 2: ", "256 bytes"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if receipts, err := log.AppendBatch(context.Background(), engine.Batch{}); receipts != nil || err != nil {
		t.Errorf("an empty batch: %v, %v", receipts, err)
	}
}

// TestLimitsComeFirst: a batch that is too large is told so, whatever else the log
// would say to it.
func TestLimitsComeFirst(t *testing.T) {
	log := newMachine(t, engine.Options{}).open()
	defer closed(t, log)
	large := drafts(big("a", 30_000), big("b", 30_000))
	large[1].Expect = engine.Exactly(9)
	_, err := log.AppendBatch(context.Background(), engine.Batch{Events: large})
	matches(t, err, engine.ErrRejected, engine.ErrLimit)
	if errors.Is(err, engine.ErrWrongVersion) {
		t.Errorf("%v", err)
	}
}

// TestExpectInBatches checks every expectation before the first byte, later items
// seeing the earlier ones.
func TestExpectInBatches(t *testing.T) {
	type item struct {
		stream string
		expect engine.Expect
	}
	for _, row := range []struct {
		name   string
		items  []item
		wrong  int // item, or −1
		actual uint64
	}{
		{"all hold", []item{{"old", engine.Exactly(2)}, {"new", engine.NoStream}, {"new", engine.Exactly(1)}, {"old", engine.StreamExists}, {"old", engine.Exactly(4)}}, -1, 0},
		{"no stream twice", []item{{"new", engine.NoStream}, {"new", engine.NoStream}}, 1, 1},
		{"no stream is version 0", []item{{"new", engine.Exactly(0)}}, -1, 0},
		{"exists because of an earlier item", []item{{"new", engine.Any}, {"new", engine.StreamExists}}, -1, 0},
		{"exists only because of a later item", []item{{"new", engine.StreamExists}, {"new", engine.Any}}, 0, 0},
		{"not any more", []item{{"old", engine.NoStream}}, 0, 2},
		{"too early", []item{{"old", engine.Any}, {"old", engine.Exactly(2)}}, 1, 3},
		{"too late", []item{{"new", engine.Any}, {"old", engine.Exactly(3)}}, 1, 2},
		{"the largest version", []item{{"old", engine.Exactly(math.MaxUint64 - 2)}}, 0, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newMachine(t, engine.Options{})
			log := m.open()
			for range 2 {
				if _, err := log.Append(context.Background(), engine.Draft{Stream: "old", Type: "t"}); err != nil {
					t.Fatal(err)
				}
			}
			var batch engine.Batch
			for _, i := range row.items {
				batch.Events = append(batch.Events, engine.Draft{Stream: i.stream, Type: "t", Expect: i.expect})
			}
			before := tree(t, m.disk)
			_, err := log.AppendBatch(context.Background(), batch)
			if row.wrong < 0 {
				if err != nil {
					t.Fatal(err)
				}
			} else {
				matches(t, err, engine.ErrRejected, engine.ErrWrongVersion)
				var wrong *engine.WrongVersionError
				if !errors.As(err, &wrong) || wrong.Actual != row.actual || wrong.Expected != row.items[row.wrong].expect || wrong.Stream != row.items[row.wrong].stream {
					t.Errorf("%+v", wrong)
				}
				var which *engine.ItemError
				if len(row.items) > 1 && (!errors.As(err, &which) || which.Item != row.wrong) {
					t.Errorf("error %v names item %+v, want %d", err, which, row.wrong)
				}
				if fmt.Sprint(before) != fmt.Sprint(tree(t, m.disk)) {
					t.Error("a refused batch has left bytes")
				}
				if head := log.Head("", "new"); head != (engine.Head{Stream: "new"}) {
					t.Errorf("a refused batch has left head %+v", head)
				}
			}
			verified(t, log)
			closed(t, log)
		})
	}
}

// TestKeyConflicts retries a keyed batch with each difference that makes it
// another one, and with each that does not.
func TestKeyConflicts(t *testing.T) {
	original := func() engine.Batch {
		return engine.Batch{Events: []engine.Draft{
			{Scope: "c", Stream: "s", Type: "t", Data: []byte("one"), PayloadVersion: 1, Key: "a", Expect: engine.NoStream},
			{Stream: "u", Type: "t", Data: []byte("two"), Key: "b"},
		}}
	}
	for _, row := range []struct {
		name   string
		change func(b *engine.Batch)
		items  []int
		says   string
	}{
		{"nothing", func(*engine.Batch) {}, nil, ""},
		{"flags, metadata, expectation and durability are no part of it", func(b *engine.Batch) {
			b.Events[0].Flags, b.Events[0].Metadata, b.Events[0].Expect, b.Durability = 7, []byte("m"), engine.Exactly(9), engine.Buffered
		}, nil, ""},
		{"scope", func(b *engine.Batch) { b.Events[0].Scope = "" }, []int{0}, "scope"},
		{"stream", func(b *engine.Batch) { b.Events[1].Stream = "s" }, []int{1}, "stream"},
		{"type", func(b *engine.Batch) { b.Events[1].Type = "x" }, []int{1}, "type"},
		{"payload", func(b *engine.Batch) { b.Events[0].Data = []byte("two"); b.Events[1].Data = nil }, []int{0, 1}, "payload"},
		{"payload version", func(b *engine.Batch) { b.Events[0].PayloadVersion = 0 }, []int{0}, "payload version"},
		{"order", func(b *engine.Batch) { slices.Reverse(b.Events) }, []int{0, 1}, "another batch"},
		{"fewer", func(b *engine.Batch) { b.Events = b.Events[:1] }, []int{0}, "another batch"},
		{"the second alone", func(b *engine.Batch) { b.Events = b.Events[1:] }, []int{0}, "another batch"},
		{"more", func(b *engine.Batch) { b.Events = append(b.Events, engine.Draft{Stream: "s", Type: "t", Key: "c"}) }, []int{0, 1, 2}, "another batch"},
		{"one new key", func(b *engine.Batch) { b.Events[1].Key = "c" }, []int{1}, "not known"},
		{"from two batches", func(b *engine.Batch) { b.Events[1].Key = "other" }, []int{1}, "another batch"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newMachine(t, engine.Options{})
			log := m.open()
			first, err := log.AppendBatch(context.Background(), original())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := log.Append(context.Background(), engine.Draft{Stream: "u", Type: "t", Data: []byte("two"), Key: "other"}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time after a restart
				batch := original()
				row.change(&batch)
				receipts, err := log.AppendBatch(context.Background(), batch)
				if row.items == nil {
					if err != nil {
						t.Fatal(err)
					}
					if !slices.EqualFunc(receipts, first, engine.Receipt.Equal) {
						t.Errorf("receipts %+v, want %+v", receipts, first)
					}
				} else {
					matches(t, err, engine.ErrRejected, engine.ErrKeyConflict)
					var conflict *engine.KeyConflictError
					if !errors.As(err, &conflict) {
						t.Fatal(err)
					}
					var items []int
					said := false
					for _, c := range conflict.Items {
						items = append(items, c.Item)
						said = said || strings.Contains(c.Reason, row.says)
						if c.Key != batch.Events[c.Item].Key {
							t.Errorf("item %d has key %q, not %q", c.Item, batch.Events[c.Item].Key, c.Key)
						}
					}
					if !slices.Equal(items, row.items) || !said {
						t.Errorf("%v names items %v, want %v and %q", err, items, row.items, row.says)
					}
				}
				m.holds(log, "one", "two", "two")
				closed(t, log)
				log = m.open()
			}
			closed(t, log)
		})
	}
}

// TestKeysAreOneNamespace: item i of a batch with key k has the key k/i.
func TestKeysAreOneNamespace(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	ctx := context.Background()
	receipts, err := log.AppendBatch(ctx, engine.Batch{Key: "k", Events: drafts("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := log.ReceiptOf("k/1")
	if err != nil || !got.Equal(receipts[1]) {
		t.Errorf("ReceiptOf: %+v, %v", got, err)
	}
	if _, err := log.ReceiptOf("k"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("ReceiptOf a batch's key: %v", err)
	}
	same, err := log.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Data: []byte("a"), Key: "k/0"}, {Stream: "s", Type: "t", Data: []byte("b"), Key: "k/1"}}})
	if err != nil || !slices.EqualFunc(same, receipts, engine.Receipt.Equal) {
		t.Errorf("the same keys, given to the items: %+v, %v", same, err)
	}
	m.holds(log, "a", "b")
	closed(t, log)
}

// TestBufferedByCount: the event that reaches Options.SyncCount brings the sync.
func TestBufferedByCount(t *testing.T) {
	m := newMachine(t, engine.Options{SyncCount: 3})
	log := m.open()
	for i := range 7 {
		receipts := buffered(t, log, fmt.Sprint(i))
		durable := uint64((i + 1) / 3 * 3)
		stats := log.Stats()
		if stats.Durable.Sequence != durable || stats.Visible != stats.Durable || stats.Written.Sequence != uint64(i+1) {
			t.Errorf("after %d events: %+v", i+1, stats)
		}
		if receipts[0].Durable != (receipts[0].Sequence <= durable) {
			t.Errorf("receipt %+v", receipts[0])
		}
	}
	if got := payloads(all(t, log, engine.Query{})); fmt.Sprint(got) != "[0 1 2 3 4 5]" {
		t.Errorf("visible: %q", got)
	}
	for i, e := range all(t, log, engine.Query{Buffered: true}) {
		if string(e.Data) != fmt.Sprint(i) || e.Durable != (i < 6) {
			t.Errorf("event %+v", e)
		}
	}
	if head := log.Head("", "s"); head.Version != 6 {
		t.Errorf("the head shows what is not visible: %+v", head)
	}
	m.powerLoss(simfs.Oldest())
	m.reopened("0", "1", "2", "3", "4", "5")
}

// TestBufferedByTime: the first buffered event arms a timer, and a sync by
// anybody disarms it.
func TestBufferedByTime(t *testing.T) {
	m := newMachine(t, engine.Options{SyncEvery: 40 * time.Millisecond})
	log := m.open()
	durable := func(want uint64) {
		t.Helper()
		if got := log.Stats().Durable.Sequence; got != want {
			t.Errorf("at %v durable is %d, want %d", m.clock.Elapsed(), got, want)
		}
	}
	buffered(t, log, "0")
	m.clock.Advance(30 * time.Millisecond)
	buffered(t, log, "1") // does not put it off
	durable(0)
	m.clock.Advance(10 * time.Millisecond)
	durable(2)
	buffered(t, log, "2")
	m.clock.Advance(20 * time.Millisecond)
	appended(t, log, "3")
	durable(4)
	buffered(t, log, "4")
	m.clock.Advance(20 * time.Millisecond) // the timer of 2 would be due
	durable(4)
	m.clock.Advance(20 * time.Millisecond)
	durable(5)
	m.powerLoss(simfs.Oldest())
	m.reopened("0", "1", "2", "3", "4")
}

func TestWaitDurableAndSync(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	ctx := context.Background()
	receipts := buffered(t, log, "a", "b")
	if receipts[1].Durable {
		t.Error("a buffered receipt says durable")
	}
	if err := log.WaitDurable(ctx, 3); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("waiting for what is not written: %v", err)
	}
	if err := log.WaitDurable(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if got := log.Stats().Durable.Sequence; got != 2 {
		t.Errorf("durable is %d", got)
	}
	buffered(t, log, "c")
	if err := log.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if err := log.WaitDurable(ctx, 3); err != nil {
		t.Fatal(err)
	}
	buffered(t, log, "lost")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := log.WaitDurable(cancelled, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	if err := log.Sync(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled sync: %v", err)
	}
	m.powerLoss(simfs.Oldest())
	m.reopened("a", "b", "c")
}

// TestNoAnswerBeforeItsReasons: a refusal and a key hit that follow from buffered
// events come back with the sync that covers these.
func TestNoAnswerBeforeItsReasons(t *testing.T) {
	ctx := context.Background()
	keyed := engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Data: []byte("a"), Key: "k"}}, Durability: engine.Buffered}
	for name, call := range map[string]func(log *engine.Log) error{
		"refusal": func(log *engine.Log) error {
			_, err := log.AppendBatch(ctx, engine.Batch{Durability: engine.Buffered, Events: []engine.Draft{{Stream: "s", Type: "t", Expect: engine.NoStream}}})
			matches(t, err, engine.ErrRejected, engine.ErrWrongVersion)
			return nil
		},
		"key hit": func(log *engine.Log) error {
			again := keyed
			again.Durability = engine.Durable
			receipts, err := log.AppendBatch(ctx, again)
			if err == nil && !receipts[0].Durable {
				t.Error("the hit of a durable call is not durable")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, engine.Options{})
			log := m.open()
			if _, err := log.AppendBatch(ctx, keyed); err != nil {
				t.Fatal(err)
			}
			if err := call(log); err != nil {
				t.Fatal(err)
			}
			m.powerLoss(simfs.Oldest())
			m.reopened("a")

			m = newMachine(t, engine.Options{})
			log = m.open("step=1 syncdata seg #1: failsync ext4")
			if _, err := log.AppendBatch(ctx, keyed); err != nil {
				t.Fatal(err)
			}
			m.happen()
			again := keyed
			again.Durability = engine.Durable
			if name == "refusal" {
				again = engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Expect: engine.NoStream}}}
			}
			_, err := log.AppendBatch(ctx, again)
			m.happened()
			matches(t, err, engine.ErrInDoubt)
		})
	}
}

// TestCancelledBeforeTheCommit: a call whose context has ended is rejected and
// leaves nothing; so is one that ends while another call has the disk.
func TestCancelledBeforeTheCommit(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := log.AppendBatch(ctx, engine.Batch{Key: "k", Events: drafts("cancelled")})
	matches(t, err, engine.ErrRejected, context.Canceled)
	m.holds(log)
	if _, err := log.AppendBatch(context.Background(), engine.Batch{Key: "k", Events: drafts("again")}); err != nil {
		t.Fatal(err)
	}
	closed(t, log)
	m.reopened("again")
}

func TestAfterClose(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	receipts := appended(t, log, "a")
	closed(t, log)
	closed(t, log) // the second time it does nothing
	ctx := context.Background()
	_, err := log.Append(ctx, draft("b"))
	matches(t, err, engine.ErrRejected, engine.ErrClosed)
	for name, err := range map[string]error{"sync": log.Sync(ctx), "get": second(log.Get(receipts[0].ID)), "at": second(log.At(1)), "verify": second(log.Verify(ctx)), "receipt": log.VerifyReceipt(receipts[0])} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, err := range log.Read(engine.Query{}) {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	}
	m.reopened("a")
}

func second[T any](_ T, err error) error { return err }

// TestManyCallers appends, reads, syncs and closes from many goroutines, over a
// real directory and over a simulated disk with real goroutines. The race
// detector looks on.
func TestManyCallers(t *testing.T) {
	disks := map[string]engine.Options{
		"real":      {Dir: t.TempDir()},
		"simulated": {Dir: "log", FS: simfs.New(simfs.Options{}), Clock: simclock.New(simclock.Epoch())},
	}
	for name, options := range disks {
		t.Run(name, func(t *testing.T) {
			options.SegmentSize = 64 << 10
			options.SyncEvery = time.Millisecond
			log := openDir(t, options)
			const callers, each = 8, 40
			ctx := context.Background()
			var group sync.WaitGroup
			stop := make(chan struct{})
			for reader := range 2 {
				group.Go(func() {
					last := uint64(0)
					for {
						select {
						case <-stop:
							return
						default:
						}
						next := uint64(1)
						for e, err := range log.Read(engine.Query{Buffered: reader == 1}) {
							if err != nil {
								t.Error(err)
								return
							}
							if e.Sequence != next {
								t.Errorf("event %d after %d", e.Sequence, next-1)
								return
							}
							next++
						}
						if s := log.Stats(); s.Accepted.Sequence < s.Durable.Sequence || s.Written.Sequence < s.Durable.Sequence || s.Visible.Sequence > s.Durable.Sequence || s.Durable.Sequence < last {
							t.Errorf("stats %+v after durable %d", s, last)
						} else {
							last = s.Durable.Sequence
						}
						if reader == 0 {
							verified := second(log.Verify(ctx))
							if verified != nil {
								t.Error(verified)
							}
						}
					}
				})
			}
			var writers sync.WaitGroup
			for caller := range callers {
				writers.Go(func() {
					for i := range each {
						batch := engine.Batch{Key: fmt.Sprintf("%d/%d", caller, i), Durability: engine.Durability(i % 2)}
						for j := range i%3 + 1 {
							batch.Events = append(batch.Events, engine.Draft{Stream: fmt.Sprint(caller), Type: "t", Data: []byte(big(fmt.Sprintf("%d %d %d", caller, i, j), 700)), Expect: engine.Exactly(version(i) + uint64(j))})
						}
						if _, err := log.AppendBatch(ctx, batch); err != nil {
							t.Error(err)
							return
						}
						if i%10 == 0 {
							if err := log.Sync(ctx); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			writers.Wait()
			close(stop)
			group.Wait()
			closed(t, log)
			log = openDir(t, options)
			for caller := range callers {
				var want, got []string
				for i := range each {
					for j := range i%3 + 1 {
						want = append(want, big(fmt.Sprintf("%d %d %d", caller, i, j), 700))
					}
				}
				for _, e := range all(t, log, engine.Query{Stream: fmt.Sprint(caller)}) {
					got = append(got, string(e.Data))
				}
				if !slices.Equal(got, want) {
					t.Errorf("caller %d: %.20q, want %.20q", caller, got, want)
				}
			}
			verified(t, log)
		})
	}
}

// version is how many events the batches before number i have.
func version(i int) (n uint64) {
	for k := range i {
		n += uint64(k%3 + 1)
	}
	return n
}

// TestCloseWhileCallsAreMade: every call is acknowledged and there, or rejected
// and not there.
func TestCloseWhileCallsAreMade(t *testing.T) {
	for round := range 10 {
		dir := t.TempDir()
		log := openDir(t, engine.Options{Dir: dir})
		var group sync.WaitGroup
		var mu sync.Mutex
		acked := map[string]bool{}
		for caller := range 4 {
			group.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("%d.%d", caller, i)
					_, err := log.Append(context.Background(), draft(name))
					if errors.Is(err, engine.ErrClosed) && errors.Is(err, engine.ErrRejected) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acked[name] = true
					mu.Unlock()
				}
			})
		}
		for log.Stats().Events < uint64(round*3) {
			time.Sleep(time.Millisecond)
		}
		closed(t, log)
		group.Wait()
		log = openDir(t, engine.Options{Dir: dir})
		for _, e := range all(t, log, engine.Query{}) {
			if !acked[string(e.Data)] {
				t.Errorf("%q is there and was not acknowledged", e.Data)
			}
			delete(acked, string(e.Data))
		}
		if len(acked) > 0 {
			t.Errorf("not there: %v", acked)
		}
		verified(t, log)
	}
}

// TestZerosAreWrittenMeanwhile appends small groups while zeros are written ahead
// of them. The race detector looks on.
func TestZerosAreWrittenMeanwhile(t *testing.T) {
	dir := t.TempDir()
	log := openDir(t, engine.Options{Dir: dir, SegmentSize: 256 << 10})
	var want []string
	for i := range 300 {
		want = append(want, big(fmt.Sprint(i), i*37%5000+3))
		buffered(t, log, want[i])
	}
	closed(t, log)
	log = openDir(t, engine.Options{Dir: dir})
	if got := payloads(all(t, log, engine.Query{})); !slices.Equal(got, want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
	verified(t, log)
}
