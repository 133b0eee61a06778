package explore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/simfs"
)

// A Greedy is a place in a program that read many undecided variables at once.
// Each of them at least doubles the runs of the lazy search; a read that stops
// at the first one, looks at what it got, and only then reads on, adds one run
// for each. (simfs.File.Read stops there. ReadAt, io.ReadFull and os.ReadFile
// do not.)
type Greedy struct {
	Where string // the two innermost source lines, such as "store.go:88 < store.go:40"
	Path  string // of the file
	Vars  int    // the most that it decided in one call
}

// String says it in words.
func (g Greedy) String() string {
	return fmt.Sprintf("%s decides %d cells, sizes and names of %q in one call", g.Where, g.Vars, g.Path)
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
	where string   // who made it, once it is greedy
	found []Greedy
	worst Greedy // greedy or not; only with all
	all   bool
}

// note is told of every question.
func (d *decider) note(v simfs.Var) {
	if d.vars == 0 || v.Call != d.call {
		d.call, d.vars, d.where = v.Call, 0, ""
	}
	d.vars++
	if d.vars > greedyVars || d.all && d.vars > max(d.worst.Vars, 1) {
		if d.where == "" {
			d.where = simfs.Caller(2, d.skip)
		}
		g := Greedy{d.where, v.Path, d.vars}
		if d.all && d.vars > d.worst.Vars {
			d.worst = g
		}
		if d.vars > greedyVars {
			if n := len(d.found); d.vars == greedyVars+1 {
				d.found = append(d.found, g)
			} else {
				d.found[n-1] = g
			}
		}
	}
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
