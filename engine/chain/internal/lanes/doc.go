// Package lanes computes BLAKE3 hashes of many short messages at once.
//
//	lane 0   message 0 ─┐                 ┌─ hash 0
//	lane 1   message 1 ─┤ 64 bytes of     ├─ hash 1
//	  ⋮          ⋮      │ each at a time, │    ⋮
//	lane 7   message 7 ─┘ in lockstep     └─ hash 7
//
// A library hashes one long input fast, because it is a tree whose chunks of
// 1024 bytes need nothing of each other. A message of a block or two is no
// tree, and its blocks have to wait for each other; but other messages need
// not. So each takes a lane of the vector registers. SumMany gathers messages
// with the same number of blocks until there are eight, and hashes those
// together; what is left over at the end goes with lanes to spare, or alone.
//
//	key := lanes.NewKey("example.com 2026-01-01 order events")
//	hashes := make([][lanes.Size]byte, len(messages))
//	lanes.key.SumMany(messages, hashes)
//
// Every hash is that of BLAKE3's mode derive_key, the context being that of the
// Key and the key material the message, with 32 bytes of output. So hashes of
// different contexts never meet, and a message needs no tag of its own.
//
// The kernels are for amd64 with AVX2, faster with AVX-512VL, and for messages
// of one chunk. Longer messages, other processors and the build tag purego take
// the usual library, one message at a time; the hashes are the same.
//
// A message is read within its bounds only, and nothing points to it
// afterwards. Nothing is allocated for messages of one chunk; for longer ones a
// hasher of the library, which is kept until the garbage collector wants it.
package lanes
