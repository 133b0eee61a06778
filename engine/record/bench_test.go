package record_test

import (
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

func usualBatch(events, payload int) (record.Mark, []record.Event) {
	m := record.Mark{Session: testSession, Sequence: 1, Batch: 1, Time: testTime, Clock: testTime}
	batch := make([]record.Event, events)
	for i := range batch {
		batch[i] = simpleEvent(byte(i), make([]byte, payload))
	}
	return m, batch
}

// TestNoAllocations: what a commit and a recovery do for each event.
func TestNoAllocations(t *testing.T) {
	place := record.NewPlace(testSeed)
	m, events := usualBatch(3, 5000)
	events = append(events, fullEvent(1))
	buf := record.AppendBatch(nil, place, testPlace, &m, events, chain.Hash{}, nil)
	mark, _ := record.ParseMark(buf, place, testPlace)
	full := events[3].AppendRecord(nil)
	header := testSegments()[1]
	block := header.Append(nil)
	dst := make([]byte, 0, len(buf))
	positions := make([]int32, len(events))
	for _, c := range []struct {
		name string
		want float64
		f    func()
	}{
		{"AppendBatch", 0, func() { record.AppendBatch(dst, place, testPlace, &m, events, chain.Hash{}, positions) }},
		{"AppendEnd", 0, func() { record.AppendEnd(dst, place, testPlace, &m) }},
		{"AppendCanonical", 0, func() { record.AppendCanonical(dst, &events[3], 1, 2, 3, chain.Hash{}) }},
		{"ParseFrame", 0, func() { record.ParseFrame(buf[mark.Size:], place, testPlace+int64(mark.Size)) }},
		{"ParseMark", 0, func() { record.ParseMark(buf, place, testPlace) }},
		{"CheckBatch", 0, func() { _ = record.CheckBatch(buf, place, testPlace) }},
		{"ReadItem", 0, func() { _, _ = record.ReadItem(buf[mark.Size:], place, testPlace+int64(mark.Size), dst) }},
		{"Relocate", 0, func() { _ = record.Relocate(buf, place, testPlace, place, testPlace) }},
		{"DecodeEvent", 2, func() { _, _ = record.DecodeEvent(full) }}, // the names, the key
		{"SegmentHeader.Append", 0, func() { header.Append(dst) }},
		{"ParseSegmentHeader", 0, func() { _, _ = record.ParseSegmentHeader(block) }},
	} {
		if n := testing.AllocsPerRun(10, c.f); n != c.want {
			t.Errorf("%s allocates %v times, want %v", c.name, n, c.want)
		}
	}
}

func BenchmarkAppendBatch(b *testing.B) {
	place := record.NewPlace(testSeed)
	for _, c := range []struct{ events, payload int }{{1, 100}, {1, 1024}, {100, 100}, {1, 65536}} {
		b.Run(fmt.Sprintf("%dx%d", c.events, c.payload), func(b *testing.B) {
			m, events := usualBatch(c.events, c.payload)
			positions := make([]int32, len(events))
			buf := record.AppendBatch(nil, place, testPlace, &m, events, chain.Hash{}, nil)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf = record.AppendBatch(buf[:0], place, testPlace, &m, events, chain.Hash{}, positions)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.events), "ns/event")
		})
	}
}

func BenchmarkParseFrame(b *testing.B) {
	place := record.NewPlace(testSeed)
	m, events := usualBatch(1, 100)
	buf := record.AppendBatch(nil, place, testPlace, &m, events, chain.Hash{}, nil)
	for _, at := range []int{0, record.MarkSize} {
		b.Run(record.KindName(buf[at+8]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := record.ParseFrame(buf[at:], place, testPlace+int64(at)); !ok {
					b.Fatal("no frame")
				}
			}
		})
	}
}

func BenchmarkReadItem(b *testing.B) {
	place := record.NewPlace(testSeed)
	m, events := usualBatch(1, 100)
	buf := record.AppendBatch(nil, place, testPlace, &m, events, chain.Hash{}, nil)[record.MarkSize:]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ReadItem(buf, place, testPlace+record.MarkSize, nil); err != nil {
			b.Fatal("no item")
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	for i, e := range []record.Event{simpleEvent(1, make([]byte, 100)), fullEvent(1)} {
		b.Run([]string{"usual", "full"}[i], func(b *testing.B) {
			encoded := e.AppendRecord(nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := record.DecodeEvent(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendCanonical(b *testing.B) {
	e := simpleEvent(1, nil)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = record.AppendCanonical(buf[:0], &e, 1, testTime, testTime, chain.Hash{})
	}
}

func BenchmarkRelocate(b *testing.B) {
	place := record.NewPlace(testSeed)
	m, events := usualBatch(100, 100)
	buf := record.AppendBatch(nil, place, testPlace, &m, events, chain.Hash{}, nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if err := record.Relocate(buf, place, testPlace, place, testPlace); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseSegmentHeader(b *testing.B) {
	h := testSegments()[1]
	block := h.Append(nil)[:record.BlockSize]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ParseSegmentHeader(block); err != nil {
			b.Fatal(err)
		}
	}
}
