//go:build unix

package main

import (
	"errors"
	"syscall"
)

// running reports whether there is a process with this number, as far as one can see
// from here; known is false where that cannot be told.
func running(pid int) (yes, known bool) {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM), true
}
