package record_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// overhead is what a batch takes over payload and names, in bytes for each
// event, rounded up.
func overhead(m *record.Mark, events []record.Event) int {
	encoded := record.AppendBatch(nil, record.NewPlace(testSeed), testPlace, m, events, chain.Hash{}, nil)
	total := len(encoded)
	for i := range events {
		e := &events[i]
		total -= len(e.Payload) + len(e.Scope) + len(e.Stream) + len(e.Type) + len(e.Key) + len(e.Metadata) + len(e.Extensions)
	}
	return (total + len(events) - 1) / len(events)
}

// budgets is what batches may take at most, in bytes for each event over
// payload and names. An event is the usual one, with a version of a million,
// plus what the line says; a payload that fills the padding worst is taken.
var budgets = []struct {
	name   string
	events int
	most   int
	change func(m *record.Mark, e *record.Event)
}{
	{"batch of one", 1, 240, func(*record.Mark, *record.Event) {}},
	{"batch of one, scope, key, clock behind", 1, 240, func(m *record.Mark, e *record.Event) {
		e.Scope, e.Key, m.Clock = "shop", "request-7", m.Time-1
	}},
	{"batch of one, metadata, cause", 1, 240, func(_ *record.Mark, e *record.Event) {
		e.Metadata, e.CausedBy = []byte("{}"), testID(9)
	}},
	{"batch of 100", 100, 120, func(*record.Mark, *record.Event) {}},
	{"batch of 100, scope, keys, clock behind", 100, 120, func(m *record.Mark, e *record.Event) {
		e.Scope, e.Key, m.Clock = "shop", "request-7", m.Time-1
	}},
	{"batch of 100, metadata, cause", 100, 120, func(_ *record.Mark, e *record.Event) {
		e.Metadata, e.CausedBy = []byte("{}"), testID(9)
	}},
	{"batch of one, with everything", 1, 320, func(m *record.Mark, e *record.Event) {
		*e, m.Clock = fullEvent(1), m.Time-1
	}},
	{"batch of 100, with everything", 100, 200, func(m *record.Mark, e *record.Event) {
		*e, m.Clock = fullEvent(1), m.Time-1
	}},
}

// budget is the worst overhead of one line.
func budget(events int, change func(*record.Mark, *record.Event)) int {
	worst := 0
	for length := range 200 {
		m := record.Mark{Session: testSession, Sequence: 1 << 40, Batch: 1 << 39, Time: testTime, Clock: testTime}
		batch := make([]record.Event, events)
		for i := range batch {
			e := simpleEvent(1, nil)
			e.Version = 1_000_000
			change(&m, &e)
			if e.ID == uuid.Nil {
				panic("an event without an id")
			}
			e.Payload = make([]byte, length)
			batch[i] = e
		}
		worst = max(worst, overhead(&m, batch))
	}
	return worst
}

func TestBudget(t *testing.T) {
	var table strings.Builder
	for _, b := range budgets {
		got := budget(b.events, b.change)
		fmt.Fprintf(&table, "\n%-40s %4d bytes an event, at most %d", b.name, got, b.most)
		if got > b.most {
			t.Errorf("%s takes %d bytes an event over payload and names, want at most %d", b.name, got, b.most)
		}
	}
	t.Logf("over payload and names:%s", &table)
}

// What a log costs on disk, in bytes for each event, over payload and names.
func Example_budget() {
	for _, b := range budgets {
		fmt.Printf("%-40s %d\n", b.name, budget(b.events, b.change))
	}
	// Output:
	// batch of one                             221
	// batch of one, scope, key, clock behind   231
	// batch of one, metadata, cause            239
	// batch of 100                             95
	// batch of 100, scope, keys, clock behind  97
	// batch of 100, metadata, cause            113
	// batch of one, with everything            290
	// batch of 100, with everything            156
}
