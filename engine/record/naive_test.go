package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"sort"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// A second encoder, as dumb as FORMAT.md: it knows nothing of the package but
// the structs that it is handed. It also says what each byte is.

// field is some bytes with a name.
type field struct {
	name  string
	bytes []byte
}

func number(name string, v any) field {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return field{name, b.Bytes()}
}

func varint(name string, v uint64) field {
	var b []byte
	for v > 127 {
		b = append(b, byte(v%128)+128)
		v /= 128
	}
	return field{name, append(b, byte(v))}
}

func lengthed(name string, b []byte) field {
	return field{name, append(varint("", uint64(len(b))).bytes, b...)}
}

func joined(fields []field) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, f.bytes...)
	}
	return b
}

// naiveRecord is the record of an event.
func naiveRecord(e *record.Event) []field {
	var flags uint64
	var optional []field
	add := func(bit int, present bool, fields ...field) {
		if present {
			flags += 1 << bit
			optional = append(optional, fields...)
		}
	}
	add(0, e.Scope != "", lengthed("scope", []byte(e.Scope)))
	add(1, e.CausedBy != uuid.Nil, field{"caused by", e.CausedBy[:]})
	add(2, e.Correlation != e.ID, field{"correlation", e.Correlation[:]})
	add(3, e.Lane > 0 || e.Depth > 0, varint("lane", uint64(e.Lane)), varint("depth", uint64(e.Depth)))
	add(4, e.Flags > 0, varint("user flags", uint64(e.Flags)))
	add(5, e.PayloadVersion > 0, varint("payload version", uint64(e.PayloadVersion)))
	add(6, e.Key != "", lengthed("key", []byte(e.Key)))
	add(7, len(e.Extensions) > 0, lengthed("extensions", e.Extensions))
	add(8, e.Erasable)
	if e.Erasable && !e.Erased {
		optional = append(optional, field{"salt", e.Salt[:]})
	}
	add(9, e.Erased, field{"content hash", e.ContentHash[:]})
	add(10, len(e.Metadata) > 0 && !e.Erased, lengthed("metadata", e.Metadata))
	fields := []field{
		varint("presence flags", flags), {"hash", e.Hash[:]}, {"id", e.ID[:]}, varint("version", e.Version),
		lengthed("stream", []byte(e.Stream)), lengthed("type", []byte(e.Type)),
	}
	fields = append(fields, optional...)
	if !e.Erased {
		fields = append(fields, field{"payload", e.Payload})
	}
	return fields
}

// naiveCanonical is the canonical header of an event.
func naiveCanonical(e *record.Event, sequence uint64, time, clock int64, content chain.Hash) []byte {
	bare := *e
	bare.Erased, bare.Metadata, bare.Payload, bare.Erasable = false, nil, nil, false
	stored := naiveRecord(&bare)
	flags, _ := binary.Uvarint(stored[0].bytes)
	if e.Erasable {
		flags += 1 << 8
	}
	if clock != time {
		flags += 1 << 11
	}
	fields := []field{
		{"content hash", content[:]}, {"id", e.ID[:]}, number("sequence", sequence), number("time", time),
		varint("presence flags", flags), stored[3], stored[4], stored[5],
	}
	fields = append(fields, stored[6:]...)
	if clock != time {
		fields = append(fields, number("clock", clock))
	}
	return joined(fields)
}

func naiveExtensions(extensions map[string][]byte) []byte {
	var keys []string
	for key := range extensions {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var fields []field
	for _, key := range keys {
		fields = append(fields, lengthed("key", []byte(key)), lengthed("value", extensions[key]))
	}
	return joined(fields)
}

// frame is a frame before it has its CRCs and its place.
type frame struct {
	kind, flags byte
	distance    uint32
	session     record.Session
	tail        []field // of the header, from byte 24 on
	body        []field
	bodyLength  int // what the header says, if not the body's length
}

func (f *frame) size() int {
	n := 24 + len(joined(f.tail)) + len(joined(f.body))
	for n%8 != 0 {
		n++
	}
	return n
}

// naiveCRC is a CRC of this format: over the seed, the offset and the bytes.
func naiveCRC(seed record.Seed, offset int64, b []byte) uint32 {
	all := append(append(seed[:len(seed):len(seed)], number("", uint64(offset)).bytes...), b...)
	return crc32.Checksum(all, crc32.MakeTable(crc32.Castagnoli))
}

// fields is the frame as it stands at an offset.
func (f *frame) fields(seed record.Seed, offset int64) []field {
	names := map[byte]string{1: "BEGIN", 2: "EVENT", 3: "PIECE", 4: "NOTE", 5: "COMMIT", 6: "END"}
	body := joined(f.body)
	length := f.bodyLength
	if length == 0 {
		length = len(body)
	}
	covered := []field{
		number("body CRC", naiveCRC(seed, offset, body)),
		number("kind "+names[f.kind], f.kind),
		number("flags", f.flags),
		number("body length", uint16(length)),
		number("distance", f.distance),
		{"session", f.session[:]},
	}
	covered = append(covered, f.tail...)
	all := append([]field{number("header CRC", naiveCRC(seed, offset, joined(covered)))}, covered...)
	all = append(all, f.body...)
	if pad := f.size() - len(joined(all)); pad > 0 {
		all = append(all, field{"padding", make([]byte, pad)})
	}
	return all
}

// markTail is the header of BEGIN and END from byte 24 on.
func markTail(m *record.Mark, events uint32, notes uint16) []field {
	return []field{
		number("sequence", m.Sequence), number("batch", m.Batch), number("time", m.Time), number("synced", m.Synced),
		number("events", events), number("notes", notes), number("zero", uint16(0)),
	}
}

// naiveBatch is the frames of a batch.
func naiveBatch(m *record.Mark, events []record.Event, notes [][]byte, head chain.Hash) []frame {
	begin := frame{kind: 1, tail: markTail(m, uint32(len(events)), uint16(len(notes)))}
	if m.Clock != m.Time {
		begin.flags |= 1
		begin.body = append(begin.body, number("clock", m.Clock))
	}
	frames := []frame{begin}
	item := func(kind byte, index int, fields []field) {
		all := joined(fields)
		if len(all) <= 2048 {
			frames = append(frames, frame{kind: kind, body: fields,
				tail: []field{number("A: index", uint32(index)), number("B: record length", uint32(len(all)))}})
			return
		}
		for piece := 0; piece*2048 < len(all); piece++ {
			part := all[piece*2048 : min(len(all), piece*2048+2048)]
			body := []field{{fmt.Sprintf("record from byte %d on", piece*2048), part}}
			if piece == 0 {
				frames = append(frames, frame{kind: kind, body: body,
					tail: []field{number("A: index", uint32(index)), number("B: record length", uint32(len(all)))}})
			} else {
				frames = append(frames, frame{kind: 3, body: body,
					tail: []field{number("A: index", uint32(index)), number("B: piece", uint32(piece))}})
			}
		}
	}
	for i := range events {
		item(2, i, naiveRecord(&events[i]))
	}
	for i, note := range notes {
		item(4, i, []field{{"note", note}})
	}
	frames = append(frames, frame{kind: 5, tail: []field{number("batch", m.Batch)}, body: []field{{"log head", head[:]}}})
	distance := 0
	for i := len(frames) - 1; i >= 0; i-- {
		distance += frames[i].size()
		frames[i].distance = uint32(distance)
		frames[i].session = m.Session
	}
	return frames
}

func naiveEnd(m *record.Mark) []frame {
	end := frame{kind: 6, distance: 64, session: m.Session, tail: markTail(m, 0, 0)}
	if m.Rotated {
		end.flags = 1
	}
	return []frame{end}
}

// placed is frames, one behind the other, from an offset on.
func placed(frames []frame, seed record.Seed, offset int64) []byte {
	var b []byte
	for i := range frames {
		b = append(b, joined(frames[i].fields(seed, offset+int64(len(b))))...)
	}
	return b
}

// segmentFields is the first block of a segment.
func segmentFields(h *record.SegmentHeader) []field {
	flags := uint32(0)
	if h.Synced {
		flags = 1
	}
	covered := []field{
		number("header length", uint16(144)), number("major", uint16(1)),
		number("incompatible", h.Incompatible), number("read-compatible", h.ReadCompatible), number("compatible", h.Compatible),
		number("align", h.Align), {"log id", h.LogID[:]}, {"seed", h.Seed[:]}, number("number", h.Number),
		number("previous end", h.PreviousEnd), {"previous head", h.PreviousHead[:]}, number("previous batch", h.PreviousBatch),
		number("previous sequence", h.PreviousSequence), number("previous time", h.PreviousTime),
		number("carried", h.Carried), number("flags", flags),
	}
	magic := field{"magic", []byte("\x89untorns")}
	crc := crc32.Checksum(append(magic.bytes[:8:8], joined(covered)...), crc32.MakeTable(crc32.Castagnoli))
	return append([]field{magic, number("CRC", crc)}, covered...)
}

// draw writes fields line by line; a long field is folded.
func draw(out *strings.Builder, offset int64, fields []field) int64 {
	for _, f := range fields {
		const wide = 16
		shown := f.bytes
		if len(shown) > 4*wide {
			shown = shown[:2*wide]
		}
		for i := 0; i < len(shown) || i == 0; i += wide {
			row := shown[i:min(len(shown), i+wide)]
			name := ""
			if i == 0 {
				name = f.name
			}
			text := ""
			if !digest(f.name) {
				text = readable(row)
			}
			line := fmt.Sprintf("%6d  %-32s  %-22s %s", offset+int64(i), hex.EncodeToString(row), name, text)
			out.WriteString(strings.TrimRight(line, " ") + "\n")
		}
		if hidden := len(f.bytes) - len(shown); hidden > 0 {
			fmt.Fprintf(out, "        … %d bytes more\n", hidden)
		}
		offset += int64(len(f.bytes))
	}
	return offset
}

// digest reports whether a field's bytes say nothing to a reader.
func digest(name string) bool {
	return strings.HasSuffix(name, "CRC") || strings.HasSuffix(name, "hash") || strings.HasSuffix(name, "head")
}

// readable is a row as text, if it has some.
func readable(row []byte) string {
	letters := 0
	out := bytes.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			letters++
		} else if r != ' ' {
			return '.'
		}
		return r
	}, row)
	if letters < 3 || letters*3 < len(row)*2 {
		return ""
	}
	return string(out)
}

// drawFrames is the drawing of frames from an offset on, with a digest of all.
func drawFrames(frames []frame, seed record.Seed, offset int64) string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %x, from byte %d of the segment\n", seed, offset)
	at := offset
	for i := range frames {
		text.WriteString("\n")
		at = draw(&text, at, frames[i].fields(seed, at))
	}
	all := placed(frames, seed, offset)
	fmt.Fprintf(&text, "\n%d bytes, SHA-256 %x\n", len(all), sha256.Sum256(all))
	return text.String()
}
