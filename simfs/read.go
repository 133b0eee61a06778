package simfs

// read fills p from off and reports whether the file ends there. lazy stops before
// the first undecided cell, or before the first undecided byte of the size, once
// something has been read.
func (d *disk) read(ino int32, p []byte, off int64, lazy bool, path string) (n int, end bool) {
	want := off + int64(len(p))
	limit, sure := d.leastSize(d.inodes[ino])
	if !sure && want > limit {
		if !lazy || off >= limit {
			limit, sure = d.sizeNow(ino, path), true
		}
	} else if !sure {
		limit = want
	}
	if off >= limit {
		return 0, sure
	}
	stop := min(want, limit)
	u := d.cfg.unit
	for off < stop {
		c := int32(off / u)
		cur, ok := d.cellNow(ino, c, lazy && n > 0, path)
		if !ok {
			return n, false
		}
		at := off - int64(c)*u
		k := min(stop-off, u-at)
		cur.part(p[n:n+int(k)], at)
		n += int(k)
		off += k
	}
	return n, sure && off >= limit
}

// cellNow returns what reads of cell c see, deciding it unless leave is set.
func (d *disk) cellNow(ino, c int32, leave bool, path string) (cur *content, ok bool) {
	p := d.inodes[ino].cellOf(c)
	if !d.undecided(p.ch) {
		return p.cur, true
	}
	if alike(refCells, p.ch) {
		return p.ch.vs[0].c, true
	}
	if leave {
		return nil, false
	}
	d.decide(ref{kind: refCells, ino: ino, c0: c, c1: c + 1}, path)
	p = d.inodes[ino].cellOf(c)
	if d.undecided(p.ch) {
		return p.ch.vs[0].c, true
	}
	return p.cur, true
}
