package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads the one line that Fault.String prints. Words may be further apart
// and blanks may surround the line; nothing may be missing. A delayed enospc
// without a mode means ext4. The fault it returns is valid.
func Parse(line string) (Fault, error) {
	p := parser{rest: line}
	f := p.fault()
	if p.err == nil {
		if err := f.Validate(); err != nil {
			p.err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	if p.err != nil {
		return Fault{}, fmt.Errorf("faults: %q: %w", clip(line), p.err)
	}
	return f, nil
}

// clip keeps an error readable, whatever the line is.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// parser reads word by word and keeps the first error.
type parser struct {
	rest string
	err  error
}

func (p *parser) wrong(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// word returns the next word, or "" at the end. A colon is a word of its own.
func (p *parser) word() string {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if p.rest == "" || p.err != nil {
		return ""
	}
	if p.rest[0] == '"' {
		quoted, err := strconv.QuotedPrefix(p.rest)
		if err != nil {
			p.wrong("a quote is not closed")
			return ""
		}
		p.rest = p.rest[len(quoted):]
		return quoted
	}
	n := strings.IndexAny(p.rest, " \t:")
	switch n {
	case -1:
		n = len(p.rest)
	case 0:
		n = 1
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

func (p *parser) fault() (f Fault) {
	step, ok := strings.CutPrefix(p.word(), "step=")
	if !ok {
		p.wrong("it begins with step=NUMBER or step=*, as in: step=3 write seg #2: short 100")
	}
	f.Step = p.number("step", step, AnyStep)
	f.Op = p.op(p.word())
	f.Class = p.class(p.word())
	ordinal, ok := strings.CutPrefix(p.word(), "#")
	if !ok {
		p.wrong("after the class comes #NUMBER or #*, as in: step=3 write seg #2: short 100")
	}
	f.Ordinal = p.number("ordinal", ordinal, 0)
	if f.Ordinal == 0 && ordinal != "*" {
		p.wrong("#0: operations are counted from 1; #* is each of them")
	}
	if p.word() != ":" {
		p.wrong("a colon stands before what happens, as in: step=3 write seg #2: short 100")
	}
	f.Kind = p.kind(p.word())
	switch f.Kind {
	case Fail:
		f.Errno = p.errno(p.word())
	case Short:
		f.N = p.amount(p.word())
		if next := p.peek(); strings.HasPrefix(next, "E") {
			f.Errno = p.errno(p.word())
		}
	case NoSpace:
		f.N = p.amount(p.word())
		if p.peek() == "delayed" {
			p.word()
			f.Delayed, f.Mode = true, Ext4
			if m := Mode(p.peek()); m.known() {
				f.Mode = Mode(p.word())
			}
		}
	case Flip, Zero, Stale, Misdirect:
		f.N = p.amount(p.word())
	case FailSync:
		f.Mode = Mode(p.word())
	case Slow:
		d, err := time.ParseDuration(p.word())
		if err != nil {
			p.wrong("slow needs a duration, such as 250ms")
		}
		f.N = int64(d)
	}
	switch w := p.word(); w {
	case "":
	case Sticky.String():
		f.Lasting = Sticky
	case Here.String():
		f.Lasting = Here
	default:
		p.wrong("%q at the end: there may be sticky or here, or nothing", clip(w))
	}
	if w := p.word(); w != "" {
		p.wrong("%q is left over", clip(w))
	}
	return f
}

func (p *parser) peek() string {
	q := *p
	return q.word()
}

// number reads a number that is not negative; a star is any.
func (p *parser) number(what, s string, any int) int {
	if s == "*" || p.err != nil {
		return any
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		p.wrong("%s %q is no number from 0 to 2147483647, and no star", what, clip(s))
	}
	return int(n)
}

func (p *parser) amount(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.wrong("%q is not a number", clip(s))
	}
	return n
}

func (p *parser) class(s string) string {
	if strings.HasPrefix(s, `"`) {
		class, err := strconv.Unquote(s)
		if err != nil || class == "" {
			p.wrong("%s is no class", clip(s))
		}
		return class
	}
	if s == "*" {
		return ""
	}
	if !bare(s) {
		p.wrong("class %q: a word such as seg, a quoted string, or a star", clip(s))
	}
	return s
}

func (p *parser) op(s string) OpKind {
	for _, o := range Ops() {
		if s == o.String() {
			return o
		}
	}
	p.wrong("no operation %q: it is one of %v", clip(s), Ops())
	return 0
}

func (p *parser) kind(s string) Kind {
	for _, k := range Kinds() {
		if s == k.String() {
			return k
		}
	}
	p.wrong("no fault %q: it is one of %v", clip(s), Kinds())
	return 0
}

func (p *parser) errno(s string) Errno {
	for e := range numErrnos {
		if s == e.String() {
			return e
		}
	}
	p.wrong("no error %q: it is a name such as EIO or ENOSPC", clip(s))
	return 0
}
