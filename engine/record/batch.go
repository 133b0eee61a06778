package record

import (
	"fmt"
	"math"
	"slices"

	"github.com/untorn-db/untorn/engine/chain"
)

const (
	pieceSize = HeaderSize + MaxBody // a frame with a full body; a multiple of FrameAlign
	clockSize = 8                    // the body of a BEGIN with FlagClock
)

// MaxBatchSize is the most that a batch may have, in bytes as encoded:
// distances are 32 bits, and a slice on a 32-bit platform has at most 2 GiB.
const MaxBatchSize = math.MaxInt32 &^ (FrameAlign - 1)

// BeginSize is how long the BEGIN of m is, in bytes.
func BeginSize(m *Mark) int64 {
	if m.Clock != m.Time {
		return MarkSize + clockSize
	}
	return MarkSize
}

// ItemSize is how long the frames of one event or note are, in bytes, when its
// record has so many.
func ItemSize(recordSize int64) int64 {
	pieces := (recordSize + MaxBody - 1) / MaxBody
	return padded(recordSize + pieces*HeaderSize)
}

// EndSize is how long an END is, in bytes.
const EndSize = MarkSize

// AppendBatch appends a whole batch of events as it stands at an offset of its
// segment. What m says is taken from it except Kind, Flags, Events, Notes,
// Rotated, Distance and Size, which follow from the rest. If positions is not
// nil it has room for every event, and gets where their first frames begin,
// counted from the start of the batch.
//
// It does not allocate if dst has room for the batch. A batch above
// MaxBatchSize and an offset that no frame can have are faults of the caller,
// upon which it panics.
func AppendBatch(dst []byte, place Place, offset int64, m *Mark, events []Event, head chain.Hash, positions []int32) []byte {
	return AppendBatchNotes(dst, place, offset, m, events, nil, head, positions)
}

// AppendBatchNotes is AppendBatch with notes behind the events, at most 65,535;
// positions has room for both.
func AppendBatchNotes(dst []byte, place Place, offset int64, m *Mark, events []Event, notes [][]byte, head chain.Hash, positions []int32) []byte {
	total := BeginSize(m) + CommitSize
	for i := range events {
		total += ItemSize(int64(events[i].RecordSize()))
	}
	for _, note := range notes {
		total += ItemSize(int64(len(note)))
	}
	if total > MaxBatchSize || len(notes) > math.MaxUint16 || offset%FrameAlign != 0 {
		panic(fmt.Sprintf("internal error: batch %d cannot be encoded: %d bytes, %d notes, at offset %d",
			m.Batch, total, len(notes), offset))
	}
	start := len(dst)
	e := encoder{
		dst:     slices.Grow(dst, int(total)),
		start:   start,
		end:     start + int(total),
		place:   place,
		offset:  offset,
		session: m.Session,
	}
	e.begin(m, uint32(len(events)), uint16(len(notes)))
	for i := range events {
		if positions != nil {
			positions[i] = int32(len(e.dst) - start)
		}
		e.event(uint32(i), &events[i])
	}
	for i, note := range notes {
		if positions != nil {
			positions[len(events)+i] = int32(len(e.dst) - start)
		}
		e.note(uint32(i), note)
	}
	e.commit(m.Batch, head)
	if len(e.dst) != e.end {
		panic(fmt.Sprintf("internal error: batch %d has %d bytes instead of %d", m.Batch, len(e.dst)-start, total))
	}
	return e.dst
}

// AppendEnd appends an END as it stands at an offset of its segment. Taken from
// m are Session, Sequence, Batch, Time, Synced and Rotated.
func AppendEnd(dst []byte, place Place, offset int64, m *Mark) []byte {
	start := len(dst)
	dst = grow(dst, EndSize)
	b := dst[start:]
	flags := byte(0)
	if m.Rotated {
		flags = FlagRotated
	}
	putHeader(b, KindEnd, flags, 0, EndSize, m.Session)
	putMark(b, m, 0, 0)
	seal(b, MarkSize, place, offset)
	return dst
}

// encoder writes one batch. dst has the capacity for all of it.
type encoder struct {
	dst        []byte
	start, end int // of the batch in dst
	place      Place
	offset     int64 // of the batch in the segment
	session    Session
}

func (e *encoder) begin(m *Mark, events uint32, notes uint16) {
	at := len(e.dst)
	dst := e.dst[:at+MarkSize]
	flags := byte(0)
	if m.Clock != m.Time {
		flags |= FlagClock
		dst = le.AppendUint64(dst, uint64(m.Clock))
	}
	e.dst = dst
	b := dst[at:]
	putHeader(b, KindBegin, flags, len(b)-MarkSize, uint32(e.end-at), e.session)
	putMark(b, m, events, notes)
	e.finish(at, MarkSize)
}

func (e *encoder) event(index uint32, event *Event) {
	at := len(e.dst)
	e.dst = event.appendFields(e.dst[:at+HeaderSize])
	e.item(KindEvent, index, at, event.payload())
}

func (e *encoder) note(index uint32, note []byte) {
	at := len(e.dst)
	e.dst = e.dst[:at+HeaderSize]
	e.item(KindNote, index, at, note)
}

// item completes the item whose header is to stand at at. What is behind it in
// dst is the first part of its record, rest the last.
func (e *encoder) item(kind byte, index uint32, at int, rest []byte) {
	first := len(e.dst) - at - HeaderSize
	size := first + len(rest)
	if size <= MaxBody {
		e.dst = append(e.dst, rest...)
		e.frame(kind, at, size, index, uint32(size))
		return
	}
	// The record stands in one piece and has to make room for the headers of its
	// pieces: the last piece is moved first, so nothing is overwritten before it
	// is moved.
	pieces := (size + MaxBody - 1) / MaxBody
	record := e.dst[at+HeaderSize : at+HeaderSize+first]
	e.dst = e.dst[:at+size+pieces*HeaderSize]
	for piece := (first - 1) / MaxBody; piece > 0; piece-- {
		copy(e.dst[at+piece*pieceSize+HeaderSize:], record[piece*MaxBody:min(first, (piece+1)*MaxBody)])
	}
	for done := first; done < size; {
		piece, within := done/MaxBody, done%MaxBody
		n := copy(e.dst[at+piece*pieceSize+HeaderSize+within:at+min((piece+1)*pieceSize, size+(piece+1)*HeaderSize)], rest)
		rest = rest[n:]
		done += n
	}
	whole := e.dst
	for piece := range pieces {
		body := min(MaxBody, size-piece*MaxBody)
		pieceAt := at + piece*pieceSize
		e.dst = whole[:pieceAt+HeaderSize+body]
		if piece == 0 {
			e.frame(kind, pieceAt, body, index, uint32(size))
		} else {
			e.frame(KindPiece, pieceAt, body, index, uint32(piece))
		}
	}
}

func (e *encoder) commit(batch uint64, head chain.Hash) {
	at := len(e.dst)
	e.dst = append(e.dst[:at+HeaderSize], head[:]...)
	e.frame(KindCommit, at, chain.Size, uint32(batch), uint32(batch>>32))
}

// frame completes the frame at at, whose body ends where dst does.
func (e *encoder) frame(kind byte, at, body int, a, b uint32) {
	header := e.dst[at : at+HeaderSize]
	putHeader(header, kind, 0, body, uint32(e.end-at), e.session)
	le.PutUint32(header[24:], a)
	le.PutUint32(header[28:], b)
	e.finish(at, HeaderSize)
}

// finish writes the CRCs of the frame at at, which ends where dst does, and the
// padding behind it.
func (e *encoder) finish(at, header int) {
	seal(e.dst[at:], header, e.place, e.offset+int64(at-e.start))
	for (len(e.dst)-e.start)%FrameAlign != 0 {
		e.dst = append(e.dst, 0)
	}
}

// putHeader writes the first 24 bytes of a header but its CRCs.
func putHeader(b []byte, kind, flags byte, body int, distance uint32, session Session) {
	_ = b[23]
	b[8] = kind
	b[9] = flags
	le.PutUint16(b[10:], uint16(body))
	le.PutUint32(b[12:], distance)
	copy(b[16:24], session[:])
}

// putMark writes what a BEGIN or END has behind the first 24 bytes.
func putMark(b []byte, m *Mark, events uint32, notes uint16) {
	_ = b[63]
	le.PutUint64(b[24:], m.Sequence)
	le.PutUint64(b[32:], m.Batch)
	le.PutUint64(b[40:], uint64(m.Time))
	le.PutUint64(b[48:], m.Synced)
	le.PutUint32(b[56:], events)
	le.PutUint16(b[60:], notes)
	le.PutUint16(b[62:], 0)
}

// grow is dst with n more bytes, whose values are whatever was there.
func grow(dst []byte, n int) []byte { return slices.Grow(dst, n)[:len(dst)+n] }
