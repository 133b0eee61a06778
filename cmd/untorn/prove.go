package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func proveCommand() command {
	return command{
		name:    "prove",
		short:   "print the proof that a log has an event",
		form:    "--dir DIR ID",
		operand: "ID",
		long: `Prints a JSON object with what is stated of an event, and the proof that leads from there to the first head
above it that was signed, or to the log's head if none was. untorn check verifies it, without the log:

  untorn prove --dir data 12 >proof.json
  untorn check --proof proof.json --keys keys

ID is the id of an event; or its first 8 hex digits, or more of them; or its sequence, as 12 or '#12'.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			dir := dirFlag(flags)
			return func(e *env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				event, err := parseEventName(e.operand)
				if err != nil {
					return err
				}
				return prove(e, name, event)
			}
		},
	}
}

// proven is what untorn prove prints. Both have strict encodings of their own.
type proven struct {
	Statement json.RawMessage `json:"statement"`
	Proof     json.RawMessage `json:"proof"`
}

func prove(e *env, dir string, name eventName) error {
	log, err := e.openToRead(dir, false)
	if err != nil {
		return err
	}
	defer log.Close()
	id, err := name.find(log)
	var event engine.Event
	if err == nil {
		event, err = log.Get(id)
	}
	var p proof.Proof
	if err == nil {
		p, err = log.Prove(context.Background(), id)
	}
	if errors.Is(err, engine.ErrNotFound) {
		err = fmt.Errorf("there is no event %s: untorn read lists those there are", name.text)
	}
	if err != nil {
		return err
	}
	s := log.Statement(engine.Receipt{
		ID: event.ID, Scope: event.Scope, Stream: event.Stream,
		Sequence: event.Sequence, Version: event.Version, Batch: event.Batch, Hash: event.Hash,
	})
	var found proven
	if found.Statement, err = json.Marshal(s); err != nil {
		return err
	}
	if found.Proof, err = json.Marshal(p); err != nil {
		return err
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if !p.Head.Signed() {
		e.note("nobody has signed the log since: the proof leads to the head %d:%v, which is to be compared with one that was kept", p.Head.Batch, p.Head.Hash)
	}
	_, err = e.stdout.Write(append(text, '\n'))
	return err
}

func checkCommand() command {
	return command{
		name:  "check",
		short: "verify a proof, without the log",
		form:  "--proof FILE --keys FILE [flags]",
		long: `Verifies what untorn prove has printed: that the event is under the head, and that a key has signed it that
stands in the file of keys, and may sign that batch. Exits with 1, and says why, if it does not hold, and if
nobody has signed it.

Of the event's content a proof has only the hash: --event reads the event itself, as a line of
untorn read --json, and --receipt what was told when it was appended, as a line of untorn append --json; each
must say what was proven.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			var c check
			flags.StringVar(&c.proof, "proof", "", "the `file` with the proof; required")
			flags.StringVar(&c.keys, "keys", "", "the `file` of keys that are trusted; required")
			flags.StringVar(&c.event, "event", "", "a `file` with the event, as a JSON line")
			flags.StringVar(&c.receipt, "receipt", "", "a `file` with the receipt, as a JSON line")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *env) error {
				switch {
				case c.proof == "":
					return incomplete("no --proof: name the file that untorn prove has printed")
				case c.keys == "":
					return incomplete("no --keys: name the file of the keys that are trusted")
				}
				return c.run(e, *asJSON)
			}
		},
	}
}

// check is the files of untorn check.
type check struct{ proof, keys, event, receipt string }

func (c *check) run(e *env, asJSON bool) error {
	keys, err := readKeys(c.keys)
	if err != nil {
		return err
	}
	var s proof.Statement
	var p proof.Proof
	if err := readProof(c.proof, &s, &p); err != nil {
		return err
	}
	verdict, err := proof.Verify(s, &p, keys)
	if errors.Is(err, proof.UnknownKey) {
		err = fmt.Errorf("%w: no such key in %s", err, c.keys)
	}
	if err == nil && c.receipt != "" {
		err = sameReceipt(c.receipt, &s)
	}
	if err == nil && c.event != "" {
		err = sameEvent(c.event, &s, &p)
	}
	var misused usageError
	if errors.As(err, &misused) {
		return err
	}
	if err == nil && !verdict.Signed {
		err = fmt.Errorf("nobody has signed it: the event is under the head %d:%v, which anybody can make up", verdict.Head.Batch, verdict.Head.Hash)
	}
	if asJSON {
		o := newObject(e.stdout.AvailableBuffer())
		o.truth("ok", err == nil)
		o.truth("signed", verdict.Signed)
		if verdict.Signed {
			o.text("key", verdict.KeyID)
		}
		if err != nil {
			o.text("reason", err.Error())
		} else {
			o.text("log", s.LogID.String())
			o.text("id", s.ID.String())
			o.number("sequence", s.Sequence)
			o.number("batch", verdict.Head.Batch)
			o.hash("hash", verdict.Head.Hash)
		}
		e.stdout.Write(o.line())
	} else if err == nil {
		fmt.Fprintf(e.stdout, "event %d, %v, of log %v is under the head %d:%v, signed by key %s\n",
			s.Sequence, s.ID, s.LogID, verdict.Head.Batch, verdict.Head.Hash, verdict.KeyID)
	}
	return err
}

// readProof reads what untorn prove has printed.
func readProof(name string, s *proof.Statement, p *proof.Proof) error {
	text, err := readFile(name, maxProof)
	if err != nil {
		return usage("--proof: %w", err)
	}
	var found proven
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		return usage("--proof: %s is not what untorn prove prints: %w", name, err)
	}
	if rest := bytes.TrimSpace(text[decoder.InputOffset():]); len(rest) > 0 {
		return usage("--proof: something follows the proof in %s", name)
	}
	if err := s.UnmarshalJSON(found.Statement); err != nil {
		return usage("--proof: %s: %w", name, err)
	}
	if err := p.UnmarshalJSON(found.Proof); err != nil {
		return usage("--proof: %s: %w", name, err)
	}
	return nil
}

// claim is what an event, or a receipt, says as a JSON line.
type claim struct {
	ID       string  `json:"id"`
	Scope    string  `json:"scope"`
	Stream   string  `json:"stream"`
	Sequence uint64  `json:"sequence"`
	Version  uint64  `json:"version"`
	Batch    uint64  `json:"batch"`
	Hash     *string `json:"hash"`

	Type   *string         `json:"type"`
	Data   json.RawMessage `json:"data"`
	Data64 []byte          `json:"data64"`
	Meta   json.RawMessage `json:"meta"`
	Meta64 []byte          `json:"meta64"`
}

func readClaim(flag, name string) (claim, error) {
	var c claim
	text, err := readFile(name, maxLine)
	if err != nil {
		return c, usage("%s: %w", flag, err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		var encoding base64.CorruptInputError
		if errors.As(err, &encoding) {
			err = fmt.Errorf("data64 and meta64 are base64: %w", err)
		}
		return c, usage("%s: %s is not one line of JSON: %w", flag, name, err)
	}
	return c, nil
}

// same says in what a claim is not the statement.
func (c *claim) same(what string, s *proof.Statement) error {
	hash := s.Hash.String()
	for _, field := range []struct {
		name         string
		said, proven any
	}{
		{"id", c.ID, s.ID.String()},
		{"scope", c.Scope, s.Scope},
		{"stream", c.Stream, s.Stream},
		{"sequence", c.Sequence, s.Sequence},
		{"version", c.Version, s.Version},
		{"batch", c.Batch, s.Batch},
	} {
		if field.said != field.proven {
			return fmt.Errorf("the %s has the %s %v, and proven is %v", what, field.name, field.said, field.proven)
		}
	}
	if c.Hash != nil && *c.Hash != hash {
		return fmt.Errorf("the %s has the hash %s, and proven is %s", what, *c.Hash, hash)
	}
	return nil
}

func sameReceipt(name string, s *proof.Statement) error {
	c, err := readClaim("--receipt", name)
	if err != nil {
		return err
	}
	if c.Hash == nil {
		return usage("--receipt: %s has no hash: it is no receipt", name)
	}
	return c.same("receipt", s)
}

func sameEvent(name string, s *proof.Statement, p *proof.Proof) error {
	c, err := readClaim("--event", name)
	if err != nil {
		return err
	}
	if err := c.same("event", s); err != nil {
		return err
	}
	event, err := p.Event()
	if err != nil {
		return err
	}
	if c.Type == nil || *c.Type != event.Event.Type {
		return fmt.Errorf("the event does not have the type %q, which is proven", event.Event.Type)
	}
	if event.Event.Erasable {
		return errors.New("the content of the event may be erased, and is salted: it cannot be compared without the salt")
	}
	data, meta := []byte(c.Data), []byte(c.Meta)
	if c.Data64 != nil {
		data = c.Data64
	}
	if c.Meta64 != nil {
		meta = c.Meta64
	}
	return proof.VerifyContent(p, nil, meta, data)
}
