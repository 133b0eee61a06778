package commandtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command"
)

// leastRefused is how many wrong inputs the scripts of a program have to have.
const leastRefused = 30

// Coverage fails for every command, flag and exit code of the program that nothing in a
// folder exercises: no line of testdata/script/*.txtar and no call in a *_test.go. A
// flag counts where the command line is not refused. Where no script can come to a
// code, the Go test that does says so in a comment, as in "exits 3: untorn-sim run, replay".
func Coverage(t *testing.T, p command.Program, folder fs.FS) {
	t.Helper()
	found, err := exercised(&p, folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, missing := range uncovered(&p, found) {
		t.Error(missing)
	}
}

// call is a command line that is run.
type call struct {
	where   string // "read.txtar:12"
	command string
	flags   []string
	code    int // -1: nobody says
	refused bool
}

// uncovered says what is missing, and what to write.
func uncovered(p *command.Program, found []call) (missing []string) {
	say := func(format string, args ...any) { missing = append(missing, fmt.Sprintf(format, args...)) }
	var known []int
	for _, exit := range p.Exits {
		known = append(known, exit.Code)
	}
	refused := 0
	for _, c := range p.Commands() {
		name := p.Name + " " + c.Name
		flags := map[string]bool{}
		codes := map[int]bool{}
		own := 0
		for _, one := range found {
			if one.command != c.Name {
				continue
			}
			if one.refused {
				own++
			}
			codes[one.code] = true
			if one.code >= 0 && !slices.Contains(c.Exits, one.code) {
				say("%s: %s exits with %d, which is not in the command's Exits: add it", one.where, name, one.code)
			}
			if one.code != command.ExitUsage {
				for _, flag := range one.flags {
					flags[flag] = true
				}
			}
		}
		refused += own
		if len(c.Examples) == 0 {
			say("%s has no Examples: --help ends with them", name)
		}
		for _, example := range c.Examples {
			if !strings.Contains(example.Line, name) {
				say("%s: the example %q does not run it", name, example.Line)
			}
		}
		for _, code := range []int{command.ExitFine, command.ExitUsage} {
			if !slices.Contains(c.Exits, code) {
				say("%s may end with %d: add it to the command's Exits", name, code)
			}
		}
		for _, code := range c.Exits {
			if !slices.Contains(known, code) {
				say("%s may end with %d, which the program's Exits do not explain", name, code)
			}
			if !codes[code] {
				say("no script ends %s with %d: write \"exits %d %s …\" into testdata/script/%s.txtar; or, above a Go test that does, \"exits %d: %s\"",
					name, code, code, name, c.Name, code, name)
			}
		}
		for _, f := range c.Flags() {
			if !flags[f.Written] {
				say("no script runs %s with %s: write \"exits 0 %s %s …\" into testdata/script/%s.txtar", name, f.Written, name, f.Written, c.Name)
			}
		}
		if own == 0 {
			say("no wrong input of %s is tried: write \"refused 'MESSAGE' %s …\" into testdata/script/wrong.txtar", name, name)
		}
	}
	if refused < leastRefused {
		say("%d wrong inputs of %s are tried, want %d: write \"refused 'MESSAGE' %s COMMAND …\"", refused, p.Name, leastRefused, p.Name)
	}
	return missing
}

// exercised finds the command lines in scripts and Go tests.
func exercised(p *command.Program, folder fs.FS) (found []call, err error) {
	scripts, err := fs.Glob(folder, "testdata/script/*.txtar")
	if err != nil {
		return nil, err
	}
	for _, name := range scripts {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		found = append(found, inScript(p, name, string(text))...)
	}
	tests, err := fs.Glob(folder, "*_test.go")
	if err != nil {
		return nil, err
	}
	for _, name := range tests {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		more, err := inGo(p, name, text)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// inScript finds the command lines in a script of testscript.
func inScript(p *command.Program, file, text string) (found []call) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(strings.TrimSpace(line), " --") {
			break // the files
		}
		words := split(line)
		for len(words) > 0 && (strings.HasPrefix(words[0], "[") || words[0] == "!" || words[0] == "?") {
			words = words[1:]
		}
		if len(words) < 2 {
			continue
		}
		verb, code := words[0], -1
		words = words[1:]
		switch verb {
		case "stdout", "stderr", "grep", "cmp", "cmpenv", "stdin", "cp", "exists", "env":
			continue
		case "exits":
			code, _ = strconv.Atoi(words[0])
			words = words[1:]
		case "refused":
			code, words = command.ExitUsage, words[1:]
		}
		where := fmt.Sprintf("%s:%d", file, number)
		if len(words) > 1 && words[0] == p.Name {
			found = append(found, call{where, words[1], flagsOf(words[2:]), code, verb == "refused"})
			continue
		}
		for _, one := range inShell(p, strings.Join(words, " ")) {
			one.where = where
			found = append(found, one)
		}
	}
	return found
}

// split is the words of a line, as testscript reads it: up to a #, with quotes that are
// doubled where one is meant.
func split(line string) (words []string) {
	word, begun, quoted := "", false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted && c == '\'' && i+1 < len(line) && line[i+1] == '\'':
			word += "'"
			i++
		case c == '\'':
			quoted, begun = !quoted, true
		case !quoted && strings.IndexByte(" \t\r\n#", c) >= 0:
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
			if c == '#' {
				return words
			}
		default:
			word, begun = word+string(c), true
		}
	}
	if begun {
		words = append(words, word)
	}
	return words
}

// inShell finds the command lines in a line of shell; "test $? = N" tells how the last
// one ends.
func inShell(p *command.Program, line string) (found []call) {
	runs := regexp.MustCompile(`(?:^|[\s|;&(])` + regexp.QuoteMeta(p.Name) + `\s+([a-z-]+)([^|;&)]*)`)
	for _, match := range runs.FindAllStringSubmatch(line, -1) {
		found = append(found, call{command: match[1], flags: flagsOf(strings.Fields(match[2])), code: -1})
	}
	if code := regexp.MustCompile(`test \$\? = (\d+)`).FindStringSubmatch(line); code != nil && len(found) > 0 {
		found[len(found)-1].code, _ = strconv.Atoi(code[1])
	}
	return found
}

// flagsOf is the flags among arguments, without their values.
func flagsOf(args []string) (flags []string) {
	for _, arg := range args {
		if name, _, _ := strings.Cut(arg, "="); strings.HasPrefix(name, "-") {
			flags = append(flags, name)
		}
	}
	return flags
}

// inGo finds the command lines in a Go test: lists of strings that begin with a command,
// as elements or as arguments, and comments that say how one ends.
func inGo(p *command.Program, file string, text []byte) (found []call, err error) {
	files := token.NewFileSet()
	syntax, err := parser.ParseFile(files, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	at := func(pos token.Pos) string { return fmt.Sprintf("%s:%d", file, files.Position(pos).Line) }
	ends := regexp.MustCompile(`exits (\d+): ` + regexp.QuoteMeta(p.Name) + ` ([a-z-]+(?:, [a-z-]+)*)`)
	for _, group := range syntax.Comments {
		for _, match := range ends.FindAllStringSubmatch(group.Text(), -1) {
			code, err := strconv.Atoi(match[1])
			if err != nil {
				return nil, err
			}
			for name := range strings.SplitSeq(match[2], ", ") {
				found = append(found, call{where: at(group.Pos()), command: name, code: code})
			}
		}
	}
	list := func(pos token.Pos, words []ast.Expr) {
		var texts []string
		for i, word := range words {
			literal, ok := word.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				if i == 0 {
					return
				}
				continue
			}
			if text, err := strconv.Unquote(literal.Value); err == nil {
				texts = append(texts, text)
			}
		}
		if len(texts) > 0 {
			found = append(found, call{where: at(pos), command: texts[0], flags: flagsOf(texts[1:]), code: -1})
		}
	}
	ast.Inspect(syntax, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			list(node.Pos(), node.Args)
		case *ast.CompositeLit:
			list(node.Pos(), node.Elts)
		}
		return true
	})
	return found, nil
}
