package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
	"github.com/untorn-db/untorn/simfs"
)

// crafted is a segment that somebody made up: every checksum and hash is right.
type crafted struct {
	header record.SegmentHeader
	bytes  []byte
	head   chain.Hash
	event  chain.Hash // the last one's
	batch  uint64

	extensions []byte // of the next event
	payload    []byte // of the next event, "x" if nil
	erased     bool   // the next event has lost it
}

func craft(number uint64) *crafted {
	c := &crafted{}
	c.header.Number = number
	c.head = chain.LogRoot(c.header.LogID)
	c.header.PreviousHead = c.head
	c.event = chain.StreamRoot(c.header.LogID, "", "s")
	return c
}

// follower is a segment with any number that goes on behind this one.
func (c *crafted) follower(number uint64) *crafted {
	next := &crafted{head: c.head, event: c.event, batch: c.batch}
	next.header = record.SegmentHeader{
		Number: number, PreviousEnd: uint64(len(c.bytes)), PreviousHead: c.head,
		PreviousBatch: c.batch, PreviousSequence: c.batch, PreviousTime: 1,
	}
	return next
}

// add appends a batch of one event, and says that all before it is durable.
func (c *crafted) add() {
	if c.bytes == nil {
		c.bytes = c.header.Append(nil)
	}
	var h chain.Hasher
	c.batch++
	e := record.Event{ID: uuid.UUID{byte(c.batch), byte(c.batch >> 8), 1}, Version: c.batch, Stream: "s", Type: "t", Payload: []byte("x"), Extensions: c.extensions}
	e.Correlation = e.ID
	if c.payload != nil {
		e.Payload = c.payload
	}
	content := h.Content(nil, nil, e.Payload)
	if c.erased {
		e.Erasable, e.Erased, e.Payload, e.ContentHash = true, true, nil, content
	}
	c.event = h.Event(c.event, h.Header(record.AppendCanonical(nil, &e, c.batch, 1, 1, content)))
	e.Hash = c.event
	c.head = h.Head(c.head, c.batch, c.batch, []chain.Hash{e.Hash}, chain.Hash{})
	mark := record.Mark{Sequence: c.batch, Batch: c.batch, Time: 1, Clock: 1, Synced: c.batch - 1}
	c.bytes = record.AppendBatch(c.bytes, record.NewPlace(c.header.Seed), int64(len(c.bytes)), &mark, []record.Event{e}, c.head, nil)
}

func (c *crafted) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%012d.seg", c.header.Number)), c.bytes, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAnErasedEventSaysSo: it verifies, and nobody takes it for one without a
// payload.
func TestAnErasedEventSaysSo(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.add()
	c.erased = true
	c.add()
	c.write(t, dir)
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, log)
	events := all(t, log, engine.Query{})
	if len(events) != 2 || events[0].Erased || !events[1].Erased || !events[1].Erasable || events[1].Data != nil {
		t.Errorf("%+v", events)
	}
	for _, id := range []uuid.UUID{events[1].ID, {}} {
		if salt, err := log.Salt(id); salt != nil || !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("salt of %v: %x, %v", id, salt, err)
		}
	}
	verified(t, log)
}

// TestTheNumbersEnd: there is no segment behind 2^32 − 1, and an index that
// forgot the upper half of a number would look for it elsewhere.
func TestTheNumbersEnd(t *testing.T) {
	dir := t.TempDir()
	c := craft(1<<32 - 1)
	c.add()
	c.add()
	c.write(t, dir)
	if log, err := engine.Open(engine.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "used up the numbers") {
		t.Errorf("a log without a number for the fresh segment: %v", err)
		if err == nil {
			closed(t, log)
		}
	}
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, log)
	if got := payloads(all(t, log, engine.Query{Buffered: true})); len(got) != 2 {
		t.Errorf("read %q", got)
	}
}

// TestAGapOfNumbers: what is missing between two segments costs nothing, however
// much it is.
func TestAGapOfNumbers(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.add()
	c.add()
	c.write(t, dir)
	far := c.follower(1<<32 - 2)
	far.add()
	far.add()
	far.write(t, dir)
	began := time.Now()
	_, err := engine.Open(engine.Options{Dir: dir})
	matches(t, err, engine.ErrCorrupt)
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Salvage: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, log)
	if got := all(t, log, engine.Query{Buffered: true}); len(got) != 4 {
		t.Errorf("read %d events of 4", len(got))
	}
	if stats := log.Stats(); len(stats.Segments) != 2 {
		t.Errorf("segments: %+v", stats.Segments)
	}
	found, err := log.Verify(context.Background())
	matches(t, err, engine.ErrCorrupt)
	if n := len(found.Problems); n == 0 || n > 4 {
		t.Errorf("%d problems", n)
	}
	t.Logf("it took %v", time.Since(began)) // minutes, where the work is done anew for each
}

// TestAnEndBeyondAnyFile: a header that says its predecessor ends where no file
// can is not believed.
func TestAnEndBeyondAnyFile(t *testing.T) {
	for _, end := range []uint64{1 << 40, 1 << 63, 1<<64 - 1} {
		dir := t.TempDir()
		c := craft(1)
		c.add()
		c.write(t, dir)
		next := c.follower(2)
		next.header.PreviousEnd = end
		next.add()
		next.write(t, dir)
		_, err := engine.Open(engine.Options{Dir: dir})
		matches(t, err, engine.ErrCorrupt)
	}
}

// TestVerifyFindsWhatReadRefuses: no log is fine by Verify and damaged by Read.
func TestVerifyFindsWhatReadRefuses(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.extensions = []byte{255, 1}
	c.add()
	c.extensions = nil
	c.add()
	c.write(t, dir)
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, log)
	for _, err := range log.Read(engine.Query{}) {
		matches(t, err, engine.ErrCorrupt)
	}
	found, err := log.Verify(context.Background())
	matches(t, err, engine.ErrCorrupt)
	if len(found.Problems) != 1 || !strings.Contains(found.Problems[0].Reason, "extensions of event 1") {
		t.Errorf("problems: %v", found.Problems)
	}
}

// TestSmallBatchesBehindALargeOne: a large batch leaves a large buffer, which
// must not be moved for each of the small ones in it.
func TestSmallBatchesBehindALargeOne(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.payload = make([]byte, 8<<20)
	c.add()
	c.payload = nil
	for range 60_000 {
		c.add()
	}
	c.write(t, dir)
	began := time.Now()
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, log)
	t.Logf("it took %v", time.Since(began)) // minutes, where the work is done anew for each
}

// TestManyDamagedPlaces salvages every second batch, with a large buffer.
func TestManyDamagedPlaces(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.payload = make([]byte, 4<<20)
	c.add()
	c.payload = nil
	for i := range 20_000 {
		at := len(c.bytes)
		c.add()
		if i%2 == 0 {
			c.bytes[at+100] ^= 1
		}
	}
	c.write(t, dir)
	began := time.Now()
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Salvage: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, log)
	got := all(t, log, engine.Query{Buffered: true})
	t.Logf("it took %v", time.Since(began)) // minutes, where the work is done anew for each
	if len(got) != 10_001 || slices.ContainsFunc(got, func(e engine.Event) bool { return e.Sequence%2 == 0 }) {
		t.Errorf("%d events of 10001", len(got))
	}
}

// fewFiles counts the files that are open.
type fewFiles struct {
	afero.Fs
	open, most int
}

func (c *fewFiles) OpenFile(name string, flag int, mode os.FileMode) (afero.File, error) {
	f, err := c.Fs.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	c.open++
	c.most = max(c.most, c.open)
	return &fileOfFew{f, c}, nil
}

type fileOfFew struct {
	afero.File
	fs *fewFiles
}

func (c *fileOfFew) Close() error {
	err := c.File.Close()
	if !errors.Is(err, os.ErrClosed) {
		c.fs.open--
	}
	return err
}

// TestOpenNeedsFewFiles opens a log of many segments with few files at a time.
func TestOpenNeedsFewFiles(t *testing.T) {
	files := &fewFiles{Fs: simfs.New(simfs.Options{})}
	options := engine.Options{FS: files, SegmentSize: 64 << 10, Preallocate: -1}
	log, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		appended(t, log, big("x", 50_000))
	}
	closed(t, log)
	for _, readOnly := range []bool{true, false} {
		options.ReadOnly = readOnly
		files.most = files.open
		log, err := engine.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		if files.most > 12 {
			t.Errorf("Open had %d files open, read-only %v", files.most, readOnly)
		}
		if got := all(t, log, engine.Query{}); len(got) != 40 {
			t.Errorf("%d events", len(got))
		}
		closed(t, log)
	}
	if files.open != 0 {
		t.Errorf("%d files were left open", files.open)
	}
}
