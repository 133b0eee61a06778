// Package untorn_test keeps the arrows between the packages of this module,
// and the seams of the engine, from the source.
package untorn_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/untorn-db/untorn"

// Third-party modules, by what may use them.
const (
	aferoModule  = "github.com/spf13/afero"
	blake3Module = "github.com/zeebo/blake3"
	uuidModule   = "github.com/google/uuid"
	sysModule    = "golang.org/x/sys"
	// porcupine is the search behind package history; it links no test flags.
	porcupineModule = "github.com/anishathalye/porcupine"
)

// testModules appear in _test.go files, or in packages that only tests import:
// some of them add flags to every binary that links them.
func testModules() []string {
	return []string{"pgregory.net/rapid", "github.com/rogpeppe/go-internal"}
}

// testPackages are for tests only, too, though they import none of these.
func testPackages() []string { return []string{"scenarios/planted"} }

// layer says what the packages in a folder may import besides the standard
// library and the folder itself.
type layer struct {
	folder  string   // a package and all below it; the longest that fits counts
	ours    []string // folders of this module; with "/." behind it, the package alone
	modules []string // of others
}

// layers is the picture of the arrows:
//
//	cmd → replay → scenarios → { engine, simfs, faults, simclock, replay/plan, replay/trace, replay/card }
func layers() []layer {
	ground := []string{"engine", "simfs", "faults", "simclock", "replay/plan", "replay/trace", "replay/card"}
	return []layer{
		{"engine", []string{"engine/chain/internal/lanes", "engine/proof"}, []string{aferoModule, blake3Module, uuidModule}},
		{"engine/chain/internal/lanes", nil, []string{blake3Module, sysModule}}, // what the processor can
		{"engine/diskfs", nil, []string{aferoModule, sysModule}},
		{"engine/codec", []string{"engine/."}, nil},
		{"engine/graph", []string{"engine/."}, []string{uuidModule}},                      // on top of the engine, which knows nothing of it
		{"engine/proof", []string{"engine/chain", "engine/record"}, []string{uuidModule}}, // no log
		{"engine/dump", []string{"engine/.", "engine/chain", "engine/record"}, []string{uuidModule}},
		{"engine/metrics", []string{"engine/."}, nil}, // its adapters are modules of their own
		{"engine/projection", []string{"engine/."}, []string{aferoModule, uuidModule}},
		// Programs that are read and copied, and stand upon what anybody may import.
		{"engine/examples", []string{"engine/.", "engine/diskfs", "engine/codec", "engine/projection", "engine/proof"}, []string{aferoModule}},
		{"simfs", nil, []string{aferoModule, blake3Module}},
		{"faults", nil, []string{aferoModule}},
		{"simclock", nil, nil},
		{"replay/plan", nil, nil},
		{"replay/trace", nil, nil},
		{"replay/card", nil, nil},
		{"scenarios", ground, []string{aferoModule, blake3Module, uuidModule, porcupineModule}},
		{"replay", append(ground, "scenarios"), []string{aferoModule, blake3Module, uuidModule}},
		{"cmd/internal/command", nil, nil}, // any program's command line
		{"cmd", append(ground, "scenarios", "replay", "cmd/internal/command"), []string{aferoModule, uuidModule, sysModule}},
	}
}

func isTestLibrary(imported string) bool {
	return imported == "testing" || withinAny(imported, testModules())
}

// source is one parsed file.
type source struct {
	path    string // "engine/log.go"
	folder  string // "engine"
	test    bool
	imports []string
	syntax  *ast.File
	files   *token.FileSet
}

func (s source) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.files.Position(pos).Line)
}

// sources parses every Go file, whatever its build tags say.
func sources(tree fs.FS, mode parser.Mode) ([]source, error) {
	var all []source
	files := token.NewFileSet()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name != "." && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(name, "go.mod")); name != "." && err == nil {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		if path.Ext(base) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(files, name, text, mode)
		if err != nil {
			return err
		}
		s := source{path: name, folder: path.Dir(name), test: strings.HasSuffix(base, "_test.go"), syntax: syntax, files: files}
		for _, spec := range syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	return all, err
}

// within reports whether an import path or folder is this one or below it.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

func withinAny(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return within(name, folder) })
}

// wrongArrows lists the imports that go against the picture.
func wrongArrows(all []source) []string {
	// Packages for tests only: the named ones, and those that import a test library
	// outside their own tests.
	forTests := map[string]bool{}
	for _, folder := range testPackages() {
		forTests[folder] = true
	}
	for _, s := range all {
		if !s.test && slices.ContainsFunc(s.imports, isTestLibrary) {
			forTests[s.folder] = true
		}
	}
	var wrong []string
	for _, s := range all {
		var own layer
		for _, l := range layers() {
			if within(s.folder, l.folder) && len(l.folder) > len(own.folder) {
				own = l
			}
		}
		if own.folder == "" && !s.test {
			wrong = append(wrong, fmt.Sprintf("%s: the package is in no layer: add it to layers()", s.path))
			continue
		}
		for _, imported := range s.imports {
			if why := wrongArrow(s, own, imported, forTests); why != "" {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", s.path, imported, why))
			}
		}
	}
	return wrong
}

// layerOf is the folder of the layer that a folder is in, or "".
func layerOf(folder string) (layer string) {
	for _, l := range layers() {
		if within(folder, l.folder) && len(l.folder) > len(layer) {
			layer = l.folder
		}
	}
	return layer
}

func wrongArrow(s source, own layer, imported string, forTests map[string]bool) string {
	if within(imported, "net/http") {
		return "nothing here talks HTTP"
	}
	if !s.test && isTestLibrary(imported) && s.syntax.Name.Name == "main" {
		return "test libraries add flags to a command"
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return "" // the standard library
	}
	if s.test {
		if !within(imported, module) && !withinAny(imported, testModules()) &&
			!withinAny(imported, []string{aferoModule, blake3Module, uuidModule, sysModule}) {
			return "an unknown module: add it to testModules()"
		}
		return ""
	}
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		if forTests[ours] && !forTests[s.folder] {
			return "a package for tests may be imported by tests only"
		}
		if within(ours, "engine/internal") && own.folder != "engine" {
			return "only the engine uses its inside"
		}
		// Inside a layer, only what is not a layer of its own.
		inner := layerOf(ours)
		if inner == own.folder || withinAny(ours, own.ours) || slices.Contains(own.ours, ours+"/.") || inner == "engine/diskfs" && own.folder == "engine" {
			return ""
		}
		return fmt.Sprintf("%s may import %s", own.folder, words(own.ours))
	}
	if isTestLibrary(imported) {
		return "" // checked above, and at whoever imports the package
	}
	if !withinAny(imported, own.modules) {
		return fmt.Sprintf("%s may import %s", own.folder, words(own.modules))
	}
	return ""
}

func words(list []string) string {
	if len(list) == 0 {
		return "the standard library only"
	}
	return strings.Join(list, ", ")
}

// seams may go to the system themselves: what the engine stands on, the files of a
// program's own tests, and programs.
func seams() []string {
	return []string{"engine/seams.go", "engine/diskfs", "engine/codec/codectest", "engine/examples"}
}

// forbiddenCalls are what the engine's seams replace: nothing outside of seams may
// use them.
func forbiddenCalls() map[string][]string {
	return map[string][]string{
		"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	}
}

// brokenSeams lists where the engine reaches around its seams: the clock, the
// system, randomness or goroutines.
func brokenSeams(all []source) []string {
	var broken []string
	for _, s := range all {
		if s.test || !within(s.folder, "engine") || withinAny(s.path, seams()) {
			continue
		}
		names := map[string]string{} // what a package is called in this file
		for i, spec := range s.syntax.Imports {
			imported := s.imports[i]
			name := path.Base(imported)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = imported
			switch {
			case within(imported, "crypto/rand"), within(imported, "math/rand"):
				broken = append(broken, s.at(spec.Pos())+": imports "+imported+": take it from Options.Rand")
			case imported != "os" && within(imported, "os"):
				broken = append(broken, s.at(spec.Pos())+": imports "+imported+": only diskfs touches the system")
			case name == "." && (imported == "os" || imported == "syscall" || imported == "time"):
				broken = append(broken, s.at(spec.Pos())+": imports "+imported+" with a dot, which hides what it uses")
			}
		}
		ast.Inspect(s.syntax, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.GoStmt:
				broken = append(broken, s.at(node.Pos())+": a goroutine: use Options.Waits")
			case *ast.SelectorExpr:
				id, ok := node.X.(*ast.Ident)
				if !ok {
					break
				}
				imported, name := names[id.Name], node.Sel.Name
				switch {
				case imported == "os" && !strings.HasPrefix(name, "O_"): // the flags of OpenFile are only numbers
					broken = append(broken, s.at(node.Pos())+": os."+name+": use Options.FS, or io/fs")
				case imported == "syscall" && !errno(name):
					broken = append(broken, s.at(node.Pos())+": syscall."+name+": only diskfs touches the system")
				case slices.Contains(forbiddenCalls()[imported], name):
					broken = append(broken, s.at(node.Pos())+": "+imported+"."+name+": use Options.Clock or Options.Waits")
				}
			}
			return true
		})
	}
	return broken
}

// errno reports whether a name of package syscall is that of an error number,
// such as ENOSPC, which is only compared with.
func errno(name string) bool {
	return name == "Errno" || name[0] == 'E' && name == strings.ToUpper(name)
}

func TestImports(t *testing.T) {
	all, err := sources(os.DirFS("."), parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers() {
		if !slices.ContainsFunc(all, func(s source) bool { return within(s.folder, l.folder) }) {
			t.Errorf("the layer %s has no package: the test looks in the wrong place", l.folder)
		}
	}
	for _, wrong := range wrongArrows(all) {
		t.Error(wrong)
	}
}

func TestSeams(t *testing.T) {
	all, err := sources(os.DirFS("."), parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(s source) bool { return s.path == "engine/seams.go" }) {
		t.Error("there is no engine/seams.go: the test looks in the wrong place")
	}
	for _, broken := range brokenSeams(all) {
		t.Error(broken)
	}
}

// TestChecksBite shows each of the checks above a small tree in which it has
// to find exactly one thing, and its legal neighbour in which it finds none.
func TestChecksBite(t *testing.T) {
	const pkg = "package p\n"
	imports := func(path string) string { return pkg + "import _ \"" + path + "\"\n" }
	ours := func(folder string) string { return imports(module + "/" + folder) }
	both := func(all []source) []string { return append(wrongArrows(all), brokenSeams(all)...) }
	for _, c := range []struct {
		name string
		file string
		text string
		want string // "" where nothing is wrong
	}{
		{"cmd imports replay", "cmd/x/a.go", ours("replay"), ""},
		{"cmd imports engine", "cmd/x/a.go", ours("engine"), ""},
		{"cmd imports command", "cmd/x/a.go", ours("cmd/internal/command"), ""},
		{"command imports engine", "cmd/internal/command/a.go", ours("engine"), "cmd/internal/command/a.go imports " + module + "/engine: cmd/internal/command may import the standard library only"},
		{"replay imports cmd", "replay/a.go", ours("cmd/x"), "replay/a.go imports " + module + "/cmd/x: replay may import engine, simfs, faults, simclock, replay/plan, replay/trace, replay/card, scenarios"},
		{"replay imports its plan", "replay/a.go", ours("replay/plan"), ""},
		{"plan imports replay", "replay/plan/a.go", ours("replay"), "replay/plan/a.go imports " + module + "/replay: replay/plan may import the standard library only"},
		{"plan imports afero", "replay/plan/a.go", imports(aferoModule), "replay/plan/a.go imports " + aferoModule + ": replay/plan may import the standard library only"},
		{"scenarios import plan", "scenarios/model/a.go", ours("replay/plan"), ""},
		{"scenarios import explore", "scenarios/a.go", ours("simfs/explore"), ""},
		{"scenarios import bugs", "scenarios/a.go", ours("scenarios/planted"), "scenarios/a.go imports " + module + "/scenarios/planted: a package for tests may be imported by tests only"},
		{"tests import bugs", "replay/a_test.go", ours("scenarios/planted"), ""},
		{"scenarios import replay", "scenarios/a.go", ours("replay"), "scenarios/a.go imports " + module + "/replay: scenarios may import engine, simfs, faults, simclock, replay/plan, replay/trace, replay/card"},
		{"engine imports its own", "engine/a.go", ours("engine/internal/segment"), ""},
		{"engine imports diskfs", "engine/a.go", ours("engine/diskfs"), ""},
		{"engine imports blake3", "engine/chain/a.go", imports(blake3Module), ""},
		{"engine imports simfs", "engine/a.go", ours("simfs"), "engine/a.go imports " + module + "/simfs: engine may import engine/chain/internal/lanes, engine/proof"},
		{"engine imports metrics", "engine/a.go", ours("engine/metrics"), "engine/a.go imports " + module + "/engine/metrics: engine may import engine/chain/internal/lanes, engine/proof"},
		{"metrics import engine", "engine/metrics/a.go", ours("engine"), ""},
		{"metrics import afero", "engine/metrics/a.go", imports(aferoModule), "engine/metrics/a.go imports " + aferoModule + ": engine/metrics may import the standard library only"},
		{"engine's tests import simfs", "engine/a_test.go", ours("simfs"), ""},
		{"chain imports x/sys", "engine/chain/a.go", imports(sysModule + "/unix"), "engine/chain/a.go imports " + sysModule + "/unix: engine may import " + aferoModule + ", " + blake3Module + ", " + uuidModule},
		{"simfs imports x/sys", "simfs/a.go", imports(sysModule + "/unix"), "simfs/a.go imports " + sysModule + "/unix: simfs may import " + aferoModule + ", " + blake3Module},
		{"diskfs imports x/sys", "engine/diskfs/a.go", imports(sysModule + "/unix"), ""},
		{"proof imports chain and record", "engine/proof/a.go", pkg + "import _ \"" + module + "/engine/chain\"\nimport _ \"" + module + "/engine/record\"\n", ""},
		{"proof imports engine", "engine/proof/a.go", ours("engine"), "engine/proof/a.go imports " + module + "/engine: engine/proof may import engine/chain, engine/record"},
		{"proof imports afero", "engine/proof/a.go", imports(aferoModule), "engine/proof/a.go imports " + aferoModule + ": engine/proof may import " + uuidModule},
		{"engine imports proof", "engine/a.go", ours("engine/proof"), ""},
		{"diskfs imports engine", "engine/diskfs/a.go", ours("engine"), "engine/diskfs/a.go imports " + module + "/engine: engine/diskfs may import the standard library only"},
		{"codec imports engine", "engine/codec/a.go", ours("engine"), ""},
		{"codec imports record", "engine/codec/a.go", ours("engine/record"), "engine/codec/a.go imports " + module + "/engine/record: engine/codec may import engine/."},
		{"codec imports diskfs", "engine/codec/a.go", ours("engine/diskfs"), "engine/codec/a.go imports " + module + "/engine/diskfs: engine/codec may import engine/."},
		{"codec imports uuid", "engine/codec/a.go", imports(uuidModule), "engine/codec/a.go imports " + uuidModule + ": engine/codec may import the standard library only"},
		{"engine imports codec", "engine/a.go", ours("engine/codec"), "engine/a.go imports " + module + "/engine/codec: engine may import engine/chain/internal/lanes, engine/proof"},
		{"codectest imports codec", "engine/codec/codectest/a.go", ours("engine/codec"), ""},
		{"graph imports engine", "engine/graph/draw/a.go", ours("engine"), ""},
		{"engine imports graph", "engine/a.go", ours("engine/graph"), "engine/a.go imports " + module + "/engine/graph: engine may import engine/chain/internal/lanes, engine/proof"},
		{"graph imports the engine's index", "engine/graph/a.go", ours("engine/internal/index"), "engine/graph/a.go imports " + module + "/engine/internal/index: only the engine uses its inside"},
		{"graph imports afero", "engine/graph/a.go", imports(aferoModule), "engine/graph/a.go imports " + aferoModule + ": engine/graph may import " + uuidModule},
		{"projection imports engine", "engine/projection/a.go", ours("engine"), ""},
		{"projection imports codec", "engine/projection/a.go", ours("engine/codec"), "engine/projection/a.go imports " + module + "/engine/codec: engine/projection may import engine/."},
		{"engine imports projection", "engine/a.go", ours("engine/projection"), "engine/a.go imports " + module + "/engine/projection: engine may import engine/chain/internal/lanes, engine/proof"},
		{"examples import codec", "engine/examples/x/a.go", ours("engine/codec"), ""},
		{"examples import record", "engine/examples/x/a.go", ours("engine/record"), "engine/examples/x/a.go imports " + module + "/engine/record: engine/examples may import engine/., engine/diskfs, engine/codec, engine/projection, engine/proof"},
		{"projection imports examples", "engine/projection/a.go", ours("engine/examples/x"), "engine/projection/a.go imports " + module + "/engine/examples/x: engine/projection may import engine/."},
		{"simfs imports engine", "simfs/explore/a.go", ours("engine/record"), "simfs/explore/a.go imports " + module + "/engine/record: simfs may import the standard library only"},
		{"faults import engine", "faults/a.go", ours("engine"), "faults/a.go imports " + module + "/engine: faults may import the standard library only"},
		{"simclock imports engine", "simclock/a.go", ours("engine"), "simclock/a.go imports " + module + "/engine: simclock may import the standard library only"},
		{"rapid in a command", "cmd/x/a.go", "package main\nimport _ \"pgregory.net/rapid\"\n", "cmd/x/a.go imports pgregory.net/rapid: test libraries add flags to a command"},
		{"any test imports HTTP", "simfs/a_test.go", imports("net/http/httptest"), "simfs/a_test.go imports net/http/httptest: nothing here talks HTTP"},
		{"rapid in a test", "simfs/a_test.go", imports("pgregory.net/rapid"), ""},
		{"rapid outside tests", "simfs/props/a.go", imports("pgregory.net/rapid"), "simfs/b.go imports " + module + "/simfs/props: a package for tests may be imported by tests only"},
		{"an unknown module", "engine/a.go", imports("example.com/x"), "engine/a.go imports example.com/x: engine may import " + aferoModule + ", " + blake3Module + ", " + uuidModule},
		{"an unknown module in a test", "engine/a_test.go", imports("example.com/x"), "engine/a_test.go imports example.com/x: an unknown module: add it to testModules()"},
		{"a package outside all layers", "util/a.go", pkg, "util/a.go: the package is in no layer: add it to layers()"},
		{"a file behind a build tag", "engine/a_plan9.go", "//go:build plan9\n\n" + ours("simfs"), "engine/a_plan9.go imports " + module + "/simfs: engine may import engine/chain/internal/lanes, engine/proof"},

		{"time.Now", "engine/a.go", pkg + "import \"time\"\nvar _ = time.Now()\n", "engine/a.go:3: time.Now: use Options.Clock or Options.Waits"},
		{"time.Now as a value, renamed", "engine/chain/a.go", pkg + "import clock \"time\"\nvar now = clock.Now\n", "engine/chain/a.go:3: time.Now: use Options.Clock or Options.Waits"},
		{"time.Duration", "engine/a.go", pkg + "import \"time\"\nvar _ = time.Second\n", ""},
		{"a timer", "engine/a.go", pkg + "import \"time\"\nfunc f() { time.AfterFunc(1, f) }\n", "engine/a.go:3: time.AfterFunc: use Options.Clock or Options.Waits"},
		{"time with a dot", "engine/a.go", pkg + "import . \"time\"\nvar _ = Now()\n", "engine/a.go:2: imports time with a dot, which hides what it uses"},
		{"os.Open", "engine/a.go", pkg + "import \"os\"\nvar _, _ = os.Open(\"x\")\n", "engine/a.go:3: os.Open: use Options.FS, or io/fs"},
		{"os.O_RDWR", "engine/a.go", pkg + "import \"os\"\nvar _ = os.O_RDWR\n", ""},
		{"os/exec", "engine/a.go", imports("os/exec"), "engine/a.go:2: imports os/exec: only diskfs touches the system"},
		{"syscall.Fsync", "engine/a.go", pkg + "import \"syscall\"\nvar _ = syscall.Fsync\n", "engine/a.go:3: syscall.Fsync: only diskfs touches the system"},
		{"syscall.Exec", "engine/a.go", pkg + "import \"syscall\"\nvar _ = syscall.Exec\n", "engine/a.go:3: syscall.Exec: only diskfs touches the system"},
		{"syscall.ENOSPC", "engine/a.go", pkg + "import \"syscall\"\nvar _ = syscall.ENOSPC\n", ""},
		{"crypto/rand", "engine/a.go", imports("crypto/rand"), "engine/a.go:2: imports crypto/rand: take it from Options.Rand"},
		{"math/rand", "engine/internal/x/a.go", imports("math/rand/v2"), "engine/internal/x/a.go:2: imports math/rand/v2: take it from Options.Rand"},
		{"a goroutine", "engine/a.go", pkg + "func f() {\n\tgo f()\n}\n", "engine/a.go:3: a goroutine: use Options.Waits"},
		{"os.Open in codec", "engine/codec/a.go", pkg + "import \"os\"\nvar _, _ = os.Open(\"x\")\n", "engine/codec/a.go:3: os.Open: use Options.FS, or io/fs"},
		{"os.Open in codectest", "engine/codec/codectest/a.go", pkg + "import \"os\"\nvar _, _ = os.Open(\"x\")\n", ""},
		{"a goroutine in an example", "engine/examples/x/a.go", pkg + "func f() { go f() }\n", ""},
		{"a goroutine in diskfs", "engine/diskfs/a.go", pkg + "func f() { go f() }\n", ""},
		{"the seams themselves", "engine/seams.go", pkg + "import \"time\"\nvar _ = time.Now()\n", ""},
		{"the engine's tests", "engine/a_test.go", pkg + "import \"time\"\nvar _ = time.Now()\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, err := sources(fstest.MapFS{
				c.file:       {Data: []byte(c.text)},
				"simfs/b.go": {Data: []byte(ours("simfs/props"))},
			}, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if got := both(all); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
