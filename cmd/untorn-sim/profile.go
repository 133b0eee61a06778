package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/profile"
)

func profileCommand() command.Command {
	return command.Command{
		Name: "profile", Operands: "[PLAN…]", Short: "the weakest disks on which the log keeps its promises",
		Long: "Tries plans, or the first seeds of a scenario, on disks that promise more and less, and prints the minimal\n" +
			"sets of promises under which all hold, in one line to quote, then each set with what goes wrong when any of\n" +
			"its promises is not made. A disk is written as --disk reads it, such as posix+journal-powersafe.\n\n" +
			"That promises are broken is certain. That they hold is exact for a small plan with --set lazy=true, and perhaps\n" +
			"--set depth=0; otherwise it means the images that were tried.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Values: map[string]command.Values{
			"scenario": {Words: scenarios.Names()},
		},
		Examples: []command.Example{
			{Line: "untorn-sim profile", Says: "what the first seeds of batch need"},
			{Line: "untorn-sim profile failures/batch-posix-42-I1.plan --set lazy=true --plans plans", Says: "what one plan needs, exactly, with a plan of each loss"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var p profiling
			flags.StringVar(&p.scenario, "scenario", "batch", "`name` of the scenario whose seeds are tried, where there are no plans")
			flags.Uint64Var(&p.seed, "seed", 0, "try only this `seed`; 0: 1 to 3")
			flags.StringVar(&p.plan, "plan", "", "try this plan `file`, as if it stood behind the flags")
			flags.Var(&p.settings, "set", "`key=value`: a setting of all plans, such as align=4096, images=2000 or lazy=true; may be repeated")
			flags.BoolVar(&p.split, "split-renames", false, "ask also for disks on which a rename comes apart")
			flags.IntVar(&p.jobs, "jobs", 0, "so `many` recoveries at once; 0: one for each processor")
			flags.StringVar(&p.plans, "plans", "", "`directory` for a plan of each loss; none without it")
			flags.BoolVar(&p.json, "json", false, "one JSON object")
			return func(e *command.Env) error {
				p.given, p.flags = command.Given(flags), flags
				return p.run(e)
			}
		},
	}
}

type profiling struct {
	given                 map[string]bool
	scenario, plan, plans string
	seed                  uint64
	settings              settings
	split, json           bool
	jobs                  int
	flags                 *flag.FlagSet
}

// settings are the values of a flag that may be repeated.
type settings []plan.KV

func (s *settings) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return errors.New("want key=value")
	}
	*s = append(*s, plan.KV{Key: key, Value: value})
	return nil
}

func (s *settings) String() string { return strings.Join(s.Values(), " ") }

// Values lists the settings.
func (s *settings) Values() (all []string) {
	for _, kv := range *s {
		all = append(all, kv.Key+"="+kv.Value)
	}
	return all
}

type lossRow struct {
	Without string `json:"without"`
	Disk    string `json:"disk"`
	Case    string `json:"case"`
	Broken  string `json:"broken"`
	Crash   string `json:"crash"`
	Plan    string `json:"plan,omitempty"` // where it was saved
}

type setRow struct {
	Disk  string    `json:"disk"`
	Needs []string  `json:"needs"`
	Exact bool      `json:"exact"`
	Lost  []lossRow `json:"lost"`
}

type profileRow struct {
	Line       string   `json:"line"`
	Minimal    []setRow `json:"minimal"`
	Presets    []string `json:"presets"` // on which it holds
	Exact      bool     `json:"exact"`
	Why        string   `json:"why,omitempty"`
	Broken     string   `json:"broken,omitempty"` // on the strongest disk
	Sets       int      `json:"sets"`
	Tried      int      `json:"tried"`
	Recoveries int      `json:"recoveries"`
	Seconds    float64  `json:"seconds"`
}

func (p *profiling) run(e *command.Env) error {
	name, plans, err := p.read(e.Operands)
	if err != nil {
		return err
	}
	if p.jobs < 0 {
		return command.Usage("--jobs is 0 or more")
	}
	began := time.Now()
	line := e.Progress()
	var last profile.Progress
	var tried []string
	report, err := profile.Search(e.Ctx, profile.Config{
		Holds: profile.Plans(plans, p.jobs), SplitRename: p.split,
		Progress: func(now profile.Progress) {
			last = now
			line.Work(time.Since(began), command.Work{Done: int64(now.Known), Total: int64(now.Sets), Units: "sets of promises known", More: fmt.Sprintf("%d tried, %d recoveries, %s", now.Tried, now.Recoveries, now.Last)})
			tried = append(tried, now.Last)
		},
	})
	line.End()
	if errors.Is(err, context.Canceled) {
		if !p.json {
			for _, text := range tried {
				fmt.Fprintf(e.Stdout, "tried: %s\n", text)
			}
		}
		return interrupted(again(e, p.flags, e.Operands, "", ""), "of %d sets of promises %d are known; it begins anew", last.Sets, last.Known)
	}
	if err != nil {
		return command.Usage("%w", err)
	}
	row := profileRow{
		Line: report.Line(name), Minimal: []setRow{}, Presets: append([]string{}, report.Presets...), Exact: report.Exact, Why: report.Why,
		Sets: report.Sets, Tried: report.Verdicts, Recoveries: report.Recoveries, Seconds: float64(time.Since(began).Milliseconds()) / 1000,
	}
	if report.Strong.Broken != nil {
		row.Broken = head(report.Strong.Broken)
	}
	for i, m := range report.Minimal {
		set := setRow{Disk: m.Disk, Needs: m.Needs, Exact: m.Verdict.Exact, Lost: []lossRow{}}
		for k, l := range m.Lost {
			lost := lossRow{Without: l.Without, Disk: l.Disk, Case: l.Verdict.Case, Broken: head(l.Verdict.Broken), Crash: l.Verdict.How}
			if p.plans != "" && l.Verdict.Plan != nil {
				saved := l.Verdict.Plan.Clone()
				saved.Comments = append(saved.Comments, "profile: without "+l.Without)
				if lost.Plan, err = replay.SaveAs(p.plans, fmt.Sprintf("profile-%d-%d.plan", i+1, k+1), saved); err != nil {
					return err
				}
			}
			set.Lost = append(set.Lost, lost)
		}
		row.Minimal = append(row.Minimal, set)
	}
	if p.json {
		err = e.Object(row)
	} else {
		row.print(e)
	}
	if err == nil && len(row.Minimal) == 0 {
		return command.Fail(exitWrong, "a promise is broken on every disk")
	}
	return err
}

// read makes the plans, and says what they are of.
func (p *profiling) read(args []string) (name string, plans []*plan.Plan, err error) {
	if p.given["plan"] {
		args = append(args, p.plan)
	}
	switch {
	case len(args) > 0 && (p.given["seed"] || p.given["scenario"]):
		return "", nil, command.Usage("--seed or --scenario, and a plan: choose one")
	case len(args) > 0:
		for _, file := range args {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", nil, command.Usage("%w", err)
			}
			one, err := plan.Parse(text)
			if err != nil {
				return "", nil, command.Usage("%s: %w", file, err)
			}
			plans = append(plans, one)
		}
		name = strings.Join(args, ", ")
	default:
		first, last := uint64(1), uint64(3)
		name = fmt.Sprintf("%s, seeds %d to %d", p.scenario, first, last)
		if p.seed > 0 {
			first, last = p.seed, p.seed
			name = fmt.Sprintf("%s, seed %d", p.scenario, p.seed)
		}
		for seed := first; seed <= last; seed++ {
			one, err := scenarios.Draw(p.scenario, "posix", seed)
			if err != nil {
				return "", nil, command.Usage("%w", err)
			}
			plans = append(plans, one)
		}
	}
	for _, one := range plans {
		for _, kv := range p.settings {
			one.Set(kv.Key, kv.Value)
		}
	}
	return name, plans, nil
}

func (row *profileRow) print(e *command.Env) {
	fmt.Fprintln(e.Stdout, row.Line)
	if row.Broken != "" {
		fmt.Fprintf(e.Stdout, "  even there: %s\n", row.Broken)
	}
	for i, m := range row.Minimal {
		fmt.Fprintf(e.Stdout, "\nset %d: %s\n", i+1, m.Disk)
		for _, needs := range m.Needs {
			fmt.Fprintf(e.Stdout, "  needs     %s\n", needs)
		}
		for _, l := range m.Lost {
			fmt.Fprintf(e.Stdout, "  without   %s (%s), %s:\n            %s\n", l.Without, l.Disk, l.Case, l.Broken)
			if l.Crash != "" {
				fmt.Fprintf(e.Stdout, "            crash %s\n", l.Crash)
			}
			if l.Plan != "" {
				fmt.Fprintf(e.Stdout, "            plan  %s\n", l.Plan)
			}
		}
	}
	if len(row.Presets) > 0 {
		fmt.Fprintf(e.Stdout, "\npresets on which it holds: %s\n", strings.Join(row.Presets, ", "))
	}
	if !row.Exact && row.Why != "" {
		fmt.Fprintf(e.Stdout, "not every image was tried: %s\n", row.Why)
	}
	fmt.Fprintf(e.Stdout, "\nprofile: %d of %d sets of promises tried, %d recoveries, %.1f s\n", row.Tried, row.Sets, row.Recoveries, row.Seconds)
}

// head is the first line of an error.
func head(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
