package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSpans are the parts of a file that are not holes.
func dataSpans(f *os.File, size int64) (spans [][2]int64) {
	fd := int(f.Fd())
	for at := int64(0); at < size; {
		from, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if err != nil { // ENXIO: no more
			return spans
		}
		to, err := unix.Seek(fd, from, unix.SEEK_HOLE)
		if err != nil {
			to = size
		}
		spans = append(spans, [2]int64{from, to})
		at = to
	}
	return spans
}
