package command

import (
	"fmt"
	"io"
	"os"
	"strings"
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
	if p.due(elapsed) {
		p.show(text + ", " + elapsed.Round(time.Second).String())
	}
}

// Work is how far something has come.
type Work struct {
	Of    string // whose work it is, such as "batch on posix"; "" where there is no other
	Done  int64
	Total int64  // 0: nobody knows
	Units string // what is counted, such as "seeds"; "": nothing is
	More  string // what else was counted, such as "3 violations"; "" for nothing

	Before int64 // of Done, what was done before the work began: it says nothing of the rate
}

// Work shows how far something has come, at which rate, and how long it may still
// take, if it is time: as Line does.
//
//	340 of 1800 seeds in 5s, 68 a second, 21s left, 14370 recoveries, 0 violations
func (p *Progress) Work(elapsed time.Duration, w Work) {
	if p.due(elapsed) {
		p.show(w.text(elapsed))
	}
}

func (w Work) text(elapsed time.Duration) string {
	if w.Units == "" {
		return w.Of + ", " + elapsed.Round(time.Second).String()
	}
	var text strings.Builder
	if w.Of != "" {
		text.WriteString(w.Of + ": ")
	}
	fmt.Fprint(&text, w.Done)
	if w.Total > 0 {
		fmt.Fprintf(&text, " of %d", w.Total)
	}
	fmt.Fprintf(&text, " %s in %s", w.Units, elapsed.Round(time.Second))
	if seconds, done := elapsed.Seconds(), w.Done-w.Before; done > 0 && seconds > 0 {
		text.WriteString(", " + rate(float64(done)/seconds))
		if left := w.Total - w.Done; left > 0 {
			// Not in nanoseconds: a billion seeds may take a while.
			fmt.Fprintf(&text, ", %s left", time.Duration(min(seconds*float64(left)/float64(done), 1e9)*float64(time.Second)).Round(time.Second))
		}
	}
	if w.More != "" {
		text.WriteString(", " + w.More)
	}
	return text.String()
}

// rate is how many there are in a time.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f a second", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f a second", perSecond)
	}
	return fmt.Sprintf("%.1f a minute", 60*perSecond)
}

// due reports whether it is time.
func (p *Progress) due(elapsed time.Duration) bool {
	if p.every < 0 || elapsed-p.last < p.every {
		return false
	}
	p.last, p.written = elapsed, true
	return true
}

// show writes a line. A terminal is told not to go on in the next one where the text
// is too long: what is in that could not be written over.
func (p *Progress) show(text string) {
	if p.plain == "" {
		fmt.Fprintf(p.w, "\r\x1b[K\x1b[?7l%s\x1b[?7h", text)
	} else {
		fmt.Fprintf(p.w, "%s%s\n", p.plain, text)
	}
}

// Watch shows how far something has come from time to time, until the end that it
// returns is called.
func (p *Progress) Watch(work func() Work) (end func()) {
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
				p.Work(time.Since(began), work())
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
