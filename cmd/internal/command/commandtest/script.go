package commandtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Exits is the command of testscript "exits CODE COMMAND ARG…". It runs a command that
// has to end with this code; one that fails has to say so in one line that begins with
// its name; notes and progress may come with it.
func Exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG…")
	}
	if code := run(ts, args[1:]); strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
	failures := 0
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		switch {
		case strings.HasPrefix(line, args[1]+": note: "), strings.HasPrefix(line, args[1]+": progress: "):
		case strings.HasPrefix(line, args[1]+": "):
			failures++
		default:
			ts.Fatalf("a line on stderr does not begin with %s: %q", args[1], line)
		}
	}
	if (failures == 1) != (args[0] != "0") {
		ts.Fatalf("%d lines say what failed, exit code %s", failures, args[0])
	}
}

// Refused is the command of testscript "refused MESSAGE COMMAND ARG…". It runs a command
// whose input cannot be understood: it has to end with 2 and this line, print nothing
// else, and leave every file as it was.
func Refused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refused MESSAGE COMMAND ARG…")
	}
	before, err := files(ts.MkAbs("."))
	ts.Check(err)
	code := run(ts, args[1:])
	if got := ts.ReadFile("stderr"); code != 2 || got != args[0]+"\n" {
		ts.Fatalf("exit code %d: %s\nwant    code 2: %s\n", code, got, args[0])
	}
	if got := ts.ReadFile("stdout"); got != "" {
		ts.Fatalf("it printed %q", got)
	}
	after, err := files(ts.MkAbs("."))
	ts.Check(err)
	if !slices.Equal(before, after) {
		ts.Fatalf("it left files behind, or changed them: before %q\nafter %q", before, after)
	}
}

// run runs a command and returns its exit code.
func run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// files lists the files and directories below one, with what is in them.
func files(dir string) (all []string, err error) {
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			all = append(all, name)
			return err
		}
		text, err := os.ReadFile(name)
		all = append(all, fmt.Sprintf("%s %x", name, sha256.Sum256(text)))
		return err
	})
	return all, err
}
