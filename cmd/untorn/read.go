package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

func readCommand() command.Command {
	return command.Command{
		Name:  "read",
		Short: "print events",
		Form:  "--dir DIR [flags]",
		Long: `Without flags that select, all events in the order in which they were appended.

As text, an event is one line of columns with tabs between them: sequence, time, scope, stream, version,
type, data. With --json it is one JSON object a line. Data and metadata that are JSON on one line, with nothing
that controls a terminal, stand there as they are stored, anything else in base64 as "data64" and "meta64".

` + selectHelp + `

On a terminal, text is in colours, of which a stream always has the same; NO_COLOR and TERM=dumb turn them off, and
so does --color never.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn read --dir data --stream order-42", Says: "the events of one stream"},
			{Line: "untorn read --dir data --backward --limit 3 --json", Says: "the last three, as JSON lines"},
			{Line: "untorn read --dir data --type order.placed --type order.paid --from 2 --to 9", Says: "those of two types, of a part of the log"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			r := &reading{}
			selectFlags(flags, &r.selection)
			sequenceFlag(flags, &r.query.FromSequence, "from", "the first `sequence`")
			sequenceFlag(flags, &r.query.ToSequence, "to", "the last `sequence`")
			sequenceFlag(flags, &r.query.FromVersion, "from-version", "the first `version`; with --stream")
			sequenceFlag(flags, &r.query.ToVersion, "to-version", "the last `version`; with --stream")
			flags.BoolVar(&r.query.Backward, "backward", false, "last first")
			countFlag(flags, &r.query.Limit, "limit", 0, "at most `n` events; 0 means all")
			flags.BoolVar(&r.query.Buffered, "buffered", false, "also events that are not known to be durable; they may vanish in a power cut")
			salvage := salvageFlag(flags)
			flags.Var(&r.color, "color", color.Usage)
			flags.BoolVar(&r.json, "json", false, "print one JSON object a line, never in colours")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if err := r.check(); err != nil {
					return err
				}
				return r.run(e, name, *salvage)
			}
		},
	}
}

// reading is a run of untorn read.
type reading struct {
	query     engine.Query
	selection selection
	color     color.When
	json      bool
}

// check refuses what the flags cannot mean together.
func (r *reading) check() error {
	q := &r.query
	_, one := r.selection.stream()
	switch versions := q.FromVersion > 0 || q.ToVersion > 0; {
	case q.Limit < 0:
		return command.Usage("--limit is %d: use 1 or more, or 0 for all", q.Limit)
	case versions && len(r.selection.streams) == 0:
		return command.Usage("versions count inside a stream: add --stream, or use --from and --to")
	case versions && !one:
		return command.Usage("versions count inside a stream: give one --stream by its name, or use --from and --to")
	case q.ToSequence > 0 && q.FromSequence > q.ToSequence:
		return command.Usage("--from %d is after --to %d: swap them, and use --backward to read from the end", q.FromSequence, q.ToSequence)
	case q.ToVersion > 0 && q.FromVersion > q.ToVersion:
		return command.Usage("--from-version %d is after --to-version %d: swap them, and use --backward to read from the end", q.FromVersion, q.ToVersion)
	}
	return r.selection.prepare(q)
}

func (r *reading) run(e *command.Env, dir string, salvage bool) error {
	log, err := openToRead(e, dir, salvage)
	if err != nil {
		return err
	}
	defer log.Close()
	if r.selection.narrow(log, &r.query, log.Stats().Written.Sequence) {
		if err := r.print(e, log); err != nil {
			return err
		}
	}
	if unproven := log.Recovery().Unproven; unproven > 0 && !r.query.Buffered {
		e.Note("%s at the end may not be durable yet, and not shown: --buffered shows them", command.Count(unproven, "event", "events"))
	}
	return damage(log)
}

func (r *reading) print(e *command.Env, log *engine.Log) error {
	paint := r.color.Painter(e.Output, os.LookupEnv)
	query := r.query
	query.Borrow = true
	for event, err := range r.selection.read(e.Ctx, log, query) {
		if err != nil {
			return err
		}
		line := e.Stdout.AvailableBuffer()
		if r.json {
			line = appendEvent(line, &event)
		} else {
			line = appendEventText(line, &event, paint)
		}
		if _, err := e.Stdout.Write(line); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	return nil
}
