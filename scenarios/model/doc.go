// Package model is the oracle that says what an event log must hold after a
// crash, what it may hold, and what it must never hold.
//
// It knows nothing of disks. A harness tells it, note by note, what callers
// handed in and what they were told; the model judges the events that a
// reopened log shows. An operation is one of three things:
//
//	acknowledged   its events must be there, exactly as predicted
//	in flight      its events may be there, whole, once, in order; or not
//	never          rejected, failed, left out by an earlier Open: not there
//
//	Started ─┬─ Answered ok, durable ───────────────────────────► acknowledged
//	         ├─ Answered ok, buffered ── in flight ── Covered ──► acknowledged
//	         ├─ no answer, or in doubt ─ in flight ─┐
//	         └─ rejected, failed ──────────────────────────────► never
//	                                                └─ Opened ─► acknowledged or never
//
// A Model is a value: With returns a longer timeline and leaves the shorter one
// as it was, sharing nearly everything, so that each of thousands of simulated
// crashes continues from the prefix that belongs to it.
//
//	m := model.New(engine.Options{})
//	m = m.With(model.Started{Call: 1, Batch: batch})
//	receipts, err := log.AppendBatch(ctx, batch)
//	m = m.With(model.Answered{Call: 1, Receipts: receipts, Err: err})
//	// … the power is cut, the log opened again, its events read …
//	for _, finding := range m.Compare(events, false) {
//		fmt.Println(finding)
//	}
//	m = m.With(model.Opened{Events: events, Head: log.LogHead()})
//
// What the model predicts it computes from the drafts alone: names, contents,
// flags, keys, causes, versions. Ids and hashes are drawn or computed by the
// log, so those come from receipts and, once shown, never change. Contents are
// compared, never counts.
//
// Whether a call must be refused, and how, is Expect's answer.
package model
