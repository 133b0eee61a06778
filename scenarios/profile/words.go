package profile

import (
	"fmt"
	"strings"

	"github.com/untorn-db/untorn/simfs"
)

// promise is one guarantee in words.
type promise struct {
	has  func(g simfs.Guarantees) bool
	says string
}

func allPromises() []promise {
	return []promise{
		{func(g simfs.Guarantees) bool { return g.Powersafe }, "powersafe overwrite"},
		{func(g simfs.Guarantees) bool { return !g.SplitRename }, "atomic renames"},
		{func(g simfs.Guarantees) bool { return g.Sequential }, "all operations in order"},
		{func(g simfs.Guarantees) bool { return g.Journal && !g.Sequential }, "metadata operations in order"},
		{func(g simfs.Guarantees) bool { return g.FileSync == simfs.SyncOwnNames }, "a sync of a file that covers its names"},
		{func(g simfs.Guarantees) bool { return g.FileSync == simfs.SyncEarlier }, "a sync of a file that covers the metadata up to its own"},
		{func(g simfs.Guarantees) bool { return g.FileSync == simfs.SyncAll }, "a sync of a file that covers all metadata"},
		{func(g simfs.Guarantees) bool { return g.FileSync == simfs.SyncEverything }, "a sync of a file that covers everything"},
		{func(g simfs.Guarantees) bool { return g.Pages }, "pages written whole"},
		{func(g simfs.Guarantees) bool { return g.Extents }, "writes that are atomic"},
		{func(g simfs.Guarantees) bool {
			return !g.StaleUncovered && !g.GarbageUncovered && !g.SizeAfterData && !g.Sequential
		}, "zeros where a size came before its data"},
		{func(g simfs.Guarantees) bool { return g.StaleUncovered && !g.GarbageUncovered }, "no garbage where a size came before its data"},
		{func(g simfs.Guarantees) bool { return g.SizeAfterData && !g.NewPages }, "sizes that come after their data"},
		{func(g simfs.Guarantees) bool { return g.SizeAfterData && g.NewPages }, "sizes that come after their data, in new pages at least"},
		{func(g simfs.Guarantees) bool { return g.RenameFlush && !g.NewPages }, "renames that flush what replaces a file"},
		{func(g simfs.Guarantees) bool { return g.RenameFlush && g.NewPages }, "renames that flush what replaces a file, in new pages at least"},
		{func(g simfs.Guarantees) bool { return g.DataSyncShrinks }, "data-only syncs that cover a size which shrank"},
	}
}

// words is what guarantees promise beyond the weakest disk that a search knows.
// That renames are atomic is said only where it is in question.
func (s *search) words(g simfs.Guarantees) []string {
	weakest := simfs.Guarantees{StaleUncovered: true, GarbageUncovered: true, SplitRename: s.SplitRename}
	needs := []string{}
	for _, p := range allPromises() {
		if p.has(g) && !p.has(weakest) {
			needs = append(needs, p.says)
		}
	}
	return needs
}

// difference is what h does not promise that g does.
func difference(g, h simfs.Guarantees) string {
	var lost []string
	for _, p := range allPromises() {
		if p.has(g) && !p.has(h) {
			lost = append(lost, p.says)
		}
	}
	return strings.Join(lost, " and ")
}

// Line says it all in one line that a person can quote. name is the program's.
func (r Report) Line(name string) string {
	if len(r.Minimal) == 0 {
		return name + " holds on no disk, not even one that promises everything"
	}
	var sets []string
	for _, m := range r.Minimal {
		text := m.Disk
		switch {
		case len(m.Needs) == 0:
			text = "posix without powersafe overwrite: it needs nothing at all" + m.notEven()
		case len(m.Needs) == 1 && m.Guarantees.Powersafe:
			text = "posix with powersafe overwrite: it needs nothing else" + m.notEven()
		default:
			text += ": it needs " + list(m.Needs)
		}
		sets = append(sets, text)
	}
	how := "exact"
	if !r.Exact {
		how = "bounded: images were sampled"
	}
	return fmt.Sprintf("%s holds on %s (%s)", name, strings.Join(sets, "; or on "), how)
}

// notEven says what few expect to do without.
func (m Set) notEven() string {
	if m.Guarantees.SplitRename {
		return ", not even atomic renames"
	}
	return ""
}

// list is "a, b and c".
func list(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
