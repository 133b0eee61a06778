package fscheck_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/fscheck"
)

func TestTheOperatingSystemPasses(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("mine", []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := fscheck.TestFS(afero.NewOsFs()); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"mine"}) {
		t.Errorf("TestFS left %q behind, want only what was there before: %q", names, []string{"mine"})
	}
}

// The simulated disk passes as every kind of disk, before a crash and after one.
func TestTheSimulatedDiskPasses(t *testing.T) {
	for _, g := range simfs.Presets() {
		for _, cell := range []int{1, 512, 4096} {
			disk := simfs.New(simfs.Options{Guarantees: g, CellSize: cell})
			if err := fscheck.TestFS(disk); err != nil {
				t.Errorf("%s, cells of %d:\n%v", g.Name, cell, err)
			}
			after := disk.Crash(simfs.PowerLoss).Mount(simfs.Latest())
			if err := fscheck.TestFS(after); err != nil {
				t.Errorf("%s, cells of %d, after a power loss:\n%v", g.Name, cell, err)
			}
		}
	}
}

// TestFS must find a fresh name beside what is there.
func TestFindsAFreshDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("fscheck-0", []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := fscheck.TestFS(afero.NewOsFs()); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile("fscheck-0"); err != nil || string(data) != "mine" {
		t.Errorf("a file that was there holds %q (%v), want %q", data, err, "mine")
	}
}

// wrapFs is a right file system whose parts can be replaced by wrong ones.
type wrapFs struct {
	afero.Fs
	wrap   func(afero.File) afero.File
	rename func(base afero.Fs, from, to string) error
	open   func(base afero.Fs, name string, flag int, perm os.FileMode) (afero.File, error)
	remove func(base afero.Fs, name string) error
}

func (w wrapFs) wrapped(f afero.File, err error) (afero.File, error) {
	if err != nil || w.wrap == nil {
		return f, err
	}
	return w.wrap(f), nil
}
func (w wrapFs) Create(name string) (afero.File, error) {
	return w.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}
func (w wrapFs) Open(name string) (afero.File, error) { return w.OpenFile(name, os.O_RDONLY, 0) }
func (w wrapFs) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	if w.open != nil {
		return w.wrapped(w.open(w.Fs, name, flag, perm))
	}
	return w.wrapped(w.Fs.OpenFile(name, flag, perm))
}
func (w wrapFs) Rename(from, to string) error {
	if w.rename != nil {
		return w.rename(w.Fs, from, to)
	}
	return w.Fs.Rename(from, to)
}
func (w wrapFs) Remove(name string) error {
	if w.remove != nil {
		return w.remove(w.Fs, name)
	}
	return w.Fs.Remove(name)
}

// The wrong files.
type (
	noEOF       struct{ afero.File } // a short ReadAt without io.EOF
	movingRead  struct{ afero.File } // ReadAt by Seek and Read
	failingSync struct{ afero.File }
	dirtyHole   struct{ afero.File } // a hole that does not read as zeros
	forgetful   struct{ afero.File } // Truncate does nothing when it makes the file longer
	immortal    struct{ afero.File } // a second Close succeeds
	fewNames    struct{ afero.File } // Readdirnames leaves one out
	brokenData  struct{ afero.File } // SyncData fails
	lazyReserve struct{ afero.File } // Preallocate leaves the size
	unsupported struct{ afero.File } // all optional methods say so: that is allowed
)

func (f noEOF) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}

func (f movingRead) ReadAt(b []byte, off int64) (int, error) {
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(f.File, b)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

func (f failingSync) Sync() error { return errors.New("no") }

func (f dirtyHole) WriteAt(b []byte, off int64) (int, error) {
	if info, err := f.Stat(); err == nil && off > info.Size() && len(b) > 0 {
		if _, err := f.File.WriteAt([]byte("junk"), info.Size()); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(b, off)
}

func (f forgetful) Truncate(size int64) error {
	if info, err := f.Stat(); err == nil && size > info.Size() {
		return nil
	}
	return f.File.Truncate(size)
}

func (f immortal) Close() error {
	_ = f.File.Close()
	return nil
}

func (f fewNames) Readdirnames(n int) ([]string, error) {
	names, err := f.File.Readdirnames(n)
	if len(names) > 4 {
		names = names[1:]
	}
	return names, err
}

func (f brokenData) SyncData() error { return errors.New("no") }

func (f lazyReserve) Preallocate(offset, length int64) error { return nil }

func (f unsupported) SyncData() error                        { return errors.ErrUnsupported }
func (f unsupported) Preallocate(offset, length int64) error { return errors.ErrUnsupported }

// The wrong locks and directory syncs.
type (
	freeLock    struct{ wrapFs } // given to everybody
	stuckLock   struct{ wrapFs } // never given back
	brokenDir   struct{ wrapFs } // SyncDir fails
	noOptionals struct{ wrapFs } // all optional methods say so: that is allowed
)

func (freeLock) TryLock(string) (func() error, bool, error) {
	return func() error { return nil }, true, nil
}

func (stuckLock) TryLock(string) (func() error, bool, error) { return nil, false, nil }

func (brokenDir) SyncDir(string) error { return errors.New("no") }

func (noOptionals) SyncDir(string) error { return errors.ErrUnsupported }
func (noOptionals) TryLock(string) (func() error, bool, error) {
	return nil, false, errors.ErrUnsupported
}

// Each wrong file system is found out, and the right operation is blamed.
func TestWrongFileSystemsAreNamed(t *testing.T) {
	files := func(wrap func(afero.File) afero.File) afero.Fs {
		return wrapFs{Fs: afero.NewOsFs(), wrap: wrap}
	}
	base := wrapFs{Fs: afero.NewOsFs()}
	for _, c := range []struct {
		name string
		fs   afero.Fs
		op   string // the operation that must be among the problems
		says string // and what its text must contain
	}{
		{"a short ReadAt without io.EOF", files(func(f afero.File) afero.File { return noEOF{f} }), "ReadAt", "want io.EOF: the read is short"},
		{"a ReadAt that moves the offset", files(func(f afero.File) afero.File { return movingRead{f} }), "ReadAt", "does not move the offset"},
		{"a Sync that fails", files(func(f afero.File) afero.File { return failingSync{f} }), "Sync", "of a file with new bytes"},
		{"holes with junk", files(func(f afero.File) afero.File { return dirtyHole{f} }), "WriteAt", "the hole reads as zeros"},
		{"a Truncate that does not grow", files(func(f afero.File) afero.File { return forgetful{f} }), "Truncate", "to 700 and then to 6000"},
		{"a Close that always succeeds", files(func(f afero.File) afero.File { return immortal{f} }), "Close", "of a closed handle"},
		{"a Readdirnames that leaves a name out", files(func(f afero.File) afero.File { return fewNames{f} }), "Readdirnames", "of seven files and a directory"},
		{"a SyncData that fails", files(func(f afero.File) afero.File { return brokenData{f} }), "SyncData", "of a file with new bytes"},
		{"a Preallocate that leaves the size", files(func(f afero.File) afero.File { return lazyReserve{f} }), "Preallocate", "of 9000 bytes from 0"},
		{"a lock given to everybody", freeLock{base}, "TryLock", "given to two at once"},
		{"a lock given to nobody", stuckLock{base}, "TryLock", "nobody holds it"},
		{"a SyncDir that fails", brokenDir{base}, "SyncDir", "with a new name"},
		{"a Rename that does not replace", wrapFs{Fs: afero.NewOsFs(), rename: func(base afero.Fs, from, to string) error {
			if _, err := base.Stat(to); err == nil {
				return fs.ErrExist
			}
			return base.Rename(from, to)
		}}, "Rename", "onto an existing file"},
		{"a Rename that copies into the target", wrapFs{Fs: afero.NewOsFs(), rename: copyOver}, "Rename", "its handle reads"},
		{"a Rename that leaves the source", wrapFs{Fs: afero.NewOsFs(), rename: func(base afero.Fs, from, to string) error {
			data, err := afero.ReadFile(base, from)
			if err != nil {
				return err
			}
			if err := base.Rename(from, to); err != nil {
				return err
			}
			return afero.WriteFile(base, from, data, 0o666)
		}}, "Rename", "then Stat of source says"},
		{"an O_EXCL that is ignored", wrapFs{Fs: afero.NewOsFs(), open: func(base afero.Fs, name string, flag int, perm os.FileMode) (afero.File, error) {
			return base.OpenFile(name, flag&^os.O_EXCL, perm)
		}}, "OpenFile", "O_EXCL: error <nil>"},
		{"an O_APPEND that is ignored", wrapFs{Fs: afero.NewOsFs(), open: func(base afero.Fs, name string, flag int, perm os.FileMode) (afero.File, error) {
			return base.OpenFile(name, flag&^os.O_APPEND, perm)
		}}, "Write", "with O_APPEND to a file with bytes"},
		{"an O_RDONLY that writes", wrapFs{Fs: afero.NewOsFs(), open: func(base afero.Fs, name string, flag int, perm os.FileMode) (afero.File, error) {
			if info, err := base.Stat(name); flag == os.O_RDONLY && err == nil && !info.IsDir() {
				flag = os.O_RDWR
			}
			return base.OpenFile(name, flag, perm)
		}}, "WriteAt", "with O_RDONLY"},
		{"an OpenFile that makes parents", wrapFs{Fs: afero.NewOsFs(), open: func(base afero.Fs, name string, flag int, perm os.FileMode) (afero.File, error) {
			if flag&os.O_CREATE != 0 {
				_ = base.MkdirAll(filepath.Dir(name), 0o777)
			}
			return base.OpenFile(name, flag, perm)
		}}, "OpenFile", "in a missing directory"},
		{"a Remove that forgets fs.ErrNotExist", wrapFs{Fs: afero.NewOsFs(), remove: func(base afero.Fs, name string) error {
			if err := base.Remove(name); err != nil {
				return errors.New("not there")
			}
			return nil
		}}, "Remove", "of a missing file"},
		{"a Remove that empties the file", wrapFs{Fs: afero.NewOsFs(), remove: func(base afero.Fs, name string) error {
			if info, err := base.Stat(name); err == nil && !info.IsDir() {
				_ = os.Truncate(name, 0)
			}
			return base.Remove(name)
		}}, "Remove", "its handle reads"},
		{"MemMapFs", memMapFs(), "ReadAt", "want io.EOF: the read is short"},
		{"MemMapFs", memMapFs(), "WriteAt", "does not move the offset"},
		{"MemMapFs", memMapFs(), "WriteAt", "panicked"},
		{"MemMapFs", memMapFs(), "Mkdir", "in a missing directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			problems := problemsOf(t, fscheck.TestFS(c.fs))
			for _, p := range problems {
				if p.Op == c.op && strings.Contains(p.What, c.says) {
					return
				}
			}
			t.Errorf("no problem of %s says %q; found:\n%v", c.op, c.says, errors.Join(asErrors(problems)...))
		})
	}
}

// The wrappers themselves are not what is found: with nothing wrong, or with
// optional methods that decline, they pass.
func TestDecliningIsAllowed(t *testing.T) {
	t.Chdir(t.TempDir())
	fsys := noOptionals{wrapFs{Fs: afero.NewOsFs(), wrap: func(f afero.File) afero.File { return unsupported{f} }}}
	if err := fscheck.TestFS(fsys); err != nil {
		t.Error(err)
	}
}

// A failure reads the same every time.
func TestTheTextIsTheSameEveryTime(t *testing.T) {
	text := func() string {
		t.Chdir(t.TempDir())
		fsys := wrapFs{Fs: afero.NewOsFs(), wrap: func(f afero.File) afero.File { return failingSync{noEOF{f}} }}
		return fscheck.TestFS(fsys).Error()
	}
	if a, b := text(), text(); a != b {
		t.Errorf("two runs differ:\n%s\n\n%s", a, b)
	}
}

func problemsOf(t *testing.T, err error) []*fscheck.Problem {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("TestFS returned %v, want joined problems", err)
	}
	var problems []*fscheck.Problem
	for _, e := range joined.Unwrap() {
		p, ok := e.(*fscheck.Problem)
		if !ok {
			t.Fatalf("TestFS returned %T among its errors, want only *Problem: %v", e, e)
		}
		problems = append(problems, p)
	}
	return problems
}

func asErrors(problems []*fscheck.Problem) []error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, p)
	}
	return errs
}

// memMapFs is afero's, but for the renames that involve a directory, some of
// which end the whole process ("fatal error: RUnlock of unlocked RWMutex").
// Its files are used by one goroutine at a time: their data races are known, and
// the race detector would name them first.
func memMapFs() afero.Fs {
	var mu sync.Mutex
	oneByOne := func(f afero.File) afero.File { return serial{f, &mu} }
	return wrapFs{Fs: afero.NewMemMapFs(), wrap: oneByOne, rename: func(base afero.Fs, from, to string) error {
		for _, name := range []string{from, to} {
			if info, err := base.Stat(name); err == nil && info.IsDir() {
				return errors.New("MemMapFs might end the process")
			}
		}
		return base.Rename(from, to)
	}}
}

type serial struct {
	afero.File
	mu *sync.Mutex
}

func (f serial) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.File.ReadAt(b, off)
}

func (f serial) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.File.Write(b)
}

// copyOver renames by copying bytes into the target's file.
func copyOver(base afero.Fs, from, to string) error {
	info, err := base.Stat(from)
	if err != nil {
		return err
	}
	if _, err := base.Stat(to); info.IsDir() || err != nil {
		return base.Rename(from, to)
	}
	data, err := afero.ReadFile(base, from)
	if err != nil {
		return err
	}
	if err := afero.WriteFile(base, to, data, 0o666); err != nil {
		return err
	}
	return base.Remove(from)
}
