package browser

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/untorn-db/untorn/replay"
	replayplan "github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/report"
	"github.com/untorn-db/untorn/replay/report/internal/example"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/scenarios"
)

// plan is a page of a trace.
func plan(of *trace.Trace) func(w io.Writer) error {
	return func(w io.Writer) error { return report.Plan(w, of, nil) }
}

// chosen is the entry that the page shows.
func (b *tab) chosen() int {
	b.t.Helper()
	found := regexp.MustCompile(`^entry (\d+) of \d+ `).FindStringSubmatch(b.text("#where"))
	if found == nil {
		b.t.Fatalf("the page says %q", b.text("#where"))
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		b.t.Fatal(err)
	}
	if slider := get[int](b, `Number(document.getElementById("slider").value)`); slider != n {
		b.t.Errorf("the slider is at %d, the page shows entry %d", slider, n)
	}
	return n
}

func (b *tab) wantChosen(what string, want int) {
	b.t.Helper()
	if got := b.chosen(); got != want {
		b.t.Errorf("%s: entry %d, want %d", what, got, want)
	}
}

// slide moves the slider, as a hand does.
func (b *tab) slide(n int) {
	b.t.Helper()
	get[bool](b, fmt.Sprintf(`(() => { const s = document.getElementById("slider"); s.value = %d; s.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`, n))
}

// states are the cells that the page shows, as disk.states says them.
func (b *tab) states() []string {
	b.t.Helper()
	list := get[[]string](b, `[...document.querySelectorAll("#disk .of-file")].filter(f => f.querySelector(".cell")).map(f => f.dataset.file + ":" +
		[...f.querySelectorAll(".cell")].map(c => c.dataset.state === "gone" ? "-" : c.dataset.state[0].toUpperCase()).join(""))`)
	slices.Sort(list)
	return list
}

// pending is what the page says that a power loss may take.
func (b *tab) pending() []string {
	b.t.Helper()
	list := get[[]string](b, `[...document.querySelectorAll("#losses > li")].map(li => li.textContent)`)
	slices.Sort(list)
	return list
}

// wantDisk compares what the page shows with the disk behind an entry.
func (b *tab) wantDisk(of *trace.Trace, n int) {
	b.t.Helper()
	if got, want := b.states(), states(of, n); !slices.Equal(got, want) {
		b.t.Errorf("entry %d: the cells are %v, want %v", n, got, want)
	}
	names := get[[]string](b, `[...document.querySelectorAll("#disk .file")].filter(h => !h.querySelector(".note")).flatMap(h => [...h.querySelectorAll("code")]).map(c => (c.className === "removed" ? "-" : "") + c.textContent)`)
	slices.Sort(names)
	var want []string
	for path, name := range diskAt(of, n).Names {
		if name.Removal {
			path = "-" + path
		}
		want = append(want, path)
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		b.t.Errorf("entry %d: the names are %q, want %q", n, names, want)
	}
	if of.Entries[n].Kind == trace.Crash {
		return // what became of it stands in its place
	}
	if got, want := b.pending(), pending(of, n); !slices.Equal(got, want) {
		b.t.Errorf("entry %d: a power loss may take\n%s\nwant\n%s", n, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// dumped are the bytes of a dump, whose lines have to be in order, each in one cell, under
// the number of the cell.
func dumped(t *testing.T, dump string, offset, cellSize int64) (data []byte) {
	t.Helper()
	cell := int64(-1)
	for line := range strings.Lines(dump) {
		if found := regexp.MustCompile(`^ +cell (\d+)$`).FindStringSubmatch(strings.TrimRight(line, "\n")); found != nil {
			cell, _ = strconv.ParseInt(found[1], 10, 64)
			continue
		}
		found := regexp.MustCompile(`^ *(\d+)  ((?:[0-9a-f]{2} ?)+) `).FindStringSubmatch(line)
		if found == nil {
			t.Fatalf("a line of the dump is %q", line)
		}
		at, _ := strconv.ParseInt(found[1], 10, 64)
		bytes := strings.Fields(found[2])
		if last := at + int64(len(bytes)) - 1; at != offset+int64(len(data)) || at/cellSize != cell || last/cellSize != cell {
			t.Errorf("behind %d bytes from %d on, in cell %d, the dump has %q", len(data), offset, cell, line)
		}
		for _, hex := range bytes {
			value, err := strconv.ParseUint(hex, 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, byte(value))
		}
	}
	return data
}

// wantEntry compares the details of an entry with the trace.
func (b *tab) wantEntry(of *trace.Trace, n int) {
	b.t.Helper()
	e := of.Entries[n]
	if said := b.text("#entry .said"); said != string(e.Kind)+" "+e.Text {
		b.t.Errorf("entry %d: the page says %q", n, said)
	}
	bytesShown := get[string](b, `document.querySelector("#dump")?.textContent ?? ""`)
	callers := get[[]string](b, `[...document.querySelectorAll("#callers li")].map(li => li.textContent)`)
	if e.Op == nil {
		if bytesShown != "" || len(callers) > 0 {
			b.t.Errorf("entry %d: no operation, but %q and %q", n, bytesShown, callers)
		}
		return
	}
	if got := dumped(b.t, bytesShown, e.Op.Offset, int64(of.Header.Cell)); !bytes.Equal(got, e.Op.Data) {
		b.t.Errorf("entry %d: bytes\n%x, want\n%x", n, got, e.Op.Data)
	}
	if !slices.Equal(callers, e.Op.Callers) {
		b.t.Errorf("entry %d: asked for by %q, want %q", n, callers, e.Op.Callers)
	}
	details := b.text("#entry")
	for _, want := range []string{e.Op.Verb, e.Op.Path, e.Op.To, e.Op.Error, e.Time, e.Digest} {
		if !strings.Contains(details, want) {
			b.t.Errorf("entry %d: the details do not say %q", n, want)
		}
	}
	if e.Op.Verb == "write" {
		if want := fmt.Sprintf("%s–%s, %s of them", thousands(e.Op.Offset), thousands(e.Op.Offset+e.Op.Length-1), thousands(e.Op.Length)); !strings.Contains(details, want) {
			b.t.Errorf("entry %d: the details do not say %q", n, want)
		}
	}
}

// first is the first entry that a rule fits.
func first(t *testing.T, of *trace.Trace, fits func(e trace.Entry) bool) int {
	t.Helper()
	n := slices.IndexFunc(of.Entries, fits)
	if n < 0 {
		t.Fatal("the trace has no such entry")
	}
	return n
}

func isKind(kind trace.Kind) func(e trace.Entry) bool {
	return func(e trace.Entry) bool { return e.Kind == kind }
}

// TestScrub goes through every entry, and compares everything that is shown.
func TestScrub(t *testing.T) {
	c := start(t)
	of := example.Failure()
	b := c.open(t, desk, plan(of))
	b.wantChosen("at the begin", first(t, of, isKind(trace.Crash)))
	for n := range of.Entries {
		b.slide(n)
		b.wantChosen("the slider", n)
		b.wantEntry(of, n)
		b.wantDisk(of, n)
	}
	// And back, in leaps: what is shown depends on the entry alone.
	for n := len(of.Entries) - 1; n >= 0; n -= 7 {
		b.slide(n)
		b.wantDisk(of, n)
	}
}

// lying is a plan whose disk says that it syncs, and does not: I1 is broken.
const lying = `untorn plan 1
scenario batch
disk posix
set preallocate = -1
set sync = "drop SyncData *"

step 1 open
step 2 batch 0="order-1 placed size=1500"

crash power op=11 notes=3 prefix=0 ~size:log/000000000001.seg#3=write@10 ~cell:log/000000000001.seg#3:0=write@10 ~cell:log/000000000001.seg#3:19=garbage
`

// TestReal goes through runs of plans of the corpus, with crashes, faults and damage, and
// through one that breaks a promise.
func TestReal(t *testing.T) {
	c := start(t)
	corpus, err := replay.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	lies, err := replayplan.Parse([]byte(lying))
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range append(corpus, replay.Kept{File: "lies.plan", Plan: lies}) {
		of, err := scenarios.Trace(t.Context(), kept.Plan, scenarios.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if broken := of.Header.Invariant == "I1"; broken != (kept.Plan == lies) {
			t.Errorf("%s: broken is %q", kept.File, of.Header.Invariant)
		}
		t.Run(strings.TrimSuffix(path.Base(kept.File), ".plan"), func(t *testing.T) {
			b := c.open(t, desk, plan(of))
			for n := 0; n < len(of.Entries); n += 1 + len(of.Entries)/40 {
				b.slide(n)
				b.wantChosen("the slider", n)
				b.wantEntry(of, n)
				b.wantDisk(of, n)
			}
			b.fits()
			crash := slices.IndexFunc(of.Entries, isKind(trace.Crash))
			b.slide(max(0, crash))
			b.shoot("real-"+path.Base(t.Name()), true)
		})
	}
}

func TestKeys(t *testing.T) {
	c := start(t)
	of := example.Failure()
	b := c.open(t, desk, plan(of))
	crash := first(t, of, isKind(trace.Crash))
	step2 := first(t, of, func(e trace.Entry) bool { return e.Kind == trace.Step && e.Step == 2 })
	step3 := first(t, of, func(e trace.Entry) bool { return e.Kind == trace.Step && e.Step == 3 })
	life1 := first(t, of, func(e trace.Entry) bool { return e.Life == 1 })
	fault := first(t, of, func(e trace.Entry) bool { return e.Kind == trace.Fault || e.Failed })
	last := len(of.Entries) - 1
	shift := chromedp.KeyModifiers(chromedp.ModifierShift)
	for _, k := range []struct {
		name string
		keys string
		with []chromedp.KeyOption
		want int
	}{
		{"Home", kb.Home, nil, 0},
		{"left at the begin", kb.ArrowLeft, nil, 0},
		{"right", kb.ArrowRight, nil, 1},
		{"right again", kb.ArrowRight, nil, 2},
		{"left", kb.ArrowLeft, nil, 1},
		{"shift right", kb.ArrowRight, []chromedp.KeyOption{shift}, step2},
		{"shift right again", kb.ArrowRight, []chromedp.KeyOption{shift}, step3},
		{"shift right into the next life", kb.ArrowRight, []chromedp.KeyOption{shift}, life1},
		{"shift right at the last step", kb.ArrowRight, []chromedp.KeyOption{shift}, life1},
		{"shift left", kb.ArrowLeft, []chromedp.KeyOption{shift}, step3},
		{"page down", kb.PageDown, nil, step3 + 20},
		{"page up", kb.PageUp, nil, step3},
		{"c", "c", nil, crash},
		{"c behind the last crash", "c", nil, crash},
		{"End", kb.End, nil, last},
		{"shift c", "C", []chromedp.KeyOption{shift}, crash},
		{"shift f", "F", []chromedp.KeyOption{shift}, first(t, of, func(e trace.Entry) bool { return e.Failed && e.Kind == trace.Op })},
		{"shift f again", "F", []chromedp.KeyOption{shift}, fault},
		{"f", "f", nil, fault + 1},
	} {
		b.press(k.keys, k.with...)
		b.wantChosen(k.name, k.want)
	}
	b.wantDisk(of, b.chosen())

	// On the slider the keys do the same, once.
	get[bool](b, `(document.getElementById("slider").focus(), true)`)
	n := b.chosen()
	b.press(kb.ArrowRight)
	b.wantChosen("right on the slider", n+1)

	// In the dump they scroll.
	b.slide(first(t, of, func(e trace.Entry) bool { return e.Op != nil && len(e.Op.Data) > 0 }))
	n = b.chosen()
	get[bool](b, `(document.getElementById("dump").focus(), true)`)
	b.press(kb.ArrowRight)
	b.wantChosen("right in the dump", n)

	// Closer, and wider.
	width := func() float64 {
		return get[float64](b, `Number(document.querySelector("#lanes .cursor").getAttribute("width"))`)
	}
	normal := width()
	b.press("+")
	closer := width()
	b.press("-")
	b.press("-")
	if wider := width(); closer <= normal || wider >= normal {
		t.Errorf("an entry is %v pixels wide, closer %v, wider %v", normal, closer, wider)
	}
	b.wantChosen("after a zoom", n)
}

func TestHelp(t *testing.T) {
	c := start(t)
	for name, page := range map[string]func(io.Writer) error{"plan": plan(example.Failure()), "run": run(example.Rows())} {
		b := c.open(t, desk, page)
		isOpen := func() bool { return get[bool](b, `document.getElementById("help").open`) }
		if isOpen() {
			t.Errorf("%s: the help is there unasked", name)
		}
		for _, key := range []string{"?", "/"} {
			b.press(key)
			if !isOpen() {
				t.Errorf("%s: %s opens no help", name, key)
			}
			if key == "?" {
				b.shoot(name+"-help", false)
			}
			b.press(kb.Escape)
			if isOpen() {
				t.Errorf("%s: Escape leaves the help open", name)
			}
		}
		b.click("#help-open")
		if !isOpen() {
			t.Errorf("%s: the button opens no help", name)
		}
		b.click("#help-close")
		if isOpen() {
			t.Errorf("%s: the other button leaves the help open", name)
		}
	}
}

// TestClick: a click on a sign, a line, a square or a step of the plan shows what it is.
func TestClick(t *testing.T) {
	c := start(t)
	of := example.Failure()
	b := c.open(t, desk, plan(of))
	fault := first(t, of, isKind(trace.Fault))
	b.click("#lanes .sign-fault")
	at := get[[]float64](b, `(() => { const r = document.querySelector("#lanes .sign-fault").getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	b.wantChosen("a click on the sign of the fault", fault)
	b.wantEntry(of, fault)
	b.shoot("plan-fault", false)

	// Pull the pointer to the right, beyond the last entry that is in sight.
	b.do("drag", chromedp.DragAndDropXY(at[0], at[1], 1270, at[1]))
	b.wantChosen("the end of the drag", len(of.Entries)-1)
	b.wantDisk(of, len(of.Entries)-1)

	write := first(t, of, func(e trace.Entry) bool { return e.Op != nil && e.Op.Verb == "write" && e.Op.Offset == 512 })
	b.slide(write + 3)
	b.click(fmt.Sprintf(`#near [data-entry="%d"]`, write))
	b.wantChosen("a click on a line", write)
	b.wantEntry(of, write)
	b.shoot("plan-write", true)

	crash := first(t, of, isKind(trace.Crash))
	b.slide(crash)
	b.click(`#disk [data-file="3"] [data-cell="0"]`)
	made := crash
	for ; diskAt(of, made-1).Files[3].Cells[0].State == trace.Durable; made-- {
	}
	b.wantChosen("a click on a square", made)

	b.slide(crash - 1)
	b.click(`#losses .jump`)
	if got := b.chosen(); got == crash-1 || !slices.ContainsFunc(of.Entries[got].Changes, func(c trace.Change) bool { return c.State == trace.Pending }) {
		t.Errorf("a click on what may be lost goes to entry %d, which made nothing pending", got)
	}

	b.click(`.plan [data-step="3"]`)
	b.wantChosen("a click on a step of the plan", first(t, of, func(e trace.Entry) bool { return e.Step == 3 }))

	for _, way := range []struct {
		button string
		want   int
	}{
		{"#to-first", 0}, {"#to-next", 1}, {"#to-back", 0}, {"#to-last", len(of.Entries) - 1}, {"#to-crash", crash}, {"#to-first", 0}, {"#to-fault", fault},
		{"#to-step-next", first(t, of, func(e trace.Entry) bool { return e.Step == 3 })}, {"#to-step-back", first(t, of, func(e trace.Entry) bool { return e.Step == 2 })},
	} {
		b.click(way.button)
		b.wantChosen(way.button, way.want)
	}

	b.click(".again .copy")
	b.becomes(`document.querySelector(".again .copy").textContent !== "Copy"`)
}

// TestAddress: the entry is in the address, and comes back from there.
func TestAddress(t *testing.T) {
	c := start(t)
	of := example.Failure()
	b := c.open(t, desk, plan(of))
	b.slide(17)
	b.becomes(`location.hash === "#entry-17"`)
	get[bool](b, `(location.hash = "#entry-5", true)`)
	b.becomes(`document.getElementById("slider").value === "5"`)
	b.wantChosen("the address", 5)
	get[bool](b, `new Promise(done => { addEventListener("hashchange", () => done(true), {once: true}); location.hash = "#timeline"; })`)
	b.wantChosen("another address", 5)
}

// TestLong: 50,000 entries open, move, and do not fill the page.
func TestLong(t *testing.T) {
	c := start(t)
	of := example.Long(50_000)
	b := c.open(t, desk, plan(of))
	for _, n := range []int{0, 1, 12_345, 12_499, 12_500, 37_501, 49_999} {
		b.slide(n)
		b.wantChosen("the slider", n)
		if said := b.text("#entry .said"); !strings.HasSuffix(said, of.Entries[n].Text) {
			t.Errorf("entry %d: the page says %q", n, said)
		}
		// Files have more cells than squares: a square shows the worst.
		got, want := b.states(), worst(of, n)
		if !slices.Equal(got, want) {
			t.Errorf("entry %d: the cells are\n%s, want\n%s", n, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if elements := get[int](b, `document.querySelectorAll("*").length`); elements > 60_000 {
			t.Errorf("entry %d: the page has %d elements", n, elements)
		}
	}
	b.fits()
	b.press(kb.ArrowLeft)
	b.wantChosen("left", 49_998)
	b.slide(20_000)
	b.shoot("plan-long", false)
	get[bool](b, `(document.getElementById("timeline").scrollIntoView(), true)`)
	b.shoot("plan-long-timeline", false)
}

// TestHostile: a page of nasty texts shows them, and runs none.
func TestHostile(t *testing.T) {
	c := start(t)
	of := example.Hostile()
	b := c.open(t, desk, func(w io.Writer) error { return report.Plan(w, of, example.HostileCard()) })
	for n := range of.Entries {
		b.slide(n)
		if said := b.text("#entry .said"); !strings.Contains(said, `</script><script>window.hacked=1</script>`) || !strings.Contains(said, "⟨U+202E⟩") {
			t.Errorf("entry %d: the page says %q", n, said)
		}
	}
	if same := get[bool](b, `document.querySelector(".kicker").textContent.startsWith(visible(entries[0].text))`); !same {
		t.Errorf("the page's words and its script spell a text in two ways: %q", b.text(".kicker"))
	}
	b.fits()
	b.shoot("plan-hostile", true)
	r := c.open(t, desk, run(example.HostileRows()))
	r.fits()
	r.shoot("run-hostile", true)
	for name, b := range map[string]*tab{"plan": b, "run": r} {
		if hacked := get[string](b, `String(window.hacked)`); hacked != "undefined" {
			t.Errorf("%s: a text of the data ran: %s", name, hacked)
		}
		if strings.Contains(get[string](b, `document.body.innerText`), "\u202e") {
			t.Errorf("%s: a mark that turns the line around is shown as it is", name)
		}
	}
}

// TestEmpty: there are pages without entries and without rows, too.
func TestEmpty(t *testing.T) {
	c := start(t)
	b := c.open(t, desk, plan(&trace.Trace{}))
	if got := b.text("#where"); got != "The run did nothing." {
		t.Errorf("the page says %q", got)
	}
	b.press(kb.ArrowRight)
	b = c.open(t, desk, run(nil))
	if got := b.text("#heat"); got != "No crash was counted." {
		t.Errorf("the page says %q", got)
	}
}

// TestPolicy: the policy stops what asks for anything, and this test sees that it was
// asked for; so the other tests would, too.
func TestPolicy(t *testing.T) {
	c := start(t)
	b := c.open(t, desk, plan(example.Failure()))
	b.clean = func() {}
	for _, ask := range []string{
		`fetch("https://untorn.invalid/").then(() => "came", () => "refused")`,
		`new Promise(done => { const i = new Image(); i.onload = () => done("came"); i.onerror = () => done("refused"); i.src = "https://untorn.invalid/x.png"; })`,
		`new Promise(done => { const s = document.createElement("script"); s.onload = () => done("came"); s.onerror = () => done("refused"); s.src = "https://untorn.invalid/x.js"; document.head.append(s); })`,
		`(() => { const s = document.createElement("script"); s.textContent = "window.hacked = 3"; document.head.append(s); return window.hacked ? "came" : "refused"; })()`,
	} {
		before := len(b.console())
		if got := get[string](b, ask); got != "refused" {
			t.Errorf("%s: %s", ask, got)
		}
		if !b.says(before, "Content Security Policy") {
			t.Errorf("%s: the console says %q", ask, b.console()[before:])
		}
	}
	// That it tried is seen, too, though nothing was sent.
	if got, want := b.outside(), []string{"https://untorn.invalid/x.png", "https://untorn.invalid/x.js"}; !slices.Equal(got, want) {
		t.Errorf("the page asked for %q, want %q", got, want)
	}
	before := len(b.console())
	get[bool](b, `(() => { setTimeout(() => { throw new Error("planted"); }); console.error("planted, too"); return true; })()`)
	if !b.says(before, "Error: planted", "error: planted, too") {
		t.Errorf("an exception and an error are not seen: %q", b.console()[before:])
	}
	if online := get[bool](b, `navigator.onLine`); online {
		t.Error("the page has a network")
	}
}

// TestWithoutScript: the words are there without.
func TestWithoutScript(t *testing.T) {
	c := start(t)
	for name, w := range map[string]struct {
		page func(io.Writer) error
		want []string
	}{
		"plan": {plan(example.Failure()), []string{"switched off here", "the log ends behind event 1", "replay rotate-posix-42-I1.plan"}},
		"run":  {run(example.Rows()), []string{"switched off here", "batch 7: all of its 3 events or none", "recovery refused a foreign segment"}},
	} {
		b := c.open(t, desk, w.page)
		b.do("switch scripts off", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Reload())
		text, err := chromedp.Run(b.ctx, chromedp.Text("body"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range w.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not there without a script", name, want)
			}
		}
		b.clean = func() {}
	}
}
