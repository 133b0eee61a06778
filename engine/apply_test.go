package engine_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// rich opens a log and appends all that a batch may have: scopes, keys, notes,
// causes, extensions, salts, a cursor's moves, denials, signatures, a clock that falls
// behind, and more than one segment.
func rich(t *testing.T, m *machine) *engine.Log {
	t.Helper()
	m.options.Signing = signing(engine.SignOnDemand, testKey(1))
	m.options.Gates = []engine.Gate{{Name: "no", Record: true, Permit: func(_ context.Context, p *engine.Proposal) error {
		if slices.Contains(p.Types(), "bad") {
			return errors.New("it is bad")
		}
		return nil
	}}}
	log := m.open()
	ctx := context.Background()
	appended(t, log, "first")
	m.clock.Jump(-time.Hour) // behind from here on
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := log.AppendBatch(ctx, engine.Batch{Key: "k", Events: []engine.Draft{
		{Scope: "a", Stream: "x", Type: "t", Data: []byte(`{"n":1}`), Metadata: []byte("m"), Lane: 1, Depth: 2, Flags: 3, PayloadVersion: 4},
		{Scope: "a", Stream: "x", Type: "u", CausedBy: engine.Item(0), Correlation: uuid.UUID{1}, Erasable: true, Data: []byte("secret")},
		{Stream: "x", Type: "t", Extensions: map[string][]byte{"b": {0}, "": nil, "a": []byte("y")}},
	}, Notes: []engine.NoteDraft{{Name: "n", Data: []byte("1")}, {Name: "empty"}}})
	must(err)
	_, err = log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{{Name: "n", Data: []byte("2")}}})
	must(err)
	cursor, err := log.Cursor("c", engine.Query{})
	must(err)
	_, err = log.AppendBatch(ctx, engine.Batch{Events: drafts("moved"), Notes: []engine.NoteDraft{cursor.Move(0, 2)}})
	must(err)
	if _, err = log.Append(ctx, engine.Draft{Stream: "s", Type: "bad"}); !errors.Is(err, engine.ErrDenied) {
		t.Fatalf("not denied: %v", err)
	}
	_, err = log.Sign(ctx)
	must(err)
	for i := range 4 {
		appended(t, log, big(fmt.Sprint(i), 30<<10))
	}
	return log
}

func whole(t *testing.T, log *engine.Log, from uint64) []engine.WholeBatch {
	t.Helper()
	var list []engine.WholeBatch
	for b, err := range log.Batches(from) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// copyOf opens an empty log with the id of another one.
func copyOf(t *testing.T, id uuid.UUID, options engine.Options) *engine.Log {
	t.Helper()
	options.ID = id
	return newMachine(t, options).open()
}

func apply(t *testing.T, log *engine.Log, list []engine.WholeBatch, d engine.Durability) {
	t.Helper()
	for _, b := range list {
		if applied, err := log.Apply(context.Background(), b, d); err != nil || !applied {
			t.Fatalf("batch %d: applied %v, %v", b.Number, applied, err)
		}
	}
}

func TestApplyCopiesALog(t *testing.T) {
	source := rich(t, newMachine(t, engine.Options{}))
	batches := whole(t, source, 0)
	if segments := source.Stats().Segments; len(segments) < 3 {
		t.Fatalf("%d segments", len(segments))
	}
	for name, options := range map[string]engine.Options{
		"as it was":   {},
		"aligned":     {Align: 4096},
		"one segment": {SegmentSize: 1 << 20},
		"gates": {Gates: []engine.Gate{{Name: "no", Permit: func(_ context.Context, p *engine.Proposal) error {
			for _, d := range p.Events() {
				if string(d.Data) == "x" {
					return nil // what is appended here
				}
			}
			return errors.New("no")
		}}}},
		"limits of drafts": {MaxPayload: 1, MaxMetadata: 2048, MaxBatchEvents: 1, MaxBatchBytes: 4096},
	} {
		for _, durability := range []engine.Durability{engine.Durable, engine.Buffered} {
			t.Run(fmt.Sprintf("%s/%v", name, durability), func(t *testing.T) {
				m := newMachine(t, options)
				m.options.ID = source.ID()
				log := m.open()
				apply(t, log, batches, durability)
				same := func(log *engine.Log) {
					t.Helper()
					if got, want := log.LogHead(), source.LogHead(); got != want || log.ID() != source.ID() {
						t.Fatalf("head %v of log %v, want %v of %v", got, log.ID(), want, source.ID())
					}
					if got := whole(t, log, 1); !reflect.DeepEqual(got, batches) {
						t.Fatalf("the copy has\n%+v\nwant\n%+v", got, batches)
					}
					if _, err := log.VerifySigned(context.Background(), trusted(t, public("ops-1", testKey(1)))); err != nil {
						t.Fatal(err)
					}
					verified(t, log)
				}
				if err := log.Sync(context.Background()); err != nil {
					t.Fatal(err)
				}
				same(log)
				closed(t, log)
				log = m.open()
				same(log)
				// All of it is skipped from then on, and it goes on as any log.
				for _, b := range batches {
					if applied, err := log.Apply(context.Background(), b, durability); applied || err != nil {
						t.Fatalf("batch %d again: applied %v, %v", b.Number, applied, err)
					}
				}
				m.clock.Jump(2 * time.Hour)
				r, err := log.AppendBatch(context.Background(), engine.Batch{Key: "k", Events: []engine.Draft{
					{Scope: "a", Stream: "x", Type: "t", PayloadVersion: 4},
				}})
				if err == nil || !errors.Is(err, engine.ErrKeyConflict) && !errors.Is(err, engine.ErrLimit) && !errors.Is(err, engine.ErrDenied) {
					t.Fatalf("the key is not known: %v, %v", r, err)
				}
				last := batches[len(batches)-1].Events[0].ID
				receipt, err := log.Append(context.Background(), draft("x"))
				if err != nil || receipt.ID.String() <= last.String() {
					t.Fatalf("id %v behind %v, %v", receipt.ID, last, err)
				}
				if c, err := log.Cursor("c", engine.Query{}); err != nil {
					t.Fatal(err)
				} else {
					at(t, c, 2)
				}
				verified(t, log)
				closed(t, log)
			})
		}
	}
	closed(t, source)
}

// TestApplyRefuses what was changed, with nothing left of it: the batch itself is
// taken after each.
func TestApplyRefuses(t *testing.T) {
	source := rich(t, newMachine(t, engine.Options{}))
	defer closed(t, source)
	batches := whole(t, source, 1)
	log := copyOf(t, source.ID(), engine.Options{})
	apply(t, log, batches[:1], engine.Durable)
	good := batches[1]
	root, err := log.HeadAt(0)
	if err != nil {
		t.Fatal(err)
	}
	follows := engine.NewSuccession(source.ID(), 0, root.Hash)
	if err := follows.Check(&batches[0]); err != nil {
		t.Fatal(err)
	}
	fresh := func() engine.WholeBatch {
		b := good
		b.Events, b.Notes = slices.Clone(b.Events), slices.Clone(b.Notes)
		return b
	}
	one := engine.Hash{1}
	for _, test := range []struct {
		name   string
		change func(b *engine.WholeBatch)
		want   error
		item   int
	}{
		{"number", func(b *engine.WholeBatch) {
			b.Number++
			for i := range b.Events {
				b.Events[i].Batch++
			}
		}, engine.ErrGap, 0},
		{"another one of that number", func(b *engine.WholeBatch) { *b = batches[0]; b.Head = one }, engine.ErrDiverged, -1},
		{"sequence", func(b *engine.WholeBatch) {
			b.Sequence++
			for i := range b.Events {
				b.Events[i].Sequence++
			}
		}, engine.ErrDiverged, -1},
		{"time", func(b *engine.WholeBatch) {
			b.Time = b.Time.Add(1)
			for i := range b.Events {
				b.Events[i].Time = b.Time
			}
		}, engine.ErrDiverged, 0},
		{"time before", func(b *engine.WholeBatch) {
			b.Time = b.Time.Add(-1)
			for i := range b.Events {
				b.Events[i].Time = b.Time
			}
		}, engine.ErrDiverged, -1},
		{"clock", func(b *engine.WholeBatch) {
			b.Clock = b.Clock.Add(1)
			for i := range b.Events {
				b.Events[i].Clock = b.Clock
			}
		}, engine.ErrDiverged, 0},
		{"head", func(b *engine.WholeBatch) { b.Head = one }, engine.ErrDiverged, -1},
		{"an event less", func(b *engine.WholeBatch) { b.Events = b.Events[:2] }, engine.ErrDiverged, -1},
		{"a note less", func(b *engine.WholeBatch) { b.Notes = b.Notes[:1] }, engine.ErrDiverged, -1},
		{"notes swapped", func(b *engine.WholeBatch) { slices.Reverse(b.Notes) }, engine.ErrDiverged, -1},
		{"a note's data", func(b *engine.WholeBatch) { b.Notes[0].Data = []byte("2") }, engine.ErrDiverged, -1},
		{"a note's name", func(b *engine.WholeBatch) { b.Notes[0].Name = "o" }, engine.ErrDiverged, -1},
		{"a note without a name", func(b *engine.WholeBatch) { b.Notes[0].Name = "" }, engine.ErrInvalid, -1},
		{"id", func(b *engine.WholeBatch) { b.Events[1].ID[15] ^= 1 }, engine.ErrDiverged, 1},
		{"no id", func(b *engine.WholeBatch) { b.Events[1].ID = uuid.Nil }, engine.ErrInvalid, 1},
		{"version", func(b *engine.WholeBatch) { b.Events[1].Version++ }, engine.ErrDiverged, 1},
		{"scope", func(b *engine.WholeBatch) { b.Events[0].Scope = "b" }, engine.ErrDiverged, 1},
		{"stream", func(b *engine.WholeBatch) { b.Events[0].Stream = "y" }, engine.ErrDiverged, 1},
		{"type", func(b *engine.WholeBatch) { b.Events[0].Type = "v" }, engine.ErrDiverged, 0},
		{"data", func(b *engine.WholeBatch) { b.Events[0].Data = []byte(`{"n":2}`) }, engine.ErrDiverged, 0},
		{"metadata", func(b *engine.WholeBatch) { b.Events[0].Metadata = nil }, engine.ErrDiverged, 0},
		{"extensions", func(b *engine.WholeBatch) { b.Events[2].Extensions = map[string][]byte{"b": {0}} }, engine.ErrDiverged, 2},
		{"key", func(b *engine.WholeBatch) { b.Events[2].Key = "k/3" }, engine.ErrDiverged, 2},
		{"no key", func(b *engine.WholeBatch) { b.Events[2].Key = "" }, engine.ErrDiverged, 2},
		{"cause", func(b *engine.WholeBatch) { b.Events[1].CausedBy = uuid.Nil }, engine.ErrDiverged, 1},
		{"correlation", func(b *engine.WholeBatch) { b.Events[1].Correlation = b.Events[1].ID }, engine.ErrDiverged, 1},
		{"lane", func(b *engine.WholeBatch) { b.Events[0].Lane++ }, engine.ErrDiverged, 0},
		{"depth", func(b *engine.WholeBatch) { b.Events[0].Depth++ }, engine.ErrDiverged, 0},
		{"flags", func(b *engine.WholeBatch) { b.Events[0].Flags++ }, engine.ErrDiverged, 0},
		{"payload version", func(b *engine.WholeBatch) { b.Events[0].PayloadVersion++ }, engine.ErrDiverged, 0},
		{"hash", func(b *engine.WholeBatch) { b.Events[2].Hash = one }, engine.ErrDiverged, 2},
		{"salt", func(b *engine.WholeBatch) { b.Events[1].Salt = make([]byte, 16) }, engine.ErrDiverged, 1},
		{"short salt", func(b *engine.WholeBatch) { b.Events[1].Salt = b.Events[1].Salt[:15] }, engine.ErrInvalid, 1},
		{"no salt", func(b *engine.WholeBatch) { b.Events[1].Salt = nil }, engine.ErrInvalid, 1},
		{"not erasable", func(b *engine.WholeBatch) { b.Events[1].Salt, b.Events[1].Erasable = nil, false }, engine.ErrDiverged, 1},
		{"erased, with content", func(b *engine.WholeBatch) { b.Events[1].Erased = true }, engine.ErrInvalid, 1},
		{"erased to another hash", func(b *engine.WholeBatch) {
			e := &b.Events[1]
			e.Erased, e.Data, e.Salt, e.ContentHash = true, nil, nil, one
		}, engine.ErrDiverged, 1},
		{"erased, though not erasable", func(b *engine.WholeBatch) {
			e := &b.Events[0]
			e.Erased, e.ContentHash = true, new(chain.Hasher).Content(nil, e.Metadata, e.Data)
			e.Data, e.Metadata = nil, nil
		}, engine.ErrInvalid, 0},
		{"content hash", func(b *engine.WholeBatch) { b.Events[0].ContentHash = one }, engine.ErrInvalid, 0},
		{"nothing in it", func(b *engine.WholeBatch) { b.Events, b.Notes = nil, nil }, engine.ErrInvalid, -1},
		{"number 0", func(b *engine.WholeBatch) { b.Number = 0 }, engine.ErrInvalid, -1},
		{"a huge number", func(b *engine.WholeBatch) { b.Number = 1<<64 - 1 }, engine.ErrInvalid, -1},
		{"a huge sequence", func(b *engine.WholeBatch) { b.Sequence = 1<<64 - 2 }, engine.ErrInvalid, -1},
		{"no time", func(b *engine.WholeBatch) { b.Time = time.Time{} }, engine.ErrInvalid, -1},
		{"a clock that is no time of a log", func(b *engine.WholeBatch) { b.Clock = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }, engine.ErrInvalid, -1},
		{"an event of elsewhere", func(b *engine.WholeBatch) { b.Events[1].Sequence++ }, engine.ErrInvalid, 1},
		{"too many notes", func(b *engine.WholeBatch) { b.Notes = make([]engine.Note, 1<<16) }, engine.ErrInvalid, -1},
	} {
		b := fresh()
		test.change(&b)
		before, stats := log.LogHead(), log.Stats().Written
		applied, err := log.Apply(context.Background(), b, engine.Durable)
		if applied || !errors.Is(err, test.want) || !errors.Is(err, engine.ErrRejected) {
			t.Errorf("%s: applied %v, %v", test.name, applied, err)
		}
		// Without the log it is the same, but for a batch that the succession is behind.
		if err := follows.Check(&b); !errors.Is(err, test.want) && !(b.Number == 1 && errors.Is(err, engine.ErrGap)) {
			t.Errorf("%s: without the log: %v", test.name, err)
		}
		if diverged := (*engine.DivergedError)(nil); errors.As(err, &diverged) && (diverged.Item != test.item || diverged.Batch != b.Number || diverged.Expected != b.Head || diverged.Found == b.Head && test.name != "hash") {
			t.Errorf("%s: %+v", test.name, diverged)
		}
		if item := (*engine.ItemError)(nil); errors.As(err, &item) && item.Item != test.item {
			t.Errorf("%s: %v", test.name, err)
		}
		if log.LogHead() != before || log.Stats().Written != stats {
			t.Fatalf("%s: the log has changed", test.name)
		}
	}
	// An erased event has the hashes that it had: that is what erasing is.
	erased := fresh()
	e := &erased.Events[1]
	e.ContentHash = new(chain.Hasher).Content(e.Salt, e.Metadata, e.Data)
	e.Erased, e.Data, e.Salt = true, nil, nil
	apply(t, log, []engine.WholeBatch{erased}, engine.Durable)
	apply(t, log, batches[2:], engine.Durable)
	late := engine.NewSuccession(source.ID(), 2, batches[1].Head)
	if err := follows.Check(&erased); err != nil {
		t.Fatal(err)
	}
	for i := range batches[2:] {
		for _, s := range []*engine.Succession{follows, late} {
			if err := s.Check(&batches[2+i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := whole(t, log, 2)[0]; !reflect.DeepEqual(got, erased) {
		t.Fatalf("%+v, want %+v", got, erased)
	}
	verified(t, log)
	closed(t, log)
}

func TestApplyOfAnotherLogIsRefused(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	appended(t, source, "x")
	first := whole(t, source, 1)[0]
	other := copyOf(t, uuid.UUID{7}, engine.Options{})
	_, err := other.Apply(context.Background(), first, engine.Durable)
	matches(t, err, engine.ErrRejected, engine.ErrDiverged)
	closed(t, other)
	closed(t, source)
}

// TestApplyRefusesASignatureOfAnotherHead: what Verify would complain of is not taken,
// whatever its head.
func TestApplyRefusesASignatureOfAnotherHead(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	appended(t, source, "x")
	log := copyOf(t, source.ID(), engine.Options{})
	apply(t, log, whole(t, source, 1), engine.Durable)
	head := log.LogHead()
	for name, signed := range map[string]proof.Head{
		"another hash":  {LogID: log.ID(), Batch: 1, Sequence: 1, Hash: engine.Hash{1}},
		"another event": {LogID: log.ID(), Batch: 1, Sequence: 2, Hash: head.Hash},
		"another log":   {LogID: uuid.UUID{1}, Batch: 1, Sequence: 1, Hash: head.Hash},
		"a later batch": {LogID: log.ID(), Batch: 2, Sequence: 1, Hash: head.Hash},
		"no batch":      {LogID: log.ID(), Hash: chain.LogRoot(log.ID())},
	} {
		made, err := proof.Sign(signed, "k", testKey(1))
		if err != nil {
			t.Fatal(err)
		}
		data, err := made.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		note := engine.Note{Name: engine.SignatureNote, Data: data}
		b := engine.WholeBatch{Number: 2, Sequence: 2, Time: head.Time, Clock: head.Time, Notes: []engine.Note{note}}
		var diverged *engine.DivergedError
		if _, err := log.Apply(context.Background(), b, engine.Durable); !errors.As(err, &diverged) || diverged.Item != -1 || !strings.Contains(err.Error(), "has signed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := engine.WholeBatch{Number: 2, Sequence: 2, Time: head.Time, Clock: head.Time, Notes: []engine.Note{{Name: engine.SignatureNote, Data: []byte("x")}}}
	_, err := log.Apply(context.Background(), b, engine.Durable)
	matches(t, err, engine.ErrRejected, engine.ErrInvalid)
	closed(t, log)
	closed(t, source)
}

// TestApplyInGroups: batches that share a write and a sync with forged ones, which leave
// no trace for their neighbours.
func TestApplyInGroups(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	for i := range 10 {
		if _, err := source.AppendBatch(context.Background(), engine.Batch{Key: fmt.Sprint(i), Events: drafts("a", "b")}); err != nil {
			t.Fatal(err)
		}
	}
	batches := whole(t, source, 1)
	last := batches[len(batches)-1].Events[1].ID
	for seed := range uint64(60) {
		newCrowd(t, seed, engine.Options{ID: source.ID()}, func(c *crowd) {
			for _, b := range batches {
				applied := 0
				c.each(6, func(client int) {
					try, forged := b, client > 1
					try.Events = slices.Clone(b.Events)
					switch client {
					case 2:
						try.Head[0] ^= 1
					case 3:
						try.Events[1].Version++
					case 4:
						try.Events[1].Data = []byte("c")
					case 5:
						try.Events = try.Events[:1]
					}
					ok, err := c.log.Apply(context.Background(), try, engine.Durability(client%2))
					switch known := try.Head == b.Head && !ok && err == nil; { // it is skipped where the true one came first
					case forged && !known && !errors.Is(err, engine.ErrDiverged):
						t.Errorf("seed %d: a forged batch %d: applied %v, %v", seed, b.Number, ok, err)
					case !forged && err != nil:
						t.Errorf("seed %d: batch %d: %v", seed, b.Number, err)
					case ok:
						applied++
					}
				})
				if applied != 1 {
					t.Fatalf("seed %d: batch %d was applied %d times", seed, b.Number, applied)
				}
			}
			if err := c.log.Sync(context.Background()); err != nil {
				t.Error(err)
			}
			if c.log.LogHead() != source.LogHead() {
				t.Errorf("seed %d: %v, want %v", seed, c.log.LogHead(), source.LogHead())
			}
			r, err := c.log.Append(context.Background(), draft("x"))
			if err != nil || r.ID.String() <= last.String() {
				t.Errorf("seed %d: id %v behind %v, %v", seed, r.ID, last, err)
			}
		})
	}
	closed(t, source)
}

// TestApplyBesideItsKey: who appends with a key in the group that brings it sees it.
func TestApplyBesideItsKey(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	appended(t, source, "first")
	batch := engine.Batch{Key: "k", Events: drafts("a", "b"), Notes: []engine.NoteDraft{{Name: "n"}}}
	if _, err := source.AppendBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	batches := whole(t, source, 1)
	met := 0
	for seed := range uint64(60) {
		newCrowd(t, seed, engine.Options{ID: source.ID()}, func(c *crowd) {
			c.each(6, func(client int) {
				if client%2 == 0 { // the first makes the others gather
					_, err := c.log.Apply(context.Background(), batches[min(client, 1)], engine.Durable)
					if err != nil && !errors.Is(err, engine.ErrDiverged) && !errors.Is(err, engine.ErrGap) {
						t.Errorf("seed %d: %v", seed, err)
					}
					return
				}
				receipts, err := c.log.AppendBatch(context.Background(), batch)
				if err != nil || len(receipts) != 2 {
					t.Errorf("seed %d: %v, %v", seed, receipts, err)
				} else if receipts[0].ID == batches[1].Events[0].ID {
					met++
				}
			})
			keyed := 0
			for _, e := range all(t, c.log, engine.Query{}) {
				if e.Key == "k/0" {
					keyed++
				}
			}
			if keyed != 1 {
				t.Errorf("seed %d: the key was used %d times", seed, keyed)
			}
		})
	}
	if met == 0 {
		t.Error("no append has met the batch")
	}
	closed(t, source)
}

// TestForgersAmongAppends: a batch that is refused leaves the hashes of its neighbours'
// streams alone.
func TestForgersAmongAppends(t *testing.T) {
	met := 0
	for seed := range uint64(60) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			c.each(6, func(client int) {
				for i := range 6 {
					if client%2 == 0 {
						if _, err := c.log.Append(context.Background(), draft("x")); err != nil {
							t.Errorf("seed %d: %v", seed, err)
						}
						continue
					}
					next := c.log.LogHead().Batch + uint64(i%3) + 1
					e := engine.WholeEvent{Event: engine.Event{
						ID: uuid.UUID{1}, Sequence: next, Version: next, Batch: next, Stream: "s", Type: "t",
						Time: simclock.Epoch().Add(time.Hour), Clock: simclock.Epoch().Add(time.Hour),
					}}
					b := engine.WholeBatch{Number: next, Sequence: next, Time: e.Time, Clock: e.Clock, Events: []engine.WholeEvent{e}}
					_, err := c.log.Apply(context.Background(), b, engine.Durable)
					if d := (*engine.DivergedError)(nil); errors.As(err, &d) && d.Item == 0 {
						met++
					} else if !errors.Is(err, engine.ErrDiverged) && !errors.Is(err, engine.ErrGap) {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
			})
			verified(t, c.log)
		})
	}
	if met == 0 {
		t.Error("no forged batch was hashed")
	}
}

func TestOptionsID(t *testing.T) {
	m := newMachine(t, engine.Options{ID: uuid.UUID{5}})
	log := m.open()
	if log.ID() != (uuid.UUID{5}) {
		t.Fatal(log.ID())
	}
	closed(t, log) // and nothing was written: any id will do
	m.options.ID = uuid.UUID{6}
	log = m.open()
	appended(t, log, "x")
	closed(t, log)
	m.options.ID = uuid.UUID{7}
	before := tree(t, m.disk)
	for _, readOnly := range []bool{false, true} {
		o := m.seams()
		o.ReadOnly = readOnly
		_, err := engine.Open(o)
		matches(t, err, engine.ErrOtherLog)
	}
	if after := tree(t, m.disk); !reflect.DeepEqual(before, after) {
		t.Fatal("something was written")
	}
	for _, id := range []uuid.UUID{{}, {6}} {
		m.options.ID = id
		m.reopened("x")
	}
	m.options.ID, m.disk = uuid.UUID{6}, simfs.New(simfs.Options{})
	// A follower of an empty log finds out when there is one.
	writer := m.open()
	o := m.seams()
	o.ReadOnly, o.ID = true, uuid.UUID{7}
	follower, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	appended(t, writer, "x")
	matches(t, follower.Refresh(context.Background()), engine.ErrOtherLog)
	closed(t, follower)
	closed(t, writer)
}

func TestApplyAndSigning(t *testing.T) {
	source := newMachine(t, engine.Options{}).open()
	appended(t, source, "x")
	b := whole(t, source, 1)[0]
	for _, when := range []engine.SignWhen{engine.SignAtClose, engine.SignEachGroup} {
		log := copyOf(t, source.ID(), engine.Options{Signing: signing(when, testKey(1))})
		_, err := log.Apply(context.Background(), b, engine.Durable)
		matches(t, err, engine.ErrRejected, engine.ErrInvalid)
		closed(t, log)
	}
	log := copyOf(t, source.ID(), engine.Options{Signing: signing(engine.SignOnDemand, testKey(1))})
	apply(t, log, []engine.WholeBatch{b}, engine.Durable)
	closed(t, log)
	closed(t, source)
}

func TestHeadAt(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	heads := []engine.LogHead{{Hash: chain.LogRoot(log.ID())}}
	for i := range 6 {
		appended(t, log, big(fmt.Sprint(i), 20<<10))
		heads = append(heads, log.LogHead())
	}
	look := func(log *engine.Log) {
		t.Helper()
		for i, want := range heads {
			if got, err := log.HeadAt(uint64(i)); err != nil || got != want {
				t.Errorf("the head at %d is %v, want %v; %v", i, got, want, err)
			}
		}
		_, err := log.HeadAt(uint64(len(heads)))
		matches(t, err, engine.ErrNotFound)
	}
	buffered(t, log, "not durable")
	look(log)
	if got := whole(t, log, 7); got != nil {
		t.Fatalf("a batch that is not durable: %v", got)
	}
	closed(t, log)
	o := m.seams()
	o.ReadOnly = true
	log, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	heads = append(heads, log.LogHead())
	look(log)
	closed(t, log)
}

// TestBatchesBesideAWriter: who reads whole batches sees those that were durable when he
// began, whatever comes meanwhile, in the log itself and beside its writer.
func TestBatchesBesideAWriter(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	o := m.seams()
	o.ReadOnly = true
	follower, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		appended(t, log, fmt.Sprint(round))
		buffered(t, log, "not durable yet")
		durable := log.LogHead().Batch
		n := uint64(0)
		for b, err := range log.Batches(1) {
			if n++; err != nil || b.Number != n {
				t.Fatalf("batch %d: %d, %v", n, b.Number, err)
			}
			appended(t, log, big("meanwhile", 10<<10)) // which makes the one before it durable, too
		}
		if n != durable {
			t.Fatalf("%d batches, %d were durable", n, durable)
		}
		if err := follower.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		n = 0
		last := follower.LogHead()
		for b, err := range follower.Batches(1) {
			if n++; err != nil || b.Number != n || n == last.Batch && b.Head != last.Hash {
				t.Fatalf("batch %d beside: %d, %v", n, b.Number, err)
			}
			appended(t, log, "meanwhile")
		}
		if n != last.Batch || n == 0 {
			t.Fatalf("%d batches beside, %d were proven", n, last.Batch)
		}
	}
	closed(t, follower)
	closed(t, log)
}

// TestBatchesOfADamagedLog: damage is reported, never served, and a head that was made
// up is damage, too.
func TestBatchesOfADamagedLog(t *testing.T) {
	dir := t.TempDir()
	c := craft(1)
	c.add()
	c.head[0] ^= 1
	c.add()
	c.head[0] ^= 1
	c.add()
	c.write(t, dir)
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Salvage: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	found, failed := 0, false
	for _, err := range log.Batches(1) {
		if err != nil {
			matches(t, err, engine.ErrCorrupt)
			failed = true
			continue
		}
		found++
	}
	if found != 1 || !failed {
		t.Errorf("%d batches, failed: %v", found, failed)
	}
}
