package crashtest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios/crashtest"
)

// Store is what README.md tests.
type Store = FileStore

func OpenStore(fs afero.Fs, dir string) (*Store, error) { return OpenFileStore(fs, dir) }

// The README's code begins here.

func TestStoreSurvivesPowerLoss(t *testing.T) {
	crashtest.Run(t, crashtest.Subject[*Store]{
		Open:  func(fs afero.Fs) (*Store, error) { return OpenStore(fs, "db") },
		Steps: puts(20), // each: do it, and say what it promised
		Check: func(s *Store, h crashtest.History) error { return h.AckedPresent(s.Get) },
	})
}

// A step is acknowledged when it returns nil. Get(key) is (value string, found bool, err error).
func puts(n int) (steps []crashtest.Step[*Store]) {
	for i := range n {
		key, value := fmt.Sprintf("key-%d", i%5), strings.Repeat(fmt.Sprintf("value-%d ", i), 100) // within one sector nothing tears
		steps = append(steps, crashtest.Put(key, value, func(s *Store) error { return s.Put(key, value) }))
	}
	return steps
}

// The README's code ends here.

// TestREADME compiles what the README shows: each line of its block about
// crashtest is in this file.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for i, block := range strings.Split(string(readme), "```") {
		code, ok := strings.CutPrefix(block, "go\n")
		if i%2 == 0 || !ok || !strings.Contains(code, "crashtest.Run(") {
			continue
		}
		found = true
		for line := range strings.Lines(code) {
			if !strings.Contains(string(here), line) {
				t.Errorf("README.md shows a line that is not compiled here:\n%s", line)
			}
		}
	}
	if !found {
		t.Error("README.md shows no code with crashtest.Run")
	}
}
