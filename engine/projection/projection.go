package projection

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/untorn-db/untorn/engine"
)

// Definition says how a state is computed.
type Definition[State any] struct {
	// Name is 1 to 64 bytes of UTF-8 without control characters.
	Name string
	// Version is that of Apply, Initial and Codec: change it when they mean
	// something new, and the state is computed again from the first event on.
	Version uint64
	// Query selects the events. Backward, Limit and Buffered are refused. With
	// Borrow an event's Data and Metadata are valid until Apply returns; these and
	// its Extensions, which stay valid, are not to be changed, since others are given
	// them, too. Else all are Apply's to keep and change.
	Query engine.Query
	// Initial returns the state before the first event; nil: the zero value.
	Initial func() State
	// Apply returns the state after an event. It must not change what the state
	// before refers to, and depends on nothing but its arguments. It panics at an
	// event of which it can make nothing, such as one that does not decode: the
	// projection stops there, with that error in an *ApplyError.
	Apply func(state State, event engine.Event) State
	// Codec encodes states for checkpoints; nil: encoding/json, which must be able
	// to give back what the state has. Open refuses a type with a field that it would
	// lose, or may: one beside an embedded field whose methods may write and read in
	// place of the struct's. What a type's own methods, omitempty and omitzero make of
	// a value is the type's to answer for: it must come back as it was. A state with
	// text that is not UTF-8 gets no checkpoint but a *CodecError; a \ufffd in what a
	// MarshalJSON returns is taken for such text.
	Codec Codec[State]
}

// Projection is a state that a Set keeps up to date. It belongs to one set, once.
type Projection[State any] struct {
	core
	definition Definition[State]

	// The run's own.
	working State
	before  State // what it was before the batch of the last event applied

	shown State // guarded by mu
}

// Member is a *Projection of any state.
type Member interface {
	Name() string

	made() bool // false for a nil *Projection, and for one that is not from New
	common() *core
	check() error                           // why its states cannot be kept in checkpoints
	step(event *engine.Event) error         // applies
	rewind()                                // takes back what was applied of the last batch
	back()                                  // takes back what was applied and not shown
	show(bound place)                       // lets others see the state
	encode() ([]byte, error)                // the state that was shown
	restore(data []byte, bound place) error // is decode, and show
}

// core is what projections have in common whatever their state.
type core struct {
	name     string
	version  uint64
	query    engine.Query // with types of its own
	identity []byte

	// The run's own.
	bound         place  // everything up to here is in the state; the end of a batch
	batch         uint64 // of the last event applied
	applied       uint64 // events, since the set was opened
	appliedBefore uint64 // what it was before that batch
	tried         uint64 // sequence at the last attempt to write a checkpoint
	failed        error  // an *ApplyError: it has stopped

	mu      sync.Mutex // never held across a call of the log, of its seams, or of the caller's functions
	waits   engine.Waits
	status  Status
	waiting []waiter
}

// place is a point of the log behind an event.
type place struct {
	sequence uint64
	hash     engine.Hash // of the event, if known
	known    bool
}

type waiter struct {
	sequence uint64
	answer   *error // set before the signal
	signal   engine.Signal
}

const maxName = 64

// New returns a projection that has seen no event. It reports all that is wrong
// with the definition at once, matching engine.ErrInvalid.
func New[State any](d Definition[State]) (*Projection[State], error) {
	var problems []string
	if d.Name == "" || len(d.Name) > maxName || !utf8.ValidString(d.Name) || strings.ContainsFunc(d.Name, unicode.IsControl) {
		problems = append(problems, "Name must be 1 to 64 bytes of UTF-8 without control characters")
	}
	if d.Apply == nil {
		problems = append(problems, "Apply is nil")
	}
	if err := d.Query.CheckLasting(); err != nil {
		problems = append(problems, "Query: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if err := invalid("definition", problems); err != nil {
		return nil, fmt.Errorf("projection: %q: %w", d.Name, err)
	}
	p := &Projection[State]{definition: d}
	p.name, p.version, p.query = d.Name, d.Version, d.Query
	p.query.Types = slices.Clone(d.Query.Types)
	p.identity = identity(p.name, &p.query)
	p.status = Status{Name: p.name, Version: p.version}
	initial, err := p.initial()
	if err != nil {
		return nil, fmt.Errorf("projection: %q: %w: Initial: %w", d.Name, engine.ErrInvalid, err)
	}
	p.working, p.before, p.shown = initial, initial, initial
	return p, nil
}

// invalid is the error of all that is wrong with something, or nil.
func invalid(what string, problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w %s: %s", engine.ErrInvalid, what, strings.Join(problems, "; "))
}

// identity is the name and what the query selects, as checkpoints have it.
func identity(name string, q *engine.Query) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)))
	return q.AppendIdentity(append(b, name...))
}

func (p *Projection[State]) initial() (state State, err error) {
	defer catch(&err)
	if p.definition.Initial != nil {
		state = p.definition.Initial()
	}
	return state, nil
}

// Name is the projection's name.
func (p *Projection[State]) Name() string { return p.name }

// State returns the state, and the sequence up to which all events that the query
// selects are in it: 0 before the first.
func (p *Projection[State]) State() (state State, sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown, p.status.Sequence
}

// WaitFor returns when the state has the events up to a sequence. Somebody must
// run the set meanwhile: WaitFor does not. It returns the context's error, an
// *ApplyError if the projection has stopped, or the error with which a run ends
// meanwhile, other than that of the run's own context.
func (p *Projection[State]) WaitFor(ctx context.Context, sequence uint64) error {
	if err := p.wait(ctx, sequence); err != nil {
		return fmt.Errorf("projection: wait for event %d in %q: %w", sequence, p.name, err)
	}
	return nil
}

func (c *core) wait(ctx context.Context, sequence uint64) error {
	c.mu.Lock()
	waits := c.waits
	c.mu.Unlock()
	if waits == nil {
		return fmt.Errorf("%w: the projection is in no set", engine.ErrInvalid)
	}
	var answer error
	signal := waits.Signal("projection " + c.name)
	c.mu.Lock()
	if c.status.Sequence >= sequence || c.status.Err != nil {
		defer c.mu.Unlock()
		return c.answerLocked(sequence)
	}
	c.waiting = append(c.waiting, waiter{sequence, &answer, signal})
	c.mu.Unlock()
	if err := signal.Wait(ctx); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting = slices.DeleteFunc(c.waiting, func(w waiter) bool { return w.signal == signal })
		return err
	}
	return answer // written before the signal was set
}

func (c *core) answerLocked(sequence uint64) error {
	if c.status.Sequence >= sequence {
		return nil
	}
	return c.status.Err
}

// report changes what others see of a projection, and wakes those who have waited
// for it, or all of them if the run ends with an error.
func (c *core) report(change func(*Status), end error) {
	var woken []engine.Signal
	c.mu.Lock()
	if change != nil {
		change(&c.status)
	}
	kept := c.waiting[:0]
	for _, w := range c.waiting {
		answer := cmp.Or(c.answerLocked(w.sequence), end)
		if c.status.Sequence < w.sequence && answer == nil {
			kept = append(kept, w)
			continue
		}
		if c.status.Sequence < w.sequence {
			*w.answer = answer
		}
		woken = append(woken, w.signal)
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
	c.mu.Unlock()
	for _, signal := range woken {
		signal.Set()
	}
}

func (p *Projection[State]) made() bool { return p != nil && p.definition.Apply != nil }

func (p *Projection[State]) common() *core { return &p.core }

// catch makes an error of the panic of a caller's function. It is to be deferred.
func catch(err *error) {
	if value := recover(); value != nil {
		*err = &engine.PanicError{Value: value, Stack: debug.Stack()}
	}
}

func (p *Projection[State]) check() error {
	if p.definition.Codec == nil {
		return jsonCodec[State]{}.check()
	}
	return nil
}

func (p *Projection[State]) codec() Codec[State] {
	if p.definition.Codec == nil {
		return jsonCodec[State]{}
	}
	return p.definition.Codec
}

func (p *Projection[State]) step(event *engine.Event) (err error) {
	if p.batch != event.Batch {
		p.batch, p.before, p.appliedBefore = event.Batch, p.working, p.applied
	}
	e := *event
	if !p.query.Borrow {
		e.Data, e.Metadata, e.Extensions = bytes.Clone(e.Data), bytes.Clone(e.Metadata), maps.Clone(e.Extensions)
		for name, value := range e.Extensions {
			e.Extensions[name] = bytes.Clone(value)
		}
	}
	defer func() {
		if err != nil {
			err = &ApplyError{Projection: p.name, Sequence: event.Sequence, ID: event.ID, Err: err.(*engine.PanicError)}
		}
	}()
	defer catch(&err)
	p.working = p.definition.Apply(p.working, e)
	p.applied++
	return nil
}

func (p *Projection[State]) rewind() {
	p.working, p.applied, p.batch = p.before, p.appliedBefore, 0
}

func (p *Projection[State]) back() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.working, p.applied, p.batch = p.shown, p.status.Applied, 0
}

func (p *Projection[State]) show(bound place) {
	p.bound = bound
	p.report(func(s *Status) {
		p.shown = p.working
		s.Sequence, s.Applied = bound.sequence, p.applied
	}, nil)
}

func (p *Projection[State]) encode() (b []byte, err error) {
	defer p.codecFailed("encode", &err)
	defer catch(&err)
	return p.codec().Encode(p.working)
}

func (p *Projection[State]) decode(data []byte) (state State, err error) {
	defer p.codecFailed("decode", &err)
	defer catch(&err)
	return p.codec().Decode(data)
}

// codecFailed says of an error whose it is.
func (p *Projection[State]) codecFailed(op string, err *error) {
	if *err != nil {
		*err = &CodecError{p.name, op, *err}
	}
}

func (p *Projection[State]) restore(data []byte, bound place) error {
	state, err := p.decode(data)
	if err != nil {
		return err
	}
	p.working, p.tried = state, bound.sequence
	p.show(bound)
	return nil
}

// Status is how far a projection has come.
type Status struct {
	Name    string
	Version uint64

	Sequence uint64 // the state has all events up to here
	Of       uint64 // the run under way, or the last one, goes up to here
	Applied  uint64 // events given to Apply since the set was opened

	Restored uint64 // sequence of the checkpoint it began with; 0: it began with the first event
	Rebuilt  error  // why a checkpoint that is there was not trusted, or nil

	Saved   uint64 // sequence of the last checkpoint that was written, or restored
	SaveErr error  // why the last attempt to write one has failed, or nil

	Err error // an *ApplyError: the projection has stopped
}

// union returns a query that selects at least what two queries select.
func union(a, b engine.Query) engine.Query {
	u := engine.Query{
		FromSequence: min(a.FromSequence, b.FromSequence),
		ToSequence:   widest(a.ToSequence, b.ToSequence),
	}
	if len(a.Types) > 0 && len(b.Types) > 0 {
		u.Types = slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.Types, b.Types))))
	}
	if a.Scope != b.Scope {
		return u
	}
	if a.Stream == b.Stream {
		u.Stream = a.Stream
		u.FromVersion, u.ToVersion = min(a.FromVersion, b.FromVersion), widest(a.ToVersion, b.ToVersion)
	}
	u.Scope = a.Scope // "" with a stream is a scope, without one it is every scope
	return u
}

// widest is the later of two ends, where 0 is none.
func widest(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
