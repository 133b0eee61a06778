package projection_test

import (
	"context"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
	"github.com/untorn-db/untorn/simfs"
)

// Totals is a small state: a value, with nothing behind it.
type Totals struct {
	Orders int
	Bytes  int
}

func Example() {
	ctx, disk := context.Background(), simfs.New(simfs.Options{})
	log, err := engine.Open(engine.Options{FS: disk, Dir: "log"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	for _, stream := range []string{"order-1", "order-2"} {
		if _, err := log.Append(ctx, engine.Draft{Stream: stream, Type: "order.placed", Data: []byte("tea")}); err != nil {
			fmt.Println(err)
			return
		}
	}

	// A program that is started, and started again.
	for range 2 {
		totals, err := projection.New(projection.Definition[Totals]{
			Name: "totals", Version: 1,
			Query: engine.Query{Types: []string{"order.placed"}},
			Apply: func(t Totals, event engine.Event) Totals {
				return Totals{Orders: t.Orders + 1, Bytes: t.Bytes + len(event.Data)}
			},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		set, err := projection.Open(log, projection.Options{
			Checkpoints: projection.Checkpoints{FS: disk, Dir: "checkpoints"},
		}, totals)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := set.ToEnd(ctx); err != nil {
			fmt.Println(err)
			return
		}
		state, sequence := totals.State()
		fmt.Printf("%+v at event %d, applied %d\n", state, sequence, set.Status()[0].Applied)
	}
	// Output:
	// {Orders:2 Bytes:6} at event 2, applied 2
	// {Orders:2 Bytes:6} at event 2, applied 0
}

func ExampleSet_Live() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Dir: "log"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	stock, err := projection.New(projection.Definition[projection.Map[string, int]]{
		Name: "stock",
		Apply: func(stock projection.Map[string, int], event engine.Event) projection.Map[string, int] {
			return stock.Set(event.Stream, stock.Get(event.Stream)+1)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := projection.Open(log, projection.Options{}, stock)
	if err != nil {
		fmt.Println(err)
		return
	}
	lived := make(chan error)
	go func() { lived <- set.Live(ctx) }()

	for _, stream := range []string{"tea", "cake", "tea"} {
		receipt, err := log.Append(ctx, engine.Draft{Stream: stream, Type: "delivered"})
		if err != nil {
			fmt.Println(err)
			return
		}
		// Who wrote it wants to see it.
		if err := stock.WaitFor(ctx, receipt.Sequence); err != nil {
			fmt.Println(err)
			return
		}
		state, _ := stock.State()
		fmt.Println(stream, state.Get(stream))
	}
	stop()
	fmt.Println(<-lived)
	// Output:
	// tea 1
	// cake 1
	// tea 2
	// projection: live: engine: subscribe: context canceled
}
