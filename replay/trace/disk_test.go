package trace_test

import (
	"reflect"
	"testing"

	"github.com/untorn-db/untorn/replay/trace"
)

func TestDisk(t *testing.T) {
	var disk trace.Disk
	pending := func() (list []trace.Change) { return disk.Pending() }
	s := sample()
	for i := range s.Entries[:11] {
		disk.Apply(s.Entries[i].Changes)
	}
	want := []trace.Change{
		{Of: trace.OfName, File: 1, Path: "log/1.seg", State: trace.Pending, By: 2},
		{Of: trace.OfSize, File: 1, Path: "log/1.seg", Size: 1200, State: trace.Pending, By: 7},
		{Of: trace.OfCells, File: 1, Path: "log/1.seg", From: 0, To: 3, State: trace.Pending, By: 7},
	}
	if got := pending(); !reflect.DeepEqual(got, want) {
		t.Errorf("pending before the crash: %+v, want %+v", got, want)
	}
	disk.Apply(s.Entries[11].Changes)
	if got := pending(); got != nil {
		t.Errorf("pending behind the crash: %+v", got)
	}
	if f := disk.Files[1]; f.Size.Size != 1100 || f.Cells[0].State != trace.Torn || f.Cells[1].State != trace.Kept {
		t.Errorf("behind the crash: %+v", f)
	}
	// A rename: two names are pending, and the file has the new one.
	disk.Apply([]trace.Change{
		{Of: trace.OfName, File: 1, Path: "log/1.seg", State: trace.Pending, By: 12, Removal: true},
		{Of: trace.OfName, File: 1, Path: "a", State: trace.Pending, By: 12},
	})
	if f := disk.Files[1]; f.Path != "a" || len(pending()) != 2 {
		t.Errorf("behind a rename: %+v, pending %+v", f, pending())
	}
	for _, c := range []struct {
		state trace.State
		there []bool // log/1.seg, a
	}{{trace.Kept, []bool{false, true}}, {trace.Lost, []bool{true, false}}, {trace.Durable, []bool{false, true}}} {
		var after trace.Disk
		after.Apply([]trace.Change{
			{Of: trace.OfName, File: 1, Path: "log/1.seg", State: c.state, Removal: true},
			{Of: trace.OfName, File: 1, Path: "a", State: c.state},
		})
		_, old := after.Names["log/1.seg"]
		_, fresh := after.Names["a"]
		if old != c.there[0] || fresh != c.there[1] {
			t.Errorf("a rename that was %s: the old name is there: %v, the new one: %v", c.state, old, fresh)
		}
	}
}

func TestMerged(t *testing.T) {
	cells := func(file, from, to int, state trace.State) trace.Change {
		return trace.Change{Of: trace.OfCells, File: file, From: from, To: to, State: state}
	}
	got := trace.Merged([]trace.Change{
		cells(2, 0, 1, trace.Lost), cells(1, 3, 4, trace.Lost), cells(1, 1, 2, trace.Lost), cells(1, 2, 3, trace.Lost), cells(1, 4, 5, trace.Kept), cells(1, 6, 7, trace.Kept),
		{Of: trace.OfSize, File: 1}, {Of: trace.OfName, Path: "b"}, {Of: trace.OfName, Path: "a"},
	})
	want := []trace.Change{
		{Of: trace.OfName, Path: "a"}, {Of: trace.OfName, Path: "b"}, {Of: trace.OfSize, File: 1},
		cells(1, 1, 4, trace.Lost), cells(1, 4, 5, trace.Kept), cells(1, 6, 7, trace.Kept), cells(2, 0, 1, trace.Lost),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
