package chain

import (
	"encoding/hex"
	"fmt"
)

// Size is the length of a Hash in bytes.
const Size = 32

// Hash is a BLAKE3 hash. The zero Hash stands for "none"; no input that anyone
// knows has it.
type Hash [Size]byte

// String is the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero Hash, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText is String as bytes; the error is always nil.
func (h Hash) MarshalText() ([]byte, error) {
	return hex.AppendEncode(make([]byte, 0, 2*Size), h[:]), nil
}

// UnmarshalText reads 64 hexadecimal digits of either case. On an error h keeps
// its value.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*Size {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d characters", 2*Size, len(text))
	}
	var parsed Hash
	if _, err := hex.Decode(parsed[:], text); err != nil {
		return fmt.Errorf("a hash has %d hexadecimal digits: %w", 2*Size, err)
	}
	*h = parsed
	return nil
}

// ParseHash reads 64 hexadecimal digits of either case.
func ParseHash(text string) (Hash, error) {
	var h Hash
	err := h.UnmarshalText([]byte(text))
	return h, err
}
