package replay

import (
	"context"

	"github.com/untorn-db/untorn/scenarios"
)

// ErrorFailures describes each violation that scenarios.Errors found, in the order
// of r.Violations. The first of each invariant is shrunk, in SweepRuns executions
// and explorations; where ctx ends, the rest are as they were found. c is what the
// search was made with.
func ErrorFailures(ctx context.Context, r *scenarios.ErrorReport, c scenarios.Config) []Failure {
	var list []Failure
	known := map[string]bool{}
	for _, v := range r.Violations() {
		f := newFailure(v)
		if !known[f.Invariant] && ctx.Err() == nil {
			known[f.Invariant] = true
			f.shrink(ctx, c, SweepRuns)
			if f.Small != "" {
				f.Seed = 0 // what it draws has no such fault
			}
		}
		list = append(list, f)
	}
	return list
}
