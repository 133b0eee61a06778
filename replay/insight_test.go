package replay

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/scenarios"
)

// TestInsightAddsUp compares what a row tells of crashes, faults and behaviours
// with what its seeds tell alone, the last first. TestJobs shows that it is the
// same for any number of jobs.
func TestInsightAddsUp(t *testing.T) {
	ctx := context.Background()
	o := Options{Scenarios: []string{"syncfail", "rollback"}, Seeds: Seeds{First: 1, Last: 12}, Images: 40, Jobs: 3}
	report, err := Sweep(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		crashed, hits, first := map[Crashed]int64{}, map[[2]string]int64{}, map[string]uint64{}
		for seed := o.Seeds.Last; seed >= o.Seeds.First; seed-- {
			p, err := scenarios.Draw(row.Scenario, row.Disk, seed)
			if err != nil {
				t.Fatal(err)
			}
			r, err := scenarios.Run(ctx, p, scenarios.Config{Images: o.Images, Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			for c, times := range r.Crashed {
				key := Crashed{c.Before, c.Image, c.Outcome, 0}
				crashed[key] += int64(times)
				first["crash before "+c.Before+", "+c.Image+": "+c.Outcome] = seed
			}
			for _, c := range r.Coverage.All() {
				hits[[2]string{c.Fault, c.Point}] += c.Hits
			}
			for name := range r.Reached {
				first[name] = seed
			}
		}
		if recoveries := int64(0); len(row.Crashed) > 5 {
			for _, c := range row.Crashed {
				recoveries += c.Times
				alone := c
				alone.Times = 0
				if c.Times != crashed[alone] {
					t.Errorf("%s: %+v, alone %d times", row.Scenario, c, crashed[alone])
				}
			}
			if recoveries != row.Recoveries || len(crashed) != len(row.Crashed) {
				t.Errorf("%s: %d recoveries of %d kinds of crash, want %d of %d", row.Scenario, recoveries, len(row.Crashed), row.Recoveries, len(crashed))
			}
		} else {
			t.Errorf("%s: crashes %+v", row.Scenario, row.Crashed)
		}
		fired := int64(0)
		for _, c := range row.Coverage {
			fired += c.Hits
			if c.Hits != hits[[2]string{c.Fault, c.Point}] || c.Could < c.Hits {
				t.Errorf("%s: %+v, alone %d hits", row.Scenario, c, hits[[2]string{c.Fault, c.Point}])
			}
		}
		if fired < row.FaultsFired || row.FaultsFired == 0 {
			t.Errorf("%s: %d faults fired, %d are in the coverage", row.Scenario, row.FaultsFired, fired)
		}
		if len(row.Behaviours) != len(first) {
			t.Errorf("%s: %d behaviours, want %d", row.Scenario, len(row.Behaviours), len(first))
		}
		for i, b := range row.Behaviours {
			if first[b.Name] != b.Seed || i > 0 && b.Seed < row.Behaviours[i-1].Seed {
				t.Errorf("%s: %s first came with seed %d, want %d", row.Scenario, b.Name, b.Seed, first[b.Name])
			}
		}
		if len(row.Slowest) != MaxSlowest || !slices.IsSortedFunc(row.Slowest, func(a, b Slow) int { return int(b.Seconds*1e9) - int(a.Seconds*1e9) }) {
			t.Errorf("%s: the slowest seeds are %v", row.Scenario, row.Slowest)
		}
	}
}

// TestCrashedTellsOfViolations checks that a crash which breaks an invariant is
// counted with it, and before the right operation.
func TestCrashedTellsOfViolations(t *testing.T) {
	o := Options{Scenarios: []string{"batch"}, Seeds: Seeds{First: 3, Last: 4}, Images: 60, Shrink: -1, Wrap: dropSync}
	report, err := Sweep(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	row := report.Rows[0]
	broken := int64(0)
	for _, c := range row.Crashed {
		if strings.HasPrefix(c.Outcome, "I") {
			broken += c.Times
		}
		if strings.HasPrefix(c.Before, "sync") {
			t.Errorf("no sync comes to the disk: %+v", c)
		}
	}
	// The workload itself, without a crash, may break one, too.
	if broken == 0 || broken > row.Violated || broken < row.Violated-row.Seeds {
		t.Errorf("%d crashes broke an invariant, %d violations", broken, row.Violated)
	}
}
