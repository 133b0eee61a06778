package replay

import (
	"context"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// Outcome is what a replay gave.
type Outcome struct {
	Result   scenarios.Result // of the first run
	Failures []Failure        // one for each invariant that was broken, in the order found
	// Twice says where a second run of the same plan differed from the first;
	// nil: nowhere. If not nil, something is not deterministic.
	Twice *Difference
	// Recorded says where the run differs from the digests that the plan holds;
	// nil: nowhere. With Twice nil, it is the plan or the code that has changed.
	Recorded *Difference
}

// Difference is the first step after which two runs were not the same.
type Difference struct {
	Step int // 0: only the end differs
	// Want and Got are the digests after the step: 16 hex digits, or "none" where
	// a run did not come there.
	Want, Got string
}

func (d *Difference) String() string {
	where := "behind the last step"
	if d.Step > 0 {
		where = fmt.Sprintf("step %d", d.Step)
	}
	return fmt.Sprintf("%s: digest %s, expected %s", where, d.Got, d.Want)
}

// failedImages is how many images are tried of a plan that failed once, and has lost
// its crash lines: the few that a scenario tries of each seed would pass over most
// failures.
const failedImages = 1000

// Replay runs a plan twice and compares the two runs with one another and with
// the digests in the plan. Of a plan that names an invariant, without crash lines, up
// to 1,000 images are tried, unless the plan or c say how many. The error says that the
// plan cannot be run, or that ctx ended.
func Replay(ctx context.Context, p *plan.Plan, c scenarios.Config) (Outcome, error) {
	if _, says := p.Setting("images"); p.Invariant != "" && len(p.Crashes) == 0 && !says && c.Images == 0 {
		c.Images = failedImages
	}
	o, err := twice(ctx, p, c)
	if err != nil || o.Twice != nil {
		return o, err
	}
	for i := range o.Failures {
		o.Failures[i].explain(ctx, c, whyRuns)
	}
	return o, ctx.Err()
}

// twice is Replay without an explanation of what fails.
func twice(ctx context.Context, p *plan.Plan, c scenarios.Config) (Outcome, error) {
	c.Seen = nil
	first, err := runPlan(ctx, p, c)
	if err != nil {
		return Outcome{}, err
	}
	second, err := runPlan(ctx, p, c)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Result: first, Failures: failures(first)}
	o.Twice = compare(first.Digests, second.Digests)
	if o.Twice == nil && first.Digest != second.Digest {
		o.Twice = &Difference{Want: clip(first.Digest), Got: clip(second.Digest)}
	}
	if len(p.Digests) > 0 {
		o.Recorded = compare(p.Digests, first.Digests)
	}
	return o, nil
}

// runPlan is scenarios.Run, except that nothing found after ctx ended counts.
func runPlan(ctx context.Context, p *plan.Plan, c scenarios.Config) (scenarios.Result, error) {
	result, err := scenarios.Run(ctx, p, c)
	if ended := ctx.Err(); ended != nil {
		return result, ended
	}
	return result, err
}

func clip(digest string) string { return digest[:min(16, len(digest))] }

// compare returns the first step whose digest differs.
func compare(want, got []plan.Digest) *Difference {
	text := func(list []plan.Digest, i int) string {
		if i < len(list) {
			return fmt.Sprintf("%016x", list[i].Sum)
		}
		return "none"
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i < len(want) && i < len(got) && want[i] == got[i]:
			continue
		case i < len(want) && i < len(got) && want[i].Step < got[i].Step:
			return &Difference{want[i].Step, text(want, i), "none"}
		case i < len(want) && i < len(got) && want[i].Step > got[i].Step:
			return &Difference{got[i].Step, "none", text(got, i)}
		case i < len(want):
			return &Difference{want[i].Step, text(want, i), text(got, i)}
		default:
			return &Difference{got[i].Step, "none", text(got, i)}
		}
	}
	return nil
}

// failures describes what a run found: the first violation of each invariant.
func failures(r scenarios.Result) []Failure {
	var list []Failure
	for _, v := range r.Violations {
		f := newFailure(v)
		if slices.ContainsFunc(list, func(g Failure) bool { return g.Invariant == f.Invariant }) {
			continue
		}
		f.Plan.Digests = slices.Clone(r.Digests)
		list = append(list, f)
	}
	return list
}

// confirm replays a failure from its plan's text, and notes where that differs.
func (f *Failure) confirm(ctx context.Context, c scenarios.Config) error {
	p, err := plan.Parse(f.Plan.Format())
	if err != nil {
		f.Unstable = "its plan cannot be read back: " + err.Error()
		return nil
	}
	o, err := twice(ctx, p, c)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		f.Unstable = "its plan cannot be run: " + err.Error()
	case o.Twice != nil:
		f.Unstable = "two runs of its plan differ, " + o.Twice.String()
	case o.Recorded != nil:
		f.Unstable = "a run of its plan differs, " + o.Recorded.String()
	case len(o.Failures) == 0:
		f.Unstable = "its plan runs without a failure"
	case !slices.ContainsFunc(o.Failures, f.same):
		f.Unstable = "its plan fails in another way: " + o.Failures[0].Found
	}
	return nil
}
