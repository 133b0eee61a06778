package lanes

import (
	"encoding/binary"
	"sync"

	"github.com/zeebo/blake3"
)

// Size is the length of a hash in bytes.
const Size = 32

const (
	blockSize   = 64
	chunkBlocks = 16
	chunkSize   = chunkBlocks * blockSize
)

// The modes that a block's flags name, besides its place in the chunk.
const (
	deriveKeyContext  = 1 << 5
	deriveKeyMaterial = 1 << 6
)

// A Key hashes messages of one context. Any number of goroutines may use it at
// once; it must not be copied.
type Key struct {
	words   [8]uint32 // what the kernels start from
	kernels kernels   // constant; tests take lesser ones than the processor has
	// hashers are *blake3.Hasher of the context, for what the kernels do not hash.
	hashers sync.Pool
}

// kernels says by what messages of one chunk are hashed. A processor that has one
// of them has those before it, too.
type kernels int

const (
	portable kernels = iota // the library
	avx2
	avx512 // AVX-512VL, too, where messages go side by side
)

// NewKey is the key of a context: a constant of the program that names it and
// what the messages are, at best with a date.
func NewKey(context string) *Key { return newKey(context, best()) }

func newKey(context string, with kernels) *Key {
	k := &Key{kernels: with}
	k.hashers.New = func() any { return blake3.NewDeriveKey(context) }
	if len(context) > chunkSize {
		k.kernels = portable // the library keeps the words to itself
	}
	if k.kernels == portable {
		return k
	}
	none := [8]uint32{ // BLAKE3's IV, the key of what has none
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
	var key [Size]byte
	sumChunk(&none, deriveKeyContext, []byte(context), &key)
	for i := range k.words {
		k.words[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return k
}

// Sum is the hash of a message.
func (k *Key) Sum(message []byte) (sum [Size]byte) {
	k.sum(message, &sum)
	return sum
}

func (k *Key) sum(message []byte, sum *[Size]byte) {
	if len(message) <= chunkSize && k.kernels != portable {
		sumChunk(&k.words, deriveKeyMaterial, message, sum)
		return
	}
	h := k.hashers.Get().(*blake3.Hasher)
	h.Reset() // not of the context
	_, _ = h.Write(message)
	h.Sum(sum[:0])
	k.hashers.Put(h)
}

// blocks is how many blocks a message of one chunk has; the empty one has one.
func blocks(length int) int { return max(1, (length+blockSize-1)/blockSize) }
