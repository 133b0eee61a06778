package engine

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// Get returns the event with this id. The error matches ErrNotFound if the log
// does not show one.
func (l *Log) Get(id uuid.UUID) (Event, error) {
	l.mu.Lock()
	ordinal, ok := l.index.ByID(id)
	ok = ok && l.index.Sequence(ordinal) <= l.visible
	l.mu.Unlock()
	if !ok {
		return Event{}, fmt.Errorf("engine: get %v: %w", id, ErrNotFound)
	}
	event, _, err := l.readEvent(ordinal, nil)
	if err != nil {
		return Event{}, fmt.Errorf("engine: get %v: %w", id, err)
	}
	return event, nil
}

// ReceiptOf returns the receipt of the event with this idempotency key. Item i
// of a batch with key k has the key "k/i". The error matches ErrNotFound if the
// log does not show one.
func (l *Log) ReceiptOf(key string) (Receipt, error) {
	l.mu.Lock()
	ordinal, ok := l.index.ByKey(key)
	ok = ok && l.index.Sequence(ordinal) <= l.visible
	durable := l.durable.sequence
	l.mu.Unlock()
	if !ok {
		return Receipt{}, fmt.Errorf("engine: receipt of key %q: %w", key, ErrNotFound)
	}
	event, position, err := l.readEvent(ordinal, nil)
	if err != nil {
		return Receipt{}, fmt.Errorf("engine: receipt of key %q: %w", key, err)
	}
	return receiptOf(&event, position, durable), nil
}

func receiptOf(e *Event, position Position, durable uint64) Receipt {
	return Receipt{
		ID: e.ID, Scope: e.Scope, Stream: e.Stream,
		Sequence: e.Sequence, Version: e.Version, Batch: e.Batch, Hash: e.Hash,
		Durable: e.Sequence <= durable, Position: position,
	}
}

// Read yields the events that a query selects, up to the visible frontier of
// its start. On an error it yields that once and stops; after a *CorruptError a
// query that begins behind it goes on.
func (l *Log) Read(q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if q.Stream == "" && (q.FromVersion != 0 || q.ToVersion != 0) {
			yield(Event{}, fmt.Errorf("engine: read: %w: FromVersion and ToVersion need a Stream", ErrInvalid))
			return
		}
		ordinals, types := l.selection(&q), q.Types
		var w window
		yielded := 0
		for i := range ordinals.len() {
			if q.Limit > 0 && yielded == q.Limit {
				return
			}
			if q.Backward {
				i = ordinals.len() - 1 - i
			}
			event, _, err := l.readEvent(ordinals.at(i), &w)
			if err != nil {
				yield(Event{}, fmt.Errorf("engine: read: %w", err))
				return
			}
			if len(types) > 0 && !slices.Contains(types, event.Type) ||
				q.FromVersion > event.Version || q.ToVersion > 0 && q.ToVersion < event.Version {
				continue
			}
			yielded++
			if !yield(event, nil) {
				return
			}
		}
	}
}

// ordinals is a run of ordinals, or a list.
type ordinals struct {
	from, to uint64
	list     []uint64
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
	bound := l.visible
	if q.Buffered {
		bound = l.written.sequence
	}
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

// between cuts a sorted list to what is at least from and less than to.
func between(list []uint64, from, to uint64) []uint64 {
	i := sort.Search(len(list), func(i int) bool { return list[i] >= from })
	j := sort.Search(len(list), func(j int) bool { return list[j] >= to })
	return list[i:max(i, j)]
}

// window is what a sequential reader has read ahead.
type window struct {
	segment *segmentFile
	offset  int64
	bytes   []byte
	next    int // how much is read at once when the next event is not in it
}

const mostAhead = 256 << 10

// readEvent reads the event with this ordinal.
func (l *Log) readEvent(ordinal uint64, w *window) (Event, Position, error) {
	raw, where, err := l.readRecord(ordinal, w)
	if err != nil {
		return Event{}, where.position(), err
	}
	event, err := eventOf(&raw, where.sequence(), where.batch)
	if err != nil {
		return Event{}, where.position(), where.damaged("its extensions", err)
	}
	event.Durable = event.Sequence <= where.durable
	return event, where.position(), nil
}

// place is what the index knows of one event, at one moment.
type place struct {
	entry   index.Entry
	batch   index.Batch
	durable uint64
}

func (p *place) sequence() uint64 { return p.batch.First + uint64(p.entry.Item) }

func (p *place) position() Position {
	return Position{Segment: uint64(p.entry.Segment), Offset: int64(p.entry.Offset)}
}

func (p *place) damaged(reason string, err error) error {
	return &CorruptError{
		Segment: uint64(p.entry.Segment), Offset: int64(p.entry.Offset), Sequence: p.sequence(),
		Where: "interior", Reason: reason, Err: err,
	}
}

// readRecord reads the event with this ordinal as it is stored.
func (l *Log) readRecord(ordinal uint64, w *window) (record.Event, place, error) {
	for {
		l.mu.Lock()
		where := place{entry: l.index.Entry(ordinal), batch: l.index.BatchOf(ordinal), durable: l.durable.sequence}
		l.mu.Unlock()
		raw, err := l.readAtPlace(&where, w)
		if err == nil {
			return raw, where, nil
		}
		// A fresh segment may have taken over meanwhile.
		l.mu.Lock()
		moved := l.index.Entry(ordinal) != where.entry
		l.mu.Unlock()
		if !moved {
			return record.Event{}, where, err
		}
	}
}

func (l *Log) readAtPlace(where *place, w *window) (record.Event, error) {
	entry := &where.entry
	s, file, err := l.acquire(entry.Segment)
	if err != nil {
		return record.Event{}, err
	}
	defer l.release(s)
	bytes := make([]byte, entry.Length)
	if err := l.readInto(s, file, bytes, int64(entry.Offset), w); errors.Is(err, io.ErrUnexpectedEOF) {
		return record.Event{}, where.damaged("the file ends too early", nil)
	} else if err != nil {
		return record.Event{}, fmt.Errorf("segment %d: %w", s.number, err)
	}
	raw, reason := segment.ReadItem(bytes, s.place, int64(entry.Offset), where.batch.Session, entry.Item)
	if reason != "" {
		return record.Event{}, where.damaged(reason, nil)
	}
	return raw, nil
}

// readInto fills bytes from the file, through the window if there is one.
func (l *Log) readInto(s *segmentFile, file afero.File, bytes []byte, offset int64, w *window) error {
	if w == nil {
		return readAt(file, bytes, offset)
	}
	size := int64(len(bytes))
	if w.segment != s || offset < w.offset || offset+size > w.offset+int64(len(w.bytes)) {
		follows := w.segment == s && offset >= w.offset
		w.next = min(2*w.next, mostAhead)
		if !follows || w.next == 0 {
			w.next = len(bytes)
		}
		l.mu.Lock()
		ahead := min(int64(w.next), s.end-offset)
		l.mu.Unlock()
		if ahead <= size {
			w.segment, w.offset, w.bytes = s, offset, w.bytes[:0]
			return readAt(file, bytes, offset)
		}
		if int64(cap(w.bytes)) < ahead {
			w.bytes = make([]byte, ahead)
		}
		w.segment, w.offset, w.bytes = s, offset, w.bytes[:ahead]
		if err := readAt(file, w.bytes, offset); err != nil {
			// What is wrong may be behind the event.
			*w = window{}
			return readAt(file, bytes, offset)
		}
	}
	copy(bytes, w.bytes[offset-w.offset:])
	return nil
}

// eventOf makes an Event of a record. It shares its bytes.
func eventOf(e *record.Event, sequence uint64, b index.Batch) (Event, error) {
	event := Event{
		ID: e.ID, Sequence: sequence, Version: e.Version, Batch: b.Number,
		Scope: e.Scope, Stream: e.Stream, Type: e.Type,
		Time: timeOf(b.Time, 1), Clock: timeOf(b.Clock, 1),
		Data: e.Payload, Metadata: e.Metadata,
		Key: e.Key, CausedBy: e.CausedBy, Correlation: e.Correlation,
		Lane: e.Lane, Depth: e.Depth, Flags: e.Flags,
		PayloadVersion: e.PayloadVersion, Erasable: e.Erasable, Hash: e.Hash,
	}
	if len(e.Extensions) > 0 {
		var err error
		event.Extensions, err = record.DecodeExtensions(e.Extensions)
		if err != nil {
			return Event{}, err
		}
	}
	return event, nil
}

// Head returns the state of a stream, as far as it is visible.
func (l *Log) Head(scope, stream string) Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.headLocked(index.Name{Scope: scope, Stream: stream})
}

func (l *Log) headLocked(name index.Name) Head {
	if head, ok := l.shadow[name]; ok {
		return head
	}
	s, ok := l.index.Stream(name)
	head := Head{Scope: name.Scope, Stream: name.Stream, Version: s.Version, Hash: s.Hash}
	if ok {
		head.Sequence = l.index.Sequence(s.Ordinals[len(s.Ordinals)-1])
	}
	return head
}

// shadowLocked keeps the visible head of a stream that is about to get an
// event which is not visible yet.
func (l *Log) shadowLocked(name index.Name) {
	if _, ok := l.shadow[name]; !ok {
		l.shadow[name] = l.headLocked(name)
	}
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
	var scopes []string
	for _, name := range l.index.Names(func(index.Name) bool { return true }) {
		if l.headLocked(name).Version > 0 && (len(scopes) == 0 || scopes[len(scopes)-1] != name.Scope) {
			scopes = append(scopes, name.Scope)
		}
	}
	return scopes
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
