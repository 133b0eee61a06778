package draw

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The measures of an SVG, in pixels.
const (
	laneWidth  = 28 // and to the left of it room for the bows of its arrows
	rowHeight  = 26
	svgMargin  = 16
	textGap    = 12
	charWidth  = 7.3 // of the monospace font of 12 pixels
	mostText   = 120 // columns of a label; its title has the rest
	dotRadius  = 5
	ringRadius = 9
)

// svgStyle follows the colours that the reader has chosen.
const svgStyle = `<style>
.untorn-graph{font:12px ui-monospace,monospace}
.untorn-graph .paper{fill:#ffffff}.untorn-graph .lane{fill:#f0f2f5}
.untorn-graph text{fill:#1f2328}.untorn-graph .faint{fill:#59636e}.untorn-graph .here{font-weight:bold}
.untorn-graph .arrow{fill:none;stroke:#59636e;stroke-width:1.5}.untorn-graph .head{fill:#59636e}
.untorn-graph .dot{fill:#0969da}.untorn-graph .absent{fill:#ffffff;stroke:#59636e;stroke-width:1.5;stroke-dasharray:2}
.untorn-graph .ring{fill:none;stroke:#bc4c00;stroke-width:2}
@media (prefers-color-scheme:dark){
.untorn-graph .paper{fill:#0d1117}.untorn-graph .lane{fill:#161b22}
.untorn-graph text{fill:#e6edf3}.untorn-graph .faint{fill:#9198a1}
.untorn-graph .arrow{stroke:#9198a1}.untorn-graph .head{fill:#9198a1}
.untorn-graph .dot{fill:#4493f8}.untorn-graph .absent{fill:#0d1117;stroke:#9198a1}
.untorn-graph .ring{stroke:#f0883e}}
</style>
`

// SVG writes a picture as an image: a column for each lane, a row for each event,
// the earliest at the top, an arrow from each cause to its effects, and the labels
// as text beside them. It refers to nothing outside of it, has no script, reads
// out as a list, and follows the reader's choice of light or dark.
//
// An absent event stands in the lane of the first event that follows from it.
func SVG(w io.Writer, p Picture) error {
	out := bufio.NewWriter(w)
	plan := newPlan(p)
	title := plan.title
	if title == "" {
		title = "Causes and effects"
	}
	laneOf := make([]uint32, len(plan.shown))
	var lanes []uint32
	for i := range plan.shown {
		s := &plan.shown[i]
		laneOf[i] = s.node.Event.Lane
		if s.node.Absent && len(s.effects) > 0 {
			laneOf[i] = plan.shown[s.effects[0]].node.Event.Lane
		}
		lanes = append(lanes, laneOf[i])
	}
	slices.Sort(lanes)
	lanes = slices.Compact(lanes)

	top := svgMargin + rowHeight // below the title
	if len(lanes) > 1 {
		top += rowHeight // and the names of the lanes
	}
	// A lane is as wide as the widest bow in it.
	room := make([]int, len(lanes))
	column := func(i int) int {
		n, _ := slices.BinarySearch(lanes, laneOf[i])
		return n
	}
	for i := range plan.shown {
		if cause := plan.shown[i].cause; cause >= 0 && laneOf[cause] == laneOf[i] {
			room[column(i)] = max(room[column(i)], bow(i-cause))
		}
	}
	laneLeft := []int{svgMargin}
	for n := range lanes {
		laneLeft = append(laneLeft, laneLeft[n]+room[n]+laneWidth)
	}
	textLeft := laneLeft[len(lanes)] + textGap
	at := func(i int) (x, y int) {
		return laneLeft[column(i)+1] - laneWidth/2, top + i*rowHeight + rowHeight/2
	}
	widest := Width(cut(title, mostText))
	for i := range plan.shown {
		widest = max(widest, Width(cut(plan.shown[i].text(), mostText)))
	}
	totalWidth := textLeft + int(float64(widest)*charWidth) + svgMargin
	bottom := top + len(plan.shown)*rowHeight
	totalHeight := bottom + svgMargin

	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" class="untorn-graph" role="group" aria-label="%s" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n",
		escaped(title), totalWidth, totalHeight, totalWidth, totalHeight)
	fmt.Fprintf(out, "<title>%s</title>\n", escaped(title))
	out.WriteString(svgStyle)
	out.WriteString(`<defs><marker id="untorn-graph-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>` + "\n")
	fmt.Fprintf(out, `<rect class="paper" width="%d" height="%d"/>`+"\n", totalWidth, totalHeight)
	fmt.Fprintf(out, `<text x="%d" y="%d" class="here">%s</text>`+"\n", svgMargin, svgMargin+rowHeight/2, escaped(cut(title, mostText)))
	if len(lanes) > 1 {
		for n, lane := range lanes {
			if n%2 == 1 {
				fmt.Fprintf(out, `<rect class="lane" x="%d" y="%d" width="%d" height="%d"/>`+"\n", laneLeft[n], top, laneLeft[n+1]-laneLeft[n], bottom-top)
			}
			fmt.Fprintf(out, `<text class="faint" x="%d" y="%d" text-anchor="middle"><title>lane %d</title>%s</text>`+"\n",
				laneLeft[n+1]-laneWidth/2, top-rowHeight/3, lane, cut(fmt.Sprint(lane), 3))
		}
	}
	out.WriteString(`<g aria-hidden="true">` + "\n")
	for i := range plan.shown {
		if cause := plan.shown[i].cause; cause >= 0 {
			x1, y1 := at(cause)
			x2, y2 := at(i)
			fmt.Fprintf(out, `<path class="arrow" d="%s" marker-end="url(#untorn-graph-head)"/>`+"\n", arrow(x1, y1, x2, y2))
		}
	}
	out.WriteString("</g>\n" + `<g role="list">` + "\n")
	for i := range plan.shown {
		s := &plan.shown[i]
		x, y := at(i)
		fmt.Fprintf(out, `<g role="listitem"><title>%s</title>`, escaped(s.spoken(plan)))
		if s.focus {
			fmt.Fprintf(out, `<circle class="ring" cx="%d" cy="%d" r="%d"/>`, x, y, ringRadius)
		}
		class, weight := "dot", ""
		if s.node.Absent {
			class = "absent"
		}
		if s.focus {
			weight = ` class="here"`
		}
		fmt.Fprintf(out, `<circle class="%s" cx="%d" cy="%d" r="%d"/>`, class, x, y, dotRadius)
		fmt.Fprintf(out, `<text x="%d" y="%d"%s>%s</text></g>`+"\n", textLeft, y+4, weight, escaped(cut(s.text(), mostText)))
	}
	out.WriteString("</g>\n</svg>\n")
	return out.Flush()
}

// bow is how far an arrow within a lane keeps to the left, to pass so many rows
// and other arrows.
func bow(rows int) int {
	if rows < 0 {
		rows = -rows
	}
	if rows == 1 {
		return 0
	}
	return 14 + 5*min(rows, 14)
}

// arrow is the way from the dot of a cause to that of an effect.
func arrow(x1, y1, x2, y2 int) string {
	const gap = dotRadius + 1
	rows := (y2 - y1) / rowHeight
	curve := func(x1, y1, xa, ya, xb, yb, x2, y2 int) string {
		return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, xa, ya, xb, yb, x2, y2)
	}
	switch left := x1 - bow(rows); {
	case x1 != x2 && rows < 0: // the cause came later
		return curve(x1, y1-gap, x1, (y1+y2)/2, x2, (y1+y2)/2, x2, y2+gap)
	case x1 != x2:
		return curve(x1, y1+gap, x1, (y1+y2)/2, x2, (y1+y2)/2, x2, y2-gap)
	case rows == 0: // its own cause
		return curve(x1-gap, y1-2, left, y1-rowHeight/2, left, y1+rowHeight/2, x1-gap, y1+2)
	case rows == 1:
		return fmt.Sprintf("M%d %dV%d", x1, y1+gap, y2-gap)
	case rows == -1:
		return fmt.Sprintf("M%d %dV%d", x1, y1-gap, y2+gap)
	default:
		return curve(x1-gap, y1, left, (3*y1+y2)/4, left, (y1+3*y2)/4, x2-gap, y2)
	}
}

// spoken is all that is drawn of a node, in words.
func (s *shown) spoken(p *plan) string {
	parts := []string{s.label}
	if !s.node.Absent {
		parts = append(parts, "id "+s.node.Event.ID.String())
	}
	if s.focus {
		parts = append(parts, "here")
	}
	if s.cause >= 0 {
		parts = append(parts, "follows from "+p.shown[s.cause].label)
	}
	return strings.Join(append(parts, s.remarks...), "; ")
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
