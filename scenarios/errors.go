package scenarios

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/blake3"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// ErrorOperations is how many file-system operations of a plan Errors makes
// fail, unless the plan sets another number, "set operations = 200".
const ErrorOperations = 60

// ErrorReport is what Errors found. All of it depends on the plan alone.
type ErrorReport struct {
	Scenario, Disk string
	Seed           uint64

	Operations int // of the file system, in the steps of the plan
	LeftOut    int // of these, not made to fail, since there are too many
	Skipped    int // faults that were not tried, or not to the end, since ctx ended
	Fired      int // faults that happened
	Pairs      int // of a fault and a crash point behind it
	Images     int // tried; decided when it is read, one stands for many
	Recoveries int
	Exact      bool   // every fault, every crash point behind it, every image
	Why        string // where not exact

	Faults   []FaultReport
	Violated int
	Digest   string // of all of it
}

// errorPlans reach, in few operations each, what a log does.
func errorPlans() []string {
	return []string{
		// The first segment, batches with and without keys, buffered ones, a kill,
		// the recovery that carries them, a retry, a read, and a close.
		`untorn plan 1
scenario batch
seed 1
set preallocate = -1
step 1 open
step 2 batch key=k 0="order-1 placed size=100" 1="ledger booked size=30"
step 3 batch buffered=true 0="order-1 paid size=300"
step 4 batch buffered=true key=l 0="order-2 placed size=200 expect=none"
step 5 crash kind=kill
step 6 open
step 7 retry of=4
step 8 batch 0="order-2 paid size=700"
step 9 read
step 10 close
`,
		// A segment that is full, and one that was closed.
		`untorn plan 1
scenario rotate
seed 1
set preallocate = -1
step 1 open
step 2 batch 0="order-1 placed size=50000"
step 3 close
step 4 open
step 5 batch key=k 0="order-1 paid size=9000" 1="ledger booked size=30"
step 6 batch 0="order-2 placed size=100"
`,
	}
}

// ErrorPlans are plans for Errors on a disk: small ones that together get
// everywhere.
func ErrorPlans(disk string) (plans []*plan.Plan) {
	for _, text := range errorPlans() {
		p, err := plan.Parse([]byte(text))
		if err != nil {
			panic("internal error: " + err.Error())
		}
		p.Disk = disk
		plans = append(plans, p)
	}
	return plans
}

// FaultReport is what came of one fault.
type FaultReport struct {
	Fault       string // as a plan's fault line says it
	Fired       bool
	Why         string // why it did not fire
	CrashPoints int    // behind the fault
	Images      int
	Recoveries  int
	Exact       bool
	Inexact     string // why not exact
	Violations  []Violation
	Violated    int

	digest string
}

// Violations lists the violations of all faults.
func (r *ErrorReport) Violations() (all []Violation) {
	for i := range r.Faults {
		all = append(all, r.Faults[i].Violations...)
	}
	return all
}

// Errors lets one thing go wrong at a time: for each file-system operation that
// the plan's steps make, and each fault that can happen to it, it runs the plan
// with that fault, which goes on behind it, and crashes it at every point from
// the fault on. Reading, opening and recovering are operations like any other.
//
// Where the plan has crash steps, a fault is followed by crashes in its own
// life, and by crashes in each later one, behind the crashes that the plan says.
//
// Each violation has a plan that Run breaks in the same way: the steps up to the
// end of the life that crashed, the fault, and the crash.
//
// What the plan says about faults, damage and crashes to explore is not used;
// its settings are, but for these, which have other defaults here: every image
// ("images"), decided when it is read ("lazy"), with at most 512 runs for a crash
// point ("leaves"; one that needs more is searched within bounds, and the report
// says so), at the points where it makes a difference ("allpoints"), and no crash
// in the recovery from a crash ("depth").
//
// The error says that the plan cannot be run, or that ctx ended: then the report
// tells of the faults that were tried.
func Errors(ctx context.Context, p *plan.Plan, c Config) (ErrorReport, error) {
	e := &errorSearch{ctx: ctx, config: c}
	e.lives = livesOf(p)
	counts, err := e.record()
	if err != nil {
		return ErrorReport{}, err
	}
	report := ErrorReport{Scenario: p.Scenario, Disk: e.disk, Seed: p.Seed, Exact: true}
	most, err := p.Int("operations", ErrorOperations)
	if err != nil {
		return ErrorReport{}, err
	}
	list := e.choose(counts, max(int(most), 0), &report)
	report.Faults = make([]FaultReport, len(list))
	if err := e.all(list, report.Faults); err != nil && ctx.Err() == nil {
		return ErrorReport{}, err
	}
	err = ctx.Err()
	if err != nil {
		report.Faults = slices.DeleteFunc(report.Faults, func(f FaultReport) bool { return f.digest == "" })
		report.Skipped = len(list) - len(report.Faults)
	}
	report.sum()
	return report, err
}

// sum adds up what the faults say.
func (r *ErrorReport) sum() {
	hash := blake3.New()
	inexact, why := 0, ""
	for i := range r.Faults {
		f := &r.Faults[i]
		if f.Fired {
			r.Fired++
		}
		r.Pairs += f.CrashPoints
		r.Images += f.Images
		r.Recoveries += f.Recoveries
		r.Violated += f.Violated
		if !f.Exact {
			inexact++
			if why == "" {
				why = fmt.Sprintf("%s: %s", f.Fault, f.Inexact)
			}
		}
		fmt.Fprintf(hash, "%s\n%v %s\n%s\n", f.Fault, f.Fired, f.Why, f.digest)
	}
	var lines []string
	if r.LeftOut > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d operations were left out, evenly over the plan: \"set operations = %d\" in the plan tries them all", r.LeftOut, r.Operations, r.Operations))
	}
	if inexact > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d faults were not followed by every image; the first, %s", inexact, len(r.Faults), why))
	}
	if r.Skipped > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d faults were not tried: it was interrupted", r.Skipped, r.Skipped+len(r.Faults)))
	}
	r.Why = strings.Join(lines, "\n")
	r.Exact = len(lines) == 0
	sum := hash.Sum(nil)
	r.Digest = hex.EncodeToString(sum)
}

// errorSearch is one call of Errors.
type errorSearch struct {
	ctx    context.Context
	config Config
	disk   string
	lives  []*plan.Plan
}

// livesOf returns a plan for each life of a plan, which ends where that life
// crashes, or at the end, and has no faults.
func livesOf(p *plan.Plan) (lives []*plan.Plan) {
	bare := p.Clone()
	bare.Faults, bare.Crashes, bare.Digests, bare.Invariant = nil, nil, nil, ""
	bare.Steps = nil
	for _, step := range p.Steps {
		switch step.Verb {
		case "damage":
			continue
		case "crash":
			lives = append(lives, bare.Clone())
		}
		bare.Steps = append(bare.Steps, step)
	}
	return append(lives, bare)
}

// listening is a fault that never happens: with it, operations are counted.
const listening = "step=2147483647 lock * #1: held"

// record runs the plan without faults, and counts its operations.
func (e *errorSearch) record() (counts []faults.Count, err error) {
	p := e.lives[len(e.lives)-1].Clone()
	p.Faults = []string{listening}
	r, err := newRun(e.ctx, p, e.config)
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", p.Scenario, err)
	}
	e.disk = r.result.Disk
	err = r.prologue()
	if err == nil {
		disk := r.begin()
		err = r.workload(&explore.Run{FS: disk, Disk: disk, Note: func(explore.Note) {}})
	}
	if err != nil {
		return nil, fmt.Errorf("scenario %s: the plan fails without a fault: %w", p.Scenario, err)
	}
	for _, l := range r.lives {
		for _, c := range l.faults.Counts() {
			if c.Step > 0 {
				counts = append(counts, c)
			}
		}
	}
	return counts, nil
}

// begin is the disk that the recorded part begins with.
func (r *run) begin() *simfs.FS {
	if r.explorer.Start != nil {
		return r.explorer.Start.Mount(nil)
	}
	return simfs.New(simfs.Options{Guarantees: r.explorer.Guarantees, CellSize: r.explorer.CellSize, Garbage: r.explorer.Garbage})
}

// choose lists the faults to try. Where the plan has too many operations, it
// leaves some out, evenly.
func (e *errorSearch) choose(counts []faults.Count, most int, report *ErrorReport) (list []faults.Fault) {
	for _, c := range counts {
		report.Operations += c.N
	}
	report.LeftOut = max(report.Operations-most, 0)
	kept := report.Operations - report.LeftOut
	at, last := -1, faults.Fault{}
	for f := range faults.Every(counts) {
		key := faults.Fault{Step: f.Step, Op: f.Op, Class: f.Class, Ordinal: f.Ordinal}
		if at < 0 || key != last {
			at, last = at+1, key
		}
		if (at+1)*kept/report.Operations > at*kept/report.Operations {
			list = append(list, f)
		}
	}
	return list
}

// all tries every fault, several at once.
func (e *errorSearch) all(list []faults.Fault, reports []FaultReport) error {
	failed := make([]error, len(list))
	e.config.Watch.Expect(len(list))
	explore.Each(e.config.Workers, len(list), func(i int) {
		if e.ctx.Err() == nil {
			reports[i], failed[i] = e.one(list[i])
			e.config.Watch.Did()
		}
	})
	if err := e.ctx.Err(); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// one tries a fault, in its own life and in those behind it.
func (e *errorSearch) one(f faults.Fault) (FaultReport, error) {
	report := FaultReport{Fault: f.String(), Exact: true}
	hash := blake3.New()
	for _, life := range e.lives {
		if !slices.ContainsFunc(life.Steps, func(s plan.Step) bool { return s.Number == f.Step }) {
			continue // its step comes later
		}
		p := life.Clone()
		p.Faults = []string{report.Fault}
		r, err := newRun(e.ctx, p, Config{Workers: 1, Images: e.config.Images, Wrap: e.config.Wrap, Watch: e.config.Watch})
		if err != nil {
			return report, fmt.Errorf("scenario %s: %w", p.Scenario, err)
		}
		if err := r.afterFault(&report); err != nil {
			return report, fmt.Errorf("scenario %s: %s: %w", p.Scenario, report.Fault, err)
		}
		fmt.Fprintf(hash, "%x\n", r.trace.sum)
		if !report.Fired {
			report.Why = "it was not reached"
			for _, n := range r.result.NotFired {
				report.Why = strings.TrimPrefix(n, report.Fault+": not fired: ")
			}
			break
		}
	}
	report.digest = hex.EncodeToString(hash.Sum(nil))
	return report, nil
}

// afterFault explores the crashes from the one fault of the plan on.
func (r *run) afterFault(report *FaultReport) error {
	defer func() {
		r.tellFaults()
		report.Fired = len(r.result.FaultsFired) > 0
		report.Violations = append(report.Violations, r.result.Violations...)
		report.Violated += r.result.Violated
	}()
	if err := r.prologue(); r.ctx.Err() != nil {
		return r.ctx.Err()
	} else if err != nil {
		r.violated(err, nil)
		return nil
	}
	c := r.explorer
	for _, s := range []struct {
		setting string
		field   *int
		value   int
	}{{"images", &c.MaxImages, r.config.Images}, {"deviation", &c.MaxDeviation, 1}, {"depth", &c.Depth, 0}, {"leaves", &c.MaxLeaves, 512}} {
		if _, set := r.plan.Setting(s.setting); !set {
			*s.field = s.value
		}
	}
	var err error
	if c.Lazy, err = r.plan.Bool("lazy", true); err != nil {
		return err
	}
	if _, set := r.plan.Setting("allpoints"); !set {
		c.Points = explore.Barriers
	}
	if len(r.lives) == 0 || r.hitsBefore() == 0 {
		c.From = func(n explore.Note) bool { return strings.HasPrefix(n.Key, faultKey) }
	}
	found, err := explore.Explore(r.ctx, c, explore.Program{Workload: r.workload, Recover: r.recover})
	if err != nil {
		return err
	}
	r.trace.add("explored ", found.Digest)
	for _, v := range found.Violations {
		r.violated(v.Err, v.Path)
	}
	r.result.Violated += max(found.Violated-len(found.Violations), 0)
	report.CrashPoints += found.CrashPoints
	report.Images += found.Images
	report.Recoveries += found.Recoveries
	if !found.Exact {
		report.Exact = false
		report.Inexact = found.Why
	}
	return nil
}

// faultKey begins the key of a note that a fault has happened.
var faultKey = model.Fault{}.Key()

// hitsBefore is how many faults hit before the recorded part.
func (r *run) hitsBefore() (n int) {
	for _, l := range r.lives {
		n += len(l.faults.Fired())
	}
	return n
}
