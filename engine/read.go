package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// Get returns the event with this id. The error matches ErrNotFound if the log
// does not show one.
func (l *Log) Get(id uuid.UUID) (Event, error) {
	ordinal, err := l.visibleBy(func() (uint64, bool) { return l.index.ByID(id) })
	if err != nil {
		return Event{}, fmt.Errorf("engine: get %v: %w", id, err)
	}
	event, err := l.event(ordinal)
	if err != nil {
		return Event{}, fmt.Errorf("engine: get %v: %w", id, err)
	}
	return event, nil
}

// At returns the event with this sequence. The error matches ErrNotFound if the log
// does not show one.
func (l *Log) At(sequence uint64) (Event, error) {
	ordinal, err := l.visibleBy(func() (uint64, bool) {
		ordinal := l.index.Ceiling(sequence)
		return ordinal, ordinal < l.index.Len() && l.index.Sequence(ordinal) == sequence
	})
	if err != nil {
		return Event{}, fmt.Errorf("engine: event %d: %w", sequence, err)
	}
	event, err := l.event(ordinal)
	if err != nil {
		return Event{}, fmt.Errorf("engine: event %d: %w", sequence, l.recoveredOr(err))
	}
	return event, nil
}

// event reads the event with an ordinal.
func (l *Log) event(ordinal uint64) (event Event, err error) {
	r := l.reader()
	defer l.giveBack(r)
	if err := r.read(ordinal, ordinal); err != nil {
		return Event{}, err
	}
	err = r.event(&event, false)
	return event, err
}

// visibleBy looks the ordinal of one event up, with the mutex held. The error is
// ErrNotFound if the log does not show it.
func (l *Log) visibleBy(look func() (ordinal uint64, ok bool)) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ordinal, ok := look()
	if !ok || l.index.Sequence(ordinal) > l.visible {
		return 0, ErrNotFound
	}
	return ordinal, nil
}

// ReceiptOf returns the receipt of the event with this idempotency key. Item i
// of a batch with key k has the key "k/i". The error matches ErrNotFound if the
// log does not show one.
func (l *Log) ReceiptOf(key string) (Receipt, error) {
	ordinal, err := l.visibleBy(func() (uint64, bool) { return l.index.ByKey(key) })
	if err != nil {
		return Receipt{}, fmt.Errorf("engine: receipt of key %q: %w", key, err)
	}
	r := l.reader()
	defer l.giveBack(r)
	if err := r.read(ordinal, ordinal); err != nil {
		return Receipt{}, fmt.Errorf("engine: receipt of key %q: %w", key, err)
	}
	return r.receipt(), nil
}

// Read yields the events that a query selects, up to the visible frontier of
// its start. On an error it yields that once and stops; after a *CorruptError a
// query that begins behind it goes on.
func (l *Log) Read(q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if m := l.opts.Metrics; m != nil && m.Read != nil {
			stats, events := l.readBegins(), yield
			yield = func(event Event, err error) bool { // made here: elsewhere each read would allocate it
				stats.count(&event, err)
				return events(event, err)
			}
			defer l.readEnds(&stats)
		}
		fail := func(err error) { yield(Event{}, fmt.Errorf("engine: read: %w", err)) }
		if err := q.check(); err != nil {
			fail(err)
			return
		}
		if err := l.read(&q, func(event Event) bool { return yield(event, nil) }); err != nil {
			fail(err)
		}
	}
}

// read yields what a query selects.
func (l *Log) read(q *Query, yield func(Event) bool) error {
	selected := l.selection(q)
	all := selected.len()
	filter := len(q.Types) > 0 || q.FromVersion > 0 || q.ToVersion > 0 || selected.otherScopes
	if !filter && q.Limit > 0 {
		all = min(all, q.Limit)
	}
	r := l.reader()
	defer l.giveBack(r)
	yielded := 0
	var event Event
	for i := range all {
		if q.Limit > 0 && yielded == q.Limit {
			return nil
		}
		at, last := i, all-1
		if q.Backward {
			at, last = selected.len()-1-i, selected.len()-all
		}
		if err := r.read(selected.at(at), selected.at(last)); err != nil {
			return err
		}
		if e := &r.raw; filter && !q.selects(e.Scope, e.Stream, e.Type, e.Version) {
			continue
		}
		if err := r.event(&event, q.Borrow); err != nil {
			return err
		}
		yielded++
		if !yield(event) {
			return nil
		}
	}
	return nil
}

// ordinals is a run of ordinals, or a list.
type ordinals struct {
	from, to    uint64
	list        []uint64
	otherScopes bool // has events of other scopes than was asked for
}

func (o *ordinals) len() int {
	if o.list != nil {
		return len(o.list)
	}
	return int(o.to - o.from)
}

func (o *ordinals) at(i int) uint64 {
	if o.list != nil {
		return o.list[i]
	}
	return o.from + uint64(i)
}

// selection returns what a query selects by place; its types are not looked at.
func (l *Log) selection(q *Query) ordinals {
	l.mu.Lock()
	defer l.mu.Unlock()
	bound := l.boundLocked(q.Buffered)
	if q.ToSequence > 0 {
		bound = min(bound, q.ToSequence)
	}
	all := ordinals{from: l.index.Ceiling(q.FromSequence), to: l.index.Ceiling(bound + 1)}
	all.to = max(all.from, all.to)
	name := index.Name{Scope: q.Scope, Stream: q.Stream}
	switch {
	case q.Stream != "":
		stream, _ := l.index.Stream(name)
		return ordinals{list: between(stream.Ordinals, all.from, all.to)}
	case q.Scope != "" && all.len() <= fewEvents:
		all.otherScopes = true
	case q.Scope != "":
		var list []uint64
		for _, name := range l.index.Names(func(n index.Name) bool { return n.Scope == q.Scope }) {
			stream, _ := l.index.Stream(name)
			list = append(list, between(stream.Ordinals, all.from, all.to)...)
		}
		slices.Sort(list)
		return ordinals{list: list}
	}
	return all
}

// boundLocked is the sequence up to which events can be read.
func (l *Log) boundLocked(buffered bool) uint64 {
	if buffered && l.failed == nil {
		return l.written.sequence
	}
	return l.visible
}

// fewEvents are read faster than the streams of a scope are looked through.
const fewEvents = 64

// between cuts a sorted list to what is at least from and less than to.
func between(list []uint64, from, to uint64) []uint64 {
	i := sort.Search(len(list), func(i int) bool { return list[i] >= from })
	j := sort.Search(len(list), func(j int) bool { return list[j] >= to })
	return list[i:max(i, j)]
}

// reader reads events, one at a time, and reads ahead. It belongs to one call.
type reader struct {
	log *Log

	// What was read last, an event or a note; its bytes are valid until the next.
	raw   record.Event
	noted record.Note
	where place

	// The window: what has been read of one segment.
	segment *segmentFile // nil: nothing
	offset  int64
	bytes   []byte
	ahead   int64 // how much was worth reading at once

	hasher chain.Hasher

	scanner segment.Scanner // for those who read whole segments, and for its names
	shelf   shelf           // where the room for both comes from
}

const (
	firstAhead = 16 << 10
	mostAhead  = 256 << 10
	keptWindow = 64 << 10 // a larger one is not kept for the next call
)

// reader returns a reader for one call, which gives it back.
func (l *Log) reader() *reader {
	l.mu.Lock()
	r := l.spare
	l.spare = nil
	l.mu.Unlock()
	if r == nil {
		r = new(reader)
		r.shelf.on = l.opts.Room != nil
		r.scanner.Take = r.shelf.take
	}
	r.log = l
	return r
}

// giveBack keeps a reader's room for the next call, and nothing of what it read.
func (l *Log) giveBack(r *reader) {
	r.forget()
	r.raw, r.noted = record.Event{}, record.Note{}
	if cap(r.bytes) > keptWindow || r.scanner.Room() > keptWindow {
		r.bytes = nil
		r.scanner.Recycle()
	}
	l.mu.Lock()
	l.spare = r
	l.mu.Unlock()
}

// forget empties the window, so that what follows is read from the disk.
func (r *reader) forget() { r.segment, r.bytes, r.ahead = nil, r.bytes[:0], 0 }

// place is what the index knows of one event or note, at one moment.
type place struct {
	note    bool
	entry   index.Entry
	batch   index.Batch
	durable uint64 // sequence, or batch of a note, up to which all is durable
}

// sequence is that of the event, or of the first one behind a note's batch.
func (p *place) sequence() uint64 {
	if p.note {
		return p.batch.First + uint64(p.batch.Events)
	}
	return p.batch.First + uint64(p.entry.Item)
}

func (p *place) position() Position {
	return Position{Segment: uint64(p.entry.Segment), Offset: int64(p.entry.Offset)}
}

func (p *place) damaged(reason string, err error) error {
	return &CorruptError{
		Segment: uint64(p.entry.Segment), Offset: int64(p.entry.Offset), Sequence: p.sequence(),
		Where: "interior", Reason: reason, Err: err,
	}
}

// read reads the event with an ordinal. The caller will go on to the ordinal
// last, in that direction: so far is worth reading ahead.
func (r *reader) read(ordinal, last uint64) error { return r.item(ordinal, last, false) }

// readNote is read for notes.
func (r *reader) readNote(ordinal, last uint64) error { return r.item(ordinal, last, true) }

func (r *reader) item(ordinal, last uint64, note bool) error {
	l := r.log
	for {
		l.mu.Lock()
		entry := l.entryLocked(ordinal, note)
		r.where.note, r.where.entry = note, entry
		if b := &r.where.batch; note {
			*b, r.where.durable = l.index.BatchOfNote(ordinal), l.durable.batch
		} else {
			// A batch never changes, so that of the event before may be that of this one.
			if ordinal < b.Ordinal || ordinal-b.Ordinal >= uint64(b.Events) {
				*b = l.index.BatchOf(ordinal)
			}
			r.where.durable = l.durable.sequence
		}
		s := l.segments[uint64(entry.Segment)]
		from, to := int64(entry.Offset), int64(entry.Offset)+int64(entry.Length)
		if last != ordinal && !r.has(s, from, to) {
			end := l.entryLocked(last, note)
			here := end.Segment == entry.Segment
			switch {
			case last > ordinal && here:
				to = int64(end.Offset) + int64(end.Length)
			case last > ordinal:
				to = max(to, s.end)
			case here:
				from = int64(end.Offset)
			default:
				from = record.DataStart
			}
		}
		l.mu.Unlock()
		err := r.readHere(s, from, to, last < ordinal)
		if err == nil {
			return nil
		}
		// A fresh segment may have taken over meanwhile.
		r.forget()
		l.mu.Lock()
		moved := l.entryLocked(ordinal, note) != entry
		l.mu.Unlock()
		if !moved {
			return l.recoveredOr(err)
		}
	}
}

func (l *Log) entryLocked(ordinal uint64, note bool) index.Entry {
	if note {
		return l.index.NoteEntry(ordinal)
	}
	return l.index.Entry(ordinal)
}

// readHere reads the item where the index says, and what follows it, or comes
// before it, up to the end of a range.
func (r *reader) readHere(s *segmentFile, from, to int64, backward bool) error {
	entry := &r.where.entry
	offset, size := int64(entry.Offset), int64(entry.Length)
	if !r.has(s, offset, offset+size) {
		if err := r.fill(s, from, to, backward); err != nil {
			return err
		}
	}
	at := offset - r.offset
	bytes, reason := r.bytes[at:at+size:at+size], ""
	if r.where.note {
		r.noted, reason = segment.ReadNote(bytes, r.segment.place, offset, r.where.batch.Session, entry.Item)
	} else {
		reason = segment.ReadItem(&r.raw, bytes, r.segment.place, offset, r.where.batch.Session, entry.Item, r.scanner.Names())
	}
	if reason != "" {
		return r.where.damaged(reason, nil)
	}
	return nil
}

// has reports whether bytes of a segment are in the window.
func (r *reader) has(s *segmentFile, from, to int64) bool {
	return r.segment == s && from >= r.offset && to <= r.offset+int64(len(r.bytes))
}

// fill reads the event into the window, and ahead what of the range from … to
// seems worth it: the more, the longer the run of reads.
func (r *reader) fill(s *segmentFile, from, to int64, backward bool) error {
	entry := &r.where.entry
	offset, size := int64(entry.Offset), int64(entry.Length)
	reach := max(r.ahead, firstAhead)
	switch {
	case r.segment != s:
		r.ahead = firstAhead
	case offset < r.offset+2*reach && offset+size > r.offset-reach:
		r.ahead = min(2*reach, mostAhead)
	default:
		r.ahead = 0 // the events wanted lie far apart
	}
	if ahead := max(size, r.ahead); backward {
		from, to = max(from, offset+size-ahead), offset+size
	} else {
		from, to = offset, min(to, offset+ahead)
	}
	s, file, err := r.log.acquire(entry.Segment)
	if err != nil {
		return err
	}
	defer r.log.release(s)
	r.segment = s
	err = r.load(file, from, to)
	if err != nil && to-from > size {
		// What is wrong may be beside the event.
		err = r.load(file, offset, offset+size)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return r.where.damaged("the file ends too early", nil)
	case err != nil:
		return fmt.Errorf("segment %d: %w", s.number, err)
	}
	return nil
}

// load reads from … to of a file into the window.
func (r *reader) load(file afero.File, from, to int64) error {
	size := int(to - from)
	if cap(r.bytes) < size {
		r.bytes = r.scanner.Release()
	}
	if cap(r.bytes) < size {
		r.bytes = r.shelf.take(size)
	}
	r.offset, r.bytes = from, r.bytes[:size]
	return readAt(file, r.bytes, from)
}

// event fills in the event that was read, with bytes of its own unless it may
// borrow the reader's.
func (r *reader) event(event *Event, borrow bool) error {
	e, b := &r.raw, &r.where.batch
	*event = Event{
		ID: e.ID, Sequence: r.where.sequence(), Version: e.Version, Batch: b.Number,
		Scope: e.Scope, Stream: e.Stream, Type: e.Type,
		Time: timeOf(b.Time, 1), Clock: timeOf(b.Clock, 1),
		Key: e.Key, CausedBy: e.CausedBy, Correlation: e.Correlation,
		Lane: e.Lane, Depth: e.Depth, Flags: e.Flags,
		PayloadVersion: e.PayloadVersion, Erasable: e.Erasable, Erased: e.Erased, Hash: e.Hash,
	}
	event.Durable = event.Sequence <= r.where.durable
	if borrow {
		event.Data, event.Metadata = slices.Clip(e.Payload), slices.Clip(e.Metadata)
	} else {
		event.Data, event.Metadata = own(e.Payload), own(e.Metadata)
	}
	if len(e.Extensions) > 0 {
		var err error
		if event.Extensions, err = record.DecodeExtensions(own(e.Extensions)); err != nil {
			return r.where.damaged("its extensions", err)
		}
	}
	return nil
}

// own copies bytes; unlike slices.Clone it leaves no room behind them.
func own(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	c := make([]byte, len(b))
	copy(c, b)
	return c
}

// receipt is that of the event that was read.
func (r *reader) receipt() Receipt {
	e, sequence := &r.raw, r.where.sequence()
	return Receipt{
		ID: e.ID, Scope: e.Scope, Stream: e.Stream,
		Sequence: sequence, Version: e.Version, Batch: r.where.batch.Number, Hash: e.Hash,
		Durable: sequence <= r.where.durable, Position: r.where.position(),
	}
}

// Head returns the state of a stream, as far as it is visible.
func (l *Log) Head(scope, stream string) Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.headLocked(index.Name{Scope: scope, Stream: stream})
}

func (l *Log) headLocked(name index.Name) Head {
	s := l.index.Shown(name)
	head := Head{Scope: name.Scope, Stream: name.Stream, Version: s.Version, Hash: s.Hash}
	if len(s.Ordinals) > 0 {
		head.Sequence = l.index.Sequence(s.Ordinals[len(s.Ordinals)-1])
	}
	return head
}

// Streams returns the heads of all streams of a scope that have a visible
// event, sorted by name.
func (l *Log) Streams(scope string) []Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	var heads []Head
	for _, name := range l.index.Names(func(n index.Name) bool { return n.Scope == scope }) {
		if head := l.headLocked(name); head.Version > 0 {
			heads = append(heads, head)
		}
	}
	return heads
}

// Scopes returns the names of all scopes that have a visible event, sorted.
func (l *Log) Scopes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]bool{}
	for name := range l.index.AllNames() {
		if !seen[name.Scope] && l.index.Shown(name).Version > 0 {
			seen[name.Scope] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Heads yields the head of each stream that has a visible event, sorted by scope
// and name, of all scopes: one by one, so that a log with a million streams can be
// listed. A head is of when it is yielded; a stream that comes meanwhile is left out.
func (l *Log) Heads() iter.Seq[Head] {
	return func(yield func(Head) bool) {
		l.mu.Lock()
		names := slices.AppendSeq(make([]index.Name, 0, l.index.Streams()), l.index.AllNames())
		l.mu.Unlock()
		slices.SortFunc(names, func(a, b index.Name) int {
			return cmp.Or(strings.Compare(a.Scope, b.Scope), strings.Compare(a.Stream, b.Stream))
		})
		for _, name := range names {
			l.mu.Lock()
			head := l.headLocked(name)
			l.mu.Unlock()
			if head.Version > 0 && !yield(head) {
				return
			}
		}
	}
}

// LogHead returns the head of the log behind its last durable batch.
func (l *Log) LogHead() LogHead {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.logHead()
}

func (p point) logHead() LogHead {
	if p.batch == 0 {
		return LogHead{}
	}
	return LogHead{Batch: p.batch, Sequence: p.sequence, Time: timeOf(p.time, 1), Hash: p.head}
}
