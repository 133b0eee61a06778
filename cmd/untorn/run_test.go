package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

// output is what a run of the command has said.
func output(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestWhileAppending holds an append open in the middle of its input: each
// line's receipt is there before the next line is written, so nothing waits for
// the end of the input; meanwhile others can read, but not append.
func TestWhileAppending(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	input, lines := io.Pipe()
	receipts, told := io.Pipe()
	ended := make(chan int, 1)
	var errs strings.Builder
	go func() {
		ended <- run([]string{"append", "--dir", dir, "--json"}, input, told, &errs)
		told.Close()
	}()
	scanner := bufio.NewScanner(receipts)
	for i := 1; i <= 3; i++ {
		if _, err := fmt.Fprintf(lines, "{\"stream\":\"s\",\"type\":\"t\",\"data\":%d}\n", i); err != nil {
			t.Fatal(err)
		}
		if !scanner.Scan() {
			t.Fatalf("no receipt for line %d: %s", i, errs.String())
		}
		var receipt struct {
			Line, Sequence int
			Durable        bool
		}
		if err := json.Unmarshal(scanner.Bytes(), &receipt); err != nil {
			t.Fatalf("%v: %s", err, scanner.Text())
		}
		if receipt.Line != i || receipt.Sequence != i || !receipt.Durable {
			t.Fatalf("line %d has the receipt %+v", i, receipt)
		}
	}

	code, stdout, stderr := output("read", "--dir", dir, "--buffered")
	if got := strings.Count(stdout, "\ts\t"); code != 0 || got != 3 {
		t.Errorf("reading a log that is being written: exit %d, %d events, want 3: %s", code, got, stderr)
	}
	// Nothing proves yet, to somebody without the lock, that the last batch was
	// synced.
	code, stdout, stderr = output("read", "--dir", dir)
	if got := strings.Count(stdout, "\ts\t"); code != 0 || got != 2 ||
		stderr != "untorn: note: 1 event at the end may not be durable yet, and not shown: --buffered shows them\n" {
		t.Errorf("reading what is known to be durable: exit %d, %d events, want 2: %s", code, got, stderr)
	}
	code, stdout, stderr = output("verify", "--dir", dir)
	if code != 0 || !strings.HasPrefix(stdout, "2 events in 2 batches and 1 segment verified; ") ||
		!strings.HasPrefix(stderr, "untorn: note: 1 batch at the end may not be durable yet, and not verified: ") {
		t.Errorf("verifying a log that is being written: exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = output("inspect", "--dir", dir)
	if code != 0 || !strings.Contains(stdout, "\n1 event at the end may not be durable yet\n") {
		t.Errorf("inspecting a log that is being written: exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = output("graph", "--dir", dir, "2")
	if code != 0 || stdout != "▶ #2 t s@2\n" || !strings.HasPrefix(stderr, "untorn: note: 1 event at the end may not be durable yet, and not looked at: ") {
		t.Errorf("the graph of a log that is being written: exit %d: %s%s", code, stdout, stderr)
	}
	key := filepath.Join(t.TempDir(), "key")
	if code, _, stderr := output("key", "--out", key); code != 0 {
		t.Fatal(stderr)
	}
	for _, command := range [][]string{{"append"}, {"sign", "--key", key}} {
		code, _, stderr = output(append(command, "--dir", dir)...)
		if want := fmt.Sprintf("untorn: %s: process %d has the log in %s open for writing: wait until it has ended, or end it; untorn read and untorn tail -f read beside it\n",
			command[0], os.Getpid(), dir); code != 1 || stderr != want {
			t.Errorf("%s while somebody appends: exit %d, %q, want %q", command[0], code, stderr, want)
		}
	}

	lines.Close()
	if scanner.Scan() {
		t.Errorf("a receipt for nothing: %s", scanner.Text())
	}
	if code := <-ended; code != 0 {
		t.Errorf("append ended with %d: %s", code, errs.String())
	}
	code, stdout, _ = output("read", "--dir", dir)
	if got := strings.Count(stdout, "\ts\t"); code != 0 || got != 3 {
		t.Errorf("exit %d, %d events at the end, want 3", code, got)
	}
}

// TestBrokenInput checks that an input that ends in an error is no input that
// ends.
func TestBrokenInput(t *testing.T) {
	dir := t.TempDir()
	broken := io.MultiReader(strings.NewReader("{\"stream\":\"s\",\"type\":\"t\"}\n{\"stream\":\"s\",\"type\":\"t\"}\n"), failing{})
	var out, errs strings.Builder
	if code := run([]string{"append", "--dir", dir, "--batch", "3"}, broken, &out, &errs); code != 1 {
		t.Errorf("exit %d", code)
	}
	if got, want := errs.String(), "untorn: append: line 3: read the input: the cable is out; nothing was appended\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, stdout, _ := output("read", "--dir", dir, "--buffered"); stdout != "" {
		t.Errorf("the unfinished batch was appended: %s", stdout)
	}
}

// TestBrokenOutput checks that nothing that could not be printed is called
// fine.
func TestBrokenOutput(t *testing.T) {
	dir := t.TempDir()
	line := "{\"stream\":\"s\",\"type\":\"t\"}\n"
	for _, args := range [][]string{
		{"append", "--dir", dir},
		{"append", "--dir", dir, "--json"},
		{"read", "--dir", dir},
		{"tail", "--dir", dir},
		{"tail", "--dir", dir, "-f"},
		{"verify", "--dir", dir},
		{"inspect", "--dir", dir, "--json"},
		{"graph", "--dir", dir, "1"},
		{"graph", "--dir", dir, "1", "--json"},
		{"graph", "--dir", dir, "1", "--format", "svg"},
		{"help"},
	} {
		var errs strings.Builder
		if code := run(args, strings.NewReader(line), failing{}, &errs); code != 1 || !strings.Contains(errs.String(), "write the output: the cable is out") {
			t.Errorf("%v: exit %d, %q", args, code, errs.String())
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error)  { return 0, errors.New("the cable is out") }
func (failing) Write([]byte) (int, error) { return 0, errors.New("the cable is out") }

// TestPrintEvent checks what of an event is printed, and that it is JSON
// whatever the event holds.
func TestPrintEvent(t *testing.T) {
	id := uuid.MustParse("0190b8a0-0000-7000-8000-000000000001")
	plain := engine.Event{
		ID: id, Sequence: 7, Version: 2, Batch: 3, Stream: "s", Type: "t", Correlation: id, Durable: true,
		Time: time.Unix(1, 5).UTC(), Clock: time.Unix(1, 5).UTC(),
	}
	const hash = `"0000000000000000000000000000000000000000000000000000000000000000"`
	head := `{"sequence":7,"id":"0190b8a0-0000-7000-8000-000000000001","scope":"","stream":"s","version":2,"type":"t","batch":3,"time":"1970-01-01T00:00:01.000000005Z"`
	for _, c := range []struct {
		name   string
		change func(*engine.Event)
		want   string
		text   string
	}{
		{"plain", func(e *engine.Event) {}, head + `,"hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\ts\t2\tt\t"},
		{"JSON on one line keeps its bytes", func(e *engine.Event) { e.Data = []byte(`{ "a" : "<é\u00e9>" }`) },
			head + `,"data":{ "a" : "<é\u00e9>" },"hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\ts\t2\tt\t{ \"a\" : \"<é\\u00e9>\" }"},
		{"JSON on two lines", func(e *engine.Event) { e.Data = []byte("{\n}") },
			head + `,"data64":"ewp9","hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\ts\t2\tt\t\"{\\n}\""},
		{"bytes", func(e *engine.Event) { e.Data, e.Metadata = []byte{0xff, 0}, []byte("x") },
			head + `,"data64":"/wA=","meta64":"eA==","hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\ts\t2\tt\t\"\\xff\\x00\""},
		{"JSON around bytes that are not UTF-8", func(e *engine.Event) { e.Data = []byte("\"\xff\"") },
			head + `,"data64":"Iv8i","hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\ts\t2\tt\t\"\\\"\\xff\\\"\""},
		{"an escape sequence for the terminal", func(e *engine.Event) { e.Data = []byte("\x1b[31m") },
			head + `,"data64":"G1szMW0=","hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\ts\t2\tt\t\"\\x1b[31m\""},
		{"a name that somebody made up", func(e *engine.Event) { e.Stream = "s\x1b[31m" },
			strings.Replace(head, `"stream":"s"`, `"stream":"s\u001b[31m"`, 1) + `,"hash":` + hash + `,"durable":true}`,
			"7\t1970-01-01T00:00:01.000000005Z\t\t\"s\\x1b[31m\"\t2\tt\t"},
		{"everything", func(e *engine.Event) {
			e.Scope, e.Key, e.CausedBy, e.Correlation = `a"b\`, "k", id, uuid.Nil
			e.Lane, e.Depth, e.Flags, e.PayloadVersion, e.Erasable, e.Durable = 1, 2, 3, 4, true, false
			e.Clock = time.Unix(0, 0)
			e.Extensions = map[string][]byte{"b<": nil, "a": {1}}
		},
			strings.Replace(head, `"scope":""`, `"scope":"a\"b\\"`, 1) + `,"clock":"1970-01-01T00:00:00.000000000Z","key":"k","causedBy":"0190b8a0-0000-7000-8000-000000000001",` +
				`"correlation":"00000000-0000-0000-0000-000000000000","lane":1,"depth":2,"flags":3,"payloadVersion":4,"erasable":true,` +
				`"extensions64":{"a":"AQ==","b<":""},"hash":` + hash + `,"durable":false}`,
			"7\t1970-01-01T00:00:01.000000005Z\ta\"b\\\ts\t2\tt\t\t(not durable)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			event := plain
			c.change(&event)
			got := string(appendEvent(nil, &event))
			if got != c.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("this is no JSON: %s", got)
			}
			if got := string(appendEventText(nil, &event, color.Painter{})); got != c.text+"\n" {
				t.Errorf("got  %q\nwant %q", got, c.text)
			}
		})
	}
}

// TestGraphOfCorrelation draws what untorn append cannot make: correlations, lanes
// and depths.
func TestGraphOfCorrelation(t *testing.T) {
	dir := t.TempDir()
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	root, err := log.Append(t.Context(), engine.Draft{Stream: "s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	request := uuid.MustParse("0190b8a0-0000-7000-8000-000000000001")
	for _, draft := range []engine.Draft{
		{Stream: "s", Type: "t", Correlation: root.ID, CausedBy: engine.ByID(root.ID), Lane: 3, Depth: 1},
		{Stream: "s", Type: "t", Correlation: request},
		{Stream: "s", Type: "t", Correlation: root.ID},
		{Stream: "s", Type: "t", Correlation: request},
	} {
		if _, err := log.Append(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args           []string
		stdout, stderr string
	}{
		{[]string{"2"}, "#1 t s@1\n└─ ▶ #2 t s@2 lane 3 depth 1\n#4 t s@4\n", ""},
		{[]string{"1"}, "▶ #1 t s@1\n└─ #2 t s@2 lane 3 depth 1\n#4 t s@4\n", ""},
		{[]string{"5"}, "#3 t s@3\n▶ #5 t s@5\n", ""},
		{[]string{request.String()}, "#3 t s@3\n#5 t s@5\n", ""},
		{[]string{"4", "--limit", "2"}, "#1 t s@1\n└─ #2 t s@2 lane 3 depth 1\n", "untorn: note: not all events are shown: --limit is 2, and --limit 0 shows all\n"},
		{[]string{"4", "--limit", "3"}, "#1 t s@1\n└─ #2 t s@2 lane 3 depth 1\n▶ #4 t s@4\n", ""},
	} {
		code, stdout, stderr := output(append([]string{"graph", "--dir", dir, "--correlated"}, c.args...)...)
		if code != 0 || stdout != c.stdout || stderr != c.stderr {
			t.Errorf("%v: exit %d\n%s%swant\n%s%s", c.args, code, stdout, stderr, c.stdout, c.stderr)
		}
	}
}

// FuzzParseEventName checks that what stands for an event is refused with a usage
// error on one line, or is one thing: an id, a sequence, or the beginning of an id.
func FuzzParseEventName(f *testing.F) {
	for _, text := range []string{"", "1", "#12", "012", "01936285", "0190b8a0-00", "0190B8A0-0000-7000-8000-000000000001", "0190b8a0000070008000000000000001", "#", "18446744073709551616", "{0190b8a0-0000-7000-8000-000000000001}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := parseEventName(text)
		if err != nil {
			if command.Code(err) != command.ExitUsage || strings.ContainsAny(command.OneLine(err.Error()), "\r\n") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		digits := strings.ToLower(strings.ReplaceAll(text, "-", ""))
		switch {
		case name.whole:
			if got := strings.ReplaceAll(name.id.String(), "-", ""); got != digits {
				t.Fatalf("%q is the id %s", text, got)
			}
		case name.sequence > 0:
			if got := strconv.FormatUint(name.sequence, 10); got != strings.TrimLeft(text, "#0") {
				t.Fatalf("%q is the sequence %s", text, got)
			}
		default:
			if name.prefix != digits || len(digits) < 8 || len(digits) > 31 || strings.Trim(digits, "0123456789abcdef") != "" {
				t.Fatalf("%q is the beginning %q", text, name.prefix)
			}
		}
	})
}

// FuzzPrintedEvent checks that what read --json prints of any event is a line for append,
// with all that is the caller's own as it was.
func FuzzPrintedEvent(f *testing.F) {
	f.Add("", "s", "t", []byte(`{"a" : 1}`), []byte("m"), "k", "x", []byte{0}, uint32(1), true)
	f.Add("a\"b\\", "é\u2028<&>\ufffd", "\x7f", []byte(" 1 "), []byte("1\t"), "", "a,\" :", []byte(nil), uint32(0), false)
	f.Add("x", "s", "t", []byte("\"\\ud800\""), []byte("\"\xff\""), "k/0", "\u0085", []byte(" "), ^uint32(0), false)
	f.Fuzz(func(t *testing.T, scope, stream, kind string, data, meta []byte, key, name string, value []byte, number uint32, erasable bool) {
		for _, text := range []string{scope, stream, kind, key, name} {
			if !utf8.ValidString(text) {
				return // in no log
			}
		}
		if stream == "" || kind == "" {
			return
		}
		want := engine.Draft{
			Scope: scope, Stream: stream, Type: kind, Key: key, Data: data, Metadata: meta,
			CausedBy: engine.ByID(uuid.Max), Correlation: uuid.NameSpaceDNS, Erasable: erasable,
			Lane: number, Depth: number / 2, Flags: number / 3, PayloadVersion: number / 4,
			Extensions: map[string][]byte{name: value, name + "2": {1}},
		}
		got, err := parseLine(bytes.TrimSpace(appendEvent(nil, &engine.Event{
			ID: uuid.NameSpaceURL, Sequence: 7, Version: 2, Batch: 3, Time: time.Unix(1, 5),
			Scope: scope, Stream: stream, Type: kind, Key: key, Data: data, Metadata: meta,
			CausedBy: uuid.Max, Correlation: uuid.NameSpaceDNS, Erasable: erasable,
			Lane: number, Depth: number / 2, Flags: number / 3, PayloadVersion: number / 4,
			Extensions: want.Extensions,
		})), 0)
		if err != nil || !got.printed {
			t.Fatalf("printed: %v, %v", got.printed, err)
		}
		same := bytes.Equal(got.Data, data) && bytes.Equal(got.Metadata, meta) && maps.EqualFunc(got.Extensions, want.Extensions, bytes.Equal)
		got.Data, got.Metadata, got.Extensions = nil, nil, nil
		want.Data, want.Metadata, want.Extensions = nil, nil, nil
		if !same || !reflect.DeepEqual(got.Draft, want) {
			t.Fatalf("got  %+v\nwant %+v, data %q, meta %q, extension %q", got.Draft, want, data, meta, name)
		}
	})
}

// FuzzParseLine checks that a line is either refused with a reason on one line,
// or becomes a draft that the log can take or refuse, with the data as it stood.
func FuzzParseLine(f *testing.F) {
	for _, line := range []string{
		`{"stream":"s","type":"t","data":{"a":1}}`,
		`{"stream":"s","type":"t","data":null,"meta":[1, 2],"key":"k","scope":"x","expect":3,"causedBy":0}`,
		`{"stream":"s","type":"t","expect":"none","causedBy":"0190b8a0-0000-7000-8000-000000000001"}`,
		`{"stream":"s","type":"t","causedBy":"\u0030"}`, `{"strem":1}`, `{`, `[]`, `{"stream":"s","type":"t"} x`,
	} {
		f.Add([]byte(line), 2)
	}
	f.Fuzz(func(t *testing.T, line []byte, index int) {
		if len(line) == 0 {
			return
		}
		draft, err := parseLine(line, index)
		if err != nil {
			if strings.ContainsAny(command.OneLine(err.Error()), "\n\r") || err.Error() == "" {
				t.Fatalf("an error that is not one line: %q", err)
			}
			return
		}
		if draft.Stream == "" || draft.Type == "" {
			t.Fatalf("a draft without names from %q", line)
		}
		for _, content := range [][]byte{draft.Data, draft.Metadata} {
			if bytes.Contains(bytes.ToLower(line), []byte(`64"`)) {
				break
			}
			if len(content) > 0 && (!json.Valid(content) || !strings.Contains(string(line), string(content))) {
				t.Fatalf("the content %q does not stand so in %q", content, line)
			}
		}
	})
}
