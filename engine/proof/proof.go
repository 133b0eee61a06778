package proof

import (
	"math"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// Statement is what a receipt says, and of which log: what is to be proven.
type Statement struct {
	LogID         uuid.UUID
	ID            uuid.UUID
	Scope, Stream string
	Sequence      uint64
	Version       uint64
	Batch         uint64
	Hash          chain.Hash // of the event
}

// Proof leads from an event to a head of its log. Each field is drawn in the
// package's picture.
type Proof struct {
	// Header is the event's canonical header, as record.AppendCanonical appends it.
	Header []byte
	// Previous is the hash of the stream's event before it, or chain.StreamRoot.
	Previous chain.Hash

	Batch         uint64       // the event's batch: 1, 2, 3 …
	FirstSequence uint64       // of the batch's first event
	Index         uint32       // of the event among Events
	Events        []chain.Hash // of the whole batch, in order
	Notes         chain.Hash   // of the batch, as chain's Notes returned it; zero if it has none

	Before    chain.Hash   // the log head before the batch, or chain.LogRoot
	Following []chain.Hash // the digests of the batches behind it up to the head's, in order

	Head SignedHead // signed or not
}

// Verdict is what a valid proof proves.
type Verdict struct {
	// Signed: a trusted key, which KeyID names, signed Head. Without it Head is
	// only where the proof leads.
	Signed bool
	KeyID  string
	Head   Head
}

// Event reads the header: what is proven of the event besides what a statement
// says, such as its type, time and cause, and the hash of its content. The error
// is an *Error with the Reason Malformed. Verify first.
func (p *Proof) Event() (record.Canonical, error) {
	event, err := record.DecodeCanonical(append([]byte(nil), p.Header...))
	switch {
	case err != nil:
		return record.Canonical{}, invalid(Malformed, "the canonical header: %v", err)
	case event.Event.Version == 0 || event.Sequence == 0:
		return record.Canonical{}, invalid(Malformed, "the canonical header has version %d and sequence %d, and both begin with 1", event.Event.Version, event.Sequence)
	}
	return event, nil
}

// check refuses what is no proof of anything, and returns the event.
func (p *Proof) check() (record.Canonical, error) {
	event, err := p.Event()
	switch {
	case err != nil:
		return event, err
	case uint64(p.Index) >= uint64(len(p.Events)):
		err = invalid(Malformed, "index %d of a batch of %d events", p.Index, len(p.Events))
	case uint64(len(p.Events)) > math.MaxUint32 || uint64(len(p.Following)) > math.MaxUint32:
		err = invalid(Malformed, "%d events and %d digests", len(p.Events), len(p.Following))
	case p.FirstSequence == 0 || p.lastSequence() < p.FirstSequence:
		err = invalid(Malformed, "%d events from sequence %d on", len(p.Events), p.FirstSequence)
	case p.Batch == 0 || p.Batch+uint64(len(p.Following)) < p.Batch:
		err = invalid(Malformed, "%d digests after batch %d", len(p.Following), p.Batch)
	default:
		err = p.Head.checkShape()
	}
	return event, err
}

// lastSequence is that of the batch's last event; there is at least one.
func (p *Proof) lastSequence() uint64 { return p.FirstSequence + uint64(len(p.Events)) - 1 }

// Verify follows a proof from a statement to its head. Without an error every
// field of the statement is that of an event under the head, which is signed by
// one of the keys, or not at all: look at the Verdict. The error is an *Error, with
// any Reason up to RetiredKey: the first of them that holds. A proof with a
// signature that is not good is not taken for an unsigned one.
func Verify(s Statement, p *Proof, keys Keys) (Verdict, error) {
	event, err := p.check()
	if err != nil {
		return Verdict{}, err
	}
	if s.LogID != p.Head.LogID {
		return Verdict{}, invalid(OtherLog, "the statement is of log %v, the head of log %v", s.LogID, p.Head.LogID)
	}
	var h chain.Hasher
	if err := p.compare(&h, &s, &event); err != nil {
		return Verdict{}, err
	}
	if err := p.follow(&h, &event); err != nil {
		return Verdict{}, err
	}
	if !p.Head.Signed() {
		return Verdict{Head: p.Head.Head}, nil
	}
	if err := keys.Verify(p.Head); err != nil {
		return Verdict{}, err
	}
	return Verdict{Signed: true, KeyID: p.Head.KeyID, Head: p.Head.Head}, nil
}

// compare finds the event in its batch, and the statement true of it.
func (p *Proof) compare(h *chain.Hasher, s *Statement, event *record.Canonical) error {
	listed := p.Events[p.Index]
	hash := h.Event(p.Previous, h.Header(p.Header))
	switch {
	case hash != listed && hash == s.Hash:
		return invalid(NotInBatch, "the batch has %v at index %d, the event is %v", listed, p.Index, hash)
	case hash != listed:
		return invalid(WrongHeader, "they give %v, the batch has %v at index %d", hash, listed, p.Index)
	case hash != s.Hash && event.Event.ID != s.ID:
		return invalid(OtherEvent, "it is of %v, the statement of %v", event.Event.ID, s.ID)
	}
	differ := func(reason Reason, stated, found any) error {
		return invalid(reason, "the statement says %v, the event %v", stated, found)
	}
	e := &event.Event
	switch {
	case s.Hash != hash:
		return differ(WrongHash, s.Hash, hash)
	case s.ID != e.ID:
		return differ(WrongID, s.ID, e.ID)
	case s.Scope != e.Scope:
		return invalid(WrongScope, "the statement says %q, the event %q", s.Scope, e.Scope)
	case s.Stream != e.Stream:
		return invalid(WrongStream, "the statement says %q, the event %q", s.Stream, e.Stream)
	case s.Sequence != event.Sequence:
		return differ(WrongSequence, s.Sequence, event.Sequence)
	case s.Version != e.Version:
		return differ(WrongVersion, s.Version, e.Version)
	case s.Batch != p.Batch:
		return differ(WrongBatch, s.Batch, p.Batch)
	}
	return nil
}

// follow leads from the event to the head.
func (p *Proof) follow(h *chain.Hasher, event *record.Canonical) error {
	e := &event.Event
	if first := p.FirstSequence + uint64(p.Index); first != event.Sequence {
		return invalid(WrongIndex, "index %d of a batch from sequence %d on is %d, the event has %d", p.Index, p.FirstSequence, first, event.Sequence)
	}
	if root := chain.StreamRoot(p.Head.LogID, e.Scope, e.Stream); e.Version == 1 && p.Previous != root {
		return invalid(WrongStreamRoot, "before it stands %v, the root is %v", p.Previous, root)
	}
	if root := chain.LogRoot(p.Head.LogID); p.Batch == 1 && p.Before != root {
		return invalid(WrongLogRoot, "before the first batch stands %v, the root is %v", p.Before, root)
	}
	if last := p.Batch + uint64(len(p.Following)); last != p.Head.Batch {
		return invalid(WrongCount, "%d after batch %d lead to batch %d, the head is of batch %d", len(p.Following), p.Batch, last, p.Head.Batch)
	}
	digest := h.Batch(p.Batch, p.FirstSequence, p.Events, p.Notes)
	if head := link(h, h.Link(p.Before, digest), p.Following); head != p.Head.Hash {
		return invalid(NotUnderHead, "they lead to %v, the head is %v", head, p.Head.Hash)
	}
	last := p.lastSequence()
	if p.Head.Sequence < last || len(p.Following) == 0 && p.Head.Sequence != last {
		return invalid(WrongHeadSequence, "it is %d, the batch ends with %d", p.Head.Sequence, last)
	}
	return nil
}

// link is the head that digests lead to.
func link(h *chain.Hasher, head chain.Hash, digests []chain.Hash) chain.Hash {
	for _, digest := range digests {
		head = h.Link(head, digest)
	}
	return head
}

// VerifyContent returns nil if these are the salt, metadata and payload of the
// proof's event, which is what nothing in a proof shows. The salt has 16 bytes if
// the event may be erased, and else none; the log tells it. The error is an *Error with the Reason
// Malformed or WrongContent. Verify first: this looks at the header only.
func VerifyContent(p *Proof, salt, metadata, payload []byte) error {
	event, err := p.Event()
	if err != nil {
		return err
	}
	want := 0
	if event.Event.Erasable {
		want = len(event.Event.Salt)
	}
	if len(salt) != want {
		return invalid(WrongContent, "its salt has %d bytes, not %d", want, len(salt))
	}
	if uint64(len(metadata)) > math.MaxUint32 {
		return invalid(WrongContent, "no event has %d bytes of metadata", len(metadata))
	}
	var h chain.Hasher
	if hash := h.Content(salt, metadata, payload); hash != event.Content {
		return invalid(WrongContent, "it hashes to %v, the event has %v", hash, event.Content)
	}
	return nil
}

// Consistent returns nil if the newer head is of the log of the older one, gone
// on: digests are those of the batches behind the older head up to the newer one.
// The error is an *Error with the Reason OtherLog, WrongLogRoot, WrongCount,
// NotContinued or WrongHeadSequence. It looks at no signature.
func Consistent(older Head, digests []chain.Hash, newer Head) error {
	if older.LogID != newer.LogID {
		return invalid(OtherLog, "the older head is of log %v, the newer of log %v", older.LogID, newer.LogID)
	}
	for _, head := range []*Head{&older, &newer} {
		if err := head.check(); err != nil {
			return err
		}
	}
	if newer.Batch < older.Batch || newer.Batch-older.Batch != uint64(len(digests)) {
		return invalid(WrongCount, "%d after batch %d, the newer head is of batch %d", len(digests), older.Batch, newer.Batch)
	}
	var h chain.Hasher
	if head := link(&h, older.Hash, digests); head != newer.Hash {
		return invalid(NotContinued, "the digests lead to %v, the newer head is %v", head, newer.Hash)
	}
	if newer.Sequence < older.Sequence || len(digests) == 0 && newer.Sequence != older.Sequence {
		return invalid(WrongHeadSequence, "it was %d, and is %d after %d batches more", older.Sequence, newer.Sequence, len(digests))
	}
	return nil
}
