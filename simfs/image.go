package simfs

import (
	"path"
	"sync"
)

// Kind is how a run ends.
type Kind uint8

// The kinds of crashes.
const (
	// PowerLoss leaves what the platter may hold.
	PowerLoss Kind = iota + 1
	// ProcessKill leaves what the operating system holds: the next mount reads the
	// live state, and what was not durable is still not durable.
	ProcessKill
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case PowerLoss:
		return "power loss"
	case ProcessKill:
		return "process kill"
	}
	return "no crash"
}

// Came says in a sentence that it came.
func (k Kind) Came() string {
	if k == ProcessKill {
		return "the process was killed"
	}
	return "the power failed"
}

// Image is what a crash may have left: one disk, or a set of them where variables
// are undecided. It never changes, and goroutines may share it.
type Image struct {
	d    disk
	kind Kind
	once sync.Once
	sum  [16]byte
}

// Kind tells which crash made the image.
func (m *Image) Kind() Kind { return m.kind }

// CellSize returns the bytes in a cell.
func (m *Image) CellSize() int { return int(m.d.cfg.unit) }

// Hash identifies the set of disks that the image stands for: equal in every
// process and on every platform, of sets, never of the order in which they came
// about. Modes count, times and owners do not.
func (m *Image) Hash() [16]byte {
	m.once.Do(func() { m.sum = m.d.hash() })
	return m.sum
}

// Mount returns a running disk on the image. c decides what is undecided when it
// is first read; nil panics if it would be asked. It is asked while the disk is
// busy and must not use it. Operations count from 0 again.
func (m *Image) Mount(c Chooser) *FS {
	f := &FS{}
	f.d = m.d // a copy; the image keeps its own owner
	f.d.own = new(owner)
	f.d.inodes = append(make([]*inode, 0, len(m.d.inodes)+2), m.d.inodes...)
	f.d.atoms = m.d.atoms[:len(m.d.atoms):len(m.d.atoms)]
	f.d.graves = m.d.graves[:len(m.d.graves):len(m.d.graves)]
	f.d.gone = m.d.gone[:len(m.d.gone):len(m.d.gone)]
	f.d.base, f.d.past = f.d.seq, m.d.base
	f.d.choose = c
	f.d.call = -1
	return f
}

// Resolve decides everything now, in the order of Vars, and returns the single
// disk that is left.
func (m *Image) Resolve(c Chooser) *Image {
	f := m.Mount(c)
	d := &f.d
	d.decideJournal()
	d.walk(func(r ref, path string, _ *chain) {
		if r.kind == refName {
			d.lookup(r.ino, r.name, path)
		} else if ch := d.chainOf(r); d.undecided(ch) {
			d.decide(r, path)
		}
	})
	d.choose = nil
	d.orphaned = true
	d.sweep(func(int32) bool { return false })
	for _, in := range d.inodes {
		if in != nil {
			d.tidy(in.ino)
		}
	}
	d.dropGone()
	d.base = d.seq
	return &Image{d: f.d.share(), kind: m.kind}
}

// tidy drops chains whose versions all say the same.
func (d *disk) tidy(ino int32) {
	in := d.inodes[ino]
	for _, c := range in.chained() {
		in = d.mut(ino)
		d.flatten(in, c)
	}
	if d.undecided(in.szch) {
		d.flattenSize(d.mut(ino))
	}
	for i := 0; i < len(d.inodes[ino].ents); i++ {
		e := d.inodes[ino].ents[i]
		if d.undecided(e.ch) && alike(refName, e.ch) {
			in = d.mut(ino)
			if n := e.ch.vs[0].n; n == none {
				in.ents = append(in.ents[:i], in.ents[i+1:]...)
				i--
			} else {
				in.ents[i].ino, in.ents[i].ch = n, nil
			}
		}
	}
}

// dropGone removes atoms that nothing refers to any more.
func (d *disk) dropGone() {
	var kept []atom
	for _, a := range d.atoms {
		if a.epoch == d.epoch {
			kept = append(kept, a)
		}
	}
	d.atoms = kept
}

// Vars returns the undecided variables in a fixed order: the journal; then from
// the root each directory's names, sorted; then each inode in the order in which
// a name first can stand for it, a file's size before its cells. Variables behind
// a name exist only where the name does.
func (m *Image) Vars() []Var {
	f := m.Mount(nil)
	d := &f.d
	var all []Var
	if d.journalOpen() {
		v, _ := d.journalVar()
		all = append(all, v)
	}
	d.walk(func(r ref, path string, ch *chain) {
		if alike(r.kind, ch) {
			return
		}
		var buf [8]run
		all = append(all, d.variable(r, path, ch, runs(r.kind, ch, buf[:]), nil))
	})
	return all
}

// walk calls visit for each undecided variable in the fixed order. visit may
// decide it.
func (d *disk) walk(visit func(r ref, path string, ch *chain)) {
	type place struct {
		ino  int32
		path string
	}
	seen := make([]bool, len(d.inodes))
	seen[0] = true
	queue := []place{{0, ""}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		in := d.inodes[at.ino]
		if !in.dir {
			if d.undecided(in.szch) {
				visit(ref{kind: refSize, ino: at.ino}, at.path, in.szch)
			}
			for _, c := range d.inodes[at.ino].chained() {
				if ch := d.inodes[at.ino].cellOf(c).ch; d.undecided(ch) {
					visit(ref{kind: refCells, ino: at.ino, c0: c, c1: c + 1}, at.path, ch)
				}
			}
			continue
		}
		names := make([]string, len(in.ents))
		for i := range in.ents {
			names[i] = in.ents[i].name
		}
		for _, name := range names {
			p := path.Join(at.path, name)
			i, ok := d.inodes[at.ino].find(name)
			if !ok {
				continue
			}
			if ch := d.inodes[at.ino].ents[i].ch; d.undecided(ch) {
				visit(ref{kind: refName, ino: at.ino, name: name}, p, ch)
			}
			if i, ok = d.inodes[at.ino].find(name); !ok {
				continue
			}
			e := d.inodes[at.ino].ents[i]
			see := func(n int64) {
				if n != none && !seen[n] {
					seen[n] = true
					queue = append(queue, place{int32(n), p})
				}
			}
			if d.undecided(e.ch) {
				for _, v := range e.ch.vs {
					see(v.n)
				}
			} else {
				see(e.ino)
			}
		}
	}
}
