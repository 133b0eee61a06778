package crashtest

import (
	"fmt"
	"slices"
	"strings"
)

// A History says what was promised before the crash. Check gets it, with the
// recovered store.
type History struct {
	steps   []step
	active  []int // indices of the steps of this run, ascending
	states  []State
	crashes int
	dirty   bool
	decided []State // what Check found out; shared by the copies of a History
}

// A StepState is a step and how far it had come.
type StepState struct {
	Number int // from 1, in Subject.Steps
	Name   string
	Writes []Write
	State  State
}

// Steps returns all steps, in order, those that were not started included.
func (h History) Steps() []StepState {
	all := make([]StepState, 0, len(h.active))
	for _, i := range h.active {
		all = append(all, StepState{i + 1, h.steps[i].name, h.steps[i].writes, h.states[i]})
	}
	return all
}

// Crashes is how many crashes there were. 0: Check runs at the end of the steps,
// and nothing has happened yet.
func (h History) Crashes() int { return h.crashes }

// Decide says whether the recovered store shows the step of this number, which
// was in flight, in doubt or unflushed. From now on it must be there, unless it
// is unflushed, or it must never be again. AckedPresent and Holds do that by
// themselves; other models may. A step whose state is another stays as it is.
func (h History) Decide(number int, shown bool) {
	i := number - 1
	if i < 0 || i >= len(h.states) || !h.states[i].open() {
		return
	}
	switch {
	case !shown:
		h.decided[i] = Gone
	case h.states[i] != Unflushed && !h.dirty:
		h.decided[i] = Acked
	}
}

// AckedPresent checks a store of keys and values: every acknowledged write is
// there, those in flight, in doubt or unflushed are there or not, each step as a
// whole, and any other value of a key that some step writes is wrong. get
// returns the value of a key, found false where it has none, and an error where
// the store cannot say, which is a failure.
func (h History) AckedPresent(get func(key string) (value string, found bool, err error)) error {
	contents := make(map[string]string)
	for _, key := range h.keys() {
		value, found, err := get(key)
		if err != nil {
			return &Broken{Promise: "acked-present", Key: key, Want: h.want(key), Found: "the error " + clip(err.Error(), 300), Err: err}
		}
		if found {
			contents[key] = value
		}
	}
	return h.judge(contents)
}

// Holds checks a store that lists all it has: as AckedPresent does, and no key is
// there that no step writes.
func (h History) Holds(contents map[string]string) error {
	known := h.keys()
	var extra []string
	for key := range contents {
		if !slices.Contains(known, key) {
			extra = append(extra, key)
		}
	}
	if len(extra) > 0 {
		key := slices.Min(extra)
		return &Broken{Promise: "nothing-else", Key: key, Want: "nothing: no step writes this key", Found: quote(contents[key])}
	}
	return h.judge(contents)
}

// keys returns every key that a step writes, in the order of the first step that
// does.
func (h History) keys() (keys []string) {
	known := make(map[string]bool)
	for _, i := range h.active {
		for _, w := range h.steps[i].writes {
			if !known[w.Key] {
				known[w.Key] = true
				keys = append(keys, w.Key)
			}
		}
	}
	return keys
}

// judge finds out which open steps the contents show. It goes backwards, and
// takes an open step to be there wherever it can be: that leaves fewer keys
// for the earlier steps to explain, so if any choice explains the contents, this
// one does.
func (h History) judge(contents map[string]string) error {
	settled := make(map[string]bool)
	matches := func(w Write) bool {
		value, found := contents[w.Key]
		return found == !w.Delete && (w.Delete || value == w.Value)
	}
	for _, i := range slices.Backward(h.active) {
		state := h.states[i]
		if state != Acked && !state.open() {
			continue
		}
		there, news := true, false
		var wrong Write
		seen := make(map[string]bool)
		for _, w := range slices.Backward(h.steps[i].writes) {
			if settled[w.Key] || seen[w.Key] {
				continue
			}
			seen[w.Key], news = true, true
			if !matches(w) {
				there, wrong = false, w
			}
		}
		if !there && state == Acked {
			return h.broken(wrong.Key, contents)
		}
		if there {
			for key := range seen {
				settled[key] = true
			}
		}
		if news && state.open() {
			h.Decide(i+1, there)
		}
	}
	for _, key := range h.keys() {
		if _, found := contents[key]; found && !settled[key] {
			return h.broken(key, contents)
		}
	}
	return nil
}

// want says what a key may have.
func (h History) want(key string) string {
	var may []string
	base := "nothing"
	for _, i := range slices.Backward(h.active) {
		state := h.states[i]
		if state != Acked && !state.open() {
			continue
		}
		var last *Write // the one that counts, where a step writes a key twice
		for at := range h.steps[i].writes {
			if w := &h.steps[i].writes[at]; w.Key == key {
				last = w
			}
		}
		if last == nil {
			continue
		}
		text := fmt.Sprintf("%s (%s, %v)", last.text(), h.label(i), state)
		if state == Acked {
			base = text
			break
		}
		may = append(may, text)
	}
	slices.Reverse(may)
	return strings.Join(append([]string{base}, may...), ", or ")
}

// broken says how the contents break the promise about a key.
func (h History) broken(key string, contents map[string]string) error {
	b := &Broken{Promise: "acked-present", Key: key, Want: h.want(key), Found: "nothing"}
	value, found := contents[key]
	if !found {
		return b
	}
	b.Found = quote(value)
	for _, i := range slices.Backward(h.active) {
		writes := h.steps[i].writes
		if !slices.ContainsFunc(writes, func(w Write) bool { return w.Key == key && !w.Delete && w.Value == value }) {
			continue
		}
		switch state := h.states[i]; {
		case state == Acked:
			b.Found += fmt.Sprintf(", an older value (%s)", h.label(i))
		case state == NotStarted:
			b.Promise = "nothing-else"
			b.Found += fmt.Sprintf(", of a step that has not begun (%s)", h.label(i))
		case state == Gone:
			b.Promise = "nothing-else"
			b.Found += fmt.Sprintf(", which an earlier recovery did not show (%s)", h.label(i))
		case len(writes) > 1:
			b.Promise = "all-or-nothing"
			b.Found += fmt.Sprintf(", while another write of %s is not there", h.label(i))
		}
		return b
	}
	b.Promise = "nothing-else"
	b.Found += ", which nobody wrote"
	best, from := 0, 0
	for _, i := range h.active {
		for _, w := range h.steps[i].writes {
			if n := common(w.Value, value); w.Key == key && n > best {
				best, from = n, i
			}
		}
	}
	if best > 0 {
		b.Found += fmt.Sprintf(": its first %d bytes are of %s", best, h.label(from))
	}
	return b
}

// common is how many bytes two values begin with alike.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func (h History) label(i int) string { return label(i, h.steps[i]) }

// label names a step.
func label(i int, s step) string { return fmt.Sprintf("step %d, %s", i+1, s.name) }

func (w Write) text() string {
	if w.Delete {
		return "nothing"
	}
	return quote(w.Value)
}

// A Broken is a promise that the recovered store does not keep.
type Broken struct {
	Promise     string // "acked-present", "nothing-else" or "all-or-nothing"
	Key         string
	Want, Found string // in words
	Err         error  // what the store said, if it did
}

func (b *Broken) Error() string {
	return fmt.Sprintf("key %s: want %s; found %s", quote(b.Key), b.Want, b.Found)
}

func (b *Broken) Unwrap() error { return b.Err }

// quote prints a value on one short line.
func quote(s string) string {
	const most = 60
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q… (%d bytes)", s[:most], len(s))
}

// clip cuts a text to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
