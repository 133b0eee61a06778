package proof

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// What is below takes of each value the one text that this package writes.

func parseUUID(text string, to *uuid.UUID) error {
	parsed, err := uuid.Parse(text)
	if err != nil {
		return fmt.Errorf("%.40q is no UUID", text)
	}
	if parsed.String() != text {
		return fmt.Errorf("%.48q is written %v", text, parsed)
	}
	*to = parsed
	return nil
}

func parseNumber(text string, to *uint64) error {
	parsed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no number of at most 64 bits", text)
	}
	if plain := strconv.FormatUint(parsed, 10); plain != text {
		return fmt.Errorf("%.40q is written %s", text, plain)
	}
	*to = parsed
	return nil
}

// parseHex fills to.
func parseHex(text string, to []byte) error {
	if len(text) != 2*len(to) {
		return fmt.Errorf("it has %d hexadecimal digits, not %d characters", 2*len(to), len(text))
	}
	for _, c := range []byte(text) {
		if c >= 'A' && c <= 'F' {
			return errors.New("hexadecimal digits are lower-case")
		}
	}
	if _, err := hex.Decode(to, []byte(text)); err != nil {
		return fmt.Errorf("it has %d hexadecimal digits: %w", 2*len(to), err)
	}
	return nil
}
