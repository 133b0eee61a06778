package simfs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseGuarantees(t *testing.T) {
	for _, c := range []struct{ text, canonical string }{
		{"posix", "posix"},
		{"ext4-writeback", "ext4-writeback"},
		{"ext4-powersafe", "ext4-powersafe"},
		{"ext4-writeback-stale", "ext4-writeback-stale"},
		{"posix+pages+journal", "posix+journal+pages"},
		{"posix+filesync=all", "posix+filesync=all"},
		{"posix+journal-journal", "posix"},
		{"posix-stale+garbage", "posix-stale"},
		{"ext4+tear+filesync=alone-renameflush", "ext4+tear-renameflush+filesync=alone"},
		{"btrfs+splitrename", "btrfs+splitrename"},
		{"sequential", "sequential"},
	} {
		g, err := ParseGuarantees(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if g.String() != c.canonical {
			t.Errorf("%s: %s, want %s", c.text, g, c.canonical)
		}
		if name := strings.FieldsFunc(c.text, func(r rune) bool { return r == '+' }); !strings.HasPrefix(name[0], g.Name) {
			t.Errorf("%s has the name %s", c.text, g.Name)
		}
		if again, err := ParseGuarantees(g.String()); err != nil || again != g {
			t.Errorf("%s: parsed again: %+v, %v", g, again, err)
		}
	}
	if g, _ := ParseGuarantees("ext4-powersafe+filesync=names"); g.Name != "ext4" || g.Powersafe || g.FileSync != SyncOwnNames || !g.Journal {
		t.Errorf("%+v", g)
	}
}

func TestParseGuaranteesRefuses(t *testing.T) {
	for _, c := range []struct{ text, problem string }{
		{"", `no preset at the start of ""`},
		{"zfs", `no preset at the start of "zfs"`},
		{"ext5+journal", `no preset at the start of "ext5+journal"`},
		{"ext4writeback", `no preset at the start`},
		{"posix+", `"+" in "posix+" is no guarantee`},
		{"posix+Journal", `"+Journal" in`},
		{"posix+filesync", `"+filesync" in`},
		{"posix-filesync=all", `"-filesync=all" in`},
		{"posix+filesync=most", `"+filesync=most" in`},
		{"posix+journal extents", `"+journal extents" in`},
		{"sequential-journal", "sequential needs journal"},
		{"posix+sequential", "sequential needs journal"},
		{"sequential+stale", "sequential does not go with stale or garbage"},
		{"posix+sizeafterdata", "sizeafterdata needs journal"},
		{"posix+journal+sizeafterdata", "sizeafterdata does not go with stale or garbage"},
		{"btrfs+sizeafterdata", "sizeafterdata does not go with extents"},
		{"posix+extents", "extents does not go with stale or garbage"},
		{"sequential+extents", "sequential does not go with extents or sizeafterdata"},
		{"sequential+filesync=names", "sequential does not go with filesync=names"},
		{"posix+filesync=earlier", "filesync=earlier needs journal"},
		{"ext4+filesync=everything", "filesync=everything needs sequential"},
		{"posix+tear", "tear needs pages"},
	} {
		_, err := ParseGuarantees(c.text)
		switch {
		case err == nil:
			t.Errorf("%s is accepted", c.text)
		case !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %v", c.text, err)
		case strings.Contains(err.Error(), "no guarantee") && !strings.Contains(err.Error(), "datasyncshrinks powersafe; or +filesync= one of alone names earlier all everything"):
			t.Errorf("%s: no help: %v", c.text, err)
		}
	}
	for _, g := range Presets() {
		if err := g.Check(); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
}

// TestPresetNames: every name is a preset's and parses as it, and whoever lists
// what may be written lists them all.
func TestPresetNames(t *testing.T) {
	names := PresetNames()
	if len(names) != len(Presets()) {
		t.Fatalf("%q of %d presets", names, len(Presets()))
	}
	_, unknown := PresetByName("floppy")
	_, unparsed := ParseGuarantees("floppy")
	for i, name := range names {
		byName, err := PresetByName(name)
		parsed, err2 := ParseGuarantees(name)
		if err != nil || err2 != nil || byName != Presets()[i] || parsed != byName {
			t.Errorf("%s: %v, %v; %+v, %+v", name, err, err2, byName, parsed)
		}
	}
	for _, err := range []error{unknown, unparsed} {
		if err == nil || !strings.Contains(err.Error(), " one of "+strings.Join(names, " ")) {
			t.Errorf("%v does not list %q", err, names)
		}
	}
}

// TestFields: a disk that promises less has other fields, and so has one whose
// syncs fail in other ways; the text is the one that certificates were made with.
func TestFields(t *testing.T) {
	const posix = "{Name:posix Journal:false Sequential:false Pages:false Tear:false Extents:false SizeAfterData:false NewPages:false " +
		"StaleUncovered:true GarbageUncovered:true FileSync:alone SplitRename:false RenameFlush:false DataSyncShrinks:false " +
		"Powersafe:true SyncFailures:"
	if got := Posix().Fields(); !strings.HasPrefix(got, posix) {
		t.Errorf("%s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		g := drawAllowed(t)
		for _, h := range g.Weaker() {
			if g.Fields() == h.Fields() {
				t.Errorf("%s of %s and %s", g.Fields(), g, h)
			}
		}
		h := g
		h.SyncFailures += " silent"
		if g.Fields() == h.Fields() || g.String() != h.String() {
			t.Errorf("%s", h.Fields())
		}
	})
}

// drawAllowed draws any guarantees that go together.
func drawAllowed(t *rapid.T) Guarantees {
	return rapid.Custom(func(t *rapid.T) Guarantees {
		g := Posix()
		for _, w := range switchWords() {
			*w.field(&g) = rapid.Bool().Draw(t, w.word)
		}
		g.FileSync = rapid.SampledFrom(syncScopes()).Draw(t, "filesync").scope
		return g
	}).Filter(func(g Guarantees) bool { return g.Check() == nil }).Draw(t, "guarantees")
}

func FuzzParseGuarantees(f *testing.F) {
	f.Add("posix+journal")
	f.Add("ext4-writeback+tear-powersafe+filesync=all")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGuarantees(text)
		if err != nil {
			return
		}
		if again, err := ParseGuarantees(g.String()); err != nil || again != g {
			t.Fatalf("%q: %s: %+v, %v", text, g, again, err)
		}
	})
}

// Any guarantees print as what they are, and make a disk on which reads see what
// was written, and on which what a sync covered stays.
func TestAnyGuaranteesMakeADisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawAllowed(t)
		if again, err := ParseGuarantees(g.String()); err != nil || again != g {
			t.Fatalf("%s: %+v, %v", g, again, err)
		}
		o := Options{Guarantees: g, Garbage: Garbage{Block: rapid.Bool().Draw(t, "block"), Stale: rapid.Bool().Draw(t, "stale"), Seed: 1}}
		f, m := New(o), newPlain()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			step(t, f, m, true)
			switch rapid.IntRange(0, 12).Draw(t, "then") {
			case 0:
				f = f.Clone()
			case 1:
				f = f.Crash(ProcessKill).Mount(Latest())
			}
		}
		want := m.dump()
		if got := dump(t, f.Crash(PowerLoss).Mount(Latest()), 0); got != want {
			t.Fatalf("%s: newest of everything:\n%swant:\n%s", g, got, want)
		}
		for _, c := range []Chooser{Oldest(), Random(1), Random(2)} {
			dump(t, f.Crash(PowerLoss).Mount(c), 0) // must not run out of versions
		}
		for name := range m.files {
			h, err := f.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		for _, dir := range append(m.list(), ".") {
			if dir == "." || m.dirs[dir] {
				if err := f.SyncDir(dir); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range []Chooser{Oldest(), Random(1), Random(2)} {
			if got := dump(t, f.Crash(PowerLoss).Mount(c), 0); got != want {
				t.Fatalf("%s: everything was synced:\n%swant:\n%s", g, got, want)
			}
		}
	})
}

// op is one operation of a small program.
type op struct {
	kind, name, to string
	at, n          int64
	fill           byte
}

func (o op) String() string {
	return fmt.Sprintf("%s %s %s %d+%d %d", o.kind, o.name, o.to, o.at, o.n, o.fill)
}

func drawOp(t *rapid.T) op {
	names := []string{"a", "b"}
	return op{
		kind: rapid.SampledFrom(strings.Fields("create write write write write truncate remove rename rename prealloc sync syncdata syncdir")).Draw(t, "kind"),
		name: rapid.SampledFrom(names).Draw(t, "name"),
		to:   rapid.SampledFrom(names).Draw(t, "to"),
		at:   rapid.SampledFrom([]int64{0, 1024, 2048, 4096}).Draw(t, "at"),
		n:    rapid.SampledFrom([]int64{1024, 2048, 4096}).Draw(t, "n"),
		fill: rapid.SampledFrom([]byte{0, 1, 2}).Draw(t, "fill"),
	}
}

// do executes the operation; what cannot be done is passed over.
func (o op) do(f *FS) {
	switch o.kind {
	case "create":
		if h, err := f.OpenFile(o.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); err == nil {
			h.Close()
		}
		return
	case "remove":
		f.Remove(o.name)
		return
	case "rename":
		f.Rename(o.name, o.to)
		return
	case "syncdir":
		f.SyncDir(".")
		return
	}
	h, err := f.OpenFile(o.name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer h.Close()
	switch o.kind {
	case "write":
		b := make([]byte, o.n)
		for i := range b {
			b[i] = o.fill
		}
		h.WriteAt(b, o.at)
	case "truncate":
		h.Truncate(o.at)
	case "prealloc":
		h.(*File).Preallocate(o.at, o.n)
	case "sync":
		h.Sync()
	case "syncdata":
		h.(*File).SyncData()
	}
}

// pieces tells what is on a disk, a letter for each KiB: a digit for bytes that
// are all the same, ? for garbage.
func pieces(f *FS) string {
	var text strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		h, err := f.Open(name)
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(h)
		fmt.Fprintf(&text, " %s=", name)
		for len(b) > 0 {
			n := min(1024, len(b))
			letter := b[0] + '0'
			if bytes.Count(b[:n], b[:1]) < n {
				letter = '?'
			}
			text.WriteByte(letter)
			b = b[n:]
		}
	}
	return text.String()
}

// A promise less is never an image less: what can be left where it is given can
// be left where it is not.
func TestAPromiseTakesImagesAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Strongest()
		for range rapid.IntRange(0, 12).Draw(t, "weaker") {
			if weaker := g.Weaker(); len(weaker) > 0 {
				g = rapid.SampledFrom(weaker).Draw(t, "guarantees")
			}
		}
		program := rapid.SliceOfN(rapid.Custom(drawOp), 2, 9).Draw(t, "program")
		run := func(g Guarantees) func(c Chooser) string {
			return func(c Chooser) string {
				f := New(Options{Guarantees: g, CellSize: 1024, Garbage: Garbage{Block: true, Seed: 1}})
				for _, o := range append([]op{{kind: "create", name: "a"}}, program...) {
					o.do(f)
				}
				return pieces(f.Crash(PowerLoss).Mount(c))
			}
		}
		const limit = 2000
		strong, _ := outcomes(limit, run(g))
		for _, h := range g.Weaker() {
			if h.NewPages && g.FileSync != h.FileSync {
				continue // see Weaker
			}
			weak, ok := outcomes(limit, run(h))
			if !ok {
				continue
			}
			for state := range strong {
				if !weak[state] {
					t.Fatalf("%v\n%s has an image that %s has not:\n%s", program, g, h, state)
				}
			}
		}
	})
}

// Each promise takes something away from some program.
func TestEachPromiseCounts(t *testing.T) {
	write := func(name string, at, n int64) op { return op{kind: "write", name: name, at: at, n: n, fill: 1} }
	for _, c := range []struct {
		strong, weak string
		program      []op
	}{
		{"sequential", "posix+journal-stale-garbage+filesync=all", []op{write("a", 0, 1024), write("a", 4096, 1024)}},
		{"xfs-sizeafterdata+filesync=all", "xfs-journal-sizeafterdata+filesync=all", []op{{kind: "create", name: "b"}, {kind: "rename", name: "a", to: "c"}}},
		{"ext4", "ext4-pages", []op{write("a", 0, 4096), {kind: "sync", name: "a"}, {kind: "write", name: "a", n: 2048, fill: 2}}},
		{"ext4-newpages", "ext4", []op{write("a", 0, 1024), {kind: "sync", name: "a"}, write("a", 1024, 1024)}},
		{"btrfs", "btrfs-extents", []op{write("a", 0, 8192)}},
		{"ext4", "ext4-sizeafterdata", []op{write("a", 0, 1024)}},
		{"posix-stale-garbage", "posix-stale", []op{write("a", 0, 1024)}},
		{"ext4", "ext4+splitrename", []op{{kind: "create", name: "b"}, {kind: "rename", name: "b", to: "a"}}},
		{"ext4", "ext4-renameflush", []op{{kind: "write", name: "a", n: 1024, fill: 2}, {kind: "sync", name: "a"}, {kind: "create", name: "b"}, write("b", 0, 1024), {kind: "rename", name: "b", to: "a"}}},
		{"ext4", "ext4-datasyncshrinks", []op{write("a", 0, 4096), {kind: "sync", name: "a"}, {kind: "truncate", name: "a"}, {kind: "syncdata", name: "a"}}},
		{"posix", "posix-powersafe", []op{write("a", 0, 4096), {kind: "sync", name: "a"}, write("a", 0, 1024)}},
		{"ext4+filesync=all", "ext4", []op{{kind: "create", name: "b"}, {kind: "sync", name: "a"}}},
		{"ext4", "ext4+filesync=alone", []op{{kind: "create", name: "b"}, {kind: "sync", name: "b"}}},
		{"ext4+filesync=earlier", "ext4+filesync=names", []op{{kind: "create", name: "b"}, {kind: "create", name: "c"}, {kind: "sync", name: "c"}}},
		{"posix+filesync=all", "posix+filesync=names", []op{{kind: "create", name: "b"}, {kind: "sync", name: "a"}}},
		{"posix+filesync=names", "posix", []op{{kind: "sync", name: "a"}}},
	} {
		var sets [2]map[string]bool
		for i, text := range []string{c.strong, c.weak} {
			g, err := ParseGuarantees(text)
			if err != nil {
				t.Fatal(err)
			}
			sets[i], _ = outcomes(10000, func(ch Chooser) string {
				f := New(Options{Guarantees: g, CellSize: 1024, Garbage: Garbage{Block: true, Seed: 1}})
				for _, o := range append([]op{{kind: "create", name: "a"}}, c.program...) {
					o.do(f)
				}
				return pieces(f.Crash(PowerLoss).Mount(ch))
			})
		}
		if len(sets[0]) >= len(sets[1]) {
			t.Errorf("%v: %s leaves %d states, %s %d", c.program, c.strong, len(sets[0]), c.weak, len(sets[1]))
		}
		for state := range sets[0] {
			if !sets[1][state] {
				t.Errorf("%v: only %s leaves %s", c.program, c.strong, state)
			}
		}
	}
}

// Weaker leads from the strongest to the weakest, through every preset.
func TestWeakerReachesThePresets(t *testing.T) {
	bare := func(g Guarantees) Guarantees {
		g.Name, g.SyncFailures = "", ""
		return g
	}
	seen := map[Guarantees]bool{}
	todo := []Guarantees{Strongest()}
	var ends []Guarantees
	for len(todo) > 0 {
		g := todo[0]
		todo = todo[1:]
		if seen[bare(g)] {
			continue
		}
		seen[bare(g)] = true
		if err := g.Check(); err != nil {
			t.Fatalf("%s: %v", g, err)
		}
		if len(g.Weaker()) == 0 {
			ends = append(ends, g)
		}
		todo = append(todo, g.Weaker()...)
	}
	for _, g := range Presets() {
		if !seen[bare(g)] {
			t.Errorf("%s is not among the %d sets", g.Name, len(seen))
		}
	}
	weakest := Posix()
	weakest.SplitRename, weakest.Powersafe = true, false
	if len(ends) != 1 || bare(ends[0]) != bare(weakest) {
		t.Errorf("the weakest: %v, want %s", ends, weakest)
	}
}
