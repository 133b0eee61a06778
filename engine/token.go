package engine

import (
	"context"
	"sync"
)

// token is what a call holds that must be alone across file operations: the
// commit token. It is a state under the log's mutex, not a mutex, so that
// nobody ever waits for a lock while the disk works.
type token struct {
	held  bool
	queue []Signal // who waits, oldest first
}

// take waits for the token. It returns the context's error, and then does not
// have it.
func (t *token) take(ctx context.Context, mu *sync.Mutex, waits Waits) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mu.Lock()
	if !t.held {
		t.held = true
		mu.Unlock()
		return nil
	}
	mu.Unlock()
	turn := waits.Signal("the commit token")
	mu.Lock()
	if !t.held {
		t.held = true
		mu.Unlock()
		return nil
	}
	t.queue = append(t.queue, turn)
	mu.Unlock()
	err := turn.Wait(ctx)
	if err == nil {
		return nil
	}
	mu.Lock()
	for i, waiting := range t.queue {
		if waiting == turn {
			t.queue = append(t.queue[:i:i], t.queue[i+1:]...)
			mu.Unlock()
			return err
		}
	}
	mu.Unlock()
	// It was handed over while the context ended: pass it on.
	t.release(mu)
	return err
}

// release hands the token to whoever waits longest.
func (t *token) release(mu *sync.Mutex) {
	mu.Lock()
	turn := t.passLocked()
	mu.Unlock()
	if turn != nil {
		turn.Set()
	}
}

// passLocked gives the token to whoever waits longest, whose turn is to be set;
// nil if nobody does.
func (t *token) passLocked() (turn Signal) {
	if len(t.queue) == 0 {
		t.held = false
		return nil
	}
	turn = t.queue[0]
	t.queue = t.queue[:copy(t.queue, t.queue[1:])]
	return turn
}
