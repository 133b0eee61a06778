package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/untorn-db/untorn/cmd/internal/command/commandtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"untorn": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    commandtest.Exits,
			"refused":  commandtest.Refused,
			"examples": commandtest.Examples(program()),
			"wrong":    wrong,
			"lines":    lines,
			"flip":     flip,
			"comes":    comes,
			"readme":   readme,
		},
	})
}

// wrong CODE REGEXP LINE… appends the lines as one batch to a new log, which
// has to fail with this code and a matching message and leave the log empty.
func wrong(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: wrong CODE REGEXP LINE…")
	}
	ts.Check(os.WriteFile(ts.MkAbs("input"), []byte(strings.Join(args[2:], "\n")+"\n"), 0o644))
	ts.Check(os.RemoveAll(ts.MkAbs("wrong")))
	ts.Check(ts.Exec("sh", "-c", "untorn append --dir wrong --batch 10 <input; echo $?"))
	code := strings.TrimSpace(ts.ReadFile("stdout"))
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
	text := ts.ReadFile("stderr")
	if strings.Count(text, "\n") != 1 || !regexp.MustCompile(args[1]).MatchString(text) {
		ts.Fatalf("the message %q does not match %q", text, args[1])
	}
	ts.Check(ts.Exec("untorn", "read", "--dir", "wrong", "--buffered"))
	if left := ts.ReadFile("stdout"); left != "" {
		ts.Fatalf("a refused batch left events: %s", left)
	}
}

// lines FILE N writes N events to a file, over seven streams.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var text strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&text, "{\"stream\":\"s%d\",\"type\":\"t\",\"data\":%d}\n", i%7, i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text.String()), 0o644))
}

// comes FILE N waits until a file has N lines, which somebody else writes.
func comes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: comes FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	deadline := time.Now().Add(30 * time.Second)
	for {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && bytes.Count(data, []byte("\n")) >= n {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has not come to %d lines: %q, %v", args[0], n, data, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// flip FILE OFFSET… flips a bit of each of these bytes.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: flip FILE OFFSET…")
	}
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	for _, arg := range args[1:] {
		offset, err := strconv.Atoi(arg)
		ts.Check(err)
		data[offset] ^= 1
	}
	ts.Check(os.WriteFile(name, data, 0o644))
}
