package model

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// Model is what a timeline of notes says of a log. It is immutable, and safe
// for concurrent use.
type Model struct {
	limits limits
	steps  int    // notes so far
	from   *Model // while the first note of a With is applied, its receiver; else nil

	calls vector[*call]
	open  []int // indices in calls of those in flight or in doubt, oldest first

	entries vector[*entry] // at index sequence − 1; nil where nobody has told yet
	ids     trie[uint64]   // event id → sequence
	keys    trie[uint64]   // idempotency key → sequence
	streams trie[head]     // stream → its last known event
	gone    trie[int]      // id of an event that was left out or rolled back → step that said so
	dead    []string       // keys of calls that came to nothing, oldest first
	owed    []owed         // refusals whose reasons must be durable
	wrong   []Finding      // contradictions in the notes themselves

	submitted uint64 // events of all calls: no sequence can be above
	accepted  uint64 // last sequence of any receipt
	floor     uint64 // last sequence of any receipt that cannot have been rolled back
	shown     uint64 // last sequence at the last Open
	acked     uint64 // last sequence that was acknowledged as durable, or covered
	served    uint64 // last sequence that was served as durable, by a read or a refusal

	shownHead engine.LogHead
	stats     engine.Stats // the highest durable and visible frontier that Stats returned
	shaky     int          // entries that may have been rolled back
}

// entry is an event that the log must show at its sequence, if it shows that
// sequence at all.
type entry struct {
	event engine.Event
	cause engine.Cause
	call  int // index in calls, or -1: served, by a call that is not answered
	item  int
	step  int  // note that told of it
	seen  bool // Time and Clock are known
	shaky bool // a group failed since, and may have taken the event with it

	// rivals are calls with the same key that were in flight when the receipt
	// came: any of them may be the one that took effect, the others hit.
	rivals []int
}

type head struct{ version, sequence uint64 }

// owed is the reason of a refusal that no known event explains.
type owed struct {
	scope, stream string
	version       uint64
	id            uuid.UUID // instead of a stream and version
	step          int
}

// call is one call of Append or AppendBatch. It is never changed: a new state
// makes a new call.
type call struct {
	id, step   int
	state      State
	batch      engine.Batch
	keys       []string // one an item, or nil
	causes     []int    // index of the item that an item names as its cause, or -1
	floor      uint64   // events up to here were answered before the call started
	first      uint64   // sequence of the first event, when known
	after      time.Time
	before     time.Time
	answeredAt int // step
}

// New returns the model of an empty log. Of the options only the limits count.
func New(options engine.Options) *Model {
	return &Model{limits: newLimits(options)}
}

// With returns the model after more notes. The receiver does not change.
func (m *Model) With(notes ...Note) *Model {
	next := *m
	next.from = m
	for _, n := range notes {
		next.steps++
		n.apply(&next)
		next.from = nil
	}
	next.from = nil
	return &next
}

// Steps is the number of notes so far.
func (m *Model) Steps() int { return m.steps }

// Accepted is the last sequence of any receipt, or what the last Open showed.
func (m *Model) Accepted() uint64 { return m.accepted }

// Durable is the last sequence that must survive anything but a lying disk.
func (m *Model) Durable() uint64 { return max(m.shown, m.acked, m.served) }

// Due is Durable, and why that event must be there; NoDuty where it is 0.
func (m *Model) Due() (last uint64, why Duty) {
	if last = m.Durable(); last == 0 {
		return 0, NoDuty
	}
	return last, m.duty(last)
}

// Shown is the number of events that the last Open showed, and the head.
func (m *Model) Shown() (uint64, engine.LogHead) { return m.shown, m.shownHead }

// Stats holds the highest durable and visible frontiers that were noted.
func (m *Model) Stats() engine.Stats { return m.stats }

// InFlight is the number of calls that are neither answered nor decided.
func (m *Model) InFlight() int { return len(m.open) }

// Contradictions are the notes that cannot all be true: answers that a correct
// log does not give, whatever the disk does.
func (m *Model) Contradictions() []Finding { return m.wrong }

// Call is a call that the timeline tells of.
type Call struct {
	ID       int
	Step     int // the note that started it
	State    State
	Batch    engine.Batch // as submitted; do not change it
	Keyed    bool
	Receipts []engine.Receipt // what its events must be, where that is known
}

// Calls returns all calls, oldest first.
func (m *Model) Calls() []Call {
	calls := make([]Call, 0, m.calls.length)
	for i := range m.calls.length {
		c := m.calls.at(i)
		state := c.state
		if state == Buffered && c.first+uint64(len(c.batch.Events))-1 <= m.acked {
			state = Acked
		}
		calls = append(calls, Call{ID: c.id, Step: c.step, State: state, Batch: c.batch, Keyed: c.keys != nil, Receipts: m.receipts(c)})
	}
	return calls
}

func (m *Model) receipts(c *call) []engine.Receipt {
	if c.first == 0 || c.state == LeftOut {
		return nil
	}
	receipts := make([]engine.Receipt, 0, len(c.batch.Events))
	for i := range c.batch.Events {
		if e := m.entry(c.first + uint64(i)); e != nil {
			receipts = append(receipts, receiptOf(&e.event))
		}
	}
	return receipts
}

func receiptOf(e *engine.Event) engine.Receipt {
	return engine.Receipt{ID: e.ID, Scope: e.Scope, Stream: e.Stream, Sequence: e.Sequence, Version: e.Version, Batch: e.Batch, Hash: e.Hash, Durable: true}
}

// Event is what the log must show at a sequence, and whether that is known. Its
// Time and Clock are zero until a read has shown them; CausedBy is zero where
// the draft named an id.
func (m *Model) Event(sequence uint64) (engine.Event, bool) {
	if e := m.entry(sequence); e != nil {
		return e.event, true
	}
	return engine.Event{}, false
}

// KeySequence is the sequence of the event that has an idempotency key.
func (m *Model) KeySequence(key string) (uint64, bool) { return m.keys.get(key) }

// DeadKeys are the keys of calls that came to nothing, and that no call has
// used since: a log must not know them.
func (m *Model) DeadKeys() []string {
	var keys []string
	for _, key := range m.dead {
		if _, used := m.keys.get(key); !used && !slices.Contains(keys, key) && !m.inFlightKey(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (m *Model) inFlightKey(key string) bool {
	for _, index := range m.open {
		if slices.Contains(m.calls.at(index).keys, key) {
			return true
		}
	}
	return false
}

func (m *Model) entry(sequence uint64) *entry {
	if sequence == 0 || sequence > uint64(m.entries.length) {
		return nil
	}
	return m.entries.at(int(sequence - 1))
}

// Keep gives an event that was read with engine.Query.Borrow bytes that stay:
// those that the model knows at its sequence, where they are equal, and else its
// own.
func (m *Model) Keep(e *engine.Event) {
	var data, metadata []byte
	if known := m.entry(e.Sequence); known != nil {
		data, metadata = known.event.Data, known.event.Metadata
	}
	e.Data, e.Metadata = keep(e.Data, data), keep(e.Metadata, metadata)
}

func keep(b, known []byte) []byte {
	switch {
	case len(b) == 0:
		return nil
	case bytes.Equal(b, known):
		return known
	}
	return bytes.Clone(b)
}

func (m *Model) duty(sequence uint64) Duty {
	switch {
	case sequence <= m.shown:
		return Shown
	case sequence <= m.acked:
		return Acknowledged
	case sequence <= m.served:
		return ServedDurable
	default:
		return NoDuty
	}
}

// contradict records that the notes cannot all be true.
func (m *Model) contradict(kind Kind, duty Duty, sequence uint64, expected, found string) {
	m.wrong = append(slices.Clip(m.wrong), Finding{kind, duty, m.steps, sequence, expected, found})
}

func (m *Model) setCall(index int, c *call) { m.calls = m.calls.with(index, c) }

func streamKey(scope, stream string) string { return scope + "\x00" + stream }

func (n Started) apply(m *Model) {
	c := &call{id: n.Call, step: m.steps, batch: cloneBatch(n.Batch), floor: m.floor, after: n.Clock}
	c.keys = itemKeys(n.Batch)
	for i, draft := range c.batch.Events {
		c.causes = append(c.causes, causeItem(draft.CausedBy, i))
	}
	for _, index := range m.open {
		if m.calls.at(index).id == n.Call && m.calls.at(index).state == InFlight {
			panic(fmt.Sprintf("model: call %d was started twice without an answer: give each its own number", n.Call))
		}
	}
	m.submitted += uint64(len(c.batch.Events))
	m.open = append(slices.Clip(m.open), m.calls.length)
	m.calls = m.calls.append(c)
}

// itemKeys are the keys of a batch's items, or nil if it has none.
func itemKeys(b engine.Batch) []string {
	keys := make([]string, len(b.Events))
	keyed := false
	for i := range b.Events {
		if keys[i] = b.Events[i].Key; b.Key != "" {
			keys[i] = b.Key + "/" + strconv.Itoa(i)
		}
		keyed = keyed || keys[i] != ""
	}
	if !keyed {
		return nil
	}
	return keys
}

func cloneBatch(b engine.Batch) engine.Batch {
	b.Events = slices.Clone(b.Events)
	for i := range b.Events {
		d := &b.Events[i]
		d.Data, d.Metadata, d.Extensions = slices.Clone(d.Data), slices.Clone(d.Metadata), maps.Clone(d.Extensions)
		for name, value := range d.Extensions {
			d.Extensions[name] = slices.Clone(value)
		}
	}
	return b
}

// predict is the event that item i of a call becomes with this receipt.
func (c *call) predict(i int, r engine.Receipt, id func(item int) uuid.UUID) entry {
	d := &c.batch.Events[i]
	e := entry{cause: d.CausedBy, item: i}
	e.event = engine.Event{
		ID: r.ID, Sequence: r.Sequence, Version: r.Version, Batch: r.Batch, Hash: r.Hash,
		Scope: d.Scope, Stream: d.Stream, Type: d.Type,
		Data: d.Data, Metadata: d.Metadata, Extensions: d.Extensions,
		Correlation: d.Correlation, Lane: d.Lane, Depth: d.Depth, Flags: d.Flags,
		PayloadVersion: d.PayloadVersion, Erasable: d.Erasable, Durable: true,
	}
	if c.keys != nil {
		e.event.Key = c.keys[i]
	}
	if e.event.Correlation == uuid.Nil {
		e.event.Correlation = r.ID
	}
	if j := c.causes[i]; j >= 0 {
		e.event.CausedBy = id(j)
		e.cause = engine.ByID(e.event.CausedBy)
	}
	return e
}

func (n Answered) apply(m *Model) {
	at := slices.IndexFunc(m.open, func(index int) bool {
		c := m.calls.at(index)
		return c.id == n.Call && c.state == InFlight
	})
	if at < 0 {
		panic(fmt.Sprintf("model: call %d was answered but is not in flight: note its start first", n.Call))
	}
	index := m.open[at]
	c := *m.calls.at(index)
	c.before, c.answeredAt = n.Clock, m.steps
	m.open = slices.Concat(m.open[:at], m.open[at+1:])
	switch {
	case n.Err != nil:
		c.state = classify(n.Err)
		switch c.state {
		case InDoubt:
			m.open = slices.Concat(m.open[:at], []int{index}, m.open[at:])
		case Failed:
			m.shake()
			m.dead = append(slices.Clip(m.dead), c.keys...)
		case Rejected:
			m.dead = append(slices.Clip(m.dead), c.keys...)
			if c.batch.Durability == engine.Durable {
				m.refused(&c, n.Err)
			}
		}
	case len(n.Receipts) != len(c.batch.Events):
		c.state = Hit
		m.contradict(Half, NoDuty, 0, fmt.Sprintf("call %d is answered with %d receipts", c.id, len(c.batch.Events)), fmt.Sprintf("%d receipts", len(n.Receipts)))
	case len(n.Receipts) == 0:
		c.state = Acked
	case m.isHit(index, &c, n.Receipts):
		c.state = Hit
	default:
		m.commit(index, &c, n.Receipts)
	}
	m.setCall(index, &c)
}

// promise raises what must survive, for receipts that say so.
func (m *Model) promise(c *call, receipts []engine.Receipt) {
	for i := range receipts {
		if receipts[i].Durable {
			m.acked = max(m.acked, receipts[i].Sequence)
		} else if c.batch.Durability == engine.Durable {
			m.contradict(Frontier, NoDuty, receipts[i].Sequence, fmt.Sprintf("the durable call %d is answered when it is durable", c.id), "a receipt that is not")
		}
	}
}

// isHit reports whether the receipts are those of an earlier call with the same
// key, and notes where they are not quite.
func (m *Model) isHit(index int, c *call, receipts []engine.Receipt) bool {
	first := m.entry(receipts[0].Sequence)
	if first == nil || first.event.ID != receipts[0].ID || first.call < 0 || first.call == index {
		return false
	}
	if c.keys == nil {
		m.contradict(Replaced, Acknowledged, receipts[0].Sequence, fmt.Sprintf("call %d has no key and gets new receipts", c.id), fmt.Sprintf("those of call %d", m.calls.at(first.call).id))
		return true
	}
	for i := range receipts {
		e := m.entry(receipts[i].Sequence)
		if e == nil || e.event.Key != c.keys[i] || !receiptOf(&e.event).Equal(receipts[i]) {
			m.contradict(KeyTwice, NoDuty, receipts[i].Sequence, fmt.Sprintf("item %d of call %d gets the receipt of the first call with its key", i, c.id), "another receipt")
			continue
		}
		m.confirm(e)
	}
	m.promise(c, receipts)
	return true
}

// rivals are the other calls in flight that may have had the effect for which
// this one got the receipts, and one of all these whose expectations it met.
func (m *Model) rivals(index int, c *call, receipts []engine.Receipt) (rivals []int, effect int) {
	effect = index
	if c.keys == nil {
		return nil, effect
	}
	met := func(c *call) bool {
		for i := range receipts {
			if !holds(c.batch.Events[i].Expect, receipts[i].Version-1) {
				return false
			}
		}
		return true
	}
	for _, other := range m.open {
		if r := m.calls.at(other); slices.Equal(r.keys, c.keys) && slices.EqualFunc(r.batch.Events, c.batch.Events, sameForKey) {
			rivals = append(rivals, other)
			if !met(c) && effect == index && met(r) {
				effect = other
			}
		}
	}
	return rivals, effect
}

// sameForKey reports whether two drafts with one key are a retry of each other,
// and no conflict.
func sameForKey(a, b engine.Draft) bool {
	return a.Scope == b.Scope && a.Stream == b.Stream && a.Type == b.Type && a.PayloadVersion == b.PayloadVersion && bytes.Equal(a.Data, b.Data)
}

// commit takes the receipts of a call that took effect.
func (m *Model) commit(index int, c *call, receipts []engine.Receipt) {
	rivals, effect := m.rivals(index, c, receipts)
	if effect != index {
		// The receipts are a hit of a call that is still in flight.
		c.state = Hit
		first := *m.calls.at(effect)
		m.take(effect, &first, receipts, append(rivals, index))
		first.state = InFlight
		m.setCall(effect, &first)
	} else {
		m.take(index, c, receipts, rivals)
	}
	m.promise(c, receipts)
	if c.state == Buffered && m.acked >= receipts[len(receipts)-1].Sequence {
		c.state = Acked
	}
}

// take makes the events of a call known.

func (m *Model) take(index int, c *call, receipts []engine.Receipt, rivals []int) {
	c.first = receipts[0].Sequence
	c.state = Buffered
	entries := make([]*entry, len(receipts))
	for i, r := range receipts {
		d := &c.batch.Events[i]
		old := m.entry(r.Sequence)
		switch sequence, known := m.ids.get(string(r.ID[:])); {
		case r.Scope != d.Scope || r.Stream != d.Stream:
			m.contradict(Changed, NoDuty, r.Sequence, fmt.Sprintf("item %d of call %d goes to stream %q/%q", i, c.id, d.Scope, d.Stream), fmt.Sprintf("a receipt of %q/%q", r.Scope, r.Stream))
		case r.Sequence == 0 || r.Sequence != c.first+uint64(i):
			m.contradict(Gap, NoDuty, r.Sequence, fmt.Sprintf("item %d of call %d has sequence %d", i, c.id, c.first+uint64(i)), fmt.Sprintf("sequence %d", r.Sequence))
			return
		case r.Sequence > m.submitted:
			m.contradict(Gap, NoDuty, r.Sequence, fmt.Sprintf("a sequence up to %d, the number of events submitted so far", m.submitted), "a receipt with this one")
			return
		case r.Version == 0 || r.Batch != receipts[0].Batch:
			m.contradict(Gap, NoDuty, r.Sequence, fmt.Sprintf("item %d of call %d has a version, and the batch number of item 0", i, c.id), fmt.Sprintf("version %d, batch %d", r.Version, r.Batch))
		case known && sequence != r.Sequence:
			m.contradict(Replaced, Acknowledged, r.Sequence, fmt.Sprintf("item %d of call %d has an id of its own", i, c.id), fmt.Sprintf("that of event %d", sequence))
			return
		case old != nil && old.event.ID != r.ID:
			if !old.shaky {
				kind, duty := Replaced, m.duty(r.Sequence)
				if duty == NoDuty {
					kind = Order
				}
				m.contradict(kind, duty, r.Sequence, m.describe(old), fmt.Sprintf("a receipt that gives its sequence to item %d of call %d", i, c.id))
				return
			}
			m.undo(old)
		case !holds(d.Expect, r.Version-1):
			m.contradict(Unmet, NoDuty, r.Sequence, fmt.Sprintf("item %d of call %d is refused unless its stream is at %v", i, c.id, d.Expect), fmt.Sprintf("a receipt with version %d", r.Version))
		}
		if c.keys != nil {
			if sequence, used := m.keys.get(c.keys[i]); used && sequence != r.Sequence {
				if first := m.entry(sequence); first.shaky {
					m.undo(first)
				} else {
					m.contradict(KeyTwice, NoDuty, r.Sequence, fmt.Sprintf("call %d to get the receipts of the first call with key %q, event %d on", c.id, c.keys[i], sequence), "new ones")
				}
			}
		}
		e := c.predict(i, r, func(j int) uuid.UUID { return receipts[j].ID })
		e.call, e.step, e.rivals = index, m.steps, rivals
		if old != nil && old.event.ID == r.ID {
			if field, want, got := m.differs(&e, &old.event); field != "" {
				m.contradict(Changed, m.duty(r.Sequence), r.Sequence, fmt.Sprintf("%s with %s %s", m.describeItem(c, i), field, want), "a read that served "+got)
			}
			if old.seen {
				e.event, e.seen, e.rivals = old.event, true, nil
			}
		}
		entries[i] = &e
	}
	m.entries = m.entries.with(int(c.first-1), entries...)
	for _, e := range entries {
		m.learn(e)
	}
	last := c.first + uint64(len(receipts)) - 1
	m.accepted, m.floor = max(m.accepted, last), max(m.floor, last)
}

// learn adds an entry to the lookups.
func (m *Model) learn(e *entry) {
	event := &e.event
	m.ids = m.ids.with(string(event.ID[:]), event.Sequence)
	if event.Key != "" {
		m.keys = m.keys.with(event.Key, event.Sequence)
	}
	stream := streamKey(event.Scope, event.Stream)
	if last, _ := m.streams.get(stream); last.version <= event.Version {
		m.streams = m.streams.with(stream, head{event.Version, event.Sequence})
	}
}

// shake notes that a group failed: what is not durable may have gone with it.
func (m *Model) shake() {
	from := m.Durable() + 1
	for s := from; s <= uint64(m.entries.length); s++ {
		if e := m.entry(s); e != nil && !e.shaky {
			fresh := *e
			fresh.shaky = true
			m.entries = m.entries.with(int(s-1), &fresh)
			m.shaky++
		}
	}
	m.floor = min(m.floor, from-1)
	for _, index := range m.open {
		if c := *m.calls.at(index); c.floor > m.floor {
			c.floor = m.floor
			m.setCall(index, &c)
		}
	}
}

// confirm notes that an event was not rolled back.
func (m *Model) confirm(e *entry) {
	if e.shaky {
		fresh := *e
		fresh.shaky = false
		m.entries = m.entries.with(int(e.event.Sequence-1), &fresh)
		m.shaky--
	}
}

// undo notes that the call of an event was rolled back.
func (m *Model) undo(e *entry) {
	var all []*entry
	c := m.calls.at(e.call)
	for s := c.first; s < c.first+uint64(len(c.batch.Events)); s++ {
		if other := m.entry(s); other != nil && other.call == e.call {
			all = append(all, other)
		}
	}
	m.forget(all)
}

// forget drops events that came to nothing, and their calls.
func (m *Model) forget(all []*entry) {
	var streams []string
	for _, e := range all {
		s := e.event.Sequence
		m.entries = m.entries.with(int(s-1), nil)
		m.gone = m.gone.with(string(e.event.ID[:]), m.steps)
		m.ids = m.ids.without(string(e.event.ID[:]))
		if known, ok := m.keys.get(e.event.Key); ok && known == s {
			m.keys = m.keys.without(e.event.Key)
		}
		if e.shaky {
			m.shaky--
		}
		if stream := streamKey(e.event.Scope, e.event.Stream); !slices.Contains(streams, stream) {
			streams = append(streams, stream)
		}
		if e.call >= 0 && m.calls.at(e.call).state != LeftOut {
			c := *m.calls.at(e.call)
			c.state = LeftOut
			m.setCall(e.call, &c)
			m.dead = append(slices.Clip(m.dead), c.keys...)
		}
	}
	for m.entries.length > 0 && m.entries.at(m.entries.length-1) == nil {
		m.entries = m.entries.first(m.entries.length - 1)
	}
	for _, stream := range streams {
		m.streams = m.streams.without(stream)
		for s := uint64(m.entries.length); s > 0; s-- {
			if e := m.entry(s); e != nil && streamKey(e.event.Scope, e.event.Stream) == stream {
				m.streams = m.streams.with(stream, head{e.event.Version, s})
				break
			}
		}
	}
	m.accepted = min(m.accepted, uint64(m.entries.length))
}

// refused notes what must be durable for a refusal to be final.
func (m *Model) refused(c *call, err error) {
	var wrong *engine.WrongVersionError
	var conflict *engine.KeyConflictError
	var item *engine.ItemError
	switch {
	case errors.As(err, &wrong):
		version := wrong.Actual
		if errors.As(err, &item) {
			// The item saw the earlier ones of its own batch, which never came to be.
			for i := 0; i < item.Item && i < len(c.batch.Events); i++ {
				if d := &c.batch.Events[i]; version > 0 && d.Scope == wrong.Scope && d.Stream == wrong.Stream {
					version--
				}
			}
		}
		if version > 0 {
			m.owe(owed{scope: wrong.Scope, stream: wrong.Stream, version: version, step: m.steps})
		}
	case errors.As(err, &conflict):
		for _, known := range conflict.Items {
			if known.ID != uuid.Nil {
				m.owe(owed{id: known.ID, step: m.steps})
			}
		}
	}
}

func (m *Model) owe(o owed) {
	if o.id != uuid.Nil {
		if sequence, ok := m.ids.get(string(o.id[:])); ok {
			m.served = max(m.served, sequence)
			return
		}
	} else if last, ok := m.streams.get(streamKey(o.scope, o.stream)); ok && last.version >= o.version {
		for s := last.sequence; s > 0; s-- {
			if e := m.entry(s); e != nil && e.event.Version == o.version && e.event.Scope == o.scope && e.event.Stream == o.stream {
				m.served = max(m.served, s)
				return
			}
		}
	}
	m.owed = append(slices.Clip(m.owed), o)
}

func (n Covered) apply(m *Model) {
	m.acked = max(m.acked, n.Sequence)
}

func (n Served) apply(m *Model) {
	for i := range n.Events {
		found := &n.Events[i]
		if !found.Durable {
			continue
		}
		s := found.Sequence
		e := m.entry(s)
		if e != nil && e.event.ID != found.ID && e.shaky {
			m.undo(e)
			e = nil
		}
		switch {
		case s == 0:
			m.contradict(Gap, NoDuty, 0, "an event has a sequence", "a read that served 0")
			continue
		case s > m.submitted:
			m.contradict(Gap, NoDuty, s, fmt.Sprintf("a sequence up to %d, the number of events submitted so far", m.submitted), "a read that served this one")
			continue
		case e == nil:
			fresh := &entry{event: *found, cause: engine.ByID(found.CausedBy), call: -1, step: m.steps, seen: true}
			m.entries = m.entries.with(int(s-1), fresh)
			m.learn(fresh)
		case e.event.ID != found.ID:
			m.contradict(Replaced, max(m.duty(s), ServedDurable), s, m.describe(e), "a read that served another event")
			continue
		default:
			if field, want, got := m.differs(e, found); field != "" {
				m.contradict(Changed, ServedDurable, s, fmt.Sprintf("%s with %s %s", m.describe(e), field, want), "a read that served "+got)
				continue
			}
			m.confirm(e)
			if !e.seen {
				fresh := *e
				fresh.event, fresh.seen, fresh.shaky, fresh.rivals = *found, true, false, nil
				m.entries = m.entries.with(int(s-1), &fresh)
			}
		}
		m.served = max(m.served, s)
	}
}

func (n Frontiers) apply(m *Model) {
	s := &n.Stats
	ordered := func(name string, ahead, behind engine.Frontier) {
		if ahead.Sequence < behind.Sequence {
			m.contradict(Frontier, NoDuty, behind.Sequence, name, fmt.Sprintf("%d behind %d", ahead.Sequence, behind.Sequence))
		}
	}
	ordered("written is not ahead of accepted", s.Accepted, s.Written)
	ordered("durable is not ahead of written", s.Written, s.Durable)
	ordered("visible is not ahead of durable", s.Durable, s.Visible)
	raise := func(name string, known *engine.Frontier, now engine.Frontier) {
		if now.Sequence < known.Sequence || now.Time.Before(known.Time) {
			m.contradict(Frontier, NoDuty, known.Sequence, name+" never decreases", fmt.Sprintf("%d after %d, or an earlier time", now.Sequence, known.Sequence))
			return
		}
		*known = now
	}
	raise("durable", &m.stats.Durable, s.Durable)
	raise("visible", &m.stats.Visible, s.Visible)
}

func (n Fault) apply(m *Model) { m.shake() }

func (n Opened) apply(m *Model) {
	j := n.Judged
	if !j.is(m.from, n.Events, n.Lossy) {
		j = m.Judge(n.Events, n.Lossy)
	}
	count := uint64(len(n.Events))

	// What is known of events that are not there comes to nothing.
	var lost []*entry
	for s := uint64(1); s <= uint64(m.entries.length); s++ {
		if e := m.entry(s); e != nil && (s > count || e.event.ID != n.Events[s-1].ID) {
			lost = append(lost, e)
		}
	}
	m.forget(lost)

	// What an earlier Open has shown is known in full: only what is behind it is
	// new, as a rule.
	known := 0
	for known < len(n.Events) {
		if e := m.entry(uint64(known) + 1); e == nil || e.call < 0 || !e.seen || e.shaky {
			break
		}
		known++
	}
	fresh := make([]*entry, len(n.Events)-known)
	var slab []entry
	for i := range fresh {
		found, e := &n.Events[known+i], m.entry(uint64(known+i)+1)
		if e != nil && e.call >= 0 && e.seen && !e.shaky {
			fresh[i] = e
			continue
		}
		if len(slab) == 0 {
			slab = make([]entry, len(fresh)-i)
		}
		fresh[i], slab = &slab[0], slab[1:]
		*fresh[i] = entry{event: *found, cause: engine.ByID(found.CausedBy), call: j.owner[known+i], step: m.steps, seen: true}
		if e != nil {
			fresh[i].item, fresh[i].step = e.item, e.step
		} else {
			m.learn(fresh[i])
		}
	}
	m.entries = m.entries.with(known, fresh...)

	for i := range n.Events {
		if owner := j.owner[i]; owner >= 0 && (i == 0 || j.owner[i-1] != owner) {
			if c := *m.calls.at(owner); c.state.undecided() || c.state == Buffered || c.state == LeftOut {
				c.state, c.first = Acked, uint64(i)+1
				m.setCall(owner, &c)
			}
		}
	}
	for _, index := range m.open {
		if c := *m.calls.at(index); c.state.undecided() {
			c.state = LeftOut
			m.setCall(index, &c)
			m.dead = append(slices.Clip(m.dead), c.keys...)
		}
	}
	m.open, m.owed, m.shaky = nil, nil, 0
	m.accepted, m.floor, m.shown, m.acked, m.served = count, count, count, min(m.acked, count), min(m.served, count)
	m.shownHead = n.Head
	if n.Lossy {
		for _, f := range []*engine.Frontier{&m.stats.Durable, &m.stats.Visible} {
			if f.Sequence > count {
				*f = engine.Frontier{Sequence: count}
			}
		}
	}
}
