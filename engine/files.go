package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
)

// File is a file in the log's directory.
type File struct {
	Name    string
	Size    int64 // bytes; of what is no regular file, 0
	Kind    FileKind
	Segment uint64 // number of the segment that the name is of, or 0
}

// FileKind is what a file in the log's directory is to the log.
type FileKind uint8

// The kinds of files. Later versions may have more.
const (
	FileSegment    FileKind = iota // a segment, of those in Stats or begun since the last look
	FilePrepared                   // a segment without a header: it is there for when it is needed, and does not count yet
	FileUnfinished                 // a segment that is being made, or was when something cut it; the next Open removes it
	FileRefused                    // a segment that is damaged, or not of this log: Options.Salvage went around it
	FileLock                       // held by who has the log open for writing
	FileForeign                    // nothing that the log knows; it is left alone
)

// String is the kind in a word, such as "prepared".
func (k FileKind) String() string {
	return word(int(k), "segment", "prepared", "unfinished", "refused", "lock", "foreign")
}

// Files lists what is in the log's directory, by name, as it is now; a writer may be
// at work there. The error is ErrClosed, or what the disk said.
func (l *Log) Files() ([]File, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("engine: list files: %w", ErrClosed)
	}
	names, err := l.dir.names()
	if err != nil {
		return nil, fmt.Errorf("engine: list files: %w", err)
	}
	slices.Sort(names)
	files := make([]File, 0, len(names))
	for _, name := range names {
		file, err := l.fileNamed(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is gone again
		}
		if err != nil {
			return nil, fmt.Errorf("engine: list files: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

// fileNamed says what the file of a name is.
func (l *Log) fileNamed(name string) (File, error) {
	file := File{Name: name, Kind: FileForeign}
	info, err := l.dir.fs.Stat(l.dir.path(name))
	if err != nil {
		return file, err
	}
	if !info.Mode().IsRegular() {
		return file, nil
	}
	file.Size = info.Size()
	number, suffix, ok := segment.ParseName(name)
	switch {
	case name == lockName:
		file.Kind = FileLock
	case ok && suffix == segment.SuffixNew:
		file.Kind, file.Segment = FileUnfinished, number
	case ok:
		file.Segment = number
		file.Kind, err = l.segmentKind(number)
	}
	return file, err
}

// segmentKind says what the file with the name of a segment is.
func (l *Log) segmentKind(number uint64) (FileKind, error) {
	l.mu.Lock()
	known, last, logID := l.segments[number] != nil, l.lastSegment, l.logID
	l.mu.Unlock()
	if known {
		return FileSegment, nil
	}
	handle, err := l.dir.open(segment.Name(number), readOnly)
	if err != nil {
		return FileForeign, err
	}
	defer handle.Close()
	header, err := segment.ReadHeader(handle)
	var unfit *record.HeaderError
	var major *record.MajorError
	var feature *record.FeatureError
	switch {
	case errors.Is(err, record.ErrNoHeader):
		return FilePrepared, nil
	case errors.As(err, &unfit), errors.As(err, &major), errors.As(err, &feature):
		return FileRefused, nil
	case err != nil:
		return FileForeign, fmt.Errorf("read %s: %w", segment.Name(number), err)
	case number > last && header.Number == number && (last == 0 || header.LogID == logID):
		return FileSegment, nil // since the last look
	}
	return FileRefused, nil
}
