package draw

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Mermaid writes a picture as a flowchart of Mermaid. Mermaid itself refuses, as
// long as it is not told otherwise, texts of more than 50,000 characters and more
// than 500 arrows. The title is a comment.
func Mermaid(w io.Writer, p Picture) error {
	out := bufio.NewWriter(w)
	plan := newPlan(p)
	out.WriteString("flowchart TD\n")
	if plan.title != "" {
		fmt.Fprintf(out, "  %%%% %s\n", mermaidText(plan.title))
	}
	var focused, absent []string
	for i := range plan.shown {
		s := &plan.shown[i]
		fmt.Fprintf(out, "  %s[\"%s\"]\n", s.name, mermaidText(s.text()))
		if s.focus {
			focused = append(focused, s.name)
		}
		if s.node.Absent {
			absent = append(absent, s.name)
		}
	}
	for i := range plan.shown {
		if s := &plan.shown[i]; s.cause >= 0 {
			fmt.Fprintf(out, "  %s --> %s\n", plan.shown[s.cause].name, s.name)
		}
	}
	if len(focused) > 0 {
		fmt.Fprintf(out, "  classDef focus stroke-width:3px\n  class %s focus\n", strings.Join(focused, ","))
	}
	if len(absent) > 0 {
		fmt.Fprintf(out, "  classDef absent stroke-dasharray:4\n  class %s absent\n", strings.Join(absent, ","))
	}
	return out.Flush()
}

// mermaidText keeps letters, numbers, spaces, full stops and hyphens, and writes
// all else by its number, "#35;": there is nothing then that Mermaid, its
// Markdown, its formulas or the HTML of its labels could take for theirs.
func mermaidText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || r == ' ' || r == '.' || r == '-' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
