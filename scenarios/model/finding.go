package model

import "fmt"

// Duty says why an event must be there.
type Duty uint8

const (
	NoDuty        Duty = iota // it may be missing, with all that follow it
	ServedDurable             // a read, or a refusal, told of it as durable
	Acknowledged              // a receipt or a sync said that it is durable
	Shown                     // an Open showed it
)

// String is the duty in words.
func (d Duty) String() string {
	names := [...]string{"not promised", "served as durable", "acknowledged as durable", "shown by an earlier Open"}
	if int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("duty %d", uint8(d))
}

// Kind says what is wrong.
type Kind uint8

const (
	Missing  Kind = iota + 1 // a promised event is not there
	Replaced                 // another event is at its sequence
	Changed                  // its content, names or times are not those submitted
	Rehashed                 // its version, hash or batch number is another
	Half                     // some events of a batch are there, not all
	Alien                    // nobody submitted it
	Refused                  // it belongs to a call that was rejected or failed
	Twice                    // it is there once more
	KeyTwice                 // a key took effect more than once, or has two answers
	Unmet                    // it should have been refused
	Returned                 // an earlier Open left it out, or it was rolled back
	Gap                      // a sequence or version is not the next one
	Order                    // it survived, and one before it in commit order did not
	Time                     // its time is not max(clock, time of the one before)
	Reason                   // what a refusal was based on is not there
	Frontier                 // a frontier is ahead of another or fell back
)

// String is the kind in words.
func (k Kind) String() string {
	names := [...]string{"", "missing", "replaced", "changed", "rehashed", "half a batch", "alien", "refused but there", "twice", "key used twice", "should have been refused", "returned", "gap", "out of order", "wrong time", "reason lost", "frontier"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Finding is one thing that cannot be. Its text holds no time, id, hash or
// address, so it is the same on every run of the same timeline.
type Finding struct {
	Kind     Kind
	Duty     Duty   // for Missing, Replaced, Changed and Rehashed
	Step     int    // the note concerned, counted from 1; 0 if none
	Sequence uint64 // the event concerned, or 0
	Expected string
	Found    string
}

func (f Finding) String() string {
	text := f.Kind.String()
	if f.Duty != NoDuty {
		text += " (" + f.Duty.String() + ")"
	}
	if f.Step > 0 {
		text += fmt.Sprintf(", step %d", f.Step)
	}
	if f.Sequence > 0 {
		text += fmt.Sprintf(", event %d", f.Sequence)
	}
	return fmt.Sprintf("%s: expected %s, found %s", text, f.Expected, f.Found)
}
