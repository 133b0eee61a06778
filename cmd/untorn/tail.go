package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

func tailCommand() command.Command {
	return command.Command{
		Name:  "tail",
		Short: "print the last events, and those that come",
		Form:  "--dir DIR [flags]",
		Long: `Prints the last events, as untorn read does, and with -f goes on with those that others append, batch by
batch, until it is interrupted, or nobody reads its output any more; neither is a failure: exit code 0. After an
interrupt it hands over what it was printing; a second one ends it at once. It takes no lock and writes nothing.

An event is printed as soon as its batch is whole, marked "(not durable)" in text and "durable":false in JSON
until something after it proves that it was synced: the next batch, or the end of a log that was closed. It is
printed once. --durable waits for the proof instead, so the last batch comes with the next one.

When the log is recovered, or rolls a batch back, under its hands, tail -f opens it again and goes on after the
last event that it printed. A note says if events that it had printed as not durable are gone.

The directory has to be there, as a file for tail -f has; it may be empty, and -f waits for the first event.

With --since it begins with all events of that time and later, or the last -n of them.

` + selectHelp + `

On a terminal, text is in colours, of which a stream always has the same; NO_COLOR and TERM=dumb turn them off, and
so does --color never.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn tail --dir data -n 3", Says: "the last three events"},
			{Line: "untorn tail --dir data -f --stream order-42", Says: "the last ones of a stream, and those that come, until it is interrupted"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			t := &tail{}
			countFlag(flags, &t.last, "n", 10, "begin with the last `n` events; 0 means none")
			flags.BoolVar(&t.follow, "f", false, "follow: print also what others append, until interrupted")
			sequenceFlag(flags, &t.from, "from", "begin with this `sequence` instead")
			selectFlags(flags, &t.selection)
			flags.BoolVar(&t.durable, "durable", false, "print events only when they are known to be durable")
			var when color.When
			flags.Var(&when, "color", color.Usage)
			flags.BoolVar(&t.json, "json", false, "print one JSON object a line, never in colours")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				counted := command.Given(flags)["n"]
				switch {
				case t.last < 0:
					return command.Usage("-n is %d: use 0 or more", t.last)
				case counted && t.from > 0:
					return command.Usage("-n counts from the end and --from from the beginning: give one of them")
				case t.follow && !t.selection.until.IsZero():
					return command.Usage("-f goes on until it is interrupted: leave out --until, or -f")
				}
				if err := t.selection.prepare(&t.query); err != nil {
					return err
				}
				t.all = !counted && !t.selection.since.IsZero()
				t.Env, t.dir, t.query.Buffered = e, name, !t.durable
				t.paint = when.Painter(e.Output, os.LookupEnv)
				return t.run()
			}
		},
	}
}

// tail prints the end of a log.
type tail struct {
	*command.Env
	dir       string
	query     engine.Query // FromSequence is what to look at next
	selection selection    // what of that is printed
	from      uint64       // as the command line has it
	last      int          // events to begin with
	all       bool         // begin with all that is selected instead
	follow    bool
	durable   bool
	json      bool
	paint     color.Painter
	begun     bool // the last events were printed

	settled uint64 // up to here all was looked at, and is durable
	marks   []mark // those after settled, and one before them
}

// mark is an event that tail has come to. It tells whether the log still is what was
// seen.
type mark struct {
	sequence uint64
	hash     engine.Hash
	durable  bool
	printed  bool
}

// markOf returns the mark of an event, by its sequence; one without a hash if it is not
// there.
func markOf(log *engine.Log, sequence uint64) (mark, error) {
	for event, err := range log.Read(engine.Query{FromSequence: sequence, ToSequence: sequence, Buffered: true, Borrow: true}) {
		return mark{event.Sequence, event.Hash, event.Durable, false}, err
	}
	return mark{sequence: sequence}, nil
}

func (t *tail) run() error {
	if !t.follow {
		return t.goOn(context.Background())
	}
	// An interrupt is how tail -f ends.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	// A write that nobody reads fails, instead of ending the process.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if unread(ctx, os.Stdout) {
			cancel() // the next event may be far
		}
	}()
	err := t.goOn(ctx)
	if errors.Is(err, syscall.EPIPE) { // whoever read it has enough
		t.Stdout.Reset(io.Discard)
		return nil
	}
	return err
}

// goOn prints until nothing is left or the context ends, and opens a log again that
// was recovered.
func (t *tail) goOn(ctx context.Context) error {
	for {
		err := t.open(func(log *engine.Log) error { return t.print(ctx, log) })
		flushed := t.flush()
		ended := err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err())
		recovered := t.follow && errors.Is(err, engine.ErrRecovered)
		switch {
		case !ended && !recovered:
			return err
		case ended, flushed != nil:
			return flushed
		}
	}
}

// open calls a function with the log, which is open so long.
func (t *tail) open(do func(log *engine.Log) error) error {
	log, err := openQuietly(t.dir, false)
	if err == nil && !t.follow { // what is empty now need not stay so if somebody follows
		noteEmpty(t.Env, t.dir, log)
	}
	if err != nil {
		return err
	}
	defer log.Close()
	return do(log)
}

// print prints what is there, and follows if that is asked for.
func (t *tail) print(ctx context.Context, log *engine.Log) error {
	begin := t.goBack
	switch {
	case t.begun || t.from > 0:
	case t.all:
		// What is not durable may go, and other events come with its sequences.
		t.from = firstSince(log, t.selection.since, log.Stats().Visible.Sequence)
	default:
		begin = func(log *engine.Log) error { return t.printLast(ctx, log) }
	}
	if err := begin(log); err != nil {
		return err
	}
	t.begun = true
	for {
		if err := t.look(ctx, log); err != nil {
			return err
		}
		if !t.follow {
			break
		}
		// All that is there was printed. Whoever looks on sees it before the next comes.
		if err := t.flush(); err != nil {
			return err
		}
		next := engine.Query{FromSequence: t.query.FromSequence, Limit: 1, Buffered: t.query.Buffered, Borrow: true}
		for _, err := range log.Subscribe(ctx, next) {
			if err != nil {
				return err
			}
		}
	}
	if unproven := log.Recovery().Unproven; unproven > 0 && t.durable {
		t.Note("%s at the end may not be durable yet, and not shown: without --durable they are", command.Count(unproven, "event", "events"))
	}
	return nil
}

// look prints the events that the query selects up to the end of the log.
func (t *tail) look(ctx context.Context, log *engine.Log) error {
	stats := log.Stats()
	query, end := t.query, t.end(&stats)
	if query.ToSequence = end; end < query.FromSequence {
		return nil
	}
	if t.follow || t.selection.narrow(log, &query, end) {
		for event, err := range t.selection.read(ctx, log, query) {
			if err != nil {
				return err
			}
			if err := t.show(&event); err != nil {
				return err
			}
		}
	}
	t.passed(end, &stats)
	return nil
}

// end returns the last sequence that may be printed.
func (t *tail) end(stats *engine.Stats) uint64 {
	if t.query.Buffered {
		return stats.Written.Sequence
	}
	return stats.Visible.Sequence
}

// printLast prints the last events that are there, and leaves a query for what
// comes after them.
func (t *tail) printLast(ctx context.Context, log *engine.Log) error {
	stats := log.Stats()
	end := t.end(&stats)
	if end == 0 {
		return nil
	}
	// No query says that what is left out here is not to be printed: a mark does.
	begins, err := markOf(log, end)
	if err != nil {
		return err
	}
	var events []engine.Event
	query := t.query
	query.Backward, query.Limit, query.ToSequence = true, t.last, end
	if t.last > 0 && t.selection.narrow(log, &query, end) {
		for event, err := range t.selection.read(ctx, log, query) {
			if err != nil {
				return err
			}
			events = append(events, event)
		}
	}
	for _, event := range slices.Backward(events) {
		if err := t.show(&event); err != nil {
			return err
		}
	}
	if n := len(t.marks); n == 0 || t.marks[n-1].sequence < end {
		t.marks = append(t.marks, begins)
	}
	t.passed(end, &stats)
	return nil
}

func (t *tail) show(event *engine.Event) error {
	line := t.Stdout.AvailableBuffer()
	if t.json {
		line = appendEvent(line, event)
	} else {
		line = appendEventText(line, event, t.paint)
	}
	if _, err := t.Stdout.Write(line); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	if event.Durable {
		t.marks = t.marks[:0] // and so is all before it
	}
	t.marks = append(t.marks, mark{event.Sequence, event.Hash, event.Durable, true})
	return nil
}

func (t *tail) flush() error {
	if err := t.Stdout.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// passed notes that all was looked at up to the end, and drops the marks that nothing
// can make void any more, but the last of them.
func (t *tail) passed(end uint64, stats *engine.Stats) {
	t.query.FromSequence = max(t.query.FromSequence, end+1)
	t.settled = max(t.settled, min(stats.Visible.Sequence, end))
	settled := 0
	for settled < len(t.marks) && t.marks[settled].sequence <= t.settled {
		settled++
	}
	if settled > 0 {
		t.marks[settled-1].durable = true
		t.marks = slices.Delete(t.marks, 0, settled-1)
	}
}

// goBack looks which of the events that tail has come to a recovery has left out, and
// goes on after the last that is still there.
func (t *tail) goBack(log *engine.Log) error {
	const another = "event %d was durable and is another now, or gone: this is not the log that was followed"
	if log.Stats().Written.Sequence < t.settled {
		return fmt.Errorf(another, t.settled)
	}
	from, there := t.settled, len(t.marks)
	for ; there > 0; there-- {
		last := t.marks[there-1]
		now, err := markOf(log, last.sequence)
		if err != nil {
			return err
		}
		if now.hash == last.hash {
			from = max(from, last.sequence)
			break
		}
		if last.durable {
			return fmt.Errorf(another, last.sequence)
		}
	}
	t.query.FromSequence = max(t.from, from+1)
	gone := slices.DeleteFunc(slices.Clone(t.marks[there:]), func(m mark) bool { return !m.printed })
	if len(gone) > 0 {
		t.Note("the log was recovered: %s from event %d on, printed as not durable, %s gone",
			command.Count(uint64(len(gone)), "event", "events"), gone[0].sequence, isAre(len(gone)))
	}
	t.marks = t.marks[:there]
	return nil
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
