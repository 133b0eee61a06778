package main

import (
	"flag"
	"fmt"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

func inspectCommand() command.Command {
	return command.Command{
		Name:  "inspect",
		Short: "print the segments, heads and frontiers of a log",
		Form:  "--dir DIR [flags]",
		Long: `The head of the log stands for everything in it: keep it, and untorn verify --head says later whether the
log still is what it was. A frontier is how far the log has come: everything up to its event is accepted,
written to the file, durable on the disk, visible to readers.`,
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			streams := flags.Bool("streams", false, "also the head of each stream")
			salvage := salvageFlag(flags)
			asJSON := jsonFlag(flags, "print one JSON object, and with --streams one more for each stream")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				log, err := openToRead(e, name, *salvage)
				if err != nil {
					return err
				}
				defer log.Close()
				if *asJSON {
					inspectJSON(e, name, log, *streams)
				} else {
					inspectText(e, name, log, *streams)
				}
				return damage(log)
			}
		},
	}
}

// frontiers lists the frontiers by name, the widest first.
func frontiers(stats engine.Stats) []namedFrontier {
	return []namedFrontier{
		{"accepted", stats.Accepted},
		{"written", stats.Written},
		{"durable", stats.Durable},
		{"visible", stats.Visible},
	}
}

type namedFrontier struct {
	name string
	engine.Frontier
}

// streamHeads calls f for the head of each stream, scope by scope.
func streamHeads(log *engine.Log, f func(engine.Head)) {
	for _, scope := range log.Scopes() {
		for _, head := range log.Streams(scope) {
			f(head)
		}
	}
}

func inspectText(e *command.Env, dir string, log *engine.Log, streams bool) {
	stats, head, recovery := log.Stats(), log.LogHead(), log.Recovery()
	out := e.Stdout
	fmt.Fprintf(out, "log %s: %s, %s\n", dir, command.Count(stats.Events, "event", "events"), command.Count(stats.Batches, "batch", "batches"))
	if head.Batch > 0 {
		fmt.Fprintf(out, "head %d:%v at event %d, %s\n", head.Batch, head.Hash, head.Sequence, head.Time.UTC().Format(timeFormat))
	}
	for _, f := range frontiers(stats) {
		if f.Sequence > 0 {
			fmt.Fprintf(out, "%-9s event %d, %s\n", f.name, f.Sequence, f.Time.UTC().Format(timeFormat))
		}
	}
	if len(stats.Segments) > 0 {
		fmt.Fprintf(out, "\n%12s %12s %12s %12s %12s %9s\n", "segment", "size", "used", "first event", "last event", "batches")
	}
	for _, s := range stats.Segments {
		sealed := ""
		if s.Sealed {
			sealed = "  sealed"
		}
		fmt.Fprintf(out, "%012d %12d %12d %12s %12s %9d%s\n", s.Number, s.Size, s.Used, orDash(s.FirstSequence), orDash(s.LastSequence), s.Batches, sealed)
	}
	fmt.Fprintf(out, "\n%s in %s\n", command.Count(uint64(stats.Streams), "stream", "streams"), command.Count(uint64(len(log.Scopes())), "scope", "scopes"))
	if streams {
		streamHeads(log, func(h engine.Head) {
			fmt.Fprintf(out, "%s\t%s\t%d\t%d\t%v\n", appendVisible(nil, h.Scope), appendVisible(nil, h.Stream), h.Version, h.Sequence, h.Hash)
		})
	}
	if recovery.Unproven > 0 {
		fmt.Fprintf(out, "\n%s at the end may not be durable yet\n", command.Count(recovery.Unproven, "event", "events"))
	}
	if recovery.Torn {
		fmt.Fprintf(out, "\nthe end is torn: segment %d, byte %d: %s: the next untorn append repairs it\n",
			recovery.TornAt.Segment, recovery.TornAt.Offset, recovery.TornReason)
	}
}

func orDash(sequence uint64) string {
	if sequence == 0 {
		return "-"
	}
	return fmt.Sprint(sequence)
}

func inspectJSON(e *command.Env, dir string, log *engine.Log, streams bool) {
	stats, head, recovery := log.Stats(), log.LogHead(), log.Recovery()
	o := newObject(e.Stdout.AvailableBuffer())
	o.text("dir", dir)
	o.number("events", stats.Events)
	o.number("batches", stats.Batches)
	o.name("head")
	o.b = appendHead(o.b, head)
	o.name("frontiers")
	all := newObject(o.b)
	for _, f := range frontiers(stats) {
		all.name(f.name)
		one := newObject(all.b)
		one.number("sequence", f.Sequence)
		if f.Sequence > 0 {
			one.time("time", f.Time)
		}
		all.b = append(one.b, '}')
	}
	o.b = append(all.b, '}')
	o.name("segments")
	o.b = append(o.b, '[')
	for i, s := range stats.Segments {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		one := newObject(o.b)
		one.number("segment", s.Number)
		one.number("size", uint64(s.Size))
		one.number("used", uint64(s.Used))
		one.number("first", s.FirstSequence)
		one.number("last", s.LastSequence)
		one.number("batches", s.Batches)
		one.truth("sealed", s.Sealed)
		o.b = append(one.b, '}')
	}
	o.b = append(o.b, ']')
	o.number("scopes", uint64(len(log.Scopes())))
	o.number("streams", uint64(stats.Streams))
	o.number("unproven", recovery.Unproven)
	o.number("unprovenBatches", recovery.UnprovenBatches)
	o.truth("torn", recovery.Torn)
	o.number("damaged", uint64(len(recovery.Damage)))
	e.Stdout.Write(o.line())
	if streams {
		streamHeads(log, func(h engine.Head) {
			o := newObject(e.Stdout.AvailableBuffer())
			o.text("scope", h.Scope)
			o.text("stream", h.Stream)
			o.number("version", h.Version)
			o.number("sequence", h.Sequence)
			o.hash("hash", h.Hash)
			e.Stdout.Write(o.line())
		})
	}
}

func appendHead(b []byte, head engine.LogHead) []byte {
	o := newObject(b)
	o.number("batch", head.Batch)
	o.number("sequence", head.Sequence)
	if head.Batch > 0 {
		o.time("time", head.Time)
	}
	o.hash("hash", head.Hash)
	return append(o.b, '}')
}
