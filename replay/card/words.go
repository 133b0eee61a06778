package card

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is how many bytes of a text are looked at, and lines made of it: no card
// shows more.
const (
	longest   = 16 << 10
	mostLines = 4 * Lines
)

// visible makes one line of a text, which shows all there is in it: what is not
// printed, or is no UTF-8, becomes an escape.
func visible(s string) string {
	more := ""
	if len(s) > longest {
		cut := longest
		for cut > longest-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s, more = s[:cut], fmt.Sprintf("… %d more bytes", len(s)-cut)
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r) && !unicode.Is(unicode.Mn, r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return b.String() + more
}

// columns is how wide a text is at most. Where it is not certain that a terminal
// gives a rune one column it counts two.
func columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	if r < 0x1100 || r >= 0x2010 && r < 0x2300 {
		return 1
	}
	return 2
}

// fit leaves out the end of what is wider than so many columns.
func fit(s string, wide int) string {
	if columns(s) <= wide {
		return s
	}
	n := 0
	for i, r := range s {
		if n += columnsOf(r); n > wide-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// middle leaves out the middle of what is wider than so many columns: of a path,
// both ends tell something.
func middle(s string, wide int) string {
	if columns(s) <= wide {
		return s
	}
	head := fit(s, wide/2)
	from, n := len(s), columns(head)
	for from > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:from])
		if n += columnsOf(r); n > wide {
			break
		}
		from -= size
	}
	return head + s[from:]
}

// wrap makes lines of a text, broken between words where that goes. Lines of the
// text stay lines, and what is indented stays so.
func wrap(text string) (lines []string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(lines) > mostLines {
			break
		}
		line = strings.TrimRight(visible(line), " ")
		indent := min(len(line)-len(strings.TrimLeft(line, " ")), width/4)
		lines = append(lines, wrapLine(line, strings.Repeat(" ", indent))...)
	}
	return lines
}

// wrapLine breaks one line; what follows the first part is indented.
func wrapLine(line, indent string) (lines []string) {
	for columns(line) > width {
		if len(lines) > mostLines {
			return append(lines, fit(line, width))
		}
		n, cut, space := 0, 0, -1
		for i, r := range line {
			if n += columnsOf(r); n > width {
				break
			}
			cut = i + utf8.RuneLen(r)
			if r == ' ' && i > len(indent) && n > width/2 {
				space = i
			}
		}
		// A break right before a space is one between words.
		if space >= 0 && !strings.HasPrefix(line[cut:], " ") {
			cut = space
		}
		lines = append(lines, strings.TrimRight(line[:cut], " "))
		line = indent + strings.TrimLeft(line[cut:], " ")
	}
	return append(lines, line)
}

// widestWord leaves room for what stands behind a file in a command.
const widestWord = width - len(" -o report.html") - 1

// commandLines breaks a command between words, so that a shell takes it whole. A
// word that is too wide for a line loses its middle.
func commandLines(text string) (lines []string) {
	if columns(visible(text)) <= width {
		return []string{visible(text)}
	}
	words := shellWords(text)
	last := ""
	for len(words) > 0 { // what belongs to a file stays with it
		word := middle(visible(words[len(words)-1]), widestWord)
		longer := strings.TrimSpace(word + " " + last)
		if columns(longer) > width {
			break
		}
		last, words = longer, words[:len(words)-1]
	}
	for i := range words {
		words[i] = visible(words[i])
	}
	if len(words) == 0 {
		return []string{last}
	}
	return []string{fit(strings.Join(words, " "), width-2) + ` \`, last}
}

// shellWords cuts a command between words; what stands in single quotes is not
// cut.
func shellWords(text string) (words []string) {
	quoted, from := false, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\'':
			quoted = !quoted
		case ' ':
			if !quoted {
				words = append(words, text[from:i])
				from = i + 1
			}
		}
	}
	words = append(words, text[from:])
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

func sorted(m map[int][]string) []int { return slices.Sorted(maps.Keys(m)) }
