package command

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Program is commands under one name.
type Program struct {
	Name   string // "untorn"
	Short  string // a sentence, which help begins with
	What   string // for the manual's NAME, as in "work on an event log"
	Long   string // paragraphs
	Groups []Group
	Exits  []Exit
	Meant  Meant // "": none

	Environment []Term // what it takes from the environment
	Files       []Term // that it reads or makes
	SeeAlso     []string
}

// Term is a name and what it stands for.
type Term struct{ Name, Says string }

// Meant is the flag that somebody may have meant who writes a value without one.
type Meant struct {
	Flag string // "dir"
	What string // "the log's directory"
}

// groups is the program's own, and the commands that every program has.
func (p *Program) groups() []Group {
	return append(p.Groups[:len(p.Groups):len(p.Groups)],
		Group{"Get along with it", []Command{p.helpCommand(), p.completionCommand(), p.manCommand()}})
}

// Commands lists the commands, with those that every program has.
func (p *Program) Commands() (all []Command) {
	for _, g := range p.groups() {
		all = append(all, g.Commands...)
	}
	return all
}

// Run runs the command that the arguments name, and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &Env{Ctx: ctx, Program: p.Name, Stdin: stdin, Stdout: bufio.NewWriterSize(stdout, 64<<10), Output: stdout, Stderr: stderr}
	err := p.Dispatch(e, args)
	if flushed := e.Stdout.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("write the output: %w", flushed)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", p.Name, OneLine(err.Error()))
	}
	return Code(err)
}

// Dispatch is Run for who has an Env, and wants the error: Code says how it exits.
// Stdout is not flushed.
func (p *Program) Dispatch(e *Env, args []string) error {
	if len(args) == 0 {
		return Usage("no command: use %s; %s help says more", p.names(), p.Name)
	}
	name, args := args[0], args[1:]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	}
	c, err := p.command(name)
	if err != nil {
		return err
	}
	return p.runCommand(e, c, args)
}

// command returns the command with this name.
func (p *Program) command(name string) (*Command, error) {
	for _, c := range p.Commands() {
		if c.Name == name {
			return &c, nil
		}
	}
	var all []string
	for _, c := range p.Commands() {
		all = append(all, c.Name)
	}
	if near := nearest(name, all); near != "" {
		return nil, Usage("unknown command %q: did you mean %s? %s help lists all", name, near, p.Name)
	}
	return nil, Usage("unknown command %q: use %s", name, p.names())
}

func (p *Program) runCommand(e *Env, c *Command, args []string) error {
	flags, do := c.flagSet()
	operands, err := parse(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		p.commandHelp(e.Stdout, c)
		return nil
	case err != nil:
		mark := ":"
		if strings.HasSuffix(err.Error(), "?") {
			mark = ""
		}
		return Usage("%s: %w%s see %s %s --help", c.Name, err, mark, p.Name, c.Name)
	}
	err = c.tooMany(flags, operands, p.Meant)
	if err == nil {
		e.Operands = operands
		err = do(e)
	}
	switch {
	case misplaced(err):
		return fmt.Errorf("%s: %w; usage: %s", c.Name, err, c.usage(p.Name))
	case err != nil:
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

// names lists the commands for a message.
func (p *Program) names() string { return Either(p.ownNames()) }

// ownNames lists the commands that not every program has.
func (p *Program) ownNames() (all []string) {
	for _, g := range p.Groups {
		for _, c := range g.Commands {
			all = append(all, c.Name)
		}
	}
	return all
}
