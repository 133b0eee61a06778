// Package otel hands what a log tells to OpenTelemetry: numbers, and spans of calls
// and of the groups that they commit in.
//
//	telemetry, err := otel.New(otel.Options{MeterProvider: meters, TracerProvider: tracers})
//	if err != nil {
//		return err
//	}
//	defer telemetry.Close()
//	log, err := engine.Open(engine.Options{Dir: "data", Metrics: telemetry.Listen()})
//	if err != nil {
//		return err
//	}
//	telemetry.Watch(log)
//
// The spans of two calls in one group:
//
//	POST /orders ─┬─ untorn.append ──┬─ untorn.commit   gathered ▸ decided ▸ written ▸ synced
//	              │  outcome, batch  │        │
//	              ┊                  ┊        ┊ link
//	PUT /stock ───┴─ untorn.append ◀┄┄┄┄┄┄┄┄┄┄╯
//
// A call's span is a child of the span in the context of the call. That of a group
// is a child of the first of its calls whose span is sampled, most often the one
// that led it, and has a link to each other one; without any it is left out.
//
// # Contract
//
// Instruments have the names of package engine/metrics/prometheus, as OpenTelemetry
// writes them: untorn.commit in seconds is untorn_commit_seconds there, and what its
// Prometheus exporter makes of it. Spans have the times of the log's clock. They
// carry numbers and kinds of errors, and the text of an error, which names streams
// and keys; payloads are in none.
//
// The package is a module of its own, so that the log depends on nothing of
// OpenTelemetry.
package otel
