package tamper

import (
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

// TestSuite is the suite itself; make tamper makes more of it.
func TestSuite(t *testing.T) {
	n := 8000
	if testing.Short() {
		n = 4000
	}
	report, err := Run(t.Context(), Config{Mutations: n, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if report.Bad() {
		t.Errorf("%d finds:\n%s", report.Found, report)
	}
	total := report.Total()
	if total.Mutations < n {
		t.Errorf("%d mutations instead of %d", total.Mutations, n)
	}
	if total.Head != total.Mutations || total.Without+total.Ended+total.LastGroup+total.Unproven+total.Rewritten != total.Mutations || total.Served != 0 {
		t.Errorf("%d mutations: %d named by the head; without it %d, %d without the end, %d valid in themselves; %d served",
			total.Mutations, total.Head, total.Without, total.Ended+total.LastGroup+total.Unproven, total.Rewritten, total.Served)
	}
	for _, row := range report.Rows {
		if row.Mutations == 0 {
			t.Errorf("no mutation %q", row.Kind)
		}
		if strings.Contains(row.Kind, "signed again") && row.Keys != row.Mutations {
			t.Errorf("%d of %d of the kind %q are named by the keys", row.Keys, row.Mutations, row.Kind)
		}
		if row.Group == "damage" && row.Unchecked+row.Rewritten+row.Same > 0 {
			t.Errorf("damage of the kind %q is shown, or not named", row.Kind)
		}
	}
}

// TestWorkers: the report is the same for any number of workers, and for another
// seed it is another one.
func TestWorkers(t *testing.T) {
	run := func(workers int, seed uint64) string {
		report, err := Run(t.Context(), Config{Mutations: 1500, Seed: seed, Workers: workers, Logs: []string{"open", "lives"}})
		if err != nil {
			t.Fatal(err)
		}
		return report.String()
	}
	one := run(1, 7)
	if three := run(3, 7); three != one {
		t.Errorf("three workers report\n%s\none\n%s", three, one)
	}
	if other := run(3, 8); other == one {
		t.Error("another seed reports the same")
	}
}

// TestEveryByteOnce: the first flips are of every byte that belongs to the log,
// each once, and those of one byte go through all masks.
func TestEveryByteOnce(t *testing.T) {
	v, err := newSubject(t.Context(), &stories()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	flip, old := kinds()[0], v.files[0].bytes
	flippedOnce := make([]bool, len(old))
	for i := range v.bound {
		m, err := flip.make(v, i, nil)
		if err != nil || m == nil {
			t.Fatalf("flip %d: %v", i, err)
		}
		var at []int
		for k, b := range m.files[0].bytes {
			if b != old[k] {
				at = append(at, k)
			}
		}
		if len(at) != 1 || flippedOnce[at[0]] {
			t.Fatalf("flip %d changes the bytes %v", i, at)
		}
		flippedOnce[at[0]] = true
	}
	for k, c := range v.classes[0] {
		if flippedOnce[k] != (c != slack) {
			t.Fatalf("byte %d of class %d: flipped %v", k, c, flippedOnce[k])
		}
	}
	for _, at := range v.bound {
		masks := map[byte]bool{}
		for round := range 255 {
			masks[flipped(at, round)] = true
			if round == 7 && len(masks) != 8 {
				t.Fatalf("byte %d: %d masks in eight rounds", at.offset, len(masks))
			}
		}
		if len(masks) != 255 || masks[0] {
			t.Fatalf("byte %d: %d masks", at.offset, len(masks))
		}
	}
}

// The logs below look away in one way each. The suite has to notice.
type (
	// noHashes verifies no hash: neither those of events nor heads.
	noHashes struct{ Log }
	// anyHead says that the log has the head that is asked for, and ends with it.
	anyHead struct{ Log }
	// anyReceipt verifies every receipt.
	anyReceipt struct{ Log }
	// anyKey does not look at who has signed.
	anyKey struct{ Log }
	// noNotes shows no note where the log's end is torn.
	noNotes struct{ Log }
	// wrongBytes shows another payload where the log's end is torn.
	wrongBytes struct{ Log }
	// lastLost forgets the last batch where the log's end is torn.
	lastLost struct{ Log }
	// wrongKey answers keys with another receipt where the log's end is torn.
	wrongKey struct{ Log }
)

func (l noHashes) Verify(ctx context.Context, kept ...engine.LogHead) (engine.Verification, error) {
	found, err := l.Log.Verify(ctx, kept...)
	for _, p := range found.Problems {
		if !strings.Contains(p.Reason, "the hash that it says") && !strings.Contains(p.Reason, "the head that it says") {
			return found, err
		}
	}
	found.Problems = nil
	return found, nil
}

func (l anyHead) Verify(ctx context.Context, kept ...engine.LogHead) (engine.Verification, error) {
	found, err := l.Log.Verify(ctx)
	found.Head = kept[0]
	return found, err
}

func (anyReceipt) VerifyReceipt(engine.Receipt) error { return nil }

func (l anyKey) VerifySigned(ctx context.Context, _ proof.Keys, _ ...engine.LogHead) (engine.Verification, error) {
	return l.Verify(ctx)
}

func (l noNotes) Notes(q engine.NoteQuery) iter.Seq2[engine.Note, error] {
	if l.Recovery().Torn {
		return func(func(engine.Note, error) bool) {}
	}
	return l.Log.Notes(q)
}

func (l wrongBytes) Read(q engine.Query) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for event, err := range l.Log.Read(q) {
			if event.Sequence == 5 && l.Recovery().Torn {
				event.Data = append([]byte("!"), event.Data...)
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

func (l lastLost) Read(q engine.Query) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for event, err := range l.Log.Read(q) {
			if l.Recovery().Torn && event.Batch >= 2 || !yield(event, err) {
				return
			}
		}
	}
}

func (l wrongKey) ReceiptOf(key string) (engine.Receipt, error) {
	r, err := l.Log.ReceiptOf(key)
	if l.Recovery().Torn {
		r.Sequence++
	}
	return r, err
}

// TestSuiteBites hands out logs that look away, and expects finds that say so.
func TestSuiteBites(t *testing.T) {
	few := []string{"closed", "open", "lives"}
	for _, c := range []struct {
		name  string
		wrap  func() func(*engine.Log) Log
		logs  []string
		kinds []string
		want  string
	}{
		{"no hashes verified", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return noHashes{l} } },
			few, []string{"some hashes"}, "served, and verified: "},
		{"no hashes verified, without a head", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return noHashes{l} } },
			few, []string{"spliced from a fork"}, "neither Verify nor the head names it"},
		{"no hashes verified, right heads", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return noHashes{l} } },
			few, []string{"some hashes"}, "without a head nothing names it"},
		{"any head will do", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return anyHead{l} } },
			[]string{"closed"}, []string{"all hashes right"}, "served, and verified: "},
		{"any head will do, nothing shown", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return anyHead{l} } },
			[]string{"closed"}, []string{"last batches removed"}, "nothing names it, and it changes something"},
		{"any receipt will do", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return anyReceipt{l} } },
			few, []string{"cut"}, "neither Verify nor the last receipt names it"},
		{"wrong bytes shown", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return wrongBytes{l} } },
			few, []string{"flip a byte"}, "served: a read yields event 5 with "},
		{"whole batches lost", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return lastLost{l} } },
			few, []string{"cut"}, "batches are whole from the start on, and opened to be written the log has 1"},
		{"a key answered wrongly", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return wrongKey{l} } },
			few, []string{"cut"}, "yields another receipt"},
		{"any key will do", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return anyKey{l} } },
			[]string{"signed", "signed-open"}, []string{"signed again"}, "the keys of those who may have signed it do not name it"},
		{"notes lost", func() func(*engine.Log) Log { return func(l *engine.Log) Log { return noNotes{l} } },
			[]string{"signed"}, []string{"cut"}, "batches are whole from the start on, and opened to be written the log has 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{Mutations: 300, Seed: 1, Workers: 1, Logs: c.logs, Kinds: c.kinds}
			report, err := Run(t.Context(), config)
			if err != nil || report.Bad() {
				t.Fatalf("as it is: %v\n%v", err, report)
			}
			config.Wrap = c.wrap()
			report, err = Run(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range report.Finds {
				if strings.Contains(f.What, c.want) {
					return
				}
			}
			t.Errorf("no find says %q:\n%s", c.want, report)
		})
	}
}

// TestControlBites: a log that names everything is found out before anything is
// changed.
func TestControlBites(t *testing.T) {
	wrap := func(l *engine.Log) Log { return namesAll{l} }
	if _, err := Run(t.Context(), Config{Mutations: 100, Seed: 1, Wrap: wrap}); err == nil {
		t.Error("a log that is always damaged passes")
	}
}

type namesAll struct{ Log }

func (namesAll) VerifyReceipt(engine.Receipt) error { return engine.ErrCorrupt }
