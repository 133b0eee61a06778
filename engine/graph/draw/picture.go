package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/graph"
)

// Picture is what is drawn.
type Picture struct {
	Title string       // what it is of; may be ""
	Focus uuid.UUID    // the event that is marked; zero: none
	Nodes []graph.Node // in any order; of one that stands there twice, the first counts
}

// plan is a picture with all that the formats have in common.
type plan struct {
	title string
	shown []shown // by sequence; those that are absent before the first that follows from them
}

// shown is a node of a plan.
type shown struct {
	node    graph.Node
	name    string   // in DOT and Mermaid: "e7" for event 7, "a2" for the second absent one
	label   string   // one line of visible characters
	remarks []string // what else is to be said, the same
	focus   bool
	cause   int   // index of the node that it follows from; −1: not in the picture
	effects []int // indexes of those that follow from it, rising
}

func newPlan(p Picture) *plan {
	type key struct {
		id       uuid.UUID
		sequence uint64
	}
	var plan plan
	if plan.title = p.Title; strings.ContainsFunc(p.Title, invisible) {
		plan.title = strconv.Quote(p.Title)
	}
	seen := map[key]bool{}
	there := map[uuid.UUID]bool{}
	for _, node := range p.Nodes {
		there[node.Event.ID] = there[node.Event.ID] || !node.Absent
	}
	first := map[uuid.UUID]uint64{} // sequence of the first event that names the id as its cause
	for _, node := range p.Nodes {
		k := key{node.Event.ID, node.Event.Sequence}
		if seen[k] || node.Absent && there[node.Event.ID] {
			continue // one walk may have come before the event, and another after it
		}
		seen[k] = true
		plan.shown = append(plan.shown, shown{node: node, cause: -1, focus: node.Event.ID == p.Focus && p.Focus != uuid.Nil})
		if cause := node.Event.CausedBy; cause != uuid.Nil {
			if at, ok := first[cause]; !ok || node.Event.Sequence < at {
				first[cause] = node.Event.Sequence
			}
		}
	}
	slices.SortStableFunc(plan.shown, func(a, b shown) int {
		place := func(s shown) (sequence uint64, absent int) {
			if !s.node.Absent {
				return s.node.Event.Sequence, 1
			}
			if at, ok := first[s.node.Event.ID]; ok {
				return at, 0
			}
			return 0, 0
		}
		atA, absentA := place(a)
		atB, absentB := place(b)
		return cmp.Or(cmp.Compare(atA, atB), cmp.Compare(absentA, absentB), slices.Compare(a.node.Event.ID[:], b.node.Event.ID[:]))
	})
	byID := map[uuid.UUID]int{}
	absent := 0
	for i := range plan.shown {
		s := &plan.shown[i]
		if _, ok := byID[s.node.Event.ID]; !ok {
			byID[s.node.Event.ID] = i
		}
		s.name = "e" + strconv.FormatUint(s.node.Event.Sequence, 10)
		if s.node.Absent {
			absent++
			s.name = "a" + strconv.Itoa(absent)
		}
	}
	for i := range plan.shown {
		if cause, ok := byID[plan.shown[i].node.Event.CausedBy]; ok && plan.shown[i].node.Event.CausedBy != uuid.Nil {
			plan.shown[i].cause = cause
			plan.shown[cause].effects = append(plan.shown[cause].effects, i)
		}
	}
	for i := range plan.shown {
		plan.shown[i].describe()
	}
	return &plan
}

// describe fills in the label and the remarks.
func (s *shown) describe() {
	s.label = label(&s.node)
	if s.node.Event.CausedBy != uuid.Nil && s.cause < 0 {
		s.remarks = append(s.remarks, fmt.Sprintf("follows from %v, not shown", s.node.Event.CausedBy))
	}
	if left := s.node.Effects - len(s.effects); left == 1 {
		s.remarks = append(s.remarks, "1 effect not shown")
	} else if left > 1 {
		s.remarks = append(s.remarks, fmt.Sprintf("%d effects not shown", left))
	}
}

// text is the label and the remarks, and in front of them the mark.
func (s *shown) text() string {
	text := s.label
	if s.focus {
		text = "▶ " + text
	}
	if len(s.remarks) > 0 {
		text += "  " + strings.Join(s.remarks, "; ")
	}
	return text
}

// label is what stands for a node: one line of visible characters.
func label(node *graph.Node) string {
	e := &node.Event
	if node.Absent {
		return e.ID.String() + " is not in the log"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s %s@%d", e.Sequence, visible(e.Type), place(e), e.Version)
	if e.Lane != 0 {
		fmt.Fprintf(&b, " lane %d", e.Lane)
	}
	if e.Depth != 0 {
		fmt.Fprintf(&b, " depth %d", e.Depth)
	}
	return b.String()
}

// place is the stream of an event, with its scope.
func place(e *engine.Event) string {
	if e.Scope == "" {
		return visible(e.Stream)
	}
	return visible(e.Scope) + "/" + visible(e.Stream)
}

// visible returns a name as it is if nobody can take it for something else, else
// as a Go string.
func visible(name string) string {
	strange := func(r rune) bool { return r == '"' || r == '\\' || unicode.IsSpace(r) || invisible(r) }
	if name == "" || strings.ContainsFunc(name, strange) {
		return strconv.Quote(name)
	}
	return name
}

// invisible reports whether a character shows nothing of itself, moves others, or
// stands for bytes that are not UTF-8.
func invisible(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }

// columns is how many columns of a terminal a character takes, as far as one can
// know: marks that join the one before take none, East Asian and pictures two.
func columns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
		r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// Width is how many columns of a terminal a text takes, as far as one can know.
func Width(text string) int {
	n := 0
	for _, r := range text {
		n += columns(r)
	}
	return n
}

// cut shortens a text to so many columns, with "…" for what is left out.
func cut(text string, most int) string {
	if Width(text) <= most {
		return text
	}
	n := 1 // for the dots
	for i, r := range text {
		if n += columns(r); n > most {
			return text[:i] + "…"
		}
	}
	return text
}
