package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// A log in a directory: it is made where there is none, and recovered where the last
// program that had it open was cut off.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "untorn-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	events, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := events.Append(context.Background(), engine.Draft{Stream: "order-42", Type: "order.placed", Data: []byte(`{"total":3}`)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Sequence, receipt.Version, receipt.Durable)
	if err := events.Close(); err != nil {
		log.Fatal(err)
	}

	events, err = engine.Open(engine.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close()
	fmt.Println(events.Stats().Events, "event; torn:", events.Recovery().Torn)
	// Output:
	// 1 1 true
	// 1 event; torn: false
}

// Time and randomness are the caller's where the same bytes have to come each time.
func ExampleOpen_deterministic() {
	head := func() engine.Hash {
		var chacha [32]byte
		events, err := engine.Open(engine.Options{
			FS:    simfs.New(simfs.Options{}),
			Clock: simclock.New(simclock.Epoch()),
			Rand:  rand.NewChaCha8(chacha),
		})
		if err != nil {
			log.Fatal(err)
		}
		defer events.Close()
		if _, err := events.Append(context.Background(), engine.Draft{Stream: "s", Type: "t"}); err != nil {
			log.Fatal(err)
		}
		return events.LogHead().Hash
	}
	first, again := head(), head()
	fmt.Println(first == again)
	// Output: true
}

// memory is a log for the other examples.
func memory() *engine.Log {
	events, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})}) // or Dir: "data"
	if err != nil {
		log.Fatal(err)
	}
	return events
}

// All events of a batch are there, or none is, and one sync covers them. With a key
// it can be sent again where nobody knows what became of it: it has one effect.
func ExampleLog_AppendBatch() {
	events := memory()
	defer events.Close()
	ctx := context.Background()

	batch := engine.Batch{
		Key: "request-7",
		Events: []engine.Draft{
			{Stream: "order-42", Type: "order.placed", Data: []byte("tea"), Expect: engine.NoStream},
			{Stream: "ledger", Type: "entry.booked", Data: []byte("3"), CausedBy: engine.Item(0)},
		},
	}
	first, err := events.AppendBatch(ctx, batch)
	if err != nil {
		log.Fatal(err)
	}
	again, err := events.AppendBatch(ctx, batch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first[1].Sequence, again[1].Sequence, again[1].Equal(first[1]))

	// Somebody who has not seen the first event is told so, and nothing happens.
	_, err = events.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed", Expect: engine.NoStream})
	var wrong *engine.WrongVersionError
	fmt.Println(errors.Is(err, engine.ErrRejected), errors.As(err, &wrong), wrong.Actual)
	// Output:
	// 2 2 true
	// true true 1
}

// A transaction collects a batch event by event. Nobody sees any of it before the
// commit.
func ExampleLog_Begin() {
	events := memory()
	defer events.Close()

	tx := events.Begin("request-8", engine.Durable)
	placed, err := tx.Append(engine.Draft{Stream: "order-43", Type: "order.placed"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := tx.Append(engine.Draft{Stream: "ledger", Type: "entry.booked", CausedBy: engine.Item(placed)}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Len(), events.Stats().Events)
	receipts, err := tx.Commit(context.Background())
	fmt.Println(len(receipts), events.Stats().Events, err)
	// Output:
	// 2 0
	// 2 2 <nil>
}

// A query selects by stream, scope, type, version and sequence, in either direction.
func ExampleLog_Read() {
	events := memory()
	defer events.Close()
	for _, draft := range []engine.Draft{
		{Stream: "order-42", Type: "order.placed", Data: []byte("tea")},
		{Stream: "order-43", Type: "order.placed", Data: []byte("cake")},
		{Stream: "order-42", Type: "order.paid", Data: []byte("3")},
	} {
		if _, err := events.Append(context.Background(), draft); err != nil {
			log.Fatal(err)
		}
	}

	print := func(title string, q engine.Query) {
		fmt.Println(title)
		for event, err := range events.Read(q) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("  %d %s %d %s %s\n", event.Sequence, event.Stream, event.Version, event.Type, event.Data)
		}
	}
	print("one stream", engine.Query{Stream: "order-42"})
	print("the last one", engine.Query{Backward: true, Limit: 1})
	print("placed, from event 2 on", engine.Query{Types: []string{"order.placed"}, FromSequence: 2})
	// Output:
	// one stream
	//   1 order-42 1 order.placed tea
	//   3 order-42 2 order.paid 3
	// the last one
	//   3 order-42 2 order.paid 3
	// placed, from event 2 on
	//   2 order-43 1 order.placed cake
}

// An event is found by its id and by its place, and a keyed call by its key, also
// by another program after a crash.
func ExampleLog_ReceiptOf() {
	events := memory()
	defer events.Close()
	receipt, err := events.Append(context.Background(), engine.Draft{Stream: "order-42", Type: "order.placed", Key: "request-7", Data: []byte("tea")})
	if err != nil {
		log.Fatal(err)
	}

	known, err := events.ReceiptOf("request-7")
	fmt.Println(known.Equal(receipt), err)
	event, err := events.Get(receipt.ID)
	fmt.Printf("%s %v\n", event.Data, err)
	event, err = events.At(receipt.Sequence)
	fmt.Printf("%s %v\n", event.Data, err)
	_, err = events.Get(uuid.Nil)
	fmt.Println(errors.Is(err, engine.ErrNotFound))
	// Output:
	// true <nil>
	// tea <nil>
	// tea <nil>
	// true
}

// A head stands for all that is before it. Who keeps one where the log is not can
// tell later whether the log still is what it was.
func ExampleLog_Verify() {
	events := memory()
	defer events.Close()
	ctx := context.Background()
	if _, err := events.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed"}); err != nil {
		log.Fatal(err)
	}
	kept := events.LogHead()
	if _, err := events.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.paid"}); err != nil {
		log.Fatal(err)
	}

	found, err := events.Verify(ctx, kept)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Batches, "batches,", len(found.Problems), "problems")

	kept.Hash[0] ^= 1 // the head of another log
	found, err = events.Verify(ctx, kept)
	fmt.Println(errors.Is(err, engine.ErrNotFound), len(found.Missing), "head missing")
	// Output:
	// 2 batches, 0 problems
	// true 1 head missing
}

// Buffered calls return when the event is written, and share a sync that comes later.
// Sync, or WaitDurable, is for those who then need to know.
func ExampleLog_WaitDurable() {
	events := memory()
	defer events.Close()
	ctx := context.Background()
	receipts, err := events.AppendBatch(ctx, engine.Batch{
		Events:     []engine.Draft{{Stream: "clicks", Type: "clicked"}},
		Durability: engine.Buffered,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipts[0].Durable)
	if err := events.WaitDurable(ctx, receipts[0].Sequence); err != nil {
		log.Fatal(err)
	}
	fmt.Println(events.Stats().Durable.Sequence)
	// Output:
	// false
	// 1
}

// A receipt is compared with the log that it is of.
func ExampleLog_VerifyReceipt() {
	events := memory()
	defer events.Close()
	receipt, err := events.Append(context.Background(), engine.Draft{Stream: "order-42", Type: "order.placed"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(events.VerifyReceipt(receipt))
	receipt.Hash = engine.Hash(bytes.Repeat([]byte{7}, len(receipt.Hash)))
	fmt.Println(events.VerifyReceipt(receipt) != nil)
	// Output:
	// <nil>
	// true
}
