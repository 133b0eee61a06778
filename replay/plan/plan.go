package plan

import (
	"slices"
	"sort"
)

// Limits of a plan file. Parse refuses what is beyond them with ErrLimit.
const (
	MaxSize     = 8 << 20     // bytes of a file
	MaxLine     = 1 << 20     // bytes of a line
	MaxNumber   = 999_999_999 // the largest step number
	MaxSettings = 256         // settings of a plan
	MaxArgs     = 64          // arguments of a step
	MaxEntries  = 100_000     // comments, steps, faults, schedule tokens, crashes and digests: so many of each
)

// Plan is everything that one run does. The zero value is an empty plan;
// only Scenario has to be filled in.
type Plan struct {
	Comments []string // free lines at the head of the file, without "# "

	Scenario string // what runs the plan
	Disk     string // preset of the simulated disk; "" is the runner's default
	Seed     uint64 // the seed that the plan came from; 0: none

	Settings []KV     // in their order; each key once
	Steps    []Step   // by ascending number
	Faults   []string // one-line texts
	Schedule []string // tokens: the scheduler's choices, in their order
	Crashes  []string // one-line texts, one for each nested level, outermost first

	Invariant string   // what is expected to fail, "" for nothing
	Digests   []Digest // by ascending step
}

// KV is a key and its value.
type KV struct {
	Key, Value string
}

// Step is one operation of the workload.
type Step struct {
	Comments []string // free lines directly above the step, without "# "
	Number   int      // 0 to MaxNumber; a step keeps its number when others go
	Verb     string   // what to do
	Args     []KV     // in their order; each key once
}

// Digest is what a run's digest has to be after a step.
type Digest struct {
	Step int
	Sum  uint64 // printed as 16 hex digits
}

// Clone returns a copy that shares nothing that can change with p.
func (p *Plan) Clone() *Plan {
	q := *p
	q.Comments = slices.Clone(p.Comments)
	q.Settings = slices.Clone(p.Settings)
	q.Steps = slices.Clone(p.Steps)
	for i, step := range q.Steps {
		q.Steps[i].Comments = slices.Clone(step.Comments)
		q.Steps[i].Args = slices.Clone(step.Args)
	}
	q.Faults = slices.Clone(p.Faults)
	q.Schedule = slices.Clone(p.Schedule)
	q.Crashes = slices.Clone(p.Crashes)
	q.Digests = slices.Clone(p.Digests)
	return &q
}

// Step returns the step with this number; ok is false if there is none.
func (p *Plan) Step(number int) (step Step, ok bool) {
	i := sort.Search(len(p.Steps), func(i int) bool { return p.Steps[i].Number >= number })
	if i == len(p.Steps) || p.Steps[i].Number != number {
		return Step{}, false
	}
	return p.Steps[i], true
}

// Digest returns the digest expected after a step; ok is false if the plan
// does not say.
func (p *Plan) Digest(step int) (sum uint64, ok bool) {
	i := sort.Search(len(p.Digests), func(i int) bool { return p.Digests[i].Step >= step })
	if i == len(p.Digests) || p.Digests[i].Step != step {
		return 0, false
	}
	return p.Digests[i].Sum, true
}
