package explore

import (
	"math"

	"github.com/untorn-db/untorn/simfs"
)

// A Recovery is one run of Recover, as Config.OnRecovered is told of it: what came
// next when the crash came, what the crash left, and what became of it.
type Recovery struct {
	Depth   int   // crashes before it, 1 or more
	Next    Next  // what the crash came before
	Left    Left  // what the disk had
	Outcome any   // Run.Outcome, as the program left it
	Err     error // of the run; not nil: a violation
}

// Next is what a run was about to do when a crash came: an operation of the disk,
// a note, or, with neither, nothing more.
type Next struct {
	Op   simfs.OpKind // 0 where it was no operation
	Path string       // of the operation
	Note bool
}

// Left is a kind of image.
type Left uint8

// What a crash leaves. An operation has arrived where the disk has what it did, or
// what came later in its place. Lazily, only what the recovery has read counts.
const (
	LeftNewest  Left = iota // everything that was done
	LeftPrefix              // of the operations that were not durable the first few, and nothing of those behind
	LeftMixed               // an operation without one before it, each whole or not at all
	LeftTorn                // a part of an operation
	LeftGarbage             // bytes that nobody has written there
	LeftKill                // all that the killed process had done
	LeftReopen              // what a power loss leaves of a recovery from a kill, or behind it
)

// String is the kind in a word.
func (l Left) String() string {
	return [...]string{"newest", "prefix", "mixed", "torn", "garbage", "kill", "reopen"}[l]
}

// left is the kind of image that answers made of s.
func (s *state) left(a *arrivals) Left {
	switch {
	case s.crash.Kind == simfs.ProcessKill:
		return LeftKill
	case s.reopen():
		return LeftReopen
	}
	return a.left()
}

// arrivals notes of each undecided operation whether it has arrived, as the
// variables that it touched are decided one by one. A nil one notes nothing.
type arrivals struct {
	ops     []arrival
	room    [12]arrival
	garbage bool
}

type arrival struct {
	op         int
	here, gone bool // of some variable
}

// choose notes that option i of v was chosen.
func (a *arrivals) choose(v *simfs.Var, i int) {
	if a == nil {
		return
	}
	chosen := &v.Options[i]
	if chosen.Garbage {
		a.garbage = true
		return
	}
	if len(chosen.Again) > 0 {
		return // who has made it cannot be told
	}
	made := age(chosen.Op)
	for k := range v.Options {
		o := &v.Options[k]
		if o.Garbage {
			continue
		}
		a.note(o.Op, made)
		for _, op := range o.Again {
			a.note(op, made)
		}
	}
}

func (a *arrivals) note(op, made int) {
	if op == -1 {
		return // was durable
	}
	if a.ops == nil {
		a.ops = a.room[:0]
	}
	k := 0
	for k < len(a.ops) && a.ops[k].op != op {
		k++
	}
	if k == len(a.ops) {
		a.ops = append(a.ops, arrival{op: op})
	}
	if age(op) <= made {
		a.ops[k].here = true
	} else {
		a.ops[k].gone = true
	}
}

// age orders operations: what was durable is older than all.
func age(op int) int {
	if op == -1 {
		return math.MinInt
	}
	return op
}

func (a *arrivals) left() Left {
	if a == nil {
		return LeftNewest
	}
	last, first := math.MinInt, math.MaxInt // that is here, that is gone
	torn := false
	for _, o := range a.ops {
		torn = torn || o.here && o.gone
		if o.here {
			last = max(last, o.op)
		}
		if o.gone {
			first = min(first, o.op)
		}
	}
	switch {
	case a.garbage:
		return LeftGarbage
	case torn:
		return LeftTorn
	case first == math.MaxInt:
		return LeftNewest
	case last < first:
		return LeftPrefix
	}
	return LeftMixed
}
