package explore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/explore"
)

// TestFrom: no crash of the workload comes before the note that From waits for,
// and all that come behind it are those of a run without From.
func TestFrom(t *testing.T) {
	moments := func(from func(explore.Note) bool) (all []string) {
		report, err := explore.Explore(t.Context(), explore.Config{Points: explore.All, MaxViolations: 1 << 20, Workers: 1, From: from}, explore.Program{
			Workload: func(run *explore.Run) error {
				for _, name := range []string{"a", "b", "c"} {
					if err := afero.WriteFile(run.FS, name, []byte(name), 0o644); err != nil {
						return err
					}
					run.Note(explore.Note{Key: name})
				}
				return nil
			},
			Recover: func(run *explore.Run) error {
				return fmt.Errorf("%d notes", len(run.History))
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range report.Violations {
			all = append(all, v.String())
		}
		return all
	}
	want := slices.DeleteFunc(moments(nil), func(v string) bool { return strings.HasPrefix(v, "0 notes") || strings.HasPrefix(v, "1 notes") })
	got := moments(func(n explore.Note) bool { return n.Key == "b" })
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("with From:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if none := moments(func(explore.Note) bool { return false }); len(none) > 0 {
		t.Errorf("From never says true, and all the same there was %s", none[0])
	}
}
