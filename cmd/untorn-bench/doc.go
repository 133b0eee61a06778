// Command untorn-bench measures how fast the engine appends, beside the limit
// of the disk, beside the least that its own format costs, and beside its peers,
// all in one run, in rounds that take turns.
//
//	raw ─────── frame copy ── pwrite ── fdatasync                          the disk's limit
//	floor ───── hashes, CRCs, encoding ── pwrite ── fdatasync              the format's limit
//	untorn ──── validate ─ versions ─ keys ─ hashes ─ … ─ index ─ receipts the engine
//	peers ───── bbolt, pebble, badger, tidwall-wal, raft-wal, etcd-wal, sqlite, nats
//
// A round is one span of time for each of them, in random order, each with a
// fresh directory; only then does the next round begin:
//
//	round 1 │ floor │ pebble │ raw │ untorn │ …
//	round 2 │ untorn │ raw │ floor │ sqlite │ …
//	round 3 │ …
//
// A rate says much about the disk and the hour. A ratio says more: each is taken
// inside a round, the rate of one over that of raw (or floor) a moment before or
// after. Noise moves them both; the median of the rounds' ratios, and the 95%
// bootstrap interval of that median, are what a target is held against. CPU time,
// allocations and bytes to the device per event do not move with the noise at
// all.
//
//	go run . --quick               every peer, a few short rounds, under 2 minutes
//	go run .                       every peer, 5 rounds of 1 s
//	go run . --ratios              raw, floor, untorn and the best peer, 15 rounds of 1 s
//
// Names: "gc:" in front means that calls are gathered by the same leader group
// commit as raw's, since the store itself syncs once a call; "-es" behind means
// the layout of an event store, in which unique ids and stream versions are
// enforced, as untorn does; without it, it is a bare log. README.md is the method.
package main
