package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/scenarios/xray"
)

func xrayCommand() command.Command {
	return command.Command{
		Name: "xray", Short: "what each sync of the log is needed for",
		Long: "Drops, delays or weakens the syncs of each place of the log on their own, and cuts the power again, until\n" +
			"a promise is broken. A place is the innermost two functions above the file system. It is needed when some\n" +
			"case shows it, redundant when none of all those given does, and not covered when none reaches it.\n\n" +
			"  drop      the sync returns and does nothing\n" +
			"  delay     it takes effect just before the next operation that changes something\n" +
			"  weaken    a full sync becomes a data-only one, that of a directory nothing\n\n" +
			"With --plans each finding leaves a plan that says \"set sync = …\"; untorn-sim replay PLAN runs it. The exit\n" +
			"code is 1 unless every place is needed. Compile from the sources that are there: they are quoted.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Values: map[string]command.Values{
			"scenario": scenarioNames(),
			"disk":     diskNames(),
		},
		Examples: []command.Example{
			{Line: "untorn-sim xray", Says: "every sync of the log"},
			{Line: "untorn-sim xray --scenario batch --disk posix --site openDirectory --plans plans", Says: "one place, with plans that show what it is needed for"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var x xraying
			flags.StringVar(&x.scenario, "scenario", "all", "`names`, separated by commas, or all")
			flags.StringVar(&x.disk, "disk", "all", "`names`, separated by commas, or all")
			flags.Uint64Var(&x.seeds, "seeds", 3, "the first `many` seeds of each scenario on each disk")
			flags.StringVar(&x.site, "site", "", "only places whose name contains this `text`")
			flags.IntVar(&x.more, "more", 20, "so `many` cases try each other way of weakening a place that is needed; 0: none")
			flags.IntVar(&x.jobs, "jobs", 0, "so `many` recoveries at once; 0: one for each processor")
			flags.StringVar(&x.plans, "plans", "", "`directory` for a plan of each finding; none without it")
			flags.BoolVar(&x.json, "json", false, "one JSON object for each place, and one for the whole")
			return func(e *command.Env) error {
				x.flags = flags
				return x.run(e)
			}
		},
	}
}

type xraying struct {
	scenario, disk, site, plans string
	seeds                       uint64
	more, jobs                  int
	json                        bool
	flags                       *flag.FlagSet
}

// placeRow is one place as JSON.
type placeRow struct {
	xray.Site
	Plans []string `json:"plans"` // of its findings, where they were saved
}

func (x *xraying) run(e *command.Env) error {
	if x.seeds == 0 || x.seeds > 1000 || x.more < 0 || x.jobs < 0 {
		return command.Usage("--seeds is 1 to 1000, --more and --jobs are 0 or more")
	}
	s := xray.Selection{Seeds: x.seeds, Corners: true, Workers: x.jobs}
	var options replay.Options
	if x.scenario != "all" {
		s.Scenarios = words(x.scenario)
		options.Scenarios = s.Scenarios
	}
	if x.disk != "all" {
		s.Disks = words(x.disk)
		options.Disks = s.Disks
	}
	options.Seeds = replay.Seeds{First: 1, Last: 1}
	if err := options.Check(); err != nil {
		return command.Usage("%w; untorn-sim list shows all", err)
	}
	cases, err := xray.Scenarios(s)
	if err != nil {
		return err
	}
	line, began := e.Progress(), time.Now()
	c := xray.Config{Cases: cases, More: x.more, Now: time.Now, Progress: func(now xray.Progress) {
		units := "cases"
		if now.Sites {
			units = "places"
		}
		line.Work(time.Since(began), command.Work{Done: int64(now.Done), Total: int64(now.Total), Units: units, More: fmt.Sprintf("%d recoveries, %s", now.Recoveries, now.Now)})
	}}
	if x.more == 0 {
		c.More = -1
	}
	if x.site != "" {
		c.Sites = func(site string) bool { return strings.Contains(site, x.site) }
	}
	report, err := xray.Scan(e.Ctx, c)
	line.End()
	stopped := errors.Is(err, context.Canceled)
	if err != nil && !stopped {
		return err
	}
	if len(report.Sites) == 0 && !stopped {
		return command.Usage("--site %q: the log has no such place in these cases", x.site)
	}
	file := ""
	for _, s := range report.Sites {
		row := placeRow{Site: s, Plans: []string{}}
		for _, f := range s.Findings {
			if f.Plan == nil || x.plans == "" {
				continue
			}
			path, err := x.save(s, f)
			if err != nil {
				return err
			}
			row.Plans = append(row.Plans, path)
		}
		if x.json {
			if err := e.Object(row); err != nil {
				return err
			}
			continue
		}
		if s.File != file {
			file = s.File
			fmt.Fprintf(e.Stdout, "%s\n", file)
		}
		x.print(e, row)
	}
	if stopped {
		return interrupted(again(e, x.flags, nil, "", ""), "%s looked at; it begins anew, and --site looks at some alone", command.Count(len(report.Sites), "place was", "places were"))
	}
	unneeded := len(report.Sites) - report.Count(xray.Needed)
	if x.json {
		err = e.Object(struct {
			Places       int     `json:"places"`
			Needed       int     `json:"needed"`
			Redundant    int     `json:"redundant"`
			Uncovered    int     `json:"uncovered"`
			Cases        int     `json:"cases"`
			Explorations int     `json:"explorations"`
			Recoveries   int     `json:"recoveries"`
			Seconds      float64 `json:"seconds"`
		}{len(report.Sites), report.Count(xray.Needed), report.Count(xray.Redundant), report.Count(xray.Uncovered),
			report.Cases, report.Explorations, report.Recoveries, report.Seconds})
	} else {
		fmt.Fprintf(e.Stdout, "\nxray: %d needed, %d redundant, %d not covered; %d cases, %d explorations, %d recoveries, %.1f s\n",
			report.Count(xray.Needed), report.Count(xray.Redundant), report.Count(xray.Uncovered),
			report.Cases, report.Explorations, report.Recoveries, report.Seconds)
	}
	if err == nil && unneeded > 0 {
		return command.Fail(exitWrong, "%d places where the log syncs are redundant or not covered: see above", unneeded)
	}
	return err
}

func (x *xraying) print(e *command.Env, row placeRow) {
	fmt.Fprintf(e.Stdout, "%5d  %s\n", row.Line, row.Text)
	called := ""
	if row.Caller != "" {
		called = fmt.Sprintf(", called by %s line %d", strings.TrimPrefix(row.Caller, row.File+":"), row.CallerLine)
	}
	fmt.Fprintf(e.Stdout, "       %s%s\n", row.Function, called)
	survived := 0
	for _, f := range row.Findings {
		survived += f.Survived
	}
	fmt.Fprintf(e.Stdout, "       %s; %d weakened explorations survived, %d cases reach it, %.1f s\n", row.Verdict, survived, row.Cases, row.Seconds)
	for _, f := range row.Findings {
		if f.Case != "" {
			fmt.Fprintf(e.Stdout, "         %-6s  %s\n                 %s\n", f.Mode, f.Case, f.Broken)
		} else if row.Verdict == xray.Needed {
			fmt.Fprintf(e.Stdout, "         %-6s  %d cases tried, none finds out\n", f.Mode, f.Survived)
		}
	}
	for _, path := range row.Plans {
		fmt.Fprintf(e.Stdout, "         plan    %s\n", path)
	}
}

// save writes the plan of a finding.
func (x *xraying) save(s xray.Site, f xray.Finding) (string, error) {
	letters := strings.FieldsFunc(fmt.Sprintf("%s %s", f.Mode, s.Site), func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", r)
	})
	letters = slices.DeleteFunc(letters, func(word string) bool { return word == "engine" || word == "go" || word == "Log" })
	p := f.Plan.Clone()
	p.Comments = append(p.Comments, "xray: "+f.Case)
	return replay.SaveAs(x.plans, strings.Join(letters, "-")+".plan", p)
}
