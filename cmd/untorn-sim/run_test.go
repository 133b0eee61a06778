package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// output is what a run of the command has said.
func output(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestJSON checks that each line of --json is an object for one scenario and
// disk, with the names that others rely on, the same for any number of jobs.
func TestJSON(t *testing.T) {
	want := ""
	for _, jobs := range []string{"1", "2", "8"} {
		code, stdout, stderr := output("run", "--json", "--scenario", "batch,mixed", "--disk", "posix,ext4",
			"--seeds", "5-7", "--images", "30", "--jobs", jobs, "--plans", t.TempDir())
		if code != exitFine || !strings.Contains(stderr, "NOT REACHED in this run") {
			t.Fatalf("exit %d: %s%s", code, stderr, stdout)
		}
		got := ""
		var rows []string
		for line := range strings.Lines(stdout) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			for _, name := range []string{"seeds", "steps", "crash_points", "images", "images_unique", "recoveries", "faults_fired", "seconds"} {
				if n, ok := row[name].(float64); !ok || n <= 0 && name != "faults_fired" {
					t.Errorf("%s is %v", name, row[name])
				}
			}
			if list, ok := row["violations"].([]any); !ok || len(list) != 0 {
				t.Errorf("violations is %v", row["violations"])
			}
			if digest, ok := row["digest"].(string); !ok || len(digest) != 64 {
				t.Errorf("digest is %v", row["digest"])
			}
			rows = append(rows, fmt.Sprintf("%v %v", row["scenario"], row["disk"]))
			delete(row, "seconds")
			delete(row, "slowest") // in seconds, too
			rest, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			got += string(rest) + "\n"
		}
		if text := strings.Join(rows, ", "); text != "batch posix, batch ext4, mixed posix, mixed ext4" {
			t.Errorf("rows for %s", text)
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("with %s jobs\n%swith one\n%s", jobs, got, want)
		}
	}
}

// TestStrict: what was never reached is named, and with --strict the run fails; the
// objects of --json say it, too.
func TestStrict(t *testing.T) {
	args := []string{"run", "--scenario", "mixed,bitrot", "--seeds", "1", "--images", "4", "--json", "--plans", t.TempDir()}
	code, plain, stderr := output(args...)
	if code != exitFine || !strings.HasPrefix(stderr, "NOT REACHED in this run, which fails with --strict:\n  state ") || !strings.Contains(plain, `"unreached":["`) {
		t.Errorf("exit %d: %s%s", code, plain, stderr)
	}
	code, strict, stderr := output(append(args, "--strict")...)
	if code != exitWrong || !strings.Contains(strict, `"unreached":["`) || !strings.HasPrefix(stderr, "FAIL never reached in this run:\n  state ") ||
		!strings.Contains(stderr, "\nuntorn-sim: run: ") || !strings.Contains(stderr, "that the scenarios mean to reach never came") {
		t.Errorf("exit %d: %s%s", code, strict, stderr)
	}
}

// TestReplayOfASavedPlan checks that what a plan says about digests decides the
// exit code.
// exits 3: untorn-sim replay
func TestReplayOfASavedPlan(t *testing.T) {
	code, stdout, stderr := output("replay", "3", "--scenario", "batch", "--json", "--images", "20")
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var o replayed
	if err := json.Unmarshal([]byte(stdout), &o); err != nil {
		t.Fatal(err)
	}
	if o.Scenario != "batch" || o.Disk != "posix" || o.Seed != 3 || o.Recoveries == 0 || !o.Deterministic || len(o.Digests) == 0 || o.Violations == nil {
		t.Fatalf("%+v", o)
	}
	var r replayer
	r.scenario = "batch"
	plans, _, err := r.plans("3")
	if err != nil {
		t.Fatal(err)
	}
	p := plans[0]
	for _, d := range o.Digests {
		var sum uint64
		if _, err := fmt.Sscanf(d.Digest, "%x", &sum); err != nil {
			t.Fatal(err)
		}
		p.Digests = append(p.Digests, plan.Digest{Step: d.Step, Sum: sum})
	}
	dir := t.TempDir()
	path, err := replay.Save(dir, "", p)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = output("replay", "-v", path, "--images", "20")
	if code != exitFine || !strings.Contains(stdout, "\n  as the digests in the plan say\n") ||
		!strings.Contains(stdout, "\n  "+o.Digests[1].Digest+"  step 2 ") || !strings.Contains(stdout, "\n  digest "+o.Digest+", the same when run twice\n") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := output("replay", path, "--disk", "ext4"); code != exitUsage || !strings.Contains(stderr, "delete its digest lines") {
		t.Errorf("on another disk: exit %d, %s", code, stderr)
	}
	p.Digests[3].Sum ^= 1
	if path, err = replay.Save(dir, "", p); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = output("replay", path, "--images", "20")
	if code != exitDiffer || !strings.Contains(stdout, fmt.Sprintf("differs from the digests in the plan: step %d: digest ", p.Digests[3].Step)) ||
		!strings.HasPrefix(stderr, "untorn-sim: replay: the digests in "+path+" differ: ") {
		t.Errorf("with a wrong digest: exit %d: %s%s", code, stdout, stderr)
	}
}

// TestFailuresAreShown checks what is printed of a row with failures, in text
// and as JSON, and the exit code.
// exits 1: untorn-sim run
// exits 3: untorn-sim run
func TestFailuresAreShown(t *testing.T) {
	failure := func(seed uint64, invariant string) replay.Failure {
		return replay.Failure{
			Scenario: "batch", Disk: "posix", Seed: seed, Invariant: invariant, Step: 1, Expected: "a", Found: "b\nc",
			Plan: &plan.Plan{Scenario: "batch", Seed: seed, Invariant: invariant, Steps: []plan.Step{{Number: 1, Verb: "open"}}},
		}
	}
	report := &replay.Report{Complete: true, Rows: []replay.Row{{
		Scenario: "batch", Disk: "posix", Seeds: 9, Violated: 12,
		Failures: []replay.Failure{failure(1, "I2"), failure(2, "I2"), failure(3, "")},
	}}}
	t.Chdir(t.TempDir()) // so that no path is too long for a line
	dir := "p"
	var out, errs strings.Builder
	r := runner{plans: dir}
	e := &command.Env{Ctx: context.Background(), Stdout: bufio.NewWriter(&out), Stderr: &errs}
	if err := r.failures(e, report); err != nil {
		t.Fatal(err)
	}
	if err := e.Stdout.Flush(); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	told := func(title, cause, promise, seed, came string) string {
		return "FAIL batch on posix: " + title + "\n  promise   " + promise + "\n  cause     step 1 (open) " + cause + "; no crash and no fault is needed\n" +
			"  plan    > 1 open\n  expected  a\n  found     b\n            c\n  seed      " + seed + "\n" + came +
			"  file      FILE\n  replay    go run ./cmd/untorn-sim replay FILE\n" +
			"  report    go run ./cmd/untorn-sim report FILE -o report.html\n  trace     go run ./cmd/untorn-sim trace FILE\n\n"
	}
	want := strings.ReplaceAll(told("I2 is broken", "breaks the promise by itself", "a batch is there whole or not at all (I2)", "1",
		"  came      batch on posix has 12 violations in all; more plans: p/batch-posix-2-I2.plan\n"), "FILE", "p/batch-posix-1-I2.plan") +
		strings.ReplaceAll(told("a promise is broken", "fails by itself", "every call is answered as the model of the log says", "3", ""), "FILE", "p/batch-posix-3.plan")
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	for _, name := range []string{"batch-posix-1-I2.plan", "batch-posix-2-I2.plan", "batch-posix-3.plan"} {
		if _, err := os.Stat(at(name)); err != nil {
			t.Error(err)
		}
	}
	if v := report.Rows[0].Violations; len(v) != 3 || v[0].Plan != at("batch-posix-1-I2.plan") || v[2].Seed != 3 {
		t.Errorf("as JSON: %+v", v)
	}

	for _, c := range []struct {
		name   string
		change func(*runner, *replay.Report)
		code   int
	}{
		{"violations", func(*runner, *replay.Report) {}, exitWrong},
		{"a failure that comes and goes", func(_ *runner, r *replay.Report) { r.Rows[0].Failures[1].Unstable = "x" }, exitDiffer},
		{"not complete, but violated", func(_ *runner, r *replay.Report) { r.Complete = false }, exitWrong},
		{"not complete", func(_ *runner, r *replay.Report) { r.Complete, r.Rows = false, nil }, exitBudget},
		{"nothing reached", func(_ *runner, r *replay.Report) {
			r.Rows = []replay.Row{{Seeds: replay.ReachSeeds, Unreached: []string{"point sync"}}}
		}, exitWrong},
		{"fine", func(_ *runner, r *replay.Report) { r.Rows = nil }, exitFine},
		{"the corpus", func(x *runner, r *replay.Report) { x.failed, r.Rows = true, nil }, exitWrong},
	} {
		changed, x := *report, r
		changed.Rows = append([]replay.Row(nil), report.Rows...)
		changed.Rows[0].Failures = append([]replay.Failure(nil), report.Rows[0].Failures...)
		c.change(&x, &changed)
		if code := command.Code(x.verdict(&command.Env{}, &changed, false)); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.name, code, c.code)
		}
	}
}

// TestInterrupted checks that what was stopped is not called fine.
// exits 4: untorn-sim run, replay, trace, diff, shrink, explore, errors, syncfail, xray, profile, litmus, tamper, report
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{
		{"run", "--seeds", "1"}, {"replay", "1"}, {"explore"}, {"errors"}, {"syncfail"}, {"xray"}, {"profile"}, {"litmus"}, {"tamper"},
		{"trace", "1", "--scenario", "batch"}, {"diff", "1", "../../replay/testdata/corpus/batch-torn-at-commit.plan", "--scenario", "batch"},
		{"shrink", "../../replay/testdata/corpus/batch-torn-at-commit.plan"},
		{"report", "../../replay/testdata/corpus/batch-torn-at-commit.plan"}, {"report", "7", "--scenario", "batch"},
	} {
		var out strings.Builder
		e := &command.Env{Ctx: ctx, Stdout: bufio.NewWriter(&out), Stderr: &out}
		p := program()
		err := errors.Join(p.Dispatch(e, args), e.Stdout.Flush())
		if command.Code(err) != exitBudget || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%v: %v", args, err)
		}
		if args[0] == "litmus" && !strings.HasPrefix(out.String(), "program ") {
			t.Errorf("the table is lost: %q", out.String())
		}
	}
}

// TestTold: what a sweep says of how far it has come.
func TestTold(t *testing.T) {
	if got, want := told(replay.Progress{Done: 2, Before: 1, Total: 3}), (command.Work{Done: 2, Total: 3, Before: 1, Units: "seeds", More: "0 recoveries, 0 unique images, 0 violations"}); got != want {
		t.Errorf("got %+v", got)
	}
}

// TestWatched: whoever waits for runs of a plan is told of them.
func TestWatched(t *testing.T) {
	var out strings.Builder
	c := scenarios.Config{}
	p, err := scenarios.Draw("batch", "posix", 1)
	if err != nil {
		t.Fatal(err)
	}
	p.Set("images", "20")
	end := watched(&command.Env{Stderr: &out}, p, &c, "")
	if _, err := replay.Replay(t.Context(), p, c); err != nil {
		t.Fatal(err)
	}
	end()
	now := c.Watch.Now()
	if now.Steps == 0 || now.Recoveries < 2*20 || now.Violations > 0 {
		t.Errorf("%+v", now)
	}
	if got, want := watchedWork("x", c.Watch, ""), (command.Work{Of: "x", Done: now.Recoveries, Units: "recoveries", More: fmt.Sprint(now.Steps, " steps, 0 violations")}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.Watch.Expect(5)
	c.Watch.Did()
	if got, want := watchedWork("x", c.Watch, "runs"), (command.Work{Of: "x", Done: 1, Units: "runs of at most 5", More: fmt.Sprint(now.Recoveries, " recoveries")}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := watchedWork("x", c.Watch, "faults"), (command.Work{Of: "x", Done: 1, Total: 5, Units: "faults", More: fmt.Sprint(now.Recoveries, " recoveries, 0 violations")}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestBrokenOutput checks that nothing that could not be printed is called
// fine.
// exits 1: untorn-sim list
func TestBrokenOutput(t *testing.T) {
	for _, args := range [][]string{{"list"}, {"help"}, {"run", "--seeds", "1", "--scenario", "batch", "--images", "1"}, {"replay", "1", "--scenario", "batch", "--images", "1"}} {
		var errs strings.Builder
		if code := run(args, failing{}, &errs); code != exitWrong || !strings.Contains(errs.String(), "write the output: the cable is out") {
			t.Errorf("%v: exit %d, %q", args, code, errs.String())
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the cable is out") }
