package replay

import (
	"errors"
	"fmt"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

// Failure is a promise that was broken.
type Failure struct {
	Scenario  string
	Disk      string
	Seed      uint64 // 0: the plan came from none
	Invariant string // "I1" … "I13", or "" for what has no number
	Step      int    // number of the plan's step that it came in
	Expected  string
	Found     string
	Plan      *plan.Plan // reproduces it
	File      string     // where the plan is, "" while it is not saved
	// Unstable says what another run of Plan gave instead, "" if the same.
	Unstable string
}

// newFailure describes a violation.
func newFailure(v scenarios.Violation) Failure {
	f := Failure{
		Scenario: v.Plan.Scenario, Disk: orPosix(v.Plan.Disk), Seed: v.Plan.Seed,
		Invariant: v.Invariant, Step: v.Step, Plan: v.Plan,
		Expected: "no error", Found: v.Err.Error(),
	}
	var broken *invariant.Violation
	if errors.As(v.Err, &broken) {
		f.Expected, f.Found = broken.Expected, broken.Found
		if broken.Sequence > 0 {
			f.Expected = fmt.Sprintf("event %d: %s", broken.Sequence, f.Expected)
		}
	}
	return f
}

// Title is the first line of the failure's text.
func (f Failure) Title() string {
	promise := "the workload goes as the model says"
	if f.Invariant != "" {
		promise = f.Invariant
		if i, ok := invariant.ByID(f.Invariant); ok {
			promise += " (" + i.Sentence + ")"
		}
	}
	return fmt.Sprintf("FAIL %s on %s: %s", f.Scenario, f.Disk, promise)
}

// Command is one line for a shell that reproduces the failure.
func (f Failure) Command() string {
	if f.File != "" {
		return "go run ./cmd/untorn-sim replay " + quote(f.File)
	}
	return fmt.Sprintf("go run ./cmd/untorn-sim replay %d --scenario %s --disk %s", f.Seed, f.Scenario, f.Disk)
}

// String is the failure's text, the same every time: the invariant, the step,
// expected and found, the seed, the plan's file, and one line to paste.
func (f Failure) String() string {
	var b strings.Builder
	b.WriteString(f.Title() + "\n")
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name, strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n            "))
		}
	}
	if step, ok := f.Plan.Step(f.Step); ok {
		line("step", strings.TrimPrefix(step.String(), "step "))
	}
	line("crash", strings.Join(f.Plan.Crashes, "\n"))
	line("expected", f.Expected)
	line("found", f.Found)
	line("unstable", f.Unstable)
	if f.Seed != 0 {
		line("seed", fmt.Sprint(f.Seed))
	}
	line("plan", f.File)
	line("reproduce", f.Command())
	return b.String()
}

// same reports whether two failures are of the same thing.
func (f Failure) same(g Failure) bool {
	return f.Invariant == g.Invariant && f.Step == g.Step && f.Expected == g.Expected && f.Found == g.Found
}

// quote makes one word of a text, for a POSIX shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return fileRune(r) == r || strings.ContainsRune("./:@%+,=~", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
