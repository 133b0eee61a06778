package simfs

import (
	"errors"
	"slices"
	"strings"
	"syscall"
)

// FailSync does to the disk what a failing sync of a file or directory does, and
// returns the error that the caller must see: nil where the caller is not told, or
// not now. dataOnly is a data-only sync. The modes:
//
//	ext4, xfs   pages are marked clean; reads see the new bytes, each page is on the
//	            platter or not; size and metadata are; every open handle is told once
//	ext4-data   the same, but told by the next sync of each handle
//	btrfs       pages are marked clean and revert to what was durable, so does the
//	            size; a handle's offset does not
//	keep-dirty  nothing is written, nothing is forgotten
//	shutdown    every later operation fails
//	silent      pages are marked clean and nothing is written; nobody is told
//
// It answers errors.ErrUnsupported where the mode cannot happen under the disk's
// guarantees. The handle told is the one opened last by that name;
// (*File).FailSync says which.
func (f *FS) FailSync(name string, dataOnly bool, mode string) error {
	f.enter()
	defer f.opMu.Unlock()
	f.mu.Lock()
	if err := f.downLocked(); err != nil {
		f.mu.Unlock()
		return pathError("sync", name, err)
	}
	ino, err := f.findLocked(name)
	var h *File
	for _, open := range f.files {
		if err == nil && open.ino == ino {
			h = open
		}
	}
	f.mu.Unlock()
	if err != nil {
		return pathError("sync", name, err)
	}
	return pathError("sync", name, f.failSync(ino, h, name, dataOnly, mode))
}

// FailSync is (*FS).FailSync for the sync of this handle.
func (h *File) FailSync(dataOnly bool, mode string) error {
	h.f.opMu.Lock()
	defer h.f.opMu.Unlock()
	if err := h.lock(); err != nil {
		return h.fail("sync", err)
	}
	h.f.mu.Unlock()
	return h.fail("sync", h.f.failSync(h.ino, h, h.name, dataOnly, mode))
}

func (f *FS) failSync(ino int32, h *File, name string, dataOnly bool, mode string) error {
	if !slices.Contains(strings.Fields(f.d.cfg.g.SyncFailures), mode) {
		return errors.ErrUnsupported
	}
	kind := OpSync
	if dataOnly {
		kind = OpSyncData
	}
	f.mu.Lock()
	dir := f.d.inodes[ino].dir
	f.mu.Unlock()
	if dir {
		kind = OpSyncDir
	}
	if err := f.begin(Op{Kind: kind, Path: name, Inode: ino, Barrier: true, Fails: true}, nil); err != nil {
		return err
	}
	told, later := error(syscall.EIO), false
	switch mode {
	case "ext4", "xfs":
		f.d.forget(ino, dataOnly, true)
		later = true
	case "ext4-data":
		f.d.forget(ino, dataOnly, true)
		later, told, h = true, nil, nil
	case "btrfs":
		f.d.revert(ino)
		later = true
	case "shutdown":
		f.shutdown = true
	case "silent":
		f.d.forget(ino, dataOnly, false)
		told = nil
	}
	if later {
		if f.wbErr == nil {
			f.wbErr = map[int32]uint32{}
		}
		f.wbErr[ino]++
		if h != nil {
			h.told = f.wbErr[ino]
		}
	}
	f.end(told)
	return told
}

// toldLocked returns the error of an earlier failed sync that a handle has not been
// told of. h is nil for a sync by name.
func (f *FS) toldLocked(ino int32, h *File) error {
	if h == nil || h.told == f.wbErr[ino] {
		return nil
	}
	h.told = f.wbErr[ino]
	return syscall.EIO
}

// forget marks what is pending of an inode clean. written says that some of it may
// have reached the platter and that size and metadata did; otherwise nothing did.
func (d *disk) forget(ino int32, dataOnly, written bool) {
	in := d.mut(ino)
	if in.dir {
		if written && !d.cfg.g.Journal {
			d.syncDir(ino)
		} else {
			d.forgetNames(in)
		}
		return
	}
	if ch := in.szch; ch != nil && d.current(ch) && !ch.clean {
		switch {
		case !written:
			in.szch = d.ownChain(ch)
			in.szch.clean = true
			in.szch.vs = in.szch.vs[:1]
		case ch.coupled():
			d.raise(ref{kind: refSize, ino: ino}, len(ch.vs)-1, false)
		default:
			in.szch = nil
		}
	}
	if written && !dataOnly {
		d.commitWith(ino)
	}
	in = d.mut(ino) // after the metadata, which may have cut versions off
	for _, c := range in.marks {
		ch := in.cellOf(c).ch
		if ch == nil || !d.current(ch) || ch.clean {
			continue
		}
		p := d.pend(in, c)
		p.ch.clean = true
		in.anyClean = true
		if !written {
			p.ch.vs = p.ch.vs[:1]
		}
	}
}

// forgetNames is forget for a directory. Where there is a journal its order stays,
// and nothing is forgotten.
func (d *disk) forgetNames(in *inode) {
	if d.cfg.g.Journal {
		return
	}
	for i := range in.ents {
		if ch := in.ents[i].ch; ch != nil && d.current(ch) && !ch.clean {
			in.ents[i].ch = d.ownChain(ch)
			in.ents[i].ch.clean = true
		}
	}
}

// revert throws away what was written to a file and not synced: reads see what was
// durable again.
func (d *disk) revert(ino int32) {
	in := d.mut(ino)
	if in.dir {
		return
	}
	for _, c := range append([]int32(nil), in.marks...) {
		ch := d.inodes[ino].cellOf(c).ch
		if ch == nil || !d.current(ch) || ch.clean {
			continue
		}
		in = d.mut(ino)
		p := d.mutCell(in, c)
		p.cur, p.ch = ch.vs[0].c, nil
	}
	in = d.mut(ino)
	if ch := in.szch; ch != nil && d.current(ch) {
		in.size, in.szch = ch.vs[0].n, nil
	}
	for i := len(d.atoms) - 1; i >= 0; i-- {
		if a := d.atoms[i]; a.refs[0].kind == refCells && a.refs[0].ino == ino && a.epoch == d.epoch {
			d.take(i)
		}
	}
}
