package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// openDir opens a log in a directory and closes it, verified, with the test.
func openDir(t *testing.T, options engine.Options) *engine.Log {
	t.Helper()
	log, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// all reads a query to its end.
func all(t *testing.T, log *engine.Log, q engine.Query) []engine.Event {
	t.Helper()
	var events []engine.Event
	for event, err := range log.Read(q) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}

func verified(t *testing.T, log *engine.Log) engine.Verification {
	t.Helper()
	v, err := log.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if v.Head != log.LogHead() {
		t.Fatalf("verified head %+v, log head %+v", v.Head, log.LogHead())
	}
	return v
}

// atEach checks that At knows the events that Read shows, and of those up to a
// sequence no other.
func atEach(t *testing.T, log *engine.Log, to uint64) {
	t.Helper()
	shown := map[uint64]engine.Event{}
	for _, event := range all(t, log, engine.Query{}) {
		shown[event.Sequence] = event
		to = max(to, event.Sequence)
	}
	for sequence := range to + 1 {
		got, err := log.At(sequence)
		switch want, ok := shown[sequence]; {
		case ok && (err != nil || !reflect.DeepEqual(got, want)):
			t.Errorf("event %d: %+v, %v; want %+v", sequence, got, err, want)
		case !ok && !errors.Is(err, engine.ErrNotFound):
			t.Errorf("event %d, which is not shown: %v", sequence, err)
		}
	}
	if _, err := log.At(math.MaxUint64); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the last event that can be: %v", err)
	}
}

func TestAt(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	atEach(t, log, 2)
	appended(t, log, "one", "two")
	appended(t, log, "three")
	buffered(t, log, "four")
	_, err := log.At(4)
	if text := "engine: event 4: " + engine.ErrNotFound.Error(); err == nil || err.Error() != text {
		t.Errorf("buffered: %v, want %s", err, text)
	}
	atEach(t, log, 5)
	if err := log.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if event, err := log.At(4); string(event.Data) != "four" || !event.Durable || err != nil {
		t.Errorf("durable: %+v, %v", event, err)
	}
	closed(t, log)

	// A follower is told when its log is another one now.
	follower := m.readOnly()
	other := newMachine(t, engine.Options{})
	other.lives = 100
	log = other.open()
	appended(t, log, "ONE", "TWO", "THREE", "FOUR")
	closed(t, log)
	write(t, m.disk, tree(t, other.disk))
	if _, err := follower.At(3); !errors.Is(err, engine.ErrRecovered) {
		t.Errorf("of another log: %v", err)
	}
	closed(t, follower)
}

func TestWhatIsAppendedIsReadAgain(t *testing.T) {
	dir := t.TempDir() + "/a/b"
	ctx := context.Background()
	log := openDir(t, engine.Options{Dir: dir})
	big := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	cause := uuid.MustParse("01890000-0000-7000-8000-000000000001")
	batch := engine.Batch{
		Key: "request-1",
		Events: []engine.Draft{
			{Stream: "order-42", Type: "order.placed", Data: []byte("one"), Expect: engine.NoStream, CausedBy: engine.ByID(cause)},
			{Stream: "ledger", Type: "entry.booked", Data: big, Metadata: []byte("meta"), CausedBy: engine.Item(0), Flags: 7, PayloadVersion: 3},
			{Scope: "other", Stream: "order-42", Type: "order.placed", Lane: 2, Depth: 3, Erasable: true, Extensions: map[string][]byte{"b": []byte("2"), "a": nil}},
			{Stream: "order-42", Type: "order.paid", Expect: engine.Exactly(1), CausedBy: engine.Item(0)},
		},
	}
	receipts, err := log.AppendBatch(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	check := func(log *engine.Log) {
		t.Helper()
		events := all(t, log, engine.Query{})
		if len(events) != len(batch.Events) {
			t.Fatalf("read %d events, want %d", len(events), len(batch.Events))
		}
		for i, e := range events {
			d := batch.Events[i]
			if e.Stream != d.Stream || e.Scope != d.Scope || e.Type != d.Type || !bytes.Equal(e.Data, d.Data) || !bytes.Equal(e.Metadata, d.Metadata) ||
				e.Flags != d.Flags || e.PayloadVersion != d.PayloadVersion || e.Lane != d.Lane || e.Depth != d.Depth || e.Erasable != d.Erasable ||
				e.Sequence != uint64(i+1) || e.ID != receipts[i].ID || e.Hash != receipts[i].Hash || e.Version != receipts[i].Version ||
				e.Key != fmt.Sprintf("request-1/%d", i) || e.Correlation != e.ID || len(e.Extensions) != len(d.Extensions) || !e.Durable {
				t.Errorf("event %d is %+v, draft %+v", i, e, d)
			}
			if err := log.VerifyReceipt(receipts[i]); err != nil {
				t.Error(err)
			}
			wrong := receipts[i]
			wrong.Hash[0]++
			if err := log.VerifyReceipt(wrong); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("a receipt with another hash verifies: %v", err)
			}
			got, err := log.Get(e.ID)
			if err != nil || got.Hash != e.Hash {
				t.Errorf("Get: %+v, %v", got, err)
			}
			if got, err := log.At(e.Sequence); err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("At: %+v, %v", got, err)
			}
		}
		if events[0].CausedBy != cause || events[1].CausedBy != events[0].ID || events[3].CausedBy != events[0].ID {
			t.Error("causes are wrong")
		}
		if got := all(t, log, engine.Query{Stream: "order-42", Backward: true}); len(got) != 2 || got[0].Version != 2 || got[1].Version != 1 {
			t.Errorf("backward: %+v", got)
		}
		if head := log.Head("", "order-42"); head.Version != 2 || head.Sequence != 4 || head.Hash != receipts[3].Hash {
			t.Errorf("head %+v", head)
		}
		again, err := log.AppendBatch(ctx, batch)
		if err != nil {
			t.Fatal(err)
		}
		for i := range again {
			if !again[i].Equal(receipts[i]) {
				t.Errorf("a retry answers %+v, want %+v", again[i], receipts[i])
			}
		}
		verified(t, log)
	}
	check(log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	reopened := openDir(t, engine.Options{Dir: dir})
	check(reopened)
	if r := reopened.Recovery(); r.Torn || r.Fresh != 0 {
		t.Errorf("recovery after a clean close: %+v", r)
	}
}

func TestRotationAndReopen(t *testing.T) {
	for _, options := range []engine.Options{{}, {Align: 4096}, {Preallocate: -1}, {Preallocate: 8192}} {
		t.Run(fmt.Sprintf("align=%d,preallocate=%d", options.Align, options.Preallocate), func(t *testing.T) {
			options.Dir = t.TempDir()
			options.SegmentSize = 64 << 10
			ctx := context.Background()
			var want []string
			for session := range 4 {
				log := openDir(t, options)
				for i := range 60 {
					data := strings.Repeat(fmt.Sprintf("%d.%d ", session, i), 1+i*20)
					durability := engine.Durable
					if i%3 == 1 {
						durability = engine.Buffered
					}
					if _, err := log.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Data: []byte(data)}}, Durability: durability}); err != nil {
						t.Fatal(err)
					}
					want = append(want, data)
				}
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
				log = openDir(t, options)
				events := all(t, log, engine.Query{})
				if len(events) != len(want) {
					t.Fatalf("read %d events, want %d", len(events), len(want))
				}
				for i, e := range events {
					if string(e.Data) != want[i] || e.Sequence != uint64(i+1) || e.Version != uint64(i+1) {
						t.Fatalf("event %d is %d, version %d", i, e.Sequence, e.Version)
					}
				}
				verified(t, log)
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
