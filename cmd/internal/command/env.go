package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Env is what a command works with.
type Env struct {
	Ctx     context.Context // ends when the command is to end
	Program string          // its name, which notes begin with
	Stdin   io.Reader
	Stdout  *bufio.Writer // Run flushes it at the end
	Output  io.Writer     // what Stdout writes to, to tell what it is; nil: not known
	Stderr  io.Writer

	Operands []string // what stands on the command line besides flags
}

// Operand is the first operand, or "".
func (e *Env) Operand() string {
	if len(e.Operands) == 0 {
		return ""
	}
	return e.Operands[0]
}

// Note tells something that is no failure.
func (e *Env) Note(format string, args ...any) {
	fmt.Fprintf(e.Stderr, "%s: note: %s\n", e.Program, OneLine(fmt.Sprintf(format, args...)))
}

// Object prints a JSON object on a line of its own.
func (e *Env) Object(v any) error {
	encoder := json.NewEncoder(e.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// OneLine keeps a text on one line, whatever an error in it wraps.
func OneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // of a file's name, say: it would reach the terminal
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Count is a number of things, as in "1 event" and "2 events".
func Count[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Either is a list from which one is taken, as in "a, b or c".
func Either(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// Quote makes one word of a text, for a POSIX shell.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,=~", r)
	}
	if s != "" && s[0] != '~' && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return quoted(s)
}
