package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
)

// Cursor is a named place in what a query selects, which the log remembers: all
// up to it has been handled. It is a note of the log: a move commits in a batch,
// with other events and notes or alone, and only if nobody has moved the cursor
// meanwhile. So what is appended together with a move happens once, whatever
// crashes.
//
// Each move is a note, for ever: handle events in batches where there are many.
//
// Its first move binds a cursor to its query: from then on it is refused with another
// one. It holds nothing open, and may be used from many goroutines at once.
type Cursor struct {
	log      *Log
	name     string
	query    Query
	identity chain.Hash
}

// ErrCursorMoved: somebody else has moved the cursor. It matches what AppendBatch
// says of a batch with a Move that does not hold, too.
var ErrCursorMoved = errors.New("the cursor was moved by somebody else")

// ErrCursorQuery: the cursor was moved under another query, by which its position was
// found.
var ErrCursorQuery = errors.New("the cursor belongs to another query: use the same query, or another name")

// cursorNotes begins the names of the notes of cursors.
const cursorNotes = ownNotes + "cursor/"

// Cursor returns the cursor with a name of 1 to 241 bytes over what a query
// selects, as a subscription would: Backward, Limit and Buffered are refused with
// ErrInvalid, and Borrow is not done. It is at 0 until its first move, and the log
// knows nothing of it. The error matches ErrCursorQuery if it was moved under another
// query. If two queries have the name before that, the first move wins: the other
// cursor is refused from then on, and so are its moves, with what is beside them.
func (l *Log) Cursor(name string, q Query) (*Cursor, error) {
	fail := func(err error) (*Cursor, error) { return nil, fmt.Errorf("engine: cursor %q: %w", name, err) }
	v := validation{opts: &l.opts, item: -1}
	v.text("the name of the cursor with its prefix", cursorNotes+name, len(cursorNotes)+1)
	v.length("the note of a move", moveSize, l.opts.MaxMetadata)
	if err := errors.Join(v.err(), q.CheckLasting()); err != nil {
		return fail(err)
	}
	q.Types, q.Borrow = slices.Clone(q.Types), false
	c := &Cursor{log: l, name: name, query: q, identity: chain.Cursor(q.AppendIdentity(nil))}
	if _, err := c.position(); err != nil {
		return fail(err)
	}
	return c, nil
}

// Name is the cursor's name.
func (c *Cursor) Name() string { return c.name }

// Position is the sequence of the last event that was handled; 0 if none was. A
// move that was appended with Buffered may be lost in a power cut.
func (c *Cursor) Position() (uint64, error) {
	at, err := c.position()
	if err != nil {
		return 0, fmt.Errorf("engine: cursor %q: %w", c.name, err)
	}
	return at, nil
}

func (c *Cursor) position() (uint64, error) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	look := l.index.Note
	if l.failed != nil {
		look = l.index.ShownNote
	}
	note, ok := look(cursorNotes + c.name)
	if !ok {
		return 0, nil
	}
	identity, position, ok := parseMove(note.Data)
	switch {
	case !ok:
		return 0, moveError(note)
	case identity != c.identity:
		return 0, ErrCursorQuery
	}
	return position, nil
}

// Move is the note that moves the cursor from one position to another, forward or
// back: 0 is before the first event. A batch that has it is refused with
// ErrCursorMoved if the cursor is elsewhere, and with ErrInvalid if there is no event
// with that sequence before the batch.
//
// A new name may begin where an old one is: with a query that selects more, its first
// move is from 0 to the other's Position.
func (c *Cursor) Move(from, to uint64) NoteDraft {
	expect := NoteIs(c.move(from))
	expect.orNone = from == 0
	return NoteDraft{Name: cursorNotes + c.name, Data: c.move(to), Expect: expect, own: cursorNotes + c.name}
}

// behind is the sequence that follows another one; there is none behind the last.
func behind(sequence uint64) uint64 { return max(sequence, sequence+1) }

// Events yields what comes behind the cursor's position, as Subscribe does. It does
// not move the cursor.
func (c *Cursor) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		position, err := c.Position()
		if err != nil {
			yield(Event{}, err)
			return
		}
		q := c.query
		q.FromSequence = max(q.FromSequence, behind(position))
		c.log.Subscribe(ctx, q)(yield)
	}
}

// CursorState is where a cursor is, and what the log knows of it: its moves. The
// query itself is not in the log.
type CursorState struct {
	Name     string
	Position uint64 // sequence of the last event that was handled
	// Query tells the cursor's query from others: it is chain.Cursor of its
	// AppendIdentity.
	Query Hash
	Moves uint64    // how often it was moved
	Batch uint64    // number of the batch that has moved it last
	Time  time.Time // of that batch
	// Err is nil, or why Position and Query are not known: an error that matches
	// ErrVersion.
	Err error
}

// Cursors yields each cursor that was ever moved, sorted by name, as its last durable
// move has left it. Nothing is read from the disk.
//
// Stats.Visible.Sequence − Position is how many events of the log lie behind a
// cursor; its query may leave some of them out.
func (l *Log) Cursors() iter.Seq[CursorState] {
	return func(yield func(CursorState) bool) {
		for _, name := range l.noteNames(cursorNotes) {
			if state, ok := l.cursorState(name); ok && !yield(state) {
				return
			}
		}
	}
}

// cursorState is that of the cursor whose notes have this name.
func (l *Log) cursorState(note string) (CursorState, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.index.ShownNote(note)
	if !ok {
		return CursorState{}, false
	}
	state := CursorState{
		Name: strings.TrimPrefix(note, cursorNotes), Moves: last.Count, Batch: last.Batch,
		Time: timeOf(l.index.BatchNumbered(last.Batch).Time, 1),
	}
	if state.Query, state.Position, ok = parseMove(last.Data); !ok {
		state.Err = moveError(last)
	}
	return state, true
}

func moveError(note index.Note) error {
	return fmt.Errorf("%w: the cursor's note in batch %d", ErrVersion, note.Batch)
}

// The data of a cursor's note is
//
//	0 ┌──────────────────────────────────┐
//	  │ 1                                │   version
//	1 ├──────────────────────────────────┤
//	  │ identity of the query, 32 bytes  │
//	33├──────────────────────────────────┤
//	  │ position, u64                    │   sequence of the last event handled
//	41└──────────────────────────────────┘
const moveSize = 1 + chain.Size + 8

func (c *Cursor) move(position uint64) []byte {
	data := append(make([]byte, 0, moveSize), 1)
	data = append(data, c.identity[:]...)
	return binary.LittleEndian.AppendUint64(data, position)
}

func parseMove(data []byte) (identity chain.Hash, position uint64, ok bool) {
	if len(data) != moveSize || data[0] != 1 {
		return identity, 0, false
	}
	copy(identity[:], data[1:])
	return identity, binary.LittleEndian.Uint64(data[1+chain.Size:]), true
}
