package real

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
)

func programs(t *testing.T, names ...string) []litmus.Program {
	t.Helper()
	all, err := litmus.All()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(p litmus.Program) bool { return !slices.Contains(names, p.Name) })
}

func TestUnknownSystem(t *testing.T) {
	_, err := Replay(context.Background(), nil, Options{System: "fat"})
	if err == nil || !strings.Contains(err.Error(), `no file system "fat"`) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

// What is missing is named, and is no failure.
func TestMissingToolsAreNamed(t *testing.T) {
	t.Setenv("PATH", "")
	for _, system := range Systems() {
		_, err := Replay(context.Background(), nil, Options{System: system})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.HasPrefix(err.Error(), "real: "+system+": ") {
			t.Errorf("%s: error %v", system, err)
		}
	}
}

// The rest mounts file systems, and runs where it is asked for: LITMUS_REAL=1.
func asked(t *testing.T) {
	t.Helper()
	if os.Getenv("LITMUS_REAL") == "" {
		t.Skip("set LITMUS_REAL=1 to mount file systems on loop devices")
	}
}

func run(t *testing.T, o Options, names ...string) Report {
	t.Helper()
	r, err := Replay(context.Background(), programs(t, names...), o)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A promise that the file system does not make is found to be broken: that a sync
// of one file makes the bytes of another one durable.
func TestWrongPromisesAreFound(t *testing.T) {
	asked(t)
	p, err := litmus.Parse("two", "# Two files\n# One is synced.\ncreate f\ncreate g\nwrite f 0 a*512\nsync g\n----\nallow all: f=a*512 g=\n")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Replay(context.Background(), []litmus.Program{p}, Options{System: "ext4", Against: simfs.Sequential(), Rounds: 5, Seed: 1})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || len(r.Rows) != 1 || len(r.Rows[0].Broken) == 0 {
		t.Errorf("ext4 keeps what it does not promise: %+v, error %v", r, err)
	}
}

// A few programs on each file system, the nested one and one that cannot happen
// among them.
func TestReplay(t *testing.T) {
	asked(t)
	for _, system := range Systems() {
		t.Run(system, func(t *testing.T) {
			r := run(t, Options{System: system, Rounds: 3, Seed: 1}, "replace", "nested-cut-append", "fail-ext4", "rename-directory")
			if len(r.Rows) != 3 || r.Left != 1 {
				t.Fatalf("%d programs, %d left out", len(r.Rows), r.Left)
			}
			for _, row := range r.Rows {
				if len(row.Broken) > 0 || row.Images < 9 || len(row.Observed) == 0 || row.Allowed == 0 {
					t.Errorf("%+v", row)
				}
			}
		})
	}
}
