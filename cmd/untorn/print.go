package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

// timeFormat is RFC 3339 with nine digits, so that texts sort like times.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// object appends a JSON object to a buffer, field by field. The values of
// events have to keep their bytes, which package json would tidy up.
type object struct {
	b     []byte
	begun bool
}

func newObject(b []byte) *object { return &object{b: append(b, '{')} }

func (o *object) name(name string) {
	if o.begun {
		o.b = append(o.b, ',')
	}
	o.begun = true
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) text(name, value string) {
	o.name(name)
	o.b = appendString(o.b, value)
}

func (o *object) number(name string, value uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, value, 10)
}

func (o *object) truth(name string, value bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, value)
}

func (o *object) hash(name string, value engine.Hash) {
	o.name(name)
	o.b = fmt.Appendf(o.b, `"%x"`, value[:])
}

func (o *object) time(name string, value time.Time) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = value.UTC().AppendFormat(o.b, timeFormat)
	o.b = append(o.b, '"')
}

// content appends bytes as they stand if they are JSON on one line that controls no
// terminal, and a reader can tell where they begin and end, and reads them in an object;
// else in base64 under the name with "64" after it. No bytes, no field.
func (o *object) content(name string, value []byte) {
	switch {
	case len(value) == 0:
	case json.Valid(value) && utf8.Valid(value) && !bytes.ContainsFunc(value, controls) && len(bytes.TrimSpace(value)) == len(value) && nests(value):
		o.name(name)
		o.b = append(o.b, value...)
	default:
		o.name(name + "64")
		o.b = append(o.b, '"')
		o.b = base64.StdEncoding.AppendEncode(o.b, value)
		o.b = append(o.b, '"')
	}
}

// controls reports whether a character would do something to a terminal: in JSON, U+009B
// may stand as it is, with which some begin an escape sequence.
func controls(r rune) bool { return r != '\t' && unicode.IsControl(r) }

// nests reports whether JSON can be read one level deeper than it is: package json reads
// 10000 of them, and append reads lines with it.
func nests(value []byte) bool {
	if bytes.Count(value, []byte("["))+bytes.Count(value, []byte("{")) < 10000 {
		return true
	}
	return json.Valid(slices.Concat([]byte("["), value, []byte("]")))
}

// object appends an object that a function fills.
func (o *object) object(name string, fill func(inner *object)) {
	o.name(name)
	inner := newObject(o.b)
	fill(inner)
	o.b = append(inner.b, '}')
}

// list appends a list of objects.
func list[T any](o *object, name string, all []T, fill func(inner *object, one T)) {
	o.name(name)
	o.b = append(o.b, '[')
	for i, one := range all {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		inner := newObject(o.b)
		fill(inner, one)
		o.b = append(inner.b, '}')
	}
	o.b = append(o.b, ']')
}

func (o *object) head(head engine.LogHead) {
	o.object("head", func(o *object) {
		o.number("batch", head.Batch)
		o.number("sequence", head.Sequence)
		if head.Batch > 0 {
			o.time("time", head.Time)
		}
		o.hash("hash", head.Hash)
	})
}

// signed appends the fields of a head that was signed.
func (o *object) signed(head *proof.SignedHead) {
	o.number("batch", head.Batch)
	o.number("sequence", head.Sequence)
	o.hash("hash", head.Hash)
	o.text("key", head.KeyID)
}

func (o *object) problem(problem *engine.CorruptError) {
	o.number("segment", problem.Segment)
	o.name("offset")
	o.b = strconv.AppendInt(o.b, problem.Offset, 10)
	o.number("sequence", problem.Sequence)
	o.text("where", problem.Where)
	o.text("reason", problem.Reason)
}

func (o *object) line() []byte { return append(o.b, '}', '\n') }

// appendString appends a JSON string of characters that can go to a terminal, and leaves
// "<", ">" and "&" alone.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			var quoted bytes.Buffer
			encoder := json.NewEncoder(&quoted)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(s); err != nil {
				panic("internal error: a string that is no JSON: " + err.Error())
			}
			for _, r := range string(bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))) {
				if unicode.IsGraphic(r) {
					b = utf8.AppendRune(b, r)
					continue
				}
				for _, half := range utf16.AppendRune(nil, r) {
					b = fmt.Appendf(b, `\u%04x`, half)
				}
			}
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendReceipt(b []byte, line int, r engine.Receipt) []byte {
	o := newObject(b)
	o.number("line", uint64(line))
	o.text("id", r.ID.String())
	o.text("scope", r.Scope)
	o.text("stream", r.Stream)
	o.number("sequence", r.Sequence)
	o.number("version", r.Version)
	o.number("batch", r.Batch)
	o.hash("hash", r.Hash)
	o.truth("durable", r.Durable)
	return o.line()
}

func appendEvent(b []byte, event *engine.Event) []byte {
	o := newObject(b)
	o.event(event)
	return o.line()
}

// event appends the fields of an event.
func (o *object) event(event *engine.Event) {
	o.number("sequence", event.Sequence)
	o.text("id", event.ID.String())
	o.text("scope", event.Scope)
	o.text("stream", event.Stream)
	o.number("version", event.Version)
	o.text("type", event.Type)
	o.number("batch", event.Batch)
	o.time("time", event.Time)
	if !event.Clock.Equal(event.Time) {
		o.time("clock", event.Clock)
	}
	o.content("data", event.Data)
	o.content("meta", event.Metadata)
	if event.Key != "" {
		o.text("key", event.Key)
	}
	if event.CausedBy != uuid.Nil {
		o.text("causedBy", event.CausedBy.String())
	}
	if event.Correlation != event.ID {
		o.text("correlation", event.Correlation.String())
	}
	for _, field := range []struct {
		name  string
		value uint32
	}{{"lane", event.Lane}, {"depth", event.Depth}, {"flags", event.Flags}, {"payloadVersion", event.PayloadVersion}} {
		if field.value != 0 {
			o.number(field.name, uint64(field.value))
		}
	}
	if event.Erasable {
		o.truth("erasable", true)
	}
	if event.Erased {
		o.truth("erased", true)
	}
	if len(event.Extensions) > 0 {
		o.name("extensions64")
		extensions := newObject(o.b)
		for _, name := range slices.Sorted(maps.Keys(event.Extensions)) {
			if extensions.begun {
				extensions.b = append(extensions.b, ',')
			}
			extensions.begun = true
			extensions.b = appendString(extensions.b, name)
			extensions.b = append(extensions.b, ':', '"')
			extensions.b = base64.StdEncoding.AppendEncode(extensions.b, event.Extensions[name])
			extensions.b = append(extensions.b, '"')
		}
		o.b = append(extensions.b, '}')
	}
	o.hash("hash", event.Hash)
	o.truth("durable", event.Durable)
}

// appendEventText appends an event as columns between tabs: sequence, time,
// scope, stream, version, type, data. What holds control characters is quoted:
// data may, and names in a log that somebody made up.
func appendEventText(b []byte, event *engine.Event, paint color.Painter) []byte {
	column := func(style color.Style) {
		b = append(b, '\t')
		b = paint.Begin(b, style)
	}
	b = strconv.AppendUint(b, event.Sequence, 10)
	column(color.Dim)
	b = paint.End(event.Time.UTC().AppendFormat(b, timeFormat))
	name := color.Name(event.Scope, event.Stream)
	column(name)
	b = paint.End(appendVisible(b, event.Scope))
	column(name)
	b = paint.End(appendVisible(b, event.Stream))
	column(color.Dim)
	b = paint.End(strconv.AppendUint(b, event.Version, 10))
	column(color.Bold)
	b = paint.End(appendVisible(b, event.Type))
	b = appendVisible(append(b, '\t'), event.Data)
	if !event.Durable {
		column(color.Yellow)
		b = paint.End(append(b, "(not durable)"...))
	}
	return append(b, '\n')
}

// appendVisible appends text as it stands if it can go to a terminal, else
// quoted.
func appendVisible[T string | []byte](b []byte, text T) []byte {
	if visible([]byte(text)) {
		return append(b, text...)
	}
	return strconv.AppendQuote(b, string(text))
}

// visible reports whether bytes can go to a terminal as they are.
func visible(data []byte) bool {
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 || !unicode.IsGraphic(r) {
			return false
		}
		data = data[size:]
	}
	return true
}
