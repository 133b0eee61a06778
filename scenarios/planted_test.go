package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
)

// A planted bug is a disk below the log that does not do what one line of the
// log asked of it. Each must be found by a scenario: what no scenario finds is
// a sync that nobody needs, or a hole in the scenarios.

// plantedSeeds is how many seeds of each scenario may look for a planted bug.
const plantedSeeds = 10

// corners are plans that lead to where the seeds above come too seldom: each
// names its scenario, whose way of searching it uses.
func corners() map[string]string {
	const head = "untorn plan 1\nscenario %s\ndisk posix\nset preallocate = -1\nset deviation = 1\nset images = 2000\nset allpoints = true\n"
	return map[string]string{
		"a sync by the timer, and who reads what it covered": fmt.Sprintf(head, "mixed") +
			"step 1 open\nstep 2 batch buffered=true 0=\"s t size=700\"\nstep 3 advance by=20ms\nstep 4 read\n",
		"a sync of buffered events": fmt.Sprintf(head, "mixed") +
			"step 1 open\nstep 2 batch buffered=true 0=\"s t size=700\"\nstep 3 sync\n",
		"a wait for buffered events": fmt.Sprintf(head, "mixed") +
			"step 1 open\nstep 2 batch buffered=true 0=\"s t size=700\"\nstep 3 wait\n",
		"a close with buffered events": fmt.Sprintf(head, "mixed") +
			"step 1 open\nstep 2 batch 0=\"s t size=100\"\nstep 3 batch buffered=true 0=\"s t size=3000\"\nstep 4 close\n",
		"buffered events, a kill, and no room to carry them": fmt.Sprintf(head, "nospace") +
			"step 1 open\nstep 2 batch 0=\"s t size=100\"\nstep 3 batch buffered=true 0=\"s t size=700\"\nstep 4 crash kind=kill\nstep 5 open\nstep 6 read\n" +
			"fault step=5 create new #1: fail ENOSPC\n",
	}
}

// unfound argues why a sync that no scenario misses is there all the same.
func unfound() map[string]string {
	return map[string]string{
		"Sync < writeEnd": "without END a log that was closed opens as one that was not: nothing is lost, but opening writes, and damage to the last group " +
			"looks like a tear; found by TestACleanCloseIsLeftAlone and TestNoLossGoesUnnoticed of the engine",
		"Sync < prepare < beginLog": "the zeros of the first segment keep out what another log left on the same blocks before it was deleted; " +
			"found by TestADeletedLogDoesNotComeBack",
		"Sync < prepare < nextSegment < rotate": "the same code as in prepareAhead, which is found; here nobody has prepared the segment",
	}
}

func TestEverySyncIsNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: for each sync of the log, seeds of every scenario until one finds out")
	}
	sites := syncSites(t)
	if len(sites) == 0 {
		t.Fatal("the log never syncs")
	}
	for _, site := range sites {
		t.Run(site, func(t *testing.T) {
			finding := find(t, func(at string) bool { return at == site })
			switch reason, argued := unfound()[site]; {
			case finding != "" && argued:
				t.Errorf("found by %s, though the table says: %s", finding, reason)
			case finding != "":
				t.Logf("found by %s", finding)
			case argued:
				t.Logf("not found, as argued: %s", reason)
			default:
				t.Errorf("no scenario misses this sync: drop it, extend a scenario, or argue in the table")
			}
		})
	}
}

func TestADiskThatLiesIsFound(t *testing.T) {
	for _, planted := range []struct {
		name string
		lies func(site string) bool
	}{
		{"every sync", func(string) bool { return true }},
		{"every sync of a file", func(site string) bool { return !strings.HasPrefix(site, "SyncDir") }},
		{"every sync of data only", func(site string) bool { return strings.HasPrefix(site, "SyncData") }},
		{"every sync of a directory", func(site string) bool { return strings.HasPrefix(site, "SyncDir") }},
	} {
		t.Run(planted.name, func(t *testing.T) {
			finding := find(t, planted.lies)
			if finding == "" {
				t.Fatal("no scenario finds it")
			}
			t.Logf("found by %s", finding)
		})
	}
}

// find runs the scenarios, seed after seed, over a disk that lies at some sites,
// and says which one found out first, and how. A sound disk must find nothing,
// which the other tests of this package see to.
func find(t *testing.T, lies func(site string) bool) string {
	t.Helper()
	list := corners()
	for seed := uint64(1); seed <= plantedSeeds; seed++ {
		if seed == 4 {
			for _, name := range slices.Sorted(maps.Keys(list)) {
				if violation := runLying(t, parsed(t, list[name]), lies); violation != "" {
					return fmt.Sprintf("a corner, %s: %s", name, violation)
				}
			}
		}
		for _, name := range Names() {
			p, err := Draw(name, "posix", seed)
			if err != nil {
				t.Fatal(err)
			}
			if violation := runLying(t, p, lies); violation != "" {
				return fmt.Sprintf("%s, seed %d: %s", name, seed, violation)
			}
		}
	}
	return ""
}

// TestCornersAreSound runs the corners on a disk that does not lie.
func TestCornersAreSound(t *testing.T) {
	for name, text := range corners() {
		if violation := runLying(t, parsed(t, text), func(string) bool { return false }); violation != "" {
			t.Errorf("%s: %s", name, violation)
		}
	}
}

func parsed(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runLying runs a plan on a lying disk and returns what came of it, in a line.
func runLying(t *testing.T, p *plan.Plan, lies func(site string) bool) (violation string) {
	t.Helper()
	r, err := Run(context.Background(), p, Config{Wrap: func(base afero.Fs) afero.Fs { return &lyingFS{Fs: base, lies: lies} }})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) == 0 {
		return ""
	}
	text, _, _ := strings.Cut(r.Violations[0].Err.Error(), "\n")
	return text
}

// syncSites runs the scenarios and lists every place of the log that syncs.
func syncSites(t *testing.T) []string {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	note := func(site string) bool {
		mu.Lock()
		defer mu.Unlock()
		seen[site] = true
		return false
	}
	for _, name := range Names() {
		for seed := uint64(1); seed <= 4; seed++ {
			p, err := Draw(name, "posix", seed)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Run(context.Background(), p, Config{Wrap: func(base afero.Fs) afero.Fs { return &lyingFS{Fs: base, lies: note} }}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// lyingFS answers the syncs of some call sites without doing them.
type lyingFS struct {
	afero.Fs
	lies func(site string) bool
}

type lyingFile struct {
	afero.File
	fs *lyingFS
}

func (l *lyingFS) Create(name string) (afero.File, error) { return l.file(l.Fs.Create(name)) }
func (l *lyingFS) Open(name string) (afero.File, error)   { return l.file(l.Fs.Open(name)) }

func (l *lyingFS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	return l.file(l.Fs.OpenFile(name, flag, perm))
}

func (l *lyingFS) file(f afero.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return &lyingFile{f, l}, nil
}

func (l *lyingFS) SyncDir(name string) error {
	if l.lies(site("SyncDir")) {
		return nil
	}
	if s, ok := l.Fs.(interface{ SyncDir(string) error }); ok {
		return s.SyncDir(name)
	}
	return errors.ErrUnsupported
}

func (l *lyingFS) TryLock(name string) (func() error, bool, error) {
	if s, ok := l.Fs.(interface {
		TryLock(string) (func() error, bool, error)
	}); ok {
		return s.TryLock(name)
	}
	return nil, false, errors.ErrUnsupported
}

func (f *lyingFile) Sync() error {
	if f.fs.lies(site("Sync")) {
		return nil
	}
	return f.File.Sync()
}

func (f *lyingFile) SyncData() error {
	if f.fs.lies(site("SyncData")) {
		return nil
	}
	if s, ok := f.File.(interface{ SyncData() error }); ok {
		return s.SyncData()
	}
	return errors.ErrUnsupported
}

func (f *lyingFile) Preallocate(offset, length int64) error {
	if s, ok := f.File.(interface{ Preallocate(int64, int64) error }); ok {
		return s.Preallocate(offset, length)
	}
	return errors.ErrUnsupported
}

// helpers of the log sync on behalf of whoever calls them.
var helpers = []string{"syncDir", "syncData", "syncNames", "install", "freshSegment", "prepare", "nextSegment", "create", "syncWritten"}

// site names the operation and the engine's innermost frames: the helpers, up
// to the function that wanted the sync.
func site(op string) string {
	var pcs [24]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	text := op
	for {
		frame, more := frames.Next()
		name, ok := strings.CutPrefix(frame.Function, "github.com/untorn-db/untorn/engine.")
		if ok {
			name = name[strings.LastIndex(name, ")")+1:] // without the receiver
			name = strings.TrimPrefix(name, ".")
			text += " < " + name
			if !slices.Contains(helpers, name) {
				return text
			}
		}
		if !more {
			return text
		}
	}
}
