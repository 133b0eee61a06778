package simfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// File is an open file or directory. It keeps working when its name goes.
type File struct {
	f    *FS
	ino  int32
	name string // as opened
	path string // clean
	flag int

	off    int64    // FS.mu
	closed bool     // FS.mu
	names  []string // FS.mu: of a directory, what Readdirnames has not returned
	listed bool     // FS.mu
	told   uint32   // FS.mu: failed syncs of the inode that this handle knows of
}

func (f *FS) handleLocked(ino int32, name, p string, flag int) *File {
	h := &File{f: f, ino: ino, name: name, path: p, flag: flag, told: f.wbErr[ino]}
	if f.files == nil {
		f.files = f.few[:0]
	}
	f.files = append(f.files, h)
	return h
}

func (f *FS) closeLocked(h *File) {
	h.closed = true
	if i := slices.Index(f.files, h); i >= 0 {
		f.files = slices.Delete(f.files, i, i+1)
	}
}

// lock starts a call: it checks that the handle can be used, and leaves FS.mu held
// unless it fails.
func (h *File) lock() error {
	h.f.mu.Lock()
	h.f.d.call++
	err := h.f.downLocked()
	if err == nil && h.closed {
		err = fs.ErrClosed
	}
	if err != nil {
		h.f.mu.Unlock()
	}
	return err
}

func (h *File) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: op, Path: h.name, Err: err}
}

func (h *File) dir() bool      { return h.f.d.inodes[h.ino].dir }
func (h *File) readable() bool { return h.flag&os.O_WRONLY == 0 }
func (h *File) writable() bool { return h.flag&(os.O_WRONLY|os.O_RDWR) != 0 }

// Name returns the name that the file was opened by.
func (h *File) Name() string { return h.name }

// Close closes the handle. It makes nothing durable.
func (h *File) Close() error {
	if err := h.lock(); err != nil {
		return h.fail("close", err)
	}
	defer h.f.mu.Unlock()
	h.f.closeLocked(h)
	return nil
}

// Read reads from the handle's offset. It may return less than it could: it stops
// before the first undecided cell once it has something.
func (h *File) Read(p []byte) (int, error) {
	if err := h.lock(); err != nil {
		return 0, h.fail("read", err)
	}
	defer h.f.mu.Unlock()
	n, err := h.readLocked(p, h.off, true)
	h.off += int64(n)
	return n, h.fail("read", err)
}

// ReadAt reads at off, deciding all that it reads. It returns io.EOF where the
// file ends before p is full.
func (h *File) ReadAt(p []byte, off int64) (int, error) {
	if err := h.lock(); err != nil {
		return 0, h.fail("read", err)
	}
	defer h.f.mu.Unlock()
	if off < 0 {
		return 0, h.fail("readat", errors.New("negative offset"))
	}
	n, err := h.readLocked(p, off, false)
	return n, h.fail("read", err)
}

func (h *File) readLocked(p []byte, off int64, lazy bool) (int, error) {
	if h.dir() {
		return 0, syscall.EISDIR
	}
	if !h.readable() {
		return 0, syscall.EBADF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, end := h.f.d.read(h.ino, p, off, lazy, h.path)
	if n < len(p) && end && (n == 0 || !lazy) {
		return n, io.EOF
	}
	return n, nil
}

// Write writes at the handle's offset, or at the end with O_APPEND.
func (h *File) Write(p []byte) (int, error) { return h.write("write", p, -1) }

// WriteAt writes at off.
func (h *File) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, h.fail("writeat", errors.New("negative offset"))
	}
	if h.flag&os.O_APPEND != 0 {
		return 0, h.fail("writeat", errors.New("simfs: invalid use of WriteAt on file opened with O_APPEND"))
	}
	return h.write("write", p, off)
}

// WriteString writes a string as Write does.
func (h *File) WriteString(s string) (int, error) { return h.Write([]byte(s)) }

// write puts p at off; a negative off is the handle's own.
func (h *File) write(what string, p []byte, off int64) (int, error) {
	f := h.f
	f.opMu.Lock()
	defer f.opMu.Unlock()
	if err := h.lock(); err != nil {
		return 0, h.fail(what, err)
	}
	own := off < 0
	var err error
	switch {
	case h.dir() || !h.writable():
		err = syscall.EBADF
	case own && h.flag&os.O_APPEND != 0:
		off = f.d.sizeNow(h.ino, h.path)
	case own:
		off = h.off
	}
	if err == nil && off > f.maxSize()-int64(len(p)) {
		err = syscall.EFBIG
	}
	observed := f.observe != nil
	f.mu.Unlock()
	if err != nil || len(p) == 0 {
		return 0, h.fail(what, err)
	}
	op := Op{Kind: OpWrite, Path: h.name, Offset: off, Length: int64(len(p)), Inode: h.ino, Data: p}
	var t *torn
	if observed {
		t = &torn{ino: h.ino, off: off, b: p, path: h.path}
	}
	if err := f.begin(op, t); err != nil {
		return 0, h.fail(what, err)
	}
	f.d.write(h.ino, off, p, h.path)
	if own {
		h.off = off + int64(len(p))
	}
	f.end(nil)
	return len(p), nil
}

// Seek moves the handle's offset. Of a directory it can only go back to the start.
func (h *File) Seek(offset int64, whence int) (int64, error) {
	if err := h.lock(); err != nil {
		return 0, h.fail("seek", err)
	}
	defer h.f.mu.Unlock()
	if h.dir() {
		if offset != 0 || whence != io.SeekStart {
			return 0, h.fail("seek", syscall.EINVAL)
		}
		h.names, h.listed = nil, false
		return 0, nil
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += h.off
	case io.SeekEnd:
		offset += h.f.d.sizeNow(h.ino, h.path)
	default:
		return 0, h.fail("seek", syscall.EINVAL)
	}
	if offset < 0 {
		return 0, h.fail("seek", syscall.EINVAL)
	}
	h.off = offset
	return offset, nil
}

// Stat describes the file.
func (h *File) Stat() (fs.FileInfo, error) {
	if err := h.lock(); err != nil {
		return nil, h.fail("stat", err)
	}
	defer h.f.mu.Unlock()
	return h.f.infoLocked(h.ino, h.path), nil
}

// Truncate sets the size; bytes that it adds read as zero.
func (h *File) Truncate(size int64) error {
	return h.resize("truncate", Op{Kind: OpTruncate, Path: h.name, Length: size}, size, func(int64) (int64, reason) {
		return size, whyTruncate
	})
}

// Preallocate reserves space for length bytes at offset, which read as zero where
// nothing was written. The size grows to cover them.
func (h *File) Preallocate(offset, length int64) error {
	if offset < 0 || length <= 0 {
		return h.fail("fallocate", syscall.EINVAL)
	}
	op := Op{Kind: OpPreallocate, Path: h.name, Offset: offset, Length: length}
	return h.resize("fallocate", op, offset+length, func(size int64) (int64, reason) {
		return max(size, offset+length), whyPreallocate
	})
}

func (h *File) resize(what string, op Op, size int64, to func(size int64) (int64, reason)) error {
	f := h.f
	f.opMu.Lock()
	defer f.opMu.Unlock()
	if err := h.lock(); err != nil {
		return h.fail(what, err)
	}
	var err error
	switch {
	case h.dir() || !h.writable() || size < 0:
		err = syscall.EINVAL
	case size > f.maxSize():
		err = syscall.EFBIG
	}
	f.mu.Unlock()
	if err != nil {
		return h.fail(what, err)
	}
	op.Inode = h.ino
	if err := f.begin(op, nil); err != nil {
		return h.fail(what, err)
	}
	n, why := to(f.d.sizeNow(h.ino, h.path))
	f.d.truncate(h.ino, n, why, h.path)
	return f.end(nil)
}

// Sync makes the file's cells and size durable; of a directory, its names.
func (h *File) Sync() error { return h.sync(OpSync) }

// SyncData makes the file's cells durable, and the size if it grew; of a
// directory, its names.
func (h *File) SyncData() error { return h.sync(OpSyncData) }

func (h *File) sync(kind OpKind) error {
	f := h.f
	f.opMu.Lock()
	defer f.opMu.Unlock()
	if err := h.lock(); err != nil {
		return h.fail("sync", err)
	}
	dir := h.dir()
	f.mu.Unlock()
	if dir {
		kind = OpSyncDir
	}
	if err := f.begin(Op{Kind: kind, Path: h.name, Inode: h.ino, Barrier: true}, nil); err != nil {
		return h.fail("sync", err)
	}
	err := f.toldLocked(h.ino, h)
	if err == nil {
		if dir {
			f.d.syncDir(h.ino)
			f.sweepLocked()
		} else {
			f.d.sync(h.ino, kind == OpSyncData)
		}
	}
	return h.fail("sync", f.end(err))
}
