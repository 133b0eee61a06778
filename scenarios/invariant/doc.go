// Package invariant checks that a log opened after a crash keeps what the
// engine promises: one checker for each of the invariants I1 … I11 and I13.
//
//	timeline ──► model.Model ─┐
//	                          ├─► Judge ──► *Violation, under one invariant each
//	opened log ──► Look ──────┘
//
//	log, err := engine.Open(options)
//	if err := invariant.CheckOpen(err, budget); err != nil { … }    // I11
//	seen := invariant.Look(ctx, m, log, invariant.How{})            // reads everything, every way
//	if err := invariant.First(invariant.Judge(m, seen)); err != nil { … }
//	m = m.With(seen.Opened())                                       // decided once
//	m, err = invariant.CheckAppend(ctx, m, log, call, draft)        // I9
//	m, err = invariant.CheckRetry(ctx, m, log, call+1, pick)        // I6
//
// Every discrepancy has one name: what one invariant reports, the others leave
// out, so that a failure says what broke and not what follows from it. The
// text of a Violation holds no time, id, hash or address.
//
// A Budget says what the disk did that no log can survive whole. It relaxes
// only what a lying disk permits: promised events may be gone. Wrong bytes,
// half batches and events that nobody submitted stay violations.
package invariant
