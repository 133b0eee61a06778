package command

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Progress tells how far something has come: on a terminal in a line that is written
// over, elsewhere in a line every few seconds, or not at all.
type Progress struct {
	w       io.Writer
	plain   string        // begins each line; "": a terminal's is written over
	every   time.Duration // between two lines; < 0: there are none
	last    time.Duration
	written bool
}

// Progress tells on stderr.
func (e *Env) Progress() *Progress {
	p := e.TerminalProgress()
	if p.every < 0 {
		p.every, p.plain = 5*time.Second, e.Program+": progress: "
	}
	return p
}

// TerminalProgress tells on stderr if that is a terminal, and nothing elsewhere.
func (e *Env) TerminalProgress() *Progress {
	p := &Progress{w: e.Stderr, every: -1}
	if f, ok := e.Stderr.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.every = time.Second / 5
		}
	}
	return p
}

// Line shows a text if it is time, which is counted from the beginning of the work.
func (p *Progress) Line(elapsed time.Duration, text string) {
	if p.every < 0 || elapsed-p.last < p.every {
		return
	}
	p.last, p.written = elapsed, true
	text += ", " + elapsed.Round(time.Second).String()
	if p.plain == "" {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
	} else {
		fmt.Fprintf(p.w, "%s%s\n", p.plain, text)
	}
}

// Watch shows what a text says from time to time, until the end that it returns is
// called.
func (p *Progress) Watch(text func() string) (end func()) {
	if p.every < 0 {
		return func() {}
	}
	began, every := time.Now(), p.every
	p.every = 0 // the ticks keep the time
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				p.Line(time.Since(began), text())
			case <-stop:
				p.End()
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// End leaves the terminal's line empty.
func (p *Progress) End() {
	if p.plain == "" && p.written {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
