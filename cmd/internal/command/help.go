package command

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// help prints what the program is, with a line for each command.
func (p *Program) help(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", p.Short)
	width := 0
	for _, c := range p.Commands() {
		width = max(width, utf8.RuneCountInString(c.heading()))
	}
	for _, g := range p.Groups {
		fmt.Fprintf(w, "%s:\n", g.Title)
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

// commandHelp prints what a command is, and its flags.
func (p *Program) commandHelp(w io.Writer, c *Command, flags *flag.FlagSet) {
	fmt.Fprintf(w, "%s %s: %s\n\nusage: %s\n\n%s\n\n", p.Name, c.heading(), c.Short, c.usage(p.Name), c.Long)
	var rows []flagRow
	width := 0
	flags.VisitAll(func(f *flag.Flag) {
		row := rowOf(f)
		rows = append(rows, row)
		width = max(width, utf8.RuneCountInString(row.written()))
	})
	for _, row := range rows {
		fmt.Fprintf(w, "  %-*s  %s\n", width, row.written(), row.text)
	}
}

// flagRow is a flag as help shows it.
type flagRow struct {
	flag  string // "--dir", "-n"
	value string // "directory"; "" for one that takes none
	text  string
}

func rowOf(f *flag.Flag) flagRow {
	value, text := flag.UnquoteUsage(f)
	dashes := "--"
	if utf8.RuneCountInString(f.Name) == 1 {
		dashes = "-"
	}
	return flagRow{dashes + f.Name, value, text}
}

// written is the flag with its value.
func (r flagRow) written() string { return strings.TrimSpace(r.flag + " " + r.value) }
