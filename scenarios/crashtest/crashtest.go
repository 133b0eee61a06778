package crashtest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
)

// A Subject is a store, what is done with it, and how to tell that it is whole.
type Subject[S any] struct {
	// Open opens the store on an empty disk, and on what a crash has left of one.
	// Refusing to open is a failure.
	Open func(fs afero.Fs) (S, error)
	// Steps are done in order, once.
	Steps []Step[S]
	// Check compares the open store with what was promised. It should only read.
	Check func(s S, h History) error
	// Close, if not nil, closes the store at the end of the steps.
	Close func(s S) error

	Options Options
}

// Options say where and how hard to look. The zero value is a good start.
type Options struct {
	// Disks are the file systems to look on: "posix" (no more than POSIX
	// promises), "ext4", "ext4-writeback", "xfs", "btrfs", "sequential". None:
	// posix. What is found on any of them is also tried on posix and on ext4.
	Disks []string
	// CellSize is the bytes that a disk writes as one: a power of two up to 4096.
	// 0: 512. Page-based file systems write 4096.
	CellSize int
	// Budget is how many disks left by crashes to try on each file system. 0: 20000.
	Budget int
	// Depth is how many more crashes may come while the store recovers, 0 to 2.
	// A power loss in or after the recovery from a process kill is always tried.
	Depth int
	// Seed decides what is sampled where there are too many disks to try them all,
	// and what garbage stands in bytes that were never written.
	Seed uint64
	// DirtyReads: what a recovered store shows may be lost in the next crash,
	// unless it was acknowledged.
	DirtyReads bool
	// Workers is how many recoveries run at once. 0: GOMAXPROCS. 1 for a store
	// with state outside of itself.
	Workers int
}

// Run does the steps, crashes everywhere, and fails t with the first disk that
// the store does not recover from. See the package documentation.
func Run[S any](t testing.TB, s Subject[S]) {
	t.Helper()
	plain, err := s.plain()
	if err != nil {
		t.Fatalf("crashtest: %v", err)
	}
	r := &runner{t: t, subject: plain, test: t.Name()}
	r.run(os.Getenv("UNTORN_PLAN"))
}

// subject is a Subject without its type parameter.
type subject struct {
	open    func(fs afero.Fs) (any, error)
	steps   []step
	check   func(store any, h History) error
	close   func(store any) error
	options Options
}

// plain drops the type parameter, and says all that is wrong.
func (s Subject[S]) plain() (*subject, error) {
	var problems []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	need(s.Open != nil, "Subject.Open is nil")
	need(s.Check != nil, "Subject.Check is nil")
	need(len(s.Steps) > 0, "Subject.Steps is empty: without a step nothing is promised")
	p := &subject{options: s.Options}
	if s.Open != nil {
		p.open = func(fs afero.Fs) (any, error) { return s.Open(fs) }
	}
	if s.Check != nil {
		p.check = func(store any, h History) error { return s.Check(as[S](store), h) }
	}
	if s.Close != nil {
		p.close = func(store any) error { return s.Close(as[S](store)) }
	}
	for i, each := range s.Steps {
		need(each.Do != nil, "step %d (%s) has no Do", i+1, each.Name)
		need(each.Name != "" && !strings.ContainsAny(each.Name, "\r\n"), "step %d needs a name, on one line", i+1)
		p.steps = append(p.steps, step{
			name: each.Name, writes: each.Writes, buffered: each.Buffered, flush: each.Flush,
			do: func(store any) error { return each.Do(as[S](store)) },
		})
	}
	o := &p.options
	if err := o.environment(); err != nil {
		problems = append(problems, err)
	}
	if len(o.Disks) == 0 {
		o.Disks = []string{"posix"}
	}
	for _, name := range o.Disks {
		_, err := simfs.PresetByName(name)
		need(err == nil, "Options.Disks: %v", err)
	}
	if o.CellSize == 0 {
		o.CellSize = 512
	}
	if o.Budget == 0 {
		o.Budget = 20_000
	}
	need(o.CellSize > 0 && o.CellSize <= simfs.PageSize && o.CellSize&(o.CellSize-1) == 0,
		"Options.CellSize is %d: want a power of two up to %d", o.CellSize, simfs.PageSize)
	need(o.Budget > 0, "Options.Budget is negative")
	need(o.Depth >= 0 && o.Depth <= 2, "Options.Depth is %d: want 0 to 2", o.Depth)
	need(o.Workers >= 0, "Options.Workers is negative")
	return p, errors.Join(problems...)
}

// as is the store with its type. A nil interface has none.
func as[S any](store any) S {
	s, _ := store.(S)
	return s
}

// environment lets variables replace what the test says.
func (o *Options) environment() error {
	if text := os.Getenv("UNTORN_BUDGET"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n <= 0 {
			return fmt.Errorf("UNTORN_BUDGET=%s: want how many disks to try, from 1 to 2147483647", text)
		}
		o.Budget = int(n)
	}
	if text := os.Getenv("UNTORN_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("UNTORN_SEED=%s: want a number", text)
		}
		o.Seed = n
	}
	return nil
}
