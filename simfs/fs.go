package simfs

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Options says what disk New makes. The zero value is an empty posix disk with
// cells of 512 bytes.
type Options struct {
	Guarantees Guarantees       // the zero value is Posix
	CellSize   int              // bytes that reach the platter together: a power of two from 1 to 4096; 0 is 512
	Garbage    Garbage          // what uncovered bytes may hold besides zeros
	Now        func() time.Time // for modification times; nil is always 2020-01-01T00:00:00Z
	KeepData   bool             // the log keeps the bytes of writes
	Callers    int              // source lines the log keeps per operation; slow
	CallerSkip []string         // prefixes of function names that are not callers, such as a wrapper's package
}

// ErrCrashed is the cause of every error of a disk that was killed, and of all its
// files.
var ErrCrashed = errors.New("simfs: the disk has crashed; mount the image that Crash returned")

// FS is a running disk.
//
// Operations run one after the other; opMu is held for the whole of one, also
// while the observer is told, and mu for what touches memory.
type FS struct {
	opMu sync.Mutex
	mu   sync.Mutex

	d        disk             // mu
	log      oplog            // mu
	dead     bool             // mu
	shutdown bool             // mu: a sync failed in mode "shutdown"
	observe  func(op Op)      // mu
	now      *torn            // mu: the write that is being observed
	files    []*File          // mu: open handles, oldest first, for errors that each is told once
	few      [4]*File         // room for the first of them
	locks    []int32          // mu: inodes that are locked
	wbErr    map[int32]uint32 // mu: failed syncs by inode
}

var (
	_ afero.Fs   = (*FS)(nil)
	_ afero.File = (*File)(nil)
)

// torn is a write that has not taken effect.
type torn struct {
	ino  int32
	off  int64
	b    []byte
	path string
	op   Op
}

// New returns an empty disk. It panics where CellSize is not a power of two from 1
// to 4096.
func New(o Options) *FS {
	g := o.Guarantees
	if g == (Guarantees{}) {
		g = Posix()
	}
	unit := o.CellSize
	if unit == 0 {
		unit = 512
	}
	if unit < 1 || unit > PageSize || unit&(unit-1) != 0 {
		panic("simfs: Options.CellSize must be a power of two from 1 to 4096, or 0 for 512")
	}
	if g.Pages && !g.Tear {
		unit = PageSize
	}
	cfg := &config{g: g, unit: int64(unit), now: o.Now, alpha: o.Garbage, data: o.KeepData, callers: o.Callers, skip: o.CallerSkip}
	if cfg.now == nil {
		epoch := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		cfg.now = func() time.Time { return epoch }
	}
	if o.Garbage.Block || !g.Powersafe {
		cfg.block = noise(o.Garbage.Seed, cfg.unit)
	}
	f := &FS{d: disk{cfg: cfg, own: new(owner), call: -1}}
	root := f.d.newInode(true)
	root.mode = fs.ModeDir | 0o755
	return f
}

// Guarantees returns what the disk promises.
func (f *FS) Guarantees() Guarantees { return f.d.cfg.g }

// CellSize returns the bytes in a cell: a page where the preset writes pages.
func (f *FS) CellSize() int { return int(f.d.cfg.unit) }

// Clone returns a second running disk in the same state, without the open files,
// locks and observer. It costs O(files); bytes are copied when either side writes.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cloneLocked()
}

func (f *FS) cloneLocked() *FS {
	c := &FS{d: f.d.share(), log: f.log.share(), dead: f.dead, shutdown: f.shutdown}
	c.d.sweep(func(int32) bool { return false })
	return c
}

// CloneTorn is Clone while a write is observed, with the first cells of that write
// applied. A write that is not torn inside a page counts pages; see CellSize. It
// panics outside Observe of a write.
func (f *FS) CloneTorn(cells int) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.now
	if t == nil {
		panic("simfs: CloneTorn outside the observation of a write")
	}
	open := f.d.share()
	c := &FS{d: open, log: f.log.share(), dead: f.dead, shutdown: f.shutdown}
	end := (t.off/f.d.cfg.unit + int64(cells)) * f.d.cfg.unit
	if n := min(max(0, end-t.off), int64(len(t.b))); n > 0 {
		c.d.seq = c.d.base + int32(c.log.n)
		c.d.write(t.ino, t.off, t.b[:n], t.path)
		op := t.op
		op.Length, op.Data = n, op.Data[:n]
		c.record(op)
		c.d.seq = c.d.base + int32(c.log.n) // what comes next is another operation
	}
	c.d.sweep(func(int32) bool { return false })
	return c
}

// Ops returns the number of operations so far, which is the index of the next one.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.n
}

// Log returns a copy of the operations so far.
func (f *FS) Log() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.all()
}

// Observe has every operation told to fn before it takes effect. fn may call
// Clone, CloneTorn, Crash, Kill, Ops and Log, and no operation of this disk. nil
// stops it.
func (f *FS) Observe(fn func(op Op)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observe = fn
}

// Kill fails every operation of this disk and of its files from now on, for ever,
// with ErrCrashed.
func (f *FS) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// Crash returns what a crash at this moment may leave. The disk goes on unharmed.
func (f *FS) Crash(k Kind) *Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &Image{d: f.d.share(), kind: k}
	m.d.choose = nil
	if k == PowerLoss || f.shutdown {
		m.d.epoch++
		if g := &m.d.cfg.g; g.SizeAfterData && g.Tear {
			m.d.losses = append(m.d.losses[:len(m.d.losses):len(m.d.losses)], m.d.seq)
		}
	}
	m.d.sweep(func(int32) bool { return false })
	return m
}

// enter starts an operation that the file system is asked for by name.
func (f *FS) enter() {
	f.opMu.Lock()
	f.mu.Lock()
	f.d.call++
	f.mu.Unlock()
}

// begin tells the observer and records the operation. Unless it fails, mu is held
// afterwards, and the caller calls end.
func (f *FS) begin(op Op, t *torn) error {
	f.mu.Lock()
	if err := f.downLocked(); err != nil {
		f.mu.Unlock()
		return err
	}
	op.Index = f.log.n
	if f.d.cfg.callers > 0 {
		op.Caller = Caller(f.d.cfg.callers, f.d.cfg.skip)
	}
	if fn := f.observe; fn != nil {
		if t != nil {
			t.op = op
		}
		f.now = t
		f.mu.Unlock()
		fn(op)
		f.mu.Lock()
		f.now = nil
		if err := f.downLocked(); err != nil {
			f.mu.Unlock()
			return err
		}
	}
	f.record(op)
	return nil
}

// record adds an operation to the log.
func (f *FS) record(op Op) {
	if f.d.cfg.data {
		op.Data = append([]byte(nil), op.Data...)
	} else {
		op.Data = nil
	}
	f.d.seq = f.d.base + int32(op.Index)
	f.log.add(op)
	f.d.seq = f.d.base + int32(f.log.n) - 1
}

// end finishes what begin began.
func (f *FS) end(err error) error {
	if err != nil {
		f.log.last().Err = err
	}
	f.d.seq = f.d.base + int32(f.log.n)
	f.mu.Unlock()
	return err
}

func (f *FS) downLocked() error {
	if f.dead {
		return ErrCrashed
	}
	if f.shutdown {
		return syscall.EIO
	}
	return nil
}

// errorf wraps a cause as an operating system's file system does.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// clean returns a name relative to the root, "" for the root itself.
func clean(name string) string {
	if name == "" {
		return ""
	}
	if strings.IndexByte(name, '\\') >= 0 && os.PathSeparator == '\\' {
		name = strings.ReplaceAll(name, "\\", "/")
	}
	name = path.Clean(name)
	for {
		switch {
		case strings.HasPrefix(name, "/"):
			name = name[1:]
		case name == "." || name == "..":
			return ""
		case strings.HasPrefix(name, "../"):
			name = name[3:]
		default:
			return name
		}
	}
}

// parentLocked walks to the directory that holds the last part of a clean name.
func (f *FS) parentLocked(name string) (dir int32, base string, err error) {
	at := 0
	for {
		i := strings.IndexByte(name[at:], '/')
		if i < 0 {
			if len(name)-at > 255 {
				return 0, "", syscall.ENAMETOOLONG
			}
			return dir, name[at:], nil
		}
		n := f.d.lookup(dir, name[at:at+i], name[:at+i])
		if n == none {
			return 0, "", syscall.ENOENT
		}
		if !f.d.inodes[n].dir {
			return 0, "", syscall.ENOTDIR
		}
		dir = int32(n)
		at += i + 1
	}
}

// findLocked returns the inode of a name.
func (f *FS) findLocked(name string) (int32, error) {
	if name == "" {
		return 0, syscall.ENOENT
	}
	p := clean(name)
	if p == "" {
		return 0, nil
	}
	dir, base, err := f.parentLocked(p)
	if err != nil {
		return 0, err
	}
	n := f.d.lookup(dir, base, p)
	if n == none {
		return 0, syscall.ENOENT
	}
	return int32(n), nil
}

// Name returns "simfs".
func (f *FS) Name() string { return "simfs" }

// Create makes or empties a file and opens it for reading and writing.
func (f *FS) Create(name string) (afero.File, error) {
	return f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open opens a file or a directory for reading.
func (f *FS) Open(name string) (afero.File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile opens a file with the flags of package os.
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	f.enter()
	defer f.opMu.Unlock()
	h, err := f.openFile(name, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return h, nil
}

func (f *FS) openFile(name string, flag int, perm fs.FileMode) (*File, error) {
	f.mu.Lock()
	if err := f.downLocked(); err != nil {
		f.mu.Unlock()
		return nil, err
	}
	p := clean(name)
	ino, err := f.findLocked(name)
	var in *inode
	if err == nil {
		in = f.d.inodes[ino]
	}
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case err == nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		f.mu.Unlock()
		return nil, syscall.EEXIST
	case err == nil && in.dir && (writes || flag&(os.O_TRUNC|os.O_CREATE) != 0):
		f.mu.Unlock()
		return nil, syscall.EISDIR
	case err == nil && flag&os.O_TRUNC != 0 && writes:
		size := f.d.sizeNow(ino, p)
		f.mu.Unlock()
		if size > 0 {
			if err := f.begin(Op{Kind: OpOpenTruncate, Path: name}, nil); err != nil {
				return nil, err
			}
			f.d.truncate(ino, 0, whyTruncate, p)
			f.end(nil)
		}
	case err == nil:
		f.mu.Unlock()
	case err != syscall.ENOENT || flag&os.O_CREATE == 0 || name == "":
		f.mu.Unlock()
		return nil, err
	default:
		dir, base, perr := f.parentLocked(p)
		f.mu.Unlock()
		if perr != nil {
			return nil, perr
		}
		if strings.HasSuffix(name, "/") {
			return nil, syscall.EISDIR
		}
		if err := f.begin(Op{Kind: OpCreate, Path: name}, nil); err != nil {
			return nil, err
		}
		f.d.decideJournal()
		made := f.d.newInode(false)
		made.mode = perm.Perm()
		ino = made.ino
		f.d.link(dir, base, ino)
		f.end(nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handleLocked(ino, name, p, flag), nil
}

// Mkdir makes a directory.
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	f.enter()
	defer f.opMu.Unlock()
	return pathError("mkdir", name, f.mkdir(name, perm))
}

func (f *FS) mkdir(name string, perm fs.FileMode) error {
	if err := f.begin(Op{Kind: OpMkdir, Path: name}, nil); err != nil {
		return err
	}
	p := clean(name)
	if name == "" {
		return f.end(syscall.ENOENT)
	}
	if p == "" {
		return f.end(syscall.EEXIST)
	}
	dir, base, err := f.parentLocked(p)
	if err != nil {
		return f.end(err)
	}
	if f.d.lookup(dir, base, p) != none {
		return f.end(syscall.EEXIST)
	}
	f.d.decideJournal()
	in := f.d.newInode(true)
	in.mode = fs.ModeDir | perm.Perm()
	f.d.link(dir, base, in.ino)
	return f.end(nil)
}

// MkdirAll makes a directory and the missing ones above it.
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	f.enter()
	defer f.opMu.Unlock()
	p := clean(name)
	for at := 0; at < len(p); {
		i := strings.IndexByte(p[at:], '/')
		if i < 0 {
			i = len(p) - at
		}
		part := p[:at+i]
		at += i + 1
		f.mu.Lock()
		if err := f.downLocked(); err != nil {
			f.mu.Unlock()
			return pathError("mkdir", name, err)
		}
		ino, err := f.findLocked(part)
		dir := err == nil && f.d.inodes[ino].dir
		f.mu.Unlock()
		if dir {
			continue
		}
		if err == nil {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		if err != syscall.ENOENT {
			return pathError("mkdir", name, err)
		}
		if err := f.mkdir(part, perm); err != nil {
			return pathError("mkdir", name, err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return pathError("mkdir", name, f.downLocked())
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error {
	f.enter()
	defer f.opMu.Unlock()
	return pathError("remove", name, f.remove(name))
}

func (f *FS) remove(name string) error {
	if err := f.begin(Op{Kind: OpRemove, Path: name}, nil); err != nil {
		return err
	}
	p := clean(name)
	if name == "" {
		return f.end(syscall.ENOENT)
	}
	if p == "" {
		return f.end(syscall.EBUSY)
	}
	dir, base, err := f.parentLocked(p)
	if err != nil {
		return f.end(err)
	}
	n := f.d.lookup(dir, base, p)
	if n == none {
		return f.end(syscall.ENOENT)
	}
	if f.d.inodes[n].dir && !f.emptyLocked(int32(n), p) {
		return f.end(syscall.ENOTEMPTY)
	}
	f.d.decideJournal()
	f.d.buryFile(f.d.inodes[n])
	f.d.unlink(dir, base, int32(n))
	return f.end(nil)
}

// emptyLocked reports whether a directory has no names, deciding them.
func (f *FS) emptyLocked(dir int32, p string) bool { return len(f.namesLocked(dir, p)) == 0 }

// namesLocked returns the names in a directory, sorted, deciding them.
func (f *FS) namesLocked(dir int32, p string) []string {
	ents := f.d.inodes[dir].ents
	all := make([]string, 0, len(ents))
	open := false
	for i := range ents {
		if e := &ents[i]; f.d.undecided(e.ch) || e.ino != none {
			all = append(all, e.name)
			open = open || f.d.undecided(e.ch)
		}
	}
	if !open {
		return all
	}
	there := all[:0]
	for _, name := range all {
		if f.d.lookup(dir, name, path.Join(p, name)) != none {
			there = append(there, name)
		}
	}
	return there
}

// RemoveAll removes a name and what is below it, the deepest first. A name that is
// not there is no error.
func (f *FS) RemoveAll(name string) error {
	f.enter()
	defer f.opMu.Unlock()
	return f.removeAll(name)
}

func (f *FS) removeAll(name string) error {
	f.mu.Lock()
	if err := f.downLocked(); err != nil {
		f.mu.Unlock()
		return pathError("removeall", name, err)
	}
	ino, err := f.findLocked(name)
	var below []string
	if err == nil && f.d.inodes[ino].dir {
		below = f.namesLocked(ino, clean(name))
	}
	f.mu.Unlock()
	if err == syscall.ENOENT || name == "" {
		return nil
	}
	if err != nil {
		return pathError("removeall", name, err)
	}
	for _, b := range below {
		if err := f.removeAll(path.Join(clean(name), b)); err != nil {
			return err
		}
	}
	if clean(name) == "" {
		return nil
	}
	return pathError("removeall", name, f.remove(name))
}

// Rename gives a file or directory another name, replacing a file, or an empty
// directory by a directory, that has it.
func (f *FS) Rename(oldname, newname string) error {
	f.enter()
	defer f.opMu.Unlock()
	if err := f.rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (f *FS) rename(oldname, newname string) error {
	if err := f.begin(Op{Kind: OpRename, Path: oldname, Path2: newname}, nil); err != nil {
		return err
	}
	if oldname == "" || newname == "" {
		return f.end(syscall.ENOENT)
	}
	p1, p2 := clean(oldname), clean(newname)
	if p1 == "" || p2 == "" {
		return f.end(syscall.EBUSY)
	}
	dir1, base1, err := f.parentLocked(p1)
	if err != nil {
		return f.end(err)
	}
	dir2, base2, err := f.parentLocked(p2)
	if err != nil {
		return f.end(err)
	}
	src := f.d.lookup(dir1, base1, p1)
	if src == none {
		return f.end(syscall.ENOENT)
	}
	dst := f.d.lookup(dir2, base2, p2)
	isDir := f.d.inodes[src].dir
	switch {
	case p1 == p2:
		return f.end(nil)
	case isDir && strings.HasPrefix(p2, p1+"/"):
		return f.end(syscall.EINVAL)
	case dst != none && isDir && !f.d.inodes[dst].dir:
		return f.end(syscall.ENOTDIR)
	case dst != none && !isDir && f.d.inodes[dst].dir:
		return f.end(syscall.EEXIST) // what package os says instead of EISDIR
	case dst != none && isDir && !f.emptyLocked(int32(dst), p2):
		return f.end(syscall.ENOTEMPTY)
	}
	f.d.decideJournal()
	if dst != none {
		f.d.buryFile(f.d.inodes[dst])
	}
	f.d.rename(int32(src), dir1, base1, dir2, base2, dst)
	return f.end(nil)
}

// Stat describes a file.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	f.enter()
	defer f.opMu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.downLocked(); err != nil {
		return nil, pathError("stat", name, err)
	}
	ino, err := f.findLocked(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return f.infoLocked(ino, clean(name)), nil
}

func (f *FS) infoLocked(ino int32, p string) fs.FileInfo {
	base := path.Base(p)
	if p == "" {
		base = "/"
	}
	i := info{name: base}
	if !f.d.inodes[ino].dir {
		i.size = f.d.sizeNow(ino, p)
	}
	in := f.d.inodes[ino]
	i.mode, i.mtime = in.mode, in.mtime
	return i
}

// info is an fs.FileInfo.
type info struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.mtime }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// change runs an operation on the attributes of a name.
func (f *FS) change(kind OpKind, what, name string, set func(in *inode)) error {
	f.enter()
	defer f.opMu.Unlock()
	if err := f.begin(Op{Kind: kind, Path: name}, nil); err != nil {
		return pathError(what, name, err)
	}
	ino, err := f.findLocked(name)
	if err == nil {
		set(f.d.mut(ino))
	}
	return pathError(what, name, f.end(err))
}

// Chmod changes the permission bits. They are there at once: no crash loses them.
func (f *FS) Chmod(name string, mode fs.FileMode) error {
	return f.change(OpChmod, "chmod", name, func(in *inode) { in.mode = in.mode&fs.ModeDir | mode.Perm() })
}

// Chown changes the owner. It is there at once: no crash loses it.
func (f *FS) Chown(name string, uid, gid int) error {
	return f.change(OpChown, "chown", name, func(in *inode) { in.uid, in.gid = uid, gid })
}

// Chtimes changes the modification time. It is there at once: no crash loses it.
func (f *FS) Chtimes(name string, _, mtime time.Time) error {
	return f.change(OpChtimes, "chtimes", name, func(in *inode) { in.mtime = mtime })
}

// SyncDir makes the names in a directory durable.
func (f *FS) SyncDir(name string) error {
	f.enter()
	defer f.opMu.Unlock()
	if err := f.begin(Op{Kind: OpSyncDir, Path: name, Barrier: true}, nil); err != nil {
		return pathError("sync", name, err)
	}
	ino, err := f.findLocked(name)
	if err == nil && !f.d.inodes[ino].dir {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = f.toldLocked(ino, nil)
	}
	if err == nil {
		f.d.syncDir(ino)
		f.sweepLocked()
	}
	return pathError("sync", name, f.end(err))
}

// sweepLocked lets go of removed files that nobody holds open.
func (f *FS) sweepLocked() {
	if f.d.orphaned {
		f.d.sweep(func(ino int32) bool {
			return slices.ContainsFunc(f.files, func(h *File) bool { return h.ino == ino })
		})
	}
}

// TryLock takes the exclusive lock on a file, which is made if it is not there.
// ok is false where somebody else holds it. The lock ends with unlock, or with the
// disk: an image has none.
func (f *FS) TryLock(name string) (unlock func() error, ok bool, err error) {
	f.enter()
	defer f.opMu.Unlock()
	h, err := f.openFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, false, pathError("lock", name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.locks, h.ino) {
		f.closeLocked(h)
		return nil, false, nil
	}
	f.locks = append(f.locks, h.ino)
	held := true
	return func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if err := f.downLocked(); err != nil {
			return pathError("unlock", name, err)
		}
		if !held {
			return pathError("unlock", name, fs.ErrClosed)
		}
		held = false
		f.locks = slices.DeleteFunc(f.locks, func(ino int32) bool { return ino == h.ino })
		f.closeLocked(h)
		return nil
	}, true, nil
}

// maxSize is the largest size of a file, so that cells stay within 31 bits.
func (f *FS) maxSize() int64 { return math.MaxInt32 / 2 * f.d.cfg.unit }
