// Package graph walks the causality of a log: what an event follows from, what
// follows from it, and what belongs to the same correlation.
//
//	g := graph.New(log)
//	for node, err := range g.Effects(ctx, id, graph.Limits{Distance: 3}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(node.Distance, node.Event.Type)
//	}
//
// The log holds for each event one cause at most, by id, and knows no way from a
// cause to its effects. A Graph learns that way by reading the log:
//
//	log ──Read, from where it stopped──▶ links ──sorted──▶ runs: (id, sequence) …
//	                                                        │
//	      id ─▶ sequences of its effects, of its correlation ┘ ─▶ log ─▶ Node
//
// It does so when it is first asked, and catches up with the log's visible
// frontier at each further question; what it has learnt stays in memory, none of
// it on disk. That takes 24 bytes for each event that has a cause, and 24 for
// each whose correlation is not its own id; the other events take nothing. For
// events with both, BenchmarkBuild measures 49 bytes. While runs are merged it is
// up to twice as much for a moment.
//
// # Causes that are odd
//
// Nothing is expected of the ids that events name as their causes. An event that
// the log does not hold, because it never did or because it is lost in a damaged
// log, is a Node with Absent. A cause may come after its effect, be the event
// itself, or close a circle: no walk visits an event twice, and a Node with Loop
// says where it would have.
package graph
