package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// TestSegmentsHaveTimesAndHeads: of each segment the log knows when it begins and
// which head it ends with, while it is written and when it is opened again, also
// where a recovery has carried batches.
func TestSegmentsHaveTimesAndHeads(t *testing.T) {
	m := newMachine(t, engine.Options{})
	heads := map[uint64]engine.LogHead{}
	log := m.open()
	step := func(write func(t *testing.T, log *engine.Log, payloads ...string) []engine.Receipt, i int) {
		t.Helper()
		m.clock.Pass(time.Second)
		write(t, log, big(fmt.Sprint(i), 9_000))
		if err := log.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		head := log.LogHead()
		heads[head.Batch] = head
	}
	check := func(when string, log *engine.Log) {
		t.Helper()
		stats, batch := log.Stats(), uint64(0)
		for _, s := range stats.Segments {
			first := heads[batch+1]
			batch += s.Batches
			if s.Head != heads[batch] {
				t.Errorf("%s: segment %d ends with %+v, want %+v", when, s.Number, s.Head, heads[batch])
			}
			if s.Batches == 0 {
				first = engine.LogHead{}
			}
			if !s.FirstTime.Equal(first.Time) || s.FirstSequence != first.Sequence {
				t.Errorf("%s: segment %d begins %v with event %d, want %v and %d", when, s.Number, s.FirstTime, s.FirstSequence, first.Time, first.Sequence)
			}
		}
		if batch != stats.Batches || len(stats.Segments) < 2 {
			t.Fatalf("%s: %d batches in %d segments, want %d", when, batch, len(stats.Segments), stats.Batches)
		}
	}
	readOnly := func() *engine.Log {
		t.Helper()
		o := m.seams()
		o.ReadOnly = true
		return openDir(t, o)
	}
	if s := log.Stats().Segments; len(s) != 1 || s[0].Head != (engine.LogHead{}) || !s[0].FirstTime.IsZero() {
		t.Errorf("a new log has %+v", s)
	}
	for i := range 20 {
		step(appended, i)
	}
	check("writing", log)
	reader := readOnly()
	check("beside the writer", reader)
	for i := range 20 {
		step(appended, 20+i)
	}
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed(t, log)
	log = m.open()
	check("opened again", log)
	m.clock.Pass(time.Second)
	buffered(t, log, "carried")
	m.crash(simfs.ProcessKill, simfs.Latest())
	log = m.open()
	if r := log.Recovery(); r.Carried != 1 {
		t.Fatalf("carried %d batches, want 1", r.Carried)
	}
	heads[log.LogHead().Batch] = log.LogHead()
	if s := log.Stats().Segments; s[len(s)-1].Carried != 1 {
		t.Errorf("the last segment of %+v has nothing that was carried", s)
	}
	check("recovered", log)
	step(appended, 41)
	check("going on", log)
	closed(t, log)
	check("read-only", readOnly())
}

// TestHeads: each stream once, by scope and name, as Head has it, and only what is
// visible.
func TestHeads(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	var list []engine.Draft
	for _, name := range []string{"b/x", "a/y", "/z", "a/x", "/a", "b/x"} {
		scope, stream, _ := strings.Cut(name, "/")
		list = append(list, engine.Draft{Scope: scope, Stream: stream, Type: "t"})
	}
	if _, err := log.AppendBatch(t.Context(), engine.Batch{Events: list}); err != nil {
		t.Fatal(err)
	}
	buffered(t, log, "s is not durable")
	var names []string
	for head := range log.Heads() {
		names = append(names, head.Scope+"/"+head.Stream)
		if want := log.Head(head.Scope, head.Stream); head != want {
			t.Errorf("%+v, want %+v", head, want)
		}
	}
	is(t, "the streams", names, []string{"/a", "/z", "a/x", "a/y", "b/x"})
	is(t, "the scopes", log.Scopes(), []string{"", "a", "b"})
	for range log.Heads() {
		break // panics if Heads goes on
	}
}
