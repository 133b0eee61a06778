package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func verifyCommand() command.Command {
	return command.Command{
		Name:  "verify",
		Short: "recompute every hash of a log",
		Form:  "--dir DIR [flags]",
		Long: `Reads the log from the disk, from the first event to the last, and recomputes every checksum, hash and
head. Writes nothing, and changes nothing upon damage.

Somebody who can write to the disk can make up a log whose hashes are right. --head compares the log with a
head that was kept elsewhere: untorn append, inspect, sign, verify, backup and import print it as BATCH:HASH. The
log must have had it after that batch, and may have gone on since: a note says how far. --keys requires that every signature
in the log is by a key of a file that untorn key has printed, each of a head that the log has, and says up to
where the log is signed: what comes after, nobody vouches for.

There is nothing to repair by hand. What a power cut has torn, untorn append leaves behind when it opens the log;
what is damaged stays as it is, and untorn read --salvage reads what is whole beside it.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn verify --dir data", Says: "every hash once more"},
			{Line: "untorn verify --dir data --head $(cat head)", Says: "the log still has the head that was kept in a file"},
			{Line: "untorn verify --dir data --keys keys", Says: "and who has signed it"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			head := flags.String("head", "", "the `head` that the log must have, or have had, as BATCH:HASH")
			trusted := flags.String("keys", "", "the `file` of keys that may have signed the log")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				v := verification{Env: e, file: *trusted, json: *asJSON}
				if v.kept, err = parseHead(*head); err != nil {
					return err
				}
				if *trusted != "" {
					read, err := readKeys(*trusted)
					if err != nil {
						return err
					}
					v.keys = &read
				}
				return v.run(name)
			}
		},
	}
}

// parseHead returns the head that --head names, or none.
func parseHead(text string) ([]engine.LogHead, error) {
	if text == "" {
		return nil, nil
	}
	var head engine.LogHead
	number, digits, _ := strings.Cut(text, ":")
	batch, wrong := strconv.ParseUint(number, 10, 64)
	hash, err := hex.DecodeString(digits)
	if wrong != nil || batch == 0 || err != nil || len(hash) != len(head.Hash) {
		return nil, command.Usage("--head is %q: write BATCH:HASH as untorn inspect prints it, the hash with 64 hex digits", text)
	}
	head.Batch, head.Hash = batch, engine.Hash(hash)
	return []engine.LogHead{head}, nil
}

// verification is a run of untorn verify.
type verification struct {
	*command.Env
	kept []engine.LogHead // that of --head, or none
	keys *proof.Keys      // nil: signatures are not looked at
	file string           // that the keys are from
	json bool

	found     engine.Verification
	recovery  engine.Recovery
	problems  []*engine.CorruptError // damage
	untrusted []*engine.CorruptError // signatures that the keys do not vouch for
	fine      bool                   // nothing is damaged, and the log is the one that was expected
}

func (v *verification) run(dir string) error {
	log, err := openToRead(v.Env, dir, true)
	if err != nil {
		return err
	}
	defer log.Close()
	if v.keys != nil {
		v.found, err = log.VerifySigned(context.Background(), *v.keys, v.kept...)
	} else {
		v.found, err = log.Verify(context.Background(), v.kept...)
	}
	if err != nil && !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	v.recovery = log.Recovery()
	for _, problem := range merge(v.recovery.Damage, v.found.Problems) {
		if distrust(problem) != nil {
			v.untrusted = append(v.untrusted, problem)
		} else {
			v.problems = append(v.problems, problem)
		}
	}
	different := v.different()
	v.fine = different == nil && len(v.problems) == 0
	if v.json {
		v.printJSON()
	} else {
		v.printText()
	}
	v.notes()
	if len(v.problems) > 0 {
		return fmt.Errorf("%w in %s: nothing was changed; untorn read --salvage reads what is whole",
			engine.ErrCorrupt, command.Count(uint64(len(v.problems)), "place", "places"))
	}
	return different
}

// different says how the log, which may be whole, is not the one that was expected. Of a
// damaged one only signatures are told.
func (v *verification) different() error {
	err := v.distrusted()
	switch {
	case err != nil || len(v.problems) > 0:
		return err
	case len(v.found.Missing) > 0:
		return v.missing()
	case v.keys != nil && !v.found.Signed.Signed():
		return errors.New("the log has no signature: nobody vouches for it; untorn sign makes one")
	}
	return nil
}

// missing says how the log, all of which is whole, comes not to have the kept head.
func (v *verification) missing() error {
	last, kept := v.found.Head, v.found.Missing[0]
	switch {
	case kept.Batch <= last.Batch:
		return fmt.Errorf("the log does not have the head of --head after batch %d: it is not the log that was there", kept.Batch)
	case kept.Batch-last.Batch <= v.recovery.UnprovenBatches:
		return fmt.Errorf("the log is verified up to batch %d, and --head is of batch %d, which may not be durable yet: close the log, or compare once something was appended after it",
			last.Batch, kept.Batch)
	}
	return fmt.Errorf("the log ends with batch %d, and --head is of batch %d: what came after is gone, or this is another log", last.Batch, kept.Batch)
}

// since counts the batches after the kept head, which holds, with those that were not
// verified since nothing proves them yet.
func (v *verification) since() uint64 {
	if len(v.kept) == 0 {
		return 0
	}
	return v.found.Head.Batch + v.recovery.UnprovenBatches - v.kept[0].Batch
}

// distrust returns why a signature was refused that is whole; nil if it is not.
func distrust(problem *engine.CorruptError) error {
	for _, reason := range []proof.Reason{proof.UnknownKey, proof.BadSignature, proof.RetiredKey} {
		if errors.Is(problem.Err, reason) {
			return reason
		}
	}
	return nil
}

// distrusted says which signature the keys do not vouch for, and how that comes.
func (v *verification) distrusted() error {
	if len(v.untrusted) == 0 {
		return nil
	}
	first := v.untrusted[0] // its Reason names the head and the key
	text := ""
	switch reason := distrust(first); reason {
	case proof.UnknownKey:
		text = fmt.Sprintf("no such key in %s: add its line if that key is trusted, untorn key FILE prints it", v.file)
	case proof.BadSignature:
		text = fmt.Sprintf("the key of this id in %s did not make it: it is an old one, or somebody else has signed", v.file)
	default:
		text = fmt.Sprintf("%v, says %s", first.Err, v.file)
	}
	if more := len(v.untrusted) - 1; more > 0 {
		text += "; " + command.Count(uint64(more), "more signature is refused", "more signatures are refused")
	}
	return fmt.Errorf("%s: %s", first.Reason, text)
}

// notes tells what is no failure.
func (v *verification) notes() {
	for _, remark := range v.found.Remarks {
		v.Note("%s", remark)
	}
	if since := v.since(); v.fine && since > 0 {
		v.Note("the head of batch %d holds; the log has gone on to batch %d", v.kept[0].Batch, v.kept[0].Batch+since)
	}
	if after := v.found.Head.Sequence - v.found.Signed.Sequence; v.fine && v.keys != nil && after > 0 {
		v.Note("%s after the last signature: nobody vouches for them", command.Count(after, "event stands", "events stand"))
	}
	if v.recovery.Torn {
		v.Note("the end is torn at byte %d of segment %d (%s): a power cut leaves that of what nobody was told of; the next untorn append repairs it", v.recovery.TornAt.Offset, v.recovery.TornAt.Segment, v.recovery.TornReason)
	}
	if v.recovery.UnprovenBatches > 0 {
		v.Note("%s at the end may not be durable yet, and not verified: untorn append makes them so when it opens the log", command.Count(v.recovery.UnprovenBatches, "batch", "batches"))
	}
}

// merge joins what opening and verifying found, and names a place once.
func merge(lists ...[]*engine.CorruptError) []*engine.CorruptError {
	type place struct {
		segment uint64
		offset  int64
	}
	seen := map[place]bool{}
	var all []*engine.CorruptError
	for _, list := range lists {
		for _, problem := range list {
			if at := (place{problem.Segment, problem.Offset}); !seen[at] {
				seen[at] = true
				all = append(all, problem)
			}
		}
	}
	return all
}

func (v *verification) printText() {
	e, found := v.Env, &v.found
	for _, problem := range v.problems {
		fmt.Fprintf(e.Stdout, "damaged: %s\n", command.OneLine(problem.Error()))
	}
	if len(v.problems)+len(v.untrusted) > 0 {
		return
	}
	fmt.Fprintf(e.Stdout, "%s in %s and %s verified", command.Count(found.Events, "event", "events"),
		command.Count(found.Batches, "batch", "batches"), command.Count(uint64(found.Segments), "segment", "segments"))
	if found.Head.Batch > 0 {
		fmt.Fprintf(e.Stdout, "; the log ends at event %d, head %d:%v", found.Head.Sequence, found.Head.Batch, found.Head.Hash)
	}
	if v.keys != nil && found.Signed.Signed() {
		fmt.Fprintf(e.Stdout, "; signed up to event %d, head %d:%v, by key %s", found.Signed.Sequence, found.Signed.Batch, found.Signed.Hash, found.Signed.KeyID)
	}
	e.Stdout.WriteByte('\n')
}

func (v *verification) printJSON() {
	e, found, recovery := v.Env, &v.found, &v.recovery
	o := newObject(e.Stdout.AvailableBuffer())
	o.truth("ok", v.fine)
	o.number("events", found.Events)
	o.number("batches", found.Batches)
	o.number("segments", uint64(found.Segments))
	o.number("bytes", uint64(found.Bytes))
	o.head(found.Head)
	list(o, "problems", v.problems, (*object).problem)
	if len(v.untrusted) > 0 {
		list(o, "untrusted", v.untrusted, (*object).problem)
	}
	o.name("remarks")
	o.b = append(o.b, '[')
	for i, remark := range found.Remarks {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendString(o.b, remark)
	}
	o.b = append(o.b, ']')
	o.number("unproven", recovery.Unproven)
	o.number("unprovenBatches", recovery.UnprovenBatches)
	o.truth("torn", recovery.Torn)
	if v.keys != nil && found.Signed.Signed() {
		o.object("signed", func(o *object) { o.signed(&found.Signed) })
	}
	if len(v.kept) > 0 && v.fine {
		o.number("batchesSince", v.since())
	}
	e.Stdout.Write(o.line())
}
