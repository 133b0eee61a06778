package chain

import (
	"encoding/binary"

	"github.com/zeebo/blake3"

	"github.com/untorn-db/untorn/engine/chain/internal/lanes"
)

// kind is what a hash is of. Hashes of different kinds have different keys, which
// BLAKE3 derives from the kind's context, so no input of one is one of another.
type kind uint8

const (
	ofLog kind = iota
	ofStream
	ofPayload // content that is nothing but a payload
	ofContent
	ofHeader
	ofEvent
	ofNotes
	ofBatch
	ofCursor
	ofHead
	kinds
)

var contexts = [kinds]string{
	ofLog:     "untorn log v1",
	ofStream:  "untorn stream v1",
	ofPayload: "untorn payload v1",
	ofContent: "untorn content v1",
	ofHeader:  "untorn header v1",
	ofEvent:   "untorn event v1",
	ofNotes:   "untorn notes v1",
	ofBatch:   "untorn batch v1",
	ofCursor:  "untorn cursor v1",
	ofHead:    "untorn head v1",
}

var keys = func() (keys [kinds]*lanes.Key) {
	for k, context := range contexts {
		keys[k] = lanes.NewKey(context)
	}
	return keys
}()

// small is the largest input that is gathered before it is hashed: BLAKE3's
// chunk. Above it is hashed as it comes.
const small = 1024

// LogRoot is the log head before the first batch of a log.
func LogRoot(logID [16]byte) Hash { return keys[ofLog].Sum(logID[:]) }

// StreamRoot is the event hash before the first event of a stream.
func StreamRoot(logID [16]byte, scope, stream string) Hash {
	var buf [small]byte // names have at most 255 bytes each; longer ones only cost an allocation
	input := append(buf[:0], logID[:]...)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(scope)))
	input = append(input, scope...)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(stream)))
	input = append(input, stream...)
	return keys[ofStream].Sum(input)
}

// Cursor is the identity of a cursor's query, of the query in its encoding.
func Cursor(query []byte) Hash { return keys[ofCursor].Sum(query) }

// Hasher computes the hashes of events and batches. Its zero value is ready;
// it is for one goroutine at a time, and must not be copied after its first
// use. It keeps nothing of what it has hashed.
type Hasher struct {
	scratch [small]byte
	large   [kinds]*blake3.Hasher // made for the first input above small, then kept
}

// Content is the hash of what an event carries. The salt has 0 or 16 bytes: an
// event that may be erased has one, so that the content cannot be guessed from
// its hash once it is gone. Metadata has less than 4 GiB.
func (h *Hasher) Content(salt, metadata, payload []byte) Hash {
	if len(salt) == 0 && len(metadata) == 0 {
		return keys[ofPayload].Sum(payload)
	}
	prefix := appendContentPrefix(h.scratch[:0], salt, metadata)
	if len(prefix)+len(metadata)+len(payload) <= small {
		return keys[ofContent].Sum(append(append(prefix, metadata...), payload...))
	}
	large := h.start(ofContent, prefix)
	write(large, metadata)
	write(large, payload)
	return h.finish(large)
}

func appendContentPrefix(dst, salt, metadata []byte) []byte {
	if len(salt) != 0 && len(salt) != 16 {
		panic("internal error: a salt has 0 or 16 bytes")
	}
	dst = append(dst, byte(len(salt)))
	dst = append(dst, salt...)
	return binary.LittleEndian.AppendUint32(dst, uint32(len(metadata)))
}

// Header is the hash of a canonical header, which is that of
// record.AppendCanonical.
func (h *Hasher) Header(canonical []byte) Hash { return keys[ofHeader].Sum(canonical) }

// Event is the hash of an event: previous is that of the stream's event before
// it, or StreamRoot; header is what Header returned.
func (h *Hasher) Event(previous, header Hash) Hash {
	input := append(append(h.scratch[:0], previous[:]...), header[:]...)
	return keys[ofEvent].Sum(input)
}

// Notes is the hash of the notes of a batch in their encoded form, in order, and
// of the batch's time and clock, which events bind by themselves; the zero Hash for
// none.
func (h *Hasher) Notes(time, clock int64, encoded [][]byte) Hash {
	if len(encoded) == 0 {
		return Hash{}
	}
	size := 8 + 8 + 4
	for _, note := range encoded {
		size += 4 + len(note)
	}
	input := binary.LittleEndian.AppendUint64(h.scratch[:0], uint64(time))
	input = binary.LittleEndian.AppendUint64(input, uint64(clock))
	input = binary.LittleEndian.AppendUint32(input, uint32(len(encoded)))
	if size <= small {
		for _, note := range encoded {
			input = binary.LittleEndian.AppendUint32(input, uint32(len(note)))
			input = append(input, note...)
		}
		return keys[ofNotes].Sum(input)
	}
	large := h.start(ofNotes, input)
	for _, note := range encoded {
		write(large, binary.LittleEndian.AppendUint32(h.scratch[:0], uint32(len(note))))
		write(large, note)
	}
	return h.finish(large)
}

// Head is the log head after a batch: Link of the head before it, or LogRoot,
// and of what Batch returns for the rest.
func (h *Hasher) Head(previous Hash, batch, firstSequence uint64, events []Hash, notes Hash) Hash {
	return h.Link(previous, h.Batch(batch, firstSequence, events, notes))
}

// Batch is the digest of a batch: all that the log head after it binds besides
// the head before it. firstSequence is that of the batch's first event, or the
// next one for a batch of notes alone; events are the events' hashes in order;
// notes is what Notes returned.
func (h *Hasher) Batch(batch, firstSequence uint64, events []Hash, notes Hash) Hash {
	input := binary.LittleEndian.AppendUint64(h.scratch[:0], batch)
	input = binary.LittleEndian.AppendUint64(input, firstSequence)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(events)))
	noted := notes[:]
	if notes.IsZero() {
		noted = nil
	}
	if len(input)+len(events)*Size+len(noted) <= small {
		for i := range events {
			input = append(input, events[i][:]...)
		}
		return keys[ofBatch].Sum(append(input, noted...))
	}
	large := h.start(ofBatch, input)
	for i := range events {
		write(large, events[i][:])
	}
	write(large, noted)
	return h.finish(large)
}

// Link is the log head after a batch: previous is the head before it, or
// LogRoot; digest is what Batch returned. So 32 bytes for each batch lead from
// one head to any later one.
func (h *Hasher) Link(previous, digest Hash) Hash {
	input := append(append(h.scratch[:0], previous[:]...), digest[:]...)
	return keys[ofHead].Sum(input)
}

func (h *Hasher) start(k kind, prefix []byte) *blake3.Hasher {
	large := h.large[k]
	if large == nil {
		large = blake3.NewDeriveKey(contexts[k])
		h.large[k] = large
	}
	large.Reset()
	write(large, prefix)
	return large
}

func write(h *blake3.Hasher, p []byte) { _, _ = h.Write(p) } // never fails

func (h *Hasher) finish(large *blake3.Hasher) Hash {
	large.Sum(h.scratch[:0])
	return Hash(h.scratch[:Size])
}
