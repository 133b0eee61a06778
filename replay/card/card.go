package card

import (
	"fmt"
	"strings"
)

// The bounds of a text.
const (
	Lines   = 40
	Columns = 120
)

// Card is one failure. All of it but What may be empty: what is empty is not shown.
type Card struct {
	What      string // what has failed, in a few words: "batch on posix"
	Headline  string // the first line, where it is another than these words make
	Invariant string // the number of the promise that is broken, such as "I1"
	Promise   string // … in words
	Cause     string // why, in one sentence
	Else      string // what decides besides, and what would have held otherwise
	Plan      []Step // the fewest steps that break it, in their order
	// Promised is what was known to be durable when it failed, and Shown what was
	// there instead.
	Promised, Shown []string
	// Expected and Found are the first thing in which the two differ.
	Expected, Found string
	Notes           []Note // what else there is to be told, in this order
	Came            string // how often it came

	File   string // where the plan is
	Replay string // a line for a shell that breaks it again
	Report string // … that draws it
	Trace  string // … that lists all that happened
	All    string // how to see what a text leaves out, in words
	// Source is the line of the program that decides, "" where it is not known.
	Source     string // path from the root of the repository
	SourceLine int    // from 1
}

// Step is a line of a plan.
type Step struct {
	Mark Mark
	Text string
}

// Mark says what a line of a plan is.
type Mark byte

// The marks. A text shows them before the line.
const (
	Plain   Mark = 0   // a step, or a setting
	Decides Mark = '>' // a step that the failure comes in, or whose bytes were lost
	Happens Mark = '!' // a crash or a fault
)

// Note is text with a name of one word, of at most 8 letters.
type Note struct {
	Name, Text string
}

// Title is the first line of the text: what has failed, and how.
func (c Card) Title() string {
	text := "FAIL " + c.What
	switch {
	case c.Headline != "":
		text = c.Headline
	case c.Invariant != "":
		text += ": " + c.Invariant + " is broken"
	case c.Promise != "":
		text += ": a promise is broken"
	}
	return fit(visible(text), Columns)
}

// where the texts begin, and how wide they are.
const (
	margin = 12
	width  = Columns - margin
)

// Text is the card for a terminal, with a newline at its end.
func (c Card) Text() string { return c.text(Lines) }

// field is a part of a text.
type field struct {
	name  string
	lines []string
	least int // so many lines are left when there is not enough room
	// shorter is of the plan, whose lines begin with their marks: it gives n of them.
	shorter func(n int) []string
}

// text is the card in at most so many lines, which must be enough for the least of
// all fields.
func (c Card) text(limit int) string {
	var fields []*field
	add := func(name, text string, least int) {
		if lines := wrap(text); len(lines) > 0 {
			fields = append(fields, &field{name: name, lines: lines, least: min(least, len(lines))})
		}
	}
	command := func(name, text string) {
		if text != "" {
			lines := commandLines(text)
			fields = append(fields, &field{name: name, lines: lines, least: len(lines)})
		}
	}
	promise := c.Promise
	if promise != "" && c.Invariant != "" {
		promise += " (" + c.Invariant + ")"
	}
	add("promise", promise, 2)
	add("cause", c.Cause, 4)
	add("else", c.Else, 2)
	if len(c.Plan) > 0 {
		shorter := func(n int) []string { return c.plan(n) }
		lines := c.plan(limit)
		fields = append(fields, &field{name: "plan", lines: lines, least: min(6, len(lines)), shorter: shorter})
	}
	add("promised", strings.Join(c.Promised, "\n"), 2)
	add("shown", strings.Join(c.Shown, "\n"), 2)
	add("expected", c.Expected, 2)
	add("found", c.Found, 3)
	for i, note := range c.Notes {
		if i == mostNotes-1 && len(c.Notes) > mostNotes {
			add("more", fmt.Sprintf("%d things%s", len(c.Notes)-i, c.seeAll()), 1)
			break
		}
		add(fit(visible(note.Name), margin-4), note.Text, 1)
	}
	add("came", c.Came, 1)
	if c.File != "" {
		fields = append(fields, &field{name: "file", lines: []string{middle(visible(c.File), width)}, least: 1})
	}
	command("replay", c.Replay)
	command("report", c.Report)
	command("trace", c.Trace)
	c.shorten(fields, limit-1)

	var b strings.Builder
	b.WriteString(c.Title() + "\n")
	for _, f := range fields {
		name := f.name
		for _, line := range f.lines {
			mark := "  "
			if f.shorter != nil {
				mark, line = line[:2], line[2:]
			}
			pad := strings.Repeat(" ", margin-4-columns(name))
			b.WriteString(strings.TrimRight("  "+name+pad+mark+line, " ") + "\n")
			name = ""
		}
	}
	return b.String()
}

// mostNotes is how many notes a text shows.
const mostNotes = 6

// shorten takes lines away until the fields have at most so many, always from the
// one that has most of them to spare.
func (c Card) shorten(fields []*field, limit int) {
	total := 0
	want := make([]int, len(fields))
	for i, f := range fields {
		want[i] = len(f.lines)
		total += want[i]
	}
	for total > limit {
		most := -1
		for i, f := range fields {
			if want[i] > f.least && (most < 0 || want[i]-f.least > want[most]-fields[most].least) {
				most = i
			}
		}
		if most < 0 {
			panic("internal error: the least lines of a card are too many")
		}
		want[most]--
		total--
	}
	for i, f := range fields {
		switch {
		case want[i] == len(f.lines):
		case f.shorter != nil:
			f.lines = f.shorter(want[i])
		default:
			left := len(f.lines) - want[i] + 1
			rest := fmt.Sprintf("… %d more lines%s", left, c.seeAll())
			if want[i] == 1 { // the only line must say something
				rest = fit(f.lines[0], width/2) + " " + rest
			}
			f.lines = append(f.lines[:want[i]-1:want[i]-1], fit(rest, width))
		}
	}
}

// seeAll says how to see what was left out.
func (c Card) seeAll() string {
	if c.All == "" {
		return ""
	}
	return ": " + visible(c.All)
}

// plan is the steps in at most n lines, each with two columns for its mark before
// it: those that decide, and those around them.
func (c Card) plan(n int) []string {
	kept := map[int][]string{}
	keep := func(i int) bool {
		if i < 0 || i >= len(c.Plan) || kept[i] != nil {
			return true
		}
		kept[i] = planLines(c.Plan[i])
		if len(c.listed(kept, n+1)) <= n {
			return true
		}
		delete(kept, i)
		return false
	}
	// The last that happened first: it is what broke the promise.
	var marked []int
	for i := len(c.Plan) - 1; i >= 0 && len(marked) < Lines; i-- {
		if c.Plan[i].Mark != Plain {
			marked = append(marked, i)
		}
	}
	for _, i := range marked {
		keep(i)
	}
	keep(len(c.Plan) - 1)
	keep(0)
	for around, grew := 1, 1; around < Lines && around < grew+3; around++ { // three times in vain: it is full
		before := len(kept)
		for _, i := range append(marked, 0, len(c.Plan)-1) {
			if !keep(i-around) || !keep(i+around) {
				break
			}
		}
		if len(kept) > before {
			grew = around + 1
		}
	}
	return c.listed(kept, n+1)
}

// listed is what is kept of the plan, with what is not; at most so many lines are
// made.
func (c Card) listed(kept map[int][]string, most int) (lines []string) {
	last := -1
	gap := func(to int) {
		skipped := to - last - 1
		if skipped == 0 {
			return
		}
		text := fmt.Sprintf("… %d more steps", skipped)
		if skipped == 1 {
			text = "… 1 more step"
		}
		if c.File != "" {
			text = middle(text+": see "+visible(c.File), width)
		}
		lines = append(lines, "  "+text)
	}
	for _, i := range sorted(kept) {
		gap(i)
		lines = append(lines, kept[i]...)
		last = i
		if len(lines) > most {
			return lines
		}
	}
	gap(len(c.Plan))
	return lines
}

// planLines is a step with its mark: one line, and up to three of what happens.
func planLines(s Step) []string {
	mark := "  "
	if s.Mark != Plain {
		mark = string(s.Mark) + " "
	}
	if s.Mark != Happens {
		return []string{mark + fit(visible(s.Text), width)}
	}
	lines := wrap(s.Text)
	if len(lines) > 3 {
		lines = append(lines[:2:2], fit(lines[2]+" …", width))
	}
	if len(lines) == 0 {
		return []string{mark}
	}
	for i := range lines {
		lines[i] = mark + lines[i]
		mark = "  "
	}
	return lines
}
