package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay"
)

// Run writes a page about a sweep.
func Run(w io.Writer, rows []replay.Row) error {
	p := newRunPage(rows)
	return write(w, "run.html", &p.page, p, "common.js", "run.js")
}

type runPage struct {
	page
	Violated   int64
	Missed     bool
	Totals     []count
	Rows       []replay.Row
	Violations []violation
	More       int64 // violations that no row describes
	Unreached  []unreached
	Scenarios  []string
	Disks      []string
}

type violation struct {
	Scenario, Disk string
	replay.Violation
}

type unreached struct {
	Scenario, Disk string
	Names          []string
	Missed         bool // with seeds enough to tell
}

func newRunPage(rows []replay.Row) *runPage {
	p := &runPage{Rows: rows}
	var sum replay.Row
	for i := range rows {
		r := &rows[i]
		sum.Seeds += r.Seeds
		sum.Steps += r.Steps
		sum.CrashPoints += r.CrashPoints
		sum.Images += r.Images
		sum.ImagesUnique += r.ImagesUnique
		sum.Recoveries += r.Recoveries
		sum.FaultsFired += r.FaultsFired
		sum.Violated += r.Violated
		p.Missed = p.Missed || r.Missed()
		for _, v := range r.Violations {
			p.Violations = append(p.Violations, violation{r.Scenario, r.Disk, v})
		}
		if len(r.Unreached) > 0 {
			p.Unreached = append(p.Unreached, unreached{r.Scenario, r.Disk, r.Unreached, r.Missed()})
		}
		p.Scenarios = once(p.Scenarios, r.Scenario)
		p.Disks = once(p.Disks, r.Disk)
	}
	p.Violated = sum.Violated
	p.More = max(0, sum.Violated-int64(len(p.Violations)))
	p.Totals = []count{
		{"runs of a seed", sum.Seeds}, {"steps", sum.Steps}, {"crash points", sum.CrashPoints},
		{"images tried", sum.Images}, {"unique images", sum.ImagesUnique}, {"recoveries", sum.Recoveries},
		{"faults fired", sum.FaultsFired},
	}
	p.Title = "sweep of " + strings.Join(p.Scenarios, ", ")
	if len(p.Scenarios) > 3 {
		p.Title = fmt.Sprintf("sweep of %d scenarios", len(p.Scenarios))
	}
	switch {
	case p.Violated == 1:
		p.Title += ": 1 violation"
	case p.Violated > 0:
		p.Title += fmt.Sprintf(": %d violations", p.Violated)
	case p.Missed:
		p.Title += ": something was never reached"
	default:
		p.Title += ": every promise was kept"
	}
	p.Data = newRunData(rows, p.Scenarios, p.Disks)
	return p
}

func once(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

// runData is what the script draws: of each row what can be filtered. Seeds are texts,
// since a script's numbers do not hold all of them.
type runData struct {
	Scenarios []string `json:"scenarios"`
	Disks     []string `json:"disks"`
	Rows      []runRow `json:"rows"`
}

type runRow struct {
	Scenario   string           `json:"scenario"`
	Disk       string           `json:"disk"`
	Seeds      int64            `json:"seeds"`
	Crashed    []replay.Crashed `json:"crashed"`
	Coverage   []replay.Covered `json:"coverage"`
	Behaviours []behaviour      `json:"behaviours"`
	Slowest    []slow           `json:"slowest"`
	Reached    map[string]int64 `json:"reached"`
}

type behaviour struct {
	Name string `json:"name"`
	Seed uint64 `json:"seed,string"`
}

type slow struct {
	Seed    uint64  `json:"seed,string"`
	Seconds float64 `json:"seconds"`
}

func newRunData(rows []replay.Row, scenarios, disks []string) *runData {
	d := &runData{Scenarios: append([]string{}, scenarios...), Disks: append([]string{}, disks...), Rows: []runRow{}}
	for i := range rows {
		r := &rows[i]
		own := runRow{
			Scenario: r.Scenario, Disk: r.Disk, Seeds: r.Seeds, Crashed: append([]replay.Crashed{}, r.Crashed...),
			Coverage: append([]replay.Covered{}, r.Coverage...), Behaviours: []behaviour{}, Slowest: []slow{}, Reached: r.Reached,
		}
		if own.Reached == nil {
			own.Reached = map[string]int64{}
		}
		for _, b := range r.Behaviours {
			own.Behaviours = append(own.Behaviours, behaviour(b))
		}
		for _, s := range r.Slowest {
			own.Slowest = append(own.Slowest, slow(s))
		}
		d.Rows = append(d.Rows, own)
	}
	return d
}
