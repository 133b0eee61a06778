// Command orders is an order service: it takes orders, reserves stock, bills, and
// says where things are. All it knows is in an event log, so that it can be killed
// at any moment and goes on where it was.
//
//	go run ./engine/examples/orders
//	deliver d1 tea 10
//	order r1 ada tea 3 1200
//
// d1 and r1 name the requests: who got no answer sends the same line again. The
// first argument is the directory, "orders-data" without one. Ctrl-C ends it.
//
// The way of an order:
//
//	line ─▶ place ─▶ order.placed ─▶ fulfil ─┬▶ stock.moved, order.billed ─┬▶ views ─▶ answer
//	                                         ├▶ order.refused              │
//	                                         ╰▶ untorn.dead-letter ────────╯
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/diskfs"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: orders [DIR]") }
	flag.Parse()
	dir := cmp.Or(flag.Arg(0), "orders-data")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lines := make(chan string)
	go func() { // a read from a terminal cannot be interrupted: it is left behind
		defer close(lines)
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	disk, err := diskfs.Open(dir, diskfs.Options{})
	if err == nil {
		err = errors.Join(run(ctx, engine.Options{FS: disk}, lines, os.Stdout), disk.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

// run answers lines until there are no more, or the context ends.
func run(ctx context.Context, options engine.Options, lines <-chan string, out io.Writer) error {
	s, err := open(options)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 3)
	for _, part := range []func() error{
		func() error { return s.serve(ctx, lines, out) },
		func() error { return s.fulfilment(ctx, engine.Handling{}) },
		func() error { return s.views.Live(ctx) },
	} {
		go func() {
			ended <- part()
			stop() // without it the others are no use: the log has failed, say
		}()
	}
	for range cap(ended) { // what was begun is finished, and the views are saved
		if e := <-ended; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, s.log.Close())
}

// serve answers each line with one.
func (s *shop) serve(ctx context.Context, lines <-chan string, out io.Writer) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, more := <-lines:
			if !more {
				return nil
			}
			answer, err := s.answer(ctx, line)
			if errors.Is(err, engine.ErrInDoubt) {
				return err // only opening the log again tells; then a retry gets the answer
			}
			if err != nil {
				answer = err.Error()
			}
			fmt.Fprintln(out, answer)
		}
	}
}

// answer does what a line says, and tells what has come of it.
func (s *shop) answer(ctx context.Context, line string) (string, error) {
	var request, customer, item string
	var quantity, cents int
	if _, err := fmt.Sscanf(line, "deliver %s %s %d", &request, &item, &quantity); err == nil && quantity > 0 {
		receipt, err := s.append(ctx, Moved{item, quantity}, engine.Draft{Stream: "stock-" + item, Key: request})
		if err == nil {
			err = s.stock.WaitFor(ctx, receipt.Sequence) // who writes sees it
		}
		stock, _ := s.stock.State()
		return fmt.Sprintf("%s: delivered; %d %s in stock", request, stock.Get(item), item), err
	}
	if _, err := fmt.Sscanf(line, "order %s %s %s %d %d", &request, &customer, &item, &quantity, &cents); err != nil || quantity < 1 || cents < 0 {
		return "", errors.New("say: deliver REQUEST ITEM QUANTITY, or: order REQUEST CUSTOMER ITEM QUANTITY CENTS")
	}
	placed, err := s.place(ctx, request, Placed{request, customer, item, quantity, cents})
	if err != nil {
		return "", err
	}
	outcome, err := s.outcome(ctx, placed)
	if err != nil {
		return "", err
	}
	err = errors.Join(s.stock.WaitFor(ctx, outcome.Sequence), s.bills.WaitFor(ctx, outcome.Sequence))
	stock, _ := s.stock.State()
	bills, _ := s.bills.State()
	return fmt.Sprintf("%s: %s; %d %s in stock, bills of %s: %d", request, outcome.Type, stock.Get(item), item, customer, bills.Get(customer)), err
}
