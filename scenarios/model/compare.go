package model

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// Compare judges the events that a log shows, first to last, right after it was
// opened or while nothing is being appended. It returns what is wrong with
// them: nothing, or the first divergence and what does not depend on it.
//
// With lossy set the disk may have lied: promised events may be gone, and
// events that were left out may be back, but what is there must have been
// submitted, whole and in order.
func (m *Model) Compare(events []engine.Event, lossy bool) []Finding {
	return m.Judge(events, lossy).findings
}

// Judgement is what a comparison found, and whose events are whose.
type Judgement struct {
	model    *Model
	events   []engine.Event
	lossy    bool
	findings []Finding
	owner    []int // index in calls of each event's call, or -1
}

// Findings is what Compare returns.
func (j *Judgement) Findings() []Finding { return j.findings }

// is reports whether j is what m would say of these events: of this very slice,
// which nobody changes.
func (j *Judgement) is(m *Model, events []engine.Event, lossy bool) bool {
	return j != nil && m != nil && j.model == m && j.lossy == lossy && len(j.events) == len(events) &&
		(len(events) == 0 || &j.events[0] == &events[0])
}

func (j *Judgement) add(kind Kind, duty Duty, step int, sequence uint64, expected, found string) {
	j.findings = append(j.findings, Finding{kind, duty, step, sequence, expected, found})
}

type streamName struct{ scope, stream string }

// versions counts the events of streams. Most logs of a simulation have a few
// streams, which a list finds faster than a map.
type versions struct {
	few  []streamVersion
	many map[streamName]uint64 // instead, beyond fewStreams
}

type streamVersion struct {
	name    streamName
	version uint64
}

const fewStreams = 8

func (v *versions) of(name streamName) uint64 {
	for i := range v.few {
		if v.few[i].name == name {
			return v.few[i].version
		}
	}
	return v.many[name]
}

// next counts one more event, and returns its version.
func (v *versions) next(name streamName) uint64 {
	for i := range v.few {
		if v.few[i].name == name {
			v.few[i].version++
			return v.few[i].version
		}
	}
	if v.many == nil && len(v.few) < fewStreams {
		v.few = append(v.few, streamVersion{name, 1})
		return 1
	}
	if v.many == nil {
		v.many = make(map[streamName]uint64, 2*fewStreams)
		for _, known := range v.few {
			v.many[known.name] = known.version
		}
		v.few = nil
	}
	v.many[name]++
	return v.many[name]
}

// Judge is Compare, for a note Opened of the same events: what has been compared
// here is not compared there once more.
func (m *Model) Judge(events []engine.Event, lossy bool) *Judgement {
	j := &Judgement{model: m, events: events, lossy: lossy, owner: make([]int, len(events))}
	for i := range j.owner {
		j.owner[i] = -1
	}
	var room [fewStreams]streamVersion
	versions := versions{few: room[:0]}
	var strangerIDs map[uuid.UUID]uint64 // of events that no receipt tells of
	var strangerKeys map[string]uint64
	var strangers []int // indices of those events
	forgotten := false  // a lying disk lost what is known from here on
	var last time.Time

	for i := range events {
		found := &events[i]
		s := uint64(i) + 1
		if found.Sequence != s {
			j.add(Gap, NoDuty, 0, s, fmt.Sprintf("sequence %d", s), fmt.Sprintf("sequence %d, %s", found.Sequence, brief(found)))
			return j
		}
		name := streamName{found.Scope, found.Stream}
		version := versions.next(name)
		if found.Version != version {
			j.add(Gap, NoDuty, 0, s, fmt.Sprintf("version %d of stream %q/%q", version, found.Scope, found.Stream), fmt.Sprintf("version %d", found.Version))
			return j
		}
		// A batch of notes between the two has a time, too, which nobody sees here.
		noted := i > 0 && found.Batch > events[i-1].Batch+1 || i == 0 && found.Batch > 1
		if due := later(found.Clock, last); !found.Time.Equal(due) && !(noted && found.Time.After(due)) {
			expected := "the clock's time"
			if !due.Equal(found.Clock) {
				expected = "the time of the event before, which is ahead of the clock"
			}
			j.add(Time, NoDuty, 0, s, expected, "another time")
		}
		last = later(found.Time, last)

		e := m.entry(s)
		if e != nil && !forgotten && e.event.ID != found.ID {
			if !lossy && !e.shaky && m.comesBack(events, i) {
				j.add(Returned, NoDuty, 0, s, m.describe(e), "what an earlier Open left out, or a rollback undid: "+brief(found))
				return j
			}
			if !lossy && !e.shaky {
				kind := Replaced
				if m.duty(s) == NoDuty {
					kind = Order
				}
				j.add(kind, m.duty(s), e.step, s, m.describe(e), "another event: "+brief(found))
				return j
			}
			forgotten = lossy
			e = nil
		}
		if e != nil && !forgotten {
			if field, want, got := m.differs(e, found); field != "" {
				kind := Changed
				if field == "version" || field == "hash" || field == "batch number" {
					kind = Rehashed
				}
				j.add(kind, m.duty(s), e.step, s, fmt.Sprintf("%s with %s %s", m.describe(e), field, want), got)
			}
			if e.call >= 0 {
				j.owner[i] = e.call
				if c := m.calls.at(e.call); !e.seen && !within(found.Clock, c) {
					j.add(Time, NoDuty, e.step, s, "a clock reading between the call's start and its answer", "another")
				}
				continue
			}
			if s <= m.shown {
				// Nobody's since an earlier Open, which was judged then.
				continue
			}
		}

		// Nobody has told whose event this is.
		if known, ok := m.ids.get(string(found.ID[:])); ok && known != s && holdsID(events, known, found.ID) {
			j.add(Twice, NoDuty, 0, s, fmt.Sprintf("an id of its own, not that of event %d", known), brief(found))
			return j
		}
		if other, ok := strangerIDs[found.ID]; ok {
			j.add(Twice, NoDuty, 0, s, fmt.Sprintf("an id of its own, not that of event %d", other), brief(found))
			return j
		}
		if !lossy {
			if step, ok := m.gone.get(string(found.ID[:])); ok {
				j.add(Returned, NoDuty, step, s, "nothing that an Open left out, or a rollback undid", brief(found))
				return j
			}
		}
		if found.Key != "" {
			known, ok := m.keys.get(found.Key)
			if !ok || known == s || known > uint64(len(events)) || events[known-1].Key != found.Key {
				known, ok = strangerKeys[found.Key]
			}
			if ok {
				j.add(KeyTwice, NoDuty, 0, s, fmt.Sprintf("one effect of key %q, which is event %d", found.Key, known), brief(found))
				return j
			}
			if strangerKeys == nil {
				strangerKeys = make(map[string]uint64)
			}
			strangerKeys[found.Key] = s
		}
		if strangerIDs == nil {
			strangerIDs = make(map[uuid.UUID]uint64)
		}
		strangerIDs[found.ID] = s
		strangers = append(strangers, i)
	}

	m.assign(j, events, strangers, lossy)
	m.boundaries(j, events)
	m.ends(j, events, versions, lossy, forgotten)
	return j
}

// holdsID reports whether the event with this sequence has this id.
func holdsID(events []engine.Event, sequence uint64, id uuid.UUID) bool {
	return sequence <= uint64(len(events)) && events[sequence-1].ID == id
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// within reports whether a clock reading fits a call. A log may keep it to the
// millisecond only.
func within(clock time.Time, c *call) bool {
	return (c.after.IsZero() || !clock.Before(c.after.Truncate(time.Millisecond))) && (c.before.IsZero() || !clock.After(c.before))
}

// comesBack reports whether the batch at i is one that was left out or undone.
func (m *Model) comesBack(events []engine.Event, i int) bool {
	if _, ok := m.gone.get(string(events[i].ID[:])); ok {
		return true
	}
	group := batchAt(events, i)
	for k := range m.calls.length {
		if c := m.calls.at(k); c.state == LeftOut && c.fits(group) == whole {
			return true
		}
	}
	return false
}

// batchAt is the run of events from i on with the same batch number.
func batchAt(events []engine.Event, i int) []engine.Event {
	end := i + 1
	for end < len(events) && events[end].Batch == events[i].Batch {
		end++
	}
	return events[i:end]
}

// group is a batch in the log that no receipt tells of.
type group struct {
	at     int // index of the first event
	events []engine.Event
	owner  int // index in the list of candidates, or -1
}

// assign finds a call for every batch that no receipt tells of: one call a
// batch, one batch a call.
func (m *Model) assign(j *Judgement, events []engine.Event, strangers []int, lossy bool) {
	if len(strangers) == 0 {
		return
	}
	var groups []group
	for k := 0; k < len(strangers); {
		at := strangers[k]
		end := k + 1
		for end < len(strangers) && strangers[end] == strangers[end-1]+1 && events[strangers[end]].Batch == events[at].Batch {
			end++
		}
		groups = append(groups, group{at, events[at : strangers[end-1]+1], -1})
		k = end
	}
	candidates := m.open
	if lossy {
		candidates = nil
		for k := range m.calls.length {
			c := m.calls.at(k)
			known := c.first != 0 && c.first <= uint64(len(events)) && j.owner[c.first-1] == k
			if !known && c.state != Rejected && c.state != Failed && c.state != Hit {
				candidates = append(candidates, k)
			}
		}
	}
	may := func(g *group, c *call) bool {
		return c.fits(g.events) == whole && c.met(g.events) && !m.settled(c) && (lossy || uint64(g.at) >= c.floor) && g.within(c)
	}
	// Augmenting paths: a greedy choice could take the only call that a later
	// batch can have.
	taken := make([]int, len(candidates)) // 1 + index in groups
	var visited []bool
	var find func(k int) bool
	find = func(k int) bool {
		for i, index := range candidates {
			if visited[i] || !may(&groups[k], m.calls.at(index)) {
				continue
			}
			visited[i] = true
			if taken[i] == 0 || find(taken[i]-1) {
				taken[i], groups[k].owner = k+1, i
				return true
			}
		}
		return false
	}
	for k := range groups {
		visited = make([]bool, len(candidates))
		if !find(k) {
			m.blame(j, &groups[k], candidates, lossy)
		}
	}
	for _, g := range groups {
		for i := range g.events {
			if g.owner >= 0 {
				j.owner[g.at+i] = candidates[g.owner]
			}
		}
	}
}

// settled reports whether a call in flight is known to have had its effect.
func (m *Model) settled(c *call) bool {
	e := m.entry(c.first)
	return c.state.undecided() && e != nil && !e.shaky
}

func (g *group) within(c *call) bool {
	for i := range g.events {
		if !within(g.events[i].Clock, c) {
			return false
		}
	}
	return true
}

// blame says why a batch can be nobody's.
func (m *Model) blame(j *Judgement, g *group, candidates []int, lossy bool) {
	s := uint64(g.at) + 1
	found := briefBatch(g.events)
	for _, index := range candidates {
		c := m.calls.at(index)
		switch {
		case c.fits(g.events) == part:
			j.add(Half, NoDuty, c.step, s, fmt.Sprintf("all %d events of call %d, or none", len(c.batch.Events), c.id), fmt.Sprintf("%d: %s", len(g.events), found))
			return
		case c.fits(g.events) == whole && !c.met(g.events):
			j.add(Unmet, NoDuty, c.step, s, fmt.Sprintf("call %d to be refused: %s does not hold", c.id, c.expectations()), found)
			return
		case c.fits(g.events) == whole && uint64(g.at) < c.floor && !lossy:
			j.add(Order, NoDuty, c.step, s, fmt.Sprintf("call %d behind event %d, which was acknowledged before it started", c.id, c.floor), found)
			return
		}
	}
	// The latest call first: that is the one a person would look for.
	for _, want := range [...]fit{whole, part} {
		for k := m.calls.length - 1; k >= 0; k-- {
			c := m.calls.at(k)
			if c.fits(g.events) != want {
				continue
			}
			switch {
			case want == part:
				j.add(Half, NoDuty, c.step, s, fmt.Sprintf("all %d events of call %d, or none", len(c.batch.Events), c.id), fmt.Sprintf("%d: %s", len(g.events), found))
			case c.state == LeftOut && !lossy:
				j.add(Returned, NoDuty, c.step, s, fmt.Sprintf("nothing of call %d, which an Open left out or a rollback undid", c.id), found)
			case c.state == Rejected || c.state == Failed:
				j.add(Refused, NoDuty, c.step, s, fmt.Sprintf("nothing of call %d, which was %v", c.id, c.state), found)
			default:
				j.add(Twice, NoDuty, c.step, s, fmt.Sprintf("call %d at most once", c.id), "once more: "+found)
			}
			return
		}
	}
	j.add(Alien, NoDuty, 0, s, "only what was submitted", found)
}

// boundaries checks that batch numbers grow from call to call and only there.
func (m *Model) boundaries(j *Judgement, events []engine.Event) {
	for i := 1; i < len(events); i++ {
		before, now := events[i-1].Batch, events[i].Batch
		if now < before || now == before && j.owner[i] != j.owner[i-1] && j.owner[i] >= 0 && j.owner[i-1] >= 0 {
			j.add(Order, NoDuty, 0, uint64(i)+1, fmt.Sprintf("a batch number above %d", before), fmt.Sprintf("%d", now))
			return
		}
	}
}

// ends checks what should follow the last event.
func (m *Model) ends(j *Judgement, events []engine.Event, versions versions, lossy, forgotten bool) {
	n := uint64(len(events))
	next, last := m.entry(n+1), m.entry(n)
	if !forgotten && next != nil && last != nil && next.call >= 0 && next.call == last.call && holdsID(events, n, last.event.ID) {
		c := m.calls.at(next.call)
		j.add(Half, NoDuty, next.step, n+1, fmt.Sprintf("all %d events of call %d, or none", len(c.batch.Events), c.id), fmt.Sprintf("a log that ends behind item %d", last.item))
		return
	}
	if lossy {
		return
	}
	if n < m.Durable() {
		duty := m.duty(n + 1)
		expected, step := fmt.Sprintf("the events up to %d", m.Durable()), 0
		if next != nil {
			expected, step = m.describe(next), next.step
		}
		j.add(Missing, duty, step, n+1, expected, fmt.Sprintf("a log that ends with event %d", n))
		return
	}
	for _, o := range m.owed {
		if o.id == uuid.Nil && versions.of(streamName{o.scope, o.stream}) < o.version {
			j.add(Reason, NoDuty, o.step, 0, fmt.Sprintf("stream %q/%q at version %d, for which a call was refused", o.scope, o.stream, o.version), fmt.Sprintf("version %d", versions.of(streamName{o.scope, o.stream})))
		}
		if o.id != uuid.Nil && !slices.ContainsFunc(events, func(e engine.Event) bool { return e.ID == o.id }) {
			j.add(Reason, NoDuty, o.step, 0, "the event that has the key for which a call was refused", "none")
		}
	}
}

// fit says how a batch in the log compares to a call.
type fit uint8

const (
	foreign fit = iota
	part        // the events are some of the call's, in order
	whole
)

func (c *call) fits(events []engine.Event) fit {
	if len(events) == 0 || len(events) > len(c.batch.Events) {
		return foreign
	}
	if len(events) == len(c.batch.Events) {
		for i := range events {
			if !c.matches(i, events, i) {
				return foreign
			}
		}
		return whole
	}
	next := 0
	for i := range c.batch.Events {
		if next < len(events) && c.matches(i, events, next) {
			next++
		}
	}
	if next == len(events) {
		return part
	}
	return foreign
}

// matches reports whether events[at] is item i of the call.
func (c *call) matches(i int, events []engine.Event, at int) bool {
	found := &events[at]
	if found.Stream != c.batch.Events[i].Stream || !bytes.Equal(found.Data, c.batch.Events[i].Data) {
		return false
	}
	e := c.predict(i, receiptOf(found), func(j int) uuid.UUID {
		// In a whole batch the items stand side by side.
		if at-i+j >= 0 && len(events) == len(c.batch.Events) {
			return events[at-i+j].ID
		}
		return found.CausedBy
	})
	field, _, _ := difference(&e, found)
	return field == ""
}

// met reports whether what the drafts expect held.
func (c *call) met(events []engine.Event) bool {
	for i := range events {
		if !holds(c.batch.Events[i].Expect, events[i].Version-1) {
			return false
		}
	}
	return true
}

func (c *call) expectations() string {
	text := ""
	for i, d := range c.batch.Events {
		if d.Expect != engine.Any {
			text += fmt.Sprintf(", item %d: %v", i, d.Expect)
		}
	}
	return text[min(2, len(text)):]
}

// holds reports whether a stream at this version is what a draft expects.
func holds(expect engine.Expect, version uint64) bool {
	switch expect {
	case engine.Any:
		return true
	case engine.StreamExists:
		return version > 0
	default:
		return expect == engine.Exactly(version)
	}
}

// difference names the first field in which an event is not what it must be,
// with both values in words, or returns three empty strings.
func difference(e *entry, got *engine.Event) (field, wanted, found string) {
	want := &e.event
	if same(want, got) && (e.seen && want.CausedBy == got.CausedBy || e.cause == engine.ByID(got.CausedBy)) &&
		(!e.seen || want.Time.Equal(got.Time) && want.Clock.Equal(got.Clock)) {
		return "", "", ""
	}
	return explain(e, got)
}

// same compares all of two events but cause, times, sequence and Durable.
func same(want, got *engine.Event) bool {
	return want.Version == got.Version && want.Hash == got.Hash && want.Batch == got.Batch && want.ID == got.ID &&
		want.Scope == got.Scope && want.Stream == got.Stream && want.Type == got.Type &&
		bytes.Equal(want.Data, got.Data) && bytes.Equal(want.Metadata, got.Metadata) && sameExtensions(want.Extensions, got.Extensions) &&
		want.Key == got.Key && want.Correlation == got.Correlation &&
		want.Lane == got.Lane && want.Depth == got.Depth && want.Flags == got.Flags &&
		want.PayloadVersion == got.PayloadVersion && want.Erasable == got.Erasable
}

// differs is difference for an event that any of several calls with one key may
// have brought.
func (m *Model) differs(e *entry, got *engine.Event) (field, wanted, found string) {
	field, wanted, found = difference(e, got)
	if field == "" || e.seen {
		return field, wanted, found
	}
	for _, index := range e.rivals {
		r := m.calls.at(index).predict(e.item, receiptOf(&e.event), func(j int) uuid.UUID {
			if cause := m.entry(e.event.Sequence - uint64(e.item) + uint64(j)); cause != nil {
				return cause.event.ID
			}
			return uuid.Nil
		})
		if same, _, _ := difference(&r, got); same == "" {
			return "", "", ""
		}
	}
	return field, wanted, found
}

func sameExtensions(a, b map[string][]byte) bool {
	return len(a) == 0 && len(b) == 0 || maps.EqualFunc(a, b, bytes.Equal)
}

// explain is difference for events that differ.
func explain(e *entry, got *engine.Event) (field, wanted, found string) {
	want := &e.event
	texts := [...]struct {
		field     string
		want, got string
	}{
		{"scope", want.Scope, got.Scope}, {"stream", want.Stream, got.Stream}, {"type", want.Type, got.Type}, {"key", want.Key, got.Key},
	}
	for _, t := range texts {
		if t.want != t.got {
			return t.field, fmt.Sprintf("%q", t.want), fmt.Sprintf("%q", t.got)
		}
	}
	if !bytes.Equal(want.Data, got.Data) {
		return "payload", briefBytes(want.Data), briefBytes(got.Data)
	}
	if !bytes.Equal(want.Metadata, got.Metadata) {
		return "metadata", briefBytes(want.Metadata), briefBytes(got.Metadata)
	}
	if !sameExtensions(want.Extensions, got.Extensions) {
		return "extensions", briefExtensions(want.Extensions), briefExtensions(got.Extensions)
	}
	numbers := [...]struct {
		field     string
		want, got uint64
	}{
		{"lane", uint64(want.Lane), uint64(got.Lane)}, {"depth", uint64(want.Depth), uint64(got.Depth)},
		{"flags", uint64(want.Flags), uint64(got.Flags)}, {"payload version", uint64(want.PayloadVersion), uint64(got.PayloadVersion)},
		{"erasable", flag(want.Erasable), flag(got.Erasable)},
		{"version", want.Version, got.Version}, {"batch number", want.Batch, got.Batch},
	}
	for _, n := range numbers {
		if n.want != n.got {
			return n.field, fmt.Sprint(n.want), fmt.Sprint(n.got)
		}
	}
	switch {
	case want.ID != got.ID:
		return "id", "as in its receipt", "another id"
	case want.Correlation != got.Correlation:
		return "correlation", "as submitted", "another one"
	case want.Hash != got.Hash:
		return "hash", "as in its receipt", "another hash"
	case e.seen && !want.Clock.Equal(got.Clock):
		return "clock", "as shown before", "another reading"
	case e.seen && !want.Time.Equal(got.Time):
		return "time", "as shown before", "another time"
	default:
		return "cause", "as submitted", "another one"
	}
}

// Difference names the first field in which two events differ, with both
// values in words; three empty strings mean that they are equal. Durable is
// not looked at.
func Difference(want, got *engine.Event) (field, wanted, found string) {
	if want.Sequence != got.Sequence {
		return "sequence", fmt.Sprint(want.Sequence), fmt.Sprint(got.Sequence)
	}
	if same(want, got) && want.CausedBy == got.CausedBy && want.Time.Equal(got.Time) && want.Clock.Equal(got.Clock) {
		return "", "", ""
	}
	return explain(&entry{event: *want, seen: true}, got)
}

func briefBytes(b []byte) string {
	if len(b) > 12 {
		return fmt.Sprintf("%d B %x…", len(b), b[:12])
	}
	return fmt.Sprintf("%d B %x", len(b), b)
}

func briefExtensions(m map[string][]byte) string {
	text := "{"
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q: %s", name, briefBytes(m[name]))
	}
	return text + "}"
}

// brief is an event in one line.
func brief(e *engine.Event) string {
	text := fmt.Sprintf("%q/%q version %d, type %q, payload %s", e.Scope, e.Stream, e.Version, e.Type, briefBytes(e.Data))
	if e.Key != "" {
		text += fmt.Sprintf(", key %q", e.Key)
	}
	return text
}

func briefBatch(events []engine.Event) string {
	text := brief(&events[0])
	if len(events) > 1 {
		text += fmt.Sprintf("; and %d more", len(events)-1)
	}
	return text
}

// describe is a known event in one line, by the call that brought it.
func (m *Model) describe(e *entry) string {
	if e.call < 0 {
		return "the event that was shown: " + brief(&e.event)
	}
	return m.describeItem(m.calls.at(e.call), e.item)
}

func (m *Model) describeItem(c *call, item int) string {
	return fmt.Sprintf("item %d of call %d", item, c.id)
}
