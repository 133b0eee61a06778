package simfs

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Garbage is the alphabet of what may stand, besides zeros, in bytes that no
// completed write has covered. The zero value is zeros alone. Where it may
// appear is for the Guarantees to say.
type Garbage struct {
	Block bool   // one block of seeded noise
	Stale bool   // any earlier content of that block, of this or of a removed file
	Seed  uint64 // of the noise
}

// ParseGarbage reads an alphabet as String prints it, in plans, flags and
// certificates:
//
//	zero
//	zero+garbage
//	zero+garbage+stale
//
// Zeros are always part of it and need not be written. Older plans say all for all
// three, and block for garbage. The seed of the noise is no part of the text.
func ParseGarbage(text string, seed uint64) (g Garbage, err error) {
	switch text {
	case "all":
		text = "zero+garbage+stale"
	case "block":
		text = "zero+garbage"
	}
	zero := false
	for word := range strings.SplitSeq(text, "+") {
		has, ok := map[string]*bool{"zero": &zero, "garbage": &g.Block, "stale": &g.Stale}[word]
		if !ok || *has {
			return Garbage{}, fmt.Errorf("simfs: garbage %q: want zero, zero+garbage, zero+stale or zero+garbage+stale", text)
		}
		*has = true
	}
	if g.Block {
		g.Seed = seed
	}
	return g, nil
}

// String is the text that ParseGarbage reads.
func (g Garbage) String() string {
	s := "zero"
	if g.Block {
		s += "+garbage"
	}
	if g.Stale {
		s += "+stale"
	}
	return s
}

// noise is the seeded block: PCG-like, the same on every platform.
func noise(seed uint64, n int64) *content {
	c := &content{unit: int32(n), b: make([]byte, n)}
	var word [8]byte
	for i := range c.b {
		if i%8 == 0 {
			seed += 0x9e3779b97f4a7c15
			binary.LittleEndian.PutUint64(word[:], mix(seed))
		}
		c.b[i] = word[i%8]
	}
	c.b[0] |= 1 // never all zeros
	c.b = trimmed(c.b)
	return c
}

// bury remembers an earlier content of a block.
func (d *disk) bury(c int32, was *content) {
	for _, g := range d.graves {
		if g.cell == c && sameContent(g.c, was) {
			return
		}
	}
	d.graves = append(d.graves, grave{c, was})
}

// buryFile remembers all contents of a file that goes.
func (d *disk) buryFile(in *inode) {
	if !d.cfg.alpha.Stale {
		return
	}
	for c := int32(0); c < in.cells(); c++ {
		p := in.cellOf(c)
		if p.cur != nil {
			d.bury(c, p.cur)
		}
		if p.ch != nil {
			for _, v := range p.ch.vs {
				if v.c != nil && v.why != whyGarbage && v.why != whyStale {
					d.bury(c, v.c)
				}
			}
		}
	}
}

// uncertain appends to a chain what may stand in a cell that the size covers
// before its data came.
func (d *disk) uncertain(c int32, ch *chain) {
	if d.cfg.alpha.Block && d.cfg.g.GarbageUncovered {
		ch.vs = append(ch.vs, ver{c: d.cfg.block, seq: durable, why: whyGarbage})
	}
	if d.cfg.alpha.Stale && d.cfg.g.StaleUncovered {
		d.stale(c, ch, durable)
	}
}

// stale appends every earlier content of block c.
func (d *disk) stale(c int32, ch *chain, seq int32) {
	for _, g := range d.graves {
		if g.cell == c {
			ch.vs = append(ch.vs, ver{c: g.c, seq: seq, why: whyStale})
		}
	}
}

// covers reports whether a cell beyond the durable size may hold garbage.
func (d *disk) covers() bool {
	return d.cfg.g.GarbageUncovered && d.cfg.alpha.Block || d.cfg.g.StaleUncovered && d.cfg.alpha.Stale
}

// platterSize returns the smallest size that may be on the platter.
func (in *inode) platterSize() int64 {
	least := in.size
	if in.szch != nil {
		least = in.szch.vs[0].n
		for _, v := range in.szch.vs {
			least = min(least, v.n)
		}
	}
	return least
}

// harm lets the rest of the blocks that a write touches in part become garbage,
// where the disk is not powersafe. The write itself comes afterwards.
func (d *disk) harm(in *inode, off, end int64, path string) {
	if d.cfg.g.Powersafe || d.cfg.unit == PageSize {
		return
	}
	u := d.cfg.unit
	one := func(c int64) {
		if c*u >= in.size {
			return
		}
		d.known(in, int32(c), path)
		p := d.pend(in, int32(c))
		bad := d.cfg.block
		p.ch.vs = append(p.ch.vs, ver{c: bad, seq: d.seq, why: whyGarbage})
		if d.cfg.alpha.Stale {
			d.stale(int32(c), p.ch, d.seq)
		}
		p.ch.vs = append(p.ch.vs, ver{c: p.cur, seq: d.seq, why: whyDurable})
	}
	if off%PageSize != 0 {
		for c := off / PageSize * PageSize / u; c < off/u; c++ {
			one(c)
		}
	}
	if end%PageSize != 0 {
		for c := (end + u - 1) / u; c < (end/PageSize+1)*PageSize/u; c++ {
			one(c)
		}
	}
}
