package replay

import (
	"errors"
	"fmt"
	"io"
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
	Page      string     // where a page of HTML about it is, "" for nowhere
	// Happened says in words what each crash line of Plan is, and Why what decides
	// about the failure. Both are filled in by Replay and Shrink, and by a sweep for
	// what it shrinks.
	Happened []string
	Why      Why
	// Small says what was left out of the plan, "" for nothing.
	Small string
	// Unstable says what another run of Plan gave instead, "" if the same.
	Unstable string

	view   viewer // nil where there is no page
	class  string // of the error's text
	origin origin // where the plan came from, before it was shrunk
}

// newFailure describes a violation.
func newFailure(v scenarios.Violation) Failure {
	f := Failure{
		Scenario: v.Plan.Scenario, Disk: orPosix(v.Plan.Disk),
		Invariant: v.Invariant, Step: v.Step, Plan: v.Plan, class: classOf(v.Err),
		Expected: "no error", Found: v.Err.Error(),
	}
	f.come(v.Plan)
	errors.As(v.Err, &f.view)
	var broken *invariant.Violation
	if errors.As(v.Err, &broken) {
		f.Expected, f.Found = broken.Expected, broken.Found
		if broken.Sequence > 0 {
			f.Expected = fmt.Sprintf("event %d: %s", broken.Sequence, f.Expected)
		}
	}
	return f
}

// viewer is an error that more can be seen of than a text shows, such as a history
// that no order of its calls explains.
type viewer interface {
	error
	HTML(w io.Writer) error
}

// Save saves the plan, as the function Save does, and beside it a page of HTML if
// there is one.
func (f *Failure) Save(dir, from string) (err error) {
	if f.File, err = Save(dir, from, f.Plan); err != nil || f.view == nil {
		return err
	}
	path := strings.TrimSuffix(f.File, ".plan") + ".html"
	if err := write(path, f.view.HTML); err != nil {
		return fmt.Errorf("save a page: %w", err)
	}
	f.Page = path
	return nil
}

// come notes where a plan came from.
func (f *Failure) come(p *plan.Plan) {
	f.origin, _ = originOf(p)
	f.Seed = f.origin.seed
	f.Small = ""
	for _, comment := range p.Comments {
		if strings.HasPrefix(comment, shrunkFrom) {
			f.Small = comment
		}
	}
}

// promise is what was broken.
func (f Failure) promise() string {
	if f.Invariant == "" {
		return "the workload goes as the model says"
	}
	if i, ok := invariant.ByID(f.Invariant); ok {
		return f.Invariant + " (" + i.Sentence + ")"
	}
	return f.Invariant
}

// Title is the first line of the failure's text.
func (f Failure) Title() string {
	return fmt.Sprintf("FAIL %s on %s: %s", f.Scenario, f.Disk, f.promise())
}

// Command is one line for a shell that reproduces the failure.
func (f Failure) Command() string {
	if f.File != "" {
		return "go run ./cmd/untorn-sim replay " + quote(f.File)
	}
	if f.Seed == 0 {
		return "go run ./cmd/untorn-sim replay PLAN"
	}
	return f.whole()
}

// whole is one line for a shell that runs all that the seed draws.
func (f Failure) whole() string {
	scenario, disk := f.Scenario, f.Disk
	if f.origin.seed != 0 {
		scenario, disk = f.origin.scenario, f.origin.disk
	}
	return fmt.Sprintf("go run ./cmd/untorn-sim replay %d --scenario %s --disk %s", f.Seed, scenario, disk)
}

// String is the failure's text, the same every time: the invariant, the step,
// expected and found, why, the seed, the plan's file, and one line to paste.
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
	var crashes []string
	for i, crash := range f.Plan.Crashes {
		crashes = append(crashes, crash)
		if i < len(f.Happened) {
			crashes = append(crashes, f.Happened[i])
		}
	}
	line("crash", strings.Join(crashes, "\n"))
	line("expected", f.Expected)
	line("found", f.Found)
	line("why", f.Why.Text)
	line("unstable", f.Unstable)
	switch {
	case f.Seed != 0 && f.Small != "":
		line("seed", fmt.Sprintf("%d, %s\n%s has all of it", f.Seed, f.Small, f.whole()))
	case f.Seed != 0:
		line("seed", fmt.Sprint(f.Seed))
	default:
		line("plan was", f.Small)
	}
	line("plan", f.File)
	line("page", f.Page)
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
