// Package real replays litmus programs on the file systems of this machine, and
// asks whether what a power loss leaves is among the outcomes that simfs allows.
//
//	program ──► ext4, xfs or btrfs on a loop device ──► backing file
//	            between operations, by seed:                │ copied after an operation:
//	            write back a page, commit, nothing          ▼ a power loss at that moment
//	                                       mount the copy ──► the tree ∈ allowed?
//
// Example:
//
//	r, err := real.Replay(ctx, programs, real.Options{System: "ext4", Rounds: 4, Seed: 1})
//	if errors.Is(err, errors.ErrUnsupported) {
//		fmt.Println("not run:", err)
//	}
//
// # Contract
//
// It needs Linux, root, a kernel that knows the file system, its mkfs, and a free
// loop device; where one is missing Replay says which, and the error matches
// errors.ErrUnsupported. All files are in a temporary directory, and everything
// that was mounted is unmounted when Replay returns.
//
// A copy holds every request that the file system has sent to the device, in
// order: what is left by a power loss on a device that keeps its promises and does
// not reorder. That is some of what may happen, never something that may not: an
// outcome outside the preset is a mistake of the preset, or of the file system. An
// outcome that never appears proves nothing.
//
// A process kill closes every file; a crash in a program goes on from a copy.
// Programs with failing syncs are left out, and so are the options of a program:
// a real disk is as its preset says.
package real
