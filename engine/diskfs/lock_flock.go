//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package diskfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile reports false when another open file holds the lock.
func lockFile(f *os.File) (ok bool, err error) {
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

// unlockFile gives the lock back at once. Closing alone would not, while a child
// process that is just being started holds a copy of the handle.
func unlockFile(f *os.File) error { return flock(f, unix.LOCK_UN) }

func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var flockErr error
	err = raw.Control(func(fd uintptr) {
		for {
			if flockErr = unix.Flock(int(fd), how); flockErr != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return flockErr
}
