//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
)

// TestKilledPolitely: SIGTERM is what an interrupt is.
func TestKilledPolitely(t *testing.T) {
	ctx, stop := stoppable()
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}
