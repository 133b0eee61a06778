package simfs

import (
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The parts of an image are the image: together they stand for its disks, now and
// after more operations and a second crash, and for no others. So where each is
// within a part of some other image, those have all that it has.
func TestPartsAreTheWhole(t *testing.T) {
	for _, g := range Presets() {
		t.Run(g.Name, func(t *testing.T) {
			whole, split, covered := 0, 0, 0
			rapid.Check(t, func(t *rapid.T) {
				o := Options{Guarantees: g}
				o.Guarantees.Tear = rapid.IntRange(0, 3).Draw(t, "tear") == 0
				o.Guarantees.SplitRename = rapid.IntRange(0, 3).Draw(t, "split") == 0
				if rapid.IntRange(0, 2).Draw(t, "garbage") == 0 {
					o.Garbage = Garbage{Block: true, Stale: true, Seed: 1}
				}
				f := New(o)
				f.Mkdir("d", 0o755)
				for _, name := range []string{"a", "b"} { // or most operations find nothing
					if rapid.Bool().Draw(t, name) {
						fileOf(f, name, name[0], 512)
					}
				}
				f.SyncDir("/")
				var images []*Image
				run := func(f *FS, most int) {
					for _, op := range drawAll(t, most) {
						if rapid.IntRange(0, 3).Draw(t, "tie") == 0 {
							op.kind = rapid.SampledFrom([]string{"rename", "rename", "remove", "create", "write"}).Draw(t, "tying")
						}
						op.do(f)
						images = append(images, f.Crash(rapid.SampledFrom([]Kind{PowerLoss, PowerLoss, PowerLoss, ProcessKill}).Draw(t, "crash")))
					}
				}
				run(f, 7)
				for range rapid.IntRange(0, 2).Draw(t, "descendants") {
					if len(images) == 0 {
						return
					}
					m := images[rapid.IntRange(0, len(images)-1).Draw(t, "image")]
					run(m.Mount(Random(rapid.Uint64().Draw(t, "seed"))), 3)
				}
				after := drawAll(t, 3)
				all := make([][]*Image, len(images))
				for i, m := range images {
					all[i] = m.Parts(20)
				}
				for i, m := range images {
					parts := all[i]
					if parts == nil {
						continue
					}
					for _, more := range [][]careless{nil, after} {
						want, ok := trees(t, m, more)
						if !ok {
							continue
						}
						got := map[string]bool{}
						for _, p := range parts {
							if p.d.anyTied() {
								t.Fatalf("a part is tied: %v", p.Vars())
							}
							of, ok := trees(t, p, more)
							if !ok {
								t.Fatalf("a part has more disks than the whole, after %+v", more)
							}
							for tree := range of {
								got[tree] = true
							}
						}
						if keys(got) != keys(want) {
							t.Fatalf("after %+v the parts have\n%s\nthe image has\n%s\nvariables %v", more, keys(got), keys(want), m.Vars())
						}
						if len(parts) > 1 {
							split++
						}
						whole++
						theirs, found := coverers(t, images, all, i, more)
						if !found {
							continue
						}
						for tree := range want {
							if !theirs[tree] {
								t.Fatalf("covered, but after %+v it alone has\n%s\nthe others have\n%s\nvariables %v", more, tree, keys(theirs), m.Vars())
							}
						}
						covered++
					}
				}
			})
			if whole == 0 || split == 0 || covered == 0 {
				t.Fatalf("%d images were compared with their parts, %d had several, %d were covered by others", whole, split, covered)
			}
		})
	}
}

// coverers returns the disks of other images that have a part which a part of image
// i is within; false where some part of it has none, or the disks are too many.
func coverers(t failer, images []*Image, parts [][]*Image, i int, after []careless) (map[string]bool, bool) {
	theirs := map[string]bool{}
	for _, p := range parts[i] {
		k := slices.IndexFunc(parts, func(of []*Image) bool {
			return !slices.Contains(of, p) && slices.ContainsFunc(of, p.Within)
		})
		if k < 0 {
			return nil, false
		}
		of, ok := trees(t, images[k], after)
		if !ok {
			return nil, false
		}
		for tree := range of {
			theirs[tree] = true
		}
	}
	return theirs, true
}

// fileOf makes a file of some bytes that is durable with its name.
func fileOf(f *FS, name string, fill byte, n int) {
	for _, op := range []careless{
		{kind: "create", name: name}, {kind: "write", name: name, n: n, fill: fill}, {kind: "sync", name: name}, {kind: "syncdir"},
	} {
		op.do(f)
	}
}

// What ties variables together makes parts, and what a kill left makes none.
func TestParts(t *testing.T) {
	start := func(g Guarantees) *FS {
		f := New(Options{Guarantees: g})
		fileOf(f, "a", 'a', PageSize)
		fileOf(f, "b", 'b', PageSize)
		return f
	}
	rename := func(f *FS) { f.Rename("a", "b") }
	create := func(f *FS) { careless{kind: "create", name: "c"}.do(f) }
	for _, c := range []struct {
		name string
		g    Guarantees
		ops  []careless
		do   func(f *FS)
		kind Kind
		want int
	}{
		{name: "nothing pending", g: Posix(), want: 1},
		{name: "cells that nothing ties", g: Posix(), ops: []careless{{kind: "write", name: "a", n: PageSize, fill: 'x'}}, want: 1},
		{name: "a rename", g: Posix(), do: rename, want: 2},
		{name: "a rename", g: Ext4(), do: rename, want: 2},
		{name: "a name", g: Posix(), do: create, want: 1},
		{name: "a name in the journal", g: Ext4(), do: create, want: 2},
		{name: "a name of two files", g: Posix(), ops: []careless{{kind: "remove", name: "a"}, {kind: "create", name: "a"}}, want: 3},
		{name: "a size that needs its page", g: Ext4(), ops: []careless{{kind: "write", name: "a", at: PageSize, n: 512, fill: 'x'}}, want: 2},
		{name: "a size alone", g: Posix(), ops: []careless{{kind: "write", name: "a", at: PageSize, n: 512, fill: 'x'}}, want: 1},
		{name: "an extent", g: Btrfs(), ops: []careless{{kind: "write", name: "a", n: 2 * PageSize, fill: 'x'}}, want: 2},
		{name: "a journal of writes", g: Sequential(), ops: []careless{
			{kind: "write", name: "a", n: 512, fill: 'x'}, {kind: "write", name: "b", n: 512, fill: 'x'}}, want: 3},
		{name: "a rename after a kill", g: Posix(), do: rename, kind: ProcessKill, want: 0},
		{name: "a write after a kill", g: Posix(), ops: []careless{{kind: "write", name: "a", n: 512, fill: 'x'}}, kind: ProcessKill, want: 0},
		{name: "nothing after a kill", g: Posix(), kind: ProcessKill, want: 1},
	} {
		f := start(c.g)
		for _, op := range c.ops {
			op.do(f)
		}
		if c.do != nil {
			c.do(f)
		}
		m := f.Crash(max(c.kind, PowerLoss))
		parts := m.Parts(8)
		if len(parts) != c.want {
			t.Errorf("%s on %s: %d parts, want %d", c.name, c.g.Name, len(parts), c.want)
		}
		if few := m.Parts(c.want - 1); c.want > 1 && few != nil {
			t.Errorf("%s on %s: %d parts where only %d are wanted", c.name, c.g.Name, len(few), c.want-1)
		}
		for _, p := range parts {
			if !p.Within(p) {
				t.Errorf("%s on %s: a part is not within itself", c.name, c.g.Name)
			}
			if c.want > 1 && m.Within(p) {
				t.Errorf("%s on %s: the image is within a part", c.name, c.g.Name)
			}
		}
	}
}

// What a file that is made anew leaves is in parts: what was there before, nothing,
// and the new one. The last is new unless the same was written where there was
// nothing.
func TestPartsOfAFileMadeAnew(t *testing.T) {
	made := func(f *FS, fill byte) *Image {
		for _, op := range []careless{{kind: "create", name: "a"}, {kind: "write", name: "a", n: PageSize, fill: fill}} {
			op.do(f)
		}
		return f.Crash(PowerLoss)
	}
	for _, g := range Presets() {
		f := New(Options{Guarantees: g})
		f.SyncDir("/")
		none := f.Crash(PowerLoss)
		old, again := made(none.Mount(nil), 'x'), made(none.Mount(nil), 'y')
		disk := old.Mount(Latest())
		h, err := disk.Open("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(h); err != nil {
			t.Fatal(err)
		}
		careless{kind: "remove", name: "a"}.do(disk)
		anew := made(disk, 'y').Parts(20)
		if len(anew) < 3 {
			t.Errorf("%s: %d parts, want at least 3", g.Name, len(anew))
		}
		in := func(images ...*Image) (n int) {
			var parts []*Image
			for _, m := range images {
				parts = append(parts, m.Parts(20)...)
			}
			for _, p := range anew {
				if slices.ContainsFunc(parts, p.Within) {
					n++
				}
			}
			return n
		}
		if n := in(old, again); n != len(anew) {
			t.Errorf("%s: %d of %d parts are within what was there and what is made", g.Name, n, len(anew))
		}
		if n := in(old); n == 0 || n == len(anew) {
			t.Errorf("%s: %d of %d parts are within what was there", g.Name, n, len(anew))
		}
		if n := in(again); n == 0 || n == len(anew) {
			t.Errorf("%s: %d of %d parts are within what is made", g.Name, n, len(anew))
		}
	}
}
