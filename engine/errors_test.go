package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simfs"
)

// TestErrorsNameTheEngineOnce: at the front, however many calls of the package are
// within each other, and whatever a caller's function hands back.
func TestErrorsNameTheEngineOnce(t *testing.T) {
	ctx := t.Context()
	told := func(what string, err error) {
		t.Helper()
		text := fmt.Sprint(err)
		if !strings.HasPrefix(text, "engine: ") || strings.Count(text, "engine:") != 1 {
			t.Errorf("%s: %s", what, text)
		}
		if strings.Contains(text, "  ") || strings.Contains(text, " :") || strings.Contains(text, "1 attempts") {
			t.Errorf("%s has a gap: %s", what, text)
		}
	}
	first := func(events iter.Seq2[engine.Event, error]) error {
		for _, err := range events {
			return err
		}
		return nil
	}
	open := func(o engine.Options) error {
		log, err := engine.Open(o)
		if err == nil {
			closed(t, log)
		}
		return err
	}

	// Opening.
	dir := t.TempDir()
	held := openDir(t, engine.Options{Dir: dir})
	told("no directory", open(engine.Options{}))
	told("options", open(engine.Options{Dir: dir, Align: 3, Salvage: true}))
	told("options of nowhere", open(engine.Options{Align: 3, FS: simfs.New(simfs.Options{})}))
	told("a locked log", open(engine.Options{Dir: dir}))
	told("nothing there", open(engine.Options{Dir: dir + "/none", ReadOnly: true}))
	closed(t, held)
	if err := open(engine.Options{Align: 7}); !errors.Is(err, engine.ErrInvalid) || err.Error() != "engine: open: invalid options: Dir is empty: name the log's directory; Align is 7: use 0 or 4096" {
		t.Error(err)
	}

	// A log whose gate calls the log, and hands back what it says.
	var log *engine.Log
	signer := &witness{PrivateKey: testKey(1)}
	m := newMachine(t, engine.Options{
		Signing: &engine.Signing{KeyID: "k", Key: signer, When: engine.SignOnDemand},
		Gates: []engine.Gate{gate("g", func(p *engine.Proposal) error {
			if slices.Contains(p.Types(), "gated") {
				_, err := log.At(99)
				return err
			}
			return nil
		})},
	})
	log = m.open()
	receipts := appended(t, log, "one", "two")
	orders(t, log, "1", "2", "3")
	try := func(what string, draft engine.Draft) {
		t.Helper()
		_, err := log.Append(ctx, draft)
		told(what, err)
	}
	try("an invalid draft", engine.Draft{})
	try("a wrong version", engine.Draft{Stream: "s", Type: "t", Expect: engine.NoStream})
	try("a gate", engine.Draft{Stream: "s", Type: "gated"})
	_, err := log.AppendBatch(ctx, engine.Batch{Events: drafts("a", "b"), Notes: []engine.NoteDraft{{Name: "n", Expect: engine.NoteIs(nil)}, {Name: "untorn.x"}}})
	told("an invalid note", err)
	_, err = log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{{Name: "n", Expect: engine.NoteIs(nil)}}})
	told("a changed note", err)
	tx := log.Begin("", engine.Durable)
	_, err = tx.Append(engine.Draft{})
	told("an invalid draft of a transaction", err)
	told("an invalid note of a transaction", tx.Note(engine.NoteDraft{}))
	tx.Cancel()
	_, err = tx.Commit(ctx)
	told("a transaction that is done", err)

	// Reading.
	_, err = log.Get(uuid.Nil)
	told("no such id", err)
	_, err = log.At(99)
	told("no such sequence", err)
	_, err = log.ReceiptOf("k")
	told("no such key", err)
	told("a wrong query", first(log.Read(engine.Query{FromVersion: 1})))
	told("a wrong subscription", first(log.Subscribe(ctx, engine.Query{Backward: true})))
	told("no such event to wait for", log.WaitDurable(ctx, 99))
	ended, stop := context.WithCancel(ctx)
	stop()
	told("a context that has ended", first(log.Subscribe(ended, engine.Query{})))

	// Proofs.
	signed, err := log.Sign(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wrong := receipts[0]
	wrong.Version++
	told("a wrong receipt", log.VerifyReceipt(wrong))
	_, err = log.VerifyReceiptSigned(ctx, wrong, proof.Keys{})
	told("a wrong receipt, signed", err)
	_, err = log.VerifyReceiptSigned(ctx, receipts[0], proof.Keys{})
	told("a key that nobody trusts", err)
	_, err = log.Prove(ctx, uuid.Nil)
	told("no such event to prove", err)
	signed.LogID[0]++
	_, err = log.ProveTo(ctx, receipts[0].ID, signed)
	told("a head of another log", err)
	_, err = log.VerifySigned(ctx, proof.Keys{})
	told("a signature of nobody", err)
	appended(t, log, "three")
	signer.err = errors.New("no")
	_, err = log.Sign(ctx)
	told("a signer that says no", err)

	// Cursors.
	_, err = log.Cursor("", engine.Query{Backward: true})
	told("a wrong cursor", err)
	c := cursor(t, log, "c", placed)
	if _, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{c.Move(0, 0)}}); err != nil {
		t.Fatal(err)
	}
	_, err = log.Cursor("c", engine.Query{})
	told("another query", err)
	handle := func(what string, how engine.Handling, handler engine.Handler) {
		t.Helper()
		told(what, c.Handle(ctx, how, handler))
	}
	handle("no handler", engine.Handling{}, nil)
	handle("wrong handling", engine.Handling{Batch: -1}, bill)
	effect := func(draft engine.Draft) engine.Handler {
		return func(_ context.Context, _ engine.Event, effects *engine.Effects) error {
			_, err := effects.Append(draft)
			return err
		}
	}
	handle("an effect with a key", engine.Handling{Attempts: 1}, effect(engine.Draft{Stream: "s", Type: "t", Key: "k"}))
	handle("an invalid effect", engine.Handling{Attempts: 2}, effect(engine.Draft{}))
	handle("an effect that is refused", engine.Handling{Attempts: 1}, effect(engine.Draft{Stream: "s", Type: "t", Expect: engine.NoStream}))
	handle("an effect that a gate refuses", engine.Handling{Attempts: 1}, effect(engine.Draft{Stream: "s", Type: "gated"}))
	handle("an error of the log's", engine.Handling{Attempts: 1}, func(context.Context, engine.Event, *engine.Effects) error {
		return first(log.Read(engine.Query{FromVersion: 1}))
	})
	handle("a panic with an error of the log's", engine.Handling{Attempts: 1}, func(context.Context, engine.Event, *engine.Effects) error {
		panic(first(log.Read(engine.Query{FromVersion: 1})))
	})
	handle("a move of somebody else's", engine.Handling{}, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		if _, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{c.Move(0, 1)}}); err != nil {
			t.Error(err)
		}
		return nil
	})
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	told("the end between attempts", c.Handle(stopped, engine.Handling{}, func(context.Context, engine.Event, *engine.Effects) error {
		stop()
		_, err := log.At(99)
		return err
	}))

	// Closed, and damaged.
	closed(t, log)
	for what, err := range map[string]error{
		"append": func() error { _, err := log.Append(ctx, draft("x")); return err }(), "sync": log.Sync(ctx), "wait": log.WaitDurable(ctx, 99),
		"verify": func() error { _, err := log.Verify(ctx); return err }(), "read": first(log.Read(engine.Query{})),
		"sign": func() error { _, err := log.Sign(ctx); return err }(), "subscribe": first(log.Subscribe(ctx, engine.Query{FromSequence: 99})),
		"prove": func() error { _, err := log.Prove(ctx, receipts[0].ID); return err }(), "handle": c.Handle(ctx, engine.Handling{}, bill),
		"get": func() error { _, err := log.Get(receipts[0].ID); return err }(), "refused receipt": log.VerifyReceipt(receipts[0]),
	} {
		told("closed: "+what, err)
	}
	edit(t, m.disk, firstSegment, func(b []byte) []byte { b[8192+300] ^= 1; return b })
	_, err = engine.Open(m.seams())
	told("damage", err)
	o := m.seams()
	o.ReadOnly, o.Signing = true, nil
	_, err = engine.Open(o)
	told("damage, read-only", err)
	o.Dir = "nowhere"
	if _, err = engine.Open(o); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	told("no log", err)
}
