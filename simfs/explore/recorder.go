package explore

import (
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/untorn-db/untorn/simfs"
)

// A state is a disk at the moment of a crash: not an image yet, but all the
// images that it could become.
type state struct {
	parent *candidate // the execution whose recovery crashed; nil: the workload
	crash  Crash      // when and how; no choices yet
	image  *simfs.Image
	notes  []Note // made by the run that crashed, before the crash; Config.Before
	told   digest // the hash of these and all earlier notes
	depth  int    // crashes, this one included
	key    digest // equal: the same images, and the same history
	next   Next   // what the crash came before

	// Only while the state is worked on:
	vars    []simfs.Var // of image
	history []Note      // all notes made before the crash
}

// past returns all notes made before the crash, oldest first.
func (s *state) past() []Note {
	if s.parent == nil {
		return s.notes
	}
	earlier := s.parent.from.past()
	if len(s.notes) == 0 {
		return earlier
	}
	return slices.Concat(earlier, s.notes)
}

// reopen reports whether the state comes from the loss of power after a kill.
func (s *state) reopen() bool {
	return s.crash.Kind == simfs.PowerLoss && s.parent != nil && s.parent.from.crash.Kind == simfs.ProcessKill
}

// A recorder watches one run and freezes its disk at the moments asked for.
type recorder struct {
	disk     *simfs.FS
	cellSize int64
	parent   *candidate
	depth    int // of the states it makes
	keyDepth int // the same, unless equal images are equal at any depth
	power    bool
	kill     bool
	all      bool   // Points: All
	only     *Crash // a single moment; then power, kill and all say nothing
	// from, if not nil, waits for a note of which it says true: no crash comes
	// before it.
	from func(Note) bool
	// hold, if not nil, reports that this moment was frozen in an earlier run.
	hold func() bool
	// fewer: no crash comes after Recovered.
	fewer bool
	eye   Eye // nil: nobody watches
	// sparse leaves out what another moment covers: the same images or more, and
	// a recovery that has to be as good or better.
	sparse bool

	mu     sync.Mutex
	before int      // notes made before the workload; guarded by mu, as all below
	notes  []Note   // these, and those made by this run
	last   *string  // the key of the last note, which a run need not make twice; nil: it may
	told   digest   // the hash of these and all earlier notes
	states []*state // in the order of the run
	missed string   // how the moment of only was passed by
	closed bool     // the run is over: a note comes too late
	// With sparse: the disk was frozen before operation covered, and only widening
	// notes came since; the last thing that happened was a sync.
	covered int
	synced  bool
}

// operation is simfs's observer: op has not taken effect yet.
func (r *recorder) operation(op simfs.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.only != nil && r.only.Op == op.Index {
		if r.only.Cells > 0 {
			r.tornOnly(op)
		} else {
			r.exactly(op.Index)
		}
	}
	if r.eye != nil {
		r.eye.Operation(op)
	}
	if r.only != nil {
		return
	}
	if r.power && (r.all || op.Barrier) {
		r.cut(simfs.PowerLoss, op.Index)
	}
	if r.kill && !r.synced {
		r.cut(simfs.ProcessKill, op.Index)
	}
	r.comes(op.Index, Next{Op: op.Kind, Path: op.Path})
	if r.kill && r.all {
		for k := 1; k < r.cells(op); k++ {
			r.torn(op, k)
		}
	}
	// What a kill leaves before a sync is what it leaves behind it, with more that
	// is not durable yet.
	r.synced = r.sparse && !op.Fails && (op.Kind == simfs.OpSync || op.Kind == simfs.OpSyncData || op.Kind == simfs.OpSyncDir)
}

// cells is how many cells op writes; 0 if it is not a write.
func (r *recorder) cells(op simfs.Op) int {
	if op.Kind != simfs.OpWrite || op.Length <= 0 {
		return 0
	}
	return int((op.Offset+op.Length-1)/r.cellSize - op.Offset/r.cellSize + 1)
}

// note is Run.Note. It widens or narrows what is allowed after a crash, so the
// disk is frozen on both sides of it; or it belongs to the last operation, and
// then the two are one.
func (r *recorder) note(n Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if n.Change != Explains && (!r.sparse || n.Change != Narrows) {
		r.quiet()
	}
	if r.eye != nil {
		r.eye.Noted(n)
	}
	if r.last != nil {
		if *r.last == n.Key {
			return
		}
		r.last = &n.Key
	}
	r.comes(r.disk.Ops(), Next{Note: true})
	r.notes = append(r.notes, n)
	r.told = r.told.text(n.Key)
	if r.from != nil && r.from(n) {
		r.from = nil
		n.Change = Either
	}
	r.covered = -1
	if r.sparse && n.Change == Widens {
		r.covered = r.disk.Ops()
		return
	}
	r.synced = false
	if !r.sparse || n.Change == Either || n.Change == Explains {
		r.quiet()
	}
}

// comes says of the crashes that came just before it what comes next.
func (r *recorder) comes(index int, next Next) {
	for i := len(r.states) - 1; i >= 0; i-- {
		s := r.states[i]
		if s.crash.Op != index || s.crash.Cells > 0 || s.crash.Notes != len(r.notes)-r.before {
			return
		}
		s.next = next
	}
}

// recovered is Run.Recovered.
func (r *recorder) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.fewer {
		return
	}
	r.quiet()
	r.power, r.kill = false, false
}

// end freezes the disk after the run and lets nothing else happen to it.
func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.quiet()
	if r.only != nil && r.only.Op == End {
		r.exactly(End)
	}
	r.disk.Observe(nil)
	r.disk.Kill()
}

// quiet cuts between two operations.
func (r *recorder) quiet() {
	index := r.disk.Ops()
	if r.only != nil {
		if r.only.Op == index && r.only.Cells == 0 {
			r.exactly(index)
		}
		return
	}
	if r.power {
		r.cut(simfs.PowerLoss, index)
	}
	if r.kill && !r.synced {
		r.cut(simfs.ProcessKill, index)
	}
}

// cut freezes the disk before operation index, unless that has been done.
func (r *recorder) cut(kind simfs.Kind, index int) {
	if r.from != nil || r.hold != nil && r.hold() || r.sparse && index == r.covered {
		return
	}
	c := Crash{Kind: kind, Op: index, Notes: len(r.notes) - r.before}
	for i := len(r.states) - 1; i >= 0 && i >= len(r.states)-2; i-- {
		last := r.states[i].crash
		if last.Kind == c.Kind && last.Op == c.Op && last.Cells == 0 && last.Notes == c.Notes {
			return
		}
	}
	r.keep(c, r.disk.Crash(kind))
}

// torn freezes the disk inside op, a write, after its first k cells. Only a kill
// can leave just these: what a power loss does to the cells of a write, it can
// also do at the next point.
func (r *recorder) torn(op simfs.Op, k int) {
	if r.from != nil || r.hold != nil && r.hold() {
		return
	}
	r.keep(Crash{Kind: simfs.ProcessKill, Op: op.Index, Cells: k, Notes: len(r.notes) - r.before},
		r.disk.CloneTorn(k).Crash(simfs.ProcessKill))
	r.states[len(r.states)-1].next = Next{Op: op.Kind, Path: op.Path}
}

func (r *recorder) keep(c Crash, image *simfs.Image) {
	r.states = append(r.states, &state{
		parent: r.parent,
		crash:  c,
		image:  image,
		notes:  r.notes[:len(r.notes):len(r.notes)],
		told:   r.told,
		depth:  r.depth,
		key:    keyOf(image.Hash(), r.told, c.Kind, r.keyDepth),
	})
}

// exactly freezes the disk if this is the moment of only; its op is.
func (r *recorder) exactly(index int) {
	if made := len(r.notes) - r.before; made != r.only.Notes {
		if len(r.states) == 0 {
			r.missed = fmt.Sprintf("the run was there with %d notes made, not %d", made, r.only.Notes)
		}
		return
	}
	if len(r.states) == 0 {
		if r.eye != nil {
			r.eye.Frozen(nil)
		}
		r.keep(Crash{Kind: r.only.Kind, Op: index, Notes: r.only.Notes}, r.disk.Crash(r.only.Kind))
	}
}

// tornOnly is exactly inside the write op.
func (r *recorder) tornOnly(op simfs.Op) {
	switch made := len(r.notes) - r.before; {
	case r.cells(op) <= r.only.Cells:
		r.missed = fmt.Sprintf("operation %d writes %d cells: a crash inside it comes after fewer", op.Index, r.cells(op))
	case r.only.Kind != simfs.ProcessKill:
		r.missed = "only a process kill comes inside a write"
	case made != r.only.Notes:
		r.missed = fmt.Sprintf("operation %d came with %d notes made, not %d", op.Index, made, r.only.Notes)
	default:
		if r.eye != nil {
			r.eye.Frozen(&op)
		}
		r.torn(op, r.only.Cells)
	}
}

// run lets f have the disk, and reports what came of it in *err: also what it
// panicked with, or that it ended its goroutine, in which case run does not
// return.
func (r *recorder) run(f func(*Run) error, run *Run, err *error) {
	*err = &ExitError{} // unless f returns, or panics
	defer func() {
		if p := recover(); p != nil {
			*err = &PanicError{panicText(p)}
		}
		r.end()
	}()
	if r.power || r.kill || r.only != nil || r.eye != nil {
		r.disk.Observe(r.operation)
	}
	run.FS = r.disk
	run.Disk = r.disk
	run.Note = r.note
	run.Recovered = r.recovered
	*err = f(run)
}

var address = regexp.MustCompile(`0x[0-9a-fA-F]+`)

// panicText is the text of a panic's value, the same every time.
func panicText(p any) string {
	return address.ReplaceAllString(fmt.Sprint(p), "0x…")
}
