package engine

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/untorn-db/untorn/engine/internal/index"
)

// Subscribe yields the events that a query selects: first those that are there,
// then each that comes, in the order of their sequences, without a gap or a
// duplicate where the one goes over into the other. The events of a batch become
// visible together.
//
// The reader pulls: the log keeps nothing for it, so a slow one loses nothing and
// holds nobody up. It waits without a goroutine or a timer of its own.
//
// On a log that is open read-only it looks for what the writer has added, every
// Options.FollowEvery while it waits; see Refresh. Events are shown when something
// proves that they are durable, which may be the next group only. It ends with
// ErrRecovered when what the writer does now does not continue what was seen.
//
// A subscription ends after Limit, ToSequence or ToVersion of the query. Otherwise
// it ends with one error: that of the context, ErrClosed, or ErrLogFailed when no
// more events can come; or as Read does. To go on later, begin with FromSequence
// behind the last event that was seen; a Cursor remembers it.
//
// With Query.Buffered events come when they are written, and may vanish in a power
// cut; when the log fails, they may have been seen already. Query.Backward is
// refused with ErrInvalid.
func (l *Log) Subscribe(ctx context.Context, q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		fail := func(err error) { yield(Event{}, fmt.Errorf("engine: subscribe: %w", err)) }
		if err := q.check(); err != nil {
			fail(err)
			return
		}
		if q.Backward {
			fail(fmt.Errorf("%w: what comes later cannot be read backward", ErrInvalid))
			return
		}
		next, left := max(q.FromSequence, 1), q.Limit
		for {
			if last := l.lastOf(&q); last > 0 && next > last {
				return
			}
			bound, err := l.await(ctx, next, q.Buffered)
			if err != nil {
				fail(err)
				return
			}
			run := q
			run.FromSequence, run.ToSequence, run.Limit = next, bound, left
			if q.ToSequence > 0 {
				run.ToSequence = min(bound, q.ToSequence)
			}
			ended, cause := false, error(nil)
			err = l.read(&run, func(event Event) bool {
				if cause = ctx.Err(); cause != nil {
					return false
				}
				left--
				ended = !yield(event, nil) || left == 0
				return !ended
			})
			if err = cmp.Or(err, cause); err != nil {
				fail(err)
				return
			}
			if ended {
				return
			}
			next = bound + 1
		}
	}
}

// lastOf returns the sequence behind which a query selects nothing, or 0 while
// that is not known.
func (l *Log) lastOf(q *Query) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := q.ToSequence
	if q.ToVersion == 0 {
		return last
	}
	name := index.Name{Scope: q.Scope, Stream: q.Stream}
	stream := l.index.Shown(name)
	if q.Buffered && l.failed == nil {
		stream, _ = l.index.Stream(name)
	}
	if bound := l.boundLocked(q.Buffered); stream.Version >= q.ToVersion && (last == 0 || bound < last) {
		last = bound
	}
	return last
}

// shownAll reports whether no event from a sequence on is durable yet, in a log that
// is open and has not failed.
func (l *Log) shownAll(from uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.failed == nil && l.boundLocked(false) < from
}

// await returns how far can be read, once that is at least the event with a
// sequence.
func (l *Log) await(ctx context.Context, sequence uint64, buffered bool) (bound uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var fresh Signal
	due := false // to look whether the writer has added something
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		bound := l.boundLocked(buffered)
		switch {
		case l.closed:
			return 0, ErrClosed
		case bound >= sequence:
			return bound, nil
		case l.failed != nil:
			return 0, l.failed
		}
		if due {
			due = false
			err := l.unlocked(func() error { return l.refresh(ctx) })
			if err != nil && l.boundLocked(buffered) < sequence {
				return 0, err
			}
			continue
		}
		f := l.followersLocked(buffered)
		if f.next == nil && fresh == nil {
			fresh = l.newSignalLocked("the next event")
			continue // and look again: the mutex was free
		}
		if f.next == nil {
			f.next, f.bound, fresh = fresh, bound, nil
		}
		next := f.next
		if err := l.unlocked(func() error { return l.waitFor(ctx, next) }); err != nil {
			return 0, err
		}
		due = l.opts.ReadOnly
	}
}

// unlocked calls a function with the mutex free; it has it again however that ends.
func (l *Log) unlocked(f func() error) error {
	l.mu.Unlock()
	defer l.mu.Lock()
	return f()
}

// followers wait for events beyond a bound.
type followers struct {
	next  Signal // nil while nobody waits
	bound uint64
}

func (l *Log) followersLocked(buffered bool) *followers {
	if buffered {
		return &l.followers[1]
	}
	return &l.followers[0]
}

// awoken are the signals of followers who have something to see.
type awoken [2]Signal

// awakeLocked takes the followers that have something to see: the holder of the
// commit token calls it when it hands the token on.
func (l *Log) awakeLocked() (woken awoken) {
	for i := range l.followers {
		f := &l.followers[i]
		if f.next != nil && (l.boundLocked(i == 1) != f.bound || l.failed != nil || l.closed) {
			woken[i], f.next = f.next, nil
		}
	}
	return woken
}

func (w awoken) wake() {
	for _, signal := range w {
		if signal != nil {
			signal.Set()
		}
	}
}
