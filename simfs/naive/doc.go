// Package naive lists every image that may be on a disk after a power loss, by
// the dumbest way there is: it writes down what each operation of a small program
// left pending, tries every combination, and keeps those that the rules allow.
//
//	program ──► Run: what is pending, what syncs made durable ──► every combination
//	                                                                   │ the preset's rules
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
// The rules, each a function of its own in rules.go:
//
//	                posix         ext4          writeback    xfs        btrfs           sequential
//	cells           each alone    a page (or each cell, if Tear)        a write         ⎫
//	grown size      any           where its page is          …as ext4   with the write  ⎬ a prefix of
//	names, cut and  any subset in                                       a prefix, synced⎪ the operations
//	reserved sizes  name order    a prefix of all of them               names ahead     ⎭
//	uncovered bytes old, or zero  zero          old, or zero zero       zero
//
// In posix sizes are no part of the prefix, since there is none. Bytes that no
// write covered are old bytes or zeros; other garbage is not modelled.
package naive
