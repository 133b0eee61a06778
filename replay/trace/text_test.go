package trace_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/untorn-db/untorn/replay/trace"
)

// viewed is a trace for a person.
func viewed(t *testing.T, tr *trace.Trace, v trace.View) string {
	t.Helper()
	var b bytes.Buffer
	if err := tr.Text(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var escape = regexp.MustCompile("\x1b\\[[0-9]+m")

// checkWidth: no line is too wide, or has anything that controls a terminal.
func checkWidth(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(escape.ReplaceAllString(text, "")) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > trace.Width {
			t.Errorf("a line of %d columns: %q", n, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("a line with what controls a terminal: %q", line)
		}
	}
}

func TestText(t *testing.T) {
	all := viewed(t, sample(), trace.View{})
	for _, c := range []struct {
		file string
		view trace.View
	}{
		{"sample.txt", trace.View{}},
		{"sample.color.txt", trace.View{Color: true}},
		{"sample.life1.txt", trace.View{Life: 2}},
		{"sample.ops.txt", trace.View{Kinds: []trace.Kind{trace.Op, trace.Crash}}},
	} {
		got := viewed(t, sample(), c.view)
		golden(t, c.file, got)
		checkWidth(t, got)
		if c.view.Color && escape.ReplaceAllString(got, "") != all {
			t.Error("colours change what is said")
		}
	}
}

// TestTextIsHarmless: what a file says does not reach the terminal as it is.
func TestTextIsHarmless(t *testing.T) {
	tr := sample()
	tr.Header.Scenario = "\x1b[2J"
	for i := range tr.Entries {
		tr.Entries[i].Text = "a\x1b[31m\tb\u009b"
		tr.Entries[i].Client = "\x07"
		for k := range tr.Entries[i].Changes {
			tr.Entries[i].Changes[k].Path = "\x1b]0;x\x07"
		}
	}
	checkWidth(t, viewed(t, tr, trace.View{}))
	var b bytes.Buffer
	if err := trace.Diff(tr, sample()).Text(&b, "a", "b", false); err != nil {
		t.Fatal(err)
	}
	checkWidth(t, b.String())
}

// TestWriteSome: a selection is its header and its lines, and no trace.
func TestWriteSome(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteSome(&b, trace.View{Life: 1, Kinds: []trace.Kind{trace.Op, trace.Crash}}); err != nil {
		t.Fatal(err)
	}
	all := strings.SplitAfter(lines(t, sample()), "\n")
	if want := all[0] + all[3] + all[8] + all[9] + all[12]; b.String() != want {
		t.Errorf("%s, want %s", &b, want)
	}
	if _, err := trace.Read(&b); err == nil || err.Error() != "trace, line 2: entry 2: want entry 0" {
		t.Errorf("error %v", err)
	}
}
