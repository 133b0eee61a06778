package engine

import (
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// segmentFile is one segment and what is known of it.
type segmentFile struct {
	number uint64
	header record.SegmentHeader
	place  record.Place

	// Guarded by Log.mu.
	file     afero.File // nil while nobody reads it
	readers  int        // that use file
	dropped  bool       // close file when the last reader is done
	lastUsed uint64     // for closing the one that is not used

	// Changed by the holder of the commit token only, under Log.mu.
	headed   bool  // the header has been written
	read     bool  // … in an earlier session, as far as can be read
	end      int64 // behind the last thing written
	sealed   bool  // nothing more will be written
	proven   bool  // something in it is known to be durable
	batches  uint64
	began    int64  // time of the first of them, in ns, if there is one
	first    uint64 // sequence of its first event
	last     uint64 // sequence of its last event
	reserved int64  // the disk has room up to here, if it is more than filled
	step     int64  // how much room is made next
	endBytes []byte // the END that stands at the end, to be written again with the next group

	// Guarded by Log.mu.
	filled  int64  // zeros, or batches, are written up to here
	filling Signal // a fill at work, or nil
}

// roomLocked is how far the file has room on the disk.
func (s *segmentFile) roomLocked() int64 { return max(s.filled, s.reserved) }

// mostWaiting bounds the files that Open has open before it has read them.
const mostWaiting = 8

// mostOpen bounds the files that are open for reading.
const mostOpen = 64

// acquire returns the open file of a segment; release gives it back.
func (l *Log) acquire(number uint32) (*segmentFile, afero.File, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, nil, ErrClosed
	}
	s := l.segments[uint64(number)]
	if s.file == nil {
		l.mu.Unlock()
		file, err := l.dir.open(segment.Name(s.number), readOnly)
		if err != nil {
			return nil, nil, err
		}
		l.mu.Lock()
		if s.file != nil || s.dropped || l.closed {
			closed := l.closed
			l.mu.Unlock()
			file.Close()
			if closed {
				return nil, nil, ErrClosed
			}
			return l.acquire(number)
		}
		s.file = file
	}
	s.readers++
	l.uses++
	s.lastUsed = l.uses
	file := s.file
	idle := l.idleFileLocked() // never the one that was just taken
	l.mu.Unlock()
	if idle != nil {
		idle.Close()
	}
	return s, file, nil
}

func (l *Log) release(s *segmentFile) {
	l.mu.Lock()
	s.readers--
	var file afero.File
	if s.dropped && s.readers == 0 {
		file, s.file = s.file, nil
	}
	l.mu.Unlock()
	if file != nil {
		file.Close()
	}
}

// pointBefore is the end of the segment before the one with this header, as that tells
// it: without the place, which is in another file.
func pointBefore(h *record.SegmentHeader) point {
	return point{batch: h.PreviousBatch, sequence: h.PreviousSequence, time: h.PreviousTime, head: h.PreviousHead}
}

// dropLocked says that a segment's file is not needed any more, once its readers are
// done. It returns the file if that is now.
func (s *segmentFile) dropLocked() (now afero.File) {
	s.dropped = true
	if s.readers == 0 {
		now, s.file = s.file, nil
	}
	return now
}

// idleFileLocked takes the file that was not used for longest, if too many are
// open.
func (l *Log) idleFileLocked() afero.File {
	var oldest *segmentFile
	open := 0
	for _, number := range l.numbers {
		s := l.segments[number]
		if s.file == nil || !s.sealed {
			continue
		}
		open++
		if s.readers == 0 && (oldest == nil || s.lastUsed < oldest.lastUsed) {
			oldest = s
		}
	}
	if open <= mostOpen || oldest == nil {
		return nil
	}
	file := oldest.file
	oldest.file = nil
	return file
}
