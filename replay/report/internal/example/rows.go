package example

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay"
)

// Rows is what a sweep of 1000 seeds of four scenarios on two disks might have found:
// two violations of one row, a state that another never reached, and faults that never
// came to some points of the engine.
func Rows() []replay.Row {
	random := rand.New(rand.NewPCG(1, 1))
	var rows []replay.Row
	for _, scenario := range []string{"batch", "rotate", "syncfail", "groupcommit"} {
		for _, disk := range []string{"posix", "ext4"} {
			rows = append(rows, row(random, scenario, disk))
		}
	}
	rows[2].Violated = 2
	rows[2].Violations = []replay.Violation{{
		Seed: 42, Invariant: "I1", Step: 3, Expected: "event 3: there, since step 3 answered that it is durable",
		Found: "the log ends behind event 1", Plan: "failures/rotate-posix-42-I1.plan",
		Replay: "go run ./cmd/untorn-sim replay failures/rotate-posix-42-I1.plan",
	}, {
		Seed: 771, Invariant: "I2", Step: 9, Expected: "batch 7: all of its 3 events or none", Found: "1 of 3 events",
		Replay: "go run ./cmd/untorn-sim replay 771 --scenario rotate --disk posix",
	}}
	rows[2].Crashed = append(rows[2].Crashed,
		replay.Crashed{Before: "syncdata seg", Image: "torn", Outcome: "I1", Times: 1},
		replay.Crashed{Before: "rename seg", Image: "mixed", Outcome: "I2", Times: 1})
	rows[5].Unreached = []string{"recovery refused a foreign segment"}
	return rows
}

func row(random *rand.Rand, scenario, disk string) replay.Row {
	outcomes := []string{"nothing to do", "cut a tail", "rebuilt an index", "finished a rotation", "dropped a batch"}
	points := []string{"", "batch.start", "batch.begin_written", "batch.items_complete", "batch.sync", "rotate.create", "recover.frame"}
	r := replay.Row{
		Scenario: scenario, Disk: disk, Seeds: 1000, Violations: []replay.Violation{}, Unreached: []string{},
		Digest: strings.Repeat(fmt.Sprintf("%016x", random.Uint64()), 4), Reached: map[string]int64{},
		MedianSteps: 20 + random.Int64N(9), MedianOpens: 3, ExactSeeds: random.Int64N(90),
	}
	for rank, before := range []string{"write seg", "syncdata seg", "note", "write idx", "syncdir", "create seg", "rename seg", "truncate seg", "end"} {
		for _, image := range []string{"newest", "prefix", "mixed", "torn", "garbage", "kill", "reopen"} {
			for _, outcome := range outcomes {
				if random.IntN(3) == 0 {
					continue
				}
				times := random.Int64N(9)
				times = times * times * times * times >> rank
				if times > 0 {
					r.Crashed = append(r.Crashed, replay.Crashed{Before: before, Image: image, Outcome: outcome, Times: times})
					r.Recoveries += times
				}
			}
		}
	}
	for _, fault := range []string{"fail", "short", "nospace", "failsync ext4", "failsync xfs", "lie", "bitflip"} {
		for i, point := range points {
			c := replay.Covered{Fault: fault, Point: point}
			if (i+len(fault))%3 > 0 {
				c.Could = 200 + random.Int64N(4000)
				if c.Hits = c.Could * int64(1+random.IntN(9)) / int64(10<<i); fault == "lie" && i > 3 {
					c.Hits = 0
				}
			}
			r.Coverage = append(r.Coverage, c)
			r.FaultsFired += c.Hits
		}
	}
	for i, outcome := range outcomes {
		seed := uint64(1 + i*i*3 + random.IntN(5))
		r.Behaviours = append(r.Behaviours, replay.Behaviour{Name: outcome, Seed: seed})
		r.Reached[outcome] = 1 + random.Int64N(5000)
		for k, image := range []string{"prefix", "torn", "garbage"} {
			r.Behaviours = append(r.Behaviours, replay.Behaviour{Name: outcome + " after " + image, Seed: seed + uint64(k*k*40+random.IntN(100))})
		}
	}
	for i := range 10 {
		r.Slowest = append(r.Slowest, replay.Slow{Seed: uint64(1 + random.IntN(1000)), Seconds: (3 + random.Float64()) / float64(i+2)})
	}
	for _, point := range points[1:] {
		r.Reached["point "+point] = 1000 + random.Int64N(90000)
	}
	slices.SortStableFunc(r.Behaviours, func(a, b replay.Behaviour) int { return int(a.Seed) - int(b.Seed) })
	r.Steps = r.Seeds * r.MedianSteps
	r.CrashPoints = r.Steps * 300
	r.Images = r.Recoveries + 100
	r.ImagesUnique = r.Recoveries
	r.Seconds = float64(r.Recoveries) / 900
	return r
}
