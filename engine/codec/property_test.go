package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
)

// order has fields of all kinds that JSON brings back as they were.
type order struct {
	ID    uint64
	Price float64
	Note  string
	Paid  bool
	Lines []line
	Tags  map[string]int32
	Photo []byte
	Next  *order
	Any   any
}

type line struct {
	Name  string `json:"name"`
	Count int8   `json:"count,omitempty"`
}

// orderV1 is a payload of which nothing is known but that it is an object.
type orderV1 map[string]json.RawMessage

// indexed is a codec that trusts its bytes.
type indexed struct{}

type short struct{ First, Last byte }

func (indexed) Encode(value any) ([]byte, error) {
	s := value.(*short)
	return []byte{s.First, s.Last}, nil
}

func (indexed) Decode(data []byte, value any) error {
	*value.(*short) = short{First: data[0], Last: data[1]}
	return nil
}

func wild(t testing.TB) *codec.Registry {
	return must(t,
		reg[order]("order", 2),
		up("order", 1, func(old orderV1) (order, error) { return order{Note: string(old["note"][1:])}, nil }), // trusts, too
		regWith[short]("short", 0, indexed{}),
		regWith[*line]("line", 1, codec.JSON{IgnoreUnknown: true}),
	)
}

// Whatever a log holds: Decode says so or gives a value, which can be encoded and
// comes back.
func FuzzDecode(f *testing.F) {
	f.Add("order", uint32(2), []byte(`{"ID":1,"Price":-0.0,"Note":"\ud800","Lines":[{"name":"x"}],"Tags":{"a":1},"Photo":"AA==","Next":{},"Any":[1e400,{}]}`))
	f.Add("order", uint32(1), []byte(`{"note":"x"}`))
	f.Add("order", uint32(1), []byte(`{}`))
	f.Add("order", uint32(3), []byte(`{}`))
	f.Add("short", uint32(0), []byte("ab"))
	f.Add("short", uint32(0), []byte("a"))
	f.Add("line", uint32(1), []byte(`{"name":"x","more":[]}`))
	f.Add("line", uint32(1), []byte(`null`))
	f.Add("line", uint32(1), []byte("\tnull "))
	f.Add("order", uint32(2), []byte(`null`))
	f.Add("unknown", uint32(1), []byte(nil))
	r := wild(f)
	f.Fuzz(func(t *testing.T, name string, version uint32, data []byte) {
		given := bytes.Clone(data)
		value, err := r.DecodeOrRaw(engine.Event{Type: name, PayloadVersion: version, Data: data})
		if err == nil && string(bytes.TrimSpace(data)) == "null" && (name == "order" && version == 2 || name == "line") {
			t.Fatalf("null is %+v", value)
		}
		if !bytes.Equal(data, given) {
			t.Fatal("the bytes of the event have changed")
		}
		if (value == nil) != (err != nil) {
			t.Fatalf("%v, %v", value, err)
		}
		raw, isRaw := value.(codec.Raw)
		if err != nil || isRaw {
			if isRaw && (raw.Type != name || raw.Version != version || !bytes.Equal(raw.Data, data)) {
				t.Fatalf("%+v", raw)
			}
			return
		}
		draft, err := r.Draft(value, engine.Draft{})
		if err != nil {
			t.Fatalf("%+v was decoded, and is not encoded: %v", value, err)
		}
		again, err := r.Decode(engine.Event{Type: draft.Type, PayloadVersion: draft.PayloadVersion, Data: draft.Data})
		if err != nil || !reflect.DeepEqual(again, value) {
			t.Fatalf("%+v came back as %+v, %v, from %q", value, again, err, draft.Data)
		}
	})
}

func drawOrder(t *rapid.T, depth int) order {
	o := order{
		ID:    rapid.Uint64().Draw(t, "id"),
		Price: rapid.Float64().Draw(t, "price"),
		Note:  rapid.String().Draw(t, "note"),
		Paid:  rapid.Bool().Draw(t, "paid"),
		Tags:  rapid.MapOf(rapid.String(), rapid.Int32()).Draw(t, "tags"),
		Photo: rapid.SliceOf(rapid.Byte()).Draw(t, "photo"),
		Any:   rapid.OneOf(rapid.Just[any](nil), rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "text") })).Draw(t, "any"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "lines") {
		o.Lines = append(o.Lines, line{Name: rapid.String().Draw(t, "name"), Count: rapid.Int8().Draw(t, "count")})
	}
	if depth > 0 && rapid.Bool().Draw(t, "next?") {
		next := drawOrder(t, depth-1)
		o.Next = &next
	}
	return o
}

// A value comes back, and equal values give equal bytes.
func TestRoundTrip(t *testing.T) {
	r := wild(t)
	rapid.Check(t, func(t *rapid.T) {
		value := drawOrder(t, 2)
		draft, err := r.Draft(value, engine.Draft{})
		if err != nil {
			t.Fatal(err)
		}
		back, err := codec.As[order](r, engine.Event{Type: draft.Type, PayloadVersion: draft.PayloadVersion, Data: draft.Data})
		if err != nil || !reflect.DeepEqual(back, value) {
			t.Fatalf("%+v came back as %+v, %v, from %q", value, back, err, draft.Data)
		}
		again, err := r.Draft(back, engine.Draft{})
		if err != nil || !bytes.Equal(again.Data, draft.Data) {
			t.Fatalf("%q, and then %q, %v", draft.Data, again.Data, err)
		}
	})
}

// Any part of a history, registered in any order, decodes the versions from which
// a way leads to the current one, and Check finds whether there are others.
func TestAnyOrder(t *testing.T) {
	steps := []func(*codec.Registry) error{
		up("a", 0, next[v0, v1]),
		up("a", 1, next[v1, v2]),
		up("a", 2, next[v2, v3]),
		reg[v3]("a", 3),
	}
	rapid.Check(t, func(t *rapid.T) {
		r := codec.New(codec.Options{})
		var has [4]bool
		for _, step := range rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "order")[:rapid.IntRange(0, 4).Draw(t, "steps")] {
			if err := steps[step](r); err != nil {
				t.Fatal(err)
			}
			has[step] = true
		}
		complete := true
		for version := range uint32(4) {
			way := true
			for _, step := range has[version:] {
				way = way && step
			}
			complete = complete && (way || !has[version])
			got, err := r.Decode(event("a", version, `{"N":5}`))
			if way {
				if want := (v3{5 + 3 - int(version)}); err != nil || got != want {
					t.Fatalf("version %d: got %v, %v, want %v", version, got, err, want)
				}
				continue
			}
			var want error
			switch {
			case has == [4]bool{}:
				want = codec.ErrUnknown
			case !has[3]:
				want = codec.ErrRegistration
			default:
				want = codec.ErrGap
			}
			if !errors.Is(err, want) {
				t.Fatalf("version %d: got %v, %v, want one that matches %q", version, got, err, want)
			}
		}
		if err := r.Check(); (err == nil) != complete {
			t.Fatalf("%s: complete is %t, and Check says %v", fmt.Sprint(has), complete, err)
		}
	})
}
