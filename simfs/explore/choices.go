package explore

import (
	"fmt"
	"strconv"

	"github.com/untorn-db/untorn/simfs"
)

// VarText is how crash paths name a variable: its kind, the path by which it was
// reached, and the inode, of which one path may have had several.
func VarText(v simfs.Var) string {
	inode := "#" + strconv.Itoa(int(v.ID.Inode))
	switch v.Kind {
	case simfs.VarJournal:
		return "journal"
	case simfs.VarCell:
		return "cell:" + v.Path + inode + ":" + strconv.Itoa(v.Cell)
	default:
		return v.Kind.String() + ":" + v.Path + inode
	}
}

// OptionText is how crash paths name options[i], one version of a variable: what
// it is and which operation made it, and where that is not enough, which of
// those it is.
func OptionText(options []simfs.VarOption, i int) string {
	o := options[i]
	text := o.Label
	if o.Op != -1 {
		text += "@" + strconv.Itoa(o.Op)
	}
	same := 0
	for _, before := range options[:i] {
		if before.Label == o.Label && before.Op == o.Op {
			same++
		}
	}
	if same > 0 {
		text += "#" + strconv.Itoa(same+1)
	}
	return text
}

// Choose makes the crash a simfs.Chooser: it answers as Prefix and Deviations
// say, and as Prefix says where a deviation names no version there is.
func (c Crash) Choose(v simfs.Var) int {
	if len(c.Deviations) > 0 {
		text := VarText(v)
		for _, d := range c.Deviations {
			if d.Var != text {
				continue
			}
			for i := range v.Options {
				if OptionText(v.Options, i) == d.Option {
					return i
				}
			}
		}
	}
	return simfs.Newest(v.Options, c.Prefix)
}

// A follower answers as a crash does, remembers what it answered, and finds out
// whether it all fits.
type follower struct {
	crash   *Crash
	used    []bool // per deviation
	choices []Choice
	problem string       // the first answer that is not there
	chose   func(Choice) // is told of each, if not nil
}

func (f *follower) Choose(v simfs.Var) int {
	answer := f.crash.Choose(v)
	f.choices = append(f.choices, chosen(v, answer))
	if f.chose != nil {
		f.chose(f.choices[len(f.choices)-1])
	}
	for k, d := range f.crash.Deviations {
		if d.Var != VarText(v) {
			continue
		}
		f.used[k] = true
		if f.problem != "" || OptionText(v.Options, answer) == d.Option {
			continue
		}
		have := ""
		for i := range v.Options {
			have += " " + word(OptionText(v.Options, i))
		}
		f.problem = fmt.Sprintf("%s cannot be %s: choose one of%s", word(d.Var), word(d.Option), have)
	}
	return answer
}
