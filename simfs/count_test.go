package simfs

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// resolutions walks all answers that Resolve can be given and returns the images
// they lead to; false where there are more than limit.
func resolutions(limit int, m *Image) ([]*Image, bool) {
	var all []*Image
	_, ok := Walk(limit, func(a *Answers) { all = append(all, m.Resolve(a)) })
	return all, ok
}

// drawPromises draws a preset, sometimes with a change.
func drawPromises(t *rapid.T) Guarantees {
	g := rapid.SampledFrom(Presets()).Draw(t, "preset")
	switch rapid.IntRange(0, 9).Draw(t, "change") {
	case 0:
		g.Tear = true
	case 1:
		g.SplitRename = true
	case 2:
		g.Powersafe = false
	case 3:
		g.SizeAfterData = !g.SizeAfterData
	case 4:
		g.Extents = !g.Extents
	case 5:
		g.Tear, g.Extents, g.SizeAfterData, g.RenameFlush = true, true, true, true
	}
	return g
}

// drawImage draws a program with crashes in it, mounted with the answers of a
// seed, and returns the images of its crashes.
func drawImages(t *rapid.T, steps int) []*Image {
	o := Options{Guarantees: drawPromises(t)}
	if rapid.IntRange(0, 4).Draw(t, "garbage") == 0 {
		o.Garbage = Garbage{Block: true, Stale: true, Seed: 1}
	}
	f := New(o)
	f.Mkdir("d", 0o755)
	if rapid.Bool().Draw(t, "synced") {
		f.SyncDir("/")
	}
	var all []*Image
	for range rapid.IntRange(1, 3).Draw(t, "crashes") {
		for _, op := range drawAll(t, steps) {
			op.do(f)
		}
		m := f.Crash(rapid.SampledFrom([]Kind{PowerLoss, PowerLoss, ProcessKill}).Draw(t, "crash"))
		all = append(all, m)
		f = m.Mount(Random(rapid.Uint64().Draw(t, "seed")))
	}
	return all
}

// Count says how many ways there are to resolve an image.
func TestCountIsTheNumberOfResolutions(t *testing.T) {
	const limit = 3000
	compared, tied, inexact := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for _, m := range drawImages(t, 9) {
			n, exact := m.Count()
			if !exact {
				inexact++
			}
			all, ok := resolutions(limit, m)
			leaves := big.NewInt(int64(len(all)))
			switch {
			case !ok && n.Cmp(leaves) < 0:
				t.Fatalf("Count says %v, and there are more than %v", n, leaves)
			case !ok:
			case !exact:
				t.Fatalf("Count gives up at %v", leaves)
			case n.Cmp(leaves) != 0:
				t.Fatalf("Count says %v, resolving it ends in %v\n%v", n, leaves, m.Vars())
			default:
				compared++
				free := big.NewInt(1)
				for _, v := range m.Vars() {
					free.Mul(free, big.NewInt(int64(len(v.Options))))
				}
				if free.Cmp(n) != 0 {
					tied++
				}
			}
		}
	})
	if compared == 0 || tied == 0 {
		t.Fatalf("%d images were compared, %d of them with variables that are tied", compared, tied)
	}
}

// Images too large to walk: what nothing ties multiplies, and ties do not stop the
// rest from being counted.
func TestCountOfManyVariables(t *testing.T) {
	power := func(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(2), big.NewInt(n), nil) }
	plus := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	one := big.NewInt(1)
	batch := func(f *FS, name string, from, cells, size int) {
		b := make([]byte, size)
		for i := range b {
			b[i] = 'x'
		}
		h, err := f.OpenFile(name, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range cells {
			if _, err := h.WriteAt(b, int64(from+i)*int64(size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	durable := func(g Guarantees, names ...string) *FS {
		f := New(Options{Guarantees: g})
		for _, name := range names {
			h, err := f.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			h.Sync()
		}
		f.SyncDir("/")
		return f
	}
	for _, c := range []struct {
		name string
		disk func() *FS
		want *big.Int
	}{
		{"posix: 64 cells and a size of 65 values", func() *FS {
			f := durable(Posix(), "a")
			batch(f, "a", 0, 64, 512)
			return f
		}, new(big.Int).Mul(power(64), big.NewInt(65))},
		{"posix: the name may be missing, and then all behind it", func() *FS {
			f := New(Options{})
			f.Create("a")
			batch(f, "a", 0, 100, 512)
			return f
		}, plus(one, new(big.Int).Mul(power(100), big.NewInt(101)))},
		{"posix: thirty names, each with a cell and a size", func() *FS {
			f := New(Options{})
			for i := range 30 {
				name := fmt.Sprint("a", i)
				f.Create(name)
				batch(f, name, 0, 1, 512)
			}
			return f
		}, new(big.Int).Exp(big.NewInt(5), big.NewInt(30), nil)},
		{"ext4: a size of n pages needs the last of them", func() *FS {
			f := durable(Ext4(), "a")
			batch(f, "a", 0, 64, PageSize)
			return f
		}, plus(power(64), new(big.Int).Mul(big.NewInt(64), power(63)))},
		{"ext4: a prefix of names", func() *FS {
			f := New(Options{Guarantees: Ext4()})
			for i := range 50 {
				f.Create(fmt.Sprint("a", i))
			}
			return f
		}, big.NewInt(51)},
		{"btrfs: forty writes of two pages each, apart", func() *FS {
			f := durable(Btrfs(), "a")
			batch(f, "a", 0, 40, 3*PageSize)
			h, _ := f.OpenFile("a", 2, 0)
			h.Sync()
			for i := range 40 {
				h.WriteAt(make([]byte, 2*PageSize), int64(i)*3*PageSize)
			}
			h.Sync()
			for i := range 40 {
				h.WriteAt(append(make([]byte, PageSize), 'y'), int64(i)*3*PageSize+1)
			}
			return f
		}, power(40)},
		{"sequential: a prefix of everything", func() *FS {
			f := durable(Sequential(), "a")
			batch(f, "a", 0, 64, 512)
			return f
		}, big.NewInt(65)},
	} {
		n, exact := c.disk().Crash(PowerLoss).Count()
		if !exact || n.Cmp(c.want) != 0 {
			t.Errorf("%s: %v, exact %v; want %v", c.name, n, exact, c.want)
		}
	}
}

// Where too much is tied, Count says so and never says too little.
func TestCountGivesUpUpwards(t *testing.T) {
	g := Ext4()
	g.Tear = true
	f := New(Options{Guarantees: g})
	h, err := f.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	h.Sync()
	for i := range 5000 { // every size needs another version of one page's cells
		if _, err := h.WriteAt([]byte{byte(i>>4) | 1, byte(i)}, int64(i%500)*2+int64(i/500)*1024); err != nil {
			t.Fatal(err)
		}
	}
	n, exact := f.Crash(PowerLoss).Count()
	if exact {
		t.Fatalf("exact, %v", n)
	}
	if n.BitLen() < 20 {
		t.Errorf("%v is too few", n)
	}
}

func BenchmarkCount(b *testing.B) {
	for _, g := range Presets() {
		b.Run(g.Name, func(b *testing.B) {
			f := New(Options{Guarantees: g})
			h, err := f.Create("a")
			if err != nil {
				b.Fatal(err)
			}
			h.Sync()
			f.SyncDir("/")
			for i := range 64 {
				h.WriteAt([]byte("x"), int64(i)*512)
			}
			m := f.Crash(PowerLoss)
			b.ReportAllocs()
			for b.Loop() {
				m.Count()
			}
		})
	}
}
