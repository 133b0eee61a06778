package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/diskfs"
)

// What afero lacks. A file system or file that has these methods is asked; the
// answer errors.ErrUnsupported means: fall back.
type (
	dirSyncer interface {
		SyncDir(name string) error
	}
	locker interface {
		TryLock(name string) (unlock func() error, ok bool, err error)
	}
	dataSyncer interface {
		SyncData() error
	}
	preallocator interface {
		Preallocate(offset, length int64) error
	}
	linker interface {
		LinkTo(name string, to afero.Fs, toName string) error
	}
)

const (
	lockName  = "LOCK"
	lockPause = 10 * time.Millisecond
	fileMode  = 0o644
	dirMode   = 0o755
)

// directory is the one place where the log's files are.
type directory struct {
	fs   afero.Fs
	dir  string       // "." for the root of fs
	real *diskfs.FS   // fs, when this package opened it
	sync func() error // makes the directory's own name, and its parents', durable

	// Of a backup that is verified before it is a log.
	unfinished bool              // the mark is not looked at
	renamed    map[string]string // under what other names files lie
}

// openDirectory returns the log's directory, created if it is not there, with
// every new name durable in its parent.
func openDirectory(o Options) (*directory, error) {
	if o.FS == nil {
		real, err := diskfs.Open(o.Dir, diskfs.Options{ReadOnly: o.ReadOnly})
		if err != nil {
			return nil, err
		}
		return &directory{fs: real, dir: ".", real: real, sync: real.SyncAncestors}, nil
	}
	d := &directory{fs: o.FS, dir: path.Clean("./" + o.Dir)}
	d.sync = func() error {
		for dir := d.dir; dir != "." && dir != "/"; {
			dir = path.Dir(dir)
			if err := syncDir(d.fs, dir); err != nil {
				return err
			}
		}
		return nil
	}
	if path.IsAbs(o.Dir) {
		d.dir = path.Clean(o.Dir)
	}
	if o.ReadOnly {
		return d, nil
	}
	return d, d.create(d.dir)
}

func (d *directory) create(dir string) error {
	if dir == "." || dir == "/" {
		return nil
	}
	info, err := d.fs.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file: name a directory", dir)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.create(path.Dir(dir)); err != nil {
		return err
	}
	if err := d.fs.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // sync makes the name durable, before there is a first segment
}

func (d *directory) close() error {
	if d.real != nil {
		return d.real.Close()
	}
	return nil
}

func (d *directory) path(name string) string {
	if d.dir == "." {
		return name
	}
	return strings.TrimSuffix(d.dir, "/") + "/" + name
}

// names lists the directory of a log. It fails with ErrUnfinished if what is there is
// none yet.
func (d *directory) names() ([]string, error) {
	names, err := d.list()
	if err != nil {
		return nil, err
	}
	if !d.unfinished && slices.Contains(names, unfinishedName) {
		return nil, ErrUnfinished
	}
	for name := range d.renamed {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// list lists the directory, whatever is in it.
func (d *directory) list() ([]string, error) {
	handle, err := d.fs.Open(d.dir)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	return handle.Readdirnames(-1)
}

// has reports whether there is a file of that name.
func (d *directory) has(name string) bool {
	_, err := d.fs.Stat(d.path(name))
	return err == nil
}

func (d *directory) open(name string, flag int) (afero.File, error) {
	if other, ok := d.renamed[name]; ok {
		name = other
	}
	return d.fs.OpenFile(d.path(name), flag, fileMode)
}

// createNew creates a file in place of one of that name, which is not written to.
func (d *directory) createNew(name string) (afero.File, error) {
	if err := d.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return d.open(name, createNew)
}

// link gives a file the same name in another directory, too. It fails wherever the
// file systems cannot do that.
func (d *directory) link(name string, to *directory) error {
	l, ok := d.fs.(linker)
	if !ok {
		return errors.ErrUnsupported
	}
	return l.LinkTo(d.path(name), to.fs, to.path(name))
}

func (d *directory) remove(name string) error { return d.fs.Remove(d.path(name)) }

func (d *directory) rename(from, to string) error { return d.fs.Rename(d.path(from), d.path(to)) }

// syncNames makes the names in the directory durable.
func (d *directory) syncNames() error { return syncDir(d.fs, d.dir) }

// lock takes the writer's lock, waiting at most wait for another holder.
func (d *directory) lock(wait time.Duration, waits Waits) (unlock func() error, err error) {
	l, ok := d.fs.(locker)
	if !ok {
		return func() error { return nil }, nil
	}
	for {
		unlock, ok, err := l.TryLock(d.path(lockName))
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return func() error { return nil }, nil
		case err != nil:
			return nil, err
		case ok:
			return unlock, nil
		case wait <= 0:
			return nil, ErrLocked
		}
		pause := waits.Signal("the log's lock")
		waits.After(min(wait, lockPause), pause.Set)
		if err := pause.Wait(context.Background()); err != nil {
			return nil, err
		}
		wait -= lockPause
	}
}

func syncDir(fsys afero.Fs, dir string) error {
	if s, ok := fsys.(dirSyncer); ok {
		if err := s.SyncDir(dir); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	handle, err := fsys.Open(dir)
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.Sync()
}

func syncData(f afero.File) error {
	if s, ok := f.(dataSyncer); ok {
		if err := s.SyncData(); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return f.Sync()
}

// preallocate reserves room, where the file system can.
func preallocate(f afero.File, offset, length int64) error {
	if p, ok := f.(preallocator); ok {
		if err := p.Preallocate(offset, length); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// writeAt writes all of b, or says why not.
func writeAt(f afero.File, b []byte, offset int64) error {
	n, err := f.WriteAt(b, offset)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
