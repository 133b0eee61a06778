package report

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/trace"
)

const (
	// MaxBytes is how many bytes of writes a page shows. Those behind them are cut to
	// the first shortBytes of each.
	MaxBytes   = 8 << 20
	shortBytes = 64
)

// Plan writes a page about what the run of a plan did. Why is the card of what failed
// in it: what decides about it takes many runs, and is not in a trace. It is nil where
// nothing failed, or nobody has looked. Plan fails where the entries of the trace are
// not numbered from 0 on, or w does.
func Plan(w io.Writer, t *trace.Trace, why *card.Card) error {
	for i := range t.Entries {
		if n := t.Entries[i].N; n != i {
			return fmt.Errorf("make a page: entry %d of the trace says that it is %d: record the plan again", i, n)
		}
	}
	p := newPlanPage(t, why)
	return write(w, "plan.html", &p.page, p, "common.js", "disk.js", "lanes.js", "plan.js")
}

type planPage struct {
	page
	trace.Header
	Broken   bool
	Shown    string // by the log, "" where that is not known
	Why      string // what decides, the same
	Lines    []planLine
	File     string       // what the plan would be saved as
	Download template.URL // its text
	Whole    string       // a command that runs all that the seed draws, "" where there is no seed
	Counts   []count
	Short    bool // of some writes not all bytes are there
}

// planLine is a line of a plan.
type planLine struct {
	Word string // the first of it: step, fault, crash, …; # for a comment
	Step string // the number of a step, "" of another line
	Rest string
}

type count struct {
	Name  string
	Times int64
}

func newPlanPage(t *trace.Trace, why *card.Card) *planPage {
	h := t.Header
	p := &planPage{Header: h, Broken: broken(t), File: "failure.plan"}
	p.Title = fmt.Sprintf("%s on %s: every promise was kept", h.Scenario, h.Disk)
	if p.Broken {
		p.Title = fmt.Sprintf("%s on %s: %s", h.Scenario, h.Disk, h.Invariant+" is broken")
		if h.Invariant == "" {
			p.Title = fmt.Sprintf("%s on %s: a promise is broken", h.Scenario, h.Disk)
		}
	}
	if why != nil {
		if len(why.Promised) > 0 {
			p.Expected = few(why.Promised)
		}
		p.Found, p.Shown, p.Why = why.Found, few(why.Shown), few([]string{why.Cause, why.Else})
	}
	if parsed, err := plan.Parse([]byte(h.Plan)); err == nil {
		p.File = replay.FileName(parsed, "")
	}
	p.Download = template.URL("data:text/plain;base64," + base64.StdEncoding.EncodeToString([]byte(h.Plan)))
	if h.Seed != 0 {
		p.Whole = fmt.Sprintf("go run ./cmd/untorn-sim replay %d --scenario %s --disk %s", h.Seed, h.Scenario, h.Disk)
	}
	p.Lines = planLines(h.Plan)
	p.Counts = counts(t)
	var data *planData
	data, p.Short = newPlanData(t)
	p.Data = data
	return p
}

// few are the first of some lines, without those that are empty.
func few(lines []string) string {
	const most = 8
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return line == "" })
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more: untorn-sim replay --json has them", more))
	}
	return strings.Join(lines, "\n")
}

// broken reports whether the run broke a promise.
func broken(t *trace.Trace) bool {
	if t.Header.Invariant != "" || t.Header.Found != "" {
		return true
	}
	n := len(t.Entries)
	return n > 0 && t.Entries[n-1].Kind == trace.Verdict && t.Entries[n-1].Failed
}

func planLines(text string) []planLine {
	var list []planLine
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		word, rest, found := strings.Cut(line, " ")
		l := planLine{Word: word}
		if found {
			l.Rest = " " + rest
		}
		if word == "step" {
			l.Step, rest, _ = strings.Cut(rest, " ")
			l.Rest = " " + rest
		}
		list = append(list, l)
	}
	return list
}

func counts(t *trace.Trace) []count {
	of := map[trace.Kind]int64{}
	lives := map[int]bool{}
	steps := map[int]bool{}
	for i := range t.Entries {
		e := &t.Entries[i]
		of[e.Kind]++
		lives[e.Life] = true
		if e.Life == 0 && e.Step != 0 {
			steps[e.Step] = true
		}
	}
	list := []count{
		{"steps", int64(len(steps))}, {"calls", of[trace.Call]}, {"file operations", of[trace.Op]},
		{"faults", of[trace.Fault]}, {"crashes", of[trace.Crash]}, {"lives", int64(len(lives))},
	}
	for i := range list {
		if list[i].Times == 1 {
			list[i].Name = strings.TrimSuffix(list[i].Name, "s")
			list[i].Name = strings.Replace(list[i].Name, "crashe", "crash", 1)
			list[i].Name = strings.Replace(list[i].Name, "live", "life", 1)
		}
	}
	return list
}

// planData is what the script draws.
type planData struct {
	Cell    int      `json:"cell"`
	Disk    string   `json:"disk"`
	Callers []string `json:"callers"` // source lines, each once
	Entries []entry  `json:"entries"`
}

// entry is an entry of a trace, except that its source lines are places in
// planData.Callers, and that not all bytes of a write may be there.
type entry struct {
	trace.Entry
	Op      *trace.Operation `json:"op,omitempty"`
	Callers []int            `json:"callers,omitempty"`
}

// newPlanData takes over what the page has room for.
func newPlanData(t *trace.Trace) (d *planData, short bool) {
	d = &planData{Cell: max(1, t.Header.Cell), Disk: t.Header.Disk, Callers: []string{}, Entries: make([]entry, 0, len(t.Entries))}
	place := map[string]int{}
	room := MaxBytes
	for _, e := range t.Entries {
		own := entry{Entry: e}
		if e.Op != nil {
			op := *e.Op
			for _, line := range op.Callers {
				i, ok := place[line]
				if !ok {
					i = len(d.Callers)
					place[line] = i
					d.Callers = append(d.Callers, line)
				}
				own.Callers = append(own.Callers, i)
			}
			op.Callers = nil
			if len(op.Data) > room && len(op.Data) > shortBytes {
				op.Data = op.Data[:shortBytes]
				short = true
			}
			room = max(0, room-len(op.Data))
			own.Op = &op
		}
		d.Entries = append(d.Entries, own)
	}
	return d, short
}
