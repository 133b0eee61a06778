package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// id is a made-up event id.
func id(n int) uuid.UUID { return uuid.UUID{6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)} }

var epoch = time.UnixMilli(1577836800000)

// event is what a log would show for a draft; its id and hash follow from its
// sequence.
func event(sequence, version, batch uint64, d engine.Draft) engine.Event {
	at := epoch.Add(time.Duration(sequence) * time.Millisecond)
	return engine.Event{ID: id(int(sequence)), Sequence: sequence, Version: version, Batch: batch, Scope: d.Scope, Stream: d.Stream, Type: d.Type,
		Time: at, Clock: at, Data: d.Data, Metadata: d.Metadata, Extensions: d.Extensions, Key: d.Key, Correlation: id(int(sequence)),
		Lane: d.Lane, Depth: d.Depth, Flags: d.Flags, PayloadVersion: d.PayloadVersion, Erasable: d.Erasable,
		Hash: engine.Hash{byte(sequence), byte(version)}, Durable: true}
}

func draft(stream, data string) engine.Draft {
	return engine.Draft{Stream: stream, Type: "t", Data: []byte(data)}
}

func one(d engine.Draft) engine.Batch { return engine.Batch{Events: []engine.Draft{d}} }

func late(b engine.Batch) engine.Batch {
	b.Durability = engine.Buffered
	return b
}

func receipts(durable bool, events ...engine.Event) []engine.Receipt {
	var all []engine.Receipt
	for i := range events {
		r := receiptOf(&events[i])
		r.Durable = durable
		all = append(all, r)
	}
	return all
}

// kinds lists what a comparison finds.
func kinds(findings []Finding) string {
	var text []string
	for _, f := range findings {
		text = append(text, f.Kind.String())
	}
	return strings.Join(text, ", ")
}

func check(t *testing.T, m *Model, want string, events ...engine.Event) {
	t.Helper()
	if found := kinds(m.Compare(events, false)); found != want {
		t.Errorf("want %q, found %q: %v", want, found, m.Compare(events, false))
	}
}

// A timeline's prefix is a value: what is told to a longer one does not change
// it, and two continuations do not see each other.
func TestPrefixIsAValue(t *testing.T) {
	var prefixes []*Model
	var events []engine.Event
	m := New(engine.Options{})
	for n := 1; n <= 200; n++ {
		prefixes = append(prefixes, m)
		d := draft("s", fmt.Sprint("payload ", n))
		d.Key = fmt.Sprint("key ", n)
		e := event(uint64(n), uint64(n), uint64(n), d)
		events = append(events, e)
		m = m.With(Started{Call: n, Batch: one(d)}, Answered{Call: n, Receipts: receipts(true, e)})
	}
	for n, prefix := range prefixes {
		check(t, prefix, "", events[:n]...)
		check(t, prefix, "alien", events[:n+1]...)
		if n > 0 {
			check(t, prefix, "missing", events[:n-1]...)
		}
		if _, ok := prefix.KeySequence(fmt.Sprint("key ", n)); ok != (n > 0) {
			t.Errorf("prefix %d knows its last key: %v", n, ok)
		}
		if _, ok := prefix.KeySequence(fmt.Sprint("key ", n+1)); ok {
			t.Errorf("prefix %d knows the next key", n)
		}
		d := draft("other", "x")
		d.Key = "branch"
		e := event(uint64(n)+1, 1, uint64(n)+1, d)
		branch := prefix.With(Started{Call: 999, Batch: one(d)}, Answered{Call: 999, Receipts: receipts(true, e)})
		check(t, branch, "", append(slices.Clone(events[:n]), e)...)
		if n > 0 {
			cut := prefix.With(Opened{Events: events[:n-1]})
			if _, ok := cut.KeySequence(fmt.Sprint("key ", n)); ok {
				t.Errorf("cut at %d: the key of the event that was left out is still there", n)
			}
			check(t, cut, "returned", events[:n]...)
		}
	}
	check(t, m, "", events...)
}

// A call in flight may be there or not; two that look alike are told apart by
// what they expect; and a match is found wherever there is one.
func TestCallsInFlight(t *testing.T) {
	same := draft("s", "same")
	second := same
	second.Expect = engine.Exactly(1)
	first := same
	first.Expect = engine.NoStream
	m := New(engine.Options{}).With(
		Started{Call: 1, Batch: one(same)},
		Started{Call: 2, Batch: one(second)},
		Started{Call: 3, Batch: one(first)},
	)
	e := func(n uint64) engine.Event { return event(n, n, n, same) }
	check(t, m, "")
	check(t, m, "", e(1))
	check(t, m, "", e(1), e(2))
	check(t, m, "", e(1), e(2), e(3))
	check(t, m, "should have been refused", e(1), e(2), e(3), e(4))
	check(t, New(engine.Options{}).With(Started{Call: 1, Batch: one(same)}), "twice", e(1), e(2))

	only := New(engine.Options{}).With(Started{Call: 2, Batch: one(second)})
	check(t, only, "should have been refused", e(1))

	// Once answered, a call that started later comes later.
	after := New(engine.Options{}).With(
		Started{Call: 1, Batch: one(draft("a", "1"))},
		Started{Call: 2, Batch: late(one(draft("b", "2")))},
		Answered{Call: 2, Receipts: receipts(false, event(2, 1, 2, draft("b", "2")))},
		Started{Call: 3, Batch: one(draft("c", "3"))},
	)
	check(t, after, "", event(1, 1, 1, draft("a", "1")))
	check(t, after, "", event(1, 1, 1, draft("a", "1")), event(2, 1, 2, draft("b", "2")))
	check(t, after, "out of order", event(1, 1, 1, draft("c", "3")))
	other := event(2, 1, 2, draft("c", "3"))
	other.ID, other.Correlation = id(77), id(77)
	check(t, after, "out of order", event(1, 1, 1, draft("a", "1")), other)
}

// A read tells of an event before its call is answered, which may be after the
// crash or never.
func TestServedBeforeAnswered(t *testing.T) {
	d := draft("s", "x")
	e := event(1, 1, 1, d)
	m := New(engine.Options{}).With(Started{Call: 1, Batch: one(d)}, Served{Events: []engine.Event{e}})
	check(t, m, "", e)
	check(t, m, "missing")
	if f := m.Compare(nil, false); f[0].Duty != ServedDurable {
		t.Errorf("want it to be missed because it was served, found %v", f[0])
	}
	alien := event(1, 1, 1, draft("s", "y"))
	check(t, New(engine.Options{}).With(Started{Call: 1, Batch: one(d)}, Served{Events: []engine.Event{alien}}), "alien", alien)
	check(t, m.With(Answered{Call: 1, Receipts: receipts(true, e)}), "", e)
	if wrong := m.With(Answered{Call: 1, Receipts: receipts(true, event(1, 2, 1, d))}).Contradictions(); kinds(wrong) != "changed" {
		t.Errorf("want a receipt that differs from what was read to be found out, found %v", wrong)
	}
	unsynced := e
	unsynced.Durable = false
	check(t, New(engine.Options{}).With(Started{Call: 1, Batch: one(d)}, Served{Events: []engine.Event{unsynced}}), "")
}

// What a refusal was based on must survive it, and no more than that.
func TestRefusalsHaveDurableReasons(t *testing.T) {
	d := draft("s", "x")
	refusal := func(actual uint64, item int) error {
		return fmt.Errorf("%w: %w", engine.ErrRejected, &engine.ItemError{Item: item, Err: &engine.WrongVersionError{Stream: "s", Expected: engine.NoStream, Actual: actual}})
	}
	choosy := d
	choosy.Expect = engine.NoStream
	started := New(engine.Options{}).With(Started{Call: 1, Batch: one(d)})
	refused := started.With(Started{Call: 2, Batch: one(choosy)}, Answered{Call: 2, Err: refusal(1, 0)})
	check(t, started, "")
	check(t, refused, "reason lost")
	check(t, refused, "", event(1, 1, 1, d))

	// A buffered call that was refused promised nothing.
	check(t, started.With(Started{Call: 2, Batch: late(one(choosy))}, Answered{Call: 2, Err: refusal(1, 0)}), "")
	// The item saw one of its own batch, which never came to be.
	own := engine.Batch{Events: []engine.Draft{d, choosy}}
	check(t, New(engine.Options{}).With(Started{Call: 2, Batch: own}, Answered{Call: 2, Err: refusal(1, 1)}), "")
	check(t, started.With(Started{Call: 2, Batch: own}, Answered{Call: 2, Err: refusal(2, 1)}), "reason lost")

	// A buffered event becomes a promise when a refusal names it.
	soft := New(engine.Options{}).With(Started{Call: 1, Batch: late(one(d))}, Answered{Call: 1, Receipts: receipts(false, event(1, 1, 1, d))})
	check(t, soft, "")
	check(t, soft.With(Started{Call: 2, Batch: one(choosy)}, Answered{Call: 2, Err: refusal(1, 0)}), "missing")

	keyed := d
	keyed.Key = "k"
	conflict := fmt.Errorf("%w: %w", engine.ErrRejected, &engine.KeyConflictError{Items: []engine.KeyConflict{{Key: "k", Reason: "type", ID: id(1)}}})
	other := keyed
	other.Type = "other"
	known := New(engine.Options{}).With(Started{Call: 1, Batch: one(keyed)}, Started{Call: 2, Batch: one(other)}, Answered{Call: 2, Err: conflict})
	check(t, known, "reason lost")
	check(t, known, "", event(1, 1, 1, keyed))
}

// A hit is as good as the first answer.
func TestKeyHits(t *testing.T) {
	d := draft("s", "x")
	d.Key = "k"
	e := event(1, 1, 1, d)
	soft := New(engine.Options{}).With(Started{Call: 1, Batch: late(one(d))}, Answered{Call: 1, Receipts: receipts(false, e)})
	check(t, soft, "")
	check(t, soft.With(Started{Call: 2, Batch: one(d)}, Answered{Call: 2, Receipts: receipts(true, e)}), "missing")
	check(t, soft.With(Started{Call: 2, Batch: late(one(d))}, Answered{Call: 2, Receipts: receipts(false, e)}), "")

	// Two calls with the key in flight share one effect, whoever is answered.
	two := New(engine.Options{}).With(Started{Call: 1, Batch: one(d)}, Started{Call: 2, Batch: one(d)})
	check(t, two, "")
	check(t, two, "", e)
	check(t, two, "key used twice", e, event(2, 2, 2, d))
	answered := two.With(Answered{Call: 2, Receipts: receipts(true, e)})
	check(t, answered, "", e)
	check(t, answered, "key used twice", e, event(2, 2, 2, d))
	check(t, answered.With(Answered{Call: 1, Receipts: receipts(true, e)}), "", e)
}

// A group that failed may take buffered events with it, which then never come
// back; their sequences go to others.
func TestRollback(t *testing.T) {
	soft, next := draft("s", "soft"), draft("s", "next")
	e, n := event(1, 1, 1, soft), event(1, 1, 2, next)
	n.ID, n.Correlation = id(77), id(77)
	before := New(engine.Options{}).With(Started{Call: 1, Batch: late(one(soft))}, Answered{Call: 1, Receipts: receipts(false, e)})
	if wrong := before.With(Started{Call: 3, Batch: one(next)}, Answered{Call: 3, Receipts: receipts(true, n)}).Contradictions(); kinds(wrong) != "out of order" {
		t.Errorf("without a failure a sequence is given once, found %v", wrong)
	}
	failed := before.With(Started{Call: 2, Batch: one(draft("s", "failed"))}, Answered{Call: 2, Err: engine.ErrFailed}, Started{Call: 3, Batch: one(next)})
	check(t, failed, "", e)
	check(t, failed, "", n)
	undone := event(1, 1, 1, draft("s", "failed"))
	undone.ID, undone.Correlation = id(78), id(78)
	check(t, failed, "refused but there", undone)
	answered := failed.With(Answered{Call: 3, Receipts: receipts(true, n)})
	if len(answered.Contradictions()) > 0 {
		t.Error(answered.Contradictions())
	}
	check(t, answered, "", n)
	check(t, answered, "returned", e)
	check(t, before.With(Fault{Text: "short write"}, Started{Call: 3, Batch: one(next)}), "", n)
}

// The log's times are max(clock, the time before), and fit the calls.
func TestTimes(t *testing.T) {
	a, b := draft("s", "a"), draft("s", "b")
	m := New(engine.Options{}).With(
		Started{Call: 1, Batch: one(a), Clock: epoch}, Answered{Call: 1, Receipts: receipts(true, event(1, 1, 1, a)), Clock: epoch.Add(time.Second)},
		Started{Call: 2, Batch: one(b), Clock: epoch.Add(-time.Hour)}, // the clock went back
	)
	first := event(1, 1, 1, a)
	second := event(2, 2, 2, b)
	second.Clock = epoch.Add(-time.Hour)
	second.Time = first.Time
	check(t, m, "", first, second)
	second.Time = second.Clock
	check(t, m, "wrong time", first, second)
	first.Clock = epoch.Add(2 * time.Second)
	first.Time = first.Clock
	check(t, m, "wrong time", first)
}

// Keys tell notes apart, and are the same for the same note.
func TestKeysOfNotes(t *testing.T) {
	d := draft("s", "x")
	flags, cause, key := d, d, d
	flags.Flags, cause.CausedBy, key.Key = 1, engine.ByID(id(3)), "k"
	e := event(1, 1, 1, d)
	unlike := event(1, 1, 1, d)
	unlike.Hash[31]++
	later := engine.Stats{Durable: engine.Frontier{Sequence: 1}}
	notes := func() []Note {
		extended := d
		extended.Extensions = map[string][]byte{"a": {1}, "b": {2}, "c": {3}}
		return []Note{
			Started{Call: 1, Batch: one(d)}, Started{Call: 2, Batch: one(d)}, Started{Call: 1, Batch: late(one(d))},
			Started{Call: 1, Batch: one(flags)}, Started{Call: 1, Batch: one(cause)}, Started{Call: 1, Batch: one(key)}, Started{Call: 1, Batch: one(extended)},
			Started{Call: 1, Batch: engine.Batch{Key: "k", Events: []engine.Draft{d}}}, Started{Call: 1, Batch: one(d), Clock: epoch},
			Answered{Call: 1, Receipts: receipts(true, e)}, Answered{Call: 1, Receipts: receipts(false, e)}, Answered{Call: 1, Receipts: receipts(true, unlike)},
			Answered{Call: 1, Err: engine.ErrRejected}, Answered{Call: 1, Err: engine.ErrFailed}, Answered{Call: 1, Err: engine.ErrInDoubt},
			Answered{Call: 1, Err: fmt.Errorf("%w: %w", engine.ErrRejected, &engine.WrongVersionError{Stream: "s", Actual: 1})},
			Answered{Call: 1, Err: fmt.Errorf("%w: %w", engine.ErrRejected, &engine.WrongVersionError{Stream: "s", Actual: 2})},
			Covered{1}, Covered{2}, Served{[]engine.Event{e}}, Served{[]engine.Event{unlike}}, Frontiers{}, Frontiers{later}, Fault{Text: "a"}, Fault{Text: "b"},
			Opened{}, Opened{Events: []engine.Event{e}}, Opened{Events: []engine.Event{unlike}}, Opened{Lossy: true}, Opened{Head: engine.LogHead{Batch: 1}},
		}
	}
	seen := make(map[string]int)
	again := notes()
	for i, n := range notes() {
		if n.Key() != again[i].Key() {
			t.Errorf("note %d has two keys: %q and %q", i, n.Key(), again[i].Key())
		}
		if j, ok := seen[n.Key()]; ok {
			t.Errorf("notes %d and %d have one key: %q", i, j, n.Key())
		}
		seen[n.Key()] = i
	}
	if key := (Started{Call: 1, Batch: one(d)}).Key(); key != wantKey {
		t.Errorf("the key of a note changed, in another process or on another machine: %q", key)
	}
}

const wantKey = "start 1 641380d71e170c58c34e2d756e0401a3"

// The containers against the plain ones that they stand for.
func TestContainers(t *testing.T) {
	var v vector[int]
	var plainVector []int
	var m trie[int]
	plainMap := make(map[string]int)
	type moment struct {
		v     vector[int]
		plain []int
		m     trie[int]
		byKey map[string]int
	}
	var history []moment
	random := uint64(1)
	for step := range 600 {
		random = random*6364136223846793005 + 1442695040888963407
		at := int(random >> 40 % uint64(len(plainVector)+1))
		switch random >> 33 % 4 {
		case 0, 1:
			v, plainVector = v.append(step, step+1), append(slices.Clone(plainVector), step, step+1)
		case 2:
			v = v.with(at, step)
			plainVector = append(slices.Clone(plainVector[:at]), append([]int{step}, plainVector[min(at+1, len(plainVector)):]...)...)
		case 3:
			v, plainVector = v.first(at), slices.Clone(plainVector[:at])
		}
		key := fmt.Sprint("key ", random>>35%97)
		fresh := make(map[string]int)
		for k, x := range plainMap {
			fresh[k] = x
		}
		if plainMap = fresh; random>>50%3 == 0 {
			m = m.without(key)
			delete(plainMap, key)
		} else {
			m, plainMap[key] = m.with(key, step), step
		}
		history = append(history, moment{v, plainVector, m, plainMap})
	}
	for step, h := range history {
		var found []int
		for i := range h.v.length {
			found = append(found, h.v.at(i))
		}
		if !slices.Equal(found, h.plain) {
			t.Fatalf("step %d: want %v, found %v", step, h.plain, found)
		}
		for k := range 97 {
			key := fmt.Sprint("key ", k)
			x, ok := h.m.get(key)
			if y, known := h.byKey[key]; ok != known || ok && x != y {
				t.Fatalf("step %d: %q is %d, %v; want %d, %v", step, key, x, ok, y, known)
			}
		}
	}
	// A vector that shrank and grows again has forgotten.
	w := vector[int]{}.append(1, 2, 3).first(1).with(2, 9)
	if w.at(1) != 0 || w.at(2) != 9 {
		t.Errorf("want 0 and 9, found %d and %d", w.at(1), w.at(2))
	}
}

// Expect is compared with logs elsewhere; these are the rules one by one.
func TestExpect(t *testing.T) {
	keyed := func(key string, ds ...engine.Draft) engine.Batch { return engine.Batch{Key: key, Events: ds} }
	a, b := draft("a", "1"), draft("b", "2")
	first := keyed("k", a, b)
	m := New(engine.Options{MaxPayload: 100, MaxBatchEvents: 4}).With(Started{Call: 1, Batch: first},
		Answered{Call: 1, Receipts: receipts(true, event(1, 1, 1, a), event(2, 1, 1, b))})
	with := func(d engine.Draft, change func(*engine.Draft)) engine.Draft { change(&d); return d }
	expecting := func(d engine.Draft, e engine.Expect) engine.Draft {
		return with(d, func(d *engine.Draft) { d.Expect = e })
	}
	for _, c := range []struct {
		name    string
		batch   engine.Batch
		verdict Verdict
		cause   error
		item    int
	}{
		{"nothing", engine.Batch{}, Commits, nil, -1},
		{"any version", one(a), Commits, nil, -1},
		{"a stream that is there", one(expecting(a, engine.NoStream)), Refuses, engine.ErrWrongVersion, 0},
		{"a stream that is not", one(expecting(draft("c", ""), engine.StreamExists)), Refuses, engine.ErrWrongVersion, 0},
		{"exactly", one(expecting(a, engine.Exactly(1))), Commits, nil, -1},
		{"earlier items count", engine.Batch{Events: []engine.Draft{a, expecting(a, engine.Exactly(2)), expecting(a, engine.Exactly(2))}}, Refuses, engine.ErrWrongVersion, 2},
		{"a key again", first, Hits, nil, -1},
		{"a key again, whatever it expects now", keyed("k", expecting(a, engine.NoStream), b), Hits, nil, -1},
		{"a key for less", keyed("k", a), Refuses, engine.ErrKeyConflict, -1},
		{"a key for more", keyed("k", a, b, b), Refuses, engine.ErrKeyConflict, -1},
		{"a key in another order", keyed("k", b, a), Refuses, engine.ErrKeyConflict, -1},
		{"a key for another payload", keyed("k", a, draft("b", "3")), Refuses, engine.ErrKeyConflict, -1},
		{"a key for another payload version", keyed("k", a, with(b, func(d *engine.Draft) { d.PayloadVersion = 1 })), Refuses, engine.ErrKeyConflict, -1},
		{"a key for other metadata", keyed("k", a, with(b, func(d *engine.Draft) { d.Metadata = []byte("m") })), Hits, nil, -1},
		{"an item's key by itself", one(with(a, func(d *engine.Draft) { d.Key = "k/0" })), Refuses, engine.ErrKeyConflict, -1},
		{"the items' keys, one by one", engine.Batch{Events: []engine.Draft{with(a, func(d *engine.Draft) { d.Key = "k/0" }), with(b, func(d *engine.Draft) { d.Key = "k/1" })}}, Hits, nil, -1},
		{"keys for some", engine.Batch{Events: []engine.Draft{a, with(b, func(d *engine.Draft) { d.Key = "x" })}}, Refuses, engine.ErrInvalid, -1},
		{"two keys for one", keyed("x", with(a, func(d *engine.Draft) { d.Key = "x" })), Refuses, nil, -1},
		{"no stream name", one(engine.Draft{Type: "t"}), Refuses, engine.ErrInvalid, 0},
		{"no type", one(engine.Draft{Stream: "s"}), Refuses, engine.ErrInvalid, 0},
		{"a control character", one(draft("a\x01", "")), Refuses, engine.ErrInvalid, 0},
		{"a long name", one(draft(strings.Repeat("a", 256), "")), Refuses, engine.ErrLimit, 0},
		{"a long payload", engine.Batch{Events: []engine.Draft{a, draft("a", strings.Repeat("a", 101))}}, Refuses, engine.ErrLimit, 1},
		{"too many", engine.Batch{Events: slices.Repeat([]engine.Draft{a}, 5)}, Refuses, engine.ErrLimit, -1},
		{"itself as its cause", one(with(a, func(d *engine.Draft) { d.CausedBy = engine.Item(0) })), Refuses, engine.ErrInvalid, 0},
		{"a negative cause", one(with(a, func(d *engine.Draft) { d.CausedBy = engine.Item(-3) })), Refuses, engine.ErrInvalid, 0},
	} {
		o := m.Expect(c.batch)
		if o.Verdict != c.verdict || c.cause != nil && o.Cause != c.cause || c.cause != nil && o.Item != c.item {
			t.Errorf("%s: want %v, %v, item %d; found %v, %v, item %d", c.name, c.verdict, c.cause, c.item, o.Verdict, o.Cause, o.Item)
		}
	}
	if o := m.Expect(first); o.Differs(receipts(true, event(1, 1, 1, a), event(2, 1, 1, b)), nil) != "" || o.Differs(nil, errors.New("x")) == "" ||
		o.Differs(receipts(true, event(1, 1, 1, a)), nil) == "" || o.Differs(receipts(true, event(1, 1, 1, a), event(3, 1, 1, b)), nil) == "" {
		t.Error("Differs does not tell the original receipts from others")
	}
	if o := m.Expect(one(a)); o.Differs(receipts(true, event(3, 2, 2, a)), nil) != "" || o.Differs(receipts(true, event(3, 3, 2, a)), nil) == "" || o.Differs(receipts(true, event(4, 2, 2, a)), nil) == "" {
		t.Error("Differs does not tell the next sequence and version from others")
	}
	if o := m.With(Started{Call: 2, Batch: one(b)}).Expect(one(a)); o.Verdict != Unsure {
		t.Errorf("while a call is in flight nothing is sure, found %v", o.Verdict)
	}
}

// A misused model says so.
func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		name  string
		notes []Note
	}{
		{"an answer without a call", []Note{Answered{Call: 1}}},
		{"a call in flight twice", []Note{Started{Call: 1}, Started{Call: 1}}},
		{"an answer after an Open", []Note{Started{Call: 1, Batch: one(draft("s", "x"))}, Opened{}, Answered{Call: 1}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken without a word", c.name)
				}
			}()
			New(engine.Options{}).With(c.notes...)
		}()
	}
}
