package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Metrics is told what a log does, and how long it takes: each call, each group
// that commits, each sync, rotation and read, the opening, and how cursors handle
// their events. Every field may stay nil. Nil in Options costs a log nothing: it
// looks at no clock, and keeps nothing.
//
//	call ──▶ CallBegin ──▶ gather ─▶ decide ─▶ write ─▶ sync ─▶ answer ──▶ Call    in each caller's goroutine
//	                          │                                   │
//	                          ╰───── one group, one leader ───────┴──────▶ Group   in the leader's, the token handed on
//
// It is a struct of functions, as httptrace.ClientTrace is, and not an interface:
// a later version can tell of more, in new fields of Metrics or of what is told,
// and a listener of today stays whole. JoinMetrics makes one of several. Package
// engine/metrics counts what it is told; its neighbours hand that to Prometheus
// and OpenTelemetry.
//
// The functions are called from many goroutines at once, with none of the log's
// locks held and not by who has the commit token: a slow one delays the caller in
// whose goroutine it is told, whose outcome is settled by then, and nobody else.
// They may call the log's methods that only read. Groups may be told in another
// order than that in which they committed: GroupStats.Batch has that.
//
// They must not panic. If one does, the panic goes to the caller in whose
// goroutine it was, whatever the log has done for that call stays done, and the
// log goes on; but a sync of the cadence, and a signature behind a group, have no
// caller, and the program ends.
//
// All times are those of Options.Clock. A duration is never negative; it is as
// right as the clock is even, and the system's clock is monotonic for that.
type Metrics struct {
	// CallBegin is told that an append begins, before anything is checked, with
	// what is known then: Began, Durability, Events and Bytes. The call goes on
	// with the context that it returns, which should be ctx or follow from it; nil
	// stands for ctx. An empty batch is not told.
	CallBegin func(ctx context.Context, call CallStats) context.Context
	// Call is told the answer of a call, once, with the context of CallBegin.
	Call func(ctx context.Context, call CallStats)
	// Group is told what became of a group of calls, once, when they are answered.
	Group func(group GroupStats)
	// Sync is told of each sync that is no part of a group or of a rotation.
	Sync func(sync SyncStats)
	// Rotation is told of each move to another segment, also of one that failed.
	// What Open does of that kind is in OpenStats.
	Rotation func(rotation RotationStats)
	// Open is told the outcome of Open, once, unless the options are wrong.
	Open func(open OpenStats)
	// Read is told of each iteration of Log.Read, once, when it has ended: by
	// itself, by an error, or because the caller has left it.
	Read func(read ReadStats)
	// Signature is told of each time that the signer of Options.Signing was asked, in
	// the goroutine that has asked: of Log.Sign, of Close, or of the log's own.
	Signature func(signature SignatureStats)
	// Handled is told how a cursor's Handle goes on: when it begins, at each move of
	// the cursor, each failed attempt, when it has looked at events that the query
	// leaves out, and when the query has no more.
	Handled func(handled HandledStats)
	// Failed is told why the log takes no more writes, once.
	Failed func(cause error)
}

// CallStats is one append, by the clock of its caller.
type CallStats struct {
	Began      time.Time
	Took       time.Duration // until it was answered, waits included
	Durability Durability    // that was asked for
	Events     int           // in its batch
	Bytes      int64         // of their Data and Metadata

	Outcome Outcome
	Durable bool   // all of its batch was durable when it was answered
	Batch   uint64 // number of its batch, or of that of the earlier call; 0 with an error
	Err     error  // what the caller gets, or nil
}

// Outcome is what became of a call.
type Outcome uint8

// The outcomes of a call. Later versions may have more.
const (
	OutcomeDurable  Outcome = iota // committed, and synced
	OutcomeBuffered                // committed, not synced yet
	OutcomeHit                     // answered from its keys, with the receipts of another call
	OutcomeRejected                // ErrRejected
	OutcomeFailed                  // ErrFailed
	OutcomeInDoubt                 // ErrInDoubt
)

// String is the outcome in a word, such as "in_doubt".
func (o Outcome) String() string {
	return word(int(o), "durable", "buffered", "hit", "rejected", "failed", "in_doubt")
}

// GroupStats is a group of calls that shared a write and a sync.
type GroupStats struct {
	Began time.Time // when its first call joined
	// Gather is how long it waited for the commit token and for company, Decide
	// what it took to check it and to compute its hashes, Write to hand it to the
	// file, with the room for it and a rotation if there was one, and Sync to sync.
	// Took is all of it, until every call had its answer.
	Gather, Decide, Write, Sync, Took time.Duration

	Calls    int // that it had
	Batches  int // that it was to write
	Refusals int // calls that were refused each for itself
	Hits     int // calls that were answered from their keys
	Events   int // of the batches
	Bytes    int64
	Batch    uint64 // number of the first batch; 0 without any
	Synced   bool   // a sync was part of it, which has covered it unless Err says otherwise

	// Err is nil, or what all its calls were told, hits on durable events aside. It
	// matches ErrRejected, ErrFailed or ErrInDoubt, as Outcome says; without it
	// Outcome is OutcomeBuffered if batches were written and not synced yet, else
	// OutcomeDurable.
	Err     error
	Outcome Outcome

	// Contexts are those of its calls, in their order, as CallBegin returned them.
	// They are the listener's to keep.
	Contexts []context.Context
}

// SyncCause is who wanted a sync.
type SyncCause uint8

// The causes of a sync. Later versions may have more.
const (
	SyncCadence SyncCause = iota // Options.SyncEvery
	SyncAsked                    // Log.Sync
	SyncWait                     // Log.WaitDurable
	SyncClose                    // Log.Close
)

// String is the cause in a word, such as "cadence".
func (c SyncCause) String() string { return word(int(c), "cadence", "asked", "wait", "close") }

// SyncStats is one sync that is no part of a group.
type SyncStats struct {
	Began   time.Time
	Took    time.Duration
	Cause   SyncCause
	Batches int   // that it was to make durable
	Err     error // what the disk said; the log has failed
}

// RotationStats is a move of the log to another segment.
type RotationStats struct {
	Began time.Time
	Took  time.Duration // waiting for a segment that is being prepared included
	From  uint64        // number of the segment that was left
	To    uint64        // number of the segment that is active now
	// Fresh is set where a write has failed, and a fresh segment has ended the old
	// one before what may stand there of it; else the old one was full.
	Fresh   bool
	Carried int   // batches that were copied to the fresh segment
	Err     error // why it did not come to be, or nil
}

// SignatureStats is one answer of a signer.
type SignatureStats struct {
	Began time.Time
	Took  time.Duration
	Batch uint64 // of the head
	Err   error  // why there is no signature, or nil
}

// OpenStats is an Open.
type OpenStats struct {
	Began    time.Time
	Took     time.Duration
	ReadOnly bool
	Recovery Recovery // what it found and did, as far as it came
	Err      error    // what Open returns, without the directory, or nil
}

// ReadStats is one iteration of Log.Read.
type ReadStats struct {
	Began  time.Time
	Took   time.Duration // with what the caller did between the events
	Events uint64        // that were yielded
	Bytes  int64         // of their Data and Metadata
	Err    error         // that was yielded, or nil
}

// HandledStats is a step of a Cursor's Handle.
type HandledStats struct {
	Cursor string // its name
	// Through is the sequence up to which nothing is left to handle: the cursor's
	// position, or one behind it if the query selects nothing in between. It lags by
	// what the log shows beyond that, Stats.Visible.
	Through uint64
	Ended   bool // the query has no more events, whatever is appended

	// With a move of the cursor: Began is the first attempt since the one before it,
	// and Took goes on until the move has committed, waits and failures included.
	// Else they are when it is told, and 0.
	Began       time.Time
	Took        time.Duration
	Events      int // that were handled, and the cursor moved behind
	DeadLetters int // events that could not be, and the cursor moved behind

	// With an attempt that failed: its number, and why. It says nothing of attempts
	// that do not count: those that the context, the end of the log, or events of the
	// same batch have spoilt.
	Attempt int // from 1; 0 without
	Err     error
}

func word(i int, words ...string) string {
	if i < len(words) {
		return words[i]
	}
	return fmt.Sprintf("unknown_%d", i)
}

// JoinMetrics makes one listener of several, which are told in their order. Nil
// ones are left out; it returns nil if no other is there.
func JoinMetrics(list ...*Metrics) *Metrics {
	var joined *Metrics
	for _, m := range list {
		switch {
		case m == nil:
		case joined == nil:
			joined = m
		default:
			joined = &Metrics{
				CallBegin: bothBegin(joined.CallBegin, m.CallBegin), Call: bothCalls(joined.Call, m.Call),
				Group: both(joined.Group, m.Group), Sync: both(joined.Sync, m.Sync), Rotation: both(joined.Rotation, m.Rotation),
				Open: both(joined.Open, m.Open), Read: both(joined.Read, m.Read), Signature: both(joined.Signature, m.Signature),
				Handled: both(joined.Handled, m.Handled), Failed: both(joined.Failed, m.Failed),
			}
		}
	}
	return joined
}

func both[T any](first, second func(T)) func(T) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(told T) { first(told); second(told) }
}

func bothCalls(first, second func(context.Context, CallStats)) func(context.Context, CallStats) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, call CallStats) { first(ctx, call); second(ctx, call) }
}

func bothBegin(first, second func(context.Context, CallStats) context.Context) func(context.Context, CallStats) context.Context {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, call CallStats) context.Context {
		if inner := first(ctx, call); inner != nil {
			ctx = inner
		}
		if inner := second(ctx, call); inner != nil {
			ctx = inner
		}
		return ctx
	}
}

// meter is what the holder of the commit token has measured, and will tell when
// it has handed the token on: nobody waits for a listener.
type meter struct {
	group *GroupStats // at work; nil when nobody listens
	last  time.Time   // when its last step ended
	news  []func(*Metrics)
}

// later tells f when the commit token is handed on. The caller has it, and knows
// that somebody listens.
func (l *Log) later(f func(*Metrics)) { l.meter.news = append(l.meter.news, f) }

// takeNews takes what is to be told. The caller has the commit token.
func (l *Log) takeNews() []func(*Metrics) {
	news := l.meter.news
	l.meter.news = nil
	return news
}

// tell tells what was taken. The caller has no token any more.
func (l *Log) tell(news []func(*Metrics)) {
	for _, f := range news {
		f(l.opts.Metrics)
	}
}

// sinceThen is how long ago something was, by the log's clock.
func (l *Log) sinceThen(then time.Time) time.Duration {
	return max(0, l.opts.Clock.Now().Sub(then))
}

// appendTold is append where somebody listens.
func (l *Log) appendTold(ctx context.Context, c *call) (err error) {
	m := l.opts.Metrics
	call := CallStats{Durability: c.batch.Durability, Events: len(c.batch.Events)}
	if c.exact != nil {
		call.Events = len(c.exact.events)
	}
	if m.CallBegin != nil || m.Call != nil {
		call.Began = l.opts.Clock.Now()
		for i := range c.batch.Events {
			call.Bytes += int64(len(c.batch.Events[i].Data) + len(c.batch.Events[i].Metadata))
		}
		if c.exact != nil {
			call.Bytes = c.exact.content()
		}
	}
	if m.CallBegin != nil {
		if inner := m.CallBegin(ctx, call); inner != nil {
			ctx = inner
		}
	}
	c.ctx = ctx
	if m.Call != nil {
		returned := false
		defer func() {
			if !returned { // the panic goes on behind this
				err = fmt.Errorf("engine: append: %w: %w", ErrInDoubt, errPanicked)
			}
			l.tellCall(ctx, c, call, err)
		}()
		err = l.appendCall(ctx, c)
		returned = true
		return err
	}
	return l.appendCall(ctx, c)
}

func (l *Log) tellCall(ctx context.Context, c *call, call CallStats, err error) {
	call.Took, call.Err = l.sinceThen(call.Began), err
	switch {
	case err != nil:
		call.Outcome = outcomeOf(err)
	case c.hit || c.twin != nil:
		call.Outcome = OutcomeHit
	case !c.durable:
		call.Outcome = OutcomeBuffered
	}
	if err == nil {
		call.Batch, call.Durable = c.number, c.durable
	}
	l.opts.Metrics.Call(ctx, call)
}

// outcomeOf is the outcome of a call with this error, or of all calls of a group.
func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, ErrInDoubt):
		return OutcomeInDoubt
	case errors.Is(err, ErrFailed):
		return OutcomeFailed
	}
	return OutcomeRejected
}

// groupBegins notes when a group has its first call, which waits for the commit
// token next.
func (l *Log) groupBegins(g *group) {
	if m := l.opts.Metrics; m != nil && m.Group != nil {
		g.began = l.opts.Clock.Now()
	}
}

// groupCloses notes that nobody joins a group any more.
func (l *Log) groupCloses(g *group) {
	if m := l.opts.Metrics; m == nil || m.Group == nil {
		return
	}
	now := l.opts.Clock.Now()
	stats := &GroupStats{Began: g.began, Gather: max(0, now.Sub(g.began)), Calls: len(g.calls)}
	stats.Contexts = make([]context.Context, len(g.calls))
	for i, c := range g.calls {
		stats.Contexts[i] = c.ctx
	}
	l.meter.group, l.meter.last = stats, now
}

// lap measures a step of the group at work.
func (l *Log) lap(step *time.Duration) {
	now := l.opts.Clock.Now()
	*step = max(0, now.Sub(l.meter.last))
	l.meter.last = now
}

// groupDecided notes what a group has come to, and that its hashes are computed.
func (l *Log) groupDecided(group []*call, staged *staging) {
	stats := l.meter.group
	if stats == nil {
		return
	}
	for _, c := range group {
		switch {
		case c.refusal != nil:
			stats.Refusals++
		case c.hit || c.twin != nil:
			stats.Hits++
		}
	}
	stats.Batches = len(staged.batches)
	for i, b := range staged.batches {
		if i == 0 {
			stats.Batch = b.mark.Batch
		}
		stats.Events += len(b.events)
		stats.Bytes += b.size
	}
	l.lap(&stats.Decide)
}

func (l *Log) groupWritten() {
	if stats := l.meter.group; stats != nil {
		l.lap(&stats.Write)
	}
}

func (l *Log) groupSynced() {
	if stats := l.meter.group; stats != nil {
		stats.Synced = true
		l.lap(&stats.Sync)
	}
}

// replied notes what the answer of a call is about, before what is staged is
// forgotten.
func (l *Log) replied(c *call) {
	if l.opts.Metrics == nil {
		return
	}
	switch {
	case c.refusal != nil:
		return
	case c.hit:
		c.number = c.hitBatch()
	case c.twin != nil:
		c.number = c.twin.staged.mark.Batch
	default:
		c.number = c.staged.mark.Batch
	}
	c.durable = c.number <= l.durable.batch
}

// groupReplied notes that the calls of a group are answered each for itself.
func (l *Log) groupReplied(group []*call) {
	if l.opts.Metrics == nil {
		return
	}
	for _, c := range group {
		l.replied(c)
	}
}

// groupFailed notes what all calls of a group are told.
func (l *Log) groupFailed(err error) {
	if stats := l.meter.group; stats != nil {
		stats.Err, stats.Outcome = err, outcomeOf(err)
	}
}

// groupEnds has a group told. The caller has the commit token.
func (l *Log) groupEnds() {
	stats := l.meter.group
	if stats == nil {
		return
	}
	l.meter.group = nil
	if stats.Err == nil && stats.Batches > 0 && !stats.Synced {
		stats.Outcome = OutcomeBuffered
	}
	stats.Took = l.sinceThen(stats.Began)
	l.later(func(m *Metrics) { m.Group(*stats) })
}

// syncFor is syncWritten outside of a group.
func (l *Log) syncFor(cause SyncCause) error {
	m := l.opts.Metrics
	if m == nil || m.Sync == nil {
		return l.syncWritten()
	}
	l.mu.Lock()
	batches := len(l.unsynced)
	l.mu.Unlock()
	began := l.opts.Clock.Now()
	err := l.syncWritten()
	if batches > 0 {
		stats := SyncStats{Began: began, Took: l.sinceThen(began), Cause: cause, Batches: batches, Err: err}
		l.later(func(m *Metrics) { m.Sync(stats) })
	}
	return err
}

// moveOn goes from segment s, which is active, to another one: by rotate, or by
// freshSegment.
func (l *Log) moveOn(s *segmentFile, fresh bool) error {
	move := func() error {
		if fresh {
			return l.freshSegment(s)
		}
		return l.rotate()
	}
	m := l.opts.Metrics
	if m == nil || m.Rotation == nil {
		return move()
	}
	stats := RotationStats{Began: l.opts.Clock.Now(), From: s.number, Fresh: fresh}
	if fresh {
		stats.Carried = len(l.unsynced)
	}
	err := move()
	stats.Took, stats.To, stats.Err = l.sinceThen(stats.Began), l.active.number, err
	l.later(func(m *Metrics) { m.Rotation(stats) })
	return err
}

// logFails has it told that the log takes no more writes. The caller has the
// commit token, or opens the log.
func (l *Log) logFails(cause error) {
	if m := l.opts.Metrics; m != nil && m.Failed != nil {
		l.later(func(m *Metrics) { m.Failed(cause) })
	}
}

// tellOpen tells the outcome of Open, and what else there is to tell of it. If a
// listener panics nobody gets the log, and it must not keep its lock.
func (l *Log) tellOpen(began time.Time, err error) {
	told := false
	defer func() {
		if !told && err == nil {
			l.abandon()
		}
	}()
	if m := l.opts.Metrics; m.Open != nil {
		m.Open(OpenStats{Began: began, Took: l.sinceThen(began), ReadOnly: l.opts.ReadOnly, Recovery: l.Recovery(), Err: err})
	}
	l.tell(l.takeNews())
	told = true
}

// readBegins, count and readEnds measure what a read yields.
func (l *Log) readBegins() ReadStats { return ReadStats{Began: l.opts.Clock.Now()} }

func (s *ReadStats) count(event *Event, err error) {
	if s.Err = err; err == nil {
		s.Events++
		s.Bytes += int64(len(event.Data) + len(event.Metadata))
	}
}

func (l *Log) readEnds(s *ReadStats) {
	s.Took = l.sinceThen(s.Began)
	l.opts.Metrics.Read(*s)
}

// attempts notes when the first attempt since the cursor's last move begins.
func (h *handling) attempts() {
	if m := h.cursor.log.opts.Metrics; m != nil && m.Handled != nil && h.began.IsZero() {
		h.began = h.cursor.log.opts.Clock.Now()
	}
}

// moved has it told that the cursor has moved behind what was handled.
func (h *handling) moved() {
	h.tell(HandledStats{Began: h.began, Events: h.count, DeadLetters: h.dead})
	h.began = time.Time{}
}

// tell tells a step. The caller has no lock and no token.
func (h *handling) tell(s HandledStats) {
	m := h.cursor.log.opts.Metrics
	if m == nil || m.Handled == nil {
		return
	}
	if s.Began.IsZero() {
		s.Began = h.cursor.log.opts.Clock.Now()
	} else {
		s.Took = h.cursor.log.sinceThen(s.Began)
	}
	s.Cursor, s.Through = h.cursor.name, max(h.position, h.scanned, max(h.cursor.query.FromSequence, 1)-1)
	m.Handled(s)
}
