package engine

import (
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
)

// Hash is a BLAKE3 hash of 32 bytes.
type Hash = chain.Hash

// Draft is what a caller hands in: an event that is not in the log yet.
// Stream and Type are required; everything else may stay zero. The log keeps
// no reference to the slices and maps of a Draft after the call returns.
type Draft struct {
	Scope  string // at most 255 bytes of UTF-8 without control characters; "" is a scope
	Stream string // 1 to 255 bytes of UTF-8 without control characters
	Type   string // 1 to 255 bytes of UTF-8 without control characters

	Data       []byte            // the payload, at most Options.MaxPayload bytes
	Metadata   []byte            // at most Options.MaxMetadata bytes, hashed with the payload
	Extensions map[string][]byte // named facts for layers above; at most Options.MaxMetadata bytes encoded

	Expect Expect // what the stream's version must be; the zero value is Any
	Key    string // idempotency key, at most 255 bytes; not together with Batch.Key

	CausedBy    Cause     // what this event follows from; the zero value is nothing
	Correlation uuid.UUID // zero: the event's own id
	Lane, Depth uint32    // a hint of the place in a causal graph
	Flags       uint32    // the caller's own bits, kept as they are

	PayloadVersion uint32 // the version of the payload's schema, the caller's own
	// Erasable salts the content's hash, so that the content may be erased later
	// without breaking the chain. The format has that; this version cannot do it yet.
	Erasable bool

	// Of an event that another log has; see Adopt.
	id      uuid.UUID  // zero: the log makes one
	erased  bool       // there is no content
	content chain.Hash // if erased, what its hash was
}

// Expect is what a draft requires of its stream before the first byte of its
// batch is written. Later drafts of a batch see the earlier ones.
type Expect uint64

const (
	// Any requires nothing.
	Any Expect = 0
	// NoStream requires that the stream has no event; it is Exactly(0).
	NoStream Expect = 1
	// StreamExists requires that the stream has at least one event.
	StreamExists Expect = ^Expect(0)
)

// Exactly requires that the stream's last version is v, where 0 means no
// stream. v is at most 2^64 − 3.
func Exactly(v uint64) Expect { return Expect(v) + 1 }

// Cause names the event that another one follows from.
type Cause struct {
	id   uuid.UUID
	item int // 1 + index in the batch, or 0; −1 for what was negative
}

// Item is the draft with index i of the same batch; it must come earlier.
// A negative i is refused when the batch is appended.
func Item(i int) Cause {
	if i < 0 {
		return Cause{item: -1}
	}
	return Cause{item: i + 1}
}

// ByID is the event with this id. The log does not require that it holds it.
func ByID(id uuid.UUID) Cause { return Cause{id: id} }

// Batch is 1 to Options.MaxBatchEvents drafts, and as many notes, that commit
// together: after a crash all of them are there or none.
type Batch struct {
	// Key makes a retry of the batch have one effect; item i gets the key
	// "Key/i". At most 255 bytes. Either the batch has a key, or each of its
	// drafts, or nobody.
	//
	// A retry is answered with the receipts of the first call, whatever it now
	// expects of its streams. It must have the same items in the same order, each
	// with the same scope, stream, type, payload version and data; else it is a
	// *KeyConflictError.
	Key        string
	Events     []Draft
	Notes      []NoteDraft // facts about the log that are no events; a batch may have nothing else
	Durability Durability
}

// Durability says when a call may be answered.
type Durability uint8

const (
	// Durable answers after the sync that covers the batch.
	Durable Durability = iota
	// Buffered answers after the write. The batch may vanish in a power cut
	// until WaitDurable, Sync or the cadence of Options.SyncEvery and
	// Options.SyncCount has covered it.
	Buffered
)

// Event is the immutable record that the log holds. What a read yields is the
// caller's to keep and change.
type Event struct {
	ID       uuid.UUID // UUIDv7; of two events of one log the later has the larger, those aside that Adopt took from elsewhere
	Sequence uint64    // place in the log: 1, 2, 3 … with no gaps
	Version  uint64    // place in the stream: 1, 2, 3 … with no gaps
	Batch    uint64    // number of the batch that brought it

	Scope, Stream, Type string

	Time  time.Time // max(clock, time of the previous event): never decreases along the sequence
	Clock time.Time // what the clock said

	Data       []byte
	Metadata   []byte
	Extensions map[string][]byte

	Key         string    // the item's idempotency key, or ""
	CausedBy    uuid.UUID // zero: nothing
	Correlation uuid.UUID
	Lane, Depth uint32
	Flags       uint32

	PayloadVersion uint32
	Erasable       bool
	Erased         bool // Data and Metadata are gone; the hashes hold all the same

	Hash    Hash // binds the event, its content and all earlier events of its stream
	Durable bool // false only for events read with Query.Buffered that no sync has covered
}

// Receipt is what the log answers for one event. Two receipts are equal when
// all fields but Durable and Position are.
type Receipt struct {
	ID       uuid.UUID
	Scope    string
	Stream   string
	Sequence uint64
	Version  uint64
	Batch    uint64
	Hash     Hash

	// Durable is false for a Buffered call that was answered before its sync.
	Durable bool
	// Position is a hint where the event lies; it changes when the log is
	// copied or recovered and proves nothing.
	Position Position
}

// Equal reports whether two receipts prove the same.
func (r Receipt) Equal(other Receipt) bool {
	r.Durable, r.Position = other.Durable, other.Position
	return r == other
}

// Position is a place on disk.
type Position struct {
	Segment uint64
	Offset  int64
}

// Head is the state of a stream after its last event, or the zero value with
// the names set for a stream that has none.
type Head struct {
	Scope, Stream string
	Version       uint64
	Sequence      uint64
	Hash          Hash
}

// LogHead is the state of the whole log after a batch: the digest of that
// batch and of every earlier one. It is zero for an empty log.
type LogHead struct {
	Batch    uint64 // number of the last batch
	Sequence uint64 // sequence of the last event
	Time     time.Time
	Hash     Hash
}

// Frontier is a point in the log: everything up to Sequence.
type Frontier struct {
	Time     time.Time
	Sequence uint64
}
