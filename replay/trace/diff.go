package trace

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Context is how many entries a difference shows before and behind it.
const Context = 4

// Difference is the first entry in which two traces are not the same.
type Difference struct {
	// Headers says where the runs were not of the same kind, what explains most
	// first: the scenario, the disk, the plan.
	Headers []string
	// Entry is the first that differs; -1: only the headers do.
	Entry int
	Life  int
	Step  int // that it belongs to, 0 for none
	// A and B are the two; nil where a trace has ended.
	A, B *Entry
	// Fields are what differs of them, "text", "time", "disk" …; nil where one is nil.
	Fields []string
	// Before are the last entries that are the same, and BehindA and BehindB what
	// comes next; Context of each at most.
	Before, BehindA, BehindB []Entry
	// Heading is the entry of the step, nil for none.
	Heading *Entry

	cell, data int // bytes of a cell; the first byte of the data that differs
}

// Diff returns the first difference of two traces, nil where there is none. Source
// lines do not count: those of two versions of a program are not the same. Nor do
// times where the seeds differ, since the clocks do from the beginning.
func Diff(a, b *Trace) *Difference {
	d := &Difference{Headers: headers(&a.Header, &b.Header), Entry: -1, cell: a.Header.Cell}
	for i := range max(len(a.Entries), len(b.Entries)) {
		var fields []string
		both := i < len(a.Entries) && i < len(b.Entries)
		if both {
			fields = differing(&a.Entries[i], &b.Entries[i])
			if a.Header.Seed != b.Header.Seed {
				fields = slices.DeleteFunc(fields, func(f string) bool { return f == "time" })
			}
			if len(fields) == 0 {
				continue
			}
		}
		d.Entry, d.Fields = i, fields
		at := func(t *Trace) (e *Entry, behind []Entry) {
			if i >= len(t.Entries) {
				return nil, nil
			}
			return &t.Entries[i], t.Entries[i+1 : min(i+1+Context, len(t.Entries))]
		}
		d.A, d.BehindA = at(a)
		d.B, d.BehindB = at(b)
		if slices.Contains(fields, "data") {
			for x, y := d.A.Op.Data, d.B.Op.Data; d.data < min(len(x), len(y)) && x[d.data] == y[d.data]; {
				d.data++
			}
		}
		first := cmp.Or(d.A, d.B)
		d.Life, d.Step = first.Life, first.Step
		d.Before = a.Entries[max(i-Context, 0):i]
		for k := i; k >= 0 && d.Step > 0; k-- {
			for _, t := range []*Trace{a, b} {
				if k < len(t.Entries) && t.Entries[k].Kind == Step && t.Entries[k].Step == d.Step && d.Heading == nil {
					d.Heading = &t.Entries[k]
				}
			}
		}
		return d
	}
	if d.Headers == nil {
		return nil
	}
	return d
}

// headers says where two headers differ.
func headers(a, b *Header) (list []string) {
	say := func(what string, x, y any) {
		if x != y {
			list = append(list, fmt.Sprintf("%s: %v and %v", what, x, y))
		}
	}
	say("the scenarios differ", a.Scenario, b.Scenario)
	say("the disks differ", a.Disk, b.Disk)
	say("the cells differ, in bytes", a.Cell, b.Cell)
	if a.Seed != 0 && b.Seed != 0 { // a plan need not say which it came from
		say("the seeds differ", a.Seed, b.Seed)
	}
	if x, y := instructions(a.Plan), instructions(b.Plan); !slices.Equal(x, y) {
		for i := range max(len(x), len(y)) {
			line := func(l []string) string {
				if i < len(l) {
					return l[i]
				}
				return "no more"
			}
			if line(x) != line(y) {
				list = append(list, fmt.Sprintf("the plans differ, first in %q and %q", cut(line(x), Width/3), cut(line(y), Width/3)))
				break
			}
		}
	}
	return list
}

// instructions are the lines of a plan that say what is done: no comment, and not what
// came of it.
func instructions(plan string) []string {
	return slices.DeleteFunc(strings.Split(plan, "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "digest ") || strings.HasPrefix(line, "seed ")
	})
}

// differing names the fields that are not the same.
func differing(a, b *Entry) (fields []string) {
	field := func(name string, same bool) {
		if !same {
			fields = append(fields, name)
		}
	}
	field("life", a.Life == b.Life)
	field("step", a.Step == b.Step)
	field("client", a.Client == b.Client)
	field("kind", a.Kind == b.Kind)
	field("text", a.Text == b.Text)
	field("failed", a.Failed == b.Failed)
	field("crash line", a.Line == b.Line)
	field("time", a.Time == b.Time)
	switch {
	case a.Op == nil || b.Op == nil:
		field("operation", a.Op == b.Op)
	default:
		x, y := *a.Op, *b.Op
		field("data", bytes.Equal(x.Data, y.Data))
		x.Data, y.Data, x.Callers, y.Callers = nil, nil, nil, nil
		field("operation", sameOperation(x, y))
	}
	field("disk", slices.Equal(a.Changes, b.Changes))
	field("digest", a.Digest == b.Digest)
	return fields
}

// sameOperation compares what is left of two operations.
func sameOperation(a, b Operation) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// Text prints a difference, A above B, in lines of at most Width columns. a and b
// are what to call the two.
func (d *Difference) Text(w io.Writer, a, b string, color bool) error {
	p := newPaper(w, color)
	p.cell = d.cell
	for _, h := range d.Headers {
		p.wrap(yellow, "", h)
	}
	if d.Entry < 0 {
		p.line(plain, "all entries are the same")
		return p.out.Flush()
	}
	where := fmt.Sprintf("the first entry that differs is %d, in life %d", d.Entry, d.Life)
	if d.Step > 0 {
		where += fmt.Sprintf(", step %d", d.Step)
	}
	if d.Fields != nil {
		where += ": " + strings.Join(d.Fields, ", ")
	}
	p.wrap(bold, "", where)
	if d.Heading != nil {
		p.line(bold, d.Heading.Text)
	}
	for i := range d.Before {
		p.side(" ", &d.Before[i], plain)
	}
	p.whole("A", a, d.A, d, red)
	p.whole("B", b, d.B, d, green)
	sides := []struct {
		mark, name string
		behind     []Entry
		color      string
	}{{"A", a, d.BehindA, red}, {"B", b, d.BehindB, green}}
	if slices.EqualFunc(d.BehindA, d.BehindB, func(x, y Entry) bool { return differing(&x, &y) == nil }) {
		sides = sides[:1]
		sides[0].mark, sides[0].name, sides[0].color = " ", "both", plain
	}
	for _, s := range sides {
		if len(s.behind) > 0 {
			p.line(plain, "then "+s.name)
		}
		for i := range s.behind {
			p.side(s.mark, &s.behind[i], s.color)
		}
	}
	return p.out.Flush()
}

// side prints an entry on one line.
func (p *paper) side(mark string, e *Entry, color string) {
	text := fmt.Sprintf("%s %5d %-7s %s", mark, e.N, e.Kind, e.Text)
	if disk := summary(e.Changes); disk != "" {
		text += "  [" + disk + "]"
	}
	p.line(color, text)
}

// whole prints an entry that differs, with the fields that do.
func (p *paper) whole(mark, name string, e *Entry, d *Difference, color string) {
	p.line(bold, name)
	if e == nil {
		p.line(color, mark+"       has ended")
		return
	}
	p.wrap(color, fmt.Sprintf("%s %5d %-7s ", mark, e.N, e.Kind), e.Text)
	for _, f := range d.Fields {
		value := ""
		switch f {
		case "life":
			value = fmt.Sprint(e.Life)
		case "step":
			value = fmt.Sprint(e.Step)
		case "client":
			value = e.Client
		case "failed":
			value = fmt.Sprint(e.Failed)
		case "crash line":
			value = e.Line
		case "time":
			value = e.Time
		case "digest":
			value = e.Digest
		case "data":
			if e.Op != nil {
				value = dataText(e.Op.Data, d.data)
			}
		case "operation":
			if e.Op != nil {
				o := *e.Op
				o.Data, o.Callers = nil, nil
				text, _ := json.Marshal(o)
				value = string(text)
			}
		case "disk":
			value = summary(e.Changes)
			for _, c := range e.Changes {
				value += fmt.Sprintf("; %s %s", p.piece(c), c.State)
			}
		default:
			continue
		}
		if value == "" {
			value = "none"
		}
		p.wrap(color, fmt.Sprintf("%s %13s ", mark, f), value)
	}
}

// dataText is data in hex, from a byte on.
func dataText(data []byte, from int) string {
	const most = 32
	from = min(from, len(data))
	return fmt.Sprintf("from byte %d of %d: %x", from, len(data), data[from:min(len(data), from+most)])
}
