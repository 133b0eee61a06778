package record

// Item is one event or note of a batch, whole.
type Item struct {
	Kind    byte   // KindEvent or KindNote
	Index   uint32 // among the events of its batch, or among the notes
	Session Session
	Record  []byte // for DecodeEvent, or the note; see ReadItem for whose it is
	Size    int    // bytes of all its frames
}

// ReadItem reads the event or note whose first frame begins with b, at an offset
// of its segment, and checks every CRC on the way. The error is a *FrameError:
// that is no such frame, one of its pieces is not whole or not the next, or b
// ends too early: the first frame's B and ItemSize say how much is needed.
//
// The record of an item without pieces aliases b. Otherwise it is gathered
// behind what stands in dst, and aliases dst if that has the room. dst may be
// b[HeaderSize:HeaderSize]: then the pieces are moved together in b.
func ReadItem(b []byte, place Place, offset int64, dst []byte) (Item, error) {
	first, body, err := readFrame(b, 0, place, offset)
	if err != nil {
		return Item{}, err
	}
	if first.Kind != KindEvent && first.Kind != KindNote {
		return Item{}, &FrameError{Offset: offset, Kind: first.Kind, Reason: "an item begins with EVENT or NOTE"}
	}
	size := ItemSize(int64(first.B))
	if size > int64(len(b)) {
		return Item{}, &FrameError{Offset: offset, Kind: first.Kind, Reason: "its pieces are cut off"}
	}
	item := Item{Kind: first.Kind, Index: first.A, Session: first.Session, Size: int(size)}
	if first.B <= MaxBody {
		item.Record = body[:len(body):len(body)]
		return item, nil
	}
	start := len(dst)
	dst = append(grow(dst, int(first.B))[:start], body...)
	walk := Walk{session: first.Session}
	walk.begin(&first)
	for at := pieceSize; walk.Within(); at += pieceSize {
		frame, body, err := readFrame(b, at, place, offset)
		if err != nil {
			return Item{}, err
		}
		reason := walk.Next(&frame)
		if frame.Distance != first.Distance-uint32(at) {
			reason = "its distance is not that to the end of its batch"
		}
		if reason != "" {
			return Item{}, &FrameError{Offset: offset + int64(at), Kind: frame.Kind, Reason: reason}
		}
		dst = append(dst, body...)
	}
	item.Record = dst[start:len(dst):len(dst)]
	return item, nil
}

// readFrame reads the whole frame at b[at:], where b lies at an offset of its
// segment. The error is a *FrameError.
func readFrame(b []byte, at int, place Place, offset int64) (frame Frame, body []byte, err error) {
	b, offset = b[at:], offset+int64(at)
	frame, ok := ParseFrame(b, place, offset)
	if !ok {
		return frame, nil, &FrameError{Offset: offset, Reason: "its header is not whole"}
	}
	header := frame.HeaderSize()
	if frame.Size() > int64(len(b)) || !frame.BodyOK(b[header:header+frame.Body], place, offset) {
		return frame, nil, &FrameError{Offset: offset, Kind: frame.Kind, Reason: "its body is not whole"}
	}
	return frame, b[header : header+frame.Body], nil
}
