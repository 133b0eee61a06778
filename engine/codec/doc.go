// Package codec turns Go values into events of the log, and events of any age
// back into the Go values of today.
//
//	events := codec.New(codec.Options{})
//	err := errors.Join(
//		codec.Register[Placed](events, "order.placed", 2),
//		codec.Upcast(events, "order.placed", 1, func(old placedV1) (Placed, error) {
//			return Placed{Order: old.Order, Cents: old.Euros * 100}, nil
//		}),
//		events.Check(),
//	)
//	draft, err := events.Draft(Placed{Order: 42, Cents: 300}, engine.Draft{Stream: "order-42"})
//	receipt, err := log.Append(ctx, draft)
//	for event, err := range events.Read(log.Read(engine.Query{Stream: "order-42"})) {
//		switch value := event.Value.(type) {
//		case Placed: …
//		}
//	}
//
// The way of a value:
//
//	Go value ─→ its name, current version ─→ Codec.Encode ─→ Draft{Type, PayloadVersion, Data}
//	                                                                        │
//	                                                                       log
//	                                                                        │
//	Go value ←─ … ←─ upcast 2→3 ←─ upcast 1→2 ←─ Codec.Decode ←─ Event{Type, PayloadVersion, Data}
//
// # Contract
//
// A [Registry] is a value; there is no global one. It knows names that the
// program has written down, and never makes one from a Go type, so that types
// can be renamed and moved. A name has one current version, given to [Register],
// which is what is encoded. Each older version comes with the function that makes
// the next one of it, given to [Upcast], and is only decoded. A Go type stands for
// one version of one name.
//
// Version 0 is a version like the others: that of events which were appended
// without one.
//
// What an event holds is never guessed. An unknown name is an [*UnknownError], and
// an event whose content is gone an [*ErasedError], or both are a [Raw] for those
// who ask for it with [Registry.DecodeOrRaw] or [Registry.ReadOrRaw]; a version that
// is newer than the current one is a [*NewerError]; a missing step on the way from
// an old version is a [*GapError]; between registered versions [Registry.Check]
// finds it before any event does. A payload that does not fit its type is an error,
// and so is the panic of an upcaster or of a codec, an [*engine.PanicError]. Errors
// name the event by its sequence.
//
// What is decoded shares no bytes with the event, also not with a borrowed one,
// as long as the [Codec] keeps to that; [JSON], the default, does.
//
// Any number of goroutines may use a registry, also while another one registers.
//
// Package codectest keeps the bytes of all versions in golden files.
package codec
