package projection

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// Why a checkpoint is not trusted, in Status.Rebuilt; besides these a *CodecError,
// or what the disk said.
var (
	// ErrDamaged: the file is torn, or something else, or no file at all.
	ErrDamaged = errors.New("the checkpoint is not whole")
	// ErrFormat: the file has another format, such as that of a newer program.
	ErrFormat = errors.New("the checkpoint has another format")
	// ErrChanged: it is that of another version, query or name.
	ErrChanged = errors.New("the checkpoint is of another version or query of the projection")
	// ErrOtherLog: the log does not have the event on which it stands, as after a
	// restore of an older copy.
	ErrOtherLog = errors.New("the checkpoint is of another log, or of one that went another way")
)

// ErrRunning answers a run of a set while another one is under way.
var ErrRunning = errors.New("the set is running already")

// ApplyError says that Apply has panicked. The state is that before the batch of
// the event.
type ApplyError struct {
	Projection string
	Sequence   uint64 // of the event
	ID         uuid.UUID
	Err        *engine.PanicError
}

func (e *ApplyError) Error() string {
	return fmt.Sprintf("projection %q cannot apply event %d (%v): %v", e.Projection, e.Sequence, e.ID, e.Err)
}

func (e *ApplyError) Unwrap() error { return e.Err }

// CodecError says that a state cannot be encoded or decoded. If the codec has
// panicked Err is an *engine.PanicError.
type CodecError struct {
	Projection string
	Op         string // "encode" or "decode"
	Err        error
}

func (e *CodecError) Error() string {
	return fmt.Sprintf("%s the state of projection %q: %v", e.Op, e.Projection, e.Err)
}
func (e *CodecError) Unwrap() error { return e.Err }
