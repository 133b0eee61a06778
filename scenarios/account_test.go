package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/model"
)

// TestPromised: what a model knows is told in words, and what it does not know, too.
func TestPromised(t *testing.T) {
	batch := func(streams ...string) (b engine.Batch) {
		for _, s := range streams {
			b.Events = append(b.Events, engine.Draft{Stream: s})
		}
		return b
	}
	receipt := func(sequence, version uint64, stream string) []engine.Receipt {
		return []engine.Receipt{{ID: uuid.UUID{byte(sequence)}, Stream: stream, Sequence: sequence, Version: version, Batch: sequence, Durable: true}}
	}
	empty := model.New(engine.Options{})
	one := empty.With(model.Started{Call: 1, Batch: batch("a")}, model.Answered{Call: 1, Receipts: receipt(1, 1, "a")})
	for _, c := range []struct {
		name  string
		model *model.Model
		lying bool
		want  string
	}{
		{"nothing", empty, false, "no event: no call had been told that its events are durable, and none was shown"},
		{"one call in flight", one.With(model.Started{Call: 2, Batch: batch("a", "b", "c")}), false,
			`event 1 must be there: its caller had been told that it is durable; call 1, 1 event of "a": answered as event 1; ` +
				`call 2, 3 events of "a", "b", …: not answered yet, it may be there or not`},
		{"a refusal", one.With(model.Started{Call: 2, Batch: batch("a")}, model.Answered{Call: 2, Err: fmt.Errorf("%w: no", engine.ErrRejected)}), false,
			`event 1 must be there: its caller had been told that it is durable; call 1, 1 event of "a": answered as event 1; ` +
				`call 2, 1 event of "a": refused, nothing of it may be there`},
		{"a disk that lies", one, true,
			`event 1, its caller had been told that it is durable; but a sync of the disk has lied, which may cost any of them; call 1, 1 event of "a": answered as event 1`},
	} {
		if got := strings.Join(promised(c.model, c.lying), "; "); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
	many := empty
	for i := uint64(1); i <= 9; i++ {
		many = many.With(model.Started{Call: int(i), Batch: batch("a")}, model.Answered{Call: int(i), Receipts: receipt(i, i, "a")})
	}
	lines := promised(many, false)
	if len(lines) != mostCalls+2 || lines[0] != "events 1 to 9 must be there: their callers had been told that they are durable" || lines[1] != "(of 9 calls the last 4)" {
		t.Errorf("of many calls: %q", lines)
	}
}

// TestAccount: a violation says what was promised and shown, in the workload and in a
// recovery; and its error is what it was without.
func TestAccount(t *testing.T) {
	for _, c := range []struct{ name, text, promised, shown string }{
		{"a recovery", "set preallocate = -1\nset sync = \"drop SyncData *\"\nstep 1 open\nstep 2 batch 0=\"s t\"\n",
			"event 1 must be there: ", "no event"},
		{"an Open", "set align = 3\nstep 1 open\n", "no event: ", "nothing: the log is not open"},
	} {
		p, err := plan.Parse([]byte("untorn plan 1\nscenario batch\n" + c.text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), p, Config{})
		if err != nil || len(r.Violations) == 0 {
			t.Fatalf("%s: %v, %d violations", c.name, err, len(r.Violations))
		}
		v := r.Violations[0]
		if len(v.Account.Promised) == 0 || !strings.HasPrefix(v.Account.Promised[0], c.promised) || strings.Join(v.Account.Shown, "; ") != c.shown {
			t.Errorf("%s: %+v", c.name, v.Account)
		}
		if a, ok := errors.AsType[*accounted](v.Err); !ok || a.Error() != a.error.Error() {
			t.Errorf("%s: another text: %v", c.name, v.Err)
		}
	}
	if a := accountOf(errors.New("of no world")); a.Promised != nil || a.Shown != nil {
		t.Errorf("of no world: %+v", a)
	}
}
