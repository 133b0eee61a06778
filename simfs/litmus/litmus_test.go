package litmus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/simfs"
)

func corpusOf(t *testing.T) []Program {
	t.Helper()
	programs, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return programs
}

// The three searches agree on every program and every preset, and what the files
// say is so.
func TestCorpus(t *testing.T) {
	for _, p := range corpusOf(t) {
		t.Run(p.Name, func(t *testing.T) {
			for _, g := range simfs.Presets() {
				r, err := Check(p, g)
				if err != nil {
					t.Fatalf("%s: %v", g.Name, err)
				}
				for _, broken := range r.Broken {
					t.Errorf("%s: %s", g.Name, broken)
				}
			}
		})
	}
}

// No two programs do the same, and rules of both kinds are there for every preset.
func TestCorpusIsLarge(t *testing.T) {
	programs := corpusOf(t)
	if len(programs) < 60 {
		t.Errorf("%d programs", len(programs))
	}
	same := map[string]string{}
	allowed, forbidden := map[string]int{}, map[string]int{}
	for _, p := range programs {
		key := fmt.Sprint(p.Ops, p.Cell, p.Options)
		if other, ok := same[key]; ok {
			t.Errorf("%s and %s are the same program", p.Name, other)
		}
		same[key] = p.Name
		for _, r := range p.Rules {
			for _, preset := range r.Presets {
				if r.Verb != "forbid" {
					allowed[preset]++
				}
				if r.Verb != "allow" {
					forbidden[preset]++
				}
			}
		}
	}
	for _, g := range simfs.Presets() {
		if allowed[g.Name] < 60 || forbidden[g.Name] < 40 {
			t.Errorf("%s: %d rules say what is allowed, %d what is not", g.Name, allowed[g.Name], forbidden[g.Name])
		}
	}
}

// The corpus tells each preset from every other: some program leaves other outcomes.
func TestCorpusTellsPresetsApart(t *testing.T) {
	apart := map[[2]string]bool{}
	for _, p := range corpusOf(t) {
		outcomes := map[string][]string{}
		for _, g := range simfs.Presets() {
			if ok, _ := p.Happens(g); !ok {
				continue
			}
			side, _, err := Lazy(p, g)
			if err != nil {
				t.Fatal(err)
			}
			outcomes[g.Name] = side.Outcomes
		}
		for a := range outcomes {
			for b := range outcomes {
				if !slices.Equal(outcomes[a], outcomes[b]) {
					apart[[2]string{a, b}] = true
				}
			}
		}
	}
	for _, a := range simfs.PresetNames() {
		for _, b := range simfs.PresetNames() {
			if a != b && !apart[[2]string{a, b}] {
				t.Errorf("no program tells %s from %s", a, b)
			}
		}
	}
}

const wrong = `# Two new files
# A program with rules that do not hold.
create f
create g
----
allow ext4: g=
forbid posix: g=
only xfs: - | f=
allow all: f=
`

// Check notices rules that do not hold, and searches that differ.
func TestCheckNotices(t *testing.T) {
	p, err := Parse("wrong", wrong)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		g    simfs.Guarantees
		says []string
	}{
		{simfs.Posix(), []string{"forbid posix: g=: not so for g=; possible are - | f= | f= g= | g="}},
		{simfs.Ext4(), []string{"allow ext4: g=: not so for g=; possible are - | f= | f= g="}},
		{simfs.XFS(), []string{"only xfs: - | f=: possible are - | f= | f= g="}},
		{simfs.Btrfs(), nil},
	} {
		r, err := Check(p, c.g)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Broken, c.says) || r.OK() != (len(c.says) == 0) {
			t.Errorf("%s: broken %q, want %q", c.g.Name, r.Broken, c.says)
		}
	}
	r := Result{Eager: Side{Outcomes: []string{"-", "a="}}}
	r.differ("lazy", Side{Outcomes: []string{"-", "b="}})
	if want := "lazy alone has {b=}, eager alone has {a=}"; len(r.Broken) != 1 || r.Broken[0] != want {
		t.Errorf("broken %q, want %q", r.Broken, want)
	}
}

// On guarantees that are no preset the two searches are compared, without rules.
func TestCheckOfOtherGuarantees(t *testing.T) {
	p, err := Parse("wrong", wrong)
	if err != nil {
		t.Fatal(err)
	}
	g := simfs.Posix()
	g.Journal = true
	r, err := Check(p, g)
	if err != nil || !r.OK() || r.NoNaive == "" || r.Disk != "posix+journal" || len(r.Outcomes) != 3 {
		t.Errorf("%+v, error %v", r, err)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, outcome string
		want             bool
	}{
		{"-", "-", true},
		{"-", "f=", false},
		{"f=", "f=", true},
		{"f=", "f=a", false},
		{"f=", "f= g=", false},
		{"f= ...", "f= g=", true},
		{"f=- ...", "g=", true},
		{"f=- ...", "-", true},
		{"f=- ...", "f=a", false},
		{"d=- ...", "d/ d/f=", false},
		{"f=a g=-", "f=a", true},
		{"d/ d/f=", "d/ d/f=", true},
		{"d/ d/f=", "d/", false},
	} {
		if got := Matches(c.pattern, c.outcome); got != c.want {
			t.Errorf("Matches(%q, %q) = %v", c.pattern, c.outcome, got)
		}
	}
}

func TestBytesText(t *testing.T) {
	noise := []byte{7, 'x', 200, 'y', 'y', 9}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{nil, ""},
		{[]byte("aab"), "a*2,b"},
		{noise, "?*6"},
		{append(slices.Clone(noise), "oooo"...), "?*6,o*4"},
		{append([]byte("oooo"), noise...), "o*4,?*6"},
	} {
		if got := bytesText(c.data); got != c.want {
			t.Errorf("%q prints as %s, want %s", c.data, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	head := "# title\n# why\n"
	rule := "----\nallow all: -\n"
	for _, c := range []struct{ text, says string }{
		{head + "create f\n", "no line of dashes"},
		{"create f\n" + rule, "write what it is about"},
		{"# title\ncreate f\n" + rule, "why it matters"},
		{head + rule, "no program"},
		{head + "fly f\n" + rule, "no such operation"},
		{head + "crash f\n" + rule, "write crash, kill"},
		{head + "fail f\n" + rule, "write crash, kill"},
		{head + "option cell 3\ncreate f\n" + rule, "power of two"},
		{head + "option fast\ncreate f\n" + rule, "no option"},
		{head + "create f\n----\nallow all -\n", "write allow, forbid or only"},
		{head + "create f\n----\nwant all: -\n", "write allow, forbid or only"},
		{head + "create f\n----\nallow fat: -\n", "no preset"},
		{head + "create f\n----\nonly all: f= ...\n", "left open"},
		{head + "create f\n----\nallow all: - |\n", "an outcome is missing"},
		{head + "create f\n----\nallow posix: -\n", "no rule says anything about ext4"},
		{head + "naive no: reasons\ncreate f\nfail f btrfs\n" + rule, "where it cannot happen"},
		{head + "create f\nfail f silent\n" + rule, "beyond the naive search"},
		{head + "naive no: it is lazy\ncreate f\n" + rule, "beyond the naive search"},
	} {
		if _, err := Parse("p", c.text); err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "litmus: p: ") {
			t.Errorf("%q: error %v, want one that says %q", c.text, err, c.says)
		}
	}
}

// Operations print as they are read.
func TestOperationsPrintAndParse(t *testing.T) {
	for _, p := range corpusOf(t) {
		var lines []string
		for _, op := range p.Ops {
			lines = append(lines, op.String())
		}
		var again Program
		for _, line := range lines {
			if err := again.line(line, nil); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(again.Ops) != fmt.Sprint(p.Ops) {
			t.Errorf("%s: %v reads back as %v", p.Name, p.Ops, again.Ops)
		}
	}
}

// A program whose operations cannot be done is an error, in every search.
func TestImpossiblePrograms(t *testing.T) {
	p, err := Parse("gone", "# title\n# why\nremove f\n----\nallow all: -\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Eager(p, simfs.Ext4()); err == nil || !strings.Contains(err.Error(), "operation 0, remove f") {
		t.Errorf("eager: error %v", err)
	}
	if _, _, err := Lazy(p, simfs.Ext4()); err == nil || !strings.Contains(err.Error(), "operation 0, remove f") {
		t.Errorf("lazy: error %v", err)
	}
	if _, err := Naive(p, "ext4"); err == nil {
		t.Error("naive: no error")
	}
	if _, err := Check(p, simfs.Ext4()); err == nil {
		t.Error("check: no error")
	}
}
