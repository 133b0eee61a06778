package litmus

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/simfs"
)

// Result is what one program did on one disk.
type Result struct {
	Program  string
	Disk     string
	Not      string // why the program cannot happen there, or ""; then all else is empty
	Eager    Side
	Lazy     Side
	Naive    Side   // empty where NoNaive is not
	NoNaive  string // why the naive search did not run
	Outcomes []string
	Allowed  int      // outcomes that rules of this disk allow, and there are
	Forbade  int      // outcomes that they forbid, and there are none
	Broken   []string // how the searches disagree, and which rules do not hold
}

// OK reports whether the searches agree and the rules hold.
func (r Result) OK() bool { return len(r.Broken) == 0 }

// Check runs the three searches of a program on a disk, compares the sets of
// outcomes, and then looks at the rules. The rules and the naive search are for
// presets; on other guarantees the two others are compared. An error is a program
// that cannot be run, or one that is too large.
func Check(p Program, g simfs.Guarantees) (Result, error) {
	r := Result{Program: p.Name, Disk: g.Name}
	preset, err := simfs.PresetByName(g.Name)
	isPreset := err == nil && preset == g
	if !isPreset {
		r.Disk = g.String()
	}
	ok, why := p.Happens(g)
	if !ok {
		r.Not = why
		return r, nil
	}
	if r.Eager, err = Eager(p, g); err != nil {
		return r, err
	}
	var weight *big.Rat
	if r.Lazy, weight, err = Lazy(p, g); err != nil {
		return r, err
	}
	if weight.Cmp(big.NewRat(1, 1)) != 0 {
		r.Broken = append(r.Broken, fmt.Sprintf("the leaves of the lazy search weigh %s, want 1", weight.RatString()))
	}
	r.Outcomes = r.Eager.Outcomes
	r.differ("lazy", r.Lazy)
	switch {
	case p.NoNaive != "":
		r.NoNaive = p.NoNaive
	case !isPreset:
		r.NoNaive = "it knows the presets alone"
	default:
		if r.Naive, err = Naive(p, g.Name); err != nil {
			return r, err
		}
		r.differ("naive", r.Naive)
	}
	if isPreset {
		r.rules(p.Rules)
	}
	return r, nil
}

// differ notes where another search has not found what the eager one has.
func (r *Result) differ(name string, s Side) {
	minus := func(a, b []string) string {
		var out []string
		for _, x := range a {
			if !slices.Contains(b, x) {
				out = append(out, x)
			}
		}
		return strings.Join(out, " | ")
	}
	if !slices.Equal(s.Outcomes, r.Eager.Outcomes) {
		r.Broken = append(r.Broken, fmt.Sprintf("%s alone has {%s}, eager alone has {%s}", name, minus(s.Outcomes, r.Eager.Outcomes), minus(r.Eager.Outcomes, s.Outcomes)))
	}
}

// rules notes which rules do not hold.
func (r *Result) rules(all []Rule) {
	for _, rule := range all {
		if !slices.Contains(rule.Presets, r.Disk) {
			continue
		}
		if why := rule.broken(r.Outcomes); why != "" {
			r.Broken = append(r.Broken, why)
			continue
		}
		if rule.Verb == "forbid" {
			r.Forbade += len(rule.Patterns)
		} else {
			r.Allowed += len(rule.Patterns)
		}
	}
}
