package main

import (
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
)

// form is how a command tells of what failed: its flag --format.
type form struct {
	name  string
	json  bool // of the command's own flag, beside which there is text alone
	suite card.Suite
	lines map[string]string // paths of source files, by their names; nil: not looked for yet
}

// flag declares the flag.
func (f *form) flag(flags *flag.FlagSet) {
	flags.StringVar(&f.name, "format", "text", "how to tell of failures, a `word`: text; github, for the log of an action, with annotations; or junit, XML alone on stdout")
}

// check refuses what is none, or none beside --json.
func (f *form) check(json bool) error {
	f.json = json
	switch f.name {
	case "text":
	case "github", "junit":
		if json {
			return command.Usage("--json and --format %s: give one of them", f.name)
		}
	default:
		return command.Usage("--format %q: use text, github or junit", f.name)
	}
	return nil
}

// quiet reports whether nothing but objects or XML goes to stdout.
func (f *form) quiet() bool { return f.json || f.name == "junit" }

// texts is where text goes: nowhere, where the XML has it.
func (f *form) texts(e *command.Env) io.Writer {
	switch {
	case f.name == "junit":
		return io.Discard
	case f.json:
		return e.Stderr
	}
	return e.Stdout
}

// show tells of a failure, with an empty line behind it.
func (f *form) show(e *command.Env, c card.Card) {
	if f.name == "github" {
		fmt.Fprint(e.Stdout, f.located(c).GitHub())
		return
	}
	fmt.Fprintln(f.texts(e), c.Text())
}

// problem tells of what failed without a promise being broken: what it is of, and
// what it is.
func (f *form) problem(e *command.Env, of, what string) {
	if f.name == "github" {
		fmt.Fprint(e.Stdout, card.Card{What: of, Cause: what}.GitHub())
		return
	}
	fmt.Fprintf(f.texts(e), "FAIL %s: %s\n\n", of, what)
}

// add notes a test for the XML.
func (f *form) add(c card.Case) { f.suite.Cases = append(f.suite.Cases, c) }

// end writes the XML, where it is asked for, of a command.
func (f *form) end(e *command.Env, name string, properties ...card.Property) error {
	if f.name != "junit" {
		return nil
	}
	f.suite.Name, f.suite.Properties = "untorn-sim "+name, properties
	return card.JUnit(e.Stdout, f.suite)
}

// located is a card with the path of its source line, if the command runs in the
// folder of this repository: a file has no folders there, and has to be the only one
// of its name. Without one the card names its plan.
func (f *form) located(c card.Card) card.Card {
	name, line, _ := strings.Cut(c.Source, ":")
	c.Source, c.SourceLine = "", 0
	if name == "" {
		return c
	}
	if f.lines == nil {
		f.lines = sources(os.DirFS("."))
	}
	if n, err := strconv.Atoi(line); err == nil && f.lines[name] != "" {
		c.Source, c.SourceLine = f.lines[name], n
	}
	return c
}

// sources are the paths of the engine's files by their names, "" where there are
// several of a name.
func sources(root fs.FS) map[string]string {
	paths := map[string]string{}
	_ = fs.WalkDir(root, "engine", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".go" {
			return nil // without the source no line is named
		}
		base := path.Base(name)
		if _, twice := paths[base]; twice {
			name = ""
		}
		paths[base] = name
		return nil
	})
	return paths
}

// cards are those of failures.
func cards(failures []replay.Failure) (list []card.Card) {
	for _, f := range failures {
		list = append(list, f.Card())
	}
	return list
}
