package crashtest

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/explore"
)

// program is a subject with some of its steps, as explore runs it.
type program struct {
	*subject
	active []int // indices of steps, ascending
}

// all is the program with all steps.
func (s *subject) all() *program {
	p := &program{subject: s}
	for i := range s.steps {
		p.active = append(p.active, i)
	}
	return p
}

// explored is the program as explore wants it. ops, if not nil, gets the number
// of operations of the workload.
func (p *program) explored(ops *int) explore.Program {
	return explore.Program{
		Workload: func(run *explore.Run) error {
			err := p.live(run.FS, run.Note, nil, 0)
			if ops != nil {
				*ops = run.Disk.Ops()
			}
			return err
		},
		Recover: func(run *explore.Run) error { return p.live(run.FS, run.Note, run.History, run.Depth) },
	}
}

// A failure is an error of the user's code, and where it came up.
type failure struct {
	where string // "open", "step", "check", "close"
	what  string // in words
	err   error
}

func (f *failure) Error() string { return f.what + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// invariant names what an error breaks.
func invariant(err error) string {
	var broken *Broken
	var panicked *panicError
	var exit *explore.ExitError
	var failed *failure
	switch {
	case errors.As(err, &panicked):
		return "panic"
	case errors.As(err, &broken):
		return broken.Promise
	case errors.As(err, &exit):
		return "returns"
	case errors.As(err, &failed):
		return failed.where
	default:
		return "run"
	}
}

// remembered is what the last note says.
func (p *program) remembered(history []explore.Note) []State {
	if len(history) == 0 {
		return make([]State, len(p.steps))
	}
	return history[len(history)-1].Value.([]State)
}

// life is one process that uses the store: the first, which does all steps, or
// one that comes after a crash, which does the next.
type life struct {
	*program
	note    func(explore.Note)
	states  []State
	crashes int
}

// live runs one process.
func (p *program) live(fs afero.Fs, note func(explore.Note), history []explore.Note, crashes int) error {
	l := &life{program: p, note: note, states: p.remembered(history), crashes: crashes}
	store, err := l.reopen(fs)
	if err != nil {
		return err
	}
	if crashes > 0 {
		if err := l.look(store, "after the crash"); err != nil {
			return err
		}
	}
	did := 0
	for _, i := range p.active {
		if l.states[i] != NotStarted {
			continue
		}
		if crashes > 0 && did == 1 {
			break
		}
		if err := l.step(store, i); err != nil {
			return err
		}
		did++
	}
	switch {
	case crashes == 0:
		err = l.look(store, "before any crash")
	case did > 0:
		err = l.look(store, "after the crash and one step more")
	}
	if err != nil || p.close == nil {
		return err
	}
	return guard("close", "the store does not close", func() error { return p.close(store) })
}

func (l *life) reopen(fs afero.Fs) (store any, err error) {
	what := "the store does not open on an empty disk"
	if l.crashes > 0 {
		what = "the store does not open after the crash"
	}
	err = guard("open", what, func() (err error) {
		store, err = l.open(fs)
		return err
	})
	return store, err
}

// step does one step and notes its promise.
func (l *life) step(store any, i int) error {
	s := &l.steps[i]
	l.set(i, InFlight)
	when := "though nothing has crashed"
	if l.crashes > 0 {
		when = "after a recovery"
	}
	err := guard("step", fmt.Sprintf("%s failed %s", label(i, *s), when), func() error { return s.do(store) })
	switch {
	case errors.Is(err, ErrInDoubt):
		l.set(i, InDoubt)
		return nil
	case err != nil:
		return err
	}
	next := slices.Clone(l.states)
	next[i] = Acked
	if s.buffered {
		next[i] = Unflushed
	}
	if s.flush {
		for k := range next {
			if next[k] == Unflushed {
				next[k] = Acked
			}
		}
	}
	l.tell(next, fmt.Sprintf("%v %d", next[i], i+1))
	return nil
}

// look lets the user's Check see the store, and keeps what it found out.
func (l *life) look(store any, when string) error {
	h := History{steps: l.steps, active: l.active, states: l.states, crashes: l.crashes, dirty: l.options.DirtyReads, decided: slices.Clone(l.states)}
	if err := guard("check", "the check fails "+when, func() error { return l.check(store, h) }); err != nil {
		return err
	}
	if l.crashes > 0 && !slices.Equal(h.decided, l.states) {
		var b strings.Builder
		b.WriteString("shown")
		for i, s := range h.decided {
			if s != l.states[i] {
				fmt.Fprintf(&b, " %d %v", i+1, s)
			}
		}
		l.tell(h.decided, b.String())
	}
	return nil
}

func (l *life) set(i int, s State) {
	next := slices.Clone(l.states)
	next[i] = s
	l.tell(next, fmt.Sprintf("%v %d", s, i+1))
}

// tell notes the states, which never change afterwards.
func (l *life) tell(states []State, key string) {
	l.states = states
	l.note(explore.Note{Key: key, Value: states})
}

// panicError is a panic of the user's code.
type panicError struct{ text, at string }

func (e *panicError) Error() string {
	if e.at == "" {
		return "panic: " + e.text
	}
	return "panic: " + e.text + ", at " + e.at
}

var address = regexp.MustCompile(`0x[0-9a-fA-F]+`)

// guard runs the user's code.
func guard(where, what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{address.ReplaceAllString(fmt.Sprint(p), "0x…"), panicLine()}
		}
		if err != nil {
			err = &failure{where, what, err}
		}
	}()
	return f()
}

// panicLine is the source line of the user's code that panicked.
func panicLine() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") && !slices.ContainsFunc(library(), func(p string) bool { return strings.HasPrefix(f.Function, p) }) {
			return path.Base(f.File) + ":" + strconv.Itoa(f.Line)
		}
		if !more {
			return ""
		}
	}
}

// library is what the names of functions begin with that are not the user's.
func library() []string {
	return []string{
		"github.com/untorn-db/untorn/scenarios/crashtest.", "github.com/untorn-db/untorn/simfs", "github.com/spf13/afero",
		"io.", "bufio.", "bytes.", "strings.", "strconv.", "fmt.", "sort.", "slices.", "maps.", "sync.", "reflect.", "errors.",
		"encoding/", "compress/", "hash/", "internal/", "testing.", "iter.",
	}
}
