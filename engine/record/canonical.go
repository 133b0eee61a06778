package record

import "github.com/untorn-db/untorn/engine/chain"

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
