package main

import (
	"errors"

	"github.com/untorn-db/untorn/engine/codec"
)

// The events of the shop. What concerns a customer is in the stream customer-NAME,
// what concerns an item in stock-NAME.
type (
	Placed struct {
		Order, Customer, Item string
		Quantity, Cents       int // Cents for all of it
	}
	Billed struct {
		Order, Customer string
		Cents           int
	}
	Refused struct {
		Order, Customer string
		Cents           int // that the customer does not owe after all
	}
	Moved struct {
		Item     string
		Quantity int // into the stock; negative: out of it
	}
)

// placedV1 is from the days when the shop sold one at a time, for whole euros.
type placedV1 struct {
	Order, Customer, Item string
	Euros                 int
}

// newEvents gives the events names, which stay when a Go type is renamed. There are
// still orders of version 1 in the log, and no other code has to know.
func newEvents() (*codec.Registry, error) {
	events := codec.New(codec.Options{})
	return events, errors.Join(
		codec.Register[Placed](events, "order.placed", 2),
		codec.Upcast(events, "order.placed", 1, func(old placedV1) (Placed, error) {
			return Placed{old.Order, old.Customer, old.Item, 1, 100 * old.Euros}, nil
		}),
		codec.Register[Billed](events, "order.billed", 1),
		codec.Register[Refused](events, "order.refused", 1),
		codec.Register[Moved](events, "stock.moved", 1),
		events.Check(),
	)
}
