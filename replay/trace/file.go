package trace

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of what Read takes.
const (
	MaxLine  = 16 << 20 // bytes of a line; that of the header holds a plan
	MaxCells = 1 << 24  // of a file
	MaxFiles = 1 << 20
)

// A FormatError says where a file stops being a trace.
type FormatError struct {
	Line    int    // from 1
	Problem string // what is wrong there, and what would be right
}

func (e *FormatError) Error() string { return fmt.Sprintf("trace, line %d: %s", e.Line, e.Problem) }

// Write writes a trace: the header, then each entry, as JSON on a line of its own.
func (t *Trace) Write(w io.Writer) error { return t.WriteSome(w, View{}) }

// WriteSome is Write of the entries that a view shows. Unless it shows all, they are
// no trace any more, and Read says so.
func (t *Trace) WriteSome(w io.Writer, v View) error {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(&t.Header); err != nil {
		return err
	}
	for i := range t.Entries {
		if !v.shows(&t.Entries[i]) {
			continue
		}
		if err := encoder.Encode(&t.Entries[i]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Read reads what Write has written, and nothing else: a field that it does not
// know, an entry out of its place or a line that is cut off is a *FormatError.
func Read(r io.Reader) (*Trace, error) {
	in := reader{lines: bufio.NewReader(r)}
	t := new(Trace)
	if err := in.next(&t.Header); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, in.wrong("it is empty: want the header of a trace")
		}
		return nil, err
	}
	if t.Header.Trace != Version {
		return nil, in.wrong("it is of version %d: want %d", t.Header.Trace, Version)
	}
	if c := t.Header.Cell; c < 1 || c&(c-1) != 0 {
		return nil, in.wrong("cells of %d bytes: want a power of two", c)
	}
	for {
		var e Entry
		err := in.next(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if problem := t.misfit(&e); problem != "" {
			return nil, in.wrong("%s", problem)
		}
		t.Entries = append(t.Entries, e)
	}
	if n := len(t.Entries); n == 0 || t.Entries[n-1].Kind != Verdict {
		return nil, in.wrong("it ends without a verdict: it was cut off")
	}
	return t, nil
}

// reader reads one JSON value a line.
type reader struct {
	lines *bufio.Reader
	line  int
}

func (r *reader) wrong(format string, args ...any) error {
	return &FormatError{Line: max(r.line, 1), Problem: fmt.Sprintf(format, args...)}
}

// next decodes the next line, or returns io.EOF.
func (r *reader) next(v any) error {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		if len(line) == 0 && len(part) > 0 {
			r.line++
		}
		if line = append(line, part...); len(line) > MaxLine {
			return r.wrong("it is longer than %d bytes", MaxLine)
		}
		switch {
		case err == nil:
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0:
			return io.EOF
		case errors.Is(err, io.EOF):
			return r.wrong("it is cut off: a line ends with a line feed")
		default:
			return err
		}
		break
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return r.wrong("no line of a trace: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if decoder.More() {
		return r.wrong("more behind the end of it: one JSON object is a line")
	}
	return nil
}

// misfit says what is wrong with an entry as the next one.
func (t *Trace) misfit(e *Entry) string {
	life, over := 0, false
	if n := len(t.Entries); n > 0 {
		last := &t.Entries[n-1]
		if life = last.Life; last.Kind == Crash {
			life++
		}
		over = last.Kind == Verdict
	}
	switch {
	case over:
		return "an entry behind the verdict, which is the last"
	case e.N != len(t.Entries):
		return fmt.Sprintf("entry %d: want entry %d", e.N, len(t.Entries))
	case e.Life != life:
		return fmt.Sprintf("life %d: want %d, a life begins behind a crash", e.Life, life)
	case e.Step < 0:
		return fmt.Sprintf("step %d: want 0 or more", e.Step)
	case !slices.Contains(Kinds(), e.Kind):
		return fmt.Sprintf("kind %q: want one of %v", e.Kind, Kinds())
	case strings.ContainsAny(e.Text, "\n\r"):
		return "a text of several lines: want one"
	case (e.Op != nil) != (e.Kind == Op):
		return "op: want one with kind op, and with no other kind"
	case e.Op != nil && (e.Op.Index < 0 || len(e.Op.Data) > MaxData):
		return fmt.Sprintf("op: want an index of 0 or more, and at most %d bytes of data", MaxData)
	}
	if e.Time != "" {
		if _, err := time.Parse(time.RFC3339Nano, e.Time); err != nil {
			return fmt.Sprintf("time %q: want one like 2020-01-01T00:00:00.5Z", e.Time)
		}
	}
	if sum, err := hex.DecodeString(e.Digest); err != nil || len(sum) != 0 && len(sum) != 8 {
		return fmt.Sprintf("digest %q: want 16 hex digits", e.Digest)
	}
	for _, c := range e.Changes {
		switch {
		case c.Of != OfName && c.Of != OfSize && c.Of != OfCells:
			return fmt.Sprintf("a change of %q: want name, size or cells", c.Of)
		case c.File < 1 || c.File > MaxFiles:
			return fmt.Sprintf("a change of file %d: want 1 to %d", c.File, MaxFiles)
		case c.Of == OfCells && (c.From < 0 || c.From >= c.To || c.To > MaxCells):
			return fmt.Sprintf("cells %d to %d: want a first one, and the first behind them, up to %d", c.From, c.To, MaxCells)
		case c.Of != OfCells && (c.From != 0 || c.To != 0):
			return "from and to of what is no cells: want none"
		case !slices.Contains(States(), c.State):
			return fmt.Sprintf("state %q: want one of %v", c.State, States())
		case c.By < 0 || c.By > e.N || c.Size < 0:
			return fmt.Sprintf("by %d, size %d: want an entry up to this one, and 0 bytes or more", c.By, c.Size)
		}
	}
	return ""
}
