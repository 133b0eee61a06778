package invariant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// fakeDisk is what a fake log leaves behind: whole batches, of which the first
// so many are durable.
type fakeDisk struct {
	batches [][]engine.Event
	durable int
	changes uint64
	ids     uint64
	clock   time.Time
}

// crash cuts the power: the durable batches stay, and of the others the first
// so many.
func (d *fakeDisk) crash(keep int) {
	d.batches = d.batches[:min(len(d.batches), max(keep, d.durable))]
}

func (d *fakeDisk) events() []engine.Event {
	var events []engine.Event
	for _, b := range d.batches {
		events = append(events, b...)
	}
	return events
}

// edit changes the events on the disk, and hashes them anew where asked.
func (d *fakeDisk) edit(change func(events []engine.Event) []engine.Event, rehash bool) {
	events := change(d.events())
	d.batches = nil
	for i, e := range events {
		if i == 0 || events[i-1].Batch != e.Batch {
			d.batches = append(d.batches, nil)
		}
		last := len(d.batches) - 1
		d.batches[last] = append(d.batches[last], e)
	}
	d.durable = len(d.batches)
	if rehash {
		heads := make(map[string]engine.Hash)
		for _, b := range d.batches {
			for i := range b {
				b[i].Hash = fakeHash(heads[b[i].Scope+"\x00"+b[i].Stream], &b[i])
				heads[b[i].Scope+"\x00"+b[i].Stream] = b[i].Hash
			}
		}
	}
}

func fakeHash(previous engine.Hash, e *engine.Event) engine.Hash {
	h := sha256.New()
	h.Write(previous[:])
	fmt.Fprintf(h, "%v %d %d %d %q %q %q %d %d %q %q %q %v %v %d %d %d %d %v", e.ID, e.Sequence, e.Version, e.Batch, e.Scope, e.Stream, e.Type,
		e.Time.UnixNano(), e.Clock.UnixNano(), e.Data, e.Metadata, e.Key, e.CausedBy, e.Correlation, e.Lane, e.Depth, e.Flags, e.PayloadVersion, e.Erasable)
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		fmt.Fprintf(h, "%q %q", name, e.Extensions[name])
	}
	return engine.Hash(h.Sum(nil))
}

// fake is a correct log in memory, written as plainly as can be and apart from
// the model. Its hooks break it.
type fake struct {
	disk     *fakeDisk
	failNext error // the next write ends so

	// The hooks that break it; nil: correct.
	yields    func(q engine.Query, events []engine.Event) []engine.Event
	answers   func(receipts []engine.Receipt) []engine.Receipt
	stats     func(engine.Stats) engine.Stats
	keyAnswer func(key string) (engine.Receipt, bool)
	noKeys    bool // a retry takes effect again
	noRoom    bool // refuses appends
	headShift uint64
	logHead   func(engine.LogHead) engine.LogHead
	getLies   func(e engine.Event) engine.Event
	badProof  bool
	expectAll bool // takes every expected version to be met
}

var _ Log = (*fake)(nil)

func open(d *fakeDisk) *fake {
	d.durable = len(d.batches)
	return &fake{disk: d}
}

func newDisk() *fakeDisk { return &fakeDisk{clock: time.UnixMilli(1577836800000)} }

func (f *fake) now() time.Time {
	f.disk.clock = f.disk.clock.Add(time.Millisecond)
	return f.disk.clock
}

func (f *fake) newID() uuid.UUID {
	var id uuid.UUID
	f.disk.ids++
	binary.BigEndian.PutUint64(id[:8], uint64(f.disk.clock.UnixMilli())<<16|0x7000)
	binary.BigEndian.PutUint64(id[8:], 1<<63|f.disk.ids)
	return id
}

func (f *fake) Append(ctx context.Context, d engine.Draft) (engine.Receipt, error) {
	receipts, err := f.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{d}})
	if err != nil {
		return engine.Receipt{}, err
	}
	return receipts[0], nil
}

func rejected(err error) error { return fmt.Errorf("%w: %w", engine.ErrRejected, err) }

func (f *fake) AppendBatch(_ context.Context, b engine.Batch) ([]engine.Receipt, error) {
	if f.noRoom {
		return nil, rejected(engine.ErrNoSpace)
	}
	if len(b.Events) == 0 {
		return nil, nil
	}
	if err := f.validate(b); err != nil {
		return nil, err
	}
	key := func(i int) string {
		if b.Key != "" {
			return fmt.Sprintf("%s/%d", b.Key, i)
		}
		return b.Events[i].Key
	}
	durability := b.Durability
	defer func() {
		if durability == engine.Durable {
			f.disk.durable = len(f.disk.batches)
		}
	}()
	if !f.noKeys && key(0) != "" {
		if receipts, err := f.lookup(b, key); receipts != nil || err != nil {
			return receipts, err
		}
	}
	events := f.disk.events()
	versions := make(map[string]uint64)
	heads := make(map[string]engine.Hash)
	var last time.Time
	for _, e := range events {
		versions[e.Scope+"\x00"+e.Stream], heads[e.Scope+"\x00"+e.Stream], last = e.Version, e.Hash, e.Time
	}
	clock := f.now()
	if last.Before(clock) {
		last = clock
	}
	var fresh []engine.Event
	number := uint64(len(f.disk.batches)) + 1
	for i, d := range b.Events {
		stream := d.Scope + "\x00" + d.Stream
		version := versions[stream]
		met := d.Expect == engine.Any || d.Expect == engine.StreamExists && version > 0 || d.Expect != engine.StreamExists && d.Expect == engine.Expect(version+1)
		if !met && !f.expectAll {
			return nil, rejected(&engine.ItemError{Item: i, Err: &engine.WrongVersionError{Scope: d.Scope, Stream: d.Stream, Expected: d.Expect, Actual: version}})
		}
		e := engine.Event{ID: f.newID(), Sequence: uint64(len(events)+i) + 1, Version: version + 1, Batch: number, Scope: d.Scope, Stream: d.Stream, Type: d.Type,
			Time: last, Clock: clock, Data: slices.Clone(d.Data), Metadata: slices.Clone(d.Metadata), Extensions: maps.Clone(d.Extensions), Key: key(i),
			Correlation: d.Correlation, Lane: d.Lane, Depth: d.Depth, Flags: d.Flags, PayloadVersion: d.PayloadVersion, Erasable: d.Erasable}
		if e.Correlation == uuid.Nil {
			e.Correlation = e.ID
		}
		for j := range i {
			if d.CausedBy == engine.Item(j) {
				e.CausedBy = fresh[j].ID
			}
		}
		if d.CausedBy == engine.ByID(outside) {
			e.CausedBy = outside
		}
		e.Hash = fakeHash(heads[stream], &e)
		versions[stream], heads[stream] = e.Version, e.Hash
		fresh = append(fresh, e)
	}
	if err := f.failNext; err != nil {
		f.failNext = nil
		if errors.Is(err, engine.ErrInDoubt) {
			f.disk.batches = append(f.disk.batches, fresh)
			durability = engine.Buffered
		}
		return nil, err
	}
	f.disk.batches = append(f.disk.batches, fresh)
	f.disk.changes++
	var receipts []engine.Receipt
	for _, e := range fresh {
		receipts = append(receipts, fakeReceipt(e, b.Durability == engine.Durable))
	}
	if f.answers != nil {
		receipts = f.answers(receipts)
	}
	return receipts, nil
}

// outside is the one id that the tests name as a cause from elsewhere.
var outside = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")

func fakeReceipt(e engine.Event, durable bool) engine.Receipt {
	return engine.Receipt{ID: e.ID, Scope: e.Scope, Stream: e.Stream, Sequence: e.Sequence, Version: e.Version, Batch: e.Batch, Hash: e.Hash, Durable: durable}
}

func (f *fake) validate(b engine.Batch) error {
	keyed := 0
	keys := make(map[string]bool)
	for i, d := range b.Events {
		wrong := func(err error) error { return rejected(&engine.ItemError{Item: i, Err: err}) }
		if d.Stream == "" || d.Type == "" || strings.ContainsFunc(d.Scope+d.Stream+d.Type, func(r rune) bool { return r < ' ' }) {
			return wrong(engine.ErrInvalid)
		}
		if len(d.Scope) > 255 || len(d.Stream) > 255 || len(d.Type) > 255 || len(d.Key) > 255 || len(d.Data) > 4000 {
			return wrong(engine.ErrLimit)
		}
		for j := i; j < len(b.Events); j++ {
			if d.CausedBy == engine.Item(j) || d.CausedBy == engine.Item(-1) {
				return wrong(engine.ErrInvalid)
			}
		}
		if d.Key != "" {
			keyed++
			if keys[d.Key] || b.Key != "" {
				return wrong(engine.ErrInvalid)
			}
			keys[d.Key] = true
		}
	}
	if keyed > 0 && keyed < len(b.Events) {
		return rejected(engine.ErrInvalid)
	}
	return nil
}

func (f *fake) lookup(b engine.Batch, key func(int) string) ([]engine.Receipt, error) {
	var known []engine.Event
	for i := range b.Events {
		for _, e := range f.disk.events() {
			if e.Key == key(i) {
				known = append(known, e)
			}
		}
	}
	if len(known) == 0 {
		for i := range b.Events {
			if f.keyAnswer != nil {
				if r, ok := f.keyAnswer(key(i)); ok {
					return slices.Repeat([]engine.Receipt{r}, len(b.Events)), nil
				}
			}
		}
		return nil, nil
	}
	same := len(known) == len(b.Events) && len(f.disk.batches[known[0].Batch-1]) == len(b.Events)
	for i := 0; same && i < len(known); i++ {
		d, e := b.Events[i], known[i]
		same = e.Sequence == known[0].Sequence+uint64(i) && e.Batch == known[0].Batch && e.Scope == d.Scope && e.Stream == d.Stream && e.Type == d.Type && string(e.Data) == string(d.Data) && e.PayloadVersion == d.PayloadVersion
	}
	if !same {
		return nil, rejected(&engine.KeyConflictError{Items: []engine.KeyConflict{{Item: 0, Key: known[0].Key, Reason: "another call", ID: known[0].ID}}})
	}
	var receipts []engine.Receipt
	for _, e := range known {
		receipts = append(receipts, fakeReceipt(e, true))
	}
	if b.Durability == engine.Buffered && int(known[0].Batch) > f.disk.durable {
		for i := range receipts {
			receipts[i].Durable = false
		}
	}
	return receipts, nil
}

// visible are the durable events.
func (f *fake) visible() []engine.Event {
	var events []engine.Event
	for _, b := range f.disk.batches[:f.disk.durable] {
		events = append(events, b...)
	}
	return events
}

func (f *fake) Get(id uuid.UUID) (engine.Event, error) {
	for _, e := range f.visible() {
		if e.ID == id {
			e.Durable = true
			if f.getLies != nil {
				e = f.getLies(e)
			}
			return e, nil
		}
	}
	return engine.Event{}, engine.ErrNotFound
}

func (f *fake) Read(q engine.Query) iter.Seq2[engine.Event, error] {
	var events []engine.Event
	for i, b := range f.disk.batches {
		for _, e := range b {
			e.Durable = i < f.disk.durable
			if (e.Durable || q.Buffered) && (q.Stream == "" || q.Scope == e.Scope && q.Stream == e.Stream) {
				events = append(events, e)
			}
		}
	}
	if q.Backward {
		slices.Reverse(events)
	}
	if f.yields != nil {
		events = f.yields(q, events)
	}
	return func(yield func(engine.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (f *fake) Head(scope, stream string) engine.Head {
	head := engine.Head{Scope: scope, Stream: stream}
	for _, e := range f.visible() {
		if e.Scope == scope && e.Stream == stream {
			head.Version, head.Sequence, head.Hash = e.Version+f.headShift, e.Sequence, e.Hash
		}
	}
	return head
}

func (f *fake) Streams(scope string) []engine.Head {
	names := make(map[string]bool)
	for _, e := range f.visible() {
		if e.Scope == scope {
			names[e.Stream] = true
		}
	}
	var heads []engine.Head
	for _, name := range slices.Sorted(maps.Keys(names)) {
		heads = append(heads, f.Head(scope, name))
	}
	return heads
}

func (f *fake) Scopes() []string {
	names := make(map[string]bool)
	for _, e := range f.visible() {
		names[e.Scope] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (f *fake) ReceiptOf(key string) (engine.Receipt, error) {
	for _, e := range f.visible() {
		if e.Key == key {
			return fakeReceipt(e, true), nil
		}
	}
	if f.keyAnswer != nil {
		if r, ok := f.keyAnswer(key); ok {
			return r, nil
		}
	}
	return engine.Receipt{}, engine.ErrNotFound
}

func (f *fake) LogHead() engine.LogHead {
	var head engine.LogHead
	hash := sha256.New()
	for _, b := range f.disk.batches[:f.disk.durable] {
		for _, e := range b {
			hash.Write(e.Hash[:])
			head.Batch, head.Sequence, head.Time = e.Batch, e.Sequence, e.Time
		}
	}
	if head.Batch > 0 {
		head.Hash = engine.Hash(hash.Sum(nil))
	}
	if f.logHead != nil {
		head = f.logHead(head)
	}
	return head
}

func (f *fake) Verify(context.Context, ...engine.LogHead) (engine.Verification, error) {
	heads := make(map[string]engine.Hash)
	for _, e := range f.visible() {
		if e.Hash != fakeHash(heads[e.Scope+"\x00"+e.Stream], &e) {
			return engine.Verification{}, &engine.CorruptError{Segment: 1, Offset: -1, Sequence: e.Sequence, Where: "interior", Reason: "its hash is another"}
		}
		heads[e.Scope+"\x00"+e.Stream] = e.Hash
	}
	return engine.Verification{}, nil
}

func (f *fake) VerifyReceipt(r engine.Receipt) error {
	for _, e := range f.visible() {
		if !f.badProof && e.Sequence == r.Sequence && fakeReceipt(e, true).Equal(r) {
			return nil
		}
	}
	return engine.ErrNotFound
}

func (f *fake) Sync(context.Context) error {
	f.disk.durable = len(f.disk.batches)
	return nil
}

func (f *fake) WaitDurable(ctx context.Context, _ uint64) error { return f.Sync(ctx) }

func (f *fake) Stats() engine.Stats {
	at := func(batches int) engine.Frontier {
		var point engine.Frontier
		for _, b := range f.disk.batches[:batches] {
			point = engine.Frontier{Time: b[len(b)-1].Time, Sequence: b[len(b)-1].Sequence}
		}
		return point
	}
	all, durable := at(len(f.disk.batches)), at(f.disk.durable)
	s := engine.Stats{Accepted: all, Written: all, Durable: durable, Visible: durable}
	if n := len(f.disk.batches); n > 0 { // all in one segment
		first, last := f.disk.batches[0], f.disk.batches[n-1]
		one := engine.SegmentStats{Number: 1, FirstSequence: first[0].Sequence, LastSequence: last[len(last)-1].Sequence, FirstTime: first[0].Time}
		one.Head = engine.LogHead{Batch: last[0].Batch, Sequence: one.LastSequence, Time: all.Time}
		if f.disk.durable == n {
			one.Head = f.LogHead()
		}
		s.Segments = []engine.SegmentStats{one}
	}
	if f.stats != nil {
		s = f.stats(s)
	}
	return s
}

func (f *fake) Close() error { return nil }

// damaged is a log that meets damage.
type damaged struct {
	*fake
	openErr error
	from    uint64 // reads that come to this event end in err
	err     error
	hole    uint64 // reads skip this event
	verify  error
}

func (l *damaged) Read(q engine.Query) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for e, err := range l.fake.Read(q) {
			if l.err != nil && e.Sequence >= l.from {
				yield(engine.Event{}, l.err)
				return
			}
			if e.Sequence != l.hole && !yield(e, err) {
				return
			}
		}
	}
}

func (l *damaged) Get(id uuid.UUID) (engine.Event, error) {
	e, err := l.fake.Get(id)
	if err == nil && (e.Sequence == l.hole || l.err != nil && e.Sequence >= l.from) {
		return engine.Event{}, &engine.CorruptError{Sequence: e.Sequence}
	}
	return e, err
}

func (l *damaged) Verify(ctx context.Context, kept ...engine.LogHead) (engine.Verification, error) {
	if l.verify != nil {
		return engine.Verification{}, l.verify
	}
	return l.fake.Verify(ctx, kept...)
}

// replay answers a quick look as a log did before, at no cost.
type replay struct {
	*fake
	seen *Seen
}

func (r replay) Read(engine.Query) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for i := range r.seen.Events {
			if !yield(r.seen.Events[i], nil) {
				return
			}
		}
	}
}

func (r replay) LogHead() engine.LogHead            { return r.seen.Head }
func (r replay) Stats() engine.Stats                { return r.seen.Stats }
func (r replay) VerifyReceipt(engine.Receipt) error { return nil }

func (r replay) ReceiptOf(string) (engine.Receipt, error) {
	return fakeReceipt(r.seen.Events[len(r.seen.Events)-1], true), nil
}
