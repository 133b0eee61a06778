package proof

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Key is a public key, and the batches for which it may sign: those of a head
// count, not those that it leads over. So keys are rotated by ending the range of
// one where that of the next begins, and what the old one has signed stays good.
// The batch is what the signed head says: a range does not help where the private
// key was stolen, since the thief can sign another history of the same batches.
type Key struct {
	ID          string // 1 to 64 ASCII letters, digits and characters of -._/@
	Public      ed25519.PublicKey
	From, Until uint64 // both inclusive; 0 means no bound
}

// maySign reports whether a batch is in the key's range.
func (k *Key) maySign(batch uint64) bool {
	return batch >= k.From && (k.Until == 0 || batch <= k.Until)
}

// span is the key's range as text: "", "7-", "-9" or "7-9".
func (k *Key) span() string {
	if k.From == 0 && k.Until == 0 {
		return ""
	}
	number := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	return number(k.From) + "-" + number(k.Until)
}

func (k *Key) parseSpan(span string) error {
	from, until, ok := strings.Cut(span, "-")
	if !ok || from == "" && until == "" {
		return fmt.Errorf("%.40q is no range of batches, such as 7-9, 7- or -9", span)
	}
	for _, bound := range []struct {
		text string
		to   *uint64
	}{{from, &k.From}, {until, &k.Until}} {
		if bound.text == "" {
			continue
		}
		if err := parseNumber(bound.text, bound.to); err != nil {
			return err
		}
		if *bound.to == 0 {
			return errors.New("a range without a bound has nothing there, not 0")
		}
	}
	return nil
}

const maxKeyID = 64

func checkKeyID(id string) error {
	if len(id) == 0 || len(id) > maxKeyID {
		return invalid(Malformed, "a key id has 1 to %d bytes, not %d", maxKeyID, len(id))
	}
	for _, c := range []byte(id) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && !strings.ContainsRune("-._/@", rune(c)) {
			return invalid(Malformed, "a key id has letters, digits and -._/@, not %q", rune(c))
		}
	}
	return nil
}

// checkPublic refuses what is no point in its one spelling, as far as it can be
// seen from the bytes, and the points whose order is 8 or less: with one of those
// for a key anybody can sign. Zeros, a key that was never filled in, are one.
func checkPublic(public ed25519.PublicKey) error {
	if len(public) != ed25519.PublicKeySize {
		return invalid(Malformed, "a public key has %d bytes, not %d", ed25519.PublicKeySize, len(public))
	}
	y := slices.Clone(public)
	y[31] &^= 0x80 // the sign of the other coordinate
	switch hex.EncodeToString(y) {
	case "0000000000000000000000000000000000000000000000000000000000000000", // of order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // 1
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 2
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": // 8
		return invalid(Malformed, "%x is no public key: anybody could sign for it", []byte(public))
	}
	// A coordinate is below 2^255 − 19. From there on are other spellings of 0 to 18.
	high := y[0] >= 0xed && y[31] == 0x7f
	for _, b := range y[1:31] {
		high = high && b == 0xff
	}
	if high {
		return invalid(Malformed, "%x is no public key, but another spelling of one", []byte(public))
	}
	return nil
}

// Keys are the public keys that one trusts, by their ids. The zero value trusts
// nobody. They must come from elsewhere than what they are to verify.
type Keys struct{ list []Key }

// NewKeys checks the keys and copies them. The error joins an *Error with the
// Reason Malformed for each that is wrong; no two have the same id.
func NewKeys(keys ...Key) (Keys, error) {
	var all Keys
	var wrong []error
	for _, key := range keys {
		if err := all.add(key); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return Keys{}, errors.Join(wrong...)
	}
	return all, nil
}

func (k *Keys) add(key Key) error {
	if err := checkKeyID(key.ID); err != nil {
		return err
	}
	if err := checkPublic(key.Public); err != nil {
		return fmt.Errorf("key %s: %w", key.ID, err)
	}
	if key.Until != 0 && key.From > key.Until {
		return invalid(Malformed, "key %s signs from batch %d until batch %d, which is before", key.ID, key.From, key.Until)
	}
	if _, ok := k.Find(key.ID); ok {
		return invalid(Malformed, "two keys have the id %s", key.ID)
	}
	key.Public = slices.Clone(key.Public)
	k.list = append(k.list, key)
	return nil
}

// ParseKeys reads keys, each on a line of its own:
//
//	# comments and empty lines are left out
//	ops-2025 ed25519 64-hexadecimal-digits 1-4000
//	ops-2026 ed25519 64-hexadecimal-digits 4001-
//
// The range of batches, 7-9, 7- or -9, may be left out; there may be any white
// space between the fields. The error joins an *Error with the Reason Malformed
// for each line that is wrong, with its number.
func ParseKeys(text string) (Keys, error) {
	var all Keys
	var wrong []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key, err := parseKey(fields)
		if err == nil {
			err = all.add(key)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", number, err))
		}
	}
	if len(wrong) > 0 {
		return Keys{}, errors.Join(wrong...)
	}
	return all, nil
}

func parseKey(fields []string) (Key, error) {
	if len(fields) < 3 || len(fields) > 4 || fields[1] != "ed25519" {
		return Key{}, invalid(Malformed, "a key is ID ed25519 PUBLIC-KEY [FROM-UNTIL]")
	}
	key := Key{ID: strings.Clone(fields[0]), Public: make(ed25519.PublicKey, ed25519.PublicKeySize)}
	if err := parseHex(fields[2], key.Public); err != nil {
		return Key{}, invalid(Malformed, "the public key: %v", err)
	}
	if len(fields) == 4 {
		if err := key.parseSpan(fields[3]); err != nil {
			return Key{}, invalid(Malformed, "%v", err)
		}
	}
	return key, nil
}

// Format is what ParseKeys reads, in the order in which the keys were given.
func (k Keys) Format() string {
	var text strings.Builder
	for i := range k.list {
		key := &k.list[i]
		fmt.Fprintf(&text, "%s ed25519 %s", key.ID, hex.EncodeToString(key.Public))
		if span := key.span(); span != "" {
			text.WriteString(" " + span)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// Find returns the key with an id. Its Public must not be changed.
func (k Keys) Find(id string) (Key, bool) {
	for i := range k.list {
		if k.list[i].ID == id {
			return k.list[i], true
		}
	}
	return Key{}, false
}

// Verify returns nil if a key that is known signed the head, and may sign its
// batch. Otherwise the error is an *Error with the Reason Malformed (it is
// unsigned, for one), WrongLogRoot or WrongHeadSequence of a head that no log
// has, UnknownKey, BadSignature, or RetiredKey of a signature that is good but
// for the batch.
func (k Keys) Verify(head SignedHead) error {
	if err := checkKeyID(head.KeyID); err != nil {
		return err
	}
	if err := head.check(); err != nil {
		return err
	}
	key, ok := k.Find(head.KeyID)
	if !ok {
		return invalid(UnknownKey, "%s", head.KeyID)
	}
	// Ed25519 of the standard library takes one S of each signature, and compares
	// the bytes of R: no other signature comes of a good one.
	if !ed25519.Verify(key.Public, head.Message(head.KeyID), head.Signature[:]) {
		return invalid(BadSignature, "key %s did not sign the head of batch %d", head.KeyID, head.Batch)
	}
	if !key.maySign(head.Batch) {
		return invalid(RetiredKey, "key %s signs batches %s, the head is of batch %d", head.KeyID, key.span(), head.Batch)
	}
	return nil
}
