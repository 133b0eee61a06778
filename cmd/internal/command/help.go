package command

import (
	"flag"
	"fmt"
	"io"
	"unicode/utf8"
)

func (p *Program) helpCommand() Command {
	return Command{
		Name: "help", Operands: "[COMMAND]", Short: "list the commands, or explain one",
		Long:   "Without a COMMAND, what all commands are; with one the same as COMMAND --help.",
		Exits:  []int{ExitFine, ExitUsage},
		Values: map[string]Values{"[COMMAND]": {Words: p.ownNames()}},
		Examples: []Example{
			{p.Name + " help", "what there is"},
			{p.Name + " help " + p.ownNames()[0], "how one command is used"},
		},
		Prepare: func(*flag.FlagSet) func(*Env) error {
			return func(e *Env) error {
				if e.Operand() == "" {
					p.help(e.Stdout)
					return nil
				}
				c, err := p.command(e.Operand())
				if err == nil {
					p.commandHelp(e.Stdout, c)
				}
				return err
			}
		},
	}
}

// help prints what the program is for, with a line for each command.
func (p *Program) help(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", p.Short)
	for _, g := range p.groups() {
		fmt.Fprintf(w, "%s:\n", g.Title)
		width := 0
		for _, c := range g.Commands {
			width = max(width, utf8.RuneCountInString(c.heading()))
		}
		for _, c := range g.Commands {
			fmt.Fprintf(w, "  %s %-*s  %s\n", p.Name, width, c.heading(), c.Short)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s COMMAND --help lists the flags of a command, and shows examples.\n\n", p.Name)
	p.exits(w)
}

// exits prints what the exit codes mean.
func (p *Program) exits(w io.Writer) {
	fmt.Fprintln(w, "Exit codes:")
	for _, exit := range p.Exits {
		fmt.Fprintf(w, "  %d  %s\n", exit.Code, exit.Says)
	}
}

// commandHelp prints what a command is, its flags, how it ends, and examples.
func (p *Program) commandHelp(w io.Writer, c *Command) {
	fmt.Fprintf(w, "%s %s: %s\n\nusage: %s\n\n%s\n", p.Name, c.heading(), c.Short, c.usage(p.Name), c.Long)
	if flags := c.Flags(); len(flags) > 0 {
		fmt.Fprintln(w)
		width := 0
		for _, f := range flags {
			width = max(width, utf8.RuneCountInString(f.form()))
		}
		for _, f := range flags {
			fmt.Fprintf(w, "  %-*s  %s\n", width, f.form(), f.Text)
		}
	}
	if len(c.Examples) > 0 {
		fmt.Fprint(w, "\nExamples:\n")
	}
	for _, example := range c.Examples {
		fmt.Fprintf(w, "\n  # %s\n  %s\n", example.Says, example.Line)
	}
}
