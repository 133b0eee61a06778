package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

// TestTailGoesBack: of what was printed as not durable, tail says what a recovery
// has left out, and goes on where that began, but not before --from; what was durable is
// never gone.
func TestTailGoesBack(t *testing.T) {
	log := newLog(t, t.TempDir())
	receipts, err := log.AppendBatch(t.Context(), engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t"}, {Stream: "s", Type: "t"}}})
	if err != nil {
		t.Fatal(err)
	}
	const durable, printed = true, true
	one, two := mark{1, receipts[0].Hash, durable, printed}, mark{2, receipts[1].Hash, !durable, printed}
	other := func(sequence uint64) mark { return mark{sequence, engine.Hash{1}, !durable, printed} }
	hidden := func(m mark) mark { m.printed = !printed; return m }
	const gone = "untorn: note: the log was recovered: "
	for _, test := range []struct {
		what          string
		marks         []mark
		from, settled uint64
		next          uint64
		note          string
		err           string
	}{
		{"all is there", []mark{one, two}, 0, 1, 3, "", ""},
		{"another event", []mark{one, other(2)}, 0, 1, 2, gone + "1 event from event 2 on, printed as not durable, is gone\n", ""},
		{"no events", []mark{one, two, other(3), other(4)}, 0, 1, 3, gone + "2 events from event 3 on, printed as not durable, are gone\n", ""},
		{"what was left out before is another", []mark{one, other(5)}, 0, 1, 2, gone + "1 event from event 5 on, printed as not durable, is gone\n", ""},
		{"nothing was printed", nil, 0, 1, 2, "", ""},
		{"nothing was printed, and all is durable", nil, 0, 2, 3, "", ""},
		{"--from is far", nil, 100, 2, 100, "", ""},
		{"--from is far, and nothing was looked at", nil, 100, 0, 100, "", ""},
		{"--from is gone", []mark{other(2)}, 2, 1, 2, gone + "1 event from event 2 on, printed as not durable, is gone\n", ""},
		{"--from is passed", []mark{one, two}, 1, 1, 3, "", ""},
		{"-n 0 begins after an event", []mark{hidden(two)}, 0, 1, 3, "", ""},
		{"-n 0 began after one that is gone", []mark{hidden(other(2))}, 0, 1, 2, "", ""},
		{"and so is what came", []mark{hidden(other(2)), other(3)}, 0, 1, 2, gone + "1 event from event 3 on, printed as not durable, is gone\n", ""},
		{"a durable one", []mark{{1, engine.Hash{1}, durable, printed}, other(2)}, 0, 1, 0, "", "event 1 was durable and is another now, or gone: this is not the log that was followed"},
		{"a durable one that was not printed", nil, 100, 3, 0, "", "event 3 was durable and is another now, or gone: this is not the log that was followed"},
	} {
		var errs strings.Builder
		tail := &tail{Env: &command.Env{Program: "untorn", Stderr: &errs}, marks: test.marks, from: test.from, settled: test.settled, begun: true}
		tail.query.FromSequence = 9
		err := tail.goBack(log)
		if test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%s: %v", test.what, err)
			}
			continue
		}
		if err != nil || tail.query.FromSequence != test.next || errs.String() != test.note {
			t.Errorf("%s: %v, goes on at event %d, want %d; %q", test.what, err, tail.query.FromSequence, test.next, errs.String())
		}
	}
}

// newLog opens a log to append to it.
func newLog(t *testing.T, dir string) *engine.Log {
	t.Helper()
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// appendTo appends events to streams, as one batch.
func appendTo(t *testing.T, log *engine.Log, streams ...string) {
	t.Helper()
	var batch engine.Batch
	for _, stream := range streams {
		batch.Events = append(batch.Events, engine.Draft{Stream: stream, Type: "t", Data: []byte(`"some data"`)})
	}
	if _, err := log.AppendBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// writes hands on what each Write got.
type writes chan string

func (w writes) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// next returns the sequences of the events that were written at once.
func (w writes) next(t *testing.T) (sequences string) {
	t.Helper()
	select {
	case text := <-w:
		for line := range strings.Lines(text) {
			sequence, _, _ := strings.Cut(line, "\t")
			sequences += sequence + " "
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is printed")
	}
	return sequences
}

// TestTailWritesOnce: what is there is written at once, and each batch as soon as it
// comes, also when its last event is not asked for and none comes after it. What tail
// remembers does not grow.
func TestTailWritesOnce(t *testing.T) {
	for _, test := range []struct {
		what    string
		query   engine.Query
		from    uint64
		backlog string
		batches [2]string // a, a, b, and so on
		marks   int
	}{
		{"all", engine.Query{Buffered: true}, 1, "1 2 3 4 5 6 ", [2]string{"7 8 9 ", "10 11 12 "}, 4},
		{"a stream", engine.Query{Buffered: true, Stream: "a"}, 1, "1 2 4 5 ", [2]string{"7 8 ", "10 11 "}, 3},
		{"what is durable", engine.Query{}, 1, "1 2 3 ", [2]string{"4 5 6 ", "7 8 9 "}, 1},
		{"the last", engine.Query{Buffered: true}, 0, "5 6 ", [2]string{"7 8 9 ", "10 11 12 "}, 4},
		{"from far on", engine.Query{Buffered: true}, 8, "", [2]string{"8 9 ", "10 11 12 "}, 4},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel() // they wait for looks
			dir := t.TempDir()
			log := newLog(t, dir)
			batch := func() { appendTo(t, log, "a", "a", "b") }
			batch()
			batch()
			out := make(writes)
			tail := &tail{Env: &command.Env{Stdout: bufio.NewWriterSize(out, 64<<10), Stderr: io.Discard}, dir: dir, query: test.query, from: test.from, last: 2, follow: true}
			tail.query.FromSequence = test.from
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- tail.goOn(ctx) }()
			if test.backlog != "" {
				if got := out.next(t); got != test.backlog {
					t.Errorf("the backlog is written as %s, want %s", got, test.backlog)
				}
			}
			for _, want := range test.batches {
				batch()
				if got := out.next(t); got != want {
					t.Errorf("a batch is written as %s, want %s", got, want)
				}
			}
			for range 12 {
				batch()
				out.next(t)
			}
			stop()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case text := <-out:
				t.Fatalf("more is written: %s", text)
			}
			if len(tail.marks) > test.marks {
				t.Errorf("tail remembers %d events, want at most %d: %+v", len(tail.marks), test.marks, tail.marks)
			}
			if len(tail.marks) == 0 || !tail.marks[0].durable {
				t.Errorf("tail remembers none that is durable: %+v", tail.marks)
			}
		})
	}
}

// TestTailWithoutReader: an output that nobody reads any more is no failure of tail -f,
// nor is what was not written to it.
func TestTailWithoutReader(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, newLog(t, dir), "s")
	e := &command.Env{Stdout: bufio.NewWriter(closed{}), Stderr: io.Discard}
	tail := &tail{Env: e, dir: dir, last: 10, follow: true, query: engine.Query{Buffered: true}}
	if err := tail.run(); err != nil {
		t.Error(err)
	}
	if err := e.Stdout.Flush(); err != nil {
		t.Errorf("at the end: %v", err)
	}
}

// closed is an output that nobody reads any more.
type closed struct{}

func (closed) Write([]byte) (int, error) {
	return 0, fmt.Errorf("write the pipe: %w", syscall.EPIPE)
}

// TestTailIntoPipe runs tail -f into a pipe whose reader goes away, and interrupts it.
func TestTailIntoPipe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such pipes and signals")
	}
	short, long := t.TempDir(), t.TempDir()
	appendTo(t, newLog(t, short), "s", "s", "s")
	log := newLog(t, long)
	for range 5 { // more than a pipe holds
		appendTo(t, log, slices.Repeat([]string{"s"}, 4000)...)
	}
	for _, test := range []struct {
		what   string
		dir    string
		signal os.Signal // after the first line; nil: none
		goes   bool      // the reader, after that
	}{
		{"the reader goes while nothing comes", short, nil, true},
		{"the reader goes while much is written", long, nil, true},
		{"an interrupt while nothing comes", short, os.Interrupt, false},
		{"SIGTERM while nothing comes", short, syscall.SIGTERM, false},
		{"an interrupt while the pipe is full, and the reader goes", long, os.Interrupt, true},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			var errs strings.Builder
			cmd := exec.CommandContext(ctx, "untorn", "tail", "--dir", test.dir, "-f", "--from", "1")
			cmd.Stdout, cmd.Stderr = writer, &errs
			err = cmd.Start()
			writer.Close()
			if err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 1)
			for line[0] != '\n' {
				if _, err := reader.Read(line); err != nil {
					t.Fatal(err)
				}
			}
			if test.signal != nil {
				if err := cmd.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
			}
			if test.goes {
				reader.Close()
			}
			if err := cmd.Wait(); err != nil || errs.String() != "" {
				t.Errorf("%v, %q", err, errs.String())
			}
		})
	}
}
