//go:build unix

package main

import "golang.org/x/sys/unix"

// noWaiting opens a pipe also while nobody writes to it.
const noWaiting = unix.O_NONBLOCK
