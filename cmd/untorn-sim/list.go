package main

import (
	"flag"
	"fmt"

	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

func listCommand() command {
	return command{
		name: "list", short: "the scenarios, disks and invariants",
		long: "What run and replay know by name.",
		prepare: func(flags *flag.FlagSet) func(*env, []string) error {
			asJSON := flags.Bool("json", false, "one JSON object for everything")
			return func(e *env, args []string) error {
				if len(args) > 0 {
					return usage("unexpected %q: list takes no arguments", args[0])
				}
				return list(e, *asJSON)
			}
		},
	}
}

// entry is a name and what it stands for.
type entry struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

func list(e *env, asJSON bool) error {
	var all struct {
		Scenarios  []entry  `json:"scenarios"`
		Disks      []string `json:"disks"`
		Invariants []entry  `json:"invariants"`
	}
	for _, s := range scenarios.All() {
		all.Scenarios = append(all.Scenarios, entry{s.Name, s.Says})
	}
	all.Disks = replay.Disks()
	for _, i := range invariant.All() {
		all.Invariants = append(all.Invariants, entry{i.ID, i.Sentence})
	}
	if asJSON {
		return e.object(all)
	}
	section := func(title string, entries []entry) {
		fmt.Fprintf(e.stdout, "%s\n", title)
		for _, x := range entries {
			fmt.Fprintf(e.stdout, "  %-10s %s\n", x.Name, x.Says)
		}
	}
	section("scenarios, for --scenario", all.Scenarios)
	fmt.Fprint(e.stdout, "disks, for --disk\n")
	for _, name := range all.Disks {
		fmt.Fprintf(e.stdout, "  %s\n", name)
	}
	section("invariants, checked after every crash", all.Invariants)
	return nil
}
