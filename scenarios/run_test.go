package scenarios

import (
	"context"
	"testing"
)

// TestAFewSeedsOfEach runs each scenario on each preset.
func TestAFewSeedsOfEach(t *testing.T) {
	for _, name := range Names() {
		for _, disk := range []string{"posix", "ext4", "ext4-writeback", "xfs", "btrfs", "sequential"} {
			for seed := uint64(1); seed <= 2; seed++ {
				p, err := Draw(name, disk, seed)
				if err != nil {
					t.Fatal(err)
				}
				r, err := Run(context.Background(), p, Config{})
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range r.Violations {
					t.Fatalf("%v\n%s", v.Err, v.Plan.Format())
				}
			}
		}
	}
}
