package projection_test

import (
	"encoding"
	"encoding/json"
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
	// Careful embeds a time, and has a word of its own.
	Careful struct {
		time.Time
		Total int `json:",omitempty"`
		note  string
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

func (c Careful) MarshalJSON() ([]byte, error) {
	if c.Total == 0 && c.note == "" {
		return json.Marshal(c.Time)
	}
	return json.Marshal([]any{c.Time, c.Total, c.note})
}

func (c *Careful) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return json.Unmarshal(b, &c.Time)
	}
	return json.Unmarshal(b, &[]any{&c.Time, &c.Total, &c.note})
}

func (f Forgetful) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"R":%d,"Total":%d}`, f.R, f.Total), nil
}

// TestEmbeddedMethods that encoding/json asks in place of the struct around them
// would lose what is beside them, without a word.
func TestEmbeddedMethods(t *testing.T) {
	log := opened(t, newDisk(), 0)
	refused(t, log, struct {
		Stock
		Total int
	}{}, "the state.Total, since the embedded Stock writes or reads in place of the whole struct: do not embed it, or name a Codec")
	refused(t, log, struct {
		projection.Map[string, int]
		Total int
	}{}, "the state.Total, since the embedded Map writes")
	refused(t, log, struct {
		time.Time
		Total int
	}{}, "the state.Total, since the embedded Time writes")
	refused(t, log, struct {
		*time.Time
		total int
	}{}, "the state.total, since the embedded Time writes")
	refused(t, log, struct {
		time.Time `json:"at"`
		Other     time.Time
	}{}, "the state.Other, since the embedded Time writes")
	refused(t, log, struct {
		netip.Addr // of texts
		Names      []string
	}{}, "the state.Names, since the embedded Addr writes")
	refused(t, log, struct {
		Total map[string]int
		deep
	}{}, "the state.Total, since the embedded deep writes")
	refused(t, log, struct {
		time.Time // of two that write JSON, the one that also writes text
		Stock
	}{}, "the state.Stock, since the embedded Time writes")
	refused(t, log, struct {
		Writer
		Total int
	}{}, "the state.Total, since the embedded Writer writes")
	refused(t, log, struct {
		Reader
		Total int
	}{}, "the state.Total, since the embedded Reader writes")
	refused(t, log, Forgetful{}, "the state.Total, since the embedded Reader writes")
	refused(t, log, struct {
		ByPointer
		Total int
	}{}, "the state.Total, since the embedded ByPointer writes")
	refused(t, log, struct {
		encoding.TextMarshaler
		Total int
	}{}, "the state.Total, since the embedded TextMarshaler writes")
	refused(t, log, map[string][]struct {
		time.Time
		Total int
	}{}, "the state.Total, since the embedded")
	refused(t, log, struct {
		projection.Map[string, private]
	}{}, "holds.n, since it is not exported")

	// Nothing is beside them, or they are not embedded, or the struct has its own.
	for _, restored := range []func() (uint64, error){
		func() (uint64, error) { return comesBack(t, deep{Stock{}.Set("a", 1)}) },
		func() (uint64, error) {
			return comesBack(t, struct {
				Stock Stock
				At    time.Time
				Total int
			}{Stock{}.Set("a", 1), time.Unix(1, 2).UTC(), 3})
		},
		func() (uint64, error) { return comesBack(t, Careful{time.Unix(1, 2).UTC(), 3, "n"}) },
		func() (uint64, error) { return comesBack(t, []*Careful{{time.Unix(1, 2).UTC(), 0, ""}}) },
	} {
		if at, err := restored(); at != 1 || err != nil {
			t.Errorf("restored at %d, %v", at, err)
		}
	}
}
