package projection_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine/projection"
)

type (
	Stock = projection.Map[string, int]

	// Writer has half of the methods, Reader the other half.
	Writer struct{ W int }
	Reader struct{ R int }
	// ByPointer is written and read by methods of its pointer.
	ByPointer struct{ P int }
	// Careful embeds a time, and has a word of its own. Particular has the time as a
	// field, and knows what values it takes.
	Careful struct {
		time.Time
		Total int
	}
	Particular struct {
		At    time.Time
		Total int
	}
	// Forgetful writes all, and reads a part.
	Forgetful struct {
		Reader
		Total int
	}
	deep struct{ Stock }
)

func (w Writer) MarshalJSON() ([]byte, error)     { return fmt.Appendf(nil, `{"W":%d}`, w.W), nil }
func (r *Reader) UnmarshalJSON(b []byte) error    { return json.Unmarshal(b, &struct{ R *int }{&r.R}) }
func (p *ByPointer) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"P":%d}`, p.P), nil }
func (p *ByPointer) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &struct{ P *int }{&p.P}) }

func (c Careful) MarshalJSON() ([]byte, error)     { return json.Marshal([]any{c.Time, c.Total}) }
func (c *Careful) UnmarshalJSON(b []byte) error    { return json.Unmarshal(b, &[]any{&c.Time, &c.Total}) }
func (p *Particular) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]any{&p.At, &p.Total}) }
func (p Particular) MarshalJSON() ([]byte, error) {
	if p.Total != 3 {
		return nil, errors.New("not 3")
	}
	return json.Marshal([]any{p.At, p.Total})
}

func (f Forgetful) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"R":%d,"Total":%d}`, f.R, f.Total), nil
}

// TestEmbeddedMethods that encoding/json may ask in place of the struct around them
// might lose what is beside them, without a word.
func TestEmbeddedMethods(t *testing.T) {
	log := opened(t, newDisk(), 0)
	refused(t, log, struct {
		Stock
		Total int
	}{}, "the state.Total, since the methods of the embedded Stock may stand for the whole struct: give that a name, or name a Codec")
	refused(t, log, struct {
		projection.Map[string, int]
		Total int
	}{}, "the state.Total, since the methods of the embedded Map may")
	refused(t, log, struct {
		time.Time
		Total int
	}{}, "the state.Total, since the methods of the embedded Time may")
	refused(t, log, struct {
		*time.Time
		total int
	}{}, "the state.total, since the methods of the embedded Time may")
	refused(t, log, struct {
		time.Time `json:"at"`
		Other     time.Time
	}{}, "the state.Other, since the methods of the embedded Time may")
	refused(t, log, struct {
		netip.Addr // of texts
		Names      []string
	}{}, "the state.Names, since the methods of the embedded Addr may")
	refused(t, log, struct {
		Total map[string]int
		deep
	}{}, "the state.Total, since the methods of the embedded deep may")
	refused(t, log, struct {
		time.Time // of two that write JSON, the one that also writes text
		Stock
	}{}, "the state.Stock, since the methods of the embedded Time may")
	refused(t, log, struct {
		Writer
		Total int
	}{}, "the state.Total, since the methods of the embedded Writer may")
	refused(t, log, struct {
		Reader
		Total int
	}{}, "the state.Total, since the methods of the embedded Reader may")
	refused(t, log, Careful{}, "the state.Total, since the methods of the embedded Time may")
	refused(t, log, []*Careful{}, "the state.Total, since the methods of the embedded Time may")
	refused(t, log, Forgetful{}, "the state.Total, since the methods of the embedded Reader may")
	refused(t, log, struct {
		ByPointer
		Total int
	}{}, "the state.Total, since the methods of the embedded ByPointer may")
	refused(t, log, struct {
		encoding.TextMarshaler
		Total int
	}{}, "the state.Total, since the methods of the embedded TextMarshaler may")
	refused(t, log, map[string][]struct {
		time.Time
		Total int
	}{}, "the state.Total, since the methods of the embedded")
	refused(t, log, struct {
		projection.Map[string, private]
	}{}, "holds.n, since it is not exported")

	// Nothing is beside them, or they are not embedded.
	for _, restored := range []func() (uint64, error){
		func() (uint64, error) { return comesBack(t, deep{Stock{}.Set("a", 1)}) },
		func() (uint64, error) {
			return comesBack(t, struct {
				Stock Stock
				At    time.Time
				Total int
			}{Stock{}.Set("a", 1), time.Unix(1, 2).UTC(), 3})
		},
		func() (uint64, error) { return comesBack(t, Particular{time.Unix(1, 2).UTC(), 3}) },
		func() (uint64, error) { return comesBack(t, []*Particular{{time.Unix(1, 2).UTC(), 3}}) },
	} {
		if at, err := restored(); at != 1 || err != nil {
			t.Errorf("restored at %d, %v", at, err)
		}
	}
}
