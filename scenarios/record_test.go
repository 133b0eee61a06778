package scenarios

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// A moment is what a disk has pending behind an entry of a trace.
type moment struct {
	entry   int
	pending string
	op      int // the next operation of the life
	notes   int
}

// pendingOf is what a disk has pending, in words: each name by its path, and for
// each file the set of its cells and whether its size is, without its number.
func pendingOf(disk *simfs.FS) string {
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
	return p.String()
}

// pendingIn is the same of what a trace says.
func pendingIn(d *trace.Disk) string {
	p := newPendings()
	for _, c := range d.Pending() {
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
	return p.String()
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

// watchPlan traces a plan, and keeps what was pending at each moment.
func watchPlan(t *testing.T, p *plan.Plan) (*trace.Trace, []moment) {
	t.Helper()
	var all []moment
	got, err := traced(context.Background(), p, Config{}, func(n int, disk *simfs.FS, notes int) {
		all = append(all, moment{n, pendingOf(disk), disk.Ops(), notes})
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Format())
	}
	return got, all
}

// checkMoments compares a trace with what was there. What a lazy crash leaves open
// is pending on the disk, and may be decided in the trace.
func checkMoments(t *testing.T, p *plan.Plan, got *trace.Trace, all []moment, lazy bool) {
	t.Helper()
	var disk trace.Disk
	next := 0
	for _, m := range all {
		for ; next <= m.entry; next++ {
			disk.Apply(got.Entries[next].Changes)
		}
		if said := pendingIn(&disk); said != m.pending && !lazy {
			t.Fatalf("entry %d, %s:\nthe trace says %s\nthere is       %s\n%s", m.entry, got.Entries[m.entry].Text, said, m.pending, p.Format())
		}
	}
	if len(all) == 0 {
		t.Fatal("nothing was looked at")
	}
}

// TestTraceTellsWhatIsPending: who applies the changes of a trace has, behind each
// operation and each crash, pending what a power loss there would decide about.
func TestTraceTellsWhatIsPending(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	crashes, states := 0, map[trace.State]int{}
	for _, name := range Names() {
		for _, disk := range []string{"posix", "ext4", "ext4-writeback", "xfs", "btrfs", "sequential"} {
			p, err := Draw(name, disk, random.Uint64N(1000)+1)
			if err != nil {
				t.Fatal(err)
			}
			p.Crashes = nil
			got, all := watchPlan(t, p)
			checkMoments(t, p, got, all, false)
			for range 3 {
				q := p.Clone()
				got, life := got, all
				for range 2 { // crashes in a row
					var last []moment
					for _, m := range life {
						if e := got.Entries[m.entry]; e.Life == got.Entries[len(got.Entries)-1].Life && e.Kind == trace.Op {
							last = append(last, m)
						}
					}
					if len(last) == 0 {
						break
					}
					m := last[random.IntN(len(last))]
					crash := explore.Crash{Kind: simfs.PowerLoss, Op: m.op, Notes: m.notes, Prefix: random.IntN(m.op+3) - 1}
					if crash.Prefix < 0 {
						crash.Prefix = explore.None
					}
					if random.IntN(4) == 0 {
						crash = explore.Crash{Kind: simfs.ProcessKill, Op: m.op, Notes: m.notes}
					}
					q.Crashes = append(q.Crashes, crash.String())
					got, life = watchPlan(t, q)
					checkMoments(t, q, got, life, false)
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
	t.Log(crashes, states)
}
