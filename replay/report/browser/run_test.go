package browser

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/report"
	"github.com/untorn-db/untorn/replay/report/internal/example"
)

// run is a page of a sweep.
func run(rows []replay.Row) func(w io.Writer) error {
	return func(w io.Writer) error { return report.Run(w, rows) }
}

var invariants = regexp.MustCompile(`^I\d+$`)

// heat are the cells of the heat map: "syncdata seg, torn: 12 times, 1 broken".
func heat(rows []replay.Row, across, only string) (list []string) {
	type key struct{ before, column string }
	times, broken := map[key]int64{}, map[key]int64{}
	for _, r := range rows {
		for _, c := range r.Crashed {
			k, other := key{c.Before, c.Image}, c.Outcome
			if across == "outcome" {
				k, other = key{c.Before, c.Outcome}, c.Image
			}
			if only != "" && other != only {
				continue
			}
			times[k] += c.Times
			if invariants.MatchString(c.Outcome) {
				broken[k] += c.Times
			}
		}
	}
	for k, n := range times {
		text := fmt.Sprintf("%s, %s: %s times", k.before, k.column, thousands(n))
		if n == 1 {
			text = strings.TrimSuffix(text, "s")
		}
		if broken[k] > 0 {
			text += fmt.Sprintf(", %s broken", thousands(broken[k]))
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

// coverage are the places of the coverage, as "fault\tpoint\tnever".
func coverage(rows []replay.Row) (list []string) {
	faults, points := map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		for _, c := range r.Coverage {
			faults[c.Fault], points[c.Point] = true, true
		}
	}
	for fault := range faults {
		for point := range points {
			could, hits := int64(0), int64(0)
			for _, r := range rows {
				for _, c := range r.Coverage {
					if c.Fault == fault && c.Point == point {
						could, hits = could+c.Could, hits+c.Hits
					}
				}
			}
			what := "hit"
			switch {
			case could == 0:
				what = "impossible"
			case hits == 0:
				what = "never"
			}
			list = append(list, fault+"\t"+cmp.Or(point, "at the start")+"\t"+what)
		}
	}
	slices.Sort(list)
	return list
}

// behaviours are how many there are, how many seeds did one first, and the last of these.
func behaviours(rows []replay.Row) (n, seeds int, last uint64) {
	first := map[string]uint64{}
	for _, r := range rows {
		for _, b := range r.Behaviours {
			if seed, ok := first[b.Name]; !ok || b.Seed < seed {
				first[b.Name] = b.Seed
			}
		}
	}
	distinct := map[uint64]bool{}
	for _, seed := range first {
		distinct[seed] = true
		last = max(last, seed)
	}
	return len(first), len(distinct), last
}

// wantRows compares all pictures with what they should show of these rows.
func (b *tab) wantRows(what string, rows []replay.Row) {
	b.t.Helper()
	same := func(of string, got, want []string) {
		b.t.Helper()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			b.t.Errorf("%s: %s is\n%s\nwant\n%s", what, of, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	b.wantHeat(what, heat(rows, "image", ""))
	same("the coverage", get[[]string](b, `[...document.querySelectorAll("#coverage tbody tr")].flatMap(tr => [...tr.querySelectorAll("td")].map((td, i) =>
		tr.querySelector("th").textContent + "\t" + document.querySelectorAll("#coverage thead th")[i].textContent + "\t" + td.className.split(" ")[0]))`), coverage(rows))
	n, seeds, last := behaviours(rows)
	if got, want := b.text("#curve-sum"), fmt.Sprintf("%d behaviours; the last new one came with seed %d.", n, last); !strings.HasPrefix(got, want) {
		b.t.Errorf("%s: the curve says %q, want %q", what, got, want)
	}
	if got := get[int](b, `document.querySelectorAll("#curve .dot").length`); got != seeds {
		b.t.Errorf("%s: the curve has %d dots, want %d", what, got, seeds)
	}
	var slow []string
	for _, r := range rows {
		for _, s := range r.Slowest {
			slow = append(slow, fmt.Sprintf("%012.4f %s on %s, seed %d%.2f s", s.Seconds, r.Scenario, r.Disk, s.Seed, s.Seconds))
		}
	}
	slices.Sort(slow)
	slices.Reverse(slow)
	slow = slow[:min(10, len(slow))]
	for i := range slow {
		_, slow[i], _ = strings.Cut(slow[i], " ")
	}
	if got := get[[]string](b, `[...document.querySelectorAll("#slowest button")].map(e => e.textContent)`); !slices.Equal(got, slow) {
		b.t.Errorf("%s: the slowest are\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(slow, "\n"))
	}
}

func (b *tab) wantHeat(what string, want []string) {
	b.t.Helper()
	got := get[[]string](b, `[...document.querySelectorAll(".heat-cell")].map(e => e.getAttribute("aria-label"))`)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: the heat map is\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestFilters takes every scenario and disk, and compares all pictures.
func TestFilters(t *testing.T) {
	c := start(t)
	rows := example.Rows()
	b := c.open(t, desk, run(rows))
	b.wantRows("all", rows)
	for i, scenario := range []string{"batch", "rotate", "syncfail", "groupcommit"} {
		b.choose("scenario", fmt.Sprint(i))
		for k, disk := range []string{"posix", "ext4"} {
			b.choose("disk-filter", fmt.Sprint(k))
			b.wantRows(scenario+" on "+disk, slices.DeleteFunc(slices.Clone(rows), func(r replay.Row) bool { return r.Scenario != scenario || r.Disk != disk }))
		}
		b.choose("disk-filter", "")
		b.wantRows(scenario, slices.DeleteFunc(slices.Clone(rows), func(r replay.Row) bool { return r.Scenario != scenario }))
	}
	b.choose("scenario", "")
	b.press("s")
	b.press("d")
	b.press("d")
	b.wantRows("by the keys: batch on ext4", rows[1:2])
	b.press("S", chromedp.KeyModifiers(chromedp.ModifierShift))
	b.press("d")
	b.wantRows("by the keys: all", rows)
}

// TestRealRun compares the page of a small sweep.
func TestRealRun(t *testing.T) {
	c := start(t)
	sweep, err := replay.Sweep(t.Context(), replay.Options{
		Scenarios: []string{"batch", "rotate", "syncfail"}, Disks: []string{"posix", "ext4"}, Seeds: replay.Seeds{First: 1, Last: 5}, Images: 50,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sweep.Rows[5].Crashed) == 0 || len(sweep.Rows[5].Coverage) == 0 || len(sweep.Rows[5].Behaviours) == 0 {
		t.Fatal("the sweep tells nothing")
	}
	b := c.open(t, desk, run(sweep.Rows))
	b.wantRows("all", sweep.Rows)
	b.choose("scenario", "2")
	b.choose("disk-filter", "1")
	b.wantRows("syncfail on ext4", sweep.Rows[5:])
	b.fits()
	b.shoot("real-run", true)
}

func TestHeat(t *testing.T) {
	c := start(t)
	rows := example.Rows()
	b := c.open(t, desk, run(rows))
	b.choose("only", "cut a tail")
	b.wantHeat("one outcome", heat(rows, "image", "cut a tail"))
	b.press("a")
	b.wantHeat("outcomes across", heat(rows, "outcome", ""))
	b.choose("only", "torn")
	b.wantHeat("outcomes of one kind of image", heat(rows, "outcome", "torn"))
	b.shoot("run-outcomes", true)
	b.choose("across", "image")
	b.choose("only", "I1")
	b.wantHeat("a broken promise", []string{"syncdata seg, torn: 1 time, 1 broken"})
	b.choose("only", "")

	// A click opens a cell, and another closes it.
	b.click(`.heat-cell.broken`)
	want := map[string]int64{}
	total := int64(0)
	first := get[string](b, `document.querySelector(".heat-cell.broken").getAttribute("aria-label")`)
	before, rest, _ := strings.Cut(first, ", ")
	image, _, _ := strings.Cut(rest, ":")
	for _, r := range rows {
		for _, c := range r.Crashed {
			if c.Before == before && c.Image == image {
				want[c.Outcome] += c.Times
				total += c.Times
			}
		}
	}
	var lines []string
	for outcome, n := range want {
		if invariants.MatchString(outcome) {
			outcome += " broken"
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s", image, outcome, thousands(n)))
	}
	slices.Sort(lines)
	got := get[[]string](b, `[...document.querySelectorAll("#ended tbody tr")].map(tr => [...tr.children].map(td => td.textContent).join("\t"))`)
	slices.Sort(got)
	if !slices.Equal(got, lines) {
		t.Errorf("%s ended\n%s\nwant\n%s", first, strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
	if title := b.text("#ended h3"); title != fmt.Sprintf("Before %s, %s: %s crashes", before, image, thousands(total)) {
		t.Errorf("the title is %q", title)
	}
	b.shoot("run-ended", true)
	b.click(`.heat-cell[aria-pressed=true]`)
	if left := get[int](b, `document.querySelectorAll("#ended tr").length`); left > 0 {
		t.Error("a second click leaves the cell open")
	}

	b.click(`#slowest li:nth-child(2) button`)
	if line := b.text("#slow-command code"); !regexp.MustCompile(`^go run ./cmd/untorn-sim replay \d+ --scenario [a-z]+ --disk [a-z0-9]+$`).MatchString(line) {
		t.Errorf("the line that runs a slow seed is %q", line)
	}
}
