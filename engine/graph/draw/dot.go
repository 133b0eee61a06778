package draw

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// DOT writes a picture in the language of Graphviz. Events of the same lane are
// kept below one another where that is possible.
func DOT(w io.Writer, p Picture) error {
	out := bufio.NewWriter(w)
	plan := newPlan(p)
	out.WriteString("digraph causality {\n")
	if plan.title != "" {
		fmt.Fprintf(out, "\tlabel=%s\n\tlabelloc=t\n", dotString(plan.title))
	}
	out.WriteString("\tnode [shape=box, fontname=\"monospace\"]\n")
	for i := range plan.shown {
		s := &plan.shown[i]
		fmt.Fprintf(out, "\t%s [label=%s, tooltip=%s", s.name, dotString(s.text()), dotString(s.node.Event.ID.String()))
		switch {
		case s.node.Absent:
			out.WriteString(", style=dashed")
		default:
			fmt.Fprintf(out, ", group=lane%d", s.node.Event.Lane)
		}
		if s.focus {
			out.WriteString(", penwidth=3")
		}
		out.WriteString("]\n")
	}
	for i := range plan.shown {
		if s := &plan.shown[i]; s.cause >= 0 {
			fmt.Fprintf(out, "\t%s -> %s\n", plan.shown[s.cause].name, s.name)
		}
	}
	out.WriteString("}\n")
	return out.Flush()
}

// dotString returns a text in double quotes. There a backslash begins an escape,
// and a label also knows the entities of HTML.
func dotString(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`).Replace(text) + `"`
}
