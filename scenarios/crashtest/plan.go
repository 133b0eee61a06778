package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// corpusDir is where plans are kept, from the folder of the package under test.
const corpusDir = "testdata/untorn"

// scenarioName is what these plans are for.
const scenarioName = "crashtest"

// plan is the finding as a text that can be run again.
func (f *finding) plan(test string) *plan.Plan {
	o := f.program.options
	p := &plan.Plan{
		Comments: []string{"found by crashtest: " + firstLine(f.err.Error())},
		Scenario: scenarioName,
		Disk:     f.disk,
		Seed:     o.Seed,
		Settings: []plan.KV{{Key: "test", Value: test}, {Key: "cell", Value: strconv.Itoa(o.CellSize)}},

		Invariant: invariant(f.err),
	}
	for _, i := range f.program.active {
		p.Steps = append(p.Steps, plan.Step{Number: i + 1, Verb: "do", Args: []plan.KV{{Key: "name", Value: f.program.steps[i].name}}})
	}
	for _, c := range f.path {
		p.Crashes = append(p.Crashes, c.String())
	}
	return p
}

// save writes the plan of a finding and returns the file's name, with slashes.
// Findings of the same steps, disk and kind share a file.
func (r *runner) save(f *finding) (string, error) {
	p := f.plan(r.test)
	text := p.Format()
	p.Crashes, p.Comments = nil, nil
	sum := fnv.New32a()
	sum.Write(p.Format())
	name := path.Join(corpusDir, fmt.Sprintf("%s-%s-%08x.plan", fileName(r.test), f.disk, sum.Sum32()))
	if old, err := os.ReadFile(filepath.FromSlash(name)); err == nil && bytes.Equal(old, text) {
		return name, nil
	}
	if err := os.MkdirAll(filepath.FromSlash(corpusDir), 0o755); err != nil {
		return "", err
	}
	return name, os.WriteFile(filepath.FromSlash(name), text, 0o644)
}

// fileName is a test's name without what a file's cannot have.
func fileName(test string) string {
	return clip(regexp.MustCompile(`[^A-Za-z0-9_.]+`).ReplaceAllString(test, "-"), 100)
}

// pattern is the -run argument for one test.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	return strings.Join(parts, "/")
}

// packageDir is the folder of the package under test, from the module's root, as
// go test takes it. A test runs in that folder.
func packageDir() string {
	here, err := os.Getwd()
	if err != nil {
		return "."
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			rel, err := filepath.Rel(dir, here)
			if err != nil || rel == "." {
				return "."
			}
			return "./" + filepath.ToSlash(rel)
		}
		if dir == filepath.Dir(dir) {
			return "."
		}
	}
}

// saved is a plan that was read and fits the test.
type saved struct {
	file    string
	program *program
	disk    string
	path    explore.CrashPath
}

// read parses a plan. ok is false where it is another test's.
func (r *runner) read(file string) (s saved, ok bool, err error) {
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		return s, false, err
	}
	p, err := plan.Parse(text)
	if err != nil {
		return s, false, err
	}
	if p.Scenario != scenarioName {
		return s, false, fmt.Errorf("a plan of the scenario %q, not of %s", p.Scenario, scenarioName)
	}
	if test, _ := p.Setting("test"); test != r.test {
		return s, false, nil
	}
	if p.Disk == "" {
		p.Disk = "posix"
	}
	if _, err := simfs.PresetByName(p.Disk); err != nil {
		return s, true, err
	}
	subject := *r.subject
	subject.options.Seed = p.Seed
	cell, err := p.Int("cell", int64(subject.options.CellSize))
	if err != nil {
		return s, true, err
	}
	if cell <= 0 || cell > simfs.PageSize || cell&(cell-1) != 0 {
		return s, true, fmt.Errorf("set cell = %d: want a power of two up to %d", cell, simfs.PageSize)
	}
	subject.options.CellSize = int(cell)
	s = saved{file: file, program: &program{subject: &subject}, disk: p.Disk}
	for _, step := range p.Steps {
		i := step.Number - 1
		if i < 0 || i >= len(subject.steps) || subject.steps[i].name != step.Get("name") {
			now := "the test has no such step"
			if i >= 0 && i < len(subject.steps) {
				now = "in the test this is " + strconv.Quote(subject.steps[i].name)
			}
			return s, true, fmt.Errorf("the plan is stale: step %d is %q, but %s; delete the plan, or bring the step back", step.Number, step.Get("name"), now)
		}
		s.program.active = append(s.program.active, i)
	}
	if len(p.Crashes) > 0 {
		if s.path, err = explore.ParseCrashPath(strings.Join(p.Crashes, " | ")); err != nil {
			return s, true, err
		}
	}
	return s, true, nil
}

// replay takes the plan's path, and where that does not fail any more, or cannot
// be taken since the store does other operations now, all crashes of the plan's
// steps.
func (s saved) replay() (f *finding, how string) {
	f = &finding{program: s.program, disk: s.disk, path: s.path}
	err := f.again(s.path)
	var off *explore.PathError
	switch {
	case errors.As(err, &off):
		how = "its crash cannot be taken any more (" + off.Problem + ")"
	case err == nil:
		how = "its crash breaks nothing any more"
	default:
		f.err = err
		return f, ""
	}
	g, report := s.program.hunt(s.disk, min(shrinkBudget, s.program.options.Budget), nil)
	if g != nil {
		return g.shrink(), ""
	}
	return nil, fmt.Sprintf("%s; %d recoveries from all crashes of its steps, no failure", how, report.Recoveries)
}

// corpusFails runs the saved plans of this test.
func (r *runner) corpusFails() bool {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(corpusDir), "*.plan"))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	slices.Sort(files)
	failed := false
	for _, file := range files {
		file = filepath.ToSlash(file)
		s, ok, err := r.read(file)
		if err != nil {
			r.t.Errorf("crashtest: %s: %v", file, err)
			failed = true
			continue
		}
		if !ok {
			continue
		}
		f, how := s.replay()
		if f != nil {
			r.fail(f)
			failed = true
			continue
		}
		r.t.Logf("crashtest: %s: %s", file, how)
	}
	return failed
}

// replayOnly runs one plan.
func (r *runner) replayOnly(file string) {
	r.t.Helper()
	s, ok, err := r.read(filepath.ToSlash(file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.t.Fatalf("crashtest: UNTORN_PLAN: %v (the name counts from the folder of the package)", err)
	case err != nil:
		r.t.Fatalf("crashtest: UNTORN_PLAN=%s: %v", file, err)
	case !ok:
		r.t.Skipf("crashtest: UNTORN_PLAN=%s is a plan of another test", file)
	}
	f, how := s.replay()
	if f != nil {
		r.fail(f)
		return
	}
	r.t.Logf("crashtest: UNTORN_PLAN=%s: %s", file, how)
}
