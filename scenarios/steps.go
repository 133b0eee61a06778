package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
)

// verb is a kind of step.
type verb struct {
	name string
	args []string // that it takes; a batch has its items besides
}

// verbs are all of them. A client can do those that take client.
func verbs() []verb {
	return []verb{
		{"batch", []string{"client", "key", "buffered", "tx"}},
		{"retry", []string{"client", "of", "items", "durable"}},
		{"sync", []string{"client"}},
		{"wait", []string{"client"}},
		{"read", []string{"client"}},
		{"advance", []string{"client", "by"}},
		{"close", []string{"client"}},
		{"follow", []string{"client", "scope", "stream", "types", "from", "buffered"}},
		{"project", []string{"client", "name", "scope", "stream", "types", "from"}},
		{"handle", []string{"client", "cursor", "scope", "stream", "types", "from", "batch", "buffered"}},
		{"open", nil},
		{"jump", []string{"by"}},
		{"drift", []string{"ppm"}},
		{"delete", nil},
		{"crash", []string{"kind", "choices"}},
		{"damage", []string{"what", "at", "with"}},
	}
}

// checkStep refuses a step that says what nobody would read, which is most likely
// misspelt, or what nobody could use.
func checkStep(step plan.Step) error {
	all := verbs()
	at := slices.IndexFunc(all, func(v verb) bool { return v.name == step.Verb })
	if at < 0 {
		return fmt.Errorf("step %d: verb %q is not known", step.Number, step.Verb)
	}
	known := all[at].args
	if clientOf(step) != "" && !slices.Contains(known, "client") {
		var can []string
		for _, v := range all {
			if slices.Contains(v.args, "client") {
				can = append(can, v.name)
			}
		}
		return fmt.Errorf("step %d: a client cannot %s: it can %s", step.Number, step.Verb, strings.Join(can, ", "))
	}
	for _, arg := range step.Args {
		_, err := strconv.Atoi(arg.Key)
		if _, note := noteArg(arg.Key); step.Verb == "batch" && (err == nil || note) || slices.Contains(known, arg.Key) {
			continue
		}
		takes := "nothing"
		if known != nil {
			takes = strings.Join(known, ", ")
		}
		return fmt.Errorf("step %d: %s=… is not known: %s takes %s", step.Number, arg.Key, step.Verb, takes)
	}
	return checkValues(step)
}

// checkValues refuses values that a step could not use.
func checkValues(step plan.Step) error {
	var problems []error
	check := func(_ any, err error) { problems = append(problems, err) }
	word := func(key string, known ...string) {
		if value, ok := step.Lookup(key); ok && !slices.Contains(known, value) {
			last := len(known) - 1
			problems = append(problems, fmt.Errorf("step %d: %s=%q is not known: there are %s and %s", step.Number, key, value, strings.Join(known[:last], ", "), known[last]))
		}
	}
	switch step.Verb {
	case "batch":
		word("tx", "commit", "cancel", "drop")
		if step.Get("tx") != "" && clientOf(step) == "" {
			problems = append(problems, fmt.Errorf("step %d: tx=… is for clients: add client=1", step.Number))
		}
	case "retry":
		check(step.Int("of", -1))
		check(step.Int("items", 0))
		check(step.Bool("durable", true))
	case "follow", "handle", "project":
		check(queryOf(step))
		check(step.Int("batch", 0))
		if step.Verb != "handle" && clientOf(step) == "" {
			problems = append(problems, fmt.Errorf("step %d: %s is for clients: add client=1", step.Number, step.Verb))
		}
	case "advance":
		by, err := step.Duration("by", 0)
		if by < 0 {
			err = fmt.Errorf("step %d: by=%v: time goes on; jump moves the wall clock back", step.Number, by)
		}
		problems = append(problems, err)
	case "jump":
		check(step.Duration("by", 0))
	case "drift":
		check(step.Int("ppm", 0))
	case "crash":
		word("kind", "power", "kill")
		check(chooserOf(step))
	case "damage":
		check(step.Uint("at", 0))
		check(step.Uint("with", 0))
	}
	return errors.Join(problems...)
}
