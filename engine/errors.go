package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/google/uuid"
)

// Every error of a call that may have changed the log matches one of these
// three with errors.Is.
var (
	// ErrRejected: nothing happened, no byte was written. Correct the call, or
	// try again.
	ErrRejected = errors.New("rejected, nothing was written")
	// ErrFailed: the batch was rolled back and will never appear. The log goes on.
	ErrFailed = errors.New("failed and rolled back")
	// ErrInDoubt: the batch may or may not appear after the log is opened again.
	// Reopen, and retry with the same key.
	ErrInDoubt = errors.New("in doubt: reopen the log and retry with the same key")
)

// What else can go wrong.
var (
	// ErrClosed matches fs.ErrClosed.
	ErrClosed = fmt.Errorf("the log is closed: %w", fs.ErrClosed)
	// ErrNotFound matches fs.ErrNotExist.
	ErrNotFound = fmt.Errorf("not in the log: %w", fs.ErrNotExist)
	// ErrLocked: another process, or another Log of this one, has the log open
	// for writing.
	ErrLocked = errors.New("the log is open elsewhere: close it there, or open with ReadOnly")
	// ErrRecovered: this log is open read-only, and what its writer has done since
	// does not continue what was seen here: a recovery or a rollback has left out the
	// last batches or moved them, or another log took the place of this one. Open it
	// again, and go on behind the last event that was seen, if that still has its
	// hash: one that was durable does, another may be gone.
	ErrRecovered = errors.New("the log was recovered meanwhile: open it again")
	// ErrReadOnly: the log was opened with ReadOnly.
	ErrReadOnly = errors.New("the log is open read-only")
	// ErrNoSpace: the disk is full. Free some space and open the log again.
	ErrNoSpace = errors.New("no space for the log")
	// ErrLimit: a name, payload or batch is over its limit.
	ErrLimit = errors.New("over the limit")
	// ErrInvalid: a field has a value that the log does not take.
	ErrInvalid = errors.New("invalid")
	// ErrWrongVersion is matched by *WrongVersionError.
	ErrWrongVersion = errors.New("wrong version")
	// ErrKeyConflict is matched by *KeyConflictError.
	ErrKeyConflict = errors.New("idempotency key already used for something else")
	// ErrCorrupt is matched by *CorruptError.
	ErrCorrupt = errors.New("the log is damaged")
	// ErrLogFailed: the disk has failed an earlier call, and the log takes no more
	// writes. Close it and open it again. Reads go on.
	ErrLogFailed = errors.New("the log has failed earlier: close it and open it again")
	// ErrOtherLog: the log in the directory is not the one that Options.ID names.
	ErrOtherLog = errors.New("another log is there")
	// ErrDiverged is matched by *DivergedError.
	ErrDiverged = errors.New("the logs have parted")
	// ErrGap is matched by *GapError.
	ErrGap = errors.New("batches are missing before it")
	// ErrIDTaken is matched by *IDTakenError.
	ErrIDTaken = errors.New("an event with this id is in the log already")
	// ErrVersion: the log was written by a newer version of this package.
	ErrVersion = errors.New("the log's format is newer than this program: upgrade it")
)

// noSpace adds ErrNoSpace to what a full disk says.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// within is an error of this package's for the text of another one: "engine:" stands
// at the front of that, once.
func within(err error) error {
	if err == nil {
		return nil
	}
	return &innerError{err}
}

type innerError struct{ err error }

func (e *innerError) Error() string { return strings.TrimPrefix(textOf(e.err), "engine: ") }
func (e *innerError) Unwrap() error { return e.err }

// ItemError says which draft of a batch is wrong, and how. What is wrong with the
// place of a batch's only draft, such as its version, stands without it.
type ItemError struct {
	Item int // index in Batch.Events
	Err  error
}

func (e *ItemError) Error() string { return fmt.Sprintf("item %d: %v", e.Item, e.Err) }
func (e *ItemError) Unwrap() error { return e.Err }

// WrongVersionError answers a draft whose Expect does not hold. It matches
// ErrWrongVersion.
type WrongVersionError struct {
	Scope, Stream string
	Expected      Expect
	Actual        uint64 // the stream's last version, 0 if it has no event
}

func (e *WrongVersionError) Error() string {
	return fmt.Sprintf("stream %q is at version %d, expected %v: read it again and decide anew", e.Stream, e.Actual, e.Expected)
}

// Is reports whether target is ErrWrongVersion.
func (e *WrongVersionError) Is(target error) bool { return target == ErrWrongVersion }

// String says what is expected, in words.
func (e Expect) String() string {
	switch e {
	case Any:
		return "any version"
	case NoStream:
		return "no stream"
	case StreamExists:
		return "an existing stream"
	default:
		return fmt.Sprintf("version %d", uint64(e)-1)
	}
}

// PanicError is the error of a function of the caller's that has panicked: a
// handler, a gate, the Apply of a projection, an upcaster or a codec.
type PanicError struct {
	Value any    // what was panicked with
	Stack []byte // where, as debug.Stack says it; not in the error's text, which is the same every time
}

func (e *PanicError) Error() string {
	if err, ok := e.Value.(error); ok {
		return fmt.Sprintf("panic: %v", within(err))
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the value if it is an error, or nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// catch makes an error of the panic of a caller's function. It is to be deferred.
func catch(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}

// theirs is the error of a function of the caller's. It matches what that matches, but
// for ErrFailed, ErrInDoubt and ErrCursorMoved: the function has met these in an append
// of its own, and of the batch or the cursor at hand they would not be true.
type theirs struct{ err error }

func (e *theirs) Error() string { return textOf(e.err) }

// Is reports what errors.Is is to say: there is no Unwrap.
func (e *theirs) Is(target error) bool {
	return target != ErrFailed && target != ErrInDoubt && target != ErrCursorMoved && errors.Is(e.err, target)
}

// As finds target in the error.
func (e *theirs) As(target any) bool { return errors.As(e.err, target) }

// KeyConflictError answers a batch whose keys are known for another batch, or
// only partly. It matches ErrKeyConflict.
type KeyConflictError struct {
	Items []KeyConflict
}

// KeyConflict is one item of a KeyConflictError.
type KeyConflict struct {
	Item   int       // index in Batch.Events
	Key    string    // the item's key
	Reason string    // what differs
	ID     uuid.UUID // the event that has the key, or zero
}

func (e *KeyConflictError) Error() string {
	var text strings.Builder
	text.WriteString("idempotency key conflict")
	for i, item := range e.Items {
		if i == 3 {
			fmt.Fprintf(&text, "; and %d more", len(e.Items)-i)
			break
		}
		fmt.Fprintf(&text, "; item %d, key %q: %s", item.Item, item.Key, item.Reason)
	}
	return text.String()
}

// Is reports whether target is ErrKeyConflict.
func (e *KeyConflictError) Is(target error) bool { return target == ErrKeyConflict }

// CorruptError says where the log is damaged. It matches ErrCorrupt. Nothing
// was changed on disk; Options.ReadOnly with Options.Salvage reads what is
// whole.
type CorruptError struct {
	Segment  uint64 // number of the segment, as in its file name
	Offset   int64  // byte in the segment, or -1
	Sequence uint64 // first event concerned, or 0 if unknown
	Where    string // "tail" or "interior"
	Reason   string
	Err      error // what the disk said, or nil
}

func (e *CorruptError) Error() string {
	text := fmt.Sprintf("segment %d is damaged at byte %d (%s, event %d): %s", e.Segment, e.Offset, e.Where, e.Sequence, e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
func (e *CorruptError) Unwrap() error        { return e.Err }

// logFailedError answers every write after the one that failed. It matches
// ErrLogFailed, and the first cause.
type logFailedError struct{ cause error }

func (e *logFailedError) Error() string   { return ErrLogFailed.Error() + ": " + e.cause.Error() }
func (e *logFailedError) Unwrap() []error { return []error{ErrLogFailed, e.cause} }
