package engine

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/untorn-db/untorn/engine/record"
)

// NoteDraft is a note on its way into the log: a named fact about the log that is
// no event. It has no sequence and no version; it commits with its batch, and the
// log head binds it. Read never yields one: Note returns the last of a name, and
// Notes all of them.
type NoteDraft struct {
	Name string // 1 to 255 bytes of UTF-8 without control characters; those that begin with "untorn." are the log's
	Data []byte // at most Options.MaxMetadata bytes
	// Expect is what the last note of this name must be; the zero value requires
	// nothing. Later notes of a batch see the earlier ones.
	Expect NoteExpect

	own string // the name of the log's that this package has given it, or ""
}

// NoteExpect is what a note requires of the one of the same name before it.
type NoteExpect struct {
	how    noteExpectation
	data   string
	orNone bool // no note will do, too
}

type noteExpectation uint8

const (
	anyNote noteExpectation = iota
	noNote
	noteData
)

// NoNote requires that there is no note of the name.
func NoNote() NoteExpect { return NoteExpect{how: noNote} }

// NoteIs requires that the last note of the name has this data.
func NoteIs(data []byte) NoteExpect { return NoteExpect{how: noteData, data: string(data)} }

// Note is a note that the log holds. What a read yields is the caller's to keep
// and change.
type Note struct {
	Name    string
	Data    []byte
	Batch   uint64    // number of the batch that brought it
	Time    time.Time // of that batch
	Durable bool      // false only for notes read with NoteQuery.Buffered that no sync has covered
}

// NoteQuery selects notes. The zero value selects all of them, in order.
type NoteQuery struct {
	Name               string // "" means every name
	FromBatch, ToBatch uint64 // inclusive; 0 means no bound
	Backward           bool   // last first
	Limit              int    // at most so many; 0 means all
	Buffered           bool   // also those that are written but not durable
}

// ErrNoteChanged is matched by *NoteChangedError.
var ErrNoteChanged = errors.New("the note has changed")

// NoteChangedError answers a note whose Expect does not hold. It matches
// ErrNoteChanged.
type NoteChangedError struct {
	Name   string
	Exists bool   // whether there is a note of this name
	Actual []byte // its data
}

func (e *NoteChangedError) Error() string {
	if name, ok := strings.CutPrefix(e.Name, cursorNotes); ok {
		_, position, _ := parseMove(e.Actual)
		return fmt.Sprintf("cursor %q is at event %d: %v", name, position, ErrCursorMoved)
	}
	if !e.Exists {
		return fmt.Sprintf("there is no note %q, one was expected: read it again and decide anew", e.Name)
	}
	return fmt.Sprintf("note %q is not what was expected: read it again and decide anew", e.Name)
}

// Is reports whether target is ErrNoteChanged, or ErrCursorMoved for the note of a
// cursor.
func (e *NoteChangedError) Is(target error) bool {
	return target == ErrNoteChanged || target == ErrCursorMoved && strings.HasPrefix(e.Name, cursorNotes)
}

// ownNotes begins the names of the notes that this package makes.
const ownNotes = "untorn."

// noteDraft looks at a note of a batch, and returns it encoded.
func (v *validation) noteDraft(n *NoteDraft, at int) []byte {
	v.note = at + 1
	v.text("Name", n.Name, 1)
	v.length("Data", len(n.Data), v.opts.MaxMetadata)
	if strings.HasPrefix(n.Name, ownNotes) && n.own != n.Name {
		v.problem(ErrInvalid, "Name %q: names that begin with %q are the log's own", n.Name, ownNotes)
	}
	v.note = 0
	encoded := (&record.Note{Name: n.Name, Data: n.Data}).AppendRecord(make([]byte, 0, 4+len(n.Name)+len(n.Data)))
	v.content += int64(len(encoded))
	return encoded
}

// expectNote checks what a note of a call requires of the one before it.
func (l *Log) expectNote(c *call, staged *staging, at int) error {
	n := &c.batch.Notes[at]
	if name, ok := strings.CutPrefix(n.own, cursorNotes); ok {
		if _, to, _ := parseMove(n.Data); to > staged.sequence {
			return fmt.Errorf("%w: cursor %q cannot move to event %d: the last one before this batch is %d", ErrInvalid, name, to, staged.sequence)
		}
	}
	if n.Expect.how == anyNote {
		return nil
	}
	data, exists := l.noteBefore(c, staged, at)
	if !exists && (n.Expect.how == noNote || n.Expect.orNone) || exists && n.Expect.how == noteData && string(data) == n.Expect.data {
		return nil
	}
	return &NoteChangedError{Name: n.Name, Exists: exists, Actual: bytes.Clone(data)}
}

// noteBefore returns the data of the last note of a name: of the batch, the group,
// or the log.
func (l *Log) noteBefore(c *call, staged *staging, at int) (data []byte, exists bool) {
	notes := c.batch.Notes
	for i := at - 1; i >= 0; i-- {
		if notes[i].Name == notes[at].Name {
			return notes[i].Data, true
		}
	}
	if data, ok := staged.notes[notes[at].Name]; ok {
		return data, true
	}
	last, ok := l.index.Note(notes[at].Name)
	return last.Data, ok
}

// Note returns the last durable note of a name.
func (l *Log) Note(name string) (Note, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.index.ShownNote(name)
	if !ok {
		return Note{}, false
	}
	batch := l.index.BatchNumbered(last.Batch)
	return Note{
		Name: name, Data: own(last.Data), Batch: last.Batch, Time: timeOf(batch.Time, 1),
		Durable: last.Batch <= l.durable.batch,
	}, true
}

// NoteName is what the log holds under one name of notes.
type NoteName struct {
	Name  string
	Notes uint64    // how many there are
	Size  int       // of the last one's Data, in bytes
	Batch uint64    // number of the batch that brought the last one
	Time  time.Time // of that batch
}

// NoteNames yields each name of which the log has a durable note, sorted, with what
// there is of it. Those that begin with "untorn." are the log's own: signatures,
// denials, how far another log was taken in (see Adopted), and the moves of cursors, of
// which Cursors says more. Nothing is read from the disk.
func (l *Log) NoteNames() iter.Seq[NoteName] {
	look := func(name string) (NoteName, bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		last, ok := l.index.ShownNote(name)
		if !ok {
			return NoteName{}, false
		}
		at := timeOf(l.index.BatchNumbered(last.Batch).Time, 1)
		return NoteName{Name: name, Notes: last.Count, Size: len(last.Data), Batch: last.Batch, Time: at}, true
	}
	return func(yield func(NoteName) bool) {
		for _, name := range l.noteNames("") {
			if last, ok := look(name); ok && !yield(last) {
				return
			}
		}
	}
}

// noteNames returns the names of notes that begin with a prefix, sorted.
func (l *Log) noteNames(prefix string) []string {
	l.mu.Lock()
	names := l.index.NoteNames()
	l.mu.Unlock()
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) })
	slices.Sort(names)
	return names
}

// Notes yields the notes that a query selects, up to the durable frontier of its
// start. On an error it yields that once and stops. A Name does not make it faster:
// all notes of the batches in question are read.
func (l *Log) Notes(q NoteQuery) iter.Seq2[Note, error] {
	return func(yield func(Note, error) bool) {
		from, to := l.noteSelection(&q)
		r := l.reader()
		defer l.giveBack(r)
		yielded := 0
		for i := from; i < to; i++ {
			if q.Limit > 0 && yielded == q.Limit {
				return
			}
			at, last := i, to-1
			if q.Backward {
				at, last = from+(to-1-i), from
			}
			if err := r.readNote(at, last); err != nil {
				yield(Note{}, fmt.Errorf("engine: read notes: %w", err))
				return
			}
			if q.Name != "" && q.Name != r.noted.Name {
				continue
			}
			yielded++
			if !yield(r.note(), nil) {
				return
			}
		}
	}
}

// noteSelection returns the ordinals of the notes that a query selects by place.
func (l *Log) noteSelection(q *NoteQuery) (from, to uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bound := l.durable.batch
	if q.Buffered && l.failed == nil {
		bound = l.written.batch
	}
	if q.ToBatch > 0 {
		bound = min(bound, q.ToBatch)
	}
	from, to = l.index.FirstNote(q.FromBatch), l.index.FirstNote(bound+1)
	return from, max(from, to)
}

// note is the note that was read.
func (r *reader) note() Note {
	b := &r.where.batch
	return Note{
		Name: r.noted.Name, Data: own(r.noted.Data), Batch: b.Number,
		Time: timeOf(b.Time, 1), Durable: b.Number <= r.where.durable,
	}
}
