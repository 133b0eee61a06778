package explore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/untorn-db/untorn/simfs"
)

// The lazy search finds all that can become of a state by replay. A run of
// Recover answers its first questions as a path says, and every later one with
// option 0; each other option of those is the last step of a new path:
//
//	state ──▶ 0 0 0 ●            the first run asks three times
//	          │ │ └─ 1 ●         and leaves three paths to take
//	          │ └─── 1 0 ●
//	          └───── 1 ●         this one asks once
//
// Every run is a leaf of the tree of answers, and stands for all images that
// differ only in what it never asked about. The tree is complete when below
// each question all its options were taken.

// A tree is the search of one state.
type tree struct {
	s     *state
	limit int // the most leaves it may have

	mu     sync.Mutex
	known  int          // leaves: those that were run, and paths that wait; guarded by mu, as all below
	leaves []*candidate // in any order
	over   bool         // there are more than limit: all of it is for nothing
	wild   bool         // a run did not do what it had done before
	greedy []Greedy     // of the leaves
}

// A path is the answers that a run begins with.
type path struct {
	tree    *tree
	answers []answer
	sum     uint64 // of the questions that belong to the answers; 0: not known
}

// askerFunction begins the names of functions that stand between a read and the
// program that made it.
const askerFunction = "github.com/untorn-db/untorn/simfs/explore.(*"

// An asker answers the questions of one run as a path says, and then with
// option 0.
type asker struct {
	path    path
	answers []answer
	asked   atomic.Int32 // how many answers there are, for the run's other goroutines
	sums    []uint64     // sums[i] is the sum of the questions 0 … i
	newest  bool         // behind the path, take the last option
	differs error        // the run does not ask what it asked before
	greedy  decider
	witness func(simfs.Var, int) // told of every answer; may be nil
	arrived *arrivals
}

func (a *asker) Choose(v simfs.Var) int {
	i := len(a.answers)
	sum := question(v)
	if i > 0 {
		sum = mix(a.sums[i-1] ^ sum)
	}
	option := answer{0, int32(len(v.Options))}
	if a.newest {
		option.chosen = option.of - 1
	}
	if i < len(a.path.answers) {
		option = a.path.answers[i]
		if int(option.of) != len(v.Options) || i == len(a.path.answers)-1 && a.path.sum != 0 && sum != a.path.sum {
			a.fail(v)
			option = answer{0, int32(len(v.Options))}
		}
	}
	a.answers = append(a.answers, option)
	a.sums = append(a.sums, sum)
	a.asked.Store(int32(len(a.answers)))
	a.greedy.note(v)
	if a.witness != nil {
		a.witness(v, int(option.chosen))
	}
	a.arrived.choose(&v, int(option.chosen))
	return int(option.chosen)
}

// question is a hash of what is asked.
func question(v simfs.Var) uint64 {
	h := mix(uint64(v.ID.Kind)<<48 ^ uint64(uint32(v.ID.Inode))<<20 ^ uint64(uint32(v.ID.Cell)) ^ uint64(len(v.Options))<<56)
	for _, b := range []byte(v.ID.Name) {
		h = mix(h ^ uint64(b))
	}
	return h
}

// fail keeps the first way in which the run is another one than before.
func (a *asker) fail(v simfs.Var) {
	if a.differs == nil {
		a.differs = &NondeterministicError{fmt.Sprintf("question %d was about something else before, now it is about %v", len(a.answers)+1, v)}
	}
}

// behind reports whether the run has left the path: from then on it is no run
// that came before.
func (a *asker) behind() bool { return int(a.asked.Load()) >= len(a.path.answers) }

// A NondeterministicError is a Recover that did not do the same on the same
// disk with the same history.
type NondeterministicError struct{ Problem string }

func (e *NondeterministicError) Error() string {
	return "the recovery is not deterministic: take time and randomness from Run.Entropy, and nothing from outside; " + e.Problem
}

// grow searches states to the end, each with at most limit leaves. It returns
// the leaves in order, and the states that have more.
func (x *explorer) grow(ctx context.Context, states []*state, limit int) (leaves []*candidate, larger []*state) {
	q := queue{x: x, ctx: ctx}
	q.wake.L = &q.mu
	trees := make([]*tree, len(states))
	for i, s := range states {
		s.history = slices.Clip(s.past())
		trees[i] = &tree{s: s, limit: limit, known: 1}
	}
	for _, t := range slices.Backward(trees) {
		q.waiting = append(q.waiting, path{tree: t})
	}
	x.pool.drain(q.next)
	if ctx.Err() != nil {
		return nil, nil
	}
	for _, t := range trees {
		if t.over {
			x.greedy.add(x.worst(t.s))
			larger = append(larger, t.s)
			continue
		}
		for _, g := range t.greedy {
			x.greedy.add(g)
		}
		slices.SortFunc(t.leaves, func(a, b *candidate) int { return slices.CompareFunc(a.answers, b.answers, compareAnswers) })
		t.check()
		leaves = append(leaves, t.leaves...)
	}
	return leaves, larger
}

// reap takes the leaves of complete trees in order, and returns the states that
// they lead to.
func (x *explorer) reap(leaves []*candidate) []*state {
	var last *state
	for _, c := range leaves {
		if c.from != last {
			last = c.from
			x.stand.add(last.image)
		}
		count := x.count(c.from)
		count.Images++
		count.Unique++
		x.report.Images++
		x.report.ImagesUnique++
		x.report.ImagesNew++
		x.report.Leaves++
	}
	return x.merge(leaves)
}

// worst is what to name where a state has too many leaves: the place that asks
// most when everything had arrived on the disk, which is when most is read.
func (x *explorer) worst(s *state) Greedy {
	a := &asker{newest: true, greedy: decider{skip: x.skip, all: make(map[Greedy]int)}}
	x.pool.each(1, func(int) { x.recoverLazily(&candidate{from: s, lazy: true}, a) })
	return a.greedy.worst()
}

func compareAnswers(a, b answer) int { return cmp.Compare(a.chosen, b.chosen) }

// check makes sure that no image was left out or seen twice: the shares of the
// leaves, one divided by the number of options at each question, sum up to one.
// It says so without fractions.
func (t *tree) check() {
	if t.wild {
		return // a run that did not ask what it should have has no place
	}
	if rest, ok := whole(t.leaves, 0); !ok || len(rest) > 0 {
		panic("internal error: explore: the leaves of a crash point are not all there is: " + t.s.crash.String())
	}
}

// whole takes the subtree at a depth from the front of sorted leaves, and
// reports whether each question in it has all its options.
func whole(leaves []*candidate, depth int) (rest []*candidate, ok bool) {
	if len(leaves) == 0 {
		return nil, false
	}
	first := leaves[0].answers
	if len(first) == depth {
		return leaves[1:], true
	}
	for option := range first[depth].of {
		if len(leaves) == 0 || len(leaves[0].answers) <= depth || leaves[0].answers[depth] != (answer{option, first[depth].of}) {
			return nil, false
		}
		if leaves, ok = whole(leaves, depth+1); !ok {
			return nil, false
		}
	}
	return leaves, true
}

// A queue hands out the paths that wait, the last first, so that few do.
type queue struct {
	x       *explorer
	ctx     context.Context
	mu      sync.Mutex
	wake    sync.Cond
	waiting []path // guarded by mu, as all below
	running int
}

func (q *queue) next() (func(), bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && q.running > 0 {
		q.wake.Wait()
	}
	if len(q.waiting) == 0 || q.ctx.Err() != nil {
		q.wake.Broadcast()
		return nil, false
	}
	p := q.waiting[len(q.waiting)-1]
	q.waiting = q.waiting[:len(q.waiting)-1]
	q.running++
	return func() { q.take(p) }, true
}

// take runs Recover down one path.
func (q *queue) take(p path) {
	c := &candidate{from: p.tree.s, lazy: true}
	a := &asker{path: p, greedy: decider{skip: q.x.skip}, arrived: q.x.config.arrivals()}
	defer func() {
		more := p.tree.add(c, a)
		q.mu.Lock()
		q.waiting = append(q.waiting, more...)
		q.running--
		q.mu.Unlock()
		q.wake.Broadcast()
	}()
	if !p.tree.given() {
		q.x.recoverLazily(c, a)
	}
}

// given reports whether the tree was given up.
func (t *tree) given() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// add puts the leaf that a path led to into the tree, and returns the paths
// that branch off behind the end of that one.
func (t *tree) add(c *candidate, a *asker) (more []path) {
	if a.differs == nil && len(a.answers) < len(a.path.answers) {
		a.differs = &NondeterministicError{fmt.Sprintf("it asked about %d variables before, now about %d", len(a.path.answers), len(a.answers))}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return nil
	}
	t.greedy = append(t.greedy, a.greedy.found...)
	c.answers = a.answers
	t.leaves = append(t.leaves, c)
	if a.differs != nil {
		c.err, c.states, t.wild = a.differs, nil, true
		return nil
	}
	for i := len(a.path.answers); i < len(a.answers); i++ {
		t.known += int(a.answers[i].of) - 1
	}
	if t.known > t.limit {
		t.over, t.leaves = true, nil
		return nil
	}
	for i := len(a.path.answers); i < len(a.answers); i++ {
		for k := int32(1); k < a.answers[i].of; k++ {
			answers := append(slices.Clip(a.answers[:i:i]), answer{k, a.answers[i].of})
			more = append(more, path{tree: t, answers: answers, sum: a.sums[i]})
		}
	}
	return more
}

// recoverLazily runs Recover on what c.from left, and lets a decide.
func (x *explorer) recoverLazily(c *candidate, a *asker) {
	r, run := x.config.recovery(&x.room, c.from, c.from.image, c, a, true)
	r.power, r.kill = x.config.crashes(c.from)
	r.hold = func() bool { return !a.behind() }
	defer func() {
		c.key = c.from.key
		for _, w := range a.answers {
			c.key = c.key.then(uint64(uint32(w.chosen)))
		}
		c.told = r.told
		c.left, c.outcome = c.from.left(a.arrived), run.Outcome
		if c.err == nil {
			c.states = r.states
		}
	}()
	r.run(x.program.Recover, run, &c.err)
	x.room.Reclaim(r.disk)
}

// lazyCrash is the crash that c recovered from, with what its run asked about.
func (x *explorer) lazyCrash(c *candidate) Crash {
	var choices []Choice
	a := &asker{path: path{answers: c.answers}}
	a.witness = func(v simfs.Var, option int) { choices = append(choices, chosen(v, option)) }
	s := *c.from
	s.history = slices.Clip(s.past())
	r, run := x.config.recovery(nil, &s, s.image, c, a, true)
	var err error
	x.pool.each(1, func(int) { r.run(x.program.Recover, run, &err) })
	vars := make([]simfs.Var, len(choices))
	for i := range choices {
		vars[i] = choices[i].Var
	}
	crash := c.from.crash.described(choices, vars)
	crash.Lazy = true
	return crash
}
