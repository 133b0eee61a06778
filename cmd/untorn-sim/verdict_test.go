package main

import (
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/scenarios/synclab"
	"github.com/untorn-db/untorn/scenarios/tamper"
)

// TestVerdicts: what the log of this module never gives rise to ends a command all the
// same as it should.
// exits 1: untorn-sim syncfail, tamper
func TestVerdicts(t *testing.T) {
	lost := synclab.Cell{Bad: []synclab.Failure{{Err: "lost"}}}
	for _, c := range []struct {
		name string
		err  error
		code int
	}{
		{"no sync failed badly", syncfailVerdict(&synclab.Table{Cells: []synclab.Cell{{}}}), exitFine},
		{"one sync failed badly", syncfailVerdict(&synclab.Table{Cells: []synclab.Cell{{}, lost}}), exitWrong},
		{"every mutation was named", tamperVerdict(&tamper.Report{}), exitFine},
		{"one mutation was not named", tamperVerdict(&tamper.Report{Found: 1}), exitWrong},
	} {
		if code := command.Code(c.err); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.name, code, c.code)
		}
	}
}
