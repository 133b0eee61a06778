package replay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/ddmin"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// values makes the values of a plan simple.
func (s *shrinker) values() {
	for i := range s.best.Steps {
		switch s.best.Steps[i].Verb {
		case "batch":
			s.batch(i)
		case "crash":
			s.crashStep(i)
		default:
			s.args(i)
		}
	}
	smaller := smallerNumbers(s.best.Seed)
	for _, seed := range smaller[:min(2, len(smaller))] {
		q := s.best.Clone()
		q.Seed = seed
		if s.try(q) {
			break
		}
	}
	for _, disk := range simplerDisks(s.best) {
		q := s.best.Clone()
		q.Disk = disk
		if s.try(q) {
			break
		}
	}
}

// tryStep adopts the plan with another step i, if it fails.
func (s *shrinker) tryStep(i int, step plan.Step) bool {
	q := s.best.Clone()
	q.Steps[i] = step
	return s.try(q)
}

// batch makes a batch simple: what it says about itself, its items, and what
// these say.
func (s *shrinker) batch(i int) {
	flags, _ := splitBatch(s.best.Steps[i])
	ddmin.Fewest(flags, func(fewer []plan.KV) bool {
		_, items := splitBatch(s.best.Steps[i])
		return s.tryStep(i, joinBatch(s.best.Steps[i], fewer, items))
	})
	flags, items := splitBatch(s.best.Steps[i])
	numbers := make([]int, len(items))
	for n := range numbers {
		numbers[n] = n
	}
	ddmin.Fewest(numbers, func(kept []int) bool {
		return s.tryStep(i, joinBatch(s.best.Steps[i], flags, keep(items, kept)))
	})
	_, items = splitBatch(s.best.Steps[i])
	for n := range items {
		set := func(words []string) bool {
			_, items := splitBatch(s.best.Steps[i])
			items[n] = words
			return s.tryStep(i, joinBatch(s.best.Steps[i], flags, items))
		}
		get := func() []string {
			_, items := splitBatch(s.best.Steps[i])
			return items[n]
		}
		if len(get()) < 2 {
			continue // no item: the plan is refused
		}
		ddmin.Fewest(get()[2:], func(fewer []string) bool {
			return set(slices.Concat(get()[:2], fewer))
		})
		for w := range get() {
			word := get()[w]
			for _, simpler := range simplerWords(w, word) {
				words := slices.Clone(get())
				words[w] = simpler
				if set(words) {
					break
				}
			}
		}
	}
}

// splitBatch takes a batch apart: its flags, and the words of its items.
func splitBatch(step plan.Step) (flags []plan.KV, items [][]string) {
	for n := 0; ; n++ {
		text, ok := step.Lookup(strconv.Itoa(n))
		if !ok {
			break
		}
		items = append(items, strings.Fields(text))
	}
	for _, arg := range step.Args {
		if n, err := strconv.Atoi(arg.Key); err != nil || n >= len(items) {
			flags = append(flags, arg)
		}
	}
	return flags, items
}

func joinBatch(step plan.Step, flags []plan.KV, items [][]string) plan.Step {
	step.Args = slices.Clone(flags)
	for n, words := range items {
		step.Args = append(step.Args, plan.KV{Key: strconv.Itoa(n), Value: strings.Join(words, " ")})
	}
	return step
}

// keep returns some items, whose causes are the items that they were.
func keep(items [][]string, kept []int) (left [][]string) {
	for _, n := range kept {
		var words []string
		for _, word := range items[n] {
			if cause, ok := strings.CutPrefix(word, "cause="); ok {
				was, err := strconv.Atoi(cause)
				is := slices.Index(kept, was)
				if err != nil || is < 0 {
					continue
				}
				word = "cause=" + strconv.Itoa(is)
			}
			words = append(words, word)
		}
		left = append(left, words)
	}
	return left
}

// simplerWords are what to try for word w of an item, the simplest first.
func simplerWords(w int, word string) []string {
	var list []string
	switch w {
	case 0:
		list = []string{"s"}
	case 1:
		list = []string{"t"}
	default:
		key, value, _ := strings.Cut(word, "=")
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return nil
		}
		for _, smaller := range smallerNumbers(n) {
			list = append(list, key+"="+strconv.FormatUint(smaller, 10))
		}
	}
	if slices.Contains(list, word) {
		return nil
	}
	return list
}

// smallerNumbers are 0, 1, and what lies between that and n, the smallest first.
func smallerNumbers(n uint64) (list []uint64) {
	for k := n; k > 1; {
		if k /= 2; k > 1 {
			list = append(list, k)
		}
	}
	if n > 1 {
		list = append(list, 1)
	}
	if n > 0 {
		list = append(list, 0)
	}
	slices.Reverse(list)
	return list
}

// crashStep makes a crash that is a step simple.
func (s *shrinker) crashStep(i int) {
	step := s.best.Steps[i]
	with := func(args ...plan.KV) bool {
		step.Args = args
		return s.tryStep(i, step)
	}
	kind := plan.KV{Key: "kind", Value: "kill"}
	if len(step.Args) == 1 && step.Args[0] == kind || len(step.Args) == 0 {
		return
	}
	if with(kind) || with() {
		return
	}
	choices := step.Get("choices")
	for _, simple := range []string{"oldest", "0", "1"} {
		if choices == simple || with(plan.KV{Key: "choices", Value: simple}) {
			return
		}
	}
	with(plan.KV{Key: "choices", Value: choices})
}

// args makes the arguments of a step simple: it leaves them out, or makes their
// numbers and durations small.
func (s *shrinker) args(i int) {
	if s.best.Steps[i].Verb == "retry" {
		return // its one argument is what it is about
	}
	ddmin.Fewest(s.best.Steps[i].Args, func(fewer []plan.KV) bool {
		step := s.best.Steps[i]
		step.Args = fewer
		return s.tryStep(i, step)
	})
	for _, arg := range s.best.Steps[i].Args {
		for _, simpler := range simplerValues(arg.Value) {
			if s.tryStep(i, s.best.Steps[i].With(arg.Key, simpler)) {
				break
			}
		}
	}
}

// simplerValues are what to try for a number or a duration.
func simplerValues(value string) (list []string) {
	text, sign := value, ""
	if rest, ok := strings.CutPrefix(value, "-"); ok {
		text, sign = rest, "-"
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		for _, smaller := range smallerNumbers(n) {
			list = append(list, sign+strconv.FormatUint(smaller, 10))
		}
	} else if d, err := time.ParseDuration(text); err == nil {
		for _, smaller := range smallerNumbers(uint64(d.Abs() / time.Millisecond)) {
			list = append(list, sign+(time.Duration(smaller)*time.Millisecond).String())
		}
	}
	for i := range list {
		if list[i] == "-0" || list[i] == "-0s" {
			list[i] = list[i][1:]
		}
	}
	return list
}

// simplerDisks are the kinder disks, the kindest first: what fails there fails
// with less to blame the disk for. Where power is lost the disk stays, since what
// a kinder one loses has no name but "the journal".
func simplerDisks(p *plan.Plan) (list []string) {
	if slices.ContainsFunc(pathOf(p), func(c explore.Crash) bool { return c.Kind == simfs.PowerLoss }) {
		return nil
	}
	for _, g := range slices.Backward(simfs.Presets()) {
		if g.Name == orPosix(p.Disk) {
			break
		}
		list = append(list, g.Name)
	}
	return list
}

// milderFaults are what to try for a fault, the mildest first: once instead of
// again and again, and the smallest numbers.
func milderFaults(text string) (list []string) {
	f, err := faults.Parse(text)
	if err != nil {
		return nil
	}
	add := func(g faults.Fault) {
		if g != f && g.Validate() == nil {
			list = append(list, g.String())
		}
	}
	once := f
	once.Lasting = faults.Once
	first := once
	if first.Ordinal == 0 {
		first.Ordinal = 1
	}
	for _, g := range []faults.Fault{first, once} {
		if f.N > 0 {
			for _, n := range smallerNumbers(uint64(f.N)) {
				small := g
				small.N = int64(n)
				add(small)
			}
		}
		add(g)
	}
	return list
}

// simplerCrashes are simpler moments and kinds of a crash, with the choices that
// go with them.
func simplerCrashes(c explore.Crash) (list []explore.Crash) {
	if c.Lazy { // what nobody asks about follows the prefix like all else
		eager := c
		eager.Lazy = false
		list = append(list, eager)
	}
	if c.Kind == simfs.PowerLoss {
		kill := explore.Crash{Kind: simfs.ProcessKill, Op: c.Op, Notes: c.Notes}
		list = append(list, kill)
	}
	if c.Cells > 0 {
		whole := c
		whole.Cells = 0
		list = append(list, whole)
	}
	return list
}

// comments are those of a plan that was shrunk to another one.
func comments(from, to *plan.Plan, out *Shrunk) []string {
	if out.From == out.To && slices.ContainsFunc(from.Comments, isShrunk) {
		return from.Comments // it was small, and it says of what
	}
	list := slices.DeleteFunc(slices.Clone(from.Comments), isShrunk)
	list = append(list, fmt.Sprintf("%s%v to %v", shrunkFrom, out.From, out.To))
	if o, ok := originOf(from); ok && (slices.ContainsFunc(from.Comments, isWhole) || isDrawn(from)) {
		list = append(list, o.comment())
	}
	return list
}

// isDrawn reports whether a plan is what its seed draws, and nobody has edited it.
func isDrawn(p *plan.Plan) bool {
	drawn, err := scenarios.Draw(p.Scenario, p.Disk, p.Seed)
	if err != nil {
		return false
	}
	drawn.Comments, drawn.Crashes, drawn.Invariant, drawn.Digests = p.Comments, p.Crashes, p.Invariant, p.Digests
	return string(drawn.Format()) == string(p.Format())
}

const (
	shrunkFrom = "shrunk from "
	wholePlan  = "the whole plan: untorn-sim replay "
)

func isShrunk(comment string) bool {
	return strings.HasPrefix(comment, shrunkFrom) || isWhole(comment)
}

func isWhole(comment string) bool { return strings.HasPrefix(comment, wholePlan) }

// origin is the seed that a plan came from, before it was shrunk.
type origin struct {
	seed           uint64
	scenario, disk string
}

func (o origin) comment() string {
	return fmt.Sprintf("%s%d --scenario %s --disk %s", wholePlan, o.seed, o.scenario, o.disk)
}

// originOf is where a plan says that it came from; ok is false where it came
// from no seed.
func originOf(p *plan.Plan) (o origin, ok bool) {
	for _, comment := range p.Comments {
		if rest, found := strings.CutPrefix(comment, wholePlan); found {
			if n, err := fmt.Sscanf(rest, "%d --scenario %s --disk %s", &o.seed, &o.scenario, &o.disk); n == 3 && err == nil {
				return o, true
			}
		}
	}
	return origin{p.Seed, p.Scenario, orPosix(p.Disk)}, p.Seed != 0
}
