package simfs_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/untorn-db/untorn/simfs"
)

// TestBehindATornWrite: the first operation behind a write that a kill has cut is
// another one: what the two made are two versions, and a power loss may leave either.
func TestBehindATornWrite(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	f, err := disk.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	var cut *simfs.FS
	disk.Observe(func(op simfs.Op) {
		if op.Kind == simfs.OpWrite {
			cut = disk.CloneTorn(1)
		}
	})
	if _, err := f.WriteAt(slices.Repeat([]byte{2}, 2048), 0); err != nil {
		t.Fatal(err)
	}
	next := cut.Crash(simfs.ProcessKill).Mount(nil)
	if f, err = next.OpenFile("f", os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(slices.Repeat([]byte{1}, 1024), 0); err != nil {
		t.Fatal(err)
	}
	var sizes, cells []string
	for _, v := range next.Crash(simfs.PowerLoss).Vars() {
		for _, o := range v.Options {
			switch {
			case v.Kind == simfs.VarSize:
				sizes = append(sizes, fmt.Sprint(o.Op, " ", o.Size))
			case v.Kind == simfs.VarCell && v.Cell == 0:
				cells = append(cells, fmt.Sprint(o.Op))
			}
		}
	}
	if want := []string{"-1 0", "-2 512", "0 1024"}; !slices.Equal(sizes, want) {
		t.Errorf("operations and sizes %q, want %q", sizes, want)
	}
	if want := []string{"-1", "-2", "0"}; !slices.Equal(cells, want) {
		t.Errorf("operations of cell 0 %q, want %q", cells, want)
	}
}
