package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
)

// TestFiles: each file in the directory is called what it is, by the writer, by a
// reader beside it, and in a damaged log.
func TestFiles(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	readOnly := func(salvage bool) *engine.Log {
		t.Helper()
		o := m.seams()
		o.ReadOnly, o.Salvage = true, salvage
		return openDir(t, o)
	}
	check := func(log *engine.Log, want ...string) {
		t.Helper()
		files, err := log.Files()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range files {
			got = append(got, fmt.Sprintf("%s %v %d", f.Name, f.Kind, f.Segment))
			if info, err := m.disk.Stat("log/" + f.Name); err != nil || !info.IsDir() && info.Size() != f.Size {
				t.Errorf("%s has %d bytes, want %d, %v", f.Name, f.Size, info.Size(), err)
			}
		}
		is(t, "the files", got, want)
	}
	early := readOnly(false)
	for i := range 5 {
		appended(t, log, big(fmt.Sprint(i), 20_000)) // two of them are a segment
	}
	segments := []string{"000000000001.seg segment 1", "000000000002.seg segment 2", "000000000003.seg segment 3"}
	check(log, append(segments, "LOCK lock 0")...)
	check(early, append(segments, "LOCK lock 0")...) // it has not looked since they came
	if err := errors.Join(
		afero.WriteFile(m.disk, "log/000000000007.seg", make([]byte, 9000), 0o644),
		afero.WriteFile(m.disk, "log/000000000004.new", []byte("half"), 0o644),
		afero.WriteFile(m.disk, "log/1.seg", nil, 0o644),
		m.disk.Mkdir("log/others", 0o755),
	); err != nil {
		t.Fatal(err)
	}
	rest := []string{"000000000004.new unfinished 4", "000000000007.seg prepared 7", "1.seg foreign 0", "LOCK lock 0", "others foreign 0"}
	check(log, append(segments, rest...)...)
	check(readOnly(false), append(segments, rest...)...)

	third, err := afero.ReadFile(m.disk, "log/000000000003.seg")
	if err != nil {
		t.Fatal(err)
	}
	// A segment under the name of another, as a copy gone wrong leaves it.
	if err := afero.WriteFile(m.disk, "log/000000000009.seg", third, 0o644); err != nil {
		t.Fatal(err)
	}
	salvaged := readOnly(true)
	check(salvaged, append(segments, rest[0], rest[1], "000000000009.seg refused 9", rest[2], rest[3], rest[4])...)
	closed(t, salvaged)
	if _, err := salvaged.Files(); !errors.Is(err, engine.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("of a closed log: %v", err)
	}
}
