package record

import (
	"hash/crc32"

	"github.com/untorn-db/untorn/engine/chain"
)

// Sizes of frames, in bytes.
const (
	HeaderSize = 32   // the header of EVENT, PIECE, NOTE and COMMIT
	MarkSize   = 64   // the header of BEGIN and END
	MaxBody    = 2048 // the most that follows a header; what is longer goes on in pieces
	CommitSize = HeaderSize + chain.Size
	FrameAlign = 8 // offsets and sizes of frames are multiples of it
)

// The kinds of frames. A batch is a BEGIN, its events in order, its notes in
// order, each followed by its pieces, and a COMMIT.
const (
	KindBegin  byte = 1 // what stands once for the batch
	KindEvent  byte = 2 // the first MaxBody bytes of an event's record
	KindPiece  byte = 3 // the next MaxBody bytes of the record before it
	KindNote   byte = 4 // the first MaxBody bytes of a note
	KindCommit byte = 5 // the log head
	KindEnd    byte = 6 // a session, or the segment, ends here
)

// KindName is the name of a kind as the documentation writes it, such as
// "BEGIN", or "?".
func KindName(kind byte) string {
	switch kind {
	case KindBegin:
		return "BEGIN"
	case KindEvent:
		return "EVENT"
	case KindPiece:
		return "PIECE"
	case KindNote:
		return "NOTE"
	case KindCommit:
		return "COMMIT"
	case KindEnd:
		return "END"
	default:
		return "?"
	}
}

// The flags of frames.
const (
	FlagClock   byte = 1 // BEGIN: the body is what the clock said
	FlagRotated byte = 1 // END: the next segment's name was durable before
)

// Frame is the header of a frame.
//
//	 0 │ header CRC        │ body CRC          │
//	 8 │ kind│flags│ body  │ distance          │
//	16 │ session                               │
//	24 │ A                 │ B                 │   EVENT, PIECE, NOTE, COMMIT
//	32 └───────────────────────────────────────┘
//	24 │ sequence                              │   BEGIN, END
//	32 │ batch                                 │
//	40 │ time                                  │
//	48 │ synced                                │
//	56 │ events            │ notes   │ zero    │
//	64 └───────────────────────────────────────┘
//
// The header CRC covers the header from byte 4, the body CRC the body.
type Frame struct {
	Kind, Flags byte
	Body        int    // bytes of the body
	Distance    uint32 // from the frame's start to the end of its batch, or of the END
	Session     Session

	// A is the index of the event among the events of its batch, of the note
	// among the notes: 0, 1, 2 …; a piece has that of its item. B is the length
	// of the item's record in EVENT and NOTE, the number of the piece, 1, 2, 3 …,
	// in PIECE. In COMMIT they are the halves of Batch, low and high.
	A, B uint32

	Batch    uint64 // BEGIN, COMMIT: the batch's number; END: the last one's
	Sequence uint64 // BEGIN: that of the first event; END: of the next one
	Time     int64  // BEGIN, END: ns since 1970 UTC
	Synced   uint64 // BEGIN, END: highest batch number that a sync had covered
	Events   uint32 // BEGIN: how many follow
	Notes    uint16 // BEGIN: how many follow the events

	bodyCRC uint32
}

// HeaderBytes is how long the header of a frame of this kind is. The kind is
// at byte 8 of the frame.
func HeaderBytes(kind byte) int {
	if kind == KindBegin || kind == KindEnd {
		return MarkSize
	}
	return HeaderSize
}

// ParseFrame reads the header of the frame that begins with b at an offset of
// its segment. b needs HeaderBytes of the kind, MarkSize is always enough; less
// is no frame. ok is false when the header is not whole, or not one that this
// package writes: a wrong CRC, an unknown kind or flag, a body above MaxBody, or
// a distance that its batch cannot have.
func ParseFrame(b []byte, place Place, offset int64) (f Frame, ok bool) {
	if len(b) < HeaderSize || offset&(FrameAlign-1) != 0 {
		return Frame{}, false
	}
	kind := b[8]
	header := HeaderBytes(kind)
	if kind == 0 || kind > KindEnd || len(b) < header || le.Uint32(b) != place.sum(offset, b[4:header]) {
		return Frame{}, false
	}
	f.Kind = kind
	f.Flags = b[9]
	f.Body = int(le.Uint16(b[10:]))
	f.Distance = le.Uint32(b[12:])
	f.Session = Session(b[16:])
	f.bodyCRC = le.Uint32(b[4:])
	if header == MarkSize {
		f.Sequence = le.Uint64(b[24:])
		f.Batch = le.Uint64(b[32:])
		f.Time = int64(le.Uint64(b[40:]))
		f.Synced = le.Uint64(b[48:])
		f.Events = le.Uint32(b[56:])
		f.Notes = le.Uint16(b[60:])
		if le.Uint16(b[62:]) != 0 {
			return Frame{}, false
		}
	} else {
		f.A = le.Uint32(b[24:])
		f.B = le.Uint32(b[28:])
		if kind == KindCommit {
			f.Batch = le.Uint64(b[24:])
		}
	}
	if !f.consistent() {
		return Frame{}, false
	}
	return f, true
}

// consistent reports whether the fields of a header can be those of a frame
// that this package writes.
func (f *Frame) consistent() bool {
	if f.Body > MaxBody || f.Distance%FrameAlign != 0 {
		return false
	}
	distance := int64(f.Distance)
	switch f.Kind {
	case KindBegin:
		// The shortest item is a header with a body of one byte, and no count
		// may promise more items than there is room for.
		items := int64(f.Events) + int64(f.Notes)
		return f.Flags&^FlagClock == 0 && f.Body == clockSize*int(f.Flags&FlagClock) &&
			distance >= f.Size()+items*ItemSize(1)+CommitSize
	case KindEvent, KindNote:
		return f.Flags == 0 && f.B > 0 && int64(f.Body) == min(int64(f.B), MaxBody) &&
			distance >= ItemSize(int64(f.B))+CommitSize
	case KindPiece:
		return f.Flags == 0 && f.B > 0 && f.Body > 0 && distance >= f.Size()+CommitSize
	case KindCommit:
		return f.Flags == 0 && f.Body == chain.Size && distance == CommitSize
	case KindEnd:
		return f.Flags&^FlagRotated == 0 && f.Body == 0 && distance == EndSize && f.Events == 0 && f.Notes == 0
	default:
		return false
	}
}

// HeaderSize is how long the frame's header is: HeaderSize or MarkSize.
func (f *Frame) HeaderSize() int { return HeaderBytes(f.Kind) }

// Size is how long the frame is, in bytes: header, body and padding.
func (f *Frame) Size() int64 { return padded(int64(HeaderBytes(f.Kind) + f.Body)) }

// BodyOK reports whether the body is whole. It is the f.Body bytes behind the
// header; the place and the offset are those of the frame.
func (f *Frame) BodyOK(body []byte, place Place, offset int64) bool {
	return len(body) == f.Body && place.sum(offset, body) == f.bodyCRC
}

// Mark is what a BEGIN or END header says; without what is in its body: Clock
// is Time.
func (f *Frame) Mark() Mark {
	return Mark{
		Kind: f.Kind, Flags: f.Flags, Session: f.Session,
		Sequence: f.Sequence, Batch: f.Batch, Time: f.Time, Clock: f.Time, Synced: f.Synced,
		Events: f.Events, Notes: f.Notes,
		Rotated:  f.Kind == KindEnd && f.Flags&FlagRotated != 0,
		Distance: f.Distance, Size: int(f.Size()),
	}
}

// Mark is a BEGIN or END: what stands once for a batch, or at its end.
type Mark struct {
	Kind    byte // set by parsing
	Flags   byte // set by parsing
	Session Session

	Sequence uint64 // that of the first event; in END, of the next one
	Batch    uint64 // the batch's number; in END, the last one's
	Time     int64  // of all events of the batch, ns since 1970 UTC
	Clock    int64  // what the clock said, ns since 1970 UTC; not in END
	Synced   uint64 // highest batch number that a successful sync had covered when this was handed to the file

	Events uint32 // set by parsing: how many events follow
	Notes  uint16 // set by parsing: how many notes follow them

	Rotated bool // only END: the next segment's name was durable before

	Distance uint32 // set by parsing: bytes of the whole batch, or of the END
	Size     int    // set by parsing: bytes of this frame, header, body and padding
}

// ParseMark reads a BEGIN or END with its body from the start of b, at an offset
// of its segment. ok is false when ParseFrame's would be, when it is of another
// kind, or when the body is not whole.
func ParseMark(b []byte, place Place, offset int64) (m Mark, ok bool) {
	frame, ok := ParseFrame(b, place, offset)
	if !ok || frame.HeaderSize() != MarkSize || len(b) < MarkSize+frame.Body {
		return Mark{}, false
	}
	body := b[MarkSize : MarkSize+frame.Body]
	if !frame.BodyOK(body, place, offset) {
		return Mark{}, false
	}
	m = frame.Mark()
	if frame.Kind == KindBegin && frame.Flags&FlagClock != 0 {
		if m.Clock = int64(le.Uint64(body)); m.Clock == m.Time {
			return Mark{}, false
		}
	}
	return m, true
}

// seal completes the frame that is the whole of b up to the end of its body:
// everything of the header but the CRCs stands there already.
func seal(b []byte, header int, place Place, offset int64) {
	crc := place.At(offset)
	le.PutUint32(b[4:], crc32.Update(crc, castagnoli, b[header:]))
	le.PutUint32(b, crc32.Update(crc, castagnoli, b[4:header]))
}

// padded is n rounded up to a multiple of FrameAlign.
func padded(n int64) int64 { return (n + FrameAlign - 1) &^ (FrameAlign - 1) }
