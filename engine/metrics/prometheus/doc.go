// Package prometheus shows what package metrics has counted to Prometheus.
//
//	counts := metrics.New()
//	log, err := engine.Open(engine.Options{Dir: "data", Metrics: counts.Listen()})
//	if err != nil {
//		return err
//	}
//	counts.Watch(log)
//	registry.MustRegister(prometheus.New(counts, nil))
//
// The way of a number:
//
//	engine ── tells ──▶ metrics.Metrics ◀── Snapshot ── Collector ◀── scrape
//
// # Contract
//
// All names begin with untorn_, durations are in seconds, counters end in _total.
// Every series is there from the first scrape on, at 0; those of the log's state,
// untorn_log_…, while a log is watched; those of a cursor, untorn_handle_…, once its
// Handle has begun, and its lag, to alert on, while a log is watched, too: it goes on
// rising when a handler is stuck or gone. A scrape takes one Snapshot. Several logs in
// one registry are told apart by labels of New, such as {"log": "orders"}.
//
// The package is a module of its own, so that the log depends on nothing of
// Prometheus.
package prometheus
