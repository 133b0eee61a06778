package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/engine/graph/draw"
)

// table prints rows as they come: the width of each column is known before the first
// one, so a million rows need no memory.
//
//	     segment        size   first event  state
//	000000000001    64.0 MiB             1  sealed
type table struct {
	out     *bufio.Writer
	paint   color.Painter
	columns []column
}

// column is one of a table. A cell that is wider than its column moves the rest of its
// row.
type column struct {
	title string
	width int // in columns of a terminal, negative: to the left
}

// cell is a text that may go to a terminal, in a style.
type cell struct {
	text  string
	style color.Style
}

func plain(text string) cell { return cell{text: text} }
func number(n uint64) cell   { return plain(fmt.Sprint(n)) }
func dim(text string) cell   { return cell{text, color.Dim} }

// shown is a text out of a log, or a name of a file, quoted if it is none for a terminal.
func shown(text string) cell { return plain(string(appendVisible(nil, text))) }

func (t *table) head() {
	cells := make([]cell, len(t.columns))
	for i, c := range t.columns {
		cells[i] = dim(c.title)
	}
	t.row(cells...)
}

func (t *table) row(cells ...cell) {
	line := t.out.AvailableBuffer()
	pad := 0 // before the next cell, so that none stands at the end of a line
	for i, c := range cells {
		width := t.columns[i].width
		room := max(max(width, -width, draw.Width(t.columns[i].title))-draw.Width(c.text), 0)
		if c.text == "" {
			pad += room + 2
			continue
		}
		if width > 0 {
			pad += room
		}
		line = append(line, strings.Repeat(" ", pad)...)
		line = t.paint.Begin(line, c.style)
		line = append(line, c.text...)
		if c.style != color.Plain {
			line = t.paint.End(line)
		}
		if pad = 2; width <= 0 {
			pad += room
		}
	}
	t.out.Write(append(line, '\n'))
}

// bytesText is a number of bytes for people, as in "12.3 MiB".
func bytesText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1023.95 && unit < 5 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}

// spanText is how long something lasted for people, as in "3h25m": two units at most.
func spanText(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Truncate(time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// secondsText is a time to the second.
func secondsText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
