package trace_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/untorn-db/untorn/replay/trace"
)

func TestWriteRead(t *testing.T) {
	text := lines(t, sample())
	golden(t, "sample.jsonl", text)
	back, err := trace.Read(iotest.OneByteReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, sample()) {
		t.Errorf("%+v, want %+v", back, sample())
	}
	broken := errors.New("broken")
	if _, err := trace.Read(io.MultiReader(strings.NewReader(text[:2000]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// TestReadRefuses changes one thing of a trace that is right.
func TestReadRefuses(t *testing.T) {
	right := lines(t, sample())
	cut := func(line int, until string) string { // without what is behind the text in a line
		all := strings.SplitAfter(right, "\n")
		at := strings.Index(all[line-1], until)
		return strings.Join(all[:line-1], "") + all[line-1][:at]
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "line 1: it is empty: want the header of a trace"},
		{"a plan", "untorn plan 1\n", "line 1: no line of a trace: invalid character 'u'"},
		{"version", strings.Replace(right, `{"trace":1,`, `{"trace":2,`, 1), "line 1: it is of version 2: want 1"},
		{"cell", strings.Replace(right, `"cell":512`, `"cell":500`, 1), "line 1: cells of 500 bytes: want a power of two"},
		{"unknown field", strings.Replace(right, `"kind":"call"`, `"kind":"call","colour":1`, 1), `line 3: no line of a trace: unknown field "colour"`},
		{"unknown kind", strings.Replace(right, `"kind":"call"`, `"kind":"cal"`, 1), `line 3: kind "cal": want one of [step call answer `},
		{"two on a line", strings.Replace(right, "\n{\"n\":1,", " {\"n\":1,", 1), "line 2: more behind the end of it"},
		{"cut off", cut(4, `,"op"`), "line 4: it is cut off"},
		{"cut off between lines", cut(4, `{`), "line 3: it ends without a verdict: it was cut off"},
		{"out of place", strings.Replace(right, `{"n":1,`, `{"n":2,`, 1), "line 3: entry 2: want entry 1"},
		{"life", strings.Replace(right, `{"n":1,"life":0`, `{"n":1,"life":1`, 1), "line 3: life 1: want 0, a life begins behind a crash"},
		{"no new life", strings.Replace(right, `{"n":12,"life":1`, `{"n":12,"life":0`, 1), "line 14: life 0: want 1"},
		{"behind the verdict", "", ""},
		{"step", strings.Replace(right, `"step":1`, `"step":-1`, 1), "line 2: step -1: want 0 or more"},
		{"lines in a text", strings.Replace(right, "step 1 open", `step 1\nopen`, 2), "line 2: a text of several lines: want one"},
		{"op of a call", strings.Replace(right, `"kind":"op"`, `"kind":"call"`, 1), "line 4: op: want one with kind op"},
		{"index", strings.Replace(right, `"op":{"index":0`, `"op":{"index":-1`, 1), "line 4: op: want an index of 0 or more"},
		{"time", strings.Replace(right, `2020-01-01T00:00:00Z`, `noon`, 1), `line 2: time "noon": want one like`},
		{"digest", strings.Replace(right, `35fa7bc66913daf5`, `35fa`, 1), `line 5: digest "35fa": want 16 hex digits`},
		{"change", strings.Replace(right, `"of":"name"`, `"of":"mode"`, 1), `line 4: a change of "mode": want name, size or cells`},
		{"state", strings.Replace(right, `"state":"pending"`, `"state":"soon"`, 1), `line 4: state "soon": want one of`},
		{"file", strings.Replace(right, `"of":"name","file":1`, `"of":"name","file":0`, 1), "line 4: a change of file 0: want 1 to"},
		{"cells", strings.Replace(right, `"to":3`, `"to":900000000`, 1), "line 9: cells 0 to 900000000: want a first one, and the first behind them, up to"},
		{"no cells", strings.Replace(right, `"to":3`, `"to":0`, 1), "line 9: cells 0 to 0: want a first one"},
		{"cells of a size", strings.Replace(right, `"size":1200`, `"size":1200,"to":1`, 1), "line 9: from and to of what is no cells: want none"},
		{"by the future", strings.Replace(right, `"by":7`, `"by":70`, 1), "line 9: by 70, size 1200: want an entry up to this one"},
		{"long line", strings.Replace(right, "step 1 open", strings.Repeat("x", trace.MaxLine), 1), "line 1: it is longer than"},
	} {
		if c.name == "behind the verdict" {
			last := strings.LastIndex(strings.TrimSuffix(right, "\n"), "\n")
			c.text, c.want = right+strings.Replace(right[last+1:], `"n":16`, `"n":17`, 1), "line 19: an entry behind the verdict, which is the last"
		}
		t.Run(c.name, func(t *testing.T) {
			if c.text == right {
				t.Fatal("nothing was changed")
			}
			_, err := trace.Read(strings.NewReader(c.text))
			var format *trace.FormatError
			if !errors.As(err, &format) || !strings.HasPrefix(err.Error(), "trace, "+c.want) {
				t.Errorf("error %q, want %q", err, "trace, "+c.want)
			}
		})
	}
}

// FuzzRead: whatever is read is written and read again as the same, and nothing that
// looks at it panics.
func FuzzRead(f *testing.F) {
	var b strings.Builder
	if err := sample().Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(strings.Replace(b.String(), `"to":3`, `"from":2,"to":3`, 1))
	f.Add("{}\n")
	f.Add(`{"trace":1,"cell":1}` + "\n" + `{"n":0,"kind":"verdict"}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := trace.Read(strings.NewReader(text))
		var format *trace.FormatError
		if err != nil {
			if !errors.As(err, &format) || format.Line < 1 || format.Line > strings.Count(text, "\n")+1 || strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("error %v", err)
			}
			return
		}
		written := lines(t, tr)
		back, err := trace.Read(strings.NewReader(written))
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if again := lines(t, back); again != written {
			t.Fatalf("written %s, and again %s", written, again)
		}
		if d := trace.Diff(tr, back); d != nil {
			t.Fatalf("not the same: %+v", d)
		}
		cells := 0
		for i := range tr.Entries {
			for _, c := range tr.Entries[i].Changes {
				cells += c.To - c.From
			}
		}
		if cells < 1<<16 {
			checkWidth(t, viewed(t, tr, trace.View{}))
		}
	})
}
