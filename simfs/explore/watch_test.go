package explore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// witness writes down what it is told.
type witness struct{ strings.Builder }

func (w *witness) say(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
func (w *witness) Operation(op simfs.Op)          { w.say("%v", op) }
func (w *witness) Noted(n explore.Note)           { w.say("note %s", n.Key) }
func (w *witness) Chose(c explore.Choice)         { w.say("chose %v", c.Deviation()) }
func (w *witness) Crashed(m explore.Moment, was, is *simfs.Image) {
	w.say("crashed %v: %d open, %d open behind it", m.Crash, len(was.Vars()), len(is.Vars()))
}

func (w *witness) Frozen(inside *simfs.Op) {
	if inside != nil {
		w.say("frozen inside %v", *inside)
		return
	}
	w.say("frozen")
}

// TestWatch: an eye sees each run up to its end, also what a process does that is
// dead, and what comes of the crashes between them.
func TestWatch(t *testing.T) {
	p := register{puts: 2, inPlace: true}.program()
	for _, c := range []struct{ path, want string }{
		{"none", `note started 1
0 create value
1 write value 0+1024
`},
		{"power op=5 notes=3 prefix=0 ~cell:value#1:0=write@4 ~cell:value#1:1=write@4 | kill op=0+1 notes=0", `note started 1
0 create value
1 write value 0+1024
2 sync value
3 syncdir .
note acked 1
note started 2
4 write value 0+1024
frozen
5 sync value
6 syncdir .
note acked 2
crashed power op=5 notes=3 prefix=0 ~cell:value#1:0=write@4 ~cell:value#1:1=write@4: 2 open, 0 open behind it
frozen inside 0 write value 0+1024
0 write value 0+1024
1 sync value
2 syncdir .
note acked 2
crashed kill op=0+1 notes=0: 0 open, 0 open behind it
0 write value 0+1024
`},
		{"power op=5 notes=3 lazy prefix=0", `frozen
5 sync value
6 syncdir .
note acked 2
crashed power op=5 notes=3 lazy prefix=0: 2 open, 2 open behind it
chose {cell:value#1:0 durable}
chose {cell:value#1:1 durable}
`},
	} {
		path, err := explore.ParseCrashPath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		var w witness
		err = explore.Watch(t.Context(), explore.Config{}, p, path, &w)
		if plain := explore.Reproduce(t.Context(), explore.Config{}, p, path); fmt.Sprint(err) != fmt.Sprint(plain) {
			t.Errorf("%s: watched %v, and not watched %v", c.path, err, plain)
		}
		if !strings.Contains(w.String(), c.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.path, w.String(), c.want)
		}
	}
	var off *explore.PathError
	if err := explore.Watch(t.Context(), explore.Config{}, p, explore.CrashPath{{Kind: simfs.PowerLoss, Op: 99}}, new(witness)); !errors.As(err, &off) {
		t.Errorf("a path that cannot be taken: %v", err)
	}
}
