// Package simfs is a simulated disk: a complete afero.Fs that also tells what a
// crash could leave of it.
//
//	disk := simfs.New(simfs.Options{Guarantees: simfs.Ext4()})
//	f, _ := disk.Create("a")
//	f.Write([]byte("hello"))                       // pending: not on the platter
//	image := disk.Crash(simfs.PowerLoss)           // every image that may be there now
//	for _, v := range image.Vars() {               // what is undecided in it
//		fmt.Println(v)
//	}
//	after := image.Mount(simfs.Oldest())           // a running disk; a choice per first read
//	_, err := after.Open("a")                      // fs.ErrNotExist: the name was not durable
//	disk.Create("b")                               // the first disk goes on unharmed
//
// One structure is both the running disk and the set of images:
//
//	           live          on the platter
//	cell       current   +   none: the same, or a chain of versions, one of which is there
//	size       current   +   the same
//	name       inode     +   the same
//
//	chain of this epoch    pending: reads see the live value, a sync drops the chain
//	the same, marked clean a failed sync: reads see the live value, a sync leaves it
//	chain of an older one  undecided: the first read asks the Chooser
//
// A crash shares everything and raises the epoch, so it costs O(files) and a
// second crash is what the first one left and what recovery wrote. Chunks of 16
// cells are copied when their owner changes.
//
// # What ties variables together
//
// Versions that must come together hang on an atom: a rename (two names), an
// extent of btrfs (cells and size), a metadata operation of a journal. Deciding
// one variable applies the atoms up to the chosen version and drops those after
// it; a chain always holds exactly the versions that are still possible, so a
// Chooser is never offered an illegal one. In a journal (Guarantees.Journal)
// applying an atom applies all before it, dropping one drops all after it. The
// first metadata operation on an image decides the journal as a whole.
//
// # How the guarantees are read
//
//   - With Guarantees.Pages and without Tear the cell is the page: CellSize is
//     raised to 4,096.
//   - A name takes any version since its last sync; only a rename ties two names.
//     A directory that is not there hides what is in it, a file renamed into it
//     included.
//   - Of the metadata operations a file sync covers on ext4 and xfs, the last is the
//     last one on this file: create, rename, truncate. Growing by a write is none.
//   - A data-only sync covers the file's cells, and drops every size smaller than
//     the live one; nothing else, on any preset, unless the size needs the journal.
//   - An extent is one write. Two writes that touch a common page, or that both
//     grow the file, reach the platter in order.
//   - A size grown by a write needs the whole page of its last byte, as the page was
//     after that write. A rename that replaces a file needs the file's data of that
//     moment; later data may be there without the rename. With NewPages a page that
//     the file may not lose by any cut that is pending holds back neither.
//   - Where there is a journal, what a cut takes away of whole pages goes with the
//     cut. The rest of the page where the file then ends is zeroed like any write
//     (ext4, xfs): the zeros may be there without the cut, not the cut without them.
//   - Modes, owners and times are not part of what a crash can lose.
//
// # Concurrency and determinism
//
// An FS and its files may be used from several goroutines. Nothing here reads a
// clock or draws randomness; the same operations and the same choices give the
// same images, hashes and variables in every process and on every platform.
package simfs
