package main

import (
	"flag"
	"fmt"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/simfs"
)

func listCommand() command.Command {
	return command.Command{
		Name: "list", Short: "the scenarios, disks, states and invariants",
		Long:  "What run and replay know by name.",
		Exits: []int{exitFine, exitWrong, exitUsage},
		Examples: []command.Example{
			{Line: "untorn-sim list", Says: "what can be named with --scenario and --disk"},
			{Line: "untorn-sim list --json", Says: "for a program"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			asJSON := flags.Bool("json", false, "one JSON object for everything")
			return func(e *command.Env) error {
				return list(e, *asJSON)
			}
		},
	}
}

// diskSays is what the file system of a disk keeps when the power goes.
var diskSays = map[string]string{
	"posix":          "what POSIX promises and no more: what is not synced may be lost, kept or torn in any order",
	"ext4-writeback": "ext4 with data=writeback: metadata does not wait for data",
	"xfs":            "xfs: a rename that replaces a file does not wait for the data of the new one",
	"ext4":           "ext4 with data=ordered: a rename that replaces a file waits for the data of the new one",
	"btrfs":          "btrfs: an extent is there whole or not at all",
	"sequential":     "the kindest: the operations up to some moment, none behind it",
}

// entry is a name and what it stands for.
type entry struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

func list(e *command.Env, asJSON bool) error {
	var all struct {
		Scenarios  []entry  `json:"scenarios"`
		Disks      []string `json:"disks"`
		States     []entry  `json:"states"`
		Invariants []entry  `json:"invariants"`
	}
	for _, s := range scenarios.All() {
		all.Scenarios = append(all.Scenarios, entry{s.Name, s.Says})
	}
	all.Disks = simfs.PresetNames()
	for _, s := range scenarios.States() {
		all.States = append(all.States, entry{s.Name, s.Says})
	}
	for _, i := range invariant.All() {
		all.Invariants = append(all.Invariants, entry{i.ID, i.Sentence})
	}
	if asJSON {
		return e.Object(all)
	}
	section := func(title string, entries []entry) {
		fmt.Fprintf(e.Stdout, "%s\n", title)
		wide := 10
		for _, x := range entries {
			wide = max(wide, len(x.Name))
		}
		for _, x := range entries {
			fmt.Fprintf(e.Stdout, "  %-*s %s\n", wide, x.Name, x.Says)
		}
	}
	section("scenarios, for --scenario", all.Scenarios)
	fmt.Fprint(e.Stdout, "disks, for --disk\n")
	for _, name := range all.Disks {
		fmt.Fprintf(e.Stdout, "  %-14s  %s\n", name, diskSays[name])
	}
	section("states, which a run of enough seeds must reach", all.States)
	section("invariants, checked after every crash", all.Invariants)
	return nil
}
