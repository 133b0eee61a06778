package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs/explore"
)

func traceCommand() command.Command {
	return command.Command{
		Name: "trace", Operands: "(SEED|PLAN|TRACE)", Short: "show all that one run of a plan did",
		Long: "Runs a plan once, or what a seed draws, and prints each step, call, answer, named point of the log, file\n" +
			"operation, fault and crash in its order, with what became of the disk; or prints a trace that was kept.\n" +
			"A plan with crash lines takes these crashes, up to the verdict behind the last; without crash lines the\n" +
			"workload runs to its end, and no crash is tried: untorn-sim replay does that, and saves what it finds.\n\n" +
			"With --json it is one JSON object a line, the header first: keep it with -o, and compare it with that of\n" +
			"another machine or version with untorn-sim diff. With --life or --kinds as well it is a selection, which\n" +
			"diff does not take.\n\n" +
			"The exit code is 0 when the run was shown, also where it breaks a promise: the last line says so.",
		Examples: []command.Example{
			{Line: "untorn-sim trace failures/batch-posix-42-I1.plan", Says: "what happened, up to the promise that was broken"},
			{Line: "untorn-sim trace 42 --scenario batch --kinds op,crash --life 0", Says: "what the first life of a seed did to its disk"},
			{Line: "untorn-sim trace failures/batch-posix-42-I1.plan --json -o here.jsonl", Says: "for untorn-sim diff, here or on another machine"},
		},
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var t tracer
			t.source.flags(flags)
			flags.BoolVar(&t.json, "json", false, "one JSON object a line, the header of the trace first")
			flags.IntVar(&t.life, "life", -1, "only life `number`: 0 is the workload, 1 what came behind the first crash; -1: all")
			flags.StringVar(&t.kinds, "kinds", "", "only `kinds` of entries, separated by commas: "+kindNames())
			flags.Var(&t.color, "color", color.Usage)
			flags.StringVar(&t.out, "o", "", "write to this `file` instead")
			return t.run
		},
	}
}

// kindNames lists the kinds of entries.
func kindNames() string {
	var names []string
	for _, k := range trace.Kinds() {
		names = append(names, string(k))
	}
	return command.Either(names)
}

type tracer struct {
	source source
	json   bool
	life   int
	kinds  string
	color  color.When
	out    string
}

func (t *tracer) run(e *command.Env) error {
	if e.Operand() == "" {
		return command.Incomplete("no SEED, PLAN or TRACE: untorn-sim trace 42 --scenario batch shows a seed")
	}
	view := trace.View{Life: t.life + 1}
	if t.life < -1 {
		return command.Usage("--life %d: 0 is the workload, 1 what came behind the first crash; -1: all", t.life)
	}
	if t.kinds != "" {
		for _, word := range words(t.kinds) {
			if !slices.Contains(trace.Kinds(), trace.Kind(word)) {
				return command.Usage("--kinds %q: there is no kind %q: use %s", t.kinds, word, kindNames())
			}
			view.Kinds = append(view.Kinds, trace.Kind(word))
		}
	}
	got, err := t.source.load(e, e.Operand())
	if err != nil {
		return err
	}
	if last := got.Entries[len(got.Entries)-1].Life; t.life > last {
		return command.Usage("--life %d: the last of %s is life %d", t.life, e.Operand(), last)
	}
	show := func(w io.Writer) error {
		if t.json {
			return got.WriteSome(w, view)
		}
		return got.Text(w, view)
	}
	if t.out == "" {
		view.Color = t.color.Painter(e.Output, os.LookupEnv).On()
		return show(e.Stdout)
	}
	view.Color = t.color == color.Always
	if err := replay.WriteFile(t.out, show); err != nil {
		return fmt.Errorf("keep the trace: %w: name another file with -o", err)
	}
	return nil
}

// source says where a trace comes from: a file that holds one, or a plan or a seed
// that is run.
type source struct {
	scenario, disk string
}

func (s *source) flags(flags *flag.FlagSet) {
	flags.StringVar(&s.scenario, "scenario", "", "`name` of the scenario that a seed draws")
	flags.StringVar(&s.disk, "disk", "", "`name` of the disk, posix for a seed; a plan that is to run on another one must not hold digests")
}

// load gets the trace that an operand stands for.
func (s *source) load(e *command.Env, arg string) (*trace.Trace, error) {
	if problem := replay.DiskProblem(s.disk); s.disk != "" && problem != "" {
		return nil, command.Usage("%s", problem)
	}
	if seed, err := strconv.ParseUint(arg, 10, 64); err == nil {
		return s.seed(e, seed)
	}
	kept, err := s.file(arg)
	if kept != nil || err != nil {
		return kept, err
	}
	r := replayer{scenario: s.scenario, disk: s.disk}
	p, err := r.load(arg)
	if err != nil {
		return nil, err
	}
	got, err := scenarios.Trace(e.Ctx, p, scenarios.Config{})
	var misfit *explore.PathError
	switch {
	case err != nil && e.Ctx.Err() != nil:
		return nil, command.Fail(exitBudget, "interrupted")
	case errors.As(err, &misfit):
		return nil, command.Usage("%w: the plan or the code has changed: delete the crash lines of %s to show its steps", err, arg)
	case err != nil:
		return nil, command.Usage("%w%s", err, planHint(arg))
	}
	return got, nil
}

// seed runs what a seed draws.
func (s *source) seed(e *command.Env, seed uint64) (*trace.Trace, error) {
	switch {
	case seed == 0:
		return nil, command.Usage("seed 0: seeds begin at 1")
	case s.scenario == "":
		return nil, command.Usage("seed %d of which scenario: add --scenario %s", seed, command.Either(scenarios.Names()))
	}
	disk := s.disk
	if disk == "" {
		disk = "posix"
	}
	p, err := scenarios.Draw(s.scenario, disk, seed)
	if err != nil {
		return nil, command.Usage("no scenario %q: use %s", s.scenario, strings.Join(scenarios.Names(), ", "))
	}
	got, err := scenarios.Trace(e.Ctx, p, scenarios.Config{})
	if err != nil && e.Ctx.Err() != nil {
		return nil, command.Fail(exitBudget, "interrupted")
	}
	return got, err
}

// file reads a trace; it is nil where the file holds none, and may hold a plan.
func (s *source) file(path string) (*trace.Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, command.Usage("%w: want a seed, a plan that untorn-sim run has saved, or a trace that untorn-sim trace --json has", err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if first, err := in.Peek(1); err != nil || !bytes.Equal(first, []byte("{")) {
		return nil, nil
	}
	if s.scenario != "" || s.disk != "" {
		return nil, command.Usage("--scenario or --disk, but %s is a trace of a run that is over: leave them out", path)
	}
	kept, err := trace.Read(in)
	var format *trace.FormatError
	if errors.As(err, &format) {
		return nil, command.Usage("%s: %w: want what untorn-sim trace --json has printed, without --life and --kinds", path, err)
	}
	return kept, err
}
