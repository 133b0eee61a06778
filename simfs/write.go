package simfs

// known decides cell c if it is undecided. in must be d's own and stays valid.
func (d *disk) known(in *inode, c int32, path string) {
	if ch := in.cellOf(c).ch; d.undecided(ch) {
		d.decide(ref{kind: refCells, ino: in.ino, c0: c, c1: c + 1}, path)
		d.flatten(in, c)
	}
}

// flatten drops the chain of an older epoch whose versions all say the same, so
// that the cell can be written.
func (d *disk) flatten(in *inode, c int32) {
	p := in.cellOf(c)
	if d.undecided(p.ch) && alike(refCells, p.ch) {
		q := d.mutCell(in, c)
		q.cur, q.ch = p.ch.vs[0].c, nil
	}
}

// pend returns cell c with a pending chain. It must not be undecided.
func (d *disk) pend(in *inode, c int32) *cell {
	p := d.mutCell(in, c)
	switch {
	case p.ch == nil:
		p.ch = d.newChain(ver{c: p.cur})
		in.marks = append(in.marks, c)
	case p.ch.own != d.own:
		p.ch = d.ownChain(p.ch)
	}
	return p
}

// sizeNow returns the size that reads see, deciding it.
func (d *disk) sizeNow(ino int32, path string) int64 {
	if d.undecided(d.inodes[ino].szch) {
		d.decide(ref{kind: refSize, ino: ino}, path)
		if in := d.inodes[ino]; d.undecided(in.szch) { // all versions say the same
			d.fix(ref{kind: refSize, ino: ino}, in.szch.vs[0])
		}
	}
	return d.inodes[ino].size
}

// leastSize returns the size that is certain, and whether it is the size.
func (d *disk) leastSize(in *inode) (int64, bool) {
	if !d.undecided(in.szch) {
		return in.size, true
	}
	least, sure := in.szch.vs[0].n, true
	for _, v := range in.szch.vs {
		sure = sure && v.n == in.szch.vs[0].n
		least = min(least, v.n)
	}
	return least, sure
}

// write puts b at off, which may be past the end. path names the file to a Chooser.
func (d *disk) write(ino int32, off int64, b []byte, path string) {
	if len(b) == 0 {
		return
	}
	if d.cfg.g.Sequential {
		d.decideJournal()
	}
	end := off + int64(len(b))
	if least, sure := d.leastSize(d.inodes[ino]); !sure && end > least {
		d.sizeNow(ino, path)
	}
	in := d.mut(ino)
	if in.anyClean {
		d.redirty(in, off, end)
	}
	if size, _ := d.leastSize(in); d.undecided(in.szch) && end > size {
		d.fix(ref{kind: refSize, ino: ino}, in.szch.vs[0]) // they all say the same
		in = d.mut(ino)
	}
	if size, sure := d.leastSize(in); sure && end > size {
		d.cover(in, size, off, end, path)
		in = d.mut(ino)
	}
	d.harm(in, off, end, path)
	u := d.cfg.unit
	c0, c1 := int32(off/u), int32((end+u-1)/u)
	grows := !d.undecided(in.szch) && end > in.size
	var id int32
	if d.cfg.g.Sequential || d.cfg.g.Extents {
		for c := c0; c < c1; c++ {
			if ch := in.cellOf(c).ch; d.undecided(ch) {
				d.known(in, c, path)
				in = d.mut(ino)
			}
		}
		a := atom{journal: d.cfg.g.Sequential, ino: ino}
		a.add(ref{kind: refCells, ino: ino, c0: c0, c1: c1})
		if grows {
			a.add(ref{kind: refSize, ino: ino})
		}
		if a.journal || grows || c1-c0 > 1 {
			id = d.newAtom(a)
		}
	}
	uncovered := int64(1) << 62
	if d.covers() {
		uncovered = in.platterSize()
	}
	for c := c0; c < c1; c++ {
		from, to := max(off, int64(c)*u), min(end, int64(c+1)*u)
		d.writeCell(in, c, from-int64(c)*u, b[from-off:to-off], id, int64(c)*u >= uncovered, whyWrite, path)
	}
	if grows {
		page := d.pageSince(in, end)
		d.setSize(in, end, id, whyWrite)
		if n := len(in.szch.vs) - 1; in.szch.vs[n].seq == d.seq {
			in.szch.vs[n].page = page
		}
	}
	in.high = max(in.high, end)
	in.mtime = d.cfg.now()
}

// writeCell gives a cell a new version: b at position at, the rest as it was.
func (d *disk) writeCell(in *inode, c int32, at int64, b []byte, id int32, uncovered bool, why reason, path string) {
	p := in.cellOf(c)
	whole := int64(len(b)) == d.cfg.unit
	if d.undecided(p.ch) && (!whole || p.ch.coupled() || id != 0) {
		d.known(in, c, path)
		p = in.cellOf(c)
	}
	open := d.undecided(p.ch)
	if open {
		q := d.mutCell(in, c)
		q.ch = d.ownChain(q.ch)
		q.ch.epoch, q.ch.clean = d.epoch, false
		in.marks = append(in.marks, c)
	} else if same(p.cur, at, b) && !(uncovered && p.ch == nil) {
		return
	}
	next := d.over(p.cur, at, b)
	first := p.ch == nil
	q := d.pend(in, c)
	if first && uncovered {
		d.uncertain(c, q.ch)
	}
	q.ch.clean = false
	if !whole && d.cfg.unit == PageSize && !d.cfg.g.Powersafe {
		bad := d.over(d.cfg.block, at, b)
		q.ch.vs = append(q.ch.vs, ver{c: bad, seq: d.seq, why: whyGarbage})
	}
	q.cur = next
	v := ver{c: next, seq: d.seq, atom: id, why: why}
	if n := len(q.ch.vs) - 1; n > 0 && q.ch.vs[n].why == whyZero && q.ch.vs[n].seq == d.seq {
		q.ch.vs[n] = v // zeros that this operation put there first never are there alone
		return
	}
	q.ch.vs = append(q.ch.vs, v)
}

// same reports whether a cell already holds b at position at.
func same(cur *content, at int64, b []byte) bool {
	if cur == nil {
		return isZero(b)
	}
	have := cur.b[min(at, int64(len(cur.b))):]
	have = have[:min(len(have), len(b))]
	return string(have) == string(b[:len(have)]) && isZero(b[len(have):])
}

// over returns a cell's bytes with b written over them at position at.
func (d *disk) over(old *content, at int64, b []byte) *content {
	var was []byte
	if old != nil {
		was = old.b
	}
	n := len(was)
	if end := int(at) + len(b); end >= n {
		if b = trimmed(b); len(b) > 0 {
			n = int(at) + len(b)
		} else {
			n = len(trimmed(was[:min(n, int(at))]))
		}
	}
	if n == 0 {
		return nil
	}
	c := d.fresh(n)
	old.part(c.b, 0)
	if len(b) > 0 {
		copy(c.b[at:], b)
	}
	return c
}

// redirty makes pages that a failed sync marked clean pending again where a write
// touches them, whatever it writes.
func (d *disk) redirty(in *inode, off, end int64) {
	u := d.cfg.unit
	for c := off / PageSize * PageSize / u; c < (end+PageSize-1)/PageSize*PageSize/u; c++ {
		if ch := in.cellOf(int32(c)).ch; ch != nil && d.current(ch) && ch.clean {
			d.dirty(in, int32(c))
		}
	}
}

// dirty makes a clean cell pending again.
func (d *disk) dirty(in *inode, c int32) {
	q := d.pend(in, c)
	q.ch.clean = false
	if last := q.ch.vs[len(q.ch.vs)-1]; !sameContent(last.c, q.cur) {
		q.ch.vs = append(q.ch.vs, ver{c: q.cur, seq: d.seq, why: whyWrite})
	}
	in.marks = append(in.marks, c)
}

// setSize makes n the live size; on the platter it is a version more.
func (d *disk) setSize(in *inode, n int64, id int32, why reason) {
	if in.size == n && d.current(in.szch) {
		return
	}
	if in.szch == nil {
		in.szch = d.newChain(ver{n: in.size})
	} else {
		in.szch = d.ownChain(in.szch)
	}
	in.szch.clean = false
	in.size = n
	in.szch.vs = append(in.szch.vs, ver{n: n, seq: d.seq, atom: id, why: why})
}

// pageSince returns the operation from which on the last page of a new size must
// have its bytes: the write under way; with NewPages the first that put something
// into the page since it was last not on the platter, or durable where it is there.
func (d *disk) pageSince(in *inode, size int64) int32 {
	if !d.cfg.g.NewPages {
		return d.seq
	}
	start := (size - 1) / PageSize * PageSize
	gone := durable - 1
	if in.szch == nil && in.size <= start {
		gone = durable
	} else if in.szch != nil {
		for _, v := range in.szch.vs {
			if v.n <= start {
				gone = max(gone, v.seq)
			}
		}
	}
	if gone < durable {
		return durable
	}
	first := d.seq
	u := d.cfg.unit
	d.each(ref{kind: refCells, ino: in.ino, c0: int32(start / u), c1: int32((start + PageSize) / u)}, func(_ ref, ch *chain) {
		for _, v := range ch.vs {
			if v.why == whyWrite && v.seq > gone {
				first = min(first, v.seq)
			}
		}
	})
	return first
}

// cover makes sure that the bytes between the end of the file and its new end
// read as zero, except what [off, end) is about to write.
func (d *disk) cover(in *inode, size, off, end int64, path string) {
	if in.high > size {
		d.zero(in, size, min(in.high, end), 0, whyZero, path)
	}
	if off > size && d.cfg.g.GarbageUncovered && d.covers() {
		d.coverHoles(in, size, off)
	}
}

// coverHoles gives the cells of a range that no write fills what may stand there
// once the size is on the platter and their zeros are not.
func (d *disk) coverHoles(in *inode, from, to int64) {
	u := d.cfg.unit
	for c := (from + u - 1) / u; c < (to+u-1)/u; c++ {
		p := in.cellOf(int32(c))
		if p.ch == nil && p.cur == nil {
			q := d.pend(in, int32(c))
			d.uncertain(int32(c), q.ch)
		}
	}
}

// zero makes the bytes from ≤ x < to zero in the live file.
func (d *disk) zero(in *inode, from, to int64, id int32, why reason, path string) {
	u := d.cfg.unit
	for c := from / u; c*u < to; c++ {
		p := in.cellOf(int32(c))
		if p.cur == nil && p.ch == nil {
			continue
		}
		at := max(from, c*u) - c*u
		n := min(to, (c+1)*u) - c*u - at
		if at == 0 && (c+1)*u > to {
			n = u // nothing lives behind the range
		}
		d.writeCell(in, int32(c), at, zeros[:n], id, false, why, path)
	}
}

// pageEnd returns n, rounded up to whole pages.
func pageEnd(n int64) int64 { return (n + PageSize - 1) / PageSize * PageSize }

// truncate sets the size of a file; cut or grown bytes read as zero.
func (d *disk) truncate(ino int32, n int64, why reason, path string) {
	d.decideJournal()
	size := d.sizeNow(ino, path)
	in := d.mut(ino)
	d.flattenSize(in)
	if n == size {
		return
	}
	u := d.cfg.unit
	from := min(n, size)
	last := max(in.high, from)
	if why == whyPreallocate || n > size {
		last = min(last, n)
	}
	c0, c1 := int32(from/u), int32((last+u-1)/u)
	for c := c0; c < c1; c++ {
		if d.cfg.g.Journal && d.undecided(in.cellOf(c).ch) {
			d.known(in, c, path)
			in = d.mut(ino)
		}
	}
	if in.anyClean {
		d.redirty(in, from, last)
	}
	var id int32
	if d.cfg.g.Journal {
		a := atom{journal: true, ino: ino}
		a.add(ref{kind: refSize, ino: ino})
		if c1 > c0 {
			a.add(ref{kind: refCells, ino: ino, c0: c0, c1: c1})
		}
		id = d.newAtom(a)
		in.meta = id
	}
	if last > from {
		zid := id
		if n > size && !d.cfg.g.Sequential {
			zid = 0
		}
		if tail := pageEnd(n); n < size && id != 0 && !d.cfg.g.Sequential && !d.cfg.g.Extents && tail > n {
			d.zero(in, n, min(last, tail), id, whyTail, path) // written back like any page, before the journal is
			from = min(last, tail)
		}
		d.zero(in, from, last, zid, whyZero, path)
	}
	if n > size && d.cfg.g.GarbageUncovered && d.covers() {
		d.coverHoles(in, size, n)
	}
	d.setSize(in, n, id, why)
	in.mtime = d.cfg.now()
}

// flattenSize drops the chain of an older epoch whose versions all say the same.
func (d *disk) flattenSize(in *inode) {
	if d.undecided(in.szch) && alike(refSize, in.szch) {
		in.size, in.szch = in.szch.vs[0].n, nil
	}
}

// syncCells makes the cells of a file durable that start before byte below.
func (d *disk) syncCells(in *inode, below int64) {
	keep := in.marks[:0]
	var coupled []int32
	for _, c := range in.marks {
		ch := in.cellOf(c).ch
		if ch == nil || !d.current(ch) {
			continue
		}
		if ch.clean {
			keep = append(keep, c)
			continue
		}
		if int64(c)*d.cfg.unit >= below {
			keep = append(keep, c)
			continue
		}
		if ch.coupled() {
			coupled = append(coupled, c)
			continue
		}
		p := d.mutCell(in, c)
		p.ch = nil
		d.release(in, c, ch, p.cur)
	}
	in.marks = keep
	for _, c := range coupled {
		r := ref{kind: refCells, ino: in.ino, c0: c, c1: c + 1}
		if ch := d.chainOf(r); ch != nil {
			d.raise(r, len(ch.vs)-1, d.cfg.g.FileSync == SyncOwnNames)
		}
	}
}

// sync makes a file's cells and size durable, and what else the preset says.
func (d *disk) sync(ino int32, dataOnly bool) {
	in := d.mut(ino)
	g := &d.cfg.g
	below := int64(1) << 62
	if dataOnly && !g.DataSyncShrinks {
		below = in.size
		if !d.current(in.szch) {
			below = 1 << 62
		}
	}
	d.syncCells(in, below)
	if ch := in.szch; ch != nil && d.current(ch) && !ch.clean {
		r := ref{kind: refSize, ino: ino}
		switch {
		case !dataOnly || g.DataSyncShrinks:
			if ch.coupled() {
				d.raise(r, len(ch.vs)-1, d.cfg.g.FileSync == SyncOwnNames)
			} else {
				in.szch = nil
				d.release(in, -1, ch, nil)
			}
		default:
			d.growSize(in, ch)
		}
	}
	if in = d.inodes[ino]; in.szch == nil && len(in.marks) == 0 && len(in.undec) == 0 {
		in.high = in.size
	}
	if !dataOnly || g.FileSync == SyncEverything {
		d.commitWith(ino)
	}
}

// commitWith makes the metadata operations durable that a sync of an inode
// covers.
func (d *disk) commitWith(ino int32) {
	switch d.cfg.g.FileSync {
	case SyncEverything, SyncAll:
		d.commit()
		if !d.cfg.g.Journal {
			for dir := range d.inodes {
				if d.inodes[dir] != nil {
					d.syncNames(int32(dir), func(ver) bool { return true })
				}
			}
		}
	case SyncEarlier:
		d.commitTo(d.inodes[ino].meta)
	case SyncOwnNames:
		d.ownNames(ino)
	}
}

// growSize drops every pending size that is smaller than the live one.
func (d *disk) growSize(in *inode, ch *chain) {
	ch = d.ownChain(ch)
	kept := ch.vs[:0:0]
	carried := int32(0)
	for _, v := range ch.vs {
		if v.n < in.size {
			if v.atom != 0 && v.why != whyFlush {
				carried = v.atom
			}
			continue
		}
		switch {
		case v.atom == 0:
			v.atom = carried
		case carried != 0 && v.why != whyFlush:
			d.bind(v.atom, carried)
		}
		carried = 0
		kept = append(kept, v)
	}
	first := kept[0].atom
	if kept[0].why == whyFlush {
		first = 0 // the size may be there without the rename
	}
	kept[0].atom, kept[0].seq = 0, durable
	ch.vs = kept
	d.setChain(ref{kind: refSize, ino: in.ino}, ch)
	if first != 0 {
		d.apply(first, d.cfg.g.FileSync == SyncOwnNames)
	}
}

// bind makes an atom need another one, if it needs none yet.
func (d *disk) bind(id, after int32) {
	if i := d.atomAt(id); i >= 0 && d.atoms[i].after == 0 && d.atomAt(after) >= 0 {
		d.atoms = append([]atom(nil), d.atoms...)
		d.atoms[i].after = after
	}
}

// commit makes every pending metadata operation durable; on a sequential disk
// that is every operation.
func (d *disk) commit() {
	for i := len(d.atoms) - 1; i >= 0; i-- {
		if d.atoms[i].journal && d.atoms[i].epoch == d.epoch {
			d.apply(d.atoms[i].id, false)
			return
		}
	}
}

// commitTo makes the metadata operations up to an atom durable.
func (d *disk) commitTo(id int32) {
	if i := d.atomAt(id); i >= 0 && d.atoms[i].epoch == d.epoch {
		d.apply(id, false)
	}
}

// ownNames makes the names of an inode durable ahead of the journal, or where
// there is none.
func (d *disk) ownNames(ino int32) {
	if !d.cfg.g.Journal {
		for dir := range d.inodes {
			if d.inodes[dir] != nil {
				d.syncNames(int32(dir), func(v ver) bool { return v.n == int64(ino) })
			}
		}
		return
	}
	var ids []int32
	for i := range d.atoms {
		if a := &d.atoms[i]; a.journal && a.ino == ino && a.epoch == d.epoch {
			ids = append(ids, a.id)
		}
	}
	for _, id := range ids {
		d.apply(id, true)
	}
}
