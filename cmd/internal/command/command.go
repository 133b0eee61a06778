package command

import (
	"flag"
	"io"
	"strings"
)

// Command is one of a program's.
type Command struct {
	Name  string // "read"
	Short string // a line: what it does, as in "print events"
	Long  string // paragraphs
	// Operands is what is no flag, a word for each: "ID", "(SEED|PLAN)", "A B"; one that
	// ends in … may stand for many, as in "[NAME…]". "": there are none.
	Operands string
	// Form is what stands behind the name; "" for the operands and, where there are any, [flags].
	Form     string
	Examples []Example
	Exits    []int // the codes that it may end with, of those that the program knows
	// Values is what a flag may be, by its name, or an operand, by what Operands has. Of a
	// flag whose value is a `file` or a `directory`, and of an operand that is a FILE, a
	// PLAN or a DIR, that needs not be said; nor of a flag.Value with a method Words() []string.
	Values map[string]Values
	// Prepare declares the flags and returns what runs once they are parsed.
	Prepare func(flags *flag.FlagSet) func(e *Env) error
}

// Values is what a value may be.
type Values struct {
	Words       []string // those that are known
	List        bool     // several of them, with commas between
	Files       bool     // a file, or a directory on the way to one
	Directories bool
}

// Example is a line of shell and what it does.
type Example struct {
	Line string // "untorn read --dir data"
	Says string // "all events, in the order in which they were appended"
}

// flagSet declares the flags, and returns them with what runs once they are parsed.
func (c *Command) flagSet() (*flag.FlagSet, func(e *Env) error) {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags, c.Prepare(flags)
}

// Flag is a flag of a command as it is shown.
type Flag struct {
	Written string // "--dir", "-n"
	Value   string // "directory"; "" for one that takes none
	Text    string
	Values  Values
}

// Flags lists the flags by their names.
func (c *Command) Flags() (all []Flag) {
	flags, _ := c.flagSet()
	flags.VisitAll(func(f *flag.Flag) {
		one := Flag{Written: dashed(f.Name), Values: c.Values[f.Name]}
		one.Value, one.Text = flag.UnquoteUsage(f)
		if _, known := c.Values[f.Name]; !known {
			one.Values.Files, one.Values.Directories = one.Value == "file", one.Value == "directory"
			if words, ok := f.Value.(interface{ Words() []string }); ok {
				one.Values.Words = words.Words()
			}
		}
		all = append(all, one)
	})
	return all
}

// form is the flag with its value.
func (f *Flag) form() string { return strings.TrimSpace(f.Written + " " + f.Value) }

// operandValues is what the operands may be.
func (c *Command) operandValues() Values {
	if v, known := c.Values[c.Operands]; known {
		return v
	}
	return Values{
		Files:       strings.Contains(c.Operands, "FILE") || strings.Contains(c.Operands, "PLAN"),
		Directories: strings.Contains(c.Operands, "DIR"),
	}
}

// Group is commands that belong together.
type Group struct {
	Title    string
	Commands []Command
}

// usage is how the command is written.
func (c *Command) usage(program string) string {
	form := c.Form
	if form == "" {
		form = c.Operands
		if len(c.Flags()) > 0 {
			form += " [flags]"
		}
	}
	return strings.Join(strings.Fields(program+" "+c.Name+" "+form), " ")
}

// heading is the command with its operands.
func (c *Command) heading() string { return strings.TrimSpace(c.Name + " " + c.Operands) }

// operands says how many operands the command takes at most, and what they are in a
// sentence.
func (c *Command) operands() (most int, what string) {
	if strings.Contains(c.Operands, "…") {
		return 1 << 30, ""
	}
	what = strings.NewReplacer("(", "", ")", "", "[", "", "]", "", "|", " or ").Replace(c.Operands)
	return len(strings.Fields(c.Operands)), what
}

// tooMany refuses operands that the command does not take.
func (c *Command) tooMany(flags *flag.FlagSet, operands []string, meant Meant) error {
	most, what := c.operands()
	if len(operands) <= most {
		return nil
	}
	spare := operands[most]
	value := flags.Lookup(meant.Flag)
	switch {
	case most == 0 && value != nil && value.Value.String() == "":
		return Incomplete("unexpected %q: write --%s %s if that is %s", spare, meant.Flag, spare, meant.What)
	case most == 0:
		return Incomplete("unexpected %q: it belongs to no flag", spare)
	case most == 1:
		return Incomplete("unexpected %q after %q: one %s at a time", spare, operands[0], what)
	}
	return Incomplete("unexpected %q after %q: %s is all that it takes", spare, operands[most-1], what)
}
