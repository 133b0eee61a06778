package dump

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/chain"
)

// ErrCut: the dump ends before its last line. What was read of it is whole.
var ErrCut = errors.New("the dump was cut: its last line is missing")

// LineError says which line of a dump is wrong, and how.
type LineError struct {
	Line  int    // from 1
	Batch uint64 // that it belongs to, or 0
	Err   error
}

func (e *LineError) Error() string {
	if e.Batch > 0 {
		return fmt.Sprintf("line %d, batch %d: %v", e.Line, e.Batch, e.Err)
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

func (e *LineError) Unwrap() error { return e.Err }

// Batch is a batch of a dump.
type Batch struct {
	engine.WholeBatch
	Line int // of the dump, on which it begins; its events and notes follow, one a line
}

// Reader reads a dump. It checks that the lines are those that Write writes, in order,
// and that their numbers and counts fit; the hashes are for Apply to check.
type Reader struct {
	lines  *bufio.Reader
	buffer []byte
	line   int // number of the last one
	header Header
	sum    Sum
	next   uint64 // sequence of the next event, or 0 before the first batch
	held   *Batch // that Peek has read
	bytes  int    // of the batch at work
	again  []byte // a line, written once more
	err    error  // that ends it

	maxLine, maxBatch int
}

// Read reads the first line of a dump. Every error of a Reader is a *LineError; it matches
// ErrCut where the input ends too early.
func Read(r io.Reader) (*Reader, error) {
	d := &Reader{lines: bufio.NewReaderSize(r, 64<<10), maxLine: MaxLine, maxBatch: MaxBatch}
	v, text, err := d.read()
	if err != nil {
		return nil, err
	}
	if v.Kind != "dump" {
		return nil, d.wrong(`it does not begin with {"kind":"dump": untorn dump makes one`)
	}
	if v.Format != Format {
		return nil, d.wrong("the dump has format %d, and this program reads %d: use the program that made it, or a newer one", v.Format, Format)
	}
	d.header = v.header()
	if err := d.same(v, text, d.header.appendLine(d.again[:0])); err != nil {
		return nil, err
	}
	if d.header.First == 0 || d.header.First == math.MaxUint64 {
		return nil, d.wrong("the first batch has no such number as %d", d.header.First)
	}
	if d.header.First == 1 {
		if root := chain.LogRoot(d.header.Log); d.header.Log != uuid.Nil && d.header.Before != root {
			return nil, d.wrong("a log with this id begins with head %v, not %v: one of the two was changed", root, d.header.Before)
		}
		d.next = 1
	}
	d.sum = Sum{Batch: d.header.First - 1, Head: d.header.Before}
	return d, nil
}

// Header is what the first line says.
func (d *Reader) Header() Header { return d.header }

// Sum is what was read so far, the batch that Peek has read included; all of the dump once
// Next has returned io.EOF.
func (d *Reader) Sum() Sum { return d.sum }

// Peek returns what Next will return.
func (d *Reader) Peek() (*Batch, error) {
	if d.held == nil && d.err == nil {
		d.held, d.err = d.batch()
	}
	return d.held, d.err
}

// Next returns the next batch, or io.EOF behind the last line.
func (d *Reader) Next() (*Batch, error) {
	b, err := d.Peek()
	d.held = nil
	return b, err
}

func (d *Reader) wrong(format string, args ...any) error {
	return &LineError{Line: d.line, Err: fmt.Errorf(format, args...)}
}

// read reads a line. Nothing of what it returns is used behind the next.
func (d *Reader) read() (*values, []byte, error) {
	text, err := d.text()
	if err != nil {
		return nil, nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	v := &values{fields: new(fields)}
	if err := decoder.Decode(v.fields); err != nil {
		return nil, nil, d.wrong("%w: a dump has one JSON object a line, as untorn dump writes it", explained(err))
	}
	return v, text, nil
}

// explained says what package json has found without its name.
func explained(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON object does not end")
	}
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "json: "), "Go struct field fields.", "")
	return errors.New(clip(text))
}

// text reads the bytes of a line, without the line feed that ends it.
func (d *Reader) text() ([]byte, error) {
	d.buffer = d.buffer[:0]
	for {
		part, err := d.lines.ReadSlice('\n')
		if len(d.buffer) == 0 && len(part) > 0 {
			d.line++
		}
		if len(d.buffer)+len(part) > d.maxLine {
			return nil, d.wrong("the line has more than %d MiB", d.maxLine>>20)
		}
		d.buffer = append(d.buffer, part...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF:
			// The last line, if it is one, has a line feed behind it: else it was cut.
			d.line = max(d.line, 1)
			return nil, &LineError{Line: d.line, Batch: 0, Err: ErrCut}
		case err != nil:
			return nil, d.wrong("read the dump: %w", err)
		}
		d.bytes += len(d.buffer)
		return d.buffer[:len(d.buffer)-1], nil
	}
}

// same checks that a line is what Write makes of what was read from it: then nothing in
// it was overlooked.
func (d *Reader) same(v *values, text, again []byte) error {
	d.again = again
	if v.err != nil {
		return d.wrong("%w", v.err)
	}
	again = bytes.TrimSuffix(again, []byte("\n"))
	if bytes.Equal(text, again) {
		return nil
	}
	at := 0
	for at < len(text) && at < len(again) && text[at] == again[at] {
		at++
	}
	return d.wrong("it is not as untorn dump writes it, from byte %d on: %s instead of %s", at+1, excerpt(text, at), excerpt(again, at))
}

// excerpt quotes a few bytes.
func excerpt(text []byte, at int) string {
	if at == len(text) {
		return "nothing"
	}
	return fmt.Sprintf("%q", text[at:min(len(text), at+20)])
}

// clip keeps what an error quotes short.
func clip(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	for cut := most; ; cut-- {
		if utf8.RuneStart(text[cut]) {
			return text[:cut] + "…"
		}
	}
}

// batch reads a batch, or the last line.
func (d *Reader) batch() (*Batch, error) {
	d.bytes = 0
	v, text, err := d.read()
	if err != nil {
		return nil, err
	}
	switch v.Kind {
	case "batch":
		if d.header.Log == uuid.Nil {
			return nil, d.wrong("the first line has no log's id, and so the dump can have no batches")
		}
	case "end":
		return nil, d.ends(v, text)
	default:
		return nil, d.wrong("the kind of the line is %q, where a batch or the end of the dump is to come", clip(v.Kind))
	}
	p := v.opening()
	if err := d.same(v, text, p.appendLine(d.again[:0])); err != nil {
		return nil, err
	}
	b := &Batch{Line: d.line}
	b.Number, b.Sequence, b.Time, b.Clock, b.Head = p.number, p.sequence, p.time, p.clock, p.head
	switch {
	case b.Number != d.sum.Batch+1:
		return nil, d.wrong("batch %d follows batch %d", b.Number, d.sum.Batch)
	case d.next > 0 && b.Sequence != d.next:
		return nil, d.wrong("batch %d begins with event %d instead of %d", b.Number, b.Sequence, d.next)
	case p.events > math.MaxUint64-b.Sequence || p.notes > math.MaxUint16:
		return nil, d.wrong("no batch has as many events or notes as batch %d is to have", b.Number)
	}
	if err := d.items(b, &p); err != nil {
		var line *LineError
		if errors.As(err, &line) {
			line.Batch = b.Number
		}
		return nil, err
	}
	d.next = b.Sequence + p.events
	d.sum.add(&b.WholeBatch)
	return b, nil
}

// items reads the events and notes of a batch.
func (d *Reader) items(b *Batch, p *opening) error {
	for i := range p.events {
		v, text, err := d.item("event", i, p)
		if err != nil {
			return err
		}
		e := v.event()
		if err := d.same(v, text, appendEvent(d.again[:0], &e)); err != nil {
			return err
		}
		if e.Batch != b.Number || e.Sequence != b.Sequence+i {
			return d.wrong("event %d of batch %d stands where event %d of batch %d is to come", e.Sequence, e.Batch, b.Sequence+i, b.Number)
		}
		e.Time, e.Clock = b.Time, b.Clock
		e.Data, e.Metadata = bytes.Clone(e.Data), bytes.Clone(e.Metadata)
		b.Events = append(b.Events, e)
	}
	for i := range p.notes {
		v, text, err := d.item("note", i, p)
		if err != nil {
			return err
		}
		n := v.note()
		if err := d.same(v, text, appendNote(d.again[:0], &n)); err != nil {
			return err
		}
		if n.Batch != b.Number {
			return d.wrong("a note of batch %d stands in batch %d", n.Batch, b.Number)
		}
		n.Time, n.Data = b.Time, bytes.Clone(n.Data)
		b.Notes = append(b.Notes, n)
	}
	return nil
}

// item reads the line of an event or a note.
func (d *Reader) item(kind string, i uint64, p *opening) (*values, []byte, error) {
	v, text, err := d.read()
	switch {
	case err != nil:
		return nil, nil, err
	case d.bytes > d.maxBatch:
		return nil, nil, d.wrong("the batch has more than %d MiB", d.maxBatch>>20)
	case v.Kind != kind:
		return nil, nil, d.wrong("the kind of the line is %q, where %s %d of batch %d is to come, which has %d events and %d notes", clip(v.Kind), kind, i+1, p.number, p.events, p.notes)
	}
	return v, text, nil
}

// ends checks the last line, and that it is the last.
func (d *Reader) ends(v *values, text []byte) error {
	said := v.sum()
	if err := d.same(v, text, said.appendLine(d.again[:0])); err != nil {
		return err
	}
	if said != d.sum {
		return d.wrong("it says that the dump has %d batches, %d events and %d notes up to batch %d, head %v, and it has %d, %d and %d up to batch %d, head %v: lines are missing",
			said.Batches, said.Events, said.Notes, said.Batch, said.Head, d.sum.Batches, d.sum.Events, d.sum.Notes, d.sum.Batch, d.sum.Head)
	}
	switch _, err := d.lines.ReadByte(); {
	case err == nil:
		d.line++
		return d.wrong("something follows the last line of the dump: one dump at a time")
	case err != io.EOF:
		return d.wrong("read the dump: %w", err)
	}
	return io.EOF
}
