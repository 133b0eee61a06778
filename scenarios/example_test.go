package scenarios_test

import (
	"context"
	"fmt"
	"log"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// A seed draws a plan, the same each time, and running it crashes the log everywhere.
func ExampleRun() {
	p, err := scenarios.Draw("mixed", "ext4", 7)
	if err != nil {
		log.Fatal(err)
	}
	result, err := scenarios.Run(context.Background(), p, scenarios.Config{Images: 30})
	if err != nil {
		log.Fatal(err)
	}
	again, err := scenarios.Run(context.Background(), p, scenarios.Config{Images: 30, Workers: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Recoveries > 0, len(result.Violations), result.Digest == again.Digest)
	// Output: true 0 true
}

// A plan can be written by hand. With the lazy search every image of every crash is
// covered.
func ExampleRun_lazy() {
	p, err := plan.Parse([]byte(`untorn plan 1
scenario batch
disk ext4
set images = 0
set lazy = true
step 1 open
step 2 batch 0="order-1 placed size=100" 1="ledger booked size=50 cause=0"
`))
	if err != nil {
		log.Fatal(err)
	}
	result, err := scenarios.Run(context.Background(), p, scenarios.Config{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("violations:", len(result.Violations), "every image:", result.Exact)
	// Output: violations: 0 every image: true
}
