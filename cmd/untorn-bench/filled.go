package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// filledSize is how large the file of raw and of floor is, in bytes.
const filledSize = 256 << 20

// filled is a file that was written with zeros once, from end to end, and synced;
// so writing into it changes no metadata, which a sync would have to wait for.
// Behind its end it goes on at its start: what is overwritten, zeros or an old
// frame, is the same to a disk.
type filled struct {
	file   *os.File
	at     int64
	start  int64
	size   int64
	synced bool
}

func openFilled(setup Setup, name string, start int64) (filled, error) {
	dir := setup.Keep
	size := int64(filledSize)
	if dir == "" {
		dir, size = setup.Dir, 1<<20
	}
	path := filepath.Join(dir, name)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return filled{}, err
	}
	f := filled{file: file, at: start, start: start, size: size, synced: !setup.Buffered}
	if err := f.fill(); err != nil {
		file.Close()
		return filled{}, err
	}
	return f, nil
}

func (f *filled) fill() error {
	info, err := f.file.Stat()
	if err != nil || info.Size() >= f.size {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < f.size; at += int64(len(zeros)) {
		if _, err := f.file.WriteAt(zeros, at); err != nil {
			return err
		}
	}
	return f.file.Sync()
}

// room goes back to the start if fewer bytes are left, and returns where the next
// write begins.
func (f *filled) room(bytes int) (int64, error) {
	if f.at+int64(bytes) > f.size {
		f.at = f.start
		if f.at+int64(bytes) > f.size {
			return 0, fmt.Errorf("%d bytes at once do not fit into %d", bytes, f.size)
		}
	}
	return f.at, nil
}

// commit is one pwrite and one fdatasync.
func (f *filled) commit(bytes []byte) error {
	if _, err := f.file.WriteAt(bytes, f.at); err != nil {
		return err
	}
	f.at += int64(len(bytes))
	if !f.synced {
		return nil
	}
	return syncData(f.file)
}

func (f *filled) Close() error { return f.file.Close() }
