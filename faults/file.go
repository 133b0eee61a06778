package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"

	"github.com/spf13/afero"
)

// file is an open file or directory.
type file struct {
	fs      *FS
	base    afero.File
	writes  bool // opened for writing
	appends bool // every write goes to the end

	// Guarded by fs.mu:
	path       string // where it is now, "" once the name is gone
	class      int    // of that path
	closed     bool
	directory  answer
	next, prev *file // the ring of open handles
}

// answer is a question that is asked once.
type answer uint8

const (
	unknown answer = iota
	no
	yes
)

func (h *file) linkLocked() {
	if h.fs.handles == nil {
		h.next, h.prev = h, h
		h.fs.handles = h
		return
	}
	first := h.fs.handles
	h.next, h.prev = first, first.prev
	first.prev.next = h
	first.prev = h
}

func (h *file) unlinkLocked() {
	h.prev.next, h.next.prev = h.next, h.prev
	if h.fs.handles == h {
		h.fs.handles = h.next
	}
	if h.next == h {
		h.fs.handles = nil
	}
	h.next, h.prev = nil, nil
}

// openLocked yields the open handles, oldest first.
func (f *FS) openLocked() iter.Seq[*file] {
	return func(yield func(*file) bool) {
		first := f.handles
		for h := first; h != nil; {
			if !yield(h) {
				return
			}
			if h = h.next; h == first {
				return
			}
		}
	}
}

// at is what an operation finds when it begins.
type at struct {
	path string
	due  []*armed
	bad  []place // of this file
}

// plain reports that nothing may happen to the operation.
func (a at) plain() bool { return a.due == nil && a.bad == nil }

// begin counts an operation. On a closed handle it does not: that never reaches a
// disk.
func (h *file) begin(op OpKind) (now at) {
	f := h.fs
	if f.options.Before != nil {
		f.options.Before(op, h.base.Name())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.closed {
		return at{}
	}
	class := h.class
	if op == SyncDir || op == Readdir {
		class = f.numbers[DirClass]
	}
	now.due = f.countLocked(op, class, h.path)
	if len(f.bad) > 0 && f.watched[op] {
		for _, p := range f.bad {
			if p.path == h.path {
				now.bad = append(now.bad, p)
			}
		}
	}
	if !now.plain() {
		now.path = h.path
	}
	return now
}

// fails reports how an operation fails that can only be slow or fail.
func (h *file) fails(op OpKind) (err error) {
	if now := h.begin(op); now.due != nil {
		h.fs.try(now.due, h.Name(), func(a *armed) string {
			err = pathError(op, h.Name(), a.Errno)
			return ""
		})
	}
	return err
}

func (h *file) Name() string { return h.base.Name() }

func (h *file) Seek(offset int64, whence int) (int64, error) { return h.base.Seek(offset, whence) }

func (h *file) Close() error {
	failed := h.fails(Close)
	h.fs.mu.Lock()
	if !h.closed {
		h.closed = true
		h.unlinkLocked()
	}
	h.fs.mu.Unlock()
	if err := h.base.Close(); failed == nil {
		return err
	}
	return failed // the handle is gone all the same, as in a real system
}

func (h *file) Stat() (os.FileInfo, error) {
	if err := h.fails(Stat); err != nil {
		return nil, err
	}
	return h.base.Stat()
}

func (h *file) Readdir(count int) ([]os.FileInfo, error) {
	if err := h.fails(Readdir); err != nil {
		return nil, err
	}
	return h.base.Readdir(count)
}

func (h *file) Readdirnames(count int) ([]string, error) {
	if err := h.fails(Readdir); err != nil {
		return nil, err
	}
	return h.base.Readdirnames(count)
}

func (h *file) Truncate(size int64) error {
	if err := h.fails(Truncate); err != nil {
		return err
	}
	if err := h.base.Truncate(size); err != nil {
		return err
	}
	if h.fs.watched[Truncate] {
		h.fs.mu.Lock()
		h.fs.cutLocked(h.path, size)
		h.fs.mu.Unlock()
	}
	return nil
}

func (h *file) Preallocate(offset, length int64) (err error) {
	base, ok := h.base.(preallocator)
	if !ok {
		return errors.ErrUnsupported
	}
	now := h.begin(Preallocate)
	if now.due != nil && h.fs.try(now.due, h.Name(), func(a *armed) string {
		errno := a.Errno
		if a.Kind == NoSpace {
			_, why := h.room(a, now.path, offset, length, true)
			if why != "" {
				return why
			}
			errno = ENOSPC
		}
		err = pathError(Preallocate, h.Name(), errno)
		return ""
	}) {
		return err
	}
	return base.Preallocate(offset, length)
}

func (h *file) Sync() error {
	if h.isDirectory() {
		return h.sync(SyncDir, h.base.Sync)
	}
	return h.sync(Sync, h.base.Sync)
}

func (h *file) SyncData() error {
	base, ok := h.base.(dataSyncer)
	if !ok {
		return errors.ErrUnsupported
	}
	return h.sync(SyncData, base.SyncData)
}

func (h *file) sync(op OpKind, really func() error) (err error) {
	now := h.begin(op)
	if now.due != nil && h.fs.try(now.due, h.Name(), func(a *armed) (why string) {
		why, err = h.fs.syncFails(a, op, h.Name(), now.path, h.base)
		return why
	}) {
		return err
	}
	return really()
}

// FailSync passes, uncounted, like that of the file system.
func (h *file) FailSync(dataOnly bool, mode string) error {
	if s, ok := h.base.(fileSyncFailer); ok {
		return s.FailSync(dataOnly, mode)
	}
	h.fs.mu.Lock()
	at := h.path
	h.fs.mu.Unlock()
	if at == "" {
		return errors.ErrUnsupported
	}
	return h.fs.FailSync(at, dataOnly, mode)
}

// isDirectory asks the file system below at most once, and only about a handle
// that does not write.
func (h *file) isDirectory() bool {
	if h.writes {
		return false
	}
	h.fs.mu.Lock()
	known := h.directory
	h.fs.mu.Unlock()
	if known == unknown {
		info, err := h.base.Stat()
		if err != nil {
			return false
		}
		known = no
		if info.IsDir() {
			known = yes
		}
		h.fs.mu.Lock()
		h.directory = known
		h.fs.mu.Unlock()
	}
	return known == yes
}

func (h *file) Read(p []byte) (int, error) {
	now := h.begin(Read)
	if now.plain() {
		return h.base.Read(p)
	}
	return h.read(now, Read, p, 0)
}

func (h *file) ReadAt(p []byte, off int64) (int, error) {
	now := h.begin(ReadAt)
	if now.plain() {
		return h.base.ReadAt(p, off)
	}
	return h.read(now, ReadAt, p, off)
}

// read is Read and ReadAt when something may happen. off is ReadAt's.
func (h *file) read(now at, op OpKind, p []byte, off int64) (n int, err error) {
	if op == Read {
		if off, err = h.base.Seek(0, io.SeekCurrent); err != nil {
			return h.base.Read(p) // it fails without us
		}
	} else if off < 0 {
		return h.base.ReadAt(p, off) // so does that
	}
	done := false
	really := func(b []byte) {
		done = true
		n, err = h.readBad(now.bad, op, b, off)
	}
	h.fs.try(now.due, h.Name(), func(a *armed) string {
		if done {
			return "another fault was tried on the operation"
		}
		switch a.Kind {
		case Fail:
			done = true
			n, err = 0, pathError(op, h.Name(), a.Errno)
			start := off - off%h.fs.options.Sector
			h.spoil(a, place{path: now.path, from: start, to: start + h.fs.options.Sector})
		case Short:
			if a.N >= int64(len(p)) {
				return fmt.Sprintf("the read asked for %d bytes only", len(p))
			}
			really(p[:a.N])
			if err != nil {
				return "the read ended before that: " + err.Error()
			}
			if op == ReadAt {
				err = pathError(op, h.Name(), a.Errno)
			}
		case Flip:
			really(p)
			if n == 0 {
				return "nothing was read"
			}
			bit := a.N % (int64(n) * 8)
			p[bit/8] ^= 1 << (bit % 8)
			h.spoil(a, place{path: now.path, from: off + bit/8, to: off + bit/8 + 1, bit: bit % 8})
		case Zero:
			really(p)
			if n == 0 {
				return "nothing was read"
			}
			from, to := h.sector(a.N, off, n)
			clear(p[max(from-off, 0):min(to-off, int64(n))])
			h.spoil(a, place{path: now.path, from: from, to: to})
		case Misdirect:
			if off+a.N < 0 && a.N < 0 {
				return "the bytes would come from before the start of the file"
			}
			really(p)
			if n == 0 {
				return "nothing was read"
			}
			// As many bytes as there would have been, zeros where the file ends.
			clear(p[:n])
			if from := off + a.N; from >= 0 { // else it overflowed: far behind the end
				if _, err := h.base.ReadAt(p[:n], from); err != nil && err != io.EOF {
					clear(p[:n])
				}
			}
		}
		return ""
	})
	if !done {
		really(p)
	}
	return n, err
}

// readBad reads around and through bad sectors.
func (h *file) readBad(bad []place, op OpKind, p []byte, off int64) (n int, err error) {
	end := off + int64(len(p))
	var fails *place // the first one that fails in the way
	for i := range bad {
		b := &bad[i]
		if b.kind == Fail && b.from < end && off < b.to && (fails == nil || b.from < fails.from) {
			fails = b
		}
	}
	if fails != nil {
		end = max(fails.from, off)
	}
	switch part := p[:end-off]; {
	case fails != nil && len(part) == 0:
		return 0, pathError(op, h.Name(), fails.errno)
	case op == Read:
		n, err = h.base.Read(part)
	default:
		n, err = h.base.ReadAt(part, off)
		if fails != nil && err == nil {
			err = pathError(op, h.Name(), fails.errno)
		}
	}
	for _, b := range bad {
		from, to := max(b.from-off, 0), min(b.to-off, int64(n))
		switch {
		case from >= to:
		case b.kind == Zero:
			clear(p[from:to])
		case b.kind == Flip:
			p[from] ^= 1 << b.bit
		}
	}
	return n, err
}

// spoil makes a place bad for later reads, if the fault lasts there.
func (h *file) spoil(a *armed, p place) {
	if a.Lasting != Here || p.path == "" {
		return
	}
	p.kind, p.errno = a.Kind, a.Errno
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.fs.bad = append(h.fs.bad, p)
}

// sector returns where the i-th of the sectors begins and ends that n bytes from
// off touch, modulo their number. n is at least 1.
func (h *file) sector(i, off int64, n int) (from, to int64) {
	size := h.fs.options.Sector
	first, last := off/size, (off+int64(n)-1)/size
	from = (first + i%(last-first+1)) * size
	return from, from + size
}

func (h *file) Write(p []byte) (int, error) {
	now := h.begin(Write)
	if now.plain() {
		return h.base.Write(p)
	}
	return h.write(now, Write, p, 0)
}

func (h *file) WriteString(s string) (int, error) {
	now := h.begin(Write)
	if now.plain() {
		return h.base.WriteString(s)
	}
	return h.write(now, Write, []byte(s), 0)
}

func (h *file) WriteAt(p []byte, off int64) (int, error) {
	now := h.begin(WriteAt)
	if now.plain() {
		return h.base.WriteAt(p, off)
	}
	return h.write(now, WriteAt, p, off)
}

// write is Write and WriteAt when something may happen. off is WriteAt's.
func (h *file) write(now at, op OpKind, p []byte, off int64) (n int, err error) {
	really := func(b []byte) (int, error) {
		if op == Write {
			return h.base.Write(b)
		}
		return h.base.WriteAt(b, off)
	}
	place, err := h.place(op, off)
	if err != nil || op == WriteAt && h.appends || place.off < 0 || place.off > math.MaxInt64-int64(len(p)) {
		return really(p) // it fails without us
	}
	if !h.fs.try(now.due, h.Name(), func(a *armed) (why string) {
		if len(p) == 0 && a.Kind != Fail {
			return "nothing was written"
		}
		switch a.Kind {
		case Fail:
			n, err = 0, pathError(op, h.Name(), a.Errno)
		case Short:
			n, err = h.some(op, p[:min(a.N, int64(len(p)))], a.Errno, really)
		case NoSpace:
			room, why := h.room(a, now.path, place.off, int64(len(p)), false)
			if why != "" {
				return why
			}
			n, err = h.some(op, p[:room], ENOSPC, really)
		case Flip:
			q := bytes.Clone(p)
			bit := a.N % (int64(len(q)) * 8)
			q[bit/8] ^= 1 << (bit % 8)
			n, err = really(q)
		case Zero:
			q := bytes.Clone(p)
			from, to := h.sector(a.N, place.off, len(q))
			clear(q[max(from-place.off, 0):min(to-place.off, int64(len(q)))])
			n, err = really(q)
		case Stale:
			from, to := h.sector(a.N, place.off, len(p))
			from, to = max(from-place.off, 0), min(to-place.off, int64(len(p)))
			n, err = h.put(op, place, p, part{0, from, 0}, part{to, int64(len(p)), to})
		case Lose:
			n, err = h.put(op, place, p)
		case Misdirect:
			if h.appends {
				return "cannot happen here: the handle only appends"
			}
			if place.off+a.N < 0 && a.N < 0 {
				return "the bytes would go before the start of the file"
			}
			end := max(place.size, place.off+int64(len(p)))
			// Relative to where they belong; what would lie behind the end goes nowhere.
			fit := min(int64(len(p)), end-place.off-a.N)
			if place.off+a.N < 0 || fit <= 0 {
				n, err = h.put(op, place, p)
			} else {
				n, err = h.put(op, place, p, part{0, fit, a.N})
			}
		}
		return ""
	}) {
		n, err = really(p)
	}
	if now.bad != nil && n > 0 {
		h.fs.mu.Lock()
		h.fs.mendLocked(now.path, place.off, place.off+int64(n))
		h.fs.mu.Unlock()
	}
	return n, err
}

// where is the place that a write goes to.
type where struct{ off, size int64 } // where it begins; the file's size before it

func (h *file) place(op OpKind, off int64) (w where, err error) {
	if !h.writes {
		return w, errors.New("opened for reading")
	}
	info, err := h.base.Stat()
	if err != nil {
		return w, err
	}
	switch {
	case op == WriteAt:
		w.off = off
	case h.appends:
		w.off = info.Size()
	default:
		if w.off, err = h.base.Seek(0, io.SeekCurrent); err != nil {
			return w, err
		}
	}
	w.size = info.Size()
	return w, nil
}

// some writes the first bytes of a write, and then the error comes.
func (h *file) some(op OpKind, p []byte, errno Errno, really func([]byte) (int, error)) (n int, err error) {
	if len(p) > 0 {
		n, err = really(p)
	}
	if err == nil {
		err = pathError(op, h.Name(), errno)
	}
	return n, err
}

// part is bytes from and before to of a write, which go to off, counted from
// where the write begins.
type part struct{ from, to, off int64 }

// put writes parts of a write, and makes the caller believe that it was all: the
// size grows and the offset moves as if it were.
func (h *file) put(op OpKind, w where, p []byte, parts ...part) (int, error) {
	end := w.off + int64(len(p))
	if !h.appends && w.size < end {
		if err := h.base.Truncate(end); err != nil {
			return 0, err
		}
	}
	for _, part := range parts {
		b := p[part.from:part.to]
		if len(b) == 0 {
			continue
		}
		var err error
		if h.appends { // in order, so whatever is missing before it is a hole
			if part.off > 0 {
				err = h.base.Truncate(w.off + part.off)
			}
			if err == nil {
				_, err = h.base.Write(b)
			}
		} else {
			_, err = h.base.WriteAt(b, w.off+part.off)
		}
		if err != nil {
			return 0, err
		}
	}
	if h.appends {
		if err := h.base.Truncate(end); err != nil {
			return 0, err
		}
	}
	if op == Write {
		if _, err := h.base.Seek(end, io.SeekStart); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// room takes the room that length bytes at off need from the budget. It answers
// why nothing happens, or "" and how many of the bytes fit; of a whole, none do
// unless all do. A hole needs no room.
func (h *file) room(a *armed, path string, off, length int64, whole bool) (fit int64, why string) {
	info, err := h.base.Stat()
	if err != nil {
		return 0, err.Error()
	}
	grows := max(off+length-max(info.Size(), off), 0)
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if grows <= a.left {
		a.left -= grows
		return 0, fmt.Sprintf("there was room: %d of %d bytes are used", a.N-a.left, a.N)
	}
	if whole && !a.Delayed {
		return 0, ""
	}
	fit = length - (grows - a.left)
	a.left = 0
	if a.Delayed {
		if path != "" && !slices.Contains(a.doomed, path) {
			a.doomed = append(a.doomed, path)
		}
		return 0, "the room was used up, but the file was not synced after that"
	}
	return fit, ""
}
