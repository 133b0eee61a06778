package replay

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestRowsComeBack checks that what is written is read, and that what is read says
// the same.
func TestRowsComeBack(t *testing.T) {
	o := small(2)
	o.Wrap, o.Shrink = dropSync, -1
	report, err := Sweep(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run.jsonl")
	if err := SaveRows(path, report.Rows); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ReadRows(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := report.Rows
	for i := range want {
		want[i].Failures, want[i].StepsPerSeed, want[i].OpensPerSeed = nil, nil, nil
		if len(want[i].Violations) == 0 || len(want[i].Crashed) == 0 || len(want[i].Coverage) == 0 {
			t.Errorf("a row that says little: %+v", want[i])
		}
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("read\n%+v\nwant\n%+v", rows, want)
	}
	if err := SaveRows(filepath.Join(path, "no"), rows); !errors.As(err, new(*fs.PathError)) {
		t.Errorf("a file is no directory: %v", err)
	}
}

// TestReadRowsIsStrict: whatever is no row is named with its line.
func TestReadRowsIsStrict(t *testing.T) {
	digest := strings.Repeat("0f", 32)
	row := func(scenario string) string {
		return `{"scenario":"` + scenario + `","disk":"posix","digest":"` + digest + `"}` + "\n"
	}
	if rows, err := ReadRows(strings.NewReader(row("batch") + row("mixed"))); err != nil || len(rows) != 2 || rows[1].Scenario != "mixed" {
		t.Errorf("two rows: %v, %v", rows, err)
	}
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "line 1: there is no row"},
		{"a plan", "untorn plan 1\n", "line 1: want a JSON object"},
		{"an empty line", row("batch") + "\n", "line 2: want a JSON object"},
		{"a list", "[" + row("batch") + "]", "line 1: want a JSON object"},
		{"half a row", row("batch") + row("mixed")[:20], "line 2: unexpected EOF"},
		{"another object", `{"name":"x"}`, `line 1: json: unknown field "name"`},
		{"a count that is none", strings.Replace(row("batch"), `"disk"`, `"seeds":"many","disk"`, 1), "line 1: json: cannot unmarshal string into Go struct field Row.seeds"},
		{"no disk", row("batch") + strings.Replace(row("mixed"), `"posix"`, `""`, 1), "line 2: the row has no scenario, or no disk"},
		{"another digest", strings.Replace(row("batch"), digest, digest[2:], 1), "want 64 hexadecimal digits"},
		{"a negative count", strings.Replace(row("batch"), `"disk"`, `"seeds":-1,"disk"`, 1), "line 1: a count is negative"},
		{"two on a line", strings.TrimSpace(row("batch")) + row("mixed"), "something behind the object"},
		{"a row twice", row("batch") + row("mixed") + row("batch"), "line 3: batch on posix again, which line 1 has"},
	} {
		if rows, err := ReadRows(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) || rows != nil {
			t.Errorf("%s: %v, %v, want %q", test.name, rows, err, test.want)
		}
	}
	if _, err := ReadRows(strings.NewReader(strings.Repeat(" ", MaxRow+2))); err == nil || !strings.Contains(err.Error(), "line 1: more than") {
		t.Errorf("a line without an end: %v", err)
	}
}

// FuzzReadRows: whatever is read can be written and read again.
func FuzzReadRows(f *testing.F) {
	f.Add(`{"scenario":"a","disk":"b","digest":"` + strings.Repeat("0", 64) + `","crashed":[{"before":"x","times":2}],"reached":{"y":1}}`)
	f.Add("{}\n{")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := ReadRows(strings.NewReader(text))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		if err := WriteRows(&once, rows); err != nil {
			t.Fatal(err)
		}
		again, err := ReadRows(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteRows(&twice, again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("%s\n%s", once.Bytes(), twice.Bytes())
		}
	})
}
