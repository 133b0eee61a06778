// Package index remembers where the events of a log lie: by sequence, by id,
// by stream and by idempotency key; and where its notes lie, with the last of
// each name.
//
//	sequence ─→ Entry (segment, offset, length) ─→ a file of the log
//	id, key ──→ ordinal ─┘        ▲
//	stream ───→ ordinals ─────────┘
//
// It lives in memory only and is rebuilt whenever a log is opened. An Index is
// not safe for concurrent use; what its methods return are copies.
package index
