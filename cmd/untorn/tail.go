package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/untorn-db/untorn/engine"
)

func tailCommand() command {
	return command{
		name:  "tail",
		short: "print the last events, and those that come",
		long: `Prints the last events, as untorn read does, and with -f goes on with those that others append, batch by
batch, until it is interrupted, which is no failure: exit code 0. It takes no lock and writes nothing.

An event is printed as soon as its batch is whole, marked "(not durable)" in text and "durable":false in JSON
until something behind it proves that it was synced: the next batch, or the end of a log that was closed. It is
printed once. --durable waits for the proof instead, so the last batch comes with the next one.

When the log is recovered, or rolls a batch back, under its hands, tail -f opens it again and goes on behind the
last event that it printed. A note says if events that it had printed as not durable are gone.

The directory has to be there, as a file for tail -f has; it may be empty, and -f waits for the first event.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			dir := dirFlag(flags)
			t := &tail{}
			flags.IntVar(&t.last, "n", 10, "begin with the last `n` events; 0 means none")
			flags.BoolVar(&t.follow, "f", false, "follow: print also what others append, until interrupted")
			flags.Uint64Var(&t.query.FromSequence, "from", 0, "begin with this `sequence` instead")
			scoped := selectFlags(flags, &t.query)
			flags.BoolVar(&t.durable, "durable", false, "print events only when they are known to be durable")
			flags.BoolVar(&t.json, "json", false, "print one JSON object a line")
			return func(e *env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				given := false
				flags.Visit(func(f *flag.Flag) { given = given || f.Name == "n" })
				switch {
				case t.last < 0:
					return usage("-n is %d: use 0 or more", t.last)
				case given && t.query.FromSequence > 0:
					return usage("-n counts from the end and --from from the beginning: give one of them")
				}
				if err := scoped(); err != nil {
					return err
				}
				t.env, t.dir, t.query.Buffered = e, name, !t.durable
				return t.run()
			}
		},
	}
}

// tail prints the end of a log.
type tail struct {
	*env
	dir     string
	query   engine.Query
	last    int // events to begin with
	follow  bool
	durable bool
	json    bool
	begun   bool // the last events were printed

	printed []printed // the last events that were printed: those not durable, and one before them
}

// printed is what tells whether an event is still there.
type printed struct {
	sequence uint64
	hash     engine.Hash
	durable  bool
}

func (t *tail) run() error {
	ctx := context.Background()
	if t.follow {
		// An interrupt is how tail -f ends: what was printed is flushed.
		interrupted, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(interrupted, stop) // the second signal ends the process
		ctx = interrupted
	}
	for {
		log, err := t.open()
		if err != nil {
			return err
		}
		err = t.print(ctx, log)
		log.Close()
		switch {
		case t.follow && errors.Is(err, engine.ErrRecovered):
			continue
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return nil
		}
		return err
	}
}

func (t *tail) open() (*engine.Log, error) {
	if t.follow {
		return t.openQuietly(t.dir, false) // what is empty now need not stay so
	}
	return t.openToRead(t.dir, false)
}

// print prints what is there, and follows if that is asked for.
func (t *tail) print(ctx context.Context, log *engine.Log) error {
	begin := t.goBack
	if !t.begun && t.query.FromSequence == 0 {
		begin = t.printLast
	}
	if err := begin(log); err != nil {
		return err
	}
	t.begun = true
	read := log.Read(t.query)
	if t.follow {
		if err := t.stdout.Flush(); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		read = log.Subscribe(ctx, t.query)
	}
	for event, err := range read {
		if err != nil {
			return err
		}
		if err := t.show(&event); err != nil {
			return err
		}
		if !t.follow {
			continue
		}
		// Whoever looks on sees each event when it comes.
		if err := t.stdout.Flush(); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	if unproven := log.Recovery().Unproven; unproven > 0 && t.durable && !t.follow {
		t.note("%s at the end may not be durable yet, and not shown: without --durable they are", count(unproven, "event", "events"))
	}
	return nil
}

// printLast prints the last events that are there, and leaves a query for what
// comes behind them.
func (t *tail) printLast(log *engine.Log) error {
	stats := log.Stats()
	end := stats.Visible.Sequence
	if t.query.Buffered {
		end = stats.Written.Sequence
	}
	if t.last > 0 && end > 0 {
		query := t.query
		query.Backward, query.Limit, query.ToSequence = true, t.last, end
		var events []engine.Event
		for event, err := range log.Read(query) {
			if err != nil {
				return err
			}
			events = append(events, event)
		}
		for _, event := range slices.Backward(events) {
			if err := t.show(&event); err != nil {
				return err
			}
		}
	}
	t.query.FromSequence = end + 1
	return nil
}

func (t *tail) show(event *engine.Event) error {
	line := t.stdout.AvailableBuffer()
	if t.json {
		line = appendEvent(line, event)
	} else {
		line = appendEventText(line, event)
	}
	if _, err := t.stdout.Write(line); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	t.query.FromSequence = event.Sequence + 1
	if event.Durable {
		t.printed = t.printed[:0] // and so is all before it
	}
	t.printed = append(t.printed, printed{event.Sequence, event.Hash, event.Durable})
	return nil
}

// goBack looks which of the printed events a recovery has left out, and goes on
// behind the last that is still there.
func (t *tail) goBack(log *engine.Log) error {
	gone := len(t.printed)
	for gone > 0 {
		last := t.printed[gone-1]
		there := false
		for event, err := range log.Read(engine.Query{FromSequence: last.sequence, ToSequence: last.sequence, Buffered: true}) {
			if err != nil {
				return err
			}
			there = event.Hash == last.hash
		}
		if there {
			break
		}
		if last.durable {
			return fmt.Errorf("event %d was durable and is another now, or gone: this is not the log that was followed", last.sequence)
		}
		gone--
	}
	if t.begun {
		t.query.FromSequence = min(t.query.FromSequence, log.Stats().Written.Sequence+1)
	}
	if gone == len(t.printed) {
		return nil
	}
	from := t.printed[gone]
	t.note("the log was recovered: %s from event %d on, printed as not durable, %s gone",
		count(uint64(len(t.printed)-gone), "event", "events"), from.sequence, isAre(len(t.printed)-gone))
	t.query.FromSequence = from.sequence
	t.printed = t.printed[:gone]
	return nil
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
