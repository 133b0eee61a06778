package codec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
	"github.com/untorn-db/untorn/simfs"
)

// One step of the history of an event type that has many.
type (
	v0 struct{ N int }
	v1 struct{ N int }
	v2 struct{ N int }
	v3 struct{ N int }

	w1 struct{ N int }
	w2 struct{ N int }
	w3 struct{ N int }

	other struct{ N int }
	noted interface{ note() }
	// byPointer has its methods on the pointer.
	byPointer struct{ text string }
)

func (*byPointer) note()                          {}
func (p *byPointer) MarshalText() ([]byte, error) { return []byte("<" + p.text + ">"), nil }
func (p *byPointer) UnmarshalText(b []byte) error {
	p.text = strings.Trim(string(b), "<>")
	return nil
}

// next upcasts by adding one.
func next[Old, New ~struct{ N int }](old Old) (New, error) {
	n := struct{ N int }(old)
	n.N++
	return New(n), nil
}

// must is a registry whose registrations are all good.
func must(t testing.TB, register ...func(r *codec.Registry) error) *codec.Registry {
	t.Helper()
	r := codec.New(codec.Options{})
	for _, f := range register {
		if err := f(r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func reg[T any](name string, version uint32) func(*codec.Registry) error {
	return regWith[T](name, version, nil)
}

func regWith[T any](name string, version uint32, own codec.Codec) func(*codec.Registry) error {
	return func(r *codec.Registry) error { return codec.RegisterWith[T](r, name, version, own) }
}

func upWith[Old, New any](name string, from uint32, own codec.Codec, f func(Old) (New, error)) func(*codec.Registry) error {
	return func(r *codec.Registry) error { return codec.UpcastWith(r, name, from, own, f) }
}

func up[Old, New any](name string, from uint32, f func(Old) (New, error)) func(*codec.Registry) error {
	return func(r *codec.Registry) error { return codec.Upcast(r, name, from, f) }
}

func event(name string, version uint32, data string) engine.Event {
	return engine.Event{Type: name, PayloadVersion: version, Data: []byte(data)}
}

// contains checks an error's text, and whether it matches.
func contains(t *testing.T, err error, target error, text string) {
	t.Helper()
	if !errors.Is(err, target) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("got  %v\nwant one that matches %q and says %q", err, target, text)
	}
}

func TestRegistrations(t *testing.T) {
	type register = func(*codec.Registry) error
	for _, c := range []struct {
		name   string
		before []register
		this   register
		want   string // "" where it is fine
	}{
		{"first", nil, reg[v1]("a", 1), ""},
		{"version 0", nil, reg[v1]("a", 0), ""},
		{"last version", nil, reg[v1]("a", math.MaxUint32), ""},
		{"pointer", nil, reg[*v1]("a", 1), ""},
		{"long name", nil, reg[v1](strings.Repeat("ä", 127), 1), ""},
		{"too long name", nil, reg[v1](strings.Repeat("ä", 128), 1), "the name has 256 bytes, not 1 to 255"},
		{"empty name", nil, reg[v1]("", 1), "the name has 0 bytes, not 1 to 255"},
		{"control character", nil, reg[v1]("a\x85", 1), "not UTF-8"},
		{"a control character of UTF-8", nil, reg[v1]("a\u0085", 1), "control characters"},
		{"int", nil, reg[int]("a", 1), "declare a type of its own"},
		{"unnamed struct", nil, reg[struct{ A int }]("a", 1), "declare a type of its own"},
		{"unnamed map", nil, reg[map[string]any]("a", 1), "declare a type of its own"},
		{"pointer to a pointer", nil, reg[**v1]("a", 1), "declare a type of its own"},
		{"any", nil, reg[any]("a", 1), "an interface"},
		{"interface", nil, reg[noted]("a", 1), "an interface"},
		{"Raw", nil, reg[codec.Raw]("a", 1), "nobody has registered"},
		{"other names", []register{reg[v1]("a", 1)}, reg[v2]("A", 1), ""},
		{"version twice", []register{reg[v1]("a", 1)}, reg[v2]("a", 1), "registered already, as codec_test.v1"},
		{"two current versions", []register{reg[v1]("a", 1)}, reg[v2]("a", 2), "version 1 is the current one already, as codec_test.v1: old ones are registered with Upcast"},
		{"Go type twice", []register{reg[v1]("a", 1)}, reg[v1]("b", 1), `codec_test.v1 is the Go type of "a" version 1 already`},
		{"value and pointer", []register{reg[v1]("a", 1)}, reg[*v1]("b", 1), ""},

		{"upcast first", nil, up("a", 1, next[v1, v2]), ""},
		{"upcast, then current", []register{up("a", 1, next[v1, v2])}, reg[v2]("a", 2), ""},
		{"current, then upcast", []register{reg[v2]("a", 2)}, up("a", 1, next[v1, v2]), ""},
		{"upcast before upcast", []register{up("a", 1, next[v1, v2])}, up("a", 0, next[v0, v1]), ""},
		{"a gap for now", []register{reg[v3]("a", 3)}, up("a", 1, next[v1, v2]), ""},
		{"no function", nil, up[v1, v2]("a", 1, nil), "the function that upcasts it is nil"},
		{"upcast of the last version", nil, up("a", math.MaxUint32, next[v1, v2]), "no next version"},
		{"upcast of an interface", nil, up("a", 1, func(any) (v2, error) { return v2{}, nil }), "an interface"},
		{"upcast twice", []register{up("a", 1, next[v1, v2])}, up("a", 1, next[other, v2]), "registered already, as codec_test.v1"},
		{"upcast of the current version", []register{reg[v1]("a", 1)}, up("a", 1, next[v2, v3]), "registered already, as codec_test.v1"},
		{"upcast of a newer version", []register{reg[v1]("a", 1)}, up("a", 2, next[v2, v3]), "the current version is 1"},
		{"a current version that is upcast", []register{up("a", 1, next[v1, v2])}, reg[other]("a", 1), "registered already, as codec_test.v1"},
		{"an older current version", []register{up("a", 1, next[v1, v2])}, reg[other]("a", 0), "version 1 is an old one, and newer"},
		{"upcast to itself", []register{reg[v2]("a", 2)}, up("a", 1, next[v2, v2]), "codec_test.v2 is the Go type of"},
		{"current of another type", []register{up("a", 1, next[v1, v2])}, reg[other]("a", 2), "version 1 is upcast to codec_test.v2, and not to codec_test.other"},
		{"upcast to another type", []register{reg[v2]("a", 2)}, up("a", 1, next[v1, other]), "it is upcast to codec_test.other, and version 2 is codec_test.v2"},
		{"old one of another type", []register{up("a", 1, next[v1, v2])}, up("a", 2, next[other, v3]), "version 1 is upcast to codec_test.v2, and not to codec_test.other"},
		{"upcast to another old one", []register{up("a", 2, next[v2, v3])}, up("a", 1, next[v1, other]), "it is upcast to codec_test.other, and version 2 is codec_test.v2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := must(t, c.before...)
			before := r.Types()
			err := c.this(r)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			contains(t, err, codec.ErrRegistration, c.want)
			contains(t, err, engine.ErrInvalid, c.want)
			if after := r.Types(); !slices.Equal(after, before) {
				t.Errorf("a refused registration left %v", after)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		r    *codec.Registry
		want []string
	}{
		{"nothing", new(codec.Registry), nil},
		{"one", must(t, reg[v1]("a", 7)), nil},
		{"chain", must(t, up("a", 1, next[v1, v2]), reg[v3]("a", 3), up("a", 2, next[v2, v3]), reg[other]("b", 0)), nil},
		{"gap", must(t, up("a", 1, next[v1, v2]), reg[v3]("a", 3)), []string{
			`codec: nothing upcasts "a" from version 2 to 3 (the current one is 3): give the function to Upcast`,
		}},
		{"gaps", must(t, up("b", 7, next[v1, v2]), reg[v3]("b", 9), up("a", 0, next[v0, other]), up("a", 3, next[w1, w2]), reg[w3]("a", 5)), []string{
			`codec: nothing upcasts "a" from version 1 to 2 (the current one is 5): give the function to Upcast`,
			`codec: nothing upcasts "a" from version 4 to 5 (the current one is 5): give the function to Upcast`,
			`codec: nothing upcasts "b" from version 8 to 9 (the current one is 9): give the function to Upcast`,
		}},
		{"no current version", must(t, up("a", 1, next[v1, v2]), up("a", 2, next[v2, v3])), []string{
			`codec: invalid registration: "a" has no current version: register codec_test.v3, to which version 2 is upcast`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.r.Check()
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	boom := errors.New("boom")
	r := must(t,
		up("a", 0, next[v0, v1]), up("a", 1, next[v1, v2]), up("a", 2, next[v2, v3]), reg[v3]("a", 3),
		reg[*byPointer]("pointer", 1),
		up("gap", 1, func(placedV1) (placedV2, error) { return placedV2{}, nil }), reg[Placed]("gap", 3),
		up("fails", 1, func(w1) (w2, error) { return w2{}, boom }), reg[w2]("fails", 2),
		up("panics", 1, func(w3) (other, error) { panic(boom) }), reg[other]("panics", 2),
		up("nil", 1, func(Paid) (*Paid, error) { return nil, nil }), reg[*Paid]("nil", 2),
		up("asks another", 1, func(*w1) (*v0, error) { return nil, &codec.UnknownError{Type: "inner"} }), reg[*v0]("asks another", 2),
		up("current", 1, func(*Placed) (*other, error) { return nil, nil }),
	)
	for _, c := range []struct {
		name  string
		event engine.Event
		want  any
		err   error
		text  string
	}{
		{"current", event("a", 3, `{"N":10}`), v3{10}, nil, ""},
		{"one step", event("a", 2, `{"N":10}`), v3{11}, nil, ""},
		{"all steps", event("a", 0, `{"N":10}`), v3{13}, nil, ""},
		{"newer", event("a", 4, `{"N":10}`), nil, codec.ErrNewer, `codec: "a" has version 4, and this program knows it up to version 3: upgrade it`},
		{"much newer", event("a", math.MaxUint32, `{"N":10}`), nil, codec.ErrNewer, "version 4294967295"},
		{"unknown", event("b", 1, `{"N":10}`), nil, codec.ErrUnknown, `codec: event type "b" is unknown`},
		{"no type", engine.Event{}, nil, codec.ErrUnknown, `""`},
		{"a gap behind it", event("gap", 1, `{}`), nil, codec.ErrGap, `nothing upcasts "gap" from version 2 to 3`},
		{"in a gap", event("gap", 2, `{}`), nil, codec.ErrGap, `nothing upcasts "gap" from version 2 to 3`},
		{"before all", event("gap", 0, `{}`), nil, codec.ErrGap, `nothing upcasts "gap" from version 0 to 1`},
		{"no current version", event("current", 1, `{}`), nil, codec.ErrRegistration, "no current version"},
		{"upcaster fails", event("fails", 1, `{}`), nil, boom, `codec: upcast "fails" version 1 to 2: boom`},
		{"upcaster panics", event("panics", 1, `{}`), nil, nil, `codec: upcast "panics" version 1 to 2: panic: boom`},
		{"a panic with an error", event("panics", 1, `{}`), nil, boom, ""},
		{"upcaster gives nil", event("nil", 1, `{}`), nil, nil, `codec: upcast "nil" version 1 to 2: the upcaster has returned a nil *codec_test.Paid`},
		{"upcaster meets an unknown one", event("asks another", 1, `{}`), nil, codec.ErrUnknown, `codec: upcast "asks another" version 1 to 2: event type "inner" is unknown`},
		{"null", event("a", 3, " null\n"), nil, nil, `codec: decode "a" version 3: the payload is null, which is no codec_test.v3`},
		{"null for a pointer", event("nil", 2, `null`), nil, nil, `codec: decode "nil" version 2: the payload is null, which is no codec_test.Paid`},
		{"pointer", event("pointer", 1, `"<x>"`), &byPointer{"x"}, nil, ""},
		{"wrong payload", event("a", 3, `{"N":"x"}`), nil, nil, `codec: decode "a" version 3: json: cannot unmarshal string`},
		{"wrong payload of an old version", event("a", 1, `[]`), nil, nil, `codec: decode "a" version 1: json: cannot unmarshal array`},
		{"of a log", engine.Event{Sequence: 12, Type: "a", PayloadVersion: 3}, nil, nil, `codec: event 12: decode "a" version 3: the payload is empty`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Decode(c.event)
			if c.err == nil && c.text == "" {
				if err != nil || !reflect.DeepEqual(got, c.want) {
					t.Errorf("got %#v, %v, want %#v", got, err, c.want)
				}
				return
			}
			if err == nil || got != nil {
				t.Fatalf("got %#v, %v", got, err)
			}
			if c.err == nil {
				c.err = err
			}
			contains(t, err, c.err, c.text)
			// Only what is unknown comes raw.
			got, err = r.DecodeOrRaw(c.event)
			if want := (codec.Raw{Type: c.event.Type, Version: c.event.PayloadVersion, Data: c.event.Data}); errors.Is(c.err, codec.ErrUnknown) && c.event.Type != "asks another" {
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("raw: got %#v, %v, want %#v", got, err, want)
				}
			} else if err == nil {
				t.Errorf("raw: got %#v", got)
			}
		})
	}
}

// The fields of typed errors say what their texts say.
func TestErrorFields(t *testing.T) {
	r := must(t, up("a", 1, next[v1, v2]), reg[v3]("a", 3))
	for _, c := range []struct {
		event engine.Event
		want  error
	}{
		{event("b", 5, ""), &codec.UnknownError{Type: "b", Version: 5}},
		{event("a", 5, ""), &codec.NewerError{Type: "a", Version: 5, Current: 3}},
		{event("a", 1, ""), &codec.GapError{Type: "a", Version: 2, Current: 3}},
		{engine.Event{Type: "b", PayloadVersion: 5, Erased: true}, &codec.ErasedError{Type: "b", Version: 5}},
	} {
		_, err := r.Decode(c.event)
		if got := errors.Unwrap(err); !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %#v, want %#v", got, c.want)
		}
	}
}

func TestDraft(t *testing.T) {
	r := must(t, up("a", 1, next[v1, v2]), reg[v2]("a", 2), reg[*byPointer]("pointer", 7), regWith[unsafeCodec]("panics", 1, unsafeCodec{}))
	base := engine.Draft{Stream: "s", Scope: "x", Key: "k", Type: "old", PayloadVersion: 9, Data: []byte("old"), Erasable: true}
	got, err := r.Draft(v2{3}, base)
	want := engine.Draft{Stream: "s", Scope: "x", Key: "k", Type: "a", PayloadVersion: 2, Data: []byte(`{"N":3}`), Erasable: true}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = r.Draft(&byPointer{"x"}, engine.Draft{})
	if want := (engine.Draft{Type: "pointer", PayloadVersion: 7, Data: []byte(`"<x>"`)}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, c := range []struct {
		name  string
		value any
		err   error // nil: an *engine.PanicError
		text  string
	}{
		{"nil", nil, codec.ErrGoType, "the value is nil"},
		{"old version", v1{3}, codec.ErrGoType, `codec_test.v1 is "a" version 1, an old one: only the current version is encoded`},
		{"unregistered", v3{3}, codec.ErrGoType, "codec: draft: wrong Go type: codec_test.v3 is not registered"},
		{"unregistered pointer", &v3{3}, codec.ErrGoType, "*codec_test.v3 is not registered"},
		{"pointer", &v2{3}, codec.ErrGoType, "*codec_test.v2 is not registered, but codec_test.v2 is: give the value, not its pointer"},
		{"no pointer", byPointer{"x"}, codec.ErrGoType, "codec_test.byPointer is not registered, but *codec_test.byPointer is: give a pointer"},
		{"nil pointer", (*byPointer)(nil), codec.ErrGoType, "the *codec_test.byPointer is nil"},
		{"codec panics", unsafeCodec{}, nil, `codec: encode "panics" version 1: panic: encode`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Draft(c.value, base)
			if c.err == nil {
				_, panicked := errors.AsType[*engine.PanicError](err)
				if c.err = err; !panicked {
					t.Fatalf("got %v, want a panic", err)
				}
			}
			contains(t, err, c.err, c.text)
			if !reflect.DeepEqual(got, engine.Draft{}) {
				t.Errorf("a draft beside the error: %+v", got)
			}
		})
	}
	_, err = r.Decode(event("panics", 1, ""))
	contains(t, err, err, `codec: decode "panics" version 1: panic: decode`)
	if panicked, ok := errors.AsType[*engine.PanicError](err); !ok || panicked.Value != "decode" || !strings.Contains(string(panicked.Stack), "unsafeCodec") {
		t.Errorf("the stack does not say where the panic was: %v", err)
	}
}

// The content of an event that is erased is gone, whatever its type is, and
// nothing is made of it, not even by a codec that needs no bytes.
func TestErased(t *testing.T) {
	r := must(t, up("a", 1, next[v1, v2]), reg[v2]("a", 2), regWith[other]("empty", 1, noBytes{}), up("gap", 1, next[w1, w2]), reg[w3]("gap", 3))
	if _, err := r.Decode(event("empty", 1, "")); err != nil {
		t.Fatal(err)
	}
	for _, e := range []engine.Event{event("a", 2, ""), event("a", 1, ""), event("a", 3, ""), event("empty", 1, ""), event("gap", 1, ""), event("unknown", 7, "")} {
		e.Sequence, e.Erased, e.Data = 12, true, nil
		got, err := r.Decode(e)
		contains(t, err, codec.ErrErased, fmt.Sprintf("codec: event 12: the content of this %q is erased: read it with ReadOrRaw", e.Type))
		if got != nil || errors.Is(err, codec.ErrUnknown) {
			t.Errorf("%s: got %#v, %v", e.Type, got, err)
		}
		_, err = codec.As[codec.Raw](r, e)
		contains(t, err, codec.ErrErased, "")
		got, err = r.DecodeOrRaw(e)
		if want := (codec.Raw{Type: e.Type, Version: e.PayloadVersion, Erased: true}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("raw: got %#v, %v, want %#v", got, err, want)
		}
	}
	events := func(yield func(engine.Event, error) bool) {
		_ = yield(engine.Event{Sequence: 1, Type: "a", PayloadVersion: 1, Data: []byte(`{"N":1}`)}, nil) &&
			yield(engine.Event{Sequence: 2, Type: "a", PayloadVersion: 1, Erased: true}, nil) &&
			yield(engine.Event{Sequence: 3, Type: "a", PayloadVersion: 2, Data: []byte(`{"N":3}`)}, nil)
	}
	read := func(events iter.Seq2[codec.Event, error]) (got []any) {
		for event, err := range events {
			got = append(got, event.Value)
			if err != nil {
				contains(t, err, codec.ErrErased, "codec: event 2: ")
				got = append(got, "error")
			}
		}
		return got
	}
	if got, want := read(r.Read(events)), []any{v2{2}, nil, "error"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := read(r.ReadOrRaw(events)), []any{v2{2}, codec.Raw{Type: "a", Version: 1, Erased: true}, v2{3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// noBytes has one value.
type noBytes struct{}

func (noBytes) Encode(any) ([]byte, error) { return nil, nil }
func (noBytes) Decode([]byte, any) error   { return nil }

// unsafeCodec panics.
type unsafeCodec struct{}

func (unsafeCodec) Encode(any) ([]byte, error) { panic("encode") }
func (unsafeCodec) Decode([]byte, any) error   { panic("decode") }

// named says which codec has encoded.
type named string

func (c named) Encode(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	return append([]byte(c), data...), err
}

func (c named) Decode(data []byte, value any) error {
	rest, ok := strings.CutPrefix(string(data), string(c))
	if !ok {
		return fmt.Errorf("%q is not of codec %s", data, string(c))
	}
	return json.Unmarshal([]byte(rest), value)
}

// The codec of a version wins over that of the registry, which wins over JSON.
func TestCodecs(t *testing.T) {
	for _, c := range []struct {
		registry, version codec.Codec
		want              string
	}{
		{nil, nil, `{"N":1}`},
		{named("r"), nil, `r{"N":1}`},
		{nil, named("v"), `v{"N":1}`},
		{named("r"), named("v"), `v{"N":1}`},
	} {
		r := codec.New(codec.Options{Codec: c.registry})
		if err := errors.Join(
			codec.RegisterWith[v2](r, "a", 2, c.version),
			codec.UpcastWith(r, "a", 1, named("old"), next[v1, v2]),
			codec.Upcast(r, "a", 0, next[v0, v1]),
		); err != nil {
			t.Fatal(err)
		}
		draft, err := r.Draft(v2{1}, engine.Draft{})
		if err != nil || string(draft.Data) != c.want {
			t.Errorf("got %q, %v, want %q", draft.Data, err, c.want)
		}
		plain := `{"N":1}`
		if c.registry != nil {
			plain = "r" + plain
		}
		for version, data := range []string{plain, `old{"N":1}`, c.want} {
			got, err := r.Decode(event("a", uint32(version), data))
			if want := (v2{3 - version}); err != nil || got != want {
				t.Errorf("version %d: got %v, %v, want %v", version, got, err, want)
			}
		}
	}
}

func TestAs(t *testing.T) {
	r := must(t, up("a", 1, next[v1, v2]), reg[v2]("a", 2), reg[*byPointer]("pointer", 1))
	if got, err := codec.As[v2](r, event("a", 1, `{"N":1}`)); err != nil || got != (v2{2}) {
		t.Error(got, err)
	}
	if got, err := codec.As[noted](r, event("pointer", 1, `"x"`)); err != nil || got.(*byPointer).text != "x" {
		t.Error(got, err)
	}
	_, err := codec.As[v1](r, event("a", 1, `{"N":1}`))
	contains(t, err, codec.ErrGoType, `codec: wrong Go type: "a" is a codec_test.v2, not a codec_test.v1`)
	_, err = codec.As[noted](r, event("a", 1, `{"N":1}`))
	contains(t, err, codec.ErrGoType, "not a codec_test.noted")
	_, err = codec.As[v2](r, event("b", 1, `{"N":1}`))
	contains(t, err, codec.ErrUnknown, "")
}

func TestTypes(t *testing.T) {
	r := must(t, reg[other]("b", 1), reg[v2]("a", 10), upWith("a", 9, named("x"), next[v1, v2]), up("a", 8, next[v0, v1]))
	want := []codec.Type{
		{Name: "a", Version: 8, Go: reflect.TypeFor[v0](), Codec: codec.JSON{}},
		{Name: "a", Version: 9, Go: reflect.TypeFor[v1](), Codec: named("x")},
		{Name: "a", Version: 10, Current: true, Go: reflect.TypeFor[v2](), Codec: codec.JSON{}},
		{Name: "b", Version: 1, Current: true, Go: reflect.TypeFor[other](), Codec: codec.JSON{}},
	}
	if got := r.Types(); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// What is decoded stays what it was when the event's bytes are overwritten.
func TestNothingIsShared(t *testing.T) {
	type bytesAndText struct {
		Text string
		Raw  json.RawMessage
		Data []byte
		Any  map[string]any
	}
	type many bytesAndText
	r := must(t, reg[many]("a", 1))
	text := `{"Text":"abc","Raw":[1,2],"Data":"AAAA","Any":{"k":"v","n":17}}`
	for _, name := range []string{"a", "unknown"} {
		e := event(name, 1, text)
		got, err := r.DecodeOrRaw(e)
		if err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprintf("%+v", got)
		for i := range e.Data {
			e.Data[i] = '!'
		}
		if after := fmt.Sprintf("%+v", got); after != before {
			t.Errorf("got %s, which was %s", after, before)
		}
	}
}

func TestRead(t *testing.T) {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, err := shop()
	if err != nil {
		t.Fatal(err)
	}
	for _, draft := range []engine.Draft{
		{Type: "order.placed", PayloadVersion: 1, Data: []byte(`{"order":1,"euros":2}`)},
		{Type: "order.sent", PayloadVersion: 1, Data: []byte(`x`)},
		{Type: "order.placed", PayloadVersion: 2, Data: []byte(`{"order":2,"cents":7}`)},
		{Type: "order.placed", PayloadVersion: 4, Data: []byte(`x`)},
		{Type: "order.paid", PayloadVersion: 1, Data: []byte(`{"order":1}`)},
	} {
		draft.Stream = "s"
		if _, err := log.Append(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		query engine.Query
		raw   bool
		want  []string
	}{
		{"up to an unknown one", engine.Query{}, false, []string{
			"1 codec_test.Placed {1 200 EUR}",
			`2 <nil> <nil> codec: event 2: event type "order.sent" is unknown: register it, or read it with ReadOrRaw`,
		}},
		{"up to a newer one", engine.Query{Borrow: true}, true, []string{
			"1 codec_test.Placed {1 200 EUR}",
			"2 codec.Raw {order.sent 1 [120] false}",
			"3 codec_test.Placed {2 7 EUR}",
			`4 <nil> <nil> codec: event 4: "order.placed" has version 4, and this program knows it up to version 3: upgrade it`,
		}},
		{"to the end", engine.Query{FromSequence: 5}, false, []string{"5 codec_test.Paid {1}"}},
		{"of nothing", engine.Query{Stream: "none"}, false, nil},
		{"what the log says", engine.Query{FromVersion: 1}, false, []string{
			"0 <nil> <nil> engine: read: invalid: FromVersion and ToVersion need a Stream",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			read := r.Read
			if c.raw {
				read = r.ReadOrRaw
			}
			for event, err := range read(log.Read(c.query)) {
				text := fmt.Sprintf("%d %T %v", event.Sequence, event.Value, event.Value)
				if err != nil {
					text += " " + err.Error()
				}
				got = append(got, text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	for event := range r.Read(log.Read(engine.Query{})) { // break releases everything
		if event.Sequence != 1 {
			t.Error(event.Sequence)
		}
		break
	}
}

// Readers read while a registration goes on, and see it whole or not at all. Each
// does one thing, so that the lock of another does not hide that it has none.
func TestConcurrent(t *testing.T) {
	r := must(t, reg[Paid]("order.paid", 1))
	var group sync.WaitGroup
	for _, read := range []func() error{
		func() error { _, err := r.Draft(Paid{1}, engine.Draft{}); return err },
		func() error {
			got, err := r.Decode(event("a", 0, `{"N":1}`))
			if errors.Is(err, codec.ErrUnknown) || errors.Is(err, codec.ErrRegistration) || errors.Is(err, codec.ErrGap) || got == (v3{4}) {
				return nil
			}
			return fmt.Errorf("%v, %w", got, err)
		},
		func() error { r.Check(); return nil },
		func() error { r.Types(); return nil },
	} {
		for range 2 {
			group.Go(func() {
				for range 500 {
					if err := read(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	if err := errors.Join(
		codec.Upcast(r, "a", 2, next[v2, v3]),
		codec.Register[v3](r, "a", 3),
		codec.Upcast(r, "a", 0, next[v0, v1]),
		codec.Upcast(r, "a", 1, next[v1, v2]),
		r.Check(),
	); err != nil {
		t.Error(err)
	}
	group.Wait()
	if got, err := r.Decode(event("a", 0, `{"N":1}`)); err != nil || got != (v3{4}) {
		t.Error(got, err)
	}
}

func TestJSON(t *testing.T) {
	type inner struct{ B float64 }
	type value struct {
		A   int            `json:"a"`
		T   string         `json:"t,omitempty"`
		Any any            `json:"any,omitempty"`
		M   map[string]int `json:"m,omitempty"`
		I   *inner         `json:"i,omitempty"`
		P   byPointer      `json:"p"`
	}
	for _, c := range []struct {
		name string
		give value
		want string // "!" and the error
	}{
		{"zero", value{}, `{"a":0,"p":"<>"}`},
		{"no escapes for HTML", value{T: "<a&b>"}, `{"a":0,"t":"<a&b>","p":"<>"}`},
		{"sorted keys", value{M: map[string]int{"z": 1, "b": 2, "a": 3}}, `{"a":0,"m":{"a":3,"b":2,"z":1},"p":"<>"}`},
		{"methods of the pointer", value{P: byPointer{"x"}}, `{"a":0,"p":"<x>"}`},
		{"U+FFFD itself", value{T: "\ufffd"}, `{"a":0,"t":"` + "\ufffd" + `","p":"<>"}`},
		{"letters like the escape", value{T: `\ufffd\\ufffd`}, `{"a":0,"t":"\\ufffd\\\\ufffd","p":"<>"}`},
		{"not UTF-8", value{T: "a\xff"}, "!a text is not UTF-8"},
		{"not UTF-8 behind a backslash", value{T: "\\ufffd\\\xff"}, "!a text is not UTF-8"},
		{"key that is not UTF-8", value{M: map[string]int{"\xff": 1}}, "!a text is not UTF-8"},
		{"not a number", value{I: &inner{math.NaN()}}, "!unsupported value: NaN"},
		{"a channel", value{Any: make(chan int)}, "!unsupported type: chan int"},
	} {
		t.Run("encode "+c.name, func(t *testing.T) {
			data, err := codec.JSON{}.Encode(&c.give)
			if text, bad := strings.CutPrefix(c.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("got %s, %v, want an error that says %q", data, err, text)
				}
				return
			}
			if err != nil || string(data) != c.want {
				t.Fatalf("got %s, %v, want %s", data, err, c.want)
			}
			var back value
			if err := (codec.JSON{}).Decode(data, &back); err != nil || !reflect.DeepEqual(back, c.give) {
				t.Errorf("came back as %+v, %v, was %+v", back, err, c.give)
			}
		})
	}
	for _, c := range []struct {
		name, data string
		want       value
		err        string // "" where it is fine
		lenient    bool   // IgnoreUnknown makes it fine
	}{
		{"whitespace", " { \"a\" : 1 } \r\n\t", value{A: 1}, "", false},
		{"missing fields", `{}`, value{}, "", false},
		{"other case", `{"A":1}`, value{A: 1}, "", false},
		{"large number in any", `{"any":9007199254740993}`, value{Any: json.Number("9007199254740993")}, "", false},
		{"unknown field", `{"a":1,"b":2}`, value{A: 1}, `unknown field "b"`, true},
		{"unknown field inside", `{"i":{"B":1,"C":2}}`, value{I: &inner{1}}, `unknown field "C"`, true},
		{"empty", ``, value{}, "the payload is empty", false},
		{"blank", " \n", value{}, "the payload is empty", false},
		{"null", `null`, value{}, "the payload is null, which is no codec_test.value", false},
		{"null and more", `null 1`, value{}, "1 bytes follow the value, which ends at byte 4", false},
		{"null inside", `{"a":null,"t":null,"i":null,"p":null}`, value{}, "", false},
		{"cut", `{"a":1`, value{}, "unexpected EOF", false},
		{"more behind", `{"a":1} {"a":2}`, value{}, "7 bytes follow the value, which ends at byte 7", false},
		{"a letter behind", `{"a":1}x`, value{}, "1 bytes follow", false},
		{"a NUL behind", "{\"a\":1}\x00", value{}, "1 bytes follow", false},
		{"not UTF-8", "{\"t\":\"\xff\"}", value{}, "not UTF-8", false},
		{"fraction", `{"a":1.5}`, value{}, "cannot unmarshal number 1.5", false},
		{"overflow", `{"a":9223372036854775808}`, value{}, "cannot unmarshal number", false},
		{"text for a number", `{"a":"1"}`, value{}, "cannot unmarshal string", false},
	} {
		for _, lenient := range []bool{false, true} {
			t.Run(fmt.Sprintf("decode %s %t", c.name, lenient), func(t *testing.T) {
				var got value
				err := codec.JSON{IgnoreUnknown: lenient}.Decode([]byte(c.data), &got)
				if errors.Is(err, io.EOF) {
					t.Errorf("%v matches io.EOF, which readers take for an end", err)
				}
				if c.err == "" || lenient && c.lenient {
					if err != nil || !reflect.DeepEqual(got, c.want) {
						t.Errorf("got %+v, %v, want %+v", got, err, c.want)
					}
				} else if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want an error that says %q", err, c.err)
				}
			})
		}
	}
}

// meansNull says what null is.
type meansNull struct{ Given string }

func (m *meansNull) UnmarshalJSON(data []byte) error {
	m.Given = string(data)
	return nil
}

// embedsNull has the method by embedding.
type embedsNull struct{ meansNull }

// saysNull has no method that takes null.
type saysNull struct{}

func (saysNull) MarshalJSON() ([]byte, error) { return []byte(" null "), nil }

// Null is a value of some types, and of the others none, not even the zero one.
func TestNull(t *testing.T) {
	type (
		list   []int
		table  map[string]int
		bits   []byte
		number int
		text   string
		truth  bool
		array  [2]int
	)
	for _, c := range []struct {
		pointer any
		want    any // what it points to then; nil if null is refused
	}{
		{new(Paid), nil},
		{new(number), nil},
		{new(text), nil},
		{new(truth), nil},
		{new(array), nil},
		{new(byPointer), nil}, // UnmarshalText is not asked
		{new(list), list(nil)},
		{new(table), table(nil)},
		{new(bits), bits(nil)},
		{new(*Paid), (*Paid)(nil)},
		{new(json.RawMessage), json.RawMessage("null")},
		{new(meansNull), meansNull{"null"}},
		{new(embedsNull), embedsNull{meansNull{"null"}}},
	} {
		for _, data := range []string{"null", " null\r\n\t"} {
			err := codec.JSON{}.Decode([]byte(data), c.pointer)
			got := reflect.ValueOf(c.pointer).Elem()
			if c.want == nil {
				if want := fmt.Sprintf("the payload is null, which is no %v", got.Type()); err == nil || err.Error() != want {
					t.Errorf("%T, %q: got %v, want %q", c.pointer, data, err, want)
				}
			} else if err != nil || !reflect.DeepEqual(got.Interface(), c.want) {
				t.Errorf("%T, %q: got %#v, %v, want %#v", c.pointer, data, got, err, c.want)
			}
		}
	}
	var value any = "old"
	if err := (codec.JSON{}).Decode([]byte("null"), &value); err != nil || value != nil {
		t.Error(value, err)
	}
	for _, wrong := range []any{nil, Paid{}, (*Paid)(nil)} { // an error, and no panic
		if err := (codec.JSON{}).Decode([]byte("null"), wrong); err == nil {
			t.Errorf("%T is decoded to", wrong)
		}
	}
	_, err := must(t, reg[saysNull]("null", 1)).Draft(saysNull{}, engine.Draft{})
	if want := `codec: encode "null" version 1: the *codec_test.saysNull says null, and cannot be decoded from it`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if data, err := (codec.JSON{}).Encode(nil); err != nil || string(data) != "null" { // it is no pointer
		t.Errorf("%s, %v", data, err)
	}
	// A type that is a value when it is nil comes back from what it is encoded to.
	r := must(t, reg[orderV1]("map", 1))
	draft, err := r.Draft(orderV1(nil), engine.Draft{})
	if err != nil || string(draft.Data) != "null" {
		t.Fatalf("%s, %v", draft.Data, err)
	}
	if got, err := codec.As[orderV1](r, event("map", 1, "null")); err != nil || got != nil {
		t.Error(got, err)
	}
}
