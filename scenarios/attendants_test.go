package scenarios

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// TestWhatAHandlerLeavesIsCompared: effects that are missing, doubled, swapped,
// changed or too many are found, and the right ones are not.
func TestWhatAHandlerLeavesIsCompared(t *testing.T) {
	var sources []engine.Event
	for i := range uint64(9) {
		id := uuid.UUID{0: byte(i + 1)}
		sources = append(sources, engine.Event{Sequence: i + 1, ID: id, Correlation: id, Stream: "orders", Type: "placed", Hash: engine.Hash{byte(i)}})
	}
	// upTo is what the handler of cursor c leaves of the events up to one.
	upTo := func(at uint64) []engine.Event {
		events := slices.Clone(sources)
		add := func(cause *engine.Event, scope, kind string, data []byte) {
			events = append(events, engine.Event{
				Sequence: uint64(len(events)) + 1, ID: uuid.UUID{15: byte(len(events))}, CausedBy: cause.ID, Correlation: cause.Correlation,
				Scope: scope, Stream: "c", Type: kind, Data: data,
			})
		}
		for i := range sources[:at] {
			for _, d := range effectsOf("c", &sources[i]) {
				add(&sources[i], d.Scope, d.Type, d.Data)
			}
			if dead(&sources[i]) {
				add(&sources[i], deadScope, engine.DeadLetterType, nil)
			}
		}
		return events
	}
	last := func(events []engine.Event) *engine.Event { return &events[len(events)-1] }
	letter := func(events []engine.Event) int {
		return slices.IndexFunc(events, func(e engine.Event) bool { return e.Scope == deadScope })
	}
	q := engine.Query{Types: []string{"placed"}}
	for _, test := range []struct {
		what   string
		right  bool
		change func(events []engine.Event) []engine.Event
	}{
		{"all", true, func(e []engine.Event) []engine.Event { return e }},
		{"the last one missing", false, func(e []engine.Event) []engine.Event { return e[:len(e)-1] }},
		{"the first one missing", false, func(e []engine.Event) []engine.Event { return slices.Delete(e, 9, 10) }},
		{"the last one twice", false, func(e []engine.Event) []engine.Event { return append(e, *last(e)) }},
		{"the last ones swapped", false, func(e []engine.Event) []engine.Event {
			n := len(e)
			e[n-1].Data, e[n-2].Data = e[n-2].Data, e[n-1].Data
			return e
		}},
		{"of another cause", false, func(e []engine.Event) []engine.Event { last(e).CausedBy = uuid.UUID{9}; return e }},
		{"of another correlation", false, func(e []engine.Event) []engine.Event { last(e).Correlation = uuid.UUID{9}; return e }},
		{"no dead letter", false, func(e []engine.Event) []engine.Event { return slices.Delete(e, letter(e), letter(e)+1) }},
		{"two dead letters", false, func(e []engine.Event) []engine.Event { return append(e, e[letter(e)]) }},
		{"of another cursor, too", true, func(e []engine.Event) []engine.Event {
			other := *last(e)
			other.Stream = "d"
			return append(e, other)
		}},
	} {
		err := handled("c", 8, &q, test.change(upTo(8)))
		if (err == nil) != test.right {
			t.Errorf("%s: %v", test.what, err)
		}
	}
	for at := range uint64(9) {
		for position := range uint64(9) {
			same := fmt.Sprint(upTo(at)[9:]) == fmt.Sprint(upTo(position)[9:]) // some events leave nothing
			if err := handled("c", position, &q, upTo(at)); (err == nil) != same {
				t.Errorf("effects up to %d, cursor at %d: %v", at, position, err)
			}
		}
	}
}
