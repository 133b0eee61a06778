package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

func errorsCommand() command.Command {
	return command.Command{
		Name: "errors", Short: "let every file operation fail in every way, and crash behind it",
		Long: "Runs a plan once, and lists the file-system operations of its steps. Then, for each operation and each\n" +
			"fault that can happen to it (an error once, or from then on; a short write; a full disk; a sync that fails\n" +
			"in each way that the disk knows; bytes that are lost, flipped, stale or go elsewhere; a file that is locked),\n" +
			"it runs the plan with that fault, goes on, and crashes it at every point from the fault on, on every image.\n" +
			"Where the plan has crash steps, a fault is followed by crashes in its own life and in all later ones.\n\n" +
			"Without --scenario and --plan it takes two small plans that get everywhere. What a plan itself says about\n" +
			"faults, damage and crashes to explore is left out; its settings count, \"set lazy = false\" too.\n\n" +
			"For each plan and disk:\n\n" +
			"  operations  of the file system; with more than " + strconv.Itoa(scenarios.ErrorOperations) + ", or --ops, some are left out, evenly over the plan\n" +
			"  faults      that were tried, and those that happened; -v lists all, with why the others did not\n" +
			"  pairs       of a fault and a crash behind it\n" +
			"  images      disks that these may leave; what no recovery reads stays open, so one stands for many\n" +
			"  exact       whether nothing was left out, or what was\n\n" +
			"What is broken is printed with a plan that untorn-sim replay breaks in the same way; the plan of the first\n" +
			"failure of each invariant, on each plan and disk, is made small.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Values: map[string]command.Values{
			"scenario": {Words: scenarios.Names()},
			"disk":     diskNames(),
		},
		Examples: []command.Example{
			{Line: "untorn-sim errors --disk ext4", Says: "every fault in two small plans"},
			{Line: "untorn-sim errors --scenario mixed --seed 7 --ops 50 -v", Says: "fifty operations of what a seed draws, and all faults by name"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var r errorsRun
			flags.StringVar(&r.scenario, "scenario", "", "`name` of the scenario that draws the plan from --seed")
			flags.Uint64Var(&r.seed, "seed", 1, "`number` that the plan is drawn from")
			flags.StringVar(&r.file, "plan", "", "`file` with the plan")
			flags.StringVar(&r.disk, "disk", "", "`names`, separated by commas, or all; empty: posix, or what the plan says")
			flags.IntVar(&r.operations, "ops", 0, "make so `many` operations fail; 0: as the plan says, or "+strconv.Itoa(scenarios.ErrorOperations))
			flags.IntVar(&r.config.Images, "images", 0, "so `many` images behind each fault; 0: all")
			flags.IntVar(&r.config.Workers, "jobs", 0, "so `many` faults at once; 0: one for each processor")
			flags.StringVar(&r.plans, "plans", "failures", "`directory` for the plans of what fails")
			flags.BoolVar(&r.verbose, "v", false, "list every fault")
			r.form.flag(flags)
			flags.BoolVar(&r.json, "json", false, "one JSON object for each plan and disk; failures go to stderr")
			return func(e *command.Env) error {
				r.given, r.flags = command.Given(flags), flags
				return r.run(e)
			}
		},
	}
}

type errorsRun struct {
	given                       map[string]bool
	flags                       *flag.FlagSet
	left                        string // disks that are not done
	scenario, file, disk, plans string
	seed                        uint64
	operations                  int
	verbose, json               bool
	form                        form
	config                      scenarios.Config
	saved                       int
	violated                    int
}

func (r *errorsRun) run(e *command.Env) error {
	if err := r.form.check(r.json); err != nil {
		return err
	}
	if r.operations < 0 || r.config.Images < 0 || r.config.Workers < 0 {
		return command.Usage("--ops, --images and --jobs are 0 or more")
	}
	list, err := r.list()
	if err != nil {
		return err
	}
	for i, p := range list {
		r.left = disksOf(list[i:])
		if err := r.one(e, p); err != nil {
			if e.Ctx.Err() != nil { // what was found so far is told
				err = errors.Join(err, r.form.end(e, "errors"))
			}
			return err
		}
	}
	if err := r.form.end(e, "errors"); err != nil {
		return err
	}
	if r.violated > 0 {
		return command.Fail(exitWrong, "violations: %d, see above; plans are in %s, untorn-sim replay PLAN runs one again", r.violated, r.plans)
	}
	return nil
}

// list is the plans, each on each disk.
func (r *errorsRun) list() (list []*plan.Plan, err error) {
	if r.given["seed"] && !r.given["scenario"] && !r.given["plan"] {
		return nil, command.Usage("--seed %d without --scenario: name the scenario that it draws", r.seed)
	}
	if r.scenario != "" && r.seed == 0 {
		return nil, command.Usage("seed 0: seeds begin at 1")
	}
	w := workload{given: r.given, file: r.file, scenario: r.scenario, seed: r.seed, disk: r.disk, plain: scenarios.ErrorPlans}
	if list, err = w.plans(); err != nil {
		return nil, err
	}
	if r.operations > 0 {
		for _, p := range list {
			p.Set("operations", strconv.Itoa(r.operations))
		}
	}
	return list, nil
}

func (r *errorsRun) one(e *command.Env, p *plan.Plan) error {
	began := time.Now()
	end := watched(e, p, &r.config, "faults")
	report, err := scenarios.Errors(e.Ctx, p, r.config)
	end()
	if err != nil && e.Ctx.Err() == nil {
		return command.Usage("%w%s", err, planHint(r.file))
	}
	seconds := time.Since(began).Seconds()
	r.violated += report.Violated
	out := errorsObject(&report, seconds)
	if report.Scenario == "" { // interrupted before anything was tried
		return r.interrupted(e, &report)
	}
	if !r.json {
		r.print(e, &report, seconds)
	}
	end = watched(e, p, &r.config, "runs")
	failures := replay.ErrorFailures(e.Ctx, &report, r.config)
	end()
	test := card.Case{
		Class: "untorn-sim.errors", Name: report.Scenario + " on " + report.Disk, Seconds: seconds,
		Properties: []card.Property{{Name: "faults", Value: strconv.Itoa(report.Fired)}, {Name: "pairs", Value: strconv.Itoa(report.Pairs)}, {Name: "digest", Value: report.Digest}},
	}
	if p.Seed != 0 {
		test.Name += fmt.Sprintf(", seed %d", p.Seed)
	}
	if len(failures) > 0 {
		fmt.Fprintln(r.form.texts(e))
	}
	for i := range report.Faults {
		f := &report.Faults[i]
		for k := range f.Violations {
			r.saved++
			failure := failures[0]
			failures = failures[1:]
			failure.File, err = replay.SaveAs(r.plans, fmt.Sprintf("errors-%s-%s-%d.plan", report.Scenario, report.Disk, r.saved), failure.Plan)
			if err != nil {
				return fmt.Errorf("%w: name another directory with --plans", err)
			}
			out.Faults[i].Violations[k].Plan = failure.File
			failure.Notes = append(failure.Notes, card.Note{Name: "fault", Text: f.Fault + ": what it was found with"})
			r.form.show(e, failure.Card())
			test.Cards = append(test.Cards, failure.Card())
		}
	}
	r.form.add(test)
	if r.json {
		err = e.Object(out)
	} else {
		err = e.Stdout.Flush()
	}
	if e.Ctx.Err() != nil {
		return errors.Join(r.interrupted(e, &report), err)
	}
	return err
}

// interrupted says what is left to do, and how.
func (r *errorsRun) interrupted(e *command.Env, report *scenarios.ErrorReport) error {
	violated := ""
	if r.violated > 0 {
		violated = fmt.Sprintf("; violations so far: %d, see above, plans are in %s", r.violated, r.plans)
	}
	return interrupted(again(e, r.flags, nil, "disk", r.left), "%d of %d faults were tried on %s%s", len(report.Faults), len(report.Faults)+report.Skipped,
		cmp.Or(report.Disk, "the first disk"), violated)
}

func (r *errorsRun) print(e *command.Env, report *scenarios.ErrorReport, seconds float64) {
	w := r.form.texts(e)
	fmt.Fprintf(w, "%s on %s: %d operations, %d faults, %d happened, %d pairs of fault and crash, %d images, %s, %s, %.1f s\n",
		report.Scenario, report.Disk, report.Operations, len(report.Faults), report.Fired, report.Pairs, report.Images,
		exactly(report.Exact), command.Count(report.Violated, "violation", "violations"), seconds)
	if report.Why != "" {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(report.Why, "\n", "\n  "))
	}
	if !r.verbose {
		return
	}
	for _, f := range report.Faults {
		if !f.Fired {
			fmt.Fprintf(w, "  %s: did not happen: %s\n", f.Fault, f.Why)
			continue
		}
		fmt.Fprintf(w, "  %s: %s, %d images, %s, %s\n", f.Fault, command.Count(f.CrashPoints, "crash point", "crash points"), f.Images, exactly(f.Exact), command.Count(f.Violated, "violation", "violations"))
	}
}

func exactly(exact bool) string {
	if exact {
		return "exact"
	}
	return "not exact"
}

// The JSON of an error exploration.
type (
	errorsJSON struct {
		Scenario   string       `json:"scenario"`
		Disk       string       `json:"disk"`
		Seed       uint64       `json:"seed"`
		Operations int          `json:"operations"`
		LeftOut    int          `json:"left_out"`
		Tried      int          `json:"faults_tried"`
		Fired      int          `json:"faults_fired"`
		Pairs      int          `json:"pairs"`
		Images     int          `json:"images"`
		Recoveries int          `json:"recoveries"`
		Exact      bool         `json:"exact"`
		Why        string       `json:"why"`
		Violated   int          `json:"violated"`
		Digest     string       `json:"digest"`
		Seconds    json.Number  `json:"seconds"`
		Faults     []errorFault `json:"faults"`
	}
	errorFault struct {
		Fault       string           `json:"fault"`
		Fired       bool             `json:"fired"`
		Why         string           `json:"why"` // it did not fire
		CrashPoints int              `json:"crash_points"`
		Images      int              `json:"images"`
		Exact       bool             `json:"exact"`
		Inexact     string           `json:"inexact"`
		Violated    int              `json:"violated"`
		Violations  []errorViolation `json:"violations"`
	}
	errorViolation struct {
		Invariant string   `json:"invariant"`
		Step      int      `json:"step"`
		Error     string   `json:"error"`
		Crashes   []string `json:"crashes"`
		Plan      string   `json:"plan"` // its file; small where it is the first of its invariant
	}
)

func errorsObject(r *scenarios.ErrorReport, seconds float64) errorsJSON {
	out := errorsJSON{
		Scenario: r.Scenario, Disk: r.Disk, Seed: r.Seed, Operations: r.Operations, LeftOut: r.LeftOut,
		Tried: len(r.Faults), Fired: r.Fired, Pairs: r.Pairs, Images: r.Images, Recoveries: r.Recoveries,
		Exact: r.Exact, Why: r.Why, Violated: r.Violated, Digest: r.Digest,
		Seconds: json.Number(strconv.FormatFloat(seconds, 'f', 3, 64)), Faults: []errorFault{},
	}
	for _, f := range r.Faults {
		row := errorFault{
			Fault: f.Fault, Fired: f.Fired, Why: f.Why, CrashPoints: f.CrashPoints, Images: f.Images,
			Exact: f.Exact, Inexact: f.Inexact, Violated: f.Violated, Violations: []errorViolation{},
		}
		for _, v := range f.Violations {
			row.Violations = append(row.Violations, errorViolation{
				Invariant: v.Invariant, Step: v.Step, Error: v.Err.Error(), Crashes: slices.Concat([]string{}, v.Plan.Crashes),
			})
		}
		out.Faults = append(out.Faults, row)
	}
	return out
}
