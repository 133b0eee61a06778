package invariant

import (
	"context"
	"errors"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

// Truth is what a log held before its bytes were changed.
type Truth struct {
	Events []engine.Event
	// Closed: the log was closed before the damage. If not, its last synced
	// group may be taken for a torn tail, and be gone without a word.
	Closed bool
	// LastGroup is the first sequence of the last synced group. It counts only
	// where Closed is false; 0 means that there was none.
	LastGroup uint64
	// MustReport: the damage hit bytes that the log needs, so Open or Verify
	// must tell, even if every read yields the truth.
	MustReport bool
	// Salvage: the log is opened to read what is whole, so reads may skip what
	// is not.
	Salvage bool
}

// exempt is the first sequence that may be gone in silence.
func (t *Truth) exempt() uint64 {
	if t.Closed || t.LastGroup == 0 {
		return uint64(len(t.Events)) + 1
	}
	return t.LastGroup
}

// CheckDamage checks I10: whatever was done to the bytes, every read yields the
// truth or an error that matches engine.ErrCorrupt, and damage is told by Open,
// by Verify or by the read that meets it. The log is closed at the end.
func CheckDamage(ctx context.Context, truth Truth, open func() (Log, error)) error {
	log, err := open()
	if err != nil {
		return truth.told("Open", 0, err)
	}
	defer log.Close()
	reported := false

	shown := uint64(0)
	for event, err := range log.Read(engine.Query{}) {
		if err != nil {
			if err := truth.told("a read", shown+1, err); err != nil {
				return err
			}
			reported = true
			break
		}
		if err := truth.serves("a forward read", shown+1, &event); err != nil {
			return err
		}
		shown = event.Sequence
	}
	if !reported && !truth.Salvage && shown+1 < truth.exempt() {
		return truth.unsaid(shown+1, "a forward read that ends early without an error")
	}

	before := uint64(len(truth.Events)) + 1
	for event, err := range log.Read(engine.Query{Backward: true}) {
		if err != nil {
			if err := truth.told("a backward read", before-1, err); err != nil {
				return err
			}
			reported = true
			break
		}
		if event.Sequence >= before {
			return &Violation{Invariant: "I10", Sequence: event.Sequence, Expected: fmt.Sprintf("a backward read to go on before event %d", before), Found: "a later one"}
		}
		if err := truth.serves("a backward read", 0, &event); err != nil {
			return err
		}
		before = event.Sequence
	}
	for i := range truth.Events {
		want := &truth.Events[i]
		event, err := log.Get(want.ID)
		switch {
		case err == nil:
			if field, wanted, found := model.Difference(want, &event); field != "" {
				return &Violation{Invariant: "I10", Sequence: want.Sequence, Expected: fmt.Sprintf("Get to yield the truth or an error: %s %s", field, wanted), Found: found}
			}
		case errors.Is(err, engine.ErrCorrupt):
			reported = true
		case errors.Is(err, engine.ErrNotFound) && (want.Sequence >= truth.exempt() || truth.Salvage || reported):
		default:
			return truth.told("Get", want.Sequence, err)
		}
		if want.Key == "" {
			continue
		}
		receipt, err := log.ReceiptOf(want.Key)
		switch {
		case err == nil:
			if receipt.ID != want.ID || receipt.Sequence != want.Sequence || receipt.Version != want.Version || receipt.Hash != want.Hash {
				return &Violation{Invariant: "I10", Sequence: want.Sequence, Expected: fmt.Sprintf("key %q to answer with its receipt or an error", want.Key), Found: fmt.Sprintf("the receipt of event %d, or another id or hash", receipt.Sequence)}
			}
		case errors.Is(err, engine.ErrCorrupt):
			reported = true
		case errors.Is(err, engine.ErrNotFound) && (want.Sequence >= truth.exempt() || truth.Salvage || reported):
		default:
			return truth.told("ReceiptOf", want.Sequence, err)
		}
	}
	if head := log.LogHead(); head.Sequence > uint64(len(truth.Events)) {
		return &Violation{Invariant: "I10", Sequence: head.Sequence, Expected: fmt.Sprintf("a log head at event %d or earlier", len(truth.Events)), Found: "one behind it"}
	}
	_, err = log.Verify(ctx)
	switch {
	case err != nil:
		return truth.told("Verify", 0, err)
	case reported && !truth.Salvage:
		return truth.unsaid(0, "a Verify that finds nothing where a read reports damage")
	case truth.MustReport && !reported && !truth.Salvage && shown == uint64(len(truth.Events)):
		return truth.unsaid(0, "neither Open nor Verify telling of it")
	}
	return nil
}

// serves checks an event that a read yielded. next is the sequence due, or 0
// for any.
func (t *Truth) serves(way string, next uint64, event *engine.Event) error {
	s := event.Sequence
	if s == 0 || s > uint64(len(t.Events)) {
		return &Violation{Invariant: "I10", Sequence: s, Expected: fmt.Sprintf("%s to yield events that were there, up to %d", way, len(t.Events)), Found: "one that was not"}
	}
	if next > 0 && s != next && (!t.Salvage || s < next) {
		return &Violation{Invariant: "I10", Sequence: s, Expected: fmt.Sprintf("%s to yield event %d or an error", way, next), Found: "this one"}
	}
	if field, want, found := model.Difference(&t.Events[s-1], event); field != "" {
		return &Violation{Invariant: "I10", Sequence: s, Expected: fmt.Sprintf("%s to yield the truth or an error: %s %s", way, field, want), Found: found}
	}
	return nil
}

// told checks that an error is a report of damage.
func (t *Truth) told(who string, sequence uint64, err error) error {
	if errors.Is(err, engine.ErrCorrupt) {
		return nil
	}
	return &Violation{Invariant: "I10", Sequence: sequence, Expected: who + " to report the damage, with an error that matches engine.ErrCorrupt", Found: "an error: " + err.Error()}
}

func (t *Truth) unsaid(sequence uint64, found string) error {
	return &Violation{Invariant: "I10", Sequence: sequence, Expected: "damage to be reported", Found: found}
}
