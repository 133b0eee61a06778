package model

// Two persistent containers: an old value stays valid and unchanged when a
// newer one is made from it. Neither is ever iterated in an order that depends
// on a hash.

const chunkSize = 32

type chunk[T any] [chunkSize]T

// vector is a persistent slice. Changing one element copies its chunk and the
// table of chunks.
type vector[T any] struct {
	chunks []*chunk[T]
	length int
}

func (v *vector[T]) at(i int) T { return v.chunks[i/chunkSize][i%chunkSize] }

// with returns the vector with elements i, i+1 … replaced by xs; it grows when
// they reach past its end. Elements between the old end and i are zero.
func (v vector[T]) with(i int, xs ...T) vector[T] {
	if len(xs) == 0 {
		return v
	}
	length := max(v.length, i+len(xs))
	chunks := make([]*chunk[T], (length+chunkSize-1)/chunkSize)
	copy(chunks, v.chunks)
	for c := len(v.chunks); c < len(chunks); c++ {
		chunks[c] = new(chunk[T])
	}
	var copied *chunk[T]
	last := -1
	for k, x := range xs {
		at := i + k
		if c := at / chunkSize; c != last {
			copied, last = chunks[c], c
			if c < len(v.chunks) {
				fresh := *copied
				copied = &fresh
				chunks[c] = copied
			}
		}
		copied[at%chunkSize] = x
	}
	return vector[T]{chunks, length}
}

func (v vector[T]) append(xs ...T) vector[T] { return v.with(v.length, xs...) }

// first returns the vector cut to n elements, and the rest of the last chunk
// cleared.
func (v vector[T]) first(n int) vector[T] {
	if n >= v.length {
		return v
	}
	chunks := make([]*chunk[T], (n+chunkSize-1)/chunkSize)
	copy(chunks, v.chunks)
	if rest := n % chunkSize; rest != 0 {
		fresh := *chunks[len(chunks)-1]
		clear(fresh[rest:])
		chunks[len(chunks)-1] = &fresh
	}
	return vector[T]{chunks, n}
}

// trie is a persistent map from strings. A deleted key keeps its leaf.
type trie[V any] struct{ root *branch[V] }

type branch[V any] struct {
	children [16]*branch[V]
	leaf     *leaf[V] // set only in a branch without children
}

type leaf[V any] struct {
	hash  uint64
	key   string
	value V
	gone  bool
	next  *leaf[V] // another key with the same hash
}

func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	// FNV's low bits are weak in the last byte; the trie starts with them.
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

func (t trie[V]) get(key string) (value V, ok bool) {
	hash := hashString(key)
	node := t.root
	for shift := 0; node != nil; shift += 4 {
		if node.leaf != nil {
			for l := node.leaf; l != nil; l = l.next {
				if l.hash == hash && l.key == key {
					return l.value, !l.gone
				}
			}
			return value, false
		}
		if shift == 64 {
			return value, false
		}
		node = node.children[hash>>shift&15]
	}
	return value, false
}

func (t trie[V]) with(key string, value V) trie[V] {
	return trie[V]{t.root.with(0, &leaf[V]{hash: hashString(key), key: key, value: value})}
}

func (t trie[V]) without(key string) trie[V] {
	if _, ok := t.get(key); !ok {
		return t
	}
	return trie[V]{t.root.with(0, &leaf[V]{hash: hashString(key), key: key, gone: true})}
}

func (b *branch[V]) with(shift int, l *leaf[V]) *branch[V] {
	switch {
	case b == nil:
		return &branch[V]{leaf: l}
	case b.leaf != nil && b.leaf.hash == l.hash:
		for old := b.leaf; old != nil; old = old.next {
			if old.key != l.key {
				kept := *old
				kept.next = l.next
				l.next = &kept
			}
		}
		return &branch[V]{leaf: l}
	case b.leaf != nil:
		fresh := &branch[V]{}
		fresh.children[b.leaf.hash>>shift&15] = b
		slot := l.hash >> shift & 15
		fresh.children[slot] = fresh.children[slot].with(shift+4, l)
		return fresh
	default:
		fresh := *b
		slot := l.hash >> shift & 15
		fresh.children[slot] = fresh.children[slot].with(shift+4, l)
		return &fresh
	}
}
