package scenarios

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/weaken"
)

// TestADiskThatLiesIsFound plants a disk that does nothing where it is asked to
// sync: some seed of some scenario must find out. Package xray does so for each
// place of the log by itself.
func TestADiskThatLiesIsFound(t *testing.T) {
	for _, planted := range []struct{ name, ops string }{
		{"every sync", "Sync SyncData SyncDir"},
		{"every sync of a file", "Sync SyncData"},
		{"every sync of data only", "SyncData"},
		{"every sync of a directory", "SyncDir"},
	} {
		t.Run(planted.name, func(t *testing.T) {
			var lies []*weaken.Weakening
			for _, op := range strings.Fields(planted.ops) {
				w, err := weaken.Parse("drop " + op + " *")
				if err != nil {
					t.Fatal(err)
				}
				lies = append(lies, w)
			}
			finding := find(t, func(base afero.Fs) afero.Fs {
				for _, w := range lies {
					base = w.FS(base)
				}
				return base
			})
			if finding == "" {
				t.Fatal("no scenario finds it")
			}
			t.Logf("found by %s", finding)
			for _, w := range lies {
				if w.Hits() == 0 {
					t.Errorf("%s: the log never does", w)
				}
			}
		})
	}
}

// find runs the scenarios, seed after seed, over a planted disk, and says which
// one found out first, and how.
func find(t *testing.T, planted func(afero.Fs) afero.Fs) string {
	t.Helper()
	for seed := uint64(1); seed <= 10; seed++ {
		for _, name := range Names() {
			p, err := Draw(name, "posix", seed)
			if err != nil {
				t.Fatal(err)
			}
			if text := broken(t, p, planted); text != "" {
				return fmt.Sprintf("%s, seed %d: %s", name, seed, text)
			}
		}
	}
	return ""
}

func parsed(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// broken runs a plan and returns what came of it, in a line. wrap may be nil.
func broken(t *testing.T, p *plan.Plan, wrap func(afero.Fs) afero.Fs) string {
	t.Helper()
	r, err := Run(context.Background(), p, Config{Wrap: wrap})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) == 0 {
		return ""
	}
	text, _, _ := strings.Cut(r.Violations[0].Err.Error(), "\n")
	return text
}

// A plan may say itself which syncs do less, what log was there before, and that
// the disk has no optional methods.
func TestPlansWeakenWhatIsBelow(t *testing.T) {
	const head = "untorn plan 1\nscenario batch\ndisk posix\nseed 1\nset preallocate = -1\nset deviation = 1\nset images = 300\n"
	const steps = "step 1 open\nstep 2 batch 0=\"s t size=100\"\nstep 3 batch 0=\"s t size=100\"\n"
	const data = `set sync = "drop SyncData engine/directory.go:syncData<engine/log.go:(*Log).syncWritten"` + "\n"
	const install = `set sync = "weaken Sync engine/rotate.go:(*Log).seal"` + "\n"
	for _, c := range []struct{ name, text, want string }{
		{"sound", head + steps, ""},
		{"dropped", head + data + steps, "I1 "},
		{"no optional methods", head + "set plain = true\n" + steps, ""},
		{"no such sync there", head + "set plain = true\n" + data + steps, ""},
		{"the other one", head + "set plain = true\n" + strings.Replace(data, "SyncData ", "Sync ", 1) + steps, "I1 "},
		{"never reached", head + install + steps, ""},
	} {
		r, err := Run(context.Background(), parsed(t, c.text), Config{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(r.Violations) > 0 {
			got = r.Violations[0].Err.Error()
			again, err := Run(context.Background(), r.Violations[0].Plan, Config{})
			if err != nil || len(again.Violations) != 1 {
				t.Errorf("%s: the plan of the violation: %v, %v", c.name, again.Violations, err)
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		missed := c.name == "no such sync there" || c.name == "never reached"
		if missed != (len(r.NotFired) > 0) {
			t.Errorf("%s: not fired: %q", c.name, r.NotFired)
		}
	}
	for _, c := range []struct{ text, problem string }{
		{head + "set sync = drop\n" + steps, "begins with no operation"},
		{head + `set sync = "lose Sync *"` + "\n" + steps, "begins with no mode"},
		{head + `set sync = "weaken SyncData *"` + "\n" + steps, "cannot be done to SyncData"},
		{head + "set plain = perhaps\n" + steps, "plain"},
		{head + steps + "step 4 delete\n", "delete needs a crash behind it"},
	} {
		if _, err := Run(context.Background(), parsed(t, c.text), Config{}); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s\nerror %v, want %q", c.text, err, c.problem)
		}
	}
}

// What a deleted log left on the disk is no part of the next one.
func TestADeletedLogIsGone(t *testing.T) {
	sound(t, everyDisk, "batch", "set images = 200", "set deviation = 1",
		`step 1 open`, `step 2 batch 0="s t size=100"`, `step 3 delete`, `step 4 open`, `step 5 batch 0="u t size=100"`, `step 6 delete`, `step 7 crash kind=power choices=newest`,
		`step 8 open`, `step 9 batch 0="u t size=10 expect=none"`, `step 10 read`)
}
