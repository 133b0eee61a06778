package simfs

import "slices"

// Within reports whether every disk that m stands for is one that o stands for,
// now and after any further operations and crashes, so that nothing can be found
// from m that cannot be found from o.
//
// It is careful rather than complete: it says false wherever something ties
// variables together in either image (a rename, an extent, an open journal, a size
// that needs a page; see Parts), and for what a process kill leaves pending.
func (m *Image) Within(o *Image) bool {
	if m == o {
		return true
	}
	a, b := &m.d, &o.d
	if a.cfg != b.cfg && !a.cfg.same(b.cfg) || len(a.atoms) > 0 || len(b.atoms) > 0 {
		return false
	}
	for _, g := range a.graves {
		if !slices.ContainsFunc(b.graves, func(h grave) bool { return h.cell == g.cell && sameContent(h.c, g.c) }) {
			return false
		}
	}
	w := within{a: a, b: b, killed: m.kind == ProcessKill || o.kind == ProcessKill}
	w.todo = w.few[2][:0]
	if n := max(len(a.inodes), len(b.inodes)); n > len(w.few[0]) {
		w.to, w.from = make([]int32, n), make([]int32, n)
	} else {
		w.to, w.from = w.few[0][:n], w.few[1][:n]
	}
	w.to[0], w.from[0] = 1, 1
	w.todo = append(w.todo, 0)
	for len(w.todo) > 0 {
		n := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if !w.inode(a.inodes[n], b.inodes[w.to[n]-1]) {
			return false
		}
	}
	return true
}

// same reports whether two configurations make the same disks. Clocks and logs do
// not matter.
func (c *config) same(o *config) bool {
	return c.g == o.g && c.unit == o.unit && c.alpha == o.alpha && (c.block == nil) == (o.block == nil) &&
		(c.block == nil || sameContent(c.block, o.block))
}

// within compares two disks along a pairing of their inodes.
type within struct {
	a, b     *disk
	to, from []int32     // the partner of an inode, plus 1, in either direction
	todo     []int32     // inodes of a that have a partner and were not compared
	few      [3][8]int32 // room for the usual number
	killed   bool        // one of them may have something pending
}

// pair makes two inodes partners, for good.
func (w *within) pair(n, k int64) bool {
	if w.to[n] == 0 && w.from[k] == 0 {
		w.to[n], w.from[k] = int32(k)+1, int32(n)+1
		w.todo = append(w.todo, int32(n))
		return true
	}
	return w.to[n] == int32(k)+1
}

func (w *within) inode(m, o *inode) bool {
	if m.dir != o.dir || m.mode != o.mode {
		return false
	}
	if m.dir {
		return w.names(m, o)
	}
	if w.killed && (w.a.pending(m) || w.b.pending(o)) {
		return false
	}
	if m == o {
		return true
	}
	return w.size(m, o) && w.cells(m, o)
}

// pending reports whether a process kill left something of a file pending.
func (d *disk) pending(in *inode) bool {
	if in.szch != nil && d.current(in.szch) {
		return true
	}
	for _, list := range [2][]int32{in.undec, in.marks} {
		for _, c := range list {
			if ch := in.cellOf(c).ch; ch != nil && d.current(ch) {
				return true
			}
		}
	}
	return false
}

// names compares two directories.
func (w *within) names(m, o *inode) bool {
	var few [2][4]int64
	mine, theirs := few[0][:0], few[1][:0]
	i, k := 0, 0
	for i < len(m.ents) || k < len(o.ents) {
		var x, y *entry
		if i < len(m.ents) {
			x = &m.ents[i]
		}
		if k < len(o.ents) {
			y = &o.ents[k]
		}
		if x != nil && y != nil && x.name != y.name {
			if x.name < y.name {
				y = nil
			} else {
				x = nil
			}
		}
		var ok, same bool
		if mine, ok = w.a.choices(x, mine[:0]); !ok {
			return false
		}
		if theirs, ok = w.b.choices(y, theirs[:0]); !ok {
			return false
		}
		if x != nil {
			i++
		}
		if y != nil {
			k++
		}
		for _, n := range mine {
			same = slices.Contains(theirs, n)
			switch {
			case n == none && !same:
				return false
			case n == none:
			case w.to[n] != 0:
				if !slices.Contains(theirs, int64(w.to[n]-1)) {
					return false
				}
			case same:
				if !w.pair(n, n) {
					return false
				}
			default:
				// Not of one lineage: only where there is a single partner to choose.
				n2, ok := only(theirs)
				if _, alone := only(mine); !ok || !alone || !w.pair(n, n2) {
					return false
				}
			}
		}
	}
	return true
}

// choices adds to to what a name may stand for; false where a process kill left it
// pending.
func (d *disk) choices(e *entry, to []int64) ([]int64, bool) {
	switch {
	case e == nil:
		return append(to, none), true
	case e.ch == nil:
		return append(to, e.ino), true
	case d.current(e.ch):
		return nil, false
	}
	for _, v := range e.ch.vs {
		if !slices.Contains(to, v.n) {
			to = append(to, v.n)
		}
	}
	return to, true
}

// only returns the one inode in a list of choices.
func only(all []int64) (int64, bool) {
	found, n := none, 0
	for _, x := range all {
		if x != none {
			found, n = x, n+1
		}
	}
	return found, n == 1
}

// size compares the sizes of two files, none of them pending.
func (w *within) size(m, o *inode) bool {
	if w.a.needsPage(m) || w.b.needsPage(o) {
		return false
	}
	if m.szch == nil {
		return o.mayBe(m.size)
	}
	for _, v := range m.szch.vs {
		if !o.mayBe(v.n) {
			return false
		}
	}
	return true
}

// mayBe reports whether a file, whose size is not pending, may have this size.
func (in *inode) mayBe(n int64) bool {
	if in.szch == nil {
		return in.size == n
	}
	return slices.ContainsFunc(in.szch.vs, func(v ver) bool { return v.n == n })
}

// needsPage reports whether a size that is undecided needs a page that is.
func (d *disk) needsPage(in *inode) bool {
	if !d.cfg.g.SizeAfterData || in.szch == nil || alike(refSize, in.szch) {
		return false
	}
	for _, v := range in.szch.vs {
		if v.n == 0 {
			continue
		}
		first := (v.n - 1) / PageSize * PageSize / d.cfg.unit
		for c := first; c < first+PageSize/d.cfg.unit; c++ {
			if in.cellOf(int32(c)).ch != nil {
				return true
			}
		}
	}
	return false
}

// cells compares the cells of two files, none of them pending.
func (w *within) cells(m, o *inode) bool {
	var nothing group
	for g := range max(len(m.groups), len(o.groups)) {
		x, y := &nothing, &nothing
		if g < len(m.groups) && m.groups[g] != nil {
			x = m.groups[g]
		}
		if g < len(o.groups) && o.groups[g] != nil {
			y = o.groups[g]
		}
		if x == y {
			continue
		}
		for k := range x.chunks {
			p, q := x.chunks[k], y.chunks[k]
			if p == q {
				continue
			}
			for i := range chunkCells {
				var mine, theirs cell
				if p != nil {
					mine = p.cells[i]
				}
				if q != nil {
					theirs = q.cells[i]
				}
				if !w.cell(mine, theirs) {
					return false
				}
			}
		}
	}
	return true
}

// cell compares two cells.
func (w *within) cell(m, o cell) bool {
	switch {
	case m.ch == nil && o.ch == nil:
		return sameContent(m.cur, o.cur)
	case m.ch == nil && w.a.covers():
		return false // a later write may leave garbage where nothing was written, and only there
	case m.ch == nil:
		return o.mayHold(m.cur) && (!w.a.cfg.alpha.Stale || o.buries(m.cur))
	}
	for _, v := range m.ch.vs {
		if !o.mayHold(v.c) || w.a.cfg.alpha.Stale && !v.foreign() && !o.buries(v.c) {
			return false
		}
	}
	return !w.a.cfg.alpha.Stale || o.buries(m.cur)
}

// mayHold reports whether a cell, which is not pending, may hold a content.
func (p cell) mayHold(c *content) bool {
	if p.ch == nil {
		return sameContent(p.cur, c)
	}
	return slices.ContainsFunc(p.ch.vs, func(v ver) bool { return sameContent(v.c, c) })
}

// buries reports whether a content will be remembered when the file goes.
func (p cell) buries(c *content) bool {
	if sameContent(p.cur, c) {
		return true
	}
	return p.ch != nil && slices.ContainsFunc(p.ch.vs, func(v ver) bool { return !v.foreign() && sameContent(v.c, c) })
}
