package scenarios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// A moment is what a disk has pending behind an entry of a trace.
type moment struct {
	entry   int
	pending *pendings
	op      int // the next operation of the life
	notes   int
}

// pendingOf is what a disk has pending, in words: each name by its path, and for
// each file the set of its cells and whether its size is, without its number.
func pendingOf(disk *simfs.FS) *pendings {
	p := newPendings()
	for _, v := range disk.Crash(simfs.PowerLoss).Vars() {
		switch v.Kind {
		case simfs.VarName:
			p.names[v.Path] = true
		case simfs.VarSize:
			p.file(int(v.ID.Inode)).size = true
		case simfs.VarCell:
			p.file(int(v.ID.Inode)).cells[v.Cell] = true
		}
	}
	return p
}

// pendingIn is the same of changes.
func pendingIn(list []trace.Change) *pendings {
	p := newPendings()
	for _, c := range list {
		switch c.Of {
		case trace.OfName:
			p.names[c.Path] = true
		case trace.OfSize:
			p.file(c.File).size = true
		case trace.OfCells:
			for k := c.From; k < c.To; k++ {
				p.file(c.File).cells[k] = true
			}
		}
	}
	return p
}

type pendings struct {
	names map[string]bool
	files map[int]*pendingFile
}

type pendingFile struct {
	size  bool
	cells map[int]bool
}

func newPendings() *pendings {
	return &pendings{map[string]bool{}, map[int]*pendingFile{}}
}

func (p *pendings) file(n int) *pendingFile {
	if p.files[n] == nil {
		p.files[n] = &pendingFile{cells: map[int]bool{}}
	}
	return p.files[n]
}

func (p *pendings) String() string {
	var files []string
	for _, f := range p.files {
		files = append(files, fmt.Sprint(f.size, slices.Sorted(maps.Keys(f.cells))))
	}
	slices.Sort(files)
	return fmt.Sprint(slices.Sorted(maps.Keys(p.names)), files)
}

// counts are the names, and how many files have each cell or their size there.
func (p *pendings) counts() map[string]int {
	counts := map[string]int{}
	for name := range p.names {
		counts["name "+name]++
	}
	for _, f := range p.files {
		if f.size {
			counts["size"]++
		}
		for k := range f.cells {
			counts[fmt.Sprint("cell ", k)]++
		}
	}
	return counts
}

// without reports whether p is other but for some of less.
func (p *pendings) without(other, less *pendings) bool {
	mine, all, some := p.counts(), other.counts(), less.counts()
	for what, n := range all {
		if m := mine[what]; m > n || m < n-some[what] {
			return false
		}
		delete(mine, what)
	}
	return len(mine) == 0
}

// watchPlan traces a plan, and keeps what was pending at each moment. The error is
// an *explore.PathError.
func watchPlan(t *testing.T, p *plan.Plan) (*trace.Trace, []moment, error) {
	t.Helper()
	var all []moment
	got, err := traced(context.Background(), p, Config{}, func(n int, disk *simfs.FS, notes int) {
		all = append(all, moment{n, pendingOf(disk), disk.Ops(), notes})
	})
	var misfit *explore.PathError
	if err != nil && !errors.As(err, &misfit) {
		t.Fatalf("%v\n%s", err, p.Format())
	}
	return got, all, err
}

// checkMoments compares a trace with what was there. A trace says of a lazy crash at
// once what is decided later.
func checkMoments(t *testing.T, p *plan.Plan, got *trace.Trace, all []moment) {
	t.Helper()
	if len(all) == 0 {
		t.Fatal("nothing was looked at")
	}
	checkWriters(t, got)
	lazy := newPendings() // what the last crash has decided, if it was a lazy one
	var disk trace.Disk
	next := 0
	for _, m := range all {
		for ; next <= m.entry; next++ {
			e := &got.Entries[next]
			disk.Apply(e.Changes)
			if e.Kind == trace.Crash {
				lazy = newPendings()
			}
			if e.Kind == trace.Crash && strings.Contains(e.Line, " lazy ") {
				lazy = pendingIn(e.Changes)
			}
		}
		if said := pendingIn(disk.Pending()); !said.without(m.pending, lazy) || len(lazy.counts()) == 0 && said.String() != m.pending.String() {
			t.Fatalf("entry %d, %s:\nthe trace says %s\nthere is       %s\n%s", m.entry, got.Entries[m.entry].Text, said, m.pending, p.Format())
		}
	}
}

// checkWriters: who is said to have made a version is an operation that could, and a
// file that is made has a number that no other had.
func checkWriters(t *testing.T, got *trace.Trace) {
	t.Helper()
	most := 0 // the highest number of a file
	for i := range got.Entries {
		e := &got.Entries[i]
		made := e.Op != nil && e.Op.Error == "" && (e.Op.Verb == "create" || e.Op.Verb == "mkdir")
		before := most
		for _, c := range e.Changes {
			if made && c.Of == trace.OfName && c.Path == e.Op.Path && c.File <= before {
				t.Fatalf("entry %d, %s: it has the number of an earlier file: %+v", e.N, e.Text, c)
			}
			most = max(most, c.File)
			if c.By == 0 {
				continue
			}
			op := got.Entries[c.By].Op
			could := op != nil
			switch {
			case !could:
			case c.Of == trace.OfName:
				could = op.Path == c.Path || op.To == c.Path
			case op.File != 0:
				could = op.File == c.File && slices.Contains([]string{"write", "truncate", "preallocate"}, op.Verb)
			}
			if !could {
				t.Fatalf("entry %d, %s: %+v was not made by entry %d, %s", e.N, e.Text, c, c.By, got.Entries[c.By].Text)
			}
		}
	}
}

// operations are the moments behind operations of the last life.
func operations(got *trace.Trace, all []moment) (last []moment) {
	for _, m := range all {
		if e := &got.Entries[m.entry]; e.Life == got.Entries[len(got.Entries)-1].Life && e.Kind == trace.Op {
			last = append(last, m)
		}
	}
	return last
}

// TestTraceTellsWhatIsPending: who applies the changes of a trace has, behind each
// operation and each crash, pending what a power loss there would decide about.
func TestTraceTellsWhatIsPending(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 2))
	crashes, lazy, misfits, states := 0, 0, 0, map[trace.State]int{}
	for _, name := range Names() {
		for _, disk := range simfs.PresetNames() {
			if testing.Short() && disk != "posix" && disk != "xfs" {
				continue
			}
			p, err := Draw(name, disk, random.Uint64N(1000)+1)
			if err != nil {
				t.Fatal(err)
			}
			p.Crashes = nil
			plainTrace, plainMoments, _ := watchPlan(t, p)
			checkMoments(t, p, plainTrace, plainMoments)
			for range 2 {
				q := p.Clone()
				got, life := plainTrace, plainMoments
				for range 2 { // crashes in a row
					last := operations(got, life)
					if len(last) == 0 {
						break
					}
					m := last[random.IntN(len(last))]
					crash := explore.Crash{Kind: simfs.PowerLoss, Op: m.op, Notes: m.notes, Prefix: random.IntN(m.op+3) - 1}
					if crash.Prefix < 0 {
						crash.Prefix = explore.None
					}
					if crash.Lazy = random.IntN(3) == 0; crash.Lazy {
						lazy++
					}
					if random.IntN(4) == 0 {
						crash = explore.Crash{Kind: simfs.ProcessKill, Op: m.op, Notes: m.notes}
						if op := got.Entries[m.entry].Op; op.Verb == "write" && op.Length > int64(got.Header.Cell) {
							crash.Op, crash.Cells = op.Index, 1
						}
					}
					q.Crashes = append(q.Crashes, crash.String())
					if got, life, err = watchPlan(t, q); err != nil {
						misfits++ // between two notes that the lazy search does not part
						break
					}
					checkMoments(t, q, got, life)
					crashes++
					for i := range got.Entries {
						for _, c := range got.Entries[i].Changes {
							states[c.State]++
						}
					}
				}
			}
		}
	}
	t.Logf("%d crashes, %d lazy, %d misfits, %v", crashes, lazy, misfits, states)
	if crashes < 5*misfits || lazy == 0 {
		t.Errorf("%d crashes, %d lazy, and %d that could not be taken", crashes, lazy, misfits)
	}
	for _, state := range trace.States() {
		if states[state] == 0 && !testing.Short() {
			t.Errorf("no change is %s", state)
		}
	}
}

// violations are plans that fail, since a sync does less than it says.
func violations(t *testing.T) (list []Violation) {
	t.Helper()
	for _, c := range []struct{ scenario, disk, sync string }{
		{"batch", "posix", "drop SyncData *"},
		{"batch", "ext4", "drop Sync *"},
		{"mixed", "btrfs", "drop SyncData *"},
		{"groupcommit", "posix", "drop SyncData *"},
		{"crashloop", "xfs", "drop SyncData *"},
		{"batch", "posix", "drop SyncDir *"},
		{"rotate", "ext4", "drop SyncDir *"},
	} {
		for _, lazy := range []string{"true", "false"} {
			p, err := Draw(c.scenario, c.disk, 7)
			if err != nil {
				t.Fatal(err)
			}
			p.Settings = slices.DeleteFunc(p.Settings, func(kv plan.KV) bool { return kv.Key == "lazy" })
			p.Settings = append(p.Settings, plan.KV{Key: "sync", Value: c.sync}, plan.KV{Key: "lazy", Value: lazy})
			r, err := Run(context.Background(), p, Config{Images: 60, Violations: 3})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, r.Violations...)
		}
	}
	return list
}

// TestTraceEndsAsARun: the verdict of a trace is that of a run of the same plan, its
// digests are those of the steps that came before the crash, it says of each crash
// what Follow says, and it is the same each time.
func TestTraceEndsAsARun(t *testing.T) {
	ctx := context.Background()
	lazy, states, lives := 0, map[trace.State]int{}, map[int]int{}
	for _, v := range violations(t) {
		got, err := Trace(ctx, v.Plan, Config{})
		if err != nil {
			t.Fatalf("%v\n%s", err, v.Plan.Format())
		}
		r, err := Run(ctx, v.Plan, Config{})
		if err != nil || len(r.Violations) == 0 {
			t.Fatalf("the plan does not fail again: %v\n%s", err, v.Plan.Format())
		}
		last := got.Entries[len(got.Entries)-1]
		if last.Kind != trace.Verdict || !last.Failed || last.Text != oneLine(r.Violations[0].Err.Error()) || got.Header.Invariant != v.Invariant {
			t.Errorf("the trace ends with %+v, %q, not with %v", last, got.Header.Invariant, r.Violations[0].Err)
		}
		digests := map[string]bool{}
		for _, d := range r.Digests {
			digests[fmt.Sprintf("%d %016x", d.Step, d.Sum)] = true
		}
		ended, crashes := 0, 0
		for i := range got.Entries {
			e := &got.Entries[i]
			if e.Digest != "" {
				ended++
				if !digests[fmt.Sprintf("%d %s", e.Step, e.Digest)] {
					t.Errorf("step %d has digest %s in the trace only", e.Step, e.Digest)
				}
			}
			if e.Kind == trace.Crash {
				crashes++
			}
		}
		if ended == 0 && crashes > 0 && got.Entries[0].Step != last.Step {
			t.Logf("no step ended before the crash\n%s", v.Plan.Format())
		}
		lives[crashes]++
		lazy += strings.Count(strings.Join(v.Plan.Crashes, " "), " lazy ")
		checkChoices(t, v.Plan, got, states)

		var first, second bytes.Buffer
		again, err := Trace(ctx, v.Plan, Config{})
		if err := errors.Join(err, got.Write(&first), again.Write(&second)); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Errorf("two traces of one plan differ: %+v", trace.Diff(got, again))
		}
		back, err := trace.Read(&first)
		if err != nil {
			t.Fatal(err)
		}
		if d := trace.Diff(got, back); d != nil {
			t.Errorf("what is read is not what was written: %+v", d)
		}
	}
	t.Logf("%d lazy crashes, %v, lives %v", lazy, states, lives)
	for _, state := range []trace.State{trace.Kept, trace.Lost, trace.Torn} {
		if states[state] == 0 {
			t.Errorf("no choice is %s", state)
		}
	}
	if lazy == 0 {
		t.Error("no crash is lazy")
	}
}

// checkChoices compares what a trace says of the plan's crash lines with the
// choices that were made.
func checkChoices(t *testing.T, p *plan.Plan, got *trace.Trace, states map[trace.State]int) {
	t.Helper()
	trail, err := Follow(context.Background(), p, Config{})
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, m := range trail.Moments {
		ops := 0
		for ; got.Entries[at].Line == ""; at++ {
			switch got.Entries[at].Kind {
			case trace.Op:
				ops++
			case trace.Crash: // among the steps
				ops = 0
			}
		}
		if m.Crash.Cells > 0 {
			ops-- // that it came inside of
		}
		if ops != m.At {
			t.Errorf("%s: %d operations came before it, want %d", m.Crash, ops, m.At)
		}
		said, sizes := map[string]trace.State{}, map[string]int64{}
		for _, c := range got.Entries[at].Changes {
			switch c.Of {
			case trace.OfName:
				said["name "+c.Path] = c.State
			case trace.OfSize:
				said["size "+c.Path] = c.State
				sizes[c.Path] = c.Size
			case trace.OfCells:
				for k := c.From; k < c.To; k++ {
					said[fmt.Sprint("cell ", c.Path, " ", k)] = c.State
				}
			}
		}
		if got.Entries[at].Line != m.Crash.String() {
			t.Errorf("crash line %q, want %q", got.Entries[at].Line, m.Crash)
		}
		for _, c := range m.Choices {
			what := c.Var.Kind.String() + " " + c.Var.Path
			switch {
			case c.Var.Kind == simfs.VarJournal:
				continue
			case c.Var.Kind == simfs.VarCell:
				what += fmt.Sprint(" ", c.Var.Cell)
			}
			state, ok := said[what]
			if !ok {
				state, ok = said[strings.Replace(what, ".new", ".seg", 1)] // by the name that it has now
			}
			states[state]++
			latest := simfs.Latest().Choose(c.Var)
			newest := latest == c.Option
			if was, is := c.Var.Options[latest], c.Var.Options[c.Option]; c.Var.Kind != simfs.VarCell && was.Size == 0 && is.Size == 0 {
				newest = true // an older version that says the same
			}
			switch state {
			case trace.Kept:
				ok = ok && newest
			case trace.Garbage:
				ok = ok && c.Var.Options[c.Option].Garbage
			case trace.Lost, trace.Torn:
				end, cut := sizes[c.Var.Path]
				cut = cut && c.Var.Kind == simfs.VarCell && int64(c.Var.Cell*got.Header.Cell) >= end
				ok = ok && (!newest || cut || said["name "+c.Var.Path] == trace.Lost)
			}
			if !ok {
				t.Errorf("%s: the trace says %q; %v, option %d\n%s", m.Crash, state, c.Var, c.Option, p.Format())
			}
		}
		at++
	}
}
