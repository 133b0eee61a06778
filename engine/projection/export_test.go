package projection

import "github.com/untorn-db/untorn/engine"

// MutexesFree reports whether nobody holds a mutex of the set or of its members.
func (s *Set) MutexesFree() bool {
	free := s.mu.TryLock()
	if free {
		s.mu.Unlock()
	}
	for _, m := range s.members {
		if !m.common().mu.TryLock() {
			return false
		}
		m.common().mu.Unlock()
	}
	return free
}

// Union is what a pass reads.
func Union(a, b engine.Query) engine.Query { return union(a, b) }

// Checkpoint is a checkpoint taken apart.
type Checkpoint = checkpoint

// Parse takes a file apart.
func Parse(b []byte) (*Checkpoint, error) { return parse(b) }

// MostFile is how long a file may be.
const MostFile = mostFile

// Bytes is the file of it.
func (c *checkpoint) Bytes() []byte { return c.appendTo(nil) }

// HeaderSum is the CRC of a header.
func HeaderSum(header []byte) uint32 { return headerSum(header) }

// Balanced reports whether a map's tree has the shape that makes it fast.
func (m Map[K, V]) Balanced() bool {
	var whole func(n *node[K, V]) bool
	whole = func(n *node[K, V]) bool {
		if n == nil {
			return true
		}
		l, r := n.left.len(), n.right.len()
		return n.size == l+r+1 && (l+r <= 1 || l <= 3*r && r <= 3*l) && whole(n.left) && whole(n.right)
	}
	return whole(m.root)
}
