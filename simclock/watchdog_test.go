package simclock

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestWatchdogBarks: a task that waits for what is no seam is named, with what all
// goroutines do.
func TestWatchdogBarks(t *testing.T) {
	s := NewScheduler(New(Epoch()), Order{Seed: 1})
	barked, released := make(chan string, 1), make(chan struct{})
	s.patience = 10 * time.Millisecond
	s.bark = func(report string) {
		barked <- report
		close(released)
	}
	s.Run("main", func() {
		done := s.Signal("the sleeper")
		s.Go("sleeper", func() {
			s.Switch("a write")
			<-released
			done.Set()
		})
		_ = done.Wait(context.Background())
	})
	report := <-barked
	for _, want := range []string{`task "sleeper" has come to none since a write`, "for most of 10ms", "TestWatchdogBarks", "goroutine "} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
}

// TestWatchdogIsPatient: it barks after two looks between which nothing happened,
// one behind the other, and not outside Run.
func TestWatchdogIsPatient(t *testing.T) {
	s := NewScheduler(New(Epoch()), Order{Seed: 1})
	barks := 0
	s.patience, s.bark = time.Hour, func(string) { barks++ }
	w := &watchdog{s: s, timer: time.NewTimer(time.Hour)}
	look := func(want int) {
		t.Helper()
		if w.look(); barks != want {
			t.Errorf("%d barks, want %d", barks, want)
		}
	}
	look(0)
	look(0)
	look(0) // nobody is at work
	s.Run("main", func() {
		for range 3 {
			s.Switch("a write")
			look(0)
			look(0)
		}
		look(1)
	})
	w.timer.Stop()
}

// TestWatchdogSeesTheEnd: killing many tasks, each of which takes its time, is not
// hanging.
func TestWatchdogSeesTheEnd(t *testing.T) {
	s := NewScheduler(New(Epoch()), Order{Seed: 1})
	barks := 0
	w := &watchdog{s: s, timer: time.NewTimer(time.Hour)}
	s.patience, s.bark = time.Hour, func(string) { barks++ }
	s.Run("main", func() {
		never := s.Signal("what never comes")
		for range 10 {
			s.Go("waiting", func() {
				defer func() { w.look() }()
				_ = never.Wait(context.Background())
			})
		}
		s.Yield()
	})
	w.timer.Stop()
	if barks > 0 {
		t.Errorf("%d barks", barks)
	}
}
