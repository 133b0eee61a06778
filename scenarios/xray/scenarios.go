package xray

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
)

// Selection says which plans are the cases of the event log.
type Selection struct {
	Scenarios []string // nil: all
	Disks     []string // nil: every preset, posix first
	Seeds     uint64   // of each scenario, from 1; 0: 3
	Corners   bool     // the plans of Corners, too; with all scenarios, Backups
	Workers   int      // recoveries at once; 0: one for each processor
}

// Scenarios returns the cases: the first seed of each scenario and the corners on
// the first disk, then the other seeds, then the same on the next disk.
func Scenarios(s Selection) ([]Case, error) {
	names, disks, seeds := s.Scenarios, s.Disks, s.Seeds
	if names == nil {
		names = scenarios.Names()
	}
	if disks == nil {
		disks = simfs.PresetNames()
	}
	if seeds == 0 {
		seeds = 3
	}
	for _, disk := range disks {
		if _, err := simfs.ParseGuarantees(disk); err != nil {
			return nil, err
		}
	}
	var cases []Case
	for _, disk := range disks {
		for seed := uint64(1); seed <= seeds; seed++ {
			for _, name := range names {
				p, err := scenarios.Draw(name, disk, seed)
				if err != nil {
					return nil, err
				}
				cases = append(cases, Plan(fmt.Sprintf("%s seed %d on %s", name, seed, disk), p, s.Workers))
			}
			if seed > 1 || !s.Corners {
				continue
			}
			for _, corner := range Corners() {
				if s.Scenarios != nil && !slices.Contains(s.Scenarios, corner.Scenario) {
					continue
				}
				p, err := corner.Plan(disk)
				if err != nil {
					return nil, err
				}
				cases = append(cases, Plan(fmt.Sprintf("corner %q on %s", corner.Name, disk), p, s.Workers))
			}
			if s.Scenarios == nil {
				backups, err := Backups(disk, s.Workers)
				if err != nil {
					return nil, err
				}
				cases = append(cases, backups)
			}
		}
	}
	return cases, nil
}

// Plan is the case of a plan of the event log.
func Plan(name string, p *plan.Plan, workers int) Case {
	run := func(ctx context.Context, p *plan.Plan, wrap func(afero.Fs) afero.Fs) (Outcome, error) {
		r, err := scenarios.Run(ctx, p, scenarios.Config{Workers: workers, Violations: 1, Wrap: wrap})
		out := Outcome{Recoveries: r.Recoveries}
		if len(r.Violations) > 0 {
			v := r.Violations[0]
			out.Broken, out.Invariant, out.Plan = v.Err, v.Invariant, v.Plan
		}
		return out, err
	}
	return Case{
		Name: name,
		Run: func(ctx context.Context, wrap func(afero.Fs) afero.Fs) (Outcome, error) {
			return run(ctx, p, wrap)
		},
		Replay: func(ctx context.Context, p *plan.Plan) (error, error) {
			out, err := run(ctx, p, nil)
			return out.Broken, err
		},
	}
}

// Corner is a plan that leads to where seeds come too seldom.
type Corner struct {
	Name     string // what it is about
	Scenario string // whose way of searching it uses
	Settings string // "KEY = VALUE", separated by commas
	Lines    []string
}

// Plan is the corner on a disk.
func (c Corner) Plan(disk string) (*plan.Plan, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "untorn plan 1\nscenario %s\ndisk %s\nseed 1\n", c.Scenario, disk)
	for _, setting := range strings.Split(c.Settings, ",") {
		fmt.Fprintf(&text, "set %s\n", strings.TrimSpace(setting))
	}
	text.WriteString(strings.Join(c.Lines, "\n") + "\n")
	p, err := plan.Parse([]byte(text.String()))
	if err != nil {
		return nil, fmt.Errorf("corner %q: %w", c.Name, err)
	}
	return p, nil
}

const wide = "preallocate = -1, deviation = 1, images = 2000, allpoints = true"

// Corners lists them.
func Corners() []Corner {
	return []Corner{
		{"a sync by the timer, and who reads what it covered", "mixed", wide, []string{
			`step 1 open`, `step 2 batch buffered=true 0="s t size=700"`, `step 3 advance by=20ms`, `step 4 read`}},
		{"a sync of buffered events", "mixed", wide, []string{
			`step 1 open`, `step 2 batch buffered=true 0="s t size=700"`, `step 3 sync`}},
		{"a wait for buffered events", "mixed", wide, []string{
			`step 1 open`, `step 2 batch buffered=true 0="s t size=700"`, `step 3 wait`}},
		{"a full segment with buffered events", "rotate", "preallocate = -1, depth = 0, deviation = 1, images = 800, samples = 0", []string{
			`step 1 open`, `step 2 batch buffered=true 0="s t size=30000"`, `step 3 batch buffered=true 0="s t size=30000"`, `step 4 batch 0="s t size=9000"`}},
		{"a close with buffered events", "mixed", wide, []string{
			`step 1 open`, `step 2 batch 0="s t size=100"`, `step 3 batch buffered=true 0="s t size=3000"`, `step 4 close`}},
		{"buffered events, a kill, and no room to carry them", "nospace", wide, []string{
			`step 1 open`, `step 2 batch 0="s t size=100"`, `step 3 batch buffered=true 0="s t size=700"`, `step 4 crash kind=kill`, `step 5 open`, `step 6 read`,
			`fault step=5 create new #1: fail ENOSPC`}},
		{"a closed log, a power loss, and damage to its last group", "bitrot", "preallocate = -1, images = 20", []string{
			`step 1 open`, `step 2 batch 0="s t size=700"`, `step 3 batch 0="s t size=900"`, `step 4 close`, `step 5 crash kind=power choices=oldest`,
			`step 6 damage what=zero with=8200`, `step 7 damage what=zero with=10000`, `step 8 damage what=flip with=10500`}},
		{"the first segment, where a deleted log was", "batch", "preallocate = -1, depth = 0, deviation = 1, images = 1500, samples = 0", []string{
			`step 1 open`, `step 2 batch 0="s t size=30000"`, `step 3 batch 0="s t size=30000"`, `step 4 delete`, `step 5 crash kind=power choices=newest`,
			`step 6 open`, `step 7 batch 0="u t size=30"`}},
		{"the next segment, where a deleted log was", "rotate", "preallocate = -1, depth = 0, deviation = 1, images = 1500, samples = 0", []string{
			`step 1 open`, `step 2 batch 0="s t size=30000"`, `step 3 batch 0="s t size=30000"`, `step 4 batch 0="s t size=20"`, `step 5 delete`, `step 6 crash kind=power choices=newest`,
			`step 7 open`, `step 8 batch 0="u t size=30000"`, `step 9 batch 0="u t size=20000"`, `step 10 close`, `step 11 crash kind=power choices=newest`,
			`step 12 open`, `step 13 batch 0="u t size=9000"`}},
		{"the next segment, prepared ahead where a deleted log was", "rotate", "preallocate = 8192, depth = 0, deviation = 1, images = 800, samples = 0", []string{
			`step 1 open`, `step 2 batch 0="s t size=30000"`, `step 3 batch 0="s t size=30000"`, `step 4 batch 0="s t size=20"`, `step 5 delete`, `step 6 crash kind=power choices=newest`,
			`step 7 open`, `step 8 batch 0="u t size=22000"`, `step 9 crash kind=power choices=newest`,
			`step 10 open`, `step 11 batch 0="u t size=4000"`, `step 12 batch 0="u t size=30000"`}},
		{"an END without the zeros behind it, and a batch whose size is lost there", "rollback",
			"preallocate = -1, depth = 1, deviation = 2, samples = 0, images = 20000, perpoint = 400, exhaustive = 16", []string{
				`step 1 open`, `step 2 batch 0="s t size=100"`, `step 3 close`, `step 4 crash kind=kill`, `step 5 open`, `step 6 batch 0="s t size=10"`,
				`fault step=3 writeat seg #1: short 64`}},
		{"a disk without the optional methods", "batch", "preallocate = -1, deviation = 1, images = 300, plain = true", []string{
			`step 1 open`, `step 2 batch 0="s t size=200"`, `step 3 batch buffered=true 0="s t size=200"`, `step 4 batch 0="s t size=200"`, `step 5 close`}},
	}
}
