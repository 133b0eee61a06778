//go:build unix && !aix

package diskfs

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openDir opens a directory, and nothing else: a pipe would block.
func openDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
}

// syncDirHandle makes a directory's names durable. EINVAL is how a file system
// says that it has no such sync.
func syncDirHandle(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
	}
	return err
}

// mayMakeNames reports whether this process may make a name in a directory.
func mayMakeNames(dir string) bool {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil
}
