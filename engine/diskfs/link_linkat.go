//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package diskfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// linkBetween links a file of one root into another. The directories are opened first,
// so no name leads out of its root.
func linkBetween(from *os.Root, name string, to *os.Root, toName string) error {
	dir, err := openDir(from, filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	toDir, err := openDir(to, filepath.Dir(toName))
	if err != nil {
		return err
	}
	defer toDir.Close()
	base, toBase := filepath.Base(name), filepath.Base(toName)
	if base == ".." || toBase == ".." {
		return errors.ErrUnsupported
	}
	for {
		err := unix.Linkat(int(dir.Fd()), base, int(toDir.Fd()), toBase, 0)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM: // EPERM: the file system has no links
			return fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
		default:
			return err
		}
	}
}
