package synclab

import (
	"fmt"
	"strings"

	"github.com/untorn-db/untorn/replay/card"
)

// Cards are the failures of a cell, for somebody who has never seen the project.
// replay is a line for a shell that finds them again.
func (t *Table) Cards(c *Cell, replay string) (list []card.Card) {
	for i, f := range c.Bad {
		one := card.Card{
			What:    t.Program + " on " + t.Disk + ", " + c.place(),
			Promise: "when a sync fails, what was acknowledged before is there all the same, what was not may be lost, and nothing else is served",
			Cause:   "one sync failed, and what the program then did or said could have been avoided",
			Plan: []card.Step{
				{Text: "story: " + f.Story},
				{Mark: card.Happens, Text: "fault: " + f.Fault},
				{Text: c.goesOn()},
			},
			Found: f.Err, Replay: replay,
		}
		if f.Crash == "none" {
			one.Plan = append(one.Plan, card.Step{Text: "no crash is needed"})
		} else {
			for crash := range strings.SplitSeq(f.Crash, " | ") {
				one.Plan = append(one.Plan, card.Step{Mark: card.Happens, Text: "crash: " + crash})
			}
		}
		if i == 0 && c.BadAll > 1 {
			one.Came = fmt.Sprintf("%d failures like this, of which %d are shown", c.BadAll, len(c.Bad))
		}
		list = append(list, one)
	}
	return list
}

// goesOn says what the program does about the failure.
func (c *Cell) goesOn() string {
	text := "the program keeps its handle"
	if c.Reopened {
		text = "the program closes the store, and opens it again"
	}
	if c.Retries {
		text += ", and submits what failed again"
	} else {
		text += ", and gives up what failed"
	}
	if c.Restart {
		return text + "; then its process is restarted, and the power goes later"
	}
	return text + "; then the power goes"
}
