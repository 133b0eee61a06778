package simclock

import (
	"fmt"
	"math"
	"runtime"
	"time"
)

// patience is how long, in real time, a task may take to the next switch point. No
// operation of a simulation takes a moment, but a machine may be busy.
const patience = 10 * time.Second

// watchdog tells of a run that hangs: a task has the baton, and comes to no switch
// point. It loops, or waits for something that is no seam, such as a channel, or a
// mutex that another task holds over a switch point. For the scheduler that is no
// deadlock, and without a word the process would stand still for ever.
type watchdog struct {
	s     *Scheduler
	timer *time.Timer
	seen  uint64 // switch points at the last look
	idle  bool   // there were none between the last two
}

// watched starts the scheduler's watchdog; end is to be called when the run is over.
func (s *Scheduler) watched() (end func() bool) {
	w := &watchdog{s: s, seen: s.switchPoints()}
	w.timer = time.AfterFunc(math.MaxInt64, w.look) // not yet: look sets it anew
	w.timer.Reset(s.patience / 3)
	return w.timer.Stop
}

// look is called three times while the patience lasts, and barks when nothing has
// happened twice in a row: once, and a debugger may just have let the process go
// on.
func (w *watchdog) look() {
	seen := w.s.switchPoints()
	if idle := seen == w.seen; !idle || !w.idle {
		w.seen, w.idle = seen, idle
		w.timer.Reset(w.s.patience / 3)
		return
	}
	if task, where := w.s.atWork(); task != "" {
		w.s.bark(fmt.Sprintf("simclock: no switch point for most of %v: task %q has come to none since %s. It loops, or waits for what is no seam: "+
			"a channel, or a mutex that somebody holds over a switch point\n\n%s", w.s.patience, task, where, allStacks()))
	}
}

// switchPoints is how many there were; another goroutine may just be counting.
//
//go:norace
func (s *Scheduler) switchPoints() uint64 { return s.picks }

// atWork is the task that has the baton, and where it got it. It is for when
// nothing changes.
//
//go:norace
func (s *Scheduler) atWork() (task, where string) {
	if t := s.running; t != nil {
		return t.name, t.where
	}
	return "", ""
}

func allStacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}
