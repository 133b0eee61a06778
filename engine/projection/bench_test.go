package projection_test

import (
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
)

// BenchmarkOnce computes states of 100,000 events of 100 B from zero, beside a
// reading of them that does nothing.
func BenchmarkOnce(b *testing.B) {
	const events = 100_000
	log, err := engine.Open(engine.Options{Dir: b.TempDir()})
	check(b, err)
	defer log.Close()
	batch := engine.Batch{Durability: engine.Buffered}
	for i := range 1000 {
		batch.Events = append(batch.Events, engine.Draft{Stream: fmt.Sprint("stream-", i), Type: "happened", Data: make([]byte, 100)})
	}
	for n := range 2 {
		single := n == 1 // the other half in batches of ten
		for range events / 2 / 1000 {
			for i := 0; i < 1000; i += 10 {
				part := engine.Batch{Durability: engine.Buffered, Events: batch.Events[i : i+10]}
				if !single {
					part.Events = batch.Events
					i = 1000
				}
				_, err := log.AppendBatch(b.Context(), part)
				check(b, err)
			}
		}
	}
	check(b, log.Sync(b.Context()))
	perSecond := func(b *testing.B) {
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range log.Read(engine.Query{Borrow: true}) {
				check(b, err)
				n++
			}
			if n != events {
				b.Fatal(n)
			}
		}
		perSecond(b)
	})
	for _, members := range []int{1, 4} {
		for _, borrow := range []bool{true, false} {
			b.Run(fmt.Sprintf("projections=%d/borrow=%v", members, borrow), func(b *testing.B) {
				for b.Loop() {
					var all []projection.Member
					for i := range members {
						all = append(all, made(b, projection.Definition[int]{
							Name: fmt.Sprint("p", i), Query: engine.Query{Borrow: borrow},
							Apply: func(n int, e engine.Event) int { return n + len(e.Data) },
						}))
					}
					check(b, setOf(b, log, projection.Options{}, all...).Once(b.Context()))
				}
				perSecond(b)
			})
		}
	}
}
