package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
)

// Options of a replay.
type Options struct {
	System   string            // one of Systems
	Against  simfs.Guarantees  // what it must keep; the zero value is the preset of that name
	Rounds   int               // how often each program runs; 0: once
	Seed     uint64            // of what is written back when
	Dir      string            // for backing files; "" is the system's temporary directory
	Progress func(done string) // told after each program; may be nil
}

// Systems returns what can be replayed on, each by the preset it is compared with.
func Systems() []string { return []string{"ext4", "ext4-writeback", "xfs", "btrfs"} }

// Row is what one program left on a file system.
type Row struct {
	Program  string
	Images   int      // copies that were mounted
	Observed []string // outcomes after the whole program, sorted
	Allowed  int      // outcomes that the preset allows after it
	Broken   []string // images that the preset forbids, and after which operations
}

// Report is a replay.
type Report struct {
	System string
	Rows   []Row
	Left   int // programs that cannot be replayed
}

// Replay runs programs on a real file system. An error that matches
// errors.ErrUnsupported says why this machine cannot; any other one is a failing
// operation of the machine. What the preset forbids is in the report.
func Replay(ctx context.Context, programs []litmus.Program, o Options) (report Report, err error) {
	report.System = o.System
	if !slices.Contains(Systems(), o.System) {
		return report, fmt.Errorf("real: no file system %q: use one of %q", o.System, Systems())
	}
	g := o.Against
	if g == (simfs.Guarantees{}) {
		if g, err = simfs.PresetByName(o.System); err != nil {
			return report, err
		}
	}
	m, err := newMachine(o)
	if err != nil {
		return report, err
	}
	defer func() {
		if cerr := m.close(); err == nil {
			err = cerr
		}
	}()
	for _, p := range programs {
		if slices.ContainsFunc(p.Ops, func(op litmus.Op) bool { return op.Kind == "fail" }) {
			report.Left++
			continue
		}
		row, err := replay(ctx, m, p, g, o)
		if err != nil {
			return report, fmt.Errorf("real: %s on %s: %w", p.Name, o.System, err)
		}
		report.Rows = append(report.Rows, row)
		if o.Progress != nil {
			o.Progress(p.Name)
		}
	}
	return report, nil
}

// unsupported is an error that says what a machine has not.
type unsupported struct{ text string }

func (u unsupported) Error() string        { return u.text }
func (u unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

func missing(format string, args ...any) error {
	return unsupported{fmt.Sprintf("real: "+format, args...)}
}

// replay runs one program for all rounds.
func replay(ctx context.Context, m *machine, p litmus.Program, g simfs.Guarantees, o Options) (Row, error) {
	row := Row{Program: p.Name}
	allowed := map[int][]string{} // by how many operations were done
	after := func(n int) ([]string, error) {
		if _, ok := allowed[n]; !ok {
			part := litmus.Program{Name: p.Name, Cell: p.Cell, Ops: p.Ops[:n]}
			side, _, err := litmus.Lazy(part, g)
			if err != nil {
				return nil, err
			}
			allowed[n] = side.Outcomes
		}
		return allowed[n], nil
	}
	for round := range max(1, o.Rounds) {
		if err := ctx.Err(); err != nil {
			return row, err
		}
		rng := rand.New(rand.NewPCG(o.Seed, uint64(round)))
		found, err := m.round(p, rng)
		if err != nil {
			return row, err
		}
		for _, image := range found {
			legal, err := after(image.after)
			if err != nil {
				return row, err
			}
			row.Images++
			if !slices.Contains(legal, image.tree) {
				row.Broken = append(row.Broken, fmt.Sprintf("round %d, after %d operations (%s): %s; allowed are %q", round, image.after, image.story, image.tree, legal))
			}
			if image.after == len(p.Ops) && !slices.Contains(row.Observed, image.tree) {
				row.Observed = append(row.Observed, image.tree)
			}
		}
	}
	legal, err := after(len(p.Ops))
	if err != nil {
		return row, err
	}
	row.Allowed = len(legal)
	slices.Sort(row.Observed)
	return row, nil
}

// image is a copy that was mounted.
type image struct {
	after int    // operations
	tree  string // what it held
	story string // what was written back, and when
}
