//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package diskfs

import (
	"errors"
	"os"
)

func linkBetween(*os.Root, string, *os.Root, string) error { return errors.ErrUnsupported }
