package xray

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/weaken"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Case is one way of running the program and crashing it.
type Case struct {
	Name string
	// Run runs it with wrap around every disk the program gets. The error says
	// that it cannot be run.
	Run func(ctx context.Context, wrap func(afero.Fs) afero.Fs) (Outcome, error)
	// Replay runs a plan of one of its outcomes and returns what is broken; nil
	// where outcomes have no plans.
	Replay func(ctx context.Context, p *plan.Plan) (error, error)
}

// Outcome is what came of a case.
type Outcome struct {
	Broken     error      // the first promise that was broken, or nil
	Invariant  string     // its number, if it has one
	Plan       *plan.Plan // that breaks it again over the same disk; nil: there are no plans
	Recoveries int
}

// Program is the case of a program of one's own.
func Program(name string, c explore.Config, p explore.Program) Case {
	c.StopEarly, c.MaxViolations = true, 1
	return Case{Name: name, Run: func(ctx context.Context, wrap func(afero.Fs) afero.Fs) (Outcome, error) {
		wrapped := func(run func(*explore.Run) error) func(*explore.Run) error {
			return func(r *explore.Run) error {
				r.FS = wrap(r.FS)
				return run(r)
			}
		}
		report, err := explore.Explore(ctx, c, explore.Program{Workload: wrapped(p.Workload), Recover: wrapped(p.Recover)})
		return Outcome{Broken: report.Err(), Recoveries: report.Recoveries}, err
	}}
}

// Config says what to scan.
type Config struct {
	Cases []Case
	// More is how many cases try each further way of weakening a site that one
	// way has shown to be needed. 0: 20; negative: none.
	More int
	// Sites, if not empty, limits the scan to sites whose text it accepts.
	Sites func(site string) bool
	// Progress, if not nil, is told what is being done.
	Progress func(Progress)
	// Now measures the times of the report; nil: there are none.
	Now func() time.Time
}

// Progress is how far a scan has come: it runs every case once, and then looks at
// each site.
type Progress struct {
	Done, Total int    // cases, or sites
	Sites       bool   // it looks at sites
	Recoveries  int    // so far
	Now         string // what is being done
}

// Verdict says who needs a site.
type Verdict string

// The verdicts.
const (
	Needed    Verdict = "needed"
	Redundant Verdict = "redundant"
	Uncovered Verdict = "not covered"
)

// Finding is a way of weakening a site, and what came of it.
type Finding struct {
	Mode weaken.Mode `json:"mode"`
	// Case is the first that broke a promise; "" if none did.
	Case      string `json:"case,omitempty"`
	Broken    string `json:"broken,omitempty"` // one line
	Invariant string `json:"invariant,omitempty"`
	// Plan breaks it again by itself.
	Plan *plan.Plan `json:"-"`
	// Survived is how many cases were explored before, and found nothing.
	Survived   int `json:"survived"`
	Recoveries int `json:"recoveries"` // in all of them
}

// Site is what became of one.
type Site struct {
	Site     string  `json:"site"` // as package weaken writes it
	Verdict  Verdict `json:"verdict"`
	Function string  `json:"function"` // of the inner frame
	File     string  `json:"file"`     // of the inner frame, below the module
	Line     int     `json:"line"`
	Text     string  `json:"text"` // the source line, "" where there is no source
	// Caller and CallerLine are of the outer frame: FILE:FUNCTION and its line.
	Caller     string    `json:"caller"`
	CallerLine int       `json:"caller_line"`
	Findings   []Finding `json:"findings"`
	Cases      int       `json:"cases"` // that reach it
	Seconds    float64   `json:"seconds"`
}

// Report is what a scan found.
type Report struct {
	Sites        []Site  `json:"sites"` // by file and line
	Cases        int     `json:"cases"`
	Explorations int     `json:"explorations"`
	Recoveries   int     `json:"recoveries"`
	Seconds      float64 `json:"seconds"`
}

// Count is how many sites have a verdict.
func (r Report) Count(v Verdict) int {
	n := 0
	for _, s := range r.Sites {
		if s.Verdict == v {
			n++
		}
	}
	return n
}

// Scan runs every case, and then again with the syncs of each site weakened,
// until a promise is broken. The error is a case that cannot be run or goes wrong
// by itself, or that ctx ended: then the report has the sites that were done.
func Scan(ctx context.Context, c Config) (Report, error) {
	s := &scan{Config: c, reach: map[weaken.Site][]int{}}
	s.More = cmp.Or(c.More, 20)
	began := s.now()
	var calls []weaken.Call
	for i, one := range c.Cases {
		s.say(Progress{Done: i, Total: len(c.Cases), Now: one.Name})
		watcher := &weaken.Watcher{}
		out, err := s.run(ctx, one, watcher.FS)
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return s.report, err
		}
		if out.Broken != nil {
			return s.report, fmt.Errorf("xray: %s breaks a promise with every sync in place: %w", one.Name, out.Broken)
		}
		for _, call := range watcher.Calls() {
			if c.Sites != nil && !c.Sites(call.Site.String()) {
				continue
			}
			if s.reach[call.Site] == nil {
				calls = append(calls, call)
			}
			s.reach[call.Site] = append(s.reach[call.Site], i)
		}
	}
	s.sites = len(calls)
	for _, call := range calls {
		site, err := s.site(ctx, call)
		if err != nil {
			return s.report, err
		}
		s.report.Sites = append(s.report.Sites, site)
	}
	missing, err := uncovered(calls, c.Sites)
	if err != nil {
		return s.report, err
	}
	s.report.Sites = append(s.report.Sites, missing...)
	slices.SortFunc(s.report.Sites, func(a, b Site) int {
		return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line, cmp.Compare(a.Caller, b.Caller), a.CallerLine-b.CallerLine, cmp.Compare(a.Site, b.Site))
	})
	s.report.Cases = len(c.Cases)
	s.report.Seconds = s.since(began)
	return s.report, nil
}

type scan struct {
	Config
	reach  map[weaken.Site][]int // the cases that reach a site, in order
	sites  int                   // how many of these there are
	report Report
}

func (s *scan) say(now Progress) {
	if s.Progress != nil {
		now.Recoveries = s.report.Recoveries
		s.Progress(now)
	}
}

func (s *scan) now() time.Time {
	if s.Now == nil {
		return time.Time{}
	}
	return s.Now()
}

func (s *scan) since(t time.Time) float64 {
	return float64(s.now().Sub(t).Milliseconds()) / 1000
}

func (s *scan) run(ctx context.Context, one Case, wrap func(afero.Fs) afero.Fs) (Outcome, error) {
	out, err := one.Run(ctx, wrap)
	if err != nil {
		return out, fmt.Errorf("xray: %s: %w", one.Name, err)
	}
	s.report.Explorations++
	s.report.Recoveries += out.Recoveries
	return out, nil
}

// site weakens one site in every way.
func (s *scan) site(ctx context.Context, call weaken.Call) (Site, error) {
	began := s.now()
	cases := s.reach[call.Site]
	site := describe(call)
	site.Verdict, site.Cases = Redundant, len(cases)
	for _, mode := range weaken.Modes(call.Site.Op) {
		s.say(Progress{Done: len(s.report.Sites), Total: s.sites, Sites: true, Now: fmt.Sprintf("%s %s", mode, call.Site)})
		tries := cases
		if site.Verdict == Needed {
			tries = tries[:min(len(tries), max(s.More, 0))]
		}
		if len(tries) == 0 {
			break
		}
		finding, by, err := s.weakened(ctx, mode, call.Site, tries)
		if err != nil {
			return site, err
		}
		if finding.Case != "" {
			site.Verdict = Needed
			// What found one way out is likely to find the next.
			cases = slices.Concat([]int{by}, slices.DeleteFunc(slices.Clone(cases), func(i int) bool { return i == by }))
		}
		site.Findings = append(site.Findings, finding)
	}
	site.Seconds = s.since(began)
	return site, nil
}

// weakened runs cases with one site weakened, until one breaks a promise.
func (s *scan) weakened(ctx context.Context, mode weaken.Mode, at weaken.Site, cases []int) (f Finding, by int, err error) {
	f.Mode = mode
	w, err := weaken.New(mode, at)
	if err != nil {
		return f, -1, err
	}
	for _, i := range cases {
		one := s.Cases[i]
		out, err := s.run(ctx, one, w.FS)
		if err != nil {
			return f, -1, err
		}
		f.Recoveries += out.Recoveries
		if out.Broken == nil {
			f.Survived++
			continue
		}
		f.Case, f.Broken, f.Invariant = one.Name, firstLine(out.Broken), out.Invariant
		if out.Plan != nil {
			f.Plan = out.Plan
			f.Plan.Set("sync", w.String())
			broken, err := one.Replay(ctx, f.Plan)
			if err != nil {
				return f, -1, fmt.Errorf("xray: %s: replay with %s: %w", one.Name, w, err)
			}
			if broken == nil {
				return f, -1, fmt.Errorf("xray: %s: with %s a promise is broken, but its plan does not show it again: %v", one.Name, w, out.Broken)
			}
		}
		return f, i, nil
	}
	return f, -1, nil
}
