package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios/planted"
)

// small is the smallest plan with a crash, and a life behind it.
const small = `untorn plan 1
scenario batch
disk %s
seed 1
set preallocate = -1
step 1 open
step 2 batch key=k 0="order-1 placed size=100"
step 3 crash kind=kill
step 4 open
step 5 batch 0="order-1 paid size=600"
`

// TestErrors lets every operation of a small plan fail; untorn-sim errors takes
// larger ones, on every disk.
func TestErrors(t *testing.T) {
	want := ErrorReport{}
	for _, workers := range []int{1, 8} {
		r, err := Errors(t.Context(), parsed(t, fmt.Sprintf(small, "xfs")), Config{Workers: workers, Images: 8})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.Violations() {
			t.Errorf("%v\n%s", v.Err, v.Plan.Format())
		}
		if r.Operations < 30 || r.LeftOut != 0 || r.Fired < 150 || r.Pairs < 2*r.Fired || r.Disk != "xfs" {
			t.Errorf("%d operations, %d left out, %d of %d faults happened, %d pairs", r.Operations, r.LeftOut, r.Fired, len(r.Faults), r.Pairs)
		}
		for _, f := range r.Faults {
			if f.Fired == (f.Why != "") || !f.Fired && f.CrashPoints > 0 || f.Exact != (f.Inexact == "") {
				t.Errorf("%+v", f)
			}
			if strings.HasSuffix(f.Fault, "failsync btrfs") && (f.Fired || !strings.Contains(f.Why, "cannot")) {
				t.Errorf("%s on xfs: fired=%v, %q", f.Fault, f.Fired, f.Why)
			}
		}
		if workers == 1 {
			want = r
		} else if r.Digest != want.Digest || r.Images != want.Images {
			t.Errorf("with %d workers %s, %d images; with one %s, %d", workers, r.Digest, r.Images, want.Digest, want.Images)
		}
	}
}

// TestErrorsOfALongPlan: what is left out is said.
func TestErrorsOfALongPlan(t *testing.T) {
	p := parsed(t, fmt.Sprintf(small, "sequential"))
	p.Set("operations", "5")
	r, err := Errors(t.Context(), p, Config{Images: 5})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, f := range r.Faults {
		key, _, _ := strings.Cut(f.Fault, ":")
		keys[key] = true
	}
	if len(keys) != 5 || r.LeftOut != r.Operations-5 || r.Exact || !strings.Contains(r.Why, fmt.Sprintf("%d of %d operations were left out", r.LeftOut, r.Operations)) {
		t.Errorf("%d operations fail, %d of %d left out, %q", len(keys), r.LeftOut, r.Operations, r.Why)
	}
	p.Faults = []string{"step=2 writeat seg #1: fail EIO"}
	p.Set("operations", "many")
	if _, err := Errors(t.Context(), p, Config{}); err == nil {
		t.Error("a setting that is no number is accepted")
	}
}

// TestErrorsBite: each planted bug is found, by a pair of a fault and a crash; the
// plan of what was found breaks in the same way; and where nothing fails, no
// crash finds the bug.
func TestErrorsBite(t *testing.T) {
	for _, bug := range []struct {
		name string
		wrap func(afero.Fs) afero.Fs
		by   string // a fault that must find it
	}{
		{"the sync of a directory fails, and the log goes on", planted.DeafToNames, "syncdir dir #"},
		{"a write ends early, and the log goes on", planted.DeafToShortWrites, "writeat seg #1: short 1"},
	} {
		t.Run(bug.name, func(t *testing.T) {
			c := Config{Wrap: bug.wrap}
			p := parsed(t, "untorn plan 1\nscenario batch\ndisk posix\nset preallocate = -1\nset images = 60\n"+
				"step 1 open\nstep 2 batch 0=\"order-1 placed size=100\"\n")
			calm, err := Run(t.Context(), p, c)
			if err != nil || len(calm.Violations) > 0 || calm.Recoveries == 0 {
				t.Fatalf("without a fault: %v, %v", err, calm.Violations)
			}
			r, err := Errors(t.Context(), p, c)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(r.Faults, func(f FaultReport) bool {
				return strings.Contains(f.Fault, bug.by) && slices.ContainsFunc(f.Violations, func(v Violation) bool { return len(v.Plan.Crashes) > 0 })
			})
			if i < 0 {
				t.Fatalf("%d violations, none by %q and a crash", r.Violated, bug.by)
			}
			for _, v := range r.Faults[i].Violations {
				if len(v.Plan.Crashes) == 0 {
					continue // explored anew, it finds more
				}
				again, err := Run(t.Context(), v.Plan, c)
				if err != nil || len(again.Violations) != 1 || again.Violations[0].Err.Error() != v.Err.Error() {
					t.Errorf("%v, %v; the plan was to fail with %v\n%s", err, again.Violations, v.Err, v.Plan.Format())
				}
				sound, err := Run(t.Context(), v.Plan, Config{})
				if err == nil && len(sound.Violations) > 0 {
					t.Errorf("without the bug: %v", sound.Violations)
				}
			}
		})
	}
}
