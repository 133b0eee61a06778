package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/scenarios/loss"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// The one sentence that says why a plan fails. It says what the runs have shown,
// and no more: where nobody knows, what happened is said instead.

// cause is that sentence.
func (f *Failure) cause() string {
	switch {
	case f.Why.Cause != "" && len(f.Why.Lost) > 0 && len(f.Plan.Faults) > 0:
		return f.Why.Cause + "; the plan has " + faultsText(f.Plan.Faults)
	case f.Why.Cause != "":
		return f.Why.Cause
	case len(f.Happened) > 0:
		return f.Happened[len(f.Happened)-1] + "; what of it decides is not known"
	case len(f.Plan.Crashes) > 0:
		return "a crash at the place below; what of it decides was not looked for: the replay line does that"
	case f.Unstable != "":
		return "not looked for, since it does not come each time"
	}
	return f.alone()
}

// alone is the cause where no crash behind the steps is needed.
func (f *Failure) alone() string {
	who := "a step"
	if step, ok := f.Plan.Step(f.Step); ok {
		who = inWords(step)
	}
	breaks := " breaks the promise by itself"
	switch {
	case f.Invariant == "":
		breaks = " fails by itself"
	case f.Invariant == "I12":
		who, breaks = "what the calls up to "+who+" were told", " cannot all be true"
	case f.damaging():
		breaks = " changes bytes on the disk, and what the log makes of them breaks the promise"
	}
	switch {
	case len(f.Plan.Faults) > 0:
		return who + strings.TrimSuffix(breaks, " by itself") + " with " + faultsText(f.Plan.Faults) + "; no crash is needed"
	case crashSteps(f.Plan) > 0:
		return who + breaks + ", behind the crash that is a step of the plan; no other crash and no fault is needed"
	default:
		return who + breaks + "; no crash and no fault is needed"
	}
}

// faultsText names faults in a sentence.
func faultsText(list []string) string {
	return either(len(list) == 1, "the fault ", "the faults ") + strings.Join(list, " and ")
}

// damaging reports whether the failure came in a step that damages the disk.
func (f *Failure) damaging() bool {
	step, ok := f.Plan.Step(f.Step)
	return ok && step.Verb == "damage"
}

// nothingLost is the cause where a crash is needed, and nothing that it takes.
func (x *explainer) nothingLost(f *Failure) string {
	last := len(x.trail.Moments) - 1
	lost := "which loses nothing that was written"
	if x.trail.Moments[last].Crash.Kind != simfs.ProcessKill {
		lost = "and it fails even where nothing that was written is lost"
	}
	if len(f.Plan.Faults) > 0 {
		return x.when(last) + ", " + lost + ": the crash and " + faultsText(f.Plan.Faults) + " are enough"
	}
	return x.when(last) + ", " + lost + ": what the log finds then breaks the promise"
}

// when says in short when a crash came.
func (x *explainer) when(i int) string {
	m := x.trail.Moments[i]
	what := m.Crash.Kind.Came()
	step, ok := x.trail.Step(m.At)
	switch {
	case i > 0 && m.Crash.Op == explore.End:
		return what + " after the log had been opened and used again"
	case i > 0:
		return what + " while the log was opened and used again"
	case ok && m.Crash.Op == explore.End:
		return what + " behind " + inWords(step)
	case ok:
		return what + " in " + inWords(step)
	}
	return what
}

// missing is what became of the sync that would have kept something; none: it was
// never to come.
func (x *explainer) missing(l taken) (text string, none bool) {
	s, ok := loss.Missing(x.trail.Moments, l.crash, l.choice)
	of := "the sync of that file"
	switch l.choice.Var.Kind {
	case simfs.VarName:
		of = "the sync of the directory that it is in"
	case simfs.VarJournal:
		of = "a sync of any file or directory"
	}
	switch {
	case !ok:
		return "", false
	case s.Failed != nil && (s.Failed.Fails || s.Failed.Err != nil):
		return of + " failed" + place(s.Failed), true
	case s.Failed != nil:
		return of + " did not keep it" + place(s.Failed), true
	case s.Earlier:
		return "the recovery took it for durable without " + of, true
	case s.Next != nil:
		return of + " had not come yet" + place(s.Next), false
	}
	return of + " never came", true
}

// place is an operation in brackets.
func place(op *simfs.Op) string {
	text := " (operation " + strconv.Itoa(op.Index)
	if op.Caller != "" {
		text += " at " + op.Caller
	}
	return text + ")"
}

// lostCause is the cause where something had to be lost, and the source line that
// wrote it.
func (x *explainer) lostCause(parts []Part) (text, source string) {
	first := &parts[0]
	for i := range parts { // one that nothing was ever to make durable tells most
		if parts[i].none && !first.none {
			first = &parts[i]
		}
	}
	what, plural := named(parts)
	text = "when " + x.when(first.Crash-1) + ", " + what
	if first.by != "" {
		by := first.by
		if step, ok := x.trail.Step(x.trail.Moments[0].At); ok && first.Crash == 1 && first.Step == step.Number {
			by = "that step"
		}
		verb := " wrote"
		if first.Kind == simfs.VarName.String() {
			verb = " made"
		}
		one := slices.ContainsFunc(parts, func(p Part) bool { return p.by != first.by || p.at != first.at })
		switch {
		case one: // others wrote the others
			what, _ := named([]Part{*first})
			text += ", of which " + by + verb + " " + what
		default:
			text += ", which " + by + verb
		}
		if first.at != "" {
			text += " at " + first.at
			source, _, _ = strings.Cut(first.at, " < ")
		}
		text += ","
	}
	text += either(plural, " were", " was") + " not on the disk"
	if first.Missing != "" {
		text += ": " + first.Missing
	}
	return text, source
}

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// named lists parts in short: of each file together.
func named(parts []Part) (text string, plural bool) {
	var paths []string
	of := map[string][]string{} // what of each
	count := 0
	add := func(path, what string) {
		if of[path] == nil {
			paths = append(paths, path)
		}
		of[path] = append(of[path], what)
		count++
	}
	for i := 0; i < len(parts); i++ {
		p := parts[i]
		switch p.Kind {
		case simfs.VarCell.String():
			for ; i+1 < len(parts) && parts[i+1].Kind == p.Kind && parts[i+1].Path == p.Path && parts[i+1].From == p.To; i++ {
				p.To = parts[i+1].To
				p.Found = cmp.Or(p.Found, parts[i+1].Found)
			}
			what := fmt.Sprintf("bytes %d-%d", p.From, p.To-1)
			if p.Found != "" {
				what += fmt.Sprintf(" (%s stood there)", p.Found)
			}
			add(p.Path, what)
			plural = true
		case simfs.VarSize.String():
			add(p.Path, "the size")
		default:
			add("", p.String())
		}
	}
	const most = 4
	var list []string
	for i, path := range paths {
		if i == most && len(paths) > most+1 {
			list = append(list, fmt.Sprintf("some of %d more files", len(paths)-i))
			break
		}
		pieces := of[path]
		if len(pieces) > most {
			pieces = append(pieces[:most-1:most-1], fmt.Sprintf("%d more pieces", len(pieces)-most+1))
		}
		text := and(pieces)
		if path != "" {
			text += " of " + path
		}
		list = append(list, text)
	}
	return and(list), plural || count > 1
}

// and lists things in a sentence.
func and(list []string) string {
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
	return list[0]
}
