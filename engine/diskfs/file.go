package diskfs

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/afero"
)

// file is an *os.File with the methods that afero lacks. All else, reading and
// writing above all, is the embedded file's own.
type file struct {
	*os.File
	raw  syscall.RawConn // of File; holds it open while a system call runs
	name string          // inside the FS; File has the whole path, for its errors
	data dataSync
}

var _ afero.File = (*file)(nil)

// Name returns the name that the file was opened by, inside the FS.
func (f *file) Name() string { return f.name }

// SyncData makes the file's bytes durable, and its size if it grew; not its
// times. It costs less than Sync where the bytes were in place before.
func (f *file) SyncData() error { return f.syncData() }

// Preallocate reserves space for length bytes from offset on, so that writing
// them needs no more. They read as zeros where nothing was written; the file
// grows to cover them and never shrinks. The error matches
// errors.ErrUnsupported where there is no such thing: write zeros instead.
func (f *file) Preallocate(offset, length int64) error { return f.preallocate(offset, length) }

// control runs a system call on the file and repeats it while a signal
// interrupts it.
func (f *file) control(op string, call func(fd uintptr) error) error {
	var callErr error
	err := f.raw.Control(func(fd uintptr) { callErr = again(call, fd) })
	return f.pathError(op, err, callErr)
}

// again makes a system call until no signal interrupts it.
func again(call func(fd uintptr) error, fd uintptr) error {
	for {
		if err := call(fd); err != syscall.EINTR {
			return err
		}
	}
}

// pathError is the first of the errors, as package os says it, or nil.
func (f *file) pathError(op string, errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return &fs.PathError{Op: op, Path: f.File.Name(), Err: err}
		}
	}
	return nil
}
