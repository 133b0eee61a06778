package scenarios

import (
	"fmt"
	"math/rand/v2"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Scenario is a family of seeded workloads.
type Scenario struct {
	Name    string
	Says    string         // what it does, in a sentence
	Reach   []string       // named points and kinds of faults that a sweep must reach
	Explore explore.Config // how the crash images are searched; a plan's settings override it
	draw    func(d *drawing)
}

// All lists the scenarios.
func All() []Scenario {
	return []Scenario{
		{Name: "batch", Says: "batches of one to five events, cut at every operation, point and cell",
			Explore: explore.Config{Points: explore.All, MaxDeviation: 2, MaxImages: 300}, draw: drawBatch},
	}
}

// ByName returns a scenario.
func ByName(name string) (Scenario, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// Names lists the names of the scenarios.
func Names() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

// Draw makes the plan of a seed.
func Draw(scenario, disk string, seed uint64) (*plan.Plan, error) {
	s, ok := ByName(scenario)
	if !ok {
		return nil, fmt.Errorf("scenario %q is not known: try one of %v", scenario, Names())
	}
	d := &drawing{
		plan: &plan.Plan{Scenario: scenario, Disk: disk, Seed: seed},
		rand: rand.New(newStream(seed, scenario).pcg),
	}
	s.draw(d)
	return d.plan, nil
}

// drawing is a plan on its way.
type drawing struct {
	plan *plan.Plan
	rand *rand.Rand
}

func (d *drawing) step(verb string, args ...plan.KV) int {
	n := len(d.plan.Steps) + 1
	d.plan.Steps = append(d.plan.Steps, plan.Step{Number: n, Verb: verb, Args: args})
	return n
}

func (d *drawing) batch(n int, args ...plan.KV) {
	for i := range n {
		args = append(args, plan.KV{Key: fmt.Sprint(i), Value: fmt.Sprintf("s%d t size=%d", d.rand.IntN(3), 100)})
	}
	d.step("batch", args...)
}

func drawBatch(d *drawing) {
	d.step("open")
	for range 3 {
		d.batch(1 + d.rand.IntN(3))
	}
}
