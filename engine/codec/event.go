package codec

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/untorn-db/untorn/engine"
)

// Draft returns base as the draft of a value, whose Go type must be that of a
// current version: with Type, PayloadVersion and Data set, whatever they were. All
// else, the stream first, is the caller's to say. The error matches ErrGoType, or
// is what the codec says.
func Draft(r *Registry, value any, base engine.Draft) (engine.Draft, error) {
	v, err := r.encodes(value)
	if err != nil {
		return engine.Draft{}, fmt.Errorf("codec: draft: %w", err)
	}
	data, err := v.encode(value)
	if err != nil {
		return engine.Draft{}, fmt.Errorf("codec: encode %v: %w", v, err)
	}
	base.Type, base.PayloadVersion, base.Data = v.name, v.number, data
	return base, nil
}

// Raw is an event of a type that nobody has registered.
type Raw struct {
	Type    string
	Version uint32
	Data    []byte // a copy
}

// DecodeOption changes what an event is decoded to.
type DecodeOption uint8

// OrRaw decodes an event of an unknown type to a Raw. An event of a known type
// that cannot be decoded, such as one of a newer version, stays an error: it was
// meant for this program.
const OrRaw DecodeOption = 1

// Decode returns the value of an event, upcast to the current version: a T for
// what was registered as T. Only Type, PayloadVersion and Data of the event are
// looked at, and its Sequence for errors.
//
// The error matches ErrUnknown, ErrNewer, ErrGap or ErrPanic, or ErrRegistration if
// the type has no current version, or is what the codec or an upcaster says.
func Decode(r *Registry, event engine.Event, options ...DecodeOption) (any, error) {
	value, err := r.decode(&event, options)
	if err != nil {
		return nil, fmt.Errorf("codec: %w", at(&event, err))
	}
	return value, nil
}

func (r *Registry) decode(event *engine.Event, options []DecodeOption) (any, error) {
	v, later, err := r.find(event.Type, event.PayloadVersion)
	if err != nil {
		for _, option := range options {
			if option == OrRaw && errors.Is(err, ErrUnknown) {
				return Raw{Type: event.Type, Version: event.PayloadVersion, Data: bytes.Clone(event.Data)}, nil
			}
		}
		return nil, err
	}
	value, err := v.decode(event.Data)
	if err != nil {
		return nil, fmt.Errorf("decode %v: %w", v, err)
	}
	for _, next := range later {
		if value, err = v.up(value); err != nil {
			return nil, fmt.Errorf("upcast %v to %d: %w", v, next.number, err)
		}
		v = next
	}
	return value, nil
}

// at names the event in an error.
func at(event *engine.Event, err error) error {
	if event.Sequence == 0 {
		return err // it comes from no log
	}
	return fmt.Errorf("event %d: %w", event.Sequence, err)
}

// As decodes an event as Decode does, for those who know what it is. T is the Go
// type of a current version, or an interface that it has. The error matches
// ErrGoType if the event is of another one.
func As[T any](r *Registry, event engine.Event) (T, error) {
	var none T
	decoded, err := Decode(r, event)
	if err != nil {
		return none, err
	}
	value, ok := decoded.(T)
	if !ok {
		return none, fmt.Errorf("codec: %w", at(&event,
			fmt.Errorf("%w: %q is a %T, not a %v", ErrGoType, event.Type, decoded, reflect.TypeFor[T]())))
	}
	return value, nil
}

// Event is an event with its value.
type Event struct {
	engine.Event
	// Value is what Decode returns: of the Go type of a current version, or a Raw.
	Value any
}

// Read decodes what a log yields, be it from Read or from any other sequence of
// its events. On an error it yields that once and stops, with the event if it is
// one that cannot be decoded.
//
// With Query.Borrow the bytes of an event are valid until the next one is asked
// for, and its value for good.
func Read(r *Registry, events iter.Seq2[engine.Event, error], options ...DecodeOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for event, err := range events {
			if err != nil {
				yield(Event{}, err)
				return
			}
			value, err := Decode(r, event, options...)
			if !yield(Event{Event: event, Value: value}, err) || err != nil {
				return
			}
		}
	}
}
