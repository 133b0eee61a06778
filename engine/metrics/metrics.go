package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/untorn-db/untorn/engine"
)

// How many kinds there are of what is counted by kind.
const (
	outcomes = int(engine.OutcomeInDoubt) + 1
	causes   = int(engine.SyncClose) + 1
)

// Metrics counts. Make one with New. All its methods may be called from many
// goroutines at once.
type Metrics struct {
	inFlight atomic.Int64
	calls    [outcomes]calls
	rejected []atomic.Uint64 // as reasons
	groups   groups
	syncs    [causes]histogram
	syncErrs atomic.Uint64
	full     histogram // rotations
	fresh    histogram
	moveErrs atomic.Uint64
	opens    opens
	reads    reads
	handled  cursors
	signed   histogram
	signErrs atomic.Uint64
	failures atomic.Uint64

	log atomic.Pointer[engine.Log] // that Watch has named
}

type calls struct {
	took          histogram
	events, bytes atomic.Uint64
}

type groups struct {
	took, gather, decide, write, sync histogram
	calls, size                       histogram
	batches, events, bytes            atomic.Uint64
	errs                              [outcomes]atomic.Uint64
}

type opens struct {
	took              histogram
	errs, torn, fresh atomic.Uint64
}

type reads struct {
	took                histogram
	events, bytes, errs atomic.Uint64
}

// cursors are the events that cursors have handled, by the cursor's name.
type cursors struct {
	mu sync.Mutex
	of map[string]*handled
}

type handled struct {
	took                      histogram
	events, letters, failures atomic.Uint64
	through                   atomic.Uint64
	ended                     atomic.Bool
}

// get returns the counters of a cursor.
func (c *cursors) get(name string) *handled {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.of[name]
	if !ok {
		h = &handled{}
		h.took.seconds()
		c.of[name] = h
	}
	return h
}

// all are those that there are now.
func (c *cursors) all() map[string]*handled {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.of)
}

// New returns a Metrics that has counted nothing.
func New() *Metrics {
	m := &Metrics{rejected: make([]atomic.Uint64, len(reasons())), handled: cursors{of: map[string]*handled{}}}
	g := &m.groups
	for _, h := range []*histogram{&g.took, &g.gather, &g.decide, &g.write, &g.sync, &m.full, &m.fresh, &m.opens.took, &m.reads.took, &m.signed} {
		h.seconds()
	}
	for i := range m.calls {
		m.calls[i].took.seconds()
	}
	for i := range m.syncs {
		m.syncs[i].seconds()
	}
	g.calls.plain()
	g.size.plain()
	return m
}

// Listen returns what engine.Options.Metrics takes. To listen together with others,
// join them with engine.JoinMetrics.
func (m *Metrics) Listen() *engine.Metrics {
	return &engine.Metrics{
		CallBegin: m.callBegin, Call: m.call, Group: m.group, Sync: m.sync, Rotation: m.rotation,
		Open: m.open, Read: m.read, Signature: m.sign, Handled: m.handle, Failed: func(error) { m.failures.Add(1) },
	}
}

// Watch names the log whose state a Snapshot shows; nil ends that. A log may be
// watched before and after it is closed.
func (m *Metrics) Watch(log *engine.Log) { m.log.Store(log) }

func (m *Metrics) callBegin(ctx context.Context, _ engine.CallStats) context.Context {
	m.inFlight.Add(1)
	return ctx
}

func (m *Metrics) call(_ context.Context, c engine.CallStats) {
	m.inFlight.Add(-1)
	counts := &m.calls[c.Outcome]
	counts.took.took(c.Took)
	counts.events.Add(uint64(c.Events))
	counts.bytes.Add(uint64(c.Bytes))
	if c.Outcome == engine.OutcomeRejected {
		m.rejected[reasonOf(c.Err)].Add(1)
	}
}

func (m *Metrics) group(g engine.GroupStats) {
	counts := &m.groups
	counts.took.took(g.Took)
	counts.gather.took(g.Gather)
	counts.decide.took(g.Decide)
	counts.calls.add(int64(g.Calls))
	if g.Batches > 0 {
		counts.write.took(g.Write)
		counts.size.add(g.Bytes)
	}
	if g.Synced {
		counts.sync.took(g.Sync)
		if g.Err != nil {
			m.syncErrs.Add(1)
		}
	}
	if g.Err != nil {
		counts.errs[g.Outcome].Add(1)
		return
	}
	counts.batches.Add(uint64(g.Batches))
	counts.events.Add(uint64(g.Events))
	counts.bytes.Add(uint64(g.Bytes))
}

func (m *Metrics) sync(s engine.SyncStats) {
	m.syncs[s.Cause].took(s.Took)
	if s.Err != nil {
		m.syncErrs.Add(1)
	}
}

func (m *Metrics) rotation(r engine.RotationStats) {
	if r.Fresh {
		m.fresh.took(r.Took)
	} else {
		m.full.took(r.Took)
	}
	if r.Err != nil {
		m.moveErrs.Add(1)
	}
}

func (m *Metrics) open(o engine.OpenStats) {
	m.opens.took.took(o.Took)
	if o.Err != nil {
		m.opens.errs.Add(1)
	}
	if o.Recovery.Torn {
		m.opens.torn.Add(1)
	}
	if o.Recovery.Fresh != 0 {
		m.opens.fresh.Add(1)
	}
}

func (m *Metrics) read(r engine.ReadStats) {
	m.reads.took.took(r.Took)
	m.reads.events.Add(r.Events)
	m.reads.bytes.Add(uint64(r.Bytes))
	if r.Err != nil {
		m.reads.errs.Add(1)
	}
}

func (m *Metrics) sign(s engine.SignatureStats) {
	m.signed.took(s.Took)
	if s.Err != nil {
		m.signErrs.Add(1)
	}
}

func (m *Metrics) handle(h engine.HandledStats) {
	counts := m.handled.get(h.Cursor)
	if h.Events+h.DeadLetters > 0 {
		counts.took.took(h.Took)
	}
	counts.events.Add(uint64(h.Events))
	counts.letters.Add(uint64(h.DeadLetters))
	if h.Err != nil {
		counts.failures.Add(1)
	}
	counts.through.Store(h.Through)
	counts.ended.Store(h.Ended)
}

// reason is why a call is rejected.
type reason struct {
	name string
	err  error // that the call's error matches; the first of reasons counts
}

// reasons are in the order in which they are looked for: a denial matches what the
// gate's own error does, too, and a log that has failed the cause of that; a move
// of a cursor is a note. The last is what remains.
func reasons() []reason {
	return []reason{
		{"denied", engine.ErrDenied},
		{"log_failed", engine.ErrLogFailed},
		{"closed", engine.ErrClosed},
		{"read_only", engine.ErrReadOnly},
		{"wrong_version", engine.ErrWrongVersion},
		{"cursor_moved", engine.ErrCursorMoved},
		{"note_changed", engine.ErrNoteChanged},
		{"key_conflict", engine.ErrKeyConflict},
		{"limit", engine.ErrLimit},
		{"diverged", engine.ErrDiverged},
		{"gap", engine.ErrGap},
		{"id_taken", engine.ErrIDTaken},
		{"invalid", engine.ErrInvalid},
		{"no_space", engine.ErrNoSpace},
		{"corrupt", engine.ErrCorrupt}, // the event to compare a key with
		{"cancelled", context.Canceled},
		{"deadline", context.DeadlineExceeded},
		{"other", nil},
	}
}

// reasonOf returns the index of an error's reason.
func reasonOf(err error) int {
	all := reasons()
	for i, r := range all[:len(all)-1] {
		if errors.Is(err, r.err) {
			return i
		}
	}
	return len(all) - 1
}

// Reason says in a word why a call was rejected, such as "wrong_version" or
// "cancelled": what Snapshot.Rejected counts by. It is "" if the error does not match
// engine.ErrRejected.
func Reason(err error) string {
	if !errors.Is(err, engine.ErrRejected) {
		return ""
	}
	return reasons()[reasonOf(err)].name
}

// String is the Snapshot as JSON. It makes *Metrics an expvar.Var.
func (m *Metrics) String() string {
	text, err := json.Marshal(m.Snapshot())
	if err != nil {
		panic(fmt.Sprintf("internal error: a snapshot is no JSON: %v", err)) // it has no NaN, and no cycle
	}
	return string(text)
}
