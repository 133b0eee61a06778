package engine

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// Signing says who signs heads of the log, and when. A signature vouches for
// everything up to its head: who has one later can prove what the log held then,
// without the log. Package proof verifies it.
//
//	group ─▶ write, sync ─▶ durable head ─▶ signer ─▶ waits ─▶ in a batch of its own,
//	                             ▲          (a task)            with the next group, or at Close
//	                             ╰── only durable heads are signed: no crash takes one back
//
// A signature is a note, SignatureNote, in a later batch than those that it is of.
// No commit waits for the signer: while it is at work groups pass, and the newest
// head is signed next. What is behind the last signature when the process dies is
// there, and unsigned.
//
// Keys are rotated by opening the log with another one: each signature has the id
// of its key.
type Signing struct {
	// KeyID names the key, for those who verify: 1 to 64 ASCII letters, digits and
	// characters of -._/@. No two keys should ever have the same.
	KeyID string
	// Key signs. Its public key is an ed25519.PublicKey; ed25519.PrivateKey is one,
	// and so may be a device that does not give its key away. It is called by one
	// goroutine at a time, but for Log.Sign, with no lock of the log held.
	Key  crypto.Signer
	When SignWhen
}

// SignWhen says when heads are signed.
type SignWhen uint8

const (
	// SignAtClose signs the last head when the log is closed, if something came
	// behind the last signature; and when Log.Sign is called.
	SignAtClose SignWhen = iota
	// SignEachGroup signs as SignAtClose, and the head behind each group that is
	// synced, as fast as the signer is. A signature is written with the next group;
	// a log at rest writes nothing.
	SignEachGroup
	// SignOnDemand signs when Log.Sign is called, and not else.
	SignOnDemand
)

// SignatureNote is the name of the notes that hold signatures. Their data is a
// proof.SignedHead, in binary.
const SignatureNote = ownNotes + "signature"

// maxSignature is more than a signature takes as a note, and its batch.
const maxSignature = 1 << 10

// checkSigning reports what is wrong with the signing of options, and makes it
// theirs.
func checkSigning(o *Options, problem func(format string, args ...any)) {
	if o.Signing == nil {
		return
	}
	s := *o.Signing
	o.Signing = &s
	if s.When > SignOnDemand {
		problem("Signing.When is %d: use SignAtClose, SignEachGroup or SignOnDemand", s.When)
	}
	if o.ReadOnly {
		problem("Signing needs a log that is open for writing, not ReadOnly")
	}
	if o.MaxMetadata < maxSignature || o.MaxBatchBytes < 2*maxSignature {
		problem("Signing needs a MaxMetadata of at least %d, and a MaxBatchBytes of at least %d", maxSignature, 2*maxSignature)
	}
	if private, ok := s.Key.(ed25519.PrivateKey); s.Key == nil || ok && len(private) != ed25519.PrivateKeySize {
		problem("Signing has no Key")
		return
	}
	public, ok := s.Key.Public().(ed25519.PublicKey)
	if !ok {
		problem("Signing.Key has a %T: only Ed25519 signs heads", s.Key.Public())
		return
	}
	if _, err := proof.NewKeys(proof.Key{ID: s.KeyID, Public: public}); err != nil {
		problem("Signing: %v", err)
	}
}

// signatures is what a log with Options.Signing knows of its signatures. Guarded by
// Log.mu.
type signatures struct {
	plain   uint64 // the last batch written that is more than a signature
	due     uint64 // the last durable one of these
	noted   uint64 // batch of the newest head whose signature is written
	pending *proof.SignedHead
	asked   uint64 // batch of the newest head that the task has handed to the signer
	working bool   // the task is there
	failing bool   // and it was told so
}

// recoverSignatures notes which head the last signature of the log is of.
func (l *Log) recoverSignatures() {
	if l.opts.Signing == nil {
		return
	}
	note, ok := l.index.Note(SignatureNote)
	var last proof.SignedHead
	if !ok || last.UnmarshalBinary(note.Data) != nil {
		return // Verify says so
	}
	l.mu.Lock()
	l.signed.noted, l.signed.asked = last.Batch, last.Batch
	l.mu.Unlock()
}

// onlySignatures reports whether a batch that was read is nothing but signatures.
func onlySignatures(b *segment.Batch) bool {
	for i := range b.Notes {
		if b.Notes[i].Name != SignatureNote {
			return false
		}
	}
	return len(b.Items) == 0
}

// enterSignatureLocked takes note of a batch that is written.
func (l *Log) enterSignatureLocked(b *stagedBatch) {
	s := &l.signed
	written := b.call.signature
	if written == nil {
		s.plain = b.mark.Batch
		return
	}
	s.noted = max(s.noted, written.Batch)
	if s.pending != nil && s.pending.Batch <= s.noted {
		s.pending = nil
	}
}

// durableHeadLocked is what there is to be signed.
func (l *Log) durableHeadLocked() proof.Head { return l.proofHead(l.durable) }

func (l *Log) proofHead(p point) proof.Head {
	return proof.Head{LogID: l.logID, Batch: p.batch, Sequence: p.sequence, Hash: p.head}
}

// sign asks the signer, and has it told. The caller has neither the mutex nor, but
// for Close, the commit token.
func (l *Log) sign(head proof.Head, token bool) (signed proof.SignedHead, err error) {
	m := l.opts.Metrics
	if m == nil || m.Signature == nil {
		return l.askSigner(head)
	}
	began := l.opts.Clock.Now()
	signed, err = l.askSigner(head)
	stats := SignatureStats{Began: began, Took: l.sinceThen(began), Batch: head.Batch, Err: err}
	if token {
		l.later(func(m *Metrics) { m.Signature(stats) })
	} else {
		m.Signature(stats)
	}
	return signed, err
}

// made reports whether the key of the options has made a signature: its id is not
// enough, who verifies has the key.
func (s *Signing) made(signed *proof.SignedHead) bool {
	public, _ := s.Key.Public().(ed25519.PublicKey)
	keys, err := proof.NewKeys(proof.Key{ID: s.KeyID, Public: public})
	return err == nil && keys.Verify(*signed) == nil
}

func (l *Log) askSigner(head proof.Head) (signed proof.SignedHead, err error) {
	defer catch(&err)
	return proof.Sign(head, l.opts.Signing.KeyID, l.opts.Signing.Key)
}

// signAhead starts the task that signs, if more than signatures is durable behind
// the last head that it has signed. The caller has the commit token, so that Close
// will wait for the task.
func (l *Log) signAhead() {
	if s := l.opts.Signing; s == nil || s.When != SignEachGroup {
		return
	}
	l.mu.Lock()
	start := !l.signed.working && l.signDueLocked()
	if start {
		l.signed.working = true
	}
	l.mu.Unlock()
	if start {
		l.run("sign a head", l.signNewest)
	}
}

func (l *Log) signDueLocked() bool {
	return l.signed.due > max(l.signed.asked, l.signed.noted) && !l.closing && l.failed == nil
}

// signNewest signs the durable head, until nothing has come behind it meanwhile. It
// writes nothing: a signature goes with the next group.
func (l *Log) signNewest() {
	for {
		l.mu.Lock()
		if !l.signDueLocked() {
			l.signed.working = false
			l.mu.Unlock()
			return
		}
		head := l.durableHeadLocked()
		l.signed.asked = head.Batch
		l.mu.Unlock()
		signed, err := l.sign(head, false)
		l.mu.Lock()
		if err == nil && head.Batch > l.signed.noted {
			l.signed.pending = &signed
		}
		changed := l.signed.failing != (err != nil)
		l.signed.failing = err != nil
		l.mu.Unlock()
		switch {
		case changed && err != nil:
			l.opts.Logger.Warn("a head could not be signed, the log goes on without", "cause", err)
		case changed:
			l.opts.Logger.Info("heads are signed again", "batch", head.Batch)
		}
	}
}

// signatureCall makes the call that appends a signature.
func (l *Log) signatureCall(signed *proof.SignedHead) *call {
	data, err := signed.MarshalBinary()
	if err != nil {
		panic("internal error: a signed head that has no encoding: " + err.Error())
	}
	return &call{
		own: true, signature: signed,
		batch: Batch{Notes: []NoteDraft{{Name: SignatureNote, Data: data, own: SignatureNote}}},
	}
}

// stageSignature stages the signature that waits, behind a group that is to be
// written. It has no say in whether the group is synced, and where there is no room
// it goes on waiting.
func (l *Log) stageSignature(staged *staging) {
	if l.opts.Signing == nil || len(staged.batches) == 0 {
		return
	}
	l.mu.Lock()
	pending := l.signed.pending
	l.mu.Unlock()
	if pending == nil {
		return
	}
	size := int64(maxSignature)
	for _, b := range staged.batches {
		if size += b.size; b.call.signature != nil {
			return
		}
	}
	c := l.signatureCall(pending)
	if size > min(mostGroup, l.opts.SegmentSize-record.DataStart-blockSize) || l.validate(c) != nil {
		return
	}
	_ = l.stage(c, staged) // where it is refused nothing is staged, and it waits
}

// signLast signs the last head before the log is closed, and appends the signature.
// The caller has the commit token.
func (l *Log) signLast() error {
	if s := l.opts.Signing; s == nil || s.When == SignOnDemand {
		return nil
	}
	if l.failure() != nil || l.syncFor(SyncClose) != nil {
		return nil // which Close tells
	}
	l.mu.Lock()
	due := l.signed.due > l.signed.noted
	signed := l.signed.pending
	if signed != nil && signed.Batch < l.signed.due {
		signed = nil
	}
	head := l.durableHeadLocked()
	l.mu.Unlock()
	if !due {
		return nil
	}
	if signed == nil {
		fresh, err := l.sign(head, true)
		if err != nil {
			return fmt.Errorf("the log is closed, and its last events are not signed: %w", err)
		}
		signed = &fresh
	}
	c := l.signatureCall(signed)
	err := l.validate(c)
	if err == nil {
		l.commit([]*call{c})
		err = c.err
	}
	if err != nil {
		return fmt.Errorf("append the signature of batch %d: %w", signed.Batch, err)
	}
	return nil
}

// Sign signs the durable head, with the key of Options.Signing, appends the
// signature, durably, and returns it. Where nothing but signatures has come behind
// the last one, and it is of the same key, that one is returned and nothing is
// written. The context is looked at as by AppendBatch; the signer does not know of
// it.
//
// The error matches ErrRejected, ErrFailed or ErrInDoubt, by what became of the
// signature's batch; a rejection also matches ErrInvalid, where there is no Signing
// or nothing durable to be signed, or what the signer said.
func (l *Log) Sign(ctx context.Context) (proof.SignedHead, error) {
	rejected := func(err error) (proof.SignedHead, error) {
		return proof.SignedHead{}, fmt.Errorf("engine: sign: %w: %w", ErrRejected, err)
	}
	if err := errors.Join(ctx.Err(), l.writable()); err != nil {
		return rejected(err)
	}
	s := l.opts.Signing
	if s == nil {
		return rejected(fmt.Errorf("%w: the log was opened without Options.Signing", ErrInvalid))
	}
	l.mu.Lock()
	head, due, pending := l.durableHeadLocked(), l.signed.due, l.signed.pending
	last, noted := l.index.ShownNote(SignatureNote)
	data := own(last.Data)
	l.mu.Unlock()
	if due == 0 {
		return rejected(fmt.Errorf("%w: nothing in the log is durable yet", ErrInvalid))
	}
	var signed proof.SignedHead
	if noted && signed.UnmarshalBinary(data) == nil && signed.Batch >= due && s.made(&signed) {
		return signed, nil
	}
	if pending != nil && pending.Batch >= due {
		signed = *pending
	} else {
		var err error
		if signed, err = l.sign(head, false); err != nil {
			return rejected(err)
		}
	}
	if err := l.append(ctx, l.signatureCall(&signed)); err != nil {
		return proof.SignedHead{}, fmt.Errorf("engine: sign: %w", within(err))
	}
	return signed, nil
}
