package proof_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/untorn-db/untorn/engine/proof"
)

// TestEveryBitIsBound flips each bit of a signed proof and of its statement, as
// they are encoded: not one is left that is valid.
func TestEveryBitIsBound(t *testing.T) {
	statement, whole := signedProof(t)
	keys := testKeys(t)
	binary, err := whole.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	stated, err := json.Marshal(statement)
	if err != nil {
		t.Fatal(err)
	}
	asBinary := func(b []byte) (proof.Verdict, error) {
		var p proof.Proof
		if err := p.UnmarshalBinary(b); err != nil {
			return proof.Verdict{}, err
		}
		return proof.Verify(statement, &p, keys)
	}
	asJSON := func(b []byte) (proof.Verdict, error) {
		var p proof.Proof
		if err := json.Unmarshal(b, &p); err != nil {
			return proof.Verdict{}, err
		}
		return proof.Verify(statement, &p, keys)
	}
	asStatement := func(b []byte) (proof.Verdict, error) {
		var s proof.Statement
		if err := json.Unmarshal(b, &s); err != nil {
			return proof.Verdict{}, err
		}
		return proof.Verify(s, &whole, keys)
	}
	want := proof.Verdict{Signed: true, KeyID: "ops-2020", Head: whole.Head.Head}
	for _, c := range []struct {
		name    string
		encoded []byte
		verify  func([]byte) (proof.Verdict, error)
	}{
		{"proof", binary, asBinary},
		{"proof as JSON", text, asJSON},
		{"statement as JSON", stated, asStatement},
	} {
		t.Run(c.name, func(t *testing.T) {
			if verdict, err := c.verify(c.encoded); err != nil || verdict != want {
				t.Fatalf("as it was: %+v, %v, want %+v", verdict, err, want)
			}
			decoded := 0
			for i := range c.encoded {
				for bit := range 8 {
					flipped := bytes.Clone(c.encoded)
					flipped[i] ^= 1 << bit
					verdict, err := c.verify(flipped)
					if err == nil || verdict != (proof.Verdict{}) {
						t.Errorf("bit %d of byte %d of %d: %+v, %v", bit, i, len(c.encoded), verdict, err)
					}
					if err != nil && !isMalformed(err) {
						decoded++
					}
				}
				if _, err := c.verify(c.encoded[:i]); err == nil {
					t.Errorf("the first %d bytes of %d are valid", i, len(c.encoded))
				}
			}
			if _, err := c.verify(append(bytes.Clone(c.encoded), 0)); err == nil {
				t.Error("with a byte behind it is valid")
			}
			t.Logf("%d of %d flips decode, and are refused by Verify", decoded, 8*len(c.encoded))
			if decoded < len(c.encoded) {
				t.Errorf("only %d flips came as far as Verify", decoded)
			}
		})
	}
}
