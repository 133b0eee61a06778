package diskfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/afero"
)

// Options says how to open a directory. The zero value reads and writes, and
// makes the directory if it is missing.
type Options struct {
	// ReadOnly makes nothing, and refuses whatever would change the directory
	// with an error that matches fs.ErrPermission.
	ReadOnly bool
}

// FS is a directory. It is safe for concurrent use.
type FS struct {
	root     *os.Root
	dir      string // as the caller named it, for errors
	absolute string // the same, whatever the working directory becomes
	readOnly bool
}

var _ afero.Fs = (*FS)(nil)

var errReadOnly = fmt.Errorf("opened read-only: %w", fs.ErrPermission)

// Open opens a directory. Those that are missing are made, mode 0755 less the
// umask, and each one's name is durable before the next is made and before Open
// returns. The caller closes what it gets.
func Open(dir string, o Options) (*FS, error) {
	if dir == "" {
		return nil, errors.New(`diskfs: open: no directory named: give one, or "." for the working directory`)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("diskfs: open %s: %w: name the directory by its absolute path", dir, err)
	}
	if o.ReadOnly {
		err = mustBeDir(absolute)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("diskfs: open %s: %w: opening read-only makes nothing", dir, fs.ErrNotExist)
		}
	} else {
		err = makeDirs(absolute, syncPath)
	}
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, hint("open", dir, dir, err)
	}
	return &FS{root: root, dir: filepath.Clean(dir), absolute: absolute, readOnly: o.ReadOnly}, nil
}

// Close gives back the directory; files and locks that are open stay so. After
// it every other method fails with fs.ErrClosed. Closing again does nothing.
func (d *FS) Close() error { return d.root.Close() }

// SyncAncestors makes the directory's own name durable, and those of the
// directories above it, up to the top of the file tree. Who finds a directory in
// place calls it before relying on it: another process may have made it, or one
// of those above it, and died before the sync.
//
// Directories that cannot be synced are passed over: on file systems that have
// no such sync, and where the caller may neither list the directory nor make a
// name in it.
func (d *FS) SyncAncestors() error {
	real, err := filepath.EvalSymlinks(d.absolute) // a link's target counts, not its name
	if err != nil {
		return hint("sync the directories above", d.dir, filepath.Dir(d.absolute), err)
	}
	for _, above := range ancestors(real) {
		err := syncPath(above)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
		case errors.Is(err, fs.ErrPermission) && !mayMakeNames(above):
		case err != nil:
			return err
		}
	}
	return nil
}

// ancestors returns the directories above an absolute path, nearest first.
func ancestors(path string) []string {
	var all []string
	for above := filepath.Dir(path); above != path; path, above = above, filepath.Dir(above) {
		all = append(all, above)
	}
	return all
}

// mustBeDir returns nil for a directory, and otherwise an error that says what
// is there instead; for nothing at all it matches fs.ErrNotExist.
func mustBeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if info.IsDir() {
			return nil
		}
		return fmt.Errorf("diskfs: %s is a file, not a directory: name another directory, or move the file away", dir)
	}
	if _, linkErr := os.Readlink(dir); linkErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("diskfs: %s is a link that leads nowhere: make the directory it names, or remove the link", dir)
	}
	for _, above := range ancestors(dir) { // "not a directory" does not say which
		if info, statErr := os.Stat(above); statErr == nil {
			if !info.IsDir() {
				return fmt.Errorf("diskfs: %s is a file, not a directory, so %s cannot be below it: name another directory, or move the file away", above, dir)
			}
			break
		}
	}
	return hint("look at", dir, filepath.Dir(dir), err)
}

// makeDirs makes a directory and all that are missing above it, from the top
// down. sync makes the names in a directory durable; it is called with each
// parent right after the name was made, so that no power loss leaves a directory
// whose parent's name was lost.
func makeDirs(dir string, sync func(dir string) error) error {
	var missing []string // nearest first
	for _, d := range append([]string{dir}, ancestors(dir)...) {
		err := mustBeDir(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		parent := filepath.Dir(d)
		err := os.Mkdir(d, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return hint("make", d, parent, err)
		}
		if err != nil { // another process was faster
			if err := mustBeDir(d); err != nil {
				return err
			}
		}
		if err := sync(parent); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// hint names the operation and the path once, and says what to do about it
// where that is known: within is the directory that needs other rights.
func hint(op, path, within string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	advice := ""
	if errors.Is(err, fs.ErrPermission) {
		advice = fmt.Sprintf(": give this user the right to read and write in %s, or name another directory", within)
	}
	return fmt.Errorf("diskfs: %s %s: %w%s", op, path, err, advice)
}

// syncPath makes the names in a directory durable.
func syncPath(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return hint("sync directory", dir, dir, err)
	}
	return closeAfter(f, syncDirHandle(f))
}

// closeAfter closes f and returns the first error.
func closeAfter(f *os.File, err error) error {
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// local turns a name as callers of an afero.Fs spell it into one below the root.
// The root refuses those that lead out of it.
func local(name string) string {
	for name != "" && os.IsPathSeparator(name[0]) {
		name = name[1:]
	}
	if name == "" {
		return "."
	}
	return name
}

// told puts the whole path into an error of the root, which has the name alone.
func (d *FS) told(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return &fs.PathError{Op: op, Path: filepath.Join(d.dir, name), Err: err}
}

// toChange returns an error if nothing may be changed.
func (d *FS) toChange(op, name string) error {
	if d.readOnly {
		return d.told(op, name, errReadOnly)
	}
	return nil
}

// Name names the kind of file system.
func (d *FS) Name() string { return "diskfs" }

// Dir returns the directory, as Open was given it.
func (d *FS) Dir() string { return d.dir }

// Create opens a file for reading and writing, empty.
func (d *FS) Create(name string) (afero.File, error) {
	return d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open opens a file or a directory for reading.
func (d *FS) Open(name string) (afero.File, error) { return d.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile opens a file with the flags of os.OpenFile. Pipes, sockets and devices are
// refused, and not opened.
func (d *FS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	const changes = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND
	if d.readOnly && flag&changes != 0 {
		return nil, d.told("open", name, errReadOnly)
	}
	if err := d.notSpecial(local(name)); err != nil {
		return nil, d.told("open", name, err)
	}
	f, err := d.root.OpenFile(local(name), flag, perm)
	if err != nil {
		return nil, d.told("open", name, err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, d.told("open", name, closeAfter(f, err))
	}
	return &file{File: f, raw: raw, name: name}, nil
}

var errSpecial = errors.New("not a regular file: move it away")

// notSpecial returns an error for a pipe, a socket or a device: to open one may block,
// or do something.
func (d *FS) notSpecial(name string) error {
	const special = fs.ModeNamedPipe | fs.ModeSocket | fs.ModeDevice | fs.ModeCharDevice
	if info, err := d.root.Stat(name); err == nil && info.Mode()&special != 0 {
		return errSpecial
	}
	return nil // what else is wrong is told when it is opened
}

// Mkdir makes a directory; its name is durable after SyncDir of its parent.
func (d *FS) Mkdir(name string, perm os.FileMode) error {
	if err := d.toChange("mkdir", name); err != nil {
		return err
	}
	return d.told("mkdir", name, d.root.Mkdir(local(name), perm))
}

// MkdirAll makes a directory and those missing above it. Their names are durable
// after SyncDir of each parent.
func (d *FS) MkdirAll(name string, perm os.FileMode) error {
	if err := d.toChange("mkdir", name); err != nil {
		return err
	}
	return d.told("mkdir", name, d.root.MkdirAll(local(name), perm))
}

// Remove removes a file or an empty directory.
func (d *FS) Remove(name string) error {
	if err := d.toChange("remove", name); err != nil {
		return err
	}
	return d.told("remove", name, d.root.Remove(local(name)))
}

// RemoveAll removes a name and all below it, if it is there.
func (d *FS) RemoveAll(name string) error {
	if err := d.toChange("remove", name); err != nil {
		return err
	}
	return d.told("remove", name, d.root.RemoveAll(local(name)))
}

// Rename gives a file or directory another name, in one step, in the place of
// a file that has it. It is durable after SyncDir of both directories.
func (d *FS) Rename(oldname, newname string) error {
	err := d.toChange("rename", oldname)
	if err == nil {
		err = d.root.Rename(local(oldname), local(newname))
	}
	if err == nil {
		return nil
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		err = linkErr.Err
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return &os.LinkError{Op: "rename", Old: filepath.Join(d.dir, oldname), New: filepath.Join(d.dir, newname), Err: err}
}

// LinkTo gives a file a second name, in the directory of another FS or of this one:
// the two are one file, whose bytes are kept until both names are removed. It is
// durable after SyncDir of that directory. The error matches errors.ErrUnsupported
// where there are no such links, where the file is no regular one, and where to is no
// FS of this package; it is that of the system where the directories are on two file
// systems.
func (d *FS) LinkTo(name string, to afero.Fs, toName string) error {
	other, ok := to.(*FS)
	if !ok {
		return d.told("link", name, errors.ErrUnsupported)
	}
	if err := other.toChange("link", toName); err != nil {
		return err
	}
	info, err := d.root.Lstat(local(name))
	if err != nil {
		return d.told("link", name, err)
	}
	if !info.Mode().IsRegular() {
		return d.told("link", name, fmt.Errorf("%w: it is no regular file", errors.ErrUnsupported))
	}
	if err := linkBetween(d.root, local(name), other.root, local(toName)); err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return &os.LinkError{Op: "link", Old: filepath.Join(d.dir, name), New: filepath.Join(other.dir, toName), Err: err}
	}
	return nil
}

// Stat tells about a name, following links that stay inside.
func (d *FS) Stat(name string) (os.FileInfo, error) {
	info, err := d.root.Stat(local(name))
	if err != nil {
		return nil, d.told("stat", name, err)
	}
	return info, nil
}

// Chmod changes a name's mode.
func (d *FS) Chmod(name string, mode os.FileMode) error {
	if err := d.toChange("chmod", name); err != nil {
		return err
	}
	return d.told("chmod", name, d.root.Chmod(local(name), mode))
}

// Chown changes a name's owner.
func (d *FS) Chown(name string, uid, gid int) error {
	if err := d.toChange("chown", name); err != nil {
		return err
	}
	return d.told("chown", name, d.root.Chown(local(name), uid, gid))
}

// Chtimes changes a name's times.
func (d *FS) Chtimes(name string, atime, mtime time.Time) error {
	if err := d.toChange("chtimes", name); err != nil {
		return err
	}
	return d.told("chtimes", name, d.root.Chtimes(local(name), atime, mtime))
}

// SyncDir makes the names in a directory durable: files made, renamed and
// removed in it. The error matches errors.ErrUnsupported where there is no such
// sync.
func (d *FS) SyncDir(name string) error {
	f, err := openDir(d.root, local(name))
	if err != nil {
		return d.told("sync directory", name, err)
	}
	return d.told("sync directory", name, closeAfter(f, syncDirHandle(f)))
}
