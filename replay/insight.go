package replay

import (
	"cmp"
	"maps"
	"slices"

	"github.com/untorn-db/untorn/scenarios"
)

// What else a row tells of its seeds, for a report. Counts depend on the seeds
// alone, like the digest; Slowest does not.

// Crashed counts the crashes of a row that came before the same kind of operation,
// left the same kind of image, and ended alike.
type Crashed struct {
	Before  string `json:"before"`  // verb and class of file of the operation that was next, such as "syncdata seg"; "note" or "end"
	Image   string `json:"image"`   // what the disk had: newest, prefix, mixed, torn, garbage, kill, reopen
	Outcome string `json:"outcome"` // a named state of the recovery, such as "cut a tail"; or the invariant that was broken
	Times   int64  `json:"times"`
}

// Covered says how often a kind of fault came behind a named point of the engine.
type Covered struct {
	Fault string `json:"fault"` // its kind, and its mode if it has one, such as "failsync ext4"
	Point string `json:"point"` // the last named point before it, such as "batch.sync"; "" before the first
	Could int64  `json:"could"` // operations there that such a fault can hit
	Hits  int64  `json:"hits"`
}

// Behaviour is something that a seed did, and the lowest seed that did it: a state that
// was reached, or a kind of crash with its outcome.
type Behaviour struct {
	Name string `json:"name"`
	Seed uint64 `json:"seed"`
}

// Slow is a seed and how long it took.
type Slow struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
}

// MaxSlowest is how many seeds Row.Slowest has at most.
const MaxSlowest = 10

// insight is these in the making.
type insight struct {
	crashed    map[scenarios.Crashed]int64
	coverage   scenarios.Coverage
	earlier    map[faultAt]Covered // what a sweep counted that is gone on with
	behaviours map[string]uint64   // the lowest seed of each
	slowest    []Slow
}

// faultAt is a kind of fault behind a point.
type faultAt struct{ fault, point string }

// resume goes on with what a row says.
func (n *insight) resume(r *Row) {
	for _, c := range r.Crashed {
		n.crashed[scenarios.Crashed{Before: c.Before, Image: c.Image, Outcome: c.Outcome}] = c.Times
	}
	n.earlier = map[faultAt]Covered{}
	for _, c := range r.Coverage {
		n.earlier[faultAt{c.Fault, c.Point}] = c
	}
	for _, b := range r.Behaviours {
		n.behaves(b.Name, b.Seed)
	}
	n.slowest = slices.Clone(r.Slowest)
}

func newInsight() insight {
	return insight{crashed: map[scenarios.Crashed]int64{}, behaviours: map[string]uint64{}}
}

// add counts one seed.
func (n *insight) add(seed uint64, r *scenarios.Result, seconds float64) {
	for crash, times := range r.Crashed {
		n.crashed[crash] += int64(times)
	}
	if r.Coverage != nil {
		n.coverage.Add(r.Coverage)
	}
	for name := range r.Reached {
		n.behaves(name, seed)
	}
	for crash := range r.Crashed {
		n.behaves(behaviour(crash), seed)
	}
	n.took(Slow{seed, seconds})
}

// behaviour is the name of a crash with its outcome.
func behaviour(c scenarios.Crashed) string {
	return "crash before " + c.Before + ", " + c.Image + ": " + c.Outcome
}

func (n *insight) behaves(name string, seed uint64) {
	if first, known := n.behaviours[name]; !known || seed < first {
		n.behaviours[name] = seed
	}
}

func (n *insight) took(s Slow) {
	if len(n.slowest) == MaxSlowest && s.Seconds <= n.slowest[MaxSlowest-1].Seconds {
		return
	}
	n.slowest = append(n.slowest, s)
	slices.SortFunc(n.slowest, func(a, b Slow) int { return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Seed, b.Seed)) })
	n.slowest = n.slowest[:min(len(n.slowest), MaxSlowest)]
}

// covered is the coverage, with what was counted earlier.
func (n *insight) covered() (all []Covered) {
	for _, c := range n.coverage.All() {
		before := n.earlier[faultAt{c.Fault, c.Point}]
		if c.Could, c.Hits = c.Could+before.Could, c.Hits+before.Hits; c.Could > 0 {
			all = append(all, Covered(c))
		}
	}
	return all
}

// fill puts what was counted into a row, in an order that the seeds decide.
func (n *insight) fill(r *Row) {
	r.Crashed, r.Coverage, r.Behaviours = []Crashed{}, []Covered{}, []Behaviour{}
	for _, c := range slices.SortedFunc(maps.Keys(n.crashed), scenarios.Crashed.Compare) {
		r.Crashed = append(r.Crashed, Crashed{c.Before, c.Image, c.Outcome, n.crashed[c]})
	}
	r.Coverage = append(r.Coverage, n.covered()...)
	for name, seed := range n.behaviours {
		r.Behaviours = append(r.Behaviours, Behaviour{name, seed})
	}
	slices.SortFunc(r.Behaviours, func(a, b Behaviour) int {
		return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Name, b.Name))
	})
	r.Slowest = append([]Slow{}, n.slowest...)
}
