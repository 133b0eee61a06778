package card

import (
	"strconv"
	"strings"
)

// mostMessage is how many characters GitHub keeps of the message of an annotation,
// with room for their escapes: its runner cuts at 4096.
const mostMessage = 4000

// GitHub is the card for the log of a GitHub action: the text in a group that can
// be folded, and an annotation. It names the line of the source that decides, where
// it is known, and else the plan.
//
// See "Workflow commands for GitHub Actions" in its documentation; the escapes are
// those of command.ts in github.com/actions/toolkit, and of ActionCommand.cs in
// github.com/actions/runner, which reads them. GitHub shows the first ten of a step.
func (c Card) GitHub() string {
	var b strings.Builder
	b.WriteString("::group::" + data(c.Title()) + "\n")
	for line := range strings.Lines(c.Text()) {
		b.WriteString(harmless(line))
	}
	b.WriteString("::endgroup::\n::error ")
	switch {
	case c.Source != "":
		b.WriteString("file=" + property(visible(c.Source)) + ",")
		if c.SourceLine > 0 {
			b.WriteString("line=" + strconv.Itoa(c.SourceLine) + ",")
		}
	case c.File != "":
		b.WriteString("file=" + property(visible(c.File)) + ",")
	}
	b.WriteString("title=" + property(strings.TrimPrefix(c.Title(), "FAIL ")) + "::" + data(c.message()) + "\n")
	return b.String()
}

// message is the text in as many lines as an annotation has room for.
func (c Card) message() string {
	text := c.Text()
	for lines := Lines; len([]rune(text)) > mostMessage; lines-- {
		text = c.text(lines)
	}
	return strings.TrimRight(text, "\n")
}

// data escapes the message of a command.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// property escapes a property of a command.
func property(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

// harmless keeps a line of the text from being taken for a command: "::" where a
// line begins, or "##[" anywhere.
func harmless(line string) string {
	text := strings.TrimLeft(line, " ")
	if strings.HasPrefix(text, "::") {
		line = line[:len(line)-len(text)] + `\x3a` + text[1:]
	}
	return strings.ReplaceAll(line, "##[", `#\x23[`)
}
