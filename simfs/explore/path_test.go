package explore_test

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

func TestCrashPathText(t *testing.T) {
	for _, test := range []struct {
		text string
		path explore.CrashPath
	}{
		{"none", nil},
		{"kill op=5 notes=1 prefix=none", explore.CrashPath{{Kind: simfs.ProcessKill, Op: 5, Notes: 1, Prefix: explore.None}}},
		{"power op=5 notes=1 prefix=-3", explore.CrashPath{{Kind: simfs.PowerLoss, Op: 5, Notes: 1, Prefix: -3}}},
		{"kill op=5 notes=0", explore.CrashPath{{Kind: simfs.ProcessKill, Op: 5}}},
		{"power op=end notes=2 prefix=9", explore.CrashPath{{Kind: simfs.PowerLoss, Op: explore.End, Notes: 2, Prefix: 9}}},
		{
			`kill op=17+2 notes=3 | power op=3 notes=1 prefix=2 ~cell:log:4=durable ~"a file"="\x00="`,
			explore.CrashPath{
				{Kind: simfs.ProcessKill, Op: 17, Cells: 2, Notes: 3},
				{Kind: simfs.PowerLoss, Op: 3, Notes: 1, Prefix: 2, Deviations: []explore.Deviation{
					{Var: "cell:log:4", Option: "durable"}, {Var: "a file", Option: "\x00="},
				}},
			},
		},
	} {
		if got := test.path.String(); got != test.text {
			t.Errorf("printed %q, want %q", got, test.text)
		}
		got, err := explore.ParseCrashPath(test.text)
		if err != nil || !reflect.DeepEqual(got, test.path) {
			t.Errorf("parsed %q as %#v, %v", test.text, got, err)
		}
	}
}

func TestCrashPathSyntax(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `crash path, byte 0 of "": want "power" or "kill"`},
		{"none left", `crash path, byte 5 of "none left": nothing may follow "none"`},
		{"kill notes=1", `crash path, byte 5 of "kill notes=1": want op=N, the operation that the crash came before, or op=end`},
		{"kill op=x", `crash path, byte 8 of "kill op=x": want a number from 0 to 2147483647`},
		{"kill op=1+ notes=1", `crash path, byte 10 of "kill op=1+ notes=1": want a number from 0 to 2147483647`},
		{"kill op=4294967296", `crash path, byte 8 of "kill op=4294967296": want a number from 0 to 2147483647`},
		{"kill op=1", `crash path, byte 9 of "kill op=1": want notes=N, how many notes the run had made`},
		{"power op=1 notes=1 prefix=-x", `crash path, byte 27 of "power op=1 notes=1 prefix=-x": want a number from 0 to 2147483647`},
		{"power op=1 notes=1", `crash path, byte 18 of "power op=1 notes=1": want prefix=N: everything from before operation N is on the disk`},
		{"power op=1 notes=1 prefix=2 ~a", `crash path, byte 30 of "power op=1 notes=1 prefix=2 ~a": want ~variable=version`},
		{"power op=1 notes=1 prefix=2 ~=b", `crash path, byte 29 of "power op=1 notes=1 prefix=2 ~=b": want a word: the name of a variable or of a version`},
		{`power op=1 notes=1 prefix=2 ~"a=b`, `crash path, byte 29 of "power op=1 notes=1 prefix=2 ~\"a=b": a quoted word without its end`},
		{"kill op=1 notes=1 kill op=2 notes=2", `crash path, byte 18 of "kill op=1 notes=1 kill op=2 notes=2": want "|" between two crashes, or the end`},
		{"kill op=1 notes=1 |", `crash path, byte 19 of "kill op=1 notes=1 |": want "power" or "kill"`},
	} {
		_, err := explore.ParseCrashPath(test.text)
		var syntax *explore.ParseError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %v, want a *ParseError", test.text, err)
		} else if err.Error() != test.want {
			t.Errorf("%q:\n got %v\nwant %v", test.text, err, test.want)
		}
	}
}

func genPath() *rapid.Generator[explore.CrashPath] {
	number := rapid.IntRange(0, 1<<31-1)
	crash := rapid.Custom(func(t *rapid.T) explore.Crash {
		c := explore.Crash{
			Kind:  rapid.SampledFrom([]simfs.Kind{simfs.ProcessKill, simfs.PowerLoss}).Draw(t, "kind"),
			Op:    rapid.OneOf(number, rapid.Just(explore.End)).Draw(t, "op"),
			Notes: number.Draw(t, "notes"),
		}
		if c.Op != explore.End {
			c.Cells = number.Draw(t, "cells")
		}
		if c.Kind == simfs.PowerLoss || rapid.Bool().Draw(t, "shut down") {
			c.Prefix = rapid.OneOf(rapid.IntRange(-1<<31+1, 1<<31-1), rapid.Just(explore.None)).Draw(t, "prefix")
			for range rapid.IntRange(0, 3).Draw(t, "deviations") {
				c.Deviations = append(c.Deviations, explore.Deviation{
					Var:    rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z]+:[0-9]`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "var"),
					Option: rapid.String().Draw(t, "option"),
				})
			}
		}
		return c
	})
	return rapid.Map(rapid.SliceOfN(crash, 0, 4), func(c []explore.Crash) explore.CrashPath {
		if len(c) == 0 {
			return nil
		}
		return c
	})
}

func TestCrashPathRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := genPath().Draw(t, "path")
		got, err := explore.ParseCrashPath(path.String())
		if err != nil {
			t.Fatalf("%q does not parse: %v", path, err)
		}
		if !reflect.DeepEqual(got, path) {
			t.Fatalf("%q came back as %#v, want %#v", path, got, path)
		}
	})
}

func FuzzParseCrashPath(f *testing.F) {
	f.Add("none")
	f.Add(" kill  op=17+2 notes=3|power op=end notes=0 prefix=2 ~cell:log:4=durable ~\"a b\"=\"\\xff\"")
	f.Fuzz(func(t *testing.T, text string) {
		path, err := explore.ParseCrashPath(text)
		if err != nil {
			var syntax *explore.ParseError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) {
				t.Fatalf("%q: bad error %#v", text, err)
			}
			return
		}
		again, err := explore.ParseCrashPath(path.String())
		if err != nil {
			t.Fatalf("%q prints as %q, which does not parse: %v", text, path, err)
		}
		if again.String() != path.String() {
			t.Fatalf("%q prints as %q, then as %q", text, path, again)
		}
	})
}
