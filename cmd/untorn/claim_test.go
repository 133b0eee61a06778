package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
)

// signedLog is a log on the disk with a signature above all events, and the file of its key.
type signedLog struct{ dir, keys string }

// newSignedLog appends each event as a batch of its own; the clock goes back before each.
func newSignedLog(t *testing.T, drafts ...engine.Draft) signedLog {
	t.Helper()
	folder := t.TempDir()
	l := signedLog{filepath.Join(folder, "log"), filepath.Join(folder, "keys")}
	private := filepath.Join(folder, "key.pem")
	code, public, stderr := output("key", "--out", private)
	if code != 0 {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(l.keys, []byte(public), 0o644); err != nil {
		t.Fatal(err)
	}
	signing, err := readKey("", private)
	if err != nil {
		t.Fatal(err)
	}
	clock := simclock.New(simclock.Epoch())
	log, err := engine.Open(engine.Options{Dir: l.dir, Signing: signing, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, draft := range drafts {
		if _, err := log.Append(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
		clock.Jump(-time.Hour)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

// proof writes the proof of an event into a file, and returns its name.
func (l signedLog) proof(t *testing.T, sequence int) string {
	t.Helper()
	code, stdout, stderr := output("prove", "--dir", l.dir, fmt.Sprint(sequence))
	if code != 0 || stderr != "" {
		t.Fatal(stderr)
	}
	name := filepath.Join(t.TempDir(), "proof")
	if err := os.WriteFile(name, []byte(stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// lines are what read --json prints.
func (l signedLog) lines(t *testing.T) []string {
	t.Helper()
	code, stdout, stderr := output("read", "--dir", l.dir, "--json")
	if code != 0 {
		t.Fatal(stderr)
	}
	return strings.Split(strings.TrimSpace(stdout), "\n")
}

// fields are those of a line, as they stand.
func fields(t *testing.T, line string) map[string]string {
	t.Helper()
	values, err := readObject([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for name, value := range values {
		found[name] = string(value)
	}
	return found
}

// join makes a line of fields.
func join(values map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, fmt.Sprintf("%q:%s", name, values[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// eventFields are the names that a line of untorn read --json may have.
func eventFields() []string {
	all := slices.Concat(ownFields(), givenFields(), otherFields())
	return slices.DeleteFunc(all, func(name string) bool { return name == "expect" })
}

// fullDraft has every field that a draft may have, but for Expect and Erasable.
func fullDraft() engine.Draft {
	return engine.Draft{
		Scope: "scope é", Stream: "s", Type: "a \"type\"", Data: []byte(`{"total": 1}`), Metadata: []byte(`[true]`),
		Extensions: map[string][]byte{"a": {1, 2}, "b": nil}, Key: "k", CausedBy: engine.ByID(uuid.NameSpaceURL),
		Correlation: uuid.NameSpaceDNS, Lane: 1, Depth: 2, Flags: 3, PayloadVersion: 4,
	}
}

// forgeries are lines that each say something else than a real one of one field.
func forgeries(t *testing.T, real, name string) (lines []string) {
	t.Helper()
	change := func(value string) {
		values := fields(t, real)
		values[name] = value
		lines = append(lines, join(values))
	}
	was := fields(t, real)[name]
	for _, value := range []string{`"x"`, `""`, `"eA=="`, `7`, `0`, `1.0`, `true`, `false`, `null`, `[]`, `{}`, `{"a":"eA=="}`, `"00000000-0000-0000-0000-000000000000"`} {
		if same := strings.HasSuffix(name, "64") && was == "" && (value == "null" || value == `""`); !same && value != was {
			change(value)
		}
	}
	if was == "" {
		return lines
	}
	if inner := strings.Trim(was, `"`); inner != was && inner != "" { // the least that can differ
		last := byte('0')
		if inner[len(inner)-1] == last {
			last = '1'
		}
		change(`"` + inner[:len(inner)-1] + string(last) + `"`)
	}
	if was[0] >= '0' && was[0] <= '9' {
		change(was + "0")
	}
	gone := fields(t, real)
	delete(gone, name)
	if name != "durable" { // of which nothing is said then
		lines = append(lines, join(gone))
	}
	twin := name + "64" // "data" with "data64"
	again := []string{name, strings.ToUpper(name[:1]) + name[1:], strings.ToUpper(name), `\u00` + fmt.Sprintf("%02x", name[0]) + name[1:], twin}
	for _, name := range again {
		for _, value := range []string{was, `"x"`, `null`} {
			if name == twin && value == "null" {
				continue
			}
			lines = append(lines,
				fmt.Sprintf(`{"%s":%s,%s`, name, value, real[1:]),
				fmt.Sprintf(`%s,"%s":%s}`, real[:len(real)-1], name, value))
		}
	}
	gone[strings.ToUpper(name)] = was
	return append(lines, join(gone))
}

// checkForgeries checks that every forgery of a line is refused, or its field named in the note.
func checkForgeries(t *testing.T, l signedLog, proof, flag, real string, names []string) {
	t.Helper()
	what := strings.TrimPrefix(flag, "--")
	file := filepath.Join(t.TempDir(), "line")
	refused, named := 0, 0
	for _, name := range names {
		for _, forged := range forgeries(t, real, name) {
			if err := os.WriteFile(file, []byte(forged+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := output("check", "--proof", proof, "--keys", l.keys, flag, file)
			said := fields(t, real)
			var into map[string]json.RawMessage
			if json.Unmarshal([]byte(forged), &into) == nil {
				said[name] = string(into[name])
			}
			note := fmt.Sprintf("the %s's %q %s", what, name, said[name])
			switch {
			case code != 0 && stdout == "" && strings.Count(stderr, "\n") == 1:
				refused++
			case code == 0 && strings.HasPrefix(stderr, "untorn: note: not proven: ") && strings.Contains(stderr, note):
				named++
			default:
				t.Errorf("%s is taken: exit code %d, %q\n%s", name, code, stderr, forged)
			}
		}
	}
	if refused < 10*len(names) || named < 10 {
		t.Errorf("%d lines were refused, and a field of %d was named", refused, named)
	}
}

// TestForgedEvent forges every field that a line of read --json may have: check --event
// believes none.
func TestForgedEvent(t *testing.T) {
	base64 := fullDraft()
	base64.Key, base64.Data, base64.Metadata, base64.Extensions = "k2", []byte{0xff}, []byte("a\nb"), nil
	l := newSignedLog(t, engine.Draft{Stream: "s", Type: "t"}, fullDraft(), base64)
	lines := l.lines(t)

	// Nothing is left out: the second event has all there is.
	log, err := engine.Open(engine.Options{Dir: l.dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	event, err := log.Get(uuid.MustParse(strings.Trim(fields(t, lines[1])["id"], `"`)))
	if err != nil {
		t.Fatal(err)
	}
	found := reflect.ValueOf(event)
	absent := 0
	for i := range found.NumField() {
		if name := found.Type().Field(i).Name; found.Field(i).IsZero() {
			absent++
			if name != "Erasable" && name != "Erased" {
				t.Errorf("the event has no %s: let fullDraft have it", name)
			}
		}
	}
	if has := len(fields(t, lines[1])); has != found.NumField()-absent {
		t.Errorf("the line has %d fields, the event %d, of which %d are zero", has, found.NumField(), absent)
	}
	for _, name := range eventFields() {
		_, plain := fields(t, lines[1])[name]
		_, encoded := fields(t, lines[2])[name]
		if !plain && !encoded && name != "erasable" && name != "erased" {
			t.Errorf("no event has %q", name)
		}
	}

	for i, real := range lines {
		t.Run(fmt.Sprint("event ", i+1), func(t *testing.T) {
			names := eventFields()
			for name := range fields(t, real) {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			names = append(names, "expect", "line", "new")
			checkForgeries(t, l, l.proof(t, i+1), "--event", real, names)
		})
	}
}

// TestForgedReceipt does the same with what append --json prints.
func TestForgedReceipt(t *testing.T) {
	l := newSignedLog(t, fullDraft())
	event := fields(t, l.lines(t)[0])
	receipt := fields(t, strings.TrimSpace(string(appendReceipt(nil, 0, engine.Receipt{}))))
	for name := range receipt {
		if value, ok := event[name]; ok {
			receipt[name] = value
		}
	}
	names := append(slices.Sorted(maps.Keys(receipt)), "type", "data", "new")
	delete(receipt, "line")
	checkForgeries(t, l, l.proof(t, 1), "--receipt", join(receipt), names)
}

// TestSameEvent: a line may be written in another way, and have less than what no proof
// says.
func TestSameEvent(t *testing.T) {
	l := newSignedLog(t, fullDraft(), engine.Draft{Stream: "s", Type: "t", Data: []byte("null")})
	first, second := l.lines(t)[0], l.lines(t)[1]
	turned := fields(t, first)
	turned["extensions64"] = `{ "b":"", "\u0061":"AQI="}`
	turned["type"] = `"\u0061 \u0022type\u0022"`
	encoded := fields(t, first)
	delete(encoded, "data")
	encoded["data64"] = `"eyJ0b3RhbCI6IDF9"`
	unsaid := fields(t, first)
	delete(unsaid, "durable")
	early := fields(t, first)
	early["durable"] = "false"
	for _, c := range []struct {
		sequence             int
		what, line, unproven string
	}{
		{1, "as printed", first, ""},
		{1, "without the line feed, and in another order", join(fields(t, first)), ""},
		{1, "over lines", strings.ReplaceAll(first, `,"`, ",\n \""), ""},
		{1, "in other characters", join(turned), ""},
		{1, "in base64", join(encoded), ""},
		{1, "without durable", join(unsaid), ""},
		{1, "before the sync", join(early), `untorn: note: not proven: the event's "durable" false` + "\n"},
		{2, "null", second, ""},
	} {
		file := filepath.Join(t.TempDir(), "line")
		if err := os.WriteFile(file, []byte(c.line), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := output("check", "--proof", l.proof(t, c.sequence), "--keys", l.keys, "--event", file)
		if code != 0 || stderr != c.unproven {
			t.Errorf("%s: exit code %d, %q\n%s", c.what, code, stderr, c.line)
		}
	}
}

// TestForgedErasable: of an event that may be erased the content cannot be compared; what else
// is forged is named before.
func TestForgedErasable(t *testing.T) {
	draft := fullDraft()
	draft.Erasable = true
	l := newSignedLog(t, draft)
	real := l.lines(t)[0]
	erased := fields(t, real)
	erased["erased"] = "true"
	file := filepath.Join(t.TempDir(), "line")
	for _, c := range []struct{ line, want string }{
		{real, "cannot be compared without the salt"},
		{join(erased), "cannot be compared without the salt"},
		{strings.Replace(real, `"erasable":true,`, "", 1), "the event has no erasable, and proven is that it has one"},
		{strings.Replace(real, `"lane":1`, `"lane":5`, 1), "the event has the lane 5, and proven is 1"},
	} {
		if err := os.WriteFile(file, []byte(c.line), 0o644); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := output("check", "--proof", l.proof(t, 1), "--keys", l.keys, "--event", file)
		if code != 1 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("exit code %d, %q, want %q", code, stderr, c.want)
		}
	}
}

// TestDeepEvent: however deep JSON is nested, read prints a line that append and check
// take.
func TestDeepEvent(t *testing.T) {
	nested := func(depth int, open, end string) []byte {
		return []byte(strings.Repeat(open, depth) + strings.Repeat(end, depth))
	}
	for _, c := range []struct {
		what    string
		content []byte
		plain   bool
	}{
		{"a level that is left", nested(9999, "[", "]"), true},
		{"none", nested(10000, "[", "]"), false},
		{"none, of objects", append(append(bytes.Repeat([]byte(`{"a":`), 10000), '1'), bytes.Repeat([]byte("}"), 10000)...), false},
		{"no JSON for package json", nested(10001, "[", "]"), false},
		{"wide", []byte("[" + strings.Repeat("[],", 20000) + "[]]"), true},
		{"in a string", []byte(`"` + strings.Repeat("[{", 20000) + `"`), true},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := newSignedLog(t, engine.Draft{Stream: "s", Type: "t", Data: c.content, Metadata: c.content})
			line := l.lines(t)[0]
			if plain := strings.Contains(line, `"data":`) && strings.Contains(line, `"meta":`); plain != c.plain {
				t.Errorf("plain: %v, want %v: %.200s", plain, c.plain, line)
			}
			got, err := parseLine([]byte(line), 0)
			if err != nil || !bytes.Equal(got.Data, c.content) || !bytes.Equal(got.Metadata, c.content) {
				t.Errorf("append takes %d and %d bytes, %v", len(got.Data), len(got.Metadata), err)
			}
			file := filepath.Join(t.TempDir(), "line")
			if err := os.WriteFile(file, []byte(line), 0o644); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := output("check", "--proof", l.proof(t, 1), "--keys", l.keys, "--event", file); code != 0 {
				t.Error(stderr)
			}
		})
	}
}
