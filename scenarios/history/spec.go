package history

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

type verb uint8

const (
	appends verb = iota
	reads
	closes
	opens
)

// operation is one call with its answer.
type operation struct {
	verb       verb
	client     int
	call, back int // when it starts and ends
	unknown    bool
	effective  bool // unknown, but nobody else can have brought what is there

	batch    engine.Batch
	receipts []engine.Receipt
	err      error
	events   []engine.Event
}

// end says when the call took effect, at the latest, and that it did.
func (o *operation) end(now int) { o.back, o.unknown = now, false }

// entry is an event as the specification sees it.
type entry struct {
	id                  uuid.UUID // zero: not known
	scope, stream, kind string
	version             uint32 // of the payload
	data                []byte
	key                 string
}

// state is a log: a list of batches.
type state struct {
	previous *state // before the last batch
	first    uint64 // sequence of the last batch's first event
	entries  []entry
	count    uint64 // events in the log
	hash     uint64 // of the batches, in order
	versions map[string]uint64
	keys     map[string]*state // the batch that has it last
	closed   int               // when the Close that began returned; 0: none began
}

func streamOf(scope, stream string) string { return scope + "\x00" + stream }

// baseOf is a log with these events.
func baseOf(events []engine.Event) *state {
	s := &state{}
	for from := 0; from < len(events); {
		to := from
		var entries []entry
		for to < len(events) && events[to].Batch == events[from].Batch {
			e := &events[to]
			entries = append(entries, entry{e.ID, e.Scope, e.Stream, e.Type, e.PayloadVersion, e.Data, e.Key})
			to++
		}
		s = s.with(entries, uint64(to))
		from = to
	}
	return s
}

// with is the log after one more batch. tag tells batches of equal entries apart.
func (s *state) with(entries []entry, tag uint64) *state {
	next := &state{
		previous: s, first: s.count + 1, entries: entries, count: s.count + uint64(len(entries)),
		hash: (s.hash ^ tag) * 0x9e3779b97f4a7c15, closed: s.closed,
		versions: maps.Clone(s.versions), keys: s.keys,
	}
	if next.versions == nil {
		next.versions = map[string]uint64{}
	}
	for i := range entries {
		next.versions[streamOf(entries[i].scope, entries[i].stream)]++
	}
	if entries[0].key != "" {
		next.keys = maps.Clone(s.keys)
		if next.keys == nil {
			next.keys = map[string]*state{}
		}
		for i := range entries {
			next.keys[entries[i].key] = next
		}
	}
	return next
}

// entriesOf are the events that a batch would become.
func (o *operation) entriesOf() []entry {
	entries := make([]entry, len(o.batch.Events))
	for i := range entries {
		d := &o.batch.Events[i]
		entries[i] = entry{scope: d.Scope, stream: d.Stream, kind: d.Type, version: d.PayloadVersion, data: d.Data, key: d.Key}
		if o.batch.Key != "" {
			entries[i].key = o.batch.Key + "/" + strconv.Itoa(i)
		}
		if i < len(o.receipts) {
			entries[i].id = o.receipts[i].ID
		}
	}
	return entries
}

func (e *entry) sameForKey(o *entry) bool {
	return e.scope == o.scope && e.stream == o.stream && e.kind == o.kind && e.version == o.version && bytes.Equal(e.data, o.data)
}

// byKey is the batch that the keys of entries stand for. known is how many of
// them the log knows.
func (s *state) byKey(entries []entry) (batch *state, known int) {
	for i := range entries {
		if entries[i].key == "" {
			continue
		}
		if has := s.keys[entries[i].key]; has != nil {
			known++
			batch = has
		}
	}
	if batch == nil || len(batch.entries) != len(entries) {
		return nil, known
	}
	for i := range entries {
		if batch.entries[i].key != entries[i].key || !batch.entries[i].sameForKey(&entries[i]) {
			return nil, known
		}
	}
	return batch, known
}

// unmet is the first item whose expectation does not hold, and the version that
// its stream has; −1 if all hold.
func (s *state) unmet(b *engine.Batch) (item int, actual uint64) {
	more := map[string]uint64{}
	for i := range b.Events {
		d := &b.Events[i]
		stream := streamOf(d.Scope, d.Stream)
		version := s.versions[stream] + more[stream]
		switch {
		case d.Expect == engine.Any, d.Expect == engine.StreamExists && version > 0,
			d.Expect != engine.StreamExists && d.Expect == engine.Exactly(version):
		default:
			return i, version
		}
		more[stream]++
	}
	return -1, 0
}

// has reports whether events are part of what Open shows in the end, behind so
// many others. A log only grows, so a call that would leave anything else cannot
// have taken effect then; without this look ahead the search would have to try
// every call without an answer at every instant.
func (o *operation) has(entries []entry, behind uint64) bool {
	if o == nil {
		return true
	}
	if uint64(len(o.events)) < behind+uint64(len(entries)) {
		return false
	}
	for i := range entries {
		if !entries[i].is(&o.events[behind+uint64(i)]) {
			return false
		}
	}
	return true
}

// hasAnywhere is has at any place.
func (o *operation) hasAnywhere(entries []entry) bool {
	for behind := range o.events {
		if o.has(entries, uint64(behind)) {
			return true
		}
	}
	return false
}

// like reports whether two calls may mean the same event.
func (e *entry) like(o *entry) bool {
	return e.sameForKey(o) && e.key == o.key
}

// hasLike reports whether the log has an event that a call may mean.
func (s *state) hasLike(e *entry) bool {
	for ; s != nil; s = s.previous {
		for i := range s.entries {
			if s.entries[i].like(e) {
				return true
			}
		}
	}
	return false
}

// is reports whether an event is what was asked for.
func (e *entry) is(found *engine.Event) bool {
	return (e.id == uuid.Nil || e.id == found.ID) && e.scope == found.Scope && e.stream == found.Stream && e.kind == found.Type &&
		e.version == found.PayloadVersion && e.key == found.Key && bytes.Equal(e.data, found.Data)
}

// step is what the log may be after a call that was answered like this. It is
// empty where the log does not answer so. From the instant at which a Close takes
// effect calls are refused, but those that were in a group before it still take
// effect, until Close returns.
func (s *state) step(o *operation, final *operation) []*state {
	switch o.verb {
	case closes:
		next := *s
		if next.closed == 0 || o.back < next.closed {
			next.closed = o.back // of several the first to return: the others wait for it
		}
		return []*state{&next}
	case reads, opens:
		if !o.unknown && !s.holds(o.events) {
			return nil
		}
		return []*state{s}
	}
	entries := o.entriesOf()
	batch, known := s.byKey(entries)
	item, actual := -1, uint64(0)
	if known == 0 {
		item, actual = s.unmet(&o.batch)
	}
	accepted := known == 0 && item < 0 && (s.closed == 0 || o.call < s.closed) && len(entries) > 0 && final.has(entries, s.count)
	var wrong *engine.WrongVersionError
	switch {
	case o.unknown:
		var maybe []*state
		if !o.effective {
			maybe = append(maybe, s) // it never took effect, or changed nothing
		}
		if accepted && s.matches(o, s.count+1) {
			maybe = append(maybe, s.with(entries, uint64(o.call)))
		}
		return maybe
	case o.err == nil && accepted && s.matches(o, s.count+1):
		return []*state{s.with(entries, uint64(o.call))}
	case o.err == nil && (batch != nil && batch.matches(o, batch.first) || len(entries) == 0):
		return []*state{s}
	case errors.As(o.err, &wrong):
		if item < 0 || wrong.Actual != actual || wrong.Stream != o.batch.Events[item].Stream || wrong.Scope != o.batch.Events[item].Scope {
			return nil
		}
		return []*state{s}
	case errors.Is(o.err, engine.ErrKeyConflict):
		if known == 0 || batch != nil {
			return nil
		}
		return []*state{s}
	case errors.Is(o.err, engine.ErrClosed):
		if s.closed == 0 {
			return nil
		}
		return []*state{s}
	case o.err == nil:
		return nil
	case errors.Is(o.err, engine.ErrFailed) && batch != nil:
		return nil // it is there, and the answer says that it never will be
	}
	return []*state{s} // refused for what it is, or because the disk failed: nothing happened
}

// matches reports whether receipts are those of a batch that begins with this
// sequence: of s itself, or of what comes behind it.
func (s *state) matches(o *operation, first uint64) bool {
	versions := s.versions
	if first <= s.count {
		versions = s.previous.versions
	}
	if o.err == nil && !o.unknown && len(o.receipts) != len(o.batch.Events) {
		return false
	}
	more := map[string]uint64{}
	for i := range o.receipts {
		r, d := &o.receipts[i], &o.batch.Events[i]
		stream := streamOf(d.Scope, d.Stream)
		more[stream]++
		if r.Scope != d.Scope || r.Stream != d.Stream {
			return false
		}
		if r.Sequence != first+uint64(i) || r.Version != versions[stream]+more[stream] {
			return false
		}
		if known := first <= s.count && s.entries[i].id != uuid.Nil; known && s.entries[i].id != r.ID {
			return false
		}
	}
	return true
}

// holds reports whether the log is these events.
func (s *state) holds(events []engine.Event) bool {
	if uint64(len(events)) != s.count {
		return false
	}
	for ; s.count > 0; s = s.previous {
		for i := range s.entries {
			found := &events[s.first-1+uint64(i)]
			if found.Sequence != s.first+uint64(i) || !s.entries[i].is(found) {
				return false
			}
		}
	}
	return true
}

// specification is the log for porcupine, which begins as base, and ends as Open
// shows it, unless final is nil. A call whose effect is not known leaves a set of
// states.
func specification(base *state, final *operation) porcupine.Model {
	if base == nil {
		base = &state{}
	}
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{base} },
		Step: func(s, input, _ any) []any {
			states := s.(*state).step(input.(*operation), final)
			next := make([]any, len(states))
			for i, n := range states {
				next[i] = n
			}
			return next
		},
		Equal: func(a, b any) bool {
			x, y := a.(*state), b.(*state)
			return x == y || x.hash == y.hash && x.count == y.count && x.closed == y.closed
		},
		Hash:              func(s any) uint64 { return s.(*state).hash },
		DescribeOperation: func(input, _ any) string { return input.(*operation).String() },
		DescribeState:     func(s any) string { return s.(*state).String() },
	}
	return model.ToModel()
}

// String is a call and its answer.
func (o *operation) String() string {
	switch o.verb {
	case closes:
		return "close"
	case reads:
		return fmt.Sprintf("read → %d events", len(o.events))
	case opens:
		return fmt.Sprintf("open → %d events", len(o.events))
	}
	var b strings.Builder
	b.WriteString("append")
	if o.batch.Durability == engine.Buffered {
		b.WriteString(" buffered")
	}
	if o.batch.Key != "" {
		b.WriteString(" key " + o.batch.Key)
	}
	for i := range o.batch.Events {
		d := &o.batch.Events[i]
		fmt.Fprintf(&b, " %s", strings.TrimPrefix(d.Scope+"/"+d.Stream, "/"))
		if d.Key != "" {
			b.WriteString(" key " + d.Key)
		}
		if d.Expect != engine.Any {
			fmt.Fprintf(&b, " at %v", d.Expect)
		}
	}
	b.WriteString(" → ")
	switch {
	case o.err != nil:
		b.WriteString(strings.SplitN(o.err.Error(), "\n", 2)[0])
	case len(o.receipts) > 0:
		fmt.Fprintf(&b, "%d as version %d", o.receipts[0].Sequence, o.receipts[0].Version)
	case o.unknown:
		b.WriteString("no answer")
	default:
		b.WriteString("nothing")
	}
	if o.unknown {
		b.WriteString(" (took effect, or never)")
	}
	return b.String()
}

func (o *operation) until() string {
	if o.unknown && o.back > o.call && o.err == nil && o.receipts == nil {
		return "…"
	}
	return strconv.Itoa(o.back)
}

// String lists the streams with their versions.
func (s *state) String() string {
	var parts []string
	for _, stream := range slices.Sorted(maps.Keys(s.versions)) {
		parts = append(parts, fmt.Sprintf("%s: %d", strings.Trim(strings.ReplaceAll(stream, "\x00", "/"), "/"), s.versions[stream]))
	}
	return fmt.Sprintf("%d events; %s", s.count, strings.Join(parts, ", "))
}
