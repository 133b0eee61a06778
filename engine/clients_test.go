package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// turns makes an engine.Waits of a scheduler.
type turns struct{ *simclock.Scheduler }

func (t turns) Signal(reason string) engine.Signal { return t.Scheduler.Signal(reason) }

// crowd is a log whose callers are tasks of a scheduler.
type crowd struct {
	disk  *simfs.FS
	clock *simclock.Clock
	turns *simclock.Scheduler
	log   *engine.Log
	syncs int

	failing bool // the next write of a segment fails
	inDoubt bool // Close has something to complain of
}

func newCrowd(t *testing.T, seed uint64, options engine.Options, work func(c *crowd)) {
	t.Helper()
	clock := simclock.New(simclock.Epoch())
	c := &crowd{disk: simfs.New(simfs.Options{}), clock: clock, turns: simclock.NewScheduler(clock, simclock.Order{Seed: seed})}
	options.Dir, options.Clock, options.Waits = "log", clock, turns{c.turns}
	options.Rand = rand.NewChaCha8([32]byte{byte(seed)})
	failing := failingWrites{c.disk, c}
	options.FS = faults.New(failing, nil, faults.Options{Before: func(op faults.OpKind, path string) {
		if op == faults.SyncData {
			c.syncs++
		}
		c.turns.Switch(op.String())
	}})
	c.turns.OnSwitch(func(where string) {
		if c.log != nil && !c.log.MutexFree() {
			t.Errorf("seed %d: the mutex is held at %s", seed, where)
		}
	})
	c.turns.Run("main", func() {
		var err error
		if c.log, err = engine.Open(options); err != nil {
			t.Error(err)
			return
		}
		work(c)
		if err := c.log.Close(); (err != nil) != c.inDoubt {
			t.Error(err)
		}
	})
}

// failingWrites is a disk on which one write fails when the crowd says so.
type failingWrites struct {
	*simfs.FS
	c *crowd
}

func (f failingWrites) OpenFile(name string, flag int, mode fs.FileMode) (afero.File, error) {
	file, err := f.FS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return failingFile{file.(*simfs.File), f.c}, nil
}

type failingFile struct {
	*simfs.File
	c *crowd
}

func (f failingFile) WriteAt(b []byte, offset int64) (int, error) {
	if f.c.failing {
		f.c.failing = false
		return 0, fmt.Errorf("an injected error: %w", syscall.EIO)
	}
	return f.File.WriteAt(b, offset)
}

// each runs f as n tasks, and waits for them.
func (c *crowd) each(n int, f func(i int)) {
	var all []*simclock.Signal
	for i := range n {
		done := c.turns.Signal(fmt.Sprint("client ", i))
		all = append(all, done)
		c.turns.Go(fmt.Sprint("client ", i), func() { defer done.Set(); f(i) })
	}
	for _, done := range all {
		_ = done.Wait(context.Background())
	}
}

// TestCallsShareASync: with eight clients there are far fewer syncs than calls,
// every call has a place of its own, and the mutex is free wherever somebody else
// may run.
func TestCallsShareASync(t *testing.T) {
	const clients, calls = 8, 5
	for seed := range uint64(20) {
		var sequences []uint64
		var syncs int
		newCrowd(t, seed, engine.Options{SegmentSize: 64 << 10}, func(c *crowd) {
			c.syncs = 0
			c.each(clients, func(i int) {
				for k := range calls {
					r, err := c.log.Append(context.Background(), engine.Draft{Stream: fmt.Sprint("s", i), Type: "t", Expect: engine.Exactly(uint64(k))})
					if err != nil || !r.Durable || r.Version != uint64(k)+1 {
						t.Errorf("seed %d, client %d, call %d: %+v, %v", seed, i, k, r, err)
						return
					}
					sequences = append(sequences, r.Sequence)
				}
			})
			syncs = c.syncs
		})
		slices.Sort(sequences)
		if len(slices.Compact(sequences)) != clients*calls || sequences[len(sequences)-1] != clients*calls {
			t.Fatalf("seed %d: %v", seed, sequences)
		}
		if syncs > clients*calls/2 {
			t.Errorf("seed %d: %d syncs for %d calls", seed, syncs, clients*calls)
		}
	}
}

// TestALoneCallerDoesNotWait: it makes no signal, lets nobody go first, and its
// call is one write and one sync.
func TestALoneCallerDoesNotWait(t *testing.T) {
	newCrowd(t, 1, engine.Options{Preallocate: -1}, func(c *crowd) {
		if _, err := c.log.Append(context.Background(), draft("first")); err != nil {
			t.Error(err)
		}
		var told []string
		c.turns.OnSwitch(func(where string) { told = append(told, where) })
		if _, err := c.log.Append(context.Background(), draft("second")); err != nil {
			t.Error(err)
		}
		c.turns.OnSwitch(nil)
		if !slices.Equal(told, []string{"writeat", "syncdata"}) {
			t.Errorf("an append is %v", told)
		}
	})
}

// TestOneCallsErrorIsItsOwn: of calls in one group the refused are refused, and
// the others are there.
func TestOneCallsErrorIsItsOwn(t *testing.T) {
	for seed := range uint64(20) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			errs := make([]error, 9)
			c.each(len(errs), func(i int) {
				d := engine.Draft{Stream: fmt.Sprint("s", i), Type: "t"}
				if i%3 == 0 {
					d.Expect = engine.Exactly(7)
				}
				_, errs[i] = c.log.Append(context.Background(), d)
			})
			for i, err := range errs {
				if want := i%3 == 0; want != errors.Is(err, engine.ErrWrongVersion) || !want && err != nil {
					t.Errorf("seed %d, call %d: %v", seed, i, err)
				}
			}
			if n := c.log.LogHead().Sequence; n != 6 {
				t.Errorf("seed %d: %d events", seed, n)
			}
		})
	}
}

// TestAContextEndsACallBeforeItsGroup only.
func TestAContextEndsACallBeforeItsGroup(t *testing.T) {
	newCrowd(t, 3, engine.Options{}, func(c *crowd) {
		ctx, cancel := context.WithCancel(context.Background())
		errs := make([]error, 8)
		c.each(len(errs), func(i int) {
			if i == 5 {
				cancel()
			}
			_, errs[i] = c.log.Append(ctx, draft(fmt.Sprint(i)))
		})
		there := uint64(0)
		for i, err := range errs {
			if err == nil {
				there++
			} else if !errors.Is(err, engine.ErrRejected) || !errors.Is(err, context.Canceled) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if n := c.log.LogHead().Sequence; n != there {
			t.Errorf("%d events, and %d calls that were answered so", n, there)
		}
	})
}

// TestClientsOnARealDisk: goroutines, a rotation now and then, and a Close under
// their hands. The race detector looks on.
func TestClientsOnARealDisk(t *testing.T) {
	dir := t.TempDir()
	log, err := engine.Open(engine.Options{Dir: dir, SegmentSize: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	answered := map[uint64]engine.Receipt{}
	for i := range 16 {
		group.Go(func() {
			for k := 0; ; k++ {
				batch := engine.Batch{Events: []engine.Draft{{Stream: fmt.Sprint("s", i), Type: "t", Data: make([]byte, 900)}}}
				if k%5 == 4 {
					batch.Durability = engine.Buffered
				}
				receipts, err := log.AppendBatch(context.Background(), batch)
				if errors.Is(err, fs.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				answered[receipts[0].Sequence] = receipts[0]
				mu.Unlock()
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	log, err = engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n := uint64(0)
	for event, err := range log.Read(engine.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if r := answered[event.Sequence]; r.ID != event.ID || r.Hash != event.Hash || r.Version != event.Version {
			t.Fatalf("event %d is not what was answered", event.Sequence)
		}
	}
	if n != uint64(len(answered)) || n < 100 {
		t.Errorf("%d events, %d answers", n, len(answered))
	}
}

// TestKeysOfTwoBatchesAreAConflict: also when one of the two is in the same group,
// and the other one was the first of the log.
func TestKeysOfTwoBatchesAreAConflict(t *testing.T) {
	shared := 0
	for seed := range uint64(40) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			keyed := func(keys ...string) engine.Batch {
				var b engine.Batch
				for _, key := range keys {
					b.Events = append(b.Events, engine.Draft{Stream: "s", Type: "t", Key: key})
				}
				return b
			}
			ctx := context.Background()
			if _, err := c.log.AppendBatch(ctx, keyed("a", "b")); err != nil {
				t.Error(err)
			}
			var errs [4]error
			batches := []engine.Batch{keyed("p"), keyed("x", "y"), keyed("x", "b"), keyed("x", "y")}
			c.each(len(errs), func(i int) { _, errs[i] = c.log.AppendBatch(ctx, batches[i]) })
			if n := c.log.LogHead(); n.Sequence == 5 && errs[1] == nil && errs[3] == nil && n.Batch == 3 {
				shared++
			}
			if !errors.Is(errs[2], engine.ErrKeyConflict) {
				t.Errorf("seed %d: keys of two batches: %v", seed, errs[2])
			}
		})
	}
	if shared == 0 {
		t.Error("no two calls with one key were in flight at the same time")
	}
}

// TestAHitSaysWhatItKnows: that the write of its group fails is nothing to a call
// whose events have been durable for long.
func TestAHitSaysWhatItKnows(t *testing.T) {
	failed := 0
	for seed := range uint64(40) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			ctx := context.Background()
			known := engine.Batch{Key: "k", Events: drafts("known")}
			first, err := c.log.AppendBatch(ctx, known)
			if err != nil {
				t.Error(err)
			}
			c.failing = true
			c.each(6, func(i int) {
				if i%2 == 0 {
					again, err := c.log.AppendBatch(ctx, known)
					if err != nil || !again[0].Equal(first[0]) || !again[0].Durable {
						t.Errorf("seed %d: a retry: %+v, %v", seed, again, err)
					}
				} else if _, err := c.log.Append(ctx, draft("new")); errors.Is(err, engine.ErrFailed) {
					failed++
				}
			})
		})
	}
	if failed == 0 {
		t.Error("no write has failed")
	}
}

// TestAPanicHangsNobody: an observer that panics takes its caller along, and the
// others are told.
func TestAPanicHangsNobody(t *testing.T) {
	told, armed := 0, false
	options := engine.Options{Observer: func(p engine.Point) {
		if armed && p.Name == engine.PointSync {
			armed = false
			panic("an observer's own bug")
		}
	}}
	newCrowd(t, 5, options, func(c *crowd) {
		armed = true
		c.each(8, func(i int) {
			defer func() { _ = recover() }()
			if _, err := c.log.Append(context.Background(), draft("one")); errors.Is(err, engine.ErrInDoubt) || errors.Is(err, engine.ErrLogFailed) {
				told++
			}
		})
		if told == 0 {
			t.Error("nobody was told")
		}
		if stats := c.log.Stats(); stats.Accepted != stats.Written {
			t.Errorf("what is accepted is %+v, written %+v", stats.Accepted, stats.Written)
		}
		c.inDoubt = true
	})
}

// TestAGroupFitsIntoASegment: however much its calls bring.
func TestAGroupFitsIntoASegment(t *testing.T) {
	for seed := range uint64(10) {
		newCrowd(t, seed, engine.Options{SegmentSize: 64 << 10}, func(c *crowd) {
			c.each(12, func(i int) {
				batch := engine.Batch{Key: fmt.Sprint("key-", i)}
				for k := range 1 + i%4 {
					batch.Events = append(batch.Events, engine.Draft{
						Scope: "a-scope", Stream: fmt.Sprint("stream-", i), Type: "a.type", Data: make([]byte, (i%5)*3000+k), Metadata: make([]byte, 40),
						Extensions: map[string][]byte{"x": make([]byte, 10)}, Lane: 3, Depth: 4, Flags: 5, PayloadVersion: 6, Erasable: i%2 == 0,
					})
				}
				if _, err := c.log.AppendBatch(context.Background(), batch); err != nil {
					t.Errorf("seed %d, client %d: %v", seed, i, err)
				}
			})
			if c.log.LogHead().Batch != 12 {
				t.Errorf("seed %d: %d batches", seed, c.log.LogHead().Batch)
			}
		})
	}
}
