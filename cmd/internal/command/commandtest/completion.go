package commandtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command"
)

// Completion loads the scripts of the program into real shells, those that are
// installed, and asks them to complete: every command, every flag, and the values that
// are known.
func Completion(t *testing.T, p command.Program) {
	for _, shell := range []struct {
		name string
		ask  func(t *testing.T, p *command.Program, script string, asked []question) string
	}{{"bash", askBash}, {"zsh", askZsh}, {"fish", askFish}} {
		t.Run(shell.name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("its paths are not those of these shells: they are tried elsewhere")
			}
			if _, err := exec.LookPath(shell.name); err != nil {
				t.Skipf("%s is not installed: its completion is not tried", shell.name)
			}
			dir := t.TempDir()
			t.Chdir(dir)
			for _, err := range []error{
				os.Mkdir(filepath.Join(dir, "folder"), 0o755),
				os.WriteFile(filepath.Join(dir, "file.plan"), nil, 0o644),
				os.WriteFile(filepath.Join(dir, "script"), output(t, &p, "completion", shell.name), 0o644),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			asked := questions(&p)
			answers := strings.Split(shell.ask(t, &p, filepath.Join(dir, "script"), asked), separator+"\n")
			if len(answers) != len(asked)+1 {
				t.Fatalf("%d answers to %d questions: %q", len(answers)-1, len(asked), answers)
			}
			for i, q := range asked {
				var offered []string
				for line := range strings.Lines(answers[i]) {
					word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t") // behind it is what it says
					if i := strings.Index(word, "="); strings.HasPrefix(word, "--") {
						word = word[i+1:] // of --flag=value; fish and zsh offer it whole
					}
					offered = append(offered, strings.TrimSuffix(strings.TrimSpace(word), "/"))
				}
				for _, want := range q.want {
					if !slices.Contains(offered, want) {
						t.Errorf("%q offers %q, without %q", q.line, offered, want)
					}
				}
				for _, never := range q.never {
					if slices.Contains(offered, never) {
						t.Errorf("%q offers %q", q.line, never)
					}
				}
			}
		})
	}
}

// separator stands behind each answer.
const separator = "=== that was all ==="

// question is a line that is to be completed.
type question struct {
	line  string
	want  []string // of what must be offered
	never []string
}

// words is the line as a shell has it: the last one is to be completed.
func (q *question) words() []string {
	words := strings.Fields(q.line)
	if strings.HasSuffix(q.line, " ") {
		words = append(words, "")
	}
	return words
}

// questions asks for all that the table knows.
func questions(p *command.Program) (all []question) {
	commands := question{line: p.Name + " ", never: []string{"file.plan"}}
	for _, c := range p.Commands() {
		commands.want = append(commands.want, c.Name)
		begin := p.Name + " " + c.Name + " "
		var double, single []string
		joined := false
		for _, f := range c.Flags() {
			if strings.HasPrefix(f.Written, "--") {
				double = append(double, f.Written)
			} else {
				single = append(single, f.Written)
			}
			if f.Value == "" {
				continue
			}
			known := values(begin+f.Written+" ", f.Values)
			all = append(all, known...)
			if !joined && len(known[0].want) > 0 && strings.HasPrefix(f.Written, "--") { // one is enough
				joined = true
				all = append(all, question{line: begin + f.Written + "=", want: known[0].want, never: known[0].never})
			}
		}
		all = append(all, question{line: begin + "--", want: append(double, "--help"), never: []string{"file.plan"}})
		all = append(all, question{line: begin + "-", want: single})
		if v := c.Values[c.Operands]; len(v.Words) > 0 {
			all = append(all, values(begin, v)...)
		}
	}
	return append(all, commands)
}

// values asks for what stands behind a line.
func values(line string, v command.Values) []question {
	if len(v.Words) == 0 {
		switch {
		case v.Files:
			return []question{{line: line, want: []string{"file.plan", "folder"}}}
		case v.Directories:
			return []question{{line: line, want: []string{"folder"}, never: []string{"file.plan"}}}
		}
		return []question{{line: line, never: []string{"file.plan"}}}
	}
	all := []question{{line: line, want: v.Words}}
	if !v.Files {
		all[0].never = []string{"file.plan"}
	}
	if v.List && len(v.Words) > 1 {
		all = append(all, question{line: line + v.Words[0] + ",", want: []string{v.Words[0] + "," + v.Words[1]}})
	}
	return all
}

// output is what the program prints.
func output(t *testing.T, p *command.Program, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	if code := p.Run(context.Background(), args, nil, &out, &errs); code != command.ExitFine || errs.Len() > 0 {
		t.Fatalf("%s %q: exit %d: %s", p.Name, args, code, errs.String())
	}
	return out.Bytes()
}

// shell runs a shell on a script of its own, and returns what it prints.
func shell(t *testing.T, script string, name string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "driver")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(name, append(args, file)...)
	run.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb", "LC_ALL=C")
	var errs bytes.Buffer
	run.Stderr = &errs
	out, err := run.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v: %s", name, err, errs.String())
	}
	return string(out)
}

// askBash calls the function that the script has given to complete, as bash does, with
// a word for each =.
func askBash(t *testing.T, p *command.Program, script string, asked []question) string {
	var s strings.Builder
	fmt.Fprintf(&s, `source %q || exit 1
set -u
registered=$(complete -p %s) || exit 1
registered=${registered#*-F }
ask() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    ${registered%%%% *}
    for reply in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do printf '%%s\n' "$reply"; done
    echo %q
}
`, script, p.Name, separator)
	for _, q := range asked {
		s.WriteString("ask")
		for _, word := range q.words() {
			flag, _, joined := strings.Cut(word, "=")
			if joined {
				word = flag + "' '="
			}
			s.WriteString(" '" + word + "'")
		}
		s.WriteString("\n")
	}
	return shell(t, s.String(), "bash", "--norc")
}

// askFish asks complete -C, which does all that the key does.
func askFish(t *testing.T, _ *command.Program, script string, asked []question) string {
	var s strings.Builder
	fmt.Fprintf(&s, "source %s; or exit 1\n", script)
	for _, q := range asked {
		fmt.Fprintf(&s, "complete -C '%s'\necho '%s'\n", q.line, separator)
	}
	return shell(t, s.String(), "fish", "--no-config")
}

// askZsh types the lines into a zsh on a terminal of its own, whose compadd writes down
// what it is given.
func askZsh(t *testing.T, _ *command.Program, script string, asked []question) string {
	answers := filepath.Join(t.TempDir(), "answers")
	inner := filepath.Join(t.TempDir(), "inner")
	err := os.WriteFile(inner, []byte(fmt.Sprintf(`PROMPT=
autoload -U compinit
compinit -u -D
source %[1]s
ask() {
    zle list-choices
    print -r -- '%[3]s' >>%[2]s
    BUFFER=
}
zle -N ask
bindkey '^I' ask
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then # it only sorts out
        builtin compadd "$@"
        return $?
    fi
    typeset -a hits
    builtin compadd -A hits "$@"
    local prefix=$IPREFIX
    for hit in $hits; do print -r -- "$prefix$hit" >>%[2]s; done
    builtin compadd "$@"
}
print -r -- ready >>%[2]s
`, script, answers, separator)), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	fmt.Fprintf(&s, `zmodload zsh/zpty zsh/zselect || exit 1
: >%[1]s
come() { # so many lines have come that are this one
    local -i tries=0
    local -a lines
    while true; do
        lines=(${(M)${(f)"$(<%[1]s)"}:#$2})
        ((${#lines} >= $1)) && return
        if ((++tries > 1000)); then print "no answer: $(<%[1]s)" >&2; exit 1; fi
        zselect -t 1
        zpty -r -t z noise
    done
}
zpty -b z zsh -f -i
zpty -w z 'source %[2]s'
come 1 ready
`, answers, inner)
	for i, q := range asked {
		// ^U leaves the line empty.
		fmt.Fprintf(&s, "zpty -w -n z $'\\C-u%s\\t'\ncome %d '%s'\n", q.line, i+1, separator)
	}
	fmt.Fprintf(&s, "zpty -d z\ntail -n +2 %s\n", answers)
	return shell(t, s.String(), "zsh", "-f")
}
