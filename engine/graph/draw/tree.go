package draw

import (
	"bufio"
	"io"
	"slices"
)

// mostLevels is how deep a tree goes before it begins again at the left.
const mostLevels = 16

// Tree writes a picture as lines of text: under each event those that follow from
// it, in the order of the log. A line that is wider than so many columns is cut;
// width 0 cuts none. What is deeper than 16 levels, or takes more than half of the
// width, goes on further below, at the left.
//
// Where causes go round in a circle, the tree begins with the earliest event of
// the circle.
func Tree(w io.Writer, p Picture, width int) error {
	out := bufio.NewWriter(w)
	plan := newPlan(p)
	if plan.title != "" {
		out.WriteString(plan.title + "\n")
	}
	t := tree{plan: plan, out: out, width: width, levels: mostLevels, open: plan.circles()}
	if width > 0 {
		t.levels = min(mostLevels, max(2, width/6))
	}
	for i := range plan.shown {
		if plan.shown[i].cause < 0 || t.open[i] {
			t.later = append(t.later, branch{node: i})
		}
	}
	for n := 0; n < len(t.later); n++ {
		t.draw(t.later[n])
	}
	return out.Flush()
}

// circles returns for each node whether its cause is to be left out of a tree:
// with the earliest of each circle, nothing goes round any more.
func (p *plan) circles() []bool {
	open := make([]bool, len(p.shown))
	walk := make([]int, len(p.shown)) // by which walk a node was reached; 0: by none
	for i := range p.shown {
		var path []int
		at := i
		for at >= 0 && walk[at] == 0 {
			walk[at] = i + 1
			path = append(path, at)
			at = p.shown[at].cause
		}
		if at >= 0 && walk[at] == i+1 {
			open[slices.Min(path[slices.Index(path, at):])] = true
		}
	}
	return open
}

type tree struct {
	*plan
	out    *bufio.Writer
	width  int
	levels int
	open   []bool
	later  []branch // what begins at the left
}

// branch is a node that is still to be drawn, with all below it.
type branch struct {
	node   int
	level  int
	prefix string // of the lines below it
	twig   string // in front of it
	resume bool   // it was drawn, and what is below it was not
}

// draw writes a branch. It does not call itself: a chain of causes may be long.
func (t *tree) draw(root branch) {
	if root.resume {
		t.out.WriteByte('\n')
	}
	for stack := []branch{root}; len(stack) > 0; {
		b := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		s := &t.shown[b.node]
		text := s.text()
		if b.resume {
			text = "⋯ " + s.label
		} else if t.open[b.node] {
			text += "  a circle: follows from " + t.shown[s.cause].label
		}
		below := slices.DeleteFunc(slices.Clone(s.effects), func(effect int) bool { return t.open[effect] })
		if b.level == t.levels && len(below) > 0 {
			text += "  ⋯ goes on below"
			t.later = append(t.later, branch{node: b.node, resume: true})
			below = nil
		}
		if t.width > 0 {
			text = cut(text, max(t.width-Width(b.twig), 8))
		}
		t.out.WriteString(b.twig + text + "\n")
		for i, effect := range slices.Backward(below) {
			next := branch{node: effect, level: b.level + 1, prefix: b.prefix + "│  ", twig: b.prefix + "├─ "}
			if i == len(below)-1 {
				next.prefix, next.twig = b.prefix+"   ", b.prefix+"└─ "
			}
			stack = append(stack, next)
		}
	}
}
