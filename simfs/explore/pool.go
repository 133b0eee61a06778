package explore

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls f(0) … f(n-1), in any order, on so many goroutines (0: GOMAXPROCS),
// and returns when all are done: for what runs many explorations. An f that ends
// its goroutine (runtime.Goexit) leaves the others their turn.
func Each(workers, n int, f func(i int)) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	pool{workers}.each(n, f)
}

// A pool runs tasks on a number of goroutines.
type pool struct{ workers int }

// each calls f(0) … f(n-1), in any order, and returns when all are done. An f
// may end its goroutine (runtime.Goexit): the other calls go on in a new one.
func (p pool) each(n int, f func(i int)) {
	var next atomic.Int64
	pool{min(p.workers, n)}.drain(func() (func(), bool) {
		i := next.Add(1) - 1
		return func() { f(int(i)) }, i < int64(n)
	})
}

// drain runs what next returns until there is no more, on several goroutines,
// and returns when all has been done. next is called from all of them.
func (p pool) drain(next func() (task func(), ok bool)) {
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
		for {
			task, ok := next()
			if !ok {
				break
			}
			task()
		}
		done = true
	}
	for range p.workers {
		wg.Add(1)
		go work()
	}
	wg.Wait()
}
