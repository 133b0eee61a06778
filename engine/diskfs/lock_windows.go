package diskfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockedByte is one byte far behind the end: a lock here keeps others from
// reading what it covers, and the process number is to be read.
func lockedByte() *windows.Overlapped {
	return &windows.Overlapped{Offset: 0, OffsetHigh: 1 << 30}
}

// lockFile reports false when another open file holds the lock.
func lockFile(f *os.File) (ok bool, err error) {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = onHandle(f, func(h windows.Handle) error {
		return windows.LockFileEx(h, how, 0, 1, 0, lockedByte())
	})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

func unlockFile(f *os.File) error {
	return onHandle(f, func(h windows.Handle) error {
		return windows.UnlockFileEx(h, 0, 1, 0, lockedByte())
	})
}

func onHandle(f *os.File, call func(windows.Handle) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = call(windows.Handle(fd)) }); err != nil {
		return err
	}
	return callErr
}
