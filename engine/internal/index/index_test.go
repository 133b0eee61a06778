package index_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
)

// TestAgainstSlices compares the index with plain lists, gaps in the sequence
// included, which salvage leaves.
func TestAgainstSlices(t *testing.T) {
	used := index.New()
	rapid.Check(t, func(t *rapid.T) {
		type event struct {
			sequence, batch uint64
			entry           index.Entry
			name            index.Name
			id              uuid.UUID
			key             string
		}
		x := used
		x.Clear() // as good as new
		var events []event
		streams := map[index.Name][]uint64{}
		sequence := uint64(0)
		for number := range uint64(rapid.IntRange(0, 12).Draw(t, "batches")) {
			sequence += rapid.SampledFrom([]uint64{1, 1, 1, 5}).Draw(t, "step")
			size := rapid.SampledFrom([]int{0, 1, 2, 3, 900}).Draw(t, "size")
			x.AddBatch(index.Batch{Number: number + 1, First: sequence, Events: uint32(size)})
			for i := range size {
				e := event{
					sequence: sequence, batch: number + 1,
					entry: index.Entry{Segment: uint32(number), Offset: uint32(i) * 8, Length: 8, Item: uint32(i)},
					name:  index.Name{Scope: fmt.Sprint(i % 2), Stream: fmt.Sprint(i % 3)},
					id:    uuid.UUID{0: byte(sequence), 1: byte(sequence >> 8), 2: 1},
				}
				if i%2 == 0 {
					e.key = fmt.Sprint("k", sequence)
				}
				streams[e.name] = append(streams[e.name], uint64(len(events)))
				x.AddEvent(e.entry, e.id, e.name, uint64(len(streams[e.name])), chain.Hash{0: byte(sequence)}, e.key)
				events = append(events, e)
				sequence++
			}
			if size > 0 {
				sequence--
			}
		}
		if x.Len() != uint64(len(events)) || x.Streams() != len(streams) {
			t.Fatalf("%d events of %d streams, want %d of %d", x.Len(), x.Streams(), len(events), len(streams))
		}
		for ordinal, e := range events {
			o := uint64(ordinal)
			if x.Entry(o) != e.entry || x.Sequence(o) != e.sequence || x.BatchOf(o).Number != e.batch {
				t.Fatalf("event %d: %+v, sequence %d, batch %d; want %+v", ordinal, x.Entry(o), x.Sequence(o), x.BatchOf(o).Number, e)
			}
			if got, ok := x.ByID(e.id); !ok || got != o {
				t.Fatalf("id of event %d: %d, %v", ordinal, got, ok)
			}
			if got, ok := x.ByKey(e.key); ok != (e.key != "") || ok && got != o {
				t.Fatalf("key of event %d: %d, %v", ordinal, got, ok)
			}
		}
		for from := range sequence + 3 {
			want := slices.IndexFunc(events, func(e event) bool { return e.sequence >= from })
			if want < 0 {
				want = len(events)
			}
			if got := x.Ceiling(from); got != uint64(want) {
				t.Fatalf("ceiling of %d is %d, want %d", from, got, want)
			}
		}
		for name, ordinals := range streams {
			s, ok := x.Stream(name)
			if !ok || !slices.Equal(s.Ordinals, ordinals) || s.Version != uint64(len(ordinals)) {
				t.Fatalf("stream %v: %+v, want %v", name, s, ordinals)
			}
		}
		if len(events) > 0 {
			x.Move(0, 77, 88)
			if e := x.Entry(0); e.Segment != 77 || e.Offset != 88 || e.Length != events[0].entry.Length {
				t.Fatalf("moved: %+v", e)
			}
		}
	})
}

// TestShowUntil: what is pending is shown one after the other, as if what is not
// shown yet had never been added.
func TestShowUntil(t *testing.T) {
	used := index.New()
	rapid.Check(t, func(t *rapid.T) {
		x := used
		x.Clear() // also of what was never shown
		type item struct {
			name string
			note bool
		}
		var items []item
		events, notes := uint64(0), uint64(0)
		add := func(i item) {
			n := len(items) + 1
			items = append(items, i)
			x.AddBatch(index.Batch{Number: uint64(n), First: events + 1})
			if i.note {
				x.AddPendingNote(index.Entry{}, i.name, fmt.Append(nil, n))
				notes++
				return
			}
			x.AddPending(index.Entry{}, uuid.UUID{byte(n)}, index.Name{Stream: i.name}, x.Version(index.Name{Stream: i.name})+1, chain.Hash{byte(n)}, "")
			events++
		}
		shown := 0 // items
		check := func() {
			t.Helper()
			for _, name := range []string{"a", "b"} {
				versions, last, note, notes := uint64(0), chain.Hash{}, 0, uint64(0)
				for i, item := range items[:shown] {
					switch {
					case item.name == name && item.note:
						note, notes = i+1, notes+1
					case item.name == name:
						versions, last = versions+1, chain.Hash{byte(i + 1)}
					}
				}
				if s := x.Shown(index.Name{Stream: name}); s.Version != versions || s.Hash != last || len(s.Ordinals) != int(versions) {
					t.Fatalf("of %v, %d are shown: stream %s is %+v, want version %d", items, shown, name, s, versions)
				}
				n, ok := x.ShownNote(name)
				if ok != (note > 0) || ok && (string(n.Data) != fmt.Sprint(note) || n.Batch != uint64(note) || n.Count != notes) {
					t.Fatalf("of %v, %d are shown: note %s is %s of batch %d, number %d; want %d, number %d", items, shown, name, n.Data, n.Batch, n.Count, note, notes)
				}
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			for range rapid.IntRange(0, 3).Draw(t, "more") {
				add(item{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), rapid.Bool().Draw(t, "note")})
			}
			shown += rapid.IntRange(0, len(items)-shown).Draw(t, "show")
			events, notes := uint64(0), uint64(0)
			for _, item := range items[:shown] {
				if item.note {
					notes++
				} else {
					events++
				}
			}
			x.ShowUntil(events, notes)
			check()
		}
	})
}

// An id or key that comes again, as a crafted log may have it, stands for the
// later event.
func TestTheLaterOfTwoCounts(t *testing.T) {
	x := index.New()
	x.AddBatch(index.Batch{Number: 1, First: 1, Events: 1000})
	for i := range uint64(1000) {
		x.AddEvent(index.Entry{}, uuid.UUID{byte(i % 100)}, index.Name{}, i+1, chain.Hash{}, fmt.Sprint(i%100))
	}
	for i := range uint64(100) {
		if got, ok := x.ByID(uuid.UUID{byte(i)}); !ok || got != 900+i {
			t.Fatalf("id %d is that of event %d, %v", i, got, ok)
		}
		if got, ok := x.ByKey(fmt.Sprint(i)); !ok || got != 900+i {
			t.Fatalf("key %d is that of event %d, %v", i, got, ok)
		}
	}
	if _, ok := x.ByID(uuid.UUID{200}); ok {
		t.Fatal("an id that was never added is there")
	}
	if _, ok := x.ByKey(""); ok {
		t.Fatal("the empty key is there")
	}
}
