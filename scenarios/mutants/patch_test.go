package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPatches reads every patch of testdata and applies it to the source as it
// is. Nothing is built: that takes the command.
func TestPatches(t *testing.T) {
	mutants, equivalent, err := load("../..", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < 40 {
		t.Errorf("%d mutants, want at least 40", len(mutants))
	}
	seen := map[string]string{}
	for _, m := range append(mutants, equivalent...) {
		changed, err := m.mutate("../..")
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, f := range m.files {
			original, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(f.path)))
			if err != nil {
				t.Fatal(err)
			}
			if changed[f.path] == string(original) {
				t.Errorf("%s leaves %s as it is", m.name, f.path)
			}
			if !strings.HasPrefix(f.path, "engine/") || strings.HasSuffix(f.path, "_test.go") {
				t.Errorf("%s changes %s: a mutant is one of the engine", m.name, f.path)
			}
			all.WriteString(f.path + changed[f.path])
		}
		if other := seen[all.String()]; other != "" {
			t.Errorf("%s and %s are the same", m.name, other)
		}
		seen[all.String()] = m.name
	}
}

const head = "I1 in batch on posix: it is wrong\n"

func TestParsePatch(t *testing.T) {
	m, err := parsePatch(head + "--- a/engine/x.go\n+++ b/engine/x.go\n@@ func f(\n one\n-two\n+2\n\n@@ -3,4 +5,6 @@ func g()\n-three\n--- a/engine/y.go\n+++ b/engine/y.go\n@@\n four\n+five\n")
	if err != nil {
		t.Fatal(err)
	}
	if m.hunt.invariant != "I1" || m.says != "it is wrong" || strings.Join(m.hunt.scenarios, " ") != "batch" || strings.Join(m.hunt.disks, " ") != "posix" {
		t.Errorf("its head is %+v", m)
	}
	if len(m.files) != 2 || m.files[1].path != "engine/y.go" || len(m.files[0].hunks) != 2 {
		t.Fatalf("its files are %+v", m.files)
	}
	first, second := m.files[0].hunks[0], m.files[0].hunks[1]
	if first.anchor != "func f(" || strings.Join(first.old, "|") != "one|two|" || strings.Join(first.new, "|") != "one|2|" {
		t.Errorf("its first hunk is %+v", first)
	}
	if second.anchor != "" || strings.Join(second.old, "|") != "three" || len(second.new) != 0 {
		t.Errorf("its second hunk is %+v", second)
	}
	m, err = parsePatch("equivalent: nobody minds\n\nFor this reason,\nand that.\n--- a/x.go\n+++ b/x.go\n@@\n-a\n+b\n")
	if err != nil || m.proof != "For this reason,\nand that." || m.hunt.invariant != "" {
		t.Errorf("the equivalent one is %+v, %v", m, err)
	}
	m, err = parsePatch("I13 in plan a/b.plan: late\n--- a/x.go\n+++ b/x.go\n@@\n-a\n+b\n")
	if err != nil || m.hunt.plan != "a/b.plan" || m.hunt.scenarios != nil {
		t.Errorf("the one with a plan is %+v, %v", m, err)
	}
}

func TestParsePatchRefuses(t *testing.T) {
	const file = "--- a/x.go\n+++ b/x.go\n"
	for _, c := range []struct{ name, text, want string }{
		{"no first line", file + "@@\n-a\n+b\n", "does not name what must kill it"},
		{"no such invariant", "I77 in batch on posix: x\n" + file + "@@\n-a\n+b\n", "no invariant I77"},
		{"no such scenario", "I1 in batches on posix: x\n" + file + "@@\n-a\n+b\n", `no scenario "batches"`},
		{"no such disk", "I1 in batch on floppy: x\n" + file + "@@\n-a\n+b\n", "floppy"},
		{"no proof", "equivalent: x\n" + file + "@@\n-a\n+b\n", "without a proof"},
		{"no file", head, "changes no file"},
		{"no hunk", head + file, "no hunk"},
		{"a rename", head + "--- a/x.go\n+++ b/y.go\n@@\n-a\n+b\n", "changes a Go file that is there"},
		{"a path out of the module", head + "--- a/../x.go\n+++ b/../x.go\n@@\n-a\n+b\n", "changes a Go file that is there"},
		{"no change", head + file + "@@\n a\n", "changes nothing"},
		{"no place", head + file + "@@\n+b\n", "to show its place"},
		{"a line of no kind", head + file + "@@\n-a\nb\n", "begins with a blank"},
		{"a hunk before its file", head + "@@\n-a\n" + file, "no hunk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parsePatch(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	const source = "func f() {\n\tsame\n\tone\n}\n\nfunc g() {\n\tsame\n\ttwo\n}\n"
	for _, c := range []struct{ name, hunks, want, fault string }{
		{"by context", "@@\n \tsame\n-\tone\n+\t1\n", "func f() {\n\tsame\n\t1\n}\n\nfunc g() {\n\tsame\n\ttwo\n}\n", ""},
		{"by function", "@@ func g(\n-\tsame\n", "func f() {\n\tsame\n\tone\n}\n\nfunc g() {\n\ttwo\n}\n", ""},
		{"numbers mean nothing", "@@ -70,3 +70,3 @@ func h()\n-\ttwo\n+\t2\n", "func f() {\n\tsame\n\tone\n}\n\nfunc g() {\n\tsame\n\t2\n}\n", ""},
		{"one behind the other", "@@\n-\tone\n+\ttwo\n@@ func f(\n-\ttwo\n+\tthree\n", "func f() {\n\tsame\n\tthree\n}\n\nfunc g() {\n\tsame\n\ttwo\n}\n", ""},
		{"ambiguous", "@@\n-\tsame\n", "", "are there 2 times"},
		{"not there", "@@\n-\tthree\n", "", "are not there"},
		{"in another function", "@@ func f(\n-\ttwo\n", "", "are not there"},
		{"no such function", "@@ func h(\n-\ttwo\n", "", `no line begins with "func h("`},
		{"which function", "@@ func\n-\ttwo\n", "", "more than one line begins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parsePatch(head + "--- a/x.go\n+++ b/x.go\n" + c.hunks)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.files[0].apply(source)
			switch {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault == "" && got != c.want:
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("got %v, want an error with %q", err, c.fault)
			}
		})
	}
}

func TestReport(t *testing.T) {
	outcomes := []outcome{
		{Name: "a", Invariant: "I1", Killed: true, By: "I1", Seconds: 0.5, Seeds: 3, Scenario: "batch", Disk: "posix", Seed: 3},
		{Name: "b", Invariant: "I1", Killed: true, By: "I13", Luck: true, Seconds: 1.5, Seeds: 4, Scenario: "batch", Disk: "ext4", Seed: 4},
		{Name: "c", Invariant: "I2", Seconds: 60, Seeds: 99},
		{Name: "d", Invariant: "I2", Problem: "it does not compile"},
	}
	var text, lines bytes.Buffer
	for _, r := range []*report{{out: &text, equivalent: 2}, {out: &lines, json: true}} {
		r.begin()
		for _, o := range outcomes {
			r.add(o)
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		if r.survived != 1 || r.broken != 1 || r.lucky != 1 {
			t.Errorf("%d survived, %d broken, %d by luck", r.survived, r.broken, r.lucky)
		}
	}
	const want = `mutant                                       killed by       seconds  seeds  found by
a                                            I1                 0.50      3  batch posix seed 3
b                                            I13 by luck        1.50      4  batch ext4 seed 4, should be I1
c                                            SURVIVED          60.00     99  should be I2
d                                            ERROR              0.00      0  it does not compile
median 1.50 s, slowest 1.50 s (b); 2 equivalent, not counted: --list says why
mutants: 2 killed, 1 survived (1 by luck)
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	if got := strings.Count(lines.String(), "\n"); got != 5 || !strings.Contains(lines.String(), `"killed":2,"survived":1,"by_luck":1,"broken":1`) {
		t.Errorf("as JSON:\n%s", lines.String())
	}
}

// TestEquivalent: one that is named is told apart from the others, in the list, the
// table and the sum.
func TestEquivalent(t *testing.T) {
	mutants, equivalent, err := load("../..", "testdata/equivalent/batch-number-not-checked.patch")
	if err != nil || len(mutants) != 1 || len(equivalent) != 0 || len(mutants[0].hunt.scenarios) < 10 {
		t.Fatalf("%v, %v, %v", mutants, equivalent, err)
	}
	var text bytes.Buffer
	if err := list(&text, mutants, equivalent); err != nil || !strings.Contains(text.String(), "equivalent: batch-number-not-checked\n  recovery does not") ||
		!strings.Contains(text.String(), "The number of a batch that stands") {
		t.Errorf("%v: %s", err, text.String())
	}
	text.Reset()
	r := &report{out: &text}
	r.add(outcome{Name: "a", Equal: true, Seconds: 60, Seeds: 99})
	r.add(outcome{Name: "b", Equal: true, Killed: true, By: "I1", Seconds: 0.5, Seeds: 3, Scenario: "batch", Disk: "posix", Seed: 3, Found: "I1 does not hold"})
	if err := r.end(); err != nil || r.survived+r.killed+r.lucky != 0 || r.proved != 1 || r.refuted != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	const want = `a                                            equivalent        60.00     99  nothing, as its proof says
b                                            I1                 0.50      3  batch posix seed 3: NOT EQUIVALENT, its proof is wrong: I1 does not hold
median 0.00 s
mutants: 0 killed, 0 survived; equivalent, not counted: 1 survived as they have to, 1 did not
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
}

// TestInterrupted: what was done is told, and that it is not all.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var mutants []*mutant
	for range 40 {
		mutants = append(mutants, &mutant{name: "m", files: []filePatch{{path: "none.go"}}})
	}
	b := &builder{root: t.TempDir(), tmp: t.TempDir()}
	told := 0
	err := b.all(ctx, mutants, 3, func(o outcome) {
		if told++; !strings.Contains(o.Problem, "none.go") {
			t.Errorf("%+v", o)
		}
		if told == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || told < 2 {
		t.Errorf("%d told, %v", told, err)
	}
	var out bytes.Buffer
	if code, err := run(ctx, nil, &out); code != exitStopped || err == nil || !strings.Contains(err.Error(), "interrupted: no mutant") {
		t.Errorf("exit %d, %v", code, err)
	}
}

// TestGoesOn: an interrupted hunt names the first mutant that is left, and how far a
// hunt has come is told now and then.
func TestGoesOn(t *testing.T) {
	var mutants []*mutant
	for _, name := range []string{"a", "b", "c", "d"} {
		mutants = append(mutants, &mutant{name: name})
	}
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.Int("jobs", 1, "")
	flags.Bool("json", false, "")
	flags.String("from", "", "")
	if err := flags.Parse([]string{"--jobs", "3", "--from", "a", "--json"}); err != nil {
		t.Fatal(err)
	}
	if got, want := goOn(flags, mutants, map[string]bool{"a": true, "c": true}), "; go on with: go run ./scenarios/mutants --from b --jobs='3' --json='true'"; got != want {
		t.Errorf("got %q", got)
	}
	if got := goOn(flags, mutants, map[string]bool{"a": true, "b": true, "c": true, "d": true}); got != "" {
		t.Errorf("nothing is left: %q", got)
	}
	var out bytes.Buffer
	p := &progress{out: &out, every: 5 * time.Second, total: 4}
	r := &report{killed: 1, survived: 1}
	p.show(4*time.Second, r)
	p.show(6*time.Second, r)
	p.show(10*time.Second, r)
	if got, want := out.String(), "mutants: progress: 2 of 4 mutants in 6s, 20.0 a minute, 6s left, 1 survived\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestWrongCommandLines(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.patch")
	if err := os.WriteFile(bad, []byte(head+"--- a/engine/log.go\n+++ b/engine/log.go\n@@\n-nobody wrote this\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"x.patch"}, "is named with --patch"},
		{[]string{"--jobs", "0"}, "more than 0"},
		{[]string{"--list", "--json", "--jobs", "3"}, "leave --jobs, --json out"},
		{[]string{"--patch", "no/such.patch"}, "there is no patch no/such.patch"},
		{[]string{"--patch", bad}, "are not there"},
		{[]string{"--from", "nobody"}, "--from nobody: there is no such mutant here"},
	} {
		var out bytes.Buffer
		code, err := run(context.Background(), c.args, &out)
		if code != exitWrong || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: exit %d, %v; want %d and %q", c.args, code, err, exitWrong, c.want)
		}
	}
}
