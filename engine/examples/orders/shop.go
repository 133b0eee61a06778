package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
	"github.com/untorn-db/untorn/engine/projection"
)

const (
	credit       = 150_00 // cents that a customer may owe
	largestOrder = 100_00 // cents
)

// shop decides from what the log says, and appends what it has decided. It has no
// state of its own: the views can be computed again.
type shop struct {
	log    *engine.Log
	events *codec.Registry
	orders *engine.Cursor // how far they are fulfilled
	views  *projection.Set
	stock  *projection.Projection[sums] // pieces, by item
	bills  *projection.Projection[sums] // cents, by customer
}

// open opens the shop on the disk of the options.
func open(options engine.Options) (_ *shop, err error) {
	s := &shop{}
	if s.events, err = newEvents(); err != nil {
		return nil, err
	}
	options.Dir = "log"
	options.Gates = []engine.Gate{{Name: "largest order", Permit: s.permit, Record: true}}
	if s.log, err = engine.Open(options); err != nil {
		return nil, err
	}
	if s.orders, err = s.log.Cursor("fulfilment", engine.Query{Types: []string{"order.placed"}}); err == nil {
		err = s.openViews(projection.Checkpoints{FS: options.FS, Dir: "views"})
	}
	if err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	return s, nil
}

// permit is the gate: nobody places a larger order, by whatever code.
func (s *shop) permit(_ context.Context, proposal *engine.Proposal) error {
	for _, draft := range proposal.Events() {
		value, err := s.events.DecodeOrRaw(engine.Event{Type: draft.Type, PayloadVersion: draft.PayloadVersion, Data: draft.Data})
		if err != nil {
			return err
		}
		if order, ok := value.(Placed); ok && order.Cents > largestOrder {
			return fmt.Errorf("%d is more than %d", order.Cents, largestOrder)
		}
	}
	return nil
}

// append appends one event. A request that comes again has one effect: its key is
// known, and it gets the receipt of the first time.
func (s *shop) append(ctx context.Context, value any, to engine.Draft) (engine.Receipt, error) {
	draft, err := s.events.Draft(value, to)
	if err != nil {
		return engine.Receipt{}, err
	}
	return s.log.Append(ctx, draft)
}

// place decides whether a customer gets credit for an order, and places it.
func (s *shop) place(ctx context.Context, request string, order Placed) (engine.Receipt, error) {
	for stream := "customer-" + order.Customer; ; {
		version, owed, known := uint64(0), order.Cents, false
		for event, err := range s.events.Read(s.log.Read(engine.Query{Stream: stream})) {
			if err != nil {
				return engine.Receipt{}, err
			}
			switch value := event.Value.(type) {
			case Placed:
				owed += value.Cents
			case Refused:
				owed -= value.Cents
			}
			version, known = event.Version, known || event.Key == request
		}
		if owed > credit && !known { // a request that was accepted stays so
			return engine.Receipt{}, fmt.Errorf("%s would owe %d, and has credit for %d", order.Customer, owed, credit)
		}
		receipt, err := s.append(ctx, order, engine.Draft{Stream: stream, Key: request, Expect: engine.Exactly(version)})
		if !errors.Is(err, engine.ErrWrongVersion) {
			return receipt, err
		}
		// Somebody was faster: the decision was made on what no longer holds.
	}
}

// fulfilment fulfils orders until the context ends. One that cannot be is tried a few
// times, and then put aside, so that the others go on: somebody has to look at it.
func (s *shop) fulfilment(ctx context.Context, how engine.Handling) error {
	how.Wait, how.DeadLetter = 10*time.Millisecond, engine.StreamName{Stream: "orders-put-aside"}
	return s.orders.Handle(ctx, how, s.fulfil)
}

// fulfil reserves and bills. It looks at nothing but the log, and all that it does are
// effects, which commit together with the cursor's move: so it happens once.
func (s *shop) fulfil(_ context.Context, event engine.Event, effects *engine.Effects) error {
	order, err := codec.As[Placed](s.events, event)
	if err != nil {
		return err
	}
	stage := func(value any, to engine.Draft) error {
		draft, err := s.events.Draft(value, to)
		if err == nil {
			_, err = effects.Append(draft)
		}
		return err
	}
	stock, version, left := "stock-"+order.Item, uint64(0), 0
	for event, err := range s.events.Read(s.log.Read(engine.Query{Stream: stock})) {
		if err != nil {
			return err
		}
		version, left = event.Version, left+event.Value.(Moved).Quantity
	}
	switch customer := "customer-" + order.Customer; {
	case version == 0:
		return fmt.Errorf("nobody has ever delivered %q", order.Item)
	case left < order.Quantity:
		return stage(Refused{order.Order, order.Customer, order.Cents}, engine.Draft{Stream: customer})
	default: // if the stock has changed meanwhile nothing of it commits, and it is tried again
		return errors.Join(
			stage(Moved{order.Item, -order.Quantity}, engine.Draft{Stream: stock, Expect: engine.Exactly(version)}),
			stage(Billed{order.Order, order.Customer, order.Cents}, engine.Draft{Stream: customer}))
	}
}

// outcome waits for what has become of an order: its bill, say.
func (s *shop) outcome(ctx context.Context, order engine.Receipt) (engine.Event, error) {
	types := []string{"order.billed", "order.refused", engine.DeadLetterType}
	for event, err := range s.log.Subscribe(ctx, engine.Query{Types: types, FromSequence: order.Sequence}) {
		if err != nil || event.CausedBy == order.ID {
			return event, err
		}
	}
	return engine.Event{}, errors.New("unreachable: a subscription ends with an error")
}
