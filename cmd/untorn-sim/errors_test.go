package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/planted"
)

// TestErrorsPrintsSmallPlans: what untorn-sim errors finds ends in files, of which
// the first is small and fails again.
// exits 1: untorn-sim errors
func TestErrorsPrintsSmallPlans(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "in.plan")
	if err := os.WriteFile(file, []byte("untorn plan 1\nscenario batch\ndisk posix\nset preallocate = -1\nset images = 20\n"+
		"step 1 open\nstep 2 batch 0=\"order-1 placed size=100\"\nstep 3 read\nstep 4 read\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := scenarios.Config{Wrap: planted.DeafToNames}
	var out, errs strings.Builder
	e := &command.Env{Ctx: t.Context(), Stdout: bufio.NewWriter(&out), Stderr: &errs}
	r := errorsRun{form: form{name: "text"}, file: file, plans: filepath.Join(dir, "plans"), config: c}
	if err := r.run(e); command.Code(err) != exitWrong {
		t.Fatalf("got %v, want exit code %d", err, exitWrong)
	}
	if err := e.Stdout.Flush(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "plans", "errors-batch-posix-1.plan")
	for _, want := range []string{"FAIL batch on posix: ", "  cause     ", "  plan was  shrunk from ", "  file      " + path + "\n", "  fault     step="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	p, err := replay.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := replay.Replay(t.Context(), p, c)
	if err != nil || len(again.Failures) == 0 || len(p.Steps) > 2 || len(p.Faults) != 1 {
		t.Errorf("%v, failures %v, of\n%s", err, again.Failures, p.Format())
	}
}
