package replay

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/untorn-db/untorn/replay/card"
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
	// Account is what had been promised when it came, against what was there.
	Account scenarios.Account
	File    string // where the plan is, "" while it is not saved
	Page    string // where a page of HTML about it is, "" for nowhere
	// Happened says in words what each crash line of Plan is, and Why what decides
	// about the failure. Both are filled in by Replay and Shrink, and by a sweep for
	// what it shrinks.
	Happened []string
	Why      Why
	// Small says what was left out of the plan, "" for nothing.
	Small string
	// Unstable says what another run of Plan gave instead, "" if the same.
	Unstable string
	// Came says how often it came, where that is known, and what else is to be told of
	// where it was found: for a card, and the same for everybody who finds it there.
	Came  string
	Notes []card.Note

	view   viewer // nil where there is no page
	class  string // of the error's text
	origin origin // where the plan came from, before it was shrunk
}

// newFailure describes a violation.
func newFailure(v scenarios.Violation) Failure {
	f := Failure{
		Scenario: v.Plan.Scenario, Disk: orPosix(v.Plan.Disk),
		Invariant: v.Invariant, Step: v.Step, Plan: v.Plan, class: classOf(v.Err),
		Expected: "no error", Found: v.Err.Error(), Account: v.Account,
	}
	f.come(v.Plan)
	errors.As(v.Err, &f.view)
	var broken *invariant.Violation
	if errors.As(v.Err, &broken) {
		f.Expected, f.Found = broken.Wanted(), broken.Found
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
	if err := WriteFile(path, f.view.HTML); err != nil {
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
	text := invariant.Promise(f.Invariant)
	if f.Invariant == "" || text == f.Invariant {
		return text
	}
	return f.Invariant + " (" + text + ")"
}

// Title is the first line of the failure's text.
func (f Failure) Title() string { return f.Card().Title() }

// Command is one line for a shell that reproduces the failure.
func (f Failure) Command() string {
	if f.File != "" || f.Seed == 0 {
		return f.command("replay", "")
	}
	return f.whole()
}

// command is one line for a shell that does something with the failure's plan.
func (f Failure) command(verb, flags string) string {
	file := "PLAN"
	if f.File != "" {
		file = quote(f.File)
	}
	return "go run ./cmd/untorn-sim " + verb + " " + file + flags
}

// whole is one line for a shell that runs all that the seed draws.
func (f Failure) whole() string {
	scenario, disk := f.Scenario, f.Disk
	if f.origin.seed != 0 {
		scenario, disk = f.origin.scenario, f.origin.disk
	}
	return fmt.Sprintf("go run ./cmd/untorn-sim replay %d --scenario %s --disk %s", f.Seed, scenario, disk)
}

// String is the text of the failure's card, the same every time.
func (f Failure) String() string { return f.Card().Text() }

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
