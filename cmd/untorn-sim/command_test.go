package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command/commandtest"
)

func TestCoverage(t *testing.T)   { commandtest.Coverage(t, program(), os.DirFS(".")) }
func TestCompletion(t *testing.T) { commandtest.Completion(t, program()) }
func TestExamples(t *testing.T) {
	failing, err := filepath.Abs("../../replay/testdata/corpus/batch-torn-at-commit.plan")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	code, certificates, stderr := output("explore", "--events", "1", "--disk", "sequential", "--json")
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, trace, stderr := output("trace", failing, "--json")
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	text, err := os.ReadFile(failing)
	for _, err := range []error{
		err,
		os.Mkdir("failures", 0o755),
		os.WriteFile(filepath.Join("failures", "batch-posix-42-I1.plan"), text, 0o644),
		os.WriteFile("run.jsonl", []byte(`{"scenario":"batch","disk":"posix","seeds":1,"digest":"`+strings.Repeat("0", 64)+`"}`), 0o644),
		os.WriteFile("certificates.json", []byte(certificates), 0o644),
		os.WriteFile("here.jsonl", []byte(trace), 0o644),
		os.WriteFile("there.jsonl", []byte(trace), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	code, _, stderr = output("run", "--seeds", "1-2", "--scenario", "retry", "--time", "1ns", "--state", "failures/interrupted.run")
	if code != exitBudget {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	commandtest.Understood(t, program(), exitFine, exitBudget)
}

func TestManual(t *testing.T) { commandtest.Manual(t, program()) }
