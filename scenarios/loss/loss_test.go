package loss

import (
	"errors"
	"testing"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

func op(index int, kind simfs.OpKind, path string) simfs.Op {
	return simfs.Op{Index: index, Kind: kind, Path: path}
}

// lost is a choice that kept the first of two versions, of which an operation made
// the second.
func lost(kind simfs.VarKind, path string, by int) explore.Choice {
	return explore.Choice{Var: simfs.Var{Kind: kind, Path: path, Options: []simfs.VarOption{{Op: -1, Size: 0}, {Op: by, Size: 1}}}}
}

// TestMissing: which sync would have kept something, and what became of it.
func TestMissing(t *testing.T) {
	write, sync, data, dir := simfs.OpWrite, simfs.OpSync, simfs.OpSyncData, simfs.OpSyncDir
	failed := op(1, data, "db/a")
	failed.Err = errors.New("EIO")
	for _, c := range []struct {
		name    string
		log     []simfs.Op
		at      int // operations before the crash
		choice  explore.Choice
		of      string
		next    int // index of the sync that was to come; -1: none
		failed  int
		earlier bool
	}{
		{"a file whose sync was next", []simfs.Op{op(0, write, "db/a"), op(1, data, "db/a")}, 1, lost(simfs.VarCell, "db/a", 0), `a sync of the file "db/a"`, 1, -1, false},
		{"another file's sync does not help", []simfs.Op{op(0, write, "db/a"), op(1, data, "db/b")}, 1, lost(simfs.VarSize, "db/a", 0), `a sync of the file "db/a"`, -1, -1, false},
		{"one before the write does not help", []simfs.Op{op(0, sync, "db/a"), op(1, write, "db/a")}, 2, lost(simfs.VarCell, "db/a", 1), `a sync of the file "db/a"`, -1, -1, false},
		{"a file that had another name", []simfs.Op{op(0, write, "db/a.new"), op(1, sync, "./db/a.new")}, 1, lost(simfs.VarCell, "db/a", 0),
			`a sync of the file "db/a" while it was "db/a.new"`, 1, -1, false},
		{"a sync that failed", []simfs.Op{op(0, write, "db/a"), failed}, 2, lost(simfs.VarCell, "db/a", 0), `a sync of the file "db/a"`, -1, 1, false},
		{"a name, and a sync of its file", []simfs.Op{op(0, simfs.OpCreate, "db/a"), op(1, sync, "db/a"), op(2, dir, "/db")}, 2, lost(simfs.VarName, "db/a", 0),
			`a sync of the directory "db"`, 2, -1, false},
		{"a name at the root", []simfs.Op{op(0, simfs.OpMkdir, "db")}, 1, lost(simfs.VarName, "db", 0), `a sync of the directory "."`, -1, -1, false},
		{"a journal", []simfs.Op{op(0, simfs.OpCreate, "db/a"), op(1, sync, "x")}, 1, lost(simfs.VarJournal, "", 0), "a sync of any file or directory", 1, -1, false},
		{"written before the crash before", []simfs.Op{op(0, sync, "db/b")}, 1, lost(simfs.VarCell, "db/a", -2), `a sync of the file "db/a"`, -1, -1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := explore.Moment{Log: []simfs.Op{op(0, write, "db/a")}, At: 1}
			moments := []explore.Moment{before, {Log: c.log, At: c.at}}
			got, ok := Missing(moments, 1, c.choice)
			index := func(o *simfs.Op) int {
				if o == nil {
					return -1
				}
				return o.Index
			}
			if !ok || got.Of != c.of || index(got.Next) != c.next || index(got.Failed) != c.failed || got.Earlier != c.earlier {
				t.Errorf("%v: %q, next %d, failed %d, earlier %v", ok, got.Of, index(got.Next), index(got.Failed), got.Earlier)
			}
			if ops := Writes(moments, 1, c.choice); len(ops) != 1 {
				t.Errorf("written by %v", ops)
			}
		})
	}
	garbage := lost(simfs.VarCell, "db/a", -1)
	if _, ok := Missing([]explore.Moment{{}}, 0, garbage); ok {
		t.Error("nobody has written it, and a sync is missing")
	}
}

// TestOperation: runs count their operations from 0, and those before them from -2
// down.
func TestOperation(t *testing.T) {
	first := explore.Moment{Log: []simfs.Op{op(0, simfs.OpCreate, "a"), op(1, simfs.OpWrite, "a"), op(2, simfs.OpWrite, "a")}, At: 2}
	second := explore.Moment{Log: []simfs.Op{op(0, simfs.OpTruncate, "a")}, At: 1}
	third := explore.Moment{Log: []simfs.Op{op(0, simfs.OpSync, "a")}, At: 0}
	moments := []explore.Moment{first, second, third}
	for at, want := range map[int]struct {
		index, run int
		ok         bool
	}{
		0: {0, 2, true}, 1: {0, 0, false}, -1: {0, -1, false}, -2: {0, 1, true}, -3: {1, 0, true}, -4: {0, 0, true}, -5: {0, -1, false},
	} {
		got, run, ok := Operation(moments, 2, at)
		if ok != want.ok || ok && (got.Index != want.index || run != want.run) {
			t.Errorf("%d: operation %d of run %d, %v", at, got.Index, run, ok)
		}
	}
}
