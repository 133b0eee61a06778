// Package metrics counts what a log does, and keeps how long it took.
//
//	counts := metrics.New()
//	log, err := engine.Open(engine.Options{Dir: "data", Metrics: counts.Listen()})
//	if err != nil {
//		return err
//	}
//	counts.Watch(log)                 // gauges: segments, bytes, frontiers
//	expvar.Publish("untorn", counts)  // at /debug/vars
//	s := counts.Snapshot()
//	p99 := s.Calls["durable"].Took.Quantile(0.99)
//	lag := s.Cursors["billing"].Lag(s.Log) // of what Cursor.Handle has begun
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
// up. Being told costs some atomic additions and no memory, but for a cursor's first
// time, and a short lock for cursors. Nothing is lost or counted twice; but a
// Snapshot that is taken while calls are at work may have one number of a call and
// not yet another, such as its place in a histogram and not its share of the sum.
//
// A histogram has fixed buckets, each twice as wide as the one before it: of
// durations up to 1 µs, 2 µs, 4 µs … 16.8 s, and of others up to 1, 2, 4 … 2^24. A
// quantile is in the bucket of its value, so that it is off by a factor of two at
// most; for values in the first bucket it is somewhere in it, and for those above
// the last it is the bound of the last. Each bucket counts all values up to its
// bound, and Count those above the last, too; they are never at odds.
//
// This package does not import expvar, which would add a handler to every program
// that counts; *Metrics only is what expvar.Publish takes.
package metrics
