package explore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

func mustExplore(t *testing.T, c explore.Config, p explore.Program) explore.Report {
	t.Helper()
	r, err := explore.Explore(t.Context(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	posix, writeback, xfs, ext4, btrfs, sequential = "posix", "ext4-writeback", "xfs", "ext4", "btrfs", "sequential"
)

// Each store, and on which presets it must be caught; on all others it must
// pass.
func fixtures() []fixture {
	return []fixture{
		{"correct", register{puts: 3}.program(), nil},
		{"nothing is synced", register{puts: 2, noFileSync: true, noDirSync: true}.program(),
			[]string{posix, writeback, xfs, ext4, btrfs, sequential}},
		{"rename without a sync of the file", register{puts: 3, noFileSync: true}.program(),
			[]string{posix, writeback, xfs, ext4, btrfs}},
		{"rename without a sync of the directory", register{puts: 3, noDirSync: true}.program(),
			[]string{posix, writeback, xfs, ext4, btrfs, sequential}},
		{"overwritten in place", register{puts: 3, inPlace: true}.program(), []string{posix}},
		{"acknowledged before the sync", register{puts: 3, ackEarly: true}.program(),
			[]string{posix, writeback, xfs, ext4, btrfs, sequential}},
		{"correct journal", journal{appends: 3}.program(), nil},
		{"recovery does not sync bytes", journal{appends: 2, noRecoverySync: true}.program(),
			[]string{posix, writeback, xfs, ext4, btrfs}},
		{"recovery does not sync the name", journal{appends: 2, noRecoveryName: true}.program(), []string{posix}},
	}
}

type fixture struct {
	name    string
	program explore.Program
	red     []string
}

func TestStores(t *testing.T) {
	for _, f := range fixtures() {
		for _, g := range simfs.Presets() {
			t.Run(f.name+"/"+g.Name, func(t *testing.T) {
				r := mustExplore(t, explore.Config{Guarantees: g, MaxDeviation: 1, Samples: 10}, f.program)
				if red := slices.Contains(f.red, g.Name); red != (r.Violated > 0) {
					t.Fatalf("caught: %v, want %v\n%v", r.Violated > 0, red, r.Err())
				}
			})
		}
	}
}

// A recovery that takes a name for durable because it finds it goes unnoticed
// until a kill leaves a name that is not.
func TestOnlyReopenShowsMissingNames(t *testing.T) {
	p := journal{appends: 2, noRecoveryName: true}.program()
	for _, test := range []struct {
		name   string
		config explore.Config
		caught bool
	}{
		{"power loss", explore.Config{Kinds: explore.Power}, false},
		{"power loss twice more", explore.Config{Kinds: explore.Power, Depth: 2}, false},
		{"kill", explore.Config{Kinds: explore.Kill}, false},
		{"kill, kill again", explore.Config{Kinds: explore.Kill, Depth: 1}, false},
		{"power or kill", explore.Config{Kinds: explore.Power | explore.Kill}, false},
		{"reopen", explore.Config{Kinds: explore.Reopen}, true},
		{"power and kill, nested", explore.Config{Kinds: explore.Power | explore.Kill, Depth: 1}, true},
		{"all", explore.Config{}, true},
	} {
		r := mustExplore(t, test.config, p)
		if r.Violated > 0 != test.caught {
			t.Errorf("%s: caught: %v, want %v: %v", test.name, r.Violated > 0, test.caught, r.Err())
		}
		for _, v := range r.Violations {
			if last := len(v.Path) - 1; last < 1 || v.Path[last-1].Kind != simfs.ProcessKill || v.Path[last].Kind != simfs.PowerLoss {
				t.Errorf("%s: found by %v, want a kill and then a power loss", test.name, v.Path)
			}
		}
	}
}

// contents is all that a program can read on a disk: names, sizes and bytes.
func contents(fsys afero.Fs) string {
	var b strings.Builder
	var walk func(dir string)
	walk = func(dir string) {
		list, err := afero.ReadDir(fsys, dir)
		if err != nil {
			panic(err)
		}
		for _, info := range list {
			name := dir + "/" + info.Name()
			if info.IsDir() {
				fmt.Fprintf(&b, "%s/\n", name)
				walk(name)
				continue
			}
			data, err := afero.ReadFile(fsys, name)
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(&b, "%s %q\n", name, data)
		}
	}
	walk("/")
	return b.String()
}

func told(history []explore.Note) string {
	var b strings.Builder
	for _, n := range history {
		b.WriteString(n.Key + ";")
	}
	return b.String()
}

// seen is a set of (depth, kind, history, contents), as text.
type seen struct {
	mu  sync.Mutex
	all map[string]bool
}

func (s *seen) add(depth int, kind simfs.Kind, history []explore.Note, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]bool{}
	}
	s.all[fmt.Sprintf("depth %d %v after %s\n%s", depth, kind, told(history), text)] = true
}

func (s *seen) want(t *testing.T, want *seen) {
	t.Helper()
	for text := range want.all {
		if !s.all[text] {
			t.Errorf("never explored: %s", text)
			return
		}
	}
	for text := range s.all {
		if !want.all[text] {
			t.Errorf("explored, but impossible: %s", text)
			return
		}
	}
}

// watch is p, with what its recoveries find put into s.
func (s *seen) watch(p explore.Program) explore.Program {
	inner := p.Recover
	p.Recover = func(run *explore.Run) error {
		s.add(run.Depth, run.Kind, run.History, contents(run.Disk.Clone()))
		return inner(run)
	}
	return p
}

// A naive enumerator, written apart: every combination of every variable, no
// deduplication, nothing shared.
type naive struct {
	t     *testing.T
	p     explore.Program
	found *seen
}

// choices calls f with every image of m.
func (n naive) choices(m *simfs.Image, f func(*simfs.Image)) {
	vars := m.Vars()
	vector := make(map[simfs.VarID]int)
	var rec func(i int)
	rec = func(i int) {
		if i == len(vars) {
			f(m.Resolve(simfs.ChooserFunc(func(v simfs.Var) int { return min(vector[v.ID], len(v.Options)-1) })))
			return
		}
		for k := range vars[i].Options {
			vector[vars[i].ID] = k
			rec(i + 1)
		}
	}
	rec(0)
}

// run does one run on disk and calls crash at each moment: before every
// operation, on both sides of every note, and at the end.
func (n naive) run(f func(*explore.Run) error, disk *simfs.FS, history []explore.Note, run explore.Run, crash func(d *simfs.FS, barrier bool, h []explore.Note)) {
	run.FS, run.Disk, run.History, run.Recovered = disk, disk, history, func() {}
	run.Note = func(note explore.Note) {
		crash(disk, true, history)
		history = append(slices.Clone(history), note)
		crash(disk, true, history)
	}
	disk.Observe(func(op simfs.Op) { crash(disk, op.Barrier, history) })
	if err := f(&run); err != nil {
		n.t.Errorf("this store should be correct: %v", err)
	}
	crash(disk, true, history)
}

func TestSameImagesAsNaive(t *testing.T) {
	type disk struct {
		simfs.Guarantees
		simfs.Garbage
	}
	disks := []disk{{simfs.Posix(), simfs.Garbage{Block: true, Stale: true}}}
	for _, g := range simfs.Presets() {
		disks = append(disks, disk{g, simfs.Garbage{}})
	}
	for _, d := range disks {
		g := d.Guarantees
		for _, p := range []struct {
			name string
			explore.Program
		}{
			{"register", register{puts: 2}.program()},
			{"journal", journal{appends: 2}.program()},
			{"nothing synced", explore.Program{
				Workload: register{puts: 1, noFileSync: true, noDirSync: true}.workload,
				Recover:  func(run *explore.Run) error { return register{}.put(run.FS, 7) },
			}},
		} {
			t.Run(p.name+"/"+g.Name+"/"+d.Garbage.String(), func(t *testing.T) {
				var got, want seen
				r := mustExplore(t, explore.Config{Guarantees: g, Garbage: d.Garbage, Exhaustive: 1 << 12}, got.watch(p.Program))
				if !r.Exact || r.Violated > 0 {
					t.Fatalf("exact %v, %v", r.Exact, r.Err())
				}
				n := naive{t: t, p: p.Program, found: &want}
				n.run(p.Workload, simfs.New(simfs.Options{Guarantees: g, Garbage: d.Garbage}), nil, explore.Run{}, func(d *simfs.FS, barrier bool, h []explore.Note) {
					// A power loss at every moment: what Barriers leaves out must
					// not add anything.
					n.choices(d.Crash(simfs.PowerLoss), func(m *simfs.Image) {
						want.add(1, simfs.PowerLoss, h, contents(m.Mount(nil)))
					})
					killed := d.Crash(simfs.ProcessKill)
					want.add(1, simfs.ProcessKill, h, contents(killed.Mount(nil)))
					n.run(p.Recover, killed.Mount(nil), h, explore.Run{Depth: 1, Kind: simfs.ProcessKill}, func(d *simfs.FS, barrier bool, h []explore.Note) {
						if barrier {
							n.choices(d.Crash(simfs.PowerLoss), func(m *simfs.Image) {
								want.add(2, simfs.PowerLoss, h, contents(m.Mount(nil)))
							})
						}
					})
				})
				got.want(t, &want)
			})
		}
	}
}

func TestNestedSameImagesAsNaive(t *testing.T) {
	for _, g := range simfs.Presets() {
		t.Run(g.Name, func(t *testing.T) {
			p := journal{appends: 1}.program()
			var got, want seen
			r := mustExplore(t, explore.Config{Guarantees: g, Kinds: explore.Power, Depth: 2}, got.watch(p))
			if !r.Exact || r.Violated > 0 {
				t.Fatalf("exact %v, %v", r.Exact, r.Err())
			}
			n := naive{t: t, p: p, found: &want}
			var deeper func(depth int) func(d *simfs.FS, barrier bool, h []explore.Note)
			deeper = func(depth int) func(d *simfs.FS, barrier bool, h []explore.Note) {
				return func(d *simfs.FS, barrier bool, h []explore.Note) {
					if depth > 3 || !barrier {
						return
					}
					n.choices(d.Crash(simfs.PowerLoss), func(m *simfs.Image) {
						want.add(depth, simfs.PowerLoss, h, contents(m.Mount(nil)))
						n.run(p.Recover, m.Mount(nil), h, explore.Run{Depth: depth, Kind: simfs.PowerLoss}, deeper(depth+1))
					})
				}
			}
			n.run(p.Workload, simfs.New(simfs.Options{Guarantees: g}), nil, explore.Run{}, deeper(1))
			got.want(t, &want)
		})
	}
}

// With Points: All, a kill also comes inside writes, and every power loss
// between barriers is tried.
func TestAllPoints(t *testing.T) {
	p := explore.Program{
		Workload: func(run *explore.Run) error {
			f, err := run.FS.Create("a")
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte(strings.Repeat("x", 3*cell)), 100)
			return errors.Join(err, f.Sync())
		},
		Recover: func(run *explore.Run) error { return nil },
	}
	var got, want seen
	mustExplore(t, explore.Config{Points: explore.All, Kinds: explore.Kill}, got.watch(p))
	want.add(1, simfs.ProcessKill, nil, "")
	want.add(1, simfs.ProcessKill, nil, "//a \"\"\n")
	for k := 1; k <= 4; k++ {
		size := min(k*cell, 100+3*cell)
		want.add(1, simfs.ProcessKill, nil, fmt.Sprintf("//a %q\n", strings.Repeat("\x00", 100)+strings.Repeat("x", size-100)))
	}
	got.want(t, &want)

	var all, barriers seen
	mustExplore(t, explore.Config{Points: explore.All, Kinds: explore.Power}, all.watch(register{puts: 2}.program()))
	mustExplore(t, explore.Config{Kinds: explore.Power}, barriers.watch(register{puts: 2}.program()))
	all.want(t, &barriers)
}

// cells is a workload of n pending cells of one durable file, in so many writes.
func cells(n, writes int) explore.Program {
	return explore.Program{
		Workload: func(run *explore.Run) error {
			f, err := run.FS.Create("a")
			if err != nil {
				return err
			}
			if _, err := f.WriteAt([]byte(strings.Repeat("0", n*cell)), 0); err != nil {
				return err
			}
			if err := errors.Join(f.Sync(), syncDir(run.FS, "/")); err != nil {
				return err
			}
			run.Note(explore.Note{Key: "start"})
			for w := range writes {
				size := n / writes * cell
				if _, err := f.WriteAt([]byte(strings.Repeat("1", size)), int64(w*size)); err != nil {
					return err
				}
			}
			return nil
		},
		Recover: func(*explore.Run) error { return nil },
	}
}

// pattern is the cells of "a" as zeros and ones, "" before it is durable.
func pattern(fsys afero.Fs) string {
	data, err := afero.ReadFile(fsys, "a")
	if err != nil {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(data); i += cell {
		b.WriteByte(data[i])
	}
	return b.String()
}

func TestBoundedImages(t *testing.T) {
	const n, writes = 12, 4
	for deviation := 0; deviation <= 2; deviation++ {
		var mu sync.Mutex
		got := map[string]bool{}
		p := cells(n, writes)
		p.Recover = func(run *explore.Run) error {
			mu.Lock()
			defer mu.Unlock()
			if told(run.History) == "start;" {
				got[pattern(run.FS)] = true
			}
			return nil
		}
		r := mustExplore(t, explore.Config{Kinds: explore.Power, MaxDeviation: deviation, Exhaustive: 1000}, p)
		want := map[string]bool{}
		for bits := range 1 << n {
			text := ""
			for i := range n {
				text += string(rune('0' + bits>>i&1))
			}
			for w := 0; w <= writes; w++ {
				prefix := strings.Repeat("1", w*n/writes) + strings.Repeat("0", n-w*n/writes)
				differ := 0
				for i := range n {
					if text[i] != prefix[i] {
						differ++
					}
				}
				if differ <= deviation {
					want[text] = true
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("deviation %d: explored %v, want %v", deviation, keys(got), keys(want))
		}
		why := fmt.Sprintf("depth 1: 2 of 5 crash points have too many images to try them all (up to 2^14): tried every prefix, what differs from one in at most %d variables, and 0 samples", deviation)
		if r.Exact || r.Why != why {
			t.Errorf("deviation %d: exact %v, why %q, want %q", deviation, r.Exact, r.Why, why)
		}
	}
}

// overwrite writes one cell of "a" per step, without a sync: cell and digit.
func overwrite(fsys afero.Fs, steps ...[2]int) error {
	f, err := fsys.OpenFile("a", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if _, err := f.WriteAt([]byte(strings.Repeat(string(rune('0'+s[1])), cell)), int64(s[0]*cell)); err != nil {
			return err
		}
	}
	return f.Close()
}

// patterns collects what recoveries with one history find.
type patterns struct {
	mu      sync.Mutex
	history string
	all     map[string]bool
}

func (p *patterns) add(run *explore.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[string]bool{}
	}
	if told(run.History) == p.history {
		p.all[pattern(run.Disk.Clone())] = true
	}
}

// A prefix may bring back bytes that were there before.
func TestPrefixesOfRepeatedWrites(t *testing.T) {
	steps := [][2]int{{0, 1}, {1, 1}, {0, 0}, {1, 2}, {0, 1}, {1, 1}, {0, 0}, {1, 0}, {0, 2}}
	got := patterns{history: "start;"}
	p := cells(2, 0)
	durable := p.Workload
	p.Workload = func(run *explore.Run) error { return errors.Join(durable(run), overwrite(run.FS, steps...)) }
	p.Recover = func(run *explore.Run) error { got.add(run); return nil }
	mustExplore(t, explore.Config{Kinds: explore.Power, Exhaustive: -1}, p)
	want := map[string]bool{}
	at := []byte("00")
	want[string(at)] = true
	for _, s := range steps {
		at[s[0]] = byte('0' + s[1])
		want[string(at)] = true
	}
	if !reflect.DeepEqual(got.all, want) {
		t.Errorf("explored %v, want %v", keys(got.all), keys(want))
	}
}

// After a kill, a prefix goes on from what the killed process wrote to what the
// recovery wrote.
func TestPrefixesAfterReopen(t *testing.T) {
	first := [][2]int{{0, 1}, {1, 1}, {2, 1}, {3, 1}}
	second := [][2]int{{0, 2}, {1, 2}}
	got := patterns{history: "start;reopened;"}
	p := cells(4, 0)
	durable := p.Workload
	p.Workload = func(run *explore.Run) error { return errors.Join(durable(run), overwrite(run.FS, first...)) }
	p.Recover = func(run *explore.Run) error {
		got.add(run)
		if pattern(run.FS) != "1111" || run.Depth > 1 {
			return nil
		}
		run.Note(explore.Note{Key: "reopened"})
		return overwrite(run.FS, second...)
	}
	mustExplore(t, explore.Config{Kinds: explore.Reopen, Exhaustive: -1}, p)
	want := map[string]bool{}
	at := []byte("0000")
	want[string(at)] = true
	for _, s := range slices.Concat(first, second) {
		at[s[0]] = byte('0' + s[1])
		want[string(at)] = true
	}
	if !reflect.DeepEqual(got.all, want) {
		t.Errorf("explored %v, want %v", keys(got.all), keys(want))
	}
}

func keys(m map[string]bool) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func configs() []explore.Config {
	return []explore.Config{
		{},
		{Depth: 1, Points: explore.All},
		{Exhaustive: -1, MaxDeviation: 2, Samples: 20, Seed: 7},
		{Exhaustive: -1, Kinds: explore.Power, Samples: 50, Depth: 1, MaxPerPoint: 30},
		{Depth: 2, MaxImages: 150, Seed: 3},
		{Exhaustive: 4, MaxDeviation: 1, MaxImages: 300, MaxPerPoint: 9, Samples: 5, MaxViolations: 1000},
		{StopEarly: true},
		{Lazy: true, Depth: 1},
		{Lazy: true, Depth: explore.Fixpoint, MaxViolations: 30},
		{Lazy: true, MaxLeaves: 3, MaxDeviation: 1, Exhaustive: -1},
		{Lazy: true, Depth: 2, MaxImages: 40, Points: explore.All},
		{Lazy: true, StopEarly: true},
	}
}

func TestSameReportForAnyWorkers(t *testing.T) {
	for _, f := range fixtures() {
		for i, c := range configs() {
			for _, g := range []simfs.Guarantees{simfs.Posix(), simfs.Ext4Writeback()} {
				c.Guarantees, c.Workers = g, 1
				var order []string
				c.OnViolation = func(v explore.Violation) { order = append(order, v.String()) }
				want := mustExplore(t, c, f.program)
				if len(order) != len(want.Violations) {
					t.Errorf("%s, config %d: told of %d violations, %d in the report", f.name, i, len(order), len(want.Violations))
				}
				for k, v := range want.Violations {
					if order[k] != v.String() {
						t.Errorf("%s, config %d: told of %s, want %s", f.name, i, order[k], v)
					}
				}
				c.OnViolation = nil
				for _, workers := range []int{2, 8} {
					c.Workers = workers
					got := mustExplore(t, c, f.program)
					if !reflect.DeepEqual(got, want) {
						t.Fatalf("%s, config %d, %d workers:\n got %+v\nwant %+v", f.name, i, workers, got, want)
					}
				}
			}
		}
	}
}

func TestReproduce(t *testing.T) {
	caught := 0
	for _, f := range fixtures() {
		for i, c := range configs() {
			for _, g := range simfs.Presets() {
				c.Guarantees = g
				r := mustExplore(t, c, f.program)
				for _, v := range r.Violations {
					caught++
					path, err := explore.ParseCrashPath(v.Path.String())
					if err != nil {
						t.Fatal(err)
					}
					err = explore.Reproduce(t.Context(), c, f.program, path)
					if err == nil || err.Error() != v.Err.Error() {
						t.Fatalf("%s, config %d, %s: %v\n got %v\nwant %v", f.name, i, g.Name, path, err, v.Err)
					}
					again, err := refollow(t.Context(), c, f.program, path)
					if err != nil || again.String() != path.String() {
						t.Fatalf("%s, config %d, %s: following %v gave\n%v, %v", f.name, i, g.Name, path, again, err)
					}
				}
			}
		}
	}
	if caught == 0 {
		t.Fatal("no violation to reproduce")
	}
}

// refollow makes a path of what Follow tells of one.
func refollow(ctx context.Context, c explore.Config, p explore.Program, path explore.CrashPath) (explore.CrashPath, error) {
	moments, err := explore.Follow(ctx, c, p, path)
	var again explore.CrashPath
	notes := len(c.Before)
	for _, m := range moments {
		crash := m.Crash
		crash.Notes, notes = len(m.History)-notes, len(m.History)
		if crash.Op != explore.End {
			crash.Op = m.At
		} else if m.At != len(m.Log) {
			return nil, fmt.Errorf("the end of a run of %d operations is told to be operation %d", len(m.Log), m.At)
		}
		crash.Deviations = nil
		for _, choice := range m.Choices {
			if simfs.Prefix(crash.Prefix).Choose(choice.Var) != choice.Option {
				crash.Deviations = append(crash.Deviations, choice.Deviation())
			}
		}
		again = append(again, crash)
	}
	return again, err
}

func TestFollow(t *testing.T) {
	p := register{puts: 2, inPlace: true}.program()
	path, err := explore.ParseCrashPath("power op=5 notes=3 prefix=0 ~cell:value#1:0=write@4 ~cell:value#1:1=write@4 | kill op=end notes=1")
	if err != nil {
		t.Fatal(err)
	}
	moments, err := explore.Follow(t.Context(), explore.Config{}, p, path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, m := range moments {
		fmt.Fprintf(&b, "%v\n", m.Crash)
		for i, op := range m.Log {
			if i == m.At {
				b.WriteString("  crash\n")
			}
			fmt.Fprintf(&b, "  %v\n", op)
		}
		for _, n := range m.History {
			fmt.Fprintf(&b, "  note %s\n", n.Key)
		}
		for _, c := range m.Choices {
			fmt.Fprintf(&b, "  %v: %v\n", c.Var, c.Deviation())
		}
	}
	want := `power op=5 notes=3 prefix=0 ~cell:value#1:0=write@4 ~cell:value#1:1=write@4
  0 create value
  1 write value 0+1024
  2 sync value
  3 syncdir .
  4 write value 0+1024
  crash
  5 sync value
  6 syncdir .
  note started 1
  note acked 1
  note started 2
  cell of "value" 0: durable, write@4: {cell:value#1:0 write@4}
  cell of "value" 1: durable, write@4: {cell:value#1:1 write@4}
kill op=end notes=1
  0 write value 0+1024
  1 sync value
  2 syncdir .
  note started 1
  note acked 1
  note started 2
  note acked 2
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	var off *explore.PathError
	path[0].Op = 99
	if moments, err := explore.Follow(t.Context(), explore.Config{}, p, path); !errors.As(err, &off) || moments != nil {
		t.Errorf("a path that cannot be taken: got %v, %v", moments, err)
	}
}

// A path that a person has written.
func TestReproduceByHand(t *testing.T) {
	p := register{puts: 2, inPlace: true}.program()
	for _, test := range []struct{ path, want string }{
		{"none", ""},
		{"kill op=4 notes=3", ""},
		{"kill op=4+1 notes=3", "the file is torn"},
		{"kill op=end notes=4", ""},
		{"power op=5 notes=3 prefix=0", ""},
		{"power op=5 notes=3 prefix=0 ~cell:value#1:1=write@4", "the file is torn"},
		{"power op=5 notes=3 prefix=5 ~cell:value#1:1=write@4", ""},
		{"kill op=5 notes=3 | power op=end notes=1 prefix=0", ""},
		{"kill op=5 notes=4", `crash 1 of the path (kill op=5 notes=4): the run was there with 3 notes made, not 4`},
		{"kill op=99 notes=4", `crash 1 of the path (kill op=99 notes=4): the run ended after 7 operations and 4 notes, without coming there`},
		{"kill op=5+1 notes=3", `crash 1 of the path (kill op=5+1 notes=3): operation 5 writes 0 cells: a crash inside it comes after fewer`},
		{"kill op=4+2 notes=3", `crash 1 of the path (kill op=4+2 notes=3): operation 4 writes 2 cells: a crash inside it comes after fewer`},
		{"power op=4+1 notes=3 prefix=0", `crash 1 of the path (power op=4+1 notes=3 prefix=0): only a process kill comes inside a write`},
		{"power op=5 notes=3 prefix=0 ~cell:value#1:7=write@4", `crash 1 of the path (power op=5 notes=3 prefix=0 ~cell:value#1:7=write@4): the disk has no choice about cell:value#1:7 at that moment`},
		{"power op=5 notes=3 prefix=0 ~cell:value#1:1=lost", `crash 1 of the path (power op=5 notes=3 prefix=0 ~cell:value#1:1=lost): cell:value#1:1 cannot be lost: choose one of durable write@4`},
	} {
		path, err := explore.ParseCrashPath(test.path)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := explore.Reproduce(t.Context(), explore.Config{}, p, path); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.path, got, test.want)
		}
	}
}

func TestPanics(t *testing.T) {
	p := register{puts: 2, inPlace: true, panics: true}.program()
	r := mustExplore(t, explore.Config{}, p)
	var panicked *explore.PanicError
	if r.Violated == 0 || !errors.As(r.Violations[0].Err, &panicked) || panicked.Text != "the file is torn at 0x…" {
		t.Errorf("got %v, want a panic", r.Err())
	}

	r = mustExplore(t, explore.Config{}, explore.Func(
		func(fsys afero.Fs) error { var none []int; none[len(fsys.Name())]++; return nil },
		func(afero.Fs) error { return nil },
	))
	want := "panic: runtime error: index out of range [5] with length 0\n\tafter none"
	if r.Violated != 1 || r.Violations[0].String() != want {
		t.Errorf("got %v, want %s", r.Violations, want)
	}
}

func TestRunsThatEndTheirGoroutine(t *testing.T) {
	broken := func(end func() error) explore.Program {
		p := register{puts: 2, noDirSync: true}.program()
		inner := p.Recover
		p.Recover = func(run *explore.Run) error {
			if len(run.History) == 1 {
				return end()
			}
			return inner(run)
		}
		return p
	}
	want := mustExplore(t, explore.Config{}, broken(func() error { return &explore.ExitError{} }))
	for _, workers := range []int{1, 2} {
		p := broken(func() error { runtime.Goexit(); return nil })
		r := mustExplore(t, explore.Config{Workers: workers}, p)
		if !reflect.DeepEqual(r, want) {
			t.Errorf("%d workers:\n got %+v\nwant %+v", workers, r, want)
		}
		var exit *explore.ExitError
		if r.Violated == 0 || !errors.As(r.Violations[0].Err, &exit) {
			t.Fatalf("got %v, want an *ExitError", r.Err())
		}
		if err := explore.Reproduce(t.Context(), explore.Config{}, p, r.Violations[0].Path); !errors.As(err, &exit) {
			t.Errorf("reproduced %v, want an *ExitError", err)
		}
	}
}

func TestWorkloadError(t *testing.T) {
	broken := errors.New("broken")
	p := register{puts: 1}.program()
	inner := p.Workload
	p.Workload = func(run *explore.Run) error { return errors.Join(inner(run), broken) }
	r := mustExplore(t, explore.Config{}, p)
	if r.Violated != 1 || !errors.Is(r.Violations[0].Err, broken) || r.Violations[0].Path != nil {
		t.Errorf("got %v, want the workload's error and an empty path", r.Violations)
	}
	if r.Recoveries == 0 {
		t.Error("a workload that fails has crash points too")
	}
	if err := explore.Reproduce(t.Context(), explore.Config{}, p, nil); !errors.Is(err, broken) {
		t.Errorf("reproduced %v, want %v", err, broken)
	}
}

func TestBudget(t *testing.T) {
	p := cells(64, 8)
	for _, limit := range []int{1, 2, 10, 100} {
		for _, kinds := range []explore.Kinds{explore.Power, explore.AllKinds} {
			c := explore.Config{Kinds: kinds, MaxImages: limit, MaxDeviation: 2, Samples: 10, Depth: 1}
			r := mustExplore(t, c, p)
			if r.Recoveries > limit || r.Recoveries == 0 {
				t.Errorf("MaxImages %d: %d recoveries", limit, r.Recoveries)
			}
			if r.Exact || !strings.Contains(r.Why, "MaxImages") {
				t.Errorf("MaxImages %d: exact %v, why %q", limit, r.Exact, r.Why)
			}
		}
	}
	r := mustExplore(t, explore.Config{Kinds: explore.Power, MaxPerPoint: 20, MaxDeviation: 1, Samples: 10}, p)
	for _, l := range r.Levels {
		if l.Power.Images > 20*l.Power.Points {
			t.Errorf("MaxPerPoint 20: %d images at %d points", l.Power.Images, l.Power.Points)
		}
	}
	if r.Exact || !strings.Contains(r.Why, "MaxPerPoint") {
		t.Errorf("MaxPerPoint 20: exact %v, why %q", r.Exact, r.Why)
	}
}

// Every outcome is in the digest, and nothing comes after a recovery that fails.
func TestDigestAndEnds(t *testing.T) {
	digests := map[string]int{}
	for notes := range 5 {
		p := register{puts: 2}.program()
		inner := p.Recover
		p.Recover = func(run *explore.Run) error {
			if len(run.History) == notes {
				return fmt.Errorf("broken")
			}
			return inner(run)
		}
		for _, text := range []string{"broken", "broken too"} {
			q := p
			q.Recover = func(run *explore.Run) error {
				if err := p.Recover(run); err != nil {
					return errors.New(text)
				}
				return nil
			}
			r := mustExplore(t, explore.Config{Depth: 1, MaxViolations: 1 << 20}, q)
			digests[r.Digest]++
			if r.Violated == 0 || len(r.Violations) != r.Violated {
				t.Errorf("%d violations, %d listed", r.Violated, len(r.Violations))
			}
			ends := map[string]bool{}
			for _, v := range r.Violations {
				ends[v.Path.String()] = true
			}
			for _, v := range r.Violations {
				for n := 1; n < len(v.Path); n++ {
					if ends[v.Path[:n].String()] {
						t.Errorf("%v goes on from a recovery that failed", v.Path)
					}
				}
			}
		}
	}
	for notes := range 5 { // as many failures everywhere else
		p := register{puts: 2}.program()
		p.Recover = func(run *explore.Run) error {
			if len(run.History) == notes {
				return errors.New("different")
			}
			return errors.New("broken")
		}
		digests[mustExplore(t, explore.Config{}, p).Digest]++
	}
	if len(digests) != 15 {
		t.Errorf("15 programs with %d digests", len(digests))
	}
}

func TestStopEarly(t *testing.T) {
	for _, f := range fixtures() {
		all, early := mustExplore(t, explore.Config{}, f.program), mustExplore(t, explore.Config{StopEarly: true}, f.program)
		if all.Violated == 0 {
			if !early.Exact || early.Digest != all.Digest {
				t.Errorf("%s: nothing to stop for, but exact %v, digest %s, want %s", f.name, early.Exact, early.Digest, all.Digest)
			}
			continue
		}
		if early.Exact || early.Recoveries >= all.Recoveries || early.Why != "the exploration stopped early, at a violation" {
			t.Errorf("%s: exact %v, %d of %d recoveries, why %q", f.name, early.Exact, early.Recoveries, all.Recoveries, early.Why)
		}
		if early.Violations[0].String() != all.Violations[0].String() {
			t.Errorf("%s: first violation %v, want %v", f.name, early.Violations[0], all.Violations[0])
		}
	}
}

// Where a journal ties names together, there are few images of many variables.
func TestTiedVariables(t *testing.T) {
	p := explore.Program{
		Workload: func(run *explore.Run) error {
			for i := range 40 {
				if _, err := run.FS.Create(fmt.Sprintf("file%02d", i)); err != nil {
					return err
				}
			}
			return nil
		},
		Recover: func(*explore.Run) error { return nil },
	}
	var got, want seen
	r := mustExplore(t, explore.Config{Kinds: explore.Power, Guarantees: simfs.Ext4()}, got.watch(p))
	if !r.Exact {
		t.Errorf("not exact: %s", r.Why)
	}
	text := ""
	for i := range 41 {
		want.add(1, simfs.PowerLoss, nil, text)
		text += fmt.Sprintf("//file%02d \"\"\n", i)
	}
	got.want(t, &want)
	if r = mustExplore(t, explore.Config{Kinds: explore.Power}, p); r.Exact || !strings.Contains(r.Why, "2^40") {
		t.Errorf("posix: exact %v, why %q", r.Exact, r.Why)
	}
}

// A workload that begins on what a crash left goes on with its history; what
// that crash left undurable may still be lost.
func TestStartAfterCrash(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	before := make([]explore.Note, 1, 8) // room that belongs to the caller
	before[0] = explore.Note{Key: "acked 1", Value: uint32(1)}
	f, n, err := journal{}.open(disk)
	if err != nil || n != 0 {
		t.Fatal(n, err)
	}
	if err := (journal{}).append(f, 1); err != nil {
		t.Fatal(err)
	}
	image := disk.Crash(simfs.ProcessKill)
	j := journal{appends: 2}
	var got seen
	c := explore.Config{Start: image, Before: before, Kinds: explore.Power}
	r := mustExplore(t, c, got.watch(j.program()))
	if r.Violated > 0 {
		t.Error(r.Err())
	}
	var want seen
	file := func(lines int) string {
		all := ""
		for n := range lines {
			all += string(line(uint32(n + 1)))
		}
		return fmt.Sprintf("//journal %q\n", all)
	}
	h := before
	want.add(1, simfs.PowerLoss, h, file(1))
	for n := uint32(2); n <= 3; n++ {
		h = append(slices.Clone(h), explore.Note{Key: fmt.Sprintf("started %d", n)})
		torn := strings.TrimSuffix(file(int(n)-1), "\"\n") + strings.Repeat(`\x00`, cell) + "\"\n"
		want.add(1, simfs.PowerLoss, h, file(int(n)-1))
		want.add(1, simfs.PowerLoss, h, torn)
		want.add(1, simfs.PowerLoss, h, file(int(n)))
		h = append(slices.Clone(h), explore.Note{Key: fmt.Sprintf("acked %d", n)})
		want.add(1, simfs.PowerLoss, h, file(int(n)))
	}
	got.want(t, &want)
	if again := before[:2]; again[1].Key != "" {
		t.Errorf("wrote %q behind the caller's notes", again[1].Key)
	}

	lost := journal{appends: 2, noRecoveryName: true, noRecoverySync: true}
	empty := simfs.New(simfs.Options{})
	if f, _, err = (journal{}).open(empty); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(line(1), 0); err != nil {
		t.Fatal(err)
	}
	c.Start = empty.Crash(simfs.ProcessKill)
	r = mustExplore(t, c, lost.program())
	if r.Violated == 0 || len(r.Violations[0].Path) != 1 {
		t.Fatalf("the first line was never durable: got %v", r.Violations)
	}
	if err := explore.Reproduce(t.Context(), c, lost.program(), r.Violations[0].Path); err == nil || err.Error() != r.Violations[0].Err.Error() {
		t.Errorf("reproduced %v, want %v", err, r.Violations[0].Err)
	}

	c.Start = empty.Crash(simfs.PowerLoss)
	var bad *explore.ConfigError
	if _, err := explore.Explore(t.Context(), c, lost.program()); !errors.As(err, &bad) {
		t.Errorf("an undecided start: got %v, want a *ConfigError", err)
	}
}

func TestSharedSet(t *testing.T) {
	set := explore.NewSet()
	c := explore.Config{Seen: set, Depth: 1}
	p := journal{appends: 2}.program()
	first := mustExplore(t, c, p)
	if first.ImagesNew != first.ImagesUnique || set.Len() != first.ImagesUnique {
		t.Errorf("first: %d new of %d, %d in the set: want all", first.ImagesNew, first.ImagesUnique, set.Len())
	}
	second := mustExplore(t, c, p)
	if second.ImagesNew != 0 || second.Digest != first.Digest {
		t.Errorf("again: %d new, digest %s: want 0 and %s", second.ImagesNew, second.Digest, first.Digest)
	}
	longer := journal{appends: 3}.program()
	third, alone := mustExplore(t, c, longer), mustExplore(t, explore.Config{Depth: 1}, longer)
	if third.Digest != alone.Digest || third.ImagesNew == 0 || third.ImagesNew >= third.ImagesUnique {
		t.Errorf("a longer run: %d new of %d, digest %s: want some, and %s", third.ImagesNew, third.ImagesUnique, third.Digest, alone.Digest)
	}
	c.SkipSeen = true
	if r := mustExplore(t, c, p); r.Recoveries != 0 || r.Exact || !strings.Contains(r.Why, "Config.Seen had them") {
		t.Errorf("skipping: %d recoveries, exact %v, why %q: want none, and not exact", r.Recoveries, r.Exact, r.Why)
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := register{puts: 2}.program()
	var once sync.Once
	inner := p.Recover
	p.Recover = func(run *explore.Run) error {
		once.Do(cancel)
		return inner(run)
	}
	r, err := explore.Explore(ctx, explore.Config{}, p)
	if !errors.Is(err, context.Canceled) || r.Exact || r.Why != "the exploration was stopped: context canceled" {
		t.Errorf("got %v, exact %v, why %q", err, r.Exact, r.Why)
	}
	if err := explore.Reproduce(ctx, explore.Config{}, p, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("reproduced: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	_, err := explore.Explore(t.Context(), explore.Config{CellSize: 3, Depth: 9, MaxDeviation: -1, SkipSeen: true}, explore.Program{})
	want := "explore: bad configuration: Program.Workload is nil; Program.Recover is nil; " +
		"CellSize 3: want a power of two up to 4096, or 0; Depth 9: want 0 to 8, or Fixpoint; MaxDeviation -1: want 0 to 2; SkipSeen without Seen"
	var bad *explore.ConfigError
	if !errors.As(err, &bad) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// What a run is told about itself.
func TestRun(t *testing.T) {
	var mu sync.Mutex
	entropy := map[string]uint64{}
	p := journal{appends: 2}.program()
	inner := p.Recover
	p.Recover = func(run *explore.Run) error {
		m := run.Disk.Crash(simfs.ProcessKill)
		id := fmt.Sprint(m.Hash(), run.Depth)
		mu.Lock()
		defer mu.Unlock()
		if e, ok := entropy[id]; ok && e != run.Entropy {
			t.Errorf("two entropies for one image at one depth")
		}
		entropy[id] = run.Entropy
		if run.Disk.Ops() != 0 {
			t.Errorf("a recovery begins with operation %d", run.Disk.Ops())
		}
		return inner(run)
	}
	mustExplore(t, explore.Config{Depth: 1, Workers: 1}, p)
	values := map[uint64]string{}
	for id, e := range entropy {
		if other, dup := values[e]; dup {
			t.Errorf("one entropy for %s and %s", id, other)
		}
		values[e] = id
	}
}

func BenchmarkImages(b *testing.B) {
	for _, bench := range []struct {
		name string
		c    explore.Config
		p    explore.Program
	}{
		{"64 cells, 2 deviations", explore.Config{Kinds: explore.Power, MaxDeviation: 2, Exhaustive: -1, MaxPerPoint: 1 << 20}, cells(64, 1)},
		{"256 cells in 8 writes, 1 deviation", explore.Config{Kinds: explore.Power, MaxDeviation: 1, Exhaustive: -1}, cells(256, 8)},
		{"register, all kinds", explore.Config{Depth: 1}, register{puts: 20}.program()},
		{"journal, all kinds, depth 2", explore.Config{Depth: 2}, journal{appends: 10}.program()},
		{"ext4 register", explore.Config{Guarantees: simfs.Ext4(), Depth: 1}, register{puts: 20}.program()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			var tried, recovered int
			for b.Loop() {
				r, err := explore.Explore(b.Context(), bench.c, bench.p)
				if err != nil || r.Violated > 0 {
					b.Fatal(err, r.Err())
				}
				tried += r.Images
				recovered += r.Recoveries
			}
			b.ReportMetric(float64(tried)/b.Elapsed().Seconds(), "images/s")
			b.ReportMetric(float64(recovered)/b.Elapsed().Seconds(), "recoveries/s")
		})
	}
}
