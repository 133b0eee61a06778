package engine_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

// TestReadersBesideAWriter: who opens a log read-only takes no lock, and sees
// whole batches in order while somebody else appends, rotates and closes; a
// batch that arrives between two reads is no damage.
func TestReadersBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	log := openDir(t, engine.Options{Dir: dir, SegmentSize: 64 << 10})
	if _, err := log.Append(context.Background(), engine.Draft{Stream: "s", Type: "t"}); err != nil {
		t.Fatal(err)
	}
	var acked atomic.Uint64
	done := make(chan error, 1)
	go func() {
		for i := range 400 {
			receipts, err := log.AppendBatch(context.Background(), engine.Batch{Events: []engine.Draft{
				{Stream: "s", Type: "t", Data: []byte(fmt.Sprint(i))},
				{Stream: "s", Type: "t", Data: make([]byte, i%3*1000)},
			}})
			if err != nil {
				done <- err
				return
			}
			acked.Store(receipts[1].Sequence)
		}
		done <- log.Close()
	}()
	opened := 0
	for running := true; running; opened++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		before := acked.Load()
		reader, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true})
		if err != nil {
			t.Fatalf("after %d opens: %v", opened, err)
		}
		last := uint64(0)
		for event, err := range reader.Read(engine.Query{Buffered: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Sequence != last+1 {
				t.Fatalf("event %d follows event %d", event.Sequence, last)
			}
			last = event.Sequence
		}
		if last < before || last%2 == 0 {
			t.Fatalf("a reader sees %d events, %d were acknowledged before", last, before)
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d readers", opened)
}
