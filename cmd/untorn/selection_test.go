package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
)

func TestInstants(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 5, time.UTC)
	for _, test := range []struct{ text, want string }{
		{"10m", "2026-01-31T11:50:00.000000005Z"},
		{"0s", "2026-01-31T12:00:00.000000005Z"},
		{"2d", "2026-01-29T12:00:00.000000005Z"},
		{"1d2h30m", "2026-01-30T09:30:00.000000005Z"},
		{"0d", "2026-01-31T12:00:00.000000005Z"},
		{"1.5h", "2026-01-31T10:30:00.000000005Z"},
		{"2026-01-30", "2026-01-30T00:00:00Z"},
		{"2026-01-30T10:11", "2026-01-30T10:11:00Z"},
		{"2026-01-30 10:11:12.5", "2026-01-30T10:11:12.5Z"},
		{"2026-01-30T10:11:12.000000001Z", "2026-01-30T10:11:12.000000001Z"},
		{"2026-01-30T10:11:12+02:00", "2026-01-30T08:11:12Z"},
		{"", ""}, {"d", ""}, {"10", ""}, {"-1d", ""}, {"1d-1h", ""}, {"-5m", ""}, {"1dd", ""}, {"2026", ""}, {"12:00", ""},
		{"65536d", ""}, {"65535d2562047h", ""}, {"2026-02-30", ""},
	} {
		got, err := parseInstant(test.text, now)
		if (err == nil) != (test.want != "") || err == nil && got.UTC().Format(time.RFC3339Nano) != test.want {
			t.Errorf("%q is %v, %v; want %s", test.text, got, err, test.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern  string
		fits     []string
		fitsNone []string
	}{
		{"order", []string{"order"}, []string{"order-1", "orde", ""}},
		{"order-*", []string{"order-1", "order-", "order-*"}, []string{"order", "border-1"}},
		{`order-\*`, []string{"order-*"}, []string{"order-1", `order-\`, `order-\*`}},
		{"*", []string{"", "a"}, nil},
		{"a*b", []string{"a*b"}, []string{"ab", "axb"}},
	} {
		p := parsePattern(test.pattern)
		for _, name := range test.fits {
			if !p.matches(name) {
				t.Errorf("%s does not stand for %q", test.pattern, name)
			}
		}
		for _, name := range test.fitsNone {
			if p.matches(name) {
				t.Errorf("%s stands for %q", test.pattern, name)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]bool{"k": true, "k/0": true, "k/17": true, "k/": false, "k/x": false, "k/1x": false, "k1": false, "": false, "K": false} {
		if hasKey(key, "k") != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
}

// steady is a clock that a test moves.
type steady struct{ now time.Time }

func (s *steady) Now() time.Time { return s.now }

// TestTimesAreSearched: --since and --until select what has these times, and the search
// finds where that begins and ends, in a log with gaps, too.
func TestTimesAreSearched(t *testing.T) {
	dir := t.TempDir()
	clock := &steady{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	writer, err := engine.Open(engine.Options{Dir: dir, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	var position int64
	for i, size := range []int{1, 3, 1, 1, 2, 4, 1} {
		receipts, err := writer.AppendBatch(t.Context(), engine.Batch{Events: slices.Repeat([]engine.Draft{{Stream: "s", Type: "t"}}, size)})
		if err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			position = receipts[0].Position.Offset
		}
		if i != 2 { // two batches have the same time
			clock.now = clock.now.Add(time.Minute)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	check := func(name string, salvage bool, gone ...uint64) {
		log, err := openQuietly(dir, salvage)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		end := log.Stats().Written.Sequence
		var all []engine.Event
		for event, err := range log.Read(engine.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, event)
		}
		if len(all) != 13-len(gone) {
			t.Fatalf("%s: %d events", name, len(all))
		}
		begin := all[0].Time
		times := []time.Time{{}}
		for step := -time.Minute; step < 9*time.Minute; step += 30 * time.Second {
			times = append(times, begin.Add(step))
		}
		for _, since := range times {
			for _, until := range times {
				if !since.IsZero() && !until.IsZero() && until.Before(since) {
					continue
				}
				s := &selection{since: since, until: until}
				var q engine.Query
				if err := s.prepare(&q); err != nil {
					t.Fatal(err)
				}
				var want []uint64
				for _, e := range all {
					if !e.Time.Before(since) && (until.IsZero() || !e.Time.After(until)) {
						want = append(want, e.Sequence)
					}
				}
				var found, searched []uint64
				if s.narrow(log, &q, end) {
					for _, got := range []struct {
						of *selection
						to *[]uint64
					}{{s, &found}, {&selection{}, &searched}} {
						for event, err := range got.of.read(t.Context(), log, q) {
							if err != nil {
								t.Fatal(err)
							}
							*got.to = append(*got.to, event.Sequence)
						}
					}
				}
				what := fmt.Sprintf("%s: since %v, until %v", name, since, until)
				if !slices.Equal(found, want) {
					t.Errorf("%s: %v, want %v", what, found, want)
				}
				if !slices.Equal(searched, want) {
					t.Errorf("%s: the search leaves %v, want %v", what, searched, want)
				}
			}
		}
	}
	check("whole", false)
	file := filepath.Join(dir, "000000000001.seg")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[position+40] ^= 1
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	check("damaged", true, 7, 8)
}
