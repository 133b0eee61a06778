package explore

import (
	"sync"
	"sync/atomic"
)

// A pool runs tasks on a number of goroutines.
type pool struct{ workers int }

// each calls f(0) … f(n-1), in any order, and returns when all are done. An f
// may end its goroutine (runtime.Goexit): the other calls go on in a new one.
func (p pool) each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var work func()
	work = func() {
		done := false
		defer func() {
			if !done {
				go work()
			} else {
				wg.Done()
			}
		}()
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
		done = true
	}
	for range min(p.workers, n) {
		wg.Add(1)
		go work()
	}
	wg.Wait()
}
