package segment

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/untorn-db/untorn/engine/record"
)

// headerProbe is what is read of a header copy: the header, and no more than
// one disk sector, so that nothing else has to be sound.
const headerProbe = 512

// ReadHeader reads the header of a segment; either copy will do. It returns
// record.ErrNoHeader when neither is valid: the file counts as prepared. Any
// other error is the disk's, or says that the format is not known.
func ReadHeader(f io.ReaderAt) (record.SegmentHeader, error) {
	h, err := ReadHeaderCopy(f, 0)
	if errors.Is(err, record.ErrNoHeader) {
		return ReadHeaderCopy(f, 1)
	}
	return h, err
}

// ReadHeaderCopy reads one copy, 0 or 1, of the header.
func ReadHeaderCopy(f io.ReaderAt, copy int) (record.SegmentHeader, error) {
	var probe [headerProbe]byte
	at := int64(copy) * record.BlockSize
	n, err := f.ReadAt(probe[:], at)
	if err != nil && err != io.EOF {
		return record.SegmentHeader{}, err
	}
	h, err := record.ParseSegmentHeader(probe[:n])
	if errors.Is(err, record.ErrNoHeader) && n == len(probe) && string(probe[:len(record.Magic)]) == record.Magic &&
		int(binary.LittleEndian.Uint16(probe[12:])) > len(probe) {
		// A later minor version may have a longer header. Behind bytes that are none
		// nothing is read: that would be for nothing, and takes 2⁷ runs to search.
		block := make([]byte, record.BlockSize)
		n, err := f.ReadAt(block, at)
		if err != nil && err != io.EOF {
			return record.SegmentHeader{}, err
		}
		return record.ParseSegmentHeader(block[:n])
	}
	return h, err
}
