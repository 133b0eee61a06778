package segment_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/record"
	"github.com/untorn-db/untorn/simfs"
)

// sample is the one segment of a small log: keyed, split and empty payloads, two
// sessions.
func sample(t testing.TB, align int) []byte {
	disk := simfs.New(simfs.Options{})
	for range 2 {
		log, err := engine.Open(engine.Options{FS: disk, SegmentSize: 64 << 10, Align: align, Preallocate: -1})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{0, 100, 5000} {
			batch := engine.Batch{Events: []engine.Draft{
				{Stream: "s", Type: "t", Data: make([]byte, size)},
				{Scope: "c", Stream: "s", Type: "t", Metadata: []byte("m"), Extensions: map[string][]byte{"x": []byte("y")}, Erasable: true},
			}}
			if _, err := log.AppendBatch(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := afero.ReadFile(disk, segment.Name(1))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzScan hands hostile bytes to everything that reads a segment: a patch to a
// sound file, at an offset, and the file cut behind it or not; under the header
// that the file has, or under a sound one. It never panics, ends, and never
// allocates more than a small multiple of what the file holds.
func FuzzScan(f *testing.F) {
	samples := [][]byte{sample(f, 0), sample(f, 4096)}
	f.Add([]byte{}, uint32(0), false, false)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint32(8192), true, true)
	f.Add([]byte{0xff, 0xff}, uint32(8192+12), false, true)
	f.Add(make([]byte, 600), uint32(9000), false, false)
	f.Add(samples[0][8192:8700], uint32(8192+512), true, true)
	header, err := segment.ReadHeader(bytes.NewReader(samples[0]))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, patch []byte, at uint32, cut, sound bool) {
		if len(patch) > 64<<10 {
			return
		}
		file := bytes.Clone(samples[at&1])
		at %= uint32(len(file) + 1)
		end := int(at) + len(patch)
		file = append(file, make([]byte, max(0, end-len(file)))...)
		copy(file[at:], patch)
		if cut {
			file = file[:end]
		}
		reader := bytes.NewReader(file)
		h, err := segment.ReadHeader(reader)
		if err != nil || sound {
			h = header
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		until, tear := scan(t, file, &h)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16*uint64(len(file))+1<<20 {
			t.Errorf("a file of %d bytes makes the scan allocate %d", len(file), used)
		}
		proof, err := segment.Proof(reader, reader.Size(), &h, tear, 1)
		if err != nil || proof >= int64(len(file)) {
			t.Errorf("proof at %d of %d: %v", proof, len(file), err)
		}
		next, err := segment.NextBatch(reader, reader.Size(), &h, tear)
		if err != nil || next >= int64(len(file)) {
			t.Errorf("next batch at %d of %d: %v", next, len(file), err)
		}
		if until > int64(len(file)) {
			t.Errorf("the scan ends at %d of %d", until, len(file))
		}
	})
}

// scan reads a segment to its first tear, and every item once more by its place.
func scan(t *testing.T, file []byte, h *record.SegmentHeader) (end int64, tear segment.Found) {
	reader := bytes.NewReader(file)
	if _, err := reader.Seek(record.DataStart, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	s := segment.NewScanner(reader, h, record.DataStart, int64(len(file)))
	end = record.DataStart
	for {
		found := s.Next()
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		switch found.Kind {
		case segment.FoundBatch:
			for i := range found.Batch.Items {
				item := &found.Batch.Items[i]
				raw := bytes.Clone(file[item.Offset : item.Offset+item.Length])
				var e record.Event
				reason := segment.ReadItem(&e, raw, record.NewPlace(h.Seed), item.Offset, found.Batch.Mark.Session, uint32(i), nil)
				if reason != "" || e.Hash != item.Event.Hash || !bytes.Equal(e.Payload, item.Event.Payload) {
					t.Errorf("item %d at %d, read again: %s", i, item.Offset, reason)
				}
			}
		case segment.FoundEnd:
		default:
			return min(end, int64(len(file))), found
		}
		s.Advance(found)
		if s.Offset() <= end {
			t.Fatalf("the scanner went from %d to %d", end, s.Offset())
		}
		end = s.Offset()
	}
}

// TestEveryByteFlipped flips every byte of a segment in turn: the scan finds what
// lies before it, and stops where it is, or does not need it.
func TestEveryByteFlipped(t *testing.T) {
	whole := sample(t, 0)
	header, err := segment.ReadHeader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	full, _ := scan(t, whole, &header)
	last := int(full) - record.MarkSize // where the last END begins
	stopped := 0
	for at := record.DataStart; at < int(full); at++ {
		file := bytes.Clone(whole)
		file[at] ^= 0x40
		end, found := scan(t, file, &header)
		if end == full {
			continue // padding, or the gap before END
		}
		stopped++
		if end > int64(at) {
			t.Fatalf("byte %d is flipped, and the scan goes on to %d", at, end)
		}
		proof, err := segment.Proof(bytes.NewReader(file), int64(len(file)), &header, found, 1)
		if err != nil || proof < 0 && at < last {
			t.Fatalf("byte %d is flipped, and nothing behind it proves that it was there: %v", at, err)
		}
	}
	if stopped < int(full-record.DataStart)/2 {
		t.Errorf("%d flips of %d were noticed", stopped, full-record.DataStart)
	}
}

// TestNamesOfSegments: what Name makes ParseName reads, and nothing else.
func TestNamesOfSegments(t *testing.T) {
	for _, n := range []uint64{1, 999_999_999, 1<<32 - 1} {
		if got, suffix, ok := segment.ParseName(segment.Name(n)); got != n || suffix != segment.Suffix || !ok {
			t.Errorf("%q: %d, %q, %v", segment.Name(n), got, suffix, ok)
		}
		if got, suffix, ok := segment.ParseName(segment.NameNew(n)); got != n || suffix != segment.SuffixNew || !ok {
			t.Errorf("%q: %d, %q, %v", segment.NameNew(n), got, suffix, ok)
		}
	}
	for _, name := range []string{"", "1.seg", "000000000000.seg", "000000000001.SEG", "000000000001.seg ", "+00000000001.seg", "004294967296.seg", "00000000000a.seg", "000000000001.tmp"} {
		if n, suffix, ok := segment.ParseName(name); ok {
			t.Errorf("%q is taken for segment %d, %q", name, n, suffix)
		}
	}
}
