// Package projection computes states from the events of a log, and keeps
// checkpoints of them.
//
//	orders, err := projection.New(projection.Definition[Totals]{
//		Name: "orders", Version: 1,
//		Query: engine.Query{Types: []string{"order.placed"}},
//		Apply: func(t Totals, event engine.Event) Totals { t.Orders++; return t },
//	})
//	set, err := projection.Open(log, projection.Options{
//		Checkpoints: projection.Checkpoints{FS: disk, Dir: "checkpoints"},
//	}, orders, customers)
//	if err := set.ToEnd(ctx); err != nil {
//		return err
//	}
//	totals, sequence := orders.State()
//
// The way of an event:
//
//	checkpoints ─→ Open: whole? of this version and query? of this log? ─→ state, or zero
//	                                                                        │
//	log ─→ one pass, from the one furthest behind ─┬→ its query? ─→ Apply ──┤ at the end of a batch
//	                                               ├→ its query? ─→ Apply ──┤   ├→ State, WaitFor
//	                                               └→ …                     ┘   └→ checkpoint
//
// # Runs
//
// [Set.Once] goes up to the last event that is visible when it begins. [Set.ToEnd]
// repeats that until nothing more has come meanwhile. [Set.Live] does it for as long
// as its context lasts, and waits for events. All go on where the last run of the
// set has ended. They run in the caller's goroutine, one at a time.
//
// A run reads the log once for all its projections. It begins with the one that
// is furthest behind; the others join when it comes to where they are. It reads
// what all of their queries have in common: one stream if they name the same one,
// one scope, some types, a range; otherwise the whole log. Each projection then
// gets what its own query selects, by the rules of engine.Query. To read one
// stream among many quickly, give it a set of its own.
//
// # States
//
// Apply is a pure function: it depends on its arguments only, and returns a new
// state. It must not change what the old one refers to: a map, or what a slice or
// a pointer points to. Then a state that was handed out never changes, and an
// event that cannot be applied can be undone. [Map] is a map with that property,
// whose Set costs O(log n).
//
// [Projection.State] returns the state and its sequence: all events up to there
// that the query selects are in it, and none behind. It may be called from anywhere
// during a run, and never shows a part of a batch, unless the query's
// own range cuts the batch. [Projection.WaitFor] waits for a sequence, such as that
// of a receipt: who then looks sees what was written.
//
// If Apply panics, that projection stops, with the state before the batch of that
// event; the others finish the pass. The run then ends with an [ApplyError]. Later
// runs leave the projection out; to try again, open a new set.
//
// # Checkpoints
//
// A checkpoint is one file per projection. It can save time, and never changes an
// answer: delete them all and every state is the same. It is trusted if it is
// whole, of this name, version and query, and if the log has the event it stands on:
// same sequence, same hash. Otherwise the projection is computed from the first
// event on, and [Status.Rebuilt] says why. It only stands on durable events.
// What is not a regular file, or too long for a checkpoint, is not opened.
//
// Change the Version when Apply, Initial or the codec mean something new; a
// changed Query is noticed. A directory serves one running set per name.
//
// A run writes one at its end, and on its way whenever a projection is
// [Checkpoints].Every events of the log ahead of its last one. It looks at that
// after each 64 events that it reads, when their batch ends, and whenever it has
// caught up. So a kill of a live run costs the next one fewer than Every events,
// and those of the pass under way at most to the next look.
//
// A checkpoint is written as NAME.tmp, synced, renamed, and the directory synced.
// So a crash leaves the old one or the new one. NAME is that of the projection,
// with all but a-z, 0-9, - and _ written as %XX, and ".projection". If writing
// fails the run goes on without, and says so in [Status.SaveErr] and when it ends.
//
// The bytes, little-endian; *text* is a u32 length and as many bytes:
//
//	 0 ┌───────────────────────────────────────┐
//	   │ magic: 89 'u' 'n' 't' 'o' 'r' 'n' 'p' │
//	 8 ├───────────────────┬─────────┬─────────┤
//	   │ CRC32C of the     │ 88      │ 1       │   header length, major version
//	   │ header, u32       │         │         │
//	16 ├───────────────────┼─────────┴─────────┤
//	   │ CRC32C of the     │ 0, u32            │
//	   │ body, u32         │                   │
//	24 ├───────────────────┴───────────────────┤
//	   │ length of the body, u64               │   at most 2 GiB less a byte; then the file ends
//	32 ├───────────────────────────────────────┤
//	   │ version of the projection, u64        │
//	40 ├───────────────────────────────────────┤
//	   │ length of the identity, u64           │
//	48 ├───────────────────────────────────────┤
//	   │ sequence, u64                         │   of the event it stands on, not 0
//	56 ├───────────────────────────────────────┤
//	   │ hash of that event, 32 bytes          │
//	88 ├───────────────────────────────────────┤
//	   │ identity                              │   name: text; the query as Query.AppendIdentity has it:
//	   │                                       │   scope, stream: text each; count of types, u32; the types,
//	   │                                       │   text each, rising; from and to version, from (at least 1)
//	   │                                       │   and to sequence, u64 each
//	   ├───────────────────────────────────────┤
//	   │ state, as the codec writes it         │
//	   └───────────────────────────────────────┘
//
// The first 16 bytes are those of every file of this project: the CRC32C
// (Castagnoli) covers the magic and the bytes from 12 to the header's length, at
// most 4,096. A later minor version may have a longer header, whose end is not
// looked at.
package projection
