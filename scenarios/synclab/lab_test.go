package synclab_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/scenarios/synclab"
	"github.com/untorn-db/untorn/simfs"
)

func run(t *testing.T, p synclab.Program, c synclab.Config) *synclab.Table {
	t.Helper()
	table, err := synclab.Run(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// verdicts are the cells of a mode, in the order of the columns, shortened.
func verdicts(t *synclab.Table, mode string) (list []string) {
	for i := range t.Cells {
		if c := &t.Cells[i]; slices.Contains(strings.Split(c.Mode, ", "), mode) {
			word, _, _ := strings.Cut(c.Verdict(), ":")
			list = append(list, word)
		}
	}
	return list
}

// TestEngine lets one sync of two stories fail; untorn-sim syncfail takes all.
func TestEngine(t *testing.T) {
	table := run(t, synclab.Engine(), synclab.Config{Sites: 1, Stories: short()})
	if table.Bad() || len(table.Sites) != 2 || len(table.Cells) != 48 {
		t.Fatalf("%d sites, %d cells:\n%s", len(table.Sites), len(table.Cells), table)
	}
	for i := range table.Cells {
		c := &table.Cells[i]
		lies := c.Mode == "silent" || c.Mode == "ext4-data"
		if want := synclab.OK; c.Verdict() != want && !lies || c.Images == 0 || c.Fired != len(table.Sites) {
			t.Errorf("%+v: %s", c, c.Verdict())
		}
		if lies && (c.Verdict() != synclab.Unavoidable) {
			t.Errorf("%+v: %s, though the sync has lied", c, c.Verdict())
		}
	}
}

// TestEveryCallSite: the stories come to every place where the engine syncs.
func TestEveryCallSite(t *testing.T) {
	table := run(t, synclab.Engine(), synclab.Config{Modes: []faults.Mode{}})
	seen := map[string]bool{}
	for _, s := range table.Sites {
		seen[s.Call] = true
		if s.Story == "" || !strings.HasPrefix(s.Fault, "step=") {
			t.Errorf("%+v", s)
		}
	}
	for _, call := range []string{
		"engine.syncData < engine.(*Log).syncWritten",           // a group
		"engine.(*Log).seal < engine.(*Log).rotate",             // a full segment
		"engine.(*Log).prepare < engine.(*Log).nextSegment",     // the next one
		"engine.(*Log).prepare < engine.(*recovering).beginLog", // the first one
		"engine.(*Log).install < engine.(*Log).freshSegment",    // in place of doubtful bytes
		"engine.syncDir < engine.(*directory).syncNames",        // names
		"engine.syncDir < engine.openDirectory.func1",           // the directory's own name
		"engine.(*Log).writeEnd < engine.(*Log).Close",          // the end
	} {
		if !seen[call] {
			t.Errorf("no story syncs in %s", call)
		}
		delete(seen, call)
	}
	for call := range seen {
		t.Errorf("a sync in %s, which is not expected", call)
	}
}

// short are the stories that take little time.
func short() []string { return []string{"a new store", "a process was killed"} }

// TestTheLabBites: a program that believes the second answer of a sync, one that
// believes the page cache, and one that does neither.
func TestTheLabBites(t *testing.T) {
	const ok, bad, lost = "ok", "BAD", "acknowledged data lost"
	for _, c := range []struct {
		program synclab.Program
		mode    faults.Mode
		want    []string // same handle: restart, power loss (retries, gives up); reopened: the same
	}{
		// fsyncgate: the second sync succeeds, and the record is not on the disk.
		{naive{}, faults.Ext4, []string{bad, bad, bad, bad, bad, bad, bad, bad}},
		{naive{}, faults.Btrfs, []string{bad, bad, bad, bad, bad, bad, bad, bad}},
		{naive{}, faults.KeepDirty, []string{ok, ok, ok, ok, ok, ok, ok, ok}},
		// The caller is told; but opened again, the store takes what is in the page
		// cache for durable, and a retry for done, and the power takes it away.
		{naive{trusting: true}, faults.Ext4, []string{bad, bad, ok, ok, bad, bad, bad, ok}},
		{naive{trusting: true}, faults.KeepDirty, []string{ok, ok, ok, ok, ok, ok, ok, ok}},
		{careful{}, faults.Ext4, []string{ok, ok, ok, ok, ok, ok, ok, ok}},
		{careful{}, faults.Btrfs, []string{ok, ok, ok, ok, ok, ok, ok, ok}},
		{careful{}, faults.KeepDirty, []string{ok, ok, ok, ok, ok, ok, ok, ok}},
		{careful{}, faults.Shutdown, []string{ok, ok, ok, ok, ok, ok, ok, ok}},
		{careful{}, faults.Silent, []string{lost, lost, lost, lost, lost, lost, lost, lost}},
	} {
		table := run(t, c.program, synclab.Config{Modes: []faults.Mode{c.mode}, Sites: 3, Stories: short()[:1]})
		if got := verdicts(table, string(c.mode)); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s, %s:\n got %q\nwant %q\n%.3000s", c.program.Name(), c.mode, got, c.want, table)
		}
	}
}

// TestModesOfADisk: what the disk does not know cannot happen.
func TestModesOfADisk(t *testing.T) {
	table := run(t, careful{}, synclab.Config{Disk: simfs.XFS(), Sites: 1, Stories: short()})
	for mode, want := range map[string]string{
		"xfs": synclab.OK, "ext4-data": synclab.CannotHappen, "btrfs": synclab.CannotHappen, "keep-dirty": synclab.OK, "shutdown": synclab.OK,
	} {
		for _, got := range verdicts(table, mode) {
			if got != want {
				t.Errorf("%s: %s, want %s\n%s", mode, got, want, table)
			}
		}
	}
}

// TestWorkers: the same table for any number of workers.
func TestWorkers(t *testing.T) {
	c := synclab.Config{Modes: []faults.Mode{faults.Ext4}, Sites: 3, Stories: short()[:1], Workers: 1}
	want := run(t, naive{}, c).String()
	for _, c.Workers = range []int{2, 8} {
		if got := run(t, naive{}, c).String(); got != want {
			t.Errorf("with %d workers\n%s\nwith one\n%s", c.Workers, got, want)
		}
	}
}
