//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package diskfs

import (
	"errors"
	"os"
)

func lockFile(*os.File) (ok bool, err error) { return false, errors.ErrUnsupported }

func unlockFile(*os.File) error { return nil }
