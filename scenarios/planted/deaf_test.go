package planted

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/spf13/afero"
)

// failing is a disk on which nothing succeeds.
type failing struct {
	afero.Fs
	err error
}

func (f failing) SyncDir(string) error                       { return f.err }
func (f failing) TryLock(string) (func() error, bool, error) { return nil, false, f.err }
func (f failing) OpenFile(string, int, os.FileMode) (afero.File, error) {
	return short{err: f.err}, nil
}

type short struct {
	afero.File
	err error
}

func (s short) WriteAt(b []byte, _ int64) (int, error) { return len(b) / 2, s.err }
func (s short) SyncData() error                        { return s.err }

// TestDeaf: each bug hides its own error, and no other.
func TestDeaf(t *testing.T) {
	for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
		names, writes := DeafToNames(failing{err: err}), DeafToShortWrites(failing{err: err})
		for _, c := range []struct {
			what string
			got  error
			want error
		}{
			{"names, SyncDir", names.(deafToNames).SyncDir("d"), map[error]error{syscall.ENOSPC: err}[err]},
			{"names, TryLock", second(names.(deafToNames).TryLock("d")), err},
			{"writes, SyncDir", writes.(deafToShortWrites).SyncDir("d"), err},
			{"writes, TryLock", second(writes.(deafToShortWrites).TryLock("d")), err},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s of %v: %v", c.what, err, c.got)
			}
		}
		f, openErr := writes.Open("f")
		if openErr != nil {
			t.Fatal(openErr)
		}
		if n, got := f.WriteAt(make([]byte, 8), 0); n != 8 || got != nil {
			t.Errorf("a short write: %d, %v", n, got)
		}
		if n, got := f.WriteAt(nil, 0); n != 0 || !errors.Is(got, err) {
			t.Errorf("no write: %d, %v", n, got)
		}
		if got := f.(file).SyncData(); !errors.Is(got, err) {
			t.Errorf("SyncData: %v", got)
		}
	}
}

func second(_ func() error, _ bool, err error) error { return err }
