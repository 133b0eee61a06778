package tamper

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/untorn-db/untorn/replay/card"
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

// String is the table, and all finds that are listed.
func (r *Report) String() string {
	text := r.Summary()
	for _, f := range r.Finds {
		text += "\n" + f.Card("").Text()
	}
	if more := r.Found - len(r.Finds); more > 0 {
		text += fmt.Sprintf("\nand %d more\n", more)
	}
	return text
}

// Card is the find for somebody who has never seen the project. replay is a line
// for a shell that finds it again.
func (f Find) Card(replay string) card.Card {
	return card.Card{
		What:      fmt.Sprintf("tamper, %s in log %q", f.Kind, f.Log),
		Invariant: "I10", Promise: "what was changed in the files of a log is named by the checks that can know, and is not served",
		Cause: "the files were changed, and the log did not do about it what it must",
		Plan: []card.Step{
			{Text: fmt.Sprintf("the log %q is made, and its head and receipts are kept", f.Log)},
			{Mark: card.Happens, Text: f.Mutation},
			{Text: "it is opened, read, verified, and compared with what was kept"},
		},
		Found: f.What, Replay: replay,
	}
}

// Summary is the table.
func (r *Report) Summary() string {
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
