package planted

import (
	"errors"
	"os"
	"syscall"

	"github.com/spf13/afero"
)

// DeafToNames returns a disk that does not tell of a directory whose sync failed.
func DeafToNames(base afero.Fs) afero.Fs { return deafToNames{disk{base}} }

// DeafToShortWrites returns a disk that does not tell of a write that ended early.
func DeafToShortWrites(base afero.Fs) afero.Fs { return deafToShortWrites{disk{base}} }

// disk passes on what afero does not know.
type disk struct{ afero.Fs }

func (d disk) SyncDir(name string) error {
	return d.Fs.(interface{ SyncDir(string) error }).SyncDir(name)
}

func (d disk) TryLock(name string) (func() error, bool, error) {
	return d.Fs.(interface {
		TryLock(string) (func() error, bool, error)
	}).TryLock(name)
}

type deafToNames struct{ disk }

func (d deafToNames) SyncDir(name string) error {
	err := d.disk.SyncDir(name)
	if errors.Is(err, syscall.EIO) {
		return nil
	}
	return err
}

type deafToShortWrites struct{ disk }

func (d deafToShortWrites) Open(name string) (afero.File, error) {
	return d.OpenFile(name, os.O_RDONLY, 0)
}

func (d deafToShortWrites) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := d.Fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

type file struct{ afero.File }

func (f file) WriteAt(b []byte, offset int64) (int, error) {
	n, err := f.File.WriteAt(b, offset)
	if n > 0 && n < len(b) {
		return len(b), nil
	}
	return n, err
}

func (f file) SyncData() error { return f.File.(interface{ SyncData() error }).SyncData() }
