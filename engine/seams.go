package engine

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"time"
)

// Clock tells the time. A log reads it once for each group it commits.
type Clock interface {
	Now() time.Time
}

// Waits is where one call waits for another, and where short background tasks
// run. nil in Options means goroutines and channels; a simulator passes its
// scheduler.
//
// The engine never holds its mutex across a call of this interface, so a
// simulated task never finds the mutex taken.
type Waits interface {
	// Event returns a new one-shot event that is not set. The reason says what a
	// task waits for, for a report on a deadlock.
	Event(reason string) Event
	// Yield lets others that can run go first.
	Yield()
	// After calls f once, d from now, unless stop is called first. f runs as a
	// task of its own.
	After(d time.Duration, f func()) (stop func())
	// Go runs f as a task of its own. f ends by itself.
	Go(name string, f func())
}

// Event is a one-shot signal.
type Event interface {
	// Set wakes every waiter, now and later. Setting it again does nothing.
	Set()
	// Wait returns nil once the event is set, or the context's error.
	Wait(ctx context.Context) error
}

// Point is a named place in a commit or a recovery, told to Options.Observer.
// Points inside a group's single write are byte positions in the segment,
// reported before that write.
type Point struct {
	Name   string // one of the Point constants
	Batch  uint64 // the batch number concerned, or 0
	Item   int    // the item, for PointItemWritten
	Offset int64  // the byte position in the segment, or -1
}

// The named points of a commit, a rotation and a recovery, in the order in
// which they come.
const (
	PointStart          = "batch.start"
	PointBeginWritten   = "batch.begin_written"
	PointItemWritten    = "batch.item_written"
	PointItemsComplete  = "batch.items_complete"
	PointCommitWritten  = "batch.commit_written"
	PointSync           = "batch.sync"
	PointPrePublish     = "batch.pre_publish"
	PointRotateCreate   = "rotate.create"
	PointRotateDone     = "rotate.done"
	PointRecoverBegin   = "recover.checkpoint"
	PointRecoverIndex   = "recover.index"
	PointRecoverFrame   = "recover.frame"
	PointRecoverEnd     = "recover.end"
)

// systemClock and goroutines are the production side of the seams: the only
// place of this package that touches the wall clock, the system's randomness
// or a goroutine.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func systemRand() io.Reader { return rand.Reader }

type goroutines struct{}

func (goroutines) Event(string) Event { return &channelEvent{done: make(chan struct{})} }
func (goroutines) Yield()             {}
func (goroutines) After(d time.Duration, f func()) (stop func()) {
	timer := time.AfterFunc(d, f)
	return func() { timer.Stop() }
}
func (goroutines) Go(_ string, f func()) { go f() }

type channelEvent struct {
	once sync.Once
	done chan struct{}
}

func (e *channelEvent) Set() { e.once.Do(func() { close(e.done) }) }
func (e *channelEvent) Wait(ctx context.Context) error {
	select {
	case <-e.done:
		return nil
	default:
	}
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
