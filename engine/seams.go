package engine

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

// Clock tells the time. A log reads it once for each group it commits, and around
// what it measures, if Options.Metrics is set.
type Clock interface {
	Now() time.Time
}

// Waits is where one call waits for another, and where short background tasks
// run. nil in Options means goroutines and channels; a simulator passes its
// scheduler, such as simclock's, whose signals only need another type:
//
//	type turns struct{ *simclock.Scheduler }
//
//	func (t turns) Signal(reason string) engine.Signal { return t.Scheduler.Signal(reason) }
//
// The engine never holds its mutex across a call of this interface, so a
// simulated task never finds the mutex taken.
type Waits interface {
	// Signal returns a new one-shot signal that is not set. The reason says what
	// a task waits for, for a report on a deadlock.
	Signal(reason string) Signal
	// Yield lets others that can run go first.
	Yield()
	// After calls f once, d from now, unless stop is called first. f runs as a
	// task of its own.
	After(d time.Duration, f func()) (stop func())
	// Go runs f as a task of its own. f ends by itself.
	Go(name string, f func())
}

// Signal is a one-shot event that calls wait for.
type Signal interface {
	// Set wakes every waiter, now and later. Setting it again does nothing.
	Set()
	// Wait returns nil once the signal is set, or the context's error.
	Wait(ctx context.Context) error
}

// Waits returns where the calls of this log wait, for packages built upon it: who
// waits there too is seen by a simulator.
func (l *Log) Waits() Waits { return l.opts.Waits }

// Point is a named place in a commit or a recovery, told to Options.Observer.
// Points inside a group's single write are byte positions in the segment,
// reported before that write.
type Point struct {
	Name   string // one of the Point constants
	Batch  uint64 // the batch number concerned, or 0
	Item   int    // the item, notes behind events, for PointItemWritten
	Offset int64  // the byte position in the segment, or -1
}

// The named points of a commit, a rotation and a recovery, in the order in
// which they come.
const (
	PointStart         = "batch.start"
	PointBeginWritten  = "batch.begin_written"
	PointItemWritten   = "batch.item_written"
	PointItemsComplete = "batch.items_complete"
	PointCommitWritten = "batch.commit_written"
	PointSync          = "batch.sync"
	PointPrePublish    = "batch.pre_publish"
	PointRotateCreate  = "rotate.create"
	PointRotateDone    = "rotate.done"
	PointRecoverBegin  = "recover.checkpoint"
	PointRecoverIndex  = "recover.index"
	PointRecoverFrame  = "recover.frame"
	PointRecoverEnd    = "recover.end"
)

// systemClock and goroutines are the production side of the seams: the only
// place of this package that touches the wall clock, the system's randomness
// or a goroutine.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// systemRand is read by the holder of the commit token only. It asks the system
// once for many ids.
func systemRand() io.Reader { return bufio.NewReaderSize(rand.Reader, 4<<10) }

type goroutines struct{}

func (goroutines) Signal(string) Signal { return &channelSignal{done: make(chan struct{})} }
func (goroutines) Yield()               { runtime.Gosched() }
func (goroutines) After(d time.Duration, f func()) (stop func()) {
	timer := time.AfterFunc(d, f)
	return func() { timer.Stop() }
}
func (goroutines) Go(_ string, f func()) { go f() }

type channelSignal struct {
	once sync.Once
	done chan struct{}
}

func (s *channelSignal) Set() { s.once.Do(func() { close(s.done) }) }
func (s *channelSignal) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// How files are opened through afero.Fs, which takes the flags of package os.
const (
	readOnly     = os.O_RDONLY
	readWrite    = os.O_RDWR
	openOrCreate = os.O_RDWR | os.O_CREATE
	createNew    = os.O_RDWR | os.O_CREATE | os.O_EXCL
)
