package index

import (
	"bytes"
	"hash/maphash"
	"iter"
	"maps"
	"math"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// Entry is where one event lies.
type Entry struct {
	Segment uint32 // number of the segment
	Offset  uint32 // of the event's first frame
	Length  uint32 // of all its frames
	Item    uint32 // place in the batch
}

// Batch is what the events of one batch have in common.
type Batch struct {
	Number      uint64
	First       uint64 // sequence of its first event
	Ordinal     uint64 // ordinal of its first event
	Events      uint32
	Note        uint32 // ordinal of its first note
	Session     record.Session
	Time, Clock int64 // ns since 1970
}

// Name is the name of a stream.
type Name struct{ Scope, Stream string }

// Stream is the state of one stream.
type Stream struct {
	Name
	Version  uint64     // of its last event
	Hash     chain.Hash // of its last event
	Ordinals []uint64   // of its events, in order; only appended to
}

// Index is the whole of it. Ordinals count the events that the index holds
// from 0; in an undamaged log the ordinal is the sequence − 1.
type Index struct {
	seed    maphash.Seed
	events  pages[event]
	batches pages[Batch]
	keyed   pages[keyed]
	notes   pages[Entry]
	named   map[string]*note // the last note of each name
	ids     table            // of ordinals, where loose
	keys    table            // of places in keyed
	// loose: some id is not larger than the one before it, as the engine makes
	// them. Else the events are in the order of their ids, and no table is needed.
	loose   bool
	streams map[Name]*stream
	spare   []stream  // not used yet
	used    []*stream // to be used again: those of an index that was cleared
	hidden  []*stream // with events that were added by AddHidden since the last Show
	veiled  []*note   // that were changed by AddHiddenNote since the last Show

	pending      []pending // events that were added by AddPending, and not shown yet
	pendingNotes []pendingNote
}

// pending is an event that ShowUntil will show, and what its stream is behind it.
type pending struct {
	s       *stream
	ordinal uint64
	version uint64
	hash    chain.Hash
}

// pendingNote is the same of a note.
type pendingNote struct {
	n       *note
	ordinal uint64
	Note
}

// event is what is kept of one event.
type event struct {
	Entry
	id uuid.UUID
}

// keyed is an event with an idempotency key.
type keyed struct {
	key     string
	ordinal uint64
}

// stream is a Stream with room for its first ordinals.
type stream struct {
	Stream
	few [4]uint64

	hides        bool // events that are not to be seen yet; before them it was:
	shown        int  // len(Ordinals)
	shownVersion uint64
	shownHash    chain.Hash
}

// Note is the last note of a name.
type Note struct {
	Data  []byte // until the next change of the index
	Batch uint64 // number of the batch that brought it
	Count uint64 // of the notes of the name, up to this one
}

// note is a Note, and what it was before the hidden ones.
type note struct {
	Note
	hides   bool
	shown   Note // with Batch 0: none
	pending int  // how many were added by AddPendingNote, and are not shown yet
}

// New returns an empty index.
func New() *Index {
	return &Index{seed: maphash.MakeSeed(), streams: map[Name]*stream{}, named: map[string]*note{}}
}

// Len is the number of events.
func (x *Index) Len() uint64 { return x.events.len() }

// Batches is the number of batches.
func (x *Index) Batches() uint64 { return x.batches.len() }

// AddBatch begins a batch; its events follow with AddEvent, its notes with
// AddNote.
func (x *Index) AddBatch(b Batch) {
	b.Ordinal, b.Note = x.events.len(), uint32(x.notes.len())
	x.batches.append(b)
}

// AddEvent adds the next event of the last batch.
func (x *Index) AddEvent(entry Entry, id uuid.UUID, name Name, version uint64, hash chain.Hash, key string) {
	x.addTo(x.stream(name), entry, id, version, hash, key)
}

// Ref is a stream of an index, for AddHidden. It ends with the next Clear. The zero
// Ref is none.
type Ref struct{ s *stream }

// Enter returns the stream of a name, and makes it if there is none.
func (x *Index) Enter(name Name) Ref { return Ref{x.stream(name)} }

// AddHidden is AddEvent, but Shown does not know of the event before Show.
func (x *Index) AddHidden(entry Entry, id uuid.UUID, to Ref, version uint64, hash chain.Hash, key string) {
	s := to.s
	if s.hide() {
		x.hidden = append(x.hidden, s)
	}
	x.addTo(s, entry, id, version, hash, key)
}

// hide begins to hide what is added to a stream, unless it does already.
func (s *stream) hide() (begun bool) {
	if s.hides {
		return false
	}
	s.hides, s.shown, s.shownVersion, s.shownHash = true, len(s.Ordinals), s.Version, s.Hash
	return true
}

// AddPending is AddHidden for events that are shown one after the other, by
// ShowUntil. An index takes one of the two kinds.
func (x *Index) AddPending(entry Entry, id uuid.UUID, name Name, version uint64, hash chain.Hash, key string) {
	s := x.stream(name)
	s.hide()
	x.pending = append(x.pending, pending{s, x.events.len(), version, hash})
	x.addTo(s, entry, id, version, hash, key)
}

// AddPendingNote is AddPending for a note.
func (x *Index) AddPendingNote(entry Entry, name string, data []byte) {
	n := x.note(name)
	n.hide()
	n.pending++
	ordinal := x.notes.len()
	x.addNote(n, entry, data)
	x.pendingNotes = append(x.pendingNotes, pendingNote{n, ordinal, Note{Data: bytes.Clone(data), Batch: n.Batch, Count: n.Count}})
}

// ShowUntil lets Shown know of the pending events with a lower ordinal, and
// ShownNote of the pending notes with one.
func (x *Index) ShowUntil(ordinal, note uint64) {
	shown := 0
	for ; shown < len(x.pending) && x.pending[shown].ordinal < ordinal; shown++ {
		p := &x.pending[shown]
		p.s.shown++
		p.s.shownVersion, p.s.shownHash = p.version, p.hash
		p.s.hides = p.s.shown < len(p.s.Ordinals)
	}
	x.pending = slices.Delete(x.pending, 0, shown)
	shown = 0
	for ; shown < len(x.pendingNotes) && x.pendingNotes[shown].ordinal < note; shown++ {
		p := &x.pendingNotes[shown]
		p.n.pending--
		if p.n.shown = p.Note; p.n.pending == 0 {
			p.n.hides, p.n.shown = false, Note{}
		}
	}
	x.pendingNotes = slices.Delete(x.pendingNotes, 0, shown)
}

// Show lets Shown know of all events, and ShownNote of all notes.
func (x *Index) Show() {
	for _, s := range x.hidden {
		s.hides = false
	}
	for _, n := range x.veiled {
		n.hides, n.shown = false, Note{}
	}
	x.hidden, x.veiled = x.hidden[:0], x.veiled[:0]
}

// AddNote adds the next note of the last batch. The index copies the data.
func (x *Index) AddNote(entry Entry, name string, data []byte) {
	x.addNote(x.note(name), entry, data)
}

// AddHiddenNote is AddNote, but ShownNote does not know of the note before Show.
func (x *Index) AddHiddenNote(entry Entry, name string, data []byte) {
	n := x.note(name)
	if n.hide() {
		x.veiled = append(x.veiled, n)
	}
	x.addNote(n, entry, data)
}

// hide begins to hide the later notes of a name, unless it does already.
func (n *note) hide() (begun bool) {
	if n.hides {
		return false
	}
	n.hides, n.shown, n.Note = true, n.Note, Note{Count: n.Count}
	return true
}

func (x *Index) note(name string) *note {
	n := x.named[name]
	if n == nil {
		n = new(note)
		x.named[name] = n
	}
	return n
}

func (x *Index) addNote(n *note, entry Entry, data []byte) {
	x.notes.append(entry)
	n.Note = Note{Data: append(n.Data[:0], data...), Batch: x.batches.at(x.batches.len() - 1).Number, Count: n.Count + 1}
}

// NoteNames returns the names of all notes, in no order.
func (x *Index) NoteNames() []string {
	return slices.AppendSeq(make([]string, 0, len(x.named)), maps.Keys(x.named))
}

// Notes is the number of notes.
func (x *Index) Notes() uint64 { return x.notes.len() }

// Note returns the last note of a name.
func (x *Index) Note(name string) (Note, bool) {
	n := x.named[name]
	if n == nil {
		return Note{}, false
	}
	return n.Note, true
}

// ShownNote is Note without the hidden ones.
func (x *Index) ShownNote(name string) (Note, bool) {
	n := x.named[name]
	if n == nil || n.hides && n.shown.Batch == 0 {
		return Note{}, false
	}
	if n.hides {
		return n.shown, true
	}
	return n.Note, true
}

// NoteEntry returns where the note with this ordinal lies, which must be below
// Notes; its Item counts from the first note of the batch.
func (x *Index) NoteEntry(ordinal uint64) Entry { return *x.notes.at(ordinal) }

// MoveNote says that the note with this ordinal now lies elsewhere.
func (x *Index) MoveNote(ordinal uint64, segment, offset uint32) {
	e := x.notes.at(ordinal)
	e.Segment, e.Offset = segment, offset
}

// BatchOfNote returns the batch that brought the note with this ordinal.
func (x *Index) BatchOfNote(ordinal uint64) Batch {
	n := int(x.batches.len())
	return *x.batches.at(uint64(sort.Search(n, func(i int) bool { return uint64(x.batches.at(uint64(i)).Note) > ordinal }) - 1))
}

// BatchNumbered returns the batch with this number, which the index must have.
func (x *Index) BatchNumbered(number uint64) Batch {
	n := int(x.batches.len())
	return *x.batches.at(uint64(sort.Search(n, func(i int) bool { return x.batches.at(uint64(i)).Number >= number })))
}

// FirstNote returns the ordinal of the first note of the batches with at least
// this number, or Notes.
func (x *Index) FirstNote(batch uint64) uint64 {
	n := int(x.batches.len())
	i := sort.Search(n, func(i int) bool { return x.batches.at(uint64(i)).Number >= batch })
	if i == n {
		return x.notes.len()
	}
	return uint64(x.batches.at(uint64(i)).Note)
}

// Shown is Stream without the hidden events.
func (x *Index) Shown(name Name) Stream {
	s := x.streams[name]
	if s == nil {
		return Stream{Name: name}
	}
	if s.hides {
		return Stream{Name: name, Version: s.shownVersion, Hash: s.shownHash, Ordinals: s.Ordinals[:s.shown]}
	}
	return s.Stream
}

// stream returns that of a name, a new one if need be.
func (x *Index) stream(name Name) *stream {
	s := x.streams[name]
	if s == nil {
		s = x.newStream()
		s.Name = name
		x.streams[name] = s
	}
	return s
}

func (x *Index) addTo(s *stream, entry Entry, id uuid.UUID, version uint64, hash chain.Hash, key string) {
	ordinal := x.events.len()
	if !x.loose && ordinal > 0 && bytes.Compare(x.events.at(ordinal - 1).id[:], id[:]) >= 0 {
		x.loose = true
		for o := range ordinal {
			x.addID(x.events.at(o).id, o)
		}
	}
	if x.loose {
		x.addID(id, ordinal)
	}
	x.events.append(event{entry, id})
	if key != "" {
		x.addKey(key, ordinal)
	}
	s.Version, s.Hash = version, hash
	s.Ordinals = append(s.Ordinals, ordinal)
}

func (x *Index) newStream() *stream {
	if n := len(x.used); n > 0 {
		s := x.used[n-1]
		x.used = x.used[:n-1]
		s.Stream = Stream{Ordinals: s.Ordinals[:0]}
		return s
	}
	if len(x.spare) == 0 {
		x.spare = make([]stream, min(max(4, len(x.streams)), 256))
	}
	s := &x.spare[0]
	x.spare = x.spare[1:]
	s.Ordinals = s.few[:0]
	return s
}

// mostKept is how many events an index may have had whose room it keeps.
const mostKept = pageSize / 4

// Clear makes an empty index of x, and keeps the room that it has, if it is
// small. Nothing that x has returned is valid any more.
func (x *Index) Clear() {
	if max(x.events.len(), x.keyed.len(), x.batches.len(), x.notes.len()) > mostKept {
		*x = *New()
		return
	}
	x.Show()
	x.ShowUntil(math.MaxUint64, math.MaxUint64)
	for _, s := range x.streams { // which is used first shows nowhere
		x.used = append(x.used, s)
	}
	clear(x.streams)
	clear(x.named)
	x.notes.last = x.notes.last[:0]
	x.events.last, x.batches.last = x.events.last[:0], x.batches.last[:0]
	x.keyed.last = x.keyed.last[:0]
	x.ids.clear()
	x.loose = false
	x.keys.clear()
}

// Entry returns the event with this ordinal, which must be below Len.
func (x *Index) Entry(ordinal uint64) Entry { return x.events.at(ordinal).Entry }

// Move says that the event with this ordinal now lies elsewhere.
func (x *Index) Move(ordinal uint64, segment, offset uint32) {
	e := x.events.at(ordinal)
	e.Segment, e.Offset = segment, offset
}

// BatchOf returns the batch that brought the event with this ordinal.
func (x *Index) BatchOf(ordinal uint64) Batch {
	n := int(x.batches.len())
	return *x.batches.at(uint64(sort.Search(n, func(i int) bool { return x.batches.at(uint64(i)).Ordinal > ordinal }) - 1))
}

// Sequence returns the sequence of the event with this ordinal.
func (x *Index) Sequence(ordinal uint64) uint64 {
	b := x.BatchOf(ordinal)
	return b.First + (ordinal - b.Ordinal)
}

// Ceiling returns the ordinal of the first event with at least this sequence,
// or Len.
func (x *Index) Ceiling(sequence uint64) uint64 {
	n := int(x.batches.len())
	i := sort.Search(n, func(i int) bool {
		b := x.batches.at(uint64(i))
		return b.First+uint64(b.Events) > sequence
	})
	if i == n {
		return x.events.len()
	}
	b := x.batches.at(uint64(i))
	if sequence <= b.First {
		return b.Ordinal
	}
	return b.Ordinal + (sequence - b.First)
}

// ByID returns the ordinal of the event with this id.
func (x *Index) ByID(id uuid.UUID) (uint64, bool) {
	if !x.loose {
		n := int(x.events.len())
		i := uint64(sort.Search(n, func(i int) bool { return bytes.Compare(x.events.at(uint64(i)).id[:], id[:]) >= 0 }))
		return i, i < uint64(n) && x.events.at(i).id == id
	}
	_, ordinal, ok := x.ids.find(x.hashID(id), func(ordinal uint64) bool { return x.events.at(ordinal).id == id })
	return ordinal, ok
}

// ID returns the id of the event with this ordinal, which must be below Len.
func (x *Index) ID(ordinal uint64) uuid.UUID { return x.events.at(ordinal).id }

// LastID returns the id of the last event, or zero.
func (x *Index) LastID() uuid.UUID {
	if n := x.events.len(); n > 0 {
		return x.events.at(n - 1).id
	}
	return uuid.UUID{}
}

func (x *Index) addID(id uuid.UUID, ordinal uint64) {
	x.ids.reserve(func(ordinal uint64) uint64 { return x.hashID(x.events.at(ordinal).id) })
	hash := x.hashID(id)
	slot, _, again := x.ids.find(hash, func(ordinal uint64) bool { return x.events.at(ordinal).id == id })
	x.ids.set(slot, hash, ordinal, !again)
}

func (x *Index) hashID(id uuid.UUID) uint64 { return maphash.Bytes(x.seed, id[:]) }

// ByKey returns the ordinal of the event with this idempotency key.
func (x *Index) ByKey(key string) (uint64, bool) {
	_, at, ok := x.keys.find(maphash.String(x.seed, key), func(at uint64) bool { return x.keyed.at(at).key == key })
	if !ok {
		return 0, false
	}
	return x.keyed.at(at).ordinal, true
}

func (x *Index) addKey(key string, ordinal uint64) {
	x.keys.reserve(func(at uint64) uint64 { return maphash.String(x.seed, x.keyed.at(at).key) })
	hash := maphash.String(x.seed, key)
	slot, _, again := x.keys.find(hash, func(at uint64) bool { return x.keyed.at(at).key == key })
	x.keys.set(slot, hash, x.keyed.len(), !again)
	x.keyed.append(keyed{key, ordinal})
}

// Stream returns the stream's state; its Ordinals must not be changed.
func (x *Index) Stream(name Name) (Stream, bool) {
	if s := x.streams[name]; s != nil {
		return s.Stream, true
	}
	return Stream{Name: name}, false
}

// Version returns the version of a stream's last event, or 0.
func (x *Index) Version(name Name) uint64 {
	if s := x.streams[name]; s != nil {
		return s.Version
	}
	return 0
}

// Names returns the names of all streams for which keep returns true, sorted
// by scope, then stream.
func (x *Index) Names(keep func(Name) bool) []Name {
	var names []Name
	for name := range x.streams {
		if keep(name) {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := names[i], names[j]
		return a.Scope < b.Scope || a.Scope == b.Scope && a.Stream < b.Stream
	})
	return names
}

// AllNames yields the names of all streams, in no order.
func (x *Index) AllNames() iter.Seq[Name] { return maps.Keys(x.streams) }

// pages is a slice that grows without copying what it holds: a log of millions
// of events must not need twice its index for a moment.
type pages[T any] struct {
	full [][]T
	last []T
}

const (
	pageBits = 12
	pageSize = 1 << pageBits
	// firstPage is the room of the first page at first: a log may stay small.
	firstPage = 8
)

func (p *pages[T]) len() uint64 { return uint64(len(p.full))<<pageBits + uint64(len(p.last)) }

func (p *pages[T]) at(i uint64) *T {
	if page := i >> pageBits; page < uint64(len(p.full)) {
		return &p.full[page][i&(pageSize-1)]
	}
	return &p.last[i&(pageSize-1)]
}

func (p *pages[T]) append(value T) {
	if p.last == nil {
		p.last = make([]T, 0, firstPage)
	}
	p.last = append(p.last, value)
	if len(p.last) == pageSize {
		p.full = append(p.full, p.last)
		p.last = make([]T, 0, pageSize)
	}
}

// Streams is the number of streams.
func (x *Index) Streams() int { return len(x.streams) }
