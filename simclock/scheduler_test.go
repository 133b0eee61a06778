package simclock

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// relay runs three tasks that note their steps, and returns the notes. With Spin
// they are at the same time, as the race detector sees it: hence the lock.
func relay(o Order) (trace string, hash uint64) {
	s := NewScheduler(New(Epoch()), o)
	var mu sync.Mutex
	var b strings.Builder
	s.Run("main", func() {
		var all []*Signal
		for _, name := range []string{"a", "b", "c"} {
			done := s.Signal(name)
			all = append(all, done)
			s.Go(name, func() {
				for range 5 {
					s.Switch("step")
					mu.Lock()
					b.WriteString(name)
					mu.Unlock()
				}
				done.Set()
			})
		}
		for _, done := range all {
			_ = done.Wait(context.Background())
		}
	})
	_, hash = s.Decisions()
	return b.String(), hash
}

// orders are the ways to choose that every test goes through.
func orders(seed uint64) map[string]Order {
	return map[string]Order{
		"uniform":    {Seed: seed},
		"priorities": {Seed: seed, Priorities: 3, Length: 20},
	}
}

func TestSameSeedSameTurns(t *testing.T) {
	for name := range orders(0) {
		seen := map[string]bool{}
		for seed := range uint64(200) {
			first, hash := relay(orders(seed)[name])
			again, hashAgain := relay(orders(seed)[name])
			if first != again || hash != hashAgain {
				t.Fatalf("%s, seed %d: %s, then %s", name, seed, first, again)
			}
			for _, letter := range "abc" {
				if strings.Count(first, string(letter)) != 5 {
					t.Fatalf("%s, seed %d: %s", name, seed, first)
				}
			}
			seen[first] = true
		}
		if len(seen) < 20 {
			t.Errorf("%s: 200 seeds gave %d orders", name, len(seen))
		}
	}
}

// TestSpinDecidesAlike: the hand-off that the race detector sees through makes
// the same decisions. It needs a single processor.
func TestSpinDecidesAlike(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(20) {
		want, wantHash := relay(Order{Seed: seed})
		if trace, hash := relay(Order{Seed: seed, Spin: true}); trace != want || hash != wantHash {
			t.Fatalf("seed %d: %s with a channel, %s without", seed, want, trace)
		}
	}
}

// TestYieldLetsOthersGoFirst: as long as another is ready.
func TestYieldLetsOthersGoFirst(t *testing.T) {
	for seed := range uint64(50) {
		for name, o := range orders(seed) {
			s := NewScheduler(New(Epoch()), o)
			ran := false
			s.Run("main", func() {
				s.Yield() // nobody there
				s.Go("other", func() { ran = true })
				s.Yield()
				if !ran {
					t.Errorf("%s, seed %d: the other task had to wait", name, seed)
				}
			})
		}
	}
}

func TestTimersRunWhenNobodyIsReady(t *testing.T) {
	clock := New(Epoch())
	s := NewScheduler(clock, Order{})
	var got []string
	s.Run("main", func() {
		late, early := s.Signal("late"), s.Signal("early")
		s.After(2*time.Hour, func() { got = append(got, "late"); late.Set() })
		s.After(time.Hour, func() { got = append(got, "early"); early.Set() })
		stop := s.After(time.Minute, func() { t.Error("it was stopped") })
		stop()
		if err := late.Wait(context.Background()); err != nil || !early.IsSet() {
			t.Error(err, early.IsSet())
		}
		s.After(time.Hour, func() { t.Error("the process has ended") })
	})
	if !slices.Equal(got, []string{"early", "late"}) || clock.Elapsed() != 2*time.Hour {
		t.Error(got, clock.Elapsed())
	}
	clock.Advance(24 * time.Hour)
}

// TestAContextEndsAWait: also one that another task cancels.
func TestAContextEndsAWait(t *testing.T) {
	s := NewScheduler(New(Epoch()), Order{Seed: 3})
	s.Run("main", func() {
		ctx, cancel := context.WithCancel(context.Background())
		never := s.Signal("what never comes")
		s.Go("canceller", func() { s.Switch("a little later"); cancel() })
		if err := never.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := never.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		never.Set()
		if err := never.Wait(ctx); err != nil {
			t.Error("it is set:", err)
		}
	})
}

// TestTheEndKillsWhoIsLeft: at their switch point, with deferred functions, and
// no recover holds them.
func TestTheEndKillsWhoIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	var got []string
	s := NewScheduler(New(Epoch()), Order{Seed: 1})
	s.Run("main", func() {
		s.Go("stands", func() {
			defer func() {
				got = append(got, fmt.Sprint("deferred, recovered ", recover()))
				defer func() { got = append(got, "the second") }()
				s.Switch("an operation of a deferred function")
				got = append(got, "NOT KILLED THERE")
			}()
			_ = s.Signal("what never comes").Wait(context.Background())
			got = append(got, "NOT KILLED")
		})
		for range 3 {
			s.Yield()
		}
		s.Go("has not begun", func() { got = append(got, "BEGUN") })
	})
	if !slices.Equal(got, []string{"deferred, recovered <nil>", "the second"}) {
		t.Error(got)
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// hang waits for two tasks that wait for each other.
func hang(seed uint64) (stuck *Stuck) {
	defer func() { stuck, _ = recover().(*Stuck) }()
	s := NewScheduler(New(Epoch()), Order{Seed: seed})
	s.Run("main", func() {
		left, right, done := s.Signal("the left one"), s.Signal("the right one"), s.Signal("both")
		s.Go("left", func() { waitFor(right); left.Set() })
		s.Go("right", func() { waitFor(left); right.Set() })
		_ = done.Wait(context.Background())
	})
	return nil
}

func waitFor(g *Signal) { _ = g.Wait(context.Background()) }

func TestADeadlockSaysWhereEachTaskStands(t *testing.T) {
	var text string
	for range 2 {
		stuck := hang(1)
		if stuck == nil || len(stuck.Tasks) != 3 {
			t.Fatal(stuck)
		}
		if again := stuck.Error(); text != "" && again != text {
			t.Errorf("%s\n\nthen\n\n%s", text, again)
		}
		text = stuck.Error()
	}
	for _, part := range []string{
		`task "main" stands at the wait for both`, `task "left" stands at the wait for the right one`, `task "right" stands at the wait for the left one`,
		"simclock.waitFor scheduler_test.go:", "deadlock after 0s",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if strings.Contains(text, "0x") || strings.Contains(text, "goroutine ") {
		t.Errorf("it is not the same every time:\n%s", text)
	}
}

func TestAPanicEndsTheRun(t *testing.T) {
	wrong := errors.New("wrong")
	defer func() {
		p, _ := recover().(*TaskPanic)
		if p == nil || p.Task != "bad" || !errors.Is(p, wrong) || !strings.Contains(p.Stack, "TestAPanicEndsTheRun") {
			t.Error(p)
		}
	}()
	s := NewScheduler(New(Epoch()), Order{Seed: 1})
	s.Run("main", func() {
		s.Go("bad", func() { panic(wrong) })
		_ = s.Signal("what never comes").Wait(context.Background())
	})
	t.Error("it went on")
}

// TestEverySwitchPointIsTold: before anybody else runs.
func TestEverySwitchPointIsTold(t *testing.T) {
	s := NewScheduler(New(Epoch()), Order{})
	var told []string
	s.OnSwitch(func(where string) { told = append(told, where) })
	s.Switch("outside") // where it changes nothing
	s.Run("main", func() {
		g := s.Signal("a signal")
		s.Go("setter", g.Set)
		s.Switch("a file operation")
		s.Yield()
		_ = g.Wait(context.Background())
	})
	if !slices.Equal(told, []string{"outside", "a file operation", "yield", "a signal"}) {
		t.Errorf("%q", told)
	}
}

// TestPrioritiesFindADeepBug: one that needs two changes of turn at the right
// moments, which a uniform choice among many steps rarely makes.
func TestPrioritiesFindADeepBug(t *testing.T) {
	found := func(o Order) bool {
		s := NewScheduler(New(Epoch()), o)
		hit := false
		s.Run("main", func() {
			stage := 0
			a, b := s.Signal("a"), s.Signal("b")
			s.Go("a", func() {
				for i := range 40 {
					s.Switch("step")
					if i == 0 {
						stage = 1
					}
				}
				hit = stage == 2
				a.Set()
			})
			s.Go("b", func() {
				for range 40 {
					s.Switch("step")
				}
				if stage == 1 {
					stage = 2
				}
				b.Set()
			})
			waitFor(a)
			waitFor(b)
		})
		return hit
	}
	count := func(make func(seed uint64) Order) (n int) {
		for seed := range uint64(300) {
			if found(make(seed)) {
				n++
			}
		}
		return n
	}
	pct := count(func(seed uint64) Order { return Order{Seed: seed, Priorities: 2, Length: 80} })
	if pct < 30 {
		t.Errorf("found in %d of 300 seeds", pct)
	}
}

func BenchmarkSwitch(b *testing.B) {
	for _, n := range []int{2, 8} {
		b.Run(fmt.Sprint(n, " tasks"), func(b *testing.B) {
			s := NewScheduler(New(Epoch()), Order{Seed: 1})
			b.ReportAllocs()
			s.Run("main", func() {
				for range n - 1 {
					s.Go("other", func() {
						for {
							s.Yield()
						}
					})
				}
				for b.Loop() {
					s.Yield()
				}
			})
		})
	}
}

// TestRunning: the name of whoever has the baton.
func TestRunning(t *testing.T) {
	s := NewScheduler(New(Epoch()), Order{})
	told := []string{s.Running()}
	s.Run("main", func() {
		done := s.Signal("done")
		s.Go("client 1", func() {
			told = append(told, s.Running())
			done.Set()
		})
		_ = done.Wait(context.Background())
		told = append(told, s.Running())
	})
	if told = append(told, s.Running()); !slices.Equal(told, []string{"", "client 1", "main", ""}) {
		t.Errorf("%q", told)
	}
}
