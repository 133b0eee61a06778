package record_test

import (
	"fmt"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// A batch of two events becomes bytes, and comes back.
func Example() {
	place := record.NewPlace(record.Seed{1, 2, 3}) // of the segment; random
	mark := record.Mark{Session: record.Session{4, 5}, Sequence: 1, Batch: 1, Time: 1_000, Clock: 1_000}
	events := []record.Event{
		{Version: 1, Stream: "order-42", Type: "order.placed", Payload: []byte("two apples")},
		{Version: 2, Stream: "order-42", Type: "order.paid", Payload: []byte("in cash")},
	}
	encoded := record.AppendBatch(nil, place, record.DataStart, &mark, events, chain.Hash{}, nil)

	begin, ok := record.ParseMark(encoded, place, record.DataStart)
	if !ok {
		fmt.Println("no batch begins here")
		return
	}
	at := begin.Size
	for i := range begin.Events {
		item, err := record.ReadItem(encoded[at:], place, record.DataStart+int64(at), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		event, err := record.DecodeEvent(item.Record)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d: %s %s, %s\n", begin.Sequence+uint64(i), event.Stream, event.Type, event.Payload)
		at += item.Size
	}
	_, elsewhere := record.ParseMark(encoded, place, record.DataStart+8)
	fmt.Println("valid elsewhere:", elsewhere)
	// Output:
	// 1: order-42 order.placed, two apples
	// 2: order-42 order.paid, in cash
	// valid elsewhere: false
}
