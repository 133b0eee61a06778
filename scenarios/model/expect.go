package model

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

type limits struct {
	payload, metadata, events int
	bytes                     int64
}

const (
	nameLimit = 255 // bytes of a scope, stream, type or key
	// itemCost is more than what an event takes on disk beyond its content and
	// names, each frame included.
	itemCost = 1024
)

func newLimits(o engine.Options) limits {
	segment := cmp.Or(o.SegmentSize, 64<<20)
	return limits{
		payload:  cmp.Or(o.MaxPayload, 16<<20),
		metadata: cmp.Or(o.MaxMetadata, 64<<10),
		events:   cmp.Or(o.MaxBatchEvents, 4096),
		bytes:    int64(cmp.Or(o.MaxBatchBytes, int(min(32<<20, segment-8<<10)))),
	}
}

// Verdict is what a log must do with a call.
type Verdict uint8

const (
	Unsure  Verdict = iota // other calls are in flight, or a failed group may have taken events, or a limit depends on the encoding
	Commits                // new events, new receipts
	Hits                   // the receipts of the first call with the key
	Refuses                // an error that matches engine.ErrRejected
)

// String is the verdict in one word.
func (v Verdict) String() string {
	names := [...]string{"unsure", "commits", "hits", "refuses"}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Outcome is what a call must be answered with, on a disk that does not fail.
type Outcome struct {
	Verdict Verdict
	// Receipts, for Hits, are the original ones; for Commits they hold scope,
	// stream, sequence and version, all that can be foreseen.
	Receipts []engine.Receipt
	// Cause is what the error of a refusal matches besides engine.ErrRejected.
	Cause error
	// Item is the first item that is at fault, or -1.
	Item int
	// Actual is the version in a *engine.WrongVersionError.
	Actual uint64
}

// Expect says what a log that holds what the timeline tells must answer to a
// batch, submitted while no other call is in flight. The timeline needs every
// answer so far, and after a group failed a read of what it left.
func (m *Model) Expect(b engine.Batch) Outcome {
	if len(m.open) > 0 || m.shaky > 0 {
		return Outcome{Verdict: Unsure, Item: -1}
	}
	if outcome, final := m.expectValid(b); final {
		return outcome
	}
	if len(b.Events) == 0 {
		return Outcome{Verdict: Commits, Item: -1}
	}
	if keys := itemKeys(b); keys != nil {
		if outcome, final := m.expectKeys(b, keys); final {
			return outcome
		}
	}
	versions := make(map[streamName]uint64)
	receipts := make([]engine.Receipt, len(b.Events))
	for i := range b.Events {
		d := &b.Events[i]
		name := streamName{d.Scope, d.Stream}
		version, staged := versions[name]
		if !staged {
			last, _ := m.streams.get(streamKey(d.Scope, d.Stream))
			version = last.version
		}
		if !holds(d.Expect, version) {
			return Outcome{Verdict: Refuses, Cause: engine.ErrWrongVersion, Item: i, Actual: version}
		}
		versions[name] = version + 1
		receipts[i] = engine.Receipt{Scope: d.Scope, Stream: d.Stream, Sequence: m.accepted + uint64(i) + 1, Version: version + 1}
	}
	return Outcome{Verdict: Commits, Receipts: receipts, Item: -1}
}

func (m *Model) expectValid(b engine.Batch) (outcome Outcome, final bool) {
	refuse := func(cause error, item int) (Outcome, bool) {
		return Outcome{Verdict: Refuses, Cause: cause, Item: item}, true
	}
	if len(b.Events) > m.limits.events {
		return refuse(engine.ErrLimit, -1)
	}
	total, most := int64(0), int64(0)
	keyed := 0
	seen := make(map[string]bool)
	faults := 0
	var cause error
	item := -1
	fault := func(c error, i int) {
		if faults++; item < 0 {
			cause, item = c, i
		}
	}
	unsure := false
	for i := range b.Events {
		d := &b.Events[i]
		for k, name := range [...]string{d.Scope, d.Stream, d.Type, d.Key} {
			switch {
			case len(name) > nameLimit:
				fault(engine.ErrLimit, i)
			case k == 1 && name == "" || k == 2 && name == "":
				fault(engine.ErrInvalid, i)
			case !plain(name) && k == 3:
				unsure = true
			case !plain(name):
				fault(engine.ErrInvalid, i)
			}
		}
		extensions := 0
		for name, value := range d.Extensions {
			extensions += len(name) + len(value)
		}
		switch {
		case len(d.Data) > m.limits.payload, len(d.Metadata) > m.limits.metadata, extensions > m.limits.metadata:
			fault(engine.ErrLimit, i)
		case extensions+8*len(d.Extensions) > m.limits.metadata:
			unsure = true
		}
		if !causePossible(d.CausedBy, i, len(b.Events)) {
			fault(engine.ErrInvalid, i)
		}
		if d.Key != "" {
			keyed++
			switch {
			case b.Key != "":
				fault(engine.ErrInvalid, i)
			case seen[d.Key]:
				fault(nil, i) // invalid, or in conflict with itself: both are true
			}
			seen[d.Key] = true
		}
		size := int64(len(d.Data) + len(d.Metadata) + extensions)
		total += size
		most += size + size/16 + itemCost + 8*int64(len(d.Extensions))
	}
	if !plain(b.Key) {
		unsure = true
	}
	switch {
	case faults > 1:
		// Which of several faults is named first is the log's choice.
		return refuse(nil, -1)
	case faults == 1:
		return refuse(cause, item)
	case len(b.Key) > nameLimit, total > m.limits.bytes:
		return refuse(engine.ErrLimit, -1)
	case keyed > 0 && keyed < len(b.Events):
		return refuse(engine.ErrInvalid, -1)
	case unsure || most > m.limits.bytes:
		return Outcome{Verdict: Unsure, Item: -1}, true
	}
	return Outcome{}, false
}

// plain reports whether a name is UTF-8 without control characters.
func plain(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// causePossible reports whether a cause is none, an id, or an earlier item.
func causePossible(c engine.Cause, item, count int) bool {
	if c == engine.Item(-1) {
		return false
	}
	for j := item; j < count; j++ {
		if c == engine.Item(j) {
			return false
		}
	}
	return true
}

func (m *Model) expectKeys(b engine.Batch, keys []string) (outcome Outcome, final bool) {
	known := 0
	first := -1 // item whose key is new or whose event is another
	receipts := make([]engine.Receipt, len(keys))
	var batch uint64
	for i, key := range keys {
		sequence, ok := m.keys.get(key)
		if !ok {
			if first < 0 {
				first = i
			}
			continue
		}
		known++
		e := &m.entry(sequence).event
		d := &b.Events[i]
		receipts[i] = receiptOf(e)
		same := e.Scope == d.Scope && e.Stream == d.Stream && e.Type == d.Type && e.PayloadVersion == d.PayloadVersion && bytes.Equal(e.Data, d.Data)
		if i == 0 || batch == 0 {
			batch = e.Batch
		}
		if !same || e.Batch != batch || i > 0 && receipts[i-1].Sequence+1 != sequence {
			if first < 0 {
				first = i
			}
		}
	}
	if known == 0 {
		return Outcome{}, false
	}
	conflict := Outcome{Verdict: Refuses, Cause: engine.ErrKeyConflict, Item: -1}
	if known < len(keys) || first >= 0 {
		return conflict, true
	}
	// The first call's batch must not be longer, at either end.
	for _, sequence := range [...]uint64{receipts[0].Sequence - 1, receipts[len(receipts)-1].Sequence + 1} {
		if e := m.entry(sequence); e != nil && e.event.Batch == batch {
			return conflict, true
		}
	}
	return Outcome{Verdict: Hits, Receipts: receipts, Item: -1}, true
}

// Differs says in words how an answer is not the expected one, or returns "".
func (o Outcome) Differs(receipts []engine.Receipt, err error) string {
	switch o.Verdict {
	case Unsure:
		return ""
	case Refuses:
		return o.differsRefusal(err)
	}
	if err != nil {
		return fmt.Sprintf("the call %v, found an error: %v", o.Verdict, classify(err))
	}
	if len(receipts) != len(o.Receipts) {
		return fmt.Sprintf("%d receipts, found %d", len(o.Receipts), len(receipts))
	}
	for i := range receipts {
		want, got := o.Receipts[i], receipts[i]
		if o.Verdict == Commits {
			if got.ID == uuid.Nil {
				return fmt.Sprintf("an id in receipt %d, found none", i)
			}
			want.ID, want.Hash, want.Batch = got.ID, got.Hash, got.Batch
		}
		if !want.Equal(got) {
			return fmt.Sprintf("receipt %d of %q/%q with sequence %d, version %d, batch %d; found %q/%q, %d, %d, %d, or another id or hash",
				i, want.Scope, want.Stream, want.Sequence, want.Version, want.Batch, got.Scope, got.Stream, got.Sequence, got.Version, got.Batch)
		}
	}
	return ""
}

func (o Outcome) differsRefusal(err error) string {
	if err == nil {
		return fmt.Sprintf("a refusal (%v), found none", o.Cause)
	}
	if !errors.Is(err, engine.ErrRejected) {
		return fmt.Sprintf("a refusal (%v), found %v", o.Cause, classify(err))
	}
	if o.Cause != nil && !errors.Is(err, o.Cause) {
		return fmt.Sprintf("an error that matches %q, found another: %s", o.Cause, reasonText(err))
	}
	var item *engine.ItemError
	if o.Item >= 0 && errors.As(err, &item) && item.Item != o.Item {
		return fmt.Sprintf("item %d to be named, found item %d", o.Item, item.Item)
	}
	var wrong *engine.WrongVersionError
	if o.Cause == engine.ErrWrongVersion && errors.As(err, &wrong) && wrong.Actual != o.Actual {
		return fmt.Sprintf("version %d to be named, found %d", o.Actual, wrong.Actual)
	}
	return ""
}
