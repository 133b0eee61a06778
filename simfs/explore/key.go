package explore

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"sync"

	"github.com/untorn-db/untorn/simfs"
)

// A Key names one execution: image, notes made before the crash, kind of crash
// and depth. It is the same in every process and on every architecture.
type Key [16]byte

// A Set is a set of keys that many explorations may share, to count the images
// that a sweep has not seen before. It is safe for concurrent use; make one
// with NewSet.
type Set struct{ shards [64]shard }

type shard struct {
	mu   sync.Mutex
	keys map[Key]struct{} // guarded by mu
}

// NewSet returns an empty set.
func NewSet() *Set {
	s := new(Set)
	for i := range s.shards {
		s.shards[i].keys = make(map[Key]struct{})
	}
	return s
}

// Add puts k into the set and reports whether it was new.
func (s *Set) Add(k Key) bool {
	sh := &s.shards[k[0]%uint8(len(s.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	before := len(sh.keys)
	sh.keys[k] = struct{}{}
	return len(sh.keys) > before
}

// All yields the keys in the set, in no order. It must not be added to meanwhile.
func (s *Set) All() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for i := range s.shards {
			for k := range s.shards[i].keys {
				if !yield(k) {
					return
				}
			}
		}
	}
}

// Len is the number of keys in the set.
func (s *Set) Len() int {
	n := 0
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += len(sh.keys)
		sh.mu.Unlock()
	}
	return n
}

// A digest is a 128-bit value: the hash of something, or a sum of such hashes.
type digest struct{ hi, lo uint64 }

// load reads the 16 bytes of a hash made elsewhere.
func load(b [16]byte) digest {
	return digest{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

func (d digest) key() (k Key) {
	binary.LittleEndian.PutUint64(k[:8], d.hi)
	binary.LittleEndian.PutUint64(k[8:], d.lo)
	return k
}

// plus adds without an order, so that workers may add in any.
func (d digest) plus(e digest) digest {
	lo, carry := bits.Add64(d.lo, e.lo, 0)
	hi, _ := bits.Add64(d.hi, e.hi, carry)
	return digest{hi, lo}
}

// then is the hash of d followed by the words: order matters.
func (d digest) then(words ...uint64) digest {
	for _, w := range words {
		d.lo = mix(d.lo ^ w)
		d.hi = mix(d.hi + d.lo ^ bits.RotateLeft64(w, 32))
		d.lo += d.hi
	}
	return d
}

// text is the hash of d followed by s.
func (d digest) text(s string) digest {
	d = d.then(uint64(len(s)))
	for len(s) >= 8 {
		d = d.then(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	var last uint64
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	return d.then(last)
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of
// the input changes half of the output's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// keyOf names the execution of an image. Two crashes with the same key have
// the same run before them, as far as the program can tell.
func keyOf(image [16]byte, history digest, kind simfs.Kind, depth int) digest {
	return load(image).then(history.hi, history.lo, uint64(kind)<<32|uint64(uint32(depth)))
}

// entropyOf seeds a recovery's clock and randomness: equal images recover
// equally, or nesting would never come to an end.
func entropyOf(image [16]byte, depth int) uint64 {
	d := load(image).then(uint64(uint32(depth)))
	return d.hi ^ d.lo
}

// A stream is a sequence of numbers that only its seed decides (SplitMix64).
type stream uint64

func (s *stream) next() uint64 {
	x := mix(uint64(*s))
	*s += 0x9e3779b97f4a7c15
	return x
}

// below draws from 0 … n-1, for n from 1 to 2³¹-1.
func (s *stream) below(n int) int {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int(hi)
}
