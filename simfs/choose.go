package simfs

import (
	"fmt"
	"math"
	"strings"
)

// VarKind is what a variable decides.
type VarKind uint8

// The kinds of variables. Garbage is no kind of its own: it is among the options
// of a cell.
const (
	VarJournal VarKind = iota + 1 // how much of the journal is on the platter
	VarName                       // what a name stands for
	VarSize                       // how long a file is
	VarCell                       // what a cell holds
)

// String names the kind.
func (k VarKind) String() string {
	return [...]string{"none", "journal", "name", "size", "cell"}[k]
}

// VarID names a variable among those of one image, and of every image that
// descends from it while it stays undecided.
type VarID struct {
	Kind  VarKind
	Inode int32  // of the file, or of the directory of a name
	Cell  int32  // of a cell
	Name  string // of a name, inside its directory
}

// Var is an undecided variable.
type Var struct {
	ID   VarID
	Kind VarKind
	Path string // by which it was reached
	Cell int    // index of a cell in its file; the cell's size is Image.CellSize

	// Call counts the calls of the disk and of its files since Mount, reads included,
	// up to the one that asks: 0 for the first. It is -1 where no call asks.
	Call int

	// Options are the versions that are still legal, oldest first. The slice is
	// valid only until Choose returns.
	Options []VarOption
}

// VarOption is one version of a variable.
type VarOption struct {
	// Op is the index of the operation that made the version: -1 for what was
	// durable, at most -2 where an operation of an earlier run made it.
	Op int
	// Again are the operations that made an equal version later.
	Again []int
	// Label says what made it: durable, write, truncate, zero, link, unlink,
	// flush, garbage, stale, …
	Label string
	// Garbage marks a version that nobody wrote there.
	Garbage bool
	// Size is a candidate size in bytes; for a name, 1 where it is there and 0
	// where it is not; for the journal, how many operations of it are there.
	Size int64
}

// String prints a variable on one line.
func (v Var) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %q", v.Kind, v.Path)
	if v.Kind == VarCell {
		fmt.Fprintf(&b, " %d", v.Cell)
	}
	for i, o := range v.Options {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s", sep, o.Label)
		if o.Op != -1 {
			fmt.Fprintf(&b, "@%d", o.Op)
		}
	}
	return b.String()
}

// Chooser decides variables. It is asked once for each, when it is first read,
// and answers with the index of an option.
type Chooser interface{ Choose(v Var) int }

// ChooserFunc is a function as a Chooser.
type ChooserFunc func(v Var) int

// Choose calls f.
func (f ChooserFunc) Choose(v Var) int { return f(v) }

// Prefix keeps what operations before op made: of each variable Newest.
func Prefix(op int) Chooser {
	return ChooserFunc(func(v Var) int { return Newest(v.Options, op) })
}

// Newest returns the index of the newest version that an operation before op
// made: what was durable where there is none, and the oldest version where none
// was. It never takes garbage where it has a choice.
func Newest(options []VarOption, op int) int {
	best, when := 0, math.MinInt
	look := func(i, made int) {
		if made == -1 {
			made = math.MinInt // durable is older than what earlier runs made
		}
		if made < op && made >= when {
			best, when = i, made
		}
	}
	for i := range options {
		o := &options[i]
		if o.Garbage {
			continue
		}
		look(i, o.Op)
		for _, made := range o.Again {
			look(i, made)
		}
	}
	return best
}

// Latest takes the newest version of each variable: all writes arrived.
func Latest() Chooser { return Prefix(math.MaxInt) }

// Oldest takes the oldest version of each variable: nothing arrived.
func Oldest() Chooser { return ChooserFunc(func(Var) int { return 0 }) }

// Random answers as a function of the seed and the variable, so that the order in
// which variables are asked for does not matter.
func Random(seed uint64) Chooser {
	return ChooserFunc(func(v Var) int {
		h := mix(seed ^ uint64(v.ID.Kind)<<56 ^ uint64(uint32(v.ID.Inode))<<28 ^ uint64(uint32(v.ID.Cell)))
		for i := 0; i < len(v.ID.Name); i++ {
			h = mix(h ^ uint64(v.ID.Name[i]))
		}
		return int(mix(h) % uint64(len(v.Options)))
	})
}

// op converts a sequence number to an index into the log of the latest run.
func (d *disk) op(seq int32) int {
	switch {
	case seq == durable:
		return -1
	case seq >= d.past:
		return int(seq - d.past)
	}
	return int(seq-d.past) - 1
}

// variable describes a variable for a Chooser, in the room of to.
func (d *disk) variable(r ref, path string, ch *chain, rs []run, to []VarOption) Var {
	v := Var{Path: path, ID: VarID{Inode: r.ino}, Call: int(d.call)}
	switch r.kind {
	case refName:
		v.Kind, v.ID.Name = VarName, r.name
	case refSize:
		v.Kind = VarSize
	default:
		v.Kind, v.Cell, v.ID.Cell = VarCell, int(r.c0), r.c0
	}
	v.ID.Kind = v.Kind
	if cap(to) < len(rs) {
		to = make([]VarOption, len(rs), len(rs)+4)
	}
	v.Options = to[:len(rs)]
	free := !ch.coupled()
	for i, o := range rs {
		first, at := ch.vs[o.from], o.from
		for k := o.from; k <= o.to; k++ { // written there counts more than came there
			if w := ch.vs[k]; !w.foreign() && (!free || equal(r.kind, first, w)) {
				first, at = w, k
				break
			}
		}
		p := &v.Options[i]
		*p = VarOption{Op: d.op(first.seq), Label: first.why.String(), Garbage: first.foreign()}
		if r.kind == refSize {
			p.Size = first.n
		} else if r.kind == refName && first.n != none {
			p.Size = 1
		}
		for k := at + 1; k <= o.to; k++ {
			w := ch.vs[k]
			if !w.foreign() && w.seq != first.seq && (!free || equal(r.kind, first, w)) {
				p.Again = append(p.Again, d.op(w.seq))
			}
		}
	}
	return v
}

// journalVar describes the journal for a Chooser, with the atoms it may end after.
func (d *disk) journalVar() (Var, []int32) {
	var ids []int32
	v := Var{ID: VarID{Kind: VarJournal}, Kind: VarJournal, Call: int(d.call)}
	v.Options = append(v.Options, VarOption{Op: -1, Label: "durable"})
	for i := range d.atoms {
		if a := &d.atoms[i]; a.journal && a.epoch != d.epoch {
			ids = append(ids, a.id)
			v.Options = append(v.Options, VarOption{Op: d.op(a.seq), Label: "journal", Size: int64(len(ids))})
		}
	}
	return v, ids
}
