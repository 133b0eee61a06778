package card

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// hostile draws text that wants to get out of its place.
func hostile() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{
			"", " ", "\n", "\r\n", "\t", "\x1b[31m", "\x00", "\x7f", "\u202e", "\u2028", "\ufeff", "\ufffe", "\uffff", "%0A", "%", "::error::x", "\n::set-env name=a::b",
			"##[add-mask]x", "]]>", "<failure>", "&amp;", "'", "\"", "字", "é\u0301", "👩‍👩‍👧", ":", ",", "a word ", "/a/path", strings.Repeat("x", 300), strings.Repeat("long ", 200),
			strings.Repeat("\n", 100), strings.Repeat("字", 200), strings.Repeat("l\n", 150), strings.Repeat("/d", 500), "'it is' 'quoted", strings.Repeat("\x01", 200),
		}),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 6), func(list []string) string { return strings.Join(list, "") })
}

// hostileCard draws a card of such texts.
func hostileCard() *rapid.Generator[Card] {
	return rapid.Custom(func(t *rapid.T) Card {
		text := func(name string) string { return hostile().Draw(t, name) }
		c := Card{
			What: text("what"), Headline: text("headline"), Invariant: text("invariant"), Promise: text("promise"), Cause: text("cause"), Else: text("else"),
			Promised: rapid.SliceOfN(hostile(), 0, 6).Draw(t, "promised"), Shown: rapid.SliceOfN(hostile(), 0, 6).Draw(t, "shown"),
			Expected: text("expected"), Found: text("found"), Came: text("came"), File: text("file"),
			Replay: text("replay"), Report: text("report"), Trace: text("trace"), All: text("all"),
			Source: text("source"), SourceLine: rapid.IntRange(-1, 9999).Draw(t, "line"),
		}
		for range rapid.IntRange(0, 10).Draw(t, "notes") {
			c.Notes = append(c.Notes, Note{text("name"), text("note")})
		}
		for range rapid.SampledFrom([]int{0, 1, 3, 20, 300}).Draw(t, "steps") {
			mark := rapid.SampledFrom([]Mark{Plain, Plain, Plain, Decides, Happens}).Draw(t, "mark")
			c.Plan = append(c.Plan, Step{mark, rapid.SampledFrom([]string{"1 open", "2 batch", "\n::x", strings.Repeat("y", 500), strings.Repeat("a b ", 500)}).Draw(t, "step")})
		}
		return c
	})
}

// TestBounds: whatever a card holds, its text has at most 40 lines of 120 columns,
// in which nothing but text is, and the same each time.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := hostileCard().Draw(t, "card")
		text := c.Text()
		if again := c.Text(); again != text {
			t.Fatalf("once\n%s\nand once\n%s", text, again)
		}
		bounded(t, text)
	})
}

func bounded(t interface{ Fatalf(string, ...any) }, text string) {
	if !strings.HasSuffix(text, "\n") || !utf8.ValidString(text) {
		t.Fatalf("no newline at the end, or no UTF-8: %q", text)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > Lines {
		t.Fatalf("%d lines:\n%s", len(lines), text)
	}
	for _, line := range lines {
		if n := columns(line); n > Columns {
			t.Fatalf("%d columns: %q", n, line)
		}
		for _, r := range line {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x202e || r == 0xfeff || r == 0xfffe || r == 0xffff {
				t.Fatalf("%U in %q", r, line)
			}
		}
	}
}

// parsed is what GitHub's runner makes of a line, or ok is false where it is text.
func parsed(line string) (command string, properties map[string]string, message string, ok bool) {
	line = strings.TrimLeft(line, " \t")
	if !strings.HasPrefix(line, "::") {
		return "", nil, "", false
	}
	head, message, ok := strings.Cut(line[2:], "::")
	if !ok {
		return "", nil, "", false
	}
	command, list, _ := strings.Cut(head, " ")
	properties = map[string]string{}
	for each := range strings.SplitSeq(list, ",") {
		if name, value, ok := strings.Cut(each, "="); ok {
			properties[name] = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%").Replace(value)
		}
	}
	return command, properties, strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(message), true
}

// TestGitHub: a card is one group and one annotation, with what it says, and no
// text in it is a command of its own.
func TestGitHub(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := hostileCard().Draw(t, "card")
		var commands []string
		for line := range strings.Lines(c.GitHub()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.Contains(line, "##[") && !strings.HasPrefix(line, "::") {
				t.Fatalf("a command of the old form in %q", line)
			}
			command, properties, message, ok := parsed(line)
			if !ok {
				continue
			}
			commands = append(commands, command)
			if command != "error" {
				continue
			}
			if want := strings.TrimPrefix(c.Title(), "FAIL "); properties["title"] != want {
				t.Fatalf("title %q, want %q", properties["title"], want)
			}
			if n := len([]rune(message)); n > mostMessage || message+"\n" != c.Text() && n < mostMessage/2 {
				t.Fatalf("a message of %d characters:\n%s", n, message)
			}
			switch {
			case c.Source != "" && properties["file"] != visible(c.Source):
				t.Fatalf("file %q, want %q", properties["file"], c.Source)
			case c.Source == "" && properties["file"] != visible(c.File):
				t.Fatalf("file %q, want %q", properties["file"], c.File)
			}
		}
		if got := strings.Join(commands, " "); got != "group endgroup error" {
			t.Fatalf("commands %s in\n%s", got, c.GitHub())
		}
	})
}

// TestEscapes: the rules of GitHub's toolkit, to the letter.
func TestEscapes(t *testing.T) {
	c := Card{What: "100%: a, b", File: "a:b,c%d", Cause: "x:y,z%"}
	want := "::error file=a%3Ab%2Cc%25d,title=100%25%3A a%2C b::FAIL 100%25: a, b%0A  cause     x:y,z%25%0A  file      a:b,c%25d\n"
	if got := c.GitHub(); !strings.HasSuffix(got, "::endgroup::\n"+want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.Source, c.SourceLine = "engine/commit.go", 12
	if got := c.GitHub(); !strings.Contains(got, "::error file=engine/commit.go,line=12,title=") {
		t.Errorf("got %s", got)
	}
	c = Card{What: "x", Found: "##[error]a\n::stop-commands::b"}
	if got := c.GitHub(); !strings.Contains(got, "  found     #\\x23[error]a\n            \\x3a:stop-commands::b\n") {
		t.Errorf("got %s", got)
	}
}

// TestJUnit: any reader of XML 1.0 gets from it what was put in.
func TestJUnit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Suite{Name: hostile().Draw(t, "suite"), Properties: []Property{{"seeds", hostile().Draw(t, "seeds")}}}
		for i := range rapid.IntRange(0, 5).Draw(t, "cases") {
			s.Cases = append(s.Cases, Case{
				Class: fmt.Sprint("class ", i), Name: hostile().Draw(t, "name"), Seconds: float64(i) / 2,
				Properties: []Property{{"digest", hostile().Draw(t, "digest")}},
				Cards:      rapid.SliceOfN(hostileCard(), 0, 2).Draw(t, "cards"),
				Problems:   rapid.SliceOfN(hostile(), 0, 2).Draw(t, "problems"),
			})
		}
		var b bytes.Buffer
		if err := JUnit(&b, s); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, b.Bytes())
		var got xmlSuites
		if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in\n%s", err, b.Bytes())
		}
		suite := got.Suites[0]
		failures := 0
		for i, c := range suite.Cases {
			want := s.Cases[i]
			if c.Class != want.Class || c.Name != visible(want.Name) || c.Time != secondsText(want.Seconds) || c.Properties.List[0].Value != visible(want.Properties[0].Value) {
				t.Fatalf("got %+v, want %+v", c, want)
			}
			if (c.Failure != nil) != want.failed() {
				t.Fatalf("case %d fails: %v, want %v", i, c.Failure, want.failed())
			}
			if c.Failure == nil {
				continue
			}
			failures++
			for _, card := range want.Cards {
				if !strings.Contains(c.Failure.Text, card.Text()) {
					t.Fatalf("case %d has\n%s\nwant\n%s", i, c.Failure.Text, card.Text())
				}
			}
		}
		if got.Failures != failures || suite.Failures != failures || suite.Tests != len(s.Cases) || len(suite.Cases) != len(s.Cases) {
			t.Fatalf("%d failures of %d tests, want %d of %d", got.Failures, suite.Tests, failures, len(s.Cases))
		}
	})
}

// wellFormed reads all tokens, and checks each character against the Char of
// section 2.2 of XML 1.0, which encoding/xml does not insist on in what it writes.
func wellFormed(t interface{ Fatalf(string, ...any) }, b []byte) {
	for _, r := range string(b) {
		if r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r > 0xd7ff && r < 0xe000 || r == 0xfffe || r == 0xffff) {
			t.Fatalf("%U is no character of XML 1.0", r)
		}
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
	}
}

// TestPlan: what is left of a long plan is what decides, and what is around it.
func TestPlan(t *testing.T) {
	c := Card{What: "x", File: "failures/x.plan"}
	for i := range 200 {
		c.Plan = append(c.Plan, Step{Text: fmt.Sprint(i+1, " read")})
	}
	c.Plan[99] = Step{Decides, "100 batch"}
	c.Plan[150] = Step{Happens, "the power failed"}
	text := strings.Join(c.plan(12), "\n")
	want := `  1 read
  2 read
  … 96 more steps: see failures/x.plan
  99 read
> 100 batch
  101 read
  … 48 more steps: see failures/x.plan
  150 read
! the power failed
  152 read
  … 47 more steps: see failures/x.plan
  200 read`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	bounded(t, c.Text())
}

// TestCommands: a command that is too long for a line is one for a shell all the
// same.
func TestCommands(t *testing.T) {
	for _, test := range []struct{ name, command, want string }{
		{"short", "go run x", "go run x"},
		{"two lines", "go run ./cmd/untorn-sim replay " + strings.Repeat("d", 85), "go run ./cmd/untorn-sim \\\nreplay " + strings.Repeat("d", 85)},
		{"quoted", "go run ./cmd/untorn-sim replay '" + strings.Repeat("d ", 40) + "'", "go run \\\n./cmd/untorn-sim replay '" + strings.Repeat("d ", 40) + "'"},
		{"too long for anything", "replay " + strings.Repeat("d", 200) + " -o report.html", "replay \\\n" + strings.Repeat("d", 45) + "…" + strings.Repeat("d", 46) + " -o report.html"},
	} {
		if got := strings.Join(commandLines(test.command), "\n"); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// TestMessage: what GitHub would cut at the end is shorter in the middle, so that
// its last line says how to go on.
func TestMessage(t *testing.T) {
	long := strings.Repeat("w", 9000)
	c := Card{What: long, Promise: long, Cause: long, Else: long, Promised: []string{long}, Shown: []string{long}, Expected: long, Found: long, Trace: "trace it"}
	if n := len([]rune(c.Text())); n <= mostMessage {
		t.Fatalf("the text has %d characters, which is not enough for this test", n)
	}
	got := c.message()
	if n := len([]rune(got)); n > mostMessage || n < mostMessage/2 || !strings.HasSuffix(got, "\n  trace     trace it") {
		t.Errorf("%d characters: %s", n, got)
	}
}
