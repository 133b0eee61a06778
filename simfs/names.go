package simfs

// lookup returns the inode of a name in a directory, deciding it, or none.
func (d *disk) lookup(dir int32, name, path string) int64 {
	in := d.inodes[dir]
	i, ok := in.find(name)
	if !ok {
		return none
	}
	e := &in.ents[i]
	if !d.undecided(e.ch) {
		return e.ino
	}
	d.decide(ref{kind: refName, ino: dir, name: name}, path)
	in = d.inodes[dir]
	if i, ok = in.find(name); !ok {
		return none
	}
	if e = &in.ents[i]; d.undecided(e.ch) {
		return e.ch.vs[0].n // all versions say the same
	}
	return e.ino
}

// setName makes a name stand for another inode, or none. The name must have been
// looked up.
func (d *disk) setName(dir int32, name string, ino int64, id int32) {
	in := d.mut(dir)
	i, ok := in.find(name)
	if !ok {
		in.ents = append(in.ents, entry{})
		copy(in.ents[i+1:], in.ents[i:])
		in.ents[i] = entry{name: name, ino: none}
	}
	e := &in.ents[i]
	if d.undecided(e.ch) {
		e.ino, e.ch = e.ch.vs[0].n, nil
	}
	if e.ch == nil {
		e.ch = d.newChain(ver{n: e.ino})
	} else {
		e.ch = d.ownChain(e.ch)
	}
	why := whyLink
	if ino == none {
		why = whyUnlink
	}
	e.ino = ino
	e.ch.clean = false
	e.ch.vs = append(e.ch.vs, ver{n: ino, seq: d.seq, atom: id, why: why})
	in.stirred = true
	in.mtime = d.cfg.now()
	if id != 0 {
		in.meta = id
	}
}

// link gives a new inode its name.
func (d *disk) link(dir int32, name string, ino int32) {
	d.setName(dir, name, int64(ino), d.nameAtom(ino, dir, name))
}

// unlink takes a name away.
func (d *disk) unlink(dir int32, name string, ino int32) {
	id := d.nameAtom(ino, dir, name)
	d.setName(dir, name, none, id)
	d.orphaned = true
}

// nameAtom makes the atom of an operation on one name, where there is a journal.
func (d *disk) nameAtom(ino, dir int32, name string) int32 {
	if !d.cfg.g.Journal {
		return 0
	}
	a := atom{journal: true, ino: ino}
	a.add(ref{kind: refName, ino: dir, name: name})
	id := d.newAtom(a)
	d.mut(ino).meta = id
	return id
}

// rename moves an inode from one name to another. target is what the new name
// stood for, or none.
func (d *disk) rename(ino int32, dir1 int32, name1 string, dir2 int32, name2 string, target int64) {
	g := &d.cfg.g
	from, to := ref{kind: refName, ino: dir1, name: name1}, ref{kind: refName, ino: dir2, name: name2}
	if g.SplitRename {
		if target != none {
			d.unlink(dir2, name2, int32(target))
		}
		a := atom{journal: g.Journal, ino: ino}
		a.add(to)
		come := d.newAtom(a)
		d.setName(dir2, name2, int64(ino), come)
		a = atom{journal: g.Journal, ino: ino, after: come}
		a.add(from)
		gone := d.newAtom(a)
		d.setName(dir1, name1, none, gone)
		d.mut(ino).meta = gone
	} else {
		a := atom{journal: g.Journal, ino: ino}
		a.add(to)
		a.add(from)
		in := d.mut(ino)
		flush := g.RenameFlush && target != none && !in.dir
		if flush {
			a.add(ref{kind: refSize, ino: ino})
			a.add(ref{kind: refCells, ino: ino, c0: 0, c1: in.cells()})
		}
		id := d.newAtom(a)
		d.setName(dir2, name2, int64(ino), id)
		d.setName(dir1, name1, none, id)
		in = d.mut(ino)
		in.meta = id
		if flush {
			d.flush(in, id)
		}
		if target != none {
			d.mut(int32(target)).meta = id
		}
	}
	if target != none {
		d.orphaned = true
	}
}

// flush makes an atom come only with the data and the size that a file has now.
func (d *disk) flush(in *inode, id int32) {
	there := int64(0) // with NewPages, pages that begin below are on the platter and not flushed
	if d.cfg.g.NewPages {
		there = in.platterSize()
	}
	for _, c := range in.marks {
		if int64(c)*d.cfg.unit/PageSize*PageSize < there {
			continue
		}
		if ch := in.cellOf(c).ch; ch != nil && d.current(ch) && !ch.clean && ch.vs[len(ch.vs)-1].atom != id {
			p := d.pend(in, c)
			p.ch.vs = append(p.ch.vs, ver{c: p.cur, seq: d.seq, atom: id, why: whyFlush})
		}
	}
	if ch := in.szch; ch != nil && d.current(ch) && !ch.clean {
		in.szch = d.ownChain(ch)
		in.szch.vs = append(in.szch.vs, ver{n: in.size, seq: d.seq, atom: id, why: whyFlush})
	}
}

// syncDir makes the names in a directory durable, and what else the preset says.
func (d *disk) syncDir(dir int32) {
	g := &d.cfg.g
	d.commitWith(dir)
	in := d.mut(dir)
	if !in.stirred {
		return
	}
	if g.FileSync == SyncAll || g.FileSync == SyncEverything {
		return // it held every name
	}
	d.syncNames(dir, func(ver) bool { return true })
	d.mut(dir).stirred = false
}

// syncNames makes the names in a directory durable up to the last version that
// concerns makes out, be it that the name came to say so or ceased to.
func (d *disk) syncNames(dir int32, concerns func(v ver) bool) {
	in := d.inodes[dir]
	if !in.stirred {
		return
	}
	var pending []string
	for i := range in.ents {
		if ch := in.ents[i].ch; ch != nil && d.current(ch) && !ch.clean {
			pending = append(pending, in.ents[i].name)
		}
	}
	for _, name := range pending {
		r := ref{kind: refName, ino: dir, name: name}
		ch := d.chainOf(r)
		if ch == nil {
			continue
		}
		p := len(ch.vs) - 1
		for p > 0 && !concerns(ch.vs[p]) && !concerns(ch.vs[p-1]) {
			p--
		}
		d.raise(r, p, !d.cfg.g.Journal || d.cfg.g.FileSync == SyncOwnNames)
	}
}

// sweep lets go of inodes that no name can stand for. keep reports open ones.
func (d *disk) sweep(keep func(ino int32) bool) {
	if !d.orphaned {
		return
	}
	d.orphaned = false
	seen := make([]bool, len(d.inodes))
	todo := []int32{0}
	seen[0] = true
	see := func(n int64) {
		if n != none && !seen[n] {
			seen[n] = true
			todo = append(todo, int32(n))
		}
	}
	for len(todo) > 0 {
		in := d.inodes[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		for i := range in.ents {
			see(in.ents[i].ino)
			if ch := in.ents[i].ch; ch != nil {
				for _, v := range ch.vs {
					see(v.n)
				}
			}
		}
	}
	for i, in := range d.inodes {
		if in == nil || seen[i] {
			continue
		}
		if keep(int32(i)) {
			d.orphaned = true
			continue
		}
		d.inodes[i] = nil
		d.gone = append(d.gone, int32(i))
	}
}
