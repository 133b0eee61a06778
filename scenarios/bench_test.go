package scenarios

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs/explore"
)

// benchPlan is ten events in a log that was closed, and then a batch of five, of
// 100 B on three streams, with a key. The crashes come in the last two steps.
func benchPlan(disk string, seed uint64) (*plan.Plan, error) {
	batch := func(step int) string {
		text := fmt.Sprintf("step %d batch key=k%d", step, step)
		for i := range 5 {
			text += fmt.Sprintf(" %d=\"stream-%d happened size=100\"", i, i%3)
		}
		return text
	}
	return plan.Parse([]byte(strings.Join([]string{
		"untorn plan 1", "scenario batch", "disk " + disk, fmt.Sprint("seed ", seed),
		"step 1 open", batch(2), batch(3), "step 4 close", "step 5 crash kind=power choices=newest",
		"step 6 open", batch(7), "",
	}, "\n")))
}

// BenchmarkRecovery reports recoveries a second. A recovery is: a new image,
// Open, all invariants, a second Open, one more append, one keyed retry. The log
// has ten events before the batch that is cut. Recording the workload and
// finding the images is part of it, once for all the images of a seed.
func BenchmarkRecovery(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // as untorn-sim
	for _, disk := range []string{"posix", "ext4"} {
		for _, workers := range []int{1, runtime.NumCPU()} {
			b.Run(fmt.Sprintf("%s/cores=%d", disk, workers), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
				b.ReportAllocs()
				recoveries := 0
				begun := time.Now()
				for seed := uint64(1); recoveries < b.N; seed++ {
					recoveries += benchSeed(b, disk, seed, workers)
				}
				// b.N is a lower bound: the last seed is run to its end.
				rate := float64(recoveries) / time.Since(begun).Seconds()
				b.ReportMetric(rate, "recoveries/s")
				b.ReportMetric(rate/float64(workers), "recoveries/s/core")
			})
		}
	}
}

// benchSeed recovers every image of a seed, each once.
func benchSeed(b *testing.B, disk string, seed uint64, workers int) int {
	p, err := benchPlan(disk, seed)
	if err != nil {
		b.Fatal(err)
	}
	r, err := newRun(context.Background(), p, Config{Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	r.explorer.Kinds = explore.Power | explore.Kill
	r.explorer.Depth = 0
	r.explorer.MaxImages = 0
	r.explorer.Exhaustive = 256
	if err := r.prologue(); err != nil {
		b.Fatal(err)
	}
	if err := r.rest(); err != nil {
		b.Fatal(err)
	}
	r.finish()
	if len(r.result.Violations) > 0 {
		b.Fatal(r.result.Violations[0].Err)
	}
	return r.result.Recoveries
}
