package proof_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/proof"
)

// naiveProof is the encoding as FORMAT.md draws it, with nothing of the package.
func naiveProof(p *proof.Proof) []byte {
	var b bytes.Buffer
	write := func(fields ...any) {
		for _, field := range fields {
			if err := binary.Write(&b, binary.LittleEndian, field); err != nil {
				panic(err)
			}
		}
	}
	flags := byte(0)
	if p.Notes != (chain.Hash{}) {
		flags |= 1
	}
	if p.Head.KeyID != "" {
		flags |= 2
	}
	write(byte(1), flags, p.Head.LogID, p.Head.Batch, p.Head.Sequence, p.Head.Hash)
	write(p.Batch, p.FirstSequence, p.Index, uint32(len(p.Events)), uint32(len(p.Following)))
	write(p.Previous, p.Before)
	if flags&1 != 0 {
		write(p.Notes)
	}
	write(p.Events, p.Following)
	if flags&2 != 0 {
		write(p.Head.Signature, byte(len(p.Head.KeyID)), []byte(p.Head.KeyID))
	}
	write(p.Header)
	return b.Bytes()
}

// testProofs are of all shapes: with and without notes, digests and a signature.
func testProofs(t testing.TB) []proof.Proof {
	l := testLedger()
	_, signed := signedProof(t)
	_, first := l.prove(1, 0, 5)
	_, last := l.prove(5, 0, 5)
	_, noted := l.prove(2, 2, 2)
	long := last
	long.Head = sign(t, last.Head.Head, strings.Repeat("k", 64), testKey(1))
	return []proof.Proof{signed, first, last, noted, long}
}

func TestProofRoundTrip(t *testing.T) {
	for i, p := range testProofs(t) {
		encoded, err := p.AppendBinary([]byte("kept"))
		if want := append([]byte("kept"), naiveProof(&p)...); err != nil || !bytes.Equal(encoded, want) {
			t.Fatalf("proof %d: %x, %v, built by hand %x", i, encoded, err, want)
		}
		var decoded proof.Proof
		if err := decoded.UnmarshalBinary(encoded[4:]); err != nil {
			t.Fatalf("proof %d: %v", i, err)
		}
		clear(encoded) // nothing of it is kept
		if len(p.Following) == 0 {
			p.Following = nil
		}
		if !reflect.DeepEqual(decoded, p) {
			t.Errorf("proof %d is %+v, was %+v", i, decoded, p)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		decoded = proof.Proof{}
		if err := json.Unmarshal(text, &decoded); err != nil || !reflect.DeepEqual(decoded, p) {
			t.Errorf("proof %d as JSON is %+v, %v, was %+v", i, decoded, err, p)
		}
	}
}

// TestNamesSurviveJSON: whatever is in them, or they are refused.
func TestNamesSurviveJSON(t *testing.T) {
	for _, name := range []string{"", "😀", "\ufffd", `\ud83d`, `\\ud83d`, "<&>\u2028\x00\"\\", "a\U0010ffffz"} {
		s := proof.Statement{Scope: name, Stream: name}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var read proof.Statement
		if err := json.Unmarshal(text, &read); err != nil || read != s {
			t.Errorf("%q is read from %s as %q, %v", name, text, read.Scope, err)
		}
		// As others escape it: every character above ASCII in one or two units.
		var escaped strings.Builder
		for _, unit := range utf16.Encode([]rune(name)) {
			fmt.Fprintf(&escaped, `\u%04x`, unit)
		}
		text = bytes.Replace(text, quoted(t, name), []byte(`"`+escaped.String()+`"`), 2)
		read = proof.Statement{}
		if err := json.Unmarshal(text, &read); err != nil || read != s {
			t.Errorf("%q is read from %s as %q, %v", name, text, read.Scope, err)
		}
	}
	for _, s := range []proof.Statement{{Scope: "\xff"}, {Stream: "a\xed\xa0\x80"}} {
		if text, err := json.Marshal(s); !isMalformed(err) {
			t.Errorf("%q is written %s, %v", s.Scope+s.Stream, text, err)
		}
	}
}

func quoted(t *testing.T, s string) []byte {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMalformedIsNotEncoded: what a decoder would refuse no encoder writes.
func TestMalformedIsNotEncoded(t *testing.T) {
	_, p := signedProof(t)
	p.Index = 3
	if b, err := p.AppendBinary([]byte("kept")); !isMalformed(err) || string(b) != "kept" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := json.Marshal(p); !isMalformed(err) {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := json.Marshal(proof.SignedHead{Signature: proof.Signature{1}}); !isMalformed(err) {
		t.Errorf("%s, %v", b, err)
	}
}

// TestProofBinaryRefuses has what the bits of the tamper test do not reach.
func TestProofBinaryRefuses(t *testing.T) {
	proofs := testProofs(t)
	whole := naiveProof(&proofs[0])
	unsigned := naiveProof(&proofs[1])
	const counts = 1 + 1 + 64 + 8 + 8 + 4
	const minProof = counts + 4 + 4 + 32 + 32
	with := func(b []byte, at int, by ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], by)
		return b
	}
	for _, c := range []struct {
		name    string
		encoded []byte
		want    string
	}{
		{"nothing", nil, "0 bytes end before the fields that every proof has"},
		{"a byte less than all have", whole[:minProof-1], "157 bytes end before the fields that every proof has"},
		{"another encoding", with(whole, 0, 2), "a proof in the encoding 2 with the flags 0x3, and only 1 and 0x3 are known"},
		{"a flag that there is not", with(whole, 1, 7), "a proof in the encoding 1 with the flags 0x7, and only 1 and 0x3 are known"},
		{"more events than it holds", with(whole, counts, 0xff, 0xff, 0xff, 0xff), "bytes end before its hashes"},
		{"more digests than it holds", with(whole, counts+4, 0xff, 0xff, 0xff, 0xff), "bytes end before its hashes"},
		{"both", with(whole, counts, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "bytes end before its hashes"},
		{"notes without a hash", append(with(unsigned[:minProof], 1, 1), append(make([]byte, 32), unsigned[minProof:]...)...), "notes whose hash is zero"},
		{"no signature", whole[:minProof+32*7], "bytes end before its signature"},
		{"half a key id", whole[:minProof+32*7+64+1+3], "bytes end before the key id"},
		{"a strange key id", with(whole, minProof+32*7+64+1, ' '), "a key id has letters, digits and -._/@, not ' '"},
		{"signed by nobody", append(append(with(unsigned[:minProof+32*5], 1, 2), make([]byte, 64+1)...), unsigned[minProof+32*5:]...), "a key id has 1 to 64 bytes, not 0"},
		{"no header", whole[:minProof+32*7+64+1+8], "the canonical header: content hash at byte 0 is cut short"},
		{"an index behind the batch", with(whole, counts-4, 3), "index 3 of a batch of 3 events"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := proofs[1]
			err := kept.UnmarshalBinary(c.encoded)
			if !isMalformed(err) || !strings.HasSuffix(err.Error(), c.want) || !reflect.DeepEqual(kept, proofs[1]) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// TestCountsAllocateNothing: a count alone takes no room.
func TestCountsAllocateNothing(t *testing.T) {
	proofs := testProofs(t)
	encoded := naiveProof(&proofs[0])
	const counts = 1 + 1 + 64 + 8 + 8 + 4
	binary.LittleEndian.PutUint32(encoded[counts:], math.MaxUint32)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var p proof.Proof
	err := p.UnmarshalBinary(encoded)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; err == nil || allocated > 1<<20 {
		t.Errorf("error %v, and %d bytes allocated for %d", err, allocated, len(encoded))
	}
}

// TestJSONIsStrict edits a proof and a statement as JSON.
func TestJSONIsStrict(t *testing.T) {
	s, p := signedProof(t)
	encoded, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	stated, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	header, batch, notes := `"header":"`, `"batch":2,`, `"notes":"`+p.Notes.String()+`",`
	for _, c := range []struct {
		name, of, old, by string
		want              string // "" is fine
	}{
		{"white space", "proof", "{", " {\n\t", ""},
		{"another order", "proof", batch + `"firstSequence":2,`, `"firstSequence":2,` + batch, ""},
		{"no notes", "proof", notes, "", ""},
		{"an escaped letter", "proof", `"ops-2020"`, `"\u006fps-2020"`, ""},
		{"a field twice", "proof", batch, batch + batch, `a proof: two fields "batch"`},
		{"a field less", "proof", batch, "", `a proof: no field "batch"`},
		{"a field more", "proof", batch, batch + `"note":1,`, `a proof: a field "note", which there is not`},
		{"a field in capitals", "proof", `"batch"`, `"Batch"`, `a proof: a field "Batch", which there is not`},
		{"a string for a number", "proof", batch, `"batch":"2",`, `a proof: the field batch: "\"2\"" is no number of at most 64 bits`},
		{"a fraction", "proof", batch, `"batch":2.0,`, `a proof: the field batch: "2.0" is no number of at most 64 bits`},
		{"an exponent", "proof", batch, `"batch":2e0,`, `a proof: the field batch: "2e0" is no number of at most 64 bits`},
		{"a negative number", "proof", batch, `"batch":-2,`, `a proof: the field batch: "-2" is no number of at most 64 bits`},
		{"null for a number", "proof", batch, `"batch":null,`, `a proof: the field batch: "null" is no number of at most 64 bits`},
		{"null for a hash", "proof", `"` + p.Before.String() + `"`, `null`, `a proof: the field before: it is no string`},
		{"null for a list", "proof", `"following":[`, `"following":null,"x":[`, `a proof: the field following: it is no array`},
		{"null in a list", "proof", `"following":[`, `"following":[null,`, `a proof: the field following: element 0 is no string`},
		{"a list in a list", "proof", `"following":[`, `"following":[[],`, `a proof: the field following: element 0 is no string`},
		{"a short hash in a list", "proof", `"following":[`, `"following":["00",`, `a proof: the field following: element 0: it has 64 hexadecimal digits, not 2 characters`},
		{"a zero hash of notes", "proof", p.Notes.String(), strings.Repeat("0", 64), `a proof: the field notes: it is zero`},
		{"an index of 33 bits", "proof", `"index":1`, `"index":4294967297`, `a proof: the field index: 4294967297 has more than 32 bits`},
		{"an index behind the batch", "proof", `"index":1`, `"index":3`, `index 3 of a batch of 3 events`},
		{"half a byte of a header", "proof", header, header + "0", `a proof: the field header: it has`},
		{"a byte more of a header", "proof", header, header + "00", `the canonical header: `},
		{"no key", "proof", `"key":"ops-2020",`, "", `a proof: the field head: a head: it has one of key and signature`},
		{"an empty key", "proof", `"ops-2020"`, `""`, `a proof: the field head: a head: the field key: a key id has 1 to 64 bytes, not 0`},
		{"no object", "proof", string(encoded), "[]", `a proof: it is no JSON object`},
		{"null", "proof", string(encoded), "null", `a proof: it is no JSON object`},

		{"white space", "statement", ",", " ,\r\n", ""},
		{"a field less", "statement", `"scope":"shop",`, "", `a statement: no field "scope"`},
		{"an id without dashes", "statement", s.ID.String(), strings.ReplaceAll(s.ID.String(), "-", ""), `a statement: the field id: "016f5e66e80070008000000000000003" is written 016f5e66-e800-7000-8000-000000000003`},
		{"a log as a URN", "statement", s.LogID.String(), "urn:uuid:" + s.LogID.String(), `a statement: the field log: "urn:uuid:10600102-0304-0506-0708-090a0b0c0d0e" is written 10600102-0304-0506-0708-090a0b0c0d0e`},
		{"bytes that are no UTF-8", "statement", `"shop"`, "\"shop\xff\"", `a statement: the field scope: it is not UTF-8`},
		{"half a character", "statement", `"shop"`, `"shop\ud83d"`, `a statement: the field scope: it has half a surrogate pair, which is no character`},
		{"the other half", "statement", `"shop"`, `"sh\uDE00op"`, `a statement: the field scope: it has half a surrogate pair, which is no character`},
		{"two halves in the other order", "statement", `"shop"`, `"\ude00\ud83d"`, `a statement: the field scope: it has half a surrogate pair, which is no character`},
		{"half a character and another escape", "statement", `"shop"`, `"\ud83d\n"`, `a statement: the field scope: it has half a surrogate pair, which is no character`},
		{"half a character beside what stands for one", "statement", `"shop"`, `"\ufffd\\ufffd�\ud83d"`, `a statement: the field scope: it has half a surrogate pair, which is no character`},
		{"an escaped name", "statement", `"shop"`, `"\u0073hop"`, ""},
		{"half a character as a key", "proof", `"ops-2020"`, `"\ud83d"`, `a proof: the field head: a head: the field key: it has half a surrogate pair, which is no character`},
		{"half a character in a list", "proof", `"following":[`, `"following":["\ud83d",`, `a proof: the field following: element 0: it has`},
		{"a hash in capitals", "statement", s.Hash.String(), strings.ToUpper(s.Hash.String()), `a statement: the field hash: hexadecimal digits are lower-case`},
	} {
		t.Run(c.of+"/"+c.name, func(t *testing.T) {
			from := string(encoded)
			if c.of == "statement" {
				from = string(stated)
			}
			edited := strings.Replace(from, c.old, c.by, 1)
			if edited == from {
				t.Fatalf("there is no %s in %s", c.old, from)
			}
			var err error
			if c.of == "statement" {
				kept := proof.Statement{Batch: 7}
				err = json.Unmarshal([]byte(edited), &kept)
				if err != nil && kept != (proof.Statement{Batch: 7}) || err == nil && kept != s {
					t.Errorf("it becomes %+v", kept)
				}
			} else {
				kept := proof.Proof{Batch: 7}
				err = json.Unmarshal([]byte(edited), &kept)
				if err != nil && !reflect.DeepEqual(kept, proof.Proof{Batch: 7}) {
					t.Errorf("beside %v it becomes %+v", err, kept)
				}
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!isMalformed(err) || !strings.HasPrefix(err.Error(), "malformed: "+c.want) || strings.Count(err.Error(), "malformed") != 1):
				t.Errorf("error %v, want malformed: %s", err, c.want)
			}
		})
	}
	// What encoding/json would see to before is seen to here, too.
	for _, wrong := range []string{"", "{", `{"batch":}`, string(encoded) + "{}", string(encoded[:len(encoded)-1]), "null"} {
		if err := new(proof.Proof).UnmarshalJSON([]byte(wrong)); !isMalformed(err) {
			t.Errorf("%.60s: error %v, want the reason %v", wrong, err, proof.Malformed)
		}
	}
}

func FuzzProofBinary(f *testing.F) {
	for _, p := range testProofs(f) {
		f.Add(naiveProof(&p))
	}
	keys := testKeys(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		var p proof.Proof
		if err := p.UnmarshalBinary(input); err != nil {
			if !isMalformed(err) {
				t.Fatalf("error %v, want the reason %v", err, proof.Malformed)
			}
			return
		}
		if held := len(p.Header) + 32*(len(p.Events)+len(p.Following)) + len(p.Head.KeyID); held > len(input) {
			t.Fatalf("%d bytes decode to fields of %d", len(input), held)
		}
		again, err := p.MarshalBinary()
		if err != nil || !bytes.Equal(again, input) || !bytes.Equal(naiveProof(&p), input) {
			t.Fatalf("encoded again it is %x, %v, was %x", again, err, input)
		}
		sameAsJSON(t, &p)
		verifyAnything(t, &p, keys)
	})
}

// sameAsJSON encodes a proof as JSON and reads it again.
func sameAsJSON(t *testing.T, p *proof.Proof) {
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read proof.Proof
	if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, *p) {
		t.Fatalf("%s becomes %+v, %v, was %+v", text, read, err, p)
	}
}

// verifyAnything verifies a proof of its own event, as far as it has one: nothing
// that is wrong with it panics, and what is signed is one of ours.
func verifyAnything(t *testing.T, p *proof.Proof, keys proof.Keys) {
	event, err := p.Event()
	if err != nil {
		t.Fatalf("a proof was decoded without an event: %v", err)
	}
	e := &event.Event
	s := proof.Statement{
		LogID: p.Head.LogID, ID: e.ID, Scope: e.Scope, Stream: e.Stream,
		Sequence: event.Sequence, Version: e.Version, Batch: p.Batch, Hash: p.Events[p.Index],
	}
	verdict, err := proof.Verify(s, p, keys)
	if err == nil && (verdict.Signed != p.Head.Signed() || verdict.Head != p.Head.Head || verdict.KeyID != p.Head.KeyID) {
		t.Fatalf("%+v has the verdict %+v", p, verdict)
	}
	if verdict.Signed && keys.Verify(p.Head) != nil {
		t.Fatalf("%+v is called signed", p)
	}
	if err := proof.VerifyContent(p, nil, nil, nil); err == nil && event.Content == (chain.Hash{}) {
		t.Fatal("nothing hashes to zeros")
	}
}

func FuzzProofJSON(f *testing.F) {
	for _, p := range testProofs(f) {
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	keys := testKeys(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		var p proof.Proof
		if err := p.UnmarshalJSON(input); err != nil {
			if !isMalformed(err) {
				t.Fatalf("error %v, want the reason %v", err, proof.Malformed)
			}
			return
		}
		if !json.Valid(input) {
			t.Fatalf("%s decodes, and is no JSON", input)
		}
		sameAsJSON(t, &p)
		verifyAnything(t, &p, keys)
	})
}

func FuzzStatementJSON(f *testing.F) {
	s, _ := signedProof(f)
	for _, s := range []proof.Statement{s, {LogID: uuid.UUID{1}, Stream: "<ü>\n"}} {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var s, again proof.Statement
		if err := s.UnmarshalJSON(input); err != nil {
			if !isMalformed(err) {
				t.Fatalf("error %v, want the reason %v", err, proof.Malformed)
			}
			return
		}
		text, err := json.Marshal(s)
		if err != nil || json.Unmarshal(text, &again) != nil || again != s {
			t.Fatalf("%+v becomes %s, %v, and %+v", s, text, err, again)
		}
	})
}

func FuzzSignedHead(f *testing.F) {
	signed := signedHead(f)
	binary, err := signed.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(signed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(binary)
	f.Add(text)
	f.Add([]byte(`{"log":"10600102-0304-0506-0708-090a0b0c0d0e","batch":1,"sequence":1,"hash":"` + signed.Hash.String() + `"}`))
	f.Add([]byte(signed.Format()))
	f.Fuzz(func(t *testing.T, input []byte) {
		var h, again proof.SignedHead
		if err := h.UnmarshalBinary(input); err == nil {
			if b, err := h.MarshalBinary(); err != nil || !bytes.Equal(b, input) {
				t.Fatalf("%x becomes %x, %v", input, b, err)
			}
		} else if !isMalformed(err) {
			t.Fatal(err)
		}
		if h, err := proof.ParseSignedHead(string(input)); err == nil {
			if again := h.Format(); again != string(input) {
				t.Fatalf("%s becomes %s", input, again)
			}
		} else if !isMalformed(err) {
			t.Fatal(err)
		}
		h = proof.SignedHead{}
		if err := h.UnmarshalJSON(input); err == nil {
			text, err := json.Marshal(h)
			if err != nil || json.Unmarshal(text, &again) != nil || again != h {
				t.Fatalf("%s becomes %s, %v, and %+v", input, text, err, again)
			}
		} else if !isMalformed(err) {
			t.Fatal(err)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(testKeys(f).Format())
	f.Add("# comment\n\nx ed25519 00 1-2\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := proof.ParseKeys(text)
		if err != nil {
			if !isMalformed(err) {
				t.Fatal(err)
			}
			return
		}
		again, err := proof.ParseKeys(keys.Format())
		if err != nil || again.Format() != keys.Format() {
			t.Fatalf("%s becomes %s, %v", keys.Format(), again.Format(), err)
		}
	})
}
