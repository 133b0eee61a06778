package main

import (
	"errors"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
	"github.com/untorn-db/untorn/engine/projection"
)

// sums are numbers by name.
type sums = projection.Map[string, int]

// openViews opens what can be looked up. It is computed in one pass over the log,
// and saved now and then: nothing is lost with it.
func (s *shop) openViews(saved projection.Checkpoints) error {
	var stock, bills error
	s.stock, stock = newView(s.events, "stock", "stock.moved", func(e Moved) (string, int) { return e.Item, e.Quantity })
	s.bills, bills = newView(s.events, "bills", "order.billed", func(e Billed) (string, int) { return e.Customer, e.Cents })
	err := errors.Join(stock, bills)
	if err == nil {
		s.views, err = projection.Open(s.log, projection.Options{Checkpoints: saved}, s.stock, s.bills)
	}
	return err
}

// newView adds up what the events of a type say: a name, and a number.
func newView[E any](events *codec.Registry, name, eventType string, what func(E) (string, int)) (*projection.Projection[sums], error) {
	return projection.New(projection.Definition[sums]{
		Name: name, Version: 1, // another one when the view means something else
		Query: engine.Query{Types: []string{eventType}},
		Apply: func(sum sums, event engine.Event) sums {
			value, err := codec.As[E](events, event)
			if err != nil {
				panic(err) // this view stops before the event, and says so
			}
			key, n := what(value)
			return sum.Set(key, sum.Get(key)+n)
		},
	})
}
