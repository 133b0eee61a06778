package engine

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// WholeBatch is a batch as its log has it: with all that the log head binds, so that
// another log can take it over, and nothing of where it lies. Batches yields them, and
// Apply takes them.
//
//	log ─▶ Batches ─▶ WholeBatch ─▶ … a file, a network … ─▶ Apply ─▶ the same log, elsewhere
//	                                                       └▶ Adopt ─▶ another log
type WholeBatch struct {
	Number   uint64    // 1, 2, 3 … over the log
	Sequence uint64    // of its first event, or the next one if it has notes only
	Time     time.Time // of all its events
	Clock    time.Time // what the clock said
	Events   []WholeEvent
	Notes    []Note // the log's own, too: cursors, denials, signatures
	Head     Hash   // the log head behind it
}

// WholeEvent is an event with what else its hash depends on.
type WholeEvent struct {
	Event
	Salt        []byte // 16 bytes, if Erasable and not Erased
	ContentHash Hash   // if Erased, what the hash of its content was
}

// Batches yields the durable batches of the log, whole, from a number on, up to the last
// one that is durable when it begins. Those who want more come again: from the number
// behind the last one. It holds one batch at a time, and calls of other methods go on
// meanwhile. What it yields is the caller's to keep and change.
//
// It computes the head of every batch from what it read, but not the hashes of the
// events: Verify does, and Apply. On an error, a *CorruptError where something is
// damaged, it yields that once and stops. Of a log that Options.Salvage has opened it
// yields what is whole: there numbers may be missing.
//
// On a log that is open read-only, Refresh looks for batches that have come since.
func (l *Log) Batches(from uint64) iter.Seq2[WholeBatch, error] {
	return func(yield func(WholeBatch, error) bool) {
		r := l.reader()
		defer l.giveBack(r)
		w := wholeReader{reader: r}
		l.mu.Lock()
		until := l.durable.batch
		w.last, w.lastNote = l.index.Ceiling(l.durable.sequence+1)-1, l.index.FirstNote(until+1)-1
		l.mu.Unlock()
		for number := max(from, 1); number <= until && number > 0; number++ {
			b, err := w.read(number)
			if err != nil {
				yield(WholeBatch{}, fmt.Errorf("engine: read batch %d: %w", number, err))
				return
			}
			number = b.Number // in a damaged log
			if !yield(b, nil) {
				return
			}
		}
	}
}

// HeadAt returns the log's head behind a durable batch, as LogHead has told it then.
// That of batch 0 has the hash that a log with this id begins with: without an id, in a
// log open read-only that is empty, it is zero. The error matches ErrNotFound if the
// log has no such batch, or if it is not durable.
func (l *Log) HeadAt(batch uint64) (LogHead, error) {
	fail := func(err error) (LogHead, error) {
		return LogHead{}, fmt.Errorf("engine: the head of batch %d: %w", batch, err)
	}
	l.mu.Lock()
	durable, id := l.durable.batch, l.logID
	l.mu.Unlock()
	switch {
	case batch == 0 && id == [16]byte{}:
		return LogHead{}, nil
	case batch == 0:
		return LogHead{Hash: chain.LogRoot(id)}, nil
	case batch > durable:
		return fail(ErrNotFound)
	}
	r := l.reader()
	defer l.giveBack(r)
	p, err := r.pointAt(batch)
	if err != nil {
		return fail(err)
	}
	return p.logHead(), nil
}

// wholeReader reads whole batches, one after the other.
type wholeReader struct {
	*reader
	last, lastNote uint64 // ordinals up to which it will go on, if there are any
	before         point  // behind the batch that was read last, or zero
	hashes         []chain.Hash
	records        [][]byte
}

// read reads the batch with a number, or the next one if that is missing.
func (w *wholeReader) read(number uint64) (WholeBatch, error) {
	l := w.log
	l.mu.Lock()
	b := l.index.BatchNumbered(number)
	until := l.index.FirstNote(b.Number + 1)
	l.mu.Unlock()
	whole := WholeBatch{Number: b.Number, Sequence: b.First, Time: timeOf(b.Time, 1), Clock: timeOf(b.Clock, 1)}
	if b.Events > 0 {
		whole.Events = make([]WholeEvent, b.Events)
	}
	w.hashes, w.records = w.hashes[:0], w.records[:0]
	for i := range whole.Events {
		if err := w.reader.read(b.Ordinal+uint64(i), w.last); err != nil {
			return WholeBatch{}, err
		}
		if err := w.whole(&whole.Events[i]); err != nil {
			return WholeBatch{}, err
		}
		w.hashes = append(w.hashes, w.raw.Hash)
	}
	for i := uint64(b.Note); i < until; i++ {
		if err := w.readNote(i, w.lastNote); err != nil {
			return WholeBatch{}, err
		}
		note := w.note()
		whole.Notes = append(whole.Notes, note)
		w.records = append(w.records, (&record.Note{Name: note.Name, Data: note.Data}).AppendRecord(nil))
	}
	head, err := w.head(b)
	if err != nil {
		return WholeBatch{}, err
	}
	whole.Head = head
	return whole, w.check(b, head)
}

// check computes the head of the batch that was read from that of the one before it,
// unless that one is missing.
func (w *wholeReader) check(b index.Batch, head chain.Hash) error {
	before := w.before
	w.before = point{batch: b.Number, head: head}
	if before.batch != b.Number-1 || before.batch == 0 {
		var err error
		if before, err = w.pointAt(b.Number - 1); err != nil {
			if len(w.log.recovery.Damage) > 0 {
				return nil
			}
			return err
		}
	}
	if w.hasher.Head(before.head, b.Number, b.First, w.hashes, w.hasher.Notes(b.Time, b.Clock, w.records)) != head {
		return w.where.damaged(fmt.Sprintf("batch %d does not have the head that it says", b.Number), nil)
	}
	return nil
}

// whole fills in the event that was read, with bytes of its own.
func (r *reader) whole(event *WholeEvent) error {
	if err := r.event(&event.Event, false); err != nil {
		return err
	}
	switch e := &r.raw; {
	case e.Erased:
		event.ContentHash = e.ContentHash
	case e.Erasable:
		event.Salt = slices.Clone(e.Salt[:])
	}
	return nil
}

// pointAt returns the point behind a batch of the log, which need not be durable if the
// caller has the commit token. The error matches ErrNotFound if there is no such batch.
func (r *reader) pointAt(batch uint64) (point, error) {
	l := r.log
	l.mu.Lock()
	last := l.written.batch
	id, known := l.logID, l.durable
	if batch == last {
		known = l.written
	}
	var b index.Batch
	if batch > 0 && batch <= last {
		b = l.index.BatchNumbered(batch)
	}
	l.mu.Unlock()
	switch {
	case batch == 0:
		return point{head: chain.LogRoot(id)}, nil
	case b.Number != batch:
		return point{}, ErrNotFound
	case known.batch == batch:
		return known, nil
	}
	head, err := r.head(b)
	return point{batch: batch, sequence: b.First + uint64(b.Events) - 1, time: b.Time, head: head}, err
}

// head reads the log head behind a batch, which stands behind its last item.
func (r *reader) head(b index.Batch) (chain.Hash, error) {
	l := r.log
	l.mu.Lock()
	var last index.Entry
	if until := l.index.FirstNote(b.Number + 1); until > uint64(b.Note) {
		last = l.index.NoteEntry(until - 1)
	} else if b.Events > 0 {
		last = l.index.Entry(b.Ordinal + uint64(b.Events) - 1)
	}
	s := l.segments[uint64(last.Segment)]
	l.mu.Unlock()
	offset := int64(last.Offset) + int64(last.Length)
	r.where = place{note: true, batch: b, entry: index.Entry{Segment: last.Segment, Offset: uint32(offset), Length: record.CommitSize}}
	if last.Length == 0 {
		return chain.Hash{}, r.where.damaged(fmt.Sprintf("batch %d has neither events nor notes", b.Number), nil)
	}
	if !r.has(s, offset, offset+record.CommitSize) {
		if err := r.fill(s, offset, offset+record.CommitSize, false); err != nil {
			return chain.Hash{}, l.recoveredOr(err)
		}
	}
	at := offset - r.offset
	head, reason := segment.ReadCommit(r.bytes[at:at+record.CommitSize], r.segment.place, offset, b.Session, b.Number)
	if reason != "" {
		r.forget()
		return chain.Hash{}, l.recoveredOr(r.where.damaged(reason, nil))
	}
	return head, nil
}
