package scenarios

import (
	"fmt"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/invariant"
)

// TestNotebook: what callers were told of notes is held against what a log shows.
func TestNotebook(t *testing.T) {
	batch := func(key string, durability engine.Durability, names ...string) engine.Batch {
		b := engine.Batch{Key: key, Durability: durability}
		if key != "" {
			b.Events = make([]engine.Draft, 1)
		}
		for _, name := range names {
			b.Notes = append(b.Notes, engine.NoteDraft{Name: name, Data: []byte("of " + name)})
		}
		return b
	}
	type call struct {
		batch engine.Batch
		err   error // or inFlight
	}
	inFlight := fmt.Errorf("no answer")
	ab, c, d := batch("", engine.Durable, "a", "b"), batch("", engine.Durable, "c"), batch("", engine.Buffered, "d")
	keyed := batch("k", engine.Durable, "k")
	for _, test := range []struct {
		what  string
		calls []call
		found string // names, those of a batch together
		want  string // the invariant that is broken
	}{
		{"all there", []call{{ab, nil}, {c, nil}}, "ab c", ""},
		{"one lost", []call{{ab, nil}, {c, nil}}, "ab", "I1"},
		{"half a batch", []call{{ab, nil}}, "a", "I3"},
		{"apart", []call{{ab, nil}}, "a b", "I3"},
		{"turned round", []call{{ab, nil}}, "ba", "I3"},
		{"in another order", []call{{ab, nil}, {c, nil}}, "c ab", "I4"},
		{"twice", []call{{c, nil}}, "c c", "I3"},
		{"twice, submitted twice", []call{{c, nil}, {c, nil}}, "c c", ""},
		{"from nowhere", []call{{c, nil}}, "c x", "I3"},
		{"rejected, and gone", []call{{c, engine.ErrRejected}}, "", ""},
		{"rejected, and there", []call{{c, engine.ErrRejected}}, "c", "I3"},
		{"rolled back, and there", []call{{c, engine.ErrFailed}}, "c", "I3"},
		{"in doubt, and there", []call{{c, engine.ErrInDoubt}}, "c", ""},
		{"in doubt, and gone", []call{{c, engine.ErrInDoubt}}, "", ""},
		{"in flight, and there", []call{{c, inFlight}}, "c", ""},
		{"in flight, and gone", []call{{c, inFlight}}, "", ""},
		{"buffered, and gone", []call{{d, nil}}, "", ""},
		{"buffered and covered, and gone", []call{{d, nil}, {c, nil}}, "c", "I1"},
		{"buffered and covered, and there", []call{{d, nil}, {c, nil}}, "d c", ""},
		{"buffered and not covered by what is in doubt", []call{{d, nil}, {c, engine.ErrInDoubt}}, "", ""},
		{"a key, retried", []call{{keyed, nil}, {keyed, nil}}, "k", ""},
		{"a key, retried, and twice", []call{{keyed, nil}, {keyed, nil}}, "k k", "I3"},
		{"a key, lost", []call{{keyed, nil}, {keyed, nil}}, "", "I1"},
	} {
		var n notebook
		for i, call := range test.calls {
			n = n.start(i, &call.batch)
			if began := n.clock; call.err != inFlight {
				n = n.answer(i, began, &call.batch, call.err)
			}
		}
		var found []engine.Note
		for i, names := range strings.Fields(test.found) {
			for _, name := range strings.Split(names, "") {
				found = append(found, engine.Note{Name: name, Data: []byte("of " + name), Batch: uint64(i) + 1})
			}
		}
		expect := func(what string, err error, want string) {
			t.Helper()
			got := ""
			if broken, ok := err.(*invariant.Violation); ok {
				got = broken.Invariant
			}
			if got != want {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
		expect(test.what, n.check(found, false), test.want)
		if test.want != "" {
			continue
		}
		// What an Open showed stays, and what it left out never comes back.
		after := n.opened(found)
		expect(test.what+", opened again", after.check(found, false), "")
		if len(found) > 0 {
			expect(test.what+", opened again, less", after.check(found[:len(found)-1], false), "I13")
			expect(test.what+", opened again, less, by a disk that lies", after.check(found[:len(found)-1], true), "")
			other := append(found[:len(found)-1:len(found)-1], found[len(found)-1])
			other[len(found)-1].Data = []byte("changed")
			expect(test.what+", opened again, changed", after.check(other, false), "I13")
		}
		more := append(found[:len(found):len(found)], engine.Note{Name: "c", Data: []byte("of c"), Batch: 99})
		expect(test.what+", opened again, more", after.check(more, false), "I3")
	}
}
