package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

// selection is the events that read and tail are asked for. What the engine can select
// is in a Query, the rest is looked at event by event.
//
//	flags ──▶ selection ──▶ query ──▶ engine ──events──▶ tests ──▶ output
//	              └── since, until ──▶ sequences, by search: times never decrease
type selection struct {
	scope   *pattern
	streams []pattern
	types   []pattern

	since, until time.Time // zero: no bound
	grep         []byte
	key          string
	causedBy     uuid.UUID
	correlation  uuid.UUID

	tests []func(event *engine.Event) bool // what the query does not say
}

// selectHelp says what selectFlags' flags have in common.
const selectHelp = `Flags that select hold all at once; of one that was given several times, any. A * at the end of a stream, a
scope or a type stands for all endings, and \* there for a star: mind the quotes of the shell. --since and --until
take how long ago, as in 90s, 10m or 2d12h, or a time, as in 2026-01-31 or 2026-01-31T15:04:05Z, without a zone in
UTC. --grep looks for a text in the data as it is stored. Of an event that others follow from, --caused-by has the
next ones, and untorn graph all.`

// selectFlags declares the flags that say which events are wanted.
func selectFlags(flags *flag.FlagSet, s *selection) {
	flags.Func("scope", "only this `scope`; with --stream, the scope of that stream", func(text string) error {
		p := parsePattern(text)
		s.scope = &p
		return nil
	})
	patterns := func(to *[]pattern) func(string) error {
		return func(text string) error {
			if text == "" {
				return errors.New("there is no empty name: leave the flag out for all")
			}
			*to = append(*to, parsePattern(text))
			return nil
		}
	}
	flags.Func("stream", "only this `stream`, or 'order-*'; give it again for more than one", patterns(&s.streams))
	flags.Func("type", "only this `type`, or 'order.*'; give it again for more than one", patterns(&s.types))
	instant := func(to *time.Time) func(string) error {
		return func(text string) (err error) {
			*to, err = parseInstant(text, time.Now())
			return err
		}
	}
	flags.Func("since", "only events of this `time` and later, as 10m (ago) or 2026-01-31T15:04:05Z", instant(&s.since))
	flags.Func("until", "only events of this `time` and earlier", instant(&s.until))
	flags.Func("grep", "only events whose data has this `text` in it", func(text string) error {
		if text == "" {
			return errors.New("every data has no text in it: leave the flag out")
		}
		s.grep = []byte(text)
		return nil
	})
	flags.Func("key", "only the event with this idempotency `key`, or those of the batch with it", func(text string) error {
		if text == "" {
			return errors.New("there is no empty key: leave the flag out")
		}
		s.key = text
		return nil
	})
	id := func(to *uuid.UUID) func(string) error {
		return func(text string) (err error) {
			if *to, err = uuid.Parse(text); err != nil || len(text) != 36 || *to == uuid.Nil {
				return errors.New("write an id of 36 characters, as untorn read --json prints it")
			}
			return nil
		}
	}
	flags.Func("caused-by", "only events that follow directly from the one with this `ID`", id(&s.causedBy))
	flags.Func("correlation", "only events with this correlation `ID`; that of an event without one is its own id", id(&s.correlation))
}

// stream is the one stream that is selected, if it is one by its name.
func (s *selection) stream() (name string, ok bool) {
	if len(s.streams) != 1 || s.streams[0].prefix || s.scope != nil && s.scope.prefix {
		return "", false
	}
	return s.streams[0].text, true
}

// prepare checks what the flags say, and puts into the query what the engine can
// select.
func (s *selection) prepare(q *engine.Query) error {
	switch {
	case s.scope != nil && *s.scope == pattern{} && len(s.streams) == 0:
		return command.Usage(`--scope "" needs a --stream: leave it out for all scopes`)
	case !s.since.IsZero() && !s.until.IsZero() && s.until.Before(s.since):
		return command.Usage("--until %s is before --since %s: swap them", s.until.Format(time.RFC3339), s.since.Format(time.RFC3339))
	}
	scope := pattern{} // streams without a scope are those of the scope ""
	if s.scope != nil {
		scope = *s.scope
	}
	if scope.prefix {
		s.test(func(e *engine.Event) bool { return scope.matches(e.Scope) })
	} else {
		q.Scope = scope.text
	}
	if name, ok := s.stream(); ok {
		q.Stream = name
	} else if len(s.streams) > 0 {
		if scope == (pattern{}) {
			s.test(func(e *engine.Event) bool { return e.Scope == "" })
		}
		s.test(func(e *engine.Event) bool { return anyMatches(s.streams, e.Stream) })
	}
	exact := true
	for _, t := range s.types {
		exact = exact && !t.prefix
	}
	switch {
	case !exact:
		s.test(func(e *engine.Event) bool { return anyMatches(s.types, e.Type) })
	default:
		for _, t := range s.types {
			q.Types = append(q.Types, t.text)
		}
	}
	if !s.since.IsZero() {
		s.test(func(e *engine.Event) bool { return !e.Time.Before(s.since) })
	}
	if !s.until.IsZero() {
		s.test(func(e *engine.Event) bool { return !e.Time.After(s.until) })
	}
	if s.key != "" {
		s.test(func(e *engine.Event) bool { return hasKey(e.Key, s.key) })
	}
	if s.causedBy != uuid.Nil {
		s.test(func(e *engine.Event) bool { return e.CausedBy == s.causedBy })
	}
	if s.correlation != uuid.Nil {
		s.test(func(e *engine.Event) bool { return e.Correlation == s.correlation })
	}
	if s.grep != nil {
		s.test(func(e *engine.Event) bool { return bytes.Contains(e.Data, s.grep) })
	}
	return nil
}

func (s *selection) test(f func(*engine.Event) bool) { s.tests = append(s.tests, f) }

func (s *selection) matches(event *engine.Event) bool {
	for _, test := range s.tests {
		if !test(event) {
			return false
		}
	}
	return true
}

// hasKey reports whether an event's key is this one, or that of an item of the batch
// with this one.
func hasKey(key, wanted string) bool {
	item, ok := strings.CutPrefix(key, wanted)
	if !ok || item == "" {
		return ok
	}
	number, ok := strings.CutPrefix(item, "/")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// narrow bounds a query by the times, up to a sequence: some is false where they leave
// nothing. The search is only to be quick, so where something cannot be read it leaves
// out nothing, and whoever reads the events is told.
func (s *selection) narrow(log *engine.Log, q *engine.Query, end uint64) (some bool) {
	if !s.since.IsZero() {
		q.FromSequence = max(q.FromSequence, firstSince(log, s.since, end))
	}
	if s.until.IsZero() {
		return true
	}
	last := firstSince(log, s.until.Add(1), end)
	if last == 1 && end > 0 {
		// Either all is later, or the search came to nothing.
		for event, err := range log.Read(engine.Query{Limit: 1, Buffered: true, Borrow: true}) {
			return err != nil || !event.Time.After(s.until)
		}
	}
	if last > 1 && (q.ToSequence == 0 || q.ToSequence > last-1) {
		q.ToSequence = last - 1
	}
	return true
}

// firstSince returns the sequence of the first event that is not before a time, or the
// one behind the end if there is none; 1 if it cannot tell.
func firstSince(log *engine.Log, at time.Time, end uint64) uint64 {
	low, high := uint64(1), end+1
	for low < high {
		middle := low + (high-low)/2
		next, before := high, false
		for event, err := range log.Read(engine.Query{FromSequence: middle, ToSequence: end, Limit: 1, Buffered: true, Borrow: true}) {
			if err != nil {
				return 1
			}
			next, before = event.Sequence, event.Time.Before(at)
		}
		if before {
			low = next + 1
		} else {
			high = middle
		}
	}
	return low
}

// read yields what is selected of what a query selects. Its Limit counts what is
// yielded.
func (s *selection) read(ctx context.Context, log *engine.Log, q engine.Query) iter.Seq2[engine.Event, error] {
	limit := 0
	if len(s.tests) > 0 {
		q.Limit, limit = 0, q.Limit
	}
	return func(yield func(engine.Event, error) bool) {
		yielded := 0
		for event, err := range log.Read(q) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(event, err)
				return
			}
			if !s.matches(&event) {
				continue
			}
			if !yield(event, nil) {
				return
			}
			if yielded++; yielded == limit {
				return
			}
		}
	}
}

// pattern is a name, or the beginning of names.
type pattern struct {
	text   string
	prefix bool
}

// parsePattern takes a name as it is, but for a * at its end, which stands for any
// ending, and a \* there, which is a star.
func parsePattern(text string) pattern {
	if name, ok := strings.CutSuffix(text, `\*`); ok {
		return pattern{text: name + "*"}
	}
	name, prefix := strings.CutSuffix(text, "*")
	return pattern{name, prefix}
}

func (p pattern) matches(name string) bool {
	return name == p.text || p.prefix && strings.HasPrefix(name, p.text)
}

func anyMatches(all []pattern, name string) bool {
	for _, p := range all {
		if p.matches(name) {
			return true
		}
	}
	return false
}

var errInstant = errors.New("write how long ago, as in 90s, 10m or 2d, or a time, as in 2026-01-31 or 2026-01-31T15:04:05Z; without a zone it is UTC")

// parseInstant returns the time that a text names, or that is so long before now.
func parseInstant(text string, now time.Time) (time.Time, error) {
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errInstant
}

// parseAgo reads a duration as package time does, with days before it.
func parseAgo(text string) (time.Duration, bool) {
	days := time.Duration(0)
	if count, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(count, 10, 16)
		if err != nil {
			return 0, false
		}
		if days, text = time.Duration(n)*24*time.Hour, rest; text == "" {
			return days, true
		}
	}
	ago, err := time.ParseDuration(text)
	return days + ago, err == nil && ago >= 0 && days+ago >= 0
}
