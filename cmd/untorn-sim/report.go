package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/report"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/scenarios"
)

func reportCommand() command.Command {
	return command.Command{
		Name: "report", Operands: "(SEED|PLAN|TRACE|RUN)", Short: "make one file of HTML of a plan, or of a whole run",
		Long: "A plan is run once more, or what a seed draws, and the page shows what broke, in words, and all that\n" +
			"happened: a slider goes through every call, file operation and crash, and shows the bytes, the source lines,\n" +
			"the cells of each file at that moment, and what a power loss could take there. A plan with crash lines takes\n" +
			"these crashes; without, the workload runs to its end, and no crash is tried. What untorn-sim trace --json has\n" +
			"kept is taken as it is.\n\n" +
			"A run is what untorn-sim run --json has printed. Its page shows which crashes led to what, which faults came\n" +
			"where and which never did, when the seeds stopped doing anything new, and the slowest of them.\n\n" +
			"The page is one file. It needs no network, and asks for nothing. A file that is there is replaced if it is a\n" +
			"report, too.\n\n" +
			"The exit code is 0 when the page was written, whatever it tells; 1 when it could not be written.",
		Examples: []command.Example{
			{Line: "untorn-sim report failures/batch-posix-42-I1.plan", Says: "what broke, and all that led to it, in report.html"},
			{Line: "untorn-sim report 42 --scenario batch --disk ext4 -o seed.html", Says: "what a seed does"},
			{Line: "untorn-sim report run.jsonl -o run.html", Says: "what a sweep found, and what it never reached"},
		},
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var r reporter
			r.source.flags(flags)
			flags.StringVar(&r.out, "o", "report.html", "write to this `file`")
			return r.run
		},
	}
}

type reporter struct {
	source source
	out    string
}

func (r *reporter) run(e *command.Env) error {
	if e.Operand() == "" {
		return command.Incomplete("no SEED, PLAN, TRACE or RUN: name a plan that untorn-sim run has saved, or keep what untorn-sim run --json prints")
	}
	if err := r.free(); err != nil {
		return err
	}
	write, says, err := r.page(e, e.Operand())
	if err != nil {
		return err
	}
	if err := replay.WriteFile(r.out, write); err != nil {
		return fmt.Errorf("keep the report: %w: name another file with -o", err)
	}
	fmt.Fprintf(e.Stdout, "%s: %s: open it in a browser\n", r.out, says)
	return nil
}

// free says why nothing may be written to the file, or nil.
func (r *reporter) free() error {
	if r.out == "" {
		return command.Usage("-o \"\": name a file such as report.html")
	}
	info, err := os.Stat(r.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return command.Usage("-o: %w: name another file", err)
	case info.IsDir():
		return command.Usage("-o %s: that is a directory: name a file in it", r.out)
	case info.Mode().IsRegular() && info.Size() == 0:
		return nil
	case info.Mode().IsRegular():
		f, err := os.Open(r.out)
		if err != nil {
			return command.Usage("-o: %w: name another file", err)
		}
		defer f.Close()
		if is, err := report.Is(f); err == nil && is {
			return nil
		}
	}
	return command.Usage("-o %s: there is something that is no report: name another file", r.out)
}

// page is what writes the page of an operand, and what the page is about.
func (r *reporter) page(e *command.Env, arg string) (write func(io.Writer) error, says string, err error) {
	kind, rows, err := r.file(arg)
	if err != nil {
		return nil, "", err
	}
	if kind == isRun {
		return func(w io.Writer) error { return report.Run(w, rows) }, command.Count(len(rows), "row", "rows"), nil
	}
	end := e.Progress().Watch(func() command.Work { return command.Work{Of: "recording " + arg} })
	defer end()
	t, err := r.source.load(e, arg)
	if err != nil {
		return nil, "", err
	}
	var why *card.Card
	if kind != isTrace {
		if why, err = explained(e.Ctx, t); err != nil {
			return nil, "", err
		}
	}
	says = "every promise was kept"
	switch {
	case t.Header.Invariant != "":
		says = t.Header.Invariant + " was broken"
	case t.Header.Found != "":
		says = "a promise was broken"
	}
	says = fmt.Sprintf("%s on %s, %s, %s", t.Header.Scenario, t.Header.Disk, command.Count(len(t.Entries), "entry", "entries"), says)
	return func(w io.Writer) error { return report.Plan(w, t, why) }, says, nil
}

// What an operand is, as far as this command has to know.
const (
	isPlan  = iota // or a seed
	isTrace        //
	isRun          //
)

// file tells what kind of file an operand is, and reads it if that is a run.
func (r *reporter) file(arg string) (kind int, rows []replay.Row, err error) {
	if _, err := strconv.ParseUint(arg, 10, 64); err == nil {
		return isPlan, nil, nil
	}
	f, err := os.Open(arg)
	if err != nil {
		return isPlan, nil, nil // source.load says what is wrong
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	first, err := in.Peek(1)
	if err != nil || !bytes.Equal(first, []byte("{")) {
		return isPlan, nil, nil
	}
	begin, _ := in.Peek(64)
	if bytes.HasPrefix(bytes.TrimLeft(begin[1:], " \t\n"), []byte(`"trace"`)) {
		return isTrace, nil, nil
	}
	if r.source != (source{}) {
		return isRun, nil, command.Usage("--scenario or --disk, but %s is a run that is over: leave them out", arg)
	}
	if rows, err = replay.ReadRows(in); err != nil {
		return isRun, nil, command.Usage("%s: %w: want what untorn-sim run --json has printed", arg, err)
	}
	return isRun, rows, nil
}

// explained is the card of a failure that needs its crash lines: what decides about it,
// and what was promised and shown. It is nil where there is none.
func explained(ctx context.Context, t *trace.Trace) (*card.Card, error) {
	p, err := plan.Parse([]byte(t.Header.Plan))
	if err != nil || len(p.Crashes) == 0 || t.Header.Found == "" {
		return nil, nil
	}
	o, err := replay.Replay(ctx, p, scenarios.Config{})
	if err != nil && ctx.Err() != nil {
		return nil, command.Fail(exitBudget, "interrupted")
	}
	for i := range o.Failures {
		if o.Failures[i].Invariant == t.Header.Invariant {
			c := o.Failures[i].Card()
			return &c, nil
		}
	}
	return nil, nil
}
