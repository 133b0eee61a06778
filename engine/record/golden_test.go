package record_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew from what the naive encoder does now")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("bytes differ from %s: the format has changed. Now:\n%s", file, text)
	}
}

// sameBytes says where two encodings part.
func sameBytes(t interface {
	Helper()
	Fatalf(string, ...any)
}, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	t.Fatalf("%d bytes, the naive encoder %d; they part at byte %d: %x, naively %x",
		len(got), len(want), n, got[n:min(len(got), n+16)], want[n:min(len(want), n+16)])
}

var (
	testSeed    = record.Seed{0x5e, 0xed, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	testSession = record.Session{0x5e, 0x55, 1, 0, 2, 3, 4, 5}
	testLog     = [16]byte{0x10, 0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}
)

const (
	testTime  = 1577836800_000000000 // 2020-01-01T00:00:00Z
	testPlace = record.DataStart
)

func testID(n byte) uuid.UUID {
	return uuid.UUID{0x01, 0x6f, 0x5e, 0x66, 0xe8, 0x00, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n} // version 7, of testTime
}

// simpleEvent has nothing that is optional.
func simpleEvent(n byte, payload []byte) record.Event {
	return record.Event{
		ID: testID(n), Correlation: testID(n), Version: uint64(n),
		Stream: "order-42", Type: "order.placed", Payload: payload,
	}
}

// fullEvent has all that is optional.
func fullEvent(n byte) record.Event {
	return record.Event{
		ID: testID(n), CausedBy: testID(0xca), Correlation: testID(0xc0), Version: 300,
		Scope: "shop", Stream: "ledger", Type: "entry.booked", Key: "request-7",
		Lane: 2, Depth: 130, Flags: 0xdeadbeef, PayloadVersion: 3,
		Extensions: record.AppendExtensions(nil, map[string][]byte{"trace": {1, 2, 3}, "author": []byte("ann")}),
		Erasable:   true, Salt: [16]byte{0x5a, 0x17, 15: 1},
		Metadata: []byte(`{"from":"web"}`), Payload: []byte("two apples"),
	}
}

// hashed gives the events their hashes, as if each were the first of its
// stream, and returns the head of the batch and the content hashes.
func hashed(m *record.Mark, events []record.Event, notes [][]byte) chain.Hash {
	var h chain.Hasher
	all := make([]chain.Hash, len(events))
	for i := range events {
		e := &events[i]
		var salt []byte
		if e.Erasable {
			salt = e.Salt[:]
		}
		content := h.Content(salt, e.Metadata, e.Payload)
		if e.Erased {
			e.ContentHash = content
			e.Salt, e.Metadata, e.Payload = [16]byte{}, nil, nil
		}
		header := naiveCanonical(e, m.Sequence+uint64(i), m.Time, m.Clock, content)
		e.Hash = h.Event(chain.StreamRoot(testLog, e.Scope, e.Stream), h.Header(header))
		all[i] = e.Hash
	}
	return h.Head(chain.LogRoot(testLog), m.Batch, m.Sequence, all, h.Notes(m.Time, m.Clock, notes))
}

// testBatch is one of the batches that the golden files draw.
type testBatch struct {
	name   string
	mark   record.Mark
	events []record.Event
	notes  [][]byte
	head   chain.Hash
}

func testBatches() []testBatch {
	erased := fullEvent(2)
	erased.Erased = true
	note := record.Note{Name: "cursor", Data: []byte("mailer=41")}
	large := make([]byte, 5000)
	for i := range large {
		large[i] = byte(i % 251)
	}
	batches := []testBatch{{
		name:   "batch-of-one.txt",
		mark:   record.Mark{Session: testSession, Sequence: 1, Batch: 1, Time: testTime, Clock: testTime},
		events: []record.Event{simpleEvent(1, []byte("two apples"))},
	}, {
		name:   "batch-of-three.txt",
		mark:   record.Mark{Session: testSession, Sequence: 1 << 33, Batch: 1<<32 + 7, Time: testTime, Clock: testTime - 5_000_000_000, Synced: 1<<32 + 5},
		events: []record.Event{fullEvent(1), erased, simpleEvent(3, nil)},
		notes:  [][]byte{note.AppendRecord(nil)},
	}, {
		name:   "pieces.txt",
		mark:   record.Mark{Session: testSession, Sequence: 2, Batch: 2, Time: testTime, Clock: testTime, Synced: 1},
		events: []record.Event{simpleEvent(1, large), simpleEvent(2, []byte("behind it"))},
	}}
	for i := range batches {
		b := &batches[i]
		b.head = hashed(&b.mark, b.events, b.notes)
	}
	return batches
}

func (b *testBatch) encode(seed record.Seed, offset int64) []byte {
	return record.AppendBatchNotes(nil, record.NewPlace(seed), offset, &b.mark, b.events, b.notes, b.head, nil)
}

func TestGoldenBatches(t *testing.T) {
	for _, b := range testBatches() {
		t.Run(b.name, func(t *testing.T) {
			frames := naiveBatch(&b.mark, b.events, b.notes, b.head)
			sameBytes(t, b.encode(testSeed, testPlace), placed(frames, testSeed, testPlace))
			golden(t, b.name, drawFrames(frames, testSeed, testPlace))
		})
	}
}

func TestGoldenEnd(t *testing.T) {
	place := record.NewPlace(testSeed)
	var text strings.Builder
	for _, rotated := range []bool{false, true} {
		m := record.Mark{Session: testSession, Sequence: 12, Batch: 7, Time: testTime, Synced: 7, Rotated: rotated}
		frames := naiveEnd(&m)
		sameBytes(t, record.AppendEnd(nil, place, testPlace, &m), placed(frames, testSeed, testPlace))
		fmt.Fprintf(&text, "rotated: %v\n%s\n", rotated, drawFrames(frames, testSeed, testPlace))
	}
	golden(t, "end.txt", text.String())
}

func testSegments() []record.SegmentHeader {
	return []record.SegmentHeader{{
		LogID: testLog, Seed: testSeed, Number: 1, PreviousHead: chain.LogRoot(testLog),
	}, {
		LogID: testLog, Seed: testSeed, Number: 1 << 40, Align: 4096,
		PreviousEnd: 67_000_008, PreviousHead: chain.Hash{1, 2, 31: 3}, PreviousBatch: 1<<40 + 1, PreviousSequence: 1<<41 + 2, PreviousTime: -3,
		Carried: 4, Synced: true, ReadCompatible: 5, Compatible: 6,
	}}
}

func TestGoldenSegmentHeader(t *testing.T) {
	var text strings.Builder
	for _, h := range testSegments() {
		fields := segmentFields(&h)
		block := append(joined(fields), make([]byte, 4096-144)...)
		got := h.Append([]byte("kept"))
		sameBytes(t, got, append([]byte("kept"), append(block, block...)...))
		draw(&text, 0, fields)
		fmt.Fprintf(&text, "        zeros to byte 4096, then the same again to byte 8192\n\n8192 bytes, SHA-256 %x\n\n", sha256.Sum256(got[4:]))
	}
	golden(t, "segment-header.txt", text.String())
}
