package otel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/metrics"
)

// scope is the name of the meter and of the tracer.
const scope = "github.com/untorn-db/untorn/engine/metrics/otel"

// Options says where to.
type Options struct {
	MeterProvider  metric.MeterProvider // nil: no numbers
	TracerProvider trace.TracerProvider // nil: no spans
	// Attributes are on each number and each span, such as the name of the log.
	Attributes []attribute.KeyValue
}

// Telemetry listens to one log. Make one with New. All its methods may be called
// from many goroutines at once.
type Telemetry struct {
	numbers *numbers // nil: none
	spans   *spans   // nil: none
	log     atomic.Pointer[engine.Log]
	state   metric.Registration // nil: none
}

// New makes what listens. The error is that of the provider, which has refused an
// instrument.
func New(o Options) (*Telemetry, error) {
	t := &Telemetry{}
	if o.TracerProvider != nil {
		t.spans = &spans{tracer: o.TracerProvider.Tracer(scope), attributes: o.Attributes}
	}
	if o.MeterProvider == nil {
		return t, nil
	}
	var err error
	meter := o.MeterProvider.Meter(scope)
	if t.numbers, err = newNumbers(meter, o.Attributes); err == nil {
		t.state, err = watchState(meter, o.Attributes, &t.log, t.numbers.cursors)
	}
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return t, nil
}

// Listen returns what engine.Options.Metrics takes. To listen together with others,
// join them with engine.JoinMetrics.
func (t *Telemetry) Listen() *engine.Metrics {
	var numbers, spans *engine.Metrics
	if t.numbers != nil {
		numbers = t.numbers.listen()
	}
	if t.spans != nil {
		spans = t.spans.listen()
	}
	// The numbers of a call are told while its span is in the context.
	return engine.JoinMetrics(numbers, spans)
}

// Watch names the log whose state the gauges show; nil ends that.
func (t *Telemetry) Watch(log *engine.Log) { t.log.Store(log) }

// Close ends the gauges. The log may go on.
func (t *Telemetry) Close() error {
	t.Watch(nil)
	if t.state == nil {
		return nil
	}
	return t.state.Unregister()
}

// instruments makes instruments, and collects what is wrong with them.
type instruments struct {
	meter metric.Meter
	like  metrics.Commits // has the buckets
	errs  []error
}

func made[T any](in *instruments, instrument T, err error) T {
	in.errs = append(in.errs, err)
	return instrument
}

func (in *instruments) seconds(name, help string) metric.Float64Histogram {
	h, err := in.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help), metric.WithExplicitBucketBoundaries(bounds(in.like.Took)...))
	return made(in, h, err)
}

func (in *instruments) sizes(name, unit, help string) metric.Int64Histogram {
	h, err := in.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(help), metric.WithExplicitBucketBoundaries(bounds(in.like.Calls)...))
	return made(in, h, err)
}

func (in *instruments) counter(name, unit, help string) metric.Int64Counter {
	c, err := in.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(help))
	return made(in, c, err)
}

// bounds are those of a histogram of package metrics.
func bounds(h metrics.Histogram) []float64 {
	list := make([]float64, len(h.Buckets))
	for i, bucket := range h.Buckets {
		list[i] = bucket.UpTo
	}
	return list
}

// watchState shows the state of the log that is watched, and how far the cursors lag
// that handled returns by their names.
func watchState(meter metric.Meter, attributes []attribute.KeyValue, log *atomic.Pointer[engine.Log], handled func() map[string]metrics.Cursor) (metric.Registration, error) {
	in := instruments{meter: meter}
	gauge := func(name, unit, help string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(help))
		return made(&in, g, err)
	}
	segments := gauge("untorn.log.segments", "{segment}", "Segments of the log.")
	bytes := gauge("untorn.log.bytes", "By", "Bytes of the segments: used, and allocated with what is made ahead of need.")
	events := gauge("untorn.log.events", "{event}", "Events in the log.")
	batches := gauge("untorn.log.batches", "{batch}", "Batches in the log.")
	streams := gauge("untorn.log.streams", "{stream}", "Streams in the log.")
	sequence := gauge("untorn.log.sequence", "{event}", "Sequence up to which events are accepted, written, durable, visible.")
	unsynced := gauge("untorn.log.unsynced_events", "{event}", "Events that are written and not durable.")
	failed := gauge("untorn.log.failed", "{log}", "1 if the log takes no more writes.")
	lag := gauge("untorn.handle.lag_events", "{event}", "Events that the log shows, and handling has still to look at.")
	if err := errors.Join(in.errs...); err != nil {
		return nil, err
	}
	plain := with(attributes)
	used, allocated := with(attributes, attribute.String("kind", "used")), with(attributes, attribute.String("kind", "allocated"))
	frontier := func(name string) metric.MeasurementOption {
		return with(attributes, attribute.String("frontier", name))
	}
	accepted, written, durable, visible := frontier("accepted"), frontier("written"), frontier("durable"), frontier("visible")
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		watched := log.Load()
		if watched == nil {
			return nil
		}
		s, isFailed := metrics.StateOf(watched.Stats()), int64(0)
		if s.Failed {
			isFailed = 1
		}
		o.ObserveInt64(segments, int64(s.Segments), plain)
		o.ObserveInt64(bytes, s.UsedBytes, used)
		o.ObserveInt64(bytes, s.AllocatedBytes, allocated)
		o.ObserveInt64(events, int64(s.Events), plain)
		o.ObserveInt64(batches, int64(s.Batches), plain)
		o.ObserveInt64(streams, int64(s.Streams), plain)
		o.ObserveInt64(sequence, int64(s.Accepted), accepted)
		o.ObserveInt64(sequence, int64(s.Written), written)
		o.ObserveInt64(sequence, int64(s.Durable), durable)
		o.ObserveInt64(sequence, int64(s.Visible), visible)
		o.ObserveInt64(unsynced, int64(s.Unsynced), plain)
		o.ObserveInt64(failed, isFailed, plain)
		for name, cursor := range handled() {
			o.ObserveInt64(lag, int64(cursor.Lag(s)), with(attributes, attribute.String("cursor", name)))
		}
		return nil
	}, segments, bytes, events, batches, streams, sequence, unsynced, failed, lag)
}

// with is the attributes of a number: everyone's, and its own.
func with(attributes []attribute.KeyValue, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(slices.Concat(attributes, more)...))
}
