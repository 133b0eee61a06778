package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// A log that is open read-only is followed by looks. A look goes on with the scan
// of recovery where the last one ended, by the same rules:
//
//	segment N                              segment N+1
//	├─ seen ─┬─ batch ─┬─ batch ─┬ half    ├─ header: N ends at … ─┬─ batch ─
//	         └─ continues? take it         └─ where we are? enter it
//
// What is not whole is not there yet: the writer may be at it. What does not
// continue exactly ends the following, with ErrRecovered.

// looking is who waits for what others add to a log. Guarded by Log.mu.
type looking struct {
	begun   uint64 // looks
	err     error  // of the last one
	waiting int    // subscriptions
	armed   bool   // the timer is
	stop    func() // of the timer, if that is known already
}

// Refresh looks for what the writer of the log has added since the last look, or
// since Open, and takes it in; afterwards reads see it. Only a log that is open
// read-only needs that; for others Refresh does nothing.
//
// It fails with ErrRecovered, for good, when what is there now does not continue
// what was seen; reads of what was durable go on. It fails with ErrVersion,
// ErrClosed, what the disk said, or the context's error; then the next look may find
// better. A damaged log that Salvage has opened is not followed: Refresh says, with
// a *CorruptError, where the damage is.
//
// On a real file system the writer's bytes are seen in the page cache, before they
// are on the disk. An event counts as durable, and is visible, only when the writer
// has noted behind it that a sync has covered it.
func (l *Log) Refresh(ctx context.Context) error {
	if !l.opts.ReadOnly {
		return nil
	}
	if err := l.refresh(ctx); err != nil {
		return fmt.Errorf("engine: refresh: %w", err)
	}
	return nil
}

// refresh looks, unless somebody else has begun a look since the call.
func (l *Log) refresh(ctx context.Context) error {
	l.mu.Lock()
	seen := l.looking.begun
	l.mu.Unlock()
	if err := l.token.take(ctx, &l.mu, l.opts.Waits); err != nil {
		return err
	}
	defer l.end()
	l.mu.Lock()
	closed, failed, looked := l.closed, l.failed, l.looking.begun != seen
	l.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case failed != nil:
		return failed
	case looked:
		return l.looking.err
	case len(l.recovery.Damage) > 0:
		return l.recovery.Damage[0]
	}
	l.mu.Lock()
	l.looking.begun++
	l.mu.Unlock()
	err := l.look()
	l.mu.Lock()
	l.looking.err = err
	if errors.Is(err, ErrRecovered) {
		l.failed = err
	}
	l.mu.Unlock()
	return err
}

// recoveredOr returns ErrRecovered if that explains why something could not be
// read: what a recovery leaves out may be cut off.
func (l *Log) recoveredOr(err error) error {
	if l.opts.ReadOnly && (errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist)) {
		if now := l.refresh(context.Background()); errors.Is(now, ErrRecovered) {
			return now
		}
	}
	return err
}

// look takes in what was added. The caller has the commit token.
func (l *Log) look() error {
	r := &recovering{
		Log: l, reader: l.reader(), inBatch: map[index.Name]uint64{},
		last: l.written, proven: l.durable, unproven: l.unsynced, all: true,
	}
	defer l.giveBack(r.reader)
	for {
		// The next segment comes first: when it is there, the writer has left this one.
		next, err := r.nextSegment()
		if err != nil {
			return err
		}
		err = r.catchUp(next)
		if next == nil {
			return err
		}
		if err == nil {
			err = r.moveOn(next)
		}
		if err != nil {
			next.file.Close()
			return err
		}
	}
}

func recovered(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRecovered, fmt.Sprintf(format, args...))
}

// nextSegment opens the segment behind the last, or returns nil while it does not
// count.
func (r *recovering) nextSegment() (*segmentFile, error) {
	s, err := r.openSegment(r.lastSegment + 1)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, record.ErrNoHeader) {
		return nil, nil
	}
	if err == nil {
		if foreign := r.belongs(s); foreign != nil {
			err = recovered("%v", foreign)
		} else if id := r.opts.ID; id != uuid.Nil && id != s.header.LogID {
			err = fmt.Errorf("%w: it is log %v, not %v", ErrOtherLog, uuid.UUID(s.header.LogID), id)
		}
	}
	if err != nil {
		if s != nil {
			s.file.Close()
		}
		return nil, err
	}
	return s, nil
}

// catchUp takes in what was added to the last segment: all of it, if the writer has
// gone on to the next.
func (r *recovering) catchUp(next *segmentFile) error {
	s := r.segments[r.lastSegment]
	if s == nil {
		return nil // the log was empty until now
	}
	if err := r.stands(s); err != nil {
		return err
	}
	limit := int64(-1)
	if next != nil {
		limit = int64(min(next.header.PreviousEnd, math.MaxInt64))
		switch {
		case r.last.end == limit:
			return nil // also with an END behind it
		case s.end > limit:
			return recovered("segment %d goes on after byte %d of segment %d, which is before batch %d", next.number, limit, s.number, r.last.batch)
		}
	}
	for torn := int64(-1); ; {
		info, err := s.file.Stat()
		if err != nil {
			return err
		}
		size := info.Size()
		r.mu.Lock()
		s.filled = size
		r.mu.Unlock()
		if err := r.start(s, s.end, size); err != nil {
			return err
		}
		found, reached, err := r.acceptAll(s, limit)
		switch {
		case reached || err != nil:
			return err
		case limit >= 0:
			return recovered("segment %d goes on after byte %d of segment %d, where nothing is whole after byte %d", next.number, limit, s.number, found.Offset)
		case found.Kind != segment.FoundTear:
			return nil
		}
		// Half a batch is none yet, unless something behind it says that it was synced:
		// then the writer has come on between the two reads, or it is damaged, which
		// whoever opens the log again is told.
		proof, err := segment.Proof(s.file, size, &s.header, found, r.last.batch+1)
		if proof < 0 || err != nil {
			return err
		}
		if found.Offset == torn {
			return recovered("segment %d at byte %d: %s, but byte %d proves that batch %d was durable", s.number, torn, found.Reason, proof, r.last.batch+1)
		}
		torn = found.Offset
	}
}

// stands checks that a segment still has its name: a recovery may have put another
// in its place, or somebody may have removed the log.
func (r *recovering) stands(s *segmentFile) error {
	file, err := r.openFile(s.number)
	if errors.Is(err, fs.ErrNotExist) {
		return recovered("segment %d is gone", s.number)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	header, err := segment.ReadHeader(file)
	switch {
	case err == nil && header == s.header:
		return nil
	case err == nil, errors.Is(err, record.ErrNoHeader):
		return recovered("another segment took the place of segment %d", s.number)
	}
	return headerError(s.number, err)
}

// moveOn enters the next segment, which says that the one before ends where we are.
func (r *recovering) moveOn(next *segmentFile) error {
	l := r.Log
	l.mu.Lock()
	if l.firstSegment == 0 {
		l.firstSegment, l.logID = next.number, next.header.LogID
	}
	l.mu.Unlock()
	if err := r.enter(next); err != nil {
		return recovered("%v", err)
	}
	// That they were synced before the segment got its name proves nothing yet: the
	// name may not be durable before the first batch behind them.
	r.carried = 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.segments[l.lastSegment]; s != nil {
		s.sealed, s.proven = true, true
	}
	l.segments[next.number] = next
	l.numbers = append(l.numbers, next.number)
	l.lastSegment = next.number
	r.showLocked()
	return nil
}

// waitFor waits for a signal of those who follow the log. If nothing of this process
// would set it, a timer does, as long as somebody waits.
func (l *Log) waitFor(ctx context.Context, next Signal) error {
	if l.opts.ReadOnly {
		l.beginWaiting()
		defer l.endWaiting()
	}
	return next.Wait(ctx)
}

func (l *Log) beginWaiting() {
	l.mu.Lock()
	l.looking.waiting++
	arm := !l.looking.armed
	l.looking.armed = true
	l.mu.Unlock()
	if !arm {
		return
	}
	stop := l.opts.Waits.After(l.opts.FollowEvery, l.lookDue)
	l.mu.Lock()
	if l.looking.armed {
		l.looking.stop = stop
	}
	l.mu.Unlock()
}

func (l *Log) endWaiting() {
	var stop func()
	l.mu.Lock()
	if l.looking.waiting--; l.looking.waiting == 0 && l.looking.stop != nil {
		stop = l.looking.stop
		l.looking.stop, l.looking.armed = nil, false
	}
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// lookDue wakes those who follow the log. The first of them looks.
func (l *Log) lookDue() {
	var woken awoken
	l.mu.Lock()
	l.looking.stop, l.looking.armed = nil, false
	for i := range l.followers {
		woken[i], l.followers[i].next = l.followers[i].next, nil
	}
	l.mu.Unlock()
	woken.wake()
}
