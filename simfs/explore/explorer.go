package explore

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/simfs"
)

// How many states are enumerated, and how many images recovered, between two
// merges. They bound the memory, and do not depend on the number of workers,
// so neither does what StopEarly leaves out.
const (
	stateChunk = 32
	imageChunk = 512
)

// endless is after how many crashes the search gives up on a fixpoint.
const endless = 32

// A candidate is one image of a state, and what came of its recovery.
type candidate struct {
	from  *state
	pick  pick         // which image
	image *simfs.Image // until it is recovered
	key   digest

	lazy    bool     // then it is no image but a leaf, which answers lead to
	answers []answer // those

	left    Left // of OnRecovered
	outcome any  // of OnRecovered

	err    error
	told   digest   // all notes, those of the recovery included
	states []*state // where the recovery may crash in its turn
}

// A coverage says how much of a state was enumerated.
type coverage struct {
	exact bool // every image
	cut   bool // the limit left out some that should have been tried
	bits  int  // the images are at most 2 to the power of this
}

// An explorer is one exploration.
type explorer struct {
	config  Config
	program Program
	images  eager
	pool    pool
	room    simfs.Room // of the disks of the recoveries

	report Report
	sum    digest
	seen   map[digest]struct{} // keys of the images tried, over all depths
	states map[digest]struct{} // keys of the states, over all depths
	left   int                 // of Config.MaxImages
	why    []string

	// Of the lazy search:
	skip   []string // functions that are not the program
	greedy deciders
	stand  standing // how many images they stand for
	taken  accepted // what later states may be part of

	stopped bool // StopEarly left states out
}

func (x *explorer) explore(ctx context.Context) (Report, error) {
	x.seen = make(map[digest]struct{})
	x.states = make(map[digest]struct{})
	x.left = x.config.MaxImages
	err := ctx.Err()
	if err == nil {
		err = x.search(ctx)
	}
	if err != nil {
		x.why = append(x.why, "the exploration was stopped: "+err.Error())
	}
	x.report.Why = strings.Join(x.why, "\n")
	x.report.Exact = len(x.why) == 0
	key := x.sum.key()
	x.report.Digest = hex.EncodeToString(key[:])
	x.certify()
	return x.report, err
}

// search explores level by level: all of a depth before the next, so that the
// shortest way to a violation is found first, and the same image is always
// reached by the same path.
func (x *explorer) search(ctx context.Context) error {
	states, err := x.workload()
	x.tally(err, digest{})
	if err != nil {
		x.violated(err, nil)
	}
	level := x.admit(states)
	for depth := 1; len(level) > 0 && !x.enough(); depth++ {
		if depth > endless {
			x.why = append(x.why, fmt.Sprintf("after %d crashes, one in the recovery from the other, there were still new images", endless))
			break
		}
		level, err = x.level(ctx, depth, level)
		if err != nil {
			return err
		}
	}
	if x.stopped || len(level) > 0 && x.enough() {
		x.why = append(x.why, "the exploration stopped early, at a violation")
	}
	return nil
}

// workload records the one run that all else comes from.
func (x *explorer) workload() ([]*state, error) {
	r, run := x.config.workload()
	r.power = x.config.Kinds&Power != 0
	r.kill = x.config.Kinds&(Kill|Reopen) != 0
	r.from = x.config.From
	var err error
	x.pool.each(1, func(int) { r.run(x.program.Workload, run, &err) })
	return r.states, err
}

// workload is the run of the workload, on an empty disk or where an earlier
// crash left one.
func (c Config) workload() (*recorder, *Run) {
	var disk *simfs.FS
	if c.Start != nil {
		disk = c.Start.Mount(nil)
	} else {
		disk = simfs.New(simfs.Options{
			Guarantees: c.Guarantees, CellSize: c.CellSize, Garbage: c.Garbage,
			Callers: c.Callers, CallerSkip: c.CallerSkip,
		})
	}
	r := &recorder{
		disk: disk, cellSize: int64(disk.CellSize()), depth: 1, keyDepth: c.keyDepth(1), all: c.Points == All, sparse: c.Lazy, covered: -1,
		before: len(c.Before), notes: slices.Clip(c.Before),
	}
	for _, n := range c.Before {
		r.told = r.told.text(n.Key)
	}
	return r, &Run{History: slices.Clip(c.Before), Entropy: mix(c.Seed)}
}

// recovery is the run that follows the crash s and finds image. parent is what
// a crash during it comes from; chooser decides what is undecided in image. room
// may be nil.
func (c Config) recovery(room *simfs.Room, s *state, image *simfs.Image, parent *candidate, chooser simfs.Chooser, lazy bool) (*recorder, *Run) {
	r := &recorder{
		disk:     image.MountIn(room, chooser),
		cellSize: int64(image.CellSize()),
		parent:   parent,
		depth:    s.depth + 1,
		keyDepth: c.keyDepth(s.depth + 1),
		fewer:    c.Depth == Fixpoint && !(s.depth == 1 && s.crash.Kind == simfs.ProcessKill),
		all:      c.Points == All,
		told:     s.told,
		sparse:   c.Lazy,
		covered:  -1,
	}
	entropy := entropyOf(image.Hash(), s.depth)
	if lazy {
		entropy = entropyOf(image.Hash(), 0)
		if c.Depth == Fixpoint && s.depth > 1 {
			entropy = mix(c.Seed + uint64(s.depth%2))
		}
		// A recovery that says what the one before it said adds nothing, or nesting
		// would never come to an end.
		r.last = new(string)
		if n := len(s.history); n > 0 {
			r.last = &s.history[n-1].Key
		}
	}
	return r, &Run{Depth: s.depth, Kind: s.crash.Kind, History: s.history, Entropy: entropy}
}

// keyDepth is the depth as a part of keys. In the lazy search an image that
// comes again at a greater depth has nothing new to show, and that is how
// nesting ends.
func (c Config) keyDepth(depth int) int {
	if c.Lazy && c.Depth == Fixpoint {
		return min(depth, 2+depth%2) // as its entropy does
	}
	if c.Lazy {
		return 0
	}
	return depth
}

// crashes says how the recovery from s may crash in its turn.
func (c Config) crashes(s *state) (power, kill bool) {
	deeper := s.depth <= c.Depth || c.Depth == Fixpoint
	afterKill := c.Kinds&Reopen != 0 && s.crash.Kind == simfs.ProcessKill
	kills := deeper && !(c.Depth == Fixpoint && s.depth > 1)
	return deeper && c.Kinds&Power != 0 || afterKill, kills && c.Kinds&(Kill|Reopen) != 0
}

// depths is how deep crashes can nest.
func (c Config) depths() int {
	if c.Depth == Fixpoint {
		return MaxDepth
	}
	if c.Kinds&Reopen != 0 {
		return c.Depth + 2
	}
	return c.Depth + 1
}

// level explores the states of one depth and returns those of the next.
func (x *explorer) level(ctx context.Context, depth int, states []*state) (next []*state, err error) {
	budget, left := x.budget(depth)
	states = x.admitted(states)
	here := shortfall{config: &x.config, depth: depth, dropped: len(states)}
	states = x.thin(states, budget)
	here.dropped -= len(states)
	here.of = len(states)

	for len(states) > 0 && !x.enough() {
		work := states[:min(stateChunk, len(states))]
		share := math.MaxInt
		if x.config.MaxImages > 0 {
			share = budget / len(states)
		}
		limit := min(x.config.MaxPerPoint, share)
		rest := work
		if x.config.Lazy {
			var leaves []*candidate
			leaves, rest = x.grow(ctx, x.unknown(work, &here), min(share, x.config.MaxLeaves))
			budget -= len(leaves)
			here.larger += len(rest)
			if ctx.Err() == nil {
				next = append(next, x.reap(leaves)...)
			}
		}
		images := x.enumerate(ctx, rest, limit, &here)
		for len(images) > 0 && ctx.Err() == nil && !x.enough() {
			batch := images[:min(imageChunk, len(images))]
			fresh := x.fresh(ctx, batch)
			budget -= len(fresh)
			n := len(fresh)
			fresh = slices.DeleteFunc(fresh, func(c *candidate) bool { return !x.unseen(c) })
			here.known += n - len(fresh)
			x.pool.each(len(fresh), func(i int) {
				if ctx.Err() == nil {
					x.recover(fresh[i])
				}
			})
			if ctx.Err() == nil {
				next = append(next, x.merge(fresh)...)
			}
			images = images[len(batch):]
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(images) > 0 {
			break
		}
		for _, s := range work {
			s.vars, s.history = nil, nil
		}
		if k := x.config.MaxImages; k > 0 && len(next) > 2*k+stateChunk {
			n := len(next)
			next = x.thin(next, k)
			here.later += n - len(next)
		}
		states = states[len(work):]
	}
	x.stopped = len(states) > 0
	x.left = left + budget
	x.why = append(x.why, here.lines()...)
	return next, nil
}

// budget is the share of MaxImages that a depth may use, and what stays for
// the others.
func (x *explorer) budget(depth int) (share, left int) {
	depths := max(x.config.depths()-depth+1, 1)
	share = (x.left + depths - 1) / depths
	return share, x.left - share
}

// thin keeps at most k states of the given, if there is a limit on images:
// those with the lowest seeded hash, in the order in which they were.
func (x *explorer) thin(states []*state, k int) []*state {
	if x.config.MaxImages == 0 || len(states) <= k {
		return states
	}
	order := make([]digest, len(states))
	for i, s := range states {
		order[i] = s.key.then(x.config.Seed)
	}
	sorted := slices.Clone(order)
	slices.SortFunc(sorted, func(a, b digest) int { return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo)) })
	kept := make([]*state, 0, k)
	if k > 0 {
		last := sorted[k-1]
		for i, s := range states {
			if order[i].hi < last.hi || order[i].hi == last.hi && order[i].lo <= last.lo {
				kept = append(kept, s)
			}
		}
	}
	return kept
}

// enumerate returns the images of some states, in order.
func (x *explorer) enumerate(ctx context.Context, states []*state, limit int, here *shortfall) (all []*candidate) {
	images := make([][]*candidate, len(states))
	covered := make([]coverage, len(states))
	x.pool.each(len(states), func(i int) {
		if ctx.Err() != nil {
			return
		}
		states[i].history = slices.Clip(states[i].past())
		covered[i] = x.images.enumerate(states[i], limit, func(p pick, image *simfs.Image, left Left) {
			images[i] = append(images[i], &candidate{from: states[i], pick: p, image: image, left: left})
		})
	})
	for i := range states {
		here.add(covered[i])
		all = append(all, images[i]...)
	}
	return all
}

// fresh resolves the images, and returns those not tried before, in order.
func (x *explorer) fresh(ctx context.Context, images []*candidate) (fresh []*candidate) {
	x.pool.each(len(images), func(i int) {
		if ctx.Err() != nil {
			return
		}
		c := images[i]
		if c.image == nil {
			c.image, c.left = x.images.resolve(c.from, &c.pick)
		}
		c.key = keyOf(c.image.Hash(), c.from.told, c.from.crash.Kind, c.from.depth)
	})
	if ctx.Err() != nil {
		return nil
	}
	for _, c := range images {
		count := x.count(c.from)
		count.Images++
		x.report.Images++
		if _, dup := x.seen[c.key]; dup {
			c.image = nil
			continue
		}
		x.seen[c.key] = struct{}{}
		count.Unique++
		x.report.ImagesUnique++
		fresh = append(fresh, c)
	}
	return fresh
}

// unseen reports whether c is to be recovered, as far as other explorations go.
func (x *explorer) unseen(c *candidate) bool {
	if x.config.Seen == nil {
		x.report.ImagesNew++
		return true
	}
	if x.config.Seen.Add(c.key.key()) {
		x.report.ImagesNew++
		return true
	}
	return !x.config.SkipSeen
}

// unknown returns the states that are to be searched: all, or with
// Config.SkipSeen those that no other exploration had. The others are counted in
// here.
func (x *explorer) unknown(states []*state, here *shortfall) []*state {
	if x.config.Seen != nil {
		states = slices.DeleteFunc(slices.Clone(states), func(s *state) bool {
			known := !x.config.Seen.Add(s.key.then(1).key())
			if known && x.config.SkipSeen {
				here.known++
			}
			return known && x.config.SkipSeen
		})
	}
	return states
}

// recover runs Recover on one image.
func (x *explorer) recover(c *candidate) {
	r, run := x.config.recovery(&x.room, c.from, c.image, c, nil, false)
	r.power, r.kill = x.config.crashes(c.from)
	c.image = nil // the disk has it; nobody else needs it
	defer func() {
		c.told = r.told
		c.outcome = run.Outcome
		if c.err == nil {
			c.states = r.states
		}
	}()
	r.run(x.program.Recover, run, &c.err)
	x.room.Reclaim(r.disk)
}

// merge takes the outcomes in order, and returns the states that they lead to.
func (x *explorer) merge(done []*candidate) (next []*state) {
	for _, c := range done {
		count := x.count(c.from)
		count.Recoveries++
		x.report.Recoveries++
		x.tally(c.err, c.key.then(c.told.hi, c.told.lo))
		if c.err != nil {
			count.Violations++
			x.violated(c.err, c)
		}
		if x.config.OnRecovered != nil {
			x.config.OnRecovered(Recovery{Depth: c.from.depth, Next: c.from.next, Left: c.left, Outcome: c.outcome, Err: c.err})
			c.outcome = nil
		}
		next = append(next, x.admit(c.states)...)
		c.states = nil
	}
	return next
}

// admit counts the states, and returns those that do not have the images and
// the history of an earlier one.
func (x *explorer) admit(states []*state) []*state {
	fresh := states[:0]
	for _, s := range states {
		x.report.CrashPoints++
		count := x.count(s)
		count.Points++
		if _, dup := x.states[s.key]; dup {
			count.Same++
			continue
		}
		x.states[s.key] = struct{}{}
		fresh = append(fresh, s)
	}
	return fresh
}

// count is where the report counts what comes of s.
func (x *explorer) count(s *state) *Count {
	for len(x.report.Levels) < s.depth {
		x.report.Levels = append(x.report.Levels, Level{})
	}
	l := &x.report.Levels[s.depth-1]
	switch {
	case s.crash.Kind == simfs.ProcessKill:
		return &l.Kill
	case s.reopen():
		return &l.Reopen
	default:
		return &l.Power
	}
}

// tally adds one execution to the digest.
func (x *explorer) tally(err error, d digest) {
	if err == nil {
		x.sum = x.sum.plus(d.then(0))
	} else {
		x.sum = x.sum.plus(d.then(1).text(err.Error()))
	}
}

// violated reports that a run failed: the recovery of c, or the workload if c
// is nil.
func (x *explorer) violated(err error, c *candidate) {
	x.report.Violated++
	if x.report.Violated > x.config.MaxViolations {
		return
	}
	v := Violation{Err: err}
	for ; c != nil; c = c.from.parent {
		v.Path = append(v.Path, x.crash(c))
	}
	slices.Reverse(v.Path)
	x.report.Violations = append(x.report.Violations, v)
	if x.config.OnViolation != nil {
		x.config.OnViolation(v)
	}
}

// crash is the crash that c recovered from, with the choices that led to c.
func (x *explorer) crash(c *candidate) Crash {
	if c.lazy {
		return x.lazyCrash(c)
	}
	return x.images.crash(c.from, &c.pick)
}

// enough reports whether the search may end early.
func (x *explorer) enough() bool { return x.config.StopEarly && x.report.Violated > 0 }

// A shortfall says what was left out at one depth.
type shortfall struct {
	config  *Config
	depth   int
	of      int // states
	bounded int // of these, with too many images to try them all
	bits    int // the most images that one of them has, as a power of 2
	cut     int // states with fewer images than asked for
	dropped int // states left out
	later   int // states of the next depth left out
	known   int // images left out
	larger  int // states that took more runs than the lazy search may use
}

func (f *shortfall) add(c coverage) {
	if !c.exact {
		f.bounded++
		f.bits = max(f.bits, c.bits)
	}
	if c.cut {
		f.cut++
	}
}

// lines are what the report says about it.
func (f *shortfall) lines() (lines []string) {
	say := func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf("depth %d: ", f.depth)+fmt.Sprintf(format, args...))
	}
	if f.larger > 0 {
		say("%d of %d crash points need more runs than MaxLeaves or MaxImages leaves them, and were searched another way", f.larger, f.of)
	}
	if f.bounded > 0 {
		say("%d of %d crash points have too many images to try them all (up to 2^%d): tried every prefix, what differs from one in at most %d variables, and %d samples",
			f.bounded, f.of, f.bits, f.config.MaxDeviation, f.config.Samples)
	}
	if f.cut > 0 {
		say("of these, %d got only some of that, to stay within MaxPerPoint or MaxImages", f.cut)
	}
	if f.dropped > 0 {
		say("%d crash points were left out to stay within MaxImages", f.dropped)
	}
	if f.later > 0 {
		say("%d crash points of the next depth were left out to stay within MaxImages", f.later)
	}
	if f.known > 0 {
		say("%d images were left out because Config.Seen had them", f.known)
	}
	return lines
}
