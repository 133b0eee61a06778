package engine

import (
	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
)

// Succession checks batches that follow each other, without the log that they are of: for
// those who keep them elsewhere, or hand them to Adopt. Apply needs none, since a log is one.
// It remembers the last hash of each stream. A Succession is for one goroutine at a time.
type Succession struct {
	id      [16]byte
	last    point
	first   uint64 // sequence of the first event; 0 until a batch has come
	streams map[index.Name]index.Stream
	headers headerHasher
	hasher  chain.Hasher
	hashes  []chain.Hash
}

// NewSuccession begins behind a batch of the log with an id; 0 is its beginning. head is
// the log head there, as Log.HeadAt says.
func NewSuccession(log uuid.UUID, batch uint64, head Hash) *Succession {
	return &Succession{id: log, last: point{batch: batch, head: head}, streams: map[index.Name]index.Stream{}}
}

// Check computes all hashes of the next batch, and compares them with those that it says.
// In a succession that begins behind batch 0 it cannot tell what came before in a stream:
// the hash of the first event that it sees there is believed, and what the event holds is
// not bound by the head. The error matches ErrDiverged, ErrGap or ErrInvalid; after it the
// succession is where it was.
func (s *Succession) Check(b *WholeBatch) error {
	x, _, err := encodeBatch(b)
	if err != nil {
		return err
	}
	m := &x.mark
	sequence := s.last.sequence + 1
	if s.first == 0 && s.last.batch > 0 {
		sequence = m.Sequence
	}
	switch {
	case m.Batch != s.last.batch+1:
		return &GapError{Batch: m.Batch, Next: s.last.batch + 1}
	case m.Sequence != sequence:
		return x.diverged(-1, Hash{}, "it begins with event %d, and the log goes on with event %d", m.Sequence, sequence)
	case s.first > 0 && m.Time < s.last.time:
		return x.diverged(-1, Hash{}, "its time is before that of the batch before it")
	}
	for i := range x.events {
		s.headers.add(&x.events[i], m.Sequence+uint64(i), m)
	}
	headers := s.headers.sum()
	s.hashes = s.hashes[:0]
	streams := map[index.Name]index.Stream{}
	for i := range x.events {
		e := &x.events[i]
		name := index.Name{Scope: e.Scope, Stream: e.Stream}
		stream, known := streams[name]
		if !known {
			stream, known = s.streams[name]
		}
		if !known && (e.Version == 1 || s.unbroken()) {
			stream.Hash, known = chain.StreamRoot(s.id, e.Scope, e.Stream), true
		}
		s.hashes = append(s.hashes, e.Hash)
		switch {
		case known && e.Version != stream.Version+1:
			return x.diverged(i, Hash{}, "event %d has version %d of stream %q, which is at %d", m.Sequence+uint64(i), e.Version, e.Stream, stream.Version)
		case known && s.hasher.Event(stream.Hash, headers[i]) != e.Hash:
			return x.diverged(i, Hash{}, "event %d does not have the hash that it says", m.Sequence+uint64(i))
		}
		streams[name] = index.Stream{Version: e.Version, Hash: e.Hash}
	}
	if head := s.hasher.Head(s.last.head, m.Batch, m.Sequence, s.hashes, s.hasher.Notes(m.Time, m.Clock, x.notes)); head != x.head {
		return x.diverged(-1, head, "it does not have the head that it says")
	}
	for name, stream := range streams {
		s.streams[name] = stream
	}
	if s.first == 0 {
		s.first = m.Sequence
	}
	s.last = point{batch: m.Batch, sequence: m.Sequence + uint64(len(x.events)) - 1, time: m.Time, head: x.head}
	return nil
}

// unbroken reports whether the succession has all events from the first on.
func (s *Succession) unbroken() bool { return s.first == 1 || s.first == 0 && s.last.batch == 0 }
