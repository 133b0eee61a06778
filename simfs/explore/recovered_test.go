package explore_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

const sector = 512

// twoWrites are two writes, A of two cells and B of one, over zeros that are durable.
func twoWrites() explore.Program {
	fill := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n*sector) }
	return explore.Program{
		Workload: func(run *explore.Run) error {
			f, err := run.FS.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o644)
			if err != nil {
				return err
			}
			if _, err := f.WriteAt(fill('.', 4), 0); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
			if err := run.Disk.SyncDir("."); err != nil {
				return err
			}
			run.Note(explore.Note{Key: "begun"})
			if _, err := f.WriteAt(fill('A', 2), 0); err != nil {
				return err
			}
			run.Note(explore.Note{Key: "A"})
			if _, err := f.WriteAt(fill('B', 1), 2*sector); err != nil {
				return err
			}
			run.Note(explore.Note{Key: "B"})
			return f.Sync()
		},
		Recover: func(run *explore.Run) error {
			if len(run.History) == 0 {
				return nil
			}
			data, err := afero.ReadFile(run.FS, "f")
			if err != nil {
				return err
			}
			text := ""
			for i := 0; i < len(data); i += sector {
				text += string(data[i])
			}
			run.Outcome = fmt.Sprint(len(run.History), " ", text)
			if text == "A.B." {
				return fmt.Errorf("half of A, and B")
			}
			return nil
		},
	}
}

// TestOnRecovered checks what is told of each recovery: what its crash came before,
// what the disk had, and what the program said.
func TestOnRecovered(t *testing.T) {
	want := map[string]string{ // how many notes were made, what was next, what there is; and its kind
		"1 write ....": "newest",
		"1 note AA..":  "newest", "1 note A...": "torn", "1 note .A..": "torn",
		"2 write AA..": "newest", "2 write ....": "prefix", "2 write A...": "torn", "2 write .A..": "torn",
		"2 note AAB.": "newest", "2 note ..B.": "mixed", "2 note A.B.": "torn", "2 note .AB.": "torn",
		"3 sync AAB.": "newest", "3 sync ....": "prefix", "3 sync AA..": "prefix", "3 sync ..B.": "mixed",
		"3 sync A...": "torn", "3 sync .A..": "torn", "3 sync A.B.": "torn", "3 sync .AB.": "torn",
	}
	// The lazy search does not leave out what another crash leaves, too.
	wantLazy := map[string]string{"1 note ....": "prefix", "2 note ....": "prefix", "2 note AA..": "prefix", "2 note A...": "torn", "2 note .A..": "torn"}
	maps.Copy(wantLazy, want)
	for _, test := range []struct {
		lazy  bool
		kinds explore.Kinds
		want  map[string]string
	}{
		{false, explore.Power, want},
		{true, explore.Power, wantLazy},
		{false, explore.Kill, nil},
	} {
		for _, workers := range []int{1, 4} {
			var told []string
			found := map[string]bool{}
			broken := 0
			c := explore.Config{Points: explore.All, Kinds: test.kinds, Lazy: test.lazy, Workers: workers}
			c.OnRecovered = func(r explore.Recovery) {
				told = append(told, fmt.Sprint(r))
				text, ok := r.Outcome.(string)
				if !ok {
					return
				}
				next := "end"
				switch {
				case r.Next.Note:
					next = "note"
				case r.Next.Op != 0:
					next = r.Next.Op.String()
					if r.Next.Path != "f" {
						t.Errorf("%s of %q, want f", next, r.Next.Path)
					}
				}
				notes, text, _ := strings.Cut(text, " ")
				key := notes + " " + next + " " + text
				found[key] = true
				kind := "kill"
				if test.want != nil {
					kind = test.want[key]
				}
				if r.Left.String() != kind {
					t.Errorf("%s is called %s, want %q", key, r.Left, kind)
				}
				if r.Err != nil {
					broken++
				}
				if (r.Err != nil) != (text == "A.B.") || r.Depth != 1 {
					t.Errorf("%s: %v at depth %d", key, r.Err, r.Depth)
				}
			}
			report := mustExplore(t, c, twoWrites())
			if len(told) != report.Recoveries || broken != report.Violated {
				t.Errorf("told of %d recoveries and %d violations, the report of %d and %d", len(told), broken, report.Recoveries, report.Violated)
			}
			for key := range test.want {
				if !found[key] {
					t.Errorf("lazy %v: no crash left %s", test.lazy, key)
				}
			}
			var again []string
			c.OnRecovered = func(r explore.Recovery) { again = append(again, fmt.Sprint(r)) }
			c.Workers = 3
			mustExplore(t, c, twoWrites())
			if !slices.Equal(told, again) {
				t.Errorf("with %d workers and with 3 it is told\n%v\n%v", workers, told, again)
			}
		}
	}
}

// TestLeftGarbage checks that bytes which nobody has written are told from others,
// and power losses behind a kill from those of the workload.
func TestLeftGarbage(t *testing.T) {
	p := explore.Program{
		Workload: func(run *explore.Run) error {
			f, err := run.FS.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o644)
			if err != nil {
				return err
			}
			if err := run.Disk.SyncDir("."); err != nil {
				return err
			}
			_, err = f.WriteAt(bytes.Repeat([]byte{'A'}, sector), 0)
			return err
		},
		Recover: func(run *explore.Run) error {
			data, err := afero.ReadFile(run.FS, "f")
			if err == nil && len(data) > 0 && data[0] != 'A' && data[0] != 0 {
				run.Outcome = "garbage"
			}
			return nil
		},
	}
	kinds, seen := map[explore.Left]int{}, false
	c := explore.Config{Garbage: simfs.Garbage{Block: true}, OnRecovered: func(r explore.Recovery) {
		kinds[r.Left]++
		// Behind the end of the file there may be garbage that the program does not see.
		if r.Depth == 1 && r.Outcome == "garbage" {
			seen = true
			if r.Left != explore.LeftGarbage {
				t.Errorf("%s: the program found garbage", r.Left)
			}
		}
		if (r.Left == explore.LeftReopen) != (r.Depth == 2) {
			t.Errorf("%s at depth %d", r.Left, r.Depth)
		}
	}}
	mustExplore(t, c, p)
	if !seen {
		t.Error("the program found no garbage")
	}
	for _, l := range []explore.Left{explore.LeftNewest, explore.LeftPrefix, explore.LeftGarbage, explore.LeftKill, explore.LeftReopen} {
		if kinds[l] == 0 {
			t.Errorf("no image is %s: %v", l, kinds)
		}
	}
}
