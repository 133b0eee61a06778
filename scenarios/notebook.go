package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

// notebook is what callers were told of notes. It is never changed in place. The
// notes of the log's own are not in it: what they say is checked elsewhere.
type notebook struct {
	calls []notedCall // with notes, in the order in which they started
	shown []engine.Note
	clock int // counts starts and answers
}

// notedCall is a call whose batch has notes.
type notedCall struct {
	id                int
	key               string // of the first item
	notes             []engine.NoteDraft
	buffered          bool
	started, answered int // on the notebook's clock; answered 0: not, or in doubt
	state             notedState
}

type notedState uint8

const (
	mayBe  notedState = iota // in flight, in doubt, or buffered
	mustBe                   // durable
	neverIs
)

// plainNotes are those that are not the log's own.
func plainNotes(b *engine.Batch) (notes []engine.NoteDraft) {
	for _, n := range b.Notes {
		if !strings.HasPrefix(n.Name, "untorn.") {
			notes = append(notes, n)
		}
	}
	return notes
}

// firstKey is the key of a batch's first item.
func firstKey(b *engine.Batch) string {
	switch {
	case b.Key != "":
		return b.Key + "/0"
	case len(b.Events) > 0:
		return b.Events[0].Key
	}
	return ""
}

// start notes that a call begins.
func (n notebook) start(id int, b *engine.Batch) notebook {
	n.clock++
	if notes := plainNotes(b); len(notes) > 0 {
		n.calls = append(slices.Clip(n.calls), notedCall{id: id, key: firstKey(b), notes: notes, buffered: b.Durability == engine.Buffered, started: n.clock})
	}
	return n
}

// answer notes the answer to a call that began at that time.
func (n notebook) answer(id, began int, b *engine.Batch, err error) notebook {
	n.clock++
	n.calls = slices.Clone(n.calls)
	for i := range n.calls {
		c := &n.calls[i]
		if c.id != id {
			continue
		}
		switch {
		case err == nil:
			c.answered = n.clock
			if !c.buffered {
				c.state = mustBe
			}
		case errors.Is(err, engine.ErrRejected), errors.Is(err, engine.ErrFailed):
			c.state = neverIs
		}
	}
	if err == nil && b.Durability == engine.Durable && len(b.Events)+len(b.Notes) > 0 {
		n = n.covered(began)
	}
	return n
}

// covered notes that all that was answered by some time is durable.
func (n notebook) covered(by int) notebook {
	n.calls = slices.Clone(n.calls)
	for i := range n.calls {
		if c := &n.calls[i]; c.state == mayBe && c.answered > 0 && c.answered <= by {
			c.state = mustBe
		}
	}
	return n
}

// opened notes what an Open showed: what it left out never comes back.
func (n notebook) opened(notes []engine.Note) notebook {
	return notebook{shown: notes, clock: n.clock}
}

// check compares the notes of a log that was just opened with what callers were
// told. A disk that lies may have lost the last ones.
func (n notebook) check(found []engine.Note, lies bool) error {
	broken := func(id, expected, what string) error {
		return &invariant.Violation{Invariant: id, Expected: expected, Found: what}
	}
	for i, want := range n.shown {
		switch {
		case i >= len(found) && lies:
			return nil
		case i >= len(found):
			return broken("I13", "note "+describe(&want)+", which an earlier Open showed", "an earlier end")
		case !sameNote(&found[i], &want):
			return broken("I13", "note "+describe(&want)+", which an earlier Open showed", describe(&found[i]))
		}
	}
	rest := found[min(len(n.shown), len(found)):]
	placed := make([]uint64, len(n.calls)) // batches
	for len(rest) > 0 {
		batch := rest[0].Batch
		end := slices.IndexFunc(rest, func(note engine.Note) bool { return note.Batch != batch })
		if end < 0 {
			end = len(rest)
		}
		at := n.place(rest[:end], placed)
		if at < 0 {
			return broken("I3", "notes that were submitted together, each once", fmt.Sprintf("%s and %d more in batch %d", describe(&rest[0]), end-1, batch))
		}
		for i, other := range placed {
			if before := n.calls[at].answered > 0 && n.calls[at].answered < n.calls[i].started; before && other > 0 && other < batch {
				return broken("I4", fmt.Sprintf("%s before %s, which began later", n.calls[at].notes[0].Name, n.calls[i].notes[0].Name), "the reverse")
			}
		}
		placed[at] = batch
		rest = rest[end:]
	}
	for i := range n.calls {
		c := &n.calls[i]
		if c.state != mustBe || placed[i] > 0 || lies || n.keyed(c, placed, found) {
			continue
		}
		return broken("I1", fmt.Sprintf("note %q of call %d, acknowledged as durable", c.notes[0].Name, c.id), "none")
	}
	return nil
}

// place returns the call that the notes of a batch are of, and that has none yet.
func (n notebook) place(notes []engine.Note, placed []uint64) int {
	best := -1
	for i := range n.calls {
		c := &n.calls[i]
		same := placed[i] == 0 && c.state != neverIs && slices.EqualFunc(notes, c.notes, func(a engine.Note, b engine.NoteDraft) bool {
			return a.Name == b.Name && string(a.Data) == string(b.Data)
		})
		if !same || n.placedByKey(c.key, placed) {
			continue
		}
		if best < 0 || n.calls[best].state == mayBe && c.state == mustBe {
			best = i
		}
	}
	return best
}

// keyed reports whether another call with its key has brought a call's notes, now
// or before the log was opened last.
func (n notebook) keyed(c *notedCall, placed []uint64, found []engine.Note) bool {
	return c.key != "" && (n.placedByKey(c.key, placed) || slices.ContainsFunc(found[:min(len(n.shown), len(found))], func(note engine.Note) bool {
		return note.Name == c.notes[0].Name && string(note.Data) == string(c.notes[0].Data)
	}))
}

func (n notebook) placedByKey(key string, placed []uint64) bool {
	for i := range n.calls {
		if key != "" && n.calls[i].key == key && placed[i] > 0 {
			return true
		}
	}
	return false
}

func sameNote(a, b *engine.Note) bool {
	return a.Name == b.Name && a.Batch == b.Batch && string(a.Data) == string(b.Data)
}

func describe(n *engine.Note) string {
	return fmt.Sprintf("%q, %.20q of %d bytes in batch %d", n.Name, n.Data, len(n.Data), n.Batch)
}

// notes lists the notes of the log that are not its own.
func (w *world) notes() (list []engine.Note, err error) {
	for note, err := range w.log.Notes(engine.NoteQuery{}) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(note.Name, "untorn.") {
			list = append(list, note)
		}
	}
	return list, nil
}

// checkNotes compares what the log has just shown.
func (w *world) checkNotes() error {
	found, err := w.notes()
	if errors.Is(err, engine.ErrCorrupt) && (w.budget.LyingDisk || w.budget.Damage) {
		return nil // it is told, and not served
	}
	if err != nil {
		return &invariant.Violation{Invariant: "I1", Expected: "a read of all notes", Found: "an error: " + err.Error()}
	}
	if err := w.notebook.check(found, w.budget.LyingDisk); err != nil {
		return err
	}
	w.notebook = w.notebook.opened(found)
	return nil
}
