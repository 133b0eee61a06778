package record

// Walk follows the frames of one batch behind its BEGIN, and says which may not
// come next: as many events as BEGIN says, then its notes, each with its pieces,
// complete and in order, and a COMMIT with its number; all of one session.
// Mark.Walk begins one.
type Walk struct {
	session       Session
	batch         uint64
	events, notes uint32 // still to come
	item          uint32 // index of the next event, or of the next note
	last          uint32 // index of the item whose pieces come
	piece         uint32 // number of its next piece
	left          uint32 // bytes of its record that are still to come
	done          bool
}

// Walk begins a walk behind a BEGIN.
func (m *Mark) Walk() Walk {
	return Walk{session: m.Session, batch: m.Batch, events: m.Events, notes: uint32(m.Notes)}
}

// Next takes the next frame. The result is empty, or what is wrong with it.
func (w *Walk) Next(f *Frame) (reason string) {
	switch {
	case w.done:
		return "it is behind the COMMIT"
	case f.Session != w.session:
		return "it is of another session"
	case w.left > 0:
		if f.Kind != KindPiece || f.A != w.last || f.B != w.piece || uint32(f.Body) != min(w.left, MaxBody) {
			return "a piece of an item is missing"
		}
		w.piece++
		w.left -= uint32(f.Body)
	case w.events > 0:
		if f.Kind != KindEvent || f.A != w.item {
			return "an event is missing"
		}
		w.begin(f)
		if w.events--; w.events == 0 {
			w.item = 0
		}
	case w.notes > 0:
		if f.Kind != KindNote || f.A != w.item {
			return "a note is missing"
		}
		w.begin(f)
		w.notes--
	default:
		if f.Kind != KindCommit || f.Batch != w.batch {
			return "COMMIT is missing"
		}
		w.done = true
	}
	return ""
}

// begin takes the first frame of an item.
func (w *Walk) begin(f *Frame) {
	w.item++
	w.last, w.piece, w.left = f.A, 1, f.B-uint32(f.Body)
}

// Within reports whether pieces of the item at work are still to come.
func (w *Walk) Within() bool { return w.left > 0 }

// Done reports whether the COMMIT has come.
func (w *Walk) Done() bool { return w.done }
