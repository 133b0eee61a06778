package explore

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/untorn-db/untorn/simfs"
)

// End is, as Crash.Op, the moment after the run's last operation and note.
const End = -1

// None is, as Crash.Prefix, the prefix without any operation. Prefixes count
// operations as simfs does: from 0 in the run that crashed, from -2 down in the
// runs before it.
const None = math.MinInt32

// A Crash is one crash of one run: the moment, the kind, and what the disk
// kept.
type Crash struct {
	Kind simfs.Kind

	// Op is the index of the operation that the crash came before: operations
	// 0 … Op-1 of the run had taken effect. End is the end of the run.
	Op int
	// Cells is how many cells of a write at Op had been written too. 0: none.
	Cells int
	// Notes is how many notes the run had made. Where several notes share one
	// place between two operations, only this tells the moments apart.
	Notes int
	// Lazy: what the disk kept is decided when the next run asks, and what it does
	// not ask about stays undecided. Not lazy: all is decided before that run.
	Lazy bool

	// Prefix says what a power loss kept: of every variable the newest version
	// made by an operation before Prefix. Operations of the runs before this one,
	// whose process was killed, count from -2 down; so with 0 all that they did
	// is kept, and None keeps nothing. 0 after a process kill, which leaves
	// nothing to choose, unless the file system had shut down.
	Prefix int
	// Deviations are the variables that did not follow Prefix, in the order in
	// which they were decided.
	Deviations []Deviation
}

// A Deviation is one variable (a cell, a size, a name …) and the version that
// it kept, as simfs names them.
type Deviation struct{ Var, Option string }

// A CrashPath is the way to one execution: the crash of the workload, then the
// crash of the recovery that followed, and so on. The empty path is the
// workload itself, with no crash.
//
// Its text fits on one line of a plan:
//
//	kill op=17+2 notes=3 | power op=end notes=0 prefix=5 ~cell:log#2:4=durable
//
// reads "the process was killed inside operation 17, a write, after 2 cells;
// Recover ran to its end; then the power failed, and the disk had everything
// from before operation 5 of that recovery, but cell 4 of log (inode 2) as it
// was before".
type CrashPath []Crash

// noCrash is the text of the empty path.
const noCrash = "none"

// String prints the path so that ParseCrashPath gives it back.
func (p CrashPath) String() string {
	if len(p) == 0 {
		return noCrash
	}
	var b strings.Builder
	for i, c := range p {
		if i > 0 {
			b.WriteString(" | ")
		}
		c.print(&b)
	}
	return b.String()
}

// String prints one crash, as it stands in a path.
func (c Crash) String() string {
	var b strings.Builder
	c.print(&b)
	return b.String()
}

func (c Crash) print(b *strings.Builder) {
	b.WriteString(kindText(c.Kind))
	b.WriteString(" op=")
	if c.Op == End {
		b.WriteString("end")
	} else {
		b.WriteString(strconv.Itoa(c.Op))
		if c.Cells > 0 {
			b.WriteString("+" + strconv.Itoa(c.Cells))
		}
	}
	b.WriteString(" notes=" + strconv.Itoa(c.Notes))
	if c.Lazy {
		b.WriteString(" lazy")
	}
	if c.Kind == simfs.PowerLoss || c.Prefix != 0 || len(c.Deviations) > 0 {
		b.WriteString(" prefix=")
		if c.Prefix == None {
			b.WriteString("none")
		} else {
			b.WriteString(strconv.Itoa(c.Prefix))
		}
	}
	for _, d := range c.Deviations {
		b.WriteString(" ~" + word(d.Var) + "=" + word(d.Option))
	}
}

// kindText is the crash kind as paths and reports print it.
func kindText(k simfs.Kind) string {
	if k == simfs.ProcessKill {
		return "kill"
	}
	return "power"
}

// word prints s bare where that is unambiguous, quoted as Go does elsewhere.
func word(s string) string {
	if s == "" || !utf8.ValidString(s) {
		return strconv.Quote(s)
	}
	for _, r := range s {
		if !bare(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// bare reports whether r may stand in an unquoted word.
func bare(r rune) bool {
	return r != '=' && r != '|' && r != '"' && !unicode.IsSpace(r) && unicode.IsPrint(r)
}

// A ParseError says where the text of a crash path stops making sense.
type ParseError struct {
	Text    string // what was parsed
	Offset  int    // bytes into Text
	Problem string // what is wrong there, and what would be right
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("crash path, byte %d of %q: %s", e.Offset, e.Text, e.Problem)
}

// ParseCrashPath reads what CrashPath.String prints. Errors are *ParseError.
func ParseCrashPath(text string) (CrashPath, error) {
	p := parser{text: text, rest: text}
	p.space()
	if p.take(noCrash) {
		p.space()
		if p.rest != "" {
			return nil, p.fail(`nothing may follow "none"`)
		}
		return nil, nil
	}
	var path CrashPath
	for {
		c, err := p.crash()
		if err != nil {
			return nil, err
		}
		path = append(path, c)
		if p.rest == "" {
			return path, nil
		}
		if !p.take("|") {
			return nil, p.fail(`want "|" between two crashes, or the end`)
		}
		p.space()
	}
}

// A parser eats text from the front.
type parser struct{ text, rest string }

func (p *parser) fail(format string, args ...any) error {
	return &ParseError{Text: p.text, Offset: len(p.text) - len(p.rest), Problem: fmt.Sprintf(format, args...)}
}

func (p *parser) space() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

func (p *parser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// crash reads "power op=17 notes=3 prefix=5 ~var=option …".
func (p *parser) crash() (c Crash, err error) {
	switch {
	case p.take("kill"):
		c.Kind = simfs.ProcessKill
	case p.take("power"):
		c.Kind = simfs.PowerLoss
	default:
		return c, p.fail(`want "power" or "kill"`)
	}
	p.space()
	if !p.take("op=") {
		return c, p.fail(`want op=N, the operation that the crash came before, or op=end`)
	}
	if p.take("end") {
		c.Op = End
	} else {
		if c.Op, err = p.number(); err != nil {
			return c, err
		}
		if p.take("+") {
			if c.Cells, err = p.number(); err != nil {
				return c, err
			}
		}
	}
	p.space()
	if !p.take("notes=") {
		return c, p.fail(`want notes=N, how many notes the run had made`)
	}
	if c.Notes, err = p.number(); err != nil {
		return c, err
	}
	p.space()
	if p.take("lazy") {
		c.Lazy = true
		p.space()
	}
	if p.take("prefix=") {
		if c.Prefix, err = p.prefix(); err != nil {
			return c, err
		}
		p.space()
	} else if c.Kind == simfs.PowerLoss {
		return c, p.fail(`want prefix=N: everything from before operation N is on the disk`)
	}
	for p.take("~") {
		var d Deviation
		if d.Var, err = p.word(); err != nil {
			return c, err
		}
		if !p.take("=") {
			return c, p.fail("want ~variable=version")
		}
		if d.Option, err = p.word(); err != nil {
			return c, err
		}
		c.Deviations = append(c.Deviations, d)
		p.space()
	}
	return c, nil
}

// number reads a decimal from 0 to 2³¹-1.
func (p *parser) number() (int, error) {
	n := 0
	for n < len(p.rest) && '0' <= p.rest[n] && p.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(p.rest[:n], 10, 32)
	if err != nil {
		return 0, p.fail("want a number from 0 to 2147483647")
	}
	p.rest = p.rest[n:]
	return int(v), nil
}

// prefix reads a number that may be negative, or none.
func (p *parser) prefix() (int, error) {
	if p.take("none") {
		return None, nil
	}
	if !p.take("-") {
		return p.number()
	}
	n, err := p.number()
	return -n, err
}

// word reads a bare or quoted word.
func (p *parser) word() (string, error) {
	if strings.HasPrefix(p.rest, `"`) {
		quoted, err := strconv.QuotedPrefix(p.rest)
		if err != nil {
			return "", p.fail("a quoted word without its end")
		}
		s, err := strconv.Unquote(quoted)
		if err != nil {
			return "", p.fail("a quoted word that Go cannot read")
		}
		p.rest = p.rest[len(quoted):]
		return s, nil
	}
	n := strings.IndexFunc(p.rest, func(r rune) bool { return !bare(r) })
	if n < 0 {
		n = len(p.rest)
	}
	if n == 0 {
		return "", p.fail("want a word: the name of a variable or of a version")
	}
	s := p.rest[:n]
	if !utf8.ValidString(s) {
		return "", p.fail("text that is not UTF-8 must be quoted")
	}
	p.rest = p.rest[n:]
	return s, nil
}
