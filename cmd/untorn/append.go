package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

const (
	maxLine       = 32 << 20 // bytes of an input line: the largest payload in base64, and room for the rest
	maxBatchLines = 65535
	maxBatchBytes = 48 << 20 // of input lines; the log's own limit of 32 MiB as stored comes first for plain ones
)

func appendCommand() command.Command {
	return command.Command{
		Name:  "append",
		Short: "append events from JSON lines on stdin",
		Form:  "--dir DIR [flags] <LINES",
		Long: `Each line of stdin is an event:

  {"stream":"order-42","type":"order.placed","data":{"total":3}}

  stream, type  required, 1 to 255 bytes
  data          any JSON value; its bytes are stored as they stand
  scope         what the stream belongs to; "" if absent
  key           idempotency key: appending the line again has no effect
  expect        the stream's version must be this number, or "none" (no stream yet), "exists", "any"
  meta          any JSON value, stored as it stands
  causedBy      the id of an event, or the index (from 0) of an earlier line of the same batch
  correlation   an id that the events of one matter share; without it the event's own
  payloadVersion, lane, depth, flags
                numbers of your own, up to 32 bits; the version of the data's schema, say
  erasable      true: the content gets a salt, so that it could be erased; no command does that yet
  data64, meta64, extensions64
                bytes that are no JSON, in base64; extensions64 is an object of such

These are the names that untorn read --json prints, so that a log can be read into another one.
Of a printed line, what the log gives (sequence, id, version, batch, time, clock, hash, durable) is not taken:
the other log gives its own. causedBy and correlation go on to name events of the first one.

Each batch commits as a whole or not at all. The first line that is wrong ends the command; what was
appended before its batch stays. Empty lines are skipped.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: `echo '{"stream":"order-42","type":"order.placed","data":{"total":3}}' | untorn append --dir data`, Says: "one event; the log is made if there is none"},
			{Line: "untorn append --dir data --batch 100 --json <events.jsonl", Says: "a file of events, every 100 of them all or none, with a receipt for each"},
			{Line: "untorn read --dir data --json | untorn append --dir copy", Says: "what one log has printed, into another one"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			var batch int
			countFlag(flags, &batch, "batch", 1, "commit every `n` lines together, 1 to 65535")
			buffered := flags.Bool("buffered", false, "do not sync each batch; all is durable when the command has ended with 0")
			sign := flags.String("sign", "", "sign the log's head at the end with the private key in a `file`; untorn key makes one")
			asJSON := jsonFlag(flags, "print a receipt for each line as it commits, one JSON object a line")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if batch < 1 || batch > maxBatchLines {
					return command.Usage("--batch is %d: use 1 to %d", batch, maxBatchLines)
				}
				a := &appender{Env: e, size: batch, json: *asJSON}
				if *buffered {
					a.durability = engine.Buffered
				}
				if *sign != "" {
					if a.signing, err = readKey("--sign: ", *sign); err != nil {
						return err
					}
				}
				return a.run(name)
			}
		},
	}
}

// appender carries lines from stdin into a log. It holds one batch at a time.
type appender struct {
	*command.Env
	log        *engine.Log
	size       int
	durability engine.Durability
	json       bool
	signing    *engine.Signing // nil: nobody signs
	progress   *command.Progress
	began      time.Time

	line   int // number of the last line read
	batch  []engine.Draft
	lines  []int  // the line of each draft
	prints uint64 // of the batch's lines, those that a log has printed
	bytes  int    // of the batch's lines
	events uint64
	copied uint64 // of them, those that another log has printed
	before engine.LogHead
}

func (a *appender) run(dir string) (err error) {
	a.log, err = openToWrite(engine.Options{Dir: dir, MaxBatchEvents: max(a.size, 4096), Signing: a.signing})
	if err != nil {
		return err
	}
	a.before = a.log.LogHead()
	a.progress, a.began = a.TerminalProgress(), time.Now()
	err = a.readLines()
	if err == nil {
		err = a.log.Sync(context.Background())
	}
	if err == nil && a.signing != nil && a.log.LogHead().Batch > 0 {
		_, err = a.log.Sign(context.Background()) // else Close does: the head that is told is the last one
	}
	head := a.log.LogHead()
	a.progress.End()
	if closed := a.log.Close(); err == nil {
		err = closed
	}
	if err == nil && !a.json {
		a.summary(head)
	}
	if a.copied > 0 {
		a.Note("%s another log's: this one has given ids, sequences and times of its own; causedBy and correlation name ids of the other", command.Count(a.copied, "event was", "events were"))
	}
	return err
}

func (a *appender) summary(head engine.LogHead) {
	fresh := head.Sequence - a.before.Sequence
	fmt.Fprintf(a.Stdout, "%s appended", command.Count(fresh, "event", "events"))
	if known := a.events - fresh; known > 0 {
		fmt.Fprintf(a.Stdout, ", %d already there by key", known)
	}
	if head.Sequence > 0 {
		fmt.Fprintf(a.Stdout, "; the log ends at event %d, head %d:%v", head.Sequence, head.Batch, head.Hash)
		if a.signing != nil {
			fmt.Fprintf(a.Stdout, ", signed by key %s", a.signing.KeyID)
		}
	}
	a.Stdout.WriteByte('\n')
}

// readLines appends line by line, and never holds more than a batch of them.
func (a *appender) readLines() error {
	lines := bufio.NewScanner(a.Stdin)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		a.line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		read, err := parseLine(text, len(a.batch))
		if err != nil {
			return a.refuse(a.line, command.Usage("%w", err))
		}
		draft := read.Draft
		if len(a.batch) > 0 && (draft.Key == "") != (a.batch[0].Key == "") {
			has, other := `a "key"`, "none"
			if draft.Key == "" {
				has, other = `no "key"`, "one"
			}
			return a.refuse(a.line, command.Usage("%s, but line %d of the same batch has %s: give keys to all lines of a batch, or to none",
				has, a.lines[0], other))
		}
		if a.bytes += len(text); a.bytes > maxBatchBytes && len(a.batch) > 0 {
			return a.refuse(a.line, command.Usage("the batch has over %d MiB: use a smaller --batch", maxBatchBytes>>20))
		}
		a.batch = append(a.batch, draft)
		a.lines = append(a.lines, a.line)
		if read.printed {
			a.prints++
		}
		if len(a.batch) == a.size {
			if err := a.commit(); err != nil {
				return err
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return a.refuse(a.line+1, command.Usage("more than %d MiB in one line: end each event with a line feed", maxLine>>20))
	case err != nil:
		return a.refuse(a.line+1, fmt.Errorf("read the input: %w", err))
	}
	return a.commit()
}

// refuse says which line is wrong and what was not written because of it.
func (a *appender) refuse(line int, err error) error {
	first := line
	if len(a.lines) > 0 {
		first = a.lines[0]
	}
	left := "nothing was appended"
	if a.events > 0 {
		left = fmt.Sprintf("nothing from line %d on was appended", first)
	}
	return fmt.Errorf("line %d: %w; %s", line, err, left)
}

// commit appends the batch and tells its receipts.
func (a *appender) commit() error {
	if len(a.batch) == 0 {
		return nil
	}
	receipts, err := a.log.AppendBatch(context.Background(), engine.Batch{Events: a.batch, Durability: a.durability})
	if err != nil {
		return a.failed(err)
	}
	a.events += uint64(len(receipts))
	a.copied += a.prints
	if a.json {
		for i, receipt := range receipts {
			a.Stdout.Write(appendReceipt(a.Stdout.AvailableBuffer(), a.lines[i], receipt))
		}
		if err := a.Stdout.Flush(); err != nil {
			return fmt.Errorf("write the output: %w; the lines up to %d are in the log", err, a.line)
		}
	}
	a.progress.Line(time.Since(a.began), fmt.Sprintf("%d lines, %d events", a.line, a.events))
	clear(a.batch)
	a.batch, a.lines, a.prints, a.bytes = a.batch[:0], a.lines[:0], 0, 0
	return nil
}

// failed says what the log answered, in terms of lines.
func (a *appender) failed(err error) error {
	line := a.lines[0]
	var item *engine.ItemError
	var version *engine.WrongVersionError
	var conflict *engine.KeyConflictError
	switch {
	case errors.As(err, &conflict) && len(conflict.Items) > 0 && conflict.Items[0].Item < len(a.lines):
		line = a.lines[conflict.Items[0].Item]
		err = &keyConflict{line: conflict.Items[0], err: err}
	case errors.As(err, &item) && item.Item >= 0 && item.Item < len(a.lines):
		line = a.lines[item.Item]
		if errors.Is(err, engine.ErrRejected) {
			err = item.Err
		}
	case errors.As(err, &version):
		// A batch of one: the line is known, and what was not written is said below.
		err = version
	}
	if errors.Is(err, engine.ErrLimit) || errors.Is(err, engine.ErrInvalid) {
		err = command.Usage("%w", err)
	}
	if errors.Is(err, engine.ErrInDoubt) {
		return fmt.Errorf("line %d: %w; lines %d to %d may or may not be in the log", line, err, a.lines[0], a.lines[len(a.lines)-1])
	}
	return a.refuse(line, err)
}

// keyConflict tells the first of the conflicts, whose line is named.
type keyConflict struct {
	line engine.KeyConflict
	err  error
}

func (e *keyConflict) Error() string {
	return fmt.Sprintf("key %q: %s: use a fresh key, or the same lines as the first time", e.line.Key, e.line.Reason)
}
func (e *keyConflict) Unwrap() error { return e.err }
