package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

func note(name, data string) engine.NoteDraft {
	return engine.NoteDraft{Name: name, Data: []byte(data)}
}

// noted lists the notes that a query selects, as name=data@batch.
func noted(t *testing.T, log *engine.Log, q engine.NoteQuery) []string {
	t.Helper()
	var list []string
	for n, err := range log.Notes(q) {
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%s=%.20s@%d", n.Name, n.Data, n.Batch)
		if !n.Durable {
			text += "?"
		}
		list = append(list, text)
	}
	return list
}

func is(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestNotes: they commit with their batch, or alone, survive, move with a fresh
// segment, and no event is among them.
func TestNotes(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, engine.Options{})
	log := m.open()
	put := func(b engine.Batch) []engine.Receipt {
		t.Helper()
		receipts, err := log.AppendBatch(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return receipts
	}
	put(engine.Batch{Events: drafts("one"), Notes: []engine.NoteDraft{note("a", "1"), note("b", "2")}})
	if receipts := put(engine.Batch{Notes: []engine.NoteDraft{note("a", "3"), note("c", "")}}); receipts != nil {
		t.Errorf("receipts of notes: %v", receipts)
	}
	large := big("large", 10_000) // in pieces
	data := []byte(large)
	tx := log.Begin("", engine.Durable)
	stage(t, tx, draft("two"))
	if err := tx.Note(engine.NoteDraft{Name: "a", Data: data}); err != nil {
		t.Fatal(err)
	}
	clear(data) // the transaction has its own
	if _, err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	put(engine.Batch{Notes: []engine.NoteDraft{note("b", "not durable")}, Durability: engine.Buffered})

	inBatches := []string{"a=1@1", "b=2@1", "a=3@2", "c=@2", "a=" + large[:20] + "@3"}
	check := func(log *engine.Log) {
		t.Helper()
		is(t, "all", noted(t, log, engine.NoteQuery{ToBatch: 3}), inBatches)
		is(t, "of a name", noted(t, log, engine.NoteQuery{Name: "a", FromBatch: 2, ToBatch: 3}), []string{inBatches[2], inBatches[4]})
		is(t, "backward", noted(t, log, engine.NoteQuery{ToBatch: 3, Backward: true, Limit: 2}), []string{inBatches[4], inBatches[3]})
		if last, ok := log.Note("a"); !ok || string(last.Data) != large || last.Batch != 3 || last.Time.IsZero() || !last.Durable {
			t.Errorf("the last note: %.30q of batch %d, %v", last.Data, last.Batch, ok)
		}
		if _, ok := log.Note("nobody"); ok {
			t.Error("a note that was never written is there")
		}
		m.holds(log, "one", "two")
	}
	check(log)
	is(t, "not durable", noted(t, log, engine.NoteQuery{FromBatch: 4}), nil)
	is(t, "not durable, asked for", noted(t, log, engine.NoteQuery{FromBatch: 4, Buffered: true}), []string{"b=not durable@4?"})
	if last, _ := log.Note("b"); string(last.Data) != "2" {
		t.Errorf("a note that is not durable is shown: %q", last.Data)
	}

	m.crash(simfs.ProcessKill, simfs.Latest()) // what was written is there, and nothing proves it
	log = m.open()
	if r := log.Recovery(); r.Fresh == 0 || r.Carried == 0 {
		t.Fatalf("nothing was carried: %+v", r)
	}
	check(log)
	is(t, "carried", noted(t, log, engine.NoteQuery{FromBatch: 4}), []string{"b=not durable@4"})
	if head := log.LogHead(); head.Batch != 4 || head.Sequence != 2 {
		t.Errorf("the head: %+v", head)
	}
	appended(t, log, "three")
	closed(t, log)
	m.reopened("one", "two", "three")
}

// TestNoteNames: each name of a durable note once, with the count and the size of
// what is durable.
func TestNoteNames(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	check := func(log *engine.Log, want ...string) {
		t.Helper()
		var got []string
		for n := range log.NoteNames() {
			got = append(got, fmt.Sprintf("%s: %d, %d bytes in batch %d", n.Name, n.Notes, n.Size, n.Batch))
			if last, ok := log.Note(n.Name); !ok || !last.Time.Equal(n.Time) || last.Batch != n.Batch {
				t.Errorf("%+v, and the last note is %+v, %v", n, last, ok)
			}
		}
		is(t, "the names", got, want)
	}
	put := func(d engine.Durability, notes ...engine.NoteDraft) {
		t.Helper()
		if _, err := log.AppendBatch(t.Context(), engine.Batch{Notes: notes, Durability: d}); err != nil {
			t.Fatal(err)
		}
	}
	check(log)
	put(engine.Durable, note("b", "12"), note("a", "1"), note("b", "123"))
	put(engine.Durable, note("b", "1"))
	put(engine.Buffered, note("b", "12345"), note("c", ""))
	want := []string{"a: 1, 1 bytes in batch 1", "b: 3, 1 bytes in batch 2"}
	check(log, want...)
	for range log.NoteNames() {
		break // panics if NoteNames goes on
	}
	put(engine.Durable, note("b", ""))
	all := []string{want[0], "b: 5, 0 bytes in batch 4", "c: 1, 0 bytes in batch 3"}
	check(log, all...)
	put(engine.Buffered, note("c", "lost"))
	m.powerLoss(simfs.Oldest())
	log = m.open()
	check(log, all...)
}

// TestNotesThatExpect: a note is refused with its batch if the one before it is
// not what it expects, whoever wrote that: the log, the group, or the batch.
func TestNotesThatExpect(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, engine.Options{})
	log := m.open()
	put := func(notes ...engine.NoteDraft) error {
		_, err := log.AppendBatch(ctx, engine.Batch{Events: drafts("e"), Notes: notes})
		return err
	}
	when := func(n engine.NoteDraft, e engine.NoteExpect) engine.NoteDraft { n.Expect = e; return n }
	tests := []struct {
		what  string
		notes []engine.NoteDraft
		found string // what is there instead; "" none, "ok" as expected
	}{
		{"none expected, none there", []engine.NoteDraft{when(note("a", "1"), engine.NoNote())}, "ok"},
		{"none expected, one there", []engine.NoteDraft{when(note("a", "2"), engine.NoNote())}, "1"},
		{"one expected, none there", []engine.NoteDraft{when(note("z", "2"), engine.NoteIs([]byte("1")))}, ""},
		{"another expected", []engine.NoteDraft{when(note("a", "2"), engine.NoteIs([]byte("0")))}, "1"},
		{"an earlier one of the batch", []engine.NoteDraft{when(note("a", "2"), engine.NoteIs([]byte("1"))), when(note("a", "3"), engine.NoteIs([]byte("2")))}, "ok"},
		{"not the earlier one of the batch", []engine.NoteDraft{note("a", "4"), when(note("a", "5"), engine.NoteIs([]byte("3")))}, "4"},
		{"an empty one expected", []engine.NoteDraft{note("e", ""), when(note("e", "1"), engine.NoteIs(nil))}, "ok"},
	}
	events := 0
	for _, test := range tests {
		err := put(test.notes...)
		if test.found == "ok" {
			events++
			if err != nil {
				t.Errorf("%s: %v", test.what, err)
			}
			continue
		}
		matches(t, err, engine.ErrRejected, engine.ErrNoteChanged)
		var changed *engine.NoteChangedError
		if !errors.As(err, &changed) || changed.Exists != (test.found != "") || string(changed.Actual) != test.found {
			t.Errorf("%s: %+v", test.what, changed)
		}
	}
	if n := len(all(t, log, engine.Query{})); n != events {
		t.Errorf("%d events, want %d: a refused note leaves nothing of its batch", n, events)
	}
	for what, b := range map[string]engine.Batch{
		"no name":            {Notes: []engine.NoteDraft{note("", "1")}},
		"a name of the log":  {Notes: []engine.NoteDraft{note("untorn.cursor/x", "1")}},
		"a control byte":     {Notes: []engine.NoteDraft{note("a\n", "1")}},
		"a key and no event": {Key: "k", Notes: []engine.NoteDraft{note("a", "1")}},
	} {
		if _, err := log.AppendBatch(ctx, b); !errors.Is(err, engine.ErrInvalid) || !errors.Is(err, engine.ErrRejected) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{note("a", big("", 64<<10+1))}}); !errors.Is(err, engine.ErrLimit) {
		t.Errorf("data over the limit: %v", err)
	}
	closed(t, log)
}

// TestANoteIsPartOfWhatAKeyNames: a retry with other notes is another batch, in
// the log and in the group.
func TestANoteIsPartOfWhatAKeyNames(t *testing.T) {
	ctx := context.Background()
	batch := func(notes ...engine.NoteDraft) engine.Batch {
		return engine.Batch{Key: "k", Events: drafts("one"), Notes: notes}
	}
	m := newMachine(t, engine.Options{})
	log := m.open()
	first, err := log.AppendBatch(ctx, batch(note("a", "1")))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := log.AppendBatch(ctx, batch(note("a", "1"))); err != nil || !again[0].Equal(first[0]) {
		t.Errorf("the same: %v, %v", again, err)
	}
	for _, notes := range [][]engine.NoteDraft{nil, {note("a", "2")}, {note("b", "1")}, {note("a", "1"), note("a", "1")}} {
		if _, err := log.AppendBatch(ctx, batch(notes...)); !errors.Is(err, engine.ErrKeyConflict) {
			t.Errorf("with notes %v: %v", notes, err)
		}
	}
	closed(t, log)

	for seed := range uint64(40) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			var same, other int
			c.each(6, func(i int) {
				_, err := c.log.AppendBatch(ctx, batch(note("a", fmt.Sprint(i%2))))
				switch {
				case err == nil:
					same++
				case errors.Is(err, engine.ErrKeyConflict):
					other++
				default:
					t.Error(err)
				}
			})
			if same != 3 || other != 3 {
				t.Errorf("seed %d: %d shared the outcome, %d were refused", seed, same, other)
			}
		})
	}
}

// TestOneOfManyMovesANote: of clients that all expect the same note one wins,
// whether they share a group or not.
func TestOneOfManyMovesANote(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(60) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			for round := range 3 {
				won := 0
				c.each(5, func(i int) {
					n := note("n", fmt.Sprint(round))
					if n.Expect = engine.NoNote(); round > 0 {
						n.Expect = engine.NoteIs(fmt.Append(nil, round-1))
					}
					_, err := c.log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{n}, Durability: engine.Durability(i % 2)})
					if err == nil {
						won++
					} else if !errors.Is(err, engine.ErrNoteChanged) {
						t.Error(err)
					}
				})
				if won != 1 {
					t.Errorf("seed %d: %d clients have moved the note", seed, won)
				}
			}
		})
	}
}
