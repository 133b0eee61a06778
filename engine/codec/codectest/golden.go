package codectest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/codec"
)

// RewriteVariable is the environment variable that, when it is 1, has Golden
// write what it would compare with. A flag would break the packages of
// go test ./… that do not know it.
const RewriteVariable = "UNTORN_REWRITE"

// Golden compares what a registry encodes and upcasts with the golden files in
// dir, where only those of this registry are. It takes one example of each current version: a
// value of the registered Go type with all its fields set.
//
// An example must come back equal after it was encoded and decoded: by the codec's
// method Equal(a, b any) bool if it has one, else by reflect.DeepEqual.
func Golden(t testing.TB, r *codec.Registry, dir string, examples ...any) {
	t.Helper()
	g := &golden{TB: t, registry: r, dir: dir, rewrite: os.Getenv(RewriteVariable) == "1", expected: map[string]bool{}}
	if err := r.Check(); err != nil {
		t.Errorf("codectest: the registry is not complete: %v", err)
		return
	}
	encoded := g.encodeAll(examples)
	for _, registered := range r.Types() {
		if registered.Current {
			g.current(registered, encoded)
		} else {
			g.old(registered)
		}
	}
	g.leftovers()
}

type golden struct {
	testing.TB
	registry *codec.Registry
	dir      string
	rewrite  bool
	expected map[string]bool // names of the files that belong to something
}

// encodeAll returns the bytes of the examples, by Go type. It has nil for those
// that are no good, of which it has told.
func (g *golden) encodeAll(examples []any) map[reflect.Type][]byte {
	g.Helper()
	all := map[reflect.Type][]byte{}
	for i, example := range examples {
		t := reflect.TypeOf(example)
		if _, twice := all[t]; twice {
			g.Errorf("codectest: example %d is the second %v: there is one file for each type, so give one example", i, t)
			continue
		}
		data, err := g.encode(example)
		if err == nil {
			err = g.comesBack(example, data)
		}
		all[t] = data
		if err != nil {
			g.Errorf("codectest: example %d, %v: %v", i, t, err)
			all[t] = nil
		}
	}
	return all
}

// encode returns the bytes of a value, which must be the same each time.
func (g *golden) encode(value any) ([]byte, error) {
	draft, err := g.registry.Draft(value, engine.Draft{})
	if err != nil {
		return nil, err
	}
	for range 8 { // what comes from the order of a map does not always differ
		again, err := g.registry.Draft(value, engine.Draft{})
		if err != nil {
			return nil, fmt.Errorf("the second time: %w", err)
		}
		if !bytes.Equal(again.Data, draft.Data) {
			return nil, fmt.Errorf("the same value gives different bytes:\n%s", differ("once", draft.Data, "then", again.Data))
		}
	}
	// Not nil: an example without bytes is an example.
	return append([]byte{}, draft.Data...), nil
}

// comesBack checks that a value survives.
func (g *golden) comesBack(value any, data []byte) error {
	registered, _ := g.find(reflect.TypeOf(value))
	back, err := g.registry.Decode(engine.Event{Type: registered.Name, PayloadVersion: registered.Version, Data: data})
	if err != nil {
		return fmt.Errorf("it was encoded as %q, which is not decoded: %w", data, err)
	}
	equal := reflect.DeepEqual
	if own, ok := registered.Codec.(interface{ Equal(a, b any) bool }); ok {
		equal = own.Equal
	}
	if !equal(value, back) {
		return fmt.Errorf("it does not come back equal (a field that is not exported, or one that the codec cannot keep?):\n  gave %+v\n  got  %+v\n  from %q", value, back, data)
	}
	return nil
}

func (g *golden) find(t reflect.Type) (codec.Type, bool) {
	for _, registered := range g.registry.Types() {
		if registered.Go == t {
			return registered, true
		}
	}
	return codec.Type{}, false
}

// current compares the bytes of an example with its file.
func (g *golden) current(registered codec.Type, encoded map[reflect.Type][]byte) {
	g.Helper()
	name := fileOf(registered, "")
	g.expected[name] = true
	data, given := encoded[registered.Go]
	if !given {
		g.Errorf("codectest: there is no example of %q: give Golden a %v with all its fields set", registered.Name, registered.Go)
	}
	if data == nil {
		return
	}
	g.compare(name, data, fmt.Sprintf(`%[1]q version %[2]d is encoded to other bytes, and logs may hold the ones in the file.
If they do, undo the change, or keep the old form: give it a Go type and an Upcast from version %[2]d, and register the new form as version %[3]d.
If no log does, or only the example has changed, %[4]s.`, registered.Name, registered.Version, uint64(registered.Version)+1, g.how()))
}

// old decodes the file of an old version, and compares what has become of it.
func (g *golden) old(registered codec.Type) {
	g.Helper()
	name, upcast := fileOf(registered, ""), fileOf(registered, ".upcast")
	g.expected[name], g.expected[upcast] = true, true
	data, err := os.ReadFile(filepath.Join(g.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		g.Errorf("codectest: %s is missing: nothing encodes %q version %d any more, so bring it back from version control, or put the payload of such an event there",
			filepath.Join(g.dir, name), registered.Name, registered.Version)
		return
	}
	if err != nil {
		g.Errorf("codectest: %v", err)
		return
	}
	value, err := g.registry.Decode(engine.Event{Type: registered.Name, PayloadVersion: registered.Version, Data: data})
	if err != nil {
		g.Errorf("codectest: %s, which logs may hold, cannot be read: %v\nChange the registered %v or its Upcast, not the file.", filepath.Join(g.dir, name), err, registered.Go)
		return
	}
	became, err := g.encode(value)
	if err != nil {
		g.Errorf("codectest: %s becomes %+v: %v", filepath.Join(g.dir, name), value, err)
		return
	}
	g.compare(upcast, became, fmt.Sprintf(`%q version %d is upcast to something else: events that logs hold now mean something else.
If that is not meant, correct its Upcast, or a later one.
If it is, or the type has a new version, %s.`, registered.Name, registered.Version, g.how()))
}

// compare compares a file with what it should hold, or writes it.
func (g *golden) compare(name string, data []byte, advice string) {
	g.Helper()
	path := filepath.Join(g.dir, name)
	kept, err := os.ReadFile(path)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case err == nil && bytes.Equal(kept, data):
	case err != nil && !missing:
		g.Errorf("codectest: %v", err)
	case g.rewrite:
		err := os.MkdirAll(g.dir, 0o777)
		if err == nil {
			err = os.WriteFile(path, data, 0o666)
		}
		if err != nil {
			g.Errorf("codectest: %v", err)
			return
		}
		g.Logf("codectest: %s is written", path)
	case missing:
		g.Errorf("codectest: %s is missing: %s", path, g.how())
	default:
		g.Errorf("codectest: %s: %s\n%s", path, advice, differ("file", kept, "now", data))
	}
}

// how says how files are written.
func (g *golden) how() string {
	test, _, _ := strings.Cut(g.Name(), "/")
	return fmt.Sprintf("write it with %s=1 go test -run '^%s$', and look at the difference", RewriteVariable, test)
}

var goldenName = regexp.MustCompile(`^(.*)\.v(\d+)(\.upcast)?\.golden$`)

// leftovers finds the files that belong to nothing.
func (g *golden) leftovers() {
	g.Helper()
	entries, err := os.ReadDir(g.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.Errorf("codectest: %v", err)
	}
	names := map[string]bool{}
	for _, registered := range g.registry.Types() {
		names[escape(registered.Name)] = true
	}
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) != ".golden" || g.expected[name] {
			continue
		}
		path, parts := filepath.Join(g.dir, name), goldenName.FindStringSubmatch(name)
		switch {
		case parts == nil:
			g.Errorf("codectest: %s is the file of no event: remove it", path)
		case !names[parts[1]]:
			g.Errorf("codectest: %s: nobody has registered %s, but logs may hold it: register it again, or remove the file if none does", path, parts[1])
		case parts[3] != "":
			g.Errorf("codectest: %s: version %s of %s is not upcast: register its Upcast again, or remove the file", path, parts[2], parts[1])
		default:
			g.Errorf("codectest: %s: nobody has registered version %s of %s, but logs may hold it: give its Upcast, or remove the file if none does", path, parts[2], parts[1])
		}
	}
}

// fileOf is the name of the file of a version.
func fileOf(registered codec.Type, kind string) string {
	return fmt.Sprintf("%s.v%d%s.golden", escape(registered.Name), registered.Version, kind)
}

// escape makes a name of an event fit for a file: all but small letters, digits,
// dot, dash and underscore becomes %XX.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			b.WriteByte(c)
		default: // capitals, too: there are file systems that do not tell them apart
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// differ shows where two texts part.
func differ(name string, data []byte, otherName string, other []byte) string {
	at := 0
	for at < len(data) && at < len(other) && data[at] == other[at] {
		at++
	}
	return fmt.Sprintf("They part at byte %d:\n  %-5s %s\n  %-5s %s", at, name, excerpt(data, at), otherName, excerpt(other, at))
}

// excerpt quotes the bytes around a place.
func excerpt(data []byte, at int) string {
	const before, behind = 40, 80
	text, from, to := "", max(0, at-before), min(len(data), at+behind)
	if from > 0 {
		text = "…"
	}
	text += fmt.Sprintf("%q", data[from:to])
	if to < len(data) {
		text += "…"
	}
	return text
}
