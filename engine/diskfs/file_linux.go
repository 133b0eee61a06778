package diskfs

import "golang.org/x/sys/unix"

func (f *file) syncData() error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	if f.sync == nil {
		f.sync = func(fd uintptr) { f.synced = again(fdatasync, fd) }
	}
	f.synced = nil
	err := f.raw.Control(f.sync)
	return f.pathError("sync data", err, f.synced)
}

func fdatasync(fd uintptr) error { return unix.Fdatasync(int(fd)) }

func (f *file) preallocate(offset, length int64) error {
	return f.control("preallocate", func(fd uintptr) error {
		return unix.Fallocate(int(fd), 0, offset, length) // EOPNOTSUPP matches errors.ErrUnsupported
	})
}
