package fscheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
)

// The checks of what one file does. Offsets straddle 512 and 4,096, where a
// file system made of blocks has its seams.

func checkCreate(p *probe) {
	f, err := p.fs.Create(p.path("new"))
	p.mustOK("Create", err, "of a new file")
	p.opened = append(p.opened, f)
	p.holds("Create", "new", "", "of a new file")
	_, err = f.Write([]byte("old bytes"))
	p.mustOK("Write", err, "to a created file")
	p.holds("Write", "new", "old bytes", "to a created file")
	buf := make([]byte, 3)
	if n, err := f.ReadAt(buf, 0); n != 3 || string(buf) != "old" {
		p.wrong("Create", "its handle reads %q and error %v, want %q: it is open for reading and writing", buf[:n], err, "old")
	}

	p.refused("new", os.O_RDWR|os.O_CREATE|os.O_EXCL, fs.ErrExist, "a file that exists")
	p.holds("OpenFile", "new", "old bytes", "with O_EXCL of a file that exists")
	p.refused("new", os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_TRUNC, fs.ErrExist, "a file that exists")
	p.holds("OpenFile", "new", "old bytes", "with O_EXCL|O_TRUNC of a file that exists")
	p.mustOpen("new", os.O_RDWR|os.O_CREATE)
	p.holds("OpenFile", "new", "old bytes", "with O_CREATE, without O_TRUNC, of a file that exists")
	p.mustOpen("new", os.O_RDWR|os.O_TRUNC)
	p.holds("OpenFile", "new", "", "with O_TRUNC of a file that exists")

	_, err = f.WriteAt([]byte("again"), 0)
	p.mustOK("WriteAt", err, "through a handle that was open when the file was truncated")
	p.holds("WriteAt", "new", "again", "through a handle that was open when the file was truncated")
	g, err := p.fs.Create(p.path("new"))
	p.mustOK("Create", err, "of a file that exists")
	p.opened = append(p.opened, g)
	p.holds("Create", "new", "", "of a file that exists")

	p.mustOpen("exclusive", os.O_RDWR|os.O_CREATE|os.O_EXCL)
	p.holds("OpenFile", "exclusive", "", "with O_EXCL of a new file")

	p.refused("missing", os.O_RDONLY, fs.ErrNotExist, "a missing file")
	p.refused("missing", os.O_RDWR, fs.ErrNotExist, "a missing file")
	p.refused("missing", os.O_RDWR|os.O_TRUNC, fs.ErrNotExist, "a missing file")
	p.absent("OpenFile", "missing", "of a missing file without O_CREATE")
	p.refused("nodir/file", os.O_RDWR|os.O_CREATE, fs.ErrNotExist, "a file in a missing directory")
	p.absent("OpenFile", "nodir", "of a file in a missing directory")
	p.refused("new/file", os.O_RDWR|os.O_CREATE, nil, "a file below a file")

	p.mustOK("Mkdir", p.fs.Mkdir(p.path("dir"), 0o777), "of an ordinary directory")
	p.refused("dir", os.O_RDWR, nil, "a directory")
	p.refused("dir", os.O_RDWR|os.O_CREATE|os.O_EXCL, fs.ErrExist, "a directory")
	if f, err := p.fs.Create(p.path("dir")); err == nil {
		p.opened = append(p.opened, f)
		p.wrong("Create", "of a name that is a directory: succeeded, want an error")
	}
}

func checkAppend(p *probe) {
	first := p.mustMake("log", "one,")
	f := p.mustOpen("log", os.O_WRONLY|os.O_APPEND)
	_, err := f.Write([]byte("two,"))
	p.ok("Write", err, "with O_APPEND")
	p.holds("Write", "log", "one,two,", "with O_APPEND to a file with bytes")
	_, err = first.WriteAt([]byte("three,"), 8)
	p.ok("WriteAt", err, "through another handle")
	_, err = f.Write([]byte("four,"))
	p.ok("Write", err, "with O_APPEND")
	p.holds("Write", "log", "one,two,three,four,", "with O_APPEND after another handle made the file longer")
	_, err = f.Seek(0, io.SeekStart)
	p.ok("Seek", err, "to the start with O_APPEND")
	_, err = f.Write([]byte("five"))
	p.ok("Write", err, "with O_APPEND")
	p.holds("Write", "log", "one,two,three,four,five", "with O_APPEND after a seek to the start")
	p.ok("Truncate", first.Truncate(3), "to 3")
	_, err = f.Write([]byte("!"))
	p.ok("Write", err, "with O_APPEND")
	p.holds("Write", "log", "one!", "with O_APPEND after another handle made the file shorter")
}

func checkWrite(p *probe) {
	f := p.mustMake("file", "")
	data := []byte("hello")
	n, err := f.Write(data)
	p.ok("Write", err, "of 5 bytes")
	if n != 5 {
		p.wrong("Write", "of 5 bytes returned %d", n)
	}
	copy(data, "XXXXX") // the file has bytes of its own
	p.holds("Write", "file", "hello", "and a change of the caller's buffer afterwards")
	p.at(f, 5, "Write", "of 5 bytes to a new file")

	for _, none := range [][]byte{nil, {}} {
		n, err = f.Write(none)
		p.ok("Write", err, "of no bytes")
		if n != 0 {
			p.wrong("Write", "of no bytes returned %d", n)
		}
	}
	_, err = f.Seek(100, io.SeekStart)
	p.ok("Seek", err, "beyond the end")
	_, err = f.Write(nil)
	p.ok("Write", err, "of no bytes beyond the end")
	p.holds("Write", "file", "hello", "of no bytes beyond the end")

	_, err = f.Seek(5, io.SeekStart)
	p.ok("Seek", err, "to the end")
	n, err = f.WriteString(", world")
	p.ok("WriteString", err, "of 7 bytes")
	if n != 7 {
		p.wrong("WriteString", "of 7 bytes returned %d", n)
	}
	p.holds("WriteString", "file", "hello, world", "at the end")
	_, err = f.Seek(4, io.SeekStart)
	p.ok("Seek", err, "into the file")
	_, err = f.Write([]byte("!?"))
	p.ok("Write", err, "into the file")
	p.holds("Write", "file", "hell!? world", "into the file")
}

func checkWriteAt(p *probe) {
	f := p.mustMake("file", "abc")
	n, err := f.WriteAt([]byte("XYZ"), 5000)
	p.ok("WriteAt", err, "beyond the end")
	if n != 3 {
		p.wrong("WriteAt", "of 3 bytes beyond the end returned %d", n)
	}
	p.holds("WriteAt", "file", "abc"+zeros(4997)+"XYZ", "of 3 bytes at 5000 to a file of 3 bytes (the hole reads as zeros)")
	p.at(f, 3, "WriteAt", "(it does not move the offset)")
	_, err = f.WriteAt([]byte("mid"), 510)
	p.ok("WriteAt", err, "into a hole")
	p.holds("WriteAt", "file", "abc"+zeros(507)+"mid"+zeros(4487)+"XYZ", "of 3 bytes at 510, into a hole")
	_, err = f.WriteAt([]byte("A"), 0)
	p.ok("WriteAt", err, "at 0")
	_, err = f.WriteAt([]byte("+"), 5003)
	p.ok("WriteAt", err, "at the end")
	p.holds("WriteAt", "file", "Abc"+zeros(507)+"mid"+zeros(4487)+"XYZ+", "at the end, the rest unharmed")
	n, err = f.WriteAt(nil, 9000)
	p.ok("WriteAt", err, "of no bytes beyond the end")
	if n != 0 {
		p.wrong("WriteAt", "of no bytes returned %d", n)
	}
	p.holds("WriteAt", "file", "Abc"+zeros(507)+"mid"+zeros(4487)+"XYZ+", "of no bytes beyond the end")
	_, err = f.WriteAt([]byte("x"), -1)
	p.fails("WriteAt", err, "at offset -1")
}

func checkRead(p *probe) {
	text := strings.Repeat("0123456789abcdef", 600) // 9,600 bytes
	p.mustMake("file", text)
	for _, size := range []int{1, 7, 512, 4096, 20000} {
		f := p.mustOpen("file", os.O_RDONLY)
		var got []byte
		buf := make([]byte, size)
		for len(got) <= len(text) {
			n, err := f.Read(buf)
			if n < 0 || n > size {
				p.wrong("Read", "into %d bytes returned %d", size, n)
				return
			}
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				p.wrong("Read", "into %d bytes: %v", size, err)
				break
			}
			if n == 0 {
				p.wrong("Read", "into %d bytes at offset %d of %d returned 0 and no error", size, len(got), len(text))
				break
			}
		}
		if string(got) != text {
			p.wrong("Read", "of the whole file in pieces of %d bytes: got %s, want %s", size, short(got), short([]byte(text)))
		}
		n, err := f.Read(buf)
		if n != 0 || err != io.EOF {
			p.wrong("Read", "at the end returned %d and error %v, want 0 and io.EOF", n, err)
		}
		p.at(f, int64(len(text)), "Read", "of the whole file")
		n, err = f.Read(nil)
		if n != 0 || (err != nil && err != io.EOF) {
			p.wrong("Read", "into no bytes returned %d and error %v", n, err)
		}
	}

	// A reader that waits at the end sees what is appended.
	reader := p.mustOpen("file", os.O_RDONLY)
	if _, err := readAll(reader); err != nil {
		p.wrong("Read", "of the whole file: %v", err)
	}
	_, err := p.mustOpen("file", os.O_WRONLY|os.O_APPEND).Write([]byte("more"))
	p.ok("Write", err, "with O_APPEND")
	got, err := readAll(reader)
	if err != nil || string(got) != "more" {
		p.wrong("Read", "after io.EOF and an append by another handle: got %s and error %v, want %q", short(got), err, "more")
	}
}

func checkReadAt(p *probe) {
	text := strings.Repeat("0123456789abcdef", 600)
	f := p.mustMake("file", text)
	size := len(text)
	for _, r := range []struct{ offset, length int }{
		{0, 1}, {0, size}, {1, 511}, {511, 2}, {512, 512}, {4095, 2}, {4000, 5000},
		{size - 1, 1}, {size - 4, 4}, {size - 4, 5}, {size - 4, 600}, {0, size + 1}, {size - 600, 6000},
		{size, 1}, {size + 1, 1}, {size + 9000, 4096},
	} {
		buf := bytes.Repeat([]byte{'?'}, r.length)
		n, err := f.ReadAt(buf, int64(r.offset))
		want := text[min(r.offset, size):min(r.offset+r.length, size)]
		if n != len(want) || n >= 0 && n <= r.length && string(buf[:n]) != want {
			p.wrong("ReadAt", "of %d bytes at %d of %d: got %d bytes %s, want %d bytes %s",
				r.length, r.offset, size, n, short(buf[:min(max(n, 0), r.length)]), len(want), short([]byte(want)))
		}
		switch {
		case len(want) < r.length && err != io.EOF:
			p.wrong("ReadAt", "of %d bytes at %d of %d returned %d and error %v, want io.EOF: the read is short", r.length, r.offset, size, n, err)
		case len(want) == r.length && err != nil && (err != io.EOF || r.offset+r.length != size):
			p.wrong("ReadAt", "of %d bytes at %d of %d: %v", r.length, r.offset, size, err)
		}
	}
	if n, err := f.ReadAt(nil, 3); n != 0 || err != nil {
		p.wrong("ReadAt", "of no bytes returned %d and error %v, want 0 and none", n, err)
	}
	_, err := f.ReadAt(make([]byte, 1), -1)
	p.fails("ReadAt", err, "at offset -1")
	p.at(f, int64(size), "ReadAt", "(it does not move the offset)")
}

func checkSeek(p *probe) {
	f := p.mustMake("file", "0123456789")
	for _, s := range []struct {
		offset int64
		whence int
		want   int64
	}{
		{0, io.SeekStart, 0}, {4, io.SeekStart, 4}, {3, io.SeekCurrent, 7}, {-7, io.SeekCurrent, 0},
		{0, io.SeekEnd, 10}, {-4, io.SeekEnd, 6}, {20, io.SeekEnd, 30}, {1 << 33, io.SeekStart, 1 << 33}, {6, io.SeekStart, 6},
	} {
		got, err := f.Seek(s.offset, s.whence)
		if err != nil || got != s.want {
			p.wrong("Seek", "by %d with whence %d: got %d and error %v, want %d", s.offset, s.whence, got, err, s.want)
		}
	}
	_, err := f.Seek(-1, io.SeekStart)
	p.fails("Seek", err, "to -1")
	_, err = f.Seek(-11, io.SeekEnd)
	p.fails("Seek", err, "before the start, from the end")
	_, err = f.Seek(0, 99)
	p.fails("Seek", err, "with whence 99")
	p.at(f, 6, "Seek", "that failed (the offset stays)")
	buf := make([]byte, 1)
	if n, err := f.Read(buf); n != 1 || buf[0] != '6' {
		p.wrong("Read", "of 1 byte at 6 after a seek: got %q and error %v, want %q", buf[:n], err, "6")
	}
	_, err = f.Seek(12, io.SeekStart)
	p.ok("Seek", err, "beyond the end")
	p.holds("Seek", "file", "0123456789", "beyond the end (the size stays)")
	if n, err := f.Read(buf); n != 0 || err != io.EOF {
		p.wrong("Read", "beyond the end returned %d and error %v, want 0 and io.EOF", n, err)
	}
	_, err = f.Write([]byte("x"))
	p.ok("Write", err, "beyond the end")
	p.holds("Write", "file", "0123456789\x00\x00x", "after a seek beyond the end (the hole reads as zeros)")
}

func checkTruncate(p *probe) {
	f := p.mustMake("file", strings.Repeat("x", 5000))
	p.ok("Truncate", f.Truncate(700), "to make it shorter")
	p.holds("Truncate", "file", strings.Repeat("x", 700), "of 5000 bytes to 700")
	p.at(f, 5000, "Truncate", "(it does not move the offset)")
	p.ok("Truncate", f.Truncate(6000), "to make it longer")
	p.holds("Truncate", "file", strings.Repeat("x", 700)+zeros(5300), "to 700 and then to 6000 (cut bytes do not come back)")
	p.ok("Truncate", f.Truncate(6000), "to the size it has")
	p.ok("Truncate", f.Truncate(700), "to make it shorter again")
	_, err := f.Write([]byte("y"))
	p.ok("Write", err, "at the old offset, beyond the new end")
	p.holds("Write", "file", strings.Repeat("x", 700)+zeros(4300)+"y", "at the old offset, after a truncate before it")
	p.ok("Truncate", f.Truncate(0), "to 0")
	p.holds("Truncate", "file", "", "to 0")
	p.fails("Truncate", f.Truncate(-1), "to -1")
}

func checkAccess(p *probe) {
	p.mustMake("file", "bytes")
	r := p.mustOpen("file", os.O_RDONLY)
	_, err := r.Write([]byte("x"))
	p.fails("Write", err, "with O_RDONLY")
	_, err = r.WriteAt([]byte("x"), 0)
	p.fails("WriteAt", err, "with O_RDONLY")
	_, err = r.WriteString("x")
	p.fails("WriteString", err, "with O_RDONLY")
	p.fails("Truncate", r.Truncate(0), "with O_RDONLY")
	p.holds("Write", "file", "bytes", "through a handle opened with O_RDONLY")
	opened, err := p.fs.Open(p.path("file"))
	p.mustOK("Open", err, "of a file")
	p.opened = append(p.opened, opened)
	_, err = opened.WriteAt([]byte("x"), 0)
	p.fails("WriteAt", err, "through what Open returned")
	p.holds("WriteAt", "file", "bytes", "through what Open returned")

	w := p.mustOpen("file", os.O_WRONLY)
	buf := make([]byte, 2)
	if n, err := w.Read(buf); err == nil || err == io.EOF || n != 0 {
		p.wrong("Read", "with O_WRONLY returned %d and error %v, want a refusal", n, err)
	}
	if n, err := w.ReadAt(buf, 0); err == nil || err == io.EOF || n != 0 {
		p.wrong("ReadAt", "with O_WRONLY returned %d and error %v, want a refusal", n, err)
	}
	_, err = w.WriteAt([]byte("B"), 0)
	p.ok("WriteAt", err, "with O_WRONLY")
	p.holds("WriteAt", "file", "Bytes", "with O_WRONLY")
}

func checkHandles(p *probe) {
	a := p.mustMake("file", "aaaa")
	b := p.mustOpen("file", os.O_RDWR)
	_, err := b.Write([]byte("bb"))
	p.ok("Write", err, "through a second handle")
	p.at(a, 4, "Write", "through another handle (each has an offset of its own)")
	buf := make([]byte, 4)
	if _, err := a.ReadAt(buf, 0); err != nil && err != io.EOF || string(buf) != "bbaa" {
		p.wrong("ReadAt", "of what another handle wrote: got %q and error %v, want %q", buf, err, "bbaa")
	}
	p.ok("Truncate", b.Truncate(2), "through a second handle")
	info, err := a.Stat()
	if err != nil {
		p.wrong("Stat", "of a handle after another made the file shorter: %v", err)
	} else if info.Size() != 2 {
		p.wrong("Stat", "of a handle after another made the file shorter: size %d, want 2", info.Size())
	}
	p.ok("Close", b.Close(), "of a second handle")
	_, err = a.WriteAt([]byte("c"), 0)
	p.ok("WriteAt", err, "after another handle was closed")
	p.holds("WriteAt", "file", "cb", "after another handle was closed")
}

func checkClosed(p *probe) {
	f := p.mustMake("file", "bytes")
	p.ok("Close", f.Close(), "of a file")
	buf := make([]byte, 2)
	n, err := f.Read(buf)
	if err == io.EOF || n != 0 {
		p.wrong("Read", "of a closed handle returned %d and error %v, want another error", n, err)
	}
	p.fails("Read", err, "of a closed handle")
	n, err = f.ReadAt(buf, 0)
	if err == io.EOF || n != 0 {
		p.wrong("ReadAt", "of a closed handle returned %d and error %v, want another error", n, err)
	}
	p.fails("ReadAt", err, "of a closed handle")
	_, err = f.Write([]byte("x"))
	p.fails("Write", err, "to a closed handle")
	_, err = f.WriteAt([]byte("x"), 0)
	p.fails("WriteAt", err, "to a closed handle")
	_, err = f.WriteString("x")
	p.fails("WriteString", err, "to a closed handle")
	_, err = f.Seek(0, io.SeekStart)
	p.fails("Seek", err, "of a closed handle")
	p.fails("Truncate", f.Truncate(0), "of a closed handle")
	p.fails("Sync", f.Sync(), "of a closed handle")
	_, err = f.Stat()
	p.fails("Stat", err, "of a closed handle")
	if d, ok := f.(dataSyncer); ok {
		p.fails("SyncData", d.SyncData(), "of a closed handle")
	}
	if a, ok := f.(preallocator); ok {
		p.fails("Preallocate", a.Preallocate(0, 4096), "of a closed handle")
	}
	p.fails("Close", f.Close(), "of a closed handle")
	p.holds("Close", "file", "bytes", "and then writes to the closed handle")
}

// checkRandom compares some hundred operations, drawn from a fixed seed, with
// the same on a slice of bytes.
func checkRandom(p *probe) {
	const most = 3 * 4096
	rng := rand.New(rand.NewPCG(1, 2))
	f := p.mustMake("file", "")
	var model []byte
	grow := func(size int) {
		if size > len(model) {
			model = append(model, make([]byte, size-len(model))...)
		}
	}
	offset := func() int { // near a seam as often as not
		if rng.IntN(2) == 0 {
			return rng.IntN(most)
		}
		return max(0, 512*rng.IntN(most/512)+rng.IntN(5)-2)
	}
	fill := byte(0)
	for step := range 400 {
		switch rng.IntN(8) {
		case 0: // a change of size
			size := offset()
			if !p.ok("Truncate", f.Truncate(int64(size)), "to %d at step %d", size, step) {
				return
			}
			grow(size)
			model = model[:size]
		case 1, 2, 3: // a write
			fill++
			data := bytes.Repeat([]byte{fill}, 1+rng.IntN(1500))
			at := offset()
			if _, err := f.WriteAt(data, int64(at)); !p.ok("WriteAt", err, "of %d bytes at %d, step %d", len(data), at, step) {
				return
			}
			grow(at + len(data))
			copy(model[at:], data)
		default:
			at := offset()
			buf := make([]byte, 1+rng.IntN(3000))
			n, err := f.ReadAt(buf, int64(at))
			want := model[min(at, len(model)):min(at+len(buf), len(model))]
			if n != len(want) || !bytes.Equal(buf[:n], want) || err != nil && err != io.EOF {
				p.wrong("ReadAt", "of %d bytes at %d, after %d operations drawn from a fixed seed: %d bytes and error %v, want %d bytes%s",
					len(buf), at, step, n, err, len(want), firstDifference(buf[:max(n, 0)], want))
				return
			}
		}
	}
	p.holds("WriteAt", "file", string(model), "and Truncate, several hundred times from a fixed seed")
}

func firstDifference(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("; the first that differs is number %d", i)
		}
	}
	return ""
}

// checkConcurrentReadAt reads one handle from several goroutines, while another
// handle appends.
func checkConcurrentReadAt(p *probe) {
	const blocks, blockSize, readers, rounds = 64, 700, 4, 300
	var text []byte
	for i := range blocks {
		text = append(text, bytes.Repeat([]byte{byte('A' + i%26)}, blockSize)...)
	}
	f := p.mustMake("file", string(text))
	writer := p.mustOpen("file", os.O_WRONLY|os.O_APPEND)

	var wg sync.WaitGroup
	bad := make([]bool, readers)
	for r := range readers {
		wg.Go(func() {
			buf := make([]byte, blockSize)
			for i := range rounds {
				at := (i*7 + r*13) % blocks * blockSize
				n, err := f.ReadAt(buf, int64(at))
				if n != blockSize || err != nil || !bytes.Equal(buf, text[at:at+blockSize]) {
					bad[r] = true
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if _, err := writer.Write([]byte("appended")); err != nil {
				return // the check of appending says so
			}
		}
	})
	wg.Wait()
	for _, b := range bad {
		if b {
			p.wrong("ReadAt", "by %d goroutines at once on one handle: wrong bytes, or an error", readers)
			break
		}
	}
	p.at(f, int64(len(text)), "ReadAt", "by several goroutines (it does not move the offset)")
}

// The optional methods of a file.
type (
	dataSyncer   interface{ SyncData() error }
	preallocator interface {
		Preallocate(offset, length int64) error
	}
)

func checkSync(p *probe) {
	f := p.mustMake("file", "bytes")
	p.ok("Sync", f.Sync(), "of a file with new bytes")
	p.ok("Sync", f.Sync(), "of a file with nothing to write")
	p.holds("Sync", "file", "bytes", "twice")
	_, err := f.Write([]byte(", more"))
	p.ok("Write", err, "after a sync")
	p.ok("Sync", f.Sync(), "after a write at the offset that an earlier sync left")
	p.holds("Sync", "file", "bytes, more", "and a write behind it")
	p.ok("Remove", p.fs.Remove(p.path("file")), "of an open file")
	p.ok("Sync", f.Sync(), "of a removed file that is open")
}

func checkSyncData(p *probe) {
	f := p.mustMake("file", "bytes")
	d, ok := f.(dataSyncer)
	if !ok {
		return
	}
	err := d.SyncData()
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	p.ok("SyncData", err, "of a file with new bytes")
	p.ok("SyncData", d.SyncData(), "of a file with nothing to write")
	_, err = f.Write([]byte(", more"))
	p.ok("Write", err, "after a data-only sync")
	p.ok("SyncData", d.SyncData(), "after a second write")
	p.holds("SyncData", "file", "bytes, more", "and a write between")
}

func checkPreallocate(p *probe) {
	f := p.mustMake("file", "bytes")
	a, ok := f.(preallocator)
	if !ok {
		return
	}
	err := a.Preallocate(0, 9000)
	if errors.Is(err, errors.ErrUnsupported) {
		p.holds("Preallocate", "file", "bytes", "answered ErrUnsupported")
		return
	}
	p.mustOK("Preallocate", err, "of 9000 bytes from 0")
	want := "bytes" + zeros(8995)
	p.holds("Preallocate", "file", want, "of 9000 bytes from 0 in a file of 5 (bytes stay, the rest reads as zeros)")
	p.at(f, 5, "Preallocate", "(it does not move the offset)")
	p.ok("Preallocate", a.Preallocate(100, 200), "inside the file")
	p.holds("Preallocate", "file", want, "inside the file (it stays as it is)")
	p.ok("Preallocate", a.Preallocate(10000, 1000), "beyond the end")
	want += zeros(2000)
	p.holds("Preallocate", "file", want, "of 1000 bytes from 10000 in a file of 9000")
	p.fails("Preallocate", a.Preallocate(-1, 10), "from -1")
	p.fails("Preallocate", a.Preallocate(0, -10), "of -10 bytes")
	p.holds("Preallocate", "file", want, "refused")
	_, err = f.WriteAt([]byte("x"), 8000)
	p.ok("WriteAt", err, "into preallocated space")
	p.holds("WriteAt", "file", want[:8000]+"x"+want[8001:], "into preallocated space")
	if r, ok := p.mustOpen("file", os.O_RDONLY).(preallocator); ok {
		p.fails("Preallocate", r.Preallocate(0, 1<<20), "with O_RDONLY")
	}
}

func zeros(n int) string { return strings.Repeat("\x00", n) }
