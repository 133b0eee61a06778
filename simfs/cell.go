package simfs

import (
	"bytes"
	"io/fs"
	"sort"
	"sync/atomic"
	"time"
)

// chunkCells is how many cells are copied together when their owner changes.
const chunkCells = 16

// owner marks what one running disk may change in place. Every clone, crash and
// mount gives both sides a new one.
type owner struct{ _ byte }

// content is the bytes of one cell. It never changes once another version, chunk
// or disk may see it. nil stands for zeros.
type content struct {
	own    *owner
	hashed atomic.Uint32
	unit   int32 // bytes in the cell
	h0, h1 atomic.Uint64
	b      []byte // without the zeros at the end: most pages have little in them
}

// part copies the bytes from at on to p, which does not reach beyond the cell.
func (c *content) part(p []byte, at int64) {
	n := 0
	if c != nil && at < int64(len(c.b)) {
		n = copy(p, c.b[at:])
	}
	clear(p[n:])
}

// ver is one version of a variable: bytes, a size or an inode.
type ver struct {
	c    *content // of a cell
	n    int64    // a size in bytes, or an inode number, or none
	seq  int32    // the operation that made it; durable where it is settled
	atom int32    // the atom it hangs on, 0 for none
	page int32    // of a size that a write grew: the operation from which its last page must have its bytes
	why  reason
}

// foreign reports whether nobody wrote the version where it is.
func (v ver) foreign() bool { return v.why == whyGarbage || v.why == whyStale }

// early reports whether the version may be on the platter without its atom, which
// needs it.
func (v ver) early() bool { return v.why == whyFlush || v.why == whyTail }

// reason tells what made a version.
type reason uint8

const (
	whyDurable reason = iota
	whyWrite
	whyTruncate
	whyPreallocate
	whyZero
	whyLink
	whyUnlink
	whyFlush
	whyGarbage
	whyStale
	whyTail // zeros that a cut leaves in the page where the file now ends
)

// String is the label of an option.
func (r reason) String() string {
	return [...]string{"durable", "write", "truncate", "preallocate", "zero", "link", "unlink", "flush", "garbage", "stale", "zero"}[r]
}

const (
	durable int32 = -1 // seq of a version that no operation of this disk made
	none    int64 = -1 // the inode of a name that is not there
)

// chain holds the versions of which one is on the platter, oldest first. The
// first one never hangs on an atom.
type chain struct {
	own   *owner
	epoch int32
	clean bool // a failed sync marked it: a sync does not write it
	vs    []ver
	few   [4]ver // room for the usual number
}

// coupled reports whether any version hangs on an atom.
func (ch *chain) coupled() bool {
	for i := 1; i < len(ch.vs); i++ {
		if ch.vs[i].atom != 0 {
			return true
		}
	}
	return false
}

// cell is one cell of a file: what reads see, and what may be on the platter
// where that is not the same.
type cell struct {
	cur *content
	ch  *chain
}

// chunk is a run of cells that are copied together.
type chunk struct {
	own    *owner
	mark   int32 // equals inode.fold: not part of inode.sum
	hashed atomic.Uint32
	h0, h1 atomic.Uint64
	cells  [chunkCells]cell
}

// groupChunks is how many chunks hang together, so that the first write to a clone
// copies little of a large file.
const groupChunks = 64

// group is a run of chunks.
type group struct {
	own    *owner
	chunks [groupChunks]*chunk
}

// entry is one name in a directory. ents are sorted by name.
type entry struct {
	name string
	ino  int64 // none where it is not there now
	ch   *chain
}

// node is the part of an inode that is copied with it.
type node struct {
	own   *owner
	ino   int32
	dir   bool
	mode  fs.FileMode
	uid   int
	gid   int
	mtime time.Time
	epoch int32 // the epoch that marks belongs to

	size     int64
	szch     *chain
	high     int64 // bytes from here on are zero in every version of every cell
	groups   []*group
	marks    []int32 // cells that got a chain in this epoch; may hold others
	undec    []int32 // cells that may have an older chain
	anyClean bool    // some cell may be marked clean
	meta     int32   // the last metadata atom that concerns this inode

	ents    []entry
	stirred bool // some name may have a chain of this epoch

	sum   [2]uint64 // of the chunks that are not stale
	stale []int32   // chunks that are not part of sum
	fold  int32
}

type inode struct {
	node
	hashed atomic.Uint32 // h0, h1 hold sum with the stale chunks added
	h0, h1 atomic.Uint64
}

// find returns the position of a name, and whether it is there.
func (in *inode) find(name string) (int, bool) {
	i := sort.Search(len(in.ents), func(i int) bool { return in.ents[i].name >= name })
	return i, i < len(in.ents) && in.ents[i].name == name
}

// cellOf returns cell c for reading.
func (in *inode) cellOf(c int32) cell {
	k := int(c) / chunkCells
	if k/groupChunks >= len(in.groups) {
		return cell{}
	}
	g := in.groups[k/groupChunks]
	if g == nil || g.chunks[k%groupChunks] == nil {
		return cell{}
	}
	return g.chunks[k%groupChunks].cells[int(c)%chunkCells]
}

// cells returns how many cells the file has room for; those behind are zero.
func (in *inode) cells() int32 { return int32(len(in.groups) * groupChunks * chunkCells) }

func isZero(b []byte) bool {
	for len(b) >= 64 {
		if b[0] != 0 || !bytes.Equal(b[:64], zeros[:64]) {
			return false
		}
		b = b[64:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// trimmed is b without the zeros at its end.
func trimmed(b []byte) []byte {
	for len(b) >= 64 && b[len(b)-1] == 0 && bytes.Equal(b[len(b)-64:], zeros[:64]) {
		b = b[:len(b)-64]
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// zeros is a page of them. It is never written.
var zeros [PageSize]byte

func sameContent(a, b *content) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false // zeros are always nil
	}
	return bytes.Equal(a.b, b.b)
}
