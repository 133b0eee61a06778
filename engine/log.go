package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// Log is an open log. All its methods may be called from many goroutines at
// once.
type Log struct {
	opts     Options
	dir      *directory
	unlock   func() error
	recovery Recovery
	logID    [16]byte       // set by Open
	session  record.Session // set by Open

	// mu guards memory only: it is never held across a file operation, a wait,
	// or a call of an observer.
	mu    sync.Mutex
	token token // the commit token; who has it may change what is marked (t)

	gathering  *group // that the next call joins; nil: it begins one
	lastGroup  int    // (t) calls in the last group
	spareGroup *group // that nobody leads

	index        *index.Index            // (t)
	segments     map[uint64]*segmentFile // (t) all that count
	firstSegment uint64                  // (t)
	lastSegment  uint64                  // (t)
	numbers      []uint64                // (t) of segments, rising: numbers between them may be missing
	active       *segmentFile            // (t) where the next group goes
	written      point                   // (t) behind the last event handed to a file
	durable      point                   // (t) behind the last event that a sync has covered
	visible      uint64                  // (t) sequence up to which reads go
	accepted     Frontier                // (t)
	unsynced     []span                  // (t) batches between durable and written, all in active
	failed       error                   // (t) why nothing is written any more, or, read-only, why it is not followed
	closing      bool                    // no new call
	closeDone    Signal                  // set when Close has ended; nil before it begins
	closed       bool                    // files are closed
	uses         uint64                  // counts acquisitions of segment files
	meter        meter                   // used by the holder of the commit token only
	spare        *reader                 // that no call has; nil: none
	followers    [2]followers            // of what is visible, and of what is written
	looking      looking                 // what others have added, if the log is open read-only

	signed   signatures
	prepared *preparation // (t) the next segment, being made or made
	tasks    int          // background tasks at work
	idle     Signal       // set when tasks is 0; nil while nobody waits

	cadence      func() // stops the timer of buffered appends; nil when it is not armed
	warnedBehind bool   // (t) that the clock is behind

	random io.Reader // used by the holder of the commit token only
	*workspace
}

// point is a place between two batches of the log.
type point struct {
	batch, sequence uint64
	time            int64
	head            chain.Hash
	end             int64 // in the active segment
}

func (p point) frontier() Frontier {
	return Frontier{Time: timeOf(p.time, p.sequence), Sequence: p.sequence}
}

// span is where a batch lies in the active segment, and the point behind it.
type span struct {
	offset  int64
	ordinal uint64 // of its first event
	note    uint64 // ordinal of its first note
	point
}

func timeOf(ns int64, sequence uint64) time.Time {
	if sequence == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// Open opens the log in a directory, and creates it if there is none. It
// returns when everything that the log will serve is durable, names included,
// and has repaired what a power cut left behind; Recovery says what it did.
//
// It fails with ErrLocked, *CorruptError, ErrVersion, ErrInvalid, or what the
// disk said. On a disk that only loses unsynced data it does not fail.
func Open(options Options) (*Log, error) {
	l, err := open(options)
	if err != nil {
		what := "open"
		if options.Dir != "" {
			what += " " + options.Dir
		}
		return nil, fmt.Errorf("engine: %s: %w", what, noSpace(err))
	}
	if logger := l.opts.Logger; logger.Enabled(context.Background(), slog.LevelInfo) {
		logger.Info("log opened", "dir", options.Dir, "recovery", l.recovery)
	}
	return l, nil
}

func open(options Options) (opened *Log, err error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{opts: o, random: o.Rand}
	o.Room.furnish(l)
	if o.Metrics != nil {
		began := o.Clock.Now()
		defer func() {
			if opened != nil || err != nil { // else an observer has panicked
				l.tellOpen(began, err)
			}
		}()
	}
	if l.dir, err = openDirectory(o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.abandon()
		}
	}()
	if o.ReadOnly {
		return l, l.recover()
	}
	if l.unlock, err = l.dir.lock(o.LockWait, o.Waits); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(l.random, l.session[:]); err != nil {
		return nil, fmt.Errorf("draw the session: %w", err)
	}
	return l, l.recover()
}

// abandon gives back what a failed Open has taken.
func (l *Log) abandon() {
	l.mu.Lock()
	files := l.filesLocked()
	l.mu.Unlock()
	for _, file := range files {
		file.Close()
	}
	if l.unlock != nil {
		l.unlock()
	}
	l.dir.close()
}

// filesLocked takes every open file that nobody reads; readers close the
// others.
func (l *Log) filesLocked() []afero.File {
	var files []afero.File
	for _, number := range l.numbers {
		if s := l.segments[number]; s.file != nil {
			if file := s.dropLocked(); file != nil {
				files = append(files, file)
			}
		}
	}
	return files
}

// begin takes the commit token for a call that writes.
func (l *Log) begin(ctx context.Context) error {
	if err := l.writable(); err != nil {
		return err
	}
	if err := l.token.take(ctx, &l.mu, l.opts.Waits); err != nil {
		return err
	}
	if err := l.writable(); err != nil {
		l.token.release(&l.mu)
		return err
	}
	return nil
}

// end gives the token back, and wakes those who follow the log.
func (l *Log) end() { l.handOn(nil) }

// writable returns why the log takes no writes.
func (l *Log) writable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writableLocked()
}

// failure returns why nothing is written any more, or nil.
func (l *Log) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *Log) writableLocked() error {
	switch {
	case l.closing:
		return ErrClosed
	case l.opts.ReadOnly:
		return ErrReadOnly
	case l.failed != nil:
		return l.failed
	}
	return nil
}

// fail stops all writing until the log is opened again. Only the first cause
// counts.
func (l *Log) fail(cause error) {
	l.mu.Lock()
	first := l.failed == nil
	if first {
		l.failed = &logFailedError{cause}
	}
	l.mu.Unlock()
	if first {
		l.opts.Logger.Error("log failed, reads go on", "cause", cause)
		l.logFails(cause)
	}
}

// Sync makes everything written so far durable. On an error the log has
// failed, and what was not durable is in doubt.
func (l *Log) Sync(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		return fmt.Errorf("engine: sync: %w", err)
	}
	defer l.end()
	if err := l.syncFor(SyncAsked); err != nil {
		return fmt.Errorf("engine: sync: %w: %w", ErrInDoubt, err)
	}
	return nil
}

// WaitDurable returns when the event with this sequence is durable; it syncs if
// nobody else does.
func (l *Log) WaitDurable(ctx context.Context, sequence uint64) error {
	covered := func() (durable bool, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if sequence > l.written.sequence {
			return false, fmt.Errorf("%w: no event has sequence %d", ErrInvalid, sequence)
		}
		return sequence <= l.durable.sequence, nil
	}
	wait := func() error {
		if done, err := covered(); done || err != nil {
			return err
		}
		if err := l.begin(ctx); err != nil {
			return err
		}
		defer l.end()
		if done, err := covered(); done || err != nil {
			return err
		}
		if err := l.syncFor(SyncWait); err != nil {
			return fmt.Errorf("%w: %w", ErrInDoubt, err)
		}
		return nil
	}
	if err := wait(); err != nil {
		return fmt.Errorf("engine: wait for event %d: %w", sequence, err)
	}
	return nil
}

// Close lets the calls that are in a group finish, makes everything written
// durable, marks the end, and gives the lock back. A second Close does nothing.
// When the log has failed before, Close returns the cause if buffered events are
// in doubt. Of several calls at the same time one closes, and the others wait for
// it.
func (l *Log) Close() error {
	done := l.opts.Waits.Signal("the close")
	l.mu.Lock()
	if first := l.closeDone; first != nil {
		l.mu.Unlock()
		return first.Wait(context.Background())
	}
	l.closing, l.closeDone = true, done
	l.mu.Unlock()
	defer done.Set()
	if err := l.token.take(context.Background(), &l.mu, l.opts.Waits); err != nil {
		return err
	}
	defer l.end()
	l.disarm()
	err := l.joinTasks()
	if err == nil && !l.opts.ReadOnly {
		unsigned := l.signLast()
		err = errors.Join(unsigned, l.joinTasks(), noSpace(l.writeEnd()))
	}
	l.mu.Lock()
	l.closed = true
	files := l.filesLocked()
	if l.prepared != nil && l.prepared.file != nil {
		files = append(files, l.prepared.file)
		l.prepared = nil
	}
	l.mu.Unlock()
	for _, file := range files {
		err = errors.Join(err, file.Close())
	}
	if l.unlock != nil {
		err = errors.Join(err, l.unlock())
	}
	err = errors.Join(err, l.dir.close())
	if err != nil {
		return fmt.Errorf("engine: close: %w", err)
	}
	return nil
}

// writeEnd writes END behind the last batch and makes all of it durable.
func (l *Log) writeEnd() error {
	l.mu.Lock()
	failed, unsynced := l.failed, len(l.unsynced) > 0
	s, written := l.active, l.written
	l.mu.Unlock()
	if failed != nil {
		if unsynced {
			return fmt.Errorf("%w: %w", ErrInDoubt, failed)
		}
		return nil
	}
	if err := l.syncFor(SyncClose); err != nil {
		return fmt.Errorf("%w: %w", ErrInDoubt, err)
	}
	if !s.headed || len(s.endBytes) > 0 {
		return nil // nothing was written since the last END
	}
	if err := l.putEnd(s, written, false); err != nil {
		return err
	}
	l.trim(s)
	if err := s.file.Sync(); err != nil {
		l.fail(err)
		return err
	}
	return nil
}

// putEnd writes END behind the last batch of a segment.
func (l *Log) putEnd(s *segmentFile, last point, rotated bool) error {
	at := l.groupOffset(s) - int64(len(s.endBytes)) // in place of an END that is there
	if !rotated && len(s.endBytes) == 0 {
		// One lost sector or page must not take the last batch and its proof.
		at = segment.AlignUp(at, blockSize)
	}
	mark := record.Mark{
		Session: l.session, Sequence: last.sequence + 1, Batch: last.batch, Time: last.time,
		Synced: l.durable.batch, Rotated: rotated,
	}
	bytes := record.AppendEnd(nil, s.place, at, &mark)
	// The zeros behind it are where the next session looks for its first batch:
	// with them it finds all as it should be, and writes nothing when it opens.
	if err := writeAt(s.file, append(bytes, make([]byte, record.MarkSize)...), at); err != nil {
		return err
	}
	l.mu.Lock()
	s.end, s.endBytes = at+int64(len(bytes)), bytes
	l.mu.Unlock()
	return nil
}

// syncWritten makes everything written durable and visible. The caller has the
// commit token. Upon an error the log has failed.
func (l *Log) syncWritten() error {
	l.mu.Lock()
	if len(l.unsynced) == 0 {
		l.mu.Unlock()
		return nil
	}
	s, covered := l.active, l.written
	l.mu.Unlock()
	defer l.groupSynced()
	l.observe(Point{Name: PointSync, Batch: covered.batch, Offset: covered.end})
	if err := syncData(s.file); err != nil {
		l.fail(err)
		return err
	}
	l.disarm()
	l.observe(Point{Name: PointPrePublish, Batch: covered.batch, Offset: covered.end})
	l.mu.Lock()
	l.publishLocked(covered)
	l.mu.Unlock()
	return nil
}

// publishLocked raises the durable and the visible frontier: a sync has covered
// everything up to here.
func (l *Log) publishLocked(covered point) {
	l.durable = covered
	l.visible = covered.sequence
	l.signed.due = l.signed.plain
	l.unsynced = l.unsynced[:0]
	l.index.Show()
	l.active.proven = true
}

func (l *Log) observe(p Point) {
	if l.opts.Observer != nil {
		l.opts.Observer(p)
	}
}

// run starts a short task in the background, which Close will wait for.
func (l *Log) run(name string, f func()) {
	l.mu.Lock()
	l.tasks++
	l.mu.Unlock()
	l.opts.Waits.Go(name, func() {
		f()
		l.mu.Lock()
		l.tasks--
		idle := l.idle
		if l.tasks > 0 {
			idle = nil
		}
		l.mu.Unlock()
		if idle != nil {
			idle.Set()
		}
	})
}

// joinTasks waits for all background tasks.
func (l *Log) joinTasks() error {
	idle := l.opts.Waits.Signal("background tasks")
	l.mu.Lock()
	l.idle = idle
	done := l.tasks == 0
	l.mu.Unlock()
	if done {
		return nil
	}
	return idle.Wait(context.Background())
}

// arm starts the timer after which buffered events are synced.
func (l *Log) arm() {
	l.mu.Lock()
	armed := l.cadence != nil
	l.mu.Unlock()
	if armed {
		return
	}
	stop := l.opts.Waits.After(l.opts.SyncEvery, l.syncDue)
	l.mu.Lock()
	l.cadence = stop
	l.mu.Unlock()
}

func (l *Log) disarm() {
	l.mu.Lock()
	stop := l.cadence
	l.cadence = nil
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// syncDue runs when the cadence of buffered appends has come. An error has
// failed the log, and every later write says so.
func (l *Log) syncDue() {
	if l.begin(context.Background()) != nil {
		return
	}
	defer l.end()
	_ = l.syncFor(SyncCadence)
}
