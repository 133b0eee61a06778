// Package chain computes the hashes that make a log tamper-evident: pure
// functions from bytes to hashes.
//
//	log id ─── LogRoot ──────────► head of batch 0
//	   │                               │
//	   │       salt, metadata, payload │
//	   │               │ Content       │
//	   │               ▼               │
//	   │       canonical header        │
//	   │               │ Header        │
//	   ▼               ▼ Event         │
//	StreamRoot ─► event 1 ─► event 2 … │   (one chain for each stream)
//	                   │        │      │
//	                   └────────┴─ Batch ─► digest of batch 1
//	                       notes ────┘ │      │
//	                                   ▼      ▼
//	                                 Link ────┴──► head of batch 1 ─ Link ─► …
//
// Three levels: an event's hash binds its content and all earlier events of its
// stream; a batch's digest binds every event and note of the batch; a head binds
// that digest and those of all earlier batches. Event hashes are the leaves, heads
// are what one signs, and a proof that leads from one to the other has 32 bytes for
// each event of one batch and for each batch behind it. Head is Batch and Link in
// one.
//
//	var h chain.Hasher // reusable, one goroutine at a time
//	content := h.Content(nil, metadata, payload)
//	header := h.Header(record.AppendCanonical(nil, &event, sequence, time, clock, content))
//	event.Hash = h.Event(chain.StreamRoot(logID, "", "order-42"), header)
//	head := h.Head(chain.LogRoot(logID), 1, 1, []chain.Hash{event.Hash}, chain.Hash{})
//
// Contents and headers do not depend on each other: Many hashes those of a whole
// batch side by side. Only what chains them, a block or two for each event, is
// hashed one after the other.
//
// Every hash is BLAKE3's derive_key with 32 bytes of output. Each kind has a
// context of its own; under it numbers have a fixed width and are little-endian,
// and whatever has a variable length is behind its length or last; so no two
// different inputs have the same bytes. engine/FORMAT.md draws the inputs byte by
// byte.
//
// Nothing here allocates in the steady state, which begins with the first input
// above 1 KiB of each kind; the garbage collector may end it for a moment.
package chain
