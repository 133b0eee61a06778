package commandtest

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/untorn-db/untorn/cmd/internal/command"
)

// Examples is the command of testscript "examples COMMAND…". It runs every example of
// the program in bash, where it stands, first those of the commands that are named: what
// they make is there for the others. Each has to succeed. One that follows (-f) has to
// print something, and is interrupted then.
func Examples(p command.Program) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, first []string) {
		if neg {
			ts.Fatalf("usage: examples COMMAND…")
		}
		all := p.Commands()
		slices.SortStableFunc(all, func(a, b command.Command) int { return place(first, a.Name) - place(first, b.Name) })
		for _, c := range all {
			for _, example := range c.Examples {
				if into := regexp.MustCompile(`\| (\w+)`).FindStringSubmatch(example.Line); into != nil && into[1] != p.Name {
					if _, err := exec.LookPath(into[1]); err != nil {
						ts.Logf("%s is not installed: not run: %s", into[1], example.Line)
						continue
					}
				}
				if strings.Contains(example.Line+" ", " -f ") {
					// The output ends with the reader, and the program with its output or the signal.
					ts.Check(ts.Exec("bash", "-c", "set -m; "+example.Line+" >followed & until test -s followed; do sleep 0.05; done; kill -INT %1; wait %1"))
					continue
				}
				if err := ts.Exec("bash", "-c", "set -o pipefail; "+example.Line); err != nil {
					ts.Fatalf("%s: %v", example.Line, err)
				}
			}
		}
	}
}

// place is where a name stands in a list, or behind it.
func place(list []string, name string) int {
	if i := slices.Index(list, name); i >= 0 {
		return i
	}
	return len(list)
}

// Understood checks that the program takes every example, without doing what may take
// long: it is interrupted before it begins. Codes are those with which it may end then.
// What the examples read is in the working directory.
func Understood(t *testing.T, p command.Program, codes ...int) {
	ended, end := context.WithCancel(context.Background())
	end()
	for _, c := range p.Commands() {
		for _, example := range c.Examples {
			line := example.Line[strings.Index(example.Line, p.Name+" ")+len(p.Name)+1:]
			args := split(regexp.MustCompile(`\)$| [|>].*`).ReplaceAllString(line, ""))
			var errs strings.Builder
			code := p.Run(ended, args, os.Stdin, io.Discard, &errs)
			if !slices.Contains(codes, code) {
				t.Errorf("%s: exit %d: %s", example.Line, code, errs.String())
			}
		}
	}
}
