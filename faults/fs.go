package faults

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/afero"
)

// SyncFailer is what a file system has that knows what a failed sync does to the
// disk. name is the file or directory whose sync fails, dataOnly tells SyncData
// from Sync, and mode is one of Modes. The result is what the caller of the sync
// must see: nil where it is lied to, or told later. errors.ErrUnsupported means
// that this cannot happen here, and that nothing was done.
//
// A file may have the method too, without the name; then it is asked, so that the
// handle which is told is the one that synced.
type SyncFailer interface {
	FailSync(name string, dataOnly bool, mode string) error
}

type (
	fileSyncFailer interface {
		FailSync(dataOnly bool, mode string) error
	}
	dirSyncer interface{ SyncDir(name string) error }
	locker    interface {
		TryLock(name string) (unlock func() error, ok bool, err error)
	}
	dataSyncer   interface{ SyncData() error }
	preallocator interface {
		Preallocate(offset, length int64) error
	}
)

// Options say how a file system is watched. The zero value will do.
type Options struct {
	// Classify gives the class of a path. It must answer the same for the same
	// path, and must not use the FS. nil is DefaultClass.
	Classify func(path string) string
	// Slow lets simulated time pass, inside the operation that is slow. nil: slow
	// faults cannot happen.
	Slow func(d time.Duration)
	// Sector is the size of a sector in bytes, 512 if zero.
	Sector int64
	// Before, if not nil, is told of every operation before it begins, with no lock
	// held: where others can get in between.
	Before func(op OpKind, path string)
	// OnHit is told of every hit once the operation has ended, with no lock held.
	// nil: nobody is.
	OnHit func(Hit)
}

// Hit is one operation that a fault happened to.
type Hit struct {
	Fault Fault
	Step  int
	Path  string // as the caller named it
}

// NotFired is a fault that did not happen, and why.
type NotFired struct {
	Fault Fault
	Why   string
}

// String is one line.
func (n NotFired) String() string { return n.Fault.String() + ": not fired: " + n.Why }

// DirClass is the class of everything that mkdir, readdir and syncdir touch.
const DirClass = "dir"

// DefaultClass is the class of a path unless Options say otherwise: "seg" and
// "new" by extension, "lock" by extension or as the whole name, in any case,
// DirClass for the root and the working directory, "other" for the rest.
func DefaultClass(name string) string {
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	switch base {
	case "", ".", "..":
		return DirClass
	}
	switch ext := base[strings.LastIndexByte(base, '.')+1:]; {
	case strings.EqualFold(ext, "lock"):
		return "lock"
	case len(ext) == len(base): // no dot
		return "other"
	case ext == "seg", ext == "new":
		return ext
	}
	return "other"
}

// FS is a file system to which faults happen. Make one with New.
type FS struct {
	base    afero.Fs
	options Options
	watched [numOps]bool     // some fault may have to do with it; fixed by New
	byOp    [numOps][]*armed // those faults, in the order of the list; the slices are fixed by New
	faults  []armed          // the slice is fixed by New, what is in it is guarded by mu

	mu      sync.Mutex
	step    int            // mu
	classes []string       // mu; by number, which a handle keeps
	numbers map[string]int // mu; their numbers
	counts  [][numOps]int  // mu; of this step, by class number
	ended   []Count        // mu; of the steps before, in no order, several for one key if a step came twice
	fired   []*armed       // mu; in the order of their first hit
	handles *file          // mu; the open ones, a ring without a head: nil if there are none
	bad     []place        // mu; what faults that last "here" have hit
}

// armed is a fault and how far it has come.
type armed struct {
	Fault
	seen   int      // operations that match all of the key but the ordinal
	came   bool     // the key came up
	hits   int      // operations that it happened to
	why    string   // why the last one that it could have hit was spared
	left   int64    // of NoSpace, once the key came up: bytes
	done   bool     // of NoSpace: it has hit, and does not last
	doomed []string // of delayed NoSpace: the paths whose next sync fails
}

// place is a sector that a read found bad.
type place struct {
	path     string
	from, to int64 // bytes from which it is bad, and before which it ends
	kind     Kind  // Fail, Zero or Flip
	errno    Errno
	bit      int64 // of Flip: which of the byte's bits
}

// New returns base, with faults that happen to it. A fault that is not valid is
// in NotFired from the start.
func New(base afero.Fs, faults []Fault, options Options) *FS {
	if options.Classify == nil {
		options.Classify = DefaultClass
	}
	if options.Sector <= 0 {
		options.Sector = 512
	}
	f := &FS{base: base, options: options, faults: make([]armed, len(faults)), numbers: map[string]int{}}
	f.classLocked(DirClass) // number 0; nobody else has f yet
	for i, fault := range faults {
		a := &f.faults[i]
		a.Fault = fault
		if err := fault.Validate(); err != nil {
			a.why = "not valid: " + strings.ReplaceAll(err.Error(), "\n", "; ")
			continue
		}
		watch := func(ops ...OpKind) {
			for _, op := range ops {
				if !slices.Contains(f.byOp[op], a) {
					f.byOp[op] = append(f.byOp[op], a)
				}
				f.watched[op] = true
			}
		}
		watch(fault.Op)
		if fault.Kind == NoSpace {
			watch(Write, WriteAt, Preallocate)
			if fault.Delayed {
				watch(Sync, SyncData)
			}
		}
		if fault.Lasting == Here {
			for _, op := range []OpKind{Read, ReadAt, Write, WriteAt, Truncate} {
				f.watched[op] = true
			}
		}
	}
	return f
}

// SetStep says which step of the workload the following operations belong to. A
// step that comes again goes on counting where it stopped.
func (f *FS) SetStep(step int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if step == f.step {
		return
	}
	f.ended = f.appendCountsLocked(f.ended)
	clear(f.counts)
	f.step = step
}

// Fired returns the faults that hit, each once, in the order of their first hits.
func (f *FS) Fired() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	fired := make([]Fault, len(f.fired))
	for i, a := range f.fired {
		fired[i] = a.Fault
	}
	return fired
}

// NotFired returns the faults that did not hit so far, in the order of the list
// given to New, each with the reason.
func (f *FS) NotFired() []NotFired {
	f.mu.Lock()
	defer f.mu.Unlock()
	var not []NotFired
	for i := range f.faults {
		a := &f.faults[i]
		switch {
		case a.hits > 0:
		case a.why != "":
			not = append(not, NotFired{a.Fault, a.why})
		case a.came:
			not = append(not, NotFired{a.Fault, "the operation failed by itself"})
		case a.seen == 0:
			not = append(not, NotFired{a.Fault, "its key never came up: there was no such operation"})
		default:
			not = append(not, NotFired{a.Fault, fmt.Sprintf("its key never came up: there were only %d such operations", a.seen)})
		}
	}
	return not
}

// Budget returns what the program must survive given the faults that hit so far.
func (f *FS) Budget() Budget { return BudgetOf(f.Fired()) }

// Count is how many operations of a kind and class there were in a step.
type Count struct {
	Step  int
	Op    OpKind
	Class string
	N     int
}

// Counts returns how many operations there were so far, by step, kind and class,
// in that order. Operations that a fault hit count like all others.
func (f *FS) Counts() []Count {
	f.mu.Lock()
	counts := f.appendCountsLocked(slices.Clone(f.ended))
	f.mu.Unlock()
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Class, b.Class))
	})
	sum := counts[:0]
	for _, c := range counts {
		if last := len(sum) - 1; last >= 0 && sum[last].Step == c.Step && sum[last].Op == c.Op && sum[last].Class == c.Class {
			sum[last].N += c.N
			continue
		}
		sum = append(sum, c)
	}
	return sum
}

func (f *FS) appendCountsLocked(to []Count) []Count {
	for class := range f.counts {
		for op, n := range f.counts[class] {
			if n > 0 {
				to = append(to, Count{f.step, OpKind(op), f.classes[class], n})
			}
		}
	}
	return to
}

// classLocked returns the number of a class, a new one if need be.
func (f *FS) classLocked(class string) int {
	if class == "" {
		class = "other"
	}
	n, ok := f.numbers[class]
	if !ok {
		n = len(f.classes)
		f.classes = append(f.classes, class)
		f.counts = append(f.counts, [numOps]int{})
		f.numbers[class] = n
	}
	return n
}

// countLocked counts an operation and returns the faults that are to be tried on
// it, in order. It is nil, and costs no allocation, when there are none.
func (f *FS) countLocked(op OpKind, class int, path string) (due []*armed) {
	f.counts[class][op]++
	if !f.watched[op] {
		return nil
	}
	for _, a := range f.byOp[op] {
		if a.Class != "" && a.Class != f.classes[class] {
			continue
		}
		begun := a.came && (a.Lasting == Sticky || a.Kind == NoSpace)
		hit := false
		if op == a.Op && (a.Step == AnyStep || a.Step == f.step) {
			a.seen++
			hit = a.Ordinal == 0 || a.Ordinal == a.seen
		}
		if hit && !a.came {
			a.came = true
			a.left = a.N
		}
		switch {
		case a.Kind == NoSpace && (op == Sync || op == SyncData):
			hit = slices.Contains(a.doomed, path)
		case a.Kind == NoSpace:
			hit = (begun || hit) && !a.done
		default:
			hit = hit || begun && op == a.Op
		}
		if hit {
			due = append(due, a)
		}
	}
	return due
}

// count is countLocked for an operation on a path.
func (f *FS) count(op OpKind, name string) []*armed {
	if f.options.Before != nil {
		f.options.Before(op, name)
	}
	class := DirClass
	if op != Mkdir && op != SyncDir {
		class = f.options.Classify(name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.countLocked(op, f.classLocked(class), "")
}

// try lets the faults that are due happen: all the slow ones, and the first of
// the others for which happen answers "", done. Any other answer says why it
// cannot. It reports whether one happened, the slow ones aside.
func (f *FS) try(due []*armed, name string, happen func(a *armed) (why string)) bool {
	for _, a := range due {
		if a.Kind != Slow {
			continue
		}
		if f.options.Slow == nil {
			f.spared(a, "cannot happen here: Options.Slow is nil, so no simulated time can pass")
			continue
		}
		f.options.Slow(time.Duration(a.N))
		f.hit(a, name)
	}
	var first *armed
	for _, a := range due {
		switch {
		case a.Kind == Slow:
		case first != nil:
			f.spared(a, "another fault hit the operation: "+first.Fault.String())
		default:
			if why := happen(a); why != "" {
				f.spared(a, why)
				continue
			}
			f.hit(a, name)
			first = a
		}
	}
	return first != nil
}

func (f *FS) hit(a *armed, name string) {
	f.mu.Lock()
	if a.hits++; a.hits == 1 {
		f.fired = append(f.fired, a)
	}
	if a.Kind == NoSpace && a.Lasting == Once {
		a.done = true
	}
	hit := Hit{a.Fault, f.step, name}
	f.mu.Unlock()
	if f.options.OnHit != nil {
		f.options.OnHit(hit)
	}
}

func (f *FS) spared(a *armed, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a.why = why
}

// fails reports how an operation on a path fails that can only be slow or fail.
func (f *FS) fails(op OpKind, name string) (err error) {
	f.try(f.count(op, name), name, func(a *armed) string {
		err = pathError(op, name, a.Errno)
		return ""
	})
	return err
}

// pathError is the error that the os package returns.
func pathError(op OpKind, name string, errno Errno) error {
	verb := op.String()
	switch op {
	case Create:
		verb = "open"
	case ReadAt:
		verb = "read"
	case WriteAt:
		verb = "write"
	case SyncData, SyncDir:
		verb = "sync"
	case Readdir:
		verb = "readdirent"
	}
	return &fs.PathError{Op: verb, Path: name, Err: errno.Err()}
}

// clean makes two names of one file the same.
func clean(name string) string { return path.Clean(filepath.ToSlash(name)) }

// Name returns the name of the file system below, marked.
func (f *FS) Name() string { return "faults over " + f.base.Name() }

// Create is OpenFile for reading and writing an emptied file.
func (f *FS) Create(name string) (afero.File, error) {
	if err := f.fails(Create, name); err != nil {
		return nil, err
	}
	base, err := f.base.Create(name)
	return f.opened(base, err, name, os.O_RDWR)
}

// Open opens a file or a directory for reading.
func (f *FS) Open(name string) (afero.File, error) {
	if err := f.fails(Open, name); err != nil {
		return nil, err
	}
	base, err := f.base.Open(name)
	return f.opened(base, err, name, os.O_RDONLY)
}

// OpenFile opens a file; with os.O_CREATE it counts as create.
func (f *FS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	op := Open
	if flag&os.O_CREATE != 0 {
		op = Create
	}
	if err := f.fails(op, name); err != nil {
		return nil, err
	}
	base, err := f.base.OpenFile(name, flag, perm)
	return f.opened(base, err, name, flag)
}

func (f *FS) opened(base afero.File, err error, name string, flag int) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	h := &file{fs: f, base: base, path: clean(name),
		writes: flag&(os.O_WRONLY|os.O_RDWR) != 0, appends: flag&os.O_APPEND != 0}
	class := f.options.Classify(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if flag&os.O_TRUNC != 0 {
		f.cutLocked(h.path, 0)
	}
	h.class = f.classLocked(class)
	h.linkLocked()
	return h, nil
}

// Mkdir makes a directory.
func (f *FS) Mkdir(name string, perm os.FileMode) error {
	if err := f.fails(Mkdir, name); err != nil {
		return err
	}
	return f.base.Mkdir(name, perm)
}

// MkdirAll makes a directory and those above it, which counts as one mkdir.
func (f *FS) MkdirAll(name string, perm os.FileMode) error {
	if err := f.fails(Mkdir, name); err != nil {
		return err
	}
	return f.base.MkdirAll(name, perm)
}

// Remove removes a name.
func (f *FS) Remove(name string) error {
	if err := f.fails(Remove, name); err != nil {
		return err
	}
	err := f.base.Remove(name)
	if err == nil {
		f.gone(name)
	}
	return err
}

// RemoveAll removes a name and all below it, which counts as one remove.
func (f *FS) RemoveAll(name string) error {
	if err := f.fails(Remove, name); err != nil {
		return err
	}
	err := f.base.RemoveAll(name)
	if err == nil {
		f.gone(name)
	}
	return err
}

// Rename renames; its class is that of the old name.
func (f *FS) Rename(from, to string) (err error) {
	if f.try(f.count(Rename, from), from, func(a *armed) string {
		err = &os.LinkError{Op: "rename", Old: from, New: to, Err: a.Errno.Err()}
		return ""
	}) {
		return err
	}
	if err := f.base.Rename(from, to); err != nil {
		return err
	}
	f.renamed(from, to)
	return nil
}

// Stat describes a file.
func (f *FS) Stat(name string) (os.FileInfo, error) {
	if err := f.fails(Stat, name); err != nil {
		return nil, err
	}
	return f.base.Stat(name)
}

// LstatIfPossible describes a file without following a link, where the file
// system below knows how; it reports whether it did.
func (f *FS) LstatIfPossible(name string) (os.FileInfo, bool, error) {
	if err := f.fails(Stat, name); err != nil {
		return nil, false, err
	}
	if l, ok := f.base.(afero.Lstater); ok {
		return l.LstatIfPossible(name)
	}
	info, err := f.base.Stat(name)
	return info, false, err
}

// Chmod passes, uncounted.
func (f *FS) Chmod(name string, mode os.FileMode) error { return f.base.Chmod(name, mode) }

// Chown passes, uncounted.
func (f *FS) Chown(name string, uid, gid int) error { return f.base.Chown(name, uid, gid) }

// Chtimes passes, uncounted.
func (f *FS) Chtimes(name string, atime, mtime time.Time) error {
	return f.base.Chtimes(name, atime, mtime)
}

// SyncDir makes a directory's names durable, or answers errors.ErrUnsupported.
func (f *FS) SyncDir(name string) (err error) {
	base, ok := f.base.(dirSyncer)
	if !ok {
		return errors.ErrUnsupported
	}
	if f.try(f.count(SyncDir, name), name, func(a *armed) (why string) {
		why, err = f.syncFails(a, SyncDir, name, clean(name), nil)
		return why
	}) {
		return err
	}
	return base.SyncDir(name)
}

// TryLock takes an exclusive lock file, or answers errors.ErrUnsupported. ok is
// false if somebody else holds it.
func (f *FS) TryLock(name string) (unlock func() error, ok bool, err error) {
	base, can := f.base.(locker)
	if !can {
		return nil, false, errors.ErrUnsupported
	}
	if f.try(f.count(Lock, name), name, func(a *armed) string {
		if a.Kind == Fail {
			err = pathError(Lock, name, a.Errno)
		}
		return ""
	}) {
		return nil, false, err
	}
	return base.TryLock(name)
}

// FailSync passes, uncounted: somebody above decides which sync fails.
func (f *FS) FailSync(name string, dataOnly bool, mode string) error {
	if s, ok := f.base.(SyncFailer); ok {
		return s.FailSync(name, dataOnly, mode)
	}
	return errors.ErrUnsupported
}

// syncFails lets a sync fail: at is where the disk has what the caller calls
// name, "" if it has no name any more; handle is what is synced, nil if it is
// synced by name. why is "" when it did fail; err, which may be nil then, is what
// the caller must see.
func (f *FS) syncFails(a *armed, op OpKind, name, at string, handle afero.File) (why string, err error) {
	if a.Kind == Fail {
		return "", pathError(op, name, a.Errno) // nothing is written, and all stays dirty
	}
	byHandle, ofHandle := handle.(fileSyncFailer)
	byName, ofName := f.base.(SyncFailer)
	switch {
	case ofHandle:
		err = byHandle.FailSync(op == SyncData, string(a.Mode))
	case !ofName:
		return "cannot happen here: the file system has no FailSync, which a sync that fails as in mode " + string(a.Mode) + " needs", nil
	case at == "":
		return "cannot happen here: the file has no name any more", nil
	default:
		err = byName.FailSync(at, op == SyncData, string(a.Mode))
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return "cannot happen here: the file system does not fail a sync as in mode " + string(a.Mode), nil
	}
	if a.Kind != NoSpace {
		return "", err
	}
	f.mu.Lock()
	a.doomed = slices.DeleteFunc(a.doomed, func(p string) bool { return p == at })
	f.mu.Unlock()
	return "", pathError(op, name, ENOSPC)
}

// gone forgets what is known about a file that was removed, or a directory and
// all below it.
func (f *FS) gone(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goneLocked(clean(name))
}

func (f *FS) goneLocked(name string) {
	for h := range f.openLocked() {
		if _, ok := below(h.path, name); ok {
			h.path = ""
		}
	}
	f.bad = slices.DeleteFunc(f.bad, func(p place) bool { _, ok := below(p.path, name); return ok })
	for i := range f.faults {
		a := &f.faults[i]
		a.doomed = slices.DeleteFunc(a.doomed, func(p string) bool { _, ok := below(p, name); return ok })
	}
}

// renamed takes what is known about a file, or of all below a directory, to its
// new name.
func (f *FS) renamed(from, to string) {
	from, to = clean(from), clean(to)
	if from == to {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goneLocked(to)
	for h := range f.openLocked() {
		if rest, ok := below(h.path, from); ok {
			h.path = to + rest
			h.class = f.classLocked(f.options.Classify(h.path))
		}
	}
	for i := range f.bad {
		if rest, ok := below(f.bad[i].path, from); ok {
			f.bad[i].path = to + rest
		}
	}
	for i := range f.faults {
		for j, p := range f.faults[i].doomed {
			if rest, ok := below(p, from); ok {
				f.faults[i].doomed[j] = to + rest
			}
		}
	}
}

// below reports whether name is dir or something in it, and what comes after.
func below(name, dir string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, dir)
	return rest, ok && name != "" && (rest == "" || rest[0] == '/')
}

// cutLocked forgets what was bad behind the end of a file.
func (f *FS) cutLocked(path string, size int64) {
	if len(f.bad) > 0 {
		f.bad = slices.DeleteFunc(f.bad, func(p place) bool { return p.path == path && p.from >= size })
	}
}

// mendLocked forgets what was bad in bytes that were written.
func (f *FS) mendLocked(path string, from, to int64) {
	f.bad = slices.DeleteFunc(f.bad, func(p place) bool { return p.path == path && p.from < to && from < p.to })
}
