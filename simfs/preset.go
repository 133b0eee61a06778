package simfs

import (
	"fmt"
	"strings"
)

// PageSize is the unit in which a file system writes data back and in which a
// failed sync marks data clean, in bytes.
const PageSize = 4096

// SyncScope says what a sync of a file makes durable besides its cells and size.
type SyncScope uint8

// What else a sync of one file covers.
const (
	SyncAlone      SyncScope = iota // nothing else
	SyncAll                         // every metadata operation up to now
	SyncEarlier                     // every metadata operation up to the last one on this file
	SyncOwnNames                    // the names of this file, and what they replaced
	SyncEverything                  // every operation up to now, data included
)

// Guarantees is what one file system promises about a power loss. The presets
// are plain values of it; change a field of a copy to ask "what if".
type Guarantees struct {
	Name string // "posix", "ext4", …

	// Journal: directory operations and the sizes set by truncate, O_TRUNC and
	// preallocation reach the platter as a prefix of their order. Without it any
	// subset does that respects the order on one name. Whole pages that were cut off
	// go with the cut; zeros in the page where the file then ends may come before it.
	Journal bool
	// Sequential: every operation is in the journal, writes included.
	Sequential bool
	// Pages: the cells of one 4 KiB page reach the platter together, unless Tear.
	Pages bool
	// Tear: a sector may tear inside a page.
	Tear bool
	// Extents: each write is atomic over all its cells and the size it grew.
	Extents bool
	// SizeAfterData: a size grown by a write is on the platter only with the page
	// that holds its last byte.
	SizeAfterData bool
	// NewPages: SizeAfterData and RenameFlush hold only for pages that are not on
	// the platter yet. A size that grows inside one that is may be there alone.
	NewPages bool
	// StaleUncovered and GarbageUncovered: cells that the size covers before their
	// data came may hold an earlier content of the block, or a garbage block.
	// Options.Garbage switches either on.
	StaleUncovered, GarbageUncovered bool
	// FileSync says what a sync of a file makes durable besides the file.
	FileSync SyncScope
	// SplitRename: a rename is three steps (the target goes, the new name comes,
	// the old name goes) and a crash may fall between them.
	SplitRename bool
	// RenameFlush: a rename that replaces a file is on the platter only with the
	// data and the size which the new file had by then.
	RenameFlush bool
	// DataSyncShrinks: a data-only sync also covers a size that shrank.
	DataSyncShrinks bool
	// Powersafe: a write never harms bytes that it did not touch. Without it the
	// untouched rest of a partly written 4 KiB block may become garbage.
	Powersafe bool
	// SyncFailures names the modes of FailSync that can happen here, separated by
	// spaces; see FailSync.
	SyncFailures string
}

// Posix promises what POSIX promises, and nothing else. It is the default.
func Posix() Guarantees {
	return Guarantees{
		Name: "posix", StaleUncovered: true, GarbageUncovered: true, FileSync: SyncAlone, Powersafe: true,
		SyncFailures: "ext4 xfs ext4-data btrfs keep-dirty shutdown silent",
	}
}

// Ext4 is ext4 with data=ordered, without fast commits. A sync commits the
// transaction of the last change to the file; where that was committed before, it
// commits nothing (ext4_fsync_journal in fs/ext4/fsync.c waits for i_sync_tid), so
// what happened to other files since then is not covered. Only blocks that a write
// allocates are ordered: a size that grows inside a block which is on the platter
// is in the journal at once (ext4_da_should_update_i_disksize in fs/ext4/inode.c),
// and a rename flushes what waits for its allocation (ext4_alloc_da_blocks).
func Ext4() Guarantees {
	return Guarantees{
		Name: "ext4", Journal: true, Pages: true, SizeAfterData: true, NewPages: true, FileSync: SyncEarlier, RenameFlush: true,
		DataSyncShrinks: true, Powersafe: true, SyncFailures: "ext4 ext4-data keep-dirty shutdown silent",
	}
}

// Ext4Writeback is ext4 with data=writeback: metadata does not wait for data.
func Ext4Writeback() Guarantees {
	return Guarantees{
		Name: "ext4-writeback", Journal: true, Pages: true, StaleUncovered: true, FileSync: SyncEarlier,
		DataSyncShrinks: true, Powersafe: true, SyncFailures: "ext4 ext4-data keep-dirty shutdown silent",
	}
}

// XFS is xfs: a replaced file's data is not flushed, and a sync of a file covers
// metadata up to the last operation on that file.
func XFS() Guarantees {
	return Guarantees{
		Name: "xfs", Journal: true, Pages: true, SizeAfterData: true, FileSync: SyncEarlier,
		DataSyncShrinks: true, Powersafe: true, SyncFailures: "xfs keep-dirty shutdown silent",
	}
}

// Btrfs is btrfs: extents are atomic, and a synced file's names may run ahead of
// the metadata operations before them. A rename that replaces a file begins to
// write the new file's data and waits for none of it (Linux since 3.17: "btrfs:
// disable strict file flushes for renames and truncates").
func Btrfs() Guarantees {
	return Guarantees{
		Name: "btrfs", Journal: true, Pages: true, Extents: true, FileSync: SyncOwnNames,
		DataSyncShrinks: true, Powersafe: true, SyncFailures: "btrfs keep-dirty shutdown silent",
	}
}

// Sequential is the kindest disk: a prefix of all operations is there.
func Sequential() Guarantees {
	return Guarantees{
		Name: "sequential", Journal: true, Sequential: true, FileSync: SyncEverything, DataSyncShrinks: true,
		Powersafe: true, SyncFailures: "keep-dirty shutdown silent",
	}
}

// Presets returns the six presets, the weakest promise first.
func Presets() []Guarantees {
	return []Guarantees{Posix(), Ext4Writeback(), XFS(), Ext4(), Btrfs(), Sequential()}
}

// PresetNames returns their names, in the same order.
func PresetNames() []string {
	var names []string
	for _, g := range Presets() {
		names = append(names, g.Name)
	}
	return names
}

// PresetByName returns the preset of that name.
func PresetByName(name string) (Guarantees, error) {
	for _, g := range Presets() {
		if g.Name == name {
			return g, nil
		}
	}
	return Guarantees{}, fmt.Errorf("simfs: no preset %q: choose one of %s", name, strings.Join(PresetNames(), " "))
}
