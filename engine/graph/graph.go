package graph

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// Log is what a graph needs of a log: an *engine.Log has it, also one that was
// opened with ReadOnly or Salvage. What Read has yielded once must stay as it is,
// and come in the order of its sequences, which may have gaps.
type Log interface {
	// Read yields the events that a query selects.
	Read(engine.Query) iter.Seq2[engine.Event, error]
	// Get returns the event with this id, or an error that matches
	// engine.ErrNotFound.
	Get(uuid.UUID) (engine.Event, error)
	// At returns the event with this sequence, or an error that matches
	// engine.ErrNotFound.
	At(sequence uint64) (engine.Event, error)
}

// Graph is the causality of one log. It needs no Close, and takes no part in the
// log's. All its methods may be called from many goroutines at once.
type Graph struct {
	log Log

	// No call ever waits for another: not for its reads of the log, where a
	// simulated task may hand over to one that asks the same graph, and not for
	// anything else. Each reads what it lacks, makes new knowledge beside the old,
	// and puts it in place if it still goes further. Two calls at the same time read
	// the same events; of what the first has put in place the other keeps nothing.
	known atomic.Pointer[knowledge]
}

// New returns the graph of a log. Nothing is read before the first question.
func New(log Log) *Graph {
	g := &Graph{log: log}
	g.known.Store(new(knowledge))
	return g
}

// catchUp reads what the log shows and the graph does not know yet. What was read
// before an error is not lost: the next call goes on behind it.
func (g *Graph) catchUp(ctx context.Context) (*knowledge, error) {
	var next lesson
	err := ctx.Err()
	if err != nil {
		return nil, err
	}
	read := 0
	for event, failed := range g.log.Read(engine.Query{FromSequence: g.known.Load().through + 1, Borrow: true}) {
		if failed != nil {
			err = failed
			break
		}
		if read++; read%1024 == 0 {
			if err = ctx.Err(); err != nil {
				break
			}
		}
		if next.add(&event); next.events == mostEvents {
			g.learn(&next)
		}
	}
	g.learn(&next)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return g.known.Load(), nil
}

// learn adds a lesson, which may begin with what is known but not behind it.
func (g *Graph) learn(next *lesson) {
	for {
		known := g.known.Load()
		if known.through >= next.through || g.known.CompareAndSwap(known, known.with(next)) {
			break
		}
	}
	next.clear()
}

// at returns an event that the graph knows. The error does not match
// engine.ErrNotFound, which is for the events that are asked for.
func (g *Graph) at(sequence uint64) (engine.Event, error) {
	event, err := g.log.At(sequence)
	if errors.Is(err, engine.ErrNotFound) {
		return engine.Event{}, fmt.Errorf("event %d was there and is not any more", sequence)
	}
	return event, err
}

// find returns the event with an id, and what is known of the log up to that
// event at least. The event is absent, with only its ID set, if the log does not
// show it.
func (g *Graph) find(ctx context.Context, id uuid.UUID) (event engine.Event, absent bool, known *knowledge, err error) {
	if known, err = g.catchUp(ctx); err != nil {
		return event, false, nil, err
	}
	event, err = g.log.Get(id)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return engine.Event{ID: id}, true, known, nil
	case err != nil:
		return event, false, nil, err
	case event.Sequence > known.through:
		known, err = g.catchUp(ctx) // it came between the two
	}
	return event, false, known, err
}
