//go:build unix

package main

import (
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// killer is a stdout that gets its own process killed, politely, when something is
// written to it.
type killer struct {
	strings.Builder
	once sync.Once
	came chan os.Signal
}

func (k *killer) Write(b []byte) (int, error) {
	k.once.Do(func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			panic(err)
		}
		<-k.came
	})
	return k.Builder.Write(b)
}

// TestKilledPolitely: SIGTERM is what an interrupt is. What was found until then
// is printed, and the exit code says that it is not all.
func TestKilledPolitely(t *testing.T) {
	k := &killer{came: make(chan os.Signal, 1)}
	signal.Notify(k.came, syscall.SIGTERM) // so that the test survives it, whatever run does
	defer signal.Stop(k.came)
	var errs strings.Builder
	code := run([]string{"explore", "--events", "5", "--depth", "2", "--disk", "sequential,posix,ext4,xfs,btrfs"}, k, &errs)
	if code != exitBudget || !strings.HasSuffix(errs.String(), "untorn-sim: explore: interrupted: nothing is certified\n") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
	if out := k.String(); !strings.HasPrefix(out, "batch, 5 events, on sequential\n") || !strings.Contains(out, "  certificate ") {
		t.Errorf("what was done before is lost: %q", out)
	}
}
