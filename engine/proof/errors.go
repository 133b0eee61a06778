package proof

import (
	"errors"
	"fmt"
)

// Reason is a way of being invalid. It is an error, so that errors.Is tells them
// apart:
//
//	if errors.Is(err, proof.RetiredKey) { … }
type Reason uint8

const (
	// Malformed is what cannot be a statement, proof, head or key at all,
	// whatever it is compared with.
	Malformed Reason = 1 + iota

	// OtherLog: the head is of another log than the statement, or than the other
	// head.
	OtherLog
	// WrongHeader: the header, behind the event before it, does not hash to the
	// event.
	WrongHeader
	// NotInBatch: the event is not where it should be among those of the batch.
	NotInBatch
	// OtherEvent: the proof is of an event with another id and another hash than
	// the statement.
	OtherEvent
	// WrongHash and the following: the statement says another one than the event
	// has.
	WrongHash
	WrongID
	WrongScope
	WrongStream
	WrongSequence
	WrongVersion
	WrongBatch
	// WrongIndex: the event's sequence is not the batch's first one plus its
	// index.
	WrongIndex
	// WrongStreamRoot: the event is the first of its stream, and what stands
	// before it is not the stream's root.
	WrongStreamRoot
	// WrongLogRoot: what stands before the first batch is not the log's root.
	WrongLogRoot

	// WrongCount: the digests are more or fewer than the batches up to the head.
	WrongCount
	// NotUnderHead: the batches do not lead to the head's hash.
	NotUnderHead
	// WrongHeadSequence: the head's sequence cannot be that of its last event.
	WrongHeadSequence

	// UnknownKey: no key has the id of the one that signed.
	UnknownKey
	// BadSignature: the key did not sign this head.
	BadSignature
	// RetiredKey: the key did sign the head, but not a batch for which it may.
	RetiredKey

	// WrongContent: salt, metadata and payload are not those of the event.
	WrongContent
	// NotContinued: the digests do not lead from the older head to the newer one.
	NotContinued

	reasons
)

var texts = [reasons]string{
	Malformed:         "malformed",
	OtherLog:          "of another log",
	WrongHeader:       "the header does not hash to the event",
	NotInBatch:        "the event is not at its place in the batch",
	OtherEvent:        "the proof is of another event",
	WrongHash:         "wrong hash",
	WrongID:           "wrong id",
	WrongScope:        "wrong scope",
	WrongStream:       "wrong stream",
	WrongSequence:     "wrong sequence",
	WrongVersion:      "wrong version",
	WrongBatch:        "wrong batch",
	WrongIndex:        "the event's sequence is not that of its place in the batch",
	WrongStreamRoot:   "the first event of its stream does not follow the stream's root",
	WrongLogRoot:      "the log does not begin at its root",
	WrongCount:        "another number of digests than of batches",
	NotUnderHead:      "the batches do not lead to the head",
	WrongHeadSequence: "the head's sequence is not that of its last event",
	UnknownKey:        "unknown key",
	BadSignature:      "bad signature",
	RetiredKey:        "the key may not sign this batch",
	WrongContent:      "the content is not that of the event",
	NotContinued:      "the newer head does not continue the older one",
}

// Error is the reason in words.
func (r Reason) Error() string {
	if r == 0 || r >= reasons {
		return fmt.Sprintf("reason %d", uint8(r))
	}
	return texts[r]
}

// Error is what every function of this package returns for what is invalid.
// errors.Is matches it with its Reason.
type Error struct {
	Reason Reason
	Detail string // what was expected and what was found; may be empty
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Reason.Error()
	}
	return e.Reason.Error() + ": " + e.Detail
}

// Unwrap is the Reason.
func (e *Error) Unwrap() error { return e.Reason }

// within is an error for the text of another one, which is Malformed: that says so.
func within(err error) error {
	if e, ok := err.(*Error); ok && e.Reason == Malformed {
		return errors.New(e.Detail)
	}
	return err
}

func invalid(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
