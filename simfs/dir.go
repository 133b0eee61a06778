package simfs

import (
	"io"
	"io/fs"
	"path"
	"syscall"
)

// Readdirnames returns the next names of a directory, sorted: all that are left
// if n ≤ 0, else at most n, with io.EOF when there are none.
func (h *File) Readdirnames(n int) ([]string, error) {
	if err := h.lock(); err != nil {
		return nil, h.fail("readdirent", err)
	}
	defer h.f.mu.Unlock()
	return h.namesLocked(n)
}

func (h *File) namesLocked(n int) ([]string, error) {
	if !h.dir() {
		return nil, h.fail("readdirent", syscall.ENOTDIR)
	}
	if !h.listed {
		h.names, h.listed = h.f.namesLocked(h.ino, h.path), true
	}
	if n > 0 && len(h.names) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(h.names) {
		n = len(h.names)
	}
	out := h.names[:n:n]
	h.names = h.names[n:]
	return out, nil
}

// Readdir is Readdirnames with a description of each.
func (h *File) Readdir(count int) ([]fs.FileInfo, error) {
	if err := h.lock(); err != nil {
		return nil, h.fail("readdirent", err)
	}
	defer h.f.mu.Unlock()
	names, err := h.namesLocked(count)
	if err != nil {
		return nil, err
	}
	out := make([]fs.FileInfo, 0, len(names))
	for _, name := range names {
		p := path.Join(h.path, name)
		if n := h.f.d.lookup(h.ino, name, p); n != none {
			out = append(out, h.f.infoLocked(int32(n), p))
		}
	}
	return out, nil
}
