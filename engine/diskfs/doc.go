// Package diskfs is a real directory as an afero.Fs, with the syncs, the lock and the
// links that afero lacks.
//
//	"/var/lib/app/log"      missing directories are made, each parent synced
//	        │ Open
//	        ▼
//	     os.Root            no name leaves it: not by "..", not by a link
//	        │ Create, Open, Rename, … SyncDir, TryLock
//	        ▼
//	     *os.File           Read, WriteAt, Sync, … SyncData, Preallocate
//
// Example:
//
//	disk, err := diskfs.Open("data", diskfs.Options{})
//	if err != nil {
//		return err
//	}
//	defer disk.Close()
//	unlock, ok, err := disk.TryLock("lock")
//	if err == nil && !ok {
//		err = errors.New("data is in use")
//	}
//
// # Contract
//
// Names are relative to the directory; a leading slash changes nothing, and ""
// is the directory itself. A name that leads out of it is an error, and so is one of
// a pipe, a socket or a device: no call waits for somebody at the other end.
//
// An error is one line with the operation and the whole path, and matches
// fs.ErrNotExist, fs.ErrExist, fs.ErrPermission or the system's number
// (syscall.ENOSPC) with errors.Is. Reading and writing allocate nothing.
//
// What a name or a byte needs to survive a power loss:
//
//	a file's bytes       Sync; SyncData if its other properties do not matter
//	a name in directory  SyncDir of that directory
//	the directory's own  Open, if it made it; SyncAncestors, whoever made it
//
// # Platforms
//
//	              Linux       macOS            other Unix     Windows
//	Sync          fsync       F_FULLFSYNC      fsync          FlushFileBuffers
//	SyncData      fdatasync   F_FULLFSYNC      fsync          FlushFileBuffers
//	SyncDir       fsync       F_FULLFSYNC      fsync          unsupported
//	Preallocate   fallocate   unsupported      unsupported    unsupported
//	TryLock       flock       flock            flock, BSDs    LockFileEx
//	LinkTo        linkat      linkat           linkat, BSDs   unsupported
//
// Windows compiles, and nothing is claimed for it: a name there is as durable as
// the system makes it, and files that are open cannot always be replaced.
// "Unsupported" is an error that matches errors.ErrUnsupported; a file system
// that cannot do a thing (a directory sync on some network file systems, say)
// answers the same.
package diskfs
