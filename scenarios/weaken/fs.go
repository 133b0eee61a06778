package weaken

import (
	"errors"
	"os"
	"sync"

	"github.com/spf13/afero"
)

// fsys passes everything on but the syncs that decide says otherwise of.
type fsys struct {
	afero.Fs
	memo   *memo
	decide func(Call) (Mode, error)

	mu      sync.Mutex
	pending []func() // delayed syncs, in order
}

// Name is that of the file system below.
func (f *fsys) Name() string { return f.Fs.Name() }

// settle lets the delayed syncs take effect.
func (f *fsys) settle() {
	f.mu.Lock()
	pending := f.pending
	f.pending = nil
	f.mu.Unlock()
	for _, do := range pending {
		do()
	}
}

func (f *fsys) delay(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = append(f.pending, do)
}

func (f *fsys) Create(name string) (afero.File, error) {
	f.settle()
	return f.file(f.Fs.Create(name))
}

func (f *fsys) Open(name string) (afero.File, error) { return f.file(f.Fs.Open(name)) }

func (f *fsys) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		f.settle()
	}
	return f.file(f.Fs.OpenFile(name, flag, perm))
}

func (f *fsys) file(below afero.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{File: below, fs: f}, nil
}

func (f *fsys) Mkdir(name string, perm os.FileMode) error {
	f.settle()
	return f.Fs.Mkdir(name, perm)
}

func (f *fsys) MkdirAll(name string, perm os.FileMode) error {
	f.settle()
	return f.Fs.MkdirAll(name, perm)
}

func (f *fsys) Remove(name string) error {
	f.settle()
	return f.Fs.Remove(name)
}

func (f *fsys) RemoveAll(name string) error {
	f.settle()
	return f.Fs.RemoveAll(name)
}

func (f *fsys) Rename(from, to string) error {
	f.settle()
	return f.Fs.Rename(from, to)
}

// SyncDir is the optional method of the file system below.
func (f *fsys) SyncDir(name string) error {
	s, ok := f.Fs.(interface{ SyncDir(string) error })
	if !ok {
		return errors.ErrUnsupported
	}
	mode, err := f.decide(call("SyncDir", 2, f.memo))
	if err != nil {
		return err
	}
	switch mode {
	case Drop, Weaken:
		return nil
	case Delay:
		f.settle()
		f.delay(func() { _ = s.SyncDir(name) })
		return nil
	}
	f.settle()
	return s.SyncDir(name)
}

// TryLock is the optional method of the file system below.
func (f *fsys) TryLock(name string) (func() error, bool, error) {
	if s, ok := f.Fs.(interface {
		TryLock(string) (func() error, bool, error)
	}); ok {
		return s.TryLock(name)
	}
	return nil, false, errors.ErrUnsupported
}

// file is one handle.
type file struct {
	afero.File
	fs *fsys

	mu      sync.Mutex
	waiting int  // delayed syncs
	closed  bool // by the program, while some waited
}

func (f *file) Write(b []byte) (int, error) {
	f.fs.settle()
	return f.File.Write(b)
}

func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	f.fs.settle()
	return f.File.WriteAt(b, offset)
}

func (f *file) WriteString(s string) (int, error) {
	f.fs.settle()
	return f.File.WriteString(s)
}

func (f *file) Truncate(size int64) error {
	f.fs.settle()
	return f.File.Truncate(size)
}

// Preallocate is the optional method of the file below.
func (f *file) Preallocate(offset, length int64) error {
	if p, ok := f.File.(interface{ Preallocate(int64, int64) error }); ok {
		f.fs.settle()
		return p.Preallocate(offset, length)
	}
	return errors.ErrUnsupported
}

func (f *file) Sync() error {
	mode, err := f.fs.decide(call("Sync", 2, f.fs.memo))
	if err != nil {
		return err
	}
	switch mode {
	case Drop:
		return nil
	case Delay:
		return f.delay(f.File.Sync)
	case Weaken:
		if info, err := f.File.Stat(); err == nil && info.IsDir() {
			return nil
		}
		if s, ok := f.File.(interface{ SyncData() error }); ok {
			f.fs.settle()
			return s.SyncData()
		}
	}
	f.fs.settle()
	return f.File.Sync()
}

// SyncData is the optional method of the file below.
func (f *file) SyncData() error {
	s, ok := f.File.(interface{ SyncData() error })
	if !ok {
		return errors.ErrUnsupported
	}
	mode, err := f.fs.decide(call("SyncData", 2, f.fs.memo))
	if err != nil {
		return err
	}
	switch mode {
	case Drop:
		return nil
	case Delay:
		return f.delay(s.SyncData)
	}
	f.fs.settle()
	return s.SyncData()
}

func (f *file) delay(do func() error) error {
	f.fs.settle()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
	f.fs.delay(func() {
		_ = do()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.waiting--; f.waiting == 0 && f.closed {
			_ = f.File.Close()
		}
	})
	return nil
}

// Close closes the file, or has the last delayed sync do it.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting > 0 && !f.closed {
		f.closed = true
		return nil
	}
	return f.File.Close()
}

// Plain is base without the optional methods of a file system and its files:
// SyncDir, SyncData, Preallocate answer errors.ErrUnsupported. Locks are passed on.
func Plain(base afero.Fs) afero.Fs { return plainFS{base} }

type plainFS struct{ afero.Fs }

type plainFile struct{ afero.File }

func (p plainFS) Create(name string) (afero.File, error) { return plain(p.Fs.Create(name)) }
func (p plainFS) Open(name string) (afero.File, error)   { return plain(p.Fs.Open(name)) }

func (p plainFS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	return plain(p.Fs.OpenFile(name, flag, perm))
}

func (p plainFS) TryLock(name string) (func() error, bool, error) {
	if s, ok := p.Fs.(interface {
		TryLock(string) (func() error, bool, error)
	}); ok {
		return s.TryLock(name)
	}
	return nil, false, errors.ErrUnsupported
}

func plain(f afero.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return plainFile{f}, nil
}
