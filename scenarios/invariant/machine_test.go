package invariant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simfs"
)

var _ Log = (*engine.Log)(nil)

// subject is a log that can be crashed.
type subject interface {
	opened() Log
	// crash cuts the power during the call, or after it where nothing is left to
	// cut, and opens the log again. The seed chooses the moment and what is kept.
	crash(t *rapid.T, seed uint64, during func(Log))
	// kill ends the process that has the log open.
	kill()
	// again opens the log once more without having written; changes counts what
	// Open did to the disk.
	again() (Log, error)
	changes() uint64
}

type fakeSubject struct {
	disk *fakeDisk
	log  *fake
}

func (s *fakeSubject) opened() Log     { return s.log }
func (s *fakeSubject) changes() uint64 { return s.disk.changes }
func (s *fakeSubject) kill()           {}
func (s *fakeSubject) again() (Log, error) {
	s.log = open(s.disk)
	return s.log, nil
}

func (s *fakeSubject) crash(_ *rapid.T, seed uint64, during func(Log)) {
	durable := s.disk.durable
	during(s.log)
	s.disk.durable = durable
	s.disk.crash(durable + int(seed%uint64(len(s.disk.batches)-durable+1)))
	s.log = open(s.disk)
}

// realSubject is the engine on a simulated disk.
type realSubject struct {
	fs    *simfs.FS
	log   *engine.Log
	clock *handClock
	seed  uint64

	preallocate int64
}

type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time {
	c.now = c.now.Add(1500 * time.Microsecond)
	return c.now
}

// alone is for a log with one caller: nothing waits, and no timer ever fires.
type alone struct{}

func (alone) Signal(string) engine.Signal               { return new(set) }
func (alone) Yield()                                    {}
func (alone) After(time.Duration, func()) (stop func()) { return func() {} }
func (alone) Go(_ string, f func())                     { f() }

type set bool

func (s *set) Set() { *s = true }
func (s *set) Wait(context.Context) error {
	if !*s {
		return errors.New("nobody is there to set it")
	}
	return nil
}

func (s *realSubject) open() (*engine.Log, error) {
	s.seed++
	var key [32]byte
	key[0], key[1] = byte(s.seed), byte(s.seed>>8)
	return engine.Open(engine.Options{FS: s.fs, SegmentSize: 64 << 10, MaxPayload: 4000, Preallocate: s.preallocate, SyncEvery: time.Hour, Clock: s.clock, Rand: rand.NewChaCha8(key), Waits: alone{}})
}

func (s *realSubject) opened() Log { return s.log }

func (s *realSubject) changes() uint64 {
	n := uint64(0)
	for _, op := range s.fs.Log() {
		switch op.Kind {
		case simfs.OpSync, simfs.OpSyncData, simfs.OpSyncDir:
		default:
			n++
		}
	}
	return n
}

func (s *realSubject) kill() { s.fs = s.fs.Crash(simfs.ProcessKill).Mount(simfs.Latest()) }

func (s *realSubject) again() (Log, error) {
	log, err := s.open()
	if err != nil {
		return nil, err
	}
	s.log = log
	return log, nil
}

func (s *realSubject) crash(t *rapid.T, seed uint64, during func(Log)) {
	first, target := s.fs.Ops(), int(seed%7)
	var image *simfs.Image
	s.fs.Observe(func(op simfs.Op) {
		if image == nil && op.Index >= first+target {
			image = s.fs.Crash(simfs.PowerLoss)
		}
	})
	during(s.log)
	s.fs.Observe(nil)
	if image == nil {
		image = s.fs.Crash(simfs.PowerLoss)
	}
	s.fs = image.Mount(simfs.Random(seed >> 3))
	log, err := s.open()
	if err := CheckOpen(err, Budget{}); err != nil {
		t.Fatal(err)
	}
	s.log = log
}

func drawBatch(t *rapid.T) engine.Batch {
	b := engine.Batch{Key: rapid.SampledFrom([]string{"", "", "", "k", "l"}).Draw(t, "key")}
	keyed := b.Key == "" && rapid.IntRange(0, 4).Draw(t, "item keys") == 0
	for i := range rapid.IntRange(1, 4).Draw(t, "items") {
		d := engine.Draft{
			Scope:  rapid.SampledFrom([]string{"", "", "room"}).Draw(t, "scope"),
			Stream: rapid.SampledFrom([]string{"a", "a", "b", "c"}).Draw(t, "stream"),
			Type:   rapid.SampledFrom([]string{"t", "t", "u", ""}[:rapid.IntRange(3, 4).Draw(t, "types")]).Draw(t, "type"),
			Data:   bytes.Repeat([]byte("x"), rapid.SampledFrom([]int{0, 1, 1, 100, 600, 3000}).Draw(t, "bytes")),
			Expect: rapid.SampledFrom([]engine.Expect{engine.Any, engine.Any, engine.Any, engine.NoStream, engine.StreamExists, engine.Exactly(1), engine.Exactly(3)}).Draw(t, "expect"),
			Flags:  rapid.Uint32Range(0, 2).Draw(t, "flags"), PayloadVersion: rapid.Uint32Range(0, 1).Draw(t, "payload version"),
			Erasable: rapid.Bool().Draw(t, "erasable"),
		}
		if i > 0 && rapid.Bool().Draw(t, "caused") {
			d.CausedBy = engine.Item(i - 1)
		}
		if rapid.IntRange(0, 3).Draw(t, "extended") == 0 {
			d.Extensions, d.Metadata, d.Lane, d.Depth = map[string][]byte{"n": []byte("1"), "m": []byte("2")}, []byte("meta"), 4, 5
		}
		if keyed {
			d.Key = rapid.SampledFrom([]string{"k/0", "x", "y", "z"}).Draw(t, "item key")
		}
		b.Events = append(b.Events, d)
	}
	if rapid.IntRange(0, 2).Draw(t, "durability") == 0 {
		b.Durability = engine.Buffered
	}
	return b
}

// walk does what a caller could do, in any order, with power cuts in between,
// and checks every answer and everything that each Open shows.
func walk(t *rapid.T, s subject) {
	m := model.New(engine.Options{MaxPayload: 4000})
	call := 0
	var made []engine.Batch
	judge := func(how How) *Seen {
		seen := Look(ctx, m, s.opened(), how)
		if err := First(Judge(m, seen)); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	pick := func() engine.Batch {
		if len(made) > 0 && rapid.IntRange(0, 2).Draw(t, "again") == 0 {
			return made[rapid.IntRange(0, len(made)-1).Draw(t, "which")]
		}
		b := drawBatch(t)
		made = append(made, b)
		return b
	}
	for range rapid.IntRange(1, 15).Draw(t, "steps") {
		switch rapid.SampledFrom([]string{"append", "append", "append", "sync", "read", "stats", "crash"}).Draw(t, "step") {
		case "append":
			b := pick()
			call++
			expected := m.Expect(b)
			m = m.With(model.Started{Call: call, Batch: b})
			receipts, err := s.opened().AppendBatch(ctx, b)
			m = m.With(model.Answered{Call: call, Receipts: receipts, Err: err})
			if text := expected.Differs(receipts, err); text != "" {
				t.Fatalf("call %d: want %s (%v)", call, text, err)
			}
		case "sync":
			accepted := m.Accepted()
			if err := s.opened().Sync(ctx); err != nil {
				t.Fatal(err)
			}
			m = m.With(model.Covered{Sequence: accepted})
		case "read":
			m = m.With(model.Served{Events: judge(How{Running: true}).Events})
		case "stats":
			m = m.With(model.Frontiers{Stats: s.opened().Stats()})
		case "crash":
			b := pick()
			call++
			m = m.With(model.Started{Call: call, Batch: b})
			s.crash(t, rapid.Uint64().Draw(t, "seed"), func(log Log) { log.AppendBatch(ctx, b) })
			m = m.With(judge(How{}).Opened())
			seen := judge(How{})
			s.kill()
			if err := CheckSecondOpen(ctx, seen, s.again, s.changes); err != nil {
				t.Fatal(err)
			}
			s.kill()
			if _, err := s.again(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.crash(t, rapid.Uint64().Draw(t, "seed"), func(Log) {})
	m = m.With(judge(How{}).Opened())
	var err error
	if m, err = CheckRetry(ctx, m, s.opened(), 1000, nil); err != nil {
		t.Fatal(err)
	}
	if m, err = CheckAppend(ctx, m, s.opened(), 10000, draft("last", "word")); err != nil {
		t.Fatal(err)
	}
	judge(How{Running: true})
}

func TestFakeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := newDisk()
		walk(t, &fakeSubject{disk, open(disk)})
	})
}

func TestEngineAgainstModel(t *testing.T) {
	for _, c := range []struct {
		disk        simfs.Guarantees
		preallocate int64
	}{
		{simfs.Sequential(), -1}, {simfs.Ext4(), -1}, {simfs.XFS(), -1}, {simfs.Btrfs(), -1},
		{simfs.Ext4(), 16384}, {simfs.Ext4Writeback(), 16384}, {simfs.Posix(), 16384},
	} {
		t.Run(fmt.Sprintf("%s, preallocate %d", c.disk.Name, c.preallocate), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := &realSubject{fs: simfs.New(simfs.Options{Guarantees: c.disk}), preallocate: c.preallocate, clock: &handClock{now: time.UnixMilli(1577836800000)}}
				log, err := s.open()
				if err != nil {
					t.Fatal(err)
				}
				s.log = log
				walk(t, s)
			})
		})
	}
}
