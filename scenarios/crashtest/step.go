package crashtest

import "errors"

// ErrInDoubt is for a step's Do to return, wrapped or bare, where the store
// could not tell whether it did what was asked. The run goes on. Any other error
// is a failure, since nothing has crashed yet.
var ErrInDoubt = errors.New("crashtest: in doubt")

// A Step is one thing that is done with the open store, and what it promises.
type Step[S any] struct {
	// Name says what it does, in a few words, such as "put k7".
	Name string
	// Do does it. nil: it is acknowledged.
	Do func(S) error
	// Writes are what is to be found afterwards, all of it or nothing. None: the
	// step promises nothing, as a compaction does.
	Writes []Write
	// Buffered: when Do returns nil, the writes may still be lost, until a step
	// with Flush set is acknowledged.
	Buffered bool
	// Flush: when Do returns nil, all buffered writes up to here are promised.
	Flush bool
}

// A Write is a key that has a value from then on, or none.
type Write struct {
	Key, Value string
	Delete     bool
}

// Put is the step that gives a key a value.
func Put[S any](key, value string, do func(S) error) Step[S] {
	return Step[S]{Name: "put " + key, Do: do, Writes: []Write{{Key: key, Value: value}}}
}

// Delete is the step that removes a key.
func Delete[S any](key string, do func(S) error) Step[S] {
	return Step[S]{Name: "delete " + key, Do: do, Writes: []Write{{Key: key, Delete: true}}}
}

// Batch is the step that does several writes, all of them or none.
func Batch[S any](name string, writes []Write, do func(S) error) Step[S] {
	return Step[S]{Name: name, Do: do, Writes: writes}
}

// Flush is the step after which everything buffered is promised.
func Flush[S any](name string, do func(S) error) Step[S] {
	return Step[S]{Name: name, Do: do, Flush: true}
}

// Do is a step that changes nothing of what was promised: a compaction, a
// rotation, a checkpoint.
func Do[S any](name string, do func(S) error) Step[S] {
	return Step[S]{Name: name, Do: do}
}

// step is a Step without its type parameter.
type step struct {
	name            string
	do              func(store any) error
	writes          []Write
	buffered, flush bool
}

// A State is how far a step has come.
type State uint8

const (
	NotStarted State = iota
	InFlight         // Do has not returned: there or not
	InDoubt          // Do returned ErrInDoubt: there or not
	Unflushed        // a buffered step was acknowledged, and not flushed: there or not
	Acked            // it must be there
	Gone             // a recovered store did not show it: it must not come back
)

// String names the state.
func (s State) String() string {
	switch s {
	case InFlight:
		return "in flight"
	case InDoubt:
		return "in doubt"
	case Unflushed:
		return "not flushed"
	case Acked:
		return "acknowledged"
	case Gone:
		return "gone in an earlier recovery"
	default:
		return "not started"
	}
}

// open reports whether a step may be there or not.
func (s State) open() bool { return s == InFlight || s == InDoubt || s == Unflushed }
