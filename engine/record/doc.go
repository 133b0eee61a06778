// Package record turns segments, batches and events into bytes and back. It is
// pure: it reads no file, asks no clock and keeps no state, so a tool can use
// it to look at a log.
//
//	segment  │ header │ header │ batch │ batch │ … │ END │
//	          0        4096     8192
//	batch    │ BEGIN │ EVENT │ EVENT │ PIECE │ PIECE │ NOTE │ COMMIT │
//	frame    │ header, 32 or 64 bytes │ body, at most 2,048 │ zeros to 8 │
//	           own CRC, length,         own CRC
//	           distance to the end
//
// Writing a batch and reading it again:
//
//	place := record.NewPlace(header.Seed)                     // of the segment
//	mark := record.Mark{Session: session, Sequence: 1, Batch: 1, Time: now, Clock: now}
//	encoded := record.AppendBatch(nil, place, record.DataStart, &mark, events, head, nil)
//
//	begin, ok := record.ParseMark(encoded, place, record.DataStart)
//	at := begin.Size                                          // of the first event
//	item, err := record.ReadItem(encoded[at:], place, record.DataStart+int64(at), nil)
//	event, err := record.DecodeEvent(item.Record)
//
// The contract:
//   - What was encoded decodes to the same values, and what decodes is encoded
//     to the same bytes: every value has one encoding.
//   - Every CRC is seeded with the segment's random bytes and the frame's
//     offset. A frame that was moved, that comes from another segment, or that
//     is a run of zeros, does not parse.
//   - No decoder panics, whatever the bytes are, or allocates more than a small
//     multiple of what it was given. Byte slices that it returns alias the
//     input, strings do not.
//   - Padding behind a body is written as zeros and never looked at.
//   - A CRC says that bytes are what was written, not who wrote them: package
//     chain is for that.
//
// engine/FORMAT.md is the same format in words.
package record
