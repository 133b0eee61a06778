package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/simfs"
)

// mutant is one patch, read.
type mutant struct {
	name string // its file's, without the folder and .patch
	hunt hunt
	// proof says why no run can show an equivalent mutant; "" for the others.
	proof string
	says  string // what it does, in a line
	files []filePatch
}

// equivalent reports whether a mutant changes nothing that anyone is promised.
func (m *mutant) equivalent() bool { return m.hunt.invariant == "" }

// hunt is what has to find a mutant.
type hunt struct {
	invariant string   // that must not hold; "" for an equivalent mutant
	scenarios []string // of make sim
	disks     []string
	plan      string // instead of both: a file, from the module's root
}

// filePatch is what a patch does to one file.
type filePatch struct {
	path  string // from the module's root, with slashes
	hunks []hunk
}

// hunk replaces lines. It stands where its old lines do: line numbers are not
// looked at.
type hunk struct {
	anchor   string // the function that it is in, or ""
	old, new []string
}

var (
	killLine  = regexp.MustCompile(`^(I\d+) in (?:([a-z,-]+) on ([a-z0-9,+-]+)|plan (\S+)): (.+)$`)
	equalLine = regexp.MustCompile(`^equivalent: (.+)$`)
	hunkLine  = regexp.MustCompile(`^@@(?: -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*| *(.*))$`)
)

// readPatch reads a patch file and says everything that is wrong with its head.
func readPatch(file string) (*mutant, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := parsePatch(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	m.name = strings.TrimSuffix(filepath.Base(file), ".patch")
	return m, nil
}

// parsePatch reads the text of a patch:
//
//	I1 in batch,mixed on posix,ext4: calls are answered before their sync
//	--- a/engine/commit.go
//	+++ b/engine/commit.go
//	@@ func (l *Log) commit(
//	 	if l.needsSync(group) {
//	-		old line
//	+		new line
//
// The first line names the invariant that must kill the mutant and where it is
// hunted, or begins with "equivalent:", and then the lines up to the first ---
// are the proof. Behind @@ may stand how a line begins that is there once in the
// file, and below which the hunk is looked for, up to the end of that function.
// The numbers of other tools are allowed, and mean nothing.
func parsePatch(text string) (*mutant, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	m := &mutant{}
	if kill := killLine.FindStringSubmatch(lines[0]); kill != nil {
		m.hunt.invariant, m.hunt.plan, m.says = kill[1], kill[4], kill[5]
		if m.hunt.plan == "" {
			m.hunt.scenarios, m.hunt.disks = strings.Split(kill[2], ","), strings.Split(kill[3], ",")
		}
	} else if equal := equalLine.FindStringSubmatch(lines[0]); equal != nil {
		m.says = equal[1]
	} else {
		return nil, fmt.Errorf("its first line %q does not name what must kill it, as in: I1 in batch,mixed on posix,ext4: what is wrong", lines[0])
	}
	at := 1
	for at < len(lines) && !strings.HasPrefix(lines[at], "--- ") {
		m.proof += strings.TrimSpace(lines[at]) + "\n"
		at++
	}
	m.proof = strings.TrimSpace(m.proof)
	if !m.equivalent() {
		m.proof = "" // what other tools write between
	}
	var err error
	if m.files, err = parseFiles(lines[at:]); err != nil {
		return nil, err
	}
	return m, m.check()
}

// check says what is wrong with the first line of a patch, and whether there is
// a proof where there has to be one.
func (m *mutant) check() error {
	h := &m.hunt
	if m.equivalent() {
		if m.proof == "" {
			return fmt.Errorf("an equivalent mutant without a proof: it stands below the first line")
		}
		return nil
	}
	if _, ok := invariant.ByID(h.invariant); !ok {
		return fmt.Errorf("no invariant %s: see scenarios/invariant", h.invariant)
	}
	for _, name := range h.scenarios {
		if _, ok := scenarios.ByName(name); !ok {
			return fmt.Errorf("no scenario %q: use %s", name, strings.Join(scenarios.Names(), ", "))
		}
	}
	for _, name := range h.disks {
		if _, err := simfs.PresetByName(name); err != nil {
			return err
		}
	}
	return nil
}

// checkPlan reads the plan that a mutant is hunted with, if it is.
func (m *mutant) checkPlan(root string) error {
	if m.hunt.plan == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.hunt.plan)))
	if err != nil {
		return err
	}
	_, err = plan.Parse(text)
	return err
}

func parseFiles(lines []string) ([]filePatch, error) {
	var files []filePatch
	var h *hunk // at work
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "--- ") && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "+++ "):
			from, to := patchPath(line, "a/"), patchPath(lines[i+1], "b/")
			if from != to || !fs.ValidPath(to) || path.Ext(to) != ".go" {
				return nil, fmt.Errorf("%s, %s: a patch changes a Go file that is there", line, lines[i+1])
			}
			files = append(files, filePatch{path: to})
			h = nil
			i++
		case strings.HasPrefix(line, "@@"):
			match := hunkLine.FindStringSubmatch(line)
			if match == nil || len(files) == 0 {
				return nil, fmt.Errorf("%q: a hunk begins with @@, behind the names of its file", line)
			}
			f := &files[len(files)-1]
			f.hunks = append(f.hunks, hunk{anchor: strings.TrimSpace(match[1])})
			h = &f.hunks[len(f.hunks)-1]
		case h == nil && (strings.HasPrefix(line, "diff ") || strings.HasPrefix(line, "index ") || line == ""):
		case h != nil && (line == "" || line[0] == ' '):
			line = strings.TrimPrefix(line, " ") // an empty line may have lost its blank
			h.old, h.new = append(h.old, line), append(h.new, line)
		case h != nil && line[0] == '-':
			h.old = append(h.old, line[1:])
		case h != nil && line[0] == '+':
			h.new = append(h.new, line[1:])
		case strings.HasPrefix(line, `\ No newline`):
		default:
			return nil, fmt.Errorf("%q: a line of a hunk begins with a blank, - or +", line)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("it changes no file: --- a/PATH and +++ b/PATH name one")
	}
	for _, f := range files {
		if len(f.hunks) == 0 {
			return nil, fmt.Errorf("%s: it has no hunk", f.path)
		}
		for _, h := range f.hunks {
			if slices.Equal(h.old, h.new) {
				return nil, fmt.Errorf("%s: a hunk changes nothing", f.path)
			}
			if len(h.old) == 0 {
				return nil, fmt.Errorf("%s: a hunk needs a line that is there, to show its place", f.path)
			}
		}
	}
	return files, nil
}

// patchPath is the path in a line with --- or +++.
func patchPath(line, prefix string) string {
	name, _, _ := strings.Cut(line[4:], "\t")
	return strings.TrimPrefix(strings.TrimSpace(name), prefix)
}

// apply returns the text with the patch's changes. Every hunk must have exactly
// one place.
func (f *filePatch) apply(text string) (string, error) {
	lines := strings.Split(text, "\n")
	for i := range f.hunks {
		h := &f.hunks[i]
		from, to, err := h.region(lines)
		if err != nil {
			return "", fmt.Errorf("%s, hunk %d: %w", f.path, i+1, err)
		}
		place, places := 0, 0
		for at := from; at+len(h.old) <= to; at++ {
			if slices.Equal(lines[at:at+len(h.old)], h.old) {
				place = at
				places++
			}
		}
		if places != 1 {
			first := strings.TrimSpace(h.old[0])
			if places == 0 {
				return "", fmt.Errorf("%s, hunk %d: its lines, from %q on, are not there", f.path, i+1, first)
			}
			return "", fmt.Errorf("%s, hunk %d: its lines, from %q on, are there %d times: give more of them, or a function behind @@", f.path, i+1, first, places)
		}
		lines = slices.Concat(lines[:place], h.new, lines[place+len(h.old):])
	}
	return strings.Join(lines, "\n"), nil
}

// region is where a hunk may stand: in all of the file, or in its function.
func (h *hunk) region(lines []string) (from, to int, err error) {
	if h.anchor == "" {
		return 0, len(lines), nil
	}
	from = -1
	for i, line := range lines {
		if !strings.HasPrefix(line, h.anchor) {
			continue
		}
		if from >= 0 {
			return 0, 0, fmt.Errorf("more than one line begins with %q", h.anchor)
		}
		from = i
	}
	if from < 0 {
		return 0, 0, fmt.Errorf("no line begins with %q", h.anchor)
	}
	for to = from + 1; to < len(lines); to++ {
		if strings.HasPrefix(lines[to], "}") || strings.HasPrefix(lines[to], ")") {
			to++
			break
		}
	}
	return from, to, nil
}

// mutate returns the files that a mutant changes, as they are with it.
func (m *mutant) mutate(root string) (map[string]string, error) {
	changed := map[string]string{}
	for i := range m.files {
		f := &m.files[i]
		text, ok := changed[f.path]
		if !ok {
			bytes, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.path)))
			if err != nil {
				return nil, err
			}
			text = string(bytes)
		}
		text, err := f.apply(text)
		if err != nil {
			return nil, err
		}
		changed[f.path] = text
	}
	return changed, nil
}
