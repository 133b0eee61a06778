// Package weaken makes the syncs of one call site of a program do less than they
// say, over any afero.Fs, to find out who needs them.
//
//	w, err := weaken.Parse("drop Sync engine/rotate.go:(*Log).install<engine/rotate.go:(*Log).freshSegment")
//	disk := w.FS(base)      // returns nil there, and does nothing
//
//	program ──▶ weaken ──▶ faults, simfs, …
//	  │            │
//	  └ two frames ┴─▶ drop | delay | weaken | pass on
//
// # Sites
//
// A call site is an operation (Sync, SyncData, SyncDir) and the innermost two
// frames of the program above the file system: the function that called it, and
// who called that. They are written as FILE:FUNCTION<FILE:FUNCTION, the inner
// one first, so that a plan survives edits. Where a function has several such
// calls, #2 behind it says which of them, in the order of the source. Without
// a number all are meant, and with * in place of the frames all syncs of that
// operation.
//
// # Ways
//
//	drop    the sync returns nil and does nothing
//	delay   it returns nil at once, and takes effect just before the next
//	        operation that changes something: a write, a truncate, a
//	        preallocation, an open that creates or empties, a rename, a remove, a
//	        mkdir, or another sync; never, if none comes. An error then is lost. A
//	        file that is closed meanwhile stays open below.
//	weaken  a full sync of a file becomes a data-only one; one of a directory
//	        does nothing. A data-only sync has nothing weaker.
//
// # Contract
//
// The wrapper may be used from several goroutines if the file system below may.
// It must be the outermost one: the two frames are those above it. Numbers are
// told from the source files, where the program was compiled; where they are
// gone, a sync that could be meant by a number fails and says so.
package weaken
