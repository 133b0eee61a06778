package tamper

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Total sums the rows of the kinds that change the log: damage, forged and
// rewritten.
func (r *Report) Total() Row {
	total := Row{Kind: "together"}
	for i := range r.Rows {
		switch r.Rows[i].Group {
		case damage.String(), forged.String(), rewritten.String():
			total.add(&r.Rows[i])
		}
	}
	return total
}

// Bad reports whether something was not named, or served.
func (r *Report) Bad() bool { return r.Found > 0 }

// String is the table, and what was found.
func (r *Report) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "log\tsegments\tbatches\tevents\tbytes\tslack\tclosed\t")
	for _, l := range r.Logs {
		closed := "no"
		if l.Closed {
			closed = "yes"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t\n", l.Name, l.Segments, l.Batches, l.Events, l.Bound, l.Slack, closed)
	}
	_ = w.Flush()
	head := "\tmutations\thead\treceipt\talone\twithout\tkeys\tend gone\tlast group\tunproven\tneeds head\tsame\trefused\tcut\tunverified\tserved\tmissed\t"
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	group := ""
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Group != group {
			group = row.Group
			fmt.Fprintf(w, "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n%s%s\n", group, head)
		}
		row.print(w)
	}
	total := r.Total()
	fmt.Fprintf(w, "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\ntogether, of what belongs to the logs%s\n", head)
	total.print(w)
	_ = w.Flush()
	for _, f := range r.Finds {
		fmt.Fprintf(&b, "\n%s\n", f)
	}
	if more := r.Found - len(r.Finds); more > 0 {
		fmt.Fprintf(&b, "\nand %d more\n", more)
	}
	var text strings.Builder
	for line := range strings.Lines(b.String()) {
		text.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return text.String()
}

func (r *Row) print(w *tabwriter.Writer) {
	fmt.Fprintf(w, "%s\t", r.Kind)
	for _, n := range r.counts() {
		fmt.Fprintf(w, "%d\t", *n)
	}
	fmt.Fprintln(w)
}
