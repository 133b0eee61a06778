package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// DivergedError answers a batch that does not have the head that it says, where it
// stands in this log. It matches ErrDiverged.
type DivergedError struct {
	Batch uint64 // its number
	// Item is the event whose hash is the first that differs, counted from 0 in the
	// batch; -1 if none does, or if it was not looked at.
	Item     int
	Expected Hash // the head that the batch says
	Found    Hash // the head that the log has behind that batch, or would have; zero if that is not known
	Reason   string
}

func (e *DivergedError) Error() string {
	text := fmt.Sprintf("batch %d: %s", e.Batch, e.Reason)
	if !e.Found.IsZero() && e.Found != e.Expected {
		text += fmt.Sprintf(": the head is to be %v, and is %v", e.Expected, e.Found)
	}
	return text
}

// Is reports whether target is ErrDiverged.
func (e *DivergedError) Is(target error) bool { return target == ErrDiverged }

// GapError answers a batch that is not the next one. It matches ErrGap.
type GapError struct {
	Batch uint64 // its number
	Next  uint64 // the number of the batch that the log takes next
}

func (e *GapError) Error() string {
	return fmt.Sprintf("batch %d: the log goes on with batch %d", e.Batch, e.Next)
}

// Is reports whether target is ErrGap.
func (e *GapError) Is(target error) bool { return target == ErrGap }

// Apply appends a batch exactly as another log has it: with its number, sequences,
// versions, ids, times, keys, salts and notes. The log's head is then the batch's, so
// Apply copies a log: into one that Options.ID has made with the id of the other, from
// batch 1 on, in order. A batch that the log has already, with the same head, is
// skipped, and applied is false: whoever was interrupted begins again where he likes.
//
// All hashes are computed anew, and compared with those that the batch says, before a
// byte is written: a batch of another log, one that was changed on its way, or one that
// does not continue this log leaves nothing behind. Applied is only what Verify finds
// nothing wrong with; whether a signature in the batch is one of a key that is trusted,
// VerifySigned says.
//
// Groups, durability, rotation and the outcome upon an error are those of AppendBatch;
// segments begin where this log's options say. No gate is asked, no expectation checked,
// no key looked up: that was done where the batch was first appended, and the limits on
// drafts are those of that log. From then on its keys and notes are this log's, as if
// they had been appended here. Events that were erased are copied without their content.
//
// A log that takes batches should get no others: what is appended to it otherwise parts
// it from the other one for good. Apply is refused with ErrInvalid where Options.Signing
// appends signatures by itself; with SignOnDemand it is up to the caller.
//
// A rejection matches ErrDiverged, ErrGap, ErrInvalid where fields contradict each other,
// or as that of AppendBatch does.
func (l *Log) Apply(ctx context.Context, batch WholeBatch, durability Durability) (applied bool, err error) {
	fail := func(err error) (bool, error) {
		return false, fmt.Errorf("engine: apply batch %d: %w", batch.Number, within(err))
	}
	c := &call{own: true}
	c.batch.Durability = durability
	if err := l.exactly(c, &batch); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrRejected, err))
	}
	if err := l.append(ctx, c); err != nil {
		return fail(err)
	}
	return !c.hit, nil
}

// exactBatch is a batch that is to be appended as it is.
type exactBatch struct {
	mark   record.Mark // without the session
	events []record.Event
	notes  [][]byte // encoded
	head   chain.Hash
	size   int64        // in a segment
	before []chain.Hash // of the events' streams
}

// content counts the bytes of data and metadata.
func (x *exactBatch) content() (bytes int64) {
	for i := range x.events {
		bytes += int64(len(x.events[i].Payload) + len(x.events[i].Metadata))
	}
	return bytes
}

// exactly makes the call of a whole batch, and refuses what no log can have.
func (l *Log) exactly(c *call, b *WholeBatch) error {
	switch {
	case l.opts.Signing != nil && l.opts.Signing.When != SignOnDemand:
		return fmt.Errorf("%w: the log was opened with a Signing that appends signatures by itself, which part it from the other one: use SignOnDemand", ErrInvalid)
	case c.batch.Durability > Buffered:
		return fmt.Errorf("%w: unknown durability %d", ErrInvalid, c.batch.Durability)
	}
	x, keys, err := encodeBatch(b)
	if err != nil {
		return err
	}
	if x.size > record.MaxBatchSize {
		return fmt.Errorf("%w: the batch takes %d bytes, at most %d are possible", ErrLimit, x.size, int64(record.MaxBatchSize))
	}
	for i := range b.Notes {
		c.batch.Notes = append(c.batch.Notes, NoteDraft{Name: b.Notes[i].Name, Data: b.Notes[i].Data})
	}
	c.exact, c.bytes, c.keys, c.notes = x, x.size, keys, x.notes
	return c.signs(b)
}

// encodeBatch makes the records of a whole batch, and returns the keys of its events; nil
// if there are none. It refuses what no log can have.
func encodeBatch(b *WholeBatch) (x *exactBatch, keys []string, err error) {
	invalid := func(format string, args ...any) (*exactBatch, []string, error) {
		return nil, nil, fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
	x = &exactBatch{head: b.Head, events: make([]record.Event, len(b.Events))}
	x.mark = record.Mark{Sequence: b.Sequence, Batch: b.Number}
	var timed, clocked bool
	x.mark.Time, timed = nanoseconds(b.Time)
	x.mark.Clock, clocked = nanoseconds(b.Clock)
	switch {
	case b.Number == 0 || b.Sequence == 0:
		return invalid("batches and events are counted from 1")
	case len(b.Events)+len(b.Notes) == 0:
		return invalid("it has neither events nor notes")
	case len(b.Notes) > math.MaxUint16:
		return invalid("it has %d notes, at most %d are possible", len(b.Notes), math.MaxUint16)
	case b.Sequence > math.MaxUint64-uint64(len(b.Events)) || b.Number == math.MaxUint64:
		return invalid("its numbers are too large")
	case !timed || !clocked:
		return invalid("its time or clock is not between the years 1678 and 2262")
	}
	x.size = record.BeginSize(&x.mark) + record.CommitSize
	for i := range b.Events {
		e := &b.Events[i]
		reason := e.encode(&x.events[i])
		if reason == "" && (e.Sequence != b.Sequence+uint64(i) || e.Batch != b.Number || !e.Time.Equal(b.Time) || !e.Clock.Equal(b.Clock)) {
			reason = "its sequence, batch, time or clock is not that of its place in the batch"
		}
		if reason != "" {
			return nil, nil, &ItemError{Item: i, Err: fmt.Errorf("%w: %s", ErrInvalid, reason)}
		}
		x.size += record.ItemSize(int64(x.events[i].RecordSize()))
		if e.Key != "" && keys == nil {
			keys = make([]string, len(b.Events))
		}
		if e.Key != "" {
			keys[i] = e.Key
		}
	}
	for i := range b.Notes {
		n := &b.Notes[i]
		if n.Name == "" {
			return invalid("note %d has no name", i)
		}
		x.notes = append(x.notes, (&record.Note{Name: n.Name, Data: n.Data}).AppendRecord(nil))
		x.size += record.ItemSize(int64(len(x.notes[i])))
	}
	return x, keys, nil
}

// nanoseconds is a time as the log stores it. Not every time is one.
func nanoseconds(t time.Time) (ns int64, ok bool) {
	ns = t.UnixNano()
	return ns, time.Unix(0, ns).Equal(t)
}

// signs takes note of a batch that is nothing but signatures, as a signer has them
// appended.
func (c *call) signs(b *WholeBatch) error {
	var last proof.SignedHead
	for i := range b.Notes {
		if b.Notes[i].Name != SignatureNote {
			continue
		}
		if err := last.UnmarshalBinary(b.Notes[i].Data); err != nil {
			return fmt.Errorf("%w: note %d is no signature: %w", ErrInvalid, i, err)
		}
		if len(b.Events) == 0 && len(b.Notes) == 1 {
			c.signature = &last
		}
	}
	return nil
}

// encode makes the record of an event, or says why there is none.
func (w *WholeEvent) encode(e *record.Event) (reason string) {
	*e = record.Event{
		Hash: w.Hash, ID: w.ID, Version: w.Version,
		Scope: w.Scope, Stream: w.Stream, Type: w.Type, Key: w.Key,
		CausedBy: w.CausedBy, Correlation: w.Correlation,
		Lane: w.Lane, Depth: w.Depth, Flags: w.Flags, PayloadVersion: w.PayloadVersion,
		Extensions: record.AppendExtensions(nil, w.Extensions),
		Erasable:   w.Erasable, Erased: w.Erased, ContentHash: w.ContentHash,
		Metadata: w.Metadata, Payload: w.Data,
	}
	copy(e.Salt[:], w.Salt)
	salt := 0
	if w.Erasable && !w.Erased {
		salt = len(e.Salt)
	}
	switch {
	case w.ID == uuid.Nil:
		return "it has no id"
	case w.Erased && !w.Erasable:
		return "it was erased, and never was erasable"
	case w.Erased && len(w.Data)+len(w.Metadata) > 0:
		return "it was erased, and has content"
	case !w.Erased && !w.ContentHash.IsZero():
		return "it has a content hash, and was not erased"
	case len(w.Salt) != salt:
		return fmt.Sprintf("its salt has %d bytes, not %d", len(w.Salt), salt)
	}
	return ""
}

// decideExact stages a batch as it is, or skips it: the log has it already.
func (l *Log) decideExact(c *call, staged *staging) error {
	x := c.exact
	l.hash(staged) // of the calls before it in the group
	switch m := &x.mark; {
	case m.Batch > staged.batch+1:
		return &GapError{Batch: m.Batch, Next: staged.batch + 1}
	case m.Batch <= staged.batch:
		found, err := l.behindBatch(m.Batch, staged)
		switch {
		case err != nil:
			return fmt.Errorf("look up batch %d: %w", m.Batch, err)
		case found.head != x.head:
			return x.diverged(-1, found.head, "the log has another one")
		}
		c.hit, c.known = true, m.Batch
		return nil
	}
	return l.stageExact(c, staged)
}

func (x *exactBatch) diverged(item int, found Hash, format string, args ...any) error {
	return &DivergedError{Batch: x.mark.Batch, Item: item, Expected: x.head, Found: found, Reason: fmt.Sprintf(format, args...)}
}

// behindBatch returns the point behind a batch, of the log or of the group, whose hashes
// are computed.
func (l *Log) behindBatch(batch uint64, staged *staging) (point, error) {
	for _, s := range staged.batches {
		if s.mark.Batch == batch {
			return point{batch: batch, sequence: s.mark.Sequence + uint64(len(s.events)) - 1, head: s.head}, nil
		}
	}
	r := l.reader()
	defer l.giveBack(r)
	return r.pointAt(batch)
}

// stageExact stages a batch as it is, if it continues what is staged, and has the hashes
// and the head that it says.
func (l *Log) stageExact(c *call, staged *staging) error {
	x := c.exact
	switch m := &x.mark; {
	case m.Sequence != staged.sequence+1:
		return x.diverged(-1, Hash{}, "it begins with event %d, and the log goes on with event %d", m.Sequence, staged.sequence+1)
	case staged.batch > 0 && m.Time < staged.time:
		return x.diverged(-1, Hash{}, "its time is before that of the batch before it")
	}
	if err := l.signedBefore(c, staged); err != nil {
		return err
	}
	s := l.newStaged(len(x.events), len(c.notes))
	c.staged, s.call = s, c
	s.mark, s.size = x.mark, x.size
	s.mark.Session = l.session
	copy(s.events, x.events)
	x.before = make([]chain.Hash, len(x.events))
	for i := range x.events {
		e := &x.events[i]
		slot := staged.slot(l.index, index.Name{Scope: e.Scope, Stream: e.Stream})
		stream := &staged.streams[slot]
		if e.Version != stream.version+1 {
			staged.takeBack(s.slots[:i])
			return x.diverged(i, Hash{}, "event %d has version %d of stream %q, which is at %d", x.mark.Sequence+uint64(i), e.Version, e.Stream, stream.version)
		}
		s.slots[i], x.before[i] = slot, stream.hash
		stream.version++
	}
	before := staged.point
	staged.batch++
	staged.sequence += uint64(len(s.events))
	staged.time = s.mark.Time
	staged.batches = append(staged.batches, s)
	l.hash(staged)
	if err := x.compare(s); err != nil {
		staged.batches = staged.batches[:len(staged.batches)-1]
		staged.hashed--
		staged.point = before
		staged.takeBack(s.slots)
		for i, slot := range s.slots { // hashes were taken before the first of them was computed
			staged.streams[slot].hash = x.before[i]
		}
		return err
	}
	if n := len(s.events); n > 0 {
		l.id = s.events[n-1].ID
	}
	staged.enter(c)
	return nil
}

// compare says in which hash a batch is not what it says.
func (x *exactBatch) compare(s *stagedBatch) error {
	for i := range x.events {
		if s.hashes[i] != x.events[i].Hash {
			return x.diverged(i, s.head, "event %d does not have the hash that it says", x.mark.Sequence+uint64(i))
		}
	}
	if s.head != x.head {
		return x.diverged(-1, s.head, "it does not have the head that it says")
	}
	return nil
}

// signedBefore refuses signatures of heads that the log does not have.
func (l *Log) signedBefore(c *call, staged *staging) error {
	for i := range c.batch.Notes {
		n := &c.batch.Notes[i]
		if n.Name != SignatureNote {
			continue
		}
		var signed proof.SignedHead
		if err := signed.UnmarshalBinary(n.Data); err != nil {
			return fmt.Errorf("%w: note %d is no signature: %w", ErrInvalid, i, err)
		}
		found, err := l.behindBatch(signed.Batch, staged)
		switch {
		case errors.Is(err, ErrNotFound), signed.Batch == 0:
		case err != nil:
			return fmt.Errorf("look up the head that was signed: %w", err)
		case l.proofHead(found) == signed.Head:
			continue
		}
		return c.exact.diverged(-1, Hash{}, "note %d: the log does not have the head of batch %d that key %s has signed", i, signed.Batch, signed.KeyID)
	}
	return nil
}
