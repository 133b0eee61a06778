package trace_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/replay/trace"
)

func TestDiff(t *testing.T) {
	var told strings.Builder
	for _, c := range []struct {
		name    string
		change  func(t *trace.Trace)
		entry   int // -2: no difference
		fields  []string
		headers int
	}{
		{"nothing", func(*trace.Trace) {}, -2, nil, 0},
		{"a source line", func(t *trace.Trace) { t.Entries[2].Op.Callers = nil }, -2, nil, 0},
		{"the end", func(t *trace.Trace) { t.Header.Found = "something else" }, -2, nil, 0}, // the verdict says it
		{"a comment of the plan", func(t *trace.Trace) { t.Header.Plan += "# why\n" }, -2, nil, 0},
		{"a step of the plan", func(t *trace.Trace) { t.Header.Plan += "step 9 read\n" }, -1, nil, 1},
		{"another disk", func(t *trace.Trace) { t.Header.Disk, t.Header.Seed, t.Entries[2].Text = "ext4", 8, "mkdir log" }, 2, []string{"text"}, 2},
		{"another cell", func(t *trace.Trace) { t.Header.Cell = 4096 }, -1, nil, 1},
		{"another scenario", func(t *trace.Trace) { t.Header.Scenario = "mixed" }, -1, nil, 1},
		{"data", func(t *trace.Trace) { t.Entries[7].Op.Data[3] = '?' }, 7, []string{"data"}, 0},
		{"an error", func(t *trace.Trace) { t.Entries[8].Op.Error, t.Entries[8].Failed = "", false }, 8, []string{"failed", "operation"}, 0},
		{"the disk", func(t *trace.Trace) { t.Entries[7].Changes = t.Entries[7].Changes[:1] }, 7, []string{"disk"}, 0},
		{"a digest", func(t *trace.Trace) { t.Entries[10].Digest = "762ac0d154b21bc4" }, 10, []string{"digest"}, 0},
		{"a time", func(t *trace.Trace) { t.Entries[6].Time = "2020-01-01T00:00:00.0106Z" }, 6, []string{"time"}, 0},
		{"the times of another seed", func(t *trace.Trace) {
			t.Header.Seed = 8
			for i := range t.Entries {
				t.Entries[i].Time = "2020-01-02T00:00:00Z"
			}
		}, -1, nil, 1},
		{"a crash line", func(t *trace.Trace) { t.Entries[14].Line = "kill op=1 notes=1" }, 14, []string{"crash line"}, 0},
		{"place", func(t *trace.Trace) { t.Entries[5].Step, t.Entries[5].Client = 1, "2" }, 5, []string{"step", "client"}, 0},
		{"kind", func(t *trace.Trace) { t.Entries[6].Kind = trace.Answer }, 6, []string{"kind"}, 0},
		{"a life", func(t *trace.Trace) { t.Entries[12].Life = 2 }, 12, []string{"life"}, 0},
		{"no operation", func(t *trace.Trace) { t.Entries[2].Op = nil }, 2, []string{"operation"}, 0},
		{"it ends", func(t *trace.Trace) { t.Entries = t.Entries[:4] }, 4, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := sample(), sample()
			c.change(b)
			d := trace.Diff(a, b)
			if c.entry == -2 {
				if d != nil {
					t.Fatalf("%+v", d)
				}
				return
			}
			if d == nil || d.Entry != c.entry || !slices.Equal(d.Fields, c.fields) || len(d.Headers) != c.headers {
				t.Fatalf("%+v, want entry %d, fields %v and %d headers", d, c.entry, c.fields, c.headers)
			}
			if other := trace.Diff(b, a); other.Entry != d.Entry || !slices.Equal(other.Fields, d.Fields) {
				t.Errorf("the other way round %+v", other)
			}
			var text bytes.Buffer
			if err := d.Text(&text, "a.jsonl", "b.jsonl", false); err != nil {
				t.Fatal(err)
			}
			checkWidth(t, text.String())
			told.WriteString("# " + c.name + "\n" + text.String() + "\n")
		})
	}
	golden(t, "diff.txt", told.String())
}
