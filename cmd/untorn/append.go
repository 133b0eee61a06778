package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

const (
	maxLine       = 32 << 20 // bytes of an input line: the largest payload in base64, and room for the rest
	maxBatchLines = 65535
	maxBatchBytes = 48 << 20 // of input lines; the log's own limit of 32 MiB as stored comes first for plain ones
)

func appendCommand() command {
	return command{
		name:  "append",
		short: "append events from JSON lines on stdin",
		form:  "--dir DIR [flags] <LINES",
		long: `Each line of stdin is an event:

  {"stream":"order-42","type":"order.placed","data":{"total":3}}

  stream, type  required, 1 to 255 bytes
  data          any JSON value; its bytes are stored as they stand
  scope         what the stream belongs to; "" if absent
  key           idempotency key: appending the line again has no effect
  expect        the stream's version must be this number, or "none" (no stream yet), "exists", "any"
  meta          any JSON value, stored as it stands
  causedBy      the id of an event, or the index (from 0) of an earlier line of the same batch
  correlation   an id that the events of one matter share; without it the event's own
  payloadVersion, lane, depth, flags
                numbers of your own, up to 32 bits; the version of the data's schema, say
  erasable      true: the content can be erased later
  data64, meta64, extensions64
                bytes that are no JSON, in base64; extensions64 is an object of such

These are the names that untorn read --json prints, so that a log can be read into another one:

  untorn read --dir a --json | untorn append --dir b

Of a printed line, what the log gives (sequence, id, version, batch, time, clock, hash, durable) is not taken:
the other log gives its own. causedBy and correlation go on to name events of the first one.

Each batch commits as a whole or not at all. The first line that is wrong ends the command; what was
appended before its batch stays. Empty lines are skipped.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			dir := dirFlag(flags)
			var batch int
			countFlag(flags, &batch, "batch", 1, "commit every `n` lines together, 1 to 65535")
			buffered := flags.Bool("buffered", false, "do not sync each batch; all is durable when the command has ended with 0")
			sign := flags.String("sign", "", "sign the log's head at the end with the private key in a `file`; untorn key makes one")
			asJSON := jsonFlag(flags, "print a receipt for each line as it commits, one JSON object a line")
			return func(e *env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if batch < 1 || batch > maxBatchLines {
					return usage("--batch is %d: use 1 to %d", batch, maxBatchLines)
				}
				a := &appender{env: e, size: batch, json: *asJSON}
				if *buffered {
					a.durability = engine.Buffered
				}
				if *sign != "" {
					if a.signing, err = readKey("--sign: ", *sign); err != nil {
						return err
					}
				}
				return a.run(name)
			}
		},
	}
}

// appender carries lines from stdin into a log. It holds one batch at a time.
type appender struct {
	*env
	log        *engine.Log
	size       int
	durability engine.Durability
	json       bool
	signing    *engine.Signing // nil: nobody signs
	progress   progress

	line   int // number of the last line read
	batch  []engine.Draft
	lines  []int  // the line of each draft
	prints uint64 // of the batch's lines, those that a log has printed
	bytes  int    // of the batch's lines
	events uint64
	copied uint64 // of them, those that another log has printed
	before engine.LogHead
}

func (a *appender) run(dir string) (err error) {
	a.log, err = openToWrite(engine.Options{Dir: dir, MaxBatchEvents: max(a.size, 4096), Signing: a.signing})
	if err != nil {
		return err
	}
	a.before = a.log.LogHead()
	a.progress = newProgress(a.stderr)
	err = a.readLines()
	if err == nil {
		err = a.log.Sync(context.Background())
	}
	if err == nil && a.signing != nil && a.log.LogHead().Batch > 0 {
		_, err = a.log.Sign(context.Background()) // else Close does: the head that is told is the last one
	}
	head := a.log.LogHead()
	a.progress.end()
	if closed := a.log.Close(); err == nil {
		err = closed
	}
	if err == nil && !a.json {
		a.summary(head)
	}
	if a.copied > 0 {
		a.note("%s another log's: this one has given ids, sequences and times of its own; causedBy and correlation name ids of the other", count(a.copied, "event was", "events were"))
	}
	return err
}

func (a *appender) summary(head engine.LogHead) {
	fresh := head.Sequence - a.before.Sequence
	fmt.Fprintf(a.stdout, "%s appended", count(fresh, "event", "events"))
	if known := a.events - fresh; known > 0 {
		fmt.Fprintf(a.stdout, ", %d already there by key", known)
	}
	if head.Sequence > 0 {
		fmt.Fprintf(a.stdout, "; the log ends at event %d, head %d:%v", head.Sequence, head.Batch, head.Hash)
		if a.signing != nil {
			fmt.Fprintf(a.stdout, ", signed by key %s", a.signing.KeyID)
		}
	}
	a.stdout.WriteByte('\n')
}

// readLines appends line by line, and never holds more than a batch of them.
func (a *appender) readLines() error {
	lines := bufio.NewScanner(a.stdin)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		a.line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		read, err := parseLine(text, len(a.batch))
		if err != nil {
			return a.refuse(a.line, usageError{err})
		}
		draft := read.Draft
		if len(a.batch) > 0 && (draft.Key == "") != (a.batch[0].Key == "") {
			has, other := `a "key"`, "none"
			if draft.Key == "" {
				has, other = `no "key"`, "one"
			}
			return a.refuse(a.line, usage("%s, but line %d of the same batch has %s: give keys to all lines of a batch, or to none",
				has, a.lines[0], other))
		}
		if a.bytes += len(text); a.bytes > maxBatchBytes && len(a.batch) > 0 {
			return a.refuse(a.line, usage("the batch has over %d MiB: use a smaller --batch", maxBatchBytes>>20))
		}
		a.batch = append(a.batch, draft)
		a.lines = append(a.lines, a.line)
		if read.printed {
			a.prints++
		}
		if len(a.batch) == a.size {
			if err := a.commit(); err != nil {
				return err
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return a.refuse(a.line+1, usage("more than %d MiB in one line: end each event with a line feed", maxLine>>20))
	case err != nil:
		return a.refuse(a.line+1, fmt.Errorf("read the input: %w", err))
	}
	return a.commit()
}

// refuse says which line is wrong and what was not written because of it.
func (a *appender) refuse(line int, err error) error {
	first := line
	if len(a.lines) > 0 {
		first = a.lines[0]
	}
	left := "nothing was appended"
	if a.events > 0 {
		left = fmt.Sprintf("nothing from line %d on was appended", first)
	}
	return fmt.Errorf("line %d: %w; %s", line, err, left)
}

// commit appends the batch and tells its receipts.
func (a *appender) commit() error {
	if len(a.batch) == 0 {
		return nil
	}
	receipts, err := a.log.AppendBatch(context.Background(), engine.Batch{Events: a.batch, Durability: a.durability})
	if err != nil {
		return a.failed(err)
	}
	a.events += uint64(len(receipts))
	a.copied += a.prints
	if a.json {
		for i, receipt := range receipts {
			a.stdout.Write(appendReceipt(a.stdout.AvailableBuffer(), a.lines[i], receipt))
		}
		if err := a.stdout.Flush(); err != nil {
			return fmt.Errorf("write the output: %w; the lines up to %d are in the log", err, a.line)
		}
	}
	a.progress.show("%d lines, %d events", a.line, a.events)
	clear(a.batch)
	a.batch, a.lines, a.prints, a.bytes = a.batch[:0], a.lines[:0], 0, 0
	return nil
}

// failed says what the log answered, in terms of lines.
func (a *appender) failed(err error) error {
	line := a.lines[0]
	var item *engine.ItemError
	var version *engine.WrongVersionError
	var conflict *engine.KeyConflictError
	switch {
	case errors.As(err, &conflict) && len(conflict.Items) > 0 && conflict.Items[0].Item < len(a.lines):
		line = a.lines[conflict.Items[0].Item]
		err = &keyConflict{line: conflict.Items[0], err: err}
	case errors.As(err, &item) && item.Item >= 0 && item.Item < len(a.lines):
		line = a.lines[item.Item]
		if errors.Is(err, engine.ErrRejected) {
			err = item.Err
		}
	case errors.As(err, &version):
		// A batch of one: the line is known, and what was not written is said below.
		err = version
	}
	if errors.Is(err, engine.ErrLimit) || errors.Is(err, engine.ErrInvalid) {
		err = usageError{err}
	}
	if errors.Is(err, engine.ErrInDoubt) {
		return fmt.Errorf("line %d: %w; lines %d to %d may or may not be in the log", line, err, a.lines[0], a.lines[len(a.lines)-1])
	}
	return a.refuse(line, err)
}

// keyConflict tells the first of the conflicts, whose line is named.
type keyConflict struct {
	line engine.KeyConflict
	err  error
}

func (e *keyConflict) Error() string {
	return fmt.Sprintf("key %q: %s: use a fresh key, or the same lines as the first time", e.line.Key, e.line.Reason)
}
func (e *keyConflict) Unwrap() error { return e.err }

// input is what a line may say: what is the caller's own of an event, by the names that
// untorn read --json prints, and what is expected.
type input struct {
	Stream         value `json:"stream"`
	Type           value `json:"type"`
	Data           value `json:"data"`
	Data64         value `json:"data64"`
	Scope          value `json:"scope"`
	Key            value `json:"key"`
	Expect         value `json:"expect"`
	Meta           value `json:"meta"`
	Meta64         value `json:"meta64"`
	CausedBy       value `json:"causedBy"`
	Correlation    value `json:"correlation"`
	Lane           value `json:"lane"`
	Depth          value `json:"depth"`
	Flags          value `json:"flags"`
	PayloadVersion value `json:"payloadVersion"`
	Erasable       value `json:"erasable"`
	Extensions64   value `json:"extensions64"`

	// What the log gives, and prints.
	Sequence value `json:"sequence"`
	ID       value `json:"id"`
	Version  value `json:"version"`
	Batch    value `json:"batch"`
	Time     value `json:"time"`
	Clock    value `json:"clock"`
	Hash     value `json:"hash"`
	Durable  value `json:"durable"`
	Erased   value `json:"erased"`
}

const fields = "stream, type, data, scope, key, expect, meta, causedBy, correlation, payloadVersion, lane, depth, flags, erasable, data64, meta64 or extensions64"

type field struct {
	name  string
	value *value
}

// own lists the fields that a caller gives.
func (in *input) own() []field {
	return []field{
		{"stream", &in.Stream}, {"type", &in.Type}, {"data", &in.Data}, {"data64", &in.Data64}, {"scope", &in.Scope},
		{"key", &in.Key}, {"expect", &in.Expect}, {"meta", &in.Meta}, {"meta64", &in.Meta64}, {"causedBy", &in.CausedBy},
		{"correlation", &in.Correlation}, {"lane", &in.Lane}, {"depth", &in.Depth}, {"flags", &in.Flags},
		{"payloadVersion", &in.PayloadVersion}, {"erasable", &in.Erasable}, {"extensions64", &in.Extensions64},
	}
}

// given lists the fields that the log gives. Those that are always there come first.
func (in *input) given() (all []field, always int) {
	return []field{
		{"sequence", &in.Sequence}, {"id", &in.ID}, {"version", &in.Version}, {"batch", &in.Batch}, {"time", &in.Time},
		{"hash", &in.Hash}, {"durable", &in.Durable}, {"clock", &in.Clock}, {"erased", &in.Erased},
	}, 7
}

// printed reports whether the line is an event of untorn read --json. One that has only
// some of what the log gives is refused: its writer expects something of it.
func (in *input) printed() (bool, error) {
	all, always := in.given()
	first, has := "", 0
	for i, f := range all {
		switch {
		case f.value.again:
			return false, fmt.Errorf("%q stands twice: write it once", f.name)
		case len(f.value.text) == 0:
			continue
		case first == "":
			first = f.name
		}
		if i < always {
			has++
		}
	}
	switch {
	case first == "":
		return false, nil
	case has == always && len(in.Erased.text) > 0 && string(in.Erased.text) != "false":
		return false, errors.New("the event was erased: its content is gone, and cannot be appended")
	case has == always:
		return true, nil
	case first == "version":
		return false, errors.New(`"version" is what the log gives: leave it out, "expect" says which version the stream must have`)
	}
	return false, fmt.Errorf("%q is what the log gives: leave it out, or append the whole line of untorn read --json", first)
}

// value is what a field holds, as it stands. Package json would take the last of
// two fields with one name, and say nothing.
type value struct {
	text  json.RawMessage
	again bool
}

func (v *value) UnmarshalJSON(text []byte) error {
	v.again = v.text != nil
	return v.text.UnmarshalJSON(text)
}

// string is the string that the field holds, or "".
func (v *value) string(field string) (string, error) {
	if len(v.text) == 0 || string(v.text) == "null" {
		return "", nil
	}
	var text string
	if err := json.Unmarshal(v.text, &text); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			kind.Field = field
		}
		return "", explain(err)
	}
	if halved(v.text, text) {
		return "", fmt.Errorf("%q has half a surrogate pair, which is no character: write the character itself", field)
	}
	return text, nil
}

// halved reports whether a string of JSON, which is UTF-8, has one half of a surrogate
// pair without the other: what is read has U+FFFD for it, and so more of those than
// were written. Package proof has the same.
func halved(raw []byte, read string) bool {
	written := strings.ReplaceAll(strings.ToLower(string(raw)), `\\`, "")
	return strings.Count(read, "\ufffd") > strings.Count(written, "\ufffd")+strings.Count(written, `\ufffd`)
}

// number is the number that the field holds, or 0.
func (v *value) number(field string) (uint32, error) {
	if len(v.text) == 0 || string(v.text) == "null" {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(v.text), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is %s: write a number from 0 to %d", field, clip(v.text), uint32(math.MaxUint32))
	}
	return uint32(n), nil
}

// truth is the truth that the field holds, or false.
func (v *value) truth(field string) (bool, error) {
	switch string(v.text) {
	case "", "null", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fmt.Errorf("%q is %s: write true or false", field, clip(v.text))
}

// id is the id that the field holds, or none.
func (v *value) id(field string) (uuid.UUID, error) {
	if len(v.text) == 0 || string(v.text) == "null" {
		return uuid.Nil, nil
	}
	text, err := v.string(field)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, fmt.Errorf("%q is %s: write an id of 36 characters, such as an event's", field, clip(v.text))
	}
	return id, nil
}

// bytes is what two fields hold: JSON as it stands, or anything in base64.
func (v *value) bytes(field string, in64 *value) ([]byte, error) {
	text, err := in64.string(field + "64")
	if err != nil || in64.text == nil || string(in64.text) == "null" {
		return v.text, err
	}
	if v.text != nil {
		return nil, fmt.Errorf("%q and %q are the same: write one of them", field, field+"64")
	}
	return decode64(field+"64", text)
}

func decode64(field, text string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not base64: %w", field, err)
	}
	return data, nil
}

// extensions is an object of values in base64.
func (v *value) extensions(field string) (map[string][]byte, error) {
	if len(v.text) == 0 || string(v.text) == "null" {
		return nil, nil
	}
	if v.text[0] != '{' {
		return nil, fmt.Errorf("%q is %s: write an object of names and base64", field, clip(v.text))
	}
	all := map[string]value{}
	decoder := json.NewDecoder(bytes.NewReader(v.text))
	if _, err := decoder.Token(); err != nil {
		return nil, explain(err)
	}
	for decoder.More() {
		start := decoder.InputOffset()
		if _, err := decoder.Token(); err != nil {
			return nil, explain(err)
		}
		quoted := bytes.TrimLeft(v.text[start:decoder.InputOffset()], ", \t\r")
		name, err := (&value{text: json.RawMessage(quoted)}).string(field)
		if err != nil {
			return nil, err
		}
		if _, again := all[name]; again {
			return nil, fmt.Errorf("%q has %q twice: write it once", field, clip([]byte(name)))
		}
		var one value
		if err := decoder.Decode(&one); err != nil {
			return nil, explain(err)
		}
		all[name] = one
	}
	found := make(map[string][]byte, len(all))
	for name, one := range all {
		text, err := one.string(name)
		if err != nil {
			return nil, err
		}
		if found[name], err = decode64(field, text); err != nil {
			return nil, err
		}
	}
	return found, nil
}

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
	var in input
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return l, explain(err)
	}
	if int64(len(text)) != decoder.InputOffset() {
		return l, fmt.Errorf("something follows the event at byte %d of the line: one event a line", decoder.InputOffset()+1)
	}
	for _, f := range in.own() {
		if f.value.again {
			return l, fmt.Errorf("%q stands twice: write it once", f.name)
		}
	}
	if l.printed, err = in.printed(); err != nil {
		return l, err
	}
	for _, f := range []struct {
		name  string
		value *value
		to    *string
	}{{"stream", &in.Stream, &l.Stream}, {"type", &in.Type, &l.Type}, {"scope", &in.Scope, &l.Scope}, {"key", &in.Key, &l.Key}} {
		if *f.to, err = f.value.string(f.name); err != nil {
			return l, err
		}
	}
	switch {
	case l.Stream == "":
		return l, errors.New(`no "stream": name the event's stream`)
	case l.Type == "":
		return l, errors.New(`no "type": name the event's type`)
	}
	for _, f := range []struct {
		name  string
		value *value
		to    *uint32
	}{{"lane", &in.Lane, &l.Lane}, {"depth", &in.Depth, &l.Depth}, {"flags", &in.Flags, &l.Flags}, {"payloadVersion", &in.PayloadVersion, &l.PayloadVersion}} {
		if *f.to, err = f.value.number(f.name); err != nil {
			return l, err
		}
	}
	if l.Data, err = in.Data.bytes("data", &in.Data64); err != nil {
		return l, err
	}
	if l.Metadata, err = in.Meta.bytes("meta", &in.Meta64); err != nil {
		return l, err
	}
	if l.Expect, err = parseExpect(in.Expect.text); err != nil {
		return l, err
	}
	if l.CausedBy, err = parseCause(in.CausedBy.text, index); err != nil {
		return l, err
	}
	if l.Correlation, err = in.Correlation.id("correlation"); err != nil {
		return l, err
	}
	if l.Erasable, err = in.Erasable.truth("erasable"); err != nil {
		return l, err
	}
	l.Extensions, err = in.Extensions64.extensions("extensions64")
	return l, err
}

// explain says what encoding/json found in the words of the input.
func explain(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d of the line (%s): write one JSON object a line", syntax.Offset, strings.TrimPrefix(syntax.Error(), "json: "))
	case errors.As(err, &kind):
		return fmt.Errorf("%q is a JSON %s: write a string", kind.Field, kind.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON object does not end: write one JSON object a line")
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("unknown field %s: use %s", field, fields)
	}
	return err
}

func parseExpect(text json.RawMessage) (engine.Expect, error) {
	switch string(text) {
	case "", "null", `"any"`:
		return engine.Any, nil
	case `"none"`:
		return engine.NoStream, nil
	case `"exists"`:
		return engine.StreamExists, nil
	}
	version, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || version > 1<<64-3 {
		return 0, fmt.Errorf(`"expect" is %s: write a version (0 for no stream), "any", "none" or "exists"`, clip(text))
	}
	return engine.Exactly(version), nil
}

func parseCause(text json.RawMessage, index int) (engine.Cause, error) {
	switch {
	case len(text) == 0 || string(text) == "null":
		return engine.Cause{}, nil
	case text[0] == '"':
		var id string
		if err := json.Unmarshal(text, &id); err != nil {
			return engine.Cause{}, explain(err)
		}
		parsed, err := uuid.Parse(id)
		if err != nil || len(id) != 36 {
			return engine.Cause{}, fmt.Errorf(`"causedBy" is %s: write an event's id, or the index of an earlier line of the batch`, clip(text))
		}
		return engine.ByID(parsed), nil
	}
	item, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil {
		return engine.Cause{}, fmt.Errorf(`"causedBy" is %s: write an event's id, or the index of an earlier line of the batch`, clip(text))
	}
	if item >= uint64(index) {
		return engine.Cause{}, fmt.Errorf(`"causedBy" is %d, but the line has index %d in its batch: it can only follow from an earlier one (--batch says how many lines are one)`, item, index)
	}
	return engine.Item(int(item)), nil
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
