package proof_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// A log with one event, its proof, and the head that its owner signs.
func Example() {
	log := uuid.MustParse("10600102-0304-0506-0708-090a0b0c0d0e")
	event := record.Event{
		ID: uuid.MustParse("016f5e66-e800-7000-8000-000000000001"), Version: 1, Stream: "order-42", Type: "order.placed", Payload: []byte("two apples"),
	}
	event.Correlation = event.ID

	// What the log knows.
	var h chain.Hasher
	header := record.AppendCanonical(nil, &event, 1, 1577836800_000000000, 1577836800_000000000, h.Content(nil, nil, event.Payload))
	root := chain.StreamRoot(log, "", "order-42")
	hash := h.Event(root, h.Header(header))
	events := []chain.Hash{hash}
	head := proof.Head{LogID: log, Batch: 1, Sequence: 1, Hash: h.Head(chain.LogRoot(log), 1, 1, events, chain.Hash{})}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // a real one is random
	signed, err := proof.Sign(head, "ops-2020", private)
	if err != nil {
		fmt.Println(err)
		return
	}
	sent, err := json.Marshal(proof.Proof{
		Header: header, Previous: root,
		Batch: 1, FirstSequence: 1, Index: 0, Events: events,
		Before: chain.LogRoot(log), Head: signed,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// What somebody does with the receipt of the event.
	keys, err := proof.ParseKeys("ops-2020 ed25519 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29 1-\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	var received proof.Proof
	if err := json.Unmarshal(sent, &received); err != nil {
		fmt.Println(err)
		return
	}
	receipt := proof.Statement{LogID: log, ID: event.ID, Stream: "order-42", Sequence: 1, Version: 1, Batch: 1, Hash: hash}
	verdict, err := proof.Verify(receipt, &received, keys)
	fmt.Println(verdict.Signed, verdict.KeyID, err)
	fmt.Println(proof.VerifyContent(&received, nil, nil, []byte("two apples")))

	receipt.Version = 2
	_, err = proof.Verify(receipt, &received, keys)
	fmt.Println(err)
	fmt.Println(errors.Is(err, proof.WrongVersion))
	// Output:
	// true ops-2020 <nil>
	// <nil>
	// wrong version: the statement says 2, the event 1
	// true
}

// Keys are rotated by ending the range of one where the next begins.
func ExampleParseKeys() {
	keys, err := proof.ParseKeys(`
# until the end of 2019
ops-2019 ed25519 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29 -4000
ops-2020 ed25519 4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29 4001-
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for _, batch := range []uint64{4000, 4001} {
		head, err := proof.Sign(proof.Head{Batch: batch, Sequence: batch}, "ops-2019", private)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(keys.Verify(head))
	}
	// Output:
	// <nil>
	// the key may not sign this batch: key ops-2019 signs batches -4000, the head is of batch 4001
}

// Somebody keeps the last head that they saw, and asks for the digests of the
// batches since then.
func ExampleConsistent() {
	log := [16]byte{15: 1}
	var h chain.Hasher
	digests := []chain.Hash{h.Batch(8, 20, []chain.Hash{{1}}, chain.Hash{}), h.Batch(9, 21, []chain.Hash{{2}}, chain.Hash{})}
	older := proof.Head{LogID: log, Batch: 7, Sequence: 19, Hash: chain.Hash{7}}
	newer := proof.Head{LogID: log, Batch: 9, Sequence: 21, Hash: h.Link(h.Link(older.Hash, digests[0]), digests[1])}
	fmt.Println(proof.Consistent(older, digests, newer))

	rewritten := older
	rewritten.Hash = chain.Hash{8}
	fmt.Println(errors.Is(proof.Consistent(rewritten, digests, newer), proof.NotContinued))
	// Output:
	// <nil>
	// true
}
