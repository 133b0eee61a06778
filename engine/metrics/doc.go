// Package metrics counts what a log does, and keeps how long it took.
//
//	counts := metrics.New()
//	log, err := engine.Open(engine.Options{Dir: "data", Metrics: counts.Listen()})
//	if err != nil {
//		return err
//	}
//	counts.Watch(log)                 // gauges: segments, bytes, frontiers
//	expvar.Publish("untorn", counts)  // at /debug/vars
//	p99 := counts.Snapshot().Calls["durable"].Took.Quantile(0.99)
//
// The way of a number:
//
//	engine ── tells ──▶ Listen() ──▶ counters and histograms ──▶ Snapshot() ──▶ String(): JSON, for expvar
//	log.Stats() ◀────── Watch(log), asked at each Snapshot ─────────╯  │
//	                                                                   ╰──▶ engine/metrics/prometheus
//
// # Contract
//
// A counter never falls, for as long as its Metrics lives: one Metrics may listen
// to a log that is closed and opened again, or to several, whose numbers it adds
// up. Being told costs some atomic additions and no memory. Nothing is lost or
// counted twice; but a Snapshot that is taken while calls are at work may have one
// number of a call and not yet another. The Count of a histogram is always the sum
// of its buckets.
//
// A histogram has fixed buckets, each twice as wide as the one before it, so that
// a quantile is off by less than a factor of two.
//
// This package does not import expvar, which would add a handler to every program
// that counts; *Metrics only is what expvar.Publish takes.
package metrics
