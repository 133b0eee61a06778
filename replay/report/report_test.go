package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/replay"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/replay/report"
	"github.com/untorn-db/untorn/replay/report/internal/example"
	"github.com/untorn-db/untorn/replay/trace"
)

func ExamplePlan() {
	t := example.Failure() // of scenarios.Trace
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := errors.Join(report.Plan(f, t, nil), f.Close()); err != nil {
		fmt.Println(err)
		return
	}
	page, err := os.ReadFile(f.Name())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(regexp.MustCompile(`<title>(.*)</title>`).FindStringSubmatch(string(page))[1])
	// Output: rotate on posix: I1 is broken - untorn
}

func ExampleRun() {
	var page bytes.Buffer
	if err := report.Run(&page, example.Rows()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(regexp.MustCompile(`<title>(.*)</title>`).FindStringSubmatch(page.String())[1])
	// Output: sweep of 4 scenarios: 2 violations - untorn
}

// planPage is the page of a trace, with one card or none.
func planPage(t *testing.T, of *trace.Trace, why ...*card.Card) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Plan(&b, of, append(why, nil)[0]); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func runPage(t *testing.T, rows []replay.Row) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Run(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// dataOf is what a page's script reads.
func dataOf[T any](t *testing.T, page string) (data T) {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script id="data" type="application/json">(.*?)</script>`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no data")
	}
	if err := json.Unmarshal([]byte(found[1]), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

type planData struct {
	Cell    int
	Disk    string
	Callers []string
	Entries []struct {
		trace.Entry
		Callers []int `json:"callers"`
	}
}

// traceOf undoes what the page does to entries.
func (d planData) traceOf() (list []trace.Entry) {
	for _, e := range d.Entries {
		for _, i := range e.Callers {
			e.Op.Callers = append(e.Op.Callers, d.Callers[i])
		}
		list = append(list, e.Entry)
	}
	return list
}

// TestPlanData: the page has the whole trace.
func TestPlanData(t *testing.T) {
	of := example.Failure()
	got := dataOf[planData](t, planPage(t, of)).traceOf()
	if !reflect.DeepEqual(got, of.Entries) {
		t.Fatalf("the page has other entries than the trace:\n%+v\nwant\n%+v", got, of.Entries)
	}
	if of.Entries[0].Op != nil || of.Entries[2].Op == nil || len(of.Entries[2].Op.Callers) == 0 {
		t.Error("making a page changed the trace")
	}
}

func TestDeterministic(t *testing.T) {
	if a, b := planPage(t, example.Failure()), planPage(t, example.Failure()); a != b {
		t.Error("two pages of one trace differ")
	}
	if a, b := runPage(t, example.Rows()), runPage(t, example.Rows()); a != b {
		t.Error("two pages of one run differ")
	}
}

// pages are one of each kind.
func pages(t *testing.T) map[string]string {
	return map[string]string{
		"plan": planPage(t, example.Failure()), "kept": planPage(t, example.Kept()), "empty": planPage(t, &trace.Trace{}),
		"hostile": planPage(t, example.Hostile(), example.HostileCard()), "run": runPage(t, example.Rows()), "no rows": runPage(t, nil),
		"hostile run": runPage(t, example.HostileRows()),
	}
}

// TestPolicy: the policy of a page names its style and its script, allows nothing else,
// and the page needs nothing else.
func TestPolicy(t *testing.T) {
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)
	for name, page := range pages(t) {
		found := policy.FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("%s: no policy", name)
		}
		got := html.UnescapeString(found[1])
		between := func(from, to string) string {
			_, rest, _ := strings.Cut(page, from)
			text, _, ok := strings.Cut(rest, to)
			if !ok {
				t.Fatalf("%s: nothing between %s and %s", name, from, to)
			}
			sum := sha256.Sum256([]byte(text))
			return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
		want := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src " + between("<style>", "</style>") +
			"; script-src " + between("</script>\n<script>", "</script>")
		if got != want {
			t.Errorf("%s: the policy is\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestNoAddress: nothing in a page leads out of it, and nothing in it would be stopped by
// its own policy.
func TestNoAddress(t *testing.T) {
	for name, page := range pages(t) {
		if strings.HasPrefix(name, "hostile") {
			continue // its data has addresses
		}
		page = strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "") // the name of a kind of markup
		for _, bad := range []string{`https?:`, `//[a-z0-9.-]+\.[a-z]+/`, `url\([^#)]`, `@import`, `\ssrc=`, `<link rel="[^i]`, `<[^>]*\sstyle=`, `<[^>]*\son[a-z]+=`, `javascript:`} {
			if at := regexp.MustCompile(bad).FindStringIndex(page); at != nil {
				t.Errorf("%s: %q in the page: …%s…", name, bad, page[max(0, at[0]-40):min(len(page), at[1]+40)])
			}
		}
	}
}

// TestHostile: whatever is in a trace or a row comes into the page as text.
func TestHostile(t *testing.T) {
	of, rows := example.Hostile(), example.HostileRows()
	plan, run := planPage(t, of, example.HostileCard()), runPage(t, rows)
	for name, page := range map[string]string{"plan": plan, "run": run} {
		safe := planPage(t, example.Failure())
		if name == "run" {
			safe = runPage(t, example.Rows())
		}
		for _, tag := range []string{"<script", "</script", "<!--", "<img", "<style", "</style", "<title", "<iframe"} {
			if got, want := strings.Count(strings.ToLower(page), tag), strings.Count(strings.ToLower(safe), tag); got != want {
				t.Errorf("%s: %d of %s, want %d", name, got, tag, want)
			}
		}
		// What turns a line around is spelt out in the words of the page; its data is no
		// text for the eye before the script has done the same.
		words, _, _ := strings.Cut(page, `<script id="data"`)
		for _, bad := range []string{"\u202e", "\x00", "\x1b", "\u2028"} {
			if strings.Contains(words, bad) {
				t.Errorf("%s: %q stands in the page as it is", name, bad)
			}
		}
		if words = html.UnescapeString(words); !strings.Contains(words, "⟨U+202E⟩") || !strings.Contains(words, "␛") {
			t.Errorf("%s: what is not seen is not spelt out", name)
		}
	}
	if got := dataOf[planData](t, plan).traceOf(); !reflect.DeepEqual(got, of.Entries) {
		t.Error("the page has other entries than the hostile trace")
	}
	// A download has the bytes of the plan, whatever they are.
	found := regexp.MustCompile(`href="data:text/plain;base64,([^"]*)"`).FindStringSubmatch(plan)
	if found == nil {
		t.Fatal("the plan cannot be saved")
	}
	saved, err := base64.StdEncoding.DecodeString(html.UnescapeString(found[1]))
	if err != nil || string(saved) != of.Header.Plan {
		t.Errorf("the plan is saved as %q, %v", saved, err)
	}
}

// TestMaxBytes: of writes beyond the limit a page has the begin, and says so.
func TestMaxBytes(t *testing.T) {
	const said = "The run wrote more bytes than this page shows"
	of := &trace.Trace{}
	data := bytes.Repeat([]byte("untorn"), trace.MaxData/6)
	for n := 0; n*len(data) < report.MaxBytes+2*len(data); n++ {
		of.Entries = append(of.Entries, trace.Entry{N: n, Kind: trace.Op, Op: &trace.Operation{Verb: "write", Length: int64(len(data)), Data: data}})
	}
	page := planPage(t, of)
	if !strings.Contains(page, said) {
		t.Error("the page does not say that it left bytes out")
	}
	got := dataOf[planData](t, page).Entries
	if first, last := got[0].Op.Data, got[len(got)-1].Op.Data; len(first) != len(data) || len(last) != 64 || !bytes.Equal(last, data[:64]) {
		t.Errorf("%d bytes of the first write, %d of the last", len(first), len(last))
	}
	if strings.Contains(planPage(t, example.Failure()), said) {
		t.Error("a page that has all bytes says that it has not")
	}
}

func TestIs(t *testing.T) {
	for name, page := range pages(t) {
		if is, err := report.Is(strings.NewReader(page)); err != nil || !is {
			t.Errorf("%s: %v, %v", name, is, err)
		}
	}
	for _, other := range []string{"", "untorn plan 1\n", "<!DOCTYPE html><title>untorn</title>", strings.Repeat(" ", 4<<10) + runPage(t, nil)} {
		if is, err := report.Is(strings.NewReader(other)); err != nil || is {
			t.Errorf("%.20q: %v, %v", other, is, err)
		}
	}
}

func TestPlanWords(t *testing.T) {
	for _, c := range []struct {
		name string
		of   *trace.Trace
		why  []*card.Card
		want []string
		not  []string
	}{
		{"broken", example.Failure(), nil, []string{
			"<title>rotate on posix: I1 is broken - untorn</title>", "Promise I1 was broken", "every event acknowledged durable is there",
			"So there should be", "the log ends behind event 1", `download="rotate-posix-42-I1.plan"`,
			"go run ./cmd/untorn-sim replay rotate-posix-42-I1.plan", "go run ./cmd/untorn-sim replay 42 --scenario rotate --disk posix",
			`<button type="button" data-step="3"><b>step 3</b> batch 0=`, `<li class="w-fault"><b>fault</b> step=2`,
			"<b>3</b> steps", "<b>1</b> fault<", "<b>1</b> crash<", "<b>2</b> lives",
		}, []string{"Every promise was kept", "<dt>Why", "What the log shows"}},
		{"explained", example.Failure(), []*card.Card{{
			Promised: []string{"events 1 to 3 must be there", "call 3: answered"}, Shown: []string{"event 1"}, Found: "an earlier end", Cause: "no sync", Else: "all else was there",
		}}, []string{
			"<dt>So there should be</dt><dd>events 1 to 3 must be there\ncall 3: answered</dd>", "<dt>What was found</dt><dd>an earlier end</dd>",
			"<dt>What the log shows</dt><dd>event 1</dd>", "<dt>Why</dt><dd>no sync\nall else was there</dd>",
		}, []string{"the log ends behind event 1"}},
		{"kept", example.Kept(), nil, []string{"Every promise was kept", "<b>2</b> steps", "<b>0</b> crashes", "<b>1</b> life<"}, []string{"was broken", "What was found", "Why"}},
		{"without a number", &trace.Trace{Header: trace.Header{Scenario: "batch", Disk: "ext4", Found: "it hangs"}}, nil,
			[]string{"A promise was broken", "every call is answered as the model of the log says", "it hangs", `download="failure.plan"`}, []string{"So there should be", "<dt>Why", "All that the seed draws"}},
		{"a verdict alone", &trace.Trace{Entries: []trace.Entry{{Kind: trace.Verdict, Failed: true}}}, nil, []string{"A promise was broken"}, nil},
	} {
		page := planPage(t, c.of, c.why...)
		for _, want := range c.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q in the page", c.name, want)
			}
		}
		words, _, _ := strings.Cut(page, `<script id="data"`)
		for _, not := range c.not {
			if strings.Contains(words, not) {
				t.Errorf("%s: %q in the page", c.name, not)
			}
		}
	}
}

func TestRunWords(t *testing.T) {
	all := example.Rows()
	kept := all[:2]
	missed := all[5:6]
	few := []replay.Row{{Scenario: "batch", Disk: "posix", Seeds: 5, Unreached: []string{"a thing"}}}
	more := []replay.Row{{Scenario: "batch", Disk: "posix", Seeds: 5, Violated: 12_345}}
	for _, c := range []struct {
		name string
		of   []replay.Row
		want []string
		not  []string
	}{
		{"violations", all, []string{"2 violations of a promise", "go run ./cmd/untorn-sim replay failures/rotate-posix-42-I1.plan", "batch 7: all of its 3 events or none",
			"What was never reached", "recovery refused a foreign segment", "<b>8,000</b> runs of a seed"}, []string{"too few seeds", "of which the run kept no plan"}},
		{"kept", kept, []string{"Every promise was kept", "sweep of batch: every promise was kept"}, []string{"What was broken", "What was never reached"}},
		{"missed", missed, []string{"Something was never reached"}, []string{"What was broken"}},
		{"few seeds", few, []string{"Every promise was kept", "a thing", "too few seeds to tell"}, []string{"Something was never reached"}},
		{"more than described", more, []string{"12,345 violations of a promise"}, nil},
	} {
		page := runPage(t, c.of)
		words, _, _ := strings.Cut(page, `<script id="data"`)
		for _, want := range c.want {
			if !strings.Contains(words, want) {
				t.Errorf("%s: no %q in the page", c.name, want)
			}
		}
		for _, not := range c.not {
			if strings.Contains(words, not) {
				t.Errorf("%s: %q in the page", c.name, not)
			}
		}
	}
}

// TestLargeSeeds: a script's numbers do not hold every seed, so they are texts.
func TestLargeSeeds(t *testing.T) {
	const seed = 1<<63 + 1
	page := runPage(t, []replay.Row{{Scenario: "batch", Disk: "posix", Seeds: 1,
		Behaviours: []replay.Behaviour{{Name: "it", Seed: seed}}, Slowest: []replay.Slow{{Seed: seed, Seconds: 1}}}})
	type data struct {
		Rows []struct {
			Behaviours, Slowest []struct{ Seed string }
		}
	}
	got := dataOf[data](t, page).Rows[0]
	if got.Behaviours[0].Seed != "9223372036854775809" || got.Slowest[0].Seed != "9223372036854775809" {
		t.Errorf("the seeds are %+v", got)
	}
}

func TestPlanRefuses(t *testing.T) {
	var b bytes.Buffer
	err := report.Plan(&b, &trace.Trace{Entries: []trace.Entry{{N: 0}, {N: 2}}}, nil)
	if want := "make a page: entry 1 of the trace says that it is 2: record the plan again"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if b.Len() > 0 {
		t.Error("something was written")
	}
}

// full takes no byte.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestFullDisk(t *testing.T) {
	if err := report.Plan(full{}, example.Failure(), nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Plan: %v", err)
	}
	if err := report.Run(full{}, example.Rows()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Run: %v", err)
	}
}

// TestRows: the page of a run is the same from a file as from the run itself.
func TestRows(t *testing.T) {
	var b bytes.Buffer
	want := example.Rows()
	if err := replay.WriteRows(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := replay.ReadRows(&b)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := runPage(t, got), runPage(t, want); a != b {
		t.Error("the page of the rows that were read differs from that of the rows")
	}
}
