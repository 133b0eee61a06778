package simfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, f *FS, name, data string) *File {
	t.Helper()
	h, err := f.Create(name)
	must(t, err)
	_, err = h.WriteString(data)
	must(t, err)
	return h.(*File)
}

func readAll(t *testing.T, f *FS, name string) string {
	t.Helper()
	h, err := f.Open(name)
	must(t, err)
	b, err := io.ReadAll(h)
	must(t, err)
	return string(b)
}

func TestErrorsAreThoseOfAnOperatingSystem(t *testing.T) {
	f := New(Options{})
	must(t, f.MkdirAll("d/e", 0o755))
	create(t, f, "d/x", "1")
	closed := create(t, f, "c", "1")
	must(t, closed.Close())
	readOnly, err := f.Open("c")
	must(t, err)
	_, openErr := f.Open("no")
	_, deepErr := f.Open("no/x")
	_, throughFile := f.Open("c/x")
	_, exclErr := f.OpenFile("c", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0)
	_, dirErr := f.OpenFile("d", os.O_RDWR, 0)
	_, closedErr := closed.Write([]byte("x"))
	_, roErr := readOnly.Write([]byte("x"))
	_, statErr := f.Stat("no")
	_, negative := readOnly.ReadAt(make([]byte, 1), -1)
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"open", openErr, fs.ErrNotExist},
		{"open below nothing", deepErr, fs.ErrNotExist},
		{"open below a file", throughFile, syscall.ENOTDIR},
		{"exclusive", exclErr, fs.ErrExist},
		{"directory for writing", dirErr, syscall.EISDIR},
		{"closed", closedErr, fs.ErrClosed},
		{"close twice", closed.Close(), fs.ErrClosed},
		{"read-only", roErr, syscall.EBADF},
		{"stat", statErr, fs.ErrNotExist},
		{"mkdir", f.Mkdir("d", 0), fs.ErrExist},
		{"mkdir below nothing", f.Mkdir("q/r", 0), fs.ErrNotExist},
		{"mkdirall over a file", f.MkdirAll("c/r", 0), syscall.ENOTDIR},
		{"remove", f.Remove("no"), fs.ErrNotExist},
		{"remove full", f.Remove("d"), syscall.ENOTEMPTY},
		{"rename", f.Rename("no", "x"), fs.ErrNotExist},
		{"rename into itself", f.Rename("d", "d/e/f"), syscall.EINVAL},
		{"rename directory over file", f.Rename("d", "c"), syscall.ENOTDIR},
		{"rename file over directory", f.Rename("c", "d"), fs.ErrExist},
		{"syncdir of a file", f.SyncDir("c"), syscall.ENOTDIR},
		{"chmod", f.Chmod("no", 0), fs.ErrNotExist},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
		var pe *fs.PathError
		var le *os.LinkError
		if !errors.As(c.got, &pe) && !errors.As(c.got, &le) {
			t.Errorf("%s: %T is neither a PathError nor a LinkError", c.what, c.got)
		}
	}
	if negative == nil {
		t.Error("ReadAt at -1 succeeded")
	}
	must(t, f.RemoveAll("no"))
	must(t, f.RemoveAll("d"))
	if _, err := f.Stat("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveAll: %v", err)
	}
}

func TestHandlesOutliveTheirNames(t *testing.T) {
	f := New(Options{})
	a := create(t, f, "a", "one")
	must(t, f.Rename("a", "b"))
	_, err := a.WriteString(" two")
	must(t, err)
	if got := readAll(t, f, "b"); got != "one two" {
		t.Errorf("renamed: %q", got)
	}
	must(t, f.Remove("b"))
	f.Clone() // sweeps
	f.Crash(PowerLoss)
	_, err = a.WriteString(" three")
	must(t, err)
	b := make([]byte, 20)
	n, err := a.ReadAt(b, 0)
	if string(b[:n]) != "one two three" || err != io.EOF {
		t.Errorf("removed: %q, %v", b[:n], err)
	}
	h, err := f.OpenFile("c", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	must(t, err)
	h.WriteString("x")
	h.Seek(0, io.SeekStart)
	h.WriteString("y")
	if got := readAll(t, f, "c"); got != "xy" {
		t.Errorf("appended: %q", got)
	}
}

func TestDirectoriesList(t *testing.T) {
	f := New(Options{})
	for _, n := range []string{"c", "a", "b"} {
		create(t, f, n, n+n)
	}
	h, err := f.Open("/")
	must(t, err)
	var got []string
	for {
		names, err := h.Readdirnames(2)
		got = append(got, names...)
		if err == io.EOF {
			break
		}
		must(t, err)
	}
	if want := []string{"a", "b", "c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	_, err = h.Seek(0, io.SeekStart)
	must(t, err)
	infos, err := h.Readdir(-1)
	must(t, err)
	for i, n := range []string{"a", "b", "c"} {
		if infos[i].Name() != n || infos[i].Size() != 2 || infos[i].IsDir() {
			t.Errorf("entry %d is %v", i, infos[i])
		}
	}
}

func TestKillEndsEveryHandle(t *testing.T) {
	f := New(Options{})
	h := create(t, f, "a", "x")
	unlock, ok, err := f.TryLock("lock")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err = f.TryLock("lock"); ok || err != nil {
		t.Fatalf("second lock: %v, %v", ok, err)
	}
	image := f.Crash(ProcessKill)
	f.Kill()
	_, werr := h.Write([]byte("y"))
	_, rerr := h.Read(make([]byte, 1))
	_, oerr := f.Open("a")
	for i, err := range []error{werr, rerr, oerr, h.Sync(), h.Close(), unlock(), f.Remove("a"), f.SyncDir("/"), f.FailSync("a", false, "ext4")} {
		if !errors.Is(err, ErrCrashed) {
			t.Errorf("call %d: %v, want ErrCrashed", i, err)
		}
	}
	after := image.Mount(nil)
	if got := readAll(t, after, "a"); got != "x" {
		t.Errorf("after the kill: %q", got)
	}
	unlock, ok, err = after.TryLock("lock")
	if !ok || err != nil {
		t.Fatalf("a lock outlived its process: %v, %v", ok, err)
	}
	must(t, unlock())
	if _, ok, _ = after.TryLock("lock"); !ok {
		t.Error("unlock did not unlock")
	}
}

func TestFailSyncTellsWhomTheTableSays(t *testing.T) {
	for _, c := range []struct {
		mode string
		told bool // the failing call itself
		next bool // the next sync of the same handle fails
		both bool // the next sync of another handle fails
		read string
	}{
		{"ext4", true, false, true, "new"},
		{"xfs", true, false, true, "new"},
		{"ext4-data", false, true, true, "new"},
		{"btrfs", true, false, true, "old"},
		{"keep-dirty", true, false, false, "new"},
		{"silent", false, false, false, "new"},
	} {
		f := New(Options{})
		h := create(t, f, "a", "old")
		other, err := f.OpenFile("a", os.O_RDWR, 0)
		must(t, err)
		must(t, h.Sync())
		must(t, f.SyncDir("/"))
		_, err = h.WriteAt([]byte("new"), 0)
		must(t, err)
		if err := h.FailSync(false, c.mode); (err != nil) != c.told {
			t.Errorf("%s: the call was told %v", c.mode, err)
		}
		if got := readAll(t, f, "a"); got != c.read {
			t.Errorf("%s: reads %q, want %q", c.mode, got, c.read)
		}
		if err := h.Sync(); (err != nil) != c.next {
			t.Errorf("%s: the next sync: %v", c.mode, err)
		}
		if err := other.Sync(); (err != nil) != c.both {
			t.Errorf("%s: another handle's sync: %v", c.mode, err)
		}
		for _, h := range []interface{ Sync() error }{h, other} {
			if err := h.Sync(); err != nil {
				t.Errorf("%s: told twice: %v", c.mode, err)
			}
		}
	}
	f := New(Options{})
	h := create(t, f, "a", "x")
	if err := f.FailSync("a", true, "shutdown"); !errors.Is(err, syscall.EIO) {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := h.Read(make([]byte, 1)); !errors.Is(err, syscall.EIO) {
		t.Errorf("after shutdown: %v", err)
	}
	f = New(Options{Guarantees: XFS()})
	create(t, f, "a", "x")
	if err := f.FailSync("a", true, "btrfs"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("btrfs mode on xfs: %v", err)
	}
}

func TestClonesAndImagesAreIndependent(t *testing.T) {
	f := New(Options{})
	h := create(t, f, "a", strings.Repeat("a", 20000))
	must(t, h.Sync())
	image := f.Crash(ProcessKill)
	before := image.Hash()
	c := f.Clone()
	g, err := c.OpenFile("a", os.O_RDWR, 0)
	must(t, err)
	for i := range 50 {
		_, err = g.WriteAt(bytes.Repeat([]byte{byte(i)}, 700), int64(i*300))
		must(t, err)
		_, err = h.WriteAt(bytes.Repeat([]byte{byte(100 + i)}, 700), int64(i*310))
		must(t, err)
		must(t, g.Sync())
		must(t, h.Sync())
	}
	must(t, c.Remove("a"))
	if got := readAll(t, image.Mount(nil), "a"); got != strings.Repeat("a", 20000) {
		t.Error("an image changed with its disk")
	}
	if _, err := f.Stat("a"); err != nil {
		t.Error("a clone's removal reached the original:", err)
	}
	if image.Hash() != before {
		t.Error("the hash of an image changed")
	}
	again := image.Mount(nil)
	if got := again.Crash(ProcessKill).Hash(); got != before {
		t.Errorf("mounting and crashing gave %x, want %x", got, before)
	}
}

// The hash is of the set of disks: the way there does not count, the content does.
func TestHashIsOfSets(t *testing.T) {
	build := func(steps ...string) [16]byte {
		f := New(Options{})
		h := create(t, f, "a", strings.Repeat("o", 1024))
		must(t, h.Sync())
		must(t, f.SyncDir("/"))
		for _, s := range steps {
			switch s {
			case "sync":
				must(t, h.Sync())
			case "tmp":
				create(t, f, "tmp", "junk")
				must(t, f.SyncDir("/"))
				must(t, f.Remove("tmp"))
				must(t, f.SyncDir("/"))
			default:
				_, err := h.WriteAt([]byte(strings.Repeat(s[:1], 512)), int64(s[1]-'0')*512)
				must(t, err)
			}
		}
		return f.Crash(PowerLoss).Hash()
	}
	equal := [][2][]string{
		{{"x0", "y1"}, {"y1", "x0"}},
		{{"x0", "y0", "x0"}, {"y0", "x0"}},
		{{"x0", "sync"}, {"y0", "sync", "x0", "sync"}},
		{{"x0"}, {"tmp", "x0"}},
		{{"o0"}, {}},
	}
	for _, c := range equal {
		if build(c[0]...) != build(c[1]...) {
			t.Errorf("%v and %v stand for the same disks and hash differently", c[0], c[1])
		}
	}
	differ := [][]string{{}, {"x0"}, {"x1"}, {"y0"}, {"x0", "y0"}, {"x0", "sync"}, {"x0", "sync", "y0"}, {"x0", "y1"}}
	seen := map[[16]byte][]string{}
	for _, steps := range differ {
		h := build(steps...)
		if was, ok := seen[h]; ok {
			t.Errorf("%v and %v hash equally", was, steps)
		}
		seen[h] = steps
	}
	// The same in every process and on every platform.
	if got, want := fmt.Sprintf("%x", build("x0", "y1")), "0aee6ff662330e7eb88b5baeccd30610"; got != want {
		t.Errorf("hash %s, golden %s", got, want)
	}
}

func TestVarsAreDeterministic(t *testing.T) {
	for _, g := range Presets() {
		var first string
		for range 3 {
			f := New(Options{Guarantees: g, Garbage: Garbage{Block: true, Stale: true}})
			must(t, f.Mkdir("d", 0o755))
			create(t, f, "d/x", strings.Repeat("x", 1000))
			create(t, f, "d/y", strings.Repeat("y", 5000))
			must(t, f.Rename("d/x", "z"))
			s := ""
			image := f.Crash(PowerLoss)
			for _, v := range image.Vars() {
				s += v.String() + "\n"
			}
			s += fmt.Sprintf("%x", image.Hash())
			if first == "" {
				first = s
			}
			if s != first {
				t.Fatalf("%s:\n%s\nthen\n%s", g.Name, first, s)
			}
		}
	}
}

func TestObserveAndTornWrites(t *testing.T) {
	f := New(Options{Callers: 1, KeepData: true})
	h := create(t, f, "a", strings.Repeat("o", 1536))
	must(t, h.Sync())
	must(t, f.SyncDir("/"))
	var seen []string
	var torn []string
	f.Observe(func(op Op) {
		seen = append(seen, fmt.Sprint(op.Index, " ", op.Kind, " ", f.Ops()))
		if op.Kind != OpWrite {
			return
		}
		for cells := range 4 {
			torn = append(torn, compact([]byte(readAll(t, f.CloneTorn(cells), "a"))))
		}
	})
	_, err := h.WriteAt([]byte(strings.Repeat("x", 1024)), 256)
	must(t, err)
	must(t, h.Sync())
	f.Observe(nil)
	if want := []string{"4 write 4", "5 sync 5"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("observed %v, want %v", seen, want)
	}
	want := []string{"6f*1536 ", "6f*256 78*256 6f*1024 ", "6f*256 78*768 6f*512 ", "6f*256 78*1024 6f*256 "}
	if !reflect.DeepEqual(torn, want) {
		t.Errorf("torn %v, want %v", torn, want)
	}
	log := f.Log()
	if got := string(log[4].Data); got != strings.Repeat("x", 1024) {
		t.Errorf("the log kept %q", got)
	}
	for i, op := range log {
		if op.Index != i || !strings.HasPrefix(op.Caller, "fs_test.go:") {
			t.Errorf("operation %d: %v", i, op)
		}
	}
	// A kill inside the observer stops the operation it observes.
	f.Observe(func(Op) { f.Kill() })
	if _, err := h.WriteAt([]byte("z"), 0); !errors.Is(err, ErrCrashed) {
		t.Errorf("killed while observed: %v", err)
	}
	if f.Ops() != len(log) {
		t.Errorf("the operation that never was is in the log: %v", f.Log()[len(log):])
	}
}

func TestConcurrentUse(t *testing.T) {
	f := New(Options{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			name := fmt.Sprint("f", i)
			h, err := f.Create(name)
			if err != nil {
				t.Error(err)
				return
			}
			for k := range 100 {
				h.WriteAt([]byte{byte(k)}, int64(k*100))
				if k%10 == 0 {
					h.Sync()
					image := f.Crash(PowerLoss)
					image.Hash()
					image.Mount(Latest()).Stat(name)
				}
			}
		})
	}
	wg.Wait()
	for i := range 4 {
		if got := len(readAll(t, f, fmt.Sprint("f", i))); got != 9901 {
			t.Errorf("file %d has %d bytes", i, got)
		}
	}
}

func TestReadStopsBeforeWhatIsUndecided(t *testing.T) {
	f := New(Options{})
	h := create(t, f, "a", strings.Repeat("o", 2048))
	must(t, h.Sync())
	must(t, f.SyncDir("/"))
	_, err := h.WriteAt([]byte("x"), 1024)
	must(t, err)
	asked := 0
	c := f.Crash(PowerLoss).Mount(ChooserFunc(func(Var) int { asked++; return 1 }))
	r, err := c.Open("a")
	must(t, err)
	b := make([]byte, 4096)
	n, err := r.Read(b)
	if n != 1024 || err != nil || asked != 0 {
		t.Errorf("first read: %d, %v, asked %d", n, err, asked)
	}
	n, err = r.Read(b)
	if n != 1024 || err != nil || asked != 1 || b[0] != 'x' {
		t.Errorf("second read: %d, %v, asked %d, %q", n, err, asked, b[0])
	}
	n, err = r.ReadAt(b, 0)
	if n != 2048 || err != io.EOF || asked != 1 {
		t.Errorf("ReadAt: %d, %v, asked %d", n, err, asked)
	}
}

// A size that needs its page is another set of disks than one that does not.
func TestHashKnowsWhatASizeNeeds(t *testing.T) {
	build := func(needs bool) *Image {
		f := New(Options{Guarantees: XFS()})
		h := create(t, f, "a", "oooooooooo")
		must(t, h.Sync())
		must(t, f.SyncDir("/"))
		writes := []string{"yooooooooo" + strings.Repeat("\x00", 10)}
		if !needs {
			_, err := h.WriteAt(make([]byte, 10), 10) // zeros over zeros: no page to wait for
			must(t, err)
			writes = []string{"y"}
		}
		for _, w := range writes {
			_, err := h.WriteAt([]byte(w), 0)
			must(t, err)
		}
		return f.Crash(PowerLoss)
	}
	all := func(m *Image) string {
		set, _ := outcomes(100, func(c Chooser) string { return dump(t, m.Mount(c), 0) })
		return keys(set)
	}
	a, b := build(true), build(false)
	if all(a) == all(b) {
		t.Fatalf("the two programs leave the same disks:\n%s", all(a))
	}
	if a.Hash() == b.Hash() {
		t.Error("two sets of disks hash equally")
	}
}
