package invariant

import (
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

// fifteen is a story of five batches of three events of 100 B, the last one in
// flight, after a crash.
func fifteen(b *testing.B) (*model.Model, *Seen) {
	s := begin(b)
	for n := range 5 {
		batch := engine.Batch{Key: fmt.Sprint("batch ", n)}
		for i := range 3 {
			batch.Events = append(batch.Events, draft(fmt.Sprint("stream ", i), fmt.Sprintf("%100d", n*3+i)))
		}
		if n == 4 {
			s.fly(batch)
			continue
		}
		s.do(batch)
	}
	s.crash(5)
	seen, violations := s.look(How{})
	if len(violations) > 0 || len(seen.Events) != 15 {
		b.Fatal(violations, len(seen.Events))
	}
	return s.m, seen
}

// What a check costs, the log's own reading aside.
func BenchmarkJudge15(b *testing.B) {
	m, seen := fifteen(b)
	b.ReportAllocs()
	for b.Loop() {
		if len(Judge(m, seen)) > 0 {
			b.Fatal("accused")
		}
	}
}

// What it costs to go on from there: the next Open's model.
func BenchmarkOpened15(b *testing.B) {
	m, seen := fifteen(b)
	b.ReportAllocs()
	for b.Loop() {
		m.With(seen.Opened())
	}
}

// What a note's key costs, for those who dedupe by it.
func BenchmarkOpenedKey15(b *testing.B) {
	_, seen := fifteen(b)
	b.ReportAllocs()
	for b.Loop() {
		seen.Opened().Key()
	}
}

// What a whole look costs with a log that answers from memory.
func BenchmarkLookQuick15(b *testing.B) {
	m, seen := fifteen(b)
	log := replay{seen: seen}
	b.ReportAllocs()
	for b.Loop() {
		if len(Judge(m, Look(ctx, m, log, How{Quick: true}))) > 0 {
			b.Fatal("accused")
		}
	}
}
