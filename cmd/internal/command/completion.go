package command

import (
	"flag"
	"fmt"
	"strings"
)

func (p *Program) completionCommand() Command {
	return Command{
		Name: "completion", Operands: "(bash|zsh|fish)", Short: "print a script with which a shell completes command lines",
		Long: `The script completes commands and flags, and values where they are known: names, files, directories. It calls
nothing, so it has to be printed anew when the program is.`,
		Exits:  []int{ExitFine, ExitUsage},
		Values: map[string]Values{"(bash|zsh|fish)": {Words: shells()}},
		Examples: []Example{
			{"source <(" + p.Name + " completion bash)", "in this shell; as a line of ~/.bashrc, in each"},
			{p.Name + " completion zsh >~/.zfunc/_" + p.Name, "for zsh, whose ~/.zshrc has fpath=(~/.zfunc $fpath) before compinit"},
			{p.Name + " completion fish >~/.config/fish/completions/" + p.Name + ".fish", "for fish"},
		},
		Prepare: func(*flag.FlagSet) func(*Env) error {
			return func(e *Env) error {
				switch shell := e.Operand(); shell {
				case "bash":
					fmt.Fprint(e.Stdout, p.bash())
				case "zsh":
					fmt.Fprint(e.Stdout, p.zsh())
				case "fish":
					fmt.Fprint(e.Stdout, p.fish())
				case "":
					return Incomplete("no shell: use %s", Either(shells()))
				default:
					return Usage("unknown shell %q: use %s", shell, Either(shells()))
				}
				return nil
			}
		},
	}
}

func shells() []string { return []string{"bash", "zsh", "fish"} }

// quoted is a text as one word of bash and zsh.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// allQuoted is words of bash and zsh.
func allQuoted(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, quoted(w))
	}
	return strings.Join(all, " ")
}

// function is the name that the program has in shells.
func (p *Program) function() string { return "_" + strings.ReplaceAll(p.Name, "-", "_") }

// gist is what a list of flags has room for.
func (f *Flag) gist() string {
	text, _, _ := strings.Cut(f.Text, ";")
	return text
}

// bash is the script for bash, from 3.2 on.
func (p *Program) bash() string {
	var s strings.Builder
	name := p.function()
	fmt.Fprintf(&s, `# Completion of %[1]s for bash, printed by: %[1]s completion bash
# Load it with: source <(%[1]s completion bash)

# Each of these adds to COMPREPLY what begins with $word.
%[2]s_words() {
    local w
    for w in "$@"; do
        if [[ $w == "$word"* ]]; then COMPREPLY+=("$w"); fi
    done
}
%[2]s_list() { # with commas between
    local w given=
    if [[ $word == *,* ]]; then given=${word%%,*},; fi
    for w in "$@"; do
        if [[ $given$w == "$word"* && ,$given != *,"$w",* ]]; then COMPREPLY+=("$given$w"); fi
    done
}
%[2]s_paths() { # -f files, -d directories
    local w
    compopt -o filenames 2>/dev/null
    while IFS= read -r w; do COMPREPLY+=("$w"); done < <(compgen "$1" -- "$word")
}

%[2]s() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    # --flag=value comes as three words.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if ((COMP_CWORD == 1)); then
        %[2]s_words %[3]s --help
        return
    fi
    case ${COMP_WORDS[1]} in
`, p.Name, name, p.allNames())
	for _, c := range p.Commands() {
		fmt.Fprintf(&s, "    %s)\n        case $before in\n", c.Name)
		written := []string{"--help"}
		for _, f := range c.Flags() {
			written = append(written, f.Written)
			if f.Value == "" {
				continue
			}
			pattern := f.Written
			if strings.HasPrefix(pattern, "--") {
				pattern += "|" + pattern[1:]
			}
			fmt.Fprintf(&s, "        %s) %s;;\n", pattern, bashValues(name, f.Values))
		}
		flags := name + "_words " + allQuoted(written)
		operands := strings.TrimSpace(bashValues(name, c.operandValues()))
		if operands == "" {
			operands = flags
		}
		fmt.Fprintf(&s, "        *)\n            if [[ $word == -* ]]; then\n                %s\n            else\n                %s\n", flags, operands)
		s.WriteString("            fi\n            ;;\n        esac\n        ;;\n")
	}
	fmt.Fprintf(&s, "    esac\n}\ncomplete -F %s %s\n", name, p.Name)
	return s.String()
}

// bashValues is the call that offers values, or "".
func bashValues(name string, v Values) string {
	switch {
	case len(v.Words) > 0 && v.List:
		return name + "_list " + allQuoted(v.Words) + " "
	case len(v.Words) > 0 && v.Files:
		return name + "_words " + allQuoted(v.Words) + "; " + name + "_paths -f "
	case len(v.Words) > 0:
		return name + "_words " + allQuoted(v.Words) + " "
	case v.Files:
		return name + "_paths -f "
	case v.Directories:
		return name + "_paths -d "
	}
	return ""
}

// allNames is the names of all commands as words.
func (p *Program) allNames() string {
	var all []string
	for _, c := range p.Commands() {
		all = append(all, c.Name)
	}
	return allQuoted(all)
}

// zsh is the script for zsh, to be loaded from fpath or by source.
func (p *Program) zsh() string {
	var s strings.Builder
	name := p.function()
	fmt.Fprintf(&s, `#compdef %[1]s
# Completion of %[1]s for zsh, printed by: %[1]s completion zsh
# Put it into a directory of fpath under the name _%[1]s, or load it behind compinit
# with: source <(%[1]s completion zsh)

%[2]s() {
    if ((CURRENT == 2)); then
        local -a commands
        commands=(
`, p.Name, name)
	for _, c := range p.Commands() {
		fmt.Fprintf(&s, "            %s\n", quoted(c.Name+":"+strings.ReplaceAll(c.Short, ":", `\:`)))
	}
	s.WriteString(`        )
        _describe -t commands command commands
        return
    fi
    local name=$words[2]
    shift words
    ((CURRENT--))
    case $name in
`)
	for _, c := range p.Commands() {
		fmt.Fprintf(&s, "    %s)\n        _arguments \\\n            %s", c.Name, quoted("--help[explain the command]"))
		for _, f := range c.Flags() {
			text := strings.NewReplacer("[", `\[`, "]", `\]`).Replace(f.gist())
			if f.Value == "" {
				fmt.Fprintf(&s, " \\\n            %s", quoted(fmt.Sprintf("%s[%s]", f.Written, text)))
				continue
			}
			fmt.Fprintf(&s, " \\\n            %s", quoted(fmt.Sprintf("*%s=[%s]:%s:%s", f.Written, text, zshText(f.Value), zshValues(f.Value, f.Values))))
		}
		if c.Operands != "" {
			times := ":"
			if most, _ := c.operands(); most > 1 {
				times = "*:"
			}
			fmt.Fprintf(&s, " \\\n            %s", quoted(times+zshText(c.Operands)+":"+zshValues("word", c.operandValues())))
		}
		s.WriteString("\n        ;;\n")
	}
	fmt.Fprintf(&s, "    esac\n}\n\nif [[ $funcstack[1] == %[2]s ]]; then\n    %[1]s \"$@\"\nelse\n    compdef %[1]s %[3]s\nfi\n", name, "_"+p.Name, p.Name)
	return s.String()
}

// zshText is a text between colons.
func zshText(text string) string { return strings.ReplaceAll(text, ":", `\:`) }

// zshValues is the action that offers values; of nothing that is known, none.
func zshValues(what string, v Values) string {
	switch {
	case len(v.Words) > 0 && v.List:
		return "_values -s , " + strings.ReplaceAll(what, " ", "-") + " " + strings.Join(v.Words, " ")
	case len(v.Words) > 0 && v.Files:
		return "_alternative 'words:word:(" + strings.Join(v.Words, " ") + ")' 'files:file:_files'"
	case len(v.Words) > 0:
		return "(" + strings.Join(v.Words, " ") + ")"
	case v.Files:
		return "_files"
	case v.Directories:
		return "_files -/"
	}
	return " "
}

// fish is the script for fish.
func (p *Program) fish() string {
	var s strings.Builder
	name := "_" + p.function()
	fmt.Fprintf(&s, `# Completion of %[1]s for fish, printed by: %[1]s completion fish
# Put it into ~/.config/fish/completions/%[1]s.fish, or load it with: %[1]s completion fish | source

function %[2]s_at # the command behind which the cursor is; "" for none yet
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = "$argv[1]"; or test (count $words) -lt 2 -a -z "$argv[1]"
end
function %[2]s_list # words of which several may stand with commas between
    set -l given (commandline -ct | string replace -r '^--[^=]*=' '' | string replace -r '[^,]*$' '')
    for w in $argv
        string match -q -- "*,$w,*" ",$given"; or echo $given$w
    end
end
function %[2]s_directories # behind --flag=, too
    __fish_complete_directories (commandline -ct | string replace -r '^--[^=]*=' '')
end

complete -c %[1]s -f
`, p.Name, name)
	for _, c := range p.Commands() {
		fmt.Fprintf(&s, "complete -c %s -n '%s_at \"\"' -a %s -d %s\n", p.Name, name, c.Name, fishQuoted(c.Short))
	}
	for _, c := range p.Commands() {
		begin := fmt.Sprintf("complete -c %s -n '%s_at %s'", p.Name, name, c.Name)
		fmt.Fprintf(&s, "\n%s -l help -d 'explain the command'\n", begin)
		for _, f := range c.Flags() {
			letter := " -l " + strings.TrimLeft(f.Written, "-")
			if !strings.HasPrefix(f.Written, "--") {
				letter = " -s " + f.Written[1:]
			}
			takes := ""
			if f.Value != "" {
				takes = " -x" + fishValues(name, f.Values)
				if f.Values.Files {
					takes = " -r" + fishValues(name, f.Values)
				}
			}
			fmt.Fprintf(&s, "%s%s%s -d %s\n", begin, letter, takes, fishQuoted(f.gist()))
		}
		if operands := fishValues(name, c.operandValues()); operands != "" {
			fmt.Fprintf(&s, "%s%s\n", begin, operands)
		}
	}
	return s.String()
}

func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// fishValues is the flags of complete that offer values, or "".
func fishValues(name string, v Values) string {
	words := strings.Join(v.Words, " ")
	switch {
	case len(v.Words) > 0 && v.List:
		return " -a '(" + name + "_list " + words + ")'"
	case len(v.Words) > 0 && v.Files:
		return " -F -a '" + words + "'"
	case len(v.Words) > 0:
		return " -a '" + words + "'"
	case v.Files:
		return " -F"
	case v.Directories:
		return " -a '(" + name + "_directories)'"
	}
	return ""
}
