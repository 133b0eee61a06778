package weaken

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/afero"
)

// Mode is what is done to a sync.
type Mode string

// The modes, the strongest first.
const (
	Drop   Mode = "drop"
	Delay  Mode = "delay"
	Weaken Mode = "weaken"
)

// Modes lists what can be done to an operation.
func Modes(op string) []Mode {
	if op == "SyncData" {
		return []Mode{Drop, Delay}
	}
	return []Mode{Drop, Delay, Weaken}
}

// Weakening is a mode for the syncs of one site. Make it with New or Parse.
type Weakening struct {
	Mode Mode
	Site Site

	hits atomic.Int64
	memo memo
}

// New returns the weakening of a site. It fails where the mode is none of Modes.
func New(mode Mode, site Site) (*Weakening, error) {
	if !slices.Contains(Modes(site.Op), mode) {
		return nil, fmt.Errorf("weaken: %q cannot be done to %s: write one of %q", mode, site.Op, Modes(site.Op))
	}
	return &Weakening{Mode: mode, Site: site}, nil
}

// Parse reads what String prints: a mode and a site.
func Parse(text string) (*Weakening, error) {
	mode, rest, _ := strings.Cut(text, " ")
	if !slices.Contains(Modes("Sync"), Mode(mode)) {
		return nil, fmt.Errorf("weaken: %q begins with no mode: write drop, delay or weaken, then the site", text)
	}
	site, err := ParseSite(rest)
	if err != nil {
		return nil, err
	}
	return New(Mode(mode), site)
}

// String is the mode and the site.
func (w *Weakening) String() string { return string(w.Mode) + " " + w.Site.String() }

// Hits is how many syncs have been weakened.
func (w *Weakening) Hits() int64 { return w.hits.Load() }

// FS is base with the syncs of the site weakened. Several may be made of one
// weakening.
func (w *Weakening) FS(base afero.Fs) afero.Fs {
	return &fsys{Fs: base, memo: &w.memo, decide: func(c Call) (Mode, error) {
		if !w.Site.covers(c.Site) {
			return "", nil
		}
		if c.unknown != nil && (w.Site.Inner.Number > 0 || w.Site.Outer.Number > 0) {
			return "", c.unknown
		}
		if !w.Site.Inner.is(c.Site.Inner) || !w.Site.Outer.is(c.Site.Outer) {
			return "", nil
		}
		w.hits.Add(1)
		return w.Mode, nil
	}}
}

// covers compares all but the numbers.
func (s Site) covers(c Site) bool {
	return s.Op == c.Op && (s.Inner == Place{} || s.Inner.File == c.Inner.File && s.Inner.Func == c.Inner.Func) &&
		(s.Outer == Place{} || s.Outer.File == c.Outer.File && s.Outer.Func == c.Outer.Func)
}

func (p Place) is(c Place) bool { return p.Number == 0 || p.Number == c.Number }

// Watcher tells which sites a program has.
type Watcher struct {
	memo memo
	mu   sync.Mutex
	seen map[Site]Call
}

// FS is base, with every sync noted.
func (w *Watcher) FS(base afero.Fs) afero.Fs {
	return &fsys{Fs: base, memo: &w.memo, decide: func(c Call) (Mode, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.seen == nil {
			w.seen = map[Site]Call{}
		}
		w.seen[c.Site] = c
		return "", nil
	}}
}

// Calls returns one call of each site seen since the last time it was asked, by
// the text of the site.
func (w *Watcher) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var calls []Call
	for _, c := range w.seen {
		calls = append(calls, c)
	}
	w.seen = nil
	slices.SortFunc(calls, func(a, b Call) int { return strings.Compare(a.Site.String(), b.Site.String()) })
	return calls
}

// memo is what was found out about call sites and source files.
type memo struct {
	calls sync.Map // key → Call
	mu    sync.Mutex
	files map[string]parsedFile
}

type key struct {
	op  string
	pcs [2]uintptr
}

type parsedFile struct {
	positions *token.FileSet
	syntax    *ast.File
	err       error
}
