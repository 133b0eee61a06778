package scenarios

import (
	"context"
	"slices"
	"testing"
)

// TestFaultsOfEveryLife: a fault before a crash is told like one behind it, and
// the reason of one that did not fire is that of the life it was meant for.
func TestFaultsOfEveryLife(t *testing.T) {
	p := parsed(t, `untorn plan 1
scenario rollback
disk posix
seed 3
set images = 4
step 1 open
step 2 batch 0="order-1 placed size=100"
step 3 crash kind=power choices=newest
step 4 open
step 5 batch 0="order-1 paid size=100"
step 6 batch 0="order-1 shipped size=10"
fault step=2 writeat seg #1: fail EIO
fault step=2 writeat seg #9: fail EIO
fault step=5 writeat seg #1: short 1000000
fault step=6 writeat seg #1: fail EIO
`)
	r, err := Run(context.Background(), p, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Errorf("%v", v.Err)
	}
	if want := []string{"step=2 writeat seg #1: fail EIO", "step=6 writeat seg #1: fail EIO"}; !slices.Equal(r.FaultsFired, want) {
		t.Errorf("fired %q, want %q", r.FaultsFired, want)
	}
	if want := []string{
		"step=2 writeat seg #9: fail EIO: not fired: its key never came up: there were only 1 such operations",
		"step=5 writeat seg #1: short 1000000: not fired: the write had 328 bytes only",
	}; !slices.Equal(r.NotFired, want) {
		t.Errorf("not fired %q, want %q", r.NotFired, want)
	}
}
