package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/untorn-db/untorn/engine/record"
)

// group is the calls that share one write and one sync. It gathers while its
// first call, the leader, waits for the commit token:
//
//	a call ──▶ a group gathers? ── no ──▶ it begins one, and leads: takes the token,
//	                │ yes                 lets company in, commits, hands the token on,
//	                ▼                     wakes the others
//	            joins it, waits for the group's answer
//
// Groups commit in the order in which they began, and calls of a group in the
// order in which they joined.
type group struct {
	calls []*call
	bytes int64     // that they take in a segment, at most
	began time.Time // where Options.Metrics listens
	done  Signal    // set when every call is answered; nil while the leader is alone
}

// mostGroup bounds what a group takes in a segment, but for a call that is alone
// in it.
const mostGroup = keptBuffer

// mostYields is how often a leader lets others run that may want to join.
const mostYields = 6

// submit takes a call into a group, and returns when it is answered. Until it is
// in a group the context may end it, or the state of the log refuse it: then
// nothing has happened.
func (l *Log) submit(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g, wait, err := l.join(c)
	if err != nil {
		return err
	}
	if g != nil {
		l.groupBegins(g)
	}
	if wait != nil {
		_ = wait.Wait(context.Background()) // which has no end
	}
	if g != nil {
		l.lead(g)
	}
	return nil
}

// join takes a call into the group that gathers: it is answered when wait is set.
// If there is none, or it is full, the call begins one, g, and leads it: it has
// the commit token when wait is set, or now, if there is no wait.
func (l *Log) join(c *call) (g *group, wait Signal, err error) {
	var done, turn Signal
	l.mu.Lock()
	for {
		if err := l.writableLocked(); err != nil {
			l.mu.Unlock()
			return nil, nil, err
		}
		if joined := l.gathering; joined != nil && joined.bytes+c.bytes <= min(mostGroup, l.opts.SegmentSize-record.DataStart) {
			if joined.done == nil && done == nil {
				done = l.newSignalLocked("the group's sync")
				continue // and look again: the mutex was free
			}
			if joined.done == nil {
				joined.done = done
			}
			joined.calls = append(joined.calls, c)
			joined.bytes += c.bytes
			done = joined.done
			l.mu.Unlock()
			return nil, done, nil
		}
		if l.token.held && turn == nil {
			turn = l.newSignalLocked("the commit token")
			continue
		}
		if g = l.spareGroup; g == nil {
			g = new(group)
		}
		l.spareGroup = nil
		g.calls, g.bytes = append(g.calls, c), c.bytes
		l.gathering = g
		if !l.token.held {
			l.token.held, turn = true, nil
		} else {
			l.token.queue = append(l.token.queue, turn)
		}
		l.mu.Unlock()
		return g, turn, nil
	}
}

// newSignalLocked makes a signal, with the mutex free meanwhile.
func (l *Log) newSignalLocked(reason string) Signal {
	l.mu.Unlock()
	defer l.mu.Lock()
	return l.opts.Waits.Signal(reason)
}

// lead commits a group. The caller has the commit token, and hands it on here:
// first, since the disk waits for it; then the group is woken.
func (l *Log) lead(g *group) {
	finished := false
	defer func() {
		if !finished { // an observer, or a bug, has panicked: nobody shall wait for ever
			l.broken(g)
		}
	}()
	l.company(g)
	l.mu.Lock()
	l.closeLocked(g)
	l.lastGroup = len(g.calls)
	failed := l.failed
	l.mu.Unlock()
	l.groupCloses(g)
	if failed != nil {
		l.answer(g.calls, fmt.Errorf("%w: %w", ErrRejected, failed))
	} else {
		l.commit(g.calls)
	}
	finished = true
	l.handOn(g)
	if cap(g.calls) > mostSpare {
		return
	}
	clear(g.calls)
	l.mu.Lock()
	*g = group{calls: g.calls[:0]}
	l.spareGroup = g
	l.mu.Unlock()
}

var errPanicked = errors.New("a commit has panicked")

// broken ends a group whose commit did not come to its end.
func (l *Log) broken(g *group) {
	cause := errPanicked
	l.mu.Lock()
	l.closeLocked(g)
	l.accepted = l.written.frontier()
	l.mu.Unlock()
	l.fail(cause)
	l.answer(g.calls, fmt.Errorf("%w: %w", ErrInDoubt, cause))
	l.handOn(g)
}

// closeLocked lets nobody join a group any more.
func (l *Log) closeLocked(g *group) {
	if l.gathering == g {
		l.gathering = nil
	}
}

// handOn gives the commit token to the next leader, since the disk waits for it;
// then it wakes a group that is answered, if there is one, and those who follow
// the log; and tells what there is to tell.
func (l *Log) handOn(g *group) {
	if g != nil {
		l.groupEnds()
	}
	l.signAhead()
	news := l.takeNews()
	l.mu.Lock()
	turn, woken := l.token.passLocked(), l.awakeLocked()
	l.mu.Unlock()
	if turn != nil {
		turn.Set()
	}
	if g != nil && g.done != nil {
		g.done.Set()
	}
	woken.wake()
	l.tell(news)
}

// company lets others join: those who were just woken may be about to. A caller
// who was alone the last time is not kept.
func (l *Log) company(g *group) {
	l.mu.Lock()
	all, alone := len(g.calls)+l.lastGroup, l.lastGroup <= 1
	l.mu.Unlock()
	if alone {
		return
	}
	for range mostYields {
		l.mu.Lock()
		enough := len(g.calls) >= all
		l.mu.Unlock()
		if enough {
			return
		}
		l.opts.Waits.Yield()
	}
}
