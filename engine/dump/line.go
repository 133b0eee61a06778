package dump

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/record"
)

// Format is the version of the format that this package writes, and reads.
const Format = 1

// The most that Write writes, and Read reads.
const (
	MaxLine  = 96 << 20  // bytes of a line: the largest payload in base64, and room for the rest
	MaxBatch = 256 << 20 // bytes of the lines of a batch
)

// Header is what a dump begins with.
type Header struct {
	Log    uuid.UUID   // the log's id; zero if nothing was ever written in it
	First  uint64      // number of the first batch: 1, or more if those before it were left out
	Before engine.Hash // the log head before that batch
}

// Sum is what a dump ends with.
type Sum struct {
	Batches, Events, Notes uint64
	Batch                  uint64 // number of the last batch, or of the one before the first
	Head                   engine.Hash
}

func (s *Sum) add(b *engine.WholeBatch) {
	s.Batches++
	s.Events += uint64(len(b.Events))
	s.Notes += uint64(len(b.Notes))
	s.Batch, s.Head = b.Number, b.Head
}

// timeFormat is RFC 3339 with nine digits, so that texts sort like times.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// object is a JSON object that is appended to a line, field by field.
type object struct{ b []byte }

func begin(b []byte, kind string) *object {
	o := &object{append(b, '{')}
	o.text("kind", kind)
	return o
}

func (o *object) end() []byte { return append(o.b, '}', '\n') }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(appendString(o.b, name), ':')
}

func (o *object) number(name string, value uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, value, 10)
}

func (o *object) hex(name string, value []byte) {
	o.name(name)
	o.b = append(hex.AppendEncode(append(o.b, '"'), value), '"')
}

func (o *object) time(name string, value time.Time) {
	o.name(name)
	o.b = append(value.UTC().AppendFormat(append(o.b, '"'), timeFormat), '"')
}

func (o *object) base64(name string, value []byte) {
	o.name(name)
	o.b = appendBase64(o.b, value)
}

// text appends a text, or in base64, under the name with "64" behind it, one that is not
// UTF-8.
func (o *object) text(name, value string) {
	if !utf8.ValidString(value) {
		o.base64(name+"64", []byte(value))
		return
	}
	o.name(name)
	o.b = appendString(o.b, value)
}

// content appends bytes as they stand if they are JSON that reads back as the same bytes,
// and in base64 otherwise. No bytes, no field.
func (o *object) content(name string, value []byte) {
	switch {
	case len(value) == 0:
	case isJSON(value):
		o.name(name)
		o.b = append(o.b, value...)
	default:
		o.base64(name+"64", value)
	}
}

// isJSON reports whether bytes are one JSON value on one line, with nothing around it,
// that may stand in an object.
func isJSON(value []byte) bool {
	return json.Valid(value) && utf8.Valid(value) && !bytes.ContainsAny(value, "\n\r") && len(bytes.TrimSpace(value)) == len(value) && nests(value)
}

// nests reports whether JSON can be read one level deeper than it is: package json reads
// 10000 of them.
func nests(value []byte) bool {
	if bytes.Count(value, []byte("["))+bytes.Count(value, []byte("{")) < 10000 {
		return true
	}
	return json.Valid(slices.Concat([]byte("["), value, []byte("]")))
}

// appendString appends a JSON string, with the fewest escapes that there can be.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendBase64(b, value []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), value), '"')
}

func (h *Header) appendLine(b []byte) []byte {
	o := begin(b, "dump")
	o.number("format", Format)
	o.text("log", h.Log.String())
	o.number("firstBatch", h.First)
	o.hex("headBefore", h.Before[:])
	return o.end()
}

func (s *Sum) appendLine(b []byte) []byte {
	o := begin(b, "end")
	o.number("batches", s.Batches)
	o.number("events", s.Events)
	o.number("notes", s.Notes)
	o.number("lastBatch", s.Batch)
	o.hex("head", s.Head[:])
	return o.end()
}

// opening is what the line says that a batch begins with.
type opening struct {
	number, sequence uint64
	time, clock      time.Time
	events, notes    uint64
	head             engine.Hash
}

func openingOf(b *engine.WholeBatch) opening {
	return opening{b.Number, b.Sequence, b.Time, b.Clock, uint64(len(b.Events)), uint64(len(b.Notes)), b.Head}
}

func (p *opening) appendLine(b []byte) []byte {
	o := begin(b, "batch")
	o.number("batch", p.number)
	o.number("sequence", p.sequence)
	o.time("time", p.time)
	if !p.clock.Equal(p.time) {
		o.time("clock", p.clock)
	}
	o.number("events", p.events)
	o.number("notes", p.notes)
	o.hex("head", p.head[:])
	return o.end()
}

// appendEvent appends the line of an event. Its time and clock are those of its batch.
func appendEvent(b []byte, e *engine.WholeEvent) []byte {
	o := begin(b, "event")
	o.number("batch", e.Batch)
	o.number("sequence", e.Sequence)
	o.text("id", e.ID.String())
	o.text("scope", e.Scope)
	o.text("stream", e.Stream)
	o.number("version", e.Version)
	o.text("type", e.Type)
	o.content("data", e.Data)
	o.content("meta", e.Metadata)
	if e.Key != "" {
		o.text("key", e.Key)
	}
	if e.CausedBy != uuid.Nil {
		o.text("causedBy", e.CausedBy.String())
	}
	if e.Correlation != e.ID {
		o.text("correlation", e.Correlation.String())
	}
	for _, field := range []struct {
		name  string
		value uint32
	}{{"lane", e.Lane}, {"depth", e.Depth}, {"flags", e.Flags}, {"payloadVersion", e.PayloadVersion}} {
		if field.value != 0 {
			o.number(field.name, uint64(field.value))
		}
	}
	if len(e.Extensions) > 0 {
		o.extensions(e.Extensions)
	}
	for _, field := range []struct {
		name  string
		value bool
	}{{"erasable", e.Erasable}, {"erased", e.Erased}} {
		if field.value {
			o.name(field.name)
			o.b = append(o.b, "true"...)
		}
	}
	if len(e.Salt) > 0 {
		o.hex("salt", e.Salt)
	}
	if e.Erased {
		o.hex("contentHash", e.ContentHash[:])
	}
	o.hex("hash", e.Hash[:])
	return o.end()
}

// extensions appends them as an object of values in base64, or where one of their names
// is not UTF-8, all of them as the log stores them.
func (o *object) extensions(extensions map[string][]byte) {
	names := slices.Sorted(maps.Keys(extensions))
	if slices.ContainsFunc(names, func(name string) bool { return !utf8.ValidString(name) }) {
		o.base64("encodedExtensions64", record.AppendExtensions(nil, extensions))
		return
	}
	o.name("extensions64")
	o.b = append(o.b, '{')
	for _, name := range names {
		o.base64(name, extensions[name])
	}
	o.b = append(o.b, '}')
}

func appendNote(b []byte, n *engine.Note) []byte {
	o := begin(b, "note")
	o.number("batch", n.Batch)
	o.text("name", n.Name)
	o.content("data", n.Data)
	return o.end()
}

// fields are those of all kinds of lines.
type fields struct {
	Kind string `json:"kind"`

	Format     uint64 `json:"format"`
	Log        string `json:"log"`
	FirstBatch uint64 `json:"firstBatch"`
	HeadBefore string `json:"headBefore"`

	Batches   uint64 `json:"batches"`
	Events    uint64 `json:"events"`
	Notes     uint64 `json:"notes"`
	LastBatch uint64 `json:"lastBatch"`
	Head      string `json:"head"`

	Batch    uint64 `json:"batch"`
	Sequence uint64 `json:"sequence"`
	Time     string `json:"time"`
	Clock    string `json:"clock"`

	ID             string            `json:"id"`
	Scope          string            `json:"scope"`
	Scope64        string            `json:"scope64"`
	Stream         string            `json:"stream"`
	Stream64       string            `json:"stream64"`
	Version        uint64            `json:"version"`
	Type           string            `json:"type"`
	Type64         string            `json:"type64"`
	Data           json.RawMessage   `json:"data"`
	Data64         string            `json:"data64"`
	Meta           json.RawMessage   `json:"meta"`
	Meta64         string            `json:"meta64"`
	Key            string            `json:"key"`
	Key64          string            `json:"key64"`
	CausedBy       string            `json:"causedBy"`
	Correlation    string            `json:"correlation"`
	Lane           uint32            `json:"lane"`
	Depth          uint32            `json:"depth"`
	Flags          uint32            `json:"flags"`
	PayloadVersion uint32            `json:"payloadVersion"`
	Extensions     map[string]string `json:"extensions64"`
	Encoded        string            `json:"encodedExtensions64"`
	Erasable       bool              `json:"erasable"`
	Erased         bool              `json:"erased"`
	Salt           string            `json:"salt"`
	ContentHash    string            `json:"contentHash"`
	Hash           string            `json:"hash"`

	Name   string `json:"name"`
	Name64 string `json:"name64"`
}

// values takes values out of fields, and keeps the first thing that is wrong.
type values struct {
	*fields
	err error
}

func (v *values) fail(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf(format, args...)
	}
}

func (v *values) hash(name, value string) (h engine.Hash) {
	v.digits(h[:], name, value)
	return h
}

// digits fills to with the bytes of hexadecimal digits.
func (v *values) digits(to []byte, name, value string) {
	if n, err := hex.Decode(to, []byte(value[:min(len(value), 2*len(to))])); err != nil || n != len(to) || len(value) != 2*len(to) {
		v.fail("%q is not %d hexadecimal digits", name, 2*len(to))
	}
}

func (v *values) id(name, value string) uuid.UUID {
	id, err := uuid.Parse(value)
	if err != nil {
		v.fail("%q is no id", name)
	}
	return id
}

func (v *values) time(name, value string) time.Time {
	t, err := time.Parse(timeFormat, value)
	if err != nil {
		v.fail("%q is no time such as 2006-01-02T15:04:05.000000000Z", name)
	}
	return t.UTC()
}

func (v *values) base64(name, value string) []byte {
	data, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		v.fail("%q is not base64", name)
	}
	return data
}

func (v *values) text(name, value, value64 string) string {
	if value64 != "" {
		return string(v.base64(name+"64", value64))
	}
	return value
}

func (v *values) content(name string, value json.RawMessage, value64 string) []byte {
	if value64 != "" {
		return v.base64(name+"64", value64)
	}
	return value
}

func (v *values) header() (h Header) {
	h.Log = v.id("log", v.Log)
	h.First, h.Before = v.FirstBatch, v.hash("headBefore", v.HeadBefore)
	return h
}

func (v *values) sum() Sum {
	return Sum{Batches: v.Batches, Events: v.Events, Notes: v.Notes, Batch: v.LastBatch, Head: v.hash("head", v.Head)}
}

func (v *values) opening() opening {
	p := opening{number: v.Batch, sequence: v.Sequence, time: v.time("time", v.Time), events: v.Events, notes: v.Notes, head: v.hash("head", v.Head)}
	if p.clock = p.time; v.Clock != "" {
		p.clock = v.time("clock", v.Clock)
	}
	return p
}

func (v *values) event() (e engine.WholeEvent) {
	e.Batch, e.Sequence, e.ID, e.Version = v.Batch, v.Sequence, v.id("id", v.ID), v.Version
	e.Scope, e.Stream, e.Type = v.text("scope", v.Scope, v.Scope64), v.text("stream", v.Stream, v.Stream64), v.text("type", v.Type, v.Type64)
	e.Data, e.Metadata = v.content("data", v.Data, v.Data64), v.content("meta", v.Meta, v.Meta64)
	e.Key = v.text("key", v.Key, v.Key64)
	if v.CausedBy != "" {
		e.CausedBy = v.id("causedBy", v.CausedBy)
	}
	if e.Correlation = e.ID; v.Correlation != "" {
		e.Correlation = v.id("correlation", v.Correlation)
	}
	e.Lane, e.Depth, e.Flags, e.PayloadVersion = v.Lane, v.Depth, v.Flags, v.PayloadVersion
	if len(v.Extensions) > 0 {
		e.Extensions = make(map[string][]byte, len(v.Extensions))
		for name, value := range v.Extensions {
			e.Extensions[name] = v.base64("extensions64", value)
		}
	}
	if v.Encoded != "" {
		var err error
		if e.Extensions, err = record.DecodeExtensions(v.base64("encodedExtensions64", v.Encoded)); err != nil {
			v.fail("\"encodedExtensions64\": %w", err)
		}
	}
	e.Erasable, e.Erased = v.Erasable, v.Erased
	if v.Salt != "" {
		e.Salt = make([]byte, 16)
		v.digits(e.Salt, "salt", v.Salt)
	}
	if v.ContentHash != "" {
		e.ContentHash = v.hash("contentHash", v.ContentHash)
	}
	e.Hash, e.Durable = v.hash("hash", v.Hash), true
	return e
}

func (v *values) note() engine.Note {
	return engine.Note{Batch: v.Batch, Name: v.text("name", v.Name, v.Name64), Data: v.content("data", v.Data, v.Data64), Durable: true}
}
