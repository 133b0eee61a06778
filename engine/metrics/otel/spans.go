package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/metrics"
)

// spans makes spans of calls and groups.
type spans struct {
	tracer     trace.Tracer
	attributes []attribute.KeyValue
}

// spanKey is where a call's span is in its context: others may have put theirs in
// front of it.
type spanKey struct{ of *spans }

func (s *spans) listen() *engine.Metrics {
	return &engine.Metrics{CallBegin: s.callBegins, Call: s.callEnds, Group: s.groupEnds}
}

func (s *spans) callBegins(ctx context.Context, c engine.CallStats) context.Context {
	durability := "durable"
	if c.Durability == engine.Buffered {
		durability = "buffered"
	}
	ctx, span := s.tracer.Start(ctx, "untorn.append", trace.WithTimestamp(c.Began), trace.WithAttributes(s.attributes...), trace.WithAttributes(
		attribute.String("untorn.durability", durability),
		attribute.Int("untorn.events", c.Events),
		attribute.Int64("untorn.bytes", c.Bytes),
	))
	return context.WithValue(ctx, spanKey{s}, span)
}

func (s *spans) callEnds(ctx context.Context, c engine.CallStats) {
	span, ok := ctx.Value(spanKey{s}).(trace.Span)
	if !ok {
		return
	}
	span.SetAttributes(attribute.String("untorn.outcome", c.Outcome.String()), attribute.Bool("untorn.durable", c.Durable))
	if c.Batch != 0 {
		span.SetAttributes(attribute.Int64("untorn.batch", int64(c.Batch)))
	}
	if c.Err != nil {
		kind := metrics.Reason(c.Err)
		if kind == "" {
			kind = c.Outcome.String()
		}
		fails(span, kind, c.Err)
	}
	span.End(trace.WithTimestamp(c.Began.Add(c.Took)))
}

func (s *spans) groupEnds(g engine.GroupStats) {
	parent := context.Context(nil)
	var links []trace.Link
	for _, ctx := range g.Contexts {
		span, ok := ctx.Value(spanKey{s}).(trace.Span)
		if !ok || !span.SpanContext().IsSampled() {
			continue
		}
		if parent == nil {
			parent = trace.ContextWithSpan(ctx, span)
		} else {
			links = append(links, trace.Link{SpanContext: span.SpanContext()})
		}
	}
	if parent == nil {
		return
	}
	_, span := s.tracer.Start(parent, "untorn.commit", trace.WithTimestamp(g.Began), trace.WithLinks(links...), trace.WithAttributes(s.attributes...), trace.WithAttributes(
		attribute.Int("untorn.calls", g.Calls),
		attribute.Int("untorn.batches", g.Batches),
		attribute.Int("untorn.refusals", g.Refusals),
		attribute.Int("untorn.hits", g.Hits),
		attribute.Int("untorn.events", g.Events),
		attribute.Int64("untorn.bytes", g.Bytes),
		attribute.Bool("untorn.synced", g.Synced),
	))
	if g.Batch != 0 {
		span.SetAttributes(attribute.Int64("untorn.batch", int64(g.Batch)))
	}
	at := g.Began
	for _, step := range []struct {
		name string
		took time.Duration
		done bool
	}{
		{"gathered", g.Gather, true},
		{"decided", g.Decide, true},
		{"written", g.Write, g.Batches > 0},
		{"synced", g.Sync, g.Synced},
	} {
		if at = at.Add(step.took); step.done {
			span.AddEvent(step.name, trace.WithTimestamp(at))
		}
	}
	if g.Err != nil {
		fails(span, g.Outcome.String(), g.Err)
	}
	span.End(trace.WithTimestamp(g.Began.Add(g.Took)))
}

func fails(span trace.Span, kind string, err error) {
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, err.Error())
}
