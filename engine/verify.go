package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// Verification is what Verify has found.
type Verification struct {
	Segments int
	Batches  uint64
	Events   uint64
	Bytes    int64   // read
	Head     LogHead // recomputed from the first event on

	// Signatures counts those that were found; each is of a head that the log has, or
	// among the Problems. Signed is the newest head that was found signed, or zero:
	// whether a key that one trusts has signed it only VerifySigned says.
	Signatures uint64
	Signed     proof.SignedHead

	Problems []*CorruptError
	// Missing are the kept heads that no verified batch has: the log ends before them,
	// or is not the log that it was. Where there are Problems, they may stand behind one.
	Missing []LogHead
	// Remarks name what is odd but no damage, such as a prepared segment that is
	// not all zeros: what a torn first group leaves.
	Remarks []string
}

// Verify reads the durable part of the log from the disk, from the first event
// to the last, and recomputes every checksum, hash and head, and both copies of
// every segment's header. If anything is damaged it returns the first
// *CorruptError, and all of them in Problems. Calls of other methods go on
// meanwhile.
//
// Of a signature it checks that the log has the head that was signed.
//
// Kept are heads that LogHead, or Verify, has told, kept where nobody can change them:
// the log must have had each after its batch, and may have gone on since. Their Batch
// and Hash count. If nothing is damaged and one is Missing, the error matches
// ErrNotFound. No other check notices that somebody has computed all hashes anew, or
// has cut off the end.
func (l *Log) Verify(ctx context.Context, kept ...LogHead) (Verification, error) {
	return l.verify(ctx, &verifying{}, kept)
}

// VerifySigned is Verify, and requires of every signature that one of the keys has
// made it: what does not hold is a *CorruptError, too, and matches a proof.Reason,
// such as proof.UnknownKey. What is behind Verification.Signed nobody vouches for,
// and a log without a signature is no error.
func (l *Log) VerifySigned(ctx context.Context, keys proof.Keys, kept ...LogHead) (Verification, error) {
	return l.verify(ctx, &verifying{keys: &keys}, kept)
}

// verify is Verify, as v says.
func (l *Log) verify(ctx context.Context, v *verifying, kept []LogHead) (Verification, error) {
	v.log, v.streams, v.reader = l, map[index.Name]index.Stream{}, l.reader()
	defer l.giveBack(v.reader)
	v.Missing = slices.Clone(kept)
	v.found(0, Hash{})
	err := v.run(ctx)
	switch {
	case err == nil && len(v.Problems) > 0:
		err = v.Problems[0]
	case err == nil && len(v.Missing) > 0:
		err = fmt.Errorf("%w: the head %d:%v, which was kept", ErrNotFound, v.Missing[0].Batch, v.Missing[0].Hash)
	case errors.Is(err, fs.ErrClosed) && !errors.Is(err, ErrClosed): // by a Close meanwhile
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if err != nil {
		return v.Verification, fmt.Errorf("engine: verify: %w", err)
	}
	return v.Verification, nil
}

type verifying struct {
	Verification
	log     *Log
	logID   [16]byte
	reader  *reader // for its scanner and hasher
	headers headerHasher
	hashes  []chain.Hash
	last    point
	streams map[index.Name]index.Stream
	keys    *proof.Keys // nil: signatures themselves are not looked at
	told    func(int64) // of the bytes of a segment that was read; nil: nobody listens
	heads   []point     // behind each batch, if the log has signatures
	signed  bool        // it has
}

func (v *verifying) run(ctx context.Context) error {
	l := v.log
	l.mu.Lock()
	until := l.durable
	numbers := l.numbers
	v.logID = l.logID
	if _, signed := l.index.ShownNote(SignatureNote); signed {
		v.signed = true
	}
	l.mu.Unlock()
	v.last = point{head: chain.LogRoot(v.logID)}
	v.Problems = append(v.Problems, l.recovery.Damage...) // what Salvage went around
	last := uint64(0)
	for i, number := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if missing := number - last - 1; i > 0 && missing > 0 {
			v.problem(last+1, 0, fmt.Sprintf("%d segments are missing", missing))
		}
		last = number
		if err := v.segment(ctx, number, until); err != nil {
			return err
		}
	}
	v.Head = v.last.logHead()
	if len(v.Problems) == 0 && (v.last.batch != until.batch || until.batch > 0 && v.last.head != until.head) {
		v.problem(last, -1, fmt.Sprintf("the log on disk ends behind batch %d, but batch %d is durable", v.last.batch, until.batch))
	}
	return v.prepared()
}

// found takes a head that the log has from those that are missing.
func (v *verifying) found(batch uint64, hash Hash) {
	v.Missing = slices.DeleteFunc(v.Missing, func(kept LogHead) bool { return kept.Batch == batch && kept.Hash == hash })
}

func (v *verifying) problem(number uint64, offset int64, reason string) {
	v.Problems = append(v.Problems, &CorruptError{
		Segment: number, Offset: offset, Sequence: v.last.sequence + 1, Where: "interior", Reason: reason,
	})
}

// segment verifies one segment up to a point.
func (v *verifying) segment(ctx context.Context, number uint64, until point) error {
	l := v.log
	l.mu.Lock()
	known := l.segments[number]
	l.mu.Unlock()
	if known == nil {
		v.problem(number, 0, "the segment is missing")
		return nil
	}
	s, file, err := l.acquire(uint32(number))
	if err != nil {
		return err
	}
	defer l.release(s)
	l.mu.Lock()
	headed, end := s.headed, s.end
	l.mu.Unlock()
	if !headed {
		return nil
	}
	v.Segments++
	for copy := range 2 {
		h, err := segment.ReadHeaderCopy(file, copy)
		if err == nil && h != s.header {
			err = errors.New("it is another segment's")
		}
		if err != nil {
			v.problem(number, int64(copy)*blockSize, fmt.Sprintf("copy %d of the header: %v", copy+1, err))
		}
	}
	// What lies behind the end that is known here is not looked at: it may be
	// written to just now.
	section := io.NewSectionReader(file, 0, end)
	if _, err := section.Seek(record.DataStart, io.SeekStart); err != nil {
		return err
	}
	scanner := &v.reader.scanner
	scanner.Reset(section, &s.header, record.DataStart, end)
	for v.last.batch < until.batch && scanner.Offset() < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		found := scanner.Next()
		if err := scanner.Err(); err != nil {
			return fmt.Errorf("read segment %d: %w", number, err)
		}
		switch found.Kind {
		case segment.FoundBatch:
			v.batch(number, found.Batch, scanner.Offset())
		case segment.FoundEnd:
			if found.End.Batch != v.last.batch {
				v.problem(number, scanner.Offset(), cmp.Or(scanner.Here().Reason, "it ends too early"))
				return nil
			}
		case segment.FoundNothing:
			v.problem(number, found.Offset, "it ends too early")
			return nil
		default:
			v.problem(number, found.Offset, found.Reason)
			return nil
		}
		scanner.Advance(found)
	}
	v.Bytes += scanner.Offset()
	if v.told != nil {
		v.told(scanner.Offset())
	}
	return nil
}

// batch recomputes every hash of a batch, which should be at an offset, or behind a
// gap that begins there.
func (v *verifying) batch(number uint64, b *segment.Batch, offset int64) {
	m := &b.Mark
	switch {
	case m.Batch != v.last.batch+1:
		v.problem(number, offset, fmt.Sprintf("batch %d follows batch %d", m.Batch, v.last.batch))
	case m.Sequence != v.last.sequence+1:
		v.problem(number, offset, fmt.Sprintf("event %d follows event %d", m.Sequence, v.last.sequence))
	case v.last.batch > 0 && m.Time < v.last.time:
		v.problem(number, b.Offset, "its time is before that of the batch before it")
	}
	v.hashes = v.hashes[:0]
	hasher := &v.reader.hasher
	for i := range b.Items {
		v.headers.add(&b.Items[i].Event, m.Sequence+uint64(i), m)
	}
	headers := v.headers.sum()
	for i := range b.Items {
		e := &b.Items[i].Event
		v.hashes = append(v.hashes, e.Hash)
		name := index.Name{Scope: e.Scope, Stream: e.Stream}
		stream, ok := v.streams[name]
		if !ok {
			stream.Hash = chain.StreamRoot(v.logID, name.Scope, name.Stream)
		}
		switch {
		case e.Version != stream.Version+1:
			v.problem(number, b.Items[i].Offset, fmt.Sprintf("event %d has version %d of its stream, which is at %d", m.Sequence+uint64(i), e.Version, stream.Version))
		case hasher.Event(stream.Hash, headers[i]) != e.Hash:
			v.problem(number, b.Items[i].Offset, fmt.Sprintf("event %d does not have the hash that it says", m.Sequence+uint64(i)))
		}
		if _, err := record.DecodeExtensions(e.Extensions); err != nil {
			v.problem(number, b.Items[i].Offset, fmt.Sprintf("the extensions of event %d: %v", m.Sequence+uint64(i), err))
		}
		stream.Version, stream.Hash = e.Version, e.Hash
		v.streams[name] = stream
	}
	if hasher.Head(v.last.head, m.Batch, m.Sequence, v.hashes, hasher.Notes(m.Time, m.Clock, b.Records)) != b.Head {
		v.problem(number, b.Offset, fmt.Sprintf("batch %d does not have the head that it says", m.Batch))
	}
	for i := range b.Notes {
		if n := &b.Notes[i]; n.Name == SignatureNote {
			v.signature(number, n)
		}
	}
	v.Batches++
	v.Events += uint64(len(b.Items))
	v.found(m.Batch, b.Head)
	v.last = point{batch: m.Batch, sequence: m.Sequence + uint64(len(b.Items)) - 1, time: m.Time, head: b.Head}
	if v.signed {
		v.heads = append(v.heads, v.last)
	}
}

// signature checks that the log has the head that a note is a signature of, and who
// has signed it.
func (v *verifying) signature(number uint64, n *segment.Note) {
	v.Signatures++
	damaged := func(err error, format string, args ...any) {
		v.problem(number, n.Offset, fmt.Sprintf(format, args...))
		v.Problems[len(v.Problems)-1].Err = err
	}
	var signed proof.SignedHead
	if err := signed.UnmarshalBinary(n.Data); err != nil {
		damaged(err, "a signature")
		return
	}
	i := sort.Search(len(v.heads), func(i int) bool { return v.heads[i].batch >= signed.Batch })
	if i == len(v.heads) || v.log.proofHead(v.heads[i]) != signed.Head {
		damaged(nil, "the log does not have the head of batch %d that key %s has signed", signed.Batch, signed.KeyID)
		return
	}
	if v.keys != nil {
		if err := v.keys.Verify(signed); err != nil {
			damaged(err, "the signature of the head of batch %d by key %s", signed.Batch, signed.KeyID)
			return
		}
	}
	if signed.Batch >= v.Signed.Batch {
		v.Signed = signed
	}
}

// prepared remarks on segments that do not count and are not all zeros.
func (v *verifying) prepared() error {
	l := v.log
	names, err := l.dir.names()
	if err != nil {
		return err
	}
	l.mu.Lock()
	last := l.lastSegment
	if l.active != nil && !l.active.headed {
		last-- // it will be used next
	}
	l.mu.Unlock()
	for number := last + 1; ; number++ {
		found := false
		for _, name := range names {
			found = found || name == segment.Name(number)
		}
		if !found {
			return nil
		}
		file, err := l.dir.open(segment.Name(number), readOnly)
		if err != nil {
			return err
		}
		var block [blockSize]byte
		n, err := file.ReadAt(block[:], 0)
		file.Close()
		if err != nil && err != io.EOF {
			return err
		}
		for _, b := range block[:n] {
			if b != 0 {
				v.Remarks = append(v.Remarks, fmt.Sprintf("segment %d is prepared but not all zeros: its first group was torn and nobody was told of it, or both copies of its header are damaged", number))
				break
			}
		}
	}
}
