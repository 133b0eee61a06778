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
	if got, want := out.String(), "\r\x1b[K1 of 2, 1s\r\x1b[K"; got != want {
		t.Errorf("on a terminal: got %q", got)
	}

	out.Reset()
	p = e.TerminalProgress()
	p.Line(time.Hour, "1 of 2")
	p.Watch(func() string { t.Error("asked"); return "" })()
	p.End()
	if got := out.String(); got != "" {
		t.Errorf("there is no terminal: got %q", got)
	}
}

// TestWatch: whoever waits is told of the work again and again, and no more behind
// the end.
func TestWatch(t *testing.T) {
	var out strings.Builder
	asked := make(chan struct{}, 1<<20)
	end := (&Progress{w: &out, plain: "greet: progress: ", every: time.Millisecond}).Watch(func() string {
		asked <- struct{}{}
		return "so much"
	})
	<-asked
	<-asked
	end()
	if got := strings.Count(out.String(), "greet: progress: so much, 0s\n"); got != len(asked)+2 {
		t.Errorf("asked %d times: %q", len(asked)+2, out.String())
	}
}
