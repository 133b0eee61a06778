package naive

import (
	"fmt"
	"slices"
)

// Options says what kind of disk the program ran on.
type Options struct {
	Preset string // one of Presets
	Cell   int    // bytes of a cell: 1, 512 or 4096
	Tear   bool   // a page may be torn between its cells; posix always is
}

// page is what ext4 and xfs write at once.
const page = 4096

// Presets returns the names of the kinds of disks.
func Presets() []string {
	return []string{"posix", "ext4", "ext4-writeback", "xfs", "btrfs", "sequential"}
}

func (o Options) check() error {
	if !slices.Contains(Presets(), o.Preset) {
		return fmt.Errorf("naive: no preset %q; there are %q", o.Preset, Presets())
	}
	if o.Cell < 1 || page%o.Cell != 0 {
		return fmt.Errorf("naive: cells of %d bytes: use 1, 512 or %d", o.Cell, page)
	}
	return nil
}

// prefix: "a prefix of all metadata operations"; in posix "any subset".
func (o Options) prefix() bool { return o.Preset != "posix" }

// unit is the number of bytes that reach the platter together: "any version,
// each on its own"; "any per page; a sector may tear inside a page if asked".
func (o Options) unit() int {
	if o.Tear || o.Preset == "posix" {
		return o.Cell
	}
	return page
}

// sizeNeedsData: "size not past persisted data": a size that a write made is
// there only with the page that holds its last byte, as of that write.
func (o Options) sizeNeedsData() bool { return o.Preset == "ext4" || o.Preset == "xfs" }

// onlyNewPages: ext4 orders the data of blocks that a write allocates, and no
// other: a page that was on the platter before holds back neither a size nor a
// rename.
func (o Options) onlyNewPages() bool { return o.Preset == "ext4" }

// cutIsMetadata: "sizes from truncate, O_TRUNC and preallocation are metadata
// operations", and so are the zeros that a cut leaves in whole pages: they are there with
// it, and newer bytes in their place need it.
func (o Options) cutIsMetadata() bool { return o.prefix() }

// inTail says whether a cell is in the page where a cut ended the file. Its zeros,
// and newer bytes in their place, are written back like those of any page, and the
// cut may come later or never.
func (r *run) inTail(cut content, cell int) bool {
	return cut.end%page != 0 && pageOf(int64(cell)*int64(r.opt.Cell)) == pageOf(cut.end)
}

// dataSyncCoversCut: "a data-only sync covers a shrunk size only where the preset
// says so": wherever a size that shrank is in the journal which it commits.
func (o Options) dataSyncCoversCut() bool { return o.prefix() }

// replacingFlushes: "replacing a file flushes the new file's data first".
func (o Options) replacingFlushes() bool { return o.Preset == "ext4" }

// all makes every change of metadata up to now durable.
func (r *run) all(now int) {
	for _, op := range r.metas {
		if op < now {
			r.must[op] = true
		}
	}
}

// lastOwn returns the last change of metadata before now that is about a thing:
// of its names, or of its size other than by writing.
func (r *run) lastOwn(n, now int) int {
	last := -1
	for _, c := range r.names {
		if c.thing == n && c.op < now {
			last = max(last, c.op)
		}
	}
	for _, s := range r.things[n].sizes {
		if s.meta && s.op < now {
			last = max(last, s.op)
		}
	}
	return last
}

// ownNames makes the changes of one thing's names durable.
func (r *run) ownNames(n, now int) {
	for _, c := range r.names {
		if c.thing == n && c.op < now {
			r.must[c.op] = true
		}
	}
}

// ownSizes makes the sizes that were set without writing durable, where they are
// metadata operations.
func (r *run) ownSizes(n, now int) {
	for _, s := range r.things[n].sizes[1:] { // the first is its creation
		if s.meta && s.op < now {
			r.must[s.op] = true
		}
	}
}

// inOrder says which changes of a file reach the platter one after the other on
// btrfs: those to one page (or cell, if Tear), and those of its size, for "size and
// data together" leaves no hole where a write was.
func (r *run) inOrder(a, b change) bool {
	for _, x := range a.cells {
		for _, y := range b.cells {
			if x*r.opt.Cell/r.opt.unit() == y*r.opt.Cell/r.opt.unit() {
				return true
			}
		}
	}
	return a.resizes && b.resizes
}

// syncFile: "its cells and size become durable; the preset says what else".
func (r *run) syncFile(n, now int) {
	f := r.things[n]
	r.dataDurable(f, now, int64(len(f.data)))
	for i := range f.sizes[:len(f.sizes)-1] {
		f.sizes[i].gone = true
	}
	switch r.opt.Preset {
	case "ext4", "ext4-writeback", "xfs": // "earlier metadata": up to the last that was about this file
		r.all(r.lastOwn(n, now) + 1)
	case "btrfs": // "its own names"
		r.ownNames(n, now)
		r.ownSizes(n, now)
	case "sequential": // "everything before"
		r.floor = now
	}
	r.closeMust()
}

// syncData: "cells, and the size if it grew". What was written must be readable,
// so no size smaller than now's is left; a larger one, from before a cut, is, and
// with it the cells that were cut off whole, unless the preset covers a cut.
func (r *run) syncData(n, now int) {
	f := r.things[n]
	if r.opt.dataSyncCoversCut() {
		r.dataDurable(f, now, int64(len(f.data)))
		for i := range f.sizes[:len(f.sizes)-1] {
			f.sizes[i].gone = true
		}
		r.ownSizes(n, now)
		r.closeMust()
	} else {
		r.dataDurable(f, now, f.size)
		for i := range f.sizes {
			f.sizes[i].gone = f.sizes[i].gone || f.sizes[i].size < f.size
		}
	}
	if r.opt.Preset == "sequential" {
		r.floor = now
	}
}

// dataDurable makes the cells that begin before end durable.
func (r *run) dataDurable(f *thing, now int, end int64) {
	f.settled = now
	for _, c := range f.contents {
		for _, cell := range c.cells {
			if int64(cell)*int64(r.opt.Cell) < end {
				f.durable[cell] = c.op
			}
		}
	}
}

// syncDir: "its pending operations; for a rename, both sides". A directory is an
// inode too, so what a sync of a file covers besides, this one does as well.
func (r *run) syncDir(dir, now int) {
	for _, c := range r.names {
		if c.from.name != "" && c.from.dir == dir || c.to.name != "" && c.to.dir == dir {
			r.must[c.op] = true
		}
	}
	switch r.opt.Preset {
	case "ext4", "ext4-writeback", "xfs":
		r.all(r.lastOwn(dir, now) + 1)
	case "btrfs":
		r.ownNames(dir, now)
	case "sequential":
		r.floor = now
	}
	r.closeMust()
}

// closeMust: what is durable has what comes before it durable, on the same name or,
// where metadata is there as a prefix, anywhere.
func (r *run) closeMust() {
	if r.opt.prefix() && r.opt.Preset != "btrfs" {
		for op := range r.must {
			r.all(op)
		}
	}
	for again := true; again; {
		again = false
		for _, late := range r.names {
			for _, early := range r.names {
				if early.op < late.op && early.shares(late) && r.must[late.op] && !r.must[early.op] {
					r.must[early.op] = true
					again = true
				}
			}
		}
	}
}

// flush says that a rename which replaces a file is on the platter only with the
// data that the new file had by then, and the size that its writes had made.
type flush struct {
	op     int
	newest map[int]int // cell → the operation that changed it last
	size   sizeChange
}

func (r *run) flushBeforeReplacing(n, now int) {
	f := r.things[n]
	if !r.opt.replacingFlushes() || f.dir {
		return
	}
	fl := flush{op: now, newest: map[int]int{}, size: f.sizes[len(f.sizes)-1]}
	for _, c := range f.contents {
		for _, cell := range c.cells {
			if _, there := r.lastWithout(f, pageOf(int64(cell)*int64(r.opt.Cell))); r.opt.onlyNewPages() && there {
				continue
			}
			fl.newest[cell] = c.op
		}
	}
	f.flushes = append(f.flushes, fl)
}

// metaSets returns the sets of metadata operations that may be on the platter.
func (r *run) metaSets() []map[int]bool {
	var sets []map[int]bool
	switch r.opt.Preset {
	case "posix": // "any subset that respects the order on one name"
		for bits := range 1 << len(r.names) {
			set := map[int]bool{}
			for i, c := range r.names {
				if bits>>i&1 == 1 {
					set[c.op] = true
				}
			}
			if r.respectsNames(set) && r.hasMust(set) {
				sets = append(sets, set)
			}
		}
	default: // "a prefix of all metadata operations"
		for n := range len(r.metas) + 1 {
			set := map[int]bool{}
			for _, op := range r.metas[:n] {
				set[op] = true
			}
			if r.opt.Preset == "btrfs" { // "a synced inode's own names may run ahead"
				for op := range r.must {
					set[op] = true
				}
			}
			if r.hasMust(set) {
				sets = append(sets, set)
			}
		}
	}
	return sets
}

func (r *run) respectsNames(set map[int]bool) bool {
	for _, late := range r.names {
		for _, early := range r.names {
			if early.op < late.op && early.shares(late) && set[late.op] && !set[early.op] {
				return false
			}
		}
	}
	return true
}

func (r *run) hasMust(set map[int]bool) bool {
	for op := range r.must {
		if !set[op] {
			return false
		}
	}
	return true
}

// sizesUnder returns the candidates for a file's size when just these metadata
// operations are on the platter: what came before the last of the file's own
// among them is over, and what came after the first that is missing is not yet.
func (r *run) sizesUnder(f *thing, set map[int]bool) []sizeChange {
	over, notYet := -1, r.last+1
	if r.opt.prefix() {
		over = f.sizes[0].op // its creation, seen or not
		for _, s := range f.sizes[1:] {
			if s.meta && set[s.op] {
				over = s.op
			}
			if s.meta && !set[s.op] {
				notYet = min(notYet, s.op)
			}
		}
	}
	var candidates []sizeChange
	for _, s := range f.sizes {
		if !s.gone && s.op >= over && s.op < notYet {
			candidates = append(candidates, s)
		}
	}
	return candidates
}

// legal says whether a file may have this size while its cells have these
// versions (cell → operation, -1 for before all).
func (r *run) legal(f *thing, set map[int]bool, size sizeChange, version map[int]int) bool {
	if r.opt.sizeNeedsData() && !size.meta {
		lastPage := pageOf(size.size - 1)
		for _, c := range f.contents {
			for _, cell := range c.cells {
				if c.op <= size.since && pageOf(int64(cell)*int64(r.opt.Cell)) == lastPage && version[cell] < c.op {
					return false
				}
			}
		}
	}
	for _, fl := range f.flushes {
		if set[fl.op] {
			for cell, op := range fl.newest {
				if version[cell] < op {
					return false
				}
			}
			if size.op < fl.size.op {
				return false
			}
		}
	}
	if r.opt.cutIsMetadata() {
		for _, c := range f.contents {
			for _, cell := range c.cells {
				there := version[cell] >= c.op
				if c.cut && (set[c.op] && !there || !set[c.op] && there && !r.inTail(c, cell)) {
					return false
				}
			}
		}
	}
	return true
}

func pageOf(offset int64) int64 { return offset / page }

// lastWithout returns the last operation after which a file, as it may be on the
// platter by now, does not reach into a page; there if it always does.
func (r *run) lastWithout(f *thing, p int64) (op int, there bool) {
	there = true
	for _, s := range f.sizes {
		if s.meta && r.must[s.op] {
			there = true // what was before is over
		}
		if !s.gone && s.size <= p*page {
			op, there = s.op, false
		}
	}
	return op, there
}

// bytesSince returns the operation whose bytes the last page must have of a size
// that a write is making now: that write; where only new pages count, the first
// that wrote to the page since it was not there, or -1 where it always was.
func (r *run) bytesSince(f *thing, now int, size int64) int {
	if !r.opt.onlyNewPages() {
		return now
	}
	without, there := r.lastWithout(f, pageOf(size-1))
	if there {
		return -1
	}
	for _, c := range f.contents {
		for _, cell := range c.cells {
			if !c.cut && c.op > without && pageOf(int64(cell)*int64(r.opt.Cell)) == pageOf(size-1) {
				return c.op
			}
		}
	}
	return now
}
