package engine

import (
	"slices"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// headerHasher hashes the canonical headers of events, and their contents for that,
// side by side. Its zero value is ready, and its room is kept.
type headerHasher struct {
	many      chain.Many
	events    []headed
	sums      []chain.Hash
	canonical []byte
}

// mostHeaders bounds the events whose room is kept for the next ones.
const mostHeaders = 4096

// headed is an event at its place in the log.
type headed struct {
	*record.Event
	sequence    uint64
	time, clock int64
}

// add adds the next event.
func (h *headerHasher) add(e *record.Event, sequence uint64, m *record.Mark) {
	h.events = append(h.events, headed{e, sequence, m.Time, m.Clock})
	switch {
	case e.Erased:
		h.many.Known(e.ContentHash)
	case e.Erasable:
		h.many.Content(e.Salt[:], e.Metadata, e.Payload)
	default:
		h.many.Content(nil, e.Metadata, e.Payload)
	}
}

// sum returns the hashes of the headers, in the order in which the events were
// added, until sum is called again; and forgets the events.
func (h *headerHasher) sum() []chain.Hash {
	h.sums = slices.Grow(h.sums[:0], len(h.events))[:len(h.events)]
	h.many.Sum(h.sums)
	for i := range h.events {
		e := &h.events[i]
		h.canonical = record.AppendCanonical(h.canonical[:0], e.Event, e.sequence, e.time, e.clock, h.sums[i])
		h.many.Header(h.canonical)
	}
	h.many.Sum(h.sums)
	sums := h.sums
	clear(h.events)
	h.events = h.events[:0]
	if len(sums) > mostHeaders {
		*h = headerHasher{}
	}
	return sums
}
