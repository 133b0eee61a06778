package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func backupCommand() command.Command {
	return command.Command{
		Name:  "backup",
		Short: "copy a log while it is written",
		Form:  "--dir DIR --to DIR [flags]",
		Long: `Copies the durable part of a log, as it is now, into a directory, also while somebody appends. What is there then
is a closed log by itself: untorn verify, read and inspect look into it. All of it is synced, and read again to
verify it, before the command says so. Writes nothing to the log.

Where both directories are on one file system, segments that nobody writes to any more are linked, which takes
no room and no time; but a damaged file is then damaged in both. --no-link copies them. The last batches that
somebody has just appended may be known as durable to the appending process only: those are left out, and a note
counts them.

The directory must be empty or missing, or hold an earlier backup of the same log, which is continued: only
what is new is copied. A backup that was cut off is no log, says so to whoever opens it, and is made again by the
next one. The head in the last line, kept elsewhere, is for untorn restore --head.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn backup --dir data --to backups/data", Says: "make a backup, or continue it"},
			{Line: "untorn backup --dir data --to backups/unlinked --no-link", Says: "one that shares no file with the log"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			to := flags.String("to", "", "the `directory` of the backup; required")
			noLink := flags.Bool("no-link", false, "copy all segments: the backup shares no file with the log")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if *to == "" {
					return command.Incomplete("no --to: name the directory of the backup")
				}
				if within(*to, name) {
					return command.Usage("--to is in the log's own directory, and would be lost with it: name another directory")
				}
				c := &copying{Env: e, to: *to, json: *asJSON, did: "backed up"}
				return c.run(func(ctx context.Context, to engine.BackupTarget) (engine.Backup, error) {
					to.Copy = *noLink
					return backup(ctx, name, to)
				})
			}
		},
	}
}

func restoreCommand() command.Command {
	return command.Command{
		Name:  "restore",
		Short: "make a log of a backup",
		Form:  "--from DIR --dir DIR [flags]",
		Long: `Copies a backup, or any log that was closed, into a new directory. All of it is verified before, and what was
written is read and verified again. Writes nothing to the backup.

The directory must be empty or missing, or hold that very log already; what a restore has left that was cut off is
replaced. A damaged backup is refused: untorn read --salvage reads what is whole in it. --head and --keys are those
of untorn verify: the backup must have that head, and must be signed, each signature by one of the keys.

The restored log has the id of the one that was backed up. Append to one of the two only: both would give the same
sequences to different events. Their heads tell them apart.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn restore --from backups/data --dir restored", Says: "make a log of a backup, in an empty directory"},
			{Line: "untorn restore --from backups/data --dir restored --head $(cat head)", Says: "if the backup has the head that was kept"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			from := flags.String("from", "", "the `directory` of the backup; required")
			dir := flags.String("dir", "", "the `directory` that the log is restored into; required")
			head := flags.String("head", "", "the `head` that the backup must have, or have had, as BATCH:HASH")
			trusted := flags.String("keys", "", "the `file` of keys that must have signed the backup")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *command.Env) error {
				switch {
				case *from == "":
					return command.Incomplete("no --from: name the directory of the backup")
				case *dir == "":
					return command.Incomplete("no --dir: name the directory that the log is restored into")
				case within(*dir, *from):
					return command.Usage("--dir is in the directory of the backup: name another directory")
				}
				kept, err := parseHead(*head)
				if err != nil {
					return err
				}
				var keys *proof.Keys
				if *trusted != "" {
					read, err := readKeys(*trusted)
					if err != nil {
						return err
					}
					keys = &read
				}
				c := &copying{Env: e, to: *dir, json: *asJSON, did: "restored"}
				err = c.run(func(ctx context.Context, to engine.BackupTarget) (engine.Backup, error) {
					return engine.Restore(ctx, engine.Options{Dir: *from}, to, keys, kept...)
				})
				return refused(err, *from, *trusted, kept)
			}
		},
	}
}

// within reports whether a directory, made or not, is another one, or below it.
func within(name, dir string) bool {
	is, err := os.Stat(dir)
	if err != nil {
		return false
	}
	name, err = filepath.Abs(name)
	for err == nil {
		if above, wrong := os.Stat(name); wrong == nil && os.SameFile(above, is) {
			return true
		}
		if filepath.Dir(name) == name {
			break
		}
		name = filepath.Dir(name)
	}
	return false
}

// mostTries is how often a log is opened again that was recovered while it was copied.
const mostTries = 5

// backup backs up the log in a directory, without its lock.
func backup(ctx context.Context, dir string, to engine.BackupTarget) (b engine.Backup, err error) {
	for range mostTries {
		var log *engine.Log
		if log, err = openQuietly(dir, false); err != nil {
			return b, err
		}
		b, err = log.Backup(ctx, to)
		unproven := log.Recovery().UnprovenBatches
		_ = log.Close() // nothing was written to it
		switch {
		case errors.Is(err, engine.ErrNothingDurable) && unproven > 0:
			return b, fmt.Errorf("nothing in %s is known to be durable yet: somebody appends, or was killed; close the log, or untorn append to it", dir)
		case errors.Is(err, engine.ErrNothingDurable):
			return b, fmt.Errorf("nothing was ever appended in %s: there is nothing to back up", dir)
		case !errors.Is(err, engine.ErrRecovered):
			return b, err
		}
	}
	return b, err
}

// refused says in the words of the command line why a backup is not restored.
func refused(err error, from, keys string, kept []engine.LogHead) error {
	var damage *engine.CorruptError
	switch {
	case errors.Is(err, engine.ErrNothingDurable):
		return fmt.Errorf("nothing is in %s: there is nothing to restore", from)
	case errors.As(err, &damage) && distrust(damage) != nil:
		return fmt.Errorf("%s: %w, says %s", damage.Reason, distrust(damage), keys)
	case errors.Is(err, engine.ErrCorrupt):
		return fmt.Errorf("%w: untorn read --salvage reads what is whole", err)
	case errors.Is(err, engine.ErrNotSigned):
		return fmt.Errorf("%s has no signature, so nobody vouches for it: leave out --keys, or sign the log, and back it up again", from)
	case errors.Is(err, engine.ErrNotFound) && len(kept) > 0:
		return fmt.Errorf("%s does not have the head of --head after batch %d: it ends before, or is another log", from, kept[0].Batch)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no backup in %s: name its directory", from)
	}
	return err
}

// copying is a run of untorn backup or restore.
type copying struct {
	*command.Env
	to   string
	json bool
	did  string // "restored"
}

func (c *copying) run(do func(ctx context.Context, to engine.BackupTarget) (engine.Backup, error)) error {
	ctx, stop := signal.NotifyContext(c.Ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	progress, began := c.TerminalProgress(), time.Now()
	b, err := do(ctx, engine.BackupTarget{Dir: c.to, Progress: func(done, total int64) {
		progress.Line(time.Since(began), fmt.Sprintf("%s of %s copied and verified", bytesText(done), bytesText(total)))
	}})
	progress.End()
	err = said(err)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return fmt.Errorf("interrupted: nothing new is in %s", c.to)
	case errors.Is(err, engine.ErrLocked):
		return fmt.Errorf("%s has a log in %s open for writing: name another directory", holder(c.to), c.to)
	case errors.Is(err, engine.ErrNoSpace):
		return fmt.Errorf("%w: nothing new is in %s; make room, or name a directory elsewhere", err, c.to)
	default:
		return err
	}
	if c.json {
		c.printJSON(&b)
	} else {
		c.printText(&b)
	}
	if b.NotDurable > 0 {
		c.Note("%s at the end may not be durable yet, and not in it: the next backup has what was closed, or appended to, by then", command.Count(b.NotDurable, "batch", "batches"))
	}
	if after := b.Head.Sequence - b.Signed.Sequence; b.Signed.Signed() && after > 0 {
		c.Note("%s after the last signature: nobody vouches for them", command.Count(after, "event stands", "events stand"))
	}
	return nil
}

func (c *copying) printText(b *engine.Backup) {
	fmt.Fprintf(c.Stdout, "%s in %s and %s %s to %s: ", command.Count(b.Head.Sequence, "event", "events"),
		command.Count(b.Head.Batch, "batch", "batches"), bytesText(b.Bytes), c.did, appendVisible(nil, c.to))
	fmt.Fprintf(c.Stdout, "%s copied (%s)", command.Count(b.Copied, "segment", "segments"), bytesText(b.CopiedBytes))
	if b.Linked > 0 {
		fmt.Fprintf(c.Stdout, ", %d linked", b.Linked)
	}
	if b.Kept > 0 {
		fmt.Fprintf(c.Stdout, ", %d kept", b.Kept)
	}
	fmt.Fprintf(c.Stdout, ", all verified; keep its head %d:%v\n", b.Head.Batch, b.Head.Hash)
}

func (c *copying) printJSON(b *engine.Backup) {
	o := newObject(c.Stdout.AvailableBuffer())
	o.number("events", b.Head.Sequence)
	o.number("batches", b.Head.Batch)
	o.number("bytes", uint64(b.Bytes))
	o.number("copied", uint64(b.Copied))
	o.number("linked", uint64(b.Linked))
	o.number("kept", uint64(b.Kept))
	o.number("copiedBytes", uint64(b.CopiedBytes))
	o.number("notDurable", b.NotDurable)
	o.head(b.Head)
	c.Stdout.Write(o.line())
}
