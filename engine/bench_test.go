package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// The benchmarks run on a real directory, with the syncs of its disk.

func benchOptions(b *testing.B) engine.Options {
	b.Helper()
	return engine.Options{Dir: b.TempDir()}
}

func benchOpen(b *testing.B, options engine.Options) *engine.Log {
	b.Helper()
	log, err := engine.Open(options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	return log
}

// benchBatch is events of a size on some streams.
func benchBatch(events, size, streams int) engine.Batch {
	batch := engine.Batch{Events: make([]engine.Draft, events)}
	for i := range batch.Events {
		data := make([]byte, size)
		for k := range data {
			data[k] = byte(k*7 + i)
		}
		batch.Events[i] = engine.Draft{Stream: fmt.Sprint("stream-", i%streams), Type: "happened", Data: data}
	}
	return batch
}

// filled is a closed log of 100,000 events of 100 B on 1,000 streams, and the
// ids of some.
func filled(b *testing.B) (engine.Options, []uuid.UUID) {
	b.Helper()
	options := benchOptions(b)
	log := benchOpen(b, options)
	batch := benchBatch(1000, 100, 1000)
	batch.Durability = engine.Buffered
	var ids []uuid.UUID
	for range 100 {
		receipts, err := log.AppendBatch(context.Background(), batch)
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; i < len(receipts); i += 97 {
			ids = append(ids, receipts[i].ID)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	return options, ids
}

// BenchmarkAppend is one durable call after the other, from one goroutine.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name         string
		events, size int
		durability   engine.Durability
	}{
		{"durable/100B", 1, 100, engine.Durable},
		{"durable/1KiB", 1, 1 << 10, engine.Durable},
		{"durable/100x100B", 100, 100, engine.Durable},
		{"buffered/100B", 1, 100, engine.Buffered},
		{"buffered/100x100B", 100, 100, engine.Buffered},
	} {
		b.Run(c.name, func(b *testing.B) {
			log := benchOpen(b, benchOptions(b))
			batch := benchBatch(c.events, c.size, 10)
			batch.Durability = c.durability
			b.ReportAllocs()
			b.SetBytes(int64(c.events * c.size))
			for b.Loop() {
				if _, err := log.AppendBatch(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*c.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkMetrics is BenchmarkAppend's smallest calls, with nobody who listens,
// and with one who is told everything and does nothing.
func BenchmarkMetrics(b *testing.B) {
	listener := &engine.Metrics{
		CallBegin: func(ctx context.Context, _ engine.CallStats) context.Context { return ctx },
		Call:      func(context.Context, engine.CallStats) {},
		Group:     func(engine.GroupStats) {},
		Sync:      func(engine.SyncStats) {},
	}
	for _, durability := range []engine.Durability{engine.Durable, engine.Buffered} {
		for _, metrics := range []*engine.Metrics{nil, listener} {
			b.Run(fmt.Sprintf("durability=%d/listening=%t", durability, metrics != nil), func(b *testing.B) {
				options := benchOptions(b)
				options.Metrics = metrics
				log := benchOpen(b, options)
				batch := benchBatch(1, 100, 1)
				batch.Durability = durability
				b.ReportAllocs()
				for b.Loop() {
					if _, err := log.AppendBatch(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkClients is durable calls of one event from many goroutines, which
// share writes and syncs.
func BenchmarkClients(b *testing.B) {
	for _, clients := range []int{2, 16, 64} {
		for _, size := range []int{100, 1 << 10} {
			b.Run(fmt.Sprintf("%d/%dB", clients, size), func(b *testing.B) {
				log := benchOpen(b, benchOptions(b))
				drafts := benchBatch(clients, size, clients).Events
				var left atomic.Int64
				left.Store(int64(b.N))
				var group sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for i := range clients {
					group.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := log.Append(context.Background(), drafts[i]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkOpen opens, and closes, a log of 100,000 events that was closed.
func BenchmarkOpen(b *testing.B) {
	options, _ := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		log, err := engine.Open(options)
		if err != nil {
			b.Fatal(err)
		}
		if n := log.LogHead().Sequence; n != 100_000 {
			b.Fatalf("the log ends with event %d", n)
		}
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRead reads all of a log of 100,000 events, both ways, and a stream
// whose 100 events lie far apart.
func BenchmarkRead(b *testing.B) {
	options, _ := filled(b)
	log := benchOpen(b, options)
	for _, c := range []struct {
		name  string
		query engine.Query
		want  int
	}{
		{"all", engine.Query{}, 100_000},
		{"backward", engine.Query{Backward: true}, 100_000},
		{"stream", engine.Query{Stream: "stream-7"}, 100},
		{"last", engine.Query{Backward: true, Limit: 1}, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range log.Read(c.query) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != c.want {
					b.Fatalf("%d events, want %d", n, c.want)
				}
			}
			b.ReportMetric(float64(b.N*c.want)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkGet looks up events by id, and their receipts.
func BenchmarkGet(b *testing.B) {
	options, ids := filled(b)
	log := benchOpen(b, options)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := log.Get(ids[i%len(ids)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify recomputes every hash of a log of 100,000 events.
func BenchmarkVerify(b *testing.B) {
	options, _ := filled(b)
	log := benchOpen(b, options)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := log.Verify(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "events/s")
}
