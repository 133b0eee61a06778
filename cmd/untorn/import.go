package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/dump"
)

func importCommand() command.Command {
	return command.Command{
		Name:     "import",
		Short:    "rebuild a log from a dump, or append the dump's events to another log",
		Operands: "[FILE]",
		Form:     "--dir DIR [FILE] [flags] <DUMP",
		Long: `Reads what untorn dump has printed, from stdin or FILE. What comes of it depends on the log in DIR:

  none, or an empty one  it becomes the log that was dumped: the same id, the same batches, the same head
  the same log           batches that it has are skipped, and it goes on exactly where it ends: an import that was
                         interrupted is just run again
  another log            the events are appended as new ones, batch by batch; --exact refuses that

The last line says which of them it was. Every hash in the dump is computed anew before a batch is written: a line
that was changed is refused, with all of its batch, and what comes after it. What came before is in the log, and
durable.

Events that are appended to another log get sequences, versions and times there. They keep their ids, and so what
they follow from, and their keys; a key that the log has used for another event is refused, unless --without-keys
leaves them all away. Notes go along, but not the log's own: cursors, denials and signatures are of the other log.
The log remembers how far it has taken in the other one: what is there already is skipped.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn dump --dir data | untorn import --dir replica", Says: "a copy with the same head"},
			{Line: "gunzip <data.jsonl.gz | untorn import --dir data --exact", Says: "the log from its dump, and nothing else"},
			{Line: "gunzip <data.jsonl.gz >data.jsonl && untorn import --dir copy data.jsonl", Says: "the events of another log, too"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			i := importer{}
			flags.BoolVar(&i.exact, "exact", false, "refuse a log that is another one than the dump's")
			flags.BoolVar(&i.options.WithoutKeys, "without-keys", false, "leave the idempotency keys away where the events are appended to another log")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if i.exact && i.options.WithoutKeys {
					return command.Usage("--without-keys changes the events, and --exact forbids that: leave one of them out")
				}
				i.Env, i.dir, i.json = e, name, *asJSON
				return i.run()
			}
		},
	}
}

// importer carries a dump into a log.
type importer struct {
	*command.Env
	dir     string
	exact   bool
	json    bool
	options dump.Options

	reader *dump.Reader
	log    *engine.Log
	result dump.Result
	head   engine.LogHead // of the log, at the end
}

func (i *importer) run() error {
	input := i.Stdin
	if name := i.Operand(); name != "" && name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return command.Usage("%w: name the file of a dump, or leave it out to read stdin", err)
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.IsDir() {
			return command.Usage("%s is a directory: name the file of a dump, or leave it out to read stdin", name)
		}
		input = file
	}
	empty, err := i.begin(input)
	if err != nil {
		return i.refused(err)
	}
	if empty {
		i.Note("the dump has no batches, and there is no log in %s: nothing was imported", i.dir)
		return nil
	}
	if err := i.open(); err != nil {
		return err
	}
	progress, began := i.TerminalProgress(), time.Now()
	i.options.Progress = func(r dump.Result) {
		progress.Line(time.Since(began), fmt.Sprintf("batch %d, %s, %d skipped", r.Batch, command.Count(r.Events, "event", "events"), r.Skipped))
	}
	i.result, err = dump.Import(i.Ctx, i.log, i.reader, i.options)
	progress.End()
	i.head = i.log.LogHead()
	id := i.log.ID()
	if closed := i.log.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return i.refused(err)
	}
	if i.json {
		i.printJSON(id)
	} else {
		i.printText()
	}
	return nil
}

// begin reads the first batch, and checks it before a log is made of it. It reports
// whether there is neither a batch nor a log.
func (i *importer) begin(input io.Reader) (empty bool, err error) {
	if i.reader, err = dump.Read(input); err != nil {
		return false, err
	}
	first, err := i.reader.Peek()
	none := err == io.EOF
	if err != nil && !none {
		return false, err
	}
	h := i.reader.Header()
	if !none {
		if err := engine.NewSuccession(h.Log, h.First-1, h.Before).Check(&first.WholeBatch); err != nil {
			return false, &dump.LineError{Line: first.LineOf(err), Batch: first.Number, Err: err}
		}
	}
	log, err := engine.Open(engine.Options{Dir: i.dir, ReadOnly: true})
	missing := errors.Is(err, fs.ErrNotExist)
	if err == nil {
		missing = log.Stats().Batches == 0
		log.Close()
	}
	if missing && !none && h.First > 1 {
		return false, command.Usage("the dump begins with batch %d, and there is nothing in %s that it could go on from: import one from batch 1 on first", h.First, i.dir)
	}
	return missing && none, nil // what else is wrong with the log is told by who opens it to write
}

// open opens the log, or makes it, with the id of the dump if it can have that.
func (i *importer) open() (err error) {
	id := i.reader.Header().Log
	options := engine.Options{
		Dir: i.dir, ID: id,
		MaxPayload: 64 << 20, MaxMetadata: 1 << 20, MaxBatchEvents: 65535, MaxBatchBytes: 64<<20 - 8<<10,
	}
	i.log, err = openToWrite(options)
	if !errors.Is(err, engine.ErrOtherLog) {
		return err
	}
	if i.exact {
		return fmt.Errorf("in %s is another log than the one that was dumped, %v: nothing was imported; without --exact its events are appended there as new ones", i.dir, id)
	}
	options.ID = uuid.Nil
	if i.log, err = openToWrite(options); err != nil {
		return err
	}
	i.Note("in %s is another log, %v, than the one that was dumped, %v: the events are appended to it as new ones", i.dir, i.log.ID(), id)
	return nil
}

// refused says what is wrong, and what is in the log all the same.
func (i *importer) refused(err error) error {
	left := "nothing was imported"
	switch r := &i.result; {
	case errors.Is(err, engine.ErrInDoubt), i.log != nil && !r.Durable:
		left = "some of its batches may be in the log or not: import it again, what is there is skipped"
	case r.Batch > 0 && errors.Is(err, engine.ErrNoSpace):
		left = fmt.Sprintf("what stands before batch %d is in the log: make room, and import it again, what is there is skipped", r.Batch+1)
	case r.Batch > 0:
		left = fmt.Sprintf("what stands before batch %d is in the log: import a dump that is whole, or one --from %d", r.Batch+1, r.Batch+1)
	}
	code := command.Code(err)
	var line *dump.LineError
	if errors.As(err, &line) {
		err = line
		code = codeOf(line)
		if told := told(line.Err); told != nil {
			err = &dump.LineError{Line: line.Line, Batch: 0, Err: told}
		}
	}
	return command.Fail(code, "%w%s; %s", err, i.hint(err), left)
}

// codeOf is the exit code of a dump that has this line.
func codeOf(line *dump.LineError) int {
	for _, ours := range []error{engine.ErrInvalid, engine.ErrLimit} {
		if errors.Is(line, ours) {
			return command.ExitUsage
		}
	}
	for _, theirs := range []error{engine.ErrRejected, engine.ErrFailed, engine.ErrInDoubt, engine.ErrDiverged, engine.ErrGap} {
		if errors.Is(line, theirs) {
			return command.ExitWrong
		}
	}
	if file := (*fs.PathError)(nil); errors.As(line, &file) {
		return command.ExitWrong
	}
	return command.ExitUsage
}

// told is what the log has said of a batch, without what everybody knows here; nil if it
// is to be told as it is.
func told(err error) error {
	var diverged *engine.DivergedError
	var gap *engine.GapError
	var keys *engine.KeyConflictError
	var taken *engine.IDTakenError
	switch {
	case errors.As(err, &diverged):
		return diverged
	case errors.As(err, &gap):
		return gap
	case errors.As(err, &keys) && len(keys.Items) > 0:
		return fmt.Errorf("%w: key %q is that of event %v, which is another one", engine.ErrKeyConflict, keys.Items[0].Key, keys.Items[0].ID)
	case errors.As(err, &taken):
		return taken
	}
	return nil
}

// hint says what to do about an error.
func (i *importer) hint(err error) string {
	var gap *engine.GapError
	switch {
	case errors.As(err, &gap):
		return fmt.Sprintf(": make a dump --from %d", gap.Next)
	case errors.Is(err, engine.ErrDiverged) && (i.log == nil || !i.result.Exact):
		return ": the dump was changed since it was made"
	case errors.Is(err, engine.ErrDiverged):
		return ": the dump was changed since it was made, or the log has got other batches of its own"
	case errors.Is(err, engine.ErrKeyConflict):
		return ": --without-keys leaves the keys away"
	}
	return ""
}

func (i *importer) printText() {
	r, out := &i.result, i.Stdout
	batches, events := command.Count(r.Batches, "batch", "batches"), command.Count(r.Events, "event", "events")
	if !r.Exact {
		fmt.Fprintf(out, "%s with %s appended as new ones", batches, events)
		if r.Skipped > 0 {
			fmt.Fprintf(out, ", %d left out that are there already or the other log's own", r.Skipped)
		}
		fmt.Fprintf(out, "; the log is another one than was dumped, and ends at event %d, head %d:%v\n", i.head.Sequence, i.head.Batch, i.head.Hash)
		return
	}
	fmt.Fprintf(out, "%s with %s imported", batches, events)
	if r.Skipped > 0 {
		fmt.Fprintf(out, ", %d there already", r.Skipped)
	}
	sum := i.reader.Sum()
	if i.head.Batch > sum.Batch {
		fmt.Fprintf(out, "; the log has the dump's head %d:%v, and has gone on to event %d, head %d:%v\n", sum.Batch, sum.Head, i.head.Sequence, i.head.Batch, i.head.Hash)
		return
	}
	fmt.Fprintf(out, "; the log is the one that was dumped: it ends at event %d, head %d:%v\n", i.head.Sequence, i.head.Batch, i.head.Hash)
}

func (i *importer) printJSON(id uuid.UUID) {
	r, sum := &i.result, i.reader.Sum()
	o := newObject(i.Stdout.AvailableBuffer())
	o.truth("exact", r.Exact)
	o.text("log", id.String())
	o.number("batches", r.Batches)
	o.number("events", r.Events)
	o.number("skipped", r.Skipped)
	o.head(i.head)
	o.text("dumpLog", i.reader.Header().Log.String())
	o.object("dumpHead", func(o *object) {
		o.number("batch", sum.Batch)
		o.hash("hash", sum.Head)
	})
	i.Stdout.Write(o.line())
}
