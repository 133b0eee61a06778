// Package crashtest asks a store that somebody else wrote on afero.Fs whether
// it survives a power cut, in a plain go test.
//
//	func TestStoreSurvivesPowerLoss(t *testing.T) {
//		crashtest.Run(t, crashtest.Subject[*Store]{
//			Open:  func(fs afero.Fs) (*Store, error) { return OpenStore(fs, "db") },
//			Steps: puts(20), // each: do it, and say what it promised
//			Check: func(s *Store, h crashtest.History) error { return h.AckedPresent(s.Get) },
//		})
//	}
//
//	func puts(n int) (steps []crashtest.Step[*Store]) {
//		for i := range n {
//			key, value := fmt.Sprint("k", i), strings.Repeat(fmt.Sprint("v", i), 300)
//			steps = append(steps, crashtest.Put(key, value, func(s *Store) error { return s.Put(key, value) }))
//		}
//		return steps
//	}
//
// Give values some length: what lies within one sector, of 512 bytes, cannot tear.
// A directory is synced by opening it and calling Sync. Run takes a test, not a
// *rapid.T, since it saves plans beside the test: draw the steps from a seed of
// their own.
//
// What happens:
//
//	empty disk ─ Open ─ step 1 ─ step 2 ─ … ─ Check ─ Close     recorded once
//	               │       │        │
//	               ▼       ▼        ▼
//	             crash at each point: power loss, process kill, kill and then power loss
//	               │
//	               ▼
//	             every disk that may be left ─ Open ─ Check ─ the next step ─ Check ─ Close
//	                                             │              │
//	                                             └─ and crash ──┘ again, to Options.Depth
//
// # What is promised
//
// A step is not started, in flight while its Do runs, and acknowledged once Do
// has returned nil. A Do that cannot tell returns an error that wraps
// ErrInDoubt. A step with Buffered set is promised only when a later step with
// Flush set has returned. After a crash acknowledged steps must be there; those
// in flight, in doubt or unflushed may be there or not, each as a whole; and
// nothing else may.
//
// After a crash the recovered store goes on with the next step. The one before
// it may have been lost, so that a Do must cope with what it finds: removing a
// key that is not there is no error.
//
// What a recovered store shows is a promise too: somebody has read it. If the
// process is killed, the store reopened, and then the power lost, what it
// showed in between must still be there, and what it did not show must not come
// back. A store that does not mean to promise that says Options.DirtyReads.
//
// History.AckedPresent judges stores of keys and values, History.Holds those
// that can list all they have. For any other model History.Steps tells the
// state of each step, and History.Decide takes back what the store showed.
//
// # What a failure prints
//
// A card of at most 40 lines: what is promised, and why it does not hold; the
// fewest steps that show it, and when the crash came; what was wanted and found;
// whether it happens on a disk that keeps no more than POSIX promises and on ext4;
// what had not reached the disk, with the source lines that wrote it, and which
// sync was missing; and a line that runs this one crash again:
//
//	UNTORN_PLAN=testdata/untorn/….plan go test -run '^TestX$' ./store
//
// The plan is kept in testdata/untorn, next to the test. Commit it: all plans
// there that name the test run before anything else, and when the crash that
// they describe no longer breaks anything, all crashes of the same few steps do.
//
// # Environment
//
//	UNTORN_PLAN=file     run this plan and nothing else
//	UNTORN_BUDGET=n      instead of Options.Budget: how many disks to try
//	UNTORN_SEED=n        instead of Options.Seed
//
// # Contract
//
// Open, Do, Check and Close must be deterministic (no clock, no randomness, no
// order of a map, no goroutine that writes on its own), must take all files
// from the fs they are given, and run on several goroutines at once, each with a
// store of its own: what they share must not change, or Options.Workers must be
// 1. They return errors; t.Fatal in them is itself a failure, as is a panic. The
// text of a failure is the same every time.
//
// The package is for tests: nothing else should import it.
package crashtest
