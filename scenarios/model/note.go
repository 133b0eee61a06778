package model

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/untorn-db/untorn/engine"
)

// Note is one thing that happened, told to a Model by With. Key is a text that
// is the same in every process and differs where the notes' meanings differ.
type Note interface {
	Key() string
	apply(*Model)
}

// Started says that a call was handed to the log: of AppendBatch, or of Append,
// which is a batch of one whose draft carries the key. The call is in flight
// until it is answered. The model copies the batch.
type Started struct {
	Call  int // any number that no other call in flight has
	Batch engine.Batch
	// Clock, unless zero, is the earliest time that the log's clock may have
	// shown when the call was committed. Leave it out where the clock jumps.
	Clock time.Time
}

// Answered says what a call returned. Do not note the answer that a dying
// process gets after its power was cut: nobody saw it.
type Answered struct {
	Call     int
	Receipts []engine.Receipt
	Err      error
	// Clock, unless zero, is the latest time that the log's clock may have shown
	// when the call was committed.
	Clock time.Time
}

// Covered says that Sync or WaitDurable returned nil, and that everything up to
// Sequence was accepted before it was called. For Sync that is
// Model.Accepted at its start.
type Covered struct{ Sequence uint64 }

// Served says that a read yielded these events, of which those with Durable set
// may never mean anything else again. The model keeps them; do not change them.
type Served struct{ Events []engine.Event }

// Frontiers says what Stats returned.
type Frontiers struct{ Stats engine.Stats }

// Fault says that a write was just made to fail, so that its group may have
// been rolled back, and with it the buffered events that were answered before.
// An answer with engine.ErrFailed says the same.
type Fault struct {
	Text string
	Lies bool // what was told to be durable may be gone
}

// Opened says that the log was opened, after a crash or not, and what it showed
// first: all its events in order. It decides every call that was in flight.
// The model keeps the events; do not change them.
type Opened struct {
	Events []engine.Event
	Head   engine.LogHead
	// Lossy says that the disk may have lied about syncs, so that what was
	// promised may be gone.
	Lossy bool
	// Judged, if not nil, is what Model.Judge said of Events, so that they need
	// not be compared again.
	Judged *Judgement
}

func (n Started) Key() string {
	d := newDigest()
	d.text(n.Batch.Key)
	d.number(uint64(n.Batch.Durability), uint64(len(n.Batch.Events)), uint64(n.Clock.UnixNano()))
	for i := range n.Batch.Events {
		d.draft(&n.Batch.Events[i], i)
	}
	return "start " + strconv.Itoa(n.Call) + " " + d.String()
}

func (n Answered) Key() string {
	if n.Err != nil {
		return fmt.Sprintf("answer %d %v %s", n.Call, classify(n.Err), reasonText(n.Err))
	}
	d := newDigest()
	d.number(uint64(len(n.Receipts)), uint64(n.Clock.UnixNano()))
	for i := range n.Receipts {
		r := &n.Receipts[i]
		d.bytes(r.ID[:])
		d.text(r.Scope)
		d.text(r.Stream)
		d.number(r.Sequence, r.Version, r.Batch, flag(r.Durable))
		d.bytes(r.Hash[:])
	}
	return "answer " + strconv.Itoa(n.Call) + " ok " + d.String()
}

func (n Covered) Key() string { return fmt.Sprintf("covered %d", n.Sequence) }

func (n Served) Key() string {
	d := newDigest()
	for i := range n.Events {
		if n.Events[i].Durable {
			d.event(&n.Events[i])
		}
	}
	return "served " + d.String()
}

func (n Frontiers) Key() string {
	d := newDigest()
	for _, f := range [...]engine.Frontier{n.Stats.Accepted, n.Stats.Written, n.Stats.Durable, n.Stats.Visible} {
		d.number(uint64(f.Time.UnixNano()), f.Sequence)
	}
	return "frontiers " + d.String()
}

func (n Fault) Key() string { return "fault " + n.Text }

func (n Opened) Key() string {
	d := newDigest()
	d.number(uint64(len(n.Events)), n.Head.Batch, n.Head.Sequence, uint64(n.Head.Time.UnixNano()), flag(n.Lossy))
	d.bytes(n.Head.Hash[:])
	for i := range n.Events {
		d.event(&n.Events[i])
	}
	return "opened " + strconv.Itoa(len(n.Events)) + " " + d.String()
}

// digest condenses a note into 128 bits: two lanes of 64-bit words, multiplied
// to 128 bits and folded. What has a variable length stands behind its length.
type digest struct{ a, b uint64 }

func newDigest() *digest { return &digest{0x243f6a8885a308d3, 0x13198a2e03707344} }

func (d *digest) word(x uint64) {
	d.a = fold(d.a^x^0xa4093822299f31d0, 0x9e3779b97f4a7c15^d.b|1)
	d.b = fold(d.b^bits.RotateLeft64(x, 32)^0x082efa98ec4e6c89, 0xc2b2ae3d27d4eb4f) + d.a
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (d *digest) number(xs ...uint64) {
	for _, x := range xs {
		d.word(x)
	}
}

func (d *digest) bytes(b []byte) {
	d.word(uint64(len(b)))
	for ; len(b) >= 8; b = b[8:] {
		d.word(binary.LittleEndian.Uint64(b))
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		d.word(binary.LittleEndian.Uint64(last[:]))
	}
}

func (d *digest) text(s string) {
	d.word(uint64(len(s)))
	for len(s) > 0 {
		var next [8]byte
		s = s[copy(next[:], s):]
		d.word(binary.LittleEndian.Uint64(next[:]))
	}
}

func (d *digest) extensions(m map[string][]byte) {
	d.number(uint64(len(m)))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		d.text(name)
		d.bytes(m[name])
	}
}

// event takes what identifies an event: its hash binds the rest, and where it
// does not, Compare says so.
func (d *digest) event(e *engine.Event) {
	d.bytes(e.ID[:])
	d.number(e.Sequence, e.Version, e.Batch)
	d.bytes(e.Hash[:])
}

func (d *digest) draft(e *engine.Draft, i int) {
	for _, s := range [...]string{e.Scope, e.Stream, e.Type, e.Key} {
		d.text(s)
	}
	d.bytes(e.Data)
	d.bytes(e.Metadata)
	d.extensions(e.Extensions)
	d.bytes(e.Correlation[:])
	d.number(uint64(e.Expect), uint64(e.Lane), uint64(e.Depth), uint64(e.Flags), uint64(e.PayloadVersion), flag(e.Erasable))
	d.text(causeText(e.CausedBy, i))
}

func (d *digest) String() string {
	d.number(0, 0) // so that the last word has gone through both lanes
	var sum [16]byte
	binary.BigEndian.PutUint64(sum[:8], d.a)
	binary.BigEndian.PutUint64(sum[8:], d.b)
	return hex.EncodeToString(sum[:])
}

// causeText is the cause in words. A cause hides what it holds, but shows it
// when printed.
func causeText(c engine.Cause, item int) string {
	if c == (engine.Cause{}) {
		return "nothing"
	}
	if j := causeItem(c, item); j >= 0 {
		return fmt.Sprintf("item %d", j)
	}
	return strings.Trim(fmt.Sprintf("%v", c), "{}")
}

// causeItem is the earlier item of the same batch that c names, or -1.
func causeItem(c engine.Cause, item int) int {
	for j := range item {
		if c == engine.Item(j) {
			return j
		}
	}
	return -1
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// State is what the timeline says of a call.
type State uint8

const (
	InFlight State = iota // started, not answered
	InDoubt               // answered so
	Buffered              // acknowledged, not covered by a sync
	Acked                 // acknowledged and covered
	Hit                   // answered with the receipts of an earlier call
	Rejected              // answered so
	Failed                // answered so
	LeftOut               // in flight, and not there at the next Open
)

// String is the state in one or two words.
func (s State) String() string {
	names := [...]string{"in flight", "in doubt", "buffered", "acknowledged", "key hit", "rejected", "failed", "left out"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// undecided: the events may be there or not.
func (s State) undecided() bool { return s == InFlight || s == InDoubt }

// classify says what an error tells of a call. A rejection changed nothing, even
// when it names an earlier call's doubt as its cause; neither did an error that
// matches none of the engine's three.
func classify(err error) State {
	switch {
	case errors.Is(err, engine.ErrRejected):
		return Rejected
	case errors.Is(err, engine.ErrInDoubt):
		return InDoubt
	case errors.Is(err, engine.ErrFailed):
		return Failed
	default:
		return Rejected
	}
}

// reasonText is the part of a refusal that the disk has to keep, and else its
// class; an error's own text may hold anything.
func reasonText(err error) string {
	var wrong *engine.WrongVersionError
	var conflict *engine.KeyConflictError
	var item *engine.ItemError
	text := ""
	if errors.As(err, &item) {
		text = fmt.Sprintf("item %d ", item.Item)
	}
	switch {
	case errors.As(err, &wrong):
		return text + fmt.Sprintf("%q/%q at %d, not %v", wrong.Scope, wrong.Stream, wrong.Actual, wrong.Expected)
	case errors.As(err, &conflict):
		for _, c := range conflict.Items {
			text += fmt.Sprintf("%d:%q:%x ", c.Item, c.Key, c.ID[:])
		}
		return text
	}
	for _, known := range [...]struct {
		err  error
		text string
	}{{engine.ErrLimit, "over the limit"}, {engine.ErrInvalid, "invalid"}, {engine.ErrNoSpace, "no space"}, {engine.ErrReadOnly, "read-only"}, {fs.ErrClosed, "closed"}} {
		if errors.Is(err, known.err) {
			return text + known.text
		}
	}
	return text
}
