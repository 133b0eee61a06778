package scenarios

import (
	"fmt"
	"sync/atomic"
)

// Watch counts what runs do, for somebody who waits for them. Its zero value is
// ready; the runs of one Config may share it.
type Watch struct{ steps, recoveries atomic.Int64 }

// step counts a step of a workload that ended.
func (w *Watch) step() {
	if w != nil {
		w.steps.Add(1)
	}
}

// recovery counts a recovery that began.
func (w *Watch) recovery() {
	if w != nil {
		w.recoveries.Add(1)
	}
}

// String is what was done so far. Plans are run more than once, so a step counts
// each time.
func (w *Watch) String() string {
	return fmt.Sprintf("%d steps, %d recoveries", w.steps.Load(), w.recoveries.Load())
}
