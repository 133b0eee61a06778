package chain

import (
	"slices"

	"github.com/untorn-db/untorn/engine/chain/internal/lanes"
)

// Many hashes contents and canonical headers side by side, which takes a fraction
// of the time that a Hasher needs for one after the other:
//
//	for _, e := range events {
//		many.Content(nil, e.Metadata, e.Payload)
//	}
//	many.Sum(hashes) // of each, in order, as Hasher.Content
//
// Its zero value is ready; it is for one goroutine at a time, and must not be
// copied after its first use. It has no copy of a payload that stands alone: that
// must stay as it is until Sum.
type Many struct {
	hasher Hasher
	order  []kind // of the inputs
	lists  [kinds]list
	copied []byte
	whole  []Hash // of the inputs that are known already; their kind is kinds
}

// list is the inputs of one kind.
type list struct {
	inputs [][]byte
	sums   []Hash
	next   int // that is not taken yet
}

// Content adds the content of an event, as Hasher.Content has it.
func (m *Many) Content(salt, metadata, payload []byte) {
	switch {
	case len(salt) == 0 && len(metadata) == 0:
		m.add(ofPayload, payload)
	case 1+len(salt)+4+len(metadata)+len(payload) > small: // a copy would cost more than it gains
		m.Known(m.hasher.Content(salt, metadata, payload))
	default:
		from := len(m.copied)
		m.copied = appendContentPrefix(m.copied, salt, metadata)
		m.copied = append(append(m.copied, metadata...), payload...)
		m.add(ofContent, m.copied[from:])
	}
}

// Header adds a canonical header, as Hasher.Header has it.
func (m *Many) Header(canonical []byte) {
	from := len(m.copied)
	m.copied = append(m.copied, canonical...)
	m.add(ofHeader, m.copied[from:])
}

// Known adds an input whose hash is known.
func (m *Many) Known(hash Hash) {
	m.order = append(m.order, kinds)
	m.whole = append(m.whole, hash)
}

func (m *Many) add(k kind, input []byte) {
	m.order = append(m.order, k)
	m.lists[k].inputs = append(m.lists[k].inputs, input)
}

// Sum puts the hashes of what was added into sums, which has as many elements, in
// order, and forgets it.
func (m *Many) Sum(sums []Hash) {
	if len(sums) != len(m.order) {
		panic("internal error: sums for another number of inputs")
	}
	for k := range m.lists {
		l := &m.lists[k]
		if len(l.inputs) == 0 {
			continue
		}
		l.sums = slices.Grow(l.sums[:0], len(l.inputs))[:len(l.inputs)]
		lanes.SumMany(keys[k], l.inputs, l.sums)
		clear(l.inputs)
		l.inputs, l.next = l.inputs[:0], 0
	}
	whole := m.whole
	for i, k := range m.order {
		if k == kinds {
			sums[i], whole = whole[0], whole[1:]
			continue
		}
		l := &m.lists[k]
		sums[i] = l.sums[l.next]
		l.next++
	}
	if len(sums) > mostKept {
		*m = Many{}
		return
	}
	m.order, m.copied, m.whole = m.order[:0], m.copied[:0], m.whole[:0]
}

// mostKept is how many inputs there may have been for their room to be kept.
const mostKept = 4096
