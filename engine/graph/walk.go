package graph

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// Node is an event on a walk.
type Node struct {
	Event    engine.Event // only the ID, if it is Absent
	Distance int          // steps from the event where the walk began
	Absent   bool         // the log does not show an event with this id

	// Effects is how many events of the log follow directly from this one, on the
	// walk or not. Causes leaves it 0; Count tells it.
	Effects int
	// Cut says which limits kept the walk from a next event of this one; 0: none.
	Cut Cut
	// Loop: a next event of this one was on the walk already. The causes go round
	// in a circle.
	Loop bool
}

// Limits bounds a walk. The zero value is none: all there is to reach. The event
// where a walk begins is always part of it.
type Limits struct {
	Distance int // steps from the beginning; 0 means any number
	Nodes    int // nodes in all, with the first one; 0 means any number

	Lanes              []uint32 // go only to events of these lanes; empty means any
	MinDepth, MaxDepth uint32   // go only to events of these depths, inclusive; 0 means no bound
}

// Cut is a set of limits, the fields of Limits, that have cut off a walk.
type Cut uint8

// The limits in a Cut. Lanes and depths say nothing of absent events, which have
// neither.
const (
	CutDistance Cut = 1 << iota // further than Limits.Distance
	CutNodes                    // more than Limits.Nodes
	CutLane                     // in none of Limits.Lanes
	CutDepth                    // not from Limits.MinDepth to Limits.MaxDepth
)

// String lists the limits: "distance, lane".
func (c Cut) String() string {
	var names []string
	for i, name := range []string{"distance", "nodes", "lane", "depth"} {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func (l *Limits) check() error {
	switch {
	case l.Distance < 0:
		return fmt.Errorf("%w: Limits.Distance is %d", engine.ErrInvalid, l.Distance)
	case l.Nodes < 0:
		return fmt.Errorf("%w: Limits.Nodes is %d", engine.ErrInvalid, l.Nodes)
	case l.MaxDepth > 0 && l.MinDepth > l.MaxDepth:
		return fmt.Errorf("%w: Limits.MinDepth is %d and MaxDepth %d", engine.ErrInvalid, l.MinDepth, l.MaxDepth)
	}
	return nil
}

// byPlace reports whether a walk has to look at an event to know whether to go
// there.
func (l *Limits) byPlace() bool { return len(l.Lanes) > 0 || l.MinDepth > 0 || l.MaxDepth > 0 }

// place returns what keeps a walk from an event because of its lane and depth.
func (l *Limits) place(event *engine.Event) Cut {
	var cut Cut
	if len(l.Lanes) > 0 && !slices.Contains(l.Lanes, event.Lane) {
		cut |= CutLane
	}
	if event.Depth < l.MinDepth || l.MaxDepth > 0 && event.Depth > l.MaxDepth {
		cut |= CutDepth
	}
	return cut
}

// further returns what keeps a walk from one more node, one step from a node at
// this distance.
func (l *Limits) further(distance, nodes int) Cut {
	switch {
	case l.Distance > 0 && distance >= l.Distance:
		return CutDistance
	case l.Nodes > 0 && nodes >= l.Nodes:
		return CutNodes
	}
	return 0
}

// Causes walks from the event with this id to its cause, and on towards the root.
// It needs nothing but the log's index, and one read for each node.
//
// On an error it yields that once and stops. The error matches
// engine.ErrNotFound if the log does not show the event.
func (g *Graph) Causes(ctx context.Context, id uuid.UUID, limits Limits) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		stop := func(err error) { yield(Node{}, fmt.Errorf("graph: causes of %v: %w", id, err)) }
		if err := limits.check(); err != nil {
			stop(err)
			return
		}
		event, err := g.log.Get(id)
		if err != nil {
			stop(err)
			return
		}
		node := Node{Event: event}
		walked := map[uuid.UUID]bool{id: true}
		for {
			if err := ctx.Err(); err != nil {
				stop(err)
				return
			}
			cause := node.Event.CausedBy
			next := Node{Distance: node.Distance + 1}
			goOn := false
			switch {
			case cause == uuid.Nil:
			case walked[cause]:
				node.Loop = true
			default:
				if node.Cut = limits.further(node.Distance, len(walked)); node.Cut != 0 {
					break
				}
				next.Event, err = g.log.Get(cause)
				switch {
				case errors.Is(err, engine.ErrNotFound):
					next.Event, next.Absent = engine.Event{ID: cause}, true
				case err != nil:
					stop(err)
					return
				default:
					node.Cut = limits.place(&next.Event)
				}
				goOn = node.Cut == 0
			}
			if !yield(node, nil) || !goOn {
				return
			}
			walked[cause] = true
			node = next
		}
	}
}

// Effects walks from the event with this id to those that follow from it, and on
// to those that follow from them: the nearer first, those of one cause one after
// the other, in the order of the log. It shows the log as it is when the walk
// begins. One read for each node, and another if lanes or depths are limited.
//
// An id that the log does not show, but that events name as their cause, begins
// the walk as an absent node.
//
// On an error it yields that once and stops. The error matches
// engine.ErrNotFound if the log shows neither the event nor an effect of it.
func (g *Graph) Effects(ctx context.Context, id uuid.UUID, limits Limits) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		stop := func(err error) { yield(Node{}, fmt.Errorf("graph: effects of %v: %w", id, err)) }
		if err := limits.check(); err != nil {
			stop(err)
			return
		}
		event, absent, known, err := g.find(ctx, id)
		if err == nil && absent && len(known.causes.naming(id)) == 0 {
			err = engine.ErrNotFound
		}
		if err != nil {
			stop(err)
			return
		}
		type step struct {
			sequence uint64
			distance int
		}
		node := Node{Event: event, Absent: absent}
		walked := map[uint64]bool{event.Sequence: true} // 0, which no event has, if it is absent
		var steps []step
		for {
			for _, sequence := range known.causes.naming(node.Event.ID) {
				node.Effects++
				if walked[sequence] {
					node.Loop = true
					continue
				}
				cut := limits.further(node.Distance, len(walked))
				if cut == 0 && limits.byPlace() {
					effect, err := g.at(sequence)
					if err != nil {
						stop(err)
						return
					}
					cut = limits.place(&effect)
				}
				if node.Cut |= cut; cut == 0 {
					walked[sequence] = true
					steps = append(steps, step{sequence, node.Distance + 1})
				}
			}
			if !yield(node, nil) || len(steps) == 0 {
				return
			}
			if err := ctx.Err(); err != nil {
				stop(err)
				return
			}
			node = Node{Distance: steps[0].distance}
			if node.Event, err = g.at(steps[0].sequence); err != nil {
				stop(err)
				return
			}
			steps = steps[1:]
		}
	}
}

// Correlated yields the events that have the same correlation as the event with
// this id, itself among them, in the order of the log. If there is no such event,
// the id is taken for the correlation.
//
// On an error it yields that once and stops. The error matches
// engine.ErrNotFound if there is nothing to yield.
func (g *Graph) Correlated(ctx context.Context, id uuid.UUID) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		stop := func(err error) {
			yield(engine.Event{}, fmt.Errorf("graph: events correlated with %v: %w", id, err))
		}
		event, absent, known, err := g.find(ctx, id)
		if err != nil {
			stop(err)
			return
		}
		correlation := event.Correlation
		if absent {
			correlation = id
		}
		sequences := known.correlation.naming(correlation)
		// The event that gave the correlation its id has no link.
		origin, err := g.log.Get(correlation)
		switch {
		case errors.Is(err, engine.ErrNotFound):
		case err != nil:
			stop(err)
			return
		case origin.Correlation == origin.ID && origin.Sequence <= known.through:
			at, _ := slices.BinarySearch(sequences, origin.Sequence)
			sequences = slices.Insert(sequences, at, origin.Sequence)
		}
		if len(sequences) == 0 {
			stop(engine.ErrNotFound)
			return
		}
		for _, sequence := range sequences {
			if err := ctx.Err(); err != nil {
				stop(err)
				return
			}
			event, err := g.at(sequence)
			if err != nil {
				stop(err)
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// Count returns how many events of the log follow directly from the one with this
// id, which need not be there.
func (g *Graph) Count(ctx context.Context, id uuid.UUID) (int, error) {
	known, err := g.catchUp(ctx)
	if err != nil {
		return 0, fmt.Errorf("graph: count the effects of %v: %w", id, err)
	}
	return len(known.causes.naming(id)), nil
}
