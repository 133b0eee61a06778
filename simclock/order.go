package simclock

import "math/bits"

// Order says who has the baton next.
type Order struct {
	Seed uint64 // equal seeds, equal orders

	// Priorities, if not 0, is the depth d of a PCT schedule (Burckhardt et al.,
	// A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS
	// 2010): every task gets a random priority, the highest that is ready runs, and
	// at d−1 random decisions the one that runs falls below all others. With n tasks
	// and k decisions it finds a bug of depth d with a probability of at least
	// 1/(n·k^(d−1)). 0 picks any task that is ready, all with the same probability.
	Priorities int
	// Length is how many decisions a run is expected to have, for Priorities; 0 is
	// 256.
	Length int

	// Spin passes the baton in a way that the race detector sees through: it then
	// reports what two tasks touch without order, as if they ran at the same time.
	// The decisions are the same. GOMAXPROCS must be 1; it is slow.
	Spin bool
}

// order decides. Like the scheduler, it is touched by whoever has the baton.
type order struct {
	state   uint64
	pct     bool
	changes [mostChanges]int // decisions at which the runner's priority falls; −1: none
	lowest  uint64           // below all that were given
	decided int
	hash    uint64
}

// mostChanges bounds Order.Priorities.
const mostChanges = 16

func newOrder(o Order) order {
	d := order{state: o.Seed, pct: o.Priorities > 0, lowest: 1 << 32}
	length := o.Length
	if length <= 0 {
		length = 256
	}
	for i := range d.changes {
		d.changes[i] = -1
		if i < o.Priorities-1 {
			d.changes[i] = d.below(length)
		}
	}
	return d
}

// random is SplitMix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number
// Generators, OOPSLA 2014).
//
//go:norace
func (d *order) random() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n−1.
//
//go:norace
func (d *order) below(n int) int {
	high, _ := bits.Mul64(d.random(), uint64(n))
	return int(high)
}

// priority is a new task's: above all that falls.
//
//go:norace
func (d *order) priority() uint64 {
	if !d.pct {
		return 0
	}
	return d.random()>>1 | 1<<62
}

// pick chooses one of the tasks that are ready; there are so many. It does not
// choose over unless that is the only one.
//
//go:norace
func (d *order) pick(first, running, over *Task, ready int) *Task {
	if over != nil && over.ready && ready > 1 {
		ready--
	} else {
		over = nil
	}
	if ready > 1 && d.pct {
		for _, at := range d.changes {
			if at == d.decided && running != nil {
				d.lowest--
				running.priority = d.lowest
			}
		}
	}
	chosen, index := (*Task)(nil), 0
	if d.pct {
		i := 0
		for t := first; t != nil; t = t.next {
			if !t.ready || t == over {
				continue
			}
			if chosen == nil || t.priority > chosen.priority {
				chosen, index = t, i
			}
			i++
		}
	} else {
		if ready > 1 {
			index = d.below(ready)
		}
		i := 0
		for t := first; t != nil; t = t.next {
			if !t.ready || t == over {
				continue
			}
			if i == index {
				chosen = t
				break
			}
			i++
		}
	}
	if ready > 1 {
		d.decided++
		d.hash = (d.hash ^ uint64(index+1)) * 0x100000001b3
	}
	return chosen
}
