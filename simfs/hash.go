package simfs

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fold multiplies to 128 bits and folds them.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// digest takes 64-bit words in order. Two lanes give 128 bits.
type digest struct{ a, b uint64 }

func begin(kind uint64) digest {
	return digest{mix(kind ^ 0x243f6a8885a308d3), mix(kind ^ 0x13198a2e03707344)}
}

func (h *digest) word(x uint64) {
	h.a = fold(h.a^x^0xa4093822299f31d0, 0x9e3779b97f4a7c15^h.b|1)
	h.b = fold(h.b^bits.RotateLeft64(x, 32)^0x082efa98ec4e6c89, 0xc2b2ae3d27d4eb4f) + h.a
}

func (h *digest) pair(a, b uint64) { h.word(a); h.word(b) }

// blocks takes the whole blocks of 16 bytes, and returns the rest.
func (h *digest) blocks(b []byte) []byte {
	for len(b) >= 16 {
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		h.a = fold(h.a^x, y^0x9e3779b97f4a7c15)
		h.b = fold(h.b^y^0xc2b2ae3d27d4eb4f, bits.RotateLeft64(x, 29)^0x165667b19e3779f9) + h.a
		b = b[16:]
	}
	return b
}

func (h *digest) bytes(b []byte) {
	n := uint64(len(b))
	b = h.blocks(b)
	for len(b) > 0 {
		var w [8]byte
		k := copy(w[:], b)
		h.word(binary.LittleEndian.Uint64(w[:]))
		b = b[k:]
	}
	h.word(n)
}

// padded is bytes of b with zeros up to n bytes behind it.
func (h *digest) padded(b []byte, n int) {
	if n%16 != 0 {
		var whole [16]byte
		copy(whole[:], b)
		h.bytes(whole[:n]) // cells are a power of two
		return
	}
	var last [16]byte
	k := len(b) &^ 15
	copy(last[:], b[k:])
	h.blocks(b[:k])
	if k < n {
		h.blocks(last[:])
	}
	for k += 16; k < n; k += 16 {
		h.a = fold(h.a, 0x9e3779b97f4a7c15)
		h.b = fold(h.b^0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9) + h.a
	}
	h.word(uint64(n))
}

func (h *digest) str(s string) {
	for i := 0; i < len(s); i += 8 {
		var w [8]byte
		copy(w[:], s[i:])
		h.word(binary.LittleEndian.Uint64(w[:]))
	}
	h.word(uint64(len(s)))
}

func (h *digest) sum() (uint64, uint64) {
	return mix(h.a ^ bits.RotateLeft64(h.b, 17)), mix(h.b + 0x9e3779b97f4a7c15*h.a)
}

// hash returns the hash of a cell's bytes; zeros have 0.
func (c *content) hash() (uint64, uint64) {
	if c == nil {
		return 0, 0
	}
	if c.hashed.Load() == 0 {
		h := begin(1)
		h.padded(c.b, int(c.unit))
		a, b := h.sum()
		c.h0.Store(a)
		c.h1.Store(b)
		c.hashed.Store(1)
	}
	return c.h0.Load(), c.h1.Load()
}

// hash returns what chunk k adds to its file: the cells that have no chain.
func (ck *chunk) hash(k uint64) (uint64, uint64) {
	if ck.hashed.Load() == 0 {
		var s0, s1 uint64
		for i := range ck.cells {
			if p := &ck.cells[i]; p.ch == nil && p.cur != nil {
				h := begin(2)
				h.word(k*chunkCells + uint64(i))
				h.pair(p.cur.hash())
				a, b := h.sum()
				s0 += a
				s1 += b
			}
		}
		ck.h0.Store(s0)
		ck.h1.Store(s1)
		ck.hashed.Store(1)
	}
	return ck.h0.Load(), ck.h1.Load()
}

// known returns the hash of all cells of a file that have no chain.
func (in *inode) known() (uint64, uint64) {
	if in.hashed.Load() == 0 {
		s := in.sum
		for _, k := range in.stale {
			a, b := in.groups[k/groupChunks].chunks[k%groupChunks].hash(uint64(k))
			s[0] += a
			s[1] += b
		}
		in.h0.Store(s[0])
		in.h1.Store(s[1])
		in.hashed.Store(1)
	}
	return in.h0.Load(), in.h1.Load()
}

// chained returns the cells of a file that have a chain, in order.
func (in *inode) chained() []int32 {
	if len(in.marks) == 0 && len(in.undec) == 0 {
		return nil
	}
	all := make([]int32, 0, len(in.marks)+len(in.undec))
	for _, list := range [2][]int32{in.undec, in.marks} {
		for _, c := range list {
			if in.cellOf(c).ch != nil {
				all = append(all, c)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// value hashes what a version says. rank numbers inodes by discovery.
func (d *disk) value(kind refKind, v ver, rank func(int64) uint64) (uint64, uint64) {
	switch kind {
	case refCells:
		return v.c.hash()
	case refName:
		n := rank(v.n)
		return n, mix(n)
	}
	return uint64(v.n), mix(uint64(v.n))
}

// chainHash hashes a chain as a set where nothing ties its versions, and in order
// with the ranks of their atoms where something does.
func (d *disk) chainHash(h *digest, r ref, ch *chain, rank func(int64) uint64) {
	if ch.epoch == d.epoch {
		h.word(3)
		if ch.clean {
			h.word(4)
		}
	}
	if !ch.coupled() {
		var buf [8]run
		var s0, s1, n uint64
		for _, o := range runs(r.kind, ch, buf[:]) {
			e := begin(5)
			e.pair(d.value(r.kind, ch.vs[o.from], rank))
			if r.kind == refSize && d.cfg.g.SizeAfterData {
				d.tieHash(&e, r.ino, ch.vs[o.from])
			}
			a, b := e.sum()
			s0 += a
			s1 += b
			n++
		}
		h.word(n)
		h.pair(s0, s1)
		return
	}
	h.word(6)
	for i, v := range ch.vs {
		if i > 0 && v.atom == 0 && equal(r.kind, ch.vs[i-1], v) {
			continue
		}
		h.pair(d.value(r.kind, v, rank))
		at := uint64(0)
		if v.atom != 0 {
			at = uint64(d.atomAt(v.atom)+1)*2 + 1
			if v.early() {
				at++
			}
		}
		h.word(at)
		if r.kind == refSize && d.cfg.g.SizeAfterData {
			d.tieHash(h, r.ino, v)
		}
	}
	h.word(uint64(len(ch.vs)))
}

// tieHash adds which versions of its last page a size needs.
func (d *disk) tieHash(h *digest, ino int32, v ver) {
	if v.seq == durable || v.page == durable || v.n == 0 || v.why != whyWrite {
		return
	}
	first := (v.n - 1) / PageSize * PageSize / d.cfg.unit
	d.each(ref{kind: refCells, ino: ino, c0: int32(first), c1: int32(first + PageSize/d.cfg.unit)}, func(r ref, ch *chain) {
		p := d.needs(ch, v.page)
		if p == 0 {
			return
		}
		h.pair(uint64(r.c0), uint64(len(ch.vs)-p))
		for _, w := range ch.vs[p:] {
			h.pair(w.c.hash())
		}
	})
}

// hash returns the 128-bit hash of the set of images that d stands for.
func (d *disk) hash() [16]byte {
	h := begin(7)
	h.word(uint64(d.cfg.unit))
	order := make([]uint64, len(d.inodes)) // rank + 1
	queue := make([]int32, 0, len(d.inodes))
	rank := func(n int64) uint64 {
		if n == none {
			return 0
		}
		if order[n] == 0 {
			queue = append(queue, int32(n))
			order[n] = uint64(len(queue))
		}
		return order[n]
	}
	rank(0)
	for i := 0; i < len(queue); i++ {
		d.inodeHash(&h, d.inodes[queue[i]], rank)
	}
	for i := range d.atoms {
		a := &d.atoms[i]
		h.word(8)
		if a.journal {
			h.word(9)
		}
		if a.epoch == d.epoch {
			h.word(10)
		}
	}
	for _, g := range d.graves {
		h.word(uint64(g.cell))
		h.pair(g.c.hash())
	}
	var out [16]byte
	a, b := h.sum()
	binary.LittleEndian.PutUint64(out[:], a)
	binary.LittleEndian.PutUint64(out[8:], b)
	return out
}

// inodeHash adds one inode.
func (d *disk) inodeHash(h *digest, in *inode, rank func(int64) uint64) {
	if in.dir {
		h.word(11)
		h.word(uint64(in.mode.Perm()))
		for i := range in.ents {
			e := &in.ents[i]
			h.str(e.name)
			if e.ch == nil || e.ch.epoch == d.epoch {
				h.word(rank(e.ino))
			}
			if e.ch != nil {
				d.chainHash(h, ref{kind: refName, ino: in.ino, name: e.name}, e.ch, rank)
			}
		}
		h.word(uint64(len(in.ents)))
		return
	}
	h.word(12)
	h.word(uint64(in.mode.Perm()))
	if in.szch == nil || in.szch.epoch == d.epoch {
		h.word(uint64(in.size))
	}
	if in.szch != nil {
		d.chainHash(h, ref{kind: refSize, ino: in.ino}, in.szch, rank)
	}
	h.pair(in.known())
	for _, c := range in.chained() {
		p := in.cellOf(c)
		h.word(uint64(c) + 1<<32)
		if p.ch.epoch == d.epoch {
			h.pair(p.cur.hash())
		}
		d.chainHash(h, ref{kind: refCells, ino: in.ino, c0: c, c1: c + 1}, p.ch, rank)
	}
}
