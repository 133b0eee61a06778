package scenarios

import "sync/atomic"

// Watch counts what runs do, for somebody who waits for them. Its zero value is
// ready; the runs of one Config may share it. A nil one counts nothing.
type Watch struct{ steps, recoveries, violations, done, total atomic.Int64 }

// Watched is what was done so far. Plans are run more than once, so a step counts
// each time.
type Watched struct {
	Steps, Recoveries, Violations int64
	Done, Total                   int64 // parts of the work, such as the faults of Errors; Total 0: nobody knows
}

// Now is what was done so far.
func (w *Watch) Now() Watched {
	return Watched{w.steps.Load(), w.recoveries.Load(), w.violations.Load(), w.done.Load(), w.total.Load()}
}

// Expect says how many parts the work has.
func (w *Watch) Expect(total int) {
	if w != nil {
		w.total.Store(int64(total))
	}
}

// Did counts a part that is done.
func (w *Watch) Did() {
	if w != nil {
		w.done.Add(1)
	}
}

// step counts a step of a workload that ended.
func (w *Watch) step() {
	if w != nil {
		w.steps.Add(1)
	}
}

// recovery counts a recovery that has ended.
func (w *Watch) recovery(err error) {
	if w == nil {
		return
	}
	w.recoveries.Add(1)
	if err != nil {
		w.violations.Add(1)
	}
}
