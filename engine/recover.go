package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"syscall"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// Recovery is what Open found and did.
type Recovery struct {
	Segments int    // that hold batches
	Batches  uint64 // in the log
	Events   uint64 // in the log

	// Torn is set when the log ended in bytes that are no whole batch and that
	// nothing proves to have been durable: what a power cut leaves of a batch
	// that nobody was told of.
	Torn       bool
	TornAt     Position
	TornReason string

	// Fresh is the number of the segment that Open began in order to leave a
	// doubtful end behind, or 0; Carried is how many batches it copied there.
	Fresh   uint64
	Carried int

	// Removed names the files of segments that were not finished, and were
	// removed.
	Removed []string

	// Unproven, with Options.ReadOnly, counts the last events, whole but not
	// known to be durable; they are read with Query.Buffered only.
	Unproven uint64
	// UnprovenBatches counts their batches, and those of notes alone among them.
	UnprovenBatches uint64

	// Damage lists what Options.Salvage found.
	Damage []*CorruptError
}

// LogValue keeps the log line short.
func (r Recovery) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("segments", r.Segments), slog.Uint64("batches", r.Batches), slog.Uint64("events", r.Events),
		slog.Bool("torn", r.Torn), slog.Uint64("fresh", r.Fresh), slog.Int("carried", r.Carried), slog.Int("damaged", len(r.Damage)))
}

// Recovery returns what Open found and did.
func (l *Log) Recovery() Recovery {
	r := l.recovery
	r.Removed = slices.Clone(r.Removed)
	r.Damage = slices.Clone(r.Damage)
	return r
}

// recovering is the state of one recovery.
type recovering struct {
	*Log
	last      point  // behind the last batch accepted
	proven    point  // behind the last batch that is known to be durable
	unproven  []span // the batches between the two
	carried   uint64 // batches up to this number were synced before their segment got its name
	rescanned int64  // where a reader without the lock has looked twice
	all       bool   // the heads of batches are checked that are proven durable, too
	lenient   bool   // the next batch need not continue the log: something before it was damaged
	leftovers []string
	found     segment.Found // what ended the last segment
	size      int64         // of the last segment's file

	reader  *reader // for its scanner
	hashes  []chain.Hash
	inBatch map[index.Name]uint64 // versions after the earlier items of a batch
}

// recover finds the longest prefix of the log that is whole, decides whether
// what follows is a torn tail or damage, and leaves a log that goes on behind
// the prefix and serves nothing that is not durable. See FORMAT.md, Recovery.
func (l *Log) recover() error {
	l.observe(Point{Name: PointRecoverBegin, Offset: -1})
	r := &recovering{Log: l, reader: l.reader(), inBatch: map[index.Name]uint64{}}
	defer l.giveBack(r.reader)
	if err := r.openSegments(); err != nil {
		return err
	}
	if id := l.opts.ID; id != uuid.Nil && l.firstSegment != 0 && id != l.logID {
		return fmt.Errorf("%w: it is log %v, not %v", ErrOtherLog, uuid.UUID(l.logID), id)
	}
	l.observe(Point{Name: PointRecoverIndex, Offset: -1})
	for _, number := range l.numbers {
		if err := r.scan(l.segments[number]); err != nil {
			return err
		}
	}
	l.observe(Point{Name: PointRecoverFrame, Batch: r.last.batch, Offset: r.last.end})
	if l.opts.ReadOnly {
		r.serveReadOnly()
	} else if err := r.goOn(); err != nil {
		return err
	}
	l.id = l.index.LastID()
	l.recoverSignatures()
	l.recovery.Segments = len(l.segments)
	if l.active != nil && !l.active.headed {
		l.recovery.Segments--
	}
	l.recovery.Batches = l.index.Batches()
	l.recovery.Events = l.index.Len()
	l.observe(Point{Name: PointRecoverEnd, Batch: r.last.batch, Offset: -1})
	return nil
}

// openSegments opens every segment that counts, in order, and checks that none
// is missing or foreign. Those without a header are prepared, and do not count.
func (r *recovering) openSegments() error {
	l := r.Log
	names, err := l.dir.names()
	if errors.Is(err, fs.ErrNotExist) && l.opts.ReadOnly {
		return fmt.Errorf("there is no log: %w", err)
	}
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, name := range names {
		switch number, suffix, ok := segment.ParseName(name); {
		case ok && suffix == segment.Suffix:
			numbers = append(numbers, number)
		case ok:
			r.leftovers = append(r.leftovers, name)
		}
	}
	slices.Sort(numbers)
	slices.Sort(r.leftovers)
	for _, number := range numbers {
		s, err := r.openSegment(number)
		if errors.Is(err, record.ErrNoHeader) {
			continue
		}
		if err == nil {
			err = r.belongs(s)
		}
		if err != nil {
			if s != nil && s.file != nil {
				s.file.Close()
			}
			if !r.salvage(err) {
				return err
			}
			continue
		}
		if err := r.follows(s); err != nil && !r.salvage(err) {
			s.file.Close()
			return err
		}
		if err := r.spareFile(); err != nil {
			s.file.Close()
			return err
		}
		l.segments[number] = s
		l.numbers = append(l.numbers, number)
		l.lastSegment = number
		if l.firstSegment == 0 {
			l.firstSegment = number
			l.logID = s.header.LogID
		}
	}
	return nil
}

// spareFile closes the file of the last segment so far, which has a follower
// now, if many are open. The scan opens it again.
func (r *recovering) spareFile() error {
	if len(r.numbers) < mostWaiting {
		return nil
	}
	s := r.segments[r.lastSegment]
	file := s.file
	s.file = nil
	return file.Close()
}

// openSegment opens segment number n and reads its header. The error matches
// record.ErrNoHeader if it does not count.
func (r *recovering) openSegment(n uint64) (*segmentFile, error) {
	file, err := r.openFile(n)
	if err != nil {
		return nil, err
	}
	s := &segmentFile{number: n, file: file}
	s.header, err = segment.ReadHeader(file)
	switch {
	case errors.Is(err, record.ErrNoHeader):
		file.Close()
		return nil, err
	case err != nil:
		return s, headerError(n, err)
	case !r.opts.ReadOnly && !s.header.Writable():
		return s, fmt.Errorf("%w: segment %d can be read but not written: open with ReadOnly", ErrVersion, n)
	}
	s.place = record.NewPlace(s.header.Seed)
	s.headed, s.read = true, true
	return s, nil
}

// headerError says what is wrong with the header of segment n.
func headerError(n uint64, err error) error {
	var major *record.MajorError
	var feature *record.FeatureError
	var header *record.HeaderError
	switch {
	case errors.As(err, &major), errors.As(err, &feature):
		return fmt.Errorf("%w: segment %d: %w", ErrVersion, n, err)
	case errors.As(err, &header):
		return &CorruptError{Segment: n, Where: "interior", Reason: "its header", Err: err}
	}
	return fmt.Errorf("read the header of segment %d: %w", n, err)
}

func (r *recovering) openFile(n uint64) (afero.File, error) {
	flag := readWrite
	if r.opts.ReadOnly {
		flag = readOnly
	}
	return r.dir.open(segment.Name(n), flag)
}

// belongs checks that a file is the segment that its name says, of this log.
func (r *recovering) belongs(s *segmentFile) error {
	reason := ""
	switch h := &s.header; {
	case h.Number != s.number:
		reason = fmt.Sprintf("the file holds segment %d: it was moved", h.Number)
	case r.lastSegment != 0 && h.LogID != r.logID:
		reason = "it belongs to another log"
	case r.lastSegment == 0 && h.PreviousBatch == 0 && h.PreviousEnd == 0 && h.PreviousHead != chain.LogRoot(h.LogID):
		reason = "it does not begin its log"
	default:
		return nil
	}
	return &CorruptError{Segment: s.number, Where: "interior", Reason: reason}
}

// follows checks that no segment is missing before one.
func (r *recovering) follows(s *segmentFile) error {
	h := &s.header
	switch {
	case r.lastSegment == 0 && (h.PreviousBatch != 0 || h.PreviousEnd != 0):
		return &CorruptError{Segment: s.number, Where: "interior", Reason: "the segments before it are missing"}
	case r.lastSegment != 0 && s.number != r.lastSegment+1:
		return &CorruptError{Segment: r.lastSegment + 1, Where: "interior", Reason: "the segment is missing or has no whole header"}
	}
	return nil
}

// salvage notes damage, and reports whether to go on all the same.
func (r *recovering) salvage(err error) bool {
	var damage *CorruptError
	if !r.opts.Salvage || !errors.As(err, &damage) {
		return false
	}
	r.recovery.Damage = append(r.recovery.Damage, damage)
	r.lenient = true
	return true
}

// scan takes the batches of one segment into the index.
func (r *recovering) scan(s *segmentFile) error {
	l := r.Log
	if s.file == nil {
		file, err := r.openFile(s.number)
		if err != nil {
			return err
		}
		l.mu.Lock()
		s.file = file
		l.mu.Unlock()
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	r.size = info.Size()
	l.mu.Lock()
	s.filled = r.size
	l.mu.Unlock()
	next := l.segments[s.number+1]
	limit := int64(-1) // where the batches end, if that is known
	if next != nil {
		limit = int64(min(next.header.PreviousEnd, math.MaxInt64))
	}
	if err := r.enter(s); err != nil && !r.salvage(err) {
		return err
	}
	if err := r.scanFrom(s, record.DataStart, info.Size(), limit); err != nil {
		return err
	}
	if next != nil {
		s.sealed = true
		s.proven = true
		r.prove(r.last.batch)
		l.mu.Lock()
		file := s.file
		s.file = nil
		l.mu.Unlock()
		return file.Close()
	}
	return nil
}

// enter checks that a segment's header continues the log.
func (r *recovering) enter(s *segmentFile) error {
	h := &s.header
	r.carried = h.PreviousBatch + uint64(h.Carried)
	r.found, r.rescanned = segment.Found{}, 0
	s.end = record.DataStart
	if s.number == r.firstSegment {
		r.last = point{head: h.PreviousHead}
	}
	want, last := pointBefore(h), r.last
	want.end, last.end = record.DataStart, record.DataStart
	if r.lenient && want.batch >= last.batch && want.sequence >= last.sequence {
		last, r.lenient = want, false
	}
	r.last, r.proven, r.unproven = last, last, r.unproven[:0]
	if r.lenient || want == last {
		return nil
	}
	return &CorruptError{Segment: s.number - 1, Offset: int64(h.PreviousEnd), Sequence: last.sequence + 1, Where: "interior",
		Reason: fmt.Sprintf("it ends in batch %d, but segment %d goes on after batch %d", last.batch, s.number, want.batch)}
}

// scanFrom scans from an offset to the limit, or to wherever the batches end.
func (r *recovering) scanFrom(s *segmentFile, offset, size, limit int64) error {
	if err := r.start(s, offset, size); err != nil {
		return err
	}
	for {
		found, reached, err := r.acceptAll(s, limit)
		if reached || err != nil {
			return err
		}
		resume, err := r.stop(s, &found, limit)
		if resume < 0 || err != nil {
			return err
		}
		if r.rescanned != resume && r.reader.scanner.Skip(resume) {
			continue // damage may come at every step: do not read all again each time
		}
		if err := r.start(s, resume, size); err != nil {
			return err
		}
	}
}

// start begins a scan of a segment at an offset.
func (r *recovering) start(s *segmentFile, offset, size int64) error {
	_, err := s.file.Seek(offset, io.SeekStart)
	r.reader.scanner.Reset(s.file, &s.header, offset, size)
	return err
}

// acceptAll takes the batches that continue the log, up to the limit, or else up to
// what it found there instead.
func (r *recovering) acceptAll(s *segmentFile, limit int64) (found segment.Found, reached bool, err error) {
	scanner := &r.reader.scanner
	for scanner.Offset() != limit {
		found = scanner.Next()
		if err := scanner.Err(); err != nil {
			return found, false, fmt.Errorf("read segment %d: %w", s.number, err)
		}
		accepted := false
		switch found.Kind {
		case segment.FoundBatch:
			accepted = r.acceptBatch(s, &found)
		case segment.FoundEnd:
			accepted = r.acceptEnd(s, &found)
		default:
			return found, false, nil
		}
		if !accepted {
			return r.beforeGap(found), false, scanner.Err()
		}
		scanner.Advance(found)
	}
	return found, true, nil
}

// beforeGap makes a tear at the scanner's place of one behind a gap: what lies there
// is whole, so that what should be before it is missing.
func (r *recovering) beforeGap(refused segment.Found) segment.Found {
	scanner := &r.reader.scanner
	if refused.Offset == scanner.Offset() {
		return refused
	}
	tear := scanner.Here()
	if tear.Kind != segment.FoundTear {
		tear = segment.Found{Kind: segment.FoundTear, Offset: scanner.Offset(), Reason: refused.Reason}
	}
	return tear
}

// acceptBatch takes a whole batch into the index, if it continues the log.
// Otherwise it makes a tear of it.
func (r *recovering) acceptBatch(s *segmentFile, found *segment.Found) bool {
	b := found.Batch
	m := &b.Mark
	reason := ""
	switch {
	case r.lenient && m.Batch > r.last.batch && m.Sequence > r.last.sequence:
	case m.Batch != r.last.batch+1:
		reason = fmt.Sprintf("batch %d follows batch %d", m.Batch, r.last.batch)
	case m.Sequence != r.last.sequence+1:
		reason = fmt.Sprintf("batch %d begins with event %d instead of %d", m.Batch, m.Sequence, r.last.sequence+1)
	case (r.all || !r.provenBy(b)) && r.head(b) != b.Head:
		// What a later sync covered was written by whoever knew the head.
		reason = "its head does not continue the log"
	}
	if reason == "" {
		reason = r.versions(b)
	}
	if reason != "" {
		*found = segment.Found{Kind: segment.FoundTear, Offset: b.Offset, After: b.End, Mark: m, Reason: reason}
		return false
	}
	r.lenient = false
	r.take(s, b)
	return true
}

// take takes a batch into the index. Somebody may be reading a log that is
// followed.
func (r *recovering) take(s *segmentFile, b *segment.Batch) {
	l, m := r.Log, &b.Mark
	l.mu.Lock()
	defer l.mu.Unlock()
	addEvent, addNote := l.index.AddEvent, l.index.AddNote
	if l.opts.ReadOnly {
		addEvent, addNote = l.index.AddPending, l.index.AddPendingNote
	}
	l.index.AddBatch(index.Batch{Number: m.Batch, First: m.Sequence, Events: m.Events, Session: m.Session, Time: m.Time, Clock: m.Clock})
	ordinal := l.index.Len()
	for i := range b.Items {
		item := &b.Items[i]
		e := &item.Event
		addEvent(
			index.Entry{Segment: uint32(s.number), Offset: uint32(item.Offset), Length: uint32(item.Length), Item: uint32(i)},
			e.ID, index.Name{Scope: e.Scope, Stream: e.Stream}, e.Version, e.Hash, e.Key)
	}
	note := l.index.Notes()
	for i := range b.Notes {
		n := &b.Notes[i]
		addNote(index.Entry{Segment: uint32(s.number), Offset: uint32(n.Offset), Length: uint32(n.Length), Item: uint32(i)}, n.Name, n.Data)
	}
	if l.opts.Signing != nil && !onlySignatures(b) {
		l.signed.plain = m.Batch
	}
	if s.batches++; s.batches == 1 {
		s.began = m.Time
	}
	if m.Events > 0 {
		if s.first == 0 {
			s.first = m.Sequence
		}
		s.last = m.Sequence + uint64(m.Events) - 1
	}
	s.end, s.endBytes = b.End, nil
	r.prove(m.Synced)
	r.last = point{batch: m.Batch, sequence: m.Sequence + uint64(m.Events) - 1, time: m.Time, head: b.Head, end: b.End}
	r.unproven = append(r.unproven, span{offset: b.Offset, ordinal: ordinal, note: note, point: r.last})
	if r.provenBy(b) {
		r.prove(m.Batch)
	}
	r.showLocked()
}

// showLocked shows what is proven, and lets those who want it see the rest, of a
// log that is open read-only.
func (r *recovering) showLocked() {
	l := r.Log
	if !l.opts.ReadOnly {
		return
	}
	l.written, l.durable, l.unsynced = r.last, r.proven, r.unproven
	l.visible, l.accepted = r.proven.sequence, r.last.frontier()
	ordinal, note := l.index.Len(), l.index.Notes()
	if len(r.unproven) > 0 {
		ordinal, note = r.unproven[0].ordinal, r.unproven[0].note
	}
	l.index.ShowUntil(ordinal, note)
}

// provenBy reports whether something behind a batch, or the segment's header,
// says that it was synced.
func (r *recovering) provenBy(b *segment.Batch) bool {
	return b.Mark.Batch <= r.carried || b.Next != nil && b.Next.Synced >= b.Mark.Batch
}

// head computes the log head behind a batch.
func (r *recovering) head(b *segment.Batch) chain.Hash {
	r.hashes = slices.Grow(r.hashes[:0], len(b.Items))
	for i := range b.Items {
		r.hashes = append(r.hashes, b.Items[i].Event.Hash)
	}
	return r.hasher.Head(r.last.head, b.Mark.Batch, b.Mark.Sequence, r.hashes, r.hasher.Notes(b.Mark.Time, b.Mark.Clock, b.Records))
}

// versions says which event of a batch does not continue its stream.
func (r *recovering) versions(b *segment.Batch) string {
	if r.lenient || len(r.recovery.Damage) > 0 {
		return ""
	}
	few := len(b.Items) <= fewItems
	clear(r.inBatch)
	for i := range b.Items {
		e := &b.Items[i].Event
		name := index.Name{Scope: e.Scope, Stream: e.Stream}
		version, ok := uint64(0), false
		if few {
			version, ok = versionBefore(b.Items[:i], name)
		} else {
			version, ok = r.inBatch[name]
			r.inBatch[name] = e.Version
		}
		if !ok {
			version = r.index.Version(name)
		}
		if e.Version != version+1 {
			return fmt.Sprintf("item %d has version %d of stream %q, which is at %d", i, e.Version, e.Stream, version)
		}
	}
	return ""
}

// fewItems of a batch are looked through faster than a map is filled.
const fewItems = 16

// versionBefore returns the version of a stream behind the last of the items
// that is of it.
func versionBefore(items []segment.Item, name index.Name) (version uint64, ok bool) {
	for i := len(items) - 1; i >= 0; i-- {
		if e := &items[i].Event; e.Stream == name.Stream && e.Scope == name.Scope {
			return e.Version, true
		}
	}
	return 0, false
}

// acceptEnd takes note of an END, if it stands where it belongs.
func (r *recovering) acceptEnd(s *segmentFile, found *segment.Found) bool {
	m := found.End
	if m.Batch != r.last.batch || m.Sequence != r.last.sequence+1 {
		*found = segment.Found{Kind: segment.FoundTear, Offset: found.Offset, After: found.Offset + int64(m.Size), Mark: m, Reason: "an END of another place"}
		return false
	}
	l := r.Log
	l.mu.Lock()
	defer l.mu.Unlock()
	r.prove(m.Synced)
	// The next group is written together with this END once more: after a
	// failed sync it may be in the page cache only, and then no later sync would
	// bring it to the disk.
	s.endBytes = record.AppendEnd(nil, s.place, found.Offset, m)
	s.end = found.Offset + int64(m.Size)
	r.found = *found
	r.showLocked()
	return true
}

// prove says that batches up to this number are durable.
func (r *recovering) prove(batch uint64) {
	n := 0
	for n < len(r.unproven) && r.unproven[n].batch <= batch {
		r.proven = r.unproven[n].point
		n++
	}
	r.unproven = slices.Delete(r.unproven, 0, n) // in place: few are ever left
}

// stop decides what a place without a whole batch is: the end of the log, a
// torn tail, or damage. Salvaging, it returns the offset at which to go on, else
// −1.
func (r *recovering) stop(s *segmentFile, found *segment.Found, limit int64) (resume int64, err error) {
	damage := &CorruptError{Segment: s.number, Offset: found.Offset, Sequence: r.last.sequence + 1, Where: "interior", Reason: found.Reason}
	if found.Kind == segment.FoundNothing {
		damage.Reason = "it ends too early"
	}
	if limit >= 0 {
		damage.Reason += fmt.Sprintf(", but segment %d goes on after byte %d", s.number+1, limit)
		return r.skip(s, found, limit, damage)
	}
	if r.last.batch < r.carried {
		damage.Reason += fmt.Sprintf(", but batch %d was durable before the segment got its name", r.last.batch+1)
		return r.skip(s, found, r.size, damage)
	}
	if found.Kind == segment.FoundTear && found.Offset == record.DataStart {
		// Under a header that is not this file's own nothing looks whole. Both copies
		// come from one write: a crash never leaves two that differ.
		switch other, err := segment.ReadHeaderCopy(s.file, 1); {
		case err == nil && other != s.header:
			damage.Offset, damage.Reason = 0, "the two copies of its header differ"
			return r.skip(s, found, r.size, damage)
		case err != nil && !errors.Is(err, record.ErrNoHeader):
			return -1, headerError(s.number, err)
		}
	}
	proof, err := segment.Proof(s.file, r.size, &s.header, *found, r.last.batch+1)
	if err != nil {
		return -1, fmt.Errorf("read segment %d: %w", s.number, err)
	}
	if proof >= 0 && r.opts.ReadOnly && r.rescanned != found.Offset {
		// Without the lock, a writer may have come on between the two reads.
		r.rescanned = found.Offset
		return found.Offset, nil
	}
	if proof >= 0 {
		damage.Reason += fmt.Sprintf(", but byte %d proves that batch %d was durable", proof, r.last.batch+1)
		return r.skip(s, found, r.size, damage)
	}
	if r.found.Kind == segment.FoundEnd && r.found.End.Rotated && r.found.End.Batch == r.last.batch && !r.exists(s.number+1) {
		damage = &CorruptError{Segment: s.number + 1, Sequence: r.last.sequence + 1, Where: "interior", Reason: "the segment is missing"}
		return r.skip(s, found, r.size, damage)
	}
	r.found = *found
	if found.Kind == segment.FoundTear {
		r.recovery.Torn = true
		r.recovery.TornAt = Position{Segment: s.number, Offset: found.Offset}
		r.recovery.TornReason = found.Reason
	}
	return -1, nil
}

func (r *recovering) exists(number uint64) bool {
	_, err := r.dir.fs.Stat(r.dir.path(segment.Name(number)))
	return err == nil
}

// skip returns where to go on behind damage, if that is asked for. The segment's
// batches end at the limit: what lies behind is no part of the log.
func (r *recovering) skip(s *segmentFile, found *segment.Found, limit int64, damage *CorruptError) (resume int64, err error) {
	if !r.salvage(damage) {
		return -1, damage
	}
	resume, err = segment.NextBatch(s.file, min(r.size, limit), &s.header, *found)
	if err != nil || resume <= found.Offset {
		return -1, err
	}
	return resume, nil
}

// serveReadOnly serves what is whole, without writing.
func (r *recovering) serveReadOnly() {
	l := r.Log
	l.mu.Lock()
	r.showLocked()
	l.mu.Unlock()
	l.recovery.Unproven = r.last.sequence - r.proven.sequence
	l.recovery.UnprovenBatches = r.last.batch - r.proven.batch
}

// goOn leaves a log that can be written: in the last segment, if its end is
// beyond doubt, else in a fresh one.
func (r *recovering) goOn() error {
	l := r.Log
	for _, name := range r.leftovers {
		if err := r.lostName(name); err != nil {
			return err
		}
		if err := l.dir.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a segment that was not finished: %w", err)
		}
		l.recovery.Removed = append(l.recovery.Removed, name)
	}
	l.written, l.durable = r.last, r.proven
	l.unsynced = slices.Clone(r.unproven)
	if l.lastSegment == 0 {
		return r.beginLog()
	}
	s := l.segments[l.lastSegment]
	s.proven = s.header.Synced || r.proven.end > record.DataStart
	l.active = s
	goOn := r.blankEnd
	if r.found.Kind == segment.FoundTear || len(l.unsynced) > 0 || !s.proven {
		goOn = r.leave
	}
	if err := goOn(s); err != nil {
		return err
	}
	// A process that was killed may have left names that are not durable yet.
	if err := l.dir.syncNames(); err != nil {
		return fmt.Errorf("make the names of the segments durable: %w", err)
	}
	l.mu.Lock()
	l.publishLocked(l.written)
	l.accepted = l.written.frontier()
	l.mu.Unlock()
	return nil
}

// lostName reports damage where a file that looks unfinished was a segment once:
// a fresh segment gets batches besides those that it carries only when its name
// is durable. A disk has lied then.
func (r *recovering) lostName(name string) error {
	number, _, _ := segment.ParseName(name)
	file, err := r.dir.open(name, readOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	header, err := segment.ReadHeader(file)
	if err != nil || !header.Synced || header.Number != number || header.LogID != r.logID {
		return nil // not finished; what the disk says is told when the file is removed
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	scanner := &r.reader.scanner
	if _, err := file.Seek(record.DataStart, io.SeekStart); err != nil {
		return err
	}
	scanner.Reset(file, &header, record.DataStart, info.Size())
	for carried := uint32(0); ; carried++ {
		found := scanner.Next()
		if err := scanner.Err(); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if found.Kind != segment.FoundBatch {
			return nil
		}
		if m := &found.Batch.Mark; carried >= header.Carried && m.Batch > r.last.batch {
			return &CorruptError{Segment: number, Offset: found.Offset, Sequence: r.last.sequence + 1, Where: "tail",
				Reason: fmt.Sprintf("its name was durable when batch %d was written, and now it is called %s", m.Batch, name)}
		}
		scanner.Advance(found)
	}
}

// blankEnd makes sure that the log can go on in a segment: that the place of
// the next batch is zeros on the disk. Where the file ends there it may not be:
// a batch that was written, but whose size was lost, lies behind the end, and
// would come back when the file grows again.
func (r *recovering) blankEnd(s *segmentFile) error {
	l := r.Log
	next := l.groupOffset(s)
	if next+record.MarkSize <= r.size {
		return nil
	}
	until := segment.AlignUp(next+record.MarkSize, blockSize)
	err := writeAt(s.file, make([]byte, until-next), next)
	if err == nil {
		err = s.file.Sync()
	}
	if errors.Is(err, syscall.ENOSPC) {
		l.fail(fmt.Errorf("%w: %w", ErrNoSpace, err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("write zeros after the last batch: %w", err)
	}
	s.filled = until
	return nil
}

// leave begins a fresh segment behind the last batch that is known to be
// durable, and carries the others there. With no space for that it makes them
// durable where they are, and the log takes no writes.
func (r *recovering) leave(s *segmentFile) error {
	l := r.Log
	carried := len(l.unsynced)
	err := l.freshSegment(s)
	if err == nil {
		l.recovery.Fresh, l.recovery.Carried = l.active.number, carried
		return nil
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("begin a fresh segment: %w", err)
	}
	// An acknowledged batch may be among those that nothing proves: write the
	// same bytes again, so that a sync covers them whatever the page cache
	// thinks.
	if from, to := l.durable.end, l.written.end; to > from {
		bytes := make([]byte, to-from)
		if err := readAt(s.file, bytes, from); err != nil {
			return err
		}
		if !s.proven {
			bytes = append(s.header.Append(nil), bytes...)
			from = 0
		}
		if err := writeAt(s.file, bytes, from); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
	}
	l.fail(fmt.Errorf("%w: %w", ErrNoSpace, err))
	return nil
}

// beginLog makes the first segment of an empty log.
func (r *recovering) beginLog() error {
	l := r.Log
	if err := l.dir.sync(); err != nil {
		return fmt.Errorf("make the name of the directory durable: %w", err)
	}
	if l.logID = l.opts.ID; l.logID == [16]byte{} {
		if _, err := io.ReadFull(l.random, l.logID[:]); err != nil {
			return fmt.Errorf("draw the log's id: %w", err)
		}
	}
	p := &preparation{number: 1}
	l.prepare(p)
	if p.err != nil {
		return p.err
	}
	l.durable = point{head: chain.LogRoot(l.logID)}
	l.written = l.durable
	seed, err := l.newSeed(p.number)
	if err != nil {
		p.file.Close()
		return err
	}
	l.use(p, record.SegmentHeader{PreviousHead: l.durable.head, Seed: seed})
	return nil
}

// readAt reads all of b.
func readAt(f afero.File, b []byte, offset int64) error {
	n, err := f.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
