package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// Append appends one event, durably: a batch of one.
func (l *Log) Append(ctx context.Context, draft Draft) (Receipt, error) {
	c := l.newCall()
	c.draft[0] = draft
	c.batch.Events = c.draft[:]
	c.receipts = c.receipt[:0]
	var receipt Receipt
	err := l.append(ctx, c)
	if err == nil {
		receipt = c.receipts[0]
	}
	l.doneWith(c)
	return receipt, err
}

// AppendBatch appends all events and notes of a batch, or none. An empty batch
// touches nothing. There is a receipt for each event; notes have none.
//
// The context is looked at until the batch is taken into a group; from then on
// the call waits for the true outcome. Every error matches ErrRejected,
// ErrFailed or ErrInDoubt; a rejection also matches what is wrong:
// ErrWrongVersion, ErrNoteChanged, ErrKeyConflict, ErrDenied, ErrLimit,
// ErrInvalid, ErrClosed, ErrReadOnly or ErrLogFailed.
func (l *Log) AppendBatch(ctx context.Context, batch Batch) ([]Receipt, error) {
	if len(batch.Events) == 0 && len(batch.Notes) == 0 {
		return nil, nil
	}
	c := l.newCall()
	c.batch = batch
	err := l.append(ctx, c)
	receipts := c.receipts
	l.doneWith(c)
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// append is the way of every call.
func (l *Log) append(ctx context.Context, c *call) error {
	if l.opts.Metrics != nil {
		return l.appendTold(ctx, c)
	}
	return l.appendCall(ctx, c)
}

func (l *Log) appendCall(ctx context.Context, c *call) error {
	gated := len(l.opts.Gates) > 0 && !c.own
	if gated {
		c.takeNames()
	}
	if err := l.validate(c); err != nil {
		return fmt.Errorf("engine: append: %w: %w", ErrRejected, err)
	}
	if gated {
		if err := l.permit(ctx, c); err != nil {
			return fmt.Errorf("engine: append: %w: %w", ErrRejected, err)
		}
	}
	if err := l.submit(ctx, c); err != nil {
		return fmt.Errorf("engine: append: %w: %w", ErrRejected, err)
	}
	if c.err != nil {
		return fmt.Errorf("engine: append: %w", c.err)
	}
	return nil
}

func (l *Log) newCall() *call {
	if c, ok := l.calls.Get().(*call); ok {
		return c
	}
	return new(call)
}

// doneWith keeps the room of a call that is answered. Nobody else has it any more:
// who leads its group does not look at it once the group is woken.
func (l *Log) doneWith(c *call) {
	*c = call{}
	l.calls.Put(c)
}

// frameRoom is more than an event, or a batch, takes besides its content and its
// names, the frames of its pieces aside.
const frameRoom = 320

// call is one AppendBatch on its way.
type call struct {
	batch      Batch
	keys       []string // of the items; nil when there are none
	extensions [][]byte // of the items, encoded; nil when there are none
	notes      [][]byte // encoded
	bytes      int64    // that it takes in a segment, at most
	own        bool     // made by this package: no gate is asked

	signature *proof.SignedHead // that it appends, and nothing else; nil as a rule
	exact     *exactBatch       // the batch as another log has it; nil as a rule
	adopts    *adoption         // where another log has the batch from; nil as a rule

	// Set by the commit.
	refusal  error        // why nothing is written for it
	hit      bool         // the receipts are those of an earlier call
	known    uint64       // of a hit without receipts, the batch that is there already
	twin     *call        // the call of the same group that has the same keys, and is answered alike
	staged   *stagedBatch // what is to be written
	receipts []Receipt    // the answer
	err      error        // the answer

	// For Options.Metrics, where somebody listens.
	ctx     context.Context // of the call
	number  uint64          // of the batch that the answer is about
	durable bool            // the batch was durable when it was answered

	// Room for a call of one event.
	draft   [1]Draft
	receipt [1]Receipt
}

// validate refuses what can be refused without looking at the log. It reports
// every problem at once.
func (l *Log) validate(c *call) error {
	if c.exact != nil {
		return nil // which Apply has looked at
	}
	b := &c.batch
	v := validation{opts: &l.opts, item: -1}
	if items := max(len(b.Events), len(b.Notes)); items > l.opts.MaxBatchEvents {
		v.problem(ErrLimit, "the batch has %d events and %d notes, at most %d of each are allowed", len(b.Events), len(b.Notes), l.opts.MaxBatchEvents)
		return v.err()
	}
	if b.Key != "" && len(b.Events) == 0 {
		v.problem(ErrInvalid, "the batch has a key and no event to carry it: notes have an Expect")
	}
	if b.Durability > Buffered {
		v.problem(ErrInvalid, "unknown durability %d", b.Durability)
	}
	v.length("the batch's key", len(b.Key), maxNameLength)
	for i := range b.Events {
		d := &b.Events[i]
		v.item = i
		extensions := v.draft(d)
		if extensions != nil {
			if c.extensions == nil {
				c.extensions = make([][]byte, len(b.Events))
			}
			c.extensions[i] = extensions
		}
		c.bytes += int64(len(d.Scope) + len(d.Stream) + len(d.Type) + max(len(d.Key), len(b.Key)+6))
	}
	v.item = -1
	if len(b.Notes) > 0 {
		c.notes = make([][]byte, len(b.Notes))
	}
	for i := range b.Notes {
		c.notes[i] = v.noteDraft(&b.Notes[i], i)
	}
	c.bytes += v.content
	c.bytes += c.bytes/32 + frameRoom*int64(len(b.Events)+len(b.Notes)+1)
	v.within()
	c.keys = v.keys(b)
	return v.err()
}

// validation collects what is wrong with a batch.
type validation struct {
	opts     *Options
	item     int   // at work, or −1
	note     int   // 1 + the note at work, or 0
	content  int64 // bytes of the drafts so far
	keyed    int   // drafts with a key so far
	problems []error
}

func (v *validation) err() error { return errors.Join(v.problems...) }

func (v *validation) problem(kind error, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v.note > 0 {
		text = fmt.Sprintf("note %d: %s", v.note-1, text)
	}
	err := fmt.Errorf("%w: %s", kind, text)
	if v.item >= 0 {
		err = &ItemError{Item: v.item, Err: err}
	}
	v.problems = append(v.problems, err)
}

// within refuses content that no batch may have. What it takes in all is known
// only when its place in the log is.
func (v *validation) within() {
	if v.content > int64(v.opts.MaxBatchBytes) {
		v.problem(ErrLimit, "the batch has %d bytes of content, at most %d are allowed", v.content, v.opts.MaxBatchBytes)
	}
}

func (v *validation) text(field, value string, least int) {
	switch {
	case len(value) > maxNameLength:
		v.problem(ErrLimit, "%s has %d bytes, at most %d are allowed", field, len(value), maxNameLength)
	case len(value) < least:
		v.problem(ErrInvalid, "%s is empty", field)
	case !validText(value):
		v.problem(ErrInvalid, "%s %q is not UTF-8 without control characters", field, value)
	}
}

func (v *validation) length(field string, n, most int) {
	if n > most {
		v.problem(ErrLimit, "%s has %d bytes, at most %d are allowed", field, n, most)
	}
}

// draft looks at the draft that is v.item, and returns its extensions encoded.
func (v *validation) draft(d *Draft) (extensions []byte) {
	v.text("Scope", d.Scope, 0)
	v.text("Stream", d.Stream, 1)
	v.text("Type", d.Type, 1)
	v.length("Data", len(d.Data), v.opts.MaxPayload)
	v.length("Metadata", len(d.Metadata), v.opts.MaxMetadata)
	v.length("Key", len(d.Key), maxNameLength)
	if d.Key != "" {
		v.keyed++
	}
	switch item := d.CausedBy.item; {
	case item < 0:
		v.problem(ErrInvalid, "CausedBy names a negative item: items count from 0")
	case item > v.item:
		v.problem(ErrInvalid, "CausedBy names item %d: only earlier items of the batch can be a cause", item-1)
	}
	if len(d.Extensions) > 0 {
		extensions = record.AppendExtensions(nil, d.Extensions)
		v.length("Extensions", len(extensions), v.opts.MaxMetadata)
	}
	v.content += int64(len(d.Data)) + int64(len(d.Metadata)) + int64(len(extensions))
	return extensions
}

// keys returns the keys of a batch's items, or nil if they have none.
func (v *validation) keys(b *Batch) []string {
	switch {
	case b.Key != "" && v.keyed > 0:
		v.problem(ErrInvalid, "the batch has a key and %d of its events have one, too: give keys either to the batch or to each event", v.keyed)
	case v.keyed > 0 && v.keyed < len(b.Events):
		v.problem(ErrInvalid, "%d of %d events have a key: all or none", v.keyed, len(b.Events))
	case b.Key != "":
		keys := make([]string, len(b.Events))
		for i := range keys {
			keys[i] = b.Key + "/" + strconv.Itoa(i)
		}
		return keys
	case v.keyed > 0:
		keys := make([]string, len(b.Events))
		seen := make(map[string]int, len(b.Events))
		for i := range b.Events {
			key := b.Events[i].Key
			if first, ok := seen[key]; ok {
				v.item = i
				v.problem(ErrInvalid, "key %q is that of item %d, too", key, first)
			}
			seen[key], keys[i] = i, key
		}
		return keys
	}
	return nil
}

func validText(s string) bool {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] < 0x7f
	}
	return plain || utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// lookUpKeys answers a call from its keys: with the receipts of an earlier call,
// or with the call of the same group that it is a twin of. It returns nothing
// when all keys are new.
func (l *Log) lookUpKeys(c *call, staged *staging) (receipts []Receipt, twin *call, err error) {
	if c.keys == nil {
		return nil, nil, nil
	}
	b := &c.batch
	receipts = make([]Receipt, len(c.keys))
	var conflict KeyConflictError
	known, first := 0, uint64(0)
	r := l.reader()
	defer l.giveBack(r)
	for i, key := range c.keys {
		if place, ok := staged.keys[key]; ok {
			known++
			if i == 0 {
				twin = place.call
			}
			e := &place.call.staged.events[place.item]
			if reason := place.differs(twin, e, &b.Events[i], i, len(c.keys)); reason != "" {
				conflict.Items = append(conflict.Items, KeyConflict{Item: i, Key: key, Reason: reason, ID: e.ID})
			}
			continue
		}
		ordinal, ok := l.index.ByKey(key)
		if !ok {
			conflict.Items = append(conflict.Items, KeyConflict{Item: i, Key: key, Reason: "not known, though others of the batch are"})
			continue
		}
		known++
		if err := r.read(ordinal, ordinal); err != nil {
			return nil, nil, fmt.Errorf("look up key %q: %w", key, err)
		}
		if i == 0 {
			first = ordinal
		}
		reason := usedElsewhere
		if twin == nil {
			reason = l.differs(&r.raw, &b.Events[i], ordinal, first+uint64(i), i, len(c.keys))
		}
		if reason != "" {
			conflict.Items = append(conflict.Items, KeyConflict{Item: i, Key: key, Reason: reason, ID: r.raw.ID})
			continue
		}
		receipts[i] = r.receipt()
	}
	switch {
	case known == 0:
		return nil, nil, nil
	case len(conflict.Items) > 0:
		return nil, nil, &conflict
	}
	same := false
	if twin != nil {
		receipts = nil
		same = slices.EqualFunc(c.notes, twin.notes, bytes.Equal)
	} else if same, err = r.hasNotes(l.index.BatchOf(first), c); err != nil {
		return nil, nil, fmt.Errorf("look up the notes of key %q: %w", c.keys[0], err)
	}
	if !same {
		conflict.Items = []KeyConflict{{Key: c.keys[0], Reason: "used for a batch with other notes"}}
		return nil, nil, &conflict
	}
	return receipts, twin, nil
}

// hasNotes reports whether a batch of the log has the notes of a call.
func (r *reader) hasNotes(batch index.Batch, c *call) (bool, error) {
	from, to := uint64(batch.Note), r.log.index.FirstNote(batch.Number+1)
	if to-from != uint64(len(c.notes)) {
		return false, nil
	}
	for i := range c.batch.Notes {
		if err := r.readNote(from+uint64(i), to-1); err != nil {
			return false, err
		}
		if n := &c.batch.Notes[i]; n.Name != r.noted.Name || !bytes.Equal(n.Data, r.noted.Data) {
			return false, nil
		}
	}
	return true, nil
}

// keyPlace is where in a group a key is used.
type keyPlace struct {
	call *call
	item int
}

// differs says how a draft differs from the staged event that has its key. twin
// is the call that has the key of the draft's first item.
func (p keyPlace) differs(twin *call, e *record.Event, d *Draft, item, items int) string {
	if p.call != twin || p.item != item || len(p.call.staged.events) != items {
		return usedElsewhere
	}
	return contentDiffers(e, d)
}

const usedElsewhere = "used in another batch, or at another place of it"

// differs says how a draft differs from the event that has its key.
func (l *Log) differs(e *record.Event, d *Draft, ordinal, want uint64, item, items int) string {
	batch := l.index.BatchOf(ordinal)
	if batch.Ordinal+uint64(item) != ordinal || ordinal != want || int(batch.Events) != items {
		return usedElsewhere
	}
	return contentDiffers(e, d)
}

func contentDiffers(e *record.Event, d *Draft) string {
	switch {
	case e.Scope != d.Scope || e.Stream != d.Stream:
		return fmt.Sprintf("used for stream %q of scope %q", e.Stream, e.Scope)
	case e.Type != d.Type:
		return fmt.Sprintf("used for an event of type %q", e.Type)
	case e.PayloadVersion != d.PayloadVersion:
		return fmt.Sprintf("used for payload version %d", e.PayloadVersion)
	case !bytes.Equal(e.Payload, d.Data):
		return "used for another payload"
	}
	return ""
}

// staging is the state of the log as later calls of a group, and later items of
// a batch, see it.
type staging struct {
	point
	clock   int64                // what the clock said
	shared  bool                 // the group has more than one call
	streams []stagedStream       // that the group has to do with
	slots   map[index.Name]int32 // where they are in streams
	keys    map[string]keyPlace  // of the calls so far, where the group is shared
	notes   map[string][]byte    // the last ones of the calls so far, where the group is shared
	batches []*stagedBatch       // to be written
	hashed  int                  // of them, those that have their hashes
}

// stagedStream is a stream behind what is staged of it.
type stagedStream struct {
	name    index.Name
	version uint64
	hash    chain.Hash // behind what is hashed of it
	ref     index.Ref  // once something of it is written
}

// newStaging begins a group of so many calls.
func (l *Log) newStaging(calls int) *staging {
	s := &l.staging
	if s.slots == nil {
		s.slots, s.keys, s.notes = map[index.Name]int32{}, map[string]keyPlace{}, map[string][]byte{}
	}
	s.point, s.shared, s.clock, s.hashed = l.written, calls > 1, l.now(), 0
	return s
}

// slot returns where a stream is in streams. The index has it, if it is not new.
func (s *staging) slot(x *index.Index, name index.Name) int32 {
	slot, ok := s.slots[name]
	if !ok {
		stream, _ := x.Stream(name)
		slot = int32(len(s.streams))
		s.slots[name] = slot
		s.streams = append(s.streams, stagedStream{name: name, version: stream.Version, hash: stream.Hash})
	}
	return slot
}

// takeBack undoes the staging of events, by the slots of their streams.
func (s *staging) takeBack(slots []int32) {
	for _, slot := range slots {
		s.streams[slot].version--
	}
}

// enter lets later calls of the group see the keys and the notes of a call.
func (s *staging) enter(c *call) {
	if !s.shared {
		return
	}
	for i, key := range c.keys {
		if key != "" { // which an event of a batch that is taken as it is may not have
			s.keys[key] = keyPlace{c, i}
		}
	}
	for i := range c.batch.Notes {
		n := &c.batch.Notes[i]
		s.notes[n.Name] = n.Data
	}
}

// forget keeps the room of a staging that is done with, if it is small, and nothing
// of the callers'.
func (s *staging) forget() {
	if max(len(s.slots), len(s.keys), len(s.notes)) > mostSpare {
		*s = staging{}
		return
	}
	clear(s.streams)
	clear(s.slots)
	clear(s.keys)
	clear(s.notes)
	clear(s.batches)
	s.streams, s.batches = s.streams[:0], s.batches[:0]
}

// expect checks what a draft requires of its stream.
func (d *Draft) expect(version uint64) error {
	switch {
	case d.Expect == Any,
		d.Expect == StreamExists && version > 0,
		d.Expect != StreamExists && uint64(d.Expect)-1 == version:
		return nil
	}
	return &WrongVersionError{Scope: d.Scope, Stream: d.Stream, Expected: d.Expect, Actual: version}
}

// newID makes a UUIDv7 (RFC 9562, section 5.7) from the event's time and the
// log's randomness. Within a millisecond each is larger than the one before it,
// by a random step (section 6.2, method 2): so the ids of a log rise with its
// sequences, and the index needs no table of them.
func (l *Log) newID(ns int64) (uuid.UUID, error) {
	id := &l.id // also, what an interface is given is allocated
	ms := uint64(max(ns, 0)) / 1e6
	last := binary.BigEndian.Uint64(id[:]) >> 16
	if last == ms && ms > 0 {
		if _, err := io.ReadFull(l.random, l.step[:]); err != nil {
			return uuid.UUID{}, fmt.Errorf("draw an id: %w", err)
		}
		if raise(id, 1+uint64(binary.LittleEndian.Uint32(l.step[:]))) {
			return *id, nil
		}
	}
	if _, err := io.ReadFull(l.random, id[6:]); err != nil {
		return uuid.UUID{}, fmt.Errorf("draw an id: %w", err)
	}
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x07 // half of the room is left to rise in
	id[8] = 0x80 | id[8]&0x3f
	return *id, nil
}

// raise adds to the random bits of an id: 12 before the variant, 62 behind it. It
// returns false when there is no room for that.
func raise(id *uuid.UUID, by uint64) bool {
	const most = 1<<62 - 1
	low := binary.BigEndian.Uint64(id[8:])&most + by
	high := binary.BigEndian.Uint16(id[6:])&0xfff + uint16(low>>62)
	if high > 0xfff {
		return false
	}
	binary.BigEndian.PutUint16(id[6:], 0x7000|high)
	binary.BigEndian.PutUint64(id[8:], 1<<63|low&most)
	return true
}
