package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
)

// BenchmarkLive measures how long after a durable append has returned a waiting
// subscriber sees the event: less than 0 when it has seen it before.
func BenchmarkLive(b *testing.B) {
	log := benchOpen(b, benchOptions(b))
	ctx, stop := context.WithCancel(context.Background())
	seen := make([]time.Time, b.N)
	var at atomic.Int64
	done := make(chan error)
	go func() {
		for event, err := range log.Subscribe(ctx, engine.Query{}) {
			if err != nil {
				done <- err
				return
			}
			seen[event.Sequence-1] = time.Now()
			at.Store(int64(event.Sequence))
		}
	}()
	late := make([]float64, b.N)
	returned := make([]time.Time, b.N)
	for i := range b.N {
		if _, err := log.Append(ctx, engine.Draft{Stream: "s", Type: "t", Data: make([]byte, 100)}); err != nil {
			b.Fatal(err)
		}
		returned[i] = time.Now()
		for at.Load() <= int64(i) { // it waits again before the next one comes
			time.Sleep(20 * time.Microsecond)
		}
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
	for i := range late {
		late[i] = float64(seen[i].Sub(returned[i])) / 1e3
	}
	slices.Sort(late)
	b.ReportMetric(late[len(late)/2], "µs-median")
	b.ReportMetric(late[len(late)*99/100], "µs-p99")
}

// BenchmarkCatchUp compares a subscription that catches up with a plain read, each
// over the same events: the ratio of their rates, 1 when they are as fast.
func BenchmarkCatchUp(b *testing.B) {
	const events, size = 200_000, 100
	log := benchOpen(b, benchOptions(b))
	batch := benchBatch(1000, size, 100)
	batch.Durability = engine.Buffered
	for range events / 1000 {
		if _, err := log.AppendBatch(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := log.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	for _, borrow := range []bool{false, true} {
		name := "own"
		if borrow {
			name = "borrow"
		}
		b.Run(name, func(b *testing.B) {
			var reads, follows time.Duration
			for range b.N {
				began, n := time.Now(), 0
				for _, err := range log.Read(engine.Query{Borrow: borrow}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				reads += time.Since(began)
				began = time.Now()
				for _, err := range log.Subscribe(context.Background(), engine.Query{ToSequence: events, Borrow: borrow}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				follows += time.Since(began)
				if n != 2*events {
					b.Fatalf("%d events", n)
				}
			}
			b.ReportMetric(reads.Seconds()/follows.Seconds(), "ratio")
			b.ReportMetric(events*float64(b.N)/follows.Seconds(), "events/s")
		})
	}
}
