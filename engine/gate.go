package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/untorn-db/untorn/engine/record"
)

// Gate is a rule of the caller's for what may be appended. The gates of
// Options.Gates are asked about every batch, in order, until one denies it:
//
//	validate ─→ gate ─→ gate ─→ … ─→ commit
//	              │
//	           denied: rejected, the others are skipped
//
// They are asked in the goroutine of the call, once the batch is known to be valid
// and before anybody waits for it. Nothing of the log is held meanwhile: a gate may
// take its time, read the log, and append to it. Such an append is put to all gates
// as well, this one among them: that it ends is the gate's matter. A gate may be
// asked by many calls at once. One that ends its goroutine (runtime.Goexit) ends
// the call, too, and nothing is left of it.
//
// What the gates see is what is written: the log takes its own copy of a batch
// before it asks, and gives each gate copies of that. A permission is no promise,
// though. Versions, notes and keys are compared at the commit, and others may
// append between a gate's look at the log and that: a rule about what the log holds
// needs an Expect to be sure.
//
// A batch is not put to the gates if the log has its first key: it will be answered
// with the receipts of the first call, or a *KeyConflictError, and nothing is
// written in either case. The key is looked for before the first gate, and again
// when a gate has denied the batch. So a gate that denies because of what the
// first call has done cannot keep a retry from its receipts. As long as the first
// call is in flight the log does not have the key, and a retry can be denied: that
// says that nothing was written for the retry, and leaves the first call alone,
// whose receipts the next retry gets.
//
// The log's own notes, those of denials, are put to no gate. The move of a cursor
// is, and so is all that Cursor.Handle commits, with dead letters.
type Gate struct {
	// Name is 1 to 255 bytes of UTF-8 without control characters, and the name of no
	// other gate of the log.
	Name string
	// Permit returns nil if the batch may be appended, or else the reason why not.
	// A panic denies it, too.
	Permit func(ctx context.Context, proposal *Proposal) error
	// Record appends a note to the log for each denial of this gate: a DeniedNote,
	// in a batch of its own, which is durable unless the denied batch was Buffered.
	// It needs MaxMetadata of at least 4 KiB, and MaxBatchBytes of at least 8 KiB.
	Record bool
}

// Proposal is a batch that is put to the gates. It is valid, as far as that can be
// said without the log, and cannot be changed: whatever it returns is the gate's to
// keep and change. It may be used from many goroutines, also when Permit has
// returned.
type Proposal struct {
	batch      Batch    // its bytes are those that are written
	extensions [][]byte // of the events, encoded; nil when there are none
}

// Key is Batch.Key.
func (p *Proposal) Key() string { return p.batch.Key }

// Durability is Batch.Durability.
func (p *Proposal) Durability() Durability { return p.batch.Durability }

// Len is how many events the batch has; one of notes alone has none.
func (p *Proposal) Len() int { return len(p.batch.Events) }

// Events yields the events, and their places in the batch. Their contents are
// copied for each look: Streams and Types cost less, where names are enough.
func (p *Proposal) Events() iter.Seq2[int, Draft] {
	return func(yield func(int, Draft) bool) {
		for i, d := range p.batch.Events {
			d.Data, d.Metadata = bytes.Clone(d.Data), bytes.Clone(d.Metadata)
			if p.extensions != nil && p.extensions[i] != nil {
				var err error
				if d.Extensions, err = record.DecodeExtensions(bytes.Clone(p.extensions[i])); err != nil {
					panic("internal error: extensions that were just encoded: " + err.Error())
				}
			}
			if !yield(i, d) {
				return
			}
		}
	}
}

// Notes yields the notes, and their places in the batch. A Move of a cursor is one
// of them.
func (p *Proposal) Notes() iter.Seq2[int, NoteDraft] {
	return func(yield func(int, NoteDraft) bool) {
		for i, n := range p.batch.Notes {
			n.Data = bytes.Clone(n.Data)
			if !yield(i, n) {
				return
			}
		}
	}
}

// Streams returns the streams of the events, each once, in the order in which they
// appear.
func (p *Proposal) Streams() []StreamName {
	return distinct(p.batch.Events, func(d *Draft) StreamName { return StreamName{d.Scope, d.Stream} })
}

// Types returns the types of the events, each once, in the order in which they
// appear.
func (p *Proposal) Types() []string {
	return distinct(p.batch.Events, func(d *Draft) string { return d.Type })
}

// distinct returns what a list's items have, each once, in order.
func distinct[T any, K comparable](list []T, of func(*T) K) []K {
	var found []K
	seen := map[K]bool{}
	for i := range list {
		if k := of(&list[i]); !seen[k] {
			seen[k], found = true, append(found, k)
		}
	}
	return found
}

// ErrDenied is matched by *DeniedError.
var ErrDenied = errors.New("denied by a gate")

// DeniedError answers a batch that a gate has denied. It matches ErrDenied, and
// what the gate's own error matches, but for ErrFailed, ErrInDoubt and ErrCursorMoved:
// a gate may have met them in an append of its own, and of the denied batch they would
// not be true.
type DeniedError struct {
	Gate   string // the gate's name
	Reason string // what Err says
	Err    error  // what the gate has returned; a *PanicError if it has panicked
	Trace  []GateResult

	// Recorded is true when a note of the denial is in the log.
	Recorded bool
	// RecordErr is why it is not, though the gate is one to Record: the error of
	// that append, which may be in doubt. It is matched by nothing here: the batch
	// is denied all the same.
	RecordErr error
}

// GateResult is what became of one gate.
type GateResult struct {
	Gate    string  `json:"gate"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"` // of the one that has denied
}

// Verdict is what a gate says of a batch.
type Verdict string

const (
	Permitted Verdict = "permitted"
	Denied    Verdict = "denied"
	Skipped   Verdict = "skipped" // not asked: one before it has denied
)

func (e *DeniedError) Error() string {
	text := fmt.Sprintf("gate %q has denied the batch: %s", e.Gate, strings.TrimPrefix(e.Reason, "engine: "))
	if e.RecordErr != nil {
		text += fmt.Sprintf(" (and that could not be recorded: %v)", within(e.RecordErr))
	}
	return oneLine(text)
}

// Is reports whether target is ErrDenied.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// Unwrap returns the gate's own error, without what it may not say of the batch.
func (e *DeniedError) Unwrap() error { return &theirs{e.Err} }

// checkGates reports what is wrong with the gates of options.
func checkGates(o *Options, problem func(format string, args ...any)) {
	first := map[string]int{}
	for i := range o.Gates {
		g := &o.Gates[i]
		switch at, again := first[g.Name]; {
		case g.Name == "":
			problem("Gates[%d] has no name", i)
		case len(g.Name) > maxNameLength:
			problem("Gates[%d] has a name of %d bytes: use at most %d", i, len(g.Name), maxNameLength)
		case !validText(g.Name):
			problem("Gates[%d] has the name %q: use UTF-8 without control characters", i, g.Name)
		case again:
			problem("Gates[%d] has the name of Gates[%d], %q: use another one", i, at, g.Name)
		default:
			first[g.Name] = i
		}
		if g.Permit == nil {
			problem("Gates[%d] has no Permit", i)
		}
		if g.Record && (o.MaxMetadata < maxDenial || o.MaxBatchBytes < 2*maxDenial) {
			problem("Gates[%d] records its denials: MaxMetadata must be at least %d, and MaxBatchBytes at least %d", i, maxDenial, 2*maxDenial)
		}
	}
}

// takeNames makes the lists of a call's drafts its own, with their names and
// lengths: before they are validated, so that nothing else is written.
func (c *call) takeNames() {
	c.batch.Events = append([]Draft(nil), c.batch.Events...)
	c.batch.Notes = append([]NoteDraft(nil), c.batch.Notes...)
}

// takeContents makes the contents of a valid call's drafts its own. Extensions and
// notes are encoded already.
func (c *call) takeContents() {
	size := 0
	for i := range c.batch.Events {
		d := &c.batch.Events[i]
		size += len(d.Data) + len(d.Metadata)
	}
	room := make([]byte, 0, size)
	take := func(b []byte) []byte {
		at := len(room)
		room = append(room, b...)
		return room[at:len(room):len(room)]
	}
	for i := range c.batch.Events {
		d := &c.batch.Events[i]
		d.Data, d.Metadata, d.Extensions = take(d.Data), take(d.Metadata), nil
	}
	for i := range c.batch.Notes {
		n, encoded := &c.batch.Notes[i], c.notes[i]
		n.Data = encoded[len(encoded)-len(n.Data) : len(encoded) : len(encoded)]
	}
}

// permit puts a valid call to the gates. It returns why it is refused.
func (l *Log) permit(ctx context.Context, c *call) error {
	// What cannot be written needs no permission.
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.writable(); err != nil {
		return err
	}
	if l.hasKeys(c) {
		return nil
	}
	c.takeContents()
	p := &Proposal{batch: c.batch, extensions: c.extensions}
	for i := range l.opts.Gates {
		err := l.opts.Gates[i].ask(ctx, p)
		switch {
		case err == nil:
		case l.hasKeys(c): // since then: the commit will answer it
			return nil
		default:
			return l.denied(p, i, err)
		}
	}
	return nil
}

// hasKeys reports whether the log has the first key of a call. Then nothing will be
// written for it: it is answered with receipts that there are, or is a conflict.
func (l *Log) hasKeys(c *call) bool {
	if c.keys == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.index.ByKey(c.keys[0])
	return ok
}

// ask returns a gate's error, or that it has panicked, also in telling that.
func (g *Gate) ask(ctx context.Context, p *Proposal) (err error) {
	defer catch(&err)
	if err = g.Permit(ctx, p); err != nil {
		_ = err.Error() // which may panic, too
	}
	return err
}

// denied makes the error of a batch that the gate with this index has denied, and
// records it.
func (l *Log) denied(p *Proposal, at int, err error) error {
	gates, reason := l.opts.Gates, textOf(err)
	e := &DeniedError{Gate: gates[at].Name, Reason: reason, Err: err, Trace: make([]GateResult, len(gates))}
	for i := range gates {
		e.Trace[i] = GateResult{Gate: gates[i].Name, Verdict: Permitted}
		if i > at {
			e.Trace[i].Verdict = Skipped
		}
	}
	e.Trace[at].Verdict, e.Trace[at].Reason = Denied, reason
	if gates[at].Record {
		e.RecordErr = l.recordDenial(e, p)
		e.Recorded = e.RecordErr == nil
	}
	return e
}

// recordDenial appends a note. The caller's context has no say: who ends it does
// not get rid of the trace.
func (l *Log) recordDenial(e *DeniedError, p *Proposal) error {
	data, err := newDenial(e, p)
	if err != nil {
		return err
	}
	c := l.newCall()
	c.own = true
	c.batch = Batch{Notes: []NoteDraft{{Name: DeniedNote, Data: data, own: DeniedNote}}, Durability: p.batch.Durability}
	err = l.append(context.Background(), c)
	l.doneWith(c)
	return err
}

// DeniedNote is the name of the notes that record denials. Their data is a Denial
// as JSON.
const DeniedNote = ownNotes + "denied"

// Denial is what the log keeps of a batch that a gate has denied: who denied it and
// why, and the names in it, no content. It takes at most 4 KiB: long lists are cut,
// and the number behind each says how many more there were; a long reason is cut,
// too.
type Denial struct {
	Trace     []GateResult `json:"trace"` // the one that has denied is never left out
	MoreGates int          `json:"more_gates,omitempty"`

	Events int `json:"events"`          // how many the batch had
	Notes  int `json:"notes,omitempty"` // how many it had

	Streams     []StreamName `json:"streams,omitempty"` // of the events, each once
	MoreStreams int          `json:"more_streams,omitempty"`
	Types       []string     `json:"types,omitempty"` // of the events, each once
	MoreTypes   int          `json:"more_types,omitempty"`
	Names       []string     `json:"names,omitempty"` // of the notes, each once
	MoreNames   int          `json:"more_names,omitempty"`

	Key      string   `json:"key,omitempty"`  // of the batch; what is no plain text of it is U+FFFD
	Keys     []string `json:"keys,omitempty"` // of the events, likewise
	MoreKeys int      `json:"more_keys,omitempty"`
}

const (
	maxDenial = 4 << 10 // bytes of a Denial
	maxReason = 1000    // bytes of the reason in it
	mostNames = 16      // in each of its lists
)

// newDenial encodes a denial.
func newDenial(e *DeniedError, p *Proposal) ([]byte, error) {
	streams, types := p.Streams(), p.Types()
	names := distinct(p.batch.Notes, func(n *NoteDraft) string { return n.Name })
	var keys []string
	for i := range p.batch.Events {
		if key := p.batch.Events[i].Key; key != "" {
			keys = append(keys, plain(key, utf8.RuneError))
		}
	}
	for most := mostNames; ; most /= 2 {
		d := Denial{Events: p.Len(), Notes: len(p.batch.Notes), Key: plain(p.batch.Key, utf8.RuneError)}
		d.Streams, d.MoreStreams = few(streams, most)
		d.Types, d.MoreTypes = few(types, most)
		d.Names, d.MoreNames = few(names, most)
		d.Keys, d.MoreKeys = few(keys, most)
		d.trace(e, most)
		var data bytes.Buffer
		encoder := json.NewEncoder(&data)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(d); err != nil {
			return nil, err
		}
		if b := bytes.TrimSuffix(data.Bytes(), []byte("\n")); len(b) <= maxDenial || most == 0 {
			return b, nil
		}
	}
}

// trace takes the gate that has denied, and a few before and behind it.
func (d *Denial) trace(e *DeniedError, most int) {
	for i, r := range e.Trace {
		if r.Verdict != Denied {
			continue
		}
		r.Reason = cut(oneLine(r.Reason), maxReason)
		from, to := max(0, i-most), min(len(e.Trace), i+1+most)
		d.Trace = append(append(append(d.Trace, e.Trace[from:i]...), r), e.Trace[i+1:to]...)
		d.MoreGates = len(e.Trace) - len(d.Trace)
	}
}

// few returns the first items of a list, and how many more there are.
func few[T any](list []T, most int) (first []T, more int) {
	n := min(len(list), most)
	return list[:n], len(list) - n
}

// cut ends a text after so many bytes, in front of a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// plain replaces control characters.
func plain(s string, by rune) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return by
		}
		return r
	}, s)
}

// oneLine makes a line of what others wrote.
func oneLine(s string) string { return plain(s, ' ') }

// ParseDenial reads a note that records a denial. The error matches ErrInvalid if
// it is another note, and ErrVersion if a newer version of this package has written
// it.
func ParseDenial(n Note) (Denial, error) {
	if n.Name != DeniedNote {
		return Denial{}, fmt.Errorf("engine: parse a denial: %w: the note is called %q", ErrInvalid, n.Name)
	}
	var d Denial
	if err := json.Unmarshal(n.Data, &d); err != nil {
		return Denial{}, fmt.Errorf("engine: parse a denial: %w: %w", ErrVersion, err)
	}
	for _, r := range d.Trace {
		if r.Verdict == Denied {
			return d, nil
		}
	}
	return Denial{}, fmt.Errorf("engine: parse a denial: %w: no gate has denied it", ErrVersion)
}
