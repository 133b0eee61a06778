package main

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Sample is what one span of time brought.
type Sample struct {
	Events  int64
	Elapsed time.Duration
	CPU     time.Duration // user and system, of the whole process
	Allocs  int64
	Heap    int64 // bytes allocated
	Device  int64 // bytes written to the device, by anyone; -1: unknown
}

// Rate is events per second.
func (s Sample) Rate() float64 { return float64(s.Events) / s.Elapsed.Seconds() }

// Per is a total by event; NaN where it is unknown.
func (s Sample) Per(total int64) float64 {
	if s.Events == 0 || total < 0 {
		return math.NaN()
	}
	return float64(total) / float64(s.Events)
}

// meter is a reading of all that is counted.
type meter struct {
	events  int64
	at      time.Time
	cpu     time.Duration
	mallocs uint64
	heap    uint64
	device  int64
}

func (m meter) since(start meter) Sample {
	s := Sample{
		Events: m.events - start.events, Elapsed: m.at.Sub(start.at), CPU: m.cpu - start.cpu,
		Allocs: int64(m.mallocs - start.mallocs), Heap: int64(m.heap - start.heap), Device: -1,
	}
	if m.device >= 0 && start.device >= 0 {
		s.Device = m.device - start.device
	}
	return s
}

// cpuTime is the processor time of this process.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// counter is one writer's, on a cache line of its own.
type counter struct {
	events atomic.Int64
	_      [56]byte
}

// mostStall is how long a span goes on in which not one call was answered.
const mostStall = 20 * time.Second

// measure lets the workload's writers append to a store in a directory: for a
// while uncounted, then for length.
func measure(store Store, dir string, w Workload, warm, length time.Duration) (Sample, error) {
	counters := make([]counter, w.Writers)
	var stop atomic.Bool
	var failed atomic.Pointer[error]
	var writers sync.WaitGroup
	for i := range counters {
		write := store.Writer(w.Events(i))
		writers.Go(func() {
			for !stop.Load() {
				if err := write(); err != nil {
					first := err // its own variable: err would be on the heap for every call
					failed.CompareAndSwap(nil, &first)
					stop.Store(true)
					return
				}
				counters[i].events.Add(int64(w.Batch))
			}
		})
	}
	count := func() (n int64) {
		for i := range counters {
			n += counters[i].events.Load()
		}
		return n
	}
	var memory runtime.MemStats
	time.Sleep(warm)
	runtime.ReadMemStats(&memory)
	start := meter{mallocs: memory.Mallocs, heap: memory.TotalAlloc, device: deviceBytes(dir), cpu: cpuTime(), events: count(), at: time.Now()}
	time.Sleep(length)
	for limit := time.Now().Add(mostStall); count() == start.events && failed.Load() == nil && time.Now().Before(limit); {
		time.Sleep(length / 8) // the disk hangs: a rate of 0 would say less than a low one
	}
	end := meter{at: time.Now(), events: count(), cpu: cpuTime(), device: deviceBytes(dir)}
	runtime.ReadMemStats(&memory)
	end.mallocs, end.heap = memory.Mallocs, memory.TotalAlloc
	stop.Store(true)
	writers.Wait()
	if err := failed.Load(); err != nil {
		return Sample{}, *err
	}
	return end.since(start), nil
}
