package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// someResult is of five rounds, in the last of which raw was held up.
func someResult() *Result {
	sample := func(rate, allocs int64) Sample {
		return Sample{Events: rate, Elapsed: time.Second, CPU: time.Duration(rate) * 2 * time.Microsecond, Allocs: rate * allocs, Heap: rate * 16, Device: rate * 200}
	}
	r := &Result{
		Workload: Workloads()[4], // 64 writers, 100 B
		Failed:   map[string]error{"nats": errors.New("no")},
		Samples: map[string][]Sample{
			"raw":    {sample(100_000, 0), sample(110_000, 0), sample(10_000, 0), sample(100_000, 0), sample(100_000, 0)},
			"floor":  {sample(60_000, 0), sample(66_000, 0), sample(60_000, 0), sample(60_000, 0), sample(60_000, 0)},
			"untorn": {sample(50_000, 3), sample(55_000, 3), sample(50_000, 3), sample(50_000, 3), sample(50_000, 3)},
			"pebble": {sample(20_000, 9), sample(22_000, 9), sample(20_000, 9), sample(20_000, 9), sample(20_000, 9)},
		},
	}
	for _, p := range Peers() {
		if len(r.Samples[p.Name]) > 0 || r.Failed[p.Name] != nil {
			r.Peers = append(r.Peers, p)
		}
	}
	return r
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	if err := writeMarkdown(&out, []*Result{someResult()}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"| | 64 writers, 100 B |\n|---|---:|\n",
		"| raw | 100 k (10 k–110 k) 1 |",
		"**50 k** (50 k–55 k) 0.50 |",
		"nats v2",
		" failed |",
		"| untorn | 2.00 µs · 3.00 · 200 B |",
		"| 64 writers, 100 B | untorn / raw | 0.500 [0.500, 0.500] | 0.58 | too few rounds | 4 | 1 |",
		"untorn / pebble | 2.500",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") && !strings.HasSuffix(line, "|\n") {
			t.Errorf("a row that does not end: %q", line)
		}
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := writeJSON(&out, []*Result{someResult()}, true); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&out)
	lines, rows := 0, 0
	for {
		var object map[string]any
		err := decoder.Decode(&object)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := object["over"]; ok {
			rows++
			continue
		}
		lines++
		for _, field := range []string{"workload", "size", "peer", "version", "events_per_s", "min", "max", "ratio_raw", "allocs_per_event"} {
			if _, ok := object[field]; !ok {
				t.Errorf("no %s in %v", field, object)
			}
		}
		if object["peer"] == "untorn" && (object["events_per_s"] != 50e3 || object["ratio_raw"] != 0.5 || object["allocs_per_event"] != 3.0) {
			t.Errorf("%v", object)
		}
	}
	if lines != 4 || rows != 4 {
		t.Errorf("%d peers and %d ratios, want 4 and 4", lines, rows)
	}
}

func TestSVG(t *testing.T) {
	var out, again bytes.Buffer
	two := []*Result{someResult(), someResult(), someResult()}
	if err := writeSVG(&out, two); err != nil {
		t.Fatal(err)
	}
	if err := writeSVG(&again, two); err != nil || again.String() != out.String() {
		t.Errorf("the same results gave two charts (%v)", err)
	}
	decoder := xml.NewDecoder(&out)
	count := map[string]int{}
	var labels []string
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			count[token.Name.Local]++
		case xml.CharData:
			labels = append(labels, strings.TrimSpace(string(token)))
		}
	}
	// A background, and for each panel four bars, each with its line.
	if count["svg"] != 1 || count["rect"] != 1+3*4 || count["line"] != 3*4 {
		t.Errorf("elements: %v", count)
	}
	joined := strings.Join(labels, "|")
	if !strings.Contains(joined, "50 k · 0.50") || !strings.Contains(joined, "64 writers, 100 B: events/s") {
		t.Errorf("labels: %s", joined)
	}
}

func TestShort(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 999: "999", 999.6: "1.0 k", 9_249: "9.2 k", 9_960: "10 k", 373_123: "373 k", 999_499: "999 k", 999_600: "1.0 M", 8_300_000: "8.3 M",
	} {
		if got := short(n); got != want {
			t.Errorf("short(%v) = %q, want %q", n, got, want)
		}
	}
	if got := short(math.NaN()); got != "?" {
		t.Errorf("short(NaN) = %q", got)
	}
}
