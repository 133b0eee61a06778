package projection

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// Codec turns a state into bytes and back. A state that was decoded must make no
// difference to Apply; the same state must always have the same bytes.
type Codec[State any] interface {
	Encode(state State) ([]byte, error)
	Decode(data []byte) (State, error)
}

// jsonCodec is the codec of those who name none.
type jsonCodec[State any] struct{}

func (jsonCodec[State]) Encode(state State) ([]byte, error) {
	data, err := json.Marshal(state)
	if err == nil && replaced(data) {
		return nil, errors.New("a text is not UTF-8: keep bytes in a []byte, or name a Codec")
	}
	return data, err
}

func (jsonCodec[State]) Decode(data []byte) (state State, err error) {
	err = json.Unmarshal(data, &state)
	return state, err
}

// replaced reports whether there is a \ufffd, which encoding/json writes for what is
// not UTF-8. A U+FFFD that was in a text stands there as itself.
func replaced(data []byte) bool {
	for {
		before, after, found := bytes.Cut(data, []byte(`\ufffd`))
		if !found {
			return false
		}
		if backslashes := len(before) - len(bytes.TrimRight(before, `\`)); backslashes%2 == 0 {
			return true
		}
		data = after // the letters behind a backslash that was in a text
	}
}

// check refuses states that would not come back as they were.
func (jsonCodec[State]) check() error {
	return lossless(reflect.TypeFor[State](), "the state", map[reflect.Type]bool{})
}

func lost(what, why string) error {
	return fmt.Errorf("JSON would lose %s, since %s: name a Codec", what, why)
}

// container is a type that encodes what it holds by itself. A struct in which one
// is embedded has its method, but not its type.
type container interface {
	holds() (self reflect.Type, held []reflect.Type)
}

// lossless returns what JSON would lose of the values of a type.
func lossless(t reflect.Type, where string, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if c, ok := reflect.Zero(t).Interface().(container); ok && t.Kind() == reflect.Struct {
		if self, all := c.holds(); self == t {
			for _, held := range all {
				if err := lossless(held, "what "+where+" holds", seen); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := losslessMethods(t, where, seen); err != nil {
		return err
	}
	own := reflect.PointerTo(t)
	if own.Implements(reflect.TypeFor[json.Unmarshaler]()) || own.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil // it knows best
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
		return losslessFields(t, where, map[string]string{}, map[reflect.Type]bool{}, seen)
	}
	return nil
}

// losslessMethods is lossless for what a struct has its methods from: with those of
// an embedded field encoding/json writes and reads that field in place of all. Go
// does not tell them from the struct's own, so both are refused.
func losslessMethods(t reflect.Type, where string, seen map[reflect.Type]bool) error {
	if t.Kind() != reflect.Struct || !speaks(t) {
		return nil
	}
	for embedded := range t.Fields() {
		if !embedded.Anonymous || !speaks(embedded.Type) {
			continue
		}
		for other := range t.Fields() {
			if other.Name != embedded.Name && other.Name != "_" && other.Type.Size() > 0 {
				return fmt.Errorf("JSON may lose %s.%s, since the methods of the embedded %s may stand for the whole struct: give that a name, or name a Codec",
					where, other.Name, embedded.Name)
			}
		}
		if err := lossless(embedded.Type, where+"."+embedded.Name, seen); err != nil {
			return err
		}
	}
	return nil
}

// speaks reports whether encoding/json asks a type for what to write or read.
func speaks(t reflect.Type) bool {
	for _, asked := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
		reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if t.Implements(asked) || reflect.PointerTo(t).Implements(asked) {
			return true
		}
	}
	return false
}

// losslessFields is lossless for the fields of a struct. The names are those that
// they have in JSON, with the fields that have them: embedded structs have theirs
// beside those around them. within is the structs that are embedded in each other.
func losslessFields(t reflect.Type, where string, names map[string]string, within, seen map[reflect.Type]bool) error {
	within[t] = true
	defer delete(within, t)
	for field := range t.Fields() {
		place := where + "." + field.Name
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if strings.ContainsFunc(name, notInNames) {
			name = "" // as if there were none
		}
		bare := field.Type
		if bare.Kind() == reflect.Pointer {
			bare = bare.Elem()
		}
		switch {
		case field.Name == "_":
			continue
		case field.Tag.Get("json") == "-":
			return lost(place, "its tag says so")
		case !field.IsExported() && (!field.Anonymous || field.Type.Kind() != reflect.Struct):
			return lost(place, "it is not exported")
		case field.Anonymous && name == "" && bare.Kind() == reflect.Struct:
			if within[bare] {
				return lost(place, "it is embedded in itself")
			}
			if err := losslessFields(bare, place, names, within, seen); err != nil {
				return err
			}
			continue
		case bare.Kind() == reflect.String && strings.Contains(","+options+",", ",string,"):
			return lost("what is not UTF-8 in "+place+" without a word", "its tag says string")
		}
		name = cmp.Or(name, field.Name)
		if other, ok := names[name]; ok {
			return lost(other+" or "+place, fmt.Sprintf("both are %q in it", name))
		}
		names[name] = place
		if err := lossless(field.Type, place, seen); err != nil {
			return err
		}
	}
	return nil
}

// notInNames reports whether encoding/json does not take a name with a character
// from a tag.
func notInNames(c rune) bool {
	return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c)
}
