package explore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// outcomes makes a program remember what each recovery was told and said. Its
// notes do not say how they change things, so that no moment is left out.
func outcomes(p explore.Program) (explore.Program, func() []string) {
	var mu sync.Mutex
	seen := map[string]bool{}
	plain := func(run *explore.Run) {
		note := run.Note
		run.Note = func(n explore.Note) {
			n.Change = explore.Either
			note(n)
		}
	}
	workload, recover := p.Workload, p.Recover
	p.Workload = func(run *explore.Run) error {
		plain(run)
		return workload(run)
	}
	p.Recover = func(run *explore.Run) error {
		plain(run)
		err := recover(run)
		var told strings.Builder
		for i, n := range run.History { // the lazy search leaves out what says nothing new
			if i == 0 || run.History[i-1].Key != n.Key {
				told.WriteString(n.Key + ", ")
			}
		}
		mu.Lock()
		defer mu.Unlock()
		seen[fmt.Sprintf("after %s %v: %v", &told, run.Kind, err)] = true
		return err
	}
	return p, func() []string { return slices.Sorted(maps.Keys(seen)) }
}

// TestLazySeesWhatEagerSees: every outcome with every history, on every disk, at
// every depth, of programs right and wrong.
func TestLazySeesWhatEagerSees(t *testing.T) {
	fewer, leaves, sparseLeaves := 0, 0, 0
	for _, f := range fixtures() {
		for _, g := range simfs.Presets() {
			for depth := range 2 {
				c := explore.Config{Guarantees: g, Depth: depth, MaxViolations: 1, Garbage: simfs.Garbage{Block: true, Seed: 1}}
				program, want := outcomes(f.program)
				c.Exhaustive, c.MaxPerPoint = 1<<16, 1<<16
				eager := mustExplore(t, c, program)
				if !eager.Exact {
					t.Fatalf("%s on %s, depth %d: the eager search is not exact: %s", f.name, g.Name, depth, eager.Why)
				}
				program, got := outcomes(f.program)
				c.Lazy = true
				lazy := mustExplore(t, c, program)
				if !lazy.Exact || lazy.Why != "" {
					t.Fatalf("%s on %s, depth %d: not exact: %s", f.name, g.Name, depth, lazy.Why)
				}
				if !slices.Equal(got(), want()) {
					t.Fatalf("%s on %s, depth %d:\nlazy  %q\neager %q", f.name, g.Name, depth, got(), want())
				}
				sparse := mustExplore(t, c, f.program)
				if (sparse.Violated > 0) != (eager.Violated > 0) || (lazy.Violated > 0) != (eager.Violated > 0) {
					t.Fatalf("%s on %s, depth %d: %d and %d violations, eager %d", f.name, g.Name, depth, sparse.Violated, lazy.Violated, eager.Violated)
				}
				leaves += lazy.Leaves
				sparseLeaves += sparse.Leaves
				if lazy.Recoveries < eager.Recoveries {
					fewer++
				}
			}
		}
	}
	if sparseLeaves >= leaves { // one alone may have more: a moment that is left out covers no others
		t.Errorf("%d leaves where moments are left out, else %d", sparseLeaves, leaves)
	}
	if fewer == 0 {
		t.Error("the lazy search never took fewer runs")
	}
}

// TestOneLeafForWhatIsNotRead: a recovery that reads the first cell of 200 that
// are not durable takes two runs, which stand for 2²⁰⁰ images.
func TestOneLeafForWhatIsNotRead(t *testing.T) {
	read := func(cells int) func(*explore.Run) error {
		return func(run *explore.Run) error {
			f, err := run.FS.Open("f")
			if err != nil {
				return err
			}
			_, err = f.ReadAt(make([]byte, cells*cell), 0)
			return err
		}
	}
	workload := func(run *explore.Run) error {
		f, err := run.FS.Create("f")
		if err != nil {
			return err
		}
		if _, err := f.Write(make([]byte, 200*cell)); err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), syncDir(run.FS, ".")); err != nil {
			return err
		}
		run.Note(explore.Note{Key: "durable"})
		_, err = f.WriteAt(bytes.Repeat([]byte("x"), 200*cell), 0)
		return err
	}
	c := explore.Config{Lazy: true, Kinds: explore.Power, From: func(n explore.Note) bool { return n.Key == "durable" }}
	r := mustExplore(t, c, explore.Program{Workload: workload, Recover: read(1)})
	// The crash at the note has one image, the one at the end has all.
	if !r.Exact || r.Leaves != 3 || r.Log2() != "200.0" || r.StandAtMost || len(r.Greedy) > 0 {
		t.Errorf("exact %v (%s), %d leaves for 2^%s, greedy %v; want 3 leaves for 2^200.0", r.Exact, r.Why, r.Leaves, r.Log2(), r.Greedy)
	}
	r = mustExplore(t, c, explore.Program{Workload: workload, Recover: read(10)})
	if !r.Exact || r.Leaves != 1+1<<10 || len(r.Greedy) != 1 || r.Greedy[0].Vars != 10 || !strings.HasPrefix(r.Greedy[0].Where, "lazy_test.go:") {
		t.Errorf("exact %v (%s), %d leaves, greedy %v; want 1025 leaves, and the read of 10 cells named", r.Exact, r.Why, r.Leaves, r.Greedy)
	}
	r = mustExplore(t, c, explore.Program{Workload: workload, Recover: read(200)})
	if r.Exact || !strings.Contains(r.Why, "need more runs") || len(r.Greedy) != 1 || r.Greedy[0].Vars != 200 || r.Greedy[0].Once {
		t.Errorf("exact %v (%s), greedy %v; want it bounded, and the read of 200 cells named", r.Exact, r.Why, r.Greedy)
	}
	reader := func(run *explore.Run) error {
		f, err := run.FS.Open("f")
		if err != nil {
			return err
		}
		b := make([]byte, 200*cell)
		for at := 0; at < len(b); {
			n, err := f.Read(b[at:])
			if err == io.EOF || err == nil && b[at] != 'x' {
				return nil // the first cell that is old ends it
			}
			if err != nil {
				return err
			}
			at += n
		}
		return nil
	}
	r = mustExplore(t, c, explore.Program{Workload: workload, Recover: reader})
	if !r.Exact || r.Leaves != 1+201 {
		t.Errorf("exact %v (%s), %d leaves; want 202", r.Exact, r.Why, r.Leaves)
	}
}

// TestFixpoint: crashes during Open come to an end, and what only the third
// crash in a row shows is found.
func TestFixpoint(t *testing.T) {
	for _, g := range simfs.Presets() {
		r := mustExplore(t, explore.Config{Guarantees: g, Lazy: true, Depth: explore.Fixpoint}, journal{appends: 3}.program())
		if !r.Exact || r.Violated > 0 || len(r.Levels) < 3 {
			t.Errorf("%s: exact %v (%s), %d levels, %d violations", g.Name, r.Exact, r.Why, len(r.Levels), r.Violated)
		}
	}
	// Each recovery bumps a counter of two bits; only 3 is wrong.
	counter := explore.Func(
		func(fs afero.Fs) error { return afero.WriteFile(fs, "n0", nil, 0o644) },
		func(fs afero.Fs) error {
			for n := range 4 {
				if ok, _ := afero.Exists(fs, fmt.Sprint("n", n)); ok && n == 3 {
					return errors.New("three crashes in a row")
				} else if ok {
					return errors.Join(fs.Rename(fmt.Sprint("n", n), fmt.Sprint("n", n+1)), syncDir(fs, "."))
				}
			}
			return nil
		})
	c := explore.Config{Lazy: true, Kinds: explore.Power}
	for depth := range 3 {
		c.Depth = depth
		if r := mustExplore(t, c, counter); (r.Violated > 0) != (depth >= 3) {
			t.Errorf("depth %d: %d violations", depth, r.Violated)
		}
	}
	c.Depth = explore.Fixpoint
	if r := mustExplore(t, c, counter); r.Violated == 0 || !r.Exact {
		t.Errorf("to a fixpoint: %d violations, exact %v (%s)", r.Violated, r.Exact, r.Why)
	}
}

// TestSubsumed: what a later crash leaves is often part of what an earlier one
// left, and is not searched again.
func TestSubsumed(t *testing.T) {
	r := mustExplore(t, explore.Config{Lazy: true, Depth: 2}, journal{appends: 3}.program())
	if r.Subsumed == 0 {
		t.Error("no crash point was left out")
	}
}

// TestNondeterministic: a recovery that does not ask the same again is told so.
func TestNondeterministic(t *testing.T) {
	var mu sync.Mutex
	n := 0
	p := explore.Func(
		func(fs afero.Fs) error { return afero.WriteFile(fs, "f", bytes.Repeat([]byte("x"), 2*cell), 0o644) },
		func(fs afero.Fs) error {
			mu.Lock()
			n++
			first := n % 2
			mu.Unlock()
			f, err := fs.Open("f")
			if err != nil {
				return nil
			}
			for _, at := range []int{first, 1 - first} {
				_, _ = f.ReadAt(make([]byte, 1), int64(at*cell))
			}
			return nil
		})
	r := mustExplore(t, explore.Config{Lazy: true, Workers: 1, MaxViolations: 100}, p)
	var wild *explore.NondeterministicError
	if !slices.ContainsFunc(r.Violations, func(v explore.Violation) bool { return errors.As(v.Err, &wild) }) {
		t.Errorf("not found out: %d violations, %v", r.Violated, r.Err())
	}
}

// TestCertificate: it is the same for any number of workers (TestSameReport
// compares those), and another one for another disk, program or depth.
func TestCertificate(t *testing.T) {
	seen := map[string]string{}
	for _, g := range simfs.Presets() {
		for depth := range 2 {
			for n := 1; n <= 2; n++ {
				r := mustExplore(t, explore.Config{Guarantees: g, Lazy: true, Depth: depth}, journal{appends: n}.program())
				name := fmt.Sprint(g.Name, depth, n)
				if other, dup := seen[r.Certificate]; dup || len(r.Certificate) != 32 {
					t.Errorf("%s and %s have the certificate %q", name, other, r.Certificate)
				}
				seen[r.Certificate] = name
			}
		}
	}
	if r := mustExplore(t, explore.Config{}, journal{appends: 1}.program()); r.Certificate != "" {
		t.Errorf("an eager search has the certificate %q", r.Certificate)
	}
}
