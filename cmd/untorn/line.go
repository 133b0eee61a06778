package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

// ownFields are those of a line that are the caller's own: by the names that untorn
// read --json prints, and what is expected.
func ownFields() []string {
	return []string{"stream", "type", "data", "scope", "key", "expect", "meta", "causedBy", "correlation", "payloadVersion",
		"lane", "depth", "flags", "erasable", "data64", "meta64", "extensions64"}
}

// givenFields are those that the log gives, and prints of every event; some have
// otherFields, too.
func givenFields() []string {
	return []string{"sequence", "id", "version", "batch", "time", "hash", "durable"}
}

func otherFields() []string { return []string{"clock", "erased"} }

// line is what a line of the input stands for.
type line struct {
	engine.Draft
	printed bool // by untorn read --json
}

// parseLine reads an event; index is its place in its batch.
func parseLine(text []byte, index int) (l line, err error) {
	if !utf8.Valid(text) {
		return l, errors.New("the line is not UTF-8: encode it so")
	}
	if text[0] != '{' {
		return l, errors.New(`the line is no JSON object: write {"stream":"…","type":"…","data":…}`)
	}
	values, err := readObject(text)
	if err != nil {
		return l, err
	}
	known := slices.Concat(ownFields(), givenFields(), otherFields())
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			return l, fmt.Errorf("unknown field %q: use %s", clip([]byte(name)), command.Either(ownFields()))
		}
	}
	if l.printed, err = printed(values); err != nil {
		return l, err
	}
	in := input{values: values}
	l.Stream, l.Type = in.string("stream"), in.string("type")
	l.Scope, l.Key = in.string("scope"), in.string("key")
	l.Lane, l.Depth, l.Flags, l.PayloadVersion = in.number("lane"), in.number("depth"), in.number("flags"), in.number("payloadVersion")
	l.Data, l.Metadata = in.bytes("data"), in.bytes("meta")
	l.Expect, l.CausedBy = in.expect("expect"), in.cause("causedBy", index)
	l.Correlation = in.id("correlation")
	l.Erasable = in.truth("erasable")
	l.Extensions = in.extensions("extensions64")
	switch {
	case in.err != nil:
		return l, in.err
	case l.Stream == "":
		return l, errors.New(`no "stream": name the event's stream`)
	case l.Type == "":
		return l, errors.New(`no "type": name the event's type`)
	}
	return l, nil
}

// printed reports whether the line is an event of untorn read --json. One that has only
// some of what the log gives is refused: its writer expects something of it.
func printed(values map[string]json.RawMessage) (bool, error) {
	has := func(name string) bool { return values[name] != nil }
	lacks := func(name string) bool { return !has(name) }
	if !slices.ContainsFunc(givenFields(), lacks) {
		if erased := values["erased"]; erased != nil && string(erased) != "false" {
			return false, errors.New("the event was erased: its content is gone, and cannot be appended")
		}
		return true, nil
	}
	given := slices.Concat(givenFields(), otherFields())
	switch first := slices.IndexFunc(given, has); {
	case first < 0:
		return false, nil
	case given[first] == "version":
		return false, errors.New(`"version" is what the log gives: leave it out, "expect" says which version the stream must have`)
	default:
		return false, fmt.Errorf("%q is what the log gives: leave it out, or append the whole line of untorn read --json", given[first])
	}
}

// readObject returns the values of a JSON object as they stand, by their names. Package
// json would take a name in any case, and the last of two fields with one name.
func readObject(text []byte) (map[string]json.RawMessage, error) {
	whole := json.NewDecoder(bytes.NewReader(text))
	if err := whole.Decode(new(json.RawMessage)); err != nil {
		return nil, explain(err)
	}
	if end := whole.InputOffset(); end != int64(len(text)) {
		return nil, fmt.Errorf("something follows the event at byte %d of the line: one event a line", end+1)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	values := map[string]json.RawMessage{}
	for decoder.More() {
		start := decoder.InputOffset()
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string)
		if halved(text[start:decoder.InputOffset()], name) {
			return nil, fmt.Errorf("the name %q has half a surrogate pair, which is no character: write the character itself", clip([]byte(name)))
		}
		if values[name] != nil {
			return nil, fmt.Errorf("%q stands twice: write it once", clip([]byte(name)))
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// explain says what encoding/json found in the words of the input.
func explain(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d of the line (%s): write one JSON object a line", syntax.Offset, strings.TrimPrefix(syntax.Error(), "json: "))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON object does not end: write one JSON object a line")
	}
	return err
}

// input reads the values of an object, and keeps the first thing that is wrong.
type input struct {
	values map[string]json.RawMessage
	err    error
}

func (in *input) fail(format string, args ...any) {
	if in.err == nil {
		in.err = fmt.Errorf(format, args...)
	}
}

// value is what the field holds, as it stands, or nil if it is null or not there.
func (in *input) value(field string) json.RawMessage {
	if value := in.values[field]; string(value) != "null" {
		return value
	}
	return nil
}

// string is the string that the field holds, or "".
func (in *input) string(field string) (text string) {
	value := in.value(field)
	switch {
	case value == nil:
	case value[0] != '"':
		in.fail("%q is %s: write a string", field, clip(value))
	default:
		if err := json.Unmarshal(value, &text); err != nil {
			in.fail("%q: %w", field, err)
		}
		if halved(value, text) {
			in.fail("%q has half a surrogate pair, which is no character: write the character itself", field)
		}
	}
	return text
}

// halved reports whether a string of JSON, which is UTF-8, has one half of a surrogate
// pair without the other: what is read has U+FFFD for it, and so more of those than
// were written. Package proof has the same.
func halved(raw []byte, read string) bool {
	written := strings.ReplaceAll(strings.ToLower(string(raw)), `\\`, "")
	return strings.Count(read, "\ufffd") > strings.Count(written, "\ufffd")+strings.Count(written, `\ufffd`)
}

// number is the number that the field holds, or 0.
func (in *input) number(field string) uint32 {
	value := in.value(field)
	if value == nil {
		return 0
	}
	n, err := strconv.ParseUint(string(value), 10, 32)
	if err != nil {
		in.fail("%q is %s: write a number from 0 to %d", field, clip(value), uint32(math.MaxUint32))
	}
	return uint32(n)
}

// truth is the truth that the field holds, or false.
func (in *input) truth(field string) bool {
	value := in.value(field)
	switch string(value) {
	case "", "false":
		return false
	case "true":
		return true
	}
	in.fail("%q is %s: write true or false", field, clip(value))
	return false
}

// id is the id that the field holds, or none.
func (in *input) id(field string) uuid.UUID {
	text := in.string(field)
	if text == "" && in.value(field) == nil {
		return uuid.Nil
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		in.fail("%q is %s: write an id of 36 characters, such as an event's", field, clip(in.value(field)))
	}
	return id
}

// bytes is what a field holds as JSON, as it stands, or its twin in base64.
func (in *input) bytes(field string) []byte {
	twin := field + "64"
	switch {
	case in.value(twin) == nil:
		return in.values[field]
	case in.values[field] != nil:
		in.fail("%q and %q are the same: write one of them", field, twin)
	}
	return in.base64(twin)
}

func (in *input) base64(field string) []byte {
	data, err := base64.StdEncoding.Strict().DecodeString(in.string(field))
	if err != nil {
		in.fail("%q is not base64: %w", field, err)
	}
	return data
}

// extensions is an object of values in base64.
func (in *input) extensions(field string) map[string][]byte {
	value := in.value(field)
	switch {
	case value == nil:
		return nil
	case value[0] != '{':
		in.fail("%q is %s: write an object of names and base64", field, clip(value))
		return nil
	}
	values, err := readObject(value)
	inner := input{values, err}
	found := make(map[string][]byte, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		found[name] = inner.base64(name)
	}
	if inner.err != nil {
		in.fail("%q: %w", field, inner.err)
	}
	return found
}

// expect is what the field expects of the stream's version.
func (in *input) expect(field string) engine.Expect {
	value := in.value(field)
	switch string(value) {
	case "", `"any"`:
		return engine.Any
	case `"none"`:
		return engine.NoStream
	case `"exists"`:
		return engine.StreamExists
	}
	version, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || version > 1<<64-3 {
		in.fail(`%q is %s: write a version (0 for no stream), "any", "none" or "exists"`, field, clip(value))
		return engine.Any
	}
	return engine.Exactly(version)
}

// cause is the cause of the event with this index in its batch.
func (in *input) cause(field string, index int) engine.Cause {
	value := in.value(field)
	if value == nil {
		return engine.Cause{}
	}
	item, number := strconv.ParseUint(string(value), 10, 31)
	var text string
	if value[0] == '"' {
		text = in.string(field)
	}
	id, err := uuid.Parse(text)
	switch {
	case err == nil && len(text) == 36:
		return engine.ByID(id)
	case number != nil:
		in.fail("%q is %s: write an event's id, or the index of an earlier line of the batch", field, clip(value))
	case item >= uint64(index):
		in.fail("%q is %d, but the line has index %d in its batch: it can only follow from an earlier one (--batch says how many lines are one)", field, item, index)
	}
	return engine.Item(int(item))
}

// clip keeps what an error quotes short.
func clip(text []byte) string {
	const most = 60
	if len(text) <= most {
		return string(text)
	}
	for cut := most; ; cut-- {
		if utf8.RuneStart(text[cut]) {
			return string(text[:cut]) + "…"
		}
	}
}
