package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/ddmin"
	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs/explore"
)

const (
	// ShrinkRuns is how many runs Shrink spends on a plan unless told.
	ShrinkRuns = 2000
	// SweepRuns is how many a sweep spends on each failure that it shrinks.
	SweepRuns = 300
	// searchImages is how many images each exploration of a shorter plan tries: more
	// than most scenarios do for a seed, since there is one plan here and what it
	// still breaks must be found.
	searchImages = 512
)

// Size is how much there is in a plan.
type Size struct {
	Steps   int `json:"steps"`
	Faults  int `json:"faults"`
	Choices int `json:"choices"` // crash lines, and in them the variables that deviate
}

func (s Size) String() string {
	return counted(s.Steps, "step") + ", " + counted(s.Faults, "fault") + ", " + counted(s.Choices, "choice")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// SizeOf is the size of a plan.
func SizeOf(p *plan.Plan) Size {
	s := Size{Steps: len(p.Steps), Faults: len(p.Faults), Choices: len(p.Crashes)}
	for _, c := range pathOf(p) {
		s.Choices += len(c.Deviations)
	}
	return s
}

// Shrunk is a failure made small.
type Shrunk struct {
	Failure  Failure // its Plan is the small one, with crash lines and digests
	From, To Size
	Runs     int // executions and explorations that it took
	// Minimal: no single step, fault, crash, deviation, setting or item of a batch
	// can be left out, and no value tried made it simpler. False: the budget ended
	// before that was known.
	Minimal bool
}

// HoldsError says that a plan that was to be shrunk does not fail.
type HoldsError struct {
	Invariant string // that the plan names; "" if none
	Broken    string // what it breaks instead; "" for nothing
}

func (e *HoldsError) Error() string {
	switch {
	case e.Broken != "":
		return fmt.Sprintf("the plan does not break %s but %s: correct its invariant line, or delete it to shrink what breaks first", e.Invariant, e.Broken)
	case e.Invariant != "":
		return fmt.Sprintf("the plan does not fail, %s holds: there is nothing to shrink", e.Invariant)
	}
	return "the plan does not fail: there is nothing to shrink"
}

// Shrink looks for the smallest plan that fails as p does: with the invariant
// that p names, or what p breaks first; where that has no number, with the same
// text but for what holds a digit. It leaves out steps, then faults, crash
// choices and settings, then makes values simple, again and again until nothing
// can go. It never takes more crashes than p: a plan without steps, whose recovery
// crashes again and again, would be short but say little. The result depends on p, c.Images, c.Wrap and the number of runs alone,
// and its steps have the numbers that they had.
//
// runs bounds the executions and explorations; 0: ShrinkRuns. When they are used
// up, or ctx ends, the smallest plan so far is the result. The error is a
// *HoldsError, that p cannot be run, or that ctx ended before p had failed once.
func Shrink(ctx context.Context, p *plan.Plan, c scenarios.Config, runs int) (Shrunk, error) {
	c.Seen = nil
	s := shrinker{ctx: ctx, config: c, limit: runs, tried: map[string]bool{}}
	if runs == 0 {
		s.limit = ShrinkRuns
	}
	c.Watch.Expect(s.limit)
	if err := s.first(p); err != nil {
		return Shrunk{}, err
	}
	from := SizeOf(s.best)
	again := true
	for again && !s.over() {
		before := string(s.best.Format())
		s.steps()
		s.faults()
		s.crashes()
		s.settings()
		s.values()
		again = string(s.best.Format()) != before
	}
	out := Shrunk{From: from, To: SizeOf(s.best), Runs: s.runs, Minimal: !again && !s.cut}
	return out, s.end(p, &out)
}

// target is what has to fail.
type target struct{ invariant, class string }

func targetOf(v scenarios.Violation) target {
	t := target{invariant: v.Invariant}
	if t.invariant == "" {
		t.class = classOf(v.Err)
	}
	return t
}

// classOf is an error's text without the words that hold a digit.
func classOf(err error) string {
	words := strings.Fields(err.Error())
	for i, word := range words {
		if strings.IndexFunc(word, unicode.IsDigit) >= 0 {
			words[i] = "#"
		}
	}
	return strings.Join(words, " ")
}

// of returns the first violation that is the target's.
func (t target) of(list []scenarios.Violation) (scenarios.Violation, bool) {
	i := slices.IndexFunc(list, func(v scenarios.Violation) bool { return targetOf(v) == t })
	if i < 0 {
		return scenarios.Violation{}, false
	}
	return list[i], true
}

// shrinker holds the smallest plan so far.
type shrinker struct {
	ctx    context.Context
	config scenarios.Config
	target target
	best   *plan.Plan // without digests and comments of its own
	step   int        // that its crash came in
	runs   int
	limit  int
	cut    bool            // something was not tried, for want of runs or time
	tried  map[string]bool // texts of plans that do not fail so
}

func (s *shrinker) over() bool { return s.runs >= s.limit || s.ctx.Err() != nil }

// spent takes one run from the budget, and reports whether there was none left.
func (s *shrinker) spent() bool {
	if s.over() {
		s.cut = true
		return true
	}
	s.runs++
	s.config.Watch.Did()
	return false
}

// first runs the plan as it is, and makes it one with its crash lines.
func (s *shrinker) first(p *plan.Plan) error {
	p = p.Clone()
	p.Digests = nil
	r, err := runPlan(s.ctx, p, s.config)
	if err != nil {
		return err
	}
	s.runs++
	s.config.Watch.Did()
	if len(r.Violations) == 0 {
		return &HoldsError{Invariant: p.Invariant}
	}
	v := r.Violations[0]
	if i := slices.IndexFunc(r.Violations, func(v scenarios.Violation) bool { return v.Invariant == p.Invariant }); i >= 0 {
		v = r.Violations[i]
	} else if p.Invariant != "" {
		return &HoldsError{Invariant: p.Invariant, Broken: newFailure(v).promise()}
	}
	s.target = targetOf(v)
	s.best, s.step = v.Plan, v.Step
	return nil
}

// run runs a plan, and returns its first violation that is the target's. A plan
// that cannot be run does not fail.
func (s *shrinker) run(p *plan.Plan) (scenarios.Violation, bool) {
	c := s.config
	c.Violations = 64
	if len(p.Crashes) == 0 && c.Images == 0 {
		c.Images = searchImages
	}
	text := string(p.Format())
	if s.tried[text] || s.spent() {
		return scenarios.Violation{}, false
	}
	r, err := runPlan(s.ctx, p, c)
	if s.ctx.Err() != nil {
		s.cut = true
		return scenarios.Violation{}, false
	}
	if err == nil {
		if v, ok := s.target.of(r.Violations); ok {
			return v, true
		}
	}
	s.tried[text] = true
	return scenarios.Violation{}, false
}

// try adopts a plan if it fails at its crash lines, or, where these do not fit
// it any more, at any crash that it has.
func (s *shrinker) try(p *plan.Plan) bool {
	if s.tryHere(p) {
		return true
	}
	p = p.Clone()
	p.Crashes = nil
	return s.search(p, len(s.best.Crashes)+crashSteps(s.best))
}

// crashSteps counts the crashes that are steps.
func crashSteps(p *plan.Plan) (n int) {
	for _, step := range p.Steps {
		if step.Verb == "crash" {
			n++
		}
	}
	return n
}

// tryHere adopts a plan if it fails at its crash lines; where it has none, before
// any crash.
func (s *shrinker) tryHere(p *plan.Plan) bool {
	v, ok := s.run(p)
	if !ok || len(v.Plan.Crashes) != len(p.Crashes) {
		return false
	}
	s.best, s.step = v.Plan, v.Step
	return true
}

// search explores a plan without crash lines, and adopts the first violation if
// it takes at most so many crashes, the steps among them, and fails again when it
// is taken alone.
func (s *shrinker) search(p *plan.Plan, crashes int) bool {
	v, ok := s.run(p)
	if !ok || len(v.Plan.Crashes)+crashSteps(p) > crashes {
		return false
	}
	return s.tryHere(v.Plan)
}

// steps leaves out steps.
func (s *shrinker) steps() {
	cut := s.best.Clone()
	cut.Steps = slices.DeleteFunc(cut.Steps, func(step plan.Step) bool { return step.Number > s.step })
	if len(cut.Steps) < len(s.best.Steps) {
		s.try(cut)
	}
	ddmin.Fewest(s.best.Steps, func(fewer []plan.Step) bool {
		q := s.best.Clone()
		q.Steps = fewer
		return s.try(q)
	})
}

// faults leaves out faults.
func (s *shrinker) faults() {
	ddmin.Fewest(s.best.Faults, func(fewer []string) bool {
		q := s.best.Clone()
		q.Faults = fewer
		return s.try(q)
	})
	for i := range s.best.Faults {
		for _, milder := range milderFaults(s.best.Faults[i]) {
			q := s.best.Clone()
			q.Faults[i] = milder
			if s.try(q) {
				break
			}
		}
	}
}

// settings leaves out settings, and choices of the scheduler.
func (s *shrinker) settings() {
	ddmin.Fewest(s.best.Settings, func(fewer []plan.KV) bool {
		q := s.best.Clone()
		q.Settings = fewer
		return s.try(q)
	})
	ddmin.Fewest(s.best.Schedule, func(fewer []string) bool {
		q := s.best.Clone()
		q.Schedule = fewer
		return s.try(q)
	})
}

// pathOf is the crash path of a plan's crash lines, nil where they cannot be
// read.
func pathOf(p *plan.Plan) explore.CrashPath {
	var path explore.CrashPath
	for _, line := range p.Crashes {
		crash, err := explore.ParseCrashPath(line)
		if err != nil || len(crash) != 1 {
			return nil
		}
		path = append(path, crash[0])
	}
	return path
}

// withPath is a plan with other crash lines.
func withPath(p *plan.Plan, path explore.CrashPath) *plan.Plan {
	p = p.Clone()
	p.Crashes = nil
	for _, crash := range path {
		p.Crashes = append(p.Crashes, crash.String())
	}
	return p
}

// crashes leaves out crashes, and lets those that are left lose less.
func (s *shrinker) crashes() {
	if len(s.best.Crashes) == 0 {
		return
	}
	explored := s.best.Clone()
	explored.Crashes = nil
	s.search(explored, len(s.best.Crashes)+crashSteps(s.best)-1)
	ddmin.Fewest(pathOf(s.best), func(fewer []explore.Crash) bool {
		return len(fewer) > 0 && s.tryHere(withPath(s.best, fewer))
	})
	for i := range s.best.Crashes {
		s.crash(i)
	}
}

// crash makes one crash simple: a kill, which loses nothing; a power loss that
// loses some variables and keeps all else; one that keeps what came before an
// operation; or what it is, with fewer deviations.
func (s *shrinker) crash(i int) {
	take := func(crash explore.Crash) bool {
		path := pathOf(s.best)
		path[i] = crash
		return s.tryHere(withPath(s.best, path))
	}
	for again := true; again; {
		again = slices.ContainsFunc(simplerCrashes(pathOf(s.best)[i]), take)
	}
	if s.spent() {
		return
	}
	trail, err := scenarios.Follow(s.ctx, s.best, s.config)
	if err != nil {
		return
	}
	moment := trail.Moments[i]
	if len(moment.Choices) == 0 {
		return
	}
	now := pathOf(s.best)[i]
	best, cost := now, costOf(now, moment.At)
	consider := func(crash explore.Crash) {
		if c := costOf(crash, moment.At); c < cost {
			best, cost = crash, c
		}
	}
	// Each of these fails; which one is kept is decided in the end.
	fails := func(crash explore.Crash) bool {
		path := pathOf(s.best)
		path[i] = crash
		_, ok := s.run(withPath(s.best, path))
		if ok {
			consider(crash)
		}
		return ok
	}
	newest := now
	newest.Prefix, newest.Deviations = moment.At, deviations(lost(moment))
	if fails(newest) || now.Prefix == moment.At {
		fewest(newest, fails)
	}
	if cost > 3 {
		for _, op := range prefixes(moment) {
			plain := now
			plain.Prefix, plain.Deviations = op, nil
			if fails(plain) {
				break
			}
		}
	}
	if cost > 3 {
		fewest(now, fails)
	}
	if cost < costOf(now, moment.At) {
		take(best)
	}
}

// fewest leaves out deviations.
func fewest(c explore.Crash, fails func(explore.Crash) bool) {
	ddmin.Fewest(c.Deviations, func(fewer []explore.Deviation) bool {
		c.Deviations = fewer
		return fails(c)
	})
}

// costOf orders the choices of a crash at an operation: what follows the newest
// versions, then a plain prefix, then the others; each by its deviations.
func costOf(c explore.Crash, at int) int {
	cost := 2 * len(c.Deviations)
	if c.Prefix != at {
		cost += 3
	}
	return cost
}

// lost are the variables of which a crash did not keep the newest version.
func lost(m explore.Moment) []explore.Choice {
	return slices.DeleteFunc(slices.Clone(m.Choices), func(c explore.Choice) bool { return !loss.Lost(c) })
}

func deviations(choices []explore.Choice) (list []explore.Deviation) {
	for _, c := range choices {
		list = append(list, c.Deviation())
	}
	return list
}

// prefixes are the operations that a crash could have kept everything before,
// the latest first.
func prefixes(m explore.Moment) []int {
	var ops []int
	for _, c := range m.Choices {
		for _, o := range c.Var.Options {
			for _, op := range append([]int{o.Op}, o.Again...) {
				switch {
				case o.Garbage || op == -1:
				case op >= 0:
					ops = append(ops, op, op+1)
				default:
					ops = append(ops, explore.None, op, op+1)
				}
			}
		}
	}
	slices.Sort(ops)
	ops = slices.Compact(ops)
	slices.Reverse(ops)
	return ops
}

// end runs the best plan once more, so that its digests stand in it, and
// explains it.
func (s *shrinker) end(p *plan.Plan, out *Shrunk) error {
	ctx := context.WithoutCancel(s.ctx) // a moment's work, without which the rest was for nothing
	c := s.config
	c.Violations = 64
	final := s.best.Clone()
	final.Comments = comments(p, final, out)
	r, err := scenarios.Run(ctx, final, c)
	if err != nil {
		return err
	}
	v, ok := s.target.of(r.Violations)
	if !ok {
		return errors.New("the plan fails only sometimes: two runs of it differ; untorn-sim replay says where")
	}
	out.Failure = newFailure(v)
	out.Failure.Plan = final
	out.Failure.Plan.Digests = slices.Clone(r.Digests)
	out.Failure.come(final)
	limit := whyRuns
	if s.ctx.Err() != nil {
		limit = 0
	}
	out.Failure.explain(ctx, c, limit)
	return nil
}
