package invariant

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/model"
)

var ctx = context.Background()

// story tells a model what happens to a fake log.
type story struct {
	t    testing.TB
	m    *model.Model
	disk *fakeDisk
	log  *fake
	call int
	lost []engine.Event // all events before the crash
}

func begin(t testing.TB) *story {
	disk := newDisk()
	return &story{t: t, m: model.New(engine.Options{MaxPayload: 4000}), disk: disk, log: open(disk)}
}

func one(d engine.Draft) engine.Batch { return engine.Batch{Events: []engine.Draft{d}} }

func buffered(b engine.Batch) engine.Batch {
	b.Durability = engine.Buffered
	return b
}

func draft(stream, data string) engine.Draft {
	return engine.Draft{Stream: stream, Type: "test." + stream, Data: []byte(data)}
}

// fly makes a call whose answer nobody sees; its number is returned.
func (s *story) fly(b engine.Batch) int {
	s.call++
	s.m = s.m.With(model.Started{Call: s.call, Batch: b})
	durable := s.disk.durable
	s.log.AppendBatch(ctx, b)
	s.disk.durable = durable
	return s.call
}

// do makes a call and notes its answer.
func (s *story) do(b engine.Batch) ([]engine.Receipt, error) {
	s.call++
	s.m = s.m.With(model.Started{Call: s.call, Batch: b})
	receipts, err := s.log.AppendBatch(ctx, b)
	s.m = s.m.With(model.Answered{Call: s.call, Receipts: receipts, Err: err})
	return receipts, err
}

// fail makes a call that ends in this error.
func (s *story) fail(b engine.Batch, err error) {
	s.log.failNext = err
	if _, found := s.do(b); found != err {
		s.t.Fatalf("the call ended in %v, not in %v", found, err)
	}
}

func (s *story) reads() []engine.Event {
	var events []engine.Event
	for e, err := range s.log.Read(engine.Query{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func (s *story) serve() { s.m = s.m.With(model.Served{Events: s.reads()}) }

// crash cuts the power and opens the log again.
func (s *story) crash(keep int) {
	s.disk.crash(keep)
	s.log = open(s.disk)
}

// look judges what the log shows.
func (s *story) look(how How) (*Seen, []*Violation) {
	seen := Look(ctx, s.m, s.log, how)
	return seen, Judge(s.m, seen)
}

// decide checks that all is well, and tells the model what the log shows.
func (s *story) decide() {
	s.t.Helper()
	seen, violations := s.look(How{})
	for _, v := range violations {
		s.t.Fatalf("a correct log is accused: %v", v)
	}
	s.m = s.m.With(seen.Opened())
	if _, violations := s.look(How{}); len(violations) > 0 {
		s.t.Fatalf("a correct log is accused once it is decided: %v", violations[0])
	}
}

func batchOfThree() engine.Batch {
	first := draft("a", "one")
	first.Expect, first.Flags, first.PayloadVersion = engine.NoStream, 7, 2
	second := draft("a", "two")
	second.Expect, second.CausedBy, second.Lane, second.Depth = engine.Exactly(1), engine.Item(0), 3, 4
	third := draft("c", "three")
	third.Scope, third.CausedBy, third.Extensions = "room", engine.Item(1), map[string][]byte{"x": []byte("y"), "sign": []byte("z")}
	return engine.Batch{Key: "three", Events: []engine.Draft{first, second, third}}
}

func pair() engine.Batch {
	second := draft("b", "fly 2")
	second.CausedBy, second.Flags, second.PayloadVersion = engine.Item(0), 9, 5
	return engine.Batch{Key: "fly", Events: []engine.Draft{draft("a", "fly 1"), second}}
}

// The usual story: its batches are
//
//	1  events 1 2 3  acknowledged, key three
//	2  event  4      acknowledged, cause from elsewhere, erasable
//	3  event  5      buffered, covered by a sync
//	4  event  6      buffered
//	5  event  7      buffered
//	6  events 8 9    in flight, key fly
//
// and beside them a refusal, a failure, and reads.
func usual(t testing.TB) *story {
	s := begin(t)
	s.do(batchOfThree())
	odd := draft("b", "four")
	odd.CausedBy, odd.Metadata, odd.Erasable, odd.Correlation = engine.ByID(outside), []byte("meta"), true, outside
	s.do(one(odd))
	s.serve()
	refused := draft("a", "refused")
	refused.Expect, refused.Key = engine.Exactly(9), "refused"
	s.do(one(refused))
	failed := draft("a", "failed")
	failed.Key = "failed"
	s.fail(one(failed), engine.ErrFailed)
	s.m = s.m.With(model.Frontiers{Stats: s.log.Stats()})
	receipts, _ := s.do(buffered(one(draft("b", "five"))))
	s.log.Sync(ctx)
	s.m = s.m.With(model.Covered{Sequence: receipts[0].Sequence})
	s.do(buffered(one(draft("b", "six"))))
	s.do(buffered(one(draft("d", "seven"))))
	s.fly(pair())
	return s
}

// Everything that a correct log may show after the crash is accepted, and goes
// on being accepted: appends, retries, a second crash, a second Open.
func TestCorrectLogPasses(t *testing.T) {
	for keep := 3; keep <= 6; keep++ {
		t.Run(fmt.Sprintf("%d batches survive", keep), func(t *testing.T) {
			s := usual(t)
			s.crash(keep)
			s.decide()
			first, _ := s.look(How{})
			if err := CheckSecondOpen(ctx, first, func() (Log, error) { return open(s.disk), nil }, func() uint64 { return s.disk.changes }); err != nil {
				t.Fatal(err)
			}
			var err error
			if s.m, err = CheckRetry(ctx, s.m, s.log, 1000, nil); err != nil {
				t.Fatal(err)
			}
			if s.m, err = CheckAppend(ctx, s.m, s.log, 2000, draft("a", "depth 1")); err != nil {
				t.Fatal(err)
			}
			if _, violations := s.look(How{Running: true}); len(violations) > 0 {
				t.Fatal(violations[0])
			}
			s.fly(one(draft("a", "again")))
			s.crash(len(s.disk.batches))
			s.decide()
			s.fly(one(draft("a", "and again")))
			s.crash(0)
			s.decide()
			if _, violations := s.look(How{}); len(violations) > 0 {
				t.Fatal(violations[0])
			}
		})
	}
}

// red is a log that is broken in one way.
type red struct {
	name      string
	invariant string
	keep      int // batches that survive the usual story
	decided   bool
	breaks    func(s *story)
	how       How
}

func edit(rehash bool, change func(events []engine.Event) []engine.Event) func(*story) {
	return func(s *story) {
		s.disk.edit(change, rehash)
		s.log = open(s.disk)
	}
}

// alter changes one event in place.
func alter(sequence int, rehash bool, change func(e *engine.Event)) func(*story) {
	return edit(rehash, func(events []engine.Event) []engine.Event {
		change(&events[sequence-1])
		return events
	})
}

// without takes out events and numbers the rest anew.
func without(sequences ...uint64) func(*story) {
	return edit(true, func(events []engine.Event) []engine.Event {
		events = slices.DeleteFunc(events, func(e engine.Event) bool { return slices.Contains(sequences, e.Sequence) })
		return renumber(events)
	})
}

func renumber(events []engine.Event) []engine.Event {
	versions := make(map[string]uint64)
	for i := range events {
		name := events[i].Scope + "\x00" + events[i].Stream
		versions[name]++
		events[i].Sequence, events[i].Version = uint64(i)+1, versions[name]
	}
	return events
}

// segment breaks what a log says of its last segment.
func segment(change func(g *engine.SegmentStats)) func(*story) {
	return func(s *story) {
		s.log.stats = func(f engine.Stats) engine.Stats {
			change(&f.Segments[len(f.Segments)-1])
			return f
		}
	}
}

// plus appends a batch that nobody submitted, or submitted otherwise.
func plus(drafts ...engine.Draft) func(*story) {
	return func(s *story) {
		s.log.expectAll = true
		s.log.noKeys = true
		if _, err := s.log.AppendBatch(ctx, engine.Batch{Events: drafts}); err != nil {
			s.t.Fatal(err)
		}
		s.log = open(s.disk)
	}
}

func reds() []red {
	keyed := func(d engine.Draft, key string) engine.Draft {
		d.Key = key
		return d
	}
	expecting := func(d engine.Draft, expect engine.Expect) engine.Draft {
		d.Expect = expect
		return d
	}
	return []red{
		{name: "drops the last acknowledged", invariant: "I1", breaks: without(5)},
		{name: "drops all", invariant: "I1", breaks: without(1, 2, 3, 4, 5)},
		{name: "swaps a payload for one of equal length", invariant: "I1", breaks: alter(5, false, func(e *engine.Event) { e.Data = []byte("FIVE") }), how: How{Quick: true}},
		{name: "loses flags", invariant: "I1", breaks: alter(1, false, func(e *engine.Event) { e.Flags = 0 }), how: How{Quick: true}},
		{name: "loses an extension", invariant: "I1", breaks: alter(3, false, func(e *engine.Event) { e.Extensions = map[string][]byte{"x": []byte("y")} }), how: How{Quick: true}},
		{name: "sorts a stream otherwise backward", invariant: "I1", breaks: func(s *story) {
			s.log.yields = func(q engine.Query, events []engine.Event) []engine.Event {
				if q.Backward && q.Stream == "a" {
					slices.Reverse(events)
				}
				return events
			}
		}},
		{name: "ends a backward read early", invariant: "I1", breaks: func(s *story) {
			s.log.yields = func(q engine.Query, events []engine.Event) []engine.Event {
				if q.Backward && q.Stream == "" {
					return events[:len(events)-1]
				}
				return events
			}
		}},
		{name: "yields one more in a stream", invariant: "I1", breaks: func(s *story) {
			s.log.yields = func(q engine.Query, events []engine.Event) []engine.Event {
				if q.Stream == "b" {
					return append(events, events[0])
				}
				return events
			}
		}},
		{name: "gets an event with another payload version", invariant: "I1", breaks: func(s *story) {
			s.log.getLies = func(e engine.Event) engine.Event { e.PayloadVersion++; return e }
		}},
		{name: "does not verify receipts", invariant: "I1", breaks: func(s *story) { s.log.badProof = true }},

		{name: "half of a batch in flight", invariant: "I2", keep: 6, breaks: without(9)},
		{name: "the other half", invariant: "I2", keep: 6, breaks: edit(true, func(events []engine.Event) []engine.Event {
			events[8].CausedBy = events[7].ID
			return renumber(append(events[:7], events[8]))
		})},
		{name: "half of an acknowledged batch", invariant: "I2", breaks: without(3, 4, 5)},

		{name: "loses an in-flight item's flags", invariant: "I3", keep: 6, breaks: alter(9, true, func(e *engine.Event) { e.Flags = 0 })},
		{name: "loses an in-flight item's payload version", invariant: "I3", keep: 6, breaks: alter(9, true, func(e *engine.Event) { e.PayloadVersion = 0 })},
		{name: "changes a buffered payload", invariant: "I3", keep: 4, breaks: alter(6, true, func(e *engine.Event) { e.Data = []byte("SIX"); e.Hash = engine.Hash{} })},
		{name: "publishes what was refused", invariant: "I3", keep: 5, breaks: plus(keyed(expecting(draft("a", "refused"), engine.Exactly(9)), "refused"))},
		{name: "publishes what failed", invariant: "I3", keep: 5, breaks: plus(keyed(draft("a", "failed"), "failed"))},
		{name: "shows what nobody submitted", invariant: "I3", keep: 5, breaks: plus(draft("a", "alien"))},
		{name: "shows an unkeyed call twice", invariant: "I3", keep: 5, breaks: plus(draft("d", "seven"))},

		{name: "keeps what follows a lost buffered event", invariant: "I4", keep: 5, breaks: without(6)},
		{name: "shows an in-flight batch without the buffered ones before it", invariant: "I4", keep: 6, breaks: without(6, 7)},
		{name: "skips a sequence", invariant: "I4", breaks: alter(5, true, func(e *engine.Event) { e.Sequence = 6 }), how: How{Quick: true}},
		{name: "gives a wrong version", invariant: "I4", breaks: alter(5, true, func(e *engine.Event) { e.Version = 3 }), how: How{Quick: true}},
		{name: "gives two calls one batch number", invariant: "I4", keep: 6, breaks: edit(true, func(events []engine.Event) []engine.Event {
			for i := 7; i < 9; i++ {
				events[i].Batch = 4
			}
			return events
		})},
		{name: "lets the time fall", invariant: "I4", keep: 6, breaks: edit(true, func(events []engine.Event) []engine.Event {
			for i := 7; i < 9; i++ {
				events[i].Clock = events[0].Clock
				events[i].Time = events[0].Clock
			}
			return events
		})},

		{name: "breaks a chain in flight", invariant: "I5", keep: 6, breaks: alter(9, false, func(e *engine.Event) { e.Hash[0]++ })},
		{name: "has a head that is ahead", invariant: "I5", breaks: func(s *story) { s.log.headShift = 1 }},
		{name: "has a log head that is behind", invariant: "I5", breaks: func(s *story) {
			s.log.logHead = func(h engine.LogHead) engine.LogHead { h.Sequence--; return h }
		}},
		{name: "has a log head at an earlier batch", invariant: "I5", breaks: func(s *story) {
			s.log.logHead = func(h engine.LogHead) engine.LogHead { h.Batch--; return h }
		}},
		{name: "has a log head without a hash", invariant: "I5", breaks: func(s *story) {
			s.log.logHead = func(h engine.LogHead) engine.LogHead { h.Hash = engine.Hash{}; return h }
		}},

		{name: "has a segment that ends with another head", invariant: "I5", breaks: segment(func(g *engine.SegmentStats) { g.Head.Hash[0]++ })},
		{name: "has a segment that ends early", invariant: "I5", breaks: segment(func(g *engine.SegmentStats) { g.Head.Sequence-- }), how: How{Quick: true}},
		{name: "has a segment that ends before its last batch", invariant: "I5", breaks: segment(func(g *engine.SegmentStats) { g.Head.Batch-- })},
		{name: "has a segment that begins after its first event", invariant: "I5", breaks: segment(func(g *engine.SegmentStats) { g.FirstTime = g.FirstTime.Add(1) })},

		{name: "takes a key's effect twice", invariant: "I6", keep: 6, breaks: plus(keyed(draft("a", "fly 1"), "fly/0"), keyed(draft("b", "fly 2"), "fly/1"))},
		{name: "answers ok for a failed call's key", invariant: "I6", breaks: func(s *story) {
			s.log.keyAnswer = func(key string) (engine.Receipt, bool) {
				return fakeReceipt(s.disk.events()[0], true), key == "failed"
			}
		}},

		{name: "renumbers acknowledged events", invariant: "I7", breaks: edit(true, func(events []engine.Event) []engine.Event {
			events[3], events[4] = events[4], events[3]
			events[3].Batch, events[4].Batch = 2, 3
			events[3].Time, events[3].Clock, events[4].Time, events[4].Clock = events[4].Time, events[4].Clock, events[3].Time, events[3].Clock
			return renumber(events)
		})},
		{name: "changes an acknowledged hash", invariant: "I7", breaks: alter(5, false, func(e *engine.Event) { e.Hash[31]++ }), how: How{Quick: true}},
		{name: "gives an acknowledged sequence to another call", invariant: "I7", keep: 6, breaks: without(5, 6, 7)},

		{name: "lets visible be ahead of durable", invariant: "I8", breaks: func(s *story) {
			s.log.stats = func(f engine.Stats) engine.Stats { f.Durable.Sequence--; return f }
		}},
		{name: "lets durable fall behind an earlier time", invariant: "I8", breaks: func(s *story) {
			s.log.stats = func(f engine.Stats) engine.Stats {
				f.Durable.Time = f.Durable.Time.AddDate(-1, 0, 0)
				return f
			}
		}},
		{name: "serves what is not durable", invariant: "I8", breaks: func(s *story) {
			s.log.yields = func(q engine.Query, events []engine.Event) []engine.Event {
				for i := range events {
					events[i].Durable = false
				}
				return events
			}
		}},

		{name: "brings back what an Open left out", invariant: "I13", decided: true, keep: 5, breaks: func(s *story) {
			b := pair()
			plus(keyed(b.Events[0], "fly/0"))(s)
			s.disk.edit(func(events []engine.Event) []engine.Event {
				left := events[len(events)-1]
				second := left
				second.Stream, second.Type, second.Version, second.Sequence, second.Key = "b", "test.b", 4, left.Sequence+1, "fly/1"
				second.Data, second.Flags, second.PayloadVersion, second.CausedBy = b.Events[1].Data, 9, 5, left.ID
				second.ID[15]++
				second.Correlation = second.ID
				return append(events, second)
			}, true)
			s.log = open(s.disk)
		}},
		{name: "brings back a buffered event by its id", invariant: "I13", decided: true, keep: 4, breaks: func(s *story) {
			s.disk.edit(func(events []engine.Event) []engine.Event { return append(events, s.lost[6]) }, false)
			s.log = open(s.disk)
		}},
		{name: "changes the log head that an Open showed", invariant: "I13", decided: true, keep: 6, breaks: func(s *story) {
			s.log.logHead = func(h engine.LogHead) engine.LogHead { h.Hash[0]++; return h }
		}},
		{name: "loses what an Open showed", invariant: "I13", decided: true, keep: 6, breaks: without(8, 9)},
		{name: "changes what an Open showed", invariant: "I13", decided: true, keep: 6, breaks: alter(9, false, func(e *engine.Event) { e.Data = []byte("FLY 2") }), how: How{Quick: true}},
		{name: "moves the time that an Open showed", invariant: "I13", decided: true, keep: 6, breaks: func(s *story) {
			alter(9, false, func(e *engine.Event) { e.Clock = e.Clock.Add(1); e.Time = e.Clock })(s)
		}, how: How{Quick: true}},
	}
}

// Each broken log is found out, under exactly one invariant, and each time in
// the same words.
func TestBrokenLogsAreCaught(t *testing.T) {
	caught := make(map[string]int)
	for _, r := range reds() {
		t.Run(r.name, func(t *testing.T) {
			texts := make([]string, 2)
			for i := range texts {
				s := usual(t)
				all := s.disk.events()
				s.crash(max(r.keep, 3))
				if r.decided {
					s.decide()
				} else if _, violations := s.look(r.how); len(violations) > 0 {
					t.Fatalf("accused before it was broken: %v", violations[0])
				}
				s.lost = all
				r.breaks(s)
				_, violations := s.look(r.how)
				if len(violations) == 0 {
					t.Fatalf("not caught; want %s", r.invariant)
				}
				for _, v := range violations {
					texts[i] += v.Error() + "\n"
					if v.Invariant != r.invariant {
						t.Errorf("want only %s, found: %v", r.invariant, v)
					}
				}
			}
			if texts[0] != texts[1] {
				t.Errorf("two runs, two texts:\n%s\n%s", texts[0], texts[1])
			}
			t.Log(texts[0])
		})
		caught[r.invariant]++
	}
	for _, id := range []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I13"} {
		if caught[id] < 2 {
			t.Errorf("%s is tried with %d broken logs; want two at least", id, caught[id])
		}
	}
}
