package synclab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Config says how to run the lab. Its zero value is a good start: on posix,
// where every mode can happen.
type Config struct {
	Disk    simfs.Guarantees // what the disk promises; zero: posix
	Workers int              // how many runs at once; 0: one for each processor
	// Sites, if not 0, is how many syncs of each story are made to fail: the first
	// of each call site, and so on in turn. 0: all.
	Sites int
	// Stories are the names of the stories to run; nil: all. See Site.Story.
	Stories []string
	// Modes are the modes to run; nil: all that the disk has.
	Modes []faults.Mode
	// Progress, if not nil, is told of each run, by several goroutines but never at
	// once.
	Progress func(Progress)
}

// Progress is how far the lab has come.
type Progress struct {
	Done, Total int // runs: one sync of one story fails in one mode
	Images      int // recovered
	Bad         int // failures
}

// Table is what the lab found.
type Table struct {
	Program string
	Disk    string
	Sites   []Site
	Cells   []Cell // row by row
}

// Site is a sync that was made to fail.
type Site struct {
	Story string
	Call  string // the innermost two functions of the program
	Fault string // without its mode: "step=2 syncdata seg #1"
}

// Cell is one row and column.
type Cell struct {
	Mode     string // "ext4, xfs", "ext4-data", "btrfs", "keep-dirty", "shutdown" or "silent"
	Reopened bool   // the program closes the store and opens it again; else it keeps its handle
	Restart  bool   // the process is restarted, and power is lost later; else at once
	Retries  bool   // the program submits a record that failed again

	Fired  int // syncs that failed so
	Images int // recovered
	Lost   int // of these, without an acknowledged record, unavoidably
	Named  int // of these, with the store saying so
	Bad    []Failure
	BadAll int // failures, those not listed included

	Unknown bool // not all of its runs were done before ctx ended
}

// Failure is something that the program could have avoided.
type Failure struct {
	Err   string
	Story string
	Fault string
	Crash string // the crashes behind it, as simfs/explore writes them; "none": before any
}

// The verdicts, besides "BAD: …".
const (
	NotDone      = "not done"
	OK           = "ok"
	Unavoidable  = "acknowledged data lost: unavoidable"
	CannotHappen = "cannot happen"
)

// Verdict is the cell's worst run in words.
func (c *Cell) Verdict() string {
	switch {
	case len(c.Bad) > 0:
		return "BAD: " + c.Bad[0].Err
	case c.Unknown:
		return NotDone
	case c.Fired == 0:
		return CannotHappen
	case c.Lost > 0:
		return Unavoidable
	}
	return OK
}

// Bad reports whether some cell is bad.
func (t *Table) Bad() bool {
	return slices.ContainsFunc(t.Cells, func(c Cell) bool { return len(c.Bad) > 0 })
}

// rows are the modes of the table; of several in a row the first that the disk
// has is run, since they are alike.
func rows() [][]faults.Mode {
	return [][]faults.Mode{
		{faults.Ext4, faults.XFS}, {faults.Ext4Data}, {faults.Btrfs}, {faults.KeepDirty}, {faults.Shutdown}, {faults.Silent},
	}
}

// cell is how a program goes on.
type cell struct{ reopened, restart, retries bool }

func columns() (all []cell) {
	for _, reopened := range []bool{false, true} {
		for _, restart := range []bool{true, false} {
			for _, retries := range []bool{true, false} {
				all = append(all, cell{reopened, restart, retries})
			}
		}
	}
	return all
}

// labRun is one run of the lab: one sync of one story fails in one mode.
type labRun struct {
	cell int // index in Table.Cells
	how  cell
	site *site
	mode faults.Mode

	fired       bool
	images      int
	lost, named int
	violated    int
	failures    []Failure
	err         error
	done        bool
	collect     sync.Mutex
}

// Run puts a program through the lab. The error says that a story does not work
// where no sync fails, or that ctx ended: then the table, if there is one, tells of
// the runs that were done, and says of which cells more is to be known.
func Run(ctx context.Context, p Program, c Config) (*Table, error) {
	if c.Disk.Name == "" {
		c.Disk = simfs.Posix()
	}
	t := &Table{Program: p.Name(), Disk: c.Disk.Name}
	l := &lab{ctx: ctx, program: p, config: c}
	for _, s := range stories() {
		if c.Stories == nil || slices.Contains(c.Stories, s.name) {
			l.stories = append(l.stories, s)
		}
	}
	for i := range l.stories {
		list, err := l.stories[i].sites(p, c, i)
		if err != nil {
			return nil, fmt.Errorf("synclab: %s: %w", p.Name(), err)
		}
		l.sites = append(l.sites, fewer(list, c.Sites)...)
	}
	for _, s := range l.sites {
		key, _, _ := strings.Cut(s.fails(faults.Ext4).String(), ":")
		t.Sites = append(t.Sites, Site{l.stories[s.story].name, s.call, key})
	}
	var runs []*labRun
	for _, modes := range rows() {
		var names []string
		for _, m := range modes {
			names = append(names, string(m))
		}
		mode := slices.IndexFunc(modes, func(m faults.Mode) bool {
			return slices.Contains(strings.Fields(c.Disk.SyncFailures), string(m)) && (c.Modes == nil || slices.Contains(c.Modes, m))
		})
		for _, how := range columns() {
			t.Cells = append(t.Cells, Cell{
				Mode: strings.Join(names, ", "), Reopened: how.reopened, Restart: how.restart, Retries: how.retries,
			})
			for i := range l.sites {
				if mode >= 0 {
					runs = append(runs, &labRun{cell: len(t.Cells) - 1, how: how, site: &l.sites[i], mode: modes[mode]})
				}
			}
		}
	}
	err := l.all(runs)
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	for _, r := range runs {
		if r.done {
			t.Cells[r.cell].add(r)
		} else {
			t.Cells[r.cell].Unknown = true
		}
	}
	return t, err
}

// mostFailures is how many failures of a cell are listed.
const mostFailures = 4

func (c *Cell) add(r *labRun) {
	if r.fired {
		c.Fired++
	}
	c.Images += r.images
	c.Lost += r.lost
	c.Named += r.named
	c.BadAll += r.violated
	c.Bad = append(c.Bad, r.failures[:min(len(r.failures), mostFailures-len(c.Bad))]...)
}

// fewer keeps at most n sites: one of each call site, then a second of each, and
// so on.
func fewer(list []site, n int) []site {
	if n <= 0 || len(list) <= n {
		return list
	}
	turn := make([]int, len(list))
	seen := map[string]int{}
	order := make([]int, len(list))
	for i, s := range list {
		turn[i], order[i] = seen[s.call], i
		seen[s.call]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(turn[a], turn[b]) })
	order = order[:n]
	slices.Sort(order)
	var kept []site
	for _, i := range order {
		kept = append(kept, list[i])
	}
	return kept
}

// lab is one call of Run.
type lab struct {
	ctx     context.Context
	program Program
	config  Config
	stories []story
	sites   []site
}

func (l *lab) all(runs []*labRun) error {
	var mu sync.Mutex
	done, images, bad := 0, 0, 0 // guarded by mu
	explore.Each(l.config.Workers, len(runs), func(i int) {
		r := runs[i]
		r.err = l.one(r)
		r.done = r.err == nil
		mu.Lock()
		defer mu.Unlock()
		done, images, bad = done+1, images+r.images, bad+r.violated
		if l.config.Progress != nil {
			l.config.Progress(Progress{done, len(runs), images, bad})
		}
	})
	var problems []error
	for _, r := range runs {
		problems = append(problems, r.err)
	}
	return errors.Join(problems...)
}

// nothing lets time pass unnoticed.
func nothing(time.Duration) {}

// one lets one sync fail, goes on, and crashes from there on.
func (l *lab) one(r *labRun) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	s := &l.stories[r.site.story]
	image, known, puts, err := s.start(l.program, l.config)
	if err != nil {
		return err
	}
	kinds := explore.Power
	if r.how.restart {
		kinds = explore.Kill | explore.Reopen
	}
	fault := r.site.fails(r.mode)
	report, err := explore.Explore(l.ctx, explore.Config{
		Guarantees: l.config.Disk, Start: image, Kinds: kinds, Workers: 1, MaxViolations: mostFailures, StopEarly: true,
		Exhaustive: 32, MaxDeviation: 1, Samples: 2, MaxPerPoint: 64,
		From: func(n explore.Note) bool { return strings.HasPrefix(n.Key, faultKey) },
	}, explore.Program{
		Workload: func(run *explore.Run) error {
			d := &driver{program: l.program, how: r.how, disk: run.Disk, seed: 2, known: known, puts: puts, note: run.Note}
			d.faults = faults.New(run.FS, append(s.also(), fault), faults.Options{OnHit: d.onHit})
			d.fs = d.faults
			err := d.do(s.steps)
			r.fired = d.known.fault
			return err
		},
		Recover: func(run *explore.Run) error { return l.recover(run, r) },
	})
	if err != nil {
		return err
	}
	r.violated = report.Violated
	for _, v := range report.Violations {
		r.failures = append(r.failures, Failure{Err: v.Err.Error(), Story: s.name, Fault: fault.String(), Crash: v.Path.String()})
	}
	return nil
}

// recover opens the store on what a crash left, judges what it shows, and puts
// one more record.
func (l *lab) recover(run *explore.Run, r *labRun) error {
	known := run.History[len(run.History)-1].Value.(ledger)
	if run.Kind == simfs.PowerLoss {
		known.lie = false // what it was about is lost, or not
	}
	what, err := l.look(run, known)
	r.collect.Lock()
	defer r.collect.Unlock()
	r.images++
	switch {
	case err != nil:
	case what == named:
		r.named++
		fallthrough
	case what == lost:
		r.lost++
	}
	return err
}

func (l *lab) look(run *explore.Run, known ledger) (outcome, error) {
	before := run.Disk.Clone()
	store, err := l.program.Open(run.FS, run.Entropy)
	if err != nil {
		return known.named(l.program, before, err)
	}
	all, err := store.All()
	if err != nil {
		return known.named(l.program, before, err)
	}
	missing, err := known.compare(all)
	if err != nil {
		return fine, err
	}
	what := fine
	if len(missing) > 0 {
		what = lost
		proof, err := known.proof(before, missing)
		if err != nil {
			return fine, err
		}
		if proof != "" {
			return fine, fmt.Errorf("%s is lost, which nothing says, though %s proves it", missing[0], proof)
		}
	}
	known = known.shown(all)
	run.Note(explore.Note{Key: fmt.Sprintf("shown %d", len(all)), Value: known})
	next := Record{fmt.Sprintf("after-%d-%016x", run.Depth, run.Entropy), ""}
	next.Value = fmt.Sprintf("<%s>", next.Key)
	known = known.submitted(next)
	run.Note(explore.Note{Key: "put " + next.Key, Value: known})
	if err := store.Put(next.Key, next.Value); err != nil {
		return fine, fmt.Errorf("it takes no record after it was opened: %w", err)
	}
	if known, err = known.acknowledged(run.Disk, next.Key); err != nil {
		return fine, err
	}
	run.Note(explore.Note{Key: "acked " + next.Key, Value: known})
	all, err = store.All()
	if err != nil {
		return fine, fmt.Errorf("it was opened, and cannot be read after a record: %w", err)
	}
	if _, err := known.compare(all); err != nil {
		return fine, err
	}
	if err := store.Close(); err != nil {
		return fine, fmt.Errorf("it does not close: %w", err)
	}
	return what, nil
}

// String is the table, and what is lost or bad in it.
func (t *Table) String() string {
	text := t.Summary()
	for i := range t.Cells {
		for _, c := range t.Cards(&t.Cells[i], "") {
			text += "\n" + c.Text()
		}
	}
	return text
}

// Summary is the table, and what is lost in it.
func (t *Table) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: %d syncs of %d call sites fail, each in every cell\n\n", t.Program, t.Disk, len(t.Sites), t.calls())
	short := func(c *Cell) string {
		switch v := c.Verdict(); {
		case strings.HasPrefix(v, "BAD"):
			return "BAD"
		case v == Unavoidable:
			return "lost, unavoidable"
		default:
			return v
		}
	}
	line := func(cells ...string) {
		fmt.Fprintf(&b, "%-11s", cells[0])
		for _, text := range cells[1:] {
			fmt.Fprintf(&b, "  %-17s", text)
		}
		b.WriteString("\n")
	}
	line("", "same handle", "", "", "", "reopened", "", "", "")
	line("", "restart", "", "power loss", "", "restart", "", "power loss", "")
	line("", "retries", "gives up", "retries", "gives up", "retries", "gives up", "retries", "gives up")
	width := len(columns())
	for i := 0; i+width <= len(t.Cells); i += width {
		row := []string{t.Cells[i].Mode}
		for k := range width {
			row = append(row, short(&t.Cells[i+k]))
		}
		line(row...)
	}
	text := strings.ReplaceAll(b.String(), " \n", "\n")
	b.Reset()
	for l := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	for i := range t.Cells {
		c := &t.Cells[i]
		if c.Lost > 0 {
			fmt.Fprintf(&b, "\n%s: acknowledged data lost: unavoidable: in %d of %d images, named in %d", c.place(), c.Lost, c.Images, c.Named)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (t *Table) calls() int {
	seen := map[string]bool{}
	for _, s := range t.Sites {
		seen[s.Call] = true
	}
	return len(seen)
}

// Handle is "same handle" or "reopened".
func (c *Cell) Handle() string { return either(c.Reopened, "reopened", "same handle") }

// End is "restart" or "power loss".
func (c *Cell) End() string { return either(c.Restart, "restart", "power loss") }

// Then is "retries" or "gives up".
func (c *Cell) Then() string { return either(c.Retries, "retries", "gives up") }

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// place is the cell's row and column in words.
func (c *Cell) place() string {
	return strings.Join([]string{c.Mode, c.Handle(), c.End(), c.Then()}, ", ")
}
