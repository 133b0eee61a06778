package replay

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs/explore"
)

// small is a sweep of a few seeds.
func small(jobs int) Options {
	return Options{
		Scenarios: []string{"batch", "mixed"}, Disks: []string{"posix", "ext4"},
		Seeds: Seeds{First: 3, Last: 6}, Images: 40, Jobs: jobs,
	}
}

// text is all of a report that must not depend on the jobs.
func text(t *testing.T, r Report) string {
	t.Helper()
	var b strings.Builder
	for _, row := range r.Rows {
		row.Seconds, row.Slowest = 0, nil
		data, err := json.MarshalIndent(row, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
		for _, f := range row.Failures {
			b.WriteString(f.String())
			b.Write(f.Plan.Format())
		}
	}
	return b.String()
}

// TestJobs checks that the rows are the same for any number of jobs, those with
// failures included.
func TestJobs(t *testing.T) {
	for _, planted := range []bool{false, true} {
		var want string
		for _, jobs := range []int{1, 2, 8} {
			o := small(jobs)
			if planted {
				o.Wrap, o.Shrink = dropSync, 25
			}
			report, err := Sweep(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if !report.Complete || len(report.Rows) != 4 || report.Jobs != jobs {
				t.Fatalf("complete %v, %d rows, %d jobs", report.Complete, len(report.Rows), report.Jobs)
			}
			for _, row := range report.Rows {
				if row.Seeds != 4 || row.Recoveries == 0 || row.ImagesUnique == 0 || row.Steps == 0 || row.MedianOpens == 0 {
					t.Errorf("an empty row: %+v", row)
				}
				if planted != (row.Violated > 0) {
					t.Errorf("%s on %s: %d violations", row.Scenario, row.Disk, row.Violated)
				}
			}
			got := text(t, report)
			if want == "" {
				want = got
			}
			if got != want {
				t.Fatalf("with %d jobs:\n%s\nwith one:\n%s", jobs, got, want)
			}
		}
	}
}

// TestAloneAndInASweep checks that a sweep adds up what its seeds give alone,
// in whatever order.
func TestAloneAndInASweep(t *testing.T) {
	o := small(2)
	o.Scenarios, o.Disks = []string{"batch"}, []string{"posix"}
	report, err := Sweep(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := scenarios.ByName("batch")
	alone := newTally(s, "posix")
	for seed := o.Seeds.Last; seed >= o.Seeds.First; seed-- {
		p, err := scenarios.Draw("batch", "posix", seed)
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := Replay(context.Background(), p, scenarios.Config{Images: o.Images, Workers: 3})
		if err != nil {
			t.Fatal(err)
		}
		if outcome.Twice != nil {
			t.Errorf("seed %d: %s", seed, outcome.Twice)
		}
		alone.add(seed, outcome.Result, outcome.Failures, 0)
	}
	if got, want := report.Rows[0].Digest, alone.row().Digest; got != want {
		t.Errorf("the sweep has digest %s, its seeds alone %s", got, want)
	}
}

// dropSync plants a bug: no sync reaches the disk.
func dropSync(base afero.Fs) afero.Fs { return &lyingFS{base} }

type lyingFS struct{ afero.Fs }

func (l *lyingFS) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	f, err := l.Fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return lyingFile{f}, nil
}

func (l *lyingFS) Open(name string) (afero.File, error) {
	f, err := l.Fs.Open(name)
	if err != nil {
		return nil, err
	}
	return lyingFile{f}, nil
}

func (l *lyingFS) Create(name string) (afero.File, error) {
	return l.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (l *lyingFS) SyncDir(name string) error { return nil }

func (l *lyingFS) TryLock(name string) (func() error, bool, error) {
	locker, ok := l.Fs.(interface {
		TryLock(string) (func() error, bool, error)
	})
	if !ok {
		return nil, false, errors.ErrUnsupported
	}
	return locker.TryLock(name)
}

type lyingFile struct{ afero.File }

func (lyingFile) Sync() error     { return nil }
func (lyingFile) SyncData() error { return nil }

// TestAFailureIsKept follows a failure: found, told, saved, loaded, replayed
// with the bug, and replayed without it.
func TestAFailureIsKept(t *testing.T) {
	ctx := context.Background()
	report, err := Sweep(ctx, Options{
		Scenarios: []string{"batch"}, Seeds: Seeds{First: 7, Last: 7}, Images: 60, Wrap: dropSync,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Failed() || !report.Deterministic() || len(report.Rows[0].Failures) == 0 {
		t.Fatalf("a log without syncs: %+v", report)
	}
	written, err := Load("testdata/corpus/batch-torn-at-commit.plan")
	if err != nil {
		t.Fatal(err)
	}
	explored, err := Replay(ctx, written, scenarios.Config{Wrap: dropSync})
	if err != nil {
		t.Fatal(err)
	}
	if len(explored.Failures) == 0 || len(explored.Failures[0].Plan.Crashes) == 0 {
		t.Fatalf("a plan without crashes, explored without syncs: %+v", explored.Failures)
	}
	dir := filepath.Join(t.TempDir(), "new", "plans")
	for _, f := range append(report.Rows[0].Failures, explored.Failures...) {
		if f.File, err = Save(dir, "", f.Plan); err != nil {
			t.Fatal(err)
		}
		name, from := "batch-posix-edited-", ""
		if f.Seed != 0 {
			name, from = "batch-posix-7-", "\n  seed      7, shrunk from "
		}
		if got, want := filepath.Base(f.File), name+f.Invariant+".plan"; got != want {
			t.Errorf("the file's name is %s, want %s", got, want)
		}
		told := f.String()
		for _, part := range []string{
			"FAIL batch on posix: " + f.Invariant + " is broken\n  promise   ", "\n  cause     ", "\n  plan    ", "\n          ! the ",
			"\n  promised  ", "\n  shown     ", "\n  expected  ", "\n  found     ", from,
			"\n  file      " + f.File + "\n", "\n  replay    go run ./cmd/untorn-sim replay ", "\n  report    ", "\n  trace     ",
		} {
			if !strings.Contains(told, part) {
				t.Errorf("the text lacks %q:\n%s", part, told)
			}
		}
		p, err := Load(f.File)
		if err != nil {
			t.Fatal(err)
		}
		if string(p.Format()) != string(f.Plan.Format()) || len(p.Digests) != len(p.Steps) {
			t.Errorf("loaded\n%s\nsaved\n%s", p.Format(), f.Plan.Format())
		}
		again, err := Replay(ctx, p, scenarios.Config{Wrap: dropSync})
		if err != nil {
			t.Fatal(err)
		}
		if again.Twice != nil || again.Recorded != nil || len(again.Failures) != 1 {
			t.Fatalf("replayed: %+v", again)
		}
		again.Failures[0].File = f.File
		if got := again.Failures[0].String(); got != told {
			t.Errorf("replayed:\n%s\nfound:\n%s", got, told)
		}
		// Without the bug the plan passes, or its crash leaves no such image.
		fixed, err := Replay(ctx, p, scenarios.Config{})
		var misfit *explore.PathError
		if err != nil && !errors.As(err, &misfit) {
			t.Fatal(err)
		}
		for _, left := range fixed.Failures {
			t.Errorf("without the bug: %s", left)
		}
	}
}

// TestDifferences checks that the first step that differs is named.
func TestDifferences(t *testing.T) {
	ctx := context.Background()
	p, err := scenarios.Draw("batch", "posix", 11)
	if err != nil {
		t.Fatal(err)
	}
	c := scenarios.Config{Images: 10}
	o, err := Replay(ctx, p, c)
	if err != nil {
		t.Fatal(err)
	}
	if o.Recorded != nil || o.Twice != nil {
		t.Fatalf("a plan without digests differs: %+v", o)
	}
	digests := o.Result.Digests
	if len(digests) != len(p.Steps) {
		t.Fatalf("%d digests of %d steps", len(digests), len(p.Steps))
	}
	third := digests[2].Step
	change := func(change func(p *plan.Plan)) *Difference {
		t.Helper()
		q := p.Clone()
		q.Digests = append([]plan.Digest(nil), digests...)
		change(q)
		o, err := Replay(ctx, q, c)
		if err != nil {
			t.Fatal(err)
		}
		if o.Twice != nil {
			t.Errorf("two runs differ: %s", o.Twice)
		}
		return o.Recorded
	}
	if d := change(func(*plan.Plan) {}); d != nil {
		t.Errorf("nothing was changed: %s", d)
	}
	if d := change(func(q *plan.Plan) { q.Digests[2].Sum++ }); d == nil || d.Step != third {
		t.Errorf("digest %d was changed: %v", third, d)
	}
	if d := change(func(q *plan.Plan) { q.Digests = q.Digests[:2] }); d == nil || d.Step != third || d.Want != "none" {
		t.Errorf("digests from %d on were deleted: %v", third, d)
	}
	last := digests[len(digests)-1].Step
	if d := change(func(q *plan.Plan) { q.Digests = append(q.Digests, plan.Digest{Step: last + 1, Sum: 1}) }); d == nil || d.Step != last+1 || d.Got != "none" {
		t.Errorf("a digest was added: %v", d)
	}
}

// TestUnstable checks that a failure that comes and goes is said to.
func TestUnstable(t *testing.T) {
	var lives atomic.Int64
	report, err := Sweep(context.Background(), Options{
		Scenarios: []string{"batch"}, Seeds: Seeds{First: 1, Last: 1}, Images: 20, Jobs: 1,
		Wrap: func(base afero.Fs) afero.Fs {
			if lives.Add(1) == 1 {
				return dropSync(base)
			}
			return base
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Failed() || report.Deterministic() {
		t.Fatalf("failed %v, deterministic %v: %+v", report.Failed(), report.Deterministic(), report.Rows)
	}
	for _, f := range report.Rows[0].Failures {
		if f.Unstable != "" && !strings.Contains(f.String(), "\n  unstable  ") {
			t.Errorf("the text does not say so:\n%s", f)
		}
	}
}

// TestStops checks what is left of a sweep that was cut short.
func TestStops(t *testing.T) {
	o := small(2)
	o.Seeds.Last = MaxSeeds
	o.Time = 1
	report, err := Sweep(context.Background(), o)
	if err != nil || report.Complete || len(report.Rows) != 4 {
		t.Errorf("no time: %v, complete %v, %d rows", err, report.Complete, len(report.Rows))
	}
	o.Time = 0
	ctx, cancel := context.WithCancel(context.Background())
	o.OnProgress = func(p Progress) {
		if p.Done == 3 {
			cancel()
		}
	}
	report, err = Sweep(ctx, o)
	if !errors.Is(err, context.Canceled) || report.Complete || report.Failed() {
		t.Errorf("cancelled: %v, complete %v, failed %v", err, report.Complete, report.Failed())
	}
	done := int64(0)
	for _, row := range report.Rows {
		done += row.Seeds
	}
	if done != 3 {
		t.Errorf("%d seeds counted, 3 were done when it was cancelled", done)
	}
}

// TestReach checks that a scenario that misses its aim fails, with seeds enough.
func TestReach(t *testing.T) {
	s := scenarios.Scenario{Name: "x", Reach: []string{"point sync", "fault short", "fault held"}}
	row := newTally(s, "posix")
	row.Seeds = ReachSeeds
	row.Reached = map[string]int64{"point sync": 1, "fault held": 2, "fault shorter": 1}
	r := row.row()
	if !reflect.DeepEqual(r.Unreached, []string{"fault short"}) || !r.Failed() {
		t.Errorf("unreached %q, failed %v", r.Unreached, r.Failed())
	}
	r.Seeds--
	if r.Failed() {
		t.Errorf("%d seeds failed for what they did not reach", r.Seeds)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		times map[int64]int64
		want  int64
	}{
		{nil, 0}, {map[int64]int64{5: 1}, 5}, {map[int64]int64{1: 1, 9: 1}, 1},
		{map[int64]int64{1: 1, 2: 1, 9: 1}, 2}, {map[int64]int64{1: 2, 30: 3}, 30},
	} {
		if got := median(c.times); got != c.want {
			t.Errorf("median of %v is %d, want %d", c.times, got, c.want)
		}
	}
}

func TestParseSeeds(t *testing.T) {
	for text, want := range map[string]Seeds{
		"42": {42, 42}, "1-1000": {1, 1000}, "7-7": {7, 7}, "18446744073709551615": {1<<64 - 1, 1<<64 - 1},
	} {
		if got, err := ParseSeeds(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if back, err := ParseSeeds(want.String()); err != nil || back != want {
			t.Errorf("%v prints as %s", want, want)
		}
	}
	for _, text := range []string{"", "-", "1-", "-1", "x", "0", "0-3", "3-1", "1-2-3", "1 - 2", "1-18446744073709551615", "18446744073709551616"} {
		if got, err := ParseSeeds(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestOptionsAreRefusedWhole(t *testing.T) {
	_, err := Sweep(context.Background(), Options{Scenarios: []string{"nosuch"}, Disks: []string{"floppy"}, Jobs: -1})
	var wrong *OptionsError
	if !errors.As(err, &wrong) || len(wrong.Problems) != 4 {
		t.Fatalf("%v", err)
	}
}

func TestFileNames(t *testing.T) {
	for _, c := range []struct {
		p    *plan.Plan
		from string
		want string
	}{
		{&plan.Plan{Scenario: "batch", Seed: 42, Invariant: "I1"}, "mine.plan", "batch-posix-42-I1.plan"},
		{&plan.Plan{Scenario: "mixed", Disk: "ext4"}, "", "mixed-ext4-edited.plan"},
		{&plan.Plan{Scenario: "../x", Seed: 1, Invariant: "a b/\n"}, "", "___x-posix-1-a_b__.plan"},
		{&plan.Plan{Scenario: "mixed", Disk: "ext4", Invariant: "I2"}, "some/where/mine.plan", "mine-ext4-I2.plan"},
		{&plan.Plan{Scenario: "mixed", Disk: "ext4"}, "mine.plan", "mine-ext4.plan"},
		{&plan.Plan{Scenario: "mixed", Disk: "ext4", Invariant: "I2"}, "failures/mine-ext4-I2.plan", "mine-ext4-I2.plan"},
		{&plan.Plan{Scenario: "mixed", Disk: "xfs", Invariant: "I1"}, "mine-ext4-I2.plan", "mine-ext4-I2-xfs-I1.plan"},
		{&plan.Plan{Scenario: "batch", Invariant: "I1"}, "batch-5x100", "batch-5x100-posix-I1.plan"},
		{&plan.Plan{Scenario: "batch"}, "it's mine.plan", "it_s_mine-posix.plan"},
	} {
		if got := FileName(c.p, c.from); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"failures/a-1.plan": "failures/a-1.plan", "my plans/x": "'my plans/x'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'",
	} {
		if got := quote(in); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
