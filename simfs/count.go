package simfs

import (
	"math/big"
	"math/bits"
	"slices"
)

// countBudget is how many versions Count looks at where variables are tied.
const countBudget = 1 << 18

// Count returns how many different answers Resolve can be given, which is how many
// disks the image stands for as Vars sees them: options that say the same count
// once, and what is behind a name counts only where the name is there.
//
// Variables that nothing ties multiply. Those that something ties are decided one
// after the other; where that takes more than some thousand decisions, exact is
// false and n counts the rest as if nothing tied them, which is never too few.
func (m *Image) Count() (n *big.Int, exact bool) {
	c := counter{budget: countBudget, exact: true}
	return c.journal(&m.d), c.exact
}

// counter counts the leaves of the tree of choices.
type counter struct {
	budget int
	exact  bool
}

// place is an undecided variable that asks: its versions do not all say the same.
type place struct {
	r       ref
	ch      *chain
	options int
}

// journal decides the journal, which is always asked first.
func (c *counter) journal(d *disk) *big.Int {
	if !d.journalOpen() {
		var p product
		c.tree(d, d.places(), &p)
		return p.value()
	}
	v, _ := d.journalVar()
	sum := new(big.Int)
	all := d.places()
	for k := range v.Options {
		if c.spend(all); c.budget < 0 && k > 0 {
			// What nothing ties is the most that the journal can leave open, each time.
			c.exact = false
			var p product
			loose(all, &p)
			p.times(uint64(len(v.Options) - k))
			return sum.Add(sum, p.value())
		}
		next := d.fork()
		next.choose = ChooserFunc(func(Var) int { return k })
		next.decideJournal()
		sum.Add(sum, c.journal(&next))
	}
	return sum
}

// spend takes a decision that concerns these variables from the budget.
func (c *counter) spend(all []place) {
	c.budget -= 64
	for i := range all {
		c.budget -= len(all[i].ch.vs)
	}
}

// tree multiplies p by the leaves of the tree of choices over these variables,
// which nothing ties to others.
func (c *counter) tree(d *disk, all []place, p *product) {
	if len(all) == 0 {
		return
	}
	var s sets
	if !d.ties(all, &s) {
		loose(all, p)
		return
	}
	// Each component on its own. They come in the order of their first variables.
	first := make(map[int32]int, 8)
	var parts [][]place
	for i := range all {
		root := s.find(int32(i))
		k, ok := first[root]
		if !ok {
			k = len(parts)
			first[root] = k
			parts = append(parts, nil)
		}
		parts[k] = append(parts[k], all[i])
	}
	for _, part := range parts {
		if len(part) == 1 {
			p.times(uint64(part[0].options))
			continue
		}
		p.timesBig(c.branch(d, part))
	}
}

// visibleFirst puts the first variable that is certain to be asked in front: what
// is behind a name is asked after it.
func (d *disk) visibleFirst(part []place) []place {
	there := d.reach()
	for i, p := range part {
		if there[p.r.ino] == certain {
			if i == 0 {
				return part
			}
			return slices.Concat(part[i:i+1], part[:i], part[i+1:])
		}
	}
	panic("internal error: simfs: every variable is behind another")
}

// branch decides the first variable of a component, and counts the rest each time.
func (c *counter) branch(d *disk, part []place) *big.Int {
	part = d.visibleFirst(part)
	at := part[0]
	var buf [8]run
	rs := runs(at.r.kind, at.ch, buf[:])
	sum := new(big.Int)
	for k, o := range rs {
		if c.spend(part); c.budget < 0 {
			c.exact = false
			var p product
			loose(part[1:], &p)
			p.times(uint64(len(rs) - k))
			return sum.Add(sum, p.value())
		}
		next := d.fork()
		next.settle(at.r, next.chainOf(at.r), o)
		var p product
		c.tree(&next, next.still(part[1:]), &p)
		sum.Add(sum, p.value())
	}
	return sum
}

// loose multiplies p by the options of all variables, as if nothing tied them.
func loose(all []place, p *product) {
	for i := range all {
		p.times(uint64(all[i].options))
	}
}

// fork returns a copy of d that can be decided. d must not change afterwards.
func (d *disk) fork() disk {
	c := *d
	c.own = new(owner)
	c.inodes = append(make([]*inode, 0, len(d.inodes)), d.inodes...)
	c.atoms = d.atoms[:len(d.atoms):len(d.atoms)]
	c.graves = d.graves[:len(d.graves):len(d.graves)]
	c.gone = d.gone[:len(d.gone):len(d.gone)]
	c.freeBytes, c.freeChains, c.options, c.arena = nil, nil, nil, nil
	return c
}

// places returns the variables that can be asked, in the order in which Resolve
// asks.
func (d *disk) places() []place {
	all := make([]place, 0, 64)
	d.walk(func(r ref, _ string, ch *chain) {
		if p, ok := placeOf(r, ch); ok {
			all = append(all, p)
		}
	})
	return all
}

func placeOf(r ref, ch *chain) (place, bool) {
	if alike(r.kind, ch) {
		return place{}, false
	}
	var buf [8]run
	return place{r, ch, len(runs(r.kind, ch, buf[:]))}, true
}

// still returns those of a list of variables that can be asked yet.
func (d *disk) still(all []place) []place {
	there := d.reach()
	out := make([]place, 0, len(all))
	for _, p := range all {
		if there[p.r.ino] == hidden {
			continue
		}
		if ch := d.chainOf(p.r); d.undecided(ch) {
			if q, ok := placeOf(p.r, ch); ok {
				out = append(out, q)
			}
		}
	}
	return out
}

// Whether an inode can be seen.
const (
	hidden  uint8 = iota // no name can stand for it
	perhaps              // an undecided name can
	certain              // a name that is there does
)

// reach returns for each inode whether it can be seen.
func (d *disk) reach() []uint8 {
	there := make([]uint8, len(d.inodes))
	var visit func(ino int32, how uint8)
	visit = func(ino int32, how uint8) {
		if there[ino] >= how {
			return
		}
		there[ino] = how
		d.shown(d.inodes[ino], func(_ *entry, n int32, sure bool) {
			if sure {
				visit(n, how)
			} else {
				visit(n, perhaps)
			}
		})
	}
	visit(0, certain)
	return there
}

// shown calls visit for each inode that a name of a directory can stand for; sure
// says that the name does.
func (d *disk) shown(in *inode, visit func(e *entry, n int32, sure bool)) {
	for i := range in.ents {
		e := &in.ents[i]
		switch {
		case !d.undecided(e.ch):
			if e.ino != none {
				visit(e, int32(e.ino), true)
			}
		case alike(refName, e.ch):
			if n := e.ch.vs[0].n; n != none {
				visit(e, int32(n), true)
			}
		default:
			for _, v := range e.ch.vs {
				if v.n != none {
					visit(e, int32(v.n), false)
				}
			}
		}
	}
}

// ties joins the variables that deciding one may change for another: in s, the
// first len(all) elements are theirs. It returns false where nothing is joined.
func (d *disk) ties(all []place, s *sets) bool {
	// Nothing can be tied without atoms, sizes that need pages, or hidden inodes.
	there := d.reach()
	tied := false
	for i := range all {
		r := all[i].r
		tied = tied || there[r.ino] != certain || all[i].ch.coupled() ||
			r.kind == refSize && d.cfg.g.SizeAfterData || r.kind == refName
	}
	if !tied {
		return false
	}
	inode0 := int32(len(all))
	atom0 := inode0 + int32(len(d.inodes))
	s.start(int(atom0) + len(d.atoms))
	// What is behind names.
	index := make(map[ref]int32, len(all))
	for i := range all {
		index[all[i].r] = int32(i)
		if there[all[i].r.ino] != certain {
			s.join(int32(i), inode0+all[i].r.ino)
		}
	}
	for ino, how := range there {
		if how == hidden || !d.inodes[ino].dir {
			continue
		}
		d.shown(d.inodes[ino], func(e *entry, n int32, sure bool) {
			if there[n] == certain {
				return // it is seen in any case
			}
			if !sure {
				if i, ok := index[ref{kind: refName, ino: int32(ino), name: e.name}]; ok {
					s.join(inode0+n, i)
				}
			}
			if how != certain {
				s.join(inode0+n, inode0+int32(ino))
			}
		})
	}
	// What hangs on an atom, seen or not. An atom that needs another hangs on it.
	if len(d.atoms) > 0 {
		d.tieAtoms(index, atom0, s)
	}
	// Sizes that need a page.
	if d.cfg.g.SizeAfterData {
		for i := range all {
			if all[i].r.kind == refSize {
				d.tieSize(all[i], index, atom0, s)
			}
		}
	}
	return true
}

// tieAtoms joins the variables whose versions hang on one atom, and the atoms of
// one variable, whether it can be asked or not.
func (d *disk) tieAtoms(index map[ref]int32, atom0 int32, s *sets) {
	for at := range d.atoms {
		a := &d.atoms[at]
		if k := d.atomAt(a.after); a.after != 0 && k >= 0 {
			s.join(atom0+int32(at), atom0+int32(k))
		}
		for _, r := range a.refs[:a.n] {
			d.each(r, func(r ref, ch *chain) {
				var here int32 = -1
				for _, v := range ch.vs {
					if k := d.atomAt(v.atom); v.atom != 0 && k >= 0 {
						if here >= 0 {
							s.join(here, atom0+int32(k))
						}
						here = atom0 + int32(k)
					}
				}
				if i, ok := index[r]; ok && here >= 0 {
					s.join(i, here)
				}
			})
		}
	}
}

// tieSize joins a size with the cells of the pages that it may need.
func (d *disk) tieSize(p place, index map[ref]int32, atom0 int32, s *sets) {
	i := index[p.r]
	for _, v := range p.ch.vs {
		if v.why != whyWrite || v.seq == durable || v.n == 0 {
			continue
		}
		first := (v.n - 1) / PageSize * PageSize / d.cfg.unit
		last := first + PageSize/d.cfg.unit
		d.each(ref{kind: refCells, ino: p.r.ino, c0: int32(first), c1: int32(last)}, func(r ref, ch *chain) {
			if k, ok := index[r]; ok {
				s.join(i, k)
			}
			for _, w := range ch.vs {
				if k := d.atomAt(w.atom); w.atom != 0 && k >= 0 {
					s.join(i, atom0+int32(k))
				}
			}
		})
	}
}

// sets is a union of disjoint sets.
type sets struct{ up []int32 }

func (s *sets) start(n int) {
	s.up = make([]int32, n)
	for i := range s.up {
		s.up[i] = int32(i)
	}
}

func (s *sets) find(i int32) int32 {
	for s.up[i] != i {
		s.up[i] = s.up[s.up[i]]
		i = s.up[i]
	}
	return i
}

func (s *sets) join(a, b int32) {
	if a, b = s.find(a), s.find(b); a != b {
		s.up[max(a, b)] = min(a, b)
	}
}

// product is a number that is a word for as long as it fits.
type product struct {
	set  bool
	word uint64
	big  *big.Int
}

func (p *product) times(n uint64) {
	if !p.set {
		p.set, p.word = true, 1
	}
	if hi, lo := bits.Mul64(p.word, n); hi == 0 {
		p.word = lo
		return
	}
	p.flush()
	p.word = n
}

func (p *product) timesBig(n *big.Int) {
	if n.IsUint64() {
		p.times(n.Uint64())
		return
	}
	p.times(1)
	p.flush()
	p.big.Mul(p.big, n)
}

// flush moves the word into the large number.
func (p *product) flush() {
	if p.big == nil {
		p.big = big.NewInt(1)
	}
	p.big.Mul(p.big, new(big.Int).SetUint64(p.word))
	p.word = 1
}

func (p *product) value() *big.Int {
	p.times(1)
	if p.big == nil {
		return new(big.Int).SetUint64(p.word)
	}
	p.flush()
	return p.big
}
