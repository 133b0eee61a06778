package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestREADME: what README.md shows of a search is what it prints.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    (batch, .*\S) +# (explore .*)\n((?:      .*\n)+)`).FindSubmatch(readme)
	if shown == nil {
		t.Fatal("README.md shows no search")
	}
	var out, stderr bytes.Buffer
	if code := run(strings.Fields(string(shown[2])), &out, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	for line := range strings.Lines(string(shown[1]) + "\n" + string(shown[3])) {
		if line = strings.TrimSpace(line); !strings.Contains(out.String(), line) {
			t.Errorf("README.md shows %q, this is printed:\n%s", line, out.String())
		}
	}
}
