package plan_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/replay/plan"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata should say")

// TestScripts parses each input of testdata/*.txt and compares the canonical
// text, or the error, with what stands below "----". Cases end at "====".
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for text := range strings.SplitSeq(strings.TrimSuffix(string(data), "====\n"), "====\n") {
				title, body, _ := strings.Cut(text, "\n")
				input, want, ok := strings.Cut(body, "----\n")
				if !ok || !strings.HasPrefix(title, "parse ") {
					t.Fatalf("%s: a case is \"parse what it shows\", the input, ----, the output: %q", file, text)
				}
				got := outcome(t, input)
				if got != want && !*rewrite {
					t.Errorf("%s: %s\ngot:\n%s\nwant:\n%s", file, title, got, want)
				}
				out.WriteString(title + "\n" + input + "----\n" + got + "====\n")
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func outcome(t *testing.T, input string) string {
	p, err := plan.Parse([]byte(input))
	if err == nil {
		return string(p.Format())
	}
	var typed *plan.Error
	if !errors.As(err, &typed) {
		t.Fatalf("the error of Parse is %T, not *plan.Error: %v", err, err)
	}
	if p != nil {
		t.Fatalf("Parse returned a plan along with %v", err)
	}
	return fmt.Sprintf("%v (%v)\n", err, typed.Kind)
}

// anyText is what a word or a one-line text may carry, which is everything:
// what cannot stand bare is quoted.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z#=":;,\\ ]{0,12}`),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(b) }),
	)
}

func notEmpty(g *rapid.Generator[string]) *rapid.Generator[string] {
	return g.Filter(func(s string) bool { return s != "" })
}

func comments() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.StringMatching(`([ -~äß…\t]{0,20}[!-~])?`), 0, 3)
}

func pairs() *rapid.Generator[[]plan.KV] {
	pair := rapid.Custom(func(t *rapid.T) plan.KV {
		return plan.KV{Key: notEmpty(anyText()).Draw(t, "key"), Value: anyText().Draw(t, "value")}
	})
	return rapid.SliceOfNDistinct(pair, 0, 5, func(kv plan.KV) string { return kv.Key })
}

func ascending(t *rapid.T, label string) []int {
	numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, plan.MaxNumber), 0, 6, rapid.ID).Draw(t, label)
	slices.Sort(numbers)
	return numbers
}

func plans() *rapid.Generator[*plan.Plan] {
	return rapid.Custom(func(t *rapid.T) *plan.Plan {
		p := &plan.Plan{
			Comments:  comments().Draw(t, "comments"),
			Scenario:  notEmpty(anyText()).Draw(t, "scenario"),
			Disk:      anyText().Draw(t, "disk"),
			Seed:      rapid.Uint64().Draw(t, "seed"),
			Settings:  pairs().Draw(t, "settings"),
			Faults:    rapid.SliceOfN(anyText(), 0, 4).Draw(t, "faults"),
			Schedule:  rapid.SliceOfN(anyText(), 0, 30).Draw(t, "schedule"),
			Crashes:   rapid.SliceOfN(anyText(), 0, 3).Draw(t, "crashes"),
			Invariant: anyText().Draw(t, "invariant"),
		}
		for _, number := range ascending(t, "steps") {
			p.Steps = append(p.Steps, plan.Step{
				Comments: comments().Draw(t, "step comments"),
				Number:   number,
				Verb:     notEmpty(anyText()).Draw(t, "verb"),
				Args:     pairs().Draw(t, "args"),
			})
		}
		for _, number := range ascending(t, "digests") {
			p.Digests = append(p.Digests, plan.Digest{Step: number, Sum: rapid.Uint64().Draw(t, "sum")})
		}
		return p
	})
}

// TestRoundTrip checks that a plan is read back as it was printed, field by
// field, and that its text is a fixed point.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plans().Draw(t, "plan")
		text := p.Format()
		back, err := plan.Parse(text)
		if err != nil {
			t.Fatalf("a printed plan does not parse: %v\n%s", err, text)
		}
		if !equal(p, back) {
			t.Fatalf("read back differently\nprinted: %#v\nread:    %#v\n%s", p, back, text)
		}
		if again := back.Format(); string(again) != string(text) {
			t.Fatalf("not canonical\nfirst:\n%s\nsecond:\n%s", text, again)
		}
	})
}

// equal compares plans, where an empty list is as good as none.
func equal(a, b *plan.Plan) bool {
	return reflect.DeepEqual(normal(a), normal(b))
}

func normal(p *plan.Plan) *plan.Plan {
	q := p.Clone()
	list := func(l *[]string) {
		if len(*l) == 0 {
			*l = nil
		}
	}
	kvs := func(l *[]plan.KV) {
		if len(*l) == 0 {
			*l = nil
		}
	}
	list(&q.Comments)
	list(&q.Faults)
	list(&q.Schedule)
	list(&q.Crashes)
	kvs(&q.Settings)
	for i := range q.Steps {
		list(&q.Steps[i].Comments)
		kvs(&q.Steps[i].Args)
	}
	if len(q.Steps) == 0 {
		q.Steps = nil
	}
	if len(q.Digests) == 0 {
		q.Digests = nil
	}
	return q
}

// FuzzParse checks that what parses has a canonical text that parses to the
// same plan, and that what does not says where and why.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for text := range strings.SplitSeq(string(data), "====\n") {
			_, body, _ := strings.Cut(text, "\n")
			input, _, _ := strings.Cut(body, "----\n")
			f.Add([]byte(input))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := plan.Parse(data)
		if err != nil {
			var typed *plan.Error
			if !errors.As(err, &typed) || typed.Line < 1 || typed.Problem == "" || typed.Hint == "" || typed.Kind == nil {
				t.Fatalf("an error that does not help: %#v", err)
			}
			if len(err.Error()) > 500 {
				t.Fatalf("an error of %d bytes: %.200s", len(err.Error()), err)
			}
			return
		}
		text := p.Format()
		back, err := plan.Parse(text)
		if err != nil {
			// Quoting makes a text up to six times longer.
			if errors.Is(err, plan.ErrLimit) && len(data) > plan.MaxLine/6 {
				return
			}
			t.Fatalf("the canonical text does not parse: %v\n%s", err, text)
		}
		if !equal(p, back) {
			t.Fatalf("read back differently\nfirst:  %#v\nsecond: %#v\n%s", p, back, text)
		}
		if again := back.Format(); string(again) != string(text) {
			t.Fatalf("not canonical\nfirst:\n%s\nsecond:\n%s", text, again)
		}
	})
}

// TestHostileFiles checks each limit from both sides: the largest plan that is
// allowed parses, one more is refused by name and line.
func TestHostileFiles(t *testing.T) {
	const head = "untorn plan 1\nscenario x\n"
	numbered := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, limit := range []struct {
		name string
		text func(over int) string
		line int // of the error, with one too many
	}{
		{"file", func(over int) string {
			comment := "#" + strings.Repeat("x", plan.MaxLine-2) + "\n"
			text := head + strings.Repeat(comment, plan.MaxSize/len(comment)-1)
			return text + strings.Repeat("\n", plan.MaxSize-len(text)+over)
		}, 1},
		{"line", func(over int) string { return head + "fault " + strings.Repeat("x", plan.MaxLine-6+over) }, 3},
		{"comments", func(over int) string { return head + strings.Repeat("#\n", plan.MaxEntries+over) }, plan.MaxEntries + 3},
		{"settings", func(over int) string { return head + numbered("set k%d = v\n", plan.MaxSettings+over) }, plan.MaxSettings + 3},
		{"steps", func(over int) string { return head + numbered("step %d v\n", plan.MaxEntries+over) }, plan.MaxEntries + 3},
		{"arguments", func(over int) string {
			return head + "step 1 v" + numbered(" a%d=", 0) + numbered(" a%d=x", plan.MaxArgs+over)
		}, 3},
		{"number", func(over int) string { return head + fmt.Sprintf("step %d v", plan.MaxNumber+over) }, 3},
		{"faults", func(over int) string { return head + strings.Repeat("fault f\n", plan.MaxEntries+over) }, plan.MaxEntries + 3},
		{"schedule", func(over int) string { return head + "schedule" + strings.Repeat(" 1", plan.MaxEntries+over) }, 3},
		{"crashes", func(over int) string { return head + strings.Repeat("crash c\n", plan.MaxEntries+over) }, plan.MaxEntries + 3},
		{"digests", func(over int) string { return head + numbered("digest %d 0123456789abcdef\n", plan.MaxEntries+over) }, plan.MaxEntries + 3},
	} {
		t.Run(limit.name, func(t *testing.T) {
			if _, err := plan.Parse([]byte(limit.text(0))); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			_, err := plan.Parse([]byte(limit.text(1)))
			if !errors.Is(err, plan.ErrLimit) {
				t.Fatalf("one over the limit: %v, want ErrLimit", err)
			}
			var typed *plan.Error
			if errors.As(err, &typed); typed.Line != limit.line {
				t.Errorf("line %d, want %d: %v", typed.Line, limit.line, err)
			}
		})
	}
}

func TestAccessors(t *testing.T) {
	p := parse(t, `untorn plan 1
scenario batch
set segment = 65536
set cadence = 10ms
step 3 append stream=order-42 expect=18446744073709551615 at=-7 wait=1m30s buffered=true data="a\x00b"
step 9 reopen clean=yes
digest 3 00000000000000ff
`)
	step, ok := p.Step(3)
	if !ok || step.Verb != "append" {
		t.Fatalf("Step(3) = %v, %v", step, ok)
	}
	if _, ok := p.Step(4); ok {
		t.Error("there is a step 4")
	}
	if _, ok := p.Step(10); ok {
		t.Error("there is a step 10")
	}
	if got := step.Get("data"); got != "a\x00b" {
		t.Errorf("data = %q", got)
	}
	if got := step.Get("nothing"); got != "" {
		t.Errorf("nothing = %q", got)
	}
	if got, err := step.Required("stream"); got != "order-42" || err != nil {
		t.Errorf("stream = %q, %v", got, err)
	}
	if n, err := step.Int("at", 1); n != -7 || err != nil {
		t.Errorf("at = %d, %v", n, err)
	}
	if n, err := step.Int("none", -1); n != -1 || err != nil {
		t.Errorf("none = %d, %v", n, err)
	}
	if n, err := step.Uint("expect", 0); n != 1<<64-1 || err != nil {
		t.Errorf("expect = %d, %v", n, err)
	}
	if b, err := step.Bool("buffered", false); !b || err != nil {
		t.Errorf("buffered = %v, %v", b, err)
	}
	if d, err := step.Duration("wait", 0); d != 90*time.Second || err != nil {
		t.Errorf("wait = %v, %v", d, err)
	}
	if n, err := p.Uint("segment", 1); n != 65536 || err != nil {
		t.Errorf("segment = %d, %v", n, err)
	}
	if n, err := p.Int("other", 5); n != 5 || err != nil {
		t.Errorf("other = %d, %v", n, err)
	}
	if b, err := p.Bool("other", true); !b || err != nil {
		t.Errorf("other = %v, %v", b, err)
	}
	if d, err := p.Duration("cadence", 0); d != 10*time.Millisecond || err != nil {
		t.Errorf("cadence = %v, %v", d, err)
	}
	if sum, ok := p.Digest(3); sum != 0xff || !ok {
		t.Errorf("Digest(3) = %x, %v", sum, ok)
	}
	if _, ok := p.Digest(9); ok {
		t.Error("there is a digest of step 9")
	}

	last, _ := p.Step(9)
	errs := map[string]error{}
	_, errs[`plan: step 9 reopen: clean=yes: write true or false`] = last.Bool("clean", false)
	_, errs[`plan: step 9 reopen: clean=yes: write a whole number of 64 bits`] = last.Int("clean", 0)
	_, errs[`plan: step 9 reopen: no dir: add dir=…, a word or a quoted string`] = last.Required("dir")
	_, errs[`plan: step 3 append: at=-7: write a whole number of 64 bits, 0 or more`] = step.Uint("at", 0)
	_, errs[`plan: set: segment=65536: write a length of time such as 1m30s`] = p.Duration("segment", 0)
	for want, err := range errs {
		if !errors.Is(err, plan.ErrSyntax) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestChangesStayApart checks that With and Clone leave what they came from
// alone, as a shrinker relies on it.
func TestChangesStayApart(t *testing.T) {
	p := parse(t, "untorn plan 1\n# head\nscenario x\nset a = 1\n# of one\nstep 1 v k=1\nfault f\nschedule 0\ncrash c\ndigest 1 0000000000000001\n")
	before := string(p.Format())
	q := p.Clone()
	q.Comments[0] = "changed"
	q.Set("a", "2")
	q.Set("b", "3")
	q.Steps[0].Comments[0] = "changed"
	q.Steps[0].Args[0].Value = "2"
	q.Faults[0], q.Schedule[0], q.Crashes[0], q.Digests[0].Sum = "changed", "9", "changed", 2
	if after := string(p.Format()); after != before {
		t.Errorf("changing a clone changed the plan\n%s", after)
	}
	if got, want := string(q.Format()), "untorn plan 1\n# changed\nscenario x\n\nset a = 2\nset b = 3\n\n# changed\nstep 1 v k=2\n\n"+
		"fault changed\n\nschedule 9\n\ncrash changed\n\ndigest 1 0000000000000002\n"; got != want {
		t.Errorf("the clone is\n%s\nwant\n%s", got, want)
	}
	changed := p.Steps[0].With("k", "3").With("l", "a b")
	if got, want := changed.String(), `step 1 v k=3 l="a b"`; got != want {
		t.Errorf("With gives %s, want %s", got, want)
	}
	if after := string(p.Format()); after != before {
		t.Errorf("With changed the plan\n%s", after)
	}
}

// TestStepsKeepTheirNumbers checks that deleting a step changes no other line.
func TestStepsKeepTheirNumbers(t *testing.T) {
	p := parse(t, "untorn plan 1\nscenario x\nstep 1 a\nstep 2 b\n# goes with it\nstep 3 c\nfault step=2 f\nfault step=3 g\n")
	p.Steps = slices.Delete(p.Steps, 1, 2)
	want := "untorn plan 1\nscenario x\n\nstep 1 a\n# goes with it\nstep 3 c\n\nfault step=2 f\nfault step=3 g\n"
	if got := string(p.Format()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func parse(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ExampleParse() {
	p, err := plan.Parse([]byte(`untorn plan 1
scenario batch
step 3 append stream=order-42 data="two words" expect=1
crash power point=17
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	expect, err := p.Steps[0].Uint("expect", 0)
	fmt.Println(p.Steps[0].Get("data"), expect, err)
	p.Invariant = "I1"
	fmt.Print(string(p.Format()))
	// Output:
	// two words 1 <nil>
	// untorn plan 1
	// scenario batch
	//
	// step 3 append stream=order-42 data="two words" expect=1
	//
	// crash power point=17
	//
	// invariant I1
}

func ExampleError() {
	_, err := plan.Parse([]byte("untorn plan 1\nscenario batch\nstpe 3 append\n"))
	fmt.Println(err)
	// Output:
	// plan: line 3: unknown word "stpe": a line begins with #, scenario, disk, seed, set, step, fault, schedule, crash, invariant or digest
}
