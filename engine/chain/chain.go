package chain

import (
	"encoding/binary"

	"github.com/zeebo/blake3"
)

// The tags keep hashes of different kinds apart. None is a prefix of another.
const (
	tagLog     = "untorn log v1"
	tagStream  = "untorn stream v1"
	tagContent = "untorn content v1"
	tagEvent   = "untorn event v1"
	tagNotes   = "untorn notes v1"
	tagBatch   = "untorn batch v1"
)

// small is the largest input that is gathered in the scratch buffer and hashed
// at once. It is BLAKE3's chunk: above it blake3.Sum256 clears 10 KiB of state
// for every call, and a Hasher that is kept does not.
const small = 1024

// LogRoot is the log head before the first batch of a log.
func LogRoot(logID [16]byte) Hash {
	var buf [len(tagLog) + 16]byte
	input := append(buf[:0], tagLog...)
	input = append(input, logID[:]...)
	return blake3.Sum256(input)
}

// StreamRoot is the event hash before the first event of a stream.
func StreamRoot(logID [16]byte, scope, stream string) Hash {
	var buf [small]byte // names have at most 255 bytes each; longer ones only cost an allocation
	input := append(buf[:0], tagStream...)
	input = append(input, logID[:]...)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(scope)))
	input = append(input, scope...)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(stream)))
	input = append(input, stream...)
	return blake3.Sum256(input)
}

// Hasher computes the hashes of events and batches. Its zero value is ready;
// it is for one goroutine at a time, and must not be copied after its first
// use. It keeps nothing of what it has hashed.
type Hasher struct {
	scratch [small]byte
	large   *blake3.Hasher // made for the first input above small, then kept
}

// Content is the hash of what an event carries. The salt has 0 or 16 bytes: an
// event that may be erased has one, so that the content cannot be guessed from
// its hash once it is gone. Metadata has less than 4 GiB.
func (h *Hasher) Content(salt, metadata, payload []byte) Hash {
	if len(salt) != 0 && len(salt) != 16 {
		panic("internal error: a salt has 0 or 16 bytes")
	}
	prefix := append(h.scratch[:0], tagContent...)
	prefix = append(prefix, byte(len(salt)))
	prefix = append(prefix, salt...)
	prefix = binary.LittleEndian.AppendUint32(prefix, uint32(len(metadata)))
	return h.sum(prefix, metadata, payload)
}

// Event is the hash of an event: previous is that of the stream's event before
// it, or StreamRoot; the header is that of record.AppendCanonical.
func (h *Hasher) Event(previous Hash, canonicalHeader []byte) Hash {
	prefix := append(h.scratch[:0], tagEvent...)
	prefix = append(prefix, previous[:]...)
	return h.sum(prefix, canonicalHeader, nil)
}

// Notes is the hash of the notes of a batch in their encoded form, in order;
// the zero Hash for none.
func (h *Hasher) Notes(encoded [][]byte) Hash {
	if len(encoded) == 0 {
		return Hash{}
	}
	size := len(tagNotes) + 4
	for _, note := range encoded {
		size += 4 + len(note)
	}
	input := append(h.scratch[:0], tagNotes...)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(encoded)))
	if size <= small {
		for _, note := range encoded {
			input = binary.LittleEndian.AppendUint32(input, uint32(len(note)))
			input = append(input, note...)
		}
		return blake3.Sum256(input)
	}
	h.start(input)
	for _, note := range encoded {
		length := binary.LittleEndian.AppendUint32(h.scratch[:0], uint32(len(note)))
		h.write(length)
		h.write(note)
	}
	return h.finish()
}

// Head is the log head after a batch: previous is the head before it, or
// LogRoot; firstSequence is that of the batch's first event, or the next one
// for a batch of notes alone; events are the events' hashes in order; notes is
// what Notes returned.
func (h *Hasher) Head(previous Hash, batch, firstSequence uint64, events []Hash, notes Hash) Hash {
	input := append(h.scratch[:0], tagBatch...)
	input = append(input, previous[:]...)
	input = binary.LittleEndian.AppendUint64(input, batch)
	input = binary.LittleEndian.AppendUint64(input, firstSequence)
	input = binary.LittleEndian.AppendUint32(input, uint32(len(events)))
	if len(input)+(len(events)+1)*Size <= small {
		for i := range events {
			input = append(input, events[i][:]...)
		}
		input = append(input, notes[:]...)
		return blake3.Sum256(input)
	}
	h.start(input)
	for i := range events {
		h.write(events[i][:])
	}
	h.write(notes[:])
	return h.finish()
}

// sum hashes prefix, a, b as one input. The prefix lies in the scratch buffer.
func (h *Hasher) sum(prefix, a, b []byte) Hash {
	if len(prefix)+len(a)+len(b) <= small {
		input := append(append(prefix, a...), b...)
		return blake3.Sum256(input)
	}
	h.start(prefix)
	h.write(a)
	h.write(b)
	return h.finish()
}

func (h *Hasher) start(prefix []byte) {
	if h.large == nil {
		h.large = blake3.New()
	}
	h.large.Reset()
	h.write(prefix)
}

func (h *Hasher) write(p []byte) { _, _ = h.large.Write(p) } // never fails

func (h *Hasher) finish() Hash {
	h.large.Sum(h.scratch[:0])
	return Hash(h.scratch[:Size])
}
