// Package fscheck tells whether an afero.Fs does what storage code relies on.
//
// An interface says which methods a file system has, not what they do. Storage
// code relies on much more: that a short ReadAt says io.EOF, that a rename
// replaces its target in one step, that a handle outlives its file's name.
//
//	        your file system                      TestFS
//	afero.Fs ──── Create, Rename, … ────►  fscheck-0/create/…   one directory
//	  + SyncDir, TryLock                   fscheck-0/rename/…   for each check,
//	afero.File + SyncData, Preallocate     …                    removed at the end
//	                                             │
//	                                             ▼
//	                       every problem, joined: "Rename: the target is missing …"
//
// Example:
//
//	func TestMyFS(t *testing.T) {
//		if err := fscheck.TestFS(myfs.New()); err != nil {
//			t.Error(err) // one line for each problem
//		}
//	}
//
// # Contract
//
// TestFS works in a directory of its own, which it makes in the file system's
// working directory or root (names are relative) and removes at the end. It
// uses the file system from several goroutines at once, since readers do.
//
// The optional methods are found by type assertion and may answer
// errors.ErrUnsupported:
//
//	SyncDir(name string) error                                   of the file system
//	TryLock(name string) (unlock func() error, ok bool, err error)
//	SyncData() error                                             of a file
//	Preallocate(offset, length int64) error
//
// Not looked at: permissions, owners, times, links, and durability itself, which
// cannot be seen without cutting the power.
package fscheck
