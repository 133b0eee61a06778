package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// writeMarkdown writes the tables: rates, costs, and ratios with their targets.
func writeMarkdown(out io.Writer, results []*Result) error {
	var b strings.Builder
	writeRates(&b, results)
	writeCosts(&b, results)
	writeRatios(&b, results)
	_, err := io.WriteString(out, b.String())
	return err
}

// names are the peers of all results, in their order.
func names(results []*Result) []string {
	var all []string
	for _, p := range Peers() {
		if slices.ContainsFunc(results, func(r *Result) bool { return len(r.Samples[p.Name]) > 0 || r.Failed[p.Name] != nil }) {
			all = append(all, p.Name)
		}
	}
	return all
}

func label(name string) string {
	for _, p := range Peers() {
		if p.Name == name && p.Version() != "" {
			return name + " " + p.Version()
		}
	}
	return name
}

// writeRates is a row for each peer: median (lowest to highest), ratio to raw.
func writeRates(b *strings.Builder, results []*Result) {
	b.WriteString("Events a second: median (lowest–highest), and the median of the paired ratios to raw.\n\n")
	head(b, results)
	for _, name := range names(results) {
		bold := ""
		if name == ourName {
			bold = "**"
		}
		fmt.Fprintf(b, "| %s%s%s |", bold, label(name), bold)
		for _, r := range results {
			rates := r.Rates(name)
			switch {
			case r.Failed[name] != nil:
				b.WriteString(" failed |")
			case len(rates) == 0:
				b.WriteString(" – |")
			default:
				fmt.Fprintf(b, " %s%s%s (%s–%s) %s |", bold, short(median(rates)), bold,
					short(slices.Min(rates)), short(slices.Max(rates)), plainRatio(r, name))
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func plainRatio(r *Result, name string) string {
	if name == "raw" {
		return "1"
	}
	ratio, ok := r.Ratio(name, "raw")
	if !ok {
		return "?"
	}
	return fmt.Sprintf("%.2f", ratio.Median)
}

// writeCosts is what noise does not move.
func writeCosts(b *strings.Builder, results []*Result) {
	b.WriteString("What an event costs: CPU in µs, allocations, bytes to the device " +
		"(medians; of the bytes the lowest round, since others write there, too).\n\n")
	head(b, results)
	for _, name := range names(results) {
		fmt.Fprintf(b, "| %s |", name)
		for _, r := range results {
			if len(r.Samples[name]) == 0 {
				b.WriteString(" – |")
				continue
			}
			c := r.costs(name)
			fmt.Fprintf(b, " %s µs · %s · %s B |", figures(c.cpu), figures(c.allocs), short(c.device))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

type costs struct{ cpu, allocs, heap, device float64 }

func (r *Result) costs(name string) costs {
	return costs{
		cpu:    median(r.each(name, func(s Sample) float64 { return s.Per(s.CPU.Nanoseconds()) / 1e3 })),
		allocs: median(r.each(name, func(s Sample) float64 { return s.Per(s.Allocs) })),
		heap:   median(r.each(name, func(s Sample) float64 { return s.Per(s.Heap) })),
		device: slices.Min(r.each(name, func(s Sample) float64 { return s.Per(s.Device) })),
	}
}

func head(b *strings.Builder, results []*Result) {
	b.WriteString("| |")
	for _, r := range results {
		fmt.Fprintf(b, " %s |", r.Workload.Title())
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(results)) + "\n")
}

// writeRatios is untorn over raw and floor with the targets, and over the best of
// the others.
func writeRatios(b *strings.Builder, results []*Result) {
	fmt.Fprintf(b, "Ratios: median of paired rounds [95%% interval]. Met: the upper end reaches the target, "+
		"and the interval, of at least %d rounds, is narrower than %.2f. In a void round raw was off its own median by over %.0f%%.\n\n",
		leastRounds, mostWidth, mostOff*100)
	b.WriteString("| | ratio | | target | verdict | rounds | void |\n|---|---|---:|---:|---|---:|---:|\n")
	for _, r := range results {
		for _, row := range r.Rows() {
			target, verdict := "–", "–"
			if row.Target > 0 {
				target, verdict = fmt.Sprintf("%.2f", row.Target), row.Verdict
			}
			fmt.Fprintf(b, "| %s | %s / %s | %.3f [%.3f, %.3f] | %s | %s | %d | %d |\n",
				r.Workload.Title(), row.Peer, row.Over, row.Ratio, row.Low, row.High, target, verdict, row.Rounds, row.Void)
		}
	}
}

// Row is one ratio, and as a line of JSON.
type Row struct {
	Workload string  `json:"workload"`
	Size     int     `json:"size"`
	Peer     string  `json:"peer"`
	Over     string  `json:"over"`
	Ratio    float64 `json:"ratio"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Target   float64 `json:"target,omitempty"`
	Verdict  string  `json:"verdict,omitempty"`
	Rounds   int     `json:"rounds"`
	Void     int     `json:"void"`
}

// Rows are the ratios of a workload: untorn over raw and floor, the floors over
// raw, untorn over the best of the others.
func (r *Result) Rows() []Row {
	var rows []Row
	add := func(peer, over string) {
		ratio, ok := r.Ratio(peer, over)
		if !ok || peer == over {
			return
		}
		row := Row{
			Workload: r.Workload.Name, Size: r.Workload.Size, Peer: peer, Over: over,
			Ratio: ratio.Median, Low: ratio.Low, High: ratio.High,
			Rounds: ratio.Rounds, Void: len(r.Void()) - r.Valid(),
		}
		for _, target := range r.Workload.Targets() {
			if peer == ourName && over == target.Over {
				row.Target, row.Verdict = target.Least, ratio.Verdict(target.Least)
			}
		}
		rows = append(rows, row)
	}
	add(ourName, "raw")
	add(ourName, "floor")
	add(ourName, "floor-lanes")
	add("floor", "raw")
	add("floor-lanes", "raw")
	add(ourName, r.Best())
	return rows
}

// Line is one peer in one workload, as a line of JSON.
type Line struct {
	Workload       string  `json:"workload"`
	Size           int     `json:"size"`
	Peer           string  `json:"peer"`
	Version        string  `json:"version"`
	EventsPerS     float64 `json:"events_per_s"`
	Min            float64 `json:"min"`
	Max            float64 `json:"max"`
	RatioRaw       float64 `json:"ratio_raw"`
	AllocsPerEvent float64 `json:"allocs_per_event"`
	HeapPerEvent   float64 `json:"heap_bytes_per_event"`
	CPUPerEvent    float64 `json:"cpu_us_per_event"`
	DevicePerEvent float64 `json:"device_bytes_per_event"` // 0: unknown
	Rounds         int     `json:"rounds"`
}

// writeJSON writes an object a line: the peers of each workload, and, if asked
// for, the ratios behind them.
func writeJSON(out io.Writer, results []*Result, ratios bool) error {
	encoder := json.NewEncoder(out)
	for _, r := range results {
		for _, p := range r.Peers {
			rates := r.Rates(p.Name)
			if len(rates) == 0 {
				continue
			}
			c := r.costs(p.Name)
			line := Line{
				Workload: r.Workload.Name, Size: r.Workload.Size, Peer: p.Name, Version: p.Version(),
				EventsPerS: median(rates), Min: slices.Min(rates), Max: slices.Max(rates),
				AllocsPerEvent: c.allocs, HeapPerEvent: c.heap, CPUPerEvent: c.cpu, DevicePerEvent: c.device,
				Rounds: len(rates),
			}
			if math.IsNaN(c.device) {
				line.DevicePerEvent = 0 // JSON has no NaN
			}
			if ratio, ok := r.Ratio(p.Name, "raw"); ok {
				line.RatioRaw = ratio.Median
			}
			if err := encoder.Encode(line); err != nil {
				return err
			}
		}
		if !ratios {
			continue
		}
		for _, row := range r.Rows() {
			if err := encoder.Encode(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// short is a number with two or three figures: "9.2 k", "373 k", "1.3 M".
func short(n float64) string {
	switch {
	case math.IsNaN(n):
		return "?"
	case n >= 999_500:
		return scaled(n/1e6) + " M"
	case n >= 999.5:
		return scaled(n/1e3) + " k"
	default:
		return fmt.Sprintf("%.0f", n)
	}
}

func scaled(n float64) string {
	if n < 9.95 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// figures is a small number with two figures behind the point, at least.
func figures(n float64) string {
	if n >= 99.5 {
		return fmt.Sprintf("%.0f", n)
	}
	if n >= 9.95 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.2f", n)
}
