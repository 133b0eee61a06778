package record

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/untorn-db/untorn/engine/chain"
)

const (
	// BlockSize is what a torn write or a damaged page is taken to spoil at
	// most: the two copies of a segment's header are that far apart, in bytes.
	BlockSize = 4096
	// DataStart is the offset of a segment's first frame, in bytes.
	DataStart = 2 * BlockSize
	// SegmentHeaderSize is the length of one copy, in bytes, without the zeros
	// up to the end of its block.
	SegmentHeaderSize = 144
	// Major is the version of the format that this package reads and writes.
	Major = 1
	// Magic is how a segment begins. The byte that is no ASCII makes text tools
	// leave the file alone.
	Magic = "\x89untorns"
)

// SegmentHeader says which segment of which log a file is, and where the log
// before it ends, so that a missing, swapped or shortened segment is noticed.
//
//	  0 ┌──────────────── magic ────────────────┐
//	  8 │ CRC32C            │ length  │ major   │  the first 16 bytes are for ever
//	 16 │ incompatible      │ read-compatible   │
//	 24 │ compatible        │ align             │
//	 32 │ log id, 16 bytes                      │
//	 48 │ seed, 16 bytes                        │
//	 64 │ number                                │
//	 72 │ the segment before it ends at         │
//	 80 │ the log head there, 32 bytes          │
//	112 │ its batch number                      │
//	120 │ its sequence                          │
//	128 │ its time                              │
//	136 │ carried           │ flags             │
//	144 └───────────────────────────────────────┘
//
// The CRC covers the magic and everything from byte 12 to the length.
type SegmentHeader struct {
	LogID  [16]byte
	Seed   Seed   // drawn for this file
	Number uint64 // as in the file's name: 1, 2, 3 …
	Align  uint32 // synced groups start at multiples of so many bytes: 0 or 4096

	PreviousEnd      uint64     // offset at which segment Number−1 ends, 0 if there is none
	PreviousHead     chain.Hash // the log head there; chain.LogRoot for the first
	PreviousBatch    uint64     // number of the last batch there, 0 if there is none
	PreviousSequence uint64     // sequence of the last event there, 0 if there is none
	PreviousTime     int64      // time of the last event there, ns since 1970 UTC

	Carried uint32 // so many batches at the start of this segment were copied from the one before
	// Synced says that the header and the carried batches were durable before
	// the file got its name: it stands whole or not at all.
	Synced bool

	// Feature bits. A reader that does not know a bit of Incompatible refuses
	// the segment; of ReadCompatible, it may read but not write; of Compatible,
	// it does not care.
	Incompatible, ReadCompatible, Compatible uint32
}

// headerSynced is the flag of SegmentHeader.Synced.
const headerSynced = 1

// The feature bits that this package knows.
const (
	KnownIncompatible   uint32 = 0
	KnownReadCompatible uint32 = 0
)

// ErrNoHeader says that a block holds no whole segment header: it is zeros,
// torn, or something else.
var ErrNoHeader = errors.New("no whole segment header")

// A MajorError says that a segment was written in another major version of the format.
type MajorError struct {
	Major uint16
}

func (e *MajorError) Error() string {
	return fmt.Sprintf("segment of format version %d, this program reads version %d: use another release", e.Major, Major)
}

// A FeatureError says that a segment uses features that this program does not
// know.
type FeatureError struct {
	Incompatible uint32 // the unknown bits
}

func (e *FeatureError) Error() string {
	return fmt.Sprintf("segment uses unknown features %#x: use a newer release", e.Incompatible)
}

// A HeaderError says that a field of a header has a value that no version of
// this package has written, under a right CRC.
type HeaderError struct {
	Field string
	Value uint64
}

func (e *HeaderError) Error() string {
	return fmt.Sprintf("segment header has %s %d, which is never written: it was made by something else", e.Field, e.Value)
}

// Append appends both copies of the header, DataStart bytes.
func (h *SegmentHeader) Append(dst []byte) []byte {
	start := len(dst)
	dst = grow(dst, DataStart)
	block := dst[start : start+BlockSize]
	clear(dst[start:])
	copy(block, Magic)
	le.PutUint16(block[12:], SegmentHeaderSize)
	le.PutUint16(block[14:], Major)
	le.PutUint32(block[16:], h.Incompatible)
	le.PutUint32(block[20:], h.ReadCompatible)
	le.PutUint32(block[24:], h.Compatible)
	le.PutUint32(block[28:], h.Align)
	copy(block[32:], h.LogID[:])
	copy(block[48:], h.Seed[:])
	le.PutUint64(block[64:], h.Number)
	le.PutUint64(block[72:], h.PreviousEnd)
	copy(block[80:], h.PreviousHead[:])
	le.PutUint64(block[112:], h.PreviousBatch)
	le.PutUint64(block[120:], h.PreviousSequence)
	le.PutUint64(block[128:], uint64(h.PreviousTime))
	le.PutUint32(block[136:], h.Carried)
	if h.Synced {
		le.PutUint32(block[140:], headerSynced)
	}
	le.PutUint32(block[8:], segmentCRC(block[:SegmentHeaderSize]))
	copy(dst[start+BlockSize:], block[:SegmentHeaderSize])
	return dst
}

// ParseSegmentHeader reads one copy from the start of its block, which may be
// shorter than BlockSize. The error is ErrNoHeader, *MajorError, *FeatureError
// or *HeaderError; the last three only under a right CRC, and with *FeatureError
// the header is there too.
func ParseSegmentHeader(block []byte) (SegmentHeader, error) {
	const least = 16
	if len(block) < least || string(block[:len(Magic)]) != Magic {
		return SegmentHeader{}, ErrNoHeader
	}
	length := int(le.Uint16(block[12:]))
	if length < least || length > BlockSize || length > len(block) {
		return SegmentHeader{}, ErrNoHeader
	}
	if le.Uint32(block[8:]) != segmentCRC(block[:length]) {
		return SegmentHeader{}, ErrNoHeader
	}
	if major := le.Uint16(block[14:]); major != Major {
		return SegmentHeader{}, &MajorError{Major: major}
	}
	if length < SegmentHeaderSize {
		return SegmentHeader{}, &HeaderError{Field: "length", Value: uint64(length)}
	}
	h := SegmentHeader{
		LogID:            [16]byte(block[32:]),
		Seed:             Seed(block[48:]),
		Number:           le.Uint64(block[64:]),
		Align:            le.Uint32(block[28:]),
		PreviousEnd:      le.Uint64(block[72:]),
		PreviousHead:     chain.Hash(block[80:]),
		PreviousBatch:    le.Uint64(block[112:]),
		PreviousSequence: le.Uint64(block[120:]),
		PreviousTime:     int64(le.Uint64(block[128:])),
		Carried:          le.Uint32(block[136:]),
		Synced:           le.Uint32(block[140:])&headerSynced != 0,
		Incompatible:     le.Uint32(block[16:]),
		ReadCompatible:   le.Uint32(block[20:]),
		Compatible:       le.Uint32(block[24:]),
	}
	if unknown := h.Incompatible &^ KnownIncompatible; unknown != 0 {
		return h, &FeatureError{Incompatible: unknown}
	}
	if flags := le.Uint32(block[140:]); flags&^headerSynced != 0 {
		return SegmentHeader{}, &HeaderError{Field: "flags", Value: uint64(flags)}
	}
	if h.Align != 0 && h.Align != BlockSize {
		return SegmentHeader{}, &HeaderError{Field: "align", Value: uint64(h.Align)}
	}
	return h, nil
}

// Writable reports whether this package knows enough of the segment's features
// to write to it.
func (h *SegmentHeader) Writable() bool {
	return h.Incompatible&^KnownIncompatible == 0 && h.ReadCompatible&^KnownReadCompatible == 0
}

// segmentCRC covers all of the header but the CRC itself. It has no seed: the
// seed is in there.
func segmentCRC(header []byte) uint32 {
	crc := crc32.Update(0, castagnoli, header[:8])
	return crc32.Update(crc, castagnoli, header[12:])
}
