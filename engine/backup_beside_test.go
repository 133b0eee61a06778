package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
)

// madeBackup is a backup that was made while others worked.
type madeBackup struct {
	dir string
	engine.Backup
}

// TestBackupsBesideWriters: from the process that writes, and from another one, while
// calls append, the log rotates, and groups are rolled back. A backup has what was
// durable when it was asked for, and nothing that the log has not.
func TestBackupsBesideWriters(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	total, again, failures := 0, 0, 0
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 1))
		var made []madeBackup
		newCrowd(t, seed, engine.Options{SegmentSize: 64 << 10, Preallocate: 8 << 10}, func(c *crowd) {
			ctx := context.Background()
			ending := false
			disk := faults.New(c.disk, nil, faults.Options{Before: func(op faults.OpKind, path string) { c.turns.Switch("backup: " + op.String()) }})
			writer := func(i int) {
				for k := range 14 {
					batch := engine.Batch{Events: drafts(big(fmt.Sprint(i, ".", k, " "), 200+random.IntN(12_000)))}
					if random.IntN(4) == 0 {
						batch.Durability = engine.Buffered
					}
					c.failing = random.IntN(12) == 0
					if _, err := c.log.AppendBatch(ctx, batch); errors.Is(err, engine.ErrFailed) {
						failures++
					} else if err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
			}
			backup := func(log *engine.Log, dir string) error {
				before := log.LogHead()
				b, err := log.Backup(ctx, engine.BackupTarget{FS: disk, Dir: dir})
				if err == nil {
					made = append(made, madeBackup{dir, b})
					if b.Head.Batch < before.Batch {
						t.Errorf("seed %d: the backup is at batch %d, and %d was durable before", seed, b.Head.Batch, before.Batch)
					}
				}
				return err
			}
			within := func() {
				for k := 0; !ending; k++ {
					dir := "backups/continued"
					if k%3 == 0 {
						dir = fmt.Sprint("backups/", k)
					}
					if err := backup(c.log, dir); err != nil && !errors.Is(err, engine.ErrNothingDurable) {
						t.Errorf("seed %d: %v", seed, err)
					}
					c.turns.Switch("between two backups")
				}
			}
			other := func() {
				o := engine.Options{Dir: "log", FS: disk, ReadOnly: true, Clock: c.clock, Waits: turns{c.turns}, Rand: rand.NewChaCha8([32]byte{byte(seed), 1})}
				for k := 0; !ending; k++ {
					c.turns.Switch("between two backups of another process")
					log, err := engine.Open(o)
					if err != nil {
						t.Errorf("seed %d: %v", seed, err)
						return
					}
					dir := "backups/of another"
					if k%3 == 0 {
						dir = fmt.Sprint("backups/of another ", k)
					}
					for range 2 {
						c.turns.Switch("between two backups of another process")
						err = backup(log, dir)
						switch {
						case err == nil, errors.Is(err, engine.ErrNothingDurable):
						case errors.Is(err, engine.ErrRecovered):
							again++
						default:
							t.Errorf("seed %d: %v", seed, err)
						}
					}
					_ = log.Close()
				}
			}
			working := 2
			c.each(4, func(i int) {
				switch i {
				case 0, 1:
					writer(i)
					if working--; working == 0 {
						ending, c.failing = true, false
					}
				case 2:
					within()
				default:
					other()
				}
			})
			// The last backup of a directory is what lies there.
			last := map[string]engine.Backup{}
			for _, b := range made {
				last[b.dir] = b.Backup
				if _, err := c.log.Verify(ctx, b.Head); err != nil {
					t.Errorf("seed %d, %s: %v", seed, b.dir, err)
				}
			}
			for dir, b := range last {
				copied, err := engine.Open(engine.Options{Dir: dir, FS: c.disk, ReadOnly: true})
				if err != nil {
					t.Errorf("seed %d, %s: %v", seed, dir, err)
					continue
				}
				want := payloads(all(t, c.log, engine.Query{ToSequence: b.Head.Sequence}))
				if got := payloads(all(t, copied, engine.Query{})); copied.LogHead() != b.Head || !slices.Equal(got, want) || copied.Recovery().Unproven > 0 {
					t.Errorf("seed %d: %s has %d events, want %d", seed, dir, len(got), len(want))
				}
				_ = copied.Close()
			}
		})
		total += len(made)
	}
	t.Logf("%d backups beside writers; %d groups were rolled back; another process had to open the log again %d times", total, failures, again)
	if total < 10 || failures == 0 {
		t.Error("too little has happened")
	}
}

// TestBackupsOnARealDiskBesideWriters links and copies while goroutines append.
func TestBackupsOnARealDiskBesideWriters(t *testing.T) {
	base := t.TempDir()
	log, err := engine.Open(engine.Options{Dir: filepath.Join(base, "log"), SegmentSize: 64 << 10, SyncEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 { // a segment, and what begins the next one
		appended(t, log, big(fmt.Sprint(i), 20_000))
	}
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 2 {
		writers.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				batch := engine.Batch{Events: drafts(big(fmt.Sprint(i, ".", k, " "), 9000)), Durability: engine.Durability(k % 2)}
				if _, err := log.AppendBatch(context.Background(), batch); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	follower := openDir(t, engine.Options{Dir: filepath.Join(base, "log"), ReadOnly: true})
	var heads []engine.LogHead
	linked := 0
	for k := range rounds {
		for name, of := range map[string]*engine.Log{"within": log, "beside": follower} {
			dir := filepath.Join(base, name)
			if k%3 != 0 {
				dir = filepath.Join(base, fmt.Sprint(name, k))
			}
			b, err := of.Backup(t.Context(), engine.BackupTarget{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			heads = append(heads, b.Head)
			linked += b.Linked
			copied := openDir(t, engine.Options{Dir: dir, ReadOnly: true})
			if v := verified(t, copied); v.Head != b.Head {
				t.Errorf("%s has the head %+v, want %+v", dir, v.Head, b.Head)
			}
		}
	}
	cancel()
	writers.Wait()
	if _, err := log.Verify(t.Context(), heads...); err != nil {
		t.Error(err)
	}
	closed(t, log)
	t.Logf("%d backups, %d segments linked", len(heads), linked)
	if linked == 0 && runtime.GOOS != "windows" { // where there are no links
		t.Error("no segment was linked")
	}
}
