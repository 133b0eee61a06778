package command

import (
	"flag"
	"fmt"
	"strings"
)

func (p *Program) manCommand() Command {
	return Command{
		Name: "man", Short: "print the manual page",
		Long:  "The page is source for man, groff or mandoc, and has all that help says.",
		Exits: []int{ExitFine, ExitUsage},
		Examples: []Example{
			{p.Name + " man | man -l -", "read it"},
			{p.Name + " man >~/.local/share/man/man1/" + p.Name + ".1", "install it: man " + p.Name + " shows it from then on, where ~/.local/bin is in PATH"},
		},
		Prepare: func(*flag.FlagSet) func(*Env) error {
			return func(e *Env) error {
				fmt.Fprint(e.Stdout, p.man())
				return nil
			}
		},
	}
}

// page is a manual page in the macros of man(7).
type page struct{ strings.Builder }

// roff is a text as it appears on a page: what roff would take for its own is escaped,
// and so is what is not ASCII, whatever encoding the page is read in.
func roff(text string) string {
	var s strings.Builder
	for _, r := range text {
		switch r {
		case '\\':
			s.WriteString(`\e`)
		case '-':
			s.WriteString(`\-`) // a minus: a hyphen could not be pasted into a shell
		case '\'':
			s.WriteString(`\(aq`)
		case '`':
			s.WriteString(`\(ga`)
		case '^':
			s.WriteString(`\(ha`)
		case '~':
			s.WriteString(`\(ti`)
		case '"':
			s.WriteString(`\(dq`)
		default:
			if r < 0x80 {
				s.WriteRune(r)
			} else {
				fmt.Fprintf(&s, `\[u%04X]`, r)
			}
		}
	}
	return s.String()
}

// line writes a line of text.
func (p *page) line(text string) {
	line := roff(text)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	p.WriteString(line + "\n")
}

// macro writes a request, with its arguments.
func (p *page) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, arg := range args {
		p.WriteString(` "` + roff(arg) + `"`)
	}
	p.WriteString("\n")
}

// text writes paragraphs. Lines that begin with a space stand as they are.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.macro("PP")
		}
		shown := false
		for line := range strings.SplitSeq(paragraph, "\n") {
			if asIs := strings.HasPrefix(line, " "); asIs != shown {
				if shown = asIs; shown {
					p.show()
				} else {
					p.fill()
				}
			}
			p.line(strings.TrimPrefix(line, "  "))
		}
		if shown {
			p.fill()
		}
	}
}

// show begins lines that stand as they are, up to fill.
func (p *page) show() {
	p.macro("RS", "2")
	p.macro("nf")
}

func (p *page) fill() {
	p.macro("fi")
	p.macro("RE")
}

// terms writes names and what they stand for.
func (p *page) terms(all []Term) {
	for _, t := range all {
		p.macro("TP")
		p.WriteString(`\fB` + roff(t.Name) + "\\fR\n")
		p.line(t.Says)
	}
}

// man is the manual page. It has no date: the same program prints the same page.
func (p *Program) man() string {
	var m page
	m.WriteString(`.\" Printed by: ` + p.Name + " man\n")
	m.macro("TH", strings.ToUpper(p.Name), "1", "", p.Name, "User Commands")
	m.macro("SH", "NAME")
	m.line(p.Name + " - " + p.What)
	m.macro("SH", "SYNOPSIS")
	for i, c := range p.Commands() {
		if i > 0 {
			m.macro("br")
		}
		m.WriteString(`\fB` + roff(p.Name+" "+c.Name) + `\fR` + roff(strings.TrimPrefix(c.usage(p.Name), p.Name+" "+c.Name)) + "\n")
	}
	m.macro("SH", "DESCRIPTION")
	m.text(p.Long)
	m.macro("SH", "COMMANDS")
	for _, c := range p.Commands() {
		m.macro("SS", p.Name+" "+c.heading())
		m.line(strings.ToUpper(c.Short[:1]) + c.Short[1:] + ".")
		m.macro("PP")
		m.text(c.Long)
		for _, f := range c.Flags() {
			m.macro("TP")
			value := ""
			if f.Value != "" {
				value = ` \fI` + roff(f.Value) + `\fR`
			}
			m.WriteString(`\fB` + roff(f.Written) + `\fR` + value + "\n")
			m.line(f.Text)
		}
	}
	m.macro("SH", "EXIT STATUS")
	var exits []Term
	for _, exit := range p.Exits {
		exits = append(exits, Term{fmt.Sprint(exit.Code), exit.Says})
	}
	m.terms(exits)
	if len(p.Environment) > 0 {
		m.macro("SH", "ENVIRONMENT")
		m.terms(p.Environment)
	}
	if len(p.Files) > 0 {
		m.macro("SH", "FILES")
		m.terms(p.Files)
	}
	m.macro("SH", "EXAMPLES")
	first := true
	for _, c := range p.Commands() {
		for _, example := range c.Examples {
			if !first {
				m.macro("PP")
			}
			first = false
			m.line(strings.ToUpper(example.Says[:1]) + example.Says[1:] + ":")
			m.macro("PP")
			m.show()
			m.line(example.Line)
			m.fill()
		}
	}
	if len(p.SeeAlso) > 0 {
		m.macro("SH", "SEE ALSO")
		m.line(strings.Join(p.SeeAlso, ", "))
	}
	return m.String()
}
