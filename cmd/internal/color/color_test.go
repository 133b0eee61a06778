package color_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/color"
)

func ExamplePainter() {
	when := color.Auto
	paint := when.Painter(os.Stdout, os.LookupEnv) // no terminal here
	fmt.Println(paint.Text(color.Bold, "order.placed"))
	paint = color.Always.Painter(os.Stdout, os.LookupEnv)
	fmt.Printf("%q\n", paint.Text(color.Bold, "order.placed"))
	// Output:
	// order.placed
	// "\x1b[1morder.placed\x1b[0m"
}

// TestWhen: only auto looks at the output and at the environment. What a terminal does
// is tested with the commands.
func TestWhen(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	plain := func(name string) (string, bool) { return "1", name == "NO_COLOR" }
	for _, test := range []struct {
		value, want string
		fails       bool
	}{
		{value: "auto", want: "x"}, {value: "never", want: "x"}, {value: "always", want: "\x1b[31mx\x1b[0m"},
		{value: "yes", fails: true}, {value: "", fails: true},
	} {
		when := color.Never
		if err := when.Set(test.value); (err != nil) != test.fails {
			t.Errorf("%q: %v", test.value, err)
		}
		if test.fails {
			continue
		}
		if when.String() != test.value {
			t.Errorf("%q is %q", test.value, when)
		}
		for _, paint := range []color.Painter{when.Painter(new(bytes.Buffer), plain), when.Painter(null, os.LookupEnv)} {
			if got := paint.Text(color.Red, "x"); got != test.want {
				t.Errorf("%s: %q, want %q", test.value, got, test.want)
			}
		}
	}
}

// TestNames: a name has one colour, and names have several, none of them red.
func TestNames(t *testing.T) {
	paint := color.Always.Painter(nil, os.LookupEnv)
	seen := map[string]bool{}
	for i := range 200 {
		name := fmt.Sprint("order-", i)
		text := paint.Text(color.Name("shop", name), "x")
		if text != paint.Text(color.Name("shop", name), "x") || text == paint.Text(color.Red, "x") {
			t.Errorf("%s is %q", name, text)
		}
		seen[text] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d colours: %v", len(seen), seen)
	}
	if color.Name("a", "bc") == color.Name("ab", "c") && color.Name("a", "bcd") == color.Name("ab", "cd") {
		t.Error("where the parts end makes no difference")
	}
	if got := paint.Text(color.Plain, "x"); got != "x" {
		t.Errorf("plain is %q", got)
	}
}
