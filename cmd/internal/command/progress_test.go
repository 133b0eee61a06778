package command

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestProgress checks how often a line is printed, and how.
func TestProgress(t *testing.T) {
	var out strings.Builder
	e := &Env{Program: "greet", Stderr: &out}
	p := e.Progress()
	for s := 1; s <= 12; s++ {
		p.Line(time.Duration(s)*time.Second, fmt.Sprintf("%d of 12", s))
	}
	p.End()
	if got, want := out.String(), "greet: progress: 5 of 12, 5s\ngreet: progress: 10 of 12, 10s\n"; got != want {
		t.Errorf("got %q", got)
	}

	out.Reset()
	p = &Progress{w: &out, every: time.Second / 5}
	p.Line(time.Second, "1 of 2")
	p.End()
	if got, want := out.String(), "\r\x1b[K\x1b[?7l1 of 2, 1s\x1b[?7h\r\x1b[K"; got != want {
		t.Errorf("on a terminal: got %q", got)
	}

	out.Reset()
	p = e.TerminalProgress()
	p.Line(time.Hour, "1 of 2")
	p.Watch(func() Work { t.Error("asked"); return Work{} })()
	p.End()
	if got := out.String(); got != "" {
		t.Errorf("there is no terminal: got %q", got)
	}
}

// TestWork checks what is said of work: only what is known.
func TestWork(t *testing.T) {
	for _, test := range []struct {
		work    Work
		elapsed time.Duration
		want    string
	}{
		{Work{Of: "recording"}, 3 * time.Second, "recording, 3s"},
		{Work{Units: "seeds", Total: 10}, 0, "0 of 10 seeds in 0s"},
		{Work{Units: "seeds", Total: 10}, time.Second, "0 of 10 seeds in 1s"},
		{Work{Units: "seeds", Total: 1800, Done: 340, More: "2 violations"}, 5 * time.Second, "340 of 1800 seeds in 5s, 68 a second, 21s left, 2 violations"},
		{Work{Units: "runs", Total: 10, Done: 10}, 4 * time.Second, "10 of 10 runs in 4s, 2.5 a second"},
		{Work{Units: "recoveries", Done: 3, Of: "batch on posix"}, 2 * time.Minute, "batch on posix: 3 recoveries in 2m0s, 1.5 a minute"},
		{Work{Units: "seeds", Total: 100, Done: 60, Before: 40}, 10 * time.Second, "60 of 100 seeds in 10s, 2.0 a second, 20s left"},
		{Work{Units: "seeds", Done: 1, Total: 1 << 60}, time.Hour, "1 of 1152921504606846976 seeds in 1h0m0s, 0.0 a minute, 277777h46m40s left"},
	} {
		if got := test.work.text(test.elapsed); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	var out strings.Builder
	p := (&Env{Program: "greet", Stderr: &out}).Progress()
	p.Work(4*time.Second, Work{Done: 1, Units: "seeds"})
	p.Work(5*time.Second, Work{Done: 10, Units: "seeds"})
	p.Line(9*time.Second, "not yet")
	if got, want := out.String(), "greet: progress: 10 seeds in 5s, 2.0 a second\n"; got != want {
		t.Errorf("got %q", got)
	}
}

// TestWatch: whoever waits is told of the work again and again, and no more behind
// the end.
func TestWatch(t *testing.T) {
	var out strings.Builder
	asked := make(chan struct{}, 1<<20)
	end := (&Progress{w: &out, plain: "greet: progress: ", every: time.Millisecond}).Watch(func() Work {
		asked <- struct{}{}
		return Work{Done: 7, Units: "things"}
	})
	<-asked
	<-asked
	end()
	if got := strings.Count(out.String(), "greet: progress: 7 things in "); got != len(asked)+2 {
		t.Errorf("asked %d times: %q", len(asked)+2, out.String())
	}
}
