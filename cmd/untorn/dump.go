package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine/dump"
)

func dumpCommand() command.Command {
	return command.Command{
		Name:  "dump",
		Short: "print a log with every field, so that untorn import can rebuild it",
		Form:  "--dir DIR [flags] >FILE",
		Long: `Prints all that the head of the log stands for, one JSON object a line, also while somebody appends:

  {"kind":"dump",…}   first: the log's id, the number of the first batch, the head before it
  {"kind":"batch",…}  begins each batch: number, time, how many events and notes follow, the head after it
  {"kind":"event",…}  an event, with the names of untorn read --json
  {"kind":"note",…}   a note: yours, or the log's own, such as a cursor's move or a signature
  {"kind":"end",…}    last: how many there were, and the head

Data and metadata that are JSON on one line stand there as they are stored, anything else in base64 as "data64"
and "meta64". A log has one dump, byte for byte; engine/FORMAT.md says which. It holds all there is, the salts of
events that may be erased included: keep it as you keep the log.

Only batches that are known to be durable are in it.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn dump --dir data | gzip >data.jsonl.gz", Says: "all of it, in a file"},
			{Line: "untorn dump --dir data | untorn import --dir replica", Says: "a copy with the same head"},
			{Line: "untorn dump --dir data --from 3 | untorn import --dir replica", Says: "from batch 3 on, where the copy has those before"},
			{Line: `untorn dump --dir data | jq -c 'select(.kind=="event" and .stream=="order-42") | .data'`, Says: "the data of a stream"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			var r dump.Range
			sequenceFlag(flags, &r.From, "from", "the first `batch`; what is before must be where the dump goes")
			sequenceFlag(flags, &r.To, "to", "the last `batch`")
			return func(e *command.Env) error {
				name, err := dir()
				switch {
				case err != nil:
					return err
				case r.To > 0 && r.From > r.To:
					return command.Usage("--from %d is after --to %d: swap them", r.From, r.To)
				}
				return dumpLog(e, name, r)
			}
		},
	}
}

func dumpLog(e *command.Env, dir string, r dump.Range) error {
	log, err := openToRead(e, dir, false)
	if err != nil {
		return err
	}
	defer log.Close()
	last := log.LogHead().Batch
	if r.From > last+1 {
		return command.Usage("--from is %d, and the log ends with batch %d: there is nothing from there on", r.From, last)
	}
	if r.To > last {
		e.Note("--to is %d, and the log ends with batch %d", r.To, last)
	}
	progress, began := e.TerminalProgress(), time.Now()
	r.Progress = func(s dump.Sum) {
		progress.Line(time.Since(began), fmt.Sprintf("batch %d of %d, %s", s.Batch, last, command.Count(s.Events, "event", "events")))
	}
	_, err = dump.Write(e.Ctx, e.Stdout, log, r)
	progress.End()
	if err != nil {
		return err
	}
	if unproven := log.Recovery().UnprovenBatches; unproven > 0 {
		e.Note("%s at the end may not be durable yet, and not dumped: a dump --from %d has them later", command.Count(unproven, "batch", "batches"), last+1)
	}
	return nil
}
