package proof_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine/proof"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew from what the code does now")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("it differs from %s: the format has changed. Now:\n%s", file, text)
	}
}

// TestGoldenHead is what another implementation can check itself against: a key,
// what it signs, and the head in its encodings.
func TestGoldenHead(t *testing.T) {
	signed := signedHead(t)
	binary, err := signed.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("# A signed head. The private key is that of RFC 8032 for the seed.\n")
	for _, line := range []struct {
		name  string
		value []byte
	}{
		{"seed of the private key", testKey(2).Seed()},
		{"public key", publicKey(2)},
		{"what is signed", signed.Message(signed.KeyID)},
		{"signature", signed.Signature[:]},
		{"as a note holds it", binary},
	} {
		fmt.Fprintf(&text, "%s | %d bytes | %s\n", line.name, len(line.value), hex.EncodeToString(line.value))
	}
	golden(t, "head.txt", text.String())
	golden(t, "head.untorn-head", signed.Format())
	golden(t, "keys.txt", testKeys(t).Format())
	indented, err := json.MarshalIndent(signed, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "head.json", string(indented)+"\n")
}

// TestGoldenProof is a proof with its statement, and the keys that verify it: those
// of keys.txt.
func TestGoldenProof(t *testing.T) {
	s, p := signedProof(t)
	for _, part := range []struct {
		name  string
		value any
	}{{"statement.json", s}, {"proof.json", p}} {
		text, err := json.MarshalIndent(part.value, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, part.name, string(text)+"\n")
	}
	binary, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "proof.txt", hex.Dump(binary))
}

// TestGoldenVerifies reads testdata as a stranger would, and verifies it.
func TestGoldenVerifies(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	keys, err := proof.ParseKeys(string(read("keys.txt")))
	if err != nil {
		t.Fatal(err)
	}
	head, err := proof.ParseSignedHead(string(read("head.untorn-head")))
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, keys.Verify(head), 0)
	var s proof.Statement
	var p proof.Proof
	if err := json.Unmarshal(read("statement.json"), &s); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(read("proof.json"), &p); err != nil {
		t.Fatal(err)
	}
	verdict, err := proof.Verify(s, &p, keys)
	if want := (proof.Verdict{Signed: true, KeyID: "ops-2020", Head: head.Head}); err != nil || verdict != want {
		t.Errorf("%+v, %v, want %+v", verdict, err, want)
	}
}
