package plan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The format's name and version, and the line that says both.
const (
	name      = "untorn plan"
	version   = 1
	firstLine = name + " 1"
)

// scheduleWidth is where a schedule line is broken, in bytes.
const scheduleWidth = 100

// Format returns the plan's canonical text. See the package documentation for
// what it keeps.
func (p *Plan) Format() []byte {
	var b strings.Builder
	b.WriteString(firstLine + "\n")
	writeComments(&b, p.Comments)
	b.WriteString("scenario " + word(p.Scenario, false) + "\n")
	if p.Disk != "" {
		b.WriteString("disk " + word(p.Disk, false) + "\n")
	}
	if p.Seed != 0 {
		fmt.Fprintf(&b, "seed %d\n", p.Seed)
	}
	section(&b, len(p.Settings))
	for _, kv := range p.Settings {
		b.WriteString("set " + word(kv.Key, true) + " = " + word(kv.Value, false) + "\n")
	}
	section(&b, len(p.Steps))
	for _, step := range p.Steps {
		writeComments(&b, step.Comments)
		step.write(&b)
		b.WriteByte('\n')
	}
	section(&b, len(p.Faults))
	for _, fault := range p.Faults {
		b.WriteString("fault " + opaque(fault) + "\n")
	}
	section(&b, len(p.Schedule))
	width := 0
	for i, token := range p.Schedule {
		token = word(token, false)
		if i > 0 && width+1+len(token) > scheduleWidth {
			b.WriteByte('\n')
			width = 0
		}
		if width == 0 {
			b.WriteString("schedule")
			width = len("schedule")
		}
		b.WriteString(" " + token)
		width += 1 + len(token)
	}
	if len(p.Schedule) > 0 {
		b.WriteByte('\n')
	}
	section(&b, len(p.Crashes))
	for _, crash := range p.Crashes {
		b.WriteString("crash " + opaque(crash) + "\n")
	}
	if p.Invariant != "" {
		b.WriteString("\ninvariant " + opaque(p.Invariant) + "\n")
	}
	section(&b, len(p.Digests))
	for _, digest := range p.Digests {
		fmt.Fprintf(&b, "digest %d %016x\n", digest.Step, digest.Sum)
	}
	return []byte(b.String())
}

func section(b *strings.Builder, entries int) {
	if entries > 0 {
		b.WriteByte('\n')
	}
}

func (s Step) write(b *strings.Builder) {
	b.WriteString("step " + strconv.Itoa(s.Number) + " " + word(s.Verb, true))
	for _, kv := range s.Args {
		b.WriteString(" " + word(kv.Key, true) + "=" + word(kv.Value, false))
	}
}

// writeComments prints each line of each comment on a line of its own. What no
// comment can hold (control characters, bytes that are not UTF-8) becomes "�".
func writeComments(b *strings.Builder, comments []string) {
	for _, comment := range comments {
		for line := range strings.SplitSeq(comment, "\n") {
			b.WriteString(strings.TrimRight("# "+cleanComment(line), " \t") + "\n")
		}
	}
}

func cleanComment(line string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || control(r) && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, line)
}

// word prints a word bare where it can be read back so, else quoted.
func word(s string, key bool) string {
	if s == "" || s[0] == '#' {
		return strconv.Quote(s)
	}
	for i := range len(s) {
		if !bare(s[i]) || key && s[i] == '=' {
			return strconv.Quote(s)
		}
	}
	return s
}

// bare reports whether a byte may stand in a word without quotes.
func bare(c byte) bool {
	return c > ' ' && c < 0x7f && c != '"' && c != '`' && c != '\\'
}

// opaque prints a one-line text as it is where it can be read back so, else
// quoted.
func opaque(s string) string {
	if s == "" || s[0] == '"' || strings.Trim(s, " ") != s || !utf8.ValidString(s) {
		return strconv.Quote(s)
	}
	for _, r := range s {
		if control(r) || r == utf8.RuneError {
			return strconv.Quote(s)
		}
	}
	return s
}

// control reports whether a rune would break a line or hide in it.
func control(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' ||
		r >= '\u200e' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}
