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
// of its segment, and checks every CRC on the way. ok is false when that is no
// such frame, when one of its pieces is not whole or not the next, or when b
// ends too early: the first frame's B and ItemSize say how much is needed.
//
// The record of an item without pieces aliases b. Otherwise it is gathered
// behind what stands in dst, and aliases dst if that has the room.
func ReadItem(b []byte, place Place, offset int64, dst []byte) (item Item, ok bool) {
	first, ok := ParseFrame(b, place, offset)
	if !ok || first.Kind != KindEvent && first.Kind != KindNote {
		return Item{}, false
	}
	size := ItemSize(int64(first.B))
	if size > int64(len(b)) {
		return Item{}, false
	}
	item = Item{Kind: first.Kind, Index: first.A, Session: first.Session, Size: int(size)}
	body := b[HeaderSize : HeaderSize+first.Body]
	if !first.BodyOK(body, place, offset) {
		return Item{}, false
	}
	if first.B <= MaxBody {
		item.Record = body[:len(body):len(body)]
		return item, true
	}
	start := len(dst)
	dst = append(grow(dst, int(first.B))[:start], body...)
	walk := batchWalk{begun: true, session: first.Session}
	walk.start(&first)
	for at := pieceSize; walk.left > 0; at += pieceSize {
		frame, ok := ParseFrame(b[at:], place, offset+int64(at))
		if !ok || frame.Kind != KindPiece || frame.Distance != first.Distance-uint32(at) || walk.next(&frame) != "" {
			return Item{}, false
		}
		body := b[at+HeaderSize : at+HeaderSize+frame.Body]
		if !frame.BodyOK(body, place, offset+int64(at)) {
			return Item{}, false
		}
		dst = append(dst, body...)
	}
	item.Record = dst[start:len(dst):len(dst)]
	return item, true
}
