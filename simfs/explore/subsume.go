package explore

import (
	"slices"

	"github.com/untorn-db/untorn/simfs"
)

// A state whose images are all among those of others with the same history has
// nothing to show: whatever can become of it became of those. Without this,
// crashes inside recoveries multiply: each leaves what the one before it left, but
// for a few cells that it wrote again.
//
// It need not be one other. A recovery that removes a file which an earlier one
// left, and makes it again, leaves by the end of the journal
//
//	the file as it was       what the crash before left: searched
//	no file                  the same
//	the file, made again     what a recovery leaves where there was no file
//
// so the parts of an image are looked for one by one, each in which nothing is
// tied.

// accepted are the images of the states that were searched, by the history that
// they go with. What is random in a recovery is no part of it: each image is
// searched with what its depth gives, where it first comes up.
type accepted map[digest]*covered

// covered holds the parts of images that go with one history.
type covered struct {
	same  map[[16]byte]struct{} // their hashes
	parts []*simfs.Image
}

// comparisons is with how many parts another one is compared, and mostParts how
// many an image may have. More would find more, at a cost that grows with the
// square.
const (
	comparisons = 4096
	mostParts   = 32
)

// admitted returns the states that have some image which no accepted one has, in
// order, and accepts them. Only power losses are left out: what a killed process
// leaves is one image, and what can become of it later depends on more than that.
func (x *explorer) admitted(states []*state) []*state {
	if !x.config.Lazy {
		return states
	}
	if x.taken == nil {
		x.taken = make(accepted)
	}
	all := make([][]*simfs.Image, len(states)) // the parts that no earlier level had
	left := make([]bool, len(states))
	size := make([]int, len(states))
	x.pool.each(len(states), func(i int) {
		if states[i].crash.Kind != simfs.PowerLoss {
			return
		}
		parts := states[i].image.Parts(mostParts)
		size[i] = len(parts)
		all[i] = x.taken[states[i].told].rest(parts, 0)
	})
	// Those with few parts first: they are what parts of the others are within.
	order := make([]int, len(states))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int { return size[i] - size[k] })
	known := make(map[digest]int) // how many parts earlier levels had
	for told, c := range x.taken {
		known[told] = len(c.parts)
	}
	for _, i := range order {
		if size[i] == 0 {
			continue
		}
		told := states[i].told
		rest := x.taken[told].rest(all[i], known[told])
		if left[i] = len(rest) == 0; left[i] {
			x.report.Subsumed++
			continue
		}
		x.taken.add(told, rest)
	}
	fresh := states[:0]
	for i, s := range states {
		if !left[i] {
			fresh = append(fresh, s)
		}
	}
	return fresh
}

// rest returns the parts that are not within any of c's from the given one on.
func (c *covered) rest(parts []*simfs.Image, from int) (rest []*simfs.Image) {
	for _, p := range parts {
		if !c.covers(p, from) {
			rest = append(rest, p)
		}
	}
	return rest
}

func (c *covered) covers(part *simfs.Image, from int) bool {
	hash := part.Hash()
	if c == nil {
		return false
	}
	if _, same := c.same[hash]; same {
		return true
	}
	return slices.ContainsFunc(c.parts[from:], part.Within)
}

// add accepts parts.
func (a accepted) add(told digest, parts []*simfs.Image) {
	c := a[told]
	if c == nil {
		c = &covered{same: make(map[[16]byte]struct{})}
		a[told] = c
	}
	for _, p := range parts {
		c.same[p.Hash()] = struct{}{}
		if len(c.parts) < comparisons {
			c.parts = append(c.parts, p)
		}
	}
}
