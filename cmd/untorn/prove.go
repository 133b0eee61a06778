package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

func proveCommand() command.Command {
	return command.Command{
		Name:     "prove",
		Short:    "print the proof that a log has an event",
		Form:     "--dir DIR ID",
		Operands: "ID",
		Long: `Prints a JSON object with what is stated of an event, and the proof that leads from there to the first head
above it that was signed, or to the log's head if none was. untorn check verifies it, without the log.

ID is the id of an event; or its first 8 hex digits, or more of them; or its sequence, as 12 or '#12'.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn prove --dir data 1 >proof.json", Says: "the proof that event 1 is in the log, and signed"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				event, err := parseEventName(e.Operand())
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

func prove(e *command.Env, dir string, name eventName) error {
	log, err := openToRead(e, dir, false)
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
		e.Note("nobody has signed the log since: the proof leads to the head %d:%v, which is to be compared with one that was kept", p.Head.Batch, p.Head.Hash)
	}
	_, err = e.Stdout.Write(append(text, '\n'))
	return err
}

func checkCommand() command.Command {
	return command.Command{
		Name:  "check",
		Short: "verify a proof, without the log",
		Form:  "--proof FILE --keys FILE [flags]",
		Long: `Verifies what untorn prove has printed: that the event is under the head, and that a key has signed it that
stands in the file of keys, and may sign that batch. Exits with 1, and says why, if it does not hold, and if
nobody has signed it.

Of the event's content a proof has only the hash: --event reads the event itself, as a line of
untorn read --json, and --receipt what was told when it was appended, as a line of untorn append --json; each
must say what was proven, field by field. A note names what no proof says, such as a receipt's line.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn check --proof proof.json --keys keys", Says: "the proof holds, and a trusted key has signed"},
			{Line: "untorn read --dir data --to 1 --json >event.json && untorn check --proof proof.json --keys keys --event event.json", Says: "and it is of this event"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var c check
			flags.StringVar(&c.proof, "proof", "", "the `file` with the proof; required")
			flags.StringVar(&c.keys, "keys", "", "the `file` of keys that are trusted; required")
			flags.StringVar(&c.event, "event", "", "a `file` with the event, as a JSON line")
			flags.StringVar(&c.receipt, "receipt", "", "a `file` with the receipt, as a JSON line")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *command.Env) error {
				switch {
				case c.proof == "":
					return command.Incomplete("no --proof: name the file that untorn prove has printed")
				case c.keys == "":
					return command.Incomplete("no --keys: name the file of the keys that are trusted")
				}
				return c.run(e, *asJSON)
			}
		},
	}
}

// check is the files of untorn check.
type check struct{ proof, keys, event, receipt string }

func (c *check) run(e *command.Env, asJSON bool) error {
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
	var unproven []string
	if err == nil && c.receipt != "" {
		unproven, err = sameReceipt(c.receipt, &s)
	}
	if err == nil && c.event != "" {
		var more []string
		more, err = sameEvent(c.event, &s, &p)
		unproven = append(unproven, more...)
	}
	if command.Code(err) == command.ExitUsage {
		return err
	}
	if err == nil && !verdict.Signed {
		err = fmt.Errorf("nobody has signed it: the event is under the head %d:%v, which anybody can make up", verdict.Head.Batch, verdict.Head.Hash)
	}
	if asJSON {
		o := newObject(e.Stdout.AvailableBuffer())
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
		e.Stdout.Write(o.line())
	} else if err == nil {
		fmt.Fprintf(e.Stdout, "event %d, %v, of log %v is under the head %d:%v, signed by key %s\n",
			s.Sequence, s.ID, s.LogID, verdict.Head.Batch, verdict.Head.Hash, verdict.KeyID)
	}
	if err == nil && len(unproven) > 0 {
		e.Note("not proven: %s", strings.Join(unproven, ", "))
	}
	return err
}

// readFields reads the JSON object in a file, as printer has printed it: its fields as
// they stand, by their names.
func readFields(flag, name string, most int64, printer string) (map[string]json.RawMessage, error) {
	text, err := readFile(name, most)
	if err != nil {
		return nil, command.Usage("%s: %w", flag, err)
	}
	text = bytes.TrimSpace(text)
	var values map[string]json.RawMessage
	switch {
	case !utf8.Valid(text):
		err = errors.New("it is not UTF-8")
	case !bytes.HasPrefix(text, []byte("{")):
		err = errors.New("it is no JSON object")
	default:
		if err = json.Unmarshal(text, new(json.RawMessage)); err == nil {
			values, err = readObject(text)
		}
	}
	if err != nil {
		return nil, command.Usage("%s: %s is not what %s prints: %w", flag, name, printer, err)
	}
	return values, nil
}

// readProof reads what untorn prove has printed.
func readProof(name string, s *proof.Statement, p *proof.Proof) error {
	values, err := readFields("--proof", name, maxProof, "untorn prove")
	if err != nil {
		return err
	}
	found := proven{values["statement"], values["proof"]}
	if len(values) != 2 || found.Statement == nil || found.Proof == nil {
		return command.Usage(`--proof: %s is not what untorn prove prints: an object of "statement" and "proof"`, name)
	}
	if err := s.UnmarshalJSON(found.Statement); err != nil {
		return command.Usage("--proof: %s: %w", name, err)
	}
	if err := p.UnmarshalJSON(found.Proof); err != nil {
		return command.Usage("--proof: %s: %w", name, err)
	}
	return nil
}

// claim is what an event, or a receipt, says as a JSON line.
type claim struct {
	what   string // it is
	values map[string]json.RawMessage
	// unproven are the names of fields of which a proof says nothing.
	unproven []string
}

// compare says in what a claim is not what was proven, which is a line of the same kind:
// in each field that either of them has. It returns the fields that are as they are
// for all that a proof says.
func (c *claim) compare(line []byte) (unproven []string, err error) {
	proven, err := readObject(bytes.TrimSpace(line))
	if err != nil {
		return nil, err
	}
	delete(proven, "line") // of an input that no proof knows
	all := maps.Clone(proven)
	maps.Copy(all, c.values)
	names := slices.Sorted(maps.Keys(all))
	for _, name := range append([]string{"id"}, names...) { // of another event much differs: its id is what to look at
		said, known := c.values[name], proven[name]
		switch {
		case sameJSON(said, known):
		case !slices.Contains(c.unproven, name):
			return nil, c.differ(name, said, known)
		case said != nil:
			unproven = append(unproven, fmt.Sprintf("the %s's %q %s", c.what, name, clip(said)))
		}
	}
	return unproven, nil
}

// differ is the error of a field that is not what was proven; nil is a field that is not there.
func (c *claim) differ(name string, said, proven json.RawMessage) error {
	name = clip([]byte(name))
	const most = 100 // bytes of a value that is quoted whole: of a hash the last digit may differ
	switch {
	case proven == nil:
		return fmt.Errorf("the %s has the %s %s, and proven is that it has none", c.what, name, clip(said))
	case said == nil:
		return fmt.Errorf("the %s has no %s, and proven is that it has one", c.what, name)
	case len(said) > most || len(proven) > most:
		return fmt.Errorf("the %s's %s is not the one that is proven", c.what, name)
	}
	return fmt.Errorf("the %s has the %s %s, and proven is %s", c.what, name, said, proven)
}

// sameJSON reports whether two values are the same: strings however their characters are
// written, objects in any order, and all else to the byte. Nil is only the same as nil.
func sameJSON(a, b json.RawMessage) bool {
	switch {
	case bytes.Equal(a, b):
		return true
	case len(a) == 0 || len(b) == 0 || a[0] != b[0]:
		return false
	case a[0] == '"':
		in := input{values: map[string]json.RawMessage{"a": a, "b": b}}
		return in.string("a") == in.string("b") && in.err == nil
	case a[0] == '{':
		ofA, errA := readObject(a)
		ofB, errB := readObject(b)
		return errA == nil && errB == nil && maps.EqualFunc(ofA, ofB, sameJSON)
	}
	return false
}

// sameReceipt compares the receipt in a file with what was proven, and returns the fields
// that no proof vouches for.
func sameReceipt(name string, s *proof.Statement) (unproven []string, err error) {
	c := claim{what: "receipt", unproven: []string{"line", "durable"}}
	if c.values, err = readFields("--receipt", name, maxLine, "untorn append --json"); err != nil {
		return nil, err
	}
	if c.values["hash"] == nil {
		return nil, command.Usage("--receipt: %s has no hash: it is no receipt", name)
	}
	return c.compare(appendReceipt(nil, 0, engine.Receipt{
		ID: s.ID, Scope: s.Scope, Stream: s.Stream,
		Sequence: s.Sequence, Version: s.Version, Batch: s.Batch, Hash: s.Hash, Durable: true,
	}))
}

// sameEvent compares the event in a file with what was proven, and returns the fields
// that no proof vouches for.
func sameEvent(name string, s *proof.Statement, p *proof.Proof) (unproven []string, err error) {
	c := claim{what: "event", unproven: []string{"durable"}}
	if c.values, err = readFields("--event", name, maxLine, "untorn read --json"); err != nil {
		return nil, err
	}
	event, err := provenEvent(s, p)
	if err != nil {
		return nil, err
	}
	if event.Erasable {
		c.unproven = append(c.unproven, "erased") // what is erased has the same proof as before
	}
	in := input{values: c.values}
	data, meta := in.bytes("data"), in.bytes("meta")
	if in.err != nil {
		return nil, command.Usage("--event: %s: %w", name, in.err)
	}
	for _, content := range []string{"data", "data64", "meta", "meta64"} {
		delete(c.values, content) // the same may stand in either; its hash is compared
	}
	if unproven, err = c.compare(appendEvent(nil, &event)); err != nil {
		return nil, err
	}
	if event.Erasable {
		return nil, errors.New("the content of the event may be erased, and is salted: it cannot be compared without the salt")
	}
	return unproven, proof.VerifyContent(p, nil, meta, data)
}

// provenEvent is the event as a proof has it: all but its content. What has been signed was
// durable.
func provenEvent(s *proof.Statement, p *proof.Proof) (engine.Event, error) {
	found, err := p.Event()
	if err != nil {
		return engine.Event{}, err
	}
	e := &found.Event
	event := engine.Event{
		ID: e.ID, Sequence: found.Sequence, Version: e.Version, Batch: s.Batch,
		Scope: e.Scope, Stream: e.Stream, Type: e.Type,
		Time: time.Unix(0, found.Time), Clock: time.Unix(0, found.Clock),
		Key: e.Key, CausedBy: e.CausedBy, Correlation: e.Correlation,
		Lane: e.Lane, Depth: e.Depth, Flags: e.Flags,
		PayloadVersion: e.PayloadVersion, Erasable: e.Erasable, Hash: s.Hash, Durable: true,
	}
	if len(e.Extensions) > 0 {
		event.Extensions, err = record.DecodeExtensions(e.Extensions)
	}
	return event, err
}
