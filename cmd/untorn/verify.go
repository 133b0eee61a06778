package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func verifyCommand() command {
	return command{
		name:  "verify",
		short: "recompute every hash of a log",
		long: `Reads the log from the disk, from the first event to the last, and recomputes every checksum, hash and
head. Writes nothing, and changes nothing upon damage.

Somebody who can write to the disk can make up a log whose hashes are right. --head compares the log with a
head that was kept elsewhere: untorn append, inspect and verify print it as BATCH:HASH. --keys requires that
every signature in the log is by a key of a file that untorn key has printed, each of a head that the log has,
and says up to where the log is signed: what is behind that, nobody vouches for.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			dir := dirFlag(flags)
			head := flags.String("head", "", "the `head` that the log must have, as BATCH:HASH or HASH")
			trusted := flags.String("keys", "", "the `file` of keys that may have signed the log")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				var keys *proof.Keys
				if *trusted != "" {
					read, err := readKeys(*trusted)
					if err != nil {
						return err
					}
					keys = &read
				}
				expected, err := parseHead(*head)
				if err != nil {
					return err
				}
				return verify(e, name, expected, keys, *asJSON)
			}
		},
	}
}

// expectedHead is what --head says.
type expectedHead struct {
	given bool
	batch uint64 // 0: any
	hash  engine.Hash
}

func parseHead(text string) (expectedHead, error) {
	if text == "" {
		return expectedHead{}, nil
	}
	expected := expectedHead{given: true}
	number, digits, found := strings.Cut(text, ":")
	if !found {
		number, digits = "", text
	}
	hash, err := hex.DecodeString(digits)
	if found && err == nil {
		expected.batch, err = strconv.ParseUint(number, 10, 64)
	}
	if err != nil || len(hash) != len(expected.hash) || found && expected.batch == 0 {
		return expectedHead{}, usage("--head is %q: write BATCH:HASH as untorn inspect prints it, the hash with 64 hex digits", text)
	}
	copy(expected.hash[:], hash)
	return expected, nil
}

// mismatch says how the log's head differs from the expected one.
func (h expectedHead) mismatch(head engine.LogHead) error {
	switch {
	case !h.given || h.hash == head.Hash && (h.batch == 0 || h.batch == head.Batch):
		return nil
	case head.Batch == 0:
		return errors.New("the log is empty, it does not have the head of --head")
	case h.batch != 0 && h.batch != head.Batch:
		return fmt.Errorf("the log is at batch %d, --head is of batch %d: compare with a head of the same batch", head.Batch, h.batch)
	}
	return fmt.Errorf("the log's head is %d:%v, not that of --head: it is not the log that was there, or it has gone on since", head.Batch, head.Hash)
}

func verify(e *env, dir string, expected expectedHead, keys *proof.Keys, asJSON bool) error {
	log, err := e.openToRead(dir, true)
	if err != nil {
		return err
	}
	defer log.Close()
	var found engine.Verification
	if keys != nil {
		found, err = log.VerifySigned(context.Background(), *keys)
	} else {
		found, err = log.Verify(context.Background())
	}
	if err != nil && !errors.Is(err, engine.ErrCorrupt) {
		return err
	}
	recovery := log.Recovery()
	problems := merge(recovery.Damage, found.Problems)
	different := expected.mismatch(found.Head)
	if different == nil && expected.given && recovery.UnprovenBatches > 0 {
		different = fmt.Errorf("the log has the head of --head, and %s behind it that may not be durable, not verified: it is not as it was when that was its head",
			count(recovery.UnprovenBatches, "batch", "batches"))
	}
	if different == nil && keys != nil && len(problems) == 0 && !found.Signed.Signed() {
		different = errors.New("the log has no signature: nobody vouches for it")
	}
	if asJSON {
		verifyJSON(e, found, keys != nil, recovery, problems, len(problems) == 0 && different == nil)
	} else {
		verifyText(e, found, keys != nil, problems)
	}
	for _, remark := range found.Remarks {
		e.note("%s", remark)
	}
	if behind := found.Head.Sequence - found.Signed.Sequence; keys != nil && len(problems) == 0 && found.Signed.Signed() && behind > 0 {
		e.note("%s behind the last signature: nobody vouches for them", count(behind, "event stands", "events stand"))
	}
	if recovery.Torn {
		e.note("the end is torn at byte %d of segment %d (%s): a power cut leaves that of what nobody was told of", recovery.TornAt.Offset, recovery.TornAt.Segment, recovery.TornReason)
	}
	if recovery.UnprovenBatches > 0 {
		e.note("%s at the end may not be durable yet, and not verified: untorn append makes them so when it opens the log", count(recovery.UnprovenBatches, "batch", "batches"))
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w in %s: nothing was changed; untorn read --salvage reads what is whole",
			engine.ErrCorrupt, count(uint64(len(problems)), "place", "places"))
	}
	return different
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

func verifyText(e *env, found engine.Verification, signed bool, problems []*engine.CorruptError) {
	for _, problem := range problems {
		fmt.Fprintf(e.stdout, "damaged: %s\n", oneLine(problem.Error()))
	}
	if len(problems) > 0 {
		return
	}
	fmt.Fprintf(e.stdout, "%s in %s and %s verified", count(found.Events, "event", "events"),
		count(found.Batches, "batch", "batches"), count(uint64(found.Segments), "segment", "segments"))
	if found.Head.Batch > 0 {
		fmt.Fprintf(e.stdout, "; the log ends at event %d, head %d:%v", found.Head.Sequence, found.Head.Batch, found.Head.Hash)
	}
	if signed && found.Signed.Signed() {
		fmt.Fprintf(e.stdout, "; signed up to event %d, head %d:%v, by key %s", found.Signed.Sequence, found.Signed.Batch, found.Signed.Hash, found.Signed.KeyID)
	}
	e.stdout.WriteByte('\n')
}

func verifyJSON(e *env, found engine.Verification, signed bool, recovery engine.Recovery, problems []*engine.CorruptError, fine bool) {
	o := newObject(e.stdout.AvailableBuffer())
	o.truth("ok", fine)
	o.number("events", found.Events)
	o.number("batches", found.Batches)
	o.number("segments", uint64(found.Segments))
	o.number("bytes", uint64(found.Bytes))
	o.name("head")
	o.b = appendHead(o.b, found.Head)
	o.name("problems")
	o.b = append(o.b, '[')
	for i, problem := range problems {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		one := newObject(o.b)
		one.number("segment", problem.Segment)
		one.name("offset")
		one.b = strconv.AppendInt(one.b, problem.Offset, 10)
		one.number("sequence", problem.Sequence)
		one.text("where", problem.Where)
		one.text("reason", problem.Reason)
		o.b = append(one.b, '}')
	}
	o.b = append(o.b, ']')
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
	if signed && found.Signed.Signed() {
		o.name("signed")
		head := newObject(o.b)
		head.number("batch", found.Signed.Batch)
		head.number("sequence", found.Signed.Sequence)
		head.hash("hash", found.Signed.Hash)
		head.text("key", found.Signed.KeyID)
		o.b = append(head.b, '}')
	}
	e.stdout.Write(o.line())
}
