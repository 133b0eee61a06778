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
	added  int
	lists  [kinds]list
	known  []known
	copied []byte
}

// list is the inputs of one kind.
type list struct {
	inputs [][]byte
	at     []int // where their hashes belong
	sums   [][lanes.Size]byte
}

type known struct {
	at   int
	hash Hash
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

// Header adds a canonical header, as Hasher.Header has it. It is not kept.
func (m *Many) Header(canonical []byte) {
	if len(canonical) > small {
		m.Known(m.hasher.Header(canonical))
		return
	}
	from := len(m.copied)
	m.copied = append(m.copied, canonical...)
	m.add(ofHeader, m.copied[from:])
}

// Known adds an input whose hash is known.
func (m *Many) Known(hash Hash) {
	m.known = append(m.known, known{m.added, hash})
	m.added++
}

func (m *Many) add(k kind, input []byte) {
	l := &m.lists[k]
	l.inputs, l.at = append(l.inputs, input), append(l.at, m.added)
	m.added++
}

// mostKept is how many inputs there may have been for their room to be kept.
const mostKept = 4096

// Sum puts the hashes of what was added into sums, which has as many elements, in
// order, and forgets it.
func (m *Many) Sum(sums []Hash) {
	if len(sums) != m.added {
		panic("internal error: sums for another number of inputs")
	}
	for k := range m.lists {
		l := &m.lists[k]
		if len(l.inputs) == 0 {
			continue
		}
		l.sums = slices.Grow(l.sums[:0], len(l.inputs))[:len(l.inputs)]
		keys[k].SumMany(l.inputs, l.sums)
		for i, at := range l.at {
			sums[at] = l.sums[i]
		}
		clear(l.inputs)
		l.inputs, l.at = l.inputs[:0], l.at[:0]
	}
	for _, k := range m.known {
		sums[k.at] = k.hash
	}
	if len(sums) > mostKept {
		*m = Many{}
	}
	m.added, m.known, m.copied = 0, m.known[:0], m.copied[:0]
}
