package index

// table finds numbers by a hash of something that they stand for, which is kept
// elsewhere: half of what a map would take, nothing for the garbage collector to
// look at, and little to move when it grows. It is open addressing with linear
// probing; nothing is ever taken out.
type table struct {
	// A slot is 0, or a number + 1 with the top bits of its hash above it.
	slots []uint64
	used  int
}

const (
	numberBits = 40
	firstSlots = 32
)

// find returns the number for which same returns true, and its slot, or the free
// slot where it belongs. The table must have one, or none at all.
func (t *table) find(hash uint64, same func(number uint64) bool) (slot int, number uint64, ok bool) {
	if len(t.slots) == 0 {
		return 0, 0, false
	}
	for slot = int(hash & uint64(len(t.slots)-1)); t.slots[slot] != 0; slot = (slot + 1) & (len(t.slots) - 1) {
		number = t.slots[slot]&(1<<numberBits-1) - 1
		if (t.slots[slot]^hash)>>numberBits == 0 && same(number) {
			return slot, number, true
		}
	}
	return slot, 0, false
}

// clear takes all numbers out.
func (t *table) clear() {
	clear(t.slots)
	t.used = 0
}

// set puts a number into a slot that find returned.
func (t *table) set(slot int, hash, number uint64, fresh bool) {
	t.slots[slot] = hash&^(1<<numberBits-1) | number + 1
	if fresh {
		t.used++
	}
}

// reserve makes room for one more number. hash returns that of one which is
// there.
func (t *table) reserve(hash func(number uint64) uint64) {
	if 4*(t.used+1) <= 3*len(t.slots) {
		return
	}
	old := t.slots
	t.slots = make([]uint64, max(firstSlots, 2*len(old)))
	for _, kept := range old {
		if kept == 0 {
			continue
		}
		slot := int(hash(kept&(1<<numberBits-1)-1) & uint64(len(t.slots)-1))
		for t.slots[slot] != 0 {
			slot = (slot + 1) & (len(t.slots) - 1)
		}
		t.slots[slot] = kept
	}
}
