// Package simclock is simulated time: it starts at a fixed instant, never moves
// by being read, and wakes whoever waits for it in an order that is the same on
// every run.
//
//	            Jump, Drift                    Advance, Pass
//	                 │                               │
//	Now() ◄── wall clock ◄──── rate ──── monotonic time ────► the queue of what is to run
//	          may go back               only goes forward      (instant, then order of creation)
//	                                                                 │
//	          After, Go ──── put in ─────────────────────────────────┤
//	          Advance, Yield, Event.Wait ──── take out and run ◄─────┘
//
// Two times, as in a real machine. Monotonic time only goes forward; timers run
// on it. The wall clock is what Now answers: monotonic time at a rate that Drift
// sets, moved by Jump, forwards or backwards. No jump and no drift disturbs a
// timer.
//
//	clock := simclock.New(simclock.Epoch())
//	done := clock.Event("the nightly sync")
//	clock.After(8*time.Hour, done.Set)
//	clock.Jump(-time.Hour)                  // somebody set the clock back
//	err := done.Wait(context.Background())  // returns at once, eight hours later
//	fmt.Println(err, clock.Now())           // <nil> 2020-01-01 07:00:00 +0000 UTC
//
// # Who runs when
//
// A Clock has one simulated task: the goroutine that calls it. A task started by
// Go, and the function of a timer, wait in one queue, ordered by the instant at
// which they are due and then by their creation. They never run by themselves and
// never inside Go, After, Set, Now or Pass. They run inside three calls, one at a
// time, on the goroutine of the caller, with no lock held:
//
//   - Advance runs all that becomes due, each at its own instant;
//   - Yield runs what is due now, once around: what is put in the queue meanwhile
//     waits for the next call;
//   - Event.Wait runs the queue, and moves time from one instant to the next,
//     until the event is set. That is how a single task waits.
//
// A Wait that finds the queue empty would wait for ever. It panics with a
// [*Deadlock], which names what was waited for and the waits around it. It panics,
// rather than return an error, because a caller takes an error of Wait for its
// context's.
//
// A task that runs inside another one's Yield or Wait cannot be suspended: if it
// waits for something that only the interrupted one could do, that is a deadlock
// too. Therefore a slow file operation uses Pass, which moves time and runs
// nothing: what became due runs at the next Advance, Yield or Wait.
//
// # Many tasks
//
// A [Scheduler] is for callers that work at the same time. Its tasks are goroutines
// that pass a baton: who has it runs, up to the next switch point.
//
//	     Order: a seed
//	           │ picks
//	main ──●───┼──────────●────────────────●──────▶   ● switch point: Switch, Yield,
//	       ╰──▶a──●       │          ╭─────╯              a Wait, the end of a task
//	              ╰──────▶b──●───────╯                    only one line runs at a time
//
//	s := simclock.NewScheduler(clock, simclock.Order{Seed: 7})
//	s.Run("main", func() {
//		done := s.Signal("the client")
//		s.Go("client", func() { work(); done.Set() })
//		done.Wait(ctx)
//	})
//
// The order of the turns comes from the seed alone: it is the same for every
// GOMAXPROCS, and under the race detector. Timers run when no task is ready: time
// moves to the instant of the first. Scheduler's Signal, Yield, After and Go take
// the place of the clock's Event, Yield, After and Go; the two times, Jump, Drift
// and Pass stay the clock's, and so does Advance, whose timers become tasks.
//
// All methods of a Clock may be called from any goroutine; the order is defined
// only when one goroutine at a time calls. A Scheduler's are called by its tasks.
package simclock
