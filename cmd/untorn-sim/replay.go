package main

import (
	"errors"
	"flag"
	"fmt"
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

func replayCommand() command.Command {
	return command.Command{
		Name: "replay", Operands: "(SEED|PLAN)", Short: "run a seed or a plan file again, twice",
		Long: "A seed is replayed in every scenario on posix, unless --scenario and --disk say where; a plan file says\n" +
			"that itself. A plan with crash lines takes these crashes; without, every crash is explored, and what is found\n" +
			"is saved as a plan with its crash lines. Where the plan holds digests, the first step whose digest differs\n" +
			"is printed. To change a plan, delete its digest lines, its crash lines and what steps you like: the others\n" +
			"mean the same; untorn-sim shrink makes it small.\n\n" +
			"How to read a failure:\n\n" +
			"  promise   what must always hold, and does not\n" +
			"  cause     why, as far as the runs have shown it: what was lost, who wrote it, which sync had not come\n" +
			"  else      what decides besides, and what happens where nothing of it is lost\n" +
			"  plan      the steps, up to the one that it came in; > those that decide, ! crashes and faults\n" +
			"  promised  the last event that had to be there, why, and what became of the last calls\n" +
			"  shown     what the log showed instead; expected and found are the first difference\n" +
			"  replay    a line to paste that does the same again; report draws it, trace lists all that happened\n\n" +
			"A call is an append of the workload, counted from 1, a retry being one; its items count from 0. A plan\n" +
			"has the steps, and each crash as a line:\n\n" +
			"  crash power op=11 notes=7 prefix=9 ~size:log/1.seg#5=truncate@6\n" +
			"  crash kill op=4 notes=0          the next crash, of the log that was opened after the first\n\n" +
			"  power, kill   the power failed; the process was killed, which loses no write\n" +
			"  op=11         before the run's file operation 11, the first being 0; end: behind the last;\n" +
			"                op=11+3: inside it, a write, behind 3 of its sectors\n" +
			"  notes=7       so many calls had begun, been answered or read something\n" +
			"  prefix=9      of what no sync had made durable, only operations before 9 had reached the disk\n" +
			"  ~size:…@6     but the size of that file (inode 5) is what truncate, operation 6, had made it;\n" +
			"                cell: is a sector of a file, name: an entry of a directory, durable: as last synced\n\n" +
			"With clients the promise may be I12: what they saw fits no order of their calls. Then found is all of\n" +
			"them: \"2–8 client 1: append s\" was at work from moment 2 to moment 8 of the history. page names a file\n" +
			"for a browser, which draws them.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitDiffer, exitBudget},
		Values: map[string]command.Values{
			"scenario": scenarioNames(),
			"disk":     {Words: simfs.PresetNames()},
		},
		Examples: []command.Example{
			{Line: "untorn-sim replay 42 --scenario batch --disk posix", Says: "one seed, with every crash"},
			{Line: "untorn-sim replay failures/batch-posix-42-I1.plan -v", Says: "what a run has found, step by step"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var r replayer
			flags.StringVar(&r.scenario, "scenario", "", "`names` of the seed's scenarios, separated by commas, or all")
			flags.StringVar(&r.disk, "disk", "", "`name` of the disk; a plan that is to run on another one must not hold digests")
			flags.IntVar(&r.config.Images, "images", 0, "so `many` images; 0: as the plan or the scenario says")
			flags.IntVar(&r.config.Workers, "jobs", 0, "so `many` recoveries at once; 0: one for each processor")
			flags.StringVar(&r.plansDir, "plans", "failures", "`directory` for a plan with the crash lines of a crash that was found")
			flags.BoolVar(&r.verbose, "v", false, "print every step and its digest")
			flags.BoolVar(&r.json, "json", false, "one JSON object for each replay")
			r.form.flag(flags)
			return func(e *command.Env) error {
				r.flags = flags
				return r.run(e)
			}
		},
	}
}

type replayer struct {
	scenario, disk string
	plansDir       string
	verbose, json  bool
	form           form
	config         scenarios.Config
	flags          *flag.FlagSet
	left           []string // scenarios of a seed that are not done
	failed         int
	twice          bool
	recorded       bool
}

func (r *replayer) run(e *command.Env) error {
	if e.Operand() == "" {
		return command.Incomplete("no SEED or PLAN: untorn-sim replay 42 --scenario batch runs a seed")
	}
	if err := r.form.check(r.json); err != nil {
		return err
	}
	if r.config.Images < 0 || r.config.Workers < 0 {
		return command.Usage("--images and --jobs are 0 or more")
	}
	if problem := replay.DiskProblem(r.disk); r.disk != "" && problem != "" {
		return command.Usage("%s", problem)
	}
	plans, file, err := r.plans(e.Operand())
	if err != nil {
		return err
	}
	for i, p := range plans {
		r.left = nil
		for _, later := range plans[i:] {
			r.left = append(r.left, later.Scenario)
		}
		if len(p.Crashes) > 0 && r.config.Images > 0 {
			return command.Usage("--images %d, but %s has crash lines, which leave one image: delete them to explore every crash", r.config.Images, file)
		}
		if err := r.replay(e, p, file); err != nil {
			if e.Ctx.Err() != nil { // what was found so far is told
				err = errors.Join(err, r.form.end(e, "replay"))
			}
			return err
		}
	}
	if err := r.form.end(e, "replay"); err != nil {
		return err
	}
	switch {
	case r.twice:
		return command.Fail(exitDiffer, "not deterministic: two runs of one plan differ, see above")
	case r.failed > 0:
		return command.Fail(exitWrong, "violations: see above")
	case r.recorded:
		return command.Fail(exitDiffer, "the digests in %s differ: the plan or the code has changed since; delete its digest lines to go on without", file)
	}
	return nil
}

// plans is what the argument stands for; file is "" for a seed.
func (r *replayer) plans(arg string) (plans []*plan.Plan, file string, err error) {
	seed, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		p, err := r.load(arg)
		return []*plan.Plan{p}, arg, err
	}
	if seed == 0 {
		return nil, "", command.Usage("seed 0: seeds begin at 1")
	}
	names := scenarios.Names()
	if r.scenario != "" && r.scenario != "all" {
		names = words(r.scenario)
	}
	disk := r.disk
	if disk == "" {
		disk = "posix"
	}
	for _, name := range names {
		p, err := scenarios.Draw(name, disk, seed)
		if err != nil {
			return nil, "", command.Usage("no scenario %q: use %s", name, strings.Join(scenarios.Names(), ", "))
		}
		plans = append(plans, p)
	}
	return plans, "", nil
}

func (r *replayer) load(path string) (*plan.Plan, error) {
	p, err := replay.Load(path)
	if err != nil {
		return nil, command.Usage("%w: want a seed, or a plan that untorn-sim run has saved", err)
	}
	if r.scenario != "" && r.scenario != p.Scenario {
		return nil, command.Usage("--scenario %s, but %s is a plan of %s: leave the flag out", r.scenario, path, p.Scenario)
	}
	if r.disk != "" && r.disk != p.Disk {
		if len(p.Digests) > 0 {
			return nil, command.Usage("--disk %s, but %s holds the digests of a run on %s: delete its digest lines", r.disk, path, p.Disk)
		}
		p.Disk = r.disk
	}
	return p, nil
}

// replayed is the JSON of a replay.
type replayed struct {
	Scenario      string          `json:"scenario"`
	Disk          string          `json:"disk"`
	Seed          uint64          `json:"seed"`
	Steps         int             `json:"steps"`
	CrashPoints   int             `json:"crash_points"`
	Images        int             `json:"images"`
	ImagesUnique  int             `json:"images_unique"`
	Recoveries    int             `json:"recoveries"`
	FaultsFired   []string        `json:"faults_fired"`
	FaultsUnmet   []string        `json:"faults_unmet"`
	Violations    []brokenPromise `json:"violations"`
	Digest        string          `json:"digest"`
	Digests       []stepDigest    `json:"digests"`
	Deterministic bool            `json:"deterministic"`
	Differs       string          `json:"differs"` // from the digests in the plan; "" if nowhere
}

// brokenPromise is a violation with what its card may have no room for.
type brokenPromise struct {
	replay.Violation
	Cause    string   `json:"cause"`
	Else     string   `json:"else"`
	Promised []string `json:"promised"`
	Shown    []string `json:"shown"`
}

type stepDigest struct {
	Step   int    `json:"step"`
	Digest string `json:"digest"`
}

func (r *replayer) replay(e *command.Env, p *plan.Plan, file string) error {
	end := watched(e, p, &r.config, "")
	o, err := replay.Replay(e.Ctx, p, r.config)
	end()
	if err != nil {
		if e.Ctx.Err() != nil {
			failed := ""
			if r.failed > 0 {
				failed = "; violations so far: see above"
			}
			if file != "" {
				return interrupted(again(e, r.flags, e.Operands, "", ""), "%s was not run to the end%s", file, failed)
			}
			left := strings.Join(r.left, ",")
			return interrupted(again(e, r.flags, e.Operands, "scenario", left), "not run to the end in %s%s", left, failed)
		}
		var misfit *explore.PathError
		if errors.As(err, &misfit) {
			lines := "crash lines"
			if len(p.Digests) > 0 {
				lines = "crash and digest lines"
			}
			return command.Usage("%w: the plan or the code has changed: delete the %s of %s to explore every crash", err, lines, file)
		}
		return command.Usage("%w%s", err, planHint(file))
	}
	for i := range o.Failures {
		f := &o.Failures[i]
		f.File = file
		if len(f.Plan.Crashes) > 0 && len(p.Crashes) == 0 { // found by exploring
			if err = f.Save(r.plansDir, file); err != nil {
				return fmt.Errorf("%w: name another directory with --plans", err)
			}
		}
	}
	r.failed += len(o.Failures)
	r.twice = r.twice || o.Twice != nil
	r.recorded = r.recorded || o.Recorded != nil
	if r.json {
		return e.Object(object(o))
	}
	r.print(e, p, o, file)
	r.form.add(r.test(p, file, o))
	return nil
}

// test is a replay for the XML.
func (r *replayer) test(p *plan.Plan, file string, o replay.Outcome) card.Case {
	c := card.Case{
		Class: "untorn-sim.replay", Name: o.Result.Scenario + " on " + o.Result.Disk, Cards: cards(o.Failures),
		Properties: []card.Property{{Name: "digest", Value: o.Result.Digest}, {Name: "recoveries", Value: strconv.Itoa(o.Result.Recoveries)}},
	}
	if p.Seed != 0 {
		c.Name += fmt.Sprintf(", seed %d", p.Seed)
	}
	if file != "" {
		c.Name += ": " + file
	}
	if o.Twice != nil {
		c.Problems = append(c.Problems, "not deterministic: a second run differs, "+o.Twice.String())
	}
	if o.Recorded != nil {
		c.Problems = append(c.Problems, "differs from the digests in the plan: "+o.Recorded.String())
	}
	return c
}

func planHint(file string) string {
	if file == "" {
		return ""
	}
	return ": correct " + file
}

func object(o replay.Outcome) replayed {
	row := replay.Row{Failures: o.Failures}
	row.Describe()
	r := o.Result
	out := replayed{
		Scenario: r.Scenario, Disk: r.Disk, Seed: r.Seed, Steps: r.Steps, CrashPoints: r.CrashPoints,
		Images: r.Images, ImagesUnique: r.ImagesUnique, Recoveries: r.Recoveries,
		FaultsFired: append([]string{}, r.FaultsFired...), FaultsUnmet: append([]string{}, r.NotFired...),
		Violations: []brokenPromise{}, Digest: r.Digest, Digests: []stepDigest{}, Deterministic: o.Twice == nil,
	}
	for i := range o.Failures {
		c := o.Failures[i].Card()
		out.Violations = append(out.Violations, brokenPromise{row.Violations[i], c.Cause, c.Else, append([]string{}, c.Promised...), append([]string{}, c.Shown...)})
	}
	for _, d := range r.Digests {
		out.Digests = append(out.Digests, stepDigest{d.Step, fmt.Sprintf("%016x", d.Sum)})
	}
	if o.Recorded != nil {
		out.Differs = o.Recorded.String()
	}
	return out
}

func (r *replayer) print(e *command.Env, p *plan.Plan, o replay.Outcome, file string) {
	w, result := r.form.texts(e), o.Result
	fmt.Fprintf(w, "%s on %s", result.Scenario, result.Disk)
	if result.Seed != 0 {
		fmt.Fprintf(w, ", seed %d", result.Seed)
	}
	fmt.Fprintf(w, ": %s, ", command.Count(result.Steps, "step", "steps"))
	if len(p.Crashes) > 0 {
		fmt.Fprintf(w, "the %s of the plan\n", command.Count(len(p.Crashes), "crash line", "crash lines"))
	} else {
		fmt.Fprintf(w, "%s, %d images, %d recoveries\n", command.Count(result.CrashPoints, "crash point", "crash points"), result.Images, result.Recoveries)
		switch {
		case result.Why == "":
		case r.verbose:
			fmt.Fprintf(w, "  not every image was tried: %s\n", strings.ReplaceAll(result.Why, "\n", "\n    "))
		default:
			fmt.Fprint(w, "  not every image was tried: -v says which\n")
		}
	}
	if r.verbose {
		for _, d := range result.Digests {
			step, _ := p.Step(d.Step)
			fmt.Fprintf(w, "  %016x  %s\n", d.Sum, step)
		}
	}
	for _, f := range result.FaultsFired {
		fmt.Fprintf(w, "  fault fired: %s\n", f)
	}
	for _, f := range result.NotFired {
		fmt.Fprintf(w, "  fault not fired: %s\n", f)
	}
	if o.Twice != nil {
		fmt.Fprintf(w, "  NOT DETERMINISTIC: a second run differs, %s\n", o.Twice)
		if again := file + " " + file; o.Twice.Step > 0 {
			if file == "" {
				again = fmt.Sprintf("%d %d --scenario %s --disk %s", p.Seed, p.Seed, p.Scenario, result.Disk)
			}
			fmt.Fprintf(w, "  next: untorn-sim diff %s\n", again)
		}
	} else {
		fmt.Fprintf(w, "  digest %s, the same when run twice\n", result.Digest)
	}
	switch {
	case o.Recorded != nil:
		fmt.Fprintf(w, "  differs from the digests in the plan: %s\n", o.Recorded)
		if o.Recorded.Step > 0 {
			fmt.Fprintf(w, "  next: untorn-sim trace %s --json -o there.jsonl, where it ran as the plan says; then here\n"+
				"        untorn-sim diff there.jsonl %s\n", file, file)
		}
	case len(p.Digests) > 0:
		fmt.Fprintf(w, "  as the digests in the plan say\n")
	}
	if len(o.Failures) > 0 {
		fmt.Fprintln(w)
	}
	for i := range o.Failures {
		r.form.show(e, o.Failures[i].Card())
	}
	if len(o.Failures) == 0 {
		tried := fmt.Sprintf("in %s; more are tried with --images", command.Count(result.Recoveries, "recovery", "recoveries"))
		switch {
		case len(p.Crashes) > 0:
			tried = "behind the crashes of the plan"
		case result.Exact:
			tried = "behind every crash"
		}
		if p.Invariant != "" {
			fmt.Fprintf(w, "  %s, which failed once, holds %s\n", p.Invariant, tried)
		} else {
			fmt.Fprintf(w, "  no promise was broken %s\n", tried)
		}
	}
}
