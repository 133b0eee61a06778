package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// header is everything that a canonical header says.
type header struct {
	Event       record.Event // without Hash, Salt, Erased, ContentHash, Metadata, Payload
	Sequence    uint64
	Time, Clock int64
	Content     chain.Hash
}

// readCanonical reads a canonical header as FORMAT.md draws it. That it can be
// read proves that no two events have the same one.
func readCanonical(t *rapid.T, b []byte) header {
	var h header
	take := func(n uint64) []byte {
		if uint64(len(b)) < n {
			t.Fatalf("the canonical header ends %d bytes too early", n-uint64(len(b)))
		}
		taken := b[:n]
		b = b[n:]
		return taken
	}
	varint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("no uvarint in %x", b)
		}
		take(uint64(n))
		return v
	}
	text := func() string { return string(take(varint())) }
	h.Content = chain.Hash(take(32))
	e := &h.Event
	e.ID = uuid.UUID(take(16))
	h.Sequence = binary.LittleEndian.Uint64(take(8))
	h.Time = int64(binary.LittleEndian.Uint64(take(8)))
	flags := varint()
	has := func(bit int) bool { return flags>>bit&1 == 1 }
	e.Version = varint()
	e.Stream, e.Type = text(), text()
	if has(0) {
		e.Scope = text()
	}
	if has(1) {
		e.CausedBy = uuid.UUID(take(16))
	}
	e.Correlation = e.ID
	if has(2) {
		e.Correlation = uuid.UUID(take(16))
	}
	if has(3) {
		e.Lane, e.Depth = uint32(varint()), uint32(varint())
	}
	if has(4) {
		e.Flags = uint32(varint())
	}
	if has(5) {
		e.PayloadVersion = uint32(varint())
	}
	if has(6) {
		e.Key = text()
	}
	if has(7) {
		e.Extensions = take(varint())
	}
	e.Erasable = has(8)
	h.Clock = h.Time
	if has(11) {
		h.Clock = int64(binary.LittleEndian.Uint64(take(8)))
	}
	if flags&^0x9ff != 0 || len(b) != 0 {
		t.Fatalf("flags %#x, %d bytes left", flags, len(b))
	}
	return h
}

// TestCanonicalIsInjective: what was put into a canonical header can be read out
// of it again, all of it.
func TestCanonicalIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		want := header{Event: e, Sequence: rapid.Uint64().Draw(t, "sequence"), Time: rapid.Int64().Draw(t, "time"), Content: drawHash(t, "content")}
		want.Clock = want.Time
		if rapid.Bool().Draw(t, "with clock") {
			want.Clock = rapid.Int64().Draw(t, "clock")
		}
		encoded := record.AppendCanonical([]byte("kept"), &e, want.Sequence, want.Time, want.Clock, want.Content)
		sameBytes(t, encoded, append([]byte("kept"), naiveCanonical(&e, want.Sequence, want.Time, want.Clock, want.Content)...))
		w := &want.Event
		w.Hash, w.Salt, w.Erased, w.ContentHash, w.Metadata, w.Payload = chain.Hash{}, [16]byte{}, false, chain.Hash{}, nil, nil
		if got := readCanonical(t, encoded[4:]); !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, want %+v", got, want)
		}
		given := bytes.Clone(encoded[4:])
		decoded, err := record.DecodeCanonical(encoded[4:])
		if err != nil || !reflect.DeepEqual(header(decoded), want) {
			t.Fatalf("decoded %+v, %v, want %+v", decoded, err, want)
		}
		if !bytes.Equal(given, encoded[4:]) {
			t.Fatal("decoding changed its input")
		}
		sameBytes(t, decoded.Append(nil), given)
		for cut := range given {
			if _, err := record.DecodeCanonical(given[:cut]); err == nil {
				t.Fatalf("%d of %d bytes decode", cut, len(given))
			}
		}
	})
}

// TestDecodeCanonicalRefuses has what AppendCanonical never writes, a field at a time.
func TestDecodeCanonicalRefuses(t *testing.T) {
	simple, full := simpleEvent(1, nil), fullEvent(1)
	short := record.AppendCanonical(nil, &simple, 1, testTime, testTime, chain.Hash{})
	clock := record.AppendCanonical(nil, &simple, 1, testTime, testTime-1, chain.Hash{})
	all := record.AppendCanonical(nil, &full, 1, testTime, testTime-1, chain.Hash{})
	const flags = 32 + 16 + 8 + 8
	with := func(b []byte, at int, replaced int, by ...byte) []byte {
		return append(append(bytes.Clone(b[:at]), by...), b[at+replaced:]...)
	}
	for _, c := range []struct {
		name   string
		header []byte
		want   string
	}{
		{"as it should be", short, ""},
		{"all there is", all, ""},
		{"nothing", nil, "content hash at byte 0 is cut short"},
		{"a byte behind", append(bytes.Clone(short), 0), "end at byte 88 is not there: bytes follow"},
		{"flags of an erased record", with(short, flags, 1, 0x80, 4), "presence flags at byte 64 is of content, which a header has not"},
		{"flags of metadata", with(short, flags, 1, 0x80, 8), "presence flags at byte 64 is of content, which a header has not"},
		{"a flag that there is not", with(short, flags, 1, 0x80, 0x20), "presence flags at byte 64 is too large"},
		{"flags too long", with(short, flags, 1, 0x80, 0), "presence flags at byte 64 is cut short or not the shortest uvarint"},
		{"an empty scope", append(with(short, flags, 1, 1), 0), "scope at byte 88 is empty, though its flag is set"},
		{"no cause", append(with(short, flags, 1, 2), make([]byte, 16)...), "causation at byte 88 is zero, though its flag is set"},
		{"the clock says the time", append(bytes.Clone(clock[:len(clock)-8]), clock[48+8:48+16]...), "clock at byte 89 is the time, though its flag is set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := record.DecodeCanonical(c.header)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var failed *record.DecodeError
			if !errors.As(err, &failed) || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// TestCanonicalOutlivesContent: erasing changes neither header nor hash.
func TestCanonicalOutlivesContent(t *testing.T) {
	whole := fullEvent(1)
	var h chain.Hasher
	content := h.Content(whole.Salt[:], whole.Metadata, whole.Payload)
	before := record.AppendCanonical(nil, &whole, 1, 2, 3, content)
	erased := whole
	erased.Erased, erased.ContentHash = true, content
	stored, err := record.DecodeEvent(erased.AppendRecord(nil))
	if err != nil {
		t.Fatal(err)
	}
	if after := record.AppendCanonical(nil, &stored, 1, 2, 3, stored.ContentHash); !bytes.Equal(before, after) {
		t.Errorf("the canonical header was %x, erased it is %x", before, after)
	}
}

// TestHeaderIsShort: BLAKE3 works in blocks of 64 bytes. Two of them do for an event
// whose names have 58 bytes, three for almost all.
func TestHeaderIsShort(t *testing.T) {
	const most = 2*64 - 58
	e := simpleEvent(1, []byte("x"))
	e.Version = 1_000_000
	e.Stream = "order-0190163d-8694-739b-aea5-966c26f8ad91"
	e.Type = "order.item.added.v2"
	names := len(e.Stream) + len(e.Type)
	n := len(record.AppendCanonical(nil, &e, 1<<40, testTime, testTime, chain.Hash{}))
	t.Logf("the header of an event with names of %d bytes has %d bytes", names, n)
	if n > most+names {
		t.Errorf("it has %d bytes besides its names, want at most %d", n-names, most)
	}
}
