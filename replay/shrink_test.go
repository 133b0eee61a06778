package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// swallow plants a bug: a sync that fails is taken for one that did not.
func swallow(base afero.Fs) afero.Fs { return swallowing{base.(disk)} }

// disk is what the file systems of a scenario can do.
type disk interface {
	afero.Fs
	SyncDir(name string) error
	TryLock(name string) (func() error, bool, error)
}

type swallowing struct{ disk }

func (s swallowing) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := s.disk.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return swallowingFile{f}, nil
}

type swallowingFile struct{ afero.File }

func (f swallowingFile) Sync() error { _ = f.File.Sync(); return nil }

func (f swallowingFile) SyncData() error {
	if s, ok := f.File.(interface{ SyncData() error }); ok {
		_ = s.SyncData()
	}
	return nil
}

// noDirSync plants a bug: no sync of a directory reaches the disk.
func noDirSync(base afero.Fs) afero.Fs { return namesLost{base.(disk)} }

type namesLost struct{ disk }

func (namesLost) SyncDir(string) error { return nil }

// failing is a plan that fails with a planted bug.
type failing struct {
	name string
	plan *plan.Plan
	wrap func(afero.Fs) afero.Fs
}

// failingPlans are a few seeds of the scenarios, and what is written here.
func failingPlans(t *testing.T) []failing {
	t.Helper()
	var list []failing
	for i, name := range scenarios.Names() {
		if i%2 == 1 {
			continue
		}
		p, err := scenarios.Draw(name, []string{"posix", "ext4"}[i/2%2], uint64(3+i%3))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, failing{name + " without syncs", p, dropSync})
	}
	written := func(name string, wrap func(afero.Fs) afero.Fs, text string) {
		p, err := plan.Parse([]byte("untorn plan 1\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, failing{name, p, wrap})
	}
	written("names lost", noDirSync, `
scenario mixed
disk posix
seed 7
set preallocate = 4096
set align = 4096
step 1 open
step 2 batch key=k2 0="a/order-1 placed size=300 meta=20" 1="order-1 paid size=20 expect=0 cause=0"
step 3 read
step 4 batch buffered=true 0="ledger booked size=90"
step 5 advance by=15ms
step 6 batch 0="ledger booked size=700 expect=1"
step 7 retry of=2
`)
	written("failed syncs swallowed", swallow, `
scenario syncfail
disk posix
seed 9
set preallocate = -1
step 1 open
step 2 batch 0="a b size=100"
step 3 batch key=k3 0="a b size=900" 1="c d size=400"
step 4 batch 0="a b size=2000 ext=2"
step 5 read
fault step=2 readat seg #1: fail EIO
fault step=3 syncdata seg #*: fail EIO
fault step=4 syncdata seg #*: fail EIO sticky
fault step=5 stat seg #1: fail EIO
`)
	written("an Open that fails", nil, `
scenario batch
set align = 3
set preallocate = 4096
step 1 open
step 2 batch 0="a b size=100"
step 3 crash kind=power choices=17
step 4 open
`)
	return list
}

// still reports whether a plan fails as want says, with at most so many crashes:
// at its crash lines, or at others.
func still(t *testing.T, p *plan.Plan, want target, c scenarios.Config, crashes int, explore bool) bool {
	t.Helper()
	at := func(p *plan.Plan) (scenarios.Violation, bool) {
		c := c
		c.Violations = 64
		if len(p.Crashes) == 0 {
			c.Images = searchImages
		}
		r, err := scenarios.Run(context.Background(), p, c)
		if err != nil {
			return scenarios.Violation{}, false
		}
		return want.of(r.Violations)
	}
	p = p.Clone()
	p.Digests = nil
	if len(p.Crashes) > 0 {
		if _, ok := at(p); ok {
			return true
		}
	}
	if !explore {
		return false
	}
	p.Crashes = nil
	v, ok := at(p)
	return ok && len(v.Plan.Crashes)+crashSteps(p) <= crashes
}

// removals are all plans with one thing less: a step, a fault, a setting, an item
// or flag of a batch, a crash or a deviation.
func removals(p *plan.Plan) (searched, taken map[string]*plan.Plan) {
	searched, taken = map[string]*plan.Plan{}, map[string]*plan.Plan{}
	for i, step := range p.Steps {
		q := p.Clone()
		q.Steps = slices.Delete(q.Steps, i, i+1)
		searched[fmt.Sprintf("without step %d", step.Number)] = q
		if step.Verb != "batch" {
			continue
		}
		flags, items := splitBatch(step)
		for k := range items {
			q := p.Clone()
			q.Steps[i] = joinBatch(step, flags, slices.Delete(slices.Clone(items), k, k+1))
			searched[fmt.Sprintf("without item %d of step %d", k, step.Number)] = q
		}
		for k := range flags {
			q := p.Clone()
			q.Steps[i] = joinBatch(step, slices.Delete(slices.Clone(flags), k, k+1), items)
			searched["without "+flags[k].Key+" of step "+strconv.Itoa(step.Number)] = q
		}
	}
	for i, fault := range p.Faults {
		q := p.Clone()
		q.Faults = slices.Delete(q.Faults, i, i+1)
		searched["without fault "+fault] = q
	}
	for i, set := range p.Settings {
		q := p.Clone()
		q.Settings = slices.Delete(q.Settings, i, i+1)
		searched["without set "+set.Key] = q
	}
	path := pathOf(p)
	for i, crash := range path {
		if len(path) > 1 {
			taken[fmt.Sprintf("without crash %d", i+1)] = withPath(p, slices.Delete(slices.Clone(path), i, i+1))
		}
		for k, d := range crash.Deviations {
			fewer := slices.Clone(path)
			fewer[i].Deviations = slices.Delete(slices.Clone(crash.Deviations), k, k+1)
			taken["without "+d.Var] = withPath(p, fewer)
		}
	}
	return searched, taken
}

// TestShrink shrinks what planted bugs break, and tries every single removal.
func TestShrink(t *testing.T) {
	withFault, withLoss := 0, 0
	for i, f := range failingPlans(t) {
		t.Run(f.name, func(t *testing.T) {
			ctx := context.Background()
			c := scenarios.Config{Wrap: f.wrap}
			before := string(f.plan.Format())
			var small Shrunk
			workers := []int{2}
			if i%4 == 0 {
				workers = []int{1, 2, 8}
			}
			for k, n := range workers {
				c.Workers = n
				s, err := Shrink(ctx, f.plan, c, 0)
				if err != nil {
					t.Fatal(err)
				}
				if k > 0 && (s.Failure.String() != small.Failure.String() || string(s.Failure.Plan.Format()) != string(small.Failure.Plan.Format()) || s.Runs != small.Runs) {
					t.Fatalf("with %d workers\n%s%s\nwith %d\n%s%s", n, s.Failure, s.Failure.Plan.Format(),
						workers[0], small.Failure, small.Failure.Plan.Format())
				}
				small = s
			}
			p := small.Failure.Plan
			t.Logf("%v to %v in %d runs\n%s%s", small.From, small.To, small.Runs, small.Failure, p.Format())
			if string(f.plan.Format()) != before {
				t.Error("the plan that was given has changed")
			}
			if !small.Minimal || len(p.Steps) > 12 || small.To != SizeOf(p) || small.From.Steps != len(f.plan.Steps) {
				t.Errorf("minimal %v, from %v to %v", small.Minimal, small.From, small.To)
			}

			// It fails alone, with the same text, and holds without the bug.
			o, err := Replay(ctx, parse(t, p), c)
			if err != nil || o.Twice != nil || o.Recorded != nil || len(o.Failures) == 0 {
				t.Fatalf("replayed: %v, %+v", err, o)
			}
			if got := o.Failures[0].String(); got != small.Failure.String() {
				t.Errorf("replayed:\n%s\nshrunk:\n%s", got, small.Failure)
			}
			if f.wrap != nil {
				sound := p.Clone()
				sound.Digests, sound.Crashes = nil, nil
				if r, err := scenarios.Run(ctx, sound, scenarios.Config{}); err != nil || len(r.Violations) > 0 {
					t.Errorf("without the bug: %v, %v", err, r.Violations)
				}
			}

			want := target{invariant: small.Failure.Invariant}
			if want.invariant == "" {
				want.class = small.Failure.class
			}
			crashes := len(p.Crashes) + crashSteps(p)
			searched, taken := removals(p)
			for name, q := range searched {
				if still(t, q, want, c, crashes, true) {
					t.Errorf("it fails %s, too", name)
				}
			}
			for name, q := range taken {
				if still(t, q, want, c, crashes, false) {
					t.Errorf("it fails %s, too", name)
				}
			}
			if len(p.Faults) > 0 {
				withFault++
			}
			if why(t, small.Failure, c) {
				withLoss++
			}

			// What is small stays as it is.
			again, err := Shrink(ctx, p, c, 0)
			if err != nil || string(again.Failure.Plan.Format()) != string(p.Format()) {
				t.Errorf("shrunk again: %v\n%s", err, again.Failure.Plan.Format())
			}
		})
	}
	if withFault == 0 || withLoss < 5 {
		t.Errorf("%d failures need a fault and %d a loss: the plans above have become too tame", withFault, withLoss)
	}
}

// why checks that what a failure says was lost decides: with everything on the
// disk the plan passes. It reports whether with any part of
// that there the plan passes, too.
func why(t *testing.T, f Failure, c scenarios.Config) bool {
	t.Helper()
	if f.Why.Cause == "" || len(f.Happened) != len(f.Plan.Crashes) {
		t.Errorf("no explanation: %+v", f)
	}
	trail, err := scenarios.Follow(context.Background(), f.Plan, c)
	if err != nil {
		t.Fatal(err)
	}
	path := pathOf(f.Plan)
	for i, m := range trail.Moments {
		if len(m.Choices) > 0 {
			path[i].Prefix, path[i].Deviations = m.At, nil
		}
	}
	whole := withPath(f.Plan, path)
	whole.Digests = nil
	fails := false
	if len(path) > 0 {
		r, err := scenarios.Run(context.Background(), whole, c)
		if err != nil {
			t.Fatal(err)
		}
		fails = len(r.Violations) > 0
	}
	if len(f.Why.Lost) == 0 {
		if len(path) > 0 && !fails {
			t.Errorf("nothing is lost, it says, but with everything on the disk it passes: %s", f.Why.Cause)
		}
		return false
	}
	if fails {
		t.Errorf("it fails with everything on the disk, too: %s", f.Why.Cause)
	}
	passes := strings.HasSuffix(f.Why.Else, " there too, the recovery passes")
	if !passes && !strings.Contains(f.Why.Else, " there too, it fails in another way: ") && !strings.HasSuffix(f.Why.Else, cannotCome) {
		t.Errorf("nothing of what is lost turns the verdict: %s", f.Why.Else)
	}
	for _, part := range f.Why.Lost {
		if !strings.Contains(part.Writer, ".go:") {
			t.Errorf("nobody has written %v, it says: %q", part, part.Writer)
		}
	}
	return passes
}

func parse(t *testing.T, p *plan.Plan) *plan.Plan {
	t.Helper()
	q, err := plan.Parse(p.Format())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestShrinkStops checks what is left when the runs or the time are used up, and
// what is said of a plan that does not fail.
func TestShrinkStops(t *testing.T) {
	p, err := scenarios.Draw("batch", "posix", 3)
	if err != nil {
		t.Fatal(err)
	}
	c := scenarios.Config{Wrap: dropSync, Images: 40}
	s, err := Shrink(context.Background(), p, c, 4)
	if err != nil || s.Minimal || s.Runs > 4 || s.To.Steps == 0 || len(s.Failure.Plan.Digests) == 0 {
		t.Errorf("after 4 runs: %v, %+v", err, s)
	}
	if again, err := Replay(context.Background(), parse(t, s.Failure.Plan), c); err != nil || again.Recorded != nil || len(again.Failures) == 0 {
		t.Errorf("replayed: %v, %+v", err, again)
	}
	ended, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Shrink(ended, p, c, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("with no time at all: %v", err)
	}
	var holds *HoldsError
	if _, err := Shrink(context.Background(), p, scenarios.Config{Images: 40}, 0); !errors.As(err, &holds) || holds.Broken != "" {
		t.Errorf("a plan that holds: %v", err)
	}
	p.Invariant = "I8"
	if _, err := Shrink(context.Background(), p, c, 0); !errors.As(err, &holds) || holds.Invariant != "I8" || holds.Broken == "" {
		t.Errorf("a plan that breaks something else: %v", err)
	}
}

// TestSimpler checks what is tried for values, and in which order.
func TestSimpler(t *testing.T) {
	for value, want := range map[string]string{
		"0": "", "1": "0", "9": "0 1 2 4", "-3": "0 -1", "-1h": "0s -1ms", "11ms": "0s 1ms 2ms 5ms", "newest": "", "true": "",
	} {
		got := strings.Join(simplerValues(value), " ")
		if value == "-1h" {
			got = strings.Join(simplerValues(value)[:2], " ")
		}
		if got != want {
			t.Errorf("for %s: %q, want %q", value, got, want)
		}
	}
	for fault, want := range map[string]string{
		"step=3 syncdata seg #*: fail EIO sticky": "step=3 syncdata seg #1: fail EIO; step=3 syncdata seg #*: fail EIO",
		"step=3 writeat seg #1: short 2":          "step=3 writeat seg #1: short 0; step=3 writeat seg #1: short 1; step=3 writeat seg #1: short 0; step=3 writeat seg #1: short 1",
		"step=3 writeat seg #1: fail EIO":         "",
	} {
		if got := strings.Join(milderFaults(fault), "; "); got != want {
			t.Errorf("for %s: %q, want %q", fault, got, want)
		}
	}
	items := [][]string{{"a", "b"}, {"a", "b", "cause=0"}, {"a", "b", "cause=1", "size=3"}}
	if got := fmt.Sprint(keep(items, []int{1, 2})); got != "[[a b] [a b cause=0 size=3]]" {
		t.Errorf("without the first item: %s", got)
	}
}

// TestShrinkLazy checks that a crash whose choices are made when they are read is
// explained as it is, and shrunk to one whose choices are all made.
func TestShrinkLazy(t *testing.T) {
	p, err := plan.Parse([]byte("untorn plan 1\nscenario batch\ndisk posix\nset preallocate = -1\nstep 1 open\nstep 2 batch 0=\"s t\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := scenarios.Config{Wrap: dropSync}
	eager, err := Shrink(context.Background(), p, c, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := pathOf(eager.Failure.Plan)
	for i := range path {
		path[i].Lazy = true
	}
	lazy := withPath(eager.Failure.Plan, path)
	o, err := Replay(context.Background(), lazy, c)
	if err != nil || len(o.Failures) != 1 || !why(t, o.Failures[0], c) {
		t.Fatalf("%v: %+v\n%s", err, o, lazy.Format())
	}
	if crashes := o.Failures[0].Plan.Crashes; !strings.Contains(strings.Join(crashes, " "), " lazy prefix=") {
		t.Errorf("this was to be a lazy crash: %q", crashes)
	}
	small, err := Shrink(context.Background(), lazy, c, 0)
	if err != nil || strings.Join(small.Failure.Plan.Crashes, "") != strings.Join(eager.Failure.Plan.Crashes, "") {
		t.Errorf("%v\n%s", err, small.Failure.Plan.Format())
	}
}
