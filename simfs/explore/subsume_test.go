package explore_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// A remaker recovers like a log that begins a new segment: it makes a file anew
// beside the one that counts, syncs it, and renames it. So each crash leaves what
// the one before it left, or nothing, or the new file.
type remaker struct {
	how string // what becomes of a file that an earlier recovery left

	mu   sync.Mutex
	seen map[string]bool // what recoveries found, guarded by mu
}

func (r *remaker) program() explore.Program {
	return explore.Program{
		Workload: func(run *explore.Run) error {
			if err := afero.WriteFile(run.FS, "log", nil, 0o644); err != nil {
				return err
			}
			if err := syncDir(run.FS, "."); err != nil {
				return err
			}
			return r.remake(run)
		},
		Recover: func(run *explore.Run) error {
			found := describe(run.FS, "new", run.Disk.CellSize()) + " " + describe(run.FS, "log", run.Disk.CellSize())
			r.mu.Lock()
			r.seen[found] = true
			r.mu.Unlock()
			return r.remake(run)
		},
	}
}

func (r *remaker) remake(run *explore.Run) error {
	flag := os.O_RDWR | os.O_CREATE
	switch r.how {
	case "removed":
		_ = run.FS.Remove("new") // it may not be there
	case "cut":
		flag |= os.O_TRUNC
	}
	f, err := run.FS.OpenFile("new", flag, 0o644)
	if err != nil {
		return err
	}
	size := run.Disk.CellSize()
	b := make([]byte, 2*size)
	for i := range b { // the two halves differ, and so do two recoveries
		b[i] = byte(run.Entropy>>(8*(i%size%7)))&^3 | 1<<(i/size)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := run.FS.Rename("new", "log"); err != nil {
		return err
	}
	return syncDir(run.FS, ".")
}

// describe says what a file is like, whatever was random in it: of each cell
// whether it is zeros, and whether it comes from the same recovery as the one
// before it.
func describe(fsys afero.Fs, name string, size int) string {
	f, err := fsys.Open(name)
	if err != nil {
		return "none"
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	const alike = 0xfcfcfcfcfcfcfcfc
	var s strings.Builder
	fmt.Fprintf(&s, "%d:", len(b))
	for at := 0; at < len(b); at += size {
		switch zeros := strings.Trim(string(b[at:min(at+size, len(b))]), "\x00") == ""; {
		case zeros:
			s.WriteByte('0')
		case at > 0 && binary.LittleEndian.Uint64(b[at:])&alike == binary.LittleEndian.Uint64(b[at-size:])&alike:
			s.WriteByte('=')
		default:
			s.WriteByte('x')
		}
	}
	return s.String()
}

// TestSubsumedPartByPart: what is left out because its parts are among what was
// searched, was searched. The lazy search finds each disk that the eager one finds,
// and to a fixpoint no fewer.
func TestSubsumedPartByPart(t *testing.T) {
	for _, how := range []string{"removed", "cut", "overwritten"} {
		for _, g := range simfs.Presets() {
			search := func(lazy bool, depth int) (explore.Report, []string) {
				r := &remaker{how: how, seen: map[string]bool{}}
				report := mustExplore(t, explore.Config{
					Guarantees: g, Lazy: lazy, Depth: depth, Kinds: explore.Power, Exhaustive: 1 << 16, MaxPerPoint: 1 << 16,
				}, r.program())
				if !report.Exact || report.Violated > 0 {
					t.Fatalf("%s on %s, depth %d, lazy %v: %s %v", how, g.Name, depth, lazy, report.Why, report.Err())
				}
				return report, slices.Sorted(maps.Keys(r.seen))
			}
			for depth := range 3 {
				_, want := search(false, depth)
				depths := []int{depth}
				if depth == 2 {
					depths = append(depths, explore.Fixpoint)
				}
				for _, depth := range depths {
					lazy, got := search(true, depth)
					if !slices.Equal(got, want) {
						t.Errorf("%s on %s, depth %d: found\n%q\nwant\n%q", how, g.Name, depth, got, want)
					}
					if depth != 0 && lazy.Subsumed == 0 {
						t.Errorf("%s on %s, depth %d: no crash point was left out", how, g.Name, depth)
					}
				}
			}
		}
	}
}
