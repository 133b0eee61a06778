package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/crashtest"
	"github.com/untorn-db/untorn/simclock"
)

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// openOn opens the shop so that the same disk always gives the same shop.
func openOn(disk afero.Fs) (*shop, error) {
	seed := [32]byte{}
	if infos, err := afero.ReadDir(disk, "log"); err == nil {
		seed[0] = byte(len(infos)) // each life has drawn something else
	}
	clock := simclock.New(simclock.Epoch())
	return open(engine.Options{FS: disk, SegmentSize: 64 << 10, Clock: clock, Waits: waits{clock}, Rand: rand.NewChaCha8(seed)})
}

// TestKilledAtAnyMoment kills the program, and cuts the power, at every operation of
// the file system. What was answered is there, and every order is fulfilled once.
func TestKilledAtAnyMoment(t *testing.T) {
	type step = crashtest.Step[*shop]
	place := func(request, customer, item string, quantity int) step {
		return crashtest.Do("place "+request, func(s *shop) error {
			// The same delivery each time: the one before may have been lost.
			_, delivered := s.append(context.Background(), Moved{"tea", 5}, engine.Draft{Stream: "stock-tea", Key: "d1"})
			_, placed := s.place(context.Background(), request, Placed{request, customer, item, quantity, 1000})
			return errors.Join(delivered, placed)
		})
	}
	steps := []step{
		place("r1", "ada", "tea", 3),
		place("r2", "bob", "lamp", 3), // nobody delivers lamps
		crashtest.Do("fulfil r1, r2", fulfilAll),
		place("r1", "ada", "tea", 3), // a retry, which is a new request if the first was lost
		place("r3", "ada", "tea", 3), // too many, if r1 is there
		place("r4", "bob", "tea", 2),
		crashtest.Do("fulfil r1, r2, r3, r4", fulfilAll),
	}
	budget := 1500
	if testing.Short() {
		budget = 300
	}
	crashtest.Run(t, crashtest.Subject[*shop]{
		Open: openOn, Steps: steps, Check: whole,
		Close:   func(s *shop) error { return s.log.Close() },
		Options: crashtest.Options{Disks: []string{"posix", "ext4"}, Budget: budget, Depth: 1},
	})
}

// fulfilAll fulfils what is placed, and computes the views, in this goroutine.
func fulfilAll(s *shop) error {
	ctx := context.Background()
	return errors.Join(s.fulfilment(ctx, engine.Handling{Attempts: 1, ToEnd: true}), s.views.ToEnd(ctx))
}

// whole checks what a crash has left.
func whole(s *shop, h crashtest.History) error {
	position, err := s.orders.Position()
	if err != nil {
		return err
	}
	placed := map[string]engine.Event{} // by request
	outcomes := map[uuid.UUID][]string{}
	stock, bills := map[string]int{}, map[string]int{}
	stockSeen, billsSeen := seen(s.stock.State()), seen(s.bills.State())
	for event, err := range s.events.ReadOrRaw(s.log.Read(engine.Query{})) {
		if err != nil {
			return err
		}
		outcomes[event.CausedBy] = append(outcomes[event.CausedBy], event.Type)
		switch value := event.Value.(type) {
		case Placed:
			if _, twice := placed[value.Order]; twice {
				return fmt.Errorf("%s was placed twice", value.Order)
			}
			placed[value.Order] = event.Event
		case Moved:
			stock[value.Item] += value.Quantity
			if stock[value.Item] < 0 {
				return fmt.Errorf("event %d takes %s that is not there", event.Sequence, value.Item)
			}
		case Billed:
			bills[value.Customer] += value.Cents
		}
		if err := errors.Join(stockSeen.check(event.Sequence, stock), billsSeen.check(event.Sequence, bills)); err != nil {
			return err
		}
	}
	for request, event := range placed {
		switch got := strings.Join(outcomes[event.ID], " "); {
		case event.Sequence > position && got == "":
		case event.Sequence <= position && request == "r2" && got == engine.DeadLetterType:
		case event.Sequence <= position && request != "r2" && (got == "stock.moved order.billed" || got == "order.refused"):
		default:
			return fmt.Errorf("the cursor is at %d, and what became of %s, event %d, is %q", position, request, event.Sequence, got)
		}
	}
	for _, step := range h.Steps() {
		if step.State != crashtest.Acked {
			continue
		}
		did, names, _ := strings.Cut(step.Name, " ")
		for request := range strings.SplitSeq(names, ", ") {
			event, ok := placed[request]
			switch {
			case did == "place" && !ok:
				return fmt.Errorf("%s was answered, and is not there", request)
			case did == "fulfil" && ok && event.Sequence > position && before(h, request, step.Number):
				return fmt.Errorf("%s was fulfilled, and is not now", request)
			}
		}
	}
	return nil
}

// before reports whether a request was answered before a step.
func before(h crashtest.History, request string, number int) bool {
	for _, step := range h.Steps()[:number-1] {
		if step.Name == "place "+request && step.State == crashtest.Acked {
			return true
		}
	}
	return false
}

// view is what a view shows.
type view struct {
	sums sums
	at   uint64
}

func seen(s sums, at uint64) view { return view{s, at} }

// check compares the view with what it should show at an event.
func (v view) check(at uint64, want map[string]int) error {
	if got := maps.Collect(v.sums.All()); at == v.at && !maps.Equal(got, want) {
		return fmt.Errorf("a view at event %d shows %v, want %v", at, got, want)
	}
	return nil
}
