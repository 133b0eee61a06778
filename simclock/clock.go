package simclock

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// Epoch is where simulated time starts unless told otherwise:
// 2020-01-01T00:00:00Z.
func Epoch() time.Time { return time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC) }

// The limits of a drift, in parts per million of monotonic time: a wall clock
// that all but stands still, and one that runs at twice the speed.
const (
	MinDrift = -999_999
	MaxDrift = 1_000_000
)

// crowd is how many tasks may run at one instant within one call. More than that
// is a task that starts itself again for ever, which would otherwise hang.
const crowd = 1_000_000

// Clock is simulated time and the queue of what waits for it. Make one with New.
type Clock struct {
	mu      sync.Mutex
	elapsed time.Duration // mu; monotonic time since New, never less than 0
	base    time.Time     // mu; the wall clock when elapsed was since
	since   time.Duration // mu
	ppm     int64         // mu; the wall clock gains ppm ns in each ms of elapsed
	queue   queue         // mu
	created uint64        // mu; numbers the tasks in order of creation
	open    []*frame      // mu; the waits and tasks that have begun and not ended, outermost first
}

// New returns a clock that stands at start, or at Epoch for the zero Time.
func New(start time.Time) *Clock {
	if start.IsZero() {
		start = Epoch()
	}
	return &Clock{base: start.UTC().Round(0)} // Round strips a monotonic reading of the real clock
}

// Now returns the wall clock, in UTC. Reading it does not move it.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *Clock) nowLocked() time.Time {
	d := int64(c.elapsed - c.since)
	// Whole milliseconds first: d*ppm overflows after two and a half hours.
	gain := d/1_000_000*c.ppm + d%1_000_000*c.ppm/1_000_000
	return c.base.Add(time.Duration(d)).Add(time.Duration(gain))
}

// Elapsed returns the monotonic time since New.
func (c *Clock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

// Jump moves the wall clock by d, forwards or backwards, as an administrator or a
// time server does. Monotonic time and timers do not notice.
func (c *Clock) Jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rebaseLocked()
	c.base = c.base.Add(d)
}

// Drift sets how many parts per million the wall clock gains (or, if negative,
// loses) against monotonic time from now on. It replaces the drift before it; 0
// ends it. Values outside MinDrift to MaxDrift count as the nearer limit.
func (c *Clock) Drift(ppm int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rebaseLocked()
	c.ppm = max(MinDrift, min(ppm, MaxDrift))
}

func (c *Clock) rebaseLocked() {
	c.base = c.nowLocked()
	c.since = c.elapsed
}

// Advance moves time forward by d and runs every task and timer that is due by
// then, those included that are created meanwhile, each at its own instant.
// Advance(0) runs what is due now. If a task moves time further than d, Advance
// ends there. It panics if d is negative: use Jump to set the wall clock back.
func (c *Clock) Advance(d time.Duration) {
	if d < 0 {
		panic("simclock: Advance by " + d.String() + ": monotonic time does not go back; use Jump for the wall clock")
	}
	c.mu.Lock()
	until := later(c.elapsed, d)
	for n := 0; len(c.queue) > 0 && c.queue[0].at <= until; n++ {
		c.runNextLocked(&n)
	}
	c.elapsed = max(c.elapsed, until)
	c.mu.Unlock()
}

// Pass moves time forward by d and runs nothing: what becomes due runs at the
// next Advance, Yield or Wait. It is for time that passes inside an operation
// which nobody can interrupt, such as a slow write. It panics if d is negative.
func (c *Clock) Pass(d time.Duration) {
	if d < 0 {
		panic("simclock: Pass of " + d.String() + ": monotonic time does not go back; use Jump for the wall clock")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed = later(c.elapsed, d)
}

// later is t+d, at most the end of time.
func later(t, d time.Duration) time.Duration {
	if d > math.MaxInt64-t {
		return math.MaxInt64
	}
	return t + d
}

// task is a function and the instant at which it is due.
type task struct {
	at      time.Duration
	created uint64
	name    string
	f       func()
	index   int // place in the queue, -1 once it is out of it
}

// After calls f once, when d of monotonic time has passed, unless stop is called
// first. A d of zero or less is due now; f still runs only inside a later
// Advance, Yield or Wait. Calling stop again, or after f has run, does nothing.
func (c *Clock) After(d time.Duration, f func()) (stop func()) {
	t := c.put(max(d, 0), "a timer", f)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if t.index >= 0 {
			heap.Remove(&c.queue, t.index)
		}
	}
}

// Go puts f in the queue, due now. It runs inside a later Advance, Yield or Wait.
func (c *Clock) Go(name string, f func()) { c.put(0, name, f) }

func (c *Clock) put(d time.Duration, name string, f func()) *task {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &task{at: later(c.elapsed, d), created: c.created, name: name, f: f}
	c.created++
	heap.Push(&c.queue, t)
	return t
}

// Yield runs the tasks and timers that are due now, except those that come into
// being while it does. It does not move time.
func (c *Clock) Yield() {
	c.mu.Lock()
	limit, now := c.created, c.elapsed
	for n := 0; ; n++ {
		// What is due now was created before what is due now and new, unless it
		// came due late (Pass); so look at the first one only: the rest is later
		// in the order, and a new task cannot overtake an old one that is due.
		if len(c.queue) == 0 || c.queue[0].at > now || c.queue[0].created >= limit {
			break
		}
		c.runNextLocked(&n)
	}
	c.mu.Unlock()
}

// runNext runs the task or timer that is due first, moving time to its instant,
// and reports whether there was one.
func (c *Clock) runNext() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return false
	}
	n := 0
	c.runNextLocked(&n)
	return true
}

// Kill forgets every task and timer, as the death of a process does. Both times
// stay as they are.
func (c *Clock) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.queue {
		t.index = -1
	}
	c.queue = nil
}

// runNextLocked takes the first task out of the queue, moves time to its instant,
// and runs it with the mutex free. n counts the tasks that this call has run at
// one instant; it starts again whenever time moves.
func (c *Clock) runNextLocked(n *int) {
	t := heap.Pop(&c.queue).(*task)
	if t.at > c.elapsed {
		c.elapsed = t.at
		*n = 0
	}
	if *n >= crowd {
		c.mu.Unlock()
		panic("simclock: a million tasks ran and time stood still; the last one is " + t.name)
	}
	running := c.enterLocked(t.name, false)
	c.mu.Unlock()
	returned := false
	defer func() {
		c.mu.Lock()
		c.leaveLocked(running)
		if !returned { // it panicked: the caller will not come to unlock
			c.mu.Unlock()
		}
	}()
	t.f()
	returned = true
}

// queue is a heap of tasks: the earliest first, and of two at one instant the one
// that was created first.
type queue []*task

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].created < q[j].created
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}
func (q *queue) Push(x any) {
	t := x.(*task)
	t.index = len(*q)
	*q = append(*q, t)
}
func (q *queue) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	t.index = -1
	return t
}
