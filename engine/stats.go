package engine

import "time"

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

	FirstTime time.Time // of its first batch; zero if it has none
	// Head is that of the log at its end; its Time is that of the last batch there.
	// It is zero where damage hides it, and before the first batch of the log.
	Head LogHead
	// Carried is how many of its batches a recovery, or a rollback, has copied there.
	Carried int
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
		one := SegmentStats{
			Number: number, Used: s.end, Size: max(s.end, s.roomLocked()), Batches: s.batches,
			FirstSequence: s.first, LastSequence: s.last, Sealed: s.sealed,
			Head: l.headAtEndLocked(s), Carried: int(s.header.Carried),
		}
		if s.batches > 0 {
			one.FirstTime = timeOf(s.began, 1)
		}
		stats.Segments = append(stats.Segments, one)
	}
	return stats
}

// headAtEndLocked is the head of the log at the end of a segment: the header of the
// next one has it.
func (l *Log) headAtEndLocked(s *segmentFile) LogHead {
	if s.number == l.lastSegment {
		return l.written.logHead()
	}
	next := l.segments[s.number+1]
	if next == nil {
		return LogHead{}
	}
	return pointBefore(&next.header).logHead()
}
