// Package color puts colours on what goes to a terminal, and nothing on what goes
// elsewhere.
//
//	when := color.Auto
//	flags.Var(&when, "color", color.Usage)
//	…
//	paint := when.Painter(output, os.LookupEnv)
//	line = paint.Begin(line, color.Bold)
//	line = append(line, "order.placed"...)
//	line = paint.End(line)
//
//	--color ──▶ When ──┐
//	NO_COLOR, TERM ────┼──▶ Painter ──▶ "\x1b[1morder.placed\x1b[0m"
//	the output ────────┘        └─────▶ "order.placed"
//
// What stands between Begin and End is the caller's to make harmless: a text out of a
// log may hold escape sequences of its own.
package color

import (
	"errors"
	"hash/fnv"
	"io"
	"os"
)

// When says when there are colours. It is the value of a flag.
type When uint8

const (
	Auto   When = iota // on a terminal, unless NO_COLOR or TERM=dumb asks for none
	Always             // whatever the output is, and whatever the environment says
	Never
)

// Usage is what the help says of a flag with a When.
const Usage = "colours in text: `when` is auto (on a terminal, unless NO_COLOR is set), always or never"

// String is the value as it is written on a command line.
func (w When) String() string { return [...]string{"auto", "always", "never"}[w] }

func all() []When { return []When{Auto, Always, Never} }

// Words is what the value may be, for a shell that completes it.
func (When) Words() (words []string) {
	for _, when := range all() {
		words = append(words, when.String())
	}
	return words
}

// Set takes the value of a flag.
func (w *When) Set(text string) error {
	for _, when := range all() {
		if text == when.String() {
			*w = when
			return nil
		}
	}
	return errors.New("write auto, always or never")
}

// Painter returns what paints texts for an output, which Auto looks at. The environment
// is that of os.LookupEnv: https://no-color.org says that NO_COLOR counts unless it is
// empty, whatever its value.
func (w When) Painter(output io.Writer, environment func(name string) (string, bool)) Painter {
	if w != Auto {
		return Painter{on: w == Always}
	}
	plain, _ := environment("NO_COLOR")
	terminal, _ := environment("TERM")
	return Painter{on: plain == "" && terminal != "dumb" && shows(output)}
}

// shows reports whether an output is a terminal that shows colours.
func shows(output io.Writer) bool {
	file, ok := output.(*os.File)
	return ok && isTerminal(file)
}

// Style is how a text looks.
type Style uint8

// The styles. All are of the sixteen colours that every terminal has, which its owner
// may have chosen.
const (
	Plain Style = iota
	Dim
	Bold
	Red
	Green
	Yellow
	firstName // and those behind it: colours of names
)

// code is that of SGR, ECMA-48, 8.3.117.
func (s Style) code() string {
	// No red, which is for what is wrong, and nothing that black or white may be behind.
	names := [...]string{"32", "33", "34", "35", "36", "92", "93", "94", "95", "96"}
	if s >= firstName {
		return names[int(s-firstName)%len(names)]
	}
	return [...]string{Plain: "0", Dim: "2", Bold: "1", Red: "31", Green: "32", Yellow: "33"}[s]
}

// Name is the style of a name, such as a stream's: always the same for the same parts.
func Name(parts ...string) Style {
	hash := fnv.New32a()
	for _, part := range parts {
		io.WriteString(hash, part)
		hash.Write([]byte{0})
	}
	return firstName + Style(hash.Sum32()%10)
}

// Painter paints, or leaves texts as they are: its zero value does that.
type Painter struct{ on bool }

// On reports whether there are colours: for who paints without a Painter.
func (p Painter) On() bool { return p.on }

// Begin appends what begins a style.
func (p Painter) Begin(b []byte, s Style) []byte {
	if !p.on || s == Plain {
		return b
	}
	return append(append(append(b, "\x1b["...), s.code()...), 'm')
}

// End appends what ends the style that was begun.
func (p Painter) End(b []byte) []byte {
	if !p.on {
		return b
	}
	return append(b, "\x1b[0m"...)
}

// Text is a text in a style.
func (p Painter) Text(s Style, text string) string {
	if !p.on || s == Plain {
		return text
	}
	return string(p.End(append(p.Begin(nil, s), text...)))
}
