//go:build race

package simclock

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestMain is the racy program itself, where the test below calls for it.
func TestMain(m *testing.M) {
	switch os.Getenv("SIMCLOCK_RACY") {
	case "":
		os.Exit(m.Run())
	case "spin":
		runtime.GOMAXPROCS(1)
		racy(Order{Seed: 1, Spin: true})
	case "channel":
		racy(Order{Seed: 1})
	}
	os.Exit(0)
}

// racy has two tasks that write one word, with nothing that orders them.
func racy(o Order) {
	s := NewScheduler(New(Epoch()), o)
	x := 0
	s.Run("main", func() {
		a, b := s.Signal("a"), s.Signal("b")
		task := func(done *Signal) func() {
			return func() {
				for range 10 {
					s.Switch("before the write")
					x++
				}
				done.Set()
			}
		}
		s.Go("a", task(a))
		s.Go("b", task(b))
		waitFor(a)
		waitFor(b)
	})
}

// TestSpinShowsRaces: and the channel hides them; nothing of the scheduler's own
// is reported.
func TestSpinShowsRaces(t *testing.T) {
	for _, how := range []string{"spin", "channel"} {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), "SIMCLOCK_RACY="+how)
		out, err := command.CombinedOutput()
		reports := strings.Count(string(out), "DATA RACE")
		if wanted := how == "spin"; wanted != (reports > 0) || wanted != (err != nil) {
			t.Errorf("%s: %d reports, %v\n%s", how, reports, err, out)
		}
		if own := strings.Count(string(out), "racy.func"); reports > 0 && own < 2*reports {
			t.Errorf("%s: the scheduler reports itself:\n%s", how, out)
		}
	}
}
