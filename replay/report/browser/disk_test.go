package browser

import (
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/replay/trace"
)

// disk is what a trace says of the files behind an entry, cell by cell: slow, and nothing
// like what the page does.
type disk map[int]*file

type file struct {
	path  string
	cells []cell
	size  int64
	state trace.State // of the size
	by    int
	names map[string]name
}

type cell struct {
	state trace.State
	by    int // of a pending one
	n     int // the entry that made it so
}

type name struct {
	state trace.State
	by    int
}

func diskAt(t *trace.Trace, n int) disk {
	d := disk{}
	for _, e := range t.Entries[:n+1] {
		for _, c := range e.Changes {
			f := d[c.File]
			if f == nil {
				f = &file{names: map[string]name{}, state: trace.Gone}
				d[c.File] = f
			}
			f.path = c.Path
			switch c.Of {
			case "cells":
				for len(f.cells) < c.To {
					f.cells = append(f.cells, cell{state: trace.Gone, n: -1})
				}
				for i := c.From; i < c.To; i++ {
					f.cells[i] = cell{c.State, c.By, e.N}
				}
			case "size":
				f.size, f.state, f.by = c.Size, c.State, c.By
			case "name":
				f.names[c.Path] = name{c.State, c.By}
			}
		}
	}
	return d
}

// states is the cells of each file that is shown, in a few letters: those of file 2 as
// "2:DDP".
func (d disk) states() (list []string) {
	for id, f := range d {
		if len(f.cells) == 0 || !f.shown() {
			continue
		}
		text := fmt.Sprintf("%d:", id)
		for _, c := range f.cells {
			text += letter(c.state)
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

// shown reports whether anything of a file is there.
func (f *file) shown() bool {
	for _, n := range f.names {
		if n.state != trace.Gone {
			return true
		}
	}
	return slices.ContainsFunc(f.cells, func(c cell) bool { return c.state != trace.Gone })
}

func letter(s trace.State) string {
	return map[trace.State]string{trace.Pending: "P", trace.Durable: "D", trace.Kept: "K", trace.Lost: "L", trace.Torn: "T", trace.Garbage: "G", trace.Gone: "-"}[s]
}

// pending lists what a power loss may take, as the page words it, in any order.
func (d disk) pending(size int) (list []string) {
	for _, f := range d {
		for path, n := range f.names {
			if n.state == trace.Pending {
				list = append(list, fmt.Sprintf("the name %s made by entry %d", path, n.by))
			}
		}
		if f.state == trace.Pending {
			list = append(list, fmt.Sprintf("the size %s of %s made by entry %d", thousands(f.size), f.path, f.by))
		}
		for i := 0; i < len(f.cells); i++ {
			from := i
			for i < len(f.cells) && f.cells[i].state == trace.Pending && f.cells[i].by == f.cells[from].by {
				i++
			}
			if i == from {
				continue
			}
			cells := fmt.Sprintf("cell %d", from)
			if i > from+1 {
				cells = fmt.Sprintf("cells %d–%d", from, i-1)
			}
			list = append(list, fmt.Sprintf("%s of %s, bytes %s–%s made by entry %d", cells, f.path, thousands(int64(from*size)), thousands(int64(i*size-1)), f.cells[from].by))
			i--
		}
	}
	slices.Sort(list)
	return list
}

// thousands is enough for the numbers of these tests.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
