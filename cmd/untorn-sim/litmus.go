package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
	"github.com/untorn-db/untorn/simfs/litmus/real"
)

func litmusCommand() command.Command {
	return command.Command{
		Name: "litmus", Operands: "[NAME…]", Short: "check what each disk keeps of small programs, by three searches",
		Long: "A litmus program is a few operations, and rules that say what a power loss after them may leave\n" +
			"on which disk. NAME is one of the corpus, or a file that ends in .txt; none means all of the corpus.\n" +
			"Three searches list what is possible: eager decides everything in advance, lazy decides what is\n" +
			"read, naive is brute force that shares no code with them. They must find the same.\n\n" +
			"A place in the table: rules of \"allow\" and \"only\" that hold +, rules of \"forbid\" that hold -, and the\n" +
			"outcomes that eager/lazy/naive found; naive is x where it does not model the program. A dot: the\n" +
			"program cannot happen on that disk. What differs or does not hold is printed below its program.\n\n" +
			"With --real the programs run on this machine's own file systems, on loop devices that are copied as\n" +
			"a power loss would leave them, and what is found must be allowed on --disk, or else on the disk of\n" +
			"that name. It needs root, mkfs and a kernel that knows the file system; it says what is missing,\n" +
			"and that is no failure.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Values: map[string]command.Values{
			"disk":    diskNames(),
			"real":    {Words: append(real.Systems(), "all"), List: true},
			"[NAME…]": {Words: litmusNames(), Files: true},
		},
		Examples: []command.Example{
			{Line: "untorn-sim litmus", Says: "the whole corpus on all disks"},
			{Line: "untorn-sim litmus two-files replace --disk ext4,xfs", Says: "two programs, on two disks"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var l litmusRun
			disk := flags.String("disk", "all", "`names`, separated by commas, or all; posix+journal is posix with a journal: rules and naive are for plain names")
			flags.BoolVar(&l.json, "json", false, "one JSON object for each program and disk")
			systems := flags.String("real", "", "file `systems` of this machine, separated by commas, or all: ext4, ext4-writeback, xfs, btrfs")
			flags.IntVar(&l.rounds, "rounds", 3, "with --real, so `many` runs of each program")
			flags.Uint64Var(&l.seed, "seed", 1, "with --real, the `number` from which it is drawn what is written back when")
			return func(e *command.Env) error {
				l.flags = flags
				given := command.Given(flags)
				for _, name := range []string{"rounds", "seed"} {
					if given[name] && !given["real"] {
						return command.Usage("--%s is for the file systems of this machine: give --real, too", name)
					}
				}
				names := simfs.PresetNames()
				if given["real"] && !given["disk"] {
					names = nil
				}
				if *disk != "all" {
					names = words(*disk)
				}
				for _, name := range names {
					g, err := simfs.ParseGuarantees(name)
					if err != nil {
						return command.Usage("%w", err)
					}
					l.disks = append(l.disks, g)
				}
				programs, err := litmusPrograms(e.Operands)
				if err != nil {
					return command.Usage("%w", err)
				}
				if given["real"] {
					return l.replay(e, programs, *systems)
				}
				return l.run(e, programs)
			}
		},
	}
}

// litmusNames lists the corpus.
func litmusNames() (names []string) {
	corpus, err := litmus.All()
	if err != nil {
		return nil // whoever runs one is told
	}
	for _, p := range corpus {
		names = append(names, p.Name)
	}
	return names
}

// litmusPrograms returns the programs of these names, or all.
func litmusPrograms(names []string) ([]litmus.Program, error) {
	corpus, err := litmus.All()
	if err != nil || len(names) == 0 {
		return corpus, err
	}
	var chosen []litmus.Program
next:
	for _, name := range names {
		if file, ok := strings.CutSuffix(name, ".txt"); ok {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			p, err := litmus.Parse(filepath.Base(file), string(text))
			if err != nil {
				return nil, err
			}
			chosen = append(chosen, p)
			continue
		}
		for _, p := range corpus {
			if p.Name == name {
				chosen = append(chosen, p)
				continue next
			}
		}
		return nil, fmt.Errorf("no program %q in the corpus: untorn-sim litmus lists all; a file ends in .txt", name)
	}
	return chosen, nil
}

// litmusRow is a program on a disk, for machines.
type litmusRow struct {
	Program    string   `json:"program"`
	Title      string   `json:"title"`
	Disk       string   `json:"disk"`
	Not        string   `json:"cannot_happen,omitempty"`
	Outcomes   []string `json:"outcomes"`
	Eager      int      `json:"eager"`
	Lazy       int      `json:"lazy"`
	Naive      *int     `json:"naive"` // null where it did not run
	NoNaive    string   `json:"no_naive,omitempty"`
	Leaves     int      `json:"eager_leaves"`
	LazyLeaves int      `json:"lazy_leaves"`
	Allowed    int      `json:"allowed"`
	Forbidden  int      `json:"forbidden"`
	Broken     []string `json:"broken"`
}

// litmusRun is one run of the command.
type litmusRun struct {
	json   bool
	disks  []simfs.Guarantees
	rounds int    // of --real
	seed   uint64 // of --real
	flags  *flag.FlagSet

	checked, brute, outcomes, allowed, forbidden, broken int
}

func (l *litmusRun) run(e *command.Env, programs []litmus.Program) error {
	table := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	if !l.json {
		fmt.Fprint(table, "program")
		for _, g := range l.disks {
			fmt.Fprintf(table, "\t%s", g)
		}
		fmt.Fprintln(table)
	}
	progress, began := e.Progress(), time.Now()
	defer progress.End()
	for i, p := range programs {
		var places, broken []string
		for k, g := range l.disks {
			progress.Work(time.Since(began), command.Work{Done: int64(i*len(l.disks) + k), Total: int64(len(programs) * len(l.disks)), Units: "places",
				More: fmt.Sprintf("%d outcomes, %d broken, %s on %s", l.outcomes, l.broken, p.Name, g)})
			if e.Ctx.Err() != nil {
				left := l.left(e.Operands, programs[i:])
				return errors.Join(interrupted(again(e, l.flags, left, "", ""), "%d of %d programs were checked, %d broken", i, len(programs), l.broken), table.Flush())
			}
			r, err := litmus.Check(p, g)
			if err != nil {
				return command.Usage("%s on %s: %w", p.Name, g, err)
			}
			l.count(r)
			places = append(places, litmusPlace(r))
			for _, what := range r.Broken {
				broken = append(broken, r.Disk+": "+what)
			}
			if l.json {
				if err := e.Object(litmusJSON(p, r)); err != nil {
					return err
				}
			}
		}
		if l.json {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\n", p.Name, strings.Join(places, "\t"))
		for _, what := range broken {
			fmt.Fprintf(table, "  %s\n", what)
		}
	}
	if !l.json {
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(e.Stdout, "litmus: %d programs × %d disks: %d places, %d of them with naive: %d outcomes, %d rules allow, %d forbid, %d disagree\n",
			len(programs), len(l.disks), l.checked, l.brute, l.outcomes, l.allowed, l.forbidden, l.broken)
	}
	if l.broken > 0 {
		return command.Fail(exitWrong, "%d places where searches disagree or a rule does not hold", l.broken)
	}
	return nil
}

// left is the operands that name programs: of those that were given, the ones that
// are not done.
func (l *litmusRun) left(operands []string, programs []litmus.Program) []string {
	var names []string
	for i, p := range programs {
		if len(operands) > 0 {
			names = append(names, operands[len(operands)-len(programs)+i])
		} else {
			names = append(names, p.Name)
		}
	}
	return names
}

func (l *litmusRun) count(r litmus.Result) {
	if r.Not != "" {
		return
	}
	l.checked++
	if r.NoNaive == "" {
		l.brute++
	}
	l.outcomes += len(r.Outcomes)
	l.allowed += r.Allowed
	l.forbidden += r.Forbade
	if !r.OK() {
		l.broken++
	}
}

// litmusPlace is a place in the table.
func litmusPlace(r litmus.Result) string {
	if r.Not != "" {
		return "."
	}
	brute := "x"
	if r.NoNaive == "" {
		brute = fmt.Sprint(len(r.Naive.Outcomes))
	}
	place := fmt.Sprintf("%d+ %d- %d/%d/%s", r.Allowed, r.Forbade, len(r.Eager.Outcomes), len(r.Lazy.Outcomes), brute)
	if !r.OK() {
		place += " BROKEN"
	}
	return place
}

func litmusJSON(p litmus.Program, r litmus.Result) litmusRow {
	row := litmusRow{
		Program: r.Program, Title: p.Title, Disk: r.Disk, Not: r.Not, Outcomes: r.Outcomes,
		Eager: len(r.Eager.Outcomes), Lazy: len(r.Lazy.Outcomes), NoNaive: r.NoNaive,
		Leaves: r.Eager.Leaves, LazyLeaves: r.Lazy.Leaves, Allowed: r.Allowed, Forbidden: r.Forbade, Broken: r.Broken,
	}
	if r.Not == "" && r.NoNaive == "" {
		n := len(r.Naive.Outcomes)
		row.Naive = &n
	}
	if row.Outcomes == nil {
		row.Outcomes = []string{}
	}
	if row.Broken == nil {
		row.Broken = []string{}
	}
	return row
}

// realRow is what a program left on a real file system, for machines.
type realRow struct {
	Program  string   `json:"program"`
	System   string   `json:"system"`
	Images   int      `json:"images"`
	Observed []string `json:"observed"`
	Allowed  int      `json:"allowed"`
	Broken   []string `json:"broken"`
}

// replay runs programs on real file systems.
func (l *litmusRun) replay(e *command.Env, programs []litmus.Program, list string) error {
	names := real.Systems()
	if list != "all" {
		names = words(list)
	}
	for _, name := range names {
		if !slices.Contains(real.Systems(), name) {
			return command.Usage("no file system %q to replay on: use %s, or all", name, strings.Join(real.Systems(), ", "))
		}
	}
	if len(l.disks) > 1 || l.rounds < 1 {
		return command.Usage("--real takes one --disk at most, and --rounds of 1 or more")
	}
	var against simfs.Guarantees
	if len(l.disks) == 1 {
		against = l.disks[0]
	}
	images, broken := 0, 0
	for i, name := range names {
		progress, began, done := e.Progress(), time.Now(), 0
		report, err := real.Replay(e.Ctx, programs, real.Options{
			System: name, Against: against, Rounds: l.rounds, Seed: l.seed,
			Progress: func(string) {
				done++
				progress.Work(time.Since(began), command.Work{Of: name, Done: int64(done), Total: int64(len(programs)), Units: "programs"})
			},
		})
		progress.End()
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			if err := l.notRun(e, name, err); err != nil {
				return err
			}
			continue
		case err != nil && e.Ctx.Err() != nil:
			return interrupted(again(e, l.flags, e.Operands, "real", strings.Join(names[i:], ",")), "not all programs were replayed on %s, %d images not allowed so far", name, broken)
		case err != nil:
			return err
		}
		here, wrong, seen, allowed := 0, 0, 0, 0
		for _, row := range report.Rows {
			here += row.Images
			wrong += len(row.Broken)
			seen += len(row.Observed)
			allowed += row.Allowed
			if l.json {
				if row.Broken == nil {
					row.Broken = []string{}
				}
				if err := e.Object(realRow{row.Program, name, row.Images, row.Observed, row.Allowed, row.Broken}); err != nil {
					return err
				}
				continue
			}
			for _, what := range row.Broken {
				fmt.Fprintf(e.Stdout, "%s on %s: %s\n", row.Program, name, what)
			}
		}
		images, broken = images+here, broken+wrong
		if !l.json {
			fmt.Fprintf(e.Stdout, "%s: %d programs (%d cannot happen there), %d images, %d of %d allowed outcomes seen, %d images not allowed\n",
				name, len(report.Rows), report.Left, here, seen, allowed, wrong)
			if err := e.Stdout.Flush(); err != nil {
				return err
			}
		}
	}
	if !l.json {
		fmt.Fprintf(e.Stdout, "litmus: %d images of real file systems, %d not allowed\n", images, broken)
	}
	if broken > 0 {
		return command.Fail(exitWrong, "%d images of real file systems are not allowed by their disk", broken)
	}
	return nil
}

// notRun says why a file system was not replayed on.
func (l *litmusRun) notRun(e *command.Env, name string, why error) error {
	if l.json {
		return e.Object(struct {
			System string `json:"system"`
			NotRun string `json:"not_run"`
		}{name, why.Error()})
	}
	fmt.Fprintf(e.Stdout, "%s: NOT RUN: %s\n", name, command.OneLine(why.Error()))
	return nil
}
