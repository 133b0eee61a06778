package simfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"
	"pgregory.net/rapid"
)

// plain is the dumb reference: files are byte slices, directories are names.
type plain struct {
	files map[string]*[]byte
	dirs  map[string]bool
}

func newPlain() *plain {
	return &plain{files: map[string]*[]byte{}, dirs: map[string]bool{"": true}}
}

func (m *plain) exists(p string) bool { return m.files[p] != nil || m.dirs[p] }

func parent(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return ""
}

func (m *plain) children(p string) bool {
	for k := range m.files {
		if parent(k) == p {
			return true
		}
	}
	for k := range m.dirs {
		if k != "" && parent(k) == p {
			return true
		}
	}
	return false
}

func (m *plain) rename(a, b string) bool {
	if !m.exists(a) || !m.dirs[parent(b)] || m.dirs[a] && strings.HasPrefix(b, a+"/") {
		return false
	}
	if a == b {
		return true
	}
	if m.files[a] != nil {
		if m.dirs[b] {
			return false
		}
		m.files[b] = m.files[a]
		delete(m.files, a)
		return true
	}
	if m.files[b] != nil || m.dirs[b] && m.children(b) {
		return false
	}
	for _, p := range m.list() {
		if strings.HasPrefix(p, a+"/") {
			q := b + p[len(a):]
			if f := m.files[p]; f != nil {
				m.files[q] = f
				delete(m.files, p)
			} else {
				m.dirs[q] = true
				delete(m.dirs, p)
			}
		}
	}
	delete(m.dirs, a)
	m.dirs[b] = true
	return true
}

func (m *plain) list() []string {
	var all []string
	for k := range m.files {
		all = append(all, k)
	}
	for k := range m.dirs {
		if k != "" {
			all = append(all, k)
		}
	}
	sort.Strings(all)
	return all
}

func (m *plain) dump() string {
	var b strings.Builder
	for _, p := range m.list() {
		if f := m.files[p]; f != nil {
			fmt.Fprintf(&b, "%s %q\n", p, compact(*f))
		} else {
			fmt.Fprintf(&b, "%s/\n", p)
		}
	}
	return b.String()
}

// compact prints runs of one byte shortly.
func compact(b []byte) string {
	var s strings.Builder
	for i := 0; i < len(b); {
		k := i
		for k < len(b) && b[k] == b[i] {
			k++
		}
		fmt.Fprintf(&s, "%02x*%d ", b[i], k-i)
		i = k
	}
	return s.String()
}

// dump reads a whole disk. order 1 reads names, sizes and cells backwards, so that
// variables are decided in another order.
func dump(t failer, f afero.Fs, order int) string {
	var lines []string
	var visit func(dir string)
	visit = func(dir string) {
		h, err := f.Open("/" + dir)
		if err != nil {
			t.Fatalf("open directory %q: %v", dir, err)
		}
		names, err := h.Readdirnames(-1)
		if err != nil {
			t.Fatalf("list %q: %v", dir, err)
		}
		h.Close()
		if order == 1 {
			for i, k := 0, len(names)-1; i < k; i, k = i+1, k-1 {
				names[i], names[k] = names[k], names[i]
			}
		}
		for _, name := range names {
			p := path.Join(dir, name)
			h, err := f.Open(p)
			if err != nil {
				t.Fatalf("open %q: %v", p, err)
			}
			var b []byte
			if order == 1 {
				// Cells first, from the back, before the size: that is the other way.
				st, serr := h.Stat()
				if serr != nil {
					t.Fatalf("stat %q: %v", p, serr)
				}
				if st.IsDir() {
					lines = append(lines, p+"/\n")
					visit(p)
					continue
				}
				b = make([]byte, st.Size())
				for at := (len(b) - 1) / 512 * 512; at >= 0 && len(b) > 0; at -= 512 {
					end := min(len(b), at+512)
					if n, err := h.ReadAt(b[at:end], int64(at)); n != end-at || err != nil {
						t.Fatalf("read %q at %d: %d, %v", p, at, n, err)
					}
				}
			} else {
				b, err = io.ReadAll(h)
				if errors.Is(err, syscall.EISDIR) {
					lines = append(lines, p+"/\n")
					h.Close()
					visit(p)
					continue
				}
				if err != nil {
					t.Fatalf("read %q: %v", p, err)
				}
			}
			lines = append(lines, fmt.Sprintf("%s %q\n", p, compact(b)))
			h.Close()
		}
	}
	visit("")
	sort.Strings(lines)
	return strings.Join(lines, "")
}

type failer interface {
	Fatalf(format string, args ...any)
}

var testNames = []string{"a", "b", "d", "d/x", "d/y", "e", "e/x"}

// step does one random operation on the disk and on the model and compares what
// both say. It returns a description.
func step(t *rapid.T, f *FS, m *plain, syncs bool) {
	name := rapid.SampledFrom(testNames).Draw(t, "name")
	kinds := []string{"write", "write", "write", "create", "truncate", "remove", "rename", "rename", "mkdir", "trunc0", "prealloc"}
	if syncs {
		kinds = append(kinds, "sync", "syncdata", "syncdir")
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	file := m.files[name]
	check := func(err error, want bool) {
		if (err == nil) != want {
			t.Fatalf("%s %s: %v, but the model says possible: %v", kind, name, err, want)
		}
	}
	switch kind {
	case "create":
		h, err := f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		ok := !m.exists(name) && m.dirs[parent(name)]
		check(err, ok)
		if ok {
			m.files[name] = &[]byte{}
			h.Close()
		} else if m.exists(name) && !errors.Is(err, fs.ErrExist) {
			t.Fatalf("create %s: %v, want ErrExist", name, err)
		}
	case "mkdir":
		ok := !m.exists(name) && m.dirs[parent(name)]
		check(f.Mkdir(name, 0o755), ok)
		if ok {
			m.dirs[name] = true
		}
	case "remove":
		err := f.Remove(name)
		ok := file != nil || m.dirs[name] && !m.children(name)
		check(err, ok)
		if ok {
			delete(m.files, name)
			delete(m.dirs, name)
		} else if !m.exists(name) && m.dirs[parent(name)] && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("remove %s: %v, want ErrNotExist", name, err)
		}
	case "rename":
		to := rapid.SampledFrom(testNames).Draw(t, "to")
		err := f.Rename(name, to)
		check(err, m.rename(name, to))
	case "syncdir":
		check(f.SyncDir(name), m.dirs[name])
	default:
		flag := os.O_RDWR
		if kind == "trunc0" {
			flag |= os.O_TRUNC
		}
		h, err := f.OpenFile(name, flag, 0)
		check(err, file != nil)
		if file == nil {
			return
		}
		defer h.Close()
		at := rapid.SampledFrom([]int{0, 1, 100, 511, 512, 600, 1024, 4095, 4096, 5000}).Draw(t, "at")
		n := rapid.SampledFrom([]int{1, 17, 412, 512, 1024, 4096}).Draw(t, "n")
		grow := func(to int) {
			if to > len(*file) {
				*file = append(*file, make([]byte, to-len(*file))...)
			}
		}
		switch kind {
		case "trunc0":
			*file = nil
		case "write":
			if rapid.Bool().Draw(t, "append") {
				at = len(*file)
			}
			b := make([]byte, n)
			fill := rapid.SampledFrom([]byte{0, 1, 2, 3}).Draw(t, "fill")
			for i := range b {
				b[i] = fill
			}
			if k, err := h.WriteAt(b, int64(at)); k != n || err != nil {
				t.Fatalf("write %s: %d, %v", name, k, err)
			}
			grow(at + n)
			copy((*file)[at:], b)
		case "truncate":
			check(h.Truncate(int64(at)), true)
			grow(at)
			*file = (*file)[:at:at]
		case "prealloc":
			check(h.(*File).Preallocate(int64(at), int64(n)), true)
			grow(at + n)
		case "sync":
			check(h.Sync(), true)
		case "syncdata":
			check(h.(*File).SyncData(), true)
		}
	}
}

func drawOptions(t *rapid.T) Options {
	g := rapid.SampledFrom(Presets()).Draw(t, "preset")
	if rapid.IntRange(0, 3).Draw(t, "tear") == 0 {
		g.Tear = true
	}
	if rapid.IntRange(0, 3).Draw(t, "split") == 0 {
		g.SplitRename = true
	}
	return Options{Guarantees: g}
}

// Reads see what was written, over any operations, clones and process kills; and
// the newest version of everything is what reads saw.
func TestLiveReadsEqualAPlainModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		if rapid.Bool().Draw(t, "garbage") {
			o.Garbage = Garbage{Block: true, Stale: true, Seed: 1}
			o.Guarantees.Powersafe = rapid.Bool().Draw(t, "powersafe")
		}
		f, m := New(o), newPlain()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			step(t, f, m, true)
			switch rapid.IntRange(0, 12).Draw(t, "then") {
			case 0:
				f = f.Clone()
			case 1:
				f = f.Crash(ProcessKill).Mount(Latest())
			case 2:
				f = f.Crash(PowerLoss).Mount(Latest())
			}
		}
		want := m.dump()
		if got := dump(t, f, 0); got != want {
			t.Fatalf("live:\n%swant:\n%s", got, want)
		}
		image := f.Crash(PowerLoss)
		for order := range 2 {
			if got := dump(t, image.Mount(Latest()), order); got != want {
				t.Fatalf("newest of everything:\n%swant:\n%s", got, want)
			}
		}
		if got := dump(t, image.Resolve(Latest()).Mount(nil), 0); got != want {
			t.Fatalf("resolved newest of everything:\n%swant:\n%s", got, want)
		}
	})
}

// Without a sync, what operations before n made is the disk as it was before
// operation n, whatever the guarantees.
func TestPrefixIsThePast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, m := New(drawOptions(t)), newPlain()
		var past []string
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			step(t, f, m, false)
			for len(past) <= f.Ops() {
				past = append(past, "")
			}
			past[f.Ops()] = m.dump()
		}
		image := f.Crash(PowerLoss)
		for n := 1; n < len(past); n++ {
			if past[n] == "" && n > 0 {
				continue
			}
			for order := range 2 {
				if got := dump(t, image.Mount(Prefix(n)), order); got != past[n] {
					t.Fatalf("before operation %d, order %d:\n%swant:\n%s\n%s", n, order, got, past[n], logOf(f))
				}
			}
			if got := dump(t, image.Resolve(Prefix(n)).Mount(nil), 0); got != past[n] {
				t.Fatalf("resolved before operation %d:\n%swant:\n%s\n%s", n, got, past[n], logOf(f))
			}
		}
	})
}

func logOf(f *FS) string {
	var b strings.Builder
	for _, op := range f.Log() {
		fmt.Fprintln(&b, op)
	}
	return b.String()
}

// outcomes returns every state that run can reach, over all choices; false where
// there are more than limit leaves.
func outcomes(limit int, run func(c Chooser) string) (map[string]bool, bool) {
	out := map[string]bool{}
	_, all := Walk(limit, func(a *Answers) { out[run(a)] = true })
	return out, all
}

func keys(m map[string]bool) string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	sort.Strings(all)
	return strings.Join(all, "--\n")
}

// The set of disks that an image stands for does not depend on the order in which
// variables are read, nor on whether they are decided lazily or in advance.
func TestOrderOfReadsDoesNotMatter(t *testing.T) {
	exact := 0
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		if rapid.IntRange(0, 4).Draw(t, "garbage") == 0 {
			o.Garbage = Garbage{Block: true, Stale: true, Seed: 1}
		}
		f, m := New(o), newPlain()
		for range rapid.IntRange(1, 9).Draw(t, "steps") {
			step(t, f, m, true)
		}
		image := f.Crash(PowerLoss)
		var sets [3]map[string]bool
		for i := range sets {
			s, ok := outcomes(600, func(c Chooser) string {
				if i == 2 {
					return dump(t, image.Resolve(c).Mount(nil), 0)
				}
				return dump(t, image.Mount(c), i)
			})
			if !ok {
				return
			}
			sets[i] = s
		}
		exact++
		for i := 1; i < 3; i++ {
			if keys(sets[0]) != keys(sets[i]) {
				t.Fatalf("forwards:\n%s\nother way %d:\n%s\n%s", keys(sets[0]), i, keys(sets[i]), logOf(f))
			}
		}
		if !sets[0][m.dump()] {
			t.Fatalf("the live state is not among the images:\n%s\n%s", m.dump(), keys(sets[0]))
		}
	})
	if exact == 0 {
		t.Fatal("no case was small enough to compare")
	}
}
