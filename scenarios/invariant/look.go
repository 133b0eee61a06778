package invariant

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

// Log is what the checks need of an opened log. *engine.Log is one; so are the
// broken ones that the checks are tested with.
type Log interface {
	Append(context.Context, engine.Draft) (engine.Receipt, error)
	AppendBatch(context.Context, engine.Batch) ([]engine.Receipt, error)
	Get(id uuid.UUID) (engine.Event, error)
	Read(engine.Query) iter.Seq2[engine.Event, error]
	Head(scope, stream string) engine.Head
	Streams(scope string) []engine.Head
	Scopes() []string
	ReceiptOf(key string) (engine.Receipt, error)
	LogHead() engine.LogHead
	Verify(context.Context, ...engine.LogHead) (engine.Verification, error)
	VerifyReceipt(engine.Receipt) error
	Sync(context.Context) error
	WaitDurable(ctx context.Context, sequence uint64) error
	Stats() engine.Stats
	Close() error
}

// How says how to look at a log, and how to judge it. The zero value looks at
// everything in a log that was just opened and has not been written to, on a
// disk that did not lie.
type How struct {
	Budget Budget
	// Running: the log has been written to since it was opened, so buffered
	// events may be ahead of what a read shows.
	Running bool
	// Quick reads the events once, forward, and asks for the heads and the
	// frontiers: for searches that look at thousands of images. It checks no
	// hashes, and no receipts but the last.
	Quick bool
	// Events is room for those that are seen; nil: they get their own.
	Events []engine.Event
}

// Seen is what a log showed.
type Seen struct {
	Events []engine.Event // first to last, as a plain read yields them
	Head   engine.LogHead
	Stats  engine.Stats
	// Damaged: a read reported damage, as the Budget allows. Events ends there,
	// and nothing else was looked at.
	Damaged bool

	how        How
	deadKeys   []string     // that the log answers all the same
	violations []*Violation // that need no model: the log contradicts itself
	judged     *model.Judgement
}

// Opened is the note for the model that this is what an Open showed.
func (s *Seen) Opened() model.Opened {
	return model.Opened{Events: s.Events, Head: s.Head, Lossy: s.how.Budget.LyingDisk, Judged: s.judged}
}

func (s *Seen) violate(id string, sequence uint64, expected, found string) {
	s.violations = append(s.violations, &Violation{Invariant: id, Sequence: sequence, Expected: expected, Found: found})
}

// Look reads a log in every way that it can be read. It changes nothing.
func Look(ctx context.Context, m *model.Model, log Log, how How) *Seen {
	s := &Seen{how: how, Events: how.Events[:0]}
	if n := int(min(log.LogHead().Sequence, m.Accepted()+64)); n > cap(s.Events) { // a broken log may say anything
		s.Events = make([]engine.Event, 0, n)
	}
	for event, err := range log.Read(engine.Query{Borrow: true}) {
		if err != nil {
			s.Damaged = how.Budget.mayReport(err)
			if !s.Damaged {
				s.violate("I1", uint64(len(s.Events))+1, "a read of the whole log", "an error: "+err.Error())
			}
			return s
		}
		m.Keep(&event)
		s.Events = append(s.Events, event)
	}
	s.Head, s.Stats = log.LogHead(), log.Stats()
	// Where sequences are not dense nothing else can agree.
	for i := range s.Events {
		if s.Events[i].Sequence != uint64(i)+1 {
			return s
		}
	}
	s.frontiers()
	s.head()
	s.segments()
	if len(s.Events) == 0 {
		s.keys(log, m)
		return s
	}
	if how.Quick {
		s.receipt(log, &s.Events[len(s.Events)-1])
		return s
	}
	s.backward(log)
	s.streams(log)
	for i := range s.Events {
		event, err := log.Get(s.Events[i].ID)
		s.same(way{text: "Get"}, &s.Events[i], &event, err)
		s.receipt(log, &s.Events[i])
	}
	s.keys(log, m)
	// Under a budget Verify may report what the disk did; it is not served.
	if _, err := log.Verify(ctx); err != nil && !s.how.Budget.mayReport(err) {
		s.violate("I5", 0, "hashes that hold", "Verify says: "+err.Error())
	}
	return s
}

// frontiers checks their order, and that what a read shows is what they say.
func (s *Seen) frontiers() {
	n := uint64(len(s.Events))
	f := &s.Stats
	if f.Accepted.Sequence < f.Written.Sequence || f.Written.Sequence < f.Durable.Sequence || f.Durable.Sequence < f.Visible.Sequence {
		s.violate("I8", 0, "accepted ≥ written ≥ durable ≥ visible", fmt.Sprintf("%d, %d, %d, %d", f.Accepted.Sequence, f.Written.Sequence, f.Durable.Sequence, f.Visible.Sequence))
		return
	}
	if f.Visible.Sequence != n {
		s.violate("I8", 0, fmt.Sprintf("visible to be the last event that is read, %d", n), fmt.Sprint(f.Visible.Sequence))
		return
	}
	if !s.how.Running && f.Accepted.Sequence != n {
		s.violate("I8", 0, fmt.Sprintf("all frontiers at %d when Open returns", n), fmt.Sprintf("accepted at %d", f.Accepted.Sequence))
		return
	}
	for i := range s.Events {
		if !s.Events[i].Durable {
			s.violate("I8", uint64(i)+1, "a plain read to yield durable events", "one that is not")
			return
		}
	}
}

func (s *Seen) head() {
	n := uint64(len(s.Events))
	switch {
	case n == 0 && s.Head.Sequence == 0:
	case s.Head.Sequence != n:
		s.violate("I5", n, fmt.Sprintf("a log head at event %d", n), fmt.Sprintf("one at %d", s.Head.Sequence))
	case s.Head.Batch < s.Events[n-1].Batch:
		s.violate("I5", n, fmt.Sprintf("a log head at batch %d or later", s.Events[n-1].Batch), fmt.Sprintf("one at %d", s.Head.Batch))
	case s.Head.Hash == (engine.Hash{}):
		s.violate("I5", n, "a log head with a hash", "one without")
	}
}

// segments checks what the log says of its segments: where each begins and ends, and
// with which head.
func (s *Seen) segments() {
	n := uint64(len(s.Events))
	var before engine.LogHead
	for _, g := range s.Stats.Segments {
		if g.Head.Sequence > n {
			return // with events that are not shown yet
		}
		wrong := func(expected string) {
			s.violate("I5", g.LastSequence, fmt.Sprintf("segment %d %s", g.Number, expected), fmt.Sprintf("events %d to %d from %v, and head %d of event %d at its end", g.FirstSequence, g.LastSequence, g.FirstTime, g.Head.Batch, g.Head.Sequence))
		}
		switch {
		case g.Head.Sequence != max(before.Sequence, g.LastSequence):
			wrong(fmt.Sprintf("to end with event %d", max(before.Sequence, g.LastSequence)))
		case g.Head.Batch < before.Batch || g.LastSequence > 0 && g.Head.Batch < s.Events[g.LastSequence-1].Batch:
			wrong("to have its last batch before its end")
		case g.Head.Batch == s.Head.Batch && g.Head != s.Head:
			wrong("to end with the head of the log")
		case g.FirstSequence > 0 && (g.FirstTime.After(s.Events[g.FirstSequence-1].Time) || g.FirstTime.Before(before.Time)):
			wrong("to begin after the one before it, and not after its first event")
		}
		before = g.Head
	}
}

// A way is a way of reading, which only a violation puts in words.
type way struct {
	text     string
	stream   *stream // nil: none
	backward bool
}

func (w way) String() string {
	if w.stream == nil {
		return w.text
	}
	text := fmt.Sprintf("%s of stream %q/%q", w.text, w.stream.scope, w.stream.name)
	if w.backward {
		text += ", backward,"
	}
	return text
}

// same checks that another way of reading yields the same event.
func (s *Seen) same(way way, want, got *engine.Event, err error) bool {
	if err != nil {
		s.violate("I1", want.Sequence, way.String()+" to yield what a forward read does", "an error: "+err.Error())
		return false
	}
	if field, wanted, found := model.Difference(want, got); field != "" {
		s.violate("I1", want.Sequence, fmt.Sprintf("%s to yield what a forward read does: %s %s", way, field, wanted), found)
		return false
	}
	return true
}

// read compares what a query yields with the events at these indices.
func (s *Seen) read(log Log, way way, q engine.Query, want func(k int) *engine.Event) {
	k := 0
	for event, err := range log.Read(q) {
		next := want(k)
		if next == nil {
			s.violate("I1", event.Sequence, way.String()+" to end where a forward read does", "one more event")
			return
		}
		if !s.same(way, next, &event, err) {
			return
		}
		k++
	}
	if next := want(k); next != nil {
		s.violate("I1", next.Sequence, way.String()+" to yield what a forward read does", "an earlier end")
	}
}

func (s *Seen) backward(log Log) {
	n := len(s.Events)
	s.read(log, way{text: "a backward read"}, engine.Query{Backward: true}, func(k int) *engine.Event {
		if k >= n {
			return nil
		}
		return &s.Events[n-1-k]
	})
}

// stream is the events of one stream, by their indices.
type stream struct {
	scope, name string
	events      []int
}

// streams checks Head, Streams, Scopes, and a read of each stream both ways.
func (s *Seen) streams(log Log) {
	var all []*stream // in order of their first event
	byName := make(map[[2]string]*stream)
	for i := range s.Events {
		name := [2]string{s.Events[i].Scope, s.Events[i].Stream}
		one := byName[name]
		if one == nil {
			one = &stream{name[0], name[1], nil}
			byName[name] = one
			all = append(all, one)
		}
		one.events = append(one.events, i)
	}
	slices.SortFunc(all, func(a, b *stream) int {
		if c := strings.Compare(a.scope, b.scope); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	var scopes []string
	for i := 0; i < len(all); {
		scope := all[i].scope
		scopes = append(scopes, scope)
		heads := slices.SortedFunc(slices.Values(log.Streams(scope)), func(a, b engine.Head) int { return strings.Compare(a.Stream, b.Stream) })
		first := i
		for ; i < len(all) && all[i].scope == scope; i++ {
			one := all[i]
			last := &s.Events[one.events[len(one.events)-1]]
			want := engine.Head{Scope: scope, Stream: one.name, Version: last.Version, Sequence: last.Sequence, Hash: last.Hash}
			if found := log.Head(scope, one.name); found != want {
				s.violate("I5", last.Sequence, fmt.Sprintf("the head of stream %q/%q at version %d, event %d, with its hash", scope, one.name, want.Version, want.Sequence), fmt.Sprintf("version %d, event %d, or another hash", found.Version, found.Sequence))
			}
			if k := i - first; k >= len(heads) || heads[k] != want {
				s.violate("I5", last.Sequence, fmt.Sprintf("Streams to list %q/%q as Head does", scope, one.name), "another list")
				return
			}
			for _, backward := range [...]bool{false, true} {
				s.read(log, way{"a read", one, backward}, engine.Query{Scope: scope, Stream: one.name, Backward: backward}, func(k int) *engine.Event {
					if k >= len(one.events) {
						return nil
					}
					if backward {
						k = len(one.events) - 1 - k
					}
					return &s.Events[one.events[k]]
				})
			}
		}
		if len(heads) != i-first {
			s.violate("I5", 0, fmt.Sprintf("%d streams in scope %q", i-first, scope), fmt.Sprint(len(heads)))
		}
	}
	if found := slices.Sorted(slices.Values(log.Scopes())); !slices.Equal(found, scopes) {
		s.violate("I5", 0, fmt.Sprintf("scopes %q", scopes), fmt.Sprintf("%q", found))
	}
}

// receipt checks that the event's receipt verifies, and that its key, if it
// has one, answers with it.
func (s *Seen) receipt(log Log, e *engine.Event) {
	want := engine.Receipt{ID: e.ID, Scope: e.Scope, Stream: e.Stream, Sequence: e.Sequence, Version: e.Version, Batch: e.Batch, Hash: e.Hash, Durable: e.Durable}
	if err := log.VerifyReceipt(want); err != nil {
		s.violate("I1", e.Sequence, "its receipt to verify", "an error: "+err.Error())
	}
	if e.Key == "" {
		return
	}
	found, err := log.ReceiptOf(e.Key)
	switch {
	case err != nil:
		s.violate("I1", e.Sequence, fmt.Sprintf("key %q to answer with its receipt", e.Key), "an error: "+err.Error())
	case found.Sequence < e.Sequence && found.Sequence > 0 && s.Events[found.Sequence-1].Key == e.Key:
		// The key is there twice, which is I6's to report.
	case !found.Equal(want):
		s.violate("I1", e.Sequence, fmt.Sprintf("key %q to answer with its receipt", e.Key), fmt.Sprintf("that of event %d, or another hash", found.Sequence))
	}
}

// keys collects the keys that the log answers and should not know.
func (s *Seen) keys(log Log, m *model.Model) {
	for _, key := range m.DeadKeys() {
		if slices.ContainsFunc(s.Events, func(e engine.Event) bool { return e.Key == key }) {
			continue // an event that should not be there is reported as such
		}
		if _, err := log.ReceiptOf(key); !errors.Is(err, engine.ErrNotFound) {
			s.deadKeys = append(s.deadKeys, key)
		}
	}
}

// Judge compares what a log showed with what the model allows. It returns what
// is wrong, most telling first; an empty list means that all is well.
func Judge(m *model.Model, s *Seen) []*Violation {
	var all []*Violation
	add := func(f model.Finding) {
		all = append(all, &Violation{Invariant: of(f), Step: f.Step, Sequence: f.Sequence, Expected: f.Expected, Found: f.Found})
	}
	for _, f := range m.Contradictions() {
		add(f)
	}
	lossy := s.how.Budget.LyingDisk || s.Damaged
	s.judged = m.Judge(s.Events, lossy)
	findings := s.judged.Findings()
	for _, f := range findings {
		add(f)
	}
	all = append(all, s.violations...)
	for _, key := range s.deadKeys {
		all = append(all, &Violation{Invariant: "I6", Expected: fmt.Sprintf("key %q to be as never used: its call came to nothing", key), Found: "an answer"})
	}
	if len(findings) > 0 || lossy {
		return all
	}
	before := m.Stats()
	for _, f := range [...]struct {
		name        string
		before, now engine.Frontier
	}{{"durable", before.Durable, s.Stats.Durable}, {"visible", before.Visible, s.Stats.Visible}} {
		if f.now.Sequence < f.before.Sequence {
			all = append(all, &Violation{Invariant: "I8", Sequence: f.before.Sequence, Expected: fmt.Sprintf("%s at %d or later, as before the restart", f.name, f.before.Sequence), Found: fmt.Sprint(f.now.Sequence)})
		} else if f.now.Time.Before(f.before.Time) {
			all = append(all, &Violation{Invariant: "I8", Sequence: f.now.Sequence, Expected: f.name + " at a time that never decreases", Found: "an earlier one"})
		}
	}
	if _, head := m.Shown(); head.Batch > 0 && head.Batch == s.Head.Batch && head != s.Head {
		all = append(all, &Violation{Invariant: "I13", Sequence: s.Head.Sequence, Expected: "the log head that an earlier Open showed", Found: "another"})
	}
	return all
}
