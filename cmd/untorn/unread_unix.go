//go:build unix && !aix

package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// unread waits until nobody can read any more what is written to a pipe, a socket or a
// terminal, and then returns true; false when the context has ended, about a second
// later. For any other file it only waits for that.
func unread(ctx context.Context, file *os.File) bool {
	const gone = unix.POLLERR | unix.POLLHUP
	ends := []unix.PollFd{{Fd: int32(file.Fd())}} // these two come unasked
	for ctx.Err() == nil {
		n, err := unix.Poll(ends, 1000)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR), n > 0 && ends[0].Revents&gone == 0:
			return false // it cannot be told
		case n > 0:
			return true
		}
	}
	return false
}
