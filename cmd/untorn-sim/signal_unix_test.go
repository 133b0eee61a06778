//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/untorn-db/untorn/replay"
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
	if code != exitBudget || !strings.HasSuffix(errs.String(), "untorn-sim: explore: interrupted: nothing is certified of posix,ext4,xfs,btrfs; go on with: go run ./cmd/untorn-sim explore --depth 2 --disk posix,ext4,xfs,btrfs --events 5\n") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
	if out := k.String(); !strings.HasPrefix(out, "batch, 5 events, on sequential\n") || !strings.Contains(out, "  certificate ") {
		t.Errorf("what was done before is lost: %q", out)
	}
}

// stopped runs the program as a process of its own, in a directory, and sends it a
// signal when it tells of its progress in words that a pattern matches.
func stopped(t *testing.T, dir, when string, sig syscall.Signal, args ...string) (code int, stdout, failure string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: exe, Args: append([]string{"untorn-sim"}, args...), Dir: dir, Stdout: &out, WaitDelay: time.Minute}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	sent := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		switch text := lines.Text(); {
		case strings.HasPrefix(text, "untorn-sim: progress: ") && !sent && regexp.MustCompile(when).MatchString(text):
			if !regexp.MustCompile(`[0-9]+( of [0-9]+)? [a-z][a-z0-9 ]* in [0-9]+s, `).MatchString(text) {
				t.Errorf("what is told of the work: %q", text)
			}
			sent = true
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(text, "untorn-sim: progress: "):
		default:
			failure += text + "\n"
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if !sent {
		t.Fatalf("%v ended before it could be stopped: %s%s", args, failure, out.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), failure
}

// matches reports a text that a pattern does not match.
func matches(t *testing.T, what, text, pattern string) []string {
	t.Helper()
	found := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(text)
	if found == nil {
		t.Errorf("%s: want %s, got %s", what, pattern, text)
	}
	return found
}

// TestStopped sends signals to commands at work: they end with what was found so far
// and with a line that goes on.
func TestStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("each command is at work for some seconds")
	}
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, out, failure := stopped(t, dir, "", syscall.SIGINT, "run", "--scenario", "batch,transactions", "--seeds", "1-100000", "--images", "3", "--jobs", "2", "--out", "rows")
		if code != exitBudget {
			t.Errorf("exit %d", code)
		}
		matches(t, "stdout", out, `^ +total +[1-9][0-9]* `)
		counts := matches(t, "stderr", failure, `\Auntorn-sim: run: interrupted: the table counts ([0-9]+) of 200000 seeds; go on with: go run ./cmd/untorn-sim run --jobs 2 --out rows --resume failures/interrupted.run\n\z`)
		if _, err := os.Stat(filepath.Join(dir, "rows")); err != nil {
			t.Error(err)
		}
		state, err := replay.LoadState(filepath.Join(dir, "failures", "interrupted.run"))
		if err != nil {
			t.Fatal(err)
		}
		if done, _ := state.Seeds(); counts == nil || counts[1] == "0" || counts[1] != strings.TrimSpace(counts[1]) || done == 0 {
			t.Errorf("%d seeds are done, told %v", done, counts)
		}
		code, _, failure = stopped(t, dir, "", syscall.SIGTERM, "run", "--jobs", "2", "--out", "rows", "--resume", "failures/interrupted.run")
		if code != exitBudget {
			t.Errorf("gone on with: exit %d", code)
		}
		more := matches(t, "gone on with", failure, `\Auntorn-sim: run: interrupted: the table counts ([0-9]+) of 200000 seeds; go on with: go run ./cmd/untorn-sim run --jobs 2 --out rows --resume failures/interrupted.run\n\z`)
		if counts != nil && more != nil && (len(more[1]) < len(counts[1]) || len(more[1]) == len(counts[1]) && more[1] <= counts[1]) {
			t.Errorf("the table counted %s seeds, then %s", counts[1], more[1])
		}
	})
	t.Run("explore", func(t *testing.T) {
		t.Parallel()
		code, out, failure := stopped(t, t.TempDir(), "", syscall.SIGINT, "explore", "--events", "60", "--size", "2000", "--depth", "3", "--disk", "posix,ext4", "--all-points")
		if code != exitBudget {
			t.Errorf("exit %d", code)
		}
		matches(t, "stdout", out, `^  so far        [0-9]+ crash points?, [0-9]+ runs?, 0 violations; nothing is certified of posix$`)
		matches(t, "stderr", failure, `\Auntorn-sim: explore: interrupted: nothing is certified of posix,ext4; go on with: go run ./cmd/untorn-sim explore --all-points --depth 3 --disk posix,ext4 --events 60 --size 2000\n\z`)
	})
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		code, out, failure := stopped(t, t.TempDir(), "", syscall.SIGINT, "errors", "--disk", "posix,ext4", "--ops", "100000", "--scenario", "mixed", "--seed", "3")
		if code != exitBudget {
			t.Errorf("exit %d", code)
		}
		matches(t, "stdout", out, `^mixed on posix: [0-9]+ operations, [0-9]+ faults, [0-9]+ happened, .*, not exact, 0 violations, `)
		matches(t, "stdout", out, `^  [0-9]+ of [0-9]+ faults were not tried: it was interrupted$`)
		matches(t, "stderr", failure, `\Auntorn-sim: errors: interrupted: [0-9]+ of [0-9]+ faults were tried on posix; go on with: go run ./cmd/untorn-sim errors --disk posix,ext4 --ops 100000 --scenario mixed --seed 3\n\z`)
	})
	t.Run("tamper", func(t *testing.T) {
		t.Parallel()
		code, out, failure := stopped(t, t.TempDir(), "", syscall.SIGTERM, "tamper", "--mutations", "100000000")
		if code != exitBudget {
			t.Errorf("exit %d", code)
		}
		matches(t, "stdout", out, `^ +together +[1-9]`)
		matches(t, "stderr", failure, `\Auntorn-sim: tamper: interrupted: [0-9]+ mutations were judged, 0 finds so far; it begins anew; go on with: go run ./cmd/untorn-sim tamper --mutations 100000000\n\z`)
	})
	t.Run("shrink", func(t *testing.T) { // alone: its first run has to end before it is stopped
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "long.plan"), []byte(longPlan), 0o644); err != nil {
			t.Fatal(err)
		}
		code, out, failure := stopped(t, dir, `([2-9]|[0-9][0-9]+) runs of`, syscall.SIGINT, "shrink", "long.plan", "--images", "4000", "--jobs", "1", "--out", "small.plan")
		if code != exitBudget {
			t.Errorf("exit %d", code)
		}
		matches(t, "stdout", out, `^from 13 steps, 0 faults, [0-9]+ choices to [0-9]+ steps?, 0 faults, [0-9]+ choices?, in [0-9]+ runs?$`)
		matches(t, "stderr", failure, `\Auntorn-sim: shrink: interrupted: small.plan may not be minimal; go on with: go run ./cmd/untorn-sim shrink small.plan --images 4000 --jobs 1 --out small.plan\n\z`)
		if _, err := replay.Load(filepath.Join(dir, "small.plan")); err != nil {
			t.Error(err)
		}
	})
}

// longPlan fails, and takes a while to be made small.
const longPlan = `untorn plan 1
scenario batch
disk posix
set powersafe = false
set images = 4000
set deviation = 2
step 1 open
step 2 batch 0="order-1 placed size=300" 1="ledger booked size=30"
step 3 batch 0="order-1 paid size=700" 1="order-2 placed size=200"
step 4 batch buffered=true 0="order-3 placed size=300"
step 5 batch 0="order-3 paid size=3000" 1="order-4 placed size=100" 2="order-5 placed size=100"
step 6 read
step 7 batch 0="order-6 paid size=900" 1="order-7 placed size=100"
step 8 batch 0="order-8 paid size=900" 1="order-9 placed size=100"
step 9 sync
step 10 batch 0="order-8 paid size=900" 1="order-9 placed size=100"
step 11 close
step 12 open
step 13 batch 0="order-8 paid size=900" 1="order-9 placed size=100"
`
