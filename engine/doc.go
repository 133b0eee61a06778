// Package engine is an embedded, append-only, crash-safe, hash-chained event
// log.
//
//	log, err := engine.Open(engine.Options{Dir: "data"})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//	receipt, err := log.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed", Data: data})
//	if err != nil {
//		return err
//	}
//	for event, err := range log.Read(engine.Query{Stream: "order-42"}) { … }
//
// The way of a batch:
//
//	Draft ─→ validate ─→ keys, versions ─→ hashes ─→ one write ─→ one sync ─→ publish ─→ Receipt
//	            │              │                        │            │
//	         rejected       rejected                 failed       in doubt
//
// Calls from many goroutines share the write and the sync: while one group of
// them is synced the next one gathers. Each call keeps its own outcome, nobody
// waits for company, and no goroutine is left when the log is idle.
//
// A transaction stages events one after the other, and commits them as one batch:
//
//	tx := log.Begin("order-42-placed", engine.Durable)
//	defer tx.Cancel()
//	placed, err := tx.Append(engine.Draft{Stream: "order-42", Type: "order.placed"})
//	_, err = tx.Append(engine.Draft{Stream: "stock", Type: "reserved", CausedBy: engine.Item(placed)})
//	receipts, err := tx.Commit(ctx)
//
// Another process may follow: it opens the log with Options.ReadOnly, and Subscribe
// sees what the writer appends, without a lock.
//
// Subscribe goes on where Read ends. A Cursor remembers how far its events were
// handled: what the handler appends, and the move of the cursor, are one batch.
//
//	for event, err := range log.Subscribe(ctx, engine.Query{Stream: "order-42"}) { … }
//
//	billing, err := log.Cursor("billing", engine.Query{Types: []string{"order.placed"}})
//	err = billing.Handle(ctx, engine.Handling{}, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
//		_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed", Data: event.Data})
//		return err
//	})
//
// Options.Metrics is told of each call, group, sync, read and move of a cursor, and
// how long they took; package engine/metrics counts that.
//
// Gates of Options.Gates are the caller's own rules for what may be appended: they
// are asked about every valid batch before it commits, and may record a denial.
//
// Options.Signing has a key sign the log's heads, when it is closed, behind each
// group, or on demand. A proof then leads from a receipt to a signed head, and
// package proof verifies it without the log. With the log, VerifyReceiptSigned does
// that for a receipt, and VerifySigned for all signatures. Without a key, Verify
// compares the log with heads that LogHead has told and that were kept elsewhere.
//
//	p, err := log.Prove(ctx, receipt.ID)
//	verdict, err := proof.Verify(log.Statement(receipt), &p, keys)
//
// A log can be taken elsewhere batch by batch, whole. Apply makes a copy with the same
// head, in a log that Options.ID gave the id of the first: each batch is checked before
// it is written, and skipped where it is there already. Adopt takes the events into
// another log, as new ones. Package engine/dump writes the batches as text, and reads it.
//
//	for batch, err := range log.Batches(copy.LogHead().Batch + 1) {
//		…
//		_, err = copy.Apply(ctx, batch, engine.Buffered)
//	}
//
// Backup copies the durable part of an open log into a directory, in which it is a
// closed log by itself, and continues a backup that is there. Restore copies a backup
// into a new directory, and believes nothing.
//
//	backup, err := log.Backup(ctx, engine.BackupTarget{Dir: "/backups/data"})
//	keep(backup.Head)
//
//	_, err = engine.Restore(ctx, engine.Options{Dir: "/backups/data"}, engine.BackupTarget{Dir: "data"}, nil, kept)
//
// # Contract
//
// A batch is there whole or not at all. What was acknowledged as durable is
// there after any crash, byte for byte, with the same sequence, version and
// hash. Nothing is served that was not submitted. Damaged bytes are reported,
// never served. On a disk that only loses unsynced data, Open never fails.
//
// Every error of an append matches one of three: with [ErrRejected] nothing
// happened; with [ErrFailed] the batch was rolled back and will never appear;
// with [ErrInDoubt] it may appear after the log is opened again, and a retry
// with the same key has one effect.
//
// # What the engine asks of a file system
//
// Options.FS may be any afero.Fs. Where it has them, the engine uses
//
//	SyncDir(name string) error                                       // else: Open, Sync
//	TryLock(name string) (unlock func() error, ok bool, err error)   // else: no lock
//	LinkTo(name string, to afero.Fs, toName string) error            // else: a backup copies
//
// and of its files
//
//	SyncData() error                          // else: Sync
//	Preallocate(offset, length int64) error   // else: no room is reserved
//
// Each may answer errors.ErrUnsupported. What the disk must keep is said in
// FORMAT.md.
package engine
