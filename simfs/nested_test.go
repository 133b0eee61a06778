package simfs

import (
	"io"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// careless does one operation that may fail: after a crash the image decides.
type careless struct {
	kind, name, to string
	at, n          int
	fill           byte
}

func drawCareless(t *rapid.T) careless {
	return careless{
		kind: rapid.SampledFrom([]string{"write", "write", "create", "truncate", "remove", "rename", "mkdir", "empty", "preallocate",
			"sync", "syncdata", "syncdir", "read", "fail"}).Draw(t, "kind"),
		name: rapid.SampledFrom([]string{"a", "b", "d/x"}).Draw(t, "name"),
		to:   rapid.SampledFrom([]string{"a", "b", "d/x"}).Draw(t, "to"),
		at:   rapid.SampledFrom([]int{0, 256, 512, 4096}).Draw(t, "at"),
		n:    rapid.SampledFrom([]int{256, 512, 1024}).Draw(t, "n"),
		fill: rapid.SampledFrom([]byte{0, 'x', 'y'}).Draw(t, "fill"),
	}
}

func (c careless) do(f *FS) {
	switch c.kind {
	case "create":
		if h, err := f.OpenFile(c.name, os.O_RDWR|os.O_CREATE, 0o644); err == nil {
			h.Close()
		}
		return
	case "mkdir":
		f.Mkdir("d", 0o755)
		return
	case "remove":
		f.Remove(c.name)
		return
	case "rename":
		f.Rename(c.name, c.to)
		return
	case "syncdir":
		f.SyncDir("/")
		return
	case "fail":
		f.FailSync(c.name, c.n == 256, []string{"ext4", "xfs", "btrfs", "keep-dirty", "silent"}[c.at%5])
		return
	}
	flag := os.O_RDWR
	if c.kind == "empty" {
		flag |= os.O_TRUNC
	}
	o, err := f.OpenFile(c.name, flag, 0)
	if err != nil {
		return
	}
	h := o.(*File)
	defer h.Close()
	switch c.kind {
	case "write":
		b := make([]byte, c.n)
		for i := range b {
			b[i] = c.fill
		}
		h.WriteAt(b, int64(c.at))
	case "truncate":
		h.Truncate(int64(c.at))
	case "preallocate":
		h.Preallocate(int64(c.at), int64(c.n))
	case "sync":
		h.Sync()
	case "syncdata":
		h.SyncData()
	case "read":
		io.ReadAll(h)
	}
}

func drawAll(t *rapid.T, most int) []careless {
	all := make([]careless, rapid.IntRange(0, most).Draw(t, "operations"))
	for i := range all {
		all[i] = drawCareless(t)
	}
	return all
}

// Whatever a program does before and after a crash: the order in which the second
// image is read does not change what it stands for, and equal hashes stand for
// equal sets.
func TestNestedCrashesReadInAnyOrder(t *testing.T) {
	for _, g := range Presets() {
		t.Run(g.Name, func(t *testing.T) {
			sets := map[[16]byte]string{}
			compared := 0
			rapid.Check(t, func(t *rapid.T) {
				g := g
				g.Tear = rapid.IntRange(0, 3).Draw(t, "tear") == 0
				g.SplitRename = rapid.IntRange(0, 3).Draw(t, "split") == 0
				before, after := drawAll(t, 7), drawAll(t, 4)
				kind := rapid.SampledFrom([]Kind{PowerLoss, PowerLoss, ProcessKill}).Draw(t, "crash")
				run := func(c Chooser) *FS {
					f := New(Options{Guarantees: g})
					f.Mkdir("d", 0o755)
					f.SyncDir("/")
					for _, op := range before {
						op.do(f)
					}
					f = f.Crash(kind).Mount(c)
					for _, op := range after {
						op.do(f)
					}
					return f
				}
				var all [3]map[string]bool
				for i := range all {
					set, ok := outcomes(300, func(c Chooser) string {
						image := run(c).Crash(PowerLoss)
						if i == 2 {
							return dump(t, image.Resolve(c).Mount(nil), 0)
						}
						return dump(t, image.Mount(c), i)
					})
					if !ok {
						return
					}
					all[i] = set
				}
				for i := 1; i < 3; i++ {
					if keys(all[0]) != keys(all[i]) {
						t.Fatalf("forwards:\n%s\nother way %d:\n%s\n%+v\n%+v", keys(all[0]), i, keys(all[i]), before, after)
					}
				}
				// The image that the first choices lead to.
				image := run(Oldest()).Crash(PowerLoss)
				set, ok := outcomes(300, func(c Chooser) string { return dump(t, image.Mount(c), 0) })
				if !ok {
					return
				}
				if g.Tear || g.SplitRename {
					return // other guarantees: another table
				}
				compared++
				h := image.Hash()
				if was, ok := sets[h]; ok && was != keys(set) {
					t.Fatalf("one hash, two sets:\n%s\nand\n%s\n%+v\n%+v", was, keys(set), before, after)
				}
				sets[h] = keys(set)
			})
			if compared == 0 {
				t.Fatal("no image was small enough")
			}
		})
	}
}

// A size that a write grew needs the page as it was after the last power loss: what
// that loss decided about the page's other cells stays undecided.
func TestASizeSaysNothingAboutAnEarlierCrash(t *testing.T) {
	o := Options{Guarantees: XFS()}
	o.Guarantees.Tear = true
	f := New(o)
	fileOf(f, "a", 'a', 512)
	careless{kind: "write", name: "a", n: 512, fill: 'x'}.do(f)
	more := []careless{{kind: "write", name: "a", at: 512, n: 512, fill: 'y'}}
	between, _ := trees(t, f.Crash(PowerLoss), more)
	const all = "a \"61*512 \"\n--\na \"61*512 79*512 \"\n--\na \"78*512 \"\n--\na \"78*512 79*512 \"\n"
	if keys(between) != all {
		t.Errorf("with a power loss between the writes:\n%s\nwant\n%s", keys(between), all)
	}
	more[0].do(f)
	one, _ := trees(t, f.Crash(PowerLoss), nil)
	const ordered = "a \"61*512 \"\n--\na \"78*512 \"\n--\na \"78*512 79*512 \"\n"
	if keys(one) != ordered {
		t.Errorf("in one run:\n%s\nwant\n%s", keys(one), ordered)
	}
}
