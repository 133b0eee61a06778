package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Query selects events. The zero value selects all of them, in order.
type Query struct {
	// Stream with Scope selects one stream; Scope alone all streams of a scope;
	// both empty the whole log.
	Scope, Stream string
	// Types selects events by type; empty means all.
	Types []string

	FromVersion, ToVersion   uint64 // inclusive; 0 means no bound; only with Stream
	FromSequence, ToSequence uint64 // inclusive; 0 means no bound

	Backward bool // last first
	Limit    int  // at most so many; 0 means all
	// Buffered also yields events that are written but not durable. They have
	// Durable false, and may vanish in a power cut.
	Buffered bool
	// Borrow yields events whose Data and Metadata are valid, and not to be
	// changed, until the next one is asked for: for those who keep little of what
	// they read.
	Borrow bool
}

// Selects reports whether the query selects an event by what it is: its scope and
// stream, type, version and sequence. What says how to read has no part in it:
// Backward, Limit, Buffered and Borrow.
func (q *Query) Selects(e *Event) bool {
	return q.selects(e.Scope, e.Stream, e.Type, e.Version) &&
		e.Sequence >= q.FromSequence && (q.ToSequence == 0 || e.Sequence <= q.ToSequence)
}

// selects is Selects where the sequence is the right one.
func (q *Query) selects(scope, stream, eventType string, version uint64) bool {
	switch {
	case q.Stream != "" && (q.Stream != stream || q.Scope != scope): // here "" is a scope
		return false
	case q.Scope != "" && q.Scope != scope:
		return false
	case len(q.Types) > 0 && !slices.Contains(q.Types, eventType):
		return false
	}
	return version >= q.FromVersion && (q.ToVersion == 0 || version <= q.ToVersion)
}

// AppendIdentity appends what the query selects in one encoding, that of FORMAT.md
// under "cursor query": the same bytes for two queries that say the same, whatever
// the order of their types, and other bytes for others. What says how to read is
// not in it.
func (q *Query) AppendIdentity(b []byte) []byte {
	text := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	types := slices.Compact(slices.Sorted(slices.Values(q.Types)))
	b = text(text(b, q.Scope), q.Stream)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(types)))
	for _, t := range types {
		b = text(b, t)
	}
	for _, n := range []uint64{q.FromVersion, q.ToVersion, max(q.FromSequence, 1), q.ToSequence} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// CheckLasting reports all that keeps a query from being one whose place is
// remembered, as those of cursors and projections are. The error matches ErrInvalid.
func (q *Query) CheckLasting() error {
	var problem error
	if q.Backward || q.Limit != 0 || q.Buffered {
		problem = fmt.Errorf("%w: a query whose place is remembered has no Backward, Limit or Buffered", ErrInvalid)
	}
	return errors.Join(problem, q.check())
}

// check refuses what selects nothing by mistake.
func (q *Query) check() error {
	if q.Stream == "" && (q.FromVersion != 0 || q.ToVersion != 0) {
		return fmt.Errorf("%w: FromVersion and ToVersion need a Stream", ErrInvalid)
	}
	return nil
}
