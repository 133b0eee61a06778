package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// stagedBatch is a batch that has been taken into a group, ready to be written.
// The log keeps the room of those that are done with for the next ones.
type stagedBatch struct {
	mark   record.Mark
	events []record.Event
	slots  []int32 // of their streams, in the staging
	hashes []chain.Hash
	call   *call // whose notes it has
	head   chain.Hash
	size   int64

	offset    int64   // in the segment
	positions []int32 // of the events and then the notes, from offset
}

// commit is the commit path: every call of the group is decided, in order;
// what is to be written is written at once, covered by one sync, and only then
// answered. The caller has the commit token.
//
//	decide ─→ hash ─→ room ─→ write ─→ sync ─→ publish ─→ answer
//	  │                 │       │        │
//	rejected          rejected failed  in doubt
func (l *Log) commit(group []*call) {
	l.observe(Point{Name: PointStart, Batch: l.written.batch + 1, Offset: -1})
	defer l.reuse(group)
	staged := l.newStaging(len(group))
	for _, c := range group {
		l.decide(c, staged)
	}
	l.stageSignature(staged)
	l.hash(staged)
	l.groupDecided(group, staged)
	l.mu.Lock()
	l.accepted = staged.frontier()
	l.mu.Unlock()
	if err := l.write(staged.batches); err != nil {
		l.undo(group, err)
		return
	}
	if l.needsSync(group) {
		l.fillAhead()
		if err := l.syncWritten(); err != nil {
			l.answer(group, fmt.Errorf("%w: sync: %w", ErrInDoubt, err))
			return
		}
	} else if len(l.unsynced) > 0 {
		l.arm()
	}
	l.reply(group)
	l.groupReplied(group)
	l.prepareAhead()
}

// decide refuses a call, answers it from its keys, or stages its batch behind
// what is staged so far. A refusal leaves no trace for its neighbours.
func (l *Log) decide(c *call, staged *staging) {
	switch {
	case c.exact != nil:
		c.refusal = l.decideExact(c, staged)
		return
	case c.adopts != nil:
		c.refusal = l.decideAdopted(c, staged)
		return
	}
	receipts, twin, err := l.lookUpKeys(c, staged)
	switch {
	case err != nil:
		c.refusal = err
		return
	case receipts != nil:
		c.receipts, c.hit = receipts, true
		return
	case twin != nil:
		c.twin = twin
		return
	}
	c.refusal = l.stage(c, staged)
}

// stage checks a batch against the log, and computes what follows from its place
// in it: ids, versions, times.
func (l *Log) stage(c *call, staged *staging) error {
	b := &c.batch
	now := max(staged.clock, staged.time)
	if staged.batch == 0 {
		now = staged.clock
	}
	s := l.newStaged(len(b.Events), len(b.Notes))
	c.staged, s.call = s, c // also if it is refused, for reuse
	s.mark = record.Mark{
		Session: l.session, Sequence: staged.sequence + 1, Batch: staged.batch + 1,
		Time: now, Clock: staged.clock,
	}
	s.size = record.BeginSize(&s.mark) + record.CommitSize
	for i := range b.Events {
		if err := l.stageEvent(c, staged, i); err != nil {
			staged.takeBack(s.slots[:i])
			return itemError(b, i, err)
		}
	}
	for i := range b.Notes {
		if err := l.expectNote(c, staged, i); err != nil {
			staged.takeBack(s.slots)
			return err
		}
		s.size += record.ItemSize(int64(len(c.notes[i])))
	}
	if s.size > int64(l.opts.MaxBatchBytes) {
		staged.takeBack(s.slots)
		return fmt.Errorf("%w: the batch takes %d bytes, at most %d are allowed", ErrLimit, s.size, l.opts.MaxBatchBytes)
	}
	if s.size > c.bytes {
		panic("internal error: a batch takes more than was said of it")
	}
	staged.batch++
	staged.sequence += uint64(len(s.events))
	staged.time = now
	staged.batches = append(staged.batches, s)
	staged.enter(c)
	return nil
}

// stageEvent stages one event of a call's batch.
func (l *Log) stageEvent(c *call, staged *staging, item int) error {
	d, s := &c.batch.Events[item], c.staged
	slot := staged.slot(l.index, index.Name{Scope: d.Scope, Stream: d.Stream})
	stream := &staged.streams[slot]
	if err := d.expect(stream.version); err != nil {
		return err
	}
	if err := l.compose(c, item, stream.version+1); err != nil {
		return err
	}
	stream.version++
	s.slots[item] = slot
	s.size += record.ItemSize(int64(s.events[item].RecordSize()))
	return nil
}

// hash computes the hashes of what is staged and has none yet: of contents and of
// headers side by side, of events and of heads one after the other, since each has
// that of its predecessor in it.
func (l *Log) hash(staged *staging) {
	fresh := staged.batches[staged.hashed:]
	staged.hashed = len(staged.batches)
	for _, s := range fresh {
		for i := range s.events {
			l.headers.add(&s.events[i], s.mark.Sequence+uint64(i), &s.mark)
		}
	}
	headers := l.headers.sum()
	for _, s := range fresh {
		for i := range s.events {
			stream := &staged.streams[s.slots[i]]
			if s.events[i].Version == 1 {
				stream.hash = chain.StreamRoot(l.logID, stream.name.Scope, stream.name.Stream)
			}
			stream.hash = l.hasher.Event(stream.hash, headers[0])
			s.events[i].Hash, s.hashes[i] = stream.hash, stream.hash
			headers = headers[1:]
		}
		s.head = l.hasher.Head(staged.head, s.mark.Batch, s.mark.Sequence, s.hashes, l.hasher.Notes(s.mark.Time, s.mark.Clock, s.call.notes))
		staged.head = s.head
	}
}

// newStaged returns an empty batch of so many events and notes.
func (l *Log) newStaged(events, notes int) *stagedBatch {
	var s *stagedBatch
	if last := len(l.workspace.staged) - 1; last >= 0 {
		s, l.workspace.staged = l.workspace.staged[last], l.workspace.staged[:last]
	} else {
		s = new(stagedBatch)
	}
	s.events = slices.Grow(s.events[:0], events)[:events]
	s.slots = slices.Grow(s.slots[:0], events)[:events]
	s.hashes = slices.Grow(s.hashes[:0], events)[:events]
	s.positions = slices.Grow(s.positions[:0], events+notes)[:events+notes]
	s.size, s.offset = 0, 0
	return s
}

// mostSpare bounds what is kept for later: batches and their events, calls of a
// group, and the names of a staging.
const mostSpare = 256

// reuse keeps the room of what a group has staged. Nothing of the callers' stays
// in it.
func (l *Log) reuse(group []*call) {
	for _, c := range group {
		if c.staged == nil {
			continue
		}
		if len(l.workspace.staged) < mostSpare && cap(c.staged.events) <= mostSpare {
			clear(c.staged.events)
			c.staged.call = nil
			l.workspace.staged = append(l.workspace.staged, c.staged)
		}
		c.staged = nil
	}
	l.staging.forget()
}

func itemError(b *Batch, item int, err error) error {
	if len(b.Events) == 1 {
		return err
	}
	return &ItemError{Item: item, Err: err}
}

// compose makes the event of a call's draft, all but its hash.
func (l *Log) compose(c *call, item int, version uint64) error {
	d, s := &c.batch.Events[item], c.staged
	e := &s.events[item]
	id := d.id
	if id == uuid.Nil {
		var err error
		if id, err = l.newID(s.mark.Time); err != nil {
			return err
		}
	}
	// The room is zeros; a literal would be made elsewhere and copied.
	e.ID, e.Version = id, version
	e.Scope, e.Stream, e.Type = d.Scope, d.Stream, d.Type
	e.Correlation, e.Lane, e.Depth = d.Correlation, d.Lane, d.Depth
	e.Flags, e.PayloadVersion, e.Erasable = d.Flags, d.PayloadVersion, d.Erasable
	e.Metadata, e.Payload = d.Metadata, d.Data
	if e.CausedBy = d.CausedBy.id; d.CausedBy.item > 0 {
		e.CausedBy = s.events[d.CausedBy.item-1].ID
	}
	if e.Correlation == uuid.Nil {
		e.Correlation = id
	}
	if c.keys != nil {
		e.Key = c.keys[item]
	}
	if c.extensions != nil {
		e.Extensions = c.extensions[item]
	}
	if e.Erased, e.ContentHash = d.erased, d.content; d.Erasable && !d.erased {
		if _, err := io.ReadFull(l.random, e.Salt[:]); err != nil {
			return fmt.Errorf("draw a salt: %w", err)
		}
	}
	return nil
}

// now reads the clock, and warns once when it is far behind the log.
func (l *Log) now() int64 {
	at := l.opts.Clock.Now()
	ns := at.UnixNano()
	if year := at.UTC().Year(); year < 1678 {
		ns = math.MinInt64 // what UnixNano cannot say
	} else if year > 2261 {
		ns = math.MaxInt64
	}
	if behind := l.written.time - ns; l.written.batch > 0 && l.written.time > ns && (behind > int64(time.Minute) || behind < 0) && !l.warnedBehind {
		l.warnedBehind = true
		l.opts.Logger.Warn("the clock is behind the log: events get the time of their predecessors until it has caught up",
			"clock", at, "log", timeOf(l.written.time, 1))
	}
	return ns
}

// write hands the group's batches to the file, in one write, and takes them
// into the index. Until it returns nil nothing in memory knows of them.
func (l *Log) write(batches []*stagedBatch) error {
	defer l.groupWritten()
	size := int64(0)
	for _, b := range batches {
		size += b.size
	}
	if size == 0 {
		return nil
	}
	if err := l.room(size); err != nil {
		return err
	}
	s := l.active
	bytes, at := l.opening(s, size)
	for _, b := range batches {
		b.offset = at + int64(len(bytes))
		b.mark.Synced = l.durable.batch
		bytes = record.AppendBatchNotes(bytes, s.place, b.offset, &b.mark, b.events, b.call.notes, b.head, b.positions)
		l.observeBatch(b)
	}
	l.buffer = bytes[:0]
	if err := writeAt(s.file, bytes, at); err != nil {
		return err
	}
	if err := l.renewHeader(s); err != nil {
		return fmt.Errorf("write the header of segment %d once more: %w", s.number, err)
	}
	if cap(l.buffer) > keptBuffer {
		l.buffer = nil
	}
	l.mu.Lock()
	s.headed, s.endBytes, s.end = true, nil, at+int64(len(bytes))
	s.filled = max(s.filled, segment.AlignUp(s.end, blockSize))
	for _, b := range batches {
		l.enterLocked(s, b)
	}
	l.mu.Unlock()
	return nil
}

// keptBuffer is the largest group buffer that is kept for the next group.
const keptBuffer = 4 << 20

// room makes sure that the group fits: into the active segment, or into the
// next, and onto the disk. No byte of the group has been written.
func (l *Log) room(size int64) error {
	if l.groupOffset(l.active)+size > l.opts.SegmentSize && l.active.end > record.DataStart {
		if err := l.moveOn(l.active, false); err != nil {
			return err
		}
	}
	s := l.active
	// With room for the END behind it, on a block of its own, a full disk does not
	// keep a log from leaving the segment, or from being closed.
	end := segment.AlignUp(l.groupOffset(s)+size, blockSize) + blockSize
	if end <= l.filled(s) || l.opts.Preallocate < 0 {
		return nil
	}
	if err := l.joinFill(s); err != nil {
		return err
	}
	l.mu.Lock()
	has := s.roomLocked()
	l.mu.Unlock()
	if end > has {
		if err := l.reserve(s, has, end); err != nil {
			return fmt.Errorf("%w: reserve room: %w", errNothingWritten, err)
		}
	}
	return nil
}

// filled is how far a segment is written; a task may be moving it on.
func (l *Log) filled(s *segmentFile) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.filled
}

// groupOffset is where the next group, or END, begins. With alignment what
// follows a sync begins on a fresh block.
func (l *Log) groupOffset(s *segmentFile) int64 {
	if len(s.endBytes) > 0 || len(l.unsynced) > 0 {
		return s.end
	}
	return segment.AlignUp(s.end, int64(s.header.Align))
}

// opening returns what is written before the next batch, in the same write, and
// where: nothing as a rule, the header in a new segment, and the END of the
// session before, which may be in the page cache only. There is room for size
// more bytes behind it.
func (l *Log) opening(s *segmentFile, size int64) (bytes []byte, at int64) {
	if !s.headed {
		bytes = slices.Grow(l.buffer[:0], int(record.DataStart+size))
		return s.header.Append(bytes), 0
	}
	bytes = slices.Grow(l.buffer[:0], len(s.endBytes)+int(size))
	if len(s.endBytes) > 0 {
		return append(bytes, s.endBytes...), s.end - int64(len(s.endBytes))
	}
	return bytes, l.groupOffset(s)
}

// renewHeader writes the header of a segment once more, with the bytes that it
// has, along with the first group that a session adds to it. After a sync that
// failed, or lied, in an earlier session it may be in the page cache only: then
// no later sync would bring it to the disk, and without it the new group would be
// lost in silence.
func (l *Log) renewHeader(s *segmentFile) error {
	if !s.read {
		return nil
	}
	var header [record.DataStart]byte
	if err := readAt(s.file, header[:], 0); err != nil {
		return err
	}
	if err := writeAt(s.file, header[:], 0); err != nil {
		return err
	}
	l.mu.Lock()
	s.read = false
	l.mu.Unlock()
	return nil
}

// observeBatch tells the points inside the group's write.
func (l *Log) observeBatch(b *stagedBatch) {
	if l.opts.Observer == nil {
		return
	}
	point := func(name string, item int, offset int64) {
		l.observe(Point{Name: name, Batch: b.mark.Batch, Item: item, Offset: offset})
	}
	commit := b.offset + b.size - record.CommitSize
	point(PointBeginWritten, 0, b.offset+record.BeginSize(&b.mark))
	for i := range b.positions {
		end := commit
		if i+1 < len(b.positions) {
			end = b.offset + int64(b.positions[i+1])
		}
		point(PointItemWritten, i, end)
	}
	point(PointItemsComplete, 0, commit)
	point(PointCommitWritten, 0, commit+record.CommitSize)
}

// enterLocked takes a written batch into the index. Reads see it when it is
// durable.
func (l *Log) enterLocked(s *segmentFile, b *stagedBatch) {
	m := &b.mark
	l.index.AddBatch(index.Batch{
		Number: m.Batch, First: m.Sequence, Events: uint32(len(b.events)),
		Session: m.Session, Time: m.Time, Clock: m.Clock,
	})
	ordinal := l.index.Len()
	end := b.size - record.CommitSize
	entry := func(item, among int) index.Entry {
		at, until := int64(b.positions[item]), end
		if item+1 < len(b.positions) {
			until = int64(b.positions[item+1])
		}
		return index.Entry{Segment: uint32(s.number), Offset: uint32(b.offset + at), Length: uint32(until - at), Item: uint32(among)}
	}
	for i := range b.events {
		e := &b.events[i]
		stream := &l.staging.streams[b.slots[i]]
		if stream.ref == (index.Ref{}) {
			stream.ref = l.index.Enter(stream.name)
		}
		l.index.AddHidden(entry(i, i), e.ID, stream.ref, e.Version, e.Hash, e.Key)
	}
	note := l.index.Notes()
	for i := range b.call.batch.Notes {
		n := &b.call.batch.Notes[i]
		l.index.AddHiddenNote(entry(len(b.events)+i, i), n.Name, n.Data)
	}
	l.written = point{
		batch: m.Batch, sequence: m.Sequence + uint64(len(b.events)) - 1, time: m.Time,
		head: b.head, end: b.offset + b.size,
	}
	l.unsynced = append(l.unsynced, span{offset: b.offset, ordinal: ordinal, note: note, point: l.written})
	if l.opts.Signing != nil {
		l.enterSignatureLocked(b)
	}
	if s.batches++; s.batches == 1 {
		s.began = m.Time
	}
	if len(b.events) > 0 {
		s.last = l.written.sequence
		if s.first == 0 {
			s.first = m.Sequence
		}
	}
}

// undo answers a group that could not be written. If bytes of it may be in the
// file, a fresh segment ends the old one before them.
func (l *Log) undo(group []*call, cause error) {
	defer func() {
		l.mu.Lock()
		l.accepted = l.written.frontier()
		l.mu.Unlock()
	}()
	cause = noSpace(cause)
	if errors.Is(cause, errNothingWritten) {
		l.answer(group, fmt.Errorf("%w: %w", ErrRejected, cause))
		return
	}
	l.mu.Lock()
	failed := l.failed != nil
	l.mu.Unlock()
	err := error(nil)
	if !failed {
		err = l.moveOn(l.active, true)
	}
	if failed || err != nil {
		l.fail(errors.Join(cause, err))
		l.answer(group, fmt.Errorf("%w: write: %w", ErrInDoubt, errors.Join(cause, err)))
		return
	}
	l.disarm()
	l.mu.Lock()
	l.publishLocked(l.written)
	l.mu.Unlock()
	l.answer(group, fmt.Errorf("%w: write: %w", ErrFailed, cause))
}

// answer gives every call of a group the same error: also a refusal, since what
// it follows from may be in doubt, too. Only a hit whose events are durable says
// so, whatever became of the others.
func (l *Log) answer(group []*call, err error) {
	l.groupFailed(err)
	for _, c := range group {
		if c.hit && c.hitBatch() <= l.durable.batch {
			l.tellDurable(c)
			l.replied(c)
			continue
		}
		c.receipts, c.err = nil, err
	}
}

// hitBatch is the number of the batch that a hit has hit.
func (c *call) hitBatch() uint64 {
	if len(c.receipts) > 0 {
		return c.receipts[0].Batch
	}
	return c.known
}

// tellDurable says which events of a hit are durable by now.
func (l *Log) tellDurable(c *call) {
	for i := range c.receipts {
		c.receipts[i].Durable = c.receipts[i].Sequence <= l.durable.sequence
	}
}

// needsSync reports whether a call may be answered only after a sync: one that
// wants its batch durable, or whose answer follows from something that is not.
func (l *Log) needsSync(group []*call) bool {
	if len(l.unsynced) == 0 {
		return false
	}
	if l.written.sequence-l.durable.sequence >= uint64(l.opts.SyncCount) {
		return true
	}
	for _, c := range group {
		if c.batch.Durability == Durable || c.refusal != nil {
			return true
		}
	}
	return false
}

// reply answers every call of a group that was written, and synced where that
// was needed.
func (l *Log) reply(group []*call) {
	for _, c := range group {
		switch {
		case c.refusal != nil:
			c.err = fmt.Errorf("%w: %w", ErrRejected, c.refusal)
		case c.twin != nil:
			c.receipts = l.receipts(c.receipts, c.twin.staged)
		case c.hit:
			l.tellDurable(c)
		default:
			c.receipts = l.receipts(c.receipts, c.staged)
		}
	}
}

// receipts returns those of a batch, in room that the caller has, or will keep.
func (l *Log) receipts(room []Receipt, b *stagedBatch) []Receipt {
	receipts := slices.Grow(room, len(b.events))[:len(b.events)]
	for i := range b.events {
		e := &b.events[i]
		sequence := b.mark.Sequence + uint64(i)
		receipts[i] = Receipt{
			ID: e.ID, Scope: e.Scope, Stream: e.Stream,
			Sequence: sequence, Version: e.Version, Batch: b.mark.Batch, Hash: e.Hash,
			Durable:  sequence <= l.durable.sequence,
			Position: Position{Segment: l.active.number, Offset: b.offset + int64(b.positions[i])},
		}
	}
	return receipts
}
