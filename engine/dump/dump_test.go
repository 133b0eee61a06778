package dump_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/dump"
)

// TestGolden keeps the format: a change of a byte is a new version of it.
func TestGolden(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	got := dumped(t, source, dump.Range{})
	const name = "testdata/small.jsonl"
	if os.Getenv("UNTORN_REWRITE") != "" {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the dump is\n%s\nwant\n%s", got, want)
	}
	kinds := map[string]int{}
	for _, line := range lines(got) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		kinds[fmt.Sprint(fields["kind"])]++
	}
	if fmt.Sprint(kinds) != "map[batch:6 dump:1 end:1 event:6 note:5]" {
		t.Errorf("lines: %v", kinds)
	}
}

// TestRoundTrip: whatever is in a log, its copy has the same head and the same dump.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := newPlace("source", engine.Options{
			SegmentSize: rapid.SampledFrom([]int64{64 << 10, 1 << 20}).Draw(t, "segment size"),
			Align:       rapid.SampledFrom([]int{0, 4096}).Draw(t, "align"),
			Signing:     &engine.Signing{KeyID: "k", Key: testKey(), When: engine.SignWhen(rapid.IntRange(0, 2).Draw(t, "signing"))},
		})
		log := source.open(t)
		random(t, source, &log)
		text := dumped(t, log, dump.Range{})
		// A cut anywhere between batches goes on exactly.
		at := uint64(rapid.IntRange(0, int(log.LogHead().Batch)).Draw(t, "cut behind batch"))
		target := newPlace("target", engine.Options{ID: log.ID(), Align: rapid.SampledFrom([]int{0, 4096}).Draw(t, "align of the copy")})
		copied := target.open(t)
		parts := [][]byte{dumped(t, log, dump.Range{To: at}), dumped(t, log, dump.Range{From: at + 1})}
		if at == 0 { // To: 0 is no bound
			parts = parts[1:]
		}
		for _, part := range parts {
			result, err := imported(part, copied)
			if err != nil || !result.Exact || result.Skipped > 0 || !result.Durable {
				t.Fatalf("import: %+v, %v", result, err)
			}
			if rapid.Bool().Draw(t, "reopen") {
				closed(t, copied)
				copied = target.open(t)
			}
		}
		if copied.LogHead() != log.LogHead() || copied.ID() != log.ID() {
			t.Fatalf("head %v of %v, want %v of %v", copied.LogHead(), copied.ID(), log.LogHead(), log.ID())
		}
		verified(t, copied)
		if again := dumped(t, copied, dump.Range{}); !bytes.Equal(again, text) {
			t.Fatalf("the copy's dump is\n%s\nwant\n%s", again, text)
		}
		result, err := imported(text, copied)
		if err != nil || result.Batches != 0 || result.Skipped != log.LogHead().Batch {
			t.Fatalf("import again: %+v, %v", result, err)
		}
		closed(t, copied)
		closed(t, log)
	})
}

// random appends random batches to a log, which may be closed and opened in between.
func random(t *rapid.T, p *place, log **engine.Log) {
	name := rapid.StringMatching(`[a-cé "\\]{1,3}`)
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"", "null", `{"a":[1e3, "\n"]}`, `"x"`, " 1", "1\n", "{}", "\u2028", "\"\u2028\"", "\"\ufffd\"", `"\ud800"`, "true", "-0", "{\"a\":1,\"a\":2}"}),
		rapid.StringN(0, 8, 20),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")) }),
		rapid.Custom(func(t *rapid.T) string { return strings.Repeat("[", rapid.IntRange(1, 9999).Draw(t, "depth")) }),
		rapid.Just(strings.Repeat("[", 9999)+strings.Repeat("]", 9999)), rapid.Just(strings.Repeat("[", 10000)+strings.Repeat("]", 10000)),
		rapid.Custom(func(t *rapid.T) string { return strings.Repeat("x", rapid.IntRange(0, 20<<10).Draw(t, "size")) }),
	)
	small := rapid.Uint32Range(0, 3)
	batches := rapid.IntRange(1, 12).Draw(t, "batches")
	keys := 0
	for range batches {
		p.clock.Jump(time.Duration(rapid.IntRange(-2, 3).Draw(t, "hours")) * time.Hour)
		var b engine.Batch
		keyed := rapid.IntRange(0, 3).Draw(t, "keyed")
		for i := range rapid.IntRange(0, 4).Draw(t, "events") {
			d := engine.Draft{
				Scope: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "scope"), Stream: name.Draw(t, "stream"), Type: name.Draw(t, "type"),
				Data: []byte(value.Draw(t, "data")), Metadata: []byte(value.Draw(t, "metadata")),
				Lane: small.Draw(t, "lane"), Depth: small.Draw(t, "depth"), Flags: small.Draw(t, "flags"), PayloadVersion: small.Draw(t, "payload version"),
				Erasable: rapid.Bool().Draw(t, "erasable"),
			}
			if i > 0 && rapid.Bool().Draw(t, "caused") {
				d.CausedBy = engine.Item(rapid.IntRange(0, i-1).Draw(t, "cause"))
			}
			if rapid.Bool().Draw(t, "correlated") {
				d.Correlation = uuid.UUID{1, byte(small.Draw(t, "correlation"))}
			}
			if rapid.Bool().Draw(t, "extended") {
				d.Extensions = map[string][]byte{}
				for range rapid.IntRange(1, 3).Draw(t, "extensions") {
					d.Extensions[rapid.OneOf(name, value).Draw(t, "extension")] = []byte(value.Draw(t, "value"))
				}
			}
			if keyed == 1 {
				keys++
				d.Key = fmt.Sprintf("\xff%d", keys)
			}
			b.Events = append(b.Events, d)
		}
		if keyed == 2 && len(b.Events) > 0 {
			keys++
			b.Key = fmt.Sprint("k", keys)
		}
		for range rapid.IntRange(0, 2).Draw(t, "notes") {
			b.Notes = append(b.Notes, engine.NoteDraft{Name: name.Draw(t, "note"), Data: []byte(value.Draw(t, "note's data"))})
		}
		if sequence := (*log).LogHead().Sequence; rapid.IntRange(0, 4).Draw(t, "move") == 0 {
			cursor, err := (*log).Cursor("c", engine.Query{})
			if err != nil {
				t.Fatalf("cursor: %v", err)
			}
			from, err := cursor.Position()
			if err != nil {
				t.Fatalf("cursor: %v", err)
			}
			b.Notes = append(b.Notes, cursor.Move(from, sequence))
		}
		if _, err := (*log).AppendBatch(context.Background(), b); err != nil && !errors.Is(err, engine.ErrLimit) {
			t.Fatalf("append: %v", err)
		}
		switch rapid.IntRange(0, 6).Draw(t, "then") {
		case 0:
			closed(t, *log)
			*log = p.open(t)
		case 1:
			if _, err := (*log).Sign(context.Background()); err != nil && !errors.Is(err, engine.ErrInvalid) {
				t.Fatalf("sign: %v", err)
			}
		}
	}
}

// TestEveryFieldCounts: no field of a dump can be changed, left out, doubled or moved
// without the import being refused, before anything of that batch is there.
func TestEveryFieldCounts(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	text := dumped(t, source, dump.Range{})
	all := lines(text)
	heads := []engine.Hash{}
	for b := range source.LogHead().Batch + 1 {
		head, err := source.HeadAt(b)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head.Hash)
	}
	tried := 0
	refused := func(what string, changed [][]byte) {
		t.Helper()
		tried++
		for _, other := range []bool{false, true} {
			if other && readable(bytes.Join(changed, nil)) != nil {
				break // whatever the log is
			}
			o := engine.Options{ID: source.ID()}
			if other {
				o.ID = uuid.UUID{7}
			}
			log := newPlace("target", o).open(t)
			result, err := imported(bytes.Join(changed, nil), log)
			if err == nil {
				t.Errorf("%s: imported: %+v\n%s", what, result, bytes.Join(changed, nil))
			}
			head := log.LogHead()
			if !other && (head.Batch >= uint64(len(heads)) || head.Batch > 0 && head.Hash != heads[head.Batch]) {
				t.Errorf("%s: the log ends with batch %d, head %v", what, head.Batch, head.Hash)
			}
			verified(t, log)
			closed(t, log)
		}
	}
	with := func(at int, line ...[]byte) [][]byte {
		return slices.Concat(all[:at], line, all[at+1:])
	}
	for at, line := range all {
		fields := fieldsOf(t, line)
		for i, f := range fields {
			rest := slices.Concat(fields[:i], fields[i+1:])
			what := fmt.Sprintf("line %d, %s", at+1, f.name)
			refused(what+" left out", with(at, joined(rest)))
			refused(what+" twice", with(at, joined(slices.Concat(fields, fields[i:i+1]))))
			if i < len(fields)-1 {
				refused(what+" moved", with(at, joined(slices.Concat(rest, fields[i:i+1]))))
			}
			for _, value := range others(f.value) {
				changed := slices.Clone(fields)
				changed[i].value = value
				refused(what+" is "+value, with(at, joined(changed)))
			}
		}
		for _, extra := range []string{`"x":1`, `"salt":"00000000000000000000000000000001"`, `"erased":true`, `"erasable":true`, `"clock":"2020-01-01T00:00:00.000000000Z"`, `"key":"z"`, `"lane":9`, `"meta":1`,
			`"contentHash":"` + strings.Repeat("0", 64) + `"`, `"flags":0`, `"kind":"end"`} {
			refused(fmt.Sprintf("line %d with %s", at+1, extra), with(at, append(bytes.TrimSuffix(bytes.Clone(line), []byte("}\n")), (","+extra+"}\n")...)))
		}
		refused(fmt.Sprintf("line %d left out", at+1), with(at))
		refused(fmt.Sprintf("line %d twice", at+1), with(at, line, line))
		refused(fmt.Sprintf("line %d with a space", at+1), with(at, append([]byte(" "), line...)))
		refused(fmt.Sprintf("line %d with a carriage return", at+1), with(at, append(bytes.TrimSuffix(bytes.Clone(line), []byte("\n")), "\r\n"...)))
		refused(fmt.Sprintf("line %d behind an empty one", at+1), with(at, []byte("\n"), line))
		if at+1 < len(all) {
			refused(fmt.Sprintf("lines %d and %d swapped", at+1, at+2), slices.Concat(all[:at], [][]byte{all[at+1], line}, all[at+2:]))
		}
	}
	t.Logf("%d changes", tried)
}

// readable reads a dump to its end.
func readable(text []byte) error {
	r, err := dump.Read(bytes.NewReader(text))
	for err == nil {
		_, err = r.Next()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

type field struct{ name, value string }

func fieldsOf(t *testing.T, line []byte) (list []field) {
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		list = append(list, field{name.(string), string(value)})
	}
	return list
}

func joined(fields []field) []byte {
	var parts []string
	for _, f := range fields {
		parts = append(parts, fmt.Sprintf("%q:%s", f.name, f.value))
	}
	return []byte("{" + strings.Join(parts, ",") + "}\n")
}

// others are values that a field could have instead.
func others(value string) []string {
	list := []string{"null", "0", "-1", "1e0", "18446744073709551616", "99999999999999999999999", `""`, `"x"`, "true", "false", "{}", "[]", `"` + strings.Repeat("0", 64) + `"`, `"AA=="`}
	if n := len(value); value[0] == '"' && n > 2 {
		body := value[1 : n-1]
		list = append(list, `"`+body+` "`, `"`+strings.ToUpper(body)+`"`, `"`+body[:len(body)-1]+`"`, `"`+body+body+`"`, fmt.Sprintf(`"\u%04x%s"`, body[0], body[1:]))
		flipped := []byte(body)
		if c := flipped[0]; c >= '0' && c < '9' || c >= 'a' && c < 'f' {
			flipped[0]++
			list = append(list, `"`+string(flipped)+`"`)
			flipped[0]--
		}
		flipped[len(flipped)-1] ^= 1
		list = append(list, `"`+string(flipped)+`"`)
	} else if value[0] == '{' {
		list = append(list, strings.Replace(value, ":", ": ", 1), strings.Replace(value, "{", `{"z":"AA==",`, 1))
	} else {
		list = append(list, value+"0", "0"+value, value+".0")
	}
	return slices.DeleteFunc(list, func(other string) bool { return other == value || !json.Valid([]byte(other)) })
}

// TestCut: a dump that was cut anywhere is noticed, with whole batches in the log, and the
// whole one goes on from there.
func TestCut(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	text := dumped(t, source, dump.Range{})
	seen := map[uint64]bool{}
	for size := range len(text) {
		p := newPlace("target", engine.Options{ID: source.ID()})
		log := p.open(t)
		result, err := imported(text[:size], log)
		var line *dump.LineError
		if !errors.Is(err, dump.ErrCut) || !errors.As(err, &line) || line.Line < 1 {
			t.Fatalf("cut at %d: %v", size, err)
		}
		head := log.LogHead()
		want, err := source.HeadAt(head.Batch)
		if err != nil || head.Batch > 0 && head.Hash != want.Hash || result.Batch != head.Batch {
			t.Fatalf("cut at %d: %+v, head %v", size, result, head)
		}
		if !seen[head.Batch] {
			seen[head.Batch] = true
			if result, err := imported(text, log); err != nil || result.Skipped != head.Batch || log.LogHead() != source.LogHead() {
				t.Fatalf("behind batch %d: %+v, %v", head.Batch, result, err)
			}
		}
		closed(t, log)
	}
	if len(seen) != int(source.LogHead().Batch)+1 {
		t.Errorf("cut behind batches %v", slices.Sorted(maps.Keys(seen)))
	}
}

func TestImportElsewhere(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	text := dumped(t, source, dump.Range{})
	target := newPlace("target", engine.Options{})
	log := target.open(t)
	if _, err := log.Append(context.Background(), engine.Draft{Stream: "s", Type: "t"}); err != nil {
		t.Fatal(err)
	}
	result, err := imported(text, log)
	if err != nil || result.Exact || result.Batches != 5 || result.Events != 6 || result.Skipped != 1 || !result.Durable || result.Batch != 6 {
		t.Fatalf("%+v, %v", result, err)
	}
	verified(t, log)
	head := log.LogHead()
	if result, err = imported(text, log); err != nil || result.Batches != 0 || log.LogHead() != head {
		t.Fatalf("again: %+v, %v", result, err)
	}
	// What comes later goes on behind it.
	part := dumped(t, source, dump.Range{From: 3})
	if result, err = imported(part, log); err != nil || result.Batches != 0 {
		t.Fatalf("a part: %+v, %v", result, err)
	}
	closed(t, log)
	// Its dump has it all.
	log = target.open(t)
	again := newPlace("again", engine.Options{ID: log.ID()}).open(t)
	if result, err = imported(dumped(t, log, dump.Range{}), again); err != nil || !result.Exact || again.LogHead() != log.LogHead() {
		t.Fatalf("%+v, %v", result, err)
	}
	closed(t, again)
	closed(t, log)
}

// TestImportIntoAFork: the same id, and another past.
func TestImportIntoAFork(t *testing.T) {
	ctx := context.Background()
	source := smallLog(t)
	defer closed(t, source)
	text := dumped(t, source, dump.Range{})
	log := newPlace("target", engine.Options{ID: source.ID()}).open(t)
	defer closed(t, log)
	if _, err := imported(dumped(t, source, dump.Range{To: 2}), log); err != nil {
		t.Fatal(err)
	}
	var gap *engine.GapError
	var line *dump.LineError
	if _, err := imported(dumped(t, source, dump.Range{From: 4}), log); !errors.As(err, &gap) || gap.Next != 3 || gap.Batch != 4 || !errors.As(err, &line) || line.Line != 1 {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, engine.Draft{Stream: "mine", Type: "t"}); err != nil {
		t.Fatal(err)
	}
	head := log.LogHead()
	var diverged *engine.DivergedError
	if _, err := imported(text, log); !errors.As(err, &diverged) || diverged.Batch != 3 || !errors.As(err, &line) || line.Batch != 3 {
		t.Fatal(err)
	}
	if _, err := imported(dumped(t, source, dump.Range{From: 4}), log); !errors.As(err, &diverged) || diverged.Batch != 3 || diverged.Expected == diverged.Found || !errors.As(err, &line) || line.Line != 1 {
		t.Fatal(err)
	}
	if log.LogHead() != head {
		t.Fatal("something was appended")
	}
	// What ends before they part is there, and the log may have gone on.
	if result, err := imported(dumped(t, source, dump.Range{To: 2}), log); err != nil || result.Skipped != 2 {
		t.Fatal(result, err)
	}
}

// TestContents: every payload keeps its bytes, and the dump is UTF-8 with a line for each.
func TestContents(t *testing.T) {
	for _, payload := range []string{"", "1", " 1", "1 ", "1\n", "\n", "[1,\n2]", "[1,\r2]", "\"\xff\"", "\xff", "\"\u2028\"", "{", "nul", `"\ud800"`, "\xef\xbb\xbf1", "1e400", "{} {}"} {
		log := newPlace("source", engine.Options{}).open(t)
		if _, err := log.AppendBatch(context.Background(), engine.Batch{
			Events: []engine.Draft{{Stream: "s", Type: "t", Data: []byte(payload), Metadata: []byte(payload)}},
			Notes:  []engine.NoteDraft{{Name: "n", Data: []byte(payload)}},
		}); err != nil {
			t.Fatal(err)
		}
		text := dumped(t, log, dump.Range{})
		if !utf8.Valid(text) || bytes.Count(text, []byte("\n")) != 5 || bytes.Contains(text, []byte("\r")) {
			t.Errorf("%q: the dump is %q", payload, text)
		}
		copied := newPlace("target", engine.Options{ID: log.ID()}).open(t)
		if _, err := imported(text, copied); err != nil || copied.LogHead() != log.LogHead() {
			t.Errorf("%q: %v", payload, err)
		}
		closed(t, copied)
		closed(t, log)
	}
}

// TestImportEndsWithItsContext, and keeps what it has taken.
func TestImportEndsWithItsContext(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	text := dumped(t, source, dump.Range{})
	ctx, cancel := context.WithCancel(context.Background())
	p := newPlace("target", engine.Options{ID: source.ID()})
	log := p.open(t)
	r, err := dump.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	result, err := dump.Import(ctx, log, r, dump.Options{Progress: func(r dump.Result) {
		if r.Batch == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || result.Batches != 3 || result.Batch != 3 || !result.Durable || log.LogHead().Batch != 3 {
		t.Fatalf("%+v, %v", result, err)
	}
	closed(t, log)
	log = p.open(t)
	if result, err = imported(text, log); err != nil || result.Skipped != 3 || log.LogHead() != source.LogHead() {
		t.Fatalf("%+v, %v", result, err)
	}
	closed(t, log)
}

func TestWriteRanges(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	last := source.LogHead().Batch
	for _, test := range []struct {
		from, to, batches uint64
		err               error
	}{{0, 0, last, nil}, {1, last, last, nil}, {2, 3, 2, nil}, {last, 99, 1, nil}, {last + 1, 0, 0, nil}, {last + 2, 0, 0, engine.ErrNotFound}, {3, 2, 0, nil}} {
		told := uint64(0)
		var text bytes.Buffer
		sum, err := dump.Write(context.Background(), &text, source, dump.Range{From: test.from, To: test.to, Progress: func(s dump.Sum) { told = s.Batches }})
		if !errors.Is(err, test.err) || err == nil && (sum.Batches != test.batches || told != test.batches) {
			t.Errorf("%d to %d: %+v, %v", test.from, test.to, sum, err)
		}
		if err != nil {
			continue
		}
		r, err := dump.Read(&text)
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err = r.Next(); err != nil {
				break
			}
		}
		if err != io.EOF || r.Sum() != sum {
			t.Errorf("%d to %d: %+v, %v", test.from, test.to, r.Sum(), err)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := dump.Write(ctx, io.Discard, source, dump.Range{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for n := range 20 {
		if _, err := dump.Write(context.Background(), &failing{n}, source, dump.Range{}); (err == nil) != (n >= 19) {
			t.Errorf("%d lines: %v", n, err)
		}
	}
}

// failing is a writer that takes so many lines.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left == 0 {
		return 0, errors.New("full")
	}
	f.left--
	return len(b), nil
}

// TestHostile: what a dump says is believed only as far as it goes.
func TestHostile(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	all := lines(dumped(t, source, dump.Range{}))
	first := string(all[0])
	batch := string(all[1])
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "line 1: the dump was cut"},
		{"no JSON", "hello\n", "line 1: "},
		{"another JSON", "{\"a\":1}\n", `unknown field "a"`},
		{"an array", "[]\n", "line 1: "},
		{"events of untorn read", `{"sequence":1,"id":"x"}` + "\n", "does not begin with"},
		{"a batch first", batch, "does not begin with"},
		{"another format", strings.Replace(first, `"format":1`, `"format":2`, 1), "format 2"},
		{"batch 0", strings.Replace(first, `"firstBatch":1`, `"firstBatch":0`, 1), "no such number"},
		{"a huge first batch", strings.Replace(first, `"firstBatch":1`, `"firstBatch":18446744073709551615`, 1), "no such number"},
		{"two headers", first + first, `the kind of the line is "dump"`},
		{"many events", first + strings.Replace(batch, `"events":1`, `"events":18446744073709551615`, 1) + string(all[2]), "no batch has as many"},
		{"as many as there can be", first + strings.Replace(batch, `"events":1`, `"events":18446744073709551614`, 1) + string(all[2]), "the dump was cut"},
		{"many notes", first + strings.Replace(batch, `"notes":0`, `"notes":65536`, 1), "no batch has as many"},
		{"a batch left out", first + string(bytes.Join(all[3:9], nil)), "line 2: batch 2 follows batch 0"},
		{"an event left out", first + strings.Replace(batch, `"sequence":1`, `"sequence":2`, 1), "line 2: batch 1 begins with event 2 instead of 1"},
		{"an event of another batch", first + batch + strings.Replace(string(all[2]), `"batch":1`, `"batch":2`, 1), "line 3, batch 1: event 1 of batch 2 stands where event 1 of batch 1 is to come"},
		{"another event", first + batch + strings.Replace(string(all[2]), `"sequence":1`, `"sequence":2`, 1), "line 3, batch 1: event 2 of batch 1 stands where event 1 of batch 1 is to come"},
		{"a note of another batch", first + strings.Replace(batch, `"events":1,"notes":0`, `"events":0,"notes":1`, 1) + `{"kind":"note","batch":2,"name":"n"}` + "\n", "line 3, batch 1: a note of batch 2 stands in batch 1"},
		{"batches of no log", `{"kind":"dump","format":1,"log":"00000000-0000-0000-0000-000000000000","firstBatch":1,"headBefore":"` + strings.Repeat("0", 64) + `"}` + "\n" + batch, "line 2: the first line has no log's id"},
		{"deep", first + strings.Repeat("[", 1<<20) + "\n", "line 2: "},
		{"binary", "\x00\xff\n", "line 1: "},
		{"a kind that is long", first + `{"kind":"` + strings.Repeat("x", 1000) + `"}` + "\n", "…"},
		{"behind the end", string(bytes.Join(all, nil)) + "x", "line 20: something follows"},
	} {
		log := newPlace("target", engine.Options{ID: source.ID()}).open(t)
		_, err := imported([]byte(test.text), log)
		if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.name != "behind the end" && log.LogHead().Batch > 0 {
			t.Errorf("%s: something was appended", test.name)
		}
		closed(t, log)
	}
	_, err := dump.Read(io.MultiReader(strings.NewReader(first[:20]), endless{}))
	if err == nil || !strings.Contains(err.Error(), "96 MiB") {
		t.Errorf("an endless line: %v", err)
	}
}

// endless is a line that does not end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestABatchIsBounded: what is held of a dump does not grow with what it says.
func TestABatchIsBounded(t *testing.T) {
	source := smallLog(t)
	defer closed(t, source)
	all := lines(dumped(t, source, dump.Range{}))
	opening := strings.Replace(string(all[1]), `"events":1`, `"events":1000000`, 1)
	event := string(all[2])
	data := strings.Repeat("x", 100<<10)
	sequence := uint64(0)
	r, err := dump.Read(io.MultiReader(bytes.NewReader(all[0]), strings.NewReader(opening), lineMaker(func() string {
		sequence++
		line := strings.Replace(event, `"sequence":1`, fmt.Sprintf(`"sequence":%d`, sequence), 1)
		return strings.Replace(line, `"data":null`, `"data":"`+data+`"`, 1)
	})))
	if err != nil {
		t.Fatal(err)
	}
	r.Bound(1<<20, 2<<20)
	if _, err = r.Next(); err == nil || !strings.Contains(err.Error(), "2 MiB") || sequence > 40 {
		t.Errorf("%d lines: %v", sequence, err)
	}
}

// lineMaker is an input that is made line by line.
func lineMaker(next func() string) io.Reader {
	return &made{next: next}
}

type made struct {
	next func() string
	rest string
}

func (m *made) Read(b []byte) (int, error) {
	if m.rest == "" {
		m.rest = m.next()
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}
