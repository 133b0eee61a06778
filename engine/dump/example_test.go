package dump_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/dump"
	"github.com/untorn-db/untorn/simfs"
)

// A log is dumped, and rebuilt somewhere else. In a program the dump is a file, or what
// goes over a network, and FS is left out for a real directory.
func Example() {
	ctx := context.Background()
	log, err := engine.Open(engine.Options{Dir: "data", FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	if _, err := log.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed", Data: []byte(`{"total":3}`)}); err != nil {
		fmt.Println(err)
		return
	}
	var text bytes.Buffer
	if _, err := dump.Write(ctx, &text, log, dump.Range{}); err != nil {
		fmt.Println(err)
		return
	}

	r, err := dump.Read(&text)
	if err != nil {
		fmt.Println(err)
		return
	}
	rebuilt, err := engine.Open(engine.Options{Dir: "copy", FS: simfs.New(simfs.Options{}), ID: r.Header().Log})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rebuilt.Close()
	result, err := dump.Import(ctx, rebuilt, r, dump.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("exact:", result.Exact, "batches:", result.Batches)
	fmt.Println("same head:", rebuilt.LogHead() == log.LogHead())
	// Output:
	// exact: true batches: 1
	// same head: true
}
