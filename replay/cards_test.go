package replay

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/history"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/cards anew from what is shown now")

// sourceLine is a line of the program, which the cards that are kept leave out:
// lines move.
var sourceLine = regexp.MustCompile(`[a-z_]+\.go:[0-9]+`)

// TestCards: each kind of failure has a card that somebody can read who has never
// seen the project. They are in testdata/cards: read them when they change.
func TestCards(t *testing.T) {
	names := map[string]bool{}
	for _, c := range []struct {
		name  string
		wrap  func(afero.Fs) afero.Fs
		small bool // shrunk first
		text  string
	}{
		{"no-sync-of-a-directory", noDirSync, true, `
scenario mixed
seed 7
set preallocate = 4096
step 1 open
step 2 batch key=k2 0="a/order-1 placed size=300 meta=20" 1="order-1 paid size=20 expect=0 cause=0"
step 3 read
step 4 batch 0="ledger booked size=700 expect=none"
`},
		{"no-sync-of-files", nil, true, `
scenario batch
set sync = "drop SyncData *"
step 1 open
step 2 batch 0="order-1 placed size=600"
`},
		{"a-failed-sync-that-nobody-hears-of", swallow, true, `
scenario syncfail
set preallocate = -1
step 1 open
step 2 batch 0="a b size=100"
step 3 batch key=k3 0="a b size=900" 1="c d size=400"
step 4 read
fault step=3 syncdata seg #*: fail EIO
`},
		{"a-fault-and-no-crash", deafToWrites, true, `
scenario batch
set preallocate = -1
step 1 open
step 2 batch 0="a b size=100"
step 3 batch 0="a b size=900"
step 4 read
fault step=3 writeat seg #1: fail EIO
`},
		{"a-kill", staleLock, true, `
scenario batch
set preallocate = -1
set kinds = kill
step 1 open
step 2 batch 0="a b size=100"
`},
		{"damage-that-has-another-name", shy, false, `
scenario bitrot
set images = 1
step 1 open
step 2 batch 0="a b size=100"
step 3 batch 0="a b size=300" 1="c d size=20"
step 4 close
step 5 damage what=flip at=0 with=9000
step 6 damage what=cut at=0 with=4000
`},
		{"an-open-that-fails", nil, false, `
scenario batch
set align = 3
step 1 open
step 2 batch 0="a b size=100"
step 3 read
`},
		{"a-close-that-fails", badClose, false, `
scenario batch
set images = 1
step 1 open
step 2 batch 0="a b size=100"
step 3 close
`},
		{"a-long-plan-as-it-was-found", dropSync, false, longPlan()},
	} {
		t.Run(c.name, func(t *testing.T) {
			names[c.name+".txt"] = true
			p, err := plan.Parse([]byte("untorn plan 1\n" + c.text))
			if err != nil {
				t.Fatal(err)
			}
			ctx, config := context.Background(), scenarios.Config{Wrap: c.wrap}
			o, err := Replay(ctx, p, config)
			if err != nil || o.Twice != nil || len(o.Failures) == 0 {
				t.Fatalf("%v: %+v", err, o)
			}
			f := o.Failures[0]
			if c.small {
				small, err := Shrink(ctx, f.Plan, config, 0)
				if err != nil {
					t.Fatal(err)
				}
				f = small.Failure
			}
			golden(t, c.name, f)
		})
	}
	t.Run("calls-in-no-order", func(t *testing.T) {
		names["calls-in-no-order.txt"] = true
		golden(t, "calls-in-no-order", outOfOrder(t))
	})
	kept, err := filepath.Glob("testdata/cards/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range kept {
		if !names[filepath.Base(file)] {
			t.Errorf("%s is of no failure any more", file)
		}
	}
}

// golden compares a card with what is kept, in its forms.
func golden(t *testing.T, name string, f Failure) {
	t.Helper()
	f.File = "failures/" + name + ".plan"
	text := f.String()
	within(t, text)
	got := sourceLine.ReplaceAllString(text, "‹line›")
	file := filepath.Join("testdata", "cards", name+".txt")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	// Where a line is broken depends on the numbers of source lines.
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if err != nil || words(string(want)) != words(got) {
		t.Errorf("%v: got\n%s\nwant\n%s(go test ./replay -run TestCards -rewrite)", err, got, want)
	}
	// The same failure, read back from its plan, is shown in the same words.
	if again := f.Card(); again.Text() != text || again.GitHub() != f.Card().GitHub() {
		t.Error("another text the second time")
	}
	if data := f.Card().GitHub(); !strings.Contains(data, strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "%0A")) {
		t.Errorf("the annotation says something else:\n%s", data)
	}
	var junit bytes.Buffer
	if err := card.JUnit(&junit, card.Suite{Cases: []card.Case{{Class: "c", Name: name, Cards: []card.Card{f.Card()}}}}); err != nil || !strings.Contains(junit.String(), text) {
		t.Errorf("%v: the XML says something else:\n%s", err, junit.String())
	}
}

// within checks the bounds of a card.
func within(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > card.Lines {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > card.Columns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// outOfOrder is what somebody sees whose read misses what another has been told
// is there.
func outOfOrder(t *testing.T) Failure {
	batch := engine.Batch{Events: []engine.Draft{{Stream: "order-1", Type: "placed"}}}
	receipt := engine.Receipt{ID: uuid.UUID{1}, Stream: "order-1", Sequence: 1, Version: 1, Batch: 1, Durable: true}
	h := history.History{}.Append(1, 1, batch).Answered(1, []engine.Receipt{receipt}, nil).Read(2, 2).Saw(2, nil)
	broken := h.Check()
	if broken == nil {
		t.Fatal("there is an order of these calls")
	}
	p, err := plan.Parse([]byte("untorn plan 1\nscenario clients\nseed 4\nstep 1 open\nstep 2 batch client=1 0=\"order-1 placed\"\nstep 3 read client=2\nstep 4 sync client=1\n"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFailure(scenarios.Violation{
		Err:       &invariant.Violation{Invariant: "I12", Expected: "an order of the calls that explains what each of them saw", Found: broken.Error(), Err: broken},
		Invariant: "I12", Step: 3, Plan: p,
		Account: scenarios.Account{
			Promised: []string{"event 1 must be there: its caller had been told that it is durable", `call 1, 1 event of "order-1": answered as event 1`},
			Shown:    []string{`event 1; the last is version 1 of "order-1"`},
		},
	})
	f.Page = "failures/calls-in-no-order.html"
	return f
}

func longPlan() string {
	var b strings.Builder
	b.WriteString("scenario batch\nset images = 40\nset preallocate = -1\nstep 1 open\n")
	for i := 2; i < 60; i++ {
		b.WriteString("step " + strconv.Itoa(i) + " batch 0=\"order-1 placed size=20\"\n")
	}
	return b.String()
}

// Planted bugs.

// deafToWrites takes a write that fails for one that did not.
func deafToWrites(base afero.Fs) afero.Fs {
	return wrapped{base.(disk), func(_ disk, _ string, f afero.File) (afero.File, error) { return deafFile{f}, nil }}
}

// badClose has files that say that they cannot be closed.
func badClose(base afero.Fs) afero.Fs {
	return wrapped{base.(disk), func(_ disk, _ string, f afero.File) (afero.File, error) { return badCloseFile{f}, nil }}
}

// shy opens no segment that is shorter than its header, and says nothing of damage.
func shy(base afero.Fs) afero.Fs {
	return wrapped{base.(disk), func(_ disk, name string, f afero.File) (afero.File, error) {
		info, err := f.Stat()
		if err != nil || !strings.HasSuffix(name, ".seg") || info.Size() == 0 || info.Size() >= 8192 {
			return f, err
		}
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EIO}
	}}
}

type wrapped struct {
	disk
	file func(fs disk, name string, f afero.File) (afero.File, error)
}

func (w wrapped) Open(name string) (afero.File, error) { return w.OpenFile(name, os.O_RDONLY, 0) }

func (w wrapped) Create(name string) (afero.File, error) {
	return w.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (w wrapped) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := w.disk.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return f, err
	}
	return w.file(w.disk, name, f)
}

type deafFile struct{ afero.File }

func (f deafFile) WriteAt(b []byte, at int64) (int, error) {
	_, _ = f.File.WriteAt(b, at)
	return len(b), nil
}

func (f deafFile) SyncData() error { return f.File.Sync() }

type badCloseFile struct{ afero.File }

func (f badCloseFile) Close() error {
	return errors.Join(f.File.Close(), syscall.EIO)
}

func (f badCloseFile) SyncData() error { return f.File.Sync() }

// staleLock keeps others out with a file, which a kill leaves behind.
func staleLock(base afero.Fs) afero.Fs { return locked{base.(disk)} }

type locked struct{ disk }

func (l locked) TryLock(name string) (func() error, bool, error) {
	pid := name + ".pid"
	if _, err := l.disk.Stat(pid); err == nil {
		return nil, false, nil
	}
	f, err := l.disk.OpenFile(pid, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, false, err
	}
	return func() error { return l.disk.Remove(pid) }, true, f.Close()
}
