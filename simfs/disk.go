package simfs

import (
	"fmt"
	"slices"
	"time"
)

// config is what never changes over the life of a disk and its descendants.
type config struct {
	g       Guarantees
	unit    int64 // bytes in a cell
	now     func() time.Time
	alpha   Garbage
	block   *content // the seeded garbage block; nil without it
	data    bool     // the log keeps what was written
	callers int
	skip    []string
}

// disk is the state that a running disk and an image share.
type disk struct {
	cfg    *config
	own    *owner
	epoch  int32
	seq    int32   // of the next operation; never starts again along a lineage
	base   int32   // seq of the first operation of this run
	losses []int32 // seq of the first operation after each power loss, where a page is several cells
	past   int32   // base of the run that the crash ended, to which options refer

	inodes   []*inode // by number; nil where gone. 0 is the root
	orphaned bool     // some inode may be unreachable
	gone     []int32  // numbers that inodes may have again

	atoms    []atom // pending and undecided, by id; changed by copy
	lastAtom int32

	graves []grave // earlier contents of blocks, kept where Options.Garbage asks

	choose  Chooser
	call    int32       // file-system calls since Mount, less 1
	options []VarOption // scratch for ask

	freeBytes  []*content
	freeChains []*chain
	chains     []chain // not used yet
	arena      *arena  // nil: what is made is new
}

// grave is an earlier content of a block.
type grave struct {
	cell int32
	c    *content
}

// kind of a variable that an atom touches.
type refKind uint8

const (
	refName refKind = iota
	refSize
	refCells
)

// ref names a variable, or a range of cells.
type ref struct {
	kind   refKind
	ino    int32
	c0, c1 int32 // cells c0 ≤ c < c1
	name   string
}

// atom is an operation whose effects reach the platter together.
type atom struct {
	id      int32
	seq     int32
	epoch   int32
	journal bool
	after   int32 // an atom that must be there before this one, or 0
	ino     int32 // the inode it concerns
	refs    [4]ref
	n       int
}

func (a *atom) add(r ref) { a.refs[a.n] = r; a.n++ }

// current reports whether a chain belongs to this epoch: the live value is known.
func (d *disk) current(ch *chain) bool { return ch == nil || ch.epoch == d.epoch }

// undecided reports whether a read must ask.
func (d *disk) undecided(ch *chain) bool { return ch != nil && ch.epoch != d.epoch }

// share returns a copy with an owner of its own and gives d a new one too.
func (d *disk) share() disk {
	c := *d
	c.inodes = append([]*inode(nil), d.inodes...)
	c.atoms = d.atoms[:len(d.atoms):len(d.atoms)]
	c.graves = d.graves[:len(d.graves):len(d.graves)]
	c.own = new(owner)
	c.freeBytes, c.freeChains, c.chains, c.options, c.arena = nil, nil, nil, nil, nil
	d.own = new(owner)
	d.arena.forget()
	c.gone = d.gone[:len(d.gone):len(d.gone)]
	d.atoms, d.graves, d.gone = c.atoms, c.graves, c.gone
	return c
}

// mut returns inode ino for writing.
func (d *disk) mut(ino int32) *inode {
	in := d.inodes[ino]
	if in.own == d.own && in.epoch == d.epoch {
		return in
	}
	if in.own != d.own {
		c := &inode{node: in.node}
		c.own = d.own
		if len(in.groups) > 0 {
			c.groups = append(make([]*group, 0, len(in.groups)+1), in.groups...)
		}
		c.marks = append([]int32(nil), in.marks...)
		c.undec = append([]int32(nil), in.undec...)
		c.ents = append([]entry(nil), in.ents...)
		if in.hashed.Load() != 0 {
			c.sum = [2]uint64{in.h0.Load(), in.h1.Load()}
			c.stale = nil
			c.fold++
		} else {
			c.stale = in.stale[:len(in.stale):len(in.stale)]
		}
		d.inodes[ino] = c
		in = c
	}
	if in.epoch != d.epoch {
		in.undec = append(in.undec, in.marks...)
		in.marks = in.marks[:0]
		in.epoch = d.epoch
		in.stirred = false
	}
	return in
}

// newInode makes an inode that no name has yet.
func (d *disk) newInode(dir bool) *inode {
	ino := int32(len(d.inodes))
	if n := len(d.gone); n > 0 {
		ino, d.gone = d.gone[n-1], d.gone[:n-1:n-1]
	} else {
		d.inodes = append(d.inodes, nil)
	}
	in := &inode{node: node{own: d.own, ino: ino, dir: dir, epoch: d.epoch, mtime: d.cfg.now(), fold: 1}}
	d.inodes[ino] = in
	return in
}

// mutCell returns cell c for writing. in must be d's own.
func (d *disk) mutCell(in *inode, c int32) *cell {
	k := int(c) / chunkCells
	for k/groupChunks >= len(in.groups) {
		in.groups = append(in.groups, nil)
	}
	g := in.groups[k/groupChunks]
	if g == nil {
		g = d.newGroup(nil)
		in.groups[k/groupChunks] = g
	} else if g.own != d.own {
		g = d.newGroup(g)
		in.groups[k/groupChunks] = g
	}
	ck := g.chunks[k%groupChunks]
	if ck == nil {
		ck = d.newChunk(in.fold)
		g.chunks[k%groupChunks] = ck
		in.stale = append(in.stale, int32(k))
		return &ck.cells[int(c)%chunkCells]
	}
	if ck.own != d.own {
		fresh := d.newChunk(in.fold)
		fresh.cells = ck.cells
		if ck.mark != in.fold {
			h0, h1 := ck.hash(uint64(k))
			in.sum[0] -= h0
			in.sum[1] -= h1
			in.stale = append(in.stale, int32(k))
		}
		g.chunks[k%groupChunks] = fresh
		ck = fresh
	}
	return &ck.cells[int(c)%chunkCells]
}

// fresh returns a content of one cell for filling, n bytes, which are arbitrary.
func (d *disk) fresh(n int) *content {
	if k := len(d.freeBytes); k > 0 && cap(d.freeBytes[k-1].b) >= n {
		c := d.freeBytes[k-1]
		d.freeBytes = d.freeBytes[:k-1]
		c.hashed.Store(0)
		c.b = c.b[:n]
		return c
	}
	if d.arena == nil {
		return &content{own: d.own, unit: int32(d.cfg.unit), b: make([]byte, n)}
	}
	c := d.arena.contents.take()
	c.own, c.unit = d.own, int32(d.cfg.unit)
	c.hashed.Store(0)
	if cap(c.b) < n {
		c.b = make([]byte, (n+127)&^127) // it may hold more the next time
	}
	c.b = c.b[:n]
	return c
}

// newGroup returns a group with the chunks of another one, if it is not nil.
func (d *disk) newGroup(from *group) *group {
	var g *group
	if d.arena == nil {
		g = new(group)
	} else {
		g = d.arena.groups.take()
	}
	if g.own = d.own; from != nil {
		g.chunks = from.chunks
	} else {
		clear(g.chunks[:])
	}
	return g
}

// newChunk returns a chunk of zeros.
func (d *disk) newChunk(mark int32) *chunk {
	if d.arena == nil {
		return &chunk{own: d.own, mark: mark}
	}
	ck := d.arena.chunks.take()
	ck.own, ck.mark = d.own, mark
	ck.hashed.Store(0)
	ck.cells = [chunkCells]cell{}
	return ck
}

// newChain returns a pending chain with one durable version.
func (d *disk) newChain(v ver) *chain {
	var ch *chain
	if n := len(d.freeChains); n > 0 {
		ch = d.freeChains[n-1]
		d.freeChains = d.freeChains[:n-1]
		ch.vs = ch.vs[:0]
	} else {
		ch = d.emptyChain()
	}
	ch.epoch, ch.clean = d.epoch, false
	v.seq, v.atom, v.why = durable, 0, whyDurable
	ch.vs = append(ch.vs, v)
	return ch
}

// emptyChain returns a chain without versions, whose epoch is arbitrary.
func (d *disk) emptyChain() (ch *chain) {
	switch {
	case d.arena != nil:
		ch = d.arena.chains.take()
	case len(d.chains) == 0:
		d.chains = make([]chain, 4)
		fallthrough
	default:
		ch, d.chains = &d.chains[0], d.chains[1:]
	}
	ch.own, ch.vs = d.own, ch.few[:0]
	return ch
}

// ownChain returns ch for writing.
func (d *disk) ownChain(ch *chain) *chain {
	if ch.own == d.own {
		return ch
	}
	c := d.emptyChain()
	c.epoch, c.clean = ch.epoch, ch.clean
	c.vs = append(c.vs, ch.vs...)
	return c
}

// release takes a chain that no longer holds anything; keep is the value that
// lives on.
func (d *disk) release(in *inode, c int32, ch *chain, keep *content) {
	if d.cfg.alpha.Stale && c >= 0 {
		for _, v := range ch.vs {
			if v.c != nil && !sameContent(v.c, keep) {
				d.bury(c, v.c)
			}
		}
		return
	}
	if ch.own != d.own {
		return
	}
	if len(d.freeBytes) < 64 {
		for i, v := range ch.vs {
			if v.c == nil || v.c == keep || v.c.own != d.own || v.c == d.cfg.block {
				continue
			}
			twice := false
			for _, w := range ch.vs[:i] {
				twice = twice || w.c == v.c
			}
			if !twice {
				d.freeBytes = append(d.freeBytes, v.c)
			}
		}
	}
	if len(d.freeChains) < 64 && len(ch.vs) <= 16 {
		d.freeChains = append(d.freeChains, ch)
	}
}

// chainOf returns the chain of a single variable, or nil where it is settled.
func (d *disk) chainOf(r ref) *chain {
	in := d.inodes[r.ino]
	if in == nil {
		return nil
	}
	switch r.kind {
	case refSize:
		return in.szch
	case refCells:
		return in.cellOf(r.c0).ch
	}
	if i, ok := in.find(r.name); ok {
		return in.ents[i].ch
	}
	return nil
}

// setChain stores a variable's chain, and what is live of an undecided one that
// has a single version left.
func (d *disk) setChain(r ref, ch *chain) {
	in := d.mut(r.ino)
	single := len(ch.vs) == 1
	old := ch.epoch != d.epoch
	v := ch.vs[0]
	switch r.kind {
	case refSize:
		if old && single {
			in.size = v.n
		}
		in.szch = ch
		if single && v.n == in.size {
			in.szch = nil
		}
	case refCells:
		p := d.mutCell(in, r.c0)
		if old && single {
			p.cur = v.c
		}
		p.ch = ch
		if single && sameContent(v.c, p.cur) {
			p.ch = nil
		}
	case refName:
		i, _ := in.find(r.name)
		e := &in.ents[i]
		if old && single {
			e.ino = v.n
		}
		e.ch = ch
		if single && v.n == e.ino {
			e.ch = nil
			if e.ino == none {
				in.ents = append(in.ents[:i], in.ents[i+1:]...)
				d.orphaned = true
			}
		}
	}
}

// atomAt returns the position of an atom in the list, or -1.
func (d *disk) atomAt(id int32) int {
	lo, hi := 0, len(d.atoms)
	for lo < hi {
		m := (lo + hi) / 2
		if d.atoms[m].id < id {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(d.atoms) && d.atoms[lo].id == id {
		return lo
	}
	return -1
}

// newAtom adds an atom to the list and returns its id.
func (d *disk) newAtom(a atom) int32 {
	d.lastAtom++
	a.id, a.seq, a.epoch = d.lastAtom, d.seq, d.epoch
	d.atoms = append(d.atoms, a)
	return a.id
}

// take removes an atom from the list.
func (d *disk) take(i int) atom {
	a := d.atoms[i]
	if i == 0 {
		d.atoms = d.atoms[1:]
		return a
	}
	if i == len(d.atoms)-1 {
		d.atoms = d.atoms[:i:i]
		return a
	}
	rest := make([]atom, 0, len(d.atoms)+8)
	rest = append(rest, d.atoms[:i]...)
	d.atoms = append(rest, d.atoms[i+1:]...)
	return a
}

// apply makes an atom certain to be on the platter, with all that must be there
// before it. alone leaves out the journal's order.
func (d *disk) apply(id int32, alone bool) {
	i := d.atomAt(id)
	if i < 0 {
		return
	}
	if d.atoms[i].journal && !alone {
		for {
			first := -1
			for k := range d.atoms {
				if d.atoms[k].journal {
					first = k
					break
				}
			}
			if first < 0 || d.atoms[first].id > id {
				return
			}
			d.applyOne(d.take(first), alone)
		}
	}
	d.applyOne(d.take(i), alone)
}

func (d *disk) applyOne(a atom, alone bool) {
	if a.after != 0 {
		d.apply(a.after, alone)
	}
	for _, r := range a.refs[:a.n] {
		d.each(r, func(r ref, ch *chain) {
			p := -1
			for k := range ch.vs {
				if ch.vs[k].atom == a.id {
					p = k
				}
			}
			if p >= 0 {
				d.raise(r, p, alone)
			}
		})
	}
}

// each calls f for every variable of r that has a chain.
func (d *disk) each(r ref, f func(r ref, ch *chain)) {
	in := d.inodes[r.ino]
	if in == nil {
		return
	}
	if r.kind != refCells {
		if ch := d.chainOf(r); ch != nil {
			f(r, ch)
		}
		return
	}
	for c := r.c0; c < r.c1; c++ {
		if ch := d.inodes[r.ino].cellOf(c).ch; ch != nil {
			f(ref{kind: refCells, ino: r.ino, c0: c, c1: c + 1}, ch)
		}
	}
}

// raise makes the versions before position p impossible.
func (d *disk) raise(r ref, p int, alone bool) {
	ch := d.chainOf(r)
	if p == 0 || ch == nil {
		return
	}
	ch = d.ownChain(ch)
	var few [8]int32
	gone := few[:0] // atoms
	for _, v := range ch.vs[1 : p+1] {
		if v.atom != 0 && !v.early() {
			gone = append(gone, v.atom)
		}
	}
	ch.vs = append(ch.vs[:0], ch.vs[p:]...)
	ch.vs[0].atom, ch.vs[0].seq = 0, durable
	d.setChain(r, ch)
	for _, id := range gone {
		d.apply(id, alone)
	}
}

// drop makes an atom, and all that needs it, certain not to be on the platter.
func (d *disk) drop(id int32) {
	i := d.atomAt(id)
	if i < 0 {
		return
	}
	if d.atoms[i].journal {
		for k := len(d.atoms) - 1; k >= 0; k-- {
			if k < len(d.atoms) && d.atoms[k].journal && d.atoms[k].id > id {
				d.dropOne(d.take(k))
			}
		}
		if i = d.atomAt(id); i < 0 {
			return
		}
	}
	d.dropOne(d.take(i))
}

func (d *disk) dropOne(a atom) {
	for k := len(d.atoms) - 1; k >= 0; k-- {
		if k < len(d.atoms) && d.atoms[k].after == a.id {
			d.drop(d.atoms[k].id)
		}
	}
	for _, r := range a.refs[:a.n] {
		d.each(r, func(r ref, ch *chain) {
			for k := range ch.vs {
				if ch.vs[k].atom != a.id {
					continue
				}
				if ch.vs[k].early() { // the data may be there without the rename or the cut
					ch = d.ownChain(ch)
					ch.vs[k].atom = 0
					d.setChain(r, ch)
				} else {
					d.cut(r, k)
				}
				return
			}
		})
	}
}

// cut makes the versions from position p on impossible.
func (d *disk) cut(r ref, p int) {
	ch := d.chainOf(r)
	if ch == nil || p >= len(ch.vs) {
		return
	}
	if p == 0 {
		panic("internal error: simfs: no version left of " + r.String())
	}
	ch = d.ownChain(ch)
	gone := append([]ver(nil), ch.vs[p:]...)
	ch.vs = ch.vs[:p]
	d.setChain(r, ch)
	if r.kind == refCells {
		d.untie(r, gone)
	}
	for _, v := range gone {
		if v.atom != 0 {
			d.drop(v.atom)
		}
	}
}

// powerOn returns the first operation after the last power loss before operation
// seq. What an older one did the crash has decided, known or not: no page that is
// written back after it says more about that.
func (d *disk) powerOn(seq int32) int32 {
	for i := len(d.losses) - 1; i >= 0; i-- {
		if d.losses[i] <= seq {
			return d.losses[i]
		}
	}
	return 0
}

// untie takes away the sizes that writes grew, where they need the page of a cell
// whose last versions, gone, are impossible.
func (d *disk) untie(r ref, gone []ver) {
	if !d.cfg.g.SizeAfterData {
		return
	}
	ch := d.inodes[r.ino].szch
	if ch == nil {
		return
	}
	for p := len(ch.vs) - 1; p > 0; p-- {
		v := ch.vs[p]
		if v.why != whyWrite || v.atom != 0 || !d.lastPage(v.n, r.c0) {
			continue
		}
		on := d.powerOn(v.page)
		if slices.ContainsFunc(gone, func(w ver) bool { return on <= w.seq && w.seq <= v.page }) {
			ch = d.ownChain(ch)
			ch.vs = append(ch.vs[:p], ch.vs[p+1:]...)
			d.setChain(ref{kind: refSize, ino: r.ino}, ch)
		}
	}
}

// lastPage reports whether cell c is in the page of a size's last byte.
func (d *disk) lastPage(size int64, c int32) bool {
	return size > 0 && (size-1)/PageSize == int64(c)*d.cfg.unit/PageSize
}

// tie makes sure of the page that a size grown by a write needs.
func (d *disk) tie(ino int32, size int64, seq int32) {
	if !d.cfg.g.SizeAfterData || size == 0 || seq == durable {
		return
	}
	first := (size - 1) / PageSize * PageSize / d.cfg.unit
	last := first + PageSize/d.cfg.unit
	d.each(ref{kind: refCells, ino: ino, c0: int32(first), c1: int32(last)}, func(r ref, ch *chain) {
		if p := d.needs(ch, seq); p > 0 {
			d.raise(r, p, false)
		}
	})
}

// needs returns the position of the oldest version that a cell may have where its
// page was written back after operation seq.
func (d *disk) needs(ch *chain, seq int32) int {
	p := len(ch.vs) - 1
	for p > 0 && ch.vs[p].seq > seq {
		p--
	}
	for p > 0 && (ch.vs[p].why == whyFlush || ch.vs[p-1].seq == ch.vs[p].seq) {
		p--
	}
	if ch.vs[p].seq < d.powerOn(seq) {
		return 0
	}
	return p
}

// run is a range of versions that are one option: equal and side by side, or,
// where nothing is tied, equal.
type run struct{ from, to int }

// runs groups the versions of a chain into options, in the order of their first
// version.
func runs(kind refKind, ch *chain, to []run) []run {
	free := !ch.coupled()
	to = to[:0]
next:
	for i := range ch.vs {
		if free {
			for k := range to {
				if equal(kind, ch.vs[to[k].from], ch.vs[i]) {
					to[k].to = i
					continue next
				}
			}
		} else if n := len(to); n > 0 && equal(kind, ch.vs[to[n-1].from], ch.vs[i]) {
			to[n-1].to = i
			continue
		}
		to = append(to, run{i, i})
	}
	return to
}

// equal compares what two versions say.
func equal(kind refKind, a, b ver) bool {
	if kind == refCells {
		return sameContent(a.c, b.c)
	}
	return a.n == b.n
}

// alike reports whether every version says the same.
func alike(kind refKind, ch *chain) bool {
	for i := 1; i < len(ch.vs); i++ {
		if !equal(kind, ch.vs[0], ch.vs[i]) {
			return false
		}
	}
	return true
}

// decide asks the Chooser for an undecided variable and settles it.
func (d *disk) decide(r ref, path string) {
	ch := d.chainOf(r)
	if ch == nil {
		return
	}
	if alike(r.kind, ch) {
		return
	}
	var buf [8]run
	rs := runs(r.kind, ch, buf[:])
	k := 0
	if len(rs) > 1 {
		v := d.variable(r, path, ch, rs, d.options)
		d.options = v.Options
		k = d.ask(v)
	}
	d.settle(r, ch, rs[k])
}

// ask lets the Chooser choose.
func (d *disk) ask(v Var) int {
	if len(v.Options) == 0 {
		panic("internal error: simfs: nothing left to choose for " + v.String())
	}
	if d.choose == nil {
		panic("simfs: " + v.String() + " is undecided and there is no Chooser: pass one to Mount")
	}
	k := d.choose.Choose(v)
	if k < 0 || k >= len(v.Options) {
		panic(fmt.Sprintf("simfs: the Chooser answered %d for %s, which has %d options", k, v, len(v.Options)))
	}
	return k
}

// settle makes the versions of one option the only possible ones, with what that
// says about other variables.
func (d *disk) settle(r ref, ch *chain, o run) {
	free := !ch.coupled()
	v := ch.vs[o.from]
	if free && (r.kind == refName || !d.cfg.g.SizeAfterData || r.kind == refCells && d.inodes[r.ino].szch == nil) {
		d.fix(r, v) // nothing else hangs on it
		return
	}
	vs := append([]ver(nil), ch.vs...)
	known := &chain{own: d.own, epoch: ch.epoch, vs: []ver{v}}
	known.vs[0].seq, known.vs[0].atom = durable, 0
	d.setChain(r, known)
	if !free {
		for _, w := range vs[1 : o.from+1] {
			if w.atom != 0 && !w.early() {
				d.apply(w.atom, false)
			}
		}
	}
	if r.kind == refCells {
		next := o.to + 1 // what the same operation harmed is no older; see needs
		for next < len(vs) && vs[next].seq == vs[o.to].seq {
			next++
		}
		if next < len(vs) {
			d.untie(r, vs[next:])
		}
	}
	for i := len(vs) - 1; i > o.to; i-- {
		if vs[i].atom != 0 {
			d.drop(vs[i].atom)
		}
	}
	if r.kind == refSize && v.why == whyWrite && v.seq != durable {
		d.tie(r.ino, v.n, v.page)
	}
}

// fix gives an undecided variable its value.
func (d *disk) fix(r ref, v ver) {
	in := d.mut(r.ino)
	switch r.kind {
	case refSize:
		in.size, in.szch = v.n, nil
	case refCells:
		p := d.mutCell(in, r.c0)
		p.cur, p.ch = v.c, nil
	case refName:
		i, _ := in.find(r.name)
		in.ents[i].ino, in.ents[i].ch = v.n, nil
		if v.n == none {
			in.ents = append(in.ents[:i], in.ents[i+1:]...)
			d.orphaned = true
		}
	}
}

// journalOpen reports whether the journal of an earlier epoch is undecided.
func (d *disk) journalOpen() bool {
	if !d.cfg.g.Journal {
		return false
	}
	for i := range d.atoms {
		if d.atoms[i].journal && d.atoms[i].epoch != d.epoch {
			return true
		}
	}
	return false
}

// decideJournal decides how much of the journal is on the platter: before the
// first metadata operation on an image.
func (d *disk) decideJournal() {
	for d.journalOpen() {
		v, ids := d.journalVar()
		k := d.ask(v)
		if k < len(ids) {
			d.drop(ids[k])
		}
		if k > 0 {
			d.apply(ids[k-1], false)
		}
	}
}

// String names a variable in an internal error.
func (r ref) String() string {
	return fmt.Sprintf("inode %d kind %d cell %d %q", r.ino, r.kind, r.c0, r.name)
}
