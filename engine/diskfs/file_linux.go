package diskfs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// dataSync is what SyncData keeps, so that it does not allocate, as a call of
// control does: a durable append is little more than a sync.
type dataSync struct {
	mu   sync.Mutex
	call func(fd uintptr) // made by the first one; sets err
	err  error
}

func (f *file) syncData() error {
	d := &f.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.call == nil {
		d.call = func(fd uintptr) { d.err = again(fdatasync, fd) }
	}
	d.err = nil
	err := f.raw.Control(d.call)
	return f.pathError("sync data", err, d.err)
}

func fdatasync(fd uintptr) error { return unix.Fdatasync(int(fd)) }

func (f *file) preallocate(offset, length int64) error {
	return f.control("preallocate", func(fd uintptr) error {
		return unix.Fallocate(int(fd), 0, offset, length) // EOPNOTSUPP matches errors.ErrUnsupported
	})
}
