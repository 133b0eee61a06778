package draw_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/graph"
	"github.com/untorn-db/untorn/engine/graph/draw"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew from what the code draws now")

func id(n int) uuid.UUID { return uuid.UUID{0: 1, 6: 0x70, 8: 0x80, 15: byte(n)} }

// node returns event n, which follows from another one, or from none if that is 0.
func node(n, cause int, change ...func(*graph.Node)) graph.Node {
	node := graph.Node{Event: engine.Event{ID: id(n), Sequence: uint64(n), Version: uint64(n), Stream: "s", Type: "t"}}
	if cause > 0 {
		node.Event.CausedBy = id(cause)
	}
	for _, f := range change {
		f(&node)
	}
	return node
}

func named(kind, scope, stream string) func(*graph.Node) {
	return func(n *graph.Node) { n.Event.Type, n.Event.Scope, n.Event.Stream = kind, scope, stream }
}

func placed(lane, depth uint32) func(*graph.Node) {
	return func(n *graph.Node) { n.Event.Lane, n.Event.Depth = lane, depth }
}

func effects(n int) func(*graph.Node) { return func(node *graph.Node) { node.Effects = n } }

func absent(n int) graph.Node { return graph.Node{Event: engine.Event{ID: id(n)}, Absent: true} }

// pictures are what testdata shows.
func pictures() map[string]draw.Picture {
	var deep []graph.Node
	for i := range 40 {
		deep = append(deep, node(i+1, i))
	}
	return map[string]draw.Picture{
		"order": {Title: "Event 4 of data", Focus: id(4), Nodes: []graph.Node{
			node(1, 0, named("order.placed", "", "order-42"), effects(3)),
			node(2, 1, named("reserved", "", "stock"), placed(1, 1)),
			node(4, 2, named("shipped", "", "parcels"), placed(1, 2), effects(2)),
			node(5, 4, named("paid", "eu", "order-42"), placed(7, 3)),
			node(3, 1, named("entry.booked", "", "ledger"), placed(0, 1)),
			node(8, 4, named("delivered", "", "包裹-42"), placed(1, 3), effects(1)),
		}},
		"odd": {Focus: id(9), Nodes: []graph.Node{
			node(2, 11), absent(9), node(5, 9), node(6, 9), node(7, 3), absent(10), node(10, 0), // a late, absent and present twin of 10
			node(3, 8), node(8, 3), node(4, 4), node(12, 4), node(1, 12), node(14, 20),
		}},
		"hostile": {Title: `"]; <script>alert(1)</script> --`, Nodes: []graph.Node{
			node(1, 0, named(`"]`, "", `</text><script>alert(1)</script>`)),
			node(2, 1, named("`x`", `a\`, `"\"];x->y;[label="`)),
			node(3, 1, named("a\u2028b", "a\u202eb", "a\nb\x1b[31m")),
			node(4, 1, named("%%{init:x}%%", "&amp;", "style:x#35;fi;classDef")),
			node(5, 1, named("ﬂ°°60¶ß", "$$x$$", "]]>-->\xff")),
			node(6, 1, named("end", "subgraph", "}\n}")),
			node(7, 1, named("&#60;b&#62;", "\\N\\G\\l", "a' onload='x")),
		}},
		"deep":  {Nodes: deep},
		"empty": {Title: "Nothing"},
	}
}

func TestPictures(t *testing.T) {
	for name, picture := range pictures() {
		for _, format := range []struct {
			ending string
			draw   func(io.Writer, draw.Picture) error
		}{
			{"txt", tree},
			{"narrow.txt", func(w io.Writer, p draw.Picture) error { return draw.Tree(w, p, 40) }},
			{"dot", draw.DOT}, {"mmd", draw.Mermaid}, {"svg", draw.SVG},
		} {
			t.Run(name+"."+format.ending, func(t *testing.T) {
				got := drawn(t, format.draw, picture)
				file := filepath.Join("testdata", name+"."+format.ending)
				if *rewrite {
					if err := os.WriteFile(file, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("it differs from %s; now:\n%s", file, got)
				}
				// The order of the nodes does not matter, nor a second one of the same event.
				shuffled := slices.Concat(picture.Nodes, picture.Nodes)
				random := rand.New(rand.NewPCG(1, 2))
				for range 5 {
					random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
					if again := drawn(t, format.draw, draw.Picture{Title: picture.Title, Focus: picture.Focus, Nodes: shuffled}); !bytes.Equal(again, got) {
						t.Fatalf("shuffled, it is another picture:\n%s", again)
					}
				}
				if err := format.draw(failing{}, picture); !errors.Is(err, errFull) {
					t.Errorf("written to a full disk: %v", err)
				}
			})
		}
	}
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func tree(w io.Writer, p draw.Picture) error { return draw.Tree(w, p, 0) }

func drawn(t interface{ Fatal(...any) }, f func(io.Writer, draw.Picture) error, p draw.Picture) []byte {
	var b bytes.Buffer
	if err := f(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNarrow: a line is never wider than asked for, in columns.
func TestNarrow(t *testing.T) {
	for name, picture := range pictures() {
		for _, most := range []int{20, 33, 80} {
			var b bytes.Buffer
			if err := draw.Tree(&b, draw.Picture{Nodes: picture.Nodes}, most); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				columns := 0
				for _, r := range strings.TrimSuffix(line, "\n") {
					columns++
					if unicode.Is(unicode.Han, r) {
						columns++
					}
				}
				if columns > most {
					t.Errorf("%s: %d columns of %d: %s", name, columns, most, line)
				}
			}
		}
	}
}

// TestTreeShowsAll draws random causes: every node stands in the tree once, below
// its cause wherever that is possible.
func TestTreeShowsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "events")
		var p draw.Picture
		straight := rapid.Bool().Draw(t, "straight")
		for i := range n {
			cause := rapid.IntRange(0, n).Draw(t, "cause")
			if straight && i > 0 {
				cause = i
			}
			p.Nodes = append(p.Nodes, node(i+1, cause))
		}
		width := rapid.SampledFrom([]int{0, 200, 12}).Draw(t, "width")
		text := string(drawn(t, func(w io.Writer, p draw.Picture) error { return draw.Tree(w, p, width) }, p))
		line := regexp.MustCompile(`^([│├└─ ]*)(⋯ )?#(\d+)[ …]`)
		cause := map[int]int{} // as drawn
		stack := []int{}
		for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if l == "" {
				continue
			}
			m := line.FindStringSubmatch(l)
			if m == nil {
				t.Fatalf("a line of nothing: %q in\n%s", l, text)
			}
			level := utf8.RuneCountInString(m[1]) / 3
			number, _ := strconv.Atoi(m[3])
			stack = append(stack[:level], number)
			if _, ok := cause[number]; ok != (m[2] != "") {
				t.Fatalf("event %d stands at the wrong place in\n%s", number, text)
			}
			switch {
			case m[2] != "":
			case level > 0:
				cause[number] = stack[level-1]
			default:
				cause[number] = 0
			}
		}
		if len(cause) != n {
			t.Fatalf("%d of %d events in\n%s", len(cause), n, text)
		}
		for number, at := range cause {
			event := p.Nodes[number-1].Event
			want := int(event.CausedBy[15])
			if at == want {
				continue
			}
			// Only the earliest of a circle may begin a tree all the same.
			earliest, step := number, want
			for range n {
				if step == 0 || step == number {
					break
				}
				earliest = min(earliest, step)
				step = int(p.Nodes[step-1].Event.CausedBy[15])
			}
			if at != 0 || step != number || earliest != number {
				t.Fatalf("event %d stands below %d, and follows from %d, in\n%s", number, at, want, text)
			}
		}
	})
}

// FuzzNames draws events with any names, and reads each format back with a
// decoder of its own: there is nothing in it but what there is with harmless
// names, and the labels are those of the tree.
func FuzzNames(f *testing.F) {
	for _, p := range pictures() {
		for _, n := range p.Nodes {
			f.Add(p.Title, n.Event.Type, n.Event.Scope, n.Event.Stream)
		}
	}
	f.Fuzz(func(t *testing.T, title, kind, scope, stream string) {
		picture := func(title, kind, scope, stream string) draw.Picture {
			return draw.Picture{Title: title, Focus: id(2), Nodes: []graph.Node{
				node(1, 0, named(kind, scope, stream)), node(2, 1, named(stream, kind, scope)), absent(3), node(4, 3, effects(2)),
			}}
		}
		if title == "" || scope == "" || kind == "" {
			return // a title and a scope are left out then
		}
		p, plain := picture(title, kind, scope, stream), picture("title", "kind", "scope", "stream")

		lines := strings.Split(strings.TrimSuffix(string(drawn(t, tree, p)), "\n"), "\n")
		if len(lines) != 5 {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		for _, line := range lines {
			for _, r := range line {
				if !unicode.IsGraphic(r) {
					t.Fatalf("%q in the line %q", r, line)
				}
			}
		}
		labels := map[string]string{}
		for i, name := range []string{"", "e1", "e2", "a1", "e4"} {
			labels[name] = strings.TrimLeft(lines[i], "│├└─ ")
		}
		for i, names := range [][3]string{1: {kind, scope, stream}, 2: {stream, kind, scope}} {
			label := lines[i]
			for _, name := range names {
				if i > 0 && (name != "" && !strings.Contains(label, name) || name == "") && !strings.Contains(label, strconv.Quote(name)) {
					t.Fatalf("the name %q is not in %q", name, label)
				}
			}
		}

		tokens, found := readDOT(t, string(drawn(t, draw.DOT, p)))
		if want, _ := readDOT(t, string(drawn(t, draw.DOT, plain))); tokens != want {
			t.Fatalf("DOT is another program:\n%s\nwant\n%s", tokens, want)
		}
		checkLabels(t, "DOT", found, labels)

		rest, found := readMermaid(t, string(drawn(t, draw.Mermaid, p)))
		if want, _ := readMermaid(t, string(drawn(t, draw.Mermaid, plain))); rest != want {
			t.Fatalf("Mermaid is another chart:\n%s\nwant\n%s", rest, want)
		}
		checkLabels(t, "Mermaid", found, labels)

		elements, texts := readSVG(t, drawn(t, draw.SVG, p))
		if want, _ := readSVG(t, drawn(t, draw.SVG, plain)); elements != want {
			t.Fatalf("SVG is another image:\n%s\nwant\n%s", elements, want)
		}
		for name, label := range labels {
			if utf8.RuneCountInString(label) < 60 && !slices.Contains(texts, label) {
				t.Fatalf("SVG has no label %q of %s: %q", label, name, texts)
			}
		}
	})
}

func checkLabels(t *testing.T, format string, got, want map[string]string) {
	t.Helper()
	for name, label := range want {
		if got[name] != label {
			t.Fatalf("%s: the label of %s is %q, want %q", format, name, got[name], label)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s has the labels %q", format, got)
	}
}

// readDOT returns the tokens of a DOT program, with "S" for its strings, and the
// labels by node; that of the whole graph is under "".
func readDOT(t *testing.T, text string) (string, map[string]string) {
	t.Helper()
	var tokens []string
	labels := map[string]string{}
	node := ""
	for text != "" {
		switch c := text[0]; {
		case c == '"':
			var b strings.Builder
			i := 1
			for ; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					if i++; i == len(text) || text[i] != '\\' && text[i] != '"' {
						t.Fatalf("an escape in %s", text)
					}
				}
				b.WriteByte(text[i])
			}
			if i >= len(text) {
				t.Fatalf("a string does not end: %s", text)
			}
			text = text[i+1:]
			value := b.String()
			if strings.Contains(strings.ReplaceAll(value, "&amp;", ""), "&") {
				t.Fatalf("an entity in %s", value)
			}
			if n := len(tokens); n >= 2 && tokens[n-2] == "label" {
				labels[node] = strings.ReplaceAll(value, "&amp;", "&")
			}
			tokens = append(tokens, "S")
		case c == ' ' || c == '\t' || c == '\n':
			text = text[1:]
		case strings.ContainsRune("{}[]=,", rune(c)):
			tokens, text = append(tokens, text[:1]), text[1:]
		case strings.HasPrefix(text, "->"):
			tokens, text = append(tokens, "->"), text[2:]
		default:
			word := regexp.MustCompile(`^[a-zA-Z0-9]+`).FindString(text)
			if word == "" {
				t.Fatalf("no DOT: %s", text)
			}
			if text = text[len(word):]; regexp.MustCompile(`^[ea][0-9]+$`).MatchString(word) {
				node = word
			}
			tokens = append(tokens, word)
		}
	}
	return strings.Join(tokens, " "), labels
}

var (
	mermaidNode  = regexp.MustCompile(`^  ([ea][0-9]+)\["([\pL\pN #;.-]*)"\]$`)
	mermaidTitle = regexp.MustCompile(`^  %% ([\pL\pN #;.-]*)$`)
	mermaidRest  = regexp.MustCompile(`^(flowchart TD|  e?a?[0-9]+ --> [ea][0-9]+|  classDef [a-z:0-9 -]+|  class [ea0-9,]+ [a-z]+)$`)
	mermaidCode  = regexp.MustCompile(`#(\d+);`)
)

// readMermaid returns what of a chart is no text, and the texts by node; the title
// is under "".
func readMermaid(t *testing.T, text string) (string, map[string]string) {
	t.Helper()
	labels := map[string]string{}
	decoded := func(text string) string {
		if strings.ContainsAny(mermaidCode.ReplaceAllString(text, ""), "#;") {
			t.Fatalf("half a code in %s", text)
		}
		return mermaidCode.ReplaceAllStringFunc(text, func(code string) string {
			r, err := strconv.Atoi(code[1 : len(code)-1])
			if err != nil {
				t.Fatal(err)
			}
			return string(rune(r))
		})
	}
	var rest []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := mermaidNode.FindStringSubmatch(line); m != nil {
			labels[m[1]] = decoded(m[2])
			rest = append(rest, m[1])
		} else if m := mermaidTitle.FindStringSubmatch(line); m != nil {
			labels[""] = decoded(m[1])
		} else if mermaidRest.MatchString(line) {
			rest = append(rest, line)
		} else {
			t.Fatalf("a line that is no Mermaid of ours: %q", line)
		}
	}
	return strings.Join(rest, "\n"), labels
}

// readSVG returns the elements of an image with the names of their attributes, and
// the texts that are drawn.
func readSVG(t *testing.T, image []byte) (string, []string) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(image))
	var elements, texts, open []string
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return strings.Join(elements, "\n"), texts
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, image)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !slices.Contains([]string{"svg", "title", "style", "defs", "marker", "path", "rect", "text", "g", "circle"}, token.Name.Local) {
				t.Fatalf("an element %s", token.Name.Local)
			}
			element := strings.Repeat(" ", len(open)) + token.Name.Local
			for _, a := range token.Attr {
				element += " " + a.Name.Local
				if strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Name.Local, "href") ||
					strings.Contains(a.Value, "url(") && a.Value != "url(#untorn-graph-head)" {
					t.Fatalf("an attribute %s of %s: %s", a.Name.Local, token.Name.Local, a.Value)
				}
			}
			elements = append(elements, element)
			open = append(open, token.Name.Local)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] == "text" {
				texts = append(texts, string(token))
			}
			if len(open) > 0 && open[len(open)-1] == "style" && strings.Contains(string(token), "url") {
				t.Fatalf("the style refers to something: %s", token)
			}
		default:
			t.Fatalf("%T in the image", token)
		}
	}
}

func ExampleTree() {
	picture := draw.Picture{Focus: id(4), Nodes: []graph.Node{
		node(1, 0, named("order.placed", "", "order-42")),
		node(2, 1, named("reserved", "", "stock"), placed(1, 0)),
		node(3, 1, named("order.paid", "", "order-42")),
		node(4, 2, named("shipped", "", "parcels"), placed(1, 0)),
	}}
	if err := draw.Tree(os.Stdout, picture, 0); err != nil {
		fmt.Println(err)
	}
	// Output:
	// #1 order.placed order-42@1
	// ├─ #2 reserved stock@2 lane 1
	// │  └─ ▶ #4 shipped parcels@4 lane 1
	// └─ #3 order.paid order-42@3
}
