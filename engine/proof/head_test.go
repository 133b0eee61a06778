package proof_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine/proof"
)

func signedHead(t testing.TB) proof.SignedHead {
	return sign(t, testLedger().heads[5], "ops-2020", testKey(2))
}

// answers is a signer that has a key, and answers as it likes.
type answers struct {
	public    crypto.PublicKey
	signature []byte
	err       error
}

func (a answers) Public() crypto.PublicKey { return a.public }
func (a answers) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return a.signature, a.err
}

func TestSign(t *testing.T) {
	head := testLedger().heads[5]
	signed := signedHead(t)
	if !signed.Signed() || signed.Head != head || signed.KeyID != "ops-2020" {
		t.Errorf("signed it is %+v", signed)
	}
	if (&proof.SignedHead{Head: head}).Signed() {
		t.Error("a head is signed by nobody")
	}
	wantReason(t, testKeys(t).Verify(signed), 0)

	broken := errors.New("no card in the reader")
	right := signed.Signature[:]
	for _, c := range []struct {
		name   string
		keyID  string
		signer crypto.Signer
		want   string
	}{
		{"a key of another kind", "k", answers{public: &ecdsa.PublicKey{Curve: elliptic.P256()}}, "key k has a *ecdsa.PublicKey, and only Ed25519 signs heads"},
		{"a key cut", "k", answers{public: publicKey(1)[1:]}, "key k has a ed25519.PublicKey, and only Ed25519 signs heads"},
		{"an error", "k", answers{public: publicKey(2), err: broken}, "signing the head of batch 5 with key k: no card in the reader"},
		{"no answer", "k", answers{public: publicKey(2)}, "key k answered with what is no signature of the head of batch 5"},
		{"half an answer", "ops-2020", answers{public: publicKey(2), signature: right[1:]}, "key ops-2020 answered with what is no signature of the head of batch 5"},
		{"the answer", "ops-2020", answers{public: publicKey(2), signature: right}, ""},
		{"the answer of another key", "ops-2020", answers{public: publicKey(1), signature: right}, "key ops-2020 answered with what is no signature of the head of batch 5"},
		{"the answer for another id", "ops-2019", answers{public: publicKey(2), signature: right}, "key ops-2019 answered with what is no signature of the head of batch 5"},
		{"no id", "", testKey(1), "malformed: a key id has 1 to 64 bytes, not 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := proof.Sign(head, c.keyID, c.signer)
			if c.want == "" {
				if err != nil || got != signed {
					t.Errorf("%+v, %v, want %+v", got, err, signed)
				}
				return
			}
			if err == nil || err.Error() != c.want || got != (proof.SignedHead{}) {
				t.Errorf("%+v, %v, want %s", got, err, c.want)
			}
		})
	}
	if _, err := proof.Sign(head, "k", answers{public: publicKey(2), err: broken}); !errors.Is(err, broken) {
		t.Errorf("error %v does not match the signer's", err)
	}
}

// TestMessage builds what is signed by hand.
func TestMessage(t *testing.T) {
	head := testLedger().heads[2]
	want := "untorn log head v1\n" +
		"\x10\x60\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e" +
		"\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x04\x00\x00\x00\x00\x00\x00\x00" +
		string(head.Hash[:]) + "ops-2019"
	if got := head.Message("ops-2019"); string(got) != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	signed := sign(t, head, "ops-2019", testKey(1))
	if !ed25519.Verify(publicKey(1), []byte(want), signed.Signature[:]) {
		t.Error("something else is signed")
	}
}

func TestParseSignedHead(t *testing.T) {
	signed := signedHead(t)
	text := signed.Format()
	parsed, err := proof.ParseSignedHead(text)
	if err != nil || parsed != signed {
		t.Fatalf("%s parses to %+v, %v, want %+v", text, parsed, err, signed)
	}
	replaced := func(old, by string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %q in %s", old, text)
		}
		return strings.Replace(text, old, by, 1)
	}
	lines := strings.SplitAfter(text, "\n")
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", `the first line of a head is "untorn log head v1"`},
		{"another version", replaced("v1", "v2"), `the first line of a head is "untorn log head v1"`},
		{"a line less", strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""), `a head has the line "batch …" where this one has "sequence 6"`},
		{"two lines in the other order", lines[0] + lines[2] + lines[1] + strings.Join(lines[3:], ""), `a head has the line "log …" where this one has "batch 5"`},
		{"the end of the last line missing", strings.TrimSuffix(text, "\n"), `a head has the line "signature …" where this one has "signature `},
		{"something behind", text + "\n", `there is "\n" after the signature`},
		{"CR", strings.ReplaceAll(text, "\n", "\r\n"), `the first line of a head is "untorn log head v1"`},
		{"CR inside", replaced("batch 5\n", "batch 5\r\n"), `the line batch: "5\r" is no number of at most 64 bits`},
		{"a zero before", replaced("batch 5", "batch 05"), `the line batch: "05" is written 5`},
		{"a sign", replaced("sequence 6", "sequence +6"), `the line sequence: "+6" is no number of at most 64 bits`},
		{"no number", replaced("sequence 6", "sequence -6"), `the line sequence: "-6" is no number of at most 64 bits`},
		{"two blanks", replaced("batch 5", "batch  5"), `the line batch: " 5" is no number of at most 64 bits`},
		{"a log in braces", replaced("10600102-0304-0506-0708-090a0b0c0d0e", "{10600102-0304-0506-0708-090a0b0c0d0e}"), `the line log: "{10600102-0304-0506-0708-090a0b0c0d0e}" is written 10600102-0304-0506-0708-090a0b0c0d0e`},
		{"no log", replaced("10600102-0304", "10600102_0304"), `the line log: "10600102_0304-0506-0708-090a0b0c0d0e" is no UUID`},
		{"upper-case digits", replaced(signed.Hash.String(), strings.ToUpper(signed.Hash.String())), `the line hash: hexadecimal digits are lower-case`},
		{"a signature cut", replaced(signed.Signature.String(), signed.Signature.String()[2:]), `the line signature: it has 128 hexadecimal digits, not 126 characters`},
		{"no key", replaced("key ops-2020", "key "), `the line key: a key id has 1 to 64 bytes, not 0`},
		{"long", text + strings.Repeat("\n", 1000), `a head has at most 1024 bytes as text, not`},
	} {
		t.Run(c.name, func(t *testing.T) {
			parsed, err := proof.ParseSignedHead(c.text)
			if !isMalformed(err) || parsed != (proof.SignedHead{}) || !strings.HasPrefix(err.Error(), "malformed: "+c.want) || strings.Count(err.Error(), "malformed") != 1 {
				t.Errorf("got  %+v, %v\nwant malformed: %s", parsed, err, c.want)
			}
		})
	}
}

func TestSignedHeadBinary(t *testing.T) {
	signed := signedHead(t)
	encoded, err := signed.AppendBinary([]byte("kept"))
	if err != nil || !bytes.HasPrefix(encoded, []byte("kept")) {
		t.Fatalf("%x, %v", encoded, err)
	}
	encoded = encoded[4:]
	var decoded proof.SignedHead
	if err := decoded.UnmarshalBinary(encoded); err != nil || decoded != signed {
		t.Fatalf("%x becomes %+v, %v, want %+v", encoded, decoded, err, signed)
	}
	const longest = 1 + 64 + 64 + 64
	for _, c := range []struct {
		name    string
		encoded []byte
	}{
		{"nothing", nil},
		{"no key id", encoded[:1+64+64]},
		{"another encoding", append([]byte{2}, encoded[1:]...)},
		{"a strange key id", append(bytes.Clone(encoded), ' ')},
		{"a key id too long", append(bytes.Clone(encoded), strings.Repeat("x", longest+1-len(encoded))...)},
	} {
		kept := signed
		if err := kept.UnmarshalBinary(c.encoded); !isMalformed(err) || kept != signed {
			t.Errorf("%s: %+v, %v, want the reason %v and no change", c.name, kept, err, proof.Malformed)
		}
	}
	longer := append(bytes.Clone(encoded), strings.Repeat("x", longest-len(encoded))...)
	if err := decoded.UnmarshalBinary(longer); err != nil || len(decoded.KeyID) != 64 {
		t.Errorf("the longest key id: %+v, %v", decoded, err)
	}
	for _, none := range []string{"", "a b"} {
		signed.KeyID = none
		if b, err := signed.AppendBinary([]byte("kept")); !isMalformed(err) || string(b) != "kept" {
			t.Errorf("with the key id %q: %q, %v", none, b, err)
		}
	}
}

// TestEveryBitOfAHeadIsBound flips each bit of a signed head in its encodings.
func TestEveryBitOfAHeadIsBound(t *testing.T) {
	signed, keys := signedHead(t), testKeys(t)
	binary, err := signed.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		encoded []byte
		decode  func(*proof.SignedHead, []byte) error
	}{
		{"binary", binary, func(h *proof.SignedHead, b []byte) error { return h.UnmarshalBinary(b) }},
		{"JSON", text, func(h *proof.SignedHead, b []byte) error { return json.Unmarshal(b, h) }},
		{"text", []byte(signed.Format()), func(h *proof.SignedHead, b []byte) (err error) {
			*h, err = proof.ParseSignedHead(string(b))
			return err
		}},
	} {
		var h proof.SignedHead
		if err := c.decode(&h, c.encoded); err != nil || h != signed || keys.Verify(h) != nil {
			t.Fatalf("%s: as it was %+v, %v", c.name, h, err)
		}
		for i := range c.encoded {
			for bit := range 8 {
				flipped := bytes.Clone(c.encoded)
				flipped[i] ^= 1 << bit
				var h proof.SignedHead
				if c.decode(&h, flipped) == nil && keys.Verify(h) == nil {
					t.Errorf("%s: bit %d of byte %d: %+v", c.name, bit, i, h)
				}
			}
		}
	}
}
