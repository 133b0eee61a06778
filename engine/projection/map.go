package projection

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
)

// Map is a map for states: a value that never changes. Set and Delete return
// another one that shares all but O(log n) of it. The zero value is empty. As JSON
// it is a list of [key, value] pairs by rising key, the same for the same contents;
// reflect.DeepEqual may tell such maps apart. NaN is no key that JSON can keep.
//
//	func(stock projection.Map[string, int], event engine.Event) projection.Map[string, int] {
//		return stock.Set(event.Stream, stock.Get(event.Stream)+1)
//	}
type Map[K cmp.Ordered, V any] struct{ root *node[K, V] }

// node is of a weight-balanced tree: neither side of it has more than three times
// the nodes of the other, or there is at most one below it (S. Adams, "Efficient
// sets: a balancing act", 1993; the factors 3 and 2 as Y. Hirai and K. Yamamoto,
// "Balancing weight-balanced trees", 2011, show to suffice).
type node[K cmp.Ordered, V any] struct {
	key         K
	value       V
	size        int
	left, right *node[K, V]
}

// Len is the number of keys.
func (m Map[K, V]) Len() int { return m.root.len() }

// Get returns the value of a key, or the zero value.
func (m Map[K, V]) Get(key K) V {
	value, _ := m.Lookup(key)
	return value
}

// Lookup returns the value of a key, and whether it has one.
func (m Map[K, V]) Lookup(key K) (value V, ok bool) {
	for n := m.root; n != nil; {
		switch c := cmp.Compare(key, n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.value, true
		}
	}
	return value, false
}

// Set returns the map in which a key has a value.
func (m Map[K, V]) Set(key K, value V) Map[K, V] { return Map[K, V]{m.root.set(key, value)} }

// Delete returns the map without a key.
func (m Map[K, V]) Delete(key K) Map[K, V] {
	if _, ok := m.Lookup(key); !ok {
		return m
	}
	return Map[K, V]{m.root.delete(key)}
}

// All yields the keys, rising, and their values.
func (m Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.root.walk(yield) }
}

// MarshalJSON returns the pairs.
func (m Map[K, V]) MarshalJSON() ([]byte, error) {
	pairs := make([][2]any, 0, m.Len())
	for key, value := range m.All() {
		pairs = append(pairs, [2]any{key, value})
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON reads what MarshalJSON has written; null is an empty map.
func (m *Map[K, V]) UnmarshalJSON(data []byte) error {
	var pairs [][]json.RawMessage
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	keys, values := make([]K, len(pairs)), make([]V, len(pairs))
	for i, pair := range pairs {
		if len(pair) != 2 {
			return fmt.Errorf("a pair of a map has %d parts", len(pair))
		}
		if err := errors.Join(json.Unmarshal(pair[0], &keys[i]), json.Unmarshal(pair[1], &values[i])); err != nil {
			return err
		}
		if i > 0 && cmp.Compare(keys[i-1], keys[i]) >= 0 {
			return errors.New("the keys of a map do not rise")
		}
	}
	m.root = grow(keys, values)
	return nil
}

// holds says what JSON has to keep besides the pairs.
func (Map[K, V]) holds() (self reflect.Type, held []reflect.Type) {
	return reflect.TypeFor[Map[K, V]](), []reflect.Type{reflect.TypeFor[K](), reflect.TypeFor[V]()}
}

// grow makes a tree of sorted keys.
func grow[K cmp.Ordered, V any](keys []K, values []V) *node[K, V] {
	if len(keys) == 0 {
		return nil
	}
	middle := len(keys) / 2
	return join(keys[middle], values[middle], grow(keys[:middle], values[:middle]), grow(keys[middle+1:], values[middle+1:]))
}

func (n *node[K, V]) len() int {
	if n == nil {
		return 0
	}
	return n.size
}

func (n *node[K, V]) walk(yield func(K, V) bool) bool {
	return n == nil || n.left.walk(yield) && yield(n.key, n.value) && n.right.walk(yield)
}

func (n *node[K, V]) set(key K, value V) *node[K, V] {
	if n == nil {
		return join(key, value, nil, nil)
	}
	switch c := cmp.Compare(key, n.key); {
	case c < 0:
		return balance(n.key, n.value, n.left.set(key, value), n.right)
	case c > 0:
		return balance(n.key, n.value, n.left, n.right.set(key, value))
	}
	return join(key, value, n.left, n.right)
}

// delete removes a key that is there.
func (n *node[K, V]) delete(key K) *node[K, V] {
	switch c := cmp.Compare(key, n.key); {
	case c < 0:
		return balance(n.key, n.value, n.left.delete(key), n.right)
	case c > 0:
		return balance(n.key, n.value, n.left, n.right.delete(key))
	case n.left == nil:
		return n.right
	case n.right == nil:
		return n.left
	}
	// The neighbour from the larger side takes its place.
	if n.left.size > n.right.size {
		next := n.left
		for next.right != nil {
			next = next.right
		}
		return join(next.key, next.value, n.left.delete(next.key), n.right)
	}
	next := n.right
	for next.left != nil {
		next = next.left
	}
	return join(next.key, next.value, n.left, n.right.delete(next.key))
}

func join[K cmp.Ordered, V any](key K, value V, left, right *node[K, V]) *node[K, V] {
	return &node[K, V]{key, value, left.len() + 1 + right.len(), left, right}
}

// balance is join where one side may be one node off.
func balance[K cmp.Ordered, V any](key K, value V, left, right *node[K, V]) *node[K, V] {
	l, r := left.len(), right.len()
	switch {
	case l+r <= 1:
	case r > 3*l:
		if right.left.len() < 2*right.right.len() {
			return join(right.key, right.value, join(key, value, left, right.left), right.right)
		}
		middle := right.left
		return join(middle.key, middle.value, join(key, value, left, middle.left), join(right.key, right.value, middle.right, right.right))
	case l > 3*r:
		if left.right.len() < 2*left.left.len() {
			return join(left.key, left.value, left.left, join(key, value, left.right, right))
		}
		middle := left.right
		return join(middle.key, middle.value, join(left.key, left.value, left.left, middle.left), join(key, value, middle.right, right))
	}
	return join(key, value, left, right)
}
