// Package proof verifies receipts of a log without the log.
//
//	keys, err := proof.ParseKeys(trusted)               // what may sign, from a file of one's own
//	var p proof.Proof
//	err = json.Unmarshal(received, &p)                  // or p.UnmarshalBinary
//	verdict, err := proof.Verify(statement, &p, keys)
//	switch {
//	case errors.Is(err, proof.BadSignature): …          // every way of being wrong has a Reason
//	case err != nil: …
//	case !verdict.Signed: …                             // it hangs together, and nobody vouches for it
//	}
//	err = proof.VerifyContent(&p, nil, metadata, payload)
//
// The way from what somebody was told to what somebody signed:
//
//	Statement     log, id, scope, stream, sequence, version, batch, hash
//	    ║ is what the header says
//	canonical header ─┐
//	    event before ─┴─► event hash
//	                        ║ stands among
//	                      event hashes of the batch ─┐
//	                                      its notes ─┴─► batch digest ─┐
//	                                                      head before ─┴─► head ─┐
//	                                        digests of the batches behind ───────┴─► … ─► Head
//	                                                                                       ║ is what was signed
//	Keys      id, public key, the batches for which it may sign ──────────────────── SignedHead
//
// An arrow is a hash of package chain, and a double line a comparison. The proof
// of an event has 32 bytes for each event of its batch, and 32 for each batch
// between its own and the head.
//
// The contract:
//   - Verify answers with a Verdict, or with an *Error that has one Reason. A
//     Verdict with Signed says that the holder of a trusted key had the whole
//     statement under the head that it signed. One without says only that the
//     proof leads from the statement to a head: anybody can make such a log, and
//     what is to be made of it depends on where the head comes from.
//   - Of a signed proof every bit is bound: whatever is changed in it, or in the
//     statement, is an error. Of the bytes, too: every value has one binary
//     encoding, and a JSON encoding that is strict but for the order of fields and
//     for white space.
//   - The sequence of a head is what its signer says; it cannot be less than that
//     of an event under it, and where no batch is in between, it is computed.
//   - No decoder panics, whatever the bytes are, or allocates more than a small
//     multiple of what it was given. What it returns aliases nothing.
//   - Nothing here reads a clock, a file or randomness, and nothing is kept.
//
// Two heads of one log are compared by Consistent: it tells a log that went on
// from one that was rewritten.
//
// engine/FORMAT.md draws what is signed, and the encodings, byte by byte.
package proof
