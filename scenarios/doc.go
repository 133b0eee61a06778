// Package scenarios drives the event log through seeded workloads, crashes it
// everywhere, and checks every invariant on what is left.
//
//	seed ──Draw──▶ plan.Plan ──Run──▶ Result: digest, counts, violations
//	                  ▲  │
//	  edit, shrink ───┘  ├─ steps before the last crash: executed
//	                     ├─ steps after it: recorded once, explored everywhere
//	                     └─ damage: done to the bytes of the log that is left
//
// A plan says everything about a run; the seed only draws the plan. So a plan
// from which steps were deleted still means the same in what is left.
//
//	p, _ := scenarios.Draw("mixed", "posix", 42)
//	result, err := scenarios.Run(ctx, p, scenarios.Config{})
//	for _, v := range result.Violations {
//		fmt.Println(v.Err)
//		os.WriteFile("failure.plan", v.Plan.Format(), 0o644)
//	}
//
// # The steps of a plan
//
//	open                     open the log; what it shows is checked
//	close                    close it
//	batch 0=ITEM 1=ITEM …    append a batch; with key=K buffered=true, and notes
//	                         n0="NAME size=N" n1=…, which may be all there is
//	retry of=N               submit the batch of step N again; with items=K only its first K
//	sync                     make everything durable
//	wait                     wait until the last event is durable
//	read                     read everything, buffered events too
//	handle cursor=C          handle what is behind a cursor; with stream=S, scope=S,
//	                         types=T,U and from=N its query, with batch=N so many
//	                         events in a batch, with buffered=true that is not durable
//	advance by=10ms          move time; what is due runs
//	jump by=-1h              move the wall clock only
//	drift ppm=500            let the wall clock gain or lose
//	delete                   close the log and remove its files; needs a crash behind it
//	crash kind=K choices=C   power loss or kill; choices "newest", "oldest" or a number
//	damage what=W …          change bytes of the log that is left; each on a copy of its own
//
// An ITEM is a few words, the stream and the type first:
//
//	"orders/order-42 order.placed size=100 meta=20 expect=1 cause=0"
//
// expect is a version, none or exists; cause is an earlier item of the batch; size,
// meta and ext are bytes of payload, bytes of metadata, extensions. There are key,
// lane, depth, flags, payload, correlation and erasable, too.
//
// # Clients
//
// Steps with client=N, one behind the other in the plan, are done at the same
// time, each client its own in their order; the step behind them waits for all. A
// client can batch, retry (with durable=true or false), sync, wait, read, advance
// and close; batch with tx=commit, cancel or drop stages its items in a
// transaction, one by one.
//
//	step 2 batch client=1 0="order-1 placed expect=0"
//	step 3 batch client=2 0="order-1 placed expect=0"    one of the two is refused
//	step 4 close client=1
//	step 5 read client=3
//
// A client can also follow, with a query of stream=S, scope=S, types=T,U, from=N
// and buffered=true, and handle, and project. These go on beside the others, until all of those
// are done and they have seen what is there:
//
//	step 6 follow client=4 stream=order-1
//	step 7 handle client=5 cursor=c types=placed batch=3
//	step 8 project client=6 name=p stream=order-1     two projections with checkpoints
//
// What a handler does with an event follows from its sequence: most have an
// effect in scope effects, stream C; some fail at first; and some always, of which
// there is a dead letter in scope dead, stream C.
//
// They are tasks of a [simclock.Scheduler]: every file operation and every wait
// is a switch point, and the plan's turns and priorities pick who goes on. The
// same plan has the same turns everywhere. What clients saw is checked as one
// history, at the end and after every crash; see package history.
//
// # The settings of a plan
//
//	segment align preallocate synccount    of the log, see engine.Options
//	sign                                   when the log signs its heads: close or each
//	cell garbage powersafe                 of the disk: bytes written as one; zero,
//	                                       zero+garbage, zero+stale or zero+garbage+stale;
//	                                       whether a write spares its neighbours
//	kinds depth allpoints                  which crashes: some of power,kill,reopen; a number
//	                                       or fixpoint; before every operation
//	lazy leaves                            the lazy search of package explore, and how many
//	                                       runs a crash point may take
//	exhaustive deviation samples perpoint  the other one, see explore.Config
//	images                                 at most so many, or leaves, in all; 0: no limit
//	plain sync                             a disk without its optional methods (SyncDir,
//	                                       SyncData, Preallocate); syncs of one call site that
//	                                       do less than they say, see package weaken
//	operations                             how many Errors makes fail
//	turns priorities                       of clients: a seed, that of the plan if it is
//	                                       missing, see simclock.Order; without priorities
//	                                       every turn is as likely
//
// A crash line behind the steps is one crash of an [explore.CrashPath]: when it
// came, and what the disk kept. Without such lines every crash is tried. Follow
// tells of such crashes what came before each and what it lost, and Trace all that
// was done.
//
// Errors lets each file-system operation of a plan fail in every way, and crashes
// the log at every point behind that.
//
// # Contract
//
// The same plan gives the same digest, in any process, alone or in a sweep, for
// any number of workers. What a scenario means to reach and never did fails the
// sweep.
package scenarios
