package explore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/explore"
)

// TestNoCrashBeforeAnExplanation: what the last operation did is known at every
// crash behind it, where the note says so; and where it does not, there is a
// crash between the two.
func TestNoCrashBeforeAnExplanation(t *testing.T) {
	for _, change := range []explore.Change{explore.Explains, explore.Either} {
		for _, lazy := range []bool{false, true} {
			report, err := explore.Explore(context.Background(), explore.Config{Kinds: explore.Kill, Lazy: lazy}, explore.Program{
				Workload: func(run *explore.Run) error {
					if err := run.FS.Mkdir("made", 0o777); err != nil {
						return err
					}
					run.Note(explore.Note{Key: "it was made", Change: change})
					return run.FS.Mkdir("more", 0o777)
				},
				Recover: func(run *explore.Run) error {
					made, err := afero.DirExists(run.FS, "made")
					if made && len(run.History) == 0 {
						return errors.New("nobody knows who made it")
					}
					return err
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if told := report.Violated == 0; told != (change == explore.Explains) || report.Recoveries < 3 {
				t.Errorf("change %d, lazy %t: %d violations in %d recoveries", change, lazy, report.Violated, report.Recoveries)
			}
		}
	}
}
