//go:build unix

package scenarios

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used of all processors, by itself and in the
// kernel: what a benchmark costs on a machine that others use, too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
