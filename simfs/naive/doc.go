// Package naive lists every image that may be on a disk after a power loss, by
// the dumbest way there is: it writes down what each operation of a small program
// left pending, tries every combination, and keeps those that the rules allow.
//
//	program ──► what is pending, what syncs made durable ──► every combination
//	                                                               │ the preset's rules
//	                 "-", "f=", "f=a*512", …   ◄── the whole tree ◄────┘
//
// It is there to be compared with simfs, and shares no line with it: no lazy
// decision, no sharing, no cleverness. It suits programs of ten operations on
// files of a few cells.
//
// Example:
//
//	p, _ := naive.Parse("create f; write f 0 a*512")
//	images, _ := naive.Images(p, naive.Options{Preset: "ext4", Cell: 512})
//	// "-", "f=", "f=a*512": the name may be missing, the size is never past the data
//
// # Contract
//
// The rules are functions in rules.go, each with its sentence of the model:
//
//	                   posix     ext4      ext4-wb.  xfs       btrfs          sequential
//	reaches the        a cell    a page    a page    a page    a write, pages ⎫
//	platter together             (a cell, with Tear)           in order       ⎪
//	size that a        any       with its  any       with its  with the       ⎪ a prefix
//	write made                   page (*)            page      write          ⎬ of the
//	names              any in    a prefix of all names, cuts   and a synced   ⎪ operations
//	                   order     and reservations              one's ahead    ⎪
//	cut, reserved      any       in that prefix                               ⎪
//	rename replacing   –         after     –         –         –              ⎭
//	a file                       data (*)
//
//	sync also covers   –         names and sizes up to the last   its own
//	                             of its own                    names
//
// (*) where the page was not on the platter before; its size then needs the first
// bytes of the page.
//
// "In order" is the order on one name. A sync of a directory covers what it does
// for a file, and the names in it. A data-only sync covers the cells and a size
// that grew; outside posix a cut as well.
//
// A cut has its zeros with it; those in the page where it ends the file, and what
// is written there later, may be on the platter before the cut (not on btrfs).
//
// Bytes that the size covers and no write are zeros, or in posix what was cut off
// there; garbage, failed syncs, split renames and disks without powersafe
// overwrite are not modelled.
package naive
