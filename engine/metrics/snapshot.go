package metrics

import "github.com/untorn-db/untorn/engine"

// Snapshot is all that was counted so far. Maps have all their keys from the
// beginning, but for Cursors, which has a cursor once its Handle has begun.
type Snapshot struct {
	InFlight int64             `json:"in_flight"` // calls that are not answered yet
	Calls    map[string]Calls  `json:"calls"`     // by outcome: durable, buffered, hit, rejected, failed, in_doubt
	Rejected map[string]uint64 `json:"rejected"`  // calls, by Reason
	Commits  Commits           `json:"commits"`

	// Syncs are those of groups, and by cause all others: group, cadence, asked,
	// wait, close.
	Syncs      map[string]Histogram `json:"syncs"`
	SyncErrors uint64               `json:"sync_errors"` // of groups, too

	// Rotations are moves to another segment: "full", since the old one was, and
	// "fresh", since a write had failed.
	Rotations      map[string]Histogram `json:"rotations"`
	RotationErrors uint64               `json:"rotation_errors"`

	Opens           Opens             `json:"opens"`
	Reads           Reads             `json:"reads"`
	Signatures      Histogram         `json:"signatures"`       // seconds, of each time that the signer was asked
	SignatureErrors uint64            `json:"signature_errors"` // times that there was no signature then
	Cursors         map[string]Cursor `json:"cursors"`          // by name
	Failures        uint64            `json:"failures"`         // logs that take no more writes

	Log *Log `json:"log,omitempty"` // nil if none is watched
}

// Calls are appends with one outcome.
type Calls struct {
	Took   Histogram `json:"took"` // seconds
	Events uint64    `json:"events"`
	Bytes  uint64    `json:"bytes"` // of their Data and Metadata
}

// Commits are groups of calls that shared a write and a sync.
type Commits struct {
	Took   Histogram            `json:"took"`   // seconds
	Phases map[string]Histogram `json:"phases"` // seconds: gather, decide, write, sync
	Calls  Histogram            `json:"calls"`  // of a group
	Size   Histogram            `json:"size"`   // of a group that was to write something, in bytes

	// What was committed.
	Batches uint64 `json:"batches"`
	Events  uint64 `json:"events"`
	Bytes   uint64 `json:"bytes"` // as stored

	Errors map[string]uint64 `json:"errors"` // groups: rejected, failed, in_doubt
}

// Opens are the times that a log was opened.
type Opens struct {
	Took   Histogram `json:"took"` // seconds
	Errors uint64    `json:"errors"`
	Torn   uint64    `json:"torn"`  // with a torn tail
	Fresh  uint64    `json:"fresh"` // that began a fresh segment
}

// Reads are iterations of Log.Read that have ended.
type Reads struct {
	Took   Histogram `json:"took"` // seconds, with what the caller did meanwhile
	Events uint64    `json:"events"`
	Bytes  uint64    `json:"bytes"` // of their Data and Metadata
	Errors uint64    `json:"errors"`
}

// Cursor is how the events of a cursor were handled.
type Cursor struct {
	Took        Histogram `json:"took"`         // seconds, of a move: from the first attempt to its commit
	Events      uint64    `json:"events"`       // that were handled
	DeadLetters uint64    `json:"dead_letters"` // events that could not be
	Failures    uint64    `json:"failures"`     // attempts that failed
	Through     uint64    `json:"through"`      // sequence up to which nothing is left to handle
	Ended       bool      `json:"ended"`        // its query has no more events
}

// Lag is how many events the log shows that Handle has still to look at, whether its
// query selects them or not: 0 when that has no more, and when log is nil. It goes
// on rising when Handle is stuck, or has ended with an error.
func (c Cursor) Lag(log *Log) uint64 {
	if log == nil || c.Ended || log.Visible < c.Through {
		return 0
	}
	return log.Visible - c.Through
}

// Log is the state of the log that is watched.
type Log struct {
	Segments       int    `json:"segments"`
	UsedBytes      int64  `json:"used_bytes"`      // of the segments, up to the end of the last batch
	AllocatedBytes int64  `json:"allocated_bytes"` // of the files, with what is written or reserved ahead
	Events         uint64 `json:"events"`
	Batches        uint64 `json:"batches"`
	Streams        int    `json:"streams"`

	// The sequences of the frontiers.
	Accepted uint64 `json:"accepted"`
	Written  uint64 `json:"written"`
	Durable  uint64 `json:"durable"`
	Visible  uint64 `json:"visible"`

	Unsynced uint64 `json:"unsynced"` // events that are written and not durable
	Failed   bool   `json:"failed"`   // it takes no writes
}

// Snapshot returns what was counted so far, and asks the log that is watched for
// its state.
func (m *Metrics) Snapshot() Snapshot {
	g := &m.groups
	s := Snapshot{
		InFlight: m.inFlight.Load(),
		Calls:    map[string]Calls{}, Rejected: map[string]uint64{},
		Commits: Commits{
			Took: g.took.snapshot(),
			Phases: map[string]Histogram{
				"gather": g.gather.snapshot(), "decide": g.decide.snapshot(), "write": g.write.snapshot(), "sync": g.sync.snapshot(),
			},
			Calls: g.calls.snapshot(), Size: g.size.snapshot(),
			Batches: g.batches.Load(), Events: g.events.Load(), Bytes: g.bytes.Load(), Errors: map[string]uint64{},
		},
		Syncs:      map[string]Histogram{"group": g.sync.snapshot()},
		SyncErrors: m.syncErrs.Load(),
		Rotations:  map[string]Histogram{"full": m.full.snapshot(), "fresh": m.fresh.snapshot()}, RotationErrors: m.moveErrs.Load(),
		Opens:      Opens{Took: m.opens.took.snapshot(), Errors: m.opens.errs.Load(), Torn: m.opens.torn.Load(), Fresh: m.opens.fresh.Load()},
		Reads:      Reads{Took: m.reads.took.snapshot(), Events: m.reads.events.Load(), Bytes: m.reads.bytes.Load(), Errors: m.reads.errs.Load()},
		Signatures: m.signed.snapshot(), SignatureErrors: m.signErrs.Load(),
		Cursors:  map[string]Cursor{},
		Failures: m.failures.Load(),
	}
	for name, h := range m.handled.all() {
		s.Cursors[name] = Cursor{
			Took: h.took.snapshot(), Events: h.events.Load(), DeadLetters: h.letters.Load(), Failures: h.failures.Load(),
			Through: h.through.Load(), Ended: h.ended.Load(),
		}
	}
	for i := range m.calls {
		c := &m.calls[i]
		s.Calls[engine.Outcome(i).String()] = Calls{Took: c.took.snapshot(), Events: c.events.Load(), Bytes: c.bytes.Load()}
	}
	for i, reason := range reasons() {
		s.Rejected[reason.name] = m.rejected[i].Load()
	}
	for i := range m.syncs {
		s.Syncs[engine.SyncCause(i).String()] = m.syncs[i].snapshot()
	}
	for _, outcome := range []engine.Outcome{engine.OutcomeRejected, engine.OutcomeFailed, engine.OutcomeInDoubt} {
		s.Commits.Errors[outcome.String()] = g.errs[outcome].Load()
	}
	if log := m.log.Load(); log != nil {
		s.Log = StateOf(log.Stats())
	}
	return s
}

// StateOf is a log's Stats in numbers.
func StateOf(stats engine.Stats) *Log {
	log := &Log{
		Segments: len(stats.Segments), Events: stats.Events, Batches: stats.Batches, Streams: stats.Streams,
		Accepted: stats.Accepted.Sequence, Written: stats.Written.Sequence, Durable: stats.Durable.Sequence, Visible: stats.Visible.Sequence,
		Unsynced: stats.Written.Sequence - stats.Durable.Sequence, Failed: stats.Failed != nil,
	}
	for _, segment := range stats.Segments {
		log.UsedBytes += segment.Used
		log.AllocatedBytes += segment.Size
	}
	return log
}
