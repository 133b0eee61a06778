package invariant

import (
	"errors"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

// Invariant is one promise of the engine. Judge checks all at once; I6, I9, I10
// and I11 have parts that change the log or open it: see CheckRetry,
// CheckAppend, CheckSecondOpen, CheckDamage and CheckOpen.
type Invariant struct {
	ID       string // "I1" … "I16"
	Sentence string
}

// All returns the invariants, in order. I12 is checked by package history.
func All() []Invariant {
	return []Invariant{
		{"I1", "every event acknowledged durable is there, byte for byte, however it is read, and its receipt verifies"},
		{"I2", "a batch is there whole or not at all"},
		{"I3", "nothing is there that was not submitted, nor what was rejected or failed; one in doubt is there at most once"},
		{"I4", "sequences are dense, versions dense per stream, and what survives is a prefix of the commit order"},
		{"I5", "the stream chains and the log head hold from the first event to the last"},
		{"I6", "retrying a keyed call has one effect and returns the same receipts"},
		{"I7", "a sequence, version or hash that was acknowledged or served as durable never means anything else"},
		{"I8", "accepted ≥ written ≥ durable ≥ visible, and durable and visible never decrease"},
		{"I9", "the reopened log accepts appends, and a second Open writes no byte"},
		{"I10", "flipped, missing, swapped, stale, moved or foreign bytes are reported, never served"},
		{"I11", "on a disk that only loses unsynced data, Open never fails"},
		{"I12", "calls at the same time are all answered, and take effect one after the other, each between its start and its answer, across crashes"},
		{"I13", "what one Open showed every later Open shows, and what it left out never comes back"},
		{"I14", "a subscriber sees every event of its query once, in order, as a read shows it"},
		{"I15", "a cursor moves with its batch only: what its handler appended is there once for every event up to it"},
		{"I16", "a projection's state, from whatever checkpoint it began, is that of a computation from the first event"},
	}
}

// ByID returns the invariant with an id, and whether there is one.
func ByID(id string) (Invariant, bool) {
	for _, i := range All() {
		if i.ID == id {
			return i, true
		}
	}
	return Invariant{}, false
}

// Promise is what an id of a Violation says is broken, in words: the invariant's
// sentence; for "", what holds of every call.
func Promise(id string) string {
	if i, ok := ByID(id); ok {
		return i.Sentence
	}
	if id == "" {
		return "every call is answered as the model of the log says"
	}
	return id
}

// First returns the first of the violations as an error, or nil.
func First(violations []*Violation) error {
	if len(violations) == 0 {
		return nil
	}
	return violations[0]
}

// Violation says that an invariant does not hold. Its text is the same each
// time the same thing goes wrong.
type Violation struct {
	Invariant string
	Step      int    // the model's note concerned, counted from 1; 0 if none
	Sequence  uint64 // the event concerned, or 0
	Expected  string
	Found     string
	Err       error // what more there is to be told, or nil
}

func (v *Violation) Unwrap() error { return v.Err }

// Wanted is what was expected, with the event concerned.
func (v *Violation) Wanted() string {
	if v.Sequence > 0 {
		return fmt.Sprintf("event %d: %s", v.Sequence, v.Expected)
	}
	return v.Expected
}

func (v *Violation) Error() string {
	text := v.Invariant
	if i, ok := ByID(v.Invariant); ok {
		text += " (" + i.Sentence + ")"
	}
	text += " does not hold"
	if v.Step > 0 {
		text += fmt.Sprintf(", step %d", v.Step)
	}
	if v.Sequence > 0 {
		text += fmt.Sprintf(", event %d", v.Sequence)
	}
	return fmt.Sprintf("%s: expected %s, found %s", text, v.Expected, v.Found)
}

// Budget says what a run's disk did that a correct log cannot undo.
type Budget struct {
	// LyingDisk: a sync returned without making durable what it covered.
	// Promised events may be gone, and Open may report damage.
	LyingDisk bool
	// Damage: bytes on the disk were changed. Open and reads may report it.
	Damage bool
	// NoSpace: the disk was full. Open may say so.
	NoSpace bool
}

// mayReport reports whether an error is the report of damage that the disk did.
func (b Budget) mayReport(err error) bool {
	return (b.LyingDisk || b.Damage) && errors.Is(err, engine.ErrCorrupt)
}

// of names the invariant that a finding belongs to.
func of(f model.Finding) string {
	switch f.Kind {
	case model.Missing, model.Changed:
		return byDuty(f.Duty, "I1", "I3")
	case model.Replaced, model.Rehashed:
		return byDuty(f.Duty, "I7", "I3")
	case model.Half:
		return "I2"
	case model.Gap, model.Order, model.Time:
		return "I4"
	case model.KeyTwice:
		return "I6"
	case model.Reason:
		return "I7"
	case model.Frontier:
		return "I8"
	case model.Returned:
		return "I13"
	default: // Alien, Refused, Twice, Unmet
		return "I3"
	}
}

func byDuty(d model.Duty, acknowledged, none string) string {
	switch d {
	case model.Shown:
		return "I13"
	case model.Acknowledged:
		return acknowledged
	case model.ServedDurable:
		return "I7"
	default:
		return none
	}
}
