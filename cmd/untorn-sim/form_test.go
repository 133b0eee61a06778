package main

import (
	"bufio"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
)

// TestSourceLines: a card names a line of the source only where there is no doubt
// which file it is in.
func TestSourceLines(t *testing.T) {
	file := &fstest.MapFile{}
	found := sources(fstest.MapFS{
		"engine/commit.go": file, "engine/codec/json.go": file, "engine/doc.go": file, "engine/codec/doc.go": file,
		"engine/FORMAT.md": file, "simfs/fs.go": file,
	})
	if want := (map[string]string{"commit.go": "engine/commit.go", "json.go": "engine/codec/json.go", "doc.go": ""}); !maps.Equal(found, want) {
		t.Errorf("got %v, want %v", found, want)
	}
	if found := sources(fstest.MapFS{}); len(found) != 0 {
		t.Errorf("without the source: %v", found)
	}
	for source, want := range map[string]card.Card{
		"commit.go:12": {Source: "engine/commit.go", SourceLine: 12},
		"doc.go:3":     {},
		"fs.go:3":      {},
		"commit.go":    {},
		"":             {},
	} {
		f := form{lines: map[string]string{"commit.go": "engine/commit.go", "doc.go": ""}}
		if got := f.located(card.Card{Source: source}); got.Source != want.Source || got.SourceLine != want.SourceLine {
			t.Errorf("%s: %s:%d, want %s:%d", source, got.Source, got.SourceLine, want.Source, want.SourceLine)
		}
	}
}

// TestRowForms: a row with failures has one annotation for each invariant, and is
// one test of the XML with a single failure, in which all its cards are.
func TestRowForms(t *testing.T) {
	t.Chdir(t.TempDir())
	report := func() *replay.Report {
		failure := func(seed uint64, invariant string) replay.Failure {
			return replay.Failure{
				Scenario: "batch", Disk: "posix", Seed: seed, Invariant: invariant, Step: 1, Expected: "a", Found: "b\x1b::c",
				Plan: &plan.Plan{Scenario: "batch", Seed: seed, Invariant: invariant, Steps: []plan.Step{{Number: 1, Verb: "open"}}},
			}
		}
		return &replay.Report{Rows: []replay.Row{
			{Scenario: "batch", Disk: "posix", Seeds: replay.ReachSeeds, Violated: 3, Digest: "d1", Unreached: []string{"point x"},
				Failures: []replay.Failure{failure(1, "I2"), failure(2, "I2"), failure(3, "I6")}},
			{Scenario: "mixed", Disk: "posix", Seeds: 7, Digest: "d2", Seconds: 1.5},
		}}
	}
	told := func(name string) string {
		var out, errs strings.Builder
		e := &command.Env{Ctx: t.Context(), Stdout: bufio.NewWriter(&out), Stderr: &errs}
		r := runner{plans: "p", form: form{name: name}}
		if err := errors.Join(r.failures(e, report()), r.form.end(e, "run"), e.Stdout.Flush()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	github := told("github")
	for want, times := range map[string]int{
		"\n::error file=p/batch-posix-1-I2.plan,title=batch on posix%3A I2 is broken::": 1,
		"\n::error file=p/batch-posix-3-I6.plan,title=batch on posix%3A I6 is broken::": 1,
		"\n::error title=batch on posix::FAIL batch on posix%0A  cause     100 seeds":   1,
		"\n::error ": 3, "::group::": 3, "\n::endgroup::\n": 3, "more plans: p/batch-posix-2-I2.plan": 2,
	} {
		if got := strings.Count(github, want); got != times {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, times, github)
		}
	}
	junit := told("junit")
	for want, times := range map[string]int{
		"<testcase ": 2, "<failure ": 1, "FAIL batch on posix: I2 is broken\n": 2, "FAIL batch on posix: I6 is broken\n": 1,
		`name="mixed on posix" time="1.500"`: 1, `<property name="digest" value="d2">`: 1, "100 seeds never reached:\n": 1,
		`found     b\x1b::c`: 3, "::error": 0,
	} {
		if got := strings.Count(junit, want); got != times {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, times, junit)
		}
	}
}
