package naive

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A run is what a program left behind: the live state, and of each change when
// it was made and what has become of it.
//
// Operations count from 0; -1 is "before the program", when the disk was empty.
type run struct {
	opt    Options
	things []*thing      // by number; 0 is the root
	live   map[entry]int // the names as the program sees them
	names  []nameChange  // in order
	metas  []int         // the operations that changed metadata, in order
	must   map[int]bool  // those of metas that are durable
	last   int           // the last operation
	floor  int           // sequential: the last operation that is durable
}

// entry is a name in a directory.
type entry struct {
	dir  int
	name string
}

// thing is a file or a directory.
type thing struct {
	dir      bool
	size     int64
	data     []byte // the live bytes; beyond size they are zero
	sizes    []sizeChange
	contents []content
	flushes  []flush
	durable  map[int]int // cell → the operation no version may be older than
	settled  int         // the writes of operations before this one are durable
}

// sizeChange is one candidate for a file's size.
type sizeChange struct {
	op    int
	size  int64
	since int  // of a write: the operation whose bytes its last page must have
	meta  bool // by truncate, O_TRUNC or preallocate (or the file's creation), not by a write
	gone  bool // ruled out by a sync
}

// content is what a file held after an operation that changed its bytes.
type content struct {
	op    int
	cells []int // the cells changed
	data  []byte
	cut   bool  // by making the file shorter, not by a write
	end   int64 // the size after a cut
}

// nameChange takes a name away, gives one, or both in one step.
type nameChange struct {
	op       int
	thing    int
	from, to entry // the zero dir and name: none
}

func (c nameChange) touches(e entry) bool { return e.name != "" && (c.from == e || c.to == e) }

func (c nameChange) shares(d nameChange) bool { return c.touches(d.from) || c.touches(d.to) }

// perform runs a program on an empty disk.
func perform(p Program, opt Options) (*run, error) {
	r := &run{opt: opt, live: map[entry]int{}, must: map[int]bool{}, floor: -1, last: len(p) - 1}
	r.things = []*thing{{dir: true}}
	for i, op := range p {
		if err := r.step(i, op); err != nil {
			return nil, fmt.Errorf("naive: operation %d, %s: %w", i, op, err)
		}
	}
	return r, nil
}

// find returns the directory and the last part of a path.
func (r *run) find(path string) (entry, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	e := entry{dir: 0, name: parts[0]}
	for _, part := range parts[1:] {
		n, ok := r.live[e]
		if !ok || !r.things[n].dir {
			return e, fmt.Errorf("no directory %s", e.name)
		}
		e = entry{dir: n, name: part}
	}
	return e, nil
}

func (r *run) existing(path string, dir bool) (int, entry, error) {
	if strings.Trim(path, "/") == "" {
		if !dir {
			return 0, entry{}, fmt.Errorf("%s is a directory", path)
		}
		return 0, entry{}, nil
	}
	e, err := r.find(path)
	if err != nil {
		return 0, e, err
	}
	n, ok := r.live[e]
	if !ok || r.things[n].dir != dir {
		return 0, e, fmt.Errorf("%s: not there, or of the other kind", path)
	}
	return n, e, nil
}

func (r *run) step(i int, op Op) error {
	switch op.Kind {
	case "create", "mkdir":
		e, err := r.find(op.Path)
		if err != nil {
			return err
		}
		if _, there := r.live[e]; there || e.name == "" {
			return fmt.Errorf("%s is there", op.Path)
		}
		n := len(r.things)
		r.things = append(r.things, &thing{
			dir:     op.Kind == "mkdir",
			sizes:   []sizeChange{{op: i, meta: true}},
			durable: map[int]int{},
		})
		r.live[e] = n
		r.rename(nameChange{op: i, thing: n, to: e})

	case "remove", "rmdir":
		n, e, err := r.existing(op.Path, op.Kind == "rmdir")
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("it is the root")
		}
		if r.holdsNames(n) {
			return fmt.Errorf("%s is not empty", op.Path)
		}
		delete(r.live, e)
		r.rename(nameChange{op: i, thing: n, from: e})

	case "rename":
		return r.stepRename(i, op)

	case "write":
		n, _, err := r.existing(op.Path, false)
		if err != nil || len(op.Data) == 0 {
			return err
		}
		f := r.things[n]
		end := op.Offset + int64(len(op.Data))
		before := slices.Clone(f.data)
		f.cover(end)
		copy(f.data[op.Offset:], op.Data)
		r.changed(f, i, before, false)
		if end > f.size {
			f.size = end
			f.sizes = append(f.sizes, sizeChange{op: i, size: end, since: r.bytesSince(f, i, end)})
		}

	case "truncate", "otrunc", "preallocate":
		n, _, err := r.existing(op.Path, false)
		if err != nil {
			return err
		}
		f := r.things[n]
		size := op.Length // 0 for otrunc
		if op.Kind == "preallocate" {
			size = max(f.size, op.Offset+op.Length)
		}
		if size == f.size {
			return nil
		}
		f.cover(size)
		if size < f.size { // the cut cells become zero
			before := slices.Clone(f.data)
			clear(f.data[size:])
			f.size = size
			r.changed(f, i, before, true)
		}
		f.size = size
		f.sizes = append(f.sizes, sizeChange{op: i, size: size, meta: true})
		r.metas = append(r.metas, i)

	case "sync", "syncdata":
		n, _, err := r.existing(op.Path, false)
		if err != nil {
			return err
		}
		if op.Kind == "sync" {
			r.syncFile(n, i)
		} else {
			r.syncData(n, i)
		}

	case "syncdir":
		n, _, err := r.existing(op.Path, true)
		if err != nil {
			return err
		}
		r.syncDir(n, i)

	default:
		return fmt.Errorf("no such operation; there are %s", strings.Join(Kinds(), ", "))
	}
	return nil
}

func (r *run) stepRename(i int, op Op) error {
	from, err := r.find(op.Path)
	if err != nil {
		return err
	}
	to, err := r.find(op.To)
	if err != nil {
		return err
	}
	n, ok := r.live[from]
	if !ok || to.name == "" {
		return fmt.Errorf("%s is not there", op.Path)
	}
	if from == to {
		return nil
	}
	if r.things[n].dir && (to.dir == n || r.below(to.dir, n)) {
		return fmt.Errorf("a directory cannot go into itself")
	}
	if old, there := r.live[to]; there {
		if r.things[n].dir || r.things[old].dir {
			return fmt.Errorf("%s is there", op.To)
		}
		r.flushBeforeReplacing(n, i)
	}
	delete(r.live, from)
	r.live[to] = n
	r.rename(nameChange{op: i, thing: n, from: from, to: to})
	return nil
}

// below reports whether a directory is somewhere below another.
func (r *run) below(n, above int) bool {
	for n != 0 {
		parent := -1
		for e, child := range r.live {
			if child == n {
				parent = e.dir
			}
		}
		if parent == above {
			return true
		}
		n = parent
	}
	return false
}

func (r *run) holdsNames(dir int) bool {
	for e := range r.live {
		if e.dir == dir {
			return true
		}
	}
	return false
}

// rename notes a change of names.
func (r *run) rename(c nameChange) {
	r.names = append(r.names, c)
	r.metas = append(r.metas, c.op)
}

// cover makes the live bytes reach so far.
func (f *thing) cover(size int64) {
	for int64(len(f.data)) < size {
		f.data = append(f.data, 0)
	}
}

// changed notes that bytes have changed from what they were.
func (r *run) changed(f *thing, op int, before []byte, cut bool) {
	c := content{op: op, cut: cut, end: f.size, data: slices.Clone(f.data)}
	for cell := 0; cell*r.opt.Cell < len(f.data); cell++ {
		if !bytes.Equal(r.cellOf(before, cell), r.cellOf(f.data, cell)) {
			c.cells = append(c.cells, cell)
		}
	}
	if len(c.cells) > 0 {
		f.contents = append(f.contents, c)
	}
}

// cellOf returns a cell of some bytes, which are zeros where they end.
func (r *run) cellOf(data []byte, cell int) []byte {
	out := make([]byte, r.opt.Cell)
	if start := cell * r.opt.Cell; start < len(data) {
		copy(out, data[start:])
	}
	return out
}

// bytesAt returns a cell as it was after an operation; -1 and whatever was not
// written yet is zeros.
func (r *run) bytesAt(f *thing, cell, op int) []byte {
	var data []byte
	for _, c := range f.contents {
		if c.op <= op {
			data = c.data
		}
	}
	return r.cellOf(data, cell)
}
