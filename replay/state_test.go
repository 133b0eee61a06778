package replay

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"
)

// TestResume breaks a sweep off again and again, keeps each state in a file, and goes
// on with it: what comes out at the end is what a sweep without a break says, with
// the digests, the images that were seen and the failures.
func TestResume(t *testing.T) {
	for _, planted := range []bool{false, true} {
		o := small(3)
		o.Scenarios = append(o.Scenarios, "syncfail")
		o.Seeds.Last = 8
		if planted {
			o.Wrap, o.Shrink = dropSync, -1
		}
		report, err := Sweep(context.Background(), o)
		if err != nil || report.State != nil {
			t.Fatalf("%v, %v", err, report.State)
		}
		want := text(t, report)
		path := filepath.Join(t.TempDir(), "state")
		var last *State
		broken, begun := 0, int64(0)
		for {
			part := o
			if last != nil {
				part = last.Options()
				part.Jobs, part.Wrap = o.Jobs, o.Wrap
			}
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			part.OnProgress = func(now Progress) {
				if now.Before != begun {
					t.Errorf("%d seeds were done before, want %d", now.Before, begun)
				}
				if n++; n == 4+broken%3 {
					cancel() // while others are at work
				}
			}
			report, err = Sweep(ctx, part)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || report.State == nil {
				t.Fatal(err, report.State)
			}
			broken++
			counted := int64(0)
			for _, row := range report.Rows {
				counted += row.Seeds
			}
			if done, total := report.State.Seeds(); done != counted || total != 36 {
				t.Fatalf("%d of %d seeds are done, the rows count %d", done, total, counted)
			} else {
				begun = done
			}
			if err := report.State.Save(path); err != nil {
				t.Fatal(err)
			}
			if last, err = LoadState(path); err != nil {
				t.Fatal(err)
			}
		}
		if broken < 4 || !report.Complete || report.State != nil {
			t.Errorf("broken off %d times, complete: %v", broken, report.Complete)
		}
		if got := text(t, report); got != want {
			t.Errorf("with breaks\n%s\nwithout\n%s", got, want)
		}
	}
}

// TestResumeWhenTimeIsOver: what goes on is there, too.
func TestResumeWhenTimeIsOver(t *testing.T) {
	o := small(1)
	o.Time = time.Nanosecond
	report, err := Sweep(context.Background(), o)
	if err != nil || report.Complete || report.State == nil {
		t.Fatalf("%v, %+v", err, report)
	}
	o.Time, o.Resume = 0, report.State
	if report, err = Sweep(context.Background(), o); err != nil || !report.Complete || report.Rows[3].Seeds != 4 {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestResumeAnotherProgram: a sweep is not gone on with by a program that gives
// something else, nor with other options.
func TestResumeAnotherProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := small(1)
	o.OnProgress = func(now Progress) {
		if now.Done == 5 {
			cancel()
		}
	}
	report, err := Sweep(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	again := report.State.Options()
	again.Wrap = func(fs afero.Fs) afero.Fs { return dropSync(fs) }
	var changed *ChangedError
	if _, err := Sweep(context.Background(), again); !errors.As(err, &changed) || changed.Scenario != "batch" || !strings.Contains(err.Error(), "the program has changed") {
		t.Errorf("with a bug: %v", err)
	}
	again = report.State.Options()
	again.Images++
	var wrong *OptionsError
	if _, err := Sweep(context.Background(), again); !errors.As(err, &wrong) {
		t.Errorf("with other options: %v", err)
	}
}

// TestLoadStateIsStrict: whatever is no state is named with its line.
func TestLoadStateIsStrict(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Scenarios: []string{"batch"}, Seeds: Seeds{First: 3, Last: 6}, Images: 20, Jobs: 1, Wrap: dropSync, Shrink: -1}
	o.OnProgress = func(Progress) { cancel() }
	report, err := Sweep(ctx, o)
	if !errors.Is(err, context.Canceled) || len(report.Rows[0].Failures) == 0 {
		t.Fatal(err, report)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := report.State.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(data)
	replace := func(old, with string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("the file has no %q", old)
		}
		return strings.Replace(whole, old, with, 1)
	}
	digest := report.Rows[0].Digest
	for _, test := range []struct{ name, text, want string }{
		{"whole", whole, ""},
		{"nothing", "", "line 1: want what an interrupted untorn-sim run has left: EOF"},
		{"a plan", "untorn plan 1", "line 1: want what an interrupted untorn-sim run has left"},
		{"a newer program", replace(`"untorn_sweep":1`, `"untorn_sweep":2`), "line 1: version 2: this program knows version 1"},
		{"no such scenario", replace(`["batch"]`, `["latch"]`), "line 1: no such sweep"},
		{"no seeds", replace(`"first":3`, `"first":0`), "line 1: no such sweep"},
		{"a place behind the end", replace(`"next":1`, `"next":5`), "line 1: seed 5 of 4 is the next"},
		{"a place that nobody began with", replace(`"missing":[]`, `"missing":[3]`), "that cannot be"},
		{"a row is gone", whole[:strings.IndexByte(whole, '\n')+1], "line 2: EOF"},
		{"another row", replace(`"scenario":"batch"`, `"scenario":"mixed"`), "line 2: mixed on posix, want batch on posix"},
		{"another digest", replace(digest, digest[1:]), "line 2: digest"},
		{"half a key", replace(`"seen":"`, `"seen":"AAAA`), "line 2: the keys of the images cannot be read"},
		{"nobody vouches", replace(`"witness":{"seed":3`, `"witness":{"seed":0`), "line 2: no seed vouches"},
		{"a plan that is none", replace(`"plan":"untorn plan 1`, `"plan":"untorn plan 9`), "line 2: the plan of failure 1"},
		{"a field more", replace(`"ghosts"`, `"ghouls"`), "line 2: json: unknown field"},
		{"something behind it", whole + "{}", "line 3: something behind the rows"},
	} {
		file := filepath.Join(dir, "other")
		if err := os.WriteFile(file, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := LoadState(file)
		switch {
		case test.want == "" && (err != nil || s == nil):
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || s != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
