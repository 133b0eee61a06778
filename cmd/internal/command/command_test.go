package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// greet is a small program, whose texts have what shells and roff take for their own.
func greet() Program {
	return Program{
		Name: "greet-all", Short: "greet-all says hello.", What: "say hello",
		Long:  ".Not a request, 'nor this' \\fB\n'one\n\n  as\\it  stands",
		Meant: Meant{"dir", "the greeter's directory"},
		Exits: []Exit{{0, "fine"}, {1, "nobody heard"}, {2, "not understood"}, {7, "shouted"}},
		Groups: []Group{{"Say hello", []Command{
			{
				Name: "hello", Operands: "NAME", Short: "greet 'one' [of: them]", Long: "Long.",
				Examples: []Example{{"greet-all hello --tone 'a^b~`c`' you", "it's you"}},
				Values:   map[string]Values{"tone": {Words: []string{"high", "low"}, List: true}},
				Prepare: func(flags *flag.FlagSet) func(*Env) error {
					flags.String("tone", "", "the `tones`: [high] or 'low'; both")
					loud := flags.Bool("l", false, "loud")
					return func(e *Env) error {
						switch {
						case e.Operand() == "":
							return Incomplete("no NAME: say who is greeted")
						case e.Operand() == "moon":
							return errors.New("the moon\nis \x1b[31mfar")
						case *loud:
							return fmt.Errorf("too loud: %w", Fail(7, "shouted at %s", e.Operand()))
						}
						e.Note("it is\nlate")
						fmt.Fprintf(e.Stdout, "hello %s\n", e.Operand())
						return nil
					}
				},
			},
			{
				Name: "all", Short: "greet all", Long: "Long.",
				Prepare: func(flags *flag.FlagSet) func(*Env) error {
					flags.String("dir", "", "the `directory`")
					return func(*Env) error { return nil }
				},
			},
			{
				Name: "two", Operands: "A B", Short: "greet two", Long: "Long.",
				Prepare: func(*flag.FlagSet) func(*Env) error {
					return func(e *Env) error { return e.Object(e.Operands) }
				},
			},
			{
				Name: "many", Operands: "[NAME…]", Short: "greet many", Long: "Long.",
				Prepare: func(flags *flag.FlagSet) func(*Env) error {
					flags.Int("times", 1, "`how often`")
					flags.Duration("pause", 0, "`how long` between them")
					flags.Bool("soft", false, "so that nobody hears it")
					flags.Var(new(mood), "mood", "the `mood`")
					return func(e *Env) error { return e.Object(Either(e.Operands)) }
				},
			},
		}}},
	}
}

// mood is a flag whose values are known.
type mood string

func (m *mood) String() string        { return string(*m) }
func (m *mood) Set(text string) error { *m = mood(text); return nil }
func (m *mood) Words() []string       { return []string{"glad", "sad"} }

// TestRun: what a command line leads to.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"hello you", 0, "hello you\n", "greet-all: note: it is; late\n"},
		{"hello you --tone low", 0, "hello you\n", "greet-all: note: it is; late\n"},
		{"hello moon", 1, "", "greet-all: hello: the moon; is \uFFFD[31mfar\n"},
		{"hello -l you", 7, "", "greet-all: hello: too loud: shouted at you\n"},
		{"hello", 2, "", "greet-all: hello: no NAME: say who is greeted; usage: greet-all hello NAME [flags]\n"},
		{"hello you me", 2, "", "greet-all: hello: unexpected \"me\" after \"you\": one NAME at a time; usage: greet-all hello NAME [flags]\n"},
		{"all here", 2, "", "greet-all: all: unexpected \"here\": write --dir here if that is the greeter's directory; usage: greet-all all [flags]\n"},
		{"all --dir there here", 2, "", "greet-all: all: unexpected \"here\": it belongs to no flag; usage: greet-all all [flags]\n"},
		{"two a b", 0, "[\"a\",\"b\"]\n", ""},
		{"two a b c", 2, "", "greet-all: two: unexpected \"c\" after \"b\": A B is all that it takes; usage: greet-all two A B\n"},
		{"many", 0, "\"\"\n", ""},
		{"many a <b c d", 0, "\"a, <b, c or d\"\n", ""},
		{"", 2, "", "greet-all: no command: use hello, all, two or many; greet-all help says more\n"},
		{"helo", 2, "", "greet-all: unknown command \"helo\": did you mean hello? greet-all help lists all\n"},
		{"wave", 2, "", "greet-all: unknown command \"wave\": use hello, all, two or many\n"},
		{"help wave", 2, "", "greet-all: help: unknown command \"wave\": use hello, all, two or many\n"},
		{"all --idr x", 2, "", "greet-all: all: flag provided but not defined: -idr: did you mean --dir? see greet-all all --help\n"},
		{"all --folder x", 2, "", "greet-all: all: flag provided but not defined: -folder: see greet-all all --help\n"},
		{"all --dir", 2, "", "greet-all: all: flag needs an argument: -dir: see greet-all all --help\n"},
		{"many --times x", 2, "", "greet-all: many: invalid value \"x\" for flag -times: write a number, such as 7: see greet-all many --help\n"},
		{"many --times 99999999999999999999", 2, "", "greet-all: many: invalid value \"99999999999999999999\" for flag -times: write a number, such as 7: see greet-all many --help\n"},
		{"many --pause 5", 2, "", "greet-all: many: invalid value \"5\" for flag -pause: write a duration, such as 90s or 10m: see greet-all many --help\n"},
		{"many --soft=x", 2, "", "greet-all: many: invalid boolean value \"x\" for -soft: leave the value out: see greet-all many --help\n"},
		{"help two", 0, "greet-all two A B: greet two\n\nusage: greet-all two A B\n\nLong.\n", ""},
		{"--help two", 0, "greet-all two A B: greet two\n\nusage: greet-all two A B\n\nLong.\n", ""},
		{"hello --help", 0, "greet-all hello NAME: greet 'one' [of: them]\n\nusage: greet-all hello NAME [flags]\n\nLong.\n\n" +
			"  -l            loud\n  --tone tones  the tones: [high] or 'low'; both\n\n" +
			"Examples:\n\n  # it's you\n  greet-all hello --tone 'a^b~`c`' you\n", ""},
	} {
		var out, errs strings.Builder
		p := greet()
		code := p.Run(context.Background(), strings.Fields(c.line), nil, &out, &errs)
		if code != c.code || out.String() != c.stdout || errs.String() != c.stderr {
			t.Errorf("%s: exit %d\n%s%swant %d\n%s%s", c.line, code, out.String(), errs.String(), c.code, c.stdout, c.stderr)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

// TestFullDisk: an output that cannot be written is a failure, but not one that hides
// another.
func TestFullDisk(t *testing.T) {
	for line, want := range map[string]string{
		"help":         "greet-all: write the output: the disk is full\n",
		"hello -l you": "greet-all: hello: too loud: shouted at you\n",
	} {
		var errs strings.Builder
		p := greet()
		if code := p.Run(context.Background(), strings.Fields(line), nil, full{}, &errs); code == 0 || errs.String() != want {
			t.Errorf("%s: exit %d, %q", line, code, errs.String())
		}
	}
}

// TestShells: what is no word for a shell is one in the scripts. That real shells
// complete with them is tried by package commandtest.
func TestShells(t *testing.T) {
	p := greet()
	for _, c := range []struct{ name, script, want string }{
		{"bash", p.bash(), "        --tone|-tone) _greet_all_list 'high' 'low' ;;\n"},
		{"bash", p.bash(), "complete -F _greet_all greet-all\n"},
		{"zsh", p.zsh(), `            'hello:greet '\''one'\'' [of\: them]'` + "\n"},
		{"zsh", p.zsh(), `'*--tone=[the tones: \[high\] or '\''low'\'']:tones:_values -s , tones high low'`},
		{"bash", p.bash(), "        --mood|-mood) _greet_all_words 'glad' 'sad' ;;\n"},
		{"fish", p.fish(), `complete -c greet-all -n '__greet_all_at ""' -a hello -d 'greet \'one\' [of: them]'` + "\n"},
		{"fish", p.fish(), `complete -c greet-all -n '__greet_all_at hello' -l tone -x -a '(__greet_all_list high low)' -d 'the tones: [high] or \'low\''` + "\n"},
	} {
		if !strings.Contains(c.script, c.want) {
			t.Errorf("%s has no %s", c.name, c.want)
		}
		if _, err := exec.LookPath(c.name); err != nil {
			t.Logf("%s is not installed: its script is not read by it", c.name)
			continue
		}
		check := exec.Command(c.name, "-n", "/dev/stdin")
		check.Stdin = strings.NewReader(c.script)
		if text, err := check.CombinedOutput(); err != nil || len(text) > 0 {
			t.Errorf("%s does not take it: %v: %s", c.name, err, text)
		}
	}
}

// TestMan: what roff would take for its own is shown as it is written.
func TestMan(t *testing.T) {
	p := greet()
	page := p.man()
	for _, want := range []string{
		".TH \"GREET\\-ALL\" \"1\" \"\" \"greet\\-all\" ",
		"\\&.Not a request, \\(aqnor this\\(aq \\efB\n\\(aqone\n.PP\n.RS \"2\"\n.nf\nas\\eit  stands\n.fi\n.RE\n",
		".SS \"greet\\-all many [NAME\\[u2026]]\"\n",
		".TP\n\\fB\\-\\-tone\\fR \\fItones\\fR\nthe tones: [high] or \\(aqlow\\(aq; both\n",
		"greet\\-all hello \\-\\-tone \\(aqa\\(hab\\(ti\\(gac\\(ga\\(aq you\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no\n%s", want)
		}
	}
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}
	format := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-cbu")
	format.Stdin = strings.NewReader(page)
	var errs strings.Builder
	format.Stderr = &errs
	text, err := format.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, errs.String())
	}
	for _, want := range []string{
		"       .Not a request, 'nor this' \\fB 'one\n", "         as\\it  stands\n", "   greet-all many [NAME…]\n", "         greet-all hello --tone 'a^b~`c`' you\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
}

// TestWords: numbers and lists in sentences.
func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Count(1, "event", "events"):               "1 event",
		Count(uint64(0), "event", "events"):       "0 events",
		Count(uint64(1<<64-1), "event", "events"): "18446744073709551615 events",
		Either(nil):                                    "",
		Either([]string{"a"}):                          "a",
		Either([]string{"a", "b"}):                     "a or b",
		Either([]string{"a", "b", "c"}):                "a, b or c",
		OneLine("a\r\nb\n\n\x1b[2Jc\u0085 ✓"):          "a; b; \uFFFD[2Jc\uFFFD ✓",
		fmt.Sprint(Code(nil), Code(errors.New("x"))):   "0 1",
		fmt.Sprint(Code(errors.Join(Usage("x"), nil))): "2",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNearest: a slip of the pen is recognized, another word is not.
func TestNearest(t *testing.T) {
	words := []string{"append", "read", "tail", "f", "n", "batch", "from", "from-version"}
	for slip, want := range map[string]string{
		"appned": "append", "apend": "append", "appendd": "append", "reed": "read", "tial": "tail", "bach": "batch",
		"form": "from", "from-versoin": "from-version", "x": "", "dump": "", "readers": "", "": "", "appen\u00e9": "append",
	} {
		if got := nearest(slip, words); got != want {
			t.Errorf("%q is taken for %q, want %q", slip, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		d    int
	}{{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"ab", "ba", 1}, {"abc", "ca", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.d {
			t.Errorf("from %q to %q it is %d, want %d", c.a, c.b, got, c.d)
		}
	}
}
