package engine_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

// Borrowed bytes are the event's own until the next one is yielded.
func TestBorrow(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	for i := range 40 {
		d := draft(fmt.Sprintf("%*d", i*i*10, i)) // some in pieces, some in another window
		if i%3 == 0 {
			d.Metadata = fmt.Appendf(nil, "about %d", i)
		}
		if _, err := log.Append(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []engine.Query{{}, {Backward: true}, {Stream: "s", Limit: 30}} {
		want := all(t, log, q)
		q.Borrow = true
		n := 0
		for event, err := range log.Read(q) {
			if err != nil || n >= len(want) {
				t.Fatal(n, err)
			}
			if cap(event.Data) != len(event.Data) || cap(event.Metadata) != len(event.Metadata) {
				t.Fatalf("event %d can be appended to", event.Sequence)
			}
			event.Data, event.Metadata = bytes.Clone(event.Data), bytes.Clone(event.Metadata)
			if got, want := fmt.Sprintf("%+v", event), fmt.Sprintf("%+v", want[n]); got != want {
				t.Fatalf("borrowed: %.200s, want %.200s", got, want)
			}
			n++
		}
		if n != len(want) {
			t.Fatalf("%d events, want %d", n, len(want))
		}
	}
	closed(t, log)
}
