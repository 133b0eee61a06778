package xray

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/scenarios/weaken"
)

func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// describe fills in what the listing says of a site.
func describe(c weaken.Call) Site {
	s := Site{
		Site: c.Site.String(), Function: c.Site.Inner.Func, File: c.Site.Inner.File, Line: c.InnerLine,
		Text: sourceLine(c.InnerFile, c.InnerLine),
	}
	if c.Site.Outer != (weaken.Place{}) {
		s.Caller, s.CallerLine = c.Site.Outer.File+":"+c.Site.Outer.Func, c.OuterLine
	}
	return s
}

// sourceLine is a line of a source file, "" where there is none.
func sourceLine(file string, line int) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for n := 1; scanner.Scan(); n++ {
		if n == line {
			return strings.TrimSpace(scanner.Text())
		}
	}
	return ""
}

// called is a call in the sources.
type called struct {
	file, function, callee string
	line, args             int
}

// uncovered lists the sites in the sources that no call came from.
func uncovered(calls []weaken.Call, accept func(string) bool) ([]Site, error) {
	below := map[string]string{} // folder on this machine → folder as sites name it
	for _, c := range calls {
		below[filepath.Dir(c.InnerFile)] = path.Dir(c.Site.Inner.File)
	}
	reached := map[string]bool{} // "file:line", of either frame
	syncers := map[string]bool{} // functions that sync
	for _, c := range calls {
		reached[fmt.Sprintf("%s:%d", c.InnerFile, c.InnerLine)] = true
		reached[fmt.Sprintf("%s:%d<%s", c.OuterFile, c.OuterLine, c.Site.Inner.Func)] = true
		syncers[c.Site.Inner.Func] = true
	}
	var missing []Site
	for _, folder := range sorted(below) {
		all, err := callsIn(folder)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			name := path.Join(below[folder], filepath.Base(c.file))
			site := weaken.Site{Op: c.callee, Inner: weaken.Place{File: name, Func: c.function}}
			syncs := slices.Contains(weaken.Ops(), c.callee) && c.args == args(c.callee)
			if !syncs || reached[fmt.Sprintf("%s:%d", c.file, c.line)] {
				continue
			}
			syncers[c.function] = true
			missing = append(missing, Site{
				Site: site.String(), Verdict: Uncovered, Function: c.function, File: name, Line: c.line, Text: sourceLine(c.file, c.line),
			})
		}
		for _, c := range all {
			for _, inner := range sorted(syncers) {
				if inner[strings.LastIndex(inner, ".")+1:] != c.callee || reached[fmt.Sprintf("%s:%d<%s", c.file, c.line, inner)] {
					continue
				}
				name := path.Join(below[folder], filepath.Base(c.file))
				missing = append(missing, Site{
					Site: fmt.Sprintf("%s<%s:%s", inner, name, c.function), Verdict: Uncovered, Function: inner, File: name, Line: c.line,
					Text: sourceLine(c.file, c.line), Caller: name + ":" + c.function, CallerLine: c.line,
				})
			}
		}
	}
	if accept != nil {
		missing = slices.DeleteFunc(missing, func(s Site) bool { return !accept(s.Site) })
	}
	return missing, nil
}

// args is how many arguments the operation has.
func args(op string) int {
	if op == "SyncDir" {
		return 1
	}
	return 0
}

func sorted[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// callsIn lists the calls in the Go files of a folder that are no tests. None
// where the folder is not there.
func callsIn(folder string) ([]called, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []called
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		positions := token.NewFileSet()
		syntax, err := parser.ParseFile(positions, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("xray: %w", err)
		}
		for _, decl := range syntax.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			weaken.Calls(f, func(callee string, call *ast.CallExpr) {
				all = append(all, called{
					file: name, function: weaken.FunctionName(f), callee: callee,
					line: positions.Position(call.Lparen).Line, args: len(call.Args),
				})
			})
		}
	}
	return all, nil
}
