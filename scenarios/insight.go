package scenarios

import (
	"cmp"
	"errors"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Crashed is a kind of crash, and what came of it.
type Crashed struct {
	Before  string // verb and class of file of the operation that was next, such as "syncdata seg"; "note" or "end"
	Image   string // what the disk had; see explore.Left
	Outcome string // a named state of the recovery; or the invariant that was broken, "violation" for one without a number
}

// Covered says how often a kind of fault came behind a named point of the engine.
type Covered struct {
	Fault string // its kind, and its mode if it has one, such as "failsync ext4"
	Point string // the last named point before it; "" before the first
	Could int64  // operations there that such a fault can hit
	Hits  int64
}

// Coverage says which faults could come where, and did. The zero value has none.
type Coverage struct {
	could [numPoints][numOps]int64
	hits  map[hit]int64
}

// hit is a kind of fault behind a point.
type hit struct {
	fault string
	point point
}

const numOps = int(faults.Close) + 1

// Add adds what another run tells.
func (c *Coverage) Add(other *Coverage) {
	for p := range other.could {
		for op := range other.could[p] {
			c.could[p][op] += other.could[p][op]
		}
	}
	for h, times := range other.hits {
		c.hit(h, times)
	}
}

func (c *Coverage) hit(h hit, times int64) {
	if c.hits == nil {
		c.hits = map[hit]int64{}
	}
	c.hits[h] += times
}

// All lists the kinds of faults behind each point, those that could not come there,
// too, in the order of faults.Kinds and of the points.
func (c *Coverage) All() []Covered {
	var all []Covered
	for _, kind := range faults.Kinds() {
		for _, name := range variants(kind) {
			for p := range point(numPoints) {
				covered := Covered{Fault: name, Point: p.name(), Hits: c.hits[hit{name, p}]}
				for op := range numOps {
					if kind.Hits(faults.OpKind(op)) {
						covered.Could += c.could[p][op]
					}
				}
				all = append(all, covered)
			}
		}
	}
	return all
}

// variants are the names of the faults of a kind: those whose mode, or whose
// moment, differs are different things to a log.
func variants(kind faults.Kind) (names []string) {
	switch kind {
	case faults.FailSync:
		for _, mode := range faults.Modes() {
			names = append(names, variant(faults.Fault{Kind: kind, Mode: mode}))
		}
	case faults.NoSpace:
		return []string{kind.String(), variant(faults.Fault{Kind: kind, Delayed: true})}
	default:
		return []string{kind.String()}
	}
	return names
}

// variant is the name of a fault in Covered.
func variant(f faults.Fault) string {
	switch {
	case f.Kind == faults.FailSync:
		return f.Kind.String() + " " + string(f.Mode)
	case f.Kind == faults.NoSpace && f.Delayed:
		return f.Kind.String() + " delayed"
	}
	return f.Kind.String()
}

// point is a named point of the engine, in the order of points; 0: before the
// first.
type point uint8

const numPoints = 14

func (p point) name() string {
	return [numPoints]string{"", engine.PointStart, engine.PointBeginWritten, engine.PointItemWritten, engine.PointItemsComplete,
		engine.PointCommitWritten, engine.PointSync, engine.PointPrePublish, engine.PointRotateCreate, engine.PointRotateDone,
		engine.PointRecoverBegin, engine.PointRecoverIndex, engine.PointRecoverFrame, engine.PointRecoverEnd}[p]
}

// pointOf finds a point by its name.
func pointOf(name string) point {
	for p := range point(numPoints) {
		if p.name() == name {
			return p
		}
	}
	panic("internal error: the engine has a point " + name + ", which is not in the list of scenarios")
}

// ledger counts what a run meets. What the workload meets is counted under its
// world's mutex; what recoveries meet when the explorer has merged them, in their
// order, so that the counts are the same for any number of workers.
type ledger struct {
	states   [numStates]int
	points   [numPoints]int
	faults   [int(faults.Slow) + 1]int // by kind
	coverage Coverage
	crashed  map[crashKind]int
	broken   map[Crashed]int // crashes that broke an invariant
}

// crashKind is Crashed in a few bytes.
type crashKind struct {
	next    nextKind
	op      simfs.OpKind
	class   string
	left    explore.Left
	outcome state
}

// nextKind says whether a crash came before an operation, a note or the end.
type nextKind uint8

const (
	nextOp nextKind = iota
	nextNote
	nextEnd
)

// recovered counts one recovery.
func (l *ledger) recovered(r explore.Recovery) {
	met, _ := r.Outcome.(states)
	for one := range numStates {
		if met.has(one) {
			l.states[one]++
		}
	}
	c := crashKind{op: r.Next.Op, left: r.Left}
	switch {
	case r.Next.Note:
		c.next = nextNote
	case r.Next.Op == 0:
		c.next = nextEnd
	case r.Next.Op == simfs.OpMkdir || r.Next.Op == simfs.OpSyncDir:
		c.class = faults.DirClass
	default:
		c.class = faults.DefaultClass(r.Next.Path)
	}
	if r.Err != nil {
		told := c.told()
		told.Outcome = "violation"
		var broken *invariant.Violation
		if errors.As(r.Err, &broken) {
			told.Outcome = broken.Invariant
		}
		if l.broken == nil {
			l.broken = map[Crashed]int{}
		}
		l.broken[told]++
		return
	}
	c.outcome, _ = met.outcome()
	if l.crashed == nil {
		l.crashed = map[crashKind]int{}
	}
	l.crashed[c]++
}

// told is the crash in words.
func (c crashKind) told() Crashed {
	told := Crashed{Image: c.left.String(), Outcome: States()[c.outcome].Name}
	switch c.next {
	case nextNote:
		told.Before = "note"
	case nextEnd:
		told.Before = "end"
	default:
		told.Before = c.op.String() + " " + c.class
	}
	return told
}

// fill puts what was counted into a result.
func (l *ledger) fill(r *Result) {
	for one, s := range States() {
		if n := l.states[one]; n > 0 {
			r.Reached[StateKey+s.Name] += n
		}
	}
	for p, n := range l.points {
		if n > 0 {
			r.Reached["point "+point(p).name()] += n
		}
	}
	for kind, n := range l.faults {
		if n > 0 {
			r.Reached["fault "+faults.Kind(kind).String()] += n
		}
	}
	r.Coverage = &l.coverage
	r.Crashed = l.broken
	if r.Crashed == nil {
		r.Crashed = map[Crashed]int{}
	}
	for c, times := range l.crashed {
		r.Crashed[c.told()] += times
	}
}

// Compare orders crashes by their words.
func (c Crashed) Compare(other Crashed) int {
	return cmp.Or(cmp.Compare(c.Before, other.Before), cmp.Compare(c.Image, other.Image), cmp.Compare(c.Outcome, other.Outcome))
}
