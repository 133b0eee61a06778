package projection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
)

// drawBatch draws a batch over few scopes, streams and types.
func drawBatch(t *rapid.T) engine.Batch {
	var batch engine.Batch
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		batch.Events = append(batch.Events, engine.Draft{
			Scope:  rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "scope"),
			Stream: rapid.SampledFrom([]string{"s", "u"}).Draw(t, "stream"),
			Type:   rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "type"),
			Data:   []byte(rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "data")),
		})
	}
	return batch
}

func drawQuery(t *rapid.T) engine.Query {
	few := rapid.Uint64Range(0, 8)
	q := engine.Query{
		Scope:  rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "scope"),
		Stream: rapid.SampledFrom([]string{"", "", "s", "u"}).Draw(t, "stream"),
		Types:  rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3).Draw(t, "types"),
		Borrow: rapid.Bool().Draw(t, "borrow"),
	}
	if q.Stream != "" {
		q.FromVersion, q.ToVersion = few.Draw(t, "from version"), few.Draw(t, "to version")
	}
	q.FromSequence, q.ToSequence = few.Draw(t, "from"), 3*few.Draw(t, "to")
	return q
}

// TestAPassChoosesAsReadDoes: Query.Selects, with which it chooses, selects what the engine's Read
// selects, and the union of two queries at least what each of them does.
func TestAPassChoosesAsReadDoes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		log, err := logOn(newDisk(), 0)
		if err != nil {
			r.Fatal(err)
		}
		defer log.Close()
		for range rapid.IntRange(0, 8).Draw(r, "batches") {
			if _, err := log.AppendBatch(context.Background(), drawBatch(r)); err != nil {
				r.Fatal(err)
			}
		}
		read := func(q engine.Query) (sequences []uint64) {
			for e, err := range log.Read(q) {
				if err != nil {
					r.Fatal(err)
				}
				sequences = append(sequences, e.Sequence)
			}
			return sequences
		}
		a, b := drawQuery(r), drawQuery(r)
		var chosen []uint64
		for e := range log.Read(engine.Query{}) {
			if a.Selects(&e) {
				chosen = append(chosen, e.Sequence)
			}
		}
		if want := read(a); !slices.Equal(chosen, want) {
			r.Fatalf("%+v: chosen %v, read %v", a, chosen, want)
		}
		both := read(projection.Union(a, b))
		for _, sequence := range append(read(a), read(b)...) {
			if !slices.Contains(both, sequence) {
				r.Fatalf("the union of %+v and %+v does not select event %d", a, b, sequence)
			}
		}
	})
}

func TestTheUnionIsNarrow(t *testing.T) {
	type q = engine.Query
	for _, c := range []struct{ a, b, want q }{
		{q{Stream: "s"}, q{Stream: "s"}, q{Stream: "s"}},
		{q{Stream: "s"}, q{Stream: "u"}, q{}},
		{q{Scope: "a", Stream: "s"}, q{Scope: "a", Stream: "u"}, q{Scope: "a"}},
		{q{Scope: "a", Stream: "s"}, q{Scope: "a"}, q{Scope: "a"}},
		{q{Scope: "a", Stream: "s"}, q{Scope: "b", Stream: "s"}, q{}},
		{q{Types: []string{"x"}}, q{Types: []string{"y", "x"}}, q{Types: []string{"x", "y"}}},
		{q{Types: []string{"x"}}, q{}, q{}},
		{q{Stream: "s", FromVersion: 3, ToVersion: 5}, q{Stream: "s", FromVersion: 4, ToVersion: 9}, q{Stream: "s", FromVersion: 3, ToVersion: 9}},
		{q{FromSequence: 3, ToSequence: 5}, q{FromSequence: 2}, q{FromSequence: 2}},
	} {
		if got := projection.Union(c.a, c.b); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v and %+v: %+v, want %+v", c.a, c.b, got, c.want)
		}
	}
}

// TestProjectionsEqualRecomputation: whatever happens between runs, a state is that
// of a computation from zero.
func TestProjectionsEqualRecomputation(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		disk, life := newDisk(), 0
		log, err := logOn(disk, life)
		if err != nil {
			r.Fatal(err)
		}
		var set *projection.Set
		var members []*projection.Projection[History]
		definitions := []projection.Definition[History]{}
		for i := range rapid.IntRange(1, 3).Draw(r, "projections") {
			definitions = append(definitions, history(fmt.Sprint("p", i), drawQuery(r)))
		}
		ctx := context.Background()
		open := func() {
			members = nil
			var all []projection.Member
			for _, d := range definitions {
				p, err := projection.New(d)
				if err != nil {
					r.Fatal(err)
				}
				members, all = append(members, p), append(all, p)
			}
			if set, err = projection.Open(log, kept(disk, rapid.SampledFrom([]int{-1, 1, 70}).Draw(r, "every")), all...); err != nil {
				r.Fatal(err)
			}
			for _, s := range set.Status() {
				if s.Rebuilt != nil && !errors.Is(s.Rebuilt, projection.ErrChanged) {
					r.Fatalf("%s is rebuilt: %v", s.Name, s.Rebuilt)
				}
			}
		}
		open()
		equal := func() {
			for i, p := range members {
				if err := same(log, p, definitions[i].Query); err != nil {
					r.Fatal(err)
				}
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				for range rapid.SampledFrom([]int{1, 1, 100}).Draw(r, "batches") {
					batch := drawBatch(r)
					batch.Durability = rapid.SampledFrom([]engine.Durability{engine.Durable, engine.Buffered}).Draw(r, "durability")
					if _, err := log.AppendBatch(ctx, batch); err != nil {
						r.Fatal(err)
					}
				}
			},
			"once": func(r *rapid.T) {
				end := log.LogHead().Sequence
				if err := set.Once(ctx); err != nil {
					r.Fatal(err)
				}
				for _, s := range set.Status() {
					if s.Sequence != end || s.Saved != end {
						r.Fatalf("after a run to event %d: %+v", end, s)
					}
				}
			},
			"given up": func(r *rapid.T) {
				ctx, cancel := context.WithCancel(ctx)
				d := history("stopper", engine.Query{})
				left := rapid.IntRange(0, 200).Draw(r, "after")
				d.Apply = func(h History, e engine.Event) History {
					if left--; left <= 0 {
						cancel()
					}
					return h
				}
				stopper, err := projection.New(d)
				if err != nil {
					r.Fatal(err)
				}
				all := []projection.Member{stopper}
				members = nil
				for _, d := range definitions {
					p, err := projection.New(d)
					if err != nil {
						r.Fatal(err)
					}
					members, all = append(members, p), append(all, p)
				}
				if set, err = projection.Open(log, kept(disk, 1), all...); err != nil {
					r.Fatal(err)
				}
				if err := set.ToEnd(ctx); err != nil && !errors.Is(err, context.Canceled) {
					r.Fatal(err)
				}
				cancel()
				equal()
				if err := disk.Remove("checkpoints/stopper.projection"); err != nil && !errors.Is(err, fs.ErrNotExist) {
					r.Fatal(err)
				}
				open()
			},
			"reopen": func(*rapid.T) { open() },
			"another version": func(r *rapid.T) {
				definitions[rapid.IntRange(0, len(definitions)-1).Draw(r, "of")].Version++
				open()
			},
			"another query": func(r *rapid.T) {
				definitions[rapid.IntRange(0, len(definitions)-1).Draw(r, "of")].Query = drawQuery(r)
				open()
			},
			"without a checkpoint": func(r *rapid.T) {
				name := fmt.Sprintf("checkpoints/p%d.projection", rapid.IntRange(0, len(definitions)-1).Draw(r, "of"))
				if err := disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					r.Fatal(err)
				}
				open()
			},
			"crash": func(r *rapid.T) {
				image := disk.Crash(rapid.SampledFrom(crashes()).Draw(r, "kind"))
				disk.Kill()
				disk = image.Mount(drawChooser(r))
				life++
				if log, err = logOn(disk, life); err != nil {
					r.Fatal(err)
				}
				open()
			},
			"": func(*rapid.T) { equal() },
		})
		_ = log.Close()
	})
}

// TestSeveralInOnePassEqualEachAlone, from different checkpoints.
func TestSeveralInOnePassEqualEachAlone(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		disk := newDisk()
		log, err := logOn(disk, 0)
		check(t, err)
		queries := []engine.Query{{}, {Stream: "s1"}, {Types: []string{"t"}}, {FromSequence: 5, ToSequence: 20}, {Stream: "s0", FromVersion: 2, Borrow: true}}
		var together []projection.Member
		var all []*projection.Projection[History]
		for i, q := range queries {
			for range random.IntN(12) {
				appended(t, log, fmt.Sprint("s", random.IntN(3)), "one", "two")
			}
			name := fmt.Sprint("p", i)
			alone := made(t, history(name, q))
			check(t, setOf(t, log, kept(disk, -1), alone).Once(t.Context()))
			check(t, same(log, alone, q))
			p := made(t, history(name, q))
			all, together = append(all, p), append(together, p)
		}
		set := setOf(t, log, kept(disk, -1), together...)
		before := set.Status()
		check(t, set.ToEnd(t.Context()))
		for i, p := range all {
			status := set.Status()[i]
			if before[i].Rebuilt != nil || status.Restored != before[i].Sequence || status.Sequence != log.LogHead().Sequence {
				t.Fatalf("seed %d: %+v", seed, status)
			}
			check(t, same(log, p, queries[i]))
			applied := 0
			q := queries[i]
			q.FromSequence = max(q.FromSequence, status.Restored+1)
			for range log.Read(q) {
				applied++
			}
			if uint64(applied) != status.Applied {
				t.Fatalf("seed %d: %+v: want %d applied", seed, status, applied)
			}
		}
		check(t, log.Close())
	}
}

// turns makes an engine.Waits of a scheduler.
type turns struct{ *simclock.Scheduler }

func (t turns) Signal(reason string) engine.Signal { return t.Scheduler.Signal(reason) }

// TestLiveAmongTasks: while tasks append, a live set shows whole batches only, who
// waits for a receipt sees its event, and at the end live equals once. No mutex is
// held at any switch.
func TestLiveAmongTasks(t *testing.T) {
	for seed := range uint64(150) {
		clock := simclock.New(simclock.Epoch())
		tasks := simclock.NewScheduler(clock, simclock.Order{Seed: seed})
		disk := newDisk()
		traced := faults.New(disk, nil, faults.Options{Before: func(op faults.OpKind, path string) { tasks.Switch(op.String()) }})
		var set *projection.Set
		tasks.OnSwitch(func(where string) {
			if set != nil && !set.MutexesFree() {
				t.Errorf("seed %d: a mutex is held at %s", seed, where)
			}
		})
		tasks.Run("main", func() {
			log, err := engine.Open(engine.Options{
				Dir: "log", FS: traced, SegmentSize: 64 << 10, Clock: clock, Waits: turns{tasks}, Rand: rand.NewChaCha8([32]byte{byte(seed)}),
			})
			if err != nil {
				t.Error(err)
				return
			}
			queries := []engine.Query{{}, {Stream: "s1"}}
			if seed%2 == 1 {
				queries[0] = engine.Query{Stream: "s1", Types: []string{"t"}} // a pass over one stream
			}
			var members []*projection.Projection[History]
			for i, q := range queries {
				members = append(members, made(t, history(fmt.Sprint("p", i), q)))
			}
			set = setOf(t, log, kept(traced, 5), members[0], members[1])
			ctx, stop := context.WithCancel(context.Background())
			ends := map[uint64]bool{0: true}
			var pending []*simclock.Signal
			task := func(name string, f func()) {
				done := tasks.Signal(name)
				pending = append(pending, done)
				tasks.Go(name, func() { defer done.Set(); f() })
			}
			lived := tasks.Signal("live")
			tasks.Go("live", func() {
				defer lived.Set()
				if err := set.Live(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("seed %d: live: %v", seed, err)
				}
			})
			for i := range 3 {
				task(fmt.Sprint("client ", i), func() {
					for n := range 4 {
						var batch engine.Batch
						for k := range 1 + (i+n)%3 {
							batch.Events = append(batch.Events, engine.Draft{Stream: fmt.Sprint("s", (i+k)%3), Type: "t", Data: fmt.Append(nil, i, n, k)})
						}
						batch.Durability = engine.Durability((i + n) % 2)
						receipts, err := log.AppendBatch(context.Background(), batch)
						if err != nil {
							t.Error(err)
							return
						}
						last := receipts[len(receipts)-1].Sequence
						ends[last] = true
						if batch.Durability == engine.Buffered {
							if err := log.WaitDurable(context.Background(), last); err != nil {
								t.Error(err)
							}
						}
						for _, p := range members {
							if err := p.WaitFor(context.Background(), last); err != nil {
								t.Errorf("seed %d: %v", seed, err)
							}
							if _, at := p.State(); at < last {
								t.Errorf("seed %d: waited for event %d, see %d", seed, last, at)
							}
						}
					}
				})
			}
			task("reader", func() {
				for range 60 {
					tasks.Yield()
					for i, p := range members {
						if err := same(log, p, queries[i]); err != nil {
							t.Errorf("seed %d: %v", seed, err)
						}
						if _, at := p.State(); i == 0 && seed%2 == 0 && at > 0 {
							var batch uint64
							for e := range log.Read(engine.Query{FromSequence: at, ToSequence: at + 1}) {
								if e.Batch == batch {
									t.Errorf("seed %d: event %d is shown without the rest of its batch", seed, at)
								}
								batch = e.Batch
							}
						}
					}
				}
			})
			for _, done := range pending {
				_ = done.Wait(context.Background())
			}
			if err := set.Once(context.Background()); !errors.Is(err, projection.ErrRunning) {
				t.Errorf("a second run: %v", err)
			}
			stop()
			_ = lived.Wait(context.Background())
			for i, p := range members {
				if s := set.Status()[i]; s.Saved != s.Sequence || s.Sequence != log.LogHead().Sequence {
					t.Errorf("seed %d: after live: %+v", seed, s)
				}
				if err := same(log, p, queries[i]); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWaitForEnds: a wait ends with its context, with the log, and with a run that
// has no more to come.
func TestWaitForEnds(t *testing.T) {
	log, err := engine.Open(engine.Options{Dir: t.TempDir()})
	check(t, err)
	p := made(t, history("p", engine.Query{}))
	if err := p.WaitFor(t.Context(), 0); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("in no set: %v", err)
	}
	set := setOf(t, log, projection.Options{}, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.WaitFor(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	waited, lived := make(chan error), make(chan error)
	go func() { waited <- p.WaitFor(context.Background(), 2) }()
	go func() { lived <- set.Live(context.Background()) }()
	receipts := appended(t, log, "s", "one")
	check(t, p.WaitFor(t.Context(), receipts[0].Sequence))
	check(t, log.Close())
	if err := <-lived; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("live: %v", err)
	}
	// The wait may come after the run: then it is the next run that tells.
	for done := false; !done; {
		select {
		case err := <-waited:
			done = true
			if !errors.Is(err, engine.ErrClosed) {
				t.Errorf("wait: %v", err)
			}
		default:
			if err := set.Live(context.Background()); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("live again: %v", err)
			}
		}
	}
}

// TestAPanicStopsOne: the one that panics keeps whole batches, the others go on.
func TestAPanicStopsOne(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a", "b")
	appended(t, log, "s", "c", "bad", "d")
	appended(t, log, "s", "e")
	cause := errors.New("the cause")
	d := history("bad", engine.Query{})
	d.Apply = func(h History, e engine.Event) History {
		if string(e.Data) == "bad" {
			panic(cause)
		}
		return h.add(e)
	}
	bad, good := made(t, d), made(t, history("good", engine.Query{}))
	set := setOf(t, log, kept(disk, 1), bad, good)
	err := set.ToEnd(t.Context())
	var failed *projection.ApplyError
	if !errors.As(err, &failed) || failed.Projection != "bad" || failed.Sequence != 4 || !errors.Is(err, cause) ||
		!strings.Contains(string(failed.Err.Stack), "TestAPanicStopsOne") || failed.Err.Value != cause {
		t.Fatalf("%+v", err)
	}
	if want := `projection: to end: projection "bad" cannot apply event 4`; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%q, want %q …", err, want)
	}
	for i, want := range []uint64{2, 6} {
		s := set.Status()[i]
		if s.Sequence != want || s.Saved != want || (s.Err != nil) != (i == 0) || s.Applied != want {
			t.Errorf("%+v", s)
		}
	}
	check(t, same(log, bad, engine.Query{}))
	check(t, same(log, good, engine.Query{}))
	if err := bad.WaitFor(t.Context(), 3); !errors.As(err, &failed) {
		t.Errorf("wait for what does not come: %v", err)
	}
	check(t, bad.WaitFor(t.Context(), 2))

	appended(t, log, "s", "f")
	check(t, set.ToEnd(t.Context())) // without it
	check(t, good.WaitFor(t.Context(), 7))

	// Who corrects Apply goes on where it has stopped.
	fixed := made(t, history("bad", engine.Query{}))
	set = setOf(t, log, kept(disk, 1), fixed)
	check(t, set.Once(t.Context()))
	if s := set.Status()[0]; s.Restored != 2 || s.Applied != 5 {
		t.Errorf("%+v", s)
	}
	check(t, same(log, fixed, engine.Query{}))

	// A set in which nobody is left says so each time.
	bad = made(t, d)
	check(t, disk.Remove("checkpoints/bad.projection"))
	set = setOf(t, log, kept(disk, 1), bad)
	for range 2 {
		if err := set.Live(t.Context()); !errors.As(err, &failed) {
			t.Errorf("live: %v", err)
		}
	}
}

// TestAReadThatFails keeps whole batches, in the state and in the checkpoint.
func TestAReadThatFails(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a", "b")
	appended(t, log, "s", "c", "broken", "d")
	const name = "log/000000000001.seg"
	whole, err := afero.ReadFile(disk, name)
	check(t, err)
	at := bytes.Index(whole, []byte("broken"))
	f, err := disk.OpenFile(name, os.O_RDWR, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("BROKEN"), int64(at))
	check(t, err)
	p := made(t, history("p", engine.Query{}))
	set := setOf(t, log, kept(disk, 1), p)
	if err := set.ToEnd(t.Context()); !errors.Is(err, engine.ErrCorrupt) {
		t.Fatalf("to end: %v", err)
	}
	if s := set.Status()[0]; s.Sequence != 2 || s.Saved != 2 || s.Applied != 2 || s.Err != nil {
		t.Errorf("%+v", s)
	}
	check(t, same(log, p, engine.Query{}))
	_, err = f.WriteAt([]byte("broken"), int64(at))
	check(t, err)
	check(t, set.ToEnd(t.Context()))
	if s := set.Status()[0]; s.Sequence != 5 || s.Saved != 5 || s.Applied != 5 {
		t.Errorf("healed: %+v", s)
	}
	check(t, same(log, p, engine.Query{}))
}

// TestARunIsGivenUp soon after its context ends, and goes on from there.
func TestARunIsGivenUp(t *testing.T) {
	log := opened(t, newDisk(), 0)
	for range 1000 {
		appended(t, log, "s", "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := history("p", engine.Query{})
	d.Apply = func(h History, e engine.Event) History {
		if e.Sequence == 100 {
			cancel()
		}
		return h.add(e)
	}
	p := made(t, d)
	set := setOf(t, log, kept(newDisk(), -1), p)
	if err := set.ToEnd(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s := set.Status()[0]; s.Sequence != 128 || s.Saved != 128 {
		t.Errorf("%+v", s)
	}
	check(t, same(log, p, engine.Query{}))
	check(t, set.ToEnd(t.Context()))
	check(t, same(log, p, engine.Query{}))
}

// TestEvery: a run writes as many checkpoints as it was told to.
func TestEvery(t *testing.T) {
	log := opened(t, newDisk(), 0)
	for range 1000 {
		appended(t, log, "s", "x")
	}
	for every, want := range map[int]int{0: 1, -1: 1, 1: 16, 300: 4, 999: 1} {
		disk := &refusing{Fs: newDisk()}
		check(t, setOf(t, log, kept(disk, every), made(t, history("p", engine.Query{}))).Once(t.Context()))
		if disk.renames != want {
			t.Errorf("every %d: %d checkpoints, want %d", every, disk.renames, want)
		}
	}
}

// refusing is a disk on which an operation fails while it is switched on.
type refusing struct {
	afero.Fs
	op      string
	renames int
}

var errRefused = fmt.Errorf("refused: %w", syscall.EIO)

func (r *refusing) MkdirAll(name string, mode fs.FileMode) error {
	if r.op == "mkdir" {
		return errRefused
	}
	return r.Fs.MkdirAll(name, mode)
}

func (r *refusing) Rename(from, to string) error {
	if r.op == "rename" {
		return errRefused
	}
	r.renames++
	return r.Fs.Rename(from, to)
}

func (r *refusing) SyncDir(name string) error {
	switch r.op {
	case "sync directory":
		return errRefused
	case "no SyncDir":
		return errors.ErrUnsupported
	}
	return r.Fs.(interface{ SyncDir(string) error }).SyncDir(name)
}

func (r *refusing) OpenFile(name string, flag int, mode fs.FileMode) (afero.File, error) {
	if r.op == "open" {
		return nil, errRefused
	}
	f, err := r.Fs.OpenFile(name, flag, mode)
	return refusingFile{f, r}, err
}

type refusingFile struct {
	afero.File
	r *refusing
}

func (f refusingFile) Write(b []byte) (int, error) {
	switch f.r.op {
	case "write":
		return 0, errRefused
	case "write all":
		n, _ := f.File.Write(b[:len(b)/2])
		return n, nil
	}
	return f.File.Write(b)
}

func (f refusingFile) Sync() error {
	if f.r.op == "sync" {
		return errRefused
	}
	return f.File.Sync()
}

// TestADiskThatRefusesCheckpoints does not stop a run, and is told at its end.
func TestADiskThatRefusesCheckpoints(t *testing.T) {
	for _, op := range []string{"mkdir", "open", "write", "write all", "sync", "rename", "sync directory"} {
		t.Run(op, func(t *testing.T) {
			log := opened(t, newDisk(), 0)
			for range 100 {
				appended(t, log, "s", "a", "b")
			}
			disk := newDisk()
			r := &refusing{Fs: disk, op: op}
			p := made(t, history("p", engine.Query{}))
			set := setOf(t, log, kept(r, 1), p)
			err := set.Once(t.Context())
			if err == nil || !errors.Is(err, errRefused) && op != "write all" {
				t.Fatalf("once: %v", err)
			}
			s := set.Status()[0]
			if s.Sequence != 200 || s.SaveErr == nil || s.Saved != 0 || s.Err != nil {
				t.Errorf("%+v", s)
			}
			check(t, same(log, p, engine.Query{}))
			// What is left of the attempt is no obstacle, and is not trusted unless whole.
			r.op = ""
			again := made(t, history("p", engine.Query{}))
			other := setOf(t, log, kept(r, 1), again)
			check(t, same(log, again, engine.Query{}))
			if reason := other.Status()[0].Rebuilt; reason != nil {
				t.Errorf("rebuilt: %v", reason)
			}
			check(t, set.Once(t.Context()))
			if s := set.Status()[0]; s.SaveErr != nil || s.Saved != 200 {
				t.Errorf("afterwards: %+v", s)
			}
		})
	}
	t.Run("no SyncDir", func(t *testing.T) {
		log, disk := opened(t, newDisk(), 0), newDisk()
		appended(t, log, "s", "a")
		check(t, setOf(t, log, kept(&refusing{Fs: disk, op: "no SyncDir"}, 1), made(t, history("p", engine.Query{}))).Once(t.Context()))
		set := setOf(t, log, kept(disk, 1), made(t, history("p", engine.Query{})))
		if s := set.Status()[0]; s.Restored != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestProgress is told at most every so many events, in order, with an end.
func TestProgress(t *testing.T) {
	log := opened(t, newDisk(), 0)
	for range 500 {
		appended(t, log, "s", "x")
		appended(t, log, "u", "x")
	}
	var told []projection.Status
	options := projection.Options{ProgressEvery: 300, Progress: func(s projection.Status) { told = append(told, s) }}
	set := setOf(t, log, options, made(t, history("p", engine.Query{})), made(t, history("half", engine.Query{Stream: "u"})))
	check(t, set.ToEnd(t.Context()))
	var got []string
	for _, s := range told {
		got = append(got, fmt.Sprintf("%s %d/%d %d", s.Name, s.Sequence, s.Of, s.Applied))
	}
	want := []string{
		"p 320/1000 320", "half 320/1000 160", "p 640/1000 640", "half 640/1000 320",
		"p 960/1000 960", "half 960/1000 480", "p 1000/1000 1000", "half 1000/1000 500",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	told = nil
	for range 10 {
		appended(t, log, "s", "x")
		check(t, set.Once(t.Context()))
	}
	if len(told) > 0 {
		t.Errorf("a short run told %d times", len(told))
	}
}

// TestOwnBytes: what Apply gets is its own, unless its query borrows.
func TestOwnBytes(t *testing.T) {
	log := opened(t, newDisk(), 0)
	_, err := log.Append(t.Context(), engine.Draft{
		Stream: "s", Type: "t", Data: []byte("data"), Metadata: []byte("meta"), Extensions: map[string][]byte{"k": []byte("v")},
	})
	check(t, err)
	spoil := func(name string) projection.Definition[string] {
		return projection.Definition[string]{Name: name, Apply: func(_ string, e engine.Event) string {
			state := fmt.Sprintf("%s %s %s", e.Data, e.Metadata, e.Extensions["k"])
			e.Data[0], e.Metadata[0], e.Extensions["k"][0] = '!', '!', '!'
			delete(e.Extensions, "k")
			return state
		}}
	}
	a, b := made(t, spoil("a")), made(t, spoil("b"))
	check(t, setOf(t, log, projection.Options{}, a, b).Once(t.Context()))
	for _, p := range []*projection.Projection[string]{a, b} {
		if state, _ := p.State(); state != "data meta v" {
			t.Errorf("%s: %q", p.Name(), state)
		}
	}
}

func TestReadOnly(t *testing.T) {
	disk := newDisk()
	writer := opened(t, disk, 0)
	appended(t, writer, "s", "a", "b")
	clock := simclock.New(simclock.Epoch())
	log, err := engine.Open(engine.Options{Dir: "log", FS: disk, ReadOnly: true, Clock: clock, Waits: waits{clock}})
	check(t, err)
	defer log.Close()
	p := made(t, history("p", engine.Query{}))
	check(t, setOf(t, log, kept(disk, 1), p).ToEnd(t.Context()))
	check(t, same(log, p, engine.Query{}))
	again := made(t, history("p", engine.Query{}))
	if s := setOf(t, writer, kept(disk, 1), again).Status()[0]; s.Rebuilt != nil {
		t.Errorf("%+v", s)
	}
}

// TestExtensionsStay: those of an event may be kept also when its bytes are
// borrowed, and nobody sees what a projection does to its own.
func TestExtensionsStay(t *testing.T) {
	log := opened(t, newDisk(), 0)
	const n = 100
	for i := range n {
		d := engine.Draft{Stream: "s", Type: "t", Data: make([]byte, 2000), Extensions: map[string][]byte{"i": fmt.Append(nil, i)}}
		if _, err := log.Append(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	type kept []map[string][]byte
	keeps := func(name string, borrow bool) *projection.Projection[kept] {
		return made(t, projection.Definition[kept]{Name: name, Query: engine.Query{Borrow: borrow}, Apply: func(k kept, e engine.Event) kept {
			return append(slices.Clone(k), e.Extensions)
		}})
	}
	spoils := made(t, projection.Definition[int]{Name: "spoils", Apply: func(n int, e engine.Event) int {
		e.Extensions["i"][0] = 'x'
		e.Extensions["more"] = nil
		return n + 1
	}})
	borrows, owns := keeps("borrows", true), keeps("owns", false)
	check(t, setOf(t, log, projection.Options{}, spoils, borrows, owns).Once(t.Context()))
	for _, p := range []*projection.Projection[kept]{borrows, owns} {
		all, _ := p.State()
		if len(all) != n {
			t.Fatalf("%s has %d events", p.Name(), len(all))
		}
		for i, got := range all {
			if len(got) != 1 || string(got["i"]) != fmt.Sprint(i) {
				t.Errorf("%s, event %d: %q", p.Name(), i+1, got)
			}
		}
	}
}

func TestWrongDefinitions(t *testing.T) {
	apply := func(n int, _ engine.Event) int { return n + 1 }
	for _, c := range []struct {
		what string
		d    projection.Definition[int]
		want []string
	}{
		{"nothing", projection.Definition[int]{}, []string{"Name must be", "Apply is nil"}},
		{"a long name", projection.Definition[int]{Name: strings.Repeat("x", 65), Apply: apply}, []string{"Name must be"}},
		{"a control character", projection.Definition[int]{Name: "a\n", Apply: apply}, []string{"Name must be"}},
		{"no UTF-8", projection.Definition[int]{Name: "\xff", Apply: apply}, []string{"Name must be"}},
		{"backward", projection.Definition[int]{Name: "x", Apply: apply, Query: engine.Query{Backward: true}}, []string{"no Backward"}},
		{"a limit", projection.Definition[int]{Name: "x", Apply: apply, Query: engine.Query{Limit: 1}}, []string{"no Backward"}},
		{"buffered", projection.Definition[int]{Name: "x", Apply: apply, Query: engine.Query{Buffered: true}}, []string{"no Backward"}},
		{"versions of no stream", projection.Definition[int]{Name: "x", Apply: apply, Query: engine.Query{ToVersion: 1}}, []string{"need a Stream"}},
		{"all of it", projection.Definition[int]{Name: "x", Query: engine.Query{Limit: 1, FromVersion: 1}}, []string{"no Backward", "need a Stream", "Apply is nil"}},
	} {
		_, err := projection.New(c.d)
		if !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", c.what, err, want)
			}
		}
		if text := err.Error(); !strings.Contains(text, ": invalid definition: ") || strings.Contains(text, "\n") {
			t.Errorf("%s: %q", c.what, text)
		}
	}
	log := opened(t, newDisk(), 0)
	one := func(name string) *projection.Projection[int] {
		return made(t, projection.Definition[int]{Name: name, Apply: apply})
	}
	taken, free := one("taken"), one("free")
	setOf(t, log, projection.Options{}, taken)
	for what, members := range map[string][]projection.Member{
		"nobody": nil, "the same name": {one("a"), one("a")}, "one of another set": {free, taken}, "the same twice": {free, free},
	} {
		if _, err := projection.Open(log, projection.Options{}, members...); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	setOf(t, log, projection.Options{}, free) // nobody has kept it
	var none *projection.Projection[int]
	for what, m := range map[string]projection.Member{"nil": nil, "a nil pointer": none, "not from New": new(projection.Projection[int])} {
		for _, o := range []projection.Options{{}, kept(newDisk(), 1)} {
			_, err := projection.Open(log, o, one("a"), m, one("a"))
			if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), "projection 2 of 3") || !strings.Contains(err.Error(), "two projections have the name") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	_, err := projection.Open(log, projection.Options{Checkpoints: projection.Checkpoints{Dir: "d"}}, one("b"))
	if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), "set FS") {
		t.Errorf("a directory without a file system: %v", err)
	}
	cause := errors.New("the cause")
	_, err = projection.New(projection.Definition[int]{Name: "x", Apply: apply, Initial: func() int { panic(cause) }})
	if !errors.Is(err, engine.ErrInvalid) || !errors.Is(err, cause) {
		t.Errorf("Initial panics: %v", err)
	}
	if _, err := projection.Open(log, projection.Options{ProgressEvery: -1}, one("b")); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("ProgressEvery: %v", err)
	}
	if _, err := projection.Open(nil, projection.Options{}, one("b")); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("no log: %v", err)
	}
}

// TestAPassThatIsLeft: what a panic or runtime.Goexit in somebody else's code left half
// done is not applied twice by the next run, nor saved.
func TestAPassThatIsLeft(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	for i := range 200 {
		appended(t, log, "s", fmt.Sprint(i))
	}
	for what, leave := range map[string]func(){"a panic": func() { panic("left") }, "Goexit": runtime.Goexit} {
		name := strings.ReplaceAll(what, " ", "-")
		armed := true
		d := history(name, engine.Query{})
		add := d.Apply
		d.Apply = func(h History, e engine.Event) History {
			if what == "Goexit" && armed && e.Sequence == 150 {
				armed = false
				leave()
			}
			return add(h, e)
		}
		p := made(t, d)
		o := kept(disk, 1)
		o.ProgressEvery = 10
		o.Progress = func(s projection.Status) {
			if what == "a panic" && armed && s.Sequence > 0 {
				armed = false
				leave()
			}
		}
		set, err := projection.Open(log, o, p, made(t, history(name+"-beside", engine.Query{})))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			t.Errorf("%s: the run goes on: %v", what, set.Once(t.Context()))
		}()
		<-done
		if err := set.Once(t.Context()); err != nil || armed {
			t.Fatalf("%s: %v", what, err)
		}
		for _, status := range set.Status() {
			if status.Applied != 200 {
				t.Errorf("%s: %+v", what, status)
			}
		}
		if state, at := p.State(); state.Seen != 200 || at != 200 {
			t.Errorf("%s: %d events at %d", what, state.Seen, at)
		}
	}
}
