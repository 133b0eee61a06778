package replay

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/zeebo/blake3"

	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs/explore"
)

const (
	// MaxFailures is how many failures a row keeps: those of the lowest seeds.
	MaxFailures = 10
	// ReachSeeds is from how many seeds on a row fails when its scenario never
	// reached what it means to reach. Fewer prove nothing.
	ReachSeeds = 100
)

// Row is what a sweep found with one scenario on one disk. Its JSON is one line
// of untorn-sim run --json.
type Row struct {
	Scenario     string      `json:"scenario"`
	Disk         string      `json:"disk"`
	Seeds        int64       `json:"seeds"`         // that were run
	Steps        int64       `json:"steps"`         // of the workloads
	CrashPoints  int64       `json:"crash_points"`  //
	Images       int64       `json:"images"`        // tried
	ImagesUnique int64       `json:"images_unique"` // with their history, each counted once over all seeds
	Recoveries   int64       `json:"recoveries"`    //
	FaultsFired  int64       `json:"faults_fired"`  //
	Violations   []Violation `json:"violations"`    // of Failures, in their order
	Digest       string      `json:"digest"`        // of all seeds, in any order
	Seconds      float64     `json:"seconds"`       // of work, summed over the jobs

	Violated     int64            `json:"violated"`     // violations in all
	Unreached    []string         `json:"unreached"`    // what the scenario means to reach, and no seed did
	Reached      map[string]int64 `json:"reached"`      // named points and kinds of faults, and how often
	FaultsUnmet  int64            `json:"faults_unmet"` // faults of the plans that never came up
	Crashed      []Crashed        `json:"crashed"`      // what crashes led to
	Coverage     []Covered        `json:"coverage"`     // which faults came where
	Behaviours   []Behaviour      `json:"behaviours"`   // what seeds did, by the first that did it
	Slowest      []Slow           `json:"slowest"`      // at most ten seeds, the slowest first
	ExactSeeds   int64            `json:"exact_seeds"`  // seeds of which every image was tried
	MedianSteps  int64            `json:"median_steps"` // of a workload
	MedianOpens  int64            `json:"median_opens"` // of a workload
	StepsPerSeed map[int64]int64  `json:"-"`            // steps of a workload, and how many seeds had so many
	OpensPerSeed map[int64]int64  `json:"-"`            //
	Failures     []Failure        `json:"-"`            // those of the lowest seeds, at most MaxFailures
}

// Violation is a Failure in a Row's JSON.
type Violation struct {
	Seed      uint64 `json:"seed"`
	Invariant string `json:"invariant"`
	Step      int    `json:"step"`
	Expected  string `json:"expected"`
	Found     string `json:"found"`
	Plan      string `json:"plan"` // its file, or ""
	Replay    string `json:"replay"`
}

// Failed reports whether a promise was broken, or the scenario missed what it
// means to reach.
func (r *Row) Failed() bool {
	return r.Violated > 0 || r.Missed()
}

// Missed reports whether the scenario never reached something that it means to
// reach, with seeds enough to tell.
func (r *Row) Missed() bool { return len(r.Unreached) > 0 && r.Seeds >= ReachSeeds }

// Describe fills Violations from Failures, which may have files by now.
func (r *Row) Describe() {
	r.Violations = describe(r.Failures)
}

func describe(failures []Failure) []Violation {
	list := make([]Violation, 0, len(failures))
	for _, f := range failures {
		list = append(list, Violation{f.Seed, f.Invariant, f.Step, f.Expected, f.Found, f.File, f.Command()})
	}
	return list
}

// tally is a row in the making. Everything in it is added up, so the order of
// the seeds does not matter.
type tally struct {
	Row
	scenario scenarios.Scenario
	seen     *explore.Set
	sum      [4]uint64
	ghosts   int64   // images that were seen first by seeds that were not finished
	witness  witness // the lowest seed
	insight
}

func newTally(s scenarios.Scenario, disk string) *tally {
	return &tally{
		Row: Row{Scenario: s.Name, Disk: disk, Reached: map[string]int64{},
			StepsPerSeed: map[int64]int64{}, OpensPerSeed: map[int64]int64{}},
		scenario: s, seen: explore.NewSet(), insight: newInsight(),
	}
}

// add counts one seed.
func (t *tally) add(seed uint64, r scenarios.Result, failed []Failure, seconds float64) {
	t.Seeds++
	t.Steps += int64(r.Steps)
	t.CrashPoints += int64(r.CrashPoints)
	t.Images += int64(r.Images)
	t.ImagesUnique += int64(r.ImagesNew)
	t.Recoveries += int64(r.Recoveries)
	t.FaultsFired += int64(len(r.FaultsFired))
	t.FaultsUnmet += int64(len(r.NotFired))
	t.Violated += int64(r.Violated)
	t.Seconds += seconds
	if r.Exact {
		t.ExactSeeds++
	}
	t.StepsPerSeed[int64(r.Steps)]++
	t.OpensPerSeed[int64(r.Opens)]++
	for name, times := range r.Reached {
		t.Reached[name] += int64(times)
	}
	t.insight.add(seed, &r, seconds)
	if t.witness.Seed == 0 || seed < t.witness.Seed {
		t.witness = witness{seed, r.Digest}
	}
	sum := blake3.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), r.Digest...))
	for i := range t.sum {
		t.sum[i] += binary.BigEndian.Uint64(sum[8*i:])
	}
	t.Failures = append(t.Failures, failed...)
	slices.SortStableFunc(t.Failures, func(a, b Failure) int { return cmp.Compare(a.Seed, b.Seed) })
	t.Failures = t.Failures[:min(len(t.Failures), MaxFailures)]
}

func (t *tally) row() Row {
	r := t.Row
	var digest [32]byte
	for i, word := range t.sum {
		binary.BigEndian.PutUint64(digest[8*i:], word)
	}
	r.Digest = hex.EncodeToString(digest[:])
	r.MedianSteps = median(r.StepsPerSeed)
	r.MedianOpens = median(r.OpensPerSeed)
	r.Unreached = []string{}
	for _, name := range t.scenario.Reach {
		if r.Reached[name] == 0 {
			r.Unreached = append(r.Unreached, name)
		}
	}
	t.insight.fill(&r)
	r.Describe()
	return r
}

// median is the lower median of values that come so often; 0 if there are none.
func median(times map[int64]int64) int64 {
	total := int64(0)
	for _, n := range times {
		total += n
	}
	passed := int64(0)
	for _, value := range slices.Sorted(maps.Keys(times)) {
		if passed += times[value]; 2*passed >= total {
			return value
		}
	}
	return 0
}
