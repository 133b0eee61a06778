package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// A segment's life:
//
//	prepared ──→ active ──→ sealed
//	 zeros       groups      END, synced, trimmed
//
// and, where its end is in doubt, a fresh one takes over: made as N.new with
// everything that is to be kept, synced, and only then named N.seg.

// firstFill is the first step of room, so that a log of one event is small.
const firstFill = 64 << 10

// preparation is a segment that is being made ahead of need. Only the task
// that makes it touches it until done is set; a preparation without done is
// its caller's alone.
type preparation struct {
	number uint64
	done   Signal
	file   afero.File
	filled int64
	err    error // why there is none; nothing is lost
	fatal  bool  // err is a failed sync: the log must fail
}

// prepare makes segment p.number durable under its final name, with zeros. A
// file gets that name only when its zeros are durable: before, it may show what a
// file that was removed had on the same blocks, such as the header of a segment.
func (l *Log) prepare(p *preparation) {
	if p.number > segment.MaxNumber {
		p.err = errNoNumber
		return
	}
	name, unfinished := segment.Name(p.number), segment.NameNew(p.number)
	p.file, p.err = l.dir.open(name, readWrite)
	made := errors.Is(p.err, fs.ErrNotExist)
	if made {
		p.file, p.err = l.dir.createNew(unfinished)
	}
	if p.err != nil {
		p.err = fmt.Errorf("prepare segment %d: %w", p.number, p.err)
		return
	}
	defer func() {
		if p.err != nil {
			p.file.Close()
			p.file = nil
			p.err = fmt.Errorf("prepare segment %d: %w", p.number, p.err)
			if made {
				_ = l.dir.remove(unfinished)
			}
		}
	}()
	if p.filled, p.err = l.blank(p.file); p.err != nil {
		return
	}
	if p.err = p.file.Sync(); p.err != nil {
		p.fatal = true
		return
	}
	if made {
		if p.err = l.dir.rename(unfinished, name); p.err != nil {
			return
		}
	}
	p.err = l.dir.syncNames()
	p.fatal = p.err != nil
}

// blank makes sure that a segment which does not count begins with zeros, and
// returns how far it is written. The header's blocks must be zeros on the disk,
// or else what a torn first group left there could be taken for a log after the
// next crash, though an Open has left it out.
func (l *Log) blank(f afero.File) (filled int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	filled = info.Size()
	if header := make([]byte, min(filled, record.DataStart)); len(header) > 0 {
		zeros, err := beginsWithZeros(f, header)
		if err == nil && !zeros {
			clear(header)
			err = writeAt(f, header, 0)
		}
		if err != nil {
			return 0, err
		}
	}
	if want := max(int64(record.DataStart), min(firstFill, l.opts.Preallocate, l.opts.SegmentSize)); filled < want {
		if err := fillZeros(f, filled, want-filled); err != nil {
			return 0, err
		}
		filled = want
	}
	return filled, nil
}

// beginsWithZeros reads the start of a file into b, up to the first bytes that
// are not zeros. What lies behind those is not looked at, which keeps a crash
// search small.
func beginsWithZeros(f afero.File, b []byte) (bool, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	for len(b) > 0 {
		n, err := f.Read(b)
		if slices.ContainsFunc(b[:n], func(c byte) bool { return c != 0 }) {
			return false, nil
		}
		b = b[n:]
		switch {
		case err == io.EOF && len(b) > 0:
			return false, io.ErrUnexpectedEOF
		case err != nil && err != io.EOF:
			return false, err
		case err == nil && n == 0:
			return false, io.ErrNoProgress
		}
	}
	return true, nil
}

// zeros are what a new segment begins with, and what is written ahead of need.
// They are never changed.
var zeros [64 << 10]byte

// fillZeros reserves room and writes zeros there.
func fillZeros(f afero.File, offset, length int64) error {
	if err := preallocate(f, offset, length); err != nil {
		return err
	}
	for length > 0 {
		n := min(length, int64(len(zeros)))
		if err := writeAt(f, zeros[:n], offset); err != nil {
			return err
		}
		offset, length = offset+n, length-n
	}
	return nil
}

// prepareAhead starts the preparation of the next segment, if the active one is
// half full. The caller has the commit token.
func (l *Log) prepareAhead() {
	s := l.active
	if s.end < l.opts.SegmentSize/2 || l.prepared != nil || l.opts.Preallocate < 0 {
		return
	}
	p := &preparation{number: s.number + 1, done: l.opts.Waits.Signal("the next segment")}
	l.mu.Lock()
	l.prepared = p
	l.mu.Unlock()
	l.run("prepare a segment", func() {
		l.prepare(p)
		p.done.Set()
	})
}

// takePrepared waits for a preparation at work, and takes its outcome.
func (l *Log) takePrepared() *preparation {
	p := l.prepared
	if p == nil {
		return nil
	}
	// Without a deadline the wait ends only when the task does.
	_ = p.done.Wait(context.Background())
	l.mu.Lock()
	l.prepared = nil
	l.mu.Unlock()
	return p
}

// nextSegment returns the next segment, prepared. Upon an error nothing has
// happened, unless a sync has failed: then the log has, too.
func (l *Log) nextSegment() (*preparation, error) {
	p := l.takePrepared()
	if p != nil && p.err != nil && !p.fatal {
		p = nil // there may be room by now
	}
	if p == nil {
		p = &preparation{number: l.active.number + 1}
		l.prepare(p)
	}
	if p.fatal {
		l.fail(p.err)
	}
	return p, p.err
}

// use makes a prepared segment the active one. Its header is written with the
// first group.
func (l *Log) use(p *preparation, header record.SegmentHeader) {
	header.LogID, header.Number, header.Align = l.logID, p.number, uint32(l.opts.Align)
	l.activate(&segmentFile{
		number: p.number, header: header, place: record.NewPlace(header.Seed),
		file: p.file, end: record.DataStart, filled: p.filled,
	})
	l.mu.Lock()
	l.written.end, l.durable.end = record.DataStart, record.DataStart
	l.mu.Unlock()
}

// newSeed draws the seed of a segment.
func (l *Log) newSeed(number uint64) (seed record.Seed, err error) {
	if _, err := io.ReadFull(l.random, seed[:]); err != nil {
		return seed, fmt.Errorf("draw the seed of segment %d: %w", number, err)
	}
	return seed, nil
}

func (l *Log) activate(s *segmentFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.segments[s.number] == nil {
		l.numbers = append(l.numbers, s.number)
	}
	l.segments[s.number] = s
	if l.firstSegment == 0 {
		l.firstSegment = s.number
	}
	l.lastSegment = s.number
	l.active = s
}

// errNothingWritten marks an error upon which no byte of the group has been
// handed to a file.
var errNothingWritten = errors.New("nothing was written")

// errNoNumber ends a log after 2^32 − 1 segments.
var errNoNumber = errors.New("the log has used up the numbers of its segments: begin another one")

// rotate leaves the active segment for the next one: END, sync, and from then
// on nothing in it changes. The caller has the commit token. If the error
// matches errNothingWritten the group is rejected.
func (l *Log) rotate() error {
	s := l.active
	l.observe(Point{Name: PointRotateCreate, Batch: l.written.batch, Offset: s.end})
	p, err := l.nextSegment()
	if err != nil {
		return fmt.Errorf("%w: %w", errNothingWritten, err)
	}
	seed, err := l.newSeed(p.number) // while there is a way back
	if err != nil {
		p.file.Close()
		return fmt.Errorf("%w: %w", errNothingWritten, err)
	}
	if err := l.seal(s); err != nil {
		p.file.Close()
		return err
	}
	header := l.headerBehind(l.written)
	header.Seed = seed
	l.use(p, header)
	l.observe(Point{Name: PointRotateDone, Batch: l.written.batch, Offset: -1})
	return nil
}

// seal ends a segment for good.
func (l *Log) seal(s *segmentFile) error {
	if err := l.joinFill(s); err != nil {
		return err
	}
	last := l.written
	if err := l.putEnd(s, last, true); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		l.fail(err)
		return err
	}
	l.disarm()
	l.mu.Lock()
	l.publishLocked(last)
	s.sealed = true
	l.mu.Unlock()
	l.trim(s)
	return nil
}

// headerBehind is the header of a segment that goes on behind a point.
func (l *Log) headerBehind(p point) record.SegmentHeader {
	return record.SegmentHeader{
		PreviousEnd: uint64(p.end), PreviousHead: p.head,
		PreviousBatch: p.batch, PreviousSequence: p.sequence, PreviousTime: p.time,
	}
}

// trim gives back the zeros behind the end of a segment. It stays away from
// the block that the end is in. That it fails is no harm.
func (l *Log) trim(s *segmentFile) {
	end := segment.AlignUp(s.end+record.MarkSize, blockSize)
	l.mu.Lock()
	idle := s.filling == nil && s.roomLocked() > end
	if idle {
		s.filled, s.reserved = end, end
	}
	l.mu.Unlock()
	if idle {
		_ = s.file.Truncate(end)
	}
}

// freshSegment leaves segment s behind the last durable batch, whatever stands
// there, and carries the batches that are written but not durable into a new
// segment. Those are durable when it returns nil; the caller publishes them.
// If nothing in s is known to be durable the new segment takes its place.
func (l *Log) freshSegment(s *segmentFile) error {
	header := l.headerBehind(l.durable)
	number := s.number + 1
	if !s.proven {
		number = s.number
		header = s.header
	}
	if number > segment.MaxNumber {
		return errNoNumber
	}
	header.LogID, header.Number, header.Align = l.logID, number, uint32(l.opts.Align)
	header.Carried, header.Synced = uint32(len(l.unsynced)), true
	var err error
	if header.Seed, err = l.newSeed(number); err != nil {
		return err
	}
	place := record.NewPlace(header.Seed)
	end := int64(record.DataStart)
	for _, old := range l.unsynced {
		end += old.end - old.offset
	}
	// The zeros behind it are where the next batch is looked for; see blankEnd.
	size := int(segment.AlignUp(end, int64(header.Align)) + record.MarkSize)
	whole := slices.Grow(l.buffer[:0], size)[:size]
	clear(whole[end:])
	if size <= keptBuffer {
		l.buffer = whole
	}
	bytes := header.Append(whole[:0])
	moved := make([]span, len(l.unsynced))
	for i, old := range l.unsynced {
		at := int64(len(bytes))
		bytes = whole[:at+old.end-old.offset]
		batch := bytes[at:]
		if err := readAt(s.file, batch, old.offset); err != nil {
			return err
		}
		if err := record.Relocate(batch, s.place, old.offset, place, at); err != nil {
			return err
		}
		moved[i] = old
		moved[i].offset, moved[i].end = at, int64(len(bytes))
	}
	if p := l.takePrepared(); p != nil && p.file != nil {
		p.file.Close()
	}
	file, err := l.install(number, whole)
	if err != nil {
		return err
	}
	fresh := &segmentFile{
		number: number, header: header, place: place, file: file,
		headed: true, proven: true, end: end, filled: int64(len(whole)),
	}
	l.adopt(s, fresh, moved)
	return nil
}

// install makes a whole segment file durable under a temporary name, and then
// by its own.
func (l *Log) install(number uint64, bytes []byte) (_ afero.File, err error) {
	name := segment.NameNew(number)
	file, err := l.dir.createNew(name)
	if err != nil {
		return nil, err
	}
	err = writeAt(file, bytes, 0)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = l.dir.rename(name, segment.Name(number))
	}
	if err != nil {
		file.Close()
		_ = l.dir.remove(name)
		return nil, err
	}
	if err := l.dir.syncNames(); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// adopt puts a fresh segment behind, or in place of, segment s.
func (l *Log) adopt(s, fresh *segmentFile, moved []span) {
	l.mu.Lock()
	replaced := fresh.number == s.number
	first := l.index.Len()
	for i, span := range moved {
		old := l.unsynced[i]
		until, untilNote := l.index.Len(), l.index.Notes()
		if i+1 < len(moved) {
			until, untilNote = moved[i+1].ordinal, moved[i+1].note
		}
		for ordinal := span.ordinal; ordinal < until; ordinal++ {
			entry := l.index.Entry(ordinal)
			l.index.Move(ordinal, uint32(fresh.number), uint32(int64(entry.Offset)-old.offset+span.offset))
		}
		for note := span.note; note < untilNote; note++ {
			entry := l.index.NoteEntry(note)
			l.index.MoveNote(note, uint32(fresh.number), uint32(int64(entry.Offset)-old.offset+span.offset))
		}
		first = min(first, span.ordinal)
	}
	fresh.batches = uint64(len(moved))
	if len(moved) > 0 {
		fresh.began = moved[0].time
	}
	if first < l.index.Len() {
		fresh.first, fresh.last = l.index.Sequence(first), l.written.sequence
	}
	s.batches -= fresh.batches
	s.last = l.durable.sequence
	if s.first == 0 || s.first > s.last {
		s.first, s.last = 0, 0
	}
	s.end, s.endBytes, s.sealed = l.durable.end, nil, true
	l.written.end = fresh.end
	l.unsynced = append(l.unsynced[:0], moved...)
	var old afero.File
	if replaced {
		old = s.dropLocked()
	}
	l.mu.Unlock()
	l.activate(fresh)
	if old != nil {
		old.Close()
	}
	if !replaced {
		l.trim(s)
	}
}

// fillAhead starts to write zeros behind the last group, if they run short: an
// overwrite needs no change of metadata, which a sync would wait for. The caller
// has the commit token.
func (l *Log) fillAhead() {
	s := l.active
	if l.opts.Preallocate < 0 {
		return
	}
	l.mu.Lock()
	at := segment.AlignUp(max(s.filled, s.end), blockSize)
	step := l.stepAt(s, at)
	if s.filling != nil || at-s.end > step/2 || step < blockSize {
		l.mu.Unlock()
		return
	}
	done := l.newSignalLocked("zeros ahead")
	s.filling, s.step = done, 2*step
	file := s.file
	l.mu.Unlock()
	l.run("fill zeros ahead", func() {
		// Where it fails the next group finds out, and says so.
		err := fillZeros(file, at, step)
		l.mu.Lock()
		if err == nil {
			s.filled = at + step
		}
		s.filling = nil
		l.mu.Unlock()
		done.Set()
	})
}

// reserve makes room behind what a segment has, at least up to an offset: groups
// that are not synced need no zeros, but a full disk is to be met before a byte of
// them is written. The caller has the commit token.
func (l *Log) reserve(s *segmentFile, has, until int64) error {
	ahead := max(has+l.stepAt(s, has), until)
	err := preallocate(s.file, has, ahead-has)
	if err != nil && ahead > until {
		ahead = until
		err = preallocate(s.file, has, ahead-has)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	s.reserved, s.step = ahead, 2*(ahead-has)
	l.mu.Unlock()
	return nil
}

// stepAt is how much room is made at once from an offset on: twice as much as the
// last time, as the options allow.
func (l *Log) stepAt(s *segmentFile, offset int64) int64 {
	most := l.opts.Preallocate
	return min(max(s.step, min(firstFill, most)), most, l.opts.SegmentSize-offset)
}

// joinFill waits until no zeros are being written to a segment.
func (l *Log) joinFill(s *segmentFile) error {
	l.mu.Lock()
	filling := s.filling
	l.mu.Unlock()
	if filling == nil {
		return nil
	}
	return filling.Wait(context.Background())
}
