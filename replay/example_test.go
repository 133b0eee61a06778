package replay_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/planted"
)

// Twenty seeds of one scenario, with every crash that they lead to.
func ExampleSweep() {
	report, err := replay.Sweep(context.Background(), replay.Options{
		Scenarios: []string{"batch"}, Disks: []string{"posix"}, Seeds: replay.Seeds{First: 1, Last: 20}, Images: 20,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range report.Rows {
		fmt.Println(row.Scenario, row.Disk, row.Seeds, "seeds,", row.Violated, "violations")
	}
	fmt.Println(report.Complete, report.Failed())
	// Output:
	// batch posix 20 seeds, 0 violations
	// true false
}

// failing is a plan, and a disk between it and the log that hides from the log that
// syncs of names fail: a bug, planted for the examples.
func failing() (*plan.Plan, scenarios.Config) {
	p, err := plan.Parse([]byte(`untorn plan 1
scenario batch
disk posix
set preallocate = -1
set images = 60
step 1 open
step 2 batch 0="order-1 placed size=100"
step 3 read
step 4 batch 0="order-1 paid size=300"
fault step=1 syncdir dir #*: fail EIO
`))
	if err != nil {
		log.Fatal(err)
	}
	return p, scenarios.Config{Wrap: planted.DeafToNames}
}

// A plan is run twice, and what it breaks is explained.
func ExampleReplay() {
	p, config := failing()
	outcome, err := replay.Replay(context.Background(), p, config)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same twice:", outcome.Twice == nil)
	for _, failure := range outcome.Failures {
		fmt.Println(failure.Title())
	}
	// Output:
	// the same twice: true
	// FAIL batch on posix: I1 is broken
}

// What a failure does not need is left out.
func ExampleShrink() {
	p, config := failing()
	small, err := replay.Shrink(context.Background(), p, config, 0)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range small.Failure.Plan.Steps {
		fmt.Println(step)
	}
	fmt.Println(small.Failure.Plan.Faults)
	fmt.Println("minimal:", small.Minimal)

	dir, err := os.MkdirTemp("", "failures-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := small.Failure.Save(dir, "names"); err != nil {
		log.Fatal(err)
	}
	again, err := replay.Load(small.Failure.File)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("saved:", string(again.Format()) == string(small.Failure.Plan.Format()))
	// Output:
	// step 1 open
	// step 2 batch 0="s t"
	// [step=1 syncdir dir #1: fail EIO]
	// minimal: true
	// saved: true
}
