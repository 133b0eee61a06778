package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// copier is one run on a disk on which there are a log, a backup of it, and a log that
// was restored from that, or what a crash has left of them. Event i of the log is
// always the same.
type copier struct {
	run   *explore.Run
	fs    afero.Fs
	clock *simclock.Clock
	lives uint64
}

func newCopier(run *explore.Run, links bool) *copier {
	c := &copier{run: run, fs: run.FS, clock: simclock.New(simclock.Epoch())}
	if links {
		c.fs = &linking{FS: run.Disk, linked: func(name string) { run.Note(explore.Note{Key: "linked " + name}) }}
	}
	return c
}

func (c *copier) options(dir string) engine.Options {
	seed := [32]byte{}
	c.lives++
	binary.LittleEndian.PutUint64(seed[:], c.run.Entropy)
	binary.LittleEndian.PutUint64(seed[8:], c.lives)
	return engine.Options{Dir: dir, FS: c.fs, Clock: c.clock, Waits: waits{c.clock}, Rand: rand.NewChaCha8(seed), SegmentSize: 64 << 10, Preallocate: -1}
}

func eventData(i int) string { return big(fmt.Sprint("event ", i, " "), 1000+(i%3)*20_000) }

// append appends so many events, one after the other.
func (c *copier) append(log *engine.Log, events int) error {
	for range events {
		i := int(log.Stats().Events)
		if _, err := log.Append(context.Background(), draft(eventData(i))); err != nil {
			return err
		}
		c.run.Note(explore.Note{Key: fmt.Sprint("acked ", i+1)})
	}
	return nil
}

// buffer appends an event that nobody makes durable.
func (c *copier) buffer(log *engine.Log) error {
	_, err := log.AppendBatch(context.Background(), engine.Batch{Events: drafts(eventData(int(log.Stats().Events))), Durability: engine.Buffered})
	return err
}

// backup backs a log up, in the place of what is there.
func (c *copier) backup(log *engine.Log) error {
	b, err := log.Backup(context.Background(), engine.BackupTarget{FS: c.fs, Dir: "backups/of log"})
	if err != nil {
		return err
	}
	if b.Head != log.LogHead() {
		return fmt.Errorf("the backup has the head %+v, the log %+v", b.Head, log.LogHead())
	}
	c.run.Note(explore.Note{Key: fmt.Sprint("backup ", b.Head.Sequence)})
	return nil
}

func (c *copier) restore() error {
	r, err := engine.Restore(context.Background(), c.options("backups/of log"), engine.BackupTarget{FS: c.fs, Dir: "restored"}, nil)
	if err != nil {
		return err
	}
	c.run.Note(explore.Note{Key: fmt.Sprint("restored ", r.Head.Sequence)})
	return nil
}

// promised is the last number that was noted of a thing.
func (c *copier) promised(thing string) (n uint64) {
	for _, note := range c.run.History {
		if number, ok := strings.CutPrefix(note.Key, thing+" "); ok {
			_, _ = fmt.Sscan(number, &n)
		}
	}
	return n
}

// holds checks that a log has all that was promised, as it was, and nothing else.
func holds(log *engine.Log, promised uint64) error {
	n := uint64(0)
	for event, err := range log.Read(engine.Query{}) {
		if err != nil {
			return err
		}
		if string(event.Data) != eventData(int(n)) {
			return fmt.Errorf("event %d is %.20q", n+1, event.Data)
		}
		n++
	}
	if n < promised {
		return fmt.Errorf("there are %d events, and %d were promised", n, promised)
	}
	_, err := log.Verify(context.Background())
	return err
}

// whole checks what lies in a directory: a closed log, with a head that the log itself
// has; or no log, if none was promised.
func (c *copier) whole(dir string, promised uint64, log *engine.Log) error {
	o := c.options(dir)
	o.ReadOnly = true
	copied, err := engine.Open(o)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, engine.ErrUnfinished) {
		if promised > 0 {
			return fmt.Errorf("%d events were promised: %w", promised, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer copied.Close()
	head := copied.LogHead()
	if r := copied.Recovery(); r.Segments == 0 && promised == 0 {
		return nil
	} else if r.Torn || r.Unproven > 0 || head.Batch == 0 {
		return fmt.Errorf("it is not closed: %+v", r)
	}
	if err := holds(copied, promised); err != nil {
		return err
	}
	_, err = log.Verify(context.Background(), head)
	return err
}

// recover looks at all three, and does it all once more.
func (c *copier) recover(restores bool) error {
	in := func(what string, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	linked := map[string][]byte{}
	for _, note := range c.run.History {
		if name, ok := strings.CutPrefix(note.Key, "linked "); ok {
			b, err := afero.ReadFile(c.fs, name)
			if err != nil {
				return err
			}
			linked[name] = b
		}
	}
	log, err := engine.Open(c.options("log"))
	if err != nil {
		return in("the log", err)
	}
	if err := holds(log, c.promised("acked")); err != nil {
		return in("the log", err)
	}
	if err := c.whole("backups/of log", c.promised("backup"), log); err != nil {
		return in("the backup", err)
	}
	if err := c.whole("restored", c.promised("restored"), log); err != nil {
		return in("the restored log", err)
	}
	if restores {
		if err := c.restore(); err != nil {
			return in("restore again", err)
		}
		if err := c.whole("restored", log.LogHead().Sequence, log); err != nil {
			return in("the restored log, after that", err)
		}
	} else {
		for range 2 {
			if err := c.backup(log); err != nil {
				return in("back up again", err)
			}
			if err := c.whole("backups/of log", log.LogHead().Sequence, log); err != nil {
				return in("the backup, after that", err)
			}
			if err := c.append(log, 1); err != nil {
				return in("the log goes on", err)
			}
		}
	}
	if err := log.Close(); err != nil {
		return err
	}
	for name, before := range linked {
		after, err := afero.ReadFile(c.fs, name)
		if err != nil {
			return err
		}
		if len(after) > len(before) || !slices.Equal(after, before[:len(after)]) {
			return fmt.Errorf("%s was linked, and written to", name)
		}
	}
	return nil
}

// linking is a disk with links. What is linked is never written to again, so that a
// durable copy under a name that is not durable is the same.
type linking struct {
	*simfs.FS
	linked func(name string)
}

func (l *linking) LinkTo(name string, to afero.Fs, toName string) error {
	if to != l {
		return errors.ErrUnsupported
	}
	l.linked(name)
	b, err := afero.ReadFile(l.FS, name)
	if err != nil {
		return err
	}
	if err := l.MkdirAll("links", 0o755); err != nil {
		return err
	}
	file, err := l.Create("links/new")
	if err != nil {
		return err
	}
	if _, err := file.Write(b); err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return l.Rename("links/new", toName)
}

// TestCopiesSurviveCrashes: the power fails and the process is killed at every
// operation of a backup, of its continuation, and of a restore. The log is never
// harmed; what is there of a copy is none, or a closed log with a head of the log; and
// the same call then succeeds.
func TestCopiesSurviveCrashes(t *testing.T) {
	images := 250
	if testing.Short() {
		images = 60
	}
	if budget, err := strconv.Atoi(os.Getenv("UNTORN_BUDGET")); err == nil && budget > 0 {
		images = budget
	}
	begin := func(run *explore.Run) { run.Note(explore.Note{Key: "begin"}) }
	backup := func(c *copier) error {
		log, err := engine.Open(c.options("log"))
		if err != nil {
			return err
		}
		if err := c.append(log, 1); err != nil {
			return err
		}
		begin(c.run)
		for range 2 {
			if err := errors.Join(c.buffer(log), c.backup(log)); err != nil {
				return err
			}
			if err := c.append(log, 2); err != nil {
				return err
			}
		}
		if err := c.backup(log); err != nil {
			return err
		}
		return log.Close()
	}
	once := func(c *copier) error {
		log, err := engine.Open(c.options("log"))
		if err != nil {
			return err
		}
		begin(c.run)
		if err := c.backup(log); err != nil {
			return err
		}
		return log.Close()
	}
	// earlier makes a backup, and has the log go on for some segments.
	earlier := func(c *copier) error {
		log, err := engine.Open(c.options("log"))
		if err != nil {
			return err
		}
		if err := errors.Join(c.backup(log), c.append(log, 6)); err != nil {
			return err
		}
		return log.Close()
	}
	// cutOff gives a backup up when all of it is there.
	cutOff := func(c *copier) error {
		log, err := engine.Open(c.options("log"))
		if err != nil {
			return err
		}
		begin(c.run)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		to := engine.BackupTarget{FS: c.fs, Dir: "backups/of log", Progress: func(done, total int64) {
			if done > total/2 {
				cancel()
			}
		}}
		if _, err := log.Backup(ctx, to); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("a backup that is cut off: %w", err)
		}
		return log.Close()
	}
	for _, test := range []struct {
		name     string
		events   int // in the log before
		links    bool
		restores bool
		prepare  func(c *copier) error // on a disk that is durable then
		workload func(c *copier) error
	}{
		{name: "backup of one segment", events: 1, workload: backup},
		{name: "backup", events: 5, workload: backup},
		{name: "first backup", events: 6, workload: once},
		{name: "continued backup", events: 2, prepare: earlier, workload: once},
		{name: "backup with links", events: 6, links: true, workload: backup},
		{name: "backup that is given up", events: 5, workload: cutOff},
		{name: "restore", events: 5, restores: true, prepare: func(c *copier) error {
			log, err := engine.Open(c.options("log"))
			if err != nil {
				return err
			}
			if err := c.backup(log); err != nil {
				return err
			}
			return log.Close()
		}, workload: func(c *copier) error {
			begin(c.run)
			return c.restore()
		}},
	} {
		for _, disk := range []string{"posix", "ext4"} {
			t.Run(test.name+"/"+disk, func(t *testing.T) {
				g, err := simfs.PresetByName(disk)
				if err != nil {
					t.Fatal(err)
				}
				start := simfs.New(simfs.Options{Guarantees: g})
				var before []explore.Note
				c := newCopier(&explore.Run{FS: start, Disk: start, Note: func(n explore.Note) { before = append(before, n) }}, false)
				log, err := engine.Open(c.options("log"))
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(c.append(log, test.events), log.Close()); err != nil {
					t.Fatal(err)
				}
				if test.prepare != nil {
					if err := test.prepare(c); err != nil {
						t.Fatal(err)
					}
				}
				images := images
				if test.name == "backup that is given up" {
					images *= 4 // which names are gone, and which are not
				}
				config := explore.Config{
					Guarantees: g, Start: start.Crash(simfs.PowerLoss).Resolve(simfs.Latest()), Before: before,
					From:         func(n explore.Note) bool { return n.Key == "begin" },
					MaxDeviation: 1, Samples: 4, MaxImages: images, MaxViolations: 1, StopEarly: true,
				}
				report, err := explore.Explore(t.Context(), config, explore.Program{
					Workload: func(run *explore.Run) error { return test.workload(newCopier(run, test.links)) },
					Recover:  func(run *explore.Run) error { return newCopier(run, test.links).recover(test.restores) },
				})
				if err == nil {
					err = report.Err()
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d crash points, %d images, %d recoveries", report.CrashPoints, report.ImagesUnique, report.Recoveries)
				if report.ImagesUnique < 60/2 {
					t.Errorf("%d images only", report.ImagesUnique)
				}
			})
		}
	}
}
