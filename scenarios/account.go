package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simclock"
)

// Account is what had been promised when a violation came, against what was there,
// in words, for somebody who knows neither plan nor log.
type Account struct {
	Promised []string // what callers had been told, and what of it must be there
	Shown    []string // what the log shows
}

// accounted is an error of a world, with what the world knew then. Its text is the
// error's.
type accounted struct {
	error
	model *model.Model
	lying bool // a sync has lied: what was promised may be gone
	shown string
	fixed *Account // instead of all that
}

func (a *accounted) Unwrap() error { return a.error }

// account keeps what the world knows with an error; nil stays nil. The log is not
// read for it: that would be an operation of the disk more.
func (w *world) account(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*accounted](err); ok {
		return err
	}
	w.mu.Lock()
	m, lying := w.model, w.budget.LyingDisk
	w.mu.Unlock()
	if m == nil {
		return err
	}
	return &accounted{error: err, model: m, lying: lying, shown: w.shown(err, m)}
}

// shown says what the log shows, when an error came.
func (w *world) shown(err error, m *model.Model) string {
	if _, stuck := errors.AsType[*simclock.Stuck](err); stuck {
		return "not known: the calls wait for one another" // the log's locks among them
	}
	if w.log == nil {
		return "nothing: the log is not open"
	}
	n := w.log.Stats().Visible.Sequence
	if n == 0 {
		return "no event"
	}
	text := events(1, n)
	if w.seen != nil && uint64(len(*w.seen)) >= n {
		return text + named(&(*w.seen)[n-1])
	}
	if last, ok := m.Event(n); ok {
		return text + named(&last)
	}
	return text
}

// accountOf is what is known of an error; the zero Account where nothing is.
func accountOf(err error) Account {
	a, ok := errors.AsType[*accounted](err)
	switch {
	case !ok:
		return Account{}
	case a.fixed != nil:
		return *a.fixed
	}
	return Account{Promised: promised(a.model, a.lying), Shown: []string{a.shown}}
}

// promised says what a model knows to be durable, and what it does not know.
func promised(m *model.Model, lying bool) (lines []string) {
	last, duty := m.Due()
	switch {
	case last == 0:
		lines = append(lines, "no event: no call had been told that its events are durable, and none was shown")
	case lying:
		lines = append(lines, fmt.Sprintf("%s, %s; but a sync of the disk has lied, which may cost any of them", events(1, last), because(duty, last)))
	default:
		lines = append(lines, fmt.Sprintf("%s must be there: %s", events(1, last), because(duty, last)))
	}
	calls := m.Calls()
	if n := len(calls); n > mostCalls {
		lines = append(lines, fmt.Sprintf("(of %d calls the last %d)", n, mostCalls))
		calls = calls[n-mostCalls:]
	}
	for _, c := range calls {
		lines = append(lines, callText(&c, last))
	}
	return lines
}

// mostCalls is how many calls an account names.
const mostCalls = 4

// because says why events up to the last must be there.
func because(duty model.Duty, last uint64) string {
	it, caller, isAre := "it", "its caller", "it is"
	if last > 1 {
		it, caller, isAre = "them", "their callers", "they are"
	}
	switch duty {
	case model.Shown:
		return "an earlier Open had shown " + it
	case model.ServedDurable:
		return "a read, or a refusal, had told of " + it + " as durable"
	default:
		return caller + " had been told that " + isAre + " durable"
	}
}

// callText is a call, and what had become of it.
func callText(c *model.Call, durable uint64) string {
	n := len(c.Batch.Events)
	what := strconv.Itoa(n) + " events"
	switch {
	case n == 1:
		what = "1 event"
	case n == 0:
		what = fmt.Sprintf("%d notes", len(c.Batch.Notes))
	}
	if n > 0 {
		var streams []string
		for i := range c.Batch.Events {
			if name := streamNamed(c.Batch.Events[i].Scope, c.Batch.Events[i].Stream); !slices.Contains(streams, name) {
				streams = append(streams, name)
			}
		}
		if len(streams) > 2 {
			streams = append(streams[:2:2], "…")
		}
		what += " of " + strings.Join(streams, ", ")
	}
	text := fmt.Sprintf("call %d, %s", c.ID, what)
	if n == 1 && c.Batch.Events[0].Stream == afterCrash {
		text += ", by the check of an earlier recovery"
	}
	if len(c.Receipts) > 0 {
		first, last := c.Receipts[0].Sequence, c.Receipts[len(c.Receipts)-1].Sequence
		text += fmt.Sprintf(": answered as %s", events(first, last))
		if last > durable {
			text += ", not durable yet"
		}
		return text
	}
	switch c.State {
	case model.InFlight:
		return text + ": not answered yet, it may be there or not"
	case model.InDoubt:
		return text + ": answered that nobody knows, it may be there or not"
	case model.LeftOut:
		return text + ": not answered, and not there when the log was opened: it must stay away"
	case model.Hit:
		return text + ": a retry, answered as the first call was"
	case model.Rejected, model.Failed:
		return text + ": refused, nothing of it may be there"
	default:
		return text + ": answered"
	}
}

func events(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("event %d", last)
	}
	return fmt.Sprintf("events %d to %d", first, last)
}

func streamNamed(scope, stream string) string {
	if scope == "" {
		return strconv.Quote(stream)
	}
	return strconv.Quote(scope) + "/" + strconv.Quote(stream)
}

// named is an event by its place in its stream.
func named(e *engine.Event) string {
	return fmt.Sprintf("; the last is version %d of %s", e.Version, streamNamed(e.Scope, e.Stream))
}
