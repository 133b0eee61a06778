package codec

import (
	"errors"
	"fmt"

	"github.com/untorn-db/untorn/engine"
)

// What can go wrong. An error of an upcaster or of a codec is wrapped, and its
// panic is an *engine.PanicError.
var (
	// ErrRegistration: a registration contradicts another one, or is no good by
	// itself. It matches engine.ErrInvalid.
	ErrRegistration = fmt.Errorf("%w registration", engine.ErrInvalid)
	// ErrGoType: the registry does not encode values of this Go type, or an event
	// is not of the Go type that was asked for.
	ErrGoType = errors.New("wrong Go type")
	// ErrErased is matched by *ErasedError.
	ErrErased = errors.New("the event is erased")
	// ErrUnknown is matched by *UnknownError.
	ErrUnknown = errors.New("unknown event type")
	// ErrNewer is matched by *NewerError.
	ErrNewer = errors.New("event version is newer than this program")
	// ErrGap is matched by *GapError.
	ErrGap = errors.New("no upcaster")
)

// ErasedError answers an event whose content is gone, whether or not its type is
// registered. The event's hashes hold all the same. It matches ErrErased.
type ErasedError struct {
	Type    string
	Version uint32
}

func (e *ErasedError) Error() string {
	return fmt.Sprintf("the content of this %q is erased: read it with ReadOrRaw", e.Type)
}

// Is reports whether target is ErrErased.
func (e *ErasedError) Is(target error) bool { return target == ErrErased }

// UnknownError answers an event whose type nobody has registered. It matches
// ErrUnknown.
type UnknownError struct {
	Type    string
	Version uint32
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("event type %q is unknown: register it, or read it with ReadOrRaw", e.Type)
}

// Is reports whether target is ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// NewerError answers an event of a version that is newer than the current one.
// It matches ErrNewer.
type NewerError struct {
	Type    string
	Version uint32
	Current uint32 // what is registered
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%q has version %d, and this program knows it up to version %d: upgrade it", e.Type, e.Version, e.Current)
}

// Is reports whether target is ErrNewer.
func (e *NewerError) Is(target error) bool { return target == ErrNewer }

// GapError says which step is missing on the way from an old version to the
// current one. It matches ErrGap.
type GapError struct {
	Type    string
	Version uint32 // nobody upcasts this version to the next one
	Current uint32 // what is registered
}

func (e *GapError) Error() string {
	return fmt.Sprintf("nothing upcasts %q from version %d to %d (the current one is %d): give the function to Upcast",
		e.Type, e.Version, e.Version+1, e.Current)
}

// Is reports whether target is ErrGap.
func (e *GapError) Is(target error) bool { return target == ErrGap }
