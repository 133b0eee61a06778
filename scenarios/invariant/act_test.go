package invariant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

// want checks that an error is a violation of one invariant.
func want(t *testing.T, id string, err error) {
	t.Helper()
	var v *Violation
	switch {
	case err == nil:
		t.Errorf("not caught; want %s", id)
	case !errors.As(err, &v):
		t.Errorf("want a violation of %s, found %v", id, err)
	case v.Invariant != id:
		t.Errorf("want %s, found: %v", id, v)
	default:
		t.Log(v)
	}
}

func TestBrokenRetriesAreCaught(t *testing.T) {
	for _, r := range []struct {
		name   string
		keep   int
		breaks func(s *story)
	}{
		{"takes effect again", 6, func(s *story) { s.log.noKeys = true }},
		{"answers for a failed call", 5, func(s *story) {
			s.log.keyAnswer = func(key string) (engine.Receipt, bool) {
				return fakeReceipt(s.disk.events()[0], true), key == "failed"
			}
		}},
		{"answers for a call that was left out", 5, func(s *story) {
			s.log.keyAnswer = func(key string) (engine.Receipt, bool) {
				return fakeReceipt(s.disk.events()[0], true), strings.HasPrefix(key, "fly/")
			}
		}},
		{"forgets that a call was refused by what is there", 5, func(s *story) { s.log.expectAll = true }},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := usual(t)
			s.crash(r.keep)
			s.decide()
			r.breaks(s)
			_, err := CheckRetry(ctx, s.m, s.log, 1000, nil)
			want(t, "I6", err)
		})
	}
}

func TestBrokenAppendsAreCaught(t *testing.T) {
	for _, r := range []struct {
		name   string
		breaks func(s *story)
	}{
		{"refuses", func(s *story) { s.log.noRoom = true }},
		{"answers and does not keep", func(s *story) {
			known := len(s.disk.events())
			s.log.yields = func(_ engine.Query, events []engine.Event) []engine.Event { return events[:known] }
		}},
		{"changes what was there", func(s *story) {
			s.log.yields = func(_ engine.Query, events []engine.Event) []engine.Event {
				events[0].Data = []byte("ONE")
				return events
			}
		}},
		{"goes on at another sequence", func(s *story) {
			s.log.answers = func(receipts []engine.Receipt) []engine.Receipt {
				receipts[0].Sequence++
				return receipts
			}
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := usual(t)
			s.crash(4)
			s.decide()
			r.breaks(s)
			_, err := CheckAppend(ctx, s.m, s.log, 1000, draft("a", "after"))
			want(t, "I9", err)
		})
	}
}

func TestBrokenSecondOpensAreCaught(t *testing.T) {
	for _, r := range []struct {
		name, invariant string
		open            func(s *story) (Log, error)
	}{
		{"writes", "I9", func(s *story) (Log, error) { s.disk.changes++; return open(s.disk), nil }},
		{"fails", "I11", func(s *story) (Log, error) { return nil, engine.ErrLocked }},
		{"finds damage", "I11", func(s *story) (Log, error) { return nil, &engine.CorruptError{} }},
		{"shows less", "I13", func(s *story) (Log, error) { without(6)(s); return s.log, nil }},
		{"shows more", "I13", func(s *story) (Log, error) { plus(draft("d", "seven"))(s); s.disk.changes--; return s.log, nil }},
		{"shows something else", "I13", func(s *story) (Log, error) {
			alter(6, false, func(e *engine.Event) { e.Data = []byte("SIX") })(s)
			return s.log, nil
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := usual(t)
			s.crash(4)
			first, _ := s.look(How{})
			changes := func() uint64 { return s.disk.changes }
			want(t, r.invariant, CheckSecondOpen(ctx, first, func() (Log, error) { return r.open(s) }, changes))
		})
	}
}

func TestOpenMayFailOnlyWithinTheBudget(t *testing.T) {
	damage := fmt.Errorf("open: %w", &engine.CorruptError{Segment: 1})
	for _, c := range []struct {
		err    error
		budget Budget
		fine   bool
	}{
		{nil, Budget{}, true},
		{damage, Budget{}, false},
		{damage, Budget{NoSpace: true}, false},
		{damage, Budget{Damage: true}, true},
		{damage, Budget{LyingDisk: true}, true},
		{engine.ErrNoSpace, Budget{LyingDisk: true, Damage: true}, false},
		{engine.ErrNoSpace, Budget{NoSpace: true}, true},
		{engine.ErrLocked, Budget{LyingDisk: true, Damage: true, NoSpace: true}, false},
	} {
		if err := CheckOpen(c.err, c.budget); c.fine {
			if err != nil {
				t.Errorf("%v with %+v: %v", c.err, c.budget, err)
			}
		} else {
			want(t, "I11", err)
		}
	}
}

// Answers that a correct log never gives are contradictions, found without
// looking at the disk.
func TestBrokenAnswersAreCaught(t *testing.T) {
	answer := func(change func(r []engine.Receipt) []engine.Receipt) func(s *story) {
		return func(s *story) {
			s.log.answers = change
			s.do(engine.Batch{Events: []engine.Draft{draft("x", "1"), draft("x", "2")}})
		}
	}
	for _, r := range []struct {
		name, invariant string
		breaks          func(s *story)
	}{
		{"too few receipts", "I2", answer(func(r []engine.Receipt) []engine.Receipt { return r[:1] })},
		{"no receipts", "I2", answer(func(r []engine.Receipt) []engine.Receipt { return nil })},
		{"sequences that jump", "I4", answer(func(r []engine.Receipt) []engine.Receipt { r[1].Sequence++; return r })},
		{"a sequence from nowhere", "I4", answer(func(r []engine.Receipt) []engine.Receipt { r[0].Sequence, r[1].Sequence = 1<<40, 1<<40+1; return r })},
		{"receipts of another stream", "I3", answer(func(r []engine.Receipt) []engine.Receipt { r[1].Stream = "y"; return r })},
		{"a durable call answered early", "I8", answer(func(r []engine.Receipt) []engine.Receipt { r[0].Durable, r[1].Durable = false, false; return r })},
		{"an acknowledged sequence again", "I7", answer(func(r []engine.Receipt) []engine.Receipt { r[0].Sequence, r[1].Sequence = 4, 5; return r })},
		{"a read that changes its mind", "I7", func(s *story) {
			s.serve()
			events := s.reads()
			events[1].Data = []byte("TWO")
			s.m = s.m.With(model.Served{Events: events})
		}},
		{"a retry with other receipts", "I6", func(s *story) {
			s.log.noKeys = true
			batch := batchOfThree()
			batch.Events[0].Expect, batch.Events[1].Expect = engine.Any, engine.Any
			s.do(batch)
		}},
		{"a retry with another hash", "I6", func(s *story) {
			s.call++
			receipts, _ := s.log.AppendBatch(ctx, batchOfThree())
			receipts[2].Hash[0]++
			s.m = s.m.With(model.Started{Call: s.call, Batch: batchOfThree()}, model.Answered{Call: s.call, Receipts: receipts})
		}},
		{"a version that should have been refused", "I3", func(s *story) {
			s.log.expectAll = true
			d := draft("a", "too late")
			d.Expect = engine.NoStream
			s.do(one(d))
		}},
		{"a durable frontier that falls", "I8", func(s *story) {
			stats := s.log.Stats()
			s.m = s.m.With(model.Frontiers{Stats: stats})
			stats.Durable.Sequence--
			stats.Visible.Sequence--
			s.m = s.m.With(model.Frontiers{Stats: stats})
		}},
		{"an accepted frontier behind written", "I8", func(s *story) {
			stats := s.log.Stats()
			stats.Accepted.Sequence--
			s.m = s.m.With(model.Frontiers{Stats: stats})
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := begin(t)
			s.do(batchOfThree())
			s.do(one(draft("b", "four")))
			s.do(one(draft("b", "five")))
			if _, violations := s.look(How{Running: true}); len(violations) > 0 {
				t.Fatal(violations[0])
			}
			r.breaks(s)
			if len(s.m.Contradictions()) == 0 {
				t.Fatal("not caught")
			}
			for _, f := range s.m.Contradictions() {
				if of(f) != r.invariant {
					t.Errorf("want %s, found %s: %v", r.invariant, of(f), f)
				}
			}
		})
	}
}

// What a lying disk may do, it may do only within its budget.
func TestLyingDisk(t *testing.T) {
	lying := How{Budget: Budget{LyingDisk: true}}
	for _, r := range []struct {
		name, strict, lying string // the invariants reported; "": none
		decided             bool
		breaks              func(s *story)
	}{
		{"acknowledged events gone", "I1", "", false, without(4, 5, 6, 7, 8, 9)},
		{"shown events gone", "I13", "", true, without(6, 7, 8, 9)},
		{"a shorter batch", "I2", "I2", false, without(3, 4, 5, 6, 7, 8, 9)},
		{"another payload", "I1", "I1", false, func(s *story) {
			alter(4, false, func(e *engine.Event) { e.Data = []byte("FOUR") })(s)
		}},
		{"a foreign event", "I3", "I3", false, plus(draft("z", "alien"))},
		{"an interior event gone, the rest behind it numbered anew", "I7", "", false, without(4)},
	} {
		t.Run(r.name, func(t *testing.T) {
			for _, how := range []How{{Quick: true}, {Quick: true, Budget: lying.Budget}} {
				s := usual(t)
				s.crash(6)
				if r.decided {
					s.decide()
				}
				r.breaks(s)
				seen, violations := s.look(how)
				expected := r.strict
				if how.Budget.LyingDisk {
					expected = r.lying
				}
				if expected == "" {
					if len(violations) > 0 {
						t.Errorf("accused within the budget: %v", violations[0])
					}
					s.m = s.m.With(seen.Opened())
					if _, violations := s.look(How{Quick: true}); len(violations) > 0 {
						t.Errorf("accused once it is decided: %v", violations[0])
					}
					continue
				}
				want(t, expected, First(violations))
			}
		})
	}
}

func TestDamage(t *testing.T) {
	corrupt := &engine.CorruptError{Segment: 1, Offset: 100, Where: "interior", Reason: "a checksum"}
	truth := func(s *story) Truth { return Truth{Events: s.reads(), LastGroup: 8} }
	closed := func(s *story) Truth { return Truth{Events: s.reads(), Closed: true} }
	salvage := func(s *story) Truth { return Truth{Events: s.reads(), Closed: true, Salvage: true} }
	must := func(s *story) Truth { return Truth{Events: s.reads(), MustReport: true, LastGroup: 8} }
	for _, r := range []struct {
		name   string
		fine   bool
		truth  func(*story) Truth
		damage func(s *story, l *damaged)
	}{
		{"none", true, closed, func(*story, *damaged) {}},
		{"Open reports", true, closed, func(_ *story, l *damaged) { l.openErr = corrupt }},
		{"Open fails otherwise", false, closed, func(_ *story, l *damaged) { l.openErr = errors.New("short buffer") }},
		{"a read reports, and Verify", true, closed, func(_ *story, l *damaged) { l.from, l.err, l.verify = 5, corrupt, corrupt }},
		{"a read reports, Verify does not", false, closed, func(_ *story, l *damaged) { l.from, l.err = 5, corrupt }},
		{"a read fails otherwise", false, closed, func(_ *story, l *damaged) {
			l.from, l.err, l.verify = 5, errors.New("unexpected EOF"), corrupt
		}},
		{"a read ends early", false, closed, func(s *story, _ *damaged) { without(9)(s) }},
		{"the last group of a log that was not closed is gone", true, truth, func(s *story, _ *damaged) { without(8, 9)(s) }},
		{"one more group is gone", false, truth, func(s *story, _ *damaged) { without(7, 8, 9)(s) }},
		{"wrong bytes", false, truth, func(s *story, _ *damaged) { alter(4, true, func(e *engine.Event) { e.Data = []byte("FOUR") })(s) }},
		{"wrong bytes in the last group", false, truth, func(s *story, _ *damaged) { alter(9, true, func(e *engine.Event) { e.Data = []byte("fly 3") })(s) }},
		{"two events swapped", false, truth, func(s *story, _ *damaged) {
			edit(true, func(events []engine.Event) []engine.Event {
				events[5], events[6] = events[6], events[5]
				return renumber(events)
			})(s)
		}},
		{"an event moved to the end again", false, truth, func(s *story, _ *damaged) {
			edit(true, func(events []engine.Event) []engine.Event { return renumber(append(events, events[3])) })(s)
		}},
		{"a hole", false, closed, func(s *story, l *damaged) { l.hole = 4; l.verify = corrupt }},
		{"a hole, salvaged", true, salvage, func(s *story, l *damaged) { l.hole = 4; l.verify = corrupt }},
		{"wrong bytes, salvaged", false, salvage, func(s *story, _ *damaged) { alter(4, true, func(e *engine.Event) { e.Flags++ })(s) }},
		{"needed bytes, in silence", false, must, func(*story, *damaged) {}},
		{"needed bytes, and Verify tells", true, must, func(_ *story, l *damaged) { l.verify = corrupt }},
		{"Get yields another version", false, closed, func(s *story, _ *damaged) {
			s.log.getLies = func(e engine.Event) engine.Event { e.PayloadVersion++; return e }
		}},
		{"a backward read yields wrong bytes", false, closed, func(s *story, _ *damaged) {
			s.log.yields = func(q engine.Query, events []engine.Event) []engine.Event {
				if q.Backward {
					events[0].Metadata = []byte("x")
				}
				return events
			}
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := usual(t)
			s.crash(6)
			truth := r.truth(s)
			l := &damaged{}
			r.damage(s, l)
			l.fake = s.log
			err := CheckDamage(ctx, truth, func() (Log, error) {
				if l.openErr != nil {
					return nil, l.openErr
				}
				return l, nil
			})
			if !r.fine {
				want(t, "I10", err)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// Every invariant has its sentence, in order.
func TestAll(t *testing.T) {
	var ids []string
	for _, i := range All() {
		ids = append(ids, i.ID)
		if i.Sentence == "" {
			t.Errorf("%s says nothing", i.ID)
		}
	}
	if wanted := []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I15", "I16"}; !slices.Equal(ids, wanted) {
		t.Errorf("want %v, found %v", wanted, ids)
	}
}
