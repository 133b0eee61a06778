package explore

import (
	"math/bits"
	"slices"

	"github.com/untorn-db/untorn/simfs"
)

// eager decides every variable of an image before the recovery looks at it.
// What it emits has no choices left. Its methods are called from several
// goroutines, each state from one at a time until it is enumerated.
type eager struct{ config Config }

// A pick says how to choose one image of a state, so that it can be chosen
// again.
type pick struct {
	how    how
	prefix int     // follow: the newest version made before this operation
	swaps  [2]swap // follow: except for these variables …
	n      int8    // … so many of them
	script []int32 // recite: the answer to each question
	seed   uint64  // roll
}

type how uint8

const (
	settled how = iota // no questions are asked
	follow             // a prefix, except for some swaps
	recite             // given answers
	roll               // random answers
)

// A swap gives one variable another version than its prefix does.
type swap struct {
	v      int32 // index of the variable
	option int32 // index of the version, among all of the variable's
}

// A chooser answers the questions of one resolution as a pick says.
type chooser struct {
	pick   *pick
	vars   []simfs.Var // all variables of the image
	at     int         // index of the variable asked about
	asked  int         // questions answered
	bias   uint64      // roll: what the answers tend to
	random stream      // roll
	fewer  bool        // some variable had fewer versions left than it began with

	answers []answer // what was answered, unless nil
	arrived *arrivals
}

// An answer is the version chosen, and how many there were to choose from.
type answer struct{ chosen, of int32 }

func (c *chooser) Choose(v simfs.Var) int {
	c.find(v.ID)
	n := len(v.Options)
	if n < len(c.vars[c.at].Options) {
		c.fewer = true
	}
	i := 0
	switch c.pick.how {
	case follow:
		i = c.follow(v)
	case recite:
		if c.asked < len(c.pick.script) {
			i = int(c.pick.script[c.asked])
		}
	case roll:
		i = c.roll(v)
	}
	if c.answers != nil {
		c.answers = append(c.answers, answer{int32(i), int32(n)})
	}
	c.arrived.choose(&v, i)
	c.asked++
	return i
}

// find sets at to the variable of that name. Nearly always it is the next: what
// was decided along with an earlier one is left out, and the files that a name
// may stand for come in the order of the names that were chosen.
func (c *chooser) find(id simfs.VarID) {
	for range c.vars {
		if c.at++; c.at == len(c.vars) {
			c.at = 0
		}
		if c.vars[c.at].ID == id {
			return
		}
	}
	panic("internal error: explore: asked about a variable that the image does not have")
}

func (c *chooser) follow(v simfs.Var) int {
	for _, s := range c.pick.swaps[:c.pick.n] {
		if int(s.v) != c.at {
			continue
		}
		all := c.vars[c.at].Options
		if len(all) == len(v.Options) {
			return int(s.option)
		}
		want := &all[s.option]
		for i := range v.Options {
			if o := &v.Options[i]; o.Op == want.Op && o.Label == want.Label && o.Size == want.Size {
				return i
			}
		}
		return simfs.Newest(v.Options, behind(want.Op))
	}
	return simfs.Newest(v.Options, c.pick.prefix)
}

func (c *chooser) roll(v simfs.Var) int {
	n := len(v.Options)
	switch c.bias {
	case 1: // mostly the newest
		if c.random.below(8) > 0 {
			return n - 1
		}
	case 2: // mostly the oldest
		if c.random.below(8) > 0 {
			return 0
		}
	case 3: // mostly a prefix
		if c.random.below(8) > 0 {
			return simfs.Newest(v.Options, c.pick.prefix)
		}
	}
	return c.random.below(n)
}

func newChooser(p *pick, vars []simfs.Var) chooser {
	c := chooser{pick: p, vars: vars, at: -1}
	if p.how == roll {
		c.random = stream(p.seed)
		c.bias = c.random.next() % 4
	}
	return c
}

// resolve returns the image of s that p picks, and its kind if that is asked for.
func (e eager) resolve(s *state, p *pick) (*simfs.Image, Left) {
	c := newChooser(p, s.vars)
	c.arrived = e.config.arrivals()
	image := s.image.Resolve(&c)
	return image, s.left(c.arrived)
}

// arrivals is nil where nobody asks for kinds of images.
func (c *Config) arrivals() *arrivals {
	if c.OnRecovered == nil {
		return nil
	}
	return new(arrivals)
}

// answer returns the image of s that p picks, fills in what was answered, and
// reports whether all there was to choose from was free to choose.
func (p *pick) answer(s *state, answers *[]answer, arrived *arrivals) (image *simfs.Image, free bool) {
	c := newChooser(p, s.vars)
	c.arrived = arrived
	c.answers = (*answers)[:0]
	image = s.image.Resolve(&c)
	*answers = c.answers
	return image, !c.fewer && c.asked == len(s.vars)
}

// enumerate emits at most limit images of s, in an order that only s and the
// configuration decide. An image may be nil, and is resolved later.
func (e eager) enumerate(s *state, limit int, emit func(pick, *simfs.Image, Left)) coverage {
	s.vars = s.image.Vars()
	if len(s.vars) == 0 {
		emit(pick{}, s.image, s.left(nil))
		return coverage{exact: true}
	}
	size, log2 := combinations(s.vars)
	most := min(e.config.Exhaustive, limit)
	if size <= most || most > 0 && few(s, most) {
		if found, all := e.every(s, most); all {
			for _, c := range found {
				emit(c.pick, c.image, c.left)
			}
			return coverage{exact: true}
		}
	}
	b := bounded{config: e.config, vars: s.vars, limit: limit, emit: func(p pick) { emit(p, nil, 0) }}
	b.enumerate(stream(s.key.then(e.config.Seed).hi))
	return coverage{cut: b.cut, bits: log2}
}

// few reports whether s may have no more than most images although its
// variables have more combinations, because something ties them together. It
// guesses: a random way to answer all questions has as many siblings as there
// were answers to choose from (Knuth 1975), and four ways are looked at.
func few(s *state, most int) bool {
	random := stream(s.key.lo)
	answers := make([]answer, 0, len(s.vars))
	for range 4 {
		p := pick{how: roll, seed: random.next()}
		if _, free := p.answer(s, &answers, nil); free {
			return false
		}
		size := 1
		for _, a := range answers {
			size = min(size, 1<<30/int(a.of)) * int(a.of)
		}
		if size <= most {
			return true
		}
	}
	return false
}

// combinations is how many images the variables have if nothing ties them
// together, or 2³⁰ if there are more; log2 is rounded up.
func combinations(vars []simfs.Var) (n, log2 int) {
	// A fixed-point logarithm: 16 bits after the point, and rounded up.
	n, sum := 1, int64(0)
	for _, v := range vars {
		k := len(v.Options)
		n = min(n, 1<<30/k) * k
		sum += logarithm(k)
	}
	return n, int((sum + 1<<16 - 1) >> 16)
}

// logarithm is log2(k) for k ≥ 1, times 2¹⁶, rounded up.
func logarithm(k int) int64 {
	whole := bits.Len(uint(k)) - 1
	// x is k/2^whole as a fixed-point number with 31 bits after the point.
	x, log := uint64(k)<<31>>whole, int64(whole)<<16
	for bit := int64(1 << 15); bit > 0; bit >>= 1 {
		if x = x * x >> 31; x >= 1<<32 {
			x >>= 1
			log += bit
		}
	}
	if k != 1<<whole {
		log++
	}
	return log
}

// every finds all images of s, unless there are more than most: like the
// hands of a clock, with as many positions as there are versions left.
func (e eager) every(s *state, most int) (found []candidate, all bool) {
	answers := make([]answer, 0, len(s.vars))
	var script []int32
	for len(found) < most {
		p := pick{how: recite, script: script}
		arrived := e.config.arrivals()
		image, _ := p.answer(s, &answers, arrived)
		found = append(found, candidate{pick: p, image: image, left: s.left(arrived)})
		i := len(answers) - 1
		for i >= 0 && answers[i].chosen+1 == answers[i].of {
			i--
		}
		if i < 0 {
			return found, true
		}
		script = make([]int32, i+1)
		for k := range script {
			script[k] = answers[k].chosen
		}
		script[i]++
	}
	return nil, false
}

// bounded enumerates some of the images of a state that has too many.
type bounded struct {
	config Config
	vars   []simfs.Var
	limit  int
	emit   func(pick)

	prefixes []int           // each a different one, shortest first
	tried    map[uint64]bool // hashes of the versions of all variables
	sums     map[int]uint64  // these hashes, of the prefixes
	done     int
	cut      bool
}

func (b *bounded) enumerate(random stream) {
	b.prefixes = prefixes(b.vars)
	b.tried = make(map[uint64]bool)
	b.sums = make(map[int]uint64, len(b.prefixes))

	// Swaps of one variable, and pairs of them, at one prefix.
	swaps, squares := 0, 0
	for _, v := range b.vars {
		k := len(v.Options) - 1
		swaps = min(swaps+k, 1<<15)
		squares = min(squares+k*k, 1<<30)
	}
	each := 1
	if b.config.MaxDeviation >= 1 {
		each += swaps
	}
	if b.config.MaxDeviation >= 2 {
		each += (swaps*swaps - squares) / 2
	}
	wanted := int64(len(b.prefixes))*int64(each) + int64(b.config.Samples)
	b.cut = wanted > int64(b.limit)

	if b.cut && len(b.prefixes) > b.limit/2 {
		b.some(&random, true)
		return
	}
	for _, n := range b.prefixes {
		b.try(pick{how: follow, prefix: n})
	}
	if b.cut {
		b.some(&random, false)
		return
	}
	for range b.config.Samples {
		b.sample(&random)
	}
	b.allSwaps()
}

// behind is the shortest prefix that has what an operation made, -1 being what
// was durable before all of them.
func behind(op int) int {
	if op == -1 {
		return None + 1
	}
	return op + 1
}

// prefixes returns an operation for each prefix that differs from the others,
// the shortest first.
func prefixes(vars []simfs.Var) []int {
	ops := []int{0}
	add := func(op int) {
		switch {
		case op < -1: // of an earlier run, so that 0 is not the shortest
			ops = append(ops, None, behind(op))
		case op >= 0:
			ops = append(ops, behind(op))
		}
	}
	for i := range vars {
		for k := range vars[i].Options {
			o := &vars[i].Options[k]
			if o.Garbage {
				continue
			}
			add(o.Op)
			for _, op := range o.Again {
				add(op)
			}
		}
	}
	slices.Sort(ops)
	return slices.Compact(ops)
}

// allSwaps tries all that differs from a prefix in up to MaxDeviation variables.
func (b *bounded) allSwaps() {
	for k := 1; k <= b.config.MaxDeviation; k++ {
		for _, n := range b.prefixes {
			p := pick{how: follow, prefix: n}
			b.swap(p, k, 0)
		}
	}
}

// swap tries all ways to swap k more variables of p, from variable first on.
func (b *bounded) swap(p pick, k, first int) {
	if k == 0 {
		b.try(p)
		return
	}
	p.n++
	for v := first; v < len(b.vars); v++ {
		base := simfs.Newest(b.vars[v].Options, p.prefix)
		for o := range b.vars[v].Options {
			if o != base {
				p.swaps[p.n-1] = swap{int32(v), int32(o)}
				b.swap(p, k-1, v+1)
			}
		}
	}
}

// some fills the limit with random ones of all that should be tried. With a
// low limit it matters that one point's few images are of another sort than
// the next one's.
func (b *bounded) some(random *stream, prefixesToo bool) {
	samples := b.config.Samples
	for tries := 4 * b.limit; tries > 0 && b.done < b.limit; tries-- {
		switch sort := random.below(4); {
		case sort == 0 && samples > 0:
			samples--
			b.sample(random)
		case sort == 1 && prefixesToo, b.config.MaxDeviation == 0:
			b.try(pick{how: follow, prefix: b.prefixes[random.below(len(b.prefixes))]})
		default:
			b.someSwap(random)
		}
	}
}

// someSwap tries a random one of what allSwaps would try.
func (b *bounded) someSwap(random *stream) {
	p := pick{how: follow, prefix: b.prefixes[random.below(len(b.prefixes))]}
	for k := 1 + random.below(b.config.MaxDeviation); int(p.n) < k; p.n++ {
		v := random.below(len(b.vars))
		p.swaps[p.n] = swap{int32(v), int32(random.below(len(b.vars[v].Options)))}
	}
	if p.n == 2 && p.swaps[0].v == p.swaps[1].v {
		p.n = 1
	}
	b.try(p)
}

// sample tries a random image.
func (b *bounded) sample(random *stream) {
	p := pick{how: roll, seed: random.next(), prefix: b.prefixes[random.below(len(b.prefixes))]}
	b.emit(p)
	b.done++
}

// hash is a hash of the versions that p means the variables to have.
func (b *bounded) hash(p pick) uint64 {
	sum, ok := b.sums[p.prefix]
	if !ok {
		for i := range b.vars {
			sum += term(i, simfs.Newest(b.vars[i].Options, p.prefix))
		}
		b.sums[p.prefix] = sum
	}
	for _, s := range p.swaps[:p.n] {
		sum -= term(int(s.v), simfs.Newest(b.vars[s.v].Options, p.prefix))
		sum += term(int(s.v), int(s.option))
	}
	return sum
}

// term is what version o of variable v adds to a hash.
func term(v, o int) uint64 { return mix(uint64(v)<<32 | uint64(o)) }

// try emits the image that p picks, unless it has been tried.
func (b *bounded) try(p pick) {
	h := b.hash(p)
	if b.tried[h] {
		return
	}
	b.tried[h] = true
	b.emit(p)
	b.done++
}

// crash returns s.crash with the choices of p: as few deviations from a prefix
// as there can be.
func (e eager) crash(s *state, p *pick) Crash {
	c := s.crash
	if p.how == settled {
		return c
	}
	vars := s.image.Vars()
	w := witness{chooser: newChooser(p, vars)}
	s.image.Resolve(&w)
	return c.described(w.choices, vars)
}

// described returns c with a prefix of the operations behind vars, and
// deviations from it, that make the choices: as few deviations as there can be,
// and of the prefixes with so few the longest.
func (c Crash) described(choices []Choice, vars []simfs.Var) Crash {
	best := -1
	for _, n := range slices.Backward(prefixes(vars)) {
		deviations := 0
		for _, q := range choices {
			if simfs.Newest(q.Var.Options, n) != q.Option {
				deviations++
			}
		}
		if best < 0 || deviations < best {
			best, c.Prefix = deviations, n
		}
	}
	for _, q := range choices {
		if simfs.Newest(q.Var.Options, c.Prefix) != q.Option {
			c.Deviations = append(c.Deviations, q.Deviation())
		}
	}
	return c
}

// A witness remembers what a chooser answered.
type witness struct {
	chooser
	choices []Choice
}

func (w *witness) Choose(v simfs.Var) int {
	i := w.chooser.Choose(v)
	w.choices = append(w.choices, chosen(v, i))
	return i
}
