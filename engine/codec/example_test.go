package codec_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
	"github.com/untorn-db/untorn/simfs"
)

// The events of a shop, as its program knows them today.
type (
	// Placed is "order.placed", version 3.
	Placed struct {
		Order    int    `json:"order"`
		Cents    int    `json:"cents"`
		Currency string `json:"currency"`
	}
	// Paid is "order.paid", version 1.
	Paid struct {
		Order int `json:"order"`
	}
)

// The events of a shop, as they once were.
type (
	placedV1 struct {
		Order int `json:"order"`
		Euros int `json:"euros"`
	}
	placedV2 struct {
		Order int `json:"order"`
		Cents int `json:"cents"`
	}
)

// shop is what the program of today registers.
func shop() (*codec.Registry, error) {
	events := codec.New(codec.Options{})
	err := errors.Join(
		codec.Register[Placed](events, "order.placed", 3),
		codec.Upcast(events, "order.placed", 1, func(old placedV1) (placedV2, error) {
			return placedV2{Order: old.Order, Cents: old.Euros * 100}, nil
		}),
		codec.Upcast(events, "order.placed", 2, func(old placedV2) (Placed, error) {
			return Placed{Order: old.Order, Cents: old.Cents, Currency: "EUR"}, nil
		}),
		codec.Register[Paid](events, "order.paid", 1),
		events.Check(),
	)
	return events, err
}

// A program of last year writes to a log, and one of today reads it and goes on.
func Example() {
	ctx := context.Background()
	orders, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})}) // or Dir: "data"
	if err != nil {
		log.Fatal(err)
	}
	defer orders.Close()
	put := func(events *codec.Registry, value any) {
		draft, err := events.Draft(value, engine.Draft{Stream: "order-42"})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := orders.Append(ctx, draft); err != nil {
			log.Fatal(err)
		}
	}

	lastYear := codec.New(codec.Options{})
	if err := codec.Register[placedV1](lastYear, "order.placed", 1); err != nil {
		log.Fatal(err)
	}
	put(lastYear, placedV1{Order: 42, Euros: 3})

	today, err := shop()
	if err != nil {
		log.Fatal(err)
	}
	put(today, Placed{Order: 43, Cents: 250, Currency: "SEK"})
	put(today, Paid{Order: 42})

	for event, err := range today.Read(orders.Read(engine.Query{})) {
		if err != nil {
			log.Fatal(err)
		}
		switch value := event.Value.(type) {
		case Placed:
			fmt.Printf("%d: order %d was placed for %d %s, from %s\n", event.Sequence, value.Order, value.Cents, value.Currency, event.Data)
		case Paid:
			fmt.Printf("%d: order %d was paid\n", event.Sequence, value.Order)
		}
	}
	// Output:
	// 1: order 42 was placed for 300 EUR, from {"order":42,"euros":3}
	// 2: order 43 was placed for 250 SEK, from {"order":43,"cents":250,"currency":"SEK"}
	// 3: order 42 was paid
}

// Everything is registered before anything is reported.
func ExampleRegister() {
	events := codec.New(codec.Options{})
	err := errors.Join(
		codec.Register[Placed](events, "order.placed", 1),
		codec.Register[Paid](events, "order.placed", 1),
		codec.Register[Placed](events, "order.moved", 1),
		codec.Register[int](events, "order.counted", 1),
	)
	fmt.Println(err)
	// Output:
	// codec: register "order.placed" version 1: invalid registration: the version is registered already, as codec_test.Placed
	// codec: register "order.moved" version 1: invalid registration: codec_test.Placed is the Go type of "order.placed" version 1 already: declare another one
	// codec: register "order.counted" version 1: invalid registration: int says nothing about an event: declare a type of its own
}

// A step of the way from an old version is missing.
func ExampleUpcast() {
	events := codec.New(codec.Options{})
	err := errors.Join(
		codec.Register[Placed](events, "order.placed", 3),
		codec.Upcast(events, "order.placed", 1, func(old placedV1) (placedV2, error) {
			return placedV2{Order: old.Order, Cents: old.Euros * 100}, nil
		}),
		events.Check(),
	)
	fmt.Println(err)
	// Output:
	// codec: nothing upcasts "order.placed" from version 2 to 3 (the current one is 3): give the function to Upcast
}

func ExampleRegistry_Draft() {
	events, err := shop()
	if err != nil {
		log.Fatal(err)
	}
	draft, err := events.Draft(Paid{Order: 42}, engine.Draft{Stream: "order-42", Expect: engine.Exactly(1)})
	fmt.Println(draft.Stream, draft.Type, draft.PayloadVersion, string(draft.Data), err)
	_, err = events.Draft(placedV1{Order: 42}, engine.Draft{Stream: "order-42"})
	fmt.Println(err)
	// Output:
	// order-42 order.paid 1 {"order":42} <nil>
	// codec: draft: wrong Go type: codec_test.placedV1 is "order.placed" version 1, an old one: only the current version is encoded
}

func ExampleRegistry_Decode() {
	events, err := shop()
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range []engine.Event{
		{Type: "order.placed", PayloadVersion: 2, Data: []byte(`{"order":42,"cents":300}`)},
		{Type: "order.placed", PayloadVersion: 4, Data: []byte(`{"order":42,"price":"€ 3"}`)},
		{Type: "order.paid", PayloadVersion: 1, Data: []byte(`{"order":42,"by":"card"}`)},
		{Type: "order.sent", PayloadVersion: 1, Data: []byte(`{"order":42}`)},
	} {
		value, err := events.Decode(event)
		fmt.Printf("%+v %v\n", value, err)
	}
	// Output:
	// {Order:42 Cents:300 Currency:EUR} <nil>
	// <nil> codec: "order.placed" has version 4, and this program knows it up to version 3: upgrade it
	// <nil> codec: decode "order.paid" version 1: json: unknown field "by"
	// <nil> codec: event type "order.sent" is unknown: register it, or read it with ReadOrRaw
}

// What nobody has registered, or what is erased, can be shown all the same.
func ExampleRegistry_DecodeOrRaw() {
	events, err := shop()
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range []engine.Event{
		{Type: "order.paid", PayloadVersion: 1, Data: []byte(`{"order":42}`)},
		{Type: "order.sent", PayloadVersion: 1, Data: []byte(`{"order":42}`)},
		{Type: "order.placed", PayloadVersion: 2, Erased: true},
	} {
		value, err := events.DecodeOrRaw(event)
		if err != nil {
			log.Fatal(err)
		}
		switch value := value.(type) {
		case Paid:
			fmt.Printf("order %d was paid\n", value.Order)
		case codec.Raw:
			fmt.Printf("%s version %d: %q, erased: %t\n", value.Type, value.Version, value.Data, value.Erased)
		}
	}
	// Output:
	// order 42 was paid
	// order.sent version 1: "{\"order\":42}", erased: false
	// order.placed version 2: "", erased: true
}

func ExampleAs() {
	events, err := shop()
	if err != nil {
		log.Fatal(err)
	}
	event := engine.Event{Sequence: 7, Type: "order.paid", PayloadVersion: 1, Data: []byte(`{"order":42}`)}
	paid, err := codec.As[Paid](events, event)
	fmt.Println(paid.Order, err)
	_, err = codec.As[Placed](events, event)
	fmt.Println(err)
	// Output:
	// 42 <nil>
	// codec: event 7: wrong Go type: "order.paid" is a codec_test.Paid, not a codec_test.Placed
}

// Gob is a codec of one's own.
type Gob struct{}

func (Gob) Encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	err := gob.NewEncoder(&buffer).Encode(value)
	return buffer.Bytes(), err
}

func (Gob) Decode(data []byte, value any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(value)
}

// One type in a form of its own.
func ExampleRegisterWith() {
	events := codec.New(codec.Options{})
	err := errors.Join(
		codec.Register[Placed](events, "order.placed", 3),
		codec.RegisterWith[Paid](events, "order.paid", 1, Gob{}),
		events.Check(),
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, registered := range events.Types() {
		fmt.Printf("%s %d: %v as %T\n", registered.Name, registered.Version, registered.Go, registered.Codec)
	}
	// Output:
	// order.paid 1: codec_test.Paid as codec_test.Gob
	// order.placed 3: codec_test.Placed as codec.JSON
}
