package proof_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine/proof"
)

func isMalformed(err error) bool { return errors.Is(err, proof.Malformed) }

func TestParseKeys(t *testing.T) {
	one, two := hex.EncodeToString(publicKey(1)), hex.EncodeToString(publicKey(2))
	line := "ops ed25519 " + one
	for _, c := range []struct {
		name, text, want string // what Format makes of it, or the error
	}{
		{"none", "", ""},
		{"comments only", "# nobody\n\n  \n\t# at all", ""},
		{"one", line + "\n", line + "\n"},
		{"without its last newline", line, line + "\n"},
		{"two", line + " -4000\nops/2.b@C_- ed25519 " + two + " 4001-\n", line + " -4000\nops/2.b@C_- ed25519 " + two + " 4001-\n"},
		{"any white space", "\r\n  ops\ted25519  " + one + "  1-2 \r\n", line + " 1-2\n"},
		{"the largest", line + " 18446744073709551615-18446744073709551615", line + " 18446744073709551615-18446744073709551615\n"},
		{"one public key, two ids", line + "\nother ed25519 " + one, line + "\nother ed25519 " + one + "\n"},

		{"an id twice", line + "\n# again\n" + line, "line 3: malformed: two keys have the id ops"},
		{"two wrong lines", "x\n" + line + "\ny", "line 1: malformed: a key is ID ed25519 PUBLIC-KEY [FROM-UNTIL]\nline 3: malformed: a key is ID ed25519 PUBLIC-KEY [FROM-UNTIL]"},
		{"another kind", "ops rsa " + one, "line 1: malformed: a key is ID ed25519 PUBLIC-KEY [FROM-UNTIL]"},
		{"a field too many", line + " 1-2 3-4", "line 1: malformed: a key is ID ed25519 PUBLIC-KEY [FROM-UNTIL]"},
		{"a strange id", "o=ps ed25519 " + one, "line 1: malformed: a key id has letters, digits and -._/@, not '='"},
		{"an id in other letters", "öps ed25519 " + one, "line 1: malformed: a key id has letters, digits and -._/@, not 'Ã'"},
		{"an id too long", strings.Repeat("x", 65) + " ed25519 " + one, "line 1: malformed: a key id has 1 to 64 bytes, not 65"},
		{"a public key cut", line[:len(line)-2], "line 1: malformed: the public key: it has 64 hexadecimal digits, not 62 characters"},
		{"upper-case digits", "ops ed25519 " + strings.ToUpper(one), "line 1: malformed: the public key: hexadecimal digits are lower-case"},
		{"no digits", "ops ed25519 " + strings.Repeat("g", 64), "line 1: malformed: the public key: it has 64 hexadecimal digits: encoding/hex: invalid byte: U+0067 'g'"},
		{"zeros", "ops ed25519 " + strings.Repeat("0", 64), "line 1: key ops: malformed: " + strings.Repeat("0", 64) + " is no public key: anybody could sign for it"},
		{"the prime", "ops ed25519 ed" + strings.Repeat("f", 60) + "7f", "line 1: key ops: malformed: ed" + strings.Repeat("f", 60) + "7f is no public key, but another spelling of one"},
		{"no range", line + " -", `line 1: malformed: "-" is no range of batches, such as 7-9, 7- or -9`},
		{"a batch for a range", line + " 7", `line 1: malformed: "7" is no range of batches, such as 7-9, 7- or -9`},
		{"a range from 0", line + " 0-7", "line 1: malformed: a range without a bound has nothing there, not 0"},
		{"a range until 0", line + " 7-0", "line 1: malformed: a range without a bound has nothing there, not 0"},
		{"a range from behind", line + " 7-6", "line 1: malformed: key ops signs from batch 7 until batch 6, which is before"},
		{"a zero before", line + " 07-9", `line 1: malformed: "07" is written 7`},
		{"a sign", line + " +7-9", `line 1: malformed: "+7" is no number of at most 64 bits`},
		{"too large", line + " 18446744073709551616-", `line 1: malformed: "18446744073709551616" is no number of at most 64 bits`},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := proof.ParseKeys(c.text)
			got := keys.Format()
			if err != nil {
				if !isMalformed(err) || got != "" {
					t.Errorf("error %v beside %q, want the reason %v and no key", err, got, proof.Malformed)
				}
				got = err.Error()
			}
			if got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
			if again, err2 := proof.ParseKeys(got); err == nil && (err2 != nil || again.Format() != got) {
				t.Errorf("%q parses to %q, %v", got, again.Format(), err2)
			}
		})
	}
}

func TestNewKeys(t *testing.T) {
	public := append(ed25519.PublicKey(nil), publicKey(1)...)
	keys, err := proof.NewKeys(proof.Key{ID: "a", Public: public})
	if err != nil {
		t.Fatal(err)
	}
	clear(public)
	if key, ok := keys.Find("a"); !ok || !key.Public.Equal(publicKey(1)) {
		t.Errorf("the key is %v, %v", key, ok)
	}
	if key, ok := keys.Find("b"); ok {
		t.Errorf("a key %v that is not there", key)
	}
	_, err = proof.NewKeys(proof.Key{ID: "", Public: publicKey(1)}, proof.Key{ID: "a", Public: publicKey(1)[1:]}, proof.Key{ID: "b", Public: publicKey(1)}, proof.Key{ID: "b", Public: publicKey(2)})
	const want = "malformed: a key id has 1 to 64 bytes, not 0\n" +
		"key a: malformed: a public key has 32 bytes, not 31\n" +
		"malformed: two keys have the id b"
	if err == nil || err.Error() != want || !isMalformed(err) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestKeyRange has the batches at both ends of a range.
func TestKeyRange(t *testing.T) {
	l := testLedger()
	for _, c := range []struct{ from, until, first, last int }{
		{0, 0, 0, 5}, {0, 3, 0, 3}, {2, 0, 2, 5}, {2, 3, 2, 3}, {3, 3, 3, 3},
	} {
		keys, err := proof.NewKeys(proof.Key{ID: "ops", Public: publicKey(1), From: uint64(c.from), Until: uint64(c.until)})
		if err != nil {
			t.Fatal(err)
		}
		for batch, head := range l.heads {
			want := proof.RetiredKey
			if batch >= c.first && batch <= c.last {
				want = 0
			}
			wantReason(t, keys.Verify(sign(t, head, "ops", testKey(1))), want)
		}
	}
}

// TestWeakKeys: for each public key that is refused because anybody can sign, a
// signature of anybody's does verify, of one message in eight at least.
func TestWeakKeys(t *testing.T) {
	// R is the neutral element, S is 0: right whenever the hash is a multiple of the
	// key's order.
	signature := make([]byte, ed25519.SignatureSize)
	signature[0] = 1
	for _, text := range []string{
		strings.Repeat("00", 32),
		"01" + strings.Repeat("00", 31),
		"ec" + strings.Repeat("ff", 30) + "7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		for _, sign := range []byte{0, 0x80} {
			public, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			public[31] |= sign
			forged := false
			for i := range 200 {
				forged = forged || ed25519.Verify(public, fmt.Append(nil, "message ", i), signature)
			}
			if !forged {
				t.Errorf("nobody can sign for %x", public)
			}
			_, err = proof.NewKeys(proof.Key{ID: "weak", Public: public})
			wantReason(t, err, proof.Malformed)
		}
	}
	// The largest coordinate that is one, and what lies around the spellings that are not.
	for last := range 256 {
		public := append([]byte{byte(last)}, publicKey(1)...)[:32]
		for i := 1; i < 31; i++ {
			public[i] = 0xff
		}
		public[31] = 0x7f
		_, err := proof.NewKeys(proof.Key{ID: "high", Public: public})
		want := proof.Reason(0)
		if last >= 0xec {
			want = proof.Malformed
		}
		wantReason(t, err, want)
		for _, at := range []int{1, 15, 30, 31} {
			other := append(ed25519.PublicKey(nil), public...)
			other[at] ^= 1
			_, err = proof.NewKeys(proof.Key{ID: "high", Public: other})
			wantReason(t, err, 0)
		}
	}
}
