package profile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Verdict is what became of a program on one disk.
type Verdict struct {
	Broken error  // the first promise that it broke; nil: it holds
	Case   string // that broke it
	How    string // the crash, as explore writes it; "" where nothing crashed
	Exact  bool   // every image was tried; of no meaning where it broke
	Why    string // where not
	// Plan breaks it again, where the cases have plans.
	Plan       *plan.Plan
	Recoveries int
}

// Config says what to search.
type Config struct {
	// Holds tries the program on a disk. It must be a function of the guarantees.
	Holds func(ctx context.Context, g simfs.Guarantees) (Verdict, error)
	// SplitRename asks also for disks on which a rename comes apart. No preset is
	// one.
	SplitRename bool
	// Progress, if not nil, is told of each verdict.
	Progress func(Progress)
}

// Progress is how far a search has come.
type Progress struct {
	Known, Sets int // sets of promises under which it is known whether the program holds, of how many
	Tried       int // that it was tried on
	Recoveries  int
	Last        string // the disk that was tried last, and what came of it: "posix holds"
}

// Case is a program, and how its crashes are searched.
type Case struct {
	Name    string
	Config  explore.Config // Guarantees are set by the search
	Program explore.Program
}

// Programs is the Config.Holds of programs of one's own: they hold where all do.
// The first that breaks is told of, so the smallest should come first.
func Programs(cases ...Case) func(context.Context, simfs.Guarantees) (Verdict, error) {
	return func(ctx context.Context, g simfs.Guarantees) (Verdict, error) {
		all := Verdict{Exact: true}
		for _, c := range cases {
			c.Config.Guarantees = g
			report, err := explore.Explore(ctx, c.Config, c.Program)
			if err != nil {
				return all, fmt.Errorf("%s on %s: %w", c.Name, g, err)
			}
			all.Recoveries += report.Recoveries
			if len(report.Violations) > 0 {
				v := report.Violations[0]
				return Verdict{Broken: v.Err, Case: c.Name, How: v.Path.String(), Recoveries: all.Recoveries}, nil
			}
			if !report.Exact && all.Exact {
				all.Exact, all.Why = false, c.Name+": "+report.Why
			}
		}
		return all, nil
	}
}

// Set is one set of guarantees.
type Set struct {
	Guarantees simfs.Guarantees
	Disk       string   // as simfs.ParseGuarantees reads it, from the preset that it is closest to
	Needs      []string // in words: what it promises beyond the weakest disk
	Verdict    Verdict
	Lost       []Loss // of a minimal set: what goes wrong without each of its promises
}

// Loss is what goes wrong where one promise less is made.
type Loss struct {
	Without string // the promise in words
	Disk    string
	Verdict Verdict
}

// Report is what a search found.
type Report struct {
	Minimal  []Set    // the weakest disks on which the program holds
	Presets  []string // those on which it does
	Strong   Verdict  // of the strongest disk, if it does not even hold there
	Sets     int      // there are so many
	Verdicts int      // that were tried
	// Exact: every image was tried on every minimal set.
	Exact      bool
	Why        string
	Recoveries int
}

// search is a search on its way. Sets are numbered from the strongest on, each
// behind all stronger ones.
type search struct {
	Config
	sets     []simfs.Guarantees
	weaker   [][]int
	stronger [][]int
	below    []bits          // all weaker ones, itself included
	verdicts map[int]Verdict // that were tried
	known    []int8          // 1 holds, -1 breaks, 0 not known
	report   *Report
}

// Search finds all minimal sets.
func Search(ctx context.Context, c Config) (Report, error) {
	report := Report{}
	s := &search{Config: c, verdicts: map[int]Verdict{}, report: &report}
	s.order()
	report.Sets = len(s.sets)
	strong, err := s.try(ctx, 0)
	if err != nil {
		return report, err
	}
	if strong.Broken != nil {
		report.Strong = strong
		return report, nil
	}
	for again := true; again; {
		if err := s.border(ctx); err != nil {
			return report, err
		}
		if again, err = s.doubt(ctx); err != nil {
			return report, err
		}
	}
	for i, g := range s.sets {
		if !s.isMinimal(i) {
			continue
		}
		set, err := s.minimal(ctx, i, g)
		if err != nil {
			return report, err
		}
		report.Minimal = append(report.Minimal, set)
	}
	// What real disks may be comes first.
	slices.SortStableFunc(report.Minimal, func(a, b Set) int {
		if a.Guarantees.Sequential != b.Guarantees.Sequential {
			return map[bool]int{true: 1, false: -1}[a.Guarantees.Sequential]
		}
		return len(a.Needs) - len(b.Needs)
	})
	report.Exact = true
	for _, m := range report.Minimal {
		if !m.Verdict.Exact && report.Exact {
			report.Exact, report.Why = false, m.Disk+": "+m.Verdict.Why
		}
	}
	for _, preset := range simfs.Presets() {
		for i, g := range s.sets {
			if promises(g) == promises(preset) && s.known[i] > 0 {
				report.Presets = append(report.Presets, preset.Name)
			}
		}
	}
	report.Verdicts = len(s.verdicts)
	return report, nil
}

// border decides every set, from the weakest undecided one to the border: what
// holds loses promises while it does, what breaks gains some while it does.
func (s *search) border(ctx context.Context) error {
	for {
		at := -1
		for i := len(s.sets) - 1; i >= 0 && at < 0; i-- {
			if s.known[i] == 0 {
				at = i
			}
		}
		if at < 0 {
			return nil
		}
		v, err := s.verdict(ctx, at)
		if err != nil {
			return err
		}
		holds := v > 0
		next := s.stronger
		if holds {
			next = s.weaker
		}
	walk:
		for {
			for _, to := range next[at] {
				v, err := s.verdict(ctx, to)
				if err != nil {
					return err
				}
				if (v > 0) == holds {
					at = to
					continue walk
				}
			}
			break
		}
	}
}

// isMinimal reports whether a set holds and none below it does.
func (s *search) isMinimal(i int) bool {
	return s.known[i] > 0 && !slices.ContainsFunc(s.weaker[i], func(k int) bool { return s.known[k] > 0 })
}

// doubt tries what is right above each minimal set of which not every image was
// tried, and reports whether something broke there.
func (s *search) doubt(ctx context.Context) (broke bool, err error) {
	for i := range s.sets {
		if !s.isMinimal(i) || s.verdicts[i].Exact {
			continue
		}
		for _, k := range s.stronger[i] {
			v, err := s.try(ctx, k)
			if err != nil {
				return false, err
			}
			if v.Broken != nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// order lists the sets and what is above and below each.
func (s *search) order() {
	index := map[simfs.Guarantees]int{}
	var all []simfs.Guarantees
	for todo := []simfs.Guarantees{simfs.Strongest()}; len(todo) > 0; todo = todo[1:] {
		g := todo[0]
		if _, ok := index[promises(g)]; ok {
			continue
		}
		index[promises(g)] = len(all)
		all = append(all, g)
		todo = append(todo, s.steps(g)...)
	}
	// Behind all stronger ones: by the longest way from the strongest.
	depth := make([]int, len(all))
	for again := true; again; {
		again = false
		for i, g := range all {
			for _, h := range s.steps(g) {
				if k := index[promises(h)]; depth[k] <= depth[i] {
					depth[k], again = depth[i]+1, true
				}
			}
		}
	}
	by := make([]int, len(all))
	for i := range by {
		by[i] = i
	}
	slices.SortStableFunc(by, func(a, b int) int { return depth[a] - depth[b] })
	s.sets = make([]simfs.Guarantees, len(all))
	for place, i := range by {
		s.sets[place] = closest(all[i])
		index[promises(all[i])] = place
	}
	s.weaker, s.stronger = make([][]int, len(all)), make([][]int, len(all))
	s.below, s.known = make([]bits, len(all)), make([]int8, len(all))
	for i := len(s.sets) - 1; i >= 0; i-- {
		s.below[i] = newBits(len(all))
		s.below[i].set(i)
		for _, h := range s.steps(s.sets[i]) {
			k := index[promises(h)]
			s.weaker[i] = append(s.weaker[i], k)
			s.stronger[k] = append(s.stronger[k], i)
			s.below[i].join(s.below[k])
		}
	}
}

// steps is what promises one thing less.
func (s *search) steps(g simfs.Guarantees) []simfs.Guarantees {
	return slices.DeleteFunc(g.Weaker(), func(h simfs.Guarantees) bool { return h.SplitRename && !s.SplitRename })
}

// promises is what counts of guarantees: not their name.
func promises(g simfs.Guarantees) simfs.Guarantees {
	g.Name, g.SyncFailures = "", ""
	return g
}

// closest gives guarantees the name of the preset that differs least.
func closest(g simfs.Guarantees) simfs.Guarantees {
	best, least := g, -1
	for _, preset := range simfs.Presets() {
		h := g
		h.Name, h.SyncFailures = preset.Name, preset.SyncFailures
		rest := strings.TrimPrefix(h.String(), preset.Name)
		if n := strings.Count(rest, "+") + strings.Count(rest, "-"); least < 0 || n < least {
			best, least = h, n
		}
	}
	return best
}

// verdict is 1 where the program holds on a set, or -1.
func (s *search) verdict(ctx context.Context, i int) (int8, error) {
	if s.known[i] == 0 {
		if _, err := s.try(ctx, i); err != nil {
			return 0, err
		}
	}
	return s.known[i], nil
}

// try tries a set, and marks what follows for others. What broke a set breaks
// every weaker one, whatever was thought of it.
func (s *search) try(ctx context.Context, i int) (Verdict, error) {
	if v, ok := s.verdicts[i]; ok {
		return v, nil
	}
	v, err := s.Holds(ctx, s.sets[i])
	if err != nil {
		return v, err
	}
	s.verdicts[i] = v
	s.report.Recoveries += v.Recoveries
	for k := range s.sets {
		switch {
		case v.Broken != nil && s.below[i].has(k):
			s.known[k] = -1
		case v.Broken == nil && s.below[k].has(i) && s.known[k] == 0:
			s.known[k] = 1
		}
	}
	// What was taken for sound because a set below it was, but is not any more, is
	// open again.
	if v.Broken != nil {
		for k := range s.sets {
			if s.known[k] > 0 && !s.supported(k) {
				s.known[k] = 0
			}
		}
	}
	if s.Progress != nil {
		what := "holds"
		if v.Broken != nil {
			what = "breaks"
		}
		now := Progress{Sets: len(s.sets), Tried: len(s.verdicts), Recoveries: s.report.Recoveries, Last: s.sets[i].String() + " " + what}
		for _, verdict := range s.known {
			if verdict != 0 {
				now.Known++
			}
		}
		s.Progress(now)
	}
	return v, nil
}

// supported reports whether a set lies above one that was tried and still holds.
func (s *search) supported(k int) bool {
	for i, v := range s.verdicts {
		if v.Broken == nil && s.known[i] > 0 && s.below[k].has(i) {
			return true
		}
	}
	return false
}

// minimal tells of a minimal set, and tries what is right below it.
func (s *search) minimal(ctx context.Context, i int, g simfs.Guarantees) (Set, error) {
	set := Set{Guarantees: g, Disk: g.String(), Needs: s.words(g)}
	var err error
	if set.Verdict, err = s.try(ctx, i); err != nil {
		return set, err
	}
	for _, k := range s.weaker[i] {
		at := k
		v, err := s.try(ctx, k)
		if err != nil {
			return set, err
		}
		if v.Broken == nil { // its images were sampled: what broke a stronger one breaks it, too
			for f, broken := range s.verdicts {
				if broken.Broken != nil && s.below[f].has(k) && (v.Broken == nil || f < at) {
					v, at = broken, f
				}
			}
		}
		set.Lost = append(set.Lost, Loss{Without: difference(g, s.sets[k]), Disk: s.sets[k].String(), Verdict: v})
	}
	return set, nil
}

// bits is a set of numbers.
type bits []uint64

func newBits(n int) bits      { return make(bits, (n+63)/64) }
func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }
func (b bits) join(other bits) {
	for i := range b {
		b[i] |= other[i]
	}
}
