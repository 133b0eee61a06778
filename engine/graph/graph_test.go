package graph_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/graph"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// list is a log in memory, of any events, sorted by sequence.
type list struct {
	events []engine.Event
	broken map[uint64]error      // what reading an event says
	on     func(sequence uint64) // called before each event that is read
	get    func(id uuid.UUID)    // called before each Get
	reads  int                   // events that were read in runs, not one by one
}

func (l *list) Read(q engine.Query) iter.Seq2[engine.Event, error] {
	to := q.ToSequence
	if to == 0 && len(l.events) > 0 {
		to = l.events[len(l.events)-1].Sequence // the frontier of the start
	}
	return func(yield func(engine.Event, error) bool) {
		for _, event := range l.events {
			if event.Sequence < q.FromSequence || event.Sequence > to {
				continue
			}
			if l.on != nil {
				l.on(event.Sequence)
			}
			if q.ToSequence == 0 {
				l.reads++
			}
			if err := l.broken[event.Sequence]; err != nil {
				yield(engine.Event{}, err)
				return
			}
			event.Data = slices.Clone(event.Data)
			goOn := yield(event, nil)
			if q.Borrow {
				clear(event.Data)
			}
			if !goOn {
				return
			}
		}
	}
}

// At is a Read of one: it is told to on, and breaks where that does.
func (l *list) At(sequence uint64) (engine.Event, error) {
	for event, err := range l.Read(engine.Query{FromSequence: sequence, ToSequence: sequence}) {
		return event, err
	}
	return engine.Event{}, fmt.Errorf("list: %w", engine.ErrNotFound)
}

func (l *list) Get(id uuid.UUID) (engine.Event, error) {
	if l.get != nil {
		l.get(id)
	}
	for _, event := range l.events {
		if event.ID == id {
			return event, nil
		}
	}
	return engine.Event{}, fmt.Errorf("list: %w", engine.ErrNotFound)
}

// id returns the n-th id of the tests.
func id(n int) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[8:], uint64(n))
	u[6], u[0] = 0x70, 1
	return u
}

// caused returns events 1, 2, 3 …, the n-th of which has the n-th cause: the
// number of another one, or 0.
func caused(causes ...int) *list {
	l := new(list)
	for i, cause := range causes {
		event := engine.Event{
			ID: id(i + 1), Sequence: uint64(i + 1), Version: uint64(i + 1), Stream: "s", Type: "t",
			Correlation: id(i + 1), Data: []byte{byte(i + 1)},
		}
		if cause != 0 {
			event.CausedBy = id(cause)
		}
		l.events = append(l.events, event)
	}
	return l
}

// walk collects nodes, and the error that ended them.
func walk(nodes iter.Seq2[graph.Node, error]) (all []graph.Node, err error) {
	for node, err := range nodes {
		if err != nil {
			return all, err
		}
		all = append(all, node)
	}
	return all, nil
}

// brief writes nodes as text: "3" for event 3, with its distance, effects and marks.
func brief(nodes []graph.Node) string {
	var words []string
	for _, n := range nodes {
		word := fmt.Sprintf("%d@%d", n.Event.Sequence, n.Distance)
		if n.Effects > 0 {
			word += fmt.Sprintf("+%d", n.Effects)
		}
		if n.Absent {
			word += " absent"
		}
		if n.Loop {
			word += " loop"
		}
		if n.Cut != 0 {
			word += " cut by " + n.Cut.String()
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestWalks(t *testing.T) {
	// 1 ─┬─ 2 ─── 4 ─┬─ 6
	//    └─ 3 ─── 5  └─ 7 ─── 8
	tree := func() *list {
		l := caused(0, 1, 1, 2, 3, 4, 4, 7)
		for i, lane := range []uint32{0, 1, 2, 1, 2, 1, 3, 3} {
			l.events[i].Lane = lane
		}
		for i, depth := range []uint32{0, 1, 1, 2, 2, 3, 3, 4} {
			l.events[i].Depth = depth
		}
		return l
	}
	for _, c := range []struct {
		name    string
		log     *list
		from    int
		limits  graph.Limits
		causes  string
		effects string
	}{
		{"a tree, from the root", tree(), 1, graph.Limits{}, "1@0", "1@0+2, 2@1+1, 3@1+1, 4@2+2, 5@2, 6@3, 7@3+1, 8@4"},
		{"a tree, from a leaf", tree(), 8, graph.Limits{}, "8@0, 7@1, 4@2, 2@3, 1@4", "8@0"},
		{"a tree, from the middle", tree(), 4, graph.Limits{}, "4@0, 2@1, 1@2", "4@0+2, 6@1, 7@1+1, 8@2"},
		{"distance", tree(), 4, graph.Limits{Distance: 1}, "4@0, 2@1 cut by distance", "4@0+2, 6@1, 7@1+1 cut by distance"},
		{"a distance that is just enough", tree(), 4, graph.Limits{Distance: 2}, "4@0, 2@1, 1@2", "4@0+2, 6@1, 7@1+1, 8@2"},
		{"nodes", tree(), 4, graph.Limits{Nodes: 2}, "4@0, 2@1 cut by nodes", "4@0+2 cut by nodes, 6@1"},
		{"one node", tree(), 4, graph.Limits{Nodes: 1}, "4@0 cut by nodes", "4@0+2 cut by nodes"},
		{"nodes that are just enough", tree(), 4, graph.Limits{Nodes: 4}, "4@0, 2@1, 1@2", "4@0+2, 6@1, 7@1+1, 8@2"},
		{"lanes", tree(), 4, graph.Limits{Lanes: []uint32{3, 1}}, "4@0, 2@1 cut by lane", "4@0+2, 6@1, 7@1+1, 8@2"},
		{"another lane", tree(), 4, graph.Limits{Lanes: []uint32{3}}, "4@0 cut by lane", "4@0+2 cut by lane, 7@1+1, 8@2"},
		{"depths", tree(), 4, graph.Limits{MinDepth: 1, MaxDepth: 3}, "4@0, 2@1 cut by depth", "4@0+2, 6@1, 7@1+1 cut by depth"},
		{"lanes and depths", tree(), 2, graph.Limits{MinDepth: 1, Lanes: []uint32{2}}, "2@0 cut by lane, depth", "2@0+1 cut by lane"},
		{"its own cause", caused(1, 1), 1, graph.Limits{}, "1@0 loop", "1@0+2 loop, 2@1"},
		{"a circle", caused(3, 1, 2), 2, graph.Limits{}, "2@0, 1@1, 3@2 loop", "2@0+1, 3@1+1, 1@2+1 loop"},
		{"a way into a circle", caused(2, 1, 2), 3, graph.Limits{}, "3@0, 2@1, 1@2 loop", "3@0"},
		{"a circle is not what a limit cut off", caused(2, 1), 1, graph.Limits{Distance: 1}, "1@0, 2@1 loop", "1@0+1, 2@1+1 loop"},
		{"a cause that comes later", caused(2, 0), 2, graph.Limits{}, "2@0", "2@0+1, 1@1"},
		{"an absent cause", caused(9, 1), 2, graph.Limits{}, "2@0, 1@1, 0@2 absent", "2@0"},
		{"lanes say nothing of what is absent", caused(9), 1, graph.Limits{Lanes: []uint32{0}}, "1@0, 0@1 absent", "1@0"},
		{"the effects of what is absent", caused(9, 1, 9), 9, graph.Limits{}, "error", "0@0+2 absent, 1@1+1, 3@1, 2@2"},
		{"unknown", caused(0), 9, graph.Limits{}, "error", "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := graph.New(c.log)
			for _, direction := range []struct {
				name, want string
				walk       func(context.Context, uuid.UUID, graph.Limits) iter.Seq2[graph.Node, error]
			}{{"causes", c.causes, g.Causes}, {"effects", c.effects, g.Effects}} {
				nodes, err := walk(direction.walk(t.Context(), id(c.from), c.limits))
				got := brief(nodes)
				if err != nil {
					got = "error"
					if !errors.Is(err, engine.ErrNotFound) || !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s: %v", direction.name, err)
					}
				}
				if got != direction.want {
					t.Errorf("%s:\ngot  %s\nwant %s", direction.name, got, direction.want)
				}
				for _, node := range nodes {
					if !node.Absent && !slices.Equal(node.Event.Data, []byte{byte(node.Event.Sequence)}) {
						t.Errorf("%s: event %d has the data %x", direction.name, node.Event.Sequence, node.Event.Data)
					}
				}
			}
		})
	}
}

// TestWrongLimits: what no walk can mean is refused, and nothing is read.
func TestWrongLimits(t *testing.T) {
	g := graph.New(caused(0))
	for _, limits := range []graph.Limits{{Distance: -1}, {Nodes: -1}, {MinDepth: 3, MaxDepth: 2}} {
		for _, nodes := range []iter.Seq2[graph.Node, error]{g.Causes(t.Context(), id(1), limits), g.Effects(t.Context(), id(1), limits)} {
			if all, err := walk(nodes); len(all) > 0 || !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%+v: %s, %v", limits, brief(all), err)
			}
		}
	}
}

// naive walks by looking at every event for every step.
type naive struct{ events []engine.Event }

func (n naive) byID(id uuid.UUID) (engine.Event, bool) {
	for _, event := range n.events {
		if event.ID == id {
			return event, true
		}
	}
	return engine.Event{ID: id}, false
}

func cutBy(limits graph.Limits, from graph.Node, nodes int, to engine.Event, there bool) graph.Cut {
	if limits.Distance > 0 && from.Distance == limits.Distance {
		return graph.CutDistance
	}
	if limits.Nodes > 0 && nodes == limits.Nodes {
		return graph.CutNodes
	}
	var cut graph.Cut
	if there && len(limits.Lanes) > 0 && !slices.Contains(limits.Lanes, to.Lane) {
		cut = graph.CutLane
	}
	if there && (to.Depth < limits.MinDepth || limits.MaxDepth > 0 && to.Depth > limits.MaxDepth) {
		cut |= graph.CutDepth
	}
	return cut
}

func (n naive) causes(id uuid.UUID, limits graph.Limits) []graph.Node {
	event, there := n.byID(id)
	if !there {
		return nil
	}
	nodes := []graph.Node{{Event: event}}
	for {
		last := &nodes[len(nodes)-1]
		if last.Event.CausedBy == uuid.Nil {
			return nodes
		}
		if slices.ContainsFunc(nodes, func(node graph.Node) bool { return node.Event.ID == last.Event.CausedBy }) {
			last.Loop = true
			return nodes
		}
		cause, there := n.byID(last.Event.CausedBy)
		if last.Cut = cutBy(limits, *last, len(nodes), cause, there); last.Cut != 0 {
			return nodes
		}
		nodes = append(nodes, graph.Node{Event: cause, Distance: last.Distance + 1, Absent: !there})
	}
}

func (n naive) effects(id uuid.UUID, limits graph.Limits) []graph.Node {
	event, there := n.byID(id)
	nodes := []graph.Node{{Event: event, Absent: !there}}
	for i := 0; i < len(nodes); i++ {
		for _, effect := range n.events {
			if effect.CausedBy != nodes[i].Event.ID {
				continue
			}
			nodes[i].Effects++
			if slices.ContainsFunc(nodes, func(node graph.Node) bool { return node.Event.ID == effect.ID }) {
				nodes[i].Loop = true
				continue
			}
			cut := cutBy(limits, nodes[i], len(nodes), effect, true)
			if nodes[i].Cut |= cut; cut == 0 {
				nodes = append(nodes, graph.Node{Event: effect, Distance: nodes[i].Distance + 1})
			}
		}
	}
	if !there && nodes[0].Effects == 0 {
		return nil
	}
	return nodes
}

func (n naive) correlated(id uuid.UUID) []engine.Event {
	correlation := id
	if event, there := n.byID(id); there {
		correlation = event.Correlation
	}
	var all []engine.Event
	for _, event := range n.events {
		if event.Correlation == correlation {
			all = append(all, event)
		}
	}
	return all
}

// TestAgainstNaive grows a log of odd causes, with gaps, and asks one graph after
// each step what a naive walk says, too.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 24).Draw(t, "ids")
		all := &list{}
		for i := range n {
			if rapid.IntRange(0, 7).Draw(t, "lost") == 0 {
				continue
			}
			event := engine.Event{ID: id(i + 1), Sequence: uint64(i + 1), Stream: "s", Type: "t", Correlation: id(i + 1)}
			if cause := rapid.IntRange(-3, n+1).Draw(t, "cause"); cause > 0 { // one beyond n is never there
				event.CausedBy = id(cause)
			} else if cause == -1 && i > 0 {
				event.CausedBy = id(i) // long chains, too
			}
			if correlation := rapid.IntRange(-n, n+1).Draw(t, "correlation"); correlation > 0 {
				event.Correlation = id(correlation)
			} else if correlation == 0 {
				event.Correlation = uuid.Nil
			}
			event.Lane = rapid.Uint32Range(0, 2).Draw(t, "lane")
			event.Depth = rapid.Uint32Range(0, 3).Draw(t, "depth")
			all.events = append(all.events, event)
		}
		log := &list{}
		g := graph.New(log)
		for {
			for range 3 {
				from := id(rapid.IntRange(1, n+1).Draw(t, "from"))
				var limits graph.Limits
				if rapid.Bool().Draw(t, "limited") {
					limits = graph.Limits{
						Distance: rapid.IntRange(0, 4).Draw(t, "distance"),
						Nodes:    rapid.IntRange(0, 6).Draw(t, "nodes"),
						Lanes:    rapid.SliceOfN(rapid.Uint32Range(0, 2), 0, 2).Draw(t, "lanes"),
						MinDepth: rapid.Uint32Range(0, 2).Draw(t, "min"),
					}
					if rapid.Bool().Draw(t, "bounded") {
						limits.MaxDepth = limits.MinDepth + rapid.Uint32Range(0, 2).Draw(t, "max")
					}
				}
				expected := naive{log.events}
				got, err := walk(g.Causes(context.Background(), from, limits))
				same(t, "causes", got, expected.causes(from, limits), err)
				got, err = walk(g.Effects(context.Background(), from, limits))
				same(t, "effects", got, expected.effects(from, limits), err)
				var events []engine.Event
				err = nil
				for event, failed := range g.Correlated(context.Background(), from) {
					if err = failed; err == nil {
						events = append(events, event)
					}
				}
				same(t, "correlated", events, expected.correlated(from), err)
				direct := 0
				for _, event := range log.events {
					if event.CausedBy == from {
						direct++
					}
				}
				if count, err := g.Count(context.Background(), from); err != nil || count != direct {
					t.Fatalf("Count is %d, %v: want %d", count, err, direct)
				}
			}
			if len(log.events) == len(all.events) {
				break
			}
			log.events = all.events[:min(len(all.events), len(log.events)+rapid.IntRange(1, 9).Draw(t, "more"))]
		}
		if log.reads != len(all.events) {
			t.Fatalf("%d events were read to learn %d", log.reads, len(all.events))
		}
	})
}

func same[T any](t *rapid.T, what string, got, want []T, err error) {
	t.Helper()
	if len(want) == 0 {
		if len(got) > 0 || !errors.Is(err, engine.ErrNotFound) {
			t.Fatalf("%s: got %+v, %v, want ErrNotFound", what, got, err)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\ngot  %+v, %v\nwant %+v", what, got, err, want)
	}
}

// TestQuestionsInsideQuestions: a read of the log may hand over to another task
// that asks the same graph. Nobody waits, and nothing is learnt twice or left out.
func TestQuestionsInsideQuestions(t *testing.T) {
	causes := make([]int, 200)
	for i := range causes {
		causes[i] = (i + 1) / 2 // a binary tree
	}
	for at := uint64(1); at <= 200; at += 13 {
		log := caused(causes...)
		full := log.events
		log.events = full[:150]
		g := graph.New(log)
		asked := 0
		log.on = func(sequence uint64) {
			if sequence != at || asked > 2 {
				return
			}
			asked++
			log.events = full[:150+asked*10] // there is more to see, too
			if _, err := g.Count(t.Context(), id(1)); err != nil {
				t.Error(err)
			}
		}
		nodes, err := walk(g.Effects(t.Context(), id(1), graph.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		if at <= 150 && asked == 0 {
			t.Fatalf("nobody asked at event %d", at)
		}
		if len(nodes) < 150 || len(nodes) > 180 {
			t.Fatalf("asked at event %d: %d nodes", at, len(nodes))
		}
		log.on = nil
		log.events = full
		got, err := walk(g.Effects(t.Context(), id(1), graph.Limits{}))
		if want := (naive{full}).effects(id(1), graph.Limits{}); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("asked at event %d: %v\ngot  %s\nwant %s", at, err, brief(got), brief(want))
		}
	}
}

// TestGone: that an event is gone which was there is no answer like that there is
// none with the id that was asked for.
func TestGone(t *testing.T) {
	log := caused(0, 1, 1)
	g := graph.New(log)
	if _, err := walk(g.Effects(t.Context(), id(1), graph.Limits{})); err != nil {
		t.Fatal(err)
	}
	log.events = log.events[:2]
	nodes, err := walk(g.Effects(t.Context(), id(1), graph.Limits{}))
	if brief(nodes) != "1@0+2, 2@1" || err == nil || errors.Is(err, engine.ErrNotFound) || !strings.Contains(err.Error(), "event 3 was there") {
		t.Errorf("%s, %v", brief(nodes), err)
	}
}

// TestJustInTime: an event that comes between the reading of the log and the
// search for it has its effects, too.
func TestJustInTime(t *testing.T) {
	log := caused(0, 1, 1)
	full := log.events
	log.events[2].Correlation = id(1)
	log.events = nil
	log.get = func(uuid.UUID) { log.events = full }
	if nodes, err := walk(graph.New(log).Effects(t.Context(), id(1), graph.Limits{})); err != nil || brief(nodes) != "1@0+2, 2@1, 3@1" {
		t.Errorf("%s, %v", brief(nodes), err)
	}
	log.events = nil
	var correlated []uint64
	for event, err := range graph.New(log).Correlated(t.Context(), id(1)) {
		if err != nil {
			t.Fatal(err)
		}
		correlated = append(correlated, event.Sequence)
	}
	if !slices.Equal(correlated, []uint64{1, 3}) {
		t.Errorf("correlated: %v", correlated)
	}
}

// TestErrors: an error ends a question, what was read before it is known, and the
// next question goes on behind it.
func TestErrors(t *testing.T) {
	log := caused(0, 1, 2, 3)
	damage := &engine.CorruptError{Segment: 1, Sequence: 3}
	log.broken = map[uint64]error{3: damage}
	g := graph.New(log)
	for range 2 {
		if nodes, err := walk(g.Effects(t.Context(), id(1), graph.Limits{})); len(nodes) > 0 || !errors.Is(err, damage) {
			t.Fatalf("%s, %v", brief(nodes), err)
		}
		for _, err := range g.Correlated(t.Context(), id(1)) {
			if !errors.Is(err, damage) {
				t.Fatal(err)
			}
		}
		if _, err := g.Count(t.Context(), id(1)); !errors.Is(err, damage) {
			t.Fatal(err)
		}
	}
	// Each of the 6 questions has read event 3, and only the first one 1 and 2.
	if log.reads != 2+6 {
		t.Errorf("%d events were read", log.reads)
	}
	if got, err := walk(g.Causes(t.Context(), id(4), graph.Limits{})); err != nil || brief(got) != "4@0, 3@1, 2@2, 1@3" {
		t.Errorf("the causes need no read in runs, but say %s, %v", brief(got), err)
	}
	log.broken = nil
	if got, err := walk(g.Effects(t.Context(), id(1), graph.Limits{})); err != nil || brief(got) != "1@0+1, 2@1+1, 3@2+1, 4@3" {
		t.Errorf("%s, %v", brief(got), err)
	}
	// Damage that appears later.
	log.broken = map[uint64]error{3: damage}
	if got, err := walk(g.Effects(t.Context(), id(1), graph.Limits{})); !errors.Is(err, damage) || brief(got) != "1@0+1, 2@1+1" {
		t.Errorf("%s, %v", brief(got), err)
	}
}

// TestCancelled: a context that ends stops a walk between two nodes, and the
// reading of the log between two events, which loses nothing.
func TestCancelled(t *testing.T) {
	log := caused(make([]int, 5000)...)
	g := graph.New(log)
	ctx, cancel := context.WithCancel(t.Context())
	log.on = func(sequence uint64) {
		if sequence == 3000 {
			cancel()
		}
	}
	if _, err := g.Count(ctx, id(1)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	read := log.reads
	if read < 3000 || read > 4100 {
		t.Errorf("%d events were read", read)
	}
	if _, err := g.Count(t.Context(), id(1)); err != nil || log.reads > 5001 {
		t.Errorf("%v, %d events were read in both", err, log.reads)
	}

	g = graph.New(caused(0, 1, 2, 3))
	for _, nodes := range []func(context.Context) iter.Seq2[graph.Node, error]{
		func(ctx context.Context) iter.Seq2[graph.Node, error] { return g.Causes(ctx, id(4), graph.Limits{}) },
		func(ctx context.Context) iter.Seq2[graph.Node, error] { return g.Effects(ctx, id(1), graph.Limits{}) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		for _, err := range nodes(ctx) {
			if seen++; seen == 2 {
				cancel()
			}
			if (err != nil) != (seen == 3) || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("node %d: %v", seen, err)
			}
		}
		if seen != 3 {
			t.Errorf("%d nodes", seen)
		}
		cancel()
	}
}

// TestStop: who has seen enough stops, and no further node is read.
func TestStop(t *testing.T) {
	log := caused(0, 1, 2, 3)
	for i := range log.events {
		log.events[i].Correlation = id(1)
	}
	g := graph.New(log)
	if _, err := g.Count(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	read := 0
	log.on = func(uint64) { read++ }
	log.get = func(uuid.UUID) { read++ }
	for _, c := range []struct {
		name string
		stop func() // at the second
		most int
	}{
		{"effects", func() {
			for node := range g.Effects(t.Context(), id(1), graph.Limits{}) {
				if node.Distance == 1 {
					break
				}
			}
		}, 2},
		{"causes", func() {
			for node := range g.Causes(t.Context(), id(4), graph.Limits{}) {
				if node.Distance == 1 {
					break
				}
			}
		}, 3}, // to know whether there is more
		{"correlated", func() {
			for event := range g.Correlated(t.Context(), id(1)) {
				if event.Sequence == 2 {
					break
				}
			}
		}, 4}, // with the event, and the one that gave the correlation its id
	} {
		read = 0
		if c.stop(); read > c.most {
			t.Errorf("%s: %d reads, at most %d are needed", c.name, read, c.most)
		}
	}
}

// TestBesideAWriter asks one graph from many goroutines while the log grows: each
// answer is a whole chain up to some event that was there.
func TestBesideAWriter(t *testing.T) {
	log, err := engine.Open(engine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	root, err := log.Append(t.Context(), engine.Draft{Stream: "s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	g := graph.New(log)
	const batches, size = 40, 25
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for last, ended := 0, false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				nodes, err := walk(g.Effects(t.Context(), root.ID, graph.Limits{}))
				if err != nil {
					t.Error(err)
					return
				}
				for i, node := range nodes {
					if node.Distance != i || node.Event.Sequence != uint64(i+1) {
						t.Errorf("node %d is event %d at %d", i, node.Event.Sequence, node.Distance)
						return
					}
				}
				if len(nodes) < last || (len(nodes)-1)%size != 0 || ended && len(nodes) != 1+batches*size {
					t.Errorf("%d nodes after %d", len(nodes), last)
					return
				}
				last = len(nodes)
			}
		})
	}
	cause := root.ID
	for range batches {
		drafts := make([]engine.Draft, size)
		for i := range drafts {
			drafts[i] = engine.Draft{Stream: "s", Type: "t", CausedBy: engine.Item(i - 1), Correlation: root.ID}
		}
		drafts[0].CausedBy = engine.ByID(cause)
		receipts, err := log.AppendBatch(t.Context(), engine.Batch{Events: drafts})
		if err != nil {
			t.Fatal(err)
		}
		cause = receipts[size-1].ID
	}
	close(done)
	readers.Wait()
}

// TestSimulatedTasks: tasks of a simulated machine, which hand over at each
// operation of the disk, ask one graph at the same time. A lock that one held
// would be a deadlock, which the scheduler reports.
func TestSimulatedTasks(t *testing.T) {
	handed := 0
	for seed := range uint64(20) {
		clock := simclock.New(simclock.Epoch())
		turns := simclock.NewScheduler(clock, simclock.Order{Seed: seed})
		options := engine.Options{Dir: "log", Clock: clock, Waits: waits{turns}, Rand: rand.NewChaCha8([32]byte{byte(seed)}), SegmentSize: 64 << 10}
		options.FS = faults.New(simfs.New(simfs.Options{}), nil, faults.Options{Before: func(op faults.OpKind, _ string) {
			handed++
			turns.Switch(op.String())
		}})
		turns.Run("main", func() {
			log, err := engine.Open(options)
			if err != nil {
				t.Error(err)
				return
			}
			receipts, err := log.AppendBatch(context.Background(), engine.Batch{Events: chain(50)})
			if err != nil {
				t.Error(err)
				return
			}
			g := graph.New(log)
			left := 3
			for range left {
				turns.Go("asker", func() {
					defer func() { left-- }()
					nodes, err := walk(g.Effects(context.Background(), receipts[0].ID, graph.Limits{}))
					if err != nil || len(nodes) != 50 || nodes[49].Distance != 49 {
						t.Errorf("seed %d: %d nodes, %v", seed, len(nodes), err)
					}
				})
			}
			for left > 0 {
				turns.Yield()
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if handed == 0 {
		t.Error("nobody handed over")
	}
}

type waits struct{ *simclock.Scheduler }

func (w waits) Signal(reason string) engine.Signal { return w.Scheduler.Signal(reason) }

// chain returns n drafts, each of which follows from the one before.
func chain(n int) []engine.Draft {
	drafts := make([]engine.Draft, n)
	for i := range drafts {
		drafts[i] = engine.Draft{Stream: fmt.Sprintf("s%d", i%3), Type: "t", Data: make([]byte, 1000)}
		if i > 0 {
			drafts[i].CausedBy = engine.Item(i - 1)
		}
	}
	return drafts
}

// TestSalvaged: in a log that lost events to damage, what follows from them
// begins with an absent cause, and the rest is as it was.
func TestSalvaged(t *testing.T) {
	dir := t.TempDir()
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var ids []uuid.UUID
	for i := range 9 { // a chain, each event a batch of its own
		draft := engine.Draft{Stream: "s", Type: "t", Data: slices.Repeat([]byte{byte('a' + i)}, 2000)}
		if i > 0 {
			draft.CausedBy, draft.Correlation = engine.ByID(ids[i-1]), ids[0]
		}
		receipt, err := log.Append(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, receipt.ID)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	data[strings.Index(string(data), "dddddddd")+500] ^= 1
	if err := os.WriteFile(names[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	if log, err = engine.Open(engine.Options{Dir: dir, ReadOnly: true, Salvage: true}); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if len(log.Recovery().Damage) == 0 {
		t.Fatal("nothing is damaged: the test says nothing")
	}
	g := graph.New(log)
	if nodes, err := walk(g.Causes(t.Context(), ids[8], graph.Limits{})); err != nil || brief(nodes) != "9@0, 8@1, 7@2, 6@3, 5@4, 0@5 absent" || nodes[5].Event.ID != ids[3] {
		t.Errorf("causes: %s, %v", brief(nodes), err)
	}
	if nodes, err := walk(g.Effects(t.Context(), ids[0], graph.Limits{})); err != nil || brief(nodes) != "1@0+1, 2@1+1, 3@2" {
		t.Errorf("effects: %s, %v", brief(nodes), err)
	}
	if nodes, err := walk(g.Effects(t.Context(), ids[3], graph.Limits{})); err != nil || brief(nodes) != "0@0+1 absent, 5@1+1, 6@2+1, 7@3+1, 8@4+1, 9@5" {
		t.Errorf("effects of the lost one: %s, %v", brief(nodes), err)
	}
	var correlated []uint64
	for event, err := range g.Correlated(t.Context(), ids[4]) {
		if err != nil {
			t.Fatal(err)
		}
		correlated = append(correlated, event.Sequence)
	}
	if want := []uint64{1, 2, 3, 5, 6, 7, 8, 9}; !slices.Equal(correlated, want) {
		t.Errorf("correlated: %v, want %v", correlated, want)
	}
}

// TestFrontier: a graph shows what the log shows, and so nothing that is not
// durable.
func TestFrontier(t *testing.T) {
	log, err := engine.Open(engine.Options{Dir: t.TempDir(), SyncEvery: 1 << 40, SyncCount: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	g := graph.New(log)
	root, err := log.Append(t.Context(), engine.Draft{Stream: "s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = log.AppendBatch(t.Context(), engine.Batch{Durability: engine.Buffered, Events: []engine.Draft{{Stream: "s", Type: "t", CausedBy: engine.ByID(root.ID)}}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := g.Count(t.Context(), root.ID); n != 0 || err != nil {
		t.Errorf("%d effects before the sync, %v", n, err)
	}
	if err := log.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := g.Count(t.Context(), root.ID); n != 1 || err != nil {
		t.Errorf("%d effects after the sync, %v", n, err)
	}
}

// TestTwins: two events with one id, as only a log that somebody made up has
// them, send no walk round and round.
func TestTwins(t *testing.T) {
	log := caused(0, 3, 1)
	log.events[1].ID = id(1) // 1 ─▶ 3 ─▶ 2, which calls itself 1
	nodes, err := walk(graph.New(log).Effects(t.Context(), id(1), graph.Limits{}))
	if err != nil || brief(nodes) != "1@0+1, 3@1+1, 2@2+1 loop" {
		t.Errorf("%s, %v", brief(nodes), err)
	}
}

func ExampleGraph() {
	log, err := engine.Open(engine.Options{Dir: "log", FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	receipts, err := log.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{
		{Stream: "order-42", Type: "order.placed"},
		{Stream: "stock", Type: "reserved", CausedBy: engine.Item(0)},
		{Stream: "ledger", Type: "entry.booked", CausedBy: engine.Item(0)},
		{Stream: "parcels", Type: "shipped", CausedBy: engine.Item(1)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	g := graph.New(log)
	for node, err := range g.Effects(ctx, receipts[0].ID, graph.Limits{Distance: 1}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %s", node.Distance, node.Event.Type)
		if node.Cut != 0 {
			fmt.Printf(", %d more cut off by %v", node.Effects, node.Cut)
		}
		fmt.Println()
	}
	for node, err := range g.Causes(ctx, receipts[3].ID, graph.Limits{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("-%d %s\n", node.Distance, node.Event.Type)
	}
	// Output:
	// 0 order.placed
	// 1 reserved, 1 more cut off by distance
	// 1 entry.booked
	// -0 shipped
	// -1 reserved
	// -2 order.placed
}

// BenchmarkBuild learns a log in which every event has a cause and a correlation,
// and says how many bytes of memory stay for each event.
func BenchmarkBuild(b *testing.B) {
	const events, size = 200_000, 1000
	log, err := engine.Open(engine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	var root uuid.UUID
	for range events / size {
		drafts := chain(size)
		for i := range drafts {
			drafts[i].Data, drafts[i].Correlation = drafts[i].Data[:100], root
		}
		receipts, err := log.AppendBatch(b.Context(), engine.Batch{Events: drafts, Durability: engine.Buffered})
		if err != nil {
			b.Fatal(err)
		}
		root = cmp.Or(root, receipts[0].ID)
	}
	if err := log.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	var g *graph.Graph
	for b.Loop() {
		g = graph.New(log)
		if _, err := g.Count(b.Context(), root); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(heap()-before)/events, "B/event")
	runtime.KeepAlive(g)
	b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
}
