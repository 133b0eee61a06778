package proof

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
)

type statementJSON struct {
	LogID    uuid.UUID  `json:"log"`
	ID       uuid.UUID  `json:"id"`
	Scope    string     `json:"scope"`
	Stream   string     `json:"stream"`
	Sequence uint64     `json:"sequence"`
	Version  uint64     `json:"version"`
	Batch    uint64     `json:"batch"`
	Hash     chain.Hash `json:"hash"`
}

// MarshalJSON is an object with the fields log, id, scope, stream, sequence,
// version, batch and hash. The error is an *Error with the Reason Malformed: the
// scope or the stream is not UTF-8, and would not survive.
func (s Statement) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(s.Scope) || !utf8.ValidString(s.Stream) {
		return nil, invalid(Malformed, "a statement: scope %q and stream %q are not both UTF-8", s.Scope, s.Stream)
	}
	return json.Marshal(statementJSON(s))
}

// UnmarshalJSON reads an object with all of the fields that MarshalJSON writes,
// each once and as it writes it, and no other. The error is an *Error with the
// Reason Malformed; then s keeps its value.
func (s *Statement) UnmarshalJSON(data []byte) error {
	var read Statement
	err := object(data, []field{
		{name: "log", value: text(func(t string) error { return parseUUID(t, &read.LogID) })},
		{name: "id", value: text(func(t string) error { return parseUUID(t, &read.ID) })},
		{name: "scope", value: verbatim(&read.Scope)},
		{name: "stream", value: verbatim(&read.Stream)},
		{name: "sequence", value: number(&read.Sequence)},
		{name: "version", value: number(&read.Version)},
		{name: "batch", value: number(&read.Batch)},
		{name: "hash", value: hexadecimal(read.Hash[:])},
	})
	if err != nil {
		return invalid(Malformed, "a statement: %v", err)
	}
	*s = read
	return nil
}

type headJSON struct {
	LogID     uuid.UUID  `json:"log"`
	Batch     uint64     `json:"batch"`
	Sequence  uint64     `json:"sequence"`
	Hash      chain.Hash `json:"hash"`
	KeyID     string     `json:"key,omitempty"`
	Signature string     `json:"signature,omitempty"`
}

// MarshalJSON is an object with the fields log, batch, sequence and hash, and key
// and signature if it is signed. The error is an *Error with the Reason
// Malformed.
func (h SignedHead) MarshalJSON() ([]byte, error) {
	if err := h.checkShape(); err != nil {
		return nil, err
	}
	encoded := headJSON{LogID: h.LogID, Batch: h.Batch, Sequence: h.Sequence, Hash: h.Hash, KeyID: h.KeyID}
	if h.Signed() {
		encoded.Signature = h.Signature.String()
	}
	return json.Marshal(encoded)
}

// UnmarshalJSON reads what MarshalJSON writes, in any order of fields. The error
// is an *Error with the Reason Malformed; then h keeps its value.
func (h *SignedHead) UnmarshalJSON(data []byte) error {
	var read SignedHead
	signed := 0
	err := object(data, []field{
		{name: "log", value: text(func(t string) error { return parseUUID(t, &read.LogID) })},
		{name: "batch", value: number(&read.Batch)},
		{name: "sequence", value: number(&read.Sequence)},
		{name: "hash", value: hexadecimal(read.Hash[:])},
		{name: "key", optional: true, value: text(func(t string) error {
			signed++
			read.KeyID = t
			return checkKeyID(t)
		})},
		{name: "signature", optional: true, value: text(func(t string) error {
			signed++
			return parseHex(t, read.Signature[:])
		})},
	})
	if err == nil && signed == 1 {
		err = fmt.Errorf("it has one of key and signature")
	}
	if err != nil {
		return invalid(Malformed, "a head: %v", err)
	}
	*h = read
	return nil
}

type proofJSON struct {
	Header        string       `json:"header"`
	Previous      chain.Hash   `json:"previous"`
	Batch         uint64       `json:"batch"`
	FirstSequence uint64       `json:"firstSequence"`
	Index         uint32       `json:"index"`
	Events        []chain.Hash `json:"events"`
	Notes         chain.Hash   `json:"notes,omitzero"`
	Before        chain.Hash   `json:"before"`
	Following     []chain.Hash `json:"following"`
	Head          SignedHead   `json:"head"`
}

// MarshalJSON is an object with the fields of a Proof, whose first letters are
// lower-case; notes only if the batch has some. Bytes are hexadecimal. The error
// is an *Error with the Reason Malformed.
func (p Proof) MarshalJSON() ([]byte, error) {
	if _, err := p.check(); err != nil {
		return nil, err
	}
	encoded := proofJSON{
		Header: hex.EncodeToString(p.Header), Previous: p.Previous,
		Batch: p.Batch, FirstSequence: p.FirstSequence, Index: p.Index, Events: p.Events, Notes: p.Notes,
		Before: p.Before, Following: p.Following, Head: p.Head,
	}
	if encoded.Following == nil {
		encoded.Following = []chain.Hash{}
	}
	return json.Marshal(encoded)
}

// UnmarshalJSON reads what MarshalJSON writes, in any order of fields. The error
// is an *Error with the Reason Malformed; then p keeps its value.
func (p *Proof) UnmarshalJSON(data []byte) error {
	var read Proof
	err := object(data, []field{
		{name: "header", value: text(func(t string) error {
			read.Header = make([]byte, len(t)/2)
			return parseHex(t, read.Header)
		})},
		{name: "previous", value: hexadecimal(read.Previous[:])},
		{name: "batch", value: number(&read.Batch)},
		{name: "firstSequence", value: number(&read.FirstSequence)},
		{name: "index", value: func(raw json.RawMessage) error {
			var index uint64
			if err := number(&index)(raw); err != nil {
				return err
			}
			if index > math.MaxUint32 {
				return fmt.Errorf("%d has more than 32 bits", index)
			}
			read.Index = uint32(index)
			return nil
		}},
		{name: "events", value: list(&read.Events)},
		{name: "notes", optional: true, value: func(raw json.RawMessage) error {
			if err := hexadecimal(read.Notes[:])(raw); err != nil {
				return err
			}
			if read.Notes.IsZero() {
				return fmt.Errorf("it is zero")
			}
			return nil
		}},
		{name: "before", value: hexadecimal(read.Before[:])},
		{name: "following", value: list(&read.Following)},
		{name: "head", value: func(raw json.RawMessage) error { return read.Head.UnmarshalJSON(raw) }},
	})
	if err != nil {
		return invalid(Malformed, "a proof: %v", err)
	}
	if _, err := read.check(); err != nil {
		return err
	}
	*p = read
	return nil
}

// field is one of an object. Package encoding/json would take it in any case of
// letters, twice, or not at all.
type field struct {
	name     string
	optional bool
	value    func(json.RawMessage) error
}

// object reads an object with these fields, in any order, and nothing behind it.
func object(data []byte, fields []field) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return fmt.Errorf("it is no JSON object")
	}
	seen := make([]bool, len(fields))
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		at := -1
		for i := range fields {
			if fields[i].name == name {
				at = i
			}
		}
		switch {
		case at < 0:
			return fmt.Errorf("a field %.40q, which there is not", name)
		case seen[at]:
			return fmt.Errorf("two fields %q", name)
		}
		seen[at] = true
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if err := fields[at].value(raw); err != nil {
			return fmt.Errorf("the field %s: %w", name, within(err))
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the object")
	}
	for i := range fields {
		if !seen[i] && !fields[i].optional {
			return fmt.Errorf("no field %q", fields[i].name)
		}
	}
	return nil
}

// text is a field that is a string.
func text(parse func(string) error) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if raw[0] != '"' {
			return fmt.Errorf("it is no string")
		}
		if !utf8.Valid(raw) {
			return fmt.Errorf("it is not UTF-8") // and would be replaced
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if halved(raw, s) {
			return fmt.Errorf("it has half a surrogate pair, which is no character") // and was replaced, too
		}
		return parse(s)
	}
}

// halved reports whether a string of JSON, which is UTF-8, has one half of a surrogate
// pair without the other: what is read has U+FFFD for it, and so more of those than
// were written.
func halved(raw []byte, read string) bool {
	written := strings.ReplaceAll(strings.ToLower(string(raw)), `\\`, "")
	return strings.Count(read, "\ufffd") > strings.Count(written, "\ufffd")+strings.Count(written, `\ufffd`)
}

func verbatim(to *string) func(json.RawMessage) error {
	return text(func(s string) error { *to = s; return nil })
}

func hexadecimal(to []byte) func(json.RawMessage) error {
	return text(func(s string) error { return parseHex(s, to) })
}

func number(to *uint64) func(json.RawMessage) error {
	return func(raw json.RawMessage) error { return parseNumber(string(raw), to) }
}

// list reads an array of hashes; none are nil.
func list(to *[]chain.Hash) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		d := json.NewDecoder(bytes.NewReader(raw))
		if start, err := d.Token(); err != nil || start != json.Delim('[') {
			return fmt.Errorf("it is no array")
		}
		var all []chain.Hash
		for d.More() {
			element, err := d.Token()
			if err != nil {
				return err
			}
			digits, ok := element.(string)
			if !ok {
				return fmt.Errorf("element %d is no string", len(all))
			}
			var hash chain.Hash
			if err := parseHex(digits, hash[:]); err != nil {
				return fmt.Errorf("element %d: %w", len(all), err)
			}
			all = append(all, hash)
		}
		*to = all
		return nil
	}
}
