package scenarios

import (
	"context"
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs"
)

// TestBatchesOfFive cuts batches of five events at every crash point, with every
// image that differs from a prefix in at most two cells, sizes or names, and so
// again in the recovery that follows a kill: on every preset. It prints what it
// has counted; the last line of the log is the whole.
func TestBatchesOfFive(t *testing.T) {
	const five = `0="order-1 placed size=100" 1="order-1 paid size=100 cause=0" 2="order-2 placed size=100" 3="ledger booked size=100" 4="order-1 shipped size=100"`
	logs := []struct{ name, settings, steps string }{
		{"the first batch of a log", "", "step 2 batch " + five},
		{"behind a batch that was synced", "", `step 2 batch 0="order-1 placed size=100"` + "\nstep 3 batch key=k " + five},
		{"behind a batch that was not", "", `step 2 batch buffered=true 0="order-1 placed size=100"` + "\nstep 3 batch " + five},
		{"aligned, after a reopen", "set align = 4096", `step 2 batch 0="ledger placed size=100"` + "\nstep 3 close\nstep 4 open\nstep 5 batch " + five},
		{"into zeros", "set preallocate = 16384", "step 2 batch key=k " + five},
	}
	points, images, recoveries := 0, 0, 0
	for _, log := range logs {
		for _, preset := range simfs.Presets() {
			text := fmt.Sprintf(`untorn plan 1
scenario batch
disk %s
seed 5
set images = 0
set deviation = 2
set perpoint = 10000000
set exhaustive = -1
set samples = 0
set depth = 0
%s
step 1 open
%s
`, preset.Name, log.settings, log.steps)
			p, err := plan.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			r, err := Run(context.Background(), p, Config{})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range r.Violations {
				t.Errorf("%s, %s: %v\n%s", log.name, preset.Name, v.Err, v.Plan.Format())
			}
			t.Logf("%s, %s: %d crash points, %d images, %d of them different, %d recoveries, %d violations",
				log.name, preset.Name, r.CrashPoints, r.Images, r.ImagesUnique, r.Recoveries, r.Violated)
			points, images, recoveries = points+r.CrashPoints, images+r.Images, recoveries+r.Recoveries
		}
	}
	t.Logf("batches of five: %d crash points, %d images, %d recoveries", points, images, recoveries)
}
