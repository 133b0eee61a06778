package record

import (
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
)

// Event is what the log stores of one event. Its sequence, batch and time
// follow from BEGIN.
//
//	flags │ hash, 32 │ id, 16 │ version │ stream │ type │ … │ payload
//	                                                      │
//	  each only if its flag is set:  scope │ caused by, 16 │ correlation, 16 │
//	  lane, depth │ user flags │ payload version │ key │ extensions │ salt, 16 │
//	  content hash, 32 │ metadata
//
// Numbers are uvarints, names and byte strings stand behind their length as a
// uvarint; the payload is the rest.
type Event struct {
	Hash    chain.Hash
	ID      uuid.UUID
	Version uint64 // place in the stream: 1, 2, 3 …

	Scope, Stream, Type string
	Key                 string // the item's idempotency key, or ""; "k/i" for item i of a batch with the key "k"

	CausedBy    uuid.UUID // zero: nothing
	Correlation uuid.UUID // not stored when it is ID

	Lane, Depth, Flags, PayloadVersion uint32
	Extensions                         []byte // as AppendExtensions writes them

	Erasable bool     // the content's hash is salted
	Salt     [16]byte // only if Erasable and not Erased

	// An erased event has no Salt, Metadata and Payload; its ContentHash is what
	// their hash was. Of any other event the content hash is not stored.
	Erased      bool
	ContentHash chain.Hash

	Metadata, Payload []byte
}

// The presence flags of a record, in the order of the fields. The canonical
// header uses the same bits.
const (
	hasScope = 1 << iota
	hasCause
	hasCorrelation
	hasLane
	hasFlags
	hasPayloadVersion
	hasKey
	hasExtensions
	isErasable
	isErased
	hasMetadata // not in the canonical header: it is content
	hasClock    // only in the canonical header

	recordFlags = hasScope | hasCause | hasCorrelation | hasLane | hasFlags | hasPayloadVersion |
		hasKey | hasExtensions | isErasable | isErased | hasMetadata
)

// presence is the flags of the fields that a canonical header has as well.
func (e *Event) presence() uint64 {
	var flags uint64
	if e.Scope != "" {
		flags |= hasScope
	}
	if e.CausedBy != (uuid.UUID{}) {
		flags |= hasCause
	}
	if e.Correlation != e.ID {
		flags |= hasCorrelation
	}
	if e.Lane != 0 || e.Depth != 0 {
		flags |= hasLane
	}
	if e.Flags != 0 {
		flags |= hasFlags
	}
	if e.PayloadVersion != 0 {
		flags |= hasPayloadVersion
	}
	if e.Key != "" {
		flags |= hasKey
	}
	if len(e.Extensions) != 0 {
		flags |= hasExtensions
	}
	if e.Erasable {
		flags |= isErasable
	}
	return flags
}

// recordPresence is the flags of the record.
func (e *Event) recordPresence() uint64 {
	flags := e.presence()
	switch {
	case e.Erased:
		flags |= isErased
	case len(e.Metadata) != 0:
		flags |= hasMetadata
	}
	return flags
}

// payload is what the record ends with.
func (e *Event) payload() []byte {
	if e.Erased {
		return nil
	}
	return e.Payload
}

// RecordSize is the length of what AppendRecord appends, in bytes.
func (e *Event) RecordSize() int {
	flags := e.recordPresence()
	size := uvarintSize(flags) + len(e.Hash) + len(e.ID) + uvarintSize(e.Version) +
		sizeWithLength(len(e.Stream)) + sizeWithLength(len(e.Type)) + len(e.payload())
	if flags&hasScope != 0 {
		size += sizeWithLength(len(e.Scope))
	}
	if flags&hasCause != 0 {
		size += len(e.CausedBy)
	}
	if flags&hasCorrelation != 0 {
		size += len(e.Correlation)
	}
	if flags&hasLane != 0 {
		size += uvarintSize(uint64(e.Lane)) + uvarintSize(uint64(e.Depth))
	}
	if flags&hasFlags != 0 {
		size += uvarintSize(uint64(e.Flags))
	}
	if flags&hasPayloadVersion != 0 {
		size += uvarintSize(uint64(e.PayloadVersion))
	}
	if flags&hasKey != 0 {
		size += sizeWithLength(len(e.Key))
	}
	if flags&hasExtensions != 0 {
		size += sizeWithLength(len(e.Extensions))
	}
	if flags&isErasable != 0 && flags&isErased == 0 {
		size += len(e.Salt)
	}
	if flags&isErased != 0 {
		size += len(e.ContentHash)
	}
	if flags&hasMetadata != 0 {
		size += sizeWithLength(len(e.Metadata))
	}
	return size
}

// AppendRecord appends the event's record, the bytes that DecodeEvent reads.
func (e *Event) AppendRecord(dst []byte) []byte {
	return append(e.appendFields(dst), e.payload()...)
}

// appendFields appends the record without the payload.
func (e *Event) appendFields(dst []byte) []byte {
	flags := e.recordPresence()
	dst = appendUvarint(dst, flags)
	dst = append(dst, e.Hash[:]...)
	dst = append(dst, e.ID[:]...)
	dst = appendUvarint(dst, e.Version)
	dst = appendString(dst, e.Stream)
	dst = appendString(dst, e.Type)
	dst = e.appendOptional(dst, flags)
	if flags&isErasable != 0 && flags&isErased == 0 {
		dst = append(dst, e.Salt[:]...)
	}
	if flags&isErased != 0 {
		dst = append(dst, e.ContentHash[:]...)
	}
	if flags&hasMetadata != 0 {
		dst = appendBytes(dst, e.Metadata)
	}
	return dst
}

// appendOptional appends the fields that a record and a canonical header have
// in common behind the type.
func (e *Event) appendOptional(dst []byte, flags uint64) []byte {
	if flags&hasScope != 0 {
		dst = appendString(dst, e.Scope)
	}
	if flags&hasCause != 0 {
		dst = append(dst, e.CausedBy[:]...)
	}
	if flags&hasCorrelation != 0 {
		dst = append(dst, e.Correlation[:]...)
	}
	if flags&hasLane != 0 {
		dst = appendUvarint(dst, uint64(e.Lane))
		dst = appendUvarint(dst, uint64(e.Depth))
	}
	if flags&hasFlags != 0 {
		dst = appendUvarint(dst, uint64(e.Flags))
	}
	if flags&hasPayloadVersion != 0 {
		dst = appendUvarint(dst, uint64(e.PayloadVersion))
	}
	if flags&hasKey != 0 {
		dst = appendString(dst, e.Key)
	}
	if flags&hasExtensions != 0 {
		dst = appendBytes(dst, e.Extensions)
	}
	return dst
}

// A DecodeError says why a record, note or extension is not one that this
// package writes.
type DecodeError struct {
	Offset int    // byte at which the field begins that is wrong
	Field  string // its name
	Reason string
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("%s at byte %d is %s", e.Field, e.Offset, e.Reason)
}

// DecodeEvent reads a whole record. Extensions, Metadata and Payload alias it;
// the strings are copies. Payload is nil if it is empty. The error is a
// *DecodeError: something is cut, is not in its only encoding, or has an unknown
// flag.
func DecodeEvent(record []byte) (Event, error) {
	var e Event
	err := e.Decode(record, nil)
	return e, err
}

// Decode is DecodeEvent into an event that is there already; every field is
// set. After an error the event has no meaning. With names, which may be nil,
// equal names of many events are one string.
func (e *Event) Decode(record []byte, names *Names) error {
	*e = Event{}
	d := decoder{input: record}
	flags := d.uvarint("presence flags", recordFlags) // all bits up to the highest are known
	d.fixed("hash", e.Hash[:])
	d.fixed("id", e.ID[:])
	e.Version = d.uvarint("version", math.MaxUint64)

	e.decodeShared(&d, flags, names)
	e.Erased = flags&isErased != 0
	if e.Erasable && !e.Erased {
		d.fixed("salt", e.Salt[:])
	}
	if e.Erased {
		d.fixed("content hash", e.ContentHash[:])
		if flags&hasMetadata != 0 || d.at < len(record) {
			d.fail("content", "there, though the event is erased")
		}
	}
	if flags&hasMetadata != 0 {
		e.Metadata = d.present("metadata")
	}
	if d.err != nil {
		return d.err
	}
	if rest := record[d.at:]; len(rest) > 0 {
		e.Payload = rest[:len(rest):len(rest)]
	}
	return nil
}

// decodeShared reads the fields that a record and a canonical header have in
// common behind the version, and what the flags alone say.
func (e *Event) decodeShared(d *decoder, flags uint64, names *Names) {
	// The names stand next to each other: one string holds them all.
	first := d.at
	stream := d.bytes("stream")
	kind := d.bytes("type")
	var scope []byte
	if flags&hasScope != 0 {
		scope = d.present("scope")
	}
	if d.err == nil {
		all := names.text(d.input[first:d.at])
		end := len(all) - len(scope)
		e.Scope = all[end:]
		if flags&hasScope != 0 {
			end -= uvarintSize(uint64(len(scope)))
		}
		e.Type = all[end-len(kind) : end]
		end -= len(kind) + uvarintSize(uint64(len(kind)))
		e.Stream = all[end-len(stream) : end]
	}

	if flags&hasCause != 0 {
		at := d.at
		d.fixed("causation", e.CausedBy[:])
		if e.CausedBy == (uuid.UUID{}) {
			d.failAt(at, "causation", "zero, though its flag is set")
		}
	}
	e.Correlation = e.ID
	if flags&hasCorrelation != 0 {
		at := d.at
		d.fixed("correlation", e.Correlation[:])
		if e.Correlation == e.ID {
			d.failAt(at, "correlation", "the id, though its flag is set")
		}
	}
	if flags&hasLane != 0 {
		at := d.at
		e.Lane = d.uint32("lane")
		e.Depth = d.uint32("depth")
		if e.Lane == 0 && e.Depth == 0 {
			d.failAt(at, "lane", "zero with depth, though their flag is set")
		}
	}
	if flags&hasFlags != 0 {
		e.Flags = d.nonzero("user flags")
	}
	if flags&hasPayloadVersion != 0 {
		e.PayloadVersion = d.nonzero("payload version")
	}
	if flags&hasKey != 0 {
		e.Key = string(d.present("key"))
	}
	if flags&hasExtensions != 0 {
		e.Extensions = d.present("extensions")
	}
	e.Erasable = flags&isErasable != 0
}

// Names remembers the names of some of the last events decoded. The zero value
// is ready; it is for one goroutine at a time.
type Names struct{ recent [1 << 4]string }

// text is b as a string, one that was made before if it is among the recent.
func (n *Names) text(b []byte) string {
	if n == nil {
		return string(b)
	}
	// Names of one kind differ at their ends, or in their length.
	sum := uint64(len(b))
	if end := b[max(0, len(b)-16):]; len(end) == 16 {
		sum = (sum ^ le.Uint64(end)) * 0x9e3779b97f4a7c15
		sum = (sum ^ sum>>32 ^ le.Uint64(end[8:])) * 0x9e3779b97f4a7c15
	} else {
		for _, c := range end {
			sum = (sum ^ uint64(c)) * 0x9e3779b97f4a7c15
		}
	}
	slot := &n.recent[sum>>60]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// decoder reads fields from the start of its input on. After the first failure
// it returns zero values and reads nothing more.
type decoder struct {
	input []byte
	at    int
	err   error
}

func (d *decoder) fail(field, reason string) { d.failAt(d.at, field, reason) }

func (d *decoder) failAt(at int, field, reason string) {
	if d.err == nil {
		d.err = &DecodeError{Offset: at, Field: field, Reason: reason}
	}
}

// fixed fills to with the next bytes.
func (d *decoder) fixed(field string, to []byte) {
	if d.err != nil {
		return
	}
	if len(d.input)-d.at < len(to) {
		d.fail(field, "cut short")
		return
	}
	d.at += copy(to, d.input[d.at:])
}

func (d *decoder) uvarint(field string, most uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, n := uvarint(d.input[d.at:])
	if n == 0 {
		d.fail(field, "cut short or not the shortest uvarint")
		return 0
	}
	if v > most {
		d.fail(field, "too large")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) uint32(field string) uint32 { return uint32(d.uvarint(field, math.MaxUint32)) }

// nonzero is for fields that would not be there if they were zero.
func (d *decoder) nonzero(field string) uint32 {
	at := d.at
	v := d.uint32(field)
	if v == 0 {
		d.failAt(at, field, "zero, though its flag is set")
	}
	return v
}

// bytes is the next byte string; it aliases the input.
func (d *decoder) bytes(field string) []byte {
	at := d.at
	length := d.uvarint(field, math.MaxUint64)
	if d.err != nil {
		return nil
	}
	if length > uint64(len(d.input)-d.at) {
		d.failAt(at, field, "longer than what is left")
		return nil
	}
	from := d.at
	d.at += int(length)
	return d.input[from:d.at:d.at]
}

// present is for byte strings that would not be there if they were empty.
func (d *decoder) present(field string) []byte {
	at := d.at
	b := d.bytes(field)
	if len(b) == 0 {
		d.failAt(at, field, "empty, though its flag is set")
	}
	return b
}

func sizeWithLength(n int) int { return uvarintSize(uint64(n)) + n }

func appendString(dst []byte, s string) []byte {
	return append(appendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(appendUvarint(dst, uint64(len(b))), b...)
}
