package engine

import (
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
)

// Room is memory that a log takes when it opens, and that Reclaim gets back. It
// is for those who open a great many small logs, such as a search of crash
// images, where making and clearing buffers is much of the work. The zero value
// is ready. Any number of logs may share one, from any number of goroutines.
//
// A log does the same with a Room as without: it asks for the same sizes, and
// reads nothing that it has not written.
type Room struct{ spaces sync.Pool } // of *workspace

// workspace is what a log uses of a Room.
type workspace struct {
	// Used by the holder of the commit token only.
	hasher  chain.Hasher
	headers headerHasher
	buffer  []byte    // the group's bytes
	id      uuid.UUID // the last that was drawn
	step    [4]byte
	staging staging        // of the group at work
	staged  []*stagedBatch // that are done with

	calls *sync.Pool // of *call; by itself, since the runtime keeps what a pool lies in

	// What is the log's, while it has the workspace.
	kept struct {
		index    *index.Index
		segments map[uint64]*segmentFile
		numbers  []uint64
		unsynced []span
		spare    *reader
	}
}

// furnish gives a new log what it works with.
func (r *Room) furnish(l *Log) {
	if r != nil {
		if w, ok := r.spaces.Get().(*workspace); ok {
			l.workspace = w
			k := &w.kept
			l.index, l.segments, l.numbers, l.unsynced, l.spare = k.index, k.segments, k.numbers, k.unsynced, k.spare
			return
		}
	}
	l.workspace = &workspace{calls: new(sync.Pool)}
	l.index = index.New()
	l.segments = map[uint64]*segmentFile{}
}

// Reclaim takes the memory of a log that has this Room, be it closed, or as dead
// as that of a process that was killed. No call of the log may be at work, and
// none may be made afterwards; what its calls have returned stays valid.
func (r *Room) Reclaim(l *Log) {
	w := l.workspace
	if r == nil || w == nil || l.opts.Room != r {
		return
	}
	l.workspace = nil
	if l.spare != nil {
		l.spare.recycle()
	}
	w.staging.forget() // which has streams of the index
	l.index.Clear()
	clear(l.segments)
	w.kept.index, w.kept.segments = l.index, l.segments
	w.kept.numbers, w.kept.unsynced, w.kept.spare = l.numbers[:0], l.unsynced[:0], l.spare
	r.spaces.Put(w)
}

// shelf lends byte slices to one reader, and gets them all back at once. The
// bytes are arbitrary.
type shelf struct {
	on         bool // else nothing is kept
	free, lent [][]byte
}

const (
	mostLent  = 16
	mostShelf = 1 << 20 // a larger slice is not kept
)

func (s *shelf) take(n int) []byte {
	if !s.on || n > mostShelf {
		return make([]byte, n)
	}
	best := -1
	for i, b := range s.free {
		if cap(b) >= n && (best < 0 || cap(b) < cap(s.free[best])) {
			best = i
		}
	}
	var b []byte
	if best >= 0 {
		b = s.free[best]
		s.free = slices.Delete(s.free, best, best+1)
	} else {
		size := 4 << 10
		for size < n {
			size *= 2
		}
		b = make([]byte, size)
	}
	if len(s.lent) < mostLent {
		s.lent = append(s.lent, b)
	}
	// Nobody may see how much there is: how far a file is read ahead follows from
	// the room, and a log must do the same in any.
	return b[:n:n]
}

// recycle makes a reader for another log of one that nobody uses.
func (r *reader) recycle() {
	r.shelf.free = append(r.shelf.free, r.shelf.lent...)
	r.shelf.lent = r.shelf.lent[:0]
	if len(r.shelf.free) > mostLent {
		r.shelf.free = slices.Delete(r.shelf.free, mostLent, len(r.shelf.free))
	}
	r.log, r.segment, r.bytes, r.ahead, r.offset = nil, nil, nil, 0, 0
	r.where = place{} // batches of another log have the same ordinals
	r.scanner.Recycle()
}
