package prometheus

import (
	"maps"
	"slices"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/untorn-db/untorn/engine/metrics"
)

// New returns a collector of what m has counted. The labels, which may be nil, are
// on each of its series.
func New(m *metrics.Metrics, labels client.Labels) client.Collector {
	c := &collector{metrics: m, families: families()}
	for _, f := range c.families {
		var names []string
		if f.label != "" {
			names = []string{f.label}
		}
		c.descs = append(c.descs, client.NewDesc("untorn_"+f.name, f.help, names, labels))
	}
	return c
}

type collector struct {
	metrics  *metrics.Metrics
	families []family
	descs    []*client.Desc // as families
}

func (c *collector) Describe(out chan<- *client.Desc) {
	for _, desc := range c.descs {
		out <- desc
	}
}

func (c *collector) Collect(out chan<- client.Metric) {
	snapshot := c.metrics.Snapshot()
	for i, f := range c.families {
		f.collect(&snapshot, series{c.descs[i], out})
	}
}

// series sends those of one family.
type series struct {
	desc *client.Desc
	out  chan<- client.Metric
}

func (s series) counter(n uint64, labels ...string) {
	s.out <- client.MustNewConstMetric(s.desc, client.CounterValue, float64(n), labels...)
}

func (s series) gauge(n float64, labels ...string) {
	s.out <- client.MustNewConstMetric(s.desc, client.GaugeValue, n, labels...)
}

func (s series) histogram(h metrics.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Buckets))
	for _, b := range h.Buckets {
		buckets[b.UpTo] = b.Count
	}
	s.out <- client.MustNewConstHistogram(s.desc, h.Count, h.Sum, buckets, labels...)
}

// family is the series with one name.
type family struct {
	name, label, help string
	collect           func(*metrics.Snapshot, series)
}

func families() []family {
	type snapshot = metrics.Snapshot
	list := []family{
		{"call_seconds", "outcome", "How long appends took, from the call to its answer.", func(s *snapshot, to series) {
			each(s.Calls, func(outcome string, c metrics.Calls) { to.histogram(c.Took, outcome) })
		}},
		{"call_events_total", "outcome", "Events of appends, committed or not.", func(s *snapshot, to series) {
			each(s.Calls, func(outcome string, c metrics.Calls) { to.counter(c.Events, outcome) })
		}},
		{"call_bytes_total", "outcome", "Bytes of data and metadata of appends, committed or not.", func(s *snapshot, to series) {
			each(s.Calls, func(outcome string, c metrics.Calls) { to.counter(c.Bytes, outcome) })
		}},
		{"calls_in_flight", "", "Appends that are not answered yet.", func(s *snapshot, to series) {
			to.gauge(float64(s.InFlight))
		}},
		{"calls_rejected_total", "reason", "Appends that were rejected, and why.", func(s *snapshot, to series) {
			each(s.Rejected, func(reason string, n uint64) { to.counter(n, reason) })
		}},
		{"commit_seconds", "", "How long groups of appends took, from the first that joined to their answer.", func(s *snapshot, to series) {
			to.histogram(s.Commits.Took)
		}},
		{"commit_phase_seconds", "phase", "How long groups waited for their turn and for company, were checked and hashed, were written, and were synced.", func(s *snapshot, to series) {
			each(s.Commits.Phases, func(phase string, h metrics.Histogram) { to.histogram(h, phase) })
		}},
		{"commit_calls", "", "Appends that shared a write and a sync.", func(s *snapshot, to series) {
			to.histogram(s.Commits.Calls)
		}},
		{"commit_bytes", "", "Bytes that groups of appends wrote, as stored.", func(s *snapshot, to series) {
			to.histogram(s.Commits.Size)
		}},
		{"commit_errors_total", "outcome", "Groups of appends that met an error as a whole.", func(s *snapshot, to series) {
			each(s.Commits.Errors, func(outcome string, n uint64) { to.counter(n, outcome) })
		}},
		{"batches_total", "", "Batches that were committed.", func(s *snapshot, to series) { to.counter(s.Commits.Batches) }},
		{"events_total", "", "Events that were committed.", func(s *snapshot, to series) { to.counter(s.Commits.Events) }},
		{"bytes_total", "", "Bytes that were committed, as stored.", func(s *snapshot, to series) { to.counter(s.Commits.Bytes) }},
		{"sync_seconds", "cause", "How long syncs took, and who wanted them.", func(s *snapshot, to series) {
			each(s.Syncs, func(cause string, h metrics.Histogram) { to.histogram(h, cause) })
		}},
		{"sync_errors_total", "", "Syncs that failed.", func(s *snapshot, to series) { to.counter(s.SyncErrors) }},
		{"rotation_seconds", "kind", "How long moves to another segment took: from a full one, or to a fresh one after a failed write.", func(s *snapshot, to series) {
			each(s.Rotations, func(kind string, h metrics.Histogram) { to.histogram(h, kind) })
		}},
		{"rotation_errors_total", "", "Moves to another segment that failed.", func(s *snapshot, to series) { to.counter(s.RotationErrors) }},
		{"open_seconds", "", "How long opening, and recovery, took.", func(s *snapshot, to series) { to.histogram(s.Opens.Took) }},
		{"open_errors_total", "", "Opens that failed.", func(s *snapshot, to series) { to.counter(s.Opens.Errors) }},
		{"open_torn_total", "", "Opens that found a torn tail.", func(s *snapshot, to series) { to.counter(s.Opens.Torn) }},
		{"open_fresh_total", "", "Opens that began a fresh segment.", func(s *snapshot, to series) { to.counter(s.Opens.Fresh) }},
		{"read_seconds", "", "How long iterations over events took, with what the caller did meanwhile.", func(s *snapshot, to series) { to.histogram(s.Reads.Took) }},
		{"read_events_total", "", "Events that were read.", func(s *snapshot, to series) { to.counter(s.Reads.Events) }},
		{"read_bytes_total", "", "Bytes of data and metadata that were read.", func(s *snapshot, to series) { to.counter(s.Reads.Bytes) }},
		{"read_errors_total", "", "Iterations over events that ended in an error.", func(s *snapshot, to series) { to.counter(s.Reads.Errors) }},
		{"signature_seconds", "", "How long the signer of heads took, with or without an answer.", func(s *snapshot, to series) { to.histogram(s.Signatures) }},
		{"signature_errors_total", "", "Heads that were to be signed, and got no signature.", func(s *snapshot, to series) { to.counter(s.SignatureErrors) }},
		{"handle_seconds", "cursor", "How long moves of cursors took, from the first attempt to handle an event to the commit.", func(s *snapshot, to series) {
			each(s.Cursors, func(name string, c metrics.Cursor) { to.histogram(c.Took, name) })
		}},
		{"handle_events_total", "cursor", "Events that were handled.", func(s *snapshot, to series) {
			each(s.Cursors, func(name string, c metrics.Cursor) { to.counter(c.Events, name) })
		}},
		{"handle_failures_total", "cursor", "Attempts to handle an event that failed.", func(s *snapshot, to series) {
			each(s.Cursors, func(name string, c metrics.Cursor) { to.counter(c.Failures, name) })
		}},
		{"handle_dead_letters_total", "cursor", "Events that could not be handled, and got a dead letter.", func(s *snapshot, to series) {
			each(s.Cursors, func(name string, c metrics.Cursor) { to.counter(c.DeadLetters, name) })
		}},
		{"handle_lag_events", "cursor", "Events that the log shows, and handling has still to look at.", func(s *snapshot, to series) {
			if s.Log != nil {
				each(s.Cursors, func(name string, c metrics.Cursor) { to.gauge(float64(c.Lag(s.Log)), name) })
			}
		}},
		{"log_failures_total", "", "Logs that took no more writes after an error of the disk.", func(s *snapshot, to series) { to.counter(s.Failures) }},
	}
	state := func(name, label, help string, collect func(*metrics.Log, series)) {
		list = append(list, family{name, label, help, func(s *snapshot, to series) {
			if s.Log != nil {
				collect(s.Log, to)
			}
		}})
	}
	state("log_segments", "", "Segments of the log.", func(l *metrics.Log, to series) { to.gauge(float64(l.Segments)) })
	state("log_bytes", "kind", "Bytes of the segments: used, and allocated with what is made ahead of need.", func(l *metrics.Log, to series) {
		to.gauge(float64(l.AllocatedBytes), "allocated")
		to.gauge(float64(l.UsedBytes), "used")
	})
	state("log_events", "", "Events in the log.", func(l *metrics.Log, to series) { to.gauge(float64(l.Events)) })
	state("log_batches", "", "Batches in the log.", func(l *metrics.Log, to series) { to.gauge(float64(l.Batches)) })
	state("log_streams", "", "Streams in the log.", func(l *metrics.Log, to series) { to.gauge(float64(l.Streams)) })
	state("log_sequence", "frontier", "Sequence up to which events are accepted, written, durable, visible.", func(l *metrics.Log, to series) {
		to.gauge(float64(l.Accepted), "accepted")
		to.gauge(float64(l.Durable), "durable")
		to.gauge(float64(l.Visible), "visible")
		to.gauge(float64(l.Written), "written")
	})
	state("log_unsynced_events", "", "Events that are written and not durable.", func(l *metrics.Log, to series) { to.gauge(float64(l.Unsynced)) })
	state("log_failed", "", "1 if the log takes no more writes.", func(l *metrics.Log, to series) {
		failed := 0.0
		if l.Failed {
			failed = 1
		}
		to.gauge(failed)
	})
	return list
}

func each[V any](of map[string]V, f func(key string, value V)) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		f(key, of[key])
	}
}
