package scenarios

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// LeastCell is the smallest cell of a plan's disk, in bytes. A write may be torn
// behind each of its cells, and each such moment knows of all cells: with cells of
// a byte one small batch takes gigabytes, and a sector has 512.
const LeastCell = 64

// Config says how to run a plan.
type Config struct {
	// Workers is how many recoveries run at once; 0: one for each processor.
	Workers int
	// Images bounds the images tried; 0: as the plan says.
	Images int
	// Violations is how many the result lists; the others are counted. 0: 4.
	Violations int
	// Seen, if not nil, is shared by the runs of a sweep: Result.ImagesNew counts
	// the images that no run before had. It must be of one scenario and disk.
	Seen *explore.Set
	// Spin lets the race detector see through the turns of clients; see
	// simclock.Order.
	Spin bool
	// Wrap, if not nil, comes between the log and its disk in every life of the
	// run: a test plants a bug there.
	Wrap func(afero.Fs) afero.Fs
	// Watch, if not nil, counts what is done while it is done.
	Watch *Watch
}

// Violation is a promise that was broken, and the plan that breaks it again.
type Violation struct {
	Err       error
	Invariant string // "I1" … "I13", or "" for what has no number
	Step      int    // the step that failed, or that the first crash came in or before
	Plan      *plan.Plan
	Account   Account // what had been promised when it came, against what was there
}

// Result is what a run found. All of it but ImagesNew depends on the plan
// alone.
type Result struct {
	Scenario, Disk string
	Seed           uint64
	Steps, Opens   int // of the workload

	CrashPoints  int
	Images       int
	ImagesUnique int
	ImagesNew    int
	Recoveries   int
	Exact        bool
	Why          string // where not exact
	// Lazy is what else the lazy search tells, where the plan asks for it.
	Lazy *LazyResult

	FaultsFired []string
	NotFired    []string // with the reason
	// Reached counts "state NAME", of States, "point NAME", of the engine's points
	// that the workload passed, "fault KIND" and "damage KIND".
	Reached map[string]int
	// Crashed counts recoveries by what they recovered from and what came of it.
	Crashed map[Crashed]int
	// Coverage says which faults could hit the workload where, and did.
	Coverage *Coverage

	Violations []Violation
	Violated   int
	Digests    []plan.Digest // after each step
	Digest     string        // of all of it
}

// Run executes a plan. What goes wrong in the simulation is in the result; the
// error says that the plan cannot be run, or that ctx ended. In the latter case the
// result tells of what was explored until then, if anything was: it has no digest.
func Run(ctx context.Context, p *plan.Plan, c Config) (Result, error) {
	r, err := newRun(ctx, p, c)
	if err != nil {
		return Result{}, fmt.Errorf("scenario %s: %w", p.Scenario, err)
	}
	if err := r.prologue(); ctx.Err() != nil {
		return Result{}, fmt.Errorf("scenario %s: %w", p.Scenario, ctx.Err())
	} else if err != nil {
		r.violated(err, nil)
	} else if err := r.rest(); err != nil && ctx.Err() != nil {
		return r.result, fmt.Errorf("scenario %s: %w", p.Scenario, err)
	} else if err != nil {
		return Result{}, fmt.Errorf("scenario %s: %w", p.Scenario, err)
	}
	r.finish()
	return r.result, nil
}

// LazyResult is what the lazy search tells of a run; see explore.Report.
type LazyResult struct {
	Leaves      int
	Stand       *big.Int // images that the leaves stand for
	Log2        string   // its binary logarithm
	AtMost      bool     // Stand is an upper bound
	Subsumed    int
	Greedy      []explore.Greedy
	Certificate string
	Depths      int            // crashes in a row, at most
	Model       explore.Config // what was searched
}

type run struct {
	ctx      context.Context
	plan     *plan.Plan
	script   *script
	config   Config
	explorer explore.Config
	result   Result
	trace    *digests
	eye      *recording  // nil when nobody watches
	start    memory      // where the recorded part begins
	recorded []plan.Step // its steps
	began    []begun     // those that have begun, and where
	world    *world      // of the recorded part, when it has run
	lives    []life      // that faults could happen in, in order
	final    *simfs.FS   // its disk at the end
	ledger   ledger
}

func newRun(ctx context.Context, p *plan.Plan, c Config) (*run, error) {
	scenario, ok := ByName(p.Scenario)
	if !ok {
		return nil, fmt.Errorf("no such scenario: try one of %s", strings.Join(Names(), ", "))
	}
	s, err := read(p)
	if err != nil {
		return nil, err
	}
	s.wrap, s.spin = c.Wrap, c.Spin
	guarantees, err := simfs.ParseGuarantees(cmp.Or(p.Disk, "posix"))
	if err != nil {
		return nil, err
	}
	disk := guarantees.String()
	if guarantees.Powersafe, err = p.Bool("powersafe", guarantees.Powersafe); err != nil {
		return nil, err
	}
	if err := known(p); err != nil {
		return nil, err
	}
	r := &run{
		ctx: ctx, plan: p, script: s, config: c, trace: newDigests(),
		result: Result{Scenario: p.Scenario, Disk: disk, Seed: p.Seed, Reached: map[string]int{}},
		start:  memory{model: model.New(s.options), call: 1},
	}
	r.explorer = scenario.Explore
	r.explorer.Guarantees = guarantees
	r.explorer.Seed = p.Seed
	r.explorer.Seen = c.Seen
	r.explorer.Workers = c.Workers
	r.explorer.MaxViolations = cmp.Or(c.Violations, 4)
	r.explorer.OnRecovered = r.ledger.recovered
	r.explorer.CallerSkip = notTheProgram()
	r.explorer.Garbage = simfs.Garbage{Block: true, Stale: true, Seed: p.Seed}
	var problems []error
	number := func(key string, field *int) {
		n, err := p.Int(key, int64(*field))
		problems = append(problems, err)
		*field = int(n)
	}
	number("images", &r.explorer.MaxImages)
	number("deviation", &r.explorer.MaxDeviation)
	number("samples", &r.explorer.Samples)
	number("leaves", &r.explorer.MaxLeaves)
	number("exhaustive", &r.explorer.Exhaustive)
	number("perpoint", &r.explorer.MaxPerPoint)
	number("cell", &r.explorer.CellSize)
	if c.Images > 0 {
		r.explorer.MaxImages = c.Images
	}
	problems = append(problems, r.searched())
	all, err := p.Bool("allpoints", r.explorer.Points == explore.All)
	problems = append(problems, err)
	r.explorer.Points = explore.Barriers
	if all {
		r.explorer.Points = explore.All
	}
	return r, errors.Join(problems...)
}

// searched reads the settings that say which crashes are tried, and how.
func (r *run) searched() error {
	x := &r.explorer
	var problems []error
	if text, ok := r.plan.Setting("depth"); ok && text == "fixpoint" {
		x.Depth = explore.Fixpoint
	} else {
		depth, err := r.plan.Int("depth", int64(x.Depth))
		x.Depth = int(depth)
		problems = append(problems, err)
		if depth < 0 || depth > explore.MaxDepth {
			problems = append(problems, fmt.Errorf("set depth = %d: want 0 to %d, or fixpoint", depth, explore.MaxDepth))
		}
	}
	if n := r.script.options.SegmentSize; n != 0 && (n < 64<<10 || n > 4<<30) {
		problems = append(problems, fmt.Errorf("set segment = %d: want %d to %d bytes", n, 64<<10, int64(4<<30)))
	}
	if c := x.CellSize; c != 0 && (c < LeastCell || c > simfs.PageSize || c&(c-1) != 0) {
		problems = append(problems, fmt.Errorf("set cell = %d: want a power of two from %d to %d: with smaller cells a search takes gigabytes, and no disk has them", c, LeastCell, simfs.PageSize))
	}
	lazy, err := r.plan.Bool("lazy", x.Lazy)
	x.Lazy = lazy
	problems = append(problems, err)
	if text, ok := r.plan.Setting("kinds"); ok {
		x.Kinds, err = ParseKinds(text)
		problems = append(problems, err)
	}
	if text, ok := r.plan.Setting("garbage"); ok {
		x.Garbage, err = simfs.ParseGarbage(text, r.plan.Seed)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// known refuses settings that mean nothing: a misspelt one would be certified
// as if it were not there.
func known(p *plan.Plan) error {
	settings := []string{
		"segment", "align", "preallocate", "synccount", "sign", // of the log
		"powersafe", "cell", "garbage", // of the disk
		"images", "deviation", "samples", "exhaustive", "perpoint", "leaves", "lazy", "depth", "kinds", "allpoints", // of the search
		"turns", "priorities", // of clients
		"sync", "plain", "operations", // of a weakened sync, and of scenarios.Errors
	}
	for _, kv := range p.Settings {
		if !slices.Contains(settings, kv.Key) {
			return fmt.Errorf("set %s: there is no such setting: use %s", kv.Key, strings.Join(settings, ", "))
		}
	}
	return nil
}

// ParseKinds reads kinds of crashes, such as "power,kill,reopen".
func ParseKinds(text string) (kinds explore.Kinds, err error) {
	for word := range strings.SplitSeq(text, ",") {
		switch word {
		case "power":
			kinds |= explore.Power
		case "kill":
			kinds |= explore.Kill
		case "reopen":
			kinds |= explore.Reopen
		default:
			return 0, fmt.Errorf("kinds %q: want some of power, kill and reopen, separated by commas", text)
		}
	}
	return kinds, nil
}

// prologue executes the steps up to the last crash. Every open in it is
// checked.
func (r *run) prologue() error {
	last := -1
	for i, step := range r.plan.Steps {
		if step.Verb == "crash" {
			last = i
		}
		if step.Verb == "open" {
			r.result.Opens++
		}
		if step.Verb != "damage" {
			r.result.Steps++
		}
	}
	r.recorded = r.plan.Steps[last+1:]
	if last < 0 {
		return nil
	}
	disk := simfs.New(simfs.Options{
		Guarantees: r.explorer.Guarantees, CellSize: r.explorer.CellSize, Garbage: r.explorer.Garbage,
		Callers: r.explorer.Callers, CallerSkip: r.explorer.CallerSkip,
	})
	w := r.newWorld(disk, 0)
	r.eye.mounted(w)
	from := 0
	for i, step := range r.plan.Steps[:last+1] {
		if step.Verb != "crash" {
			continue
		}
		err := w.account(w.live(func() error {
			for _, steps := range bursts(r.plan.Steps[from:i]) {
				if err := w.doAll(r.ctx, steps); err != nil {
					return err
				}
			}
			return nil
		}))
		if err != nil {
			r.ended(w, math.MaxInt)
			return err
		}
		from = i + 1
		r.ended(w, step.Number)
		r.trace.begin(step)
		was, image, err := crash(disk, step)
		if err != nil {
			return err
		}
		r.eye.crashes(step, was, image)
		disk.Kill()
		r.start = w.memory
		r.explorer.Start = image
		disk = image.Mount(nil)
		w = r.newWorld(disk, uint64(i))
		r.trace.end(step.Number, nil)
		if i < last {
			r.eye.mounted(w)
		}
	}
	return nil
}

// crash is what a step of that name may leave, and what it leaves.
func crash(disk *simfs.FS, step plan.Step) (was, is *simfs.Image, err error) {
	kind := simfs.PowerLoss
	if step.Get("kind") == "kill" {
		kind = simfs.ProcessKill
	}
	chooser, err := chooserOf(step)
	if err != nil {
		return nil, nil, err
	}
	was = disk.Crash(kind)
	// A kill leaves nothing to choose, unless the file system had shut down.
	return was, was.Resolve(chooser), nil
}

func chooserOf(step plan.Step) (simfs.Chooser, error) {
	switch choices := step.Get("choices"); choices {
	case "newest", "":
		return simfs.Latest(), nil
	case "oldest":
		return simfs.Oldest(), nil
	default:
		seed, err := strconv.ParseUint(choices, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("step %d: choices=%s: want newest, oldest or a number", step.Number, choices)
		}
		return simfs.Random(seed), nil
	}
}

func (r *run) newWorld(disk *simfs.FS, life uint64) *world {
	w := newWorld(r.script, disk, disk, r.plan.Seed+life, r.start)
	w.trace, w.ledger, w.eye = r.trace, &r.ledger, r.eye
	return w
}

// rest records the steps behind the last crash, and explores every crash of
// them.
func (r *run) rest() error {
	program := explore.Program{Workload: r.workload, Recover: r.recover}
	if len(r.plan.Crashes) > 0 {
		path, err := explore.ParseCrashPath(crashText(r.plan))
		if err != nil {
			return err
		}
		err = explore.Reproduce(r.ctx, r.explorer, program, path)
		var misfit *explore.PathError
		switch {
		case errors.As(err, &misfit):
			return err // the plan or the log has changed: nothing was tried
		case err != nil:
			r.violated(err, path)
		}
		r.result.Recoveries = len(path)
		return nil
	}
	report, err := explore.Explore(r.ctx, r.explorer, program)
	if err != nil && r.ctx.Err() == nil {
		return err
	}
	r.result.CrashPoints = report.CrashPoints
	r.result.Images = report.Images
	r.result.ImagesUnique = report.ImagesUnique
	r.result.ImagesNew = report.ImagesNew
	r.result.Recoveries = report.Recoveries
	r.result.Exact, r.result.Why = report.Exact, report.Why
	if r.explorer.Lazy {
		r.result.Lazy = &LazyResult{
			Leaves: report.Leaves, Stand: report.Stand, Log2: report.Log2(), AtMost: report.StandAtMost,
			Subsumed: report.Subsumed, Greedy: report.Greedy, Certificate: report.Certificate,
			Depths: len(report.Levels), Model: r.explorer,
		}
	}
	if err != nil {
		for _, v := range report.Violations {
			if len(v.Path) > 0 { // else it is the workload that was interrupted
				r.violated(v.Err, v.Path)
			}
		}
		return err
	}
	r.trace.add("explored ", report.Digest)
	for _, v := range report.Violations {
		r.violated(v.Err, v.Path)
	}
	r.result.Violated += max(report.Violated-len(report.Violations), 0)
	return r.damage()
}

// workload is the recorded part.
func (r *run) workload(run *explore.Run) error {
	w := newWorld(r.script, run.Disk, run.FS, r.plan.Seed^uint64(len(r.recorded)), r.start)
	w.trace, w.ledger, w.note, w.eye = r.trace, &r.ledger, run.Note, r.eye
	r.eye.life(w)
	r.world = w
	defer func() {
		r.final = run.Disk.Clone()
		r.ended(w, math.MaxInt)
	}()
	return w.account(w.live(func() error {
		for _, steps := range bursts(r.recorded) {
			if steps[0].Verb == "damage" {
				continue
			}
			r.began = append(r.began, begun{steps[0].Number, run.Disk.Ops()})
			if err := w.doAll(r.ctx, steps); err != nil {
				return err
			}
			r.config.Watch.step()
		}
		return nil
	}))
}

// begun says which operation of the disk was the next when a step began.
type begun struct{ step, op int }

// stepOf is the step that a crash of the recorded part came in; where it came
// between two, the second, which may not have begun.
func (r *run) stepOf(c explore.Crash) int {
	number := 0
	for _, b := range r.began {
		if c.Op == explore.End || b.op <= c.Op {
			number = b.step
		}
	}
	return number
}

// recover opens the log on what a crash left, and checks all that is promised:
// what it shows, that a second Open shows the same and writes nothing, that it
// takes an append, and that retries have one effect.
func (r *run) recover(run *explore.Run) (err error) {
	defer func() { r.config.Watch.recovery(err) }()
	m := r.start
	if n := len(run.History); n > 0 {
		m = run.History[n-1].Value.(memory)
	}
	w := newWorld(r.script.calm(), run.Disk, run.FS, run.Entropy, m)
	w.note, w.eye = run.Note, r.eye
	r.eye.life(w)
	defer func() {
		run.Outcome = w.states
		w.leave()
	}()
	defer func() { err = w.account(err) }()
	if run.Depth > 1 {
		w.met(recoveredAgain)
	}
	seen, err := w.open(r.ctx, run.Entropy, invariant.How{})
	if err != nil || seen == nil {
		return err
	}
	run.Recovered()
	if err := w.reopen(r.ctx, seen, run.Entropy); err != nil {
		return err
	}
	if w.log.Stats().Failed != nil {
		return nil // it told so: the disk is full
	}
	narrator := &narrator{Log: w.log, world: w}
	draft := engine.Draft{Stream: afterCrash, Type: "appended", Data: fmt.Appendf(nil, "depth %d, %016x", run.Depth, run.Entropy)}
	if _, err := invariant.CheckAppend(r.ctx, w.model, narrator, 1<<20, draft); err != nil {
		return err
	}
	// One retry each: which one, the image decides, so that a sweep makes them
	// all, and the last call twice as often, since its reply was lost.
	chosen := run.Entropy >> 33
	if err := w.handleRest(r.ctx); err != nil {
		return err
	}
	_, err = invariant.CheckRetry(r.ctx, w.model, narrator, 1<<21, func(i, n int) bool {
		return uint64(i) == chosen%uint64(2*n) || i == n-1 && chosen%uint64(2*n) >= uint64(n)
	})
	return err
}

// reopen opens the log a second time, on a copy of the disk.
func (w *world) reopen(ctx context.Context, seen *invariant.Seen, entropy uint64) error {
	copy := w.disk.Clone()
	changes := uint64(0)
	copy.Observe(func(op simfs.Op) {
		switch op.Kind {
		case simfs.OpWrite:
			changes += uint64(op.Length)
		case simfs.OpTruncate, simfs.OpRename, simfs.OpRemove, simfs.OpCreate, simfs.OpMkdir, simfs.OpPreallocate:
			changes++
		}
	})
	second := newWorld(w.script, copy, copy, entropy+1, w.memory)
	defer second.leave()
	return invariant.CheckSecondOpen(ctx, seen, func() (_ invariant.Log, err error) {
		second.log, err = engine.Open(second.options(entropy + 1))
		return second.log, err
	}, func() uint64 { return changes })
}

// afterCrash is the stream that the check of a recovery appends to.
const afterCrash = "after-the-crash"

// narrator is a log whose calls are noted, so that a crash during a check is
// judged like any other.
type narrator struct {
	*engine.Log
	world *world
}

// Model is what the world knows.
func (n *narrator) Model() *model.Model { return n.world.model }

// Append is AppendBatch of one.
func (n *narrator) Append(ctx context.Context, draft engine.Draft) (engine.Receipt, error) {
	receipts, err := n.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{draft}})
	if err != nil {
		return engine.Receipt{}, err
	}
	return receipts[0], nil
}

// AppendBatch is the log's, noted.
func (n *narrator) AppendBatch(ctx context.Context, batch engine.Batch) ([]engine.Receipt, error) {
	return n.world.submit(ctx, n.world.log.AppendBatch, 0, batch)
}

// violated keeps a violation with the plan that shows it.
func (r *run) violated(err error, path explore.CrashPath) {
	v := Violation{Err: err, Step: r.trace.step, Plan: r.plan.Clone(), Account: accountOf(err)}
	if len(path) > 0 {
		v.Step = r.stepOf(path[0])
	}
	var broken *invariant.Violation
	if errors.As(err, &broken) {
		v.Invariant = broken.Invariant
	}
	v.Plan.Invariant = v.Invariant
	v.Plan.Crashes = nil
	for _, crash := range path {
		v.Plan.Crashes = append(v.Plan.Crashes, crash.String())
	}
	r.result.Violations = append(r.result.Violations, v)
	r.result.Violated++
	r.trace.add("violation ", err.Error())
}

// life is what the faults of a plan did between two crashes of it.
type life struct {
	last   int // number of its last step
	faults *faults.FS
}

// ended keeps what is to be told of a world's faults.
func (r *run) ended(w *world, last int) {
	if w.faults != nil {
		r.lives = append(r.lives, life{last, w.faults})
	}
}

// tellFaults lists the faults that fired in some life; of the others it tells
// why, as the life does that their step was in.
func (r *run) tellFaults() {
	fired := map[faults.Fault]bool{}
	for _, l := range r.lives {
		for _, f := range l.faults.Fired() {
			if !fired[f] {
				fired[f] = true
				r.result.FaultsFired = append(r.result.FaultsFired, f.String())
			}
		}
	}
	first := math.MinInt // of a life's steps
	for i, l := range r.lives {
		for _, n := range l.faults.NotFired() {
			step := n.Fault.Step
			here := step >= first && step <= l.last || step == faults.AnyStep && i == len(r.lives)-1
			if here && !fired[n.Fault] {
				r.result.NotFired = append(r.result.NotFired, n.String())
			}
		}
		first = l.last + 1
	}
}

func (r *run) finish() {
	r.tellFaults()
	if s := r.script.sync; s != nil && s.Hits() == 0 {
		r.result.NotFired = append(r.result.NotFired, "set sync = "+s.String()+": the log never syncs there")
	}
	r.ledger.fill(&r.result)
	r.result.Digests = slices.Clone(r.trace.list)
	r.result.Digest = hex.EncodeToString(r.trace.sum[:])
}
