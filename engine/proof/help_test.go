package proof_test

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// ledger is a log in memory, made of packages record and chain alone.
type ledger struct {
	id      uuid.UUID
	root    chain.Hash // before the first batch
	rootsOf uuid.UUID  // the log whose stream roots it has
	heads   []proof.Head
	digests []chain.Hash // heads[i+1] is heads[i] and digests[i]
	batches []ledgerBatch
	streams map[[2]string]ledgerStream
	at      [][2]time.Time // time and clock of each event; testTime where there is none
}

type ledgerStream struct {
	version uint64
	hash    chain.Hash
}

type ledgerBatch struct {
	first  uint64
	hashes []chain.Hash
	notes  chain.Hash
	events []ledgerEvent
}

type ledgerEvent struct {
	record.Event
	sequence uint64
	header   []byte
	previous chain.Hash
}

const testTime = 1577836800_000000000 // 2020-01-01T00:00:00Z

var testLog = uuid.UUID{0x10, 0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}

func newLedger(id uuid.UUID) *ledger {
	return &ledger{id: id, root: chain.LogRoot(id), rootsOf: id, streams: map[[2]string]ledgerStream{}}
}

// start is the head before the first batch.
func (l *ledger) start() {
	if l.heads == nil {
		l.heads = []proof.Head{{LogID: l.id, Hash: l.root}}
	}
}

// append is a batch. An event with a version keeps it.
func (l *ledger) append(notes [][]byte, events ...record.Event) {
	l.start()
	last := l.heads[len(l.heads)-1]
	var h chain.Hasher
	b := ledgerBatch{first: last.Sequence + 1, notes: h.Notes(1, 1, notes)}
	for i, e := range events {
		name := [2]string{e.Scope, e.Stream}
		stream, ok := l.streams[name]
		if !ok {
			stream.hash = chain.StreamRoot(l.rootsOf, e.Scope, e.Stream)
		}
		stream.version++
		if e.Version == 0 {
			e.Version = stream.version
		}
		made := ledgerEvent{Event: e, sequence: b.first + uint64(i), previous: stream.hash}
		content := h.Content(salt(&e), e.Metadata, e.Payload)
		at, clock := int64(testTime), int64(testTime)
		if n := made.sequence; n <= uint64(len(l.at)) {
			at, clock = l.at[n-1][0].UnixNano(), l.at[n-1][1].UnixNano()
		}
		made.header = record.AppendCanonical(nil, &e, made.sequence, at, clock, content)
		made.Hash = h.Event(stream.hash, h.Header(made.header))
		stream.hash = made.Hash
		l.streams[name] = stream
		b.events = append(b.events, made)
		b.hashes = append(b.hashes, made.Hash)
	}
	batch := last.Batch + 1
	digest := h.Batch(batch, b.first, b.hashes, b.notes)
	l.digests = append(l.digests, digest)
	l.batches = append(l.batches, b)
	l.heads = append(l.heads, proof.Head{
		LogID: l.id, Batch: batch, Sequence: last.Sequence + uint64(len(events)), Hash: h.Link(last.Hash, digest),
	})
}

func salt(e *record.Event) []byte {
	if e.Erasable {
		return e.Salt[:]
	}
	return nil
}

// prove is what is to be proven of an event of a batch, and its unsigned proof up
// to a head. Batches count from 1.
func (l *ledger) prove(batch, index, head int) (proof.Statement, proof.Proof) {
	b := &l.batches[batch-1]
	e := &b.events[index]
	return proof.Statement{
			LogID: l.id, ID: e.ID, Scope: e.Scope, Stream: e.Stream, Sequence: e.sequence, Version: e.Version,
			Batch: uint64(batch), Hash: e.Hash,
		}, proof.Proof{
			Header: e.header, Previous: e.previous,
			Batch: uint64(batch), FirstSequence: b.first, Index: uint32(index), Events: b.hashes, Notes: b.notes,
			Before: l.heads[batch-1].Hash, Following: l.digests[batch:head:head],
			Head: proof.SignedHead{Head: l.heads[head]},
		}
}

func testID(n byte) uuid.UUID {
	return uuid.UUID{0x01, 0x6f, 0x5e, 0x66, 0xe8, 0x00, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n}
}

func placed(n byte) record.Event {
	return record.Event{ID: testID(n), Correlation: testID(n), Scope: "shop", Stream: "order-42", Type: "order.placed", Payload: []byte("two apples")}
}

func erasable(n byte) record.Event {
	e := placed(n)
	e.Stream, e.Type, e.CausedBy = "customer-7", "customer.moved", testID(1)
	e.Erasable, e.Salt, e.Metadata = true, [16]byte{0x5a, 0x17, 15: 1}, []byte(`{"from":"web"}`)
	return e
}

// testLedger has five batches: one event; three events and a note; a note alone;
// one event; one event.
func testLedger() *ledger { return fill(newLedger(testLog)) }

func fill(l *ledger) *ledger {
	note := record.Note{Name: "cursor", Data: []byte("mailer=41")}
	notes := [][]byte{note.AppendRecord(nil)}
	l.append(nil, placed(1))
	l.append(notes, placed(2), erasable(3), placed(4))
	l.append(notes)
	l.append(nil, placed(5))
	l.append(nil, erasable(6))
	return l
}

// testKey is a private key that anybody can have.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte{n, 31: 0})
}

func publicKey(n byte) ed25519.PublicKey { return testKey(n).Public().(ed25519.PublicKey) }

func testKeys(t testing.TB) proof.Keys {
	t.Helper()
	keys, err := proof.NewKeys(
		proof.Key{ID: "ops-2019", Public: publicKey(1), Until: 3},
		proof.Key{ID: "ops-2020", Public: publicKey(2), From: 4},
	)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sign(t testing.TB, head proof.Head, keyID string, key ed25519.PrivateKey) proof.SignedHead {
	t.Helper()
	signed, err := proof.Sign(head, keyID, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// signedProof is of the erasable event of the second batch, up to the fifth.
func signedProof(t testing.TB) (proof.Statement, proof.Proof) {
	l := testLedger()
	s, p := l.prove(2, 1, 5)
	p.Head = sign(t, p.Head.Head, "ops-2020", testKey(2))
	return s, p
}

// wantReason checks that an error is an *Error with a reason; 0 is no error.
func wantReason(t testing.TB, err error, want proof.Reason) {
	t.Helper()
	var invalid *proof.Error
	switch {
	case want == 0 && err != nil:
		t.Errorf("error %v, want none", err)
	case want != 0 && (!errors.As(err, &invalid) || invalid.Reason != want || !errors.Is(err, want)):
		t.Errorf("error %v, want the reason %v", err, want)
	}
}
