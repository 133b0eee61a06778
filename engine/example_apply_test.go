package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// A copy has the id of the log, and gets its batches: what it has is skipped, and what was
// changed on its way is refused.
func ExampleLog_Apply() {
	ctx := context.Background()
	first, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	if _, err := first.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed"}); err != nil {
		log.Fatal(err)
	}
	if _, err := first.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.paid"}); err != nil {
		log.Fatal(err)
	}

	second, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), ID: first.ID()})
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	for round := range 2 {
		for batch, err := range first.Batches(1) {
			if err != nil {
				log.Fatal(err)
			}
			if round == 0 && batch.Number == 2 {
				batch.Events[0].Type = "order.cancelled"
			}
			applied, err := second.Apply(ctx, batch, engine.Durable)
			fmt.Println(batch.Number, applied, errors.Is(err, engine.ErrDiverged))
		}
	}
	fmt.Println("same head:", second.LogHead() == first.LogHead())
	// Output:
	// 1 true false
	// 2 false true
	// 1 false false
	// 2 true false
	// same head: true
}
