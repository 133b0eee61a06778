//go:build !linux

package diskfs

import (
	"errors"
	"io/fs"
)

type dataSync struct{} // nothing to keep

// syncData: os.File.Sync is F_FULLFSYNC on macOS, which alone reaches the
// platter there.
func (f *file) syncData() error { return f.Sync() }

func (f *file) preallocate(offset, length int64) error {
	return &fs.PathError{Op: "preallocate", Path: f.File.Name(), Err: errors.ErrUnsupported}
}
