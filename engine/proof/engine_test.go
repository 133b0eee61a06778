package proof_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
	"github.com/untorn-db/untorn/simfs"
)

// TestReceipts proves the receipts that a log gave, from what it serves: the ledger
// of these tests is the log that the engine writes.
func TestReceipts(t *testing.T) {
	ctx := context.Background()
	disk := simfs.New(simfs.Options{})
	log, err := engine.Open(engine.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	var receipts []engine.Receipt
	for i := range 5 {
		batch := engine.Batch{Key: fmt.Sprint("request-", i)}
		for j := range i + 1 {
			batch.Events = append(batch.Events, engine.Draft{
				Scope: "shop", Stream: fmt.Sprint("order-", j%2), Type: "order.placed", Data: fmt.Append(nil, i, j),
				Metadata: []byte("m"), Extensions: map[string][]byte{"x": {1}}, Lane: uint32(i), Flags: 3, PayloadVersion: 2,
			})
		}
		given, err := log.AppendBatch(ctx, batch)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, given...)
	}

	first, err := afero.ReadFile(disk, "000000000001.seg")
	if err != nil {
		t.Fatal(err)
	}
	header, err := record.ParseSegmentHeader(first)
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger(uuid.UUID(header.LogID))
	var batch []record.Event
	number := uint64(1)
	var data [][]byte
	for e, err := range log.Read(engine.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Batch != number {
			l.append(nil, batch...)
			batch, number = nil, e.Batch
		}
		l.at = append(l.at, [2]time.Time{e.Time, e.Clock})
		data = append(data, e.Data)
		batch = append(batch, record.Event{
			ID: e.ID, Correlation: e.Correlation, CausedBy: e.CausedBy, Scope: e.Scope, Stream: e.Stream, Type: e.Type, Key: e.Key,
			Lane: e.Lane, Depth: e.Depth, Flags: e.Flags, PayloadVersion: e.PayloadVersion,
			Extensions: record.AppendExtensions(nil, e.Extensions), Metadata: e.Metadata, Payload: e.Data,
		})
	}
	l.append(nil, batch...)

	verified, err := log.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	end := l.heads[len(l.heads)-1]
	if v := verified.Head; v.Hash != end.Hash || v.Batch != end.Batch || v.Sequence != end.Sequence {
		t.Fatalf("the log's head is %+v, the ledger's %+v", v, end)
	}
	signed := sign(t, end, "ops-2020", testKey(2))
	for _, r := range receipts {
		_, p := l.prove(int(r.Batch), int(r.Sequence-l.batches[r.Batch-1].first), len(l.batches))
		p.Head = signed
		s := proof.Statement{
			LogID: l.id, ID: r.ID, Scope: r.Scope, Stream: r.Stream, Sequence: r.Sequence, Version: r.Version, Batch: r.Batch, Hash: r.Hash,
		}
		verdict, err := proof.Verify(s, &p, testKeys(t))
		if err != nil || !verdict.Signed {
			t.Errorf("%+v: %+v, %v", r, verdict, err)
		}
		if err := proof.VerifyContent(&p, nil, []byte("m"), data[r.Sequence-1]); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if len(receipts) != 15 {
		t.Errorf("%d receipts, want 15", len(receipts))
	}
}
