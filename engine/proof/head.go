package proof

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
)

// Head is the state of a log behind a batch.
type Head struct {
	LogID    uuid.UUID
	Batch    uint64     // the last one; 0 before the first
	Sequence uint64     // of the last event; 0 before the first
	Hash     chain.Hash // the log head; chain.LogRoot before the first batch
}

// Signature is one of Ed25519, as RFC 8032 has it.
type Signature [ed25519.SignatureSize]byte

// String is the signature as 128 lower-case hexadecimal digits.
func (s Signature) String() string { return hex.EncodeToString(s[:]) }

// SignedHead is a head with a signature, by the key with the id KeyID. In a
// Proof it may be unsigned: KeyID is empty then, and Signature is zero.
type SignedHead struct {
	Head
	KeyID     string
	Signature Signature
}

// Signed reports whether there is a signature. It does not look at it.
func (h *SignedHead) Signed() bool { return h.KeyID != "" }

// checkShape refuses what is neither signed nor unsigned.
func (h *SignedHead) checkShape() error {
	switch {
	case h.Signed():
		return checkKeyID(h.KeyID)
	case h.Signature != Signature{}:
		return invalid(Malformed, "a signature without the id of its key")
	}
	return nil
}

// signedPrefix makes what is signed no message of anything else.
const signedPrefix = "untorn log head v1\n"

// Message is what the signature of a head is of:
//
//	untorn log head v1␊ │ log id, 16 │ batch, u64 │ sequence, u64 │ hash, 32 │ key id, the rest
//
// With the key's id in it, a signature is by one key, whoever else has the same
// public key.
func (h *Head) Message(keyID string) []byte {
	message := make([]byte, 0, len(signedPrefix)+headSize+len(keyID))
	message = append(message, signedPrefix...)
	return append(h.append(message), keyID...)
}

const headSize = 16 + 8 + 8 + chain.Size

func (h *Head) append(dst []byte) []byte {
	dst = append(dst, h.LogID[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.Batch)
	dst = binary.LittleEndian.AppendUint64(dst, h.Sequence)
	return append(dst, h.Hash[:]...)
}

// check refuses a head that no log can have.
func (h *Head) check() error {
	if h.Batch != 0 {
		return nil
	}
	if root := chain.LogRoot(h.LogID); h.Hash != root {
		return invalid(WrongLogRoot, "the head before the first batch is %v, the root %v", h.Hash, root)
	}
	if h.Sequence != 0 {
		return invalid(WrongHeadSequence, "it is %d before the first batch", h.Sequence)
	}
	return nil
}

// Sign signs a head. The signer has an Ed25519 key, such as ed25519.PrivateKey;
// it is asked once, with no randomness, and its answer is verified before it is
// returned. The error is an *Error with the Reason that a verifier would have for
// the head or key id, or else the signer's.
func Sign(head Head, keyID string, signer crypto.Signer) (SignedHead, error) {
	if err := checkKeyID(keyID); err != nil {
		return SignedHead{}, err
	}
	if err := head.check(); err != nil {
		return SignedHead{}, err
	}
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return SignedHead{}, fmt.Errorf("key %s has a %T, and only Ed25519 signs heads", keyID, signer.Public())
	}
	message := head.Message(keyID)
	signature, err := signer.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		return SignedHead{}, fmt.Errorf("signing the head of batch %d with key %s: %w", head.Batch, keyID, err)
	}
	if !ed25519.Verify(public, message, signature) {
		return SignedHead{}, fmt.Errorf("key %s answered with what is no signature of the head of batch %d", keyID, head.Batch)
	}
	return SignedHead{Head: head, KeyID: keyID, Signature: Signature(signature)}, nil
}

// encoding is the first byte of what this package encodes.
const encoding = 1

const minSignedHead = 1 + headSize + ed25519.SignatureSize + 1

// AppendBinary appends
//
//	1, u8 │ log id, 16 │ batch, u64 │ sequence, u64 │ hash, 32 │ signature, 64 │ key id, the rest
//
// which is what a note of a log holds. The error is an *Error: the head is not
// signed, or the key id is not one.
func (h SignedHead) AppendBinary(dst []byte) ([]byte, error) {
	if err := checkKeyID(h.KeyID); err != nil {
		return dst, err
	}
	dst = h.append(append(dst, encoding))
	dst = append(dst, h.Signature[:]...)
	return append(dst, h.KeyID...), nil
}

// MarshalBinary is AppendBinary to nothing.
func (h SignedHead) MarshalBinary() ([]byte, error) { return h.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary appended, to its end. The error is an
// *Error with the Reason Malformed; then h keeps its value. The signature is not
// verified: Keys.Verify does that.
func (h *SignedHead) UnmarshalBinary(data []byte) error {
	if len(data) < minSignedHead {
		return invalid(Malformed, "a signed head of %d bytes has less than %d", len(data), minSignedHead)
	}
	r := reader{rest: data}
	if version := r.take(1)[0]; version != encoding {
		return invalid(Malformed, "a signed head in the encoding %d, and only %d is known", version, encoding)
	}
	read := SignedHead{Head: r.head(), Signature: Signature(r.take(ed25519.SignatureSize))}
	read.KeyID = string(r.rest)
	if err := checkKeyID(read.KeyID); err != nil {
		return err
	}
	*h = read
	return nil
}

// reader takes fields from the start of what is known to be long enough.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) uint32() uint32   { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64   { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) hash() chain.Hash { return chain.Hash(r.take(chain.Size)) }

func (r *reader) head() Head {
	return Head{LogID: uuid.UUID(r.take(16)), Batch: r.uint64(), Sequence: r.uint64(), Hash: r.hash()}
}

// Format is the head for persons and files, whose names end in .untorn-head:
//
//	untorn log head v1
//	log 10600102-0304-0506-0708-090a0b0c0d0e
//	batch 42
//	sequence 97
//	hash 64 hexadecimal digits
//	key ops-2026
//	signature 128 hexadecimal digits
//
// Each line ends with a newline. An unsigned head has no text.
func (h SignedHead) Format() string {
	return fmt.Sprintf("%slog %v\nbatch %d\nsequence %d\nhash %v\nkey %s\nsignature %v\n",
		signedPrefix, h.LogID, h.Batch, h.Sequence, h.Hash, h.KeyID, h.Signature)
}

// maxText is more than any head has as text.
const maxText = 1024

// ParseSignedHead reads what Format wrote, and nothing else: no other order of
// lines, no upper-case digits, no white space more. The error is an *Error with
// the Reason Malformed. The signature is not verified: Keys.Verify does that.
func ParseSignedHead(text string) (SignedHead, error) {
	if len(text) > maxText {
		return SignedHead{}, invalid(Malformed, "a head has at most %d bytes as text, not %d", maxText, len(text))
	}
	rest, ok := strings.CutPrefix(text, signedPrefix)
	if !ok {
		return SignedHead{}, invalid(Malformed, "the first line of a head is %q", signedPrefix[:len(signedPrefix)-1])
	}
	var h SignedHead
	for _, line := range []struct {
		name  string
		parse func(string) error
	}{
		{"log", func(s string) error { return parseUUID(s, &h.LogID) }},
		{"batch", func(s string) error { return parseNumber(s, &h.Batch) }},
		{"sequence", func(s string) error { return parseNumber(s, &h.Sequence) }},
		{"hash", func(s string) error { return parseHex(s, h.Hash[:]) }},
		{"key", func(s string) error { h.KeyID = strings.Clone(s); return checkKeyID(s) }},
		{"signature", func(s string) error { return parseHex(s, h.Signature[:]) }},
	} {
		whole, behind, ended := strings.Cut(rest, "\n")
		value, ok := strings.CutPrefix(whole, line.name+" ")
		if !ok || !ended {
			return SignedHead{}, invalid(Malformed, "a head has the line %q where this one has %.40q", line.name+" …", whole)
		}
		if err := line.parse(value); err != nil {
			return SignedHead{}, invalid(Malformed, "the line %s: %v", line.name, within(err))
		}
		rest = behind
	}
	if rest != "" {
		return SignedHead{}, invalid(Malformed, "there is %.40q after the signature", rest)
	}
	return h, nil
}
