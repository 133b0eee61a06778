package scenarios_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/untorn-db/untorn/scenarios"
)

// withClients are the scenarios whose callers work at the same time.
var withClients = []string{"groupcommit", "cas-race", "keyed-race", "read-race", "transactions", "close-race"}

// TestClientsTakeTheSameTurns: with any number of processors, and with a hand-off
// that orders nothing, under which the race detector sees the engine as it is in
// production: go test -race.
func TestClientsTakeTheSameTurns(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	for _, name := range withClients {
		for seed := uint64(1); seed <= seeds; seed++ {
			digest := ""
			for _, how := range []struct {
				procs int
				spin  bool
			}{{1, false}, {2, false}, {8, false}, {1, true}} {
				runtime.GOMAXPROCS(how.procs)
				p, err := scenarios.Draw(name, "posix", seed)
				if err != nil {
					t.Fatal(err)
				}
				r, err := scenarios.Run(context.Background(), p, scenarios.Config{Images: 8, Spin: how.spin})
				if err != nil {
					t.Fatalf("%s, seed %d, %+v: %v", name, seed, how, err)
				}
				if len(r.Violations) > 0 {
					t.Errorf("%s, seed %d, %+v: %v", name, seed, how, r.Violations[0].Err)
				}
				if digest == "" {
					digest = r.Digest
				}
				if r.Digest != digest {
					t.Errorf("%s, seed %d: %+v gives digest %s, one processor %s", name, seed, how, r.Digest, digest)
				}
			}
		}
	}
	t.Logf("%s: %d seeds each", fmt.Sprint(withClients), seeds)
}
