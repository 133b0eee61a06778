package profile

import (
	"context"
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
)

// Plans is the Config.Holds of the event log under some plans: it holds where
// none of them, shortest first, breaks a promise. Their disk, crashes and
// digests, and what they say about powersafe overwrite, do not count.
func Plans(plans []*plan.Plan, workers int) func(context.Context, simfs.Guarantees) (Verdict, error) {
	plans = slices.Clone(plans)
	slices.SortStableFunc(plans, func(a, b *plan.Plan) int { return len(a.Steps) - len(b.Steps) })
	return func(ctx context.Context, g simfs.Guarantees) (Verdict, error) {
		all := Verdict{Exact: true}
		for _, p := range plans {
			p = p.Clone()
			p.Disk, p.Crashes, p.Digests = g.String(), nil, nil
			p.Settings = slices.DeleteFunc(p.Settings, func(kv plan.KV) bool { return kv.Key == "powersafe" })
			r, err := scenarios.Run(ctx, p, scenarios.Config{Workers: workers, Violations: 1})
			if err != nil {
				return all, err
			}
			all.Recoveries += r.Recoveries
			name := fmt.Sprintf("%s seed %d", p.Scenario, p.Seed)
			if len(r.Violations) > 0 {
				v := r.Violations[0]
				broken := Verdict{Broken: v.Err, Case: name, Plan: v.Plan, Recoveries: all.Recoveries}
				for i, crash := range v.Plan.Crashes {
					if i > 0 {
						broken.How += " | "
					}
					broken.How += crash
				}
				return broken, nil
			}
			if !r.Exact && all.Exact {
				all.Exact, all.Why = false, name+": "+r.Why
			}
		}
		return all, nil
	}
}
