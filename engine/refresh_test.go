package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// process is a simulated process: what it does to the disk others see between any
// two operations, and in the middle of a write. It can be killed, and the disk can
// fail it.
type process struct {
	*simfs.FS
	turns  *simclock.Scheduler
	random *rand.Rand
	left   int // operations until it is killed; −1: it is not
	dead   bool
	fail   failure // of the next write or sync
	unlock func() error
	before func(where string) // nil, or told of every step
}

type failure int

const (
	noFailure failure = iota
	nothingWritten
	partWritten
	allWritten
	syncFailed
	failures
)

var (
	errKilled = errors.New("the process was killed")
	errDisk   = fmt.Errorf("an injected error: %w", syscall.EIO)
)

// step is before every operation that changes something.
func (p *process) step(where string) error {
	p.turns.Switch(where)
	if p.before != nil {
		p.before(where)
	}
	if p.left == 0 {
		p.left, p.dead = -1, true
		if p.unlock != nil {
			if err := p.unlock(); err != nil {
				return err
			}
		}
	}
	if p.left > 0 {
		p.left--
	}
	if p.dead {
		return errKilled
	}
	return nil
}

func (p *process) Open(name string) (afero.File, error) {
	return p.OpenFile(name, 0, 0)
}

func (p *process) OpenFile(name string, flag int, mode fs.FileMode) (afero.File, error) {
	if err := p.step("open"); err != nil {
		return nil, err
	}
	file, err := p.FS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return processFile{file.(*simfs.File), p}, nil
}

func (p *process) Remove(name string) error {
	if err := p.step("remove"); err != nil {
		return err
	}
	return p.FS.Remove(name)
}

func (p *process) Rename(from, to string) error {
	if err := p.step("rename"); err != nil {
		return err
	}
	return p.FS.Rename(from, to)
}

func (p *process) SyncDir(name string) error {
	if err := p.step("syncdir"); err != nil {
		return err
	}
	return p.FS.SyncDir(name)
}

func (p *process) TryLock(name string) (func() error, bool, error) {
	unlock, ok, err := p.FS.TryLock(name)
	p.unlock = nil
	if ok {
		once := false
		p.unlock = func() error {
			if once {
				return nil
			}
			once = true
			return unlock()
		}
	}
	return p.unlock, ok, err
}

type processFile struct {
	*simfs.File
	p *process
}

func (f processFile) Read(b []byte) (int, error) {
	f.p.turns.Switch("read")
	return f.File.Read(b)
}

func (f processFile) ReadAt(b []byte, offset int64) (int, error) {
	f.p.turns.Switch("readat")
	return f.File.ReadAt(b, offset)
}

func (f processFile) WriteAt(b []byte, offset int64) (int, error) {
	fail := f.p.fail
	if fail == syncFailed {
		fail = noFailure
	} else {
		f.p.fail = noFailure
	}
	written := 0
	for written < len(b) {
		if err := f.p.step("writeat"); err != nil {
			return written, err
		}
		if fail == nothingWritten || fail == partWritten && written > 0 {
			return written, errDisk
		}
		n := len(b) - written
		if f.p.random.IntN(2) == 0 || fail == partWritten {
			n = 1 + f.p.random.IntN(n)
		}
		if _, err := f.File.WriteAt(b[written:written+n], offset+int64(written)); err != nil {
			return written, err
		}
		written += n
	}
	if fail == allWritten {
		return 0, errDisk
	}
	return written, nil
}

func (f processFile) sync(dataOnly bool, sync func() error) error {
	if err := f.p.step("sync"); err != nil {
		return err
	}
	if f.p.fail == syncFailed {
		f.p.fail = noFailure
		return f.File.FailSync(dataOnly, "ext4")
	}
	return sync()
}

func (f processFile) Sync() error     { return f.sync(false, f.File.Sync) }
func (f processFile) SyncData() error { return f.sync(true, f.File.SyncData) }

func (f processFile) Truncate(size int64) error {
	if err := f.p.step("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f processFile) Preallocate(offset, length int64) error {
	if err := f.p.step("preallocate"); err != nil {
		return err
	}
	return f.File.Preallocate(offset, length)
}

// pair is a disk with one process that writes a log, and others that follow it.
type pair struct {
	t      *testing.T
	seed   uint64
	disk   *simfs.FS
	clock  *simclock.Clock
	turns  *simclock.Scheduler
	random *rand.Rand

	options engine.Options
	calm    bool // nothing fails, and nobody is killed
	asleep  bool // the writer is
	ended   bool // the writer has closed the log for good
	acked   map[uint64]engine.Receipt

	happened map[string]int
}

// process begins one more, with the options to open a log in it.
func (p *pair) process() (*process, engine.Options) {
	process := &process{FS: p.disk, turns: p.turns, random: p.random, left: -1}
	o := p.options
	o.Dir, o.FS, o.Clock, o.Waits = "log", process, p.clock, turns{p.turns}
	o.Rand = rand.NewChaCha8([32]byte{byte(p.random.Uint32()), byte(p.random.Uint32()), byte(p.seed)})
	return process, o
}

// pause lets others go first. The clock goes on when nobody can run.
func (p *pair) pause() {
	if p.asleep || p.ended {
		p.sleep(time.Millisecond)
		return
	}
	p.turns.Yield()
}

func (p *pair) sleep(d time.Duration) {
	over := p.turns.Signal("sleep")
	p.turns.After(d, over.Set)
	_ = over.Wait(context.Background())
}

// write appends in a few lives of a process, which end as they may.
func (p *pair) write() {
	lives := 1 + p.random.IntN(4)
	for life := range lives {
		process, options := p.process()
		log, err := engine.Open(options)
		if err != nil {
			p.t.Errorf("seed %d: open: %v", p.seed, err)
			return
		}
		last := life == lives-1
		for range 4 + p.random.IntN(16) {
			if !p.calm && !last && p.random.IntN(12) == 0 {
				process.left = p.random.IntN(12)
			}
			if !p.calm && p.random.IntN(10) == 0 {
				process.fail = failure(p.random.IntN(int(failures)))
			}
			if p.random.IntN(5) == 0 {
				p.asleep = true
				p.sleep(time.Duration(p.random.IntN(30)) * time.Millisecond)
				p.asleep = false
			}
			p.append(log)
			if log.Stats().Failed != nil || process.dead {
				break
			}
		}
		process.fail = noFailure
		if last {
			process.left = -1
		}
		if process.dead {
			p.happened["kills"]++
		}
		if stats := log.Stats(); len(stats.Segments) > 1 {
			p.happened["rotations"]++
		}
		failed := log.Stats().Failed
		err = log.Close()
		switch {
		case err == nil && failed == nil:
			p.happened["closes"]++
		case last: // there is no END that says what is durable
			_, options = p.process()
			log, err := engine.Open(options)
			if err != nil {
				p.t.Errorf("seed %d: open: %v", p.seed, err)
				return
			}
			appendedTo(p.t, log, "the last")
			closed(p.t, log)
		}
	}
}

func appendedTo(t *testing.T, log *engine.Log, payload string) {
	if _, err := log.Append(context.Background(), engine.Draft{Stream: "last", Type: "t", Data: []byte(payload)}); err != nil {
		t.Error(err)
	}
}

func (p *pair) append(log *engine.Log) {
	batch := engine.Batch{Durability: engine.Durability(p.random.IntN(2))}
	for range p.random.IntN(4) {
		batch.Events = append(batch.Events, engine.Draft{
			Stream: fmt.Sprint("s", p.random.IntN(3)), Type: "t",
			Data: bytes.Repeat([]byte{byte(p.random.Uint32())}, p.random.IntN(1+p.random.IntN(9000))),
		})
	}
	if len(batch.Events) == 0 || p.random.IntN(3) == 0 {
		batch.Notes = []engine.NoteDraft{{Name: "note", Data: fmt.Append(nil, p.random.Uint32())}}
	}
	receipts, err := log.AppendBatch(context.Background(), batch)
	for _, r := range receipts {
		if err == nil && r.Durable {
			p.acked[r.Sequence] = r
		}
	}
	if errors.Is(err, engine.ErrFailed) {
		p.happened["rollbacks"]++
	}
}

// follower reads what another process writes, and remembers it.
type follower struct {
	*pair
	log      *engine.Log
	buffered bool
	seen     []engine.Event
}

// follow reads to the end of the context, and opens the log again when it was
// recovered.
func (f *follower) follow(ctx context.Context) {
	for ctx.Err() == nil {
		_, options := f.process()
		options.ReadOnly, options.FollowEvery = true, 10*time.Millisecond
		log, err := engine.Open(options)
		if errors.Is(err, fs.ErrNotExist) {
			f.pause()
			continue
		}
		if err != nil {
			f.t.Errorf("seed %d: open read-only: %v", f.seed, err)
			return
		}
		f.log = log
		f.goBack()
		for event, err := range log.Subscribe(ctx, engine.Query{FromSequence: uint64(len(f.seen)) + 1, Buffered: f.buffered}) {
			if errors.Is(err, engine.ErrRecovered) {
				f.happened["recovered"]++
				if f.calm {
					f.t.Errorf("seed %d: nothing has happened, and yet: %v", f.seed, err)
				}
				break
			}
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					f.t.Errorf("seed %d: %v", f.seed, err)
				}
				f.ends()
				closed(f.t, log)
				return
			}
			f.see(event)
		}
		closed(f.t, log)
	}
}

// goBack drops what the log does not hold any more: never what was durable.
func (f *follower) goBack() {
	for len(f.seen) > 0 {
		last := f.seen[len(f.seen)-1]
		for event, err := range f.log.Read(engine.Query{FromSequence: last.Sequence, ToSequence: last.Sequence, Buffered: true}) {
			if err != nil && !errors.Is(err, engine.ErrRecovered) {
				f.t.Errorf("seed %d: %v", f.seed, err)
			}
			if err != nil || event.Hash == last.Hash {
				return
			}
		}
		if last.Durable {
			f.t.Errorf("seed %d: event %d was served as durable, and is gone", f.seed, last.Sequence)
		}
		f.happened["gone"]++
		f.seen = f.seen[:len(f.seen)-1]
	}
}

func (f *follower) see(event engine.Event) {
	if event.Sequence != uint64(len(f.seen))+1 {
		f.t.Errorf("seed %d: event %d is served behind event %d", f.seed, event.Sequence, len(f.seen))
	}
	f.seen = append(f.seen, event)
	stats := f.log.Stats()
	if head := f.log.Head("", event.Stream); head.Sequence > stats.Visible.Sequence {
		f.t.Errorf("seed %d: the head of a stream is event %d, %d can be read", f.seed, head.Sequence, stats.Visible.Sequence)
	}
	if event.Durable && event.Sequence > stats.Durable.Sequence || !event.Durable && !f.buffered {
		f.t.Errorf("seed %d: event %d is served as durable: %v; %d events are", f.seed, event.Sequence, event.Durable, stats.Durable.Sequence)
	}
	if event.Durable && f.random.IntN(3) == 0 {
		f.survives(f.random.Uint64())
	}
}

// survives cuts the power, on a copy of the disk, and looks whether what was
// durable is there.
func (f *follower) survives(seed uint64) {
	chooser := simfs.Random(seed)
	if seed%2 == 0 {
		chooser = simfs.Oldest()
	}
	clock := simclock.New(simclock.Epoch())
	options := f.options
	options.Dir, options.Clock, options.Waits = "log", clock, waits{clock}
	options.FS = f.disk.Crash(simfs.PowerLoss).Mount(chooser)
	options.Rand = rand.NewChaCha8([32]byte{})
	log, err := engine.Open(options)
	if err != nil {
		f.t.Errorf("seed %d: after a power cut: %v", f.seed, err)
		return
	}
	defer log.Close()
	f.happened["power cuts"]++
	there := all(f.t, log, engine.Query{})
	for i, event := range f.seen {
		if event.Durable && (i >= len(there) || there[i].Hash != event.Hash) {
			f.t.Errorf("seed %d: event %d was served as durable, and is gone after a power cut", f.seed, event.Sequence)
			return
		}
	}
}

// ends compares a follower that has seen all with the log.
func (f *follower) ends() {
	_, options := f.process()
	options.LockWait = time.Hour // the other follower is here, too
	log, err := engine.Open(options)
	if err != nil {
		f.t.Errorf("seed %d: %v", f.seed, err)
		return
	}
	defer closed(f.t, log)
	there := all(f.t, log, engine.Query{})
	if len(there) != len(f.seen) {
		f.t.Errorf("seed %d: %d events were seen, the log has %d", f.seed, len(f.seen), len(there))
		return
	}
	for i, event := range there {
		if seen := f.seen[i]; seen.ID != event.ID || seen.Hash != event.Hash || !bytes.Equal(seen.Data, event.Data) || seen.Version != event.Version {
			f.t.Errorf("seed %d: event %d was seen as another", f.seed, event.Sequence)
		}
		if r, ok := f.acked[event.Sequence]; ok && r.Hash != event.Hash {
			f.t.Errorf("seed %d: event %d was acknowledged as another", f.seed, event.Sequence)
		}
		if head := log.Head("", event.Stream); f.log.Head("", event.Stream) != head {
			f.t.Errorf("seed %d: the head of stream %s is %+v to a follower, and %+v", f.seed, event.Stream, f.log.Head("", event.Stream), head)
			return
		}
	}
	mine, _ := f.log.Note("note")
	its, _ := log.Note("note")
	if f.log.LogHead() != log.LogHead() || !bytes.Equal(mine.Data, its.Data) || mine.Batch != its.Batch {
		f.t.Errorf("seed %d: the log's head is %+v to a follower, and %+v; its note %+v, and %+v", f.seed, f.log.LogHead(), log.LogHead(), mine, its)
	}
}

// poke looks again and again, so that looks come between any two operations of the
// writer.
func (f *follower) poke() {
	for !f.ended {
		f.pause()
		if f.log == nil {
			continue
		}
		err := f.log.Refresh(context.Background())
		if err != nil && !errors.Is(err, engine.ErrClosed) && !errors.Is(err, engine.ErrRecovered) {
			f.t.Errorf("seed %d: %v", f.seed, err)
			return
		}
	}
}

func newPair(t *testing.T, seed uint64, options engine.Options) *pair {
	clock := simclock.New(simclock.Epoch())
	return &pair{
		t: t, seed: seed, options: options, disk: simfs.New(simfs.Options{}), clock: clock,
		turns:    simclock.NewScheduler(clock, simclock.Order{Seed: seed}),
		random:   rand.New(rand.NewPCG(seed, 1)),
		acked:    map[uint64]engine.Receipt{},
		happened: map[string]int{},
	}
}

// TestFollowersOfAnotherProcess: whatever a writer does, and however it ends, those
// who follow it see every durable event once, in order, byte for byte; and what is
// served as durable survives a power cut at that moment.
func TestFollowersOfAnotherProcess(t *testing.T) {
	seeds := uint64(250)
	if testing.Short() {
		seeds = 40
	}
	happened := map[string]int{}
	for seed := range seeds {
		options := engine.Options{SegmentSize: 64 << 10, SyncCount: 3}
		if seed%2 == 1 {
			options.Align = 4096
		}
		if seed%3 == 1 {
			options.Preallocate = -1
		}
		p := newPair(t, seed, options)
		p.happened, p.calm = happened, seed%4 == 0
		p.turns.Run("main", func() {
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			followers := []*follower{{pair: p}, {pair: p, buffered: true}}
			var ends []*simclock.Signal
			begin := func(name string, f func()) {
				over := p.turns.Signal(name)
				ends = append(ends, over)
				p.turns.Go(name, func() { defer over.Set(); f() })
			}
			begin("the writer", func() {
				defer func() { p.ended = true }()
				p.write()
			})
			for i, f := range followers {
				begin(fmt.Sprint("follower ", i), func() { f.follow(ctx) })
				begin(fmt.Sprint("poker ", i), f.poke)
			}
			_ = ends[0].Wait(context.Background())
			p.sleep(time.Second)
			stop()
			for _, over := range ends {
				_ = over.Wait(context.Background())
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Log(happened)
	for _, what := range []string{"kills", "closes", "rotations", "rollbacks", "recovered", "gone", "power cuts"} {
		if happened[what] == 0 {
			t.Errorf("no %s", what)
		}
	}
}
