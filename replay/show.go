package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

// Card is the failure for somebody who has never seen the project.
func (f Failure) Card() card.Card {
	c := card.Card{
		What: f.Scenario + " on " + f.Disk, Invariant: f.Invariant, Promise: invariant.Promise(f.Invariant),
		Cause: f.cause(), Else: f.Why.Else, Plan: f.steps(),
		Promised: f.Account.Promised, Shown: f.Account.Shown,
		Expected: f.Expected, Found: f.Found, Came: f.Came,
		File: f.File, Replay: f.Command(), All: "untorn-sim replay --json has them",
		Source: f.Why.Source,
	}
	note := func(name, text string) {
		if text != "" {
			c.Notes = append(c.Notes, card.Note{Name: name, Text: text})
		}
	}
	note("unstable", f.Unstable)
	switch {
	case f.Seed != 0 && f.Small != "":
		note("seed", fmt.Sprintf("%d, %s; all of it: %s", f.Seed, f.Small, f.whole()))
	case f.Seed != 0:
		note("seed", fmt.Sprint(f.Seed))
	default:
		note("plan was", f.Small)
	}
	note("page", f.Page)
	c.Notes = append(c.Notes, f.Notes...)
	if f.File != "" {
		c.Report, c.Trace = f.command("report", " -o report.html"), f.command("trace", "")
	}
	return c
}

// steps is the plan as it went, up to where it failed.
func (f Failure) steps() (list []card.Step) {
	add := func(mark card.Mark, text string) { list = append(list, card.Step{Mark: mark, Text: text}) }
	var set []string
	for _, kv := range f.Plan.Settings {
		if !searching(kv.Key) {
			set = append(set, kv.Key+" = "+kv.Value)
		}
	}
	if set != nil {
		add(card.Plain, "set "+strings.Join(set, ", "))
	}
	hits := map[int][]string{}
	for _, text := range f.Plan.Faults {
		step := faults.AnyStep
		if fault, err := faults.Parse(text); err == nil {
			step = fault.Step
		}
		if _, ok := f.Plan.Step(step); !ok {
			add(card.Happens, "fault in any step: "+text)
			continue
		}
		hits[step] = append(hits[step], text)
	}
	decides := map[int]bool{f.Step: true}
	for _, p := range f.Why.Lost {
		decides[p.Step] = true
	}
	left := 0
	for _, step := range f.Plan.Steps {
		if f.Step > 0 && step.Number > f.Step {
			left++
			continue
		}
		mark := card.Plain
		switch {
		case step.Verb == "crash" || step.Verb == "damage":
			mark = card.Happens
		case decides[step.Number]:
			mark = card.Decides
		}
		add(mark, strings.TrimPrefix(step.String(), "step "))
		for _, text := range hits[step.Number] {
			add(card.Happens, "fault: "+text)
		}
	}
	for i, crash := range f.Plan.Crashes {
		if i < len(f.Happened) {
			crash = f.Happened[i]
		} else {
			crash = "crash " + crash
		}
		add(card.Happens, crash)
		text := "the log is opened on what is left, and checked"
		if i < len(f.Plan.Crashes)-1 {
			text += ", which appends an event"
		}
		add(card.Plain, text)
	}
	switch {
	case len(f.Plan.Crashes) > 0:
	case left == 1:
		add(card.Plain, "(one more step is not reached)")
	case left > 1:
		add(card.Plain, fmt.Sprintf("(%d more steps are not reached)", left))
	}
	return list
}

// searching reports whether a setting only says how much is tried.
func searching(key string) bool {
	return slices.Contains([]string{"images", "deviation", "samples", "exhaustive", "perpoint", "leaves", "lazy", "depth", "kinds", "allpoints", "operations"}, key)
}
