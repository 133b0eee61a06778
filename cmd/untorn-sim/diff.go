package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay/trace"
)

func diffCommand() command.Command {
	return command.Command{
		Name: "diff", Operands: "A B", Short: "find where two runs part: the first step that differs, with both sides",
		Long: "A and B are traces that untorn-sim trace --json -o has kept, or plans or seeds, which are run now. The first\n" +
			"entry that differs is printed, in its step, with what comes before and behind it in each; before that, what\n" +
			"explains it: another plan, another disk. Source lines do not count.\n\n" +
			"A plan with itself finds what is not deterministic:\n\n" +
			"  untorn-sim diff PLAN PLAN\n\n" +
			"and a trace that was kept on another machine, or by another version, where the two part:\n\n" +
			"  untorn-sim trace PLAN --json -o there.jsonl       there\n" +
			"  untorn-sim diff there.jsonl PLAN                  here",
		Examples: []command.Example{
			{Line: "untorn-sim diff there.jsonl here.jsonl", Says: "two traces that were kept"},
			{Line: "untorn-sim diff there.jsonl failures/batch-posix-42-I1.plan", Says: "one of another machine, and a run here"},
			{Line: "untorn-sim diff 42 43 --scenario batch", Says: "two seeds"},
		},
		Exits: []int{exitFine, exitUsage, exitDiffer, exitBudget},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var d differ
			d.source.flags(flags)
			flags.BoolVar(&d.json, "json", false, "one JSON object")
			flags.Var(&d.color, "color", color.Usage)
			return d.run
		},
	}
}

type differ struct {
	source source
	json   bool
	color  color.When
}

// parted is the JSON of a comparison.
type parted struct {
	Same    bool         `json:"same"`
	Entries int          `json:"entries"` // of A
	Headers []string     `json:"headers"` // where the runs were not of the same kind
	Entry   int          `json:"entry"`   // the first that differs; -1: none
	Life    int          `json:"life"`
	Step    int          `json:"step"`   // 0: none
	Fields  []string     `json:"fields"` // that differ; of an entry that only one has, none
	A       *trace.Entry `json:"a"`      // null where it has ended
	B       *trace.Entry `json:"b"`
}

func (d *differ) run(e *command.Env) error {
	if len(e.Operands) < 2 {
		return command.Incomplete("no A and B: two traces, plans or seeds")
	}
	a, b := e.Operands[0], e.Operands[1]
	first, err := d.source.load(e, a)
	if err != nil {
		return err
	}
	second, err := d.source.load(e, b)
	if err != nil {
		return err
	}
	if a == b {
		b += " once more"
	}
	difference := trace.Diff(first, second)
	if d.json {
		err = e.Object(partedOf(first, difference))
	} else if difference == nil {
		fmt.Fprintf(e.Stdout, "%s and %s are the same: %s\n", a, b, command.Count(len(first.Entries), "entry", "entries"))
	} else {
		err = difference.Text(e.Stdout, a, b, d.color.Painter(e.Output, os.LookupEnv).On())
	}
	switch {
	case err != nil:
		return err
	case difference == nil:
		return nil
	case difference.Entry < 0:
		return command.Fail(exitDiffer, "%s and %s did the same, but are not the same run: see above", a, b)
	}
	return command.Fail(exitDiffer, "%s and %s differ from entry %d on: see above", a, b, difference.Entry)
}

func partedOf(first *trace.Trace, d *trace.Difference) parted {
	p := parted{Same: d == nil, Entries: len(first.Entries), Headers: []string{}, Entry: -1, Fields: []string{}}
	if d != nil {
		p.Headers = append(p.Headers, d.Headers...)
		p.Fields = append(p.Fields, d.Fields...)
		p.Entry, p.Life, p.Step, p.A, p.B = d.Entry, d.Life, d.Step, d.A, d.B
	}
	return p
}
