package main

import (
	"flag"
	"fmt"

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
type, data. With --json it is one JSON object a line. Data and metadata that are JSON on one line stand
there as they are stored, anything else in base64 as "data64" and "meta64".`,
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			var query engine.Query
			scoped := selectFlags(flags, &query)
			sequenceFlag(flags, &query.FromSequence, "from", "the first `sequence`")
			sequenceFlag(flags, &query.ToSequence, "to", "the last `sequence`")
			sequenceFlag(flags, &query.FromVersion, "from-version", "the first `version`; with --stream")
			sequenceFlag(flags, &query.ToVersion, "to-version", "the last `version`; with --stream")
			flags.BoolVar(&query.Backward, "backward", false, "last first")
			countFlag(flags, &query.Limit, "limit", 0, "at most `n` events; 0 means all")
			flags.BoolVar(&query.Buffered, "buffered", false, "also events that are not known to be durable; they may vanish in a power cut")
			salvage := salvageFlag(flags)
			asJSON := jsonFlag(flags, "print one JSON object a line")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				switch {
				case query.Limit < 0:
					return command.Usage("--limit is %d: use 1 or more, or 0 for all", query.Limit)
				case query.Stream == "" && (query.FromVersion > 0 || query.ToVersion > 0):
					return command.Usage("versions count inside a stream: add --stream, or use --from and --to")
				case query.ToSequence > 0 && query.FromSequence > query.ToSequence:
					return command.Usage("--from %d is after --to %d: swap them, and use --backward to read from the end", query.FromSequence, query.ToSequence)
				case query.ToVersion > 0 && query.FromVersion > query.ToVersion:
					return command.Usage("--from-version %d is after --to-version %d: swap them, and use --backward to read from the end", query.FromVersion, query.ToVersion)
				}
				if err := scoped(); err != nil {
					return err
				}
				return read(e, name, query, *salvage, *asJSON)
			}
		},
	}
}

// selectFlags declares the flags that say which events are wanted.
func selectFlags(flags *flag.FlagSet, query *engine.Query) (check func() error) {
	scoped := false
	flags.Func("scope", "only this `scope`; with --stream, the scope of that stream", func(value string) error {
		query.Scope, scoped = value, true
		return nil
	})
	flags.StringVar(&query.Stream, "stream", "", "only this `stream`")
	flags.Func("type", "only this `type`; give it again for more than one", func(value string) error {
		query.Types = append(query.Types, value)
		return nil
	})
	return func() error {
		if scoped && query.Scope == "" && query.Stream == "" {
			return command.Usage(`--scope "" needs a --stream: leave it out for all scopes`)
		}
		return nil
	}
}

func read(e *command.Env, dir string, query engine.Query, salvage, asJSON bool) error {
	log, err := openToRead(e, dir, salvage)
	if err != nil {
		return err
	}
	defer log.Close()
	for event, err := range log.Read(query) {
		if err != nil {
			return err
		}
		line := e.Stdout.AvailableBuffer()
		if asJSON {
			line = appendEvent(line, &event)
		} else {
			line = appendEventText(line, &event)
		}
		if _, err := e.Stdout.Write(line); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	if unproven := log.Recovery().Unproven; unproven > 0 && !query.Buffered {
		e.Note("%s at the end may not be durable yet, and not shown: --buffered shows them", command.Count(unproven, "event", "events"))
	}
	return damage(log)
}
