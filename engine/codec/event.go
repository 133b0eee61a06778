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
func (r *Registry) Draft(value any, base engine.Draft) (engine.Draft, error) {
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

// Raw is an event of a type that nobody has registered, or one whose content was
// erased.
type Raw struct {
	Type    string
	Version uint32
	Data    []byte // a copy
	Erased  bool   // the content is gone, whether or not the type is registered
}

// Decode returns the value of an event, upcast to the current version: a T for
// what was registered as T. Only Type, PayloadVersion, Data and Erased of the event
// are looked at, and its Sequence for errors.
//
// The error matches ErrErased if the content is gone, whatever the type is; else
// ErrUnknown, ErrNewer or ErrGap, or ErrRegistration if the type has no current
// version, or is what the codec or an upcaster says, or an *engine.PanicError if one
// of these has panicked.
func (r *Registry) Decode(event engine.Event) (any, error) {
	return r.decode(&event, false)
}

// DecodeOrRaw is Decode for those who want to see every event: one that is erased
// or of an unknown type is a Raw. An event of a known type that cannot be decoded,
// such as one of a newer version, stays an error: it was meant for this program.
func (r *Registry) DecodeOrRaw(event engine.Event) (any, error) {
	return r.decode(&event, true)
}

func (r *Registry) decode(event *engine.Event, orRaw bool) (any, error) {
	v, later, err := r.find(event)
	// Only what find says counts: an upcaster may have met another unknown event.
	if orRaw && (errors.Is(err, ErrErased) || errors.Is(err, ErrUnknown)) {
		return Raw{Type: event.Type, Version: event.PayloadVersion, Data: bytes.Clone(event.Data), Erased: event.Erased}, nil
	}
	var value any
	if err == nil {
		value, err = v.value(event.Data, later)
	}
	if err != nil {
		return nil, fmt.Errorf("codec: %w", at(event, err))
	}
	return value, nil
}

// value decodes bytes, and upcasts what they are.
func (v *version) value(data []byte, later []*version) (any, error) {
	value, err := v.decode(data)
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
	decoded, err := r.Decode(event)
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
	// Value is of the Go type of a current version, or, of ReadOrRaw, a Raw. It is nil
	// beside an error.
	Value any
}

// Read decodes what a log yields, be it from Read or from any other sequence of
// its events, as Decode does. On an error it yields that once and stops, with the
// event if it is one that cannot be decoded. Where events may be erased, ReadOrRaw
// goes on behind them.
//
// With Query.Borrow the bytes of an event are valid until the next one is asked
// for, and its value for good.
func (r *Registry) Read(events iter.Seq2[engine.Event, error]) iter.Seq2[Event, error] {
	return read(events, r.Decode)
}

// ReadOrRaw is Read with DecodeOrRaw.
func (r *Registry) ReadOrRaw(events iter.Seq2[engine.Event, error]) iter.Seq2[Event, error] {
	return read(events, r.DecodeOrRaw)
}

func read(events iter.Seq2[engine.Event, error], decode func(engine.Event) (any, error)) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for event, err := range events {
			if err != nil {
				yield(Event{}, err)
				return
			}
			value, err := decode(event)
			if !yield(Event{Event: event, Value: value}, err) || err != nil {
				return
			}
		}
	}
}
