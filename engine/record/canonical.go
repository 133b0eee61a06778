package record

import (
	"math"

	"github.com/untorn-db/untorn/engine/chain"
)

// usualCanonical is room for most canonical headers, in bytes.
const usualCanonical = 256

// AppendCanonical appends the canonical header of an event: what chain's Header
// hashes.
//
//	content hash, 32 │ id, 16 │ sequence, u64 │ time, i64 │ flags │ version │
//	stream │ type │ scope │ caused by │ correlation │ lane, depth │ user flags │
//	payload version │ key │ extensions │ clock, i64
//
// The sequence is the event's place in the log, time and clock are in ns since
// 1970 UTC, content is what chain's Content returned, or ContentHash of an
// erased event. From the flags on the fields are those of a record, each of the
// optional ones only if its flag is set; the clock, if it differs from the time.
//
// Nothing physical is in it: no segment, offset, batch or session, so an event
// can be copied elsewhere; and it does not change when the content is erased. No
// two events have the same canonical header.
func AppendCanonical(dst []byte, e *Event, sequence uint64, time, clock int64, content chain.Hash) []byte {
	flags := e.presence()
	if clock != time {
		flags |= hasClock
	}
	if dst == nil {
		dst = make([]byte, 0, usualCanonical)
	}
	dst = append(dst, content[:]...)
	dst = append(dst, e.ID[:]...)
	dst = le.AppendUint64(dst, sequence)
	dst = le.AppendUint64(dst, uint64(time))
	dst = appendUvarint(dst, flags)
	dst = appendUvarint(dst, e.Version)
	dst = appendString(dst, e.Stream)
	dst = appendString(dst, e.Type)
	dst = e.appendOptional(dst, flags)
	if flags&hasClock != 0 {
		dst = le.AppendUint64(dst, uint64(clock))
	}
	return dst
}

// Canonical is what a canonical header says.
type Canonical struct {
	Event       Event // Hash, Salt, Erased, ContentHash, Metadata and Payload are zero: the header has none of them
	Sequence    uint64
	Time, Clock int64 // in ns since 1970 UTC
	Content     chain.Hash
}

// Append appends the header that DecodeCanonical reads.
func (c *Canonical) Append(dst []byte) []byte {
	return AppendCanonical(dst, &c.Event, c.Sequence, c.Time, c.Clock, c.Content)
}

// canonicalFlags are those that a canonical header may have.
const canonicalFlags = recordFlags&^(isErased|hasMetadata) | hasClock

// DecodeCanonical reads a whole canonical header, the bytes that AppendCanonical
// appends. Extensions aliases it; the strings are copies. The error is a
// *DecodeError: something is cut, is not in its only encoding, or has a flag that
// no canonical header has.
func DecodeCanonical(header []byte) (Canonical, error) {
	var c Canonical
	d := decoder{input: header}
	d.fixed("content hash", c.Content[:])
	d.fixed("id", c.Event.ID[:])
	c.Sequence = d.uint64("sequence")
	c.Time = int64(d.uint64("time"))
	at := d.at
	flags := d.uvarint("presence flags", canonicalFlags)
	if flags&^canonicalFlags != 0 {
		d.failAt(at, "presence flags", "of content, which a header has not")
	}
	c.Event.Version = d.uvarint("version", math.MaxUint64)
	c.Event.decodeShared(&d, flags, nil)
	c.Clock = c.Time
	if flags&hasClock != 0 {
		at := d.at
		c.Clock = int64(d.uint64("clock"))
		if c.Clock == c.Time {
			d.failAt(at, "clock", "the time, though its flag is set")
		}
	}
	if d.at < len(header) {
		d.fail("end", "not there: bytes follow")
	}
	if d.err != nil {
		return Canonical{}, d.err
	}
	return c, nil
}

// uint64 is a number of fixed width.
func (d *decoder) uint64(field string) uint64 {
	var b [8]byte
	d.fixed(field, b[:])
	return le.Uint64(b[:])
}
