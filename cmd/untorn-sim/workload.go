package main

import (
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
)

// A workload is what a command that takes one plan after the other is given: a
// file, or else what a seed draws, or else what is plain; on each of some disks.
type workload struct {
	given    map[string]bool // the flags --plan, --scenario and --seed of the command line
	file     string
	scenario string // with seed; "" for neither
	seed     uint64
	disk     string // names, separated by commas, or all; "": what the file says, or posix
	plain    func(disk string) []*plan.Plan
}

// plans returns a plan for each disk; plain may have several.
func (w workload) plans() (list []*plan.Plan, err error) {
	switch {
	case w.given["plan"] && w.file == "":
		return nil, command.Usage("--plan is empty: it names a file")
	case w.given["plan"] && (w.given["seed"] || w.given["scenario"]):
		return nil, command.Usage("--plan with --seed or --scenario: a plan says what it is itself, give one of them")
	case w.given["scenario"] && w.scenario == "":
		return nil, command.Usage("no scenario \"\": use %s", strings.Join(scenarios.Names(), ", "))
	}
	disks := words(w.disk)
	switch w.disk {
	case "":
		disks = []string{"posix"}
	case "all":
		disks = simfs.PresetNames()
	}
	for _, disk := range disks {
		if _, err := simfs.ParseGuarantees(disk); err != nil {
			return nil, command.Usage("%w", err)
		}
	}
	var base *plan.Plan
	if w.file != "" {
		if base, err = replay.Load(w.file); err != nil {
			return nil, command.Usage("%w: want a plan that untorn-sim run has saved, or one like it", err)
		}
		if w.disk == "" && base.Disk != "" {
			disks = []string{base.Disk}
		}
	}
	for _, disk := range disks {
		switch {
		case base != nil:
			p := base.Clone()
			p.Disk = disk
			list = append(list, p)
		case w.scenario != "":
			p, err := scenarios.Draw(w.scenario, disk, w.seed)
			if err != nil {
				return nil, command.Usage("no scenario %q: use %s", w.scenario, strings.Join(scenarios.Names(), ", "))
			}
			list = append(list, p)
		default:
			list = append(list, w.plain(disk)...)
		}
	}
	return list, nil
}
