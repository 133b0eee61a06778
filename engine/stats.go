package engine

// Stats is what a log holds, and how far it has come.
type Stats struct {
	// Accepted ≥ Written ≥ Durable ≥ Visible. Durable and Visible never
	// decrease, across restarts either; the other two fall back to Durable when a
	// group is rolled back.
	Accepted, Written, Durable, Visible Frontier

	Events, Batches uint64 // written
	Streams         int
	Segments        []SegmentStats
	Failed          error // why the log takes no writes, or nil
}

// SegmentStats is one segment.
type SegmentStats struct {
	Number        uint64
	Used          int64  // bytes up to the end of the last batch or END
	Size          int64  // bytes of the file, with what is written or reserved ahead
	Batches       uint64 // that begin in it
	FirstSequence uint64 // 0 if it has no event
	LastSequence  uint64 // 0 if it has no event
	Sealed        bool   // nothing more will be written
}

// Stats returns what the log holds, and how far it has come.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	visible := l.durable.frontier()
	visible.Sequence = l.visible
	stats := Stats{
		Accepted: l.accepted, Written: l.written.frontier(), Durable: l.durable.frontier(), Visible: visible,
		Events: l.index.Len(), Batches: l.index.Batches(), Streams: l.index.Streams(), Failed: l.failed,
	}
	if len(l.numbers) > 0 {
		stats.Segments = make([]SegmentStats, 0, len(l.numbers))
	}
	for _, number := range l.numbers {
		s := l.segments[number]
		stats.Segments = append(stats.Segments, SegmentStats{
			Number: number, Used: s.end, Size: max(s.end, s.roomLocked()), Batches: s.batches,
			FirstSequence: s.first, LastSequence: s.last, Sealed: s.sealed,
		})
	}
	return stats
}
