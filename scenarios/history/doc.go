// Package history checks that what many callers saw of a log could have come
// from one caller after the other: durable linearizability, I12.
//
//	client 0  ├── append a ──┤        ├── read ──┤          power loss
//	client 1      ├── append b ─────────────────────────────✗
//	client 2  ├── append c, buffered ──┤                    ╎ Open
//	          ────────────────────────────────────────────▶ ╎ a, c, b  or  a  or …
//
// Every call takes effect at one instant between its start and its answer. A call
// without an answer, or in doubt, took effect before the crash or never; so did a
// buffered one that no sync had covered. Refusals and answers from a key are calls
// like all others: what they say must be true at their instant. What Open shows
// after the crash is what all of these left.
//
//	var h history.History
//	h = h.Append(1, client, batch)           // the call starts
//	h = h.Answered(1, receipts, err)
//	err := h.Opened(events).Check()          // nil, or a *Violation
//
// The specification, in spec.go, is the log as a plain list, written without a
// look at the engine; the search is porcupine's
// (https://github.com/anishathalye/porcupine). A violation writes its view of the
// history as a page of HTML.
package history
