package trace_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/untorn-db/untorn/replay/trace"
)

// Two traces of what should be the same run: the first entry that differs, with both
// sides.
func ExampleDiff() {
	const head = `{"trace":1,"scenario":"batch","disk":"posix","seed":7,"plan":"","cell":512}` + "\n" +
		`{"n":0,"life":0,"step":1,"kind":"step","text":"step 1 open"}` + "\n"
	const end = `{"n":2,"life":0,"kind":"verdict","text":"every promise was kept"}` + "\n"
	here, err := trace.Read(strings.NewReader(head + `{"n":1,"life":0,"step":1,"kind":"opened","text":"opened: 3 events"}` + "\n" + end))
	if err != nil {
		fmt.Println(err)
		return
	}
	there, err := trace.Read(strings.NewReader(head + `{"n":1,"life":0,"step":1,"kind":"opened","text":"opened: 2 events"}` + "\n" + end))
	if err != nil {
		fmt.Println(err)
		return
	}
	if d := trace.Diff(here, there); d != nil {
		_ = d.Text(os.Stdout, "here", "there", false)
	}
	// Output:
	// the first entry that differs is 1, in life 0, step 1: text
	// step 1 open
	//       0 step    step 1 open
	// here
	// A     1 opened  opened: 3 events
	// there
	// B     1 opened  opened: 2 events
	// then both
	//       2 verdict every promise was kept
}

// Whoever applies the changes of the first entries knows what a power loss would
// decide about behind them.
func ExampleDisk() {
	var disk trace.Disk
	disk.Apply([]trace.Change{
		{Of: trace.OfName, File: 1, Path: "log/1.seg", State: trace.Durable},
		{Of: trace.OfCells, File: 1, Path: "log/1.seg", From: 0, To: 4, State: trace.Pending, By: 7},
	})
	for _, c := range disk.Pending() {
		fmt.Printf("%s of %s: %d to %d, made by entry %d\n", c.Of, c.Path, c.From, c.To-1, c.By)
	}
	// Output:
	// cells of log/1.seg: 0 to 3, made by entry 7
}
