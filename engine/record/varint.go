package record

import (
	"encoding/binary"
	"math/bits"
)

// A uvarint has 7 bits of the number in each byte, low ones first; all bytes
// but the last have the top bit set. Here it is always the shortest one.

func appendUvarint(dst []byte, v uint64) []byte {
	if v < 0x80 {
		return append(dst, byte(v))
	}
	return binary.AppendUvarint(dst, v)
}

// uvarintSize is the length of v as a uvarint: 1 to 10 bytes.
func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// uvarint reads a number from the start of b. n is how many bytes it has, or 0
// if it is cut, above 64 bits, or longer than it need be.
func uvarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n = binary.Uvarint(b)
	if n <= 0 || b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}
