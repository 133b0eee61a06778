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
)

func verifyCommand() command {
	return command{
		name:  "verify",
		short: "recompute every hash of a log",
		long: `Reads the log from the disk, from the first event to the last, and recomputes every checksum, hash and
head. Writes nothing, and changes nothing upon damage.

Somebody who can write to the disk can make up a log whose hashes are right. --head compares the log with a
head that was kept elsewhere: untorn append, inspect and verify print it as BATCH:HASH.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			dir := dirFlag(flags)
			head := flags.String("head", "", "the `head` that the log must have, as BATCH:HASH or HASH")
			asJSON := jsonFlag(flags, "print one JSON object")
			return func(e *env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				expected, err := parseHead(*head)
				if err != nil {
					return err
				}
				return verify(e, name, expected, *asJSON)
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

func verify(e *env, dir string, expected expectedHead, asJSON bool) error {
	log, err := e.openToRead(dir, true)
	if err != nil {
		return err
	}
	defer log.Close()
	found, err := log.Verify(context.Background())
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
	if asJSON {
		verifyJSON(e, found, recovery, problems, len(problems) == 0 && different == nil)
	} else {
		verifyText(e, found, problems)
	}
	for _, remark := range found.Remarks {
		e.note("%s", remark)
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

func verifyText(e *env, found engine.Verification, problems []*engine.CorruptError) {
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
	e.stdout.WriteByte('\n')
}

func verifyJSON(e *env, found engine.Verification, recovery engine.Recovery, problems []*engine.CorruptError, fine bool) {
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
	e.stdout.Write(o.line())
}
