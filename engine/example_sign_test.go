package engine_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simfs"
)

// A customer gets a receipt and a proof, and verifies them with nothing but the
// shop's public key.
func ExampleSigning() {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // a real one is random
	log, err := engine.Open(engine.Options{
		FS:      simfs.New(simfs.Options{}),
		Signing: &engine.Signing{KeyID: "shop-2026", Key: private, When: engine.SignAtClose},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	receipt, err := log.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed", Data: []byte("two apples")})
	if err != nil {
		fmt.Println(err)
		return
	}
	head, err := log.Sign(ctx) // or wait for the Close
	fmt.Println(head.Batch, head.KeyID, err)
	p, err := log.Prove(ctx, receipt.ID)
	if err != nil {
		fmt.Println(err)
		return
	}

	// At the customer's.
	statement := log.Statement(receipt)
	keys, err := proof.NewKeys(proof.Key{ID: "shop-2026", Public: private.Public().(ed25519.PublicKey)})
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict, err := proof.Verify(statement, &p, keys)
	fmt.Println(verdict.Signed, verdict.KeyID, err)
	fmt.Println(proof.VerifyContent(&p, nil, nil, []byte("two apples")))
	statement.Version = 2
	_, err = proof.Verify(statement, &p, keys)
	fmt.Println(errors.Is(err, proof.WrongVersion))
	// Output:
	// 1 shop-2026 <nil>
	// true shop-2026 <nil>
	// <nil>
	// true
}

// Keys are rotated by opening the log with the next one. Those who verify keep the
// old one, for the batches that it may have signed.
func ExampleLog_VerifySigned() {
	disk, ctx := simfs.New(simfs.Options{}), context.Background()
	key := func(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(append(make([]byte, 31), n)) }
	for n, id := range []string{"ops-2025", "ops-2026"} {
		log, err := engine.Open(engine.Options{FS: disk, Signing: &engine.Signing{KeyID: id, Key: key(byte(n))}})
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := log.Append(ctx, engine.Draft{Stream: "s", Type: "t"}); err != nil {
			fmt.Println(err)
		}
		if err := log.Close(); err != nil { // which signs
			fmt.Println(err)
		}
	}
	log, err := engine.Open(engine.Options{FS: disk, ReadOnly: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	old := proof.Key{ID: "ops-2025", Public: key(0).Public().(ed25519.PublicKey), Until: 1}
	young := proof.Key{ID: "ops-2026", Public: key(1).Public().(ed25519.PublicKey), From: 2}
	for _, list := range [][]proof.Key{{old, young}, {young}} {
		keys, err := proof.NewKeys(list...)
		if err != nil {
			fmt.Println(err)
			return
		}
		v, err := log.VerifySigned(ctx, keys)
		fmt.Println(v.Signatures, v.Signed.Batch, v.Signed.KeyID, errors.Is(err, proof.UnknownKey))
	}
	// Output:
	// 2 3 ops-2026 false
	// 2 3 ops-2026 true
}
