package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// A log in a Room that others have used does to the disk what one without does,
// and shows the same: all that others left there is stale.
func TestRoomChangesNothing(t *testing.T) {
	life := func(room *engine.Room, n int) string {
		m := newMachine(t, engine.Options{Room: room})
		m.lives = uint64(n) * 100
		var story strings.Builder
		for round := range 4 {
			var list []string
			m.disk.Observe(func(op simfs.Op) { list = append(list, fmt.Sprintf("%s %x", op, op.Data)) })
			log := m.open()
			for i := range n % 7 {
				key := ""
				if i%2 == 0 {
					key = fmt.Sprint("key ", round, i)
				}
				d := engine.Draft{Stream: fmt.Sprint("stream ", i%(n%3+1)), Type: "t", Key: key, Data: []byte(strings.Repeat(fmt.Sprint(n, round, i), n*n*(i%3)))}
				if _, err := log.Append(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			fmt.Fprintln(&story, list)
			fmt.Fprintf(&story, "%+v\n%+v\n%v\n", all(t, log, engine.Query{}), log.Streams(""), log.LogHead())
			fmt.Fprintf(&story, "%+v\n", all(t, log, engine.Query{Stream: "stream 1", Backward: true}))
			verified(t, log)
			m.disk.Observe(nil)
			if round%2 == 0 {
				closed(t, log)
			} else {
				m.powerLoss(simfs.Random(uint64(n)))
			}
			room.Reclaim(log)
		}
		return story.String()
	}
	var room engine.Room
	for _, n := range []int{5, 1, 12, 3, 20, 2, 12, 6, 5} {
		without := life(nil, n)
		if with := life(&room, n); with != without {
			t.Fatalf("logs with %d:\n%s\nin a room that others have used:\n%s", n, without, with)
		}
	}
}

// What a log has returned stays as it is when others work where it did.
func TestRoomLeavesWhatWasReturned(t *testing.T) {
	var room engine.Room
	fill := func(payload string) []engine.Event {
		m := newMachine(t, engine.Options{Room: &room})
		log := m.open()
		for range 10 {
			d := draft(strings.Repeat(payload, 300))
			d.Metadata, d.Extensions = []byte(payload), map[string][]byte{payload: []byte(payload)}
			if _, err := log.Append(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		events := all(t, log, engine.Query{})
		closed(t, log)
		room.Reclaim(log)
		room.Reclaim(log) // once is enough
		return events
	}
	events := fill("one")
	before := fmt.Sprintf("%+v", events)
	for range 3 {
		fill("two")
	}
	if after := fmt.Sprintf("%+v", events); after != before || !slices.Equal(payloads(events)[9:], []string{strings.Repeat("one", 300)}) {
		t.Errorf("events became others: %.300s", after)
	}
}
