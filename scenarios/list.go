package scenarios

import (
	"fmt"
	"math/rand/v2"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Scenario is a family of seeded workloads.
type Scenario struct {
	Name    string
	Says    string         // what it does, in a sentence
	Reach   []string       // what a sweep must reach: "point NAME", "fault KIND", and "state NAME" of States
	Explore explore.Config // how the crash images are searched; a plan's settings override it
	draw    func(d *drawing)
}

// All lists the scenarios.
func All() []Scenario {
	commit := []string{
		"point " + engine.PointStart, "point " + engine.PointBeginWritten, "point " + engine.PointItemWritten,
		"point " + engine.PointItemsComplete, "point " + engine.PointCommitWritten, "point " + engine.PointSync, "point " + engine.PointPrePublish,
	}
	recovery := []string{
		"point " + engine.PointRecoverBegin, "point " + engine.PointRecoverIndex,
		"point " + engine.PointRecoverFrame, "point " + engine.PointRecoverEnd,
	}
	rotation := []string{"point " + engine.PointRotateCreate, "point " + engine.PointRotateDone}
	reach := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	in := func(list ...state) (names []string) {
		for _, s := range list {
			names = append(names, StateKey+States()[s].Name)
		}
		return names
	}
	// Enough to cut every batch of a workload in many ways, few enough for
	// thousands of seeds: it is their number that finds what is rare.
	// A recovery that reads long segments costs more, and gets fewer.
	images := func(n int) explore.Config {
		return explore.Config{MaxDeviation: 2, Samples: 4, Exhaustive: 64, MaxImages: n, Depth: 1}
	}
	dense := images(64)
	dense.Points = explore.All
	return []Scenario{
		{Name: "batch", Says: "batches of one to five events, cut at every operation, named point and cell",
			Reach:   reach(commit, recovery, in(foundNothing, beganLog, cutTail, carriedBatches, wentFresh, removedUnfinished, recoveredAgain, keptUnanswered, lostUnanswered)),
			Explore: dense, draw: drawBatch},
		{Name: "mixed", Says: "appends, batches, keys, compare-and-set, buffered calls and reopens on several streams and scopes",
			Reach: reach(commit, recovery, in(answeredKey, conflictingKey, wrongVersion, lostBuffered, syncedBuffered, signedHead)), Explore: images(54), draw: drawMixed},
		{Name: "rotate", Says: "payloads that fill segment after segment",
			Reach: reach(commit, rotation, recovery, in(tookPrepared, readSegments, syncedBuffered)), Explore: images(18), draw: drawRotate},
		{Name: "rollback", Says: "writes that fail or end early, and rollbacks that fail in their turn",
			Reach: reach(commit, []string{"fault short", "fault fail"}, in(movedOn, rolledBack, rollbackFailed, leftInDoubt)), Explore: images(46), draw: drawRollback},
		{Name: "nospace", Says: "a disk that is full in the middle of a group, of a rollback, of a recovery",
			Reach: reach(commit, []string{"fault enospc", "fault short", "fault fail"}, in(openedFull, rejectedFull, movedOn, rolledBack)), Explore: images(32), draw: drawNoSpace},
		{Name: "syncfail", Says: "syncs that fail in every mode, of groups, recoveries and closes, or lie",
			Reach: reach(commit, []string{"fault failsync"}, in(openFailed, leftInDoubt, lostByLie)), Explore: images(58), draw: drawSyncFail},
		{Name: "readfault", Says: "reads that fail or end early, while the log opens and while it serves",
			Reach: reach(commit, recovery, []string{"fault fail", "fault short"}, in(openFailed, readFaulted, readBuffered)), Explore: images(34), draw: drawReadFault},
		{Name: "bitrot", Says: "flipped bits, lost and swapped sectors, foreign and missing files: reported, never served",
			Reach: reach(commit, recovery, in(namedInterior, refusedForeign, salvaged)), Explore: explore.Config{MaxImages: 12, Exhaustive: 16}, draw: drawBitRot},
		{Name: "skew", Says: "a clock that jumps both ways, drifts and stands still",
			Reach: reach(commit, recovery, in(clockBack)), Explore: images(54), draw: drawSkew},
		{Name: "retry", Says: "replies that are lost, and keyed calls that are made again",
			Reach: reach(commit, recovery, in(answeredKey, conflictingKey, wrongVersion)), Explore: images(62), draw: drawRetry},
		{Name: "crashloop", Says: "five crashes in a row, power and process mixed, with a little work between them",
			Reach: reach(commit, recovery, in(recoveredAgain, lostBuffered, keptUnanswered, lostUnanswered)), Explore: images(44), draw: drawCrashLoop},
		{Name: "groupcommit", Says: "clients at the same time, whose calls share writes and syncs",
			Reach: reach(commit, recovery, in(sharedSync)), Explore: images(40), draw: drawGroupCommit},
		{Name: "cas-race", Says: "clients that want the same version of a stream, which one of them gets",
			Reach: reach(commit, recovery, in(wrongVersion)), Explore: images(30), draw: drawCasRace},
		{Name: "keyed-race", Says: "calls with one key in flight at the same time, which have one effect",
			Reach: reach(commit, recovery, in(answeredKey, conflictingKey)), Explore: images(30), draw: drawKeyedRace},
		{Name: "read-race", Says: "readers beside writers: whole batches, in order, and nothing that is not visible",
			Reach: reach(commit, recovery, in(sharedSync)), Explore: images(30), draw: drawReadRace},
		{Name: "transactions", Says: "several appends that become visible together, or are cancelled, while others write",
			Reach: reach(commit, recovery, in(committedTx, cancelledTx, droppedTx)), Explore: images(30), draw: drawTransactions},
		{Name: "follow", Says: "subscribers and handlers beside writers: every event once, and its effects with the cursor's move",
			Reach:   reach(commit, recovery, in(wokeFollower, movedCursor, leftDeadLetter, handledAgain, lostCursor, loadedCheckpoint, computedAnew)),
			Explore: images(30), draw: drawFollow},
		{Name: "close-race", Says: "a log that is closed under the hands of its clients",
			Reach: reach(commit, recovery, in(closedBusy, refusedClosed, signedHead)), Explore: images(30), draw: drawCloseRace},
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
		plan:     &plan.Plan{Scenario: scenario, Disk: disk, Seed: seed},
		rand:     rand.New(newStream(seed, scenario).pcg),
		versions: map[string]int{},
	}
	s.draw(d)
	return d.plan, nil
}
