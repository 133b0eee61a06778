package simfs

import (
	"errors"
	"fmt"
	"strings"
)

// syncScopes are the words for FileSync, the weakest promise first.
func syncScopes() []struct {
	word  string
	scope SyncScope
} {
	return []struct {
		word  string
		scope SyncScope
	}{{"alone", SyncAlone}, {"names", SyncOwnNames}, {"earlier", SyncEarlier}, {"all", SyncAll}, {"everything", SyncEverything}}
}

// String is the scope's word in the text of guarantees.
func (s SyncScope) String() string {
	for _, w := range syncScopes() {
		if w.scope == s {
			return w.word
		}
	}
	return fmt.Sprintf("SyncScope(%d)", uint8(s))
}

// switchWord is the word for a guarantee that is there or not.
type switchWord struct {
	word  string
	field func(*Guarantees) *bool
}

func switchWords() []switchWord {
	return []switchWord{
		{"journal", func(g *Guarantees) *bool { return &g.Journal }},
		{"sequential", func(g *Guarantees) *bool { return &g.Sequential }},
		{"pages", func(g *Guarantees) *bool { return &g.Pages }},
		{"tear", func(g *Guarantees) *bool { return &g.Tear }},
		{"extents", func(g *Guarantees) *bool { return &g.Extents }},
		{"sizeafterdata", func(g *Guarantees) *bool { return &g.SizeAfterData }},
		{"newpages", func(g *Guarantees) *bool { return &g.NewPages }},
		{"stale", func(g *Guarantees) *bool { return &g.StaleUncovered }},
		{"garbage", func(g *Guarantees) *bool { return &g.GarbageUncovered }},
		{"splitrename", func(g *Guarantees) *bool { return &g.SplitRename }},
		{"renameflush", func(g *Guarantees) *bool { return &g.RenameFlush }},
		{"datasyncshrinks", func(g *Guarantees) *bool { return &g.DataSyncShrinks }},
		{"powersafe", func(g *Guarantees) *bool { return &g.Powersafe }},
	}
}

// ParseGuarantees reads a preset's name and the changes to it, as String prints
// them:
//
//	posix
//	ext4-powersafe
//	posix+journal+pages-stale+filesync=all
//
// A plus sets a guarantee and a minus takes it away, each by the name of its
// field in small letters (stale and garbage: StaleUncovered, GarbageUncovered).
// filesync is one of alone, names, earlier, all, everything. Name and
// SyncFailures stay the preset's. An error is one line that says what may be
// written, or what Check says of the combination.
func ParseGuarantees(text string) (Guarantees, error) {
	var g Guarantees
	for _, preset := range Presets() { // ext4-writeback before ext4: the longest name that fits
		rest, ok := strings.CutPrefix(text, preset.Name)
		if ok && (rest == "" || rest[0] == '+' || rest[0] == '-') && len(preset.Name) > len(g.Name) {
			g = preset
		}
	}
	if g.Name == "" {
		return Guarantees{}, fmt.Errorf("simfs: no preset at the start of %q: %s", text, guaranteesHelp())
	}
	for rest := text[len(g.Name):]; rest != ""; {
		sign := rest[0]
		word := rest[1:]
		if i := strings.IndexAny(word, "+-"); i >= 0 {
			word = word[:i]
		}
		rest = rest[1+len(word):]
		if !g.change(sign == '+', word) {
			return Guarantees{}, fmt.Errorf("simfs: %q in %q is no guarantee: %s", string(sign)+word, text, guaranteesHelp())
		}
	}
	if err := g.Check(); err != nil {
		return Guarantees{}, fmt.Errorf("%w, in %q", err, text)
	}
	return g, nil
}

// change makes one change and reports whether the word is known.
func (g *Guarantees) change(to bool, word string) bool {
	if value, ok := strings.CutPrefix(word, "filesync="); ok && to {
		for _, w := range syncScopes() {
			if w.word == value {
				g.FileSync = w.scope
				return true
			}
		}
		return false
	}
	for _, w := range switchWords() {
		if w.word == word {
			*w.field(g) = to
			return true
		}
	}
	return false
}

// guaranteesHelp lists what can be written.
func guaranteesHelp() string {
	var words, scopes []string
	for _, w := range switchWords() {
		words = append(words, w.word)
	}
	for _, w := range syncScopes() {
		scopes = append(scopes, w.word)
	}
	return fmt.Sprintf("write one of %s, then changes with + or -: %s; or +filesync= one of %s",
		strings.Join(PresetNames(), " "), strings.Join(words, " "), strings.Join(scopes, " "))
}

// String is the text that ParseGuarantees reads: the preset of that name (posix
// where it is none) and what differs from it, in a fixed order. SyncFailures are
// not part of it.
func (g Guarantees) String() string {
	base := Posix()
	for _, preset := range Presets() {
		if preset.Name == g.Name {
			base = preset
		}
	}
	text := base.Name
	for _, w := range switchWords() {
		switch has, had := *w.field(&g), *w.field(&base); {
		case has && !had:
			text += "+" + w.word
		case had && !has:
			text += "-" + w.word
		}
	}
	if g.FileSync != base.FileSync {
		text += "+filesync=" + g.FileSync.String()
	}
	return text
}

// Fields is every guarantee by the name of its field, also what String leaves out:
// for a certificate, which has to differ wherever anything does.
func (g Guarantees) Fields() string {
	type all Guarantees // without String
	return fmt.Sprintf("%+v", all(g))
}

// Check says why guarantees do not go together, or nil: some speak of an order
// that only others establish.
func (g Guarantees) Check() error {
	for _, wrong := range []struct {
		is  bool
		why string
	}{
		{g.Sequential && !g.Journal, "sequential needs journal: every operation is in it"},
		{g.Sequential && g.FileSync == SyncOwnNames, "sequential does not go with filesync=names: a name would run ahead of the prefix"},
		{g.Sequential && (g.StaleUncovered || g.GarbageUncovered), "sequential does not go with stale or garbage: a size comes with its bytes"},
		{g.Sequential && (g.Extents || g.SizeAfterData), "sequential does not go with extents or sizeafterdata: it says more than both"},
		{g.SizeAfterData && !g.Journal, "sizeafterdata needs journal: it is what waits for the data"},
		{g.SizeAfterData && g.Extents, "sizeafterdata does not go with extents: there a size comes with its write"},
		{g.SizeAfterData && (g.StaleUncovered || g.GarbageUncovered), "sizeafterdata does not go with stale or garbage: a size comes with its bytes"},
		{g.Extents && (g.StaleUncovered || g.GarbageUncovered), "extents does not go with stale or garbage: a size comes with its bytes"},
		{g.FileSync == SyncEarlier && !g.Journal, "filesync=earlier needs journal: it is a place in its order"},
		{g.FileSync == SyncEverything && !g.Sequential, "filesync=everything needs sequential: without it, filesync=all is all there is"},
		{g.NewPages && !g.SizeAfterData && !g.RenameFlush, "newpages needs sizeafterdata or renameflush: it takes back a part of them"},
		{g.NewPages && (g.Sequential || g.Extents), "newpages does not go with sequential or extents: each write is whole"},
		{g.Tear && !g.Pages, "tear needs pages: without them every sector may tear"},
		{g.FileSync > SyncEverything, "the value of FileSync is none of the constants"},
	} {
		if wrong.is {
			return errors.New("simfs: " + wrong.why)
		}
	}
	return nil
}

// Strongest promises everything that any preset does, all at once. That includes
// Extents and SizeAfterData, which being Sequential says.
func Strongest() Guarantees {
	return Guarantees{
		Name: "sequential", Journal: true, Sequential: true, Pages: true,
		FileSync: SyncEverything, RenameFlush: true, DataSyncShrinks: true, Powersafe: true, SyncFailures: Sequential().SyncFailures,
	}
}

// Weaker returns every way of promising one thing less, in a fixed order. What a
// crash can leave under g it can leave under each of them too; so who can live
// with one of them can live with g. Going on, one comes from Strongest to all
// guarantees that Check accepts and that have neither Tear (which is Pages taken
// back) nor GarbageUncovered without StaleUncovered, and at last to the weakest.
//
// Where a write may harm what it did not touch, Pages are no promise: a harmed
// page is garbage up to its end, a harmed sector up to the end of the file. They
// are taken away together with Powersafe.
//
// With NewPages the order is not strict: a sync that covers less leaves pages new
// that one which covers more does not, and sizes wait for new pages only.
func (g Guarantees) Weaker() []Guarantees {
	var all []Guarantees
	add := func(change func(h *Guarantees)) {
		h := g
		change(&h)
		if h.Check() == nil {
			all = append(all, h)
		}
	}
	if g.Sequential {
		for _, field := range []func(*Guarantees) *bool{
			func(g *Guarantees) *bool { return &g.Extents },
			func(g *Guarantees) *bool { return &g.SizeAfterData },
		} {
			add(func(h *Guarantees) {
				h.Sequential, *field(h) = false, true
				if h.FileSync == SyncEverything {
					h.FileSync = SyncAll
				}
			})
		}
	}
	if g.Journal && !g.Sequential {
		add(func(h *Guarantees) {
			h.Journal, h.SizeAfterData = false, false
			h.NewPages = h.NewPages && h.RenameFlush
			if h.FileSync == SyncEarlier {
				h.FileSync = SyncOwnNames
			}
		})
	}
	for _, field := range []func(*Guarantees) *bool{
		func(g *Guarantees) *bool { return &g.Pages },
		func(g *Guarantees) *bool { return &g.Extents },
		func(g *Guarantees) *bool { return &g.SizeAfterData },
		func(g *Guarantees) *bool { return &g.RenameFlush },
		func(g *Guarantees) *bool { return &g.DataSyncShrinks },
	} {
		if *field(&g) {
			add(func(h *Guarantees) {
				*field(h) = false
				h.NewPages = h.NewPages && (h.SizeAfterData || h.RenameFlush)
			})
		}
	}
	if !g.NewPages {
		add(func(h *Guarantees) { h.NewPages = true })
	}
	// Alone and names cannot be compared where there is a journal: a name that
	// runs ahead of it is one that it would not have yet.
	weakerSyncs := map[SyncScope][]SyncScope{SyncEverything: {SyncAll}, SyncAll: {SyncOwnNames}, SyncOwnNames: {SyncAlone}}
	if g.Journal {
		weakerSyncs = map[SyncScope][]SyncScope{SyncEverything: {SyncAll}, SyncAll: {SyncEarlier}, SyncEarlier: {SyncAlone, SyncOwnNames}}
	}
	for _, scope := range weakerSyncs[g.FileSync] {
		add(func(h *Guarantees) { h.FileSync = scope })
	}
	switch {
	case !g.StaleUncovered:
		add(func(h *Guarantees) { h.StaleUncovered = true })
	case !g.GarbageUncovered:
		add(func(h *Guarantees) { h.GarbageUncovered = true })
	}
	if !g.SplitRename {
		add(func(h *Guarantees) { h.SplitRename = true })
	}
	if g.Powersafe {
		add(func(h *Guarantees) { h.Powersafe, h.Pages = false, false })
	}
	return all
}
