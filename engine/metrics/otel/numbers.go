package otel

import (
	"context"
	"errors"
	"maps"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/metrics"
)

// numbers are the instruments that a log's words go to.
type numbers struct {
	attributes []attribute.KeyValue
	plain      metric.MeasurementOption
	phases     [4]metric.MeasurementOption // gather, decide, write, sync
	group      metric.MeasurementOption    // as a cause of a sync
	full       metric.MeasurementOption
	fresh      metric.MeasurementOption

	call, commit, phase, sync, rotation, open, read, sign metric.Float64Histogram
	callEvents, callBytes, rejected                       metric.Int64Counter
	inFlight                                              metric.Int64UpDownCounter
	commitCalls, commitBytes                              metric.Int64Histogram
	batches, events, bytes                                metric.Int64Counter
	commitErrs, syncErrs, rotationErrs                    metric.Int64Counter
	openErrs, torn, begunFresh                            metric.Int64Counter
	readEvents, readBytes, readErrs, failures, signErrs   metric.Int64Counter
	handle                                                metric.Float64Histogram
	handleEvents, handleErrs, deadLetters                 metric.Int64Counter

	mu      sync.Mutex
	handled map[string]metrics.Cursor // how far cursors have come
}

func newNumbers(meter metric.Meter, attributes []attribute.KeyValue) (*numbers, error) {
	in := &instruments{meter: meter, like: metrics.New().Snapshot().Commits}
	inFlight, err := meter.Int64UpDownCounter("untorn.calls.in_flight", metric.WithUnit("{call}"), metric.WithDescription("Appends that are not answered yet."))
	n := &numbers{
		attributes: attributes,
		handled:    map[string]metrics.Cursor{},
		plain:      with(attributes),
		group:      with(attributes, attribute.String("cause", "group")),
		full:       with(attributes, attribute.String("kind", "full")),
		fresh:      with(attributes, attribute.String("kind", "fresh")),

		call:     in.seconds("untorn.call", "How long appends took, from the call to its answer."),
		commit:   in.seconds("untorn.commit", "How long groups of appends took, from the first that joined to their answer."),
		phase:    in.seconds("untorn.commit.phase", "How long groups waited for their turn and for company, were checked and hashed, were written, and were synced."),
		sync:     in.seconds("untorn.sync", "How long syncs took, and who wanted them."),
		rotation: in.seconds("untorn.rotation", "How long moves to another segment took: from a full one, or to a fresh one after a failed write."),
		open:     in.seconds("untorn.open", "How long opening, and recovery, took."),
		handle:   in.seconds("untorn.handle", "How long moves of cursors took, from the first attempt to handle an event to the commit."),
		read:     in.seconds("untorn.read", "How long iterations over events took, with what the caller did meanwhile."),
		sign:     in.seconds("untorn.signature", "How long the signer of heads took, with or without an answer."),

		callEvents: in.counter("untorn.call.events", "{event}", "Events of appends, committed or not."),
		callBytes:  in.counter("untorn.call.bytes", "By", "Bytes of data and metadata of appends, committed or not."),
		rejected:   in.counter("untorn.calls.rejected", "{call}", "Appends that were rejected, and why."),
		inFlight:   made(in, inFlight, err),

		commitCalls: in.sizes("untorn.commit.calls", "{call}", "Appends that shared a write and a sync."),
		commitBytes: in.sizes("untorn.commit.bytes", "By", "Bytes that groups of appends wrote, as stored."),
		batches:     in.counter("untorn.batches", "{batch}", "Batches that were committed."),
		events:      in.counter("untorn.events", "{event}", "Events that were committed."),
		bytes:       in.counter("untorn.bytes", "By", "Bytes that were committed, as stored."),

		commitErrs:   in.counter("untorn.commit.errors", "{group}", "Groups of appends that met an error as a whole."),
		syncErrs:     in.counter("untorn.sync.errors", "{sync}", "Syncs that failed."),
		rotationErrs: in.counter("untorn.rotation.errors", "{rotation}", "Moves to another segment that failed."),
		openErrs:     in.counter("untorn.open.errors", "{open}", "Opens that failed."),
		torn:         in.counter("untorn.open.torn", "{open}", "Opens that found a torn tail."),
		begunFresh:   in.counter("untorn.open.fresh", "{open}", "Opens that began a fresh segment."),
		readEvents:   in.counter("untorn.read.events", "{event}", "Events that were read."),
		readBytes:    in.counter("untorn.read.bytes", "By", "Bytes of data and metadata that were read."),
		readErrs:     in.counter("untorn.read.errors", "{read}", "Iterations over events that ended in an error."),
		signErrs:     in.counter("untorn.signature.errors", "{signature}", "Heads that were to be signed, and got no signature."),
		handleEvents: in.counter("untorn.handle.events", "{event}", "Events that were handled."),
		handleErrs:   in.counter("untorn.handle.failures", "{attempt}", "Attempts to handle an event that failed."),
		deadLetters:  in.counter("untorn.handle.dead_letters", "{event}", "Events that could not be handled, and got a dead letter."),
		failures:     in.counter("untorn.log.failures", "{log}", "Logs that took no more writes after an error of the disk."),
	}
	for i, name := range []string{"gather", "decide", "write", "sync"} {
		n.phases[i] = with(attributes, attribute.String("phase", name))
	}
	return n, errors.Join(in.errs...)
}

func (n *numbers) listen() *engine.Metrics {
	return &engine.Metrics{
		CallBegin: n.callBegins, Call: n.callEnds, Group: n.groupEnds,
		Sync: n.synced, Rotation: n.rotated, Open: n.opened, Read: n.hasRead,
		Signature: n.signed, Handled: n.hasHandled,
		Failed: func(error) { n.failures.Add(context.Background(), 1, n.plain) },
	}
}

func (n *numbers) callBegins(ctx context.Context, _ engine.CallStats) context.Context {
	n.inFlight.Add(ctx, 1, n.plain)
	return ctx
}

func (n *numbers) callEnds(ctx context.Context, c engine.CallStats) {
	outcome := with(n.attributes, attribute.String("outcome", c.Outcome.String()))
	n.inFlight.Add(ctx, -1, n.plain)
	n.call.Record(ctx, c.Took.Seconds(), outcome)
	n.callEvents.Add(ctx, int64(c.Events), outcome)
	n.callBytes.Add(ctx, c.Bytes, outcome)
	if reason := metrics.Reason(c.Err); reason != "" {
		n.rejected.Add(ctx, 1, with(n.attributes, attribute.String("reason", reason)))
	}
}

func (n *numbers) groupEnds(g engine.GroupStats) {
	ctx := context.Background()
	n.commit.Record(ctx, g.Took.Seconds(), n.plain)
	n.phase.Record(ctx, g.Gather.Seconds(), n.phases[0])
	n.phase.Record(ctx, g.Decide.Seconds(), n.phases[1])
	n.commitCalls.Record(ctx, int64(g.Calls), n.plain)
	if g.Batches > 0 {
		n.phase.Record(ctx, g.Write.Seconds(), n.phases[2])
		n.commitBytes.Record(ctx, g.Bytes, n.plain)
	}
	if g.Synced {
		n.phase.Record(ctx, g.Sync.Seconds(), n.phases[3])
		n.sync.Record(ctx, g.Sync.Seconds(), n.group)
	}
	if g.Err != nil {
		n.commitErrs.Add(ctx, 1, with(n.attributes, attribute.String("outcome", g.Outcome.String())))
		if g.Synced {
			n.syncErrs.Add(ctx, 1, n.plain)
		}
		return
	}
	n.batches.Add(ctx, int64(g.Batches), n.plain)
	n.events.Add(ctx, int64(g.Events), n.plain)
	n.bytes.Add(ctx, g.Bytes, n.plain)
}

func (n *numbers) synced(s engine.SyncStats) {
	ctx := context.Background()
	n.sync.Record(ctx, s.Took.Seconds(), with(n.attributes, attribute.String("cause", s.Cause.String())))
	n.count(ctx, n.syncErrs, s.Err != nil)
}

func (n *numbers) rotated(r engine.RotationStats) {
	ctx, kind := context.Background(), n.full
	if r.Fresh {
		kind = n.fresh
	}
	n.rotation.Record(ctx, r.Took.Seconds(), kind)
	n.count(ctx, n.rotationErrs, r.Err != nil)
}

func (n *numbers) opened(o engine.OpenStats) {
	ctx := context.Background()
	n.open.Record(ctx, o.Took.Seconds(), n.plain)
	n.count(ctx, n.openErrs, o.Err != nil)
	n.count(ctx, n.torn, o.Recovery.Torn)
	n.count(ctx, n.begunFresh, o.Recovery.Fresh != 0)
}

func (n *numbers) hasRead(r engine.ReadStats) {
	ctx := context.Background()
	n.read.Record(ctx, r.Took.Seconds(), n.plain)
	n.readEvents.Add(ctx, int64(r.Events), n.plain)
	n.readBytes.Add(ctx, r.Bytes, n.plain)
	n.count(ctx, n.readErrs, r.Err != nil)
}

func (n *numbers) signed(s engine.SignatureStats) {
	ctx := context.Background()
	n.sign.Record(ctx, s.Took.Seconds(), n.plain)
	n.count(ctx, n.signErrs, s.Err != nil)
}

func (n *numbers) hasHandled(h engine.HandledStats) {
	ctx, cursor := context.Background(), with(n.attributes, attribute.String("cursor", h.Cursor))
	if h.Events+h.DeadLetters > 0 {
		n.handle.Record(ctx, h.Took.Seconds(), cursor)
	}
	failures := int64(0)
	if h.Err != nil {
		failures = 1
	}
	// Each is there from the beginning, at 0.
	n.handleEvents.Add(ctx, int64(h.Events), cursor)
	n.deadLetters.Add(ctx, int64(h.DeadLetters), cursor)
	n.handleErrs.Add(ctx, failures, cursor)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handled[h.Cursor] = metrics.Cursor{Through: h.Through, Ended: h.Ended}
}

// cursors are how far cursors have come, by their names.
func (n *numbers) cursors() map[string]metrics.Cursor {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.handled)
}

func (n *numbers) count(ctx context.Context, c metric.Int64Counter, happened bool) {
	if happened {
		c.Add(ctx, 1, n.plain)
	}
}
