package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

// TestSubscribersSeeEveryEventOnce: subscribers that begin anywhere, while clients
// append, durably and not, see what a read sees afterwards, in the same order.
func TestSubscribersSeeEveryEventOnce(t *testing.T) {
	for seed := range uint64(150) {
		queries := []engine.Query{
			{}, {Stream: "s1"}, {Scope: "first"}, {Types: []string{"t1", "t2"}}, {Buffered: true},
			{FromSequence: 7}, {ToSequence: 9}, {Limit: 5}, {Stream: "s2", FromVersion: 2, ToVersion: 3},
		}
		seen := make([][]uint64, len(queries))
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			clients := 4
			c.each(clients+len(queries), func(i int) {
				if i < clients {
					for n := range 4 {
						batch := engine.Batch{Durability: engine.Durability((i + n) % 2)}
						for k := range 1 + (i+n)%3 {
							d := engine.Draft{Stream: fmt.Sprint("s", i%3), Type: fmt.Sprint("t", k), Data: fmt.Append(nil, i, n, k)}
							if i == 0 {
								d.Scope = "first"
							}
							batch.Events = append(batch.Events, d)
						}
						if _, err := c.log.AppendBatch(ctx, batch); err != nil {
							t.Error(err)
						}
					}
					if clients--; clients == 0 {
						if err := c.log.Sync(context.Background()); err != nil {
							t.Error(err)
						}
						for range 50 { // whoever has something to see sees it
							c.turns.Yield()
						}
						stop()
					}
					return
				}
				i -= 4
				for event, err := range c.log.Subscribe(ctx, queries[i]) {
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							t.Errorf("seed %d, query %d: %v", seed, i, err)
						}
						break
					}
					seen[i] = append(seen[i], event.Sequence)
				}
			})
			for i, q := range queries {
				var want []uint64
				for event, err := range c.log.Read(q) {
					if err != nil {
						t.Error(err)
					}
					want = append(want, event.Sequence)
				}
				if !slices.Equal(seen[i], want) {
					t.Errorf("seed %d: query %d yielded %v, want %v", seed, i, seen[i], want)
				}
			}
		})
	}
}

// TestASubscriptionNeverSplitsABatch: when the first event of a batch is seen all
// of it can be read.
func TestASubscriptionNeverSplitsABatch(t *testing.T) {
	for seed := range uint64(50) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			c.each(3, func(i int) {
				if i < 2 {
					for range 5 {
						if _, err := c.log.AppendBatch(ctx, engine.Batch{Events: drafts("a", "b", "c"), Durability: engine.Durability(i)}); err != nil {
							t.Error(err)
						}
					}
					return
				}
				for event, err := range c.log.Subscribe(ctx, engine.Query{Limit: 30, Buffered: seed%2 == 0}) {
					if err != nil {
						t.Error(err)
						return
					}
					stats := c.log.Stats()
					until := stats.Visible.Sequence
					if seed%2 == 0 {
						until = stats.Written.Sequence
					}
					if until%3 != 0 || event.Sequence > until {
						t.Errorf("seed %d: event %d is seen, and %d can be read", seed, event.Sequence, until)
					}
				}
			})
		})
	}
}

// TestHowASubscriptionEnds: at its limits, by the context, a close, or a failure.
func TestHowASubscriptionEnds(t *testing.T) {
	background := context.Background()
	end := func(log *engine.Log, ctx context.Context, q engine.Query) (n int, err error) {
		for _, err := range log.Subscribe(ctx, q) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "one", "two")
	cancelled, cancel := context.WithCancel(background)
	cancel()
	for _, test := range []struct {
		what string
		ctx  context.Context
		q    engine.Query
		n    int
		err  error
	}{
		{"a context that has ended", cancelled, engine.Query{}, 0, context.Canceled},
		{"at its limit", background, engine.Query{Limit: 1}, 1, nil},
		{"at its sequence", background, engine.Query{ToSequence: 2}, 2, nil},
		{"at its version", background, engine.Query{Stream: "s", ToVersion: 2}, 2, nil},
		{"behind its sequence", background, engine.Query{FromSequence: 2, ToSequence: 1}, 0, nil},
		{"behind its version", background, engine.Query{Stream: "s", ToVersion: 1, FromSequence: 3}, 0, nil},
		{"backward", background, engine.Query{Backward: true}, 0, engine.ErrInvalid},
		{"versions of no stream", background, engine.Query{ToVersion: 1}, 0, engine.ErrInvalid},
	} {
		if n, err := end(log, test.ctx, test.q); n != test.n || !errors.Is(err, test.err) {
			t.Errorf("%s: %d events, %v; want %d, %v", test.what, n, err, test.n, test.err)
		}
	}
	closed(t, log)
	if _, err := end(log, background, engine.Query{FromSequence: 3}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("on a closed log: %v", err)
	}

	// While it waits.
	for seed := range uint64(30) {
		newCrowd(t, seed, engine.Options{}, func(c *crowd) {
			c.each(2, func(i int) {
				if i == 0 {
					appended(t, c.log, "one")
					if err := c.log.Close(); err != nil {
						t.Error(err)
					}
					return
				}
				if n, err := end(c.log, background, engine.Query{}); n > 1 || !errors.Is(err, engine.ErrClosed) {
					t.Errorf("seed %d: closed under its hands: %d events, %v", seed, n, err)
				}
			})
		})
	}
	log = m.open("step=1 syncdata seg #1: failsync ext4")
	m.happen()
	_, err := log.AppendBatch(background, engine.Batch{Events: drafts("three")})
	matches(t, err, engine.ErrInDoubt)
	m.happened()
	for _, buffered := range []bool{false, true} {
		if n, err := end(log, background, engine.Query{Buffered: buffered}); n != 2 || !errors.Is(err, engine.ErrLogFailed) {
			t.Errorf("a failed log: %d events, %v", n, err)
		}
	}
}
