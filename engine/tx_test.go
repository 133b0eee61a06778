package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

func stage(t *testing.T, tx *engine.Tx, list ...engine.Draft) {
	t.Helper()
	for i, d := range list {
		if item, err := tx.Append(d); err != nil || item != tx.Len()-1 {
			t.Fatalf("draft %d: item %d of %d, %v", i, item, tx.Len(), err)
		}
	}
}

// TestTransactionsAreBatches: nothing tells a committed one from an AppendBatch,
// and what is open, cancelled or dropped leaves nothing.
func TestTransactionsAreBatches(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, engine.Options{})
	log := m.open()
	empty := tree(t, m.disk)

	cancelled, dropped, open := log.Begin("k", engine.Durable), log.Begin("", engine.Durable), log.Begin("k", engine.Durable)
	stage(t, cancelled, draft("never"))
	stage(t, dropped, draft("never"))
	first := draft("one")
	stage(t, open, first)
	first.Data[0] = 'X' // the transaction has its own
	cancelled.Cancel()
	cancelled.Cancel()
	if after := tree(t, m.disk); fmt.Sprint(after) != fmt.Sprint(empty) {
		t.Error("an open transaction has left bytes")
	}
	if _, err := log.ReceiptOf("k/0"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the key of a transaction that is cancelled, or open: %v", err)
	}
	for _, end := range []func() error{
		func() error { _, err := cancelled.Append(draft("two")); return err },
		func() error { _, err := cancelled.Commit(ctx); return err },
	} {
		matches(t, end(), engine.ErrRejected, engine.ErrTxDone)
	}

	second := draft("two")
	second.CausedBy = engine.Item(0)
	stage(t, open, second)
	receipts, err := open.Commit(ctx)
	if err != nil || len(receipts) != 2 || receipts[0].Batch != 1 || receipts[1].Batch != 1 || !receipts[1].Durable {
		t.Fatalf("%+v, %v", receipts, err)
	}
	if again, err := log.AppendBatch(ctx, engine.Batch{Key: "k", Events: []engine.Draft{draft("one"), second}}); err != nil || !again[1].Equal(receipts[1]) {
		t.Errorf("the retry of a committed transaction: %+v, %v", again, err)
	}
	if _, err := open.Commit(ctx); !errors.Is(err, engine.ErrTxDone) {
		t.Errorf("a second commit: %v", err)
	}
	open.Cancel()
	if none, err := log.Begin("", engine.Durable).Commit(ctx); none != nil || err != nil {
		t.Errorf("an empty transaction: %v, %v", none, err)
	}
	m.holds(log, "one", "two")
	closed(t, log)
	m.reopened("one", "two")
}

// TestADraftThatIsRefusedIsNotStaged: and the transaction goes on.
func TestADraftThatIsRefusedIsNotStaged(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, engine.Options{MaxBatchEvents: 3, MaxBatchBytes: 2000, MaxPayload: 1500})
	log := m.open()
	tx := log.Begin("", engine.Durable)
	stage(t, tx, draft("one"))
	later := draft("x")
	later.CausedBy = engine.Item(1)
	for _, row := range []struct {
		draft engine.Draft
		says  error
	}{
		{engine.Draft{Stream: "s"}, engine.ErrInvalid},
		{later, engine.ErrInvalid},
		{draft(big("a", 1501)), engine.ErrLimit},
	} {
		_, err := tx.Append(row.draft)
		matches(t, err, engine.ErrRejected, row.says)
		var item *engine.ItemError
		if !errors.As(err, &item) || item.Item != 1 {
			t.Errorf("%v does not name item 1", err)
		}
	}
	stage(t, tx, draft(big("a", 1400)))
	_, err := tx.Append(draft(big("a", 1400)))
	matches(t, err, engine.ErrRejected, engine.ErrLimit)
	stage(t, tx, draft("three"))
	_, err = tx.Append(draft("four"))
	matches(t, err, engine.ErrRejected, engine.ErrLimit)
	if receipts, err := tx.Commit(ctx); err != nil || len(receipts) != 3 {
		t.Errorf("%v, %v", receipts, err)
	}
	closed(t, log)
}

// TestAConflictNamesTheDraft: what the drafts expect is looked at by Commit.
func TestAConflictNamesTheDraft(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, engine.Options{})
	log := m.open()
	tx := log.Begin("k", engine.Durable)
	wants := draft("two")
	wants.Expect = engine.NoStream
	other := draft("one")
	other.Stream = "another"
	stage(t, tx, other, wants)
	if _, err := log.Append(ctx, engine.Draft{Stream: wants.Stream, Type: "t", Data: []byte("before")}); err != nil {
		t.Fatal(err)
	}
	_, err := tx.Commit(ctx)
	matches(t, err, engine.ErrRejected, engine.ErrWrongVersion)
	var item *engine.ItemError
	var wrong *engine.WrongVersionError
	if !errors.As(err, &item) || item.Item != 1 || !errors.As(err, &wrong) || wrong.Actual != 1 {
		t.Errorf("%v", err)
	}
	if _, err := log.ReceiptOf("k/0"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("its key: %v", err)
	}
	m.holds(log, "before")
	closed(t, log)
}
