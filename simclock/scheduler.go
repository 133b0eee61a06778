package simclock

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// Scheduler lets simulated tasks take turns: one runs, the others wait for the
// baton. Make one with NewScheduler, and let tasks have it within Run.
//
// Every word of it is changed by whoever has the baton only, and in functions
// that the race detector does not look into: see Order.Spin. For that it has no
// map and no slice that grows. Only the watchdog looks at it from outside.
type Scheduler struct {
	clock *Clock
	order order
	hand  handOff

	running *Task // who has the baton; nil outside Run
	main    *Task // the goroutine of Run
	first   *Task // the tasks that have not ended, in order of creation
	last    *Task
	created uint64
	killing bool   // Run is over: whoever gets the baton ends
	telling bool   // a deadlock is being told: whoever gets the baton says where it stands
	stuck   *Stuck // what the main task shall panic with
	broken  *TaskPanic
	watch   func(where string) // see OnSwitch
	picks   uint64             // how often the baton was given to somebody

	patience time.Duration // of the watchdog
	bark     func(report string)
}

// Task is a simulated task: a goroutine that runs while it has the baton.
type Task struct {
	next, previous *Task // in order of creation
	id             uint64
	name           string
	baton          baton
	ready          bool
	where          string // the switch point or the wait at which it stands
	waiting        *Signal
	ctx            context.Context // of the wait; nil if it cannot be cancelled
	err            error           // of the wait
	stack          string          // for a report of a deadlock
	priority       uint64          // see PCT
}

// NewScheduler returns a scheduler whose timers run on the clock, and whose
// decisions are the order's. The clock's own queue must not be run by anybody
// else meanwhile: not by its Yield, nor by the Wait of its events.
func NewScheduler(c *Clock, o Order) *Scheduler {
	s := &Scheduler{clock: c, order: newOrder(o), hand: channels{}, patience: patience}
	s.bark = func(report string) { panic(report) }
	if o.Spin {
		s.hand = spinning{}
	}
	return s
}

// OnSwitch has f told of every switch point, before anybody else may run. f must
// not call the scheduler. It is for tests, such as: the mutex is free here.
func (s *Scheduler) OnSwitch(f func(where string)) { s.watch = f }

// Run makes a task of the calling goroutine, gives it the baton, and returns
// when f does: that is how the simulated process ends. Tasks that are still
// there are killed at the switch point at which they stand, with
// runtime.Goexit, so that their deferred functions run and nothing that recovers
// can stop it, and the clock forgets its timers. A task that is killed, and comes
// to a switch point in a deferred function, is killed there once more.
//
// Run panics with a *TaskPanic if another task does, and with a *Stuck if no
// task can go on. If a task comes to no switch point for ten seconds of real time,
// the process ends, with a panic that says which, and what every goroutine does.
func (s *Scheduler) Run(name string, f func()) {
	if s.running != nil {
		panic("simclock: Run within Run")
	}
	t := s.enter(name)
	s.main, s.running = t, t
	end := s.watched()
	defer end()
	defer s.end()
	f()
}

// end kills what is left.
//
//go:norace
func (s *Scheduler) end() {
	main := s.main
	s.killing = true
	s.leave(main)
	for s.first != nil {
		t := s.first
		s.picks++
		s.running = t
		s.hand.pass(t)
		s.hand.take(main)
	}
	s.running, s.main, s.killing, s.broken = nil, nil, false, nil
	s.clock.Kill()
}

// Go makes a task of f. It runs when it is given the baton, within Run; when f
// has returned it is over.
func (s *Scheduler) Go(name string, f func()) {
	if s.dying() {
		return // whoever is being killed starts nothing more
	}
	go s.live(s.enter(name), f)
}

func (s *Scheduler) live(t *Task, f func()) {
	s.hand.take(t)
	defer s.over(t)
	if s.dying() {
		return
	}
	f()
}

//go:norace
func (s *Scheduler) dying() bool { return s.killing }

// over ends a task: the last deferred function of its goroutine.
func (s *Scheduler) over(t *Task) {
	if p := recover(); p != nil {
		s.noteBroken(&TaskPanic{Task: t.nameOf(), Value: p, Stack: callStack()})
	}
	s.pass(t)
}

//go:norace
func (t *Task) nameOf() string { return t.name }

//go:norace
func (s *Scheduler) noteBroken(p *TaskPanic) {
	if s.broken == nil && !s.killing {
		s.broken = p
	}
}

// pass gives the baton on from a task that is over.
//
//go:norace
func (s *Scheduler) pass(t *Task) {
	s.leave(t)
	next := s.main
	if !s.killing && s.broken == nil {
		next = s.pick(nil)
	}
	s.running = next
	s.hand.pass(next)
}

//go:norace
func (s *Scheduler) enter(name string) *Task {
	t := &Task{id: s.created, name: name, ready: true, where: "its start", baton: newBaton()}
	t.priority = s.order.priority()
	s.created++
	if t.previous = s.last; s.last == nil {
		s.first = t
	} else {
		s.last.next = t
	}
	s.last = t
	return t
}

//go:norace
func (s *Scheduler) leave(t *Task) {
	if t.previous == nil {
		s.first = t.next
	} else {
		t.previous.next = t.next
	}
	if t.next == nil {
		s.last = t.previous
	} else {
		t.next.previous = t.previous
	}
}

// Running is the name of the task that has the baton; "" outside Run.
//
//go:norace
func (s *Scheduler) Running() string {
	if s.running == nil {
		return ""
	}
	return s.running.name
}

// Switch is a switch point: any task that is ready may get the baton, this one
// included. It is to be called before an operation that others can see, such as
// one on a file; where names it. Outside Run it does nothing.
func (s *Scheduler) Switch(where string) {
	if s.watch != nil {
		s.watch(where)
	}
	s.turn(where, nil)
}

// Yield is a switch point that lets another task have the baton if one is ready.
func (s *Scheduler) Yield() {
	if s.watch != nil {
		s.watch("yield")
	}
	s.yield()
}

//go:norace
func (s *Scheduler) yield() { s.turn("yield", s.running) }

// turn lets whoever the order picks have the baton, but not the one to be passed
// over while another is ready.
//
//go:norace
func (s *Scheduler) turn(where string, over *Task) {
	t := s.running
	if t == nil {
		return
	}
	t.where = where
	s.dead(t)
	s.switchTo(t, s.pick(over))
}

// alive is dead for whoever runs.
//
//go:norace
func (s *Scheduler) alive() {
	if s.running != nil {
		s.dead(s.running)
	}
}

// dead ends a task that is being killed.
//
//go:norace
func (s *Scheduler) dead(t *Task) {
	if s.killing && t != s.main {
		runtime.Goexit()
	}
}

// switchTo gives the baton from t to next, and returns when t has it again.
//
//go:norace
func (s *Scheduler) switchTo(t, next *Task) {
	if next != t {
		s.running = next
		s.hand.pass(next)
		s.hand.take(t)
		for s.telling && t != s.main {
			t.stack = callStack()
			s.running = s.main
			s.hand.pass(s.main)
			s.hand.take(t)
		}
	}
	s.dead(t)
	if t == s.main && s.broken != nil {
		panic(s.broken)
	}
	if t == s.main && s.stuck != nil {
		s.tell()
	}
}

// pick decides who has the baton next: one of the tasks that are ready, or,
// where there is none, the first that a timer makes ready. over is passed over
// if another is there.
//
//go:norace
func (s *Scheduler) pick(over *Task) *Task {
	s.picks++
	for {
		s.cancelled()
		ready := 0
		for t := s.first; t != nil; t = t.next {
			if t.ready {
				ready++
			}
		}
		if ready > 0 {
			return s.order.pick(s.first, s.running, over, ready)
		}
		if !s.clock.runNext() {
			s.stuck = &Stuck{}
			return s.main
		}
	}
}

// cancelled makes those ready whose context is over.
//
//go:norace
func (s *Scheduler) cancelled() {
	for t := s.first; t != nil; t = t.next {
		if t.ctx == nil || t.ready {
			continue
		}
		if err := t.ctx.Err(); err != nil {
			t.err, t.ready = err, true
		}
	}
}

// tell asks every task where it stands, and panics with the answers.
//
//go:norace
func (s *Scheduler) tell() {
	stuck := s.stuck
	stuck.Elapsed = s.clock.Elapsed()
	s.main.stack = callStack()
	s.telling = true
	n := 0
	for t := s.first; t != nil; t = t.next {
		if t != s.main {
			s.picks++
			s.running = t
			s.hand.pass(t)
			s.hand.take(s.main)
		}
		n++
	}
	s.telling, s.stuck, s.running = false, nil, s.main
	stuck.Tasks = make([]Standing, n)
	n = 0
	for t := s.first; t != nil; t = t.next {
		stuck.Tasks[n] = Standing{Task: t.name, Where: t.where, Stack: t.stack}
		n++
	}
	panic(stuck)
}

// After makes a task of f, ready when d of monotonic time has passed, unless
// stop is called before that. Time passes when no task is ready, and by the
// clock's Advance.
func (s *Scheduler) After(d time.Duration, f func()) (stop func()) {
	return s.clock.After(d, func() { s.Go("a timer", f) })
}

// Signal is a one-shot signal that tasks wait for.
type Signal struct {
	s      *Scheduler
	reason string
	// set is atomic because whoever sets it and whoever waits for it are ordered
	// by it, in a simulation as in production: the race detector has to know.
	set atomic.Bool
}

// Signal returns a new signal that is not set. The reason says what is waited
// for; a report of a deadlock quotes it.
func (s *Scheduler) Signal(reason string) *Signal { return &Signal{s: s, reason: reason} }

// Set makes every waiter ready, now and later. Setting it again does nothing. It
// is no switch point.
func (g *Signal) Set() {
	g.set.Store(true)
	g.wake()
}

//go:norace
func (g *Signal) wake() {
	for t := g.s.first; t != nil; t = t.next {
		if t.waiting == g {
			t.ready = true
		}
	}
}

// IsSet reports whether the signal is set.
func (g *Signal) IsSet() bool { return g.set.Load() }

// Wait is a switch point; the task is not ready before the signal is set. It
// returns nil then, or the context's error if that comes first.
func (g *Signal) Wait(ctx context.Context) error {
	if g.s.watch != nil {
		g.s.watch(g.reason)
	}
	g.s.alive()
	if g.IsSet() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		ctx = nil
	}
	err := g.wait(ctx)
	if g.IsSet() {
		return nil
	}
	return err
}

//go:norace
func (g *Signal) wait(ctx context.Context) error {
	s := g.s
	t := s.running
	if t == nil {
		panic("simclock: " + g.reason + ": Wait outside Run")
	}
	t.where = "the wait for " + g.reason
	s.dead(t)
	t.waiting, t.ctx, t.ready, t.err = g, ctx, false, nil
	s.switchTo(t, s.pick(nil))
	t.waiting, t.ctx = nil, nil
	return t.err
}

// Decisions returns how many times more than one task was ready, and a hash of
// what was picked: two runs with equal hashes took turns alike.
func (s *Scheduler) Decisions() (n int, hash uint64) { return s.order.decided, s.order.hash }

// Stuck is what Run panics with when no task is ready, and no timer is left that
// could make one ready.
type Stuck struct {
	Tasks   []Standing // in order of creation
	Elapsed time.Duration
}

// Standing is where a task stands.
type Standing struct {
	Task, Where string
	Stack       string // who called, innermost first
}

// Error says the same every time it happens the same way.
func (e *Stuck) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "simclock: deadlock after %v: no task can go on, and no timer is left", e.Elapsed)
	for _, t := range e.Tasks {
		fmt.Fprintf(&b, "\n\ntask %q stands at %s\n%s", t.Task, t.Where, t.Stack)
	}
	return b.String()
}

// TaskPanic is what Run panics with when a task panics.
type TaskPanic struct {
	Task  string
	Value any
	Stack string // as in Standing
}

// Error says the same every time it happens the same way.
func (e *TaskPanic) Error() string {
	return fmt.Sprintf("simclock: task %q panicked: %v\n%s", e.Task, e.Value, e.Stack)
}

// Unwrap returns the value that the task panicked with, if it is an error.
func (e *TaskPanic) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// callStack is who called, innermost first, one call a line: what is the same
// every time, and not the scheduler's own, nor who called Run.
func callStack() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var b strings.Builder
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		if name == "simclock.(*Scheduler).Run" {
			break
		}
		if strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "simclock.(*Scheduler).") || strings.HasPrefix(name, "simclock.(*Signal).") {
			continue
		}
		fmt.Fprintf(&b, "\t%s %s:%d\n", name, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
