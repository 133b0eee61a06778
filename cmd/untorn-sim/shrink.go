package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/scenarios"
)

func shrinkCommand() command.Command {
	return command.Command{
		Name: "shrink", Operands: "PLAN", Short: "make a plan that fails small, and say why it fails",
		Long: "Leaves out of a plan what the failure does not need: steps, then faults, then crashes and what they lost,\n" +
			"then settings; then it makes values simple. The same invariant goes on failing, the one that the plan names\n" +
			"or what it breaks first. Steps keep their numbers. What comes out is minimal: nothing more can be left out\n" +
			"alone. It is printed as untorn-sim replay prints a failure, with\n\n" +
			"  cause     the smallest set of bytes and names that must not have reached the disk, and who wrote them\n" +
			"  else      what must have reached it all the same, and what happens where nothing of that set is lost\n\n" +
			"The exit code is 0 when the plan is minimal, 4 when the time or the runs were used up before.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Examples: []command.Example{
			{Line: "untorn-sim shrink failures/batch-posix-42-I1.plan", Says: "the smallest plan that fails in the same way"},
			{Line: "untorn-sim shrink failures/batch-posix-42-I1.plan --time 1m --out small.plan", Says: "what a minute is enough for"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var s shrinker
			flags.StringVar(&s.out, "out", "", "`file` for the small plan; without, PLAN with .small before its .plan")
			flags.DurationVar(&s.time, "time", 0, "stop after this `duration`; 0: no limit")
			flags.IntVar(&s.runs, "runs", replay.ShrinkRuns, "stop after so `many` executions and explorations")
			flags.IntVar(&s.config.Images, "images", 0, "so `many` images in each exploration; 0: as the plan says, and 128 for what is shorter")
			flags.IntVar(&s.config.Workers, "jobs", 0, "so `many` recoveries at once; 0: one for each processor")
			flags.BoolVar(&s.json, "json", false, "one JSON object")
			s.form.flag(flags)
			return func(e *command.Env) error {
				s.flags = flags
				return s.run(e)
			}
		},
	}
}

type shrinker struct {
	out    string
	time   time.Duration
	runs   int
	json   bool
	form   form
	config scenarios.Config
	flags  *flag.FlagSet
}

// shrunk is the JSON of a shrunk plan.
type shrunk struct {
	Scenario  string             `json:"scenario"`
	Disk      string             `json:"disk"`
	Seed      uint64             `json:"seed"`
	From      replay.Size        `json:"from"`
	To        replay.Size        `json:"to"`
	Runs      int                `json:"runs"`
	Minimal   bool               `json:"minimal"`
	Crashes   []string           `json:"crashes"` // in words
	Why       replay.Why         `json:"why"`
	Violation []replay.Violation `json:"violations"` // the one
	Plan      string             `json:"plan"`
}

func (s *shrinker) run(e *command.Env) error {
	file := e.Operand()
	if file == "" {
		return command.Incomplete("no PLAN: name a file that untorn-sim run has saved, such as failures/batch-posix-42-I1.plan")
	}
	if err := s.form.check(s.json); err != nil {
		return err
	}
	if s.runs <= 0 {
		return command.Usage("--runs %d: at least 1", s.runs)
	}
	if s.time < 0 || s.config.Images < 0 || s.config.Workers < 0 {
		return command.Usage("--time, --images and --jobs are 0 or more")
	}
	p, err := replay.Load(file)
	if err != nil {
		return command.Usage("%w: want a plan that untorn-sim run has saved", err)
	}
	ctx := e.Ctx
	if s.time > 0 {
		limited, stop := context.WithTimeout(ctx, s.time)
		defer stop()
		ctx = limited
	}
	end := watched(e, p, &s.config, "runs")
	small, err := replay.Shrink(ctx, p, s.config, s.runs)
	end()
	var holds *replay.HoldsError
	switch {
	case errors.As(err, &holds):
		return command.Usage("%s: %w", file, err)
	case err != nil && e.Ctx.Err() != nil:
		return interrupted(again(e, s.flags, e.Operands, "", ""), "%s had not been run once", file)
	case err != nil && ctx.Err() != nil:
		return command.Fail(exitBudget, "the time was over before %s had been run once: give it more --time", file)
	case err != nil:
		return command.Usage("%w%s", err, planHint(file))
	}
	if s.out == "" {
		s.out = strings.TrimSuffix(file, ".plan") + ".small.plan"
	}
	f := small.Failure
	if err := replay.Write(s.out, f.Plan); err != nil {
		return fmt.Errorf("save the plan: %w: name another file with --out", err)
	}
	f.File = s.out
	if s.json {
		row := replay.Row{Failures: []replay.Failure{f}}
		row.Describe()
		err = e.Object(shrunk{
			Scenario: f.Scenario, Disk: f.Disk, Seed: f.Seed, From: small.From, To: small.To, Runs: small.Runs, Minimal: small.Minimal,
			Crashes: append([]string{}, f.Happened...), Why: f.Why, Violation: row.Violations, Plan: s.out,
		})
		if err != nil {
			return err
		}
	} else {
		s.form.show(e, f.Card())
		fmt.Fprintf(s.form.texts(e), "from %v to %v, in %s\n", small.From, small.To, command.Count(small.Runs, "run", "runs"))
		s.form.add(card.Case{Class: "untorn-sim.shrink", Name: f.Scenario + " on " + f.Disk + ": " + s.out, Cards: []card.Card{f.Card()}})
		if err := s.form.end(e, "shrink"); err != nil {
			return err
		}
	}
	if !small.Minimal && e.Ctx.Err() != nil {
		return interrupted(again(e, s.flags, []string{s.out}, "out", s.out), "%s may not be minimal", s.out)
	}
	if !small.Minimal {
		return command.Fail(exitBudget, "the time or the runs were used up: %s may not be minimal, shrink it again or give it more --time or --runs", s.out)
	}
	return nil
}
