package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuide plants the bug of replay/GUIDE.md in the engine, runs each line of the
// guide, and takes the bug out again where the guide does. What the guide shows is
// what is printed.
func TestGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the command twice and shrinks a failure: left out with -short")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the guide is for a POSIX shell, and there is no bash here")
	}
	guide, err := os.ReadFile("../../replay/GUIDE.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := buildWith(t, dir, overlay(t, dir, string(guide)))
	var printed string
	ran, shown := 0, 0
	blocks := regexp.MustCompile("(?m)^    (.+)$|^```(?:diff)?\n((?s:.*?))^```$|^(## The fix)$")
	for _, block := range blocks.FindAllStringSubmatch(string(guide), -1) {
		line, show := block[1], block[2]
		switch {
		case block[3] != "":
			program = buildWith(t, dir, "")
		case line != "":
			// What a line prints is checked, its exit code is not: most of them are to fail.
			command := exec.Command("bash", "-c", strings.ReplaceAll(line, "go run ./cmd/untorn-sim", program))
			command.Dir = dir
			out, err := command.CombinedOutput()
			if err != nil && command.ProcessState == nil {
				t.Fatalf("%s: %v", line, err)
			}
			printed, ran = string(out), ran+1
		case !strings.HasPrefix(show, "--- a/"): // what a line has printed
			shown++
			// The engine's lines may move.
			place := regexp.MustCompile(`\.go:[0-9]+`)
			rest, show := place.ReplaceAllString(printed, ".go:#"), place.ReplaceAllString(show, ".go:#")
			for want := range strings.Lines(show) {
				for part := range strings.SplitSeq(strings.TrimSuffix(want, "\n"), "…") {
					if strings.TrimSpace(part) == "" {
						continue
					}
					at := strings.Index(rest, part)
					if at < 0 {
						t.Fatalf("the guide shows %q, which does not follow in\n%s", part, printed)
					}
					rest = rest[at+len(part):]
				}
			}
		}
	}
	if ran < 6 || shown < 4 {
		t.Errorf("%d lines and %d outputs were found in the guide: the test looks for the wrong marks", ran, shown)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !strings.Contains(string(page), "I11") {
		t.Errorf("the report: %v, %d bytes", err, len(page))
	}
}

// overlay plants the guide's diff, and returns the file that tells the compiler so.
func overlay(t *testing.T, dir, guide string) string {
	t.Helper()
	diff := regexp.MustCompile("(?m)^\\+\\+\\+ b/(.+)\n@@ (func .+)\n((?:-.*\n)+)").FindStringSubmatch(guide)
	if diff == nil {
		t.Fatal("the guide has no diff")
	}
	path, err := filepath.Abs(filepath.Join("..", "..", diff[1]))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	taken := regexp.MustCompile("(?m)^-").ReplaceAllString(diff[3], "")
	before, after, found := strings.Cut(string(source), diff[2])
	head, tail, there := strings.Cut(after, taken)
	if !found || !there || strings.Contains(head, "\nfunc ") {
		t.Fatalf("%s has no longer what the guide takes out of %s", diff[1], diff[2])
	}
	planted := filepath.Join(dir, "planted.go")
	list := filepath.Join(dir, "overlay.json")
	table, err := json.Marshal(map[string]map[string]string{"Replace": {path: planted}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{planted: before + diff[2] + head + tail, list: string(table)} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// buildWith builds the command, with an overlay if there is one.
func buildWith(t *testing.T, dir, overlay string) string {
	t.Helper()
	program := filepath.Join(dir, "untorn-sim")
	out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
