package scenarios

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// benchPlan is ten events in a log that was closed, and then a batch of five, of
// 100 B on three streams, with a key. The crashes come in the last two steps.
func benchPlan(disk string, seed uint64) (*plan.Plan, error) {
	batch := func(step int) string {
		text := fmt.Sprintf("step %d batch key=k%d", step, step)
		for i := range 5 {
			text += fmt.Sprintf(" %d=\"stream-%d happened size=100\"", i, i%3)
		}
		return text
	}
	return plan.Parse([]byte(strings.Join([]string{
		"untorn plan 1", "scenario batch", "disk " + disk, fmt.Sprint("seed ", seed),
		"step 1 open", batch(2), batch(3), "step 4 close", "step 5 crash kind=power choices=newest",
		"step 6 open", batch(7), "",
	}, "\n")))
}

// BenchmarkRecovery reports recoveries a second. A recovery is: a new image,
// Open, all invariants, a second Open, one more append, one keyed retry. The log
// has ten events before the batch that is cut. Recording the workload and
// finding the images is part of it, once for all the images of a seed.
func BenchmarkRecovery(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // as untorn-sim
	for _, disk := range []string{"posix", "ext4"} {
		for _, workers := range []int{1, runtime.NumCPU()} {
			b.Run(fmt.Sprintf("%s/cores=%d", disk, workers), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
				b.ReportAllocs()
				recoveries := 0
				begun := time.Now()
				for seed := uint64(1); recoveries < b.N; seed++ {
					recoveries += benchSeed(b, disk, seed, workers)
				}
				// b.N is a lower bound: the last seed is run to its end.
				rate := float64(recoveries) / time.Since(begun).Seconds()
				b.ReportMetric(rate, "recoveries/s")
				b.ReportMetric(rate/float64(workers), "recoveries/s/core")
			})
		}
	}
}

// benchSeed recovers every image of a seed, each once.
func benchSeed(b *testing.B, disk string, seed uint64, workers int) int {
	p, err := benchPlan(disk, seed)
	if err != nil {
		b.Fatal(err)
	}
	r, err := newRun(context.Background(), p, Config{Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	r.explorer.Kinds = explore.Power | explore.Kill
	r.explorer.Depth = 0
	r.explorer.MaxImages = 0
	r.explorer.Exhaustive = 256
	if err := r.prologue(); err != nil {
		b.Fatal(err)
	}
	if err := r.rest(); err != nil {
		b.Fatal(err)
	}
	r.finish()
	if len(r.result.Violations) > 0 {
		b.Fatal(r.result.Violations[0].Err)
	}
	return r.result.Recoveries
}

// An execution is: Open on an image, compare every event with the model,
// append, sync, close, reopen, compare. It is less than what run.recover does,
// and the unit in which the speed of a search is given.
type execution struct {
	*run
	done   atomic.Int64 // executions
	events atomic.Int64 // that were compared
	parts  *[part(len(partNames))]time.Duration
}

// part is a part of an execution whose time is measured.
type part int

const (
	partOpen part = iota
	partCompare
	partAppend
	partSync
	partClose
	partReopen
	partRecompare
	partCrash
)

var partNames = [...]string{"open", "compare", "append", "sync", "close", "reopen", "recompare", "crash+hash"}

// executions is a plan of which all crashes come behind its last crash step.
// What the recorded part shows is not checked in every way, as Run would.
func executions(b *testing.B, disk string, seed uint64, before, batches, size int) *execution {
	lines := []string{"untorn plan 1", "scenario batch", "disk " + disk, fmt.Sprint("seed ", seed)}
	step := func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf("step %d ", len(lines)-3)+fmt.Sprintf(format, args...))
	}
	batch := func() {
		text := fmt.Sprintf("batch key=k%d", len(lines))
		for i := range 5 {
			text += fmt.Sprintf(" %d=\"stream-%d happened size=%d\"", i, i%3, size)
		}
		step("%s", text)
	}
	if before > 0 {
		step("open")
		for range before {
			batch()
		}
		step("crash kind=power choices=newest")
	}
	step("open")
	for range batches {
		batch()
	}
	p, err := plan.Parse([]byte(strings.Join(append(lines, ""), "\n")))
	if err != nil {
		b.Fatal(err)
	}
	r, err := newRun(context.Background(), p, Config{})
	if err != nil {
		b.Fatal(err)
	}
	r.explorer.Kinds = explore.Power | explore.Kill
	r.explorer.Points = explore.All
	r.explorer.Depth = 0
	r.explorer.MaxImages = 0
	r.explorer.Exhaustive = 256
	if err := r.prologue(); err != nil {
		b.Fatal(err)
	}
	return &execution{run: r}
}

// explore records the workload, and executes every image that its crashes leave.
func (e *execution) explore(b *testing.B, workers int) explore.Report {
	e.explorer.Workers = workers
	report, err := explore.Explore(e.ctx, e.explorer, explore.Program{Workload: e.record, Recover: e.execute})
	if err != nil {
		b.Fatal(err)
	}
	if err := report.Err(); err != nil {
		b.Fatal(err)
	}
	return report
}

func (e *execution) record(run *explore.Run) error {
	w := newWorld(e.script, run.Disk, run.FS, 1, e.start)
	w.note = run.Note
	if _, err := w.open(e.ctx, 1, invariant.How{Quick: true}); err != nil {
		return err
	}
	for _, step := range e.recorded[1:] {
		if err := w.do(e.ctx, step); err != nil {
			return err
		}
	}
	return nil
}

func (e *execution) execute(run *explore.Run) error {
	m := e.start
	if n := len(run.History); n > 0 {
		m = run.History[n-1].Value.(memory)
	}
	begun := e.now()
	lap := func(p part) {
		if e.parts != nil {
			now := e.now()
			e.parts[p] += now.Sub(begun)
			begun = now
		}
	}
	w := newWorld(e.script, run.Disk, run.FS, run.Entropy, m)
	defer func() { w.leave() }()
	if err := e.look(w, run.Entropy, func() { lap(partOpen) }); err != nil {
		return err
	}
	lap(partCompare)
	draft := engine.Draft{Stream: "after-the-crash", Type: "appended", Data: fmt.Appendf(nil, "%016x", run.Entropy)}
	if err := w.append(e.ctx, engine.Batch{Events: []engine.Draft{draft}, Durability: engine.Buffered}); err != nil {
		return err
	}
	lap(partAppend)
	if err := w.sync(e.ctx, w.log, "sync"); err != nil {
		return err
	}
	lap(partSync)
	if e.parts != nil {
		// What a nested search would pay for one more crash point.
		run.Disk.Crash(simfs.PowerLoss).Hash()
		lap(partCrash)
	}
	if err := w.close(); err != nil {
		return err
	}
	lap(partClose)
	w = newWorld(e.script, run.Disk, run.FS, run.Entropy+1, w.memory)
	if err := e.look(w, run.Entropy+1, func() { lap(partReopen) }); err != nil {
		return err
	}
	lap(partRecompare)
	e.done.Add(1)
	return nil
}

// now is the time, where somebody wants it.
func (e *execution) now() time.Time {
	if e.parts == nil {
		return time.Time{}
	}
	return time.Now()
}

// look opens the log, reads every event, and compares it with the model's.
func (e *execution) look(w *world, entropy uint64, opened func()) error {
	log, err := engine.Open(w.options(entropy))
	if err := invariant.CheckOpen(err, w.budget); err != nil {
		return err
	}
	opened()
	w.log = log
	seen := w.look(e.ctx, invariant.How{Quick: true})
	if err := invariant.First(invariant.Judge(w.model, seen)); err != nil {
		return err
	}
	w.tell(seen.Opened())
	e.events.Add(int64(len(seen.Events)))
	return nil
}

// workloads of BenchmarkExecution: so many batches before the recorded part,
// and in it, of 5 events of so many bytes.
var workloads = [...]workload{
	{"5x5x100B", 0, 5, 100},
	{"20x5x1KiB", 19, 1, 1024},
}

// BenchmarkExecution reports executions a second on all processors, which is
// what the search for crash images is measured by, and what one costs. A log of
// the first workload has up to 5 batches of 5 events of 100 B, of the second 19
// or 20 of 5 events of 1 KiB. Recording the workload and finding the images is
// part of it; the batches before the recorded part are not.
func BenchmarkExecution(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // as untorn-sim
	for _, w := range workloads {
		for _, disk := range simfs.Presets() {
			b.Run(w.name+"/"+disk.Name, func(b *testing.B) { benchExecutions(b, w, disk.Name, false) })
		}
	}
}

// BenchmarkLeaf is BenchmarkExecution where a variable is decided when it is
// first read, so that an execution is a leaf, which stands for many images. Where
// a crash point has too many leaves it is explored as without that, and
// executions that were no leaves are counted, too.
func BenchmarkLeaf(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	for _, w := range workloads {
		for _, disk := range simfs.Presets() {
			b.Run(w.name+"/"+disk.Name, func(b *testing.B) { benchExecutions(b, w, disk.Name, true) })
		}
	}
}

// workload is one of workloads.
type workload struct {
	name                  string
	before, batches, size int
}

func benchExecutions(b *testing.B, w workload, disk string, lazy bool) {
	var spent, used time.Duration
	var before, after runtime.MemStats
	var done, leaves, events, allocs, bytes uint64
	for seed := uint64(1); done < uint64(b.N); seed++ {
		e := executions(b, disk, seed, w.before, w.batches, w.size)
		e.explorer.Lazy = lazy
		runtime.ReadMemStats(&before)
		begun, cpu := time.Now(), cpuTime()
		report := e.explore(b, 0)
		spent += time.Since(begun)
		used += cpuTime() - cpu
		done += uint64(e.done.Load())
		leaves += uint64(report.Leaves)
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		bytes += after.TotalAlloc - before.TotalAlloc
		events += uint64(e.events.Load())
	}
	// b.N is a lower bound: the last seed is explored to its end.
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(done)/spent.Seconds(), "executions/s")
	if used > 0 {
		b.ReportMetric(math.Round(float64(used.Nanoseconds())/float64(done))/1000, "cpu-µs/execution")
	}
	b.ReportMetric(math.Round(float64(allocs)/float64(done)), "allocs/execution")
	b.ReportMetric(math.Round(float64(bytes)/float64(done)), "B/execution")
	b.ReportMetric(math.Round(float64(events)/float64(done)), "events/execution")
	if lazy {
		b.ReportMetric(float64(leaves)/float64(done), "leaves/execution")
	}
}

// BenchmarkExecutionParts reports what the parts of an execution take, in ns, on
// one processor. What is left of the total is the search itself: to choose the
// image, resolve, hash and mount it.
func BenchmarkExecutionParts(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	for _, w := range workloads {
		for _, disk := range simfs.Presets() {
			b.Run(w.name+"/"+disk.Name, func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
				var parts [part(len(partNames))]time.Duration
				var total time.Duration
				done := 0
				for seed := uint64(1); done < b.N; seed++ {
					e := executions(b, disk.Name, seed, w.before, w.batches, w.size)
					e.parts = &parts
					begun := time.Now()
					e.explore(b, 1)
					done += int(e.done.Load())
					total += time.Since(begun)
				}
				b.ReportMetric(0, "ns/op")
				for p, name := range partNames {
					b.ReportMetric(math.Round(float64(parts[p])/float64(done)), name+"-ns")
					total -= parts[p]
				}
				b.ReportMetric(math.Round(float64(total)/float64(done)), "search-ns")
			})
		}
	}
}
