package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simfs"
)

// The rows of the error table: what goes wrong, what the call says, what becomes
// of the log, and what is there after it was opened again.
func TestErrorTable(t *testing.T) {
	for _, row := range []struct {
		name   string
		faults []string
		says   []error
		goesOn bool
	}{
		{"no room prepared", []string{"step=1 preallocate seg #1: fail ENOSPC", "step=1 preallocate seg #2: fail ENOSPC"}, []error{engine.ErrRejected, engine.ErrNoSpace, syscall.ENOSPC}, true},
		{"write error", []string{"step=1 writeat seg #1: fail EIO"}, []error{engine.ErrFailed, syscall.EIO}, true},
		{"short write", []string{"step=1 writeat seg #1: short 100"}, []error{engine.ErrFailed, syscall.EIO}, true},
		{"disk full inside the group", []string{"step=1 writeat seg #1: short 700 ENOSPC"}, []error{engine.ErrFailed, engine.ErrNoSpace, syscall.ENOSPC}, true},
		{"fresh segment cannot be made", []string{"step=1 writeat seg #1: short 100", "step=1 create new #1: fail EIO"}, []error{engine.ErrInDoubt, syscall.EIO}, false},
		{"fresh segment cannot be written", []string{"step=1 writeat seg #1: short 100", "step=1 writeat new #1: fail ENOSPC"}, []error{engine.ErrInDoubt, syscall.ENOSPC}, false},
		{"fresh segment cannot be synced", []string{"step=1 writeat seg #1: short 100", "step=1 sync new #1: failsync ext4"}, []error{engine.ErrInDoubt, syscall.EIO}, false},
		{"fresh segment cannot be renamed", []string{"step=1 writeat seg #1: short 100", "step=1 rename new #1: fail EIO"}, []error{engine.ErrInDoubt, syscall.EIO}, false},
		{"its name cannot be made durable", []string{"step=1 writeat seg #1: short 100", "step=1 syncdir dir #1: failsync ext4"}, []error{engine.ErrInDoubt, syscall.EIO}, false},
		{"sync of the group fails", []string{"step=1 syncdata seg #1: failsync ext4"}, []error{engine.ErrInDoubt, syscall.EIO}, false},
		{"sync of the group fails, pages stay dirty", []string{"step=1 syncdata seg #1: failsync keep-dirty"}, []error{engine.ErrInDoubt, syscall.EIO}, false},
		{"the file system shuts down", []string{"step=1 syncdata seg #1: failsync shutdown"}, []error{engine.ErrInDoubt}, false},
	} {
		for _, early := range []string{"", "one"} { // the first group of a segment is special
			t.Run(fmt.Sprintf("%s/before=%q", row.name, early), func(t *testing.T) {
				m := newMachine(t, engine.Options{SegmentSize: 1 << 20})
				log := m.open(row.faults...)
				var there []string
				if early != "" {
					appended(t, log, early)
					there = append(there, early)
				}
				m.happen()
				ctx := context.Background()
				batch := engine.Batch{Key: "k", Events: drafts(big("lost", 100_000), "too")}
				_, err := log.AppendBatch(ctx, batch)
				m.happened()
				matches(t, err, row.says...)
				if stats := log.Stats(); stats.Durable.Sequence != uint64(len(there)) || stats.Visible != stats.Durable || (stats.Failed == nil) != row.goesOn {
					t.Errorf("stats: %+v", stats)
				} else if row.goesOn && (stats.Written != stats.Durable || stats.Accepted != stats.Durable) {
					t.Errorf("after a rollback: %+v", stats)
				}
				if row.name != "the file system shuts down" { // reads go on
					if got := payloads(all(t, log, engine.Query{})); !slices.Equal(got, there) {
						t.Errorf("the log shows %.100q, want %q", got, there)
					}
				}
				if !row.goesOn {
					_, err := log.Append(ctx, draft("later"))
					matches(t, err, append([]error{engine.ErrRejected, engine.ErrLogFailed}, row.says[1:]...)...)
					if err := log.Sync(ctx); !errors.Is(err, engine.ErrLogFailed) {
						t.Errorf("sync of a failed log: %v", err)
					}
					_ = log.Close() // what is in doubt was told of
					m.powerLoss(simfs.Latest())
					log = m.open()
				}
				// After a rejection and a failure the key is as never used; in doubt a
				// retry has one effect.
				receipts, err := log.AppendBatch(ctx, batch)
				if err != nil {
					t.Fatal(err)
				}
				if want := uint64(len(there) + 1); receipts[0].Sequence != want {
					t.Errorf("the retry has sequence %d, want %d", receipts[0].Sequence, want)
				}
				there = append(there, string(batch.Events[0].Data), "too")
				m.holds(log, there...)
				appended(t, log, "last")
				there = append(there, "last")
				closed(t, log)
				m.reopened(there...)
				m.powerLoss(simfs.Oldest())
				m.reopened(there...)
			})
		}
	}
}

// workload appends six batches to a log, durable ones and buffered ones. It
// returns the payloads that must be there afterwards, and those that may follow.
func workload(ctx context.Context, log *engine.Log) (must, may []string) {
	for i := range 6 {
		payload := big(fmt.Sprintf("payload %d", i), 12_000)
		durability := engine.Durable
		if i%3 == 1 {
			durability = engine.Buffered
		}
		_, err := log.AppendBatch(ctx, engine.Batch{Events: drafts(payload), Durability: durability})
		switch {
		case err == nil && durability == engine.Durable:
			must, may = append(append(must, may...), payload), nil
		case err == nil, errors.Is(err, engine.ErrInDoubt):
			may = append(may, payload)
		}
	}
	return must, may
}

// counted runs a workload without faults, and says which operations there were.
func counted(t *testing.T, options engine.Options) []faults.Count {
	t.Helper()
	m := newMachine(t, options)
	log := m.open("step=9 sync * #1: fail EIO")
	workload(context.Background(), log)
	closed(t, log)
	return m.faults.Counts()
}

// TestNoSpaceAnywhere fills the disk at every operation that needs room, once and
// for good. Nothing acknowledged as durable is lost, and the log opens again when
// there is room.
func TestNoSpaceAnywhere(t *testing.T) {
	ctx := context.Background()
	for _, preallocate := range []int64{0, -1} {
		options := engine.Options{Preallocate: preallocate}
		for _, count := range counted(t, options) {
			switch count.Op {
			case faults.WriteAt, faults.Write, faults.Preallocate, faults.Create, faults.Mkdir:
			default:
				continue
			}
			for n := 1; n <= count.N; n++ {
				for _, lasting := range []string{"", " sticky"} {
					line := fmt.Sprintf("step=0 %v %s #%d: fail ENOSPC%s", count.Op, count.Class, n, lasting)
					t.Run(fmt.Sprintf("preallocate=%d/%s", preallocate, line), func(t *testing.T) {
						m := newMachine(t, options)
						survives(ctx, t, m, line)
					})
				}
			}
		}
	}
}

// survives runs a workload in which something goes wrong, and checks that the
// log has afterwards what it promised, and nothing else.
func survives(ctx context.Context, t *testing.T, m *machine, line string) {
	t.Helper()
	var must, may []string
	log, err := engine.Open(m.seams(line))
	if err == nil {
		must, may = workload(ctx, log)
		if log.Close() == nil && log.Stats().Failed == nil {
			must, may = append(must, may...), nil
		}
	}
	if len(m.faults.Fired()) == 0 {
		t.Fatalf("the fault did not happen: %v", m.faults.NotFired())
	}
	m.powerLoss(simfs.Latest())
	log = m.open()
	got := payloads(all(t, log, engine.Query{}))
	verified(t, log)
	if want := append(must, may...); len(got) < len(must) || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
		t.Fatalf("the log holds %.30q, must hold %.30q, and then perhaps %.30q", got, must, may)
	}
	appended(t, log, "last")
	closed(t, log)
	m.reopened(append(got, "last")...)
}

// TestEveryOperationFails lets every operation of a workload fail, end early or
// fail as a sync does, once and for good.
func TestEveryOperationFails(t *testing.T) {
	ctx := context.Background()
	options := engine.Options{Preallocate: 8192}
	tried := 0
	for fault := range faults.Every(counted(t, options)) {
		switch fault.Kind {
		case faults.Fail, faults.Short:
		case faults.FailSync:
			if !slices.Contains([]faults.Mode{faults.Ext4, faults.XFS, faults.KeepDirty, faults.Shutdown}, fault.Mode) {
				continue // nobody is told, or it cannot happen on this disk
			}
		default:
			continue
		}
		tried++
		t.Run(fault.String(), func(t *testing.T) { survives(ctx, t, newMachine(t, options), fault.String()) })
	}
	if tried < 50 {
		t.Errorf("%d faults tried", tried)
	}
}

// TestEveryOperationOfOpenFailsOnce fails one operation of an Open. It fails or
// succeeds; the next one is fine, and nothing is lost.
func TestEveryOperationOfOpenFailsOnce(t *testing.T) {
	damages := map[string]func(m *machine) []string{
		"empty": func(m *machine) []string { return nil },
		"closed": func(m *machine) []string {
			log := m.open()
			acked, may := workload(context.Background(), log)
			closed(m.t, log)
			return append(acked, may...)
		},
		"torn": func(m *machine) []string {
			log := m.open()
			acked, may := workload(context.Background(), log)
			if err := log.Sync(context.Background()); err != nil {
				m.t.Fatal(err)
			}
			torn(m, log)
			return append(acked, may...)
		},
		"torn in the first group": func(m *machine) []string {
			torn(m, m.open())
			return nil
		},
	}
	for name, prepare := range damages {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, engine.Options{})
			want := prepare(m)
			start := m.disk
			m.disk = start.Clone()
			log := m.open("step=9 sync * #1: fail EIO")
			counts := m.faults.Counts()
			log.Close()
			tried := 0
			for fault := range faults.Every(counts) {
				if fault.Kind != faults.Fail && fault.Kind != faults.FailSync && fault.Kind != faults.Short || fault.Lasting != faults.Once || fault.Mode == faults.Silent {
					continue
				}
				tried++
				m.disk = start.Clone()
				log, err := engine.Open(m.seams(fault.String()))
				if err == nil {
					if got := payloads(all(t, log, engine.Query{})); fmt.Sprint(got) != fmt.Sprint(want) {
						t.Fatalf("%v: Open succeeds and shows %.30q, want %.30q", fault, got, want)
					}
				}
				if fault.Kind != faults.FailSync && len(m.faults.Fired()) == 0 {
					t.Errorf("%v did not happen: %v", fault, m.faults.NotFired())
				}
				if errors.Is(err, engine.ErrCorrupt) {
					t.Errorf("%v is taken for damage: %v", fault, err)
				}
				m.powerLoss(simfs.Latest())
				m.reopened(want...)
				m.powerLoss(simfs.Oldest())
				m.reopened(want...)
			}
			if tried < 10 {
				t.Errorf("%d faults tried", tried)
			}
		})
	}
}

// torn cuts the power in the write of a batch, of which the first cells arrive.
func torn(m *machine, log *engine.Log) {
	m.t.Helper()
	var image *simfs.Image
	m.disk.Observe(func(op simfs.Op) {
		if op.Kind == simfs.OpWrite && image == nil {
			image = m.disk.CloneTorn(int(op.Length/512) - 2).Crash(simfs.PowerLoss)
		}
	})
	if _, err := log.Append(context.Background(), draft(big("torn", 5000))); err != nil {
		m.t.Fatal(err)
	}
	m.disk.Kill()
	m.clock.Kill()
	m.disk = image.Mount(simfs.Latest())
}

// TestDiskAlmostFull: where there is no room for a step, but for the group, it is
// taken.
func TestDiskAlmostFull(t *testing.T) {
	for _, durability := range []engine.Durability{engine.Durable, engine.Buffered} {
		m := newMachine(t, engine.Options{SegmentSize: 1 << 20})
		log := m.open("step=1 preallocate seg #1: fail ENOSPC")
		m.happen()
		_, err := log.AppendBatch(context.Background(), engine.Batch{Durability: durability, Events: drafts(big("first", 100_000))})
		m.happened()
		if err != nil {
			t.Fatalf("durability %d: %v", durability, err)
		}
		if s := log.Stats().Segments[0]; s.Size-s.Used >= 2*4096 {
			t.Errorf("durability %d: %d bytes are reserved behind %d, more than the block that is begun, and one for END", durability, s.Size-s.Used, s.Used)
		}
		if got := payloads(all(t, log, engine.Query{})); durability == engine.Durable && len(got) != 1 {
			t.Errorf("durability %d: the log shows %d events", durability, len(got))
		}
	}
}

// TestRoomInSteps: large groups that are not synced have room reserved for several
// at once.
func TestRoomInSteps(t *testing.T) {
	m := newMachine(t, engine.Options{SegmentSize: 16 << 20})
	log := m.open()
	reserved := 0
	m.disk.Observe(func(op simfs.Op) {
		if op.Kind == simfs.OpPreallocate {
			reserved++
		}
	})
	const groups, size = 20, 200_000
	for range groups {
		if _, err := log.AppendBatch(context.Background(), engine.Batch{Durability: engine.Buffered, Events: drafts(big("x", size))}); err != nil {
			t.Fatal(err)
		}
	}
	// Steps of 1 MiB, but for the first few, and what is synced by count or time.
	if most := groups*size>>20 + 4; reserved > most {
		t.Errorf("room was made %d times, want at most %d", reserved, most)
	}
}

// TestRoomForEND: a log can leave a segment, and be closed, when the disk is full:
// behind each group there is room for an END on a block of its own.
func TestRoomForEND(t *testing.T) {
	for _, align := range []int{0, 4096} {
		m := newMachine(t, engine.Options{SegmentSize: 256 << 10, Align: align})
		log := m.open()
		for i, size := range []int{1, 4000, 100, 70_000, 3_900, 64_000, 5, 100_000, 30_000} {
			batch := engine.Batch{Durability: engine.Durability(i % 2), Events: drafts(big("x", size))}
			if _, err := log.AppendBatch(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			segments := log.Stats().Segments
			s := segments[len(segments)-1]
			if least := (s.Used+4095)&^4095 + 128; s.Size < least {
				t.Errorf("align %d, behind %d bytes: the segment has %d, an END may need %d", align, size, s.Size, least)
			}
		}
	}
}

// moody is randomness that can fail when a segment's seed is drawn.
type moody struct {
	io.Reader
	fails bool
}

func (r *moody) Read(b []byte) (int, error) {
	if r.fails && len(b) == 16 {
		return 0, errors.New("no randomness")
	}
	return r.Reader.Read(b)
}

// TestNoSeed: without randomness for a segment's seed nothing has happened, and the
// log goes on when there is some again.
func TestNoSeed(t *testing.T) {
	m := newMachine(t, engine.Options{})
	o := m.seams()
	random := &moody{Reader: o.Rand, fails: true}
	o.Rand = random
	if _, err := engine.Open(o); err == nil || !strings.Contains(err.Error(), "no randomness") {
		t.Fatalf("a new log: %v", err)
	}
	random.fails = false
	log, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 12 {
		random.fails = i%2 == 0
		text := big(fmt.Sprint(i, " "), 30_000)
		switch _, err := log.Append(context.Background(), draft(text)); {
		case err == nil:
			want = append(want, text)
		case !random.fails || !errors.Is(err, engine.ErrRejected):
			t.Fatalf("append %d: %v", i, err)
		}
		if got := payloads(all(t, log, engine.Query{})); !slices.Equal(got, want) {
			t.Fatalf("append %d: the log shows %d events, want %d", i, len(got), len(want))
		}
	}
	if len(want) >= 12 || len(want) < 6 {
		t.Errorf("%d of 12 appends went through: the test does not test what it says", len(want))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	m.reopened(want...)
}
