package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// TestVerify proves every event of a log under every head that is not before it,
// unsigned and signed.
func TestVerify(t *testing.T) {
	l := testLedger()
	keys := testKeys(t)
	for head := 1; head < len(l.heads); head++ {
		keyID, key := "ops-2019", testKey(1)
		if head >= 4 {
			keyID, key = "ops-2020", testKey(2)
		}
		for batch := 1; batch <= head; batch++ {
			for index := range l.batches[batch-1].events {
				s, p := l.prove(batch, index, head)
				verdict, err := proof.Verify(s, &p, keys)
				if want := (proof.Verdict{Head: l.heads[head]}); err != nil || verdict != want {
					t.Errorf("event %d of batch %d, unsigned head %d: %+v, %v, want %+v", index, batch, head, verdict, err, want)
				}
				p.Head = sign(t, l.heads[head], keyID, key)
				verdict, err = proof.Verify(s, &p, keys)
				if want := (proof.Verdict{Signed: true, KeyID: keyID, Head: l.heads[head]}); err != nil || verdict != want {
					t.Errorf("event %d of batch %d, signed head %d: %+v, %v, want %+v", index, batch, head, verdict, err, want)
				}
				e := &l.batches[batch-1].events[index]
				if err := proof.VerifyContent(&p, salt(&e.Event), e.Metadata, e.Payload); err != nil {
					t.Errorf("the content of event %d of batch %d: %v", index, batch, err)
				}
				event, err := p.Event()
				if err != nil || event.Event.Type != e.Type || event.Time != testTime || event.Event.CausedBy != e.CausedBy {
					t.Errorf("event %d of batch %d is %+v, %v, want %+v", index, batch, event, err, e)
				}
			}
		}
	}
}

func TestConsistent(t *testing.T) {
	l := testLedger()
	for older := range l.heads {
		for newer := older; newer < len(l.heads); newer++ {
			if err := proof.Consistent(l.heads[older], l.digests[older:newer], l.heads[newer]); err != nil {
				t.Errorf("from head %d to %d: %v", older, newer, err)
			}
		}
	}
}

// reasonCase reaches a reason. Where a hash would catch a change first, the whole
// log is made with it: what is left to be wrong is one thing.
type reasonCase struct {
	name   string
	reason proof.Reason
	run    func(t *testing.T) error
}

// changed verifies the signed proof, changed.
func changed(change func(s *proof.Statement, p *proof.Proof)) func(t *testing.T) error {
	return func(t *testing.T) error {
		s, p := signedProof(t)
		p.Events, p.Following = slices.Clone(p.Events), slices.Clone(p.Following)
		p.Header = bytes.Clone(p.Header)
		change(&s, &p)
		return verified(t, s, p)
	}
}

// verified is the error of Verify, which has no verdict beside it.
func verified(t *testing.T, s proof.Statement, p proof.Proof) error {
	verdict, err := proof.Verify(s, &p, testKeys(t))
	if err != nil && verdict != (proof.Verdict{}) {
		t.Errorf("a verdict %+v beside %v", verdict, err)
	}
	return err
}

// crafted verifies an event of a log that was made wrong, up to a signed head.
func crafted(l *ledger, batch int) func(t *testing.T) error {
	return func(t *testing.T) error {
		s, p := l.prove(batch, 0, 5)
		p.Head = sign(t, p.Head.Head, "ops-2020", testKey(2))
		return verified(t, s, p)
	}
}

func statement(change func(*proof.Statement)) func(t *testing.T) error {
	return changed(func(s *proof.Statement, _ *proof.Proof) { change(s) })
}

// resigned verifies a proof whose head was changed, and signed again.
func resigned(change func(*proof.Proof)) func(t *testing.T) error {
	return func(t *testing.T) error {
		s, p := signedProof(t)
		change(&p)
		p.Head = sign(t, p.Head.Head, p.Head.KeyID, testKey(2))
		return verified(t, s, p)
	}
}

func consistent(change func(older, newer *proof.Head, digests *[]chain.Hash)) func(t *testing.T) error {
	return func(t *testing.T) error {
		l := testLedger()
		older, newer, digests := l.heads[2], l.heads[4], slices.Clone(l.digests[2:4])
		change(&older, &newer, &digests)
		return proof.Consistent(older, digests, newer)
	}
}

func content(batch, index int, of func(e *record.Event) (salt, metadata, payload []byte)) func(t *testing.T) error {
	return func(t *testing.T) error {
		l := testLedger()
		_, p := l.prove(batch, index, 5)
		salt, metadata, payload := of(&l.batches[batch-1].events[index].Event)
		return proof.VerifyContent(&p, salt, metadata, payload)
	}
}

// byHand verifies a head that was signed without Sign.
func byHand(head proof.Head) func(t *testing.T) error {
	return func(t *testing.T) error {
		signed := proof.SignedHead{Head: head, KeyID: "ops-2019"}
		signed.Signature = proof.Signature(ed25519.Sign(testKey(1), head.Message(signed.KeyID)))
		return testKeys(t).Verify(signed)
	}
}

var otherLog = uuid.UUID{15: 9}

func reasonCases() []reasonCase {
	strangeStreams := newLedger(testLog)
	strangeStreams.rootsOf = otherLog
	strangeRoot := newLedger(testLog)
	strangeRoot.root = chain.LogRoot(otherLog)
	early := placed(1)
	early.Version = 1
	again := newLedger(testLog)
	again.append(nil, placed(1))
	again.append(nil, early) // the second of its stream, and says that it is the first
	again.append(nil, placed(3))
	again.append(nil, placed(4))
	again.append(nil, placed(5))
	return []reasonCase{
		{"as it should be", 0, changed(func(*proof.Statement, *proof.Proof) {})},
		{"as it should be, of a log made here", 0, crafted(testLedger(), 1)},
		{"as it should be, signed again", 0, resigned(func(*proof.Proof) {})},

		{"no header", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Header = nil })},
		{"a header cut", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Header = p.Header[:len(p.Header)-1] })},
		{"a header of version 0", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) {
			event, _ := record.DecodeCanonical(p.Header)
			event.Event.Version = 0
			p.Header = event.Append(nil)
		})},
		{"a header of sequence 0", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) {
			event, _ := record.DecodeCanonical(p.Header)
			event.Sequence = 0
			p.Header = event.Append(nil)
		})},
		{"an index behind the batch", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Index = 3 })},
		{"no events", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Index, p.Events = 0, nil })},
		{"a first sequence of 0", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.FirstSequence = 0 })},
		{"sequences beyond 64 bits", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.FirstSequence = 1<<64 - 2 })},
		{"batch 0", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Batch = 0 })},
		{"batches beyond 64 bits", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Batch = 1<<64 - 2 })},
		{"a signature without a key", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Head.KeyID = "" })},
		{"no key id", proof.Malformed, changed(func(_ *proof.Statement, p *proof.Proof) { p.Head.KeyID = "ops 2020" })},

		{"a statement of another log", proof.OtherLog, statement(func(s *proof.Statement) { s.LogID = otherLog })},
		{"a head of another log", proof.OtherLog, resigned(func(p *proof.Proof) { p.Head.LogID = otherLog })},
		{"an older head of another log", proof.OtherLog, consistent(func(older, _ *proof.Head, _ *[]chain.Hash) { older.LogID = otherLog })},

		{"a bit of the header", proof.WrongHeader, changed(func(_ *proof.Statement, p *proof.Proof) { p.Header[0] ^= 1 })},
		{"another event before", proof.WrongHeader, changed(func(_ *proof.Statement, p *proof.Proof) { p.Previous[31] ^= 1 })},
		{"another header and another hash", proof.WrongHeader, changed(func(s *proof.Statement, p *proof.Proof) { p.Header[0] ^= 1; s.Hash[0] ^= 1 })},
		{"another place in the batch", proof.NotInBatch, changed(func(_ *proof.Statement, p *proof.Proof) { p.Index = 2 })},
		{"another event in its place", proof.NotInBatch, changed(func(_ *proof.Statement, p *proof.Proof) { p.Events[1][0] ^= 1 })},
		{"a receipt of its neighbour", proof.OtherEvent, func(t *testing.T) error {
			_, p := signedProof(t)
			s, _ := testLedger().prove(2, 2, 5)
			return verified(t, s, p)
		}},

		{"hash", proof.WrongHash, statement(func(s *proof.Statement) { s.Hash[31] ^= 0x80 })},
		{"id", proof.WrongID, statement(func(s *proof.Statement) { s.ID[15] ^= 1 })},
		{"scope", proof.WrongScope, statement(func(s *proof.Statement) { s.Scope = "" })},
		{"stream", proof.WrongStream, statement(func(s *proof.Statement) { s.Stream += " " })},
		{"sequence", proof.WrongSequence, statement(func(s *proof.Statement) { s.Sequence++ })},
		{"version", proof.WrongVersion, statement(func(s *proof.Statement) { s.Version++ })},
		{"batch", proof.WrongBatch, statement(func(s *proof.Statement) { s.Batch++ })},
		{"the proof's batch", proof.WrongBatch, changed(func(_ *proof.Statement, p *proof.Proof) { p.Batch++ })},

		{"another first sequence", proof.WrongIndex, changed(func(_ *proof.Statement, p *proof.Proof) { p.FirstSequence++ })},
		{"a stream from another log's root", proof.WrongStreamRoot, crafted(fill(strangeStreams), 1)},
		{"version 1 behind an event", proof.WrongStreamRoot, crafted(again, 2)},
		{"a log from another log's root", proof.WrongLogRoot, crafted(fill(strangeRoot), 1)},
		{"another root with a head that fits", proof.WrongLogRoot, func(t *testing.T) error {
			s, p := testLedger().prove(1, 0, 5)
			p.Before[0] ^= 1
			return verified(t, s, p)
		}},
		{"an empty log's head is not the root", proof.WrongLogRoot, consistent(func(older, _ *proof.Head, _ *[]chain.Hash) {
			older.Batch, older.Sequence = 0, 0
		})},
		{"an empty log that has a head, signed", proof.WrongLogRoot, byHand(proof.Head{LogID: testLog, Hash: chain.Hash{1}})},
		{"signing an empty log that has a head", proof.WrongLogRoot, func(*testing.T) error {
			_, err := proof.Sign(proof.Head{LogID: testLog, Hash: chain.Hash{1}}, "ops", testKey(1))
			return err
		}},

		{"a digest too few", proof.WrongCount, changed(func(_ *proof.Statement, p *proof.Proof) { p.Following = p.Following[:2] })},
		{"a digest too many", proof.WrongCount, changed(func(_ *proof.Statement, p *proof.Proof) { p.Following = append(p.Following, chain.Hash{}) })},
		{"a head of another batch", proof.WrongCount, resigned(func(p *proof.Proof) { p.Head.Batch++ })},
		{"a digest too few between heads", proof.WrongCount, consistent(func(_, _ *proof.Head, digests *[]chain.Hash) { *digests = (*digests)[1:] })},
		{"batches beyond 64 bits", proof.WrongCount, consistent(func(older, newer *proof.Head, _ *[]chain.Hash) { older.Batch, newer.Batch = 1<<64-1, 1 })},
		{"the newer head is the older", proof.WrongCount, consistent(func(older, newer *proof.Head, _ *[]chain.Hash) { *older, *newer = *newer, *older })},

		{"the head before", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) { p.Before[0] ^= 1 })},
		{"the notes", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) { p.Notes[0] ^= 1 })},
		{"no notes", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) { p.Notes = chain.Hash{} })},
		{"a neighbour", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) { p.Events[0][0] ^= 1 })},
		{"a neighbour less", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) { p.Events = p.Events[:2] })},
		{"a digest", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) { p.Following[2][0] ^= 1 })},
		{"two digests in the other order", proof.NotUnderHead, changed(func(_ *proof.Statement, p *proof.Proof) {
			p.Following[0], p.Following[1] = p.Following[1], p.Following[0]
		})},
		{"another head that is signed", proof.NotUnderHead, resigned(func(p *proof.Proof) { p.Head.Hash[0] ^= 1 })},
		{"another number of the batch in all but its digest", proof.NotUnderHead, func(t *testing.T) error {
			s, p := signedProof(t)
			s.Batch, p.Batch, p.Head.Batch = 3, 3, 6
			p.Head = sign(t, p.Head.Head, "ops-2020", testKey(2))
			return verified(t, s, p)
		}},

		{"a head before the batch's last event", proof.WrongHeadSequence, resigned(func(p *proof.Proof) { p.Head.Sequence = 3 })},
		{"a head of the batch, with events more", proof.WrongHeadSequence, func(t *testing.T) error {
			s, p := testLedger().prove(2, 1, 2)
			p.Head.Sequence++
			return verified(t, s, p)
		}},
		{"a newer head with fewer events", proof.WrongHeadSequence, consistent(func(_, newer *proof.Head, _ *[]chain.Hash) { newer.Sequence = 3 })},
		{"the same head with other events", proof.WrongHeadSequence, func(*testing.T) error {
			head := testLedger().heads[2]
			other := head
			other.Sequence++
			return proof.Consistent(head, nil, other)
		}},
		{"an empty log with events, signed", proof.WrongHeadSequence, byHand(proof.Head{LogID: testLog, Hash: chain.LogRoot(testLog), Sequence: 1})},
		{"signing an empty log with events", proof.WrongHeadSequence, func(*testing.T) error {
			_, err := proof.Sign(proof.Head{LogID: testLog, Hash: chain.LogRoot(testLog), Sequence: 1}, "ops", testKey(1))
			return err
		}},

		{"a key that nobody knows", proof.UnknownKey, changed(func(_ *proof.Statement, p *proof.Proof) { p.Head.KeyID = "ops-2021" })},
		{"a key of nobody's", proof.UnknownKey, func(t *testing.T) error {
			s, p := signedProof(t)
			_, err := proof.Verify(s, &p, proof.Keys{})
			return err
		}},
		{"signed by another key", proof.BadSignature, func(t *testing.T) error {
			s, p := signedProof(t)
			p.Head = sign(t, p.Head.Head, p.Head.KeyID, testKey(3))
			return verified(t, s, p)
		}},
		{"a bit of R", proof.BadSignature, changed(func(_ *proof.Statement, p *proof.Proof) { p.Head.Signature[0] ^= 1 })},
		{"a bit of S", proof.BadSignature, changed(func(_ *proof.Statement, p *proof.Proof) { p.Head.Signature[32] ^= 1 })},
		{"S plus the order", proof.BadSignature, changed(func(_ *proof.Statement, p *proof.Proof) { addOrder(&p.Head.Signature) })},
		{"signed for another batch", proof.BadSignature, func(t *testing.T) error {
			s, p := signedProof(t)
			p.Head.Signature = sign(t, testLedger().heads[4], "ops-2020", testKey(2)).Signature
			return verified(t, s, p)
		}},
		{"signed with another sequence", proof.BadSignature, changed(func(_ *proof.Statement, p *proof.Proof) { p.Head.Sequence++ })},
		{"the other key's signature of the same head", proof.BadSignature, func(t *testing.T) error {
			s, p := signedProof(t)
			p.Head.Signature = sign(t, p.Head.Head, "ops-2019", testKey(2)).Signature
			return verified(t, s, p)
		}},
		{"an unsigned head that should be signed", proof.Malformed, func(t *testing.T) error {
			return testKeys(t).Verify(proof.SignedHead{Head: testLedger().heads[5]})
		}},
		{"a key whose time is over", proof.RetiredKey, func(t *testing.T) error {
			s, p := signedProof(t)
			p.Head = sign(t, p.Head.Head, "ops-2019", testKey(1))
			return verified(t, s, p)
		}},
		{"a key whose time is to come", proof.RetiredKey, func(t *testing.T) error {
			s, p := testLedger().prove(1, 0, 3)
			p.Head = sign(t, p.Head.Head, "ops-2020", testKey(2))
			return verified(t, s, p)
		}},

		{"another payload", proof.WrongContent, content(1, 0, func(e *record.Event) (s, m, p []byte) { return nil, nil, []byte("two apple") })},
		{"metadata that was not there", proof.WrongContent, content(1, 0, func(e *record.Event) (s, m, p []byte) { return nil, []byte("m"), e.Payload })},
		{"bytes moved to the metadata", proof.WrongContent, content(2, 1, func(e *record.Event) (s, m, p []byte) {
			return e.Salt[:], append(bytes.Clone(e.Metadata), e.Payload[0]), e.Payload[1:]
		})},
		{"another salt", proof.WrongContent, content(2, 1, func(e *record.Event) (s, m, p []byte) { return make([]byte, 16), e.Metadata, e.Payload })},
		{"no salt", proof.WrongContent, content(2, 1, func(e *record.Event) (s, m, p []byte) { return nil, e.Metadata, e.Payload })},
		{"a salt of 15 bytes", proof.WrongContent, content(2, 1, func(e *record.Event) (s, m, p []byte) { return e.Salt[:15], e.Metadata, e.Payload })},
		{"a salt where none belongs", proof.WrongContent, content(1, 0, func(e *record.Event) (s, m, p []byte) { return make([]byte, 16), e.Metadata, e.Payload })},
		{"content of no header", proof.Malformed, func(*testing.T) error { return proof.VerifyContent(&proof.Proof{}, nil, nil, nil) }},

		{"a log that was rewritten", proof.NotContinued, consistent(func(older, _ *proof.Head, _ *[]chain.Hash) { older.Hash[0] ^= 1 })},
		{"a newer head that was made up", proof.NotContinued, consistent(func(_, newer *proof.Head, _ *[]chain.Hash) { newer.Hash[0] ^= 1 })},
		{"two heads of one batch", proof.NotContinued, func(*testing.T) error {
			head := testLedger().heads[2]
			other := head
			other.Hash[0] ^= 1
			return proof.Consistent(head, nil, other)
		}},
		{"a digest between heads", proof.NotContinued, consistent(func(_, _ *proof.Head, digests *[]chain.Hash) { (*digests)[1][0] ^= 1 })},
	}
}

// addOrder makes of a signature another one that satisfies the same equation: S
// plus the order of the group.
func addOrder(signature *proof.Signature) {
	order := [32]byte{
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10,
	}
	carry := 0
	for i := range order {
		carry += int(signature[32+i]) + int(order[i])
		signature[32+i] = byte(carry)
		carry >>= 8
	}
}

// TestReasons reaches every Reason, and each of its cases by nothing else.
func TestReasons(t *testing.T) {
	reached := map[proof.Reason]bool{}
	for _, c := range reasonCases() {
		t.Run(c.name, func(t *testing.T) {
			err := c.run(t)
			wantReason(t, err, c.reason)
			t.Log(err)
		})
		reached[c.reason] = true
	}
	reason := proof.Reason(1)
	for ; !strings.HasPrefix(reason.Error(), "reason "); reason++ {
		if !reached[reason] {
			t.Errorf("no case for %v", reason)
		}
	}
	if len(reached) != int(reason) { // and 0
		t.Errorf("the cases have %d reasons, there are %d", len(reached), reason)
	}
}

// TestUnsignedIsNoFallback: a proof whose signature does not count is invalid, and
// the same one without it is unsigned.
func TestUnsignedIsNoFallback(t *testing.T) {
	s, p := signedProof(t)
	_, err := proof.Verify(s, &p, proof.Keys{})
	wantReason(t, err, proof.UnknownKey)
	p.Head = proof.SignedHead{Head: p.Head.Head}
	verdict, err := proof.Verify(s, &p, testKeys(t))
	if want := (proof.Verdict{Head: p.Head.Head}); err != nil || verdict != want {
		t.Errorf("%+v, %v, want %+v", verdict, err, want)
	}
}

// TestDrawnLogs proves a drawn event of a drawn log, encodes the proof and reads it
// again, and puts another hash in a drawn place of it.
func TestDrawnLogs(t *testing.T) {
	keys := testKeys(t)
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "log")))
		id := byte(0)
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			var notes [][]byte
			if rapid.Bool().Draw(t, "with notes") {
				notes = [][]byte{{0, 1, 'n'}}
			}
			var events []record.Event
			for range rapid.IntRange(1, 5).Draw(t, "events") {
				id++
				e := placed(id)
				e.Stream = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "stream")
				e.Scope = rapid.SampledFrom([]string{"", "shop"}).Draw(t, "scope")
				events = append(events, e)
			}
			l.append(notes, events...)
		}
		head := rapid.IntRange(1, len(l.batches)).Draw(t, "head")
		batch := rapid.IntRange(1, head).Draw(t, "batch")
		index := rapid.IntRange(0, len(l.batches[batch-1].events)-1).Draw(t, "index")
		s, p := l.prove(batch, index, head)
		want := proof.Verdict{Head: l.heads[head]}
		if rapid.Bool().Draw(t, "signed") {
			keyID, key := "ops-2019", testKey(1)
			if head > 3 {
				keyID, key = "ops-2020", testKey(2)
			}
			signed, err := proof.Sign(p.Head.Head, keyID, key)
			if err != nil {
				t.Fatal(err)
			}
			p.Head, want.Signed, want.KeyID = signed, true, keyID
		}

		var fromBinary, fromJSON proof.Proof
		encoded, err := p.MarshalBinary()
		if err != nil || fromBinary.UnmarshalBinary(encoded) != nil {
			t.Fatalf("%+v becomes %x, %v", p, encoded, err)
		}
		encoded, err = json.Marshal(p)
		if err != nil || json.Unmarshal(encoded, &fromJSON) != nil {
			t.Fatalf("%+v becomes %s, %v", p, encoded, err)
		}
		for _, p := range []proof.Proof{p, fromBinary, fromJSON} {
			if verdict, err := proof.Verify(s, &p, keys); err != nil || verdict != want {
				t.Fatalf("%+v, %v, want %+v", verdict, err, want)
			}
		}

		places := []*chain.Hash{&fromJSON.Previous, &fromJSON.Before, &fromJSON.Notes, &fromJSON.Head.Hash, &s.Hash}
		for i := range fromJSON.Events {
			places = append(places, &fromJSON.Events[i])
		}
		for i := range fromJSON.Following {
			places = append(places, &fromJSON.Following[i])
		}
		place := rapid.SampledFrom(places).Draw(t, "place")
		place[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		var invalid *proof.Error
		if verdict, err := proof.Verify(s, &fromJSON, keys); !errors.As(err, &invalid) || verdict != (proof.Verdict{}) {
			t.Fatalf("with a wrong hash: %+v, %v", verdict, err)
		}
	})
}

// TestEventAliasesNothing changes what Event returned.
func TestEventAliasesNothing(t *testing.T) {
	l := newLedger(testLog)
	e := placed(1)
	e.Extensions = record.AppendExtensions(nil, map[string][]byte{"k": []byte("v")})
	l.append(nil, e)
	_, p := l.prove(1, 0, 1)
	before := bytes.Clone(p.Header)
	event, err := p.Event()
	if err != nil {
		t.Fatal(err)
	}
	clear(event.Event.Extensions)
	if !bytes.Equal(p.Header, before) {
		t.Error("the extensions are the header's")
	}
}

// TestVerifyLeavesProof: neither Verify nor an encoder changes what it is given.
func TestVerifyLeavesProof(t *testing.T) {
	s, p := signedProof(t)
	_, same := signedProof(t)
	_, err := proof.Verify(s, &p, testKeys(t))
	wantReason(t, err, 0)
	if _, err := p.MarshalBinary(); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(p, same) {
		t.Errorf("%+v, was %+v", p, same)
	}
}
