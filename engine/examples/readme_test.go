// Package examples_test keeps README.md true to the examples.
package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestREADME: each line of code that README.md shows in its section on the examples
// is in one of them, and so is each program.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Examples\n")
	section, _, found := strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("README.md has no section on the examples")
	}
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code += string(text)
		if run := "go run ./engine/examples/" + filepath.Dir(name); !strings.Contains(section, run) {
			t.Errorf("README.md does not say %s", run)
		}
	}
	lines := 0
	for i, block := range strings.Split(section, "```") {
		if i%2 == 0 {
			continue
		}
		for line := range strings.Lines(strings.TrimPrefix(block, "go\n")) {
			lines++
			if strings.TrimSpace(line) != "…" && !strings.Contains(code, line) {
				t.Errorf("README.md shows a line that is not compiled here:\n%s", line)
			}
		}
	}
	if lines == 0 {
		t.Error("README.md shows no code")
	}
}
