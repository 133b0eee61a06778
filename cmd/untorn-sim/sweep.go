package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
)

func runCommand() command.Command {
	return command.Command{
		Name: "run", Short: "run seeds, cut the power everywhere, check what is left",
		Long: "Runs the plans in replay/testdata/corpus of the chosen scenarios first, then every seed of every\n" +
			"scenario on every disk. What fails is printed, made small, and its plan saved. A scenario also fails when " +
			strconv.Itoa(replay.ReachSeeds) + "\nseeds never reached what it means to reach; with --strict the run fails when all its seeds, however few,\n" +
			"never reached something that one of its scenarios means to reach. untorn-sim list names the states.\n\n" +
			"The table, for each scenario and disk:\n\n" +
			"  seeds       that were run\n" +
			"  steps       operations of their workloads: an append, a read, a crash, …\n" +
			"  points      moments at which the power could go or the process be killed\n" +
			"  images      disks that this may leave, of those that were tried\n" +
			"  unique      of these, seen for the first time, with what had been promised\n" +
			"  recoveries  logs opened on them and checked; bitrot opens each with several damages\n" +
			"  faults      that were planned, and came\n" +
			"  violations  promises that were broken: 0 is what it should be\n" +
			"  digest      of all that happened: the same seeds give the same one on every machine\n" +
			"  seconds     of work, summed over the jobs\n\n" +
			"A run that is interrupted says what it found so far, and leaves a file that run --resume goes on with: the\n" +
			"table is then that of one run over all seeds, with the same digests. With --state FILE so does a run whose\n" +
			"--time was over.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitDiffer, exitBudget},
		Values: map[string]command.Values{
			"scenario": scenarioNames(),
			"disk":     diskNames(),
		},
		Examples: []command.Example{
			{Line: "untorn-sim run --seeds 1-100 --scenario batch,mixed --disk posix,ext4", Says: "a hundred seeds of two scenarios on two disks"},
			{Line: "untorn-sim run --seeds 1-1000000 --time 10m --json >rows.jsonl", Says: "as many seeds as ten minutes are worth, with the table for a program"},
			{Line: "untorn-sim run --strict --out rows.jsonl", Says: "what must be reached is, or it fails; and the table for a report, too"},
			{Line: "untorn-sim run --resume failures/interrupted.run", Says: "go on with a run that was interrupted"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var r runner
			flags.StringVar(&r.scenario, "scenario", "all", "`names`, separated by commas, or all")
			flags.StringVar(&r.seeds, "seeds", "1-1000", "a `range` such as 1-1000, or one seed")
			flags.StringVar(&r.disk, "disk", "posix", "`names`, separated by commas, or all")
			flags.DurationVar(&r.options.Time, "time", 0, "after this `duration` no new seed begins, and the exit code is 4; 0: no limit")
			flags.IntVar(&r.options.Jobs, "jobs", 0, "so `many` seeds at once; 0: one for each processor")
			flags.IntVar(&r.options.Images, "images", 0, "so `many` images for each seed; 0: as the scenario says")
			flags.IntVar(&r.options.Shrink, "shrink", replay.SweepRuns, "make the first failure of each invariant small, with up to so `many` runs; 0: leave it as it is")
			flags.BoolVar(&r.json, "json", false, "one JSON object for each scenario and disk; all else goes to stderr")
			flags.BoolVar(&r.strict, "strict", false, "fail where something that a scenario means to reach was never reached, with few seeds too")
			flags.StringVar(&r.out, "out", "", "`file` for what --json prints, besides the usual text: for untorn-sim report")
			flags.StringVar(&r.plans, "plans", "failures", "`directory` for the plans of what fails")
			r.form.flag(flags)
			flags.StringVar(&r.state, "state", "", "`file` for what --resume goes on with; empty: "+stateName+" among the plans, where the run is interrupted")
			flags.StringVar(&r.resume, "resume", "", "go on with the run that left this `file`, which says its scenarios, disks, seeds, images and shrink")
			return func(e *command.Env) error {
				r.given, r.flags = command.Given(flags), flags
				return r.run(e)
			}
		},
	}
}

// stateName is the name of the file that an interrupted run leaves.
const stateName = "interrupted.run"

// runner is one run of the command.
type runner struct {
	given                             map[string]bool
	flags                             *flag.FlagSet
	scenario, disk, seeds, plans, out string
	state, resume                     string
	json, strict                      bool
	form                              form
	options                           replay.Options
	failed                            bool
	unstable                          bool
	saved                             int
}

func (r *runner) run(e *command.Env) error {
	if err := r.form.check(r.json); err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	if err := r.corpus(e); e.Ctx.Err() != nil {
		return interrupted(again(e, r.flags, nil, "", ""), "the corpus was not run to the end, and no seed was")
	} else if err != nil {
		return err
	}
	progress := e.Progress()
	r.options.OnProgress = func(now replay.Progress) { progress.Work(now.Elapsed, told(now)) }
	r.options.OnShrink = func(failures int, work *scenarios.Watch) func() {
		of := "making " + command.Count(failures, "failure", "failures") + " small"
		return e.Progress().Watch(func() command.Work { return watchedWork(of, work, "") })
	}
	report, err := replay.Sweep(e.Ctx, r.options)
	progress.End()
	var wrong *replay.OptionsError
	var changed *replay.ChangedError
	switch {
	case errors.As(err, &wrong):
		return command.Usage("%w", err)
	case errors.As(err, &changed):
		return command.Usage("--resume %s: %w", r.resume, err)
	case err != nil && report.Rows == nil && e.Ctx.Err() != nil:
		return interrupted(again(e, r.flags, nil, "", ""), "%s was not gone on with yet", r.resume)
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	}
	if err := r.failures(e, &report); err != nil {
		return err
	}
	if r.json {
		for _, row := range report.Rows {
			if err := e.Object(row); err != nil {
				return err
			}
		}
	} else if !r.form.quiet() {
		if err := table(e.Stdout, &report); err != nil {
			return err
		}
	}
	if err := r.form.end(e, "run", card.Property{Name: "seeds", Value: r.seeds}); err != nil {
		return err
	}
	if r.out != "" {
		if err := replay.SaveRows(r.out, report.Rows); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return r.verdict(e, &report, err != nil)
}

// keep leaves what goes on with the run, and returns the words that say so.
func (r *runner) keep(e *command.Env, report *replay.Report, interrupted bool) (goOn string) {
	path := r.state
	if path == "" && interrupted {
		path = filepath.Join(r.plans, stateName)
		if err := os.MkdirAll(r.plans, 0o755); err != nil {
			return "; nothing is kept to go on with: " + err.Error()
		}
	}
	if path == "" || report.State == nil {
		return ""
	}
	if err := report.State.Save(path); err != nil {
		return "; nothing is kept to go on with: " + err.Error()
	}
	return "; go on with: " + again(e, r.flags, nil, "resume", path, "scenario", "disk", "seeds", "images", "shrink", "state")
}

// read makes the options of the flags.
func (r *runner) read() error {
	if r.given["resume"] {
		return r.goOn()
	}
	if r.scenario != "all" {
		r.options.Scenarios = words(r.scenario)
	} else {
		r.options.Scenarios = scenarios.Names()
	}
	if r.disk == "all" {
		r.options.Disks = simfs.PresetNames()
	} else {
		r.options.Disks = words(r.disk)
	}
	if r.options.Shrink < 0 {
		return command.Usage("--shrink %d: 0 or more", r.options.Shrink)
	}
	if r.options.Shrink == 0 {
		r.options.Shrink = -1
	}
	var err error
	if r.options.Seeds, err = replay.ParseSeeds(r.seeds); err != nil {
		return command.Usage("--%w", err)
	}
	if err := r.options.Check(); err != nil {
		return command.Usage("%w; untorn-sim list shows all", err)
	}
	return r.files()
}

// goOn makes the options of the file that an earlier run has left.
func (r *runner) goOn() error {
	for _, name := range []string{"scenario", "disk", "seeds", "images", "shrink"} {
		if r.given[name] {
			return command.Usage("--resume takes --%s from the file: leave the flag out", name)
		}
	}
	if r.resume == "" {
		return command.Usage("--resume needs the name of a file, which an interrupted run has left")
	}
	state, err := replay.LoadState(r.resume)
	if err != nil {
		return command.Usage("--resume: %w: name the file that an interrupted run has left", err)
	}
	o := state.Options()
	o.Jobs, o.Time = r.options.Jobs, r.options.Time
	r.options = o
	if r.state == "" {
		r.state = r.resume
	}
	if err := r.options.Check(); err != nil {
		return command.Usage("%w", err)
	}
	return r.files()
}

// files refuses files that could not be written at the end.
func (r *runner) files() error {
	if r.given["out"] {
		if err := writable("out", r.out); err != nil {
			return err
		}
	}
	if r.given["state"] {
		return writable("state", r.state)
	}
	return nil
}

// writable refuses a file that could not be written at the end of the work.
func writable(flag, path string) error {
	if path == "" {
		return command.Usage("--%s needs the name of a file", flag)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return command.Usage("--%s %s: that is a directory: name a file in it", flag, path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return command.Usage("--%s %s: there is no directory %s: make it first", flag, path, filepath.Dir(path))
	}
	return nil
}

// corpus runs the plans that have to pass.
func (r *runner) corpus(e *command.Env) error {
	kept, err := replay.Corpus()
	if err != nil {
		return err
	}
	kept = slices.DeleteFunc(kept, func(k replay.Kept) bool { return !slices.Contains(r.options.Scenarios, k.Plan.Scenario) })
	ran := 0
	progress, began := e.Progress(), time.Now()
	defer progress.End()
	for _, k := range kept {
		progress.Work(time.Since(began), command.Work{Done: int64(ran), Total: int64(len(kept)), Units: "plans of the corpus"})
		o, err := k.Run(e.Ctx, scenarios.Config{Workers: r.options.Jobs})
		if err != nil {
			return err
		}
		ran++
		for _, f := range o.Failures {
			r.failed = true
			r.form.show(e, f.Card())
		}
		test := card.Case{Class: "untorn-sim.corpus", Name: k.File, Cards: cards(o.Failures), Properties: []card.Property{{Name: "digest", Value: o.Result.Digest}}}
		if o.Twice != nil {
			r.unstable = true
			what := fmt.Sprintf("not deterministic: two runs differ, %s", o.Twice)
			r.form.problem(e, k.File, what)
			test.Problems = append(test.Problems, what)
		}
		r.form.add(test)
	}
	if !r.form.quiet() && !r.failed && !r.unstable {
		fmt.Fprintf(e.Stdout, "corpus: %d plans pass\n", ran)
	}
	return nil
}

// failures saves and prints what failed.
func (r *runner) failures(e *command.Env, report *replay.Report) error {
	for i := range report.Rows {
		row := &report.Rows[i]
		for j := range row.Failures {
			f := &row.Failures[j]
			if err := f.Save(r.plans, ""); err != nil {
				return fmt.Errorf("%w: name another directory with --plans; %s", err, f.Command())
			}
			r.saved++
		}
		for _, c := range rowCards(row) {
			r.form.show(e, c)
		}
		test := card.Case{Class: "untorn-sim.run", Name: row.Scenario + " on " + row.Disk, Seconds: row.Seconds, Cards: cards(row.Failures), Properties: rowProperties(row)}
		if row.Missed() {
			what := fmt.Sprintf("%d seeds never reached:\n%s", row.Seeds, strings.TrimRight(reached(row.Unreached), "\n"))
			r.form.problem(e, test.Name, what)
			test.Problems = append(test.Problems, what)
		}
		r.form.add(test)
		row.Describe()
	}
	r.missed(e, report)
	return nil
}

// missed says what the whole run never reached.
func (r *runner) missed(e *command.Env, report *replay.Report) {
	names := report.Unreached()
	if len(names) == 0 || !report.Complete {
		return
	}
	verdict := "NOT REACHED in this run, which fails with --strict"
	if r.strict {
		verdict = "FAIL never reached in this run"
	}
	what := verdict + ":\n" + strings.TrimRight(reached(names), "\n")
	if r.strict && r.form.name == "github" {
		r.form.problem(e, "run", what)
	} else {
		fmt.Fprintf(r.form.texts(e), "%s\n\n", what)
	}
	if r.strict {
		r.form.add(card.Case{Class: "untorn-sim.run", Name: "what the whole run reaches", Problems: []string{what}})
	}
}

// reached lists what scenarios mean to reach, with what it is.
func reached(names []string) string {
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "  %s\n", scenarios.Says(name))
	}
	return text.String()
}

// rowProperties are what the XML tells of a row.
func rowProperties(row *replay.Row) []card.Property {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []card.Property{
		{Name: "seeds", Value: number(row.Seeds)}, {Name: "crash_points", Value: number(row.CrashPoints)}, {Name: "images_unique", Value: number(row.ImagesUnique)},
		{Name: "recoveries", Value: number(row.Recoveries)}, {Name: "violated", Value: number(row.Violated)}, {Name: "digest", Value: row.Digest},
	}
}

// rowCards are the first failure of each invariant, and those that do not come each
// time; the first says how many there are, and names the plans of the others.
func rowCards(row *replay.Row) (list []card.Card) {
	shown := map[string]bool{}
	var others []string
	for _, f := range row.Failures {
		if shown[f.Invariant] && f.Unstable == "" {
			others = append(others, f.File)
			continue
		}
		shown[f.Invariant] = true
		list = append(list, f.Card())
	}
	if more := row.Violated - int64(len(row.Failures)); len(list) > 0 && (len(others) > 0 || more > 0) {
		came := fmt.Sprintf("%s on %s has %d violations in all", row.Scenario, row.Disk, row.Violated)
		if len(others) > 0 {
			came += "; more plans: " + strings.Join(others, " ")
		}
		list[0].Came = came
	}
	return list
}

// verdict is the exit code, and why.
func (r *runner) verdict(e *command.Env, report *replay.Report, interrupted bool) error {
	goOn := r.keep(e, report, interrupted)
	plans := goOn
	if r.saved > 0 {
		plans = fmt.Sprintf("; plans are in %s, untorn-sim replay PLAN runs one again%s", r.plans, goOn)
	}
	violated := int64(0)
	for _, row := range report.Rows {
		violated += row.Violated
	}
	switch {
	case r.unstable || !report.Deterministic():
		return command.Fail(exitDiffer, "not deterministic: see what differs above%s", plans)
	case r.failed:
		return command.Fail(exitWrong, "a plan of the corpus fails, and seeds have %s: see above%s", command.Count(int(violated), "violation", "violations"), plans)
	case report.Failed():
		if violated == 0 {
			return command.Fail(exitWrong, "a scenario never reached what it means to reach: see above%s", goOn)
		}
		return command.Fail(exitWrong, "violations: %d, see above%s", violated, plans)
	case r.strict && report.Complete && len(report.Unreached()) > 0:
		return command.Fail(exitWrong, "%s that the scenarios mean to reach never came: see above, and give it more --seeds", command.Count(len(report.Unreached()), "thing", "things"))
	case interrupted:
		return command.Fail(exitBudget, "interrupted: the table counts %s%s", counted(report), goOn)
	case !report.Complete && goOn != "":
		return command.Fail(exitBudget, "the time was over: the table counts %s%s", counted(report), goOn)
	case !report.Complete:
		return command.Fail(exitBudget, "the time was over before all seeds were run: give it more --time, or fewer --seeds")
	}
	return nil
}

// counted is how many seeds a report that is not complete has.
func counted(report *replay.Report) string {
	if report.State == nil {
		return "no seed"
	}
	done, total := report.State.Seeds()
	return fmt.Sprintf("%d of %d seeds", done, total)
}

// table prints the rows and their totals.
func table(w io.Writer, report *replay.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\tdisk\tseeds\tsteps\tpoints\timages\tunique\trecoveries\tfaults\tviolations\tdigest\tseconds\t")
	total := replay.Row{Scenario: "total"}
	line := func(r *replay.Row) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%.1f\t\n", r.Scenario, r.Disk, r.Seeds, r.Steps, r.CrashPoints,
			r.Images, r.ImagesUnique, r.Recoveries, r.FaultsFired, r.Violated, r.Digest[:min(12, len(r.Digest))], r.Seconds)
	}
	for i := range report.Rows {
		r := &report.Rows[i]
		line(r)
		total.Seeds += r.Seeds
		total.Steps += r.Steps
		total.CrashPoints += r.CrashPoints
		total.Images += r.Images
		total.ImagesUnique += r.ImagesUnique
		total.Recoveries += r.Recoveries
		total.FaultsFired += r.FaultsFired
		total.Violated += r.Violated
		total.Seconds += r.Seconds
	}
	line(&total)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d recoveries, %d of images not seen before, %d violations; median workload: %d operations, %d opens; %s, %s, %.0f recoveries a second\n",
		total.Recoveries, total.ImagesUnique, total.Violated, report.MedianSteps, report.MedianOpens,
		report.Elapsed.Round(100*time.Millisecond), command.Count(report.Jobs, "job", "jobs"), float64(total.Recoveries)/max(report.Elapsed.Seconds(), 1e-3))
	return err
}

// told is how far a sweep has come.
func told(now replay.Progress) command.Work {
	return command.Work{Done: now.Done, Total: now.Total, Before: now.Before, Units: "seeds", More: fmt.Sprintf("%d recoveries, %d unique images, %s",
		now.Recoveries, now.ImagesUnique, command.Count(now.Violated, "violation", "violations"))}
}

// watchedWork is what runs of a plan have come to. Where their work has parts, units
// says what these are; of "runs" there are so many at most.
func watchedWork(of string, w *scenarios.Watch, units string) command.Work {
	now := w.Now()
	violations := command.Count(now.Violations, "violation", "violations")
	if units == "runs" && now.Total > 0 {
		return command.Work{Of: of, Done: now.Done, Units: fmt.Sprintf("runs of at most %d", now.Total), More: fmt.Sprintf("%d recoveries", now.Recoveries)}
	}
	if units != "" && now.Total > 0 {
		return command.Work{Of: of, Done: now.Done, Total: now.Total, Units: units, More: fmt.Sprintf("%d recoveries, %s", now.Recoveries, violations)}
	}
	return command.Work{Of: of, Done: now.Recoveries, Units: "recoveries", More: fmt.Sprintf("%d steps, %s", now.Steps, violations)}
}

// watched is a watch over runs of a plan.
func watched(e *command.Env, p *plan.Plan, c *scenarios.Config, units string) (end func()) {
	c.Watch = new(scenarios.Watch)
	disk := cmp.Or(p.Disk, "posix")
	return e.Progress().Watch(func() command.Work { return watchedWork(p.Scenario+" on "+disk, c.Watch, units) })
}
