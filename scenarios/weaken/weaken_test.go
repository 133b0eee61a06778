package weaken

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
)

func TestParse(t *testing.T) {
	for _, text := range []string{
		"drop Sync *",
		"delay SyncDir engine/directory.go:syncDir<engine/directory.go:openDirectory.func1",
		"weaken Sync engine/rotate.go:(*Log).install#2<engine/rotate.go:(*Log).freshSegment#1",
		"drop SyncData a/b/c.go:T.f",
	} {
		w, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if w.String() != text {
			t.Errorf("%s: printed as %s", text, w)
		}
	}
	for text, problem := range map[string]string{
		"":                                "begins with no mode",
		"skip Sync *":                     "begins with no mode",
		"drop":                            "begins with no operation",
		"drop Fsync *":                    "begins with no operation",
		"drop Sync":                       "is no place",
		"drop Sync rotate":                "is no place",
		"drop Sync rotate.go:":            "is no place",
		"drop Sync rotate.go:f#0":         "write a number from 1",
		"drop Sync rotate.go:f#x":         "write a number from 1",
		"drop Sync rotate.go:f<":          "is no place",
		"drop Sync rotate.go:f<a.go:b<c":  "is no place",
		"weaken SyncData engine/a.go:f":   "cannot be done to SyncData",
		"drop Sync engine/rotate.py:f":    "is no place",
		"drop Sync engine/rotate.go:f  g": "is no place",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want %q", text, err, problem)
		}
	}
}

// The program under test.

func save(t *testing.T, disk afero.Fs, name, text string) {
	t.Helper()
	f, err := disk.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := flush(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func flush(f afero.File) error { return f.Sync() }

func twice(disk afero.Fs) error {
	s := disk.(interface{ SyncDir(string) error })
	if err := s.SyncDir("."); err != nil {
		return err
	}
	return s.SyncDir(".")
}

const saved = "Sync scenarios/weaken/weaken_test.go:flush<scenarios/weaken/weaken_test.go:save"

// left is what a power loss surely leaves.
func left(disk *simfs.FS) string {
	text, err := afero.ReadFile(disk.Crash(simfs.PowerLoss).Mount(simfs.Oldest()), "a")
	if errors.Is(err, fs.ErrNotExist) {
		return "no file"
	}
	return string(text)
}

func weakened(t *testing.T, text string) (*simfs.FS, afero.Fs, *Weakening) {
	t.Helper()
	disk := simfs.New(simfs.Options{Guarantees: simfs.Ext4()})
	w, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return disk, w.FS(disk), w
}

func TestDrop(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"drop " + saved, "no file"},
		{"drop Sync *", "no file"},
		{"drop Sync scenarios/weaken/weaken_test.go:flush", "no file"},
		{"drop SyncData *", "x"},
		{"drop " + strings.Replace(saved, ":save", ":saves", 1), "x"},
		{"drop " + strings.Replace(saved, ":flush", ":flushes", 1), "x"},
		{"drop " + strings.Replace(saved, "weaken_test", "weaken", 1), "x"},
	} {
		disk, program, w := weakened(t, c.text)
		save(t, program, "a", "x")
		if got := left(disk); got != c.want {
			t.Errorf("%s: left %q, want %q", c.text, got, c.want)
		}
		if (w.Hits() > 0) != (c.want != "x") {
			t.Errorf("%s: %d hits", c.text, w.Hits())
		}
	}
}

// A delayed sync takes effect before whatever changes something next, even if its
// file was closed, and covers nothing that came later.
func TestDelay(t *testing.T) {
	changes := map[string]func(afero.Fs) error{
		"write":    func(d afero.Fs) error { return afero.WriteFile(d, "b", []byte("y"), 0o600) },
		"remove":   func(d afero.Fs) error { d.Remove("none"); return nil },
		"mkdir":    func(d afero.Fs) error { return d.Mkdir("d", 0o700) },
		"mkdirall": func(d afero.Fs) error { return d.MkdirAll("d/e", 0o700) },
		"rename":   func(d afero.Fs) error { return d.Rename("c", "e") },
		"syncdir":  func(d afero.Fs) error { return d.(interface{ SyncDir(string) error }).SyncDir(".") },
		"removeall": func(d afero.Fs) error {
			return d.RemoveAll("none")
		},
	}
	for name, change := range changes {
		disk, program, _ := weakened(t, "delay "+saved)
		if err := afero.WriteFile(disk, "c", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		save(t, program, "a", "x")
		if got := left(disk); got != "no file" {
			t.Errorf("%s: left %q before it", name, got)
		}
		if _, err := afero.ReadFile(program, "a"); err != nil {
			t.Fatal(err)
		}
		if got := left(disk); got != "no file" {
			t.Errorf("%s: a read let the sync take effect", name)
		}
		if err := change(program); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := left(disk); got != "x" {
			t.Errorf("%s: left %q after it", name, got)
		}
	}
	disk, program, _ := weakened(t, "delay "+saved)
	f, _ := program.Create("a")
	f.WriteString("x")
	if err := func() error { return flush(f) }(); err != nil { // another caller
		t.Fatal(err)
	}
	if got := left(disk); got != "x" {
		t.Errorf("another caller's sync is delayed: %q", got)
	}
}

func TestWeaken(t *testing.T) {
	disk, program, _ := weakened(t, "weaken "+saved)
	save(t, program, "a", "x")
	if got := left(disk); got != "no file" {
		t.Errorf("a data-only sync made a name durable: %q", got)
	}
	if err := disk.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if got := left(disk); got != "x" {
		t.Errorf("a weakened sync did not sync the data: %q", got)
	}
	disk, program, w := weakened(t, "weaken SyncDir *")
	if err := afero.WriteFile(disk, "a", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := twice(program); err != nil || left(disk) != "no file" || w.Hits() != 2 {
		t.Errorf("weakened syncs of a directory: %v, left %q, %d hits", err, left(disk), w.Hits())
	}
}

// Two syncs of one function have numbers, in the order of the source.
func TestNumbers(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	var watcher Watcher
	if err := twice(watcher.FS(disk)); err != nil {
		t.Fatal(err)
	}
	var sites []string
	for _, c := range watcher.Calls() {
		sites = append(sites, c.Site.String())
	}
	const at = "SyncDir scenarios/weaken/weaken_test.go:twice"
	if !slices.EqualFunc(sites, []string{at + "#1", at + "#2"}, func(a, b string) bool { return strings.HasPrefix(a, b+"<") }) {
		t.Fatalf("sites %q", sites)
	}
	if again := watcher.Calls(); len(again) > 0 {
		t.Errorf("seen again: %v", again)
	}
	for _, c := range []struct {
		text string
		hits int64
	}{{at, 2}, {at + "#1", 1}, {at + "#2", 1}, {at + "#3", 0}, {sites[1], 0}} {
		_, program, w := weakened(t, "drop "+c.text)
		if err := twice(program); err != nil || w.Hits() != c.hits {
			t.Errorf("drop %s: %v, %d hits, want %d", c.text, err, w.Hits(), c.hits)
		}
	}
}

func TestPlain(t *testing.T) {
	disk := Plain(simfs.New(simfs.Options{}))
	if _, ok := disk.(interface{ SyncDir(string) error }); ok {
		t.Error("a plain disk has SyncDir")
	}
	f, err := disk.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.(interface{ SyncData() error }); ok {
		t.Error("a plain file has SyncData")
	}
	w, _ := Parse("drop Sync *")
	g, err := w.FS(disk).Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.(interface{ SyncData() error }).SyncData(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("SyncData of what has none: %v", err)
	}
	if err := w.FS(disk).(interface{ SyncDir(string) error }).SyncDir("."); !errors.Is(err, errors.ErrUnsupported) || w.Hits() > 0 {
		t.Errorf("SyncDir of what has none: %v, %d hits", err, w.Hits())
	}
}
