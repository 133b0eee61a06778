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
	var walk Walk
	for at := 0; at < len(b); {
		frame, _, err := readFrame(b, at, place, offset)
		if err != nil {
			return err
		}
		if int64(frame.Distance) != int64(len(b)-at) {
			return &FrameError{Offset: offset + int64(at), Kind: frame.Kind, Reason: "its distance is not that to the end"}
		}
		reason := ""
		switch {
		case at > 0:
			reason = walk.Next(&frame)
		case frame.Kind == KindBegin:
			begin := frame.Mark()
			walk = begin.Walk()
		default:
			reason = "a batch begins with BEGIN"
		}
		if reason != "" {
			return &FrameError{Offset: offset + int64(at), Kind: frame.Kind, Reason: reason}
		}
		at += int(frame.Size())
	}
	if !walk.Done() {
		return &FrameError{Offset: offset + int64(len(b)), Reason: "the batch ends without COMMIT"}
	}
	return nil
}
