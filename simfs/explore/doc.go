// Package explore cuts the power of a program at every point of its run, lets
// it recover on every disk that could be left behind, and says which recovery
// went wrong.
//
//	Workload, once                  Recover, on each image not seen before
//	  │ op op ●op op ●op … ●end          │ op ●op … ●end
//	  │       │                          │     │
//	  ▼       ▼                          ▼     ▼
//	 log    crash point × kind  ──▶  images ──▶ … and again, to Config.Depth
//
// The workload is recorded once: at each crash point the disk is frozen, which
// costs no more than its number of files, and the run goes on unharmed.
//
//	report, err := explore.Explore(ctx, explore.Config{MaxDeviation: 1}, explore.Program{
//		Workload: func(run *explore.Run) error {
//			store, err := Open(run.FS)
//			…
//			run.Note(explore.Note{Key: "put a"})    // from here on a may be there
//			err = store.Put("a", "1")
//			run.Note(explore.Note{Key: "acked a"})  // from here on a must be there
//			…
//		},
//		Recover: func(run *explore.Run) error {
//			store, err := Open(run.FS)              // on a disk after a crash
//			…                                       // an error when run.History promises what is gone
//		},
//	})
//
// # Crash points
//
// With Points: Barriers a power loss comes just before every operation that
// removes a version from the disk's choices (a sync, and what implies one),
// before and after every note, and at the end. Where an image that is legal
// stays legal until such an operation (it does in all presets), no other
// moment has an image that these do not have. A process kill leaves exactly
// the live disk, so it comes before every operation. With Points: All a power
// loss comes before every operation too, and a kill also inside each write,
// after each of its cells.
//
// # Crash kinds
//
// Power loss: the program reads one legal image. Process kill: it reads the
// disk as it was, though what was not durable still is not. Kill, reopen,
// power loss: Recover runs after a kill, and the power is cut at every crash
// point of that recovery, its end included: the only way to see a recovery
// that takes bytes or names for durable because it can read them. Besides
// these, Config.Depth lets any recovery crash in its turn.
//
// # Images
//
// When the variables of a disk (cells, sizes, names, how far its journal got)
// have few combinations, each is tried. Otherwise: every prefix of the pending
// operations, everything that differs from one in at most Config.MaxDeviation
// variables, and Config.Samples random ones. Report.Exact and Report.Why say
// which it was. An image that was already recovered, with the same notes, the
// same kind of crash and the same depth, is not recovered again.
//
// # The lazy search
//
// With Config.Lazy a variable is decided when the recovery first reads it. The
// first run answers each question with option 0, and leaves a path for each
// answer that it did not give; every run is a leaf of the tree of answers:
//
//	       cell 0 of the log?           one tree for each crash point
//	    old ╱              ╲ new
//	● it stops here    cell 1 of the log?
//	                 old ╱            ╲ new
//	                    ●              ●        3 leaves for 4 images
//
// A leaf stands for every image that differs only in what its run never asked
// about: Report.Leaves is how many runs it took, Stand how many images they stand
// for. Where a tree has more than Config.MaxLeaves leaves, that crash point gets
// the bounded search above, the report is not exact, and Report.Greedy names the
// source lines that read the most: a reader that looks at what it got before it
// reads on adds one run for each cell, one that takes all at once doubles them.
//
// The lazy search also leaves out crash points that others cover: one whose
// images are all among those of others with the same history (Report.Subsumed; a
// recovery that makes a file anew leaves the old one, none, or the new one, and
// each of these comes up elsewhere), and moments next to a note that says by
// Note.Change what it does:
//
//	Either   a crash on both sides of it
//	Widens   just before it only: on the same disk, less is accepted then
//	Narrows  on neither side: what it promises is asked for at the next crash
//	Explains just after it only: the last operation is not known without it
//
// With Depth: Fixpoint the power fails in recovery after recovery, up to
// Run.Recovered, until no crash leaves an image with a history that was not there
// before; in the lazy search the same image is the same at any depth. A recovery
// that leaves something new each time is given up after 32 crashes in a row, and
// the report is not exact.
//
// # The certificate
//
// Report.Certificate is a hash over the disk and the settings of the search,
// every leaf (its crash point, its answers, what came of it) and Report.Why. It
// proves nothing by itself: whoever doubts a report runs the search again and
// compares. Before it is made, the leaves of each tree are checked to be all
// there are, each once.
//
// # Contract
//
// Workload and Recover must be deterministic: time and randomness come from
// Run.Entropy, and what they learn about the past from Run.History. Recover
// runs on several goroutines at once, each with its own Run. A note's key says
// everything about it that matters, since two images with equal keys in their
// history count as the same. The report, digest included, is the same for any
// number of workers, in every process and on every architecture.
//
// A panic is a violation like any other. A Recover that never returns, or that
// panics on a goroutine of its own, is out of scope.
package explore
