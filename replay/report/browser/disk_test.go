package browser

import (
	"fmt"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay/trace"
)

// diskAt is the disk behind an entry, from the first on.
func diskAt(t *trace.Trace, n int) *trace.Disk {
	d := new(trace.Disk)
	for _, e := range t.Entries[:n+1] {
		d.Apply(e.Changes)
	}
	return d
}

// states is the cells behind an entry of each file that is there, or went with it, a letter
// for each: those of file 2 as "2:DDP".
func states(t *trace.Trace, n int) (list []string) {
	d := diskAt(t, n)
	for number, f := range d.Files {
		shown := slices.ContainsFunc(t.Entries[n].Changes, func(c trace.Change) bool { return c.File == number })
		shown = shown || slices.ContainsFunc(f.Cells, func(c trace.Piece) bool { return letter(c.State) != "-" })
		for _, name := range d.Names {
			shown = shown || name.File == number
		}
		if !shown || len(f.Cells) == 0 {
			continue
		}
		text := fmt.Sprintf("%d:", number)
		for _, c := range f.Cells {
			text += letter(c.State)
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

func letter(s trace.State) string {
	if s == trace.Gone || s == "" {
		return "-"
	}
	return strings.ToUpper(string(s)[:1])
}

// pending lists what a power loss may take behind an entry, as the page words it.
func pending(t *trace.Trace, n int) (list []string) {
	cell := int64(t.Header.Cell)
	for _, c := range diskAt(t, n).Pending() {
		text := ""
		switch c.Of {
		case trace.OfName:
			text = "the name " + c.Path
			if c.Removal {
				text = "the removal of the name " + c.Path
			}
		case trace.OfSize:
			text = fmt.Sprintf("the size %s of %s", thousands(c.Size), c.Path)
		case trace.OfCells:
			text = fmt.Sprintf("cell %d of %s", c.From, c.Path)
			if c.To > c.From+1 {
				text = fmt.Sprintf("cells %d–%d of %s", c.From, c.To-1, c.Path)
			}
			text += fmt.Sprintf(", bytes %s–%s", thousands(int64(c.From)*cell), thousands(int64(c.To)*cell-1))
		}
		by := c.By
		for at := n; by == 0; at-- { // nobody wrote it: who made the file so long, say
			if slices.ContainsFunc(t.Entries[at].Changes, func(e trace.Change) bool {
				return e.Of == c.Of && e.File == c.File && (c.Of != trace.OfName || e.Path == c.Path) && e.From <= c.From && c.To <= e.To
			}) {
				by = at
			}
		}
		list = append(list, fmt.Sprintf("%s made by entry %d", text, by))
	}
	slices.Sort(list)
	return list
}

// worst is states, with one letter for as many cells as a square stands for.
func worst(t *trace.Trace, n int) (list []string) {
	const order = "GTLPKD-"
	for _, text := range states(t, n) {
		number, cells, _ := strings.Cut(text, ":")
		per := max(1, (len(cells)+255)/256)
		short := ""
		for part := range slices.Chunk([]byte(cells), per) {
			short += string(slices.MinFunc(part, func(a, b byte) int { return strings.IndexByte(order, a) - strings.IndexByte(order, b) }))
		}
		list = append(list, number+":"+short)
	}
	slices.Sort(list)
	return list
}

// thousands writes a number as people read it, from 0 on.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
