package proof

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/untorn-db/untorn/engine/chain"
)

// The flags of a proof's encoding.
const (
	hasNotes = 1 << iota
	isSigned

	proofFlags = hasNotes | isSigned
)

// minProof is the length of all fields that every proof has.
const minProof = 1 + 1 + headSize + 8 + 8 + 4 + 4 + 4 + 2*chain.Size

// AppendBinary appends
//
//	1, u8 │ flags, u8 │ log id, 16 │ the head's batch, u64 │ its sequence, u64 │ its hash, 32 │
//	batch, u64 │ first sequence, u64 │ index, u32 │ count of events, u32 │ count of digests, u32 │
//	event hash before, 32 │ log head before, 32 │ notes hash, 32 │ event hashes │ digests │
//	signature, 64 │ length, u8, of the key id │ key id │ canonical header, the rest
//
// with the notes hash only under the flag 1, and signature and key id only under
// the flag 2. The error is an *Error with the Reason Malformed; nothing is
// appended then.
func (p Proof) AppendBinary(dst []byte) ([]byte, error) {
	if _, err := p.check(); err != nil {
		return dst, err
	}
	var flags byte
	if !p.Notes.IsZero() {
		flags |= hasNotes
	}
	if p.Head.Signed() {
		flags |= isSigned
	}
	dst = p.Head.append(append(dst, encoding, flags))
	dst = binary.LittleEndian.AppendUint64(dst, p.Batch)
	dst = binary.LittleEndian.AppendUint64(dst, p.FirstSequence)
	dst = binary.LittleEndian.AppendUint32(dst, p.Index)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.Events)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.Following)))
	dst = append(dst, p.Previous[:]...)
	dst = append(dst, p.Before[:]...)
	if flags&hasNotes != 0 {
		dst = append(dst, p.Notes[:]...)
	}
	for _, list := range [][]chain.Hash{p.Events, p.Following} {
		for i := range list {
			dst = append(dst, list[i][:]...)
		}
	}
	if flags&isSigned != 0 {
		dst = append(dst, p.Head.Signature[:]...)
		dst = append(dst, byte(len(p.Head.KeyID)))
		dst = append(dst, p.Head.KeyID...)
	}
	return append(dst, p.Header...), nil
}

// MarshalBinary is AppendBinary to nothing.
func (p Proof) MarshalBinary() ([]byte, error) { return p.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary appended, to its end. The error is an
// *Error with the Reason Malformed; then p keeps its value.
func (p *Proof) UnmarshalBinary(data []byte) error {
	cut := func(what string) error { return invalid(Malformed, "%d bytes end before %s", len(data), what) }
	if len(data) < minProof {
		return cut("the fields that every proof has")
	}
	r := reader{rest: data}
	version, flags := r.take(1)[0], r.take(1)[0]
	if version != encoding || flags&^proofFlags != 0 {
		return invalid(Malformed, "a proof in the encoding %d with the flags %#x, and only %d and %#x are known", version, flags, encoding, proofFlags)
	}
	read := Proof{Head: SignedHead{Head: r.head()}, Batch: r.uint64(), FirstSequence: r.uint64(), Index: r.uint32()}
	events, digests := r.uint32(), r.uint32()
	read.Previous, read.Before = r.hash(), r.hash()
	// Of 64 bits, also where an int has 32.
	hashes := uint64(events) + uint64(digests)
	if flags&hasNotes != 0 {
		hashes++
	}
	if uint64(len(r.rest)) < hashes*chain.Size {
		return cut("its hashes")
	}
	if flags&hasNotes != 0 {
		if read.Notes = r.hash(); read.Notes.IsZero() {
			return invalid(Malformed, "notes whose hash is zero")
		}
	}
	read.Events, read.Following = r.hashes(int(events)), r.hashes(int(digests))
	if flags&isSigned != 0 {
		if len(r.rest) < ed25519.SignatureSize+1 {
			return cut("its signature")
		}
		read.Head.Signature = Signature(r.take(ed25519.SignatureSize))
		length := int(r.take(1)[0])
		if len(r.rest) < length {
			return cut("the key id")
		}
		read.Head.KeyID = string(r.take(length))
		if err := checkKeyID(read.Head.KeyID); err != nil {
			return err
		}
	}
	read.Header = append([]byte(nil), r.rest...)
	if _, err := read.check(); err != nil {
		return err
	}
	*p = read
	return nil
}

// hashes is the next n hashes; nil for none.
func (r *reader) hashes(n int) []chain.Hash {
	if n == 0 {
		return nil
	}
	all := make([]chain.Hash, n)
	for i := range all {
		all[i] = r.hash()
	}
	return all
}
