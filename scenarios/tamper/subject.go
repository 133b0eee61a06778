package tamper

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// dir is the log's directory on its disk.
const dir = "log"

// story is how a log came to be.
type story struct {
	name        string
	align       int
	preallocate int64
	closed      bool // it ends with a Close
	signed      bool // each group
	tell        func(a *author)
}

// stories are the logs that are tampered with.
func stories() []story {
	return []story{
		{name: "closed", preallocate: -1, closed: true, tell: func(a *author) {
			a.open()
			a.batches(1, 3, 1, 5, 2)
			a.large(1, 5000)
			a.behind()
			a.batches(2, 1, 4, 1)
			a.close()
		}},
		{name: "open", preallocate: 8 << 10, tell: func(a *author) {
			a.open()
			a.batches(2, 1, 4)
			a.large(2, 4500)
			a.batches(1, 3, 1, 1)
			a.kill()
		}},
		{name: "aligned", align: 4096, preallocate: 16 << 10, closed: true, tell: func(a *author) {
			a.open()
			a.batches(1, 2)
			a.large(1, 4200)
			a.batches(1)
			a.close()
			a.open()
			a.batches(3, 1)
			a.close()
		}},
		{name: "lives", preallocate: 8 << 10, closed: true, tell: func(a *author) {
			lives(a)
			a.close()
		}},
		{name: "lives-open", align: 4096, preallocate: -1, tell: func(a *author) {
			lives(a)
			a.kill()
		}},
		{name: "rotated", preallocate: 32 << 10, closed: true, tell: func(a *author) {
			a.open()
			a.batches(1, 2)
			for range 3 {
				a.large(1, 15_000)
			}
			a.batches(1)
			a.large(1, 12_000)
			a.batches(2, 1, 1)
			a.close()
			a.open()
			a.batches(1, 1)
			a.close()
		}},
		{name: "signed", preallocate: -1, closed: true, signed: true, tell: func(a *author) {
			a.open()
			a.batches(2, 1, 3)
			a.close()
			a.open()
			a.batches(1, 2)
			a.large(1, 4300)
			a.close()
		}},
		{name: "signed-open", preallocate: 8 << 10, signed: true, tell: func(a *author) {
			a.open()
			a.batches(1, 2)
			a.close()
			a.open()
			a.batches(3, 1, 1)
			a.kill()
		}},
	}
}

// lives is a log with three segments: one that a kill ended, whose last batches
// were carried on, one that ends in a torn batch, and what came then.
func lives(a *author) {
	a.open()
	a.batches(1, 3, 1)
	a.buffered(2)
	a.buffered(1)
	a.kill()
	a.open()
	a.batches(2, 1)
	a.close()
	a.open()
	a.batches(1, 2)
	a.buffered(3)
	a.tear()
	a.open()
	a.batches(1, 4)
	a.close()
	a.open()
	a.batches(1, 2, 1)
}

// author tells a story. After the first error nothing happens any more.
type author struct {
	ctx      context.Context
	story    *story
	seed     uint64
	change   *change
	disk     *simfs.FS
	clock    *simclock.Clock
	log      *engine.Log
	sessions uint64
	drafts   int
	receipts []engine.Receipt // acknowledged as durable
	waiting  []engine.Receipt // of buffered batches
	moments  []*simfs.FS      // the disk after each step
	err      error
}

// change is one draft that differs from the story's.
type change struct {
	draft int
	field string
}

func (a *author) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

func (a *author) open() {
	if a.err != nil {
		return
	}
	a.sessions++
	a.log, a.clock, a.err = openLog(nil, a.story, a.disk, a.seed^a.sessions<<32, a.sessions, false, a.story.signing(a.sessions))
}

// openLog opens a log on a disk; the clock is that of a numbered session.
func openLog(room *engine.Room, s *story, disk *simfs.FS, entropy, session uint64, readOnly bool, signing *engine.Signing) (*engine.Log, *simclock.Clock, error) {
	clock := simclock.New(simclock.Epoch().Add(time.Duration(session) * time.Minute))
	log, err := engine.Open(engine.Options{
		FS: disk, Dir: dir, SegmentSize: 64 << 10, Align: s.align, Preallocate: s.preallocate, ReadOnly: readOnly,
		Clock: clock, Waits: waits{clock}, Rand: &numbers{state: entropy}, Room: room, Signing: signing,
	})
	return log, clock, err
}

// batches appends durable batches of so many events each.
func (a *author) batches(sizes ...int) {
	for _, n := range sizes {
		a.append(engine.Durable, n, 0)
	}
}

// large appends a batch whose last event has a payload of so many bytes.
func (a *author) large(n, size int) { a.append(engine.Durable, n, size) }

// buffered appends a batch that no sync covers.
func (a *author) buffered(n int) { a.append(engine.Buffered, n, 0) }

// behind sets the clock back, so that the next batches say what it said.
func (a *author) behind() {
	if a.err == nil {
		a.clock.Jump(-10 * time.Second)
	}
}

func (a *author) append(durability engine.Durability, n, size int) {
	if a.err != nil {
		return
	}
	b := engine.Batch{Durability: durability}
	for i := range n {
		d := a.draft(i)
		if size > 0 && i == n-1 {
			d.Data = make([]byte, size)
			(&numbers{state: a.seed + uint64(a.drafts)}).Read(d.Data)
		}
		a.change.apply(a.drafts, &d)
		a.drafts++
		b.Events = append(b.Events, d)
	}
	a.clock.Advance(time.Millisecond)
	receipts, err := a.log.AppendBatch(a.ctx, b)
	if err != nil {
		a.fail("append batch: %w", err)
		return
	}
	a.clock.Yield()
	if durability == engine.Buffered {
		a.waiting = append(a.waiting, receipts...)
		return // it may be lost, and another come at its place
	}
	a.receipts = append(append(a.receipts, a.waiting...), receipts...)
	a.waiting = nil
	a.moments = append(a.moments, a.disk.Clone())
}

func (a *author) close() {
	if a.err != nil {
		return
	}
	a.err = a.log.Close()
	a.clock.Kill()
	a.receipts, a.waiting = append(a.receipts, a.waiting...), nil
	a.moments = append(a.moments, a.disk.Clone())
}

// kill ends the process; the page cache stays.
func (a *author) kill() {
	if a.err != nil {
		return
	}
	a.disk = a.disk.Crash(simfs.ProcessKill).Mount(simfs.Latest())
	a.clock.Kill()
}

// tear cuts the power so that the last batch is torn.
func (a *author) tear() {
	if a.err != nil {
		return
	}
	a.clock.Kill()
	a.waiting = nil
	image := a.disk.Crash(simfs.PowerLoss)
	for seed := range uint64(200) {
		disk := image.Mount(simfs.Random(seed))
		log, clock, err := openLog(nil, a.story, disk.Clone(), seed, 1, true, nil)
		if err != nil {
			continue
		}
		torn := log.Recovery().Torn
		clock.Kill()
		if torn {
			a.disk = disk
			return
		}
	}
	a.fail("no loss of power tears the last batch")
}

// draft draws the next draft of the story, item i of its batch.
func (a *author) draft(i int) engine.Draft {
	r := &numbers{state: a.seed ^ uint64(a.drafts)<<20}
	streams := []struct{ scope, stream string }{{"", "audit"}, {"shop", "order-1"}, {"shop", "order-2"}, {"", "order-1"}, {"shop", "audit"}}
	at := streams[r.below(len(streams))]
	d := engine.Draft{
		Scope: at.scope, Stream: at.stream, Type: fmt.Sprintf("type-%d", r.below(4)),
		Data: make([]byte, 4+r.below(60)), Key: fmt.Sprintf("key-%d", a.drafts),
	}
	r.Read(d.Data)
	if r.below(3) == 0 {
		d.Metadata = make([]byte, 1+r.below(30))
		r.Read(d.Metadata)
	}
	if r.below(3) == 0 {
		d.Extensions = map[string][]byte{"a": {byte(r.below(256))}, "trace": []byte("0123456789")}
	}
	if r.below(3) == 0 {
		d.Erasable = true
	}
	if r.below(2) == 0 {
		d.Lane, d.Depth, d.Flags, d.PayloadVersion = uint32(r.below(3)), uint32(r.below(300)), uint32(r.below(5)), uint32(r.below(3))
	}
	switch {
	case i > 0 && r.below(2) == 0:
		d.CausedBy = engine.Item(i - 1)
	case r.below(4) == 0:
		d.CausedBy = engine.ByID(uuid.UUID{1, 2, byte(a.drafts)})
	}
	if r.below(4) == 0 {
		d.Correlation = uuid.UUID{9, byte(a.drafts)}
	}
	return d
}

// changeFields are what a change may be of; none changes a length.
func changeFields() []string {
	return []string{"payload", "type", "stream", "key", "correlation"}
}

func (c *change) apply(draft int, d *engine.Draft) {
	if c == nil || c.draft != draft {
		return
	}
	switch c.field {
	case "payload":
		d.Data[len(d.Data)/2] ^= 1
	case "type":
		d.Type = "epyt" + d.Type[4:]
	case "stream":
		d.Stream = "x" + d.Stream[1:]
	case "key":
		d.Key = "yek" + d.Key[3:]
	case "correlation":
		d.Correlation = uuid.UUID{8, byte(draft)}
	}
}

// file is one file of a log's directory.
type file struct {
	name  string // with the directory
	bytes []byte
}

// subject is a log that is tampered with, and what is known of it.
type subject struct {
	story    *story
	disk     *simfs.FS
	files    []file // the segments that are there, in order
	events   []engine.Event
	notes    []engine.Note
	keys     proof.Keys       // of those who may have signed it
	receipts []engine.Receipt // of all events, in order
	head     engine.LogHead   // that was kept outside
	form     *form
	moments  [][]file  // of the directory, earlier
	forks    []*fork   // the story with one draft changed
	foreign  [2][]file // the same story in another log; and as another log that goes by this one's id
	seed     uint64
	atlas
}

// fork is what the directory would hold had one draft been another. It is made
// when it is needed.
type fork struct {
	change
	once  sync.Once
	files []file
	err   error
}

// tell tells a story to its end.
func (s *story) tellAll(ctx context.Context, seed uint64, c *change) (*author, error) {
	a := &author{ctx: ctx, story: s, seed: seed, change: c, disk: simfs.New(simfs.Options{})}
	s.tell(a)
	if a.err != nil {
		return nil, fmt.Errorf("tamper: the story %s: %w", s.name, a.err)
	}
	return a, nil
}

// newSubject makes a log, and learns what it holds.
func newSubject(ctx context.Context, s *story, seed uint64) (*subject, error) {
	a, err := s.tellAll(ctx, seed, nil)
	if err != nil {
		return nil, err
	}
	v := &subject{story: s, disk: a.disk, seed: seed, receipts: a.receipts}
	for draft := range a.drafts {
		for _, field := range changeFields() {
			v.forks = append(v.forks, &fork{change: change{draft, field}})
		}
	}
	if v.files, err = segments(a.disk); err != nil {
		return nil, err
	}
	log, clock, err := openLog(nil, s, a.disk.Clone(), 1, 1, false, nil)
	if err != nil {
		return nil, fmt.Errorf("tamper: the story %s: %w", s.name, err)
	}
	defer clock.Kill()
	for event, err := range log.Read(engine.Query{}) {
		if err != nil {
			return nil, fmt.Errorf("tamper: the story %s: %w", s.name, err)
		}
		v.events = append(v.events, event)
	}
	for note, err := range log.Notes(engine.NoteQuery{}) {
		if err != nil {
			return nil, fmt.Errorf("tamper: the story %s: %w", s.name, err)
		}
		v.notes = append(v.notes, note)
	}
	if s.signed && len(v.notes) < 3 {
		return nil, fmt.Errorf("tamper: the story %s: %d signatures", s.name, len(v.notes))
	}
	v.head = log.LogHead()
	// A buffered batch may have been lost, so that others come at its place.
	if len(v.receipts) != len(v.events) {
		return nil, fmt.Errorf("tamper: the story %s: %d receipts of %d events", s.name, len(v.receipts), len(v.events))
	}
	if v.form, err = parse(v.files); err != nil {
		return nil, fmt.Errorf("tamper: the story %s: %w", s.name, err)
	}
	if v.keys, err = v.form.trust(); err != nil {
		return nil, fmt.Errorf("tamper: the story %s: %w", s.name, err)
	}
	for _, disk := range a.moments {
		files, err := segments(disk)
		if err != nil {
			return nil, err
		}
		v.moments = append(v.moments, files)
	}
	other, err := s.tellAll(ctx, seed+1, nil)
	if err != nil {
		return nil, err
	}
	if v.foreign[0], err = segments(other.disk); err != nil {
		return nil, err
	}
	if v.foreign[1], err = v.impostor(v.foreign[0]); err != nil {
		return nil, err
	}
	v.atlas = newAtlas(v.form)
	return v, nil
}

// impostor is another log, encoded anew as if it were of this one: valid in
// itself.
func (v *subject) impostor(files []file) ([]file, error) {
	f, err := parse(files)
	if err != nil {
		return nil, err
	}
	for _, s := range f.segments {
		s.header.LogID = v.form.segments[0].header.LogID
	}
	f.rehash(everything)
	return f.encode(), nil
}

// fork returns the files of the story with one change.
func (v *subject) fork(i int) ([]file, error) {
	f := v.forks[i%len(v.forks)]
	f.once.Do(func() {
		var a *author
		if a, f.err = v.story.tellAll(context.Background(), v.seed, &f.change); f.err == nil {
			f.files, f.err = segments(a.disk)
		}
	})
	return f.files, f.err
}

// segments reads the segments of a log, in order.
func segments(disk *simfs.FS) ([]file, error) {
	names, err := afero.Glob(disk, dir+"/*.seg")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var files []file
	for _, name := range names {
		bytes, err := afero.ReadFile(disk, name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, bytes})
	}
	if len(files) == 0 {
		return nil, errors.New("no segment")
	}
	return files, nil
}

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// numbers is the randomness of a seed (SplitMix64).
type numbers struct{ state uint64 }

func (n *numbers) next() uint64 {
	n.state += 0x9e3779b97f4a7c15
	x := n.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below draws from 0 … n-1.
func (n *numbers) below(most int) int { return int(n.next() % uint64(most)) }

// Read never fails.
func (n *numbers) Read(b []byte) (int, error) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		binary.LittleEndian.PutUint64(word[:], n.next())
		copy(b[i:], word[:])
	}
	return len(b), nil
}

// String says what a change is of.
func (c *change) String() string { return fmt.Sprintf("%d, its %s", c.draft, c.field) }
