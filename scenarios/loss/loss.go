package loss

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Lost reports whether a crash did not keep the newest version.
func Lost(c explore.Choice) bool { return simfs.Latest().Choose(c.Var) != c.Option }

// Operation finds the operation that a version has at crash n: from 0 in the run
// that this crash ended, from -2 down in the runs before it. run is the place of
// that run: 0 is the workload, others are the recoveries.
func Operation(moments []explore.Moment, n, at int) (op simfs.Op, run int, ok bool) {
	if at >= 0 {
		if log := moments[n].Log; at < len(log) {
			return log[at], n, true
		}
		return simfs.Op{}, 0, false
	}
	back := -2 - at // 0: the last operation of the run before
	for run = n - 1; at <= -2 && run >= 0; run-- {
		before := moments[run].At
		if back < before {
			return moments[run].Log[before-1-back], run, true
		}
		back -= before
	}
	return simfs.Op{}, 0, false
}

// Sync is one that would have kept what a crash took.
type Sync struct {
	// Of names it: `a sync of the file "log"`, or of a directory, or of any.
	Of string
	// Earlier: what was lost was written in a run before the one that crashed, which
	// took what it found for durable.
	Earlier bool
	// Failed is a sync of it between the write and the crash, which did not make it
	// durable.
	Failed *simfs.Op
	// Next is the first such sync behind the crash, if the run had lived; nil: none
	// would have come.
	Next *simfs.Op
}

// Writes are the operations that made the versions that choice c of crash n has not
// kept, each once, in the order of the versions.
func Writes(moments []explore.Moment, n int, c explore.Choice) (ops []simfs.Op) {
	last := struct{ run, index int }{-1, -1}
	for _, at := range made(c) {
		op, run, ok := Operation(moments, n, at)
		if is := (struct{ run, index int }{run, op.Index}); ok && is != last {
			ops, last = append(ops, op), is
		}
	}
	return ops
}

// made are the operations that made the versions that a choice has not kept.
func made(c explore.Choice) (ops []int) {
	garbage := c.Var.Options[c.Option].Garbage // instead of all versions
	for i, o := range c.Var.Options {
		if !o.Garbage && (garbage || i > c.Option) {
			ops = append(append(ops, o.Op), o.Again...)
		}
	}
	return ops
}

// Missing is the sync that would have kept what choice c of crash n lost; ok is
// false where nobody had written it.
func Missing(moments []explore.Moment, n int, c explore.Choice) (s Sync, ok bool) {
	last, written := -1, c.Var.Path
	for _, at := range made(c) {
		op, _, found := Operation(moments, n, at)
		ok = ok || found
		if found && at > last {
			last, written = at, op.Path
		}
	}
	if !ok {
		return Sync{}, false
	}
	v, m := c.Var, moments[n]
	switch {
	case v.Kind == simfs.VarJournal:
		s.Of = "a sync of any file or directory"
	case v.Kind == simfs.VarName:
		s.Of = fmt.Sprintf("a sync of the directory %q", Dir(v.Path))
	case Clean(written) != Clean(v.Path):
		s.Of = fmt.Sprintf("a sync of the file %q while it was %q", v.Path, written)
	default:
		s.Of = fmt.Sprintf("a sync of the file %q", v.Path)
	}
	s.Earlier = last < 0
	helps := func(op simfs.Op) bool { return helps(v, op, written) }
	if at := min(m.At, len(m.Log)); last+1 < at {
		if i := slices.IndexFunc(m.Log[last+1:at], helps); i >= 0 {
			s.Failed = &m.Log[last+1+i]
		}
	}
	if i := slices.IndexFunc(m.Log[m.At:], helps); i >= 0 {
		s.Next = &m.Log[m.At+i]
	}
	return s, true
}

// helps reports whether an operation is a sync that makes a variable durable, of a
// file that was written under another name.
func helps(v simfs.Var, op simfs.Op, written string) bool {
	file := Clean(op.Path) == Clean(v.Path) || Clean(op.Path) == Clean(written)
	sync := op.Kind == simfs.OpSync || op.Kind == simfs.OpSyncData
	switch v.Kind {
	case simfs.VarJournal:
		return sync || op.Kind == simfs.OpSyncDir
	case simfs.VarName:
		return op.Kind == simfs.OpSyncDir && Clean(op.Path) == Dir(v.Path)
	default:
		return sync && file
	}
}

// Clean is a path relative to the root of the disk, "." for the root.
func Clean(name string) string {
	return path.Clean(strings.TrimPrefix(path.Clean("/"+name), "/"))
}

// Dir is the directory that a name is in, clean.
func Dir(name string) string { return path.Dir(Clean(name)) }
