package chain_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/zeebo/blake3"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine/chain"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew from what the code does now")

// input builds what is hashed under a context, a field at a time, with nothing of
// the package.
type input struct {
	bytes.Buffer
	context string
}

func under(context string) *input { return &input{context: context} }

func (in *input) raw(b []byte) *input { in.Write(b); return in }

func (in *input) number(v any) *input {
	if err := binary.Write(in, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return in
}

func (in *input) lengthed(b []byte) *input { return in.number(uint32(len(b))).raw(b) }

func (in *input) sum() chain.Hash {
	h := blake3.NewDeriveKey(in.context)
	for _, b := range in.Bytes() { // byte by byte: nothing in common with how the package feeds it
		h.Write([]byte{b})
	}
	return chain.Hash(h.Sum(nil))
}

func naiveContent(salt, metadata, payload []byte) *input {
	if len(salt) == 0 && len(metadata) == 0 {
		return under("untorn payload v1").raw(payload)
	}
	return under("untorn content v1").number(uint8(len(salt))).raw(salt).lengthed(metadata).raw(payload)
}

func naiveHeader(canonical []byte) *input { return under("untorn header v1").raw(canonical) }

func naiveEvent(previous, header chain.Hash) *input {
	return under("untorn event v1").raw(previous[:]).raw(header[:])
}

func naiveNotes(time, clock int64, notes [][]byte) *input {
	in := under("untorn notes v1").number(uint64(time)).number(uint64(clock)).number(uint32(len(notes)))
	for _, note := range notes {
		in.lengthed(note)
	}
	return in
}

func naiveBatch(batch, first uint64, events []chain.Hash, notes chain.Hash) *input {
	in := under("untorn batch v1").number(batch).number(first).number(uint32(len(events)))
	for _, event := range events {
		in.raw(event[:])
	}
	if notes.IsZero() {
		return in
	}
	return in.raw(notes[:])
}

func naiveLink(previous, digest chain.Hash) *input {
	return under("untorn head v1").raw(previous[:]).raw(digest[:])
}

func naiveHead(previous chain.Hash, batch, first uint64, events []chain.Hash, notes chain.Hash) *input {
	return naiveLink(previous, naiveBatch(batch, first, events, notes).sum())
}

func naiveStream(id [16]byte, scope, stream string) *input {
	return under("untorn stream v1").raw(id[:]).lengthed([]byte(scope)).lengthed([]byte(stream))
}

// count is n bytes 0, 1, 2 … 250, 0, 1 …: no period of a power of two.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func hashes(n int) []chain.Hash {
	all := make([]chain.Hash, n)
	for i := range all {
		copy(all[i][:], count(32 + i)[i:])
	}
	return all
}

type vector struct {
	name string
	got  chain.Hash
	in   *input
}

func vectors() []vector {
	id := [16]byte(count(16))
	salt := count(16)
	previous := hashes(3)[2]
	var h chain.Hasher
	list := []vector{
		{"log root", chain.LogRoot(id), under("untorn log v1").raw(id[:])},
		{"stream root, no scope", chain.StreamRoot(id, "", "order-42"), naiveStream(id, "", "order-42")},
		{"stream root, scope", chain.StreamRoot(id, "shop", "order-42"), naiveStream(id, "shop", "order-42")},
		{"stream root, long names", chain.StreamRoot(id, strings.Repeat("s", 255), strings.Repeat("ü", 500)), naiveStream(id, strings.Repeat("s", 255), strings.Repeat("ü", 500))},
		{"notes, none", h.Notes(7, 8, nil), nil},
		{"notes, one empty", h.Notes(7, -8, [][]byte{{}}), naiveNotes(7, -8, [][]byte{{}})},
		{"notes, two", h.Notes(7, -8, [][]byte{count(3), count(40)}), naiveNotes(7, -8, [][]byte{count(3), count(40)})},
		{"notes, large", h.Notes(7, -8, [][]byte{count(3), count(3000), {}, count(9)}), naiveNotes(7, -8, [][]byte{count(3), count(3000), {}, count(9)})},
	}
	for _, n := range []int{0, 1, 100, 1024, 1025, 2048, 8192, 8193, 100_000} {
		list = append(list, vector{fmt.Sprintf("content, payload of %d", n), h.Content(nil, nil, count(n)), naiveContent(nil, nil, count(n))})
	}
	list = append(list,
		vector{"content, metadata", h.Content(nil, count(20), count(100)), naiveContent(nil, count(20), count(100))},
		vector{"content, salt", h.Content(salt, nil, count(100)), naiveContent(salt, nil, count(100))},
		vector{"content, as much as is gathered", h.Content(nil, count(20), count(999)), naiveContent(nil, count(20), count(999))},
		vector{"content, and one more", h.Content(nil, count(20), count(1000)), naiveContent(nil, count(20), count(1000))},
		vector{"content, salt, metadata, large", h.Content(salt, count(2000), count(5000)), naiveContent(salt, count(2000), count(5000))},
	)
	for _, n := range []int{0, 64, 145, 1024, 1025, 4000} {
		list = append(list, vector{fmt.Sprintf("header of %d", n), h.Header(count(n)), naiveHeader(count(n))})
	}
	list = append(list, vector{"event", h.Event(previous, hashes(5)[4]), naiveEvent(previous, hashes(5)[4])})
	for _, n := range []int{0, 1, 31, 32, 100, 4096} { // 31 events are gathered, 32 are not
		list = append(list,
			vector{fmt.Sprintf("batch, %d events", n), h.Batch(7, 1<<40, hashes(n), chain.Hash{}), naiveBatch(7, 1<<40, hashes(n), chain.Hash{})},
			vector{fmt.Sprintf("head, %d events", n), h.Head(previous, 7, 1<<40, hashes(n), chain.Hash{}), naiveHead(previous, 7, 1<<40, hashes(n), chain.Hash{})})
	}
	return append(list,
		vector{"batch, notes", h.Batch(7, 9, hashes(2), hashes(5)[4]), naiveBatch(7, 9, hashes(2), hashes(5)[4])},
		vector{"head, notes", h.Head(previous, 7, 9, hashes(2), hashes(5)[4]), naiveHead(previous, 7, 9, hashes(2), hashes(5)[4])},
		vector{"link", h.Link(previous, hashes(5)[4]), naiveLink(previous, hashes(5)[4])})
}

// TestVectors compares every hash with one built by hand and with the file that
// other implementations can be checked against.
func TestVectors(t *testing.T) {
	var text strings.Builder
	text.WriteString("# name | hash | context | length of what is hashed | what is hashed, if it is short\n" +
		"# Byte i of every salt, payload, metadata, header, note and log id is i mod 251;\n" +
		"# hash i of a list begins with the byte i and goes on like that.\n")
	for _, v := range vectors() {
		if v.in == nil {
			if !v.got.IsZero() {
				t.Errorf("%s is %v, want zeros", v.name, v.got)
			}
			fmt.Fprintf(&text, "%s | %v | | 0 |\n", v.name, v.got)
			continue
		}
		if want := v.in.sum(); v.got != want {
			t.Errorf("%s is %v, built by hand %v", v.name, v.got, want)
		}
		shown := ""
		if v.in.Len() <= 256 {
			shown = " " + hex.EncodeToString(v.in.Bytes())
		}
		fmt.Fprintf(&text, "%s | %v | %s | %d |%s\n", v.name, v.got, v.in.context, v.in.Len(), shown)
	}
	const file = "testdata/vectors.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(golden) {
		t.Errorf("hashes differ from %s: the format has changed. Now:\n%s", file, text.String())
	}
}

// TestBlake3 checks the library against the vectors that BLAKE3's authors
// publish: input byte i is i mod 251.
func TestBlake3(t *testing.T) {
	for _, v := range []struct {
		length int
		want   string
	}{
		{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
		{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
		{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
		{102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
	} {
		if got := chain.Hash(blake3.Sum256(count(v.length))).String(); got != v.want {
			t.Errorf("BLAKE3 of %d bytes is %s, want %s", v.length, got, v.want)
		}
	}
}

// TestHasherIsReusable hashes drawn inputs with one Hasher, in drawn order, and
// compares each with the hash built by hand: nothing of one input is left in
// the next.
func TestHasherIsReusable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h chain.Hasher
		size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(900, 1100), rapid.IntRange(8000, 17000))
		bytes := rapid.Custom(func(t *rapid.T) []byte {
			b := count(size.Draw(t, "size"))
			if len(b) > 0 {
				b[len(b)/2] = rapid.Byte().Draw(t, "middle")
			}
			return b
		})
		hash := rapid.Custom(func(t *rapid.T) chain.Hash {
			return chain.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		})
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			var got chain.Hash
			var want *input
			kind := rapid.SampledFrom([]string{"content", "header", "event", "notes", "batch", "link", "head"}).Draw(t, "kind")
			switch kind {
			case "content":
				salt := rapid.SampledFrom([][]byte{nil, count(16)}).Draw(t, "salt")
				metadata, payload := bytes.Draw(t, "metadata"), bytes.Draw(t, "payload")
				got, want = h.Content(salt, metadata, payload), naiveContent(salt, metadata, payload)
			case "header":
				header := bytes.Draw(t, "header")
				got, want = h.Header(header), naiveHeader(header)
			case "event":
				previous, header := hash.Draw(t, "previous"), hash.Draw(t, "header")
				got, want = h.Event(previous, header), naiveEvent(previous, header)
			case "notes":
				notes := rapid.SliceOfN(bytes, 1, 4).Draw(t, "notes")
				time, clock := rapid.Int64().Draw(t, "time"), rapid.Int64().Draw(t, "clock")
				got, want = h.Notes(time, clock, notes), naiveNotes(time, clock, notes)
			case "batch":
				notes := hash.Draw(t, "notes")
				batch, first := rapid.Uint64().Draw(t, "batch"), rapid.Uint64().Draw(t, "first")
				events := hashes(rapid.IntRange(0, 60).Draw(t, "events"))
				got, want = h.Batch(batch, first, events, notes), naiveBatch(batch, first, events, notes)
			case "link":
				previous, digest := hash.Draw(t, "previous"), hash.Draw(t, "digest")
				got, want = h.Link(previous, digest), naiveLink(previous, digest)
			case "head":
				previous, notes := hash.Draw(t, "previous"), hash.Draw(t, "notes")
				batch, first := rapid.Uint64().Draw(t, "batch"), rapid.Uint64().Draw(t, "first")
				events := hashes(rapid.IntRange(0, 60).Draw(t, "events"))
				got, want = h.Head(previous, batch, first, events, notes), naiveHead(previous, batch, first, events, notes)
			}
			if sum := want.sum(); got != sum {
				t.Fatalf("%s is %v, built by hand %v", kind, got, sum)
			}
		}
	})
}

// TestInputsDoNotCollide moves bytes over the borders between fields.
func TestInputsDoNotCollide(t *testing.T) {
	var h chain.Hasher
	id := [16]byte{1}
	seen := map[chain.Hash]string{}
	for _, c := range []struct {
		name string
		hash chain.Hash
	}{
		{"ab|c as names", chain.StreamRoot(id, "ab", "c")},
		{"a|bc as names", chain.StreamRoot(id, "a", "bc")},
		{"|abc as names", chain.StreamRoot(id, "", "abc")},
		{"abc| as names", chain.StreamRoot(id, "abc", "")},
		{"another log", chain.StreamRoot([16]byte{2}, "abc", "")},
		{"log root", chain.LogRoot(id)},
		{"ab|c as content", h.Content(nil, []byte("ab"), []byte("c"))},
		{"a|bc as content", h.Content(nil, []byte("a"), []byte("bc"))},
		{"|abc as content", h.Content(nil, nil, []byte("abc"))},
		{"salted", h.Content(make([]byte, 16), nil, []byte("abc"))},
		{"zeros for a salt", h.Content(nil, nil, append(make([]byte, 16), "abc"...))},
		{"no content", h.Content(nil, nil, nil)},
		{"a payload like content", h.Content(nil, nil, naiveContent(nil, []byte("a"), []byte("bc")).Bytes())},
		{"a payload like a header", h.Content(nil, nil, []byte("header"))},
		{"a header", h.Header([]byte("header"))},
		{"a header like an event", h.Header(make([]byte, 64))},
		{"an event", h.Event(chain.Hash{}, chain.Hash{})},
		{"no notes", h.Notes(7, -8, nil)},
		{"an empty note", h.Notes(7, -8, [][]byte{nil})},
		{"two empty notes", h.Notes(7, -8, [][]byte{nil, nil})},
		{"no notes at another time", h.Notes(8, -8, [][]byte{nil})},
		{"no notes by another clock", h.Notes(7, -7, [][]byte{nil})},
		{"four zeros in a note", h.Notes(7, -8, [][]byte{make([]byte, 4)})},
		{"no events", h.Head(chain.Hash{}, 1, 1, nil, chain.Hash{})},
		{"a zero event", h.Head(chain.Hash{}, 1, 1, make([]chain.Hash, 1), chain.Hash{})},
		{"another batch", h.Head(chain.Hash{}, 2, 1, nil, chain.Hash{})},
		{"another sequence", h.Head(chain.Hash{}, 1, 2, nil, chain.Hash{})},
		{"notes", h.Head(chain.Hash{}, 1, 1, nil, chain.Hash{1})},
		{"another head before", h.Head(chain.Hash{1}, 1, 1, nil, chain.Hash{})},
		{"a digest", h.Batch(1, 1, nil, chain.Hash{})},
		{"a digest for an event hash", h.Batch(1, 1, []chain.Hash{h.Batch(1, 1, nil, chain.Hash{})}, chain.Hash{})},
		{"notes for an event", h.Batch(1, 1, []chain.Hash{{1}}, chain.Hash{})},
		{"an event for notes", h.Batch(1, 1, nil, chain.Hash{1})},
		{"a link like an event", h.Link(chain.Hash{}, chain.Hash{})},
		{"the other way round", h.Link(chain.Hash{}, chain.Hash{1})},
	} {
		if other, ok := seen[c.hash]; ok {
			t.Errorf("%q and %q have the same hash", c.name, other)
		}
		seen[c.hash] = c.name
	}
}

func TestSaltOfAnotherLengthPanics(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "internal error") {
			t.Errorf("a salt of 15 bytes gave %q, want an internal error", text)
		}
	}()
	new(chain.Hasher).Content(make([]byte, 15), nil, nil)
}

func TestHashText(t *testing.T) {
	hash := chain.Hash(count(32))
	const text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	if hash.String() != text {
		t.Errorf("String is %s, want %s", hash, text)
	}
	encoded, err := json.Marshal(hash)
	if err != nil || string(encoded) != `"`+text+`"` {
		t.Errorf("as JSON %s, %v, want %q", encoded, err, text)
	}
	for _, good := range []string{text, strings.ToUpper(text)} {
		if parsed, err := chain.ParseHash(good); err != nil || parsed != hash {
			t.Errorf("ParseHash(%q) is %v, %v, want %v", good, parsed, err, hash)
		}
	}
	for _, bad := range []string{"", text[1:], text + "0", text[:62], strings.Replace(text, "0", "g", 1), " " + text[1:]} {
		kept := hash
		if err := kept.UnmarshalText([]byte(bad)); err == nil || kept != hash {
			t.Errorf("UnmarshalText(%q) gave %v, %v, want an error and no change", bad, kept, err)
		}
	}
	if (chain.Hash{}).IsZero() != true || hash.IsZero() {
		t.Error("IsZero does not tell zeros from others")
	}
}

func TestNoAllocations(t *testing.T) {
	var h chain.Hasher
	id := [16]byte{1}
	stream := strings.Repeat("s", 255)
	large, small, many := count(100_000), count(100), hashes(100)
	notes := [][]byte{small, large}
	h.Content(nil, nil, large) // the steady state begins after the first large input
	for name, f := range map[string]func(){
		"LogRoot":        func() { chain.LogRoot(id) },
		"StreamRoot":     func() { chain.StreamRoot(id, stream, stream) },
		"Content, small": func() { h.Content(nil, small, small) },
		"Content, large": func() { h.Content(nil, small, large) },
		"Header":         func() { h.Header(small) },
		"Event":          func() { h.Event(many[0], many[1]) },
		"Notes":          func() { h.Notes(7, 8, notes) },
		"Batch, small":   func() { h.Batch(1, 1, many[:1], many[1]) },
		"Batch, large":   func() { h.Batch(1, 1, many, many[1]) },
		"Link":           func() { h.Link(many[0], many[1]) },
		"Head, small":    func() { h.Head(many[0], 1, 1, many[:1], many[1]) },
		"Head, large":    func() { h.Head(many[0], 1, 1, many, many[1]) },
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkContent(b *testing.B) {
	for _, n := range []int{100, 1000, 1100, 2048, 16384} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var h chain.Hasher
			payload := count(n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				h.Content(nil, nil, payload)
			}
		})
	}
}

func BenchmarkEvent(b *testing.B) {
	var h chain.Hasher
	var previous, header chain.Hash
	b.ReportAllocs()
	for b.Loop() {
		previous = h.Event(previous, header)
	}
}

// BenchmarkMany is the hashes of a batch of 100 events, all but those that chain
// them, a hash at a time and side by side.
func BenchmarkMany(b *testing.B) {
	for _, n := range []int{100, 1024} {
		payload, header := count(n), count(100)
		b.Run(fmt.Sprintf("one after the other/%d", n), func(b *testing.B) {
			var h chain.Hasher
			for b.Loop() {
				for range 100 {
					h.Content(nil, nil, payload)
					h.Header(header)
				}
			}
		})
		b.Run(fmt.Sprintf("side by side/%d", n), func(b *testing.B) {
			var many chain.Many
			sums := make([]chain.Hash, 200)
			b.ReportAllocs()
			for b.Loop() {
				for range 100 {
					many.Content(nil, nil, payload)
					many.Header(header)
				}
				many.Sum(sums)
			}
		})
	}
}

// TestMany adds drawn inputs, and compares with those built by hand.
func TestMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var many chain.Many
		size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(900, 1100), rapid.IntRange(8000, 9000))
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			var want []*input
			known := map[int]chain.Hash{}
			for i := range rapid.IntRange(0, 40).Draw(t, "inputs") {
				b := count(size.Draw(t, "size"))
				switch rapid.SampledFrom([]string{"payload", "metadata", "salt", "header", "known"}).Draw(t, "kind") {
				case "payload":
					many.Content(nil, nil, b)
					want = append(want, naiveContent(nil, nil, b))
				case "metadata":
					many.Content(nil, b, count(30))
					want = append(want, naiveContent(nil, b, count(30)))
				case "salt":
					many.Content(count(16), nil, b)
					want = append(want, naiveContent(count(16), nil, b))
				case "header":
					given := bytes.Clone(b)
					many.Header(given)
					clear(given) // it is copied
					want = append(want, naiveHeader(b))
				case "known":
					known[i] = hashes(i + 1)[i]
					many.Known(known[i])
					want = append(want, nil)
				}
			}
			sums := make([]chain.Hash, len(want))
			many.Sum(sums)
			for i, in := range want {
				sum := known[i]
				if in != nil {
					sum = in.sum()
				}
				if sums[i] != sum {
					t.Fatalf("input %d is %v, built by hand %v", i, sums[i], sum)
				}
			}
		}
	})
}

func TestManyForAnotherNumberPanics(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "internal error") {
			t.Errorf("sums for none of one input gave %q, want an internal error", text)
		}
	}()
	var many chain.Many
	many.Header(nil)
	many.Sum(nil)
}

func BenchmarkHead(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var h chain.Hasher
			events := hashes(n)
			var previous chain.Hash
			b.ReportAllocs()
			for b.Loop() {
				previous = h.Head(previous, 1, 1, events, chain.Hash{})
			}
		})
	}
}
