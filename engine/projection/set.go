package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
)

// Options says where checkpoints are, and how a run reports. The zero value keeps
// none.
type Options struct {
	Checkpoints Checkpoints

	// Progress is told the status of each projection when a run goes through many
	// events, in the run's goroutine: each time that the run has read so many of
	// them, however few at a time, and when it has caught up after that.
	Progress func(Status)
	// ProgressEvery is how many events are read between two reports; 0 means 10,000.
	ProgressEvery int
}

// Checkpoints is where checkpoints are kept.
type Checkpoints struct {
	// FS is any file system, such as afero.NewOsFs() or one of package
	// engine/diskfs; nil: no checkpoints. Where it has SyncDir(name string) error
	// that is used, as the engine does.
	FS afero.Fs
	// Dir is a path in FS; "" is its root. It is created when it is needed. A Dir
	// without FS is refused.
	Dir string
	// Every is how many events of the log a projection goes on before the next
	// checkpoint; 0 means 10,000. A run looks at that after each 64 events that it
	// reads, when their batch ends, and whenever it has caught up. There is one at the
	// end of each run, too; negative: only there.
	Every int
}

const (
	defaultEvery = 10_000
	// stride is how many events are read, at least, before others see what they
	// change, and the context is looked at.
	stride = 64
)

// Set is projections that are run together over one log.
type Set struct {
	log     *engine.Log
	options Options
	members []Member
	settled bool // the run's own: the names of the checkpoints are durable
	read    int  // the run's own: events since it began, or since its last report

	mu      sync.Mutex // never held across any call
	running bool
}

// Open returns a set of projections, each with the state of its checkpoint if that
// can be trusted, and else with its initial one; see Set.Status. No two may have
// the same name. It fails with engine.ErrInvalid only.
func Open(log *engine.Log, options Options, members ...Member) (*Set, error) {
	s := &Set{log: log, options: options, members: slices.Clone(members)}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("projection: open: %w", err)
	}
	s.options.ProgressEvery = cmp.Or(options.ProgressEvery, defaultEvery)
	s.options.Checkpoints.Every = cmp.Or(options.Checkpoints.Every, defaultEvery)
	waits := log.Waits()
	for i, m := range s.members {
		if !m.common().claim(waits) {
			for _, claimed := range s.members[:i] {
				claimed.common().release()
			}
			return nil, fmt.Errorf("projection: open: %w: projection %q is in another set", engine.ErrInvalid, m.Name())
		}
	}
	if options.Checkpoints.FS != nil {
		for _, m := range s.members {
			restored, reason := s.load(m)
			m.common().report(func(status *Status) {
				status.Restored, status.Saved, status.Rebuilt = restored, restored, reason
			}, nil)
		}
	}
	return s, nil
}

func (s *Set) check() error {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if s.log == nil {
		problem("the log is nil")
	}
	if len(s.members) == 0 {
		problem("a set needs a projection")
	}
	if s.options.ProgressEvery < 0 {
		problem("ProgressEvery is negative")
	}
	if o := s.options.Checkpoints; o.FS == nil && o.Dir != "" {
		problem("Checkpoints.Dir is %q, but there is no Checkpoints.FS: set FS, for example to afero.NewOsFs(), or leave Dir empty to keep no checkpoints", o.Dir)
	}
	names := map[string]bool{}
	for i, m := range s.members {
		if m == nil || !m.made() {
			problem("projection %d of %d is nil, or was not made by New", i+1, len(s.members))
			continue
		}
		if names[m.Name()] {
			problem("two projections have the name %q", m.Name())
		}
		names[m.Name()] = true
		if s.options.Checkpoints.FS == nil {
			continue
		}
		if err := m.check(); err != nil {
			problem("projection %q: %v", m.Name(), err)
		}
	}
	return invalid("set", problems)
}

// claim makes a projection that of a set.
func (c *core) claim(waits engine.Waits) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits != nil {
		return false
	}
	c.waits = waits
	return true
}

func (c *core) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = nil
}

// Status returns how far each projection has come, in the order given to Open.
func (s *Set) Status() []Status {
	all := make([]Status, len(s.members))
	for i, m := range s.members {
		c := m.common()
		c.mu.Lock()
		all[i] = c.status
		c.mu.Unlock()
	}
	return all
}

// Once runs up to the last event that is visible now.
//
// It returns the context's error, an *ApplyError for each projection that stops,
// the error of a read, or that of the checkpoint at its end. What was applied
// before an error stays, in whole batches.
func (s *Set) Once(ctx context.Context) error {
	return s.run("once", func() error { return s.pass(ctx, s.log.LogHead().Sequence) })
}

// ToEnd repeats Once until no event has come meanwhile.
func (s *Set) ToEnd(ctx context.Context) error {
	return s.run("to end", func() error {
		for {
			end := s.log.LogHead().Sequence
			if err := s.pass(ctx, end); err != nil {
				return err
			}
			if s.log.LogHead().Sequence == end {
				return nil
			}
			s.saveDue()
		}
	})
}

// Live runs to the end, and goes on with what comes, until the context ends; it
// then returns the context's error. It also returns when the log is closed or
// fails (engine.ErrClosed, engine.ErrLogFailed), and as Once does.
func (s *Set) Live(ctx context.Context) error {
	return s.run("live", func() error {
		for {
			if err := s.pass(ctx, s.log.LogHead().Sequence); err != nil {
				return err
			}
			s.saveDue()
			if err := s.await(ctx); err != nil {
				return err
			}
		}
	})
}

// await returns when there is an event behind the last pass.
func (s *Set) await(ctx context.Context) error {
	next := uint64(1)
	for _, m := range s.members {
		next = max(next, m.common().bound.sequence+1)
	}
	// The event itself is read by the pass, if a query wants it.
	var end error
	for _, err := range s.log.Subscribe(ctx, engine.Query{FromSequence: next, Limit: 1, Borrow: true}) {
		end = err
	}
	return end
}

// run does the work of one run, alone, and ends it with checkpoints.
func (s *Set) run(name string, work func() error) (err error) {
	if !s.begin() {
		return fmt.Errorf("projection: %s: %w", name, ErrRunning)
	}
	ended := false
	s.read = 0
	defer func() {
		defer s.end()
		if !ended { // by a panic of the caller's code, which goes on
			err = errors.New("the run was given up")
			for _, m := range s.members {
				m.back()
			}
		}
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return
		}
		for _, m := range s.members {
			m.common().report(nil, err)
		}
	}()
	err = work()
	for _, m := range s.members {
		if saveErr := s.save(m); saveErr != nil {
			err = errors.Join(err, saveErr)
		}
	}
	ended = true
	if err != nil {
		return fmt.Errorf("projection: %s: %w", name, err)
	}
	return nil
}

func (s *Set) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running = true
	return true
}

func (s *Set) end() {
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
}

// pass is one reading of the log, up to a sequence that is the end of a batch.
//
//	events of a batch ─→ step, step, … ─→ the next batch begins: the bound goes there
//	                                        │ after a stride: show, save, report
type pass struct {
	*Set
	to     uint64
	bound  place // everything up to here has been read; the end of a batch
	batch  uint64
	events int // read since the last stride
	told   bool
	failed []error
}

// pass takes every projection that has not stopped up to a sequence.
func (s *Set) pass(ctx context.Context, to uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := &pass{Set: s, to: to}
	q, some := p.plan()
	if !some {
		return p.stopped()
	}
	var last place
	var end error
	for event, err := range s.log.Read(q) {
		if err != nil {
			end = err
			break
		}
		if event.Batch != p.batch {
			if last.known {
				p.bound = last
			}
			p.batch = event.Batch
			if p.events >= stride {
				if end = p.rest(ctx); end != nil {
					break
				}
			}
		}
		p.apply(&event)
		last = place{event.Sequence, event.Hash, true}
		p.events++
	}
	if end == nil {
		// Unless the last event is the one that was read, nobody has seen its hash.
		if p.bound = last; last.sequence < to {
			p.bound = place{sequence: to}
		}
		p.batch = 0
	}
	p.show()
	if p.read += p.events; p.told || p.read >= p.options.ProgressEvery {
		p.report()
	}
	return errors.Join(append(p.failed, end)...)
}

// plan returns what to read, and whether there is anybody to read for.
func (p *pass) plan() (q engine.Query, some bool) {
	behind := p.to
	for _, m := range p.members {
		c := m.common()
		if c.failed != nil || c.bound.sequence >= p.to {
			continue
		}
		if some {
			q = union(q, c.query)
		} else {
			q, some = c.query, true
		}
		behind = min(behind, c.bound.sequence)
		c.report(func(s *Status) { s.Of = p.to }, nil)
	}
	p.bound = place{sequence: behind}
	q.FromSequence = max(q.FromSequence, behind+1)
	if q.ToSequence == 0 || q.ToSequence > p.to {
		q.ToSequence = p.to
	}
	q.Borrow = true // each takes what it wants
	return q, some
}

// stopped is the error of a set in which nobody goes on.
func (p *pass) stopped() error {
	var all []error
	for _, m := range p.members {
		if m.common().failed == nil {
			return nil
		}
		all = append(all, m.common().failed)
	}
	return errors.Join(all...)
}

// apply gives an event to those who want it.
func (p *pass) apply(event *engine.Event) {
	for _, m := range p.members {
		c := m.common()
		if c.failed != nil || event.Sequence <= c.bound.sequence || !c.query.Selects(event) {
			continue
		}
		if err := m.step(event); err != nil {
			p.failed = append(p.failed, err)
			m.rewind()
			p.showOne(m)
			c.failed = err
			c.report(func(s *Status) { s.Err = err }, nil)
		}
	}
}

// rest is what happens at the end of some batches.
func (p *pass) rest(ctx context.Context) error {
	p.read += p.events
	p.events = 0
	p.show()
	p.saveDue()
	if p.read >= p.options.ProgressEvery {
		p.report()
	}
	return ctx.Err()
}

// saveDue writes the checkpoints of those who have gone on far enough.
func (s *Set) saveDue() {
	every := s.options.Checkpoints.Every
	for _, m := range s.members {
		if c := m.common(); every > 0 && c.bound.sequence-c.tried >= uint64(every) {
			_ = s.save(m) // it is in the status, and the end of the run tries again
		}
	}
}

// show lets others see the states at the bound.
func (p *pass) show() {
	for _, m := range p.members {
		if c := m.common(); c.failed == nil {
			if c.batch == p.batch && p.batch > 0 {
				m.rewind() // of a batch that was not read to its end
			}
			p.showOne(m)
		}
	}
}

func (p *pass) showOne(m Member) {
	if p.bound.sequence > m.common().bound.sequence {
		m.show(p.bound)
	}
}

// report tells the progress.
func (p *pass) report() {
	p.told, p.read = true, 0
	if p.options.Progress == nil {
		return
	}
	for _, status := range p.Status() {
		p.options.Progress(status)
	}
}
