package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/graph"
	"github.com/untorn-db/untorn/engine/graph/draw"
)

func graphCommand() command.Command {
	return command.Command{
		Name:     "graph",
		Short:    "draw what an event follows from, and what follows from it",
		Form:     "--dir DIR ID [flags]",
		Operands: "ID",
		Long: `ID is the id of an event; or its first 8 hex digits, or more of them until they are those of one event
only; or its sequence, as 12 or '#12'. It may stand before or after the flags.

Without --causes, --effects or --correlated, the events that it follows from, up to the root, and all that
follow from it. The event is marked with ▶. An event that is not in the log, but the cause of one that is,
is shown as absent. Whatever else is left out is said: where a limit cuts, at the event; a walk that meets
an event twice ends there.

As a tree, an event is one line: sequence, type, stream and version, lane and depth where they are not 0.
The other formats are texts, too: DOT is for Graphviz, Mermaid for many pages that show Markdown, SVG for
browsers. With --json it is one object a line with the fields of untorn read --json, "distance" in steps from
ID, negative for what it follows from; "effects", how many follow directly from it; "absent", "cut" and
"loop" where a walk ended. Of --correlated it is the fields of untorn read alone.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Values: map[string]command.Values{
			"format": {Words: formats()},
		},
		Examples: []command.Example{
			{Line: "untorn graph --dir data 1", Says: "a tree of what led to event 1, and what came of it"},
			{Line: "untorn graph --dir data 1 --format svg >graph.svg", Says: "a picture for a browser"},
			{Line: "untorn graph --dir data 1 --correlated --json", Says: "all events of the same matter"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			var q graphQuery
			flags.BoolVar(&q.causes, "causes", false, "only what the event follows from")
			flags.BoolVar(&q.effects, "effects", false, "only what follows from the event")
			flags.BoolVar(&q.correlated, "correlated", false, "the events with the same correlation; ID may be the correlation itself")
			flags.StringVar(&q.format, "format", "", "the `format`: "+command.Either(formats())+"; without it, tree")
			countFlag(flags, &q.limits.Nodes, "limit", 1000, "at most `n` events each way; 0 means all")
			countFlag(flags, &q.limits.Distance, "distance", 0, "at most `n` steps from the event; 0 means any number")
			countFlag(flags, &q.width, "width", 0, "cut the lines of a tree to so many `columns`; 0 means not")
			salvage := salvageFlag(flags)
			flags.BoolVar(&q.json, "json", false, "print one JSON object a line instead")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if err := q.check(e.Operand()); err != nil {
					return err
				}
				return q.run(e, name, *salvage)
			}
		},
	}
}

// formats lists how a graph is drawn.
func formats() []string { return []string{"tree", "dot", "mermaid", "svg"} }

// graphQuery is what the command line asks for.
type graphQuery struct {
	causes, effects, correlated bool

	format string // of the drawing
	json   bool   // no drawing
	limits graph.Limits
	width  int
	event  eventName
}

func (q *graphQuery) check(operand string) error {
	ways := 0
	for _, way := range []bool{q.causes, q.effects, q.correlated} {
		if way {
			ways++
		}
	}
	switch {
	case ways > 1:
		return command.Usage("--causes, --effects and --correlated exclude each other: use one, or none for causes and effects")
	case q.limits.Nodes < 0:
		return command.Usage("--limit is %d: use 1 or more, or 0 for all", q.limits.Nodes)
	case q.limits.Distance < 0:
		return command.Usage("--distance is %d: use 1 or more, or 0 for any number", q.limits.Distance)
	case q.correlated && q.limits.Distance > 0:
		return command.Usage("--distance counts steps from cause to effect: leave it out with --correlated")
	case q.width < 0 || q.width > 0 && q.width < 20:
		return command.Usage("--width is %d: use 20 or more, or 0", q.width)
	case q.json && q.format != "":
		return command.Usage("--json draws nothing: leave --format out")
	}
	switch q.format {
	case "":
		q.format = "tree"
	default:
		if !slices.Contains(formats(), q.format) {
			return command.Usage("--format is %q: use %s, or --json", q.format, command.Either(formats()))
		}
	}
	var err error
	q.event, err = parseEventName(operand)
	return err
}

// eventName is how the command line names an event.
type eventName struct {
	text     string
	whole    bool
	id       uuid.UUID // if it is whole
	sequence uint64    // or not 0
	prefix   string    // or 8 to 31 hex digits
}

func parseEventName(text string) (eventName, error) {
	name := eventName{text: text}
	number, numbered := strings.CutPrefix(text, "#")
	decimal := number != "" && strings.Trim(number, "0123456789") == ""
	switch {
	case text == "":
		return name, command.Incomplete("no ID: name an event by its id, the beginning of its id, or its sequence; a # needs quotes in a shell")
	case decimal && number[0] != '0', numbered: // the ids of this age begin with 0
		var err error
		if name.sequence, err = strconv.ParseUint(number, 10, 64); err != nil || name.sequence == 0 {
			return name, command.Usage("%q is no sequence: use 1 or more", text)
		}
		return name, nil
	case decimal && len(number) < 8:
		return name, command.Usage("%q is no sequence, and too short for the beginning of an id: use 8 hex digits or more", text)
	}
	if id, err := uuid.Parse(text); err == nil && len(text) == len(id.String()) {
		name.id, name.whole = id, true
		return name, nil
	}
	name.prefix = strings.ToLower(strings.ReplaceAll(text, "-", ""))
	switch {
	case strings.Trim(name.prefix, "0123456789abcdef") != "" || len(name.prefix) > 32:
		return name, command.Usage("%q names no event: use an id, 8 or more of its hex digits, or a sequence", text)
	case len(name.prefix) < 8:
		return name, command.Usage("%q is too short for the beginning of an id: use 8 hex digits or more", text)
	case len(name.prefix) == 32:
		name.id, name.whole = uuid.MustParse(name.prefix), true
	}
	return name, nil
}

// find returns the id of the event. A whole id is not looked up.
func (n eventName) find(log *engine.Log) (uuid.UUID, error) {
	switch {
	case n.whole:
		return n.id, nil
	case n.sequence > 0:
		event, err := log.At(n.sequence)
		return event.ID, err
	}
	var found []uuid.UUID
	var sequences []uint64
	for event, err := range log.Read(engine.Query{Borrow: true}) {
		if err != nil {
			return uuid.Nil, err
		}
		var digits [32]byte
		hex.Encode(digits[:], event.ID[:])
		if string(digits[:len(n.prefix)]) == n.prefix {
			found = append(found, event.ID)
			sequences = append(sequences, event.Sequence)
		}
		if len(found) == 2 {
			return uuid.Nil, fmt.Errorf("the ids of events %[2]d and %[3]d, and perhaps more, begin with %[1]s: use more digits, or a sequence", n.text, sequences[0], sequences[1])
		}
	}
	if len(found) == 0 {
		return uuid.Nil, engine.ErrNotFound
	}
	return found[0], nil
}

func (q *graphQuery) run(e *command.Env, dir string, salvage bool) error {
	log, err := openToRead(e, dir, salvage)
	if err != nil {
		return err
	}
	defer log.Close()
	id, err := q.event.find(log)
	if err == nil {
		err = q.answer(e, log, id)
	}
	if errors.Is(err, engine.ErrNotFound) {
		err = fmt.Errorf("there is no event %s: untorn read lists those there are", q.event.text)
	}
	if unproven := log.Recovery().Unproven; unproven > 0 {
		e.Note("%s at the end may not be durable yet, and not looked at: untorn read --buffered shows them", command.Count(unproven, "event", "events"))
	}
	return errors.Join(err, damage(log))
}

func (q *graphQuery) answer(e *command.Env, log *engine.Log, id uuid.UUID) error {
	ctx, g := context.Background(), graph.New(log)
	var nodes []graph.Node // causes have a negative distance
	var err error
	more := false // than the limit
	title := "Causes and effects"
	switch {
	case q.correlated:
		title = "Events of one correlation"
		nodes, more, err = q.collectCorrelated(ctx, g, id)
	case q.causes:
		title = "Causes"
		nodes, err = q.collectCauses(ctx, g, id)
	case q.effects:
		title = "Effects"
		nodes, err = q.collect(g.Effects(ctx, id, q.limits))
	default:
		nodes, err = q.collectBoth(ctx, g, id)
	}
	if err != nil {
		return err
	}
	for _, node := range nodes {
		more = more || node.Cut&graph.CutNodes != 0
	}
	if more {
		e.Note("not all events are shown: --limit is %d, and --limit 0 shows all", q.limits.Nodes)
	}
	if q.json {
		for i := range nodes {
			if _, err := e.Stdout.Write(q.appendNode(e.Stdout.AvailableBuffer(), &nodes[i])); err != nil {
				return fmt.Errorf("write the output: %w", err)
			}
		}
		return nil
	}
	if err := q.draw(e.Stdout, draw.Picture{Title: title, Focus: id, Nodes: nodes}); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

func (q *graphQuery) draw(w io.Writer, picture draw.Picture) error {
	switch q.format {
	case "dot":
		return draw.DOT(w, picture)
	case "mermaid":
		return draw.Mermaid(w, picture)
	case "svg":
		return draw.SVG(w, picture)
	}
	picture.Title = ""
	return draw.Tree(w, picture, q.width)
}

// collect takes a walk to its end.
func (q *graphQuery) collect(walk iter.Seq2[graph.Node, error]) (nodes []graph.Node, err error) {
	for node, err := range walk {
		if err != nil {
			return nil, err
		}
		if !q.json {
			node.Event.Data, node.Event.Metadata, node.Event.Extensions = nil, nil, nil // no drawing has them
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// collectCauses returns the root first.
func (q *graphQuery) collectCauses(ctx context.Context, g *graph.Graph, id uuid.UUID) ([]graph.Node, error) {
	nodes, err := q.collect(g.Causes(ctx, id, q.limits))
	slices.Reverse(nodes)
	for i := range nodes {
		nodes[i].Distance = -nodes[i].Distance
	}
	return nodes, err
}

// collectBoth returns the causes, the event and its effects.
func (q *graphQuery) collectBoth(ctx context.Context, g *graph.Graph, id uuid.UUID) ([]graph.Node, error) {
	effects, err := q.collect(g.Effects(ctx, id, q.limits))
	if err != nil || effects[0].Absent {
		return effects, err // nobody knows what it follows from
	}
	causes, err := q.collectCauses(ctx, g, id)
	if err != nil {
		return nil, err
	}
	last := len(causes) - 1
	effects[0].Cut |= causes[last].Cut
	effects[0].Loop = effects[0].Loop || causes[last].Loop
	causes = causes[:last]
	for i := range causes {
		if causes[i].Effects, err = g.Count(ctx, causes[i].Event.ID); err != nil {
			return nil, err
		}
	}
	return append(causes, effects...), nil
}

func (q *graphQuery) collectCorrelated(ctx context.Context, g *graph.Graph, id uuid.UUID) (nodes []graph.Node, more bool, err error) {
	for event, err := range g.Correlated(ctx, id) {
		if err != nil {
			return nil, false, err
		}
		if q.limits.Nodes > 0 && len(nodes) == q.limits.Nodes {
			return nodes, true, nil
		}
		nodes = append(nodes, graph.Node{Event: event})
	}
	return nodes, false, nil
}

// appendNode appends a node as a JSON object.
func (q *graphQuery) appendNode(b []byte, node *graph.Node) []byte {
	o := newObject(b)
	if node.Absent {
		o.text("id", node.Event.ID.String())
		o.truth("absent", true)
	} else {
		o.event(&node.Event)
	}
	if q.correlated {
		return o.line()
	}
	o.name("distance")
	o.b = strconv.AppendInt(o.b, int64(node.Distance), 10)
	if !q.causes {
		o.number("effects", uint64(node.Effects))
	}
	if node.Cut != 0 {
		o.text("cut", node.Cut.String())
	}
	if node.Loop {
		o.truth("loop", true)
	}
	return o.line()
}
