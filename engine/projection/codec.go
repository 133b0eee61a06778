package projection

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// Codec turns a state into bytes and back. A state that was decoded must make no
// difference to Apply; the same state must always have the same bytes.
type Codec[State any] interface {
	Encode(state State) ([]byte, error)
	Decode(data []byte) (State, error)
}

// jsonCodec is the codec of those who name none.
type jsonCodec[State any] struct{}

func (jsonCodec[State]) Encode(state State) ([]byte, error) { return json.Marshal(state) }
func (jsonCodec[State]) Decode(data []byte) (state State, err error) {
	err = json.Unmarshal(data, &state)
	return state, err
}

// check refuses states that would not come back as they were.
func (jsonCodec[State]) check() error {
	return lossless(reflect.TypeFor[State](), "the state", map[reflect.Type]bool{})
}

// container is a type that encodes what it holds by itself.
type container interface{ holds() []reflect.Type }

// lossless returns what JSON would lose of the values of a type.
func lossless(t reflect.Type, where string, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if c, ok := reflect.Zero(t).Interface().(container); ok && t.Kind() == reflect.Struct {
		for _, held := range c.holds() {
			if err := lossless(held, "what "+where+" holds", seen); err != nil {
				return err
			}
		}
		return nil
	}
	own := reflect.PointerTo(t)
	if own.Implements(reflect.TypeFor[json.Unmarshaler]()) || own.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil // it knows best
	}
	lost := func(what, why string) error {
		return fmt.Errorf("JSON would lose %s, since %s: name a Codec", what, why)
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return lost(where, "it is a "+t.Kind().String())
	case reflect.Interface:
		return lost(where, "it may be of any type")
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return lossless(t.Elem(), where, seen)
	case reflect.Map:
		if err := lossless(t.Key(), "a key of "+where, seen); err != nil {
			return err
		}
		return lossless(t.Elem(), where, seen)
	case reflect.Struct:
		for field := range t.Fields() {
			embedded := field.Anonymous && field.Type.Kind() == reflect.Struct // its fields count
			switch {
			case field.Name == "_":
			case field.Tag.Get("json") == "-":
				return lost(where+"."+field.Name, "its tag says so")
			case !field.IsExported() && !embedded:
				return lost(where+"."+field.Name, "it is not exported")
			default:
				if err := lossless(field.Type, where+"."+field.Name, seen); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
