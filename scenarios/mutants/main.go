// Command mutants plants bugs in the engine's source, one at a time, and lets
// the simulator look for each.
//
//	go run ./scenarios/mutants                    all of testdata
//	go run ./scenarios/mutants --patch my.patch   one more
//	go run ./scenarios/mutants --list             what there is, and the proofs
//
// The way of a mutant:
//
//	patch ──apply──▶ changed files ──go build -overlay──▶ hunt ──seeds──▶ the invariant it broke
//
// A patch is a unified diff that is located by its lines, not by their numbers.
// Its first line names the invariant that must kill it and what it is hunted
// with; parsePatch has the format. A mutant that breaks another invariant within
// the limit, or panics, is killed by luck. The patches of testdata/equivalent
// change nothing that anyone is promised; each has its proof, and none is
// counted. Named with --patch, one is hunted in every scenario, and has to survive.
//
// Exit codes: 0 all were killed; 1 one survived, or an equivalent one did not; 2 a patch cannot be read,
// applied or compiled, or the engine without any breaks a promise itself; 4
// interrupted: what was hunted until then is printed.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/untorn-db/untorn/scenarios"
)

const (
	exitKilled   = 0
	exitSurvived = 1
	exitWrong    = 2
	exitStopped  = 4
)

// folder is where the patches are, from the module's root.
const folder = "scenarios/mutants/testdata"

func main() {
	ctx, stop := stoppable()
	defer stop()
	code, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	stop()
	os.Exit(code)
}

// stoppable is a context that ends with an interrupt or a polite kill. The second
// one ends the process, as ever.
func stoppable() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// options are the flags.
type options struct {
	patch string
	from  string
	json  bool
	list  bool
	jobs  int
	limit time.Duration
}

func run(ctx context.Context, args []string, stdout io.Writer) (code int, err error) {
	var o options
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.StringVar(&o.patch, "patch", "", "the `FILE` of one patch, or a pattern for several, instead of all that there are")
	flags.StringVar(&o.from, "from", "", "begin with the mutant of this `NAME`, in the order of the list")
	flags.BoolVar(&o.json, "json", false, "print a JSON object on a line for each mutant, and one for all")
	flags.BoolVar(&o.list, "list", false, "list the mutants, and the proofs of the equivalent ones; run none")
	flags.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "how many mutants are built and hunted at once; each hunt has one processor")
	flags.DurationVar(&o.limit, "limit", time.Minute, "how much `TIME` of one processor a hunt may take")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitKilled, nil
	case err != nil:
		return exitWrong, nil // flag has told
	case flags.NArg() > 0:
		return exitWrong, fmt.Errorf("unexpected %q: a patch is named with --patch", flags.Arg(0))
	case o.jobs < 1 || o.limit <= 0:
		return exitWrong, errors.New("--jobs and --limit are more than 0")
	}
	if o.list {
		var ignored []string
		flags.Visit(func(f *flag.Flag) {
			if f.Name != "list" && f.Name != "patch" {
				ignored = append(ignored, "--"+f.Name)
			}
		})
		if len(ignored) > 0 {
			return exitWrong, fmt.Errorf("--list runs none and prints text: leave %s out", strings.Join(ignored, ", "))
		}
	}
	root, err := moduleRoot()
	if err != nil {
		return exitWrong, err
	}
	mutants, equivalent, err := load(root, o.patch)
	if err != nil {
		return exitWrong, err
	}
	if o.list {
		return exitKilled, list(stdout, mutants, equivalent)
	}
	if o.from != "" {
		first := slices.IndexFunc(mutants, func(m *mutant) bool { return m.name == o.from })
		if first < 0 {
			return exitWrong, fmt.Errorf("--from %s: there is no such mutant here: --list names them", o.from)
		}
		mutants = mutants[first:]
	}
	tmp, err := os.MkdirTemp("", "untorn-mutants-")
	if err != nil {
		return exitWrong, err
	}
	defer os.RemoveAll(tmp)
	b := &builder{root: root, tmp: tmp, limit: o.limit}
	if err := b.control(ctx, mutants); ctx.Err() != nil {
		return exitStopped, errors.New("interrupted: no mutant was hunted yet")
	} else if err != nil {
		return exitWrong, err
	}
	r := &report{out: stdout, json: o.json, equivalent: len(equivalent)}
	r.begin()
	p := &progress{out: os.Stderr, began: time.Now(), every: 5 * time.Second, total: len(mutants)}
	told := map[string]bool{}
	stopped := b.all(ctx, mutants, o.jobs, func(one outcome) {
		told[one.Name] = true
		r.add(one)
		p.show(time.Since(p.began), r)
	})
	if err := r.end(); err != nil {
		return exitWrong, err
	}
	switch {
	case stopped != nil:
		return exitStopped, fmt.Errorf("interrupted: %d of %d mutants were hunted%s", r.hunted(), len(mutants), goOn(flags, mutants, told))
	case r.broken > 0:
		return exitWrong, fmt.Errorf("%d patches do not compile", r.broken)
	case r.refuted > 0:
		return exitSurvived, fmt.Errorf("%d mutants that are called equivalent were killed: their proofs are wrong", r.refuted)
	case r.survived > 0:
		return exitSurvived, nil
	}
	return exitKilled, nil
}

// goOn is the line that hunts the rest: from the first mutant that was not told on.
func goOn(flags *flag.FlagSet, mutants []*mutant, told map[string]bool) string {
	for _, m := range mutants {
		if told[m.name] {
			continue
		}
		line := "; go on with: go run ./scenarios/mutants --from " + m.name
		flags.Visit(func(f *flag.Flag) {
			if f.Name != "from" {
				line += fmt.Sprintf(" --%s='%s'", f.Name, f.Value)
			}
		})
		return line
	}
	return ""
}

// progress says from time to time how far the hunt has come.
type progress struct {
	out         io.Writer
	began       time.Time
	every, last time.Duration
	total       int
}

func (p *progress) show(elapsed time.Duration, r *report) {
	if elapsed-p.last < p.every {
		return
	}
	p.last = elapsed
	n := r.hunted()
	left := time.Duration(float64(elapsed) * float64(p.total-n) / float64(max(n, 1)))
	fmt.Fprintf(p.out, "mutants: progress: %d of %d mutants in %s, %.1f a minute, %s left, %d survived\n", n, p.total, elapsed.Round(time.Second),
		float64(n)/elapsed.Minutes(), left.Round(time.Second), r.survived)
}

// moduleRoot is the folder of go.mod at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("there is no go.mod here or above: run it inside the module")
		}
		dir = parent
	}
}

// load reads the patches and applies each to the source as it is, so that
// whatever does not fit is told before anything is built. An equivalent mutant is
// hunted only where it is named.
func load(root, patch string) (mutants, equivalent []*mutant, err error) {
	patterns := []string{patch}
	if patch == "" {
		all := filepath.Join(root, filepath.FromSlash(folder))
		patterns = []string{filepath.Join(all, "*.patch"), filepath.Join(all, "equivalent", "*.patch")}
	}
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", pattern, err)
		}
		slices.Sort(found)
		files = append(files, found...)
	}
	var problems []error
	for _, file := range files {
		m, err := readPatch(file)
		if err == nil {
			_, err = m.mutate(root)
		}
		if err == nil {
			err = m.checkPlan(root)
		}
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", filepath.Base(file), err))
		case m.equivalent() && patch == "":
			equivalent = append(equivalent, m)
		case m.equivalent():
			m.hunt.scenarios, m.hunt.disks = scenarios.Names(), []string{"posix", "ext4"}
			mutants = append(mutants, m)
		default:
			mutants = append(mutants, m)
		}
	}
	if len(files) == 0 {
		problems = append(problems, fmt.Errorf("there is no patch %s", strings.Join(patterns, ", ")))
	}
	return mutants, equivalent, errors.Join(problems...)
}

func list(out io.Writer, mutants, equivalent []*mutant) error {
	var text strings.Builder
	for _, m := range mutants {
		if m.equivalent() {
			equivalent = append(equivalent, m)
			continue
		}
		fmt.Fprintf(&text, "%-4s %s\n     %s\n", m.hunt.invariant, m.name, m.says)
	}
	for _, m := range equivalent {
		fmt.Fprintf(&text, "\nequivalent: %s\n  %s\n  %s\n", m.name, m.says, strings.ReplaceAll(m.proof, "\n", "\n  "))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// report prints what became of the mutants.
type report struct {
	out        io.Writer
	json       bool
	equivalent int

	killed, lucky, survived, broken int
	proved, refuted                 int       // equivalent ones, that survived and that did not
	seconds                         []float64 // of those that were killed
	slowest                         outcome
	err                             error
}

// hunted is how many were told.
func (r *report) hunted() int { return r.killed + r.survived + r.broken + r.proved + r.refuted }

func (r *report) begin() {
	if !r.json {
		fmt.Fprintf(r.out, "%-44s %-14s %8s %6s  %s\n", "mutant", "killed by", "seconds", "seeds", "found by")
	}
}

// add prints one mutant.
func (r *report) add(o outcome) {
	switch {
	case o.Problem != "":
		r.broken++
	case o.Equal && o.Killed:
		r.refuted++
	case o.Equal:
		r.proved++
	case !o.Killed:
		r.survived++
	default:
		r.killed++
		if o.Luck {
			r.lucky++
		}
		r.seconds = append(r.seconds, o.Seconds)
		if o.Seconds > r.slowest.Seconds {
			r.slowest = o
		}
	}
	if r.json {
		r.object(o)
		return
	}
	by := o.By
	switch {
	case o.Problem != "":
		by = "ERROR"
	case o.Equal && !o.Killed:
		by = "equivalent"
	case !o.Killed:
		by = "SURVIVED"
	case o.Luck:
		by += " by luck"
	}
	detail := strings.TrimSpace(o.Scenario + " " + o.Disk)
	if o.Seed > 0 {
		detail += fmt.Sprintf(" seed %d", o.Seed)
	}
	switch {
	case o.Equal && o.Killed:
		detail += ": NOT EQUIVALENT, its proof is wrong: " + o.Found
	case o.Equal:
		detail = cmp.Or(o.Found, "nothing, as its proof says")
	case o.Luck || !o.Killed:
		detail = strings.TrimPrefix(detail+", should be "+o.Invariant, ", ")
	}
	if !o.Killed && !o.Equal && o.Found != "" {
		detail += ": " + o.Found
	}
	if o.Problem != "" {
		detail = o.Problem
	}
	r.print("%-44s %-14s %8.2f %6d  %s\n", o.Name, by, o.Seconds, o.Seeds, detail)
}

func (r *report) print(format string, args ...any) {
	if _, err := fmt.Fprintf(r.out, format, args...); r.err == nil {
		r.err = err
	}
}

func (r *report) object(v any) {
	if err := json.NewEncoder(r.out).Encode(v); r.err == nil {
		r.err = err
	}
}

// end prints what all came to.
func (r *report) end() error {
	slices.Sort(r.seconds)
	median := 0.0
	if n := len(r.seconds); n > 0 {
		median = r.seconds[n/2]
	}
	if r.json {
		r.object(struct {
			Killed     int     `json:"killed"`
			Survived   int     `json:"survived"`
			Luck       int     `json:"by_luck"`
			Broken     int     `json:"broken"`
			Equivalent int     `json:"equivalent"` // not hunted
			Proved     int     `json:"proved"`     // equivalent ones that survived, as they have to
			Refuted    int     `json:"refuted"`    // and those that did not
			Median     float64 `json:"median_seconds"`
			Slowest    float64 `json:"slowest_seconds"`
		}{r.killed, r.survived, r.lucky, r.broken, r.equivalent, r.proved, r.refuted, median, r.slowest.Seconds})
		return r.err
	}
	r.print("median %.2f s", median)
	if r.slowest.Name != "" {
		r.print(", slowest %.2f s (%s)", r.slowest.Seconds, r.slowest.Name)
	}
	if r.equivalent > 0 {
		r.print("; %d equivalent, not counted: --list says why", r.equivalent)
	}
	r.print("\n")
	luck := ""
	if r.lucky > 0 {
		luck = fmt.Sprintf(" (%d by luck)", r.lucky)
	}
	r.print("mutants: %d killed, %d survived%s", r.killed, r.survived, luck)
	if r.proved+r.refuted > 0 {
		r.print("; equivalent, not counted: %d survived as they have to, %d did not", r.proved, r.refuted)
	}
	r.print("\n")
	return r.err
}
