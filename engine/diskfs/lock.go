package diskfs

import (
	"errors"
	"os"
	"strconv"
	"sync"
)

// TryLock takes the lock file of that name, which it makes if it is missing, for
// this process alone; ok is false when somebody else holds it. The system gives
// the lock back when the process dies. unlock gives it back before; calling it
// again does nothing.
//
// The lock is on the open file, so two holders in one process exclude each other
// too. The file holds the process number of who took it last, to be read by a
// person: it proves nothing. Do not remove the file.
func (d *FS) TryLock(name string) (unlock func() error, ok bool, err error) {
	if err := d.toChange("lock", name); err != nil {
		return nil, false, err
	}
	f, ok, err := d.lock(local(name))
	if err != nil || !ok {
		return nil, false, d.told("lock", name, err)
	}
	// For information only, so a full disk does not matter.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	var once sync.Once
	return func() error {
		var err error
		once.Do(func() { err = d.told("unlock", name, closeAfter(f, unlockFile(f))) })
		return err
	}, true, nil
}

// lock opens the file and locks it. It begins again when the file it locked is
// no longer the one of that name, because somebody removed it in between.
func (d *FS) lock(name string) (_ *os.File, ok bool, err error) {
	const tries = 10
	for range tries {
		if err := d.notSpecial(name); err != nil {
			return nil, false, err
		}
		f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, false, err
		}
		ok, err := lockFile(f)
		if err != nil || !ok {
			return nil, false, closeAfter(f, err)
		}
		locked, err := f.Stat()
		if err != nil {
			return nil, false, closeAfter(f, err)
		}
		if named, err := d.root.Stat(name); err == nil && os.SameFile(locked, named) {
			return f, true, nil
		}
		if err := closeAfter(f, unlockFile(f)); err != nil {
			return nil, false, err
		}
	}
	return nil, false, errors.New("somebody keeps removing the lock file: stop it")
}
