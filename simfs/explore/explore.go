package explore

import (
	"context"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
)

// A Note is something that a program wants to know after a crash: that a call
// has started, and what it returned.
type Note struct {
	Key   string // says all of it, in the same words each time; hashed
	Value any    // whatever the program wants back; must not change any more
	// Change says what the note does to what may be on a disk after a crash. It
	// spares the lazy search crashes that others cover.
	Change Change
}

// A Change is what a note does to what a recovery accepts.
type Change uint8

const (
	Either  Change = iota // nobody knows: a crash comes just before the note and just after it
	Widens                // more is accepted, such as the effect of a call that begins: a crash comes before it
	Narrows               // less is, such as what a call has promised: the next crash will do
	// Explains says what the last operation did, such as a sync that lied: no crash
	// comes between the two, in no search, or the lie would be judged as the truth.
	Explains
)

// A Run is one run of a program: the workload, or one recovery.
type Run struct {
	FS   afero.Fs   // the disk, for the program to use or to wrap
	Disk *simfs.FS  // the same disk, for the test to look into; its observer is taken
	Note func(Note) // remember this beyond a crash; safe for concurrent use
	// Recovered says that the program has recovered, and what follows is its
	// further use: with Config.Depth Fixpoint no crash comes after it. Calling it
	// is never wrong, and never needed in the workload.
	Recovered func()
	// Outcome is what the program says came of a recovery, for Config.OnRecovered.
	Outcome any
	Depth   int        // crashes before this run: 0 in the workload
	Kind    simfs.Kind // the last of them; of no meaning in the workload

	// History is every note made before the crash, in this run's ancestors
	// from Config.Before and the workload on, oldest first. Not to be written to.
	History []Note
	// Entropy seeds the clock and the randomness of this run. After a crash it
	// is a function of the image (and, without Lazy, of the depth), so that equal
	// images recover equally; in the workload, of Config.Seed. With Fixpoint it
	// alternates between two values from the second crash on: a recovery that writes
	// a new random number each time it is cut off would never come to an end.
	Entropy uint64
}

// A Program runs once on an empty disk, and again on every disk that a crash
// could leave behind.
type Program struct {
	// Workload runs once. A non-nil error is a violation: nothing crashed.
	Workload func(*Run) error
	// Recover opens the image and checks it against run.History. A non-nil
	// error is a violation.
	Recover func(*Run) error
}

// Func is the Program of two plain functions. It has no notes, so recover can
// only tell whether what it finds is whole, not whether something that was
// acknowledged is gone: for that, make notes, or use scenarios/crashtest.
func Func(workload, recover func(fs afero.Fs) error) Program {
	return Program{
		Workload: func(run *Run) error { return workload(run.FS) },
		Recover:  func(run *Run) error { return recover(run.FS) },
	}
}

// Points says where in a run a crash may come.
type Points uint8

const (
	Barriers Points = iota // power: before barriers, around notes, at the end; kill: before each operation too
	All                    // before every operation; kill: also inside each write, after each cell
)

// Kinds is a set of crash kinds.
type Kinds uint8

const (
	Power    Kinds = 1 << iota // power loss: a legal image
	Kill                       // process kill: the live disk
	Reopen                     // kill, reopen, and power loss during or after that recovery
	AllKinds = Power | Kill | Reopen
)

// Fixpoint is, as Config.Depth, any number of crashes before Run.Recovered is
// called, one in the recovery from the other, until none leaves an image that
// was not there before; it needs Lazy. Process kills come in the workload and in
// the recovery from its crash only: what killed recoveries have written piles up
// without an end as long as none comes to its sync. (In the lazy search a recovery's note with
// the key of the note before it is not kept, so that recoveries that say the same
// again and again come to an end.) A program that leaves something new each
// time is given up after 32 crashes in a row, and the report is not exact.
const Fixpoint = -1

// MaxDepth is the largest number for Config.Depth.
const MaxDepth = 8

// Config says how to explore. Its zero value is a good start: the posix
// preset, all kinds of crash, all prefixes.
type Config struct {
	Guarantees simfs.Guarantees // what the disk promises; zero: posix
	CellSize   int              // bytes that the disk writes as one, a power of two up to 4096; 0: 512
	Garbage    simfs.Garbage    // what may stand in bytes that no write has covered; zero: zeros

	// Callers and CallerSkip are those of simfs.Options, for what Follow tells.
	Callers    int
	CallerSkip []string

	// Start is the disk that the workload begins with, what an earlier crash
	// left: nothing in it may be undecided, and Guarantees, CellSize and Garbage
	// must be those that it was made with. nil: an empty disk. Before is the
	// history that goes with it.
	Start  *simfs.Image
	Before []Note

	Points Points
	Kinds  Kinds // 0: AllKinds
	// From, if not nil, leaves out the crashes of the workload that come before
	// the first note of which it says true: an injected fault, say.
	From func(Note) bool
	// Depth is how many more crashes may come during the recoveries, or Fixpoint.
	// The power loss that ends a Reopen is not counted.
	Depth int

	// Lazy decides a variable when the recovery first reads it, and not before:
	// one run stands for all images that differ only in what it never read, so
	// that a crash point is searched to the end where recoveries read no more than
	// they need. MaxLeaves is how many runs one crash point may take; one that
	// needs more gets the bounded search that Exhaustive, MaxDeviation and Samples
	// describe (all that differs from a prefix in one variable, and 64 samples, if
	// they say nothing), and the report is not exact. 0: 65536.
	Lazy      bool
	MaxLeaves int

	// Exhaustive is up to how many images a crash point gets all of them.
	// 0: 256; negative: none.
	Exhaustive int
	// MaxDeviation is in how many variables an image may differ from a prefix,
	// 0 to 2, at a crash point that has too many images to try them all.
	MaxDeviation int
	// Samples is how many random images such a crash point gets besides.
	Samples int
	// Seed decides the samples, and Entropy in the workload.
	Seed uint64

	// MaxPerPoint is how many images of one crash point are tried; beyond that
	// they are sampled, and the report is not exact. 0: 4096.
	MaxPerPoint int
	// MaxImages is how many different images are recovered altogether, spread
	// evenly over the depths and their crash points; with more crash points than
	// that, a sample of them. 0: no limit.
	MaxImages int

	// MaxViolations is how many violations the report lists; the others are
	// counted. 0: 16.
	MaxViolations int
	// StopEarly ends the exploration soon after the first violation.
	StopEarly bool
	// OnViolation is called for each violation listed, in order, from the
	// goroutine that called Explore. May be nil.
	OnViolation func(Violation)
	// OnRecovered is told of each run of Recover that the report counts, in the same
	// order for any number of workers, from the goroutine that called Explore. May be
	// nil.
	OnRecovered func(Recovery)

	// Workers is how many recoveries run at once. 0: GOMAXPROCS.
	Workers int

	// Seen, if not nil, is shared with other explorations: Report.ImagesNew
	// counts the images that it did not have. Share it only between
	// explorations of one program, since a key does not say which.
	Seen *Set
	// SkipSeen leaves out what Seen has, and all that would come of it. It
	// saves the work, but makes the report depend on what ran before.
	SkipSeen bool
}

// A ConfigError lists everything that is wrong with a Config or a Program.
type ConfigError struct{ Problems []string }

func (e *ConfigError) Error() string {
	return "explore: bad configuration: " + strings.Join(e.Problems, "; ")
}

// settle fills in the defaults, or says all that is wrong.
func (c Config) settle(p Program) (Config, error) {
	var wrong []string
	need := func(ok bool, problem string) {
		if !ok {
			wrong = append(wrong, problem)
		}
	}
	need(p.Workload != nil, "Program.Workload is nil")
	need(p.Recover != nil, "Program.Recover is nil")
	need(c.CellSize >= 0 && c.CellSize <= simfs.PageSize && c.CellSize&(c.CellSize-1) == 0,
		fmt.Sprintf("CellSize %d: want a power of two up to %d, or 0", c.CellSize, simfs.PageSize))
	need(c.Points <= All, "Points: want Barriers or All")
	need(c.Kinds&^AllKinds == 0, "Kinds: want some of Power, Kill and Reopen")
	need(c.Depth >= Fixpoint && c.Depth <= MaxDepth, fmt.Sprintf("Depth %d: want 0 to %d, or Fixpoint", c.Depth, MaxDepth))
	need(c.Depth != Fixpoint || c.Lazy, "Depth is Fixpoint without Lazy")
	need(c.MaxLeaves >= 0, "MaxLeaves is negative")
	need(c.MaxDeviation >= 0 && c.MaxDeviation <= 2, fmt.Sprintf("MaxDeviation %d: want 0 to 2", c.MaxDeviation))
	need(c.Samples >= 0, "Samples is negative")
	need(c.MaxPerPoint >= 0, "MaxPerPoint is negative")
	need(c.MaxImages >= 0, "MaxImages is negative")
	need(c.Start == nil || len(c.Start.Vars()) == 0, "Start has undecided variables: Resolve it first")
	need(c.MaxViolations >= 0, "MaxViolations is negative")
	need(c.Workers >= 0, "Workers is negative")
	need(!c.SkipSeen || c.Seen != nil, "SkipSeen without Seen")
	if wrong != nil {
		return c, &ConfigError{wrong}
	}
	fill := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	fill(&c.Exhaustive, 256)
	fill(&c.MaxLeaves, 1<<16)
	if c.Lazy && c.MaxDeviation == 0 && c.Samples == 0 {
		c.MaxDeviation, c.Samples = 1, 64
	}
	fill(&c.MaxPerPoint, 4096)
	fill(&c.MaxViolations, 16)
	fill(&c.Workers, runtime.GOMAXPROCS(0))
	if c.Kinds == 0 {
		c.Kinds = AllKinds
	}
	return c, nil
}

// A Violation is a run that failed, and the way there.
type Violation struct {
	Err  error     // what Workload or Recover returned; *PanicError, *ExitError
	Path CrashPath // empty: the workload itself
}

// String prints the violation in two lines.
func (v Violation) String() string { return fmt.Sprintf("%v\n\tafter %v", v.Err, v.Path) }

// A Count says what became of the crashes of one kind at one depth.
type Count struct {
	Points     int // crash points
	Same       int // of these, left out: an earlier one has the same images and history
	Images     int // images tried, those seen before included
	Unique     int // images with their history, each counted once
	Recoveries int // runs of Recover
	Violations int
}

// A Level counts the crashes at one depth, by kind.
type Level struct {
	Power  Count // power loss, of the workload or of a recovery from a power loss
	Kill   Count // process kill
	Reopen Count // power loss during or after the recovery from a process kill
}

// A Report is what an exploration found.
type Report struct {
	CrashPoints  int // over all depths and kinds
	Images       int // tried, those seen before included
	ImagesUnique int // with their history, each counted once
	ImagesNew    int // of these, not in Config.Seen before; all, without one
	Recoveries   int // runs of Recover

	// Of the lazy search: Leaves is how many of the runs were leaves of complete
	// trees of choices, and Stand is how many images they stand for, at most where
	// StandAtMost is set. Subsumed is how many crash points were left out since
	// all their images are among those of another.
	Leaves      int
	Stand       *big.Int
	StandAtMost bool
	Subsumed    int
	// Greedy names what made the search take long, or kept it from ending.
	Greedy []Greedy
	// Certificate sums up the choice trees: each crash point, each choice in it,
	// what came of it. It is the same for any number of workers, in every process
	// and on every architecture. "" without Lazy.
	Certificate string

	// Levels[d] counts the crashes that came after d others.
	Levels []Level

	// Violations is the first of them, fewest crashes first, then by the place
	// of each crash, then by image; Violated is how many there were.
	Violations []Violation
	Violated   int

	// Exact: every image of every crash point of the kinds asked for was
	// tried. Why says what was left out when not.
	Exact bool
	Why   string

	// Digest sums up every image and what came of it. Equal digests: equal
	// explorations.
	Digest string
}

// Log2 is the binary logarithm of Stand with one digit, such as "66.0": "0.0"
// for one image, "-" for none.
func (r *Report) Log2() string { return log2Text(r.Stand) }

// Err returns an error that tells of the first violation, or nil. That there is
// none says only as much as Exact.
func (r Report) Err() error {
	if r.Violated == 0 {
		return nil
	}
	return fmt.Errorf("explore: %d violations, first: %w\n\tafter %v", r.Violated, r.Violations[0].Err, r.Violations[0].Path)
}

// A PanicError is a panic of Workload or Recover.
type PanicError struct{ Text string } // the panic's value, without addresses

func (e *PanicError) Error() string { return "panic: " + e.Text }

// An ExitError is a Workload or Recover that did not return, because it called
// runtime.Goexit; a test's FailNow does so.
type ExitError struct{}

func (*ExitError) Error() string {
	return "the run ended its goroutine instead of returning (a test's FailNow? return an error instead)"
}

// A PathError says why a crash path cannot be taken: the program, the
// configuration or the text has changed since it was found.
type PathError struct {
	Crash   int    // index in the path of the crash that does not fit
	Text    string // that crash
	Problem string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("crash %d of the path (%s): %s", e.Crash+1, e.Text, e.Problem)
}

// Explore runs the workload of p once, crashes it at every crash point in
// every way that c asks for, and recovers from each crash. What fails is in
// the report; the error is a *ConfigError, or that ctx ended, in which case the
// report tells of the work done until then.
func Explore(ctx context.Context, c Config, p Program) (Report, error) {
	c, err := c.settle(p)
	if err != nil {
		return Report{}, err
	}
	x := explorer{config: c, program: p, images: eager{c}, pool: pool{c.Workers}}
	x.skip = append(slices.Clip(c.CallerSkip), askerFunction)
	return x.explore(ctx)
}

// Reproduce takes one crash path again: the workload, the first crash, the
// recovery from it, and so on to the last. It returns what the last run
// returned: the violation's error, or nil if there is none any more. An
// earlier recovery that fails ends the path with its error. *PathError: the
// path cannot be taken; *ConfigError: c or p is wrong. Of c, what the disk is
// (Guarantees, CellSize, Garbage) and Seed must be as they were.
func Reproduce(ctx context.Context, c Config, p Program, path CrashPath) error {
	return Watch(ctx, c, p, path, nil)
}

// An Eye sees what Watch does. The disk of the run may be looked into, as simfs's
// Observe allows, but not by Chose. Nothing is told at the same time, except by a
// program that works at the same time itself.
type Eye interface {
	// Operation is told of each operation of the disk before it takes effect.
	Operation(op simfs.Op)
	// Noted is told of each note that a run makes.
	Noted(n Note)
	// Frozen comes at the moment of a crash: what the run does from here on, it does
	// to a disk that nobody sees again. inside is the write that the crash came
	// inside of, which Operation is told of next, or nil.
	Frozen(inside *simfs.Op)
	// Crashed comes once that run is over: was is what the crash could have left, and
	// is what the next run finds.
	Crashed(m Moment, was, is *simfs.Image)
	// Chose is told of what is decided behind a lazy crash, when it is asked for.
	Chose(c Choice)
}

// Watch is Reproduce with an eye on it, also on the workload of an empty path.
func Watch(ctx context.Context, c Config, p Program, path CrashPath, eye Eye) error {
	c, err := c.settle(p)
	if err != nil {
		return err
	}
	last, _, err := take(ctx, c, p, path, eye)
	if err != nil {
		return err
	}
	err = last.once()
	if misfit := last.misfit(); misfit != nil {
		return misfit
	}
	return err
}

// Follow is Reproduce without what the last run says. It tells of each crash
// what came before it and what it lost.
func Follow(ctx context.Context, c Config, p Program, path CrashPath) ([]Moment, error) {
	c, err := c.settle(p)
	if err != nil {
		return nil, err
	}
	last, moments, err := take(ctx, c, p, path, nil)
	if err != nil {
		return nil, err
	}
	if n := len(path); n > 0 && path[n-1].Lazy {
		_ = last.once() // only it asks
		if err := last.misfit(); err != nil {
			return nil, err
		}
		moments[n-1].Choices = last.follower.choices
	}
	return moments, nil
}
