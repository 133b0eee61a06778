//go:build !purego

package lanes

import "golang.org/x/sys/cpu"

//go:generate sh -c "go run gen.go >kernel_amd64.s"

// best is what this processor has. GODEBUG=cpu.avx512vl=off and cpu.avx2=off
// take it away.
func best() kernels {
	switch {
	case !cpu.X86.HasAVX2:
		return portable
	case !cpu.X86.HasAVX512VL:
		return avx2
	default:
		return avx512
	}
}

// sumChunk hashes one message of at most a chunk.
func sumChunk(key *[8]uint32, mode uint32, message []byte, sum *[Size]byte) {
	n := blocks(len(message))
	rest := message[(n-1)*blockSize:]
	var first, last *byte
	var tail [blockSize]byte
	if n > 1 {
		first = &message[0]
	}
	if len(rest) == blockSize {
		last = &rest[0]
	} else {
		copy(tail[:], rest)
		last = &tail[0]
	}
	chunk1(key, mode, first, n, last, uint32(len(rest)), sum)
}

// chunk8 hashes the eight messages of a group, of n blocks each.
func chunk8(with kernels, key *[8]uint32, mode uint32, g *group, n int) {
	if with == avx512 {
		chunk8AVX512(key, mode, g, n)
	} else {
		chunk8AVX2(key, mode, g, n)
	}
}

// The kernels read blocks-1 blocks of 64 bytes from message, then the one at
// last, of which lastSize bytes count and the rest is zero. They add the flags
// of a block's place to those they are given.

//go:noescape
func chunk1(key *[8]uint32, flags uint32, message *byte, blocks int, last *byte, lastSize uint32, sum *[32]byte)

//go:noescape
func chunk8AVX2(key *[8]uint32, flags uint32, from *group, blocks int)

//go:noescape
func chunk8AVX512(key *[8]uint32, flags uint32, from *group, blocks int)
