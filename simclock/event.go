package simclock

import (
	"context"
	"strings"
	"sync/atomic"
	"time"
)

// Event is a one-shot signal.
type Event struct {
	clock  *Clock
	reason string
	set    atomic.Bool
}

// Event returns a new event that is not set. The reason says what is waited for,
// such as "the group's sync"; a report of a deadlock quotes it.
func (c *Clock) Event(reason string) *Event { return &Event{clock: c, reason: reason} }

// Set wakes every waiter, now and later. Setting it again does nothing.
func (e *Event) Set() { e.set.Store(true) }

// Wait runs the clock's queue, moving time from one instant to the next, until
// the event is set, and returns nil then. It returns the context's error if that
// comes first; the context is looked at before each task. It panics with a
// *Deadlock if the queue runs empty.
func (e *Event) Wait(ctx context.Context) error {
	if e.set.Load() {
		return nil
	}
	c := e.clock
	c.mu.Lock()
	waiting := c.enterLocked(e.reason, true)
	defer func() {
		c.mu.Lock()
		c.leaveLocked(waiting)
		c.mu.Unlock()
	}()
	for n := 0; ; n++ {
		if e.set.Load() {
			c.mu.Unlock()
			return nil
		}
		if err := ctx.Err(); err != nil {
			c.mu.Unlock()
			return err
		}
		if len(c.queue) == 0 {
			d := c.deadlockLocked(waiting)
			c.mu.Unlock()
			panic(d)
		}
		c.runNextLocked(&n)
	}
}

// Deadlock is what Event.Wait panics with when nothing is left that could set the
// event: no task and no timer.
type Deadlock struct {
	Reason  string        // what the event was for
	Around  []string      // the waits and tasks that this wait is nested in, outermost first
	Elapsed time.Duration // monotonic time since New
}

// Error says the same every time it happens the same way.
func (d *Deadlock) Error() string {
	var b strings.Builder
	b.WriteString("simclock: deadlock after " + d.Elapsed.String() + ": waiting for " + d.Reason +
		", and no task or timer is left that could end the wait")
	for i := len(d.Around) - 1; i >= 0; i-- {
		b.WriteString("\n\tinside " + d.Around[i])
	}
	return b.String()
}

// frame is a wait or a task that has begun and not ended.
type frame struct {
	name string
	wait bool
}

func (f *frame) String() string {
	if f.wait {
		return "the wait for " + f.name
	}
	return "the task " + f.name
}

func (c *Clock) enterLocked(name string, wait bool) *frame {
	f := &frame{name: name, wait: wait}
	c.open = append(c.open, f)
	return f
}

// leaveLocked takes out f itself, not the last frame: goroutines that call at the
// same time do not end in the order in which they began.
func (c *Clock) leaveLocked(f *frame) {
	for i := len(c.open) - 1; i >= 0; i-- {
		if c.open[i] == f {
			c.open = append(c.open[:i], c.open[i+1:]...)
			return
		}
	}
}

func (c *Clock) deadlockLocked(waiting *frame) *Deadlock {
	d := &Deadlock{Reason: waiting.name, Elapsed: c.elapsed}
	for _, f := range c.open {
		if f != waiting {
			d.Around = append(d.Around, f.String())
		}
	}
	return d
}
