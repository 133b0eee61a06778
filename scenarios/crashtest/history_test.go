package crashtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// steps for tests: "a=1" puts, "-a" deletes, "a=1 b=1" is a batch.
func testSteps(texts ...string) (steps []step) {
	for _, text := range texts {
		s := step{name: text}
		for _, word := range strings.Fields(text) {
			if key, ok := strings.CutPrefix(word, "-"); ok {
				s.writes = append(s.writes, Write{Key: key, Delete: true})
				continue
			}
			key, value, _ := strings.Cut(word, "=")
			s.writes = append(s.writes, Write{Key: key, Value: value})
		}
		steps = append(steps, s)
	}
	return steps
}

func history(steps []step, states ...State) History {
	h := History{steps: steps, states: states, crashes: 1, decided: slices.Clone(states)}
	for i := range steps {
		h.active = append(h.active, i)
	}
	return h
}

func TestJudge(t *testing.T) {
	const (
		not, fly, doubt, lazy, acked, gone = NotStarted, InFlight, InDoubt, Unflushed, Acked, Gone
	)
	type states = []State
	type contents = map[string]string
	for _, c := range []struct {
		name     string
		steps    []string
		states   states
		contents contents
		dirty    bool
		promise  string // what is broken; "" nothing
		text     string // the error
		decided  states // if nothing is broken
	}{
		{name: "nothing started, nothing there", steps: []string{"a=1"}, states: states{not}, decided: states{not}},
		{name: "acknowledged and there", steps: []string{"a=1"}, states: states{acked}, contents: contents{"a": "1"}, decided: states{acked}},
		{name: "acknowledged and gone", steps: []string{"a=1"}, states: states{acked}, promise: "acked-present",
			text: `key "a": want "1" (step 1, a=1, acknowledged); found nothing`},
		{name: "an older value", steps: []string{"a=1", "a=2"}, states: states{acked, acked}, contents: contents{"a": "1"}, promise: "acked-present",
			text: `key "a": want "2" (step 2, a=2, acknowledged); found "1", an older value (step 1, a=1)`},
		{name: "in flight and there", steps: []string{"a=1", "a=2"}, states: states{acked, fly}, contents: contents{"a": "2"}, decided: states{acked, acked}},
		{name: "in flight and not there", steps: []string{"a=1", "a=2"}, states: states{acked, fly}, contents: contents{"a": "1"}, decided: states{acked, gone}},
		{name: "in flight does not excuse the loss of what was", steps: []string{"a=1", "a=2"}, states: states{acked, fly}, promise: "acked-present",
			text: `key "a": want "1" (step 1, a=1, acknowledged), or "2" (step 2, a=2, in flight); found nothing`},
		{name: "a deletion in flight does", steps: []string{"a=1", "-a"}, states: states{acked, fly}, decided: states{acked, acked}},
		{name: "a deletion in doubt that did not happen", steps: []string{"a=1", "-a"}, states: states{acked, doubt}, contents: contents{"a": "1"}, decided: states{acked, gone}},
		{name: "a deletion undone", steps: []string{"a=1", "-a"}, states: states{acked, acked}, contents: contents{"a": "1"}, promise: "acked-present",
			text: `key "a": want nothing (step 2, -a, acknowledged); found "1", an older value (step 1, a=1)`},
		{name: "in doubt, then overwritten", steps: []string{"a=1", "a=2"}, states: states{doubt, acked}, contents: contents{"a": "2"}, decided: states{doubt, acked}},
		{name: "unflushed may be there, and promises nothing", steps: []string{"a=1", "b=1"}, states: states{lazy, lazy}, contents: contents{"b": "1"}, decided: states{gone, lazy}},
		{name: "dirty reads promise nothing", steps: []string{"a=1", "b=1"}, states: states{fly, fly}, contents: contents{"b": "1"}, dirty: true, decided: states{gone, fly}},
		{name: "from the future", steps: []string{"a=1", "a=2"}, states: states{acked, not}, contents: contents{"a": "2"}, promise: "nothing-else",
			text: `key "a": want "1" (step 1, a=1, acknowledged); found "2", of a step that has not begun (step 2, a=2)`},
		{name: "back from the dead", steps: []string{"a=1"}, states: states{gone}, contents: contents{"a": "1"}, promise: "nothing-else",
			text: `key "a": want nothing; found "1", which an earlier recovery did not show (step 1, a=1)`},
		{name: "nobody's value", steps: []string{"a=1234"}, states: states{acked}, contents: contents{"a": "12x4"}, promise: "nothing-else",
			text: `key "a": want "1234" (step 1, a=1234, acknowledged); found "12x4", which nobody wrote: its first 2 bytes are of step 1, a=1234`},
		{name: "a whole batch", steps: []string{"a=1 b=1"}, states: states{fly}, contents: contents{"a": "1", "b": "1"}, decided: states{acked}},
		{name: "no batch", steps: []string{"a=1 b=1"}, states: states{fly}, decided: states{gone}},
		{name: "half a batch", steps: []string{"a=1 b=1"}, states: states{fly}, contents: contents{"b": "1"}, promise: "all-or-nothing",
			text: `key "b": want nothing, or "1" (step 1, a=1 b=1, in flight); found "1", while another write of step 1, a=1 b=1 is not there`},
		{name: "half of it was there before", steps: []string{"b=1", "a=1 b=1"}, states: states{acked, fly}, contents: contents{"b": "1"}, decided: states{acked, gone}},
		{name: "half of it is hidden by a later step", steps: []string{"a=1 b=1", "b=2"}, states: states{doubt, acked}, contents: contents{"a": "1", "b": "2"}, decided: states{acked, acked}},
		{name: "a batch that writes a key twice", steps: []string{"a=1 a=2"}, states: states{acked}, contents: contents{"a": "2"}, decided: states{acked}},
		{name: "the first of two writes in a batch", steps: []string{"a=1 a=2"}, states: states{acked}, contents: contents{"a": "1"}, promise: "acked-present",
			text: `key "a": want "2" (step 1, a=1 a=2, acknowledged); found "1", an older value (step 1, a=1 a=2)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := history(testSteps(c.steps...), c.states...)
			h.dirty = c.dirty
			err := h.AckedPresent(func(key string) (string, bool, error) { v, ok := c.contents[key]; return v, ok, nil })
			if c.promise != "" {
				broken, ok := errors.AsType[*Broken](err)
				if !ok || broken.Promise != c.promise || err.Error() != c.text {
					t.Fatalf("got  %v\nwant %s (%s)", err, c.text, c.promise)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(h.decided, c.decided) {
				t.Errorf("decided %v, want %v", h.decided, c.decided)
			}
			if err := h.Holds(c.contents); err != nil {
				t.Errorf("AckedPresent is content, Holds says: %v", err)
			}
		})
	}
}

func TestGetFails(t *testing.T) {
	h := history(testSteps("a=1"), InFlight)
	bad := errors.New("checksum")
	err := h.AckedPresent(func(string) (string, bool, error) { return "", false, bad })
	if want := `key "a": want nothing, or "1" (step 1, a=1, in flight); found the error checksum`; err == nil || err.Error() != want || !errors.Is(err, bad) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDecideKeepsWhatIsSettled(t *testing.T) {
	h := history(testSteps("a=1", "b=1", "c=1", "d=1"), Acked, Gone, NotStarted, InFlight)
	for n := -1; n <= 6; n++ {
		h.Decide(n, n%2 == 0)
	}
	if want := []State{Acked, Gone, NotStarted, Acked}; !slices.Equal(h.decided, want) {
		t.Errorf("decided %v, want %v", h.decided, want)
	}
}

// Long values are cut in a message, whatever their bytes.
func TestQuote(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"", `""`},
		{"\x00é", `"\x00é"`},
		{strings.Repeat("x", 61), `"` + strings.Repeat("x", 60) + `"… (61 bytes)`},
	} {
		if got := quote(c.value); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
