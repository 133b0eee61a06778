package history

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/untorn-db/untorn/engine"
)

// History is what happened since the log was opened, and what it held then. It
// is immutable; the zero value is that of an empty log.
type History struct {
	base *state
	last *moment
	// before is the history that the last Open ended, for Check to look at.
	before *History
}

// moment is one thing that happened.
type moment struct {
	previous *moment
	kind     momentKind
	id       int // of the call
	op       *operation
	receipts []engine.Receipt
	err      error
	events   []engine.Event
	sequence uint64
}

type momentKind uint8

const (
	began momentKind = iota
	answered
	covered
	opened
)

func (h History) with(m moment) History {
	m.previous = h.last
	h.last = &m
	return h
}

// Append notes that a call starts. The id is its own for ever.
func (h History) Append(id, client int, batch engine.Batch) History {
	return h.with(moment{kind: began, id: id, op: &operation{verb: appends, client: client, batch: batch}})
}

// Answered notes the answer to an append that has begun and has none.
func (h History) Answered(id int, receipts []engine.Receipt, err error) History {
	return h.with(moment{kind: answered, id: id, receipts: receipts, err: err})
}

// Read notes that a read of everything that is visible starts.
func (h History) Read(id, client int) History {
	return h.with(moment{kind: began, id: id, op: &operation{verb: reads, client: client}})
}

// Saw notes what a read saw.
func (h History) Saw(id int, events []engine.Event) History {
	return h.with(moment{kind: answered, id: id, events: events})
}

// Close notes that a Close starts; it ends with Closed.
func (h History) Close(id, client int) History {
	return h.with(moment{kind: began, id: id, op: &operation{verb: closes, client: client}})
}

// Closed notes that a Close has returned.
func (h History) Closed(id int) History {
	return h.with(moment{kind: answered, id: id})
}

// Covered notes that events up to a sequence are durable.
func (h History) Covered(sequence uint64) History {
	return h.with(moment{kind: covered, sequence: sequence})
}

// Opened notes what a log shows that was opened, after a crash or not. What is
// noted from now on is another history; Check looks at the one that this ends.
func (h History) Opened(events []engine.Event) History {
	ended := h.with(moment{kind: opened, events: events})
	ended.before = nil
	return History{base: baseOf(events), before: &ended}
}

// Check looks for an order of the calls that explains what each of them saw. It
// returns a *Violation if there is none.
func (h History) Check() error {
	if h.last == nil && h.before != nil {
		return h.before.Check()
	}
	operations := h.operations()
	var final *operation
	if last := len(operations) - 1; last >= 0 && operations[last].verb == opens {
		final = operations[last]
	}
	operations = decided(h.base, operations, final)
	spec := specification(h.base, final)
	list := make([]porcupine.Operation, len(operations))
	for i, op := range operations {
		list[i] = porcupine.Operation{ClientId: op.client, Input: op, Call: int64(op.call), Output: op, Return: int64(op.back)}
	}
	if porcupine.CheckOperations(spec, list) {
		return nil
	}
	_, info := porcupine.CheckOperationsVerbose(spec, list, 0)
	return &Violation{Operations: describe(operations), spec: spec, info: info}
}

// operations are the calls of the history, with the times at which they start
// and end.
func (h History) operations() []*operation {
	var moments []*moment
	for m := h.last; m != nil; m = m.previous {
		moments = append(moments, m)
	}
	var all []*operation
	pending := map[int]*operation{}
	never := 2*len(moments) + 2
	for i := len(moments) - 1; i >= 0; i-- {
		m := moments[i]
		now := 2 * (len(moments) - i)
		switch m.kind {
		case began:
			op := *m.op
			op.call, op.back, op.unknown = now, never, true
			all = append(all, &op)
			pending[m.id] = &op
		case answered:
			op := pending[m.id]
			if op == nil {
				panic(fmt.Sprintf("history: an answer to call %d, which has not begun, or has one", m.id))
			}
			op.receipts, op.err, op.events = m.receipts, m.err, m.events
			if errors.Is(m.err, engine.ErrInDoubt) {
				continue
			}
			if n := len(m.receipts); n > 0 && !m.receipts[n-1].Durable {
				continue // answered, and in flight until it is covered
			}
			op.end(now)
			delete(pending, m.id)
			if n := len(m.receipts); n > 0 {
				settle(pending, m.receipts[n-1].Sequence, now)
			}
		case covered:
			settle(pending, m.sequence, now)
		case opened:
			for id, op := range pending {
				op.back = now - 1
				delete(pending, id)
			}
			all = append(all, &operation{verb: opens, client: openClient(all), events: m.events, call: now, back: now + 1})
		}
	}
	return all
}

// decided leaves out the calls without an answer that cannot have had an effect,
// and marks those that must have: the search would have to try both for each of
// them.
func decided(base *state, operations []*operation, final *operation) []*operation {
	return slices.DeleteFunc(slices.Clone(operations), func(op *operation) bool {
		if !op.unknown || op.verb == closes {
			return false
		}
		if op.verb == reads {
			return true
		}
		if final == nil {
			return false
		}
		entries := op.entriesOf()
		if len(entries) == 0 || !final.hasAnywhere(entries) {
			return true
		}
		op.effective = !base.hasLike(&entries[0]) && !slices.ContainsFunc(operations, func(other *operation) bool {
			return other != op && other.verb == appends && slices.ContainsFunc(other.entriesOf(), func(e entry) bool { return e.like(&entries[0]) })
		})
		return false
	})
}

// openClient is a row of its own in the view.
func openClient(all []*operation) int {
	client := 0
	for _, op := range all {
		client = max(client, op.client+1)
	}
	return client
}

// settle ends the buffered calls that a sync has covered.
func settle(pending map[int]*operation, sequence uint64, now int) {
	for id, op := range pending {
		if n := len(op.receipts); n > 0 && op.receipts[n-1].Sequence <= sequence {
			op.end(now)
			delete(pending, id)
		}
	}
}

// Violation says that no order of the calls explains what they saw: I12.
type Violation struct {
	Operations []string // one line each, in the order in which they start
	spec       porcupine.Model
	info       porcupine.LinearizationInfo
}

// Error says the same every time it happens the same way.
func (v *Violation) Error() string {
	text := "no order of these calls explains what each of them saw:"
	for _, line := range v.Operations {
		text += "\n" + line
	}
	return text
}

// HTML writes a page that shows the calls in time, and how far an order of them
// could be found.
func (v *Violation) HTML(w io.Writer) error {
	if err := porcupine.Visualize(v.spec, v.info, w); err != nil {
		return fmt.Errorf("write the view of a history: %w", err)
	}
	return nil
}

func describe(operations []*operation) []string {
	lines := make([]string, len(operations))
	for i, op := range operations {
		lines[i] = fmt.Sprintf("%3d–%-3s client %d: %s", op.call, op.until(), op.client, op)
	}
	return lines
}
