// Package draw shows events and what they follow from: as a tree of text, as DOT
// for Graphviz, as Mermaid, and as SVG.
//
//	picture := draw.Picture{Title: "What became of order 42", Focus: id, Nodes: nodes}
//	err := draw.Tree(os.Stdout, picture, 0)
//
// The nodes come from the walks of package graph. The same picture is always
// drawn in the same way, whatever the order of its nodes:
//
//	#1 order.placed order-42@1
//	├─ #2 reserved stock@7 lane 1
//	│  └─ ▶ #4 shipped parcels@1 lane 1
//	└─ #3 order.paid order-42@2
//
// An event's label is its sequence, its type, its stream with its version,
// and its lane and depth where they are not 0; a scope stands in front of the
// stream, with a slash. ▶ marks the event that the picture is about.
//
// Names in a log may be any text. One that is empty, or has a space, a quote, a
// backslash or a character that is not visible, stands in a label as a Go string,
// so that a label is always on one line, and each format encodes what has a
// meaning in it: no name can add to a drawing, hide something of it, or run.
package draw
