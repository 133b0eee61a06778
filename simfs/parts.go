package simfs

// Parts returns images in which nothing ties variables together, and which
// together stand for the disks that m stands for, now and after any further
// operations and crashes:
//
//	                            rename there       a: new
//	a: old, new@rename    ──▶
//	b: new, gone@rename         rename not there   a: old   b: new
//
// One for each place where the journal may end, for each way to decide what else
// hangs on an atom, for each size that needs a page, and for each of several files
// that a name may stand for. Image.Within refuses all these, so an image that has
// some is compared part by part; and two parts may be within two images.
//
// It returns nil where there are more than most, and for what a process kill left
// pending.
func (m *Image) Parts(most int) []*Image {
	if m.kind == ProcessKill && m.d.anyPending() {
		return nil
	}
	if !m.d.anyTied() {
		return []*Image{m}
	}
	var parts []*Image
	loose := true
	_, all := Walk(most, func(a *Answers) {
		f := m.Mount(a)
		f.d.loosen()
		loose = loose && !f.d.anyTied()
		parts = append(parts, &Image{d: f.d.share(), kind: m.kind})
	})
	if !all || !loose {
		return nil
	}
	return parts
}

// anyPending reports whether a process kill left anything pending.
func (d *disk) anyPending() bool {
	for i := range d.atoms {
		if d.atoms[i].epoch == d.epoch {
			return true
		}
	}
	for _, in := range d.inodes {
		if in == nil {
			continue
		}
		for i := range in.ents {
			if ch := in.ents[i].ch; ch != nil && d.current(ch) {
				return true
			}
		}
		if d.pending(in) {
			return true
		}
	}
	return false
}

// anyTied reports whether something ties variables of an image together.
func (d *disk) anyTied() bool {
	if len(d.atoms) > 0 {
		return true
	}
	for _, in := range d.inodes {
		if in == nil {
			continue
		}
		if d.tiedSize(in) {
			return true
		}
		for i := range in.ents {
			if in.ents[i].ch.tiedName() {
				return true
			}
		}
	}
	return false
}

func (d *disk) tiedSize(in *inode) bool {
	return in.szch != nil && (in.szch.coupled() || d.needsPage(in))
}

// tiedName reports whether a name hangs on an atom, or may stand for several files.
func (ch *chain) tiedName() bool {
	if ch == nil {
		return false
	}
	if ch.coupled() {
		return true
	}
	file := none
	for _, v := range ch.vs {
		if v.n != none && file != none && v.n != file {
			return true
		}
		if v.n != none {
			file = v.n
		}
	}
	return false
}

// loosen decides what ties variables together, and nothing else.
func (d *disk) loosen() {
	d.decideJournal()
	for n := range d.inodes {
		ino := int32(n)
		if d.inodes[n] == nil {
			continue
		}
		if d.tiedSize(d.inodes[n]) {
			d.sizeNow(ino, "")
		}
		for _, c := range d.inodes[n].chained() {
			if ch := d.inodes[n].cellOf(c).ch; ch != nil && ch.coupled() {
				d.known(d.mut(ino), c, "")
			}
		}
		var tied []string
		for i := range d.inodes[n].ents {
			if e := &d.inodes[n].ents[i]; e.ch.tiedName() {
				tied = append(tied, e.name)
			}
		}
		for _, name := range tied {
			r := ref{kind: refName, ino: ino, name: name}
			if ch := d.chainOf(r); ch != nil {
				d.decide(r, "")
			}
			if ch := d.chainOf(r); ch != nil {
				d.fix(r, ch.vs[0]) // all versions say the same
			}
		}
	}
	d.choose = nil
	d.orphaned = true
	d.sweep(func(int32) bool { return false })
	for _, in := range d.inodes {
		if in != nil && in.hangs() {
			return // and the atoms are kept
		}
	}
	d.atoms = nil
}

// hangs reports whether a variable of an inode hangs on an atom.
func (in *inode) hangs() bool {
	if in.szch != nil && in.szch.coupled() {
		return true
	}
	for _, c := range in.chained() {
		if in.cellOf(c).ch.coupled() {
			return true
		}
	}
	for i := range in.ents {
		if ch := in.ents[i].ch; ch != nil && ch.coupled() {
			return true
		}
	}
	return false
}
