package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/internal/index"
	"github.com/untorn-db/untorn/engine/record"
)

// Append appends one event, durably: a batch of one.
func (l *Log) Append(ctx context.Context, draft Draft) (Receipt, error) {
	receipts, err := l.AppendBatch(ctx, Batch{Events: []Draft{draft}})
	if err != nil {
		return Receipt{}, err
	}
	return receipts[0], nil
}

// AppendBatch appends all events of a batch, or none. An empty batch touches
// nothing.
//
// The context is looked at until the batch is taken into a group; from then on
// the call waits for the true outcome. Every error matches ErrRejected,
// ErrFailed or ErrInDoubt; a rejection also matches what is wrong:
// ErrWrongVersion, ErrKeyConflict, ErrLimit, ErrInvalid, ErrClosed, ErrReadOnly
// or ErrLogFailed.
func (l *Log) AppendBatch(ctx context.Context, batch Batch) ([]Receipt, error) {
	if len(batch.Events) == 0 {
		return nil, nil
	}
	c := &call{batch: batch}
	if err := l.validate(c); err != nil {
		return nil, fmt.Errorf("engine: append: %w: %w", ErrRejected, err)
	}
	if err := l.begin(ctx); err != nil {
		return nil, fmt.Errorf("engine: append: %w: %w", ErrRejected, err)
	}
	l.commit([]*call{c})
	l.end()
	if c.err != nil {
		return nil, fmt.Errorf("engine: append: %w", c.err)
	}
	return c.receipts, nil
}

// call is one AppendBatch on its way.
type call struct {
	batch      Batch
	keys       []string // of the items; nil when there are none
	extensions [][]byte // of the items, encoded; nil when there are none

	// Set by the commit.
	refusal  error        // why nothing is written for it
	hit      bool         // the receipts are those of an earlier call
	staged   *stagedBatch // what is to be written
	receipts []Receipt    // the answer
	err      error        // the answer
}

// validate refuses what can be refused without looking at the log. It reports
// every problem at once.
func (l *Log) validate(c *call) error {
	b := &c.batch
	var problems []error
	item := -1
	problem := func(kind error, format string, args ...any) {
		err := fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
		if item >= 0 {
			err = &ItemError{Item: item, Err: err}
		}
		problems = append(problems, err)
	}
	text := func(field, value string, least int) {
		switch {
		case len(value) > maxNameLength:
			problem(ErrLimit, "%s has %d bytes, at most %d are allowed", field, len(value), maxNameLength)
		case len(value) < least:
			problem(ErrInvalid, "%s is empty", field)
		case !validText(value):
			problem(ErrInvalid, "%s %q is not UTF-8 without control characters", field, value)
		}
	}
	length := func(field string, n, most int) {
		if n > most {
			problem(ErrLimit, "%s has %d bytes, at most %d are allowed", field, n, most)
		}
	}
	if len(b.Events) > l.opts.MaxBatchEvents {
		problem(ErrLimit, "the batch has %d events, at most %d are allowed", len(b.Events), l.opts.MaxBatchEvents)
		return errors.Join(problems...)
	}
	if b.Durability > Buffered {
		problem(ErrInvalid, "unknown durability %d", b.Durability)
	}
	length("the batch's key", len(b.Key), maxNameLength)
	keyed, content := 0, int64(0)
	for i := range b.Events {
		item = i
		d := &b.Events[i]
		text("Scope", d.Scope, 0)
		text("Stream", d.Stream, 1)
		text("Type", d.Type, 1)
		length("Data", len(d.Data), l.opts.MaxPayload)
		length("Metadata", len(d.Metadata), l.opts.MaxMetadata)
		length("Key", len(d.Key), maxNameLength)
		if d.Key != "" {
			keyed++
		}
		if d.CausedBy.item < 0 || d.CausedBy.item > i {
			problem(ErrInvalid, "CausedBy names item %d: only earlier items of the batch can be a cause", d.CausedBy.item-1)
		}
		if len(d.Extensions) > 0 {
			if c.extensions == nil {
				c.extensions = make([][]byte, len(b.Events))
			}
			c.extensions[i] = record.AppendExtensions(nil, d.Extensions)
			length("Extensions", len(c.extensions[i]), l.opts.MaxMetadata)
			content += int64(len(c.extensions[i]))
		}
		content += int64(len(d.Data)) + int64(len(d.Metadata))
	}
	item = -1
	if content > int64(l.opts.MaxBatchBytes) {
		// What it takes in all is known only when its place in the log is.
		problem(ErrLimit, "the batch has %d bytes of content, at most %d are allowed", content, l.opts.MaxBatchBytes)
	}
	switch {
	case b.Key != "" && keyed > 0:
		problem(ErrInvalid, "the batch has a key and %d of its events have one, too: give keys to one of both", keyed)
	case keyed > 0 && keyed < len(b.Events):
		problem(ErrInvalid, "%d of %d events have a key: all or none", keyed, len(b.Events))
	case b.Key != "":
		c.keys = make([]string, len(b.Events))
		for i := range c.keys {
			c.keys[i] = b.Key + "/" + strconv.Itoa(i)
		}
	case keyed > 0:
		c.keys = make([]string, len(b.Events))
		seen := make(map[string]int, len(b.Events))
		for i := range b.Events {
			key := b.Events[i].Key
			if first, ok := seen[key]; ok {
				item = i
				problem(ErrInvalid, "key %q is that of item %d, too", key, first)
			}
			seen[key], c.keys[i] = i, key
		}
	}
	return errors.Join(problems...)
}

func validText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// lookUpKeys answers a call from its keys. It returns nil receipts and no error
// when all keys are new.
func (l *Log) lookUpKeys(c *call) ([]Receipt, error) {
	if c.keys == nil {
		return nil, nil
	}
	b := &c.batch
	receipts := make([]Receipt, len(c.keys))
	var conflict KeyConflictError
	known, first := 0, uint64(0)
	r := l.reader()
	defer l.giveBack(r)
	for i, key := range c.keys {
		ordinal, ok := l.index.ByKey(key)
		if !ok {
			conflict.Items = append(conflict.Items, KeyConflict{Item: i, Key: key, Reason: "not known, though others of the batch are"})
			continue
		}
		known++
		if err := r.read(ordinal, ordinal); err != nil {
			return nil, fmt.Errorf("look up key %q: %w", key, err)
		}
		if i == 0 {
			first = ordinal
		}
		if reason := l.differs(&r.raw, &b.Events[i], ordinal, first+uint64(i), i, len(c.keys)); reason != "" {
			conflict.Items = append(conflict.Items, KeyConflict{Item: i, Key: key, Reason: reason, ID: r.raw.ID})
			continue
		}
		receipts[i] = r.receipt()
	}
	switch {
	case known == 0:
		return nil, nil
	case len(conflict.Items) > 0:
		return nil, &conflict
	}
	return receipts, nil
}

// differs says how a draft differs from the event that has its key.
func (l *Log) differs(e *record.Event, d *Draft, ordinal, want uint64, item, items int) string {
	batch := l.index.BatchOf(ordinal)
	switch {
	case batch.Ordinal+uint64(item) != ordinal || ordinal != want || int(batch.Events) != items:
		return "used in another batch, or at another place of it"
	case e.Scope != d.Scope || e.Stream != d.Stream:
		return fmt.Sprintf("used for stream %q of scope %q", e.Stream, e.Scope)
	case e.Type != d.Type:
		return fmt.Sprintf("used for an event of type %q", e.Type)
	case e.PayloadVersion != d.PayloadVersion:
		return fmt.Sprintf("used for payload version %d", e.PayloadVersion)
	case !bytes.Equal(e.Payload, d.Data):
		return "used for another payload"
	}
	return ""
}

// staging is the state of the log as later calls of a group, and later items of
// a batch, see it.
type staging struct {
	point
	streams map[index.Name]index.Stream // nil where the group has one call
}

func (l *Log) stream(s *staging, name index.Name) index.Stream {
	if stream, ok := s.streams[name]; ok {
		return stream
	}
	stream, ok := l.index.Stream(name)
	if !ok {
		stream.Hash = chain.StreamRoot(l.logID, name.Scope, name.Stream)
	}
	stream.Ordinals = nil
	return stream
}

// expect checks what a draft requires of its stream.
func (d *Draft) expect(version uint64) error {
	switch {
	case d.Expect == Any,
		d.Expect == StreamExists && version > 0,
		d.Expect != StreamExists && uint64(d.Expect)-1 == version:
		return nil
	}
	return &WrongVersionError{Scope: d.Scope, Stream: d.Stream, Expected: d.Expect, Actual: version}
}

// newID makes a UUIDv7 (RFC 9562, section 5.7) from the event's time and the
// log's randomness.
func (l *Log) newID(ns int64) (uuid.UUID, error) {
	var id uuid.UUID
	if _, err := io.ReadFull(l.random, id[6:]); err != nil {
		return id, fmt.Errorf("draw an id: %w", err)
	}
	ms := uint64(max(ns, 0)) / 1e6
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}
