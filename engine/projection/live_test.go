package projection_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// amongTasks runs f as a task beside a live run of a set that openSet opens. The run
// is not ended before f returns: then it is killed where it stands.
func amongTasks(t *testing.T, disk afero.Fs, openSet func(*engine.Log) *projection.Set, f func(*engine.Log)) {
	t.Helper()
	clock := simclock.New(simclock.Epoch())
	tasks := simclock.NewScheduler(clock, simclock.Order{})
	tasks.Run("main", func() {
		log, err := engine.Open(engine.Options{
			Dir: "log", FS: disk, SegmentSize: 64 << 10, Clock: clock, Waits: turns{tasks}, Rand: rand.NewChaCha8([32]byte{}),
		})
		if err != nil {
			t.Error(err)
			return
		}
		set := openSet(log)
		tasks.Go("live", func() { t.Errorf("live has ended: %v", set.Live(context.Background())) })
		f(log)
		for range 20 {
			tasks.Yield() // the run comes to where it waits
		}
	})
}

// TestALiveRunIsKilled at any operation on the disk, also in the midst of a
// checkpoint: the next one begins at most Every events behind what was seen, though
// no pass has had more than one event.
func TestALiveRunIsKilled(t *testing.T) {
	const every, events = 7, 40
	for _, kind := range crashes() {
		disk := newDisk()
		var p *projection.Projection[History]
		type moment struct {
			image *simfs.Image
			seen  uint64
		}
		var moments []moment
		watched := faults.New(disk, nil, faults.Options{Before: func(faults.OpKind, string) {
			if p == nil {
				return
			}
			_, seen := p.State()
			moments = append(moments, moment{disk.Crash(kind), seen})
		}})
		var killed projection.Status
		amongTasks(t, watched, func(log *engine.Log) *projection.Set {
			p = made(t, history("p", engine.Query{}))
			return setOf(t, log, kept(watched, every), p)
		}, func(log *engine.Log) {
			for i := range events {
				receipts := appended(t, log, "s", fmt.Sprint(i))
				check(t, p.WaitFor(context.Background(), receipts[0].Sequence))
			}
		})
		moments = append(moments, moment{disk.Crash(kind), events})
		latest := uint64(0)
		for i, m := range moments {
			for seed := range uint64(3) {
				left := m.image.Mount(simfs.Random(seed))
				log, err := logOn(left, 1+i)
				check(t, err)
				again := made(t, history("p", engine.Query{}))
				set := setOf(t, log, kept(left, every), again)
				killed = set.Status()[0]
				if killed.Rebuilt != nil || killed.Restored+every < m.seen {
					t.Fatalf("%v, killed at operation %d with event %d seen: %+v", kind, i, m.seen, killed)
				}
				latest = max(latest, killed.Restored)
				check(t, set.Once(t.Context()))
				check(t, same(log, again, engine.Query{}))
				check(t, log.Close())
			}
		}
		// Where it waits, it has looked whether a checkpoint is due.
		if killed.Restored+every <= events || latest != events/every*every {
			t.Errorf("%v, killed while it waited behind event %d: %+v; the last checkpoint of all is at %d", kind, events, killed, latest)
		}
	}
}

// TestALiveRunSavesNoMore than it was told to.
func TestALiveRunSavesNoMore(t *testing.T) {
	for every, want := range map[int]int{-1: 0, 0: 0, 1: 50, 7: 7, 51: 0} {
		disk := &refusing{Fs: newDisk()}
		var p *projection.Projection[History]
		amongTasks(t, disk.Fs, func(log *engine.Log) *projection.Set {
			p = made(t, history("p", engine.Query{}))
			return setOf(t, log, kept(disk, every), p)
		}, func(log *engine.Log) {
			for range 50 {
				check(t, p.WaitFor(context.Background(), appended(t, log, "s", "x")[0].Sequence))
			}
		})
		if disk.renames != want {
			t.Errorf("every %d: %d checkpoints, want %d", every, disk.renames, want)
		}
	}
}

// TestALiveRunTellsItsProgress, though each of its passes is short; the next run
// counts from zero.
func TestALiveRunTellsItsProgress(t *testing.T) {
	var told []string
	var set *projection.Set
	var p *projection.Projection[History]
	amongTasks(t, newDisk(), func(log *engine.Log) *projection.Set {
		p = made(t, history("p", engine.Query{}))
		set = setOf(t, log, projection.Options{ProgressEvery: 7, Progress: func(s projection.Status) {
			told = append(told, fmt.Sprintf("%d/%d %d", s.Sequence, s.Of, s.Applied))
		}}, p)
		return set
	}, func(log *engine.Log) {
		for i := range 20 {
			payloads := []string{"x"}
			if i == 10 { // a batch of nine is the eleventh
				payloads = slices.Repeat(payloads, 9)
			}
			receipts := appended(t, log, "s", payloads...)
			check(t, p.WaitFor(context.Background(), receipts[len(receipts)-1].Sequence))
		}
	})
	if want := []string{"7/7 7", "19/19 19", "26/26 26"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}

	log := opened(t, newDisk(), 0)
	told = nil
	set = setOf(t, log, projection.Options{ProgressEvery: 7, Progress: func(s projection.Status) { told = append(told, fmt.Sprint(s.Sequence)) }},
		made(t, history("p", engine.Query{})))
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		appended(t, log, "s", "a", "b", "c", "d")
		stop()
		if err := set.Live(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		check(t, set.Once(t.Context()))
	}
	if len(told) > 0 {
		t.Errorf("runs of four events told %q", told)
	}
}
