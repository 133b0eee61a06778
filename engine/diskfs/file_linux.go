package diskfs

import "golang.org/x/sys/unix"

func (f *file) syncData() error {
	return f.control("sync data", func(fd uintptr) error { return unix.Fdatasync(int(fd)) })
}

func (f *file) preallocate(offset, length int64) error {
	return f.control("preallocate", func(fd uintptr) error {
		return unix.Fallocate(int(fd), 0, offset, length) // EOPNOTSUPP matches errors.ErrUnsupported
	})
}
