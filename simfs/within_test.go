package simfs

import (
	"io"
	"testing"

	"pgregory.net/rapid"
)

// trees returns all disks that an image stands for after some more operations and
// a second crash; false where there are too many.
func trees(t failer, m *Image, after []careless) (map[string]bool, bool) {
	return outcomes(400, func(c Chooser) string {
		f := m.Mount(c)
		for _, op := range after {
			op.do(f)
		}
		return dump(t, f.Crash(PowerLoss).Mount(c), 0)
	})
}

// Where one image is within another, so is every disk that it stands for, and
// every one that it leads to.
func TestWithinHoldsForAllDisks(t *testing.T) {
	for _, g := range Presets() {
		t.Run(g.Name, func(t *testing.T) {
			yes, narrower := 0, 0
			rapid.Check(t, func(t *rapid.T) {
				o := Options{Guarantees: g}
				o.Guarantees.Tear = rapid.IntRange(0, 3).Draw(t, "tear") == 0
				if rapid.IntRange(0, 2).Draw(t, "garbage") == 0 {
					o.Garbage = Garbage{Block: true, Stale: true, Seed: 1}
				}
				f := New(o)
				f.Mkdir("d", 0o755)
				if rapid.Bool().Draw(t, "synced") {
					f.SyncDir("/")
				}
				var images []*Image
				run := func(f *FS, most int) {
					for _, op := range drawAll(t, most) {
						op.do(f)
						images = append(images, f.Crash(rapid.SampledFrom([]Kind{PowerLoss, PowerLoss, ProcessKill}).Draw(t, "crash")))
					}
				}
				run(f, 7)
				// What became of some of them after a crash that decided some variables.
				for range rapid.IntRange(1, 3).Draw(t, "descendants") {
					if len(images) == 0 {
						return
					}
					m := images[rapid.IntRange(0, len(images)-1).Draw(t, "image")]
					f := m.Mount(Random(rapid.Uint64().Draw(t, "seed")))
					for _, name := range []string{"a", "b", "d/x"} {
						switch rapid.IntRange(0, 3).Draw(t, "look") {
						case 0:
							f.Stat(name)
						case 1:
							if h, err := f.Open(name); err == nil {
								h.Read(make([]byte, 512))
							}
						}
					}
					images = append(images, f.Crash(PowerLoss))
					run(f, 2)
				}
				after := drawAll(t, 3)
				for i, m := range images {
					for _, n := range images[max(0, i-3):min(len(images), i+4)] {
						if m == n || !m.Within(n) {
							continue
						}
						for _, more := range [][]careless{nil, after} {
							mine, ok := trees(t, m, more)
							if !ok {
								continue
							}
							theirs, ok := trees(t, n, more)
							if !ok {
								continue
							}
							for tree := range mine {
								if !theirs[tree] {
									t.Fatalf("within, but after %+v it alone has\n%s\nthe other has\n%s\nvariables %v\nand %v", more, tree, keys(theirs), m.Vars(), n.Vars())
								}
							}
							yes++
							if len(mine) < len(theirs) {
								narrower++
							}
						}
					}
				}
			})
			if yes == 0 || narrower == 0 && !g.Journal { // a journal ties most of it; see TestWithinSaysYes
				t.Fatalf("%d pairs were within, %d of them properly", yes, narrower)
			}
		})
	}
}

// The cases that a search of nested crashes lives on.
func TestWithinSaysYes(t *testing.T) {
	for _, g := range Presets() {
		f := New(Options{Guarantees: g})
		h, err := f.Create("a")
		if err != nil {
			t.Fatal(err)
		}
		h.WriteAt(make([]byte, 5*PageSize), 0)
		h.Sync()
		f.SyncDir("/")
		durable := f.Crash(PowerLoss)
		for i := range 4 { // one write a page, so that no extent has two of them
			h.WriteAt([]byte{'x'}, int64(i)*PageSize)
		}
		written := f.Crash(PowerLoss)
		if !written.Within(written) {
			t.Errorf("%s: an image is not within itself", g.Name)
		}
		if g.Sequential {
			if written.Within(durable) || durable.Within(written) {
				t.Errorf("%s: within, though the journal is open", g.Name)
			}
			continue
		}
		if !durable.Within(written) || written.Within(durable) {
			t.Errorf("%s: before the writes is within after them: %v; the other way round: %v", g.Name, durable.Within(written), written.Within(durable))
		}
		disk := written.Mount(Latest())
		a, err := disk.Open("a")
		if err != nil {
			t.Fatal(err)
		}
		image := written
		for range 4 { // each read decides more
			if _, err := io.ReadFull(a, make([]byte, PageSize)); err != nil {
				t.Fatal(err)
			}
			next := disk.Crash(PowerLoss)
			if !next.Within(image) || !next.Within(written) || image.Within(next) {
				t.Errorf("%s: with a page read: within %v, within the first %v, the other way round %v", g.Name, next.Within(image), next.Within(written), image.Within(next))
			}
			image = next
		}
		all, _ := resolutions(100, written)
		for _, m := range all {
			if !m.Within(written) {
				t.Errorf("%s: a single disk is not within the image it is of", g.Name)
			}
		}
		if len(all) != 16 {
			t.Errorf("%s: %d disks, want 16", g.Name, len(all))
		}
	}
}

// What it refuses, although a more careful look might allow it.
func TestWithinSaysNo(t *testing.T) {
	made := func(g Guarantees, ops ...func(f *FS)) *FS {
		f := New(Options{Guarantees: g})
		for _, op := range ops {
			op(f)
		}
		return f
	}
	create := func(name string) func(f *FS) {
		return func(f *FS) {
			h, err := f.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			h.Write([]byte("x"))
		}
	}
	sync := func(f *FS) { f.SyncDir("/") }
	rename := func(f *FS) { f.Rename("a", "b") }
	for _, c := range []struct {
		name string
		m, o *Image
	}{
		{"a rename ties two names", made(Posix(), create("a"), sync).Crash(PowerLoss), made(Posix(), create("a"), sync, rename).Crash(PowerLoss)},
		{"the journal is open", made(Ext4()).Crash(PowerLoss), made(Ext4(), create("a")).Crash(PowerLoss)},
		{"a size needs its page", made(XFS(), create("a"), sync).Crash(PowerLoss).Mount(Oldest()).Crash(PowerLoss), made(XFS(), create("a"), sync).Crash(PowerLoss)},
		{"a process kill leaves writes pending", made(Posix(), create("a"), sync).Crash(ProcessKill), made(Posix(), create("a"), sync).Crash(PowerLoss)},
		{"other guarantees", made(Posix()).Crash(PowerLoss), made(Sequential()).Crash(PowerLoss)},
		{"a file more", made(Posix(), create("a"), sync).Crash(PowerLoss), made(Posix()).Crash(PowerLoss)},
	} {
		if c.m.Within(c.o) {
			t.Errorf("%s: within", c.name)
		}
	}
}

// What looks within now and is not after some more operations, because a disk
// remembers what stood in a block.
func TestWithinThinksOfGarbage(t *testing.T) {
	garbage := Garbage{Block: true, Stale: true, Seed: 1}
	start := func(fail string) *FS {
		f := New(Options{Garbage: garbage})
		for _, op := range []careless{{kind: "create", name: "a"}, {kind: "write", name: "a", n: 512, fill: 'x'}, {kind: "sync", name: "a"}, {kind: "syncdir"}} {
			op.do(f)
		}
		if fail != "" {
			careless{kind: "write", name: "a", n: 512, fill: 'y'}.do(f)
			f.FailSync("a", false, fail)
		}
		return f
	}
	zeros := start("")
	for _, op := range []careless{{kind: "preallocate", name: "a", at: 512, n: 512}, {kind: "sync", name: "a"}, {kind: "write", name: "a", at: 512, n: 512, fill: 'y'}} {
		op.do(zeros)
	}
	open := zeros.Crash(PowerLoss)
	decided := open.Mount(Oldest())
	careless{kind: "read", name: "a"}.do(decided)
	twice := New(Options{Garbage: garbage})
	for _, op := range []careless{{kind: "create", name: "b"}, {kind: "write", name: "b", n: 512, fill: 'z'}, {kind: "sync", name: "b"}, {kind: "remove", name: "b"}} {
		op.do(twice)
	}
	for _, op := range []careless{{kind: "create", name: "a"}, {kind: "write", name: "a", n: 512, fill: 'x'}, {kind: "sync", name: "a"}, {kind: "syncdir"}} {
		op.do(twice)
	}
	hole := []careless{{kind: "remove", name: "a"}, {kind: "create", name: "b"}, {kind: "syncdir"}, {kind: "write", name: "b", at: 512, n: 512, fill: 'x'}}
	for _, c := range []struct {
		name  string
		m, o  *Image
		after []careless
	}{
		{"a removed file left more in its block", twice.Crash(PowerLoss), start("").Crash(PowerLoss), hole},
		{"the last run saw what never reached the platter", start("silent").Crash(PowerLoss), start("").Crash(PowerLoss), hole},
		{"a cell where nothing is may get garbage again", decided.Crash(PowerLoss), open, []careless{
			{kind: "truncate", name: "a", at: 512}, {kind: "write", name: "a", at: 1024, n: 256, fill: 'x'}}},
	} {
		for i, after := range [][]careless{nil, c.after} {
			mine, ok := trees(t, c.m, after)
			theirs, ok2 := trees(t, c.o, after)
			if !ok || !ok2 {
				t.Fatal("too many disks")
			}
			more := ""
			for tree := range mine {
				if !theirs[tree] {
					more = tree
				}
			}
			if (more == "") != (i == 0) {
				t.Errorf("%s: after %+v it alone has %q", c.name, after, more)
			}
		}
		if c.m.Within(c.o) {
			t.Errorf("%s: within", c.name)
		}
	}
}

// Two files are not one file with two names.
func TestWithinPairsFiles(t *testing.T) {
	f := New(Options{})
	for _, name := range []string{"a", "b"} {
		if _, err := f.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	f.SyncDir("/")
	two, one := f.Crash(PowerLoss), f.Clone().Crash(PowerLoss)
	root := one.d.mut(0)
	root.ents[1].ino = root.ents[0].ino
	if !two.Within(f.Crash(PowerLoss)) || two.Within(one) || one.Within(two) {
		t.Errorf("within itself %v, in one file %v, one file in two %v", two.Within(f.Crash(PowerLoss)), two.Within(one), one.Within(two))
	}
}

func BenchmarkWithin(b *testing.B) {
	f := New(Options{})
	h, err := f.Create("a")
	if err != nil {
		b.Fatal(err)
	}
	h.WriteAt(make([]byte, 64*512), 0)
	h.Sync()
	f.SyncDir("/")
	for i := range 64 {
		h.WriteAt([]byte("x"), int64(i)*512)
	}
	o := f.Crash(PowerLoss)
	disk := o.Mount(Latest())
	a, err := disk.Open("a")
	if err != nil {
		b.Fatal(err)
	}
	a.Read(make([]byte, 512))
	m := disk.Crash(PowerLoss)
	for b.Loop() {
		if !m.Within(o) {
			b.Fatal("not within")
		}
	}
}
