package simclock

import "runtime"

// handOff is how the baton goes from one goroutine to another.
type handOff interface {
	pass(to *Task) // lets a task go on; the caller must do nothing more but take, or end
	take(t *Task)  // returns when the task has been passed the baton
}

// baton is what a task waits for.
type baton struct {
	channel chan struct{} // holds one
	passed  uint32        // for spinning
}

func newBaton() baton { return baton{channel: make(chan struct{}, 1)} }

// channels passes the baton over a channel of one slot: a tenth of a
// microsecond. Each pass orders all that came before it before all that comes
// after it, so the race detector sees no race between two tasks.
type channels struct{}

func (channels) pass(to *Task) { to.baton.channel <- struct{}{} }
func (channels) take(t *Task)  { <-t.baton.channel }

// spinning passes the baton as a plain word, in functions that the race detector
// does not look into: it takes the tasks for what they are in production,
// goroutines that run at the same time. It is right with one processor only.
type spinning struct{}

//go:norace
func (spinning) pass(to *Task) { to.baton.passed = 1 }

//go:norace
func (spinning) take(t *Task) {
	for t.baton.passed == 0 {
		runtime.Gosched()
	}
	t.baton.passed = 0
}
