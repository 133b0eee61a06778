package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// The chart's measures, in pixels.
const (
	panelWidth = 460
	labelWidth = 120
	valueWidth = 100
	barHeight  = 16
	panelHead  = 28
	panelFoot  = 14
	margin     = 16
)

// writeSVG draws a panel for each workload, two in a row: a bar for each peer,
// the fastest first, from 0 to its median, with a line from its lowest to its
// highest round. raw and the floors are grey, untorn is blue.
func writeSVG(out io.Writer, results []*Result) error {
	var b strings.Builder
	width := 2*panelWidth + 3*margin
	y := margin
	var panels strings.Builder
	for i := 0; i < len(results); i += 2 {
		row := results[i:min(i+2, len(results))]
		height := 0
		for k, r := range row {
			height = max(height, writePanel(&panels, r, margin+k*(panelWidth+margin), y))
		}
		y += height
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		width, y+margin, width, y+margin)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, y+margin)
	b.WriteString(panels.String())
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// writePanel draws one workload and returns how high it is.
func writePanel(b *strings.Builder, r *Result, x, y int) int {
	type bar struct {
		name             string
		limit            bool
		median, low, top float64
	}
	var bars []bar
	most := 0.0
	for _, p := range r.Peers {
		if rates := r.Rates(p.Name); len(rates) > 0 {
			bars = append(bars, bar{p.Name, p.Limit, median(rates), slices.Min(rates), slices.Max(rates)})
			most = max(most, slices.Max(rates))
		}
	}
	slices.SortStableFunc(bars, func(a, c bar) int {
		switch {
		case a.median > c.median:
			return -1
		case a.median < c.median:
			return 1
		}
		return 0
	})
	room := float64(panelWidth - labelWidth - valueWidth)
	long := func(rate float64) float64 {
		if most == 0 {
			return 0
		}
		return math.Round(room*rate/most*10) / 10
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="13" font-weight="bold" fill="#222222">%s: events/s · ratio to raw</text>`+"\n",
		x, y+14, escaped(r.Workload.Title()))
	left := x + labelWidth
	for i, v := range bars {
		top := y + panelHead + i*barHeight
		middle := top + barHeight/2
		colour := "#c9b58f"
		switch {
		case v.limit:
			colour = "#a8a8a8"
		case v.name == ourName:
			colour = "#2f6fb5"
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#222222">%s</text>`+"\n", left-6, middle+4, escaped(v.name))
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%g" height="%d" fill="%s"/>`+"\n", left, top+2, long(v.median), barHeight-4, colour)
		fmt.Fprintf(b, `<line x1="%g" y1="%d" x2="%g" y2="%d" stroke="#222222"/>`+"\n",
			float64(left)+long(v.low), middle, float64(left)+long(v.top), middle)
		fmt.Fprintf(b, `<text x="%g" y="%d" fill="#222222">%s · %s</text>`+"\n",
			float64(left)+long(v.top)+6, middle+4, short(v.median), plainRatio(r, v.name))
	}
	return panelHead + len(bars)*barHeight + panelFoot
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
