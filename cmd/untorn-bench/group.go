package main

import (
	"runtime"
	"sync"
)

// grouped lets the callers of a serial store share its syncs: the leader group
// commit of raw, floor and the peers named "gc:".
//
//	a call ──▶ a group gathers? ── no ──▶ leads one: waits for its turn, lets company
//	                │ yes                 in, appends all calls, hands the turn on,
//	                ▼                     wakes the others
//	            joins it, and waits
type grouped struct {
	serial

	mu        sync.Mutex
	gathering *group
	busy      bool          // a leader has its turn
	turn      chan struct{} // the next leader waits for it; nil when none does
	last      int           // calls of the last group
	spare     *group        // one that nobody joined, to be used again
}

type group struct {
	calls [][]Event
	done  chan struct{} // nil while the leader is alone
	err   error
}

// mostYields is how often a leader lets others run who may be about to join: as
// many as the last time.
const mostYields = 3

func inGroups(open func(Setup) (serial, error)) func(Setup) (Store, error) {
	return func(setup Setup) (Store, error) {
		s, err := open(setup)
		if err != nil {
			return nil, err
		}
		return &grouped{serial: s}, nil
	}
}

func (g *grouped) Writer(events []Event) func() error {
	return func() error { return g.do(events) }
}

func (g *grouped) do(events []Event) error {
	g.mu.Lock()
	if group := g.gathering; group != nil {
		group.calls = append(group.calls, events)
		if group.done == nil {
			group.done = make(chan struct{})
		}
		done := group.done
		g.mu.Unlock()
		<-done
		return group.err
	}
	own := g.spare
	g.spare = nil
	if own == nil {
		own = &group{calls: make([][]Event, 0, max(g.last, 1))}
	}
	own.calls = append(own.calls[:0], events)
	g.gathering = own
	if g.busy {
		turn := make(chan struct{})
		g.turn = turn
		g.mu.Unlock()
		<-turn
		g.mu.Lock()
	}
	g.busy = true
	for range mostYields {
		if len(own.calls) >= g.last {
			break
		}
		g.mu.Unlock()
		runtime.Gosched()
		g.mu.Lock()
	}
	g.gathering = nil
	g.last = len(own.calls)
	g.mu.Unlock()

	err := g.append(own.calls)
	own.err = err

	// The turn first: the disk waits for it.
	g.mu.Lock()
	if g.turn != nil {
		close(g.turn)
		g.turn = nil
	} else {
		g.busy = false
	}
	if own.done == nil {
		g.spare = own
	}
	g.mu.Unlock()
	if own.done != nil {
		close(own.done)
	}
	return err
}
