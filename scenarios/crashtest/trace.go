package crashtest

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// moment is one crash of a path, taken again with an eye on what it loses.
type moment struct {
	crash     explore.Crash
	log       []simfs.Op // of the whole run, what came after the crash included
	at        int        // operations before the crash
	crashes   int        // crashes before this one
	states    []State    // at the crash
	questions []question
}

// question is a variable of the disk, and the version that it kept.
type question struct {
	v      simfs.Var
	chosen int
}

// latest reports whether the newest version was kept.
func (q question) latest() bool { return simfs.Latest().Choose(q.v) == q.chosen }

// follow takes a path and tells of each of its crashes. The last recovery is
// not run. disk is empty.
func (p *program) follow(disk *simfs.FS, crashes explore.CrashPath) ([]moment, error) {
	var all []moment
	var history []explore.Note
	for i := range crashes {
		m := moment{crash: crashes[i], crashes: i}
		if m.crash.Cells > 0 {
			return nil, fmt.Errorf("crash %d of the path comes inside a write", i+1)
		}
		image, notes := (*simfs.Image)(nil), history
		here := func(op int) {
			if image == nil && m.crash.Op == op && m.crash.Notes == len(notes)-len(history) {
				image, m.at = disk.Crash(m.crash.Kind), disk.Ops()
			}
		}
		disk.Observe(func(op simfs.Op) { here(op.Index) })
		err := p.live(disk, func(n explore.Note) {
			here(disk.Ops())
			notes = append(notes, n)
			here(disk.Ops())
		}, history, i)
		here(explore.End)
		disk.Observe(nil)
		m.log = disk.Log()
		disk.Kill()
		if image == nil || err != nil && i > 0 {
			return nil, fmt.Errorf("crash %d of the path never comes: %w", i+1, err)
		}
		history = slices.Clip(notes[:len(history)+m.crash.Notes])
		m.states = p.remembered(history)
		image = image.Resolve(simfs.ChooserFunc(func(v simfs.Var) int {
			chosen := answer(m.crash, v)
			v.Options = slices.Clone(v.Options)
			m.questions = append(m.questions, question{v, chosen})
			return chosen
		}))
		disk = image.Mount(nil)
		all = append(all, m)
	}
	return all, nil
}

// answer is the version that a crash kept, as its text says.
func answer(c explore.Crash, v simfs.Var) int {
	for _, d := range c.Deviations {
		if d.Var != variable(v) {
			continue
		}
		for i := range v.Options {
			if version(v.Options, i) == d.Option {
				return i
			}
		}
	}
	return simfs.Prefix(c.Prefix).Choose(v)
}

// variable names a variable as crash paths do.
func variable(v simfs.Var) string {
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

// version names one of a variable's versions as crash paths do.
func version(options []simfs.VarOption, i int) string {
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
