package example

import (
	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/trace"
)

// Nasty is a text that tries to be more than a text: markup, a script, an address, what
// ends a comment, what is not seen, and what turns a line around.
const Nasty = "</script><script>window.hacked=1</script><!--<script><img src=x onerror=\"window.hacked=2\"></title></style>" +
	"{{.}}${hacked}`'\"\\ \x1b[31m \u202egnp.exe \u2028 https://untorn.invalid/ é 日本 \U0001f600"

// Hostile is a trace in which every text and every byte is Nasty, and every number is
// larger than it should be.
func Hostile() *trace.Trace {
	t := &trace.Trace{Header: trace.Header{
		Trace: trace.Version, Scenario: Nasty, Disk: Nasty, Seed: 1<<64 - 1, Plan: "untorn plan 1\nstep 1 " + Nasty + "\n" + Nasty + " x\nstep\n", Cell: 512,
		Invariant: Nasty, Promise: Nasty, Expected: Nasty + "\x00\n" + Nasty, Found: Nasty,
	}}
	put := func(e trace.Entry) {
		e.N, e.Text, e.Client, e.Time, e.Digest = len(t.Entries), Nasty, Nasty, Nasty, Nasty
		t.Entries = append(t.Entries, e)
	}
	for _, kind := range append(trace.Kinds(), Nasty) {
		put(trace.Entry{Kind: kind, Step: 1, Failed: true})
	}
	for _, change := range []trace.Change{
		{Of: "cells", File: -1, Path: Nasty, From: 0, To: 1 << 30, State: trace.Pending, By: 1 << 30},
		{Of: "cells", File: -1, Path: Nasty, From: 7, To: 3, State: trace.Pending},
		{Of: "cells", File: 1 << 30, Path: Nasty, From: 5, To: 1 << 29, State: Nasty, By: -5},
		{Of: "size", File: 3, Path: Nasty, Size: 1 << 62, State: Nasty},
		{Of: "name", File: 3, Path: Nasty, State: Nasty},
		{Of: "name", File: 4, Path: "__proto__", State: trace.Pending, By: -1},
		{Of: Nasty, File: 5, Path: Nasty, State: Nasty},
	} {
		put(trace.Entry{Kind: trace.Op, Life: 1 << 30, Step: 1 << 30, Changes: []trace.Change{change}, Op: &trace.Operation{
			Index: -1, Verb: Nasty, Path: Nasty, To: Nasty, Offset: 1 << 50, Length: 1 << 52, Data: []byte(Nasty + "\x00\xff"),
			Error: Nasty, Barrier: true, Callers: []string{Nasty, "__proto__"},
		}})
	}
	put(trace.Entry{Kind: trace.Op}) // without an operation
	put(trace.Entry{Kind: trace.Crash, Life: 1 << 30, Changes: []trace.Change{{Of: "cells", File: -1, Path: Nasty, From: 1, To: 9, State: trace.Torn}}})
	return t
}

// HostileCard is a card in which every text that a page shows is Nasty.
func HostileCard() *card.Card {
	return &card.Card{Cause: Nasty, Else: Nasty, Promised: []string{Nasty, Nasty}, Shown: []string{Nasty}, Found: Nasty + "\x00\n" + Nasty}
}

// HostileRows is a row in which every text is Nasty.
func HostileRows() []replay.Row {
	return []replay.Row{{
		Scenario: Nasty, Disk: Nasty, Seeds: 1 << 62, Violated: 1 << 62, Unreached: []string{Nasty}, Digest: Nasty,
		Violations: []replay.Violation{{Seed: 1<<64 - 1, Invariant: Nasty, Expected: Nasty, Found: Nasty, Plan: Nasty, Replay: Nasty}},
		Reached:    map[string]int64{Nasty: 1, "__proto__": 2},
		Crashed:    []replay.Crashed{{Before: Nasty, Image: Nasty, Outcome: Nasty, Times: 1 << 62}, {Before: "__proto__", Image: "torn", Outcome: "I1", Times: 1}},
		Coverage:   []replay.Covered{{Fault: Nasty, Point: Nasty, Could: 1}, {Fault: "__proto__", Point: "", Could: 1, Hits: 1}},
		Behaviours: []replay.Behaviour{{Name: Nasty, Seed: 1<<64 - 1}, {Name: "__proto__", Seed: 1}},
		Slowest:    []replay.Slow{{Seed: 1<<64 - 1, Seconds: 1e9}},
	}}
}
