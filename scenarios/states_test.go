package scenarios

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

// TestStatesAreListed: every state has a name and a sentence of its own, and some
// scenario means to reach it; and a scenario names nothing else.
func TestStatesAreListed(t *testing.T) {
	all := States()
	if len(all) != int(numStates) || numStates > 64 {
		t.Fatalf("%d states, want %d, at most 64", len(all), numStates)
	}
	listed, names := map[string]bool{}, map[string]bool{}
	for _, s := range All() {
		seen := map[string]bool{}
		for _, name := range s.Reach {
			listed[name] = true
			if seen[name] {
				t.Errorf("%s names %q twice", s.Name, name)
			}
			seen[name] = true
			if Says(name) == name {
				t.Errorf("%s means to reach %q, which says nothing", s.Name, name)
			}
		}
	}
	for i, s := range all {
		if s.Name == "" || s.Says == "" || names[s.Name] || names[s.Says] || strings.ToLower(s.Name[:1]) != s.Name[:1] {
			t.Errorf("state %d: %+v", i, s)
		}
		names[s.Name], names[s.Says] = true, true
		if !listed[StateKey+s.Name] {
			t.Errorf("no scenario means to reach %q", s.Name)
		}
		delete(listed, StateKey+s.Name)
	}
	for name := range listed {
		if strings.HasPrefix(name, StateKey) {
			t.Errorf("a scenario means to reach %q, which is not in States", name)
		}
	}
	if Says("state nothing of that kind") != "state nothing of that kind" {
		t.Error("an unknown state says something")
	}
}

// TestStatesAreReached runs the seeds of each scenario until all of its states were
// reached, which has to be before a sweep fails for it.
func TestStatesAreReached(t *testing.T) {
	most := uint64(100) // replay.ReachSeeds
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			missing := slices.DeleteFunc(slices.Clone(s.Reach), func(name string) bool { return !strings.HasPrefix(name, StateKey) })
			for seed := uint64(1); len(missing) > 0 && seed <= most; seed++ {
				p, err := Draw(s.Name, "posix", seed)
				if err != nil {
					t.Fatal(err)
				}
				r, err := Run(context.Background(), p, Config{Workers: 1})
				if err != nil {
					t.Fatal(err)
				}
				missing = slices.DeleteFunc(missing, func(name string) bool { return r.Reached[name] > 0 })
			}
			if len(missing) > 0 {
				t.Errorf("%d seeds never reached %q", most, missing)
			}
		})
	}
}

// TestPointsAreKnown: every point that a log passes has a place.
func TestPointsAreKnown(t *testing.T) {
	for p := range point(numPoints) {
		if got := pointOf(p.name()); got != p {
			t.Errorf("point %d, %q, is found as %d", p, p.name(), got)
		}
	}
	if point(numPoints-1).name() != engine.PointRecoverEnd {
		t.Errorf("the last point is %q", point(numPoints-1).name())
	}
}
