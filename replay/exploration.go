package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Exploration is what the lazy search of one plan found, with a certificate
// that anybody can compute again. All but Seconds depends on the plan alone.
type Exploration struct {
	Scenario    string      `json:"scenario"`
	Disk        string      `json:"disk"`
	Events      int         `json:"events"`       // that the plan appends
	Depth       int         `json:"depth"`        // crashes in a row, those after a process kill not counted
	Fixpoint    bool        `json:"fixpoint"`     // any number of them
	CrashPoints int         `json:"crash_points"` // the same ones included
	Subsumed    int         `json:"subsumed"`     // of these, left out: part of another
	Leaves      int         `json:"leaves"`       // runs that stand for all images
	Recoveries  int         `json:"recoveries"`   // all runs
	Log2        json.Number `json:"images_log2"`  // images that the leaves stand for; 0 also for none
	AtMost      bool        `json:"images_at_most"`
	Exact       bool        `json:"exact"`
	Why         string      `json:"why"`    // where it is not exact
	Greedy      []string    `json:"greedy"` // recoveries that read more than they need
	Violations  []Violation `json:"violations"`
	Violated    int         `json:"violated"`
	Guarantees  string      `json:"guarantees"` // what the disk promises, in full
	Powersafe   bool        `json:"powersafe"`
	Cell        int         `json:"cell"`    // bytes that the disk writes as one
	Garbage     string      `json:"garbage"` // the alphabet of what was never written
	Points      string      `json:"points"`
	Kinds       string      `json:"kinds"`
	Certificate string      `json:"certificate"`
	Plan        string      `json:"plan"`
	Seconds     json.Number `json:"seconds"`

	Failures []Failure `json:"-"` // the first of each invariant
}

// Explore searches every crash of a plan's steps, lazily: the plan's setting
// "lazy" is set, and crash lines are left out. A failure is shrunk. The error
// says that the plan cannot be run, or that ctx ended: then what is returned tells
// of the crashes that were searched until then, if there were any, and has no
// certificate.
func Explore(ctx context.Context, p *plan.Plan, c scenarios.Config) (Exploration, error) {
	p = p.Clone()
	p.Crashes, p.Digests, p.Invariant = nil, nil, ""
	p.Set("lazy", "true")
	if _, ok := p.Setting("images"); !ok {
		p.Set("images", "0")
	}
	began := time.Now()
	r, err := scenarios.Run(ctx, p, c)
	if err != nil && (ctx.Err() == nil || r.Lazy == nil) {
		return Exploration{}, err
	}
	if r.Lazy == nil {
		return Exploration{}, fmt.Errorf("the workload itself fails: %w", r.Violations[0].Err)
	}
	l := r.Lazy
	x := Exploration{
		Scenario: r.Scenario, Disk: r.Disk, Depth: l.Model.Depth + 1, Fixpoint: l.Model.Depth == explore.Fixpoint,
		CrashPoints: r.CrashPoints, Subsumed: l.Subsumed, Leaves: l.Leaves, Recoveries: r.Recoveries,
		Log2: json.Number(strings.ReplaceAll(l.Log2, "-", "0")), AtMost: l.AtMost, Exact: r.Exact, Why: r.Why,
		Greedy: []string{}, Violations: []Violation{}, Violated: r.Violated,
		Guarantees: l.Model.Guarantees.Fields(), Powersafe: l.Model.Guarantees.Powersafe, Cell: l.Model.CellSize,
		Garbage: l.Model.Garbage.String(), Points: "barriers", Kinds: kindsText(l.Model.Kinds),
		Certificate: l.Certificate, Plan: string(p.Format()), Failures: failures(r),
	}
	if x.Fixpoint {
		x.Depth = l.Depths
	}
	if x.Cell == 0 {
		x.Cell = 512
	}
	if l.Model.Points == explore.All {
		x.Points = "all"
	}
	for _, step := range p.Steps {
		for _, arg := range step.Args {
			if step.Verb == "batch" && arg.Key[0] >= '0' && arg.Key[0] <= '9' {
				x.Events++
			}
		}
	}
	for _, g := range l.Greedy {
		x.Greedy = append(x.Greedy, g.String())
	}
	for i := range x.Failures {
		x.Failures[i].shrink(ctx, c, SweepRuns)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
		x.Certificate, x.Exact = "", false // it sums up what was interrupted
	}
	x.Describe()
	x.Seconds = json.Number(fmt.Sprintf("%.3f", time.Since(began).Seconds()))
	return x, err
}

func kindsText(k explore.Kinds) string {
	var words []string
	for _, kind := range []struct {
		k    explore.Kinds
		word string
	}{{explore.Power, "power"}, {explore.Kill, "kill"}, {explore.Reopen, "reopen"}} {
		if k == 0 || k&kind.k != 0 {
			words = append(words, kind.word)
		}
	}
	return strings.Join(words, ",")
}

// Describe fills Violations from Failures, which may have files by now.
func (x *Exploration) Describe() { x.Violations = describe(x.Failures) }

// Check explores each plan of a stream of explorations, one JSON object after
// the other as untorn-sim explore --json prints them, and calls told with each
// and with how it differs from what the stream says; "" where it does not. The
// error says that the stream is none.
func Check(ctx context.Context, r io.Reader, c scenarios.Config, told func(want Exploration, differs string)) error {
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) && n > 1 {
			return nil
		} else if err != nil {
			return fmt.Errorf("certificate %d: %w: want what untorn-sim explore --json prints", n, err)
		}
		want, err := read(raw)
		if err != nil {
			return fmt.Errorf("certificate %d: %w: want what untorn-sim explore --json prints", n, err)
		}
		p, err := plan.Parse([]byte(want.Plan))
		if err != nil {
			return fmt.Errorf("certificate %d: its plan: %w", n, err)
		}
		got, err := Explore(ctx, p, c)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", n, err)
		}
		told(want, want.differs(&got))
	}
}

// read reads one exploration, and refuses what would be read in two ways: fields
// that come twice, that differ in case only, that are missing or not known.
func read(raw []byte) (x Exploration, err error) {
	if err := json.Unmarshal(raw, &x); err != nil {
		return x, err
	}
	var given, again bytes.Buffer
	e := json.NewEncoder(&again)
	e.SetEscapeHTML(false)
	if err := errors.Join(json.Compact(&given, raw), e.Encode(x)); err != nil {
		return x, err
	}
	if !bytes.Equal(given.Bytes(), bytes.TrimSpace(again.Bytes())) {
		return x, errors.New("it has fields twice, too few, unknown ones, or in another order")
	}
	return x, nil
}

// differs names the first field in which two explorations differ, apart from
// what only says where a plan was saved and how long it took.
func (x *Exploration) differs(y *Exploration) string {
	a, b := fields(x), fields(y)
	for i := range a {
		if a[i] != b[i] {
			return fmt.Sprintf("%s is %s, the file says %s", a[i].name, b[i].value, a[i].value)
		}
	}
	return ""
}

type field struct{ name, value string }

func fields(x *Exploration) []field {
	violations := make([]Violation, len(x.Violations))
	for i, v := range x.Violations {
		v.Plan, v.Replay = "", ""
		violations[i] = v
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic("internal error: " + err.Error())
		}
		return string(b)
	}
	return []field{
		{"plan", text(x.Plan)}, {"scenario", x.Scenario}, {"disk", x.Disk}, {"events", text(x.Events)}, {"depth", text(x.Depth)},
		{"fixpoint", text(x.Fixpoint)}, {"guarantees", x.Guarantees}, {"powersafe", text(x.Powersafe)}, {"cell", text(x.Cell)},
		{"garbage", x.Garbage}, {"points", x.Points}, {"kinds", x.Kinds}, {"crash_points", text(x.CrashPoints)},
		{"subsumed", text(x.Subsumed)}, {"leaves", text(x.Leaves)}, {"recoveries", text(x.Recoveries)},
		{"images_log2", x.Log2.String()}, {"images_at_most", text(x.AtMost)}, {"exact", text(x.Exact)}, {"why", text(x.Why)},
		{"greedy", text(x.Greedy)}, {"violated", text(x.Violated)}, {"violations", text(violations)}, {"certificate", x.Certificate},
	}
}
