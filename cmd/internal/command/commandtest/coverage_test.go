package commandtest

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/untorn-db/untorn/cmd/internal/command"
)

func greet() command.Program {
	return command.Program{
		Name:  "greet",
		Exits: []command.Exit{{Code: 0, Says: "fine"}, {Code: 1, Says: "wrong"}, {Code: 2, Says: "usage"}},
		Groups: []command.Group{{Commands: []command.Command{{
			Name: "hello", Short: "greet", Exits: []int{0, 1, 2},
			Examples: []command.Example{{Line: "greet hello --loud", Says: "all can hear it"}},
			Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
				flags.Bool("loud", false, "loud")
				flags.Int("n", 1, "so `many`")
				return func(*command.Env) error { return nil }
			},
		}}}},
	}
}

// whole exercises all of greet.
func whole() (script string) {
	refused := "refused 'it''s wrong; usage: greet hello -n' greet hello --laud # greet hello\n"
	return "exits 0 greet hello --loud\n[unix] exec sh -c 'greet hello -n=3 | cat; greet hello; test $? = 1'\n" +
		"stdout 'greet nobody --x'\nexits 0 greet help\nexits 0 greet completion bash\nexits 0 greet man\n" +
		"refused 'x' greet help a b\nrefused 'x' greet completion\nrefused 'x' greet man a\n" + strings.Repeat(refused, leastRefused-3) +
		"-- file --\nexits 7 greet hello --file\n"
}

// TestCoverageBites takes one thing away at a time, which has to be named.
func TestCoverageBites(t *testing.T) {
	without := func(old, new string) string {
		if !strings.Contains(whole(), old) {
			t.Fatalf("there is no %q", old)
		}
		return strings.Replace(whole(), old, new, 1)
	}
	const loud = `no script runs greet hello with --loud: write "exits 0 greet hello --loud …" into testdata/script/hello.txtar`
	for _, c := range []struct {
		name   string
		change func(*command.Command)
		script string
		test   string
		want   []string
	}{
		{"all is there", nil, whole(), "", nil},
		{"a flag", nil, without("--loud", ""), "", []string{loud}},
		{"a flag that is only refused", nil, without("exits 0 greet hello --loud", "exits 2 greet hello --loud\nexits 0 greet hello"), "", []string{loud}},
		{"a flag in a comment", nil, without("--loud", "# --loud"), "", []string{loud}},
		{"a flag behind the end", nil, without("--loud", "") + "exits 0 greet hello --loud\n", "", []string{loud}},
		{"a flag in a Go test", nil, without("--loud", ""), "package x\nvar a = []string{\"hello\", \"--loud=1\"}\n", nil},
		{"a flag in a call of a Go test", nil, without("--loud", ""), "package x\nvar a = output(\"hello\", x, \"--loud\")\n", nil},
		{"a flag of another command in a Go test", nil, without("--loud", ""), "package x\nvar a = output(\"help\", \"--loud\")\n", []string{loud}},
		{"a code", nil, without("test $? = 1", ""), "", []string{`no script ends greet hello with 1: write "exits 1 greet hello …" into testdata/script/hello.txtar; or, above a Go test that does, "exits 1: greet hello"`}},
		{"a code of a Go test", nil, without("test $? = 1", ""), "package x\n\n// It is so.\n// exits 1: greet help, hello\nfunc f() {}\n", []string{"x_test.go:3: greet help exits with 1, which is not in the command's Exits: add it"}},
		{"a command", nil, without("exits 0 greet man\n", ""), "", []string{`no script ends greet man with 0: write "exits 0 greet man …" into testdata/script/man.txtar; or, above a Go test that does, "exits 0: greet man"`}},
		{"a code too many", nil, without("test $? = 1", "test $? = 1'\nexec sh -c 'greet hello; test $? = 7"), "", []string{"testdata/script/a.txtar:3: greet hello exits with 7, which is not in the command's Exits: add it"}},
		{"a code that the program does not know", func(c *command.Command) { c.Exits = append(c.Exits, 9) }, without("test $? = 1", "test $? = 1'\nexec sh -c 'greet hello; test $? = 9"), "", []string{"greet hello may end with 9, which the program's Exits do not explain"}},
		{"no usage code", func(c *command.Command) { c.Exits = []int{0, 1} }, strings.ReplaceAll(whole(), "refused 'it''s", "stdout 'it''s"), "", []string{
			"greet hello may end with 2: add it to the command's Exits",
			`no wrong input of greet hello is tried: write "refused 'MESSAGE' greet hello …" into testdata/script/wrong.txtar`,
			`3 wrong inputs of greet are tried, want 30: write "refused 'MESSAGE' greet COMMAND …"`,
		}},
		{"an example", func(c *command.Command) { c.Examples = nil }, whole(), "", []string{"greet hello has no Examples: --help ends with them"}},
		{"an example of something else", func(c *command.Command) { c.Examples[0].Line = "greet help" }, whole(), "", []string{`greet hello: the example "greet help" does not run it`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := greet()
			if c.change != nil {
				c.change(&p.Groups[0].Commands[0])
			}
			folder := fstest.MapFS{"testdata/script/a.txtar": {Data: []byte(c.script)}}
			if c.test != "" {
				folder["x_test.go"] = &fstest.MapFile{Data: []byte(c.test)}
			}
			found, err := exercised(&p, folder)
			if err != nil {
				t.Fatal(err)
			}
			if got := uncovered(&p, found); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestMalformed: what roff would not take as it is meant is found.
func TestMalformed(t *testing.T) {
	for text, want := range map[string]int{
		".SH \"NAME\"\na \\- b\n\\&.c \\fBd\\fR \\[u2026]\n.\\\" a comment": 0,
		".nope":      1,
		"'nope":      1,
		"a\\b":       1,
		"a\\[u20]":   1,
		"caf\u00e9":  1,
		"a-b":        1,
		"a\tb":       1,
		"a\\(aqb\\e": 0,
	} {
		if got := malformed(text); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
