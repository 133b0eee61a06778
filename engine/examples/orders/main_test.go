package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
	"github.com/untorn-db/untorn/simfs"
)

// A shop that has an order of its first program in the log, is stopped, and started
// again; some requests come a second time.
func Example() {
	ctx, disk := context.Background(), simfs.New(simfs.Options{}) // or that of diskfs.Open
	if err := firstProgram(ctx, engine.Options{FS: disk, Dir: "log"}); err != nil {
		fmt.Println(err)
	}
	for _, day := range []string{`
order r1 ada tea 3 1200
order r2 bob tea 9 3600
order r3 bob tea 5 12000
order r4 bob lamp 1 3000
order r5 bob tea 4 9000
order r6 bob tea 1 4000
order r7 bob tea -1 100`, `
order r1 ada tea 3 1200
order r5 bob tea 4 9000
order r1 ada tea 4 1200
deliver d1 tea 7
deliver d1 tea 7`} {
		if err := run(ctx, engine.Options{FS: disk}, said(day[1:]), os.Stdout); err != nil {
			fmt.Println(err)
		}
		fmt.Println()
	}
	// Output:
	// r1: order.billed; 6 tea in stock, bills of ada: 1700
	// r2: order.refused; 6 tea in stock, bills of bob: 0
	// engine: append: rejected, nothing was written: gate "largest order" has denied the batch: 12000 is more than 10000
	// r4: untorn.dead-letter; 0 lamp in stock, bills of bob: 0
	// r5: order.billed; 2 tea in stock, bills of bob: 9000
	// bob would owe 16000, and has credit for 15000
	// say: deliver REQUEST ITEM QUANTITY, or: order REQUEST CUSTOMER ITEM QUANTITY CENTS
	//
	// r1: order.billed; 2 tea in stock, bills of ada: 1700
	// r5: order.billed; 2 tea in stock, bills of bob: 9000
	// engine: append: rejected, nothing was written: idempotency key conflict; item 0, key "r1": used for another payload
	// d1: delivered; 9 tea in stock
	// d1: delivered; 9 tea in stock
}

// firstProgram is a delivery and an order of version 1, which nobody has fulfilled.
func firstProgram(ctx context.Context, options engine.Options) error {
	log, err := engine.Open(options)
	if err != nil {
		return err
	}
	defer log.Close()
	events := codec.New(codec.Options{})
	err = errors.Join(codec.Register[placedV1](events, "order.placed", 1), codec.Register[Moved](events, "stock.moved", 1))
	if err != nil {
		return err
	}
	s := &shop{log: log, events: events}
	_, err = s.append(ctx, Moved{"tea", 10}, engine.Draft{Stream: "stock-tea"})
	if err == nil {
		_, err = s.append(ctx, placedV1{"r0", "ada", "tea", 5}, engine.Draft{Stream: "customer-ada"})
	}
	return err
}

// said hands out the lines of a text.
func said(text string) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for line := range strings.Lines(text) {
			lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	return lines
}

// told hands on what is written to it.
type told chan string

func (c told) Write(b []byte) (int, error) {
	c <- string(b)
	return len(b), nil
}

// TestCtrlC ends the shop while it waits, and starts it again.
func TestCtrlC(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	for day := range 2 {
		ctx, stop := context.WithCancel(t.Context())
		lines, out, ended := make(chan string), make(told), make(chan error)
		go func() { ended <- run(ctx, engine.Options{FS: disk}, lines, out) }()
		lines <- "deliver d1 tea 10"
		if got := <-out; got != "d1: delivered; 10 tea in stock\n" {
			t.Errorf("day %d: %q", day, got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("day %d: %v", day, err)
		}
	}
	s, err := open(engine.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.log.Close()
	if at := s.views.Status()[0]; at.Restored == 0 || at.Rebuilt != nil {
		t.Errorf("the views were not saved: %+v", at)
	}
}

// TestSomebodyWasFaster: of orders that are placed at the same time no more are
// accepted than there is credit for.
func TestSomebodyWasFaster(t *testing.T) {
	s, err := open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.log.Close()
	for round := range 300 {
		customer, accepted := fmt.Sprint("c", round), atomic.Int32{}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				request := fmt.Sprintf("%s-%d", customer, i)
				if _, err := s.place(t.Context(), request, Placed{request, customer, "tea", 1, 7000}); err == nil {
					accepted.Add(1)
				}
			})
		}
		all.Wait()
		if n := accepted.Load(); n != credit/7000 {
			t.Errorf("%s: %d orders were accepted", customer, n)
		}
	}
}
