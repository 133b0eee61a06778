package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// embedded returns the sections of README.md on the log, and the lines of shell in them.
func embedded() (section string, shell []string, err error) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		return "", nil, err
	}
	for _, title := range []string{"Embed the log", "Operate a log"} {
		_, part, _ := strings.Cut(string(text), "\n## "+title+"\n")
		part, _, _ = strings.Cut(part, "\n## ")
		section += part
	}
	for line := range strings.Lines(section) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			shell = append(shell, strings.TrimSpace(command))
		}
	}
	return section, shell, nil
}

// readme runs what README.md shows of untorn, all of it twice, line by line: who reads it
// again tries it again.
func readme(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: readme")
	}
	_, shell, err := embedded()
	ts.Check(err)
	ran := 0
	for round := range 2 {
		for _, line := range shell {
			if !strings.Contains(line, "bin/untorn ") || strings.HasPrefix(line, "go build ") || strings.HasSuffix(line, " -f") {
				continue
			}
			ran++
			err := ts.Exec("sh", "-c", strings.ReplaceAll(line, "bin/untorn ", "untorn "))
			// What made a new file or log leaves it alone.
			again := round == 1 && (strings.Contains(line, " key --out ") || strings.Contains(line, " restore "))
			if (err != nil) != again {
				ts.Fatalf("%s: %v", line, err)
			}
		}
	}
	if ran < 28 {
		ts.Fatalf("README.md shows %d lines of untorn", ran/2)
	}
}

// TestREADME: the modules and the Examples that README.md names are there, and what its
// lines make is named by .gitignore.
func TestREADME(t *testing.T) {
	section, shell, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := os.ReadFile("../../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/bin/", "/data/"} {
		if !strings.Contains("\n"+string(ignored), "\n"+dir+"\n") {
			t.Errorf(".gitignore does not name %s", dir)
		}
	}
	replaced := 0
	for _, line := range shell {
		command, ok := strings.CutPrefix(line, "go mod edit -replace ")
		if !ok {
			continue
		}
		replaced++
		module, dir, _ := strings.Cut(command, "=../untorn")
		text, err := os.ReadFile(filepath.Join("../..", dir, "go.mod"))
		if err != nil || !strings.HasPrefix(string(text), "module "+module+"\n") {
			t.Errorf("%s: the module there is another one, or none: %v", line, err)
		}
	}
	if replaced != 3 {
		t.Errorf("README.md replaces %d modules", replaced)
	}
	examples := regexp.MustCompile("\\[`(Example\\w*)`\\]\\(([^)]*)\\)").FindAllStringSubmatch(section, -1)
	for _, example := range examples {
		text, err := os.ReadFile(filepath.Join("../..", example[2]))
		if err != nil || !strings.Contains(string(text), "\nfunc "+example[1]+"()") {
			t.Errorf("README.md names %s of %s, which is not there: %v", example[1], example[2], err)
		}
	}
	if len(examples) < 6 {
		t.Errorf("README.md names %d Examples", len(examples))
	}
}
