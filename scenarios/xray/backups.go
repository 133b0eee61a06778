package xray

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Backups is the case of a log that is backed up, goes on for some segments, is
// backed up into the same place, and restored from there. No plan says that.
func Backups(disk string, workers int) (Case, error) {
	guarantees, err := simfs.ParseGuarantees(disk)
	if err != nil {
		return Case{}, err
	}
	config := explore.Config{
		Guarantees: guarantees, MaxDeviation: 1, Samples: 4, MaxImages: 1500, Workers: workers,
		From: func(n explore.Note) bool { return n.Key == "begin" }, // before that it is what plans try
	}
	return Program("backups on "+disk, config, explore.Program{
		Workload: func(run *explore.Run) error { return (&copies{Run: run}).make() },
		Recover:  func(run *explore.Run) error { return (&copies{Run: run}).check() },
	}), nil
}

// copies is one run on a disk with a log, a backup of it, and what was restored.
type copies struct {
	*explore.Run
	opened uint64
}

func (c *copies) options(dir string) engine.Options {
	clock := simclock.New(simclock.Epoch())
	seed := [32]byte{}
	c.opened++
	binary.LittleEndian.PutUint64(seed[:], c.Entropy)
	binary.LittleEndian.PutUint64(seed[8:], c.opened)
	return engine.Options{Dir: dir, FS: c.FS, Clock: clock, Waits: waits{clock}, Rand: rand.NewChaCha8(seed), SegmentSize: 64 << 10, Preallocate: -1}
}

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Event(reason) }

// make does it all, and notes what is done.
func (c *copies) make() error {
	ctx := context.Background()
	log, err := engine.Open(c.options("log"))
	if err != nil {
		return err
	}
	for range 2 {
		for range 3 {
			data := []byte(strings.Repeat("x", 30_000))
			if _, err := log.Append(ctx, engine.Draft{Stream: "s", Type: "t", Data: data}); err != nil {
				return err
			}
		}
		c.Note(explore.Note{Key: "begin"})
		b, err := log.Backup(ctx, engine.BackupTarget{FS: c.FS, Dir: "backups/log"})
		if err != nil {
			return err
		}
		c.Note(explore.Note{Key: "backup", Value: b.Head.Sequence})
	}
	if err := log.Close(); err != nil {
		return err
	}
	r, err := engine.Restore(ctx, c.options("backups/log"), engine.BackupTarget{FS: c.FS, Dir: "restored"}, nil)
	if err != nil {
		return err
	}
	c.Note(explore.Note{Key: "restored", Value: r.Head.Sequence})
	return nil
}

// check looks at what a crash has left: what was done is there, and what was not is no
// log, or a closed one with a head of the log.
func (c *copies) check() error {
	log, err := engine.Open(c.options("log"))
	if err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	defer log.Close()
	done := map[string]uint64{}
	for _, note := range c.History {
		if n, ok := note.Value.(uint64); ok {
			done[note.Key] = n
		}
	}
	if err := c.whole("backups/log", done["backup"], log); err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	if err := c.whole("restored", done["restored"], log); err != nil {
		return fmt.Errorf("the restored log: %w", err)
	}
	return nil
}

func (c *copies) whole(dir string, promised uint64, log *engine.Log) error {
	options := c.options(dir)
	options.ReadOnly = true
	copied, err := engine.Open(options)
	if promised == 0 && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, engine.ErrUnfinished)) {
		return nil
	}
	if err != nil {
		return err
	}
	defer copied.Close()
	switch head, r := copied.LogHead(), copied.Recovery(); {
	case promised == 0 && r.Segments == 0:
		return nil
	case r.Torn || r.Unproven > 0 || head.Batch == 0:
		return errors.New("it is not closed")
	case head.Sequence < promised:
		return fmt.Errorf("it ends with event %d of %d", head.Sequence, promised)
	default:
		if _, err := copied.Verify(context.Background()); err != nil {
			return err
		}
		_, err := log.Verify(context.Background(), head)
		return err
	}
}
