//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package diskfs

import "os"

func lockFile(*os.File) (ok bool, err error) { return false, errUnsupported }

func unlockFile(*os.File) error { return nil }
