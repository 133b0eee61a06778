package ddmin_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/untorn-db/untorn/scenarios/ddmin"
)

// TestFewest checks, for conditions of many kinds, that what is left fails, in
// its order, and that no item of it can go.
func TestFewest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		all := make([]int, random.IntN(30))
		for i := range all {
			all[i] = i
		}
		// It fails where it holds all of a few sets, or enough of everything.
		var sets [][]int
		for range random.IntN(3) {
			var set []int
			for range random.IntN(4) {
				if len(all) > 0 {
					set = append(set, random.IntN(len(all)))
				}
			}
			sets = append(sets, set)
		}
		enough := random.IntN(len(all) + 1)
		fails := func(list []int) bool {
			holds := func(set []int) bool {
				return !slices.ContainsFunc(set, func(i int) bool { return !slices.Contains(list, i) })
			}
			return len(list) >= enough && len(list)%2 == len(all)%2 || slices.ContainsFunc(sets, holds)
		}
		left := ddmin.Fewest(all, func(list []int) bool {
			if len(list) == len(all) {
				t.Fatal("asked about the whole")
			}
			return fails(list)
		})
		if !fails(left) || !slices.IsSorted(left) {
			t.Fatalf("%v of %v: sets %v, enough %d", left, all, sets, enough)
		}
		for i := range left {
			if fails(slices.Delete(slices.Clone(left), i, i+1)) {
				t.Fatalf("%v: item %d can go: sets %v, enough %d", left, i, sets, enough)
			}
		}
	}
}

// TestFewestStops checks that a condition that says no ends the search soon, with
// what failed last.
func TestFewestStops(t *testing.T) {
	asked := 0
	left := ddmin.Fewest(make([]int, 1000), func(list []int) bool { asked++; return len(list) > 0 && asked <= 3 })
	if len(left) >= 1000 || asked > 3000 {
		t.Errorf("%d items left, asked %d times", len(left), asked)
	}
}
