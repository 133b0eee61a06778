package profile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// kept is a program after which a file must begin with one of some texts.
func kept(name string, work func(r *explore.Run) error, texts ...string) explore.Program {
	return explore.Program{
		Workload: work,
		Recover: func(r *explore.Run) error {
			if len(r.History) == 0 {
				return nil
			}
			got, err := afero.ReadFile(r.FS, name)
			if err != nil {
				return err
			}
			for _, text := range texts {
				if strings.HasPrefix(string(got), text) {
					return nil
				}
			}
			return fmt.Errorf("%s is %.20q", name, got)
		},
	}
}

func done(r *explore.Run) error {
	r.Note(explore.Note{Key: "done"})
	return nil
}

func write(disk *simfs.FS, name, text string) (*simfs.File, error) {
	f, err := disk.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(text)
	return f.(*simfs.File), err
}

func found(t *testing.T, c Config) Report {
	t.Helper()
	r, err := Search(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Minimal {
		for _, l := range m.Lost {
			if l.Verdict.Broken == nil || l.Without == "" {
				t.Errorf("%s without %q: %+v", m.Disk, l.Without, l.Verdict)
			}
			if g, err := simfs.ParseGuarantees(l.Disk); err != nil || g.Check() != nil {
				t.Errorf("%s: %v", l.Disk, err)
			}
		}
	}
	return r
}

func TestPlantedPrograms(t *testing.T) {
	old, text := strings.Repeat("a", 1000), strings.Repeat("b", 1000)
	durable := func(r *explore.Run) (*simfs.File, error) {
		f, err := write(r.Disk, "f", old)
		return f, errors.Join(err, f.Sync(), r.Disk.SyncDir("."), done(r))
	}
	for _, c := range []struct {
		name    string
		program explore.Program
		line    string
		presets string
	}{
		{"file and directory synced", kept("f", func(r *explore.Run) error {
			_, err := durable(r)
			return err
		}, old),
			"it holds on posix without powersafe overwrite: it needs nothing at all (exact)",
			"posix ext4-writeback xfs ext4 btrfs sequential"},
		{"one record next to another", kept("f", func(r *explore.Run) error {
			f, err := durable(r)
			_, werr := f.WriteAt([]byte(text), 1024)
			return errors.Join(err, werr)
		}, old),
			"it holds on posix with powersafe overwrite: it needs nothing else (exact)",
			"posix ext4-writeback xfs ext4 btrfs sequential"},
		{"tmp and rename without a sync", kept("f", func(r *explore.Run) error {
			_, err := durable(r)
			_, werr := write(r.Disk, "tmp", text)
			return errors.Join(err, werr, r.Disk.Rename("tmp", "f"))
		}, old, text),
			"it holds on posix+newpages+renameflush-powersafe: it needs renames that flush what replaces a file, in new pages at least; " +
				"or on sequential-datasyncshrinks-powersafe+filesync=alone: it needs all operations in order (exact)",
			"ext4 sequential"},
		{"the directory is never synced", kept("f", func(r *explore.Run) error {
			f, err := write(r.Disk, "f", old)
			return errors.Join(err, f.Sync(), done(r))
		}, old),
			"it holds on posix-powersafe+filesync=names: it needs a sync of a file that covers its names; " +
				"or on sequential-datasyncshrinks-powersafe+filesync=alone: it needs all operations in order (exact)",
			"ext4-writeback xfs ext4 btrfs sequential"},
		{"another file's sync is trusted with the name", kept("f", func(r *explore.Run) error {
			f, err := write(r.Disk, "f", old)
			g, gerr := write(r.Disk, "g", old)
			return errors.Join(err, gerr, f.SyncData(), g.Sync(), done(r))
		}, old),
			"it holds on posix-powersafe+filesync=all: it needs a sync of a file that covers all metadata; " +
				"or on posix+journal-powersafe+filesync=earlier: it needs metadata operations in order and a sync of a file that covers the metadata up to its own; " +
				"or on sequential-datasyncshrinks-powersafe+filesync=alone: it needs all operations in order (exact)",
			"ext4-writeback xfs ext4 sequential"},
		{"nothing is synced", kept("f", func(r *explore.Run) error {
			_, err := write(r.Disk, "f", old)
			return errors.Join(err, done(r))
		}, old),
			"it holds on no disk, not even one that promises everything", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := found(t, Config{Holds: Programs(Case{Name: c.name, Program: c.program, Config: explore.Config{
				Kinds: explore.Power, Exhaustive: 4096, Garbage: simfs.Garbage{Block: true, Seed: 1}, MaxViolations: 1,
			}})})
			t.Logf("%s; presets %v; %d of %d sets tried", r.Line("it"), r.Presets, r.Verdicts, r.Sets)
			if got := strings.Join(r.Presets, " "); got != c.presets {
				t.Errorf("presets: %s, want %s", got, c.presets)
			}
			if got := r.Line("it"); got != c.line {
				t.Errorf("line: %s\nwant  %s", got, c.line)
			}
			if len(r.Minimal) == 0 && r.Strong.Broken == nil {
				t.Error("nothing says why not")
			}
		})
	}
}

// TestAtomicRenames: where they are in question, the line and the set say whether
// they are needed; where not, nobody speaks of them.
func TestAtomicRenames(t *testing.T) {
	for _, c := range []struct {
		split bool
		needs func(g simfs.Guarantees) bool
		line  string
	}{
		{true, func(g simfs.Guarantees) bool { return !g.SplitRename && g.Powersafe }, "it holds on posix: it needs powersafe overwrite and atomic renames (exact)"},
		{true, func(g simfs.Guarantees) bool { return !g.SplitRename }, "it holds on posix-powersafe: it needs atomic renames (exact)"},
		{true, func(g simfs.Guarantees) bool { return g.Powersafe }, "it holds on posix with powersafe overwrite: it needs nothing else, not even atomic renames (exact)"},
		{true, func(simfs.Guarantees) bool { return true }, "it holds on posix without powersafe overwrite: it needs nothing at all, not even atomic renames (exact)"},
		{false, func(g simfs.Guarantees) bool { return !g.SplitRename && g.Powersafe }, "it holds on posix with powersafe overwrite: it needs nothing else (exact)"},
	} {
		r := found(t, Config{SplitRename: c.split, Holds: func(_ context.Context, g simfs.Guarantees) (Verdict, error) {
			if c.needs(g) {
				return Verdict{Exact: true}, nil
			}
			return Verdict{Broken: errors.New("lost")}, nil
		}})
		if got := r.Line("it"); got != c.line {
			t.Errorf("%s\nwant %s", got, c.line)
		}
		needed := strings.Contains(c.line, "atomic renames (") && !strings.Contains(c.line, "not even")
		if said := slices.Contains(r.Minimal[0].Needs, "atomic renames"); said != needed {
			t.Errorf("%s: needs %q", c.line, r.Minimal[0].Needs)
		}
	}
}

// Whatever the search passes over, trying it says the same.
func TestTheSearchPassesOverNothing(t *testing.T) {
	// A made-up program that holds where it is promised two things of four, in two
	// ways, and where all is in order.
	holds := func(_ context.Context, g simfs.Guarantees) (Verdict, error) {
		if g.Sequential || g.Powersafe && g.Journal || g.RenameFlush && g.FileSync == simfs.SyncAll {
			return Verdict{Exact: true}, nil
		}
		return Verdict{Broken: errors.New("lost")}, nil
	}
	r := found(t, Config{Holds: holds, SplitRename: true})
	all := map[simfs.Guarantees]bool{}
	var walk func(g simfs.Guarantees)
	walk = func(g simfs.Guarantees) {
		if _, ok := all[promises(g)]; ok {
			return
		}
		v, _ := holds(context.Background(), g)
		all[promises(g)] = v.Broken == nil
		for _, h := range g.Weaker() {
			walk(h)
		}
	}
	walk(simfs.Strongest())
	minimal := map[simfs.Guarantees]bool{}
	for g, ok := range all {
		if ok && !slices.ContainsFunc(g.Weaker(), func(h simfs.Guarantees) bool { return all[promises(h)] }) {
			minimal[g] = true
		}
	}
	if len(all) != r.Sets || len(minimal) < 3 {
		t.Fatalf("%d sets of %d, %d minimal ones", r.Sets, len(all), len(minimal))
	}
	for _, m := range r.Minimal {
		if !minimal[promises(m.Guarantees)] {
			t.Errorf("%s is not minimal", m.Disk)
		}
		delete(minimal, promises(m.Guarantees))
	}
	for g := range minimal {
		t.Errorf("%s is missing", closest(g))
	}
	if r.Verdicts > r.Sets/4 {
		t.Errorf("%d of %d sets were tried", r.Verdicts, r.Sets)
	}
}

// A set that seemed to hold, since images were sampled, is taken back when what is
// right above it breaks.
func TestASampledVerdictIsTakenBack(t *testing.T) {
	for lucky := 2; lucky <= 8; lucky++ { // the first is the strongest, the second the weakest
		asked := 0
		r := found(t, Config{Holds: func(_ context.Context, g simfs.Guarantees) (Verdict, error) {
			if asked++; asked != lucky && !g.Powersafe {
				return Verdict{Broken: errors.New("lost")}, nil
			}
			return Verdict{Why: "sampled"}, nil
		}})
		if asked < lucky {
			t.Errorf("only %d were asked", asked)
		}
		if got := r.Line("it"); got != "it holds on posix with powersafe overwrite: it needs nothing else (bounded: images were sampled)" {
			t.Errorf("lucky %d: %s", lucky, got)
		}
		if r.Exact || !strings.HasSuffix(r.Why, "sampled") {
			t.Errorf("exact: %v, %q", r.Exact, r.Why)
		}
	}
}

func TestTheEngine(t *testing.T) {
	for _, c := range []struct{ align, line string }{
		{"0", "the log holds on posix with powersafe overwrite: it needs nothing else"},
		{"4096", "the log holds on posix without powersafe overwrite: it needs nothing at all"},
	} {
		text := "untorn plan 1\nscenario batch\nseed 1\nset preallocate = -1\nset images = 300\nset powersafe = true\nset align = " + c.align + "\n" +
			"step 1 open\nstep 2 batch 0=\"s t size=300\"\nstep 3 batch 0=\"s t size=300\"\nstep 4 batch buffered=true 0=\"s t size=700\"\nstep 5 batch 0=\"s t size=100\"\n"
		p, err := plan.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := found(t, Config{Holds: Plans([]*plan.Plan{p}, 0)})
		t.Logf("%s; %d of %d sets tried, %d recoveries", r.Line("the log"), r.Verdicts, r.Sets, r.Recoveries)
		if got := r.Line("the log"); !strings.HasPrefix(got, c.line+" (") {
			t.Errorf("align %s: %s", c.align, got)
		}
		if len(r.Presets) != 6 {
			t.Errorf("align %s: presets %v", c.align, r.Presets)
		}
		for _, l := range r.Minimal[0].Lost {
			broken, err := scenarios.Run(context.Background(), l.Verdict.Plan, scenarios.Config{})
			if err != nil || len(broken.Violations) == 0 {
				t.Errorf("without %s: the plan shows nothing: %v", l.Without, err)
			}
		}
	}
}
