package segment

import (
	"io"
	"slices"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

const (
	firstRead = 16 << 10 // most logs opened in a simulation fit
	mostRead  = 1 << 20
	mostItems = 64 // that are made room for before they are seen
)

// Source is a segment's file.
type Source interface {
	io.Reader
	io.ReaderAt
}

// Scanner reads the batches of a segment from the front. It reads with Read and
// parses what has arrived before it asks for more: on a real disk that is one
// large read after another, and in a crash search nothing behind a tear is
// looked at.
type Scanner struct {
	// Take makes room for n bytes, which may be arbitrary; nil: make does.
	Take func(n int) []byte

	file   Source
	place  record.Place
	align  int64
	room   []byte // holds buf
	buf    []byte // what has arrived and is still needed
	offset int64  // of buf[0] in the file
	size   int64  // of the file: nothing is allocated beyond it
	err    error  // the disk's, io.EOF included
	batch  Batch
	names  record.Names
	next   record.Mark // batch.Next
}

// Batch is one batch, whole as far as its checksums go.
type Batch struct {
	Mark   record.Mark
	Offset int64 // of BEGIN
	End    int64 // behind COMMIT
	Head   chain.Hash
	Items  []Item
	Notes  []Note
	// Records are those of the notes, for their hash.
	Records [][]byte
	// Next is the mark that follows the batch at once, if it is whole.
	Next *record.Mark // valid until the next call of the scanner
}

// Item is one event of a batch.
type Item struct {
	Event  record.Event // its bytes are valid until the next call of the scanner
	Offset int64
	Length int64
}

// Note is one note of a batch.
type Note struct {
	record.Note // its data is valid until the next call of the scanner
	Offset      int64
	Length      int64
}

// Kind says what a scanner has found.
type Kind int

const (
	// FoundBatch is a whole batch.
	FoundBatch Kind = iota
	// FoundEnd is an END mark.
	FoundEnd
	// FoundNothing is the end of the file, or a frame header of zeros: nothing
	// was ever written here, as far as one can see.
	FoundNothing
	// FoundTear is anything else.
	FoundTear
)

// Found is what lies at the scanner's place.
type Found struct {
	Kind   Kind
	Offset int64        // where it begins
	Batch  *Batch       // for FoundBatch; valid until the next call
	End    *record.Mark // for FoundEnd
	// After is, for FoundTear with a whole BEGIN or END, where the batch would
	// end, else 0.
	After  int64
	Mark   *record.Mark // for FoundTear: the whole BEGIN or END, or nil
	Reason string       // for FoundTear
}

// NewScanner scans from offset, where file must stand. size is the file's.
func NewScanner(file Source, header *record.SegmentHeader, offset, size int64) *Scanner {
	s := new(Scanner)
	s.Reset(file, header, offset, size)
	return s
}

// Reset makes a new scanner of s, which keeps the room that it has. What s has
// found is not valid any more.
func (s *Scanner) Reset(file Source, header *record.SegmentHeader, offset, size int64) {
	*s = Scanner{
		file: file, place: record.NewPlace(header.Seed), align: int64(header.Align), offset: offset, size: size,
		Take: s.Take, room: s.room, buf: s.room[:0], names: s.names,
		batch: Batch{Items: s.batch.Items[:0], Notes: s.batch.Notes[:0], Records: s.batch.Records[:0]},
	}
}

// Skip moves ahead to an offset, if what lies there has arrived already.
func (s *Scanner) Skip(offset int64) bool {
	if offset <= s.offset || offset-s.offset > int64(len(s.buf)) {
		return false
	}
	s.discard(offset)
	return true
}

// Room is how many bytes the scanner keeps.
func (s *Scanner) Room() int { return len(s.room) }

// Names are those of the last events, for others that read the same log.
func (s *Scanner) Names() *record.Names { return &s.names }

// Release gives that room away: what the scanner has found is not valid any
// more, and it must be Reset before it is used again.
func (s *Scanner) Release() []byte {
	room := s.room
	s.room, s.buf = nil, nil
	return room
}

// Recycle forgets all but the names, and what room there is for items: what the
// scanner does next is what a new one does.
func (s *Scanner) Recycle() {
	items := s.batch.Items[:0]
	if cap(items) > mostItems {
		items = nil
	}
	*s = Scanner{Take: s.Take, names: s.names, batch: Batch{Items: items}}
}

func (s *Scanner) take(n int) []byte {
	if s.Take == nil {
		return make([]byte, n)
	}
	return s.Take(n)
}

// Err is what the disk said, or nil.
func (s *Scanner) Err() error {
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// Offset is where the next call looks.
func (s *Scanner) Offset() int64 { return s.offset }

// Next finds what lies at the scanner's place and moves behind it, if it is
// whole. With FoundNothing and FoundTear the scanner stays. The caller looks at
// Err first.
func (s *Scanner) Next() Found {
	if done := len(s.room) - cap(s.buf); done > len(s.buf) {
		// What is left moves only when more than that is done with: a batch of
		// megabytes leaves room in which thousands of small ones lie.
		s.buf = s.room[:copy(s.room, s.buf)]
	}
	found := s.at(s.offset)
	if found.Kind == FoundBatch || found.Kind == FoundEnd {
		return found
	}
	if gap := AlignUp(s.offset, s.align); gap != s.offset {
		// With alignment a synced group starts on a fresh block, and the gap
		// before it was never written.
		switch behind := s.at(gap); {
		case behind.Kind == FoundBatch || behind.Kind == FoundEnd:
			return behind
		case behind.Kind == FoundTear && (found.Kind == FoundNothing || found.Mark == nil && behind.Mark != nil):
			// The rest of a batch whose first bytes stand there may lie behind the end
			// of the file: to go on there would bring it back.
			return behind
		}
	} else if block := AlignUp(s.offset, record.BlockSize); block != s.offset && block < s.size {
		// The END of a Close has a block of its own.
		frame, ok, err := frameAt(s.file, s.size, s.place, block)
		if err != nil {
			s.err = err
		} else if ok && frame.Kind == record.KindEnd {
			mark := frame.Mark()
			s.need(block, record.MarkSize) // the file is read in order
			return Found{Kind: FoundEnd, Offset: block, End: &mark}
		}
	}
	return found
}

// Here is what lies at the scanner's place itself, where Next has found something
// behind a gap that cannot follow: it may be what should. It is FoundTear, or
// FoundNothing. A batch that Next has found is not valid any more.
func (s *Scanner) Here() Found { return s.at(s.offset) }

// Advance moves behind what Next has found.
func (s *Scanner) Advance(found Found) {
	switch found.Kind {
	case FoundBatch:
		s.discard(found.Batch.End)
	case FoundEnd:
		s.discard(found.Offset + int64(found.End.Size))
	}
}

// AlignUp is the next multiple of align, or offset itself if it is one, or if
// align is 0.
func AlignUp(offset, align int64) int64 {
	if align == 0 {
		return offset
	}
	return (offset + align - 1) / align * align
}

// discard forgets the bytes before offset.
func (s *Scanner) discard(offset int64) {
	n := offset - s.offset
	if n >= int64(len(s.buf)) {
		s.buf = s.buf[:0]
	} else {
		s.buf = s.buf[n:]
	}
	s.offset = offset
}

// need returns the bytes from offset to offset + n, or fewer at the end of the
// file or upon an error.
func (s *Scanner) need(offset, n int64) []byte {
	from := offset - s.offset
	for int64(len(s.buf)) < from+n && s.err == nil {
		s.fill(from + n)
	}
	if from >= int64(len(s.buf)) {
		return nil
	}
	return s.buf[from:min(from+n, int64(len(s.buf)))]
}

// fill reads once, into a buffer that has room for want bytes in all.
func (s *Scanner) fill(want int64) {
	want = min(want, s.size-s.offset+1) // one more, to see the end
	if int64(cap(s.buf)) < want || cap(s.buf) == len(s.buf) {
		room := max(want, firstRead, min(2*int64(len(s.buf)), int64(len(s.buf))+mostRead))
		s.room = s.take(int(min(room, max(s.size-s.offset, int64(len(s.buf)))+1)))
		s.buf = s.room[:copy(s.room, s.buf)]
	}
	n, err := s.file.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	if err == nil && n == 0 {
		err = io.ErrNoProgress
	}
	s.err = err
}

// mark parses the BEGIN or END at offset.
func (s *Scanner) mark(offset int64) (record.Mark, bool) {
	head := s.need(offset, record.HeaderSize)
	if len(head) < record.HeaderSize || !isMark(head) {
		return record.Mark{}, false
	}
	frame, ok := record.ParseFrame(s.need(offset, record.MarkSize), s.place, offset)
	if !ok {
		return record.Mark{}, false
	}
	if frame.Body == 0 {
		return frame.Mark(), true
	}
	return record.ParseMark(s.need(offset, frame.Size()), s.place, offset)
}

// at finds what lies at offset.
func (s *Scanner) at(offset int64) Found {
	head := s.need(offset, record.HeaderSize)
	if allZero(head) {
		return Found{Kind: FoundNothing, Offset: offset}
	}
	mark, ok := s.mark(offset)
	switch {
	case !ok:
		return Found{Kind: FoundTear, Offset: offset, Reason: "no whole frame here"}
	case mark.Kind == record.KindEnd:
		end := mark
		return Found{Kind: FoundEnd, Offset: offset, End: &end}
	}
	torn := func(reason string) Found {
		begin := mark
		return Found{Kind: FoundTear, Offset: offset, After: offset + int64(mark.Distance), Mark: &begin, Reason: reason}
	}
	b := &s.batch
	*b = Batch{Mark: mark, Offset: offset, End: offset + int64(mark.Distance), Items: b.Items[:0], Notes: b.Notes[:0], Records: b.Records[:0]}
	if b.End > s.size {
		return torn("the batch runs past the end of the file")
	}
	b.Items = slices.Grow(b.Items, int(min(mark.Events, mostItems)))
	if reason := s.items(b); reason != "" {
		return torn(reason)
	}
	s.next, ok = s.mark(b.End)
	if gap := AlignUp(b.End, s.align); !ok && gap != b.End {
		s.next, ok = s.mark(gap)
	}
	if ok {
		b.Next = &s.next
	}
	return Found{Kind: FoundBatch, Offset: offset, Batch: b}
}

// items reads what follows the BEGIN of a batch, or says why it is not whole.
// The pieces of an item are moved together in the buffer, so that its record is
// one run of bytes; it stays valid when the buffer grows, since that copies.
func (s *Scanner) items(b *Batch) (reason string) {
	walk := b.Mark.Walk()
	next := b.Offset + int64(b.Mark.Size)
	var first, start, have int64 // of the item at work: where it and its record begin, and how much of that is together
	for !walk.Done() {
		frame, body, reason := s.frame(next, b)
		if reason == "" {
			reason = walk.Next(&frame)
		}
		if reason != "" {
			return reason
		}
		switch frame.Kind {
		case record.KindCommit:
			copy(b.Head[:], body)
			return ""
		case record.KindPiece:
			copy(s.buf[start-s.offset+have:], body)
		default:
			first, start, have = next, next+record.HeaderSize, 0
		}
		have += int64(len(body))
		next += frame.Size()
		if walk.Within() {
			continue
		}
		from := start - s.offset
		bytes := s.buf[from : from+have : from+have]
		if len(b.Items) == int(b.Mark.Events) {
			note, err := record.DecodeNote(bytes)
			if err != nil {
				return err.Error()
			}
			b.Notes = append(b.Notes, Note{Note: note, Offset: first, Length: next - first})
			b.Records = append(b.Records, bytes)
			continue
		}
		b.Items = append(b.Items, Item{Offset: first, Length: next - first})
		if err := b.Items[len(b.Items)-1].Event.Decode(bytes, &s.names); err != nil {
			return err.Error()
		}
	}
	return ""
}

// frame returns the whole frame at offset with its body, or why there is none.
func (s *Scanner) frame(offset int64, b *Batch) (record.Frame, []byte, string) {
	head := s.need(offset, record.HeaderSize)
	if len(head) < record.HeaderSize {
		return record.Frame{}, nil, "the batch runs past the end of the file"
	}
	frame, ok := record.ParseFrame(head, s.place, offset)
	if !ok {
		return record.Frame{}, nil, "a frame header is not whole"
	}
	if frame.Session != b.Mark.Session || offset+int64(frame.Distance) != b.End {
		return record.Frame{}, nil, "a frame belongs to another batch"
	}
	body := s.need(offset+record.HeaderSize, int64(frame.Body))
	if len(body) < frame.Body || !frame.BodyOK(body, s.place, offset) {
		return record.Frame{}, nil, "the content of a frame is not whole"
	}
	return frame, body, ""
}

// isMark reports whether a frame header is that of a BEGIN or END, which is
// longer than the others'.
func isMark(head []byte) bool { return record.HeaderBytes(head[kindByte]) == record.MarkSize }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// ReadItem decodes one event from the bytes of its frames, which lie at an
// offset of the segment. The event keeps the bytes, which change. A frame that
// is not whole, or of another batch or item, is told by the reason.
func ReadItem(e *record.Event, bytes []byte, place record.Place, offset int64, session record.Session, index uint32, names *record.Names) (reason string) {
	record, reason := readRecord(record.KindEvent, bytes, place, offset, session, index)
	if reason != "" {
		return reason
	}
	if err := e.Decode(record, names); err != nil {
		return err.Error()
	}
	return ""
}

// ReadNote is ReadItem for a note.
func ReadNote(bytes []byte, place record.Place, offset int64, session record.Session, index uint32) (note record.Note, reason string) {
	encoded, reason := readRecord(record.KindNote, bytes, place, offset, session, index)
	if reason != "" {
		return note, reason
	}
	note, err := record.DecodeNote(encoded)
	if err != nil {
		return note, err.Error()
	}
	return note, ""
}

// ReadCommit returns the log head of a batch from the bytes of its COMMIT, which lies at
// an offset of the segment. One that is not whole, or of another batch, is told by the
// reason.
func ReadCommit(bytes []byte, place record.Place, offset int64, session record.Session, batch uint64) (head chain.Hash, reason string) {
	frame, ok := record.ParseFrame(bytes, place, offset)
	switch {
	case !ok || len(bytes) < record.CommitSize:
		return head, "a frame header is not whole"
	case frame.Kind != record.KindCommit || frame.Session != session || frame.Batch != batch:
		return head, "the COMMIT of another batch lies there"
	case !frame.BodyOK(bytes[record.HeaderSize:record.CommitSize], place, offset):
		return head, "the content of a frame is not whole"
	}
	copy(head[:], bytes[record.HeaderSize:])
	return head, ""
}

// readRecord puts the pieces of an item together, in its own bytes.
func readRecord(kind byte, bytes []byte, place record.Place, offset int64, session record.Session, index uint32) (whole []byte, reason string) {
	if len(bytes) < record.HeaderSize {
		return nil, "a frame header is not whole"
	}
	item, err := record.ReadItem(bytes, place, offset, bytes[record.HeaderSize:record.HeaderSize])
	switch {
	case err != nil:
		return nil, err.Error()
	case item.Session != session:
		return nil, "it belongs to another batch"
	case item.Kind != kind || item.Index != index:
		return nil, "another item lies there"
	case item.Size != len(bytes):
		return nil, "it has another length than it had"
	}
	return item.Record, ""
}
