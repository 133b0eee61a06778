package tamper

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

var le = binary.LittleEndian

// form is a log taken apart, so that it can be put together otherwise.
type form struct {
	segments []*segmentForm
	batches  []*part // of all segments, in order
}

// segmentForm is one file.
type segmentForm struct {
	file   int // index among the log's
	name   string
	raw    []byte
	header record.SegmentHeader
	counts bool    // else it is prepared, and nothing of it belongs to the log
	parts  []*part // what belongs to the log, in order
	end    int64   // of the last part
}

// part is a batch or an END.
type part struct {
	segment    *segmentForm
	offset     int64
	length     int64
	apart      bool // it begins with a block, behind a gap
	mark       record.Mark
	events     []record.Event
	notes      [][]byte
	head       chain.Hash
	frames     []frameAt
	firstEvent int // index among all events
}

func (p *part) isBatch() bool { return p.mark.Kind == record.KindBegin }

// bytes are the part's, in its file.
func (p *part) bytes() []byte { return p.segment.raw[p.offset : p.offset+p.length] }

// frameAt is a frame and where it lies.
type frameAt struct {
	offset int64
	record.Frame
}

// parse takes a log apart. What lies behind the end of a segment, where the next
// one says it is, is left out.
func parse(files []file) (*form, error) {
	f := &form{}
	for i, file := range files {
		s := &segmentForm{file: i, name: file.name, raw: file.bytes}
		f.segments = append(f.segments, s)
		header, err := record.ParseSegmentHeader(file.bytes[:min(len(file.bytes), record.BlockSize)])
		if err != nil {
			continue
		}
		s.header, s.counts = header, true
	}
	events := 0
	for i, s := range f.segments {
		if !s.counts {
			continue
		}
		limit := int64(len(s.raw))
		if i+1 < len(f.segments) && f.segments[i+1].counts {
			limit = int64(f.segments[i+1].header.PreviousEnd)
		}
		s.end = record.DataStart
		for s.end < limit {
			p, err := s.part(s.end)
			if p == nil && err == nil {
				p, err = s.part((s.end + record.BlockSize - 1) / record.BlockSize * record.BlockSize)
			}
			if err != nil {
				return nil, err
			}
			if p == nil {
				break
			}
			p.apart = p.offset != s.end
			s.parts = append(s.parts, p)
			s.end = p.offset + p.length
			if p.isBatch() {
				p.firstEvent = events
				events += len(p.events)
				f.batches = append(f.batches, p)
			}
		}
	}
	return f, nil
}

// part reads what lies at an offset, or returns nil.
func (s *segmentForm) part(offset int64) (*part, error) {
	place := record.NewPlace(s.header.Seed)
	if offset+record.MarkSize > int64(len(s.raw)) {
		return nil, nil
	}
	mark, ok := record.ParseMark(s.raw[offset:], place, offset)
	if !ok || offset+int64(mark.Distance) > int64(len(s.raw)) {
		return nil, nil
	}
	p := &part{segment: s, offset: offset, length: int64(mark.Distance), mark: mark}
	if p.isBatch() && record.CheckBatch(p.bytes(), place, offset) != nil {
		return nil, nil
	}
	for at := offset; at < offset+p.length; {
		frame, ok := record.ParseFrame(s.raw[at:], place, at)
		if !ok {
			return nil, fmt.Errorf("no frame at byte %d of %s", at, s.name)
		}
		p.frames = append(p.frames, frameAt{at, frame})
		switch frame.Kind {
		case record.KindEvent, record.KindNote:
			item, err := record.ReadItem(s.raw[at:], place, at, nil)
			if err != nil {
				return nil, err
			}
			if frame.Kind == record.KindNote {
				p.notes = append(p.notes, bytes.Clone(item.Record))
				break
			}
			event, err := record.DecodeEvent(bytes.Clone(item.Record))
			if err != nil {
				return nil, err
			}
			p.events = append(p.events, event)
		case record.KindCommit:
			p.head = chain.Hash(s.raw[at+record.HeaderSize:])
		}
		at += frame.Size()
	}
	return p, nil
}

// clone is a form of its own; the events' bytes are shared, and not changed.
func (f *form) clone() *form {
	c := &form{}
	for _, s := range f.segments {
		copied := *s
		copied.parts = nil
		c.segments = append(c.segments, &copied)
		for _, p := range s.parts {
			part := *p
			part.segment = &copied
			part.events = slices.Clone(p.events)
			copied.parts = append(copied.parts, &part)
			if part.isBatch() {
				c.batches = append(c.batches, &part)
			}
		}
	}
	return c
}

// hashes says which hashes are computed anew. nil: none.
type hashes struct {
	event   func(e *record.Event) bool
	batch   func(p *part) bool
	headers bool // of segments
}

func always[T any](T) bool { return true }

// everything is what a consistent log needs.
var everything = hashes{event: always[*record.Event], batch: always[*part], headers: true}

// rehash computes hashes anew, each from those that now stand before it.
func (f *form) rehash(what hashes) {
	var h chain.Hasher
	type name struct{ scope, stream string }
	streams := map[name]chain.Hash{}
	var head chain.Hash
	var last record.Mark
	root := true
	for _, s := range f.segments {
		if !s.counts {
			continue
		}
		if root {
			head = chain.LogRoot(s.header.LogID)
			root = false
		}
		if what.headers {
			s.header.PreviousHead = head
			s.header.PreviousBatch, s.header.PreviousTime = last.Batch, last.Time
			s.header.PreviousSequence = 0
			if last.Batch > 0 {
				s.header.PreviousSequence = last.Sequence + uint64(last.Events) - 1
			}
		}
		for _, p := range s.parts {
			if !p.isBatch() {
				continue
			}
			var all []chain.Hash
			for i := range p.events {
				e := &p.events[i]
				content := e.ContentHash
				if !e.Erased {
					var salt []byte
					if e.Erasable {
						salt = e.Salt[:]
					}
					content = h.Content(salt, e.Metadata, e.Payload)
				}
				n := name{e.Scope, e.Stream}
				before, ok := streams[n]
				if !ok {
					before = chain.StreamRoot(s.header.LogID, n.scope, n.stream)
				}
				canonical := record.AppendCanonical(nil, e, p.mark.Sequence+uint64(i), p.mark.Time, p.mark.Clock, content)
				if hash := h.Event(before, h.Header(canonical)); what.event != nil && what.event(e) {
					e.Hash = hash
				}
				streams[n] = e.Hash
				all = append(all, e.Hash)
			}
			if computed := h.Head(head, p.mark.Batch, p.mark.Sequence, all, h.Notes(p.mark.Time, p.mark.Clock, p.notes)); what.batch != nil && what.batch(p) {
				p.head = computed
			}
			head = p.head
			last = p.mark
			last.Events = uint32(len(p.events))
		}
	}
}

// renumber gives batches, sequences and versions their numbers anew, and ENDs and
// what was synced theirs.
func (f *form) renumber() {
	type name struct{ scope, stream string }
	versions := map[name]uint64{}
	batch, sequence := uint64(0), uint64(0)
	became := map[uint64]uint64{} // numbers of batches
	for _, s := range f.segments {
		for _, p := range s.parts {
			p.mark.Sequence = sequence + 1
			if p.isBatch() {
				batch++
				became[p.mark.Batch] = batch
				for i := range p.events {
					e := &p.events[i]
					n := name{e.Scope, e.Stream}
					versions[n]++
					e.Version = versions[n]
				}
				sequence += uint64(len(p.events))
			}
			p.mark.Batch = batch
			synced, ok := p.mark.Synced, false
			for ; synced > 0 && !ok; synced-- {
				var now uint64
				if now, ok = became[synced]; ok {
					synced = now + 1
				}
			}
			p.mark.Synced = synced
		}
	}
}

// encode puts the log together: with right CRCs, and every segment where the one
// before it ends.
func (f *form) encode() []file {
	var files []file
	previous := int64(0)
	for _, s := range f.segments {
		if !s.counts {
			files = append(files, file{s.name, s.raw})
			continue
		}
		if s.header.PreviousEnd != 0 {
			s.header.PreviousEnd = uint64(previous)
		}
		place := record.NewPlace(s.header.Seed)
		out := s.header.Append(nil)
		for _, p := range s.parts {
			if p.apart {
				for len(out)%record.BlockSize != 0 {
					out = append(out, 0)
				}
			}
			at := int64(len(out))
			if p.isBatch() {
				out = record.AppendBatchNotes(out, place, at, &p.mark, p.events, p.notes, p.head, nil)
			} else {
				out = record.AppendEnd(out, place, at, &p.mark)
			}
		}
		previous = int64(len(out))
		if previous == s.end {
			out = append(out, s.raw[s.end:]...)
		} else {
			out = append(out, make([]byte, record.BlockSize-len(out)%record.BlockSize)...)
		}
		files = append(files, file{s.name, out})
	}
	return files
}

// sealFrame writes the CRCs of the frame that begins at an offset of a segment, as
// an attacker who has read the format would. The header tells the lengths; what
// does not fit is left alone.
func sealFrame(file []byte, seed record.Seed, at int64) {
	header := int64(record.HeaderBytes(file[at+8]))
	body := int64(le.Uint16(file[at+10:]))
	if at+header+body > int64(len(file)) {
		return
	}
	crc := func(covered []byte) uint32 {
		input := append([]byte(nil), seed[:]...)
		input = le.AppendUint64(input, uint64(at))
		return crc32.Checksum(append(input, covered...), crc32.MakeTable(crc32.Castagnoli))
	}
	le.PutUint32(file[at+4:], crc(file[at+header:at+header+body]))
	le.PutUint32(file[at:], crc(file[at+4:at+header]))
}

// sealHeader writes the CRC of the header copy at an offset of a segment.
func sealHeader(file []byte, at int64) {
	length := int64(le.Uint16(file[at+12:]))
	if length < 16 || length > record.BlockSize || at+length > int64(len(file)) {
		return
	}
	covered := append(append([]byte(nil), file[at:at+8]...), file[at+12:at+length]...)
	le.PutUint32(file[at+8:], crc32.Checksum(covered, crc32.MakeTable(crc32.Castagnoli)))
}

// class is what a byte of a segment's file is, by the format.
type class uint8

const (
	slack       class = iota // part of nothing: gaps, padding, zeros of the header's blocks, what is behind the end
	ofHeader                 // one of the two copies of a segment's header
	ofFrame                  // a frame's header
	ofBody                   // a frame's body
	ofLoose                  // of a frame, what no hash binds: synced, what an END says
	ofLooseHead              // the same of a segment's header
)

// classes says what each byte of a file is.
func (s *segmentForm) classes() []class {
	all := make([]class, len(s.raw))
	if !s.counts {
		return all
	}
	fill := func(from, to int64, c class) {
		for i := from; i < to; i++ {
			all[i] = c
		}
	}
	for _, at := range []int64{0, record.BlockSize} {
		fill(at, at+record.SegmentHeaderSize, ofHeader)
		fill(at+12, at+14, ofLooseHead)   // the header's length
		fill(at+20, at+32, ofLooseHead)   // features that others may not know; alignment
		fill(at+136, at+144, ofLooseHead) // carried, synced
	}
	for _, p := range s.parts {
		for _, f := range p.frames {
			body := f.offset + int64(f.HeaderSize())
			fill(f.offset, body, ofFrame)
			fill(body, body+int64(f.Body), ofBody)
			switch f.Kind {
			case record.KindBegin:
				fill(f.offset+48, f.offset+56, ofLoose) // synced
			case record.KindEnd:
				fill(f.offset+9, f.offset+10, ofLoose)  // rotated
				fill(f.offset+16, f.offset+56, ofLoose) // an END is in no hash
			}
		}
	}
	return all
}
