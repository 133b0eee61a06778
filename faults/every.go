package faults

import (
	"iter"
	"time"
)

// Every yields one fault of each sort for each operation that was counted, in
// order: what a search tries when it lets one thing go wrong in a workload that
// ran before without faults. Failing operations come once and sticky, other
// sorts once, with arguments that hit any operation.
func Every(counts []Count) iter.Seq[Fault] {
	return func(yield func(Fault) bool) {
		for _, c := range counts {
			for i := range c.N {
				for _, sort := range sorts(c.Op) {
					sort.Step, sort.Op, sort.Class, sort.Ordinal = c.Step, c.Op, c.Class, i+1
					if !yield(sort) {
						return
					}
				}
			}
		}
	}
}

// sorts are the faults of an operation, without their key.
func sorts(op OpKind) (sorts []Fault) {
	for _, f := range []Fault{
		{Kind: Fail},
		{Kind: Fail, Lasting: Sticky},
		{Kind: Fail, Lasting: Here},
		{Kind: Short, N: 1},
		{Kind: Short, N: 1, Errno: ENOSPC},
		{Kind: NoSpace, Lasting: Sticky},
		{Kind: NoSpace, Delayed: true, Mode: Ext4},
		{Kind: NoSpace, Delayed: true, Mode: XFS},
		{Kind: NoSpace, Delayed: true, Mode: Btrfs},
		{Kind: NoSpace, Delayed: true, Mode: KeepDirty},
		{Kind: Flip},
		{Kind: Flip, Lasting: Here},
		{Kind: Zero},
		{Kind: Zero, Lasting: Here},
		{Kind: Stale},
		{Kind: Misdirect, N: 512},
		{Kind: Misdirect, N: -512},
		{Kind: Lose},
		{Kind: FailSync, Mode: Ext4},
		{Kind: FailSync, Mode: XFS},
		{Kind: FailSync, Mode: Ext4Data},
		{Kind: FailSync, Mode: Btrfs},
		{Kind: FailSync, Mode: KeepDirty},
		{Kind: FailSync, Mode: Shutdown},
		{Kind: FailSync, Mode: Silent},
		{Kind: Held},
		{Kind: Slow, N: int64(time.Second)},
	} {
		f.Op, f.Ordinal = op, 1
		if f.Validate() == nil {
			sorts = append(sorts, f)
		}
	}
	return sorts
}
