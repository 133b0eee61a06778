package record

import (
	"encoding/binary"
	"hash/crc32"
)

// Seed is the 16 random bytes of a segment, drawn when it is made. They go into
// every CRC of its frames.
type Seed [16]byte

// Session is the 8 random bytes that one Open draws. All frames of a batch
// carry those of its BEGIN, or it is no batch.
type Session [8]byte

// Place is where frames lie: a segment, by its seed. Its CRCs are those of
//
//	seed, 16 bytes │ offset in the segment, u64 │ what is covered
//
// with the CRC32C of iSCSI (Castagnoli, RFC 3720), as hash/crc32 computes it.
type Place struct {
	seeded uint32 // the CRC after the seed and an offset of 0
}

// NewPlace is the place of frames in the segment with this seed.
func NewPlace(seed Seed) Place {
	// By the table: what crc32 is handed would have to be on the heap.
	crc := ^uint32(0)
	for _, b := range seed {
		crc = castagnoli[byte(crc)^b] ^ crc>>8
	}
	for range 8 { // the offset of 0
		crc = castagnoli[byte(crc)] ^ crc>>8
	}
	return Place{seeded: ^crc}
}

// At is the CRC at an offset of the segment, before any byte that it covers;
// go on from there with hash/crc32.
func (p Place) At(offset int64) uint32 {
	// A CRC is linear: the CRC after an offset differs from that after an offset
	// of 0 by what the offset's own bits do. So eight look-ups that do not wait
	// for each other replace a call of crc32, whose argument would have to be on
	// the heap.
	o := uint64(offset)
	crc := p.seeded ^
		offsetBits[0][byte(o)] ^
		offsetBits[1][byte(o>>8)] ^
		offsetBits[2][byte(o>>16)] ^
		offsetBits[3][byte(o>>24)]
	if o >= 1<<32 {
		crc ^= offsetBits[4][byte(o>>32)] ^
			offsetBits[5][byte(o>>40)] ^
			offsetBits[6][byte(o>>48)] ^
			offsetBits[7][byte(o>>56)]
	}
	return crc
}

// sum is the CRC of bytes that belong to the frame at an offset.
func (p Place) sum(offset int64, bytes []byte) uint32 {
	return crc32.Update(p.At(offset), castagnoli, bytes)
}

// castagnoli and offsetBits are constants that Go has no literals for; nobody
// writes them.
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	offsetBits = makeOffsetBits(castagnoli)
)

// makeOffsetBits tabulates what the byte with index k of a u64 in little-endian
// does to a CRC that has passed all eight.
func makeOffsetBits(table *crc32.Table) (bits [8][256]uint32) {
	bits[7] = *table
	for k := 6; k >= 0; k-- {
		for b := range bits[k] {
			passed := bits[k+1][b]
			bits[k][b] = table[byte(passed)] ^ passed>>8
		}
	}
	return bits
}

var le = binary.LittleEndian
