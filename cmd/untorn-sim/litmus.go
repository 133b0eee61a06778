package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
)

func litmusCommand() command {
	return command{
		name: "litmus", args: "[NAME…]", short: "check what each disk keeps of small programs, by three searches",
		long: "A litmus program is a few operations, and rules that say what a power loss after them may leave\n" +
			"on which disk. NAME is one of the corpus, or a file that ends in .txt; none means all of the corpus.\n" +
			"Three searches list what is possible: eager decides everything in advance, lazy decides what is\n" +
			"read, naive is brute force that shares no code with them. They must find the same.\n\n" +
			"A place in the table: rules of \"allow\" and \"only\" that hold +, rules of \"forbid\" that hold -, and the\n" +
			"outcomes that eager/lazy/naive found; naive is x where it does not model the program. A dot: the\n" +
			"program cannot happen on that disk. What differs or does not hold is printed below its program.",
		prepare: func(flags *flag.FlagSet) func(*env, []string) error {
			var l litmusRun
			disk := flags.String("disk", "all", "`names`, separated by commas, or all; posix+journal is posix with a journal: rules and naive are for plain names")
			flags.BoolVar(&l.json, "json", false, "one JSON object for each program and disk")
			return func(e *env, args []string) error {
				names := replay.Disks()
				if *disk != "all" {
					names = words(*disk)
				}
				for _, name := range names {
					g, err := simfs.ParseGuarantees(name)
					if err != nil {
						return usage("%w", err)
					}
					l.disks = append(l.disks, g)
				}
				programs, err := litmusPrograms(args)
				if err != nil {
					return usage("%w", err)
				}
				return l.run(e, programs)
			}
		},
	}
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
	Program   string   `json:"program"`
	Title     string   `json:"title"`
	Disk      string   `json:"disk"`
	Not       string   `json:"cannot_happen,omitempty"`
	Outcomes  []string `json:"outcomes"`
	Eager     int      `json:"eager"`
	Lazy      int      `json:"lazy"`
	Naive     *int     `json:"naive"` // null where it did not run
	NoNaive   string   `json:"no_naive,omitempty"`
	Leaves    int      `json:"eager_leaves"`
	LazyLeafs int      `json:"lazy_leaves"`
	Allowed   int      `json:"allowed"`
	Forbidden int      `json:"forbidden"`
	Broken    []string `json:"broken"`
}

// litmusRun is one run of the command.
type litmusRun struct {
	json  bool
	disks []simfs.Guarantees

	checked, brute, outcomes, allowed, forbidden, broken int
}

func (l *litmusRun) run(e *env, programs []litmus.Program) error {
	table := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if !l.json {
		fmt.Fprint(table, "program")
		for _, g := range l.disks {
			fmt.Fprintf(table, "\t%s", g)
		}
		fmt.Fprintln(table)
	}
	for _, p := range programs {
		var places, broken []string
		for _, g := range l.disks {
			if e.ctx.Err() != nil {
				return fail(exitBudget, "interrupted before all programs were checked")
			}
			r, err := litmus.Check(p, g)
			if err != nil {
				return usage("%s on %s: %w", p.Name, g, err)
			}
			l.count(r)
			places = append(places, litmusPlace(r))
			for _, what := range r.Broken {
				broken = append(broken, r.Disk+": "+what)
			}
			if l.json {
				if err := e.object(litmusJSON(p, r)); err != nil {
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
		fmt.Fprintf(e.stdout, "litmus: %d programs × %d disks: %d places, %d of them with naive: %d outcomes, %d rules allow, %d forbid, %d disagree\n",
			len(programs), len(l.disks), l.checked, l.brute, l.outcomes, l.allowed, l.forbidden, l.broken)
	}
	if l.broken > 0 {
		return fail(exitWrong, "%d places where searches disagree or a rule does not hold", l.broken)
	}
	return nil
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
		Leaves: r.Eager.Leaves, LazyLeafs: r.Lazy.Leaves, Allowed: r.Allowed, Forbidden: r.Forbade, Broken: r.Broken,
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
