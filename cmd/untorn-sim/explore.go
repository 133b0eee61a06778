package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

func exploreCommand() command.Command {
	return command.Command{
		Name: "explore", Short: "search every crash of one workload to the end, with a certificate",
		Long: "Runs a workload once, and recovers from every disk that a crash could leave, at every moment that can\n" +
			"make a difference. What a disk holds is decided when the recovery first reads it: one run stands for all\n" +
			"disks that differ only in what it never read. So the search ends, and the certificate says so.\n\n" +
			"The workload is a log that is opened and gets one batch of --events events of --size bytes; with\n" +
			"--seed what that seed draws for --scenario; with --plan a plan from a file.\n\n" +
			"  crash points  moments at which the power goes or the process is killed, in recoveries too\n" +
			"  leaves        recoveries that were run, each to its end\n" +
			"  images        disks that these stand for, as a power of 2\n" +
			"  exact         every image of every crash point was covered; or why not, and which line of the\n" +
			"                program reads more than it needs\n" +
			"  certificate   a hash over all choices and outcomes: the same for everybody\n\n" +
			"--depth 2 lets the power fail or the process be killed in the recovery from the crash, too; the power\n" +
			"loss behind the recovery from a process kill is always tried and not counted. With fixpoint the power\n" +
			"fails in recovery after recovery until no new disk appears.\n\n" +
			"--check FILE computes what a file of --json says again, and compares: exit code 3 where one does not hold.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitDiffer, exitBudget},
		Values: map[string]command.Values{
			"scenario": {Words: scenarios.Names()},
			"disk":     diskNames(),
			"kinds":    {Words: []string{"power", "kill", "reopen"}, List: true},
			"depth":    {Words: []string{"1", "2", "fixpoint"}},
			"garbage":  {Words: []string{"zero", "zero+garbage", "zero+stale", "zero+garbage+stale"}},
		},
		Examples: []command.Example{
			{Line: "untorn-sim explore --events 2", Says: "every crash of one batch of two events"},
			{Line: "untorn-sim explore --disk all --depth 2 --json >certificates.json", Says: "on every disk, with crashes of the recovery, for others to check"},
			{Line: "untorn-sim explore --check certificates.json", Says: "compute again what they say"},
			{Line: "untorn-sim explore --plan failures/batch-posix-42-I1.plan --disk ext4", Says: "the workload of a plan, on another disk"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var x exploration
			flags.StringVar(&x.scenario, "scenario", "batch", "`name` of the workload")
			flags.IntVar(&x.events, "events", 5, "so `many` events in the batch")
			flags.IntVar(&x.size, "size", 100, "`bytes` of each event")
			flags.Uint64Var(&x.seed, "seed", 0, "take the workload that this `number` draws; 0: the single batch")
			flags.StringVar(&x.file, "plan", "", "take the workload from a `file`")
			flags.StringVar(&x.disk, "disk", "", "`names`, separated by commas, or all; empty: posix, or what the plan says")
			flags.StringVar(&x.depth, "depth", "1", "so many crashes in a row, 1 to "+strconv.Itoa(explore.MaxDepth+1)+", or fixpoint: a `number`")
			flags.StringVar(&x.kinds, "kinds", "power,kill,reopen", "`kinds` of crashes, separated by commas")
			flags.StringVar(&x.garbage, "garbage", "zero+garbage+stale", "`alphabet` of what was never written: zero, and perhaps +garbage, +stale or both")
			flags.BoolVar(&x.points, "all-points", false, "crash before every operation, also where that adds no disk")
			flags.IntVar(&x.leaves, "leaves", 0, "give up on a crash point after so `many` runs, and sample it; 0: 65536")
			flags.IntVar(&x.config.Workers, "jobs", 0, "so `many` recoveries at once; 0: one for each processor")
			flags.StringVar(&x.plans, "plans", "failures", "`directory` for the plans of what fails")
			x.form.flag(flags)
			flags.BoolVar(&x.json, "json", false, "one JSON object for each disk; failures go to stderr")
			flags.StringVar(&x.check, "check", "", "`file` of --json to compute again")
			return func(e *command.Env) error {
				x.flags = flags
				return x.run(e, command.Given(flags))
			}
		},
	}
}

type exploration struct {
	scenario, file, disk, depth, kinds, garbage, plans, check string
	events, size, leaves                                      int
	seed                                                      uint64
	points, json                                              bool
	form                                                      form
	config                                                    scenarios.Config
	violated                                                  int
	flags                                                     *flag.FlagSet
	left                                                      string // disks that are not done
}

func (x *exploration) run(e *command.Env, given map[string]bool) error {
	if err := x.form.check(x.json); err != nil {
		return err
	}
	if x.config.Workers < 0 || x.leaves < 0 {
		return command.Usage("--jobs and --leaves are 0 or more")
	}
	if given["check"] {
		return x.verify(e, given)
	}
	list, err := x.list(given)
	if err != nil {
		return err
	}
	for i, p := range list {
		x.left = disksOf(list[i:])
		if err := x.one(e, p); err != nil {
			if e.Ctx.Err() != nil { // what was found so far is told
				err = errors.Join(err, x.form.end(e, "explore"))
			}
			return err
		}
	}
	if err := x.form.end(e, "explore"); err != nil {
		return err
	}
	if x.violated > 0 {
		return command.Fail(exitWrong, "violations: %d, see above; plans are in %s, untorn-sim replay PLAN runs one again", x.violated, x.plans)
	}
	return nil
}

// list is the workload on each disk.
func (x *exploration) list(given map[string]bool) (list []*plan.Plan, err error) {
	drawn := given["plan"] || x.seed != 0
	switch {
	case drawn && (given["events"] || given["size"]):
		return nil, command.Usage("--events and --size are for the single batch: leave --seed and --plan out")
	case !drawn && x.scenario != "batch":
		return nil, command.Usage("--scenario %s is drawn from a seed: give --seed 1, say", x.scenario)
	case !drawn && (x.events < 1 || x.events > 4096):
		return nil, command.Usage("--events %d: want 1 to 4096", x.events)
	case !drawn && (x.size < 0 || x.size > 1<<20):
		return nil, command.Usage("--size %d: want 0 to %d bytes", x.size, 1<<20)
	}
	w := workload{given: given, file: x.file, disk: x.disk, plain: func(disk string) []*plan.Plan {
		return []*plan.Plan{scenarios.Plain(disk, x.events, x.size)}
	}}
	if x.seed != 0 {
		w.scenario, w.seed = x.scenario, x.seed
	}
	if list, err = w.plans(); err != nil {
		return nil, err
	}
	for _, p := range list {
		if err := x.set(p, given); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// set puts the flags into a plan, whose own settings count where a flag was not
// given.
func (x *exploration) set(p *plan.Plan, given map[string]bool) error {
	put := func(flag, key, value string) {
		if _, has := p.Setting(key); given[flag] || !has {
			p.Set(key, value)
		}
	}
	depth := x.depth
	if depth != "fixpoint" {
		n, err := strconv.Atoi(depth)
		if err != nil || n < 1 || n > explore.MaxDepth+1 {
			return command.Usage("--depth %s: want a number of crashes from 1 to %d, or fixpoint", depth, explore.MaxDepth+1)
		}
		depth = strconv.Itoa(n - 1)
	}
	if _, err := scenarios.ParseKinds(x.kinds); err != nil {
		return command.Usage("--%w", err)
	}
	garbage, err := simfs.ParseGarbage(x.garbage, 0)
	if err != nil {
		return command.Usage("--%s", strings.TrimPrefix(err.Error(), "simfs: "))
	}
	put("depth", "depth", depth)
	put("kinds", "kinds", x.kinds)
	put("garbage", "garbage", garbage.String())
	put("all-points", "allpoints", strconv.FormatBool(x.points))
	if _, has := p.Setting("leaves"); x.leaves > 0 || given["leaves"] && has {
		p.Set("leaves", strconv.Itoa(x.leaves))
	}
	return nil
}

func (x *exploration) one(e *command.Env, p *plan.Plan) error {
	end := watched(e, p, &x.config, "")
	found, err := replay.Explore(e.Ctx, p, x.config)
	end()
	stopped := err != nil && e.Ctx.Err() != nil
	if stopped && found.Scenario == "" {
		return x.failed(e, err)
	}
	if err != nil && !stopped {
		return x.failed(e, err)
	}
	x.violated += found.Violated
	from := x.file
	if from == "" {
		from = fmt.Sprintf("batch-%dx%d", x.events, x.size)
	}
	for i := range found.Failures {
		f := &found.Failures[i]
		err = f.Save(x.plans, from)
		x.form.show(e, f.Card())
		if err != nil {
			return fmt.Errorf("%w: name another directory with --plans; this is the plan: %q", err, f.Plan.Format())
		}
	}
	found.Describe()
	switch {
	case stopped && x.json: // a line has a certificate
		e.Note("%s", x.sofar(&found))
	case stopped:
		fmt.Fprintf(x.form.texts(e), "%s, %s, on %s: interrupted\n  so far        %s\n", found.Scenario, command.Count(found.Events, "event", "events"), found.Disk, x.sofar(&found))
	case x.json:
		return e.Object(found)
	default:
		printExploration(x.form.texts(e), &found)
	}
	seconds, _ := found.Seconds.Float64()
	x.form.add(card.Case{
		Class: "untorn-sim.explore", Name: found.Scenario + " on " + found.Disk, Seconds: seconds, Cards: cards(found.Failures),
		Properties: []card.Property{{Name: "leaves", Value: strconv.Itoa(found.Leaves)}, {Name: "exact", Value: strconv.FormatBool(found.Exact)}, {Name: "certificate", Value: found.Certificate}},
	})
	if err := e.Stdout.Flush(); err != nil || !stopped {
		return err
	}
	return x.failed(e, e.Ctx.Err())
}

// sofar is what an exploration came to that was interrupted.
func (x *exploration) sofar(found *replay.Exploration) string {
	return fmt.Sprintf("%s, %s, %s; nothing is certified of %s", command.Count(found.CrashPoints, "crash point", "crash points"),
		command.Count(found.Recoveries, "run", "runs"), command.Count(found.Violated, "violation", "violations"), found.Disk)
}

// disksOf lists the disks of plans, each once.
func disksOf(list []*plan.Plan) string {
	var disks []string
	for _, p := range list {
		if disk := cmp.Or(p.Disk, "posix"); !slices.Contains(disks, disk) {
			disks = append(disks, disk)
		}
	}
	return strings.Join(disks, ",")
}

func printExploration(w io.Writer, x *replay.Exploration) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	depth, powersafe, most := command.Count(x.Depth, "crash", "crashes")+" in a row", "powersafe overwrite", ""
	if x.Depth != 1 {
		depth = strconv.Itoa(x.Depth) + " crashes in a row"
	}
	if x.Fixpoint {
		depth = fmt.Sprintf("to a fixpoint, after %d crashes in a row", x.Depth)
	}
	if !x.Powersafe {
		powersafe = "no powersafe overwrite"
	}
	if x.AtMost {
		most = "at most "
	}
	fmt.Fprintf(w, "%s, %s, on %s\n", x.Scenario, command.Count(x.Events, "event", "events"), x.Disk)
	line("model", "cells of %d bytes; garbage: %s; %s", x.Cell, x.Garbage, powersafe)
	line("crashes", "%s; %s; %s", x.Kinds, x.Points, depth)
	line("crash points", "%d, of which %d are part of another", x.CrashPoints, x.Subsumed)
	line("leaves", "%d of %s, which stand for %s2^%s images", x.Leaves, command.Count(x.Recoveries, "run", "runs"), most, x.Log2)
	if x.Exact {
		line("exact", "yes")
	} else {
		line("exact", "no, bounded: %s", strings.ReplaceAll(x.Why, "\n", "\n                "))
	}
	for _, g := range x.Greedy {
		line("greedy", "%s", g)
	}
	line("violations", "%d", x.Violated)
	line("certificate", "%s", x.Certificate)
	line("seconds", "%s", x.Seconds)
}

// failed says why nothing was found.
func (x *exploration) failed(e *command.Env, err error) error {
	if e.Ctx.Err() != nil {
		if x.check != "" {
			return interrupted(again(e, x.flags, nil, "", ""), "not all of %s was computed again", x.check)
		}
		violated := ""
		if x.violated > 0 {
			violated = fmt.Sprintf("; violations so far: %d, see above, plans are in %s", x.violated, x.plans)
		}
		return interrupted(again(e, x.flags, nil, "disk", x.left), "nothing is certified of %s%s", x.left, violated)
	}
	return command.Usage("%w%s", err, planHint(x.file))
}

// verify is --check.
func (x *exploration) verify(e *command.Env, given map[string]bool) error {
	for name := range given {
		if name != "check" && name != "jobs" && name != "json" {
			return command.Usage("--check takes everything from the file: leave --%s out", name)
		}
	}
	f, err := os.Open(x.check)
	if err != nil {
		return command.Usage("%w", err)
	}
	defer f.Close()
	differ := 0
	x.config.Watch = new(scenarios.Watch)
	end := e.Progress().Watch(func() command.Work { return watchedWork("", x.config.Watch, "") })
	err = replay.Check(e.Ctx, f, x.config, func(want replay.Exploration, differs string) {
		if differs != "" {
			differ++
		}
		if x.json {
			err = errors.Join(err, e.Object(map[string]any{
				"scenario": want.Scenario, "disk": want.Disk, "certificate": want.Certificate, "holds": differs == "", "differs": differs,
			}))
			return
		}
		verdict := "holds"
		if differs != "" {
			verdict = "DOES NOT HOLD: " + differs
		}
		fmt.Fprintf(e.Stdout, "%s on %s: certificate %s %s\n", want.Scenario, want.Disk, want.Certificate, verdict)
	})
	end()
	if err != nil {
		return x.failed(e, err)
	}
	if differ > 0 {
		return command.Fail(exitDiffer, "certificates that do not hold: %d; the file, the code or the machine is not what it was", differ)
	}
	return nil
}
