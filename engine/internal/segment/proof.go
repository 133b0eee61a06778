package segment

import (
	"io"

	"github.com/untorn-db/untorn/engine/record"
)

// lookAhead is how many bytes behind a tear are searched for whole frame
// headers, hops not counted. A batch has one in every 2 KiB; before an END, or
// with alignment before any batch, a gap may come that ends with its block; and
// a page may be lost behind the gap.
const lookAhead = 12 << 10

// noGap is the same where there is no gap at the tear, nor behind each group. Each
// sector more doubles what a crash search has to try.
const noGap = 8 << 10

// sectorSize is how much the look-ahead reads at once.
const sectorSize = 512

// kindByte is where a frame header says what it is; 0 is no frame.
const kindByte = 8

// Proof looks behind a tear for proof that batch number missing was once
// synced: a BEGIN or END that says so. It hops by the distances in the headers,
// from the end of the damaged batch if its BEGIN is whole; where there is no
// whole header it searches for the next one, through 12 KiB in all, never on to
// the end. It returns the offset of the proof, or -1.
//
// What a power cut leaves of unsynced groups never yields proof, since a group
// is told what was synced before it is written.
func Proof(f io.ReaderAt, size int64, header *record.SegmentHeader, tear Found, missing uint64) (int64, error) {
	place := record.NewPlace(header.Seed)
	if tear.Mark != nil && tear.Mark.Synced >= missing {
		return tear.Offset, nil
	}
	at, left := tear.After, lookAhead
	if at == 0 {
		at = tear.Offset
	}
	for {
		frame, ok, err := frameAt(f, size, place, at)
		if gap := AlignUp(at, record.BlockSize); !ok && err == nil && gap != at {
			// Only a mark is worth the leap: what it says was synced is no less than
			// what any mark that it passes over says.
			frame, ok, err = frameAt(f, size, place, gap)
			if ok = ok && (frame.Kind == record.KindBegin || frame.Kind == record.KindEnd); ok {
				at = gap
			}
		}
		if err != nil {
			return -1, err
		}
		if !ok {
			// A sector that is lost where one batch ends and the next begins takes
			// the place with it from which to hop on.
			next, err := firstFrame(f, size, place, at, left, header.Align > 0)
			if next < 0 || err != nil {
				return -1, err
			}
			left -= int(next - at)
			at = next
			continue
		}
		if isProof(frame, missing) {
			return at, nil
		}
		at += int64(frame.Distance) // more than 0 in a whole header
	}
}

func isProof(frame record.Frame, missing uint64) bool {
	return (frame.Kind == record.KindBegin || frame.Kind == record.KindEnd) && frame.Synced >= missing
}

// frameAt reads and parses one frame header.
func frameAt(f io.ReaderAt, size int64, place record.Place, offset int64) (record.Frame, bool, error) {
	if offset >= size {
		return record.Frame{}, false, nil
	}
	var head [record.MarkSize]byte
	// The first half tells whether there is a second: nothing is read that is
	// not needed, which keeps a crash search small.
	n, err := f.ReadAt(head[:record.HeaderSize], offset)
	if n == record.HeaderSize && isMark(head[:]) {
		var more int
		more, err = f.ReadAt(head[n:], offset+int64(n))
		n += more
	}
	if err != nil && err != io.EOF {
		return record.Frame{}, false, err
	}
	frame, ok := record.ParseFrame(head[:n], place, offset)
	return frame, ok, nil
}

// firstFrame returns the offset of the first whole frame header less than
// length, at most lookAhead, behind offset, or -1; less than noGap where no gap
// lies at offset, unless groups are aligned: then there is one behind each. It reads
// sector after sector, and none behind the frame that it finds.
func firstFrame(f io.ReaderAt, size int64, place record.Place, offset int64, length int, aligned bool) (int64, error) {
	if offset >= size {
		return -1, nil
	}
	window := make([]byte, min(lookAhead+record.MarkSize, size-offset))
	// A gap is zeros up to the end of its block.
	block := int(AlignUp(offset+1, record.BlockSize) - offset)
	have := 0
	reach := func(n int) (bool, error) {
		for have < n {
			if offset+int64(have) >= size {
				return false, nil
			}
			room := min(sectorSize-int(offset+int64(have))%sectorSize, len(window)-have)
			more, err := f.ReadAt(window[have:have+room], offset+int64(have))
			have += more
			if err == io.EOF || err == nil && more == 0 {
				return have >= n, nil
			} else if err != nil {
				return false, err
			}
		}
		return true, nil
	}
	for i := 0; i < length; i += record.FrameAlign {
		if ok, err := reach(i + kindByte + 1); !ok || err != nil {
			return -1, err
		}
		if i == block && !aligned && !allZero(window[:block]) {
			length = min(length, noGap)
		}
		kind := window[i+kindByte]
		if kind == 0 || kind > record.KindEnd {
			continue
		}
		if _, err := reach(i + record.HeaderBytes(kind)); err != nil {
			return -1, err
		}
		if _, ok := record.ParseFrame(window[i:have], place, offset+int64(i)); ok {
			return offset + int64(i), nil
		}
	}
	return -1, nil
}

// NextBatch returns the offset of the first whole BEGIN behind damage, or −1 if
// there is none. It is for salvage only: it hops as Proof does, and searches on to
// the end of the file.
func NextBatch(f io.ReaderAt, size int64, header *record.SegmentHeader, damage Found) (int64, error) {
	place := record.NewPlace(header.Seed)
	at := damage.After
	if at == 0 {
		at = damage.Offset
	}
	for at < size {
		frame, ok, err := frameAt(f, size, place, at)
		if err != nil {
			return -1, err
		}
		if ok && frame.Kind == record.KindBegin && at != damage.Offset {
			return at, nil
		}
		if ok {
			at += int64(frame.Distance)
			continue
		}
		next, err := firstFrame(f, size, place, at, lookAhead, header.Align > 0)
		if err != nil {
			return -1, err
		}
		if next < 0 {
			next = at + lookAhead
		}
		at = next
	}
	return -1, nil
}
