package weaken

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Ops lists the operations that a site may have.
func Ops() []string { return []string{"Sync", "SyncData", "SyncDir"} }

// Place is a call in a function.
type Place struct {
	File   string // "engine/rotate.go"; below the module, if the package is in this one
	Func   string // "(*Log).prepare"
	Number int    // of the call among those to the same function, from 1; 0: any of them
}

// String is FILE:FUNCTION, with #NUMBER where there is one.
func (p Place) String() string {
	text := p.File + ":" + p.Func
	if p.Number > 0 {
		text += "#" + strconv.Itoa(p.Number)
	}
	return text
}

// Site is where a program syncs.
type Site struct {
	Op    string // one of Ops
	Inner Place  // the zero Place: anywhere
	Outer Place  // the zero Place where nothing called Inner, or whoever did
}

// String is OP INNER<OUTER, which ParseSite reads; OP * for anywhere.
func (s Site) String() string {
	if s.Inner == (Place{}) {
		return s.Op + " *"
	}
	text := s.Op + " " + s.Inner.String()
	if s.Outer != (Place{}) {
		text += "<" + s.Outer.String()
	}
	return text
}

// ParseSite reads what Site.String prints.
func ParseSite(text string) (Site, error) {
	op, frames, _ := strings.Cut(text, " ")
	if !slices.Contains(Ops(), op) {
		return Site{}, fmt.Errorf("weaken: %q begins with no operation: write one of %s", text, strings.Join(Ops(), ", "))
	}
	if frames == "*" {
		return Site{Op: op}, nil
	}
	inner, outer, both := strings.Cut(frames, "<")
	s := Site{Op: op}
	var err error
	if s.Inner, err = parsePlace(inner); err == nil && both {
		s.Outer, err = parsePlace(outer)
	}
	return s, err
}

func parsePlace(text string) (Place, error) {
	file, function, ok := strings.Cut(text, ":")
	p := Place{File: file, Func: function}
	if name, number, numbered := strings.Cut(function, "#"); numbered {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return Place{}, fmt.Errorf("weaken: #%s in %q: write a number from 1", number, text)
		}
		p.Func, p.Number = name, n
	}
	if !ok || !strings.HasSuffix(file, ".go") || p.Func == "" || strings.ContainsAny(text, " <") {
		return Place{}, fmt.Errorf("weaken: %q is no place: write FILE.go:FUNCTION, such as engine/rotate.go:(*Log).install", text)
	}
	return p, nil
}

// Call is a call of a site, as it happened.
type Call struct {
	Site Site
	// Where the two frames are in the source, as the compiler knew it.
	InnerFile, OuterFile string
	InnerLine, OuterLine int
	// unknown: a number could not be told.
	unknown error
}

// call looks at the two frames above the wrapper's method. skip counts the
// wrapper's own frames, this function included.
func call(op string, skip int, m *memo) Call {
	var pcs [2]uintptr
	runtime.Callers(skip+1, pcs[:])
	if c, ok := m.calls.Load(key{op, pcs}); ok {
		return c.(Call)
	}
	frames := runtime.CallersFrames(pcs[:])
	inner, more := frames.Next()
	c := Call{Site: Site{Op: op, Inner: m.placeOf(&inner)}, InnerFile: inner.File, InnerLine: inner.Line}
	c.Site.Inner.Number, c.unknown = m.number(inner, op)
	if more {
		outer, _ := frames.Next()
		c.Site.Outer, c.OuterFile, c.OuterLine = m.placeOf(&outer), outer.File, outer.Line
		name := c.Site.Inner.Func
		number, err := m.number(outer, name[strings.LastIndex(name, ".")+1:])
		c.Site.Outer.Number = number
		if c.unknown == nil {
			c.unknown = err
		}
	}
	m.calls.Store(key{op, pcs}, c)
	return c
}

const module = "github.com/untorn-db/untorn/"

// placeOf says where a frame is, and gives it its name.
func (m *memo) placeOf(f *runtime.Frame) Place {
	folder, function := splitFunction(f.Function)
	// Where the function around a closure was inlined, the closure is called after
	// the caller, too. The source knows better.
	if i := strings.Index(function, ".func"); i >= 0 {
		if declared := m.declared(f.File, f.Line); declared != "" {
			function = declared + function[i:]
		}
	}
	f.Function = folder + "." + function
	return Place{File: path.Join(strings.TrimPrefix(folder, module), path.Base(f.File)), Func: function}
}

// declared is the function around a line, "" where there is no source.
func (m *memo) declared(file string, line int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	parsed := m.parse(file)
	if parsed.err != nil {
		return ""
	}
	for _, decl := range parsed.syntax.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && parsed.positions.Position(f.Pos()).Line <= line && line <= parsed.positions.Position(f.End()).Line {
			return FunctionName(f)
		}
	}
	return ""
}

// parse parses a source file, once. m.mu is held.
func (m *memo) parse(file string) parsedFile {
	parsed, ok := m.files[file]
	if !ok {
		if m.files == nil {
			m.files = map[string]parsedFile{}
		}
		parsed.positions = token.NewFileSet()
		parsed.syntax, parsed.err = parser.ParseFile(parsed.positions, file, nil, parser.SkipObjectResolution)
		m.files[file] = parsed
	}
	return parsed
}

// splitFunction splits "example.com/a/b.(*T).f" at the end of the package's path.
func splitFunction(name string) (folder, function string) {
	slash := strings.LastIndex(name, "/") + 1
	if strings.Contains(name, "[") { // type arguments may hold slashes
		slash = strings.LastIndex(name[:strings.Index(name, "[")], "/") + 1
	}
	dot := strings.Index(name[slash:], ".")
	if dot < 0 {
		return name, ""
	}
	return name[:slash+dot], name[slash+dot+1:]
}

// number tells which call to callee a frame is in, 0 where there is one only.
func (m *memo) number(f runtime.Frame, callee string) (int, error) {
	_, function := splitFunction(f.Function)
	lines, err := m.lines(f.File, function, callee)
	if err != nil {
		return 0, fmt.Errorf("weaken: the calls of %s in %s cannot be told apart: %w", callee, function, err)
	}
	if len(lines) < 2 {
		return 0, nil
	}
	return slices.Index(lines, f.Line) + 1, nil
}

// lines lists the lines of a function that call callee, in ascending order.
func (m *memo) lines(file, function, callee string) ([]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parsed := m.parse(file)
	if parsed.err != nil {
		return nil, parsed.err
	}
	var lines []int
	for _, decl := range parsed.syntax.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil || !within(function, FunctionName(f)) {
			continue
		}
		Calls(f, func(name string, c *ast.CallExpr) {
			if line := parsed.positions.Position(c.Lparen).Line; name == callee && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		})
	}
	slices.Sort(lines)
	return lines, nil
}

// within reports whether a function is the declared one, or a closure in it.
func within(function, declared string) bool {
	return function == declared || strings.HasPrefix(function, declared+".func")
}

// Calls visits every call in a function, closures included, with the name of what
// is called, without what stands before a dot; "" where it has none.
func Calls(f *ast.FuncDecl, visit func(callee string, c *ast.CallExpr)) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		callee := ""
		switch fun := c.Fun.(type) {
		case *ast.Ident:
			callee = fun.Name
		case *ast.SelectorExpr:
			callee = fun.Sel.Name
		}
		visit(callee, c)
		return true
	})
}

// FunctionName is a declaration's name as the runtime has it.
func FunctionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	switch t := f.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		if id, ok := t.X.(*ast.Ident); ok {
			return "(*" + id.Name + ")." + f.Name.Name
		}
	case *ast.Ident:
		return t.Name + "." + f.Name.Name
	}
	return f.Name.Name
}
