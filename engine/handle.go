package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Handling says how a cursor's events are handled. The zero value handles them one
// by one, tries each five times, and stops at one that cannot be handled.
type Handling struct {
	// Batch is how many events are handled, at most, before their effects commit
	// together with the cursor's move; 0 means 1. It never waits for more to come.
	Batch int
	// Attempts is how often an event is handled until that succeeds; 0 means 5.
	Attempts int
	// Wait is the time before the second attempt, which doubles for each further
	// one, up to MostWait; 0 means 100 ms and 10 s.
	Wait, MostWait time.Duration
	// DeadLetter is the stream for an event that could not be handled: it gets one
	// of type DeadLetterType, in the same batch as the cursor's move behind it.
	// Without a stream Handle ends with a *HandleError. A query may select the
	// stream: its dead letters are passed over.
	DeadLetter StreamName
	// ToEnd ends Handle with nil, rather than waiting, once no durable event is left
	// that the query selects.
	ToEnd bool
	// Durability is that of the batches; with Buffered more events may be handled
	// again after a power cut.
	Durability Durability
	// Append appends a batch of effects with its move; nil means Log.AppendBatch. It
	// is for those who want to add to a batch, or to look at it.
	Append func(context.Context, Batch) ([]Receipt, error)
}

// StreamName names a stream.
type StreamName struct {
	Scope  string `json:"scope,omitempty"`
	Stream string `json:"stream"`
}

// DeadLetterType is the type of the events of a dead-letter stream. Their data is
// a DeadLetter as JSON; they are caused by the event that could not be handled.
const DeadLetterType = "untorn.dead-letter"

// DeadLetter says which event could not be handled, and why.
type DeadLetter struct {
	Cursor   string    `json:"cursor"`
	ID       uuid.UUID `json:"id"`
	Sequence uint64    `json:"sequence"`
	Scope    string    `json:"scope,omitempty"`
	Stream   string    `json:"stream"`
	Version  uint64    `json:"version"`
	Type     string    `json:"type"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
}

// HandleError ends Handle at an event that could not be handled. It matches what the
// error of the last attempt matches, but for ErrFailed, ErrInDoubt and ErrCursorMoved:
// a handler may have met them in an append of its own, and of the cursor at hand they
// would not be true.
type HandleError struct {
	Cursor   string
	Sequence uint64
	Attempts int
	Err      error // of the last attempt
}

func (e *HandleError) Error() string {
	attempts := "1 attempt"
	if e.Attempts != 1 {
		attempts = fmt.Sprintf("%d attempts", e.Attempts)
	}
	return fmt.Sprintf("event %d could not be handled in %s, and cursor %q has no dead-letter stream: %v", e.Sequence, attempts, e.Cursor, within(e.Err))
}

// Unwrap returns the error of the last attempt, without what it may not say of the
// cursor.
func (e *HandleError) Unwrap() error { return &theirs{e.Err} }

// Handler handles one event. What it appends to effects commits together with the
// cursor's move: both happen or none, so such effects happen once. Others, such as
// a mail that is sent, may happen again: after an error, a crash, or when the
// batch of the effects was refused.
type Handler func(ctx context.Context, event Event, effects *Effects) error

// Effects is what a handler does to the log. It is valid until the handler
// returns, and forgotten if it returns an error.
type Effects struct {
	tx    *Tx // nil: the handler has returned
	event *Event
}

// Append stages an event, and returns its place in the batch, as Tx.Append does. A
// draft without a cause is caused by the event that is handled, and one without a
// correlation gets that event's. A key is refused with ErrInvalid: what commits with
// the move of a cursor happens once without it, and an answer to the key would not
// move the cursor.
func (e *Effects) Append(draft Draft) (item int, err error) {
	if e.tx == nil {
		return e.open().Append(draft)
	}
	if draft.Key != "" {
		return 0, fmt.Errorf("engine: stage an event: %w: %w: effects have no key: they happen once by the move of the cursor", ErrRejected, ErrInvalid)
	}
	if draft.CausedBy == (Cause{}) {
		draft.CausedBy = ByID(e.event.ID)
	}
	if draft.Correlation == uuid.Nil {
		draft.Correlation = e.event.Correlation
	}
	return e.open().Append(draft)
}

// open is the transaction, or one that has ended.
func (e *Effects) open() *Tx {
	if e.tx == nil {
		return &Tx{done: true}
	}
	return e.tx
}

// Note stages a note, as Tx.Note does.
func (e *Effects) Note(note NoteDraft) error { return e.open().Note(note) }

// ErrPermanent is for handlers: an error that matches it is not tried again. The
// event could not be handled, whatever Handling.Attempts says.
var ErrPermanent = errors.New("permanent")

// Handle calls a handler for every event behind the cursor, in order, and moves the
// cursor. It waits for events to come, and returns when the context ends, the log
// is closed or has failed, the query has no more events (then with nil), an event
// cannot be handled (*HandleError), or somebody else has moved the cursor
// (ErrCursorMoved). It runs in the caller's goroutine; what was handled when the
// context ends is committed all the same, unless that is refused.
//
// An attempt fails when the handler returns an error or panics, whatever the error
// is, or when its effects are refused, as with ErrWrongVersion or ErrDenied. What
// the disk says is no fault of an event, and ends Handle. Options.Logger is warned of
// each failed attempt, with cursor, sequence, attempt and error, and Metrics.Handled
// is told. An attempt does not count if the context ends during it; nor if it was made
// in a batch with other events whose effects were refused: each of them is handled
// again, alone. If Handle ends before the next attempt, because of the context or the log,
// errors.Is finds both that and the error of the last attempt.
//
// Effects that the query selects are events as all others: they are handled in their
// turn. A process that goes on by its own events wants that. But a handler that
// answers each event with one that the query selects never comes to an end, and
// fills the disk. Have the query leave the effects out, by stream or by type; or have
// the handler append nothing at some of them, for which Draft.Depth can count the
// steps. ToSequence bounds both.
//
// Two Handles of one name, in one process or in several, are safe and of no use: the
// one whose batch comes later ends with ErrCursorMoved, and its effects are not there.
func (c *Cursor) Handle(ctx context.Context, how Handling, handler Handler) error {
	how, err := how.withDefaults()
	if err == nil && handler == nil {
		err = fmt.Errorf("%w: the handler is nil", ErrInvalid)
	}
	if err == nil {
		if how.Append == nil {
			how.Append = c.log.AppendBatch
		}
		h := &handling{cursor: c, how: how, handler: handler, ctx: context.WithoutCancel(ctx)}
		err = h.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("engine: handle %q: %w", c.name, within(err))
	}
	return nil
}

// withDefaults returns how, or what is wrong with it.
func (h Handling) withDefaults() (Handling, error) {
	switch {
	case h.Batch < 0, h.Attempts < 0, h.Wait < 0, h.MostWait < 0:
		return h, fmt.Errorf("%w: a negative number in Handling", ErrInvalid)
	case h.DeadLetter.Stream == "" && h.DeadLetter.Scope != "":
		return h, fmt.Errorf("%w: Handling.DeadLetter has a scope and no stream", ErrInvalid)
	case h.Durability > Buffered:
		return h, fmt.Errorf("%w: unknown durability %d", ErrInvalid, h.Durability)
	}
	v := validation{item: -1}
	v.text("the scope of Handling.DeadLetter", h.DeadLetter.Scope, 0)
	v.text("the stream of Handling.DeadLetter", h.DeadLetter.Stream, 0)
	if err := v.err(); err != nil {
		return h, err
	}
	h.Batch = cmp.Or(h.Batch, 1)
	h.Attempts = cmp.Or(h.Attempts, 5)
	h.Wait = cmp.Or(h.Wait, 100*time.Millisecond)
	h.MostWait = max(cmp.Or(h.MostWait, 10*time.Second), h.Wait)
	return h, nil
}

// handling is one call of Handle.
//
//	events ─→ attempt ─→ … ─→ commit: effects and move ─→ events
//	           ▲   │             │ rejected: each event alone
//	           └───┴─────────────┘
//	         wait, again          too often: the dead letter in place of the effects
type handling struct {
	cursor  *Cursor
	how     Handling
	handler Handler
	ctx     context.Context // with the caller's values, and no end

	position uint64    // of the cursor
	scanned  uint64    // up to here the query selects nothing behind the position
	tx       *Tx       // effects of the events behind the position
	handled  uint64    // the last of those events
	count    int       // of them
	dead     int       // events that have a dead letter in place of effects
	began    time.Time // the first attempt since the last move, where Options.Metrics listens
	alone    uint64    // up to this event each is committed alone: their batch was rejected
}

func (h *handling) run(ctx context.Context) error {
	l := h.cursor.log
	if err := l.writable(); err != nil {
		return err
	}
	var err error
	if h.position, err = h.cursor.position(); err != nil {
		return err
	}
	h.begin()
	h.tell(HandledStats{})
	for {
		q := h.cursor.query
		q.FromSequence = max(q.FromSequence, behind(h.position), behind(h.scanned))
		if last := l.lastOf(&q); last > 0 && q.FromSequence > last {
			h.tell(HandledStats{Ended: true})
			return nil
		}
		if h.how.ToEnd && l.shownAll(q.FromSequence) {
			return nil
		}
		bound, err := l.await(ctx, q.FromSequence, false)
		if err != nil {
			return err
		}
		if q.ToSequence == 0 || q.ToSequence > bound {
			q.ToSequence = bound
		}
		if err := h.some(ctx, &q); err != nil {
			return err
		}
	}
}

// some handles the events that a query selects.
func (h *handling) some(ctx context.Context, q *Query) error {
	again, cause := false, error(nil)
	err := h.cursor.log.read(q, func(event Event) bool {
		if cause = ctx.Err(); cause == nil && !h.ownLetter(&event) {
			again, cause = h.event(ctx, &event)
		}
		return !again && cause == nil
	})
	err = cmp.Or(cause, err)
	if h.count > 0 {
		again, err = h.finish(err)
	}
	if err == nil && !again {
		if h.scanned = q.ToSequence; h.scanned > h.position {
			h.tell(HandledStats{})
		}
	}
	return err
}

// ownLetter reports whether an event is a dead letter in the stream where those of
// this Handle come, which would be handled in their turn.
func (h *handling) ownLetter(event *Event) bool {
	to := h.how.DeadLetter
	return event.Type == DeadLetterType && to.Stream != "" && event.Stream == to.Stream && event.Scope == to.Scope
}

// finish commits what is handled, whatever has ended that. Where it is rejected,
// its events are to be handled again.
func (h *handling) finish(end error) (again bool, err error) {
	if err := h.commit(); err != nil {
		h.alone = h.handled
		return end == nil, errors.Join(end, h.fatal(err))
	}
	return false, end
}

// event handles one event until that has succeeded, or it is dead. again is set
// when the events behind the position are to be handled again.
func (h *handling) event(ctx context.Context, event *Event) (again bool, err error) {
	l, wait := h.cursor.log, h.how.Wait
	for failures := 0; ; {
		others := h.count > 0
		err := h.attempt(ctx, event)
		if err == nil {
			if h.count < h.how.Batch && event.Sequence > h.alone {
				return false, nil
			}
			if err = h.commit(); err == nil {
				return false, nil
			}
			if fatal := h.fatal(err); fatal != nil {
				return false, fatal
			}
			if others {
				h.alone = event.Sequence // whose fault it is will be seen
				return true, nil
			}
		} else if others && ctx.Err() == nil {
			if err := h.commit(); err != nil {
				h.alone = event.Sequence
				return true, h.fatal(err)
			}
			if errors.Is(err, ErrLimit) {
				continue // there is room now
			}
		}
		if end := ctx.Err(); end != nil {
			return false, afterAttempt(end, event, err)
		}
		failures++
		h.failed(event, failures, err)
		if failures >= h.how.Attempts || errors.Is(err, ErrPermanent) {
			return false, h.bury(event, failures, err)
		}
		if end := h.pause(ctx, wait); end != nil {
			return false, afterAttempt(end, event, err)
		}
		if *event, err = l.Get(event.ID); err != nil { // the handler may have changed its bytes
			return false, err
		}
		wait = min(2*wait, h.how.MostWait)
	}
}

// failed tells that an attempt has failed: those that succeed later leave no other
// trace.
func (h *handling) failed(event *Event, attempt int, cause error) {
	logger := h.cursor.log.opts.Logger
	if logger.Enabled(h.ctx, slog.LevelWarn) {
		logger.WarnContext(h.ctx, "an event could not be handled", "cursor", h.cursor.name,
			"sequence", event.Sequence, "attempt", attempt, "error", cut(oneLine(textOf(cause)), maxReason))
	}
	h.tell(HandledStats{Attempt: attempt, Err: cause})
}

// pause waits for the next attempt, or returns why there is none.
func (h *handling) pause(ctx context.Context, wait time.Duration) error {
	l := h.cursor.log
	if err := l.writable(); err != nil {
		return err
	}
	if err := l.sleep(ctx, wait); err != nil {
		return err
	}
	return l.writable() // it may have been closed meanwhile
}

// afterAttempt is the end of Handle where an attempt has failed before. A handler
// that says of its context what the end is has said all.
func afterAttempt(end error, event *Event, last error) error {
	if errors.Is(last, end) {
		return fmt.Errorf("event %d: %w", event.Sequence, within(&theirs{last}))
	}
	return fmt.Errorf("%w; the last attempt at event %d: %w", end, event.Sequence, within(&theirs{last}))
}

// attempt calls the handler once. What it has staged is undone if it fails.
func (h *handling) attempt(ctx context.Context, event *Event) (err error) {
	h.attempts()
	before := h.tx.mark()
	effects := &Effects{tx: h.tx, event: event}
	defer func() {
		effects.tx = nil
		if err != nil {
			h.tx.back(before)
			return
		}
		h.handled = event.Sequence
		h.count++
	}()
	defer catch(&err)
	return h.handler(ctx, *event, effects)
}

// fatal returns why no further attempt is made after a commit has failed, or nil
// where the effects are to blame: what the disk says, such as that it is full, is
// no fault of the event.
func (h *handling) fatal(err error) error {
	blame := func(cause error) bool { return errors.Is(err, cause) }
	if blame(ErrCursorMoved) || !slices.ContainsFunc([]error{ErrWrongVersion, ErrNoteChanged, ErrDenied, ErrLimit, ErrInvalid}, blame) {
		return err
	}
	return h.cursor.log.writable()
}

// begin forgets the effects so far.
func (h *handling) begin() {
	h.tx, h.count, h.dead = h.cursor.log.Begin("", h.how.Durability), 0, 0
}

// commit appends the effects of what is handled, and moves the cursor behind it;
// if that fails they are forgotten. That the caller's context ends is no reason to
// stop: what is done is done.
func (h *handling) commit() error {
	defer h.begin()
	if err := h.tx.Note(h.cursor.Move(h.position, h.handled)); err != nil {
		return err
	}
	if _, err := h.how.Append(h.ctx, h.tx.batch); err != nil {
		return err
	}
	h.position = h.handled
	h.moved()
	return nil
}

// bury appends a dead letter and moves the cursor behind the event.
func (h *handling) bury(event *Event, attempts int, cause error) error {
	if h.how.DeadLetter.Stream == "" {
		return &HandleError{Cursor: h.cursor.name, Sequence: event.Sequence, Attempts: attempts, Err: cause}
	}
	data, err := json.Marshal(DeadLetter{
		Cursor: h.cursor.name, ID: event.ID, Sequence: event.Sequence, Scope: event.Scope, Stream: event.Stream,
		Version: event.Version, Type: event.Type, Attempts: attempts, Error: cut(oneLine(textOf(cause)), maxReason),
	})
	if err != nil {
		return err
	}
	effects := Effects{tx: h.tx, event: event}
	if _, err := effects.Append(Draft{Scope: h.how.DeadLetter.Scope, Stream: h.how.DeadLetter.Stream, Type: DeadLetterType, Data: data}); err != nil {
		return err
	}
	h.handled = event.Sequence
	h.dead = 1
	return h.commit()
}

// textOf is the text of an error, also of one that panics when it is asked.
func textOf(err error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = (&PanicError{Value: p}).Error()
		}
	}()
	return err.Error()
}

// sleep waits through the seams.
func (l *Log) sleep(ctx context.Context, d time.Duration) error {
	over := l.opts.Waits.Signal("the next attempt")
	stop := l.opts.Waits.After(d, over.Set)
	defer stop()
	return over.Wait(ctx)
}
