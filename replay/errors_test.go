package replay

import (
	"strings"
	"testing"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/planted"
)

// TestErrorFailures: what a fault and a crash break together is made small, needs
// both still, and breaks in the same way when its text is replayed.
func TestErrorFailures(t *testing.T) {
	p, err := plan.Parse([]byte("untorn plan 1\nscenario batch\ndisk posix\nseed 1\nset preallocate = -1\nset images = 60\n" +
		"step 1 open\nstep 2 batch 0=\"order-1 placed size=100\"\nstep 3 read\nstep 4 batch 0=\"order-1 paid size=300\"\nstep 5 read\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := scenarios.Config{Wrap: planted.DeafToNames}
	r, err := scenarios.Errors(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	list := ErrorFailures(t.Context(), &r, c)
	if len(list) == 0 || len(list) != len(r.Violations()) {
		t.Fatalf("%d failures of %d violations", len(list), len(r.Violations()))
	}
	seen := map[string]bool{}
	for i, f := range list {
		first := !seen[f.Invariant]
		seen[f.Invariant] = true
		if small := f.Small != ""; small != first {
			t.Errorf("failure %d, of %q: shrunk: %v, the first: %v", i, f.Invariant, small, first)
		}
		if !first {
			continue
		}
		before := r.Violations()[i].Plan
		if len(f.Plan.Steps) >= len(before.Steps) || len(f.Plan.Faults) != 1 || !strings.Contains(f.Plan.Faults[0], " syncdir dir #") || len(f.Plan.Crashes) == 0 {
			t.Errorf("not small, or without its fault or crash:\n%s\nfrom\n%s", f.Plan.Format(), before.Format())
		}
		if f.Unstable != "" || f.Seed != 0 || f.Why.Cause == "" {
			t.Errorf("unstable %q, seed %d, why %q", f.Unstable, f.Seed, f.Why.Cause)
		}
		read, err := plan.Parse(f.Plan.Format())
		if err != nil {
			t.Fatal(err)
		}
		again, err := Replay(t.Context(), read, c)
		if err != nil || len(again.Failures) == 0 || !again.Failures[0].same(f) {
			t.Errorf("%v, %v; it was to fail as\n%s", err, again.Failures, f)
		}
		read.Faults = nil
		if calm, err := Replay(t.Context(), read, c); err == nil && len(calm.Failures) > 0 {
			t.Errorf("without the fault it fails too: %s", calm.Failures[0])
		}
	}
}
