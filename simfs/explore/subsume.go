package explore

import "github.com/untorn-db/untorn/simfs"

// accepted are the images of states that were searched, by the history that they
// go with. A state whose images are all among those of another with the same
// history has nothing to show: whatever can become of it became of the other.
// Without this, crashes inside recoveries multiply: each leaves what the one
// before it left, but for a few cells that it wrote again.
type accepted map[digest][]*simfs.Image

// comparisons is with how many accepted images a state is compared. More would
// find more, at a cost that grows with the square.
const comparisons = 256

// admitted returns the states that are not part of an accepted one, in order,
// and accepts them. Only power losses are: what a killed process leaves is one
// image, and what can become of it later depends on more than that.
func (x *explorer) admitted(states []*state) []*state {
	if !x.config.Lazy {
		return states
	}
	if x.taken == nil {
		x.taken = make(accepted)
	}
	fresh := states[:0]
	for _, s := range states {
		if s.crash.Kind != simfs.PowerLoss {
			fresh = append(fresh, s)
			continue
		}
		if x.taken.covers(s) {
			x.report.Subsumed++
			continue
		}
		if list := x.taken[s.told]; len(list) < comparisons {
			x.taken[s.told] = append(list, s.image)
		}
		fresh = append(fresh, s)
	}
	return fresh
}

func (a accepted) covers(s *state) bool {
	for _, image := range a[s.told] {
		if s.image.Within(image) {
			return true
		}
	}
	return false
}
