package diskfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/fscheck"
)

// With this variable set the test binary is the other process of the lock tests.
const lockIn = "UNTORN_DISKFS_TEST_LOCK_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockIn); dir != "" {
		os.Exit(holdLock(dir))
	}
	os.Exit(m.Run())
}

// holdLock tries to lock, prints whether it could, and waits until its input ends.
func holdLock(dir string) int {
	d, err := Open(dir, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, ok, err := d.TryLock("lock")
	fmt.Println("locked", ok, err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func open(t *testing.T, dir string, o Options) *FS {
	t.Helper()
	d, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestDoesWhatAFileSystemMust(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "not/there/yet"), Options{})
	if err := fscheck.TestFS(d); err != nil {
		t.Error(err)
	}
}

func TestMissingDirectoriesAreMade(t *testing.T) {
	base := t.TempDir()
	open(t, filepath.Join(base, "a/b/c"), Options{})
	info, err := os.Stat(filepath.Join(base, "a/b/c"))
	if err != nil || !info.IsDir() {
		t.Fatalf("a/b/c: %v, want a directory", err)
	}
	open(t, filepath.Join(base, "a/b/c"), Options{}) // and found in place
}

// Each parent is synced right after the name was made in it, before the next.
func TestEachParentIsSyncedBeforeTheNextIsMade(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	var log []string
	err := makeDirs(filepath.Join(base, "a/b/c/d"), func(dir string) error {
		rel, err := filepath.Rel(base, dir)
		if err != nil {
			return err
		}
		var there []string
		for _, d := range []string{"a", "a/b", "a/b/c", "a/b/c/d"} {
			if _, err := os.Stat(filepath.Join(base, d)); err == nil {
				there = append(there, d)
			}
		}
		log = append(log, fmt.Sprintf("sync %s with %s", filepath.ToSlash(rel), strings.Join(there, " ")))
		return syncPath(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"sync a with a a/b",
		"sync a/b with a a/b a/b/c",
		"sync a/b/c with a a/b a/b/c a/b/c/d",
	}
	if !slices.Equal(log, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func TestAFailedSyncOfAParentFailsOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	boom := errors.New("boom")
	if err := makeDirs(dir, func(string) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("error %v, want %v", err, boom)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a/b was made though the name of a is not durable (%v)", err)
	}
}

func TestSyncAncestors(t *testing.T) {
	base := t.TempDir()
	d := open(t, filepath.Join(base, "a/b"), Options{})
	if err := d.SyncAncestors(); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(filepath.Join(base, "a"), filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, filepath.Join(base, "link/b"), Options{}).SyncAncestors(); err != nil {
		t.Errorf("through a link: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(base, "a")); err != nil {
		t.Fatal(err)
	}
	if err := d.SyncAncestors(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a directory that was removed: error %v, want fs.ErrNotExist", err)
	}
}

func TestAncestors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the table has paths of Unix")
	}
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/a/b/c", []string{"/a/b", "/a", "/"}},
		{"/a", []string{"/"}},
		{"/", nil},
	} {
		if got := ancestors(c.path); !slices.Equal(got, c.want) {
			t.Errorf("ancestors(%q) = %q, want %q", c.path, got, c.want)
		}
	}
}

// Errors of Open are one line that says what to do.
func TestWhatCannotBeOpened(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "file"), "x")
	if err := os.Symlink("nowhere", filepath.Join(base, "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		dir     string
		options Options
		is      error // nil: any
		says    string
	}{
		{"no name", "", Options{}, nil, "no directory named"},
		{"a file", base + "/file", Options{}, nil, "file is a file, not a directory: name another directory"},
		{"a file, read-only", base + "/file", Options{ReadOnly: true}, nil, "file is a file, not a directory: name another directory"},
		{"below a file", base + "/file/a/b", Options{}, nil, "file is a file, not a directory, so "},
		{"below a file, read-only", base + "/file/a", Options{ReadOnly: true}, nil, "file is a file, not a directory, so "},
		{"a link to nothing", base + "/dangling", Options{}, nil, "is a link that leads nowhere"},
		{"missing, read-only", base + "/missing/dir", Options{ReadOnly: true}, fs.ErrNotExist, "opening read-only makes nothing"},
		{"a name too long", base + "/" + strings.Repeat("n", 300), Options{}, nil, "name too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(c.dir, c.options)
			if err == nil {
				d.Close()
				t.Fatal("opened, want an error")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %q, want one that matches %q", err, c.is)
			}
			if text := err.Error(); !strings.Contains(text, c.says) || !strings.HasPrefix(text, "diskfs: ") || strings.Count(text, "diskfs: ") != 1 || strings.Contains(text, "\n") {
				t.Errorf("error %q, want one line that begins with \"diskfs: \" and says %q", text, c.says)
			}
		})
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v (%v), want the file and the link alone", entries, err)
	}
}

// No name leads out: neither by dots nor by links, for any operation.
func TestNoNameEscapes(t *testing.T) {
	base := t.TempDir()
	inside, outside := filepath.Join(base, "in"), filepath.Join(base, "in2")
	for _, dir := range []string{inside, outside} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(outside, "secret"), "secret")
	write(t, filepath.Join(inside, "mine"), "mine")
	for link, target := range map[string]string{"up": "..", "out": "../in2", "whole": outside, "file": "../in2/secret"} {
		if err := os.Symlink(target, filepath.Join(inside, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(inside, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := open(t, inside, Options{})
	for _, name := range []string{
		"../in2/secret", "/../in2/secret", "a/../../in2/secret", "//..//in2/secret", "./../in2/secret",
		"up/in2/secret", "out/secret", "/out/secret", "whole/secret", "file",
	} {
		parent := name[:strings.LastIndexByte(name, '/')+1] // not cleaned
		attempts := []struct {
			op  string
			try func() error
		}{
			{"Open", func() error { return opened(d.Open(name)) }},
			{"Create", func() error { return opened(d.Create(name)) }},
			{"OpenFile", func() error { return opened(d.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)) }},
			{"Stat", func() error { _, err := d.Stat(name); return err }},
			{"Chmod", func() error { return d.Chmod(name, 0) }},
			{"Chtimes", func() error { return d.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)) }},
			{"TryLock", func() error { _, _, err := d.TryLock(name); return err }},
			{"SyncDir", func() error { return d.SyncDir(parent + ".") }},
			{"Mkdir", func() error { return d.Mkdir(parent+"new", 0o755) }},
			{"MkdirAll", func() error { return d.MkdirAll(parent+"new/er", 0o755) }},
			{"Rename to", func() error { return d.Rename("mine", parent+"new") }},
		}
		if name == "file" { // a link of ours: removing or renaming it, or listing its directory, is no escape
			attempts = attempts[:7]
		} else {
			attempts = append(attempts, []struct {
				op  string
				try func() error
			}{
				{"Remove", func() error { return d.Remove(name) }},
				{"RemoveAll", func() error { return d.RemoveAll(name) }},
				{"Rename from", func() error { return d.Rename(name, "stolen") }},
			}...)
		}
		for _, a := range attempts {
			if err := a.try(); err == nil {
				t.Errorf("%s of %q succeeded, want an error", a.op, name)
			}
		}
	}
	if data, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(data) != "secret" {
		t.Errorf("the file outside holds %q (%v), want it unharmed", data, err)
	}
	if data, err := os.ReadFile(filepath.Join(inside, "mine")); err != nil || string(data) != "mine" {
		t.Errorf("the file inside holds %q (%v), want it unharmed", data, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside there is now %v (%v), want the file alone", entries, err)
	}
}

func opened(f afero.File, err error) error {
	if err == nil {
		f.Close()
	}
	return err
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	if err := d.Mkdir("sub", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sub/file"), "bytes")
	for _, name := range []string{"sub/file", "/sub/file", "//sub//file", "./sub/./file", "sub/../sub/file"} {
		data, err := afero.ReadFile(d, name)
		if err != nil || string(data) != "bytes" {
			t.Errorf("%q holds %q (%v), want %q", name, data, err, "bytes")
		}
	}
	for _, name := range []string{"", "/", "."} {
		f, err := d.Open(name)
		if err != nil {
			t.Errorf("the directory itself, %q: %v", name, err)
			continue
		}
		if names, err := f.Readdirnames(-1); err != nil || !slices.Equal(names, []string{"sub"}) {
			t.Errorf("%q holds %q (%v), want %q", name, names, err, []string{"sub"})
		}
		f.Close()
		if err := d.SyncDir(name); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SyncDir(%q): %v", name, err)
		}
	}
	f, err := d.Open("/sub/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Name() != "/sub/file" {
		t.Errorf("the file's name is %q, want the one it was opened by, %q", f.Name(), "/sub/file")
	}
}

// Errors have the operation and the whole path once, and keep the system's number.
func TestErrors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the table has errors of Unix")
	}
	dir := t.TempDir()
	d := open(t, dir, Options{})
	write(t, filepath.Join(dir, "file"), "x")
	r, err := d.Open("file")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		is   error
		text string
	}{
		{first(d.Open("missing")), fs.ErrNotExist, "open DIR/missing: no such file or directory"},
		{first(d.Open("file/below")), syscall.ENOTDIR, "open DIR/file/below: not a directory"},
		{first(d.Stat("a/b")), fs.ErrNotExist, "stat DIR/a/b: no such file or directory"},
		{first(d.OpenFile("file", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)), fs.ErrExist, "open DIR/file: file exists"},
		{d.Mkdir("file", 0o755), fs.ErrExist, "mkdir DIR/file: file exists"},
		{d.Remove("missing"), fs.ErrNotExist, "remove DIR/missing: no such file or directory"},
		{d.Rename("missing", "other"), fs.ErrNotExist, "rename DIR/missing DIR/other: no such file or directory"},
		{d.SyncDir("missing"), fs.ErrNotExist, "sync directory DIR/missing: no such file or directory"},
		{d.SyncDir("file"), syscall.ENOTDIR, "sync directory DIR/file: not a directory"},
		{first(d.Open("../x")), nil, "open DIR/../x: path escapes from parent"},
		{first(r.WriteAt([]byte("x"), 0)), syscall.EBADF, "write DIR/file: bad file descriptor"},
	} {
		want := strings.ReplaceAll(c.text, "DIR/../x", filepath.Join(dir, "../x"))
		want = strings.ReplaceAll(want, "DIR", dir)
		if c.err == nil || c.err.Error() != want {
			t.Errorf("error %v, want %q", c.err, want)
		}
		if c.is != nil && !errors.Is(c.err, c.is) {
			t.Errorf("error %v does not match %q", c.err, c.is)
		}
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "bytes")
	d := open(t, dir, Options{ReadOnly: true})
	first := func(_ any, err error) error { return err }
	_, _, lockErr := d.TryLock("lock")
	for op, err := range map[string]error{
		"Create":    first(d.Create("file")),
		"O_RDWR":    first(d.OpenFile("file", os.O_RDWR, 0)),
		"O_WRONLY":  first(d.OpenFile("file", os.O_WRONLY, 0)),
		"O_CREATE":  first(d.OpenFile("new", os.O_RDONLY|os.O_CREATE, 0o666)),
		"O_TRUNC":   first(d.OpenFile("file", os.O_RDONLY|os.O_TRUNC, 0)),
		"Mkdir":     d.Mkdir("new", 0o755),
		"MkdirAll":  d.MkdirAll("new/er", 0o755),
		"Remove":    d.Remove("file"),
		"RemoveAll": d.RemoveAll("file"),
		"Rename":    d.Rename("file", "new"),
		"Chmod":     d.Chmod("file", 0),
		"Chown":     d.Chown("file", 0, 0),
		"Chtimes":   d.Chtimes("file", time.Unix(1, 0), time.Unix(1, 0)),
		"TryLock":   lockErr,
	} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: error %v, want one that matches fs.ErrPermission", op, err)
		}
	}
	data, err := afero.ReadFile(d, "file")
	if err != nil || string(data) != "bytes" {
		t.Errorf("the file holds %q (%v), want %q", data, err, "bytes")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v (%v), want the file alone", entries, err)
	}
}

func TestClosed(t *testing.T) {
	d, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := d.Create("file"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Create: error %v, want one that matches fs.ErrClosed", err)
	}
	if _, _, err := d.TryLock("lock"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("TryLock: error %v, want one that matches fs.ErrClosed", err)
	}
	if err := d.SyncDir("."); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("SyncDir: error %v, want one that matches fs.ErrClosed", err)
	}
}

// Another process holds the lock, and loses it when it is killed.
func TestLockBetweenProcesses(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	child, said := startHolder(t, dir)
	if said != "locked true <nil>" {
		t.Fatalf("the other process says %q, want %q", said, "locked true <nil>")
	}
	if pid, err := os.ReadFile(filepath.Join(dir, "lock")); err != nil || string(pid) != strconv.Itoa(child.Process.Pid) {
		t.Errorf("the lock file holds %q (%v), want the other's process number %d", pid, err, child.Process.Pid)
	}
	if _, ok, err := d.TryLock("lock"); ok || err != nil {
		t.Fatalf("of a lock that another process holds: ok %v, error %v; want false and none", ok, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	unlock, ok, err := d.TryLock("lock")
	if !ok || err != nil {
		t.Fatalf("of a lock whose holder was killed: ok %v, error %v; want true and none", ok, err)
	}
	if pid, err := os.ReadFile(filepath.Join(dir, "lock")); err != nil || string(pid) != strconv.Itoa(os.Getpid()) {
		t.Errorf("the lock file holds %q (%v), want our process number %d", pid, err, os.Getpid())
	}
	if _, said := startHolder(t, dir); said != "locked false <nil>" {
		t.Errorf("the other process says %q, want %q", said, "locked false <nil>")
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if _, said := startHolder(t, dir); said != "locked true <nil>" {
		t.Errorf("the other process says %q, want %q", said, "locked true <nil>")
	}
}

// startHolder starts this binary as another process that locks, and returns the
// line it prints. It ends with the test.
func startHolder(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lockIn+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // killed by some tests
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the other process said %q and then: %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

// A lock on a file that is no longer there excludes nobody, so it is not given.
func TestALockFileThatIsReplaced(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	unlock, ok, err := d.TryLock("lock")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := d.Rename("lock", "aside"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := d.TryLock("aside"); ok || err != nil {
		t.Errorf("of the locked file under another name: ok %v, error %v; want false and none", ok, err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if err := unlock(); err != nil {
		t.Errorf("a second unlock: %v", err)
	}
}

// Reading and writing must not make garbage.
func TestReadingAndWritingAllocateNothing(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	f, err := d.Create("file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4096)
	for _, c := range []struct {
		op   string
		call func() error
	}{
		{"WriteAt", func() error { _, err := f.WriteAt(buf, 0); return err }},
		{"ReadAt", func() error { _, err := f.ReadAt(buf, 0); return err }},
		{"Write", func() error { _, err := f.Write(buf[:1]); return err }},
		{"Seek", func() error { _, err := f.Seek(0, io.SeekStart); return err }},
		{"Read", func() error { _, err := f.Read(buf); return err }},
	} {
		if err := c.call(); err != nil && err != io.EOF {
			t.Fatalf("%s: %v", c.op, err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = c.call() }); n != 0 {
			t.Errorf("%s allocates %v times, want 0", c.op, n)
		}
	}
}

func TestPreallocateReservesSpace(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	f, err := d.Create("file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type preallocator interface {
		Preallocate(offset, length int64) error
	}
	err = f.(preallocator).Preallocate(0, 1<<20)
	if runtime.GOOS != "linux" {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v, want errors.ErrUnsupported", err)
		}
		return
	}
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("the file system of the temporary directory has no such thing: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil || info.Size() != 1<<20 {
		t.Errorf("size %v (%v), want %d", info.Size(), err, 1<<20)
	}
	if blocks := allocated(info); blocks < 1<<20 {
		t.Errorf("%d bytes are reserved, want at least %d", blocks, 1<<20)
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	disk, err := Open(filepath.Join(dir, "data"), Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer disk.Close()
	_, first, _ := disk.TryLock("lock")
	_, second, _ := disk.TryLock("lock")
	fmt.Println(first, second)
	_, err = disk.Open("../elsewhere")
	fmt.Println(err != nil)
	// Output:
	// true false
	// true
}
