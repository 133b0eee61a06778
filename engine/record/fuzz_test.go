package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// FuzzDecodeEvent: what decodes is encoded to the same bytes.
func FuzzDecodeEvent(f *testing.F) {
	for _, b := range testBatches() {
		for i := range b.events {
			f.Add(b.events[i].AppendRecord(nil))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		event, err := record.DecodeEvent(input)
		if err != nil {
			var failed *record.DecodeError
			if !errors.As(err, &failed) || failed.Offset < 0 || failed.Offset > len(input) {
				t.Fatalf("error %v, want a *DecodeError within the %d bytes", err, len(input))
			}
			return
		}
		if held := len(event.Scope) + len(event.Stream) + len(event.Type) + len(event.Key) +
			len(event.Extensions) + len(event.Metadata) + len(event.Payload); held > len(input) {
			t.Fatalf("%d bytes decode to fields of %d", len(input), held)
		}
		if size := event.RecordSize(); size != len(input) {
			t.Fatalf("RecordSize is %d, the record has %d bytes", size, len(input))
		}
		if again := event.AppendRecord(nil); !bytes.Equal(again, input) {
			t.Fatalf("encoded again it is %x, was %x", again, input)
		}
	})
}

// FuzzDecodeCanonical: what decodes is encoded to the same bytes.
func FuzzDecodeCanonical(f *testing.F) {
	for _, b := range testBatches() {
		for i := range b.events {
			f.Add(record.AppendCanonical(nil, &b.events[i], b.mark.Sequence, b.mark.Time, b.mark.Clock, b.head))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		header, err := record.DecodeCanonical(input)
		if err != nil {
			var failed *record.DecodeError
			if !errors.As(err, &failed) || failed.Offset < 0 || failed.Offset > len(input) {
				t.Fatalf("error %v, want a *DecodeError within the %d bytes", err, len(input))
			}
			return
		}
		if again := header.Append(nil); !bytes.Equal(again, input) {
			t.Fatalf("encoded again it is %x, was %x", again, input)
		}
	})
}

// FuzzDecodeExtensions: what decodes is encoded to the same bytes.
func FuzzDecodeExtensions(f *testing.F) {
	f.Add([]byte{})
	f.Add(fullEvent(1).Extensions)
	f.Fuzz(func(t *testing.T, input []byte) {
		extensions, err := record.DecodeExtensions(input)
		if err != nil {
			var failed *record.DecodeError
			if !errors.As(err, &failed) {
				t.Fatalf("error %v, want a *DecodeError", err)
			}
			return
		}
		if again := record.AppendExtensions(nil, extensions); !bytes.Equal(again, input) {
			t.Fatalf("encoded again it is %x, was %x", again, input)
		}
	})
}

// FuzzParseFrame: nothing parses under a wrong CRC; under a right one, which the
// test writes, a frame stays within its distance, and its fields are those that
// the bytes say.
func FuzzParseFrame(f *testing.F) {
	for _, b := range testBatches() {
		encoded := b.encode(testSeed, testPlace)
		place := record.NewPlace(testSeed)
		for at := 0; at < len(encoded); {
			frame, ok := record.ParseFrame(encoded[at:], place, testPlace+int64(at))
			if !ok {
				f.Fatal("a seed does not parse")
			}
			f.Add(encoded[at:at+int(frame.Size())], testPlace+int64(at))
			at += int(frame.Size())
		}
	}
	f.Add(record.AppendEnd(nil, record.NewPlace(testSeed), testPlace, &record.Mark{Rotated: true}), int64(testPlace))
	f.Add(make([]byte, 64), int64(0))
	f.Fuzz(func(t *testing.T, input []byte, offset int64) {
		place := record.NewPlace(testSeed)
		frame, ok := record.ParseFrame(input, place, offset)
		if len(input) < record.HeaderSize {
			if ok {
				t.Fatalf("%d bytes parse as %+v", len(input), frame)
			}
			return
		}
		header := record.HeaderBytes(input[8])
		if header > len(input) {
			if ok {
				t.Fatalf("%d bytes parse as %+v", len(input), frame)
			}
			return
		}
		right := naiveCRC(testSeed, offset, input[4:header])
		if ok && right != binary.LittleEndian.Uint32(input) {
			t.Fatalf("%x at %d parses as %+v under a wrong CRC", input[:header], offset, frame)
		}
		fixed := bytes.Clone(input)
		binary.LittleEndian.PutUint32(fixed, right)
		frame, ok = record.ParseFrame(fixed, place, offset)
		if !ok {
			record.ParseMark(fixed, place, offset)
			_, _ = record.ReadItem(fixed, place, offset, nil)
			return
		}
		if offset%8 != 0 || frame.Kind == 0 || frame.Kind > 6 || frame.Body > record.MaxBody || frame.Size()%8 != 0 ||
			frame.Size() < int64(header+frame.Body) || int64(frame.Distance) < frame.Size() {
			t.Fatalf("%x at %d parses as %+v", fixed[:header], offset, frame)
		}
		if frame.Kind != fixed[8] || frame.Flags != fixed[9] || frame.Body != int(binary.LittleEndian.Uint16(fixed[10:])) ||
			frame.Distance != binary.LittleEndian.Uint32(fixed[12:]) || !bytes.Equal(frame.Session[:], fixed[16:24]) {
			t.Fatalf("%x parses as %+v", fixed[:header], frame)
		}
		if len(fixed) < header+frame.Body {
			return
		}
		body := fixed[header : header+frame.Body]
		right = naiveCRC(testSeed, offset, body)
		if frame.BodyOK(body, place, offset) != (right == binary.LittleEndian.Uint32(fixed[4:])) {
			t.Fatalf("a body with CRC %08x is called %v", right, frame.BodyOK(body, place, offset))
		}
		binary.LittleEndian.PutUint32(fixed[4:], right)
		binary.LittleEndian.PutUint32(fixed, naiveCRC(testSeed, offset, fixed[4:header]))
		mark, ok := record.ParseMark(fixed, place, offset)
		switch {
		case !ok:
		case mark.Kind == record.KindEnd:
			if again := record.AppendEnd(nil, place, offset, &mark); !bytes.Equal(again, fixed[:header]) {
				t.Fatalf("encoded again it is %x, was %x", again, fixed[:header])
			}
		default:
			again := record.AppendBatch(nil, place, offset, &mark, nil, chain.Hash{}, nil)
			if !bytes.Equal(again[header:header+frame.Body], body) || !bytes.Equal(again[24:56], fixed[24:56]) {
				t.Fatalf("encoded again it is %x, was %x", again, fixed[:header+frame.Body])
			}
		}
		if item, err := record.ReadItem(fixed, place, offset, nil); err == nil && frame.B <= record.MaxBody && !bytes.Equal(item.Record, body) {
			t.Fatalf("the item reads as %x, its body is %x", item.Record, body)
		}
	})
}

// FuzzParseSegmentHeader: nothing parses under a wrong CRC; under a right one,
// what parses is encoded to a header that parses to the same.
func FuzzParseSegmentHeader(f *testing.F) {
	for _, h := range testSegments() {
		f.Add(h.Append(nil)[:record.SegmentHeaderSize+8])
	}
	f.Add(make([]byte, record.SegmentHeaderSize))
	f.Fuzz(func(t *testing.T, input []byte) {
		_, err := record.ParseSegmentHeader(input)
		if len(input) < 16 {
			if !errors.Is(err, record.ErrNoHeader) {
				t.Fatalf("%d bytes give %v, want %v", len(input), err, record.ErrNoHeader)
			}
			return
		}
		fixed := bytes.Clone(input)
		copy(fixed, record.Magic)
		length := int(binary.LittleEndian.Uint16(fixed[12:]))
		if length < 16 || length > len(fixed) || length > record.BlockSize {
			if !errors.Is(err, record.ErrNoHeader) {
				t.Fatalf("a header of %d bytes in %d gives %v, want %v", length, len(input), err, record.ErrNoHeader)
			}
			return
		}
		right := crc32.Checksum(append(bytes.Clone(fixed[:8]), fixed[12:length]...), crc32.MakeTable(crc32.Castagnoli))
		wrong := string(input[:8]) != record.Magic || binary.LittleEndian.Uint32(input[8:]) != right
		if wrong != errors.Is(err, record.ErrNoHeader) {
			t.Fatalf("CRC and magic wrong: %v, error %v", wrong, err)
		}
		binary.LittleEndian.PutUint32(fixed[8:], right)
		h, err := record.ParseSegmentHeader(fixed)
		if err != nil {
			if errors.Is(err, record.ErrNoHeader) {
				t.Fatalf("%x gives %v under a right CRC", fixed[:length], err)
			}
			return
		}
		if again, err := record.ParseSegmentHeader(h.Append(nil)); err != nil || again != h {
			t.Fatalf("encoded again it is %+v, %v, was %+v", again, err, h)
		}
	})
}
