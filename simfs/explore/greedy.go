package explore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/simfs"
)

// A Greedy is a place in a program that read many undecided variables. Each of
// them at least doubles the runs of the lazy search, unless what it holds ends
// the reading: a reader that stops at the first one, looks at what it got, and
// reads on only if that was whole, adds one run for each. (simfs.File.Read stops
// there. ReadAt, io.ReadFull and os.ReadFile do not.)
type Greedy struct {
	Where string // the two innermost source lines, such as "store.go:88 < store.go:40"
	Path  string // of the file
	Vars  int    // the most that it decided at once
	// Once: in a single call. If not, in the calls of one run whose crash point
	// has too many leaves.
	Once bool
}

// String says it in words.
func (g Greedy) String() string {
	how := "one after the other, and goes on whatever they hold"
	if g.Once {
		how = "in one call"
	}
	return fmt.Sprintf("%s decides %d cells, sizes and names of %q %s", g.Where, g.Vars, g.Path, how)
}

const (
	// greedyVars is how many variables one call may decide unnamed: a checksum over
	// a page of eight sectors needs as many.
	greedyVars = 8
	// greedyLines is how many places a report names.
	greedyLines = 8
)

// A decider finds the greedy calls of one run.
type decider struct {
	skip  []string // functions that are not the program
	call  int      // the file system call of the last question
	vars  int      // how many that call asked so far
	found []Greedy
	all   map[Greedy]int // how often each place asked, where not nil
}

// note is told of every question.
func (d *decider) note(v simfs.Var) {
	if d.vars == 0 || v.Call != d.call {
		d.call, d.vars = v.Call, 0
	}
	d.vars++
	if d.all != nil {
		d.all[Greedy{Where: simfs.Caller(2, d.skip), Path: v.Path}]++
	}
	switch {
	case d.vars == greedyVars+1:
		d.found = append(d.found, Greedy{simfs.Caller(2, d.skip), v.Path, d.vars, true})
	case d.vars > greedyVars:
		d.found[len(d.found)-1].Vars = d.vars
	}
}

// worst is the place that asked most.
func (d *decider) worst() (worst Greedy) {
	for g, n := range d.all {
		g.Vars = n
		if c := cmp.Or(cmp.Compare(g.Vars, worst.Vars), cmp.Compare(worst.Where, g.Where), cmp.Compare(worst.Path, g.Path)); c > 0 {
			worst = g
		}
	}
	return worst
}

// deciders are the greedy calls of many runs: of each place the worst.
type deciders struct{ worst map[string]Greedy }

func (d *deciders) add(g Greedy) {
	if d.worst == nil {
		d.worst = make(map[string]Greedy)
	}
	old, ok := d.worst[g.Where]
	if !ok || g.Vars > old.Vars || g.Vars == old.Vars && g.Path < old.Path {
		d.worst[g.Where] = g
	}
}

// list returns the worst first.
func (d *deciders) list() []Greedy {
	var all []Greedy
	for _, g := range d.worst {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b Greedy) int {
		return cmp.Or(cmp.Compare(b.Vars, a.Vars), cmp.Compare(a.Where, b.Where))
	})
	return all[:min(len(all), greedyLines)]
}
