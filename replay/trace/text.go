package trace

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Width is how many columns a text has at most.
const Width = 120

// View says what of a trace a text shows. Its zero value shows all, without colours.
type View struct {
	Life  int    // 1: life 0 only, and so on; 0: all
	Kinds []Kind // what else there is but headings, crashes and the verdict; nil: all
	// Color marks what failed, crashed, is pending or was lost with ANSI escapes.
	Color bool
}

// shows reports whether a line is asked for.
func (v View) shows(e *Entry) bool {
	return (v.Life == 0 || e.Life == v.Life-1) && (v.Kinds == nil || slices.Contains(v.Kinds, e.Kind))
}

// ANSI colours.
const (
	plain  = ""
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	gray   = "90"
)

// paper is where a text goes.
type paper struct {
	out   *bufio.Writer
	color bool
	start time.Time
	disk  Disk
	cell  int
}

func newPaper(w io.Writer, color bool) *paper {
	return &paper{out: bufio.NewWriter(w), color: color, cell: 1}
}

// ink colours what is not empty.
func (p *paper) ink(color, text string) string {
	if !p.color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// line prints one line, cut to the width.
func (p *paper) line(color, text string) {
	fmt.Fprintln(p.out, p.ink(color, cut(harmless(text), Width)))
}

// harmless is a text without what controls a terminal.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// cut shortens a text to n columns.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n-1, 0)]) + "…"
}

// wrap prints a text over several lines, those behind the first indented.
func (p *paper) wrap(color, head, text string) {
	text = harmless(text)
	width := Width - utf8.RuneCountInString(head)
	for text != "" || head != "" {
		part := text
		if utf8.RuneCountInString(text) > width {
			part = string([]rune(text)[:width])
			if at := strings.LastIndexByte(part, ' '); at > width/2 {
				part = part[:at]
			}
		}
		text = strings.TrimPrefix(text[len(part):], " ")
		fmt.Fprintln(p.out, p.ink(color, head+part))
		if head = strings.Repeat(" ", utf8.RuneCountInString(head)); text == "" {
			return
		}
	}
}

// Text prints a trace for a person: an entry a line, at most Width columns wide,
// steps as headings, and behind each crash what became of what was pending.
func (t *Trace) Text(w io.Writer, v View) error {
	p := newPaper(w, v.Color)
	p.cell = t.Header.Cell
	p.head(t)
	digests := map[[2]int]string{} // by life and step
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Digest != "" {
			digests[[2]int{e.Life, e.Step}] = e.Digest
		}
		if at, err := time.Parse(time.RFC3339Nano, e.Time); err == nil && p.start.IsZero() {
			p.start = at
		}
	}
	life, crashes := -1, 0
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Kind == Crash {
			crashes++
		}
		if v.Life == 0 || e.Life == v.Life-1 {
			if e.Life != life {
				life = e.Life
				p.life(life)
			}
			switch {
			case e.Kind == Step && v.shows(e):
				p.step(e, digests[[2]int{e.Life, e.Step}])
			case e.Kind == Crash:
				p.crash(e, crashes)
			case e.Kind == Verdict:
				p.verdict(t, e)
			case v.shows(e):
				p.entry(e)
			}
		}
		p.disk.Apply(e.Changes)
	}
	return p.out.Flush()
}

// head prints what the run was and how it ended, and the legend.
func (p *paper) head(t *Trace) {
	h := &t.Header
	crashes := 0
	for i := range t.Entries {
		if t.Entries[i].Kind == Crash {
			crashes++
		}
	}
	title := "trace of " + h.Scenario + " on " + h.Disk
	if h.Seed != 0 {
		title += fmt.Sprintf(", seed %d", h.Seed)
	}
	p.line(bold, fmt.Sprintf("%s: %s, %s", title, count(len(t.Entries), "entry", "entries"), count(crashes, "crash", "crashes")))
	p.line(gray, "   n     time cl  > < call, answer   . point   o opened   w s n write, sync, name   ! fault   [what the disk has now]")
	p.line(gray, "  (pending: a power loss may take it; durable: it may not; a cell is "+count(h.Cell, "byte", "bytes")+"; x: it failed)")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// bar is a line across the page.
func bar(mark, text string) string {
	head := strings.Repeat(mark, 2) + " " + text + " "
	return head + strings.Repeat(mark, max(Width-utf8.RuneCountInString(head), 0))
}

func (p *paper) life(n int) {
	text := "life 0: the workload"
	if n > 0 {
		text = fmt.Sprintf("life %d: behind crash %d", n, n)
	}
	p.line(plain, "")
	p.line(bold, bar("-", text))
}

// step prints a heading, with the digest of the step at its right end.
func (p *paper) step(e *Entry, digest string) {
	p.line(plain, "")
	text := cut(e.Text, Width-18)
	if digest != "" {
		text += strings.Repeat(" ", Width-16-utf8.RuneCountInString(text)) + digest
	}
	p.line(bold, text)
}

// lane is the mark of an entry, and the column of it.
func lane(e *Entry) (mark string, column int, color string) {
	switch e.Kind {
	case Call:
		return ">", 0, blue
	case Answer:
		return "<", 0, green
	case Point:
		return ".", 1, gray
	case Opened:
		return "o", 1, green
	case Fault:
		return "!", 3, red
	case Op:
		switch e.Op.Verb {
		case "write", "truncate", "open-truncate", "preallocate":
			return "w", 2, plain
		case "sync", "syncdata", "syncdir":
			return "s", 2, yellow
		}
		return "n", 2, plain
	}
	return " ", 0, plain
}

// entry prints one line.
func (p *paper) entry(e *Entry) {
	when := ""
	if at, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		when = clock(at.Sub(p.start))
	}
	mark, column, color := lane(e)
	if e.Failed {
		color = red
	}
	failed := " "
	if e.Failed {
		failed = "x"
	}
	lanes := strings.Repeat(" ", column) + mark + strings.Repeat(" ", 3-column)
	head := fmt.Sprintf("%5d %8s %2s %s%s", e.N, cut(when, 8), cut(e.Client, 2), lanes, failed)
	disk := summary(e.Changes)
	text := e.Text
	if disk != "" {
		disk = "  [" + cut(disk, 48) + "]"
	}
	room := Width - utf8.RuneCountInString(head) - 1 - utf8.RuneCountInString(disk)
	line := harmless(head + " " + cut(text, room))
	fmt.Fprintln(p.out, p.ink(color, line)+p.ink(yellow, disk))
}

// clock is a time since the beginning, in eight columns if it is not very long.
func clock(d time.Duration) string {
	unit := time.Second
	switch size := d.Abs(); {
	case size < time.Millisecond:
		unit = time.Microsecond
	case size < time.Second:
		unit = 10 * time.Microsecond
	case size < time.Hour:
		unit = time.Millisecond
	}
	return d.Round(unit).String()
}

// summary counts what became of the disk.
func summary(changes []Change) string {
	var parts []string
	for _, state := range States() {
		names, sizes, cells := 0, 0, 0
		for _, c := range changes {
			if c.State != state {
				continue
			}
			switch c.Of {
			case OfName:
				names++
			case OfSize:
				sizes++
			case OfCells:
				cells += c.To - c.From
			}
		}
		var words []string
		add := func(n int, one, many string) {
			if n > 0 {
				words = append(words, count(n, one, many))
			}
		}
		add(names, "name", "names")
		add(sizes, "size", "sizes")
		add(cells, "cell", "cells")
		if words != nil {
			parts = append(parts, strings.Join(words, ", ")+" "+string(state))
		}
	}
	return strings.Join(parts, "; ")
}

// mostLines is how many pieces of a disk are listed behind a crash.
const mostLines = 60

// crash prints what cannot be missed.
func (p *paper) crash(e *Entry, n int) {
	p.line(plain, "")
	p.line(red, bar("=", fmt.Sprintf("CRASH %d", n)))
	p.wrap(red, "   ", e.Text)
	if e.Line != "" {
		p.wrap(gray, "   crash line  ", e.Line)
	}
	list := e.Changes
	if len(list) == 0 {
		if list = p.disk.Pending(); len(list) > 0 {
			p.line(plain, "   nothing was taken; a power loss may still take")
		} else {
			p.line(plain, "   nothing was pending")
		}
	}
	for i, c := range list {
		if i == mostLines {
			p.line(plain, fmt.Sprintf("   … and %d more", len(list)-i))
			break
		}
		color := plain
		switch c.State {
		case Lost, Torn, Garbage, Gone:
			color = red
		case Kept:
			color = green
		case Pending:
			color = yellow
		}
		p.line(color, fmt.Sprintf("   %-8s %s", c.State, p.piece(c)))
	}
	p.line(red, strings.Repeat("=", Width))
}

// piece says what a change is of, and which entry made it.
func (p *paper) piece(c Change) string {
	text := "the name " + c.Path
	switch {
	case c.Of == OfName && c.Removal:
		text = "the removal of the name " + c.Path
	case c.Of == OfSize:
		text = fmt.Sprintf("the size of %s, now %s", c.Path, count(int(c.Size), "byte", "bytes"))
	case c.Of == OfCells && c.To == c.From+1:
		text = fmt.Sprintf("cell %d of %s, bytes %d-%d", c.From, c.Path, c.From*p.cell, c.To*p.cell-1)
	case c.Of == OfCells:
		text = fmt.Sprintf("cells %d-%d of %s, bytes %d-%d", c.From, c.To-1, c.Path, c.From*p.cell, c.To*p.cell-1)
	}
	if c.By > 0 {
		text += fmt.Sprintf(", made by %d", c.By)
	}
	return text
}

func (p *paper) verdict(t *Trace, e *Entry) {
	p.line(plain, "")
	if !e.Failed {
		p.line(green, bar("-", "VERDICT"))
		p.wrap(green, "   ", e.Text)
		return
	}
	h := &t.Header
	p.line(red, bar("=", "VERDICT"))
	promise := h.Promise
	if h.Invariant != "" {
		promise = h.Invariant + ": " + promise
	}
	p.wrap(red, "   broken    ", promise)
	p.wrap(plain, "   expected  ", h.Expected)
	p.wrap(plain, "   found     ", h.Found)
}
