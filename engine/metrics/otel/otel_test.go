package otel_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/metrics/otel"
	"github.com/untorn-db/untorn/simfs"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew from what is told now")

// ticking is a clock that goes on by a millisecond whenever somebody looks.
type ticking struct{ now time.Time }

func (c *ticking) Now() time.Time { c.now = c.now.Add(time.Millisecond); return c.now }

func start() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// drawn is spans, in the order in which they ended, with names in place of ids.
func drawn(spans tracetest.SpanStubs) string {
	names := map[trace.SpanID]string{}
	count := map[string]int{}
	for _, s := range spans {
		count[s.Name]++
		names[s.SpanContext.SpanID()] = fmt.Sprintf("%s %d", s.Name, count[s.Name])
	}
	var text strings.Builder
	for _, s := range spans {
		parent := "no parent"
		if id := s.Parent.SpanID(); id.IsValid() {
			parent = "in " + names[id]
		}
		fmt.Fprintf(&text, "%s, %s, from %v to %v: %v %s\n", names[s.SpanContext.SpanID()], parent, s.StartTime.Sub(start()), s.EndTime.Sub(start()), s.Status.Code, s.Status.Description)
		for _, a := range s.Attributes {
			fmt.Fprintf(&text, "  %s = %s\n", a.Key, a.Value.String())
		}
		for _, e := range s.Events {
			fmt.Fprintf(&text, "  %s at %v\n", e.Name, e.Time.Sub(start()))
		}
		for _, l := range s.Links {
			fmt.Fprintf(&text, "  link to %s\n", names[l.SpanContext.SpanID()])
		}
	}
	return text.String()
}

func (c *collected) spans() tracetest.SpanStubs { return c.exporter.GetSpans() }

// collected is where a Telemetry tells, in memory.
type collected struct {
	exporter  *tracetest.InMemoryExporter
	tracers   *sdktrace.TracerProvider
	reader    *sdkmetric.ManualReader
	telemetry *otel.Telemetry
}

func collect(t *testing.T, options ...sdktrace.TracerProviderOption) *collected {
	t.Helper()
	c := &collected{exporter: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	c.tracers = sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(c.exporter))...)
	var err error
	c.telemetry, err = otel.New(otel.Options{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(c.reader)), TracerProvider: c.tracers,
		Attributes: []attribute.KeyValue{attribute.String("log", "orders")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// numbers is all that the reader has, a line each.
func (c *collected) numbers(t *testing.T) string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := c.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(m metricdata.Metrics, set attribute.Set, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%s [%s] {%s} ", m.Name, m.Unit, set.Encoded(attribute.DefaultEncoder()))+fmt.Sprintf(format, args...))
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, "%d, monotonic %t", p.Value, data.IsMonotonic)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, "%d", p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, "count %d, sum %.6g, %d bounds from %g to %g", p.Count, p.Sum, len(p.Bounds), p.Bounds[0], p.Bounds[len(p.Bounds)-1])
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, "count %d, sum %d, %d bounds from %g to %g", p.Count, p.Sum, len(p.Bounds), p.Bounds[0], p.Bounds[len(p.Bounds)-1])
				}
			default:
				t.Fatalf("%s has data of type %T", m.Name, data)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// TestALog compares the spans and the numbers of some calls with testdata.
func TestALog(t *testing.T) {
	c := collect(t)
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Clock: &ticking{start()}, Metrics: c.telemetry.Listen(), SyncEvery: time.Hour, Preallocate: -1})
	if err != nil {
		t.Fatal(err)
	}
	c.telemetry.Watch(log)
	ctx, request := c.tracers.Tracer("test").Start(context.Background(), "request", trace.WithTimestamp(start()))
	draft := engine.Draft{Stream: "s", Type: "t", Data: []byte("12345"), Expect: engine.NoStream}
	for range 2 {
		_, _ = log.Append(ctx, draft) // the second one expects another version
	}
	draft.Expect = engine.Any
	batch := engine.Batch{Key: "k", Durability: engine.Buffered, Events: []engine.Draft{draft, draft}}
	for range 2 {
		if _, err := log.AppendBatch(context.Background(), batch); err != nil { // in no request, then a hit
			t.Fatal(err)
		}
	}
	for range log.Read(engine.Query{Buffered: true}) {
	}
	if err := log.WaitDurable(ctx, 3); err != nil {
		t.Fatal(err)
	}
	request.End(trace.WithTimestamp(start().Add(time.Second)))
	l := c.telemetry.Listen() // what is hard to bring about
	l.Rotation(engine.RotationStats{Took: time.Millisecond})
	l.Rotation(engine.RotationStats{Took: 2 * time.Millisecond, Fresh: true, Err: errors.New("no")})
	l.Open(engine.OpenStats{Took: time.Millisecond, Err: errors.New("no"), Recovery: engine.Recovery{Torn: true, Fresh: 2}})
	l.Read(engine.ReadStats{Took: time.Millisecond, Err: errors.New("no")})
	l.Sync(engine.SyncStats{Took: time.Millisecond, Cause: engine.SyncCadence, Err: errors.New("no")})
	l.Handled(engine.HandledStats{Cursor: "billing"})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 1, Events: 1, Took: time.Second})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 1, Attempt: 1, Err: errors.New("no")})
	l.Handled(engine.HandledStats{Cursor: "billing", Through: 2, DeadLetters: 1, Took: time.Second})
	l.Handled(engine.HandledStats{Cursor: "mail", Through: 1, Ended: true})
	l.Handled(engine.HandledStats{Cursor: "ahead", Through: 9})
	l.Signature(engine.SignatureStats{Took: time.Millisecond, Batch: 7})
	l.Signature(engine.SignatureStats{Took: time.Millisecond, Batch: 8, Err: errors.New("no")})
	l.Failed(errors.New("no"))
	l.Group(engine.GroupStats{Calls: 1, Err: engine.ErrFailed, Outcome: engine.OutcomeFailed})
	golden(t, "spans.txt", drawn(c.spans()))
	golden(t, "numbers.txt", c.numbers(t))
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.telemetry.Close(); err != nil {
		t.Fatal(err)
	}
	if text := c.numbers(t); strings.Contains(text, "untorn.log.segments") {
		t.Errorf("a gauge of a log that nobody watches:\n%s", text)
	}
}

// TestAGroupOfThree: the span of a group is in that of its first call that is
// sampled, and linked to the other one.
func TestAGroupOfThree(t *testing.T) {
	c := collect(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	l := c.telemetry.Listen()
	at := func(ms int) time.Time { return start().Add(time.Duration(ms) * time.Millisecond) }
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	dark := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	var contexts []context.Context
	var calls []engine.CallStats
	for i, ctx := range []context.Context{dark, context.Background(), context.Background()} {
		call := engine.CallStats{Began: at(i), Events: i + 1, Bytes: 5}
		calls = append(calls, call)
		contexts = append(contexts, l.CallBegin(ctx, call))
	}
	err := fmt.Errorf("%w: sync: no", engine.ErrInDoubt)
	group := engine.GroupStats{Began: at(3), Gather: ms(1), Decide: ms(2), Write: ms(3), Sync: ms(4), Took: ms(11), Calls: 3, Batches: 3, Events: 6, Bytes: 600, Batch: 7, Synced: true, Err: err, Outcome: engine.OutcomeInDoubt}
	group.Contexts = contexts
	l.Group(group)
	for i, ctx := range contexts {
		calls[i].Took, calls[i].Outcome, calls[i].Err = ms(20), engine.OutcomeInDoubt, err
		l.Call(ctx, calls[i])
	}
	golden(t, "group.txt", drawn(c.spans()))

	c.exporter.Reset()
	group.Contexts = []context.Context{contexts[0], context.Background()}
	l.Group(group)
	if spans := c.spans(); len(spans) != 0 {
		t.Errorf("a group without a sampled call has spans:\n%s", drawn(spans))
	}
}

// TestNobodyToTell: what has no provider is left out.
func TestNobodyToTell(t *testing.T) {
	none, err := otel.New(otel.Options{})
	if err != nil || none.Listen() != nil || none.Close() != nil {
		t.Errorf("no providers: %+v, %v", none, err)
	}
	c := collect(t)
	spans, err := otel.New(otel.Options{TracerProvider: c.tracers})
	if err != nil || spans.Listen().Read != nil || spans.Listen().Call == nil || spans.Close() != nil {
		t.Errorf("a tracer only: %v", err)
	}
	if _, err := otel.New(otel.Options{MeterProvider: refusing{}}); !errors.Is(err, errRefused) {
		t.Errorf("an instrument is refused: %v", err)
	}
}

var errRefused = errors.New("no such instrument")

type refusing struct{ noop.MeterProvider }

func (refusing) Meter(string, ...metric.MeterOption) metric.Meter { return refusingMeter{} }

type refusingMeter struct{ noop.Meter }

func (refusingMeter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if name == "untorn.read.errors" {
		return nil, errRefused
	}
	return noop.Int64Counter{}, nil
}

func ExampleNew() {
	exporter := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	telemetry, err := otel.New(otel.Options{TracerProvider: tracers})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer telemetry.Close()
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Metrics: telemetry.Listen()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx, request := tracers.Tracer("shop").Start(context.Background(), "POST /orders")
	_, _ = log.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed"})
	request.End()
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name)
	}
	// Output:
	// untorn.commit
	// untorn.append
	// POST /orders
}
