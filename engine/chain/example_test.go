package chain_test

import (
	"fmt"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// The log head after one batch of one event: everything that is hashed on the
// way from a payload to what one signs.
func Example() {
	logID := [16]byte{15: 1}
	event := record.Event{Version: 1, Stream: "order-42", Type: "order.placed", Payload: []byte("two apples")}

	var h chain.Hasher
	content := h.Content(nil, event.Metadata, event.Payload)
	header := record.AppendCanonical(nil, &event, 1, 1577836800_000000000, 1577836800_000000000, content)
	event.Hash = h.Event(chain.StreamRoot(logID, event.Scope, event.Stream), h.Header(header))
	head := h.Head(chain.LogRoot(logID), 1, 1, []chain.Hash{event.Hash}, chain.Hash{})
	fmt.Println(head)
	// Output: 916f295e77fa300343644a37f5bf31b8d809f146ef3b5532ba561e946851b769
}
