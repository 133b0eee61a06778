package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// Drawn values, as decoding would return them.

func drawBytes(t *rapid.T, name string, most int) []byte {
	n := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, most)).Draw(t, name+" length")
	if n == 0 {
		return nil
	}
	b := bytes.Repeat([]byte{rapid.Byte().Draw(t, name+" byte")}, n)
	for i := range b {
		b[i] += byte(i % 251)
	}
	return b
}

func drawName(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.StringN(0, 10, 40), rapid.StringN(0, 255, 255)).Draw(t, name)
}

func draw16(t *rapid.T, name string) [16]byte {
	return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))
}

func drawHash(t *rapid.T, name string) chain.Hash {
	return chain.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
}

func drawEvent(t *rapid.T) record.Event {
	e := record.Event{
		Hash: drawHash(t, "hash"), ID: draw16(t, "id"), Version: rapid.Uint64().Draw(t, "version"),
		Stream: drawName(t, "stream"), Type: drawName(t, "type"),
	}
	e.Correlation = e.ID
	maybe := func(name string, set func()) {
		if rapid.Bool().Draw(t, "with "+name) {
			set()
		}
	}
	maybe("scope", func() { e.Scope = drawName(t, "scope") })
	maybe("cause", func() { e.CausedBy = draw16(t, "cause") })
	maybe("correlation", func() { e.Correlation = draw16(t, "correlation") })
	maybe("lane", func() { e.Lane, e.Depth = rapid.Uint32().Draw(t, "lane"), rapid.Uint32().Draw(t, "depth") })
	maybe("flags", func() { e.Flags = rapid.Uint32().Draw(t, "flags") })
	maybe("payload version", func() { e.PayloadVersion = rapid.Uint32().Draw(t, "payload version") })
	maybe("key", func() { e.Key = drawName(t, "key") })
	maybe("extensions", func() { e.Extensions = drawBytes(t, "extensions", 7000) })
	maybe("erasable", func() { e.Erasable = true })
	maybe("erased", func() { e.Erased, e.ContentHash = true, drawHash(t, "content hash") })
	if !e.Erased {
		if e.Erasable {
			e.Salt = draw16(t, "salt")
		}
		e.Metadata = drawBytes(t, "metadata", 5000)
		e.Payload = drawBytes(t, "payload", 9000)
	}
	return e
}

func drawBatch(t *rapid.T) testBatch {
	b := testBatch{mark: record.Mark{
		Session: record.Session(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "session")), Sequence: rapid.Uint64().Draw(t, "sequence"),
		Batch: rapid.Uint64().Draw(t, "batch"), Time: rapid.Int64().Draw(t, "time"), Synced: rapid.Uint64().Draw(t, "synced"),
	}}
	b.mark.Clock = b.mark.Time
	if rapid.Bool().Draw(t, "with clock") {
		b.mark.Clock = rapid.Int64().Draw(t, "clock")
	}
	b.events = rapid.SliceOfN(rapid.Custom(drawEvent), 0, 4).Draw(t, "events")
	for range rapid.IntRange(0, 2).Draw(t, "notes") {
		b.notes = append(b.notes, append([]byte{0}, drawBytes(t, "note", 5000)...))
	}
	b.head = drawHash(t, "head")
	return b
}

func drawOffset(t *rapid.T, name string) int64 {
	return 8 * rapid.Int64Range(0, 1<<60-1).Draw(t, name)
}

// TestEventRoundTrip: a record has the announced size, is what the naive
// encoder makes of the event, and decodes to the same event.
func TestEventRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		encoded := e.AppendRecord([]byte("kept"))
		sameBytes(t, encoded, append([]byte("kept"), joined(naiveRecord(&e))...))
		encoded = encoded[4:]
		if e.RecordSize() != len(encoded) {
			t.Fatalf("RecordSize is %d, the record has %d bytes", e.RecordSize(), len(encoded))
		}
		before := bytes.Clone(encoded)
		decoded, err := record.DecodeEvent(encoded)
		if err != nil || !reflect.DeepEqual(decoded, e) {
			t.Fatalf("decoded %+v, %v, want %+v", decoded, err, e)
		}
		for _, field := range [][]byte{decoded.Extensions, decoded.Metadata, decoded.Payload} {
			if cap(field) != len(field) {
				t.Fatalf("a decoded field of %d bytes has room for %d: an append would write over the next", len(field), cap(field))
			}
		}
		if !bytes.Equal(encoded, before) {
			t.Fatal("decoding changed its input")
		}
	})
}

// TestErasedContentIsNotWritten: what an erased event still holds in memory
// does not get to the disk.
func TestErasedContentIsNotWritten(t *testing.T) {
	e := fullEvent(1)
	e.Erased, e.ContentHash = true, chain.Hash{7}
	encoded := e.AppendRecord(nil)
	for name, secret := range map[string][]byte{"payload": e.Payload, "metadata": e.Metadata, "salt": e.Salt[:]} {
		if bytes.Contains(encoded, secret) {
			t.Errorf("the record of an erased event holds its %s", name)
		}
	}
	want := e
	want.Salt, want.Metadata, want.Payload = [16]byte{}, nil, nil
	if decoded, err := record.DecodeEvent(encoded); err != nil || !reflect.DeepEqual(decoded, want) {
		t.Errorf("decoded %+v, %v, want %+v", decoded, err, want)
	}
	if e.RecordSize() != len(encoded) {
		t.Errorf("RecordSize is %d, the record has %d bytes", e.RecordSize(), len(encoded))
	}
}

// TestBatchRoundTrip: a batch is what the naive encoder makes of it, wherever it
// stands and whatever was in the buffer; it is read back frame by frame, item
// by item, and after it was moved.
func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		seed, offset := record.Seed(draw16(t, "seed")), drawOffset(t, "offset")
		place := record.NewPlace(seed)
		naive := naiveBatch(&b.mark, b.events, b.notes, b.head)
		want := placed(naive, seed, offset)

		sizes := []int{}
		for i := range b.events {
			sizes = append(sizes, b.events[i].RecordSize())
		}
		for _, note := range b.notes {
			sizes = append(sizes, len(note))
		}
		total := record.BeginSize(&b.mark) + record.CommitSize
		for _, size := range sizes {
			total += record.ItemSize(int64(size))
		}
		if total != int64(len(want)) {
			t.Fatalf("BeginSize, ItemSize and CommitSize give %d, want %d", total, len(want))
		}
		prefix := rapid.IntRange(0, 9).Draw(t, "prefix")
		dirty := bytes.Repeat([]byte{0xdd}, prefix+len(want))
		positions := make([]int32, len(sizes))
		encoded := record.AppendBatchNotes(dirty[:prefix], place, offset, &b.mark, b.events, b.notes, b.head, positions)[prefix:]
		sameBytes(t, encoded, want)
		if err := record.CheckBatch(encoded, place, offset); err != nil {
			t.Fatalf("CheckBatch: %v", err)
		}

		mark, ok := record.ParseMark(encoded, place, offset)
		wantMark := b.mark
		wantMark.Kind, wantMark.Events, wantMark.Notes = record.KindBegin, uint32(len(b.events)), uint16(len(b.notes))
		if mark.Clock != mark.Time {
			wantMark.Flags |= record.FlagClock
		}
		wantMark.Distance, wantMark.Size = uint32(len(want)), naive[0].size()
		if !ok || mark != wantMark {
			t.Fatalf("BEGIN is %+v, %v, want %+v", mark, ok, wantMark)
		}
		if size := record.BeginSize(&b.mark); size != int64(mark.Size) {
			t.Fatalf("BeginSize is %d, want %d", size, mark.Size)
		}

		at := mark.Size
		for i := range sizes {
			if positions[i] != int32(at) {
				t.Fatalf("position %d is %d, want %d", i, positions[i], at)
			}
			item, err := record.ReadItem(encoded[at:], place, offset+int64(at), []byte("kept"))
			if err != nil || item.Session != b.mark.Session || int64(item.Size) != record.ItemSize(int64(sizes[i])) {
				t.Fatalf("item %d is %+v, %v", i, item, err)
			}
			if i < len(b.events) {
				event, err := record.DecodeEvent(item.Record)
				if item.Kind != record.KindEvent || int(item.Index) != i || err != nil || !reflect.DeepEqual(event, b.events[i]) {
					t.Fatalf("event %d is kind %d, index %d, %+v, %v, want %+v", i, item.Kind, item.Index, event, err, b.events[i])
				}
			} else if note := i - len(b.events); item.Kind != record.KindNote || int(item.Index) != note || !bytes.Equal(item.Record, b.notes[note]) {
				t.Fatalf("note %d is %+v, want %x", note, item, b.notes[note])
			}
			at += item.Size
		}
		commit, ok := record.ParseFrame(encoded[at:], place, offset+int64(at))
		if !ok || commit.Kind != record.KindCommit || commit.Batch != b.mark.Batch || !bytes.Equal(encoded[at+record.HeaderSize:], b.head[:]) {
			t.Fatalf("COMMIT is %+v, %v, %x, want batch %d, %x", commit, ok, encoded[at:], b.mark.Batch, b.head)
		}

		newSeed, newOffset := record.Seed(draw16(t, "new seed")), drawOffset(t, "new offset")
		if err := record.Relocate(encoded, place, offset, record.NewPlace(newSeed), newOffset); err != nil {
			t.Fatalf("Relocate: %v", err)
		}
		sameBytes(t, encoded, placed(naive, newSeed, newOffset))
	})
}

func TestEndRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawBatch(t).mark
		m.Clock, m.Rotated = m.Time, rapid.Bool().Draw(t, "rotated")
		seed, offset := record.Seed(draw16(t, "seed")), drawOffset(t, "offset")
		encoded := record.AppendEnd(nil, record.NewPlace(seed), offset, &m)
		sameBytes(t, encoded, placed(naiveEnd(&m), seed, offset))
		parsed, ok := record.ParseMark(encoded, record.NewPlace(seed), offset)
		want := m
		want.Kind, want.Distance, want.Size = record.KindEnd, record.EndSize, record.EndSize
		if m.Rotated {
			want.Flags = record.FlagRotated
		}
		if !ok || parsed != want {
			t.Fatalf("END is %+v, %v, want %+v", parsed, ok, want)
		}
	})
}

func TestSegmentHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := record.SegmentHeader{
			LogID: draw16(t, "log id"), Seed: draw16(t, "seed"), Number: rapid.Uint64().Draw(t, "number"),
			Align:       rapid.SampledFrom([]uint32{0, 4096}).Draw(t, "align"),
			PreviousEnd: rapid.Uint64().Draw(t, "previous end"), PreviousHead: drawHash(t, "previous head"),
			PreviousBatch: rapid.Uint64().Draw(t, "previous batch"), PreviousSequence: rapid.Uint64().Draw(t, "previous sequence"),
			PreviousTime: rapid.Int64().Draw(t, "previous time"), Carried: rapid.Uint32().Draw(t, "carried"), Synced: rapid.Bool().Draw(t, "synced"),
			ReadCompatible: rapid.Uint32().Draw(t, "read-compatible"), Compatible: rapid.Uint32().Draw(t, "compatible"),
		}
		encoded := h.Append(nil)
		block := append(joined(segmentFields(&h)), make([]byte, 4096-144)...)
		sameBytes(t, encoded, append(block, block...))
		for _, copy := range [][]byte{encoded, encoded[4096:], encoded[:144], encoded[4096 : 4096+144]} {
			if parsed, err := record.ParseSegmentHeader(copy); err != nil || parsed != h {
				t.Fatalf("parsed %+v, %v, want %+v", parsed, err, h)
			}
		}
		if h.Writable() != (h.ReadCompatible == 0) {
			t.Fatalf("Writable is %v with read-compatible bits %#x", h.Writable(), h.ReadCompatible)
		}
	})
}

func TestExtensionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		extensions := rapid.MapOfN(rapid.StringN(0, 6, 200), rapid.SliceOfN(rapid.Byte(), 0, 200), 0, 6).Draw(t, "extensions")
		encoded := record.AppendExtensions(nil, extensions)
		sameBytes(t, encoded, naiveExtensions(extensions))
		decoded, err := record.DecodeExtensions(encoded)
		if err != nil || len(decoded) != len(extensions) {
			t.Fatalf("decoded %v, %v, want %v", decoded, err, extensions)
		}
		for key, value := range extensions {
			if got, ok := decoded[key]; !ok || !bytes.Equal(got, value) {
				t.Fatalf("decoded %q as %x, %v, want %x", key, got, ok, value)
			}
		}
	})
}

func TestNoteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		note := record.Note{Name: rapid.StringN(1, 10, 300).Draw(t, "name"), Data: drawBytes(t, "data", 500)}
		encoded := note.AppendRecord(nil)
		sameBytes(t, encoded, joined([]field{varint("flags", 0), lengthed("name", []byte(note.Name)), {"data", note.Data}}))
		if decoded, err := record.DecodeNote(encoded); err != nil || !reflect.DeepEqual(decoded, note) {
			t.Fatalf("decoded %+v, %v, want %+v", decoded, err, note)
		}
	})
	for _, bad := range []string{"", "01", "00", "0000", "000261", "8000", "00810061"} {
		b, _ := hex.DecodeString(bad)
		var failed *record.DecodeError
		if note, err := record.DecodeNote(b); !errors.As(err, &failed) {
			t.Errorf("note %q decoded as %+v, %v, want a *DecodeError", bad, note, err)
		}
	}
}

// TestPlace compares the tables with hash/crc32 over seed and offset.
func TestPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, offset := record.Seed(draw16(t, "seed")), rapid.Int64().Draw(t, "offset")
		covered := drawBytes(t, "covered", 100)
		got := crc32.Update(record.NewPlace(seed).At(offset), crc32.MakeTable(crc32.Castagnoli), covered)
		if want := naiveCRC(seed, offset, covered); got != want {
			t.Fatalf("CRC at %d is %08x, want %08x", offset, got, want)
		}
	})
}

// padding marks the bytes of an encoded batch that are padding.
func padding(t *testing.T, b []byte, place record.Place, offset int64) []bool {
	marks := make([]bool, len(b))
	for at := 0; at < len(b); {
		frame, ok := record.ParseFrame(b[at:], place, offset+int64(at))
		if !ok {
			t.Fatalf("no frame at byte %d", at)
		}
		end := at + int(frame.Size())
		for i := at + frame.HeaderSize() + frame.Body; i < end; i++ {
			marks[i] = true
		}
		at = end
	}
	return marks
}

// TestEveryFlippedByte: one byte changed anywhere in a batch, and the frame that
// it is in no longer parses; in the padding, nothing changes.
func TestEveryFlippedByte(t *testing.T) {
	place := record.NewPlace(testSeed)
	for _, b := range testBatches() {
		encoded := b.encode(testSeed, testPlace)
		unused := padding(t, encoded, place, testPlace)
		for i := range encoded {
			for _, mask := range []byte{0x01, 0x10, 0x80, 0xff} {
				encoded[i] ^= mask
				err := record.CheckBatch(encoded, place, testPlace)
				var frame *record.FrameError
				if unused[i] != (err == nil) || err != nil && (!errors.As(err, &frame) || frame.Offset > testPlace+int64(i) || frame.Offset < testPlace+int64(i)-record.MarkSize-record.MaxBody) {
					t.Errorf("%s: byte %d, in padding: %v, changed by %#02x: CheckBatch says %v", b.name, i, unused[i], mask, err)
				}
				encoded[i] ^= mask
			}
		}
		for i, pad := range unused {
			if pad {
				encoded[i] = 0xff
			}
		}
		if err := record.CheckBatch(encoded, place, testPlace); err != nil {
			t.Errorf("%s: with other padding: %v", b.name, err)
		}
	}
	end := record.AppendEnd(nil, place, testPlace, &record.Mark{Batch: 3})
	for i := range end {
		end[i] ^= 0x40
		if mark, ok := record.ParseMark(end, place, testPlace); ok {
			t.Errorf("END with byte %d changed parses as %+v", i, mark)
		}
		end[i] ^= 0x40
	}
}

// TestEveryFlippedByteOfASegmentHeader: the zeros behind it do not count.
func TestEveryFlippedByteOfASegmentHeader(t *testing.T) {
	for _, h := range testSegments() {
		block := h.Append(nil)[:record.BlockSize]
		for i := range block {
			block[i] ^= 0x20
			parsed, err := record.ParseSegmentHeader(block)
			if i < record.SegmentHeaderSize && !errors.Is(err, record.ErrNoHeader) || i >= record.SegmentHeaderSize && (err != nil || parsed != h) {
				t.Errorf("with byte %d changed: %+v, %v", i, parsed, err)
			}
			block[i] ^= 0x20
		}
	}
}

// TestEveryCut: a batch, frame or header that ends early is none.
func TestEveryCut(t *testing.T) {
	place := record.NewPlace(testSeed)
	for _, b := range testBatches() {
		encoded := b.encode(testSeed, testPlace)
		for n := range encoded {
			if err := record.CheckBatch(encoded[:n:n], place, testPlace); err == nil {
				t.Errorf("%s: its first %d bytes pass for a batch", b.name, n)
			}
		}
		if err := record.CheckBatch(append(encoded, make([]byte, 8)...), place, testPlace); err == nil {
			t.Errorf("%s: it passes with 8 zeros behind it", b.name)
		}
		mark, _ := record.ParseMark(encoded, place, testPlace)
		for n := range record.MarkSize {
			if _, ok := record.ParseFrame(encoded[:n:n], place, testPlace); ok {
				t.Errorf("%s: %d bytes pass for a BEGIN", b.name, n)
			}
		}
		whole := mark.Size
		for whole > 0 && encoded[whole-1] == 0 {
			whole-- // at least all padding, which is not needed
		}
		for n := range whole {
			if _, ok := record.ParseMark(encoded[:n:n], place, testPlace); ok {
				t.Errorf("%s: %d bytes pass for a BEGIN with its body", b.name, n)
			}
		}
		item, err := record.ReadItem(encoded[mark.Size:], place, testPlace+int64(mark.Size), nil)
		if err != nil {
			t.Fatalf("%s: no first item: %v", b.name, err)
		}
		for n := range item.Size {
			if _, err := record.ReadItem(encoded[mark.Size:mark.Size+n:mark.Size+n], place, testPlace+int64(mark.Size), nil); err == nil {
				t.Errorf("%s: %d bytes of %d pass for the first item", b.name, n, item.Size)
			}
		}
	}
	header := testSegments()[1]
	block := header.Append(nil)
	for n := range record.SegmentHeaderSize {
		if _, err := record.ParseSegmentHeader(block[:n:n]); !errors.Is(err, record.ErrNoHeader) {
			t.Errorf("the first %d bytes of a segment header give %v, want %v", n, err, record.ErrNoHeader)
		}
	}
}

// TestReadItemChecksPieces changes each byte of an item of three frames.
func TestReadItemChecksPieces(t *testing.T) {
	place := record.NewPlace(testSeed)
	b := testBatches()[2]
	encoded := b.encode(testSeed, testPlace)
	mark, _ := record.ParseMark(encoded, place, testPlace)
	offset := testPlace + int64(mark.Size)
	unused := padding(t, encoded, place, testPlace)[mark.Size:]
	encoded = encoded[mark.Size:]
	whole, err := record.ReadItem(encoded, place, offset, nil)
	if err != nil || whole.Size <= 2*record.MaxBody {
		t.Fatalf("first item is %d bytes, %v, want three frames", whole.Size, err)
	}
	want := bytes.Clone(whole.Record)
	room := make([]byte, 0, len(want)) // used again for each
	for i := range whole.Size {
		encoded[i] ^= 0x08
		item, err := record.ReadItem(encoded, place, offset, room)
		if (err == nil) != unused[i] || err == nil && !bytes.Equal(item.Record, want) {
			t.Errorf("with byte %d changed, in padding: %v, reading the item gives %v", i, unused[i], err)
		}
		encoded[i] ^= 0x08
	}
	item, err := record.ReadItem(encoded, place, offset, encoded[record.HeaderSize:record.HeaderSize])
	if err != nil || !bytes.Equal(item.Record, want) || &item.Record[0] != &encoded[record.HeaderSize] {
		t.Errorf("moved together in its own bytes the item reads as %d bytes, %v", len(item.Record), err)
	}
}

// TestElsewhereNothingParses: no frame of a batch is one at another offset or
// under another seed, wherever that is.
func TestElsewhereNothingParses(t *testing.T) {
	place := record.NewPlace(testSeed)
	for _, b := range testBatches() {
		encoded := b.encode(testSeed, testPlace)
		for at := 0; at < len(encoded); {
			offset := testPlace + int64(at)
			frame, ok := record.ParseFrame(encoded[at:], place, offset)
			if !ok {
				t.Fatalf("%s: no frame at %d", b.name, at)
			}
			body := encoded[at+frame.HeaderSize():][:frame.Body]
			if !frame.BodyOK(body, place, offset) {
				t.Fatalf("%s: no whole body at %d", b.name, at)
			}
			for _, other := range []int64{0, offset - 8, offset + 8, offset + 4096, offset ^ 1<<31, offset + 1<<32, offset + 1<<40, offset + 1<<56, offset + 1, -offset} {
				if _, ok := record.ParseFrame(encoded[at:], place, other); ok {
					t.Errorf("%s: the frame of byte %d parses at %d", b.name, offset, other)
				}
				if frame.BodyOK(body, place, other) {
					t.Errorf("%s: the body of byte %d passes at %d", b.name, offset, other)
				}
			}
			for i := range testSeed {
				seed := testSeed
				seed[i] ^= 0x04
				if _, ok := record.ParseFrame(encoded[at:], record.NewPlace(seed), offset); ok {
					t.Errorf("%s: the frame of byte %d parses under seed %x", b.name, offset, seed)
				}
				if frame.BodyOK(body, record.NewPlace(seed), offset) {
					t.Errorf("%s: the body of byte %d passes under seed %x", b.name, offset, seed)
				}
			}
			at += int(frame.Size())
		}
	}
}

// TestRunsOfOneByte: zeros are never a frame, whatever the seed and the offset;
// nor is another byte again and again, with the seed of these tests.
func TestRunsOfOneByte(t *testing.T) {
	run := make([]byte, record.BlockSize)
	rapid.Check(t, func(t *rapid.T) {
		seed, offset := record.Seed(draw16(t, "seed")), drawOffset(t, "offset")
		if frame, ok := record.ParseFrame(run, record.NewPlace(seed), offset); ok {
			t.Fatalf("zeros at %d under seed %x parse as %+v", offset, seed, frame)
		}
	})
	if _, err := record.ParseSegmentHeader(run); !errors.Is(err, record.ErrNoHeader) {
		t.Errorf("zeros as a segment header give %v, want %v", err, record.ErrNoHeader)
	}
	place := record.NewPlace(testSeed)
	for b := range 256 {
		run := bytes.Repeat([]byte{byte(b)}, record.BlockSize)
		for offset := int64(0); offset < record.BlockSize; offset += 8 {
			if frame, ok := record.ParseFrame(run, place, offset); ok {
				t.Errorf("a run of %#02x at %d parses as %+v", b, offset, frame)
			}
		}
	}
}

// TestImpossibleHeaders: a right CRC is not enough.
func TestImpossibleHeaders(t *testing.T) {
	place := record.NewPlace(testSeed)
	two := func(a, b uint32) []field { return []field{number("", a), number("", b)} }
	mark := func(events uint32, notes uint16) []field {
		return markTail(&record.Mark{Batch: 1, Time: testTime}, events, notes)
	}
	body := func(n int) []field { return []field{{"", make([]byte, n)}} }
	for _, c := range []struct {
		name  string
		frame frame
		want  bool
	}{
		{"BEGIN of nothing", frame{kind: 1, distance: 128, tail: mark(0, 0)}, true},
		{"BEGIN of one", frame{kind: 1, distance: 168, tail: mark(1, 0)}, true},
		{"BEGIN without room for a COMMIT", frame{kind: 1, distance: 120, tail: mark(0, 0)}, false},
		{"BEGIN with more events than room", frame{kind: 1, distance: 160, tail: mark(1, 0)}, false},
		{"BEGIN with more notes than room", frame{kind: 1, distance: 160, tail: mark(0, 1)}, false},
		{"BEGIN with all events there can be", frame{kind: 1, distance: 1 << 31, tail: mark(math.MaxUint32, 65535)}, false},
		{"BEGIN with an unknown flag", frame{kind: 1, flags: 2, distance: 128, tail: mark(0, 0)}, false},
		{"BEGIN with a clock", frame{kind: 1, flags: 1, distance: 136, tail: mark(0, 0), body: body(8)}, true},
		{"BEGIN with a crooked distance", frame{kind: 1, distance: 132, tail: mark(0, 0)}, false},
		{"BEGIN that does not count its body", frame{kind: 1, flags: 1, distance: 128, tail: mark(0, 0), body: body(8)}, false},
		{"EVENT", frame{kind: 2, distance: 104, tail: two(0, 8), body: body(8)}, true},
		{"EVENT with a flag", frame{kind: 2, flags: 1, distance: 104, tail: two(0, 8), body: body(8)}, false},
		{"EVENT of nothing", frame{kind: 2, distance: 104, tail: two(0, 0)}, false},
		{"EVENT shorter than it says", frame{kind: 2, distance: 104, tail: two(0, 9), body: body(8)}, false},
		{"EVENT longer than it says", frame{kind: 2, distance: 104, tail: two(0, 7), body: body(8)}, false},
		{"EVENT without room for a COMMIT", frame{kind: 2, distance: 96, tail: two(0, 8), body: body(8)}, false},
		{"EVENT with a piece", frame{kind: 2, distance: 2080 + 40 + 64, tail: two(0, 2049), body: body(2048)}, true},
		{"EVENT without room for its piece", frame{kind: 2, distance: 2080 + 32 + 64, tail: two(0, 2049), body: body(2048)}, false},
		{"EVENT of 4 GiB", frame{kind: 2, distance: math.MaxUint32 - 7, tail: two(0, math.MaxUint32), body: body(2048)}, false},
		{"EVENT above the most", frame{kind: 2, distance: 1 << 16, tail: two(0, 2056), body: body(2056)}, false},
		{"PIECE", frame{kind: 3, distance: 104, tail: two(0, 1), body: body(8)}, true},
		{"PIECE number 0", frame{kind: 3, distance: 104, tail: two(0, 0), body: body(8)}, false},
		{"PIECE of nothing", frame{kind: 3, distance: 104, tail: two(0, 1)}, false},
		{"NOTE", frame{kind: 4, distance: 104, tail: two(0, 8), body: body(8)}, true},
		{"NOTE of nothing", frame{kind: 4, distance: 104, tail: two(0, 0)}, false},
		{"COMMIT", frame{kind: 5, distance: 64, tail: two(1, 0), body: body(32)}, true},
		{"COMMIT with a longer head", frame{kind: 5, distance: 72, tail: two(1, 0), body: body(40)}, false},
		{"COMMIT that is not the end", frame{kind: 5, distance: 72, tail: two(1, 0), body: body(32)}, false},
		{"END", frame{kind: 6, distance: 64, tail: mark(0, 0)}, true},
		{"END rotated", frame{kind: 6, flags: 1, distance: 64, tail: mark(0, 0)}, true},
		{"END with an unknown flag", frame{kind: 6, flags: 2, distance: 64, tail: mark(0, 0)}, false},
		{"END that goes on", frame{kind: 6, distance: 72, tail: mark(0, 0)}, false},
		{"END with events", frame{kind: 6, distance: 64, tail: mark(1, 0)}, false},
		{"END with notes", frame{kind: 6, distance: 64, tail: mark(0, 1)}, false},
		{"END without its zeros", frame{kind: 6, distance: 64, tail: append(mark(0, 0)[:6], number("", uint16(1)))}, false},
		{"BEGIN without its zeros", frame{kind: 1, distance: 128, tail: append(mark(0, 0)[:6], number("", uint16(1)))}, false},
		{"END with a body", frame{kind: 6, distance: 72, tail: mark(0, 0), body: body(8)}, false},
		{"kind 0", frame{kind: 0, distance: 104, tail: two(0, 8), body: body(8)}, false},
		{"kind 7", frame{kind: 7, distance: 104, tail: two(0, 8), body: body(8)}, false},
		{"kind 255", frame{kind: 255, distance: 104, tail: two(0, 8), body: body(8)}, false},
	} {
		encoded := placed([]frame{c.frame}, testSeed, testPlace)
		if parsed, ok := record.ParseFrame(encoded, place, testPlace); ok != c.want {
			t.Errorf("%s: parsed %+v, %v, want %v", c.name, parsed, ok, c.want)
		}
	}
	for _, c := range []struct {
		name  string
		flags byte
		body  []field
		want  bool
	}{
		{"clock", 1, []field{number("", int64(1))}, true},
		{"the time as the clock", 1, []field{number("", int64(testTime))}, false},
		{"half a clock", 1, []field{number("", int32(1))}, false},
		{"a clock without its flag", 0, []field{number("", int64(1))}, false},
		{"no clock", 1, nil, false},
		{"a clock and more", 1, []field{number("", int64(1)), {"", []byte{0}}}, false},
		{"an unknown flag", 2, nil, false},
		{"a clock under an unknown flag", 2, []field{number("", int64(1))}, false},
	} {
		begin := frame{kind: 1, flags: c.flags, distance: 1024, tail: mark(0, 0), body: c.body}
		encoded := placed([]frame{begin}, testSeed, testPlace)
		if parsed, ok := record.ParseMark(encoded, place, testPlace); ok != c.want {
			t.Errorf("BEGIN with %s: parsed %+v, %v, want %v", c.name, parsed, ok, c.want)
		}
	}
}

// TestImpossibleBatches: every frame is right, and yet it is no batch.
func TestImpossibleBatches(t *testing.T) {
	large := make([]byte, 5000)
	events := []record.Event{simpleEvent(1, []byte("one")), simpleEvent(2, large)}
	notes := [][]byte{{0, 1, 'a'}, {0, 1, 'b'}}
	mark := record.Mark{Session: testSession, Sequence: 1, Batch: 1, Time: testTime, Clock: testTime}
	// 0 BEGIN, 1 EVENT, 2 EVENT, 3 PIECE, 4 PIECE, 5 NOTE, 6 NOTE, 7 COMMIT
	for _, c := range []struct {
		name   string
		change func(f []frame) []frame
		reason string
	}{
		{"nothing", func(f []frame) []frame { return f }, ""},
		{"no frames", func(f []frame) []frame { return nil }, "without COMMIT"},
		{"no BEGIN", func(f []frame) []frame { return f[1:] }, "begins with BEGIN"},
		{"no COMMIT", func(f []frame) []frame { return f[:7] }, "header is not whole"},
		{"an event less", func(f []frame) []frame { return slices.Delete(f, 1, 2) }, "an event is missing"},
		{"an event twice", func(f []frame) []frame { return slices.Insert(f, 1, f[1]) }, "an event is missing"},
		{"events swapped", func(f []frame) []frame { f[1].tail[0], f[2].tail[0] = f[2].tail[0], f[1].tail[0]; return f }, "an event is missing"},
		{"a piece less", func(f []frame) []frame { return slices.Delete(f, 3, 4) }, "header is not whole"},
		{"the last piece less", func(f []frame) []frame { return slices.Delete(f, 4, 5) }, "header is not whole"},
		{"pieces swapped", func(f []frame) []frame { f[3].tail[1], f[4].tail[1] = f[4].tail[1], f[3].tail[1]; return f }, "a piece of an item is missing"},
		{"a note before the last piece", func(f []frame) []frame { return slices.Insert(f, 4, f[5]) }, "a piece of an item is missing"},
		{"COMMIT before the last piece", func(f []frame) []frame { return slices.Insert(f, 4, f[7]) }, "distance"},
		{"a piece twice", func(f []frame) []frame { return slices.Insert(f, 3, f[3]) }, "a piece of an item is missing"},
		{"a piece of another item", func(f []frame) []frame { f[4].tail[0] = number("", uint32(0)); return f }, "a piece of an item is missing"},
		{"a longer piece", func(f []frame) []frame { f[4].body = append(f[4].body, field{"", []byte{0}}); return f }, "a piece of an item is missing"},
		{"a note less", func(f []frame) []frame { return slices.Delete(f, 6, 7) }, "a note is missing"},
		{"notes swapped", func(f []frame) []frame { f[5].tail[0], f[6].tail[0] = f[6].tail[0], f[5].tail[0]; return f }, "a note is missing"},
		{"a note for an event", func(f []frame) []frame { f[1].kind = 4; return f }, "an event is missing"},
		{"an event for a note", func(f []frame) []frame { f[5].kind = 2; return f }, "a note is missing"},
		{"another session within", func(f []frame) []frame { f[2].session[0]++; return f }, "another session"},
		{"another session at the end", func(f []frame) []frame { f[7].session[0]++; return f }, "another session"},
		{"another batch's COMMIT", func(f []frame) []frame { f[7].tail = []field{number("", uint64(2))}; return f }, "COMMIT is missing"},
		{"two COMMITs", func(f []frame) []frame { return append(f, f[7]) }, "distance"},
		{"BEGIN within", func(f []frame) []frame { return slices.Insert(f, 1, f[0]) }, "an event is missing"},
	} {
		frames := c.change(naiveBatch(&mark, events, notes, chain.Hash{}))
		distance := uint32(0)
		for i := len(frames) - 1; i >= 0; i-- {
			distance += uint32(frames[i].size())
			if frames[i].kind != record.KindCommit {
				frames[i].distance = distance
			}
		}
		encoded := placed(frames, testSeed, testPlace)
		before := bytes.Clone(encoded)
		err := record.CheckBatch(encoded, record.NewPlace(testSeed), testPlace)
		if c.reason == "" && err != nil || c.reason != "" && (err == nil || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%s: CheckBatch says %v, want %q", c.name, err, c.reason)
		}
		moved := record.Relocate(encoded, record.NewPlace(testSeed), testPlace, record.NewPlace(record.Seed{1}), 8)
		if c.reason != "" && (fmt.Sprint(moved) != fmt.Sprint(err) || !bytes.Equal(encoded, before)) {
			t.Errorf("%s: Relocate says %v and changed the batch: %v", c.name, moved, !bytes.Equal(encoded, before))
		}
	}
}

func TestRelocateToACrookedOffset(t *testing.T) {
	b := testBatches()[0]
	encoded := b.encode(testSeed, testPlace)
	before := bytes.Clone(encoded)
	place := record.NewPlace(testSeed)
	if err := record.Relocate(encoded, place, testPlace, place, testPlace+4); err == nil || !bytes.Equal(encoded, before) {
		t.Errorf("Relocate to an offset that is no multiple of 8 gave %v, want an error and no change", err)
	}
}

func TestSegmentHeaderErrors(t *testing.T) {
	base := testSegments()[0]
	// build is a header with some fields other than the package writes them.
	build := func(change map[string]field, more int) []byte {
		fields := segmentFields(&base)
		for i, f := range fields {
			if other, ok := change[f.name]; ok {
				fields[i] = other
			}
		}
		b := append(joined(fields), bytes.Repeat([]byte{0xab}, max(more, 0))...)
		b = b[:len(b)+min(more, 0)]
		crc := crc32.Checksum(append(bytes.Clone(b[:8]), b[12:]...), crc32.MakeTable(crc32.Castagnoli))
		return append(append(bytes.Clone(b[:8]), number("", crc).bytes...), append(b[12:], make([]byte, 4096-len(b))...)...)
	}
	length := func(n int) field { return number("", uint16(n)) }
	for _, c := range []struct {
		name  string
		block []byte
		want  error
	}{
		{"as it is", build(nil, 0), nil},
		{"longer than this package knows", build(map[string]field{"header length": length(144 + 8)}, 8), nil},
		{"as long as can be", build(map[string]field{"header length": length(4096)}, 4096-144), nil},
		{"longer than its block", build(map[string]field{"header length": length(4097)}, 4096-144), record.ErrNoHeader},
		{"too short", build(map[string]field{"header length": length(143)}, -1), &record.HeaderError{Field: "length", Value: 143}},
		{"of nothing", build(map[string]field{"header length": length(15)}, 0), record.ErrNoHeader},
		{"major 2", build(map[string]field{"major": number("", uint16(2))}, 0), &record.MajorError{Major: 2}},
		{"major 2 and short", build(map[string]field{"major": number("", uint16(2)), "header length": length(16)}, -128), &record.MajorError{Major: 2}},
		{"major 0", build(map[string]field{"major": number("", uint16(0))}, 0), &record.MajorError{Major: 0}},
		{"unknown features", build(map[string]field{"incompatible": number("", uint32(0x80000001))}, 0), &record.FeatureError{Incompatible: 0x80000001}},
		{"unknown features that do not hurt", build(map[string]field{"compatible": number("", uint32(0xffffffff)), "read-compatible": number("", uint32(1))}, 0), nil},
		{"another align", build(map[string]field{"align": number("", uint32(512))}, 0), &record.HeaderError{Field: "align", Value: 512}},
		{"unknown flags", build(map[string]field{"flags": number("", uint32(2))}, 0), &record.HeaderError{Field: "flags", Value: 2}},
		{"another magic", build(map[string]field{"magic": {"", []byte("\x89untornx")}}, 0), record.ErrNoHeader},
	} {
		h, err := record.ParseSegmentHeader(c.block)
		if !reflect.DeepEqual(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Errorf("%s: the error says nothing", c.name)
		}
		var feature *record.FeatureError
		if (err == nil || errors.As(err, &feature)) && (h.LogID != base.LogID || h.Number != base.Number) {
			t.Errorf("%s: parsed %+v", c.name, h)
		}
	}
	major := build(map[string]field{"major": number("", uint16(2))}, 0)
	major[20] ^= 1
	if _, err := record.ParseSegmentHeader(major); !errors.Is(err, record.ErrNoHeader) {
		t.Errorf("a version under a wrong CRC gives %v, want %v", err, record.ErrNoHeader)
	}
}

// TestBadRecords: a record that is cut, or not in its only encoding.
func TestBadRecords(t *testing.T) {
	for _, e := range []record.Event{simpleEvent(1, nil), fullEvent(1)} {
		e.Payload = nil
		for _, erased := range []bool{false, true} {
			e.Erased = erased
			whole := e.AppendRecord(nil)
			for n := range whole {
				var failed *record.DecodeError
				if got, err := record.DecodeEvent(whole[:n:n]); !errors.As(err, &failed) || failed.Offset > n {
					t.Errorf("the first %d bytes of %x decode as %+v, %v, want a *DecodeError", n, whole, got, err)
				}
			}
			if erased {
				if got, err := record.DecodeEvent(append(whole, 'x')); err == nil {
					t.Errorf("an erased record with a payload decodes as %+v", got)
				}
			}
		}
	}
	full := fullEvent(1)
	index := map[string]int{}
	for i, f := range naiveRecord(&full) {
		index[f.name] = i
	}
	with := func(name string, bytes ...byte) []byte {
		fields := naiveRecord(&full)
		fields[index[name]].bytes = bytes
		return joined(fields)
	}
	id, none := full.ID, uuid.Nil
	lanes := naiveRecord(&full)
	lanes[index["lane"]].bytes, lanes[index["depth"]].bytes = []byte{0}, []byte{0}
	for _, c := range []struct {
		name   string
		record []byte
		field  string
	}{
		{"unknown flag", with("presence flags", 0xff, 0x1b), "presence flags"},
		{"unknown high flag", with("presence flags", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "presence flags"},
		{"flags of 65 bits", with("presence flags", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03), "presence flags"},
		{"long flags", with("presence flags", 0xff, 0x8b, 0x00), "presence flags"},
		{"long version", with("version", 0x81, 0x00), "version"},
		{"long stream", with("stream", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "stream"},
		{"long type", with("type", 0xff, 0x7f), "type"},
		{"empty scope", with("scope", 0), "scope"},
		{"zero cause", with("caused by", none[:]...), "causation"},
		{"the id as correlation", with("correlation", id[:]...), "correlation"},
		{"zero lane and depth", joined(lanes), "lane"},
		{"lane of 33 bits", with("lane", 0xff, 0xff, 0xff, 0xff, 0x1f), "lane"},
		{"no user flags", with("user flags", 0), "user flags"},
		{"user flags of 33 bits", with("user flags", 0xff, 0xff, 0xff, 0xff, 0x1f), "user flags"},
		{"no payload version", with("payload version", 0), "payload version"},
		{"empty key", with("key", 0), "key"},
		{"empty extensions", with("extensions", 0), "extensions"},
		{"empty metadata", with("metadata", 0), "metadata"},
		{"metadata longer than the record", with("metadata", 100), "metadata"},
	} {
		var failed *record.DecodeError
		got, err := record.DecodeEvent(c.record)
		if !errors.As(err, &failed) || failed.Field != c.field {
			t.Errorf("%s: decoded %+v, %v, want a *DecodeError of %s", c.name, got, err, c.field)
		}
	}
	_, err := record.DecodeEvent(with("key", 0))
	if want := "key at byte 118 is empty, though its flag is set"; err == nil || err.Error() != want {
		t.Errorf("the error for an empty key is %q, want %q", err, want)
	}
	if _, err := record.DecodeEvent(with("payload")); err != nil {
		t.Errorf("no payload: %v", err)
	}
}

func TestBadExtensions(t *testing.T) {
	for name, bad := range map[string]string{
		"same key twice":   "016100" + "016100",
		"keys fall":        "016200" + "016100",
		"empty key second": "016100" + "0000",
		"cut key":          "02" + "61",
		"cut value":        "0161" + "0261",
		"no value":         "0161",
		"long length":      "8100" + "6100",
		"huge length":      "ffffffffffffffffff01",
	} {
		b, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatal(err)
		}
		var failed *record.DecodeError
		if got, err := record.DecodeExtensions(b); !errors.As(err, &failed) {
			t.Errorf("%s: decoded %q, %v, want a *DecodeError", name, got, err)
		}
	}
	if got, err := record.DecodeExtensions([]byte{0, 0, 1, 'a', 1, 'b'}); err != nil || len(got) != 2 || string(got["a"]) != "b" {
		t.Errorf("an empty first key: %q, %v", got, err)
	}
}

func TestFaultsOfTheCallerPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"offset": func() { encodeMark(&record.Mark{}, 4) },
		"notes": func() {
			record.AppendBatchNotes(nil, record.Place{}, 0, &record.Mark{}, nil, make([][]byte, 65536), chain.Hash{}, nil)
		},
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "internal error") {
					t.Errorf("%s: got %q, want an internal error", name, text)
				}
			}()
			f()
		}()
	}
}

func encodeMark(m *record.Mark, offset int64) []byte {
	return record.AppendBatch(nil, record.Place{}, offset, m, nil, chain.Hash{}, nil)
}

func TestKindNames(t *testing.T) {
	want := []string{"?", "BEGIN", "EVENT", "PIECE", "NOTE", "COMMIT", "END", "?"}
	for kind, name := range want {
		if got := record.KindName(byte(kind)); got != name {
			t.Errorf("kind %d is %q, want %q", kind, got, name)
		}
	}
}
