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
fault step=5 writeat seg #1: enospc 1000000
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
		"step=5 writeat seg #1: enospc 1000000: not fired: there was room: 504 of 1000000 bytes are used",
	}; !slices.Equal(r.NotFired, want) {
		t.Errorf("not fired %q, want %q", r.NotFired, want)
	}
}

// TestDamageThatARunTellsOf: a fault may damage what is served. A read that says
// so is no violation, and neither is one after the file system has shut down.
func TestDamageThatARunTellsOf(t *testing.T) {
	for _, fault := range []string{
		"step=5 writeat new #1: lose", // what an Open carries
		"step=7 syncdata seg #1: failsync shutdown",
	} {
		sound(t, "posix", "rollback", "set images = 4",
			`step 1 open`, `step 2 batch 0="s t size=50"`, `step 3 batch buffered=true 0="s t size=60"`, `step 4 crash kind=kill`, `step 5 open`,
			`step 6 read`, `step 7 batch 0="s t size=300"`, `step 8 read`, "fault "+fault)
	}
}
