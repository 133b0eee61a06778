package simfs

import "path"

// Name is one thing that a name stands for, or stood for when it was last durable.
type Name struct {
	Path  string
	Inode int32 // as in VarID; a later file may have that of one that is gone
	Dir   bool
	Size  int64 // of a file: bytes, the newest size where none is decided yet
	Live  bool  // the name stands for it now; else only a crash may bring that back
}

// Names lists what names stand for, or may stand for after a crash: from the root
// each directory's, sorted; of one name first what it stands for now, then the
// others, the newest first. It decides nothing: of an undecided name the newest
// version counts.
func (f *FS) Names() []Name {
	f.mu.Lock()
	defer f.mu.Unlock()
	type place struct {
		ino  int32
		path string
	}
	d := &f.d
	var all []Name
	seen := make([]bool, len(d.inodes))
	queue := []place{{0, ""}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for i := range d.inodes[at.ino].ents {
			e := &d.inodes[at.ino].ents[i]
			p := path.Join(at.path, e.name)
			var told []int64
			tell := func(n int64, live bool) {
				if n == none {
					return
				}
				for _, t := range told {
					if t == n {
						return
					}
				}
				told = append(told, n)
				in := d.inodes[n]
				size := in.size
				if d.undecided(in.szch) {
					size = in.szch.vs[len(in.szch.vs)-1].n
				}
				all = append(all, Name{Path: p, Inode: int32(n), Dir: in.dir, Size: size, Live: live})
				if in.dir && !seen[n] {
					seen[n] = true
					queue = append(queue, place{int32(n), p})
				}
			}
			if !d.undecided(e.ch) {
				tell(e.ino, true)
			}
			if e.ch != nil {
				for k := len(e.ch.vs) - 1; k >= 0; k-- {
					tell(e.ch.vs[k].n, d.undecided(e.ch) && k == len(e.ch.vs)-1)
				}
			}
		}
	}
	return all
}

// LogFrom returns a copy of the operations from index first on.
func (f *FS) LogFrom(first int) []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Op
	at := 0
	for _, b := range f.log.blocks {
		if skip := max(first-at, 0); skip < len(b) {
			out = append(out, b[skip:]...)
		}
		at += len(b)
	}
	return out
}

// Fates says what became of the variables of an image on another that came of it:
// for each, in the order of Vars, the index of the newest option that says what is
// there now. It is -1 for the journal, for what is still undecided, for what is
// not there any more, and for what was changed since.
func (m *Image) Fates(after *Image) []int {
	f := m.Mount(nil)
	d := &f.d
	var fates []int
	if d.journalOpen() {
		fates = append(fates, -1)
	}
	d.walk(func(r ref, _ string, ch *chain) {
		if alike(r.kind, ch) {
			return
		}
		fate := -1
		if v, ok := after.d.settled(r); ok {
			rs := runs(r.kind, ch, nil)
			for k := len(rs) - 1; k >= 0 && fate < 0; k-- {
				if equal(r.kind, ch.vs[rs[k].from], v) {
					fate = k
				}
			}
		}
		fates = append(fates, fate)
	})
	return fates
}

// settled is what a variable says; ok is false where it is undecided or not there.
func (d *disk) settled(r ref) (v ver, ok bool) {
	if int(r.ino) >= len(d.inodes) || d.inodes[r.ino] == nil {
		return v, false
	}
	in := d.inodes[r.ino]
	switch r.kind {
	case refSize:
		return ver{n: in.size}, !d.undecided(in.szch)
	case refCells:
		c := in.cellOf(r.c0)
		return ver{c: c.cur}, !d.undecided(c.ch)
	}
	i, there := in.find(r.name)
	if !there {
		return ver{n: none}, true
	}
	return ver{n: in.ents[i].ino}, !d.undecided(in.ents[i].ch)
}
