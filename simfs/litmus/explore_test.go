package litmus

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// The lazy search of package explore, which programs of users are searched with,
// finds the same: a recovery that reads the whole tree sees every outcome.
func TestExploreFindsTheSame(t *testing.T) {
	checked := 0
	for _, p := range corpusOf(t) {
		if slices.ContainsFunc(p.Ops, func(op Op) bool { return op.Kind == "crash" || op.Kind == "kill" }) {
			continue // one run is all that a workload is
		}
		for _, g := range simfs.Presets() {
			if ok, _ := p.Happens(g); !ok {
				continue
			}
			want, _, err := Lazy(p, g)
			if err != nil {
				t.Fatal(err)
			}
			if want.Leaves > 1000 {
				continue
			}
			var mu sync.Mutex
			found := map[string]bool{}
			disk := p.disk(g)
			ended := func(n explore.Note) bool { return n.Key == "end" }
			report, err := explore.Explore(context.Background(), explore.Config{
				Guarantees: disk.Guarantees, CellSize: disk.CellSize, Garbage: disk.Garbage,
				Kinds: explore.Power, Lazy: true, From: ended,
			}, explore.Program{
				Workload: func(run *explore.Run) error {
					for _, op := range p.Ops {
						if err := perform(run.Disk, op); err != nil {
							return err
						}
					}
					run.Note(explore.Note{Key: "end"})
					return nil
				},
				Recover: func(run *explore.Run) error {
					tree, err := Tree(run.FS)
					if err == nil && slices.ContainsFunc(run.History, ended) {
						mu.Lock()
						defer mu.Unlock()
						found[tree] = true
					}
					return err
				},
			})
			if err != nil || !report.Exact || len(report.Violations) > 0 {
				t.Fatalf("%s on %s: exact %v, %q, violations %v, error %v", p.Name, g.Name, report.Exact, report.Why, report.Violations, err)
			}
			if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want.Outcomes) {
				t.Errorf("%s on %s: explore finds %q, Lazy %q", p.Name, g.Name, got, want.Outcomes)
			}
			checked++
		}
	}
	if checked < 400 {
		t.Errorf("only %d programs and disks were small enough", checked)
	}
}
