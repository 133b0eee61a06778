package litmus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/naive"
)

// Op is an operation of a program: one that naive has, or crash, kill, read, fail.
type Op struct {
	naive.Op
	Mode string // of fail
}

// String prints an operation as Parse reads it.
func (op Op) String() string {
	switch op.Kind {
	case "crash", "kill":
		return op.Kind
	case "read":
		return "read " + op.Path
	case "fail":
		return "fail " + op.Path + " " + op.Mode
	}
	return op.Op.String()
}

// Program is a litmus program with its rules.
type Program struct {
	Name    string // of its file, without ".txt"
	Title   string // what it is about
	Why     string // why it matters
	Ops     []Op
	Cell    int      // bytes that reach the platter together
	Options []string // those without a value: tear, split, …
	NoNaive string   // why the naive search cannot check it, or ""
	Rules   []Rule
}

// Rule is what some presets must allow, must forbid, or have and nothing else.
type Rule struct {
	Verb     string // "allow", "forbid" or "only"
	Presets  []string
	Patterns []string
	Line     string // as it stands in the file
}

// options a program can have, and whether the naive search knows them.
func options() map[string]bool {
	return map[string]bool{"tear": true, "split": false, "unsafe": false, "noshrink": false, "garbage": false, "stale": false}
}

// Parse reads a program; name is what it will be called.
func Parse(name, text string) (Program, error) {
	p := Program{Name: name, Cell: 512}
	head, rules, ok := strings.Cut(text, "----\n")
	if !ok {
		return p, fmt.Errorf("litmus: %s: no line of dashes between the program and its rules", name)
	}
	var comment []string
	for line := range strings.Lines(head) {
		if err := p.line(strings.TrimSpace(line), &comment); err != nil {
			return p, fmt.Errorf("litmus: %s: %w", name, err)
		}
	}
	if len(comment) > 0 {
		p.Title, p.Why = comment[0], strings.Join(comment[1:], " ")
	}
	for line := range strings.Lines(rules) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		r, err := parseRule(line)
		if err != nil {
			return p, fmt.Errorf("litmus: %s: %w", name, err)
		}
		p.Rules = append(p.Rules, r)
	}
	if err := p.check(); err != nil {
		return p, fmt.Errorf("litmus: %s: %w", name, err)
	}
	return p, nil
}

// line reads a line above the dashes.
func (p *Program) line(line string, comment *[]string) error {
	if text, ok := strings.CutPrefix(line, "#"); ok {
		*comment = append(*comment, strings.TrimSpace(text))
		return nil
	}
	if why, ok := strings.CutPrefix(line, "naive no:"); ok {
		p.NoNaive = strings.TrimSpace(why)
		return nil
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	op := Op{Op: naive.Op{Kind: words[0]}}
	if len(words) > 1 {
		op.Path = words[1]
	}
	switch {
	case words[0] == "option":
		return p.option(words[1:])
	case (words[0] == "crash" || words[0] == "kill") && len(words) == 1:
	case words[0] == "read" && len(words) == 2:
	case words[0] == "fail" && len(words) == 3:
		op.Mode = words[2]
	case slices.Contains([]string{"crash", "kill", "read", "fail"}, words[0]):
		return fmt.Errorf("%q: write crash, kill, read FILE or fail FILE MODE", line)
	default:
		parsed, err := naive.Parse(line)
		if err != nil {
			return err
		}
		for _, one := range parsed {
			p.Ops = append(p.Ops, Op{Op: one})
		}
		return nil
	}
	p.Ops = append(p.Ops, op)
	return nil
}

func (p *Program) option(words []string) error {
	if len(words) == 2 && words[0] == "cell" {
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 1 || n > simfs.PageSize || n&(n-1) != 0 {
			return fmt.Errorf("cells of %q bytes: use a power of two up to %d", words[1], simfs.PageSize)
		}
		p.Cell = n
		return nil
	}
	if _, ok := options()[strings.Join(words, " ")]; !ok {
		return fmt.Errorf("no option %q: use cell N, tear, split, unsafe, noshrink, garbage or stale", strings.Join(words, " "))
	}
	p.Options = append(p.Options, words[0])
	return nil
}

func parseRule(line string) (Rule, error) {
	head, patterns, ok := strings.Cut(line, ": ")
	words := strings.Fields(head)
	if !ok || len(words) < 2 || !slices.Contains([]string{"allow", "forbid", "only"}, words[0]) {
		return Rule{}, fmt.Errorf("%q: write allow, forbid or only, then presets, a colon and outcomes", line)
	}
	r := Rule{Verb: words[0], Presets: words[1:], Line: line}
	if slices.Equal(r.Presets, []string{"all"}) {
		r.Presets = simfs.PresetNames()
	}
	for _, preset := range r.Presets {
		if !slices.Contains(simfs.PresetNames(), preset) {
			return r, fmt.Errorf("%q: no preset %q: use %s, or all", line, preset, strings.Join(simfs.PresetNames(), ", "))
		}
	}
	for pattern := range strings.SplitSeq(patterns, "|") {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" || r.Verb == "only" && strings.HasSuffix(pattern, "...") {
			return r, fmt.Errorf("%q: an outcome is missing, or left open where nothing else is allowed", line)
		}
		r.Patterns = append(r.Patterns, pattern)
	}
	return r, nil
}

// check says what is wrong with a program as a whole.
func (p *Program) check() error {
	switch {
	case p.Title == "" || p.Why == "":
		return fmt.Errorf("write what it is about in the first comment, and why it matters below")
	case len(p.Ops) == 0:
		return fmt.Errorf("no program")
	}
	for _, g := range simfs.Presets() {
		here, _ := p.Happens(g)
		ruled := slices.ContainsFunc(p.Rules, func(r Rule) bool { return slices.Contains(r.Presets, g.Name) })
		if here && !ruled {
			return fmt.Errorf("no rule says anything about %s", g.Name)
		}
		if !here && ruled {
			return fmt.Errorf("a rule speaks about %s, where it cannot happen", g.Name)
		}
	}
	// What a file holds behind its end is in no outcome, so a crash may be beyond it.
	crash := slices.ContainsFunc(p.Ops, func(op Op) bool { return op.Kind == "crash" })
	if beyond := p.beyondNaive(); beyond != "" && p.NoNaive == "" || beyond == "" && !crash && p.NoNaive != "" {
		return fmt.Errorf("beyond the naive search: %q; its line \"naive no:\" says %q", beyond, p.NoNaive)
	}
	return nil
}

// beyondNaive returns what the naive search does not model, or "".
func (p *Program) beyondNaive() string {
	for _, o := range p.Options {
		if !options()[o] {
			return o
		}
	}
	for _, op := range p.Ops {
		if op.Kind == "fail" {
			return "fail"
		}
	}
	return ""
}

// Happens reports whether the program can happen on a disk with these guarantees,
// and why not: a sync that cannot fail in that way.
func (p *Program) Happens(g simfs.Guarantees) (ok bool, why string) {
	for _, op := range p.Ops {
		if op.Kind == "fail" && !slices.Contains(strings.Fields(g.SyncFailures), op.Mode) {
			return false, "no sync fails there as " + op.Mode
		}
	}
	return true, ""
}

// disk returns the options of the disk on which the program runs.
func (p *Program) disk(g simfs.Guarantees) simfs.Options {
	o := simfs.Options{Guarantees: g, CellSize: p.Cell}
	for _, option := range p.Options {
		switch option {
		case "tear":
			o.Guarantees.Tear = true
		case "split":
			o.Guarantees.SplitRename = true
		case "unsafe":
			o.Guarantees.Powersafe = false
		case "noshrink":
			o.Guarantees.DataSyncShrinks = false
		case "garbage":
			o.Garbage.Block = true
		case "stale":
			o.Garbage.Stale = true
		}
	}
	return o
}
