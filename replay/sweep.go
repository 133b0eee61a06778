package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Options says what a sweep does.
type Options struct {
	Scenarios []string // nil: all
	Disks     []string // presets of simfs; nil: posix
	Seeds     Seeds
	// Time is after how long no new seed begins; those that run are finished.
	// 0: no limit.
	Time time.Duration
	// Jobs is how many seeds run at once; 0: one for each processor.
	Jobs int
	// Images is how many images are tried for each seed; 0: as the scenario
	// says.
	Images int
	// Shrink is how many runs are spent on each failure that is shrunk, the first of
	// each invariant in a row: 0: SweepRuns; negative: none is shrunk.
	Shrink int
	// Wrap plants a bug between the log and its disk; see scenarios.Config.
	Wrap func(afero.Fs) afero.Fs
	// Resume goes on with an earlier sweep, whose State.Options these are, but for
	// Time, Jobs, and the functions. nil: a sweep from the first seed.
	Resume *State
	// OnProgress is called after each seed, from one goroutine at a time. May be
	// nil.
	OnProgress func(Progress)
	// OnShrink is called before failures are made small: how many, and what counts the
	// work on them. What it returns is called when they are. May be nil.
	OnShrink func(failures int, work *scenarios.Watch) (end func())
}

// Progress is how far a sweep has come.
type Progress struct {
	Done, Total  int64 // seeds, over all rows
	Before       int64 // of Done, by the sweep that is gone on with
	Recoveries   int64
	ImagesUnique int64
	Violated     int64
	Elapsed      time.Duration
}

// Report is what a sweep found.
type Report struct {
	Rows []Row // scenarios in their order, with each the disks in theirs
	// Complete: every seed was run; false when the time was over, or ctx ended.
	Complete    bool
	MedianSteps int64 // of a workload, over all rows
	MedianOpens int64
	Jobs        int
	Elapsed     time.Duration
	// State is what goes on with the sweep where ctx ended it, or the time was over;
	// else nil.
	State *State
}

// Failed reports whether a row did.
func (r *Report) Failed() bool {
	for i := range r.Rows {
		if r.Rows[i].Failed() {
			return true
		}
	}
	return false
}

// Unreached lists what some scenario of the sweep means to reach, and no row did,
// in the order of the scenarios.
func (r *Report) Unreached() []string {
	reached := map[string]bool{}
	for i := range r.Rows {
		for name := range r.Rows[i].Reached {
			reached[name] = true
		}
	}
	var missed []string
	for i := range r.Rows {
		for _, name := range r.Rows[i].Unreached {
			if !reached[name] {
				reached[name] = true // named once
				missed = append(missed, name)
			}
		}
	}
	return missed
}

// Deterministic reports whether every failure was the same when it was replayed.
func (r *Report) Deterministic() bool {
	for i := range r.Rows {
		for _, f := range r.Rows[i].Failures {
			if f.Unstable != "" {
				return false
			}
		}
	}
	return true
}

// OptionsError lists what is wrong with the Options of a sweep.
type OptionsError struct{ Problems []string }

func (e *OptionsError) Error() string { return strings.Join(e.Problems, "; ") }

// rows makes the empty rows, or says everything that is wrong.
func (o Options) rows() ([]*tally, error) {
	var problems []string
	var chosen []scenarios.Scenario
	if o.Scenarios == nil {
		chosen = scenarios.All()
	}
	for _, name := range o.Scenarios {
		s, ok := scenarios.ByName(name)
		if !ok {
			problems = append(problems, fmt.Sprintf("no scenario %q: use %s", name, strings.Join(scenarios.Names(), ", ")))
		}
		chosen = append(chosen, s)
	}
	disks := o.Disks
	if disks == nil {
		disks = []string{"posix"}
	}
	for _, name := range disks {
		if problem := DiskProblem(name); problem != "" {
			problems = append(problems, problem)
		}
	}
	if err := o.Seeds.check(); err != nil {
		problems = append(problems, err.Error())
	}
	if o.Time < 0 || o.Jobs < 0 || o.Images < 0 {
		problems = append(problems, "time, jobs and images are 0 or more")
	}
	if len(problems) > 0 {
		return nil, &OptionsError{problems}
	}
	var rows []*tally
	for _, s := range chosen {
		for _, disk := range disks {
			rows = append(rows, newTally(s, disk))
		}
	}
	return rows, nil
}

// Check says what is wrong, in an *OptionsError, before anything runs.
func (o Options) Check() error {
	_, err := o.rows()
	return err
}

// DiskProblem says in a line what is wrong with the text of a disk, or "".
func DiskProblem(text string) string {
	_, err := simfs.ParseGuarantees(text)
	if err == nil {
		return ""
	}
	if !strings.ContainsAny(text, "+-") { // a misspelt preset, most likely
		return fmt.Sprintf("no disk %q: use %s", text, strings.Join(simfs.PresetNames(), ", "))
	}
	return strings.TrimPrefix(err.Error(), "simfs: ")
}

// Sweep runs every seed of every scenario on every disk, seed by seed, so that
// all rows have as many when the time is over. What fails is in the report. The
// error is an *OptionsError, a plan that cannot be run, or that ctx ended; with
// the last the report tells of the work done until then.
func Sweep(ctx context.Context, o Options) (Report, error) {
	rows, err := o.rows()
	if err != nil {
		return Report{}, err
	}
	s := &sweep{Options: o, rows: rows, working: map[int64]struct{}{}, start: time.Now(), total: o.Seeds.Len() * int64(len(rows))}
	if s.Jobs == 0 {
		s.Jobs = runtime.GOMAXPROCS(0)
	}
	// With few seeds the processors are for the recoveries of each.
	s.workers = max(1, s.Jobs/int(min(s.total, int64(s.Jobs))))
	if o.Resume != nil {
		if !o.resumes() {
			return Report{}, &OptionsError{[]string{"the scenarios, disks, seeds and images are not those of the sweep that is gone on with"}}
		}
		if err := s.resume(ctx, o.Resume); err != nil {
			return Report{}, err
		}
	}
	var jobs sync.WaitGroup
	for range min(int64(s.Jobs), s.total) {
		jobs.Go(func() { s.job(ctx) })
	}
	jobs.Wait()
	if s.err == nil && s.Shrink >= 0 {
		s.shrink(ctx)
	}
	return s.report(), s.err
}

// resumes reports whether these are the options of the state.
func (o Options) resumes() bool {
	was := o.Resume.Options()
	return slices.Equal(o.Scenarios, was.Scenarios) && slices.Equal(o.Disks, was.Disks) && o.Seeds == was.Seeds && o.Images == was.Images
}

// shrink makes the first failure of each invariant of each row small. Which these
// are is known when all seeds are done.
func (s *sweep) shrink(ctx context.Context) {
	var list []*Failure
	for _, row := range s.rows {
		known := map[string]bool{}
		for i := range row.Failures {
			if f := &row.Failures[i]; !known[f.Invariant] && f.Unstable == "" {
				known[f.Invariant] = true
				list = append(list, f)
			}
		}
	}
	if len(list) == 0 {
		return
	}
	c := scenarios.Config{Images: s.Images, Wrap: s.Wrap, Workers: max(1, s.Jobs/len(list)), Watch: new(scenarios.Watch)}
	if s.OnShrink != nil {
		defer s.OnShrink(len(list), c.Watch)()
	}
	explore.Each(s.Jobs, len(list), func(i int) { list[i].shrink(ctx, c, cmp.Or(s.Shrink, SweepRuns)) })
	if err := ctx.Err(); err != nil {
		s.err = err
	}
}

// shrink makes a failure small, unless the small one is not the same each time.
func (f *Failure) shrink(ctx context.Context, c scenarios.Config, runs int) {
	small, err := Shrink(ctx, f.Plan, c, runs)
	if err == nil {
		err = small.Failure.confirm(ctx, c)
	}
	if err == nil && small.Failure.Unstable == "" {
		*f = small.Failure
	} else if ctx.Err() == nil {
		f.explain(ctx, c, whyRuns)
	}
}

type sweep struct {
	Options
	rows    []*tally
	workers int
	total   int64
	start   time.Time

	mu      sync.Mutex
	next    int64              // the seed and row to begin next; guarded by mu, as all below and the rows
	missing []int64            // before next, but to be begun first
	working map[int64]struct{} // what the jobs are at
	done    int64
	err     error
	sofar   Progress
}

// job runs seeds until there are none left.
func (s *sweep) job(ctx context.Context) {
	for {
		i, ok := s.take(ctx)
		if !ok {
			return
		}
		row, seed := s.rows[i%int64(len(s.rows))], s.Seeds.First+uint64(i/int64(len(s.rows)))
		began := time.Now()
		result, failed, err := s.seed(ctx, row, seed)
		s.finish(i, row, seed, result, failed, time.Since(began), err)
	}
}

// take hands out the next place in the order of the sweep.
func (s *sweep) take(ctx context.Context) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil && s.err == nil {
		s.err = err
	}
	if s.err != nil || s.next == s.total && len(s.missing) == 0 || s.Time > 0 && time.Since(s.start) >= s.Time {
		return 0, false
	}
	place := s.next
	if len(s.missing) > 0 {
		place, s.missing = s.missing[0], s.missing[1:]
	} else {
		s.next++
	}
	s.working[place] = struct{}{}
	return place, true
}

// seed runs one seed, and replays what failed.
func (s *sweep) seed(ctx context.Context, row *tally, seed uint64) (scenarios.Result, []Failure, error) {
	p, err := scenarios.Draw(row.Scenario, row.Disk, seed)
	if err != nil {
		return scenarios.Result{}, nil, err
	}
	c := scenarios.Config{Workers: s.workers, Images: s.Images, Wrap: s.Wrap, Seen: row.seen}
	result, err := runPlan(ctx, p, c)
	if err != nil {
		return result, nil, err
	}
	c.Seen = nil
	failed := failures(result)
	for i := range failed {
		if err := failed[i].confirm(ctx, c); err != nil {
			return result, nil, err
		}
	}
	return result, failed, nil
}

// finish counts a seed.
func (s *sweep) finish(place int64, row *tally, seed uint64, r scenarios.Result, failed []Failure, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		row.ghosts += int64(r.ImagesNew)
		if s.err == nil || errors.Is(s.err, context.Canceled) {
			s.err = fmt.Errorf("seed %d of %s on %s: %w", seed, row.Scenario, row.Disk, err)
		}
		return
	}
	delete(s.working, place)
	row.add(seed, r, failed, took.Seconds())
	s.done++
	s.sofar = Progress{
		Done: s.done, Total: s.total, Before: s.sofar.Before, Elapsed: time.Since(s.start),
		Recoveries:   s.sofar.Recoveries + int64(r.Recoveries),
		ImagesUnique: s.sofar.ImagesUnique + int64(r.ImagesNew),
		Violated:     s.sofar.Violated + int64(r.Violated),
	}
	if s.OnProgress != nil {
		s.OnProgress(s.sofar)
	}
}

func (s *sweep) report() Report {
	r := Report{Complete: s.done == s.total, Jobs: s.Jobs, Elapsed: time.Since(s.start)}
	if !r.Complete && s.err == nil || errors.Is(s.err, context.Canceled) || errors.Is(s.err, context.DeadlineExceeded) {
		r.State = s.state()
	}
	if r.Complete {
		for _, t := range s.rows {
			// Those seeds were run again, and found that their images had been seen.
			t.ImagesUnique += t.ghosts
			t.ghosts = 0
		}
	}
	steps, opens := map[int64]int64{}, map[int64]int64{}
	for _, t := range s.rows {
		row := t.row()
		r.Rows = append(r.Rows, row)
		for n, times := range row.StepsPerSeed {
			steps[n] += times
		}
		for n, times := range row.OpensPerSeed {
			opens[n] += times
		}
	}
	r.MedianSteps, r.MedianOpens = median(steps), median(opens)
	return r
}
