package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// ID is the log's id, which is drawn when its first segment is made, and in every
// signature and proof. A log in which nothing was ever written has another one each
// time that it is opened, or none with ReadOnly.
func (l *Log) ID() uuid.UUID { return l.logID }

// Statement is what a receipt of this log says, for proof.Verify.
func (l *Log) Statement(r Receipt) proof.Statement {
	return proof.Statement{
		LogID: l.logID, ID: r.ID, Scope: r.Scope, Stream: r.Stream,
		Sequence: r.Sequence, Version: r.Version, Batch: r.Batch, Hash: r.Hash,
	}
}

// SignedHeads yields the signed heads of the log that are of this batch or a later
// one, in the order in which the signatures were appended. It looks at no
// signature: proof.Keys.Verify does that. On an error it yields that once and
// stops.
func (l *Log) SignedHeads(fromBatch uint64) iter.Seq2[proof.SignedHead, error] {
	return func(yield func(proof.SignedHead, error) bool) {
		if _, ok := l.Note(SignatureNote); !ok {
			return
		}
		// A signature stands behind the batch that it is of.
		q := NoteQuery{FromBatch: fromBatch + 1}
		if q.FromBatch == 0 {
			return
		}
		from, to := l.noteSelection(&q)
		r := l.reader()
		defer l.giveBack(r)
		for i := from; i < to; i++ {
			err := r.readNote(i, to-1)
			if err == nil && r.noted.Name != SignatureNote {
				continue
			}
			var signed proof.SignedHead
			if err == nil {
				if invalid := signed.UnmarshalBinary(r.noted.Data); invalid != nil {
					err = r.where.damaged("a signature", invalid)
				}
			}
			if err != nil {
				yield(proof.SignedHead{}, fmt.Errorf("engine: read signatures: %w", err))
				return
			}
			if signed.Batch >= fromBatch && !yield(signed, nil) {
				return
			}
		}
	}
}

// signatures yields SignedHeads, and the signature that waits to be written.
func (l *Log) signatures(fromBatch uint64) iter.Seq2[proof.SignedHead, error] {
	return func(yield func(proof.SignedHead, error) bool) {
		for signed, err := range l.SignedHeads(fromBatch) {
			if !yield(signed, err) {
				return
			}
		}
		l.mu.Lock()
		pending := l.signed.pending
		l.mu.Unlock()
		if pending != nil && pending.Batch >= fromBatch {
			yield(*pending, nil)
		}
	}
}

// Prove returns a proof that leads from the event with this id to the first signed
// head above it, whoever has signed it, or to the durable head, unsigned, if there
// is none. It reads the log from the start of the event's segment to that head.
// The error matches ErrNotFound if the log does not show the event, or ErrCorrupt.
func (l *Log) Prove(ctx context.Context, id uuid.UUID) (proof.Proof, error) {
	_, batch, err := l.proven(id)
	if err != nil {
		return proof.Proof{}, fmt.Errorf("engine: prove %v: %w", id, err)
	}
	for signed, err := range l.signatures(batch.Number) {
		if err != nil {
			return proof.Proof{}, fmt.Errorf("engine: prove %v: %w", id, within(err))
		}
		return l.ProveTo(ctx, id, signed)
	}
	return l.ProveTo(ctx, id, proof.SignedHead{Head: l.durableHead()})
}

// Salt returns the 16 bytes that salt the content hash of an erasable event, and nil
// of another one: proof.VerifyContent wants them of whoever has the content and its
// proof. Without the salt a proof does not show even what can be guessed, so give it
// only to those who may see the content. The error matches ErrNotFound if the log does
// not show the event, or if its content, and with it the salt, was erased.
func (l *Log) Salt(id uuid.UUID) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("engine: salt of %v: %w", id, err) }
	ordinal, _, err := l.proven(id)
	if err != nil {
		return fail(err)
	}
	r := l.reader()
	defer l.giveBack(r)
	if err := r.read(ordinal, ordinal); err != nil {
		return fail(err)
	}
	switch e := &r.raw; {
	case e.Erased:
		return fail(fmt.Errorf("%w: its content was erased", ErrNotFound))
	case e.Erasable:
		return bytes.Clone(e.Salt[:]), nil
	}
	return nil, nil
}

func (l *Log) durableHead() proof.Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durableHeadLocked()
}

// ProveTo is Prove to another head above the event, signed or not: one of
// SignedHeads by a key that the receiver knows, or one that was kept. The error
// also matches proof.OtherLog, proof.WrongCount of a head before the event or
// behind the log's end, or proof.NotUnderHead of a head that this log does not
// have: it is not the log that it was.
func (l *Log) ProveTo(ctx context.Context, id uuid.UUID, head proof.SignedHead) (proof.Proof, error) {
	fail := func(err error) (proof.Proof, error) {
		if errors.Is(err, fs.ErrClosed) && !errors.Is(err, ErrClosed) { // by a Close meanwhile
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		return proof.Proof{}, fmt.Errorf("engine: prove %v: %w", id, err)
	}
	ordinal, batch, err := l.proven(id)
	if err != nil {
		return fail(err)
	}
	switch durable := l.durableHead(); {
	case head.LogID != l.logID:
		return fail(&proof.Error{Reason: proof.OtherLog, Detail: fmt.Sprintf("the head is of log %v, this is %v", head.LogID, l.logID)})
	case head.Batch < batch.Number:
		return fail(&proof.Error{Reason: proof.WrongCount, Detail: fmt.Sprintf("the head is of batch %d, the event of batch %d", head.Batch, batch.Number)})
	case head.Batch > durable.Batch:
		return fail(&proof.Error{Reason: proof.WrongCount, Detail: fmt.Sprintf("the head is of batch %d, the log ends with batch %d", head.Batch, durable.Batch)})
	}
	p := &proving{log: l, reader: l.reader(), ordinal: ordinal, batch: batch}
	defer l.giveBack(p.reader)
	p.Head = head
	if err := p.event(); err != nil {
		return fail(err)
	}
	if err := p.walk(ctx); err != nil {
		return fail(err)
	}
	return p.Proof, nil
}

// proven looks up an event that is to be proven.
func (l *Log) proven(id uuid.UUID) (ordinal uint64, batch index.Batch, err error) {
	ordinal, err = l.visibleBy(func() (uint64, bool) { return l.index.ByID(id) })
	if err != nil {
		return 0, batch, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return ordinal, l.index.BatchOf(ordinal), nil
}

// proving is a proof that is being made.
type proving struct {
	proof.Proof
	log     *Log
	reader  *reader
	ordinal uint64
	batch   index.Batch // of the event
	segment uint64      // where it lies
}

// event fills in what the proof has of the event itself.
func (p *proving) event() error {
	r := p.reader
	if err := r.read(p.ordinal, p.ordinal); err != nil {
		return err
	}
	e, where := &r.raw, &r.where
	content := e.ContentHash
	switch {
	case e.Erased:
	case e.Erasable:
		content = r.hasher.Content(e.Salt[:], e.Metadata, e.Payload)
	default:
		content = r.hasher.Content(nil, e.Metadata, e.Payload)
	}
	p.segment = uint64(where.entry.Segment)
	p.Header = record.AppendCanonical(nil, e, where.sequence(), where.batch.Time, where.batch.Clock, content)
	p.Batch, p.FirstSequence = p.batch.Number, p.batch.First
	p.Index = uint32(where.sequence() - p.batch.First)
	var err error
	p.Previous, err = r.predecessor(p.ordinal)
	return err
}

// predecessor returns the hash of the stream's event before the one that was read
// last, which has this ordinal. It reads another one.
func (r *reader) predecessor(ordinal uint64) (chain.Hash, error) {
	l, name := r.log, index.Name{Scope: r.raw.Scope, Stream: r.raw.Stream}
	if r.raw.Version == 1 {
		return chain.StreamRoot(l.logID, name.Scope, name.Stream), nil
	}
	l.mu.Lock()
	stream, _ := l.index.Stream(name)
	l.mu.Unlock()
	before := between(stream.Ordinals, 0, ordinal)
	if len(before) == 0 {
		return chain.Hash{}, ErrNotFound // in a damaged log
	}
	last := before[len(before)-1]
	if err := r.read(last, last); err != nil {
		return chain.Hash{}, err
	}
	return r.raw.Hash, nil
}

// walk goes over the batches from the start of the event's segment to the head's,
// computes their heads, and takes what the proof needs of them.
func (p *proving) walk(ctx context.Context) error {
	l := p.log
	l.mu.Lock()
	numbers := l.numbers
	l.mu.Unlock()
	from, _ := slices.BinarySearch(numbers, p.segment)
	at := point{}
	for i, number := range numbers[from:] {
		s, file, err := l.acquire(uint32(number))
		if err != nil {
			return err
		}
		if i == 0 {
			at.batch, at.head = s.header.PreviousBatch, s.header.PreviousHead
		}
		err = p.over(ctx, s, file, &at)
		l.release(s)
		if err != nil {
			return err
		}
		if at.batch >= p.Head.Batch {
			break
		}
	}
	switch {
	case at.batch != p.Head.Batch || len(p.Events) == 0:
		return &CorruptError{Segment: p.segment, Offset: -1, Where: "interior", Reason: fmt.Sprintf("the batches up to %d do not follow each other", p.Head.Batch)}
	case at.head != p.Head.Hash:
		return &proof.Error{Reason: proof.NotUnderHead, Detail: fmt.Sprintf("the log has %v after batch %d, the head is %v", at.head, at.batch, p.Head.Hash)}
	}
	return nil
}

// over goes over the batches of one segment.
func (p *proving) over(ctx context.Context, s *segmentFile, file segment.Source, at *point) error {
	p.log.mu.Lock()
	end := s.end
	p.log.mu.Unlock()
	section := io.NewSectionReader(file, 0, end)
	if _, err := section.Seek(record.DataStart, io.SeekStart); err != nil {
		return err
	}
	scanner, hasher := &p.reader.scanner, &p.reader.hasher
	scanner.Reset(section, &s.header, record.DataStart, end)
	for at.batch < p.Head.Batch && scanner.Offset() < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		found := scanner.Next()
		if err := scanner.Err(); err != nil {
			return fmt.Errorf("read segment %d: %w", s.number, err)
		}
		damaged := func(reason string) error {
			return &CorruptError{Segment: s.number, Offset: found.Offset, Where: "interior", Reason: reason}
		}
		switch found.Kind {
		case segment.FoundBatch:
		case segment.FoundEnd:
			scanner.Advance(found)
			continue
		case segment.FoundNothing:
			return damaged("it ends too early")
		default:
			return damaged(found.Reason)
		}
		b := found.Batch
		hashes := make([]chain.Hash, len(b.Items))
		for i := range b.Items {
			hashes[i] = b.Items[i].Event.Hash
		}
		notes := hasher.Notes(b.Mark.Time, b.Mark.Clock, b.Records)
		digest := hasher.Batch(b.Mark.Batch, b.Mark.Sequence, hashes, notes)
		head := hasher.Link(at.head, digest)
		switch {
		case b.Mark.Batch != at.batch+1:
			return damaged(fmt.Sprintf("batch %d follows batch %d", b.Mark.Batch, at.batch))
		case head != b.Head:
			return damaged(fmt.Sprintf("batch %d does not have the head that it says", b.Mark.Batch))
		case b.Mark.Batch == p.Batch:
			p.Before, p.Events, p.Notes = at.head, hashes, notes
		case b.Mark.Batch > p.Batch:
			p.Following = append(p.Following, digest)
		}
		at.batch, at.head = b.Mark.Batch, head
		scanner.Advance(found)
	}
	return nil
}

// VerifyReceipt checks that the log holds the event of a receipt, and that the
// event has the hash that the receipt says, recomputed from its content and its
// predecessor in the stream. The error matches ErrNotFound, ErrCorrupt, or, when
// the receipt says something else than the log, ErrInvalid and the proof.Reason of
// the first field that differs: proof.WrongHash, WrongScope, WrongStream,
// WrongSequence, WrongVersion or WrongBatch. It looks at no head and no signature:
// VerifyReceiptSigned does.
func (l *Log) VerifyReceipt(r Receipt) error {
	fail := func(err error) error { return fmt.Errorf("engine: verify the receipt of event %v: %w", r.ID, err) }
	ordinal, err := l.visibleBy(func() (uint64, bool) { return l.index.ByID(r.ID) })
	if err != nil {
		return fail(err)
	}
	read := l.reader()
	defer l.giveBack(read)
	if err := read.read(ordinal, ordinal); err != nil {
		return fail(err)
	}
	raw, where := &read.raw, read.where
	if _, err := record.DecodeExtensions(raw.Extensions); err != nil {
		return fail(where.damaged("its extensions", err))
	}
	if actual := read.receipt(); !actual.Equal(r) {
		return fail(fmt.Errorf("%w: %w", ErrInvalid, actual.differs(&r)))
	}
	var headers headerHasher
	headers.add(raw, where.sequence(), &record.Mark{Time: where.batch.Time, Clock: where.batch.Clock})
	header := headers.sum()[0]
	previous, err := read.predecessor(ordinal)
	if err != nil {
		return fail(err)
	}
	if read.hasher.Event(previous, header) != r.Hash {
		return fail(where.damaged("the event does not have the hash that it says", nil))
	}
	return nil
}

// differs says in what another receipt of the same id is not this one.
func (r *Receipt) differs(other *Receipt) error {
	reason := proof.WrongBatch
	switch {
	case r.Hash != other.Hash:
		reason = proof.WrongHash
	case r.Scope != other.Scope:
		reason = proof.WrongScope
	case r.Stream != other.Stream:
		reason = proof.WrongStream
	case r.Sequence != other.Sequence:
		reason = proof.WrongSequence
	case r.Version != other.Version:
		reason = proof.WrongVersion
	}
	return &proof.Error{Reason: reason, Detail: fmt.Sprintf("the log has event %d, version %d of stream %q, batch %d, hash %v under this id",
		r.Sequence, r.Version, r.Stream, r.Batch, r.Hash)}
}

// VerifyReceiptSigned checks a receipt as VerifyReceipt does, and that the log leads
// from its event to a head that one of the keys has signed: the first one. The
// Verdict says which; without an error it is unsigned only where the log has no
// signature that covers the event.
//
// The error matches what VerifyReceipt says, or a proof.Reason of the signatures
// above the event: proof.UnknownKey or proof.RetiredKey where no key has signed any
// of them, proof.BadSignature, or proof.NotUnderHead of a signature of another log
// than this one has become.
func (l *Log) VerifyReceiptSigned(ctx context.Context, r Receipt, keys proof.Keys) (proof.Verdict, error) {
	if err := l.VerifyReceipt(r); err != nil {
		return proof.Verdict{}, err
	}
	fail := func(err error) (proof.Verdict, error) {
		return proof.Verdict{}, fmt.Errorf("engine: verify the receipt of event %v: %w", r.ID, within(err))
	}
	head := proof.SignedHead{Head: l.durableHead()}
	var refused error
	for signed, err := range l.signatures(r.Batch) {
		if err != nil {
			return fail(err)
		}
		if err = keys.Verify(signed); err == nil {
			head, refused = signed, nil
			break
		}
		if !errors.Is(err, proof.UnknownKey) && !errors.Is(err, proof.RetiredKey) {
			return fail(err) // nobody who is honest appends that
		}
		if refused == nil {
			refused = err
		}
	}
	if refused != nil {
		return fail(refused)
	}
	p, err := l.ProveTo(ctx, r.ID, head)
	if err != nil {
		return fail(err)
	}
	verdict, err := proof.Verify(l.Statement(r), &p, keys)
	if err != nil {
		return fail(err)
	}
	return verdict, nil
}
