package scenarios

import (
	"errors"
	"strings"

	"github.com/untorn-db/untorn/engine"
)

// State is something that a log, or who uses it, comes into. A sweep that never
// reached one that its scenarios name has tested less than it says.
type State struct {
	Name string // such as "cut a torn tail"
	Says string // what it means, in a sentence
}

// states is a set of them.
type states uint64

// state is the place of one in States.
type state uint8

const (
	foundNothing state = iota
	beganLog
	cutTail
	carriedBatches
	wentFresh
	removedUnfinished
	readSegments
	openedFull
	openFailed
	recoveredAgain
	lostBuffered
	lostByLie
	keptUnanswered
	lostUnanswered
	namedInterior
	refusedForeign
	salvaged
	movedOn
	rolledBack
	rollbackFailed
	leftInDoubt
	rejectedFull
	readFaulted
	readBuffered
	tookPrepared
	sharedSync
	syncedBuffered
	signedHead
	answeredKey
	conflictingKey
	wrongVersion
	clockBack
	closedBusy
	refusedClosed
	committedTx
	cancelledTx
	droppedTx
	wokeFollower
	movedCursor
	leftDeadLetter
	handledAgain
	lostCursor
	loadedCheckpoint
	computedAnew
	numStates
)

// States lists the named states: of recoveries first, then of logs at work, then
// of those who use them.
func States() []State {
	return []State{
		foundNothing:      {"nothing to repair", "a recovery found a log that ends where it should"},
		beganLog:          {"began a log", "an open found no log, and began one"},
		cutTail:           {"cut a torn tail", "a recovery left out what a crash had left of a batch"},
		carriedBatches:    {"carried batches", "a recovery copied batches that nothing proves to be durable to a fresh segment"},
		wentFresh:         {"went on in a fresh segment", "a recovery left a doubtful end of the log behind"},
		removedUnfinished: {"removed an unfinished segment", "a recovery removed a segment that had no name yet"},
		readSegments:      {"indexed several segments", "a recovery built its index from more than one segment"},
		openedFull:        {"opened without space", "a recovery had no room to go on, and the log takes no writes"},
		openFailed:        {"an open failed", "an open met a fault and said so"},
		recoveredAgain:    {"recovered from a crash of a recovery", "a recovery found what another one had left that was cut off"},
		lostBuffered:      {"buffered events were lost", "a crash took events that nobody was told to be durable"},
		lostByLie:         {"a lie lost durable events", "a crash took what a disk had said to be durable, and was not"},
		keptUnanswered:    {"an unanswered call was there", "a crash came before the answer of a call, which had taken effect"},
		lostUnanswered:    {"an unanswered call left nothing", "a crash came before the answer of a call, which had taken no effect"},
		namedInterior:     {"named damage inside the log", "an open named the place of damage with whole batches behind it"},
		refusedForeign:    {"refused a foreign segment", "an open refused a segment of another log"},
		salvaged:          {"salvaged a damaged log", "a log was opened to read what is whole, and listed what is not"},
		movedOn:           {"moved on behind a failed write", "a fresh segment ended the one that a write had failed in"},
		rolledBack:        {"rolled back a group", "a call was told that its batch was rolled back"},
		rollbackFailed:    {"a rollback failed", "the fresh segment behind a failed write did not come to be"},
		leftInDoubt:       {"left a call in doubt", "a call was told that nobody knows whether its batch is there"},
		rejectedFull:      {"rejected for want of space", "a call was told that the disk is full, and nothing was written"},
		readFaulted:       {"a read met a fault", "a read of the log, while it served, met a file operation that failed or ended early"},
		readBuffered:      {"read a buffered event", "a read showed an event before it was durable"},
		tookPrepared:      {"took a prepared segment", "a full segment was left for one that was made ahead"},
		sharedSync:        {"calls shared a sync", "a group of several batches was made durable by one sync"},
		syncedBuffered:    {"synced buffered batches", "a sync on its own made batches durable that were answered before"},
		signedHead:        {"signed a head", "the signer was asked for a signature, and gave it"},
		answeredKey:       {"answered a key from the log", "a call was made again and got the answer of the first"},
		conflictingKey:    {"refused a key", "a call was refused since its key stands for another batch"},
		wrongVersion:      {"refused a version", "a call was refused since its stream is at another version"},
		clockBack:         {"the clock went back", "the wall clock was set back while the log was open"},
		closedBusy:        {"closed with calls under way", "a log was closed while others waited for their answers"},
		refusedClosed:     {"refused a call of a closed log", "a call came when the log was closed"},
		committedTx:       {"committed a transaction", "a transaction became visible"},
		cancelledTx:       {"cancelled a transaction", "a transaction was cancelled, and its key is as never used"},
		droppedTx:         {"dropped a transaction", "a transaction was left without a word, and nothing came of it"},
		wokeFollower:      {"woke a follower", "a subscriber that had seen all there was saw what came later"},
		movedCursor:       {"moved a cursor", "a handler's cursor was moved for good"},
		leftDeadLetter:    {"left a dead letter", "a handler gave up on an event, and left a dead letter of it"},
		handledAgain:      {"handled an event again", "a handler failed, and was called again with the same event"},
		lostCursor:        {"lost a cursor to another", "of two handlers with one cursor one found it moved"},
		loadedCheckpoint:  {"loaded a checkpoint", "a projection went on behind its checkpoint"},
		computedAnew:      {"computed a projection anew", "a projection without a checkpoint began with the first event"},
	}
}

func (s states) has(one state) bool { return s>>one&1 != 0 }

// Says is what something in Scenario.Reach means, in a line that begins with its
// name.
func Says(reach string) string {
	if name, ok := strings.CutPrefix(reach, StateKey); ok {
		for _, s := range States() {
			if s.Name == name {
				return reach + ": " + s.Says
			}
		}
	}
	if name, ok := strings.CutPrefix(reach, "point "); ok {
		return reach + ": the log passed its point " + name
	}
	if kind, ok := strings.CutPrefix(reach, "fault "); ok {
		return reach + ": a fault " + kind + " came"
	}
	return reach
}

// StateKey begins the name of a state in Result.Reached.
const StateKey = "state "

// outcome is what a recovery is named after: the most telling of its states.
func (s states) outcome() (state, bool) {
	for _, one := range []state{openFailed, readFaulted, openedFull, carriedBatches, cutTail, wentFresh, removedUnfinished, beganLog, foundNothing} {
		if s.has(one) {
			return one, true
		}
	}
	return 0, false
}

// met notes that a state was reached.
func (w *world) met(one state) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.metLocked(one)
}

func (w *world) metLocked(one state) {
	w.states |= 1 << one
	if w.ledger != nil {
		w.ledger.states[one]++
	}
}

// opened notes what an Open says that it found and did.
func (w *world) opened(log *engine.Log) {
	r := log.Recovery()
	plain := true
	note := func(is bool, one state) {
		if is {
			plain = false
			w.met(one)
		}
	}
	full := log.Stats().Failed != nil
	note(full, openedFull)
	note(r.Torn, cutTail)
	note(r.Fresh != 0, wentFresh)
	note(r.Carried > 0, carriedBatches)
	note(len(r.Removed) > 0, removedUnfinished)
	note(r.Segments == 0 && r.Batches == 0 && plain, beganLog)
	note(plain, foundNothing)
	note(r.Segments > 1, readSegments)
}

// answered notes what a call was told.
func (w *world) answeredLocked(accepted uint64, batch *engine.Batch, receipts []engine.Receipt, err error) {
	switch {
	case err == nil && len(receipts) > 0 && receipts[0].Sequence <= accepted:
		w.metLocked(answeredKey)
	case errors.Is(err, engine.ErrFailed):
		w.metLocked(rolledBack)
	case errors.Is(err, engine.ErrInDoubt):
		w.metLocked(leftInDoubt)
	case errors.Is(err, engine.ErrWrongVersion):
		w.metLocked(wrongVersion)
	case errors.Is(err, engine.ErrKeyConflict):
		w.metLocked(conflictingKey)
	case errors.Is(err, engine.ErrClosed):
		w.metLocked(refusedClosed)
	case errors.Is(err, engine.ErrRejected) && errors.Is(err, engine.ErrNoSpace):
		w.metLocked(rejectedFull)
	}
	if err != nil {
		return
	}
	for i := range batch.Events {
		if batch.Events[i].Scope == deadScope {
			w.metLocked(leftDeadLetter)
		}
	}
	if _, _, ok := moveOf(batch); ok && batch.Durability == engine.Durable {
		w.metLocked(movedCursor)
	}
}

// listener hears of the log what its callers are not told.
func (w *world) listener() *engine.Metrics {
	return &engine.Metrics{
		Group: func(g engine.GroupStats) {
			if g.Batches > 1 && g.Synced && g.Err == nil {
				w.met(sharedSync)
			}
		},
		Sync: func(s engine.SyncStats) {
			if s.Batches > 0 && s.Err == nil {
				w.met(syncedBuffered)
			}
		},
		Rotation: func(r engine.RotationStats) {
			switch {
			case r.Fresh && r.Err == nil:
				w.met(movedOn)
			case r.Fresh:
				w.met(rollbackFailed)
			}
		},
		Signature: func(s engine.SignatureStats) {
			if s.Err == nil {
				w.met(signedHead)
			}
		},
		Handled: func(h engine.HandledStats) {
			if h.Attempt > 0 {
				w.met(handledAgain)
			}
		},
	}
}

// survived notes what became of what a crash could take: of events that were
// accepted, and of calls without an answer. It is called before the model hears
// of it.
func (w *world) survived(before memory, shown int) {
	switch {
	case before.model == nil:
		return
	case uint64(shown) < before.model.Durable() && w.budget.LyingDisk:
		w.met(lostByLie)
	case uint64(shown) < before.model.Accepted():
		w.met(lostBuffered)
	}
	if before.model.InFlight() > 0 {
		if uint64(shown) > before.model.Accepted() {
			w.met(keptUnanswered)
		} else {
			w.met(lostUnanswered)
		}
	}
}

// refused notes what an Open, or a salvage, says of damage.
func (l *ledger) refused(log *engine.Log, err error) {
	var damage *engine.CorruptError
	switch {
	case err == nil && len(log.Recovery().Damage) > 0:
		l.states[salvaged]++
	case !errors.As(err, &damage):
	case damage.Reason == "it belongs to another log":
		l.states[refusedForeign]++
	case damage.Where == "interior":
		l.states[namedInterior]++
	}
}
