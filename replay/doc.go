// Package replay is what happens to a failure: it is found, made small,
// explained, saved, replayed and kept.
//
//	seeds × scenarios × disks ──Sweep──▶ Report: one Row per scenario and disk
//	                              │
//	                              ▼
//	                   Shrink ◀── Failure ──Save──▶ file ──Load──▶ Replay ──▶ Outcome
//	                      └─────────▲                │
//	                          fixed: into the corpus ┘   which runs first from then on
//
// A sweep, with what failed in it:
//
//	report, err := replay.Sweep(ctx, replay.Options{Seeds: replay.Seeds{First: 1, Last: 1000}})
//	for _, row := range report.Rows {
//		for _, failure := range row.Failures {
//			err = failure.Save("failures", "")
//			fmt.Print(failure)      // its card: what broke, why, and one line to paste
//		}
//	}
//
// And the same failure, anywhere:
//
//	p, err := replay.Load("failures/batch-posix-42-I1.plan")
//	outcome, err := replay.Replay(ctx, p, scenarios.Config{})
//	fmt.Print(outcome.Failures)     // the same text
//
// # Shrinking
//
// Shrink leaves out of a plan what its failure does not need (operations, then
// faults, then crashes and what they lost, then settings), and makes values simple:
//
//	small, err := replay.Shrink(ctx, p, scenarios.Config{}, 0)
//	fmt.Print(small.Failure)        // its Why names the cells and names that decide
//
// A shorter plan fails when it does so at its crash lines, or, where they do not
// fit it any more, when it is explored without them. A sweep shrinks the first
// failure of each invariant in a row; the others are saved as they were found,
// and are explained when they are replayed.
//
// # Cards
//
// A failure is shown as a card, see package card: in words for somebody who has
// never seen the project, the same in a terminal, on GitHub and as JUnit XML. Its
// cause is what the runs have shown, and no more.
//
// # Contract
//
// All of a Row but Seconds and Slowest depends on its scenario, disk and seeds alone: it is
// the same for any number of jobs, and its Digest for any order of the seeds. A
// failure, shrunk or not, has the same text every time. Every failure that a sweep reports was
// replayed from its plan; where that gave something else, the failure says so
// and counts as not deterministic.
//
// A sweep remembers the key of every image that it has seen: some 50 bytes
// each, until it ends.
package replay
