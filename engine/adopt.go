package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/record"
)

// IDTakenError answers a batch of another log with an event whose id this log has, of an
// event that is not the same, or not in such a batch. It matches ErrIDTaken.
type IDTakenError struct {
	Item   int // index of the event in the batch
	ID     uuid.UUID
	Reason string // what differs
}

func (e *IDTakenError) Error() string {
	return fmt.Sprintf("event %v is in the log already: %s", e.ID, e.Reason)
}

// Is reports whether target is ErrIDTaken.
func (e *IDTakenError) Is(target error) bool { return target == ErrIDTaken }

// adoptNotes begins the names of the notes that say how far another log was taken in.
const adoptNotes = ownNotes + "import/"

// adoptSize is the length of such a note: its version, the batch, the head behind it.
const adoptSize = 1 + 8 + chain.Size

// adoption is where a call has its batch from.
type adoption struct {
	batch uint64
	head  chain.Hash
	note  string // that says how far the other log was taken in
}

// Adopt appends the events of a batch of another log as new ones: they get sequences and
// versions behind those that are there, and the time of now. They keep their id, so that
// what names them goes on to name them, causes and correlations among them too, and their
// key, so that a retry finds them here. The notes go along, but not the log's own: the
// positions of cursors and the signatures of heads are those of the other log.
//
// With them goes a note of this log that says how far the other one, from, was taken in:
// a batch up to there is skipped, and adopted is false, so whoever was interrupted begins
// again where he likes. So is a batch all of whose events are here by their ids, with the
// same streams, types and content, and one that has nothing to take.
//
// To this log it is an append: gates are asked, and its limits hold. Events that were
// erased come without their content, those that may be erased get a salt of this log's.
// Event ids do not rise along the sequence any more.
//
// A rejection matches ErrIDTaken, ErrKeyConflict where another event has one of the keys,
// ErrDiverged where the batch up to which the other log was taken in had another head, or
// as that of AppendBatch does. To go without the keys, leave them away from the batch.
func (l *Log) Adopt(ctx context.Context, from uuid.UUID, batch WholeBatch, durability Durability) (adopted bool, err error) {
	fail := func(err error) (bool, error) {
		return false, fmt.Errorf("engine: adopt batch %d: %w", batch.Number, within(err))
	}
	if last, head, ok := l.Adopted(from); ok && (last > batch.Number || last == batch.Number && head == batch.Head) {
		return false, nil // no gate need be asked
	}
	c := &call{adopts: &adoption{batch: batch.Number, head: batch.Head, note: adoptNotes + from.String()}}
	c.batch.Durability = durability
	ids := make(map[uuid.UUID]int, len(batch.Events))
	for i := range batch.Events {
		e := &batch.Events[i]
		if first, ok := ids[e.ID]; ok {
			return fail(fmt.Errorf("%w: %w", ErrRejected, &IDTakenError{Item: i, ID: e.ID, Reason: fmt.Sprintf("item %d of its batch has this id, too", first)}))
		}
		ids[e.ID] = i
		if reason := e.encode(new(record.Event)); reason != "" {
			return fail(fmt.Errorf("%w: %w", ErrRejected, &ItemError{Item: i, Err: fmt.Errorf("%w: %s", ErrInvalid, reason)}))
		}
		c.batch.Events = append(c.batch.Events, e.draft())
	}
	for i := range batch.Notes {
		if n := &batch.Notes[i]; !strings.HasPrefix(n.Name, ownNotes) {
			c.batch.Notes = append(c.batch.Notes, NoteDraft{Name: n.Name, Data: n.Data})
		}
	}
	if len(c.batch.Events)+len(c.batch.Notes) == 0 {
		return false, nil
	}
	c.batch.Notes = append(c.batch.Notes, NoteDraft{Name: c.adopts.note, Data: c.adopts.data(), own: c.adopts.note})
	if err := l.append(ctx, c); err != nil {
		return fail(err)
	}
	return !c.hit, nil
}

// draft is the event as one of another log.
func (w *WholeEvent) draft() Draft {
	return Draft{
		Scope: w.Scope, Stream: w.Stream, Type: w.Type,
		Data: w.Data, Metadata: w.Metadata, Extensions: w.Extensions, Key: w.Key,
		CausedBy: ByID(w.CausedBy), Correlation: w.Correlation,
		Lane: w.Lane, Depth: w.Depth, Flags: w.Flags,
		PayloadVersion: w.PayloadVersion, Erasable: w.Erasable,
		id: w.ID, erased: w.Erased, content: w.ContentHash,
	}
}

// data is the note that says so.
//
//	1, u8 │ batch, u64 │ head behind it, 32
func (a *adoption) data() []byte {
	b := binary.LittleEndian.AppendUint64([]byte{1}, a.batch)
	return append(b, a.head[:]...)
}

// Adopted returns how far another log was taken in by Adopt, durably: the number of the
// last batch of which something was taken, and the other log's head behind it. ok is
// false if nothing was.
func (l *Log) Adopted(from uuid.UUID) (batch uint64, head Hash, ok bool) {
	note, ok := l.Note(adoptNotes + from.String())
	if !ok {
		return 0, Hash{}, false
	}
	return parseAdopted(note.Data)
}

func parseAdopted(data []byte) (batch uint64, head chain.Hash, ok bool) {
	if len(data) != adoptSize || data[0] != 1 {
		return 0, head, false
	}
	return binary.LittleEndian.Uint64(data[1:]), chain.Hash(data[9:]), true
}

// decideAdopted stages a batch of another log, or skips it: it is here already.
func (l *Log) decideAdopted(c *call, staged *staging) error {
	known, err := l.isAdopted(c, staged)
	if err != nil {
		return err
	}
	if known {
		c.hit, c.known = true, staged.batch // somewhere up to there
		return nil
	}
	if err := l.keysFree(c, staged); err != nil {
		return err
	}
	return l.stage(c, staged)
}

// isAdopted reports whether the log has a batch of another one: by the note that says how
// far that one was taken in, or by the ids of its events.
func (l *Log) isAdopted(c *call, staged *staging) (bool, error) {
	a := c.adopts
	data, ok := staged.notes[a.note]
	if !ok {
		var last index.Note
		last, ok = l.index.Note(a.note)
		data = last.Data
	}
	if ok {
		batch, head, ok := parseAdopted(data)
		switch {
		case !ok:
			return false, fmt.Errorf("%w: the note %q", ErrVersion, a.note)
		case batch == a.batch && head != a.head:
			return false, &DivergedError{Batch: batch, Item: -1, Expected: a.head, Found: head, Reason: "the other log was taken in up to this batch"}
		case batch >= a.batch:
			return true, nil
		}
	}
	r := l.reader()
	defer l.giveBack(r)
	known, events := 0, c.batch.Events
	for i := range events {
		reason, here, err := l.differsByID(r, &events[i], staged)
		switch {
		case err != nil:
			return false, err
		case reason == "" && !here && known > 0, reason == "" && here && known < i:
			return false, &IDTakenError{Item: i, ID: events[i].id, Reason: "and others of its batch are not, or the other way about"}
		case reason != "":
			return false, &IDTakenError{Item: i, ID: events[i].id, Reason: reason}
		case here:
			known++
		}
	}
	return known > 0, nil
}

// differsByID says how a draft differs from the event that has its id, if one is here.
func (l *Log) differsByID(r *reader, d *Draft, staged *staging) (reason string, here bool, err error) {
	for _, s := range staged.batches {
		if s.call.adopts != nil && slices.ContainsFunc(s.events, func(e record.Event) bool { return e.ID == d.id }) {
			return "another call is appending it just now", true, nil
		}
	}
	ordinal, here := l.index.ByID(d.id)
	if !here {
		return "", false, nil
	}
	if err := r.read(ordinal, ordinal); err != nil {
		return "", true, fmt.Errorf("look up event %v: %w", d.id, err)
	}
	if r.raw.Erased || d.erased {
		return "", true, nil // there is nothing to compare
	}
	return contentDiffers(&r.raw, d), true, nil
}

// keysFree refuses keys that another event has.
func (l *Log) keysFree(c *call, staged *staging) error {
	var conflict KeyConflictError
	for i, key := range c.keys {
		taken := KeyConflict{Item: i, Key: key, Reason: "used for another event than the one of the other log"}
		if place, ok := staged.keys[key]; ok {
			taken.ID = place.call.staged.events[place.item].ID
		} else if ordinal, ok := l.index.ByKey(key); ok {
			taken.ID = l.index.ID(ordinal)
		} else {
			continue
		}
		conflict.Items = append(conflict.Items, taken)
	}
	if len(conflict.Items) > 0 {
		return &conflict
	}
	return nil
}
