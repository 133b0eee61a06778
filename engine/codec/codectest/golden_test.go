package codectest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine/codec"
	"github.com/untorn-db/untorn/engine/codec/codectest"
)

type (
	placedV1 struct{ Euros int }
	placedV2 struct{ Cents int }
	placed   struct {
		Cents    int
		Currency string
	}
	paid   struct{ Order int }
	forgot struct {
		Order  int
		hidden int
	}
)

// A listener is a test that fails without failing: it keeps what it is told.
type listener struct {
	testing.TB
	errors, logs []string
}

func (l *listener) Helper()      {}
func (l *listener) Name() string { return "TestEvents/sub" }
func (l *listener) Errorf(format string, args ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, args...))
}
func (l *listener) Logf(format string, args ...any) {
	l.logs = append(l.logs, fmt.Sprintf(format, args...))
}

// world is a folder of golden files.
type world struct {
	*testing.T
	dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Setenv(codectest.RewriteVariable, "")
	dir := t.TempDir()
	t.Chdir(dir)
	return &world{T: t, dir: filepath.Join("testdata", "events")}
}

// golden runs Golden and wants these texts, one in each failure, in this order.
func (w *world) golden(r *codec.Registry, examples []any, want ...string) {
	w.Helper()
	l := &listener{TB: w.T}
	codectest.Golden(l, r, w.dir, examples...)
	for i, got := range l.errors {
		if i >= len(want) || !strings.Contains(got, filepath.FromSlash(want[i])) {
			w.Errorf("failure %d of %d is\n%s", i+1, len(want), got)
		}
	}
	for _, missing := range want[min(len(want), len(l.errors)):] {
		w.Errorf("no failure says %q", missing)
	}
}

// rewrite is golden with the variable set.
func (w *world) rewrite(r *codec.Registry, examples []any, want ...string) {
	w.Helper()
	w.Setenv(codectest.RewriteVariable, "1")
	w.golden(r, examples, want...)
	w.Setenv(codectest.RewriteVariable, "")
}

// files returns the folder.
func (w *world) files() map[string]string {
	w.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(w.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(w.dir, entry.Name()))
		if err != nil {
			w.Fatal(err)
		}
		all[entry.Name()] = string(data)
	}
	return all
}

func (w *world) has(want map[string]string) {
	w.Helper()
	if got := w.files(); !maps.Equal(got, want) {
		w.Errorf("the folder has %q, want %q", got, want)
	}
}

// put puts a file into the folder, or removes one.
func (w *world) put(name, data string) {
	w.Helper()
	err := os.MkdirAll(w.dir, 0o777)
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, name), []byte(data), 0o666)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.Fatal(err)
	}
}

// registry puts one together.
func registry(t *testing.T, register ...func(r *codec.Registry) error) *codec.Registry {
	t.Helper()
	r := codec.New(codec.Options{})
	for _, f := range register {
		if err := f(r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func reg[T any](name string, version uint32) func(*codec.Registry) error {
	return regWith[T](name, version, nil)
}

func regWith[T any](name string, version uint32, own codec.Codec) func(*codec.Registry) error {
	return func(r *codec.Registry) error { return codec.RegisterWith[T](r, name, version, own) }
}

func up[Old, New any](name string, from uint32, f func(Old) (New, error)) func(*codec.Registry) error {
	return func(r *codec.Registry) error { return codec.Upcast(r, name, from, f) }
}

func toCents(old placedV1) (placedV2, error) { return placedV2{old.Euros * 100}, nil }
func toEUR(old placedV2) (placed, error)     { return placed{old.Cents, "EUR"}, nil }

// The life of an event type, from its first version to its third.
func TestLife(t *testing.T) {
	w := newWorld(t)
	first := registry(t, reg[placedV1]("order.placed", 1))
	examples := []any{placedV1{3}}
	w.golden(first, examples, "testdata/events/order.placed.v1.golden is missing: write it with UNTORN_REWRITE=1 go test -run '^TestEvents$', and look at the difference")
	w.has(map[string]string{})
	w.rewrite(first, examples)
	w.has(map[string]string{"order.placed.v1.golden": `{"Euros":3}`})
	w.golden(first, examples)

	second := registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, toCents))
	examples = []any{placedV2{250}}
	w.golden(second, examples, "order.placed.v1.upcast.golden is missing", "order.placed.v2.golden is missing")
	w.rewrite(second, examples)
	w.golden(second, examples)

	third := registry(t, reg[placed]("order.placed", 3), up("order.placed", 1, toCents), up("order.placed", 2, toEUR))
	examples = []any{placed{100, "SEK"}}
	w.golden(third, examples,
		"order.placed.v1.upcast.golden: \"order.placed\" version 1 is upcast to something else",
		"order.placed.v2.upcast.golden is missing",
		"order.placed.v3.golden is missing")
	w.rewrite(third, examples)
	w.golden(third, examples)
	w.has(map[string]string{
		"order.placed.v1.golden":        `{"Euros":3}`,
		"order.placed.v1.upcast.golden": `{"Cents":300,"Currency":"EUR"}`,
		"order.placed.v2.golden":        `{"Cents":250}`,
		"order.placed.v2.upcast.golden": `{"Cents":250,"Currency":"EUR"}`,
		"order.placed.v3.golden":        `{"Cents":100,"Currency":"SEK"}`,
	})
}

// The type of a current version is changed without a new version.
func TestChangedBytes(t *testing.T) {
	w := newWorld(t)
	w.rewrite(registry(t, reg[placedV2]("order.placed", 2)), []any{placedV2{3}})
	changed := registry(t, reg[placed]("order.placed", 2))
	w.golden(changed, []any{placed{3, "EUR"}}, `testdata/events/order.placed.v2.golden: "order.placed" version 2 is encoded to other bytes, and logs may hold the ones in the file.
If they do, undo the change, or keep the old form: give it a Go type and an Upcast from version 2, and register the new form as version 3.
If no log does, or only the example has changed, write it with UNTORN_REWRITE=1 go test -run '^TestEvents$', and look at the difference.
They part at byte 10:
  file  "{\"Cents\":3}"
  now   "{\"Cents\":3,\"Currency\":\"EUR\"}"`)
	w.has(map[string]string{"order.placed.v2.golden": `{"Cents":3}`})
	w.put("order.placed.v2.golden", strings.Repeat("x", 200))
	w.golden(changed, []any{placed{3, "EUR"}}, `file  "`+strings.Repeat("x", 80)+`"…`)
	w.rewrite(changed, []any{placed{3, "EUR"}})
	w.golden(changed, []any{placed{3, "EUR"}})
}

// Old versions, and what can happen to them.
func TestOld(t *testing.T) {
	files := map[string]string{
		"order.placed.v1.golden":        `{"Euros":3}`,
		"order.placed.v1.upcast.golden": `{"Cents":300}`,
		"order.placed.v2.golden":        `{"Cents":7}`,
	}
	good := registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, toCents))
	for _, c := range []struct {
		name  string
		r     *codec.Registry
		lost  string // a file that is gone
		want  []string
		again []string // what is still wrong after a rewrite
	}{
		{"nothing", good, "", nil, nil},
		{"file of an old version", good, "order.placed.v1.golden",
			[]string{`order.placed.v1.golden is missing: nothing encodes "order.placed" version 1 any more`},
			[]string{"order.placed.v1.golden is missing"}},
		{"file of the upcast", good, "order.placed.v1.upcast.golden", []string{"order.placed.v1.upcast.golden is missing: write it"}, nil},
		{"upcaster changed",
			registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, func(old placedV1) (placedV2, error) { return placedV2{old.Euros}, nil })), "",
			[]string{`order.placed.v1.upcast.golden: "order.placed" version 1 is upcast to something else: events that logs hold now mean something else.`}, nil},
		{"upcaster fails",
			registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, func(old placedV1) (placedV2, error) { return placedV2{}, errors.New("boom") })), "",
			[]string{`order.placed.v1.golden, which logs may hold, cannot be read: codec: upcast "order.placed" version 1 to 2: boom`},
			[]string{"boom"}},
		{"old type changed",
			registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, func(paid) (placedV2, error) { return placedV2{300}, nil })), "",
			[]string{"unknown field \"Euros\"\nChange the registered codectest_test.paid or its Upcast, not the file."},
			[]string{"unknown field"}},
		{"old version removed", registry(t, reg[placedV2]("order.placed", 2)), "",
			[]string{
				"order.placed.v1.golden: nobody has registered version 1 of order.placed, but logs may hold it",
				"order.placed.v1.upcast.golden: version 1 of order.placed is not upcast",
			},
			[]string{"nobody has registered version 1", "is not upcast"}},
		{"gap", registry(t, reg[placed]("order.placed", 3), up("order.placed", 1, toCents)), "",
			[]string{"codectest: the registry is not complete: codec: nothing upcasts \"order.placed\" from version 2 to 3"},
			[]string{"not complete"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for name, data := range files {
				w.put(name, data)
			}
			if c.lost != "" {
				w.remove(c.lost)
			}
			before := w.files()
			w.golden(c.r, []any{placedV2{7}}, c.want...)
			w.has(before)
			w.rewrite(c.r, []any{placedV2{7}}, c.again...)
			w.golden(c.r, []any{placedV2{7}}, c.again...)
			if got := w.files()["order.placed.v1.golden"]; got != before["order.placed.v1.golden"] {
				t.Errorf("the file of an old version has become %q", got)
			}
		})
	}
}

// Examples, and what can be wrong with them.
func TestExamples(t *testing.T) {
	r := registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, toCents), reg[paid]("order.paid", 1))
	for _, c := range []struct {
		name     string
		r        *codec.Registry
		examples []any
		want     []string
	}{
		{"all", r, []any{paid{1}, placedV2{1}}, nil},
		{"none", r, nil, []string{`there is no example of "order.paid": give Golden a codectest_test.paid`, `there is no example of "order.placed"`}},
		{"two", r, []any{paid{1}, placedV2{1}, paid{2}}, []string{"example 2 is the second codectest_test.paid"}},
		{"of an old version", r, []any{paid{1}, placedV2{1}, placedV1{1}}, []string{"example 2, codectest_test.placedV1: codec: draft: wrong Go type"}},
		{"of an unknown type", r, []any{paid{1}, placedV2{1}, "x"}, []string{"string is not registered"}},
		{"nil", r, []any{paid{1}, placedV2{1}, nil}, []string{"the value is nil"}},
		{"with a field that is lost", registry(t, reg[forgot]("f", 1)), []any{forgot{1, 2}}, []string{
			"example 0, codectest_test.forgot: it does not come back equal (a field that is not exported, or one that the codec cannot keep?):\n" +
				"  gave {Order:1 hidden:2}\n  got  {Order:1 hidden:0}\n  from \"{\\\"Order\\\":1}\""}},
		{"with a codec that counts this as equal", registry(t, regWith[forgot]("f", 1, careless{})), []any{forgot{1, 2}}, nil},
		{"of a codec that cannot decide", registry(t, regWith[paid]("p", 1, &counting{})), []any{paid{1}}, []string{"the same value gives different bytes:\nThey part at byte 11"}},
		{"of a codec that cannot decode", registry(t, regWith[paid]("p", 1, oneWay{})), []any{paid{1}}, []string{`it was encoded as "{\"Order\":1}", which is not decoded`}},
		{"without bytes", registry(t, regWith[paid]("p", 1, empty{})), []any{paid{}}, nil},
		{"a pointer", registry(t, reg[*paid]("p", 1)), []any{&paid{1}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.put("order.placed.v1.golden", `{"Euros":3}`)
			if c.r != r {
				w.remove("order.placed.v1.golden")
			}
			w.rewrite(c.r, c.examples, c.want...)
			w.golden(c.r, c.examples, c.want...)
			for _, registered := range c.r.Types() {
				name := fmt.Sprintf("%s.v%d.golden", registered.Name, registered.Version)
				if _, written := w.files()[name]; !written && c.want == nil {
					t.Errorf("there is no %s", name)
				}
			}
		})
	}
}

// careless is JSON, with a look at the bytes only.
type careless struct{ codec.JSON }

func (careless) Equal(a, b any) bool { return a.(forgot).Order == b.(forgot).Order }

// counting writes how often it was called.
type counting struct {
	codec.JSON
	calls int
}

func (c *counting) Encode(value any) ([]byte, error) {
	c.calls++
	data, err := json.Marshal(value)
	return fmt.Append(data, c.calls), err
}

// oneWay does not read what it writes.
type oneWay struct{ codec.JSON }

func (oneWay) Decode([]byte, any) error { return errors.New("never") }

// empty needs no bytes.
type empty struct{}

func (empty) Encode(any) ([]byte, error) { return nil, nil }
func (empty) Decode([]byte, any) error   { return nil }

// Files that belong to nothing are told, and nobody removes them.
func TestLeftovers(t *testing.T) {
	w := newWorld(t)
	r := registry(t, reg[paid]("order.paid", 1))
	examples := []any{paid{1}}
	w.rewrite(r, examples)
	for _, name := range []string{"README", "order.sent.v1.golden", "order.paid.v2.golden", "order.paid.v1.upcast.golden", "notes.golden"} {
		w.put(name, "x")
	}
	before := w.files()
	want := []string{
		"notes.golden is the file of no event: remove it",
		"order.paid.v1.upcast.golden: version 1 of order.paid is not upcast",
		"order.paid.v2.golden: nobody has registered version 2 of order.paid",
		"order.sent.v1.golden: nobody has registered order.sent, but logs may hold it: register it again, or remove the file if none does",
	}
	w.golden(r, examples, want...)
	w.rewrite(r, examples, want...)
	w.has(before)
}

// Names of events are made fit for files.
func TestFileNames(t *testing.T) {
	w := newWorld(t)
	r := registry(t, reg[paid]("../a/b:c ä", 1), reg[placed]("a.v1", 4294967295), reg[placedV2]("a.v1.upcast", 0),
		reg[*paid]("order-9_z.Paid", 1), reg[*placed]("order-9_z.paid", 1), reg[*placedV2]("A.V1", 4294967295))
	examples := []any{paid{1}, placed{1, "EUR"}, placedV2{1}, &paid{2}, &placed{2, "EUR"}, &placedV2{2}}
	w.rewrite(r, examples)
	w.golden(r, examples)
	got := slices.Sorted(maps.Keys(w.files()))
	if want := []string{
		"%41.%561.v4294967295.golden",
		"..%2Fa%2Fb%3Ac%20%C3%A4.v1.golden",
		"a.v1.upcast.v0.golden",
		"a.v1.v4294967295.golden",
		"order-9_z.%50aid.v1.golden",
		"order-9_z.paid.v1.golden",
	}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	folded := map[string]string{} // as a disk that does not tell capitals apart has them
	for _, name := range got {
		if other, taken := folded[strings.ToLower(name)]; taken {
			t.Errorf("%s and %s are one file on some disks", name, other)
		}
		folded[strings.ToLower(name)] = name
	}
}

// What the disk says is told.
func TestDiskErrors(t *testing.T) {
	w := newWorld(t)
	r := registry(t, reg[placedV2]("order.placed", 2), up("order.placed", 1, toCents))
	for _, name := range []string{"order.placed.v1.golden", "order.placed.v2.golden"} {
		if err := os.MkdirAll(filepath.Join(w.dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	w.golden(r, []any{placedV2{1}}, "order.placed.v1.golden", "order.placed.v2.golden")
	if runtime.GOOS == "windows" {
		return // says something else about a path through a file
	}
	w = newWorld(t)
	if err := os.WriteFile("testdata", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r = registry(t, reg[paid]("order.paid", 1))
	w.rewrite(r, []any{paid{1}}, "order.paid.v1.golden: not a directory", "testdata/events: not a directory")
}
