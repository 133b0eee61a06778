// Package faults makes chosen operations of a file system fail, lie or damage
// what they move, over any afero.Fs, the real one included.
//
//	program ──► faults.FS ──► a file system: simfs, a real directory, …
//	              │   ▲
//	  counts each │   │ "step=3 write seg #2: short 100"
//	  operation   ▼   │
//	      (step, operation, class of path, ordinal within the step)
//
// Example:
//
//	fault, err := faults.Parse("step=3 write seg #2: short 100")
//	disk := faults.New(base, []faults.Fault{fault}, faults.Options{})
//	for n, step := range steps {
//		disk.SetStep(n)
//		step(disk)
//	}
//	fmt.Println(disk.Fired())    // what went wrong
//	fmt.Println(disk.NotFired()) // what never came up or cannot happen here, and why
//	fmt.Println(disk.Budget())   // what the program must survive
//
// # The text of a fault
//
// A fault is one line, and Parse reads exactly what String prints:
//
//	step=S OPERATION CLASS #ORDINAL: KIND ARGUMENTS
//
// S is the number last given to SetStep (0 before that), OPERATION one of
//
//	open create mkdir readdir stat rename remove lock syncdir      of the file system
//	read readat write writeat truncate preallocate sync syncdata close      of a file
//
// CLASS what Options.Classify says of the path ("dir" for mkdir, readdir and
// syncdir; a rename belongs to the class of its old name), and ORDINAL the place,
// from 1, among the operations that match the rest. A star in place of S, CLASS or
// ORDINAL stands for all of them: with a star for S, operations are counted over
// the whole run ("step=* sync * #3" is the third sync anywhere), with a star for
// ORDINAL, each is hit. A class other than letters, digits, dots, dashes and
// underscores is written as a quoted Go string.
//
//	fail EIO                any operation      has no effect and returns the error; close closes
//	short 100 [ENOSPC]      write, writeat     moves the first 100 bytes, all where there are fewer, and returns EIO,
//	                                           or what is named
//	short 100               read               returns at most 100 bytes and no error, which is legal
//	short 100 [EIO]         readat             returns the first 100 bytes and the error
//	enospc 4096             write, writeat,    from here on files may grow by 4096 bytes in all; the write
//	                        preallocate        that goes beyond is short and returns ENOSPC; then there is room again
//	enospc 4096 delayed M   the same           the write succeeds; the file's next sync fails as in mode M, with ENOSPC
//	flip 77                 reads and writes   the 78th bit of what is moved is the other one
//	zero 2                  reads and writes   what is moved in the third sector that is touched is zeros
//	stale 2                 writes             what is moved in the third sector that is touched does not reach the disk
//	misdirect -512          reads and writes   the bytes come from, or go to, 512 bytes before their place
//	lose                    writes             succeeds; the file has its size and none of the bytes
//	failsync M              sync, syncdata,    fails as in mode M: ext4, xfs, ext4-data, btrfs, keep-dirty, shutdown;
//	                        syncdir            or lies: silent
//	held                    lock               somebody else holds it
//	slow 250ms              any operation      takes so long in simulated time
//
// Bits and sectors are counted modulo their number, so that a fault still hits
// when the write has become shorter. What is stale, lost or misdirected leaves a
// hole where the file grows; misdirected bytes do not go beyond the file's end.
// Bytes inside a file's size need no new room.
//
// A word at the end says how long it lasts. Without one, the fault happens to the
// operations that its key names. "sticky": from the first one on it happens to
// every operation of that kind and class, in whatever step; a budget stays used
// up. "here", of a read's fail, flip and zero: the sector that it hit is bad from
// now on, for every read through any handle, until it is written, cut off or
// removed; "fail EIO here" hits the first sector that the read asks for.
//
// # The contract
//
// At most one fault hits an operation (of several, the first in the list that
// can), apart from slow ones, which add up. A fault that hit is in Fired. All
// others are in NotFired, each with its reason: its key never came up, the
// operation gave it nothing to do, the file system cannot do it (failsync needs a
// FailSync method below, see [SyncFailer]), or it is no valid fault.
//
// Errors are those of a real system: *fs.PathError, for a rename *os.LinkError,
// around the errno.
//
// FS has the optional methods SyncDir, TryLock and FailSync, and its files
// SyncData and Preallocate; where the file system below lacks them they answer
// errors.ErrUnsupported and are not counted. A class follows a file that is
// renamed, on open handles too. Seek, Chmod, Chown and Chtimes pass, uncounted;
// MkdirAll counts as one mkdir, RemoveAll as one remove, an open that may create
// as create.
//
// The same faults over the same operations give the same results. FS may be used
// from several goroutines if the file system below may; ordinals then depend on
// who comes first.
package faults
