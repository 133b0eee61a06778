package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

func adopt(t *testing.T, log *engine.Log, from uuid.UUID, list []engine.WholeBatch, d engine.Durability) (adopted int) {
	t.Helper()
	for _, b := range list {
		ok, err := log.Adopt(context.Background(), from, b, d)
		if err != nil {
			t.Fatalf("batch %d: %v", b.Number, err)
		}
		if ok {
			adopted++
		}
	}
	return adopted
}

// elsewhere is a machine whose logs draw other ids.
func elsewhere(t *testing.T, options engine.Options) *machine {
	m := newMachine(t, options)
	m.lives = 100
	return m
}

// foreign is what an event of another log keeps, and what it does not.
func foreign(e engine.Event) engine.Event {
	e.Sequence, e.Version, e.Batch, e.Hash, e.Time, e.Clock = 0, 0, 0, engine.Hash{}, time.Time{}, time.Time{}
	return e
}

func TestAdopt(t *testing.T) {
	source := rich(t, newMachine(t, engine.Options{}))
	defer closed(t, source)
	batches := whole(t, source, 1)
	for _, durability := range []engine.Durability{engine.Durable, engine.Buffered} {
		m := elsewhere(t, engine.Options{})
		log := m.open()
		appended(t, log, "mine")
		if _, _, ok := log.Adopted(source.ID()); ok {
			t.Fatal("adopted before")
		}
		// The moves of a cursor, a denial and a signature are the other log's own.
		if n := adopt(t, log, source.ID(), batches, durability); n != len(batches)-2 {
			t.Fatalf("%d of %d batches were taken", n, len(batches))
		}
		if err := log.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		last := batches[len(batches)-1]
		if batch, head, ok := log.Adopted(source.ID()); !ok || batch != last.Number || head != last.Head {
			t.Fatalf("adopted up to %d:%v, %v", batch, head, ok)
		}
		var events, want []engine.Event
		perBatch := map[uint64]int{}
		for _, e := range all(t, log, engine.Query{FromSequence: 2}) {
			perBatch[e.Batch]++
			events = append(events, foreign(e))
		}
		for _, e := range all(t, source, engine.Query{}) {
			want = append(want, foreign(e))
		}
		if !reflect.DeepEqual(events, want) {
			t.Fatalf("adopted\n%+v\nwant\n%+v", events, want)
		}
		if perBatch[2] != 1 || perBatch[3] != 3 {
			t.Errorf("events of batches: %v", perBatch)
		}
		if note, ok := log.Note("n"); !ok || string(note.Data) != "2" {
			t.Errorf("note n: %+v", note)
		}
		if c, err := log.Cursor("c", engine.Query{}); err != nil {
			t.Fatal(err)
		} else {
			at(t, c, 0)
		}
		receipt, err := log.ReceiptOf("k/1")
		if err != nil || receipt.ID != batches[1].Events[1].ID {
			t.Errorf("the key is of %v, %v", receipt.ID, err)
		}
		head := log.LogHead()
		if n := adopt(t, log, source.ID(), batches, durability); n != 0 || log.LogHead() != head {
			t.Fatalf("%d batches were taken again", n)
		}
		verified(t, log)
		closed(t, log)
		log = m.open()
		if n := adopt(t, log, source.ID(), batches, durability); n != 0 {
			t.Fatalf("%d batches were taken again", n)
		}
		for _, e := range events {
			if got, err := log.Get(e.ID); err != nil || got.ID != e.ID {
				t.Fatalf("get %v: %v", e.ID, err)
			}
		}
		appended(t, log, "mine again")
		closed(t, log)
	}
}

func TestAdoptRefuses(t *testing.T) {
	m := newMachine(t, engine.Options{})
	source := m.open()
	ctx := context.Background()
	if _, err := source.AppendBatch(ctx, engine.Batch{Key: "k", Events: drafts("a", "b")}); err != nil {
		t.Fatal(err)
	}
	appended(t, source, "c")
	batches := whole(t, source, 1)
	id := source.ID()
	closed(t, source)
	open := func() *engine.Log { return elsewhere(t, engine.Options{MaxPayload: 10}).open() }

	t.Run("key", func(t *testing.T) {
		log := open()
		defer closed(t, log)
		if _, err := log.Append(ctx, engine.Draft{Stream: "s", Type: "t", Key: "k/1", Data: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		_, err := log.Adopt(ctx, id, batches[0], engine.Durable)
		matches(t, err, engine.ErrRejected, engine.ErrKeyConflict)
		if conflict := (*engine.KeyConflictError)(nil); !errors.As(err, &conflict) || len(conflict.Items) != 1 || conflict.Items[0].Item != 1 || conflict.Items[0].ID == uuid.Nil {
			t.Errorf("%v", err)
		}
		keyless := []engine.WholeBatch{batches[0]}
		keyless[0].Events = append([]engine.WholeEvent(nil), batches[0].Events...)
		for i := range keyless[0].Events {
			keyless[0].Events[i].Key = ""
		}
		adopt(t, log, id, keyless, engine.Durable)
	})
	t.Run("ids", func(t *testing.T) {
		log := open()
		defer closed(t, log)
		adopt(t, log, id, batches, engine.Durable)
		head := log.LogHead()
		// By another way the same events are here already.
		other := uuid.UUID{9}
		if n := adopt(t, log, other, batches, engine.Durable); n != 0 || log.LogHead() != head {
			t.Fatalf("%d batches were taken again", n)
		}
		for name, change := range map[string]func(b *engine.WholeBatch){
			"one is new":    func(b *engine.WholeBatch) { b.Events[1].ID[0] ^= 1 },
			"first is new":  func(b *engine.WholeBatch) { b.Events[0].ID[0] ^= 1 },
			"other stream":  func(b *engine.WholeBatch) { b.Events[1].Stream = "z" },
			"other type":    func(b *engine.WholeBatch) { b.Events[1].Type = "z" },
			"other content": func(b *engine.WholeBatch) { b.Events[1].Data = []byte("z") },
		} {
			b := batches[0]
			b.Events = append([]engine.WholeEvent(nil), b.Events...)
			change(&b)
			_, err := log.Adopt(ctx, other, b, engine.Durable)
			var taken *engine.IDTakenError
			if !errors.Is(err, engine.ErrRejected) || !errors.Is(err, engine.ErrIDTaken) || !errors.As(err, &taken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A log that had another head there is another log.
		b := batches[1]
		b.Head[0] ^= 1
		_, err := log.Adopt(ctx, id, b, engine.Durable)
		matches(t, err, engine.ErrRejected, engine.ErrDiverged)
		if log.LogHead() != head {
			t.Error("something was appended")
		}
	})
	t.Run("limits and gates", func(t *testing.T) {
		denied := newMachine(t, engine.Options{Gates: []engine.Gate{{Name: "no", Permit: func(context.Context, *engine.Proposal) error { return errors.New("no") }}}}).open()
		_, err := denied.Adopt(ctx, id, batches[0], engine.Durable)
		matches(t, err, engine.ErrRejected, engine.ErrDenied)
		closed(t, denied)
		log := open()
		defer closed(t, log)
		large := batches[1]
		large.Events = append([]engine.WholeEvent(nil), large.Events...)
		large.Events[0].Data = make([]byte, 11)
		_, err = log.Adopt(ctx, id, large, engine.Durable)
		matches(t, err, engine.ErrRejected, engine.ErrLimit)
		large.Events[0].Salt = []byte{1}
		_, err = log.Adopt(ctx, id, large, engine.Durable)
		matches(t, err, engine.ErrRejected, engine.ErrInvalid)
	})
}

// TestAdoptNotesAgain: what has no ids is known by how far the other log was taken in, also
// before it is durable.
func TestAdoptNotesAgain(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	for i := range 2 {
		if _, err := source.AppendBatch(context.Background(), engine.Batch{Notes: []engine.NoteDraft{{Name: "n", Data: []byte{byte(i)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	batches := whole(t, source, 1)
	closed(t, source)
	log := elsewhere(t, engine.Options{}).open()
	for range 2 {
		adopt(t, log, source.ID(), batches, engine.Buffered)
	}
	if err := log.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if head := log.LogHead(); head.Batch != 2 {
		t.Errorf("%d batches", head.Batch)
	}
	if note, _ := log.Note("n"); !bytes.Equal(note.Data, []byte{1}) {
		t.Errorf("note n: %v", note)
	}
	closed(t, log)
}

// TestAdoptErased: an event without content goes on without it, and its hashes hold.
func TestAdoptErased(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.erased = true
	c.add()
	c.erased = false
	c.add() // which proves the one before it
	c.write(t, dir)
	source, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, source)
	batches := whole(t, source, 1)
	log := newMachine(t, engine.Options{}).open()
	defer closed(t, log)
	adopt(t, log, uuid.UUID{1}, batches, engine.Durable)
	if e := all(t, log, engine.Query{})[0]; !e.Erased || e.ID != batches[0].Events[0].ID {
		t.Errorf("%+v", e)
	}
	verified(t, log)
}

// TestAdoptInGroups: each batch comes once, whoever brings it.
func TestAdoptInGroups(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	for i := range 12 {
		appended(t, source, fmt.Sprint(i))
	}
	batches := whole(t, source, 1)
	for seed := range uint64(40) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			c.each(4, func(client int) {
				for _, b := range batches {
					from := uuid.UUID{byte(client/2 + 1)}
					_, err := c.log.Adopt(context.Background(), from, b, engine.Durability(client%2))
					if err != nil && !errors.Is(err, engine.ErrIDTaken) {
						t.Errorf("seed %d: batch %d: %v", seed, b.Number, err)
					}
				}
			})
			if n := len(all(t, c.log, engine.Query{Buffered: true})); n != len(batches) {
				t.Errorf("seed %d: %d events of %d", seed, n, len(batches))
			}
		})
	}
	closed(t, source)
}
