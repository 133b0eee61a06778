package tamper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simfs"
)

// Log is what the suite asks of a log; *engine.Log is one. Tests hand in others,
// which look away, to show that the suite notices.
type Log interface {
	Read(engine.Query) iter.Seq2[engine.Event, error]
	Notes(engine.NoteQuery) iter.Seq2[engine.Note, error]
	Get(uuid.UUID) (engine.Event, error)
	ReceiptOf(key string) (engine.Receipt, error)
	Verify(context.Context, ...engine.LogHead) (engine.Verification, error)
	VerifySigned(context.Context, proof.Keys, ...engine.LogHead) (engine.Verification, error)
	VerifyReceipt(engine.Receipt) error
	Recovery() engine.Recovery
}

// verdict is what became of one mutation.
type verdict struct {
	// What was shown that the log never held at that place, by reads alone.
	served string
	// An error of another kind than damage and versions.
	strange string

	named   bool // by Open or Verify, without a head
	head    bool // the same, or by a head that was kept
	receipt bool // by Open or Verify, or by the last receipt
	alone   bool // by Open, or by the last receipt without Verify
	keys    bool // by Open, or by Verify with the keys of those who may have signed

	verified uint64 // batches
	shown    int    // batches, durable, of the log that was verified
	same     bool   // all of the log is there, and nothing names it
	refused  bool   // opened for writing: an error
	cut      int    // opened for writing: so many batches are gone without an error
	lost     string
}

// judge opens a log whose files were changed, and looks what it does.
type judge struct {
	ctx  context.Context
	v    *subject
	room *engine.Room
	wrap func(*engine.Log) Log
}

// open opens a disk. A closed log is judged read-only, as untorn verify reads it;
// one that was not closed has batches that only an Open for writing proves.
func (j *judge) open(disk *simfs.FS, readOnly bool) (Log, func(), error) {
	log, clock, err := openLog(j.room, j.v.story, disk, 0x0de7, 1000, readOnly, nil)
	if err != nil {
		clock.Kill()
		return nil, nil, err
	}
	return j.wrap(log), func() {
		clock.Kill()
		j.room.Reclaim(log)
	}, nil
}

func (j *judge) judge(m *mutation) verdict {
	var d verdict
	disk, err := j.v.mutated(m)
	if err != nil {
		d.strange = err.Error()
		return d
	}
	j.readOnly(&d, disk)
	j.readWrite(&d, disk, m)
	return d
}

// readOnly opens the log as one that only reads does.
func (j *judge) readOnly(d *verdict, disk *simfs.FS) {
	log, end, err := j.open(disk, true)
	if err != nil {
		d.told("opened to be read", err)
		if j.v.story.closed {
			d.named, d.head, d.receipt, d.alone, d.keys = true, true, true, true, true
		}
		return
	}
	defer end()
	batches := j.read(d, log, engine.Query{})
	if log.Recovery().Unproven > 0 {
		j.read(d, log, engine.Query{Buffered: true})
	}
	j.look(d, log)
	if j.v.story.closed {
		d.shown = batches
		j.verify(d, log)
	}
}

// readWrite opens the log as its writer does.
func (j *judge) readWrite(d *verdict, disk *simfs.FS, m *mutation) {
	log, end, err := j.open(disk, false)
	if err != nil {
		d.told("opened to be written", err)
		d.refused = true
		if !j.v.story.closed {
			d.named, d.head, d.receipt, d.alone, d.keys = true, true, true, true, true
		}
		return
	}
	defer end()
	batches := j.read(d, log, engine.Query{})
	if !j.v.story.closed {
		d.shown = batches
		j.verify(d, log)
	}
	if batches < 0 {
		d.same = false
		return
	}
	d.cut = len(j.v.form.batches) - batches
	if whole := j.v.leading(m); d.cut > 0 && batches < whole {
		d.lost = fmt.Sprintf("%d batches are whole from the start on, and opened to be written the log has %d", whole, batches)
	}
	if proof := ""; d.cut > 0 && m.kind.group == damage {
		if proof = j.v.proof(m, batches+1); proof != "" {
			d.lost = fmt.Sprintf("opened to be written the log ends behind batch %d without a word, though %s proves the next", batches, proof)
		}
	}
	d.same = d.same && (d.refused || d.cut == 0)
}

// verify verifies the log with the head that was kept, and with a receipt.
func (j *judge) verify(d *verdict, log Log) {
	found, err := log.Verify(j.ctx, j.v.head)
	if errors.Is(err, engine.ErrNotFound) {
		err = nil // only the head names it
	}
	if err != nil {
		d.told("Verify", err)
	}
	d.named = err != nil || len(log.Recovery().Damage) > 0
	d.verified = found.Batches
	// As untorn verify --head compares, which also says that a log has gone on.
	d.head = d.named || len(found.Missing) > 0 || found.Head.Batch != j.v.head.Batch || log.Recovery().Unproven > 0
	d.keys = d.named
	if j.v.story.signed {
		// As untorn verify --keys judges.
		found, err := log.VerifySigned(j.ctx, j.v.keys)
		if err != nil {
			d.told("VerifySigned", err)
		}
		d.keys = d.keys || err != nil || !found.Signed.Signed()
	}
	last := j.v.receipts[len(j.v.receipts)-1]
	if err := log.VerifyReceipt(last); err != nil {
		d.alone = true
		if !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrInvalid) {
			d.strange = "VerifyReceipt: " + err.Error()
		}
	}
	d.receipt = d.named || d.alone
	d.same = !d.head && d.served == "" && d.shown == len(j.v.form.batches)
}

// told checks that an error is one that names damage.
func (d *verdict) told(who string, err error) {
	if !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrVersion) {
		d.strange = who + ": " + err.Error()
	}
}

// read reads all events, and returns how many whole batches of the original they
// are; −1 if they are something else.
func (j *judge) read(d *verdict, log Log, q engine.Query) (batches int) {
	events := j.v.events
	next, whole := 0, true
	for event, err := range log.Read(q) {
		if err != nil {
			d.told("a read", err)
			whole = false
			break
		}
		if !j.is(d, "a read", &event) {
			return -1
		}
		if event.Sequence != uint64(next)+1 {
			d.serves("a read yields event %d behind event %d", event.Sequence, next)
			return -1
		}
		next++
	}
	batches = len(j.v.form.batches)
	if next < len(events) {
		batch := int(events[next].Batch) // of the first that is missing
		if next > 0 && events[next-1].Batch == events[next].Batch {
			d.serves("a read ends with event %d, inside batch %d", next, batch)
			return -1
		}
		batches = batch - 1
	}
	return j.readNotes(d, log, q, batches, whole)
}

// readNotes reads all notes, and returns how many batches are whole with them, where
// the events are those of so many.
func (j *judge) readNotes(d *verdict, log Log, q engine.Query, batches int, whole bool) int {
	notes := j.v.notes
	next := 0
	for note, err := range log.Notes(engine.NoteQuery{Buffered: q.Buffered}) {
		if err != nil {
			d.told("a read of notes", err)
			whole = false
			break
		}
		if next == len(notes) || note.Name != notes[next].Name || note.Batch != notes[next].Batch || !bytes.Equal(note.Data, notes[next].Data) {
			d.serves("a read yields note %d of batch %d, %q, which is another", next+1, note.Batch, note.Name)
			return -1
		}
		next++
	}
	events := batches
	if next < len(notes) {
		batches = min(batches, int(notes[next].Batch)-1)
	}
	switch {
	case !whole:
	case next > 0 && int(notes[next-1].Batch) > batches:
		d.serves("there is a note of batch %d, and of batch %d not all", notes[next-1].Batch, batches+1)
		return -1
	case events > batches && j.v.has(batches+1, events):
		d.serves("there are events behind batch %d, whose note is not", batches+1)
		return -1
	}
	return batches
}

// has reports whether there is an event in some batches.
func (v *subject) has(from, to int) bool {
	return slices.ContainsFunc(v.events, func(e engine.Event) bool { return int(e.Batch) >= from && int(e.Batch) <= to })
}

func (d *verdict) serves(format string, args ...any) {
	if d.served == "" {
		d.served = fmt.Sprintf(format, args...)
	}
}

// is compares an event with the one that the log had at its place.
func (j *judge) is(d *verdict, who string, event *engine.Event) bool {
	if event.Sequence == 0 || event.Sequence > uint64(len(j.v.events)) {
		d.serves("%s yields event %d of %d", who, event.Sequence, len(j.v.events))
		return false
	}
	want := &j.v.events[event.Sequence-1]
	if field, wanted, found := model.Difference(want, event); field != "" {
		d.serves("%s yields event %d with %s %s instead of %s", who, event.Sequence, field, found, wanted)
		return false
	}
	return true
}

// look asks for every event by its id and by its key.
func (j *judge) look(d *verdict, log Log) {
	for i := range j.v.events {
		want := &j.v.events[i]
		event, err := log.Get(want.ID)
		switch {
		case err == nil:
			j.is(d, "Get", &event)
		case !errors.Is(err, engine.ErrNotFound):
			d.told("Get", err)
		}
		receipt, err := log.ReceiptOf(want.Key)
		switch {
		case err == nil && !receipt.Equal(j.v.receipts[i]):
			d.serves("key %q yields another receipt", want.Key)
		case err != nil && !errors.Is(err, engine.ErrNotFound):
			d.told("ReceiptOf", err)
		}
	}
}

// mutated returns the disk with a mutation done to it.
func (v *subject) mutated(m *mutation) (*simfs.FS, error) {
	disk := v.disk.Clone()
	keep := map[string][]byte{}
	for _, f := range m.files {
		keep[f.name] = f.bytes
	}
	for _, old := range v.files {
		now, ok := keep[old.name]
		if !ok {
			if err := disk.Remove(old.name); err != nil {
				return nil, err
			}
			continue
		}
		delete(keep, old.name)
		if err := overwrite(disk, old, now); err != nil {
			return nil, err
		}
	}
	for _, f := range m.files {
		if bytes, ok := keep[f.name]; ok {
			if err := afero.WriteFile(disk, f.name, bytes, 0o644); err != nil {
				return nil, err
			}
		}
	}
	return disk, nil
}

// overwrite writes the range in which a file differs.
func overwrite(disk *simfs.FS, old file, now []byte) error {
	same := len(now) == len(old.bytes)
	if same && (len(now) == 0 || &now[0] == &old.bytes[0]) {
		return nil
	}
	from, to := 0, len(now)
	for from < min(len(now), len(old.bytes)) && now[from] == old.bytes[from] {
		from++
	}
	for same && to > from && now[to-1] == old.bytes[to-1] {
		to--
	}
	handle, err := disk.OpenFile(old.name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer handle.Close()
	if !same {
		if err := handle.Truncate(int64(len(now))); err != nil {
			return err
		}
	}
	_, err = handle.WriteAt(now[from:to], int64(from))
	return err
}

// now returns a file as a mutation has left it, or nil.
func (m *mutation) now(name string) []byte {
	for _, f := range m.files {
		if f.name == name {
			return f.bytes
		}
	}
	return nil
}

// stands reports whether a range of a file is what it was.
func (m *mutation) stands(s *segmentForm, from, to int64) bool {
	now := m.now(s.name)
	return int64(len(now)) >= to && bytes.Equal(now[from:to], s.raw[from:to])
}

// headed reports whether one of a segment's headers is what it was.
func (m *mutation) headed(s *segmentForm) bool {
	return m.stands(s, 0, record.SegmentHeaderSize) || m.stands(s, record.BlockSize, record.BlockSize+record.SegmentHeaderSize)
}

// leading counts the batches that are what they were, from the first on.
func (v *subject) leading(m *mutation) int {
	for i, p := range v.form.batches {
		if !m.headed(p.segment) || !m.stands(p.segment, p.offset, p.offset+p.length) {
			return i
		}
	}
	return len(v.form.batches)
}

// intact reports whether every byte that belongs to the log is what it was.
func (v *subject) intact(m *mutation) bool {
	for n, f := range v.files {
		now := m.now(f.name)
		if now == nil && v.form.segments[n].counts {
			return false
		}
		if len(now) > 0 && len(now) == len(f.bytes) && &now[0] == &f.bytes[0] {
			continue
		}
		for i, c := range v.classes[n] {
			if c != slack && (i >= len(now) || now[i] != f.bytes[i]) {
				return false
			}
		}
	}
	return true
}

// valid reports whether the first batches of a mutated log are valid in
// themselves: all their hashes computed anew are those that they say.
func (v *subject) valid(m *mutation, batches uint64) bool {
	f, err := parse(m.files)
	if err != nil || uint64(len(f.batches)) < batches {
		return false
	}
	c := f.clone()
	c.rehash(everything)
	for i, p := range f.batches[:batches] {
		q := c.batches[i]
		if p.head != q.head || !slices.EqualFunc(p.events, q.events, func(a, b record.Event) bool { return a.Hash == b.Hash }) {
			return false
		}
	}
	return true
}

// proof names a place that is what it was, and says that a batch was durable: a
// mark that was written when that batch was synced, or the header of a later
// segment. Marks count only where no more than a page was damaged, since nobody
// looks further for them than 8 KiB without a frame.
func (v *subject) proof(m *mutation, batch int) string {
	if batch > len(v.form.batches) {
		return ""
	}
	home := v.form.batches[batch-1].segment
	if m.touched <= record.BlockSize && m.headed(home) {
		for _, p := range home.parts {
			if p.mark.Synced >= uint64(batch) && m.stands(home, p.offset, p.offset+record.MarkSize) {
				return fmt.Sprintf("the mark at byte %d of %s", p.offset, strings.TrimPrefix(home.name, dir+"/"))
			}
		}
	}
	for _, s := range v.form.segments {
		if s.counts && s.file > home.file && s.header.PreviousBatch >= uint64(batch) && m.headed(s) {
			return "the header of " + strings.TrimPrefix(s.name, dir+"/")
		}
	}
	return ""
}
