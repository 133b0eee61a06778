package simfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/untorn-db/untorn/simfs"
)

// TestNames: what names stand for now, and what a crash may bring back.
func TestNames(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	list := func() (words []string) {
		for _, n := range disk.Names() {
			words = append(words, fmt.Sprintf("%s=%d dir=%v size=%d live=%v", n.Path, n.Inode, n.Dir, n.Size, n.Live))
		}
		return words
	}
	expect := func(want ...string) {
		t.Helper()
		if got := list(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect()
	check(disk.Mkdir("d", 0o777))
	check(disk.SyncDir("/"))
	f, err := disk.Create("d/a")
	check(err)
	_, err = f.Write(make([]byte, 700))
	check(err)
	check(f.Sync())
	check(disk.SyncDir("d"))
	expect("d=1 dir=true size=0 live=true", "d/a=2 dir=false size=700 live=true")
	check(disk.Rename("d/a", "d/b"))
	expect("d=1 dir=true size=0 live=true", "d/a=2 dir=false size=700 live=false", "d/b=2 dir=false size=700 live=true")
	g, err := disk.Create("d/a")
	check(err)
	check(g.Close())
	expect("d=1 dir=true size=0 live=true", "d/a=3 dir=false size=0 live=true", "d/a=2 dir=false size=700 live=false", "d/b=2 dir=false size=700 live=true")
	check(disk.SyncDir("d"))
	check(disk.Remove("d/b"))
	check(disk.SyncDir("d"))
	expect("d=1 dir=true size=0 live=true", "d/a=3 dir=false size=0 live=true") // it is open, and nothing leads to it

	// Of what is not decided yet the newest counts, and asking decides nothing.
	h, err := disk.Create("c")
	check(err)
	_, err = h.Write([]byte("x"))
	check(err)
	after := disk.Crash(simfs.PowerLoss).Mount(simfs.ChooserFunc(func(v simfs.Var) int {
		t.Errorf("asked about %v", v)
		return 0
	}))
	if got := after.Names()[0]; got.Path != "c" || got.Size != 1 || !got.Live {
		t.Errorf("%+v", got)
	}
}

func TestLogFrom(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	f, err := disk.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 700 { // several blocks of the log
		if _, err := f.WriteAt([]byte{byte(i)}, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	all := disk.Log()
	for _, first := range []int{0, 1, 15, 16, 17, 300, 700, 701, 800} {
		got := disk.LogFrom(first)
		if want := all[min(first, len(all)):]; len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("from %d: %d operations, want %d", first, len(got), len(want))
		}
	}
	if op := all[3]; op.Inode != disk.Names()[0].Inode || all[0].Inode != 0 {
		t.Errorf("inode %d of a write, %d of a create", op.Inode, all[0].Inode)
	}
}

// TestFates: what became of each variable is what was chosen, where it was asked
// about, and is always an option that says what is there.
func TestFates(t *testing.T) {
	for _, name := range simfs.PresetNames() {
		g, err := simfs.ParseGuarantees(name)
		if err != nil {
			t.Fatal(err)
		}
		asked, untold := 0, 0
		for seed := range uint64(60) {
			random := rand.New(rand.NewPCG(seed, 1))
			disk := simfs.New(simfs.Options{Guarantees: g})
			for i := range 12 {
				name := string(rune('a' + random.IntN(4)))
				f, err := disk.OpenFile(name, 0x42, 0o666) // O_RDWR|O_CREATE
				if err != nil {
					t.Fatal(err)
				}
				data := bytes.Repeat([]byte{byte(i + 1)}, 1+random.IntN(3000)) // of no other write
				if _, err := f.WriteAt(data, int64(random.IntN(3))*512); err != nil {
					t.Fatal(err)
				}
				switch random.IntN(6) {
				case 0:
					err = f.Sync()
				case 1:
					err = disk.SyncDir("/")
				case 2:
					err = disk.Rename(name, string(rune('a'+random.IntN(4))))
				case 3:
					err = disk.Remove(name)
				case 4:
					err = f.Truncate(int64(random.IntN(3000)))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			was := disk.Crash(simfs.PowerLoss)
			chosen := map[simfs.VarID]int{}
			is := was.Resolve(simfs.ChooserFunc(func(v simfs.Var) int {
				chosen[v.ID] = v.Options[simfs.Random(seed).Choose(v)].Op
				return simfs.Random(seed).Choose(v)
			}))
			fates, vars := was.Fates(is), was.Vars()
			if len(fates) != len(vars) {
				t.Fatalf("%d fates of %d variables", len(fates), len(vars))
			}
			for i, v := range vars {
				op, told := chosen[v.ID]
				switch {
				case v.Kind == simfs.VarJournal:
					if fates[i] != -1 {
						t.Errorf("the journal: %d", fates[i])
					}
				case fates[i] < 0:
					untold++
					if there := inodes(is)[v.ID.Inode]; there {
						t.Errorf("%s, seed %d: %v: no fate, and the file is there", name, seed, v)
					}
				case told && op == -1: // the oldest that was left, which may be any of them
				case told:
					asked++
					o := v.Options[fates[i]]
					same := o.Op == op
					for _, again := range o.Again {
						same = same || again == op
					}
					for _, other := range v.Options { // a size or a name that came twice
						same = same || other.Op == op && v.Kind != simfs.VarCell && other.Size == o.Size
					}
					if !same {
						t.Errorf("%s, seed %d: %v: option %d, and %d was chosen", name, seed, v, o.Op, op)
					}
				}
			}
			for _, fate := range was.Fates(was) {
				if fate != -1 {
					t.Errorf("%s: a fate before anything is decided", name)
				}
			}
		}
		if asked == 0 && name != "sequential" {
			t.Errorf("%s: nothing was asked", name)
		}
		t.Logf("%s: %d asked about, %d not there", name, asked, untold)
	}
}

// inodes are those that a name leads to, the root among them.
func inodes(m *simfs.Image) map[int32]bool {
	there := map[int32]bool{0: true}
	for _, n := range m.Mount(nil).Names() {
		there[n.Inode] = true
	}
	return there
}
