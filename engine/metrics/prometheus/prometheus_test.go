package prometheus_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/metrics"
	"github.com/untorn-db/untorn/engine/metrics/prometheus"
	"github.com/untorn-db/untorn/simfs"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/scrape.txt anew from what is scraped now")

// scrape is the text of a registry, with the buckets of one histogram only.
func scrape(t *testing.T, registry *client.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all, some bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&all, family); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(all.String()) {
		if !strings.Contains(line, "_bucket{") || strings.Contains(line, `call_seconds_bucket{log="orders",outcome="durable"`) {
			some.WriteString(line)
		}
	}
	return some.String()
}

// frozen is a clock that stands still.
type frozen struct{}

func (frozen) Now() time.Time { return time.Unix(1_700_000_000, 0) }

// handle handles the first event of a log, at the second attempt.
func handle(t *testing.T, log *engine.Log) {
	t.Helper()
	cursor, err := log.Cursor("billing", engine.Query{Stream: "s", ToSequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	if err := cursor.Handle(context.Background(), engine.Handling{Wait: time.Nanosecond}, func(context.Context, engine.Event, *engine.Effects) error {
		if attempts++; attempts == 1 {
			return errors.New("no")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestScrape compares the whole scrape with testdata: of a log, and of made-up
// durations.
func TestScrape(t *testing.T) {
	counts := metrics.New()
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Clock: frozen{}, Metrics: counts.Listen(), SyncEvery: time.Hour, Preallocate: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	registry := client.NewPedanticRegistry()
	registry.MustRegister(prometheus.New(counts, client.Labels{"log": "orders"}))
	if text := scrape(t, registry); strings.Contains(text, "untorn_log_segments") || !strings.Contains(text, "untorn_events_total{log=\"orders\"} 0\n") {
		t.Errorf("nothing was appended, and no log is watched:\n%s", text)
	}
	counts.Watch(log)
	ctx := context.Background()
	draft := engine.Draft{Stream: "s", Type: "t", Data: []byte("12345"), Expect: engine.NoStream}
	for range 2 {
		_, _ = log.Append(ctx, draft) // the second one expects another version
	}
	handle(t, log)
	draft.Expect = engine.Any
	if _, err := log.AppendBatch(ctx, engine.Batch{Durability: engine.Buffered, Events: []engine.Draft{draft, draft}}); err != nil {
		t.Fatal(err)
	}
	for range log.Read(engine.Query{Buffered: true}) {
	}
	told := counts.Listen()
	told.Call(told.CallBegin(ctx, engine.CallStats{}), engine.CallStats{Took: 3 * time.Millisecond, Events: 1, Bytes: 100})
	told.Call(told.CallBegin(ctx, engine.CallStats{}), engine.CallStats{Took: time.Minute, Outcome: engine.OutcomeInDoubt, Err: engine.ErrInDoubt})
	told.CallBegin(ctx, engine.CallStats{})
	told.Group(engine.GroupStats{Gather: time.Millisecond, Decide: 2 * time.Millisecond, Write: 4 * time.Millisecond, Sync: 8 * time.Millisecond, Took: 15 * time.Millisecond,
		Calls: 1, Batches: 1, Events: 1, Bytes: 224, Synced: true, Err: engine.ErrInDoubt, Outcome: engine.OutcomeInDoubt})
	told.Sync(engine.SyncStats{Cause: engine.SyncCadence, Took: 16 * time.Millisecond})
	told.Rotation(engine.RotationStats{Took: 32 * time.Millisecond, Err: errors.New("no")})
	told.Read(engine.ReadStats{Took: 64 * time.Millisecond, Err: errors.New("no")})
	told.Open(engine.OpenStats{Took: 128 * time.Millisecond, Recovery: engine.Recovery{Torn: true, Fresh: 2}})
	told.Signature(engine.SignatureStats{Took: 512 * time.Millisecond, Err: errors.New("no")})
	told.Failed(errors.New("no"))

	told.Handled(engine.HandledStats{Cursor: "mail"})
	told.Handled(engine.HandledStats{Cursor: "bills", Through: 1, DeadLetters: 1, Took: 256 * time.Millisecond})

	got := scrape(t, registry)
	if *rewrite {
		if err := os.WriteFile("testdata/scrape.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/scrape.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// TestTwoLogs: in one registry, told apart by a label.
func TestTwoLogs(t *testing.T) {
	registry := client.NewPedanticRegistry()
	for i, name := range []string{"orders", "stock"} {
		counts := metrics.New()
		for range i + 1 {
			counts.Listen().Failed(errors.New("no"))
		}
		if err := registry.Register(prometheus.New(counts, client.Labels{"log": name})); err != nil {
			t.Fatal(err)
		}
	}
	text := scrape(t, registry)
	for _, want := range []string{`untorn_log_failures_total{log="orders"} 1`, `untorn_log_failures_total{log="stock"} 2`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
}

func ExampleNew() {
	counts := metrics.New()
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Metrics: counts.Listen()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	counts.Watch(log)
	registry := client.NewRegistry()
	registry.MustRegister(prometheus.New(counts, nil)) // and promhttp.HandlerFor(registry, …) serves it
	_, _ = log.Append(context.Background(), engine.Draft{Stream: "s", Type: "t"})
	families, _ := registry.Gather()
	for _, family := range families {
		if family.GetName() == "untorn_events_total" {
			fmt.Println(family.GetName(), family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	// Output: untorn_events_total 1
}
