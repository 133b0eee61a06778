package record

import "fmt"

// A FrameError says why a frame of a batch is not whole, or does not belong
// there.
type FrameError struct {
	Offset int64 // of the frame in its segment
	Kind   byte  // what the frame says, under a right CRC, or 0
	Reason string
}

func (e *FrameError) Error() string {
	if e.Kind == 0 {
		return fmt.Sprintf("frame at byte %d: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("%s frame at byte %d: %s", KindName(e.Kind), e.Offset, e.Reason)
}

// Relocate makes a whole batch one of another segment or offset: it writes the
// CRCs of all its frames again, in place. Nothing else changes, padding
// included. It first checks all frames; upon an error, a *FrameError, the batch
// is as it was.
func Relocate(batch []byte, from Place, fromOffset int64, to Place, toOffset int64) error {
	if toOffset%FrameAlign != 0 {
		return &FrameError{Offset: toOffset, Reason: "frames begin at multiples of 8"}
	}
	if err := CheckBatch(batch, from, fromOffset); err != nil {
		return err
	}
	for at := 0; at < len(batch); {
		header := HeaderBytes(batch[at+8])
		end := at + header + int(le.Uint16(batch[at+10:]))
		seal(batch[at:end], header, to, toOffset+int64(at))
		at = int(padded(int64(end)))
	}
	return nil
}

// CheckBatch reports whether b is one whole batch at an offset of its segment,
// no byte more: every CRC is right; a BEGIN, as many events and then notes as
// it says, their pieces complete and in order, and a COMMIT with its number; one
// session; distances that agree. The error is a *FrameError. Records and hashes
// are not looked at.
func CheckBatch(b []byte, place Place, offset int64) error {
	var walk batchWalk
	for at := 0; at < len(b); {
		frame, ok := ParseFrame(b[at:], place, offset+int64(at))
		if !ok {
			return &FrameError{Offset: offset + int64(at), Reason: "its header is not whole"}
		}
		header := frame.HeaderSize()
		if frame.Size() > int64(len(b)-at) || !frame.BodyOK(b[at+header:at+header+frame.Body], place, offset+int64(at)) {
			return &FrameError{Offset: offset + int64(at), Kind: frame.Kind, Reason: "its body is not whole"}
		}
		if int64(frame.Distance) != int64(len(b)-at) {
			return &FrameError{Offset: offset + int64(at), Kind: frame.Kind, Reason: "its distance is not that to the end"}
		}
		if reason := walk.next(&frame); reason != "" {
			return &FrameError{Offset: offset + int64(at), Kind: frame.Kind, Reason: reason}
		}
		at += int(frame.Size())
	}
	if !walk.committed {
		return &FrameError{Offset: offset + int64(len(b)), Reason: "the batch ends without COMMIT"}
	}
	return nil
}

// batchWalk follows the frames of one batch and says which may not come next.
type batchWalk struct {
	begun, committed bool
	session          Session
	batch            uint64
	events, notes    uint32 // still to come
	item             uint32 // index of the next event, or of the next note
	last             uint32 // index of the item whose pieces come
	piece            uint32 // number of its next piece
	left             uint32 // bytes of it that are still to come
}

// next takes the next frame. The result is empty, or what is wrong with it.
func (w *batchWalk) next(f *Frame) string {
	switch {
	case w.committed:
		return "it is behind the COMMIT"
	case !w.begun:
		if f.Kind != KindBegin {
			return "a batch begins with BEGIN"
		}
		*w = batchWalk{begun: true, session: f.Session, batch: f.Batch, events: f.Events, notes: uint32(f.Notes)}
		return ""
	case f.Session != w.session:
		return "it is of another session"
	}
	switch f.Kind {
	case KindEvent:
		if w.left > 0 || w.events == 0 || f.A != w.item {
			return "it is not the next item"
		}
		w.start(f)
		w.item++
		if w.events--; w.events == 0 {
			w.item = 0
		}
	case KindNote:
		if w.left > 0 || w.events > 0 || w.notes == 0 || f.A != w.item {
			return "it is not the next item"
		}
		w.start(f)
		w.item++
		w.notes--
	case KindPiece:
		if w.left == 0 || f.A != w.last || f.B != w.piece || uint32(f.Body) != min(w.left, MaxBody) {
			return "it is not the next piece"
		}
		w.piece++
		w.left -= uint32(f.Body)
	case KindCommit:
		if w.left > 0 || w.events > 0 || w.notes > 0 || f.Batch != w.batch {
			return "it does not end this batch"
		}
		w.committed = true
	default:
		return "it does not belong into a batch"
	}
	return ""
}

// start begins an item with its first frame.
func (w *batchWalk) start(f *Frame) {
	w.last, w.piece, w.left = f.A, 1, f.B-uint32(f.Body)
}
