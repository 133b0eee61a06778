package crashtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/scenarios/ddmin"
	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// How much is spent on making a failure small.
const (
	shrinkRuns   = 64   // sets of steps
	shrinkBudget = 2000 // disks for each, as for the steps of a saved plan
	nearRuns     = 200  // disks that are nearer to what was written
)

// A finding is a disk that the store does not recover from.
type finding struct {
	program *program
	disk    string
	path    explore.CrashPath
	err     error
	flaky   string // not empty: what happened when the same path was taken again
}

// runner is one call of Run.
type runner struct {
	t       testing.TB
	subject *subject
	test    string
}

func (r *runner) run(planFile string) {
	r.t.Helper()
	if planFile != "" {
		r.replayOnly(planFile)
		return
	}
	if r.corpusFails() {
		return
	}
	for _, disk := range r.subject.options.Disks {
		ops := 0
		f, report := r.subject.all().hunt(disk, r.subject.options.Budget, &ops)
		if f != nil {
			r.fail(f.shrink())
			return
		}
		if ops == 0 {
			r.t.Errorf("crashtest: Open and the steps made no file operation: does the store use the fs that Open is given?")
			return
		}
		r.t.Logf("crashtest: %s: %d operations, %d crash points, %d recoveries, no failure\n%s", disk, ops, report.CrashPoints, report.Recoveries, coverage(report))
	}
}

// coverage says whether all was tried.
func coverage(report explore.Report) string {
	if report.Exact {
		return "every disk that these crashes can leave was tried"
	}
	return "not every disk was tried (UNTORN_BUDGET=n tries more):\n" + report.Why
}

// config is how to explore a disk.
func (s *subject) config(disk string, budget int) explore.Config {
	g, err := simfs.PresetByName(disk)
	if err != nil {
		panic("internal error: " + err.Error()) // checked by plain and by read
	}
	o := s.options
	return explore.Config{
		Guarantees:    g,
		CellSize:      o.CellSize,
		Garbage:       o.garbage(),
		Depth:         o.Depth,
		MaxDeviation:  2,
		Samples:       16,
		Seed:          o.Seed,
		MaxImages:     budget,
		MaxViolations: 1,
		StopEarly:     true,
		Workers:       o.Workers,
	}
}

func (o Options) garbage() simfs.Garbage {
	return simfs.Garbage{Block: true, Stale: true, Seed: o.Seed}
}

// hunt explores, and returns the first failure or nil.
func (p *program) hunt(disk string, budget int, ops *int) (*finding, explore.Report) {
	report, err := explore.Explore(context.Background(), p.config(disk, budget), p.explored(ops))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	if len(report.Violations) == 0 {
		return nil, report
	}
	v := report.Violations[0]
	return &finding{program: p, disk: disk, path: v.Path, err: v.Err}, report
}

// again takes a path of the finding's program.
func (f *finding) again(path explore.CrashPath) error {
	return explore.Reproduce(context.Background(), f.program.config(f.disk, 0), f.program.explored(nil), path)
}

// same reports whether an error is the finding's: of the same kind.
func (f *finding) same(err error) bool {
	var path *explore.PathError
	return err != nil && !errors.As(err, &path) && invariant(err) == invariant(f.err)
}

// shrink looks for the fewest steps, and for a disk that has lost as little as
// possible.
func (f *finding) shrink() *finding {
	if err := f.again(f.path); !f.same(err) {
		f.flaky = "no failure"
		if err != nil {
			f.flaky = err.Error()
		}
		return f
	}
	f = f.fewerSteps()
	f.nearer()
	return f
}

func (f *finding) fewerSteps() *finding {
	runs := 0
	try := func(active []int) bool {
		if runs++; runs > shrinkRuns {
			return false
		}
		p := &program{subject: f.program.subject, active: active}
		g, _ := p.hunt(f.disk, min(shrinkBudget, p.options.Budget), nil)
		if g == nil || !f.same(g.err) || (len(g.path) == 0) != (len(f.path) == 0) || !g.same(g.again(g.path)) {
			return false
		}
		f = g
		return true
	}
	all := f.program.active
	for n := 0; n < len(all); n = max(1, 2*n) {
		if try(all[:n:n]) {
			break
		}
	}
	ddmin.Fewest(f.program.active, try)
	return f
}

// nearer gives the disk back what it need not have lost: each power loss of the
// path keeps everything but some variables.
func (f *finding) nearer() {
	f.err = f.again(f.path)
	runs := 0
	for i := range f.path {
		if f.path[i].Kind != simfs.PowerLoss {
			continue
		}
		moments, err := f.follow()
		if err != nil {
			return
		}
		var lost []explore.Deviation
		for _, c := range moments[i].Choices {
			if loss.Lost(c) {
				lost = append(lost, c.Deviation())
			}
		}
		try := func(lost []explore.Deviation) bool {
			if runs++; runs > nearRuns {
				return false
			}
			path := slices.Clone(f.path)
			path[i].Prefix, path[i].Deviations = moments[i].At, lost
			err := f.again(path)
			if !f.same(err) {
				return false
			}
			f.path, f.err = path, err
			return true
		}
		if try(lost) {
			ddmin.Fewest(lost, try)
		}
	}
}

// follow takes the crashes of the finding's path on a disk that remembers who
// called it.
func (f *finding) follow() ([]explore.Moment, error) {
	c := f.program.config(f.disk, 0)
	c.Callers, c.CallerSkip = 2, library()
	return explore.Follow(context.Background(), c, f.program.explored(nil), f.path)
}

// verdicts says on which file systems the store fails.
func (f *finding) verdicts() []string {
	names := append([]string{f.disk, "posix", "ext4"}, f.program.options.Disks...)
	var lines []string
	for i, disk := range names {
		if slices.Contains(names[:i], disk) {
			continue
		}
		if disk == f.disk {
			lines = append(lines, disk+" fails")
			continue
		}
		g, report := f.program.all().hunt(disk, f.program.options.Budget, nil)
		switch {
		case g == nil:
			line := fmt.Sprintf("%s holds (%d recoveries)", disk, report.Recoveries)
			if f.disk == "posix" {
				line += ": it promises more than POSIX does"
			}
			lines = append(lines, line)
		case g.same(f.err):
			lines = append(lines, disk+" fails too")
		default:
			lines = append(lines, fmt.Sprintf("%s fails too, otherwise: %s: %s", disk, invariant(g.err), firstLine(g.err.Error())))
		}
	}
	return lines
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return clip(line, 200)
}
