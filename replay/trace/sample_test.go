package trace_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/replay/trace"
)

var rewrite = flag.Bool("rewrite", false, "write what testdata should hold")

// sample is a trace in which everything happens once.
func sample() *trace.Trace {
	t := &trace.Trace{Header: trace.Header{
		Trace: trace.Version, Scenario: "batch", Disk: "posix", Seed: 7, Cell: 512,
		Plan:      "untorn plan 1\nscenario batch\nstep 1 open\nstep 2 batch client=1 0=\"order-1 placed\"\n",
		Invariant: "I1", Promise: "every event acknowledged durable is there, byte for byte, however it is read, and its receipt verifies",
		Expected: "event 1: item 0 of call 1", Found: "an earlier end",
	}}
	const zero = "2020-01-01T00:00:00Z"
	add := func(e trace.Entry) {
		e.N = len(t.Entries)
		if e.Time == "" {
			e.Time = zero
		}
		t.Entries = append(t.Entries, e)
	}
	add(trace.Entry{Step: 1, Kind: trace.Step, Text: "step 1 open"})
	add(trace.Entry{Step: 1, Kind: trace.Call, Text: "open the log"})
	add(trace.Entry{
		Step: 1, Kind: trace.Op, Text: "create log/1.seg", Op: &trace.Operation{Verb: "create", Path: "log/1.seg", Callers: []string{"directory.go:124", "rotate.go:89"}},
		Changes: []trace.Change{{Of: trace.OfName, File: 1, Path: "log/1.seg", State: trace.Pending, By: 2}},
	})
	add(trace.Entry{Step: 1, Kind: trace.Opened, Text: "opened: 0 segments, 0 batches, 0 events", Digest: "35fa7bc66913daf5"})
	add(trace.Entry{Step: 2, Client: "1", Kind: trace.Step, Text: "step 2 batch client=1 0=\"order-1 placed size=1000 meta=32 ext=0 lane=1 depth=2 flags=1 payload=2 erasable correlation=800 key=a.b\""})
	add(trace.Entry{Step: 2, Client: "1", Time: "2020-01-01T00:00:00.0105Z", Kind: trace.Call, Text: "call 1: append placed to order-1 (1000 bytes)"})
	add(trace.Entry{Step: 2, Client: "1", Time: "2020-01-01T00:00:00.0105Z", Kind: trace.Point, Text: "batch.start batch 1"})
	add(trace.Entry{
		Step: 2, Client: "1", Time: "2020-01-01T00:00:00.0105Z", Kind: trace.Op, Text: "write log/1.seg, 1200 bytes at 0",
		Op: &trace.Operation{Index: 1, Verb: "write", Path: "log/1.seg", File: 1, Length: 1200, Data: []byte("\x89untorn <&>")},
		Changes: []trace.Change{
			{Of: trace.OfSize, File: 1, Path: "log/1.seg", Size: 1200, State: trace.Pending, By: 7},
			{Of: trace.OfCells, File: 1, Path: "log/1.seg", From: 0, To: 3, State: trace.Pending, By: 7},
		},
	})
	add(trace.Entry{
		Step: 2, Client: "1", Kind: trace.Op, Text: "syncdata log/1.seg: input/output error", Failed: true,
		Op: &trace.Operation{Index: 2, Verb: "syncdata", Path: "log/1.seg", File: 1, Error: "input/output error", Barrier: true},
	})
	add(trace.Entry{Step: 2, Client: "1", Kind: trace.Fault, Text: "step=2 syncdata eio: hit log/1.seg"})
	add(trace.Entry{Step: 2, Client: "1", Kind: trace.Answer, Text: "call 1: event 1 in batch 1, durable", Digest: "762ac0d154b21bc3"})
	add(trace.Entry{
		Kind: trace.Crash, Text: "the power fails before operation 3; of what was pending 2 kept, 1 lost, 2 torn", Line: "power op=3 notes=5 prefix=3 ~cell:log/1.seg#3:0=durable ~cell:log/1.seg#3:2=durable",
		Changes: []trace.Change{
			{Of: trace.OfName, File: 1, Path: "log/1.seg", State: trace.Kept, By: 2},
			{Of: trace.OfSize, File: 1, Path: "log/1.seg", Size: 1100, State: trace.Lost, By: 7},
			{Of: trace.OfCells, File: 1, Path: "log/1.seg", From: 0, To: 1, State: trace.Torn, By: 7},
			{Of: trace.OfCells, File: 1, Path: "log/1.seg", From: 1, To: 2, State: trace.Kept, By: 7},
			{Of: trace.OfCells, File: 1, Path: "log/1.seg", From: 2, To: 3, State: trace.Torn, By: 7},
		},
	})
	add(trace.Entry{Life: 1, Time: "2020-01-01T00:00:01Z", Kind: trace.Call, Text: "open the log"})
	add(trace.Entry{
		Life: 1, Time: "2020-01-01T00:00:01Z", Kind: trace.Op, Text: "truncate log/1.seg to 0 bytes", Op: &trace.Operation{Verb: "truncate", Path: "log/1.seg", File: 1},
		Changes: []trace.Change{{Of: trace.OfSize, File: 1, Path: "log/1.seg", State: trace.Pending, By: 13}},
	})
	add(trace.Entry{Life: 1, Time: "2020-01-01T00:00:01Z", Kind: trace.Crash, Text: "the process is killed before operation 1", Line: "kill op=1 notes=0"})
	add(trace.Entry{Life: 2, Time: "2020-01-01T00:00:02Z", Kind: trace.Opened, Text: "opened: 1 segment, 0 batches, 0 events; torn at byte 0 of segment 1: no frame"})
	add(trace.Entry{Life: 2, Time: "2020-01-01T00:00:02Z", Kind: trace.Verdict, Failed: true, Text: "I1 does not hold"})
	return t
}

// lines is a trace as it is written.
func lines(t *testing.T, tr *trace.Trace) string {
	t.Helper()
	var b bytes.Buffer
	if err := tr.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares a text with a file in testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n"); got != string(want) {
		for i := range max(len(g), len(w)) {
			if i >= len(g) || i >= len(w) || g[i] != w[i] {
				t.Fatalf("%s, line %d:\n got %q\nwant %q", file, i+1, g[i:min(i+1, len(g))], w[i:min(i+1, len(w))])
			}
		}
	}
}
